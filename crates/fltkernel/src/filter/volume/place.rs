//! Where file systems are mounted.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Volume, of_mount};

/// A line of /proc/self/mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub device: (u32, u32),
    /// The directory of the file system that is seen at `point`.
    pub root: PathBuf,
    pub point: PathBuf,
    pub read_only: bool,
    pub file_system: String,
    pub source: String,
}

impl Mount {
    /// The volume that it shows, as every process names it.
    pub(super) fn volume(&self, is_root: bool) -> proto::volume::Volume {
        let mount_point = if is_root { "/".into() } else { self.point.clone() };
        proto::volume::Volume { device: self.device, mount_point, file_system: self.file_system.clone() }
    }
}

/// All mounts of this process's namespace, in their order: of two at one place the later one is seen.
pub fn mounts() -> Vec<Mount> {
    fs::read_to_string("/proc/self/mountinfo").unwrap_or_default().lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<Mount> {
    let (first, second) = line.split_once(" - ")?;
    let first: Vec<&str> = first.split(' ').collect();
    let mut second = second.split(' ');
    let (file_system, source) = (second.next()?.to_owned(), second.next()?.to_owned());
    let options = first.get(5)?;
    let (major, minor) = first.get(2)?.split_once(':')?;
    Some(Mount {
        device: (major.parse().ok()?, minor.parse().ok()?),
        root: unescaped(first.get(3)?),
        point: unescaped(first.get(4)?),
        read_only: options.split(',').any(|option| option == "ro"),
        file_system,
        source,
    })
}

/// `\040` is a blank.
fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let octal = (*first == b'\\').then(|| tail.get(..3)).flatten();
        let value = octal.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        match value {
            Some(value) => {
                bytes.push(value);
                rest = &tail[3..];
            }
            None => bytes.push(*first),
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// The volume of an absolute path, and its path inside.
pub(super) fn locate(path: &Path) -> (Arc<Volume>, PathBuf) {
    let all = mounts();
    // the last of the longest: what is mounted over something hides it
    let mount =
        all.iter().filter(|mount| path.starts_with(&mount.point)).max_by_key(|mount| mount.point.as_os_str().len());
    let Some(mount) = mount else {
        let made_up = Mount {
            device: (0, 0),
            root: "/".into(),
            point: "/".into(),
            read_only: false,
            file_system: "unknown".to_owned(),
            source: "none".to_owned(),
        };
        return (of_mount(&made_up), path.to_owned());
    };
    let rest = path.strip_prefix(&mount.point).unwrap_or(path);
    let inside = if rest.as_os_str().is_empty() { mount.root.clone() } else { mount.root.join(rest) };
    (of_mount(mount), inside)
}

/// A path at which the file of this path inside a volume is seen.
pub(super) fn outside(volume: &Volume, inside: &Path) -> Option<PathBuf> {
    let all = mounts();
    let seen = all.iter().filter(|mount| mount.device == volume.device && inside.starts_with(&mount.root));
    let mount = seen.max_by_key(|mount| mount.root.as_os_str().len())?;
    let rest = inside.strip_prefix(&mount.root).unwrap_or(inside);
    Some(if rest.as_os_str().is_empty() { mount.point.clone() } else { mount.point.join(rest) })
}
