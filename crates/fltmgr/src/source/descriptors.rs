//! Our own table of descriptors: events and looked-up files each take one, and that there is none left must never look
//! as if it were the caller's table, or as if a file were missing.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one, and gives the limit there is then.
pub(super) fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
    // No limit at all is a large one.
    .unwrap_or(1 << 20)
}

/// How many this process has at this moment.
pub(super) fn count() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// Whether there is no descriptor left to look with, ours or the system's.
pub(super) fn is_exhausted(errno: Errno) -> bool {
    matches!(errno, Errno::MFILE | Errno::NFILE)
}

/// An error of an open that we made for a caller: that our table is full is the system's fault to it.
pub(super) fn not_theirs(errno: Errno) -> Errno {
    if errno == Errno::MFILE { Errno::NFILE } else { errno }
}
