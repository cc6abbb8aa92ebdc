//! Waiters: replied to, given up, used again, found by id.

use std::sync::Arc;

use loom::thread;

use proto::client;
use proto::host::{self, FLAG_ATTENTION};
use proto::slots::{ATTENTION_EXPECTING, Attention, REASON_REPLY};

use crate::model;
use crate::world::{World, upper, wait};

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
        // whoever was held up has let go: all waiters can be used again
        let mut book = world.book.lock().unwrap();
        book.host.collect(&world.spare);
        assert_eq!(book.host.waiting(), 0);
        for _ in 0..proto::slots::WAITERS {
            assert!(book.host.arm(&world.host, &world.shared, 8, 0).is_some());
        }
    });
}

/// Two threads that end waiters put them back, one perhaps beside the book: none gets lost, none is there twice.
///
/// Fails with: `Spare::disarm` as a store.
#[test]
fn waiters_come_back_beside_the_book() {
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
        assert_eq!(world.book.lock().unwrap().host.waiting(), proto::slots::WAITERS);
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

/// Who waits for replies to questions that it handed on sleeps on the attention word, and is woken there.
///
/// Fails with: `replied` before the waiter's word; `prepare_sleep` that does not look at the replied bit.
#[test]
fn a_reply_rings_who_expects_replies() {
    model(|| {
        let world = World::new();
        let (waiter, to) = world.arm(FLAG_ATTENTION);
        let replier = thread::spawn({
            let world = Arc::clone(&world);
            move || world.reply(to, 5)
        });
        let word = &world.shared.attention.word;
        loop {
            world.book.lock().unwrap().host.pull(&world.shared);
            if host::replied(&world.shared, waiter) {
                break;
            }
            let rung = || Attention(word).has_replies().then_some(());
            wait(
                &world.attention,
                || upper(word),
                REASON_REPLY,
                rung,
                || Attention(word).prepare_sleep(ATTENTION_EXPECTING),
            );
        }
        assert_eq!(world.collect(waiter), 5);
        assert!(replier.join().unwrap());
    });
}
