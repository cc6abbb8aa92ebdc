//! The seam to the filter manager: an operation of a source becomes the life of a file object, of which every part passes
//! the instances; how that ends is the verdict.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fltmgr::filter::Verdict;
use fltmgr::operation::{OpFlags, OpKind, Operation};

use super::disk::{self, create};
use super::file::File;
use super::generated::{Ask, Security};
use super::information::{Target, class};
use super::stack::{self, Request, done, failed};
use super::volume;
use crate::edge::{Memory, Ptr, member};
use crate::kernel::process;
use crate::kernel::thread::Identity;
use crate::nt::status::Status;
use crate::nt::{FileObject, IoStatus, Parameters, Unit, fo, major};

/// An operation that a source holds back.
pub trait Held {
    /// What is to be done.
    fn operation(&self) -> &Operation;

    /// Does it, where the source can do it before it is answered, and tells how it ended; else what is assumed: that
    /// the file is there, and that the kernel will do the rest. The descriptor is for reading.
    fn perform(&self) -> Performed;

    /// Answers it. Called once.
    fn answer(&self, verdict: Verdict);
}

/// How an operation ended, or is assumed to.
#[derive(Debug)]
pub struct Performed {
    pub io_status: IoStatus,
    pub file: Option<Arc<OwnedFd>>,
}

/// Rights and options of the opens behind the calls of Linux, as Win32's calls would ask for them.
mod ask {
    pub(super) const READ: u32 = 0x0012_0089;
    pub(super) const WRITE: u32 = 0x0012_0196;
    pub(super) const BOTH: u32 = 0x0012_019F;
    pub(super) const EXECUTE: u32 = 0x0010_00A0;
    pub(super) const LIST: u32 = 0x0010_00A1;
    pub(super) const RENAME: u32 = 0x0011_0080;
    pub(super) const DELETE: u32 = 0x0001_0080;
    pub(super) const LINK: u32 = 0x0010_0180;
    pub(super) const TRUNCATE: u32 = 0x0010_0182;
    pub(super) const MKDIR: u32 = 0x0010_0001;
    /// `FILE_SYNCHRONOUS_IO_NONALERT`
    pub(super) const SYNCHRONOUS: u32 = 0x20;
    pub(super) const WRITE_THROUGH: u32 = 0x2;
    pub(super) const NO_BUFFERING: u32 = 0x8;
    pub(super) const OF_RENAME: u32 = 0x20_0020;
    pub(super) const OF_UNLINK: u32 = 0x20_4040;
    pub(super) const OF_RMDIR: u32 = 0x20_4021;
    /// `FILE_ATTRIBUTE_NORMAL` and `…_READONLY`
    pub(super) const NORMAL: u16 = 0x80;
    pub(super) const READ_ONLY: u16 = 0x1;
    /// Linux has no share modes: all three.
    pub(super) const SHARE_ALL: u16 = 7;
}

/// `IRP_CREATE_OPERATION`, `IRP_SYNCHRONOUS_API`, `IRP_DEFER_IO_COMPLETION`
const CREATE_IRP_FLAGS: u32 = 0x884;
/// `SL_CASE_SENSITIVE`
const CASE_SENSITIVE: u8 = 0x80;

fn options(disposition: u32, options: u32) -> u32 {
    disposition << 24 | options
}

/// What an open asks for.
fn ask_of_open(operation: &Operation) -> Ask {
    let Some(arguments) = operation.arguments else { return ask_of_flags(operation.flags) };
    let flags = arguments.flags as i32;
    let has = |flag: i32| flags & flag == flag;
    let (creates, truncates, temporary) = (has(libc::O_CREAT), has(libc::O_TRUNC), has(libc::O_TMPFILE));
    let access = match flags & libc::O_ACCMODE {
        libc::O_WRONLY => ask::WRITE,
        libc::O_RDWR => ask::BOTH,
        _ if truncates => ask::READ | create::WRITE_DATA,
        _ => ask::READ,
    };
    let disposition = match (creates, truncates, has(libc::O_EXCL)) {
        _ if temporary => create::CREATE,
        (true, _, true) => create::CREATE,
        (true, true, false) => create::OVERWRITE_IF,
        (true, false, false) => create::OPEN_IF,
        (false, true, _) => create::OVERWRITE,
        (false, false, _) => create::OPEN,
    };
    let option = |set: bool, option: u32| if set { option } else { 0 };
    let directory = has(libc::O_DIRECTORY) && !temporary;
    let writes = access & create::WRITE_DATA != 0;
    let wanted = ask::SYNCHRONOUS
        | option(writes || creates, create::NON_DIRECTORY_FILE)
        | option(directory, create::DIRECTORY_FILE)
        | option(has(libc::O_SYNC) || has(libc::O_DSYNC), ask::WRITE_THROUGH)
        | option(has(libc::O_DIRECT), ask::NO_BUFFERING)
        | option(has(libc::O_NOFOLLOW), create::OPEN_REPARSE_POINT)
        | option(temporary, create::DELETE_ON_CLOSE);
    let read_only = creates && arguments.mode & 0o222 == 0;
    let attributes = match (creates, read_only) {
        (false, _) => 0,
        (true, true) => ask::READ_ONLY,
        (true, false) => ask::NORMAL,
    };
    let access = if directory { ask::LIST } else { access };
    Ask { access, options: options(disposition, wanted), attributes, share: ask::SHARE_ALL }
}

/// The same where the source knows only what it would do.
fn ask_of_flags(flags: OpFlags) -> Ask {
    let (writes, creates) = (flags.contains(OpFlags::WRITE), flags.contains(OpFlags::CREATE));
    let disposition = if creates { create::OPEN_IF } else { create::OPEN };
    let wanted = ask::SYNCHRONOUS | if writes { create::NON_DIRECTORY_FILE } else { 0 };
    let access = if writes { ask::BOTH } else { ask::READ };
    Ask { access, options: options(disposition, wanted), attributes: 0, share: ask::SHARE_ALL }
}

/// One operation on its way.
struct Life<'a> {
    held: &'a dyn Held,
    identity: Identity,
    file: Arc<File>,
}

/// What a driver decided: the status that the program gets, if it is refused.
type Refused = Result<(), Status>;

/// Sends an operation through the instances, and answers it.
pub fn decide(held: &dyn Held) {
    let operation = held.operation();
    let (process, thread) = (operation.caller.process(), operation.caller.thread());
    let identity = process::identity(process, thread);
    let file = File::new(&operation.path, !is_by_name(operation.kind));
    let life = Life { held, identity, file };
    let decided = life.live();
    held.answer(decided.map_or_else(Verdict::Deny, |()| Verdict::Allow));
    life.end();
}

/// Whether it concerns the name, and not what a link leads to.
fn is_by_name(kind: OpKind) -> bool {
    matches!(kind, OpKind::Rename | OpKind::Unlink | OpKind::Link | OpKind::Mkdir)
}

impl Life<'_> {
    fn live(&self) -> Refused {
        let operation = self.held.operation();
        let simple = |access, wanted| Ask {
            access,
            options: options(create::OPEN, wanted),
            attributes: 0,
            share: ask::SHARE_ALL,
        };
        match operation.kind {
            OpKind::Open => self.create(ask_of_open(operation)),
            OpKind::Exec => {
                self.create(simple(ask::EXECUTE, ask::SYNCHRONOUS | create::NON_DIRECTORY_FILE))?;
                self.section()?;
                self.process()
            }
            OpKind::Rename => {
                self.create(simple(ask::RENAME, ask::OF_RENAME))?;
                self.target(class::RENAME)
            }
            OpKind::Link => {
                self.create(simple(ask::LINK, ask::SYNCHRONOUS))?;
                self.target(class::LINK)
            }
            OpKind::Unlink => {
                let directory = operation.path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
                self.create(simple(ask::DELETE, if directory { ask::OF_RMDIR } else { ask::OF_UNLINK }))?;
                self.disposition()
            }
            OpKind::Mkdir => self.create(Ask {
                access: ask::MKDIR,
                options: options(create::CREATE, ask::SYNCHRONOUS | create::DIRECTORY_FILE),
                attributes: ask::NORMAL,
                share: ask::SHARE_ALL,
            }),
            OpKind::Truncate => {
                self.create(simple(ask::TRUNCATE, ask::SYNCHRONOUS))?;
                self.length(operation.arguments.map_or(0, |arguments| arguments.length))
            }
            // a kind that the filter manager has and this translation does not yet: no driver asked for it
            _ => Ok(()),
        }
    }

    fn send(&self, request: &Request, below: impl FnMut(&super::data::Data) -> IoStatus) -> Refused {
        let outcome = stack::run(request, below);
        match outcome.by {
            Some(_) if !outcome.io_status.status.is_success_severity() => Err(outcome.io_status.status),
            _ => Ok(()),
        }
    }

    fn request(&self, code: u8, parameters: Parameters) -> Request {
        Request::new(code, &self.file, parameters, Some(self.identity.clone()))
    }

    fn create(&self, ask: Ask) -> Refused {
        let security = Security::new(ask);
        let mut request = self.request(major::CREATE, security.parameters(ask));
        (request.irp_flags, request.flags) = (CREATE_IRP_FLAGS, CASE_SENSITIVE);
        self.send(&request, |_| {
            let performed = self.held.perform();
            if let Some(descriptor) = performed.file {
                self.file.opened(descriptor, ask.access);
            }
            performed.io_status
        })
    }

    fn section(&self) -> Refused {
        /// `SyncTypeCreateSection` and `PAGE_EXECUTE`
        const CREATE_SECTION: u64 = 1;
        const PAGE_EXECUTE: u64 = 0x10;
        let parameters = Parameters::default().with(0, CREATE_SECTION | PAGE_EXECUTE << 32);
        self.send(&self.request(major::ACQUIRE_FOR_SECTION, parameters), |_| done(0))
    }

    fn process(&self) -> Refused {
        if !process::is_wanted() {
            return Ok(());
        }
        let image = volume::nt_name(&self.file.path());
        let status = process::created(self.identity.process.number, self.file.object().cast(), &image);
        if status.is_success_severity() { Ok(()) } else { Err(status) }
    }

    fn set(&self, wanted: u32, buffer: &Memory, length: usize, parent: Option<&Arc<File>>, replace: bool) -> Refused {
        let parent = parent.map_or(Ptr::NULL, |parent| parent.object());
        let parameters = Parameters::default()
            .with(0, length as u64)
            .with(1, wanted.into())
            .with_pointer(2, parent)
            .with(3, replace.into())
            .with_pointer(4, buffer.at::<u8>());
        self.send(&self.request(major::SET_INFORMATION, parameters), |_| done(0))
    }

    fn target(&self, wanted: u32) -> Refused {
        let target = &self.held.operation().target;
        let name = win32_name(target);
        let length = name.len() * 2;
        let buffer = Memory::new(size_of::<Target>() + length);
        let info: Ptr<Target> = buffer.at();
        /// The length of the structure before the name.
        const HEAD: usize = 20;
        let arguments = self.held.operation().arguments;
        let replace = wanted == class::RENAME
            && arguments.is_none_or(|arguments| arguments.flags & u64::from(libc::RENAME_NOREPLACE) == 0);
        info.write(Target { flags: replace.into(), root: Ptr::NULL, length: length as u32, name: [0] });
        member!(info, Target, name).cast::<Unit>().write_many(&name);
        let parent = target.parent().map(|parent| File::new(parent, true));
        let refused = self.set(wanted, &buffer, HEAD + length, parent.as_ref(), replace);
        if let Some(parent) = parent {
            parent.close();
        }
        refused
    }

    fn disposition(&self) -> Refused {
        /// `FILE_DISPOSITION_DELETE`, and `…_POSIX_SEMANTICS`, which is what unlink means.
        const DELETE: u32 = 3;
        let buffer = Memory::holding(&[DELETE]);
        self.set(class::DISPOSITION_EX, &buffer, size_of_val(&DELETE), None, false)?;
        member!(self.file.object(), FileObject, delete_pending).write(1);
        Ok(())
    }

    fn length(&self, length: u64) -> Refused {
        let buffer = Memory::holding(&[length]);
        self.set(class::END_OF_FILE, &buffer, size_of_val(&length), None, false)
    }

    /// Cleanup and close, at once: the source does not tell when the program closes the file.
    fn end(&self) {
        if self.file.inode().is_some() && self.file.flags() & fo::FILE_OPEN_CANCELLED == 0 {
            for code in [major::CLEANUP, major::CLOSE] {
                let request = self.request(code, Parameters::default());
                // neither can fail, and the file is the program's
                let _ = self.send(&request, |_| {
                    if code == major::CLEANUP {
                        self.file.set_flags(fo::CLEANUP_COMPLETE, 0);
                    }
                    done(0)
                });
            }
        }
        self.file.close();
    }
}

/// `\??\C:\dir\file`, or the device's name where the volume has no letter.
fn win32_name(path: &Path) -> Vec<Unit> {
    let (volume, inside) = volume::locate(path);
    let head = match volume.letter {
        Some(letter) => format!(r"\??\{letter}:"),
        None => volume.device_name(),
    };
    [crate::nt::wide(&head), volume::encode(&inside)].concat()
}

/// What a source that cannot perform first lets assume of an open: how it will end by what is there now.
pub fn assumed(operation: &Operation, file: Option<Arc<OwnedFd>>) -> Performed {
    let path: &PathBuf = &operation.path;
    if operation.kind == OpKind::Mkdir {
        return Performed { io_status: done(create::CREATED), file };
    }
    let creates = operation.flags.contains(OpFlags::CREATE);
    match path.symlink_metadata() {
        Ok(_) => Performed { io_status: done(create::OPENED), file },
        Err(_) if creates => Performed { io_status: done(create::CREATED), file },
        Err(error) => Performed { io_status: failed(disk::status_of_path(&error, path)), file: None },
    }
}
