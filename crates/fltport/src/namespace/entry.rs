//! What lies in a namespace: beside each socket, what its port is.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proto::name::PortName;
use proto::wire::{FromHost, Info, MAX_MESSAGE_LEN};
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use sys::socket::Socket;

/// How deep a name's directories are looked for when they have to be searched.
const MAX_DEPTH: usize = 8;

/// A port, as its host describes it to every user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortEntry {
    /// The port's name in the spelling of its host.
    pub name: PortName,
    /// The host's process, in the host's own pid namespace.
    pub pid: u32,
    /// The host's effective user.
    pub uid: u32,
    /// Whether the case of ASCII letters is ignored when clients look the name up.
    pub case_insensitive: bool,
    /// The port's security descriptor in SDDL.
    pub sddl: String,
    /// When the port was created.
    pub started: SystemTime,
    /// The directory of the namespace in which it was found.
    pub namespace: PathBuf,
}

/// What the file beside a socket says: a host's answer to a Query, as of before its first connection.
pub(super) fn info_of_this_process(name: &PortName, case_insensitive: bool, sddl: &str) -> Info {
    let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Info {
        name: name.clone(),
        pid: std::process::id(),
        uid: rustix::process::geteuid().as_raw(),
        connections: 0,
        max_connections: 0,
        sddl: sddl.to_owned(),
        case_insensitive,
        // enough for five hundred years
        started: u64::try_from(started.as_nanos()).unwrap_or(u64::MAX),
        processes: Vec::new(),
    }
}

/// Puts `info` beside the socket `file`, all at once. `temporary` is a name that nothing else uses.
pub(super) fn write(info: Info, dir: BorrowedFd<'_>, file: &str, temporary: &str) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(dir, temporary, flags, Mode::from_raw_mode(0o644))?;
    let written = rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o644))
        .map_err(io::Error::from)
        .and_then(|()| io::Write::write_all(&mut File::from(fd), &FromHost::Info(info).encode()))
        .and_then(|()| Ok(rustix::fs::renameat(dir, temporary, dir, info_file(file))?));
    if written.is_err() {
        let _ = rustix::fs::unlinkat(dir, temporary, AtFlags::empty());
    }
    written
}

fn read(dir: BorrowedFd<'_>, file: &str) -> Option<Info> {
    // not to be held up by a FIFO
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let fd = rustix::fs::openat(dir, info_file(file), flags, Mode::empty()).ok()?;
    let mut bytes = Vec::new();
    File::from(fd).take(MAX_MESSAGE_LEN as u64 + 1).read_to_end(&mut bytes).ok()?;
    match FromHost::parse(&bytes) {
        Ok(FromHost::Info(info)) => Some(info),
        _ => None,
    }
}

/// A file name never starts with a dot when it stands for a name, so these never meet a port's.
pub(super) fn info_file(file: &str) -> String {
    format!(".{file}.port")
}

pub(super) fn lock_file(file: &str) -> String {
    format!(".{file}.lock")
}

/// A port and where its socket is. Its host may be long dead.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) info: Info,
    pub(super) dir: Arc<OwnedFd>,
    pub(super) file: String,
}

impl Entry {
    /// What is said beside the socket `file`. `None` if nothing is, or it is about another file.
    pub(super) fn read(dir: &OwnedFd, file: &str) -> Option<Self> {
        Self::read_in(&Arc::new(dir.try_clone().ok()?), file)
    }

    fn read_in(dir: &Arc<OwnedFd>, file: &str) -> Option<Self> {
        let info = read(dir.as_fd(), file)?;
        let is_here = info.name.file_components().next_back().as_deref() == Some(file);
        is_here.then(|| Self { info, dir: Arc::clone(dir), file: file.to_owned() })
    }

    /// Whether a host listens. The host sees a connect and a hang-up.
    pub(super) fn is_live(&self) -> bool {
        match Socket::connect(self.dir.as_fd(), &self.file, Duration::from_millis(1)) {
            Ok(_) => true,
            // Its queue is full, or it keeps us out: it is there.
            Err(error) => matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::PermissionDenied),
        }
    }

    pub(super) fn port(self, namespace: &Path) -> PortEntry {
        let Info { name, pid, uid, sddl, case_insensitive, started, .. } = self.info;
        let started = SystemTime::UNIX_EPOCH + Duration::from_nanos(started);
        PortEntry { name, pid, uid, case_insensitive, sddl, started, namespace: namespace.to_owned() }
    }
}

/// Everything in the namespace that says it is a port, sorted by name. What cannot be read is not there.
pub(super) fn entries(root: BorrowedFd<'_>) -> Vec<Entry> {
    let mut found = Vec::new();
    if let Ok(root) = root.try_clone_to_owned() {
        walk(root, &mut Vec::new(), &mut found);
    }
    found.sort_by(|one, other| one.info.name.cmp(&other.info.name));
    found
}

fn walk(dir: OwnedFd, path: &mut Vec<String>, found: &mut Vec<Entry>) {
    let Ok(listing) = Dir::read_from(&dir) else { return };
    let dir = Arc::new(dir);
    for item in listing.flatten() {
        let Ok(item) = item.file_name().to_str().map(str::to_owned) else { continue };
        if let Some(file) = item.strip_prefix('.').and_then(|rest| rest.strip_suffix(".port")) {
            // A name in the wrong directory would be found by a user who cannot connect to it.
            found.extend(Entry::read_in(&dir, file).filter(|entry| {
                let place = path.iter().map(String::as_str).chain([file]);
                entry.info.name.file_components().eq(place.map(str::to_owned))
            }));
        } else if !item.starts_with('.') && path.len() < MAX_DEPTH {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            if let Ok(below) = rustix::fs::openat(&dir, item.as_str(), flags, Mode::empty()) {
                path.push(item);
                walk(below, path, found);
                path.pop();
            }
        }
    }
}
