//! Functions by their name: only those that are simulated, so that a driver takes its way for older systems where one
//! is not.

use std::ffi::CString;

use crate::edge::{Ptr, library};
use crate::nt::UnicodeString;
use crate::stubs;

fn find(name: &str) -> Ptr {
    let simulated = !stubs::NAMES.contains(&name) && is_ours(name);
    let Some(name) = CString::new(name).ok().filter(|_| simulated) else { return Ptr::NULL };
    library::exported(&name)
}

/// A name that the kernel or the filter manager could have: not one of the C library's.
fn is_ours(name: &str) -> bool {
    let families = ["Flt", "Rtl", "Ex", "Ke", "Kf", "Mm", "Ob", "Ps", "Io", "Zw", "FsRtl", "Se", "Cm", "Dbg", "Probe"];
    families.iter().any(|family| {
        name.strip_prefix(family).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase() || c == 'f'))
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn MmGetSystemRoutineAddress(name: Ptr<UnicodeString>) -> Ptr {
    find(&name.read().text())
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetRoutineAddress(name: Ptr<u8>) -> Ptr {
    find(&String::from_utf8_lossy(&name.until_zero()))
}
