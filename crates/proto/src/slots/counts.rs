//! How many there are of everything in the memory of a connection, and how large it is: part of the protocol's version.
//!
//! Fewer and smaller ones are for model checkers and interpreters.

/// GETs that one connection may have posted at a time: bits 0..48 of [`super::SharedRegion::attention`].
pub const GETS: usize = if cfg!(loom) { 2 } else { 48 };
/// SENDs that one connection may have under way at a time: bits 0..16 of [`super::SharedRegion::requests`].
pub const SENDS: usize = if cfg!(loom) { 2 } else { 16 };
/// All slots of a connection: the GETs first, then the SENDs.
pub const SLOTS: usize = GETS + SENDS;
/// Messages of one connection that may wait for a reply at a time.
pub const WAITERS: usize = if cfg!(loom) {
    2
} else if cfg!(miri) {
    32
} else {
    1024
};
/// Bytes of a window, the piece in which longer payloads travel. 64 KiB: one piece for what programs send in practice.
pub const WINDOW: usize = WINDOW_WORDS * 8;
/// The same in words of 8 bytes.
pub const WINDOW_WORDS: usize = if cfg!(loom) {
    1
} else if cfg!(miri) {
    512
} else {
    8192
};
/// Payload bytes that lie beside a message's header, so that a small message touches no window.
pub const HOST_INLINE: usize = HOST_INLINE_WORDS * 8;
pub(super) const HOST_INLINE_WORDS: usize = if cfg!(loom) { 1 } else { 24 };
/// Payload bytes that lie beside a reply's words.
pub const REPLY_INLINE: usize = REPLY_INLINE_WORDS * 8;
pub(super) const REPLY_INLINE_WORDS: usize = if cfg!(loom) { 1 } else { 13 };
/// [`super::SharedWaiter::window`] of a reply that lies beside its words.
pub const NO_WINDOW: u32 = u32::MAX;
/// The GET bits of the attention word.
pub const ATTENTION_SLOTS: u64 = (1 << GETS) - 1;
