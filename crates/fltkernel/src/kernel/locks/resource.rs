//! Resources: owned by one thread, several times, or shared by several.

use super::{Kind, Mode, acquire, delete, initialize, order, ownership, release, waiting};
use crate::edge::{Ptr, member};
use crate::kernel::report::{self, Rule};
use crate::kernel::{irql, thread};
use crate::nt::status::{self, Status};
use crate::nt::{Boolean, ListEntry};

/// `ERESOURCE`: only what drivers look at is kept up to date.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Resource {
    links: ListEntry,
    owner_table: Ptr,
    active: i16,
    flags: u16,
    rest: [u64; 9],
}

#[unsafe(no_mangle)]
pub extern "C" fn ExInitializeResourceLite(resource: Ptr<Resource>) -> Status {
    if super::LOCKS.with(resource.address(), |_| ()).is_some() {
        report::find(Rule::LockHeld, "a resource is initialised a second time and was not deleted");
    }
    resource.cast::<u8>().fill(0, size_of::<Resource>());
    initialize(resource.cast());
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn ExReinitializeResourceLite(resource: Ptr<Resource>) -> Status {
    ExDeleteResourceLite(resource);
    ExInitializeResourceLite(resource)
}

#[unsafe(no_mangle)]
pub extern "C" fn ExDeleteResourceLite(resource: Ptr<Resource>) -> Status {
    if !delete(resource.cast()) {
        report::find(Rule::LockHeld, "a resource is deleted while a thread has it");
    }
    order::forget(resource.address());
    status::SUCCESS
}

fn take(resource: Ptr<Resource>, mode: Mode, wait: Boolean) -> Boolean {
    irql::expect(irql::APC, "acquiring a resource");
    if !thread::apcs_disabled() {
        report::find(Rule::ResApc, "a resource is acquired with normal APCs enabled: no critical region was entered");
    }
    let taken = acquire(resource.cast(), Kind::Resource, mode, wait != 0);
    if taken {
        let active = member!(resource, Resource, active);
        active.write(active.read().wrapping_add(1));
    }
    taken.into()
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAcquireResourceExclusiveLite(resource: Ptr<Resource>, wait: Boolean) -> Boolean {
    take(resource, Mode::Exclusive, wait)
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAcquireResourceSharedLite(resource: Ptr<Resource>, wait: Boolean) -> Boolean {
    take(resource, Mode::Shared, wait)
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAcquireSharedStarveExclusive(resource: Ptr<Resource>, wait: Boolean) -> Boolean {
    take(resource, Mode::Shared, wait)
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAcquireSharedWaitForExclusive(resource: Ptr<Resource>, wait: Boolean) -> Boolean {
    take(resource, Mode::Shared, wait)
}

#[unsafe(no_mangle)]
pub extern "C" fn ExReleaseResourceLite(resource: Ptr<Resource>) {
    let active = member!(resource, Resource, active);
    active.write(active.read().wrapping_sub(1));
    release(resource.cast(), Kind::Resource);
}

#[unsafe(no_mangle)]
pub extern "C" fn ExReleaseResourceForThreadLite(resource: Ptr<Resource>, _thread: usize) {
    ExReleaseResourceLite(resource);
}

#[unsafe(no_mangle)]
pub extern "C" fn ExConvertExclusiveToSharedLite(resource: Ptr<Resource>) {
    if ownership(resource.cast()).0 == 0 {
        report::find(Rule::LockOwner, "a resource is converted that this thread does not own");
        return;
    }
    release(resource.cast(), Kind::Resource);
    acquire(resource.cast(), Kind::Resource, Mode::Shared, true);
}

#[unsafe(no_mangle)]
pub extern "C" fn ExEnterCriticalRegionAndAcquireResourceExclusive(resource: Ptr<Resource>) -> Ptr {
    thread::KeEnterCriticalRegion();
    take(resource, Mode::Exclusive, 1);
    Ptr::NULL
}

#[unsafe(no_mangle)]
pub extern "C" fn ExEnterCriticalRegionAndAcquireResourceShared(resource: Ptr<Resource>) -> Ptr {
    thread::KeEnterCriticalRegion();
    take(resource, Mode::Shared, 1);
    Ptr::NULL
}

#[unsafe(no_mangle)]
pub extern "C" fn ExReleaseResourceAndLeaveCriticalRegion(resource: Ptr<Resource>) {
    ExReleaseResourceLite(resource);
    thread::KeLeaveCriticalRegion();
}

#[unsafe(no_mangle)]
pub extern "C" fn ExIsResourceAcquiredExclusiveLite(resource: Ptr<Resource>) -> Boolean {
    (ownership(resource.cast()).0 > 0).into()
}

#[unsafe(no_mangle)]
pub extern "C" fn ExIsResourceAcquiredSharedLite(resource: Ptr<Resource>) -> u32 {
    let (alone, shared) = ownership(resource.cast());
    alone + shared
}

#[unsafe(no_mangle)]
pub extern "C" fn ExGetExclusiveWaiterCount(resource: Ptr<Resource>) -> u32 {
    waiting(resource.cast()).0
}

#[unsafe(no_mangle)]
pub extern "C" fn ExGetSharedWaiterCount(resource: Ptr<Resource>) -> u32 {
    waiting(resource.cast()).1
}

#[unsafe(no_mangle)]
pub extern "C" fn FltAcquireResourceExclusive(resource: Ptr<Resource>) {
    ExEnterCriticalRegionAndAcquireResourceExclusive(resource);
}

#[unsafe(no_mangle)]
pub extern "C" fn FltAcquireResourceShared(resource: Ptr<Resource>) {
    ExEnterCriticalRegionAndAcquireResourceShared(resource);
}

#[unsafe(no_mangle)]
pub extern "C" fn FltReleaseResource(resource: Ptr<Resource>) {
    ExReleaseResourceAndLeaveCriticalRegion(resource);
}
