//! A connection that is received from one message at a time, and has a descriptor for event loops once one asks for it:
//! what bindings to other languages give to their programs.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::OnceLock;

use super::Message;
use super::completion_queue::Completed;
use super::connection::Connection;
use super::receive::Received;
use super::watcher::Pollable;
use crate::Error;
use crate::wait::Timeout;

/// A connection, and the receives that stay posted once an event loop has asked for their descriptor.
#[derive(Debug)]
pub struct Polled {
    connection: Connection,
    pollable: OnceLock<Pollable>,
}

/// How many receives stay posted for an event loop.
const POSTED: u64 = 8;

impl Polled {
    /// A connection without a descriptor so far.
    #[must_use]
    pub const fn new(connection: Connection) -> Self {
        Self { connection, pollable: OnceLock::new() }
    }

    /// The connection. A receive on it competes with those that stay posted.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// A descriptor that is readable while there is a message, or the connection is gone.
    ///
    /// # Errors
    /// As [`Completions::post`](super::Completions::post) and [`Completions::pollable`](super::Completions::pollable).
    pub fn descriptor(&self) -> Result<BorrowedFd<'_>, Error> {
        if let Some(pollable) = self.pollable.get() {
            return Ok(pollable.as_fd());
        }
        let completions = self.connection.completions();
        for token in 0..POSTED {
            completions.post(token, usize::MAX)?;
        }
        let pollable = completions.pollable()?;
        Ok(self.pollable.get_or_init(|| pollable).as_fd())
    }

    /// Waits for a message; `None` if none came in time.
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub fn receive(&self, timeout: Timeout) -> Result<Option<Message>, Error> {
        let Some(pollable) = self.pollable.get() else {
            return self.connection.recv_limited(usize::MAX, timeout).map(|received| received.and_then(message));
        };
        let completed = match timeout {
            Timeout::Never => Some(pollable.next()?),
            Timeout::After(time) => pollable.next_timeout(time)?,
            _ => pollable.try_next()?,
        };
        let Some(Completed { token, result, .. }) = completed else { return Ok(None) };
        // none is left when the connection has ended, which the result says
        let _ = pollable.post(token, usize::MAX);
        result.map(message)
    }
}

fn message(received: Received) -> Option<Message> {
    match received {
        Received::Message(message) => Some(message),
        // nothing is larger than everything
        Received::TooSmall { .. } => None,
    }
}
