//! The two clocks of deadlines, and the processor that runs a thread.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_pass() {
        assert!(Deadline::Realtime(Duration::ZERO).passed());
        assert_eq!(Deadline::Monotonic(Duration::ZERO).remaining(), Duration::ZERO);
        assert!(!Deadline::Monotonic(monotonic() + Duration::from_secs(60)).passed());
    }
}
