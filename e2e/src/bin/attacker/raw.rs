//! System calls as numbers, with memory that others may change while the kernel reads it.

use std::ffi::CStr;
use std::os::fd::IntoRawFd as _;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use libc::{c_int, c_long};
use rustix::fs::{Mode, OFlags};

/// A system call that reads memory of its caller and writes none: whatever its arguments are, nothing of ours is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reads(c_long);

/// A constant for each of these calls.
macro_rules! reads {
    ($($name:ident = $number:expr;)*) => { $(pub(crate) const $name: Self = Self($number);)* };
}

impl Reads {
    reads! {
        BIND = libc::SYS_bind;
        CHDIR = libc::SYS_chdir;
        CHROOT = libc::SYS_chroot;
        CLOSE = libc::SYS_close;
        DUP3 = libc::SYS_dup3;
        EXECVEAT = libc::SYS_execveat;
        FCHDIR = libc::SYS_fchdir;
        FSOPEN = libc::SYS_fsopen;
        FCHMODAT = libc::SYS_fchmodat;
        FCHMODAT2 = 452;
        FCHOWNAT = libc::SYS_fchownat;
        FILE_SETATTR = 469;
        LANDLOCK_CREATE_RULESET = libc::SYS_landlock_create_ruleset;
        LANDLOCK_RESTRICT_SELF = libc::SYS_landlock_restrict_self;
        LINKAT = libc::SYS_linkat;
        LREMOVEXATTR = libc::SYS_lremovexattr;
        LSETXATTR = libc::SYS_lsetxattr;
        MKDIRAT = libc::SYS_mkdirat;
        MKNODAT = libc::SYS_mknodat;
        MOUNT = libc::SYS_mount;
        OPENAT = libc::SYS_openat;
        OPENAT2 = libc::SYS_openat2;
        REMOVEXATTR = libc::SYS_removexattr;
        REMOVEXATTRAT = 466;
        OPEN_TREE = libc::SYS_open_tree;
        RENAMEAT2 = libc::SYS_renameat2;
        SETNS = libc::SYS_setns;
        SETXATTR = libc::SYS_setxattr;
        SETXATTRAT = 463;
        SYMLINKAT = libc::SYS_symlinkat;
        TRUNCATE = libc::SYS_truncate;
        UNLINKAT = libc::SYS_unlinkat;
        UNSHARE = libc::SYS_unshare;
        UTIMENSAT = libc::SYS_utimensat;
    }

    #[cfg(target_arch = "x86_64")]
    reads! {
        CHMOD = libc::SYS_chmod;
        CHOWN = libc::SYS_chown;
        CREAT = libc::SYS_creat;
        FUTIMESAT = libc::SYS_futimesat;
        LCHOWN = libc::SYS_lchown;
        LINK = libc::SYS_link;
        MKDIR = libc::SYS_mkdir;
        MKNOD = libc::SYS_mknod;
        OPEN = libc::SYS_open;
        RENAME = libc::SYS_rename;
        RMDIR = libc::SYS_rmdir;
        SYMLINK = libc::SYS_symlink;
        UNLINK = libc::SYS_unlink;
        UTIME = libc::SYS_utime;
        UTIMES = libc::SYS_utimes;
    }

    /// Makes the call; the error is its number.
    pub(crate) fn call<const N: usize>(self, given: [usize; N]) -> Result<usize, c_int> {
        let mut args = [0; 6];
        args[..N].copy_from_slice(&given);
        let [a, b, c, d, e, f] = args;
        // SAFETY: a call of this table only reads at the addresses it is given, and answers EFAULT where nothing is.
        let result = unsafe { libc::syscall(self.0, a, b, c, d, e, f) };
        if result < 0 { Err(errno()) } else { Ok(result as usize) }
    }
}

pub(crate) fn errno() -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// The directory descriptor that stands for the working directory.
pub(crate) const HERE: usize = libc::AT_FDCWD as usize;

/// A path whose bytes may be changed by others. Never freed: the kernel may read it at any time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text(&'static [AtomicU8]);

impl Text {
    pub(crate) fn new(text: impl AsRef<[u8]>) -> Self {
        let bytes = text.as_ref().iter().copied().chain([0]).map(AtomicU8::new).collect::<Vec<_>>();
        Self(bytes.leak())
    }

    /// In memory that is already shared, for example with another process.
    pub(crate) fn in_memory(memory: &'static [AtomicU8], text: impl AsRef<[u8]>) -> Self {
        for (to, from) in memory.iter().zip(text.as_ref().iter().copied().chain([0])) {
            to.store(from, Ordering::Relaxed);
        }
        Self(memory)
    }

    pub(crate) fn address(self) -> usize {
        self.0.as_ptr() as usize
    }

    pub(crate) fn set(self, at: usize, byte: u8) {
        self.0[at].store(byte, Ordering::Release);
    }
}

/// The address of a text that stays as it is. It must live until the call is over.
pub(crate) fn at(text: &CStr) -> usize {
    text.as_ptr() as usize
}

/// Words that others may change, for structures such as struct open_how. Never freed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words(&'static [AtomicU64]);

impl Words {
    pub(crate) fn new(words: &[u64]) -> Self {
        Self(words.iter().copied().map(AtomicU64::new).collect::<Vec<_>>().leak())
    }

    pub(crate) fn address(self) -> usize {
        self.0.as_ptr() as usize
    }

    pub(crate) fn set(self, at: usize, word: u64) {
        self.0[at].store(word, Ordering::Release);
    }
}

/// The device and inode of a path or of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

impl Identity {
    pub(crate) fn of(path: &str) -> Self {
        let stat = rustix::fs::stat(path).unwrap_or_else(|e| panic!("stat of {path}: {e}"));
        Self(stat.st_dev, stat.st_ino)
    }

    /// Of what a descriptor is open on, if it gives access to its content: not one of O_PATH.
    pub(crate) fn open_on(fd: usize) -> Option<Self> {
        // SAFETY: the descriptor is one that this program opened a moment ago, and closes after.
        let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd as i32) };
        let flags = rustix::fs::fcntl_getfl(fd).ok()?;
        let stat = rustix::fs::fstat(fd).ok()?;
        (!flags.contains(OFlags::PATH)).then_some(Self(stat.st_dev, stat.st_ino))
    }
}

/// Something opened without access to its content; never closed.
pub(crate) fn handle(path: &str) -> usize {
    let file = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    file.unwrap_or_else(|e| panic!("a handle of {path}: {e}")).into_raw_fd() as usize
}

/// New memory, all zero. Never freed.
pub(crate) fn mapping(len: usize, kind: i32) -> usize {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice touches nothing that is there.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, kind | libc::MAP_ANONYMOUS, -1, 0) };
    assert_ne!(memory, libc::MAP_FAILED, "memory: {}", errno());
    memory as usize
}

/// Memory that this process and its children share. Never freed.
pub(crate) fn shared(len: usize) -> &'static [AtomicU8] {
    let memory = mapping(len, libc::MAP_SHARED);
    // SAFETY: the mapping is `len` bytes of zeroes, valid as atomics, and is never unmapped.
    unsafe { std::slice::from_raw_parts(memory as *const AtomicU8, len) }
}
