//! The table of system calls that are asked about: of which kind each is, and where it has its arguments.
//!
//! It is the one place that knows a system call: the seccomp program, what is looked at and what the operation says are
//! made of it, so that a call is either in the table and held back, or in no place at all. A new kind of operation is rows
//! here and a row in the table of kinds (`proto::operation`).

use libc::c_long;
use proto::operation::{Arguments, OpKind, OpSet};

use Value::{Is, Register};

/// A system call that is asked about.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) nr: c_long,
    pub(super) kind: OpKind,
    pub(super) shape: Shape,
    pub(super) flags: Value,
    mode: Value,
    length: Value,
}

/// Where an argument is, or what it is for every such call.
#[derive(Clone, Copy)]
pub(super) enum Value {
    Register(u32),
    Is(u64),
}

/// Where the names are.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// A path that is opened.
    Open(Name),
    /// openat2: descriptor, path, struct open_how, its size.
    Open2,
    /// An existing object; the final symbolic link is followed unless the flag `nofollow` is set. With the flag `empty` an
    /// empty path is the object of the descriptor.
    Object { name: Name, nofollow: i32, empty: i32 },
    /// A name in a directory, the object not followed; `fresh` if it must not exist, else it must.
    Entry { name: Name, fresh: bool },
    /// Two names: the existing one, whose final symbolic link is followed if the flag `follow` is set, and the other.
    Pair { from: Name, to: Name, follow: i32 },
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

const fn object(name: Name) -> Shape {
    Shape::Object { name, nofollow: 0, empty: 0 }
}

const fn entry(name: Name, fresh: bool) -> Shape {
    Shape::Entry { name, fresh }
}

const fn pair(from: Name, to: Name) -> Shape {
    Shape::Pair { from, to, follow: 0 }
}

const fn call(nr: c_long, kind: OpKind, shape: Shape) -> Call {
    Call { nr, kind, shape, flags: Is(0), mode: Is(0), length: Is(0) }
}

impl Call {
    const fn flags(mut self, flags: Value) -> Self {
        self.flags = flags;
        self
    }

    const fn mode(mut self, mode: Value) -> Self {
        self.mode = mode;
        self
    }

    const fn length(mut self, length: Value) -> Self {
        self.length = length;
        self
    }

    /// The arguments that stand in registers. Flags and modes are 32 bits wide there.
    pub(super) fn arguments(&self, registers: [u64; 6]) -> Arguments {
        let read = |value| match value {
            Register(n) => registers[n as usize],
            Is(value) => value,
        };
        let mut arguments = Arguments::default();
        arguments.flags = u64::from(read(self.flags) as u32);
        arguments.mode = read(self.mode) as u32;
        arguments.length = read(self.length);
        arguments
    }
}

/// libc has no name for it on aarch64 with glibc.
#[cfg(target_arch = "x86_64")]
const SYS_RENAMEAT: c_long = 264;
#[cfg(target_arch = "aarch64")]
const SYS_RENAMEAT: c_long = 38;

const EXECVEAT: Shape = Shape::Object { name: at(0), nofollow: libc::AT_SYMLINK_NOFOLLOW, empty: libc::AT_EMPTY_PATH };
const LINKAT: Shape = Shape::Pair { from: at(0), to: at(2), follow: libc::AT_SYMLINK_FOLLOW };
#[cfg(target_arch = "x86_64")]
const CREAT: Value = Is((libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u64);
#[cfg(target_arch = "x86_64")]
const RMDIR: Value = Is(libc::AT_REMOVEDIR as u64);

pub(super) const CALLS: &[Call] = &[
    call(libc::SYS_openat, OpKind::Open, Shape::Open(at(0))).flags(Register(2)).mode(Register(3)),
    call(libc::SYS_openat2, OpKind::Open, Shape::Open2),
    call(libc::SYS_execve, OpKind::Exec, object(plain(0))),
    call(libc::SYS_execveat, OpKind::Exec, EXECVEAT).flags(Register(4)),
    call(SYS_RENAMEAT, OpKind::Rename, pair(at(0), at(2))),
    call(libc::SYS_renameat2, OpKind::Rename, pair(at(0), at(2))).flags(Register(4)),
    call(libc::SYS_unlinkat, OpKind::Unlink, entry(at(0), false)).flags(Register(2)),
    call(libc::SYS_linkat, OpKind::Link, LINKAT).flags(Register(4)),
    call(libc::SYS_symlinkat, OpKind::Link, Shape::Symlink { text: 0, to: at(1) }),
    call(libc::SYS_mkdirat, OpKind::Mkdir, entry(at(0), true)).mode(Register(2)),
    call(libc::SYS_truncate, OpKind::Truncate, object(plain(0))).length(Register(1)),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_open, OpKind::Open, Shape::Open(plain(0))).flags(Register(1)).mode(Register(2)),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_creat, OpKind::Open, Shape::Open(plain(0))).flags(CREAT).mode(Register(1)),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_rename, OpKind::Rename, pair(plain(0), plain(1))),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_unlink, OpKind::Unlink, entry(plain(0), false)),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_rmdir, OpKind::Unlink, entry(plain(0), false)).flags(RMDIR),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_link, OpKind::Link, pair(plain(0), plain(1))),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_symlink, OpKind::Link, Shape::Symlink { text: 0, to: plain(1) }),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_mkdir, OpKind::Mkdir, entry(plain(0), true)).mode(Register(1)),
];

/// Every kind of operation that a supervisor can hold back: those of the table.
pub(super) const OPS: OpSet = {
    let mut ops = OpSet::empty();
    let mut n = 0;
    while n < CALLS.len() {
        ops = ops.union(CALLS[n].kind.set());
        n += 1;
    }
    ops
};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_stand_where_the_kernel_takes_them() {
        let of = |nr, registers| {
            let arguments = CALLS.iter().find(|call| call.nr == nr).unwrap().arguments(registers);
            (arguments.flags, arguments.mode, arguments.length)
        };
        let registers = [10, 11, 12, 13, 14, 15];
        assert_eq!(of(libc::SYS_openat, registers), (12, 13, 0));
        assert_eq!(of(libc::SYS_renameat2, registers), (14, 0, 0));
        assert_eq!(of(libc::SYS_unlinkat, registers), (12, 0, 0));
        assert_eq!(of(libc::SYS_mkdirat, registers), (0, 12, 0));
        assert_eq!(of(libc::SYS_truncate, [0, u64::MAX, 0, 0, 0, 0]), (0, 0, u64::MAX));
        assert_eq!(of(libc::SYS_openat, [0, 0, u64::MAX, u64::MAX, 0, 0]), (u32::MAX.into(), u32::MAX, 0));
        #[cfg(target_arch = "x86_64")]
        assert_eq!(of(libc::SYS_rmdir, registers), (libc::AT_REMOVEDIR as u64, 0, 0));
    }
}
