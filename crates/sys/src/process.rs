//! What rustix has no safe call for about other threads and our children.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::fs::FileExt as _;

use libc::c_void;
use rustix::io::Errno;

/// Copies memory of another process: up to the length of `into` bytes from `address`, in two steps, what is before
/// `first` and the rest. Whole steps are copied, or nothing of them. Gives how many bytes were.
///
/// # Errors
/// EPERM if its memory is closed to us, ESRCH if it is gone, EFAULT if there is no such memory.
pub fn read_memory(thread: u32, address: u64, into: &mut [u8], first: usize) -> Result<usize, Errno> {
    let first = first.min(into.len());
    match read_at_once(thread, address, into, first) {
        // Its memory is closed, or the call is, by a container's or service's profile: then procfs has the memory too.
        Err(Errno::PERM | Errno::NOSYS) => read_by_procfs(thread, address, into, first),
        other => other,
    }
}

/// By process_vm_readv(2).
pub(crate) fn read_at_once(thread: u32, address: u64, into: &mut [u8], first: usize) -> Result<usize, Errno> {
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

/// By `/proc/TID/mem`, which is open to the same processes.
pub(crate) fn read_by_procfs(thread: u32, address: u64, into: &mut [u8], first: usize) -> Result<usize, Errno> {
    let memory = File::open(format!("/proc/{thread}/mem")).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Errno::SRCH,
        _ => Errno::PERM,
    })?;
    let (one, two) = into.split_at_mut(first);
    memory.read_exact_at(one, address).map_err(|_| Errno::FAULT)?;
    let rest = memory.read_exact_at(two, address.wrapping_add(first as u64));
    Ok(if rest.is_ok() { into.len() } else { first })
}

/// How many descriptors a thread may have (the soft RLIMIT_NOFILE of its process).
///
/// # Errors
/// What prlimit reports.
pub fn descriptor_limit(thread: u32) -> Result<u64, Errno> {
    limit(thread, libc::RLIMIT_NOFILE, None).map(|limit| limit.rlim_cur)
}

/// The hard limit of file locks of a thread's process (RLIMIT_LOCKS), which limits nothing.
///
/// # Errors
/// What prlimit reports.
pub fn locks_limit(thread: u32) -> Result<u64, Errno> {
    limit(thread, libc::RLIMIT_LOCKS, None).map(|limit| limit.rlim_max)
}

/// Sets the limit of file locks of a thread's process, soft and hard.
///
/// # Errors
/// What prlimit reports.
pub fn set_locks_limit(thread: u32, value: u64) -> Result<(), Errno> {
    limit(thread, libc::RLIMIT_LOCKS, Some(libc::rlimit { rlim_cur: value, rlim_max: value })).map(drop)
}

/// A limit as it was, and sets it if `new` is given.
fn limit(thread: u32, resource: libc::__rlimit_resource_t, new: Option<libc::rlimit>) -> Result<libc::rlimit, Errno> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let new = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `new` is null or a struct rlimit that lives through the call, and `limit` is one to write to.
    match unsafe { libc::prlimit(thread as i32, resource, new, &raw mut limit) } {
        0 => Ok(limit),
        _ => Err(last_errno()),
    }
}

/// Whether two descriptors are of one open file. False where the kernel does not compare (CONFIG_KCMP).
pub fn same_file(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    const FILE: libc::c_int = 0;
    let us = std::process::id();
    // SAFETY: takes numbers.
    unsafe { libc::syscall(libc::SYS_kcmp, us, us, FILE, one.as_raw_fd(), other.as_raw_fd()) == 0 }
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

/// Keeps signals from this thread until it is dropped.
pub(crate) struct Quiet(libc::sigset_t);

impl Quiet {
    pub(crate) fn new() -> Self {
        // SAFETY: all-zero is a valid sigset_t.
        let [mut all, mut before]: [libc::sigset_t; 2] = unsafe { std::mem::zeroed() };
        // SAFETY: `all` is a sigset_t to write to.
        unsafe { libc::sigfillset(&raw mut all) };
        // SAFETY: `all` is read and `before` written. It fails only for an unknown first argument.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) };
        Self(before)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // SAFETY: the set that the kernel gave us is read, and nothing is written.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}

pub(crate) fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_by_either_way() {
        let page = rustix::param::page_size();
        // Two pages, of which the second is not there.
        let flags = rustix::mm::MapFlags::PRIVATE;
        let prot = rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE;
        // SAFETY: a new mapping, at an address of the kernel's choice.
        let pages = unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), 2 * page, prot, flags) }.unwrap();
        // SAFETY: nothing of ours is in the mapping's second page.
        unsafe { rustix::mm::munmap(pages.wrapping_byte_add(page), page) }.unwrap();
        // SAFETY: the first page is there, and writable.
        unsafe { std::ptr::copy_nonoverlapping(b"text".as_ptr(), pages.cast::<u8>().wrapping_add(page - 4), 4) };
        let (us, address) = (std::process::id(), pages as u64 + page as u64 - 4);
        for read in [read_memory, read_at_once, read_by_procfs] {
            let mut text = [0; 8];
            assert_eq!(read(us, address, &mut text[..4], 4), Ok(4));
            assert_eq!(&text[..4], b"text");
            assert_eq!(read(us, address, &mut text, 4), Ok(4), "the second step is not there");
            assert_eq!(read(us, address + 4, &mut text[..4], 4), Err(Errno::FAULT));
        }
        assert_eq!(read_by_procfs(u32::MAX, address, &mut [0; 4], 4), Err(Errno::SRCH));
    }
}
