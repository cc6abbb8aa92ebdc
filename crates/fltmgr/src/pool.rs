//! Threads for callbacks: as many as block at a time, and one while nothing is called.
//!
//! The last one stays, so that a host which may make no more threads still serves its clients, one after the other.
//!
//! What is called for a user who uses a port takes no more threads than it leaves to others, on all ports of the
//! process together: one user has half of them at most, the next half of the rest, and so on. What is more waits until
//! some have returned.

mod shares;

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sys::fork::ForkGuard;

use self::shares::Shares;
use crate::sync::lock;

/// More than this many callbacks at a time wait for each other.
const MAX_THREADS: usize = 1024;
/// How long a thread waits for the next job before it ends.
const LINGER: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce() + Send>;

struct State {
    /// The process whose threads these are: a forked child has none of them.
    process: Option<ForkGuard>,
    /// What waits for a thread, and whose it is.
    jobs: VecDeque<(Option<u32>, Job)>,
    shares: Shares<Job>,
    threads: usize,
    idle: usize,
}

impl State {
    const fn new(process: Option<ForkGuard>) -> Self {
        Self { process, jobs: VecDeque::new(), shares: Shares::new(MAX_THREADS), threads: 0, idle: 0 }
    }
}

static STATE: Mutex<State> = Mutex::new(State::new(None));
static CALLED: Condvar = Condvar::new();
/// Jobs wait for threads that do something else, and no more are made.
static STRAINED: AtomicBool = AtomicBool::new(false);
/// Jobs wait because their users have as many threads as are left.
static SHARED_OUT: AtomicBool = AtomicBool::new(false);

/// The state, as this process's own.
fn state() -> MutexGuard<'static, State> {
    let mut state = lock(&STATE);
    if !state.process.is_some_and(|process| process.same_process()) {
        let parents = std::mem::replace(&mut *state, State::new(Some(ForkGuard::new())));
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

/// Runs `job`, which is the program's own, on a thread of its own, soon. Never blocks.
pub(crate) fn run(job: impl FnOnce() + Send + 'static) {
    let mut state = state();
    state.jobs.push_back((None, Box::new(job)));
    call(&mut state);
}

/// Lets go of what may be the last of something that others own in part: they free it on a thread that may block. For
/// the monitor's thread, where a filter that is dropped would hold up all sockets.
pub(crate) fn let_go<T: Send + Sync + 'static>(shared: Arc<T>) {
    if let Some(last) = Arc::into_inner(shared) {
        run(move || drop(last));
    }
}

/// Runs `job`, which `user` caused, on a thread of its own, when that user's share allows it. Never blocks.
pub(crate) fn run_for(user: u32, job: impl FnOnce() + Send + 'static) {
    let mut state = state();
    match state.shares.enter(user, Box::new(job)) {
        Some(job) => {
            state.jobs.push_back((Some(user), job));
            call(&mut state);
        }
        None => SHARED_OUT.store(true, Ordering::Relaxed),
    }
}

/// Sees to it that a thread comes for the last job.
fn call(state: &mut State) {
    if state.idle >= state.jobs.len() {
        CALLED.notify_one();
        return;
    }
    if state.threads == MAX_THREADS {
        STRAINED.store(true, Ordering::Relaxed);
        return;
    }
    if let Err(error) = spawn(state) {
        // the job waits for a thread that exists, or for the next call to make one
        tracing::warn!(%error, threads = state.threads, "no thread for a callback");
        STRAINED.store(true, Ordering::Relaxed);
    }
}

/// Whether jobs of this user's wait for a thread: one that only lingers for it should end what it does.
pub(crate) fn is_strained(user: u32) -> bool {
    STRAINED.load(Ordering::Relaxed) || (SHARED_OUT.load(Ordering::Relaxed) && lock(&STATE).shares.waits(user))
}

/// A job of this user's has ended: those come that may run now.
fn ended(state: &mut State, user: u32) {
    state.shares.leave(user);
    while let Some((user, job)) = state.shares.next() {
        // this thread takes the first that waits
        let mine = state.jobs.is_empty();
        state.jobs.push_back((Some(user), job));
        if !mine {
            call(state);
        }
    }
    SHARED_OUT.store(state.shares.waiting() != 0, Ordering::Relaxed);
}

fn work() {
    let mut state = lock(&STATE);
    loop {
        while let Some((user, job)) = state.jobs.pop_front() {
            drop(state);
            // a callback that panics has been reported by the panic hook; the thread goes on
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            state = lock(&STATE);
            if let Some(user) = user {
                ended(&mut state, user);
            }
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
