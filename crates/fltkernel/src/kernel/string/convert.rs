//! Strings into other strings, numbers and identifiers.

use super::give;
use crate::edge::{Ptr, member};
use crate::kernel::pool;
use crate::nt::status::{self, Status};
use crate::nt::{AnsiString, Boolean, Guid, UnicodeString, Unit, wide};

/// The number at the beginning of a text, after white space and a sign, and how many units it has. Base 0 is 10, or what
/// `0x`, `0o`, `0b` says.
pub fn parse_integer(text: &[Unit], base: u32) -> (u64, usize) {
    let unit = |at: usize| text.get(at).and_then(|&unit| char::from_u32(unit.into())).unwrap_or('\0');
    let mut at = (0..text.len()).find(|&at| !unit(at).is_whitespace()).unwrap_or(text.len());
    let negative = unit(at) == '-';
    if matches!(unit(at), '-' | '+') {
        at += 1;
    }
    let prefix = match (unit(at), unit(at + 1).to_ascii_lowercase()) {
        ('0', 'x') => 16,
        ('0', 'o') => 8,
        ('0', 'b') => 2,
        _ => 0,
    };
    let radix = match (base, prefix) {
        (0, 0) => 10,
        (0, prefix) => prefix,
        (base, _) => base,
    };
    if prefix != 0 && (base == 0 || base == 16 && prefix == 16) && unit(at + 2).is_digit(radix) {
        at += 2;
    }
    let mut value = 0u64;
    while let Some(digit) = unit(at).to_digit(radix.clamp(2, 36)) {
        value = value.wrapping_mul(radix.into()).wrapping_add(digit.into());
        at += 1;
    }
    (if negative { value.wrapping_neg() } else { value }, at)
}

fn valid_base(base: u32) -> bool {
    matches!(base, 0 | 2 | 8 | 10 | 16)
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlUnicodeStringToInteger(string: Ptr<UnicodeString>, base: u32, value: Ptr<u32>) -> Status {
    if !valid_base(base) {
        return status::INVALID_PARAMETER;
    }
    value.write(parse_integer(&string.read().units(), base).0 as u32);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlUnicodeStringToInt64(
    string: Ptr<UnicodeString>,
    base: u32,
    value: Ptr<i64>,
    end: Ptr<Ptr<Unit>>,
) -> Status {
    if !valid_base(base) {
        return status::INVALID_PARAMETER;
    }
    let (number, used) = parse_integer(&string.read().units(), base);
    value.write(number as i64);
    end.write_some(string.read().buffer.add(used));
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlCharToInteger(text: Ptr<u8>, base: u32, value: Ptr<u32>) -> Status {
    if !valid_base(base) {
        return status::INVALID_PARAMETER;
    }
    let units: Vec<Unit> = text.until_zero().into_iter().map(Unit::from).collect();
    value.write(parse_integer(&units, base).0 as u32);
    status::SUCCESS
}

fn integer_text(value: u64, base: u32) -> Option<String> {
    Some(match base {
        0 | 10 => value.to_string(),
        16 => format!("{value:X}"),
        8 => format!("{value:o}"),
        2 => format!("{value:b}"),
        _ => return None,
    })
}

fn put_text(to: Ptr<UnicodeString>, text: Option<String>) -> Status {
    let Some(text) = text else { return status::INVALID_PARAMETER };
    let units = wide(&text);
    let room = usize::from(to.read().room);
    if units.len() * 2 > room {
        return status::BUFFER_OVERFLOW;
    }
    to.read().buffer.write_many(&units);
    if units.len() * 2 + 2 <= room {
        to.read().buffer.add(units.len()).write(0);
    }
    member!(to, UnicodeString, length).write((units.len() * 2) as u16);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlIntegerToUnicodeString(value: u32, base: u32, to: Ptr<UnicodeString>) -> Status {
    put_text(to, integer_text(value.into(), base))
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlInt64ToUnicodeString(value: u64, base: u32, to: Ptr<UnicodeString>) -> Status {
    put_text(to, integer_text(value, base))
}

/// `{01234567-89AB-CDEF-0123-456789ABCDEF}`
pub fn guid_text(guid: Guid) -> String {
    let Guid { data1, data2, data3, data4: d } = guid;
    let tail: String = d[2..].iter().map(|byte| format!("{byte:02X}")).collect();
    format!("{{{data1:08X}-{data2:04X}-{data3:04X}-{:02X}{:02X}-{tail}}}", d[0], d[1])
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlStringFromGUID(guid: Ptr<Guid>, to: Ptr<UnicodeString>) -> Status {
    give(to, &wide(&guid_text(guid.read())))
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlGUIDFromString(string: Ptr<UnicodeString>, to: Ptr<Guid>) -> Status {
    let text = string.read().text();
    let parts: Vec<&str> =
        text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or("").split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    if lengths != [8, 4, 4, 4, 12] {
        return status::INVALID_PARAMETER;
    }
    let Ok(number) = u128::from_str_radix(&parts.concat(), 16) else { return status::INVALID_PARAMETER };
    to.write(Guid {
        data1: (number >> 96) as u32,
        data2: (number >> 80) as u16,
        data3: (number >> 64) as u16,
        data4: (number as u64).to_be_bytes(),
    });
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlUnicodeStringToAnsiString(
    to: Ptr<AnsiString>,
    from: Ptr<UnicodeString>,
    allocate: Boolean,
) -> Status {
    let text = from.read().text().into_bytes();
    if allocate != 0 {
        if text.len() > 0xFFFE {
            return status::INVALID_PARAMETER;
        }
        let Some(buffer) = pool::system_bytes(&text) else { return status::NO_MEMORY };
        to.write(AnsiString { length: text.len() as u16, room: text.len() as u16 + 1, buffer });
        return status::SUCCESS;
    }
    let room = usize::from(to.read().room);
    let kept = text.len().min(room.saturating_sub(1));
    to.read().buffer.write_many(&text[..kept]);
    if room > 0 {
        to.read().buffer.add(kept).write(0);
    }
    member!(to, AnsiString, length).write(kept as u16);
    if kept == text.len() && room > 0 { status::SUCCESS } else { status::BUFFER_OVERFLOW }
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlUnicodeStringToOemString(
    to: Ptr<AnsiString>,
    from: Ptr<UnicodeString>,
    allocate: Boolean,
) -> Status {
    RtlUnicodeStringToAnsiString(to, from, allocate)
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlAnsiStringToUnicodeString(
    to: Ptr<UnicodeString>,
    from: Ptr<AnsiString>,
    allocate: Boolean,
) -> Status {
    let units = wide(&String::from_utf8_lossy(&from.read().bytes()));
    if allocate != 0 {
        return give(to, &units);
    }
    if units.len() * 2 > usize::from(to.read().room) {
        return status::BUFFER_OVERFLOW;
    }
    to.read().buffer.write_many(&units);
    member!(to, UnicodeString, length).write((units.len() * 2) as u16);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlxUnicodeStringToAnsiSize(string: Ptr<UnicodeString>) -> u32 {
    string.read().text().len() as u32 + 1
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlxAnsiStringToUnicodeSize(string: Ptr<AnsiString>) -> u32 {
    (wide(&String::from_utf8_lossy(&string.read().bytes())).len() * 2) as u32 + 2
}

/// Writes an address as text, with a port unless that is 0. `*length` counts units with the terminator.
fn put_address(text: &str, to: Ptr<Unit>, length: Ptr<u32>) -> Status {
    let units = wide(text);
    let need = units.len() as u32 + 1;
    if to.is_null() || length.is_null() || length.read() < need {
        length.write_some(need);
        return status::INVALID_PARAMETER;
    }
    to.write_many(&units);
    to.add(units.len()).write(0);
    length.write(need);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlIpv4AddressToStringExW(
    address: Ptr<[u8; 4]>,
    port: u16,
    to: Ptr<Unit>,
    length: Ptr<u32>,
) -> Status {
    if address.is_null() {
        return status::INVALID_PARAMETER;
    }
    let address = std::net::Ipv4Addr::from(address.read());
    let port = u16::from_be(port);
    put_address(&if port == 0 { address.to_string() } else { format!("{address}:{port}") }, to, length)
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlIpv6AddressToStringExW(
    address: Ptr<[u8; 16]>,
    scope: u32,
    port: u16,
    to: Ptr<Unit>,
    length: Ptr<u32>,
) -> Status {
    if address.is_null() {
        return status::INVALID_PARAMETER;
    }
    let mut text = std::net::Ipv6Addr::from(address.read()).to_string();
    if scope != 0 {
        text = format!("{text}%{scope}");
    }
    let port = u16::from_be(port);
    put_address(&if port == 0 { text } else { format!("[{text}]:{port}") }, to, length)
}

/// Whether this is a name of FAT's: eight characters, and three behind a dot.
fn is_short(name: &str) -> bool {
    if name == "." || name == ".." {
        return true;
    }
    let (base, extension) = name.split_once('.').map_or((name, None), |(base, extension)| (base, Some(extension)));
    let plain = |c: char| !c.is_control() && !r#""*+,/:;<=>?[\]|."#.contains(c);
    let fits = |part: &str, most: usize| (1..=most).contains(&part.chars().count()) && part.chars().all(plain);
    let ends_with_blank = base.ends_with(' ') || extension.is_some_and(|extension| extension.ends_with(' '));
    fits(base, 8) && extension.is_none_or(|extension| fits(extension, 3)) && !ends_with_blank
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlIsNameLegalDOS8Dot3(
    name: Ptr<UnicodeString>,
    oem: Ptr<AnsiString>,
    has_spaces: Ptr<Boolean>,
) -> Boolean {
    let name = name.read().text();
    if !is_short(&name) {
        return 0;
    }
    if let Some(oem) = oem.some() {
        let mut string = oem.read();
        let bytes: Vec<u8> = name.to_uppercase().chars().map(|c| u8::try_from(c).unwrap_or(b'_')).collect();
        if bytes.len() > usize::from(string.room) {
            return 0;
        }
        string.buffer.write_many(&bytes);
        string.length = bytes.len() as u16;
        oem.write(string);
    }
    has_spaces.write_some(name.contains(' ').into());
    1
}
