//! How many there are of everything in the memory of a connection, and how large it is: part of the protocol's version.
//!
//! Fewer and smaller ones are for model checkers and interpreters.

/// GETs that one connection may have posted at a time: the slots from 0 on.
pub const GETS: usize = if cfg!(loom) {
    2
} else if cfg!(miri) {
    96
} else {
    1024
};
/// GETs, the first, of which each has a bit in [`super::SharedRegion::attention`]: as many as are posted where speed
/// matters. The others share one there, and have theirs in [`super::SharedRegion::posted`].
pub const FIRST_GETS: usize = if cfg!(loom) { 1 } else { 32 };
/// SENDs that one connection may have under way at a time: the slots after the GETs, bits 0..16 of
/// [`super::SharedRegion::requests`].
pub const SENDS: usize = if cfg!(loom) { 2 } else { 16 };
/// Slots that the host completes: GETs, then SENDs.
pub const CALLS: usize = GETS + SENDS;
/// Long replies of one connection that may be under way at a time, each in the window of a slot: those after the SENDs.
pub const REPLIES: usize = if cfg!(loom) { 2 } else { 48 };
/// All slots of a connection.
pub const SLOTS: usize = CALLS + REPLIES;
/// Words of a map with a bit for each slot.
pub(super) const SLOT_WORDS: usize = SLOTS.div_ceil(64);
/// Words of a map with a bit for each GET.
pub(super) const GET_WORDS: usize = GETS.div_ceil(64);
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
