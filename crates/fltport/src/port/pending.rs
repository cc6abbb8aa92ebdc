//! A reply that is waited for later.

use std::fmt;
use std::sync::Arc;

use proto::host::{self, Waiter};
use sys::clock::Deadline;

use super::link::Link;
use super::reply::Reply;
use crate::Error;

/// A message that was delivered and whose reply is still to come. Dropping it gives up the reply.
pub struct Pending {
    link: Arc<Link>,
    waiter: Waiter,
    capacity: u32,
    deadline: Option<Deadline>,
    open: bool,
}

impl Pending {
    /// The reply to a message that was delivered, for which the application was told of this `capacity`.
    pub(super) fn new(link: Arc<Link>, waiter: Waiter, capacity: u32, deadline: Option<Deadline>) -> Self {
        Self { link, waiter, capacity, deadline, open: true }
    }

    /// The message's id.
    pub fn id(&self) -> u64 {
        self.waiter.id
    }

    /// Whether the reply is there: then [`Pending::wait`] returns at once.
    pub fn is_ready(&self) -> bool {
        self.link.closed() || host::replied(self.link.memory.shared(), self.waiter)
    }

    /// Waits for the reply. Of a reply that is longer than `reply`, or than the capacity given at the start, what fits
    /// is kept.
    ///
    /// # Errors
    /// As [`super::Client::ask`].
    pub fn wait(mut self, reply: &mut [u8]) -> Result<Reply, Error> {
        self.open = false;
        let link = &self.link;
        link.check_process()?;
        let room = reply.len().min(self.capacity as usize);
        link.await_reply(self.waiter, &mut reply[..room], self.deadline)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.open {
            self.link.give_up(self.waiter);
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("id", &self.id()).field("ready", &self.is_ready()).finish_non_exhaustive()
    }
}
