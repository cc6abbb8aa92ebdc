//! The two clocks of deadlines, the processor that runs us, and what a look costs.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::futex;

/// When a wait ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// Time since boot, which no setting of the clock moves: for relative timeouts.
    Monotonic(Duration),
    /// Time since 1970, which follows the clock: for absolute timeouts.
    Realtime(Duration),
}

impl Deadline {
    /// Whether it has passed.
    pub fn passed(self) -> bool {
        match self {
            Self::Monotonic(at) => monotonic() >= at,
            Self::Realtime(at) => realtime() >= at,
        }
    }

    /// What is left of it, nothing when it has passed.
    pub fn remaining(self) -> Duration {
        match self {
            Self::Monotonic(at) => at.saturating_sub(monotonic()),
            Self::Realtime(at) => at.saturating_sub(realtime()),
        }
    }
}

/// CLOCK_MONOTONIC.
pub fn monotonic() -> Duration {
    since_zero(ClockId::Monotonic)
}

/// CLOCK_REALTIME.
pub fn realtime() -> Duration {
    since_zero(ClockId::Realtime)
}

fn since_zero(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// The processor on which this thread runs at this moment: a hint, old as soon as it is read. getcpu(3).
pub fn cpu() -> u32 {
    // SAFETY: takes nothing and writes nothing.
    let cpu = unsafe { libc::sched_getcpu() };
    u32::try_from(cpu).unwrap_or(u32::MAX)
}

/// How many processors this process may use, as its first thread is bound.
pub fn processors() -> usize {
    match rustix::thread::sched_getaffinity(Some(rustix::process::getpid())) {
        Ok(set) => set.count() as usize,
        Err(_) => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

/// What was measured once in this process.
#[derive(Debug, Clone, Copy)]
pub struct Costs {
    /// About 1.5 blocking round trips between two threads, in nanoseconds: the longest spin that can pay.
    pub spin_cap: u32,
    /// What one look costs while spinning, in 1/1024 nanosecond.
    pub look: u32,
}

/// The costs on this machine, measured at the first call, which takes a millisecond or two.
pub fn costs() -> Costs {
    static COSTS: OnceLock<Costs> = OnceLock::new();
    *COSTS.get_or_init(measure)
}

fn measure() -> Costs {
    let start = monotonic();
    for _ in 0..2_000 {
        std::hint::spin_loop();
    }
    let spun = (monotonic() - start).as_nanos().max(1);
    let look = u32::try_from(spun * 1024 / 2_000).unwrap_or(u32::MAX).clamp(512, 1 << 20);
    let trip = round_trip().as_nanos();
    let spin_cap = u32::try_from(trip + trip / 2).unwrap_or(u32::MAX).clamp(10_000, 200_000);
    Costs { spin_cap, look }
}

/// The median of a few blocking round trips between two threads, wherever the scheduler puts them.
fn round_trip() -> Duration {
    const TRIPS: u32 = 15;
    let word = AtomicU32::new(0);
    let turn = |until: u32| {
        loop {
            let now = word.load(Ordering::Acquire);
            if now >= until {
                return;
            }
            // an error cannot happen on a word of our own; a spurious return is a look
            let _ = futex::wait(&word, now, futex::ANY, None);
        }
    };
    let advance = || {
        word.fetch_add(1, Ordering::Release);
        futex::wake(&word, 1, futex::ANY);
    };
    let mut trips = std::thread::scope(|scope| {
        let partner = std::thread::Builder::new().name("fltmgr-measure".into()).spawn_scoped(scope, || {
            for trip in 0..TRIPS {
                turn(2 * trip + 1);
                advance();
            }
        });
        if partner.is_err() {
            return vec![Duration::from_micros(20)];
        }
        (0..TRIPS)
            .map(|trip| {
                let start = monotonic();
                advance();
                turn(2 * trip + 2);
                monotonic() - start
            })
            .collect()
    });
    trips.sort_unstable();
    trips[trips.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_within_their_bounds() {
        let costs = costs();
        assert!((10_000..=200_000).contains(&costs.spin_cap), "{costs:?}");
        assert!(costs.look >= 512, "{costs:?}");
    }

    #[test]
    fn deadlines_pass() {
        assert!(Deadline::Realtime(Duration::ZERO).passed());
        assert_eq!(Deadline::Monotonic(Duration::ZERO).remaining(), Duration::ZERO);
        assert!(!Deadline::Monotonic(monotonic() + Duration::from_secs(60)).passed());
    }
}
