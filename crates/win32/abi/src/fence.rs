//! The one way into a function that C calls.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Error;

/// Runs the body of an exported function: a panic, which is a defect of ours, ends here and becomes
/// ERROR_INTERNAL_ERROR instead of unwinding into C.
///
/// # Errors
/// The body's.
pub fn fence<T>(body: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    // what a panic leaves half done is behind locks that the next caller finds as they are
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(Err(Error::INTERNAL_ERROR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_internal_error() {
        assert_eq!(fence(|| Ok(1)), Ok(1));
        assert_eq!(fence(|| Err::<(), _>(Error::NOACCESS)), Err(Error::NOACCESS));
        assert_eq!(fence::<()>(|| std::panic::resume_unwind(Box::new("a defect"))), Err(Error::INTERNAL_ERROR));
    }
}
