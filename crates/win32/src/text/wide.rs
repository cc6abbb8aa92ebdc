//! The C library's functions for wide strings.
//!
//! A program's string may be changed by the program at any time, so that none is kept beyond a call.

use std::cmp::Ordering;
use std::ptr::null_mut;

use super::{length, lower, terminated, upper};

/// What the functions with a size return: 0, or an errno.
const EINVAL: i32 = 22;
const ERANGE: i32 = 34;
/// _TRUNCATE: as much as fits.
const TRUNCATE: usize = usize::MAX;
/// STRUNCATE: it was cut.
const WAS_CUT: i32 = 80;

fn number(ordering: Ordering) -> i32 {
    ordering as i32
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcslen(text: *const u16) -> usize {
    // SAFETY: as of our caller.
    unsafe { length(text, usize::MAX) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcsnlen(text: *const u16, limit: usize) -> usize {
    // SAFETY: as of our caller.
    unsafe { length(text, limit) }
}

/// Copies a terminated string, with its terminator.
///
/// # Safety
/// There is room at `to` for all of `from`.
unsafe fn copy(to: *mut u16, from: &[u16]) {
    // SAFETY: as of our caller; the strings may overlap.
    unsafe { std::ptr::copy(from.as_ptr(), to, from.len()) };
    // SAFETY: as above.
    unsafe { to.add(from.len()).write(0) };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcscpy(to: *mut u16, from: *const u16) -> *mut u16 {
    // SAFETY: as of our caller.
    let from = unsafe { terminated(from) };
    // SAFETY: as of our caller.
    unsafe { copy(to, from) };
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcsncpy(to: *mut u16, from: *const u16, count: usize) -> *mut u16 {
    // SAFETY: as of our caller.
    let len = unsafe { length(from, count) };
    // SAFETY: as of our caller.
    unsafe { std::ptr::copy(from, to, len) };
    // SAFETY: the rest of `count` characters.
    unsafe { to.add(len).write_bytes(0, count - len) };
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcscat(to: *mut u16, from: *const u16) -> *mut u16 {
    // SAFETY: as of our caller.
    unsafe { fltwin32_wcsncat(to, from, usize::MAX) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcsncat(to: *mut u16, from: *const u16, count: usize) -> *mut u16 {
    // SAFETY: as of our caller.
    let end = unsafe { to.add(length(to, usize::MAX)) };
    // SAFETY: as of our caller.
    let len = unsafe { length(from, count) };
    // SAFETY: so many characters were read just now.
    let from = unsafe { std::slice::from_raw_parts(from, len) };
    // SAFETY: as of our caller.
    unsafe { copy(end, from) };
    to
}

/// Compares up to `count` characters, each as `with` makes it.
///
/// # Safety
/// Both are strings that are terminated, or have so many characters.
unsafe fn compare(one: *const u16, other: *const u16, count: usize, with: fn(u16) -> u16) -> i32 {
    for at in 0..count {
        // SAFETY: not beyond a terminator, or the count.
        let (one, other) = unsafe { (*one.add(at), *other.add(at)) };
        let ordering = with(one).cmp(&with(other));
        if ordering.is_ne() || one == 0 {
            return number(ordering);
        }
    }
    0
}

fn same(character: u16) -> u16 {
    character
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcscmp(one: *const u16, other: *const u16) -> i32 {
    // SAFETY: as of our caller.
    unsafe { compare(one, other, usize::MAX, same) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcsncmp(one: *const u16, other: *const u16, count: usize) -> i32 {
    // SAFETY: as of our caller.
    unsafe { compare(one, other, count, same) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn _wcsicmp(one: *const u16, other: *const u16) -> i32 {
    // SAFETY: as of our caller.
    unsafe { compare(one, other, usize::MAX, lower) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn _wcsnicmp(one: *const u16, other: *const u16, count: usize) -> i32 {
    // SAFETY: as of our caller.
    unsafe { compare(one, other, count, lower) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcschr(text: *const u16, character: u16) -> *mut u16 {
    // SAFETY: as of our caller.
    let all = unsafe { terminated(text) };
    let found = all.iter().position(|&one| one == character).or_else(|| (character == 0).then_some(all.len()));
    found.map_or(null_mut(), |at| text.wrapping_add(at).cast_mut())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcsrchr(text: *const u16, character: u16) -> *mut u16 {
    // SAFETY: as of our caller.
    let all = unsafe { terminated(text) };
    let found = if character == 0 { Some(all.len()) } else { all.iter().rposition(|&one| one == character) };
    found.map_or(null_mut(), |at| text.wrapping_add(at).cast_mut())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcsstr(text: *const u16, part: *const u16) -> *mut u16 {
    // SAFETY: as of our caller.
    let all = unsafe { terminated(text) };
    // SAFETY: as of our caller.
    let part = unsafe { terminated(part) };
    let found = if part.is_empty() { Some(0) } else { all.windows(part.len()).position(|window| window == part) };
    found.map_or(null_mut(), |at| text.wrapping_add(at).cast_mut())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcsspn(text: *const u16, of: *const u16) -> usize {
    // SAFETY: as of our caller.
    let all = unsafe { terminated(text) };
    // SAFETY: as of our caller.
    let of = unsafe { terminated(of) };
    all.iter().take_while(|one| of.contains(one)).count()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcscspn(text: *const u16, of: *const u16) -> usize {
    // SAFETY: as of our caller.
    let all = unsafe { terminated(text) };
    // SAFETY: as of our caller.
    let of = unsafe { terminated(of) };
    all.iter().take_while(|one| !of.contains(one)).count()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcspbrk(text: *const u16, of: *const u16) -> *mut u16 {
    // SAFETY: as of our caller.
    let at = text.wrapping_add(unsafe { fltwin32_wcscspn(text, of) });
    // SAFETY: the terminator at most.
    if unsafe { *at } == 0 { null_mut() } else { at.cast_mut() }
}

/// wcstok_s, and wcstok of C99.
#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcstok(text: *mut u16, of: *const u16, state: *mut *mut u16) -> *mut u16 {
    // SAFETY: as of our caller.
    let begin = if text.is_null() { unsafe { *state } } else { text };
    if begin.is_null() {
        return null_mut();
    }
    // SAFETY: as of our caller.
    let begin = begin.wrapping_add(unsafe { fltwin32_wcsspn(begin, of) });
    // SAFETY: the terminator at most.
    if unsafe { *begin } == 0 {
        // SAFETY: as of our caller.
        unsafe { *state = begin };
        return null_mut();
    }
    // SAFETY: as of our caller.
    let end = begin.wrapping_add(unsafe { fltwin32_wcscspn(begin, of) });
    // SAFETY: as of our caller.
    let last = unsafe { *end } == 0;
    // SAFETY: the character after the word, or the terminator.
    unsafe { *end = 0 };
    // SAFETY: as of our caller.
    unsafe { *state = if last { end } else { end.add(1) } };
    begin
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wmemcpy(to: *mut u16, from: *const u16, count: usize) -> *mut u16 {
    // SAFETY: as of our caller.
    unsafe { std::ptr::copy(from, to, count) };
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wmemset(to: *mut u16, character: u16, count: usize) -> *mut u16 {
    // SAFETY: as of our caller.
    let all = unsafe { std::slice::from_raw_parts_mut(to, count) };
    all.fill(character);
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wmemcmp(one: *const u16, other: *const u16, count: usize) -> i32 {
    // SAFETY: as of our caller.
    let one = unsafe { std::slice::from_raw_parts(one, count) };
    // SAFETY: as of our caller.
    let other = unsafe { std::slice::from_raw_parts(other, count) };
    number(one.cmp(other))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wmemchr(text: *const u16, character: u16, count: usize) -> *mut u16 {
    // SAFETY: as of our caller.
    let all = unsafe { std::slice::from_raw_parts(text, count) };
    let found = all.iter().position(|&one| one == character);
    found.map_or(null_mut(), |at| text.wrapping_add(at).cast_mut())
}

/// The program frees it with free.
#[unsafe(no_mangle)]
unsafe extern "C" fn _wcsdup(text: *const u16) -> *mut u16 {
    // SAFETY: as of our caller.
    let text = unsafe { terminated(text) };
    // SAFETY: allocates, or returns null.
    let copied = unsafe { libc::malloc((text.len() + 1) * 2) }.cast::<u16>();
    if !copied.is_null() {
        // SAFETY: allocated for just that.
        unsafe { copy(copied, text) };
    }
    copied
}

/// Changes every character of a string.
///
/// # Safety
/// It is terminated, and the program's to change.
unsafe fn change(text: *mut u16, with: fn(u16) -> u16) -> *mut u16 {
    // SAFETY: as of our caller.
    let len = unsafe { length(text, usize::MAX) };
    // SAFETY: so many characters were read just now.
    let all = unsafe { std::slice::from_raw_parts_mut(text, len) };
    all.iter_mut().for_each(|character| *character = with(*character));
    text
}

#[unsafe(no_mangle)]
unsafe extern "C" fn _wcslwr(text: *mut u16) -> *mut u16 {
    // SAFETY: as of our caller.
    unsafe { change(text, lower) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn _wcsupr(text: *mut u16) -> *mut u16 {
    // SAFETY: as of our caller.
    unsafe { change(text, upper) }
}

/// Puts up to `count` characters of `from` behind the first `before` of a buffer of `size`.
///
/// # Safety
/// The buffer has that size, and `from` is a string that is terminated or has so many characters.
unsafe fn append(to: *mut u16, size: usize, before: usize, from: *const u16, count: usize) -> i32 {
    if to.is_null() || size == 0 {
        return EINVAL;
    }
    if from.is_null() || before >= size {
        // SAFETY: as of our caller.
        unsafe { *to = 0 };
        return EINVAL;
    }
    let room = size - before;
    // SAFETY: as of our caller; what does not fit need not be counted.
    let len = unsafe { length(from, count.min(room)) };
    if len == room && count != TRUNCATE {
        // SAFETY: as of our caller.
        unsafe { *to = 0 };
        return ERANGE;
    }
    let fits = len.min(room - 1);
    // SAFETY: so many characters were read just now.
    let from = unsafe { std::slice::from_raw_parts(from, fits) };
    // SAFETY: with its terminator it fits.
    unsafe { copy(to.add(before), from) };
    if fits < len { WAS_CUT } else { 0 }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn wcscpy_s(to: *mut u16, size: usize, from: *const u16) -> i32 {
    // SAFETY: as of our caller.
    unsafe { append(to, size, 0, from, usize::MAX - 1) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn wcsncpy_s(to: *mut u16, size: usize, from: *const u16, count: usize) -> i32 {
    // SAFETY: as of our caller.
    unsafe { append(to, size, 0, from, count) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn wcscat_s(to: *mut u16, size: usize, from: *const u16) -> i32 {
    // SAFETY: as of our caller.
    unsafe { wcsncat_s(to, size, from, usize::MAX - 1) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn wcsncat_s(to: *mut u16, size: usize, from: *const u16, count: usize) -> i32 {
    // SAFETY: as of our caller.
    let before = if to.is_null() { 0 } else { unsafe { length(to, size) } };
    // SAFETY: as of our caller.
    unsafe { append(to, size, before, from, count) }
}

/// The number at the beginning of a string, and how many characters it takes: what the C library makes of the same
/// characters.
///
/// # Safety
/// `text` is terminated, and `end` is null or the program's.
unsafe fn parse<T>(
    text: *const u16,
    end: *mut *mut u16,
    parse: impl Fn(*const libc::c_char, *mut *mut libc::c_char) -> T,
) -> T {
    // SAFETY: as of our caller.
    let all = unsafe { terminated(text) };
    // one byte each: numbers are ASCII, and what is not ends them
    let mut bytes: Vec<u8> = all.iter().map(|&one| if one < 0x80 { one as u8 } else { b'?' }).collect();
    bytes.push(0);
    let mut after = null_mut();
    let value = parse(bytes.as_ptr().cast(), &raw mut after);
    if !end.is_null() {
        let taken = after as usize - bytes.as_ptr() as usize;
        // SAFETY: as of our caller.
        unsafe { *end = text.wrapping_add(taken).cast_mut() };
    }
    value
}

/// A long has 32 bits on Windows.
#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcstol(text: *const u16, end: *mut *mut u16, base: i32) -> i64 {
    // SAFETY: as of our caller.
    let value = unsafe { fltwin32_wcstoll(text, end, base) };
    value.clamp(i32::MIN.into(), i32::MAX.into())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcstoul(text: *const u16, end: *mut *mut u16, base: i32) -> u64 {
    // SAFETY: as of our caller.
    let value = unsafe { fltwin32_wcstoull(text, end, base) };
    // of a negative number what its bits say
    if value > i64::MAX as u64 { value & u64::from(u32::MAX) } else { value.min(u32::MAX.into()) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcstoll(text: *const u16, end: *mut *mut u16, base: i32) -> i64 {
    // SAFETY: a terminated string of ours, and a variable.
    let strtoll = |from: *const _, after| unsafe { libc::strtoll(from, after, base) };
    // SAFETY: as of our caller.
    unsafe { parse(text, end, strtoll) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcstoull(text: *const u16, end: *mut *mut u16, base: i32) -> u64 {
    // SAFETY: a terminated string of ours, and a variable.
    let strtoull = |from: *const _, after| unsafe { libc::strtoull(from, after, base) };
    // SAFETY: as of our caller.
    unsafe { parse(text, end, strtoull) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_wcstod(text: *const u16, end: *mut *mut u16) -> f64 {
    // SAFETY: a terminated string of ours, and a variable.
    let strtod = |from: *const _, after| unsafe { libc::strtod(from, after) };
    // SAFETY: as of our caller.
    unsafe { parse(text, end, strtod) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn _wtoi(text: *const u16) -> i32 {
    // SAFETY: as of our caller.
    unsafe { fltwin32_wcstol(text, null_mut(), 10) as i32 }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn _wtoi64(text: *const u16) -> i64 {
    // SAFETY: as of our caller.
    unsafe { fltwin32_wcstoll(text, null_mut(), 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str) -> Vec<u16> {
        text.encode_utf16().chain([0]).collect()
    }

    #[test]
    fn strings_are_copied_within_their_room() {
        let mut room = [9u16; 4];
        // SAFETY: buffers of the size that is given.
        unsafe {
            assert_eq!(wcscpy_s(room.as_mut_ptr(), 4, wide("abc").as_ptr()), 0);
            assert_eq!(room, [97, 98, 99, 0]);
            assert_eq!(wcscpy_s(room.as_mut_ptr(), 4, wide("abcd").as_ptr()), ERANGE);
            assert_eq!(room[0], 0);
            assert_eq!(wcsncpy_s(room.as_mut_ptr(), 4, wide("abcdef").as_ptr(), TRUNCATE), WAS_CUT);
            assert_eq!(room, [97, 98, 99, 0]);
            assert_eq!(wcsncpy_s(room.as_mut_ptr(), 4, wide("abcdef").as_ptr(), 2), 0);
            assert_eq!(wcscat_s(room.as_mut_ptr(), 4, wide("x").as_ptr()), 0);
            assert_eq!(room, [97, 98, 120, 0]);
            assert_eq!(wcscat_s(room.as_mut_ptr(), 4, wide("y").as_ptr()), ERANGE);
            assert_eq!(wcscpy_s(room.as_mut_ptr(), 4, std::ptr::null()), EINVAL);
        }
    }

    #[test]
    fn words_are_taken_one_after_the_other() {
        let mut text = wide(",a,,bc,");
        let of = wide(",");
        let mut state = null_mut();
        // SAFETY: terminated strings.
        unsafe {
            let first = fltwin32_wcstok(text.as_mut_ptr(), of.as_ptr(), &raw mut state);
            assert_eq!(terminated(first), [97]);
            let second = fltwin32_wcstok(null_mut(), of.as_ptr(), &raw mut state);
            assert_eq!(terminated(second), [98, 99]);
            assert!(fltwin32_wcstok(null_mut(), of.as_ptr(), &raw mut state).is_null());
            assert!(fltwin32_wcstok(null_mut(), of.as_ptr(), &raw mut state).is_null());
        }
    }

    #[test]
    fn numbers_have_32_bits_where_windows_says_long() {
        let text = wide("  4294967295x");
        let mut end = null_mut();
        // SAFETY: a terminated string.
        unsafe {
            assert_eq!(fltwin32_wcstoul(text.as_ptr(), &raw mut end, 10), u32::MAX.into());
            assert_eq!(*end, u16::from(b'x'));
            assert_eq!(fltwin32_wcstol(text.as_ptr(), null_mut(), 10), i32::MAX.into());
            assert_eq!(fltwin32_wcstoll(text.as_ptr(), null_mut(), 10), 4_294_967_295);
            assert_eq!(fltwin32_wcstoul(wide("-1").as_ptr(), null_mut(), 10), u32::MAX.into());
            assert_eq!(_wtoi(wide("-7").as_ptr()), -7);
        }
    }

    #[test]
    fn strings_are_searched_and_compared() {
        let text = wide(r"C:\Dir\File.txt");
        let at = |found: *mut u16| (found as usize - text.as_ptr() as usize) / 2;
        // SAFETY: terminated strings.
        unsafe {
            assert_eq!(at(fltwin32_wcsrchr(text.as_ptr(), u16::from(b'\\'))), 6);
            assert_eq!(at(fltwin32_wcschr(text.as_ptr(), 0)), 15);
            assert_eq!(at(fltwin32_wcsstr(text.as_ptr(), wide("File").as_ptr())), 7);
            assert!(fltwin32_wcsstr(text.as_ptr(), wide("file").as_ptr()).is_null());
            assert_eq!(_wcsicmp(text.as_ptr(), wide(r"c:\dir\FILE.txt").as_ptr()), 0);
            assert_eq!(fltwin32_wcscmp(wide("a").as_ptr(), wide("ab").as_ptr()), -1);
            assert_eq!(fltwin32_wcsncmp(wide("ax").as_ptr(), wide("ay").as_ptr(), 1), 0);
        }
    }
}
