//! Contexts: memory that a filter hangs on a volume, an instance, a file, a stream or an open file.

mod calls;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

pub use calls::*;

use super::callback;
use super::instance::Instance;
use super::registration::Filter;
use crate::edge::{Place, Ptr};
use crate::kernel::pool::{self, Kind, Request};
use crate::kernel::report::{self, Rule};
use crate::kernel::table::Table;
use crate::kernel::{fault, irql, work};
use crate::lock;
use crate::nt::ContextRegistration;
use crate::nt::status::{self, Status};

/// `FLT_…_CONTEXT`
pub const VOLUME: u16 = 0x01;
pub const INSTANCE: u16 = 0x02;
pub const FILE: u16 = 0x04;
pub const STREAM: u16 = 0x08;
pub const STREAM_HANDLE: u16 = 0x10;
pub const TRANSACTION: u16 = 0x20;
pub const SECTION: u16 = 0x40;

const VARIABLE: usize = usize::MAX;
const NO_EXACT_SIZE_MATCH: u16 = 1;
/// Contents of a context of a fixed size: it is not zeroed.
const FRESH: u8 = 0xC7;

/// What a context hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// The volume's address.
    Volume(usize),
    Instance,
    /// Device and inode.
    File(u64, u64),
    Stream(u64, u64),
    /// The file object's address.
    Handle(usize),
}

/// What a context's owner is: the instance, or for a volume's the filter.
type Slot = (usize, Key);

/// A context.
#[derive(Debug)]
struct Context {
    filter: Arc<Filter>,
    entry: ContextRegistration,
    kind: u16,
    pool_type: u32,
    references: u64,
    /// Where it hangs.
    slot: Option<Slot>,
    place: Place,
    /// Of the last reference that was taken.
    taken: Place,
}

static CONTEXTS: Table<Context> = Table::new();
/// Where each hangs. Under this lock contexts are linked and unlinked: of two that set at once one wins.
static SLOTS: Mutex<Option<HashMap<Slot, Ptr>>> = Mutex::new(None);

/// Whether these entries may be registered.
pub fn check_registration(entries: &[ContextRegistration]) -> Result<(), Status> {
    const MOST_FIXED: usize = 3;
    for kind in [VOLUME, INSTANCE, FILE, STREAM, STREAM_HANDLE, TRANSACTION, SECTION] {
        let mut of_kind: Vec<&ContextRegistration> = Vec::new();
        for entry in entries.iter().filter(|entry| entry.kind == kind) {
            let same = |other: &&ContextRegistration| other.size == entry.size && other.flags == entry.flags;
            if !of_kind.iter().any(same) {
                of_kind.push(entry);
            }
        }
        let wrong = |entry: &&ContextRegistration| {
            entry.tag == 0 && entry.allocate.is_none()
                || !entry.reserved.is_null()
                || entry.allocate.is_some() != entry.free.is_some()
        };
        let fixed = of_kind.iter().filter(|entry| entry.size != VARIABLE).count();
        let own = of_kind.iter().any(|entry| entry.allocate.is_some());
        if of_kind.iter().any(wrong) || fixed > MOST_FIXED || own && of_kind.len() > 1 {
            return Err(status::FLT_INVALID_CONTEXT_REGISTRATION);
        }
    }
    Ok(())
}

/// The entry that fits a size: the smallest fixed one that does, else the one for any size.
fn entry_for(filter: &Filter, kind: u16, size: usize) -> Option<ContextRegistration> {
    let of_kind = || filter.contexts.iter().filter(|entry| entry.kind == kind);
    let fits = |entry: &&ContextRegistration| {
        entry.size == size || entry.size > size && entry.size != VARIABLE && entry.flags & NO_EXACT_SIZE_MATCH != 0
    };
    let fixed = of_kind().filter(fits).min_by_key(|entry| entry.size);
    fixed.or_else(|| of_kind().find(|entry| entry.size == VARIABLE || entry.allocate.is_some())).copied()
}

fn allocate(filter: &Arc<Filter>, kind: u16, size: usize, pool_type: u32) -> Result<Ptr, Status> {
    const MOST: usize = 0xFFFF;
    if size == 0 || kind.count_ones() != 1 || kind > SECTION {
        return Err(status::INVALID_PARAMETER);
    }
    if size > MOST {
        return Err(status::INVALID_BUFFER_SIZE);
    }
    if filter.is_draining() {
        return Err(status::FLT_DELETING_OBJECT);
    }
    let entry = entry_for(filter, kind, size).ok_or(status::FLT_CONTEXT_ALLOCATION_NOT_FOUND)?;
    if kind == VOLUME && pool::kind(pool_type) == Kind::Paged {
        return Err(status::FLT_MUST_BE_NONPAGED_POOL);
    }
    if fault::strikes(fault::Site::Context) {
        return Err(status::INSUFFICIENT_RESOURCES);
    }
    let block = match entry.allocate {
        Some(routine) => callback::call("ContextAllocate", None, 0, || routine(pool_type, size, kind)),
        None => {
            let zeroed = entry.size == VARIABLE;
            let block = pool::allocate(Request { zeroed, ..Request::new(pool::kind(pool_type), size, entry.tag) });
            if !zeroed && !block.is_null() {
                block.fill(FRESH, size);
            }
            block
        }
    };
    if block.is_null() {
        return Err(status::INSUFFICIENT_RESOURCES);
    }
    let place = report::place();
    let context =
        Context { filter: filter.clone(), entry, kind, pool_type, references: 1, slot: None, place, taken: place };
    CONTEXTS.insert(block.address(), context);
    Ok(block)
}

fn reference(context: Ptr) -> bool {
    let taken = report::place();
    CONTEXTS
        .with(context.address(), |context| {
            context.references += 1;
            context.taken = taken;
        })
        .is_some()
}

/// Gives one reference back; at the last one the context goes.
pub fn release(context: Ptr) {
    let left = CONTEXTS.with(context.address(), |context| {
        context.references -= 1;
        context.references
    });
    match left {
        None => report::find(Rule::CtxOver, format!("{context:?} is released and is no context: released too often?")),
        Some(0) => destroy(context),
        Some(_) => {}
    }
}

fn destroy(context: Ptr) {
    let Some(gone) = CONTEXTS.remove(context.address()) else { return };
    let paged = pool::kind(gone.pool_type) == Kind::Paged;
    let finish = move || {
        if let Some(cleanup) = gone.entry.cleanup {
            callback::call("ContextCleanup", None, 0, || cleanup(context, gone.kind));
        }
        match gone.entry.free {
            Some(free) => callback::call("ContextFree", None, 0, || free(context, gone.kind)),
            None => pool::free(context, Some(gone.entry.tag)),
        }
    };
    if paged && irql::level() >= irql::DISPATCH { work::queue(finish) } else { finish() }
}

/// How a set ended: the status, and the context that was there, with a reference for the caller.
fn set(slot: Slot, keep: bool, new: Ptr) -> (Status, Ptr) {
    let mut slots = lock(&SLOTS);
    let slots = slots.get_or_insert_default();
    if CONTEXTS.with(new.address(), |context| context.slot.is_some()) == Some(true) {
        return (status::FLT_CONTEXT_ALREADY_LINKED, Ptr::NULL);
    }
    let old = slots.get(&slot).copied().unwrap_or(Ptr::NULL);
    if keep && !old.is_null() {
        reference(old);
        return (status::FLT_CONTEXT_ALREADY_DEFINED, old);
    }
    slots.insert(slot, new);
    reference(new);
    CONTEXTS.with(new.address(), |context| context.slot = Some(slot));
    // the slot's reference to the old one is the caller's now
    CONTEXTS.with(old.address(), |context| context.slot = None);
    (status::SUCCESS, old)
}

fn get(slot: Slot) -> Option<Ptr> {
    let slots = lock(&SLOTS);
    let context = *slots.as_ref()?.get(&slot)?;
    reference(context);
    Some(context)
}

/// Takes the context from its slot; the slot's reference is the caller's now.
fn unlink(slot: Slot) -> Option<Ptr> {
    let context = lock(&SLOTS).as_mut()?.remove(&slot)?;
    CONTEXTS.with(context.address(), |context| context.slot = None);
    Some(context)
}

fn unlink_where(gone: impl Fn(&Slot) -> bool) {
    let mut removed = Vec::new();
    if let Some(slots) = lock(&SLOTS).as_mut() {
        slots.retain(|slot, context| {
            let keep = !gone(slot);
            if !keep {
                removed.push(*context);
            }
            keep
        });
    }
    for context in removed {
        CONTEXTS.with(context.address(), |context| context.slot = None);
        release(context);
    }
}

/// A file object is closed; `last` if no other of its inode is open.
pub fn remove_of_handle(file: usize) {
    unlink_where(|(_, key)| *key == Key::Handle(file));
}

/// The last open file of this inode is closed.
pub fn remove_of_file(device: u64, inode: u64) {
    unlink_where(|(_, key)| matches!(*key, Key::File(d, i) | Key::Stream(d, i) if (d, i) == (device, inode)));
}

/// An instance is gone.
pub fn remove_of_instance(instance: &Arc<Instance>) {
    let owner = Arc::as_ptr(instance) as usize;
    unlink_where(|(slot, _)| *slot == owner);
}

/// A filter is gone: its contexts on volumes go too.
pub fn remove_of_filter(filter: &Arc<Filter>) {
    let owner = Arc::as_ptr(filter) as usize;
    unlink_where(|(slot, _)| *slot == owner);
}

/// The contexts of a filter that still have references: kind, references, where each was allocated and last referenced.
pub fn left(filter: &Arc<Filter>) -> Vec<(u16, u64, Place, Place)> {
    let mut all = Vec::new();
    CONTEXTS.each(|_, context| {
        if Arc::ptr_eq(&context.filter, filter) {
            all.push((context.kind, context.references, context.place, context.taken));
        }
    });
    all
}

/// Forgets the contexts of a filter that are left.
pub fn forget(filter: &Arc<Filter>) {
    let mut addresses = Vec::new();
    CONTEXTS.each(|address, context| {
        if Arc::ptr_eq(&context.filter, filter) {
            addresses.push(address);
        }
    });
    addresses.into_iter().for_each(|address| _ = CONTEXTS.remove(address));
}
