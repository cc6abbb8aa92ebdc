//! The built-in filter: it does what the rules of a [`policy`](crate::policy) say.
//!
//! A [`Guard`] denies and allows by name itself; where a rule asks, it puts the question to an [`Ask`], usually
//! [`Applications`], the clients of a port. [`scan`] is an application that answers by contents.

mod applications;
pub mod scan;
mod turns;

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use proto::status::Status;

pub use applications::{Applications, Place};

use crate::filter::{Altitude, By, Filter, OnMiss, OpFlags, OpKind, OpSet, PreOperation, Verdict};
use crate::policy::{Decision, LiveRules};
use crate::question::{self, AnswerFlags, Question};
use crate::source::Exempt;

/// Where a guard stands unless said otherwise: the lowest altitude that Windows gives to anti-virus filters.
const ALTITUDE: u32 = 320_000;

/// An application that can be asked, without waiting for its answer. It is not asked about what it does itself
/// ([`Exempt`]): it would wait for its own answer.
pub trait Ask: Exempt {
    /// Asks about an operation what [`question_of`] gives, and [settles](settle) it with the outcome, now or from another
    /// thread. An operation that is kept for longer than its deadline is answered without that, and holds nothing.
    fn ask(&self, operation: PreOperation);
}

/// The question about an operation in bytes ([`Question`]), and the file that it is about.
///
/// # Errors
/// [`By::Unreadable`]: there is a file, but it could not be opened.
pub fn question_of(operation: &PreOperation) -> Result<(Vec<u8>, Option<Arc<OwnedFd>>), By> {
    let file = operation.file().map_err(|_| By::Unreadable)?;
    let question = Question {
        operation: operation.operation().clone(),
        sequence: operation.sequence(),
        deadline: u64::try_from(operation.deadline().as_nanos()).unwrap_or(u64::MAX),
        file: file.is_some(),
    };
    Ok((question.to_bytes(), file))
}

/// Answers an operation by what an application replied: a status, and an [`Answer`](question::Answer) in bytes where that
/// is a success. Or by the reason why there is no reply.
pub fn settle(operation: PreOperation, outcome: Result<(Status, Vec<u8>), By>) {
    let decided = outcome.and_then(|(status, bytes)| match (status, question::Answer::parse(&bytes)) {
        (Status::SUCCESS, Ok(answer)) => Ok(answer),
        (question::UNSCANNED, _) => Err(By::Unscanned),
        _ => Err(By::Nonsense),
    });
    // Whether it came in time is counted by the manager.
    match decided {
        Ok(answer) if answer.allow => {
            if answer.flags.contains(AnswerFlags::CACHE) {
                operation.remember();
            }
            operation.answer(Verdict::Allow, By::Application);
        }
        Ok(_) => {
            operation.answer(Verdict::Deny(Status::ACCESS_DENIED), By::Application);
        }
        Err(why) => {
            operation.miss(why);
        }
    }
}

/// A filter that does what rules say: denies, allows, or asks an application. Opens of directories, and those that give no
/// access to content ([`OpFlags::NAME_ONLY`]), are decided by their names alone: what a rule would ask about them is allowed.
///
/// ```
/// use fltmgr::guard::Guard;
/// use fltmgr::policy::{Rule, Rules};
///
/// # fn main() -> Result<(), fltmgr::Error> {
/// let guard = Guard::new(Rules::new([Rule::deny(["*.key", "/etc/shadow"])])?);
/// # Ok(()) }
/// ```
pub struct Guard {
    name: String,
    altitude: Altitude,
    ops: OpSet,
    deadline: Duration,
    on_miss: OnMiss,
    rules: LiveRules,
    ask: Option<Arc<dyn Ask>>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("name", &self.name)
            .field("ops", &self.ops)
            .field("on_miss", &self.on_miss)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl Guard {
    /// One that decides about opens and execs by these rules, and allows what they would have asked about.
    pub fn new(rules: impl Into<LiveRules>) -> Self {
        Self {
            name: "guard".into(),
            altitude: ALTITUDE.into(),
            ops: OpSet::OPEN | OpSet::EXEC,
            deadline: Duration::from_secs(5),
            on_miss: OnMiss::Allow,
            rules: rules.into(),
            ask: None,
        }
    }

    /// Names it.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Puts it at another altitude.
    #[must_use]
    pub fn altitude(mut self, altitude: Altitude) -> Self {
        self.altitude = altitude;
        self
    }

    /// Says which operations it decides about; open and exec unless said otherwise.
    #[must_use]
    pub fn ops(mut self, ops: OpSet) -> Self {
        self.ops = ops;
        self
    }

    /// How long the application has for each question; five seconds unless said otherwise.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// What becomes of an operation about which there is no answer; *allow* unless said otherwise.
    #[must_use]
    pub fn on_miss(mut self, on_miss: OnMiss) -> Self {
        self.on_miss = on_miss;
        self
    }

    /// Says which application is asked.
    #[must_use]
    pub fn ask(mut self, ask: Arc<dyn Ask>) -> Self {
        self.ask = Some(ask);
        self
    }

    fn ask_about(&self, operation: PreOperation) {
        // A directory has names and no content, and its names are asked about when they are used.
        if operation.kind == OpKind::Open && operation.flags.intersects(OpFlags::DIRECTORY | OpFlags::NAME_ONLY) {
            operation.allow();
            return;
        }
        let Some(ask) = self.ask.as_ref().filter(|ask| !ask.exempts(operation.caller.process())) else {
            operation.allow();
            return;
        };
        if operation.is_overdue() {
            operation.miss(By::Overload);
            return;
        }
        ask.ask(operation);
    }
}

impl Filter for Guard {
    fn name(&self) -> &str {
        &self.name
    }

    fn altitude(&self) -> Altitude {
        self.altitude.clone()
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
        match self.rules.decide(&operation) {
            Decision::Allow => _ = operation.allow(),
            Decision::Deny => _ = operation.deny(Status::ACCESS_DENIED),
            Decision::Unnamed => _ = operation.miss(By::Unreadable),
            Decision::Ask => self.ask_about(operation),
        }
    }
}
