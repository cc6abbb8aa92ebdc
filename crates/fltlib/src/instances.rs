//! Instances: a filter on a volume. Which there are is known to the filter's own process, so that from here there are none.

use std::ffi::c_void;

use abi::file::{self, File, Reference};
use abi::{Handle, pointer};
use proto::status::Status;

use crate::hresult::{Failure, hresult};
use crate::record::Record;
use crate::{filters, find, volumes};

/// The longest name of an instance that is read.
const LONGEST_NAME: usize = 0x7FFF;

/// The last of INSTANCE_INFORMATION_CLASS.
const LAST_CLASS: u32 = 3;

/// An instance.
#[derive(Debug)]
enum Instance {}

impl Record for Instance {
    const FIND_TYPE: u32 = 6;

    fn encode(&self, _class: u32) -> Option<Vec<u8>> {
        match *self {}
    }
}

/// Those of a filter, or of a volume.
fn of<T>(there_is: Result<T, Failure>, class: u32) -> Result<Vec<Instance>, Failure> {
    there_is?;
    if class > LAST_CLASS { Err(Status::INVALID_PARAMETER.into()) } else { Ok(Vec::new()) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FilterInstanceFindFirst(
    filter: *const u16,
    class: u32,
    buffer: *mut c_void,
    room: u32,
    returned: *mut u32,
    handle: *mut Handle,
) -> u32 {
    // SAFETY: as of our caller.
    unsafe { find::first(|| of(filters::find(filter), class), class, buffer, room, returned, handle) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FilterInstanceFindNext(
    handle: Handle,
    class: u32,
    buffer: *mut c_void,
    room: u32,
    returned: *mut u32,
) -> u32 {
    // SAFETY: as of our caller.
    unsafe { find::next::<Instance>(handle, class, buffer, room, returned) }
}

#[unsafe(no_mangle)]
extern "C" fn FilterInstanceFindClose(handle: Handle) -> u32 {
    find::close::<Instance>(handle)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FilterVolumeInstanceFindFirst(
    volume: *const u16,
    class: u32,
    buffer: *mut c_void,
    room: u32,
    returned: *mut u32,
    handle: *mut Handle,
) -> u32 {
    // SAFETY: as of our caller.
    unsafe { find::first(|| of(volumes::find(volume), class), class, buffer, room, returned, handle) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FilterVolumeInstanceFindNext(
    handle: Handle,
    class: u32,
    buffer: *mut c_void,
    room: u32,
    returned: *mut u32,
) -> u32 {
    // SAFETY: as of our caller.
    unsafe { find::next::<Instance>(handle, class, buffer, room, returned) }
}

#[unsafe(no_mangle)]
extern "C" fn FilterVolumeInstanceFindClose(handle: Handle) -> u32 {
    find::close::<Instance>(handle)
}

/// HFILTER_INSTANCE.
struct Opened(Instance);

impl File for Opened {
    const TYPE: u32 = 7;
}

/// The instance of a filter on a volume, by its name or as the only one.
fn find_one(filter: *const u16, volume: *const u16, name: *const u16) -> Result<Instance, Failure> {
    filters::find(filter)?;
    volumes::find(volume)?;
    if !name.is_null() {
        pointer::read_wide(name, LONGEST_NAME)?;
    }
    Err(Status::FLT_INSTANCE_NOT_FOUND.into())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FilterInstanceCreate(
    filter: *const u16,
    volume: *const u16,
    name: *const u16,
    handle: *mut Handle,
) -> u32 {
    hresult(|| {
        // SAFETY: the program wants a handle there.
        unsafe { pointer::write(handle, &Handle::INVALID) }?;
        let created = file::create(Opened(find_one(filter, volume, name)?), 0, 0)?;
        // SAFETY: as above.
        Ok(unsafe { pointer::write(handle, &created) }?)
    })
}

#[unsafe(no_mangle)]
extern "C" fn FilterInstanceClose(handle: Handle) -> u32 {
    hresult(|| Ok(file::close::<Opened>(handle)?))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FilterInstanceGetInformation(
    handle: Handle,
    class: u32,
    buffer: *mut c_void,
    room: u32,
    returned: *mut u32,
) -> u32 {
    hresult(|| {
        let opened = Reference::<Opened>::new(handle, 0)?;
        // SAFETY: as of our caller.
        unsafe { find::tell(&opened.0, class, buffer, room, returned) }
    })
}

/// A filter attaches to volumes by itself, and is not asked to from here.
fn attach(filter: *const u16, volume: *const u16) -> Result<(), Failure> {
    filters::find(filter)?;
    volumes::find(volume)?;
    Err(Status::FLT_DO_NOT_ATTACH.into())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FilterAttach(
    filter: *const u16,
    volume: *const u16,
    _instance: *const u16,
    _created_len: u32,
    _created: *mut u16,
) -> u32 {
    hresult(|| attach(filter, volume))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FilterAttachAtAltitude(
    filter: *const u16,
    volume: *const u16,
    altitude: *const u16,
    _instance: *const u16,
    _created_len: u32,
    _created: *mut u16,
) -> u32 {
    hresult(|| {
        pointer::read_wide(altitude, LONGEST_NAME)?;
        attach(filter, volume)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FilterDetach(filter: *const u16, volume: *const u16, instance: *const u16) -> u32 {
    hresult(|| find_one(filter, volume, instance).map(|_| ()))
}
