//! What GetLastError says: one number for each thread.

use std::cell::Cell;

use abi::{Error, Handle};

thread_local! {
    static LAST: Cell<u32> = const { Cell::new(0) };
}

#[unsafe(no_mangle)]
extern "C" fn GetLastError() -> u32 {
    LAST.get()
}

#[unsafe(no_mangle)]
extern "C" fn SetLastError(error: u32) {
    LAST.set(error);
}

/// Remembers why a call failed.
pub(crate) fn set(error: Error) {
    LAST.set(error.0);
}

/// The end of every exported function that may fail: `failed`, and the error in GetLastError.
pub(crate) fn or<T>(failed: T, body: impl FnOnce() -> Result<T, Error>) -> T {
    abi::fence(body).unwrap_or_else(|error| {
        set(error);
        failed
    })
}

/// As [`or`], for functions that return whether they succeeded.
pub(crate) fn succeeds(body: impl FnOnce() -> Result<(), Error>) -> i32 {
    or(0, || body().map(|()| 1))
}

/// As [`or`], for functions that return a handle, or NULL.
pub(crate) fn handle(body: impl FnOnce() -> Result<Handle, Error>) -> Handle {
    or(Handle::NULL, body)
}
