//! What a thread may do and see, compared with what we may: how far it can be stood in for.
//!
//! Only for a thread that is alike in rights and in its view of the tree of files is what we open what it would have
//! opened. Whatever is not known to be equal counts as different.

use std::{fs, io};

use rustix::fs::{AtFlags, CWD, StatxFlags};

use crate::source::procfs::TaskStatus;

/// How far a thread can be stood in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Likeness {
    /// Same rights, same view of the tree of files: what we open is what it would have opened.
    Same,
    /// Same view, other rights: we can find its file, but not open it in its name.
    OtherRights,
    /// Another root or mount namespace: not even the path means the same.
    OtherPlace,
}

/// The rights and the view of the tree of files that a thread has; ours is what others are compared with.
#[derive(Debug)]
pub(super) struct Identity {
    status: TaskStatus,
    user_namespace: String,
    mount_namespace: String,
    root: Root,
}

/// A root directory. The same one on another mount (`mount --bind / DIR`) has other mounts below it.
#[derive(Debug, PartialEq, Eq)]
struct Root {
    device: (u32, u32),
    inode: u64,
    mount: u64,
}

fn link(path: String) -> io::Result<String> {
    Ok(fs::read_link(path)?.to_string_lossy().into_owned())
}

impl Root {
    fn of(tid: u32) -> io::Result<Self> {
        let wanted = StatxFlags::INO | StatxFlags::MNT_ID;
        let stat = rustix::fs::statx(CWD, format!("/proc/{tid}/root"), AtFlags::empty(), wanted)?;
        Ok(Self { device: (stat.stx_dev_major, stat.stx_dev_minor), inode: stat.stx_ino, mount: stat.stx_mnt_id })
    }
}

impl Identity {
    pub(super) fn of(tid: u32) -> io::Result<Self> {
        Ok(Self {
            status: TaskStatus::of(tid)?,
            user_namespace: link(format!("/proc/{tid}/ns/user"))?,
            mount_namespace: link(format!("/proc/{tid}/ns/mnt"))?,
            root: Root::of(tid)?,
        })
    }

    /// Our own.
    pub(super) fn ours() -> io::Result<Self> {
        Self::of(std::process::id())
    }

    pub(super) fn uid(&self) -> u32 {
        self.status.uid()
    }

    /// Whether `other` can be stood in for by us.
    pub(super) fn likeness(&self, other: &Self) -> Likeness {
        if self.mount_namespace != other.mount_namespace || self.root != other.root {
            Likeness::OtherPlace
        } else if self.user_namespace != other.user_namespace || !self.status.same_rights(&other.status) {
            Likeness::OtherRights
        } else {
            Likeness::Same
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_like_ourselves() {
        let ours = Identity::ours().unwrap();
        assert_eq!(ours.likeness(&Identity::ours().unwrap()), Likeness::Same);
    }
}
