//! Posted receives that complete by token, as the threads that wait for them share them.
//!
//! One thread watches at a time: it sleeps on the bell of its process, which is rung by the host when something that was
//! posted here is complete, and by this process when something was taken back or has ended. The others follow it.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use proto::client;
use proto::status::Status;
use smallvec::SmallVec;
use sys::clock::Deadline;

use super::attachment::Attachment;
use super::get::{Get, RECEIVING, Read};
use super::receive::Received;
use super::register::Receives;
use super::watched::{self, WatchedReceives};
use crate::Error;
use crate::sync::lock;

/// What became of a posted receive.
#[derive(Debug)]
#[non_exhaustive]
#[doc(alias("OVERLAPPED", "OVERLAPPED_ENTRY", "GetOverlappedResult"))]
pub struct Completed {
    /// The number that it was posted with.
    pub token: u64,
    /// What came, or [`Status::CANCELLED`], or [`Status::PORT_DISCONNECTED`].
    pub result: Result<Received, Error>,
}

/// What the threads that use one [`super::Completions`] share.
#[derive(Debug)]
pub(super) struct CompletionQueue {
    pub(super) attachment: Arc<Attachment>,
    state: Mutex<State>,
    /// Told when a completion is left for another thread, or no thread watches any more.
    pub(super) changed: Condvar,
    /// Readable while there is something to take, for event loops.
    pub(super) signal: OnceLock<OwnedFd>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Tokens and capacities of those that wait for a slot, in order.
    pub(super) waiting: VecDeque<(u64, u64)>,
    /// Oldest first.
    pub(super) posted: Vec<(u64, Get)>,
    pub(super) ended: VecDeque<(u64, End)>,
    /// A thread sleeps, or is about to, until one that is posted completes, and the others wait for it.
    pub(super) watched: bool,
    /// How many threads do so that wait for other things besides: see [`super::several`].
    pub(super) watched_besides: usize,
    /// Threads that wait for the one that watches.
    pub(super) followers: usize,
    /// A thread that does nothing else watches.
    pub(super) told: bool,
    /// The [`super::Completions`] is dropped.
    pub(super) closed: bool,
    /// Whether the signal is readable.
    pub(super) signalled: bool,
    /// The task to be told next.
    pub(super) waker: Option<Waker>,
    /// The thread that watches is telling one: the user's code runs, and may take as long as it likes.
    pub(super) waking: bool,
}

#[derive(Debug)]
pub(super) enum End {
    /// The GET is complete and can be read.
    Complete(Get),
    Failed(Status),
}

/// GETs that are let go of when no lock is held: to release a slot may post another's GET in it.
pub(super) type LetGo = SmallVec<[Get; 4]>;

impl CompletionQueue {
    pub(super) fn new(attachment: Arc<Attachment>) -> Self {
        Self { attachment, state: Mutex::default(), changed: Condvar::new(), signal: OnceLock::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn post(&self, token: u64, capacity: u64) -> Result<(), Error> {
        let mut state = self.lock();
        if state.waiting.is_empty()
            && let Some(get) = Get::try_post(&self.attachment, capacity)?
        {
            state.posted.push((token, get));
        } else {
            if state.waiting.is_empty() {
                // before the look for a slot below: a thread that releases one after it sees this, and posts
                self.attachment.slots.waiting.fetch_add(1, Ordering::SeqCst);
            }
            state.waiting.push_back((token, capacity));
            self.fill_slots(&mut state);
        }
        self.posted_more(&state);
        Ok(())
    }

    /// Something was posted: a thread that is about to sleep has not looked at it. One that sleeps already is woken when
    /// it is complete.
    fn posted_more(&self, state: &State) {
        if state.is_watched() {
            self.attachment.bell().move_on();
        }
    }

    /// Posts what waits for slots, as far as there are any.
    fn fill_slots(&self, state: &mut State) {
        let before = state.posted.len();
        while let Some(&(token, capacity)) = state.waiting.front() {
            // an error is the end of the connection, which ends the others too
            let Ok(Some(get)) = Get::try_post(&self.attachment, capacity) else { break };
            state.posted.push((token, get));
            state.waiting.pop_front();
            if state.waiting.is_empty() {
                self.attachment.slots.waiting.fetch_sub(1, Ordering::SeqCst);
            }
        }
        if state.posted.len() != before {
            self.posted_more(state);
        }
    }

    pub(super) fn take_waiting(&self, state: &mut State) -> VecDeque<(u64, u64)> {
        let waiting = std::mem::take(&mut state.waiting);
        if !waiting.is_empty() {
            self.attachment.slots.waiting.fetch_sub(1, Ordering::SeqCst);
        }
        waiting
    }

    pub(super) fn cancel(&self, whose: impl Fn(u64) -> bool) -> usize {
        if !self.attachment.guard.same_process() {
            return 0;
        }
        let mut let_go = LetGo::new();
        let mut state = self.lock();
        let before = state.ended.len();
        let State { posted, ended, .. } = &mut *state;
        for (token, get) in posted.extract_if(.., |(token, get)| whose(*token) && get.cancel()) {
            ended.push_back((token, End::Failed(Status::CANCELLED)));
            let_go.push(get);
        }
        let was_waiting = !state.waiting.is_empty();
        let State { waiting, ended, .. } = &mut *state;
        waiting.retain(|&(token, _)| {
            if whose(token) {
                ended.push_back((token, End::Failed(Status::CANCELLED)));
            }
            !whose(token)
        });
        if was_waiting && state.waiting.is_empty() {
            self.attachment.slots.waiting.fetch_sub(1, Ordering::SeqCst);
        }
        let cancelled = state.ended.len() - before;
        if cancelled != 0 && state.is_watched() {
            self.ring();
        }
        self.signal(&mut state);
        drop(state);
        drop(let_go);
        cancelled
    }

    /// Moves what has ended out of what is posted. True: the connection is gone, and therefore all of it has.
    pub(super) fn harvest(&self, state: &mut State, let_go: &mut LetGo) -> bool {
        // looked at first: what is complete in spite of it is told as complete
        let gone = self.attachment.gone();
        let State { posted, ended, .. } = &mut *state;
        // the youngest first: when it is complete, the older ones that were filled before it are seen to be complete
        // too
        let over = |get: &Get| gone || get.completed() || get.cancelled();
        let mut seen: SmallVec<[bool; 64]> = posted.iter().rev().map(|(_, get)| over(get)).collect();
        for (token, get) in posted.extract_if(.., |_| seen.pop() == Some(true)) {
            let end = if get.completed() {
                End::Complete(get)
            } else {
                let status = if get.cancelled() { Status::CANCELLED } else { Status::PORT_DISCONNECTED };
                let_go.push(get);
                End::Failed(status)
            };
            ended.push_back((token, end));
        }
        if gone {
            let waiting = self.take_waiting(state);
            let ends = waiting.into_iter().map(|(token, _)| (token, End::Failed(Status::PORT_DISCONNECTED)));
            state.ended.extend(ends);
        } else {
            // a thread that only looks is not told of slots that another process leaves
            self.fill_slots(state);
        }
        gone
    }

    pub(super) fn next(&self, deadline: Option<Deadline>) -> Result<Option<Completed>, Error> {
        self.attachment.check_process(RECEIVING)?;
        loop {
            let Some((token, end)) = self.next_end(deadline)? else { return Ok(None) };
            if let Some(completed) = self.complete(token, end) {
                return Ok(Some(completed));
            }
        }
    }

    /// Reads what has ended. `None`: its filter gave up in the middle, and it is posted anew.
    pub(super) fn complete(&self, token: u64, end: End) -> Option<Completed> {
        let mut get = match end {
            End::Complete(get) => get,
            End::Failed(status) => {
                return Some(Completed { token, result: Err(self.attachment.error(status, RECEIVING)) });
            }
        };
        let result = match get.read() {
            Ok(Read::Message(message)) => Ok(Received::Message(message)),
            Ok(Read::TooSmall { needed, id, reply_capacity }) => Ok(Received::TooSmall { needed, id, reply_capacity }),
            Ok(Read::Aborted) => match get.again() {
                Ok(get) => {
                    let mut state = self.lock();
                    state.posted.push((token, get));
                    self.posted_more(&state);
                    return None;
                }
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        Some(Completed { token, result })
    }

    /// Waits for an end; `None` when the deadline has passed.
    fn next_end(&self, deadline: Option<Deadline>) -> Result<Option<(u64, End)>, Error> {
        // let go of after the lock
        let mut let_go = LetGo::new();
        let mut state = self.lock();
        loop {
            // not looked at again: it may go at any moment, with something posted still
            let gone = self.harvest(&mut state, &mut let_go);
            let end = state.ended.pop_front();
            self.signal(&mut state);
            let over = end.is_some() || gone || deadline.is_some_and(Deadline::passed);
            if over {
                if state.followers > 0 && (!state.watched || !state.ended.is_empty() || gone) {
                    self.changed.notify_one();
                }
                return if end.is_none() && gone { Err(self.attachment.disconnected(RECEIVING)) } else { Ok(end) };
            }
            if !let_go.is_empty() {
                drop(state);
                let_go.clear();
                state = self.lock();
            } else if state.watched || state.told {
                state = self.follow(state, deadline);
            } else {
                state = self.watch(state, deadline);
            }
        }
    }

    /// Waits for the thread that watches to leave, or to leave something.
    pub(super) fn follow<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        deadline: Option<Deadline>,
    ) -> MutexGuard<'a, State> {
        state.followers += 1;
        let mut state = match deadline {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(deadline) => {
                let waited = self.changed.wait_timeout(state, deadline.remaining());
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.followers -= 1;
        state
    }

    /// Waits, for all threads, until something that is posted ends, or the bell rings, or the deadline passes.
    pub(super) fn watch<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        deadline: Option<Deadline>,
    ) -> MutexGuard<'a, State> {
        state.watched = true;
        let watched = self.begin_watch(&mut state);
        drop(state);
        // the end rings without the lock: where its ring is counted already, it is seen here
        if !self.attachment.gone() {
            watched::wait(&[watched], &[], deadline);
        }
        let mut state = self.lock();
        state.watched = false;
        if state.told && state.followers > 0 {
            self.changed.notify_all();
        }
        state
    }

    /// What a thread sleeps on that watches from now on. It says in the state that it does, and when it does no more.
    pub(super) fn begin_watch<'a>(&'a self, state: &mut State) -> WatchedReceives<'a> {
        // a slot may become free in another process
        let wanted = (!state.waiting.is_empty()).then(|| client::want_slot(self.attachment.memory.shared()));
        self.fill_slots(state);
        WatchedReceives {
            attachment: &self.attachment,
            posted: state.posted.iter().map(|(_, get)| get.posted).collect(),
            // under the lock: a thread that changes something after this rings, or moves the bell
            seen: self.attachment.bell().count(),
            wanted: wanted.filter(|_| !state.waiting.is_empty()),
        }
    }

    /// Makes the signal say whether there is something to take.
    pub(super) fn signal(&self, state: &mut State) {
        let Some(signal) = self.signal.get() else { return };
        let ready = !state.ended.is_empty() || self.attachment.gone();
        if ready == state.signalled {
            return;
        }
        // neither fails: the counter goes from 0 to 1 and back
        let mut count = 1u64.to_ne_bytes();
        let _ = if ready { rustix::io::write(signal, &count) } else { rustix::io::read(signal, &mut count) };
        state.signalled = ready;
    }
}

impl State {
    /// Whether a thread that posts something new must ring.
    fn is_watched(&self) -> bool {
        self.watched || self.watched_besides != 0
    }

    /// Whether there is nothing that could end.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.posted.is_empty() && self.ended.is_empty()
    }
}

impl Receives for CompletionQueue {
    fn ring(&self) {
        self.attachment.ring();
    }

    fn post_waiting(&self) {
        self.fill_slots(&mut self.lock());
    }

    fn end(&self) {
        let mut let_go = LetGo::new();
        let mut state = self.lock();
        self.harvest(&mut state, &mut let_go);
        self.signal(&mut state);
        drop(state);
        drop(let_go);
    }

    fn cancel_all(&self) -> usize {
        self.cancel(|_| true)
    }
}
