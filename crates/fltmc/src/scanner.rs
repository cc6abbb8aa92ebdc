//! The scanner: `fltmc scan` as a second process, and the port that only it knows.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use fltmgr::guard::Applications;
use fltmgr::namespace::Namespace;

use crate::asked_port::{Announce, AskedPort, GLANCE};
use crate::exit::{Code, Doing, Failure};
use crate::port;

/// The scanner's port, in a namespace that only it and we know.
const SCANNER_PORT: &str = r"\ScannerPort";

/// How long the scanner may take to start and connect, on a machine that is busy.
const SCANNER_START: Duration = Duration::from_secs(20);

/// How long the scanner may take to see that its port is gone.
const SCANNER_END: Duration = Duration::from_secs(5);

/// The scanner's process, the port it is connected to, and the folder that is their namespace.
#[derive(Debug)]
pub(crate) struct Scanner {
    child: Child,
    asked: AskedPort,
    _namespace: tempfile::TempDir,
}

impl Scanner {
    /// Starts `fltmc scan` as a second process and waits until it is connected.
    pub(crate) fn start(texts: &[String], max_scan: Option<u64>, remember: bool) -> Result<Self, Failure> {
        let namespace = tempfile::Builder::new()
            .prefix("fltmc-")
            .tempdir()
            .doing(|| format!("making a namespace for the scanner in {}", std::env::temp_dir().display()))?;
        let (tell, arrived) = sync_channel(1);
        let announce: Announce = Arc::new(move || {
            let _ = tell.try_send(());
        });
        let asked = AskedPort::open(SCANNER_PORT, Namespace::at(namespace.path()), announce).map_err(|error| {
            // Where there is no descriptor left to look into the folder, its owner cannot remove it.
            let _ = std::fs::remove_dir(namespace.path());
            port::creating(error, &std::env::temp_dir(), "TMPDIR")
        })?;
        let me = std::env::current_exe().doing(|| "finding this program's own file".into())?;
        let mut command = Command::new(me);
        command.env("FLTMGR_NAMESPACE", namespace.path()).args(["scan", SCANNER_PORT]);
        command.args(texts.iter().map(|text| format!("--deny-content={text}")));
        command.args(max_scan.map(|bytes| format!("--max-scan={bytes}")));
        command.args(remember.then_some("--remember"));
        // Out of the terminal's foreground: Ctrl-C is for the program, which may go on after it, and then needs verdicts.
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0).spawn();
        let child = child.doing(|| "starting the scanner".into())?;
        let mut scanner = Self { child, asked, _namespace: namespace };
        let end = Instant::now() + SCANNER_START;
        while scanner.asked.applications.is_empty() {
            // Told of a moment before it can be asked, so that the word is a reason to look and not the answer.
            if let Err(RecvTimeoutError::Disconnected) = arrived.recv_timeout(GLANCE) {
                break;
            }
            if let Ok(Some(status)) = scanner.child.try_wait() {
                return Err(Failure::new(Code::Other, format!("the scanner ended before it was connected: {status}")));
            }
            if Instant::now() >= end {
                scanner.end();
                return Err(Failure::new(Code::Other, "the scanner did not connect in time; is the machine stuck?"));
            }
        }
        Ok(scanner)
    }

    /// The scanner as an application that is asked.
    pub(crate) fn applications(&self) -> &Applications {
        &self.asked.applications
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it. Gives how it had ended before, if it had.
    pub(crate) fn close(mut self) -> Option<ExitStatus> {
        // one that ends hangs up a moment before its end can be waited for
        let hung_up = self.asked.applications.is_empty();
        let before = ended(&mut self.child, if hung_up { SCANNER_END } else { Duration::ZERO });
        self.end();
        before
    }

    /// Hangs up and waits for the process, which ends by itself.
    fn end(mut self) {
        self.asked.port.unload();
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
