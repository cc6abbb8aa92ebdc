//! The atomics of shared memory: the standard ones, or loom's when a model checker drives them.

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Replaces a word by what `next` makes of it, in one order with all such changes; the old value. For the application, whose
/// own word it is.
pub(crate) fn replace(word: &AtomicU64, next: impl Fn(u64) -> u64) -> u64 {
    word.fetch_update(Ordering::SeqCst, Ordering::Relaxed, |now| Some(next(now))).unwrap_or_else(std::convert::identity)
}

/// How often the host tries to swap a word that its peer changes meanwhile. An honest peer changes a word a few times at most
/// while one operation lasts; a hostile one may do so without end.
const TRIES: u32 = 1000;

/// What became of a swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swap {
    /// It was swapped for this value.
    Done(u32),
    /// It was not what can be swapped.
    Unfit,
    /// It changed whenever it was to be swapped: the peer is hostile.
    Restless,
}

/// Swaps a word for what `next` makes of it, if that is anything. As `fetch_update`, but it ends, whatever the peer does.
pub(crate) fn swap(word: &AtomicU32, failure: Ordering, next: impl Fn(u32) -> Option<u32>) -> Swap {
    let mut now = word.load(failure);
    for _ in 0..TRIES {
        let Some(new) = next(now) else { return Swap::Unfit };
        match word.compare_exchange_weak(now, new, Ordering::AcqRel, failure) {
            Ok(before) => return Swap::Done(before),
            Err(other) => now = other,
        }
    }
    Swap::Restless
}

/// As [`replace`], for the host: `None` when the word changed whenever that was tried.
#[must_use]
pub(crate) fn replace_soon(word: &AtomicU64, next: impl Fn(u64) -> u64) -> Option<u64> {
    let mut now = word.load(Ordering::Relaxed);
    for _ in 0..TRIES {
        match word.compare_exchange_weak(now, next(now), Ordering::SeqCst, Ordering::Relaxed) {
            Ok(before) => return Some(before),
            Err(other) => now = other,
        }
    }
    None
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_swap_ends_when_the_word_never_rests() {
        let word = AtomicU32::new(0);
        let tries = AtomicU32::new(0);
        let hostile = |now: u32| {
            tries.fetch_add(1, Ordering::Relaxed);
            word.store(now.wrapping_add(1), Ordering::Relaxed);
            Some(u32::MAX)
        };
        assert_eq!(swap(&word, Ordering::Acquire, hostile), Swap::Restless);
        assert_eq!(tries.load(Ordering::Relaxed), TRIES);
        assert_eq!(word.load(Ordering::Relaxed), TRIES, "nothing was swapped");
        assert_eq!(swap(&word, Ordering::Acquire, |now| (now == 1).then_some(2)), Swap::Unfit);
        assert_eq!(swap(&word, Ordering::Acquire, |now| Some(now + 1)), Swap::Done(TRIES));
        let long = AtomicU64::new(0);
        let hostile = |now: u64| {
            long.store(now + 1, Ordering::Relaxed);
            u64::MAX
        };
        assert_eq!(replace_soon(&long, hostile), None);
        assert_eq!(long.load(Ordering::Relaxed), u64::from(TRIES));
        assert_eq!(replace_soon(&long, |now| now * 2), Some(u64::from(TRIES)));
        assert_eq!(replace(&long, |now| now + 1), u64::from(TRIES) * 2);
    }
}
