//! The scanner: `fltmc scan` as a second process, which is given its connection: there is no port that another process
//! could connect to in its place.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use fltmgr::guard::Applications;
use fltmgr::source::Exempt as _;
use fltmgr::{Port, PortOptions};

use crate::asked_port::GLANCE;
use crate::exit::{Code, Doing, Failure};
use crate::port;

/// What errors call the scanner's port.
const SCANNER_PORT: &str = r"\ScannerPort";

/// How long the scanner may take to start and connect, on a machine that is busy.
const SCANNER_START: Duration = Duration::from_secs(20);

/// How long the scanner may take to see that its port is gone.
const SCANNER_END: Duration = Duration::from_secs(5);

/// The scanner's process, and its end of the only connection to a port that has no other.
#[derive(Debug)]
pub(crate) struct Scanner {
    child: Child,
    port: Port,
    applications: Applications,
}

impl Scanner {
    /// Starts `fltmc scan` as a second process and waits until it is connected.
    pub(crate) fn start(texts: &[String], max_scan: Option<u64>, remember: bool) -> Result<Self, Failure> {
        let applications = Applications::new();
        let (port, handle) =
            Port::unlisted(SCANNER_PORT, PortOptions::default(), applications.clone()).map_err(port::other)?;
        let me = std::env::current_exe().doing(|| "finding this program's own file".into())?;
        let mut command = Command::new(me);
        command.args(["scan", port::INHERITED]).args(texts.iter().map(|text| format!("--deny-content={text}")));
        command.args(max_scan.map(|bytes| format!("--max-scan={bytes}")));
        command.args(remember.then_some("--remember"));
        // In a group of its own, so that Ctrl-C on a terminal leaves it to us to end it.
        let child = command.stdin(handle).stdout(Stdio::null()).process_group(0).spawn();
        let child = child.doing(|| "starting the scanner".into())?;
        // The command has a copy of the handle, which would keep the connection.
        drop(command);
        let mut scanner = Self { child, port, applications };
        let end = Instant::now() + SCANNER_START;
        while !scanner.applications.exempts(scanner.pid()) {
            if let Ok(Some(status)) = scanner.child.try_wait() {
                return Err(Failure::new(Code::Other, format!("the scanner ended before it was connected: {status}")));
            }
            if Instant::now() >= end {
                scanner.end();
                return Err(Failure::new(Code::Other, "the scanner did not connect in time; is the machine stuck?"));
            }
            std::thread::park_timeout(GLANCE);
        }
        Ok(scanner)
    }

    /// The scanner as an application that is asked.
    pub(crate) fn applications(&self) -> &Applications {
        &self.applications
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it. Gives how it had ended before, if it had.
    pub(crate) fn close(mut self) -> Option<ExitStatus> {
        // one that ends hangs up a moment before its end can be waited for
        let hung_up = self.applications.is_empty();
        let before = ended(&mut self.child, if hung_up { SCANNER_END } else { Duration::ZERO });
        self.end();
        before
    }

    /// Hangs up and waits for the process, which ends by itself.
    fn end(mut self) {
        self.port.unload();
        if ended(&mut self.child, SCANNER_END).is_none() {
            // It is stuck in the middle of a file; there is nothing left that it could tell.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// How a process has ended, if it does within `patience`.
fn ended(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < end => std::thread::park_timeout(GLANCE),
            ended => return ended.ok().flatten(),
        }
    }
}
