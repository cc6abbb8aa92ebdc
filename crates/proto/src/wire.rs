//! The messages on the socket of a connection: the handshake, then life, death and file descriptors.
//!
//! One message is one `SOCK_SEQPACKET` packet. All numbers are little-endian; the first byte is the kind, and in every
//! message of the handshake bytes 2 and 3 are a version or zero, in this and all later versions, so that old and new
//! ends can refuse each other. Text is UTF-8 without a terminator. Parsing checks everything: what it returns needs no
//! second look.
//!
//! | kind | message | direction | bytes |
//! |---|---|---|---|
//! | 0x01 | [`Hello`] | to the host | kind, 0, version u16, flags u32, name length u32, context length u32, name, context |
//! | 0x02 | Query | to the host | kind, 0, version u16 |
//! | 0x03 | Ring | to the host | kind |
//! | 0x04 | Bye | to the host | kind |
//! | 0x05 | Duplicate | to the host | kind, flags u8; with one file descriptor |
//! | 0x81 | Welcome | to the client | kind, 0, version u16, holder u32, name; with two file descriptors or none |
//! | 0x82 | [`Refused`] | to the client | kind, flags u8, 0 u16, status u32, sentence |
//! | 0x83 | [`Info`] | to the client | kind, flags u8, version u16, pid u32, uid u32, connections u32, max u32, name length u32, SDDL length u32, 0 u32, started u64, name, SDDL |
//! | 0x84 | File | to the client | kind, 0 (7 bytes), tag u64; with one file descriptor |
//! | 0x85 | Closed | to the client | kind, 0 (3 bytes), status u32 |

pub mod limits;
#[cfg(test)]
mod tests;

use crate::name::{MAX_NAME_LEN, PortName};
use crate::slots::Holder;
use crate::status::Status;
use crate::violation::Violation;

pub use limits::{MAX_CONTEXT_LEN, MAX_PROCESSES, MAX_SDDL_LEN, MAX_SENTENCE_LEN, VERSION};

/// Bytes of one process in an [`Info`].
const PROCESS_LEN: usize = 8;

const HELLO_HEADER_LEN: usize = 16;
const INFO_HEADER_LEN: usize = 40;

/// No message is longer than this, in bytes: a buffer of this size receives any.
pub const MAX_MESSAGE_LEN: usize = INFO_HEADER_LEN + MAX_NAME_LEN + MAX_SDDL_LEN + PROCESS_LEN * MAX_PROCESSES;
/// Enough for what a client says on a connection that stands, and for all that a host does but a refusal.
pub const MAX_SMALL_MESSAGE_LEN: usize = 16;
/// The most bytes of what a host says on a connection that stands: [`FromHost::Refused`] is the longest.
pub const MAX_ANSWER_LEN: usize = 8 + MAX_SENTENCE_LEN;
const _: () = assert!(HELLO_HEADER_LEN + MAX_NAME_LEN + MAX_CONTEXT_LEN <= MAX_MESSAGE_LEN);

/// How many file descriptors come with a Welcome.
pub const WELCOME_FILES: usize = 2;
/// How many file descriptors lie in a handle.
pub const HANDLE_FILES: usize = 3;

const HELLO: u8 = 0x01;
const QUERY: u8 = 0x02;
const RING: u8 = 0x03;
const BYE: u8 = 0x04;
const DUPLICATE: u8 = 0x05;
const USE: u8 = 0x06;
const WELCOME: u8 = 0x81;
const REFUSED: u8 = 0x82;
const AGAIN: u8 = 1;
/// How a [`Refused`] begins that is [`Refused::unheard`].
pub const UNHEARD: [u8; 2] = [REFUSED, AGAIN];
const INFO: u8 = 0x83;
const FILE: u8 = 0x84;
const CLOSED: u8 = 0x85;
const HANDLE: u8 = 0x86;
const CONFIRM: u8 = 0x87;

/// The first message of a client that wants a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    name: PortName,
    context: &'a [u8],
}

impl<'a> Hello<'a> {
    /// A request for a connection to `name`. The name is sent because the file that was found stands for more than one
    /// name when case is ignored or the name is hashed; the host compares it with its own.
    ///
    /// # Errors
    /// [`Status::INTEGER_OVERFLOW`]: the context is longer than [`MAX_CONTEXT_LEN`] (`doc/windows.md`, row 13).
    pub fn new(name: PortName, context: &'a [u8]) -> Result<Self, Status> {
        if context.len() > MAX_CONTEXT_LEN {
            return Err(Status::INTEGER_OVERFLOW);
        }
        Ok(Self { name, context })
    }

    /// The name that the client asked for, in its spelling.
    pub fn name(&self) -> &PortName {
        &self.name
    }

    /// The connection context, at most [`MAX_CONTEXT_LEN`] bytes, possibly empty.
    pub fn context(&self) -> &'a [u8] {
        self.context
    }
}

/// The host's no, which ends the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    status: Status,
    sentence: String,
    again: bool,
}

impl Refused {
    /// A refusal, with a sentence for people that is cut after [`MAX_SENTENCE_LEN`] bytes.
    pub fn new(status: Status, sentence: impl Into<String>) -> Self {
        let mut sentence = sentence.into();
        if let Some(end) = (0..=MAX_SENTENCE_LEN).rev().find(|&at| sentence.is_char_boundary(at)) {
            sentence.truncate(end);
        }
        Self { status, sentence, again: false }
    }

    /// The same refusal, of one that was not heard: it may try again in a moment.
    #[must_use]
    pub fn unheard(self) -> Self {
        Self { again: true, ..self }
    }

    /// Why: the error that the client's connect returns.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The same for people; may be empty.
    pub fn sentence(&self) -> &str {
        &self.sentence
    }
}

/// What any user that can reach a port may know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The port's name in the spelling of its host.
    pub name: PortName,
    /// The host's process, in the host's own pid namespace.
    pub pid: u32,
    /// The host's effective user.
    pub uid: u32,
    /// How many connections there are now.
    pub connections: u32,
    /// How many there may be at once.
    pub max_connections: u32,
    /// The port's security descriptor in SDDL. A text of more than [`MAX_SDDL_LEN`] bytes is sent as an empty one.
    pub sddl: String,
    /// Whether the case of ASCII letters is ignored when clients look the name up.
    pub case_insensitive: bool,
    /// When the port was created: nanoseconds since 1970, UTC.
    pub started: u64,
    /// The processes that use the connections, by number in the host's pid namespace (0: it has none there) and user.
    /// At most [`MAX_PROCESSES`] are named.
    pub processes: Vec<(u32, u32)>,
}

/// A message that a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromClient<'a> {
    /// Wants a connection.
    Hello(Hello<'a>),
    /// Wants the [`Info`], nothing more; the host answers and closes.
    Query,
    /// A request waits in shared memory. Only on a connection.
    Ring,
    /// The last handle of this socket's process was closed in an orderly way. Only on a connection.
    Bye,
    /// Wants another handle to the same connection: answered by [`FromHost::Handle`] or a refusal. Only on a connection.
    Duplicate,
    /// The process that sends this, which the kernel names, uses the connection by this handle: answered by
    /// [`FromHost::Confirm`], then by [`FromHost::Welcome`]; or a refusal. Only on a handle that no process uses yet.
    Use,
}

/// A message that a host sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromHost {
    /// The connection stands. After a Hello it comes with [`WELCOME_FILES`] file descriptors, the memory only the host
    /// writes, then the shared one; after a Use with none. In a handle that goes from process to process lies one of no
    /// holder, put there by a process and not by the host, with [`HANDLE_FILES`]: the same after a socket to the host.
    Welcome {
        /// Which of the connection's processes the receiver is.
        holder: Option<Holder>,
        /// The port's name.
        name: PortName,
    },
    /// No connection.
    Refused(Refused),
    /// The answer to a Query.
    Info(Info),
    /// A file for the message with this tag. Comes with one file descriptor.
    File {
        /// Which message it belongs to.
        tag: u64,
    },
    /// The host closed the connection.
    Closed {
        /// Why.
        status: Status,
    },
    /// Another handle. Comes with one file descriptor, a socket to the host.
    Handle,
    /// Say Use again: the process that the first one came from was looked at in between.
    Confirm,
}

impl<'a> FromClient<'a> {
    /// The message's bytes, at most [`MAX_MESSAGE_LEN`].
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Hello(hello) => {
                let name = hello.name.as_str().as_bytes();
                let mut bytes = Vec::with_capacity(HELLO_HEADER_LEN + name.len() + hello.context.len());
                bytes.extend([HELLO, 0]);
                bytes.extend(VERSION.to_le_bytes());
                bytes.extend([0; 4]);
                bytes.extend(length(name.len()).to_le_bytes());
                bytes.extend(length(hello.context.len()).to_le_bytes());
                bytes.extend(name);
                bytes.extend(hello.context);
                bytes
            }
            Self::Query => {
                let [low, high] = VERSION.to_le_bytes();
                vec![QUERY, 0, low, high]
            }
            Self::Ring => vec![RING],
            Self::Bye => vec![BYE],
            Self::Duplicate => vec![DUPLICATE],
            Self::Use => vec![USE],
        }
    }

    /// Parses one packet.
    ///
    /// # Errors
    /// The first [`Violation`] found. A wrong version is found before anything else in its message, so that a newer
    /// client learns that, and not that we do not understand it.
    pub fn parse(packet: &'a [u8]) -> Result<Self, Violation> {
        let mut fields = Fields(packet);
        let kind = fields.u8().map_err(|_| Violation::Empty)?;
        let message = match kind {
            HELLO => {
                fields.zeros(1)?;
                fields.version()?;
                fields.zeros(4)?;
                let name_len = fields.u32()? as usize;
                let context_len = fields.u32()? as usize;
                if name_len > MAX_NAME_LEN {
                    return Err(Violation::BadName);
                }
                if context_len > MAX_CONTEXT_LEN {
                    return Err(Violation::ContextTooLong);
                }
                let name = fields.name(name_len)?;
                Self::Hello(Hello { name, context: fields.bytes(context_len)? })
            }
            QUERY => {
                fields.zeros(1)?;
                fields.version()?;
                Self::Query
            }
            RING => Self::Ring,
            BYE => Self::Bye,
            DUPLICATE => Self::Duplicate,
            USE => Self::Use,
            other => return Err(Violation::UnknownKind(other)),
        };
        fields.end()?;
        Ok(message)
    }
}

impl FromHost {
    /// The message's bytes, at most [`MAX_MESSAGE_LEN`].
    pub fn encode(&self) -> Vec<u8> {
        let [version_low, version_high] = VERSION.to_le_bytes();
        match self {
            Self::Welcome { holder, name } => {
                let mut bytes = vec![WELCOME, 0, version_low, version_high];
                bytes.extend(holder.map_or(0, Holder::number).to_le_bytes());
                bytes.extend(name.as_str().as_bytes());
                bytes
            }
            Self::Refused(refused) => {
                let mut bytes = vec![REFUSED, if refused.again { AGAIN } else { 0 }, 0, 0];
                bytes.extend(refused.status.0.to_le_bytes());
                bytes.extend(refused.sentence.as_bytes());
                bytes
            }
            Self::Info(info) => {
                let name = info.name.as_str();
                let sddl = if info.sddl.len() <= MAX_SDDL_LEN { info.sddl.as_str() } else { "" };
                let processes = info.processes.get(..MAX_PROCESSES).unwrap_or(&info.processes);
                let len = INFO_HEADER_LEN + name.len() + sddl.len() + PROCESS_LEN * processes.len();
                let mut bytes = Vec::with_capacity(len);
                bytes.extend([INFO, u8::from(info.case_insensitive), version_low, version_high]);
                let numbers = [info.pid, info.uid, info.connections, info.max_connections];
                let lengths = [name.len(), sddl.len(), processes.len()].map(length);
                for number in numbers.into_iter().chain(lengths) {
                    bytes.extend(number.to_le_bytes());
                }
                bytes.extend(info.started.to_le_bytes());
                bytes.extend(name.as_bytes());
                bytes.extend(sddl.as_bytes());
                for number in processes.iter().flat_map(|&(pid, uid)| [pid, uid]) {
                    bytes.extend(number.to_le_bytes());
                }
                bytes
            }
            Self::File { tag } => {
                let mut bytes = vec![FILE, 0, 0, 0, 0, 0, 0, 0];
                bytes.extend(tag.to_le_bytes());
                bytes
            }
            Self::Closed { status } => {
                let mut bytes = vec![CLOSED, 0, 0, 0];
                bytes.extend(status.0.to_le_bytes());
                bytes
            }
            Self::Handle => vec![HANDLE],
            Self::Confirm => vec![CONFIRM],
        }
    }

    /// Parses one packet.
    ///
    /// # Errors
    /// The first [`Violation`] found.
    pub fn parse(packet: &[u8]) -> Result<Self, Violation> {
        let mut fields = Fields(packet);
        let kind = fields.u8().map_err(|_| Violation::Empty)?;
        let message = match kind {
            WELCOME => {
                fields.zeros(1)?;
                fields.version()?;
                let holder = match fields.u32()? {
                    0 => None,
                    number => Some(Holder::new(number).ok_or(Violation::BadHolder)?),
                };
                Self::Welcome { holder, name: fields.name(fields.0.len())? }
            }
            REFUSED => {
                let flags = fields.u8()?;
                if flags > AGAIN {
                    return Err(Violation::UnknownFlags(u32::from(flags)));
                }
                fields.zeros(2)?;
                let status = Status(fields.u32()?);
                if fields.0.len() > MAX_SENTENCE_LEN {
                    return Err(Violation::SentenceTooLong);
                }
                let sentence = fields.text(fields.0.len())?.to_owned();
                Self::Refused(Refused { status, sentence, again: flags == AGAIN })
            }
            INFO => {
                let flags = fields.u8()?;
                fields.version()?;
                let [pid, uid, connections, max_connections] =
                    [fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?];
                let [name_len, sddl_len, count] =
                    [fields.u32()? as usize, fields.u32()? as usize, fields.u32()? as usize];
                let started = fields.u64()?;
                if flags > 1 {
                    return Err(Violation::UnknownFlags(u32::from(flags)));
                }
                if name_len > MAX_NAME_LEN {
                    return Err(Violation::BadName);
                }
                if sddl_len > MAX_SDDL_LEN {
                    return Err(Violation::DescriptorTooLong);
                }
                if count > MAX_PROCESSES {
                    return Err(Violation::TooManyProcesses);
                }
                let name = fields.name(name_len)?;
                let sddl = fields.text(sddl_len)?.to_owned();
                let case_insensitive = flags == 1;
                let processes = (0..count).map(|_| Ok((fields.u32()?, fields.u32()?))).collect::<Result<_, _>>()?;
                Self::Info(Info {
                    name,
                    pid,
                    uid,
                    connections,
                    max_connections,
                    sddl,
                    case_insensitive,
                    started,
                    processes,
                })
            }
            FILE => {
                fields.zeros(7)?;
                Self::File { tag: fields.u64()? }
            }
            CLOSED => {
                fields.zeros(3)?;
                Self::Closed { status: Status(fields.u32()?) }
            }
            HANDLE => Self::Handle,
            CONFIRM => Self::Confirm,
            other => return Err(Violation::UnknownKind(other)),
        };
        fields.end()?;
        Ok(message)
    }
}

/// A length of a part, which has a limit below 2³².
fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// What is left of a packet; every step checks that there is enough.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, len: usize) -> Result<&'a [u8], Violation> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Violation::WrongLength)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Violation> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Violation::WrongLength)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, Violation> {
        self.array().map(u8::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, Violation> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Violation> {
        self.array().map(u64::from_le_bytes)
    }

    fn version(&mut self) -> Result<(), Violation> {
        let version = u16::from_le_bytes(self.array()?);
        if version == VERSION { Ok(()) } else { Err(Violation::UnsupportedVersion(version)) }
    }

    fn zeros(&mut self, len: usize) -> Result<(), Violation> {
        if self.bytes(len)?.iter().all(|&byte| byte == 0) { Ok(()) } else { Err(Violation::ReservedBits) }
    }

    fn text(&mut self, len: usize) -> Result<&'a str, Violation> {
        core::str::from_utf8(self.bytes(len)?).map_err(|_| Violation::NotText)
    }

    fn name(&mut self, len: usize) -> Result<PortName, Violation> {
        PortName::parse(self.text(len)?).map_err(|_| Violation::BadName)
    }

    fn end(&self) -> Result<(), Violation> {
        if self.0.is_empty() { Ok(()) } else { Err(Violation::WrongLength) }
    }
}
