//! Where each word lies. Sizes are part of the protocol's version: nothing that describes memory is read from memory.

#[cfg(not(loom))]
use zerocopy::FromZeros;

use super::counts::{
    CALLS, GET_WORDS, GETS, HOST_INLINE_WORDS, NO_WINDOW, REPLY_INLINE_WORDS, SLOT_WORDS, SLOTS, WAITERS, WINDOW_WORDS,
};
use super::word::{Generation, HOLDERS, Holder};
use crate::sync::{AtomicU32, AtomicU64};

/// The memory that only the host writes.
#[derive(Debug)]
#[cfg_attr(not(loom), derive(FromZeros))]
#[repr(C, align(4096))]
pub struct HostRegion {
    /// What the host says of each slot that it completes.
    pub slots: [HostSlot; CALLS],
    /// What the host says of each waiter.
    pub waiters: [HostWaiter; WAITERS],
    /// Payloads from the host: window `i` belongs to slot `i`.
    pub windows: [Window; CALLS],
}

/// What the host says of one slot: a message's header (GET) or an answer's (SEND).
#[derive(Debug)]
#[cfg_attr(not(loom), derive(FromZeros))]
#[repr(C, align(128))]
pub struct HostSlot {
    /// The generation of the slot that this completes; written last.
    pub done: AtomicU32,
    /// How it was completed: [`super::super::host::Outcome`] as a number.
    pub outcome: AtomicU32,
    /// SEND: the callback's status.
    pub status: AtomicU32,
    /// The processor on which the host wrote this.
    pub cpu: AtomicU32,
    /// GET: the message's id, 0 when no reply is wanted. SEND: bytes of output that were written.
    pub id: AtomicU64,
    /// GET: bytes of the message's body. SEND: the length that the callback reported.
    pub len: AtomicU64,
    /// GET: bytes that the filter's reply buffer holds.
    pub reply_capacity: AtomicU32,
    /// GET: the waiter's index.
    pub waiter: AtomicU32,
    /// GET: the waiter's generation.
    pub waiter_generation: AtomicU32,
    /// [`crate::host::FLAG_REPLY`] and its siblings.
    pub flags: AtomicU32,
    /// GET: when the filter gives up, in nanoseconds of the monotonic clock; 0 = never.
    pub deadline: AtomicU64,
    /// Pieces of the payload written so far, when it is longer than a window; [`crate::pieces::ABORTED`] when it ends
    /// early.
    pub filled: AtomicU32,
    /// SEND: pieces of the input read so far.
    pub drained: AtomicU32,
    /// The payload, when it is short.
    pub inline: [AtomicU64; HOST_INLINE_WORDS],
}

/// What the host says of one waiter.
#[derive(Debug)]
#[cfg_attr(not(loom), derive(FromZeros))]
#[repr(C, align(32))]
pub struct HostWaiter {
    /// The id of the message that waits here; 0 when none does.
    pub id: AtomicU64,
    /// The waiter's present generation.
    pub generation: AtomicU32,
    /// Bytes that the filter's reply buffer holds.
    pub capacity: AtomicU32,
    /// [`crate::host::FLAG_ATTENTION`] when the reply must also ring the attention word.
    pub flags: AtomicU32,
    /// The last generation with which the host has finished: its window is free again.
    pub ended: AtomicU32,
    /// Pieces of a long reply read so far.
    pub drained: AtomicU32,
}

/// The memory that both ends write. The host trusts no word of it.
#[derive(Debug)]
#[cfg_attr(not(loom), derive(FromZeros))]
#[repr(C, align(4096))]
pub struct SharedRegion {
    /// The application's: the next ticket, and which slots are in use (bit set).
    pub allocation: Allocation,
    /// Rung by the application, slept on by filters: see [`super::Attention`].
    pub attention: Line,
    /// Rung by the application for SENDs.
    pub requests: Line,
    /// Bit `i` set: GET `i`, which has no bit of its own in the attention word, was posted.
    pub posted: Posts,
    /// What the threads of each process sleep on that wait for any of many GETs: see [`super::Bell`].
    pub bells: Bells,
    /// The application's half of each slot.
    pub slots: [SharedSlot; SLOTS],
    /// The application's half of each waiter.
    pub waiters: [SharedWaiter; WAITERS],
    /// Payloads from the application, of the slots after the GETs: see [`SharedRegion::window`].
    pub windows: [Window; SLOTS - GETS],
}

/// The application's own ledger of slots, shared by the processes that use the same connection.
#[derive(Debug)]
#[cfg_attr(not(loom), derive(FromZeros))]
#[repr(C, align(128))]
pub struct Allocation {
    /// Tickets given to GETs, in order of posting.
    pub tickets: AtomicU64,
    /// Not 0: a thread waits for a slot to become free.
    pub wanted: AtomicU32,
    /// Moves when a slot has become free that a thread waited for. A futex.
    pub freed: AtomicU32,
    /// Bit `i` set: slot `i` is in use.
    pub used: [AtomicU64; SLOT_WORDS],
}

/// A bit for each GET.
#[derive(Debug)]
#[cfg_attr(not(loom), derive(FromZeros))]
#[repr(C, align(128))]
pub struct Posts {
    /// Bit `i` of all.
    pub words: [AtomicU64; GET_WORDS],
}

/// A [`super::Bell`] for each process that uses the connection.
#[derive(Debug)]
#[cfg_attr(not(loom), derive(FromZeros))]
#[repr(C, align(128))]
pub struct Bells {
    /// That of [`Holder`] `i` + 1.
    pub words: [AtomicU32; HOLDERS as usize],
}

/// One hot word alone on its lines.
#[derive(Debug)]
#[cfg_attr(not(loom), derive(FromZeros))]
#[repr(C, align(128))]
pub struct Line {
    /// The word.
    pub word: AtomicU64,
}

/// The application's half of one slot.
#[derive(Debug)]
#[cfg_attr(not(loom), derive(FromZeros))]
#[repr(C, align(128))]
pub struct SharedSlot {
    /// State, sleep bit and generation: [`super::Word`]. A futex.
    pub word: AtomicU32,
    /// Which process uses it: the number of its [`super::Holder`], or 0.
    pub owner: AtomicU32,
    /// GET: bytes of body that the buffer holds. SEND: bytes of the output buffer.
    pub capacity: AtomicU64,
    /// The order of posting.
    pub ticket: AtomicU64,
    /// SEND: bytes of the input.
    pub len: AtomicU64,
    /// Pieces of a long payload written so far (SEND input, long reply).
    pub filled: AtomicU32,
    /// Pieces of a long payload read so far (message body, SEND output).
    pub drained: AtomicU32,
    /// Written by the host, and never read, to fetch these lines ahead of need.
    pub warmed: AtomicU32,
    /// GET: not 0: the host also rings the owner's bell when it is complete.
    pub rings: AtomicU32,
}

/// The application's half of one waiter.
#[derive(Debug)]
#[cfg_attr(not(loom), derive(FromZeros))]
#[repr(C, align(128))]
pub struct SharedWaiter {
    /// State, sleep bit and generation: [`super::Word`]. A futex.
    pub word: AtomicU32,
    /// The processor on which the reply was written.
    pub cpu: AtomicU32,
    /// The reply's status.
    pub status: AtomicU32,
    /// The window that holds the payload, or [`super::NO_WINDOW`].
    pub window: AtomicU32,
    /// The reply's length before it is cut to the filter's buffer.
    pub len: AtomicU64,
    /// The payload, when it is short.
    pub inline: [AtomicU64; REPLY_INLINE_WORDS],
    /// The right to reply. On lines of its own, because the filter spins on the others.
    pub claim: Claim,
}

/// The word that decides between two repliers, and between them and a filter that gives up.
#[derive(Debug)]
#[cfg_attr(not(loom), derive(FromZeros))]
#[repr(C, align(128))]
pub struct Claim {
    /// The last generation claimed by a replier, and which [`super::Holder`] it is ([`Claim::by`]), or with
    /// [`Claim::CLOSED`] the last that can be replied to no more.
    pub generation: AtomicU32,
}

impl Claim {
    /// Bit of the claim: no replier writes, nor will. Set by a filter that gives up before a replier claimed, and by a
    /// replier that claimed, then found the filter gone.
    pub const CLOSED: u32 = 1 << 31;
    /// Where the holder's number begins, above the generation.
    pub const HOLDER_SHIFT: u32 = 27;

    /// The claim of `holder` on `generation`.
    pub const fn by(holder: Holder, generation: Generation) -> u32 {
        holder.number() << Self::HOLDER_SHIFT | generation.number()
    }

    /// `generation`, which can be replied to no more.
    pub const fn closed(generation: Generation) -> u32 {
        generation.number() | Self::CLOSED
    }
}

/// A piece of payload.
#[derive(Debug)]
#[cfg_attr(not(loom), derive(FromZeros))]
#[repr(C, align(4096))]
pub struct Window {
    /// Its words.
    pub words: [AtomicU64; WINDOW_WORDS],
}

#[cfg(not(loom))]
const _: () = {
    use std::mem::{offset_of, size_of};

    use crate::slots::{FIRST_GETS, SENDS, WINDOW};

    assert!(size_of::<HostSlot>() == 256);
    assert!(offset_of!(HostSlot, inline) == 64);
    assert!(size_of::<HostWaiter>() == 32);
    assert!(size_of::<SharedSlot>() == 128);
    assert!(size_of::<SharedWaiter>() == 256);
    assert!(offset_of!(SharedWaiter, inline) == 24);
    assert!(offset_of!(SharedWaiter, claim) == 128);
    assert!(size_of::<Allocation>() == 256 || cfg!(miri));
    assert!(offset_of!(SharedRegion, slots) == 768 || cfg!(miri));
    assert!(size_of::<Window>() == WINDOW);
    assert!(FIRST_GETS <= 32 && SENDS <= 16);
};

/// The number of a slot or waiter, as it lies in memory.
pub(crate) fn index_number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(NO_WINDOW)
}

#[expect(clippy::indexing_slicing, reason = "this end's own numbers of slots and waiters: they were counted or judged")]
impl HostRegion {
    #[inline]
    pub(crate) fn slot(&self, index: usize) -> &HostSlot {
        &self.slots[index]
    }

    #[inline]
    pub(crate) fn waiter(&self, index: usize) -> &HostWaiter {
        &self.waiters[index]
    }

    #[inline]
    pub(crate) fn window(&self, index: usize) -> &Window {
        &self.windows[index]
    }
}

#[expect(clippy::indexing_slicing, reason = "this end's own numbers of slots and waiters: they were counted or judged")]
impl SharedRegion {
    /// The window of a slot after the GETs.
    ///
    /// # Panics
    /// For a GET's, which has none here.
    #[inline]
    pub fn window(&self, slot: usize) -> &Window {
        &self.windows[slot - GETS]
    }

    /// What the threads of `holder` sleep on that wait for any of many GETs.
    #[inline]
    pub fn bell(&self, holder: Holder) -> &AtomicU32 {
        &self.bells.words[holder.number() as usize - 1]
    }

    #[inline]
    pub(crate) fn slot(&self, index: usize) -> &SharedSlot {
        &self.slots[index]
    }

    #[inline]
    pub(crate) fn waiter(&self, index: usize) -> &SharedWaiter {
        &self.waiters[index]
    }
}

impl HostRegion {
    /// A region in ordinary memory, all zero: for tests and for both ends in one thread.
    pub fn boxed() -> Box<Self> {
        #[cfg(not(loom))]
        return <Self as FromZeros>::new_box_zeroed().expect("memory for a region");
        #[cfg(loom)]
        Box::new(Self {
            slots: std::array::from_fn(|_| HostSlot {
                done: AtomicU32::new(0),
                outcome: AtomicU32::new(0),
                status: AtomicU32::new(0),
                cpu: AtomicU32::new(0),
                id: AtomicU64::new(0),
                len: AtomicU64::new(0),
                reply_capacity: AtomicU32::new(0),
                waiter: AtomicU32::new(0),
                waiter_generation: AtomicU32::new(0),
                flags: AtomicU32::new(0),
                deadline: AtomicU64::new(0),
                filled: AtomicU32::new(0),
                drained: AtomicU32::new(0),
                inline: std::array::from_fn(|_| AtomicU64::new(0)),
            }),
            waiters: std::array::from_fn(|_| HostWaiter {
                id: AtomicU64::new(0),
                generation: AtomicU32::new(0),
                capacity: AtomicU32::new(0),
                flags: AtomicU32::new(0),
                ended: AtomicU32::new(0),
                drained: AtomicU32::new(0),
            }),
            windows: std::array::from_fn(|_| Window { words: std::array::from_fn(|_| AtomicU64::new(0)) }),
        })
    }
}

impl SharedRegion {
    /// A region in ordinary memory, all zero: for tests and for both ends in one thread.
    pub fn boxed() -> Box<Self> {
        #[cfg(not(loom))]
        return <Self as FromZeros>::new_box_zeroed().expect("memory for a region");
        #[cfg(loom)]
        Box::new(Self {
            allocation: Allocation {
                tickets: AtomicU64::new(0),
                wanted: AtomicU32::new(0),
                freed: AtomicU32::new(0),
                used: std::array::from_fn(|_| AtomicU64::new(0)),
            },
            attention: Line { word: AtomicU64::new(0) },
            requests: Line { word: AtomicU64::new(0) },
            posted: Posts { words: std::array::from_fn(|_| AtomicU64::new(0)) },
            bells: Bells { words: std::array::from_fn(|_| AtomicU32::new(0)) },
            slots: std::array::from_fn(|_| SharedSlot {
                word: AtomicU32::new(0),
                owner: AtomicU32::new(0),
                capacity: AtomicU64::new(0),
                ticket: AtomicU64::new(0),
                len: AtomicU64::new(0),
                filled: AtomicU32::new(0),
                drained: AtomicU32::new(0),
                warmed: AtomicU32::new(0),
                rings: AtomicU32::new(0),
            }),
            waiters: std::array::from_fn(|_| SharedWaiter {
                word: AtomicU32::new(0),
                cpu: AtomicU32::new(0),
                status: AtomicU32::new(0),
                window: AtomicU32::new(0),
                len: AtomicU64::new(0),
                inline: std::array::from_fn(|_| AtomicU64::new(0)),
                claim: Claim { generation: AtomicU32::new(0) },
            }),
            windows: std::array::from_fn(|_| Window { words: std::array::from_fn(|_| AtomicU64::new(0)) }),
        })
    }
}
