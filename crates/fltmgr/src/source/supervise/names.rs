//! Names of objects: the one that the kernel has for what is open, and paths as text, taken apart and put together.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{self, OFlags};
use rustix::io::Errno;

/// For a descriptor that only says where an object is.
pub(super) const HERE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// A name in a directory with this name.
pub(super) fn below(dir: &Path, name: &[u8]) -> PathBuf {
    dir.join(OsStr::from_bytes(name))
}

/// The first component and what follows it (with its slash). `None` if there is none.
pub(super) fn next(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = path.iter().position(|&byte| byte != b'/')?;
    let path = &path[start..];
    let end = path.iter().position(|&byte| byte == b'/').unwrap_or(path.len());
    Some(path.split_at(end))
}

/// A path as "directory part" and final component, as rename, unlink and the like take it; `None` if it has none that
/// could be a name (it is "/" or ends in "." or "..").
pub(super) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let trimmed = &path[..path.iter().rposition(|&byte| byte != b'/')? + 1];
    let slash = trimmed.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
    let (dir, name) = trimmed.split_at(slash);
    match name {
        b"." | b".." => None,
        name => Some((if dir.is_empty() { b"." } else { dir }, name)),
    }
}

/// The kernel's name of an open object.
pub(super) fn name_of(object: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    Ok(fs::readlink(format!("/proc/self/fd/{}", object.as_raw_fd()), Vec::new())?.into_bytes())
}

/// A name in a directory with this name.
pub(super) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    let slash: &[u8] = if dir.ends_with(b"/") { b"" } else { b"/" };
    [dir, slash, name].concat()
}

/// Removes ".", ".." and double slashes from the text alone.
pub(super) fn normalize(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    [b"/".as_slice(), &parts.join(&b'/')].concat()
}
