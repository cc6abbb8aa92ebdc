//! What the commands that use ports share: names as people type them, and errors as exit codes.

use std::os::fd::AsFd as _;
use std::path::Path;

use fltmgr::{Connection, Error, Status};
use rustix::process::DumpableBehavior;

use crate::exit::{Code, Doing as _, Failure};

/// A port's name as typed: the leading backslash, which a shell eats so easily, may be left out.
pub(crate) fn full_name(typed: &str) -> String {
    if typed.starts_with('\\') { typed.to_owned() } else { format!("\\{typed}") }
}

/// Connects to a port by the name that was typed; `-` stands for the connection whose handle is standard input.
pub(crate) fn connect(typed: &str, context: &[u8]) -> Result<Connection, Failure> {
    let connection = if typed == INHERITED {
        let handle = std::io::stdin().as_fd().try_clone_to_owned();
        Connection::from_handle(handle.doing(|| "taking standard input".into())?).map_err(other)
    } else {
        Connection::connect(&full_name(typed), context).map_err(connecting)
    }?;
    close_to_debuggers();
    Ok(connection)
}

/// Closes this process to debuggers of the same user, as which what it decides about runs: they could look into it, or
/// answer in its place. It can then open no file itself where it is supervised by an ordinary user.
pub(crate) fn close_to_debuggers() {
    let closed = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    debug_assert!(closed.is_ok(), "the kernel takes this value from every process");
}

/// What is typed for a connection whose handle is standard input.
pub(crate) const INHERITED: &str = "-";

/// Why connecting failed. The library's sentence says what is there and what it admits.
pub(crate) fn connecting(error: Error) -> Failure {
    let code = match error.status() {
        Status::ACCESS_DENIED if error.doing().starts_with("opening the namespace") => Code::Namespace,
        Status::ACCESS_DENIED => Code::AccessDenied,
        Status::OBJECT_NAME_NOT_FOUND | Status::OBJECT_PATH_NOT_FOUND => Code::NoSuchPort,
        Status::CONNECTION_COUNT_LIMIT => Code::Full,
        status => bad_name(status),
    };
    Failure::new(code, sentence(&error))
}

/// Why creating a port failed, in the directory that `variable` names.
pub(crate) fn creating(error: Error, dir: &Path, variable: &str) -> Failure {
    let code = match error.status() {
        Status::OBJECT_NAME_COLLISION => Code::NameInUse,
        Status::ACCESS_DENIED | Status::OBJECT_PATH_NOT_FOUND | Status::DISK_FULL => Code::Namespace,
        status => bad_name(status),
    };
    let mut sentence = sentence(&error);
    let dir = dir.display().to_string();
    if code == Code::Namespace && !(sentence.contains(&dir) && sentence.contains(variable)) {
        sentence.push_str(&format!("; this port is made in {dir}, and {variable} names another directory"));
    }
    Failure::new(code, sentence)
}

/// Any other failure of the library's.
pub(crate) fn other(error: Error) -> Failure {
    Failure::new(Code::Other, sentence(&error))
}

fn bad_name(status: Status) -> Code {
    match status {
        Status::OBJECT_NAME_INVALID | Status::OBJECT_PATH_SYNTAX_BAD => Code::BadName,
        _ => Code::Other,
    }
}

/// The library's sentence, and what a person can do where it does not say so itself.
fn sentence(error: &Error) -> String {
    let advice = match error.status() {
        Status::OBJECT_NAME_INVALID | Status::OBJECT_PATH_SYNTAX_BAD => {
            "; a name is like \\ScannerPort or \\Directory\\ScannerPort, in single quotes because of the shell"
        }
        Status::CONNECTION_COUNT_LIMIT => "; end another client, or see in fltmc ports which process serves it",
        _ => "",
    };
    format!("{error}{advice}")
}
