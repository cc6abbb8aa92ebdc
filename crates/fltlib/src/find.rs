//! Enumerations: a list of what there is at the beginning, told one by one.

use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

use abi::file::{self, File, Reference};
use abi::{Error, Handle, pointer};
use proto::status::Status;
use sys::guarded;

use crate::hresult::{Failure, hresult};
use crate::record::Record;

/// An enumeration of `R`s, as a file of a type of its own.
#[derive(Debug)]
pub(crate) struct Find<R> {
    all: Vec<R>,
    /// Which is told next.
    next: Mutex<usize>,
}

impl<R: Record> File for Find<R> {
    const TYPE: u32 = R::FIND_TYPE;
}

impl<R: Record> Find<R> {
    /// Tells the next one. It stays the next if it could not be told.
    fn tell(&self, class: u32, buffer: *mut c_void, room: u32, returned: *mut u32) -> Result<(), Failure> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let record = self.all.get(*next).ok_or(Error::NO_MORE_ITEMS)?;
        // SAFETY: the program wants the record there.
        unsafe { tell(record, class, buffer, room, returned) }?;
        *next += 1;
        Ok(())
    }
}

/// Puts a record into a buffer, and says how long it is, or would be.
///
/// # Safety
/// Both are the program's.
pub(crate) unsafe fn tell(
    record: &impl Record,
    class: u32,
    buffer: *mut c_void,
    room: u32,
    returned: *mut u32,
) -> Result<(), Failure> {
    let bytes = record.encode(class).ok_or(Status::INVALID_PARAMETER)?;
    // SAFETY: as of our caller.
    unsafe { pointer::write(returned, &(bytes.len() as u32)) }?;
    if bytes.len() > room as usize {
        return Err(Error::INSUFFICIENT_BUFFER.into());
    }
    // SAFETY: as of our caller, and it fits.
    unsafe { guarded::write(buffer as usize, &bytes) }.map_err(Error::from)?;
    Ok(())
}

/// Begins an enumeration, and tells its first.
///
/// # Safety
/// The pointers are the program's.
pub(crate) unsafe fn first<R: Record>(
    all: impl FnOnce() -> Result<Vec<R>, Failure>,
    class: u32,
    buffer: *mut c_void,
    room: u32,
    returned: *mut u32,
    handle: *mut Handle,
) -> u32 {
    hresult(|| {
        // SAFETY: as of our caller.
        unsafe { pointer::write(handle, &Handle::INVALID) }?;
        let find = Find { all: all()?, next: Mutex::new(0) };
        find.tell(class, buffer, room, returned)?;
        let created = file::create(find, 0, 0)?;
        // SAFETY: as of our caller.
        let told = unsafe { pointer::write(handle, &created) };
        if told.is_err() {
            file::close::<Find<R>>(created)?;
        }
        Ok(told?)
    })
}

/// Tells the next of an enumeration.
///
/// # Safety
/// The pointers are the program's.
pub(crate) unsafe fn next<R: Record>(
    find: Handle,
    class: u32,
    buffer: *mut c_void,
    room: u32,
    returned: *mut u32,
) -> u32 {
    hresult(|| Reference::<Find<R>>::new(find, 0)?.tell(class, buffer, room, returned))
}

/// Ends an enumeration.
pub(crate) fn close<R: Record>(find: Handle) -> u32 {
    hresult(|| Ok(file::close::<Find<R>>(find)?))
}
