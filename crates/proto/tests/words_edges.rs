//! What the words say at their edges: the last index that exists, one flag without the others, a second time.
#![cfg(not(loom))]

use proto::client;
use proto::host::{FLAG_ATTENTION, FLAG_FILE, FLAG_REPLY, Host, Rung, Take};
use proto::slots::{GETS, HostRegion, Requests, SLOTS, SharedRegion, WAITERS, Word};
use proto::sync::Ordering::SeqCst;

#[test]
fn each_send_rings_its_own_bit() {
    let shared = SharedRegion::boxed();
    for (slot, bit) in [(GETS, 1), (GETS + 2, 4), (SLOTS - 1, 1 << 15)] {
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
    let mut book = Host::new();
    for (flags, attention) in [(0, false), (FLAG_FILE | FLAG_REPLY, false), (FLAG_ATTENTION, true)] {
        let waiter = book.arm(&host, &shared, 1, flags).unwrap();
        assert_eq!(client::find_waiter(&host, waiter.id).unwrap().attention, attention);
    }
}

#[test]
fn the_book_knows_what_was_rung_and_no_more() {
    let shared = SharedRegion::boxed();
    let mut book = Host::new();
    assert_eq!(book.pull(&shared), Rung::default());
    assert_eq!((book.next(), book.has_gets()), (None, false));
    client::post_get(&shared, 5, 8).unwrap();
    client::post_get(&shared, 7, 8).unwrap();
    assert_eq!(book.pull(&shared), Rung { gets: true, replies: false });
    assert_eq!((book.next(), book.has_gets()), (Some(5), true));
    assert!(matches!(book.take(&shared, 8, false).0, Take::Deliver(taken) if taken.slot == 5));
    assert_eq!(book.next(), Some(7));
    assert!(
        matches!(book.take(&shared, 8, false), (Take::Deliver(taken), rung) if taken.slot == 7 && rung == Rung::default())
    );
    assert_eq!((book.next(), book.has_gets()), (None, false));
}
