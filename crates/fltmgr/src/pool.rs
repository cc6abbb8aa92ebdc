//! Threads for callbacks: as many as block at a time, and one while nothing is called.
//!
//! The last one stays, so that a host which may make no more threads still serves its clients, one after the other.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sys::fork::ForkGuard;

use crate::sync::lock;

/// More than this many callbacks at a time wait for each other. No user's requests may hold more than a quarter of these unless a
/// port says so.
const MAX_THREADS: usize = 1024;
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
/// Jobs wait for threads that do something else, and no more are made.
static STRAINED: AtomicBool = AtomicBool::new(false);

/// The state, as this process's own.
fn state() -> MutexGuard<'static, State> {
    let mut state = lock(&STATE);
    if !state.process.is_some_and(|process| process.same_process()) {
        let parents = std::mem::replace(&mut *state, State { process: Some(ForkGuard::new()), ..State::default() });
        // what the parent's jobs own is the parent's to clean up
        std::mem::forget(parents);
    }
    state
}

fn spawn(state: &mut State) -> io::Result<()> {
    std::thread::Builder::new().name("fltmgr-callback".into()).spawn(work)?;
    state.threads += 1;
    Ok(())
}

/// Sees to it that there is a thread: whoever will have jobs that must be run starts with this.
///
/// # Errors
/// What the making of a thread says (EAGAIN).
pub(crate) fn start() -> io::Result<()> {
    let mut state = state();
    if state.threads == 0 { spawn(&mut state) } else { Ok(()) }
}

/// Runs `job` on a thread of its own, soon. Never blocks.
pub(crate) fn run(job: impl FnOnce() + Send + 'static) {
    let mut state = state();
    state.jobs.push_back(Box::new(job));
    if state.idle >= state.jobs.len() {
        CALLED.notify_one();
        return;
    }
    if state.threads == MAX_THREADS {
        STRAINED.store(true, Ordering::Relaxed);
        return;
    }
    if let Err(error) = spawn(&mut state) {
        // the job waits for a thread that exists, or for the next call to make one
        tracing::warn!(%error, threads = state.threads, "no thread for a callback");
        STRAINED.store(true, Ordering::Relaxed);
    }
}

/// Whether jobs wait for a thread: one that only lingers should end what it does.
pub(crate) fn is_strained() -> bool {
    STRAINED.load(Ordering::Relaxed)
}

fn work() {
    let mut state = lock(&STATE);
    loop {
        while let Some(job) = state.jobs.pop_front() {
            drop(state);
            // a callback that panics has been reported by the panic hook; the thread goes on
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            state = lock(&STATE);
        }
        STRAINED.store(false, Ordering::Relaxed);
        state.idle += 1;
        let (next, waited) = CALLED.wait_timeout(state, LINGER).unwrap_or_else(PoisonError::into_inner);
        state = next;
        state.idle -= 1;
        if waited.timed_out() && state.jobs.is_empty() && state.threads > 1 {
            state.threads -= 1;
            return;
        }
    }
}
