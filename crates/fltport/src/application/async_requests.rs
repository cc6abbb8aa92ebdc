//! The requests of one connection that are made as futures, on threads of the library's.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use proto::slots::SENDS;
use sys::fork::ForkGuard;

use crate::pool;
use crate::sync::lock;

type Job = Box<dyn FnOnce() + Send>;

/// The requests of one connection that are made as futures: no more at a time than can be under way. Others would hold
/// threads that wait for a slot.
pub(super) struct AsyncRequests {
    guard: ForkGuard,
    state: Mutex<Making>,
}

#[derive(Default)]
struct Making {
    /// Threads that make some.
    threads: usize,
    waiting: VecDeque<Job>,
}

impl AsyncRequests {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { guard: ForkGuard::new(), state: Mutex::default() })
    }

    pub(super) fn run(self: &Arc<Self>, job: Job) {
        if !self.guard.same_process() {
            // it fails at once, and those before it, which are the parent's, do not end here
            return job();
        }
        let mut state = lock(&self.state);
        if state.threads == SENDS {
            state.waiting.push_back(job);
            return;
        }
        state.threads += 1;
        drop(state);
        let requests = Arc::clone(self);
        pool::REQUESTS.run(move || requests.work(job));
    }

    /// Makes this one, and then those that wait.
    fn work(&self, first: Job) {
        let mut next = Some(first);
        while let Some(job) = next {
            // a waker that panics has been reported by the panic hook; the others are made all the same
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            let mut state = lock(&self.state);
            next = state.waiting.pop_front();
            state.threads -= usize::from(next.is_none());
        }
    }
}

impl fmt::Debug for AsyncRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncRequests").finish_non_exhaustive()
    }
}
