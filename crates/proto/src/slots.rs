//! The slot protocol: the words that both ends share, and every transition on them.
//!
//! A connection has two regions of memory. [`HostRegion`] is written by the host alone; [`SharedRegion`] by both. A
//! *slot* is one operation of the application: a GET that waits for a message, or a SEND that waits for its answer. A
//! *waiter* is one message of the filter that waits for its reply. All waking is decided by the old value of the word
//! that is swapped, so a wake-up is neither lost nor made where no thread sleeps.
//!
//! ```text
//! slot     FREE ──post──▶ POSTED ──take──▶ TAKEN ──finish──▶ DONE ──release──▶ FREE
//!                           └────cancel──▶ FREE
//! waiter   ended ──(arm: no write)──▶ open ──publish──▶ REPLIED        open ──expire──▶ EXPIRED
//! claim    ended ──claim──▶ a replier's ──let go──▶ closed             ended ──expire──▶ closed
//! ```
//!
//! Memory is only ever touched as atomics. `doc/wire.md` draws the bytes.

mod bell;
mod bits;
mod bytes;
mod counts;
mod layout;
mod requests;
mod word;

pub use bell::{BELL_ASLEEP, Bell};
pub use bits::set_bits;
pub(crate) use bits::{bit_in, bits_of};
pub use bytes::{read_words, write_words};
pub use counts::{
    CALLS, FIRST_GETS, GETS, HOST_INLINE, NO_WINDOW, REPLIES, REPLY_INLINE, SENDS, SLOTS, WAITERS, WINDOW, WINDOW_WORDS,
};
pub(crate) use layout::index_number;
pub use layout::{
    Allocation, Bells, Claim, HostRegion, HostSlot, HostWaiter, Line, Posts, SharedRegion, SharedSlot, SharedWaiter,
    Window,
};
pub use requests::{REQUEST_DEAD, REQUEST_PARKED, REQUEST_RING, Requests, Workers};
pub use word::{
    ATTENTION_AWAITS_GET, ATTENTION_AWAITS_REPLY, ATTENTION_DEAD, ATTENTION_GETS, ATTENTION_OTHERS, ATTENTION_REPLIED,
    Attention, Generation, HOLDERS, Holder, REASON_BUFFER, REASON_REPLY, State, Wake, Word, file_tag, tagged_slot,
};
