//! The process at the other end of a Unix socket, as the kernel noted it at connect: unix(7), `SO_PEERCRED`,
//! `SO_PEERGROUPS`, `SO_PEERPIDFD`.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use crate::host_end::Sender;

/// The rights of a peer at the moment of its connect. What it becomes afterwards does not change them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The process, in our pid namespace; 0 when it cannot be seen from here.
    pub pid: u32,
    /// Its effective user, in our user namespace.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// Its supplementary groups.
    pub groups: Vec<u32>,
}

impl Credentials {
    /// The credentials of the peer of a connected Unix socket. Does not block.
    ///
    /// # Errors
    /// The kernel's: ENOTCONN, or something that is no Unix socket.
    pub fn of_peer(socket: impl AsFd) -> io::Result<Self> {
        let socket = socket.as_fd();
        let [pid, uid, gid] = peer_of(socket)?;
        Ok(Self { pid, uid, gid, groups: groups_of_peer(socket)? })
    }

    /// The credentials of a process that sent something: as /proc has them now, if it still has the number and the real
    /// user; else what the kernel noted then, without groups.
    pub fn of_sender(sender: Sender) -> Self {
        let Sender { pid, uid, gid } = sender;
        status_of(pid, uid).unwrap_or(Self { pid, uid, gid, groups: Vec::new() })
    }
}

/// What /proc says of a process, if that is one of the real user `uid`.
fn status_of(pid: u32, uid: u32) -> Option<Credentials> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let numbers = |name: &str| -> Option<Vec<u32>> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().map(|number| number.parse().ok()).collect()
    };
    // real, effective, saved, of the file system
    let (&[real, effective, ..], &[_, group, ..]) = (numbers("Uid:")?.as_slice(), numbers("Gid:")?.as_slice()) else {
        return None;
    };
    (real == uid).then_some(Credentials { pid, uid: effective, gid: group, groups: numbers("Groups:")? })
}

/// The effective user of the peer of a connected Unix socket, at the moment of its connect. Does not block.
///
/// # Errors
/// As [`Credentials::of_peer`].
pub fn user_of(socket: impl AsFd) -> io::Result<u32> {
    let [_, uid, _] = peer_of(socket.as_fd())?;
    Ok(uid)
}

/// Process, user and group.
fn peer_of(socket: BorrowedFd<'_>) -> io::Result<[u32; 3]> {
    let mut words = [0_u32; 3];
    let len = words_option(socket, libc::SO_PEERCRED, &mut words)?;
    if len != size_of::<libc::ucred>() {
        return Err(io::Error::other("the kernel's credentials are of another size"));
    }
    Ok(words)
}

// The three words of `peer_of` are this structure: pid_t, uid_t, gid_t.
const _: () = assert!(size_of::<libc::ucred>() == 3 * size_of::<u32>());

fn groups_of_peer(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    // Most users are in fewer groups. The kernel's own limit is 65,536 (NGROUPS_MAX).
    let mut groups = vec![0_u32; 64];
    loop {
        match words_option(socket, libc::SO_PEERGROUPS, &mut groups) {
            Ok(len) => {
                groups.truncate(len / size_of::<u32>());
                return Ok(groups);
            }
            Err(Errno::RANGE) if groups.len() < 65_536 => groups.resize(groups.len() * 4, 0),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads a socket option that is made of 32-bit words. Returns how many bytes the kernel wrote.
fn words_option(socket: BorrowedFd<'_>, option: libc::c_int, words: &mut [u32]) -> Result<usize, Errno> {
    let mut len = size_of_val(words) as libc::socklen_t;
    // SAFETY: `words` is writable for `len` bytes, `len` is a local, and the kernel writes no more than it says; any
    // bytes make u32s.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, words.as_mut_ptr().cast(), &raw mut len)
    };
    if result == 0 {
        Ok(len as usize)
    } else {
        Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO))
    }
}

/// A descriptor for the peer's process, which becomes readable when it ends, and never means another process.
///
/// From Linux 6.5 the kernel gives the process that connected. Before that it is opened by its number: if the peer has
/// ended and its number is in use again, that is another process, so ask at once after accept. From Linux 6.16 it gives one
/// that has ended and was reaped, too.
///
/// # Errors
/// ESRCH: the peer has ended and was reaped, or, before Linux 6.5, cannot be seen from here. ENOSYS: before Linux 5.3.
pub fn pidfd(socket: impl AsFd) -> io::Result<OwnedFd> {
    let socket = socket.as_fd();
    let mut word = [u32::MAX];
    match words_option(socket, libc::SO_PEERPIDFD, &mut word) {
        Ok(_) => {
            let fd = i32::try_from(word[0]).map_err(|_| io::Error::from(Errno::BADF))?;
            // SAFETY: the kernel has just installed this descriptor for us, and nothing else knows it.
            Ok(unsafe { OwnedFd::from_raw_fd(fd) })
        }
        Err(Errno::NOPROTOOPT) => pidfd_by_number(Credentials::of_peer(socket)?.pid),
        Err(error) => Err(ended_or(error).into()),
    }
}

/// What Linux 6.5 to 6.14 call an invalid argument, and 6.15 the lack of a process: it was reaped.
fn ended_or(error: Errno) -> Errno {
    if error == Errno::INVAL { Errno::SRCH } else { error }
}

/// Whether the process of this descriptor has ended.
pub fn has_ended(pidfd: impl AsFd) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(rustix::event::poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&now)), Ok(1))
}

/// A descriptor for the process that has this number now.
///
/// # Errors
/// ESRCH: there is none. ENOSYS: before Linux 5.3.
pub fn pidfd_by_number(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
    Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}

/// The program that a process runs, if the kernel tells us. For people to read: the process may be another one by now.
pub fn exe(pid: u32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// The name of a process (comm), at most 15 bytes, if the kernel tells us. For people to read, as [`exe`].
pub fn comm(pid: u32) -> Option<String> {
    let name = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(&name).trim_end_matches('\n').to_owned())
}

/// Whether a process of this number exists, zombies included.
pub fn exists(pid: u32) -> bool {
    i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(Errno::SRCH))
}

/// Whether this program runs with rights that its caller does not have (set-user-ID and the like), so that the
/// environment, which the caller wrote, must not lead it anywhere: getauxval(3), `AT_SECURE`.
pub fn environment_is_untrusted() -> bool {
    // SAFETY: reads a value that the kernel left at start; any key is allowed.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The way of older kernels, which this one would not take by itself.
    #[test]
    fn a_process_is_opened_by_its_number() {
        let pidfd = pidfd_by_number(std::process::id()).unwrap();
        let fdinfo = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap();
        assert!(fdinfo.lines().any(|line| line == format!("Pid:\t{}", std::process::id())), "{fdinfo}");
        for unused in [0, u32::MAX] {
            assert_eq!(pidfd_by_number(unused).unwrap_err().raw_os_error(), Some(libc::ESRCH));
        }
        assert!(exists(std::process::id()) && !exists(0) && !exists(u32::MAX));
    }

    #[test]
    fn a_sender_has_the_groups_of_its_process() {
        let (host, client) = crate::host_end::HostEnd::pair().unwrap();
        client.send(b"x", &[]).unwrap();
        let Ok(crate::host_end::Heard::Packet { sender: Some(sender), .. }) = host.try_hear(&mut [0; 4]) else {
            panic!("no sender")
        };
        let mut of_sender = Credentials::of_sender(sender);
        let (one, _other) = crate::socket::Socket::pair().unwrap();
        let mut of_peer = Credentials::of_peer(&one).unwrap();
        of_sender.groups.sort_unstable();
        of_peer.groups.sort_unstable();
        assert_eq!(of_sender, of_peer);
        let other = Sender { uid: sender.uid + 1, ..sender };
        let unknown = Credentials { pid: other.pid, uid: other.uid, gid: other.gid, groups: Vec::new() };
        assert_eq!(Credentials::of_sender(other), unknown, "the number is another process's by now");
    }

    /// The word of Linux 6.5 to 6.14, which this one may not use.
    #[test]
    fn a_peer_that_was_reaped_has_one_error() {
        assert_eq!([Errno::INVAL, Errno::SRCH, Errno::MFILE].map(ended_or), [Errno::SRCH, Errno::SRCH, Errno::MFILE]);
    }
}
