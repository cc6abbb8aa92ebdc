//! A connection's two regions, used again and again: seventy fresh megabytes for each would be most of the work.

use std::cell::RefCell;

use fltmgr_proto::slots::{HostRegion, SharedRegion};
use zerocopy::FromZeros as _;

type Regions = (Box<HostRegion>, Box<SharedRegion>);

thread_local! {
    static SPARE: RefCell<Vec<Regions>> = const { RefCell::new(Vec::new()) };
}

/// Two regions like new, but for old payloads in the windows.
pub(crate) fn take() -> Regions {
    let spare = SPARE.with_borrow_mut(Vec::pop);
    spare.unwrap_or_else(|| (HostRegion::boxed(), SharedRegion::boxed()))
}

/// Takes them back.
pub(crate) fn put((mut host, mut shared): Regions) {
    host.slots.zero();
    host.waiters.zero();
    shared.allocation.zero();
    shared.attention.zero();
    shared.requests.zero();
    shared.posted.zero();
    shared.bells.zero();
    shared.slots.zero();
    shared.waiters.zero();
    SPARE.with_borrow_mut(|spare| spare.push((host, shared)));
}
