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
}
