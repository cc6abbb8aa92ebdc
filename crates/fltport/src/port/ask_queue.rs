//! Asking without waiting: messages that found no receive wait here, in order, for the one thread of their connection. It
//! is made on first use, delivers them, moves the pieces of long messages and replies, and calls back with each reply.
//!
//! Nothing is waited for, and nothing long is copied, while the lock is held: [`super::Client::ask_then`] takes it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::mem::discriminant;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::host::{self, FLAG_ATTENTION, Rung};
use proto::slots::{
    ATTENTION_AWAITS_GET, ATTENTION_AWAITS_REPLY, ATTENTION_GETS, ATTENTION_REPLIED, Attention, REASON_BUFFER,
    REASON_REPLY, WAITERS, WINDOW,
};
use proto::status::Status;
use proto::wait::Patience;
use sys::clock::{self, Deadline};
use sys::futex::{self, Futex, Slept, Upper};

use super::callback::Callback;
use super::file::MessageFile;
use super::in_flight::{Done, Ended, InFlight, Moved, Stage, Words};
use super::link::Link;
use super::pieces::Sending;
use super::send::{Attempt, Outgoing, Progress, capacity};
use crate::Error;
use crate::sync::lock;
use crate::wait::{On, Timeout, wait, wait_by};

/// A message whose reply goes to a callback: [`super::Client::ask_then`].
#[derive(Debug)]
pub struct OutgoingMessage {
    /// What is sent.
    pub body: Vec<u8>,
    /// The most bytes of reply that are kept.
    pub reply_len: usize,
    /// A file that travels with it: the application gets its own descriptor of the same open file.
    pub file: Option<Arc<OwnedFd>>,
    /// The time for delivery and reply together.
    pub timeout: Timeout,
}

/// The messages of one connection whose replies no thread of the filter waits for.
pub(super) struct AskQueue {
    link: Arc<Link>,
    state: Mutex<State>,
    /// Told when its thread has called back for the last time.
    ended: Condvar,
    /// Of waits for replies and receives.
    patience: Patience,
    /// Of waits for the next piece of something long, too.
    pieces: Patience,
}

#[derive(Default)]
struct State {
    running: bool,
    /// Not delivered yet, oldest first.
    queue: VecDeque<Asked>,
    /// How many receives had been noted when the first of these found none.
    noted: u64,
    /// Delivered, reply still to come. What the thread has taken out of here, to move pieces of it, it alone knows.
    in_flight: Vec<InFlight>,
    /// Until when the thread sleeps at most; `None` while it is awake and will look at everything before it sleeps.
    asleep: Option<Option<Deadline>>,
    /// Half the time that the last message with a deadline had: how long an idle thread sleeps before it sleeps for good,
    /// so that messages in a row need not wake it to tell it their deadlines.
    linger: Option<Duration>,
}

struct Asked {
    body: Vec<u8>,
    reply_len: usize,
    file: Option<MessageFile>,
    deadline: Option<Deadline>,
    progress: Progress,
    /// A look for a receive has been made: only then may its deadline end it, as for a poll.
    tried: bool,
    done: Done,
}

impl Asked {
    fn fails(self, error: Error) -> Option<Ended> {
        Some(Ended { done: self.done, result: Err(error) })
    }
}

/// Messages of one connection that may wait for a receive. With those that were delivered, at most twice this.
const MAX_QUEUED: usize = WAITERS;

/// How long the thread sleeps where the system's clock, if it is set, decides which deadline passes first.
const CLOCK_PATIENCE: Duration = Duration::from_millis(250);

impl fmt::Debug for AskQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("AskQueue")
            .field("queued", &state.queue.len())
            .field("in_flight", &state.in_flight.len())
            .finish_non_exhaustive()
    }
}

impl AskQueue {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Waits until everything has been called back, of a connection that is closed.
    pub(super) fn drain(&self) {
        let ended = self.ended.wait_while(self.state(), |state| state.running);
        drop(ended.unwrap_or_else(PoisonError::into_inner));
    }
}

/// The thread of an ask queue, for as long as it runs.
struct Running<'a>(&'a AskQueue);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().running = false;
        self.0.ended.notify_all();
    }
}

impl AskQueue {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            state: Mutex::default(),
            ended: Condvar::new(),
            patience: Patience::default(),
            pieces: Patience::default(),
        }
    }

    /// Delivers a message, at once where that is possible, and calls `done` once, with the reply or the reason why there
    /// is none.
    pub(super) fn ask(self: &Arc<Self>, message: OutgoingMessage, done: Done) {
        let checked = self.link.check_process().and_then(|()| self.link.check_len(message.body.len()));
        if let Err(error) = checked {
            return done(Err(error));
        }
        let deadline = message.timeout.deadline();
        let OutgoingMessage { body, reply_len, file, .. } = message;
        let file = file.map(|file| MessageFile::new(file, self.link.peer.uid));
        let asked = Asked { body, reply_len, file, deadline, progress: Progress::default(), tried: false, done };
        if let Some(ended) = self.deliver_or_queue(asked) {
            (ended.done)(ended.result);
        }
    }

    /// Delivers at once where that is possible, else queues. What has ended already is given back.
    fn deliver_or_queue(self: &Arc<Self>, asked: Asked) -> Option<Ended> {
        let mut state = self.state();
        // with the lock held: the thread may have ended already, but not as long as the connection is open
        if let Err(error) = self.link.check() {
            return asked.fails(error);
        }
        if !state.running {
            let queue = Arc::clone(self);
            let started = std::thread::Builder::new().name("fltmgr-asks".into()).spawn(move || queue.run());
            if let Err(error) = started {
                let error = Error::with_source(
                    Status::INSUFFICIENT_RESOURCES,
                    format!("sending to a client of {}", self.link.port),
                    error,
                );
                return asked.fails(error);
            }
            state.running = true;
        }
        if state.queue.len() >= MAX_QUEUED {
            let error = self.link.error(Status::INSUFFICIENT_RESOURCES);
            return asked.fails(error.hint("1,024 messages wait for a receive already"));
        }
        let deadline = asked.deadline;
        // the pieces after the first are the thread's
        let long = asked.body.len() > WINDOW;
        // order: what was asked earlier is delivered earlier
        let ended = if state.queue.is_empty() {
            self.try_deliver(&mut state, asked)
        } else {
            state.queue.push_back(asked);
            None
        };
        if let Some(deadline) = deadline {
            state.linger = Some(deadline.remaining() / 2);
        }
        let late = match (state.asleep, deadline) {
            // another clock's may become the sooner one
            (Some(Some(asleep)), Some(new)) => {
                new.remaining() < asleep.remaining() || discriminant(&new) != discriminant(&asleep)
            }
            (Some(None), Some(_)) => true,
            _ => false,
        };
        if late || (state.asleep.is_some() && (long || !state.queue.is_empty())) {
            state.asleep = None;
            drop(state);
            self.link.make_all_look();
        }
        ended
    }

    /// Tries to deliver one message. It is in flight then, or at the front of the queue again, or has ended.
    fn try_deliver(&self, state: &mut State, mut asked: Asked) -> Option<Ended> {
        let outgoing = Outgoing {
            message: &asked.body,
            reply: Some(capacity(asked.reply_len)),
            file: asked.file.as_ref().and_then(MessageFile::as_fd),
            deadline: asked.deadline,
            flags: FLAG_ATTENTION,
        };
        asked.tried = true;
        let mut stage = Stage::Asked;
        let mut ledger = self.link.ledger();
        let attempt = self.link.attempt(&mut ledger, &outgoing, &mut asked.progress);
        let noted = ledger.host.noted();
        drop(ledger);
        let delivered = match attempt {
            Ok(Attempt::NoReceive) => {
                state.noted = noted;
                state.queue.push_front(asked);
                return None;
            }
            Ok(Attempt::Replied) => Ok(()),
            Ok(Attempt::Take(taken)) => {
                let begun = self.link.begin(taken, &outgoing, asked.progress.waiter());
                if begun.is_ok() && asked.body.len() > WINDOW {
                    stage = Stage::Sending(Sending::new(taken, asked.body.len()), std::mem::take(&mut asked.body));
                } else {
                    // its receiver may have ended while it was written
                    self.link.take_back();
                }
                begun
            }
            Err(error) => Err(error),
        };
        match (delivered, asked.progress.waiter()) {
            (Ok(()), Some(waiter)) => {
                state.in_flight.push(InFlight { waiter, deadline: asked.deadline, stage, done: asked.done });
                None
            }
            (Ok(()), None) => asked.fails(self.link.disconnected()),
            (Err(error), waiter) => {
                if let Some(waiter) = waiter {
                    self.link.give_up(waiter);
                }
                asked.fails(error)
            }
        }
    }

    fn run(self: Arc<Self>) {
        let _running = Running(&self);
        // taken out of the state: this thread alone moves their pieces
        let mut moving = Vec::new();
        loop {
            let seen = self.link.epoch.load(Ordering::SeqCst);
            let mut words = Words::new();
            let Moved { any, ended, back } = self.link.step(&mut moving, &mut words);
            let told = self.tell(ended);
            let mut state = self.state();
            state.in_flight.extend(back);
            let closed = self.link.closed();
            let waiting = moving.len();
            let ended = self.round(&mut state, closed, &mut moving);
            if closed {
                // the round knew, so it left nothing; and nothing is asked after this, because that looks with the lock
                // held
                drop(state);
                self.tell(ended);
                self.tell(self.link.step(&mut moving, &mut words).ended);
                return;
            }
            // rung for since they were stepped, and the round took the bit
            let answered = moving.iter().any(|asked| self.link.is_answered(asked));
            if any || told || answered || !ended.is_empty() || moving.len() > waiting {
                state.asleep = None;
                drop(state);
                self.tell(ended);
                continue;
            }
            self.rest(state, seen, soonest(moving.iter().map(|moving| moving.deadline)), &words);
        }
    }

    /// Sleeps until there is something to look at: in the attention word, in `words`, or because of a deadline.
    fn rest(&self, mut state: MutexGuard<'_, State>, seen: u32, deadline: Option<Deadline>, words: &Words<'_>) {
        let attention = &self.link.memory.shared().attention.word;
        let awaits_get = !state.queue.is_empty();
        if awaits_get {
            let mut ledger = self.link.ledger();
            if ledger.host.noted() != state.noted {
                // by another thread since the queue was looked at, which told none: this one was not counted as waiting
                return;
            }
            ledger.awaiting += 1;
        }
        let deadlines = state.queue.iter().map(|asked| asked.deadline);
        let deadlines = deadlines.chain(state.in_flight.iter().map(|asked| asked.deadline));
        let deadline = soonest(deadlines.chain([deadline])).or_else(|| {
            let linger = state.linger.take()?;
            Some(Deadline::Monotonic(clock::monotonic() + linger))
        });
        state.asleep = Some(deadline);
        drop(state);
        let wishes = if awaits_get { ATTENTION_AWAITS_GET | ATTENTION_AWAITS_REPLY } else { ATTENTION_AWAITS_REPLY };
        let reasons = if awaits_get { REASON_BUFFER | REASON_REPLY } else { REASON_REPLY };
        let rung = ATTENTION_REPLIED | if awaits_get { ATTENTION_GETS } else { 0 };
        let upper = Upper(attention);
        let look = || {
            let rung = attention.load(Ordering::Acquire) & rung != 0;
            let ended = || self.link.ended(Attention(attention).dead());
            (rung || self.link.epoch.load(Ordering::SeqCst) != seen || ended()).then_some(())
        };
        let pieces = !words.is_empty();
        if pieces {
            // a thread that sleeps on several words is woken for any reason, also in place of another that is then not
            // woken: so it does not sleep again before that has been looked at, below
            let woken = Cell::new(false);
            let moved = || words.iter().any(|&(word, seen)| word.now() != seen);
            let look = || look().or_else(|| (woken.get() || moved()).then_some(()));
            let sleep = || match self.link.prepare_sleep(wishes, seen) {
                Some(asleep) => {
                    // first: where there are too many, the thread sleeps on that
                    let first: (&dyn Futex, u32) = (&upper, asleep);
                    let all: Words<'_> = std::iter::once(first).chain(words.iter().copied()).collect();
                    woken.set(true);
                    futex::wait_any(&all, deadline)
                }
                None => Ok(Slept::Look),
            };
            wait_by(&self.pieces, &self.link.asleep, deadline, look, sleep);
        } else {
            let on = On { word: &upper, reasons, patience: &self.patience, asleep: &self.link.asleep };
            wait(&on, deadline, look, || self.link.prepare_sleep(wishes, seen));
        }
        if awaits_get || pieces {
            let mut ledger = self.link.ledger();
            ledger.awaiting -= usize::from(awaits_get);
            // the questions may have run out of time meanwhile, or it was woken for another's receive: then this thread
            // does not use what it was woken for
            if ledger.host.leaves_work(self.link.memory.shared(), Rung::default(), ledger.awaiting) {
                self.link.make_all_look();
            }
        }
    }

    /// Looks at everything once, apart from pieces. What has ended is taken out, to be told without the lock; what has
    /// a reply, or pieces to send, goes to `moving`.
    fn round(&self, state: &mut State, closed: bool, moving: &mut Vec<InFlight>) -> Vec<Ended> {
        let shared = self.link.memory.shared();
        let mut ended = Vec::new();
        if Attention(&shared.attention.word).has_replies() {
            // the bit is this thread's to take; what else was rung goes into the ledger for the threads that need it
            let mut ledger = self.link.ledger();
            let rung = ledger.host.pull(shared);
            if ledger.awaiting > 0 && (rung.gets || rung.replies) {
                self.link.make_all_look();
            }
        }
        while let Some(asked) = state.queue.pop_front() {
            if closed || (asked.tried && asked.deadline.is_some_and(Deadline::passed)) {
                ended.extend(self.never_delivered(asked, moving));
                continue;
            }
            let queued = state.queue.len();
            ended.extend(self.try_deliver(state, asked));
            if state.queue.len() > queued {
                break; // it went back to the front: no receive fits it now
            }
        }
        // what is behind it waits for it, but not longer than its own time
        let over = |asked: &Asked| asked.deadline.is_some_and(Deadline::passed);
        if state.queue.iter().any(over) {
            let (late, waiting): (VecDeque<_>, _) = state.queue.drain(..).partition(over);
            state.queue = waiting;
            ended.extend(late.into_iter().filter_map(|asked| self.never_delivered(asked, moving)));
        }
        let moves = |asked: &mut InFlight| {
            let sends = matches!(asked.stage, Stage::Sending(..));
            closed || sends || host::replied(shared, asked.waiter) || asked.deadline.is_some_and(Deadline::passed)
        };
        moving.extend(state.in_flight.extract_if(.., moves));
        ended
    }

    /// The end of a message that found no receive. One that was answered all the same, by the id in a refused receive
    /// and at the last moment, goes to `moving`.
    fn never_delivered(&self, asked: Asked, moving: &mut Vec<InFlight>) -> Option<Ended> {
        let Asked { deadline, progress, done, .. } = asked;
        if let Some(waiter) = progress.waiter() {
            if !self.link.closed() && !host::expire(self.link.memory.shared(), waiter) {
                moving.push(InFlight { waiter, deadline, stage: Stage::Asked, done });
                return None;
            }
            self.link.give_up(waiter);
        }
        let closed = self.link.closed();
        let error = if closed {
            self.link.disconnected()
        } else {
            self.link.error(Status::TIMEOUT).hint("no receive was posted in time")
        };
        Some(Ended { done, result: Err(error) })
    }

    /// Calls back, without the lock; whether there was anything to call.
    fn tell(&self, ended: Vec<Ended>) -> bool {
        let any = !ended.is_empty();
        for Ended { done, result } in ended {
            let _runs = Callback::begin(self.link.port_id);
            // a callback that panics has been reported by the panic hook; the others are owed their calls
            let _ = catch_unwind(AssertUnwindSafe(|| done(result)));
        }
        any
    }
}

/// When to look next: at the deadline that passes first. Which one that is changes when the system's clock is set, so
/// where deadlines of both clocks are mixed it is looked at now and then.
fn soonest(deadlines: impl Iterator<Item = Option<Deadline>>) -> Option<Deadline> {
    let (mut soonest, mut clocks) = (None::<Deadline>, [false; 2]);
    for deadline in deadlines.flatten() {
        clocks[usize::from(matches!(deadline, Deadline::Realtime(_)))] = true;
        if soonest.is_none_or(|soonest| deadline.remaining() < soonest.remaining()) {
            soonest = Some(deadline);
        }
    }
    let late = |soonest: &Deadline| clocks == [true; 2] && soonest.remaining() > CLOCK_PATIENCE;
    soonest
        .map(|soonest| if late(&soonest) { Deadline::Monotonic(clock::monotonic() + CLOCK_PATIENCE) } else { soonest })
}

#[cfg(test)]
mod tests {
    use proto::client;
    use proto::slots::Holder;

    use super::*;

    /// Another sender takes the receive that it uses, and notes a second one, after the thread has looked and before it
    /// is counted as waiting.
    #[test]
    fn a_receive_that_another_took_note_of_is_not_slept_over() {
        let link = Link::without_a_port();
        let queue = AskQueue::new(Arc::clone(&link));
        let seen = link.epoch.load(Ordering::SeqCst);
        let mut state = queue.state();
        let (progress, done) = (Progress::default(), Box::new(|_| {}));
        let body = b"?".to_vec();
        state.queue.push_back(Asked { body, reply_len: 0, file: None, deadline: None, progress, tried: false, done });
        assert!(queue.round(&mut state, false, &mut Vec::new()).is_empty());
        for _ in 0..2 {
            let slot = client::reserve_get(link.memory.shared(), Holder::FIRST).unwrap();
            client::post_get(link.memory.shared(), slot, 100).unwrap();
        }
        let outgoing = Outgoing { message: b"!", reply: None, file: None, deadline: None, flags: 0 };
        let attempt = link.attempt(&mut link.ledger(), &outgoing, &mut Progress::default());
        assert!(matches!(attempt, Ok(Attempt::Take(_))));
        let start = clock::monotonic();
        let soon = Deadline::Monotonic(start + Duration::from_secs(10));
        queue.rest(state, seen, Some(soon), &Words::new());
        assert!(clock::monotonic() - start < Duration::from_secs(5), "it slept");
        let mut state = queue.state();
        assert!(queue.round(&mut state, false, &mut Vec::new()).is_empty());
        assert_eq!((state.queue.len(), state.in_flight.len(), link.ledger().awaiting), (0, 1, 0));
    }

    #[test]
    fn mixed_clocks_are_looked_at_now_and_then() {
        let after = |seconds| Deadline::Monotonic(clock::monotonic() + Duration::from_secs(seconds));
        let at = |seconds| Deadline::Realtime(clock::realtime() + Duration::from_secs(seconds));
        let soonest = |deadlines: &[Deadline]| soonest(deadlines.iter().copied().map(Some));
        assert_eq!(soonest(&[]), None);
        let (near, far) = (after(10), after(20));
        assert_eq!(soonest(&[far, near]), Some(near));
        let (near, far) = (at(10), at(20));
        assert_eq!(soonest(&[near, far]), Some(near));
        for mixed in [[after(10), at(20)], [at(10), after(20)]] {
            assert!(soonest(&mixed).unwrap().remaining() <= CLOCK_PATIENCE);
        }
        assert!(soonest(&[after(10), at(0)]).unwrap().passed());
    }
}
