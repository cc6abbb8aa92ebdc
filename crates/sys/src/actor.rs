//! System calls on files, made by this process or by a proxy with the rights and the view of another thread.
//!
//! A path starts from a descriptor or is absolute, from the actor's root. [`Actor::open`] opens; what changes something is
//! an [`Effect`], whose calls only ever read the memory that is handed over, so any of them may be made with any
//! arguments. An object is named by its descriptor ([`Arg::Object`]): not its name but the very object is acted on.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use libc::c_long;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::path::Arg as _;

use crate::process::last_errno;
use crate::proxy::Proxy;

/// The process that makes a call.
#[derive(Debug)]
pub enum Actor<'a> {
    /// This one.
    Ours,
    /// A proxy of it.
    Proxy(&'a Proxy),
}

/// A system call that changes a file, a name, or what is said of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the calls are")]
pub enum Effect {
    Mkdirat,
    Mknodat,
    Symlinkat,
    Linkat,
    Unlinkat,
    Renameat2,
    Truncate,
    Fchmodat,
    Fchownat,
    Utimensat,
    Setxattr,
    Removexattr,
    FileSetattr,
    /// ioctl with FS_IOC_SETFLAGS.
    SetFlags,
    /// ioctl with FS_IOC_FSSETXATTR.
    SetXflags,
}

/// An argument of an [`Effect`].
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a> {
    /// A number.
    Number(u64),
    /// No memory.
    Null,
    /// A descriptor.
    Fd(BorrowedFd<'a>),
    /// A text.
    Text(&'a CStr),
    /// A structure.
    Bytes(&'a [u8]),
    /// A path that leads to what this descriptor names, if its last link is followed.
    Object(BorrowedFd<'a>),
    /// The directory that the path of an [`Arg::Object`] starts from.
    Here,
}

/// Since 6.17; libc has no name for it.
pub const SYS_FILE_SETATTR: c_long = 469;
/// The requests of ioctl(2) that change the attributes of a file.
pub const FS_IOC_SETFLAGS: u32 = 0x4008_6602;
/// As [`FS_IOC_SETFLAGS`], with a structure of 28 bytes.
pub const FS_IOC_FSSETXATTR: u32 = 0x401c_5820;

impl Effect {
    /// The system call, and what it takes as its second argument before the others.
    fn call(self) -> (c_long, Option<u32>) {
        let number = match self {
            Self::Mkdirat => libc::SYS_mkdirat,
            Self::Mknodat => libc::SYS_mknodat,
            Self::Symlinkat => libc::SYS_symlinkat,
            Self::Linkat => libc::SYS_linkat,
            Self::Unlinkat => libc::SYS_unlinkat,
            Self::Renameat2 => libc::SYS_renameat2,
            Self::Truncate => libc::SYS_truncate,
            Self::Fchmodat => libc::SYS_fchmodat,
            Self::Fchownat => libc::SYS_fchownat,
            Self::Utimensat => libc::SYS_utimensat,
            Self::Setxattr => libc::SYS_setxattr,
            Self::Removexattr => libc::SYS_removexattr,
            Self::FileSetattr => SYS_FILE_SETATTR,
            Self::SetFlags => return (libc::SYS_ioctl, Some(FS_IOC_SETFLAGS)),
            Self::SetXflags => return (libc::SYS_ioctl, Some(FS_IOC_FSSETXATTR)),
        };
        (number, None)
    }
}

/// "/proc/self/fd/", a number and the end.
type Buffer = [u8; 32];

/// The path of what a descriptor names, as this actor finds it.
fn number_path(actor: &Actor<'_>, fd: RawFd) -> Buffer {
    // A proxy stands in that directory, which its root may not have.
    let before: &[u8] = if matches!(actor, Actor::Ours) { b"/proc/self/fd/" } else { b"" };
    let mut buffer = [0; 32];
    let text = fd.to_string();
    buffer.iter_mut().zip(before.iter().chain(text.as_bytes())).for_each(|(slot, byte)| *slot = *byte);
    buffer
}

/// A descriptor that a system call has made for us.
pub(crate) fn owned(fd: usize) -> OwnedFd {
    // SAFETY: the kernel made it a moment ago, for the one that asked.
    unsafe { OwnedFd::from_raw_fd(fd as RawFd) }
}

impl Actor<'_> {
    /// # Safety
    /// The arguments must be right for the call.
    unsafe fn call(&self, number: c_long, arguments: [usize; 6]) -> Result<usize, Errno> {
        let [a, b, c, d, e, f] = arguments;
        match self {
            Self::Ours => {
                // SAFETY: promised by the caller.
                let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
                usize::try_from(result).map_err(|_| last_errno())
            }
            // SAFETY: promised by the caller.
            Self::Proxy(proxy) => unsafe { proxy.call(number, arguments) },
        }
    }

    /// Opens a path: by openat(2), or with limits by openat2(2), which differs also in that it adds no O_LARGEFILE.
    ///
    /// # Errors
    /// Those of the call; EINTR if the actor is a proxy and was killed.
    pub fn open(
        &self,
        start: BorrowedFd<'_>,
        path: &[u8],
        flags: OFlags,
        mode: Mode,
        limits: Option<ResolveFlags>,
    ) -> Result<OwnedFd, Errno> {
        path.into_with_c_str(|path| {
            let [start, path] = [start.as_raw_fd() as usize, path.as_ptr() as usize];
            let Some(limits) = limits else {
                let [flags, mode] = [flags.bits() as usize, mode.bits() as usize];
                // SAFETY: the kernel reads a text that ends.
                return unsafe { self.call(libc::SYS_openat, [start, path, flags, mode, 0, 0]) };
            };
            let how = [u64::from(flags.bits()), mode.bits().into(), limits.bits()];
            let [how, size] = [how.as_ptr() as usize, size_of_val(&how)];
            // SAFETY: the kernel reads a text that ends, and a struct open_how.
            unsafe { self.call(libc::SYS_openat2, [start, path, how, size, 0, 0]) }
        })
        .map(owned)
    }

    /// Opens what a descriptor names. If not `exact`, O_LARGEFILE is added, as openat(2) does and openat2(2) does not.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn reopen(&self, object: BorrowedFd<'_>, flags: OFlags, exact: bool) -> Result<OwnedFd, Errno> {
        let path = number_path(self, object.as_raw_fd());
        let end = path.iter().position(|&byte| byte == 0).unwrap_or(path.len());
        self.open(CWD, &path[..end], flags, Mode::empty(), exact.then(ResolveFlags::empty))
    }

    /// What there is by this name, which is not followed.
    ///
    /// # Errors
    /// Those of newfstatat(2).
    pub fn look(&self, directory: BorrowedFd<'_>, name: &[u8]) -> Result<FileType, Errno> {
        let mut stat = MaybeUninit::<libc::stat>::uninit();
        let [directory, into] = [directory.as_raw_fd() as usize, stat.as_mut_ptr() as usize];
        let flags = (libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT) as usize;
        name.into_with_c_str(|name| {
            // SAFETY: the kernel reads a text that ends, and writes one struct stat.
            unsafe { self.call(libc::SYS_newfstatat, [directory, name.as_ptr() as usize, into, flags, 0, 0]) }
        })?;
        // SAFETY: the kernel has written one.
        Ok(FileType::from_raw_mode(unsafe { stat.assume_init() }.st_mode))
    }

    /// Has an effect. Its arguments are those of its call, in their order.
    ///
    /// # Errors
    /// Those of the call; EINTR if the actor is a proxy and was killed, after which the effect may have happened.
    pub fn effect(&self, effect: Effect, arguments: &[Arg<'_>]) -> Result<usize, Errno> {
        let mut paths: [Buffer; 2] = [[0; 32]; 2];
        let mut free = paths.iter_mut();
        let (number, second) = effect.call();
        let mut values = [0; 6];
        for (slot, argument) in values.iter_mut().zip(arguments) {
            *slot = match argument {
                Arg::Number(number) => *number as usize,
                Arg::Null => 0,
                Arg::Here => libc::AT_FDCWD as usize,
                Arg::Fd(fd) => fd.as_raw_fd() as usize,
                Arg::Text(text) => text.as_ptr() as usize,
                Arg::Bytes(bytes) => bytes.as_ptr() as usize,
                Arg::Object(object) => free.next().map_or(0, |path| {
                    *path = number_path(self, object.as_raw_fd());
                    path.as_ptr() as usize
                }),
            };
        }
        if let Some(second) = second {
            values[1..].rotate_right(1);
            values[1] = second as usize;
        }
        loop {
            // SAFETY: each of these calls takes numbers and reads memory; what was handed over as memory is there for as long
            // as the call, and another number in its place is at worst an address at which nothing is written.
            match unsafe { self.call(number, values) } {
                // This thread had a signal; none of the effects waits for more than a moment.
                Err(Errno::INTR) if matches!(self, Self::Ours) => {}
                result => return result,
            }
        }
    }
}
