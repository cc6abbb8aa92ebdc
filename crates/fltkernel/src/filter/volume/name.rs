//! Names in bytes and in UTF-16.
//!
//! Valid UTF-8 is kept. What a name of Windows cannot hold gets a place in the private use area, as Samba and Services
//! for Macintosh do it: `\` is U+F026, `:` U+F022. A byte that is no UTF-8 is U+DC00 and the byte.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use crate::nt::Unit;

const BACKSLASH: Unit = 0xF026;
const COLON: Unit = 0xF022;
const STRAY: Unit = 0xDC00;

/// A path of Linux with `\` for `/`.
pub fn encode(path: &Path) -> Vec<Unit> {
    let mut units = Vec::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '/' => units.push(b'\\'.into()),
                '\\' => units.push(BACKSLASH),
                ':' => units.push(COLON),
                c => units.extend_from_slice(c.encode_utf16(&mut [0; 2])),
            }
        }
        units.extend(chunk.invalid().iter().map(|&byte| STRAY + Unit::from(byte)));
    }
    units
}

/// The reverse.
pub fn decode(name: &[Unit]) -> OsString {
    let mut bytes = Vec::new();
    for c in char::decode_utf16(name.iter().copied()) {
        match c {
            Ok('\\') => bytes.push(b'/'),
            Ok('\u{F026}') => bytes.push(b'\\'),
            Ok('\u{F022}') => bytes.push(b':'),
            Ok(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(stray) => match u8::try_from(stray.unpaired_surrogate().wrapping_sub(STRAY)) {
                Ok(byte) if byte >= 0x80 => bytes.push(byte),
                _ => bytes.extend_from_slice("\u{FFFD}".as_bytes()),
            },
        }
    }
    OsString::from_vec(bytes)
}
