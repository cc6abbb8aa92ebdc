//! Asking without waiting: one thread per connection, made on first use, that delivers what found no receive, moves the
//! pieces of long messages and replies, and runs the completions where the replies arrive.
//!
//! Nothing is waited for, and nothing long is copied, while the lock is held: [`Client::ask_then`] takes it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::mem::discriminant;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::host::{self, FLAG_ATTENTION, Rung};
use proto::slots::{
    ATTENTION_EXPECTING, ATTENTION_HUNGRY, ATTENTION_REPLIED, ATTENTION_SLOTS, Attention, REASON_BUFFER, REASON_REPLY,
    WAITERS, WINDOW,
};
use proto::status::Status;
use proto::wait::Patience;
use sys::clock::{self, Deadline};
use sys::futex::{self, Slept, Upper};

use super::accept::Callback;
use super::client::{Client, Inner};
use super::deliver::{Attempt, Outgoing, Progress, capacity};
use super::flying::{Ended, Flying, Moved, Stage, Words};
use super::stream::Sending;
use crate::Error;
use crate::sync::lock;
use crate::wait::{On, Timeout, wait, wait_by};

/// A message whose reply goes to a callback: [`Client::ask_then`].
#[derive(Debug)]
pub struct Question {
    /// What is sent.
    pub message: Vec<u8>,
    /// The most bytes of reply that are kept.
    pub reply_len: usize,
    /// A file that travels with it: the application gets its own descriptor of the same open file.
    pub fd: Option<Arc<OwnedFd>>,
    /// The time for delivery and reply together.
    pub timeout: Timeout,
}

/// A reply that went to a callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The status that the application put into its reply, or [`Status::BUFFER_OVERFLOW`].
    pub status: Status,
    /// What it sent.
    pub payload: Vec<u8>,
}

pub(super) type Done = Box<dyn FnOnce(Result<Answered, Error>) + Send>;

/// The questions of one connection that nobody waits for.
#[derive(Default)]
pub(super) struct Courier {
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
    /// Delivered, reply still to come. What the courier has taken out of here, to move pieces of it, it alone knows.
    flying: Vec<Flying>,
    /// Until when the courier sleeps at most; `None` while it is awake and will look at everything before it sleeps.
    asleep: Option<Option<Deadline>>,
    /// Half the time that the last question with a deadline had: how long an idle courier sleeps before it sleeps for
    /// good, so that questions in a row need not wake it to tell it their deadlines.
    linger: Option<Duration>,
}

struct Asked {
    question: Question,
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

/// Questions of one connection that may wait for a receive. With those that were delivered, at most twice this.
const MAX_QUEUED: usize = WAITERS;

/// How long the courier sleeps where the system's clock, if it is set, decides which deadline passes first.
const CLOCK_PATIENCE: Duration = Duration::from_millis(250);

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Courier")
            .field("queued", &state.queue.len())
            .field("flying", &state.flying.len())
            .finish_non_exhaustive()
    }
}

impl Courier {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Waits until everybody has been called back, of a connection that is closed.
    pub(super) fn drain(&self) {
        let ended = self.ended.wait_while(self.state(), |state| state.running);
        drop(ended.unwrap_or_else(PoisonError::into_inner));
    }
}

/// The courier's thread, for as long as it runs.
struct Running<'a>(&'a Courier);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().running = false;
        self.0.ended.notify_all();
    }
}

impl Client {
    /// Sends a message and returns at once, however slowly the application reads. `done` is called exactly once: with
    /// the reply, on the thread that receives it, or with an error as [`Client::ask`] has them; before the disconnect
    /// callback of the connection. It must not wait for another reply of the same connection, nor for its end.
    ///
    /// Besides, [`Status::INSUFFICIENT_RESOURCES`] when 1,024 messages wait already for a receive, or for a reply.
    #[doc(alias = "FltSendMessage")]
    pub fn ask_then(&self, question: Question, done: impl FnOnce(Result<Answered, Error>) + Send + 'static) {
        let checked = self.inner.check_process().and_then(|()| self.inner.check_len(question.message.len()));
        if let Err(error) = checked {
            return done(Err(error));
        }
        let deadline = question.timeout.deadline();
        let asked = Asked { question, deadline, progress: Progress::default(), tried: false, done: Box::new(done) };
        if let Some(ended) = self.inner.ask_later(asked) {
            (ended.done)(ended.result);
        }
    }
}

impl Inner {
    /// Delivers at once where that is possible, else queues. Something that has ended already is given back.
    fn ask_later(self: &Arc<Self>, asked: Asked) -> Option<Ended> {
        let mut state = self.courier.state();
        // with the lock held: the courier may have ended already, but not as long as the connection is open
        if let Err(error) = self.check() {
            return asked.fails(error);
        }
        if !state.running {
            let inner = Arc::clone(self);
            let started = std::thread::Builder::new().name("fltmgr-courier".into()).spawn(move || inner.run_courier());
            if let Err(error) = started {
                let error = Error::with_source(
                    Status::INSUFFICIENT_RESOURCES,
                    format!("sending to a client of {}", self.port),
                    error,
                );
                return asked.fails(error);
            }
            state.running = true;
        }
        if state.queue.len() >= MAX_QUEUED {
            let error = self.error(Status::INSUFFICIENT_RESOURCES);
            return asked.fails(error.hint("1,024 messages wait for a receive already"));
        }
        let deadline = asked.deadline;
        // the pieces after the first are the courier's
        let long = asked.question.message.len() > WINDOW;
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
            self.stir();
        }
        ended
    }

    /// Tries to deliver one question. It flies, goes to the front of the queue, or has ended.
    fn try_deliver(&self, state: &mut State, mut asked: Asked) -> Option<Ended> {
        let question = &asked.question;
        let outgoing = Outgoing {
            message: &question.message,
            reply: Some(capacity(question.reply_len)),
            file: question.fd.as_ref().map(|fd| fd.as_fd()),
            deadline: asked.deadline,
            flags: FLAG_ATTENTION,
        };
        asked.tried = true;
        let mut stage = Stage::Asked;
        let mut book = self.book();
        let attempt = self.attempt(&mut book, &outgoing, &mut asked.progress);
        let noted = book.host.noted();
        drop(book);
        let delivered = match attempt {
            Ok(Attempt::Starved) => {
                state.noted = noted;
                state.queue.push_front(asked);
                return None;
            }
            Ok(Attempt::Replied) => Ok(()),
            Ok(Attempt::Take(taken)) => {
                let begun = self.begin(taken, &outgoing, asked.progress.waiter());
                if begun.is_ok() && question.message.len() > WINDOW {
                    stage = Stage::Sending(Sending::new(taken), std::mem::take(&mut asked.question.message));
                } else {
                    // its receiver may have ended while it was written
                    self.take_back();
                }
                begun
            }
            Err(error) => Err(error),
        };
        match (delivered, asked.progress.waiter()) {
            (Ok(()), Some(waiter)) => {
                state.flying.push(Flying { waiter, deadline: asked.deadline, stage, done: asked.done });
                None
            }
            (Ok(()), None) => asked.fails(self.disconnected()),
            (Err(error), waiter) => {
                if let Some(waiter) = waiter {
                    self.give_up(waiter);
                }
                asked.fails(error)
            }
        }
    }

    fn run_courier(self: Arc<Self>) {
        let _running = Running(&self.courier);
        // taken out of the state: this thread alone moves their pieces
        let mut moving = Vec::new();
        loop {
            let seen = self.stirred.load(Ordering::SeqCst);
            let mut words = Words::new();
            let Moved { any, ended, back } = self.step(&mut moving, &mut words);
            let told = self.tell(ended);
            let mut state = self.courier.state();
            state.flying.extend(back);
            let closed = self.closed();
            let waiting = moving.len();
            let ended = self.round(&mut state, closed, &mut moving);
            if closed {
                // the round knew, so it left nothing; and nothing is asked after this, because that looks with the lock
                // held
                drop(state);
                self.tell(ended);
                self.tell(self.step(&mut moving, &mut words).ended);
                return;
            }
            // rung for since they were stepped, and the round took the bit
            let answered = moving.iter().any(|flying| self.is_answered(flying));
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
        let attention = &self.memory.shared().attention.word;
        let hungry = !state.queue.is_empty();
        if hungry {
            let mut book = self.book();
            if book.host.noted() != state.noted {
                // by another since the queue was looked at, who told nobody: this thread did not count as one who waits
                return;
            }
            book.hungry += 1;
        }
        let deadlines = state.queue.iter().map(|asked| asked.deadline);
        let deadlines = deadlines.chain(state.flying.iter().map(|flying| flying.deadline));
        let deadline = soonest(deadlines.chain([deadline])).or_else(|| {
            let linger = state.linger.take()?;
            Some(Deadline::Monotonic(clock::monotonic() + linger))
        });
        state.asleep = Some(deadline);
        drop(state);
        let wishes = if hungry { ATTENTION_HUNGRY | ATTENTION_EXPECTING } else { ATTENTION_EXPECTING };
        let reasons = if hungry { REASON_BUFFER | REASON_REPLY } else { REASON_REPLY };
        let rung = ATTENTION_REPLIED | if hungry { ATTENTION_SLOTS } else { 0 };
        let upper = Upper(attention);
        let look = || {
            let rung = attention.load(Ordering::Acquire) & rung != 0;
            let ended = || self.ended(Attention(attention).dead());
            (rung || self.stirred.load(Ordering::SeqCst) != seen || ended()).then_some(())
        };
        let pieces = !words.is_empty();
        if pieces {
            // who sleeps on several words is woken for any reason, another's too, whom nobody else wakes: not to sleep
            // again before that has been looked at, below
            let woken = Cell::new(false);
            let moved = || words.iter().any(|&(word, seen)| word.now() != seen);
            let look = || look().or_else(|| (woken.get() || moved()).then_some(()));
            let sleep = || match self.prepare_sleep(wishes, seen) {
                Some(asleep) => {
                    let mut all: Words<'_> = words.iter().copied().collect();
                    all.push((&upper, asleep));
                    woken.set(true);
                    futex::wait_any(&all, deadline)
                }
                None => Ok(Slept::Look),
            };
            wait_by(&self.courier.pieces, &self.asleep, deadline, look, sleep);
        } else {
            let on = On { word: &upper, reasons, patience: &self.courier.patience, asleep: &self.asleep };
            wait(&on, deadline, look, || self.prepare_sleep(wishes, seen));
        }
        if hungry || pieces {
            let mut book = self.book();
            book.hungry -= usize::from(hungry);
            // the questions may have run out of time meanwhile, or it was woken for another's receive: then nobody here
            // uses what this thread was woken for
            if book.host.leaves_work(self.memory.shared(), Rung::default(), book.hungry) {
                self.stir();
            }
        }
    }

    /// Looks at everything once, apart from pieces. What has ended is taken out, to be told without the lock; what has
    /// a reply, or pieces to send, goes to `moving`.
    fn round(&self, state: &mut State, closed: bool, moving: &mut Vec<Flying>) -> Vec<Ended> {
        let shared = self.memory.shared();
        let mut ended = Vec::new();
        if Attention(&shared.attention.word).has_replies() {
            // the bit is the courier's to take; what else was rung goes into the book for whoever needs it
            let mut book = self.book();
            let rung = book.host.pull(shared);
            if book.hungry > 0 && (rung.gets || rung.replies) {
                self.stir();
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
        let moves = |flying: &mut Flying| {
            let sends = matches!(flying.stage, Stage::Sending(..));
            closed || sends || host::replied(shared, flying.waiter) || flying.deadline.is_some_and(Deadline::passed)
        };
        moving.extend(state.flying.extract_if(.., moves));
        ended
    }

    /// The end of a question that found no receive. One that was answered all the same, by the id in a refused receive
    /// and at the last moment, goes to `moving`.
    fn never_delivered(&self, asked: Asked, moving: &mut Vec<Flying>) -> Option<Ended> {
        let Asked { deadline, progress, done, .. } = asked;
        if let Some(waiter) = progress.waiter() {
            if !self.closed() && !host::expire(self.memory.shared(), waiter) {
                moving.push(Flying { waiter, deadline, stage: Stage::Asked, done });
                return None;
            }
            self.give_up(waiter);
        }
        let closed = self.closed();
        let error = if closed {
            self.disconnected()
        } else {
            self.error(Status::TIMEOUT).hint("no receive was posted in time")
        };
        Some(Ended { done, result: Err(error) })
    }

    /// Calls back, without the lock; whether there was anybody to call.
    fn tell(&self, ended: Vec<Ended>) -> bool {
        let any = !ended.is_empty();
        for Ended { done, result } in ended {
            let _runs = Callback::begin(self.port_id);
            // a callback that panics has been reported by the panic hook; the others are owed their calls
            let _ = catch_unwind(AssertUnwindSafe(|| done(result)));
        }
        any
    }
}

/// When to look next: at the deadline that passes first. Which one that is changes when somebody sets the system's
/// clock, so where deadlines of both clocks are mixed it is looked at now and then.
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

    /// Another sender takes the receive that it uses, and notes a second one, after the courier has looked and before it
    /// counts as one who waits.
    #[test]
    fn a_receive_that_another_took_note_of_is_not_slept_over() {
        let inner = Client::without_a_port().inner;
        let seen = inner.stirred.load(Ordering::SeqCst);
        let mut state = inner.courier.state();
        let question = Question { message: b"?".to_vec(), reply_len: 0, fd: None, timeout: Timeout::Never };
        let (progress, done) = (Progress::default(), Box::new(|_| {}));
        state.queue.push_back(Asked { question, deadline: None, progress, tried: false, done });
        assert!(inner.round(&mut state, false, &mut Vec::new()).is_empty());
        for _ in 0..2 {
            let slot = client::reserve_get(inner.memory.shared(), Holder::FIRST).unwrap();
            client::post_get(inner.memory.shared(), slot, 100).unwrap();
        }
        let outgoing = Outgoing { message: b"!", reply: None, file: None, deadline: None, flags: 0 };
        let attempt = inner.attempt(&mut inner.book(), &outgoing, &mut Progress::default());
        assert!(matches!(attempt, Ok(Attempt::Take(_))));
        let start = clock::monotonic();
        let soon = Deadline::Monotonic(start + Duration::from_secs(10));
        inner.rest(state, seen, Some(soon), &Words::new());
        assert!(clock::monotonic() - start < Duration::from_secs(5), "it slept");
        let mut state = inner.courier.state();
        assert!(inner.round(&mut state, false, &mut Vec::new()).is_empty());
        assert_eq!((state.queue.len(), state.flying.len(), inner.book().hungry), (0, 1, 0));
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
