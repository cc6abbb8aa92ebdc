//! Threads for callbacks: as many as block at a time, and none while nothing is called.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use sys::fork::ForkGuard;

/// More than this many callbacks at a time wait for each other.
const MAX_THREADS: usize = 512;
/// How long a thread waits for the next job before it ends.
const LINGER: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    /// The process whose threads these are: a forked child has none of them.
    process: Option<ForkGuard>,
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

static STATE: Mutex<State> = Mutex::new(State { process: None, jobs: VecDeque::new(), threads: 0, idle: 0 });
static CALLED: Condvar = Condvar::new();

/// Runs `job` on a thread of its own, soon. Never blocks.
pub(crate) fn run(job: impl FnOnce() + Send + 'static) {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    if !state.process.is_some_and(|process| process.same_process()) {
        let parents = std::mem::replace(&mut *state, State { process: Some(ForkGuard::new()), ..State::default() });
        // what the parent's jobs own is the parent's to clean up
        std::mem::forget(parents);
    }
    state.jobs.push_back(Box::new(job));
    if state.idle >= state.jobs.len() {
        CALLED.notify_one();
        return;
    }
    if state.threads == MAX_THREADS {
        return;
    }
    match std::thread::Builder::new().name("fltmgr-callback".into()).spawn(work) {
        Ok(_) => state.threads += 1,
        // the job waits for a thread that exists, or for the next call to make one
        Err(error) => tracing::warn!(%error, threads = state.threads, "no thread for a callback"),
    }
}

fn work() {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        while let Some(job) = state.jobs.pop_front() {
            drop(state);
            // a callback that panics has been reported by the panic hook; the thread goes on
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        }
        state.idle += 1;
        let (next, waited) = CALLED.wait_timeout(state, LINGER).unwrap_or_else(PoisonError::into_inner);
        state = next;
        state.idle -= 1;
        if waited.timed_out() && state.jobs.is_empty() {
            state.threads -= 1;
            return;
        }
    }
}
