//! The bytes of a question about a file operation, and of its answer, on a port that serves verdicts.
//!
//! A filter sends a [`Question`] (an [`Operation`] and until when) and passes the file itself as a descriptor; the
//! application answers with [`ANSWER_LEN`] bytes, an [`Answer`]. All numbers are little endian. Parsing validates:
//! what [`Question::parse`] returns needs no further check. The layout:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 2 | version, [`VERSION`] |
//! | 2 | 2 | kind, an [`OpKind`] |
//! | 4 | 4 | bit 0: the file travels along; the others: [`OpFlags`] |
//! | 8 | 8 | number of the operation in its source: a gap is an operation that was decided without this application |
//! | 16 | 8 | deadline, nanoseconds of CLOCK_MONOTONIC |
//! | 24 | 4 | process (thread group) id |
//! | 28 | 4 | thread id |
//! | 32 | 4 | user id |
//! | 36 | 4 | length of the path |
//! | 40 | 4 | length of the second path |
//! | 44 | 4 | length of the command name |
//! | 48 | | path, second path, command name, without terminators |
//!
//! The status of a reply with an answer is [`Status::SUCCESS`]; [`UNSCANNED`] says that there is none because the
//! application did not look at all of the file.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use bitflags::bitflags;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::operation::{Caller, CallerInfo, OpFlags, OpKind, Operation};
use crate::status::Status;

/// The version that this code writes and the only one it reads.
pub const VERSION: u16 = 1;
/// Size of the fixed part of a question, in bytes.
pub const HEADER_LEN: usize = size_of::<Header>();
/// Size of an answer, in bytes.
pub const ANSWER_LEN: usize = size_of::<RawAnswer>();
/// Longest path in a question, in bytes: PATH_MAX, which the kernel's own names of open files obey too.
pub const MAX_PATH: usize = 4096;
/// Longest command name, in bytes (TASK_COMM_LEN is 16; worker threads of the kernel have longer ones).
pub const MAX_COMMAND: usize = 64;
/// The status of a reply without an answer: the application did not look at all that is in the file.
pub const UNSCANNED: Status = Status::FILE_TOO_LARGE;
/// The flag of a question with a file; the other bits are an operation's.
const FILE: u32 = 1 << 0;

bitflags! {
    /// What else an answer says.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct AnswerFlags: u32 {
        /// The answer holds for this file until it changes; the filter need not ask again.
        const CACHE = 1 << 0;
    }
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    version: U16,
    kind: U16,
    flags: U32,
    sequence: U64,
    deadline: U64,
    process: U32,
    thread: U32,
    user: U32,
    path_len: U32,
    target_len: U32,
    command_len: U32,
}

/// A question about one operation.
#[derive(Clone, Debug)]
pub struct Question {
    /// What is to be done, by which thread. Without [`Arguments`](crate::operation::Arguments), which do not travel.
    pub operation: Arc<Operation>,
    /// Number of the operation in its source.
    pub sequence: u64,
    /// When the filter stops waiting: nanoseconds of CLOCK_MONOTONIC.
    pub deadline: u64,
    /// The file travels with the message, readable, as a descriptor.
    pub file: bool,
}

/// Why bytes are not a question or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// Shorter than its fixed part, or the lengths do not add up to the length of the message.
    Length,
    /// A version that this code does not speak.
    Version(u16),
    /// No such kind of operation.
    Kind(u16),
    /// A flag that this version does not have.
    Flags(u32),
    /// A path with a NUL byte in it.
    Path,
    /// No such verdict. All-zero bytes are not a verdict, so that an answer that was never written is not an *allow*.
    Verdict(u32),
}

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Length => f.write_str("the length of the message does not match its contents"),
            Self::Version(v) => write!(f, "version {v} of the question format, but only {VERSION} is known"),
            Self::Kind(k) => write!(f, "unknown kind of operation {k}"),
            Self::Flags(b) => write!(f, "unknown flags {b:#x}"),
            Self::Path => f.write_str("a path with a NUL byte"),
            Self::Verdict(v) => write!(f, "unknown verdict {v}: 1 is allow, 2 is deny"),
        }
    }
}

impl core::error::Error for Malformed {}

impl Question {
    /// The bytes of this question. Parts longer than [`MAX_PATH`] and [`MAX_COMMAND`] are cut, so that the result always
    /// parses; the descriptor that travels beside it, not the path, says which file it is. Looks up what is not known
    /// of the caller.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Operation { kind, flags, ref path, ref target, ref caller, .. } = *self.operation;
        let (path, target) = (cut(path.as_os_str(), MAX_PATH), cut(target.as_os_str(), MAX_PATH));
        let command = cut(caller.command(), MAX_COMMAND);
        let length = |part: &[u8]| U32::new(u32::try_from(part.len()).unwrap_or(u32::MAX));
        let header = Header {
            version: U16::new(VERSION),
            kind: U16::new(kind as u16),
            flags: U32::new(flags.bits() | if self.file { FILE } else { 0 }),
            sequence: U64::new(self.sequence),
            deadline: U64::new(self.deadline),
            process: U32::new(caller.process()),
            thread: U32::new(caller.thread()),
            user: U32::new(caller.user()),
            path_len: length(path),
            target_len: length(target),
            command_len: length(command),
        };
        let mut bytes = Vec::with_capacity(HEADER_LEN + path.len() + target.len() + command.len());
        for part in [header.as_bytes(), path, target, command] {
            bytes.extend_from_slice(part);
        }
        bytes
    }

    /// Reads and validates a question.
    ///
    /// # Errors
    /// [`Malformed`] names what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let (header, rest) = Header::ref_from_prefix(bytes).map_err(|_| Malformed::Length)?;
        if header.version.get() != VERSION {
            return Err(Malformed::Version(header.version.get()));
        }
        let kind = OpKind::from_number(header.kind.get()).ok_or_else(|| Malformed::Kind(header.kind.get()))?;
        let bits = header.flags.get();
        let flags = OpFlags::from_bits(bits & !FILE).ok_or(Malformed::Flags(bits))?;
        let (path, rest) = part(rest, header.path_len, MAX_PATH)?;
        let (target, rest) = part(rest, header.target_len, MAX_PATH)?;
        let (command, rest) = part(rest, header.command_len, MAX_COMMAND)?;
        if !rest.is_empty() {
            return Err(Malformed::Length);
        }
        if path.contains(&0) || target.contains(&0) {
            return Err(Malformed::Path);
        }
        let text = OsStr::from_bytes;
        let caller =
            CallerInfo { process: header.process.get(), user: header.user.get(), command: text(command).to_owned() };
        let operation = Operation {
            target: text(target).into(),
            flags,
            ..Operation::new(kind, text(path), Caller::known(header.thread.get(), caller))
        };
        Ok(Self {
            operation: Arc::new(operation),
            sequence: header.sequence.get(),
            deadline: header.deadline.get(),
            file: bits & FILE != 0,
        })
    }
}

fn cut(part: &OsStr, max: usize) -> &[u8] {
    let bytes = part.as_bytes();
    bytes.get(..max).unwrap_or(bytes)
}

fn part(bytes: &[u8], length: U32, max: usize) -> Result<(&[u8], &[u8]), Malformed> {
    let length = length.get() as usize;
    if length > max {
        return Err(Malformed::Length);
    }
    bytes.split_at_checked(length).ok_or(Malformed::Length)
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawAnswer {
    verdict: U32,
    flags: U32,
}

/// The application's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether the operation may go on.
    pub allow: bool,
    /// What else the application says.
    pub flags: AnswerFlags,
}

impl Answer {
    /// Let it happen.
    pub const ALLOW: Self = Self { allow: true, flags: AnswerFlags::empty() };
    /// Refuse it.
    pub const DENY: Self = Self { allow: false, flags: AnswerFlags::empty() };

    /// The bytes of the answer: the verdict (1 allow, 2 deny) and the flags, four bytes each.
    pub fn to_bytes(self) -> [u8; ANSWER_LEN] {
        let raw = RawAnswer { verdict: U32::new(if self.allow { 1 } else { 2 }), flags: U32::new(self.flags.bits()) };
        zerocopy::transmute!(raw)
    }

    /// Reads and validates an answer.
    ///
    /// # Errors
    /// [`Malformed`] names what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let raw = RawAnswer::ref_from_bytes(bytes).map_err(|_| Malformed::Length)?;
        let allow = match raw.verdict.get() {
            1 => true,
            2 => false,
            other => return Err(Malformed::Verdict(other)),
        };
        let flags = AnswerFlags::from_bits(raw.flags.get()).ok_or_else(|| Malformed::Flags(raw.flags.get()))?;
        Ok(Self { allow, flags })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Question {
        let caller = CallerInfo { process: 10, user: 1000, command: "mv".into() };
        let mut operation = Operation::new(OpKind::Rename, "/a/b", Caller::known(11, caller));
        operation.target = "/a/c".into();
        Question { operation: Arc::new(operation), sequence: 7, deadline: 0x0102_0304_0506_0708, file: true }
    }

    #[test]
    fn the_bytes_are_these() {
        let bytes = sample().to_bytes();
        assert_eq!(HEADER_LEN, 48);
        let header = [
            1, 0, 3, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1, 10, 0, 0, 0, 11, 0, 0, 0, 0xe8, 3,
            0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0,
        ];
        assert_eq!(bytes[..HEADER_LEN], header);
        assert_eq!(&bytes[HEADER_LEN..], b"/a/b/a/cmv");
        assert_eq!(Answer::ALLOW.to_bytes(), [1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Answer::DENY.to_bytes(), [2, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn wrong_bytes_are_named() {
        let good = sample().to_bytes();
        let wrong = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            Question::parse(&bytes).unwrap_err()
        };
        assert_eq!(wrong(0, 2), Malformed::Version(2));
        assert_eq!(wrong(2, 0), Malformed::Kind(0));
        let next = OpKind::ALL.len() as u8 + 1;
        assert_eq!(wrong(2, next), Malformed::Kind(next.into()));
        assert_eq!(wrong(7, 0x80), Malformed::Flags(0x8000_0001));
        assert_eq!(wrong(36, 5), Malformed::Length);
        assert_eq!(wrong(39, 0xff), Malformed::Length);
        assert_eq!(wrong(HEADER_LEN, 0), Malformed::Path);
        assert_eq!(Question::parse(&good[..good.len() - 1]).unwrap_err(), Malformed::Length);
        assert_eq!(Answer::parse(&[0; 8]), Err(Malformed::Verdict(0)));
        assert_eq!(Answer::parse(&[1, 0, 0, 0, 2, 0, 0, 0]), Err(Malformed::Flags(2)));
        assert_eq!(Answer::parse(&[1, 0, 0, 0]), Err(Malformed::Length));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            kind in prop::sample::select(OpKind::ALL), flags in 0u32..32, sequence: u64, deadline: u64, file: bool,
            process: u32, thread: u32, user: u32,
            path in prop::collection::vec(1u8..=255, 0..MAX_PATH), target in prop::collection::vec(1u8..=255, 0..300),
            command in prop::collection::vec(0u8..=255, 0..MAX_COMMAND),
        ) {
            let text = |bytes| OsStr::from_bytes(bytes).to_owned();
            let info = CallerInfo { process, user, command: text(&command) };
            let mut operation = Operation::new(kind, text(&path), Caller::known(thread, info.clone()));
            operation.target = text(&target).into();
            operation.flags = OpFlags::from_bits(flags << 1).unwrap();
            let question = Question { operation: Arc::new(operation.clone()), sequence, deadline, file };
            let read = Question::parse(&question.to_bytes()).unwrap();
            prop_assert_eq!((read.sequence, read.deadline, read.file), (sequence, deadline, file));
            prop_assert_eq!((read.operation.kind, read.operation.flags), (operation.kind, operation.flags));
            prop_assert_eq!((&read.operation.path, &read.operation.target), (&operation.path, &operation.target));
            prop_assert_eq!((read.operation.caller.thread(), read.operation.caller.look_up()), (thread, &info));
        }

        #[test]
        fn any_bytes_parse_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(question) = Question::parse(&bytes) {
                prop_assert_eq!(question.to_bytes(), bytes);
            }
        }

        #[test]
        fn any_change_of_a_good_one_parses_or_is_refused(at in 0usize..58, value: u8) {
            let mut bytes = sample().to_bytes();
            bytes[at] = value;
            if let Ok(question) = Question::parse(&bytes) {
                prop_assert_eq!(question.to_bytes(), bytes);
            }
        }
    }
}
