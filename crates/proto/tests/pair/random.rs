//! Seeded randomness: the same seed, the same schedule.

use proto::slots::{HOST_INLINE, REPLY_INLINE, WINDOW};

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn raw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.raw() % end
    }

    pub(crate) fn index(&mut self, len: usize) -> Option<usize> {
        (len != 0).then(|| self.below(len as u64) as usize)
    }

    /// A length: mostly around those where something changes.
    pub(crate) fn len(&mut self) -> usize {
        let edges = [0, 1, 8, REPLY_INLINE, REPLY_INLINE + 1, HOST_INLINE, HOST_INLINE + 1, 1000];
        match self.below(64) {
            0 => WINDOW,
            _ => edges[self.below(edges.len() as u64) as usize],
        }
    }
}
