//! What the sanitizers that a driver was built with must see of what we do with its memory.
//!
//! We are not built with them. Their runtimes are in the process if the driver needs them, and export these functions.

use std::ffi::{CStr, c_void};
use std::sync::LazyLock;

type Range = unsafe extern "C" fn(usize, usize);
type At = unsafe extern "C" fn(usize);

struct Hooks {
    load: Option<Range>,
    store: Option<Range>,
    acquire: Option<At>,
    release: Option<At>,
}

static HOOKS: LazyLock<Hooks> = LazyLock::new(|| Hooks {
    load: range(c"__asan_loadN").or_else(|| range(c"__tsan_read_range")),
    store: range(c"__asan_storeN").or_else(|| range(c"__tsan_write_range")),
    acquire: at(c"__tsan_acquire"),
    release: at(c"__tsan_release"),
});

fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the name ends with a NUL; a search has no other requirement.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

fn range(name: &CStr) -> Option<Range> {
    // SAFETY: the sanitizers declare these names as functions of an address and a size.
    symbol(name).map(|found| unsafe { std::mem::transmute::<*mut c_void, Range>(found) })
}

fn at(name: &CStr) -> Option<At> {
    // SAFETY: the sanitizer declares these names as functions of an address.
    symbol(name).map(|found| unsafe { std::mem::transmute::<*mut c_void, At>(found) })
}

/// We are about to read a driver's memory.
pub fn load(address: usize, bytes: usize) {
    if let Some(hook) = HOOKS.load {
        // SAFETY: it only looks at its shadow of these addresses, and reports.
        unsafe { hook(address, bytes) };
    }
}

/// We are about to write a driver's memory.
pub fn store(address: usize, bytes: usize) {
    if let Some(hook) = HOOKS.store {
        // SAFETY: it only looks at its shadow of these addresses, and reports.
        unsafe { hook(address, bytes) };
    }
}

/// What other threads did before they released `address` has happened before this.
pub fn acquire(address: usize) {
    if let Some(hook) = HOOKS.acquire {
        // SAFETY: it only notes the address.
        unsafe { hook(address) };
    }
}

/// What this thread did so far happens before other threads acquire `address`.
pub fn release(address: usize) {
    if let Some(hook) = HOOKS.release {
        // SAFETY: it only notes the address.
        unsafe { hook(address) };
    }
}
