//! ntstrsafe: text in buffers of a known size, always ended, and said when it was cut.

use crate::edge::{Arguments, Ptr, member, variadic};
use crate::kernel::format::{self, Character};
use crate::nt::status::{self, Status};
use crate::nt::{UnicodeString, Unit};

/// The most characters that a buffer may have.
const MOST: usize = 2_147_483_647;

/// Puts `text` after the `start` characters that are there.
fn put<C: Character>(to: Ptr<C>, start: usize, room: usize, text: &[C]) -> Status {
    if format::put(to.add(start), room - start, text) { status::SUCCESS } else { status::BUFFER_OVERFLOW }
}

fn room_is_valid(room: usize) -> bool {
    (1..=MOST).contains(&room)
}

fn copy<C: Character>(to: Ptr<C>, room: usize, from: Ptr<C>, most: usize) -> Status {
    if !room_is_valid(room) || most > MOST {
        return status::INVALID_PARAMETER;
    }
    put(to, 0, room, &from.read_many(from.length(most)))
}

fn append<C: Character>(to: Ptr<C>, room: usize, from: Ptr<C>, most: usize) -> Status {
    if !room_is_valid(room) || most > MOST {
        return status::INVALID_PARAMETER;
    }
    let start = to.length(room);
    if start == room {
        return status::INVALID_PARAMETER;
    }
    put(to, start, room, &from.read_many(from.length(most)))
}

fn length<C: Character>(text: Ptr<C>, most: usize, count: Ptr<usize>, unit: usize) -> Status {
    let found =
        if text.is_null() || most > MOST { None } else { Some(text.length(most)).filter(|&found| found < most) };
    count.write_some(found.unwrap_or(0) * unit);
    if found.is_some() { status::SUCCESS } else { status::INVALID_PARAMETER }
}

fn print<C: Character>(to: Ptr<C>, room: usize, text: Ptr<C>, mut arguments: Arguments) -> Status {
    if !room_is_valid(room) {
        return status::INVALID_PARAMETER;
    }
    put(to, 0, room, &format::format(&text.until_zero(), &mut arguments))
}

/// `…PrintfEx`: also where the text ends, and what room is left there.
#[derive(Clone, Copy)]
struct Rest<C> {
    end: Ptr<Ptr<C>>,
    left: Ptr<usize>,
}

fn print_ex<C: Character>(
    to: Ptr<C>,
    room: usize,
    rest: Rest<C>,
    text: Ptr<C>,
    arguments: Arguments,
    unit: usize,
) -> Status {
    let status = print(to, room, text, arguments);
    if status != status::INVALID_PARAMETER {
        let used = to.length(room);
        rest.end.write_some(to.add(used));
        rest.left.write_some((room - used) * unit);
    }
    status
}

/// The functions of one size of characters, `Cb` with sizes in bytes and `Cch` with sizes in characters.
macro_rules! family {
    ($character:ty, $unit:expr, $copy:ident $copy_n:ident $cat:ident $cat_n:ident $length:ident $vprintf:ident $printf:ident $printf_ex:ident) => {
        #[unsafe(no_mangle)]
        pub extern "C" fn $copy(to: Ptr<$character>, room: usize, from: Ptr<$character>) -> Status {
            copy(to, room / $unit, from, MOST)
        }

        #[unsafe(no_mangle)]
        pub extern "C" fn $copy_n(to: Ptr<$character>, room: usize, from: Ptr<$character>, most: usize) -> Status {
            copy(to, room / $unit, from, most / $unit)
        }

        #[unsafe(no_mangle)]
        pub extern "C" fn $cat(to: Ptr<$character>, room: usize, from: Ptr<$character>) -> Status {
            append(to, room / $unit, from, MOST)
        }

        #[unsafe(no_mangle)]
        pub extern "C" fn $cat_n(to: Ptr<$character>, room: usize, from: Ptr<$character>, most: usize) -> Status {
            append(to, room / $unit, from, most / $unit)
        }

        #[unsafe(no_mangle)]
        pub extern "C" fn $length(text: Ptr<$character>, most: usize, count: Ptr<usize>) -> Status {
            length(text, most / $unit, count, $unit)
        }

        #[unsafe(no_mangle)]
        pub extern "C" fn $vprintf(
            to: Ptr<$character>,
            room: usize,
            text: Ptr<$character>,
            arguments: Arguments,
        ) -> Status {
            print(to, room / $unit, text, arguments)
        }

        const _: () = {
            extern "C" fn printf(
                to: Ptr<$character>,
                room: usize,
                text: Ptr<$character>,
                arguments: Arguments,
            ) -> Status {
                print(to, room / $unit, text, arguments)
            }

            /// The sixth named argument leaves no register for the list, so this one passes it on the stack.
            extern "C" fn printf_ex(
                to: Ptr<$character>,
                room: usize,
                end: Ptr<Ptr<$character>>,
                left: Ptr<usize>,
                _flags: u32,
                mut arguments: Arguments,
            ) -> Status {
                let text = Ptr::at_address(arguments.take() as usize);
                print_ex(to, room / $unit, Rest { end, left }, text, arguments, $unit)
            }

            variadic! {
                $printf 3 => printf;
                $printf_ex 5 => printf_ex;
            }
        };
    };
}

family!(Unit, 2, RtlStringCbCopyW RtlStringCbCopyNW RtlStringCbCatW RtlStringCbCatNW RtlStringCbLengthW RtlStringCbVPrintfW
    RtlStringCbPrintfW RtlStringCbPrintfExW);
family!(Unit, 1, RtlStringCchCopyW RtlStringCchCopyNW RtlStringCchCatW RtlStringCchCatNW RtlStringCchLengthW RtlStringCchVPrintfW
    RtlStringCchPrintfW RtlStringCchPrintfExW);
family!(u8, 1, RtlStringCbCopyA RtlStringCbCopyNA RtlStringCbCatA RtlStringCbCatNA RtlStringCbLengthA RtlStringCbVPrintfA
    RtlStringCbPrintfA RtlStringCbPrintfExA);
family!(u8, 1, RtlStringCchCopyA RtlStringCchCopyNA RtlStringCchCatA RtlStringCchCatNA RtlStringCchLengthA RtlStringCchVPrintfA
    RtlStringCchPrintfA RtlStringCchPrintfExA);

/// Puts `text` into a counted string after `start` units: as much as fits.
fn put_counted(to: Ptr<UnicodeString>, start: usize, text: &[Unit]) -> Status {
    let now = to.read();
    let room = usize::from(now.room) / 2;
    let kept = &text[..text.len().min(room.saturating_sub(start))];
    now.buffer.add(start).write_many(kept);
    member!(to, UnicodeString, length).write(((start + kept.len()) * 2) as u16);
    if kept.len() == text.len() { status::SUCCESS } else { status::BUFFER_OVERFLOW }
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlUnicodeStringCopy(to: Ptr<UnicodeString>, from: Ptr<UnicodeString>) -> Status {
    put_counted(to, 0, &from.read().units())
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlUnicodeStringCopyString(to: Ptr<UnicodeString>, from: Ptr<Unit>) -> Status {
    put_counted(to, 0, &from.until_zero())
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlUnicodeStringCat(to: Ptr<UnicodeString>, from: Ptr<UnicodeString>) -> Status {
    put_counted(to, usize::from(to.read().length) / 2, &from.read().units())
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlUnicodeStringCatString(to: Ptr<UnicodeString>, from: Ptr<Unit>) -> Status {
    put_counted(to, usize::from(to.read().length) / 2, &from.until_zero())
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlUnicodeStringVPrintf(to: Ptr<UnicodeString>, text: Ptr<Unit>, arguments: Arguments) -> Status {
    unicode_printf(to, text, arguments)
}

extern "C" fn unicode_printf(to: Ptr<UnicodeString>, text: Ptr<Unit>, mut arguments: Arguments) -> Status {
    put_counted(to, 0, &format::format(&text.until_zero(), &mut arguments))
}

variadic! {
    RtlUnicodeStringPrintf 2 => unicode_printf;
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlUnicodeStringInit(to: Ptr<UnicodeString>, text: Ptr<Unit>) -> Status {
    super::RtlInitUnicodeStringEx(to, text)
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlUnicodeStringInitEx(to: Ptr<UnicodeString>, text: Ptr<Unit>, _flags: u32) -> Status {
    super::RtlInitUnicodeStringEx(to, text)
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlUnicodeStringValidate(string: Ptr<UnicodeString>) -> Status {
    super::RtlValidateUnicodeString(0, string)
}
