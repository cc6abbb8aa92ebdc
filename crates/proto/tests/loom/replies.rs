//! Waiters: replied to, given up, used again, found by id.

use std::sync::Arc;

use loom::thread;

use fltmgr_proto::client;
use fltmgr_proto::host::{self, FLAG_ATTENTION};
use fltmgr_proto::slots::GETS;

use crate::model;
use crate::world::World;

/// A filter asleep on its waiter is woken by the reply and finds it whole.
///
/// Fails with: `publish` storing DONE Relaxed; `prepare_sleep` as a store.
#[test]
fn a_reply_wakes_who_waits_for_it() {
    model(|| {
        let world = World::new();
        let (waiter, to) = world.arm(0);
        let replier = thread::spawn({
            let world = Arc::clone(&world);
            move || world.reply(to, 5)
        });
        assert_eq!(world.await_reply(waiter), Some(5));
        assert!(replier.join().unwrap());
    });
}

/// Of a reply and the filter's giving up, exactly one happens, and both know which.
///
/// Fails with: `expire` as a store; `publish` without its look at the state.
#[test]
fn a_reply_comes_in_time_or_finds_no_waiter() {
    model(|| {
        let world = World::new();
        let (waiter, to) = world.arm(0);
        let replier = thread::spawn({
            let world = Arc::clone(&world);
            move || world.reply(to, 5)
        });
        let expired = host::expire(&world.shared, waiter);
        if !expired {
            assert_eq!(world.collect(waiter), 5);
        }
        assert_ne!(replier.join().unwrap(), expired);
    });
}

/// Of two repliers one wins, and the filter reads the winner's reply.
///
/// Fails with: `claim` as a load and a store.
#[test]
fn one_of_two_repliers_wins() {
    model(|| {
        let world = World::new();
        let (waiter, to) = world.arm(0);
        let repliers = [5, 6].map(|payload| {
            let world = Arc::clone(&world);
            thread::spawn(move || world.reply(to, payload))
        });
        let payload = world.await_reply(waiter);
        let [five, six] = repliers.map(|replier| replier.join().unwrap());
        assert_eq!(payload, Some(if five { 5 } else { 6 }));
        assert_ne!(five, six);
    });
}

/// A replier that is held up while the filter gives up and sends the next message does not write into the next reply.
///
/// Fails with: `disarm` without `lingering`; `expire` without closing the claim; `claim` without `next() ==`.
#[test]
fn a_late_reply_stays_out_of_the_next_message() {
    model(|| {
        let world = World::new();
        let (first, to_first) = world.arm(0);
        let late = thread::spawn({
            let world = Arc::clone(&world);
            move || world.reply(to_first, 5)
        });
        let expired = host::expire(&world.shared, first);
        if expired {
            world.end(first);
        } else {
            assert_eq!(world.collect(first), 5);
        }
        let (second, to_second) = world.arm(0);
        let replier = thread::spawn({
            let world = Arc::clone(&world);
            move || world.reply(to_second, 6)
        });
        assert_eq!(world.await_reply(second), Some(6));
        assert!(replier.join().unwrap());
        assert_ne!(late.join().unwrap(), expired);
        // the replier that was held up has let go: all waiters can be used again
        let mut ledger = world.ledger.lock().unwrap();
        ledger.host.collect(&world.spare);
        assert_eq!(ledger.host.waiting(), 0);
        for _ in 0..fltmgr_proto::slots::WAITERS {
            assert!(ledger.host.arm(&world.host, &world.shared, 8, 0).is_some());
        }
    });
}

/// Two threads that end waiters put them back, one perhaps beside the ledger: none gets lost, none is there twice.
///
/// Fails with: `Spare::disarm` as a store.
#[test]
fn waiters_come_back_beside_the_ledger() {
    model(|| {
        let world = World::new();
        let waiters = [world.arm(0), world.arm(0)];
        for (_, to) in waiters {
            assert!(world.reply(to, 5));
        }
        let [mine, theirs] = waiters.map(|(waiter, _)| waiter);
        let other = thread::spawn({
            let world = Arc::clone(&world);
            move || world.collect(theirs)
        });
        world.collect(mine);
        let (again, _) = world.arm(0);
        other.join().unwrap();
        let (last, _) = world.arm(0);
        assert_ne!(again.index, last.index);
        assert_eq!(world.ledger.lock().unwrap().host.waiting(), fltmgr_proto::slots::WAITERS);
    });
}

/// A lookup by id finds the message of that id or nothing, even while the waiter passes to the next message.
///
/// Fails with: `find_waiter` without its second look at the id; `arm` without its fence.
#[test]
fn an_id_never_leads_to_the_next_message() {
    model(|| {
        let world = World::new();
        let (first, to_first) = world.arm(0);
        let finder = thread::spawn({
            let world = Arc::clone(&world);
            move || client::find_waiter(&world.host, 1)
        });
        assert!(host::expire(&world.shared, first));
        world.end(first);
        let (second, _) = world.arm(FLAG_ATTENTION);
        assert_eq!((second.index, second.id), (first.index, 2));
        let found = finder.join().unwrap();
        assert!(found.is_none_or(|to| to == to_first), "{found:?}");
    });
}

/// A thread that waits for replies to questions that it handed on sleeps on the attention word, and is woken there.
///
/// Fails with: `replied` before the waiter's word; `prepare_sleep` that does not look at the replied bit.
#[test]
fn a_reply_rings_a_filter_that_awaits_replies() {
    model(|| {
        let world = World::new();
        let (waiter, to) = world.arm(FLAG_ATTENTION);
        let replier = thread::spawn({
            let world = Arc::clone(&world);
            move || world.reply(to, 5)
        });
        assert_eq!(world.expect(waiter), 5);
        assert!(replier.join().unwrap());
    });
}

/// A reply and a GET are rung on one word, and two sleep there: one that waits for a GET and takes the bit of the reply
/// tells the one that waits for the reply, and the other way round.
///
/// Fails with: `leaves_work` without its look at `rung.replies`; an ask queue that keeps the GETs it collected to itself.
#[test]
fn a_reply_and_a_get_on_one_word_reach_both() {
    model(|| {
        let world = World::new();
        let (waiter, to) = world.arm(FLAG_ATTENTION);
        let asks = thread::spawn({
            let world = Arc::clone(&world);
            move || world.expect(waiter)
        });
        let sender = thread::spawn({
            let world = Arc::clone(&world);
            move || world.take().slot
        });
        assert!(world.reply(to, 5));
        world.post();
        assert_eq!(asks.join().unwrap(), 5);
        assert!(sender.join().unwrap() < GETS);
    });
}

/// The thread of an ask queue gives a message up while its reply is published: either the reply is used or the
/// replier is told, and a filter that awaits another reply is woken by that one.
///
/// Fails with: `expire` as a store.
#[test]
fn a_reply_that_comes_too_late_keeps_no_other_from_ringing() {
    model(|| {
        let world = World::new();
        let (late, to_late) = world.arm(FLAG_ATTENTION);
        let (other, to_other) = world.arm(FLAG_ATTENTION);
        let repliers = [(to_late, 5), (to_other, 6)].map(|(to, payload)| {
            let world = Arc::clone(&world);
            thread::spawn(move || world.reply(to, payload))
        });
        let expired = host::expire(&world.shared, late);
        if expired {
            world.end(late);
        } else {
            assert_eq!(world.collect(late), 5);
        }
        assert_eq!(world.expect(other), 6);
        let [late, other] = repliers.map(|replier| replier.join().unwrap());
        assert_eq!((late, other), (!expired, true));
    });
}
