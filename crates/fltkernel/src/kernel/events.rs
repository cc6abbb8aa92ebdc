//! Events, semaphores, mutexes, and waiting for them.

mod calls;
mod timers;

use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

pub use calls::*;
pub use timers::*;

use super::dispatcher::{self, Deadline};
use super::object;
use super::table::Table;
use super::time;
use super::work::SystemThread;
use crate::edge::Ptr;
use crate::nt::ListEntry;

/// `DISPATCHER_HEADER`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Header {
    pub kind: u8,
    signalling: u8,
    pub size: u8,
    reserved: u8,
    pub state: i32,
    waiters: ListEntry,
}

/// `KSEMAPHORE`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Semaphore {
    header: Header,
    limit: i32,
}

const NOTIFICATION_EVENT: u8 = 0;
const SYNCHRONIZATION_EVENT: u8 = 1;
const MUTANT: u8 = 2;
const SEMAPHORE: u8 = 5;
const NOTIFICATION_TIMER: u8 = 8;
const SYNCHRONIZATION_TIMER: u8 = 9;

/// Which thread has a mutex.
static OWNERS: Table<ThreadId> = Table::new();

fn header(kind: u8, size: usize, state: i32) -> Header {
    let size = (size / 4) as u8;
    Header { kind, signalling: 0, size, reserved: 0, state, waiters: ListEntry::default() }
}

/// When a wait with this `LARGE_INTEGER` ends: NULL never, 0 at once, negative after so many 100 ns, positive at that time.
pub fn deadline(timeout: Ptr<i64>) -> Deadline {
    let ticks = timeout.some()?.read();
    let rest =
        if ticks <= 0 { ticks.unsigned_abs() } else { ticks.saturating_sub(time::system()).max(0).unsigned_abs() };
    Some(Instant::now() + Duration::from_nanos(rest.saturating_mul(100)))
}

/// What a thread can wait for.
#[derive(Clone)]
enum Waitable {
    /// Memory of a driver with a header.
    Object(Ptr<Header>),
    /// A thread that a driver made.
    Thread(Arc<SystemThread>),
    /// A process or thread of Linux: waited for by looking.
    Foreign(u32),
}

impl Waitable {
    fn of(object: Ptr) -> Self {
        if let Some(thread) = object::find::<SystemThread>(object) {
            return Self::Thread(thread);
        }
        if let Some(process) = object::find::<super::process::Process>(object) {
            return Self::Foreign(process.number);
        }
        Self::Object(object.cast())
    }

    fn address(&self) -> usize {
        match self {
            Self::Object(header) => header.address(),
            Self::Thread(thread) => Arc::as_ptr(thread) as usize,
            Self::Foreign(number) => *number as usize,
        }
    }

    /// Whether a wait for it would end now; called under the dispatcher's lock.
    fn is_signalled(&self) -> bool {
        match self {
            Self::Thread(thread) => thread.has_ended(),
            Self::Foreign(number) => !std::path::Path::new(&format!("/proc/{number}")).exists(),
            Self::Object(header) => {
                let now = header.read();
                let mine = || OWNERS.with(header.address(), |owner| *owner == thread::current().id()).unwrap_or(false);
                now.state > 0 || now.kind == MUTANT && mine()
            }
        }
    }

    /// Ends a wait for it, which is signalled: takes what one waiter takes.
    fn take(&self) {
        let Self::Object(header) = self else { return };
        let mut now = header.read();
        match now.kind {
            SYNCHRONIZATION_EVENT | SYNCHRONIZATION_TIMER => now.state = 0,
            SEMAPHORE => now.state -= 1,
            MUTANT => {
                now.state -= 1;
                OWNERS.insert(header.address(), thread::current().id());
            }
            _ => {}
        }
        header.write(now);
    }
}

/// Waits for one of them, or for all; the index of the one, 0 for all. `None` after the deadline.
fn wait(objects: &[Ptr], all: bool, deadline: Deadline) -> Option<usize> {
    let waitables: Vec<Waitable> = objects.iter().map(|&object| Waitable::of(object)).collect();
    let addresses: Vec<usize> = waitables.iter().map(Waitable::address).collect();
    let foreign = waitables.iter().any(|waitable| matches!(waitable, Waitable::Foreign(_)));
    let attempt = || {
        if all {
            return waitables.iter().all(Waitable::is_signalled).then(|| {
                waitables.iter().for_each(Waitable::take);
                0
            });
        }
        let ready = waitables.iter().position(Waitable::is_signalled)?;
        waitables[ready].take();
        Some(ready)
    };
    if !foreign {
        return dispatcher::wait(&addresses, deadline, attempt);
    }
    // nothing tells of the end of a process that is not ours, so it is looked for
    loop {
        let look = Instant::now() + Duration::from_millis(10);
        let until = deadline.map_or(look, |deadline| deadline.min(look));
        if let Some(taken) = dispatcher::wait(&addresses, Some(until), attempt) {
            return Some(taken);
        }
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return None;
        }
    }
}
