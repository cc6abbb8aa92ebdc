//! FormatMessage: what errors mean.

use abi::Error;
use proto::status::{HResult, Status};

use super::{narrow, terminated};
use crate::heap;
use crate::last_error::or;

const ALLOCATE_BUFFER: u32 = 0x100;
const IGNORE_INSERTS: u32 = 0x200;
const FROM_STRING: u32 = 0x400;
const FROM_HMODULE: u32 = 0x800;
const FROM_SYSTEM: u32 = 0x1000;
const ARGUMENT_ARRAY: u32 = 0x2000;
/// A width of this: no line breaks but those that the text says.
const MAX_WIDTH_MASK: u32 = 0xFF;
/// The longest message.
const LONGEST: usize = 0x8000;

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

/// The text of a call, before its arguments are put in.
fn text(flags: u32, source: impl FnOnce() -> String, code: u32) -> Result<String, Error> {
    if flags & FROM_STRING != 0 {
        return Ok(source());
    }
    let module = if flags & FROM_HMODULE != 0 { meaning(code, false) } else { None };
    let system = || if flags & FROM_SYSTEM != 0 { meaning(code, true) } else { None };
    // ERROR_MR_MID_NOT_FOUND
    let mut text = module.or_else(system).ok_or(Error(317))?;
    text.push_str(if flags & MAX_WIDTH_MASK == MAX_WIDTH_MASK { " " } else { "\r\n" });
    Ok(text)
}

/// Puts the arguments in where the text says %1 to %99, and what stands for other characters.
fn insert(text: &str, argument: impl Fn(usize) -> Result<String, Error>) -> Result<String, Error> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        match rest.next() {
            Some('0') => break,
            Some(digit @ '1'..='9') => {
                let mut number = digit as usize - '0' as usize;
                if let Some(next) = rest.peek().and_then(|next| next.to_digit(10)) {
                    number = number * 10 + next as usize;
                    rest.next();
                }
                // a format in !…! would say how: strings are the rule
                if rest.peek() == Some(&'!') {
                    return Err(Error::NOT_SUPPORTED);
                }
                out.push_str(&argument(number)?);
            }
            Some('n') => out.push_str("\r\n"),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some(other) => out.push(other),
            None => out.push('%'),
        }
    }
    Ok(out)
}

/// The text that a call wants.
///
/// # Safety
/// With ARGUMENT_ARRAY, `arguments` are as many strings as the text names, which `string` reads.
unsafe fn format(
    flags: u32,
    source: impl FnOnce() -> String,
    code: u32,
    arguments: *const usize,
    string: impl Fn(usize) -> String,
) -> Result<String, Error> {
    let text = text(flags, source, code)?;
    if flags & IGNORE_INSERTS != 0 || !text.contains('%') {
        return Ok(text);
    }
    insert(&text, |number| {
        if flags & ARGUMENT_ARRAY == 0 || arguments.is_null() {
            // a list of arguments of C's: it cannot be read here
            return Err(Error::NOT_SUPPORTED);
        }
        // SAFETY: as of our caller.
        Ok(string(unsafe { *arguments.add(number - 1) }))
    })
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

#[unsafe(no_mangle)]
unsafe extern "C" fn FormatMessageW(
    flags: u32,
    source: *const u16,
    code: u32,
    _language: u32,
    buffer: *mut u16,
    room: u32,
    arguments: *const usize,
) -> u32 {
    or(0, || {
        // SAFETY: strings of our caller's.
        let read = |at: *const u16| String::from_utf16_lossy(unsafe { terminated(at) });
        // SAFETY: as of our caller.
        let text = unsafe { format(flags, || read(source), code, arguments, |at| read(at as *const u16)) }?;
        // SAFETY: as of our caller.
        unsafe { give(flags, text.encode_utf16().collect(), buffer, room) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FormatMessageA(
    flags: u32,
    source: *const u8,
    code: u32,
    _language: u32,
    buffer: *mut u8,
    room: u32,
    arguments: *const usize,
) -> u32 {
    or(0, || {
        // SAFETY: strings of our caller's.
        let read = |at: *const u8| String::from_utf8_lossy(unsafe { narrow(at, usize::MAX) }).into_owned();
        // SAFETY: as of our caller.
        let text = unsafe { format(flags, || read(source), code, arguments, |at| read(at as *const u8)) }?;
        // SAFETY: as of our caller.
        unsafe { give(flags, text.into_bytes(), buffer, room) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_and_of_fltlib_have_a_meaning() {
        for code in [5, 0x8007_0005] {
            assert_eq!(text(FROM_SYSTEM, String::new, code).unwrap(), "Access is denied.\r\n");
        }
        assert_eq!(text(FROM_SYSTEM, String::new, 0x801F_0020), Err(Error(317)));
        let waiter = text(FROM_HMODULE, String::new, 0x801F_0020).unwrap();
        assert!(waiter.ends_with(".\r\n") && waiter.starts_with(char::is_uppercase), "{waiter}");
        assert_eq!(text(FROM_SYSTEM | FROM_HMODULE, String::new, 6).unwrap().lines().count(), 1);
        assert!(text(FROM_SYSTEM | MAX_WIDTH_MASK, String::new, 6).unwrap().ends_with(". "));
        assert!(MEANINGS.is_sorted_by_key(|(code, _)| *code));
    }

    #[test]
    fn arguments_are_put_in() {
        let argument = |number: usize| Ok(format!("<{number}>"));
        assert_eq!(insert("%1 %12%n%% %0 gone", argument).unwrap(), "<1> <12>\r\n% ");
        assert_eq!(insert("%1!d!", argument), Err(Error::NOT_SUPPORTED));
        assert_eq!(insert("100%", argument).unwrap(), "100%");
    }
}
