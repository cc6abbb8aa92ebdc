//! An operation in a filter's hands.
//!
//! It reads as its [`Operation`] and is consumed by answering; a drop answers too. So a filter cannot answer twice, and
//! cannot forget to. What an answer does is the chain's to know, behind [`Undecided`].

use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use proto::operation::Operation;
use proto::status::Status;

use super::verdict::{By, Verdict};
use crate::source::Waiting;

/// An operation on its way through the filters, as one of them sees it. `stage` says which one.
pub(super) trait Undecided: fmt::Debug + Send + Sync {
    fn waiting(&self) -> &dyn Waiting;
    fn sequence(&self) -> u64;
    /// Of the filter whose turn it is: time since boot.
    fn deadline(&self) -> Duration;
    /// Whether it has passed before that filter could be asked.
    fn is_overdue(&self) -> bool;
    /// The answer of one filter. False if there was one before.
    fn answer(self: Arc<Self>, stage: usize, verdict: Verdict, by: By) -> bool;
    /// Answers by that filter's default. False if there was an answer before.
    fn miss(self: Arc<Self>, stage: usize, why: By) -> bool;
}

/// A file operation that waits for a filter's verdict: reads as its [`Operation`].
///
/// It can be moved to another thread and answered later. Dropped unanswered it is answered by the filter's
/// [`OnMiss`](super::OnMiss). After its deadline it is answered already, and an answer counts as late.
#[derive(Debug)]
#[must_use = "dropping an operation answers it by the filter's policy"]
#[doc(alias = "FLT_CALLBACK_DATA")]
pub struct PreOperation {
    undecided: Option<Arc<dyn Undecided>>,
    stage: usize,
}

impl PreOperation {
    pub(super) fn new(undecided: Arc<dyn Undecided>, stage: usize) -> Self {
        Self { undecided: Some(undecided), stage }
    }

    fn undecided(&self) -> &Arc<dyn Undecided> {
        // Only answering and dropping take it, and both take the operation too.
        self.undecided.as_ref().unwrap_or_else(|| unreachable!("an answered operation is gone"))
    }

    /// The operation itself, which can be kept.
    pub fn operation(&self) -> &Arc<Operation> {
        self.undecided().waiting().operation()
    }

    /// The file, open for reading with a position of its own, for scanning and for passing on. `None` if there is no
    /// regular file yet, or the caller may not read it.
    ///
    /// # Errors
    /// What keeps it from being opened here: no descriptors are left, another process has a lease on it. The caller
    /// may read it all the same, so this is no reason to allow: [`miss`](Self::miss) with [`By::Unreadable`].
    pub fn file(&self) -> io::Result<Option<Arc<OwnedFd>>> {
        self.undecided().waiting().file()
    }

    /// When it is answered without us: time since boot (CLOCK_MONOTONIC).
    pub fn deadline(&self) -> Duration {
        self.undecided().deadline()
    }

    /// What is left until then.
    pub fn remaining(&self) -> Duration {
        self.deadline().saturating_sub(sys::clock::monotonic())
    }

    /// Whether its deadline passed before it could be reported, because more operations waited than the source can hold.
    /// Then there is no time to ask an application: some milliseconds are left to decide by a rule, or to
    /// [`miss`](Self::miss) with [`By::Overload`].
    pub fn is_overdue(&self) -> bool {
        self.undecided().is_overdue()
    }

    /// Its number: 0, 1, 2… in the order of the source's reports.
    pub fn sequence(&self) -> u64 {
        self.undecided().sequence()
    }

    /// Lets it go on: to the next filter, and then to happen. False if it was answered without us.
    pub fn allow(self) -> bool {
        self.answer(Verdict::Allow, By::Rule)
    }

    /// Ends it with this status. False if it was answered without us.
    pub fn deny(self, status: Status) -> bool {
        self.answer(Verdict::Deny(status), By::Rule)
    }

    /// Answers, and says what decided. False if it was answered without us.
    pub fn answer(mut self, verdict: Verdict, by: By) -> bool {
        self.undecided.take().is_some_and(|undecided| undecided.answer(self.stage, verdict, by))
    }

    /// Answers by the filter's [`OnMiss`](super::OnMiss), and says why. False if it was answered without us.
    pub fn miss(mut self, why: By) -> bool {
        self.undecided.take().is_some_and(|undecided| undecided.miss(self.stage, why))
    }

    /// Asks the source not to report this file again until it changes: its verdict cache, if it has one. Before an
    /// *allow*, and only when the verdict depends on nothing but the contents.
    pub fn remember(&self) {
        self.undecided().waiting().remember();
    }
}

impl Deref for PreOperation {
    type Target = Operation;

    fn deref(&self) -> &Operation {
        self.operation()
    }
}

impl Drop for PreOperation {
    fn drop(&mut self) {
        if let Some(undecided) = self.undecided.take() {
            undecided.miss(self.stage, By::Dropped);
        }
    }
}
