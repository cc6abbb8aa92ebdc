//! The built-in filter: rules on names, and a question to an application for the rest.
//!
//! A [`Guard`] denies files by name itself and asks whoever is connected about the others, by an [`Ask`]: usually
//! [`Applications`], the clients of a port. [`scan`] is an application that answers by contents.

mod applications;
pub mod scan;

use std::collections::BTreeSet;
use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use proto::status::Status;

pub use applications::{Applications, Place};

use crate::Error;
use crate::filter::{Altitude, By, Filter, OnMiss, OpKind, OpSet, Operation, PreOperation, Verdict};
use crate::question::{self, AnswerFlags, Question};

/// Where a guard stands unless said otherwise: the lowest altitude that Windows gives to anti-virus filters.
const ALTITUDE: u32 = 320_000;

/// What an [`Ask`] does with the outcome, exactly once.
pub type Done = Box<dyn FnOnce(Result<(Status, Vec<u8>), By>) + Send>;

/// Somebody who can be asked, without waiting.
pub trait Ask: Send + Sync + 'static {
    /// Asks. `question` is a [`Question`] in bytes, `file` is the file it is about. `done` is called exactly once, now
    /// or from another thread: with the status and bytes of the reply, or with the reason why there is none.
    fn ask(&self, question: Vec<u8>, file: Option<Arc<OwnedFd>>, timeout: Duration, done: Done);

    /// Whether this process is one of those that would be asked. It is not asked about itself. Called for each operation,
    /// on the thread that reads them: must not wait for anything that an operation held back could hold up.
    fn is_one(&self, pid: u32) -> bool {
        let _ = pid;
        false
    }
}

/// Denies by name, asks about the rest.
///
/// Globs are matched against the absolute path and against the file name alone; `*` does not cross a slash, `**` does.
/// Both names of a rename or link are matched. A rename is also denied if the files directly below the path would be: a
/// directory is not moved away from its rule.
pub struct Guard {
    name: String,
    altitude: Altitude,
    ops: OpSet,
    asked: OpSet,
    deadline: Duration,
    on_miss: OnMiss,
    deny: GlobSet,
    only: Option<GlobSet>,
    ask: Option<Arc<dyn Ask>>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("name", &self.name)
            .field("ops", &self.ops)
            .field("on_miss", &self.on_miss)
            .field("rules", &self.deny.len())
            .finish_non_exhaustive()
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self::new()
    }
}

fn globs(patterns: impl IntoIterator<Item = impl AsRef<str>>) -> Result<GlobSet, Error> {
    let mut set = GlobSetBuilder::new();
    // A pattern said twice is one pattern.
    let patterns: BTreeSet<String> = patterns.into_iter().map(|pattern| pattern.as_ref().to_owned()).collect();
    for pattern in patterns {
        let glob = GlobBuilder::new(&pattern).literal_separator(true).build();
        set.add(glob.map_err(|error| {
            Error::new(Status::OBJECT_NAME_INVALID, format!("reading the glob {pattern:?}"))
                .hint(error.kind().to_string())
        })?);
    }
    let failed =
        |error: globset::Error| Error::new(Status::INSUFFICIENT_RESOURCES, "building globs").hint(error.to_string());
    set.build().map_err(failed)
}

/// Whether one of the names of an operation matches, or its last part. Most have no second name: it is empty, and some
/// patterns match that.
fn matches(globs: &GlobSet, operation: &Operation) -> bool {
    let names = [&operation.path, &operation.target].into_iter().filter(|path| !path.as_os_str().is_empty());
    names.into_iter().any(|path| globs.is_match(path) || path.file_name().is_some_and(|name| globs.is_match(name)))
}

/// Whether its file has no name that could be told, which nobody may take for one that no pattern matches.
fn is_unnamed(operation: &Operation) -> bool {
    operation.path.as_os_str().is_empty()
}

impl Guard {
    /// One without rules, that allows every open and exec.
    pub fn new() -> Self {
        let ops = OpSet::OPEN | OpSet::EXEC;
        Self {
            name: "guard".into(),
            altitude: ALTITUDE.into(),
            ops,
            asked: OpSet::all(),
            deadline: Duration::from_secs(5),
            on_miss: OnMiss::Allow,
            deny: GlobSet::empty(),
            only: None,
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

    /// What becomes of an operation about which nobody answers; *allow* unless said otherwise.
    #[must_use]
    pub fn on_miss(mut self, on_miss: OnMiss) -> Self {
        self.on_miss = on_miss;
        self
    }

    /// Denies files whose path or name matches one of these, in place of earlier ones. [`on_miss`](Self::on_miss)
    /// decides about one whose name cannot be told.
    ///
    /// # Errors
    /// [`Status::OBJECT_NAME_INVALID`] for a glob that is none.
    pub fn deny(mut self, patterns: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, Error> {
        self.deny = globs(patterns)?;
        Ok(self)
    }

    /// Asks about operations of these kinds that no rule denies.
    #[must_use]
    pub fn ask(mut self, ask: Arc<dyn Ask>, kinds: OpSet) -> Self {
        self.ask = Some(ask);
        self.asked = kinds;
        self
    }

    /// Asks only about files whose path or name matches one of these, or cannot be told; others are allowed.
    ///
    /// # Errors
    /// [`Status::OBJECT_NAME_INVALID`] for a glob that is none.
    pub fn only(mut self, patterns: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, Error> {
        self.only = Some(globs(patterns)?);
        Ok(self)
    }

    fn denies(&self, operation: &Operation) -> bool {
        if matches(&self.deny, operation) {
            return true;
        }
        // A name that no file has, so that only a pattern for everything below the directory matches.
        operation.kind == OpKind::Rename
            && [&operation.path, &operation.target]
                .iter()
                .any(|dir| !dir.as_os_str().is_empty() && self.deny.is_match(dir.join("\u{1}")))
    }

    /// Who is to be asked, if anybody.
    fn asks(&self, operation: &Operation) -> Option<&Arc<dyn Ask>> {
        let ask = self.ask.as_ref()?;
        let wanted = self.asked.contains(operation.kind.set())
            && (is_unnamed(operation) || self.only.as_ref().is_none_or(|only| matches(only, operation)));
        // An application that waited for its own answer would wait for ever.
        (wanted && !ask.is_one(operation.caller.process())).then_some(ask)
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
        if !self.deny.is_empty() && self.denies(&operation) {
            operation.deny(Status::ACCESS_DENIED);
            return;
        }
        if !self.deny.is_empty() && is_unnamed(&operation) {
            operation.miss(By::Unreadable);
            return;
        }
        let Some(ask) = self.asks(&operation) else {
            operation.allow();
            return;
        };
        let Ok(file) = operation.file() else {
            operation.miss(By::Unreadable);
            return;
        };
        let question = question_of(&operation, file.is_some());
        let timeout = operation.remaining();
        ask.ask(question, file, timeout, Box::new(move |outcome| answer(operation, outcome)));
    }
}

fn question_of(operation: &PreOperation, file: bool) -> Vec<u8> {
    let question = Question {
        operation: operation.operation().clone(),
        sequence: operation.sequence(),
        deadline: u64::try_from(operation.deadline().as_nanos()).unwrap_or(u64::MAX),
        file,
    };
    question.to_bytes()
}

fn answer(operation: PreOperation, outcome: Result<(Status, Vec<u8>), By>) {
    let decided = outcome.and_then(|(status, bytes)| match question::Answer::parse(&bytes) {
        Ok(answer) if status == Status::SUCCESS => Ok(answer),
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
