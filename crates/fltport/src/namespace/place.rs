//! The directories that namespaces are made of, and whether they can be trusted.

use std::io::{self, ErrorKind};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use proto::name::PortName;
use proto::status::Status;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::Error;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    dir: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// This user's: made on demand, of mode 0700.
    Private,
    /// Root's: made on demand, of mode 0755, so that others can look ports up.
    System,
    /// Named by the user, and trusted for that.
    Given,
}

/// What a directory is opened for: to be looked through. `O_PATH` would be enough to open files in it, but not to list
/// it.
const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

impl Place {
    pub(super) fn private(dir: PathBuf) -> Self {
        Self { dir, kind: Kind::Private }
    }

    pub(super) fn system() -> Self {
        Self { dir: "/run/fltmgr".into(), kind: Kind::System }
    }

    pub(super) fn given(dir: PathBuf) -> Self {
        Self { dir, kind: Kind::Given }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn is_private(&self) -> bool {
        self.kind == Kind::Private
    }

    /// Opens the directory to look ports up. `None` if it does not exist.
    pub(super) fn open_for_client(&self) -> Result<Option<OwnedFd>, Error> {
        match self.open() {
            Ok(fd) => self.check(fd).map(Some),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound) => Ok(None),
            Err(error) => Err(self.unusable(error)),
        }
    }

    /// Opens the directory to create ports, and creates it first if that is for us to do.
    pub(super) fn open_for_host(&self) -> Result<OwnedFd, Error> {
        let mode = match self.kind {
            Kind::Private => Some(0o700),
            Kind::System => Some(0o755),
            Kind::Given => None,
        };
        let mut created = None;
        if let Some(mode) = mode.map(Mode::from_raw_mode) {
            match rustix::fs::mkdir(&self.dir, mode) {
                Ok(()) => created = Some(mode),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(self.unusable(error.into())),
            }
        }
        let fd = match self.open() {
            Ok(fd) => self.check(fd)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let doing = format!("opening the namespace {}", self.dir.display());
                return Err(Error::with_source(Status::OBJECT_PATH_NOT_FOUND, doing, error)
                    .hint("the directory does not exist; create it, or set FLTMGR_NAMESPACE to one that does"));
            }
            Err(error) => return Err(self.unusable(error)),
        };
        if let Some(mode) = created {
            // The process's umask may have taken away what others need.
            rustix::fs::fchmod(&fd, mode).map_err(|error| self.unusable(error.into()))?;
        }
        Ok(fd)
    }

    fn open(&self) -> io::Result<OwnedFd> {
        let flags = match self.kind {
            // The user's own choice may be a symbolic link.
            Kind::Given => DIRECTORY.difference(OFlags::NOFOLLOW),
            Kind::Private | Kind::System => DIRECTORY,
        };
        match rustix::fs::open(&self.dir, flags | OFlags::RDONLY, Mode::empty()) {
            // May be walked through, though not listed.
            Err(Errno::ACCESS) => Ok(rustix::fs::open(&self.dir, flags | OFlags::PATH, Mode::empty())?),
            result => Ok(result?),
        }
    }

    /// Refuses a directory in which another user could put a port, or take ours away. The directory was opened before,
    /// so that what is checked is what is used.
    fn check(&self, fd: OwnedFd) -> Result<OwnedFd, Error> {
        let owner = match self.kind {
            Kind::Given => return Ok(fd),
            Kind::Private => rustix::process::geteuid().as_raw(),
            Kind::System => 0,
        };
        let stat = rustix::fs::fstat(&fd).map_err(|error| self.unusable(error.into()))?;
        let doing = || format!("opening the namespace {}", self.dir.display());
        if stat.st_uid != owner {
            return Err(Error::new(Status::ACCESS_DENIED, doing()).hint(format!(
                "the directory belongs to uid {}, not to uid {owner}, so its ports cannot be trusted; remove it, or set FLTMGR_NAMESPACE",
                stat.st_uid
            )));
        }
        if stat.st_mode & 0o022 != 0 {
            return Err(Error::new(Status::ACCESS_DENIED, doing()).hint(format!(
                "others may write to the directory (mode {:o}), so its ports cannot be trusted; chmod go-w it",
                stat.st_mode & 0o7777
            )));
        }
        Ok(fd)
    }

    fn unusable(&self, error: io::Error) -> Error {
        let doing = format!("opening the namespace {}", self.dir.display());
        match (error.kind(), self.kind) {
            // Another user may have put it there to lead us elsewhere, so this is a matter of trust.
            (ErrorKind::NotADirectory, Kind::Private | Kind::System) => {
                Error::with_source(Status::ACCESS_DENIED, doing, error)
                    .hint("it is not a directory, or a symbolic link, which is not followed here; remove it")
            }
            _ => self.or_denied(error, doing),
        }
    }

    /// Makes "no right to do that here" a sentence that helps; the rest as [`system_error`].
    pub(super) fn or_denied(&self, error: io::Error, doing: String) -> Error {
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                let hint = format!(
                    "this user (uid {}) may not write to {}; set FLTMGR_NAMESPACE to a directory of its own",
                    rustix::process::geteuid().as_raw(),
                    self.dir.display()
                );
                system_error(error, doing).hint(hint)
            }
            _ => system_error(error, doing),
        }
    }
}

/// An error of the system's that has no better explanation.
pub(super) fn system_error(error: io::Error, doing: String) -> Error {
    let status = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Status::ACCESS_DENIED,
        ErrorKind::NotFound | ErrorKind::NotADirectory => Status::OBJECT_PATH_NOT_FOUND,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Status::DISK_FULL,
        ErrorKind::OutOfMemory => Status::INSUFFICIENT_RESOURCES,
        _ => match Errno::from_io_error(&error) {
            Some(Errno::MFILE | Errno::NFILE) => Status::TOO_MANY_OPENED_FILES,
            Some(Errno::LOOP) => Status::ACCESS_DENIED,
            _ => Status::UNSUCCESSFUL,
        },
    };
    let hint = error.to_string();
    Error::with_source(status, doing, error).hint(hint)
}

/// The directory that the port's socket lies in, and the socket's file name there.
pub(super) fn parent_and_file(root: BorrowedFd<'_>, name: &PortName) -> io::Result<(OwnedFd, String)> {
    let mut components: Vec<String> = name.file_components().collect();
    // A name has at least one component.
    let file = components.pop().unwrap_or_default();
    let dir = match components.is_empty() {
        true => root.try_clone_to_owned()?,
        false => rustix::fs::openat(root, components.join("/"), DIRECTORY | OFlags::PATH, Mode::empty())?,
    };
    Ok((dir, file))
}
