//! Events: signalled by SetEvent until reset, by a call or by the one thread that it releases.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::bell::Bell;

/// What an event is, wherever it lies.
///
/// The state of one that resets itself: bit 0, signalled; 31 bits, how many threads of this process wait; 32 bits, how
/// many of these are released and have not woken yet. So two SetEvents release two that wait, however late they
/// wake, and a ResetEvent between takes neither back. In memory of several processes no thread is counted, because a process
/// may be killed while it waits: there an event is just signalled or not.
///
/// The state of one that is reset by hand: bit 0, signalled; the rest, how often it was set, so that a thread that waits while it is
/// set and reset at once is released.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Event {
    pub(crate) bell: Bell,
    state: AtomicU64,
    manual: AtomicU32,
    shared: AtomicU32,
}

const SIGNALLED: u64 = 1;
const SET: u64 = 2;
const WAITER: u64 = 2;
const RELEASED: u64 = 1 << 32;

fn waiters(state: u64) -> u64 {
    (state & (RELEASED - 1)) / WAITER
}

fn released(state: u64) -> u64 {
    state / RELEASED
}

/// How a thread stands that waits for an event.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Waiting {
    /// It is counted, and may be released.
    Counted,
    /// The event had been set so often.
    Since(u64),
    /// It takes its chance.
    Uncounted,
}

impl Event {
    pub(crate) fn new(manual: bool, signalled: bool, shared: bool) -> Self {
        let state = AtomicU64::new(u64::from(signalled));
        Self { bell: Bell::default(), state, manual: u32::from(manual).into(), shared: u32::from(shared).into() }
    }

    pub(crate) fn set(&self) {
        self.update(|state| {
            if self.is_manual() {
                (state + SET) | SIGNALLED
            } else if waiters(state) > released(state) {
                state + RELEASED
            } else {
                state | SIGNALLED
            }
        });
        self.bell.ring();
    }

    pub(crate) fn reset(&self) {
        self.update(|state| state & !SIGNALLED);
    }

    /// Sets it, releases the threads that wait at this moment, and resets it.
    pub(crate) fn pulse(&self) {
        self.update(|state| {
            let state = state & !SIGNALLED;
            if self.is_manual() {
                state + SET
            } else if waiters(state) > released(state) {
                state + RELEASED
            } else {
                state
            }
        });
        self.bell.ring();
    }

    /// Satisfies a wait, if the event is signalled.
    pub(crate) fn take(&self) -> bool {
        if self.is_manual() {
            return self.state.load(Ordering::SeqCst) & SIGNALLED != 0;
        }
        self.try_update(|state| (state & SIGNALLED != 0).then_some(state & !SIGNALLED))
    }

    /// Begins to wait. The thread looks after this.
    pub(crate) fn enter(&self) -> Waiting {
        if self.is_manual() {
            return Waiting::Since(self.state.load(Ordering::SeqCst) / SET);
        }
        if self.shared.load(Ordering::Relaxed) != 0 {
            return Waiting::Uncounted;
        }
        self.update(|state| state + WAITER);
        Waiting::Counted
    }

    /// Satisfies the wait, which is over then, if this thread is released or the event is signalled.
    pub(crate) fn look(&self, waiting: Waiting) -> bool {
        match waiting {
            Waiting::Uncounted => self.take(),
            Waiting::Since(sets) => {
                let state = self.state.load(Ordering::SeqCst);
                state & SIGNALLED != 0 || state / SET != sets
            }
            Waiting::Counted => self.try_update(|state| {
                if released(state) > 0 {
                    Some(state - RELEASED - WAITER)
                } else if state & SIGNALLED != 0 {
                    Some((state & !SIGNALLED) - WAITER)
                } else {
                    None
                }
            }),
        }
    }

    /// Gives the wait up. True: this thread was released in the last moment, and the wait is satisfied after all.
    pub(crate) fn leave(&self, waiting: Waiting) -> bool {
        let Waiting::Counted = waiting else { return false };
        let mut mine = false;
        self.update(|state| {
            mine = released(state) == waiters(state);
            if mine { state - RELEASED - WAITER } else { state - WAITER }
        });
        mine
    }

    /// Undoes a wait that was satisfied.
    pub(crate) fn give_back(&self) {
        if !self.is_manual() {
            self.set();
        }
    }

    /// Whether it is reset by hand.
    pub(crate) fn is_manual(&self) -> bool {
        self.manual.load(Ordering::Relaxed) != 0
    }

    fn update(&self, mut change: impl FnMut(u64) -> u64) {
        self.try_update(|state| Some(change(state)));
    }

    fn try_update(&self, change: impl FnMut(u64) -> Option<u64>) -> bool {
        self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, change).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_resets_itself_satisfies_one_wait_for_each_set() {
        let event = Event::new(false, false, false);
        assert!(!event.take());
        event.set();
        event.set();
        assert!(event.take() && !event.take());
    }

    #[test]
    fn each_set_releases_one_that_waits_however_late_it_wakes() {
        let event = Event::new(false, false, false);
        let (one, other) = (event.enter(), event.enter());
        event.set();
        event.set();
        event.reset();
        assert!(!event.take(), "a thread that comes later is not released");
        assert!(event.look(one) && event.look(other));
        event.set();
        assert!(event.take(), "no thread waited");
    }

    #[test]
    fn who_was_released_and_gives_up_is_satisfied_after_all() {
        let event = Event::new(false, false, false);
        let waiting = event.enter();
        event.set();
        assert!(event.leave(waiting) && !event.take());
    }

    #[test]
    fn of_two_that_wait_one_may_give_up() {
        let event = Event::new(false, false, false);
        let (one, other) = (event.enter(), event.enter());
        event.set();
        assert!(!event.leave(one));
        assert!(event.look(other));
        assert!(!event.take());
    }

    #[test]
    fn who_waits_while_it_is_set_and_reset_by_hand_is_released() {
        let event = Event::new(true, false, false);
        let waiting = event.enter();
        assert!(!event.look(waiting));
        event.set();
        event.reset();
        assert!(!event.take() && event.look(waiting));
        assert!(!event.look(event.enter()));
    }

    #[test]
    fn a_pulse_releases_who_waits_and_nobody_else() {
        for manual in [false, true] {
            let event = Event::new(manual, true, false);
            let waiting = event.enter();
            event.reset();
            event.pulse();
            assert!(!event.take());
            assert!(event.look(waiting));
        }
    }

    #[test]
    fn in_memory_of_several_processes_nobody_is_counted() {
        let event = Event::new(false, false, true);
        let (one, other) = (event.enter(), event.enter());
        event.set();
        event.set();
        assert!(event.look(one) && !event.look(other));
        assert!(!event.leave(other));
        event.set();
        assert!(event.look(event.enter()));
    }
}
