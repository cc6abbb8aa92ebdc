//! Events and semaphores, as programs call them.

use std::sync::Arc;

use abi::{Error, Handle, pointer};
use smallvec::SmallVec;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::event::Event;
use crate::home::{Home, Shareable, Shared};
use crate::inherit::Inherited;
use crate::last_error::{self, handle, succeeds};
use crate::named::Name;
use crate::object::{EventObject, Files, Object};
use crate::semaphore::Semaphore;
use crate::table::{self, Entry};

/// The right to set and reset an event, and to release a semaphore.
pub(crate) const MODIFY_STATE: u32 = 2;
/// Every right to either.
const ALL_ACCESS: u32 = 0x001F_0003;
const MAXIMUM_ALLOWED: u32 = 0x0200_0000;

/// SECURITY_ATTRIBUTES. Of the descriptor no notice is taken: an object is for its user.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct SecurityAttributes {
    length: u32,
    padding: u32,
    descriptor: usize,
    inherit: i32,
    padding_2: u32,
}

/// Whether the handle is to be inherited.
fn inherits(attributes: *const SecurityAttributes) -> Result<bool, Error> {
    Ok(!attributes.is_null() && pointer::read(attributes)?.inherit != 0)
}

type Text = SmallVec<[u16; 32]>;

/// A name of 16-bit characters, if there is one.
fn wide_name(name: *const u16) -> Result<Option<Text>, Error> {
    if name.is_null() { Ok(None) } else { pointer::read_wide(name, 0x7FFF).map(Some) }
}

/// A name of bytes, which are UTF-8.
fn narrow_name(name: *const u8) -> Result<Option<Text>, Error> {
    if name.is_null() {
        return Ok(None);
    }
    let bytes = pointer::read_narrow(name, 0x7FFF)?;
    Ok(Some(String::from_utf8_lossy(&bytes).encode_utf16().collect()))
}

/// An object, with a name or without, and whether it is new.
fn place<T: Shareable>(
    name: Option<Text>,
    inherit: bool,
    make: impl FnOnce(bool) -> T,
) -> Result<(Home<T>, bool), Error> {
    match name.filter(|name| !name.is_empty()) {
        Some(name) => Name::parse(&name)?.create(make(true)),
        None if inherit => Ok((Home::Shared(Shared::anonymous(make(true))?), true)),
        None => Ok((Home::Own(make(false)), true)),
    }
}

/// Makes a handle to what was created, and says in GetLastError whether it had been there.
fn open(object: Object, access: u32, inherit: bool, new: bool) -> Result<Handle, Error> {
    let inherited = inherit.then(|| Inherited::object(&object)).transpose()?;
    let access = if access & MAXIMUM_ALLOWED != 0 { ALL_ACCESS } else { access };
    let created = table::insert(Entry { object, access, inherited })?;
    last_error::set(if new { Error(0) } else { Error::ALREADY_EXISTS });
    Ok(created)
}

fn create_event(
    attributes: *const SecurityAttributes,
    name: Option<Text>,
    manual: bool,
    signalled: bool,
    access: u32,
) -> Result<Handle, Error> {
    let inherit = inherits(attributes)?;
    let (event, new) = place(name, inherit, |shared| Event::new(manual, signalled, shared))?;
    let object = Object::Event(Arc::new(EventObject { event, files: Files::default() }));
    open(object, access, inherit, new)
}

fn create_semaphore(
    attributes: *const SecurityAttributes,
    name: Option<Text>,
    count: i32,
    limit: i32,
    access: u32,
) -> Result<Handle, Error> {
    let inherit = inherits(attributes)?;
    let semaphore = Semaphore::new(count, limit)?;
    let (semaphore, new) = place(name, inherit, |_| semaphore)?;
    open(Object::Semaphore(Arc::new(semaphore)), access, inherit, new)
}

/// Opens what has a name, by `object` of where it lies.
fn open_named<T: Shareable>(
    name: Option<Text>,
    access: u32,
    inherit: i32,
    object: impl FnOnce(Home<T>) -> Object,
) -> Result<Handle, Error> {
    let name = name.filter(|name| !name.is_empty()).ok_or(Error::INVALID_PARAMETER)?;
    let home = Name::parse(&name)?.open()?;
    let inherited = inherit != 0;
    open(object(home), access, inherited, true)
}

fn event_object(event: Home<Event>) -> Object {
    Object::Event(Arc::new(EventObject { event, files: Files::default() }))
}

fn semaphore_object(semaphore: Home<Semaphore>) -> Object {
    Object::Semaphore(Arc::new(semaphore))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn CreateEventW(
    attributes: *const SecurityAttributes,
    manual: i32,
    signalled: i32,
    name: *const u16,
) -> Handle {
    handle(|| create_event(attributes, wide_name(name)?, manual != 0, signalled != 0, ALL_ACCESS))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn CreateEventA(
    attributes: *const SecurityAttributes,
    manual: i32,
    signalled: i32,
    name: *const u8,
) -> Handle {
    handle(|| create_event(attributes, narrow_name(name)?, manual != 0, signalled != 0, ALL_ACCESS))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn CreateEventExW(
    attributes: *const SecurityAttributes,
    name: *const u16,
    flags: u32,
    access: u32,
) -> Handle {
    const MANUAL_RESET: u32 = 1;
    const INITIAL_SET: u32 = 2;
    handle(|| {
        if flags & !(MANUAL_RESET | INITIAL_SET) != 0 {
            return Err(Error::INVALID_PARAMETER);
        }
        create_event(attributes, wide_name(name)?, flags & MANUAL_RESET != 0, flags & INITIAL_SET != 0, access)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn OpenEventW(access: u32, inherit: i32, name: *const u16) -> Handle {
    handle(|| open_named(wide_name(name)?, access, inherit, event_object))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn OpenEventA(access: u32, inherit: i32, name: *const u8) -> Handle {
    handle(|| open_named(narrow_name(name)?, access, inherit, event_object))
}

#[unsafe(no_mangle)]
extern "C" fn SetEvent(event: Handle) -> i32 {
    succeeds(|| {
        table::typed(event, MODIFY_STATE, Object::event)?.event.set();
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn ResetEvent(event: Handle) -> i32 {
    succeeds(|| {
        table::typed(event, MODIFY_STATE, Object::event)?.event.reset();
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn PulseEvent(event: Handle) -> i32 {
    succeeds(|| {
        table::typed(event, MODIFY_STATE, Object::event)?.event.pulse();
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn CreateSemaphoreW(
    attributes: *const SecurityAttributes,
    count: i32,
    limit: i32,
    name: *const u16,
) -> Handle {
    handle(|| create_semaphore(attributes, wide_name(name)?, count, limit, ALL_ACCESS))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn CreateSemaphoreA(
    attributes: *const SecurityAttributes,
    count: i32,
    limit: i32,
    name: *const u8,
) -> Handle {
    handle(|| create_semaphore(attributes, narrow_name(name)?, count, limit, ALL_ACCESS))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn OpenSemaphoreW(access: u32, inherit: i32, name: *const u16) -> Handle {
    handle(|| open_named(wide_name(name)?, access, inherit, semaphore_object))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ReleaseSemaphore(semaphore: Handle, count: i32, before: *mut i32) -> i32 {
    succeeds(|| {
        let was = table::typed(semaphore, MODIFY_STATE, Object::semaphore)?.release(count)?;
        // SAFETY: the program wants the old count there.
        unsafe { pointer::write_optional(before, &was) }
    })
}
