//! What a C program hands over: strings, bytes, times, descriptors.

use std::ffi::{CStr, c_char, c_void};
use std::time::Duration;

use fltport::{Error, Timeout};

use crate::result::invalid;

/// A string in UTF-8.
///
/// # Safety
/// Null, or a terminated string that lasts for `'a`.
pub(crate) unsafe fn string<'a>(at: *const c_char, what: &str) -> Result<&'a str, Error> {
    if at.is_null() {
        return Err(invalid(what).hint("it is NULL"));
    }
    // SAFETY: as of our caller.
    unsafe { CStr::from_ptr(at) }.to_str().map_err(|_| invalid(what).hint("it is no UTF-8"))
}

/// `len` bytes.
///
/// # Safety
/// Null, or so many that last for `'a`, and that nothing writes meanwhile.
pub(crate) unsafe fn bytes<'a>(at: *const c_void, len: usize, what: &str) -> Result<&'a [u8], Error> {
    match (at.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(invalid(what).hint("it is NULL and has a length")),
        // SAFETY: as of our caller.
        (false, len) => Ok(unsafe { std::slice::from_raw_parts(at.cast(), len) }),
    }
}

/// As [`bytes`], to be written.
///
/// # Safety
/// As [`bytes`], and nothing else reads or writes them.
pub(crate) unsafe fn room<'a>(at: *mut c_void, len: usize, what: &str) -> Result<&'a mut [u8], Error> {
    match (at.is_null(), len) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(invalid(what).hint("it is NULL and has a length")),
        // SAFETY: as of our caller.
        (false, len) => Ok(unsafe { std::slice::from_raw_parts_mut(at.cast(), len) }),
    }
}

/// A time in milliseconds: negative for ever, 0 not at all.
pub(crate) fn timeout(milliseconds: i32) -> Timeout {
    match u64::try_from(milliseconds) {
        Err(_) => Timeout::Never,
        Ok(0) => Timeout::Poll,
        Ok(milliseconds) => Timeout::After(Duration::from_millis(milliseconds)),
    }
}
