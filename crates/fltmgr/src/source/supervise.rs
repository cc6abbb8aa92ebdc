//! The operations of a command and its descendants, for any user.
//!
//! In the order of a call's life: `calls` is the table of what is held back and `program` the seccomp program of it,
//! `command` starts the command under it, `tree` receives a call, `judge` finds out what it is about: `arguments` copies
//! its memory, `identity` says what its thread may do and see, `actors` has a process that may do and see the same
//! (`domains`: under Landlock too),
//! `resolve` follows its paths by calls of that one, `procfiles` and `devices` know what depends on the process that opens.
//! `held` waits for the verdict, `plan` is what happens then (`endless`: what may wait for ever). An exec is about all that
//! `image` finds in its file, and `executions` sees whether that was executed. `kill` and `orphans` leave no process behind.

mod actors;
mod arguments;
mod asked;
mod calls;
mod command;
mod devices;
mod domains;
mod endless;
mod executions;
mod held;
mod identity;
mod image;
mod judge;
mod kill;
mod members;
mod names;
mod orphans;
mod plan;
mod procfiles;
mod program;
mod resolve;
mod tree;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use proto::operation::OpSet;
use proto::status::Status;
use rustix::io::Errno;

use super::{Source, Waiting, descriptors};
use crate::Error;
use command::Started;
use fltport::internal::lock;
pub use tree::CallCounters;
use tree::{Received, Tree};

/// So many look-ups at one time; with all of them in file systems that do not answer, the tree stands still.
const READERS: usize = 16;

/// What becomes of descendants that live longer than the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum AtEnd {
    /// They are served until the last one ends.
    #[default]
    Wait,
    /// They are killed, so that the command leaves no process behind. This process becomes the parent of orphaned
    /// descendants (PR_SET_CHILD_SUBREAPER), and reaps them when they end. Other children of it, and other supervised
    /// trees, are left alone; but an orphan that has never asked cannot be told from a child with a seccomp program of
    /// its own, so where such an orphan is all that is left, both end.
    Kill,
}

/// Runs a command and holds back its file operations, and those of all its descendants: seccomp user notification, Linux
/// 5.15 and later. The command's own exec is the first of them.
///
/// **What was judged is what happens.** A call is looked at once: its texts are copied, its paths followed to objects and
/// directories, and if it is allowed those are opened, made, renamed, removed, changed, in the caller's place: by this
/// process, or where the thread is not what this process is (another user, root, namespace, Landlock domain) by a process of
/// ours that has become the same. Neither the caller's memory nor its paths are read again. Directories are opened so without
/// a question.
///
/// What **continues in the kernel** instead, which reads its path again, so that a second thread can change it between
/// question and use:
///
/// | | why | [`strict`](Self::strict) |
/// |---|---|---|
/// | exec | no process can be executed in another's place; see below | continues |
/// | `O_PATH` by openat, and opens with `O_DIRECTORY` | they give no access to contents, are not asked about, and what is opened by them is | continue |
/// | a terminal that is, or would become, the controlling one | it depends on the process that opens it | refused |
/// | a device whose driver remembers the process that opens it, or is not known | so | refused |
/// | `mem` of a process and what is in its `attr`, in procfs | so | refused |
/// | every call of a thread that no process of ours can become: with another label of a security module, or rights that we have not | another would reach what it cannot | refused |
///
/// **Exec** is asked about once for the program, for each interpreter of a script, and for the loader that it names. What then
/// runs is looked at when the process is next held, which it is before it opens, changes or starts anything. If that is
/// something else, it is asked about ([`OpFlags::RUNS`](proto::operation::OpFlags::RUNS)), and its process is killed if it is
/// denied. A program that cannot be read counts as one that could not be looked into.
///
/// seccomp_unotify(2) tells of this too.
///
/// Not asked at all: reading and writing of open files, descriptors that come over a socket, interpreters of binfmt_misc.
/// Refused: io_uring, clone3 and calls that Linux 6.19 does not have (ENOSYS), openat2 with O_PATH (ENOSYS), opening by
/// handle, pidfd_getfd, acct, swapon, fanotify events that are open files, subvolumes of Btrfs by ioctl (EPERM), 32-bit and
/// x32 system calls (ENOSYS), paths of a thread whose memory we may not read
/// (EACCES, counted as [`CallCounters::unreadable`]), files of procfs that show this process, and what is so deep that its
/// absolute path is longer than PATH_MAX (ENAMETOOLONG), however short the one that was given.
///
/// The command has no_new_privs, so that sudo and other setuid programs get no rights in it. Denials appear as the error
/// number that fits the status best, EACCES if none does. When this process dies, the command is killed
/// (PR_SET_PDEATHSIG), and calls of its descendants that would wait fail with ENOSYS. A second supervisor inside the tree
/// is refused ([`Status::DEVICE_BUSY`]).
///
/// Before Linux 5.19 a signal in the middle makes a program's call begin anew, so a question may be asked twice; and the
/// descriptor that it got stays open here for a moment longer, so that a lock that it ended by closing seems held.
///
/// Sources: seccomp_unotify(2), seccomp(2), openat2(2), path_resolution(7).
#[derive(Debug)]
pub struct Supervise {
    state: Mutex<State>,
    changed: Condvar,
    at_end: AtEnd,
    strict: bool,
}

#[derive(Debug)]
enum State {
    Ready(Option<Command>),
    Running(Arc<Tree>, Arc<Started>),
    Failed,
}

impl Supervise {
    /// What it can hold back.
    pub const OPS: OpSet = calls::OPS;

    /// Will run this command when the manager starts. Its standard streams and directory are as the command says; pipes
    /// made by `Stdio::piped` can not be had.
    pub fn new(command: Command) -> Self {
        Self {
            state: Mutex::new(State::Ready(Some(command))),
            changed: Condvar::new(),
            at_end: AtEnd::Wait,
            strict: false,
        }
    }

    /// Says what becomes of descendants that live longer than the command.
    #[must_use]
    pub fn at_end(mut self, at_end: AtEnd) -> Self {
        self.at_end = at_end;
        self
    }

    /// Refuses (EPERM) what would have to continue in the kernel, which reads its path again, and what gives the tree of files
    /// another shape for some of the command's processes: new user and mount namespaces, setns, chroot, mounts.
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The tree, once it runs.
    fn running(&self) -> Result<(Arc<Tree>, Arc<Started>), Error> {
        let mut state = self.lock();
        loop {
            match &*state {
                State::Running(tree, started) => return Ok((tree.clone(), started.clone())),
                State::Failed => {
                    return Err(Error::new(Status::UNSUCCESSFUL, "using a command that was not started"));
                }
                State::Ready(_) => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Waits until the command has ended, and with [`AtEnd::Kill`] until its descendants are gone too. The manager must
    /// run.
    ///
    /// # Errors
    /// Why it could not be executed.
    pub fn wait(&self) -> Result<ExitStatus, Error> {
        let (tree, started) = self.running()?;
        let status = started.wait().map_err(|error| failed("executing the command", error));
        if self.at_end == AtEnd::Kill {
            let all = kill::kill_tree(&tree, started.pid().unwrap_or(0));
            if !all && status.is_ok() {
                return Err(Error::new(Status::TIMEOUT, "ending what the command left running")
                    .hint("some of its processes do not end, though they are killed; they can open nothing any more"));
            }
        }
        status
    }

    /// The command's process id; waits until it runs. The manager must run.
    ///
    /// # Errors
    /// Why it could not be executed.
    pub fn pid(&self) -> Result<u32, Error> {
        self.running()?.1.pid().map_err(|error| failed("executing the command", error))
    }

    /// Whether this process is the command, or was started by it or below it; true too where that cannot be told, and false
    /// before the command is started. For ports: what is decided about must not be the one that decides. Orphans are only
    /// known with [`AtEnd::Kill`], or when they have asked. A number is used again: of a process that may end meanwhile,
    /// have a descriptor, and look at that afterwards.
    pub fn contains(&self, process: u32) -> bool {
        match &*self.lock() {
            State::Running(tree, _) => members::contains(tree, process),
            State::Ready(_) | State::Failed => false,
        }
    }

    /// The programs whose memory is closed to this process, so that their calls were denied unseen, by their command names
    /// (at most 15 bytes each), with the number of those calls: programs that an ordinary user may run and not read, and
    /// those that close themselves to debuggers (PR_SET_DUMPABLE), as programs that keep keys do. Only the first 64 are
    /// named, and the others counted under an empty name. Empty before the manager runs.
    pub fn closed(&self) -> Vec<(OsString, u64)> {
        match &*self.lock() {
            State::Running(tree, _) => tree.closed(),
            State::Ready(_) | State::Failed => Vec::new(),
        }
    }

    /// Programs that were refused because they make 32-bit calls, which cannot be held; 64 of them at most. Empty before
    /// the manager runs.
    pub fn narrow(&self) -> Vec<PathBuf> {
        match &*self.lock() {
            State::Running(tree, _) => tree.narrow(),
            State::Ready(_) | State::Failed => Vec::new(),
        }
    }

    /// What happened below the filters.
    ///
    /// # Errors
    /// If the command was not started.
    pub fn counters(&self) -> Result<CallCounters, Error> {
        Ok(self.running()?.0.counters())
    }
}

fn failed(doing: &str, error: io::Error) -> Error {
    let status = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT) => Status::OBJECT_NAME_NOT_FOUND,
        Some(Errno::ACCESS | Errno::PERM) => Status::ACCESS_DENIED,
        Some(Errno::NOEXEC) => Status::INVALID_IMAGE_FORMAT,
        Some(Errno::MFILE | Errno::NFILE) => {
            return Error::with_source(Status::TOO_MANY_OPENED_FILES, doing, error)
                .hint("this process or the system has no descriptors left; raise the limit (ulimit -n)");
        }
        Some(Errno::BUSY) => {
            return Error::with_source(Status::DEVICE_BUSY, doing, error).hint("this process is supervised itself");
        }
        _ if error.kind() == io::ErrorKind::Unsupported => Status::NOT_SUPPORTED,
        _ => Status::UNSUCCESSFUL,
    };
    let text = error.to_string();
    Error::with_source(status, doing, error).hint(text)
}

impl Source for Supervise {
    fn name(&self) -> &str {
        "supervise"
    }

    fn capabilities(&self) -> OpSet {
        Self::OPS
    }

    /// One reads while the others are inside file systems that are slow, or do not answer.
    fn threads(&self) -> usize {
        READERS
    }

    fn start(&self, ops: OpSet) -> Result<(), Error> {
        let mut state = self.lock();
        let command = match &mut *state {
            State::Ready(command) => command.take(),
            _ => None,
        };
        let Some(command) = command else {
            return Err(Error::new(Status::INVALID_DEVICE_REQUEST, "starting a command that was started before"));
        };
        let adopted = if self.at_end == AtEnd::Kill { orphans::adopt() } else { Ok(()) };
        let result = match adopted.and_then(|()| Tree::start(command, program::program(ops, self.strict), self.strict))
        {
            Ok((tree, started)) => {
                *state = State::Running(tree, started);
                descriptors::raise_limit();
                Ok(())
            }
            Err(error) => {
                *state = State::Failed;
                Err(failed("starting the command under supervision", error))
            }
        };
        self.changed.notify_all();
        result
    }

    fn next(&self) -> Result<Option<Box<dyn Waiting>>, Error> {
        let (tree, _) = self.running()?;
        // What can be answered without asking (errors of the path, directories) is answered here.
        loop {
            let held = match tree.receive().map_err(|error| failed("listening to the command", error))? {
                None => return Ok(None),
                Some(Received::Question(held)) => Some(*held),
                Some(Received::Call(call)) => {
                    tree.asked.insert(call.tid);
                    judge::judge(&tree, call)
                }
            };
            if let Some(held) = held {
                tree.tally.held.bump();
                return Ok(Some(Box::new(held)));
            }
        }
    }

    fn stop(&self) {
        if let State::Running(tree, _) = &*self.lock() {
            tree.stop();
        }
    }
}
