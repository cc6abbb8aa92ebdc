//! What is below all instances: the file system, as this process sees it.

use std::fs::{self, File as OsFile, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, FallocateFlags, RenameFlags};

use super::data::Data;
use super::file::File;
use super::information;
use super::stack::{done, failed};
use crate::edge::Ptr;
use crate::nt::status::{self, Status};
use crate::nt::{IoStatus, SecurityContext, fo, major};

/// Dispositions and options of a create.
pub mod create {
    pub const OPEN: u32 = 1;
    pub const CREATE: u32 = 2;
    pub const OPEN_IF: u32 = 3;
    pub const OVERWRITE: u32 = 4;
    pub const OVERWRITE_IF: u32 = 5;
    pub const DIRECTORY_FILE: u32 = 0x1;
    pub const NON_DIRECTORY_FILE: u32 = 0x40;
    pub const DELETE_ON_CLOSE: u32 = 0x1000;
    pub const OPEN_REPARSE_POINT: u32 = 0x20_0000;
    pub const WRITE_DATA: u32 = 0x2;
    pub const APPEND_DATA: u32 = 0x4;
    /// What a create did: `Information`.
    pub const OPENED: usize = 1;
    pub const CREATED: usize = 2;
    pub const OVERWRITTEN: usize = 3;
}

/// The status of an error of Linux. `last`: whether what is missing is the last component of a path.
pub fn status_of(error: &io::Error) -> Status {
    match error.raw_os_error().unwrap_or(0) {
        libc::EACCES | libc::EPERM => status::ACCESS_DENIED,
        libc::ENOENT => status::OBJECT_NAME_NOT_FOUND,
        libc::EEXIST => status::OBJECT_NAME_COLLISION,
        libc::EBUSY | libc::ETXTBSY => status::SHARING_VIOLATION,
        libc::EAGAIN => status::FILE_LOCK_CONFLICT,
        libc::EISDIR => status::FILE_IS_A_DIRECTORY,
        libc::ENOTDIR => status::NOT_A_DIRECTORY,
        libc::ENOTEMPTY => status::DIRECTORY_NOT_EMPTY,
        libc::ENAMETOOLONG => status::NAME_TOO_LONG,
        libc::EINVAL => status::INVALID_PARAMETER,
        libc::EXDEV => status::NOT_SAME_DEVICE,
        libc::ENOSPC => status::DISK_FULL,
        libc::EDQUOT => status::QUOTA_EXCEEDED,
        libc::EROFS => status::MEDIA_WRITE_PROTECTED,
        libc::EFBIG => status::FILE_TOO_LARGE,
        libc::EMFILE | libc::ENFILE => status::TOO_MANY_OPENED_FILES,
        libc::ENOMEM => status::INSUFFICIENT_RESOURCES,
        libc::EMLINK => status::TOO_MANY_LINKS,
        libc::ELOOP => status::REPARSE_POINT_NOT_RESOLVED,
        libc::EOPNOTSUPP => status::NOT_SUPPORTED,
        libc::EFAULT => status::ACCESS_VIOLATION,
        libc::EIO => status::IO_DEVICE_ERROR,
        libc::ENXIO => status::NO_SUCH_DEVICE,
        libc::ENOEXEC => status::INVALID_IMAGE_FORMAT,
        libc::EINTR => status::CANCELLED,
        _ => status::UNSUCCESSFUL,
    }
}

/// The same for a path: a missing directory on the way is another status than a missing last component.
pub fn status_of_path(error: &io::Error, path: &Path) -> Status {
    let status = status_of(error);
    let parent_exists = path.parent().is_none_or(Path::exists);
    if status == status::OBJECT_NAME_NOT_FOUND && !parent_exists { status::OBJECT_PATH_NOT_FOUND } else { status }
}

fn errno(error: rustix::io::Errno) -> io::Error {
    io::Error::from_raw_os_error(error.raw_os_error())
}

/// Performs an operation of a script or of a driver on the file system.
pub fn perform(data: &Data) -> IoStatus {
    let block = data.block();
    let Some(file) = &data.file else { return failed(status::INVALID_DEVICE_REQUEST) };
    let p = block.parameters;
    match block.major {
        major::CREATE => create_file(file, p.pointer(0), p.long(1)),
        major::READ => read(file, p.pointer(3), p.long(0), p.word(2) as i64),
        major::WRITE => write(file, p.pointer(3), p.long(0), p.word(2) as i64),
        major::QUERY_INFORMATION => information::query(file, p.long(1), p.pointer(2), p.long(0)),
        major::SET_INFORMATION => information::set(file, p.long(1), p.pointer(4), p.long(0)),
        major::DIRECTORY_CONTROL => {
            information::list(file, block.flags, p.pointer(1), p.long(2), p.pointer(4), p.long(0))
        }
        major::QUERY_VOLUME_INFORMATION => information::query_volume(file, p.long(1), p.pointer(2), p.long(0)),
        major::FLUSH_BUFFERS => flush(file),
        major::CLEANUP => cleanup(file),
        major::CLOSE => {
            file.close();
            done(0)
        }
        // what Linux has no counterpart for succeeds, so that a script can send it
        _ => done(0),
    }
}

/// Opens or creates the file of a create, and gives it to the file object.
fn create_file(file: &Arc<File>, security: Ptr<SecurityContext>, options: u32) -> IoStatus {
    let access = security.some().map_or(0, |security| security.read().desired_access);
    match opened(&file.path(), access, options) {
        Ok((descriptor, writable, information)) => {
            file.opened(descriptor, access);
            if let Some(writable) = writable {
                file.set_writable(writable);
            }
            if options & create::DELETE_ON_CLOSE != 0 {
                file.set_flags(fo::DELETE_ON_CLOSE, 0);
            }
            done(information)
        }
        Err(status) => failed(status),
    }
}

type Opened = (Arc<OwnedFd>, Option<Arc<OwnedFd>>, usize);

/// A descriptor for reading, one for writing if that is asked for, and what happened.
fn opened(path: &Path, access: u32, options: u32) -> Result<Opened, Status> {
    let disposition = options >> 24;
    let existed = path.symlink_metadata().is_ok();
    let fail = |error: io::Error| status_of_path(&error, path);
    if options & create::DIRECTORY_FILE != 0 {
        if !existed && matches!(disposition, create::CREATE | create::OPEN_IF) {
            fs::create_dir(path).map_err(fail)?;
        } else if existed && disposition == create::CREATE {
            return Err(status::OBJECT_NAME_COLLISION);
        }
        let directory = OsFile::open(path).map_err(fail)?;
        if !directory.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(status::NOT_A_DIRECTORY);
        }
        let information = if existed { create::OPENED } else { create::CREATED };
        return Ok((Arc::new(directory.into()), None, information));
    }
    if options & create::NON_DIRECTORY_FILE != 0 && path.is_dir() {
        return Err(status::FILE_IS_A_DIRECTORY);
    }
    let overwrites = matches!(disposition, create::OVERWRITE | create::OVERWRITE_IF | 0);
    let creates = matches!(disposition, create::CREATE | create::OPEN_IF | create::OVERWRITE_IF | 0);
    let writes = access & (create::WRITE_DATA | create::APPEND_DATA) != 0 || overwrites || creates && !existed;
    let flags = if options & create::OPEN_REPARSE_POINT != 0 { libc::O_NOFOLLOW } else { 0 };
    let writable = writes.then(|| {
        let mut open = OpenOptions::new();
        open.read(true).write(true).truncate(overwrites && existed).custom_flags(flags);
        if disposition == create::CREATE {
            open.create_new(true);
        } else {
            open.create(creates);
        }
        open.open(path).map_err(fail).map(|file| Arc::new(OwnedFd::from(file)))
    });
    let writable = writable.transpose()?;
    let readable = match &writable {
        Some(both) => both.clone(),
        None => Arc::new(readable(path, flags).map_err(fail)?.into()),
    };
    let information = match (existed, overwrites) {
        (false, _) => create::CREATED,
        (true, true) => create::OVERWRITTEN,
        (true, false) => create::OPENED,
    };
    Ok((readable, writable, information))
}

/// A link that is not followed has no data; its place is all that can be opened.
fn readable(path: &Path, flags: i32) -> io::Result<OsFile> {
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    match opened {
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(path)
        }
        other => other,
    }
}

/// Reads at an offset into a driver's buffer.
pub fn read(file: &File, buffer: Ptr<u8>, length: u32, offset: i64) -> IoStatus {
    let Some(descriptor) = file.descriptor() else { return failed(status::FILE_CLOSED) };
    let Ok(source) = descriptor.try_clone().map(OsFile::from) else { return failed(status::TOO_MANY_OPENED_FILES) };
    let mut bytes = vec![0; length as usize];
    let mut count = 0;
    while count < bytes.len() {
        match source.read_at(&mut bytes[count..], offset as u64 + count as u64) {
            Ok(0) => break,
            Ok(n) => count += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return failed(status_of(&error)),
        }
    }
    if count == 0 && length > 0 {
        return failed(status::END_OF_FILE);
    }
    buffer.write_many(&bytes[..count]);
    done(count)
}

/// Writes a driver's buffer at an offset.
pub fn write(file: &File, buffer: Ptr<u8>, length: u32, offset: i64) -> IoStatus {
    let Some(descriptor) = file.writable() else { return failed(status::ACCESS_DENIED) };
    let Ok(target) = descriptor.try_clone().map(OsFile::from) else { return failed(status::TOO_MANY_OPENED_FILES) };
    let bytes = buffer.read_many(length as usize);
    match target.write_all_at(&bytes, offset as u64) {
        Ok(()) => {
            file.set_flags(fo::FILE_MODIFIED, 0);
            done(bytes.len())
        }
        Err(error) => failed(status_of(&error)),
    }
}

fn flush(file: &File) -> IoStatus {
    match file.writable().map(rustix::fs::fsync) {
        None | Some(Ok(())) => done(0),
        Some(Err(error)) => failed(status_of(&errno(error))),
    }
}

/// The last handle is closed: what was marked for deletion goes.
fn cleanup(file: &Arc<File>) -> IoStatus {
    let pending = crate::edge::member!(file.object(), crate::nt::FileObject, delete_pending).read() != 0;
    if pending || file.flags() & fo::DELETE_ON_CLOSE != 0 {
        let path = file.path();
        let removed = if file.is_directory() { fs::remove_dir(&path) } else { fs::remove_file(&path) };
        // CLEANUP cannot fail: the file stays
        let _ = removed;
    }
    file.set_flags(fo::CLEANUP_COMPLETE, 0);
    done(0)
}

/// Moves a file.
pub fn rename(from: &Path, to: &Path, replace: bool) -> Result<(), Status> {
    let flags = if replace { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
    rustix::fs::renameat_with(CWD, from, CWD, to, flags).map_err(|error| status_of_path(&errno(error), to))
}

/// Gives a file a second name.
pub fn link(from: &Path, to: &Path, replace: bool) -> Result<(), Status> {
    if replace && to.exists() {
        fs::remove_file(to).map_err(|error| status_of(&error))?;
    }
    rustix::fs::linkat(CWD, from, CWD, to, AtFlags::empty()).map_err(|error| status_of_path(&errno(error), to))
}

/// Cuts a file, or makes it longer.
pub fn set_length(file: &File, length: i64) -> Result<(), Status> {
    let descriptor = file.writable().ok_or(status::ACCESS_DENIED)?;
    rustix::fs::ftruncate(descriptor, length as u64).map_err(|error| status_of(&errno(error)))
}

/// Reserves room for a file, without changing its length.
pub fn reserve(file: &File, size: i64) -> Result<(), Status> {
    let descriptor = file.writable().ok_or(status::ACCESS_DENIED)?;
    if size <= 0 {
        return Ok(());
    }
    let reserved = rustix::fs::fallocate(descriptor, FallocateFlags::KEEP_SIZE, 0, size as u64);
    reserved.map_err(|error| status_of(&errno(error)))
}
