//! What is known of files, in the structures of `FILE_INFORMATION_CLASS`.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::file::File;
use super::stack::{done, failed};
use super::{disk, volume};
use crate::edge::{Ptr, member};
use crate::kernel::time;
use crate::nt::status::{self, Status};
use crate::nt::{FileObject, IoStatus, UnicodeString, Unit};

/// `FILE_INFORMATION_CLASS`
pub mod class {
    pub const BASIC: u32 = 4;
    pub const STANDARD: u32 = 5;
    pub const INTERNAL: u32 = 6;
    pub const NAME: u32 = 9;
    pub const RENAME: u32 = 10;
    pub const LINK: u32 = 11;
    pub const DISPOSITION: u32 = 13;
    pub const POSITION: u32 = 14;
    pub const ALL: u32 = 18;
    pub const ALLOCATION: u32 = 19;
    pub const END_OF_FILE: u32 = 20;
    pub const STREAM: u32 = 22;
    pub const NETWORK_OPEN: u32 = 34;
    pub const ATTRIBUTE_TAG: u32 = 35;
    pub const NORMALIZED_NAME: u32 = 48;
    pub const ID: u32 = 59;
    pub const DISPOSITION_EX: u32 = 64;
    pub const RENAME_EX: u32 = 65;
    pub const LINK_EX: u32 = 72;
}

/// `FILE_ATTRIBUTE_…`
const READ_ONLY: u32 = 0x1;
const HIDDEN: u32 = 0x2;
const DIRECTORY: u32 = 0x10;
const ARCHIVE: u32 = 0x20;
const REPARSE_POINT: u32 = 0x400;
const SYMLINK_TAG: u32 = 0xA000_000C;

/// A structure that is put together member by member.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn quad(mut self, value: i64) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn long(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    fn text(mut self, units: &[Unit]) -> Self {
        self.0.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        self
    }
}

fn time_of(seconds: i64, nanoseconds: i64) -> i64 {
    time::of(UNIX_EPOCH + Duration::new(seconds.max(0) as u64, nanoseconds.max(0) as u32))
}

fn attributes(path: &Path, metadata: &Metadata) -> u32 {
    let flag = |set: bool, flag: u32| if set { flag } else { 0 };
    let name = path.file_name().map(|name| name.to_string_lossy().starts_with('.')).unwrap_or(false);
    let kind = if metadata.is_dir() { DIRECTORY } else { ARCHIVE };
    kind | flag(metadata.mode() & 0o200 == 0, READ_ONLY)
        | flag(name, HIDDEN)
        | flag(metadata.is_symlink(), REPARSE_POINT)
}

/// Creation, last access, last write, change.
fn times(metadata: &Metadata) -> [i64; 4] {
    let created = metadata.created().map(time::of).unwrap_or_else(|_| time_of(metadata.ctime(), metadata.ctime_nsec()));
    [
        created,
        time_of(metadata.atime(), metadata.atime_nsec()),
        time_of(metadata.mtime(), metadata.mtime_nsec()),
        time_of(metadata.ctime(), metadata.ctime_nsec()),
    ]
}

fn basic(path: &Path, m: &Metadata) -> Bytes {
    times(m).into_iter().fold(Bytes::default(), Bytes::quad).long(attributes(path, m)).long(0)
}

fn standard(file: &File, m: &Metadata) -> Bytes {
    let pending = member!(file.object(), FileObject, delete_pending).read();
    let bytes = Bytes::default().quad((m.blocks() * 512) as i64).quad(m.size() as i64).long(m.nlink() as u32);
    bytes.bytes(&[pending, m.is_dir().into(), 0, 0])
}

/// The name below the volume, with the length before it.
fn name_of(file: &File) -> (Vec<Unit>, u32) {
    let (_, inside) = volume::locate(&file.path());
    let name = volume::encode(&inside);
    let length = (name.len() * 2) as u32;
    (name, length)
}

/// The metadata of an open file.
fn metadata(file: &File) -> Result<Metadata, Status> {
    let descriptor = file.descriptor().ok_or(status::INVALID_PARAMETER)?;
    let file = std::fs::File::from(descriptor.try_clone().map_err(|error| disk::status_of(&error))?);
    file.metadata().map_err(|error| disk::status_of(&error))
}

/// A whole structure, and how many of its bytes must have room.
fn build(file: &File, wanted: u32) -> Result<(Vec<u8>, usize), Status> {
    let m = metadata(file)?;
    let path = file.path();
    let fixed = |bytes: Bytes| {
        let size = bytes.0.len();
        Ok((bytes.0, size))
    };
    match wanted {
        class::BASIC => fixed(basic(&path, &m)),
        class::STANDARD => fixed(standard(file, &m)),
        class::INTERNAL => fixed(Bytes::default().quad(m.ino() as i64)),
        class::POSITION => fixed(Bytes::default().quad(member!(file.object(), FileObject, offset).read())),
        class::NETWORK_OPEN => {
            let bytes = times(&m).into_iter().fold(Bytes::default(), Bytes::quad).quad((m.blocks() * 512) as i64);
            fixed(bytes.quad(m.size() as i64).long(attributes(&path, &m)).long(0))
        }
        class::ATTRIBUTE_TAG => {
            fixed(Bytes::default().long(attributes(&path, &m)).long(if m.is_symlink() { SYMLINK_TAG } else { 0 }))
        }
        class::ID => fixed(Bytes::default().quad(m.dev() as i64).quad(m.ino() as i64).quad(0)),
        class::NAME | class::NORMALIZED_NAME => {
            let (name, length) = name_of(file);
            Ok((Bytes::default().long(length).text(&name).0, 8))
        }
        class::ALL => {
            let (name, length) = name_of(file);
            let bytes = basic(&path, &m).bytes(&standard(file, &m).0).quad(m.ino() as i64).long(0).long(0);
            let bytes = bytes.quad(member!(file.object(), FileObject, offset).read()).long(0).long(0);
            Ok((bytes.long(length).text(&name).0, 104))
        }
        class::STREAM => {
            let name: Vec<Unit> = "::$DATA".encode_utf16().collect();
            let bytes = Bytes::default().long(0).long((name.len() * 2) as u32).quad(m.size() as i64);
            Ok((bytes.quad((m.blocks() * 512) as i64).text(&name).0, 32))
        }
        _ => Err(status::INVALID_INFO_CLASS),
    }
}

/// Writes what is asked for of an open file.
pub fn query(file: &File, wanted: u32, buffer: Ptr<u8>, length: u32) -> IoStatus {
    match build(file, wanted) {
        Ok((whole, fixed)) => {
            let room = length as usize;
            if room < fixed.min(whole.len()) {
                return failed(status::INFO_LENGTH_MISMATCH);
            }
            let kept = whole.len().min(room);
            buffer.write_many(&whole[..kept]);
            let status = if kept < whole.len() { status::BUFFER_OVERFLOW } else { status::SUCCESS };
            IoStatus { status, information: kept }
        }
        Err(status) => failed(status),
    }
}

/// `FILE_RENAME_INFORMATION` and its like.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Target {
    pub flags: u32,
    pub root: Ptr,
    pub length: u32,
    pub name: [Unit; 1],
}

/// Where a rename or link goes: an absolute path.
pub fn target_path(file: &File, info: Ptr<Target>) -> Result<PathBuf, Status> {
    let target = info.read();
    let name = member!(info, Target, name).cast::<Unit>().read_many(target.length as usize / 2);
    if !target.root.is_null() {
        let (root, _) = crate::kernel::object::of_handle::<File>(target.root)?;
        return Ok(root.path().join(volume::decode(&name)));
    }
    if name.first() == Some(&u16::from(b'\\')) {
        let (volume, path) = volume::path_of(&name).ok_or(status::OBJECT_PATH_NOT_FOUND)?;
        return if Arc::ptr_eq(&volume, &file.volume) { Ok(path) } else { Err(status::NOT_SAME_DEVICE) };
    }
    let directory = file.path().parent().map(Path::to_owned).ok_or(status::INVALID_PARAMETER)?;
    Ok(directory.join(volume::decode(&name)))
}

/// Changes what is asked for of an open file.
pub fn set(file: &Arc<File>, wanted: u32, buffer: Ptr<u8>, length: u32) -> IoStatus {
    match change(file, wanted, buffer, length as usize) {
        Ok(()) => done(0),
        Err(status) => failed(status),
    }
}

fn change(file: &Arc<File>, wanted: u32, buffer: Ptr<u8>, length: usize) -> Result<(), Status> {
    const DELETE: u32 = 1;
    let need = match wanted {
        class::BASIC => 40,
        class::RENAME | class::RENAME_EX | class::LINK | class::LINK_EX => 20,
        class::DISPOSITION => 1,
        class::DISPOSITION_EX => 4,
        class::POSITION | class::END_OF_FILE | class::ALLOCATION => 8,
        _ => return Err(status::INVALID_INFO_CLASS),
    };
    if length < need {
        return Err(status::INFO_LENGTH_MISMATCH);
    }
    let quad = || buffer.cast::<i64>().read();
    let pending = member!(file.object(), FileObject, delete_pending);
    match wanted {
        class::BASIC => set_basic(file, &buffer.cast::<i64>().read_many(4), buffer.add(32).cast::<u32>().read()),
        class::DISPOSITION => {
            pending.write((buffer.read() != 0).into());
            Ok(())
        }
        class::DISPOSITION_EX => {
            pending.write((buffer.cast::<u32>().read() & DELETE != 0).into());
            Ok(())
        }
        class::RENAME | class::RENAME_EX => {
            let to = target_path(file, buffer.cast())?;
            disk::rename(&file.path(), &to, buffer.read() & 1 != 0)?;
            file.moved(to);
            Ok(())
        }
        class::LINK | class::LINK_EX => {
            disk::link(&file.path(), &target_path(file, buffer.cast())?, buffer.read() & 1 != 0)
        }
        class::END_OF_FILE => disk::set_length(file, quad()),
        class::ALLOCATION => disk::reserve(file, quad()),
        _ => {
            member!(file.object(), FileObject, offset).write(quad());
            Ok(())
        }
    }
}

fn set_basic(file: &File, times: &[i64], attributes: u32) -> Result<(), Status> {
    let fail = |error: std::io::Error| disk::status_of(&error);
    let descriptor = file.descriptor().ok_or(status::INVALID_PARAMETER)?;
    let os_file = std::fs::File::from(descriptor.try_clone().map_err(fail)?);
    // 0 and -1 leave a time as it is
    let time = |ticks: i64| {
        (ticks > 0).then(|| SystemTime::UNIX_EPOCH + Duration::from_nanos((ticks - UNIX_TICKS).max(0) as u64 * 100))
    };
    let mut set = std::fs::FileTimes::new();
    if let Some(accessed) = time(times[1]) {
        set = set.set_accessed(accessed);
    }
    if let Some(modified) = time(times[2]) {
        set = set.set_modified(modified);
    }
    os_file.set_times(set).map_err(fail)?;
    if attributes != 0 {
        let mut permissions = os_file.metadata().map_err(fail)?.permissions();
        let mode = permissions.mode();
        permissions.set_mode(if attributes & READ_ONLY != 0 { mode & !0o222 } else { mode | 0o200 });
        os_file.set_permissions(permissions).map_err(fail)?;
    }
    Ok(())
}

/// 1970 in ticks since 1601.
const UNIX_TICKS: i64 = 116_444_736_000_000_000;

/// One entry of a listing: what stands before its name, and the name.
fn entry(kind: u32, directory: &Path, name: &Path) -> Option<Vec<u8>> {
    const DIRECTORY_INFORMATION: u32 = 1;
    const FULL: u32 = 2;
    const BOTH: u32 = 3;
    const NAMES: u32 = 12;
    const ID_BOTH: u32 = 37;
    const ID_FULL: u32 = 38;
    let path = directory.join(name);
    let m = path.symlink_metadata().ok()?;
    let text = volume::encode(name);
    let length = (text.len() * 2) as u32;
    let head = Bytes::default().long(0).long(0);
    if kind == NAMES {
        return Some(head.long(length).text(&text).0);
    }
    let head = times(&m).into_iter().fold(head, Bytes::quad).quad(m.size() as i64).quad((m.blocks() * 512) as i64);
    let head = head.long(attributes(name, &m)).long(length);
    Some(match kind {
        DIRECTORY_INFORMATION => head.text(&text).0,
        FULL => head.long(0).text(&text).0,
        ID_FULL => head.long(0).long(0).quad(m.ino() as i64).text(&text).0,
        BOTH => head.long(0).bytes(&[0; 26]).text(&text).0,
        ID_BOTH => head.long(0).bytes(&[0; 28]).quad(m.ino() as i64).text(&text).0,
        _ => return None,
    })
}

/// Lists a directory: as many entries as fit, each at a multiple of 8.
pub fn list(file: &File, flags: u8, pattern: Ptr<UnicodeString>, kind: u32, buffer: Ptr<u8>, length: u32) -> IoStatus {
    const RESTART: u8 = 1;
    const ONE: u8 = 2;
    if !file.is_directory() {
        return failed(status::INVALID_PARAMETER);
    }
    let pattern = pattern.some().map(|pattern| pattern.read().units()).filter(|units| !units.is_empty());
    let folded = |units: &[Unit]| units.iter().map(|&unit| crate::kernel::string::upcase(unit)).collect::<Vec<_>>();
    let wanted = |name: &Path| {
        pattern
            .as_ref()
            .is_none_or(|pattern| crate::kernel::string::matches(&folded(pattern), &folded(&volume::encode(name))))
    };
    let directory = file.path();
    let (mut whole, mut taken, mut last) = (Vec::new(), 0, None);
    for name in file.listing(flags & RESTART != 0) {
        if wanted(&name) {
            let Some(bytes) = entry(kind, &directory, &name) else { return failed(status::INVALID_INFO_CLASS) };
            let start = whole.len().next_multiple_of(8);
            if start + bytes.len() > length as usize {
                break;
            }
            whole.resize(start, 0);
            if let Some(last) = last.replace(start) {
                let next = (start - last) as u32;
                whole[last..last + 4].copy_from_slice(&next.to_le_bytes());
            }
            whole.extend(bytes);
        }
        taken += 1;
        if flags & ONE != 0 && !whole.is_empty() {
            break;
        }
    }
    let left = file.listing(false).len() - taken;
    file.listed(taken);
    if whole.is_empty() {
        return failed(if left > 0 { status::BUFFER_OVERFLOW } else { status::NO_MORE_FILES });
    }
    buffer.write_many(&whole);
    done(whole.len())
}

/// `FS_INFORMATION_CLASS`: sizes and the file system's name.
pub fn query_volume(file: &File, wanted: u32, buffer: Ptr<u8>, length: u32) -> IoStatus {
    const SIZE: u32 = 3;
    const DEVICE: u32 = 4;
    const ATTRIBUTE: u32 = 5;
    let statistics = file.descriptor().and_then(|descriptor| rustix::fs::fstatvfs(descriptor).ok());
    let whole = match wanted {
        SIZE => {
            let Some(s) = statistics else { return failed(status::INVALID_PARAMETER) };
            let bytes = Bytes::default().quad(s.f_blocks as i64).quad(s.f_bavail as i64);
            bytes.long((s.f_frsize / 512).max(1) as u32).long(512)
        }
        DEVICE => Bytes::default().long(7).long(0),
        ATTRIBUTE => {
            let name: Vec<Unit> = file.volume.kind_name().to_uppercase().encode_utf16().collect();
            Bytes::default().long(0x7).long(255).long((name.len() * 2) as u32).text(&name)
        }
        _ => return failed(status::INVALID_INFO_CLASS),
    };
    let kept = whole.0.len().min(length as usize);
    buffer.write_many(&whole.0[..kept]);
    let status = if kept < whole.0.len() { status::BUFFER_OVERFLOW } else { status::SUCCESS };
    IoStatus { status, information: kept }
}
