//! One operation that waits for an answer, and the ways to answer it.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use proto::operation::Operation;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::Shared;
use super::maker::{Job, Made};
use super::notify::Notification;
use super::tracee::Status;

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

/// A system call of a supervised thread that waits for [`allow`](Held::allow) or [`deny`](Held::deny).
///
/// It is answered once; later answers do nothing. Dropped without an answer it is denied with EACCES.
#[derive(Debug)]
pub struct Held {
    pub(super) shared: Arc<Shared>,
    pub(super) notification: Notification,
    pub(super) operation: Arc<Operation>,
    pub(super) how: How,
    /// The object itself (O_PATH), if it is a regular file.
    pub(super) object: Option<OwnedFd>,
    pub(super) file: OnceLock<Result<Option<Arc<OwnedFd>>, Errno>>,
    pub(super) answered: AtomicBool,
}

impl Held {
    /// What is to be done. Paths are absolute, with symbolic links resolved; only made absolute where another mount
    /// namespace or root keeps us from resolving them. What its caller lacks is read from procfs at the first look.
    pub fn operation(&self) -> &Arc<Operation> {
        &self.operation
    }

    /// The file, open for reading, with a position of its own; opened at the first call. `None` if it is not a regular
    /// file, does not exist yet, or may not be read.
    ///
    /// # Errors
    /// What else keeps it from being opened: we are out of descriptors, somebody has a lease on it (EWOULDBLOCK). Then
    /// there is something to be read that nobody can look at.
    pub fn file(&self) -> io::Result<Option<Arc<OwnedFd>>> {
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

    /// Lets it happen. False if it was answered before, or the thread is gone.
    pub fn allow(&self) -> bool {
        if self.answered.swap(true, Ordering::AcqRel) {
            return false;
        }
        let id = self.notification.id;
        let result = match &self.how {
            How::GoOn => self.shared.go_on(id),
            How::Reopen { flags } => self.give_object(*flags),
            How::Create { parent, name, flags, mode } => self.give_new(parent, name, *flags, *mode),
        };
        self.shared.sent(result)
    }

    /// Refuses it with this error number. False if it was answered before, or the thread is gone.
    pub fn deny(&self, errno: i32) -> bool {
        if self.answered.swap(true, Ordering::AcqRel) {
            return false;
        }
        self.shared.sent(self.shared.listener.fail(self.notification.id, errno))
    }

    fn give_object(&self, flags: OFlags) -> io::Result<()> {
        let id = self.notification.id;
        let Some(object) = &self.object else { return self.shared.go_on(id) };
        if flags.contains(OFlags::TRUNC)
            && Status::of(self.notification.tid).is_ok_and(|status| !status.has_room(self.notification.tid))
        {
            return self.shared.listener.fail(id, libc::EMFILE);
        }
        let ours = (flags - OFlags::CREATE - OFlags::EXCL - OFlags::NOFOLLOW) | OFlags::CLOEXEC | OFlags::NOCTTY;
        // O_NONBLOCK, so that a lease on the file does not hold up this thread.
        match reopen(object, ours | OFlags::NONBLOCK) {
            Ok(file) => {
                if !flags.contains(OFlags::NONBLOCK)
                    && let Err(errno) = rustix::fs::fcntl_setfl(&file, ours)
                {
                    return self.shared.listener.fail(id, errno.raw_os_error());
                }
                self.shared.give(id, file, flags)
            }
            Err(Errno::WOULDBLOCK) if !flags.contains(OFlags::NONBLOCK) => self.shared.go_on(id),
            Err(errno) => self.shared.listener.fail(id, errno.raw_os_error()),
        }
    }

    fn give_new(&self, parent: &Arc<OwnedFd>, name: &[u8], flags: OFlags, mode: Mode) -> io::Result<()> {
        let id = self.notification.id;
        let Ok(status) = Status::of(self.notification.tid) else {
            return self.shared.listener.fail(id, libc::EACCES);
        };
        if !status.has_room(self.notification.tid) {
            return self.shared.listener.fail(id, libc::EMFILE);
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
        match self.shared.maker.make(job) {
            Made::File(file) => self.shared.give(id, file, flags),
            Made::Error(Errno::EXIST) if !flags.contains(OFlags::EXCL) => {
                self.shared.ask_again(self.notification);
                Ok(())
            }
            Made::Error(errno) => self.shared.listener.fail(id, errno.raw_os_error()),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.deny(libc::EACCES);
    }
}

/// Opens what an O_PATH descriptor names.
pub(super) fn reopen(object: &OwnedFd, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/self/fd/{}", object.as_raw_fd());
    rustix::io::retry_on_intr(|| rustix::fs::openat(CWD, path.as_str(), flags, Mode::empty())).map_err(not_theirs)
}

/// That our own table of descriptors is full must not look as if the caller's were.
pub(super) fn not_theirs(errno: Errno) -> Errno {
    if errno == Errno::MFILE { Errno::NFILE } else { errno }
}
