//! What a proxy takes over from another thread: its namespaces, root, users, groups and capabilities.
//!
//! Each step is a system call that the proxy makes. The caller compares the proxy with the thread afterwards, so a step
//! that had less effect than wanted makes it unfit and nothing worse.

use std::os::fd::{AsRawFd, BorrowedFd};

use libc::c_long;
use rustix::io::Errno;

use super::Proxy;

/// The rights of a thread to files, in the numbers of its user namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights {
    /// Real, effective, saved, and for files.
    pub uids: [u32; 4],
    /// As the users.
    pub gids: [u32; 4],
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Effective capabilities.
    pub capabilities: u64,
}

/// struct __user_cap_header_struct of capset(2).
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// struct __user_cap_data_struct: the lower and the upper half of each set.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION: u32 = 0x2008_0522;

impl Proxy {
    /// # Safety
    /// As [`Proxy::call`].
    unsafe fn step<const N: usize>(&self, number: c_long, arguments: [usize; N]) -> Result<usize, Errno> {
        let mut all = [0; 6];
        all[..N].copy_from_slice(&arguments);
        // SAFETY: promised by the caller.
        unsafe { self.call(number, all) }
    }

    /// Enters the namespace that this file of `/proc/PID/ns` names. A proxy in another user namespace could be debugged by
    /// processes there, and this process through it: so this process is closed to debuggers (PR_SET_DUMPABLE) first.
    ///
    /// # Errors
    /// Those of setns(2).
    pub fn enter(&self, namespace: BorrowedFd<'_>) -> Result<(), Errno> {
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
        // SAFETY: takes numbers; the namespaces, root and directory of the proxy are its own.
        unsafe { self.step(libc::SYS_setns, [namespace.as_raw_fd() as usize, 0]) }?;
        // The kernel went to the root of the namespace; and it forgets the signal with the rights.
        self.settle()
    }

    /// Changes its root directory.
    ///
    /// # Errors
    /// Those of chroot(2).
    pub fn change_root(&self, root: BorrowedFd<'_>) -> Result<(), Errno> {
        let here = c".".as_ptr() as usize;
        // SAFETY: takes a number.
        unsafe { self.step(libc::SYS_fchdir, [root.as_raw_fd() as usize]) }?;
        // SAFETY: only reads its path, a constant.
        unsafe { self.step(libc::SYS_chroot, [here]) }?;
        self.settle()
    }

    /// Takes these rights, as far as its own go. `now` are those that it has.
    ///
    /// # Errors
    /// Those of setgroups(2), setresuid(2) and capset(2).
    pub fn take(&self, now: &Rights, wanted: &Rights) -> Result<(), Errno> {
        // SAFETY: takes numbers.
        unsafe { self.step(libc::SYS_prctl, [libc::PR_SET_KEEPCAPS as usize, 1, 0, 0, 0]) }?;
        if now.groups != wanted.groups {
            let [groups, count] = [wanted.groups.as_ptr() as usize, wanted.groups.len()];
            // SAFETY: the kernel reads `count` numbers of the vector, which lives through the call.
            unsafe { self.step(libc::SYS_setgroups, [count, groups]) }?;
        }
        for (set_all, set_files, now, wanted) in [
            (libc::SYS_setresgid, libc::SYS_setfsgid, now.gids, wanted.gids),
            (libc::SYS_setresuid, libc::SYS_setfsuid, now.uids, wanted.uids),
        ] {
            if now == wanted {
                continue;
            }
            let [real, effective, saved, files] = wanted.map(|id| id as usize);
            // SAFETY: takes numbers.
            unsafe { self.step(set_all, [real, effective, saved]) }?;
            self.keep_capabilities(|permitted| permitted)?;
            // SAFETY: takes a number.
            unsafe { self.step(set_files, [files]) }?;
        }
        self.keep_capabilities(|permitted| permitted & wanted.capabilities)?;
        self.settle()
    }

    /// Reduces the permitted capabilities, and has all that are left in effect.
    fn keep_capabilities(&self, kept: impl Fn(u64) -> u64) -> Result<(), Errno> {
        let mut header = Header { version: VERSION, pid: 0 };
        let mut sets = [Sets::default(); 2];
        let header = &raw mut header as usize;
        // SAFETY: the kernel reads and writes one header and writes two sets.
        unsafe { self.step(libc::SYS_capget, [header, sets.as_mut_ptr() as usize]) }?;
        let kept = kept(u64::from(sets[1].permitted) << 32 | u64::from(sets[0].permitted));
        for (half, set) in [kept as u32, (kept >> 32) as u32].into_iter().zip(&mut sets) {
            *set = Sets { effective: half, permitted: half, inheritable: 0 };
        }
        // SAFETY: the kernel reads one header and two sets.
        unsafe { self.step(libc::SYS_capset, [header, sets.as_ptr() as usize]) }.map(drop)
    }

    /// Applies a Landlock ruleset to it for good.
    ///
    /// # Errors
    /// Those of landlock_restrict_self(2).
    pub fn restrict(&self, ruleset: BorrowedFd<'_>, flags: u32) -> Result<(), Errno> {
        // SAFETY: takes numbers.
        unsafe { self.step(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS as usize, 1, 0, 0, 0]) }?;
        // SAFETY: takes numbers.
        unsafe { self.step(libc::SYS_landlock_restrict_self, [ruleset.as_raw_fd() as usize, flags as usize]) }.map(drop)
    }

    /// Binds a socket; the path in its address starts from this directory, or has no start.
    ///
    /// # Errors
    /// Those of bind(2); EINTR if the proxy was killed meanwhile.
    pub fn bind(&self, socket: BorrowedFd<'_>, address: &[u8], start: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
        if let Some(start) = start {
            // SAFETY: takes a number.
            unsafe { self.step(libc::SYS_fchdir, [start.as_raw_fd() as usize]) }?;
        }
        let [socket, at, length] = [socket.as_raw_fd() as usize, address.as_ptr() as usize, address.len()];
        // SAFETY: the kernel reads `length` bytes of the address.
        let bound = unsafe { self.step(libc::SYS_bind, [socket, at, length]) };
        // SAFETY: takes a number.
        unsafe { self.step(libc::SYS_fchdir, [self.folder.as_raw_fd() as usize]) }?;
        bound.map(drop)
    }

    /// After a change of rights or of the root: to its directory again, and to die with this process again.
    fn settle(&self) -> Result<(), Errno> {
        let signal = [libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize, 0, 0, 0];
        // SAFETY: takes numbers.
        unsafe { self.step(libc::SYS_prctl, signal) }?;
        // SAFETY: no arguments.
        if unsafe { self.step(libc::SYS_getppid, []) }? != self.shared.host as usize {
            return Err(Errno::SRCH);
        }
        // SAFETY: takes a number.
        unsafe { self.step(libc::SYS_fchdir, [self.folder.as_raw_fd() as usize]) }.map(drop)
    }
}
