//! Which ports' callbacks run on a thread.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which port of this process one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PortId(u64);

impl PortId {
    pub(super) fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// A callback of a port that runs on this thread, for as long as this lives.
pub(super) struct Callback(());

impl Callback {
    pub(super) fn begin(port: PortId) -> Self {
        CALLBACKS.with_borrow_mut(|ports| ports.push(port));
        Self(())
    }

    /// Whether this thread runs a callback of `port`.
    pub(super) fn runs(port: PortId) -> bool {
        CALLBACKS.with_borrow(|ports| ports.contains(&port))
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        CALLBACKS.with_borrow_mut(Vec::pop);
    }
}

thread_local! {
    /// The ports whose callbacks this thread runs: one may unload another, whose disconnect callbacks then run here
    /// too.
    static CALLBACKS: RefCell<Vec<PortId>> = const { RefCell::new(Vec::new()) };
}
