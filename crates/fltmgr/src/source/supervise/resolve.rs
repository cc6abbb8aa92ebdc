//! From a path to the object that the waiting thread would reach, by calls of the actor that has its rights and its view.
//!
//! The fast way is one openat2 that follows no link. Paths with links, and paths that may be created, are walked here,
//! component by component: the name by which each link led on is noted, `self` and `thread-self` of procfs are the waiting
//! thread, not the actor, and the parent of the final object is known.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use rustix::fs::{self, CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use sys::actor::Actor;

use super::names::{HERE, below, join, name_of, next, normalize, split};
use super::procfiles::{Procfs, on_procfs};
use crate::source::descriptors::is_exhausted;
use crate::source::procfs::TaskStatus;

/// More symbolic links than this are a loop to the kernel too (MAXSYMLINKS).
const MAX_LINKS: u32 = 40;
const PROC_ROOT_INO: u64 = 1;
/// ST_NOSYMFOLLOW: mounted so that symbolic links are not followed.
const NOSYMFOLLOW: i64 = 0x2000;

/// Follows the paths of one thread.
#[derive(Clone, Copy)]
pub(super) struct Walker<'a> {
    pub(super) actor: &'a Actor<'a>,
    /// The thread that names the path.
    pub(super) tid: u32,
    /// Its user, by which sticky directories are judged.
    pub(super) user: u32,
    pub(super) guards: Guards,
    pub(super) procfs: &'a Procfs,
}

/// The fs.protected_* switches, which the kernel applies in world-writable sticky directories.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Guards {
    symlinks: bool,
    regular: u8,
    fifos: u8,
}

impl Guards {
    pub(super) fn read() -> Self {
        let number = |name: &str| {
            let text = std::fs::read_to_string(format!("/proc/sys/fs/{name}")).unwrap_or_default();
            text.trim().parse().unwrap_or(0)
        };
        let [regular, fifos] = ["protected_regular", "protected_fifos"].map(number);
        Self { symlinks: number("protected_symlinks") != 0, regular, fifos }
    }
}

/// An object that a path leads to (O_PATH).
#[derive(Debug)]
pub(super) struct Object {
    pub(super) object: OwnedFd,
    /// The directory that holds its name, if the way was walked to its end.
    pub(super) parent: Option<OwnedFd>,
    /// The names by which symbolic links led there, in the order in which they were followed.
    pub(super) through: Vec<PathBuf>,
}

/// Where a path leads.
#[derive(Debug)]
pub(super) enum Found {
    Object(Object),
    /// To a name that is free, in this directory.
    Missing {
        parent: OwnedFd,
        name: Vec<u8>,
        /// As that of [`Object`].
        through: Vec<PathBuf>,
    },
}

fn are_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<bool, Errno> {
    let [one, other] = [fs::fstat(one)?, fs::fstat(other)?];
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

impl Walker<'_> {
    /// One step, or a whole path without limits.
    fn step(&self, start: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        self.actor.open(start, path, flags, Mode::empty(), None)
    }

    fn root(&self) -> Result<OwnedFd, Errno> {
        self.step(CWD, b"/", HERE | OFlags::DIRECTORY)
    }

    /// By openat2. ELOOP may also mean a link that is not to be followed, as no magic link is.
    fn fast(
        &self,
        start: BorrowedFd<'_>,
        path: &[u8],
        follow: bool,
        limits: ResolveFlags,
    ) -> Result<(OwnedFd, Stat), Errno> {
        let flags = if follow { HERE } else { HERE | OFlags::NOFOLLOW };
        let look = |flags| {
            // EAGAIN is the kernel's "a rename was under way, try again".
            for _ in 0..16 {
                match self.actor.open(start, path, flags, Mode::empty(), Some(limits | ResolveFlags::NO_MAGICLINKS)) {
                    Err(Errno::AGAIN) if !limits.contains(ResolveFlags::CACHED) => {}
                    Err(Errno::INTR) => {}
                    // Profiles that do not know the call refuse it so, and the kernel does not for such flags.
                    Err(Errno::PERM) => return Err(Errno::NOSYS),
                    other => return other,
                }
            }
            Err(Errno::AGAIN)
        };
        let mut object = look(flags)?;
        let mut stat = fs::fstat(&object)?;
        if is_directory(&stat) && !path.ends_with(b"/") {
            // O_PATH alone stops before what is mounted there when the directory is opened (autofs and the like).
            object = look(flags | OFlags::DIRECTORY)?;
            stat = fs::fstat(&object)?;
        }
        Ok((object, stat))
    }

    /// Walks the path. With `create` a free final name is not an error. Of the limits it knows a root of its own.
    fn walk(
        &self,
        start: BorrowedFd<'_>,
        path: &[u8],
        follow: bool,
        create: bool,
        limits: ResolveFlags,
    ) -> Result<Found, Errno> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        let in_root = limits.contains(ResolveFlags::IN_ROOT);
        let first = || start.try_clone_to_owned().map_err(|_| Errno::MFILE);
        let root = || if in_root { first() } else { self.root() };
        let mut at = if path[0] == b'/' { root()? } else { first()? };
        let mut through = Vec::new();
        let mut parent = None;
        let mut rest = path.to_vec();
        let mut links = 0;
        while let Some((component, remaining)) = next(&rest) {
            if component == b"." || (in_root && component == b".." && are_same(at.as_fd(), start)?) {
                // Not only a no-op: "file/." must fail, and so must a directory that may not be searched.
                self.step(at.as_fd(), b".", HERE)?;
                rest = remaining.to_vec();
                continue;
            }
            let last = remaining.iter().all(|&byte| byte == b'/');
            let slash = last && !remaining.is_empty();
            // As a directory first, which mounts what is mounted there on demand (autofs and the like).
            let object = match self.step(at.as_fd(), component, HERE | OFlags::NOFOLLOW | OFlags::DIRECTORY) {
                Ok(directory) => {
                    parent = Some(std::mem::replace(&mut at, directory));
                    rest = remaining.to_vec();
                    continue;
                }
                Err(Errno::NOTDIR) => self.step(at.as_fd(), component, HERE | OFlags::NOFOLLOW),
                other => other,
            };
            let object = match object {
                Err(Errno::NOENT) if last && create && !slash => {
                    return Ok(Found::Missing { parent: at, name: component.to_vec(), through });
                }
                other => other?,
            };
            let stat = fs::fstat(&object)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                if slash && !is_directory(&stat) {
                    return Err(Errno::NOTDIR);
                }
                parent = Some(std::mem::replace(&mut at, object));
                rest = remaining.to_vec();
                continue;
            }
            if last && !slash && !follow {
                return Ok(Found::Object(Object { object, parent: Some(at), through }));
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::LOOP);
            }
            let target = self.target(&at, component, &object, &stat, last)?;
            through.push(led_on(at.as_fd(), component, remaining)?);
            match target {
                Target::Jump(object) => {
                    if slash && !is_directory(&fs::fstat(&object)?) {
                        return Err(Errno::NOTDIR);
                    }
                    (at, parent) = (object, None);
                    rest = remaining.to_vec();
                }
                Target::Text(text) => {
                    if text.first() == Some(&b'/') {
                        at = root()?;
                        parent = None;
                    }
                    rest = [&text, remaining].concat();
                }
            }
        }
        Ok(Found::Object(Object { object: at, parent, through }))
    }

    /// Where a symbolic link leads. `last`: nothing follows it in the path.
    fn target(&self, dir: &OwnedFd, name: &[u8], link: &OwnedFd, stat: &Stat, last: bool) -> Result<Target, Errno> {
        let file_system = fs::fstatfs(dir)?;
        if file_system.f_flags & NOSYMFOLLOW != 0 {
            return Err(Errno::LOOP);
        }
        let directory = fs::fstat(dir)?;
        if on_procfs(dir.as_fd(), &directory)? {
            if directory.st_ino != PROC_ROOT_INO {
                // A magic link: the kernel goes to the object itself, whatever its text says.
                if self.procfs.is_ours(dir.as_fd(), &directory) {
                    return Err(Errno::ACCESS);
                }
                return Ok(Target::Jump(self.step(dir.as_fd(), name, HERE)?));
            }
            if name == b"self" || name == b"thread-self" {
                let (process, thread) = self.numbers(&directory)?;
                let thread = if name == b"self" { String::new() } else { format!("/task/{thread}") };
                return Ok(Target::Text(format!("{process}{thread}").into_bytes()));
            }
        }
        // The kernel looks at no other link of the path: one to a directory does not choose the file.
        if last && self.guards.symlinks && stat.st_uid != self.user {
            let dir = directory;
            if dir.st_mode & 0o1002 == 0o1002 && dir.st_uid != stat.st_uid {
                return Err(Errno::ACCESS);
            }
        }
        let text = fs::readlinkat(link, "", Vec::new())?.into_bytes();
        if text.is_empty() { Err(Errno::NOENT) } else { Ok(Target::Text(text)) }
    }

    /// The thread's process and the thread itself, as this procfs numbers them.
    fn numbers(&self, procfs_root: &Stat) -> Result<(u32, u32), Errno> {
        let status = TaskStatus::of(self.tid).map_err(|error| {
            Errno::from_io_error(&error).filter(|errno| is_exhausted(*errno)).unwrap_or(Errno::SRCH)
        })?;
        // Another procfs than ours is taken for that of the thread's own PID namespace.
        Ok(if self.procfs.is_at(procfs_root) { (status.tgid, self.tid) } else { status.inner })
    }

    /// The object that a path leads to, within limits.
    pub(super) fn object(
        &self,
        start: BorrowedFd<'_>,
        path: &[u8],
        follow: bool,
        limits: ResolveFlags,
    ) -> Result<Object, Errno> {
        match self.fast(start, path, follow, limits | ResolveFlags::NO_SYMLINKS) {
            Err(Errno::LOOP) if limits.contains(ResolveFlags::NO_SYMLINKS) => return Err(Errno::LOOP),
            Err(Errno::LOOP | Errno::NOSYS) => {}
            // The parent of an object of procfs is to be known.
            Ok((object, stat)) if on_procfs(object.as_fd(), &stat)? => {}
            Ok((object, _)) => return Ok(Object { object, parent: None, through: Vec::new() }),
            Err(errno) => return Err(errno),
        }
        let within = if limits.is_empty() { None } else { self.within(start, path, follow, limits)? };
        if within.is_none() && limits.contains(ResolveFlags::CACHED) {
            return Err(Errno::AGAIN);
        }
        let Found::Object(found) = self.walk(start, path, follow, false, limits)? else { return Err(Errno::NOENT) };
        match within {
            // A link changed between the two: the kernel too says so of an open within limits.
            Some(within) if !are_same(found.object.as_fd(), within.as_fd())? => Err(Errno::AGAIN),
            _ => Ok(found),
        }
    }

    /// The object to which links lead within limits, as the kernel follows them; what these exclude is an error. `None`: on
    /// procfs, where the actor's own links may have been followed.
    fn within(
        &self,
        start: BorrowedFd<'_>,
        path: &[u8],
        follow: bool,
        limits: ResolveFlags,
    ) -> Result<Option<OwnedFd>, Errno> {
        match self.fast(start, path, follow, limits) {
            // A magic link leads out of every limit, and is one that a limit may exclude.
            Err(Errno::LOOP) if limits.intersects(ResolveFlags::BENEATH | ResolveFlags::IN_ROOT) => {
                self.actor.open(start, path, HERE, Mode::empty(), Some(limits)).and(Err(Errno::XDEV))
            }
            Err(Errno::LOOP) if limits.contains(ResolveFlags::NO_MAGICLINKS) => Err(Errno::LOOP),
            Err(Errno::XDEV) => Err(Errno::XDEV),
            Ok((object, stat)) if !on_procfs(object.as_fd(), &stat)? => Ok(Some(object)),
            _ => Ok(None),
        }
    }

    /// For an open that may create: a free name, or what stands there.
    pub(super) fn creation(
        &self,
        start: BorrowedFd<'_>,
        path: &[u8],
        follow: bool,
        limits: ResolveFlags,
    ) -> Result<Found, Errno> {
        match split(path) {
            // A file can not be made by a name that ends in a slash, whatever stands there.
            Some((dir, _)) if path.ends_with(b"/") => self.object(start, dir, true, limits).and(Err(Errno::ISDIR)),
            _ if limits.is_empty() => self.walk(start, path, follow, true, limits),
            _ => self.creation_within(start, path, follow, limits),
        }
    }

    /// The kernel follows the links of each path within the limits; only from what is no longer there, or not yet, it is
    /// gone on here.
    fn creation_within(
        &self,
        start: BorrowedFd<'_>,
        path: &[u8],
        follow: bool,
        limits: ResolveFlags,
    ) -> Result<Found, Errno> {
        let mut path = path.to_vec();
        let mut through = Vec::new();
        for _ in 0..MAX_LINKS {
            let found = self.object(start, &path, follow, limits);
            let Some((dir, name)) = split(&path) else { return found.map(Found::Object) };
            let parent = match found {
                // Where its name is a link, the kernel has judged that.
                Ok(mut found) => {
                    found.parent = self.object(start, dir, true, limits).ok().map(|dir| dir.object);
                    found.through.splice(0..0, through);
                    return Ok(Found::Object(found));
                }
                Err(Errno::NOENT) => self.object(start, dir, true, limits)?,
                Err(errno) => return Err(errno),
            };
            through.extend(parent.through.iter().map(|dir| below(dir, name)));
            let parent = parent.object;
            let link = match self.step(parent.as_fd(), name, HERE | OFlags::NOFOLLOW) {
                Err(Errno::NOENT) => return Ok(Found::Missing { parent, name: name.to_vec(), through }),
                other => other?,
            };
            if FileType::from_raw_mode(fs::fstat(&link)?.st_mode) != FileType::Symlink {
                continue; // it was made a moment ago
            }
            let text = fs::readlinkat(&link, "", Vec::new())?.into_bytes();
            let absolute = text.starts_with(b"/");
            if absolute && limits.contains(ResolveFlags::BENEATH) {
                return Err(Errno::XDEV);
            }
            through.push(led_on(parent.as_fd(), name, b"")?);
            path = if absolute { text } else { join(dir, &text) };
        }
        Err(Errno::LOOP)
    }

    /// Whether fs.protected_regular or fs.protected_fifos forbids to open this existing file with O_CREAT.
    pub(super) fn refuses_create(&self, parent: &OwnedFd, file: &Stat) -> Result<bool, Errno> {
        let guard = match FileType::from_raw_mode(file.st_mode) {
            FileType::RegularFile => self.guards.regular,
            FileType::Fifo => self.guards.fifos,
            _ => 0,
        };
        if guard == 0 || file.st_uid == self.user {
            return Ok(false);
        }
        let dir = fs::fstat(parent)?;
        let shared = dir.st_mode & 0o002 != 0 || (guard >= 2 && dir.st_mode & 0o020 != 0);
        Ok(dir.st_mode & 0o1000 != 0 && shared && dir.st_uid != file.st_uid)
    }
}

enum Target {
    Jump(OwnedFd),
    Text(Vec<u8>),
}

/// The name by which a link in this directory led on: with its own name, and the rest of the path.
fn led_on(dir: BorrowedFd<'_>, link: &[u8], rest: &[u8]) -> Result<PathBuf, Errno> {
    let name = normalize(&[&join(&name_of(dir)?, link), rest].concat());
    Ok(OsString::from_vec(name).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};

    /// fs.protected_symlinks is a switch of the machine, which a test leaves as it is: the kernel's rule is in its
    /// source, may_follow_link in fs/namei.c, called for the last component (WALK_TRAILING).
    #[test]
    fn only_the_last_link_in_a_sticky_directory_is_guarded() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("real")).unwrap();
        std::fs::write(dir.path().join("real/file"), "x").unwrap();
        for (target, link) in [("real", "to-dir"), ("real/file", "to-file")] {
            symlink(target, dir.path().join(link)).unwrap();
            if lchown(dir.path().join(link), Some(65534), None).is_err() {
                return println!("SKIP privileged: links of two users are needed");
            }
        }
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o1777)).unwrap();
        let start = fs::open(dir.path(), HERE, Mode::empty()).unwrap();
        let guards = Guards { symlinks: true, ..Guards::default() };
        let procfs = Procfs::new().unwrap();
        let walker = Walker { actor: &Actor::Ours, tid: 0, user: 0, guards, procfs: &procfs };
        let walk = |path: &str| walker.walk(start.as_fd(), path.as_bytes(), true, true, ResolveFlags::empty());
        assert!(matches!(walk("to-dir/file"), Ok(Found::Object(_))));
        assert!(matches!(walk("to-dir/new"), Ok(Found::Missing { .. })));
        for last in ["to-file", "to-dir", "to-dir/"] {
            assert_eq!(walk(last).unwrap_err(), Errno::ACCESS, "{last}");
        }
    }
}
