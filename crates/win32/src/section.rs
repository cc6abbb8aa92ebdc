//! Sections: files that a filter hands over to be looked into, and their views.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex};

use abi::{Error, Handle};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use sys::fork::PerProcess;

use crate::last_error::{or, succeeds};
use crate::object::Object;
use crate::sync::lock;
use crate::table::{self, Entry};

const SECTION_MAP_WRITE: u32 = 2;
const SECTION_MAP_READ: u32 = 4;
const SECTION_MAP_EXECUTE: u32 = 8;
const FILE_MAP_COPY: u32 = 1;
const STANDARD_RIGHTS: u32 = 0x000F_0000;
/// Where a view may begin, and at which addresses views lie on Windows.
const GRANULARITY: u64 = 0x1_0000;
/// MEM_UNMAP_WITH_TRANSIENT_BOOST, a hint.
const UNMAP_FLAGS: u32 = 1;

/// A file that can be mapped.
#[derive(Debug)]
pub(crate) struct Section {
    file: OwnedFd,
    len: u64,
}

/// The views of this process, and their lengths, by their addresses.
fn views() -> &'static Mutex<BTreeMap<usize, usize>> {
    static VIEWS: PerProcess<Mutex<BTreeMap<usize, usize>>> = PerProcess::new();
    VIEWS.get(Mutex::default)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn MapViewOfFile(section: Handle, access: u32, high: u32, low: u32, size: usize) -> *mut c_void {
    or(std::ptr::null_mut(), || {
        let copy = access & FILE_MAP_COPY != 0;
        let write = !copy && access & SECTION_MAP_WRITE != 0;
        let needed = if write { SECTION_MAP_WRITE } else { SECTION_MAP_READ };
        let section = table::typed(section, needed, Object::section)?;
        let offset = u64::from(high) << 32 | u64::from(low);
        let left = section.len.checked_sub(offset).ok_or(Error::ACCESS_DENIED)?;
        let size = if size == 0 { left } else { size as u64 };
        if offset % GRANULARITY != 0 {
            return Err(Error::MAPPED_ALIGNMENT);
        }
        if size == 0 {
            return Err(Error::FILE_INVALID);
        }
        if size > left {
            return Err(Error::ACCESS_DENIED);
        }
        let mut protection = ProtFlags::READ;
        protection.set(ProtFlags::WRITE, copy || write);
        protection.set(ProtFlags::EXEC, access & (0x20 | SECTION_MAP_EXECUTE) == 0x20);
        let flags = if copy { MapFlags::PRIVATE } else { MapFlags::SHARED };
        // SAFETY: a new mapping at an address of the kernel's choice.
        let view = unsafe { mmap(std::ptr::null_mut(), size as usize, protection, flags, &section.file, offset) };
        let view = view.map_err(std::io::Error::from)?;
        lock(views()).insert(view as usize, size as usize);
        Ok(view)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn UnmapViewOfFile(view: *const c_void) -> i32 {
    succeeds(|| unmap(view))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn UnmapViewOfFileEx(view: *const c_void, flags: u32) -> i32 {
    succeeds(|| if flags & !UNMAP_FLAGS == 0 { unmap(view) } else { Err(Error::INVALID_PARAMETER) })
}

fn unmap(view: *const c_void) -> Result<(), Error> {
    let len = lock(views()).remove(&(view as usize)).ok_or(Error::INVALID_ADDRESS)?;
    // SAFETY: a mapping that MapViewOfFile made, which the program gives back.
    unsafe { munmap(view.cast_mut(), len) }.map_err(std::io::Error::from)?;
    Ok(())
}

/// How long the view is of which `address` is a part, and where it begins.
pub(crate) fn view(address: usize) -> Option<(usize, usize)> {
    let views = lock(views());
    let (&begin, &len) = views.range(..=address).next_back()?;
    (address - begin < len).then_some((begin, len))
}

/// Makes a handle of a file that a driver hands over, to be read.
///
/// For drivers; `descriptor` is given away.
#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_section_create(descriptor: RawFd, handle: &mut Handle) -> u32 {
    // SAFETY: the driver gives it away.
    let file = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let created = abi::fence(|| {
        let stat = rustix::fs::fstat(&file).map_err(std::io::Error::from)?;
        let section = Section { file, len: stat.st_size as u64 };
        let access = STANDARD_RIGHTS | SECTION_MAP_READ | 1;
        table::insert(Entry { object: Object::Section(Arc::new(section)), access, inherited: None })
    });
    match created {
        Ok(created) => {
            *handle = created;
            0
        }
        Err(error) => error.0,
    }
}
