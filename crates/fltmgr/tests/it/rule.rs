//! A filter of operations, for tests of the manager and its sources.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use fltmgr::filter::{Altitude, Filter, OnMiss, OpSet, PreOperation};

/// Long enough that only a hang gets there.
pub(crate) const PATIENT: Duration = Duration::from_secs(30);

/// A filter that is one closure. A test changes what matters to it: `Rule { on_miss: OnMiss::Deny, ..rule(1, pre) }`.
pub(crate) struct Rule<F> {
    pub(crate) altitude: u32,
    pub(crate) ops: OpSet,
    pub(crate) deadline: Duration,
    pub(crate) on_miss: OnMiss,
    pub(crate) pre: F,
}

/// A rule about opening files, which has time and allows what it misses.
pub(crate) fn rule<F: Fn(PreOperation) + Send + Sync + 'static>(altitude: u32, pre: F) -> Rule<F> {
    Rule { altitude, ops: OpSet::OPEN, deadline: PATIENT, on_miss: OnMiss::Allow, pre }
}

/// A rule that hands its operations out.
pub(crate) fn keeper(altitude: u32) -> (Rule<impl Fn(PreOperation) + Send + Sync + 'static>, Receiver<PreOperation>) {
    let (give, take): (SyncSender<PreOperation>, _) = sync_channel(100);
    (rule(altitude, move |operation| give.send(operation).unwrap()), take)
}

impl<F: Fn(PreOperation) + Send + Sync + 'static> Filter for Rule<F> {
    fn name(&self) -> &str {
        "test"
    }

    fn altitude(&self) -> Altitude {
        self.altitude.into()
    }

    fn ops(&self) -> OpSet {
        self.ops
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }

    fn on_miss(&self) -> OnMiss {
        self.on_miss
    }

    fn pre(&self, operation: PreOperation) {
        (self.pre)(operation);
    }
}
