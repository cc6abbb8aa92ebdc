//! What a program may do before it tries: calls after which it is not quite what its supervisor is.

use crate::process::{exit, fork, reap};
use crate::raw::{HERE, Reads, at, errno};

/// Does one of these things to this thread. It has one thread.
pub(crate) fn prepare(what: &str) {
    let done = match what {
        "landlock" => landlock(),
        "user-namespace" => Reads::UNSHARE.call([libc::CLONE_NEWUSER as usize]),
        "mount-namespace" => Reads::UNSHARE.call([libc::CLONE_NEWNS as usize]),
        "both-namespaces" => Reads::UNSHARE.call([(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) as usize]),
        "network-namespace" => Reads::UNSHARE.call([libc::CLONE_NEWNET as usize]),
        "own-files" => Reads::UNSHARE.call([(libc::CLONE_FS | libc::CLONE_FILES) as usize]),
        "same-root" => Reads::CHROOT.call([at(c"/")]),
        "same-namespace" => same_namespace(),
        "capability" => drop_capability(),
        "group" => setfsgid(),
        "undumpable" => undumpable(),
        "child" => child(0),
        "child-of-user-namespace" => child(libc::CLONE_NEWUSER),
        "child-of-pid-namespace" => {
            child(libc::CLONE_NEWPID | if rustix::process::geteuid().is_root() { 0 } else { libc::CLONE_NEWUSER })
        }
        other => panic!("{other} is nothing that can be done before"),
    };
    if let Err(errno) = done {
        panic!("{what}: {}", std::io::Error::from_raw_os_error(errno));
    }
}

/// A domain that forbids nothing that is tried here: only making block devices.
fn landlock() -> Result<usize, i32> {
    const MAKE_BLOCK: u64 = 1 << 11;
    let attributes = MAKE_BLOCK;
    rustix::thread::set_no_new_privs(true).map_err(|e| e.raw_os_error())?;
    let ruleset = Reads::LANDLOCK_CREATE_RULESET.call([&raw const attributes as usize, size_of::<u64>(), 0])?;
    let done = Reads::LANDLOCK_RESTRICT_SELF.call([ruleset, 0]);
    Reads::CLOSE.call([ruleset])?;
    done
}

/// Enters the mount namespace in which it is.
fn same_namespace() -> Result<usize, i32> {
    let flags = (libc::O_RDONLY | libc::O_CLOEXEC) as usize;
    let namespace = Reads::OPENAT.call([HERE, at(c"/proc/self/ns/mnt"), flags])?;
    Reads::SETNS.call([namespace, 0])
}

/// Gives up a capability that has nothing to do with files, from the effective set.
fn drop_capability() -> Result<usize, i32> {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let change = || {
        let mut sets = capabilities(None)?;
        sets.effective.remove(CapabilitySet::SYS_BOOT);
        set_capabilities(None, sets)
    };
    change().map(|()| 0).map_err(|e| e.raw_os_error())
}

fn setfsgid() -> Result<usize, i32> {
    // SAFETY: takes a number.
    unsafe { libc::setfsgid(12_345) };
    Ok(0)
}

fn undumpable() -> Result<usize, i32> {
    // SAFETY: takes numbers.
    let done = unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
    if done == 0 { Ok(0) } else { Err(errno()) }
}

/// Goes on as a child, and ends as that does.
fn child(flags: i32) -> Result<usize, i32> {
    match fork(flags) {
        0 => Ok(0),
        child => {
            let status = reap(child);
            exit(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 1 })
        }
    }
}
