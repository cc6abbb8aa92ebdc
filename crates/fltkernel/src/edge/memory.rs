//! Memory of ours that drivers see.

use super::Ptr;

/// A zeroed block of the C library's, so that a sanitizer knows its end. It is freed with this value.
#[derive(Debug)]
pub struct Memory {
    address: Ptr<u8>,
    size: usize,
}

impl Memory {
    /// A block of so many bytes; the process ends if there is no memory, as it does for Rust's own.
    pub fn new(size: usize) -> Self {
        // SAFETY: calloc has no requirement.
        let address = unsafe { libc::calloc(1, size.max(1)) };
        assert!(!address.is_null(), "no memory");
        Self { address: Ptr::new(address.cast()), size }
    }

    /// A block with this in it.
    pub fn holding<T: Copy>(values: &[T]) -> Self {
        let memory = Self::new(size_of_val(values));
        memory.at().write_many(values);
        memory
    }

    /// Where it begins.
    pub fn at<T>(&self) -> Ptr<T> {
        self.address.cast()
    }

    /// How many bytes it has.
    pub fn size(&self) -> usize {
        self.size
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it came from calloc, and this is its only owner.
        unsafe { libc::free(self.address.as_raw().cast()) };
    }
}
