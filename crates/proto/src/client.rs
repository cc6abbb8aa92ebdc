//! The application's end of a connection: posting GETs and SENDs, cancelling them, and answering messages.
//!
//! Nothing here waits: functions give the futex value to sleep on, and say which threads to wake.

use std::ops::Range;

use crate::host::{FLAG_ATTENTION, FLAG_REPLY, Outcome};
pub use crate::slots::Wake;
use crate::slots::{
    ATTENTION_OTHERS, Attention, CALLS, Claim, FIRST_GETS, GETS, Generation, HOST_INLINE, Holder, HostRegion,
    NO_WINDOW, REPLY_INLINE, Requests, SLOTS, SharedRegion, SharedSlot, SharedWaiter, State, WAITERS, Word, bit_in,
    bits_of, index_number, set_bits, write_words,
};
use crate::sync::{Ordering, fence, in_one_order};

/// A slot in this application's hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posted {
    /// Its index.
    pub slot: usize,
    /// Its generation.
    pub generation: Generation,
}

/// Reserves the lowest free slot for a GET of `holder`; `None` when all are in use.
pub fn reserve_get(shared: &SharedRegion, holder: Holder) -> Option<usize> {
    reserve(shared, 0..GETS, holder)
}

/// Reserves the lowest free slot for a SEND of `holder`; `None` when all are in use.
pub fn reserve_send(shared: &SharedRegion, holder: Holder) -> Option<usize> {
    reserve(shared, GETS..CALLS, holder)
}

/// Reserves the lowest free slot whose window takes a long reply of `holder`; `None` when all are in use.
pub fn reserve_reply(shared: &SharedRegion, holder: Holder) -> Option<usize> {
    reserve(shared, CALLS..SLOTS, holder)
}

fn reserve(shared: &SharedRegion, among: Range<usize>, holder: Holder) -> Option<usize> {
    let words = shared.allocation.used.iter().enumerate().skip(among.start / 64);
    let slot = words.take_while(|(index, _)| index * 64 < among.end).find_map(|(index, used)| {
        let lowest = |used: u64| {
            let free = !used & bits_of(&among, index);
            (free != 0).then_some(free & free.wrapping_neg())
        };
        // in one order with releases and with the count of the threads that wait for a slot: one that counts first, then
        // finds none, is told
        let before = used.fetch_update(Ordering::Acquire, Ordering::SeqCst, |now| Some(now | lowest(now)?));
        Some(index * 64 + lowest(before.ok()?)?.trailing_zeros() as usize)
    })?;
    let ours = shared.slot(slot);
    ours.rings.store(0, Ordering::Relaxed);
    ours.owner.store(holder.number(), Ordering::Release);
    Some(slot)
}

/// Says of a reserved slot that each GET which is posted there also rings the [`crate::slots::Bell`] of its owner when it
/// is complete, for threads that wait for any of many.
pub fn let_ring(shared: &SharedRegion, slot: usize) {
    shared.slot(slot).rings.store(1, Ordering::Relaxed);
}

/// How many slots are free for GETs: a look.
pub fn free_gets(shared: &SharedRegion) -> usize {
    let words = shared.allocation.used.iter().enumerate();
    words.map(|(index, used)| (!used.load(Ordering::Relaxed) & bits_of(&(0..GETS), index)).count_ones() as usize).sum()
}

/// The slots in use that the host completes, lowest first. One that is reserved while this goes on may be left out.
pub fn calls(shared: &SharedRegion) -> impl Iterator<Item = usize> {
    in_use(shared).take_while(|&slot| slot < CALLS)
}

/// All slots in use, lowest first.
pub(crate) fn in_use(shared: &SharedRegion) -> impl Iterator<Item = usize> {
    shared.allocation.used.iter().enumerate().flat_map(|(index, used)| {
        // a swap, not a look: a thread that reserves a slot after this sees what was done before it
        let bits = used.fetch_or(0, Ordering::SeqCst) & bits_of(&(0..SLOTS), index);
        set_bits(bits).map(move |bit| index * 64 + bit)
    })
}

/// Gives a reserved slot back. True when a thread waits for one: wake all on [`crate::slots::Allocation::freed`].
#[must_use]
pub fn release(shared: &SharedRegion, slot: usize) -> bool {
    put_back(shared, slot);
    in_one_order();
    shared.allocation.wanted.load(Ordering::SeqCst) != 0 && freed(shared)
}

/// Makes a slot free, and tells no thread.
pub(crate) fn put_back(shared: &SharedRegion, slot: usize) {
    // in this order: a slot whose owner is told is that one's
    shared.slot(slot).owner.store(0, Ordering::Relaxed);
    let (used, bit) = bit_in(&shared.allocation.used, slot);
    used.fetch_and(!bit, Ordering::SeqCst);
}

/// Says that the threads that wait for a slot must look again; true when there are some, to be woken as after
/// [`release`].
#[must_use]
pub fn freed(shared: &SharedRegion) -> bool {
    let wanted = shared.allocation.wanted.swap(0, Ordering::SeqCst) != 0;
    shared.allocation.freed.fetch_add(1, Ordering::SeqCst);
    wanted
}

/// Says that a thread will wait for a slot; the value of [`crate::slots::Allocation::freed`] to sleep on, if none is
/// free after this.
pub fn want_slot(shared: &SharedRegion) -> u32 {
    let seen = shared.allocation.freed.load(Ordering::SeqCst);
    shared.allocation.wanted.store(1, Ordering::SeqCst);
    in_one_order();
    seen
}

/// Whether `holder` uses a slot.
pub fn owns(shared: &SharedRegion, slot: usize, holder: Holder) -> bool {
    shared.slot(slot).owner.load(Ordering::Acquire) == holder.number()
}

/// Whether another process than `holder` has lent windows to filters.
pub fn others_lend(shared: &SharedRegion, holder: Holder) -> bool {
    let owner = |slot: &SharedSlot| slot.owner.load(Ordering::Relaxed);
    shared.slots.iter().skip(CALLS).map(owner).any(|owner| owner != 0 && owner != holder.number())
}

/// Of which process a thread sleeps on a slot, or is about to; `None` when none does.
pub fn sleeper(shared: &SharedRegion, slot: usize) -> Option<Holder> {
    let ours = shared.slot(slot);
    let sleeps = Word::from_raw(ours.word.load(Ordering::Relaxed)).sleeps();
    Holder::new(ours.owner.load(Ordering::Relaxed)).filter(|_| sleeps)
}

/// Before a GET is posted: passes over the generation with which its slot was completed last, where that is the next. It
/// comes around when 2²⁷ GETs were taken back since, and the new one would be taken for complete.
pub fn pass_over_last(host: &HostRegion, shared: &SharedRegion, slot: usize) {
    let last = Generation::new(host.slot(slot).done.load(Ordering::Relaxed));
    let passed = Word::new(State::Free, last).raw();
    // a look: no thread changes the generation of a slot that another has reserved
    let _ = shared.slot(slot).word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
        (Word::from_raw(now).generation().next() == last).then_some(passed | (now & Word::DEAD))
    });
}

/// Posts a GET for up to `capacity` bytes of body in a reserved slot that is complete or was never used, and of which
/// the last generation was passed over ([`pass_over_last`]). `None` when the connection is gone.
pub fn post_get(shared: &SharedRegion, slot: usize, capacity: u64) -> Option<(Posted, Wake)> {
    let ours = shared.slot(slot);
    ours.capacity.store(capacity, Ordering::Relaxed);
    ours.ticket.store(shared.allocation.tickets.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    ours.drained.store(0, Ordering::Relaxed);
    let posted = post(shared, slot)?;
    let bit = if slot < FIRST_GETS {
        1 << slot
    } else {
        let (posted, bit) = bit_in(&shared.posted.words, slot);
        posted.fetch_or(bit, Ordering::Release);
        ATTENTION_OTHERS
    };
    let attention = Attention(&shared.attention.word);
    let wake = attention.posted(bit);
    // the end marks the slots that are in use; one that was posted after it is taken back here
    if attention.dead() && cancel(shared, posted) {
        return None;
    }
    Some((posted, if wake { Wake::One } else { Wake::None }))
}

/// Posts a SEND of `len` bytes, whose first piece lies in the slot's window already. `None` when the connection is gone.
pub fn post_send(shared: &SharedRegion, slot: usize, len: u64, capacity: u64) -> Option<(Posted, Wake)> {
    let ours = shared.slot(slot);
    ours.capacity.store(capacity, Ordering::Relaxed);
    ours.len.store(len, Ordering::Relaxed);
    ours.drained.store(0, Ordering::Relaxed);
    ours.filled.store(1, Ordering::Relaxed);
    let posted = post(shared, slot)?;
    let requests = Requests(&shared.requests.word);
    let wake = requests.posted(1 << (slot - GETS));
    if requests.dead() && cancel(shared, posted) {
        return None;
    }
    Some((posted, wake))
}

fn post(shared: &SharedRegion, slot: usize) -> Option<Posted> {
    let word = &shared.slot(slot).word;
    let next = |now: u32| Word::from_raw(now).generation().next();
    // a mark without the connection's own was left by a process that has disconnected, for itself alone
    let ended = |now: u32| Word::from_raw(now).dead() && Attention(&shared.attention.word).dead();
    let before = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
        (!ended(now)).then(|| Word::new(State::Posted, next(now)).raw())
    });
    Some(Posted { slot, generation: next(before.ok()?) })
}

/// Whether the slot is complete. What the host wrote may be read from here on.
pub fn completed(host: &HostRegion, posted: Posted) -> bool {
    host.slot(posted.slot).done.load(Ordering::Acquire) == posted.generation.number()
}

/// As [`completed`], for a look that will be repeated: it touches the payload's line too, which the host writes before
/// it says *done*, so that the payload is on its way here when *done* is seen.
#[inline]
pub fn completed_soon(host: &HostRegion, posted: Posted) -> bool {
    std::hint::black_box(host.slot(posted.slot).inline[0].load(Ordering::Relaxed));
    completed(host, posted)
}

/// Says that a thread will sleep on the slot; the value to sleep on, or `None` when there is something to look at.
pub fn prepare_sleep(shared: &SharedRegion, posted: Posted) -> Option<u32> {
    let word = &shared.slot(posted.slot).word;
    let before = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
        let seen = Word::from_raw(now);
        let open = seen.is(State::Posted, posted.generation) || seen.is(State::Taken, posted.generation);
        (open && !seen.dead()).then_some(now | Word::SLEEP)
    });
    Some(before.ok()? | Word::SLEEP)
}

/// Takes a posted slot back. False when the host has taken it: it will be complete in a moment.
#[must_use]
pub fn cancel(shared: &SharedRegion, posted: Posted) -> bool {
    let word = &shared.slot(posted.slot).word;
    let free = Word::new(State::Free, posted.generation).raw();
    let before = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
        Word::from_raw(now).is(State::Posted, posted.generation).then_some(free | (now & Word::DEAD))
    });
    before.is_ok()
}

/// Takes back whatever GET `holder` has posted in `slot`, for its thread to find ([`cancelled`]); whether a thread that
/// sleeps on its word must be woken. `None` when none is posted there: the host may have taken it.
pub fn cancel_slot(shared: &SharedRegion, slot: usize, holder: Holder) -> Option<bool> {
    change_own(shared, slot, holder, |now| {
        let seen = Word::from_raw(now);
        let free = Word::new(State::Free, seen.generation()).raw() | (now & Word::DEAD);
        (seen.state() == Some(State::Posted)).then_some(free)
    })
}

/// Marks the word of a slot that `holder` uses, which disconnects: no thread of it falls asleep there any more. True
/// when it is that holder's: the thread that may sleep there must be woken. The word does not tell whether one does: a
/// host that died may have taken the wish from it, and not lived to fulfil it.
#[must_use]
pub fn mark_slot_dead(shared: &SharedRegion, slot: usize, holder: Holder) -> bool {
    change_own(shared, slot, holder, |now| Some(now | Word::DEAD)).is_some()
}

/// Changes the word of a slot that `holder` uses; whether a thread slept on it.
fn change_own(shared: &SharedRegion, slot: usize, holder: Holder, next: impl Fn(u32) -> Option<u32>) -> Option<bool> {
    let word = &shared.slot(slot).word;
    let before = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
        // after the look at the word: what another posts there from here on changes it, and this begins anew
        owns(shared, slot, holder).then_some(now).and_then(&next)
    });
    Some(Word::from_raw(before.ok()?).sleeps())
}

/// Whether the host has nothing to do with the slot: it was never posted, or was taken back.
pub fn at_rest(shared: &SharedRegion, slot: usize) -> bool {
    Word::from_raw(shared.slot(slot).word.load(Ordering::Acquire)).state() == Some(State::Free)
}

/// Whether the slot was taken back by [`cancel_slot`], or [`cancel`], and not posted since.
pub fn cancelled(shared: &SharedRegion, posted: Posted) -> bool {
    Word::from_raw(shared.slot(posted.slot).word.load(Ordering::Acquire)).is(State::Free, posted.generation)
}

/// Whether the host has taken the slot and died before it was complete, or the connection is gone otherwise.
pub fn dead(shared: &SharedRegion, posted: Posted) -> bool {
    Word::from_raw(shared.slot(posted.slot).word.load(Ordering::Acquire)).dead()
}

/// Where a reply goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyTo {
    /// The waiter's index.
    pub waiter: usize,
    /// Its generation.
    pub generation: Generation,
    /// Bytes that the filter's buffer holds.
    pub capacity: u32,
    /// Whether the attention word must be rung too.
    pub attention: bool,
}

/// What the host says of a completed slot, copied once.
#[derive(Debug, Clone, Copy)]
pub struct Completion {
    /// How it was completed; `None` for a number that this version does not know.
    pub outcome: Option<Outcome>,
    /// SEND: the callback's status.
    pub status: u32,
    /// The processor on which the host wrote it.
    pub cpu: u32,
    /// The message's id, 0 when no reply is wanted.
    pub id: u64,
    /// Bytes of the body, or the length that the callback reported.
    pub len: u64,
    /// SEND: bytes of output that were written, at most the buffer's.
    pub written: u64,
    /// Where the reply goes.
    pub reply_to: Option<ReplyTo>,
    /// [`crate::host::FLAG_FILE`] and its siblings.
    pub flags: u32,
    /// When the filter gives up, nanoseconds of the monotonic clock; 0 = never.
    pub deadline: u64,
}

/// Reads what the host says of a completed slot.
pub fn completion(host: &HostRegion, posted: Posted) -> Completion {
    let theirs = host.slot(posted.slot);
    let flags = theirs.flags.load(Ordering::Relaxed);
    let waiter = theirs.waiter.load(Ordering::Relaxed) as usize;
    let reply_to = (flags & FLAG_REPLY != 0 && waiter < WAITERS).then(|| ReplyTo {
        waiter,
        generation: Generation::new(theirs.waiter_generation.load(Ordering::Relaxed)),
        capacity: theirs.reply_capacity.load(Ordering::Relaxed),
        attention: flags & FLAG_ATTENTION != 0,
    });
    Completion {
        outcome: Outcome::from_raw(theirs.outcome.load(Ordering::Relaxed)),
        status: theirs.status.load(Ordering::Relaxed),
        cpu: theirs.cpu.load(Ordering::Relaxed),
        id: theirs.id.load(Ordering::Relaxed),
        len: theirs.len.load(Ordering::Relaxed),
        written: theirs.id.load(Ordering::Relaxed),
        reply_to,
        flags,
        deadline: theirs.deadline.load(Ordering::Relaxed),
    }
}

/// Whether a payload of `len` bytes lies inline in a host's slot.
pub const fn lies_inline(len: usize) -> bool {
    len <= HOST_INLINE
}

/// Finds the waiter for a reply to message `id`; `None` when there is none any more.
pub fn find_waiter(host: &HostRegion, id: u64) -> Option<ReplyTo> {
    if id == 0 {
        return None;
    }
    let (index, waiter) =
        host.waiters.iter().enumerate().find(|(_, waiter)| waiter.id.load(Ordering::Acquire) == id)?;
    let to = ReplyTo {
        waiter: index,
        generation: Generation::new(waiter.generation.load(Ordering::Relaxed)),
        capacity: waiter.capacity.load(Ordering::Relaxed),
        attention: waiter.flags.load(Ordering::Relaxed) & FLAG_ATTENTION != 0,
    };
    // ids are never used again: the same one still means that nothing of a later message was read
    fence(Ordering::Acquire);
    (waiter.id.load(Ordering::Relaxed) == id).then_some(to)
}

/// Claims the right to reply: false when another replier has claimed it, or the filter has gone on. A replier that has
/// claimed must [`publish`], and wait for nothing before that: until then no other can reply, and the waiter is not
/// used for another message.
#[must_use]
pub fn claim(shared: &SharedRegion, to: ReplyTo, holder: Holder, cpu: u32) -> bool {
    let theirs = shared.waiter(to.waiter);
    // a hint, right whichever replier writes it; the store fetches the line for writing before the load below would for
    // reading
    theirs.cpu.store(cpu, Ordering::Relaxed);
    let claimed = Claim::by(holder, to.generation);
    let swap = |now| theirs.claim.generation.compare_exchange(now, claimed, Ordering::AcqRel, Ordering::Relaxed);
    unclaimed(theirs, to).is_some_and(|now| swap(now).is_ok())
}

/// Whether the right to reply is there to be claimed. A look: only [`claim`] decides.
pub fn claimable(shared: &SharedRegion, to: ReplyTo) -> bool {
    unclaimed(shared.waiter(to.waiter), to).is_some()
}

/// The claim that is there to be changed, if no replier has done so and the filter waits.
fn unclaimed(theirs: &SharedWaiter, to: ReplyTo) -> Option<u32> {
    let now = theirs.claim.generation.load(Ordering::Acquire);
    // every waiter that ends leaves its generation here, so that of two repliers, and of those that come too late, one
    // wins
    let open = Generation::new(now).next() == to.generation;
    (open && !Word::from_raw(theirs.word.load(Ordering::Acquire)).dead()).then_some(now)
}

/// Whether the filter still reads, or may still read, the window of a reply.
pub fn reading(host: &HostRegion, to: ReplyTo) -> bool {
    let (theirs, number) = (host.waiter(to.waiter), to.generation.number());
    // in this order: a thread that sees a later waiter's end sees its generation
    let ended = theirs.ended.load(Ordering::Acquire);
    ended != number && theirs.generation.load(Ordering::Acquire) == number
}

/// Whether a waiter's word says that `generation` still waits: untouched since the one before, or slept on.
fn open(word: Word, generation: Generation) -> bool {
    !word.dead() && (word.is(State::Posted, generation) || word.generation().next() == generation)
}

/// Writes a reply beside its claimed waiter. `payload` is what fits the filter's buffer, `len` the length before that
/// cut. A payload over [`REPLY_INLINE`] must lie in `window` already.
pub fn write_reply(shared: &SharedRegion, to: ReplyTo, status: u32, payload: &[u8], len: u64, window: Option<usize>) {
    let theirs = shared.waiter(to.waiter);
    theirs.status.store(status, Ordering::Relaxed);
    theirs.len.store(len, Ordering::Relaxed);
    theirs.window.store(window.map_or(NO_WINDOW, index_number), Ordering::Relaxed);
    if window.is_none() {
        write_words(&theirs.inline, payload.get(..REPLY_INLINE).unwrap_or(payload));
    }
}

/// What became of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publish {
    /// The filter has it. `wake` the sleeper on the waiter's word; wake all on the attention word when `attention`.
    Delivered {
        /// The waiter's futex must be woken.
        wake: bool,
        /// All sleepers on the attention word must be woken.
        attention: bool,
    },
    /// The filter had given up.
    NoWaiter,
}

/// Publishes a written reply. The waiter must have been claimed.
pub fn publish(shared: &SharedRegion, to: ReplyTo) -> Publish {
    let word = &shared.waiter(to.waiter).word;
    let done = Word::new(State::Done, to.generation).raw();
    let before = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
        open(Word::from_raw(now), to.generation).then_some(done)
    });
    let Ok(before) = before else {
        // nothing more is written: the waiter can be used again
        let claim = &shared.waiter(to.waiter).claim.generation;
        claim.store(Claim::closed(to.generation), Ordering::Release);
        return Publish::NoWaiter;
    };
    let attention = to.attention && Attention(&shared.attention.word).replied();
    Publish::Delivered { wake: Word::from_raw(before).sleeps(), attention }
}
