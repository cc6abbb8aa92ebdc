//! Leaves no process of a tree behind.

use std::fs;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid};

use super::tracee::Status;
use super::{LIVE, Shared};

const PATIENCE: Duration = Duration::from_secs(2);

/// Kills the tree, until nobody holds the listener's program any more.
pub(super) fn kill_tree(shared: &Shared, child: u32) -> usize {
    let us = std::process::id();
    let Ok(ours) = Status::of(us) else { return 0 };
    let deadline = Instant::now() + PATIENCE;
    let mut killed = Vec::new();
    while !shared.is_over() && Instant::now() < deadline {
        let all = processes();
        for (pid, status) in &all {
            // A member runs under one more seccomp program than we do, whatever else is below us.
            if status.seccomp_filters <= ours.seccomp_filters || !belongs(shared, &all, *pid, us, child) {
                continue;
            }
            let Some(id) = Pid::from_raw(*pid as i32) else { continue };
            // The handle is of the process that has the number now; that it is still one of the tree is looked at
            // after.
            let Ok(handle) = pidfd_open(id, PidfdFlags::empty()) else { continue };
            let still = Status::of(*pid).is_ok_and(|now| now.seccomp_filters > ours.seccomp_filters);
            if still && pidfd_send_signal(&handle, Signal::KILL).is_ok() && !killed.contains(pid) {
                killed.push(*pid);
            }
            // The command itself is reaped by the thread that started it.
            if status.parent == us && *pid != child {
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

/// Whether a process is of our tree, and not of another supervisor's in this process: it or somebody between it and us
/// is the command, or has asked us; an orphan that never asked anybody is ours if there is no other supervisor.
fn belongs(shared: &Shared, all: &[(u32, Status)], pid: u32, us: u32, child: u32) -> bool {
    let parent = |pid: &u32| all.iter().find(|(other, _)| other == pid).map(|(_, status)| status.parent);
    let line: Vec<u32> = std::iter::successors(Some(pid), parent)
        .take_while(|&above| above != us && above != 0)
        .take(all.len())
        .collect();
    let below_us = line.last().is_some_and(|top| parent(top) == Some(us));
    let asked = shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
    below_us && (line.iter().any(|above| *above == child || asked.contains(above)) || LIVE.load(Ordering::Acquire) == 1)
}

fn processes() -> Vec<(u32, Status)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, Status::of(pid).ok()?))).collect()
}
