//! What procfs tells of a thread by its number.
//!
//! A number is only a thread's as long as it lives: what is read here is true of a thread whose call or open waits for us,
//! and only if that is looked at again afterwards or cannot end meanwhile.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStringExt as _;

use proto::operation::CallerInfo;

/// What can be told of a thread by its number.
pub(super) fn look_up(tid: u32) -> CallerInfo {
    TaskStatus::of(tid).map_or_else(
        |_| CallerInfo::default(),
        |status| CallerInfo { process: status.tgid, user: status.uid(), command: status.command },
    )
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
    uids: [u32; 4],
    gids: [u32; 4],
    groups: Vec<u32>,
    capabilities: u64,
}

impl TaskStatus {
    pub(super) fn of(tid: u32) -> io::Result<Self> {
        Ok(Self::parse(&read(&format!("/proc/{tid}/status"))?))
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
        let Ok(limit) = sys::process::descriptor_limit(tid) else { return true };
        if self.table < limit {
            return true;
        }
        let Ok(open) = fs::read_dir(format!("/proc/{tid}/fd")) else { return true };
        let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok());
        (numbers.filter(|number| *number < limit).count() as u64) < limit
    }

    pub(super) fn same_rights(&self, other: &Self) -> bool {
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

/// Reads a small file of procfs in one call where that is enough: each read makes its text anew, and the library's
/// growing buffer would need eight.
fn read(path: &str) -> io::Result<Vec<u8>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Name:\tcat: \\\\x\\n\nUmask:\t0027\nState:\tR (running)\nTgid:\t42\nNgid:\t0\nPid:\t43\nPPid:\t7\n\
        Uid:\t1000\t1000\t1000\t1000\nGid:\t100\t101\t102\t103\nFDSize:\t64\nGroups:\t4 20 100 \nCapEff:\t000001ffffffffff\n\
        Seccomp:\t2\nSeccomp_filters:\t3\n";

    #[test]
    fn status_lines_are_read() {
        let status = TaskStatus::parse(TEXT.as_bytes());
        assert_eq!(status.command, *"cat: \\x\n");
        assert_eq!((status.tgid, status.parent, status.umask, status.seccomp_filters), (42, 7, 0o27, 3));
        assert_eq!((status.uids, status.gids, status.table), ([1000; 4], [100, 101, 102, 103], 64));
        assert_eq!((status.groups.as_slice(), status.capabilities), ([4, 20, 100].as_slice(), 0x1ff_ffff_ffff));
    }

    #[test]
    fn any_difference_in_rights_is_seen() {
        let ours = TaskStatus::parse(TEXT.as_bytes());
        for (from, to) in [("\t1000\n", "\t0\n"), ("\t103\n", "\t9\n"), ("4 20", "4 21"), ("1ffff", "0ffff")] {
            assert!(!ours.same_rights(&TaskStatus::parse(TEXT.replace(from, to).as_bytes())), "{from}");
        }
        assert!(ours.same_rights(&TaskStatus::parse(TEXT.replace("0027", "0022").as_bytes())));
    }
}
