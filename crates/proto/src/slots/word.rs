//! The words that decide: their bits, and the transitions that both ends agree on.

use super::counts::{FIRST_GETS, GETS};
use crate::sync::{AtomicU32, AtomicU64, Ordering, replace_or_flip};

/// Which use of a slot or waiter a word speaks of: 27 bits, so that a stale value is told from a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation(u32);

impl Generation {
    const MASK: u32 = (1 << 27) - 1;

    /// From a number; higher bits are dropped.
    pub const fn new(number: u32) -> Self {
        Self(number & Self::MASK)
    }

    /// The following generation, which wraps to 1: 0 is the state of untouched memory.
    #[must_use]
    pub const fn next(self) -> Self {
        let next = (self.0 + 1) & Self::MASK;
        Self(if next == 0 { 1 } else { next })
    }

    /// The one before: of the first, untouched memory.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// As a number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// Which of the processes that use a connection: 1 to [`HOLDERS`], given by the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Holder(u32);

/// Processes that may use one connection at a time.
pub const HOLDERS: u32 = 15;

impl Holder {
    /// The one that connected.
    pub const FIRST: Self = Self(1);

    /// From a number; `None` for 0 and what is too large.
    pub const fn new(number: u32) -> Option<Self> {
        if 1 <= number && number <= HOLDERS { Some(Self(number)) } else { None }
    }

    /// As a number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// What a slot's or waiter's word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// Slot: in no end's hands. Waiter: untouched.
    Free = 0,
    /// Slot: posted by the application, may be taken or cancelled. Waiter: open, and the filter sleeps on it.
    Posted = 1,
    /// Slot: taken by the host; it will be finished.
    Taken = 2,
    /// Slot: finished by the host. Waiter: replied.
    Done = 3,
    /// Waiter: the filter gave up.
    Expired = 4,
}

/// One value of a slot's or waiter's word.
///
/// ```text
/// 31            5   4      3     2   0
/// ┌───────────────┬──────┬───────┬─────┐
/// │ generation    │ dead │ sleep │state│
/// └───────────────┴──────┴───────┴─────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word(u32);

impl Word {
    /// Set by the sleeper before it sleeps; the thread that changes the state then wakes it.
    pub const SLEEP: u32 = 1 << 3;
    /// Set by a monitor when the connection is gone, so that no thread falls asleep on the word any more.
    pub const DEAD: u32 = 1 << 4;
    const STATE: u32 = 7;

    /// A word without sleep and dead bits.
    pub const fn new(state: State, generation: Generation) -> Self {
        Self(generation.0 << 5 | state as u32)
    }

    /// From the raw value.
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// The raw value, as the futex compares it.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// Its state; `None` for a number that has no meaning, which only a broken peer writes.
    pub const fn state(self) -> Option<State> {
        match self.0 & Self::STATE {
            0 => Some(State::Free),
            1 => Some(State::Posted),
            2 => Some(State::Taken),
            3 => Some(State::Done),
            4 => Some(State::Expired),
            _ => None,
        }
    }

    /// Its generation.
    pub const fn generation(self) -> Generation {
        Generation(self.0 >> 5)
    }

    /// Whether a thread sleeps on it.
    pub const fn sleeps(self) -> bool {
        self.0 & Self::SLEEP != 0
    }

    /// Whether the connection is gone.
    pub const fn dead(self) -> bool {
        self.0 & Self::DEAD != 0
    }

    /// Whether it says exactly `state` of `generation`, with a sleeper or without.
    pub fn is(self, state: State, generation: Generation) -> bool {
        self.0 & !(Self::SLEEP | Self::DEAD) == Self::new(state, generation).0
    }

    /// Marks `word` dead; true when a sleeper must be woken.
    pub fn mark_dead(word: &AtomicU32) -> bool {
        Self(word.fetch_or(Self::DEAD, Ordering::AcqRel)).sleeps()
    }
}

/// Bit of the attention word: GETs were posted that have no bit of their own there.
pub const ATTENTION_OTHERS: u64 = 1 << 32;
/// The bits of the attention word that tell of posted GETs.
pub const ATTENTION_GETS: u64 = ((1 << FIRST_GETS) - 1) | ATTENTION_OTHERS;
/// Bit of the attention word: a thread of the host sleeps on its upper half until a reply is published.
pub const ATTENTION_AWAITS_REPLY: u64 = 1 << 60;
/// Bit of the attention word: a reply was published to a waiter that no thread sleeps on.
pub const ATTENTION_REPLIED: u64 = 1 << 61;
/// Bit of the attention word: the connection is gone.
pub const ATTENTION_DEAD: u64 = 1 << 62;
/// Bit of the attention word: a thread of the host sleeps on its upper half until a GET is posted.
pub const ATTENTION_AWAITS_GET: u64 = 1 << 63;
/// Why a filter sleeps on the attention word: until a GET is posted. A bit for FUTEX_WAIT_BITSET.
pub const REASON_BUFFER: u32 = 1;
/// Why a filter sleeps on the attention word: until a reply is published.
pub const REASON_REPLY: u32 = 2;
const EPOCH_ONE: u64 = 1 << 48;
const EPOCH_MASK: u64 = 0xfff << 48;

/// What to wake after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// Nothing.
    None,
    /// One sleeper on the upper half of the attention or requests word.
    One,
    /// The host looks at no word of this connection: ring the socket.
    Socket,
}

/// The attention word: what the application rings for filters.
///
/// ```text
///     63       62      61         60          59..48      47..33     32         31 … 0
/// ┌──────────┬──────┬─────────┬────────────┬───────────┬────────┬────────┬─────────────────┐
/// │awaits GET│ dead │ replied │awaits reply│ epoch (12)│   0    │ others │ GETs just posted│
/// └──────────┴──────┴─────────┴────────────┴───────────┴────────┴────────┴─────────────────┘
/// ```
///
/// Filters sleep on the upper 32 bits. The application sets a bit, then, if it sees a wish to know, clears that wish
/// and wakes. The host moves the epoch when one filter leaves something for another that may be about to sleep.
#[derive(Debug)]
pub struct Attention<'a>(pub &'a AtomicU64);

impl Attention<'_> {
    /// The application's side: says that the GETs in `bits` were posted; true when it must wake one sleeper.
    #[must_use]
    pub fn posted(&self, bits: u64) -> bool {
        self.ring(bits, ATTENTION_AWAITS_GET)
    }

    /// The application's side: says that a reply was published; true when it must wake all sleepers.
    #[must_use]
    pub fn replied(&self) -> bool {
        self.ring(ATTENTION_REPLIED, ATTENTION_AWAITS_GET | ATTENTION_AWAITS_REPLY)
    }

    fn ring(&self, bits: u64, wishes: u64) -> bool {
        let old = self.0.fetch_or(bits, Ordering::SeqCst);
        // the one that clears the wish wakes; the cleared bit also makes threads about to sleep look again
        old & wishes != 0 && self.0.fetch_and(!wishes, Ordering::SeqCst) & wishes != 0
    }

    /// The host's side: takes the bits that were rung since the last look.
    pub fn collect(&self) -> u64 {
        let rung = ATTENTION_GETS | ATTENTION_REPLIED;
        if self.0.load(Ordering::Acquire) & rung == 0 {
            return 0;
        }
        self.0.fetch_and(!rung, Ordering::SeqCst) & rung
    }

    /// The host's side: says that a thread will sleep for the `wishes` [`ATTENTION_AWAITS_GET`], [`ATTENTION_AWAITS_REPLY`] or
    /// both. The upper half to sleep on, or `None` when there is something to look at first.
    pub fn prepare_sleep(&self, wishes: u64) -> Option<u32> {
        let now = self.0.fetch_or(wishes, Ordering::SeqCst) | wishes;
        let gets = if wishes & ATTENTION_AWAITS_GET != 0 { ATTENTION_GETS } else { 0 };
        (now & (gets | ATTENTION_REPLIED | ATTENTION_DEAD) == 0).then_some((now >> 32) as u32)
    }

    /// The host's side: makes all threads that are about to sleep look again.
    pub fn move_epoch(&self) {
        let next = |now: u64| (now & !EPOCH_MASK) | (now.wrapping_add(EPOCH_ONE) & EPOCH_MASK);
        // where a hostile peer changes the word all the while the epoch moves all the same, once there or back
        replace_or_flip(self.0, next, EPOCH_ONE);
    }

    /// The host's side: whether a reply was published since the last look.
    pub fn has_replies(&self) -> bool {
        self.0.load(Ordering::Acquire) & ATTENTION_REPLIED != 0
    }

    /// Whether the connection is gone.
    pub fn dead(&self) -> bool {
        self.0.load(Ordering::Acquire) & ATTENTION_DEAD != 0
    }
}

/// Which message a file on the socket belongs to: the one in this slot, in this generation of it.
pub fn file_tag(slot: usize, generation: Generation) -> u64 {
    (slot as u64) << 32 | u64::from(generation.number())
}

/// The slot that a [`file_tag`] names, where there is such a GET.
pub fn tagged_slot(tag: u64) -> Option<usize> {
    usize::try_from(tag >> 32).ok().filter(|&slot| slot < GETS)
}
