//! Leaves no process of a tree behind.
//!
//! A process is killed through a descriptor of it, looked at after that was opened, so that a number that was used again
//! kills no other process; and only if it stands below us under our seccomp program.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid};

use super::tree::Tree;
use crate::source::procfs::TaskStatus;

const PATIENCE: Duration = Duration::from_secs(2);

/// For so long none must have been found that is known to belong to the tree before what may be one is taken for one: the
/// kernel needs a moment to see that the last of the others is gone.
const DOUBT: Duration = Duration::from_millis(100);

/// Kills the tree, until no process runs under the listener's program any more, at most for [`PATIENCE`], and reaps what was
/// orphaned to us. Whether all of it has ended.
pub(super) fn kill_tree(tree: &Tree, child: u32) -> bool {
    tree.begin_end();
    let us = std::process::id();
    let Ok(ours) = TaskStatus::of(us) else { return false };
    let deadline = Instant::now() + PATIENCE;
    let mut killed = Vec::new();
    let mut doubtful = Instant::now() + DOUBT;
    while !tree.is_over() && Instant::now() < deadline {
        let all = processes();
        let below = |pid: &u32| line(&all, *pid, us, ours.seccomp_filters);
        let lines: Vec<_> = all.iter().filter_map(|(pid, _)| below(pid)).collect();
        let known = |line: &&Vec<u32>| line.iter().any(|above| *above == child || tree.asked.contains(*above));
        let mut members: Vec<u32> = lines.iter().filter(known).map(|line| line[0]).collect();
        // An orphan that never asked looks like a child of ours that has a seccomp program of its own: only what still
        // keeps the tree alive when all others are gone is taken for one, and only where there is no other tree of ours.
        if !members.is_empty() {
            doubtful = Instant::now() + DOUBT;
        } else if Instant::now() >= doubtful && Tree::is_only_one() {
            members = lines.iter().map(|line| line[0]).collect();
        }
        for pid in members {
            let Some(id) = Pid::from_raw(pid as i32) else { continue };
            // The handle is of the process that has the number now; that it is still one of the tree is looked at
            // after.
            let Ok(handle) = pidfd_open(id, PidfdFlags::empty()) else { continue };
            let Ok(now) = TaskStatus::of(pid) else { continue };
            if now.seccomp_filters > ours.seccomp_filters
                && pidfd_send_signal(&handle, Signal::KILL).is_ok()
                && !killed.contains(&pid)
            {
                killed.push(pid);
            }
            // The command itself is reaped by the thread that started it.
            if now.parent == us && pid != child {
                let _ = waitpid(Some(id), WaitOptions::NOHANG);
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    for pid in killed.iter().filter(|pid| **pid != child) {
        if let Some(id) = Pid::from_raw(*pid as i32) {
            let _ = waitpid(Some(id), WaitOptions::NOHANG);
        }
    }
    tree.tally.killed.add(killed.len() as u64);
    tree.is_over()
}

/// A process and those above it, up to the child of ours that it comes from; `None` if it may not be of a tree of ours.
/// All members run under more seccomp programs than we do, the command and the orphans that became our children too: what
/// is below a child that runs under none is of another supervisor's tree.
fn line(all: &[(u32, TaskStatus)], pid: u32, us: u32, filters: u32) -> Option<Vec<u32>> {
    let mut line = Vec::new();
    let mut at = pid;
    while at != us {
        let (_, status) = all.iter().find(|(other, _)| *other == at)?;
        if status.seccomp_filters <= filters || line.len() > all.len() {
            return None;
        }
        line.push(at);
        at = status.parent;
    }
    (!line.is_empty()).then_some(line)
}

fn processes() -> Vec<(u32, TaskStatus)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, TaskStatus::of(pid).ok()?))).collect()
}
