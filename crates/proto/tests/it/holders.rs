//! What the host takes back from one of several processes that has ended, and what it leaves alone.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fltmgr_proto::client::{self, Publish, ReplyTo};
use fltmgr_proto::host::holders::{HOLDERS, Holder};
use fltmgr_proto::host::{self, Header, Host, Outcome, Take, Waiter};
use fltmgr_proto::slots::{GETS, Generation, HostRegion, SLOTS, SharedRegion, State, WAITERS, WINDOW, Word, set_bits};
use fltmgr_proto::sync::Ordering::SeqCst;

const LIVING: Holder = Holder::FIRST;

struct Pair {
    host: Box<HostRegion>,
    shared: Box<SharedRegion>,
    ledger: Host,
    dead: Holder,
}

impl Pair {
    fn new() -> Self {
        let dead = Holder::new(2).unwrap();
        Self { host: HostRegion::boxed(), shared: SharedRegion::boxed(), ledger: Host::default(), dead }
    }

    fn release(&self) -> bool {
        self.ledger.release(&self.host, &self.shared, self.dead, |_| false)
    }

    fn arm(&mut self) -> (Waiter, ReplyTo) {
        let waiter = self.ledger.arm(&self.host, &self.shared, 100, 0).unwrap();
        (waiter, client::find_waiter(&self.host, waiter.id).unwrap())
    }

    /// The slots in use.
    fn used(&self) -> Vec<usize> {
        let words = self.shared.allocation.used.iter().enumerate();
        words.flat_map(|(index, used)| set_bits(used.load(SeqCst)).map(move |bit| index * 64 + bit)).collect()
    }

    fn word(&self, slot: usize) -> Word {
        Word::from_raw(self.shared.slots[slot].word.load(SeqCst))
    }

    fn take(&mut self) -> host::Taken {
        match self.ledger.take(&self.shared, 8, false).0 {
            Take::Deliver(taken) => taken,
            other => panic!("{other:?}"),
        }
    }

    fn complete(&self, taken: host::Taken) {
        let header = Header {
            outcome: Outcome::Message,
            len: 8,
            status: 0,
            written: 0,
            waiter: None,
            reply_capacity: 0,
            flags: 0,
            deadline: 0,
            cpu: 0,
        };
        host::describe(&self.host, taken, &header, &[7; 8]);
        let _ = host::complete(&self.host, &self.shared, taken);
    }
}

#[test]
fn holders_are_1_to_15() {
    assert_eq!([Holder::new(0), Holder::new(HOLDERS + 1)], [None, None]);
    assert_eq!(Holder::new(1), Some(Holder::FIRST));
    assert_eq!(Holder::new(HOLDERS).unwrap().number(), 15);
}

#[test]
fn the_dead_ones_receives_are_taken_back_and_no_others() {
    let mut pair = Pair::new();
    let theirs = client::reserve_get(&pair.shared, pair.dead).unwrap();
    let ours = client::reserve_get(&pair.shared, LIVING).unwrap();
    let (posted, _) = client::post_get(&pair.shared, theirs, 8).unwrap();
    let (kept, _) = client::post_get(&pair.shared, ours, 8).unwrap();
    client::prepare_sleep(&pair.shared, posted).unwrap();
    assert!(client::owns(&pair.shared, theirs, pair.dead) && client::owns(&pair.shared, ours, LIVING));
    assert!(pair.release());
    assert_eq!(pair.used(), [ours]);
    assert_eq!(pair.word(theirs).raw(), Word::new(State::Free, posted.generation).raw(), "and no thread sleeps on it");
    assert!(!client::owns(&pair.shared, theirs, pair.dead));
    assert_eq!(pair.take().slot, kept.slot, "the oldest is gone");
    // the slot goes on where it was
    assert_eq!(client::reserve_get(&pair.shared, LIVING), Some(theirs));
    let (again, _) = client::post_get(&pair.shared, theirs, 8).unwrap();
    assert_eq!(again.generation, posted.generation.next());
    assert_eq!(pair.take().generation, again.generation);
}

#[test]
fn what_the_host_has_taken_comes_back_when_it_is_complete() {
    let mut pair = Pair::new();
    let slot = client::reserve_get(&pair.shared, pair.dead).unwrap();
    client::post_get(&pair.shared, slot, 8).unwrap();
    let taken = pair.take();
    assert!(!pair.release());
    assert_eq!((pair.used(), pair.word(slot).state()), (vec![slot], Some(State::Taken)));
    pair.complete(taken);
    assert!(pair.release());
    assert_eq!((pair.used(), pair.word(slot).state()), (vec![], Some(State::Free)));
    assert!(pair.release(), "and nothing is left");
}

#[test]
fn a_request_that_runs_comes_back_when_it_is_answered() {
    let pair = Pair::new();
    let slot = client::reserve_send(&pair.shared, pair.dead).unwrap();
    client::post_send(&pair.shared, slot, 8, 8).unwrap();
    let request = host::take_request(&pair.shared, slot).unwrap();
    assert!(!pair.release());
    pair.complete(request.taken);
    assert!(pair.release());
    assert!(pair.used().is_empty());
}

#[test]
fn a_request_that_nobody_has_begun_is_never_run() {
    let pair = Pair::new();
    let slot = client::reserve_send(&pair.shared, pair.dead).unwrap();
    client::post_send(&pair.shared, slot, 8, 8).unwrap();
    assert!(pair.release());
    assert!(host::take_request(&pair.shared, slot).is_none());
}

#[test]
fn a_busy_slot_stays() {
    let pair = Pair::new();
    let [busy, idle] = [(); 2].map(|()| client::reserve_get(&pair.shared, pair.dead).unwrap());
    assert!(!pair.ledger.release(&pair.host, &pair.shared, pair.dead, |slot| slot == busy));
    assert_eq!(pair.used(), [busy]);
    assert!(client::owns(&pair.shared, busy, pair.dead) && !client::owns(&pair.shared, idle, pair.dead));
    assert!(pair.release());
}

#[test]
fn the_mark_of_an_end_that_was_only_the_dead_ones_goes() {
    let pair = Pair::new();
    let slot = client::reserve_get(&pair.shared, pair.dead).unwrap();
    Word::mark_dead(&pair.shared.slots[slot].word);
    assert!(pair.release());
    assert!(!pair.word(slot).dead());
}

#[test]
fn a_window_that_the_filter_reads_stays_until_it_has() {
    let mut pair = Pair::new();
    let (waiter, to) = pair.arm();
    let [window, other] = [(); 2].map(|()| client::reserve_reply(&pair.shared, pair.dead).unwrap());
    assert!(client::claim(&pair.shared, to, pair.dead, 0));
    client::write_reply(&pair.shared, to, 0, &[1; 100], WINDOW as u64, Some(window));
    assert!(matches!(client::publish(&pair.shared, to), Publish::Delivered { .. }));
    assert!(!pair.release());
    assert_eq!(pair.used(), [window], "and slot {other} is free");
    assert!(!pair.ledger.release(&pair.host, &pair.shared, pair.dead, |slot| slot == window));
    assert_eq!(pair.used(), [window], "busy in two ways is busy");
    pair.ledger.disarm(&pair.host, &pair.shared, waiter);
    assert!(pair.release());
    assert!(pair.used().is_empty());
    // a reply that lies beside its waiter, or names a window that does not exist, holds up nothing
    for window in [None, Some(0), Some(SLOTS), Some(usize::MAX)] {
        let (_, to) = pair.arm();
        assert!(client::claim(&pair.shared, to, pair.dead, 0));
        client::write_reply(&pair.shared, to, 0, &[1; 8], 8, window);
        assert!(matches!(client::publish(&pair.shared, to), Publish::Delivered { .. }));
        client::reserve_get(&pair.shared, pair.dead).unwrap();
        assert!(pair.release());
    }
}

#[test]
fn what_the_dead_one_was_about_to_answer_another_can() {
    let mut pair = Pair::new();
    let (waiter, to) = pair.arm();
    assert!(client::claim(&pair.shared, to, pair.dead, 0));
    assert!(!client::claim(&pair.shared, to, LIVING, 0));
    assert!(pair.release());
    assert!(client::claim(&pair.shared, to, LIVING, 0));
    client::write_reply(&pair.shared, to, 5, &[], 0, None);
    assert!(matches!(client::publish(&pair.shared, to), Publish::Delivered { .. }));
    assert_eq!(host::published(&pair.shared, waiter).unwrap().status, 5);
}

#[test]
fn the_claim_of_a_living_one_stays() {
    let mut pair = Pair::new();
    let (_, to) = pair.arm();
    assert!(client::claim(&pair.shared, to, LIVING, 0));
    assert!(pair.release());
    assert!(!client::claim(&pair.shared, to, pair.dead, 0));
}

#[test]
fn a_reply_that_is_there_counts() {
    let mut pair = Pair::new();
    let (waiter, to) = pair.arm();
    assert!(client::claim(&pair.shared, to, pair.dead, 0));
    client::write_reply(&pair.shared, to, 5, &[], 0, None);
    assert!(matches!(client::publish(&pair.shared, to), Publish::Delivered { .. }));
    assert!(pair.release());
    assert!(host::replied(&pair.shared, waiter));
    assert!(!client::claim(&pair.shared, to, LIVING, 0), "there is no second one");
}

#[test]
fn a_waiter_given_up_while_the_dead_one_had_it_is_used_again() {
    let mut pair = Pair::new();
    let all: Vec<_> = (0..WAITERS).map(|_| pair.arm()).collect();
    let (waiter, to) = all[0];
    assert!(client::claim(&pair.shared, to, pair.dead, 0));
    assert!(host::expire(&pair.shared, waiter));
    pair.ledger.disarm(&pair.host, &pair.shared, waiter);
    assert!(pair.ledger.arm(&pair.host, &pair.shared, 8, 0).is_none(), "a replier may write there still");
    assert!(pair.release());
    let (again, to_again) = pair.arm();
    assert_eq!(again.index, waiter.index);
    assert!(!client::claim(&pair.shared, to, LIVING, 0));
    assert!(client::claim(&pair.shared, to_again, LIVING, 0));
}

#[test]
fn the_first_generation_is_opened_too() {
    assert_eq!(Generation::new(1).previous(), Generation::new(0));
    assert_eq!(Generation::new(0).previous(), Generation::new(0));
    assert_eq!(Generation::new(9).previous().next(), Generation::new(9));
}

#[test]
fn a_thread_that_waits_for_a_slot_is_told_once() {
    let shared = SharedRegion::boxed();
    for _ in 0..GETS {
        client::reserve_get(&shared, LIVING).unwrap();
    }
    assert!(!client::release(&shared, 3), "no thread waits");
    let seen = client::want_slot(&shared);
    assert!(client::release(&shared, 4));
    assert_ne!(shared.allocation.freed.load(SeqCst), seen);
    assert!(!client::release(&shared, 5), "told already");
    client::want_slot(&shared);
    assert!(client::freed(&shared) && !client::freed(&shared));
}

/// A process of the same application that changes the word all the while keeps no thread busy for ever.
#[test]
fn a_word_that_never_rests_is_given_up() {
    let pair = Arc::new(Pair::new());
    let slot = client::reserve_get(&pair.shared, pair.dead).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0_u32;
            while !stop.load(SeqCst) {
                number = number.wrapping_add(32);
                pair.shared.slots[slot].word.store(number, SeqCst);
            }
        });
        for _ in 0..if cfg!(miri) { 20 } else { 10_000 } {
            let _ = pair.release();
            pair.shared.slots[slot].owner.store(pair.dead.number(), SeqCst);
        }
        stop.store(true, SeqCst);
    });
    assert!(pair.release());
}
