//! An operation in a filter's hands.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proto::status::Status;

use super::chain::Pending;
use super::{By, OpKind, Verdict};

/// A file operation that waits for a filter's verdict.
///
/// It can be moved to another thread and answered later. Dropped unanswered it is answered by the filter's
/// [`OnMiss`](super::OnMiss). After its deadline it is answered already, and an answer counts as late.
#[derive(Debug)]
#[must_use = "dropping an operation answers it by the filter's policy"]
#[doc(alias = "FLT_CALLBACK_DATA")]
pub struct Operation {
    pending: Option<Arc<Pending>>,
    stage: usize,
}

impl Operation {
    pub(super) fn new(pending: Arc<Pending>, stage: usize) -> Self {
        Self { pending: Some(pending), stage }
    }

    fn pending(&self) -> &Arc<Pending> {
        // Only answering and dropping take it, and both take the operation too.
        self.pending.as_ref().unwrap_or_else(|| unreachable!("an answered operation is gone"))
    }

    /// What is to be done.
    pub fn kind(&self) -> OpKind {
        self.pending().waiting.kind()
    }

    /// The file's absolute path; empty if it is longer than the kernel tells (PATH_MAX).
    pub fn path(&self) -> &Path {
        self.pending().waiting.path()
    }

    /// The new name of a rename or link; else empty.
    pub fn target(&self) -> &Path {
        self.pending().waiting.target()
    }

    /// The process that asks.
    pub fn pid(&self) -> u32 {
        self.pending().waiting.pid()
    }

    /// The thread that waits, where the source knows it; else the process.
    pub fn tid(&self) -> u32 {
        self.pending().waiting.tid()
    }

    /// The process's user.
    pub fn uid(&self) -> u32 {
        self.pending().waiting.uid()
    }

    /// The command name of the thread; empty if it is gone.
    pub fn comm(&self) -> String {
        self.pending().waiting.comm()
    }

    /// Whether an open asks for writing, truncating or creating. False where the source does not know.
    pub fn writes(&self) -> bool {
        self.pending().waiting.writes()
    }

    /// Whether an open would create the file.
    pub fn creates(&self) -> bool {
        self.pending().waiting.creates()
    }

    /// The file, open for reading with a position of its own, for scanning and for passing on. `None` if there is no
    /// regular file yet, or whoever asks may not read it.
    ///
    /// # Errors
    /// What keeps it from being opened here: no descriptors are left, another process has a lease on it. Whoever asks
    /// may read it all the same, so this is no reason to allow: [`miss`](Self::miss) with [`By::Unreadable`].
    pub fn file(&self) -> io::Result<Option<Arc<OwnedFd>>> {
        self.pending().waiting.file()
    }

    /// When it is answered without us: time since boot (CLOCK_MONOTONIC).
    pub fn deadline(&self) -> Duration {
        self.pending().deadline()
    }

    /// What is left until then.
    pub fn remaining(&self) -> Duration {
        self.deadline().saturating_sub(sys::clock::monotonic())
    }

    /// Its number: 0, 1, 2… in the order of the source's reports.
    pub fn sequence(&self) -> u64 {
        self.pending().sequence
    }

    /// Lets it go on: to the next filter, and then to happen. False if it was answered without us.
    pub fn allow(self) -> bool {
        self.answer(Verdict::Allow, By::Rule)
    }

    /// Ends it with this status. False if it was answered without us.
    pub fn deny(self, status: Status) -> bool {
        self.answer(Verdict::Deny(status), By::Rule)
    }

    /// Answers, and says who decided. False if it was answered without us.
    pub fn answer(mut self, verdict: Verdict, by: By) -> bool {
        self.pending.take().is_some_and(|pending| pending.answer(self.stage, verdict, by))
    }

    /// Answers by the filter's [`OnMiss`](super::OnMiss), and says why. False if it was answered without us.
    pub fn miss(mut self, why: By) -> bool {
        self.pending.take().is_some_and(|pending| pending.miss(self.stage, why))
    }

    /// Asks the source not to report this file again until it changes: its verdict cache, if it has one. Before an
    /// *allow*, and only when the verdict depends on nothing but the contents.
    pub fn remember(&self) {
        self.pending().waiting.remember();
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if let Some(pending) = self.pending.take() {
            pending.miss(self.stage, By::Dropped);
        }
    }
}
