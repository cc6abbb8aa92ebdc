//! The bell of a process: how a thread waits for any of many GETs, without a sleep bit in the word of each.

use crate::sync::{AtomicU32, Ordering, fence, swap};

/// Bit of a bell: a thread sleeps on it, or is about to.
pub const BELL_ASLEEP: u32 = 1;

/// What the threads of one process sleep on that wait for any of its GETs that were posted to ring it.
///
/// ```text
/// 31                1     0
/// ┌──────────────────┬────────┐
/// │ count            │ asleep │
/// └──────────────────┴────────┘
/// ```
///
/// The thread that completes a GET looks here after it has said so; the one that will sleep looks at the GETs after it
/// has said that here: so one of the two sees the other. Of a wish that is fulfilled, all threads are woken.
#[derive(Debug)]
pub struct Bell<'a>(pub &'a AtomicU32);

impl Bell<'_> {
    /// The count: it has changed when there may be something to look at.
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Acquire) & !BELL_ASLEEP
    }

    /// Says that a thread will sleep which has `seen` this count. The value to sleep on, unless a GET is complete that it
    /// waits for, which it looks for after this; `None` when the count has changed.
    pub fn prepare_sleep(&self, seen: u32) -> Option<u32> {
        let asleep = self.0.fetch_or(BELL_ASLEEP, Ordering::SeqCst) | BELL_ASLEEP;
        fence(Ordering::SeqCst);
        (asleep & !BELL_ASLEEP == seen).then_some(asleep)
    }

    /// The application's side: makes the threads that are about to sleep look again, but wakes none that does. Where
    /// there is one more GET to wait for, it rings for itself.
    pub fn move_on(&self) {
        self.0.fetch_add(2, Ordering::SeqCst);
    }

    /// Rings; true when all threads that sleep must be woken.
    #[must_use]
    pub fn ring(&self) -> bool {
        // one more than a wish is the next count, without it
        let next = |now: u32| Some((now | BELL_ASLEEP).wrapping_add(1));
        self.0.fetch_update(Ordering::SeqCst, Ordering::Relaxed, next).is_ok_and(|before| before & BELL_ASLEEP != 0)
    }

    /// The host's side: rings if a thread sleeps. True when all must be woken.
    #[must_use]
    pub fn ring_sleepers(&self) -> bool {
        fence(Ordering::SeqCst);
        let rung = |now: u32| (now & BELL_ASLEEP != 0).then(|| now.wrapping_add(1));
        swap(self.0, Ordering::Relaxed, rung).is_some()
    }
}
