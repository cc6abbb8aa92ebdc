//! The functions of contexts.

use std::sync::Arc;

use super::{
    CONTEXTS, FILE, INSTANCE, Key, SECTION, STREAM, STREAM_HANDLE, Slot, VOLUME, allocate, get, reference, release,
    set, unlink,
};
use crate::edge::Ptr;
use crate::filter::file;
use crate::filter::instance::Instance;
use crate::filter::registration::Filter;
use crate::kernel::irql;
use crate::kernel::object::{self, address};
use crate::kernel::report::{self, Rule};
use crate::nt::status::{self, Status};
use crate::nt::{FileObject, RelatedObjects};

#[unsafe(no_mangle)]
pub extern "C" fn FltAllocateContext(filter: Ptr, kind: u16, size: usize, pool_type: u32, result: Ptr<Ptr>) -> Status {
    result.write(Ptr::NULL);
    let Some(filter) = object::get::<Filter>(filter, "filter") else { return status::INVALID_PARAMETER };
    match allocate(&filter, kind, size, pool_type) {
        Ok(context) => {
            result.write(context);
            status::SUCCESS
        }
        Err(status) => status,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn FltReferenceContext(context: Ptr) {
    if !reference(context) {
        report::find(Rule::CtxOver, format!("{context:?} is referenced and is no context"));
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn FltReleaseContext(context: Ptr) {
    irql::expect(irql::DISPATCH, "FltReleaseContext");
    release(context);
}

#[unsafe(no_mangle)]
pub extern "C" fn FltDeleteContext(context: Ptr) {
    let slot = CONTEXTS.with(context.address(), |context| context.slot).flatten();
    if let Some(context) = slot.and_then(unlink) {
        release(context);
    }
}

/// Where a context of this kind hangs for this instance, or why none can.
fn slot(kind: u16, owner: Ptr, file: Ptr<FileObject>) -> Result<Slot, Status> {
    if kind == VOLUME {
        // here the owner is the filter, and the file the volume
        return Ok((owner.address(), Key::Volume(file.address())));
    }
    let instance = object::get::<Instance>(owner, "instance").ok_or(status::INVALID_PARAMETER)?;
    let owner = Arc::as_ptr(&instance) as usize;
    if kind == INSTANCE {
        return Ok((owner, Key::Instance));
    }
    let file = file::find(file.cast()).ok_or(status::NOT_SUPPORTED)?;
    let (device, inode) = file.inode().ok_or(status::NOT_SUPPORTED)?;
    Ok((
        owner,
        match kind {
            FILE => Key::File(device, inode),
            STREAM => Key::Stream(device, inode),
            _ => Key::Handle(file.object().address()),
        },
    ))
}

fn is_going(kind: u16, owner: Ptr) -> bool {
    if kind == VOLUME {
        return object::find::<Filter>(owner).is_none_or(|filter| filter.is_draining());
    }
    object::find::<Instance>(owner).is_some_and(|instance| instance.is_going())
}

fn set_of(kind: u16, owner: Ptr, file: Ptr<FileObject>, operation: u32, new: Ptr, old: Ptr<Ptr>) -> Status {
    const KEEP_IF_EXISTS: u32 = 1;
    irql::expect(irql::APC, "setting a context");
    old.write_some(Ptr::NULL);
    if operation > KEEP_IF_EXISTS || CONTEXTS.with(new.address(), |context| context.kind) != Some(kind) {
        return status::INVALID_PARAMETER;
    }
    let slot = match slot(kind, owner, file) {
        Ok(slot) => slot,
        Err(status) => return status,
    };
    if is_going(kind, owner) {
        return status::FLT_DELETING_OBJECT;
    }
    let (status, was) = set(slot, operation == KEEP_IF_EXISTS, new);
    give_old(was, old);
    status
}

/// The reference is the caller's, or given up if it does not want it.
fn give_old(was: Ptr, old: Ptr<Ptr>) {
    if was.is_null() {
        return;
    }
    if old.is_null() {
        release(was);
    } else {
        old.write(was);
    }
}

fn get_of(kind: u16, owner: Ptr, file: Ptr<FileObject>, result: Ptr<Ptr>) -> Status {
    irql::expect(irql::APC, "getting a context");
    result.write(Ptr::NULL);
    let slot = match slot(kind, owner, file) {
        Ok(slot) => slot,
        Err(status) => return status,
    };
    match get(slot) {
        Some(context) => {
            result.write(context);
            status::SUCCESS
        }
        None => status::NOT_FOUND,
    }
}

fn delete_of(kind: u16, owner: Ptr, file: Ptr<FileObject>, old: Ptr<Ptr>) -> Status {
    old.write_some(Ptr::NULL);
    let slot = match slot(kind, owner, file) {
        Ok(slot) => slot,
        Err(status) => return status,
    };
    match unlink(slot) {
        Some(context) => {
            give_old(context, old);
            status::SUCCESS
        }
        None => status::NOT_FOUND,
    }
}

macro_rules! of_files {
    ($kind:expr, $set:ident $get:ident $delete:ident) => {
        #[unsafe(no_mangle)]
        pub extern "C" fn $set(
            instance: Ptr,
            file: Ptr<FileObject>,
            operation: u32,
            new: Ptr,
            old: Ptr<Ptr>,
        ) -> Status {
            set_of($kind, instance, file, operation, new, old)
        }

        #[unsafe(no_mangle)]
        pub extern "C" fn $get(instance: Ptr, file: Ptr<FileObject>, result: Ptr<Ptr>) -> Status {
            get_of($kind, instance, file, result)
        }

        #[unsafe(no_mangle)]
        pub extern "C" fn $delete(instance: Ptr, file: Ptr<FileObject>, old: Ptr<Ptr>) -> Status {
            delete_of($kind, instance, file, old)
        }
    };
}

of_files!(FILE, FltSetFileContext FltGetFileContext FltDeleteFileContext);
of_files!(STREAM, FltSetStreamContext FltGetStreamContext FltDeleteStreamContext);
of_files!(STREAM_HANDLE, FltSetStreamHandleContext FltGetStreamHandleContext FltDeleteStreamHandleContext);

#[unsafe(no_mangle)]
pub extern "C" fn FltSetInstanceContext(instance: Ptr, operation: u32, new: Ptr, old: Ptr<Ptr>) -> Status {
    set_of(INSTANCE, instance, Ptr::NULL, operation, new, old)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetInstanceContext(instance: Ptr, result: Ptr<Ptr>) -> Status {
    get_of(INSTANCE, instance, Ptr::NULL, result)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltDeleteInstanceContext(instance: Ptr, old: Ptr<Ptr>) -> Status {
    delete_of(INSTANCE, instance, Ptr::NULL, old)
}

/// A context on a volume belongs to the filter that allocated it.
#[unsafe(no_mangle)]
pub extern "C" fn FltSetVolumeContext(volume: Ptr, operation: u32, new: Ptr, old: Ptr<Ptr>) -> Status {
    let Some(filter) = CONTEXTS.with(new.address(), |context| context.filter.clone()) else {
        return status::INVALID_PARAMETER;
    };
    set_of(VOLUME, address(&filter), volume.cast(), operation, new, old)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetVolumeContext(filter: Ptr, volume: Ptr, result: Ptr<Ptr>) -> Status {
    get_of(VOLUME, filter, volume.cast(), result)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltDeleteVolumeContext(filter: Ptr, volume: Ptr, old: Ptr<Ptr>) -> Status {
    delete_of(VOLUME, filter, volume.cast(), old)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltSetTransactionContext(
    _instance: Ptr,
    _transaction: Ptr,
    _operation: u32,
    _new: Ptr,
    old: Ptr<Ptr>,
) -> Status {
    old.write_some(Ptr::NULL);
    status::NOT_SUPPORTED
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetTransactionContext(_instance: Ptr, _transaction: Ptr, result: Ptr<Ptr>) -> Status {
    result.write(Ptr::NULL);
    status::NOT_SUPPORTED
}

/// The kinds in the order of `FLT_RELATED_CONTEXTS`; there are no transactions.
const RELATED: [u16; 6] = [VOLUME, INSTANCE, FILE, STREAM, STREAM_HANDLE, super::TRANSACTION];

fn get_one(objects: &RelatedObjects, kind: u16) -> Ptr {
    let mut context = Ptr::NULL;
    let result = Ptr::new(&raw mut context);
    let _ = match kind {
        VOLUME => get_of(VOLUME, objects.filter, objects.volume.cast(), result),
        super::TRANSACTION => status::NOT_SUPPORTED,
        kind => get_of(kind, objects.instance, objects.file, result),
    };
    context
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetContexts(objects: Ptr<RelatedObjects>, wanted: u16, contexts: Ptr<Ptr>) {
    if wanted & SECTION != 0 {
        report::find(Rule::Arg, "FltGetContexts does not give section contexts: FltGetContextsEx does");
    }
    let objects = objects.read();
    for (at, kind) in RELATED.into_iter().enumerate() {
        let context = if wanted & kind != 0 { get_one(&objects, kind) } else { Ptr::NULL };
        contexts.add(at).write(context);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn FltReleaseContexts(contexts: Ptr<Ptr>) {
    for at in 0..RELATED.len() {
        let context = contexts.add(at).read();
        if !context.is_null() {
            release(context);
            contexts.add(at).write(Ptr::NULL);
        }
    }
}

fn supports(file: Ptr<FileObject>) -> u8 {
    file::find(file.cast()).is_some_and(|file| file.inode().is_some()).into()
}

#[unsafe(no_mangle)]
pub extern "C" fn FltSupportsFileContexts(file: Ptr<FileObject>) -> u8 {
    supports(file)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltSupportsFileContextsEx(file: Ptr<FileObject>, _instance: Ptr) -> u8 {
    supports(file)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltSupportsStreamContexts(file: Ptr<FileObject>) -> u8 {
    supports(file)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltSupportsStreamHandleContexts(file: Ptr<FileObject>) -> u8 {
    supports(file)
}
