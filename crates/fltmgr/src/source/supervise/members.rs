//! Whether a process is one of a tree: by its parents, up to us, and by its seccomp program.
//!
//! A member cannot leave: what it starts is below it, the orphans of a tree become our children where it is to be killed at
//! its end, and a seccomp program is never taken away, by which it is told from our other children. A number says nothing
//! by itself, because it is used again; so each step up is looked at twice, and a caller keeps a descriptor of the process
//! and looks afterwards whether that still lives.

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::tree::Tree;
use crate::source::procfs::TaskStatus;

/// How often a line that changes while it is read is read anew.
const TRIES: u32 = 100;

/// Whether a process is one of the tree; true too where that cannot be told.
pub(super) fn contains(tree: &Tree, process: u32) -> bool {
    let us = std::process::id();
    // 0 is a process of another pid namespace, where none of ours is without a number here.
    if process == 0 || process == us {
        return false;
    }
    match is_below(process, us) {
        // An orphan may not be our child, but it has asked us something.
        Some(false) => tree.asked.contains(process) && has_more_programs(process, us),
        Some(true) => has_more_programs(process, us),
        None => true,
    }
}

/// Whether a process has more seccomp programs than another; true too where that cannot be told.
fn has_more_programs(process: u32, other: u32) -> bool {
    let programs = |process| look(process).map(|status| status.seccomp_filters);
    match (programs(process), programs(other)) {
        (Ok(process), Ok(other)) => process > other,
        _ => true,
    }
}

/// Whether a process is `above` or descends from it. `None`: it has ended, or hides from us and could be ours.
fn is_below(process: u32, above: u32) -> Option<bool> {
    (0..TRIES).find_map(|_| climb(process, above)).flatten()
}

/// One way up. `None`: it changed meanwhile.
fn climb(process: u32, above: u32) -> Option<Option<bool>> {
    let mut at = process;
    let Ok(mut status) = look(at) else { return Some(unseen(at)) };
    loop {
        if at == above {
            return Some(Some(true));
        }
        if status.parent == 0 {
            return Some(Some(false)); // the first process, or one whose parent is outside of our pid namespace
        }
        let next = look(status.parent);
        // If it is still the parent now, it was what was looked at.
        if look(at).is_ok_and(|again| again.parent != status.parent) {
            return None;
        }
        at = status.parent;
        status = match next {
            Ok(next) => next,
            Err(_) => return Some(unseen(at)),
        };
    }
}

fn look(process: u32) -> std::io::Result<TaskStatus> {
    TaskStatus::of(process)
}

/// What can be said of a process that procfs does not show. Where it hides other users' (hidepid), those are not ours: we
/// may signal all that we start.
fn unseen(process: u32) -> Option<bool> {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw)?;
    (test_kill_process(pid) == Err(Errno::PERM)).then_some(false)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_we_start_is_below_us_and_what_started_us_is_not() {
        let us = std::process::id();
        let mut child = Command::new("sh").args(["-c", "cat; true"]).stdin(Stdio::piped()).spawn().unwrap();
        assert_eq!(is_below(child.id(), us), Some(true));
        assert_eq!(is_below(us, us), Some(true));
        assert_eq!(is_below(us, child.id()), Some(false));
        assert_eq!(is_below(rustix::process::getppid().unwrap().as_raw_nonzero().get() as u32, us), Some(false));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(is_below(child.id(), us), None);
    }
}
