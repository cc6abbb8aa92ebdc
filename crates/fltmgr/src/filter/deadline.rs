//! Which operations wait, in the order of their deadlines.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::chain::Pending;
use crate::sync::lock;

/// Deadline (time since boot) and number.
type Key = (Duration, u64);

/// All operations that wait for a filter.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: BTreeMap<Key, (Arc<Pending>, usize)>,
    /// Until when the deadline thread sleeps. It is not woken for what is due later, and not when what it sleeps for is
    /// gone: most operations are answered long before their deadline, and a wake-up costs more than all the rest.
    asleep: Option<Duration>,
    closed: bool,
}

/// What the deadline thread is to do next.
pub(super) enum Due {
    /// This operation has waited long enough for this filter.
    Passed(Arc<Pending>, usize),
    /// Nothing will ever be due again.
    Closed,
}

impl Deadlines {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }

    pub(super) fn insert(&self, at: Duration, pending: &Arc<Pending>, stage: usize) {
        let key = (at, pending.sequence);
        let mut waiting = self.lock();
        waiting.entries.insert(key, (pending.clone(), stage));
        let too_late = waiting.asleep.is_some_and(|until| at < until);
        drop(waiting);
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
        let mut waiting = self.lock();
        loop {
            let now = sys::clock::monotonic();
            match waiting.entries.first_key_value() {
                Some(((at, _), _)) if *at <= now => {
                    if let Some((_, (pending, stage))) = waiting.entries.pop_first() {
                        return Due::Passed(pending, stage);
                    }
                }
                Some(((at, _), _)) => {
                    let (at, rest) = (*at, *at - now);
                    waiting.asleep = Some(at);
                    waiting = self.changed.wait_timeout(waiting, rest).unwrap_or_else(PoisonError::into_inner).0;
                }
                None if waiting.closed => return Due::Closed,
                None => {
                    waiting.asleep = Some(Duration::MAX);
                    waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                }
            }
            waiting.asleep = None;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    pub(super) fn all(&self) -> Vec<(Arc<Pending>, usize)> {
        self.lock().entries.values().cloned().collect()
    }

    /// Lets the deadline thread end once nothing waits.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}
