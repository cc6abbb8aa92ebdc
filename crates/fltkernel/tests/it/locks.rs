//! Locks, interrupt request levels, regions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use fltkernel::edge::Ptr;
use fltkernel::kernel::irql::*;
use fltkernel::kernel::locks::*;
use fltkernel::kernel::report::{Rule, capture};
use fltkernel::kernel::thread::*;

/// Memory for a lock of any kind.
struct Place(Box<[u64; 16]>);

impl Place {
    fn new() -> Self {
        Self(Box::new([0; 16]))
    }

    fn at<T>(&self) -> Ptr<T> {
        Ptr::new(self.0.as_ptr().cast_mut()).cast()
    }
}

#[test]
fn KeAcquireSpinLock_raises_to_DISPATCH_LEVEL_and_back() {
    let lock = Place::new();
    KeInitializeSpinLock(lock.at());
    let before = KeAcquireSpinLockRaiseToDpc(lock.at());
    assert_eq!((before, KeGetCurrentIrql()), (PASSIVE, DISPATCH));
    KeReleaseSpinLock(lock.at(), before);
    assert_eq!(KeGetCurrentIrql(), PASSIVE);
}

#[test]
fn a_spin_lock_excludes_other_threads() {
    let lock = Place::new();
    KeInitializeSpinLock(lock.at());
    let count = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let before = KeAcquireSpinLockRaiseToDpc(lock.at());
                    let seen = count.load(Ordering::Relaxed);
                    thread::sleep(std::time::Duration::ZERO);
                    count.store(seen + 1, Ordering::Relaxed);
                    KeReleaseSpinLock(lock.at(), before);
                }
            });
        }
    });
    assert_eq!(count.into_inner(), 2000);
}

#[test]
fn KeReleaseSpinLock_of_a_lock_that_is_not_held_is_a_finding() {
    let lock = Place::new();
    assert_eq!(capture(|| KeReleaseSpinLock(lock.at(), PASSIVE)).1, [Rule::LockOwner]);
}

#[test]
fn ExAcquireFastMutex_raises_to_APC_LEVEL() {
    let mutex = Place::new();
    ExInitializeFastMutex(mutex.at());
    ExAcquireFastMutex(mutex.at());
    assert_eq!(KeGetCurrentIrql(), APC);
    assert_eq!(thread::scope(|scope| scope.spawn(|| ExTryToAcquireFastMutex(mutex.at())).join().unwrap_or(9)), 0);
    ExReleaseFastMutex(mutex.at());
    assert_eq!(KeGetCurrentIrql(), PASSIVE);
}

#[test]
fn ExAcquireFastMutexUnsafe_needs_a_region() {
    let mutex = Place::new();
    ExInitializeFastMutex(mutex.at());
    assert_eq!(capture(|| ExAcquireFastMutexUnsafe(mutex.at())).1, [Rule::ResApc]);
    ExReleaseFastMutexUnsafe(mutex.at());
}

#[test]
fn a_resource_is_owned_several_times_and_shared_by_its_owner() {
    let resource = Place::new();
    let _ = ExInitializeResourceLite(resource.at());
    KeEnterCriticalRegion();
    assert_eq!(ExAcquireResourceExclusiveLite(resource.at(), 1), 1);
    assert_eq!(ExAcquireResourceExclusiveLite(resource.at(), 0), 1);
    assert_eq!(ExAcquireResourceSharedLite(resource.at(), 0), 1);
    assert_eq!(ExIsResourceAcquiredExclusiveLite(resource.at()), 1);
    assert_eq!(ExIsResourceAcquiredSharedLite(resource.at()), 3);
    for _ in 0..3 {
        ExReleaseResourceLite(resource.at());
    }
    assert_eq!(ExIsResourceAcquiredExclusiveLite(resource.at()), 0);
    KeLeaveCriticalRegion();
    assert_eq!(capture(|| _ = ExDeleteResourceLite(resource.at())).1, []);
}

#[test]
fn ExAcquireResourceExclusiveLite_without_waiting_says_no() {
    let resource = Place::new();
    let _ = ExInitializeResourceLite(resource.at());
    FltAcquireResourceShared(resource.at());
    let other = || {
        KeEnterCriticalRegion();
        let answers = (ExAcquireResourceExclusiveLite(resource.at(), 0), ExAcquireResourceSharedLite(resource.at(), 0));
        if answers.1 == 1 {
            ExReleaseResourceLite(resource.at());
        }
        KeLeaveCriticalRegion();
        answers
    };
    assert_eq!(thread::scope(|scope| scope.spawn(other).join().unwrap_or((9, 9))), (0, 1));
    FltReleaseResource(resource.at());
    let _ = ExDeleteResourceLite(resource.at());
}

#[test]
fn a_resource_without_a_region_is_a_finding() {
    let resource = Place::new();
    let _ = ExInitializeResourceLite(resource.at());
    assert_eq!(capture(|| ExAcquireResourceSharedLite(resource.at(), 1)).1, [Rule::ResApc]);
    ExReleaseResourceLite(resource.at());
    let _ = ExDeleteResourceLite(resource.at());
}

#[test]
fn ExDeleteResourceLite_of_a_held_one_is_a_finding() {
    let resource = Place::new();
    let _ = ExInitializeResourceLite(resource.at());
    FltAcquireResourceExclusive(resource.at());
    assert_eq!(capture(|| _ = ExDeleteResourceLite(resource.at())).1, [Rule::LockHeld]);
    KeLeaveCriticalRegion();
}

#[test]
fn a_push_lock_is_shared_or_exclusive() {
    let lock = Place::new();
    FltInitializePushLock(lock.at());
    FltAcquirePushLockSharedEx(lock.at(), 0);
    let other = || {
        FltAcquirePushLockSharedEx(lock.at(), 0);
        FltReleasePushLockEx(lock.at(), 0);
        true
    };
    assert!(thread::scope(|scope| scope.spawn(other).join().unwrap_or(false)));
    FltReleasePushLockEx(lock.at(), 0);
    FltAcquirePushLockExclusiveEx(lock.at(), 0);
    assert_eq!(capture(|| FltDeletePushLock(lock.at())).1, [Rule::LockHeld]);
    KeLeaveCriticalRegion();
}

#[test]
fn two_orders_of_two_locks_are_a_finding() {
    let (a, b) = (Place::new(), Place::new());
    let both = |first: &Place, second: &Place| {
        let outer = KeAcquireSpinLockRaiseToDpc(first.at());
        let inner = KeAcquireSpinLockRaiseToDpc(second.at());
        KeReleaseSpinLock(second.at(), inner);
        KeReleaseSpinLock(first.at(), outer);
    };
    assert_eq!(capture(|| both(&a, &b)).1, []);
    assert_eq!(capture(|| both(&b, &a)).1, [Rule::LockOrder]);
}

#[test]
fn KeLeaveCriticalRegion_without_one_is_a_finding() {
    assert_eq!(capture(|| KeLeaveCriticalRegion()).1, [Rule::ResApc]);
}

#[test]
fn KeAreApcsDisabled_and_KeAreAllApcsDisabled() {
    assert_eq!((KeAreApcsDisabled(), KeAreAllApcsDisabled()), (0, 0));
    KeEnterCriticalRegion();
    assert_eq!((KeAreApcsDisabled(), KeAreAllApcsDisabled()), (1, 0));
    KeLeaveCriticalRegion();
    KeEnterGuardedRegion();
    assert_eq!((KeAreApcsDisabled(), KeAreAllApcsDisabled()), (1, 1));
    KeLeaveGuardedRegion();
}

#[test]
fn PAGED_CODE_above_APC_LEVEL_is_a_finding() {
    let mut name = *b"Function\0";
    let check = || fk_paged_code(Ptr::new(name.as_mut_ptr()), Ptr::NULL, 1);
    let before = KfRaiseIrql(DISPATCH);
    let at_dispatch = capture(check).1;
    KeLowerIrql(before);
    assert_eq!(at_dispatch, [Rule::IrqlPaged]);
}
