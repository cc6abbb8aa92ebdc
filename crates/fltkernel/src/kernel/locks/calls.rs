//! Spin locks, mutexes and push locks.

use super::{Kind, Mode, acquire, initialize, order, release};
use crate::edge::{Ptr, member};
use crate::kernel::report::{self, Rule};
use crate::kernel::{irql, thread};
use crate::nt::Boolean;

/// `KLOCK_QUEUE_HANDLE`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct QueueHandle {
    next: Ptr,
    lock: Ptr,
    irql: u8,
}

/// `FAST_MUTEX`: the level from before lies in its last member.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FastMutex {
    count: i32,
    owner: Ptr,
    contention: u32,
    event: [u64; 3],
    irql: u32,
}

#[unsafe(no_mangle)]
pub extern "C" fn KeInitializeSpinLock(lock: Ptr<usize>) {
    lock.write(0);
    initialize(lock.cast());
}

#[unsafe(no_mangle)]
pub extern "C" fn KeAcquireSpinLockRaiseToDpc(lock: Ptr) -> u8 {
    let before = irql::KfRaiseIrql(irql::DISPATCH);
    acquire(lock, Kind::Spin, Mode::Exclusive, true);
    before
}

#[unsafe(no_mangle)]
pub extern "C" fn KeReleaseSpinLock(lock: Ptr, before: u8) {
    release(lock, Kind::Spin);
    irql::KeLowerIrql(before);
}

#[unsafe(no_mangle)]
pub extern "C" fn KeAcquireSpinLockAtDpcLevel(lock: Ptr) {
    if irql::level() < irql::DISPATCH {
        report::find(Rule::Irql, "KeAcquireSpinLockAtDpcLevel below DISPATCH_LEVEL");
    }
    acquire(lock, Kind::Spin, Mode::Exclusive, true);
}

#[unsafe(no_mangle)]
pub extern "C" fn KeReleaseSpinLockFromDpcLevel(lock: Ptr) {
    release(lock, Kind::Spin);
}

#[unsafe(no_mangle)]
pub extern "C" fn KeTryToAcquireSpinLockAtDpcLevel(lock: Ptr) -> Boolean {
    acquire(lock, Kind::Spin, Mode::Exclusive, false).into()
}

#[unsafe(no_mangle)]
pub extern "C" fn KeAcquireInStackQueuedSpinLock(lock: Ptr, handle: Ptr<QueueHandle>) {
    let irql = KeAcquireSpinLockRaiseToDpc(lock);
    handle.write(QueueHandle { next: Ptr::NULL, lock, irql });
}

#[unsafe(no_mangle)]
pub extern "C" fn KeReleaseInStackQueuedSpinLock(handle: Ptr<QueueHandle>) {
    let QueueHandle { lock, irql, .. } = handle.read();
    KeReleaseSpinLock(lock, irql);
}

#[unsafe(no_mangle)]
pub extern "C" fn KeAcquireInStackQueuedSpinLockAtDpcLevel(lock: Ptr, handle: Ptr<QueueHandle>) {
    KeAcquireSpinLockAtDpcLevel(lock);
    handle.write(QueueHandle { next: Ptr::NULL, lock, irql: irql::DISPATCH });
}

#[unsafe(no_mangle)]
pub extern "C" fn KeReleaseInStackQueuedSpinLockFromDpcLevel(handle: Ptr<QueueHandle>) {
    KeReleaseSpinLockFromDpcLevel(handle.read().lock);
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAcquireSpinLockExclusive(lock: Ptr) -> u8 {
    KeAcquireSpinLockRaiseToDpc(lock)
}

#[unsafe(no_mangle)]
pub extern "C" fn ExReleaseSpinLockExclusive(lock: Ptr, before: u8) {
    KeReleaseSpinLock(lock, before);
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAcquireSpinLockShared(lock: Ptr) -> u8 {
    let before = irql::KfRaiseIrql(irql::DISPATCH);
    acquire(lock, Kind::Spin, Mode::Shared, true);
    before
}

#[unsafe(no_mangle)]
pub extern "C" fn ExReleaseSpinLockShared(lock: Ptr, before: u8) {
    KeReleaseSpinLock(lock, before);
}

#[unsafe(no_mangle)]
pub extern "C" fn ExInitializeFastMutex(mutex: Ptr<FastMutex>) {
    mutex.cast::<u8>().fill(0, size_of::<FastMutex>());
    member!(mutex, FastMutex, count).write(1);
    initialize(mutex.cast());
}

/// Takes a mutex at `level`, and remembers the level from before in it.
fn acquire_mutex(mutex: Ptr<FastMutex>, level: u8, wait: bool) -> bool {
    irql::expect(irql::APC, "acquiring a mutex");
    let before = irql::level();
    irql::set(level.max(before));
    if !acquire(mutex.cast(), Kind::Mutex, Mode::Exclusive, wait) {
        irql::set(before);
        return false;
    }
    member!(mutex, FastMutex, count).write(0);
    member!(mutex, FastMutex, irql).write(before.into());
    true
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAcquireFastMutex(mutex: Ptr<FastMutex>) {
    acquire_mutex(mutex, irql::APC, true);
}

#[unsafe(no_mangle)]
pub extern "C" fn ExTryToAcquireFastMutex(mutex: Ptr<FastMutex>) -> Boolean {
    acquire_mutex(mutex, irql::APC, false).into()
}

#[unsafe(no_mangle)]
pub extern "C" fn ExReleaseFastMutex(mutex: Ptr<FastMutex>) {
    let before = member!(mutex, FastMutex, irql).read() as u8;
    member!(mutex, FastMutex, count).write(1);
    release(mutex.cast(), Kind::Mutex);
    irql::set(before);
}

fn expect_region(what: &str) {
    if !thread::apcs_disabled() {
        report::find(Rule::ResApc, format!("{what} with normal APCs enabled: no critical region was entered"));
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAcquireFastMutexUnsafe(mutex: Ptr<FastMutex>) {
    expect_region("ExAcquireFastMutexUnsafe");
    acquire_mutex(mutex, irql::PASSIVE, true);
}

#[unsafe(no_mangle)]
pub extern "C" fn ExReleaseFastMutexUnsafe(mutex: Ptr<FastMutex>) {
    member!(mutex, FastMutex, count).write(1);
    release(mutex.cast(), Kind::Mutex);
}

#[unsafe(no_mangle)]
pub extern "C" fn KeInitializeGuardedMutex(mutex: Ptr<FastMutex>) {
    ExInitializeFastMutex(mutex);
}

#[unsafe(no_mangle)]
pub extern "C" fn KeAcquireGuardedMutex(mutex: Ptr<FastMutex>) {
    thread::KeEnterGuardedRegion();
    acquire_mutex(mutex, irql::PASSIVE, true);
}

#[unsafe(no_mangle)]
pub extern "C" fn KeTryToAcquireGuardedMutex(mutex: Ptr<FastMutex>) -> Boolean {
    thread::KeEnterGuardedRegion();
    let taken = acquire_mutex(mutex, irql::PASSIVE, false);
    if !taken {
        thread::KeLeaveGuardedRegion();
    }
    taken.into()
}

#[unsafe(no_mangle)]
pub extern "C" fn KeReleaseGuardedMutex(mutex: Ptr<FastMutex>) {
    ExReleaseFastMutexUnsafe(mutex);
    thread::KeLeaveGuardedRegion();
}

#[unsafe(no_mangle)]
pub extern "C" fn KeAcquireGuardedMutexUnsafe(mutex: Ptr<FastMutex>) {
    acquire_mutex(mutex, irql::PASSIVE, true);
}

#[unsafe(no_mangle)]
pub extern "C" fn KeReleaseGuardedMutexUnsafe(mutex: Ptr<FastMutex>) {
    ExReleaseFastMutexUnsafe(mutex);
}

#[unsafe(no_mangle)]
pub extern "C" fn ExInitializePushLock(lock: Ptr<usize>) {
    lock.write(0);
    initialize(lock.cast());
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAcquirePushLockExclusiveEx(lock: Ptr, _flags: u32) {
    expect_region("ExAcquirePushLockExclusive");
    irql::expect(irql::APC, "acquiring a push lock");
    acquire(lock, Kind::Push, Mode::Exclusive, true);
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAcquirePushLockSharedEx(lock: Ptr, _flags: u32) {
    expect_region("ExAcquirePushLockShared");
    irql::expect(irql::APC, "acquiring a push lock");
    acquire(lock, Kind::Push, Mode::Shared, true);
}

#[unsafe(no_mangle)]
pub extern "C" fn ExReleasePushLockExclusiveEx(lock: Ptr, _flags: u32) {
    release(lock, Kind::Push);
}

#[unsafe(no_mangle)]
pub extern "C" fn ExReleasePushLockSharedEx(lock: Ptr, _flags: u32) {
    release(lock, Kind::Push);
}

#[unsafe(no_mangle)]
pub extern "C" fn FltInitializePushLock(lock: Ptr<usize>) {
    ExInitializePushLock(lock);
}

#[unsafe(no_mangle)]
pub extern "C" fn FltDeletePushLock(lock: Ptr) {
    if !super::delete(lock) {
        report::find(Rule::LockHeld, "a push lock is deleted while a thread has it");
    }
    order::forget(lock.address());
}

#[unsafe(no_mangle)]
pub extern "C" fn FltAcquirePushLockExclusiveEx(lock: Ptr, flags: u32) {
    thread::KeEnterCriticalRegion();
    ExAcquirePushLockExclusiveEx(lock, flags);
}

#[unsafe(no_mangle)]
pub extern "C" fn FltAcquirePushLockSharedEx(lock: Ptr, flags: u32) {
    thread::KeEnterCriticalRegion();
    ExAcquirePushLockSharedEx(lock, flags);
}

#[unsafe(no_mangle)]
pub extern "C" fn FltReleasePushLockEx(lock: Ptr, _flags: u32) {
    release(lock, Kind::Push);
    thread::KeLeaveCriticalRegion();
}
