//! What begins each message and each reply in a program's memory.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The bytes of FILTER_MESSAGE_HEADER, and of FILTER_REPLY_HEADER.
pub(crate) const HEADER: usize = 16;

/// FILTER_MESSAGE_HEADER, and FILTER_REPLY_HEADER, where a status takes the place of the length.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Header {
    /// Of a message, that of the reply that its filter has room for, this header included; of a reply, its status.
    pub(crate) length: u32,
    padding: u32,
    pub(crate) id: u64,
}

const _: () = assert!(size_of::<Header>() == HEADER);

impl Header {
    /// That of a message.
    pub(crate) fn new(reply_capacity: Option<usize>, id: u64) -> Self {
        let length = reply_capacity.map_or(0, |capacity| (capacity + HEADER) as u32);
        Self { length, padding: 0, id }
    }
}
