//! Pointers of a driver.

use std::ffi::c_void;
use std::fmt;

use super::sanitizer;

/// A pointer that a driver gave us, or that we gave a driver: `PVOID` and its like. May be NULL.
///
/// It stands for the contract of the C function it is a parameter of: where the documentation says that it points to so
/// many bytes, it does, for as long as the call lasts. A driver that breaks the contract faults, and the fault is the
/// driver's ([`super::seh`]). It never points into memory that Rust borrows, and it is read and written bytewise, so it
/// may be unaligned.
#[repr(transparent)]
pub struct Ptr<T = c_void>(*mut T);

impl<T> Clone for Ptr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Ptr<T> {}

impl<T> PartialEq for Ptr<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Ptr<T> {}

impl<T> Default for Ptr<T> {
    fn default() -> Self {
        Self::NULL
    }
}

impl<T> fmt::Debug for Ptr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.address())
    }
}

// SAFETY: an address is a number; what may be done with it where is the driver's affair.
unsafe impl<T> Send for Ptr<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Ptr<T> {}

impl<T> Ptr<T> {
    /// NULL.
    pub const NULL: Self = Self(std::ptr::null_mut());

    /// A pointer for a driver.
    pub fn new(address: *mut T) -> Self {
        Self(address)
    }

    /// The pointer with this number.
    pub fn at_address(address: usize) -> Self {
        Self(address as *mut T)
    }

    /// Its number.
    pub fn address(self) -> usize {
        self.0 as usize
    }

    /// As C sees it.
    pub fn as_raw(self) -> *mut T {
        self.0
    }

    /// Whether it is NULL.
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Itself unless it is NULL.
    pub fn some(self) -> Option<Self> {
        (!self.is_null()).then_some(self)
    }

    /// The same address as another type.
    pub fn cast<U>(self) -> Ptr<U> {
        Ptr(self.0.cast())
    }

    /// So many elements further on.
    #[expect(clippy::should_implement_trait, reason = "the name that pointers have for it")]
    pub fn add(self, elements: usize) -> Self {
        Self(self.0.wrapping_add(elements))
    }

    /// The member of this structure at `offset`; see `member!`.
    pub fn member<F>(self, offset: usize, _: fn(&T) -> &F) -> Ptr<F> {
        Ptr(self.0.wrapping_byte_add(offset).cast())
    }

    /// What it points to.
    pub fn read(self) -> T
    where
        T: Copy,
    {
        sanitizer::load(self.address(), size_of::<T>());
        // SAFETY: the driver vouches that there is a T.
        unsafe { self.0.read_unaligned() }
    }

    /// Overwrites what it points to.
    pub fn write(self, value: T) {
        sanitizer::store(self.address(), size_of::<T>());
        // SAFETY: the driver vouches that there is room for a T.
        unsafe { self.0.write_unaligned(value) }
    }

    /// Overwrites what it points to, unless it is NULL.
    pub fn write_some(self, value: T) {
        if !self.is_null() {
            self.write(value);
        }
    }

    /// A copy of so many elements.
    pub fn read_many(self, count: usize) -> Vec<T>
    where
        T: Copy,
    {
        if count == 0 {
            return Vec::new();
        }
        sanitizer::load(self.address(), count * size_of::<T>());
        let mut copy = Vec::<T>::with_capacity(count);
        // SAFETY: the driver vouches for `count` elements; the copy has room for them.
        unsafe { std::ptr::copy(self.0.cast::<u8>(), copy.as_mut_ptr().cast::<u8>(), count * size_of::<T>()) };
        // SAFETY: they have just been written.
        unsafe { copy.set_len(count) };
        copy
    }

    /// Copies these elements there.
    pub fn write_many(self, values: &[T])
    where
        T: Copy,
    {
        if values.is_empty() {
            return;
        }
        sanitizer::store(self.address(), size_of_val(values));
        // SAFETY: the driver vouches for the room; what a driver points to is nothing that Rust borrows.
        unsafe { std::ptr::copy(values.as_ptr().cast::<u8>(), self.0.cast::<u8>(), size_of_val(values)) };
    }

    /// Fills so many bytes.
    pub fn fill(self, byte: u8, bytes: usize) {
        if bytes == 0 {
            return;
        }
        sanitizer::store(self.address(), bytes);
        // SAFETY: the driver vouches for the room.
        unsafe { std::ptr::write_bytes(self.0.cast::<u8>(), byte, bytes) };
    }
}

impl<T: Copy + Default + PartialEq> Ptr<T> {
    /// How many elements there are before one that is zero, of `most` at most.
    pub fn length(self, most: usize) -> usize {
        (0..most).find(|&n| self.add(n).read() == T::default()).unwrap_or(most)
    }

    /// The elements before one that is zero.
    pub fn until_zero(self) -> Vec<T> {
        self.read_many(self.length(usize::MAX))
    }
}

/// The pointer to a member: `member!(file, FileObject, flags)`.
macro_rules! member {
    ($pointer:expr, $type:ty, $($field:ident).+) => {
        $pointer.member(std::mem::offset_of!($type, $($field).+), |whole: &$type| &whole.$($field).+)
    };
}
pub(crate) use member;
