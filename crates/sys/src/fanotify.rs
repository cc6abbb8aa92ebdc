//! Permission events of whole file systems: fanotify(7), for CAP_SYS_ADMIN in the initial user namespace, Linux 5.15
//! and later.
//!
//! A [`Group`] asks before files are opened and executed on the file systems that it marked. A [`Permission`] owns the
//! event's descriptor until it is answered, because the kernel matches answers by number; closing the descriptor
//! without an answer would leave the opener waiting for ever, so dropping it unanswered answers *deny*. When the last
//! descriptor of the group is closed (our death included) the kernel allows all that waits.
//!
//! Marks are put on file systems, not on mounts: a mount mark is left behind by every new mount namespace. No mark of a
//! file is ever removed: the kernel keeps a removed mark on the file until each opener that already waits has gone on, and
//! lets every other open of that file pass without a question until then.
//!
//! The reader must not open files on a marked file system, nor wait for anything: it would wait for itself.

mod names;
mod parse;

use std::ffi::CString;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;

pub use names::{Names, mount_number};
pub use parse::{HEADER_LEN, Malformed, RawEvent, parse};

/// Before a file is opened (FAN_OPEN_PERM).
pub const OPEN: u64 = libc::FAN_OPEN_PERM;
/// Before a file is executed (FAN_OPEN_EXEC_PERM); an [`OPEN`] of the same file follows.
pub const EXEC: u64 = libc::FAN_OPEN_EXEC_PERM;

/// Most answers in one writev: UIO_MAXIOV.
const MAX_ANSWERS: usize = 1024;
/// Most events of one read, each of which takes a descriptor.
const MAX_EVENTS: usize = 128;

/// A permission group.
#[derive(Debug)]
pub struct Group {
    fd: OwnedFd,
    wake: OwnedFd,
    stopped: AtomicBool,
    held: AtomicUsize,
    lost: AtomicU64,
}

/// An open or exec that waits.
#[derive(Debug)]
pub struct Permission {
    group: Arc<Group>,
    file: Arc<OwnedFd>,
    pid: u32,
    exec: bool,
    answered: AtomicBool,
}

impl Group {
    /// Makes a group: content class, unlimited queue and marks, close-on-exec everywhere.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN in the initial user namespace; ENOSYS or EINVAL without the kernel's support.
    pub fn new() -> io::Result<Arc<Self>> {
        let flags = libc::FAN_CLASS_CONTENT
            | libc::FAN_CLOEXEC
            | libc::FAN_NONBLOCK
            | libc::FAN_UNLIMITED_QUEUE
            | libc::FAN_UNLIMITED_MARKS;
        let file_flags = libc::O_RDONLY | libc::O_LARGEFILE | libc::O_CLOEXEC | libc::O_NOATIME;
        // SAFETY: fanotify_init takes two integers.
        let fd = unsafe { libc::fanotify_init(flags, file_flags as u32) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made, and nothing else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Arc::new(Self {
            fd,
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            stopped: AtomicBool::new(false),
            held: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
        }))
    }

    fn mark(&self, flags: u32, mask: u64, at: RawFd, path: Option<&CString>) -> io::Result<()> {
        let path = path.map_or(std::ptr::null(), |path| path.as_ptr());
        // SAFETY: `path` is null or a string that lives through the call.
        let result = unsafe { libc::fanotify_mark(self.fd.as_raw_fd(), flags, mask, at, path) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Asks about [`OPEN`] and/or [`EXEC`] on the whole file system of `path`.
    ///
    /// # Errors
    /// EINVAL for file systems where the kernel does not allow it (procfs), ENOENT and the like for the path.
    pub fn watch(&self, path: &Path, mask: u64) -> io::Result<()> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        self.mark(libc::FAN_MARK_ADD | libc::FAN_MARK_FILESYSTEM, mask, libc::AT_FDCWD, Some(&path))
    }

    /// Takes all marks off file systems: no new questions. What waits still wants its answer.
    ///
    /// # Errors
    /// None that the kernel documents for this call.
    pub fn unwatch_all(&self) -> io::Result<()> {
        self.mark(libc::FAN_MARK_FLUSH | libc::FAN_MARK_FILESYSTEM, 0, libc::AT_FDCWD, Some(&c".".to_owned()))
    }

    /// Puts a mark of this group before all others on a file, which changes nothing of what is reported. Kernels without
    /// the change "fanotify: fix false positive on permission events" (of May 2026) let every open of a file pass
    /// without a question while an opener waits that came before the file's first mark was removed, and any process may
    /// remove a mark of its own (inotify_rm_watch).
    ///
    /// The mark goes with the inode's memory. It is not put before Linux 5.19, where it would keep that memory in use.
    ///
    /// # Errors
    /// What fanotify_mark reports.
    pub fn mark_first(&self, file: BorrowedFd<'_>) -> io::Result<()> {
        self.mark(libc::FAN_MARK_ADD | libc::FAN_MARK_EVICTABLE, libc::FAN_ONDIR, file.as_raw_fd(), None)
    }

    /// Whether a file may be open for writing in any process: by a descriptor, a mapping that was made by one, or a
    /// request under way. Not on an overlay, where the kernel does not count the mappings.
    ///
    /// The kernel sets no ignore mark on a file that is open for writing, and says nothing of it. But where it would set
    /// one it refuses the older kind on a mark of the newer kind.
    ///
    /// # Errors
    /// EINVAL before Linux 6.0, which has no newer kind; what else fanotify_mark reports.
    pub fn maybe_written(&self, file: BorrowedFd<'_>) -> io::Result<bool> {
        // An event that this group has no other use for.
        let ignore = |kind| {
            let flags = libc::FAN_MARK_ADD | libc::FAN_MARK_EVICTABLE | kind;
            self.mark(flags, libc::FAN_ACCESS, file.as_raw_fd(), None)
        };
        ignore(libc::FAN_MARK_IGNORE)?;
        match ignore(libc::FAN_MARK_IGNORED_MASK) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Waits for opens and execs and appends them, `most` at one time. False after [`stop`](Self::stop), when none is
    /// left. Any number of threads may call it.
    ///
    /// # Errors
    /// Of the group itself. Events whose file could not be opened for us (no descriptors left, a disk that fails, a key
    /// that is missing: the kernel then denies the opener) are counted as [`lost`](Self::lost), not an error.
    pub fn read(self: &Arc<Self>, permissions: &mut Vec<Permission>, most: usize) -> io::Result<bool> {
        let mut bytes = [0; MAX_EVENTS * HEADER_LEN];
        let bytes = &mut bytes[..most.clamp(1, MAX_EVENTS) * HEADER_LEN];
        loop {
            let mut fds = [PollFd::new(&self.fd, PollFlags::IN), PollFd::new(&self.wake, PollFlags::IN)];
            match poll(&mut fds, None) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            let stopped = self.stopped.load(Ordering::Acquire);
            match rustix::io::read(&self.fd, &mut *bytes) {
                Ok(length) => {
                    self.take(&bytes[..length], permissions)?;
                    return Ok(true);
                }
                Err(Errno::AGAIN) if stopped => return Ok(false),
                Err(Errno::INTR | Errno::AGAIN) => {}
                // These would be of our descriptor or our memory. All others are of the file's own file system, which
                // may say what it likes.
                Err(errno @ (Errno::BADF | Errno::FAULT | Errno::INVAL)) => return Err(errno.into()),
                Err(_) => {
                    self.lost.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    fn take(self: &Arc<Self>, bytes: &[u8], permissions: &mut Vec<Permission>) -> io::Result<()> {
        for event in parse(bytes) {
            let event = event.map_err(|malformed| io::Error::new(io::ErrorKind::InvalidData, malformed))?;
            if event.fd < 0 {
                continue;
            }
            // SAFETY: the kernel made this descriptor for this event and names it once.
            let file = unsafe { OwnedFd::from_raw_fd(event.fd) };
            if event.mask & (OPEN | EXEC) != 0 {
                self.held.fetch_add(1, Ordering::Relaxed);
                permissions.push(Permission {
                    group: self.clone(),
                    file: Arc::new(file),
                    pid: event.pid as u32,
                    exec: event.mask & EXEC != 0,
                    answered: AtomicBool::new(false),
                });
            }
        }
        Ok(())
    }

    /// How many events wait to be read at this moment.
    ///
    /// # Errors
    /// None that the kernel documents.
    pub fn unread(&self) -> io::Result<usize> {
        let bytes = rustix::io::ioctl_fionread(&self.fd)?;
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX) / HEADER_LEN)
    }

    /// Makes every [`read`](Self::read) return false once the queue is empty. What was read stays to be answered by its
    /// owners.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        // Never emptied, so that every reader sees it; it can not be full after one.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    /// How many events are held at this moment; each has a descriptor.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Events that the kernel could not give to us, and denied.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Answers many with one system call, and drops them. Those that were answered before are skipped.
    pub fn answer_all(permissions: &[Permission], allow: bool) {
        let Some(first) = permissions.first() else { return };
        let mine = permissions.iter().filter(|event| !event.answered.swap(true, Ordering::AcqRel));
        let answers: Vec<[u8; 8]> = mine.map(|event| event.bytes(allow)).collect();
        for chunk in answers.chunks(MAX_ANSWERS) {
            let mut rest = chunk;
            while !rest.is_empty() {
                let slices: Vec<IoSlice<'_>> = rest.iter().map(|answer| IoSlice::new(answer)).collect();
                match rustix::io::writev(&first.group.fd, &slices) {
                    Err(Errno::INTR) => {}
                    // One per eight bytes was taken; the one at which it stopped is no event's any more.
                    Ok(written) => rest = &rest[(written / 8).max(1).min(rest.len())..],
                    Err(_) => rest = &rest[1..],
                }
            }
        }
    }
}

impl Permission {
    /// The file, open for reading. Reading it raises no event; opening it again (through /proc too) does.
    pub fn file(&self) -> &Arc<OwnedFd> {
        &self.file
    }

    /// The process; 0 if it is in a pid namespace that we can not see.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the file is to be executed.
    pub fn exec(&self) -> bool {
        self.exec
    }

    /// The group it came from.
    pub fn group(&self) -> &Arc<Group> {
        &self.group
    }

    fn bytes(&self, allow: bool) -> [u8; 8] {
        let response = if allow { libc::FAN_ALLOW } else { libc::FAN_DENY };
        let [fd, response] = [self.file.as_raw_fd() as u32, response].map(u32::to_ne_bytes);
        std::array::from_fn(|n| if n < 4 { fd[n] } else { response[n - 4] })
    }

    /// Answers; the opener of a denied file gets EPERM. False if it was answered before, or the kernel knows it no
    /// more.
    pub fn answer(&self, allow: bool) -> bool {
        if self.answered.swap(true, Ordering::AcqRel) {
            return false;
        }
        let bytes = self.bytes(allow);
        rustix::io::retry_on_intr(|| rustix::io::write(&self.group.fd, &bytes)).is_ok()
    }
}

impl Drop for Permission {
    fn drop(&mut self) {
        self.answer(false);
        self.group.held.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
