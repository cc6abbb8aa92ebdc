//! Owning a port's name: a lock file, and a socket beside it that only the owner of the lock replaces.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proto::name::PortName;
use proto::status::Status;
use proto::wire::Info;
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;
use sys::fork::ForkGuard;
use sys::host_end::Listener;

use super::entry::{self, Entry, entries, info_file, lock_file};
use super::place::{Place, parent_and_file};
use super::{is_missing_path, shown};
use crate::Error;

/// Taken while a name is taken or left, so that two spellings of one name cannot be taken at once.
const NAMESPACE_LOCK: &str = ".namespace.lock";

/// How long a host waits for others that take or leave names. Each needs well under a millisecond.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// The first and the longest pause between two looks whether it is our turn: a crowd that looks all the time would take
/// the processors from the one whose turn it is.
const TURN_PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(16));

/// A name that belongs to this process, and the socket on which its clients arrive.
///
/// Dropping it gives the name free: clients that wait in the queue are refused, the files are removed, and another host
/// can take the name at once. Connections already accepted are not touched. Dropping blocks while other hosts take or
/// leave names here, 10 s at most. In a forked child dropping it does nothing: the name stays the parent's.
#[derive(Debug)]
pub struct Claim {
    /// As of before the first connection.
    info: Info,
    listener: Listener,
    files: Files,
    process: ForkGuard,
    /// The name has been given free.
    released: AtomicBool,
}

impl Claim {
    /// The port's name.
    pub fn name(&self) -> &PortName {
        &self.info.name
    }

    /// The socket to accept clients from.
    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    /// What to answer to a client's Query.
    pub fn info(&self) -> Info {
        self.info.clone()
    }

    /// Gives the name free, as dropping does, for a thread that shares the claim with others.
    pub(crate) fn release(&self) {
        // A forked child has copies of the parent's descriptors, and would take the parent's port away.
        if self.process.same_process() && !self.released.swap(true, Ordering::SeqCst) {
            self.listener.shutdown();
            self.files.remove();
        }
    }

    pub(super) fn take(place: &Place, name: &PortName, case_insensitive: bool, sddl: &str) -> Result<Self, Error> {
        let doing = || format!("creating the port {}", shown(name));
        let failed = |error: io::Error| place.or_denied(error, doing());
        let root = place.open_for_host()?;
        let turn = Turn::take(root.as_fd()).map_err(|error| match error.kind() {
            ErrorKind::TimedOut => Error::with_source(Status::IO_TIMEOUT, doing(), error).hint(format!(
                "another host has kept {} locked in {}",
                NAMESPACE_LOCK,
                place.dir().display()
            )),
            _ => failed(error),
        })?;
        let (dir, file) = parent_and_file(root.as_fd(), name).map_err(|error| match is_missing_path(&error) {
            true => Error::with_source(Status::OBJECT_PATH_NOT_FOUND, doing(), error)
                .hint(format!("its directory does not exist in {}; create it first", place.dir().display())),
            false => failed(error),
        })?;

        for other in entries(root.as_fd()) {
            let Info { name: its_name, case_insensitive: ignores_case, .. } = &other.info;
            let same = (case_insensitive || *ignores_case) && its_name != name && its_name.eq_ignore_case(name);
            if same && NameLock::is_held(other.dir.as_fd(), &other.file).map_err(failed)? {
                return Err(collision(doing(), place, Some(&other)));
            }
        }
        let Some(lock) = NameLock::take(dir.as_fd(), &file).map_err(failed)? else {
            return Err(collision(doing(), place, Entry::read(&dir, &file).as_ref()));
        };

        // From here on the name is ours, and whatever lies there was left by a host that is gone, or is none of ours.
        let mut files = Files { root, dir, file, lock, published: false };
        if let Some(stat) = stat(files.dir.as_fd(), &files.file).map_err(failed)?
            && FileType::from_raw_mode(stat.st_mode) != FileType::Socket
        {
            files.remove_with(&turn);
            return Err(Error::new(Status::OBJECT_NAME_COLLISION, doing()).hint(format!(
                "{:?} in {} is not a port's socket; remove it or choose another name",
                files.file,
                place.dir().display()
            )));
        }
        let info = entry::info_of_this_process(name, case_insensitive, sddl);
        match files.publish(&info) {
            Ok(listener) => {
                drop(turn);
                let (process, released) = (ForkGuard::new(), AtomicBool::new(false));
                Ok(Self { info, listener, files, process, released })
            }
            Err(error) => {
                files.remove_with(&turn);
                Err(failed(error))
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.release();
    }
}

fn collision(doing: String, place: &Place, owner: Option<&Entry>) -> Error {
    let dir = place.dir().display();
    let hint = match owner {
        None => format!("another process holds it in {dir}"),
        Some(owner) if !sys::peer::exists(owner.info.pid) => format!(
            "{} is served in {dir} by a process that cannot be seen from here, or by a child that pid {} left behind",
            shown(&owner.info.name),
            owner.info.pid
        ),
        Some(owner) => {
            format!("{} is served by pid {} (uid {}) in {dir}", shown(&owner.info.name), owner.info.pid, owner.info.uid)
        }
    };
    Error::new(Status::OBJECT_NAME_COLLISION, doing).hint(hint)
}

/// The files of one name that is ours.
#[derive(Debug)]
struct Files {
    root: OwnedFd,
    dir: OwnedFd,
    file: String,
    lock: NameLock,
    /// Whether the socket and the file beside it are ours.
    published: bool,
}

impl Files {
    /// Puts what the port is, and a socket that listens, in the directory, each in one step, over what was there.
    fn publish(&mut self, info: &Info) -> io::Result<Listener> {
        let dir = self.dir.as_fd();
        // No other lock file has this number while we have ours, so no other host uses these names.
        let temporary = format!(".new.{}", self.lock.inode);
        let _ = rustix::fs::unlinkat(dir, &temporary, AtFlags::empty());
        entry::write(info.clone(), dir, &self.file, &temporary)?;
        self.published = true;
        let listener = Listener::bind(dir, &temporary)?;
        if let Err(error) = rustix::fs::renameat(dir, &temporary, dir, &self.file) {
            let _ = rustix::fs::unlinkat(dir, &temporary, AtFlags::empty());
            return Err(error.into());
        }
        Ok(listener)
    }

    /// Removes them when it is our turn. If that does not come, then anyway: the lock protects our own name.
    fn remove(&self) {
        let turn = Turn::take(self.root.as_fd());
        self.remove_now();
        drop(turn);
    }

    fn remove_with(&self, _turn: &Turn) {
        self.remove_now();
    }

    fn remove_now(&self) {
        let dir = self.dir.as_fd();
        // If our lock file was removed, the name may belong to another host by now.
        if self.lock.is_in(dir, &self.file) {
            let remove = |file: &str| rustix::fs::unlinkat(dir, file, AtFlags::empty());
            if self.published {
                let _ = remove(&self.file);
                let _ = remove(&info_file(&self.file));
            }
            let _ = remove(&lock_file(&self.file));
        }
        // A child between fork and exec may have a copy of the descriptor, so closing it is not enough.
        let _ = rustix::fs::flock(&self.lock.fd, FlockOperation::Unlock);
    }
}

/// The lock of one name: held while its host lives.
#[derive(Debug)]
struct NameLock {
    fd: OwnedFd,
    device: u64,
    inode: u64,
}

impl NameLock {
    /// `None` if another process has it.
    fn take(dir: BorrowedFd<'_>, file: &str) -> io::Result<Option<Self>> {
        loop {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(dir, lock_file(file), flags, Mode::from_raw_mode(0o600))?;
            if !try_lock(&fd)? {
                return Ok(None);
            }
            let stat = rustix::fs::fstat(&fd)?;
            let lock = Self { fd, device: stat.st_dev, inode: stat.st_ino };
            // Its last owner may have removed the file between our open and our lock; then this is a lock on nothing.
            if lock.is_in(dir, file) {
                return Ok(Some(lock));
            }
        }
    }

    fn is_held(dir: BorrowedFd<'_>, file: &str) -> io::Result<bool> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(dir, lock_file(file), flags, Mode::empty()) {
            Ok(fd) => Ok(!try_lock(&fd)?),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn is_in(&self, dir: BorrowedFd<'_>, file: &str) -> bool {
        stat(dir, &lock_file(file))
            .is_ok_and(|stat| stat.is_some_and(|stat| stat.st_dev == self.device && stat.st_ino == self.inode))
    }
}

/// The right to take or leave a name in a namespace, for a moment.
struct Turn(OwnedFd);

impl Turn {
    fn take(root: BorrowedFd<'_>) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(root, NAMESPACE_LOCK, flags, Mode::from_raw_mode(0o600))?;
        let deadline = Instant::now() + TURN_TIMEOUT;
        let (mut pause, longest) = TURN_PAUSE;
        // The kernel's own wait has no end, and a stopped process would hold all others up.
        while !try_lock(&fd)? {
            if Instant::now() >= deadline {
                return Err(ErrorKind::TimedOut.into());
            }
            std::thread::sleep(pause);
            pause = longest.min(pause * 2);
        }
        Ok(Self(fd))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Not left to the close: see `Files::remove_now`.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

fn try_lock(fd: &OwnedFd) -> io::Result<bool> {
    loop {
        match rustix::fs::flock(fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn stat(dir: BorrowedFd<'_>, file: &str) -> io::Result<Option<Stat>> {
    match rustix::fs::statat(dir, file, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
