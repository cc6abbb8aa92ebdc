//! Strings of 16-bit characters, where the C library's have 32, and what formats them.
//!
//! The headers lead the C library's names here: `wcslen` of a program is `fltwin32_wcslen`. As in the C library a bad
//! pointer is the program's crash.
#![allow(clippy::multiple_unsafe_ops_per_block)] // an address of the program's, and what is done there, are one operation

mod character;
mod convert;
mod message;
mod print;
mod stream;
mod wide;

/// The characters of a terminated string.
///
/// # Safety
/// `text` is such a string, which stays what it is as long as the result is used.
unsafe fn terminated<'a>(text: *const u16) -> &'a [u16] {
    // SAFETY: as of our caller.
    let len = unsafe { length(text, usize::MAX) };
    // SAFETY: so many characters were read just now.
    unsafe { std::slice::from_raw_parts(text, len) }
}

/// How many characters a string has, `limit` at most, beyond which nothing is read.
///
/// # Safety
/// `text` is a string that is terminated, or has so many characters.
unsafe fn length(text: *const u16, limit: usize) -> usize {
    let mut len = 0;
    // SAFETY: not beyond the terminator, or the limit.
    while len < limit && unsafe { *text.wrapping_add(len) } != 0 {
        len += 1;
    }
    len
}

/// The bytes of a string, up to its terminator or `limit`.
///
/// # Safety
/// `text` is a string that is terminated, or has so many bytes, and stays what it is as long as the result is used.
unsafe fn narrow<'a>(text: *const u8, limit: usize) -> &'a [u8] {
    let mut len = 0;
    // SAFETY: not beyond the terminator, or the limit.
    while len < limit && unsafe { *text.wrapping_add(len) } != 0 {
        len += 1;
    }
    // SAFETY: so many bytes were read just now.
    unsafe { std::slice::from_raw_parts(text, len) }
}

/// A character in lower case, if that is one character too.
fn lower(character: u16) -> u16 {
    fold(character, |character| {
        let mut lower = character.to_lowercase();
        (lower.next(), lower.next())
    })
}

/// A character in upper case, if that is one character too.
fn upper(character: u16) -> u16 {
    fold(character, |character| {
        let mut upper = character.to_uppercase();
        (upper.next(), upper.next())
    })
}

fn fold(character: u16, fold: impl Fn(char) -> (Option<char>, Option<char>)) -> u16 {
    let folded = char::from_u32(character.into()).map(fold);
    match folded {
        Some((Some(one), None)) => u16::try_from(u32::from(one)).unwrap_or(character),
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_changed_where_it_stays_one_character() {
        let wide = |character: char| character as u16;
        assert_eq!((lower(wide('Ä')), upper(wide('ж'))), (wide('ä'), wide('Ж')));
        assert_eq!((upper(wide('ß')), lower(wide('1')), upper(0xD800)), (wide('ß'), wide('1'), 0xD800));
    }
}
