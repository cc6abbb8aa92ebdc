//! The bytes of a question about a file operation, and of its answer, on a port that serves verdicts.
//!
//! A filter sends a [`Question`] (header, path, second path, command name) and passes the file itself as a descriptor;
//! the application answers with [`ANSWER_LEN`] bytes, an [`Answer`]. All numbers are little endian. Parsing validates:
//! what [`Question::parse`] returns needs no further check. The layout:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 2 | version, [`VERSION`] |
//! | 2 | 2 | kind, an [`OpKind`] |
//! | 4 | 4 | flags, [`QuestionFlags`] |
//! | 8 | 8 | number of the operation in its source: a gap is an operation that was decided without this application |
//! | 16 | 8 | deadline, nanoseconds of CLOCK_MONOTONIC |
//! | 24 | 4 | process (thread group) id |
//! | 28 | 4 | thread id |
//! | 32 | 4 | user id |
//! | 36 | 4 | length of the path |
//! | 40 | 4 | length of the second path |
//! | 44 | 4 | length of the command name |
//! | 48 | | path, second path, command name, without terminators |

use bitflags::bitflags;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The version that this code writes and the only one it reads.
pub const VERSION: u16 = 1;
/// Size of the fixed part of a question, in bytes.
pub const HEADER_LEN: usize = size_of::<Header>();
/// Size of an answer, in bytes.
pub const ANSWER_LEN: usize = size_of::<RawAnswer>();
/// Longest path in a question, in bytes: PATH_MAX, which the kernel's own names of open files obey too.
pub const MAX_PATH: usize = 4096;
/// Longest command name, in bytes (TASK_COMM_LEN is 16; worker threads of the kernel have longer ones).
pub const MAX_COMM: usize = 64;

/// A kind of file operation that a filter can decide about before it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
#[doc(alias = "IRP_MJ_CREATE")]
pub enum OpKind {
    /// Opening (or creating, or truncating while opening) a file: IRP_MJ_CREATE.
    Open = 1,
    /// Executing a file.
    #[doc(alias = "IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION")]
    Exec = 2,
    /// Renaming or exchanging.
    #[doc(alias = "FileRenameInformation")]
    Rename = 3,
    /// Removing a name (of a file or of an empty directory).
    #[doc(alias = "FileDispositionInformation")]
    Unlink = 4,
    /// Giving a second name: hard and symbolic links.
    #[doc(alias = "FileLinkInformation")]
    Link = 5,
    /// Making a directory.
    Mkdir = 6,
    /// Changing the length of a file by its path.
    #[doc(alias = "FileEndOfFileInformation")]
    Truncate = 7,
}

impl OpKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 7] =
        [Self::Open, Self::Exec, Self::Rename, Self::Unlink, Self::Link, Self::Mkdir, Self::Truncate];

    /// The kind with this number.
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            1..=7 => Some(Self::ALL[number as usize - 1]),
            _ => None,
        }
    }

    /// The name that rules, logs and the tool use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Exec => "exec",
            Self::Rename => "rename",
            Self::Unlink => "unlink",
            Self::Link => "link",
            Self::Mkdir => "mkdir",
            Self::Truncate => "truncate",
        }
    }

    /// The set with only this kind.
    pub const fn set(self) -> OpSet {
        OpSet::from_bits_truncate(1 << (self as u16 - 1))
    }
}

impl core::fmt::Display for OpKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

bitflags! {
    /// A set of [`OpKind`]s.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct OpSet: u16 {
        /// [`OpKind::Open`]
        const OPEN = 1 << 0;
        /// [`OpKind::Exec`]
        const EXEC = 1 << 1;
        /// [`OpKind::Rename`]
        const RENAME = 1 << 2;
        /// [`OpKind::Unlink`]
        const UNLINK = 1 << 3;
        /// [`OpKind::Link`]
        const LINK = 1 << 4;
        /// [`OpKind::Mkdir`]
        const MKDIR = 1 << 5;
        /// [`OpKind::Truncate`]
        const TRUNCATE = 1 << 6;
    }

    /// What else a question says.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct QuestionFlags: u32 {
        /// The file travels with the message, readable, as a descriptor.
        const FILE = 1 << 0;
        /// The open may change the file (it asks for writing or truncation).
        const WRITE = 1 << 1;
        /// The open would create the file, which does not exist yet.
        const CREATE = 1 << 2;
    }

    /// What else an answer says.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct AnswerFlags: u32 {
        /// The answer holds for this file until it changes; the filter need not ask again.
        const CACHE = 1 << 0;
    }
}

impl OpSet {
    /// The kinds in the set, in the order of their numbers.
    pub fn kinds(self) -> impl Iterator<Item = OpKind> {
        OpKind::ALL.into_iter().filter(move |kind| self.contains(kind.set()))
    }
}

impl core::fmt::Display for OpSet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (n, kind) in self.kinds().enumerate() {
            write!(f, "{}{kind}", if n == 0 { "" } else { ", " })?;
        }
        Ok(())
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
    pid: U32,
    tid: U32,
    uid: U32,
    path_len: U32,
    target_len: U32,
    comm_len: U32,
}

/// A question about one operation, as it stands in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// What is to be done.
    pub kind: OpKind,
    /// What else is known.
    pub flags: QuestionFlags,
    /// Number of the operation in its source.
    pub sequence: u64,
    /// When the filter stops waiting: nanoseconds of CLOCK_MONOTONIC.
    pub deadline: u64,
    /// Process (thread group) id, as the filter's process sees it.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// User id.
    pub uid: u32,
    /// The file's absolute path; empty if it has none.
    pub path: &'a [u8],
    /// The second path (the new name) of a rename or link; empty for others.
    pub target: &'a [u8],
    /// Command name of the thread.
    pub comm: &'a [u8],
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

impl<'a> Question<'a> {
    /// The bytes of this question. Parts longer than [`MAX_PATH`] and [`MAX_COMM`] are cut, so that the result always
    /// parses; the descriptor that travels beside it, not the path, says which file it is.
    pub fn to_bytes(&self) -> Vec<u8> {
        let path = &self.path[..self.path.len().min(MAX_PATH)];
        let target = &self.target[..self.target.len().min(MAX_PATH)];
        let comm = &self.comm[..self.comm.len().min(MAX_COMM)];
        let length = |part: &[u8]| U32::new(part.len() as u32);
        let header = Header {
            version: U16::new(VERSION),
            kind: U16::new(self.kind as u16),
            flags: U32::new(self.flags.bits()),
            sequence: U64::new(self.sequence),
            deadline: U64::new(self.deadline),
            pid: U32::new(self.pid),
            tid: U32::new(self.tid),
            uid: U32::new(self.uid),
            path_len: length(path),
            target_len: length(target),
            comm_len: length(comm),
        };
        let mut bytes = Vec::with_capacity(HEADER_LEN + path.len() + target.len() + comm.len());
        for part in [header.as_bytes(), path, target, comm] {
            bytes.extend_from_slice(part);
        }
        bytes
    }

    /// Reads and validates a question.
    ///
    /// # Errors
    /// [`Malformed`] names what is wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (header, rest) = Header::ref_from_prefix(bytes).map_err(|_| Malformed::Length)?;
        if header.version.get() != VERSION {
            return Err(Malformed::Version(header.version.get()));
        }
        let kind = OpKind::from_number(header.kind.get()).ok_or_else(|| Malformed::Kind(header.kind.get()))?;
        let flags = QuestionFlags::from_bits(header.flags.get()).ok_or_else(|| Malformed::Flags(header.flags.get()))?;
        let (path, rest) = part(rest, header.path_len, MAX_PATH)?;
        let (target, rest) = part(rest, header.target_len, MAX_PATH)?;
        let (comm, rest) = part(rest, header.comm_len, MAX_COMM)?;
        if !rest.is_empty() {
            return Err(Malformed::Length);
        }
        if path.contains(&0) || target.contains(&0) {
            return Err(Malformed::Path);
        }
        Ok(Self {
            kind,
            flags,
            sequence: header.sequence.get(),
            deadline: header.deadline.get(),
            pid: header.pid.get(),
            tid: header.tid.get(),
            uid: header.uid.get(),
            path,
            target,
            comm,
        })
    }
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

    fn sample() -> Question<'static> {
        Question {
            kind: OpKind::Rename,
            flags: QuestionFlags::FILE,
            sequence: 7,
            deadline: 0x0102_0304_0506_0708,
            pid: 10,
            tid: 11,
            uid: 1000,
            path: b"/a/b",
            target: b"/a/c",
            comm: b"mv",
        }
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
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            bytes
        };
        assert_eq!(Question::parse(&with(0, 2)), Err(Malformed::Version(2)));
        assert_eq!(Question::parse(&with(2, 0)), Err(Malformed::Kind(0)));
        assert_eq!(Question::parse(&with(2, 8)), Err(Malformed::Kind(8)));
        assert_eq!(Question::parse(&with(7, 0x80)), Err(Malformed::Flags(0x8000_0001)));
        assert_eq!(Question::parse(&with(36, 5)), Err(Malformed::Length));
        assert_eq!(Question::parse(&with(39, 0xff)), Err(Malformed::Length));
        assert_eq!(Question::parse(&with(HEADER_LEN, 0)), Err(Malformed::Path));
        assert_eq!(Question::parse(&good[..good.len() - 1]), Err(Malformed::Length));
        assert_eq!(Answer::parse(&[0; 8]), Err(Malformed::Verdict(0)));
        assert_eq!(Answer::parse(&[1, 0, 0, 0, 2, 0, 0, 0]), Err(Malformed::Flags(2)));
        assert_eq!(Answer::parse(&[1, 0, 0, 0]), Err(Malformed::Length));
    }

    #[test]
    fn kinds_and_sets_agree() {
        for kind in OpKind::ALL {
            assert_eq!(OpKind::from_number(kind as u16), Some(kind));
            assert_eq!(kind.set().kinds().collect::<Vec<_>>(), [kind]);
        }
        assert_eq!(OpSet::all().kinds().count(), OpKind::ALL.len());
        assert_eq!((OpSet::OPEN | OpSet::EXEC).to_string(), "open, exec");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            kind in 1u16..=7, flags in 0u32..8, sequence: u64, deadline: u64, pid: u32, tid: u32, uid: u32,
            path in prop::collection::vec(1u8..=255, 0..MAX_PATH), target in prop::collection::vec(1u8..=255, 0..300),
            comm in prop::collection::vec(0u8..=255, 0..MAX_COMM),
        ) {
            let question = Question {
                kind: OpKind::from_number(kind).unwrap(), flags: QuestionFlags::from_bits(flags).unwrap(),
                sequence, deadline, pid, tid, uid, path: &path, target: &target, comm: &comm,
            };
            let bytes = question.to_bytes();
            prop_assert_eq!(Question::parse(&bytes), Ok(question));
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
