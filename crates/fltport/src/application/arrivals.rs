//! What the host sends on this process's socket beside messages: their files, and handles that were asked for.
//!
//! They arrive in the order in which they were sent, and are wanted in any: a thread that finds what another one wants
//! puts it aside.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use proto::client::Posted;
use proto::slots::{GETS, file_tag, tagged_slot};
use proto::status::Status;
use proto::wire::{FromHost, MAX_ANSWER_LEN, Refused};
use sys::socket::Socket;

use super::attachment::Attachment;
use super::get::RECEIVING;
use crate::Error;
use crate::sync::lock;

/// More files than this do not lie before that of a message: each posted receive has one at most. A host that sends
/// others would keep a thread reading.
const MOST_FILES: usize = 4 * GETS;

/// More handles than this are not put aside.
const MOST_HANDLES: usize = 64;

/// Why an answer is of no use that should bring descriptors and brings none.
pub(super) const LOST: &str = "a descriptor did not arrive; are there file descriptors left? (ulimit -n)";

/// How long a thread waits for a handle before it looks whether another one has put it aside.
const SLICE: Duration = Duration::from_millis(20);

/// What has arrived and was not wanted by the thread that found it.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// Files, with their tags, by slot.
    files: HashMap<usize, (u64, OwnedFd)>,
    /// The answers of the host to the threads that asked for a handle.
    handles: VecDeque<Result<OwnedFd, Refused>>,
}

/// What one packet was.
enum Arrival {
    Aside,
    /// A file whose descriptor did not arrive, with its tag.
    Lost(u64),
    End,
}

impl Arrivals {
    /// Takes one packet from the socket.
    ///
    /// # Errors
    /// `WouldBlock`: there is none. The kernel's.
    fn take_in(&mut self, socket: &Socket) -> io::Result<Arrival> {
        let mut packet = [0; MAX_ANSWER_LEN];
        let mut received = socket.try_recv(&mut packet)?;
        Ok(match (FromHost::parse(&packet[..received.len]), received.files.pop()) {
            (Ok(FromHost::File { tag }), Some(file)) => {
                // one for each receive: those that a host makes up would take all descriptors
                tagged_slot(tag).and_then(|slot| self.files.insert(slot, (tag, file)));
                Arrival::Aside
            }
            (Ok(FromHost::File { tag }), None) => Arrival::Lost(tag),
            (Ok(FromHost::Handle), handle) => {
                let lost = || Refused::new(Status::INSUFFICIENT_RESOURCES, LOST);
                self.answered(handle.ok_or_else(lost))
            }
            (Ok(FromHost::Refused(refused)), _) => self.answered(Err(refused)),
            (Ok(FromHost::Closed { .. }), _) => Arrival::Aside,
            _ => Arrival::End,
        })
    }

    fn answered(&mut self, answer: Result<OwnedFd, Refused>) -> Arrival {
        // one for each thread that asks: those that a host makes up would take all descriptors
        if self.handles.len() < MOST_HANDLES {
            self.handles.push_back(answer);
        }
        Arrival::Aside
    }
}

impl Attachment {
    /// The file that was sent ahead of the message in `posted`.
    pub(super) fn file(&self, posted: Posted) -> Result<OwnedFd, Error> {
        let tag = file_tag(posted.slot, posted.generation);
        let failed = |error| {
            Error::with_source(Status::INSUFFICIENT_RESOURCES, format!("{RECEIVING} {}", self.name), error)
                .hint("the file of a message did not arrive; are there file descriptors left? (ulimit -n)")
        };
        let mut arrivals = lock(&self.arrivals);
        for _ in 0..MOST_FILES {
            if arrivals.files.get(&posted.slot).is_some_and(|&(other, _)| other == tag) {
                let Some((_, file)) = arrivals.files.remove(&posted.slot) else { break };
                return Ok(file);
            }
            if self.gone() {
                return Err(self.disconnected(RECEIVING));
            }
            match arrivals.take_in(&self.socket).map_err(failed)? {
                Arrival::Lost(lost) if lost == tag => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
                Arrival::Lost(_) | Arrival::Aside => {}
                Arrival::End => return Err(self.disconnected(RECEIVING)),
            }
        }
        Err(self.error(Status::INVALID_PARAMETER, RECEIVING).hint("the host sent files of no message"))
    }

    /// Waits for the answer to a request for a handle: any, for one is as good as another.
    ///
    /// # Errors
    /// `NotConnected`; `TimedOut`; the kernel's.
    pub(super) fn handle(&self, deadline: Instant) -> io::Result<Result<OwnedFd, Refused>> {
        loop {
            let mut arrivals = lock(&self.arrivals);
            if let Some(handle) = arrivals.handles.pop_front() {
                return Ok(handle);
            }
            if self.gone() {
                return Err(io::ErrorKind::NotConnected.into());
            }
            match arrivals.take_in(&self.socket) {
                Ok(Arrival::End) => return Err(io::ErrorKind::NotConnected.into()),
                Ok(_) => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            drop(arrivals);
            match self.socket.wait_readable(Some(deadline.min(Instant::now() + SLICE))) {
                Err(error) if error.kind() == io::ErrorKind::TimedOut && Instant::now() < deadline => {}
                waited => waited?,
            }
        }
    }
}
