//! All queues of completions of one connection, told of what concerns each.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, Weak};

use smallvec::SmallVec;

use crate::sync::lock;

/// Receives that are posted, or wait for a slot.
pub(super) trait Receives: Debug + Send + Sync {
    /// Makes the thread that waits for them look again.
    fn ring(&self);

    /// A slot of the connection has become free.
    fn post_waiting(&self);

    /// The connection is gone: ends them.
    fn end(&self);

    /// Takes them back; how many those are.
    fn cancel_all(&self) -> usize;
}

/// Those of one connection.
#[derive(Debug, Default)]
pub(super) struct Register(Mutex<Vec<Weak<dyn Receives>>>);

impl Register {
    pub(super) fn add(&self, receives: Weak<dyn Receives>) {
        let mut all = lock(&self.0);
        all.retain(|receives| receives.strong_count() != 0);
        all.push(receives);
    }

    /// Calls `with` for each of them, without a lock.
    pub(super) fn each(&self, with: impl FnMut(&dyn Receives)) {
        let all: SmallVec<[Arc<dyn Receives>; 4]> = lock(&self.0).iter().filter_map(Weak::upgrade).collect();
        all.iter().map(|receives| &**receives).for_each(with);
    }
}
