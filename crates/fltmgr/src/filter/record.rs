//! What happened, told without holding up an operation: a record that finds no room is dropped and counted.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use proto::operation::Operation;

use super::altitude::Altitude;
use super::verdict::{By, Verdict};

/// One answered operation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Record {
    /// What was to be done; everything about its caller is known.
    pub operation: Arc<Operation>,
    /// Its number in the source; a gap is a record that found no room.
    pub sequence: u64,
    /// How it ended.
    pub verdict: Verdict,
    /// What decided.
    pub by: By,
    /// The filter that ended it: the one that denied, or the last one that allowed. `None` if no filter wanted it.
    pub filter: Option<(String, Altitude)>,
    /// From the source's report to the answer.
    pub latency: Duration,
}

/// Where the records of a manager come out. Its owner should keep reading: records that find no room are
/// dropped and counted ([`Counters::records_dropped`](super::Counters::records_dropped)).
#[derive(Debug)]
pub struct Records(Receiver<Record>);

pub(super) fn ring(capacity: usize) -> (SyncSender<Record>, Records) {
    let (sender, receiver) = sync_channel(capacity);
    (sender, Records(receiver))
}

impl Records {
    /// The next record; blocks. `None` when the manager is gone.
    pub fn recv(&self) -> Option<Record> {
        self.0.recv().ok()
    }

    /// The next record, if there is one within this time.
    ///
    /// # Errors
    /// Whether the time is over or the manager is gone.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Record, RecvTimeoutError> {
        self.0.recv_timeout(timeout)
    }

    /// The next record, if there is one now.
    ///
    /// # Errors
    /// Whether there is none or the manager is gone.
    pub fn try_recv(&self) -> Result<Record, TryRecvError> {
        self.0.try_recv()
    }
}
