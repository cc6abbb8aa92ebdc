//! Calls by which a program leaves the place or the user that its supervisor sees, each in a child of its own.

use serde_json::{Value, json};

use crate::process::{exit, fork, reap};
use crate::raw::{HERE, Reads, at, errno};

const FLAGS: usize = (libc::O_RDONLY | libc::O_CLOEXEC) as usize;

type Way = (&'static str, fn() -> Result<usize, i32>);

const WAYS: &[Way] = &[
    ("unshare-user", || Reads::UNSHARE.call([libc::CLONE_NEWUSER as usize])),
    ("unshare-mount", || Reads::UNSHARE.call([(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) as usize])),
    ("clone-user", clone),
    ("clone3-user", clone3),
    ("setns", || Reads::SETNS.call([Reads::OPENAT.call([HERE, at(c"/proc/self/ns/uts"), FLAGS])?, 0])),
    ("chroot", || Reads::CHROOT.call([at(c"/")])),
    // where nothing is, so that nothing is mounted where it is allowed
    ("mount", || Reads::MOUNT.call([at(c"none"), at(c"/no/such/place"), at(c"tmpfs"), 0, 0])),
    ("open_tree", || Reads::OPEN_TREE.call([HERE, at(c"/"), OPEN_TREE_CLONE])),
    ("fsopen", || Reads::FSOPEN.call([at(c"tmpfs"), 0])),
    ("set-mm", set_mm),
];

const OPEN_TREE_CLONE: usize = 1;

/// What each gives: 0 or its error.
pub(crate) fn all() -> Value {
    WAYS.iter().map(|(name, call)| json!([name, in_child(*call)])).collect()
}

fn in_child(call: fn() -> Result<usize, i32>) -> i32 {
    match fork(0) {
        0 => exit(call().err().unwrap_or(0)),
        child => libc::WEXITSTATUS(reap(child)),
    }
}

fn clone() -> Result<usize, i32> {
    // SAFETY: without a stack of its own and without CLONE_VM the child is a copy, which ends at once.
    ended(unsafe {
        libc::syscall(libc::SYS_clone, libc::CLONE_NEWUSER | libc::SIGCHLD, 0usize, 0usize, 0usize, 0usize)
    })
}

/// What a call gave that makes a child: nothing to it but its end.
fn ended(child: libc::c_long) -> Result<usize, i32> {
    match child {
        0 => exit(0),
        1.. => {
            reap(child as i32);
            Ok(0)
        }
        _ => Err(errno()),
    }
}

/// Its flags are in memory.
fn clone3() -> Result<usize, i32> {
    let mut args = [0u64; 8];
    args[0] = libc::CLONE_NEWUSER as u64;
    args[4] = libc::SIGCHLD as u64;
    // SAFETY: the kernel reads the struct; the child is a copy, which ends at once.
    ended(unsafe { libc::syscall(libc::SYS_clone3, args.as_ptr(), size_of_val(&args)) })
}

/// PR_SET_MM, which can change what program a process seems to run. Asked only for the size of its struct.
fn set_mm() -> Result<usize, i32> {
    const MAP_SIZE: i32 = 15;
    let mut size = 0u32;
    // SAFETY: the kernel writes one number.
    let done = unsafe { libc::prctl(libc::PR_SET_MM, MAP_SIZE, &raw mut size, 0, 0) };
    if done == 0 { Ok(0) } else { Err(errno()) }
}
