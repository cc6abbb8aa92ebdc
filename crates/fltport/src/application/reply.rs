//! Replying: get a window where the reply is long, claim the waiter, write beside it, publish.

use std::sync::atomic::Ordering;

use proto::client::{self, Publish, ReplyTo};
use proto::pieces::{self, Stream, Writer};
use proto::slots::{REASON_BUFFER, REASON_REPLY, REPLY_INLINE, WINDOW, write_words};
use proto::status::Status;
use sys::futex::{self, Upper};

use super::attachment::{Attachment, LentWindow};
use super::connection::Connection;
use crate::Error;
use crate::sync::lock;
use crate::wait::wait_piece;

impl Connection {
    /// Answers message `id`, which any thread of any process with a handle to this connection has received.
    ///
    /// # Errors
    /// As [`super::Message::reply`].
    #[doc(alias = "FilterReplyMessage")]
    pub fn reply(&self, id: u64, status: Status, payload: &[u8]) -> Result<(), Error> {
        self.attachment.reply(id, client::find_waiter(self.attachment.memory.host(), id), status, payload)
    }
}

/// What the filter has room for.
fn cut(payload: &[u8], to: ReplyTo) -> &[u8] {
    &payload[..payload.len().min(to.capacity as usize)]
}

impl Attachment {
    pub(super) fn reply(&self, id: u64, to: Option<ReplyTo>, status: Status, payload: &[u8]) -> Result<(), Error> {
        let to = self.waits(id, to)?;
        let fits = cut(payload, to);
        let window = if fits.len() <= REPLY_INLINE {
            None
        } else {
            // before the claim: it may have to be waited for, and a thread that has claimed keeps others from answering
            Some(self.window(to, fits).map_err(|status| self.not_replied(id, status))?)
        };
        self.reply_in(window, id, to, status, payload)
    }

    /// As [`Attachment::reply`]; `None`, and nothing done, where it would have to wait, for a window or for the filter to
    /// read.
    #[cfg(feature = "async")]
    pub(super) fn reply_at_once(
        &self,
        id: u64,
        to: Option<ReplyTo>,
        status: Status,
        payload: &[u8],
    ) -> Option<Result<(), Error>> {
        let to = match self.waits(id, to) {
            Ok(to) => to,
            Err(error) => return Some(Err(error)),
        };
        let fits = cut(payload, to);
        let window = match fits.len() {
            0..=REPLY_INLINE => None,
            len if len <= WINDOW => Some(self.lend(self.reserve_window()?, fits)),
            _ => return None,
        };
        Some(self.reply_in(window, id, to, status, payload))
    }

    /// Replies with nothing but a status to a message that the application will not answer. The filter may be gone, or
    /// the process a fork: then nothing waits. This process may have disconnected: then others keep the connection, and
    /// the filter waits.
    pub(super) fn refuse(&self, id: u64, to: ReplyTo, status: Status) {
        if self.guard.same_process() {
            let _ = self.reply_in(None, id, to, status, &[]);
        }
    }

    fn not_replied(&self, id: u64, status: Status) -> Error {
        Error::new(status, format!("replying to message {id} of {}", self.name))
    }

    /// The waiter for the reply to this message.
    fn waits(&self, id: u64, to: Option<ReplyTo>) -> Result<ReplyTo, Error> {
        self.check_process("replying to a message of")?;
        // a connection that is gone has no waiters: no test for it, as on Windows
        to.filter(|_| !self.gone()).ok_or_else(|| self.not_replied(id, Status::FLT_NO_WAITER_FOR_REPLY))
    }

    /// Replies, where the first piece of a long payload lies in a `window` already.
    fn reply_in(
        &self,
        window: Option<usize>,
        id: u64,
        to: ReplyTo,
        status: Status,
        payload: &[u8],
    ) -> Result<(), Error> {
        let error = |status| self.not_replied(id, status);
        let (shared, fits) = (self.memory.shared(), cut(payload, to));
        if !client::claim(shared, to, self.holder, self.receives.cpu()) {
            if let Some(slot) = window {
                self.release(slot);
            }
            return Err(error(Status::FLT_NO_WAITER_FOR_REPLY));
        }
        client::write_reply(shared, to, status.0, fits, payload.len() as u64, window);
        let published = client::publish(shared, to);
        if let Publish::Delivered { wake, attention } = published {
            if wake {
                futex::wake(&shared.waiters[to.waiter].word, u32::MAX, futex::ANY);
            }
            if attention {
                futex::wake(&Upper(&shared.attention.word), u32::MAX, REASON_BUFFER | REASON_REPLY);
            }
        }
        let streamed = window.is_none_or(|slot| {
            let streamed = published != Publish::NoWaiter && (fits.len() <= WINDOW || self.write_rest(slot, to, fits));
            lock(&self.windows).push(LentWindow { slot, to });
            self.reclaim_windows();
            streamed
        });
        match published {
            Publish::NoWaiter => Err(error(Status::FLT_NO_WAITER_FOR_REPLY)),
            Publish::Delivered { .. } if !streamed && self.gone() => Err(error(Status::PORT_DISCONNECTED)),
            Publish::Delivered { .. } if !streamed => Err(error(Status::FLT_NO_WAITER_FOR_REPLY)),
            Publish::Delivered { .. } if payload.len() > fits.len() => Err(error(Status::BUFFER_OVERFLOW)
                .hint(format!("the filter has room for {} bytes, the reply has {}", fits.len(), payload.len()))),
            Publish::Delivered { .. } => Ok(()),
        }
    }

    /// Whether the filter waits for this reply, and nothing else has begun to give it.
    pub(super) fn is_waited_for(&self, to: ReplyTo) -> bool {
        !self.gone() && client::claimable(self.memory.shared(), to)
    }

    /// Reserves a slot for its window and puts the first piece of `payload` there. Waits for one to become free as long
    /// as the filter waits for the reply, and no other thread has begun to reply.
    fn window(&self, to: ReplyTo, payload: &[u8]) -> Result<usize, Status> {
        let shared = self.memory.shared();
        let reserve = || match client::claimable(shared, to) {
            true => self.reserve_window().map(Some),
            false => Some(None),
        };
        let reserved = self.reserve(None, reserve).ok_or(Status::PORT_DISCONNECTED)?;
        reserved.map(|slot| self.lend(slot, payload)).ok_or(Status::FLT_NO_WAITER_FOR_REPLY)
    }

    fn reserve_window(&self) -> Option<usize> {
        client::reserve_reply(self.memory.shared(), self.holder)
    }

    /// Puts the first piece of `payload` into the window of a reserved slot.
    fn lend(&self, slot: usize, payload: &[u8]) -> usize {
        let shared = self.memory.shared();
        write_words(&shared.window(slot).words, pieces::first(payload));
        shared.slots[slot].filled.store(1, Ordering::Release);
        slot
    }

    /// Writes the other pieces of a long reply as the filter reads them. False: it stopped reading.
    fn write_rest(&self, slot: usize, to: ReplyTo, payload: &[u8]) -> bool {
        let (host, shared) = (self.memory.host(), self.memory.shared());
        let stream = Stream::reply(host, shared, slot, to.waiter);
        let ended = || self.gone() || !client::reading(host, to);
        let mut writer = Writer::new(payload.len());
        loop {
            match wait_piece(|| writer.look(&stream), None, ended) {
                Ok(true) => match writer.write(&stream, payload) {
                    Some(written) => futex::wake(written, 1, futex::ANY),
                    None => return false,
                },
                whole => return whole == Ok(false),
            };
        }
    }
}
