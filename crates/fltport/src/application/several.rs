//! One thread that waits for receives of several connections, and for other things besides.

use std::sync::atomic::AtomicU32;

use smallvec::SmallVec;

use super::completion_queue::CompletionQueue;
use super::completions::Completions;
use super::watched::{WatchedReceives, wait};
use crate::wait::Timeout;

impl Completions {
    /// Waits, as one thread, until something posted in one of `several` may have ended, or one of the `words` has another
    /// value than the one beside it, or until the time is over. [`Completions::try_next`] tells what has ended. A
    /// connection that is gone, and of which everything has been told, ends no wait.
    ///
    /// This is for threads that wait for more than one thing, as Windows' WaitForMultipleObjects does. The program that
    /// changes a word wakes all that sleep on it: futex(2), FUTEX_WAKE, not private.
    #[doc(alias("WaitForMultipleObjects", "GetQueuedCompletionStatus"))]
    pub fn wait_any(several: &[&Self], words: &[(&AtomicU32, u32)], timeout: Timeout) {
        let mut watching = CountedIn(SmallVec::new());
        let mut watched = SmallVec::<[WatchedReceives<'_>; 2]>::new();
        for completions in several {
            let queue = &*completions.queue;
            if !queue.attachment.guard.same_process() {
                continue;
            }
            let mut state = queue.lock();
            let gone = queue.attachment.gone();
            if !state.ended.is_empty() || gone && !state.is_empty() {
                return;
            }
            if !gone {
                state.watched_besides += 1;
                watched.push(queue.begin_watch(&mut state));
                watching.0.push(queue);
            }
        }
        // the end of a connection rings without the lock: where its ring is counted already, it is seen here
        if !watched.iter().any(|watched| watched.attachment.gone()) {
            wait(&watched, words, timeout.deadline());
        }
    }
}

/// The queues that this thread watches, as long as this lives.
struct CountedIn<'a>(SmallVec<[&'a CompletionQueue; 2]>);

impl Drop for CountedIn<'_> {
    fn drop(&mut self) {
        for queue in &self.0 {
            let mut state = queue.lock();
            state.watched_besides -= 1;
            if state.followers > 0 && !state.watched {
                queue.changed.notify_one();
            }
        }
    }
}
