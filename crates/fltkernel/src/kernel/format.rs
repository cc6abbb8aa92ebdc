//! Texts made of a format and arguments: `DbgPrint`, `RtlStringCbPrintfW`, `swprintf` and their like.
//!
//! One formatter for both widths, because the C library's has 64-bit longs, `0x` before pointers and no `%wZ`. A long has
//! 32 bits, a pointer prints as 16 digits, `%s` has the width of the format, `%S` the other one.

use crate::edge::{Arguments, Ptr, variadic};
use crate::nt::{AnsiString, UnicodeString, Unit};

/// How wide a character of the format and of the result is.
pub trait Character: Copy + Default + PartialEq + From<u8> + Into<u16> {
    /// Whether `%s` is a text of UTF-16.
    const WIDE: bool;

    /// Appends UTF-16.
    fn push_wide(out: &mut Vec<Self>, text: &[Unit]);

    /// Appends a narrow text.
    fn push_narrow(out: &mut Vec<Self>, text: &[u8]);
}

impl Character for u8 {
    const WIDE: bool = false;

    fn push_wide(out: &mut Vec<Self>, text: &[Unit]) {
        out.extend_from_slice(String::from_utf16_lossy(text).as_bytes());
    }

    fn push_narrow(out: &mut Vec<Self>, text: &[u8]) {
        out.extend_from_slice(text);
    }
}

impl Character for u16 {
    const WIDE: bool = true;

    fn push_wide(out: &mut Vec<Self>, text: &[Unit]) {
        out.extend_from_slice(text);
    }

    fn push_narrow(out: &mut Vec<Self>, text: &[u8]) {
        out.extend(String::from_utf8_lossy(text).encode_utf16());
    }
}

/// What stands between `%` and the letter.
#[derive(Clone, Copy, Debug, Default)]
struct Specification {
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    size: Size,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Size {
    Byte,
    Short,
    #[default]
    Int,
    /// `l`: 32 bits as a number, UTF-16 as a text.
    Long,
    /// `w`: UTF-16.
    Wide,
    /// `ll`, `I64`, `I`, `z`, `j`, `t`.
    Quad,
}

/// The text that this format makes of these arguments, without a terminator.
pub fn format<C: Character>(format: &[C], arguments: &mut Arguments) -> Vec<C> {
    let mut out = Vec::new();
    let mut rest = format.iter().map(|&c| char::from_u32(c.into().into()).unwrap_or('\u{FFFD}'));
    let mut plain = 0;
    let mut at = 0;
    while let Some(c) = rest.next() {
        at += 1;
        if c != '%' {
            continue;
        }
        out.extend_from_slice(&format[plain..at - 1]);
        let (specification, letter, used) = parse(rest.clone(), arguments);
        at += used;
        rest.by_ref().take(used).for_each(drop);
        plain = at;
        let Some(letter) = letter else { break };
        convert(&mut out, specification, letter, arguments);
    }
    out.extend_from_slice(&format[plain.min(format.len())..]);
    out
}

/// Reads a specification: it, its letter, and how many characters they are.
fn parse(
    mut rest: impl Iterator<Item = char> + Clone,
    arguments: &mut Arguments,
) -> (Specification, Option<char>, usize) {
    let mut spec = Specification::default();
    let mut used = 0;
    let mut precise = false;
    loop {
        let Some(c) = rest.next() else { return (spec, None, used) };
        used += 1;
        match c {
            '-' => spec.left = true,
            '+' => spec.plus = true,
            ' ' => spec.space = true,
            '#' => spec.alternate = true,
            '0' if spec.width == 0 && !precise => spec.zero = true,
            '0'..='9' => {
                let digit = c as usize - '0' as usize;
                let number = if precise { spec.precision.get_or_insert(0) } else { &mut spec.width };
                *number = number.saturating_mul(10).saturating_add(digit).min(4096);
            }
            '*' => {
                let value = arguments.take() as i32;
                if precise {
                    spec.precision = usize::try_from(value).ok();
                } else {
                    spec.left |= value < 0;
                    spec.width = (value.unsigned_abs() as usize).min(4096);
                }
            }
            '.' => {
                precise = true;
                spec.precision = Some(0);
            }
            'h' => spec.size = if spec.size == Size::Short { Size::Byte } else { Size::Short },
            'l' => spec.size = if spec.size == Size::Long { Size::Quad } else { Size::Long },
            'w' => spec.size = Size::Wide,
            'z' | 'j' | 't' => spec.size = Size::Quad,
            'I' => {
                // I64, I32, or I alone for the size of a pointer
                let bits: String = rest.clone().take(2).collect();
                spec.size = if bits == "32" { Size::Int } else { Size::Quad };
                if bits == "32" || bits == "64" {
                    used += 2;
                    rest.by_ref().take(2).for_each(drop);
                }
            }
            _ => return (spec, Some(c), used),
        }
    }
}

fn convert<C: Character>(out: &mut Vec<C>, spec: Specification, letter: char, arguments: &mut Arguments) {
    let mut text = Vec::new();
    match letter {
        '%' => return out.push(C::from(b'%')),
        'd' | 'i' => number(&mut text, spec, signed(spec.size, arguments.take())),
        'u' => number(&mut text, spec, (false, unsigned(spec.size, arguments.take()).to_string())),
        'x' => based(&mut text, spec, format!("{:x}", unsigned(spec.size, arguments.take())), "0x"),
        'X' => based(&mut text, spec, format!("{:X}", unsigned(spec.size, arguments.take())), "0X"),
        'o' => based(&mut text, spec, format!("{:o}", unsigned(spec.size, arguments.take())), "0"),
        'p' | 'P' => C::push_narrow(&mut text, format!("{:016X}", arguments.take()).as_bytes()),
        'c' | 'C' => {
            let value = arguments.take();
            if is_wide::<C>(spec.size, letter == 'C') {
                C::push_wide(&mut text, &[value as Unit]);
            } else {
                C::push_narrow(&mut text, &[value as u8]);
            }
        }
        's' | 'S' => string(&mut text, spec, is_wide::<C>(spec.size, letter == 'S'), arguments.take()),
        'Z' => counted(&mut text, spec, is_wide::<C>(spec.size, false), arguments.take()),
        'n' => _ = arguments.take(),
        other => {
            let mut bytes = [0; 4];
            C::push_narrow(&mut text, other.encode_utf8(&mut bytes).as_bytes());
        }
    }
    pad(out, spec, text);
}

/// Whether a text is of UTF-16: by its size, else by the format's width, which a capital letter turns around.
fn is_wide<C: Character>(size: Size, other: bool) -> bool {
    match size {
        Size::Long | Size::Wide => true,
        Size::Short => false,
        _ => C::WIDE != other,
    }
}

fn signed(size: Size, value: u64) -> (bool, String) {
    let value = match size {
        Size::Byte => i64::from(value as i8),
        Size::Short => i64::from(value as i16),
        Size::Quad => value as i64,
        _ => i64::from(value as i32),
    };
    (value < 0, value.unsigned_abs().to_string())
}

fn unsigned(size: Size, value: u64) -> u64 {
    match size {
        Size::Byte => u64::from(value as u8),
        Size::Short => u64::from(value as u16),
        Size::Quad => value,
        _ => u64::from(value as u32),
    }
}

fn number<C: Character>(text: &mut Vec<C>, spec: Specification, (negative, digits): (bool, String)) {
    let sign = match () {
        () if negative => "-",
        () if spec.plus => "+",
        () if spec.space => " ",
        () => "",
    };
    digits_of(text, spec, sign, &digits);
}

fn based<C: Character>(text: &mut Vec<C>, spec: Specification, digits: String, prefix: &str) {
    digits_of(text, spec, if spec.alternate && digits != "0" { prefix } else { "" }, &digits);
}

fn digits_of<C: Character>(text: &mut Vec<C>, spec: Specification, prefix: &str, digits: &str) {
    let least = match spec.precision {
        Some(precision) => precision,
        None if spec.zero && !spec.left => spec.width.saturating_sub(prefix.len()),
        None => 1,
    };
    let zeros = "0".repeat(least.saturating_sub(digits.len()));
    C::push_narrow(text, format!("{prefix}{zeros}{digits}").as_bytes());
}

/// `%s`: up to the terminator, or to the precision, beyond which nothing is read.
fn string<C: Character>(text: &mut Vec<C>, spec: Specification, wide: bool, address: u64) {
    let most = spec.precision.unwrap_or(usize::MAX);
    let address = address as usize;
    if address == 0 {
        return C::push_narrow(text, &b"(null)"[..most.min(6)]);
    }
    if wide {
        let source = Ptr::<Unit>::at_address(address);
        C::push_wide(text, &source.read_many(source.length(most)));
    } else {
        let source = Ptr::<u8>::at_address(address);
        C::push_narrow(text, &source.read_many(source.length(most)));
    }
}

/// `%wZ` and `%Z`: a pointer to a counted string.
fn counted<C: Character>(text: &mut Vec<C>, spec: Specification, wide: bool, address: u64) {
    let most = spec.precision.unwrap_or(usize::MAX);
    let address = address as usize;
    if address == 0 {
        C::push_narrow(text, b"(null)");
    } else if wide {
        let mut units = Ptr::<UnicodeString>::at_address(address).read().units();
        units.truncate(most);
        C::push_wide(text, &units);
    } else {
        let mut bytes = Ptr::<AnsiString>::at_address(address).read().bytes();
        bytes.truncate(most);
        C::push_narrow(text, &bytes);
    }
}

fn pad<C: Character>(out: &mut Vec<C>, spec: Specification, text: Vec<C>) {
    let spaces = vec![C::from(b' '); spec.width.saturating_sub(text.len())];
    if spec.left {
        out.extend(text);
        out.extend(spaces);
    } else {
        out.extend(spaces);
        out.extend(text);
    }
}

/// Text in a buffer of `room` characters, always terminated: true if all of it fitted.
pub fn put<C: Character>(to: Ptr<C>, room: usize, text: &[C]) -> bool {
    let fits = text.len() < room;
    let kept = &text[..text.len().min(room.saturating_sub(1))];
    to.write_many(kept);
    if room > 0 {
        to.add(kept.len()).write(C::default());
    }
    fits
}

/// `_snwprintf` and `_snprintf`: as much as fits, and no terminator if that is not all; then -1.
fn count_printf<C: Character>(to: Ptr<C>, room: usize, text: &[C]) -> i32 {
    to.write_many(&text[..text.len().min(room)]);
    if text.len() < room {
        to.add(text.len()).write(C::default());
    }
    if text.len() > room { -1 } else { i32::try_from(text.len()).unwrap_or(-1) }
}

extern "C" fn sprintf<C: Character>(to: Ptr<C>, text: Ptr<C>, mut arguments: Arguments) -> i32 {
    let text = format(&text.until_zero(), &mut arguments);
    count_printf(to, usize::MAX, &text)
}

extern "C" fn snprintf<C: Character>(to: Ptr<C>, room: usize, text: Ptr<C>, mut arguments: Arguments) -> i32 {
    let text = format(&text.until_zero(), &mut arguments);
    count_printf(to, room, &text)
}

/// `swprintf_s`: what does not fit is an error, which empties the buffer.
extern "C" fn sprintf_s<C: Character>(to: Ptr<C>, room: usize, text: Ptr<C>, mut arguments: Arguments) -> i32 {
    let text = format(&text.until_zero(), &mut arguments);
    if put(to, room, &text) {
        return i32::try_from(text.len()).unwrap_or(-1);
    }
    put(to, room, &[]);
    -1
}

variadic! {
    fk_swprintf 2 => sprintf::<u16>;
    fk_sprintf 2 => sprintf::<u8>;
    fk_snwprintf 3 => snprintf::<u16>;
    fk_snprintf 3 => snprintf::<u8>;
    fk_swprintf_s 3 => sprintf_s::<u16>;
    fk_sprintf_s 3 => sprintf_s::<u8>;
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_vsnwprintf(to: Ptr<Unit>, room: usize, text: Ptr<Unit>, arguments: Arguments) -> i32 {
    snprintf(to, room, text, arguments)
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_vsnprintf(to: Ptr<u8>, room: usize, text: Ptr<u8>, arguments: Arguments) -> i32 {
    snprintf(to, room, text, arguments)
}
