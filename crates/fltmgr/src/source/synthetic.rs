//! Operations that a program makes up: for tests of filters, and for playing back what was recorded.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Source, Waiting};
use crate::Error;
use crate::filter::{OpKind, OpSet, Verdict};
use crate::sync::lock;

/// An operation that nobody makes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// What is to be done.
    pub kind: OpKind,
    /// To which file.
    pub path: PathBuf,
    /// The new name of a rename or link; else empty.
    pub target: PathBuf,
    /// By which process.
    pub pid: u32,
    /// By which user.
    pub uid: u32,
    /// With which command name.
    pub comm: String,
    /// The contents that an application may look at.
    pub file: Option<Arc<OwnedFd>>,
}

impl Request {
    /// An operation on a path by this process, as user 0.
    pub fn new(kind: OpKind, path: impl Into<PathBuf>) -> Self {
        Self {
            kind,
            path: path.into(),
            target: PathBuf::new(),
            pid: std::process::id(),
            uid: 0,
            comm: "synthetic".into(),
            file: None,
        }
    }
}

/// What became of a [`Request`].
#[derive(Clone, Debug)]
pub struct Made(Arc<Outcome>);

#[derive(Debug, Default)]
struct Outcome {
    verdicts: Mutex<Vec<Verdict>>,
    remembered: Mutex<bool>,
    answered: Condvar,
}

impl Made {
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
    queue: VecDeque<Fiction>,
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

    /// Reports an operation. One that no filter wants is allowed at once, as it would not be held back at all.
    pub fn submit(&self, request: Request) -> Made {
        let outcome = Made(Arc::default());
        let fiction = Fiction { request, outcome: outcome.clone() };
        let mut state = self.lock();
        if state.started.contains(fiction.request.kind.set()) && !state.ended {
            state.queue.push_back(fiction);
        } else {
            fiction.answer(Verdict::Allow);
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
                Some(fiction) => return Ok(Some(Box::new(fiction))),
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
struct Fiction {
    request: Request,
    outcome: Made,
}

impl Waiting for Fiction {
    fn kind(&self) -> OpKind {
        self.request.kind
    }
    fn path(&self) -> &Path {
        &self.request.path
    }
    fn target(&self) -> &Path {
        &self.request.target
    }
    fn pid(&self) -> u32 {
        self.request.pid
    }
    fn uid(&self) -> u32 {
        self.request.uid
    }
    fn comm(&self) -> String {
        self.request.comm.clone()
    }
    fn file(&self) -> io::Result<Option<Arc<OwnedFd>>> {
        Ok(self.request.file.clone())
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
