//! An application that answers a guard's questions by what is in the files.
//!
//! ```no_run
//! use fltmgr::Connection;
//! use fltmgr::guard::scan::{Patterns, Scanner};
//!
//! # fn main() -> Result<(), fltmgr::Error> {
//! let port = Connection::connect(r"\ScannerPort", b"")?;
//! Scanner::new(Patterns::new(["EICAR", "BEGIN PRIVATE KEY"])).serve(&port)?; // until the port is closed
//! # Ok(()) }
//! ```
//!
//! # No question holds up the others
//!
//! What is in memory and short is answered by the thread that receives the question. All else is looked into in pieces, by
//! a few threads, and between two pieces of one file the others have their turn: the users whose programs wait, then the
//! processes of each, then the files. A scan ends when no question about its file waits any more; so does the work for
//! questions that are over. Questions of one user about one file that has not been begun are one scan. A thread that waits
//! for its disk is not counted: another takes its place, up to [`MAX_THREADS`], of which one user has half at most, and one
//! process a third. Holes of files are not read.

mod jobs;
mod patterns;
mod threads;

use std::num::NonZero;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use proto::question::{Answer, AnswerFlags, Question};
use proto::status::Status;

use super::turns::Party;
use crate::{Connection, Error, Message};

use jobs::{Job, Outcome};
pub use patterns::Patterns;
pub use threads::MAX_THREADS;
use threads::Threads;

/// More threads than this do not read a disk faster.
const MOST_AT_WORK: usize = 8;

/// How long to wait for descriptors when there are none for the file of the next question.
const PAUSE: Duration = Duration::from_millis(10);

/// What a scanner looks for, and how.
#[derive(Clone, Debug)]
struct Settings {
    patterns: Patterns,
    max_scan: u64,
    flags: AnswerFlags,
}

/// Answers questions by what is in the files: *deny* if a pattern is found or the file cannot be read, else *allow*.
///
/// Dropped, it gives up what it is looking into.
#[derive(Debug)]
pub struct Scanner {
    settings: Arc<Settings>,
    threads: Threads,
}

/// What a scanner has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanCounters {
    /// Questions that were answered by what is in a file.
    pub scanned: u64,
    /// Questions about files with more in them than is looked at.
    pub unscanned: u64,
    /// Questions that were over before the file had been looked at.
    pub given_up: u64,
}

impl Scanner {
    /// One that looks for these patterns in all of every file.
    pub fn new(patterns: Patterns) -> Self {
        let settings = Settings { patterns, max_scan: u64::MAX, flags: AnswerFlags::empty() };
        let at_work = std::thread::available_parallelism().map_or(2, NonZero::get).clamp(2, MOST_AT_WORK);
        Self { settings: Arc::new(settings), threads: Threads::new(at_work) }
    }

    /// Looks at the first so many bytes of a file, holes not counted. If there are more, and no pattern was found in
    /// those, the reply is [`UNSCANNED`](crate::question::UNSCANNED), and the filter's policy decides.
    #[must_use]
    pub fn max_scan(mut self, bytes: u64) -> Self {
        Arc::make_mut(&mut self.settings).max_scan = bytes;
        self
    }

    /// Says with each *allow* that it holds until the file changes.
    #[must_use]
    pub fn remember(mut self) -> Self {
        Arc::make_mut(&mut self.settings).flags |= AnswerFlags::CACHE;
        self
    }

    /// Answers the questions of a guard until the filter goes away; several threads may do it, on one connection or more.
    /// Messages that are no questions are answered with [`Status::INVALID_PARAMETER`], and the guard's policy decides.
    ///
    /// # Errors
    /// What ends the receiving, other than [`Status::PORT_DISCONNECTED`].
    pub fn serve(&self, connection: &Connection) -> Result<(), Error> {
        loop {
            match connection.recv() {
                Ok(message) => self.take(message),
                Err(error) if error.status() == Status::PORT_DISCONNECTED => return Ok(()),
                // That question is the policy's; when others are answered there are descriptors again.
                Err(error) if error.status() == Status::INSUFFICIENT_RESOURCES => std::thread::park_timeout(PAUSE),
                Err(error) => return Err(error),
            }
        }
    }

    /// What it has done so far.
    pub fn counters(&self) -> ScanCounters {
        self.threads.counters()
    }

    fn take(&self, mut message: Message) {
        let Ok(question) = Question::parse(message.body()) else {
            // It fails only when the filter waits no longer: it has decided, and counted that as too late.
            let _ = message.reply(Status::INVALID_PARAMETER, &Answer::DENY.to_bytes());
            return;
        };
        let caller = &question.operation.caller;
        let party = Party { user: caller.user(), process: caller.process() };
        let Some(file) = message.take_file() else {
            // Without contents there is nothing to be found.
            self.threads.answer(vec![message], Outcome::Clean, self.settings.flags);
            return;
        };
        let search = match self.settings.patterns.search(file.as_fd()) {
            Ok(Some(search)) => search,
            Ok(None) => return self.threads.answer(vec![message], Outcome::Clean, self.settings.flags),
            Err(_) => return self.threads.answer(vec![message], Outcome::Foul, self.settings.flags),
        };
        let mut job = Job::new(file, search, message, self.settings.clone());
        match job.look_at_once() {
            Some(outcome) => self.threads.answer(job.into_askers(), outcome, self.settings.flags),
            None => self.threads.push(party, job),
        }
    }
}

/// Answers the questions of a guard until the filter goes away: [`Scanner::serve`] with these patterns.
///
/// # Errors
/// As [`Scanner::serve`].
pub fn serve(connection: &Connection, patterns: &Patterns) -> Result<(), Error> {
    Scanner::new(patterns.clone()).serve(connection)
}
