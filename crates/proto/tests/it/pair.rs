//! Both ends of 1 to 20 connections in one thread, driven by a seed: posts, cancels, deliveries, replies of all kinds,
//! deadlines and disconnects in any order, against a model that knows nothing of words and bits.
//!
//! `FLTMGR_SEEDS=1000000 cargo test -p fltmgr-proto --release --test it pair::` for more; `FLTMGR_SEED=17` for one alone.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::checks::model::{Fate, Model, State};
use crate::checks::random::Random;
use crate::checks::world::Connection;

fn run(seed: u64) -> Tally {
    let mut random = Random::seeded(seed);
    // one connection is the common case, many are the dear one
    let count = if random.below(4) == 0 { random.below(20) + 1 } else { random.below(3) + 1 };
    let hostile = random.below(3 * count);
    let mut connections: Vec<_> = (0..count).map(|index| Connection::new(index == hostile)).collect();
    let mut now = 0;
    for _ in 0..random.below(50 * count) + 20 {
        now += random.below(4);
        let index = random.below(count) as usize;
        connections[index].step(&mut random, now);
    }
    let mut tally = Tally::default();
    for connection in connections {
        tally.add(&connection.finish(&mut random));
    }
    tally
}

/// How often each end was seen: a schedule that never gets anywhere tests nothing.
#[derive(Debug, Default)]
struct Tally {
    delivered: u64,
    replied: u64,
    timed_out: u64,
    disconnected: u64,
    refused: u64,
    late: u64,
}

impl Tally {
    fn add(&mut self, model: &Model) {
        for message in &model.messages {
            match message.state {
                State::Ended(Fate::Delivered) => self.delivered += 1,
                State::Ended(Fate::Replied(_)) => self.replied += 1,
                State::Ended(Fate::TimedOut) => self.timed_out += 1,
                State::Ended(Fate::Disconnected) => self.disconnected += 1,
                state => panic!("a message that has not ended: {state:?}"),
            }
            self.refused += u64::from(message.refused);
        }
        self.late += model.late_replies;
    }

    fn sum(&mut self, other: &Self) {
        self.delivered += other.delivered;
        self.replied += other.replied;
        self.timed_out += other.timed_out;
        self.disconnected += other.disconnected;
        self.refused += other.refused;
        self.late += other.late;
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// Every message ends exactly once, in the way that the model foretells; ids count 1, 2, 3…; the oldest receive that
/// fits is taken; a message that timed out has no waiter; in the end every slot and waiter is free. A hostile
/// connection may end its own messages in any way, but each once, without a panic, and without touching another
/// connection.
#[test]
fn any_schedule_goes_as_the_model_says() {
    if let Some(seed) = number("FLTMGR_SEED") {
        println!("{:?}", run(seed));
        return;
    }
    // Miri takes a second for each
    let seeds = number("FLTMGR_SEEDS").unwrap_or(if cfg!(miri) { 1 } else { 20_000 });
    let (next, total) = (AtomicU64::new(0), Mutex::new(Tally::default()));
    let work = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return total.lock().unwrap().sum(&tally);
            }
            match std::panic::catch_unwind(|| run(seed)) {
                Ok(seen) => tally.sum(&seen),
                Err(_) => panic!("seed {seed}: run again with FLTMGR_SEED={seed}"),
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let tally = total.into_inner().unwrap();
    println!("{tally:?}");
    if seeds >= 100 {
        let Tally { delivered, replied, timed_out, disconnected, refused, late } = tally;
        assert!([delivered, replied, timed_out, disconnected, refused, late].iter().all(|&seen| seen > seeds / 10));
    }
}
