//! Which files need no question, because they contain what they contained when an application allowed them.
//!
//! A file is known by a **version**: its change time and length, taken before the application looked into it. No process
//! may have had it open for writing then, and the change time must have been past, so that the next change moves it. An
//! open needs no question if no process has the file open for writing now, and its version is the one that was allowed.
//! For a process that changed it in between has either not closed it yet, or has moved the change time: the file systems
//! that are trusted here move it before the first byte changes, by a write of any kind, and before the first store through
//! each page that is mapped.
//!
//! The kernel's own ignore marks, with which such an open would not even be reported, are not used. They outlive stores
//! through a mapping and writes by io_submit until the file is closed; and taking one back while another opener waits lets
//! all others pass (see [`sys::fanotify`]).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FsWord, fstat, fstatfs};
use rustix::time::{ClockId, Timespec, clock_gettime};
use sys::fanotify::Group;

use fltport::internal::lock;

/// More files than this are not remembered: some 20 MiB.
const MAX_FILES: usize = 1 << 18;

/// File systems that move the change time before a store through a mapping, and where nothing else changes files: ext4
/// (and its elders), XFS, btrfs, F2FS. Not tmpfs, which has no such moment; not an overlay, FUSE or a file system of the
/// network.
const TRUSTED: [FsWord; 4] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010];

/// A file, as long as its inode is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Inode {
    device: u64,
    number: u64,
}

/// What is different when the contents are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    changed: Timespec,
    length: i64,
}

/// A file as it was before an application looked into it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looked {
    inode: Inode,
    version: Version,
    rules: u64,
}

/// The files that were allowed.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    allowed: Mutex<HashMap<Inode, Version>>,
    /// How often all were forgotten: what was looked at under other rules is not kept.
    rules: AtomicU64,
    used: AtomicU64,
}

fn look(file: impl AsFd) -> Option<(Inode, Version)> {
    let stat = fstat(file).ok()?;
    let inode = Inode { device: stat.st_dev, number: stat.st_ino };
    let changed = Timespec { tv_sec: stat.st_ctime, tv_nsec: stat.st_ctime_nsec.cast_signed() };
    Some((inode, Version { changed, length: stat.st_size }))
}

impl Verdicts {
    /// Looks at a file before an application gets it. `None` if a verdict on it cannot be kept.
    pub(super) fn look(&self, group: &Group, file: impl AsFd) -> Option<Looked> {
        let rules = self.rules.load(Ordering::Acquire);
        let trusted = fstatfs(&file).is_ok_and(|file_system| TRUSTED.contains(&file_system.f_type));
        let (inode, version) = trusted.then(|| look(&file)).flatten()?;
        // In this order: a writer that is gone by now has moved the change time that was read, or was done before.
        let quiet = !group.maybe_written(file.as_fd()).unwrap_or(true);
        // The clock of files ticks every few milliseconds: a change within this tick would leave the time as it is.
        let past = version.changed < clock_gettime(ClockId::RealtimeCoarse);
        (quiet && past).then_some(Looked { inode, version, rules })
    }

    /// Keeps *allow* for what a file contained when it was looked at.
    pub(super) fn keep(&self, looked: Looked) {
        let mut allowed = lock(&self.allowed);
        if looked.rules != self.rules.load(Ordering::Relaxed) {
            return;
        }
        if allowed.len() == MAX_FILES {
            allowed.clear();
        }
        allowed.insert(looked.inode, looked.version);
    }

    /// Whether an application has allowed what the file contains now.
    pub(super) fn allow(&self, group: &Group, file: impl AsFd) -> bool {
        let Some((inode, version)) = look(&file) else { return false };
        match lock(&self.allowed).entry(inode) {
            Entry::Occupied(entry) if *entry.get() == version => {}
            Entry::Occupied(entry) => {
                entry.remove();
                return false;
            }
            Entry::Vacant(_) => return false,
        }
        // A writer that is gone by now has moved the change time: looked at again.
        let quiet = !group.maybe_written(file.as_fd()).unwrap_or(true);
        let allow = quiet && look(&file).is_some_and(|(_, now)| now == version);
        self.used.fetch_add(u64::from(allow), Ordering::Relaxed);
        allow
    }

    /// Forgets everything, and what is being looked at.
    pub(super) fn clear(&self) {
        let mut allowed = lock(&self.allowed);
        self.rules.fetch_add(1, Ordering::Release);
        allowed.clear();
    }

    /// How many opens needed no question.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}
