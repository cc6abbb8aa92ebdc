//! The ways in which a peer can break the protocol.
//!
//! Each has a name for counters and logs and a sentence for people. A breach closes the connection it was seen on;
//! before a connection exists (during the handshake) it is answered with [`Violation::status`].

use core::fmt;

use crate::status::Status;
use crate::wire::limits;

/// One breach of the protocol by the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Violation {
    /// A message of no bytes.
    Empty,
    /// The first byte names no message that this end may receive.
    UnknownKind(u8),
    /// The message is shorter or longer than its header says.
    WrongLength,
    /// The peer speaks a version of the protocol that we do not.
    UnsupportedVersion(u16),
    /// Flags that this version does not define.
    UnknownFlags(u32),
    /// A field that must be zero is not.
    ReservedBits,
    /// A port's name that is not one.
    BadName,
    /// A connection context of more than 65,511 bytes.
    ContextTooLong,
    /// The sentence of a refusal is longer than 512 bytes.
    SentenceTooLong,
    /// A security descriptor's text that is longer than 65,535 bytes.
    DescriptorTooLong,
    /// More processes named than the 1,024 that may be.
    TooManyProcesses,
    /// Text that is not UTF-8.
    NotText,
    /// A message that is right by itself, at a time when it is not allowed.
    OutOfTurn,
    /// More or fewer file descriptors than the message carries by definition.
    FileCount,
    /// The kernel cut the message or its file descriptors, because they were more than any message has.
    Truncated,
    /// A reply that names memory which does not exist.
    BadReply,
    /// A number of a process that no connection has.
    BadHolder,
    /// A word in shared memory says that the connection is gone, and the host has not said so.
    ForgedEnd,
    /// A word in shared memory changes whenever it is to be slept on, or rings again and again for nothing.
    Restless,
}

impl Violation {
    /// A short stable name, for counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::UnknownKind(_) => "unknown-kind",
            Self::WrongLength => "wrong-length",
            Self::UnsupportedVersion(_) => "unsupported-version",
            Self::UnknownFlags(_) => "unknown-flags",
            Self::ReservedBits => "reserved-bits",
            Self::BadName => "bad-name",
            Self::ContextTooLong => "context-too-long",
            Self::SentenceTooLong => "sentence-too-long",
            Self::DescriptorTooLong => "descriptor-too-long",
            Self::TooManyProcesses => "too-many-processes",
            Self::NotText => "not-text",
            Self::OutOfTurn => "out-of-turn",
            Self::FileCount => "file-count",
            Self::Truncated => "truncated",
            Self::BadReply => "bad-reply",
            Self::BadHolder => "bad-holder",
            Self::ForgedEnd => "forged-end",
            Self::Restless => "restless",
        }
    }

    /// What a connecting peer is told when the handshake fails for this reason.
    pub const fn status(self) -> Status {
        match self {
            Self::UnsupportedVersion(_) => Status::REVISION_MISMATCH,
            Self::BadName => Status::OBJECT_NAME_INVALID,
            Self::ContextTooLong => Status::INTEGER_OVERFLOW,
            _ => Status::INVALID_PARAMETER,
        }
    }
}

/// The sentence for people.
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the message has no bytes"),
            Self::UnknownKind(kind) => write!(f, "no message of kind {kind:#04x} may be sent to this end"),
            Self::WrongLength => f.write_str("the message's length is not what its header says"),
            Self::UnsupportedVersion(theirs) => {
                write!(f, "the peer speaks version {theirs} of the protocol, this end version {}", limits::VERSION)
            }
            Self::UnknownFlags(bits) => write!(f, "flags {bits:#x} are not defined in this version"),
            Self::ReservedBits => f.write_str("a field that must be zero is not"),
            Self::BadName => f.write_str("the port's name is not a valid name"),
            Self::ContextTooLong => {
                write!(f, "the connection context is longer than {} bytes", limits::MAX_CONTEXT_LEN)
            }
            Self::SentenceTooLong => {
                write!(f, "the sentence of the refusal is longer than {} bytes", limits::MAX_SENTENCE_LEN)
            }
            Self::DescriptorTooLong => {
                write!(f, "the security descriptor's text is longer than {} bytes", limits::MAX_SDDL_LEN)
            }
            Self::TooManyProcesses => write!(f, "more than {} processes are named", limits::MAX_PROCESSES),
            Self::NotText => f.write_str("text in the message is not UTF-8"),
            Self::OutOfTurn => f.write_str("the message is not allowed at this point of the conversation"),
            Self::FileCount => f.write_str("the message came with the wrong number of file descriptors"),
            Self::Truncated => f.write_str("the message or its file descriptors are more than any message has"),
            Self::BadReply => f.write_str("a reply names memory that does not exist"),
            Self::BadHolder => f.write_str("the message names a process that no connection has"),
            Self::ForgedEnd => f.write_str("the shared memory says that the connection has ended, and it has not"),
            Self::Restless => f.write_str("a word of the shared memory changes without end, or rings for nothing"),
        }
    }
}

impl core::error::Error for Violation {}
