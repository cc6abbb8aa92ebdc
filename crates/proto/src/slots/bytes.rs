//! Bytes in and out of shared words, one relaxed atomic access per word.
//!
//! The words may change under us at any time. A copy is made once; what it holds is judged afterwards, in private
//! memory.

use crate::sync::{AtomicU64, Ordering};

/// Copies `bytes` into the first words of `to`. Bytes past the end of the last word are written as zero.
///
/// # Panics
/// When `bytes` is longer than `to`: the caller cuts payloads into pieces first.
pub fn write_words(to: &[AtomicU64], bytes: &[u8]) {
    let (to, _) = to.split_at(bytes.len().div_ceil(8));
    let (whole, rest) = bytes.as_chunks::<8>();
    for (word, bytes) in to.iter().zip(whole) {
        word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
    }
    if let Some(word) = to.get(whole.len()) {
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, byte)| *to = *byte);
        word.store(u64::from_le_bytes(last), Ordering::Relaxed);
    }
}

/// Copies the first words of `from` into `bytes`.
///
/// # Panics
/// When `bytes` is longer than `from`.
pub fn read_words(from: &[AtomicU64], bytes: &mut [u8]) {
    let (from, _) = from.split_at(bytes.len().div_ceil(8));
    let (whole, rest) = bytes.as_chunks_mut::<8>();
    let count = whole.len();
    for (bytes, word) in whole.iter_mut().zip(from) {
        *bytes = word.load(Ordering::Relaxed).to_le_bytes();
    }
    if let Some(word) = from.get(count) {
        let last = word.load(Ordering::Relaxed).to_le_bytes();
        rest.iter_mut().zip(last).for_each(|(to, byte)| *to = byte);
    }
}

/// The pieces in which a payload travels when it is longer than its inline room: `window` bytes each, the last one
/// shorter.
#[derive(Debug, Clone, Copy)]
pub struct Chunks {
    len: usize,
    window: usize,
}

impl Chunks {
    /// The pieces of `len` bytes.
    pub const fn new(len: usize) -> Self {
        Self { len, window: super::WINDOW }
    }

    /// How many pieces there are.
    pub const fn count(self) -> usize {
        self.len.div_ceil(self.window)
    }

    /// The bytes of piece `index`.
    pub fn range(self, index: usize) -> std::ops::Range<usize> {
        let start = (index * self.window).min(self.len);
        start..(start + self.window).min(self.len)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_length_survives_the_words() {
        let words: Vec<AtomicU64> = (0..5).map(|_| AtomicU64::new(u64::MAX)).collect();
        let source: Vec<u8> = (1..=40).collect();
        for len in 0..=40 {
            write_words(&words, &source[..len]);
            let mut back = vec![0; len];
            read_words(&words, &mut back);
            assert_eq!(back, source[..len]);
        }
    }

    #[test]
    fn pieces_cover_a_payload_once() {
        for len in
            [0, 1, super::super::WINDOW - 1, super::super::WINDOW, super::super::WINDOW + 1, 3 * super::super::WINDOW]
        {
            let chunks = Chunks::new(len);
            let mut next = 0;
            for index in 0..chunks.count() {
                let range = chunks.range(index);
                assert_eq!(range.start, next);
                assert!(!range.is_empty());
                next = range.end;
            }
            assert_eq!(next, len);
        }
    }
}
