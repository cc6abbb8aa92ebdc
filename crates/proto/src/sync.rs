//! The atomics of shared memory: the standard ones, or loom's when a model checker drives them.

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Between a SeqCst write of one word and a SeqCst read of another, where the peer writes and reads them the other way
/// round: one of the two sees the other's. The accesses are enough for that; loom takes them for weaker ones and needs
/// a fence.
pub(crate) fn in_one_order() {
    #[cfg(loom)]
    fence(Ordering::SeqCst);
}

/// Replaces a word by what `next` makes of it, in one order with all such changes; the old value. For the application,
/// whose own word it is.
pub(crate) fn replace(word: &AtomicU64, next: impl Fn(u64) -> u64) -> u64 {
    word.fetch_update(Ordering::SeqCst, Ordering::Relaxed, |now| Some(next(now))).unwrap_or_else(std::convert::identity)
}

/// How often the host tries to swap a word that its peer changes meanwhile. An honest peer changes a word a few times
/// at most while one operation lasts; a hostile one may do so without end.
const TRIES: u32 = 1000;

/// Swaps a word for what `next` makes of it; the old value, or `None` when it was not what can be swapped. As
/// `fetch_update`, but it ends, whatever the peer does: with `None` too, when the word changed whenever it was to be
/// swapped.
pub(crate) fn swap(word: &AtomicU32, failure: Ordering, next: impl Fn(u32) -> Option<u32>) -> Option<u32> {
    swap_or(word, failure, next, None)
}

/// As [`swap`], but a word that never rests becomes `last`, whatever was there.
pub(crate) fn swap_at_last(
    word: &AtomicU32,
    failure: Ordering,
    last: u32,
    next: impl Fn(u32) -> Option<u32>,
) -> Option<u32> {
    swap_or(word, failure, next, Some(last))
}

fn swap_or(word: &AtomicU32, failure: Ordering, next: impl Fn(u32) -> Option<u32>, last: Option<u32>) -> Option<u32> {
    let mut now = word.load(failure);
    for _ in 0..TRIES {
        match word.compare_exchange_weak(now, next(now)?, Ordering::AcqRel, failure) {
            Ok(before) => return Some(before),
            Err(other) => now = other,
        }
    }
    Some(word.swap(last?, Ordering::AcqRel))
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

/// Replaces a word by what `next` makes of it, or flips `bits` of one that never rests: it changes in any case.
pub(crate) fn replace_or_flip(word: &AtomicU64, next: impl Fn(u64) -> u64, bits: u64) {
    if replace_soon(word, next).is_none() {
        word.fetch_xor(bits, Ordering::SeqCst);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    // one type for all of `next`, so that the coverage of one instance is the whole
    type Next<'a, T, R> = &'a dyn Fn(T) -> R;

    #[test]
    fn a_swap_ends_when_the_word_never_rests() {
        let word = AtomicU32::new(0);
        let tries = AtomicU32::new(0);
        let hostile: Next<'_, u32, Option<u32>> = &|now| {
            tries.fetch_add(1, Ordering::Relaxed);
            word.store(now.wrapping_add(1), Ordering::Relaxed);
            Some(u32::MAX)
        };
        let one_to_two: Next<'_, u32, Option<u32>> = &|now| (now == 1).then_some(2);
        let one_more: Next<'_, u32, Option<u32>> = &|now| Some(now + 1);
        assert_eq!(swap(&word, Ordering::Acquire, hostile), None);
        assert_eq!(tries.load(Ordering::Relaxed), TRIES);
        assert_eq!(word.load(Ordering::Relaxed), TRIES, "nothing was swapped");
        assert_eq!(swap(&word, Ordering::Acquire, one_to_two), None);
        assert_eq!(swap(&word, Ordering::Acquire, one_more), Some(TRIES));
        assert_eq!(swap_at_last(&word, Ordering::Acquire, 7, one_to_two), None);
        assert_eq!(swap_at_last(&word, Ordering::Acquire, 7, one_more), Some(TRIES + 1));
        assert_eq!(swap_at_last(&word, Ordering::Acquire, 7, hostile), Some(TRIES + 2 + TRIES));
        assert_eq!(word.load(Ordering::Relaxed), 7, "swapped whatever was there");
    }

    #[test]
    fn a_word_is_replaced_at_once_soon_or_never() {
        let word = AtomicU64::new(0);
        let hostile: Next<'_, u64, u64> = &|now| {
            word.store(now + 1, Ordering::Relaxed);
            u64::MAX
        };
        let twice: Next<'_, u64, u64> = &|now| now * 2;
        let tries = u64::from(TRIES);
        assert_eq!(replace_soon(&word, hostile), None);
        assert_eq!(word.load(Ordering::Relaxed), tries);
        assert_eq!(replace_soon(&word, twice), Some(tries));
        assert_eq!(replace(&word, twice), tries * 2);
        replace_or_flip(&word, twice, 1 << 40);
        assert_eq!(word.load(Ordering::Relaxed), tries * 8);
        replace_or_flip(&word, hostile, 1 << 40);
        assert_eq!(word.load(Ordering::Relaxed), (tries * 9) | (1 << 40));
    }
}
