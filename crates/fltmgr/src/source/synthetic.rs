//! Operations that a program makes up: for tests of filters, and for playing back what was recorded.
//!
//! No thread waits for them, so the verdict goes to a [`Submitted`], which counts how many it got: never more than one.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use proto::operation::{Caller, CallerInfo, OpKind, OpSet, Operation};

use super::{Source, Waiting};
use crate::Error;
use crate::filter::Verdict;
use fltport::internal::lock;

/// What became of an operation that was submitted.
#[derive(Clone, Debug)]
pub struct Submitted(Arc<Outcome>);

#[derive(Debug, Default)]
struct Outcome {
    verdicts: Mutex<Vec<Verdict>>,
    remembered: Mutex<bool>,
    answered: Condvar,
}

impl Submitted {
    fn lock(&self) -> MutexGuard<'_, Vec<Verdict>> {
        lock(&self.0.verdicts)
    }

    /// The verdict, if there is one now.
    pub fn verdict(&self) -> Option<Verdict> {
        self.lock().first().copied()
    }

    /// Waits for the verdict; `None` if there is none within this time.
    pub fn wait(&self, timeout: Duration) -> Option<Verdict> {
        let end = Instant::now() + timeout;
        let mut verdicts = self.lock();
        while verdicts.is_empty() {
            let rest = end.checked_duration_since(Instant::now())?;
            verdicts = self.0.answered.wait_timeout(verdicts, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        verdicts.first().copied()
    }

    /// How many verdicts it got: never more than one.
    pub fn answers(&self) -> usize {
        self.lock().len()
    }

    /// Whether a filter asked the source to remember the verdict.
    pub fn remembered(&self) -> bool {
        *lock(&self.0.remembered)
    }
}

/// A source whose operations come from [`submit`](Self::submit).
#[derive(Debug)]
pub struct Synthetic {
    capabilities: OpSet,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Held>,
    started: OpSet,
    ended: bool,
}

impl Synthetic {
    /// One that can hold back everything.
    pub fn new() -> Self {
        Self::with_capabilities(OpSet::all())
    }

    /// One that can hold back only these.
    pub fn with_capabilities(capabilities: OpSet) -> Self {
        Self { capabilities, state: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// An operation on a path, made by this process as user 0, to [`submit`](Self::submit) as it is or changed.
    pub fn operation(kind: OpKind, path: impl Into<PathBuf>) -> Operation {
        let process = std::process::id();
        let info = CallerInfo { process, user: 0, command: "synthetic".into() };
        Operation::new(kind, path, Caller::known(process, info))
    }

    /// Reports an operation on a file without contents. One that no filter wants is allowed at once, as it would not be
    /// held back at all.
    pub fn submit(&self, operation: Operation) -> Submitted {
        self.submit_with(operation, None)
    }

    /// Reports an operation on a file with contents that an application may look at; as [`submit`](Self::submit).
    pub fn submit_with(&self, operation: Operation, file: impl Into<Option<Arc<OwnedFd>>>) -> Submitted {
        let outcome = Submitted(Arc::default());
        let held = Held { operation: Arc::new(operation), file: file.into(), outcome: outcome.clone() };
        let mut state = self.lock();
        if state.started.contains(held.operation.kind.set()) && !state.ended {
            state.queue.push_back(held);
        } else {
            held.answer(Verdict::Allow);
        }
        drop(state);
        self.changed.notify_one();
        outcome
    }
}

impl Default for Synthetic {
    fn default() -> Self {
        Self::new()
    }
}

impl Source for Synthetic {
    fn name(&self) -> &str {
        "synthetic"
    }

    fn capabilities(&self) -> OpSet {
        self.capabilities
    }

    fn start(&self, ops: OpSet) -> Result<(), Error> {
        self.lock().started = ops;
        Ok(())
    }

    fn next(&self) -> Result<Option<Box<dyn Waiting>>, Error> {
        let mut state = self.lock();
        loop {
            match state.queue.pop_front() {
                Some(held) => return Ok(Some(Box::new(held))),
                None if state.ended => return Ok(None),
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn stop(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }
}

#[derive(Debug)]
struct Held {
    operation: Arc<Operation>,
    file: Option<Arc<OwnedFd>>,
    outcome: Submitted,
}

impl Waiting for Held {
    fn operation(&self) -> &Arc<Operation> {
        &self.operation
    }
    fn file(&self) -> io::Result<Option<Arc<OwnedFd>>> {
        Ok(self.file.clone())
    }
    fn answer(&self, verdict: Verdict) -> bool {
        self.outcome.lock().push(verdict);
        self.outcome.0.answered.notify_all();
        true
    }
    fn remember(&self) {
        *lock(&self.outcome.0.remembered) = true;
    }
}
