//! What rustix has no safe call for about other threads and our children.

use std::io;
use std::mem::MaybeUninit;

use libc::c_void;
use rustix::io::Errno;

/// Copies memory of another process: up to the length of `into` bytes from `address`, in two steps, what is before
/// `first` and the rest. Whole steps are copied, or nothing of them. Gives how many bytes were.
///
/// # Errors
/// EPERM if its memory is closed to us, ESRCH if it is gone, EFAULT if there is no such memory.
pub fn read_memory(thread: u32, address: u64, into: &mut [u8], first: usize) -> Result<usize, Errno> {
    let first = first.min(into.len());
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = [
        libc::iovec { iov_base: address as *mut c_void, iov_len: first },
        libc::iovec { iov_base: address.wrapping_add(first as u64) as *mut c_void, iov_len: into.len() - first },
    ];
    let steps = if first < into.len() { 2 } else { 1 };
    // SAFETY: the kernel writes at most `iov_len` bytes through `local`, which is `into`; `remote` names memory of
    // another process and is only checked there.
    let read = unsafe { libc::process_vm_readv(thread as i32, &raw const local, 1, remote.as_ptr(), steps, 0) };
    usize::try_from(read).map_err(|_| last_errno())
}

/// How many descriptors a thread may have (the soft RLIMIT_NOFILE of its process).
///
/// # Errors
/// What prlimit reports.
pub fn descriptor_limit(thread: u32) -> Result<u64, Errno> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: nothing is set, and `limit` is a struct rlimit to write to.
    match unsafe { libc::prlimit(thread as i32, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut limit) } {
        0 => Ok(limit.rlim_cur),
        _ => Err(last_errno()),
    }
}

/// Gives this thread a working directory, root and file mode mask of its own (CLONE_FS taken back).
///
/// # Errors
/// What unshare reports.
pub fn unshare_fs() -> Result<(), Errno> {
    // SAFETY: this thread alone takes back what it shares; no memory is concerned.
    match unsafe { libc::unshare(libc::CLONE_FS) } {
        0 => Ok(()),
        _ => Err(last_errno()),
    }
}

/// A child that has ended, which stays to be waited for; blocks. `None` if there is no child.
pub fn next_dead_child() -> Option<u32> {
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
        if last_errno() != Errno::INTR {
            return None;
        }
    }
}

/// Whether the kernel reaps our children itself (SIGCHLD ignored): none stays to be waited for.
pub fn leaves_no_dead() -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: nothing is set, and the kernel writes one struct sigaction at the pointer, which `action` is.
    let result = unsafe { libc::sigaction(libc::SIGCHLD, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: all-zero is a valid sigaction, whether it was written or not.
    let action = unsafe { action.assume_init() };
    result == 0 && (action.sa_sigaction == libc::SIG_IGN || action.sa_flags & libc::SA_NOCLDWAIT != 0)
}

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}
