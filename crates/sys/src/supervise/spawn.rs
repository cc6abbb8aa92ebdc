//! Starts a command under a seccomp program and receives the listener.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use libc::sock_filter;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use super::Asked;
use super::notify::Listener;

/// The command: started, running, ended.
#[derive(Debug, Default)]
pub(super) struct Started {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Starting,
    Running(u32),
    Ended(u32, Result<ExitStatus, i32>),
    Failed(i32),
}

impl Started {
    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.changed.notify_all();
    }

    /// Waits until the command runs, and gives its process id.
    pub(super) fn pid(&self) -> io::Result<u32> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match *state {
                State::Starting => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                State::Running(pid) | State::Ended(pid, _) => return Ok(pid),
                State::Failed(errno) => return Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }

    /// Waits until the command has ended (its descendants may live on).
    pub(super) fn wait(&self) -> io::Result<ExitStatus> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match *state {
                State::Starting | State::Running(_) => {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                State::Ended(_, Ok(status)) => return Ok(status),
                State::Ended(_, Err(errno)) | State::Failed(errno) => return Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// Starts `command` on a thread of its own, because its execve waits for us and `spawn` waits for it; the death signal
/// of the child is tied to the life of the thread that started it, so that thread stays until the child has ended.
pub(super) fn spawn(
    mut command: Command,
    program: Vec<sock_filter>,
    asked: Arc<Asked>,
) -> io::Result<(Listener, Arc<Started>)> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let flags = filter_flags()?;
    let parent = std::process::id();
    let install = move || {
        die_with(parent)?;
        let listener = install(&program, flags)?;
        send(theirs.as_fd(), listener.as_fd())
    };
    // SAFETY: between fork and exec the closure only makes system calls and touches memory that it owns; it allocates
    // nothing and takes no lock (an error is built from its number alone).
    unsafe { command.pre_exec(install) };
    let started = Arc::new(Started::default());
    let keeper = started.clone();
    thread::Builder::new().name("supervise-child".into()).spawn(move || {
        let result = command.spawn();
        // Our copy of the sending end goes with the command: only then is a child that failed early an end of file.
        drop(command);
        match result {
            Err(error) => keeper.set(State::Failed(errno(&error))),
            Ok(mut child) => {
                keeper.set(State::Running(child.id()));
                super::orphans::reap_until_ends(child.id(), &asked);
                let status = child.wait().map_err(|error| errno(&error));
                keeper.set(State::Ended(child.id(), status));
            }
        }
    })?;
    match receive(ours.as_fd())? {
        Some(listener) => {
            let undisturbed = flags & libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV != 0;
            Ok((Listener::new(listener, undisturbed)?, started))
        }
        // The child never got to its exec: the reason is with the keeper.
        None => Err(started.pid().err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())),
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
    // SAFETY: with NEW_LISTENER the result is a descriptor that nobody else has yet.
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
    debug_assert!(listener.as_ref().is_none_or(|fd: &OwnedFd| fd.as_raw_fd() >= 0));
    Ok(listener)
}
