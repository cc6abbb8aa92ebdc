//! What there is to know about a thread whose system call waits: its memory, who it is, where it stands.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStringExt as _;

use libc::c_void;
use proto::operation::CallerInfo;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

/// Longest path with its terminator: PATH_MAX.
const PATH_MAX: usize = 4096;
/// The smallest page there is: a copy is cut at its multiples, so that an unmapped page behind the text does no harm.
const PAGE: u64 = 4096;

/// Why a path could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// The kernel would give this error for the same argument.
    Error(Errno),
    /// The thread's memory is closed to us: it made itself undumpable, or runs an unreadable program.
    Closed,
}

/// Whether there is no descriptor left to look with, ours or the system's.
pub(super) fn is_exhausted(errno: Errno) -> bool {
    matches!(errno, Errno::MFILE | Errno::NFILE)
}

/// Copies the path at this address of the thread.
pub(super) fn read_path(tid: u32, address: u64) -> Result<Vec<u8>, Unread> {
    let mut path = vec![0; PATH_MAX];
    let first = (PAGE - address % PAGE) as usize;
    let read = read_memory(tid, address, &mut path, first)?;
    match path[..read].iter().position(|&byte| byte == 0) {
        Some(end) => path.truncate(end),
        None if read == PATH_MAX => return Err(Unread::Error(Errno::NAMETOOLONG)),
        // The text runs into a page that is not there.
        None => return Err(Unread::Error(Errno::FAULT)),
    }
    Ok(path)
}

/// Copies exactly `N` bytes.
pub(super) fn read_bytes<const N: usize>(tid: u32, address: u64) -> Result<[u8; N], Unread> {
    let mut bytes = [0; N];
    let read = read_memory(tid, address, &mut bytes, N)?;
    if read == N { Ok(bytes) } else { Err(Unread::Error(Errno::FAULT)) }
}

/// Copies up to the length of `into` bytes, in two steps: what is before `first`, and the rest. process_vm_readv copies
/// whole steps or nothing of them.
fn read_memory(tid: u32, address: u64, into: &mut [u8], first: usize) -> Result<usize, Unread> {
    let first = first.min(into.len());
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = [
        libc::iovec { iov_base: address as *mut c_void, iov_len: first },
        libc::iovec { iov_base: address.wrapping_add(first as u64) as *mut c_void, iov_len: into.len() - first },
    ];
    let steps = if first < into.len() { 2 } else { 1 };
    // SAFETY: the kernel writes at most `iov_len` bytes through `local`, which is `into`; `remote` names memory of
    // another process and is only checked there.
    let read = unsafe { libc::process_vm_readv(tid as i32, &raw const local, 1, remote.as_ptr(), steps, 0) };
    match read {
        0.. => Ok(read as usize),
        _ => Err(match io::Error::last_os_error().raw_os_error() {
            Some(libc::EPERM) => Unread::Closed,
            Some(libc::ESRCH) => Unread::Error(Errno::SRCH),
            _ => Unread::Error(Errno::FAULT),
        }),
    }
}

/// Reads a small file of procfs in one call where that is enough: each read makes its text anew, and the library's
/// growing buffer would need eight.
pub(super) fn read_proc(path: &str) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let mut text = vec![0; 4096];
    let mut len = 0;
    loop {
        match file.read(&mut text[len..]) {
            // less than there was room for: the end
            Ok(read) if len + read < text.len() => {
                text.truncate(len + read);
                return Ok(text);
            }
            Ok(read) => {
                len += read;
                text.resize(2 * len, 0);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The lines of /proc/TID/status that we use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    command: OsString,
    pub(super) tgid: u32,
    pub(super) parent: u32,
    pub(super) umask: u32,
    pub(super) seccomp_filters: u32,
    /// How many descriptors its table holds before it must grow.
    table: u64,
    uids: [u32; 4],
    gids: [u32; 4],
    groups: Vec<u32>,
    capabilities: u64,
}

impl Status {
    pub(super) fn of(tid: u32) -> io::Result<Self> {
        Ok(Self::parse(&read_proc(&format!("/proc/{tid}/status"))?))
    }

    fn parse(text: &[u8]) -> Self {
        let mut status = Self::default();
        for line in text.split(|&byte| byte == b'\n') {
            if let Some(name) = line.strip_prefix(b"Name:\t") {
                status.command = OsString::from_vec(unescaped(name));
                continue;
            }
            let Ok(line) = str::from_utf8(line) else { continue };
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            let numbers = || value.split_whitespace().map(|n| n.parse().unwrap_or(u32::MAX));
            let number = || value.parse().unwrap_or(0);
            let four = || {
                let mut four = [u32::MAX; 4];
                four.iter_mut().zip(numbers()).for_each(|(slot, n)| *slot = n);
                four
            };
            match key {
                "Tgid" => status.tgid = number(),
                "PPid" => status.parent = number(),
                "Umask" => status.umask = u32::from_str_radix(value, 8).unwrap_or(0o77),
                "FDSize" => status.table = number().into(),
                "Seccomp_filters" => status.seccomp_filters = number(),
                "Uid" => status.uids = four(),
                "Gid" => status.gids = four(),
                "Groups" => status.groups = numbers().collect(),
                "CapEff" => status.capabilities = u64::from_str_radix(value, 16).unwrap_or(0),
                _ => {}
            }
        }
        status
    }

    /// The real user.
    pub(super) fn uid(&self) -> u32 {
        self.uids[0]
    }

    /// Whether this thread can get one more descriptor. The kernel reserves it before an open makes or truncates a
    /// file, which we can not.
    pub(super) fn has_room(&self, tid: u32) -> bool {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: nothing is set, and `limit` is a struct rlimit to write to.
        let result = unsafe { libc::prlimit(tid as i32, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut limit) };
        if result != 0 || self.table < limit.rlim_cur {
            return true;
        }
        let Ok(open) = fs::read_dir(format!("/proc/{tid}/fd")) else { return true };
        let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok());
        (numbers.filter(|number| *number < limit.rlim_cur).count() as u64) < limit.rlim_cur
    }

    fn same_rights(&self, other: &Self) -> bool {
        self.uids == other.uids
            && self.gids == other.gids
            && self.groups == other.groups
            && self.capabilities == other.capabilities
    }
}

/// A command name as it is: procfs escapes line ends and backslashes.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut bytes = name.iter().copied();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(other) => other,
                None => b'\\',
            },
            byte => byte,
        });
    }
    plain
}

/// What can be told of a thread by its number.
pub fn look_up(tid: u32) -> CallerInfo {
    Status::of(tid).map_or_else(
        |_| CallerInfo::default(),
        |status| CallerInfo { process: status.tgid, user: status.uid(), command: status.command },
    )
}

/// How far a thread can be stood in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Likeness {
    /// Same rights, same view of the tree of files: what we open is what it would have opened.
    Same,
    /// Same view, other rights: we can find its file, but not open it in its name.
    OtherRights,
    /// Another root or mount namespace: not even the path means the same.
    OtherPlace,
}

/// Who we are, to compare with.
#[derive(Debug)]
pub(super) struct Identity {
    status: Status,
    user_namespace: String,
    mount_namespace: String,
    root: Root,
}

/// A root directory. The same one on another mount (`mount --bind / DIR`) has other mounts below it.
#[derive(Debug, PartialEq, Eq)]
struct Root {
    device: (u32, u32),
    inode: u64,
    mount: u64,
}

fn link(path: String) -> io::Result<String> {
    Ok(fs::read_link(path)?.to_string_lossy().into_owned())
}

impl Root {
    fn of(tid: u32) -> io::Result<Self> {
        let wanted = StatxFlags::INO | StatxFlags::MNT_ID;
        let stat = rustix::fs::statx(CWD, format!("/proc/{tid}/root"), AtFlags::empty(), wanted)?;
        Ok(Self { device: (stat.stx_dev_major, stat.stx_dev_minor), inode: stat.stx_ino, mount: stat.stx_mnt_id })
    }
}

impl Identity {
    pub(super) fn of(tid: u32) -> io::Result<Self> {
        Ok(Self {
            status: Status::of(tid)?,
            user_namespace: link(format!("/proc/{tid}/ns/user"))?,
            mount_namespace: link(format!("/proc/{tid}/ns/mnt"))?,
            root: Root::of(tid)?,
        })
    }

    /// Our own.
    pub(super) fn ours() -> io::Result<Self> {
        Self::of(std::process::id())
    }

    pub(super) fn uid(&self) -> u32 {
        self.status.uid()
    }

    /// Whether `other` can be stood in for by us.
    pub(super) fn likeness(&self, other: &Self) -> Likeness {
        if self.mount_namespace != other.mount_namespace || self.root != other.root {
            Likeness::OtherPlace
        } else if self.user_namespace != other.user_namespace || !self.status.same_rights(&other.status) {
            Likeness::OtherRights
        } else {
            Likeness::Same
        }
    }
}

/// What a path that is not absolute starts from.
pub(super) fn start(tid: u32, dirfd: Option<i32>) -> Result<rustix::fd::OwnedFd, Errno> {
    let path = match dirfd {
        None | Some(libc::AT_FDCWD) => format!("/proc/{tid}/cwd"),
        Some(fd) if fd < 0 => return Err(Errno::BADF),
        Some(fd) => format!("/proc/{tid}/fd/{fd}"),
    };
    let open = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    match open {
        Err(Errno::NOENT) if dirfd.is_some_and(|fd| fd >= 0) => Err(Errno::BADF),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Name:\tcat: \\\\x\\n\nUmask:\t0027\nState:\tR (running)\nTgid:\t42\nNgid:\t0\nPid:\t43\nPPid:\t7\n\
        Uid:\t1000\t1000\t1000\t1000\nGid:\t100\t101\t102\t103\nFDSize:\t64\nGroups:\t4 20 100 \nCapEff:\t000001ffffffffff\n\
        Seccomp:\t2\nSeccomp_filters:\t3\n";

    #[test]
    fn status_lines_are_read() {
        let status = Status::parse(TEXT.as_bytes());
        assert_eq!(status.command, *"cat: \\x\n");
        assert_eq!((status.tgid, status.parent, status.umask, status.seccomp_filters), (42, 7, 0o27, 3));
        assert_eq!((status.uids, status.gids, status.table), ([1000; 4], [100, 101, 102, 103], 64));
        assert_eq!((status.groups.as_slice(), status.capabilities), ([4, 20, 100].as_slice(), 0x1ff_ffff_ffff));
    }

    #[test]
    fn any_difference_in_rights_is_seen() {
        let ours = Status::parse(TEXT.as_bytes());
        for (from, to) in [("\t1000\n", "\t0\n"), ("\t103\n", "\t9\n"), ("4 20", "4 21"), ("1ffff", "0ffff")] {
            assert!(!ours.same_rights(&Status::parse(TEXT.replace(from, to).as_bytes())), "{from}");
        }
        assert!(ours.same_rights(&Status::parse(TEXT.replace("0027", "0022").as_bytes())));
    }

    #[test]
    fn memory_is_read_up_to_the_end_of_a_page() {
        let us = std::process::id();
        let text = c"/some/path";
        assert_eq!(read_path(us, text.as_ptr() as u64).unwrap(), b"/some/path");
        assert_eq!(read_path(us, 8), Err(Unread::Error(Errno::FAULT)));
        assert_eq!(read_path(us, u64::MAX - 3), Err(Unread::Error(Errno::FAULT)));
        let long = vec![b'x'; 5000];
        assert_eq!(read_path(us, long.as_ptr() as u64), Err(Unread::Error(Errno::NAMETOOLONG)));
        let number = 0x1122_3344_5566_7788u64;
        assert_eq!(read_bytes::<8>(us, &raw const number as u64).unwrap(), number.to_ne_bytes());
    }

    #[test]
    fn we_are_like_ourselves() {
        let ours = Identity::ours().unwrap();
        assert_eq!(ours.likeness(&Identity::ours().unwrap()), Likeness::Same);
    }

    #[test]
    fn a_missing_descriptor_is_a_bad_one() {
        let us = std::process::id();
        assert_eq!(start(us, Some(-5)).unwrap_err(), Errno::BADF);
        assert_eq!(start(us, Some(1_000_000)).unwrap_err(), Errno::BADF);
        assert!(start(us, Some(libc::AT_FDCWD)).is_ok());
    }
}
