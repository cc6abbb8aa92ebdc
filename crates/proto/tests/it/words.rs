//! The words, the bytes and the pieces by themselves: laws that hold for any value, and each transition in turn.
//! More than 500 lines: one for each word of `doc/wire.md`.

use std::collections::BTreeSet;

use fltmgr_proto::client::{self, Publish, ReplyTo, Wake};
use fltmgr_proto::host::{self, FLAG_ATTENTION, FLAG_FILE, Header, Host, Outcome, Rung, Spare, Take, Waiter};
use fltmgr_proto::slots::{
    ATTENTION_AWAITS_GET, ATTENTION_AWAITS_REPLY, ATTENTION_DEAD, ATTENTION_GETS, ATTENTION_REPLIED, Attention,
    BELL_ASLEEP, Bell, CALLS, Claim, FIRST_GETS, GETS, Generation, HOST_INLINE, Holder, HostRegion, NO_WINDOW,
    REQUEST_DEAD, REQUEST_PARKED, REQUEST_RING, Requests, SENDS, SLOTS, SharedRegion, State, WAITERS, Word, Workers,
    read_words, write_words,
};
use fltmgr_proto::sync::{AtomicU32, AtomicU64, Ordering::SeqCst};
use fltmgr_proto::violation::Violation;
use proptest::prelude::*;

const STATES: [State; 5] = [State::Free, State::Posted, State::Taken, State::Done, State::Expired];

proptest! {
    #[test]
    fn a_word_keeps_what_it_is_made_of(state in 0..5usize, number: u32, marks in 0..4u32) {
        let (state, generation) = (STATES[state], Generation::new(number));
        let raw = Word::new(state, generation).raw() | marks << 3;
        let word = Word::from_raw(raw);
        prop_assert_eq!(word.state(), Some(state));
        prop_assert_eq!(word.generation(), generation);
        prop_assert_eq!((word.sleeps(), word.dead()), (marks & 1 != 0, marks & 2 != 0));
        prop_assert!(word.is(state, generation));
        prop_assert!(!word.is(state, generation.next()));
        prop_assert!(STATES.into_iter().filter(|&other| word.is(other, generation)).eq([state]));
        prop_assert_eq!(generation.number(), number & ((1 << 27) - 1));
    }

    #[test]
    fn any_number_is_read_as_a_word(raw: u32) {
        let word = Word::from_raw(raw);
        prop_assert_eq!(word.raw(), raw);
        prop_assert_eq!(word.state().is_none(), raw & 7 > 4);
        prop_assert!(word.generation().next() != word.generation());
        prop_assert!(word.generation().next().number() != 0);
    }

    #[test]
    fn the_attention_word_forgets_no_bit(start: u64, rung in 0..ATTENTION_GETS, wishes: bool) {
        let word = AtomicU64::new(start);
        let attention = Attention(&word);
        let awaits_get = start & ATTENTION_AWAITS_GET != 0;
        prop_assert_eq!(attention.posted(rung), awaits_get);
        prop_assert_eq!(word.load(SeqCst), (start | rung) & !if awaits_get { ATTENTION_AWAITS_GET } else { 0 });
        let epoch = |word: u64| word >> 48 & 0xfff;
        let before = word.load(SeqCst);
        attention.move_epoch();
        let after = word.load(SeqCst);
        prop_assert_eq!(epoch(after), (epoch(before) + 1) & 0xfff);
        prop_assert_eq!(after & !(0xfff << 48), before & !(0xfff << 48));
        let wish = if wishes { ATTENTION_AWAITS_GET } else { ATTENTION_AWAITS_REPLY };
        let looks = ATTENTION_REPLIED | ATTENTION_DEAD | if wishes { ATTENTION_GETS } else { 0 };
        let asleep = attention.prepare_sleep(wish);
        prop_assert_eq!(asleep, (after & looks == 0).then_some(((after | wish) >> 32) as u32));
        prop_assert_eq!(attention.has_replies(), after & ATTENTION_REPLIED != 0);
        prop_assert_eq!(attention.dead(), after & ATTENTION_DEAD != 0);
        prop_assert_eq!(attention.collect(), (start | rung) & (ATTENTION_GETS | ATTENTION_REPLIED));
        prop_assert_eq!(attention.collect(), 0);
        let wished = word.load(SeqCst) & (ATTENTION_AWAITS_GET | ATTENTION_AWAITS_REPLY) != 0;
        prop_assert_eq!(attention.replied(), wished);
        prop_assert!(attention.has_replies() && !attention.replied());
    }

    #[test]
    fn bytes_go_into_words_and_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let words: Vec<_> = (0..13).map(|_| AtomicU64::new(u64::MAX)).collect();
        write_words(&words, &bytes);
        let mut back = vec![0; bytes.len()];
        read_words(&words, &mut back);
        prop_assert_eq!(&back, &bytes);
        // the last word is padded with zeros, the next one is not touched
        let used = bytes.len().div_ceil(8);
        let mut padded = vec![0xff; used * 8];
        read_words(&words, &mut padded);
        prop_assert!(padded[bytes.len()..].iter().all(|&byte| byte == 0));
        prop_assert!(words[used..].iter().all(|word| word.load(SeqCst) == u64::MAX));
    }

    #[test]
    fn any_completion_is_read(outcome in 0..6u32, mut numbers: [u32; 8], id: u64) {
        numbers[0] = outcome;
        let (host, shared) = (HostRegion::boxed(), SharedRegion::boxed());
        let (posted, _) = client::post_get(&shared, 3, 8).unwrap();
        let slot = &host.slots[3];
        for (word, number) in [&slot.outcome, &slot.status, &slot.cpu, &slot.waiter, &slot.waiter_generation, &slot.flags]
            .into_iter().zip(numbers) {
            word.store(number, SeqCst);
        }
        slot.id.store(id, SeqCst);
        let completion = client::completion(&host, posted);
        prop_assert_eq!(completion.outcome.map(|outcome| outcome as u32), (1..=3).contains(&numbers[0]).then_some(numbers[0]));
        prop_assert_eq!((completion.status, completion.cpu, completion.id), (numbers[1], numbers[2], id));
        prop_assert_eq!(completion.reply_to.is_some(), numbers[5] & 1 != 0 && (numbers[3] as usize) < WAITERS);
    }
}

#[test]
fn a_generation_wraps_past_zero() {
    assert_eq!(Generation::new((1 << 27) - 1).next(), Generation::new(1));
    assert_eq!(Generation::new(u32::MAX), Generation::new((1 << 27) - 1));
    assert_eq!(Generation::new(0).next().number(), 1);
}

#[test]
fn marking_a_word_dead_says_whether_somebody_sleeps() {
    let word = AtomicU32::new(Word::new(State::Posted, Generation::new(9)).raw());
    assert!(!Word::mark_dead(&word));
    word.fetch_or(Word::SLEEP, SeqCst);
    assert!(Word::mark_dead(&word));
    assert!(Word::from_raw(word.load(SeqCst)).is(State::Posted, Generation::new(9)));
}

/// A connection's memory and its ledger.
struct Pair {
    host: Box<HostRegion>,
    shared: Box<SharedRegion>,
    ledger: Host,
}

impl Pair {
    fn new() -> Self {
        Self { host: HostRegion::boxed(), shared: SharedRegion::boxed(), ledger: Host::default() }
    }

    fn arm(&mut self, flags: u32) -> (Waiter, ReplyTo) {
        let waiter = self.ledger.arm(&self.host, &self.shared, 100, flags).unwrap();
        let to = client::find_waiter(&self.host, waiter.id).unwrap();
        assert_eq!((to.waiter, to.generation, to.capacity), (waiter.index, waiter.generation, 100));
        (waiter, to)
    }
}

#[test]
fn every_violation_has_a_name_and_a_sentence_of_its_own() {
    let all = [
        Violation::Empty,
        Violation::UnknownKind(9),
        Violation::WrongLength,
        Violation::UnsupportedVersion(2),
        Violation::UnknownFlags(4),
        Violation::ReservedBits,
        Violation::BadName,
        Violation::ContextTooLong,
        Violation::SentenceTooLong,
        Violation::DescriptorTooLong,
        Violation::TooManyProcesses,
        Violation::NotText,
        Violation::OutOfTurn,
        Violation::FileCount,
        Violation::Truncated,
        Violation::BadReply,
        Violation::BadHolder,
        Violation::ForgedEnd,
        Violation::Restless,
    ];
    let names: BTreeSet<_> = all.iter().map(|violation| violation.name()).collect();
    let sentences: BTreeSet<_> = all.iter().map(ToString::to_string).collect();
    assert_eq!((names.len(), sentences.len()), (all.len(), all.len()));
    assert!(all.iter().all(|violation| violation.status().is_error()));
}

#[test]
fn slots_are_reserved_lowest_first_until_none_is_left() {
    let pair = Pair::new();
    for slot in 0..GETS {
        assert_eq!(client::reserve_get(&pair.shared, Holder::FIRST), Some(slot));
    }
    assert_eq!(client::reserve_get(&pair.shared, Holder::FIRST), None);
    for slot in GETS..CALLS {
        assert_eq!(client::reserve_send(&pair.shared, Holder::FIRST), Some(slot));
    }
    assert_eq!(client::reserve_send(&pair.shared, Holder::FIRST), None);
    for slot in CALLS..SLOTS {
        assert_eq!(client::reserve_reply(&pair.shared, Holder::FIRST), Some(slot));
    }
    assert_eq!(client::reserve_reply(&pair.shared, Holder::FIRST), None);
    assert_eq!(client::calls(&pair.shared).collect::<Vec<_>>(), (0..CALLS).collect::<Vec<_>>());
    let free = [GETS - 1, 7, 70, GETS + 2, SLOTS - 1];
    free.iter().for_each(|&slot| _ = client::release(&pair.shared, slot));
    assert_eq!(client::free_gets(&pair.shared), 3);
    let gets = [(); 4].map(|()| client::reserve_get(&pair.shared, Holder::FIRST));
    assert_eq!(gets, [Some(7), Some(70), Some(GETS - 1), None]);
    assert_eq!(client::reserve_send(&pair.shared, Holder::FIRST), Some(GETS + 2));
    assert_eq!(client::reserve_reply(&pair.shared, Holder::FIRST), Some(SLOTS - 1));
}

#[test]
fn windows_are_lent_by_another_process_while_it_has_slots_for_replies() {
    let pair = Pair::new();
    let second = Holder::new(2).unwrap();
    client::reserve_get(&pair.shared, second).unwrap();
    client::reserve_send(&pair.shared, second).unwrap();
    assert!(!client::others_lend(&pair.shared, Holder::FIRST), "those are no replies");
    let slot = client::reserve_reply(&pair.shared, second).unwrap();
    assert!(client::others_lend(&pair.shared, Holder::FIRST));
    assert!(!client::others_lend(&pair.shared, second), "it is its own");
    let _ = client::release(&pair.shared, slot);
    assert!(!client::others_lend(&pair.shared, Holder::FIRST));
}

#[test]
fn every_get_is_found_whether_or_not_it_has_a_bit_in_the_attention_word() {
    let mut pair = Pair::new();
    let slots = [GETS - 1, FIRST_GETS, FIRST_GETS - 1, 0, 64];
    for slot in slots {
        assert_eq!(client::post_get(&pair.shared, slot, 8).unwrap().1, Wake::None);
    }
    let taken = slots.map(|_| match pair.ledger.take(&pair.shared, 8, false).0 {
        Take::Deliver(taken) => taken.slot,
        other => panic!("{other:?}"),
    });
    assert_eq!(taken, slots, "in the order of posting");
    assert_eq!(pair.ledger.pull(&pair.shared), Rung::default());
}

/// Bits that name no GET, or one that has a bit of its own, are not believed.
#[test]
fn what_else_is_rung_with_the_gets_does_no_harm() {
    let mut pair = Pair::new();
    pair.shared.posted.words.iter().for_each(|word| word.store(u64::MAX, SeqCst));
    pair.shared.attention.word.store(u64::MAX >> 4, SeqCst);
    assert!(pair.ledger.pull(&pair.shared).gets);
    assert!(!pair.ledger.has_gets());
    assert!(pair.shared.posted.words.iter().all(|word| word.load(SeqCst) == 0));
}

#[test]
fn a_get_rings_the_bell_of_its_owner_if_it_was_posted_to_and_a_thread_sleeps_there() {
    let mut pair = Pair::new();
    let second = Holder::new(2).unwrap();
    let mut completes = |rings: bool, asleep: Option<Holder>| {
        let slot = client::reserve_get(&pair.shared, second).unwrap();
        if rings {
            client::let_ring(&pair.shared, slot);
        }
        client::post_get(&pair.shared, slot, 8).unwrap();
        if let Some(holder) = asleep {
            let bell = Bell(pair.shared.bell(holder));
            assert_eq!(bell.prepare_sleep(bell.count()), Some(bell.count() | BELL_ASLEEP));
        }
        let (Take::Deliver(taken), _) = pair.ledger.take(&pair.shared, 8, false) else { panic!("it is posted") };
        let bell = host::bell(&pair.shared, taken);
        assert!(bell.is_none_or(|bell| std::ptr::eq(bell, pair.shared.bell(second))));
        assert!(!host::complete(&pair.host, &pair.shared, taken), "no thread sleeps on its word");
        let rung = bell.is_some_and(|bell| Bell(bell).ring_sleepers());
        let _ = client::release(&pair.shared, slot);
        rung
    };
    assert!(!completes(true, None));
    assert!(!completes(true, Some(Holder::FIRST)));
    assert!(!completes(false, Some(second)), "nor in a slot that rang before");
    assert!(completes(true, None), "it sleeps still");
    assert!(!completes(true, None));
}

#[test]
fn a_bell_that_has_moved_lets_no_thread_sleep() {
    let word = AtomicU32::new(0);
    let bell = Bell(&word);
    let seen = bell.count();
    bell.move_on();
    assert_eq!(bell.prepare_sleep(seen), None);
    let seen = bell.count();
    assert_eq!(bell.prepare_sleep(seen), Some(seen | BELL_ASLEEP));
    bell.move_on();
    assert_ne!(word.load(SeqCst), seen | BELL_ASLEEP, "one that has not fallen asleep yet does not");
    assert!(bell.ring(), "one that has is woken");
    assert!(!bell.ring() && !bell.ring_sleepers(), "once");
    let seen = bell.count();
    assert!(bell.prepare_sleep(seen).is_some());
    assert!(bell.ring_sleepers());
    assert_ne!(bell.count(), seen);
}

/// The end marks the slots in use; one that it did not find is not posted after it.
#[test]
fn nothing_is_posted_after_the_end() {
    let pair = Pair::new();
    pair.shared.attention.word.fetch_or(ATTENTION_DEAD, SeqCst);
    Requests(&pair.shared.requests.word).mark_dead();
    for slot in [0, FIRST_GETS] {
        assert_eq!(client::post_get(&pair.shared, slot, 8), None);
        assert!(client::at_rest(&pair.shared, slot));
    }
    assert_eq!(client::post_send(&pair.shared, GETS, 1, 1), None);
    assert!(client::at_rest(&pair.shared, GETS));
}

#[test]
fn a_slot_tells_whose_thread_sleeps_on_it() {
    let pair = Pair::new();
    let second = Holder::new(2).unwrap();
    let slot = client::reserve_get(&pair.shared, second).unwrap();
    let (posted, _) = client::post_get(&pair.shared, slot, 8).unwrap();
    assert_eq!(client::sleeper(&pair.shared, slot), None);
    assert!(client::prepare_sleep(&pair.shared, posted).is_some());
    assert_eq!(client::sleeper(&pair.shared, slot), Some(second));
    let _ = client::release(&pair.shared, slot);
    assert_eq!(client::sleeper(&pair.shared, slot), None, "no process has it");
}

#[test]
fn a_get_wakes_one_filter_that_awaits_it_and_is_slept_on_until_done() {
    let mut pair = Pair::new();
    let attention = Attention(&pair.shared.attention.word);
    assert!(attention.prepare_sleep(ATTENTION_AWAITS_GET).is_some());
    let (posted, wake) = client::post_get(&pair.shared, 0, 8).unwrap();
    assert_eq!(wake, Wake::One);
    assert_eq!(client::post_get(&pair.shared, 1, 8).unwrap().1, Wake::None);
    assert_eq!(attention.prepare_sleep(ATTENTION_AWAITS_GET), None);
    let asleep = client::prepare_sleep(&pair.shared, posted);
    assert!(Word::from_raw(asleep.unwrap()).sleeps());
    assert_eq!(client::prepare_sleep(&pair.shared, posted), asleep, "twice is the same");
    let (Take::Deliver(taken), rung) = pair.ledger.take(&pair.shared, 5, true) else { panic!("a GET is posted") };
    assert_eq!((taken.slot, rung.gets, rung.replies), (0, true, false));
    assert_eq!(pair.ledger.next(), Some(1));
    host::warm(&pair.shared, 1);
    assert!(client::prepare_sleep(&pair.shared, posted).is_some(), "taken is not done");
    assert!(!client::cancel(&pair.shared, posted));
    assert!(!client::completed(&pair.host, posted) && !client::completed_soon(&pair.host, posted));
    let header = Header {
        outcome: Outcome::Message,
        len: 5,
        status: 0,
        written: 77,
        waiter: None,
        reply_capacity: 6,
        flags: FLAG_FILE,
        deadline: 9,
        cpu: 3,
    };
    host::describe(&pair.host, taken, &header, b"hello");
    assert!(host::complete(&pair.host, &pair.shared, taken), "the sleeper must be woken");
    assert!(!host::complete(&pair.host, &pair.shared, taken), "there is nothing left to complete");
    assert!(client::completed(&pair.host, posted) && client::completed_soon(&pair.host, posted));
    assert_eq!(client::prepare_sleep(&pair.shared, posted), None);
    let seen = client::completion(&pair.host, posted);
    assert_eq!((seen.outcome, seen.len, seen.id, seen.written), (Some(Outcome::Message), 5, 77, 77));
    assert_eq!((seen.flags, seen.deadline, seen.cpu), (FLAG_FILE, 9, 3));
    assert_eq!(pair.host.slots[0].filled.load(SeqCst), 1);
    assert!(client::lies_inline(HOST_INLINE) && !client::lies_inline(HOST_INLINE + 1));
}

#[test]
fn a_get_is_taken_back_by_its_slot_alone() {
    let pair = Pair::new();
    let (posted, _) = client::post_get(&pair.shared, 2, 8).unwrap();
    assert!(!client::cancelled(&pair.shared, posted));
    assert_eq!(client::cancel_slot(&pair.shared, 2, Holder::FIRST), None, "another's");
    pair.shared.slots[2].owner.store(Holder::FIRST.number(), SeqCst);
    assert_eq!(client::cancel_slot(&pair.shared, 2, Holder::FIRST), Some(false));
    assert!(client::cancelled(&pair.shared, posted));
    assert_eq!(client::cancel_slot(&pair.shared, 2, Holder::FIRST), None);
    let (again, _) = client::post_get(&pair.shared, 2, 8).unwrap();
    assert!(!client::cancelled(&pair.shared, posted) && !client::cancelled(&pair.shared, again));
    client::prepare_sleep(&pair.shared, again).unwrap();
    Word::mark_dead(&pair.shared.slots[2].word);
    assert_eq!(client::cancel_slot(&pair.shared, 2, Holder::FIRST), Some(true), "the sleeper must be woken");
    assert!(client::dead(&pair.shared, again), "the mark stays");
}

#[test]
fn a_dead_slot_is_neither_posted_nor_taken_nor_slept_on() {
    let mut pair = Pair::new();
    let (posted, _) = client::post_get(&pair.shared, 0, 8).unwrap();
    assert!(!client::dead(&pair.shared, posted));
    Word::mark_dead(&pair.shared.slots[0].word);
    assert!(client::dead(&pair.shared, posted));
    assert_eq!(client::prepare_sleep(&pair.shared, posted), None);
    assert_eq!(pair.ledger.take(&pair.shared, 0, true).0, Take::Nothing);
    pair.shared.attention.word.fetch_or(ATTENTION_DEAD, SeqCst);
    assert_eq!(client::post_get(&pair.shared, 0, 8), None);
    assert_eq!(client::post_send(&pair.shared, 0, 8, 8), None);
    assert!(client::cancel(&pair.shared, posted));
    assert!(client::dead(&pair.shared, posted), "the mark stays");
    assert!(host::take_request(&pair.shared, GETS).is_none(), "nothing was posted there");
}

#[test]
fn a_mark_that_a_process_left_for_itself_is_no_end_for_others() {
    let pair = Pair::new();
    let slot = client::reserve_get(&pair.shared, Holder::FIRST).unwrap();
    assert!(!client::mark_slot_dead(&pair.shared, slot, Holder::new(2).unwrap()), "another's");
    let (posted, _) = client::post_get(&pair.shared, slot, 8).unwrap();
    assert!(!client::at_rest(&pair.shared, slot));
    client::prepare_sleep(&pair.shared, posted).unwrap();
    assert!(client::mark_slot_dead(&pair.shared, slot, Holder::FIRST), "the sleeper must be woken");
    let _ = client::mark_slot_dead(&pair.shared, slot, Holder::FIRST);
    assert!(client::dead(&pair.shared, posted), "a second mark changes nothing");
    assert!(client::cancel(&pair.shared, posted));
    assert!(client::at_rest(&pair.shared, slot) && client::dead(&pair.shared, posted));
    let (again, _) = client::post_get(&pair.shared, slot, 8).unwrap();
    assert!(!client::dead(&pair.shared, again));
}

#[test]
fn a_waiter_is_slept_on_replied_to_and_used_again() {
    let mut pair = Pair::new();
    let (waiter, to) = pair.arm(FLAG_ATTENTION);
    assert!(to.attention);
    assert_eq!(pair.ledger.waiting(), 1);
    let asleep = host::prepare_sleep(&pair.shared, waiter).unwrap();
    assert_eq!(host::prepare_sleep(&pair.shared, waiter), Some(asleep));
    assert!(client::claim(&pair.shared, to, Holder::FIRST, 4) && !client::claim(&pair.shared, to, Holder::FIRST, 4));
    client::write_reply(&pair.shared, to, 5, b"reply", 5, None);
    assert_eq!(client::publish(&pair.shared, to), Publish::Delivered { wake: true, attention: false });
    assert!(Attention(&pair.shared.attention.word).has_replies());
    assert!(host::replied(&pair.shared, waiter));
    assert_eq!(host::prepare_sleep(&pair.shared, waiter), None);
    assert!(!host::expire(&pair.shared, waiter));
    let published = host::published(&pair.shared, waiter).unwrap();
    assert_eq!((published.status, published.len, published.window, published.cpu), (5, 5, None, 4));
    assert!(client::reading(&pair.host, to));
    pair.ledger.disarm(&pair.host, &pair.shared, waiter);
    assert!(!client::reading(&pair.host, to));
    assert_eq!((client::find_waiter(&pair.host, 0), client::find_waiter(&pair.host, waiter.id)), (None, None));
    let (again, to_again) = pair.arm(0);
    assert_eq!((again.index, again.id), (waiter.index, 2));
    assert!(!client::reading(&pair.host, to), "a later message waits there");
    assert!(!client::claim(&pair.shared, to, Holder::FIRST, 0));
    assert!(client::claim(&pair.shared, to_again, Holder::FIRST, 0));
    // the replier is slow: the filter gives up, and leaves the waiter alone until it has noticed
    assert!(host::expire(&pair.shared, again));
    pair.ledger.disarm(&pair.host, &pair.shared, again);
    assert_eq!(pair.ledger.waiting(), 0);
    let (other, _) = pair.arm(0);
    assert_ne!(other.index, again.index);
    assert_eq!(client::publish(&pair.shared, to_again), Publish::NoWaiter);
    assert_eq!(pair.arm(0).0.index, again.index);
}

#[test]
fn all_waiters_can_be_used_and_those_held_up_come_back() {
    let mut pair = Pair::new();
    let all: Vec<_> = (0..WAITERS).map(|_| pair.arm(0)).collect();
    assert_eq!(pair.ledger.arm(&pair.host, &pair.shared, 0, 0), None);
    for &(waiter, to) in &all[..3] {
        assert!(client::claim(&pair.shared, to, Holder::FIRST, 0));
        assert!(host::expire(&pair.shared, waiter));
        pair.ledger.disarm(&pair.host, &pair.shared, waiter);
    }
    assert_eq!(pair.ledger.arm(&pair.host, &pair.shared, 0, 0), None, "three are written to");
    assert_eq!(client::publish(&pair.shared, all[2].1), Publish::NoWaiter);
    assert_eq!(pair.arm(0).0.index, all[2].0.index);
    let spare = Spare::default();
    assert!(spare.disarm(&pair.host, all[8].0));
    assert!(!spare.disarm(&pair.host, all[9].0), "there is room for one");
    pair.ledger.collect(&spare);
    pair.ledger.collect(&spare);
    assert_eq!(pair.arm(0).0.index, all[8].0.index);
    assert_eq!(pair.ledger.arm(&pair.host, &pair.shared, 0, 0), None);
}

#[test]
fn a_dead_waiter_accepts_no_reply_and_lets_nobody_sleep() {
    let mut pair = Pair::new();
    let (waiter, to) = pair.arm(0);
    let (slow, to_slow) = pair.arm(0);
    assert!(client::claim(&pair.shared, to_slow, Holder::FIRST, 0));
    assert!(!host::marked_dead(&pair.shared, waiter));
    for waiter in [waiter, slow] {
        Word::mark_dead(&pair.shared.waiters[waiter.index].word);
        assert!(host::marked_dead(&pair.shared, waiter));
        assert_eq!(host::prepare_sleep(&pair.shared, waiter), None);
    }
    assert!(!client::claim(&pair.shared, to, Holder::FIRST, 0));
    assert_eq!(client::publish(&pair.shared, to_slow), Publish::NoWaiter);
    assert!(host::expire(&pair.shared, waiter));
    assert!(host::marked_dead(&pair.shared, waiter), "the mark stays");
    assert_eq!(pair.shared.waiters[waiter.index].claim.generation.load(SeqCst), 1 | Claim::CLOSED);
}

#[test]
fn a_reply_names_a_window_that_exists() {
    let mut pair = Pair::new();
    let (waiter, to) = pair.arm(0);
    client::write_reply(&pair.shared, to, 0, b"", 1000, Some(SLOTS - 1));
    assert_eq!(host::published(&pair.shared, waiter).unwrap().window, Some(SLOTS - 1));
    for beyond in [0, CALLS as u32 - 1, SLOTS as u32, NO_WINDOW - 1] {
        pair.shared.waiters[waiter.index].window.store(beyond, SeqCst);
        assert!(host::published(&pair.shared, waiter).is_none());
    }
}

#[test]
fn the_others_are_made_to_look_when_something_is_left_for_them() {
    let mut pair = Pair::new();
    let nothing = Rung::default();
    assert!(!pair.ledger.leaves_work(&pair.shared, nothing, 0));
    assert!(!pair.ledger.leaves_work(&pair.shared, nothing, 1));
    assert_ne!(pair.shared.attention.word.load(SeqCst) & ATTENTION_AWAITS_GET, 0, "the wish is made again");
    let replies = Rung { gets: false, replies: true };
    assert!(pair.ledger.leaves_work(&pair.shared, replies, 0));
    let gets = Rung { gets: true, replies: false };
    assert!(!pair.ledger.leaves_work(&pair.shared, gets, 1), "none is left");
    client::post_get(&pair.shared, 0, 8).unwrap();
    assert!(pair.ledger.leaves_work(&pair.shared, nothing, 1), "rung meanwhile");
    assert_eq!(pair.ledger.pull(&pair.shared), gets);
    assert!(pair.ledger.has_gets());
    assert!(pair.ledger.leaves_work(&pair.shared, gets, 1));
    assert!(!pair.ledger.leaves_work(&pair.shared, gets, 0), "no thread waits");
}

#[test]
fn receives_are_taken_by_ticket_and_fit() {
    let mut pair = Pair::new();
    for (slot, capacity) in [(5, 10), (3, 100), (4, 50)] {
        client::post_get(&pair.shared, slot, capacity).unwrap();
    }
    let mut take = |len, may_reject| pair.ledger.take(&pair.shared, len, may_reject).0;
    assert_eq!(take(1000, false), Take::Nothing);
    assert!(matches!(take(50, true), Take::Deliver(taken) if taken.slot == 3));
    assert!(matches!(take(51, true), Take::TooSmall(taken) if taken.slot == 5));
    assert!(matches!(take(50, true), Take::Deliver(taken) if taken.slot == 4));
    assert_eq!(take(0, true), Take::Nothing);
}

#[test]
fn each_receive_that_is_noted_counts_once() {
    let mut pair = Pair::new();
    assert_eq!(pair.ledger.noted(), 0);
    for slot in [5, 3] {
        client::post_get(&pair.shared, slot, 10).unwrap();
    }
    assert_eq!(pair.ledger.noted(), 0, "posted, but not looked at");
    pair.ledger.pull(&pair.shared);
    pair.ledger.pull(&pair.shared);
    assert_eq!(pair.ledger.noted(), 2);
    client::post_get(&pair.shared, 4, 10).unwrap();
    while matches!(pair.ledger.take(&pair.shared, 1, false).0, Take::Deliver(_)) {}
    assert_eq!(pair.ledger.noted(), 3, "one that is taken has been noted all the same");
}

#[test]
fn the_requests_word_says_whom_to_wake() {
    let shared = SharedRegion::boxed();
    let requests = Requests(&shared.requests.word);
    requests.open();
    let mut workers = Workers::default();
    let slot = client::reserve_send(&shared, Holder::FIRST).unwrap();
    assert_eq!(client::post_send(&shared, slot, 3, 4).unwrap().1, Wake::Socket);
    assert_eq!(requests.posted(2), Wake::None, "the ring is on its way");
    assert!(workers.call());
    workers.begin_look(&requests);
    assert_eq!(requests.prepare_sleep(), None);
    assert!(requests.waiting());
    assert_eq!(requests.collect(), 3);
    assert_eq!(requests.collect(), 0);
    let request = host::take_request(&shared, slot).unwrap();
    assert_eq!((request.taken.slot, request.len, request.capacity), (slot, 3, 4));
    assert!(host::take_request(&shared, slot).is_none());
    assert_eq!(requests.prepare_sleep(), Some((REQUEST_PARKED >> 32) as u32));
    assert_eq!(requests.posted(4), Wake::One);
    assert_eq!(requests.posted(8), Wake::None, "one is on its way");
    // a second worker looks too: the first leaves what it did not see to the other
    workers.begin_look(&requests);
    assert_eq!(workers.end_look(&requests), Wake::One);
    assert_eq!(requests.collect(), 12);
    assert_eq!(workers.end_look(&requests), Wake::None);
    assert_eq!(shared.requests.word.load(SeqCst) & REQUEST_RING, REQUEST_RING);
    workers.begin_look(&requests);
    workers.begin_look(&requests);
    assert_eq!(workers.end_look(&requests), Wake::None);
    assert_eq!(shared.requests.word.load(SeqCst), REQUEST_PARKED, "the wish is made for the other");
    assert_eq!(requests.posted(1), Wake::One);
    assert_eq!(workers.end_look(&requests), Wake::Socket);
    assert!(workers.leave(&requests), "no other worker has seen it");
    assert_eq!(requests.collect(), 1);
    assert!(!requests.dead());
    requests.mark_dead();
    assert!(requests.dead());
    assert_eq!(requests.prepare_sleep(), None);
    assert_eq!(shared.requests.word.load(SeqCst) & REQUEST_DEAD, REQUEST_DEAD);
}

#[test]
fn there_are_no_more_workers_than_requests() {
    let shared = SharedRegion::boxed();
    let requests = Requests(&shared.requests.word);
    let mut workers = Workers::default();
    assert_eq!((0..SENDS + 3).filter(|_| workers.call()).count(), SENDS);
    assert!(!workers.leave(&requests), "nothing waits");
    assert!(workers.call() && !workers.call());
}
