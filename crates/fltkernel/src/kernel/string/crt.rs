//! The C runtime's text functions as the kernel has them, with 16-bit characters.

use super::{compare, downcase, upcase};
use crate::edge::Ptr;
use crate::kernel::format::Character;
use crate::nt::Unit;

/// `EINVAL` and `ERANGE` of Microsoft's C runtime.
const EINVAL: i32 = 22;
const ERANGE: i32 = 34;
const TRUNCATE: usize = usize::MAX;
const STRUNCATE: i32 = 80;

/// Up to the terminator, but `most` characters at most.
fn text<C: Character>(from: Ptr<C>, most: usize) -> Vec<C> {
    from.read_many(from.length(most))
}

fn put_all<C: Character>(to: Ptr<C>, text: &[C]) {
    to.write_many(text);
    to.add(text.len()).write(C::default());
}

/// The functions with `_s`: what does not fit empties the buffer, unless the count says to cut.
fn put_checked<C: Character>(to: Ptr<C>, room: usize, from: Ptr<C>, most: usize, append: bool) -> i32 {
    if to.is_null() || room == 0 {
        return EINVAL;
    }
    if from.is_null() {
        to.write(C::default());
        return EINVAL;
    }
    let mut all = if append { text(to, room) } else { Vec::new() };
    let start = all.len();
    let more = if most == TRUNCATE { text(from, room.saturating_sub(start)) } else { text(from, most) };
    all.extend(more);
    if all.len() < room {
        put_all(to.add(start), &all[start..]);
        return 0;
    }
    if most == TRUNCATE {
        all.truncate(room - 1);
        put_all(to, &all);
        return STRUNCATE;
    }
    to.write(C::default());
    ERANGE
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wcslen(s: Ptr<Unit>) -> usize {
    s.length(usize::MAX)
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wcsnlen(s: Ptr<Unit>, most: usize) -> usize {
    s.length(most)
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wcscmp(a: Ptr<Unit>, b: Ptr<Unit>) -> i32 {
    compare(&a.until_zero(), &b.until_zero(), false)
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wcsncmp(a: Ptr<Unit>, b: Ptr<Unit>, most: usize) -> i32 {
    compare(&text(a, most), &text(b, most), false)
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wcsicmp(a: Ptr<Unit>, b: Ptr<Unit>) -> i32 {
    compare(&a.until_zero(), &b.until_zero(), true)
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wcsnicmp(a: Ptr<Unit>, b: Ptr<Unit>, most: usize) -> i32 {
    compare(&text(a, most), &text(b, most), true)
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wcschr(s: Ptr<Unit>, unit: Unit) -> Ptr<Unit> {
    let whole = s.until_zero();
    let at = if unit == 0 { Some(whole.len()) } else { whole.iter().position(|&c| c == unit) };
    at.map_or(Ptr::NULL, |at| s.add(at))
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wcsrchr(s: Ptr<Unit>, unit: Unit) -> Ptr<Unit> {
    let whole = s.until_zero();
    let at = if unit == 0 { Some(whole.len()) } else { whole.iter().rposition(|&c| c == unit) };
    at.map_or(Ptr::NULL, |at| s.add(at))
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wcsstr(s: Ptr<Unit>, part: Ptr<Unit>) -> Ptr<Unit> {
    let (whole, part) = (s.until_zero(), part.until_zero());
    if part.is_empty() {
        return s;
    }
    whole.windows(part.len()).position(|window| window == part).map_or(Ptr::NULL, |at| s.add(at))
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wcscpy(to: Ptr<Unit>, from: Ptr<Unit>) -> Ptr<Unit> {
    put_all(to, &from.until_zero());
    to
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wcsncpy(to: Ptr<Unit>, from: Ptr<Unit>, room: usize) -> Ptr<Unit> {
    let mut filled = text(from, room);
    filled.resize(room, 0);
    to.write_many(&filled);
    to
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wcscat(to: Ptr<Unit>, from: Ptr<Unit>) -> Ptr<Unit> {
    put_all(to.add(to.length(usize::MAX)), &from.until_zero());
    to
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wcsncat(to: Ptr<Unit>, from: Ptr<Unit>, most: usize) -> Ptr<Unit> {
    put_all(to.add(to.length(usize::MAX)), &text(from, most));
    to
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wcsupr(s: Ptr<Unit>) -> Ptr<Unit> {
    let upper: Vec<Unit> = s.until_zero().into_iter().map(upcase).collect();
    s.write_many(&upper);
    s
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wcslwr(s: Ptr<Unit>) -> Ptr<Unit> {
    let lower: Vec<Unit> = s.until_zero().into_iter().map(downcase).collect();
    s.write_many(&lower);
    s
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_towupper(unit: Unit) -> Unit {
    upcase(unit)
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_towlower(unit: Unit) -> Unit {
    downcase(unit)
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wcscpy_s(to: Ptr<Unit>, room: usize, from: Ptr<Unit>) -> i32 {
    put_checked(to, room, from, usize::MAX - 1, false)
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wcsncpy_s(to: Ptr<Unit>, room: usize, from: Ptr<Unit>, most: usize) -> i32 {
    put_checked(to, room, from, most, false)
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wcscat_s(to: Ptr<Unit>, room: usize, from: Ptr<Unit>) -> i32 {
    put_checked(to, room, from, usize::MAX - 1, true)
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wcsncat_s(to: Ptr<Unit>, room: usize, from: Ptr<Unit>, most: usize) -> i32 {
    put_checked(to, room, from, most, true)
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_strcpy_s(to: Ptr<u8>, room: usize, from: Ptr<u8>) -> i32 {
    put_checked(to, room, from, usize::MAX - 1, false)
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_strncpy_s(to: Ptr<u8>, room: usize, from: Ptr<u8>, most: usize) -> i32 {
    put_checked(to, room, from, most, false)
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_strcat_s(to: Ptr<u8>, room: usize, from: Ptr<u8>) -> i32 {
    put_checked(to, room, from, usize::MAX - 1, true)
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_strncat_s(to: Ptr<u8>, room: usize, from: Ptr<u8>, most: usize) -> i32 {
    put_checked(to, room, from, most, true)
}

fn ascii_lower(text: Vec<u8>) -> Vec<u8> {
    text.iter().map(u8::to_ascii_lowercase).collect()
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_stricmp(a: Ptr<u8>, b: Ptr<u8>) -> i32 {
    ascii_lower(a.until_zero()).cmp(&ascii_lower(b.until_zero())) as i32
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_strnicmp(a: Ptr<u8>, b: Ptr<u8>, most: usize) -> i32 {
    ascii_lower(text(a, most)).cmp(&ascii_lower(text(b, most))) as i32
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_strupr(s: Ptr<u8>) -> Ptr<u8> {
    s.write_many(&s.until_zero().to_ascii_uppercase());
    s
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_strlwr(s: Ptr<u8>) -> Ptr<u8> {
    s.write_many(&s.until_zero().to_ascii_lowercase());
    s
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wtoi(s: Ptr<Unit>) -> i32 {
    let (value, _) = super::parse_integer(&s.until_zero(), 10);
    value as i32
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_wcstoul(s: Ptr<Unit>, end: Ptr<Ptr<Unit>>, base: i32) -> u32 {
    let (value, used) = super::parse_integer(&s.until_zero(), base as u32);
    end.write_some(s.add(used));
    value as u32
}
