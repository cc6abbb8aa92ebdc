//! A library that is loaded while the program runs, and its entry.

use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

type Main = unsafe extern "C" fn(c_int, *const *const c_char) -> c_int;

fn last_error() -> String {
    // SAFETY: dlerror has no requirement.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return "unknown reason".to_owned();
    }
    // SAFETY: it gives a text that ends with a NUL and stays until the next call on this thread.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// Loads the library for good and calls its function `entry` as the system calls `main`; gives what it returns. What is loaded
/// later finds the library's functions.
///
/// The library is one of ours: that its entry has this form is not checked.
///
/// # Errors
/// The loader's: there is no such library, or it has no such function.
pub fn call_main(library: &Path, entry: &CStr, arguments: &[String]) -> io::Result<i32> {
    let name = CString::new(library.as_os_str().as_bytes())?;
    // SAFETY: the name ends with a NUL; our libraries have no constructors.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if handle.is_null() {
        return Err(io::Error::other(last_error()));
    }
    // SAFETY: the library is loaded, and is never unloaded.
    let found = unsafe { libc::dlsym(handle, entry.as_ptr()) };
    if found.is_null() {
        return Err(io::Error::other(last_error()));
    }
    // SAFETY: the caller names a function of this form.
    let main = unsafe { std::mem::transmute::<*mut libc::c_void, Main>(found) };
    let texts = arguments.iter().map(|text| CString::new(text.as_str())).collect::<Result<Vec<_>, _>>()?;
    let mut pointers: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
    let count = c_int::try_from(pointers.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    pointers.push(std::ptr::null());
    // SAFETY: `count` texts that end with a NUL and live until it returns.
    Ok(unsafe { main(count, pointers.as_ptr()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_loaded_is_named() {
        let error = call_main(Path::new("/nowhere/libnone.so"), c"main", &[]).unwrap_err();
        assert!(error.to_string().contains("/nowhere/libnone.so"), "{error}");
    }
}
