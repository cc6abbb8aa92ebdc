//! FormatMessage: what errors mean.

use std::ffi::c_void;

use abi::Error;
use proto::status::{HResult, Status};

use super::character::Character;
use super::print;
use super::{narrow, terminated};
use crate::heap;
use crate::last_error::or;

const ALLOCATE_BUFFER: u32 = 0x100;
const IGNORE_INSERTS: u32 = 0x200;
const FROM_STRING: u32 = 0x400;
const FROM_HMODULE: u32 = 0x800;
const FROM_SYSTEM: u32 = 0x1000;
/// A width of this: no line breaks but those that the text says.
const MAX_WIDTH_MASK: u32 = 0xFF;
/// The longest message.
const LONGEST: usize = 0x8000;
/// The most arguments that a text can name, with two more of a format's stars. `c/message.c` has this number.
const MOST_ARGUMENTS: usize = 101;

/// What the errors of Win32 mean that programs get from us.
const MEANINGS: &[(u32, &str)] = &[
    (0, "The operation succeeded."),
    (1, "The other end does not know this function."),
    (2, "It was not found."),
    (3, "The path was not found."),
    (4, "There are too many open files."),
    (5, "Access is denied."),
    (6, "The handle is invalid, or the port is disconnected."),
    (8, "There is not enough memory."),
    (11, "The format is wrong."),
    (13, "The data is invalid."),
    (14, "There is not enough memory."),
    (18, "There are no more files."),
    (31, "It does not work, for a reason that was not given."),
    (32, "Another process has the file open."),
    (50, "The request is not supported."),
    (87, "The parameter is incorrect."),
    (109, "The pipe is broken."),
    (112, "There is not enough space on the volume."),
    (121, "The time is over."),
    (122, "The buffer is too small."),
    (123, "The name is not valid."),
    (126, "The module was not found."),
    (127, "The procedure was not found."),
    (161, "The path is not valid."),
    (170, "The resource is in use."),
    (183, "It exists already."),
    (193, "It is not a program."),
    (206, "The name is too long."),
    (225, "The file is infected."),
    (231, "The pipe is busy."),
    (233, "There is no process at the other end of the pipe."),
    (234, "There is more data."),
    (258, "The wait timed out."),
    (259, "There is nothing more."),
    (298, "The semaphore would go beyond its limit."),
    (317, "There is no message for this error."),
    (487, "The address is not valid."),
    (534, "The number is too large."),
    (577, "The signature of the file is not valid."),
    (735, "What was waited for was closed."),
    (995, "The operation was cancelled."),
    (996, "The operation has not ended yet."),
    (997, "The operation is under way."),
    (998, "The memory address is not valid."),
    (1004, "The flags are not valid."),
    (1006, "The file has changed, or has nothing in it."),
    (1056, "The filter runs already."),
    (1062, "The filter does not run."),
    (1113, "There is no such character."),
    (1117, "The device failed."),
    (1132, "The offset is not a multiple of the granularity."),
    (1168, "It was not found."),
    (1225, "The connection was refused."),
    (1238, "The port has all the connections that it may have."),
    (1314, "A privilege is missing."),
    (1359, "There was an internal error."),
    (1450, "The system lacks resources."),
    (1455, "There is not enough memory."),
    (1460, "The time is over."),
    (1816, "A quota is exceeded."),
    (2001, "The driver is not valid."),
];

/// What an error means; of the system, or of FltLib.
fn meaning(code: u32, of_system: bool) -> Option<String> {
    let win32 = HResult(code).win32().unwrap_or(code);
    let known = MEANINGS.iter().find(|(error, _)| *error == win32).map(|(_, meaning)| (*meaning).to_owned());
    if of_system {
        return known;
    }
    let status =
        HResult(code).to_status().or_else(|| Some(Status(code)).filter(|status| status.message().is_some()))?;
    let message = status.message()?;
    let (first, rest) = message.split_at(1);
    Some(format!("{}{rest}.", first.to_uppercase()))
}

/// The text of a code, from whichever place is asked for.
fn text<T: Character>(flags: u32, code: u32) -> Result<Vec<T>, Error> {
    let module = if flags & FROM_HMODULE != 0 { meaning(code, false) } else { None };
    let system = || if flags & FROM_SYSTEM != 0 { meaning(code, true) } else { None };
    // ERROR_MR_MID_NOT_FOUND
    let mut text = module.or_else(system).ok_or(Error(317))?;
    text.push_str(if flags & MAX_WIDTH_MASK == MAX_WIDTH_MASK { " " } else { "\r\n" });
    Ok(T::from_narrow(text.as_bytes()))
}

/// A piece of a text.
#[derive(Debug, PartialEq, Eq)]
enum Piece<T> {
    Character(T),
    Line,
    /// %1 to %99, and how it is printed.
    Insert {
        first: usize,
        format: Vec<T>,
    },
}

/// The pieces of a text.
fn pieces<T: Character>(text: &[T]) -> Vec<Piece<T>> {
    let mut pieces = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        if first.ascii() != b'%' {
            pieces.push(Piece::Character(*first));
            continue;
        }
        let [what, after @ ..] = rest else {
            pieces.push(Piece::Character(*first));
            break;
        };
        match what.ascii() {
            b'0' => break,
            b'1'..=b'9' => {
                let insert;
                (insert, rest) = self::insert(rest);
                pieces.push(insert);
                continue;
            }
            b'n' => pieces.push(Piece::Line),
            b'r' => pieces.push(Piece::Character(T::from_ascii(b'\r'))),
            b't' => pieces.push(Piece::Character(T::from_ascii(b'\t'))),
            _ => pieces.push(Piece::Character(*what)),
        }
        rest = after;
    }
    pieces
}

/// The insert whose number is at the beginning of `text`, and what follows it.
fn insert<T: Character>(text: &[T]) -> (Piece<T>, &[T]) {
    let digits = text.iter().take(2).take_while(|digit| digit.ascii().is_ascii_digit()).count();
    let (number, rest) = text.split_at(digits);
    let first = number.iter().fold(0, |number, digit| number * 10 + usize::from(digit.ascii() - b'0'));
    let mut format = vec![T::from_ascii(b'%')];
    let end = |rest: &[T]| rest.iter().position(|end| end.ascii() == b'!');
    let rest = match rest {
        [mark, said @ ..] if mark.ascii() == b'!' && end(said).is_some() => {
            let (said, rest) = said.split_at(end(said).unwrap_or_default());
            format.extend_from_slice(said);
            &rest[1..]
        }
        _ => {
            format.push(T::from_ascii(b's'));
            rest
        }
    };
    (Piece::Insert { first, format }, rest)
}

/// How many arguments a text names.
fn arguments<T: Character>(pieces: &[Piece<T>]) -> usize {
    let last = |piece: &Piece<T>| match piece {
        Piece::Insert { first, format } => first - 1 + print::arguments(format),
        _ => 0,
    };
    pieces.iter().map(last).max().unwrap_or(0)
}

/// Puts arguments in.
///
/// # Safety
/// They are what the text says, each a word: strings, or integers.
///
/// # Errors
/// There are fewer than the text names.
unsafe fn inserted<T: Character>(pieces: Vec<Piece<T>>, arguments: &[usize]) -> Result<Vec<T>, Error> {
    let mut out = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match piece {
            Piece::Character(character) => out.push(character),
            Piece::Line => out.extend([b'\r', b'\n'].map(T::from_ascii)),
            Piece::Insert { first, format } => {
                let arguments = arguments.get(first - 1..).ok_or(Error::INVALID_PARAMETER)?;
                // SAFETY: as of our caller.
                out.extend(unsafe { print::words(&format, arguments) }?);
            }
        }
    }
    Ok(out)
}

/// How many arguments the text of a call wants: `c/message.c` takes them from the call's list.
#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_message_arguments(flags: u32, source: *const c_void, wide: i32) -> usize {
    // the texts of the system have none
    if flags & FROM_STRING == 0 || flags & IGNORE_INSERTS != 0 || source.is_null() {
        return 0;
    }
    let wanted = match wide {
        // SAFETY: as of our caller.
        0 => arguments(&pieces(unsafe { narrow(source.cast(), usize::MAX) })),
        // SAFETY: as of our caller.
        _ => arguments(&pieces(unsafe { terminated(source.cast()) })),
    };
    wanted.min(MOST_ARGUMENTS)
}

/// The text that a call wants.
///
/// # Safety
/// `source` is the text with FROM_STRING; `arguments` are `count` words that are what it says.
unsafe fn format<T: Character>(
    flags: u32,
    source: impl FnOnce() -> Vec<T>,
    code: u32,
    arguments: *const usize,
    count: usize,
) -> Result<Vec<T>, Error> {
    if flags & FROM_STRING == 0 {
        return text(flags, code);
    }
    let text = source();
    if flags & IGNORE_INSERTS != 0 {
        return Ok(text);
    }
    let arguments = if arguments.is_null() {
        &[]
    } else {
        // SAFETY: as of our caller.
        unsafe { std::slice::from_raw_parts(arguments, count) }
    };
    // SAFETY: as of our caller.
    unsafe { inserted(pieces(&text), arguments) }
}

/// Puts the text where the call wants it; how long it is.
///
/// # Safety
/// `buffer` is the program's: room for `room` units, or, with ALLOCATE_BUFFER, for an address.
unsafe fn give<T: Copy + Default>(flags: u32, units: Vec<T>, buffer: *mut T, room: u32) -> Result<u32, Error> {
    let len = units.len();
    if buffer.is_null() || len > LONGEST {
        return Err(Error::INVALID_PARAMETER);
    }
    let to = if flags & ALLOCATE_BUFFER != 0 {
        let allocated = heap::allocate((len + 1).max(room as usize) * size_of::<T>())?;
        // SAFETY: as of our caller.
        unsafe { buffer.cast::<*mut T>().write_unaligned(allocated.cast()) };
        allocated.cast()
    } else if len < room as usize {
        buffer
    } else {
        return Err(Error::INSUFFICIENT_BUFFER);
    };
    // SAFETY: there is room for them, and for the terminator.
    unsafe { std::ptr::copy_nonoverlapping(units.as_ptr(), to, len) };
    // SAFETY: as above.
    unsafe { to.add(len).write(T::default()) };
    Ok(len as u32)
}

/// FormatMessageW, with the arguments in an array.
#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_message_wide(
    flags: u32,
    source: *const u16,
    code: u32,
    buffer: *mut u16,
    room: u32,
    arguments: *const usize,
    count: usize,
) -> u32 {
    or(0, || {
        // SAFETY: a string of our caller's.
        let source = || unsafe { terminated(source) }.to_vec();
        // SAFETY: as of our caller.
        let text = unsafe { format(flags, source, code, arguments, count) }?;
        // SAFETY: as of our caller.
        unsafe { give(flags, text, buffer, room) }
    })
}

/// FormatMessageA, with the arguments in an array.
#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_message_narrow(
    flags: u32,
    source: *const u8,
    code: u32,
    buffer: *mut u8,
    room: u32,
    arguments: *const usize,
    count: usize,
) -> u32 {
    or(0, || {
        // SAFETY: a string of our caller's.
        let source = || unsafe { narrow(source, usize::MAX) }.to_vec();
        // SAFETY: as of our caller.
        let text = unsafe { format(flags, source, code, arguments, count) }?;
        // SAFETY: as of our caller.
        unsafe { give(flags, text, buffer, room) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_and_of_fltlib_have_a_meaning() {
        let text = |flags, code| text(flags, code).map(|text: Vec<u8>| String::from_utf8(text).unwrap());
        for code in [5, 0x8007_0005] {
            assert_eq!(text(FROM_SYSTEM, code).unwrap(), "Access is denied.\r\n");
        }
        assert_eq!(text(FROM_SYSTEM, 0x801F_0020), Err(Error(317)));
        let waiter = text(FROM_HMODULE, 0x801F_0020).unwrap();
        assert!(waiter.ends_with(".\r\n") && waiter.starts_with(char::is_uppercase), "{waiter}");
        assert_eq!(text(FROM_SYSTEM | FROM_HMODULE, 6).unwrap().lines().count(), 1);
        assert!(text(FROM_SYSTEM | MAX_WIDTH_MASK, 6).unwrap().ends_with(". "));
        assert!(MEANINGS.is_sorted_by_key(|(code, _)| *code));
    }

    #[test]
    fn arguments_are_put_in() {
        let strings = [b"one\0", b"two\0"].map(|text| text.as_ptr() as usize);
        // SAFETY: the texts say what the arguments are.
        let insert = |text: &str, arguments: &[usize]| unsafe {
            inserted(pieces(text.as_bytes()), arguments).map(|out| String::from_utf8(out).unwrap())
        };
        assert_eq!(insert("%2 %1%n%% %0 gone", &strings).unwrap(), "two one\r\n% ");
        assert_eq!(insert("<%1!5s!> %2!d! %3!*.*x!", &[strings[0], 7, 6, 4, 0xAB]).unwrap(), "<  one> 7   00ab");
        assert_eq!(insert("100%", &[]).unwrap(), "100%");
        assert_eq!(insert("%1! %t.", &strings).unwrap(), "one! \t.");
        assert_eq!(insert("%3", &strings), Err(Error::INVALID_PARAMETER));
        assert_eq!(arguments(&pieces(b"%99!*.*d! %2")), 101);
    }
}
