//! From a path to the object that the waiting thread would reach.
//!
//! The fast way is one openat2 that refuses magic links. Paths that use those (/proc/self/fd/3), and paths that may be
//! created, are walked here, component by component: `self` and `thread-self` are then the waiting thread, not us, and
//! the parent of the final object is known.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::source::descriptors::is_exhausted;
use crate::source::procfs::TaskStatus;

const HERE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
/// More symbolic links than this are a loop to the kernel too (MAXSYMLINKS).
const MAX_LINKS: u32 = 40;
const PROC_SUPER_MAGIC: i64 = 0x9fa0;
const PROC_ROOT_INO: u64 = 1;
/// ST_NOSYMFOLLOW: mounted so that symbolic links are not followed.
const NOSYMFOLLOW: i64 = 0x2000;

/// The thread that names the path.
#[derive(Clone, Copy)]
pub(super) struct Walker {
    pub(super) tid: u32,
    /// Its user, by which sticky directories are judged.
    pub(super) uid: u32,
    pub(super) guards: Guards,
}

/// The fs.protected_* switches, which the kernel applies in world-writable sticky directories.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Guards {
    symlinks: bool,
    regular: u8,
}

impl Guards {
    pub(super) fn read() -> Self {
        let number = |name: &str| {
            let text = std::fs::read_to_string(format!("/proc/sys/fs/{name}")).unwrap_or_default();
            text.trim().parse().unwrap_or(0)
        };
        Self { symlinks: number("protected_symlinks") != 0, regular: number("protected_regular") }
    }
}

/// Where a path leads.
#[derive(Debug)]
pub(super) enum Found {
    /// To this object (O_PATH); the directory that holds its name is known if the way was walked.
    Object { object: OwnedFd, parent: Option<OwnedFd> },
    /// To a name that is free, in this directory.
    Missing { parent: OwnedFd, name: Vec<u8> },
}

/// By openat2. ELOOP may also mean a magic link.
pub(super) fn fast(
    start: BorrowedFd<'_>,
    path: &[u8],
    follow: bool,
    resolve: ResolveFlags,
) -> Result<(OwnedFd, Stat), Errno> {
    let flags = if follow { HERE } else { HERE | OFlags::NOFOLLOW };
    let resolve = resolve | ResolveFlags::NO_MAGICLINKS;
    let look = |flags| {
        // EAGAIN is the kernel's "a rename was under way, try again".
        for _ in 0..16 {
            match fs::openat2(start, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
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

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// Whether an object is procfs's. `stat` spares the question for disks, where statfs is dear.
pub(super) fn on_proc(object: BorrowedFd<'_>, stat: &Stat) -> Result<bool, Errno> {
    Ok(fs::major(stat.st_dev) == 0 && fs::fstatfs(object)?.f_type == PROC_SUPER_MAGIC)
}

impl Walker {
    /// Walks the path. With `create` a free final name is not an error.
    pub(super) fn walk(&self, start: BorrowedFd<'_>, path: &[u8], follow: bool, create: bool) -> Result<Found, Errno> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        let mut at = if path[0] == b'/' { root()? } else { start.try_clone_to_owned().map_err(|_| Errno::MFILE)? };
        let mut parent = None;
        let mut rest = path.to_vec();
        let mut links = 0;
        while let Some((component, remaining)) = next(&rest) {
            if component == b"." {
                // Not only a no-op: "file/." must fail.
                if !is_directory(&fs::fstat(&at)?) {
                    return Err(Errno::NOTDIR);
                }
                fs::accessat(&at, ".", fs::Access::EXISTS, AtFlags::empty())?;
                rest = remaining.to_vec();
                continue;
            }
            let last = remaining.iter().all(|&byte| byte == b'/');
            let slash = last && !remaining.is_empty();
            // As a directory first, which mounts what is mounted there on demand (autofs and the like).
            let step = HERE | OFlags::NOFOLLOW;
            let object = match fs::openat(&at, component, step | OFlags::DIRECTORY, Mode::empty()) {
                Ok(directory) => {
                    parent = Some(std::mem::replace(&mut at, directory));
                    rest = remaining.to_vec();
                    continue;
                }
                Err(Errno::NOTDIR) => fs::openat(&at, component, step, Mode::empty()),
                other => other,
            };
            let object = match object {
                Err(Errno::NOENT) if last && create && !slash => {
                    return Ok(Found::Missing { parent: at, name: component.to_vec() });
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
                return Ok(Found::Object { object, parent: Some(at) });
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::LOOP);
            }
            match self.target(&at, component, &object, &stat, last)? {
                Target::Jump(object) => {
                    if slash && !is_directory(&fs::fstat(&object)?) {
                        return Err(Errno::NOTDIR);
                    }
                    parent = Some(std::mem::replace(&mut at, object));
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
        Ok(Found::Object { object: at, parent })
    }

    /// Where a symbolic link leads. `last`: nothing follows it in the path.
    fn target(&self, dir: &OwnedFd, name: &[u8], link: &OwnedFd, stat: &Stat, last: bool) -> Result<Target, Errno> {
        let file_system = fs::fstatfs(dir)?;
        if file_system.f_flags & NOSYMFOLLOW != 0 {
            return Err(Errno::LOOP);
        }
        if file_system.f_type == PROC_SUPER_MAGIC {
            if fs::fstat(dir)?.st_ino != PROC_ROOT_INO {
                // A magic link: the kernel goes to the object itself, whatever its text says.
                return Ok(Target::Jump(fs::openat(dir, name, HERE, Mode::empty())?));
            }
            if name == b"self" || name == b"thread-self" {
                let status = TaskStatus::of(self.tid).map_err(|error| {
                    Errno::from_io_error(&error).filter(|errno| is_exhausted(*errno)).unwrap_or(Errno::SRCH)
                });
                let tgid = status?.tgid;
                let thread = if name == b"self" { String::new() } else { format!("/task/{}", self.tid) };
                return Ok(Target::Text(format!("{tgid}{thread}").into_bytes()));
            }
        }
        // The kernel looks at no other link of the path: one to a directory does not choose the file.
        if last && self.guards.symlinks && stat.st_uid != self.uid {
            let dir = fs::fstat(dir)?;
            if dir.st_mode & 0o1002 == 0o1002 && dir.st_uid != stat.st_uid {
                return Err(Errno::ACCESS);
            }
        }
        let text = fs::readlinkat(link, "", Vec::new())?.into_bytes();
        if text.is_empty() { Err(Errno::NOENT) } else { Ok(Target::Text(text)) }
    }

    /// For an open that may create: a free name, or what stands there.
    pub(super) fn creation(&self, start: BorrowedFd<'_>, path: &[u8], follow: bool) -> Result<Found, Errno> {
        match split(path) {
            // A file can not be made by a name that ends in a slash, whatever stands there.
            Some((dir, _)) if path.ends_with(b"/") => self.object(start, dir, true).and(Err(Errno::ISDIR)),
            _ => self.walk(start, path, follow, true),
        }
    }

    /// Whether fs.protected_regular forbids to open this existing file with O_CREAT.
    pub(super) fn refuses_create(&self, parent: &OwnedFd, file: &Stat) -> Result<bool, Errno> {
        if self.guards.regular == 0 || file.st_uid == self.uid {
            return Ok(false);
        }
        let dir = fs::fstat(parent)?;
        let shared = dir.st_mode & 0o002 != 0 || (self.guards.regular >= 2 && dir.st_mode & 0o020 != 0);
        Ok(dir.st_mode & 0o1000 != 0 && shared && dir.st_uid != file.st_uid)
    }

    /// The object, by the fast way if possible.
    pub(super) fn object(&self, start: BorrowedFd<'_>, path: &[u8], follow: bool) -> Result<OwnedFd, Errno> {
        let object = match fast(start, path, follow, ResolveFlags::empty()) {
            Err(Errno::LOOP) => None,
            // An object of procfs may have been reached through *our* /proc/self, and so may an error, unless it comes
            // without following any symbolic link.
            Ok((object, stat)) if on_proc(object.as_fd(), &stat)? => None,
            Ok((object, _)) => Some(object),
            Err(errno) => match fast(start, path, follow, ResolveFlags::NO_SYMLINKS) {
                Err(again) if again == errno => return Err(errno),
                _ => None,
            },
        };
        match object {
            Some(object) => Ok(object),
            None => match self.walk(start, path, follow, false)? {
                Found::Object { object, .. } => Ok(object),
                Found::Missing { .. } => Err(Errno::NOENT),
            },
        }
    }
}

enum Target {
    Jump(OwnedFd),
    Text(Vec<u8>),
}

fn root() -> Result<OwnedFd, Errno> {
    fs::open("/", HERE | OFlags::DIRECTORY, Mode::empty())
}

/// The first component and what follows it (with its slash). `None` if there is none.
fn next(path: &[u8]) -> Option<(&[u8], &[u8])> {
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
    use std::os::fd::AsRawFd;
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
        let guards = Guards { symlinks: true, regular: 0 };
        let walk = |path: &str| Walker { tid: 0, uid: 0, guards }.walk(start.as_fd(), path.as_bytes(), true, true);
        assert!(matches!(walk("to-dir/file"), Ok(Found::Object { .. })));
        assert!(matches!(walk("to-dir/new"), Ok(Found::Missing { .. })));
        for last in ["to-file", "to-dir", "to-dir/"] {
            assert_eq!(walk(last).unwrap_err(), Errno::ACCESS, "{last}");
        }
    }
}
