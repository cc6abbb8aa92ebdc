//! How operations ended, counted by what decided.

use std::sync::atomic::{AtomicU64, Ordering};

use super::verdict::{By, Verdict};

/// Numbers since the manager started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Operations that the source reported.
    pub asked: u64,
    /// Answers of filters that came when the operation was already answered.
    pub late: u64,
    /// Verdicts for callers that were gone.
    pub gone: u64,
    /// Filters that panicked.
    pub panicked: u64,
    /// Records that found no room.
    pub records_dropped: u64,
    ended: [[u64; 2]; By::ALL.len()],
}

impl Counters {
    /// Operations that were allowed by this.
    pub fn allowed_by(&self, by: By) -> u64 {
        self.ended[by as usize][0]
    }

    /// Operations that were denied by this.
    pub fn denied_by(&self, by: By) -> u64 {
        self.ended[by as usize][1]
    }

    fn sum(&self, miss: bool, verdict: usize) -> u64 {
        By::ALL.iter().copied().filter(|by| by.is_miss() == miss).map(|by| self.ended[by as usize][verdict]).sum()
    }

    /// Operations that were allowed by a decision.
    pub fn allowed(&self) -> u64 {
        self.sum(false, 0)
    }

    /// Operations that were denied by a decision.
    pub fn denied(&self) -> u64 {
        self.sum(false, 1)
    }

    /// Operations that were allowed by default, without a decision.
    pub fn missed_allow(&self) -> u64 {
        self.sum(true, 0)
    }

    /// Operations that were denied by default, without a decision.
    pub fn missed_deny(&self) -> u64 {
        self.sum(true, 1)
    }
}

/// The numbers while they change.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) asked: AtomicU64,
    pub(super) late: AtomicU64,
    pub(super) gone: AtomicU64,
    pub(super) panicked: AtomicU64,
    pub(super) records_dropped: AtomicU64,
    ended: [[AtomicU64; 2]; By::ALL.len()],
}

pub(super) fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Tally {
    pub(super) fn ended(&self, by: By, verdict: Verdict) {
        bump(&self.ended[by as usize][usize::from(verdict != Verdict::Allow)]);
    }

    pub(super) fn read(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            asked: read(&self.asked),
            late: read(&self.late),
            gone: read(&self.gone),
            panicked: read(&self.panicked),
            records_dropped: read(&self.records_dropped),
            ended: self.ended.each_ref().map(|pair| pair.each_ref().map(read)),
        }
    }
}
