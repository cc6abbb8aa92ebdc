//! One posted receive, a GET: posted in a slot, completed by a filter, read once, and let go of.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proto::client::{self, Completion, Posted};
use proto::host::{FLAG_FILE, Outcome};
use proto::slots::REASON_BUFFER;
use proto::status::Status;
use sys::clock::Deadline;
use sys::futex;

use super::attachment::Attachment;
use super::message::{Body, Message};
use crate::Error;
use crate::wait::{On, wait};

pub(super) const RECEIVING: &str = "receiving from";

/// What a complete GET held.
pub(super) enum Read {
    Message(Message),
    TooSmall {
        needed: usize,
        id: u64,
        reply_capacity: Option<usize>,
    },
    /// The filter gave up in the middle of a long message: as if it had not begun.
    Aborted,
}

/// One posted GET. Dropping it cancels it; a message that was delivered at that moment is refused.
#[derive(Debug)]
pub(super) struct Get {
    attachment: Arc<Attachment>,
    pub(super) posted: Posted,
    pub(super) capacity: u64,
    open: bool,
    /// A filter slept until it was posted, and comes to fill it.
    pub(super) woke: bool,
}

impl Get {
    /// Posts a GET, waiting for a slot; `None` when none became free before the deadline.
    pub(super) fn post(
        attachment: &Arc<Attachment>,
        capacity: u64,
        deadline: Option<Deadline>,
    ) -> Result<Option<Self>, Error> {
        let reserve = || client::reserve_get(attachment.memory.shared(), attachment.holder);
        let slot = Self::reserve(attachment, deadline, reserve)?;
        slot.map(|slot| Self::post_in(attachment, slot, capacity)).transpose()
    }

    /// Reserves slots by `reserve`, waiting for them; `None` when the deadline passed.
    pub(super) fn reserve<T>(
        attachment: &Attachment,
        deadline: Option<Deadline>,
        reserve: impl Fn() -> Option<T>,
    ) -> Result<Option<T>, Error> {
        if let Some(reserved) = reserve() {
            return Ok(Some(reserved));
        }
        let cancels = attachment.slots.cancels.load(Ordering::SeqCst);
        let cancelled = || attachment.slots.cancels.load(Ordering::SeqCst) != cancels;
        let over = || deadline.is_some_and(Deadline::passed);
        let reserve = || {
            if cancelled() { Some(None) } else { reserve().map(Some).or_else(|| over().then_some(None)) }
        };
        match attachment.reserve(deadline, reserve).ok_or_else(|| attachment.disconnected(RECEIVING))? {
            None if cancelled() => Err(attachment.cancelled()),
            reserved => Ok(reserved),
        }
    }

    /// Posts a GET that rings the bell, if a slot is free. May be called with the lock of a [`super::Completions`] held.
    pub(super) fn try_post(attachment: &Arc<Attachment>, capacity: u64) -> Result<Option<Self>, Error> {
        let shared = attachment.memory.shared();
        let Some(slot) = client::reserve_get(shared, attachment.holder) else { return Ok(None) };
        client::let_ring(shared, slot);
        Self::post_in(attachment, slot, capacity).map(Some)
    }

    pub(super) fn post_in(attachment: &Arc<Attachment>, slot: usize, capacity: u64) -> Result<Self, Error> {
        match Self::try_post_in(attachment, slot, capacity) {
            Some((posted, woke)) => Ok(Self { attachment: Arc::clone(attachment), posted, capacity, open: true, woke }),
            None => {
                // completions are not told, whose lock may be held here: the connection is gone, which all are told
                attachment.free(slot);
                Err(attachment.disconnected(RECEIVING))
            }
        }
    }

    /// Posts a GET in a reserved slot, and says whether a filter was woken; `None` when the connection is gone.
    fn try_post_in(attachment: &Attachment, slot: usize, capacity: u64) -> Option<(Posted, bool)> {
        if attachment.gone() {
            return None;
        }
        let shared = attachment.memory.shared();
        client::pass_over_last(attachment.memory.host(), shared, slot);
        let (posted, wake) = client::post_get(shared, slot, capacity)?;
        // looked at again: this process may have disconnected, and has marked what was posted before. What comes from
        // now on is for the others
        let over = attachment.gone() && client::cancel(shared, posted);
        // in any case: the wish was taken from the word
        let woke = attachment.wake(wake, &shared.attention.word, REASON_BUFFER);
        (!over).then_some((posted, woke))
    }

    /// Posts a GET that was read anew, in the same slot.
    pub(super) fn again(mut self) -> Result<Self, Error> {
        let posted = Self::try_post_in(&self.attachment, self.posted.slot, self.capacity);
        (self.posted, self.woke) = posted.ok_or_else(|| self.attachment.disconnected(RECEIVING))?;
        self.open = true;
        Ok(self)
    }

    pub(super) fn completed(&self) -> bool {
        client::completed(self.attachment.memory.host(), self.posted)
    }

    /// Whether [`Connection::cancel_receives`], or [`Get::cancel`], took it back.
    pub(super) fn cancelled(&self) -> bool {
        self.open && client::cancelled(self.attachment.memory.shared(), self.posted)
    }

    /// Takes it back; false when a filter has taken it: it completes in a moment.
    pub(super) fn cancel(&self) -> bool {
        client::cancel(self.attachment.memory.shared(), self.posted)
    }

    /// Waits until the GET is complete. False: the deadline passed and the GET was taken back.
    pub(super) fn wait(&mut self, deadline: Option<Deadline>) -> Result<bool, Error> {
        let cancelled = Cell::new(false);
        let look = || if cancelled.get() { Some(false) } else { self.look() };
        let mut completed = wait(&self.on(), deadline, look, || self.prepare(&cancelled));
        if completed.is_none() {
            if self.cancel() {
                self.open = false;
                return Ok(false);
            }
            // a filter took it at the last moment: it completes, unless the host dies
            completed = wait(&self.on(), None, look, || self.prepare(&cancelled));
        }
        match completed {
            Some(true) => Ok(true),
            _ if cancelled.get() => Err(self.attachment.cancelled()),
            _ => Err(self.attachment.disconnected(RECEIVING)),
        }
    }

    pub(super) fn on(&self) -> On<'_, AtomicU32> {
        let attachment = &self.attachment;
        let word = &attachment.memory.shared().slots[self.posted.slot].word;
        On { word, reasons: futex::ANY, patience: &attachment.receives, asleep: &attachment.asleep }
    }

    /// Whether it is complete, or, false, never will be.
    pub(super) fn look(&self) -> Option<bool> {
        if client::completed_soon(self.attachment.memory.host(), self.posted) {
            return Some(true);
        }
        // looked at again: what was delivered before the end is told before it
        self.attachment.gone().then(|| self.completed())
    }

    /// The value to sleep on. When there is none, another thread may have taken the GET back: looked for only here, so
    /// that a hot receive has nothing to look at besides its message.
    pub(super) fn prepare(&self, cancelled: &Cell<bool>) -> Option<u32> {
        let asleep = self.attachment.prepare_sleep(self.posted);
        cancelled.set(asleep.is_none() && self.cancelled());
        asleep
    }

    /// Reads a complete GET.
    pub(super) fn read(&mut self) -> Result<Read, Error> {
        self.open = false;
        let attachment = &self.attachment;
        let completion = client::completion(attachment.memory.host(), self.posted);
        attachment.receives.peer_ran_on(completion.cpu);
        match completion.outcome {
            Some(Outcome::TooSmall) => {
                // a filter that has taken it and cannot use it, because too many messages wait for replies, gives it
                // back
                if completion.len <= self.capacity {
                    return Ok(Read::Aborted);
                }
                let needed = usize::try_from(completion.len).unwrap_or(usize::MAX);
                let reply_capacity = completion.reply_to.map(|to| to.capacity as usize);
                Ok(Read::TooSmall { needed, id: completion.id, reply_capacity })
            }
            // memory is taken for no more than the receive is for, whatever the host says
            Some(Outcome::Message) if completion.len > self.capacity => Err(attachment
                .error(Status::INVALID_PARAMETER, RECEIVING)
                .hint("the host sent more than was asked for")),
            Some(Outcome::Message) => {
                let read = self.message(&completion);
                if let (Err(error), Some(to)) = (&read, completion.reply_to) {
                    // no program will see the message: its filter need not wait for the reply. That this process has
                    // disconnected is no news of the filter's connection, where it waits
                    let status = if attachment.gone() { Status::CANCELLED } else { error.status() };
                    attachment.refuse(completion.id, to, status);
                }
                read
            }
            _ => Err(attachment.error(Status::INVALID_PARAMETER, RECEIVING).hint("the host speaks a newer protocol")),
        }
    }

    fn message(&self, completion: &Completion) -> Result<Read, Error> {
        let attachment = &self.attachment;
        let file = if completion.flags & FLAG_FILE == 0 { None } else { Some(attachment.file(self.posted)?) };
        let Some(body) = self.body(completion)? else { return Ok(Read::Aborted) };
        Ok(Read::Message(Message {
            attachment: Arc::clone(attachment),
            body,
            id: completion.id,
            reply_to: completion.reply_to,
            deadline: completion.deadline,
            file,
        }))
    }

    /// Lets go of a message unread, of which the rest may come at its filter's pace: the thread that gives the slot
    /// back does not wait for it, and nor does the filter.
    fn refuse(&self) {
        let attachment = &self.attachment;
        let completion = client::completion(attachment.memory.host(), self.posted);
        if completion.outcome != Some(Outcome::Message) {
            return;
        }
        if completion.flags & FLAG_FILE != 0 {
            drop(attachment.file(self.posted));
        }
        if let Some(to) = completion.reply_to {
            attachment.refuse(completion.id, to, Status::CANCELLED);
        }
    }

    fn body(&self, completion: &Completion) -> Result<Option<Body>, Error> {
        let attachment = &self.attachment;
        let len = usize::try_from(completion.len).map_err(|_| attachment.disconnected(RECEIVING))?;
        let mut body = Body::new();
        if body.try_reserve_exact(len).is_err() {
            return Err(attachment
                .error(Status::INSUFFICIENT_RESOURCES, RECEIVING)
                .hint(format!("a message of {len} bytes does not fit into memory")));
        }
        body.resize(len, 0);
        match attachment.read_payload(self.posted.slot, &mut body) {
            Some(whole) => Ok(whole.then_some(body)),
            None => Err(attachment.disconnected(RECEIVING)),
        }
    }
}

impl Drop for Get {
    fn drop(&mut self) {
        if !self.attachment.guard.same_process() {
            return;
        }
        if self.open && !self.cancelled() && !self.cancel() && matches!(self.wait(None), Ok(true)) {
            self.refuse();
        }
        self.attachment.release(self.posted.slot);
    }
}

impl Attachment {
    pub(super) fn cancelled(&self) -> Error {
        self.error(Status::CANCELLED, RECEIVING)
    }
}
