//! What messages hold: their number, then bytes of their own; short, of one window, or of several.

use fltmgr::Status;
use testkit::mix;

pub(crate) const QUESTION: u64 = 0;
pub(crate) const ANSWER: u64 = 7;
/// The filter's reply buffer.
pub(crate) const ROOM: usize = 200_000;
/// Status of a reply to a message that the application was told of, and has not read.
pub(crate) const UNREAD: Status = Status(0x2042_0001);

/// How the filter sends a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Send,
    Ask,
    Start,
    AskThen,
}

impl Kind {
    pub(crate) fn of(number: u64) -> Self {
        match mix(number ^ 9) % 8 {
            0 => Self::Send,
            1..5 => Self::Ask,
            5 => Self::Start,
            _ => Self::AskThen,
        }
    }
}

/// The payload of `number`; `salt` tells a question from an answer.
pub(crate) fn payload(number: u64, salt: u64) -> Vec<u8> {
    let shape = mix(number ^ salt);
    let more = match shape % 16 {
        0 => 65_536 + (shape >> 8) % 100_000,
        1 => (shape >> 8) % 65_000,
        _ => (shape >> 8) % 200,
    };
    let mut payload = number.to_le_bytes().to_vec();
    payload.resize(8 + more as usize, shape as u8);
    payload
}

pub(crate) fn is_payload(payload: &[u8], number: u64, salt: u64) -> bool {
    payload == self::payload(number, salt)
}

pub(crate) fn number(payload: &[u8]) -> u64 {
    payload.get(..8).and_then(|bytes| bytes.try_into().ok()).map_or(u64::MAX - 1, u64::from_le_bytes)
}
