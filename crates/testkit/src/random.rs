//! Numbers that look random and are the same for the same seed.

/// A stream of numbers from a seed.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The stream of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// The seed of a test: `FLTMGR_SEED`, to repeat a failure, or another one each time.
    #[must_use]
    pub fn seed() -> u64 {
        let given = std::env::var("FLTMGR_SEED").ok();
        given.map_or_else(
            || u64::from(std::process::id()) << 32 | u64::from(now().subsec_nanos()),
            |seed| seed.parse().expect("FLTMGR_SEED is a number"),
        )
    }

    /// The next number, of any size.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// Whether it happens, one time in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// A number that depends on every bit of another.
#[must_use]
pub fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn now() -> std::time::Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

/// A number from the environment, or this one.
#[must_use]
pub fn number_from(variable: &str, otherwise: u64) -> u64 {
    let digits = |text: String| text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}"));
    std::env::var(variable).map_or(otherwise, digits)
}
