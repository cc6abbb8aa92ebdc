//! What the number of a handle means.

use abi::Handle;

/// Bits of the number, from the lowest: two that say nothing, the place, the generation. The two highest of 32 are 0, so that
/// a program may keep a handle in a LONG.
const UNUSED_BITS: u32 = 2;
const PLACE_BITS: u32 = 16;
const GENERATION_BITS: u32 = 12;

/// How many handles a process may have. Place 0 is not used, so that no handle is NULL.
pub(crate) const PLACES: usize = 1 << PLACE_BITS;

/// How many generations a place has before they begin anew.
pub(crate) const GENERATIONS: u16 = 1 << GENERATION_BITS;

/// A place of the table, and which of its uses is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number {
    pub(crate) place: usize,
    pub(crate) generation: u16,
}

impl Number {
    /// `None`: no handle has this number. The lowest two bits are passed over, as on Windows.
    pub(crate) fn parse(handle: Handle) -> Option<Self> {
        let number = u32::try_from(handle.0).ok()? >> UNUSED_BITS;
        let place = number as usize & (PLACES - 1);
        let generation = number >> PLACE_BITS;
        let valid = place != 0 && generation < 1 << GENERATION_BITS;
        valid.then_some(Self { place, generation: generation as u16 })
    }

    pub(crate) fn handle(self) -> Handle {
        let number = u32::from(self.generation) << PLACE_BITS | self.place as u32;
        Handle((number << UNUSED_BITS) as usize)
    }

    /// The generation after `generation`.
    pub(crate) fn next(generation: u16) -> u16 {
        (generation + 1) % GENERATIONS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_multiples_of_four_that_fit_into_a_long() {
        for (place, generation) in [(1, 0), (1, 4095), (PLACES - 1, 4095), (77, 1234)] {
            let number = Number { place, generation };
            let handle = number.handle();
            assert_eq!(handle.0 % 4, 0);
            assert!(handle.0 != 0 && handle.0 <= 0x3FFF_FFFF);
            assert_eq!(Number::parse(handle), Some(number));
            assert_eq!(Number::parse(Handle(handle.0 | 3)), Some(number));
        }
    }

    #[test]
    fn other_numbers_are_no_handles() {
        for no in [0, 3, 1 << 18, usize::MAX, usize::MAX - 1, 1 << 30 | 4, 1 << 32 | 4, 1 << 63 | 4] {
            assert_eq!(Number::parse(Handle(no)), None, "{no:#x}");
        }
    }

    #[test]
    fn generations_begin_anew() {
        assert_eq!((Number::next(0), Number::next(4095)), (1, 0));
    }
}
