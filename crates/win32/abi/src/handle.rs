//! HANDLE and OVERLAPPED, as they lie in a program's memory.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A HANDLE: a number, although its C type is a pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Handle(pub usize);

impl Handle {
    /// What functions return that return 0 for a failure.
    pub const NULL: Self = Self(0);
    /// INVALID_HANDLE_VALUE; also what GetCurrentProcess returns.
    pub const INVALID: Self = Self(usize::MAX);
    /// What GetCurrentThread returns.
    pub const CURRENT_THREAD: Self = Self(usize::MAX - 1);
}

/// OVERLAPPED. The program may look at it at any time, and may have freed it.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Overlapped {
    /// The status: STATUS_PENDING until the end.
    pub internal: usize,
    /// How many bytes were transferred, or would have been.
    pub internal_high: usize,
    /// Where in a file to begin: nothing to ports.
    pub offset: u64,
    /// An event. Its low bit: no packet is queued.
    pub event: Handle,
}

const _: () = assert!(size_of::<Overlapped>() == 32 && std::mem::offset_of!(Overlapped, event) == 24);
