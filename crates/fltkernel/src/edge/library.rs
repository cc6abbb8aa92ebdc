//! Drivers' libraries, and functions that are only known by their address.

use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt as _;

use super::{Ptr, place};

/// A library that stays loaded until it is closed.
#[derive(Clone, Copy, Debug)]
pub struct Library(Ptr);

fn last_error() -> String {
    // SAFETY: dlerror has no requirement.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return "unknown reason".to_owned();
    }
    // SAFETY: it gives a text that ends with a NUL and stays until the next call on this thread.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

impl Library {
    /// Loads a driver.
    ///
    /// # Errors
    /// The loader's sentence.
    pub fn open(path: &OsStr) -> Result<Self, String> {
        let name = CString::new(path.as_bytes()).map_err(|_| "the path has a NUL".to_owned())?;
        // SAFETY: a driver is a library whose constructors may run here.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            return Err(last_error());
        }
        place::add_driver(&name);
        Ok(Self(Ptr::new(handle)))
    }

    /// The address of what it calls so, NULL if nothing.
    pub fn find(self, name: &CStr) -> Ptr {
        // SAFETY: the library is open, and the name ends with a NUL.
        Ptr::new(unsafe { libc::dlsym(self.0.as_raw(), name.as_ptr()) })
    }

    /// Unloads it. The caller knows that no thread is in its code and that nothing of it will be called.
    pub fn close(self) {
        // SAFETY: the host has looked for threads in it before.
        unsafe { libc::dlclose(self.0.as_raw()) };
    }
}

/// The address of an exported function of this process, NULL if there is none.
pub fn exported(name: &CStr) -> Ptr {
    // SAFETY: the name ends with a NUL; a search has no other requirement.
    Ptr::new(unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) })
}

/// What a driver stored where only a function of this type belongs: `function!(routine, extern "C" fn(Ptr))`.
macro_rules! function {
    ($address:expr, $type:ty) => {{
        // SAFETY: the headers give the place where the driver stored it this type.
        let function = unsafe { std::mem::transmute::<*mut std::ffi::c_void, $type>($address.as_raw()) };
        function
    }};
}
pub(crate) use function;
