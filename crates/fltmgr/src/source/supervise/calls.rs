//! The table of system calls that are asked about: of which kind each is, where it has its arguments, and how it is carried
//! out in its caller's place.
//!
//! It is the one place that knows these calls: the seccomp program, what is looked at, what the operation says and what is
//! done when it is allowed are made of it. What every call of the kernel may do, and what is decided of it, is in
//! `program/kernel.tsv`. A new kind of operation is rows here and a row in the table of kinds (`proto::operation`). More
//! than 500 lines, because it is one table.

use libc::c_long;
use proto::operation::{Arguments, OpKind, OpSet};
use rustix::io::Errno;
use sys::actor::{Effect, SYS_FILE_SETATTR};

use Act::{Bind, Exec, Open};
use Follow::{Always, Never, Unless};
use Memory::{AttributeName, Attributes, Bits, Text, Times, Value as AttributeValue, ValueIn};
use Part::{Copied, Dir, Fd, Flag, Here, Length, Mode, Name as LastName, Object, Register as Raw, Size};
use Value::{Is, Register};

/// A system call that is asked about.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) nr: c_long,
    pub(super) kind: OpKind,
    pub(super) shape: Shape,
    pub(super) act: Act,
    /// What it has in memory besides its paths.
    pub(super) memory: &'static [Memory],
    pub(super) flags: Value,
    /// The error that the kernel finds in these registers before it looks at anything else.
    wrong: fn(&Arguments) -> Option<Errno>,
    mode: Value,
    length: Value,
    owner: Option<u32>,
    device: Value,
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
    /// An existing object.
    Object { name: Name, follow: Follow, without: Without },
    /// What a descriptor names.
    Descriptor(u32),
    /// A name in a directory, the object not followed; `fresh` if it must not exist, else it must.
    Entry { name: Name, fresh: bool },
    /// Two names that exist, may exist or are made: the object of neither is followed.
    Names { from: Name, to: Name },
    /// A second name for an existing object, which is followed if the flag `follow` is set.
    Link { from: Name, to: Name, follow: u64 },
    /// A text, the first in `memory`, and a new name.
    Symlink { to: Name },
    /// A socket, and an address with its length: for a Unix socket a new name.
    Address,
}

/// Whether the last symbolic link of a path is followed.
#[derive(Clone, Copy)]
pub(super) enum Follow {
    Always,
    Never,
    /// This flag says no.
    Unless(u64),
}

/// What an object is without a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Without {
    /// There is none.
    Nothing,
    /// With AT_EMPTY_PATH and an empty path: what the descriptor names.
    Handle,
    /// So, also without a path in memory, but the descriptor must be more than a path itself.
    File,
    /// Without a path in memory: what the descriptor names, which must be more than a path itself.
    Descriptor,
    /// As [`Without::Handle`] with an empty path, as [`Without::Descriptor`] without any.
    Both,
}

/// Registers of a directory descriptor (none: the working directory) and of a path.
#[derive(Clone, Copy)]
pub(super) struct Name {
    pub(super) at: Option<u32>,
    pub(super) path: u32,
}

/// How a call is carried out.
#[derive(Clone, Copy)]
pub(super) enum Act {
    /// What it opens is opened and handed over.
    Open,
    /// The kernel executes it.
    Exec,
    /// By this call, with these arguments.
    By(Effect, &'static [Part]),
    /// By bind(2), from the directory of the caller.
    Bind,
}

/// An argument of the call by which another is carried out.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// The directory of the first or second name.
    Dir(usize),
    /// The last component of the first or second name.
    Name(usize),
    /// A path to the object, which starts from [`Part::Here`].
    Object,
    Here,
    /// The object as a descriptor.
    Fd,
    /// What was copied, its size, and the flags that came with it.
    Copied(usize),
    Size(usize),
    Flag(usize),
    Flags,
    Mode,
    Length,
    Register(u32),
    Is(u64),
}

/// What a call has in memory, by registers.
#[derive(Clone, Copy)]
pub(super) enum Memory {
    /// A path that is only a text.
    Text(u32),
    /// The name of an extended attribute.
    AttributeName(u32),
    /// Its value, the size of that, flags.
    Value { at: u32, size: u32, flags: u32 },
    /// struct xattr_args, which says where these three are, and its size.
    ValueIn { at: u32, size: u32 },
    /// Two points in time. No memory: now.
    Times(Clock, u32),
    /// struct file_attr, and its size.
    Attributes { at: u32, size: u32 },
    /// So many bytes.
    Bits { at: u32, size: usize },
}

/// How two points in time are written.
#[derive(Clone, Copy)]
pub(super) enum Clock {
    Seconds,
    Microseconds,
    Nanoseconds,
}

const fn plain(path: u32) -> Name {
    Name { at: None, path }
}

const fn at(register: u32) -> Name {
    Name { at: Some(register), path: register + 1 }
}

const fn object(name: Name, follow: Follow) -> Shape {
    Shape::Object { name, follow, without: Without::Nothing }
}

/// As the calls with flags have it.
const fn object_at(name: Name, without: Without) -> Shape {
    Shape::Object { name, follow: Unless(NOFOLLOW as u64), without }
}

const fn entry(name: Name, fresh: bool) -> Shape {
    Shape::Entry { name, fresh }
}

const fn names(from: Name, to: Name) -> Shape {
    Shape::Names { from, to }
}

const fn call(nr: c_long, kind: OpKind, shape: Shape, act: Act) -> Call {
    let nothing = Is(0);
    Call {
        nr,
        kind,
        shape,
        act,
        memory: &[],
        flags: nothing,
        wrong: |_| None,
        mode: nothing,
        length: nothing,
        owner: None,
        device: nothing,
    }
}

impl Call {
    const fn flags(mut self, flags: Value) -> Self {
        self.flags = flags;
        self
    }

    const fn wrong(mut self, wrong: fn(&Arguments) -> Option<Errno>) -> Self {
        self.wrong = wrong;
        self
    }

    const fn mode(mut self, register: u32) -> Self {
        self.mode = Register(register);
        self
    }

    const fn length(mut self, register: u32) -> Self {
        self.length = Register(register);
        self
    }

    /// The register of the user; that of the group follows.
    const fn owner(mut self, register: u32) -> Self {
        self.owner = Some(register);
        self
    }

    const fn device(mut self, register: u32) -> Self {
        self.device = Register(register);
        self
    }

    const fn memory(mut self, memory: &'static [Memory]) -> Self {
        self.memory = memory;
        self
    }

    /// The arguments that stand in registers. All but lengths are 32 bits wide there.
    pub(super) fn arguments(&self, registers: [u64; 6]) -> Arguments {
        let read = |value| match value {
            Register(n) => registers[n as usize],
            Is(value) => value,
        };
        let owner = |after: u32| self.owner.map_or(0, |register| registers[(register + after) as usize] as u32);
        let mut arguments = Arguments::default();
        arguments.flags = u64::from(read(self.flags) as u32);
        arguments.mode = read(self.mode) as u32;
        arguments.length = read(self.length);
        (arguments.user, arguments.group) = (owner(0), owner(1));
        arguments.device = u64::from(read(self.device) as u32);
        arguments
    }

    /// The error that these arguments are, whatever else the call has.
    pub(super) fn error(&self, arguments: &Arguments) -> Option<Errno> {
        (self.wrong)(arguments)
    }
}

/// EINVAL unless that holds.
fn unless(right: bool) -> Option<Errno> {
    (!right).then_some(Errno::INVAL)
}

fn only(arguments: &Arguments, known: u64) -> Option<Errno> {
    unless(arguments.flags & !known == 0)
}

/// RENAME_EXCHANGE goes with no other flag.
fn renames(arguments: &Arguments) -> Option<Errno> {
    let known = libc::RENAME_NOREPLACE | libc::RENAME_EXCHANGE | libc::RENAME_WHITEOUT;
    let (flags, exchange) = (arguments.flags, u64::from(libc::RENAME_EXCHANGE));
    unless(flags & !u64::from(known) == 0 && (flags & exchange == 0 || flags == exchange))
}

/// What mknod makes; a directory is not for it to make.
fn nodes(arguments: &Arguments) -> Option<Errno> {
    match arguments.mode & libc::S_IFMT {
        0 | libc::S_IFREG | libc::S_IFCHR | libc::S_IFBLK | libc::S_IFIFO | libc::S_IFSOCK => None,
        libc::S_IFDIR => Some(Errno::PERM),
        _ => Some(Errno::INVAL),
    }
}

fn removes(arguments: &Arguments) -> Option<Errno> {
    only(arguments, REMOVEDIR)
}

fn links(arguments: &Arguments) -> Option<Errno> {
    only(arguments, FOLLOW | EMPTY)
}

fn objects(arguments: &Arguments) -> Option<Errno> {
    only(arguments, NOFOLLOW as u64 | EMPTY)
}

fn executes(arguments: &Arguments) -> Option<Errno> {
    only(arguments, NOFOLLOW as u64 | EMPTY | EXECVE_CHECK)
}

fn attributes(arguments: &Arguments) -> Option<Errno> {
    only(arguments, (libc::XATTR_CREATE | libc::XATTR_REPLACE) as u64)
}

fn lengths(arguments: &Arguments) -> Option<Errno> {
    unless(i64::try_from(arguments.length).is_ok())
}

/// libc has no name for it on aarch64 with glibc.
#[cfg(target_arch = "x86_64")]
const SYS_RENAMEAT: c_long = 264;
#[cfg(target_arch = "aarch64")]
const SYS_RENAMEAT: c_long = 38;
/// Since 6.6 and 6.13; the same on all architectures.
const SYS_FCHMODAT2: c_long = 452;
const SYS_SETXATTRAT: c_long = 463;
const SYS_REMOVEXATTRAT: c_long = 466;

/// AT_EXECVE_CHECK (6.14): whether it could be executed.
const EXECVE_CHECK: u64 = 0x1_0000;
const NOFOLLOW: i32 = libc::AT_SYMLINK_NOFOLLOW;
const EMPTY: u64 = libc::AT_EMPTY_PATH as u64;
const REMOVEDIR: u64 = libc::AT_REMOVEDIR as u64;
const FOLLOW: u64 = libc::AT_SYMLINK_FOLLOW as u64;
#[cfg(target_arch = "x86_64")]
const CREAT: Value = Is((libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u64);
/// struct fsxattr.
const FSXATTR: usize = 28;

const LINKAT: Shape = Shape::Link { from: at(0), to: at(2), follow: FOLLOW };
const UNLINK: Act = Act::By(Effect::Unlinkat, &[Dir(0), LastName(0), Part::Flags]);
const RENAME: Act = Act::By(Effect::Renameat2, &[Dir(0), LastName(0), Dir(1), LastName(1), Part::Flags]);
const LINK: Act = Act::By(Effect::Linkat, &[Here, Object, Dir(0), LastName(0), Part::Is(FOLLOW)]);
const SYMLINK: Act = Act::By(Effect::Symlinkat, &[Copied(0), Dir(0), LastName(0)]);
const MKDIR: Act = Act::By(Effect::Mkdirat, &[Dir(0), LastName(0), Mode]);
const TRUNCATE: Act = Act::By(Effect::Truncate, &[Object, Length]);
const CHMOD: Act = Act::By(Effect::Fchmodat, &[Here, Object, Mode]);
const UTIMES: Act = Act::By(Effect::Utimensat, &[Here, Object, Copied(0), Part::Is(0)]);
const SETXATTR: Act = Act::By(Effect::Setxattr, &[Object, Copied(0), Copied(1), Size(1), Flag(1)]);
const REMOVEXATTR: Act = Act::By(Effect::Removexattr, &[Object, Copied(0)]);

const fn mknod(device: &'static [Part]) -> Act {
    Act::By(Effect::Mknodat, device)
}

const fn chown(owner: &'static [Part]) -> Act {
    Act::By(Effect::Fchownat, owner)
}

pub(super) const CALLS: &[Call] = &[
    call(libc::SYS_openat, OpKind::Open, Shape::Open(at(0)), Open).flags(Register(2)).mode(3),
    call(libc::SYS_openat2, OpKind::Open, Shape::Open2, Open),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_open, OpKind::Open, Shape::Open(plain(0)), Open).flags(Register(1)).mode(2),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_creat, OpKind::Open, Shape::Open(plain(0)), Open).flags(CREAT).mode(1),
    call(libc::SYS_execve, OpKind::Exec, object(plain(0), Always), Exec),
    call(libc::SYS_execveat, OpKind::Exec, object_at(at(0), Without::Handle), Exec).flags(Register(4)).wrong(executes),
    // Names.
    call(SYS_RENAMEAT, OpKind::Rename, names(at(0), at(2)), RENAME),
    call(libc::SYS_renameat2, OpKind::Rename, names(at(0), at(2)), RENAME).flags(Register(4)).wrong(renames),
    call(libc::SYS_unlinkat, OpKind::Unlink, entry(at(0), false), UNLINK).flags(Register(2)).wrong(removes),
    call(libc::SYS_linkat, OpKind::Link, LINKAT, LINK).flags(Register(4)).wrong(links),
    call(libc::SYS_symlinkat, OpKind::Link, Shape::Symlink { to: at(1) }, SYMLINK).memory(&[Text(0)]),
    call(libc::SYS_mkdirat, OpKind::Mkdir, entry(at(0), true), MKDIR).mode(2),
    call(libc::SYS_mknodat, OpKind::Mknod, entry(at(0), true), mknod(&[Dir(0), LastName(0), Mode, Raw(3)]))
        .mode(2)
        .device(3)
        .wrong(nodes),
    call(libc::SYS_bind, OpKind::Mknod, Shape::Address, Bind),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_rename, OpKind::Rename, names(plain(0), plain(1)), RENAME),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_unlink, OpKind::Unlink, entry(plain(0), false), UNLINK),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_rmdir, OpKind::Unlink, entry(plain(0), false), UNLINK).flags(Is(REMOVEDIR)),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_link, OpKind::Link, Shape::Link { from: plain(0), to: plain(1), follow: FOLLOW }, LINK),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_symlink, OpKind::Link, Shape::Symlink { to: plain(1) }, SYMLINK).memory(&[Text(0)]),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_mkdir, OpKind::Mkdir, entry(plain(0), true), MKDIR).mode(1),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_mknod, OpKind::Mknod, entry(plain(0), true), mknod(&[Dir(0), LastName(0), Mode, Raw(2)]))
        .mode(1)
        .device(2)
        .wrong(nodes),
    // Content, by its name.
    call(libc::SYS_truncate, OpKind::Truncate, object(plain(0), Always), TRUNCATE).length(1).wrong(lengths),
    // What is said of a file.
    call(libc::SYS_fchmod, OpKind::Chmod, Shape::Descriptor(0), CHMOD).mode(1),
    call(libc::SYS_fchmodat, OpKind::Chmod, object(at(0), Always), CHMOD).mode(2),
    call(SYS_FCHMODAT2, OpKind::Chmod, object_at(at(0), Without::Handle), CHMOD)
        .mode(2)
        .flags(Register(3))
        .wrong(objects),
    call(libc::SYS_fchown, OpKind::Chown, Shape::Descriptor(0), chown(&[Here, Object, Raw(1), Raw(2), Part::Is(0)]))
        .owner(1),
    call(
        libc::SYS_fchownat,
        OpKind::Chown,
        object_at(at(0), Without::Handle),
        chown(&[Here, Object, Raw(2), Raw(3), Part::Is(0)]),
    )
    .owner(2)
    .flags(Register(4))
    .wrong(objects),
    call(libc::SYS_utimensat, OpKind::Utimes, object_at(at(0), Without::Both), UTIMES)
        .flags(Register(3))
        .wrong(objects)
        .memory(&[Times(Clock::Nanoseconds, 2)]),
    call(libc::SYS_setxattr, OpKind::Xattr, object(plain(0), Always), SETXATTR)
        .flags(Register(4))
        .wrong(attributes)
        .memory(&[AttributeName(1), AttributeValue { at: 2, size: 3, flags: 4 }]),
    call(libc::SYS_lsetxattr, OpKind::Xattr, object(plain(0), Never), SETXATTR)
        .flags(Register(4))
        .wrong(attributes)
        .memory(&[AttributeName(1), AttributeValue { at: 2, size: 3, flags: 4 }]),
    call(libc::SYS_fsetxattr, OpKind::Xattr, Shape::Descriptor(0), SETXATTR)
        .flags(Register(4))
        .wrong(attributes)
        .memory(&[AttributeName(1), AttributeValue { at: 2, size: 3, flags: 4 }]),
    call(SYS_SETXATTRAT, OpKind::Xattr, object_at(at(0), Without::File), SETXATTR)
        .flags(Register(2))
        .wrong(objects)
        .memory(&[AttributeName(3), ValueIn { at: 4, size: 5 }]),
    call(libc::SYS_removexattr, OpKind::Xattr, object(plain(0), Always), REMOVEXATTR).memory(&[AttributeName(1)]),
    call(libc::SYS_lremovexattr, OpKind::Xattr, object(plain(0), Never), REMOVEXATTR).memory(&[AttributeName(1)]),
    call(libc::SYS_fremovexattr, OpKind::Xattr, Shape::Descriptor(0), REMOVEXATTR).memory(&[AttributeName(1)]),
    call(SYS_REMOVEXATTRAT, OpKind::Xattr, object_at(at(0), Without::File), REMOVEXATTR)
        .flags(Register(2))
        .wrong(objects)
        .memory(&[AttributeName(3)]),
    call(
        SYS_FILE_SETATTR,
        OpKind::Chattr,
        object_at(at(0), Without::File),
        Act::By(Effect::FileSetattr, &[Here, Object, Copied(0), Size(0), Part::Is(0)]),
    )
    .flags(Register(4))
    .wrong(objects)
    .memory(&[Attributes { at: 2, size: 3 }]),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_chmod, OpKind::Chmod, object(plain(0), Always), CHMOD).mode(1),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_chown, OpKind::Chown, object(plain(0), Always), chown(&[Here, Object, Raw(1), Raw(2), Part::Is(0)]))
        .owner(1),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_lchown, OpKind::Chown, object(plain(0), Never), chown(&[Here, Object, Raw(1), Raw(2), Part::Is(0)]))
        .owner(1),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_utime, OpKind::Utimes, object(plain(0), Always), UTIMES).memory(&[Times(Clock::Seconds, 1)]),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_utimes, OpKind::Utimes, object(plain(0), Always), UTIMES).memory(&[Times(Clock::Microseconds, 1)]),
    #[cfg(target_arch = "x86_64")]
    call(
        libc::SYS_futimesat,
        OpKind::Utimes,
        Shape::Object { name: at(0), follow: Always, without: Without::Descriptor },
        UTIMES,
    )
    .memory(&[Times(Clock::Microseconds, 2)]),
];

/// Requests of ioctl(2) that are asked about, by the number in its second register.
pub(super) const REQUESTS: &[(u32, Call)] = &[
    (
        sys::actor::FS_IOC_SETFLAGS,
        call(libc::SYS_ioctl, OpKind::Chattr, Shape::Descriptor(0), Act::By(Effect::SetFlags, &[Fd, Copied(0)]))
            .memory(&[Bits { at: 2, size: 4 }]),
    ),
    (
        sys::actor::FS_IOC_FSSETXATTR,
        call(libc::SYS_ioctl, OpKind::Chattr, Shape::Descriptor(0), Act::By(Effect::SetXflags, &[Fd, Copied(0)]))
            .memory(&[Bits { at: 2, size: FSXATTR }]),
    ),
];

/// The row of a call with these registers.
pub(super) fn find(nr: c_long, registers: [u64; 6]) -> Option<&'static Call> {
    if nr == libc::SYS_ioctl {
        return REQUESTS.iter().find(|(request, _)| *request == registers[1] as u32).map(|(_, call)| call);
    }
    CALLS.iter().find(|call| call.nr == nr)
}

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

/// New namespaces that change what a thread may do or see.
pub(super) const NAMESPACES: u32 =
    (libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC) as u32;

/// Calls that start a process, besides clone(2). They are let through; a process that is not what it should be
/// (`executions`) starts no other.
pub(super) const FORKS: &[c_long] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
];

/// Whether a call that is let through starts a process that is what its parent is.
pub(super) fn only_forks(nr: c_long, registers: [u64; 6]) -> bool {
    FORKS.contains(&nr) || nr == libc::SYS_clone && registers[0] as u32 & NAMESPACES == 0
}

/// Calls after which a task may no longer be what its supervisor is: another user, other capabilities, another view of
/// the tree of files, fewer rights. They are let through, but noted.
pub(super) const IDENTITY: [c_long; 14] = [
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
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_stand_where_the_kernel_takes_them() {
        let of = |nr, registers| {
            let arguments = find(nr, registers).unwrap().arguments(registers);
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
        let owner = |nr| {
            let arguments = find(nr, registers).unwrap().arguments(registers);
            (arguments.user, arguments.group)
        };
        assert_eq!((owner(libc::SYS_fchown), owner(libc::SYS_fchownat)), ((11, 12), (12, 13)));
    }

    #[test]
    fn a_request_of_ioctl_is_one_by_its_number() {
        let request = |number: u32| find(libc::SYS_ioctl, [3, number.into(), 0, 0, 0, 0]).map(|call| call.kind);
        assert_eq!(request(sys::actor::FS_IOC_SETFLAGS), Some(OpKind::Chattr));
        assert_eq!(request(libc::TCGETS as u32), None);
    }
}
