//! Calls about volumes. A PFLT_INSTANCE stands for its volume where Windows says so.

use std::sync::Arc;

use super::{Volume, all, path_of};
use crate::edge::Ptr;
use crate::filter::instance::Instance;
use crate::kernel::object::{self, address};
use crate::kernel::report::{self, Rule};
use crate::nt::status::{self, Status};
use crate::nt::{Boolean, UnicodeString, Unit, VolumeProperties, wide};

/// The volume that this pointer is, or of which it is an instance.
pub fn volume_of(pointer: Ptr) -> Option<Arc<Volume>> {
    if let Some(instance) = object::find::<Instance>(pointer) {
        return Some(instance.volume.clone());
    }
    object::get::<Volume>(pointer, "volume or instance")
}

fn give(volume: &Arc<Volume>, result: Ptr<Ptr>) -> Status {
    object::reference(address(volume));
    result.write(address(volume));
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetVolumeFromInstance(instance: Ptr, result: Ptr<Ptr>) -> Status {
    result.write(Ptr::NULL);
    let Some(instance) = object::get::<Instance>(instance, "instance") else { return status::INVALID_PARAMETER };
    if instance.is_going() {
        return status::FLT_DELETING_OBJECT;
    }
    give(&instance.volume, result)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetVolumeFromName(_filter: Ptr, name: Ptr<UnicodeString>, result: Ptr<Ptr>) -> Status {
    result.write(Ptr::NULL);
    match path_of(&name.read().units()) {
        Some((volume, _)) => give(&volume, result),
        None => status::FLT_VOLUME_NOT_FOUND,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetVolumeFromFileObject(_filter: Ptr, file: Ptr, result: Ptr<Ptr>) -> Status {
    result.write(Ptr::NULL);
    match crate::filter::file::get(file) {
        Some(file) => give(&file.volume, result),
        None => status::FLT_VOLUME_NOT_FOUND,
    }
}

/// Puts strings behind a structure in the same buffer: gives where each lies.
fn put_strings(mut at: Ptr<Unit>, texts: &[Vec<Unit>]) -> Vec<UnicodeString> {
    let mut strings = Vec::new();
    for text in texts {
        at.write_many(text);
        let length = (text.len() * 2) as u16;
        strings.push(UnicodeString { length, room: length, buffer: at });
        at = at.add(text.len());
    }
    strings
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetVolumeProperties(
    volume: Ptr,
    properties: Ptr<VolumeProperties>,
    size: u32,
    needed: Ptr<u32>,
) -> Status {
    const REMOTE: u32 = 0x10;
    const READ_ONLY: u32 = 2;
    const FIXED: usize = size_of::<VolumeProperties>();
    let Some(volume) = volume_of(volume) else { return status::INVALID_PARAMETER };
    let driver = format!(r"\FileSystem\{}", volume.kind_name());
    let texts = [wide(&driver), wide(&format!(r"\{}", volume.kind_name())), wide(&volume.device_name())];
    let need = FIXED + texts.iter().map(|text| text.len() * 2).sum::<usize>();
    needed.write_some(need as u32);
    if properties.is_null() || (size as usize) < FIXED {
        return status::BUFFER_TOO_SMALL;
    }
    let flag = |set: bool, flag: u32| if set { flag } else { 0 };
    let mut whole = VolumeProperties {
        device_type: volume.device_type(),
        characteristics: flag(volume.remote, REMOTE) | flag(volume.read_only, READ_ONLY),
        sector_size: 512,
        ..VolumeProperties::default()
    };
    let room = size as usize >= need;
    if room {
        let strings = put_strings(properties.add(1).cast(), &texts);
        (whole.driver_name, whole.device_name, whole.real_device_name) = (strings[0], strings[1], strings[2]);
    }
    properties.write(whole);
    if room { status::SUCCESS } else { status::BUFFER_OVERFLOW }
}

/// Writes a name into a counted string; too small says so, and how many bytes are needed.
fn put_name(name: &str, to: Ptr<UnicodeString>, needed: Ptr<u32>) -> Status {
    let units = wide(name);
    needed.write_some((units.len() * 2) as u32);
    let Some(to) = to.some() else {
        return if needed.is_null() { status::INVALID_PARAMETER } else { status::BUFFER_TOO_SMALL };
    };
    let mut string = to.read();
    if usize::from(string.room) < units.len() * 2 {
        return status::BUFFER_TOO_SMALL;
    }
    string.buffer.write_many(&units);
    string.length = (units.len() * 2) as u16;
    to.write(string);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetVolumeName(volume: Ptr, name: Ptr<UnicodeString>, needed: Ptr<u32>) -> Status {
    let Some(volume) = volume_of(volume) else { return status::INVALID_PARAMETER };
    put_name(&volume.device_name(), name, needed)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetVolumeGuidName(volume: Ptr, name: Ptr<UnicodeString>, needed: Ptr<u32>) -> Status {
    let Some(volume) = volume_of(volume) else { return status::INVALID_PARAMETER };
    if volume.remote {
        return status::INVALID_DEVICE_REQUEST;
    }
    put_name(&format!(r"\??\{}", volume.guid_name()), name, needed)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltIsVolumeWritable(volume: Ptr, writable: Ptr<Boolean>) -> Status {
    let Some(volume) = volume_of(volume) else { return status::INVALID_PARAMETER };
    writable.write((!volume.read_only).into());
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetFileSystemType(volume: Ptr, kind: Ptr<u32>) -> Status {
    let Some(volume) = volume_of(volume) else { return status::INVALID_PARAMETER };
    kind.write(volume.kind_number());
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltEnumerateVolumes(_filter: Ptr, list: Ptr<Ptr>, room: u32, count: Ptr<u32>) -> Status {
    let volumes = all();
    count.write(volumes.len() as u32);
    if (room as usize) < volumes.len() {
        return status::BUFFER_TOO_SMALL;
    }
    for (at, volume) in volumes.iter().enumerate() {
        give(volume, list.add(at));
    }
    status::SUCCESS
}

/// `\Device\HarddiskVolume1`'s letter with a colon, or its GUID name: a string from the pool.
#[unsafe(no_mangle)]
pub extern "C" fn IoVolumeDeviceToDosName(device: Ptr, name: Ptr<UnicodeString>) -> Status {
    let Some(volume) = crate::filter::device::volume_of(device) else {
        report::find(Rule::Object, "a device that is no volume has no DOS name");
        return status::INVALID_PARAMETER;
    };
    let text = match volume.letter {
        Some(letter) => format!("{letter}:"),
        None => format!(r"\\?\{}", volume.guid_name()),
    };
    crate::kernel::string::give(name, &wide(&text))
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlVolumeDeviceToDosName(device: Ptr, name: Ptr<UnicodeString>) -> Status {
    IoVolumeDeviceToDosName(device, name)
}
