//! Maps with a bit for each slot, in words of 64.

use std::ops::Range;

use crate::sync::AtomicU64;

/// The bits that are set in `word`, lowest first.
pub fn set_bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then_some(word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(bit)
    })
}

/// The word of a map, and the bit there, that stand for `slot`: this end's own number, which was counted or judged.
#[expect(clippy::indexing_slicing, reason = "a map has a bit for each")]
pub(crate) fn bit_in(map: &[AtomicU64], slot: usize) -> (&AtomicU64, u64) {
    (&map[slot / 64], 1 << (slot % 64))
}

/// Those of the bits of `range` that lie in word `index`.
pub(crate) fn bits_of(range: &Range<usize>, index: usize) -> u64 {
    let below = |end: usize| match end.saturating_sub(index * 64) {
        bits @ ..64 => (1 << bits) - 1,
        _ => u64::MAX,
    };
    below(range.end) & !below(range.start)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_range_have_its_bits_and_no_others() {
        for range in [0..0, 0..1, 3..64, 3..65, 64..128, 100..300] {
            let bits = (0..6).flat_map(|index| set_bits(bits_of(&range, index)).map(move |bit| index * 64 + bit));
            assert_eq!(bits.collect::<Vec<_>>(), range.collect::<Vec<_>>());
        }
    }
}
