//! Reaps the descendants that became our children, as init would have: a program that stops a daemon looks whether its
//! number is gone, and would look for ever at one that nobody reaps.

use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::PoisonError;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitOptions, child_subreaper, pidfd_open, waitpid};

use super::Asked;
use super::tracee::Status;

/// How often the orphans are looked at behind a dead child that is not ours to reap.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Reaps orphans until the command has ended, which is left to be waited for; returns at once where there will be none.
pub(super) fn reap_until_ends(command: u32, asked: &Asked) {
    if !matches!(child_subreaper(), Ok(Some(_))) || leaves_no_dead() {
        return;
    }
    let us = std::process::id();
    let Some(handle) = pid(command).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else { return };
    let Ok(ours) = Status::of(us) else { return };
    // Other children are their owners': one that has asked is none of theirs, and runs under our seccomp program.
    let reap = |child: u32| {
        let known = asked.lock().unwrap_or_else(PoisonError::into_inner).contains(&child);
        let is_orphan = known
            && child != command
            && Status::of(child).is_ok_and(|it| it.parent == us && it.seccomp_filters > ours.seccomp_filters);
        is_orphan && matches!(waitpid(pid(child), WaitOptions::NOHANG), Ok(Some(_)))
    };
    while let Some(dead) = next_dead()
        && dead != command
    {
        if reap(dead) {
            continue;
        }
        // Until its owner waits for it, it stands before others whose end we would not be told of.
        for child in children() {
            reap(child);
        }
        if has_ended(&handle) {
            return;
        }
    }
}

fn pid(number: u32) -> Option<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw)
}

/// A child that has ended, which stays to be waited for; blocks. `None` if there is no child.
fn next_dead() -> Option<u32> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    loop {
        let options = libc::WEXITED | libc::WNOWAIT;
        // SAFETY: the kernel writes one siginfo_t at the pointer, which `info` is.
        let result = unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options) };
        if result == 0 {
            // SAFETY: all-zero is a valid siginfo_t, and the kernel has written one.
            let info = unsafe { info.assume_init() };
            // SAFETY: it is about a child.
            return u32::try_from(unsafe { info.si_pid() }).ok();
        }
        if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            return None;
        }
    }
}

/// Whether the kernel reaps our children itself: then there is nothing to do, and nothing to be told of.
fn leaves_no_dead() -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: nothing is set, and the kernel writes one struct sigaction at the pointer, which `action` is.
    let result = unsafe { libc::sigaction(libc::SIGCHLD, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: all-zero is a valid sigaction, whether it was written or not.
    let action = unsafe { action.assume_init() };
    result == 0 && (action.sa_sigaction == libc::SIG_IGN || action.sa_flags & libc::SA_NOCLDWAIT != 0)
}

/// Our children, the living too; none where the kernel does not list them (CONFIG_PROC_CHILDREN).
fn children() -> Vec<u32> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    let lists = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// Whether the process has ended, or does within [`GLANCE`].
fn has_ended(process: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    match poll(&mut fds, Some(&GLANCE)) {
        Ok(ready) => ready > 0,
        Err(errno) => errno != Errno::INTR,
    }
}
