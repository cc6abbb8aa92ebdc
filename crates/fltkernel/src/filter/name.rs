//! Names of files, asked for and taken apart.

mod parse;

use std::sync::Arc;

pub use parse::*;

use super::data::{self, Data};
use super::file::{self, File};
use super::information::{self, Target};
use super::volume;
use crate::edge::{Memory, Place, Ptr, member};
use crate::kernel::report::{self, Rule};
use crate::kernel::table::Table;
use crate::kernel::{fault, irql, thread};
use crate::nt::status::{self, Status};
use crate::nt::{CallbackData, FileNameInformation, UnicodeString, Unit, fo, major, wide};

/// `FLT_FILE_NAME_…`
const NORMALIZED: u32 = 1;
const OPENED: u32 = 2;
const SHORT: u32 = 3;
const QUERY_CACHE_ONLY: u32 = 0x200;
const QUERY_LAST: u32 = 0x400;
const ALLOW_ON_REPARSE: u32 = 0x0400_0000;
const FLAGS: u32 = 0x0700_0000;

/// A name that a driver has: its memory, and how many references.
#[derive(Debug)]
struct Given {
    memory: Arc<Memory>,
    references: u64,
    place: Place,
}

static NAMES: Table<Given> = Table::new();

/// Names that are not released: where each was asked for.
pub fn left() -> Vec<Place> {
    let mut all = Vec::new();
    NAMES.each(|_, given| all.push(given.place));
    all
}

/// Gives a driver a name: the structure and its text in one block.
fn give(name: &[Unit], format: u32, result: Ptr<Ptr<FileNameInformation>>) -> Status {
    if fault::strikes(fault::Site::Name) {
        return status::INSUFFICIENT_RESOURCES;
    }
    let memory = Arc::new(Memory::new(size_of::<FileNameInformation>() + name.len() * 2 + 2));
    let information: Ptr<FileNameInformation> = memory.at();
    let buffer: Ptr<Unit> = information.add(1).cast();
    buffer.write_many(name);
    let length = (name.len() * 2) as u16;
    let name = UnicodeString { length, room: length, buffer };
    let size = size_of::<FileNameInformation>() as u16;
    information.write(FileNameInformation { size, format, name, ..FileNameInformation::default() });
    NAMES.insert(information.address(), Given { memory, references: 1, place: report::place() });
    result.write(information);
    status::SUCCESS
}

/// The name of a file in a format: of its volume's device and its path.
fn name_of(file: &File, format: u32, parent: bool) -> Result<Vec<Unit>, Status> {
    if let Some(known) = file.cached_name(format).filter(|_| !parent) {
        return Ok(known);
    }
    let mut path = if format == OPENED { file.opened_path() } else { file.path() };
    if format == NORMALIZED && file.inode().is_none() && path.parent().is_some_and(|parent| !parent.exists()) {
        return Err(status::OBJECT_PATH_NOT_FOUND);
    }
    if parent {
        path.pop();
    }
    // the opened name keeps its links, but is of the volume where the file is
    let (volume, inside) = volume::locate(&path);
    let name = [wide(&volume.device_name()), volume::encode(&inside)].concat();
    if !parent {
        file.cache_name(format, &name);
    }
    Ok(name)
}

fn check(options: u32) -> Result<(u32, u32), Status> {
    let (format, method) = (options & 0xFF, options & 0xFF00);
    let known = (NORMALIZED..=SHORT).contains(&format) && method & 0xFF == 0 && (0x100..=QUERY_LAST).contains(&method);
    if known && options & 0xFF00_0000 & !FLAGS == 0 { Ok((format, method)) } else { Err(status::INVALID_PARAMETER) }
}

/// Whether a name that is not in the cache may be asked for here.
fn is_safe(data: Option<&Data>, file: &File) -> bool {
    const PAGING: u32 = 2;
    /// `IRP_MJ_ACQUIRE_FOR_MOD_WRITE`, `…_CC_FLUSH` and the releases.
    const NEVER: [u8; 5] = [0xFE, 0xFD, 0xFC, 0xFB, 0xFA];
    let block = data.map(Data::block);
    let paging = block.is_some_and(|block| block.irp_flags & PAGING != 0);
    let never = block.is_some_and(|block| NEVER.contains(&block.major));
    let cleaned = file.flags() & fo::CLEANUP_COMPLETE != 0;
    !paging && !never && !cleaned && !thread::all_apcs_disabled()
}

fn file_name(
    data: Option<&Data>,
    file: &File,
    options: u32,
    result: Ptr<Ptr<FileNameInformation>>,
) -> Result<Status, Status> {
    irql::expect(irql::APC, "asking for a name");
    let (format, method) = check(options)?;
    let in_create = data.is_some_and(|data| data.block().major == major::CREATE);
    let opened = file.inode().is_some();
    if format == SHORT {
        return Err(if in_create && !opened {
            status::FLT_INVALID_NAME_REQUEST
        } else {
            status::OBJECT_NAME_NOT_FOUND
        });
    }
    let reparsed = data.is_some_and(|data| data.io_status().status == status::REPARSE);
    if reparsed && options & ALLOW_ON_REPARSE == 0 {
        return Err(status::FLT_INVALID_NAME_REQUEST);
    }
    if file.cached_name(format).is_none() {
        if method == QUERY_CACHE_ONLY {
            return Err(status::FLT_NAME_CACHE_MISS);
        }
        if !is_safe(data, file) {
            return Err(status::FLT_INVALID_NAME_REQUEST);
        }
    }
    /// `SL_OPEN_TARGET_DIRECTORY`
    const TARGET_DIRECTORY: u8 = 4;
    let parent = in_create && data.is_some_and(|data| data.block().flags & TARGET_DIRECTORY != 0);
    Ok(give(&name_of(file, format, parent)?, format, result))
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetFileNameInformation(
    address: Ptr<CallbackData>,
    options: u32,
    result: Ptr<Ptr<FileNameInformation>>,
) -> Status {
    result.write(Ptr::NULL);
    let Some(known) = data::get(address) else { return status::INVALID_PARAMETER };
    let Some(file) = known.file.clone() else { return status::FLT_INVALID_NAME_REQUEST };
    file_name(Some(&known), &file, options, result).unwrap_or_else(|status| status)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetFileNameInformationUnsafe(
    file: Ptr,
    _instance: Ptr,
    options: u32,
    result: Ptr<Ptr<FileNameInformation>>,
) -> Status {
    result.write(Ptr::NULL);
    let Some(file) = file::get(file) else { return status::INVALID_PARAMETER };
    if file.inode().is_none() {
        return status::INVALID_PARAMETER;
    }
    file_name(None, &file, options, result).unwrap_or_else(|status| status)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetDestinationFileNameInformation(
    _instance: Ptr,
    file: Ptr,
    root: Ptr,
    name: Ptr<Unit>,
    length: u32,
    options: u32,
    result: Ptr<Ptr<FileNameInformation>>,
) -> Status {
    result.write(Ptr::NULL);
    let (format, _) = match check(options) {
        Ok(checked) => checked,
        Err(status) => return status,
    };
    if format == SHORT {
        return status::FLT_INVALID_NAME_REQUEST;
    }
    let Some(file) = file::get(file) else { return status::INVALID_PARAMETER };
    // the same structure that a rename has
    let memory = Memory::new(size_of::<Target>() + length as usize);
    let target: Ptr<Target> = memory.at();
    target.write(Target { flags: 0, root, length, name: [0] });
    member!(target, Target, name).cast::<Unit>().write_many(&name.read_many(length as usize / 2));
    match information::target_path(&file, target) {
        Ok(path) => {
            let path = if format == NORMALIZED { file::resolved(&path) } else { path };
            give(&volume::nt_name(&path), format, result)
        }
        Err(status::NOT_SAME_DEVICE) => status::MOUNT_POINT_NOT_RESOLVED,
        Err(status) => status,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetTunneledName(_data: Ptr<CallbackData>, _information: Ptr, result: Ptr<Ptr>) -> Status {
    result.write(Ptr::NULL);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltReferenceFileNameInformation(information: Ptr<FileNameInformation>) {
    if NAMES.with(information.address(), |given| given.references += 1).is_none() {
        report::find(Rule::Object, format!("{information:?} is no name information"));
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn FltReleaseFileNameInformation(information: Ptr<FileNameInformation>) {
    let left = NAMES.with(information.address(), |given| {
        given.references -= 1;
        given.references
    });
    match left {
        None => report::find(Rule::Object, format!("{information:?} is released and is no name information")),
        Some(0) => _ = NAMES.remove(information.address()).map(|given| given.memory),
        Some(_) => {}
    }
}
