//! Which operations wait, in the order of their deadlines.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::chain::Undecided;
use fltport::internal::lock;

/// Deadline (time since boot) and number.
type Key = (Duration, u64);

/// All operations that wait for a filter.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    entries: BTreeMap<Key, (Arc<Undecided>, usize)>,
    /// Until when the deadline thread sleeps. It is not woken for what is due later, and not when what it sleeps for is
    /// gone: most operations are answered long before their deadline, and a wake-up costs more than all the rest.
    asleep: Option<Duration>,
    closed: bool,
}

/// What the deadline thread is to do next.
pub(super) enum Due {
    /// This operation has waited long enough for this filter.
    Passed(Arc<Undecided>, usize),
    /// Nothing will ever be due again.
    Closed,
}

impl Deadlines {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    pub(super) fn insert(&self, at: Duration, undecided: &Arc<Undecided>, stage: usize) {
        let key = (at, undecided.sequence);
        let mut queue = self.lock();
        queue.entries.insert(key, (undecided.clone(), stage));
        let too_late = queue.asleep.is_some_and(|until| at < until);
        drop(queue);
        if too_late {
            self.changed.notify_one();
        }
    }

    pub(super) fn remove(&self, at: Duration, sequence: u64) {
        // Dropped after the lock is released: it may be the last reference.
        let entry = self.lock().entries.remove(&(at, sequence));
        drop(entry);
    }

    /// Waits for the next deadline to pass.
    pub(super) fn due(&self) -> Due {
        let mut queue = self.lock();
        loop {
            let now = sys::clock::monotonic();
            match queue.entries.first_key_value() {
                Some(((at, _), _)) if *at <= now => {
                    if let Some((_, (undecided, stage))) = queue.entries.pop_first() {
                        return Due::Passed(undecided, stage);
                    }
                }
                Some(((at, _), _)) => {
                    let (at, rest) = (*at, *at - now);
                    queue.asleep = Some(at);
                    queue = self.changed.wait_timeout(queue, rest).unwrap_or_else(PoisonError::into_inner).0;
                }
                None if queue.closed => return Due::Closed,
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

    pub(super) fn all(&self) -> Vec<(Arc<Undecided>, usize)> {
        self.lock().entries.values().cloned().collect()
    }

    /// Lets the deadline thread end once nothing waits.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}
