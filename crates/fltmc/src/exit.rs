//! What goes wrong, as one sentence with what to do, and as a number that a script can tell apart.

use std::fmt;
use std::process::ExitCode;

/// The tool's exit codes. Scripts rely on them: a number is never given a second meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    /// Anything without a number of its own.
    Other = 1,
    /// The command line is wrong. The same number as the argument parser's.
    Usage = 2,
    /// The demo saw a verdict, or bytes, that it must not see.
    WrongVerdict = 3,
    /// No host owns the port.
    NoSuchPort = 10,
    /// The port's name is not one.
    BadName = 11,
    /// The port's descriptor, or the operating system, does not admit this user.
    AccessDenied = 12,
    /// Another host owns the name.
    NameInUse = 13,
    /// The namespace directory cannot be used.
    Namespace = 14,
    /// The kernel lacks a feature, or this user the right to it.
    Unsupported = 15,
    /// The port has as many connections as it takes.
    Full = 16,
    /// The program to run exists and cannot be run, as shells say it.
    CannotRun = 126,
    /// There is no such program, as shells say it.
    NotFound = 127,
}

/// The table for `--help`; the README shows the same.
pub(crate) const TABLE: &str = "\
Exit codes:
    0  done
    1  anything that has no number below
    2  the command line is wrong
    3  demo: a verdict or a file's content was not what it must be
   10  no such port
   11  bad port name
   12  access denied
   13  another host owns the name
   14  the namespace directory cannot be used
   15  the kernel lacks a feature, or this user the right to it
   16  the port has all the connections it takes
   20  load: a driver did something wrong
   21  load: a driver cannot be loaded, or refuses to
   70  load: a driver did what stops Windows
  126  run: the program cannot be run
  127  run: the program was not found
  128+n  run: the program was ended by signal n; otherwise run ends with the program's own code";

/// Why a command ended early: a sentence for a person, a code for a script.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    sentence: String,
}

impl Failure {
    /// A failure with its code and its sentence (no full stop, no newline).
    pub(crate) fn new(code: Code, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into() }
    }

    /// The code to leave with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

/// An I/O error's cause in the operating system's words, without Rust's "(os error 2)".
pub(crate) fn cause(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

/// Why there is not one thread more.
pub(crate) fn no_thread(error: std::io::Error) -> Failure {
    let cause = cause(&error);
    Failure::new(Code::Other, format!("starting a thread: {cause}; are there threads and memory left? (ulimit -u, -v)"))
}

/// An I/O error of our own doing, with what was being done.
pub(crate) trait Doing<T> {
    /// Turns the error into a sentence: `doing: cause`.
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Into<std::io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|e| {
            let e = e.into();
            let code = match e.kind() {
                std::io::ErrorKind::PermissionDenied => Code::AccessDenied,
                _ => Code::Other,
            };
            Failure::new(code, format!("{}: {}", doing(), cause(&e)))
        })
    }
}
