//! Volumes: the file systems that are mounted.

use std::ffi::c_void;

use abi::file::{self, File};
use abi::{Error, Handle, pointer};
use proto::status::Status;
use proto::volume::{self, Volume};

use crate::find;
use crate::hresult::{Failure, hresult};
use crate::record::{Record, Structure};

/// FilterVolumeBasicInformation, FilterVolumeStandardInformation.
const BASIC: u32 = 0;
const STANDARD: u32 = 1;
/// The longest name of a volume that is read.
const LONGEST_NAME: usize = 0x7FFF;

/// What FLT_FILESYSTEM_TYPE has for the file systems of Linux. Local disks are called what Windows' are.
const TYPES: [(&str, u32); 16] = [
    ("ext2", 2),
    ("ext3", 2),
    ("ext4", 2),
    ("xfs", 2),
    ("btrfs", 2),
    ("ntfs", 2),
    ("ntfs3", 2),
    ("vfat", 3),
    ("msdos", 3),
    ("iso9660", 4),
    ("udf", 5),
    ("cifs", 6),
    ("smb3", 6),
    ("nfs", 9),
    ("nfs4", 9),
    ("exfat", 22),
];
/// FLT_FSTYPE_UNKNOWN.
const UNKNOWN: u32 = 0;

fn file_system_type(volume: &Volume) -> u32 {
    TYPES.iter().find(|(name, _)| *name == volume.file_system).map_or(UNKNOWN, |(_, number)| *number)
}

impl Record for Volume {
    const FIND_TYPE: u32 = 4;

    fn encode(&self, class: u32) -> Option<Vec<u8>> {
        let (flags, frame) = (0, 0);
        Some(match class {
            BASIC => Structure::only(&self.name()),
            STANDARD => {
                let structure = Structure::new().number(flags).number(frame).number(file_system_type(self));
                structure.finish_with(&self.name())
            }
            _ => return None,
        })
    }
}

/// Those that this process sees, in the order of mounting.
pub(crate) fn all() -> Result<Vec<Volume>, Failure> {
    Ok(volume::parse(&std::fs::read_to_string("/proc/self/mountinfo").map_err(Error::from)?))
}

/// The volume of a name, a mount point, or the drive C:.
pub(crate) fn find(name: *const u16) -> Result<Volume, Failure> {
    let name = String::from_utf16_lossy(&pointer::read_wide(name, LONGEST_NAME)?);
    let found = all()?.into_iter().find(|volume| volume.is_called(&name));
    found.ok_or(Failure::Status(Status::FLT_VOLUME_NOT_FOUND))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FilterVolumeFindFirst(
    class: u32,
    buffer: *mut c_void,
    room: u32,
    returned: *mut u32,
    handle: *mut Handle,
) -> u32 {
    // SAFETY: as of our caller.
    unsafe { find::first(all, class, buffer, room, returned, handle) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FilterVolumeFindNext(
    handle: Handle,
    class: u32,
    buffer: *mut c_void,
    room: u32,
    returned: *mut u32,
) -> u32 {
    // SAFETY: as of our caller.
    unsafe { find::next::<Volume>(handle, class, buffer, room, returned) }
}

#[unsafe(no_mangle)]
extern "C" fn FilterVolumeFindClose(handle: Handle) -> u32 {
    find::close::<Volume>(handle)
}

/// Where a volume is mounted: what stands for its drive letter.
#[unsafe(no_mangle)]
unsafe extern "C" fn FilterGetDosName(name: *const u16, dos_name: *mut u16, room: u32) -> u32 {
    hresult(|| {
        let volume = find(name)?;
        let units: Vec<u16> = volume.mount_point.to_string_lossy().encode_utf16().chain([0]).collect();
        if units.len() > room as usize {
            return Err(Error::INSUFFICIENT_BUFFER.into());
        }
        for (at, unit) in units.iter().enumerate() {
            // SAFETY: the program wants the name there, and it fits.
            unsafe { pointer::write(dos_name.wrapping_add(at), unit) }?;
        }
        Ok(())
    })
}

/// HFILTER_VOLUME. No function of FltLib makes one.
struct Opened;

impl File for Opened {
    const TYPE: u32 = 5;
}

#[unsafe(no_mangle)]
extern "C" fn FilterVolumeClose(handle: Handle) -> u32 {
    hresult(|| Ok(file::close::<Opened>(handle)?))
}
