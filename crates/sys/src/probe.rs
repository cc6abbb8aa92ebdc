//! What this kernel and this user can do, found out by doing it where it does no harm.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::sync_channel;

use libc::{c_int, c_long, c_ulong, sock_filter, sock_fprog};
use rustix::fs::{self, AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;

use crate::process;
use crate::proxy::Proxy;

/// What seccomp user notification offers, as one call under it showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notify {
    /// The supervisor can put a descriptor into the waiting program and end its call with it, in one step (5.14).
    pub inject: bool,
    /// A call that was received is not disturbed by signals (5.19).
    pub wait_killable: bool,
    /// The answer wakes the program on the supervisor's own CPU (6.6).
    pub sync_wake_up: bool,
}

/// Puts a thread of its own under a notification, has it make one harmless call, and answers that.
///
/// # Errors
/// What the kernel said: `EBUSY` means that this process is itself supervised already, `EINVAL` or `ENOSYS` that the
/// kernel has no such thing, `EACCES` or `EPERM` that a container's profile forbids it.
pub fn notify() -> io::Result<Notify> {
    let (give, take) = sync_channel(1);
    // The program below holds for this thread only and ends with it.
    let asker = std::thread::Builder::new().spawn(move || {
        let listener = listen();
        let ask = listener.is_ok();
        if give.send(listener).is_ok() && ask {
            // SAFETY: getppid takes nothing and touches no memory.
            unsafe { libc::syscall(libc::SYS_getppid) }
        } else {
            -1
        }
    })?;
    let answered = take.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into())).and_then(answer);
    // The listener is closed by now, which ends the call even if it was not answered.
    let result = asker.join().unwrap_or(-1);
    let mut found = answered?;
    if found.inject && result >= 0 {
        // SAFETY: the kernel made this descriptor for us a moment ago and nothing else knows its number.
        drop(unsafe { OwnedFd::from_raw_fd(result as RawFd) });
    } else {
        found.inject = false;
    }
    Ok(found)
}

fn listen() -> io::Result<(OwnedFd, bool)> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let mut code = [
        sock_filter { code: LOAD, jt: 0, jf: 0, k: 0 },
        sock_filter { code: EQUAL, jt: 0, jf: 1, k: libc::SYS_getppid as u32 },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_USER_NOTIF },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW },
    ];
    let program = sock_fprog { len: code.len() as u16, filter: code.as_mut_ptr() };
    rustix::thread::set_no_new_privs(true)?;
    let install = |flags: c_ulong| {
        // SAFETY: the kernel reads `program` and the instructions it points to, both alive here, and writes nothing.
        let fd = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
        new_fd(fd)
    };
    match install(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Ok(fd) => Ok((fd, true)),
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {
            install(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER).map(|fd| (fd, false))
        }
        Err(e) => Err(e),
    }
}

fn answer((listener, wait_killable): (OwnedFd, bool)) -> io::Result<Notify> {
    const SYNC_WAKE_UP: c_ulong = 1;
    let fd = listener.as_raw_fd();
    // SAFETY: this ioctl takes its argument by value.
    let sync_wake_up = unsafe { libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) } == 0;

    let mut ready = [rustix::event::PollFd::new(&listener, rustix::event::PollFlags::IN)];
    let patience = rustix::event::Timespec { tv_sec: 5, tv_nsec: 0 };
    if rustix::event::poll(&mut ready, Some(&patience))? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    // Room for a kernel whose structure has grown; it copies its own size.
    let mut room = [0u64; 64];
    const { assert!(size_of::<libc::seccomp_notif>() <= 512) };
    // SAFETY: the kernel writes one struct seccomp_notif, 80 bytes since 5.0, into 512 aligned bytes that are zero as
    // it asks.
    if unsafe { libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_RECV, room.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let null = File::open("/dev/null")?;
    let inject = libc::seccomp_notif_addfd {
        id: room[0],
        flags: libc::SECCOMP_ADDFD_FLAG_SEND as u32,
        srcfd: null.as_raw_fd() as u32,
        newfd: 0,
        newfd_flags: libc::O_CLOEXEC as u32,
    };
    // SAFETY: the kernel reads one struct seccomp_notif_addfd, which `inject` is.
    let inject = if unsafe { libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw const inject) } >= 0 {
        true
    } else {
        match io::Error::last_os_error() {
            unknown if unknown.raw_os_error() == Some(libc::EINVAL) => false,
            error => return Err(error),
        }
    };
    Ok(Notify { inject, wait_killable, sync_wake_up })
}

/// Whether the memory of a process can be read, in one way or another.
///
/// # Errors
/// Why not.
pub fn memory() -> io::Result<()> {
    read_own(process::read_memory)
}

fn read_own(read: impl Fn(u32, u64, &mut [u8], usize) -> Result<usize, Errno>) -> io::Result<()> {
    let byte = 0u8;
    read(std::process::id(), (&raw const byte) as u64, &mut [0], 1).map(drop).map_err(io::Error::from)
}

/// The calls that look into other processes or choose how a path is followed, which containers and services refuse, and
/// what each said when it was made where it does no harm.
pub fn calls() -> [(&'static str, io::Result<()>); 7] {
    // EINVAL: no namespace is entered by a file that is none.
    let setns = File::open("/dev/null").and_then(|null| {
        // SAFETY: takes two numbers.
        match unsafe { libc::setns(null.as_raw_fd(), 0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()).or_else(|error| match error.raw_os_error() {
                Some(libc::EINVAL) => Ok(()),
                _ => Err(error),
            }),
        }
    });
    // SAFETY: with no flags nothing is unshared.
    let unshare = if unsafe { libc::unshare(0) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    let (flags, limits) = (OFlags::PATH | OFlags::CLOEXEC, ResolveFlags::NO_MAGICLINKS);
    let openat2 = fs::openat2(CWD, "/", flags, Mode::empty(), limits);
    let statx = fs::statx(CWD, "/", AtFlags::empty(), StatxFlags::MNT_ID);
    [
        ("process_vm_readv", read_own(process::read_at_once)),
        ("/proc/PID/mem", read_own(process::read_by_procfs)),
        ("openat2", openat2.map(drop).map_err(io::Error::from)),
        ("statx", statx.map(drop).map_err(io::Error::from)),
        ("setns", setns),
        ("unshare", unshare),
        ("clone", Proxy::start().map(drop)),
    ]
}

/// What fanotify offers this user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Ignore marks with the newer, stricter meaning (FAN_MARK_IGNORE, 6.0).
    pub ignore: bool,
    /// Ignore marks that do not keep a file in memory (FAN_MARK_EVICTABLE, 5.19).
    pub evictable: bool,
}

/// Makes a group that could hold permission events, and tries ignore marks on a file that only this call knows.
///
/// No permission event is ever asked for: an ignore mark alone raises none.
///
/// # Errors
/// What the kernel said: `EPERM` without CAP_SYS_ADMIN in the first user namespace, `ENOSYS` or `EINVAL` without the
/// feature.
pub fn permission() -> io::Result<Permission> {
    let flags = libc::FAN_CLASS_CONTENT | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK | libc::FAN_UNLIMITED_QUEUE;
    // SAFETY: fanotify_init takes two integers.
    let fd = unsafe { libc::fanotify_init(flags, (libc::O_RDONLY | libc::O_CLOEXEC) as u32) };
    let group = new_fd(c_long::from(fd))?;
    let mark = |flags: u32| {
        // A file for each: a mark that is there already may not become evictable.
        let file = fs::memfd_create("fltmgr-probe", fs::MemfdFlags::CLOEXEC)?;
        // SAFETY: with a null path the mark goes on the open descriptor; no memory of ours is read.
        let result = unsafe {
            libc::fanotify_mark(
                group.as_raw_fd(),
                libc::FAN_MARK_ADD | flags,
                libc::FAN_OPEN_PERM,
                file.as_raw_fd(),
                std::ptr::null(),
            )
        };
        io::Result::Ok(result == 0)
    };
    Ok(Permission {
        ignore: mark(libc::FAN_MARK_IGNORE_SURV)?,
        evictable: mark(libc::FAN_MARK_IGNORED_MASK | libc::FAN_MARK_EVICTABLE)?,
    })
}

/// Whether a connected socket gives a handle on the peer's process (SO_PEERPIDFD, 6.5), not only its number.
///
/// # Errors
/// What the kernel said, `ENOPROTOOPT` where it has no such option.
pub fn peer_pidfd() -> io::Result<()> {
    let (here, _there) = UnixStream::pair()?;
    let mut fd: c_int = -1;
    let mut len = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, the size of `fd`, and the length.
    let result = unsafe {
        libc::getsockopt(here.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERPIDFD, (&raw mut fd).cast(), &raw mut len)
    };
    new_fd(c_long::from(if result == 0 { fd } else { -1 })).map(drop)
}

/// Takes over the descriptor that a system call returned, or its error.
fn new_fd(result: c_long) -> io::Result<OwnedFd> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a system call returned this number as a new descriptor, and nothing else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(result as RawFd) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probing_leaves_no_descriptor_and_this_thread_free() {
        let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        // Once before counting, so that what the process opens for good is open.
        let first = (notify().is_ok(), permission().is_ok(), peer_pidfd().is_ok());
        let before = count();
        let again = (notify().is_ok(), permission().is_ok(), peer_pidfd().is_ok());
        assert_eq!(first, again);
        // Other tests of this process open and close theirs meanwhile, so it may take a while until only ours would be
        // left.
        let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while count() > before {
            assert!(std::time::Instant::now() < end, "{} descriptors became {}", before, count());
        }
        assert!(rustix::process::getppid().is_some(), "this thread is not under the probe's program");
    }
}
