//! One operation that waits for its answer, and the ways to let it happen.
//!
//! The first answer counts, by one atomic word; dropped without one it is denied. An open is let happen by opening the very
//! object that was looked at, or by making the very name that was free, and injecting the result: the arguments of the call
//! are not read again. What cannot be made in the caller's name goes on in the kernel.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use proto::operation::Operation;
use proto::status::Status;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use sys::seccomp::Notification;

use super::maker::Job;
use super::tree::Tree;
use crate::filter::Verdict;
use crate::source::Waiting;
use crate::source::descriptors::not_theirs;
use crate::source::procfs::TaskStatus;

/// How to let an operation happen.
#[derive(Debug)]
pub(super) enum How {
    /// The kernel runs the call as it stands.
    GoOn,
    /// Open the object that was looked at, with these flags, and hand it over.
    Reopen { flags: OFlags },
    /// Make this file, and hand it over.
    Create { parent: Arc<OwnedFd>, name: Vec<u8>, flags: OFlags, mode: Mode },
}

/// What a call turned out to be about.
pub(super) struct Judged {
    pub(super) operation: Operation,
    pub(super) how: How,
    /// The object itself (O_PATH), if it is a regular file.
    pub(super) object: Option<OwnedFd>,
}

impl Judged {
    /// What the kernel runs as it stands.
    pub(super) fn continued(operation: Operation) -> Self {
        Self { operation, how: How::GoOn, object: None }
    }
}

/// A system call of a supervised thread that waits for its answer.
///
/// It is answered once; later answers do nothing. Dropped without an answer it is denied with EACCES.
#[derive(Debug)]
pub(super) struct Held {
    tree: Arc<Tree>,
    notification: Notification,
    operation: Arc<Operation>,
    how: How,
    object: Option<OwnedFd>,
    file: OnceLock<Result<Option<Arc<OwnedFd>>, Errno>>,
    answered: AtomicBool,
}

impl Waiting for Held {
    /// Paths are absolute, with symbolic links resolved; only made absolute where another mount namespace or root keeps
    /// us from resolving them.
    fn operation(&self) -> &Arc<Operation> {
        &self.operation
    }

    /// `None` if it is not a regular file, does not exist yet, or may not be read. An error is what else keeps it from
    /// being opened: we are out of descriptors, there is a lease on it (EWOULDBLOCK).
    fn file(&self) -> io::Result<Option<Arc<OwnedFd>>> {
        let open = || {
            let Some(object) = &self.object else { return Ok(None) };
            match reopen(object, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY) {
                Ok(file) => Ok(Some(Arc::new(file))),
                Err(Errno::ACCESS | Errno::PERM) => Ok(None),
                Err(errno) => Err(errno),
            }
        };
        Ok(self.file.get_or_init(open).clone()?)
    }

    fn answer(&self, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Allow => self.allow(),
            Verdict::Deny(status) => self.deny(errno(status)),
        }
    }
}

impl Held {
    pub(super) fn new(tree: Arc<Tree>, notification: Notification, judged: Judged) -> Self {
        Self {
            tree,
            notification,
            operation: Arc::new(judged.operation),
            how: judged.how,
            object: judged.object,
            file: OnceLock::new(),
            answered: AtomicBool::new(false),
        }
    }

    /// Lets it happen. False if it was answered before, or the thread is gone.
    fn allow(&self) -> bool {
        if self.answered.swap(true, Ordering::AcqRel) {
            return false;
        }
        let id = self.notification.id;
        let result = match &self.how {
            How::GoOn => self.tree.go_on(id),
            How::Reopen { flags } => self.give_object(*flags),
            How::Create { parent, name, flags, mode } => self.give_new(parent, name, *flags, *mode),
        };
        self.tree.sent(result)
    }

    /// Refuses it with this error number. False if it was answered before, or the thread is gone.
    fn deny(&self, errno: Errno) -> bool {
        if self.answered.swap(true, Ordering::AcqRel) {
            return false;
        }
        self.tree.sent(self.tree.listener.fail(self.notification.id, errno.raw_os_error()))
    }

    fn give_object(&self, flags: OFlags) -> io::Result<()> {
        let id = self.notification.id;
        let Some(object) = &self.object else { return self.tree.go_on(id) };
        if flags.contains(OFlags::TRUNC)
            && TaskStatus::of(self.notification.tid).is_ok_and(|status| !status.has_room(self.notification.tid))
        {
            return self.tree.listener.fail(id, libc::EMFILE);
        }
        let ours = (flags - OFlags::CREATE - OFlags::EXCL - OFlags::NOFOLLOW) | OFlags::CLOEXEC | OFlags::NOCTTY;
        // O_NONBLOCK, so that a lease on the file does not hold up this thread.
        match reopen(object, ours | OFlags::NONBLOCK) {
            Ok(file) => {
                if !flags.contains(OFlags::NONBLOCK)
                    && let Err(errno) = rustix::fs::fcntl_setfl(&file, ours)
                {
                    return self.tree.listener.fail(id, errno.raw_os_error());
                }
                self.tree.give(id, file, flags)
            }
            Err(Errno::WOULDBLOCK) if !flags.contains(OFlags::NONBLOCK) => self.tree.go_on(id),
            Err(errno) => self.tree.listener.fail(id, errno.raw_os_error()),
        }
    }

    fn give_new(&self, parent: &Arc<OwnedFd>, name: &[u8], flags: OFlags, mode: Mode) -> io::Result<()> {
        let id = self.notification.id;
        let Ok(status) = TaskStatus::of(self.notification.tid) else {
            return self.tree.listener.fail(id, libc::EACCES);
        };
        if !status.has_room(self.notification.tid) {
            return self.tree.listener.fail(id, libc::EMFILE);
        }
        // Only a name that is still free is created: what stands there meanwhile was not asked about.
        let exclusive = if flags.contains(OFlags::TMPFILE) { OFlags::empty() } else { OFlags::EXCL | OFlags::NOFOLLOW };
        let job = Job {
            parent: parent.clone(),
            name: name.to_vec(),
            flags: flags | exclusive | OFlags::CLOEXEC | OFlags::NOCTTY,
            mode,
            umask: Mode::from_raw_mode(status.umask),
        };
        match self.tree.maker.make(job) {
            Ok(file) => self.tree.give(id, file, flags),
            Err(Errno::EXIST) if !flags.contains(OFlags::EXCL) => {
                self.tree.ask_again(self.notification);
                Ok(())
            }
            Err(errno) => self.tree.listener.fail(id, errno.raw_os_error()),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.deny(Errno::ACCESS);
    }
}

/// Opens what an O_PATH descriptor names.
pub(super) fn reopen(object: &OwnedFd, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/self/fd/{}", object.as_raw_fd());
    rustix::io::retry_on_intr(|| rustix::fs::openat(CWD, path.as_str(), flags, Mode::empty())).map_err(not_theirs)
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
