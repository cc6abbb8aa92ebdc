//! The application's end: every way to receive and to answer, side by side, and requests.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use fltmgr::{Connection, Error, Message, Received, Status, Timeout};
use testkit::{Random, mix};

use super::FINISH;
use super::log::{Event, Log, Record, now};
use super::payload::{ANSWER, QUESTION, ROOM, UNREAD, is_payload, number, payload};

/// What this round's application does besides receiving and answering.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    /// Receives are cancelled all the time.
    pub(crate) cancels: bool,
    /// Receivers are dropped with receives posted: what was delivered there is lost, or answered "cancelled".
    pub(crate) drops: bool,
}

impl Habits {
    pub(crate) fn of(seed: u64) -> Self {
        Self { cancels: mix(seed) & 1 != 0, drops: mix(seed) & 2 != 0 }
    }
}

struct Receiving<'a> {
    port: &'a Connection,
    log: &'a Log,
    requests: AtomicU64,
    requesting: AtomicUsize,
    finish: AtomicBool,
    over: AtomicBool,
}

/// A way to receive until the connection ends; gives that end.
type Style = for<'a, 'b> fn(&'a Receiving<'b>, &mut Random, Habits) -> Error;

const REQUESTING: usize = 2;

/// Receives and replies until the connection ends. Its requests have numbers from `requests` on.
pub(crate) fn run(port: &Connection, log: &Log, seed: u64, requests: u64) {
    let habits = Habits::of(seed);
    let receiving = Receiving {
        port,
        log,
        requests: AtomicU64::new(requests),
        requesting: AtomicUsize::new(REQUESTING),
        finish: AtomicBool::new(false),
        over: AtomicBool::new(false),
    };
    let receiving = &receiving;
    thread::scope(|scope| {
        for _ in 0..REQUESTING {
            scope.spawn(|| receiving.request());
        }
        let styles: [(u64, Style); 5] = [
            (10, |r, random, habits| r.blocking(random, habits)),
            (11, |r, random, habits| r.with_timeouts(random, habits)),
            (12, |r, random, habits| r.receivers(random, habits)),
            (13, |r, random, habits| r.completions(random, habits)),
            (14, |r, random, habits| r.limited(random, habits)),
        ];
        let running = AtomicUsize::new(styles.len());
        thread::scope(|scope| {
            for (salt, style) in styles {
                let running = &running;
                scope.spawn(move || {
                    let error = style(receiving, &mut Random::new(seed ^ salt), habits);
                    assert_eq!(error.status(), Status::PORT_DISCONNECTED, "{error}");
                    running.fetch_sub(1, Ordering::SeqCst);
                });
            }
            if habits.cancels {
                let mut random = Random::new(seed ^ 15);
                while running.load(Ordering::SeqCst) == styles.len() {
                    receiving.port.cancel_receives();
                    thread::park_timeout(Duration::from_micros(random.below(1000)));
                }
            }
        });
        receiving.over.store(true, Ordering::SeqCst);
    });
}

/// An error that ends a receiving thread; a cancelled receive does not.
fn fatal<T>(result: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    match result {
        Err(error) if error.status() == Status::CANCELLED => Ok(None),
        result => result,
    }
}

impl Receiving<'_> {
    fn blocking(&self, random: &mut Random, _: Habits) -> Error {
        loop {
            match fatal(self.port.recv().map(Some)) {
                Ok(message) => self.work(message, random),
                Err(error) => return error,
            }
        }
    }

    fn with_timeouts(&self, random: &mut Random, _: Habits) -> Error {
        loop {
            match fatal(self.port.recv_timeout(Duration::from_micros(random.below(100)))) {
                Ok(message) => self.work(message, random),
                Err(error) => return error,
            }
        }
    }

    fn receivers(&self, random: &mut Random, habits: Habits) -> Error {
        loop {
            let mut receiver = match fatal(self.port.receiver(3).map(Some)) {
                Ok(Some(receiver)) => receiver,
                Ok(None) => continue,
                Err(error) => return error,
            };
            while !(habits.drops && random.once_in(4)) {
                match fatal(receiver.recv().map(Some)) {
                    Ok(message) => self.work(message, random),
                    Err(error) => return error,
                }
            }
        }
    }

    fn completions(&self, random: &mut Random, _: Habits) -> Error {
        let completions = self.port.completions();
        let mut post = (0..3).collect::<Vec<_>>();
        loop {
            for token in post.drain(..) {
                // that the port is dead is told below, after what was delivered
                let _ = completions.post(token, usize::MAX);
            }
            if random.once_in(4) {
                completions.cancel(random.below(3));
            }
            match completions.next() {
                Ok(completed) => {
                    post.push(completed.token);
                    match fatal(completed.result.map(Some)) {
                        Ok(Some(Received::Message(message))) => self.work(Some(message), random),
                        Ok(_) => {}
                        Err(error) => return self.rest(&completions, error, random),
                    }
                }
                Err(error) => return error,
            }
        }
    }

    /// What was delivered before the end is told before it, whatever completes first.
    fn rest(&self, completions: &fltmgr::Completions, end: Error, random: &mut Random) -> Error {
        while let Ok(completed) = completions.next() {
            if let Ok(Received::Message(message)) = completed.result {
                self.work(Some(message), random);
            }
        }
        end
    }

    fn limited(&self, random: &mut Random, _: Habits) -> Error {
        loop {
            let capacity = if random.once_in(2) { 60 } else { 100_000 };
            let timeout = Timeout::After(Duration::from_micros(random.below(500)));
            match fatal(self.port.recv_limited(capacity, timeout)) {
                Ok(Some(Received::Message(message))) => self.work(Some(message), random),
                Ok(Some(Received::TooSmall { id, .. })) if id != 0 && random.once_in(2) => {
                    thread::park_timeout(Duration::from_micros(random.below(300)));
                    let at = now();
                    let replied = self.port.reply(id, UNREAD, &id.to_le_bytes());
                    let status = replied.map_or_else(|error| error.status(), |()| Status::SUCCESS);
                    self.log.write(&Record { event: Event::Unread, number: id, status, right: true, id, at });
                }
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    }

    /// Looks at a message and answers it in one way or another.
    fn work(&self, message: Option<Message>, random: &mut Random) {
        let Some(message) = message else { return };
        let number = number(message.body());
        if number == FINISH {
            self.finish.store(true, Ordering::SeqCst);
            while self.requesting.load(Ordering::SeqCst) != 0 && self.port.is_connected() {
                thread::park_timeout(Duration::from_micros(50));
            }
            // the filter may be gone meanwhile
            let _ = message.reply(Status::SUCCESS, b"");
            return;
        }
        let right = is_payload(message.body(), number, QUESTION);
        let id = message.id();
        self.log.write(&Record { event: Event::Seen, number, status: Status::SUCCESS, right, id, at: now() });
        if id == 0 {
            return;
        }
        match random.below(16) {
            0..8 => {}
            // beyond the deadline, or just to it
            8 => thread::park_timeout(message.time_left().unwrap_or_default().min(Duration::from_millis(2))),
            _ => thread::park_timeout(Duration::from_micros(random.below(300))),
        }
        let answer = payload(number, ANSWER);
        let at = now();
        let replied = match random.below(16) {
            0 => {
                drop(message);
                self.log.note(Event::Dropped, number);
                return;
            }
            1..3 => self.port.reply(message.detach(), Status::SUCCESS, &answer),
            _ => message.reply(Status::SUCCESS, &answer),
        };
        let status = replied.map_or_else(|error| error.status(), |()| Status::SUCCESS);
        self.log.write(&Record { event: Event::Replied, number, status, right: true, id, at });
        if random.once_in(8) && self.port.reply(id, Status::SUCCESS, b"twice").is_ok() {
            self.log.note(Event::Twice, number);
        }
    }

    /// Requests until it is to finish, or the connection ends.
    fn request(&self) {
        let mut output = vec![0; ROOM];
        while !self.finish.load(Ordering::SeqCst) && !self.over.load(Ordering::SeqCst) {
            let number = self.requests.fetch_add(1, Ordering::Relaxed);
            self.log.note(Event::Requested, number);
            let answer = self.port.request(&payload(number, QUESTION), &mut output);
            let (status, right) = match &answer {
                Ok(answer) if answer.status == Status::SUCCESS => {
                    (answer.status, is_payload(&output[..answer.len], number, ANSWER))
                }
                Ok(answer) => (answer.status, answer.len == 0),
                Err(error) => (error.status(), true),
            };
            self.log.write(&Record { event: Event::Answered, number, status, right, id: 0, at: now() });
            if answer.is_err() {
                break;
            }
        }
        self.requesting.fetch_sub(1, Ordering::SeqCst);
    }
}
