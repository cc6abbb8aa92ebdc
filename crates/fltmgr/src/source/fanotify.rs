//! The opens and execs of every process on whole file systems, for root.

mod coverage;
mod mounts;
mod unread;
mod verdicts;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

pub use coverage::Coverage;
use coverage::Follower;
use proto::operation::{Caller, OpKind, OpSet, Operation};
use proto::status::Status;
use sys::fanotify::{EXEC, Group, Names, OPEN, Permission};
use unread::{Place, Room, Unread};
use verdicts::{Looked, Verdicts};

use super::exempt::{Exempt, Exemptions};
use super::{Source, Waiting, descriptors, procfs};
use crate::Error;
use crate::filter::Verdict;
use fltport::internal::lock;

/// Opens and execs on file systems, by any process: fanotify, with CAP_SYS_ADMIN in the initial user namespace.
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
    follower: Arc<Follower>,
    exempt: Exemptions,
    verdicts: Arc<Verdicts>,
    /// A thread that reads holds it: the others wait here, where they find what is left when that one is busy with the
    /// first event, and not at the group, which would tell them nothing of it.
    incoming: Mutex<Incoming>,
    room: Arc<Room>,
}

/// Events on their way.
#[derive(Debug, Default)]
struct Incoming {
    /// What one read brought and no thread took yet.
    read: VecDeque<Arrived>,
    unread: Unread,
}

/// An event that was read, and since when it waits.
#[derive(Debug)]
struct Arrived {
    event: Permission,
    since: Duration,
    _place: Place,
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
        let follower = Follower::new(group.clone()).map_err(|error| failed("making an event descriptor", error))?;
        Ok(Self {
            group,
            paths: paths.into_iter().map(Into::into).collect(),
            follower,
            exempt: Exemptions::new(),
            verdicts: Arc::default(),
            incoming: Mutex::default(),
            room: Arc::new(Room::new(limit, descriptors::count())),
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

    /// Forgets every verdict that was [remembered](crate::filter::PreOperation::remember), and does not remember those
    /// that are being decided: after a change of rules.
    pub fn forget(&self) {
        self.verdicts.clear();
    }

    /// Opens and execs that were allowed without a question, because the file has not changed since it was allowed.
    pub fn remembered(&self) -> u64 {
        self.verdicts.used()
    }

    /// Events that the kernel could not give to us, and denied.
    pub fn lost(&self) -> u64 {
        self.group.lost()
    }

    /// Calls `tell` with what is covered and what is not: at the start, for file systems that are mounted below the paths
    /// and cannot be watched, and whenever something there is mounted or unmounted. A file system that is mounted below
    /// the paths alone is watched too, from a moment after it is mounted; only mounts of this process's mount namespace
    /// are seen. On a thread of its own, and at the start on the one that starts.
    pub fn on_coverage(&self, tell: impl Fn(&Coverage) + Send + Sync + 'static) {
        self.follower.tell(Box::new(tell));
    }

    /// Ends it before it is served: what was opened since the first mark is allowed.
    fn release(&self) {
        self.stop();
        let mut events = Vec::new();
        while self.group.read(&mut events, usize::MAX).unwrap_or(false) {
            Group::answer_all(&events, true);
            events.clear();
        }
    }

    /// Reads some events, and answers those that need no question. False when there will be no more.
    fn read(&self, incoming: &mut Incoming) -> io::Result<bool> {
        let most = self.room.wait(&self.group, &mut incoming.unread);
        let mut events = Vec::new();
        if !self.group.read(&mut events, most)? {
            return Ok(false);
        }
        let now = sys::clock::monotonic();
        let mut allowed = Vec::new();
        for event in events {
            let since = incoming.unread.next_since(now);
            let file = event.file().as_fd();
            // Only a precaution, where the kernel has its fault.
            let _ = self.group.mark_first(file);
            if self.exempt.cover(event.pid()) || self.verdicts.allow(&self.group, file) {
                allowed.push(event);
            } else {
                let number = usize::try_from(file.as_raw_fd()).unwrap_or(0);
                incoming.read.push_back(Arrived { event, since, _place: self.room.take(number) });
            }
        }
        Group::answer_all(&allowed, true);
        Ok(true)
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
        self.follower.start(&self.paths, mask).map_err(|(path, error)| {
            self.release();
            failed(format!("watching the file system of {}", path.display()), error)
        })
    }

    fn next(&self) -> Result<Option<Box<dyn Waiting>>, Error> {
        let mut incoming = lock(&self.incoming);
        loop {
            if let Some(arrived) = incoming.read.pop_front() {
                drop(incoming);
                return Ok(Some(Box::new(Open::new(arrived, &self.follower.names(), self.verdicts.clone()))));
            }
            if !self.read(&mut incoming).map_err(|error| failed("reading events", error))? {
                return Ok(None);
            }
        }
    }

    fn stop(&self) {
        // No new questions; the readers go on until the queue of the old ones is empty.
        self.follower.stop();
        self.group.stop();
    }
}

impl Drop for Fanotify {
    /// The thread that follows mounts would keep the group, and with it what waits.
    fn drop(&mut self) {
        self.follower.stop();
    }
}

/// An event that waits.
#[derive(Debug)]
struct Open {
    since: Duration,
    /// Until it is answered: whatever still holds the operation then does not hold a descriptor.
    arrived: Mutex<Option<Arrived>>,
    operation: Arc<Operation>,
    verdicts: Arc<Verdicts>,
    /// What the file was before any filter or application looked.
    looked: OnceLock<Option<Looked>>,
}

impl Open {
    fn new(arrived: Arrived, names: &Names, verdicts: Arc<Verdicts>) -> Self {
        let event = &arrived.event;
        // Asking for the name raises no event.
        let path = names.of(event.file().as_fd()).unwrap_or_default();
        let kind = if event.exec() { OpKind::Exec } else { OpKind::Open };
        let caller = Caller::new(event.pid(), procfs::look_up).with_process(event.pid());
        let operation = Arc::new(Operation::new(kind, path, caller));
        let since = arrived.since;
        Self { since, arrived: Mutex::new(Some(arrived)), operation, verdicts, looked: OnceLock::new() }
    }

    /// Looks at the event, if it is not answered yet.
    fn event<R>(&self, look: impl FnOnce(&Permission) -> R) -> Option<R> {
        lock(&self.arrived).as_ref().map(|arrived| look(&arrived.event))
    }

    fn looked(&self, event: &Permission) -> Option<Looked> {
        *self.looked.get_or_init(|| self.verdicts.look(event.group(), event.file()))
    }
}

impl Waiting for Open {
    fn operation(&self) -> &Arc<Operation> {
        &self.operation
    }
    fn arrived(&self) -> Duration {
        self.since
    }
    fn file(&self) -> io::Result<Option<Arc<OwnedFd>>> {
        Ok(self.event(|event| {
            let _ = self.looked(event);
            event.file().clone()
        }))
    }
    fn answer(&self, verdict: Verdict) -> bool {
        let arrived = lock(&self.arrived).take();
        arrived.is_some_and(|arrived| arrived.event.answer(verdict == Verdict::Allow))
    }
    fn remember(&self) {
        if let Some(looked) = self.event(|event| self.looked(event)).flatten() {
            self.verdicts.keep(looked);
        }
    }
}
