//! What the words say at their edges: the last index that exists, one flag without the others, a second time.

use fltmgr_proto::client::{self, Posted};
use fltmgr_proto::host::{self, FLAG_ATTENTION, FLAG_FILE, FLAG_REPLY, Header, Host, Outcome, Rung, Take};
use fltmgr_proto::slots::{
    ATTENTION_AWAITS_GET, ATTENTION_AWAITS_REPLY, Attention, CALLS, GETS, Generation, HOLDERS, HOST_INLINE, Holder,
    HostRegion, REPLY_INLINE, REQUEST_PARKED, Requests, SharedRegion, State, WAITERS, Wake, Word, Workers,
};
use fltmgr_proto::sync::{AtomicU64, Ordering::SeqCst};

#[test]
fn each_send_rings_its_own_bit() {
    let shared = SharedRegion::boxed();
    for (slot, bit) in [(GETS, 1), (GETS + 2, 4), (CALLS - 1, 1 << 15)] {
        client::post_send(&shared, slot, 1, 1).unwrap();
        assert_eq!(Requests(&shared.requests.word).collect(), bit);
    }
}

#[test]
fn who_prepares_to_sleep_twice_is_still_woken() {
    let shared = SharedRegion::boxed();
    let (posted, _) = client::post_get(&shared, 0, 8).unwrap();
    for _ in 0..2 {
        let asleep = client::prepare_sleep(&shared, posted);
        assert_eq!(asleep, Some(shared.slots[0].word.load(SeqCst)));
        assert!(Word::from_raw(asleep.unwrap()).sleeps());
    }
}

#[test]
fn a_generation_that_comes_around_is_not_that_of_the_last_completion() {
    let (host, shared) = (HostRegion::boxed(), SharedRegion::boxed());
    for (last, before) in [(1, u32::MAX), (8, 7), (u32::MAX, u32::MAX - 1)] {
        host.slots[0].done.store(Generation::new(last).number(), SeqCst);
        for dead in [0, Word::DEAD] {
            shared.slots[0].word.store(Word::new(State::Free, Generation::new(before)).raw() | dead, SeqCst);
            client::pass_over_last(&host, &shared, 0);
            assert_eq!(client::dead(&shared, Posted { slot: 0, generation: Generation::new(last) }), dead != 0);
            let (posted, _) = client::post_get(&shared, 0, 8).unwrap();
            assert_eq!(posted.generation, Generation::new(last).next());
            assert!(!client::completed(&host, posted));
            // and no other is passed over
            client::pass_over_last(&host, &shared, 0);
            assert_eq!(client::post_get(&shared, 0, 8).unwrap().0.generation, posted.generation.next());
        }
    }
}

#[test]
fn a_message_is_replied_to_when_it_says_so_and_names_a_waiter_that_exists() {
    let (host, shared) = (HostRegion::boxed(), SharedRegion::boxed());
    let (posted, _) = client::post_get(&shared, 0, 8).unwrap();
    let reply_to = |flags, waiter: usize| {
        host.slots[0].flags.store(flags, SeqCst);
        host.slots[0].waiter.store(waiter as u32, SeqCst);
        client::completion(&host, posted).reply_to
    };
    assert_eq!(reply_to(FLAG_FILE | FLAG_ATTENTION, 0), None);
    assert_eq!(reply_to(FLAG_REPLY, WAITERS), None);
    let to = reply_to(FLAG_REPLY | FLAG_FILE, WAITERS - 1).unwrap();
    assert_eq!((to.waiter, to.attention), (WAITERS - 1, false));
    let to = reply_to(FLAG_REPLY | FLAG_ATTENTION, 3).unwrap();
    assert_eq!((to.waiter, to.attention), (3, true));
}

#[test]
fn a_waiter_found_by_its_id_rings_the_attention_word_only_when_asked() {
    let (host, shared) = (HostRegion::boxed(), SharedRegion::boxed());
    let mut ledger = Host::new();
    for (flags, attention) in [(0, false), (FLAG_FILE | FLAG_REPLY, false), (FLAG_ATTENTION, true)] {
        let waiter = ledger.arm(&host, &shared, 1, flags).unwrap();
        assert_eq!(client::find_waiter(&host, waiter.id).unwrap().attention, attention);
    }
}

#[test]
fn a_reply_can_be_claimed_until_somebody_has_or_the_filter_has_given_up() {
    let (host, shared) = (HostRegion::boxed(), SharedRegion::boxed());
    let mut ledger = Host::new();
    let mut arm = || {
        let waiter = ledger.arm(&host, &shared, 1, 0).unwrap();
        (waiter, client::find_waiter(&host, waiter.id).unwrap())
    };
    let (_, claimed) = arm();
    assert!(client::claimable(&shared, claimed));
    assert!(client::claim(&shared, claimed, Holder::FIRST, 0));
    assert!(!client::claimable(&shared, claimed));
    let (waiter, given_up) = arm();
    assert!(client::claimable(&shared, given_up));
    assert!(host::expire(&shared, waiter));
    assert!(!client::claimable(&shared, given_up));
    let (waiter, dead) = arm();
    shared.waiters[waiter.index].word.fetch_or(Word::DEAD, SeqCst);
    assert!(!client::claimable(&shared, dead));
}

#[test]
fn the_book_knows_what_was_rung_and_no_more() {
    let shared = SharedRegion::boxed();
    let mut ledger = Host::new();
    assert_eq!(ledger.pull(&shared), Rung::default());
    assert_eq!((ledger.next(), ledger.has_gets()), (None, false));
    client::post_get(&shared, 5, 8).unwrap();
    client::post_get(&shared, 7, 8).unwrap();
    assert_eq!(ledger.pull(&shared), Rung { gets: true, replies: false });
    assert_eq!((ledger.next(), ledger.has_gets()), (Some(5), true));
    assert!(matches!(ledger.take(&shared, 8, false).0, Take::Deliver(taken) if taken.slot == 5));
    assert_eq!(ledger.next(), Some(7));
    assert!(
        matches!(ledger.take(&shared, 8, false), (Take::Deliver(taken), rung) if taken.slot == 7 && rung == Rung::default())
    );
    assert_eq!((ledger.next(), ledger.has_gets()), (None, false));
}

#[test]
fn a_message_says_that_a_reply_is_wanted_when_somebody_waits_for_it() {
    let (host, shared) = (HostRegion::boxed(), SharedRegion::boxed());
    let mut ledger = Host::new();
    let waiter = ledger.arm(&host, &shared, 9, FLAG_ATTENTION).unwrap();
    for (waiter, flags) in [(Some(waiter), FLAG_REPLY | FLAG_ATTENTION), (None, FLAG_ATTENTION)] {
        let (posted, _) = client::post_get(&shared, 0, 8).unwrap();
        let (Take::Deliver(taken), _) = ledger.take(&shared, 0, false) else { panic!("a GET is posted") };
        let header = Header {
            outcome: Outcome::Message,
            len: 0,
            status: 0,
            written: 0,
            waiter,
            reply_capacity: 9,
            flags: FLAG_ATTENTION,
            deadline: 0,
            cpu: 0,
        };
        host::describe(&host, taken, &header, &[]);
        let _wake = host::complete(&host, &shared, taken);
        let completion = client::completion(&host, posted);
        assert_eq!((completion.flags, completion.reply_to.is_some()), (flags, waiter.is_some()));
    }
}

/// `doc/wire.md` says how much lies inline.
#[test]
fn the_inline_room_is_the_documents() {
    assert_eq!((HOST_INLINE, REPLY_INLINE), (192, 104));
}

#[test]
fn a_wish_made_twice_is_the_same_wish() {
    let word = AtomicU64::new(0);
    for wish in [ATTENTION_AWAITS_GET, ATTENTION_AWAITS_REPLY] {
        let asleep = Attention(&word).prepare_sleep(wish);
        assert_eq!(asleep, Some((word.load(SeqCst) >> 32) as u32));
        assert_eq!(Attention(&word).prepare_sleep(wish), asleep);
    }
    let word = AtomicU64::new(0);
    let requests = Requests(&word);
    let asleep = requests.prepare_sleep();
    assert_eq!(asleep, Some((REQUEST_PARKED >> 32) as u32));
    assert_eq!(requests.prepare_sleep(), asleep);
    // a worker that gets up while another sleeps leaves the other's wish alone
    let mut workers = Workers::default();
    workers.begin_look(&requests);
    workers.begin_look(&requests);
    assert_eq!(workers.end_look(&requests), Wake::None);
    assert_eq!(word.load(SeqCst), REQUEST_PARKED);
    assert_eq!((requests.posted(1), requests.posted(1)), (Wake::One, Wake::None));
    assert_eq!(requests.collect(), 1, "rung twice, and not taken back");
}

#[test]
fn a_holder_has_a_number_from_one_to_fifteen() {
    assert_eq!(Holder::new(0), None);
    assert_eq!(Holder::new(1), Some(Holder::FIRST));
    assert_eq!(Holder::new(HOLDERS).map(Holder::number), Some(HOLDERS));
    assert_eq!(Holder::new(HOLDERS + 1), None);
}

#[test]
fn a_long_message_is_let_go_when_its_receiver_has_no_slot_or_uses_it_anew() {
    let shared = SharedRegion::boxed();
    let mut ledger = Host::new();
    let slot = client::reserve_get(&shared, Holder::FIRST).unwrap();
    client::post_get(&shared, slot, 8).unwrap();
    let (Take::Deliver(taken), _) = ledger.take(&shared, 8, false) else { panic!("a GET is posted") };
    assert!(!host::let_go(&shared, taken) && ledger.is_last(taken));
    // posted anew, which the ledger takes note of later
    client::post_get(&shared, slot, 8).unwrap();
    assert!(host::let_go(&shared, taken) && ledger.is_last(taken));
    ledger.pull(&shared);
    assert!(!ledger.is_last(taken), "the slot has a later GET");
    let (Take::Deliver(again), _) = ledger.take(&shared, 8, false) else { panic!("a GET is posted") };
    assert!(!host::let_go(&shared, again) && ledger.is_last(again));
    let _wake = client::release(&shared, slot);
    assert!(host::let_go(&shared, again), "no process has the slot");
    // of a SEND the ledger has no note
    let slot = client::reserve_send(&shared, Holder::FIRST).unwrap();
    client::post_send(&shared, slot, 1, 1).unwrap();
    assert!(ledger.is_last(host::take_request(&shared, slot).unwrap().taken));
}
