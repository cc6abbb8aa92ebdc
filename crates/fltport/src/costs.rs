//! What waiting costs on this machine, measured once: a look, and a sleep.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sys::clock::monotonic;
use sys::futex;

/// What was measured once in this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Costs {
    /// About 1.5 blocking round trips between two threads, in nanoseconds: the longest spin that can pay.
    pub(crate) spin_cap: u32,
    /// What one look costs while spinning, in 1/1024 nanosecond.
    pub(crate) look: u32,
}

/// The costs on this machine, measured at the first call, which takes a millisecond or two.
pub(crate) fn costs() -> Costs {
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
}
