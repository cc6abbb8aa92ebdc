//! The thread that is the parent of all proxies of this process. A proxy dies when its parent, a thread, does, so it is one
//! that lives for as long as the process; and it waits for those that have ended, so that none stays as a zombie.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use libc::c_void;

use super::serve::{COPY, END, FLAGS, serve};
use super::{ENDED, Shared};
use crate::fork::PerProcess;
use crate::process::Quiet;

/// A proxy's stack.
const STACK: usize = 32 * 1024;

/// How often it looks for the end of a proxy that is to end.
const GLANCE: Duration = Duration::from_millis(5);

/// Asks the thread for what only it can do.
#[derive(Debug)]
pub(super) struct Parent {
    /// `None`: the thread could not be started.
    jobs: Option<Arc<Jobs>>,
}

#[derive(Debug, Default)]
struct Jobs {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    starts: Vec<(Living, SyncSender<bool>)>,
    living: Vec<Living>,
    /// Some proxy may have ended.
    to_reap: bool,
}

/// A proxy and what must be there for as long as it lives.
#[derive(Debug)]
struct Living {
    shared: Arc<Shared>,
    stack: Box<[u128]>,
}

impl Living {
    fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: shared.clone(), stack: vec![0; STACK / size_of::<u128>()].into() }
    }

    fn top(&mut self) -> *mut c_void {
        self.stack.as_mut_ptr_range().end.cast()
    }
}

impl Jobs {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parent {
    pub(super) fn of_this_process() -> io::Result<&'static Self> {
        static PARENT: PerProcess<Parent> = PerProcess::new();
        let parent = PARENT.get(|| {
            let jobs = Arc::new(Jobs::default());
            let theirs = jobs.clone();
            let started = thread::Builder::new().name("proxies".into()).spawn(move || run(&theirs));
            Self { jobs: started.is_ok().then_some(jobs) }
        });
        if parent.jobs.is_some() { Ok(parent) } else { Err(failed()) }
    }

    fn jobs(&self) -> io::Result<&Arc<Jobs>> {
        self.jobs.as_ref().ok_or_else(failed)
    }

    /// Starts a proxy.
    pub(super) fn start(&self, shared: &Arc<Shared>) -> io::Result<()> {
        let jobs = self.jobs()?;
        let (reply, started) = sync_channel(1);
        jobs.lock().starts.push((Living::new(shared), reply));
        jobs.changed.notify_one();
        if started.recv() == Ok(true) { Ok(()) } else { Err(failed()) }
    }

    /// Has a proxy start another one.
    pub(super) fn start_from(&self, original: &Shared, shared: &Arc<Shared>) -> io::Result<()> {
        let jobs = self.jobs()?;
        let mut living = Living::new(shared);
        let top = living.top() as usize;
        // Known before it lives: what it needs must not go with this call.
        jobs.lock().living.push(living);
        let copied = original.wait(original.ask(COPY, [top, Arc::as_ptr(shared) as usize, 0, 0, 0, 0]));
        if copied.is_err() {
            // It never began to live, unless the original was killed on its way back from making it: then it ends.
            shared.asked.store(END, Ordering::Release);
            shared.wake();
            let lives = |it: &Living| it.shared.pid.load(Ordering::Acquire) != 0;
            jobs.lock().living.retain(|it| !Arc::ptr_eq(&it.shared, shared) || lives(it));
            self.reap();
            return Err(failed());
        }
        Ok(())
    }

    /// Has the thread wait for those that have ended.
    pub(super) fn reap(&self) {
        let Some(jobs) = &self.jobs else { return };
        jobs.lock().to_reap = true;
        jobs.changed.notify_one();
    }
}

fn failed() -> io::Error {
    io::Error::from_raw_os_error(libc::EAGAIN)
}

/// The thread.
fn run(jobs: &Jobs) {
    let _quiet = Quiet::new();
    let mut queue = jobs.lock();
    loop {
        for (mut living, reply) in std::mem::take(&mut queue.starts) {
            let started = begin(&mut living);
            if started {
                queue.living.push(living);
            }
            // The thread that asked waits for it.
            let _ = reply.send(started);
        }
        if std::mem::take(&mut queue.to_reap) {
            queue.living.retain(|living| !reaped(&living.shared));
            queue.to_reap = queue.living.iter().any(|living| living.shared.asked.load(Ordering::Acquire) == END);
        }
        queue = match queue.to_reap {
            true => jobs.changed.wait_timeout(queue, GLANCE).unwrap_or_else(PoisonError::into_inner).0,
            false => jobs.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

fn begin(living: &mut Living) -> bool {
    let top = living.top();
    let shared = &living.shared;
    let [pid, done] = [shared.pid.as_ptr(), shared.done.as_ptr()];
    let argument = Arc::as_ptr(shared).cast_mut().cast();
    let none = std::ptr::null_mut::<c_void>();
    // SAFETY: `serve` runs on a stack of its own, whose top is aligned to 16 bytes; it and `shared` stay in the list until the
    // process has ended. The kernel stores its number and, at its end, a zero into atomics of `shared`.
    unsafe { libc::clone(serve, top, FLAGS, argument, pid, none, done) > 0 }
}

/// Waits for a proxy, if it has ended. What its last call needed is closed then.
fn reaped(shared: &Shared) -> bool {
    let mut state = shared.state();
    let pid = shared.pid.load(Ordering::Acquire) as i32;
    let options = libc::WNOHANG | libc::__WALL;
    // SAFETY: no status is wanted. It is our child, and sends no signal when it ends (__WALL).
    if pid == 0 || unsafe { libc::waitpid(pid, std::ptr::null_mut(), options) } != pid {
        return false;
    }
    debug_assert_eq!(shared.done.load(Ordering::Acquire), ENDED);
    state.reaped = true;
    state.kept.clear();
    true
}
