//! Volumes: a file system of Linux is one, with a name of Windows.
//!
//! The file system of `/` is `\Device\HarddiskVolume1` and `C:`; the others have the numbers that every process computes.
//! A path inside a file system is the same wherever it is mounted, so a bind mount makes no second name.

mod calls;
mod name;
mod place;

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

pub use calls::*;
pub use name::{decode, encode};
pub use place::{Mount, mounts};

use crate::kernel::object::{self, Object};
use crate::lock;
use crate::nt::{Guid, Unit, wide};

/// A file system.
#[derive(Debug)]
pub struct Volume {
    /// Its device: major and minor number.
    pub device: (u32, u32),
    device_name: String,
    /// How Linux calls its type.
    pub file_system: String,
    /// Whether it is reached over a network.
    pub remote: bool,
    pub read_only: bool,
    /// `C`, if it has a letter.
    pub letter: Option<char>,
    /// Where it comes from: what its GUID is made of.
    source: String,
}

/// `FLT_FILESYSTEM_TYPE`, as far as there is one here.
const UNKNOWN: u32 = 0;
const NTFS: u32 = 2;
const FAT: u32 = 3;
const CDFS: u32 = 4;
const UDFS: u32 = 5;
const LANMAN: u32 = 6;
const NFS: u32 = 9;
const EXFAT: u32 = 22;

impl Object for Volume {
    fn kind(&self) -> &'static str {
        "volume"
    }
}

impl Volume {
    /// `\Device\HarddiskVolume1`
    pub fn device_name(&self) -> String {
        self.device_name.clone()
    }

    /// `FLT_FILESYSTEM_TYPE`
    pub fn kind_number(&self) -> u32 {
        match self.file_system.as_str() {
            "ext2" | "ext3" | "ext4" | "xfs" | "btrfs" | "tmpfs" | "overlay" | "zfs" | "f2fs" | "ramfs"
            | "bcachefs" => NTFS,
            "vfat" | "msdos" => FAT,
            "exfat" => EXFAT,
            "iso9660" => CDFS,
            "udf" => UDFS,
            "cifs" | "smb3" => LANMAN,
            "nfs" | "nfs4" => NFS,
            _ => UNKNOWN,
        }
    }

    /// The name of its type on Windows.
    pub fn kind_name(&self) -> &'static str {
        match self.kind_number() {
            NTFS => "Ntfs",
            FAT => "fastfat",
            EXFAT => "exfat",
            CDFS => "cdfs",
            UDFS => "udfs",
            LANMAN => "mrxsmb",
            NFS => "nfsrdr",
            _ => "unknown",
        }
    }

    /// `FILE_DEVICE_…_FILE_SYSTEM`
    pub fn device_type(&self) -> u32 {
        const DISK: u32 = 8;
        const NETWORK: u32 = 0x14;
        const CD_ROM: u32 = 3;
        match self.kind_number() {
            CDFS | UDFS => CD_ROM,
            _ if self.remote => NETWORK,
            _ => DISK,
        }
    }

    /// The same whenever the same file system is seen.
    pub fn guid(&self) -> Guid {
        // FNV, twice: any number will do that is as good as unique among the volumes of one machine
        let hash = |seed: u64| {
            self.source.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3))
        };
        let (a, b) = (hash(0xCBF2_9CE4_8422_2325), hash(0x8422_2325_CBF2_9CE4));
        let mut data4 = b.to_be_bytes();
        data4[0] = data4[0] & 0x3F | 0x80;
        Guid { data1: (a >> 32) as u32, data2: (a >> 16) as u16, data3: a as u16 & 0x0FFF | 0x5000, data4 }
    }

    /// `\??\Volume{…}`, without the prefix.
    pub fn guid_name(&self) -> String {
        format!("Volume{}", crate::kernel::string::guid_text(self.guid()).to_lowercase())
    }
}

static VOLUMES: Mutex<Vec<Arc<Volume>>> = Mutex::new(Vec::new());
static LETTERS: Mutex<Vec<(char, PathBuf)>> = Mutex::new(Vec::new());

/// Gives the file system of this path a letter, if it is not seen yet.
pub fn assign_letter(letter: char, path: PathBuf) {
    lock(&LETTERS).push((letter.to_ascii_uppercase(), path));
}

/// All that were seen so far.
pub fn all() -> Vec<Arc<Volume>> {
    lock(&VOLUMES).clone()
}

/// The volume of a mount, made when it is first seen.
fn of_mount(mount: &Mount) -> Arc<Volume> {
    let letters = lock(&LETTERS).clone();
    let mut volumes = lock(&VOLUMES);
    if let Some(known) = volumes.iter().find(|volume| volume.device == mount.device) {
        return known.clone();
    }
    let is_first = volumes.is_empty();
    let named = letters.iter().find(|(_, path)| *path == mount.point).map(|(letter, _)| *letter);
    let remote = matches!(mount.file_system.as_str(), "nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "ceph")
        || mount.file_system.starts_with("fuse.sshfs");
    let volume = Arc::new(Volume {
        device: mount.device,
        device_name: if remote { r"\Device\Mup".to_owned() } else { mount.volume(is_first).name() },
        file_system: mount.file_system.clone(),
        remote,
        read_only: mount.read_only,
        letter: if is_first { Some('C') } else { named },
        source: format!("{} {} {:?}", mount.source, mount.file_system, mount.device),
    });
    object::add(&volume);
    volumes.push(volume.clone());
    volume
}

/// The volume of `/`, which is the first.
pub fn first() -> Arc<Volume> {
    place::locate(Path::new("/")).0
}

/// The volume with this number or letter or GUID name: `HarddiskVolume1`, `C:`, `Volume{…}`.
fn named(name: &str) -> Option<Arc<Volume>> {
    first();
    let name = name.to_lowercase();
    all().into_iter().find(|volume| {
        volume.device_name().to_lowercase().strip_prefix(r"\device\") == Some(&name)
            || volume.letter.is_some_and(|letter| format!("{}:", letter.to_ascii_lowercase()) == name)
            || volume.guid_name() == name
    })
}

/// The volume of an absolute path, which need not exist, and its path inside, which begins with `/`.
pub fn locate(path: &Path) -> (Arc<Volume>, PathBuf) {
    if lock(&VOLUMES).is_empty() && path != Path::new("/") {
        first();
    }
    place::locate(path)
}

/// The name of a path: of its volume's device, then of the path inside.
pub fn nt_name(path: &Path) -> Vec<Unit> {
    let (volume, inside) = locate(path);
    [wide(&volume.device_name()), encode(&inside)].concat()
}

/// The path that a name of Windows names.
pub fn path_of(name: &[Unit]) -> Option<(Arc<Volume>, PathBuf)> {
    let text = decode(name);
    let text = text.to_str()?;
    let strip = |prefix: &str| {
        let head = text.get(..prefix.len())?;
        head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
    };
    if let Some(rest) = strip("/SystemRoot/") {
        let volume = first();
        let path = place::outside(&volume, &Path::new("/Windows").join(rest))?;
        return Some((volume, path));
    }
    let rest = strip("/Device/").or_else(|| strip("/??/")).or_else(|| strip("/DosDevices/"))?;
    let (head, inside) = rest.split_once('/').unwrap_or((rest, ""));
    let volume = named(head)?;
    let path = place::outside(&volume, &Path::new("/").join(inside))?;
    Some((volume, path))
}

/// The path of an open file, as the kernel tells it.
pub fn path_of_file(file: &impl AsFd) -> Option<PathBuf> {
    use std::os::fd::AsRawFd as _;
    std::fs::read_link(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())).ok()
}
