//! Receiving by completion: GETs are posted with a token each, and complete in any order, on whichever thread asks.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use proto::client;
use proto::slots::GETS;
#[cfg(doc)]
use proto::status::Status;
use sys::futex;

use super::completion_queue::{Completed, CompletionQueue};
use super::connection::Connection;
use super::get::RECEIVING;
use super::register::Receives;
use crate::Error;
use crate::sync::lock;
use crate::wait::Timeout;

impl Connection {
    /// A place to post receives to, with a token each, and to wait for any of them: what a Windows program does with
    /// OVERLAPPED and a completion port.
    pub fn completions(&self) -> Completions {
        let queue = Arc::new(CompletionQueue::new(Arc::clone(&self.attachment)));
        let receives: Weak<dyn Receives> = Arc::downgrade(&(Arc::clone(&queue) as _));
        self.attachment.completions.add(receives);
        Completions { queue, watcher: Mutex::new(None) }
    }

    /// Ends every receive of this process that waits on this connection, posted or blocking, in any thread, with
    /// [`Status::CANCELLED`]. One that a filter is filling at this moment completes instead. The connection stays
    /// usable, and a message that was delivered is still to be answered. Returns how many posted ones there were.
    #[doc(alias("CancelIoEx", "CancelIo", "CancelSynchronousIo"))]
    pub fn cancel_receives(&self) -> usize {
        let attachment = &self.attachment;
        if !attachment.guard.same_process() {
            return 0;
        }
        attachment.slots.cancels.fetch_add(1, Ordering::SeqCst);
        attachment.wake_waiting();
        let mut cancelled = 0;
        // first those that wait for a slot, so that none is posted in a slot that becomes free here
        attachment.completions.each(|receives| cancelled += receives.cancel_all());
        let shared = attachment.memory.shared();
        let before = cancelled;
        for slot in client::calls(shared).take_while(|&slot| slot < GETS) {
            if let Some(asleep) = client::cancel_slot(shared, slot, attachment.holder) {
                cancelled += 1;
                if asleep {
                    futex::wake(&shared.slots[slot].word, u32::MAX, futex::ANY);
                }
            }
        }
        if cancelled != before {
            // one may have been posted by token since: the thread that watches need not sleep on its word
            attachment.completions.each(|receives| receives.ring());
        }
        cancelled
    }
}

/// Receives that were posted with a token each. Each completes exactly once: with a message, with the size it would
/// have needed, cancelled, or disconnected.
///
/// All calls take `&self`, from many threads at once; a completion goes to one of those that ask. Dropping it takes
/// back what is posted; messages that were delivered and not asked for yet are answered as a [`super::Message`] that is
/// dropped.
///
/// 1,024 receives of a connection can take messages at a time; those posted beyond them wait for their turn in this
/// process, in order. One thread that waits sleeps for all of them, so there is no thread of the library's behind it.
///
/// ```no_run
/// # fn main() -> Result<(), fltport::Error> {
/// use fltport::{Connection, Received, Status};
///
/// let port = Connection::connect(r"\ScannerPort", b"")?;
/// let completions = port.completions();
/// for token in 0..4 {
///     completions.post(token, 4096)?;
/// }
/// loop {
///     let completed = completions.next()?;
///     if let Received::Message(message) = completed.result? {
///         message.reply(Status::SUCCESS, b"\x01")?;
///     }
///     completions.post(completed.token, 4096)?;
/// }
/// # }
/// ```
#[derive(Debug)]
#[doc(alias("CreateIoCompletionPort", "FilterGetMessage", "OVERLAPPED"))]
pub struct Completions {
    pub(super) queue: Arc<CompletionQueue>,
    /// The thread that watches for callers that want to be told.
    pub(super) watcher: Mutex<Option<JoinHandle<()>>>,
}

impl Completions {
    /// Posts a receive for up to `capacity` bytes of body. Never blocks. `token` is any number, the same one twice if
    /// you like.
    ///
    /// # Errors
    /// [`Status::PORT_DISCONNECTED`]: the connection is gone; nothing was posted. [`Status::INVALID_HANDLE`]: after a
    /// fork.
    #[doc(alias = "FilterGetMessage")]
    pub fn post(&self, token: u64, capacity: usize) -> Result<(), Error> {
        self.queue.attachment.check(RECEIVING)?;
        self.queue.post(token, capacity as u64)
    }

    /// Waits for a receive to complete, or to be posted and then complete. Those that complete together come in the
    /// order of posting.
    ///
    /// # Errors
    /// [`Status::PORT_DISCONNECTED`]: the connection is gone and everything that was posted has been told.
    /// [`Status::INVALID_HANDLE`]: after a fork.
    #[doc(alias("GetQueuedCompletionStatus", "GetOverlappedResult"))]
    pub fn next(&self) -> Result<Completed, Error> {
        // without a deadline there is an end or an error
        self.queue.next(None)?.ok_or_else(|| self.queue.attachment.disconnected(RECEIVING))
    }

    /// As [`Completions::next`], for so long at most; `None` when none completed.
    ///
    /// # Errors
    /// As [`Completions::next`].
    pub fn next_timeout(&self, timeout: Duration) -> Result<Option<Completed>, Error> {
        self.queue.next(Timeout::After(timeout).deadline())
    }

    /// What has completed already; `None` when nothing has.
    ///
    /// # Errors
    /// As [`Completions::next`].
    pub fn try_next(&self) -> Result<Option<Completed>, Error> {
        self.next_timeout(Duration::ZERO)
    }

    /// Takes back every receive posted with `token`: each of them that no filter has taken completes with
    /// [`Status::CANCELLED`]. Returns how many those are; the others complete as if this had not been called.
    #[doc(alias = "CancelIoEx")]
    pub fn cancel(&self, token: u64) -> usize {
        self.queue.cancel(|posted| posted == token)
    }

    /// Takes back everything that is posted here, as [`Completions::cancel`] does.
    #[doc(alias = "CancelIoEx")]
    pub fn cancel_all(&self) -> usize {
        self.queue.cancel(|_| true)
    }

    /// How many receives were posted whose completion has not been taken yet.
    pub fn outstanding(&self) -> usize {
        if !self.queue.attachment.guard.same_process() {
            return 0;
        }
        let state = self.queue.lock();
        state.waiting.len() + state.posted.len() + state.ended.len()
    }

    /// Waits for the end of the thread that watches, which has been told and runs none of the user's code.
    pub(super) fn dismiss(&self) {
        if let Some(watcher) = lock(&self.watcher).take() {
            // it does not panic; if a waker of the user's did, the panic hook has said so
            let _ = watcher.join();
        }
    }
}

impl Drop for Completions {
    fn drop(&mut self) {
        if !self.queue.attachment.guard.same_process() {
            // the thread is the parent's; what stood for it may stand for a thread of this process by now, and is not to
            // be let go of
            let watcher = self.watcher.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(watcher.take());
            return;
        }
        let queue = &self.queue;
        let mut state = queue.lock();
        queue.take_waiting(&mut state);
        let posted = std::mem::take(&mut state.posted);
        let ended = std::mem::take(&mut state.ended);
        state.closed = true;
        let waking = state.waking;
        queue.ring();
        drop(state);
        // the waker may want what the thread that drops this holds
        if !waking {
            self.dismiss();
        }
        // without the lock: what was delivered is answered
        drop((posted, ended));
    }
}
