//! What a thread keeps for itself.

use std::cell::RefCell;
use std::mem;
use std::sync::{Arc, Weak};

use rustix::thread::gettid;
use sys::fork::ForkGuard;

use super::Thread;
use crate::completion_port::{CompletionPort, Waiter};
use crate::open_file::OpenFile;

#[derive(Debug)]
struct Own {
    /// A forked child's thread has what its parent's had, and forgets it.
    guard: ForkGuard,
    id: u32,
    /// The object that stands for this thread, once there is one.
    thread: Option<Arc<Thread>>,
    exit_code: u32,
    /// The completion port of whose threads this is one that runs.
    port: Option<Arc<CompletionPort>>,
    waiter: Arc<Waiter>,
    /// Where it has begun requests that end with it.
    files: Vec<Weak<OpenFile>>,
}

thread_local! {
    static OWN: RefCell<Option<Own>> = const { RefCell::new(None) };
}

impl Own {
    fn new() -> Self {
        Self {
            guard: ForkGuard::new(),
            id: gettid().as_raw_nonzero().get() as u32,
            thread: None,
            exit_code: 0,
            port: None,
            waiter: Arc::default(),
            files: Vec::new(),
        }
    }
}

impl Drop for Own {
    /// The thread ends.
    fn drop(&mut self) {
        if !self.guard.same_process() {
            return;
        }
        for file in self.files.iter().filter_map(Weak::upgrade) {
            file.thread_ends(self.id);
        }
        if let Some(port) = &self.port {
            port.one_fewer_runs();
        }
        if let Some(thread) = &self.thread {
            thread.end(self.exit_code);
        }
    }
}

/// Uses what this thread keeps. `with` calls nothing that comes here again.
fn with<T>(with: impl FnOnce(&mut Own) -> T) -> T {
    let mut with = Some(with);
    let mut apply = |own: &mut Own| with.take().map(|with| with(own));
    let kept = OWN.try_with(|cell| {
        let mut own = cell.borrow_mut();
        if own.as_ref().is_some_and(|own| !own.guard.same_process()) {
            mem::forget(own.take());
        }
        apply(own.get_or_insert_with(Own::new))
    });
    // a destructor of the program's that runs when this thread's own things are gone already
    let applied = kept.unwrap_or_else(|_| apply(&mut Own::new()));
    let Some(result) = applied else { unreachable!("applied once") };
    result
}

/// The kernel's number of this thread.
pub(crate) fn current_id() -> u32 {
    with(|own| own.id)
}

/// The object that stands for this thread.
pub(crate) fn object() -> Arc<Thread> {
    with(|own| Arc::clone(own.thread.get_or_insert_with(|| Arc::new(Thread::new(own.id, false)))))
}

/// Says which object that is.
pub(super) fn is(thread: &Arc<Thread>) {
    with(|own| own.thread = Some(Arc::clone(thread)));
}

/// Says what GetExitCodeThread tells when it has ended.
pub(super) fn exits_with(exit_code: u32) {
    with(|own| own.exit_code = exit_code);
}

/// What it waits with for packets.
pub(crate) fn waiter() -> Arc<Waiter> {
    with(|own| Arc::clone(&own.waiter))
}

/// It has begun a request that ends with it.
pub(crate) fn began_request(file: &Arc<OpenFile>) {
    with(|own| {
        if !own.files.iter().any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(file))) {
            own.files.retain(|known| known.strong_count() != 0);
            own.files.push(Arc::downgrade(file));
        }
    });
}

/// It has a packet of `port` to work on.
pub(crate) fn start_running(port: &Arc<CompletionPort>) {
    with(|own| own.port = Some(Arc::clone(port)));
}

/// It has done with the packet it had.
pub(crate) fn stop_running() {
    if let Some(port) = with(|own| own.port.take()) {
        port.one_fewer_runs();
    }
}

/// Lets another thread of its completion port run as long as the result lives: this one waits.
pub(crate) fn lend_turn() -> Lent {
    let port = with(|own| own.port.clone());
    port.iter().for_each(|port| port.one_fewer_runs());
    Lent(port)
}

/// See [`lend_turn`].
#[derive(Debug)]
pub(crate) struct Lent(Option<Arc<CompletionPort>>);

impl Drop for Lent {
    fn drop(&mut self) {
        self.0.iter().for_each(|port| port.one_more_runs());
    }
}
