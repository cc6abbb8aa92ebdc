//! printf, as Windows' C library has it: `%ws`, `%S`, `%I64x`, `%Id` and `%p` are its own, and a long has 32 bits.
//!
//! A function with `...` cannot be written in stable Rust. `c/print.c` has those; it asks here for the kinds of a format's
//! arguments, takes them from its list, and hands them over.

mod format;

use std::ffi::c_void;

use abi::Error;

use self::format::{Directive, Kind, Parser};
use super::character::Character;

/// One argument: the member of its kind is there.
#[derive(Clone, Copy)]
#[repr(C)]
union Argument {
    integer: i64,
    real: f64,
    pointer: *const c_void,
}

/// How many arguments a format takes at most. Beyond them nothing is printed.
const MOST_ARGUMENTS: usize = 64;

/// The characters of a format.
///
/// # Safety
/// `format` is a terminated string of this kind of characters.
unsafe fn characters<'a, T: Character>(format: *const c_void) -> &'a [T] {
    // SAFETY: as of our caller.
    unsafe { T::terminated(format.cast(), usize::MAX) }
}

/// The kinds of a format's arguments, in order; how many, or -1 for more than there is room for.
#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_print_arguments(format: *const c_void, wide: i32, kinds: *mut u8) -> i32 {
    // SAFETY: as of our caller: room for `MOST_ARGUMENTS`.
    let kinds = unsafe { std::slice::from_raw_parts_mut(kinds, MOST_ARGUMENTS) };
    let counted = match wide {
        // SAFETY: as of our caller.
        0 => count(unsafe { characters::<u8>(format) }, kinds),
        // SAFETY: as of our caller.
        _ => count(unsafe { characters::<u16>(format) }, kinds),
    };
    counted.map_or(-1, |counted| counted as i32)
}

fn count<T: Character>(format: &[T], kinds: &mut [u8]) -> Option<usize> {
    let mut counted = 0;
    for directive in Parser::new(format) {
        for kind in directive.kinds() {
            *kinds.get_mut(counted)? = kind as u8;
            counted += 1;
        }
    }
    Some(counted)
}

/// Formats.
///
/// # Safety
/// The arguments are those of the format, each of its kind; strings among them are as the format says.
unsafe fn render<T: Character>(format: &[T], arguments: &[Argument]) -> Vec<T> {
    let mut out = Vec::with_capacity(format.len() + 64);
    let mut arguments = arguments.iter().copied();
    let mut next = || arguments.next().unwrap_or(Argument { integer: 0 });
    for directive in Parser::new(format) {
        let conversion = match directive {
            Directive::Literal(text) => {
                out.extend_from_slice(text);
                continue;
            }
            Directive::Conversion(conversion) => conversion,
        };
        // SAFETY: a star takes an integer.
        let mut star = || unsafe { next().integer as i32 };
        let (width, precision) = (conversion.width.value(&mut star), conversion.precision.value(&mut star));
        let Some(kind) = conversion.argument() else { continue };
        let argument = next();
        let conversion = conversion.with(width, precision);
        match kind {
            // SAFETY: the argument is of that kind, as of our caller.
            Kind::Int | Kind::Long => conversion.integer(&mut out, unsafe { argument.integer }),
            // SAFETY: as above.
            Kind::Real | Kind::LongReal => conversion.real(&mut out, unsafe { argument.real }),
            // SAFETY: as above.
            Kind::Pointer => unsafe { conversion.pointer(&mut out, argument.pointer) },
        }
    }
    out
}

/// # Safety
/// As [`render`], with the arguments in an array.
unsafe fn render_from<T: Character>(format: *const c_void, arguments: *const Argument, count: usize) -> Vec<T> {
    // SAFETY: as of our caller.
    let format = unsafe { characters::<T>(format) };
    // SAFETY: as of our caller.
    let arguments = unsafe { std::slice::from_raw_parts(arguments, count) };
    // SAFETY: as of our caller.
    unsafe { render(format, arguments) }
}

/// How many arguments a format takes.
pub(super) fn arguments<T: Character>(format: &[T]) -> usize {
    Parser::new(format).map(|directive| directive.kinds().count()).sum()
}

/// Formats arguments that are words: integers, and the addresses of strings. Those that are too many are passed over.
///
/// # Safety
/// They are what the format says.
///
/// # Errors
/// There are too few, or the format takes others.
pub(super) unsafe fn words<T: Character>(format: &[T], words: &[usize]) -> Result<Vec<T>, Error> {
    let mut kinds = [0; MOST_ARGUMENTS];
    let count = count(format, &mut kinds).ok_or(Error::INVALID_PARAMETER)?;
    let real = |kind: &u8| [Kind::Real as u8, Kind::LongReal as u8].contains(kind);
    if count > words.len() || kinds[..count].iter().any(real) {
        return Err(Error::INVALID_PARAMETER);
    }
    let arguments: Vec<Argument> = words.iter().map(|&word| Argument { integer: word as i64 }).collect();
    // SAFETY: as of our caller.
    Ok(unsafe { render(format, &arguments) })
}

/// Prints to a stream, in UTF-8; how many characters, or -1.
#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_print_to_file(
    format: *const c_void,
    wide: i32,
    arguments: *const Argument,
    count: usize,
    file: *mut libc::FILE,
) -> i32 {
    let printed = abi::fence(|| {
        let (bytes, characters) = if wide == 0 {
            // SAFETY: as of our caller.
            let bytes = unsafe { render_from::<u8>(format, arguments, count) };
            let len = bytes.len();
            (bytes, len)
        } else {
            // SAFETY: as of our caller.
            let units = unsafe { render_from::<u16>(format, arguments, count) };
            (String::from_utf16_lossy(&units).into_bytes(), units.len())
        };
        // SAFETY: the program's stream, and bytes of ours.
        let written = unsafe { libc::fwrite(bytes.as_ptr().cast(), 1, bytes.len(), file) };
        Ok(if written == bytes.len() { characters as i32 } else { -1 })
    });
    printed.unwrap_or(-1)
}

/// What to do with text that does not fit into a buffer.
const CUT: i32 = 0;
const CUT_WITHOUT_END: i32 = 1;
const EMPTY: i32 = 2;
const CUT_AND_FAIL: i32 = 3;

/// Prints into a buffer for `size` characters. `overflow`: what to do if the text and its terminator do not fit.
///
/// 0: cut it, and return how long it is (snprintf). 1: cut it without a terminator, and return -1 (_snprintf). 2: leave it
/// empty, and return -1 (sprintf_s). 3: cut it, and return -1 (swprintf, StringCchPrintf).
#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_print_to_buffer(
    format: *const c_void,
    wide: i32,
    arguments: *const Argument,
    count: usize,
    buffer: *mut c_void,
    size: usize,
    overflow: i32,
) -> i32 {
    let printed = abi::fence(|| {
        Ok(match wide {
            // SAFETY: as of our caller.
            0 => unsafe { put(&render_from::<u8>(format, arguments, count), buffer.cast(), size, overflow) },
            // SAFETY: as of our caller.
            _ => unsafe { put(&render_from::<u16>(format, arguments, count), buffer.cast(), size, overflow) },
        })
    });
    printed.unwrap_or(-1)
}

/// # Safety
/// The buffer has room for `size`.
unsafe fn put<T: Character>(text: &[T], buffer: *mut T, size: usize, overflow: i32) -> i32 {
    let len = text.len();
    let fits = match overflow {
        _ if len < size => len,
        CUT_WITHOUT_END => len.min(size),
        EMPTY => 0,
        _ => size.saturating_sub(1),
    };
    if size != 0 {
        // SAFETY: it fits; our own text does not overlap the program's buffer.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), buffer, fits) };
        if fits < size {
            // SAFETY: as above.
            unsafe { buffer.add(fits).write(T::from_ascii(0)) };
        }
    }
    let whole = len < size || overflow == CUT || overflow == CUT_WITHOUT_END && len == size;
    debug_assert!((CUT..=CUT_AND_FAIL).contains(&overflow));
    if whole { len as i32 } else { -1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print<T: Character>(format: &[T], arguments: &[Argument]) -> String {
        // SAFETY: the tests give arguments of the kinds that their formats name.
        T::text(&unsafe { render(format, arguments) })
    }

    fn number(integer: i64) -> Argument {
        Argument { integer }
    }

    fn pointer<T>(to: &[T]) -> Argument {
        Argument { pointer: to.as_ptr().cast() }
    }

    fn wide(text: &str) -> Vec<u16> {
        text.encode_utf16().chain([0]).collect()
    }

    #[test]
    fn a_long_has_32_bits_and_i64_64() {
        let all = number(-1);
        assert_eq!(print(b"%ld %lu %lx", &[all; 3]), "-1 4294967295 ffffffff");
        assert_eq!(
            print(b"%I64d %I64x %Id %Ix %Iu", &[all; 5]),
            "-1 ffffffffffffffff -1 ffffffffffffffff 18446744073709551615"
        );
        assert_eq!(print(b"%lld %llX %zu %I32u", &[all; 4]), "-1 FFFFFFFFFFFFFFFF 18446744073709551615 4294967295");
        assert_eq!(
            print(b"%hd %hhu %#x %08X", &[number(0x1_FFFF), number(0x1FF), number(255), number(0xAB)]),
            "-1 255 0xff 000000AB"
        );
    }

    #[test]
    fn strings_are_of_the_width_that_is_said() {
        let (narrow, broad) = (b"n\xC3\xA4\0", wide("wä"));
        let both = [pointer(narrow), pointer(&broad)];
        assert_eq!(print(b"%s %ws|", &both), "nä wä|");
        assert_eq!(print(b"%hs %S|", &both), "nä wä|");
        assert_eq!(print(b"%hs %ls|", &both), "nä wä|");
        let format = wide("%hs %s|");
        assert_eq!(print(&format[..7], &both), "nä wä|");
        let format = wide("%S %ls|");
        assert_eq!(print(&format[..7], &both), "nä wä|");
        assert_eq!(print(b"%s %ws", &[Argument { integer: 0 }; 2]), "(null) (null)");
    }

    #[test]
    fn width_and_precision_count_characters() {
        let text = wide("abcdef");
        assert_eq!(
            print(b"[%8ws][%-8ws][%.2ws]", &[pointer(&text), pointer(&text), pointer(&text)]),
            "[  abcdef][abcdef  ][ab]"
        );
        let arguments = [number(6), number(2), pointer(b"abc\0"), number(-4), number(7)];
        assert_eq!(print(b"[%*.*s][%*d]", &arguments), "[    ab][7   ]");
        // a precision says how far a string is read
        assert_eq!(print(b"%.3s", &[pointer(b"abcdef")]), "abc");
    }

    #[test]
    fn pointers_are_sixteen_digits() {
        let at = Argument { pointer: 0xAB as *const c_void };
        assert_eq!(print(b"%p|%08p|0x%p", &[at; 3]), "00000000000000AB|00000000000000AB|0x00000000000000AB");
    }

    #[test]
    fn unicode_strings_and_characters_are_printed() {
        let text = wide("abc");
        let counted: [u64; 2] = [4 | 8 << 16, text.as_ptr() as u64];
        assert_eq!(print(b"%wZ|", &[pointer(&counted)]), "ab|");
        assert_eq!(print(b"%c%C%lc%%", &[number(97), number(0xE4), number(0x20AC)]), "aä€%");
        let format = wide("%c%hc%C");
        assert_eq!(print(&format[..7], &[number(0xE4), number(98), number(99)]), "äbc");
    }

    #[test]
    fn reals_are_those_of_the_c_library() {
        let real = |real| Argument { real };
        assert_eq!(
            print(b"%.2f %e %g %5.1lf|", &[real(1.005), real(0.5), real(1e9), real(2.25)]),
            "1.00 5.000000e-01 1e+09   2.2|"
        );
    }

    #[test]
    fn what_is_no_conversion_is_text() {
        assert_eq!(print(b"100%", &[]), "100%");
        assert_eq!(print(b"%y %5", &[]), "%y %5");
        let mut kinds = [0; MOST_ARGUMENTS];
        assert_eq!(count(b"%y%d%*.*f%%%n", &mut kinds), Some(5));
        assert_eq!(count("%d".repeat(65).as_bytes(), &mut kinds), None);
    }

    #[test]
    fn text_that_does_not_fit_is_cut_as_the_function_says() {
        let mut buffer = [9u8; 4];
        let mut put = |text: &[u8], overflow| {
            buffer = [9; 4];
            // SAFETY: a buffer of four.
            (unsafe { put(text, buffer.as_mut_ptr(), 4, overflow) }, buffer)
        };
        assert_eq!(put(b"abc", CUT), (3, *b"abc\0"));
        assert_eq!(put(b"abcdef", CUT), (6, *b"abc\0"));
        assert_eq!(put(b"abcdef", CUT_WITHOUT_END), (-1, *b"abcd"));
        assert_eq!(put(b"abcd", CUT_WITHOUT_END), (4, *b"abcd"));
        assert_eq!(put(b"abcd", EMPTY).0, -1);
        assert_eq!(put(b"abcd", EMPTY).1[0], 0);
        assert_eq!(put(b"abcd", CUT_AND_FAIL), (-1, *b"abc\0"));
        // SAFETY: no buffer, of no size.
        assert_eq!(unsafe { super::put(b"abc", std::ptr::null_mut(), 0, CUT) }, 3);
    }
}
