//! What procfs tells of a thread by its number.
//!
//! A number is only a thread's as long as it lives: what is read here is true of a thread whose call or open waits for us,
//! and only if that is looked at again afterwards or cannot end meanwhile.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::ffi::OsStringExt as _;

use proto::operation::CallerInfo;
use rustix::fs::{AtFlags, StatxFlags};
use rustix::io::Errno;
use sys::proxy::Rights;

/// What can be told of a thread by its number.
pub(super) fn look_up(tid: u32) -> CallerInfo {
    TaskStatus::of(tid).map_or_else(
        |_| CallerInfo::default(),
        |status| CallerInfo { process: status.tgid, user: status.uid(), command: status.command },
    )
}

/// The number of the mount by which an object was opened.
pub(super) fn mount_of(object: BorrowedFd<'_>) -> Result<u64, Errno> {
    match rustix::fs::statx(object, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID) {
        Ok(stat) => Ok(stat.stx_mnt_id),
        // A container's or service's profile may refuse the call.
        Err(Errno::NOSYS | Errno::PERM) => {
            let path = format!("/proc/self/fdinfo/{}", object.as_raw_fd());
            let text = fs::read_to_string(path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            text.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok()).ok_or(Errno::NOSYS)
        }
        Err(errno) => Err(errno),
    }
}

/// The lines of /proc/TID/status that we use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TaskStatus {
    command: OsString,
    pub(super) tgid: u32,
    pub(super) parent: u32,
    pub(super) umask: u32,
    pub(super) seccomp_filters: u32,
    /// How many descriptors its table holds before it must grow.
    table: u64,
    pub(super) rights: Rights,
    /// Its process and itself, as the innermost PID namespace that it is in numbers them.
    pub(super) inner: (u32, u32),
    /// How many threads its process has.
    threads: u32,
    /// Signals that wait for it alone, and for its process.
    pending: u64,
    shared_pending: u64,
    blocked: u64,
}

/// Whether a call that waits for long should end because of a signal, as it would in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interrupted {
    /// None waits that it does not block.
    No,
    /// One does; perhaps another thread of its process takes it.
    Perhaps,
    /// One does that no other thread can take.
    Yes,
}

impl TaskStatus {
    pub(super) fn of(tid: u32) -> io::Result<Self> {
        Self::read(fs::File::open(format!("/proc/{tid}/status"))?)
    }

    /// Of an open `/proc/TID/status`: users and groups are in the numbers of the user namespace that opened it.
    pub(super) fn read(file: fs::File) -> io::Result<Self> {
        Ok(Self::parse(&read(file)?))
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
            let bits = || u64::from_str_radix(value, 16).unwrap_or(0);
            let innermost = || numbers().next_back().unwrap_or(0);
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
                "Uid" => status.rights.uids = four(),
                "Gid" => status.rights.gids = four(),
                "Groups" => status.rights.groups = numbers().collect(),
                "CapEff" => status.rights.capabilities = bits(),
                "NStgid" => status.inner.0 = innermost(),
                "NSpid" => status.inner.1 = innermost(),
                "Threads" => status.threads = number(),
                "SigPnd" => status.pending = bits(),
                "ShdPnd" => status.shared_pending = bits(),
                "SigBlk" => status.blocked = bits(),
                _ => {}
            }
        }
        status
    }

    /// The real user.
    pub(super) fn uid(&self) -> u32 {
        self.rights.uids[0]
    }

    /// Whether this thread can get one more descriptor. The kernel reserves it before an open makes or truncates a
    /// file, which we can not.
    pub(super) fn has_room(&self, tid: u32) -> bool {
        let Ok(limit) = sys::process::descriptor_limit(tid) else { return true };
        if self.table < limit {
            return true;
        }
        let path = format!("/proc/{tid}/fd");
        // Since 6.2 its size is how many there are.
        if fs::metadata(&path).is_ok_and(|folder| (1..limit).contains(&folder.len())) {
            return true;
        }
        let Ok(open) = fs::read_dir(path) else { return true };
        let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok());
        (numbers.filter(|number| *number < limit).count() as u64) < limit
    }

    /// Whether a signal waits that would end a call which can be interrupted.
    pub(super) fn interrupted(&self) -> Interrupted {
        if self.pending & !self.blocked != 0 {
            Interrupted::Yes
        } else if self.shared_pending & !self.blocked == 0 {
            Interrupted::No
        } else if self.threads == 1 {
            Interrupted::Yes
        } else {
            Interrupted::Perhaps
        }
    }
}

/// The session of a thread's process, from /proc/TID/stat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Session {
    process: u32,
    session: u32,
    terminal: i32,
}

impl Session {
    pub(super) fn of(tid: u32) -> io::Result<Self> {
        let process = TaskStatus::of(tid)?.tgid;
        Ok(Self::parse(process, &read(fs::File::open(format!("/proc/{tid}/stat"))?)?))
    }

    /// After the name, which ends with the last parenthesis: state, parent, group, session, terminal.
    fn parse(process: u32, text: &[u8]) -> Self {
        let after = text.iter().rposition(|&byte| byte == b')').map_or(0, |at| at + 1);
        let numbers = String::from_utf8_lossy(&text[after..]);
        let mut numbers = numbers.split_whitespace().skip(3).map(|number| number.parse::<i32>().unwrap_or(0));
        let [session, terminal] = [(); 2].map(|()| numbers.next().unwrap_or(0));
        Self { process, session: session as u32, terminal }
    }

    /// Whether a terminal that it opens would become its session's.
    pub(super) fn lacks_terminal(&self) -> bool {
        self.process == self.session && self.terminal == 0
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

/// Reads a small file of procfs in one call where that is enough: each read makes its text anew, and the library's
/// growing buffer would need eight.
fn read(mut file: fs::File) -> io::Result<Vec<u8>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Name:\tcat: \\\\x\\n\nUmask:\t0027\nState:\tR (running)\nTgid:\t42\nNgid:\t0\nPid:\t43\nPPid:\t7\n\
        Uid:\t1000\t1000\t1000\t1000\nGid:\t100\t101\t102\t103\nFDSize:\t64\nGroups:\t4 20 100 \nNStgid:\t42\t2\n\
        NSpid:\t43\t3\nThreads:\t2\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000000800\nSigBlk:\t0000000000000001\n\
        CapEff:\t000001ffffffffff\nSeccomp:\t2\nSeccomp_filters:\t3\n";

    #[test]
    fn status_lines_are_read() {
        let status = TaskStatus::parse(TEXT.as_bytes());
        assert_eq!(status.command, *"cat: \\x\n");
        assert_eq!((status.tgid, status.parent, status.umask, status.seccomp_filters), (42, 7, 0o27, 3));
        assert_eq!((status.inner, status.table), ((2, 3), 64));
        let rights = Rights {
            uids: [1000; 4],
            gids: [100, 101, 102, 103],
            groups: vec![4, 20, 100],
            capabilities: 0x1ff_ffff_ffff,
        };
        assert_eq!(status.rights, rights);
    }

    #[test]
    fn a_signal_that_waits_is_seen() {
        let interrupted = |from: &str, to: &str| TaskStatus::parse(TEXT.replace(from, to).as_bytes()).interrupted();
        assert_eq!(interrupted("", ""), Interrupted::Perhaps);
        assert_eq!(interrupted("Threads:\t2", "Threads:\t1"), Interrupted::Yes);
        assert_eq!(interrupted("SigPnd:\t0000000000000000", "SigPnd:\t0000000000000200"), Interrupted::Yes);
        assert_eq!(interrupted("SigBlk:\t0000000000000001", "SigBlk:\t0000000000000801"), Interrupted::No);
    }

    #[test]
    fn only_the_leader_of_a_session_without_terminal_gets_one() {
        let lacks = |process, text: &str| Session::parse(process, text.as_bytes()).lacks_terminal();
        assert!(lacks(7, "9 (a ) b) S 1 7 7 0 -1 4194304"));
        assert!(!lacks(8, "9 (a ) b) S 1 7 7 0 -1 4194304"));
        assert!(!lacks(7, "9 (a ) b) S 1 7 7 34816 -1 4194304"));
    }
}
