//! Asking before the file operations of a process tree: seccomp user notification, for any user, Linux 5.15 and later.
//!
//! [`Supervisor::start`] starts a command with no_new_privs and a seccomp program that makes the system calls of the
//! wanted [`OpSet`] wait, the command's own execve included. [`Supervisor::next`] gives them as [`Held`] operations, on
//! as many threads as call it.
//!
//! **Opens** of regular files are answered by opening the very object that was asked about and injecting it, so the
//! path is not read twice. Directories are injected without a question. O_PATH opens are not asked: they give no access
//! to contents, and opening such a descriptor again through /proc is asked.
//!
//! **Everything else continues in the kernel, which reads the path again**: a second thread of the same process can
//! change it between question and use. That holds for exec, rename, unlink, link, mkdir, truncate; for opens of fifos,
//! sockets, devices and procfs; for openat2 with RESOLVE flags; and for threads that no longer have our rights or our
//! view of the tree of files (another user, user or mount namespace, chroot, Landlock). seccomp_unotify(2) says the
//! same: this is a way to ask about what cooperating programs do, not a wall against hostile ones.
//!
//! Not asked at all: reading and writing of open files, descriptors that come over a socket, files that the kernel
//! opens itself (a script's interpreter). Refused: io_uring (ENOSYS), opening by handle (EPERM), 32-bit and x32 system
//! calls (ENOSYS), paths of a thread whose memory we may not read (EACCES, counted as [`CallCounters::unreadable`]), and what
//! is so deep that its absolute path is longer than PATH_MAX (ENAMETOOLONG), however short the one that was given.
//!
//! When the supervisor dies, the command is killed (PR_SET_PDEATHSIG), and calls of its descendants that would wait
//! fail with ENOSYS. A second supervisor inside the tree gets EBUSY from the kernel.
//!
//! Before Linux 5.19 a signal in the middle makes a program's call begin anew, so a question may be asked twice; and the
//! descriptor that it got stays open here for a moment longer, so that a lock that it ended by closing seems held.
//!
//! Sources: seccomp_unotify(2), seccomp(2), openat2(2), path_resolution(7).

mod bpf;
mod call;
mod decide;
mod held;
mod kill;
mod maker;
mod notify;
mod orphans;
mod resolve;
mod spawn;
mod tracee;

use std::collections::{HashSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use proto::operation::OpSet;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

pub use call::OPS;
pub use held::Held;
use maker::Maker;
use notify::{Listener, Notification};
use resolve::Guards;
use spawn::Started;
pub use tracee::look_up;
use tracee::{Identity, Likeness, is_exhausted};

/// A command and its descendants, whose file operations wait for answers.
#[derive(Debug)]
pub struct Supervisor {
    shared: Arc<Shared>,
    started: Arc<Started>,
}

/// What the threads of a supervisor and its operations share.
#[derive(Debug)]
pub(crate) struct Shared {
    listener: Listener,
    /// One thread at a time polls and receives: a receive without a poll before it could not be stopped.
    turn: Mutex<()>,
    wake: OwnedFd,
    stopped: AtomicBool,
    /// Calls whose object changed between question and answer.
    again: Mutex<VecDeque<Notification>>,
    ours: Identity,
    /// Whether all in the tree are what we are, see [`Shared::likeness`].
    alike: AtomicU8,
    /// Somebody may have fewer rights than can be read from procfs.
    landlocked: AtomicBool,
    guards: Guards,
    /// Since 6.4 O_CREAT with O_DIRECTORY is an error; before, it made a file.
    refuses_create_directory: bool,
    maker: Maker,
    /// Threads that ever asked: how the processes of one tree are told from those of another.
    asked: Arc<Asked>,
    tally: Tally,
}

type Asked = Mutex<HashSet<u32>>;

/// Supervisors of this process.
static LIVE: AtomicUsize = AtomicUsize::new(0);

impl Drop for Shared {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::AcqRel);
    }
}

#[derive(Debug, Default)]
struct Tally {
    held: AtomicU64,
    continued: AtomicU64,
    unreadable: AtomicU64,
    gone: AtomicU64,
}

/// What happened to the calls of a tree so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallCounters {
    /// Operations given out by [`Supervisor::next`].
    pub held: u64,
    /// Allowed calls that continued in the kernel with their path unprotected.
    pub continued: u64,
    /// Calls denied because the memory of their thread is closed to us.
    pub unreadable: u64,
    /// Answers that came after the thread had died or been interrupted.
    pub gone: u64,
}

fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Supervisor {
    /// Starts `command` so that the operations in `ops` wait. Its execve is the first of them if `ops` has it, so
    /// somebody must already call [`next`](Self::next) when [`pid`](Self::pid) is waited for.
    ///
    /// # Errors
    /// What fork or seccomp report: EBUSY in a tree that is already supervised, `Unsupported` where the kernel has no
    /// user notification. Whether the program could be executed is told by [`pid`](Self::pid).
    pub fn start(command: Command, ops: OpSet) -> io::Result<Self> {
        let ours = Identity::ours()?;
        let maker = Maker::start()?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE)?;
        let asked = Arc::new(Asked::default());
        let (listener, started) = spawn::spawn(command, bpf::program(ops), asked.clone())?;
        let shared = Shared {
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
        Ok(Self { shared: Arc::new(shared), started })
    }

    /// Waits until the command's program runs, and gives its process id.
    ///
    /// # Errors
    /// What execve reported (or the answer to it).
    pub fn pid(&self) -> io::Result<u32> {
        self.started.pid()
    }

    /// Waits until the command has ended. Its descendants may live on and still ask.
    ///
    /// # Errors
    /// As [`pid`](Self::pid).
    pub fn wait(&self) -> io::Result<ExitStatus> {
        self.started.wait()
    }

    /// The next operation that needs an answer; blocks. `None` when the whole tree is gone, or after
    /// [`stop`](Self::stop). What can be answered without asking (errors of the path, directories) is answered here.
    ///
    /// # Errors
    /// Of the listener itself, never of one operation.
    pub fn next(&self) -> io::Result<Option<Held>> {
        while let Some(notification) = self.shared.receive()? {
            self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(notification.tid);
            if let Some(held) = decide::decide(&self.shared, notification) {
                bump(&self.shared.tally.held);
                return Ok(Some(held));
            }
        }
        Ok(None)
    }

    /// Makes every [`next`](Self::next) return `None`. Calls that wait then fail with ENOSYS once the supervisor and
    /// its operations are dropped.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.shared.ring();
    }

    /// Kills what is left of the tree, and reaps what was orphaned to us. For programs that called [`adopt_orphans`]
    /// before the start; else descendants whose parent has ended are not found. Blocks until they are gone, at most two
    /// seconds. Other children of this process, and other supervisors' trees, are left alone; but an orphan that has
    /// never asked cannot be told from a child of ours with a seccomp program of its own, so where such an orphan is all
    /// that is left, both end. Returns how many processes were killed.
    pub fn kill_rest(&self) -> usize {
        kill::kill_tree(&self.shared, self.started.pid().unwrap_or(0))
    }

    /// What happened so far.
    pub fn counters(&self) -> CallCounters {
        let tally = &self.shared.tally;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CallCounters {
            held: read(&tally.held),
            continued: read(&tally.continued),
            unreadable: read(&tally.unreadable),
            gone: read(&tally.gone),
        }
    }
}

/// Makes this process the parent of descendants whose parent ends (PR_SET_CHILD_SUBREAPER), so that
/// [`Supervisor::kill_rest`] finds them. Supervisors that start after it reap them while their command runs, but one that
/// has never asked only in [`Supervisor::kill_rest`]. It is a property of the whole process.
///
/// # Errors
/// What prctl reports.
pub fn adopt_orphans() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

fn refuses_create_directory() -> bool {
    use rustix::fs::{Mode, OFlags, open};
    // Makes nothing: the root is a directory already, so a kernel that accepts the flags says so.
    let result = open("/", OFlags::CREATE | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    matches!(result, Err(Errno::INVAL))
}

/// Nobody has been looked at.
const UNKNOWN: u8 = 0;
/// The tree started as what we are, and nobody has made a call that changes that.
const ALIKE: u8 = 1;
/// Somebody has: everyone is looked at.
const CHANGED: u8 = 2;

impl Shared {
    /// How far this thread can be stood in for. Identity only changes by system calls, which are noted, and is
    /// inherited: while nobody has made one, one look at the first thread is good for all. Not at one that is about to
    /// execute the command: an exec gives and takes capabilities, the second one no others.
    ///
    /// # Errors
    /// We have no descriptor to look with. Then it is nobody's to say that only the text of its paths can be judged.
    fn likeness(&self, tid: u32, executes: bool) -> Result<(Likeness, u32), Errno> {
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

    fn identity_changes(&self, landlock: bool) {
        if landlock {
            self.landlocked.store(true, Ordering::Release);
        } else {
            self.alike.store(CHANGED, Ordering::Release);
        }
    }

    /// The next call that waits. `None` at the end.
    fn receive(&self) -> io::Result<Option<Notification>> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
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
                if let Some(notification) = self.again.lock().unwrap_or_else(PoisonError::into_inner).pop_front() {
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

    /// Whether nobody of the tree is left.
    fn is_over(&self) -> bool {
        let mut fds = [PollFd::new(&self.listener, PollFlags::IN)];
        let zero = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&zero)).is_ok_and(|n| n > 0) && fds[0].revents().contains(PollFlags::HUP)
    }

    fn ring(&self) {
        // The counter of an eventfd can not be full after so few of these.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    fn ask_again(&self, notification: Notification) {
        self.again.lock().unwrap_or_else(PoisonError::into_inner).push_back(notification);
        self.ring();
    }

    fn go_on(&self, id: u64) -> io::Result<()> {
        bump(&self.tally.continued);
        self.listener.go_on(id)
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

    /// Whether an answer reached its thread.
    fn sent(&self, result: io::Result<()>) -> bool {
        if result.is_err() {
            bump(&self.tally.gone);
        }
        result.is_ok()
    }
}
