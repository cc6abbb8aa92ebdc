//! One operation that waits for its answer.
//!
//! The first answer counts, by one atomic word; dropped without one it is denied. What happens if it is allowed is its plan.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use proto::operation::{OpKind, Operation};
use proto::status::Status;
use rustix::fs::OFlags;
use rustix::io::Errno;
use sys::seccomp::Notification;

use super::actors::Likeness;
use super::plan::{Done, Plan};
use super::tree::Tree;
use crate::filter::Verdict;
use crate::source::Waiting;
use crate::source::descriptors::not_theirs;

/// A system call of a supervised thread that waits for its answer.
///
/// It is answered once; later answers do nothing. Dropped without an answer it is denied with EACCES.
#[derive(Debug)]
pub(super) struct Held {
    tree: Arc<Tree>,
    call: Notification,
    likeness: Likeness,
    operation: Arc<Operation>,
    plan: Plan,
    object: Option<Arc<OwnedFd>>,
    file: OnceLock<Result<Option<Arc<OwnedFd>>, Errno>>,
    answered: AtomicBool,
}

impl Waiting for Held {
    /// Paths are absolute, with symbolic links resolved; only made absolute where we cannot take on the rights and the view
    /// of the thread.
    fn operation(&self) -> &Arc<Operation> {
        &self.operation
    }

    /// `None` if it is not a regular file, does not exist yet, or is opened and may not be read. An error is what else keeps it
    /// from being looked into: we are out of descriptors, there is a lease on it (EWOULDBLOCK), it is executed and may not be
    /// read (EACCES).
    fn file(&self) -> io::Result<Option<Arc<OwnedFd>>> {
        Ok(self.file.get_or_init(|| self.open()).clone()?)
    }

    fn answer(&self, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Allow => self.finish(|| self.plan.carry_out(&self.tree, &self.likeness, self.call)),
            Verdict::Deny(status) => self.refuse(errno(status)),
        }
    }
}

impl Held {
    pub(super) fn new(
        tree: Arc<Tree>,
        call: Notification,
        likeness: Likeness,
        operation: Arc<Operation>,
        plan: Plan,
        object: Option<Arc<OwnedFd>>,
    ) -> Self {
        let (file, answered) = (OnceLock::new(), AtomicBool::new(false));
        Self { tree, call, likeness, operation, plan, object, file, answered }
    }

    fn refuse(&self, errno: Errno) -> bool {
        self.finish(|| {
            if let Plan::Late(_) = self.plan {
                self.tree.end(self.call);
            }
            errno.into()
        })
    }

    /// False if it was answered before, or its thread is gone.
    fn finish(&self, done: impl FnOnce() -> Done) -> bool {
        !self.answered.swap(true, Ordering::AcqRel) && self.tree.deliver(self.call, done())
    }

    /// Opens the object for reading, with the caller's rights. What is executed must be readable for that.
    fn open(&self) -> Result<Option<Arc<OwnedFd>>, Errno> {
        let closed = if self.operation.kind == OpKind::Exec { Err(Errno::ACCESS) } else { Ok(None) };
        let Some(object) = &self.object else { return closed };
        let Some(lease) = self.tree.actors.lease(&self.likeness, self.call.tid)? else { return closed };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        match lease.actor().reopen(object.as_fd(), flags, false).map_err(not_theirs) {
            Ok(file) => Ok(Some(Arc::new(file))),
            Err(Errno::ACCESS | Errno::PERM) => closed,
            Err(errno) => Err(errno),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.refuse(Errno::ACCESS);
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
