//! How long to look before sleeping.
//!
//! Spinning answers in a tenth of a microsecond when the peer works on another processor; sleeping costs tens of
//! microseconds across processors but nothing while idle. The rule: sleep at once if the peer last ran on this
//! processor; spin only while the wait, as learned from the last ones, fits under a cap; probe now and then, because a
//! wait that is never spun is never seen to be short.

use crate::sync::{AtomicU32, Ordering};

/// What one side of one connection has learned of its waits.
#[derive(Debug, Default)]
pub struct Patience {
    /// Moving average of the waits, in nanoseconds, clipped at four caps.
    estimate: AtomicU32,
    waits: AtomicU32,
    /// The processor on which the peer last wrote, plus one; 0 = not known.
    peer: AtomicU32,
    /// The processor on which this side last waited.
    mine: AtomicU32,
}

/// Every how many waits a hopeless spin is tried anyway.
const PROBE: u32 = 64;

impl Patience {
    /// Takes note of the processor that the peer said it ran on.
    pub fn peer_ran_on(&self, cpu: u32) {
        let known = cpu.wrapping_add(1);
        if self.peer.load(Ordering::Relaxed) != known {
            self.peer.store(known, Ordering::Relaxed);
        }
    }

    /// How many nanoseconds to spin before sleeping. `cap` is about 1.5 blocking round trips; 0 never spins. `cpu` is
    /// the processor that asks.
    pub fn spin_for(&self, cap: u32, cpu: u32) -> u32 {
        if self.mine.load(Ordering::Relaxed) != cpu {
            self.mine.store(cpu, Ordering::Relaxed);
        }
        if cap == 0 || self.peer.load(Ordering::Relaxed) == cpu.wrapping_add(1) {
            return 0;
        }
        let estimate = self.estimate.load(Ordering::Relaxed);
        if estimate.saturating_add(estimate / 4) <= cap {
            return cap.min(estimate.saturating_mul(3).saturating_add(2_000));
        }
        // only a wait that is not spun is counted: the hot path has nothing to write
        let waits = self.waits.load(Ordering::Relaxed).wrapping_add(1);
        self.waits.store(waits, Ordering::Relaxed);
        if waits.is_multiple_of(PROBE) { cap } else { 0 }
    }

    /// The processor on which this side last waited: what the peer is told, because asking anew costs time where it is
    /// dearest.
    pub fn cpu(&self) -> u32 {
        self.mine.load(Ordering::Relaxed)
    }

    /// Learns from a wait of `waited` nanoseconds.
    pub fn learn(&self, waited: u32, cap: u32) {
        let estimate = self.estimate.load(Ordering::Relaxed);
        let waited = i64::from(waited.min(cap.saturating_mul(4)));
        let next = i64::from(estimate) + (waited - i64::from(estimate)) / 4;
        let next = u32::try_from(next).unwrap_or(0);
        if next != estimate {
            self.estimate.store(next, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const CAP: u32 = 100_000;

    #[test]
    fn a_peer_on_this_processor_is_slept_for_at_once() {
        let patience = Patience::default();
        assert_ne!(patience.spin_for(CAP, 1), 0);
        patience.peer_ran_on(1);
        assert_eq!(patience.spin_for(CAP, 1), 0);
        assert_ne!(patience.spin_for(CAP, 0), 0);
    }

    #[test]
    fn long_waits_end_the_spinning_and_short_ones_bring_it_back() {
        let patience = Patience::default();
        for _ in 0..20 {
            patience.learn(10 * CAP, CAP);
        }
        let spins = (0..PROBE).filter(|_| patience.spin_for(CAP, 0) != 0).count();
        assert_eq!(spins, 1, "one probe in {PROBE} waits");
        for _ in 0..40 {
            patience.learn(500, CAP);
        }
        assert!((2_000..6_000).contains(&patience.spin_for(CAP, 0)));
    }

    #[test]
    fn a_cap_of_nothing_never_spins() {
        let patience = Patience::default();
        assert!((0..1000).all(|_| patience.spin_for(0, 0) == 0));
    }
}
