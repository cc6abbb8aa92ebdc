//! Between strings of bytes and of 16-bit characters. Every code page is UTF-8, as every locale of today's Linux.

use abi::Error;
use std::borrow::Cow;

use super::{length, narrow};
use crate::last_error::or;

/// MB_ERR_INVALID_CHARS, and WC_ERR_INVALID_CHARS.
const ERRORS: u32 = 8;
const INVALID_CHARACTERS: u32 = 0x80;

/// The bytes as text; what is no UTF-8 becomes a replacement character, or an error.
fn decode(bytes: &[u8], strict: bool) -> Result<Cow<'_, str>, Error> {
    match String::from_utf8_lossy(bytes) {
        Cow::Owned(_) if strict => Err(Error::NO_UNICODE_TRANSLATION),
        text => Ok(text),
    }
}

/// How many of a string's characters a call is about: what it says, or up to and with the terminator.
fn count(len: i32, terminated: impl FnOnce() -> usize) -> Result<usize, Error> {
    match len {
        -1 => Ok(terminated() + 1),
        len => usize::try_from(len).ok().filter(|&len| len != 0).ok_or(Error::INVALID_PARAMETER),
    }
}

/// Puts `units` into a buffer of `room`; with no room, only says how many there are.
///
/// # Safety
/// The buffer is the program's.
unsafe fn put<T: Copy>(units: &[T], to: *mut T, room: i32) -> Result<i32, Error> {
    let len = i32::try_from(units.len()).map_err(|_| Error::INVALID_PARAMETER)?;
    if room != 0 {
        if to.is_null() || room < 0 {
            return Err(Error::INVALID_PARAMETER);
        }
        if room < len {
            return Err(Error::INSUFFICIENT_BUFFER);
        }
        // SAFETY: as of our caller, and it fits.
        unsafe { std::ptr::copy_nonoverlapping(units.as_ptr(), to, units.len()) };
    }
    Ok(len)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn MultiByteToWideChar(
    _code_page: u32,
    flags: u32,
    from: *const u8,
    from_len: i32,
    to: *mut u16,
    room: i32,
) -> i32 {
    or(0, || {
        if from.is_null() {
            return Err(Error::INVALID_PARAMETER);
        }
        // SAFETY: as of our caller.
        let len = count(from_len, || unsafe { narrow(from, usize::MAX) }.len())?;
        // SAFETY: as of our caller.
        let bytes = unsafe { std::slice::from_raw_parts(from, len) };
        let units: Vec<u16> = decode(bytes, flags & ERRORS != 0)?.encode_utf16().collect();
        // SAFETY: as of our caller.
        unsafe { put(&units, to, room) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn WideCharToMultiByte(
    _code_page: u32,
    flags: u32,
    from: *const u16,
    from_len: i32,
    to: *mut u8,
    room: i32,
    _default: *const u8,
    used_default: *mut i32,
) -> i32 {
    or(0, || {
        if from.is_null() {
            return Err(Error::INVALID_PARAMETER);
        }
        // SAFETY: as of our caller.
        let len = count(from_len, || unsafe { length(from, usize::MAX) })?;
        // SAFETY: as of our caller.
        let units = unsafe { std::slice::from_raw_parts(from, len) };
        let whole = String::from_utf16(units);
        if whole.is_err() && flags & INVALID_CHARACTERS != 0 {
            return Err(Error::NO_UNICODE_TRANSLATION);
        }
        if !used_default.is_null() {
            // SAFETY: as of our caller.
            unsafe { *used_default = i32::from(whole.is_err()) };
        }
        let text = whole.unwrap_or_else(|_| String::from_utf16_lossy(units));
        // SAFETY: as of our caller.
        unsafe { put(text.as_bytes(), to, room) }
    })
}

/// What the C library's conversions return for what they cannot convert.
const INVALID: usize = usize::MAX;

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_mbstowcs(to: *mut u16, from: *const u8, room: usize) -> usize {
    // SAFETY: as of our caller.
    let Ok(text) = decode(unsafe { narrow(from, usize::MAX) }, true) else { return INVALID };
    let units: Vec<u16> = text.encode_utf16().chain([0]).collect();
    // SAFETY: as of our caller.
    unsafe { put_terminated(&units, to, room) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcstombs(to: *mut u8, from: *const u16, room: usize) -> usize {
    // SAFETY: as of our caller.
    let Ok(mut text) = String::from_utf16(unsafe { super::terminated(from) }) else { return INVALID };
    text.push('\0');
    // SAFETY: as of our caller.
    unsafe { put_terminated(text.as_bytes(), to, room) }
}

/// Puts as much as there is room for; how much that is, without the terminator.
///
/// # Safety
/// The buffer, if there is one, has that room.
unsafe fn put_terminated<T: Copy>(units: &[T], to: *mut T, room: usize) -> usize {
    if to.is_null() {
        return units.len() - 1;
    }
    let fits = units.len().min(room);
    // SAFETY: as of our caller.
    unsafe { std::ptr::copy_nonoverlapping(units.as_ptr(), to, fits) };
    fits.min(units.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_there_and_back() {
        let bytes = "aä€😀\0".as_bytes();
        let mut units = [0u16; 8];
        let mut back = [0u8; 16];
        // SAFETY: buffers of the size that is given.
        unsafe {
            assert_eq!(MultiByteToWideChar(65001, 0, bytes.as_ptr(), -1, std::ptr::null_mut(), 0), 6);
            assert_eq!(MultiByteToWideChar(65001, 0, bytes.as_ptr(), -1, units.as_mut_ptr(), 8), 6);
            assert_eq!(MultiByteToWideChar(65001, 0, bytes.as_ptr(), -1, units.as_mut_ptr(), 5), 0);
            let null = std::ptr::null_mut();
            let len = WideCharToMultiByte(0, 0, units.as_ptr(), 5, back.as_mut_ptr(), 16, null, null.cast());
            assert_eq!(&back[..len as usize], &bytes[..bytes.len() - 1]);
        }
    }

    #[test]
    fn what_is_no_text_is_replaced_or_refused() {
        // SAFETY: strings and buffers of the size that is given.
        unsafe {
            let mut units = [0u16; 4];
            assert_eq!(MultiByteToWideChar(0, 0, [b'a', 0xFF].as_ptr(), 2, units.as_mut_ptr(), 4), 2);
            assert_eq!(units[1], 0xFFFD);
            assert_eq!(MultiByteToWideChar(0, ERRORS, [b'a', 0xFF].as_ptr(), 2, units.as_mut_ptr(), 4), 0);
            assert_eq!(fltwin32_mbstowcs(units.as_mut_ptr(), [0xFFu8, 0].as_ptr(), 4), INVALID);
            assert_eq!(fltwin32_mbstowcs(units.as_mut_ptr(), c"abc".as_ptr().cast(), 2), 2);
        }
    }
}
