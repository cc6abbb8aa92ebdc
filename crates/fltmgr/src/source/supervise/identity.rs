//! What a thread may do and see: all that the result of a call on files depends on besides its arguments.
//!
//! Two threads with equal identities get the same from the same call. Whatever cannot be found out counts as different.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::{Mode, OFlags};
use sys::proxy::Rights;

use super::names::HERE;
use crate::source::procfs::{TaskStatus, mount_of};

/// The namespaces that a path, or what is read by it, depends on; a user namespace first, because it gives the right to
/// enter the others.
pub(super) const NAMESPACES: [&str; 4] = ["user", "mnt", "net", "ipc"];

/// A Landlock domain; 0 is none.
pub(super) type DomainNumber = u32;

/// What a thread may do and see.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    /// In the numbers of our user namespace.
    pub(super) rights: Rights,
    pub(super) namespaces: [u64; NAMESPACES.len()],
    pub(super) root: Root,
    /// What a security module calls it; empty without one.
    label: Vec<u8>,
    /// Its Landlock domain, which is found out elsewhere.
    pub(super) domain: DomainNumber,
}

/// A root directory. The same one on another mount (`mount --bind / DIR`) has other mounts below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Root {
    device: u64,
    inode: u64,
    mount: u64,
}

impl Root {
    fn of(tid: u32) -> io::Result<Self> {
        let root = rustix::fs::open(format!("/proc/{tid}/root"), HERE | OFlags::DIRECTORY, Mode::empty())?;
        let stat = rustix::fs::fstat(&root)?;
        Ok(Self { device: stat.st_dev, inode: stat.st_ino, mount: mount_of(root.as_fd())? })
    }
}

impl Identity {
    pub(super) fn of(tid: u32, status: TaskStatus) -> io::Result<Self> {
        let mut namespaces = [0; NAMESPACES.len()];
        for (inode, name) in namespaces.iter_mut().zip(NAMESPACES) {
            *inode = fs::metadata(namespace(tid, name))?.ino();
        }
        Ok(Self { rights: status.rights, namespaces, root: Root::of(tid)?, label: label(tid), domain: 0 })
    }

    /// Our own.
    pub(super) fn ours() -> io::Result<Self> {
        let us = std::process::id();
        Self::of(us, TaskStatus::of(us)?)
    }

    /// The same in this Landlock domain.
    pub(super) fn in_domain(mut self, domain: DomainNumber) -> Self {
        self.domain = domain;
        self
    }

    /// The user by which files are judged.
    pub(super) fn user(&self) -> u32 {
        self.rights.uids[3]
    }

    /// Whether it is confined by a security module as `other` is.
    pub(super) fn labelled_as(&self, other: &Self) -> bool {
        self.label == other.label
    }
}

fn namespace(tid: u32, name: &str) -> String {
    format!("/proc/{tid}/ns/{name}")
}

/// A namespace of a thread, to enter.
pub(super) fn open_namespace(tid: u32, name: &str) -> io::Result<File> {
    File::open(namespace(tid, name))
}

/// Without a security module there is no such file, or it cannot be read.
fn label(tid: u32) -> Vec<u8> {
    fs::read(format!("/proc/{tid}/attr/current")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_what_we_are() {
        assert_eq!(Identity::ours().unwrap(), Identity::ours().unwrap());
    }

    #[test]
    fn any_difference_in_rights_is_one() {
        let ours = Identity::ours().unwrap();
        let changes: [fn(&mut Rights); 4] = [
            |rights| rights.uids[3] ^= 1,
            |rights| rights.gids[1] ^= 1,
            |rights| rights.groups.push(12_345),
            |rights| rights.capabilities ^= 1,
        ];
        for change in changes {
            let mut other = ours.clone();
            change(&mut other.rights);
            assert_ne!(other, ours);
        }
    }
}
