//! The system calls that name files, and where each has its arguments.

use libc::c_long;
use proto::question::OpKind;

/// A system call that is asked about.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) nr: c_long,
    pub(super) kind: OpKind,
    pub(super) shape: Shape,
}

/// Where the arguments are. A name is a directory descriptor and a path: `at` is the register of the descriptor and the
/// path follows it; calls without one are relative to the working directory and `at` is [`CWD`].
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// Path before `flags`, mode after; the descriptor before the path if `flags` is 2.
    Open { flags: u32 },
    /// openat2: descriptor, path, struct open_how, its size.
    Open2,
    /// creat: path, mode.
    #[cfg(target_arch = "x86_64")]
    Creat,
    /// An existing object; the final symbolic link is followed unless `nofollow` (register, bit) is set.
    Object { name: Name, nofollow: Option<(u32, u32)>, empty: Option<(u32, u32)> },
    /// A name in a directory, the object not followed; `fresh` if it must not exist, else it must.
    Entry { name: Name, fresh: bool },
    /// Two names: the existing one, whose final symbolic link is followed if `follow` (register, bit) is set, and the
    /// other.
    Pair { from: Name, to: Name, follow: Option<(u32, u32)> },
    /// A text and a new name.
    Symlink { text: u32, to: Name },
}

/// Registers of a directory descriptor (none: the working directory) and of a path.
#[derive(Clone, Copy)]
pub(super) struct Name {
    pub(super) at: Option<u32>,
    pub(super) path: u32,
}

const fn plain(path: u32) -> Name {
    Name { at: None, path }
}

const fn at(register: u32) -> Name {
    Name { at: Some(register), path: register + 1 }
}

const fn call(nr: c_long, kind: OpKind, shape: Shape) -> Call {
    Call { nr, kind, shape }
}

const fn object(name: Name) -> Shape {
    Shape::Object { name, nofollow: None, empty: None }
}

const fn entry(name: Name, fresh: bool) -> Shape {
    Shape::Entry { name, fresh }
}

const fn pair(from: Name, to: Name) -> Shape {
    Shape::Pair { from, to, follow: None }
}

/// libc has no name for it on aarch64 with glibc.
#[cfg(target_arch = "x86_64")]
const SYS_RENAMEAT: c_long = 264;
#[cfg(target_arch = "aarch64")]
const SYS_RENAMEAT: c_long = 38;

const EXECVEAT: Shape = Shape::Object {
    name: at(0),
    nofollow: Some((4, libc::AT_SYMLINK_NOFOLLOW as u32)),
    empty: Some((4, libc::AT_EMPTY_PATH as u32)),
};

pub(super) const CALLS: &[Call] = &[
    call(libc::SYS_openat, OpKind::Open, Shape::Open { flags: 2 }),
    call(libc::SYS_openat2, OpKind::Open, Shape::Open2),
    call(libc::SYS_execve, OpKind::Exec, object(plain(0))),
    call(libc::SYS_execveat, OpKind::Exec, EXECVEAT),
    call(SYS_RENAMEAT, OpKind::Rename, pair(at(0), at(2))),
    call(libc::SYS_renameat2, OpKind::Rename, pair(at(0), at(2))),
    call(libc::SYS_unlinkat, OpKind::Unlink, entry(at(0), false)),
    call(
        libc::SYS_linkat,
        OpKind::Link,
        Shape::Pair { from: at(0), to: at(2), follow: Some((4, libc::AT_SYMLINK_FOLLOW as u32)) },
    ),
    call(libc::SYS_symlinkat, OpKind::Link, Shape::Symlink { text: 0, to: at(1) }),
    call(libc::SYS_mkdirat, OpKind::Mkdir, entry(at(0), true)),
    call(libc::SYS_truncate, OpKind::Truncate, object(plain(0))),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_open, OpKind::Open, Shape::Open { flags: 1 }),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_creat, OpKind::Open, Shape::Creat),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_rename, OpKind::Rename, pair(plain(0), plain(1))),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_unlink, OpKind::Unlink, entry(plain(0), false)),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_rmdir, OpKind::Unlink, entry(plain(0), false)),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_link, OpKind::Link, pair(plain(0), plain(1))),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_symlink, OpKind::Link, Shape::Symlink { text: 0, to: plain(1) }),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_mkdir, OpKind::Mkdir, entry(plain(0), true)),
];

/// Calls after which a task may no longer be what its supervisor is: another user, other capabilities, another view of
/// the tree of files, fewer rights. They are let through, but noted. clone3 is here because its flags are in memory.
pub(super) const IDENTITY: [c_long; 15] = [
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    libc::SYS_setns,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_landlock_restrict_self,
    libc::SYS_clone3,
];
