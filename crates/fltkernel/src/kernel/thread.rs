//! For which process and thread the driver works at the moment.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::process::{self, Process, Thread};
use super::{irql, report};

/// For which thread of which process a callback runs.
#[derive(Clone, Debug)]
pub struct Identity {
    pub process: Arc<Process>,
    pub thread: Arc<Thread>,
}

thread_local! {
    static IDENTITY: RefCell<Option<Identity>> = const { RefCell::new(None) };
    static OPERATION: Cell<u64> = const { Cell::new(0) };
    static CRITICAL: Cell<u32> = const { Cell::new(0) };
    static GUARDED: Cell<u32> = const { Cell::new(0) };
}

/// The number of the operation that this thread's callback is for; 0: none.
pub fn operation() -> u64 {
    OPERATION.get()
}

/// The process for which this thread works; the System process unless a callback runs for another.
pub fn identity() -> Identity {
    IDENTITY.with(|identity| identity.borrow().clone()).unwrap_or_else(process::system)
}

/// Runs something for this identity and operation.
pub fn impersonate<R>(identity: Option<Identity>, number: u64, run: impl FnOnce() -> R) -> R {
    let before = IDENTITY.with(|current| current.replace(identity));
    let operation = OPERATION.replace(number);
    let result = run();
    OPERATION.set(operation);
    IDENTITY.set(before);
    result
}

/// Whether normal APCs are disabled: in a critical or guarded region, or above PASSIVE_LEVEL.
pub fn apcs_disabled() -> bool {
    CRITICAL.get() > 0 || all_apcs_disabled()
}

/// Whether all APCs are: in a guarded region, or at APC_LEVEL or above.
pub fn all_apcs_disabled() -> bool {
    GUARDED.get() > 0 || irql::level() >= irql::APC
}

/// How many regions this thread is in: critical, guarded.
pub fn regions() -> (u32, u32) {
    (CRITICAL.get(), GUARDED.get())
}

fn leave(depth: &Cell<u32>, what: &str) {
    if depth.get() == 0 {
        return report::find(report::Rule::ResApc, format!("a {what} region is left that was not entered"));
    }
    depth.set(depth.get() - 1);
}

#[unsafe(no_mangle)]
pub extern "C" fn KeEnterCriticalRegion() {
    CRITICAL.set(CRITICAL.get() + 1);
}

#[unsafe(no_mangle)]
pub extern "C" fn KeLeaveCriticalRegion() {
    CRITICAL.with(|depth| leave(depth, "critical"));
}

#[unsafe(no_mangle)]
pub extern "C" fn KeEnterGuardedRegion() {
    GUARDED.set(GUARDED.get() + 1);
}

#[unsafe(no_mangle)]
pub extern "C" fn KeLeaveGuardedRegion() {
    GUARDED.with(|depth| leave(depth, "guarded"));
}

#[unsafe(no_mangle)]
pub extern "C" fn KeAreApcsDisabled() -> u8 {
    apcs_disabled().into()
}

#[unsafe(no_mangle)]
pub extern "C" fn KeAreAllApcsDisabled() -> u8 {
    all_apcs_disabled().into()
}
