//! Libraries, as programs load them.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::null_mut;

use abi::{Error, pointer};

use crate::last_error::{or, succeeds};

/// The longest path.
const LONGEST_PATH: usize = 0x7FFF;

/// The libraries of Windows whose functions are ours, and where they are.
const OURS: [(&str, &CStr); 5] = [
    ("fltlib", c"libfltlib.so.1"),
    ("kernel32", c"libfltwin32.so.1"),
    ("kernelbase", c"libfltwin32.so.1"),
    ("msvcrt", c"libfltwin32.so.1"),
    ("ucrtbase", c"libfltwin32.so.1"),
];

/// What the system calls a library: ours by their Windows names, wherever they are said to lie, and others by their own.
fn system_name(name: &str) -> Result<CString, Error> {
    let file = name.rsplit(['\\', '/']).next().unwrap_or(name).to_ascii_lowercase();
    let stem = file.strip_suffix(".dll").unwrap_or(&file);
    match OURS.iter().find(|(windows, _)| *windows == stem) {
        Some((_, ours)) => Ok((*ours).to_owned()),
        None => CString::new(name).map_err(|_| Error::INVALID_NAME),
    }
}

fn load(name: &str, flags: c_int) -> Result<*mut c_void, Error> {
    let name = system_name(name)?;
    // SAFETY: a terminated string; what the library's constructors do is what the program asks for.
    let module = unsafe { libc::dlopen(name.as_ptr(), flags) };
    if module.is_null() { Err(Error::MOD_NOT_FOUND) } else { Ok(module) }
}

fn wide(name: *const u16) -> Result<String, Error> {
    Ok(String::from_utf16_lossy(&pointer::read_wide(name, LONGEST_PATH)?))
}

fn narrow(name: *const u8) -> Result<String, Error> {
    Ok(String::from_utf8_lossy(&pointer::read_narrow(name, LONGEST_PATH)?).into_owned())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn LoadLibraryW(name: *const u16) -> *mut c_void {
    or(null_mut(), || load(&wide(name)?, libc::RTLD_NOW))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn LoadLibraryA(name: *const u8) -> *mut c_void {
    or(null_mut(), || load(&narrow(name)?, libc::RTLD_NOW))
}

/// The flags say where Windows looks, and whether the library is only read.
#[unsafe(no_mangle)]
unsafe extern "C" fn LoadLibraryExW(name: *const u16, _file: *const c_void, _flags: u32) -> *mut c_void {
    // SAFETY: as of our caller.
    unsafe { LoadLibraryW(name) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn LoadLibraryExA(name: *const u8, _file: *const c_void, _flags: u32) -> *mut c_void {
    // SAFETY: as of our caller.
    unsafe { LoadLibraryA(name) }
}

/// A library that is loaded, or the program itself.
fn loaded(name: Option<String>) -> Result<*mut c_void, Error> {
    let module = match name {
        Some(name) => load(&name, libc::RTLD_NOW | libc::RTLD_NOLOAD)?,
        // SAFETY: the program itself.
        None => unsafe { libc::dlopen(std::ptr::null(), libc::RTLD_NOW) },
    };
    // SAFETY: loaded already: the count that dlopen added is not the program's to give back.
    unsafe { libc::dlclose(module) };
    Ok(module)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn GetModuleHandleW(name: *const u16) -> *mut c_void {
    or(null_mut(), || loaded(if name.is_null() { None } else { Some(wide(name)?) }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn GetModuleHandleA(name: *const u8) -> *mut c_void {
    or(null_mut(), || loaded(if name.is_null() { None } else { Some(narrow(name)?) }))
}

/// A library in the loader's list; the address of it is the library's handle.
#[repr(C)]
struct Loaded {
    address: usize,
    name: *const c_char,
    dynamic: *const c_void,
    next: *const Self,
}

/// That `module` is a library that is loaded: the loader takes any address for one.
///
/// # Errors
/// ERROR_INVALID_HANDLE.
fn check(module: *const c_void) -> Result<(), Error> {
    /// The loader keeps its list as it is while it calls this. Ends the calls with the first.
    unsafe extern "C" fn walk(_: *mut libc::dl_phdr_info, _: usize, search: *mut c_void) -> c_int {
        // SAFETY: of our caller, which waits.
        let &(mut at, module) = unsafe { &*search.cast::<(*const Loaded, *const c_void)>() };
        while !at.is_null() && !std::ptr::addr_eq(at, module) {
            // SAFETY: an element of the list.
            at = unsafe { (*at).next };
        }
        if at.is_null() { 2 } else { 1 }
    }
    // SAFETY: the program itself, which is the first of the list.
    let first = unsafe { libc::dlopen(std::ptr::null(), libc::RTLD_LAZY) };
    let mut search = (first.cast_const().cast::<Loaded>(), module);
    // SAFETY: the function takes this as its last parameter.
    let found = unsafe { libc::dl_iterate_phdr(Some(walk), (&raw mut search).cast()) };
    // SAFETY: opened above; the program stays.
    unsafe { libc::dlclose(first) };
    if found == 1 && !module.is_null() { Ok(()) } else { Err(Error::INVALID_HANDLE) }
}

#[unsafe(no_mangle)]
extern "C" fn FreeLibrary(module: *mut c_void) -> i32 {
    succeeds(|| {
        check(module)?;
        // SAFETY: a library that is loaded.
        if unsafe { libc::dlclose(module) } == 0 { Ok(()) } else { Err(Error::INVALID_HANDLE) }
    })
}

/// Functions have no numbers here.
#[unsafe(no_mangle)]
unsafe extern "C" fn GetProcAddress(module: *mut c_void, name: *const c_char) -> *mut c_void {
    or(null_mut(), || {
        check(module)?;
        let name = pointer::read_narrow(name.cast(), LONGEST_PATH).map_err(|_| Error::PROC_NOT_FOUND)?;
        let named = |prefix: &str| CString::new([prefix.as_bytes(), &name].concat()).map_err(|_| Error::PROC_NOT_FOUND);
        // what has another name here because the C library's is in the way
        for name in [named("fltwin32_")?, named("")?] {
            // SAFETY: a library that is loaded, and a terminated string.
            let address = unsafe { libc::dlsym(module, name.as_ptr()) };
            if !address.is_null() {
                return Ok(address);
            }
        }
        Err(Error::PROC_NOT_FOUND)
    })
}

/// Where our own libraries lie: what stands for Windows' system directory.
fn system_directory() -> Result<String, Error> {
    let mut information = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    let here = system_directory as *const c_void;
    // SAFETY: an address of ours, and room for the answer.
    if unsafe { libc::dladdr(here, information.as_mut_ptr()) } == 0 {
        return Err(Error::PATH_NOT_FOUND);
    }
    // SAFETY: filled in by the successful call, and zero before.
    let name = unsafe { information.assume_init() }.dli_fname;
    if name.is_null() {
        return Err(Error::PATH_NOT_FOUND);
    }
    // SAFETY: the name of our own library, as long as it is loaded.
    let path = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    let path = std::path::absolute(&*path)?;
    let directory = path.parent().ok_or(Error::PATH_NOT_FOUND)?;
    Ok(directory.to_string_lossy().into_owned())
}

/// Puts a path into a buffer, if it and its terminator fit; how long it is, or how much room it needs.
///
/// # Safety
/// The buffer is the program's.
unsafe fn give<T: zerocopy::IntoBytes + zerocopy::Immutable + Default>(
    units: impl Iterator<Item = T>,
    buffer: *mut T,
    room: u32,
) -> Result<u32, Error> {
    let units: Vec<T> = units.chain([T::default()]).collect();
    if units.len() > room as usize {
        return Ok(units.len() as u32);
    }
    for (at, unit) in units.iter().enumerate() {
        // SAFETY: as of our caller, and it fits.
        unsafe { pointer::write(buffer.wrapping_add(at), unit) }?;
    }
    Ok(units.len() as u32 - 1)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn GetSystemDirectoryW(buffer: *mut u16, room: u32) -> u32 {
    // SAFETY: as of our caller.
    or(0, || unsafe { give(system_directory()?.encode_utf16(), buffer, room) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn GetSystemDirectoryA(buffer: *mut u8, room: u32) -> u32 {
    // SAFETY: as of our caller.
    or(0, || unsafe { give(system_directory()?.bytes(), buffer, room) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_of_windows_are_found_wherever_they_are_said_to_lie() {
        for name in ["fltlib.dll", r"C:\Windows\System32\FltLib.dll", "/usr/lib\\fltlib.dll", "FLTLIB"] {
            assert_eq!(system_name(name).unwrap().as_c_str(), c"libfltlib.so.1");
        }
        assert_eq!(system_name("libm.so.6").unwrap().as_c_str(), c"libm.so.6");
        assert_eq!(load("no-such-library.dll", libc::RTLD_NOW), Err(Error::MOD_NOT_FOUND));
    }
}
