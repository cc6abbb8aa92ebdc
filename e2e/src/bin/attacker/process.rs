//! Children as the kernel makes them, with what they share given by flags.

use crate::raw::errno;

/// A child like that of fork which also shares what `flags` of clone say; 0 in the child, which dies with its parent.
pub(crate) fn fork(flags: i32) -> i32 {
    let child = fork_for_good(flags);
    if child == 0 {
        // SAFETY: takes numbers only.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    }
    child
}

/// As [`fork`], but the child outlives its parent.
pub(crate) fn fork_for_good(flags: i32) -> i32 {
    let flags = (flags | libc::SIGCHLD) as usize;
    // SAFETY: without a stack of its own and without CLONE_VM the child is a copy, as after fork. This process has one
    // thread here, so that no lock is held in the copy.
    let child = unsafe { libc::syscall(libc::SYS_clone, flags, 0usize, 0usize, 0usize, 0usize) };
    assert!(child >= 0, "clone: {}", errno());
    child as i32
}

/// Ends this process at once, as a child of [`fork`] does.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: ends the process and runs nothing of it.
    unsafe { libc::_exit(code) }
}

/// Waits for a child and gives its wait status.
pub(crate) fn reap(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: the kernel writes one int.
    while unsafe { libc::waitpid(pid, &raw mut status, 0) } < 0 && errno() == libc::EINTR {}
    status
}
