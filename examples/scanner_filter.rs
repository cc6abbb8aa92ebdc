//! The filter of a virus scanner: holds the opens of files with certain extensions, and asks the scanner about each.
//!
//! Run it with a command, `scanner_filter sh`, and scanner_app beside it. The two halves speak a protocol of their own:
//! the message is the file's path and the file itself travels with it; the reply is one byte, 1 for safe.
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};

use fltmgr::filter::{Altitude, By, Filter, Manager, OpSet, PreOperation, Verdict};
use fltmgr::source::Supervise;
use fltmgr::{Client, OutgoingMessage, Port, PortOptions, Serve, Status, Timeout};

const EXTENSIONS: [&str; 5] = ["doc", "txt", "bat", "cmd", "inf"];

/// The one scanner that may be connected.
#[derive(Clone, Default)]
struct Scanner(Arc<Mutex<Option<Client>>>);

impl Scanner {
    fn set(&self, client: Option<Client>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = client;
    }

    fn client(&self) -> Option<Client> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The port's callbacks.
impl Serve for Scanner {
    type Session = ();

    fn connect(&self, client: &Client, _context: &[u8]) -> Result<(), Status> {
        println!("scanner connected: pid {}", client.peer().pid);
        self.set(Some(client.clone()));
        Ok(())
    }

    fn disconnect(&self, (): ()) {
        println!("scanner gone: everything is allowed until it comes back");
        self.set(None);
    }
}

struct ScannerFilter(Scanner);

/// The pre-operation callback and its registration.
impl Filter for ScannerFilter {
    fn name(&self) -> &str {
        "scanner"
    }

    fn altitude(&self) -> Altitude {
        Altitude::from(320_010)
    }

    fn ops(&self) -> OpSet {
        OpSet::OPEN
    }

    fn pre(&self, operation: PreOperation) {
        let extension = operation.path.extension().and_then(|extension| extension.to_str());
        if !extension.is_some_and(|extension| EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str())) {
            operation.allow();
            return;
        }
        // Without a scanner, or without content, there is nothing to judge: the filter's policy decides, which is to
        // allow.
        let (Some(client), Ok(Some(file))) = (self.0.client(), operation.file()) else {
            operation.miss(By::Absent);
            return;
        };
        let question = OutgoingMessage {
            body: operation.path.as_os_str().as_bytes().to_vec(),
            reply_len: 1,
            file: Some(file),
            timeout: Timeout::After(operation.remaining()),
        };
        // Answered by the thread that receives the reply; this one goes on to the next operation.
        client.ask_then(question, move |reply| {
            match reply {
                Ok(answered) if answered.payload == [1] => operation.answer(Verdict::Allow, By::Application),
                Ok(_) => operation.answer(Verdict::Deny(Status::VIRUS_INFECTED), By::Application),
                Err(_) => operation.miss(By::Deadline),
            };
        });
    }
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("scanner_filter wants a command to run, for example: scanner_filter sh");
        return Ok(ExitCode::from(2));
    };
    let mut command = Command::new(program);
    command.args(arguments);

    let scanner = Scanner::default();
    let any_local_user = "D:(A;;GA;;;AU)".parse()?;
    let port = Port::create(r"\ScannerPort", PortOptions::default().security(any_local_user), scanner.clone())?;
    let source = Arc::new(Supervise::new(command));
    let manager = Manager::builder().filter(ScannerFilter(scanner))?.start(source.clone())?;
    let status = source.wait()?;
    let counters = manager.counters();
    println!("{} operations, {} denied", counters.asked, counters.denied());
    port.unload();
    Ok(ExitCode::from(status.code().unwrap_or(1) as u8))
}
