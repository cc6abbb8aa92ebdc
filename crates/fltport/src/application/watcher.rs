//! Being told of completions instead of waiting for them: a thread that watches, and a descriptor that it makes
//! readable.

use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

use proto::status::Status;
use rustix::event::{EventfdFlags, eventfd};

#[cfg(feature = "async")]
use super::completion_queue::Completed;
use super::completion_queue::{CompletionQueue, LetGo};
use super::completions::Completions;
use super::get::RECEIVING;
use super::register::Receives as _;
use crate::Error;
use crate::sync::lock;

/// A [`Completions`] with a descriptor for an event loop: readable (POLLIN) while something has completed that was not
/// taken, or the connection is gone. It is for polling only; the loop calls [`Completions::try_next`] until there is
/// nothing more.
///
/// A thread of the library's stands behind it; `doc/design.md` (waiting) says what it costs.
#[derive(Debug)]
pub struct Pollable {
    completions: Completions,
}

impl Completions {
    /// Makes this something that poll, select, epoll and the event loops over them can wait for.
    ///
    /// # Errors
    /// [`Status::INSUFFICIENT_RESOURCES`]: no descriptor or thread. [`Status::INVALID_HANDLE`]: after a fork.
    pub fn pollable(self) -> Result<Pollable, Error> {
        let queue = &self.queue;
        let failed = |error| {
            Error::with_source(
                Status::INSUFFICIENT_RESOURCES,
                format!("polling receives from {}", queue.attachment.name),
                error,
            )
        };
        queue.attachment.check_process(RECEIVING)?;
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|error| failed(error.into()))?;
        // set once, here: this consumes what it is called on
        let _ = queue.signal.set(fd);
        self.tell()?;
        Ok(Pollable { completions: self })
    }

    /// Starts the thread that watches, unless there is one.
    pub(super) fn tell(&self) -> Result<(), Error> {
        let mut watcher = lock(&self.watcher);
        if watcher.is_some() {
            return Ok(());
        }
        let queue = Arc::clone(&self.queue);
        let thread = std::thread::Builder::new().name("fltmgr-watch".into());
        let thread = thread.spawn(move || queue.stand_by()).map_err(|error| {
            Error::with_source(
                Status::INSUFFICIENT_RESOURCES,
                format!("{RECEIVING} {}", self.queue.attachment.name),
                error,
            )
            .hint("no thread to watch for messages")
        })?;
        *watcher = Some(thread);
        let mut state = self.queue.lock();
        state.told = true;
        // one that watches for itself leaves it to the thread
        self.queue.ring();
        Ok(())
    }

    /// What has completed; if nothing has, the last waker that this was called with is woken when something does.
    #[cfg(feature = "async")]
    pub(super) fn poll(&self, context: &std::task::Context<'_>) -> std::task::Poll<Result<Completed, Error>> {
        use std::task::Poll;

        let queue = &self.queue;
        if let Err(error) = queue.attachment.check_process(RECEIVING) {
            return Poll::Ready(Err(error));
        }
        // both dropped after the lock is let go
        let waker = context.waker().clone();
        let mut let_go = LetGo::new();
        loop {
            let mut state = queue.lock();
            let gone = queue.harvest(&mut state, &mut let_go);
            let end = state.ended.pop_front();
            queue.signal(&mut state);
            let Some((token, end)) = end else {
                if gone {
                    return Poll::Ready(Err(queue.attachment.disconnected(RECEIVING)));
                }
                let old = state.waker.replace(waker);
                drop(state);
                drop(old);
                return Poll::Pending;
            };
            drop(state);
            if let Some(completed) = queue.complete(token, end) {
                return Poll::Ready(Ok(completed));
            }
        }
    }
}

impl Deref for Pollable {
    type Target = Completions;

    fn deref(&self) -> &Completions {
        &self.completions
    }
}

impl AsFd for Pollable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let Some(signal) = self.completions.queue.signal.get() else { unreachable!("set before this was made") };
        signal.as_fd()
    }
}

impl AsRawFd for Pollable {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl CompletionQueue {
    /// Watches, and tells, until the connection or the [`Completions`] ends.
    fn stand_by(&self) {
        let mut let_go = LetGo::new();
        let mut state = self.lock();
        while !state.closed {
            let gone = self.harvest(&mut state, &mut let_go);
            self.signal(&mut state);
            let ready = gone || !state.ended.is_empty();
            if ready && state.followers > 0 {
                self.changed.notify_all();
            }
            let waker = if ready { state.waker.take() } else { None };
            if waker.is_some() || !let_go.is_empty() {
                state.waking = waker.is_some();
                drop(state);
                let_go.clear();
                if let Some(waker) = waker {
                    waker.wake();
                }
                state = self.lock();
                state.waking = false;
            } else if gone {
                // a thread that asks from now on is told at once
                return;
            } else if state.watched {
                state = self.follow(state, None);
            } else {
                state = self.watch(state, None);
            }
        }
    }
}
