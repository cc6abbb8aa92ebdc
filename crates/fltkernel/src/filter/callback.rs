//! How a driver's callback is called: for which process, and in what state it must return.

use crate::edge::seh;
use crate::kernel::report::{self, Rule};
use crate::kernel::thread::{self, Identity};
use crate::kernel::{irql, locks};

/// Calls a callback of a driver. It runs for `identity` (the System process if `None`) and this operation (0: none), and must
/// return at the interrupt request level, with the locks and in the regions that it was called with.
pub fn call<R>(what: &str, identity: Option<Identity>, operation: u64, run: impl FnOnce() -> R) -> R {
    let level = irql::level();
    let held = locks::held().len();
    let regions = thread::regions();
    let result = thread::impersonate(identity, operation, || seh::guarded(run));
    let left = irql::set(level);
    if left != level {
        report::find(Rule::IrqlLeft, format!("{what} was called at level {level} and returned at level {left}"));
    }
    if let Some(lock) = locks::held().get(held) {
        report::find_at(Rule::LockHeld, format!("{what} returned with a lock that it took"), lock.place);
    }
    if thread::regions() != regions {
        report::find(Rule::LockHeld, format!("{what} returned in a critical or guarded region that it entered"));
    }
    result
}
