//! One supervised tree of processes: its listener, whether we are what its threads are, and what was counted.
//!
//! Every thread that receives a call and every operation that waits has it. An answer goes through [`Tree`] alone, which
//! counts those that reach no thread any more.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use libc::sock_filter;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use sys::seccomp::{Listener, Notification};

use super::asked::Asked;
use super::command::{self, Started};
use super::identity::{Identity, Likeness};
use super::maker::Maker;
use super::resolve::Guards;
use crate::source::descriptors::is_exhausted;
use fltport::internal::lock;

/// What the threads of a supervisor and its operations share.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) listener: Listener,
    /// One thread at a time polls and receives: a receive without a poll before it could not be stopped.
    turn: Mutex<()>,
    wake: OwnedFd,
    stopped: AtomicBool,
    /// Calls whose object changed between question and answer.
    again: Mutex<VecDeque<Notification>>,
    ours: Identity,
    /// Whether all in the tree are what we are, see [`Tree::likeness`].
    alike: AtomicU8,
    /// Some thread may have fewer rights than can be read from procfs.
    landlocked: AtomicBool,
    pub(super) guards: Guards,
    /// Since 6.4 O_CREAT with O_DIRECTORY is an error; before, it made a file.
    pub(super) refuses_create_directory: bool,
    pub(super) maker: Maker,
    pub(super) asked: Arc<Asked>,
    pub(super) tally: Tally,
}

/// Trees of this process.
static LIVE: AtomicUsize = AtomicUsize::new(0);

impl Drop for Tree {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The numbers while they change.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) held: AtomicU64,
    continued: AtomicU64,
    pub(super) unreadable: AtomicU64,
    gone: AtomicU64,
    pub(super) killed: AtomicU64,
}

/// What happened to the calls of a tree so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallCounters {
    /// Operations that filters were asked about.
    pub held: u64,
    /// Allowed calls that continued in the kernel with their path unprotected.
    pub continued: u64,
    /// Calls denied because the memory of their thread is closed to us.
    pub unreadable: u64,
    /// Answers that came after the thread had died or been interrupted.
    pub gone: u64,
    /// Processes that were killed at the end.
    pub killed: u64,
}

pub(super) fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn refuses_create_directory() -> bool {
    use rustix::fs::{Mode, OFlags, open};
    // Makes nothing: the root is a directory already, so a kernel that accepts the flags says so.
    let result = open("/", OFlags::CREATE | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    matches!(result, Err(Errno::INVAL))
}

/// No thread has been looked at.
const UNKNOWN: u8 = 0;
/// The tree started as what we are, and no thread has made a call that changes that.
const ALIKE: u8 = 1;
/// Some thread has: each is looked at.
const CHANGED: u8 = 2;

impl Tree {
    /// Starts `command` so that the calls that `program` names wait. If its execve is among them, another thread must
    /// already receive when [`Started::pid`] is waited for.
    ///
    /// # Errors
    /// What fork or seccomp report: EBUSY in a tree that is already supervised, `Unsupported` where the kernel has no
    /// user notification. Whether the program could be executed is told by [`Started::pid`].
    pub(super) fn start(command: Command, program: Vec<sock_filter>) -> io::Result<(Arc<Self>, Arc<Started>)> {
        let ours = Identity::ours()?;
        let maker = Maker::start()?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE)?;
        let asked = Arc::new(Asked::default());
        let (listener, started) = command::start(command, program, asked.clone())?;
        let tree = Self {
            listener,
            turn: Mutex::new(()),
            wake,
            stopped: AtomicBool::new(false),
            again: Mutex::default(),
            ours,
            alike: AtomicU8::new(UNKNOWN),
            landlocked: AtomicBool::new(false),
            guards: Guards::read(),
            refuses_create_directory: refuses_create_directory(),
            maker,
            asked,
            tally: Tally::default(),
        };
        LIVE.fetch_add(1, Ordering::AcqRel);
        Ok((Arc::new(tree), started))
    }

    /// Whether this process supervises no other tree.
    pub(super) fn is_only_one() -> bool {
        LIVE.load(Ordering::Acquire) == 1
    }

    /// What happened so far.
    pub(super) fn counters(&self) -> CallCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CallCounters {
            held: read(&self.tally.held),
            continued: read(&self.tally.continued),
            unreadable: read(&self.tally.unreadable),
            gone: read(&self.tally.gone),
            killed: read(&self.tally.killed),
        }
    }

    /// Makes every [`receive`](Self::receive) return `None`. Calls that wait then fail with ENOSYS once the tree and its
    /// operations are dropped.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.ring();
    }

    /// How far this thread can be stood in for. Identity only changes by system calls, which are noted, and is
    /// inherited: while no thread has made one, one look at the first is good for all. Not at one that is about to
    /// execute the command: an exec gives and takes capabilities, the second one no others.
    ///
    /// # Errors
    /// We have no descriptor to look with. That must not be taken for a thread of which only the text of its paths can be
    /// judged.
    pub(super) fn likeness(&self, tid: u32, executes: bool) -> Result<(Likeness, u32), Errno> {
        let (likeness, uid) = match self.alike.load(Ordering::Acquire) {
            ALIKE => (Likeness::Same, self.ours.uid()),
            state => {
                let (likeness, uid) = match Identity::of(tid) {
                    Ok(theirs) => (self.ours.likeness(&theirs), theirs.uid()),
                    Err(error) if Errno::from_io_error(&error).is_some_and(is_exhausted) => return Err(Errno::NFILE),
                    Err(_) => (Likeness::OtherPlace, u32::MAX),
                };
                if state == UNKNOWN && !executes {
                    let new = if likeness == Likeness::Same { ALIKE } else { CHANGED };
                    let _ = self.alike.compare_exchange(UNKNOWN, new, Ordering::AcqRel, Ordering::Acquire);
                }
                (likeness, uid)
            }
        };
        let least = if self.landlocked.load(Ordering::Acquire) { Likeness::OtherRights } else { Likeness::Same };
        Ok((likeness.max(least), uid))
    }

    pub(super) fn identity_changes(&self, landlock: bool) {
        if landlock {
            self.landlocked.store(true, Ordering::Release);
        } else {
            self.alike.store(CHANGED, Ordering::Release);
        }
    }

    /// The next call that waits. `None` at the end.
    pub(super) fn receive(&self) -> io::Result<Option<Notification>> {
        let _turn = lock(&self.turn);
        loop {
            let mut fds = [
                PollFd::new(&self.listener, PollFlags::IN),
                PollFd::from_borrowed_fd(self.wake.as_fd(), PollFlags::IN),
            ];
            match poll(&mut fds, None) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            let [event, woken] = [fds[0].revents(), fds[1].revents()];
            if self.stopped.load(Ordering::Acquire) {
                return Ok(None);
            }
            if woken.contains(PollFlags::IN) {
                let _ = rustix::io::read(&self.wake, &mut [0; 8]);
                if let Some(notification) = lock(&self.again).pop_front() {
                    return Ok(Some(notification));
                }
            }
            if event.contains(PollFlags::IN) {
                match self.listener.receive() {
                    Ok(Some(notification)) => return Ok(Some(notification)),
                    Ok(None) => bump(&self.tally.gone),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            } else if event.intersects(PollFlags::HUP | PollFlags::ERR) {
                return Ok(None);
            }
        }
    }

    /// Whether no process of the tree is left.
    pub(super) fn is_over(&self) -> bool {
        let mut fds = [PollFd::new(&self.listener, PollFlags::IN)];
        let zero = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&zero)).is_ok_and(|n| n > 0) && fds[0].revents().contains(PollFlags::HUP)
    }

    fn ring(&self) {
        // The counter of an eventfd can not be full after so few of these.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    pub(super) fn ask_again(&self, notification: Notification) {
        lock(&self.again).push_back(notification);
        self.ring();
    }

    pub(super) fn go_on(&self, id: u64) -> io::Result<()> {
        bump(&self.tally.continued);
        self.listener.go_on(id)
    }

    /// Gives a file as the result of an open.
    pub(super) fn give(&self, id: u64, file: OwnedFd, flags: OFlags) -> io::Result<()> {
        match self.listener.inject(id, file, flags.contains(OFlags::CLOEXEC)) {
            // The thread's own table is full (EMFILE): that is its error, not ours.
            Err(error) if error.raw_os_error() != Some(libc::ENOENT) => {
                self.listener.fail(id, error.raw_os_error().unwrap_or(libc::EIO))
            }
            other => other,
        }
    }

    /// Whether an answer reached its thread.
    pub(super) fn sent(&self, result: io::Result<()>) -> bool {
        if result.is_err() {
            bump(&self.tally.gone);
        }
        result.is_ok()
    }
}
