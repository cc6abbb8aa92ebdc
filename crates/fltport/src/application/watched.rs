//! What a thread sleeps on that watches posted receives: the bell of its process, and what else it waits for.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use proto::client::{self, Posted};
use smallvec::SmallVec;
use sys::clock::{self, Deadline};
use sys::futex::{self, Slept};

use super::attachment::{Attachment, SLOT_PATIENCE};
use crate::wait::{Asleep, wait_by};

/// What a thread sleeps on that watches the receives of one queue.
pub(super) struct WatchedReceives<'a> {
    pub(super) attachment: &'a Attachment,
    pub(super) posted: SmallVec<[Posted; 16]>,
    /// The bell's count before they were looked at.
    pub(super) seen: u32,
    /// What tells of a slot that becomes free, if one is waited for.
    pub(super) wanted: Option<u32>,
}

impl WatchedReceives<'_> {
    /// Whether there is something to look at, as far as a cheap look tells: GETs are filled oldest first; the others are
    /// looked at only before sleeping, because a look fetches a line that a filter is about to fill.
    fn look(&self) -> bool {
        let first = self.posted.first();
        first.is_some_and(|&first| client::completed_soon(self.attachment.memory.host(), first))
            || self.attachment.bell().count() != self.seen
    }

    /// Whether there is, by a look at all.
    fn found(&self) -> bool {
        let (host, shared) = (self.attachment.memory.host(), self.attachment.memory.shared());
        let freed = self.wanted.is_some_and(|freed| shared.allocation.freed.load(Ordering::SeqCst) != freed);
        freed || self.posted.iter().any(|&posted| client::completed(host, posted))
    }

    /// Says in shared memory that a thread will sleep, and adds the words to sleep on. False: there is something to look
    /// at.
    fn prepare<'a>(&'a self, words: &mut Words<'a>) -> bool {
        self.attachment.reclaim_windows();
        let Some(asleep) = self.attachment.bell().prepare_sleep(self.seen) else { return false };
        // after that: a thread that completes one of them, or ends the connection, sees the wish, or is seen here
        if self.found() || self.attachment.look_for_end() {
            return false;
        }
        words.push((self.attachment.bell().0, asleep));
        words.extend(self.wanted.map(|freed| (&self.attachment.memory.shared().allocation.freed, freed)));
        true
    }
}

type Words<'a> = SmallVec<[(&'a AtomicU32, u32); 4]>;

/// Waits until there is something to look at.
pub(super) fn wait(watched: &[WatchedReceives<'_>], words: &[(&AtomicU32, u32)], deadline: Option<Deadline>) {
    let Some((first, others)) = watched.split_first() else {
        if !words.is_empty() {
            // whatever comes of it, the caller looks
            let _ = futex::wait_any(words, deadline);
        }
        return;
    };
    let _asleep: SmallVec<[Asleep<'_>; 2]> =
        others.iter().map(|other| Asleep::count(&other.attachment.asleep)).collect();
    let found = Cell::new(false);
    let moved = || words.iter().any(|(word, expected)| word.load(Ordering::Acquire) != *expected);
    let look = || (found.get() || watched.iter().any(WatchedReceives::look) || moved()).then_some(());
    let sleep = || {
        let mut all = Words::from(words);
        if !watched.iter().all(|watched| watched.prepare(&mut all)) {
            found.set(true);
            return Ok(Slept::Look);
        }
        // a thread that waits for a slot looks by itself now and then
        let wanted = watched.iter().any(|watched| watched.wanted.is_some());
        let looks = wanted && deadline.is_none_or(|at| at.remaining() > SLOT_PATIENCE);
        let patience = looks.then(|| Deadline::Monotonic(clock::monotonic() + SLOT_PATIENCE));
        let slept = futex::wait_any(&all, patience.or(deadline))?;
        let looks = patience.is_some() && slept == Slept::TimedOut;
        found.set(looks || watched.iter().any(WatchedReceives::found));
        Ok(if looks { Slept::Look } else { slept })
    };
    wait_by(&first.attachment.receives, &first.attachment.asleep, deadline, look, sleep);
}
