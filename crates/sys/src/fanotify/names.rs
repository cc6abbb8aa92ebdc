//! The name of an opened file, as we would name it.
//!
//! The kernel's name of an open file is the one by the mount that it was opened through. That may be another one than ours:
//! a bind mount, or any mount of another mount namespace, which in a user namespace of its own every process can make.

use std::ffi::{CStr, c_int};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, fstat, open, statx};

/// A path to watch, and the mount that it is on. It is not kept open, so that it can be unmounted.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    mount: u64,
}

/// Tells files below some paths by those.
#[derive(Debug, Default)]
pub struct Names(Vec<Place>);

impl Names {
    /// Names for what is below these paths, which are absolute and without symbolic links. One that is not there is left
    /// out.
    pub fn below<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let place = |path: &PathBuf| {
            let mount = statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).ok()?.stx_mnt_id;
            Some(Place { path: path.clone(), mount })
        };
        Self(paths.into_iter().filter_map(place).collect())
    }

    /// The path of an open file: below one of ours if it can be named so, by whatever mount it was opened. `None` if it
    /// has no name of which we could read the end: longer than PATH_MAX.
    pub fn of(&self, file: BorrowedFd<'_>) -> Option<PathBuf> {
        let own = name(file);
        let Ok(mount) = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).map(|stat| stat.stx_mnt_id) else {
            return own;
        };
        if self.0.iter().any(|place| place.mount == mount) {
            return own;
        }
        // By the first of our paths that leads to its file system: all others would name it by the same mount, or by one
        // where it is just as well below it, or not.
        let Some(object) = self.0.iter().find_map(|place| find(&place.path, file).ok()) else { return own };
        let ours = name(object.as_fd());
        // A mount of ours below one of the paths has the name that the rules know.
        let is_below = |path: &PathBuf| self.0.iter().any(|place| path.starts_with(&place.path));
        if own == ours || (own.as_ref().is_some_and(is_below) && has_mount(mount)) { own } else { ours }
    }
}

/// A number of the mount at a path that no other mount ever gets; 0 before Linux 6.8, which has none, and where there is no
/// such path.
pub fn mount_number(path: &Path) -> u64 {
    let wanted = StatxFlags::from_bits_retain(libc::STATX_MNT_ID_UNIQUE);
    let found = statx(CWD, path, AtFlags::NO_AUTOMOUNT, wanted).ok();
    found.filter(|stat| stat.stx_mask & libc::STATX_MNT_ID_UNIQUE != 0).map_or(0, |stat| stat.stx_mnt_id)
}

fn name(file: BorrowedFd<'_>) -> Option<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()
}

/// Whether a mount is one of our namespace.
fn has_mount(id: u64) -> bool {
    let text = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let id = format!("{id} ");
    text.split(|&byte| byte == b'\n').any(|line| line.starts_with(id.as_bytes()))
}

/// The kernel's struct file_handle, with room for the longest one (MAX_HANDLE_SZ).
#[repr(C)]
struct Handle {
    length: u32,
    kind: c_int,
    bytes: [u8; 128],
}

/// The same file by the mount of `path`, a directory: no event is made of opening one, nor about O_PATH.
fn find(path: &Path, file: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mount = open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut handle = Handle { length: 128, kind: 0, bytes: [0; 128] };
    let mut id: c_int = 0;
    let empty: &CStr = c"";
    // SAFETY: the kernel reads the empty string and the length, and writes at most so many bytes and a kind to `handle`,
    // whose layout is that of struct file_handle, and an int to `id`.
    let result = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            file.as_raw_fd(),
            empty.as_ptr(),
            &raw mut handle,
            &raw mut id,
            libc::AT_EMPTY_PATH,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    // SAFETY: the kernel reads `handle`, which it has filled.
    let fd = unsafe { libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), &raw const handle, flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made, and nothing else has it.
    let object = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    // A handle does not say of which file system it is.
    let [theirs, found] = [fstat(file)?, fstat(&object)?].map(|stat| (stat.st_dev, stat.st_ino));
    if theirs == found { Ok(object) } else { Err(io::ErrorKind::NotFound.into()) }
}
