//! Connects a source with filters.
//!
//! A manager has the threads: those that read the source and call the filters, one that watches them, one for the
//! deadlines. Dropped, or stopped, it answers by default whatever waits, and what comes after: no operation of its source
//! is left without an answer. It starts nothing that a filter's wish could not be met for: a source that cannot hold back
//! what a filter wants is an error.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use proto::operation::{OpSet, Operation};
use proto::status::Status;

use super::chain::Chain;
use super::counters::Tally;
use super::deadline::Deadlines;
use super::pre_operation::Undecided as _;
use super::readers::Readers;
use super::record::{self, Records};
use super::{By, Counters, Filter, OnMiss};
use crate::Error;
use crate::source::Source;
use fltport::internal::lock;

/// More operations than this do not wait at one time, unless said otherwise.
const MAX_WAITING: usize = 16_384;

/// A manager before its start.
pub struct Builder {
    filters: Vec<Box<dyn Filter>>,
    max_waiting: usize,
    records: Option<std::sync::mpsc::SyncSender<super::Record>>,
}

/// Filters at work on the operations of one source.
///
/// Dropped, it stops the source and answers what waits by the filters' policies.
#[derive(Debug)]
pub struct Manager {
    chain: Arc<Chain>,
    source: Arc<dyn Source>,
    readers: Arc<Readers>,
    watch: Option<JoinHandle<()>>,
    timer: Option<JoinHandle<()>>,
}

/// An operation that waits at this moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outstanding {
    /// What is to be done, and by which thread.
    pub operation: Arc<Operation>,
    /// Its number.
    pub sequence: u64,
    /// The filter that has not answered.
    pub filter: String,
    /// For how long it has waited.
    pub waited: Duration,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.filters.iter().map(|filter| filter.name()).collect();
        f.debug_struct("Builder").field("filters", &names).finish_non_exhaustive()
    }
}

impl Builder {
    /// Adds a filter.
    ///
    /// # Errors
    /// [`Status::FLT_INSTANCE_ALTITUDE_COLLISION`] if another has its altitude.
    pub fn filter(mut self, filter: impl Filter) -> Result<Self, Error> {
        let altitude = filter.altitude();
        if let Some(other) = self.filters.iter().find(|other| other.altitude() == altitude) {
            let doing = format!("adding the filter {} at altitude {altitude}", filter.name());
            return Err(Error::new(Status::FLT_INSTANCE_ALTITUDE_COLLISION, doing)
                .hint(format!("{} stands there", other.name())));
        }
        self.filters.push(Box::new(filter));
        self.filters.sort_by_key(|filter| std::cmp::Reverse(filter.altitude()));
        Ok(self)
    }

    /// How many operations may wait at one time; more are answered by the filters' policies at once, counted as
    /// [`By::Overload`]. 16,384 unless said otherwise.
    #[must_use]
    pub fn max_waiting(mut self, max: usize) -> Self {
        self.max_waiting = max;
        self
    }

    /// Records every answered operation, at most `capacity` of them at one time.
    #[must_use]
    pub fn records(mut self, capacity: usize) -> (Self, Records) {
        let (sender, records) = record::ring(capacity);
        self.records = Some(sender);
        (self, records)
    }

    /// Starts the source and serves it.
    ///
    /// # Errors
    /// [`Status::NOT_SUPPORTED`] if a filter wants what the source can not block, naming it;
    /// [`Status::INVALID_PARAMETER`] without a filter; what the start of the source reports.
    pub fn start(self, source: Arc<dyn Source>) -> Result<Manager, Error> {
        let doing = |name: &str| format!("starting the filter {name} on the source {}", source.name());
        let mut ops = OpSet::empty();
        for filter in &self.filters {
            let beyond = filter.ops() - source.capabilities();
            if !beyond.is_empty() {
                return Err(Error::new(Status::NOT_SUPPORTED, doing(filter.name()))
                    .hint(format!("this source can not hold back {beyond}")));
            }
            ops |= filter.ops();
        }
        if ops.is_empty() {
            return Err(Error::new(Status::INVALID_PARAMETER, format!("starting the source {}", source.name()))
                .hint("there is no filter that wants an operation"));
        }
        let chain = Arc::new(Chain {
            filters: self.filters,
            deadlines: Deadlines::default(),
            tally: Tally::default(),
            records: Mutex::new(self.records),
            max_waiting: self.max_waiting,
            closed: AtomicBool::new(false),
            sequence: AtomicU64::new(0),
        });
        let failed = |error| Error::resources("starting a thread", error);
        let timed = chain.clone();
        let timer = thread::Builder::new().name("fltmgr-deadline".into()).spawn(move || {
            while let Some((passage, stage)) = timed.deadlines.due() {
                if timed.closed.load(Ordering::Acquire) {
                    passage.miss(stage, By::End);
                } else if passage.filter(stage).on_miss() == OnMiss::Allow {
                    // the source may open the file itself, and have to wait for its file system: this thread does not
                    fltport::internal::run(move || _ = passage.miss(stage, By::Deadline));
                } else {
                    passage.miss(stage, By::Deadline);
                }
            }
        });
        let readers = Readers::new(chain.clone(), source.clone());
        // From here on the manager's drop ends what was started.
        let mut manager = Manager { chain, source, readers, watch: None, timer: Some(timer.map_err(failed)?) };
        manager.source.start(ops)?;
        for _ in 0..manager.source.threads().max(1) {
            manager.readers.start().map_err(failed)?;
        }
        let readers = manager.readers.clone();
        let watch = thread::Builder::new().name("fltmgr-readers".into()).spawn(move || readers.watch());
        manager.watch = Some(watch.map_err(failed)?);
        Ok(manager)
    }
}

impl Manager {
    /// A manager without filters, not yet started.
    pub fn builder() -> Builder {
        Builder { filters: Vec::new(), max_waiting: MAX_WAITING, records: None }
    }

    /// How operations ended so far.
    pub fn counters(&self) -> Counters {
        self.chain.tally.read()
    }

    /// What waits at this moment, the nearest deadline first.
    pub fn outstanding(&self) -> Vec<Outstanding> {
        let now = sys::clock::monotonic();
        let all = self.chain.deadlines.all();
        all.into_iter()
            .map(|(passage, stage)| Outstanding {
                operation: passage.waiting.operation().clone(),
                sequence: passage.sequence,
                filter: passage.filter(stage).name().to_owned(),
                waited: now.saturating_sub(passage.since),
            })
            .collect()
    }

    /// Waits for the end of the source: until no process can cause an operation any more, or [`stop`](Self::stop).
    ///
    /// # Errors
    /// The first error that ended a reader of the source.
    pub fn wait(&self) -> Result<(), Error> {
        let mut result = Ok(());
        loop {
            // those that took the place of others meanwhile, too
            let readers = self.readers.take();
            if readers.is_empty() {
                return result;
            }
            for reader in readers {
                let ended = reader.join();
                let ended = ended.unwrap_or_else(|_| Err(Error::new(Status::INTERNAL_ERROR, "reading the source")));
                result = result.and(ended);
            }
        }
    }

    /// Ends the source, and answers everything that waits by the filters' policies.
    pub fn stop(&self) {
        self.chain.closed.store(true, Ordering::Release);
        self.source.stop();
        for (passage, stage) in self.chain.deadlines.all() {
            passage.miss(stage, By::End);
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.stop();
        // An error of the source was for `wait` to report.
        let _ = self.wait();
        // An operation that was on its way to a filter when we stopped.
        for (passage, stage) in self.chain.deadlines.all() {
            passage.miss(stage, By::End);
        }
        self.readers.close();
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
        self.chain.deadlines.close();
        if let Some(timer) = self.timer.take() {
            let _ = timer.join();
        }
        lock(&self.chain.records).take();
    }
}
