//! The requests word: how an application's SENDs find a thread of the host, and how that thread leaves without missing
//! one.

use super::counts::SENDS;
use super::word::Wake;
use crate::sync::{AtomicU64, Ordering, replace, replace_soon};

/// Bit of the requests word: no worker at the host looks; ring the socket.
pub const REQUEST_RING: u64 = 1 << 61;
/// Bit of the requests word: the connection is gone.
pub const REQUEST_DEAD: u64 = 1 << 62;
/// Bit of the requests word: a worker at the host sleeps on its upper half.
pub const REQUEST_PARKED: u64 = 1 << 63;
const REQUESTS: u64 = (1 << SENDS) - 1;

/// The requests word: what the application rings for the host's workers.
///
/// ```text
///   63      62     61     60 … 16  15 … 0
/// ┌───────┬──────┬──────┬─────────┬───────────────────┐
/// │parked │ dead │ ring │    0    │ SENDs just posted │
/// └───────┴──────┴──────┴─────────┴───────────────────┘
/// ```
///
/// Workers sleep on the upper 32 bits.
#[derive(Debug)]
pub struct Requests<'a>(pub &'a AtomicU64);

impl Requests<'_> {
    /// The host's side, once: no worker looks yet.
    pub fn open(&self) {
        self.0.store(REQUEST_RING, Ordering::SeqCst);
    }

    /// The application's side: says that the SENDs in `bits` were posted.
    #[must_use]
    pub fn posted(&self, bits: u64) -> Wake {
        // the ring bit first: a worker that left may have left its parked bit behind
        let wish = |now| if now & REQUEST_RING != 0 { REQUEST_RING } else { now & REQUEST_PARKED };
        // the one that clears a wish fulfils it
        match wish(replace(self.0, |now| (now | bits) & !wish(now))) {
            0 => Wake::None,
            REQUEST_RING => Wake::Socket,
            _ => Wake::One,
        }
    }

    /// The host's side: takes the bits that were rung since the last look.
    pub fn collect(&self) -> u64 {
        if !self.waiting() {
            return 0;
        }
        self.0.fetch_and(!REQUESTS, Ordering::SeqCst) & REQUESTS
    }

    /// The host's side: whether something was rung since the last look.
    pub fn waiting(&self) -> bool {
        self.0.load(Ordering::Acquire) & REQUESTS != 0
    }

    /// The host's side: says that a worker will sleep. The upper half to sleep on, or `None` when there is something to
    /// look at first.
    pub fn prepare_sleep(&self) -> Option<u32> {
        let now = self.0.fetch_or(REQUEST_PARKED, Ordering::SeqCst) | REQUEST_PARKED;
        (now & (REQUESTS | REQUEST_DEAD) == 0).then_some((now >> 32) as u32)
    }

    /// The host's side: the connection is gone; all sleepers must be woken.
    pub fn mark_dead(&self) {
        self.0.fetch_or(REQUEST_DEAD, Ordering::SeqCst);
    }

    /// Whether the word says that the connection is gone.
    pub fn dead(&self) -> bool {
        self.0.load(Ordering::Acquire) & REQUEST_DEAD != 0
    }
}

/// The host's own count of the workers at one connection; the caller keeps it under a lock.
#[derive(Debug, Default)]
pub struct Workers {
    /// Workers that look, or sleep until there is a request.
    idle: usize,
    /// All of this connection, those in callbacks too.
    all: usize,
}

impl Workers {
    /// The application rang: whether to call one more worker, which counts from now on. There are never more than
    /// [`SENDS`].
    #[must_use]
    pub fn call(&mut self) -> bool {
        let call = self.all < SENDS;
        self.all += usize::from(call);
        call
    }

    /// A worker begins to look: the socket need not be rung.
    pub fn begin_look(&mut self, requests: &Requests<'_>) {
        self.idle += 1;
        requests.0.fetch_and(!REQUEST_RING, Ordering::SeqCst);
    }

    /// A worker looks no more, because it has something to do or leaves. Says which worker must see to requests that
    /// came since its last look: one of those that sleep on the word, or a new one ([`Wake::Socket`]).
    #[must_use]
    pub fn end_look(&mut self, requests: &Requests<'_>) -> Wake {
        self.idle -= 1;
        if self.idle == 0 {
            let old = requests.0.fetch_or(REQUEST_RING, Ordering::SeqCst);
            return if old & REQUESTS == 0 { Wake::None } else { Wake::Socket };
        }
        // the wish that woke this worker was the others' too; where it comes too late, those about to sleep look again
        let old = replace_soon(requests.0, |now| match now & REQUESTS {
            0 => now | REQUEST_PARKED,
            _ => now & !REQUEST_PARKED,
        });
        if old.is_some_and(|old| old & REQUESTS == 0) { Wake::None } else { Wake::One }
    }

    /// A worker that looks no more has left. True: for a ring meanwhile no worker was called, because this one still counted.
    #[must_use]
    pub fn leave(&mut self, requests: &Requests<'_>) -> bool {
        self.all -= 1;
        self.idle == 0 && requests.waiting()
    }
}
