//! A connection as a file, whose handle and whose requests Win32 keeps.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use abi::Error;
use abi::file::{File, Pending, Request, Word};
use fltport::internal::lock;
use fltport::{Completions, Connection, Message, Received, Timeout};
use proto::status::Status;
use smallvec::SmallVec;
use sys::clock::Deadline;
use sys::guarded;
use zerocopy::IntoBytes as _;

use crate::header::{HEADER, Header};

/// One connection of this process.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) connection: Connection,
    /// Where overlapped receives are posted, by the numbers of their requests.
    pub(crate) completions: Completions,
    /// FLT_PORT_FLAG_SYNC_HANDLE.
    pub(crate) synchronous: bool,
    /// A synchronous handle has one receive at a time.
    pub(crate) receiving: Mutex<()>,
    returned: Returned,
}

/// Messages that could not be written where they were to go: they are for the next receives.
#[derive(Debug, Default)]
struct Returned {
    some: AtomicBool,
    messages: Mutex<VecDeque<Message>>,
}

impl Port {
    pub(crate) fn new(connection: Connection, synchronous: bool) -> Self {
        let completions = connection.completions();
        Self { connection, completions, synchronous, receiving: Mutex::default(), returned: Returned::default() }
    }

    /// A message that is for the next receive.
    pub(crate) fn take_returned(&self) -> Option<Message> {
        if !self.returned.some.load(Ordering::Acquire) {
            return None;
        }
        let mut messages = lock(&self.returned.messages);
        let message = messages.pop_front();
        self.returned.some.store(!messages.is_empty(), Ordering::Release);
        message
    }

    /// Keeps a message for the next receive.
    pub(crate) fn give_back(&self, message: Message) {
        let mut messages = lock(&self.returned.messages);
        messages.push_front(message);
        self.returned.some.store(true, Ordering::Release);
    }

    /// Writes what has come into a program's buffer; the status of the receive, and the bytes that it tells of.
    ///
    /// # Safety
    /// If `buffer` can be written for `len` bytes, it is where the program wants the message.
    pub(crate) unsafe fn deliver(&self, received: Received, buffer: *mut u8, len: usize) -> (Status, usize) {
        let (needed, header, message) = match received {
            Received::Message(message) => {
                let header = Header::new(message.reply_capacity(), message.id());
                (message.body().len() + HEADER, header, Some(message))
            }
            Received::TooSmall { needed, id, reply_capacity } => {
                (needed + HEADER, Header::new(reply_capacity, id), None)
            }
        };
        let fits = message.is_some() && needed <= len;
        let mut written = Ok(());
        if len >= HEADER {
            // SAFETY: within the buffer, as of our caller.
            written = unsafe { guarded::write(buffer as usize, header.as_bytes()) };
        }
        if let (Ok(()), true, Some(message)) = (written, fits, &message) {
            // SAFETY: as above.
            written = unsafe { guarded::write(buffer as usize + HEADER, message.body()) };
        }
        match (written, message) {
            (Ok(()), Some(message)) if fits => {
                message.detach();
                (Status::SUCCESS, needed)
            }
            (written, message) => {
                // it was not received: its filter goes on waiting, for the next receive
                message.into_iter().for_each(|message| self.give_back(message));
                (if written.is_ok() { Status::BUFFER_TOO_SMALL } else { Status::ACCESS_VIOLATION }, needed)
            }
        }
    }

    /// Ends an overlapped receive with what has come for it.
    pub(crate) fn complete(&self, pending: Pending, result: Result<Received, fltport::Error>) {
        let (status, information) = match result {
            // SAFETY: where the program wants the message, until the request is complete.
            Ok(received) => unsafe { self.deliver(received, pending.buffer, pending.len) },
            Err(error) => (error.status(), 0),
        };
        pending.complete(status, information);
    }
}

/// How many bytes of a message's body a receive with a buffer of `len` bytes takes.
pub(crate) fn capacity(len: usize) -> usize {
    len.saturating_sub(HEADER)
}

impl File for Port {
    const TYPE: u32 = 1;

    fn close(&self) {
        self.connection.disconnect();
        self.collect();
        // a message that was for the next receive is answered, if its filter still waits
        lock(&self.returned.messages).clear();
    }

    fn cancel(&self, request: Option<&Request>) -> usize {
        match request {
            Some(request) => self.completions.cancel(std::ptr::from_ref(request) as u64),
            None => self.connection.cancel_receives(),
        }
    }

    fn collect(&self) {
        while let Ok(Some(completed)) = self.completions.try_next() {
            // SAFETY: the token of a request that was started, told once.
            let pending = unsafe { Pending::of(completed.token) };
            self.complete(pending, completed.result);
        }
    }

    fn wait(files: &[&Self], words: &[Word<'_>], deadline: Option<Deadline>) {
        let completions: SmallVec<[&Completions; 4]> = files.iter().map(|file| &file.completions).collect();
        let words: SmallVec<[_; 8]> = words.iter().map(|word| (word.word, word.expected)).collect();
        let timeout = deadline.map_or(Timeout::Never, |deadline| Timeout::After(deadline.remaining()));
        Completions::wait_any(&completions, &words, timeout);
    }

    fn duplicate(&self) -> Result<OwnedFd, Error> {
        Ok(self.connection.duplicate().map_err(|error| error.status())?)
    }

    fn adopt(descriptor: OwnedFd) -> Result<Self, Error> {
        let connection = Connection::from_handle(descriptor).map_err(|error| error.status())?;
        Ok(Self::new(connection, false))
    }
}
