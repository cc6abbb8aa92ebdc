//! Objects that a driver holds by pointer, and handles.
//!
//! A pointer is looked up, never followed: a wrong or freed one is a finding. Each object has the count that
//! `ObReferenceObject` and `FltObjectReference` move, so that what a driver forgets to give back is told at unload.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::report::{self, Rule};
use super::table::Table;
use crate::edge::{Place, Ptr};
use crate::lock;
use crate::nt::status::{self, Status};

/// Something that drivers know by its address.
pub trait Object: Any + Send + Sync {
    /// What reports call it.
    fn kind(&self) -> &'static str;

    /// The last reference of drivers is gone.
    fn released(&self) {}
}

struct Entry {
    object: Arc<dyn Object>,
    /// References of drivers.
    references: u64,
    /// Of the last reference that was taken.
    place: Place,
    /// Whether it goes with its last reference.
    temporary: bool,
}

static OBJECTS: Table<Entry> = Table::new();

/// The address of an object, by which drivers know it.
pub fn address<T>(object: &Arc<T>) -> Ptr {
    Ptr::new(Arc::as_ptr(object).cast_mut().cast())
}

/// Makes an object known by its address until [`remove`].
pub fn add<T: Object>(object: &Arc<T>) -> Ptr {
    add_at(address(object), object.clone());
    address(object)
}

/// Makes an object known by this address until [`remove`].
pub fn add_at(address: Ptr, object: Arc<dyn Object>) {
    OBJECTS.insert(address.address(), Entry { object, references: 0, place: Place::default(), temporary: false });
}

/// Makes an object known by its address with one reference, with the last of which it goes.
pub fn add_referenced<T: Object>(object: &Arc<T>) -> Ptr {
    let address = address(object);
    let entry = Entry { object: object.clone(), references: 1, place: report::place(), temporary: true };
    OBJECTS.insert(address.address(), entry);
    address
}

/// Forgets an object, and gives how many references drivers have.
pub fn remove(address: Ptr) -> u64 {
    OBJECTS.remove(address.address()).map_or(0, |entry| entry.references)
}

/// The object at this address, if it is one of this type.
pub fn find<T: Object>(address: Ptr) -> Option<Arc<T>> {
    let object = OBJECTS.with(address.address(), |entry| entry.object.clone())?;
    (object as Arc<dyn Any + Send + Sync>).downcast().ok()
}

/// The object at this address; a finding if there is none of this type.
pub fn get<T: Object>(address: Ptr, what: &str) -> Option<Arc<T>> {
    let found = find(address);
    if found.is_none() {
        report::find(Rule::Object, format!("{address:?} is no {what}: never given to the driver, or gone"));
    }
    found
}

/// Takes a reference for a driver; false if there is no such object.
pub fn reference(address: Ptr) -> bool {
    let place = report::place();
    let taken = OBJECTS.with(address.address(), |entry| {
        entry.references += 1;
        entry.place = place;
    });
    taken.is_some()
}

/// Gives a reference of a driver back; false if there is no such object, or no reference.
pub fn dereference(address: Ptr) -> bool {
    let left = OBJECTS.with(address.address(), |entry| {
        let had = entry.references;
        entry.references = had.saturating_sub(1);
        (had > 0, had == 1 && entry.temporary, entry.object.clone())
    });
    let Some((had, last, object)) = left else { return false };
    if last {
        OBJECTS.remove(address.address());
        object.released();
    }
    had
}

/// What drivers hold references to: kind, how many, and where the last was taken.
pub fn held() -> Vec<(&'static str, u64, Place)> {
    let mut all = Vec::new();
    OBJECTS.each(|_, entry| {
        if entry.references > 0 {
            all.push((entry.object.kind(), entry.references, entry.place));
        }
    });
    all
}

/// How many references drivers have to this object.
pub fn references(address: Ptr) -> u64 {
    OBJECTS.with(address.address(), |entry| entry.references).unwrap_or(0)
}

fn change_reference(address: Ptr, change: fn(Ptr) -> bool) -> isize {
    if !change(address) {
        report::find(Rule::Ref, format!("{address:?} is no object with a reference to give back"));
    }
    references(address) as isize
}

#[unsafe(no_mangle)]
pub extern "C" fn ObReferenceObject(object: Ptr) {
    change_reference(object, reference);
}

#[unsafe(no_mangle)]
pub extern "C" fn ObDereferenceObject(object: Ptr) {
    change_reference(object, dereference);
}

#[unsafe(no_mangle)]
pub extern "C" fn ObfReferenceObject(object: Ptr) -> isize {
    change_reference(object, reference)
}

#[unsafe(no_mangle)]
pub extern "C" fn ObfDereferenceObject(object: Ptr) -> isize {
    change_reference(object, dereference)
}

/// Handles count from here in fours: their high bit says that they are the kernel's.
const FIRST: usize = 0xFFFF_FFFF_8000_0004;

struct Handle {
    object: Arc<dyn Object>,
    address: Ptr,
    place: Place,
}

static HANDLES: Mutex<Option<HashMap<usize, Handle>>> = Mutex::new(None);

/// A handle for an object that is known at this address.
pub fn open<T: Object>(object: Arc<T>, address: Ptr) -> Ptr {
    let mut handles = lock(&HANDLES);
    let handles = handles.get_or_insert_default();
    let number = (FIRST..).step_by(4).find(|number| !handles.contains_key(number)).unwrap_or(FIRST);
    handles.insert(number, Handle { object, address, place: report::place() });
    Ptr::at_address(number)
}

/// The object of a handle, and its address, if it is one of this type.
pub fn of_handle<T: Object>(handle: Ptr) -> Result<(Arc<T>, Ptr), Status> {
    let handles = lock(&HANDLES);
    let known = handles.as_ref().and_then(|handles| handles.get(&handle.address())).ok_or(status::INVALID_HANDLE)?;
    let object =
        (known.object.clone() as Arc<dyn Any + Send + Sync>).downcast().map_err(|_| status::OBJECT_TYPE_MISMATCH)?;
    Ok((object, known.address))
}

/// What kind of object a handle has, and the object's address.
pub fn kind_of_handle(handle: Ptr) -> Option<(&'static str, Ptr)> {
    let handles = lock(&HANDLES);
    handles.as_ref()?.get(&handle.address()).map(|known| (known.object.kind(), known.address))
}

/// Closes a handle, and gives its object; a finding if there is none.
pub fn close(handle: Ptr) -> Option<Arc<dyn Object>> {
    let closed = lock(&HANDLES).as_mut().and_then(|handles| handles.remove(&handle.address()));
    if closed.is_none() {
        report::find(Rule::Handle, format!("{handle:?} is closed and is no open handle"));
    }
    closed.map(|handle| handle.object)
}

/// Handles that are open: what of, and where each was opened.
pub fn handles() -> Vec<(&'static str, Place)> {
    lock(&HANDLES).iter().flatten().map(|(_, handle)| (handle.object.kind(), handle.place)).collect()
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwClose(handle: Ptr) -> Status {
    match close(handle) {
        None => status::INVALID_HANDLE,
        Some(object) => {
            if object.kind() == "file" {
                report::find(Rule::FltClose, "a file opened by FltCreateFile is closed by ZwClose instead of FltClose");
            }
            object.released();
            status::SUCCESS
        }
    }
}

/// The types that `ObReferenceObjectByHandle` compares with: addresses that mean a name.
macro_rules! types {
    ($($name:ident = $kind:literal;)*) => {
        $(#[unsafe(no_mangle)] pub static $name: Type = Type(&TypeName(&$kind));)*
    };
}

/// `POBJECT_TYPE *`
#[derive(Debug)]
#[repr(transparent)]
pub struct Type(&'static TypeName);

/// `POBJECT_TYPE`: known by its address, which is where the kind's name is.
#[derive(Debug)]
#[repr(transparent)]
pub struct TypeName(&'static &'static str);

types! {
    IoFileObjectType = "file"; PsProcessType = "process"; PsThreadType = "thread"; ExEventObjectType = "event"; IoDeviceObjectType = "device";
    IoDriverObjectType = "driver"; CmKeyObjectType = "key"; MmSectionObjectType = "section"; SeTokenObjectType = "token";
    ExSemaphoreObjectType = "semaphore"; TmTransactionObjectType = "transaction";
}

/// The kind that a `POBJECT_TYPE` names; `None` for NULL, which is any.
fn kind_of_type(object_type: Ptr) -> Option<&'static str> {
    let all = [
        &IoFileObjectType,
        &PsProcessType,
        &PsThreadType,
        &ExEventObjectType,
        &IoDeviceObjectType,
        &IoDriverObjectType,
        &CmKeyObjectType,
        &MmSectionObjectType,
        &SeTokenObjectType,
        &ExSemaphoreObjectType,
        &TmTransactionObjectType,
    ];
    if object_type.is_null() {
        return None;
    }
    let named = all.iter().find(|known| std::ptr::from_ref(known.0.0) as usize == object_type.address());
    Some(named.map_or("?", |known| *known.0.0))
}

#[unsafe(no_mangle)]
pub extern "C" fn ObReferenceObjectByHandle(
    handle: Ptr,
    _access: u32,
    object_type: Ptr,
    _mode: i8,
    object: Ptr<Ptr>,
    _information: Ptr,
) -> Status {
    object.write(Ptr::NULL);
    let Some((kind, address)) = kind_of_handle(handle) else { return status::INVALID_HANDLE };
    if kind_of_type(object_type).is_some_and(|wanted| wanted != kind) {
        return status::OBJECT_TYPE_MISMATCH;
    }
    reference(address);
    object.write(address);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn ObReferenceObjectByPointer(object: Ptr, _access: u32, object_type: Ptr, _mode: i8) -> Status {
    let kind = OBJECTS.with(object.address(), |entry| entry.object.kind());
    if kind_of_type(object_type).is_some_and(|wanted| Some(wanted) != kind) {
        return status::OBJECT_TYPE_MISMATCH;
    }
    ObReferenceObject(object);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn ObOpenObjectByPointer(
    object: Ptr,
    _attributes: u32,
    _access_state: Ptr,
    _access: u32,
    object_type: Ptr,
    _mode: i8,
    handle: Ptr<Ptr>,
) -> Status {
    let Some(known) = OBJECTS.with(object.address(), |entry| entry.object.clone()) else {
        report::find(Rule::Object, format!("{object:?} is no object"));
        return status::INVALID_PARAMETER;
    };
    if kind_of_type(object_type).is_some_and(|wanted| wanted != known.kind()) {
        return status::OBJECT_TYPE_MISMATCH;
    }
    handle.write(open(Arc::new(Opened(known)), object));
    status::SUCCESS
}

/// What a handle keeps that was opened by pointer.
struct Opened(Arc<dyn Object>);

impl Object for Opened {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }
}
