//! A file that is looked into, and the questions that wait for it.

use std::io;
use std::mem;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::question::AnswerFlags;

use super::Settings;
use super::patterns::{FileId, Reading, Search, Step, Wait};
use crate::Message;

/// For how long, and for how many bytes, one file is looked into before another has its turn.
const TURN: Duration = Duration::from_millis(4);
const TURN_BYTES: u64 = 1 << 20;

/// What has come of looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// No pattern is in the file.
    Clean,
    /// One is, or it cannot be read.
    Foul,
    /// There is more in the file than is looked at.
    TooLarge,
    /// No question waits for it any more.
    Over,
}

/// A file that is to be looked into.
#[derive(Debug)]
pub(super) struct Job {
    file: OwnedFd,
    askers: Vec<Message>,
    search: Search,
    settings: Arc<Settings>,
}

impl Job {
    /// For a question about a file.
    pub(super) fn new(file: OwnedFd, search: Search, asker: Message, settings: Arc<Settings>) -> Self {
        Self { file, askers: vec![asker], search, settings }
    }

    pub(super) fn id(&self) -> FileId {
        self.search.id()
    }

    /// Whether nothing was looked at yet, so that what is found will be true for a question that comes now.
    pub(super) fn is_untouched(&self) -> bool {
        self.search.is_at_start()
    }

    pub(super) fn flags(&self) -> AnswerFlags {
        self.settings.flags
    }

    pub(super) fn add_askers(&mut self, askers: Vec<Message>) {
        self.askers.extend(askers);
    }

    pub(super) fn into_askers(self) -> Vec<Message> {
        self.askers
    }

    /// Whether no question waits for it any more.
    pub(super) fn is_over(&self) -> bool {
        !self.askers.iter().any(Message::is_waited_for)
    }

    /// Takes out the questions that are over.
    pub(super) fn take_over(&mut self) -> Vec<Message> {
        if self.askers.iter().all(Message::is_waited_for) {
            return Vec::new();
        }
        let (waiting, over) = mem::take(&mut self.askers).into_iter().partition(Message::is_waited_for);
        self.askers = waiting;
        over
    }

    /// What has come of looking, if the file has one piece, and that is in memory.
    pub(super) fn look_at_once(&mut self) -> Option<Outcome> {
        if !self.search.is_short() {
            return None;
        }
        let mut buffer = Vec::new();
        // The second step sees the end.
        for _ in 0..2 {
            match self.step(&mut buffer, &Reading::AtOnce) {
                Ok(None) => {}
                Ok(outcome) => return outcome,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(_) => return Some(Outcome::Foul),
            }
        }
        None
    }

    /// Looks into the file for one turn; `None` if there is more. `buffer` is room for it; `wait` is told when it waits for
    /// a disk.
    pub(super) fn look(&mut self, buffer: &mut Vec<u8>, wait: &Wait) -> Option<Outcome> {
        let (start, before) = (Instant::now(), self.search.read());
        while start.elapsed() < TURN && self.search.read() - before < TURN_BYTES {
            if self.is_over() {
                return Some(Outcome::Over);
            }
            match self.step(buffer, &Reading::Waiting(wait)) {
                Ok(None) => {}
                Ok(outcome) => return outcome,
                Err(_) => return Some(Outcome::Foul),
            }
        }
        None
    }

    fn step(&mut self, buffer: &mut Vec<u8>, how: &Reading<'_>) -> io::Result<Option<Outcome>> {
        let Settings { patterns, max_scan, .. } = &*self.settings;
        Ok(match self.search.step(patterns, self.file.as_fd(), buffer, how)? {
            Step::Found(_) => Some(Outcome::Foul),
            Step::End => Some(Outcome::Clean),
            Step::More if self.search.read() > *max_scan => Some(Outcome::TooLarge),
            Step::More => None,
        })
    }
}
