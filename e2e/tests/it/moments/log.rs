//! What each end notes, in a file of its own: a record is there when the call returns, so that a kill loses nothing.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use fltmgr::Status;

/// What happened to a message or request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Event {
    /// The filter begins to send it.
    Began = 1,
    /// The filter's call has returned.
    Ended,
    /// The filter let it go without looking for the reply.
    LetGo,
    /// The filter's callback has the request.
    Called,
    /// The application has the message.
    Seen,
    /// The application's reply has returned.
    Replied,
    /// The application drops it unanswered.
    Dropped,
    /// The application's reply to a message that it never had has returned: by the id in a refused receive. The number
    /// is that id.
    Unread,
    /// A second reply was accepted.
    Twice,
    /// The application begins a request.
    Requested,
    /// The request has returned.
    Answered,
}

const EVENTS: [Event; 11] = [
    Event::Began,
    Event::Ended,
    Event::LetGo,
    Event::Called,
    Event::Seen,
    Event::Replied,
    Event::Dropped,
    Event::Unread,
    Event::Twice,
    Event::Requested,
    Event::Answered,
];

/// One line of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) event: Event,
    /// Which message or request.
    pub(crate) number: u64,
    pub(crate) status: Status,
    /// Whether payloads were what they should be; where there is none, true.
    pub(crate) right: bool,
    /// The id in an answer to an unread message.
    pub(crate) id: u64,
    /// Nanoseconds of the monotonic clock: when the call was made, or, of [`Event::LetGo`], when it returned.
    pub(crate) at: u64,
}

const LEN: usize = 32;

pub(crate) struct Log(File);

impl Log {
    pub(crate) fn new(path: &Path) -> Self {
        Self(OpenOptions::new().create(true).append(true).open(path).expect("a log"))
    }

    pub(crate) fn note(&self, event: Event, number: u64) {
        self.write(&Record { event, number, status: Status::SUCCESS, right: true, id: 0, at: 0 });
    }

    pub(crate) fn write(&self, record: &Record) {
        let mut line = [0; LEN];
        line[0] = record.event as u8;
        line[1] = record.right.into();
        line[4..8].copy_from_slice(&record.status.0.to_le_bytes());
        line[8..16].copy_from_slice(&record.number.to_le_bytes());
        line[16..24].copy_from_slice(&record.id.to_le_bytes());
        line[24..].copy_from_slice(&record.at.to_le_bytes());
        // one write, within one page of the file: all of it is there or nothing, whenever the process is killed
        (&self.0).write_all(&line).expect("room for a log");
    }

    /// What a process has written here, whether it lives or not; nothing, if there was none in this round.
    pub(crate) fn read(path: &Path) -> Vec<Record> {
        let bytes = if path.exists() { std::fs::read(path).expect("a log") } else { Vec::new() };
        assert_eq!(bytes.len() % LEN, 0, "a torn record");
        bytes.chunks_exact(LEN).map(record).collect()
    }
}

fn record(line: &[u8]) -> Record {
    let number = |at: usize| u64::from_le_bytes(line[at..at + 8].try_into().expect("8 bytes"));
    Record {
        event: EVENTS[usize::from(line[0]) - 1],
        right: line[1] != 0,
        status: Status(u32::from_le_bytes(line[4..8].try_into().expect("4 bytes"))),
        number: number(8),
        id: number(16),
        at: number(24),
    }
}

pub(crate) fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
