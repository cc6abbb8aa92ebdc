//! Two threads or processes about one system call: one makes it, the other changes what it will find.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::Random;

use crate::process::{exit, fork, reap};
use crate::raw::shared;

/// What the changed thing leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Something that no rule names.
    Open,
    /// What must not be reached.
    Denied,
}

impl Side {
    /// One of two values.
    pub(crate) fn of<T>(self, open: T, denied: T) -> T {
        if self == Self::Open { open } else { denied }
    }
}

/// How one try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// What must not be reached was reached.
    Through,
    /// Something else was.
    Harmless,
    /// An error.
    Error(i32),
}

/// Where the changes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Thread,
    /// A process of its own, which shares what these flags of clone say.
    Process(i32),
}

type Change = Arc<dyn Fn(Side) + Send + Sync>;

/// One try, its number given.
type Attempt = Box<dyn FnMut(u64) -> Outcome>;

pub(crate) struct Race {
    pub(crate) by: By,
    pub(crate) change: Change,
    pub(crate) attempt: Attempt,
}

impl Race {
    pub(crate) fn new(
        change: impl Fn(Side) + Send + Sync + 'static,
        attempt: impl FnMut(u64) -> Outcome + 'static,
    ) -> Self {
        Self { by: By::Thread, change: Arc::new(change), attempt: Box::new(attempt) }
    }

    pub(crate) fn by(self, by: By) -> Self {
        Self { by, ..self }
    }
}

/// What the two ends share, in memory that a child of fork shares too.
struct Ring {
    /// The number of the try that is under way; 0 before the first.
    round: AtomicU64,
    /// The last try that is over.
    over: AtomicU64,
    /// The last try about which nothing will be changed any more.
    rested: AtomicU64,
    /// When to change, in nanoseconds from the beginning of the try; [`ALWAYS`]: to and fro until it is over.
    delay: AtomicU64,
    stop: AtomicBool,
}

const ALWAYS: u64 = u64::MAX;

/// After so long no further try is begun.
const PATIENCE: Duration = Duration::from_secs(100);

impl Ring {
    fn new() -> &'static Self {
        let memory = shared(size_of::<Self>());
        // SAFETY: the mapping is page-aligned, large enough, never unmapped, and all of its zeroes are valid atomics.
        unsafe { &*memory.as_ptr().cast::<Self>() }
    }

    /// Changes in every try, until told to stop.
    fn serve(&self, change: &(dyn Fn(Side) + Send + Sync)) {
        let mut random = Random::new(1);
        let mut served = 0;
        loop {
            let round = spin_until(|| {
                let round = self.round.load(Ordering::Acquire);
                (round != served || self.stop.load(Ordering::Acquire)).then_some(round)
            });
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            let over = || self.over.load(Ordering::Acquire) >= round;
            match self.delay.load(Ordering::Acquire) {
                ALWAYS => {
                    while !over() {
                        change(Side::Denied);
                        pause(random.below(3_000), &over);
                        change(Side::Open);
                        pause(random.below(3_000), &over);
                    }
                }
                delay => {
                    pause(delay, &over);
                    change(Side::Denied);
                }
            }
            served = round;
            self.rested.store(round, Ordering::Release);
        }
    }
}

/// Waits without sleeping, unless it takes long: where there is one processor the other end has to run.
fn spin_until<T>(mut condition: impl FnMut() -> Option<T>) -> T {
    for spins in 0u32.. {
        if let Some(value) = condition() {
            return value;
        }
        if spins < 20_000 {
            std::hint::spin_loop();
        } else {
            std::thread::sleep(Duration::from_micros(20));
        }
    }
    unreachable!("an endless range")
}

fn pause(nanoseconds: u64, over: &dyn Fn() -> bool) {
    let end = Instant::now() + Duration::from_nanos(nanoseconds);
    while Instant::now() < end && !over() {
        std::hint::spin_loop();
    }
}

/// What became of all tries.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    tries: u64,
    through: u64,
    harmless: u64,
    errors: std::collections::BTreeMap<i32, u64>,
}

impl Tally {
    pub(crate) fn count(&mut self, outcome: Outcome) {
        self.tries += 1;
        match outcome {
            Outcome::Through => self.through += 1,
            Outcome::Harmless => self.harmless += 1,
            Outcome::Error(errno) => *self.errors.entry(errno).or_insert(0) += 1,
        }
    }

    pub(crate) fn json(&self) -> Value {
        let sum = |of: &[i32]| of.iter().filter_map(|errno| self.errors.get(errno)).sum::<u64>();
        json!({
            "tries": self.tries,
            "through": self.through,
            "harmless": self.harmless,
            "refused": sum(&[libc::EACCES, libc::EPERM]),
            "absent": sum(&[libc::ENOSYS]),
            "errors": self.errors,
        })
    }
}

/// Tries so many times, with the change at another moment each time.
pub(crate) fn run(tries: u64, race: Race) -> Tally {
    let ring = Ring::new();
    let Race { by, change, mut attempt } = race;
    let other = Other::start(by, ring, change.clone());
    let mut tally = Tally::default();
    let mut random = Random::new(2);
    // how long a try takes, learned
    let mut usual = 20_000;
    let end = Instant::now() + PATIENCE * testkit::slow();
    for round in 1..=tries {
        change(Side::Open);
        let delay = if round % 2 == 0 { ALWAYS } else { random.below(usual + usual / 4) };
        ring.delay.store(delay, Ordering::Release);
        ring.round.store(round, Ordering::Release);
        let begun = Instant::now();
        let outcome = attempt(round);
        usual = (usual * 15 + begun.elapsed().as_nanos() as u64) / 16;
        ring.over.store(round, Ordering::Release);
        tally.count(outcome);
        spin_until(|| (ring.rested.load(Ordering::Acquire) >= round).then_some(()));
        if Instant::now() >= end {
            break;
        }
    }
    ring.stop.store(true, Ordering::Release);
    other.end();
    tally
}

enum Other {
    Thread(std::thread::JoinHandle<()>),
    Process(i32),
}

impl Other {
    fn start(by: By, ring: &'static Ring, change: Change) -> Self {
        match by {
            By::Thread => Self::Thread(std::thread::spawn(move || ring.serve(&*change))),
            By::Process(flags) => match fork(flags) {
                0 => {
                    ring.serve(&*change);
                    exit(0)
                }
                child => Self::Process(child),
            },
        }
    }

    fn end(self) {
        match self {
            Self::Thread(thread) => thread.join().expect("it only changes things"),
            Self::Process(pid) => drop(reap(pid)),
        }
    }
}
