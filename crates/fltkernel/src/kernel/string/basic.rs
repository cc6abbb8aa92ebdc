//! Counted strings: made, copied, joined, compared.

use super::{compare, downcase, equal, upcase};
use crate::edge::{Ptr, member};
use crate::kernel::pool;
use crate::nt::status::{self, Status};
use crate::nt::{AnsiString, Boolean, UnicodeString, Unit};

/// The longest that fits with a terminator, in bytes.
const MOST: usize = 0xFFFC;

/// Appends to a counted string, and a NUL if there is room for one; false if it does not fit.
fn append(to: Ptr<UnicodeString>, more: &[Unit]) -> bool {
    let now = to.read();
    let length = usize::from(now.length) + more.len() * 2;
    if length > now.room.into() {
        return false;
    }
    now.buffer.add(usize::from(now.length) / 2).write_many(more);
    if length + 2 <= now.room.into() {
        now.buffer.add(length / 2).write(0);
    }
    member!(to, UnicodeString, length).write(length as u16);
    true
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlInitUnicodeString(to: Ptr<UnicodeString>, text: Ptr<Unit>) {
    let length = if text.is_null() { None } else { Some((text.length(usize::MAX) * 2).min(MOST) as u16) };
    to.write(UnicodeString { length: length.unwrap_or(0), room: length.map_or(0, |length| length + 2), buffer: text });
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlInitUnicodeStringEx(to: Ptr<UnicodeString>, text: Ptr<Unit>) -> Status {
    if !text.is_null() && text.length(usize::MAX) * 2 > MOST {
        return status::NAME_TOO_LONG;
    }
    RtlInitUnicodeString(to, text);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlInitAnsiString(to: Ptr<AnsiString>, text: Ptr<u8>) {
    let length = if text.is_null() { None } else { Some(text.length(usize::MAX).min(0xFFFE) as u16) };
    to.write(AnsiString { length: length.unwrap_or(0), room: length.map_or(0, |length| length + 1), buffer: text });
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlInitString(to: Ptr<AnsiString>, text: Ptr<u8>) {
    RtlInitAnsiString(to, text);
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlCopyUnicodeString(to: Ptr<UnicodeString>, from: Ptr<UnicodeString>) {
    let more = from.some().map(|from| from.read().units()).unwrap_or_default();
    let room = usize::from(to.read().room) / 2;
    member!(to, UnicodeString, length).write(0);
    append(to, &more[..more.len().min(room)]);
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlCopyString(to: Ptr<AnsiString>, from: Ptr<AnsiString>) {
    let more = from.some().map(|from| from.read().bytes()).unwrap_or_default();
    let now = to.read();
    let kept = &more[..more.len().min(now.room.into())];
    now.buffer.write_many(kept);
    member!(to, AnsiString, length).write(kept.len() as u16);
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlAppendUnicodeStringToString(to: Ptr<UnicodeString>, from: Ptr<UnicodeString>) -> Status {
    let fits = from.is_null() || append(to, &from.read().units());
    if fits { status::SUCCESS } else { status::BUFFER_TOO_SMALL }
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlAppendUnicodeToString(to: Ptr<UnicodeString>, from: Ptr<Unit>) -> Status {
    let fits = from.is_null() || append(to, &from.until_zero());
    if fits { status::SUCCESS } else { status::BUFFER_TOO_SMALL }
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlCompareUnicodeString(a: Ptr<UnicodeString>, b: Ptr<UnicodeString>, fold: Boolean) -> i32 {
    compare(&a.read().units(), &b.read().units(), fold != 0)
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlEqualUnicodeString(a: Ptr<UnicodeString>, b: Ptr<UnicodeString>, fold: Boolean) -> Boolean {
    let (a, b) = (a.read(), b.read());
    (a.length == b.length && equal(&a.units(), &b.units(), fold != 0)).into()
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlPrefixUnicodeString(start: Ptr<UnicodeString>, of: Ptr<UnicodeString>, fold: Boolean) -> Boolean {
    let (start, of) = (start.read().units(), of.read().units());
    of.get(..start.len()).is_some_and(|head| equal(&start, head, fold != 0)).into()
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlSuffixUnicodeString(end: Ptr<UnicodeString>, of: Ptr<UnicodeString>, fold: Boolean) -> Boolean {
    let (end, of) = (end.read().units(), of.read().units());
    let tail = of.len().checked_sub(end.len()).map(|from| &of[from..]);
    tail.is_some_and(|tail| equal(&end, tail, fold != 0)).into()
}

fn fold_byte(fold: Boolean) -> impl Fn(&u8) -> u8 {
    move |byte| if fold != 0 { byte.to_ascii_uppercase() } else { *byte }
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlCompareString(a: Ptr<AnsiString>, b: Ptr<AnsiString>, fold: Boolean) -> i32 {
    let (a, b) = (a.read().bytes(), b.read().bytes());
    let case = fold_byte(fold);
    let different =
        a.iter().zip(&b).map(|(a, b)| i32::from(case(a)) - i32::from(case(b))).find(|&difference| difference != 0);
    different.unwrap_or_else(|| a.len() as i32 - b.len() as i32)
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlEqualString(a: Ptr<AnsiString>, b: Ptr<AnsiString>, fold: Boolean) -> Boolean {
    (a.read().length == b.read().length && RtlCompareString(a, b, fold) == 0).into()
}

/// Copies a string with each unit changed, into a buffer of its own if `allocate`.
fn mapped(to: Ptr<UnicodeString>, from: Ptr<UnicodeString>, allocate: Boolean, map: fn(Unit) -> Unit) -> Status {
    let units: Vec<Unit> = from.read().units().into_iter().map(map).collect();
    if allocate != 0 {
        return give(to, &units);
    }
    if usize::from(to.read().room) < units.len() * 2 {
        return status::BUFFER_OVERFLOW;
    }
    to.read().buffer.write_many(&units);
    member!(to, UnicodeString, length).write((units.len() * 2) as u16);
    status::SUCCESS
}

/// Makes a counted string with a buffer from the pool, which `RtlFreeUnicodeString` frees.
pub fn give(to: Ptr<UnicodeString>, units: &[Unit]) -> Status {
    let Some(buffer) = pool::system_text(units) else { return status::NO_MEMORY };
    let length = (units.len() * 2) as u16;
    to.write(UnicodeString { length, room: length.saturating_add(2), buffer });
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlUpcaseUnicodeString(
    to: Ptr<UnicodeString>,
    from: Ptr<UnicodeString>,
    allocate: Boolean,
) -> Status {
    mapped(to, from, allocate, upcase)
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlDowncaseUnicodeString(
    to: Ptr<UnicodeString>,
    from: Ptr<UnicodeString>,
    allocate: Boolean,
) -> Status {
    mapped(to, from, allocate, downcase)
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlUpcaseUnicodeChar(unit: Unit) -> Unit {
    upcase(unit)
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlDowncaseUnicodeChar(unit: Unit) -> Unit {
    downcase(unit)
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlUpperChar(byte: u8) -> u8 {
    byte.to_ascii_uppercase()
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlFreeUnicodeString(string: Ptr<UnicodeString>) {
    if !string.read().buffer.is_null() {
        pool::free(string.read().buffer.cast(), None);
    }
    string.write(UnicodeString::default());
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlFreeAnsiString(string: Ptr<AnsiString>) {
    RtlFreeUnicodeString(string.cast());
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlCreateUnicodeString(to: Ptr<UnicodeString>, text: Ptr<Unit>) -> Boolean {
    (give(to, &text.until_zero()) == status::SUCCESS).into()
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlDuplicateUnicodeString(flags: u32, from: Ptr<UnicodeString>, to: Ptr<UnicodeString>) -> Status {
    const NULL_TERMINATE: u32 = 1;
    const ALLOCATE_NULL_STRING: u32 = 2;
    if flags & !3 != 0 || flags == ALLOCATE_NULL_STRING || to.is_null() {
        return status::INVALID_PARAMETER;
    }
    let units = from.some().map(|from| from.read().units()).unwrap_or_default();
    if units.is_empty() && flags & ALLOCATE_NULL_STRING == 0 {
        to.write(UnicodeString::default());
        return status::SUCCESS;
    }
    let given = give(to, &units);
    if given == status::SUCCESS && flags & NULL_TERMINATE == 0 {
        member!(to, UnicodeString, room).write((units.len() * 2) as u16);
    }
    given
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlHashUnicodeString(
    string: Ptr<UnicodeString>,
    fold: Boolean,
    algorithm: u32,
    hash: Ptr<u32>,
) -> Status {
    const DEFAULT: u32 = 0;
    const X65599: u32 = 1;
    if string.is_null() || hash.is_null() || !matches!(algorithm, DEFAULT | X65599) {
        return status::INVALID_PARAMETER;
    }
    let case = |unit: Unit| u32::from(if fold != 0 { upcase(unit) } else { unit });
    let sum =
        string.read().units().into_iter().fold(0u32, |sum, unit| sum.wrapping_mul(65599).wrapping_add(case(unit)));
    hash.write(sum);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlValidateUnicodeString(flags: u32, string: Ptr<UnicodeString>) -> Status {
    if flags != 0 || string.is_null() {
        return status::INVALID_PARAMETER;
    }
    let s = string.read();
    let valid = s.length.is_multiple_of(2)
        && s.room.is_multiple_of(2)
        && s.length <= s.room
        && (s.room == 0 || !s.buffer.is_null());
    if valid { status::SUCCESS } else { status::INVALID_PARAMETER }
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlCompareMemory(a: Ptr<u8>, b: Ptr<u8>, bytes: usize) -> usize {
    let (a, b) = (a.read_many(bytes), b.read_many(bytes));
    a.iter().zip(&b).take_while(|(a, b)| a == b).count()
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlSecureZeroMemory(to: Ptr<u8>, bytes: usize) -> Ptr<u8> {
    to.fill(0, bytes);
    to
}
