//! Objects of procfs, for which it matters which process opens them.
//!
//! The kernel lets a process see all of itself and of what shares its memory, so what belongs to us or to a proxy must not
//! be opened by either for a caller: it would be given more than the kernel gives it. Which process an object is of is
//! found out from where it is in procfs, not from its name alone, which a mount could make.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::names::{HERE, join, name_of};
use crate::source::procfs::{TaskStatus, mount_of};

const PROC_SUPER_MAGIC: i64 = 0x9fa0;
const ROOT_INO: u64 = 1;
/// Where we have it.
const PLACE: &[u8] = b"/proc/";
/// No object is deeper in it that depends on its process.
const DEPTH: usize = 8;

/// What any process may read of another, without rights to it.
const PUBLIC: [&[u8]; 14] = [
    b"stat",
    b"statm",
    b"status",
    b"cmdline",
    b"comm",
    b"cgroup",
    b"cpuset",
    b"limits",
    b"mountinfo",
    b"mounts",
    b"oom_score",
    b"children",
    b"loginuid",
    b"sessionid",
];

/// Our procfs.
#[derive(Debug)]
pub(super) struct Procfs {
    device: u64,
    mount: u64,
    /// How many seccomp programs we run under: a thread of the tree has one more.
    filters: u32,
}

/// What opening an object of procfs depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opener {
    /// Any process with the caller's rights may open it for the caller.
    Any,
    /// The kernel notes which process opened it.
    Caller,
    /// It is of a process that the tree must not see into.
    None,
}

/// Whether an object is procfs's. `stat` spares the question for disks, where statfs is dear.
pub(super) fn on_procfs(object: BorrowedFd<'_>, stat: &Stat) -> Result<bool, Errno> {
    Ok(fs::major(stat.st_dev) == 0 && fs::fstatfs(object)?.f_type == PROC_SUPER_MAGIC)
}

impl Procfs {
    pub(super) fn new() -> io::Result<Self> {
        let root = fs::open("/proc", HERE | OFlags::DIRECTORY, Mode::empty())?;
        let filters = TaskStatus::of(std::process::id())?.seccomp_filters;
        Ok(Self { device: fs::fstat(&root)?.st_dev, mount: mount_of(root.as_fd())?, filters })
    }

    /// Whether this object is of our procfs, and numbers processes as we do.
    pub(super) fn is_at(&self, object: &Stat) -> bool {
        object.st_dev == self.device
    }

    /// Whether this directory of procfs is below that of a process or thread of ours.
    pub(super) fn is_ours(&self, dir: BorrowedFd<'_>, stat: &Stat) -> bool {
        // Another procfs is that of a namespace in which we are not.
        self.is_at(stat) && self.path(dir).is_none_or(|path| number(&path).is_some_and(|n| self.is_one(n)))
    }

    /// What opening this object of a procfs depends on. Its directory is not known if it was reached by a magic link.
    pub(super) fn opener(&self, object: BorrowedFd<'_>, parent: Option<&OwnedFd>) -> Result<Opener, Errno> {
        let text = name_of(object)?;
        let mut names = text.rsplit(|&byte| byte == b'/');
        let [name, above] = [(); 2].map(|()| names.next().unwrap_or_default());
        if self.is_at(&fs::fstat(object)?) {
            let path = match parent {
                _ if mount_of(object)? == self.mount => text.strip_prefix(PLACE).map(<[u8]>::to_vec),
                Some(parent) => self.path(parent.as_fd()).map(|path| join(&path, name)),
                None => None,
            };
            let Some(path) = path else { return Ok(Opener::Caller) };
            if number(&path).is_some_and(|n| self.is_one(n)) && !PUBLIC.contains(&name) {
                return Ok(Opener::None);
            }
        }
        Ok(if name == b"mem" || above == b"attr" { Opener::Caller } else { Opener::Any })
    }

    /// Whether this is the number of a thread of ours, of a proxy, or of another child that is not of the tree.
    fn is_one(&self, number: u32) -> bool {
        let us = std::process::id();
        TaskStatus::of(number).is_ok_and(|it| it.tgid == us || it.parent == us && it.seccomp_filters <= self.filters)
    }

    /// Where in procfs a directory is. `None` if it cannot be told.
    fn path(&self, dir: BorrowedFd<'_>) -> Option<Vec<u8>> {
        let text = name_of(dir).ok()?;
        let mount = mount_of(dir).ok()?;
        if mount == self.mount {
            return Some(text.strip_prefix(PLACE).unwrap_or_default().to_vec());
        }
        // On another mount it may have any name. It is as many names deep as there are steps up to the root.
        let mut at = dir.try_clone_to_owned().ok()?;
        for depth in 0..DEPTH {
            if fs::fstat(&at).ok()?.st_ino == ROOT_INO {
                let Some(before) = depth.checked_sub(1) else { return Some(Vec::new()) };
                let mut slashes = text.iter().rev().enumerate().filter(|(_, byte)| **byte == b'/');
                return slashes.nth(before).map(|(length, _)| text[text.len() - length..].to_vec());
            }
            at = fs::openat(&at, "..", HERE | OFlags::DIRECTORY, Mode::empty()).ok()?;
            if mount_of(at.as_fd()).ok()? != mount {
                return None; // that was the root of the mount
            }
        }
        None
    }
}

/// The process that a path in procfs begins with.
fn number(path: &[u8]) -> Option<u32> {
    let first = path.split(|&byte| byte == b'/').next()?;
    str::from_utf8(first).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &str) -> OwnedFd {
        fs::open(path, HERE, Mode::empty()).unwrap()
    }

    /// By its place in our /proc, by its directory, and by neither.
    fn opener(procfs: &Procfs, dir: &str, name: &str) -> Opener {
        let [object, parent] = [open(&format!("{dir}/{name}")), open(dir)];
        let known = procfs.opener(object.as_fd(), None).unwrap();
        let elsewhere = Procfs { mount: 0, ..*procfs };
        assert_eq!(elsewhere.opener(object.as_fd(), Some(&parent)).unwrap(), known);
        assert_eq!(elsewhere.opener(object.as_fd(), None).unwrap(), Opener::Caller);
        known
    }

    #[test]
    fn what_is_ours_is_known_by_its_number() {
        let procfs = Procfs::new().unwrap();
        let us = std::process::id();
        let thread = format!("/proc/self/task/{}", rustix::thread::gettid().as_raw_nonzero());
        let opener = |dir: &str, name: &str| opener(&procfs, dir, name);
        for dir in ["/proc/self", "/proc/thread-self", &format!("/proc/{us}"), &thread] {
            assert_eq!(opener(dir, "maps"), Opener::None, "{dir}");
            assert_eq!(opener(dir, "stat"), Opener::Any, "{dir}");
        }
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let dir = format!("/proc/{}", child.id());
        assert_eq!(opener(&dir, "environ"), Opener::None, "a child that is of no tree");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_rest_is_opened_by_any_process() {
        let procfs = Procfs::new().unwrap();
        let opener = |dir: &str, name: &str| opener(&procfs, dir, name);
        assert_eq!(opener("/proc", "meminfo"), Opener::Any);
        assert_eq!(opener("/proc/sys/kernel", "pid_max"), Opener::Any);
        assert_eq!(opener("/proc/1", "maps"), Opener::Any);
        assert_eq!(opener("/proc/1", "mem"), Opener::Caller);
        assert_eq!(opener("/proc/1/attr", "current"), Opener::Caller);
    }

    #[test]
    fn the_path_is_the_number_of_steps_to_the_root() {
        let other = Procfs { mount: 0, ..Procfs::new().unwrap() };
        let path = |dir: &str| other.path(open(dir).as_fd()).map(|path| String::from_utf8(path).unwrap());
        assert_eq!(path("/proc/1").as_deref(), Some("1"));
        assert_eq!(path("/proc/sys/kernel").as_deref(), Some("sys/kernel"));
        assert_eq!(path("/proc/sys/net/ipv4").as_deref(), Some("sys/net/ipv4"));
        assert_eq!(path("/proc").as_deref(), Some(""));
    }
}
