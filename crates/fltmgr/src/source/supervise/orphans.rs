//! Reaps the descendants that became our children, as init would have: a program that stops a daemon looks whether its
//! number is gone, and would look for ever at a process that is never reaped.

use std::os::fd::OwnedFd;
use std::{fs, io};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitOptions, child_subreaper, pidfd_open, waitpid};

use super::asked::Asked;
use crate::source::procfs::TaskStatus;

/// How often the orphans are looked at behind a dead child that is not ours to reap.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Makes this process the parent of descendants whose parent ends (PR_SET_CHILD_SUBREAPER), so that they are found at the
/// end. Trees that start after it reap them while their command runs, but one that has never asked only at the end. It is
/// a property of the whole process.
pub(super) fn adopt() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Reaps orphans until the command has ended, which is left to be waited for; returns at once where there will be none.
pub(super) fn reap_until_ends(command: u32, asked: &Asked) {
    if !matches!(child_subreaper(), Ok(Some(_))) || sys::process::leaves_no_dead() {
        return;
    }
    let us = std::process::id();
    let Some(handle) = pid(command).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else { return };
    let Ok(ours) = TaskStatus::of(us) else { return };
    // Other children are their owners': one that has asked is none of theirs, and runs under our seccomp program.
    let reap = |child: u32| {
        let known = asked.contains(child);
        let is_orphan = known
            && child != command
            && TaskStatus::of(child).is_ok_and(|it| it.parent == us && it.seccomp_filters > ours.seccomp_filters);
        is_orphan && matches!(waitpid(pid(child), WaitOptions::NOHANG), Ok(Some(_)))
    };
    while let Some(dead) = sys::process::next_dead_child()
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
