//! What supervising takes, tried before a program is started: what is missing, and what refuses it, is said in a sentence.

use std::io;

use crate::exit::{Code, Failure, cause};

/// # Errors
/// What is missing.
pub(crate) fn check() -> Result<(), Failure> {
    match sys::probe::notify() {
        Ok(found) if found.inject => {
            sys::probe::memory().map_err(|error| missing("process_vm_readv, or /proc/PID/mem,", &why(&error)))
        }
        Ok(_) => Err(missing("ADDFD with SEND", "needs Linux 5.14")),
        // What is short everywhere in this process is told of where it is needed.
        Err(error) if is_shortage(&error) => Ok(()),
        Err(error) => Err(missing("seccomp notification", &why(&error))),
    }
}

fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::AGAIN | Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}

fn missing(what: &str, why: &str) -> Failure {
    Failure::new(Code::Unsupported, format!("{what} is needed to hold a program's operations: {why}; see fltmc doctor"))
}

/// Why a call cannot be made, as far as the error says.
pub(crate) fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ResourceBusy => {
            "this process is under a supervisor already, and the kernel allows one; run it outside of that".into()
        }
        io::ErrorKind::PermissionDenied => {
            format!("{}; a container's or service's seccomp profile may refuse it", cause(error))
        }
        _ => cause(error),
    }
}
