//! Leaves no process of a tree behind.

use std::fs;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid};

use super::tracee::Status;
use super::{LIVE, Shared};

const PATIENCE: Duration = Duration::from_secs(2);

/// For so long none must have been found that is known to belong to the tree before what may be one is taken for one: the
/// kernel needs a moment to see that the last of the others is gone.
const DOUBT: Duration = Duration::from_millis(100);

/// Kills the tree, until nobody holds the listener's program any more.
pub(super) fn kill_tree(shared: &Shared, child: u32) -> usize {
    let us = std::process::id();
    let Ok(ours) = Status::of(us) else { return 0 };
    let deadline = Instant::now() + PATIENCE;
    let mut killed = Vec::new();
    let mut doubtful = Instant::now() + DOUBT;
    while !shared.is_over() && Instant::now() < deadline {
        let all = processes();
        let below = |pid: &u32| line(&all, *pid, us, ours.seccomp_filters);
        let lines: Vec<_> = all.iter().filter_map(|(pid, _)| below(pid)).collect();
        let asked = shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |line: &&Vec<u32>| line.iter().any(|above| *above == child || asked.contains(above));
        let mut members: Vec<u32> = lines.iter().filter(known).map(|line| line[0]).collect();
        drop(asked);
        // An orphan that never asked anybody looks like a child of ours that has a seccomp program of its own: only what
        // still keeps the tree alive when all others are gone is taken for one, and only where it can be nobody else's.
        if !members.is_empty() {
            doubtful = Instant::now() + DOUBT;
        } else if Instant::now() >= doubtful && LIVE.load(Ordering::Acquire) == 1 {
            members = lines.iter().map(|line| line[0]).collect();
        }
        for pid in members {
            let Some(id) = Pid::from_raw(pid as i32) else { continue };
            // The handle is of the process that has the number now; that it is still one of the tree is looked at
            // after.
            let Ok(handle) = pidfd_open(id, PidfdFlags::empty()) else { continue };
            let Ok(now) = Status::of(pid) else { continue };
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
    killed.len()
}

/// A process and those above it, up to the child of ours that it comes from; `None` if it may not be of a tree of ours.
/// All members run under more seccomp programs than we do, the command and the orphans that became our children too: what
/// is below a child that runs under none is of another supervisor's tree.
fn line(all: &[(u32, Status)], pid: u32, us: u32, filters: u32) -> Option<Vec<u32>> {
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

fn processes() -> Vec<(u32, Status)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, Status::of(pid).ok()?))).collect()
}
