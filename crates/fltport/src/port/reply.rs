//! The reply to a message: waited for, judged once, copied once.

use std::sync::atomic::Ordering;

use proto::host::{self, Waiter};
use proto::slots::{REPLY_INLINE, WINDOW, read_words};
use proto::status::Status;
use proto::violation::Violation;
use sys::clock::Deadline;
use sys::futex;

use super::link::Link;
use super::pieces::Reading;
use crate::Error;
use crate::wait::{On, wait};

/// A reply, as the sender's buffer got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The status that the application put into its reply, or [`Status::BUFFER_OVERFLOW`] when the reply was longer
    /// than the buffer.
    pub status: Status,
    /// Bytes of the buffer that were filled.
    #[doc(alias = "ReplyLength")]
    pub len: usize,
}

/// A reply that was published, as far as it is kept.
pub(super) struct Replied {
    pub(super) status: Status,
    /// Bytes of payload.
    pub(super) fits: usize,
    /// Bytes that the replier sends: it was told a capacity that the buffer need not have.
    pub(super) len: usize,
    /// The window through which they come; `None` when they lie beside the waiter's words.
    pub(super) window: Option<usize>,
}

impl Replied {
    /// Where its pieces come, when it has several.
    pub(super) fn in_pieces(&self, waiter: Waiter) -> Option<Reading> {
        self.window.filter(|_| self.len > WINDOW).map(|window| Reading::new(waiter, window, self.len))
    }
}

impl Link {
    pub(super) fn await_reply(
        &self,
        waiter: Waiter,
        reply: &mut [u8],
        deadline: Option<Deadline>,
    ) -> Result<Reply, Error> {
        let shared = self.memory.shared();
        let on = On {
            word: &shared.waiters[waiter.index].word,
            reasons: futex::ANY,
            patience: &self.replies,
            asleep: &self.asleep,
        };
        let look = || {
            if self.closed() {
                return Some(false); // a disconnect wins over a reply
            }
            host::replied(shared, waiter).then_some(true)
        };
        let prepare = || {
            let asleep = host::prepare_sleep(shared, waiter);
            if asleep.is_none() {
                let dead = host::marked_dead(shared, waiter);
                if !self.ended(dead) && !host::replied(shared, waiter) {
                    self.violated(Violation::Restless);
                }
            }
            asleep
        };
        match wait(&on, deadline, look, prepare) {
            Some(true) => self.collect(waiter, reply, deadline),
            Some(false) => {
                self.give_up(waiter);
                Err(self.disconnected())
            }
            None if host::expire(shared, waiter) => {
                self.end(waiter);
                Err(self.no_reply())
            }
            None => self.collect(waiter, reply, deadline),
        }
    }

    /// Copies a published reply, once, and ends the waiter.
    pub(super) fn collect(&self, waiter: Waiter, reply: &mut [u8], deadline: Option<Deadline>) -> Result<Reply, Error> {
        let collected = self.read_reply(waiter, reply, deadline);
        self.end(waiter);
        collected
    }

    fn read_reply(&self, waiter: Waiter, reply: &mut [u8], deadline: Option<Deadline>) -> Result<Reply, Error> {
        let replied = self.judge(waiter, reply.len())?;
        let fits = &mut reply[..replied.fits];
        match replied.in_pieces(waiter) {
            None => self.read_at_once(waiter, &replied, fits),
            Some(reading) => self.read_pieces(reading, fits, deadline)?,
        }
        Ok(Reply { status: replied.status, len: replied.fits })
    }

    /// Reads a reply that is there as a whole.
    pub(super) fn read_at_once(&self, waiter: Waiter, replied: &Replied, into: &mut [u8]) {
        let shared = self.memory.shared();
        match replied.window {
            None => read_words(&shared.waiters[waiter.index].inline, into),
            Some(window) => read_words(&shared.window(window).words, into),
        }
    }

    /// Reads what lies beside a published reply, once, and judges it. There is `room` for so many bytes of payload.
    pub(super) fn judge(&self, waiter: Waiter, room: usize) -> Result<Replied, Error> {
        let published = host::published(self.memory.shared(), waiter).and_then(|published| {
            let len = usize::try_from(published.len).unwrap_or(usize::MAX);
            let fits = len.min(room).min(self.capacity_of(waiter));
            let status = if len > fits { Status::BUFFER_OVERFLOW } else { Status(published.status) };
            let lies = published.window.is_some() || fits <= REPLY_INLINE;
            self.replies.peer_ran_on(published.cpu);
            let len = len.min(self.capacity_of(waiter));
            lies.then_some(Replied { status, fits, len, window: published.window })
        });
        published.ok_or_else(|| {
            self.violated(Violation::BadReply);
            self.disconnected()
        })
    }

    /// The capacity that the replier was told: the host's region is ours alone.
    pub(super) fn capacity_of(&self, waiter: Waiter) -> usize {
        self.memory.host().waiters[waiter.index].capacity.load(Ordering::Relaxed) as usize
    }

    /// Gives up a waiter, whatever has become of it.
    pub(super) fn give_up(&self, waiter: Waiter) {
        if !self.ours() {
            return;
        }
        let _replied = host::expire(self.memory.shared(), waiter);
        self.end(waiter);
    }

    /// Lets a waiter's index be used again.
    pub(super) fn end(&self, waiter: Waiter) {
        let long = self.capacity_of(waiter) > WINDOW;
        let (host_memory, shared) = (self.memory.host(), self.memory.shared());
        if !(host::replied(shared, waiter) && self.spare.disarm(host_memory, waiter)) {
            self.ledger().host.disarm(host_memory, shared, waiter);
        }
        if long {
            // a replier that streams sleeps on the counter until it sees that the waiter has ended
            futex::wake(&host_memory.waiters[waiter.index].drained, u32::MAX, futex::ANY);
        }
        self.take_back();
    }
}
