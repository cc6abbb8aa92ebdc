//! A command that installs a seccomp program between fork and exec, and hands its listener over a socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::sock_filter;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use super::Listener;

/// Where the listener of a command arrives.
#[derive(Debug)]
pub struct Handover {
    socket: OwnedFd,
    flags: libc::c_ulong,
}

/// Has `command` give up new privileges, install `program` and send its listener when it is spawned. The command dies
/// with the thread that spawns it (PR_SET_PDEATHSIG).
///
/// # Errors
/// `Unsupported` where the kernel has no user notification; what else seccomp or the socket report.
pub fn install_before_exec(command: &mut Command, program: Vec<sock_filter>) -> io::Result<Handover> {
    let (socket, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let flags = filter_flags()?;
    let parent = std::process::id();
    let install = move || {
        die_with(parent)?;
        // Of a process that is closed to debuggers it is a copy, and then to us too, as we read what it executes.
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)?;
        let listener = install(&program, flags)?;
        send(theirs.as_fd(), listener.as_fd())
    };
    // SAFETY: between fork and exec the closure only makes system calls and touches memory that it owns; it allocates
    // nothing and takes no lock (an error is built from its number alone).
    unsafe { command.pre_exec(install) };
    Ok(Handover { socket, flags })
}

impl Handover {
    /// Waits for the listener of the spawned command. `None` if it ended before it had one; that shows only when the
    /// command that was prepared is dropped here, which has the other end of the socket too.
    ///
    /// # Errors
    /// EMFILE if no descriptor is left for it, `Unsupported` if the kernel's structures are larger than ours.
    pub fn listener(self) -> io::Result<Option<Listener>> {
        let undisturbed = self.flags & libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV != 0;
        receive(self.socket.as_fd())?.map(|fd| Listener::new(fd, undisturbed)).transpose()
    }
}

/// In the child: die when the thread that started us does, and now if it already has.
fn die_with(parent: u32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // SAFETY: getppid has no preconditions.
    if unsafe { libc::getppid() } as u32 != parent {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    Ok(())
}

/// In the child: give up new privileges and install the program.
fn install(program: &[sock_filter], flags: libc::c_ulong) -> io::Result<OwnedFd> {
    rustix::thread::set_no_new_privs(true)?;
    // The kernel does not write through the pointer; its type is not const for old reasons.
    let description = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: `description` names `program`, which outlives the call; the kernel copies and checks it.
    let fd = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const description) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: with NEW_LISTENER the result is a descriptor that nothing else has yet.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Which flags the kernel knows. With WAIT_KILLABLE_RECV (5.19) a caller whose question was received is woken only by a
/// fatal signal; without it a handled signal restarts the call after we may have created its file.
fn filter_flags() -> io::Result<libc::c_ulong> {
    let wanted = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    for flags in [wanted, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER] {
        // SAFETY: a null program is never installed; known flags make it EFAULT, unknown ones EINVAL.
        let result = unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, std::ptr::null::<libc::sock_fprog>())
        };
        debug_assert_eq!(result, -1);
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EFAULT) => return Ok(flags),
            Some(libc::EINVAL) => {}
            _ => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::Unsupported, "the kernel has no seccomp user notification"))
}

/// In the child: hand the listener to the supervisor.
fn send(socket: BorrowedFd<'_>, listener: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [listener];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(socket, &[IoSlice::new(b"L")], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let mut listener = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            listener = fds.last();
        }
    }
    if listener.is_none() && received.flags.contains(ReturnFlags::CTRUNC) {
        // it was sent, and there was no room for it: the child's exec fails then, for want of a supervisor
        return Err(io::Error::from_raw_os_error(libc::EMFILE));
    }
    Ok(listener)
}
