//! Leaves no process of a tree behind.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid};

use super::Shared;
use super::tracee::Status;

const PATIENCE: Duration = Duration::from_secs(2);

/// Kills every descendant of ours that runs under one more seccomp program than we do (the tree; other children of this process
/// do not), until nobody holds the listener's program any more.
pub(super) fn kill_tree(shared: &Shared, child: u32) -> usize {
    let us = std::process::id();
    let Ok(ours) = Status::of(us) else { return 0 };
    let deadline = Instant::now() + PATIENCE;
    let mut killed = Vec::new();
    while !shared.is_over() && Instant::now() < deadline {
        let all = processes();
        let below = |pid: u32| {
            let parent = |pid: u32| all.iter().find(|(other, _)| *other == pid).map(|(_, status)| status.parent);
            std::iter::successors(parent(pid), |&pid| parent(pid)).take(all.len()).any(|above| above == us)
        };
        for (pid, status) in &all {
            if status.seccomp_filters <= ours.seccomp_filters || !below(*pid) {
                continue;
            }
            let Some(id) = Pid::from_raw(*pid as i32) else { continue };
            // The handle is of the process that has the number now; that it is still one of the tree is looked at after.
            let Ok(handle) = pidfd_open(id, PidfdFlags::empty()) else { continue };
            if Status::of(*pid).is_ok_and(|now| now.seccomp_filters > ours.seccomp_filters)
                && pidfd_send_signal(&handle, Signal::KILL).is_ok()
                && !killed.contains(pid)
            {
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

fn processes() -> Vec<(u32, Status)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, Status::of(pid).ok()?))).collect()
}
