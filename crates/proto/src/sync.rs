//! The atomics of shared memory: the standard ones, or loom's when a model checker drives them.

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Replaces a word by what `next` makes of it, in one order with all such changes; the old value.
pub(crate) fn replace(word: &AtomicU64, next: impl Fn(u64) -> u64) -> u64 {
    let (Ok(old) | Err(old)) = word.fetch_update(Ordering::SeqCst, Ordering::Relaxed, |now| Some(next(now)));
    old
}
