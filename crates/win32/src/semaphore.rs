//! Semaphores.

use std::sync::atomic::{AtomicU32, Ordering};

use abi::Error;

use crate::bell::Bell;

/// A count that waits take from, and ReleaseSemaphore adds to.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Semaphore {
    pub(crate) bell: Bell,
    count: AtomicU32,
    limit: AtomicU32,
}

impl Semaphore {
    /// # Errors
    /// ERROR_INVALID_PARAMETER: no limit, or a count beyond it.
    pub(crate) fn new(count: i32, limit: i32) -> Result<Self, Error> {
        let (Ok(count), Ok(limit)) = (u32::try_from(count), u32::try_from(limit)) else {
            return Err(Error::INVALID_PARAMETER);
        };
        if limit == 0 || count > limit {
            return Err(Error::INVALID_PARAMETER);
        }
        Ok(Self { bell: Bell::default(), count: count.into(), limit: limit.into() })
    }

    /// Adds to the count, and gives what it was.
    ///
    /// # Errors
    /// ERROR_INVALID_PARAMETER: nothing to add; ERROR_TOO_MANY_POSTS: it would be beyond the limit.
    pub(crate) fn release(&self, count: i32) -> Result<i32, Error> {
        let add = u32::try_from(count).ok().filter(|&count| count != 0).ok_or(Error::INVALID_PARAMETER)?;
        let limit = self.limit.load(Ordering::Relaxed);
        let more = |count: u32| count.checked_add(add).filter(|&count| count <= limit);
        let before = self.count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
        let before = before.map_err(|_| Error::TOO_MANY_POSTS)?;
        self.bell.ring();
        Ok(before as i32)
    }

    /// Satisfies a wait, if there is something to take.
    pub(crate) fn take(&self) -> bool {
        self.count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1)).is_ok()
    }

    /// Undoes a wait that was satisfied.
    pub(crate) fn give_back(&self) {
        // what was released meanwhile may have reached the limit, which then counts
        let _ = self.release(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_lies_between_nothing_and_its_limit() {
        for (count, limit) in [(-1, 1), (0, 0), (2, 1), (0, -1)] {
            assert_eq!(Semaphore::new(count, limit).unwrap_err(), Error::INVALID_PARAMETER);
        }
        let semaphore = Semaphore::new(1, 3).unwrap();
        assert!(semaphore.take() && !semaphore.take());
        assert_eq!(semaphore.release(2), Ok(0));
        assert_eq!(semaphore.release(2), Err(Error::TOO_MANY_POSTS));
        assert_eq!(semaphore.release(1), Ok(2));
        assert_eq!(semaphore.release(0), Err(Error::INVALID_PARAMETER));
        assert_eq!(semaphore.release(-1), Err(Error::INVALID_PARAMETER));
    }
}
