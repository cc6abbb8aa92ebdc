//! What the arguments of a call mean: texts in the memory of its thread, and where a path starts.
//!
//! Each text is copied once and judged as the copy. What cannot be read for the caller's own fault is its error; what is
//! closed to us is told apart, because then it is refused.

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

/// Longest path with its terminator: PATH_MAX.
const PATH_MAX: usize = 4096;
/// The smallest page there is: a copy is cut at its multiples, so that an unmapped page behind the text does no harm.
const PAGE: u64 = 4096;

/// Why a path could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// The kernel would give this error for the same argument.
    Error(Errno),
    /// The thread's memory is closed to us: it made itself undumpable, or runs an unreadable program.
    Closed,
}

/// Copies the path at this address of the thread.
pub(super) fn read_path(tid: u32, address: u64) -> Result<Vec<u8>, Unread> {
    let mut path = vec![0; PATH_MAX];
    let first = (PAGE - address % PAGE) as usize;
    let read = read_memory(tid, address, &mut path, first)?;
    match path[..read].iter().position(|&byte| byte == 0) {
        Some(end) => path.truncate(end),
        None if read == PATH_MAX => return Err(Unread::Error(Errno::NAMETOOLONG)),
        // The text runs into a page that is not there.
        None => return Err(Unread::Error(Errno::FAULT)),
    }
    Ok(path)
}

/// Copies exactly `N` bytes.
pub(super) fn read_bytes<const N: usize>(tid: u32, address: u64) -> Result<[u8; N], Unread> {
    let mut bytes = [0; N];
    let read = read_memory(tid, address, &mut bytes, N)?;
    if read == N { Ok(bytes) } else { Err(Unread::Error(Errno::FAULT)) }
}

/// Copies up to the length of `into` bytes; where a page is missing, those before `first` alone.
fn read_memory(tid: u32, address: u64, into: &mut [u8], first: usize) -> Result<usize, Unread> {
    sys::process::read_memory(tid, address, into, first).map_err(|errno| match errno {
        Errno::PERM => Unread::Closed,
        Errno::SRCH => Unread::Error(Errno::SRCH),
        _ => Unread::Error(Errno::FAULT),
    })
}

/// What a path that is not absolute starts from.
pub(super) fn start(tid: u32, dirfd: Option<i32>) -> Result<OwnedFd, Errno> {
    let path = match dirfd {
        None | Some(libc::AT_FDCWD) => format!("/proc/{tid}/cwd"),
        Some(fd) if fd < 0 => return Err(Errno::BADF),
        Some(fd) => format!("/proc/{tid}/fd/{fd}"),
    };
    let open = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    match open {
        Err(Errno::NOENT) if dirfd.is_some_and(|fd| fd >= 0) => Err(Errno::BADF),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_up_to_the_end_of_a_page() {
        let us = std::process::id();
        let text = c"/some/path";
        assert_eq!(read_path(us, text.as_ptr() as u64).unwrap(), b"/some/path");
        assert_eq!(read_path(us, 8), Err(Unread::Error(Errno::FAULT)));
        assert_eq!(read_path(us, u64::MAX - 3), Err(Unread::Error(Errno::FAULT)));
        let long = vec![b'x'; 5000];
        assert_eq!(read_path(us, long.as_ptr() as u64), Err(Unread::Error(Errno::NAMETOOLONG)));
        let number = 0x1122_3344_5566_7788u64;
        assert_eq!(read_bytes::<8>(us, &raw const number as u64).unwrap(), number.to_ne_bytes());
    }

    #[test]
    fn a_missing_descriptor_is_a_bad_one() {
        let us = std::process::id();
        assert_eq!(start(us, Some(-5)).unwrap_err(), Errno::BADF);
        assert_eq!(start(us, Some(1_000_000)).unwrap_err(), Errno::BADF);
        assert!(start(us, Some(libc::AT_FDCWD)).is_ok());
    }
}
