//! Files of text, whose bytes are UTF-8, read and written as strings of 16-bit characters.

use std::ffi::CString;
use std::ptr::null_mut;

use super::terminated;

const EINVAL: i32 = 22;

/// What the C library returns at the end of a file, and for a failure.
const EOF: i32 = -1;

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_fputws(text: *const u16, file: *mut libc::FILE) -> i32 {
    // SAFETY: as of our caller.
    let bytes = String::from_utf16_lossy(unsafe { terminated(text) }).into_bytes();
    // SAFETY: the program's stream, and bytes of ours.
    let written = unsafe { libc::fwrite(bytes.as_ptr().cast(), 1, bytes.len(), file) };
    if written == bytes.len() { 0 } else { EOF }
}

unsafe extern "C" {
    static stdout: *mut libc::FILE;
}

#[unsafe(no_mangle)]
unsafe extern "C" fn _putws(text: *const u16) -> i32 {
    // SAFETY: the C library's variable.
    let file = unsafe { stdout };
    // SAFETY: as of our caller.
    let put = unsafe { fltwin32_fputws(text, file) };
    // SAFETY: the C library's stream.
    if put == EOF || unsafe { libc::fputc(i32::from(b'\n'), file) } == EOF { EOF } else { 0 }
}

/// Reads up to the end of a line, as much as there is room for.
#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_fgetws(buffer: *mut u16, size: i32, file: *mut libc::FILE) -> *mut u16 {
    let Some(room) = usize::try_from(size).ok().and_then(|size| size.checked_sub(1)) else { return null_mut() };
    let mut units = Vec::new();
    // a character of two units is read if there is room for both
    while units.len() < room {
        // SAFETY: the program's stream.
        let Some(character) = (unsafe { read_character(file) }) else { break };
        units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
        if character == '\n' || units.len() + 1 >= room {
            break;
        }
    }
    if units.is_empty() {
        return null_mut();
    }
    units.push(0);
    // SAFETY: as of our caller: as many as there is room for.
    unsafe { std::ptr::copy_nonoverlapping(units.as_ptr(), buffer, units.len()) };
    buffer
}

/// The next character of a stream; what is no UTF-8 is one of replacement.
///
/// # Safety
/// The stream is open.
unsafe fn read_character(file: *mut libc::FILE) -> Option<char> {
    let mut bytes = Vec::with_capacity(4);
    loop {
        // SAFETY: as of our caller.
        let byte = u8::try_from(unsafe { libc::fgetc(file) }).ok();
        let Some(byte) = byte else { return (!bytes.is_empty()).then_some(char::REPLACEMENT_CHARACTER) };
        bytes.push(byte);
        match std::str::from_utf8(&bytes) {
            Ok(text) => return text.chars().next(),
            Err(error) if error.error_len().is_none() => {}
            Err(_) => {
                if bytes.len() > 1 {
                    // the byte begins another character
                    // SAFETY: as of our caller.
                    unsafe { libc::ungetc(i32::from(byte), file) };
                }
                return Some(char::REPLACEMENT_CHARACTER);
            }
        }
    }
}

/// What `fopen` makes of both; its modes of Windows that say an encoding are those without.
///
/// # Safety
/// Both are terminated strings.
unsafe fn open(name: *const u16, mode: *const u16) -> Option<*mut libc::FILE> {
    // SAFETY: as of our caller.
    let name = String::from_utf16(unsafe { terminated(name) }).ok()?;
    // SAFETY: as of our caller.
    let mode = String::from_utf16(unsafe { terminated(mode) }).ok()?;
    let mode = mode.split(',').next().unwrap_or_default().replace('t', "");
    let (name, mode) = (CString::new(name).ok()?, CString::new(mode).ok()?);
    // SAFETY: terminated strings of ours.
    Some(unsafe { libc::fopen(name.as_ptr(), mode.as_ptr()) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn _wfopen(name: *const u16, mode: *const u16) -> *mut libc::FILE {
    if name.is_null() || mode.is_null() {
        return null_mut();
    }
    // SAFETY: as of our caller.
    unsafe { open(name, mode) }.unwrap_or(null_mut())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn _wfopen_s(file: *mut *mut libc::FILE, name: *const u16, mode: *const u16) -> i32 {
    if file.is_null() || name.is_null() || mode.is_null() {
        return EINVAL;
    }
    // SAFETY: as of our caller.
    let opened = unsafe { _wfopen(name, mode) };
    // SAFETY: as of our caller.
    unsafe { *file = opened };
    if opened.is_null() { std::io::Error::last_os_error().raw_os_error().unwrap_or(EINVAL) } else { 0 }
}
