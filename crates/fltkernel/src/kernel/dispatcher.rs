//! Waiting: one lock and one queue of waiters stand behind events, locks, timers and all else that threads wait for.
//!
//! As in Windows' kernel, the state of everything that can be waited for changes under one lock, which is held for a few
//! instructions. A thread that must wait is listed under the addresses that it waits for; each change looks which those are.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::edge::sanitizer;
use crate::lock;

/// How long to wait: `None` is for ever.
pub type Deadline = Option<Instant>;

/// A thread that waits.
#[derive(Debug, Default)]
struct Waiter {
    woken: Mutex<bool>,
    changed: Condvar,
}

/// What the lock protects.
#[derive(Debug, Default)]
struct State {
    waiters: HashMap<usize, Vec<Arc<Waiter>>>,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);

fn state() -> MutexGuard<'static, Option<State>> {
    lock(&STATE)
}

/// Changes what is at `address`, and wakes those that wait for it.
pub fn change<R>(address: usize, change: impl FnOnce() -> R) -> R {
    let mut state = state();
    let result = change();
    sanitizer::release(address);
    let woken = state.as_mut().and_then(|state| state.waiters.remove(&address));
    drop(state);
    for waiter in woken.into_iter().flatten() {
        *lock(&waiter.woken) = true;
        waiter.changed.notify_one();
    }
    result
}

/// Looks at what is at some address, while nothing changes.
pub fn look<R>(look: impl FnOnce() -> R) -> R {
    let _state = state();
    look()
}

/// Waits until `attempt`, tried anew after each change at one of `addresses`, gives something; `None` after the deadline.
pub fn wait<R>(addresses: &[usize], deadline: Deadline, mut attempt: impl FnMut() -> Option<R>) -> Option<R> {
    // most find what they want at once, without being listed
    let mut listed = None;
    loop {
        let mut state = state();
        if let Some(result) = attempt() {
            leave(&mut state, addresses, listed.as_ref());
            drop(state);
            addresses.iter().for_each(|&address| sanitizer::acquire(address));
            return Some(result);
        }
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            leave(&mut state, addresses, listed.as_ref());
            return None;
        }
        let waiter = listed.get_or_insert_with(Arc::<Waiter>::default);
        let all = &mut state.get_or_insert_default().waiters;
        for &address in addresses {
            let list = all.entry(address).or_default();
            if !list.iter().any(|other| Arc::ptr_eq(other, waiter)) {
                list.push(waiter.clone());
            }
        }
        drop(state);
        sleep(waiter, deadline);
    }
}

fn leave(state: &mut Option<State>, addresses: &[usize], waiter: Option<&Arc<Waiter>>) {
    let (Some(state), Some(waiter)) = (state, waiter) else { return };
    for address in addresses {
        if let Some(list) = state.waiters.get_mut(address) {
            list.retain(|listed| !Arc::ptr_eq(listed, waiter));
            if list.is_empty() {
                state.waiters.remove(address);
            }
        }
    }
}

fn sleep(waiter: &Waiter, deadline: Deadline) {
    let mut woken = lock(&waiter.woken);
    while !*woken {
        let rest = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        woken = match rest {
            None => waiter.changed.wait(woken).unwrap_or_else(PoisonError::into_inner),
            Some(Duration::ZERO) => return,
            Some(rest) => waiter.changed.wait_timeout(woken, rest).unwrap_or_else(PoisonError::into_inner).0,
        };
    }
    *woken = false;
}
