//! The messages on the socket of a connection: the handshake, then life, death and file descriptors.
//!
//! One message is one `SOCK_SEQPACKET` packet. All numbers are little-endian; the first byte is the kind, and in every message of
//! the handshake bytes 2 and 3 are a version or zero, in this and all later versions, so that old and new ends can refuse each other.
//! Text is UTF-8 without a terminator. Parsing checks everything: what it returns needs no second look.
//!
//! | kind | message | direction | bytes |
//! |---|---|---|---|
//! | 0x01 | [`Hello`] | to the host | kind, 0, version u16, flags u32, name length u32, context length u32, name, context |
//! | 0x02 | Query | to the host | kind, 0, version u16 |
//! | 0x03 | Ring | to the host | kind |
//! | 0x04 | Bye | to the host | kind |
//! | 0x81 | Welcome | to the client | kind, 0, version u16; with two file descriptors |
//! | 0x82 | [`Refused`] | to the client | kind, 0, 0 u16, status u32, sentence |
//! | 0x83 | [`Info`] | to the client | kind, flags u8, version u16, pid u32, uid u32, connections u32, max u32, name length u32, SDDL length u32, 0 u32, started u64, name, SDDL |
//! | 0x84 | File | to the client | kind, 0 (7 bytes), tag u64; with one file descriptor |
//! | 0x85 | Closed | to the client | kind, 0 (3 bytes), status u32 |

use crate::name::{MAX_NAME_LEN, PortName};
use crate::status::Status;
use crate::violation::Violation;

/// The version of the protocol: of these messages, and of the layout of the memory that a Welcome brings.
pub const VERSION: u16 = 1;

/// The longest connection context, in bytes: 65,511 as on Windows.
pub const MAX_CONTEXT_LEN: usize = 65_511;

/// The longest sentence of a refusal, in bytes.
pub const MAX_SENTENCE_LEN: usize = 512;

/// The longest SDDL text in an [`Info`], in bytes.
pub const MAX_SDDL_LEN: usize = 65_535;

const HELLO_HEADER_LEN: usize = 16;
const INFO_HEADER_LEN: usize = 40;

/// No message is longer than this, in bytes: a buffer of this size receives any.
pub const MAX_MESSAGE_LEN: usize = INFO_HEADER_LEN + MAX_NAME_LEN + MAX_SDDL_LEN;
const _: () = assert!(HELLO_HEADER_LEN + MAX_NAME_LEN + MAX_CONTEXT_LEN <= MAX_MESSAGE_LEN);

/// How many file descriptors come with a Welcome.
pub const WELCOME_FILES: usize = 2;

const HELLO: u8 = 0x01;
const QUERY: u8 = 0x02;
const RING: u8 = 0x03;
const BYE: u8 = 0x04;
const WELCOME: u8 = 0x81;
const REFUSED: u8 = 0x82;
const INFO: u8 = 0x83;
const FILE: u8 = 0x84;
const CLOSED: u8 = 0x85;

bitflags::bitflags! {
    /// What a client asks for at connect.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct HelloFlags: u32 {
        /// The handle may be inherited by a child, which may attach to the connection (`bInheritHandle`).
        const INHERIT = 1;
        /// The handle is synchronous (`FLT_PORT_FLAG_SYNC_HANDLE`).
        const SYNC = 2;
    }
}

/// The first message of a client that wants a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    flags: HelloFlags,
    name: PortName,
    context: &'a [u8],
}

impl<'a> Hello<'a> {
    /// A request for a connection to `name`. The name is sent because the file that was found stands for more than one name when
    /// case is ignored or the name is hashed; the host compares it with its own.
    ///
    /// # Errors
    /// [`Status::INTEGER_OVERFLOW`]: the context is longer than [`MAX_CONTEXT_LEN`] (spec row 13).
    pub fn new(flags: HelloFlags, name: PortName, context: &'a [u8]) -> Result<Self, Status> {
        if context.len() > MAX_CONTEXT_LEN {
            return Err(Status::INTEGER_OVERFLOW);
        }
        Ok(Self { flags, name, context })
    }

    /// What the client asks for.
    pub fn flags(&self) -> HelloFlags {
        self.flags
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
}

impl Refused {
    /// A refusal, with a sentence for people that is cut after [`MAX_SENTENCE_LEN`] bytes.
    pub fn new(status: Status, sentence: impl Into<String>) -> Self {
        let mut sentence = sentence.into();
        if let Some(end) = (0..=MAX_SENTENCE_LEN).rev().find(|&at| sentence.is_char_boundary(at)) {
            sentence.truncate(end);
        }
        Self { status, sentence }
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

/// What anyone who can reach a port may know about it.
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
    /// The last handle was closed in an orderly way. Only on a connection.
    Bye,
}

/// A message that a host sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromHost {
    /// The connection stands. Comes with [`WELCOME_FILES`] file descriptors: the memory only the host writes, then the shared one.
    Welcome,
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
                bytes.extend(hello.flags.bits().to_le_bytes());
                bytes.extend((name.len() as u32).to_le_bytes());
                bytes.extend((hello.context.len() as u32).to_le_bytes());
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
        }
    }

    /// Parses one packet.
    ///
    /// # Errors
    /// The first [`Violation`] found. A wrong version is found before anything else in its message, so that a newer client learns
    /// that, and not that we do not understand it.
    pub fn parse(packet: &'a [u8]) -> Result<Self, Violation> {
        let mut fields = Fields(packet);
        let kind = fields.u8().map_err(|_| Violation::Empty)?;
        let message = match kind {
            HELLO => {
                fields.zeros(1)?;
                fields.version()?;
                let bits = fields.u32()?;
                let name_len = fields.u32()? as usize;
                let context_len = fields.u32()? as usize;
                let flags = HelloFlags::from_bits(bits).ok_or(Violation::UnknownFlags(bits))?;
                if name_len > MAX_NAME_LEN {
                    return Err(Violation::BadName);
                }
                if context_len > MAX_CONTEXT_LEN {
                    return Err(Violation::ContextTooLong);
                }
                let name = fields.name(name_len)?;
                Self::Hello(Hello { flags, name, context: fields.bytes(context_len)? })
            }
            QUERY => {
                fields.zeros(1)?;
                fields.version()?;
                Self::Query
            }
            RING => Self::Ring,
            BYE => Self::Bye,
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
            Self::Welcome => vec![WELCOME, 0, version_low, version_high],
            Self::Refused(refused) => {
                let mut bytes = vec![REFUSED, 0, 0, 0];
                bytes.extend(refused.status.0.to_le_bytes());
                bytes.extend(refused.sentence.as_bytes());
                bytes
            }
            Self::Info(info) => {
                let name = info.name.as_str();
                let sddl = if info.sddl.len() <= MAX_SDDL_LEN { info.sddl.as_str() } else { "" };
                let mut bytes = Vec::with_capacity(INFO_HEADER_LEN + name.len() + sddl.len());
                bytes.extend([INFO, u8::from(info.case_insensitive), version_low, version_high]);
                let numbers = [info.pid, info.uid, info.connections, info.max_connections];
                for number in numbers.into_iter().chain([name.len() as u32, sddl.len() as u32, 0]) {
                    bytes.extend(number.to_le_bytes());
                }
                bytes.extend(info.started.to_le_bytes());
                bytes.extend(name.as_bytes());
                bytes.extend(sddl.as_bytes());
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
                Self::Welcome
            }
            REFUSED => {
                fields.zeros(3)?;
                let status = Status(fields.u32()?);
                if fields.0.len() > MAX_SENTENCE_LEN {
                    return Err(Violation::SentenceTooLong);
                }
                let sentence = fields.text(fields.0.len())?.to_owned();
                Self::Refused(Refused { status, sentence })
            }
            INFO => {
                let flags = fields.u8()?;
                fields.version()?;
                let [pid, uid, connections, max_connections] =
                    [fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?];
                let [name_len, sddl_len] = [fields.u32()? as usize, fields.u32()? as usize];
                fields.zeros(4)?;
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
                let name = fields.name(name_len)?;
                let sddl = fields.text(sddl_len)?.to_owned();
                let case_insensitive = flags == 1;
                Self::Info(Info { name, pid, uid, connections, max_connections, sddl, case_insensitive, started })
            }
            FILE => {
                fields.zeros(7)?;
                Self::File { tag: fields.u64()? }
            }
            CLOSED => {
                fields.zeros(3)?;
                Self::Closed { status: Status(fields.u32()?) }
            }
            other => return Err(Violation::UnknownKind(other)),
        };
        fields.end()?;
        Ok(message)
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> PortName {
        PortName::parse(text).unwrap()
    }

    fn info() -> Info {
        Info {
            name: name(r"\P"),
            pid: 0x0102,
            uid: 1000,
            connections: 3,
            max_connections: 7,
            sddl: "D:".to_owned(),
            case_insensitive: true,
            started: 0x0807_0605_0403_0201,
        }
    }

    #[test]
    fn golden_bytes() {
        let hello = Hello::new(HelloFlags::SYNC, name(r"\P"), &[9, 8, 7]).unwrap();
        let golden_hello = [1, 0, 1, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, b'\\', b'P', 9, 8, 7];
        let to_host: [(FromClient<'_>, &[u8]); 4] = [
            (FromClient::Hello(hello), &golden_hello),
            (FromClient::Query, &[2, 0, 1, 0]),
            (FromClient::Ring, &[3]),
            (FromClient::Bye, &[4]),
        ];
        for (message, golden) in to_host {
            assert_eq!(message.encode(), golden);
            assert_eq!(FromClient::parse(golden), Ok(message));
        }
        #[rustfmt::skip]
        let golden_info = [
            0x83, 1, 1, 0,  2, 1, 0, 0,  0xE8, 3, 0, 0,  3, 0, 0, 0,  7, 0, 0, 0,
            2, 0, 0, 0,  2, 0, 0, 0,  0, 0, 0, 0,  1, 2, 3, 4, 5, 6, 7, 8,  b'\\', b'P', b'D', b':',
        ];
        let to_client: [(FromHost, &[u8]); 5] = [
            (FromHost::Welcome, &[0x81, 0, 1, 0]),
            (
                FromHost::Refused(Refused::new(Status(0xC000_0022), "no")),
                &[0x82, 0, 0, 0, 0x22, 0, 0, 0xC0, b'n', b'o'],
            ),
            (FromHost::Info(info()), &golden_info),
            (FromHost::File { tag: 0x0102 }, &[0x84, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]),
            (FromHost::Closed { status: Status(0xC000_0037) }, &[0x85, 0, 0, 0, 0x37, 0, 0, 0xC0]),
        ];
        for (message, golden) in to_client {
            assert_eq!(message.encode(), golden);
            assert_eq!(FromHost::parse(golden), Ok(message));
        }
    }

    #[test]
    fn row_13_longest_context() {
        let context = vec![5; MAX_CONTEXT_LEN + 1];
        assert_eq!(Hello::new(HelloFlags::empty(), name(r"\P"), &context), Err(Status::INTEGER_OVERFLOW));
        let hello = Hello::new(HelloFlags::empty(), name(r"\P"), &context[1..]).unwrap();
        let bytes = FromClient::Hello(hello.clone()).encode();
        assert_eq!(FromClient::parse(&bytes), Ok(FromClient::Hello(hello)));
    }

    #[test]
    fn every_malformed_hello_has_a_name() {
        let good = FromClient::Hello(Hello::new(HelloFlags::INHERIT, name(r"\P"), b"ctx").unwrap()).encode();
        let with = |at: usize, value: u8| {
            let mut bad = good.clone();
            bad[at] = value;
            FromClient::parse(&bad).map(|_| ()).unwrap_err()
        };
        assert_eq!(FromClient::parse(&[]), Err(Violation::Empty));
        assert_eq!(with(0, 0x7F), Violation::UnknownKind(0x7F));
        assert_eq!(with(0, 0x81), Violation::UnknownKind(0x81), "the host's kinds are not the client's");
        assert_eq!(with(1, 1), Violation::ReservedBits);
        assert_eq!(with(2, 2), Violation::UnsupportedVersion(2));
        assert_eq!(with(2, 2).status(), Status::REVISION_MISMATCH);
        assert_eq!(with(4, 5), Violation::UnknownFlags(5));
        assert_eq!(with(4, 5).status(), Status::INVALID_PARAMETER);
        assert_eq!(with(10, 2), Violation::BadName, "a name of 131,074 bytes");
        assert_eq!(with(8, 200), Violation::WrongLength);
        assert_eq!(with(14, 1), Violation::ContextTooLong);
        assert_eq!(with(12, 2), Violation::WrongLength, "a byte too many");
        assert_eq!(with(12, 4), Violation::WrongLength, "a byte too few");
        assert_eq!(with(16, b'x'), Violation::BadName);
        assert_eq!(with(17, 0xFF), Violation::NotText);
        for cut in 1..good.len() {
            assert_eq!(FromClient::parse(&good[..cut]), Err(Violation::WrongLength), "cut to {cut}");
        }
        assert_eq!(FromClient::parse(&[RING, 0]), Err(Violation::WrongLength));
    }

    #[test]
    fn every_malformed_answer_has_a_name() {
        let good = FromHost::Info(info()).encode();
        let with = |at: usize, value: u8| {
            let mut bad = good.clone();
            bad[at] = value;
            FromHost::parse(&bad).unwrap_err()
        };
        assert_eq!(FromHost::parse(&[]), Err(Violation::Empty));
        assert_eq!(with(0, 1), Violation::UnknownKind(1));
        assert_eq!(with(1, 2), Violation::UnknownFlags(2));
        assert_eq!(with(3, 1), Violation::UnsupportedVersion(0x0101));
        assert_eq!(with(22, 2), Violation::BadName);
        assert_eq!(with(26, 1), Violation::DescriptorTooLong);
        assert_eq!(with(28, 1), Violation::ReservedBits);
        assert_eq!(with(41, 0), Violation::BadName);
        assert_eq!(with(42, 0xFF), Violation::NotText);
        for cut in 1..good.len() {
            assert_eq!(FromHost::parse(&good[..cut]), Err(Violation::WrongLength), "cut to {cut}");
        }
        let mut refusal = FromHost::Refused(Refused::new(Status::ACCESS_DENIED, "")).encode();
        refusal.resize(8 + MAX_SENTENCE_LEN + 1, b'x');
        assert_eq!(FromHost::parse(&refusal), Err(Violation::SentenceTooLong));
    }

    #[test]
    fn sentences_are_cut_between_characters() {
        let refused = Refused::new(Status::ACCESS_DENIED, format!("{}\u{20AC}", "x".repeat(MAX_SENTENCE_LEN - 1)));
        assert_eq!(refused.sentence(), "x".repeat(MAX_SENTENCE_LEN - 1));
    }

    #[test]
    fn violations_have_names_and_sentences() {
        let all = [
            Violation::Empty,
            Violation::UnknownKind(7),
            Violation::WrongLength,
            Violation::UnsupportedVersion(2),
            Violation::UnknownFlags(8),
            Violation::ReservedBits,
            Violation::BadName,
            Violation::ContextTooLong,
            Violation::SentenceTooLong,
            Violation::DescriptorTooLong,
            Violation::NotText,
            Violation::OutOfTurn,
            Violation::FileCount,
            Violation::Truncated,
        ];
        let names: std::collections::BTreeSet<_> = all.iter().map(|violation| violation.name()).collect();
        let sentences: std::collections::BTreeSet<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!((names.len(), sentences.len()), (all.len(), all.len()));
        assert!(all.iter().all(|violation| violation.status().is_error()));
    }

    fn any_name() -> impl Strategy<Value = PortName> {
        "(\\\\[^\\\\\0]{1,20}){1,3}".prop_map(|text| PortName::parse(&text).unwrap())
    }

    proptest! {
        #[test]
        fn hello_round_trips(
            bits in 0_u32..4, name in any_name(), context in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let hello = Hello::new(HelloFlags::from_bits(bits).unwrap(), name, &context).unwrap();
            let bytes = FromClient::Hello(hello.clone()).encode();
            prop_assert_eq!(FromClient::parse(&bytes), Ok(FromClient::Hello(hello)));
        }

        #[test]
        fn answers_round_trip(
            name in any_name(), numbers in any::<[u32; 4]>(), sddl in ".{0,60}", started in any::<u64>(),
            case_insensitive in any::<bool>(), sentence in ".{0,600}",
        ) {
            let [pid, uid, connections, max_connections] = numbers;
            let info = Info { name, pid, uid, connections, max_connections, sddl, case_insensitive, started };
            for message in [
                FromHost::Info(info),
                FromHost::Refused(Refused::new(Status(pid), sentence)),
                FromHost::File { tag: started },
                FromHost::Closed { status: Status(uid) },
            ] {
                prop_assert_eq!(FromHost::parse(&message.encode()), Ok(message));
            }
        }

        #[test]
        fn parsing_never_panics(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = FromClient::parse(&packet);
            let _ = FromHost::parse(&packet);
        }

        /// Random bytes rarely get past the kind, so break a good message instead. What still parses must encode to the same bytes:
        /// there is one encoding of each message.
        #[test]
        fn a_broken_message_parses_to_itself_or_not_at_all(at in 0_usize..44, value in any::<u8>(), cut in 0_usize..44) {
            let mut hello = FromClient::Hello(Hello::new(HelloFlags::SYNC, name(r"\Port"), &[1; 23]).unwrap()).encode();
            hello[at] = value;
            if let Ok(message) = FromClient::parse(&hello) {
                prop_assert_eq!(message.encode(), &hello[..]);
            }
            let _ = FromClient::parse(&hello[..cut]);
            let mut answer = FromHost::Info(info()).encode();
            answer[at] = value;
            if let Ok(message) = FromHost::parse(&answer) {
                prop_assert_eq!(message.encode(), &answer[..]);
            }
            let _ = FromHost::parse(&answer[..cut]);
        }
    }
}
