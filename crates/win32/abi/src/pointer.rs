//! Pointers that a C program hands over, any of which may be wrong.

use smallvec::SmallVec;
use sys::guarded;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Error;

/// What lies at `at`.
///
/// # Errors
/// ERROR_NOACCESS.
pub fn read<T: FromBytes + IntoBytes>(at: *const T) -> Result<T, Error> {
    let mut value = T::new_zeroed();
    guarded::read(at as usize, value.as_mut_bytes())?;
    Ok(value)
}

/// Puts `value` at `at`, whatever the alignment.
///
/// # Safety
/// If `at` can be written, it is the C program's, which wants to see `value` there.
///
/// # Errors
/// ERROR_NOACCESS.
pub unsafe fn write<T: IntoBytes + Immutable>(at: *mut T, value: &T) -> Result<(), Error> {
    // SAFETY: as of our caller.
    unsafe { guarded::write(at as usize, value.as_bytes()) }?;
    Ok(())
}

/// As [`write()`], where NULL says that the value is not wanted.
///
/// # Safety
/// As [`write()`].
///
/// # Errors
/// As [`write()`].
pub unsafe fn write_optional<T: IntoBytes + Immutable>(at: *mut T, value: &T) -> Result<(), Error> {
    if at.is_null() {
        return Ok(());
    }
    // SAFETY: as of our caller.
    unsafe { write(at, value) }
}

/// `count` values from `at` on.
///
/// # Errors
/// ERROR_NOACCESS.
pub fn read_array<T: FromBytes + IntoBytes + KnownLayout, const N: usize>(
    at: *const T,
    count: usize,
) -> Result<SmallVec<[T; N]>, Error> {
    let mut values = SmallVec::<[T; N]>::new();
    values.resize_with(count, T::new_zeroed);
    guarded::read(at as usize, values.as_mut_slice().as_mut_bytes())?;
    Ok(values)
}

/// How many bytes of a string are read at once. No read crosses a multiple of them, and so no page: a string at the end of
/// what exists is read to its end.
const PIECE: usize = 64;

/// A terminated string of 16-bit characters, without its terminator.
///
/// # Errors
/// ERROR_NOACCESS; ERROR_FILENAME_EXCED_RANGE if it has more than `limit` characters.
pub fn read_wide(at: *const u16, limit: usize) -> Result<SmallVec<[u16; 32]>, Error> {
    read_string(at, limit)
}

/// A terminated string of bytes, without its terminator.
///
/// # Errors
/// As [`read_wide`].
pub fn read_narrow(at: *const u8, limit: usize) -> Result<SmallVec<[u8; 32]>, Error> {
    read_string(at, limit)
}

fn read_string<T: FromBytes + IntoBytes + Copy + PartialEq>(
    at: *const T,
    limit: usize,
) -> Result<SmallVec<[T; 32]>, Error> {
    let zero = T::new_zeroed();
    let mut text = SmallVec::new();
    let mut from = at as usize;
    while text.len() <= limit {
        let mut piece = [zero; PIECE];
        // at an odd address one character does lie across
        let len = ((PIECE - from % PIECE) / size_of::<T>()).max(1);
        guarded::read(from, piece[..len].as_mut_bytes())?;
        let end = piece[..len].iter().position(|&character| character == zero);
        text.extend_from_slice(&piece[..end.unwrap_or(len)]);
        if end.is_some() && text.len() <= limit {
            return Ok(text);
        }
        from = from.wrapping_add(len * size_of::<T>());
    }
    Err(Error::FILENAME_EXCED_RANGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_written_or_are_no_access() {
        let mut number = 7u32;
        assert_eq!(read(&raw const number), Ok(7));
        // SAFETY: a variable of the test's.
        unsafe { write(&raw mut number, &8) }.unwrap();
        assert_eq!(number, 8);
        assert_eq!(read(std::ptr::null::<u32>()), Err(Error::NOACCESS));
        // SAFETY: nothing can be written there.
        assert_eq!(unsafe { write(std::ptr::null_mut(), &8u32) }, Err(Error::NOACCESS));
        // SAFETY: as above.
        assert_eq!(unsafe { write_optional(std::ptr::null_mut(), &8u32) }, Ok(()));
        let numbers = [1u64, 2, 3];
        assert_eq!(read_array::<u64, 2>(numbers.as_ptr(), 3).unwrap().as_slice(), [1, 2, 3]);
        assert_eq!(read_array::<u64, 2>(std::ptr::null(), 0).unwrap().len(), 0);
        assert_eq!(read_array::<u64, 2>(std::ptr::null(), 1), Err(Error::NOACCESS));
    }

    #[test]
    fn a_string_ends_where_its_terminator_is() {
        for len in (0..70).chain([500]) {
            let mut text: Vec<u16> = (0..len).map(|at| at + 1).collect();
            text.push(0);
            assert_eq!(read_wide(text.as_ptr(), 500).unwrap().as_slice(), &text[..usize::from(len)]);
        }
        let text = [1u16, 2, 3, 0];
        assert_eq!(read_wide(text.as_ptr(), 3).unwrap().len(), 3);
        assert_eq!(read_wide(text.as_ptr(), 2), Err(Error::FILENAME_EXCED_RANGE));
        assert_eq!(read_wide(std::ptr::null(), 2), Err(Error::NOACCESS));
        assert_eq!(read_narrow(c"name".as_ptr().cast(), 9).unwrap().as_slice(), b"name");
    }

    #[test]
    fn a_string_may_lie_at_an_odd_address() {
        let mut bytes = [0u8; 9];
        bytes[1..9].copy_from_slice(&[1, 0, 2, 0, 3, 0, 0, 0]);
        assert_eq!(read_wide(bytes[1..].as_ptr().cast(), 9).unwrap().as_slice(), [1, 2, 3]);
    }
}
