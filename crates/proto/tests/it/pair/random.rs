//! What drives a schedule: a seed, or bytes that a fuzzer chose. The same again gives the same again.

use fltmgr_proto::slots::{HOST_INLINE, REPLY_INLINE, WINDOW};

/// SplitMix64, or the bytes of a script, which go on as zeros.
pub(crate) struct Random {
    state: u64,
    script: Option<Vec<u8>>,
}

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { state: seed, script: None }
    }

    /// Follows a script. Small choices take one byte each, others eight.
    #[allow(dead_code, reason = "only the fuzz targets have scripts")]
    pub(crate) fn scripted(script: &[u8]) -> Self {
        Self { state: 0, script: Some(script.iter().rev().copied().collect()) }
    }

    /// Whether the script is over. A seed goes on for ever.
    #[allow(dead_code, reason = "only the fuzz targets have scripts")]
    pub(crate) fn is_over(&self) -> bool {
        self.script.as_ref().is_some_and(Vec::is_empty)
    }

    fn byte(script: &mut Vec<u8>) -> u64 {
        script.pop().unwrap_or(0).into()
    }

    pub(crate) fn raw(&mut self) -> u64 {
        if let Some(script) = &mut self.script {
            return (0..8).fold(0, |number, _| number << 8 | Self::byte(script));
        }
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        match &mut self.script {
            Some(script) if end <= 0x100 => Self::byte(script) % end,
            _ => self.raw() % end,
        }
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
