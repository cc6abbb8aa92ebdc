//! What a format says.

use std::ffi::c_void;

use super::super::character::Character;

/// What an argument is taken as from a list of arguments. `c/print.c` has these numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Int = 0,
    Long = 1,
    Real = 2,
    LongReal = 3,
    Pointer = 4,
}

/// A piece of a format.
#[derive(Debug)]
pub(super) enum Directive<'a, T> {
    Literal(&'a [T]),
    Conversion(Conversion<Field>),
}

/// A width or a precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    None,
    Number(i32),
    /// An argument says it.
    Star,
}

/// A `%`, and what follows it. `F`: a width and a precision as they stand, or what they come to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conversion<F> {
    flags: Flags,
    pub(super) width: F,
    pub(super) precision: F,
    size: Size,
    letter: u8,
}

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zero: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    None,
    Char,
    Short,
    /// A long, of 32 bits, or a wide string.
    Long,
    Wide,
    Bits64,
    LongReal,
}

impl Field {
    pub(super) fn value(self, star: &mut impl FnMut() -> i32) -> Option<i32> {
        match self {
            Self::None => None,
            Self::Number(number) => Some(number),
            Self::Star => Some(star()),
        }
    }
}

impl<T> Directive<'_, T> {
    /// The arguments that it takes.
    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> {
        let conversion = match self {
            Self::Literal(_) => None,
            Self::Conversion(conversion) => Some(conversion),
        };
        conversion.into_iter().flat_map(|conversion| {
            let star = |field| (field == Field::Star).then_some(Kind::Int);
            [star(conversion.width), star(conversion.precision), conversion.argument()].into_iter().flatten()
        })
    }
}

impl Conversion<Field> {
    pub(super) fn with(self, width: Option<i32>, precision: Option<i32>) -> Conversion<Option<i32>> {
        let Self { mut flags, size, letter, .. } = self;
        flags.left |= width.is_some_and(|width| width < 0);
        let width = width.map(|width| width.saturating_abs());
        let precision = precision.filter(|&precision| precision >= 0);
        Conversion { flags, width, precision, size, letter }
    }
}

impl<F> Conversion<F> {
    /// The kind of the argument that is printed; `None`: it prints nothing.
    pub(super) fn argument(&self) -> Option<Kind> {
        Some(match self.letter {
            b'd' | b'i' | b'o' | b'u' | b'x' | b'X' if self.size == Size::Bits64 => Kind::Long,
            b'd' | b'i' | b'o' | b'u' | b'x' | b'X' | b'c' | b'C' => Kind::Int,
            b'e' | b'E' | b'f' | b'F' | b'g' | b'G' | b'a' | b'A' if self.size == Size::LongReal => Kind::LongReal,
            b'e' | b'E' | b'f' | b'F' | b'g' | b'G' | b'a' | b'A' => Kind::Real,
            // %n is taken, and writes nothing: it is how formats are abused
            b'p' | b's' | b'S' | b'Z' | b'n' => Kind::Pointer,
            _ => return None,
        })
    }
}

impl Conversion<Option<i32>> {
    /// Whether a string or a character is wide, in a format of that kind of characters.
    fn is_wide(&self, wide_format: bool) -> bool {
        match (self.size, self.letter) {
            (Size::Long | Size::Wide, _) => true,
            (Size::Char | Size::Short, _) => false,
            (_, b'S' | b'C') => !wide_format,
            (_, b'Z') => false,
            _ => wide_format,
        }
    }

    /// Prints a number, or a character.
    pub(super) fn integer<T: Character>(&self, out: &mut Vec<T>, value: i64) {
        if matches!(self.letter, b'c' | b'C') {
            let character =
                if self.is_wide(T::WIDE) { T::from_wide(&[value as u16]) } else { T::from_narrow(&[value as u8]) };
            return self.pad(out, &character);
        }
        let signed = matches!(self.letter, b'd' | b'i');
        let value = match (self.size, signed) {
            (Size::Bits64, _) => value,
            (Size::Char, true) => i64::from(value as i8),
            (Size::Char, false) => i64::from(value as u8),
            (Size::Short, true) => i64::from(value as i16),
            (Size::Short, false) => i64::from(value as u16),
            (_, true) => i64::from(value as i32),
            (_, false) => i64::from(value as u32),
        };
        self.by_c_library(out, b"ll", |text, size, format, width, precision| {
            // SAFETY: a buffer of that size, and a format of ours that takes these.
            unsafe { libc::snprintf(text, size, format, width, precision, value) }
        });
    }

    /// Prints a number with a fraction.
    pub(super) fn real<T: Character>(&self, out: &mut Vec<T>, value: f64) {
        self.by_c_library(out, b"", |text, size, format, width, precision| {
            // SAFETY: a buffer of that size, and a format of ours that takes these.
            unsafe { libc::snprintf(text, size, format, width, precision, value) }
        });
    }

    /// Prints a number as the C library does. `print` calls it with the format, a width and a precision.
    fn by_c_library<T: Character>(
        &self,
        out: &mut Vec<T>,
        size: &[u8],
        print: impl Fn(*mut libc::c_char, usize, *const libc::c_char, i32, i32) -> i32,
    ) {
        let Flags { left, plus, space, alternate, zero } = self.flags;
        let mut format = vec![b'%'];
        let flags = [(left, b'-'), (plus, b'+'), (space, b' '), (alternate, b'#'), (zero, b'0')];
        format.extend(flags.iter().filter(|(set, _)| *set).map(|(_, letter)| *letter));
        format.extend_from_slice(b"*.*");
        format.extend_from_slice(size);
        format.extend_from_slice(&[self.letter, 0]);
        // a negative precision is none
        let (width, precision) = (self.width.unwrap_or(0), self.precision.unwrap_or(-1));
        let mut text = [0u8; 128];
        let len = print(text.as_mut_ptr().cast(), text.len(), format.as_ptr().cast(), width, precision);
        let Ok(len) = usize::try_from(len) else { return };
        if let Some(text) = text.get(..len) {
            return out.extend(text.iter().map(|&byte| T::from_ascii(byte)));
        }
        let mut text = vec![0u8; len + 1];
        print(text.as_mut_ptr().cast(), text.len(), format.as_ptr().cast(), width, precision);
        out.extend(text[..len].iter().map(|&byte| T::from_ascii(byte)));
    }

    /// Prints a string, or an address.
    ///
    /// # Safety
    /// A string is one, of the width that the conversion says, terminated or as long as the precision.
    pub(super) unsafe fn pointer<T: Character>(&self, out: &mut Vec<T>, value: *const c_void) {
        let limit = self.precision.map_or(usize::MAX, |precision| precision as usize);
        match self.letter {
            b'p' => {
                let address = Self { letter: b'X', size: Size::Bits64, precision: Some(16), ..*self };
                address.integer(out, value as i64);
            }
            b'n' => {}
            _ if value.is_null() => {
                let null = T::from_narrow(b"(null)");
                self.pad(out, &null[..null.len().min(limit)]);
            }
            // SAFETY: as of our caller.
            b'Z' => unsafe { self.counted(out, value, limit) },
            _ if self.is_wide(T::WIDE) => {
                // SAFETY: as of our caller.
                let text = unsafe { <u16 as Character>::terminated(value.cast(), limit) };
                self.pad(out, &T::from_wide(text));
            }
            _ => {
                // SAFETY: as of our caller.
                let text = unsafe { <u8 as Character>::terminated(value.cast(), limit) };
                self.pad(out, &T::from_narrow(text));
            }
        }
    }

    /// Prints a UNICODE_STRING (`%wZ`) or an ANSI_STRING (`%Z`).
    ///
    /// # Safety
    /// It is one.
    unsafe fn counted<T: Character>(&self, out: &mut Vec<T>, value: *const c_void, limit: usize) {
        #[repr(C)]
        struct Counted {
            len: u16,
            room: u16,
            buffer: *const c_void,
        }
        // SAFETY: as of our caller.
        let &Counted { len, buffer, .. } = unsafe { &*value.cast::<Counted>() };
        let text = if buffer.is_null() || len == 0 {
            Vec::new()
        } else if self.is_wide(T::WIDE) {
            // SAFETY: as of our caller.
            T::from_wide(unsafe { std::slice::from_raw_parts(buffer.cast(), (usize::from(len) / 2).min(limit)) })
        } else {
            // SAFETY: as of our caller.
            T::from_narrow(unsafe { std::slice::from_raw_parts(buffer.cast(), usize::from(len).min(limit)) })
        };
        self.pad(out, &text);
    }

    fn pad<T: Character>(&self, out: &mut Vec<T>, text: &[T]) {
        let width = self.width.map_or(0, |width| width as usize);
        let padding = width.saturating_sub(text.len());
        let blanks = std::iter::repeat_n(T::from_ascii(b' '), padding);
        if self.flags.left {
            out.extend_from_slice(text);
            out.extend(blanks);
        } else {
            out.extend(blanks);
            out.extend_from_slice(text);
        }
    }
}

/// The pieces of a format.
pub(super) struct Parser<'a, T> {
    rest: &'a [T],
}

impl<'a, T: Character> Parser<'a, T> {
    pub(super) fn new(format: &'a [T]) -> Self {
        Self { rest: format }
    }
}

impl<'a, T: Character> Iterator for Parser<'a, T> {
    type Item = Directive<'a, T>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.rest.first()?;
        if first.ascii() == b'%'
            && let Some((conversion, len)) = conversion(self.rest)
        {
            self.rest = &self.rest[len..];
            return Some(Directive::Conversion(conversion));
        }
        // %% is one of them; and what is no conversion is text
        let doubled = self.rest.get(1).is_some_and(|next| first.ascii() == b'%' && next.ascii() == b'%');
        let skip = if doubled { 2 } else { 1 };
        let more = self.rest[skip..].iter().position(|next| next.ascii() == b'%');
        let end = more.map_or(self.rest.len(), |more| skip + more);
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(Directive::Literal(&text[skip - 1..]))
    }
}

/// The conversion at the beginning of `text`, and how many characters it takes.
fn conversion<T: Character>(text: &[T]) -> Option<(Conversion<Field>, usize)> {
    let mut at = 1;
    let peek = |at: usize| text.get(at).map_or(0, |next| next.ascii());
    let mut flags = Flags::default();
    loop {
        match peek(at) {
            b'-' => flags.left = true,
            b'+' => flags.plus = true,
            b' ' => flags.space = true,
            b'#' => flags.alternate = true,
            b'0' => flags.zero = true,
            _ => break,
        }
        at += 1;
    }
    let field = |at: &mut usize| {
        if peek(*at) == b'*' {
            *at += 1;
            return Field::Star;
        }
        let begin = *at;
        let mut number = 0i32;
        while peek(*at).is_ascii_digit() {
            number = number.saturating_mul(10).saturating_add(i32::from(peek(*at) - b'0'));
            *at += 1;
        }
        if *at == begin { Field::None } else { Field::Number(number) }
    };
    let width = field(&mut at);
    let mut precision = Field::None;
    if peek(at) == b'.' {
        at += 1;
        precision = match field(&mut at) {
            Field::None => Field::Number(0),
            precision => precision,
        };
    }
    let (size, len) = size([peek(at), peek(at + 1), peek(at + 2)]);
    at += len;
    let letter = peek(at);
    let conversion = Conversion { flags, width, precision, size, letter };
    conversion.argument().map(|_| (conversion, at + 1))
}

/// The size at the beginning of what follows, and how many characters it takes.
fn size(next: [u8; 3]) -> (Size, usize) {
    match next {
        [b'h', b'h', _] => (Size::Char, 2),
        [b'h', ..] => (Size::Short, 1),
        [b'l', b'l', _] => (Size::Bits64, 2),
        [b'l', ..] => (Size::Long, 1),
        [b'w', ..] => (Size::Wide, 1),
        [b'I', b'6', b'4'] => (Size::Bits64, 3),
        [b'I', b'3', b'2'] => (Size::None, 3),
        [b'I' | b'j' | b'z' | b't', ..] => (Size::Bits64, 1),
        [b'L', ..] => (Size::LongReal, 1),
        _ => (Size::None, 0),
    }
}
