//! The filter's end of a connection: which posted GET a message takes, which messages wait for a reply, which threads
//! are woken.
//!
//! [`Host`] is the private ledger of one connection; the caller keeps it under a lock. Nothing here waits: where the
//! caller must sleep, a function gives the futex value to sleep on, and where a thread must be woken, it says so.
//!
//! More than 500 lines, because the ledger's invariants are kept by all of it: which receives are noted, which waiters are
//! free, and what the words say of both.

pub mod holders;

use std::collections::VecDeque;

use crate::pieces;
use crate::slots::{
    ATTENTION_AWAITS_GET, ATTENTION_GETS, ATTENTION_OTHERS, ATTENTION_REPLIED, Attention, CALLS, Claim, FIRST_GETS,
    GETS, Generation, HOST_INLINE, Holder, HostRegion, NO_WINDOW, SLOTS, SharedRegion, State, WAITERS, Word, bits_of,
    index_number, set_bits, write_words,
};
use crate::sync::{AtomicU32, Ordering, fence, swap, swap_at_last};

/// [`crate::slots::HostSlot::flags`]: the filter waits for a reply.
pub const FLAG_REPLY: u32 = 1;
/// [`crate::slots::HostSlot::flags`]: a file descriptor travels beside the message, on the socket.
pub const FLAG_FILE: u32 = 2;
/// [`crate::slots::HostSlot::flags`]: no thread sleeps on the waiter itself; the reply must ring the attention word too.
pub const FLAG_ATTENTION: u32 = 4;

/// How a slot was completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Outcome {
    /// A message was delivered.
    Message = 1,
    /// The oldest GET was smaller than a message that waits.
    TooSmall = 2,
    /// A SEND was answered.
    Answer = 3,
}

impl Outcome {
    /// From the number in shared memory.
    pub const fn from_raw(raw: u32) -> Option<Self> {
        match raw {
            1 => Some(Self::Message),
            2 => Some(Self::TooSmall),
            3 => Some(Self::Answer),
            _ => None,
        }
    }
}

/// A slot that the host has taken and must finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Its index.
    pub slot: usize,
    /// Its generation.
    pub generation: Generation,
}

/// What became of an attempt to deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// This GET holds the message.
    Deliver(Taken),
    /// None fits; this one, the oldest, must be finished as too small.
    TooSmall(Taken),
    /// Nothing is posted that may be used.
    Nothing,
}

/// What the application rang since the last look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rung {
    /// GETs were posted.
    pub gets: bool,
    /// A reply was published to a waiter that no thread sleeps on.
    pub replies: bool,
}

#[derive(Debug, Clone, Copy)]
struct PostedGet {
    generation: Generation,
    capacity: u64,
    ticket: u64,
    /// It is in [`Host::order`].
    waits: bool,
}

impl PostedGet {
    const NONE: Self = Self { generation: Generation::new(0), capacity: 0, ticket: 0, waits: false };
}

/// One message that waits for its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiter {
    /// Its index.
    pub index: usize,
    /// Its generation.
    pub generation: Generation,
    /// The message's id: 1, 2, 3… for each connection.
    pub id: u64,
}

/// What a receiver is told of a message.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// How the slot is completed.
    pub outcome: Outcome,
    /// Bytes of the body, or the length that a callback reported.
    pub len: u64,
    /// A callback's status.
    pub status: u32,
    /// SEND: bytes of output that are written, at most the application's buffer.
    pub written: u64,
    /// What waits for the reply.
    pub waiter: Option<Waiter>,
    /// Bytes of the filter's reply buffer.
    pub reply_capacity: u32,
    /// [`FLAG_FILE`], [`FLAG_ATTENTION`]; [`FLAG_REPLY`] is added when there is a waiter.
    pub flags: u32,
    /// When the filter gives up, nanoseconds of the monotonic clock, 0 = never.
    pub deadline: u64,
    /// The processor that writes this.
    pub cpu: u32,
}

/// The private ledger of one connection.
#[derive(Debug)]
pub struct Host {
    /// Slots of the GETs known to be posted, oldest first.
    order: VecDeque<usize>,
    /// How many were taken note of so far.
    noted: u64,
    /// What is known of each slot up to the highest in which one was posted.
    gets: Vec<PostedGet>,
    generations: Vec<Generation>,
    free: Vec<u16>,
    /// Waiters given up while a replier was writing: used again when it has noticed.
    lingering: VecDeque<Waiter>,
    last_id: u64,
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// The ledger of a new connection.
    pub fn new() -> Self {
        Self {
            order: VecDeque::new(),
            noted: 0,
            gets: Vec::new(),
            generations: vec![Generation::new(0); WAITERS],
            // the lowest index is on top: only the memory of waiters that were ever needed becomes resident
            free: (0..narrow(WAITERS)).rev().collect(),
            lingering: VecDeque::new(),
            last_id: 0,
        }
    }

    /// Looks at what the application rang, and takes note of new GETs.
    pub fn pull(&mut self, shared: &SharedRegion) -> Rung {
        let bits = Attention(&shared.attention.word).collect();
        for slot in set_bits(bits & ATTENTION_GETS & !ATTENTION_OTHERS) {
            self.note(shared, slot);
        }
        if bits & ATTENTION_OTHERS != 0 {
            self.pull_others(shared);
        }
        Rung { gets: bits & ATTENTION_GETS != 0, replies: bits & ATTENTION_REPLIED != 0 }
    }

    /// Takes note of new GETs that have no bit in the attention word.
    fn pull_others(&mut self, shared: &SharedRegion) {
        for (index, posted) in shared.posted.words.iter().enumerate() {
            // a look first, for most have none
            if posted.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let bits = posted.swap(0, Ordering::AcqRel) & bits_of(&(FIRST_GETS..GETS), index);
            for bit in set_bits(bits) {
                self.note(shared, index * 64 + bit);
            }
        }
    }

    fn note(&mut self, shared: &SharedRegion, slot: usize) {
        if self.gets.len() <= slot {
            self.gets.resize(slot + 1, PostedGet::NONE);
        }
        if self.get(slot).waits {
            self.order.retain(|&known| known != slot);
        }
        let theirs = shared.slot(slot);
        let word = Word::from_raw(theirs.word.load(Ordering::Acquire));
        let get = PostedGet {
            generation: word.generation(),
            capacity: theirs.capacity.load(Ordering::Relaxed),
            ticket: theirs.ticket.load(Ordering::Relaxed),
            // if not, it was cancelled since, or rung for nothing: there is nothing to take
            waits: word.state() == Some(State::Posted),
        };
        *self.get_mut(slot) = get;
        if get.waits {
            let is_older = |&known: &usize| self.get(known).ticket <= get.ticket;
            match self.order.back().is_none_or(is_older) {
                true => self.order.push_back(slot),
                false => self.order.insert(self.order.partition_point(is_older), slot),
            }
            self.noted += 1;
        }
    }

    /// What was noted last of the GET in `slot`.
    #[expect(clippy::indexing_slicing, reason = "asked for slots that were noted, of which there is one here")]
    fn get(&self, slot: usize) -> &PostedGet {
        &self.gets[slot]
    }

    #[expect(clippy::indexing_slicing, reason = "as above")]
    fn get_mut(&mut self, slot: usize) -> &mut PostedGet {
        &mut self.gets[slot]
    }

    /// How many GETs were taken note of so far: a thread that has looked in vain, and is counted as waiting only later,
    /// sees by it whether there is one that it has not seen.
    pub fn noted(&self) -> u64 {
        self.noted
    }

    /// The slot of the oldest GET known to be posted.
    pub fn next(&self) -> Option<usize> {
        self.order.front().copied()
    }

    /// Whether any GET is known to be posted.
    pub fn has_gets(&self) -> bool {
        !self.order.is_empty()
    }

    /// Takes the oldest GET that holds `len` bytes of body. When none does and `may_reject`, takes the oldest to be
    /// refused as too small. Also says what was rung: the application's word is read only when no known GET fits,
    /// because those rung since are younger, and the word's line is dear.
    pub fn take(&mut self, shared: &SharedRegion, len: usize, may_reject: bool) -> (Take, Rung) {
        if let Some(taken) = self.take_fitting(shared, len) {
            return (Take::Deliver(taken), Rung::default());
        }
        let rung = self.pull(shared);
        if let Some(taken) = self.take_fitting(shared, len) {
            return (Take::Deliver(taken), rung);
        }
        while may_reject && !self.order.is_empty() {
            if let Some(taken) = self.claim(shared, 0) {
                return (Take::TooSmall(taken), rung);
            }
        }
        (Take::Nothing, rung)
    }

    fn take_fitting(&mut self, shared: &SharedRegion, len: usize) -> Option<Taken> {
        let mut index = 0;
        while let Some(&slot) = self.order.get(index) {
            if self.get(slot).capacity < len as u64 {
                index += 1;
                continue;
            }
            if let Some(taken) = self.claim(shared, index) {
                return Some(taken);
            }
        }
        None
    }

    /// Takes the GET that is at `index` in the order, and out of that; `None` when it was cancelled.
    fn claim(&mut self, shared: &SharedRegion, index: usize) -> Option<Taken> {
        let slot = if index == 0 { self.order.pop_front()? } else { self.order.remove(index)? };
        let get = self.get_mut(slot);
        get.waits = false;
        let generation = get.generation;
        claim_slot(&shared.slot(slot).word, generation).then_some(Taken { slot, generation })
    }

    /// Whether a GET that was completed has not been posted anew, as far as is known here: as long as the ledger is
    /// held, no thread takes its slot for another message.
    pub fn is_last(&self, taken: Taken) -> bool {
        self.gets.get(taken.slot).is_none_or(|get| get.generation == taken.generation)
    }

    /// After a look, and whatever came of it: whether the others must be made to look ([`Attention::move_epoch`], and a
    /// wake-up for all), because this thread took from the attention word what it does not use, or because the wish
    /// that woke it was theirs too. `awaiting`: how many other threads wait for a receive.
    #[must_use]
    pub fn leaves_work(&self, shared: &SharedRegion, rung: Rung, awaiting: usize) -> bool {
        let attention = Attention(&shared.attention.word);
        let leaves_gets = rung.gets && self.has_gets();
        rung.replies || (awaiting > 0 && (leaves_gets || attention.prepare_sleep(ATTENTION_AWAITS_GET).is_none()))
    }

    /// Makes a waiter with the connection's next id; `None` when [`WAITERS`] messages wait already.
    pub fn arm(&mut self, host: &HostRegion, shared: &SharedRegion, capacity: u32, flags: u32) -> Option<Waiter> {
        self.reclaim(shared);
        let index = usize::from(self.free.pop()?);
        let last = self.generations.get_mut(index)?;
        let generation = last.next();
        *last = generation;
        self.last_id += 1;
        let ours = host.waiter(index);
        // a replier that looks the id up, and finds the fields of this message, finds also that the old id is gone
        fence(Ordering::Release);
        ours.capacity.store(capacity, Ordering::Relaxed);
        ours.flags.store(flags, Ordering::Relaxed);
        ours.drained.store(0, Ordering::Relaxed);
        ours.generation.store(generation.number(), Ordering::Relaxed);
        ours.id.store(self.last_id, Ordering::Release);
        Some(Waiter { index, generation, id: self.last_id })
    }

    /// Looks whether a replier has let go that held up a waiter: at one of them, or at all when no other waiter is
    /// free.
    fn reclaim(&mut self, shared: &SharedRegion) {
        let looks = if self.free.is_empty() { self.lingering.len() } else { self.lingering.len().min(1) };
        let oldest: Vec<Waiter> = self.lingering.drain(..looks).collect();
        for waiter in oldest {
            if written_to(shared, waiter) {
                self.lingering.push_back(waiter);
            } else {
                self.free.push(narrow(waiter.index));
            }
        }
    }

    /// Ends a waiter that was replied to or [`expire`]d: its index may be used again, as soon as no replier writes
    /// there. A replier that streams a long reply must be woken (on [`crate::slots::HostWaiter::drained`]).
    pub fn disarm(&mut self, host: &HostRegion, shared: &SharedRegion, waiter: Waiter) {
        disarm(host, waiter);
        if !replied(shared, waiter) && written_to(shared, waiter) {
            self.lingering.push_back(waiter);
        } else {
            self.free.push(narrow(waiter.index));
        }
    }

    /// Takes a waiter back from `spare`.
    pub fn collect(&mut self, spare: &Spare) {
        self.free.extend(spare.take().map(narrow));
    }

    /// Messages that wait for a reply now.
    pub fn waiting(&self) -> usize {
        WAITERS - self.free.len() - self.lingering.len()
    }
}

/// Brings the lines of a slot that is about to be used to this processor, so that the next message finds them here.
pub fn warm(shared: &SharedRegion, slot: usize) {
    // stores that are never read: they fetch the lines without waiting for them
    shared.slot(slot).warmed.store(0, Ordering::Relaxed);
}

/// Whether a replier has claimed a waiter, and has not let go.
fn written_to(shared: &SharedRegion, waiter: Waiter) -> bool {
    let claim = shared.waiter(waiter.index).claim.generation.load(Ordering::Acquire);
    claim & Claim::CLOSED == 0 && Generation::new(claim) == waiter.generation
}

/// Takes a posted slot; false when it was cancelled, or posted anew, or never, or changes all the while.
fn claim_slot(word: &AtomicU32, generation: Generation) -> bool {
    let taken = Word::new(State::Taken, generation).raw();
    let before = swap(word, Ordering::Acquire, |now| {
        let seen = Word::from_raw(now);
        (seen.is(State::Posted, generation) && !seen.dead()).then_some(taken | (now & Word::SLEEP))
    });
    before.is_some()
}

/// The index of a waiter in the list of those that are free, which each connection has in full.
fn narrow(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}

fn disarm(host: &HostRegion, waiter: Waiter) {
    let ours = host.waiter(waiter.index);
    ours.id.store(0, Ordering::Relaxed);
    ours.ended.store(waiter.generation.number(), Ordering::Release);
}

/// Room for one waiter on its way back to the ledger: the thread that ends it need not take the ledger's lock.
#[derive(Debug, Default)]
pub struct Spare(AtomicU32);

impl Spare {
    /// Ends a waiter that was replied to, as [`Host::disarm`] does; false, and nothing done, when the room is taken.
    #[must_use]
    pub fn disarm(&self, host: &HostRegion, waiter: Waiter) -> bool {
        if self.0.load(Ordering::Relaxed) != 0 {
            return false;
        }
        disarm(host, waiter);
        self.0.compare_exchange(0, index_number(waiter.index) + 1, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Takes out what is here. One thread at a time: the one that holds the ledger.
    fn take(&self) -> Option<usize> {
        // a room that is taken is never written, so the store loses nothing
        let index = self.0.load(Ordering::Acquire).checked_sub(1)?;
        self.0.store(0, Ordering::Relaxed);
        Some(index as usize)
    }
}

/// What the application says of a SEND. Read once; the host's own from here on.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// The slot to finish.
    pub taken: Taken,
    /// Bytes of input that the application says it has.
    pub len: u64,
    /// Bytes of its output buffer.
    pub capacity: u64,
    /// The number of the [`Holder`] that made it, as that one says.
    pub owner: u32,
}

/// Takes the SEND in `slot`; `None` when there is none, whatever the application rang.
pub fn take_request(shared: &SharedRegion, slot: usize) -> Option<Request> {
    let theirs = shared.slot(slot);
    let generation = Word::from_raw(theirs.word.load(Ordering::Acquire)).generation();
    if !claim_slot(&theirs.word, generation) {
        return None;
    }
    Some(Request {
        taken: Taken { slot, generation },
        len: theirs.len.load(Ordering::Relaxed),
        capacity: theirs.capacity.load(Ordering::Relaxed),
        owner: theirs.owner.load(Ordering::Relaxed),
    })
}

/// Writes what the receiver is told, and the payload when it fits inline or in one window. The slot is not complete
/// before [`complete`].
pub fn describe(host: &HostRegion, taken: Taken, header: &Header, payload: &[u8]) {
    // the payload first: the receiver looks at the header's line all the while, and would fetch it in the middle
    place(host, taken.slot, payload);
    let ours = host.slot(taken.slot);
    ours.filled.store(1, Ordering::Relaxed);
    ours.outcome.store(header.outcome as u32, Ordering::Relaxed);
    ours.status.store(header.status, Ordering::Relaxed);
    ours.cpu.store(header.cpu, Ordering::Relaxed);
    ours.len.store(header.len, Ordering::Relaxed);
    ours.reply_capacity.store(header.reply_capacity, Ordering::Relaxed);
    ours.deadline.store(header.deadline, Ordering::Relaxed);
    let mut flags = header.flags;
    if let Some(waiter) = header.waiter {
        flags |= FLAG_REPLY;
        ours.id.store(waiter.id, Ordering::Relaxed);
        ours.waiter.store(index_number(waiter.index), Ordering::Relaxed);
        ours.waiter_generation.store(waiter.generation.number(), Ordering::Relaxed);
    } else {
        ours.id.store(header.written, Ordering::Relaxed);
    }
    ours.flags.store(flags, Ordering::Relaxed);
}

/// Puts the first piece of `payload` where the receiver looks for it.
fn place(host: &HostRegion, slot: usize, payload: &[u8]) {
    let ours = host.slot(slot);
    if payload.len() <= HOST_INLINE {
        write_words(&ours.inline, payload);
    } else {
        write_words(&host.window(slot).words, pieces::first(payload));
    }
}

/// Completes a slot; true when its futex must be woken.
#[must_use]
pub fn complete(host: &HostRegion, shared: &SharedRegion, taken: Taken) -> bool {
    host.slot(taken.slot).done.store(taken.generation.number(), Ordering::Release);
    let word = &shared.slot(taken.slot).word;
    let done = Word::new(State::Done, taken.generation).raw();
    // of a word that never rests: a thread that sleeps there finds it complete
    let before = swap_at_last(word, Ordering::Relaxed, done, |now| {
        // the receiver may have seen `done` and gone on already
        Word::from_raw(now).is(State::Taken, taken.generation).then_some(done | (now & Word::DEAD))
    });
    before.is_some_and(|before| Word::from_raw(before).sleeps())
}

/// The bell that is to be rung ([`crate::slots::Bell::ring_sleepers`]) when the slot is complete, if it was posted to ring one. Asked for
/// before it is complete: afterwards it may be posted anew, and its line is dear.
pub fn bell(shared: &SharedRegion, taken: Taken) -> Option<&AtomicU32> {
    let theirs = shared.slot(taken.slot);
    let owner = if theirs.rings.load(Ordering::Relaxed) == 0 { 0 } else { theirs.owner.load(Ordering::Relaxed) };
    Some(shared.bell(Holder::new(owner)?))
}

/// Whether the application has let go of a slot that was completed, or uses it for something else.
pub fn let_go(shared: &SharedRegion, taken: Taken) -> bool {
    let theirs = shared.slot(taken.slot);
    theirs.owner.load(Ordering::Relaxed) == 0
        || Word::from_raw(theirs.word.load(Ordering::Acquire)).generation() != taken.generation
}

/// Whether the reply of `waiter` is there.
pub fn replied(shared: &SharedRegion, waiter: Waiter) -> bool {
    Word::from_raw(shared.waiter(waiter.index).word.load(Ordering::Acquire)).is(State::Done, waiter.generation)
}

/// Says that the filter will sleep on `waiter`; the value to sleep on, or `None` when there is something to look at:
/// the reply, the end, or else a hostile peer that changes the word all the while.
pub fn prepare_sleep(shared: &SharedRegion, waiter: Waiter) -> Option<u32> {
    let word = &shared.waiter(waiter.index).word;
    let asleep = Word::new(State::Posted, waiter.generation).raw() | Word::SLEEP;
    let before = swap(word, Ordering::Acquire, |now| {
        let seen = Word::from_raw(now);
        (!seen.is(State::Done, waiter.generation) && !seen.dead()).then_some(asleep)
    });
    before.is_some().then_some(asleep)
}

/// Whether the waiter's word says that the connection is gone. Only the host may say so, after it has closed.
pub fn marked_dead(shared: &SharedRegion, waiter: Waiter) -> bool {
    Word::from_raw(shared.waiter(waiter.index).word.load(Ordering::Acquire)).dead()
}

/// The filter gives up; false when the reply came first, and must be used.
#[must_use]
pub fn expire(shared: &SharedRegion, waiter: Waiter) -> bool {
    close_claim(shared, waiter.index, waiter.generation);
    let word = &shared.waiter(waiter.index).word;
    let expired = Word::new(State::Expired, waiter.generation).raw();
    // of a word that never rests: whatever was there, the filter waits no more
    let before = swap_at_last(word, Ordering::Acquire, expired, |now| {
        (!Word::from_raw(now).is(State::Done, waiter.generation)).then_some(expired | (now & Word::DEAD))
    });
    if before.is_none() {
        return false;
    }
    // a replier may have ended between its claim and its reply, and its claim been taken back since the look above
    fence(Ordering::SeqCst);
    close_claim(shared, waiter.index, waiter.generation);
    true
}

/// Lets no replier claim `generation` of a waiter from here on, unless one has.
fn close_claim(shared: &SharedRegion, index: usize, generation: Generation) {
    let claim = &shared.waiter(index).claim.generation;
    let claimed = claim.load(Ordering::Relaxed);
    if Generation::new(claimed) != generation {
        // when it fails, a replier has claimed it
        let closed = Claim::closed(generation);
        let _ = claim.compare_exchange(claimed, closed, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// What a replier wrote beside its waiter: read once, then judged.
#[derive(Debug, Clone, Copy)]
pub struct Published {
    /// The status that the filter's send returns.
    pub status: u32,
    /// The reply's length before it was cut to the filter's buffer.
    pub len: u64,
    /// The slot whose window holds it; `None` when it lies inline.
    pub window: Option<usize>,
    /// The processor on which it was written.
    pub cpu: u32,
}

/// Reads what a replier wrote; `None` when it names a window that does not exist, or says that more lies inline than
/// can.
pub fn published(shared: &SharedRegion, waiter: Waiter) -> Option<Published> {
    let theirs = shared.waiter(waiter.index);
    let window = match theirs.window.load(Ordering::Relaxed) {
        NO_WINDOW => None,
        slot if (CALLS..SLOTS).contains(&(slot as usize)) => Some(slot as usize),
        _ => return None,
    };
    Some(Published {
        status: theirs.status.load(Ordering::Relaxed),
        len: theirs.len.load(Ordering::Relaxed),
        window,
        cpu: theirs.cpu.load(Ordering::Relaxed),
    })
}
