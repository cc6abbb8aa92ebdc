//! How long verdicts took: counts in buckets, so that a watch over months holds no more than one over seconds.

use std::time::Duration;

/// Buckets per power of two: a percentile is at most 1/32 too large.
const FINE: u32 = 5;

/// A histogram of durations from nanoseconds to centuries, each value kept to within 3 %.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    counts: Vec<u64>,
    total: u64,
    largest: u64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; (64 << FINE) as usize], total: 0, largest: 0 }
    }

    pub(crate) fn add(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(ns)] += 1;
        self.total += 1;
        self.largest = self.largest.max(ns);
    }

    /// The smallest bucket's end that at least `percent` of the values do not exceed; nothing without values.
    pub(crate) fn percentile(&self, percent: u64) -> Option<Duration> {
        let wanted = (self.total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(Duration::from_nanos(end(found).min(self.largest)))
    }
}

/// Values below 2^FINE have a bucket each; above, the top bits after the first one choose within its power of two.
fn bucket(ns: u64) -> usize {
    let power = 63 - (ns | 1).leading_zeros();
    match power.checked_sub(FINE) {
        None => ns as usize,
        Some(shift) => (((shift + 1) << FINE) + ((ns >> shift) as u32 & ((1 << FINE) - 1))) as usize,
    }
}

/// The largest value that falls into a bucket.
fn end(bucket: usize) -> u64 {
    let (row, column) = ((bucket >> FINE) as u32, (bucket & ((1 << FINE) - 1)) as u64);
    match row.checked_sub(1) {
        None => column,
        Some(shift) => ((1u64 << FINE) + column + 1).checked_shl(shift).unwrap_or(0).wrapping_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lies_in_its_bucket_and_near_its_end() {
        for power in 0..64 {
            for ns in [1u64 << power, (1u64 << power) + (1u64 << power) / 3, (1u64 << power) | ((1u64 << power) - 1)] {
                let end = end(bucket(ns));
                assert!(end >= ns && end - ns <= ns / 32, "{ns} is in a bucket that ends at {end}");
                assert_eq!(bucket(end), bucket(ns));
            }
        }
    }

    #[test]
    fn percentiles_are_near_the_samples() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.percentile(50), None);
        (1..=200).for_each(|n| latencies.add(Duration::from_micros(n)));
        let near = |percent, micros: u64| {
            let found = latencies.percentile(percent).unwrap().as_nanos() as u64;
            assert!((micros * 1000..=micros * 1032).contains(&found), "p{percent} is {found} ns");
        };
        near(50, 100);
        near(99, 198);
        assert_eq!(latencies.percentile(100), Some(Duration::from_micros(200)));
    }
}
