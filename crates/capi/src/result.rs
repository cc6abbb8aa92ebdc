//! What every function returns: 0, or a negative status; and what it means.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use fltport::{Error, Status};

/// STATUS_IO_TIMEOUT, because STATUS_TIMEOUT is a success by its number.
const TIMED_OUT: Status = Status::IO_TIMEOUT;

thread_local! {
    /// What `fltmgr_last_error` says.
    static LAST: RefCell<CString> = RefCell::default();
}

/// A status as a C program gets it: 0 or negative.
fn code(status: Status) -> i32 {
    match status {
        Status::SUCCESS => 0,
        status if status.is_error() || status.is_warning() => status.0.cast_signed(),
        Status::TIMEOUT => TIMED_OUT.0.cast_signed(),
        // a success that is none here
        _ => Status::UNSUCCESSFUL.0.cast_signed(),
    }
}

/// A status that a C program gives: 0 or negative, as it is.
pub(crate) fn status(code: i32) -> Status {
    Status(code.cast_unsigned())
}

/// Why a call failed.
pub(crate) fn invalid(what: &str) -> Error {
    Error::new(Status::INVALID_PARAMETER, what)
}

/// The end of every exported function. A panic, which is a defect of ours, ends here.
pub(crate) fn result(body: impl FnOnce() -> Result<(), Error>) -> i32 {
    let panicked = |_| Err(Error::new(Status::INTERNAL_ERROR, "a defect of libfltmgr"));
    match catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(panicked) {
        Ok(()) => 0,
        Err(error) => {
            let sentence = CString::new(error.to_string().replace('\0', " ")).unwrap_or_default();
            LAST.with_borrow_mut(|last| *last = sentence);
            code(error.status())
        }
    }
}

/// What this thread's last call that failed says: a sentence, until the next call that fails.
#[unsafe(no_mangle)]
extern "C" fn fltmgr_last_error() -> *const c_char {
    LAST.with_borrow(|last| last.as_ptr())
}

/// What a result means, in a few words that stay.
#[unsafe(no_mangle)]
extern "C" fn fltmgr_strerror(result: i32) -> *const c_char {
    static WORDS: LazyLock<HashMap<u32, CString>> = LazyLock::new(|| {
        let words = Status::all().filter_map(|status| Some((status.0, CString::new(status.message()?).ok()?)));
        words.collect()
    });
    const UNKNOWN: &CStr = c"unknown status";
    WORDS.get(&result.cast_unsigned()).map_or(UNKNOWN, CString::as_c_str).as_ptr()
}
