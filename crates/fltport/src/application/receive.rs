//! Receiving, one message for each call.

use std::time::Duration;

#[cfg(doc)]
use proto::status::Status;
use sys::clock::{self, Deadline};

use super::connection::Connection;
use super::get::{Get, RECEIVING, Read};
use super::message::Message;
use crate::Error;
use crate::wait::Timeout;

/// How long a look for a message waits for a filter that it has woken, which comes in some microseconds unless its
/// process is stopped or the machine is busy.
const COMING: Duration = Duration::from_millis(100);

/// What a receive with a buffer of limited size got.
#[derive(Debug)]
pub enum Received {
    /// A message.
    Message(Message),
    /// A message waits that is larger than the buffer. Its sender goes on waiting for a larger one.
    #[doc(alias = "ERROR_INSUFFICIENT_BUFFER")]
    TooSmall {
        /// Bytes of body that a buffer must hold. (Windows counts 16 more for the header.)
        needed: usize,
        /// The message's id if it wants a reply, which it may be given unread ([`Connection::reply`]); else 0.
        id: u64,
        /// How many bytes of reply its filter has room for; `None` when it wants no reply.
        reply_capacity: Option<usize>,
    },
}

impl Connection {
    /// Waits for a message of any size and returns it.
    ///
    /// # Errors
    /// [`Status::PORT_DISCONNECTED`] when the filter closes, or is gone. [`Status::CANCELLED`] after
    /// [`Connection::cancel_receives`].
    /// [`Status::INSUFFICIENT_RESOURCES`]: a message came for which there is no memory, or no descriptor for its file;
    /// its filter, if it waits, has been answered so.
    #[doc(alias = "FilterGetMessage")]
    pub fn recv(&self) -> Result<Message, Error> {
        match self.recv_deadline(u64::MAX, None)? {
            Some(Received::Message(message)) => Ok(message),
            // without a deadline a receive ends with a message or an error, and nothing is larger than everything
            _ => Err(self.attachment.disconnected(RECEIVING)),
        }
    }

    /// Waits for a message for so long at most; `None` when none came. A message that is being delivered at that moment
    /// is returned, not lost.
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Option<Message>, Error> {
        Ok(match self.recv_deadline(u64::MAX, Timeout::After(timeout).deadline())? {
            Some(Received::Message(message)) => Some(message),
            _ => None,
        })
    }

    /// Takes a message from a filter that sleeps until there is a buffer; `None`, at once, when there is none. It is woken
    /// for that: to look for messages again and again, post receives and ask [`super::Completions::try_next`].
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub fn try_recv(&self) -> Result<Option<Message>, Error> {
        self.recv_timeout(Duration::ZERO)
    }

    /// Receives into a buffer for `capacity` bytes of body, as Windows' receivers do: a larger message is refused, and
    /// its sender goes on waiting.
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub fn recv_limited(&self, capacity: usize, timeout: Timeout) -> Result<Option<Received>, Error> {
        self.recv_deadline(capacity as u64, timeout.deadline())
    }

    fn recv_deadline(&self, capacity: u64, deadline: Option<Deadline>) -> Result<Option<Received>, Error> {
        let attachment = &self.attachment;
        attachment.check(RECEIVING)?;
        let Some(mut get) = Get::post(attachment, capacity, deadline)? else { return Ok(None) };
        let over = get.woke && deadline.is_some_and(Deadline::passed);
        let deadline = if over { Some(Deadline::Monotonic(clock::monotonic() + COMING)) } else { deadline };
        loop {
            if !get.wait(deadline)? {
                return Ok(None);
            }
            match get.read()? {
                Read::Message(message) => return Ok(Some(Received::Message(message))),
                Read::TooSmall { needed, id, reply_capacity } => {
                    return Ok(Some(Received::TooSmall { needed, id, reply_capacity }));
                }
                Read::Aborted => get = get.again()?,
            }
        }
    }
}
