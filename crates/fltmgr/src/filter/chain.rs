//! The way of one operation through the filters of a manager.
//!
//! A [`Passage`] is one operation from its report to its verdict. Its word `turn` names the filter that may answer; an
//! answer takes that right by one compare-and-swap, whether it comes from the filter, the deadline, a drop or the end of
//! the source, so each filter answers at most once and the source is answered exactly once. While a filter has its turn
//! the passage stands in [`Deadlines`], which is what ends it if there is no answer.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::counters::{Tally, bump};
use super::deadline::Deadlines;
use super::pre_operation::{PreOperation, Undecided};
use super::record::Record;
use super::verdict::{By, Verdict};
use super::{Filter, threads};
use crate::source::Waiting;
use fltport::internal::lock;

/// What a filter has to decide at once, where the deadline passed before the operation was reported.
const AT_ONCE: Duration = Duration::from_millis(5);

/// A thread has taken the right to answer for the filter whose turn it was.
const CLAIMED: usize = usize::MAX;

/// The filters of a manager, and what all its operations share.
pub(super) struct Chain {
    /// Highest altitude first.
    pub(super) filters: Vec<Box<dyn Filter>>,
    pub(super) deadlines: Deadlines<(Arc<Passage>, usize)>,
    pub(super) tally: Tally,
    pub(super) records: Mutex<Option<SyncSender<Record>>>,
    pub(super) max_waiting: usize,
    pub(super) closed: AtomicBool,
    pub(super) sequence: AtomicU64,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.filters.iter().map(|filter| filter.name()).collect();
        f.debug_struct("Chain").field("filters", &names).field("tally", &self.tally).finish_non_exhaustive()
    }
}

/// The way of one operation through the filters, from its report to its verdict.
#[derive(Debug)]
pub(super) struct Passage {
    chain: Arc<Chain>,
    pub(super) waiting: Box<dyn Waiting>,
    pub(super) sequence: u64,
    /// Since when it waits.
    pub(super) since: Duration,
    /// For how long it had waited when it was reported.
    unreported: Duration,
    /// That was longer than the filter whose turn it is has.
    overdue: AtomicBool,
    /// Index of the filter whose turn it is, or [`CLAIMED`].
    turn: AtomicUsize,
    /// Its deadline: nanoseconds since boot.
    deadline: AtomicU64,
}

impl Chain {
    /// An operation of the source: asks the first filter that wants it.
    pub(super) fn submit(self: &Arc<Self>, waiting: Box<dyn Waiting>) {
        bump(&self.tally.asked);
        let since = waiting.arrived();
        let passage = Arc::new(Passage {
            chain: self.clone(),
            since,
            unreported: sys::clock::monotonic().saturating_sub(since),
            overdue: AtomicBool::new(false),
            waiting,
            sequence: self.sequence.fetch_add(1, Ordering::Relaxed),
            turn: AtomicUsize::new(CLAIMED),
            deadline: AtomicU64::new(0),
        });
        let overload = self.deadlines.len() >= self.max_waiting;
        passage.ask(0, None, if overload { Some(By::Overload) } else { None });
    }
}

impl Undecided for Passage {
    fn waiting(&self) -> &dyn Waiting {
        &*self.waiting
    }

    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn deadline(&self) -> Duration {
        Duration::from_nanos(self.deadline.load(Ordering::Relaxed))
    }

    fn is_overdue(&self) -> bool {
        self.overdue.load(Ordering::Relaxed)
    }

    fn answer(self: Arc<Self>, stage: usize, verdict: Verdict, by: By) -> bool {
        if self.turn.compare_exchange(stage, CLAIMED, Ordering::AcqRel, Ordering::Acquire).is_err() {
            if !matches!(by, By::Deadline | By::End | By::Dropped) {
                bump(&self.chain.tally.late);
            }
            return false;
        }
        self.chain.deadlines.remove(self.deadline(), self.sequence);
        match verdict {
            Verdict::Allow => self.pass(stage, by),
            Verdict::Deny(_) => self.finish(verdict, Some((stage, by))),
        }
        true
    }

    fn miss(self: Arc<Self>, stage: usize, by: By) -> bool {
        let verdict = self.filter(stage).on_miss().verdict();
        self.answer(stage, verdict, by)
    }
}

impl Passage {
    pub(super) fn filter(&self, stage: usize) -> &dyn Filter {
        &*self.chain.filters[stage]
    }

    /// When the filter of this stage, asked now, will have had its time. For each it is less what had passed before the
    /// report.
    fn deadline_of(&self, stage: usize) -> Duration {
        let left = self.filter(stage).deadline().saturating_sub(self.unreported);
        self.overdue.store(left.is_zero(), Ordering::Relaxed);
        sys::clock::monotonic().saturating_add(if left.is_zero() { AT_ONCE } else { left })
    }

    /// Asks the next filter from `stage` on; `last` is the one that allowed before. With `miss` none is asked: each
    /// takes its default.
    fn ask(self: Arc<Self>, stage: usize, mut last: Option<(usize, By)>, miss: Option<By>) {
        let kind = self.waiting.operation().kind.set();
        for stage in stage..self.chain.filters.len() {
            let filter = self.filter(stage);
            if !filter.ops().contains(kind) {
                continue;
            }
            let closed = self.chain.closed.load(Ordering::Acquire).then_some(By::End);
            if let Some(by) = miss.or(closed) {
                let verdict = filter.on_miss().verdict();
                last = Some((stage, by));
                if verdict != Verdict::Allow {
                    return self.finish(verdict, last);
                }
                continue;
            }
            let deadline = self.deadline_of(stage);
            let nanos = u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX);
            let deadline = Duration::from_nanos(nanos);
            self.deadline.store(nanos, Ordering::Relaxed);
            self.turn.store(stage, Ordering::Release);
            self.chain.deadlines.insert(deadline, self.sequence, (self.clone(), stage));
            // The thread that closes looks at what waits after it has closed: it sees this, or this sees that it closed.
            if self.chain.closed.load(Ordering::Acquire) {
                self.clone().miss(stage, By::End);
                return;
            }
            let operation = PreOperation::new(self.clone(), stage);
            // A panic drops the operation, which answers it.
            if catch_unwind(AssertUnwindSafe(|| filter.pre(operation))).is_err() {
                bump(&self.chain.tally.panicked);
            }
            return;
        }
        self.finish(Verdict::Allow, last);
    }

    /// The filter of this stage has allowed it: the next one's turn. That one's callback is not run on a thread that
    /// others wait for, as that of the deadlines or of an application's replies.
    fn pass(self: Arc<Self>, stage: usize, by: By) {
        let kind = self.waiting.operation().kind.set();
        let asks = self.chain.filters[stage + 1..].iter().any(|filter| filter.ops().contains(kind));
        if asks && !threads::reads_here() {
            fltport::internal::run(move || self.ask(stage + 1, Some((stage, by)), None));
        } else {
            self.ask(stage + 1, Some((stage, by)), None);
        }
    }

    fn finish(&self, verdict: Verdict, last: Option<(usize, By)>) {
        let tally = &self.chain.tally;
        let sender = lock(&self.chain.records).clone();
        if sender.is_some() {
            // Before the answer: after it the thread may be another.
            self.waiting.operation().caller.look_up();
        }
        // That no filter wanted an operation counts as a rule to let it be.
        let by = last.map_or(By::Rule, |(_, by)| by);
        // Before the answer too, so that a thread that was answered finds it counted.
        tally.ended(by, verdict);
        if !self.waiting.answer(verdict) {
            bump(&tally.gone);
        }
        let Some(sender) = sender else { return };
        let record = Record {
            operation: self.waiting.operation().clone(),
            sequence: self.sequence,
            verdict,
            by,
            filter: last.map(|(stage, _)| (self.filter(stage).name().to_owned(), self.filter(stage).altitude())),
            latency: sys::clock::monotonic().saturating_sub(self.since),
        };
        if sender.try_send(record).is_err() {
            bump(&tally.records_dropped);
        }
    }
}
