//! Taking a lock, also one whose holder has panicked.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, whatever a thread has done that panicked with the lock held: nothing here leaves a state that others cannot
/// use.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
