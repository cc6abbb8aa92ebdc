//! A reserve of file descriptors: what comes from outside leaves the last ones of this process to the process itself.
//!
//! The kernel gives the lowest number that is free. A new descriptor whose number lies among the last ones that the
//! limit (RLIMIT_NOFILE) allows therefore says that all below are in use, by whatever code of this process: nothing
//! need be counted, and what the program around us has open counts too. Where no such descriptor is kept, these numbers
//! are free for what must not fail.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::process::{Resource, getrlimit};

/// The most that is kept.
const MOST: u64 = 256;

/// How many descriptors are kept where a process may have `limit` of them: a quarter, at most 256.
pub const fn reserve_of(limit: u64) -> u64 {
    if limit / 4 < MOST { limit / 4 } else { MOST }
}

/// Whether a descriptor that came from outside may be kept: it is none of the reserve. The limit is asked for each
/// time, for the program may change it.
///
/// # Errors
/// [`Reserved`]: it must be closed.
pub fn leaves_reserve(file: impl AsFd) -> Result<(), Reserved> {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return Ok(()) };
    judge(u64::from(file.as_fd().as_raw_fd().unsigned_abs()), limit)
}

fn judge(number: u64, limit: u64) -> Result<(), Reserved> {
    if number < limit - reserve_of(limit) { Ok(()) } else { Err(Reserved { limit }) }
}

/// A descriptor that lies in the reserve. It prints as a sentence that names the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserved {
    limit: u64,
}

impl fmt::Display for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (limit, reserve) = (self.limit, reserve_of(self.limit));
        write!(
            f,
            "no descriptors left for clients: all but the {reserve} it keeps for itself, of {limit} (ulimit -n), are in use"
        )
    }
}

impl std::error::Error for Reserved {}

impl From<Reserved> for io::Error {
    fn from(reserved: Reserved) -> Self {
        Self::new(io::ErrorKind::QuotaExceeded, reserved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_256_or_the_last_quarter() {
        for (limit, reserve) in [(0, 0), (3, 0), (4, 1), (64, 16), (1023, 255), (1024, 256), (1 << 20, 256)] {
            assert_eq!(reserve_of(limit), reserve, "of {limit}");
        }
        for (number, limit, may) in [
            (47, 64, true),
            (48, 64, false),
            (63, 64, false),
            (767, 1024, true),
            (768, 1024, false),
            // lowered below what is open
            (768, 64, false),
            (0, 0, false),
            ((1 << 20) - 257, 1 << 20, true),
            ((1 << 20) - 256, 1 << 20, false),
        ] {
            assert_eq!(judge(number, limit).is_ok(), may, "{number} of {limit}");
        }
        let sentence = judge(48, 64).unwrap_err().to_string();
        assert!(sentence.contains("16") && sentence.contains("of 64"), "{sentence}");
    }

    #[test]
    fn what_this_process_has_open() {
        assert_eq!(leaves_reserve(io::stdin()), Ok(()));
    }
}
