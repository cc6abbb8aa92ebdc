//! Threads for what blocks: as many as block at a time, and one while nothing is called.
//!
//! The last one stays, so that a host which may make no more threads still serves its clients, one after the other.
//!
//! What is called for a user of a port takes no more threads than it leaves to others, on all ports of the
//! process together: one user has half of them at most, the next half of the rest, and so on. What is more waits until
//! some have returned.
//!
//! What an application calls and what a host calls have threads of their own: one end's call may return only when the
//! other's has been made, and both may be in one process.

mod shares;

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sys::fork::PerProcess;

use self::shares::Shares;
use crate::sync::lock;

/// More than this many callbacks at a time wait for each other.
const MAX_THREADS: usize = 1024;
/// More closes than this wait for each other.
const MAX_CLOSES: usize = 256;
/// How long a thread waits for the next job before it ends.
const LINGER: Duration = Duration::from_secs(5);

/// The threads on which a host calls what the program gave it.
static CALLBACKS: Pool = Pool::new("fltmgr-callback", MAX_THREADS);
/// The threads on which a host closes what another process has made, which may block for ever. Apart from the callbacks,
/// which may not.
pub(crate) static CLOSES: Pool = Pool::new("fltmgr-close", MAX_CLOSES);
/// The threads on which an application's requests are made: each connection sees to it that it does not use too many.
#[cfg(feature = "async")]
pub(crate) static REQUESTS: Pool = Pool::new("fltmgr-request", usize::MAX);
/// The threads on which an application's long replies are sent. A filter waits for each, so that there are as many as
/// there are.
#[cfg(feature = "async")]
pub(crate) static REPLIES: Pool = Pool::new("fltmgr-reply", usize::MAX);

type Job = Box<dyn FnOnce() + Send>;

/// Threads of one kind. A forked child has none of its parent's; what the parent's jobs own is the parent's to clean up.
pub(crate) struct Pool {
    name: &'static str,
    /// More than these are not made.
    most: usize,
    threads: PerProcess<Threads>,
}

/// Those of this process.
struct Threads {
    state: Mutex<State>,
    called: Condvar,
    /// Jobs wait for threads that do something else, and no more are made.
    strained: AtomicBool,
    /// Jobs wait because their users have as many threads as are left.
    shared_out: AtomicBool,
}

struct State {
    /// What waits for a thread, and whose it is.
    jobs: VecDeque<(Option<u32>, Job)>,
    shares: Shares<Job>,
    threads: usize,
    idle: usize,
}

/// Sees to it that there is a thread for callbacks: what will have some that must be run starts with this.
///
/// # Errors
/// What the making of a thread says (EAGAIN).
pub(crate) fn start() -> io::Result<()> {
    CALLBACKS.start()
}

/// Runs `job`, which is the program's own, on a thread of its own, soon. Never blocks.
pub fn run(job: impl FnOnce() + Send + 'static) {
    CALLBACKS.run(job);
}

/// Lets go of what may be the last of something that others own in part: they free it on a thread that may block. For
/// the monitor's thread, where a filter that is dropped would hold up all sockets.
pub(crate) fn let_go<T: Send + Sync + 'static>(shared: Arc<T>) {
    if let Some(last) = Arc::into_inner(shared) {
        run(move || drop(last));
    }
}

/// Runs a callback that `user` caused, as [`Pool::run_for`].
pub(crate) fn run_for(user: u32, job: impl FnOnce() + Send + 'static) {
    CALLBACKS.run_for(user, job);
}

/// Whether callbacks of this user's wait for a thread: one that only lingers for it should end what it does.
pub(crate) fn is_strained(user: u32) -> bool {
    CALLBACKS.is_strained(user)
}

impl Pool {
    const fn new(name: &'static str, most: usize) -> Self {
        Self { name, most, threads: PerProcess::new() }
    }

    fn threads(&self) -> &'static Threads {
        self.threads.get(|| Threads {
            state: Mutex::new(State { jobs: VecDeque::new(), shares: Shares::new(self.most), threads: 0, idle: 0 }),
            called: Condvar::new(),
            strained: AtomicBool::new(false),
            shared_out: AtomicBool::new(false),
        })
    }

    fn state(&self) -> MutexGuard<'static, State> {
        lock(&self.threads().state)
    }

    fn spawn(&'static self, state: &mut State) -> io::Result<()> {
        std::thread::Builder::new().name(self.name.into()).spawn(|| self.work())?;
        state.threads += 1;
        Ok(())
    }

    /// Sees to it that there is a thread: what will have jobs that must be run starts with this.
    ///
    /// # Errors
    /// What the making of a thread says (EAGAIN).
    pub(crate) fn start(&'static self) -> io::Result<()> {
        let mut state = self.state();
        if state.threads == 0 { self.spawn(&mut state) } else { Ok(()) }
    }

    /// Runs `job` on a thread of its own, soon. Never blocks.
    pub(crate) fn run(&'static self, job: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        state.jobs.push_back((None, Box::new(job)));
        self.call(&mut state);
    }

    /// Runs `job`, which `user` caused, on a thread of its own, when that user's share allows it. Never blocks.
    pub(crate) fn run_for(&'static self, user: u32, job: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        match state.shares.enter(user, Box::new(job)) {
            Some(job) => {
                state.jobs.push_back((Some(user), job));
                self.call(&mut state);
            }
            None => self.threads().shared_out.store(true, Ordering::Relaxed),
        }
    }

    /// Whether jobs of this user's wait for a thread.
    pub(crate) fn is_strained(&'static self, user: u32) -> bool {
        let threads = self.threads();
        threads.strained.load(Ordering::Relaxed)
            || (threads.shared_out.load(Ordering::Relaxed) && lock(&threads.state).shares.waits(user))
    }

    /// Sees to it that a thread comes for the last job.
    fn call(&'static self, state: &mut State) {
        if state.idle >= state.jobs.len() {
            self.threads().called.notify_one();
            return;
        }
        if state.threads == self.most {
            self.threads().strained.store(true, Ordering::Relaxed);
            return;
        }
        if let Err(error) = self.spawn(state) {
            // the job waits for a thread that exists, or for the next call to make one
            tracing::warn!(%error, threads = state.threads, "no thread for {}", self.name);
            self.threads().strained.store(true, Ordering::Relaxed);
        }
    }

    /// A job of this user's has ended: those come that may run now.
    fn ended(&'static self, state: &mut State, user: u32) {
        state.shares.leave(user);
        while let Some((user, job)) = state.shares.next() {
            // this thread takes the first that waits
            let mine = state.jobs.is_empty();
            state.jobs.push_back((Some(user), job));
            if !mine {
                self.call(state);
            }
        }
        self.threads().shared_out.store(state.shares.waiting() != 0, Ordering::Relaxed);
    }

    fn work(&'static self) {
        let mut state = self.state();
        loop {
            while let Some((user, job)) = state.jobs.pop_front() {
                drop(state);
                // a callback that panics has been reported by the panic hook; the thread goes on
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
                state = self.state();
                if let Some(user) = user {
                    self.ended(&mut state, user);
                }
            }
            self.threads().strained.store(false, Ordering::Relaxed);
            state.idle += 1;
            let (next, waited) =
                self.threads().called.wait_timeout(state, LINGER).unwrap_or_else(PoisonError::into_inner);
            state = next;
            state.idle -= 1;
            if waited.timed_out() && state.jobs.is_empty() && state.threads > 1 {
                state.threads -= 1;
                return;
            }
        }
    }
}
