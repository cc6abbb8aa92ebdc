//! The operations of a command and its descendants, for any user.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use proto::operation::{OpSet, Operation};
use proto::status::Status;
use rustix::io::Errno;
pub use sys::supervise::CallCounters;
use sys::supervise::{Held, Supervisor};

use super::{Source, Waiting};
use crate::Error;
use crate::filter::Verdict;
use fltport::internal::lock;

/// What becomes of descendants that live longer than the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AtEnd {
    /// They are served until the last one ends.
    #[default]
    Wait,
    /// They are killed, so that the command leaves no process behind. This process becomes the parent of orphaned
    /// descendants (PR_SET_CHILD_SUBREAPER), and reaps them when they end.
    Kill,
}

/// Runs a command and holds back its file operations, and those of all its descendants: seccomp user notification.
///
/// What that can and can not protect is said in [`sys::supervise`]. The command has no_new_privs, so that sudo and
/// other setuid programs get no rights in it. Denials appear as the error number that fits the status best, EACCES if
/// none does.
#[derive(Debug)]
pub struct Supervise {
    state: Mutex<State>,
    changed: Condvar,
    at_end: AtEnd,
}

#[derive(Debug)]
enum State {
    Ready(Option<Command>),
    Running(Arc<Supervisor>),
    Failed,
}

impl Supervise {
    /// What it can hold back.
    pub const OPS: OpSet = sys::supervise::OPS;

    /// Will run this command when the manager starts. Its standard streams and directory are as the command says; pipes
    /// made by `Stdio::piped` can not be had.
    pub fn new(command: Command) -> Self {
        Self { state: Mutex::new(State::Ready(Some(command))), changed: Condvar::new(), at_end: AtEnd::Wait }
    }

    /// Says what becomes of descendants that live longer than the command.
    #[must_use]
    pub fn at_end(mut self, at_end: AtEnd) -> Self {
        self.at_end = at_end;
        self
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The supervisor, once it runs.
    fn supervisor(&self) -> Result<Arc<Supervisor>, Error> {
        let mut state = self.lock();
        loop {
            match &*state {
                State::Running(supervisor) => return Ok(supervisor.clone()),
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
        let supervisor = self.supervisor()?;
        let status = supervisor.wait().map_err(|error| failed("executing the command", error));
        if self.at_end == AtEnd::Kill {
            supervisor.kill_rest();
        }
        status
    }

    /// The command's process id; waits until it runs. The manager must run.
    ///
    /// # Errors
    /// Why it could not be executed.
    pub fn pid(&self) -> Result<u32, Error> {
        self.supervisor()?.pid().map_err(|error| failed("executing the command", error))
    }

    /// What happened below the filters.
    ///
    /// # Errors
    /// If the command was not started.
    pub fn counters(&self) -> Result<CallCounters, Error> {
        Ok(self.supervisor()?.counters())
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

    /// Two: a second one reads while the first is inside a slow file system.
    fn threads(&self) -> usize {
        2
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
        let adopted = if self.at_end == AtEnd::Kill { sys::supervise::adopt_orphans() } else { Ok(()) };
        let started = adopted.and_then(|()| Supervisor::start(command, ops));
        let result = match started {
            Ok(supervisor) => {
                *state = State::Running(Arc::new(supervisor));
                super::fanotify::raise_descriptors();
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
        let held = self.supervisor()?.next().map_err(|error| failed("listening to the command", error))?;
        Ok(held.map(|held| Box::new(held) as _))
    }

    fn stop(&self) {
        if let State::Running(supervisor) = &*self.lock() {
            supervisor.stop();
        }
    }
}

impl Waiting for Held {
    fn operation(&self) -> &Arc<Operation> {
        Self::operation(self)
    }
    fn file(&self) -> io::Result<Option<Arc<OwnedFd>>> {
        Self::file(self)
    }
    fn answer(&self, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Allow => self.allow(),
            Verdict::Deny(status) => self.deny(errno(status).raw_os_error()),
        }
    }
}

/// The error number that a program understands as this status.
fn errno(status: Status) -> Errno {
    match status {
        Status::OBJECT_NAME_NOT_FOUND | Status::OBJECT_PATH_NOT_FOUND | Status::NO_SUCH_FILE => Errno::NOENT,
        Status::SHARING_VIOLATION | Status::DEVICE_BUSY => Errno::BUSY,
        Status::DISK_FULL => Errno::NOSPC,
        Status::MEDIA_WRITE_PROTECTED => Errno::ROFS,
        Status::OBJECT_NAME_COLLISION => Errno::EXIST,
        Status::PRIVILEGE_NOT_HELD => Errno::PERM,
        Status::NOT_SUPPORTED => Errno::OPNOTSUPP,
        Status::DATA_ERROR | Status::IO_DEVICE_ERROR => Errno::IO,
        _ => Errno::ACCESS,
    }
}
