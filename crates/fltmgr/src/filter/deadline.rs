//! What waits, in the order of the deadlines.
//!
//! One thread sleeps until the nearest deadline ([`Deadlines::due`]); threads insert and remove beside it. What is removed
//! before its deadline is never due, and what is due was removed: the lock of the queue decides which, so a deadline is
//! never missed and never passes twice. It knows nothing of what waits.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fltport::internal::lock;

/// Deadline (time since boot) and number.
type Key = (Duration, u64);

/// Everything that waits, each with its deadline and number.
#[derive(Debug)]
pub(super) struct Deadlines<T> {
    queue: Mutex<Queue<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Queue<T> {
    entries: BTreeMap<Key, T>,
    /// Until when the deadline thread sleeps. It is not woken for what is due later, and not when what it sleeps for is
    /// gone: most operations are answered long before their deadline, and a wake-up costs more than all the rest.
    asleep: Option<Duration>,
    closed: bool,
}

impl<T> Default for Deadlines<T> {
    fn default() -> Self {
        let queue = Queue { entries: BTreeMap::new(), asleep: None, closed: false };
        Self { queue: Mutex::new(queue), changed: Condvar::new() }
    }
}

impl<T: Clone> Deadlines<T> {
    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        lock(&self.queue)
    }

    pub(super) fn insert(&self, at: Duration, number: u64, waiting: T) {
        let mut queue = self.lock();
        queue.entries.insert((at, number), waiting);
        let too_late = queue.asleep.is_some_and(|until| at < until);
        drop(queue);
        if too_late {
            self.changed.notify_one();
        }
    }

    pub(super) fn remove(&self, at: Duration, number: u64) {
        // Dropped after the lock is released: it may be the last reference.
        let waiting = self.lock().entries.remove(&(at, number));
        drop(waiting);
    }

    /// Waits for the next deadline to pass. `None` when nothing waits any more, after [`close`](Self::close).
    pub(super) fn due(&self) -> Option<T> {
        let mut queue = self.lock();
        loop {
            let now = sys::clock::monotonic();
            match queue.entries.first_key_value() {
                Some(((at, _), _)) if *at <= now => {
                    if let Some((_, waiting)) = queue.entries.pop_first() {
                        return Some(waiting);
                    }
                }
                Some(((at, _), _)) => {
                    let (at, rest) = (*at, *at - now);
                    queue.asleep = Some(at);
                    queue = self.changed.wait_timeout(queue, rest).unwrap_or_else(PoisonError::into_inner).0;
                }
                None if queue.closed => return None,
                None => {
                    queue.asleep = Some(Duration::MAX);
                    queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                }
            }
            queue.asleep = None;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// What waits at this moment, the nearest deadline first.
    pub(super) fn all(&self) -> Vec<T> {
        self.lock().entries.values().cloned().collect()
    }

    /// Lets the deadline thread end once nothing waits.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}
