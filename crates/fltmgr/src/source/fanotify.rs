//! The opens and execs of every process on whole file systems, for root.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use proto::operation::{Caller, OpKind, OpSet, Operation};
use proto::status::Status;
use sys::fanotify::{EXEC, Event, Group, Names, OPEN, Permission};

use super::exempt::{Exempt, Exemptions};
use super::{Source, Waiting, descriptors, procfs};
use crate::Error;
use crate::filter::Verdict;
use fltport::internal::lock;

/// Opens and execs on file systems, whoever makes them: fanotify, with CAP_SYS_ADMIN in the initial user namespace.
///
/// Operations of this process are answered at once, and those of applications given to [`exempt`](Self::exempt): the
/// filter and its applications must not wait for themselves. A file is named by the paths given, by whatever mount and in
/// whatever mount namespace it is opened. Denials appear as EPERM whatever the status, the only
/// error that the kernel gives here. An exec is reported twice, as the kernel reports it: [`OpKind::Exec`], then
/// [`OpKind::Open`]. Not covered: rename, unlink and the like; files that are open already; O_PATH; procfs.
///
/// When this process dies, the kernel allows everything that waits.
#[derive(Debug)]
pub struct Fanotify {
    group: Arc<Group>,
    paths: Vec<PathBuf>,
    names: OnceLock<Names>,
    exempt: Exemptions,
    /// What one read brought and nobody took yet. Whoever reads holds it: the others wait here, where they find what is
    /// left when that one is busy with the first, and not at the group, which would tell them nothing of it.
    queue: Mutex<VecDeque<Permission>>,
    room: Arc<Room>,
}

/// Reading pauses while events hold too many descriptors.
#[derive(Debug)]
struct Room {
    limit: usize,
    taken: Mutex<usize>,
    freed: Condvar,
}

impl Room {
    fn lock(&self) -> MutexGuard<'_, usize> {
        lock(&self.taken)
    }
}

fn failed(doing: impl Into<String>, error: io::Error) -> Error {
    let doing = doing.into();
    match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::PERM) => Error::with_source(Status::PRIVILEGE_NOT_HELD, doing, error)
            .hint("fanotify needs CAP_SYS_ADMIN in the initial user namespace; a command can be supervised without"),
        Some(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
            Error::with_source(Status::NOT_SUPPORTED, doing, error)
                .hint("this kernel or file system has no permission events")
        }
        Some(rustix::io::Errno::NOENT) => Error::with_source(Status::OBJECT_NAME_NOT_FOUND, doing, error),
        _ => {
            let text = error.to_string();
            Error::with_source(Status::UNSUCCESSFUL, doing, error).hint(text)
        }
    }
}

impl Fanotify {
    /// What it can hold back.
    pub const OPS: OpSet = OpSet::OPEN.union(OpSet::EXEC);

    /// Will watch the file systems on which these paths are. Raises this process's soft limit of open files to the hard
    /// one.
    ///
    /// # Errors
    /// [`Status::PRIVILEGE_NOT_HELD`] without the right, [`Status::NOT_SUPPORTED`] without the kernel's support.
    pub fn new(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Result<Self, Error> {
        let group = Group::new().map_err(|error| failed("making a fanotify group", error))?;
        let limit = usize::try_from(descriptors::raise_limit()).unwrap_or(usize::MAX);
        // A fifth stays free for connections and everything else; a read brings up to 170 events.
        let limit = (limit / 5 * 4).saturating_sub(170).max(1);
        Ok(Self {
            group,
            paths: paths.into_iter().map(Into::into).collect(),
            names: OnceLock::new(),
            exempt: Exemptions::new(),
            queue: Mutex::default(),
            room: Arc::new(Room { limit, taken: Mutex::new(0), freed: Condvar::new() }),
        })
    }

    /// Answers the operations of some processes at once: of each that `exempt` names at the time, usually the
    /// applications that decide. One outside of our pid namespace has the number 0, as all others there, and is not exempt.
    ///
    /// ```no_run
    /// use std::sync::Arc;
    /// use fltmgr::guard::Applications;
    /// use fltmgr::source::Fanotify;
    ///
    /// # fn main() -> Result<(), fltmgr::Error> {
    /// let applications = Arc::new(Applications::new());
    /// let source = Fanotify::new(["/srv"])?;
    /// source.exempt(applications.clone());
    /// # Ok(()) }
    /// ```
    pub fn exempt(&self, exempt: Arc<dyn Exempt>) {
        self.exempt.add(exempt);
    }

    /// Forgets every verdict that [`remember`](crate::filter::PreOperation::remember) put into the kernel: after a change
    /// of rules.
    ///
    /// # Errors
    /// None that the kernel documents.
    pub fn forget(&self) -> Result<(), Error> {
        self.group.flush_ignored().map_err(|error| failed("flushing the kernel's verdicts", error))
    }

    /// Events that the kernel could not give to us, and denied.
    pub fn lost(&self) -> u64 {
        self.group.lost()
    }

    /// Ends it before it is served: what was opened since the first mark is allowed.
    fn release(&self) {
        self.stop();
        let mut events = Vec::new();
        while self.group.read(&mut events).unwrap_or(false) {
            let permissions: Vec<_> = events.drain(..).filter_map(permission).collect();
            Group::answer_all(&permissions, true);
        }
    }

    fn wait_for_room(&self) {
        let mut taken = self.room.lock();
        while *taken >= self.room.limit {
            // The time only bounds what a missed wake-up could cost.
            let wait = self.room.freed.wait_timeout(taken, Duration::from_millis(100));
            taken = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Source for Fanotify {
    fn name(&self) -> &str {
        "fanotify"
    }

    fn capabilities(&self) -> OpSet {
        Self::OPS
    }

    fn start(&self, ops: OpSet) -> Result<(), Error> {
        let mut mask = 0;
        if ops.contains(OpSet::OPEN) {
            mask |= OPEN;
        }
        if ops.contains(OpSet::EXEC) {
            mask |= EXEC;
        }
        // By their real paths, as the kernel names files. What is wrong with one is said when it is watched.
        let real = self.paths.iter().filter_map(|path| path.canonicalize().ok()).collect::<Vec<_>>();
        if let Ok(names) = Names::below(&real) {
            let _ = self.names.set(names);
        }
        for path in &self.paths {
            let doing = || format!("watching the file system of {}", path.display());
            if let Err(error) = self.group.watch(path, mask) {
                self.release();
                return Err(failed(doing(), error));
            }
        }
        Ok(())
    }

    fn next(&self) -> Result<Option<Box<dyn Waiting>>, Error> {
        let mut queue = lock(&self.queue);
        loop {
            if let Some(event) = queue.pop_front() {
                drop(queue);
                return Ok(Some(Box::new(Open::new(event, self.names.get(), self.room.clone()))));
            }
            self.wait_for_room();
            let mut events = Vec::new();
            if !self.group.read(&mut events).map_err(|error| failed("reading events", error))? {
                return Ok(None);
            }
            let permissions = events.into_iter().filter_map(permission);
            let (exempt, others): (Vec<_>, Vec<_>) = permissions.partition(|event| self.exempt.cover(event.pid()));
            Group::answer_all(&exempt, true);
            queue.extend(others);
        }
    }

    fn stop(&self) {
        // No new questions; the readers go on until the queue of the old ones is empty.
        let _ = self.group.unwatch_all();
        self.group.stop();
    }
}

fn permission(event: Event) -> Option<Permission> {
    match event {
        Event::Permission(permission) => Some(permission),
        _ => None,
    }
}

/// An event that waits.
#[derive(Debug)]
struct Open {
    event: Permission,
    operation: Arc<Operation>,
    room: Arc<Room>,
    /// Which contents it had before anybody looked.
    looked: OnceLock<Option<Version>>,
}

/// Changes with the contents (ctime, size), as finely as the kernel's clock of files: a tick before Linux 6.13.
type Version = (i64, u64, i64);

fn version(file: &OwnedFd) -> Option<Version> {
    rustix::fs::fstat(file).ok().map(|stat| (stat.st_ctime, stat.st_ctime_nsec, stat.st_size))
}

impl Open {
    fn new(event: Permission, names: Option<&Names>, room: Arc<Room>) -> Self {
        *room.lock() += 1;
        // Asking for the name raises no event.
        let path = names.and_then(|names| names.of(event.file().as_fd())).unwrap_or_default();
        let kind = if event.exec() { OpKind::Exec } else { OpKind::Open };
        let caller = Caller::new(event.pid(), procfs::look_up).with_process(event.pid());
        Self { operation: Arc::new(Operation::new(kind, path, caller)), event, room, looked: OnceLock::new() }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        *self.room.lock() -= 1;
        self.room.freed.notify_one();
    }
}

impl Waiting for Open {
    fn operation(&self) -> &Arc<Operation> {
        &self.operation
    }
    fn file(&self) -> io::Result<Option<Arc<OwnedFd>>> {
        self.looked.get_or_init(|| version(self.event.file()));
        Ok(Some(self.event.file().clone()))
    }
    fn answer(&self, verdict: Verdict) -> bool {
        self.event.answer(verdict == Verdict::Allow)
    }
    fn remember(&self) {
        let file = self.event.file();
        let changed = || self.looked.get().is_some_and(|looked| looked.is_none() || *looked != version(file));
        if changed() {
            return;
        }
        // Only a cache: what can not be remembered is asked again.
        let _ = self.event.group().ignore(file.as_fd(), OPEN | EXEC);
        // A change takes the mark away, but not one that came between the look and the mark.
        if changed() {
            let _ = self.event.group().unignore(file.as_fd(), OPEN | EXEC);
        }
    }
}
