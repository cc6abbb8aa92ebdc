//! The threads that look into files, turn by turn.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use fltport::internal::lock;
use proto::question::{Answer, AnswerFlags, UNSCANNED};
use proto::status::Status;

use super::ScanCounters;
use super::jobs::{Job, Outcome};
use super::patterns::{FileId, Wait};
use crate::Message;
use crate::guard::turns::{Party, Turns};

/// The most threads that a scanner has, most of which can only wait: for a disk, or a file system that does not answer.
pub const MAX_THREADS: usize = 64;

/// A thread that waits for longer than this for what it reads does not count.
const STUCK: Duration = Duration::from_millis(20);

/// Files to look into, and the threads that do it. They begin when there is something to do, and one more than are at work
/// sees to it that no thread that is stuck keeps others from their turn.
pub(super) struct Threads {
    shared: Arc<Shared>,
}

struct Shared {
    /// How many are to be at work.
    most: usize,
    state: Mutex<State>,
    changed: Condvar,
    counters: [AtomicU64; 3],
}

struct State {
    turns: Turns<Job>,
    /// More questions about files that wait for their first turn, by the user in whose name it is asked.
    more: HashMap<(u32, FileId), Vec<Message>>,
    /// Of the threads that have their turn.
    at_work: Vec<Arc<Wait>>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state();
        f.debug_struct("Threads").field("threads", &state.threads).field("at_work", &state.at_work.len()).finish()
    }
}

impl Threads {
    pub(super) fn new(most: usize) -> Self {
        let state = State {
            turns: Turns::new(MAX_THREADS, 1),
            more: HashMap::new(),
            at_work: Vec::new(),
            threads: 0,
            idle: 0,
            closed: false,
        };
        let counters = Default::default();
        Self { shared: Arc::new(Shared { most, state: Mutex::new(state), changed: Condvar::new(), counters }) }
    }

    /// Looks into a file when its turn comes, and answers.
    pub(super) fn push(&self, party: Party, job: Job) {
        let mut state = self.shared.state();
        if let Some(more) = state.more.get_mut(&(party.user, job.id())) {
            more.extend(job.into_askers());
            return;
        }
        if job.is_untouched() {
            state.more.insert((party.user, job.id()), Vec::new());
        }
        let State { turns, more, .. } = &mut *state;
        // Of a process whose turns are all taken by files that cannot be read, what is over would stay.
        let is_over = |job: &Job| job.is_over() && more.get(&(party.user, job.id())).is_none_or(Vec::is_empty);
        let over = turns.push(party, job, is_over);
        for job in &over {
            more.remove(&(party.user, job.id()));
        }
        self.shared.see_to_it(&mut state);
        let alone = state.threads == 0;
        if alone {
            (state.threads, state.idle) = (1, 1);
        }
        drop(state);
        self.shared.changed.notify_one();
        for job in over {
            let flags = job.flags();
            self.shared.answer(job.into_askers(), Outcome::Over, flags);
        }
        if alone {
            // No thread can be had: this one does it, and takes no questions meanwhile.
            self.shared.work(true);
        }
    }

    pub(super) fn answer(&self, askers: Vec<Message>, outcome: Outcome, flags: AnswerFlags) {
        self.shared.answer(askers, outcome, flags);
    }

    pub(super) fn counters(&self) -> ScanCounters {
        let [scanned, unscanned, given_up] = self.shared.counters.each_ref().map(|count| count.load(Ordering::Relaxed));
        ScanCounters { scanned, unscanned, given_up }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.closed = true;
        // What waits for its first turn, and the questions behind it: they are answered as cancelled.
        let left = (std::mem::replace(&mut state.turns, Turns::new(MAX_THREADS, 1)), std::mem::take(&mut state.more));
        drop(state);
        drop(left);
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Starts a thread if none is left that could have the next turn, or see to it that the others are not stuck in
    /// theirs.
    fn see_to_it(self: &Arc<Self>, state: &mut State) {
        if state.idle > 0 || state.threads == MAX_THREADS || state.turns.is_empty() {
            return;
        }
        let shared = self.clone();
        match thread::Builder::new().name("fltmgr-scan".into()).spawn(move || shared.work(false)) {
            Ok(_) => {
                // It is as good as there.
                state.threads += 1;
                state.idle += 1;
            }
            Err(error) => tracing::warn!(%error, threads = state.threads, "no more threads to look into files"),
        }
    }

    /// What a thread does, until no turn is left if it has something else to do: it is idle until it has a turn, and
    /// after it.
    fn work(self: &Arc<Self>, has_else: bool) {
        let (mut buffer, wait) = (Vec::new(), Arc::new(Wait::default()));
        let mut state = self.state();
        while !state.closed {
            let at_work = state.at_work.iter().filter(|wait| wait.lasts() < STUCK).count();
            let next = if at_work < self.most { state.turns.next() } else { None };
            let Some((party, mut job)) = next else {
                if state.turns.is_empty() && (has_else || state.idle > self.most) {
                    break;
                }
                state = self.wait(state);
                continue;
            };
            if job.is_untouched()
                && let Some(more) = state.more.remove(&(party.user, job.id()))
            {
                job.add_askers(more);
            }
            state.at_work.push(wait.clone());
            state.idle -= 1;
            self.see_to_it(&mut state);
            drop(state);
            let unfinished = self.have_turn(job, &mut buffer, &wait);
            state = self.state();
            state.idle += 1;
            state.at_work.retain(|other| !Arc::ptr_eq(other, &wait));
            state.turns.leave(party);
            if let Some(job) = unfinished {
                state.turns.push(party, job, |_| false);
            }
        }
        state.idle -= 1;
        state.threads -= 1;
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if state.turns.is_empty() {
            return self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        self.changed.wait_timeout(state, STUCK).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Gives the file back if it is not done with.
    fn have_turn(&self, mut job: Job, buffer: &mut Vec<u8>, wait: &Wait) -> Option<Job> {
        let flags = job.flags();
        self.answer(job.take_over(), Outcome::Over, flags);
        let outcome = job.look(buffer, wait);
        match outcome {
            None => Some(job),
            Some(outcome) => {
                self.answer(job.into_askers(), outcome, flags);
                None
            }
        }
    }

    fn answer(&self, askers: Vec<Message>, outcome: Outcome, flags: AnswerFlags) {
        let (counter, status, answer) = match outcome {
            Outcome::Clean => (0, Status::SUCCESS, Answer { flags, ..Answer::ALLOW }),
            Outcome::Foul => (0, Status::SUCCESS, Answer::DENY),
            Outcome::TooLarge => (1, UNSCANNED, Answer::DENY),
            Outcome::Over => (2, Status::CANCELLED, Answer::DENY),
        };
        for asker in askers {
            // It fails only when the filter waits no longer: it has decided, and counted that as too late.
            let counter = if asker.reply(status, &answer.to_bytes()).is_ok() { counter } else { 2 };
            self.counters[counter].fetch_add(1, Ordering::Relaxed);
        }
    }
}
