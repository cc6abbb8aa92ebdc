//! Receiving by completion: GETs are posted with a token each, and complete in any order, on whichever thread asks.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Waker;
use std::thread::JoinHandle;
use std::time::Duration;

use proto::client;
use proto::slots::GETS;
use proto::status::Status;
use smallvec::SmallVec;
use sys::clock::Deadline;
use sys::futex;

use super::receive::{Get, RECEIVING, Read};
use super::several::{self, Watched};
use super::{Connection, Link, Received, lock};
use crate::Error;
use crate::wait::Timeout;

impl Connection {
    /// A place to post receives to, with a token each, and to wait for any of them: what a Windows program does with
    /// OVERLAPPED and a completion port.
    pub fn completions(&self) -> Completions {
        let desk = Arc::new(Desk {
            link: Arc::clone(&self.link),
            state: Mutex::default(),
            changed: Condvar::new(),
            bell: AtomicU32::new(0),
            signal: OnceLock::new(),
        });
        self.link.completions.add(&desk);
        Completions { desk, watcher: Mutex::new(None) }
    }

    /// Ends every receive of this process that waits on this connection, posted or blocking, in any thread, with
    /// [`Status::CANCELLED`]. One that a filter is filling at this moment completes instead. The connection stays
    /// usable, and a message that was delivered is still to be answered. Returns how many posted ones there were.
    #[doc(alias("CancelIoEx", "CancelIo", "CancelSynchronousIo"))]
    pub fn cancel_receives(&self) -> usize {
        let link = &self.link;
        if !link.guard.same_process() {
            return 0;
        }
        link.slots.cancels.fetch_add(1, Ordering::SeqCst);
        link.wake_waiting();
        let mut cancelled = 0;
        // first those that wait for a slot, so that none is posted in a slot that becomes free here
        link.completions.each(|desk| cancelled += desk.cancel(|_| true));
        let shared = link.memory.shared();
        let before = cancelled;
        for slot in 0..GETS {
            if let Some(asleep) = client::cancel_slot(shared, slot, link.holder) {
                cancelled += 1;
                if asleep {
                    futex::wake(&shared.slots[slot].word, u32::MAX, futex::ANY);
                }
            }
        }
        if cancelled != before {
            // one may have been posted by token since: who watches need not sleep on its word
            link.completions.each(|desk| desk.ring());
        }
        cancelled
    }
}

/// What became of a posted receive.
#[derive(Debug)]
#[doc(alias("OVERLAPPED", "OVERLAPPED_ENTRY", "GetOverlappedResult"))]
pub struct Completed {
    /// The number that it was posted with.
    pub token: u64,
    /// What came, or [`Status::CANCELLED`], or [`Status::PORT_DISCONNECTED`].
    pub result: Result<Received, Error>,
}

/// Receives that were posted with a token each. Each completes exactly once: with a message, with the size it would
/// have needed, cancelled, or disconnected.
///
/// All calls take `&self`, from many threads at once; a completion goes to one of those who ask. Dropping it takes back
/// what is posted; messages that were delivered and not asked for yet are answered as a [`super::Message`] that is
/// dropped.
///
/// 48 receives of a connection can wait for messages at a time; those posted beyond them wait for their turn in this
/// process, in order. One thread that waits sleeps for all of them (futex_waitv), so there is no thread of the
/// library's behind it.
///
/// ```no_run
/// # fn main() -> Result<(), fltport::Error> {
/// use fltport::{Connection, Received, Status};
///
/// let port = Connection::connect(r"\ScannerPort", b"")?;
/// let completions = port.completions();
/// for token in 0..4 {
///     completions.post(token, 4096)?;
/// }
/// loop {
///     let completed = completions.next()?;
///     if let Received::Message(message) = completed.result? {
///         message.reply(Status::SUCCESS, b"\x01")?;
///     }
///     completions.post(completed.token, 4096)?;
/// }
/// # }
/// ```
#[derive(Debug)]
#[doc(alias("CreateIoCompletionPort", "FilterGetMessage", "OVERLAPPED"))]
pub struct Completions {
    pub(super) desk: Arc<Desk>,
    /// The thread that watches for those who want to be told.
    pub(super) watcher: Mutex<Option<JoinHandle<()>>>,
}

/// What the threads that use one [`Completions`] share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) link: Arc<Link>,
    state: Mutex<State>,
    /// Told when a completion is left for another thread, or nobody watches any more.
    pub(super) changed: Condvar,
    /// Moves when the thread that watches must look again.
    bell: AtomicU32,
    /// Readable while there is something to take, for event loops.
    pub(super) signal: OnceLock<OwnedFd>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Tokens and capacities of those that wait for a slot, in order.
    waiting: VecDeque<(u64, u64)>,
    /// Oldest first.
    posted: Vec<(u64, Get)>,
    pub(super) ended: VecDeque<(u64, End)>,
    /// A thread sleeps, or is about to, until one that is posted completes, and the others wait for it.
    pub(super) watched: bool,
    /// How many threads do so that wait for other things besides: see [`super::several`].
    pub(super) watched_besides: usize,
    /// The largest that each of them watches: while none of those completes, no younger and smaller one does.
    covered: Option<u64>,
    /// Threads that wait for the one that watches.
    pub(super) followers: usize,
    /// A thread that does nothing else watches: see [`super::watcher`].
    pub(super) told: bool,
    /// The [`Completions`] is dropped.
    pub(super) closed: bool,
    /// Whether the signal is readable.
    pub(super) signalled: bool,
    /// Who is to be told next.
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

impl Completions {
    /// Posts a receive for up to `capacity` bytes of body. Never blocks. `token` is any number, the same one twice if
    /// you like.
    ///
    /// # Errors
    /// [`Status::PORT_DISCONNECTED`]: the connection is gone; nothing was posted. [`Status::INVALID_HANDLE`]: after a
    /// fork.
    #[doc(alias = "FilterGetMessage")]
    pub fn post(&self, token: u64, capacity: usize) -> Result<(), Error> {
        self.desk.link.check(RECEIVING)?;
        self.desk.post(token, capacity as u64)
    }

    /// Waits for a receive to complete, or to be posted and then complete. Those that complete together come in the
    /// order of posting.
    ///
    /// # Errors
    /// [`Status::PORT_DISCONNECTED`]: the connection is gone and everything that was posted has been told.
    /// [`Status::INVALID_HANDLE`]: after a fork.
    #[doc(alias("GetQueuedCompletionStatus", "GetOverlappedResult"))]
    pub fn next(&self) -> Result<Completed, Error> {
        // without a deadline there is an end or an error
        self.desk.next(None)?.ok_or_else(|| self.desk.link.disconnected(RECEIVING))
    }

    /// As [`Completions::next`], for so long at most; `None` when none completed.
    ///
    /// # Errors
    /// As [`Completions::next`].
    pub fn next_timeout(&self, timeout: Duration) -> Result<Option<Completed>, Error> {
        self.desk.next(Timeout::After(timeout).deadline())
    }

    /// What has completed already; `None` when nothing has.
    ///
    /// # Errors
    /// As [`Completions::next`].
    pub fn try_next(&self) -> Result<Option<Completed>, Error> {
        self.next_timeout(Duration::ZERO)
    }

    /// Takes back every receive posted with `token`: each of them that no filter has taken completes with
    /// [`Status::CANCELLED`]. Returns how many those are; the others complete as if this had not been called.
    #[doc(alias = "CancelIoEx")]
    pub fn cancel(&self, token: u64) -> usize {
        self.desk.cancel(|posted| posted == token)
    }

    /// Takes back everything that is posted here, as [`Completions::cancel`] does.
    #[doc(alias = "CancelIoEx")]
    pub fn cancel_all(&self) -> usize {
        self.desk.cancel(|_| true)
    }

    /// How many receives were posted whose completion nobody has taken yet.
    pub fn outstanding(&self) -> usize {
        if !self.desk.link.guard.same_process() {
            return 0;
        }
        let state = self.desk.lock();
        state.waiting.len() + state.posted.len() + state.ended.len()
    }
}

impl Drop for Completions {
    fn drop(&mut self) {
        if !self.desk.link.guard.same_process() {
            // the thread is the parent's; what stood for it may stand for a thread of this process by now, and is not to
            // be let go of
            let watcher = self.watcher.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(watcher.take());
            return;
        }
        let desk = &self.desk;
        let mut state = desk.lock();
        desk.take_waiting(&mut state);
        let posted = std::mem::take(&mut state.posted);
        let ended = std::mem::take(&mut state.ended);
        state.closed = true;
        let waking = state.waking;
        desk.ring();
        drop(state);
        // the waker may want what whoever drops this holds
        if !waking {
            self.dismiss();
        }
        // without the lock: what was delivered is answered
        drop((posted, ended));
    }
}

impl Desk {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn post(&self, token: u64, capacity: u64) -> Result<(), Error> {
        let mut state = self.lock();
        if state.waiting.is_empty()
            && let Some(get) = Get::try_post(&self.link, capacity)?
        {
            state.posted.push((token, get));
        } else {
            if state.waiting.is_empty() {
                // before the look for a slot below: whoever releases one after it sees this, and posts
                self.link.slots.waiting.fetch_add(1, Ordering::SeqCst);
            }
            state.waiting.push_back((token, capacity));
            self.fill_slots(&mut state);
        }
        if state.is_watched() && state.covered.is_none_or(|covered| covered < capacity) {
            self.ring();
        }
        Ok(())
    }

    /// Makes the threads that watch look again.
    pub(super) fn ring(&self) {
        self.bell.fetch_add(1, Ordering::SeqCst);
        futex::wake(&self.bell, u32::MAX, futex::ANY);
    }

    /// A slot of the connection has become free.
    pub(super) fn post_waiting(&self) {
        self.fill_slots(&mut self.lock());
    }

    /// Posts what waits for slots, as far as there are any.
    fn fill_slots(&self, state: &mut State) {
        let before = state.posted.len();
        while let Some(&(token, capacity)) = state.waiting.front() {
            // an error is the end of the connection, which ends the others too
            let Ok(Some(get)) = Get::try_post(&self.link, capacity) else { break };
            state.posted.push((token, get));
            state.waiting.pop_front();
            if state.waiting.is_empty() {
                self.link.slots.waiting.fetch_sub(1, Ordering::SeqCst);
            }
        }
        if state.is_watched() && state.posted.len() != before {
            self.ring();
        }
    }

    fn take_waiting(&self, state: &mut State) -> VecDeque<(u64, u64)> {
        let waiting = std::mem::take(&mut state.waiting);
        if !waiting.is_empty() {
            self.link.slots.waiting.fetch_sub(1, Ordering::SeqCst);
        }
        waiting
    }

    fn cancel(&self, whose: impl Fn(u64) -> bool) -> usize {
        if !self.link.guard.same_process() {
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
            self.link.slots.waiting.fetch_sub(1, Ordering::SeqCst);
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

    /// The connection is gone: ends what is posted.
    pub(super) fn end(&self) {
        let mut let_go = LetGo::new();
        let mut state = self.lock();
        self.harvest(&mut state, &mut let_go);
        self.signal(&mut state);
        drop(state);
        drop(let_go);
    }

    /// Moves what has ended out of what is posted. True: the connection is gone, and therefore all of it has.
    pub(super) fn harvest(&self, state: &mut State, let_go: &mut LetGo) -> bool {
        // looked at first: what is complete in spite of it is told as complete
        let gone = self.link.gone();
        let State { posted, ended, .. } = &mut *state;
        const { assert!(GETS <= 64, "a bit for each that is posted") };
        // the youngest first: when it is complete, the older ones that were filled before it are seen to be complete
        // too
        let over = |get: &Get| u64::from(gone || get.completed() || get.cancelled());
        let mut seen = posted.iter().rev().fold(0, |seen, (_, get)| seen << 1 | over(get));
        let is_over = |_: &mut (u64, Get)| {
            let is_over = seen & 1 != 0;
            seen >>= 1;
            is_over
        };
        for (token, get) in posted.extract_if(.., is_over) {
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
            // of slots that another process leaves nobody is told who only looks
            self.fill_slots(state);
        }
        gone
    }

    fn next(&self, deadline: Option<Deadline>) -> Result<Option<Completed>, Error> {
        self.link.check_process(RECEIVING)?;
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
                return Some(Completed { token, result: Err(self.link.error(status, RECEIVING)) });
            }
        };
        let result = match get.read() {
            Ok(Read::Message(message)) => Ok(Received::Message(message)),
            Ok(Read::TooSmall { needed, id, reply_capacity }) => Ok(Received::TooSmall { needed, id, reply_capacity }),
            Ok(Read::Aborted) => match get.again() {
                Ok(get) => {
                    let mut state = self.lock();
                    state.posted.push((token, get));
                    if state.is_watched() {
                        self.ring();
                    }
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
                return if end.is_none() && gone { Err(self.link.disconnected(RECEIVING)) } else { Ok(end) };
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
        if !self.link.gone() {
            several::wait(&[watched], &[], deadline);
        }
        let mut state = self.lock();
        state.watched = false;
        state.uncover();
        if state.told && state.followers > 0 {
            self.changed.notify_all();
        }
        state
    }

    /// What a thread sleeps on that watches from now on. It says in the state that it does, and when it does no more.
    pub(super) fn begin_watch<'a>(&'a self, state: &mut State) -> Watched<'a> {
        // a slot may become free in another process
        let wanted = (!state.waiting.is_empty()).then(|| client::want_slot(self.link.memory.shared()));
        self.fill_slots(state);
        let largest = state.posted.iter().map(|(_, get)| get.capacity).max().unwrap_or(0);
        state.covered = Some(state.covered.map_or(largest, |covered| covered.min(largest)));
        Watched {
            link: &self.link,
            posted: state.posted.iter().map(|(_, get)| get.posted).collect(),
            bell: &self.bell,
            // under the lock: who changes something after this rings
            seen: self.bell.load(Ordering::SeqCst),
            wanted: wanted.filter(|_| !state.waiting.is_empty()),
        }
    }
}

impl State {
    /// Whether who posts something new must ring.
    fn is_watched(&self) -> bool {
        self.watched || self.watched_besides != 0
    }

    /// A thread that watched does so no more.
    pub(super) fn uncover(&mut self) {
        if !self.is_watched() {
            self.covered = None;
        }
    }

    /// Whether there is nothing that could end.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.posted.is_empty() && self.ended.is_empty()
    }
}

/// All [`Completions`] of a connection.
#[derive(Debug, Default)]
pub(super) struct Register(Mutex<Vec<Weak<Desk>>>);

impl Register {
    fn add(&self, desk: &Arc<Desk>) {
        let mut desks = lock(&self.0);
        desks.retain(|desk| desk.strong_count() != 0);
        desks.push(Arc::downgrade(desk));
    }

    /// Calls `with` for each of them, without a lock.
    pub(super) fn each(&self, with: impl FnMut(&Desk)) {
        let desks: SmallVec<[Arc<Desk>; 4]> = lock(&self.0).iter().filter_map(Weak::upgrade).collect();
        desks.iter().map(|desk| &**desk).for_each(with);
    }
}
