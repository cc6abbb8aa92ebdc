//! Spin locks, fast mutexes, push locks and resources.
//!
//! All four are one thing here: owned by one thread, or shared by several. They differ in what they do to the interrupt
//! request level, in whether a thread may have them twice, and in what is a finding.

mod calls;
mod order;
mod resource;

use std::cell::RefCell;
use std::thread::{self, ThreadId};
use std::time::Instant;

pub use calls::*;
pub use resource::*;

use super::dispatcher;
use super::report::{self, Rule};
use super::table::Table;
use crate::edge::{Place, Ptr};

/// What kind of lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Spin,
    Mutex,
    Push,
    Resource,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Spin => "spin lock",
            Self::Mutex => "mutex",
            Self::Push => "push lock",
            Self::Resource => "resource",
        }
    }
}

/// How it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Shared,
    Exclusive,
}

/// The thread that has it.
#[derive(Debug, Default)]
struct Lock {
    /// The owner, and how many times it has it.
    exclusive: Option<(ThreadId, u32)>,
    /// Those that share it, and how many times each has it.
    shared: Vec<(ThreadId, u32)>,
    /// Threads that wait to have it alone: others do not share it before them.
    exclusive_waiting: u32,
    shared_waiting: u32,
}

static LOCKS: Table<Lock> = Table::new();

/// A lock that this thread has.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub address: usize,
    pub kind: Kind,
    pub place: Place,
}

thread_local! {
    static HELD: RefCell<Vec<Held>> = const { RefCell::new(Vec::new()) };
}

/// The locks that this thread has.
pub fn held() -> Vec<Held> {
    HELD.with(|held| held.borrow().clone())
}

/// A lock that no thread has is at this address from now on.
pub fn initialize(lock: Ptr) {
    LOCKS.insert(lock.address(), Lock::default());
}

/// There is no lock at this address any more; false if a thread has it.
pub fn delete(lock: Ptr) -> bool {
    LOCKS.remove(lock.address()).is_none_or(|lock| lock.exclusive.is_none() && lock.shared.is_empty())
}

impl Lock {
    fn shares(&mut self, thread: ThreadId) -> Option<&mut (ThreadId, u32)> {
        self.shared.iter_mut().find(|(owner, _)| *owner == thread)
    }

    /// Takes it if that can be without waiting.
    fn take(&mut self, kind: Kind, mode: Mode, thread: ThreadId) -> bool {
        let recursive = kind == Kind::Resource;
        match (self.exclusive, mode) {
            // shared by the thread that owns it is owned once more
            (Some((owner, depth)), _) if owner == thread && recursive => self.exclusive = Some((owner, depth + 1)),
            (Some(_), _) => return false,
            (None, Mode::Exclusive) if self.shared.is_empty() => self.exclusive = Some((thread, 1)),
            (None, Mode::Exclusive) => return false,
            (None, Mode::Shared) => {
                let others_first = self.exclusive_waiting > 0;
                match self.shares(thread) {
                    Some((_, depth)) => *depth += 1,
                    None if others_first => return false,
                    None => self.shared.push((thread, 1)),
                }
            }
        }
        true
    }
}

/// Takes a lock; false if it is taken and `wait` is false.
pub fn acquire(lock: Ptr, kind: Kind, mode: Mode, wait: bool) -> bool {
    let thread = thread::current().id();
    let address = lock.address();
    note_misuse(address, kind, mode, thread);
    let taken = dispatcher::wait(&[address], Some(Instant::now()), || {
        with_once(address, |lock| lock.take(kind, mode, thread)).then_some(())
    });
    if taken.is_none() {
        if !wait {
            return false;
        }
        dispatcher::look(|| with_once(address, |lock| count_waiting(lock, mode, 1)));
        dispatcher::wait(&[address], None, || {
            with_once(address, |lock| {
                let waiting = lock.exclusive_waiting;
                if mode == Mode::Exclusive {
                    lock.exclusive_waiting = 0;
                }
                let taken = lock.take(kind, mode, thread);
                lock.exclusive_waiting = waiting;
                taken
            })
            .then_some(())
        });
        dispatcher::look(|| with_once(address, |lock| count_waiting(lock, mode, -1)));
    }
    order::taken(Held { address, kind, place: Place::default() }, &held());
    HELD.with(|held| held.borrow_mut().push(Held { address, kind, place: report::place() }));
    true
}

fn count_waiting(lock: &mut Lock, mode: Mode, change: i32) -> bool {
    let count = if mode == Mode::Exclusive { &mut lock.exclusive_waiting } else { &mut lock.shared_waiting };
    *count = count.saturating_add_signed(change);
    true
}

/// Looks at the lock at this address, which is made if there is none: drivers also zero the memory instead.
fn with_once(address: usize, mut change: impl FnMut(&mut Lock) -> bool) -> bool {
    match LOCKS.with(address, &mut change) {
        Some(result) => result,
        None => {
            let mut lock = Lock::default();
            let result = change(&mut lock);
            LOCKS.insert(address, lock);
            result
        }
    }
}

fn note_misuse(address: usize, kind: Kind, mode: Mode, thread: ThreadId) {
    let (owns, shares) = LOCKS
        .with(address, |lock| (lock.exclusive.is_some_and(|(owner, _)| owner == thread), lock.shares(thread).is_some()))
        .unwrap_or((false, false));
    let name = kind.name();
    if kind == Kind::Resource {
        if shares && mode == Mode::Exclusive {
            report::find(
                Rule::LockUpgrade,
                "this thread shares the resource and waits to have it alone: it waits for itself",
            );
        }
    } else if owns || shares && kind == Kind::Push {
        report::find(Rule::LockRecurse, format!("this thread has the {name} already: it waits for itself"));
    }
}

/// Gives a lock back; a finding if this thread does not have it.
pub fn release(lock: Ptr, kind: Kind) {
    let thread = thread::current().id();
    let address = lock.address();
    let released = dispatcher::change(address, || {
        LOCKS.with(address, |lock| match lock.exclusive {
            Some((owner, depth)) if owner == thread => {
                lock.exclusive = (depth > 1).then_some((owner, depth - 1));
                true
            }
            _ => match lock.shared.iter().position(|(owner, _)| *owner == thread) {
                Some(at) => {
                    lock.shared[at].1 -= 1;
                    if lock.shared[at].1 == 0 {
                        lock.shared.remove(at);
                    }
                    true
                }
                None => false,
            },
        })
    });
    if released != Some(true) {
        report::find(Rule::LockOwner, format!("this thread gives a {} back that it does not have", kind.name()));
    }
    HELD.with(|held| {
        let mut held = held.borrow_mut();
        if let Some(at) = held.iter().rposition(|held| held.address == address) {
            held.remove(at);
        }
    });
}

/// How this thread has a lock: how many times alone, how many times shared.
pub fn ownership(lock: Ptr) -> (u32, u32) {
    let thread = thread::current().id();
    LOCKS
        .with(lock.address(), |lock| {
            let alone = lock.exclusive.filter(|(owner, _)| *owner == thread).map_or(0, |(_, depth)| depth);
            (alone, lock.shares(thread).map_or(0, |(_, depth)| *depth))
        })
        .unwrap_or((0, 0))
}

/// How many threads wait for a lock: alone, shared.
pub fn waiting(lock: Ptr) -> (u32, u32) {
    LOCKS.with(lock.address(), |lock| (lock.exclusive_waiting, lock.shared_waiting)).unwrap_or((0, 0))
}
