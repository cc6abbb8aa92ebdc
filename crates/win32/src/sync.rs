//! Locks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks. A panic of ours, which the fence ends, leaves nothing behind a lock that the next one could not go on with.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
