//! One supervised tree of processes: its listener, what acts for its threads, and what was counted.
//!
//! Every thread that receives a call and every operation that waits has it. An answer goes through [`Tree`] alone, which
//! counts those that reach no thread any more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use libc::sock_filter;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use sys::seccomp::{Listener, Notification};

use super::actors::Actors;
use super::asked::Asked;
use super::command::{self, Started};
use super::endless::Endless;
use super::executions::Executions;
use super::held::Held;
use super::plan::Done;
use super::procfiles::Procfs;
use super::resolve::Guards;
use crate::source::procfs::look_up;
use fltport::internal::lock;

/// What the threads of a supervisor and its operations share.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) listener: Listener,
    /// One thread at a time polls and receives: a receive without a poll before it could not be stopped.
    turn: Mutex<()>,
    wake: OwnedFd,
    stopped: AtomicBool,
    /// What the command has left running is killed where it is held: a fork is, and so no chain of them outlives it.
    ends: AtomicBool,
    /// Calls whose object changed between question and answer, and further questions of a call.
    again: Mutex<VecDeque<Received>>,
    pub(super) actors: Actors,
    pub(super) guards: Guards,
    pub(super) procfs: Procfs,
    pub(super) endless: Endless,
    pub(super) executions: Executions,
    /// What the kernel would have to run is refused.
    pub(super) strict: bool,
    pub(super) asked: Arc<Asked>,
    pub(super) tally: Tally,
}

/// What is to be seen to.
#[derive(Debug)]
pub(super) enum Received {
    Call(Notification),
    Question(Box<Held>),
}

/// Trees of this process.
static LIVE: AtomicUsize = AtomicUsize::new(0);

impl Drop for Tree {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A number while it changes.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn bump(&self) {
        self.add(1);
    }

    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The numbers while they change.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) held: Count,
    continued: Count,
    pub(super) strict: Count,
    pub(super) unreadable: Count,
    pub(super) gone: Count,
    pub(super) killed: Count,
    /// Programs of 32-bit calls that were refused.
    narrow: Mutex<BTreeSet<PathBuf>>,
    /// The `unreadable` ones by the command names of their threads.
    closed: Mutex<BTreeMap<OsString, u64>>,
}

/// The most programs that are named; those after them whose memory is closed are counted without a name.
const NAMED: usize = 64;

/// What happened to the calls of a tree so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallCounters {
    /// Operations that filters were asked about.
    pub held: u64,
    /// Allowed calls that continued in the kernel with their path unprotected.
    pub continued: u64,
    /// Calls denied because they would have had to continue in the kernel ([`Supervise::strict`](super::Supervise::strict)).
    pub strict: u64,
    /// Calls denied because the memory of their thread is closed to us.
    pub unreadable: u64,
    /// Answers that came after the thread had died or been interrupted.
    pub gone: u64,
    /// Processes that were killed at the end.
    pub killed: u64,
}

impl Tree {
    /// Starts `command` so that the calls that `program` names wait. If its execve is among them, another thread must
    /// already receive when [`Started::pid`] is waited for.
    ///
    /// # Errors
    /// What fork or seccomp report: EBUSY in a tree that is already supervised, `Unsupported` where the kernel has no
    /// user notification. Whether the program could be executed is told by [`Started::pid`].
    pub(super) fn start(
        command: Command,
        program: Vec<sock_filter>,
        strict: bool,
    ) -> io::Result<(Arc<Self>, Arc<Started>)> {
        let (actors, procfs, endless) = (Actors::new()?, Procfs::new()?, Endless::new()?);
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE)?;
        let asked = Arc::new(Asked::default());
        let (listener, started) = command::start(command, program, asked.clone())?;
        let tree = Self {
            listener,
            turn: Mutex::new(()),
            wake,
            stopped: AtomicBool::new(false),
            ends: AtomicBool::new(false),
            again: Mutex::default(),
            actors,
            guards: Guards::read(),
            procfs,
            endless,
            executions: Executions::default(),
            strict,
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
        let tally = &self.tally;
        CallCounters {
            held: tally.held.read(),
            continued: tally.continued.read(),
            strict: tally.strict.read(),
            unreadable: tally.unreadable.read(),
            gone: tally.gone.read(),
            killed: tally.killed.read(),
        }
    }

    /// Counts a call that was denied because the memory of its thread is closed to us.
    pub(super) fn note_closed(&self, tid: u32) {
        self.tally.unreadable.bump();
        let command = look_up(tid).command;
        let mut closed = lock(&self.tally.closed);
        let is_named = closed.len() < NAMED || closed.contains_key(&command);
        *closed.entry(if is_named { command } else { OsString::new() }).or_default() += 1;
    }

    /// The programs that lost calls so, and how many.
    pub(super) fn closed(&self) -> Vec<(OsString, u64)> {
        lock(&self.tally.closed).iter().map(|(command, calls)| (command.clone(), *calls)).collect()
    }

    /// Remembers a program of 32-bit calls that was refused.
    pub(super) fn note_narrow(&self, path: Vec<u8>) {
        let mut narrow = lock(&self.tally.narrow);
        if narrow.len() < NAMED {
            narrow.insert(OsString::from_vec(path).into());
        }
    }

    /// The programs of 32-bit calls that were refused.
    pub(super) fn narrow(&self) -> Vec<PathBuf> {
        lock(&self.tally.narrow).iter().cloned().collect()
    }

    /// Makes every [`receive`](Self::receive) return `None`. Calls that wait then fail with ENOSYS once the tree and its
    /// operations are dropped.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.give_up();
        self.ring();
        self.endless.end();
    }

    /// Asks one more question about a call.
    pub(super) fn ask(&self, held: Held) {
        self.queue(Received::Question(Box::new(held)));
    }

    fn queue(&self, received: Received) {
        lock(&self.again).push_back(received);
        self.ring();
        // A question keeps the tree, and no thread may receive any more.
        if self.stopped.load(Ordering::Acquire) {
            self.give_up();
        }
    }

    fn give_up(&self) {
        let all = std::mem::take(&mut *lock(&self.again));
        drop(all);
    }

    /// The next call or question. `None` at the end.
    pub(super) fn receive(&self) -> io::Result<Option<Received>> {
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
                if let Some(received) = lock(&self.again).pop_front() {
                    return Ok(Some(received));
                }
            }
            if event.contains(PollFlags::IN) {
                match self.listener.receive() {
                    Ok(Some(notification)) => return Ok(Some(Received::Call(notification))),
                    Ok(None) => self.tally.gone.bump(),
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

    /// Lets a call run that is not asked about.
    pub(super) fn let_run(&self, call: Notification) {
        self.sent(self.listener.go_on(call.id));
    }

    /// Gives a call its result. False if no thread waits for it any more.
    pub(super) fn deliver(&self, call: Notification, done: Done) -> bool {
        self.sent(match done {
            Done::Continue => {
                self.tally.continued.bump();
                self.listener.go_on(call.id)
            }
            Done::Value(Ok(value)) => self.listener.succeed(call.id, value as i64),
            Done::Value(Err(errno)) => self.listener.fail(call.id, errno.raw_os_error()),
            Done::File(file, flags) => self.give(call.id, file, flags),
            Done::Again => {
                self.queue(Received::Call(call));
                Ok(())
            }
            Done::Later => Ok(()),
        })
    }

    /// Gives a file as the result of an open.
    fn give(&self, id: u64, file: OwnedFd, flags: OFlags) -> io::Result<()> {
        match self.listener.inject(id, file, flags.contains(OFlags::CLOEXEC)) {
            // The thread's own table is full (EMFILE): that is its error, not ours.
            Err(error) if error.raw_os_error() != Some(libc::ENOENT) => {
                self.listener.fail(id, error.raw_os_error().unwrap_or(libc::EIO))
            }
            other => other,
        }
    }

    /// From now on each process is ended whose call is held.
    pub(super) fn begin_end(&self) {
        self.ends.store(true, Ordering::Release);
    }

    pub(super) fn ends(&self) -> bool {
        self.ends.load(Ordering::Acquire)
    }

    /// Ends the process of a call: the kernel has done something else for it than what was judged, or its tree ends.
    pub(super) fn end(&self, call: Notification) {
        if let Some(pid) = i32::try_from(call.tid).ok().and_then(Pid::from_raw)
            && self.listener.is_valid(call.id)
        {
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// Whether an answer reached its thread.
    fn sent(&self, result: io::Result<()>) -> bool {
        if result.is_err() {
            self.tally.gone.bump();
        }
        result.is_ok()
    }
}
