//! GETs: posted, taken, cancelled, completed, and the senders that wait for one.

use std::sync::Arc;

use loom::sync::Mutex;
use loom::sync::atomic::Ordering;
use loom::thread;

use fltmgr_proto::client;
use fltmgr_proto::host::{Rung, Take};
use fltmgr_proto::slots::{Bell, GETS, Holder, REASON_BUFFER};

use crate::model;
use crate::world::{ANY, World, upper, wait};

/// A sender that waits for a GET and a receiver that waits for its completion both wake, and the payload is there.
///
/// Fails with: `done` stored Relaxed; the loop in `complete` without the sleep bit; `ring` without its second swap.
#[test]
fn a_get_meets_a_sender() {
    model(|| {
        let world = World::new();
        let receiver = thread::spawn({
            let world = Arc::clone(&world);
            move || world.receive(world.post())
        });
        world.complete(world.take(), 7);
        assert_eq!(receiver.join().unwrap(), Some(7));
    });
}

/// A receiver that sees `done` early posts anew in the same slot; the first completion does not touch the second GET.
///
/// Fails with: `complete` storing DONE whatever the word says.
#[test]
fn a_slot_posted_anew_is_not_completed_by_the_last_message() {
    model(|| {
        let world = World::new();
        let posted = world.post();
        let sender = thread::spawn({
            let world = Arc::clone(&world);
            move || world.complete(world.take(), 7)
        });
        assert_eq!(world.receive(posted), Some(7));
        let (again, _) = client::post_get(&world.shared, posted.slot, 8).unwrap();
        assert!(client::cancel(&world.shared, again), "it is not taken");
        assert!(!client::completed(&world.host, again));
        sender.join().unwrap();
    });
}

/// Of cancelling a GET and taking it, exactly one happens.
///
/// Fails with: `cancel` as a store.
#[test]
fn a_get_is_cancelled_or_taken() {
    model(|| {
        let world = World::new();
        let posted = world.post();
        let sender = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let (take, _) = world.ledger.lock().unwrap().host.take(&world.shared, 8, false);
                let Take::Deliver(taken) = take else { return false };
                world.complete(taken, 9);
                true
            }
        });
        let cancelled = client::cancel(&world.shared, posted);
        if !cancelled {
            assert_eq!(world.receive(posted), Some(9));
        }
        assert_ne!(sender.join().unwrap(), cancelled);
    });
}

/// A GET that another thread takes back wakes its owner, unless a filter takes it: then it is complete.
///
/// Fails with: `cancel_slot` that always says that no thread sleeps.
#[test]
fn a_get_taken_back_by_another_wakes_its_owner() {
    model(|| {
        let world = World::new();
        let posted = world.post();
        let owner = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let word = &world.shared.slots[posted.slot].word;
                let look = || {
                    let completed = client::completed(&world.host, posted);
                    (completed || client::cancelled(&world.shared, posted)).then_some(completed)
                };
                let prepare = || client::prepare_sleep(&world.shared, posted);
                wait(&world.slot, || word.load(Ordering::SeqCst), ANY, look, prepare)
            }
        });
        let sender = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let (take, _) = world.ledger.lock().unwrap().host.take(&world.shared, 8, false);
                let Take::Deliver(taken) = take else { return false };
                world.complete(taken, 9);
                true
            }
        });
        let taken_back = client::cancel_slot(&world.shared, posted.slot, Holder::FIRST);
        if taken_back == Some(true) {
            world.slot.wake(usize::MAX, ANY);
        }
        let delivered = sender.join().unwrap();
        assert_eq!((owner.join().unwrap(), taken_back.is_none()), (delivered, delivered));
    });
}

/// A GET that is cancelled and posted anew under the hand of the filter is taken in one of its two lives, or waits.
///
/// Fails with: `claim_slot` without its comparison of generations.
#[test]
fn a_get_posted_anew_is_taken_as_what_it_is() {
    model(|| {
        let world = World::new();
        let first = world.post();
        let sender = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let mut ledger = world.ledger.lock().unwrap();
                ledger.host.pull(&world.shared);
                match ledger.host.take(&world.shared, 8, false) {
                    (Take::Deliver(taken), _) => {
                        world.complete(taken, 3);
                        Some(taken.generation)
                    }
                    _ => None,
                }
            }
        });
        if !client::cancel(&world.shared, first) {
            assert_eq!(world.receive(first), Some(3));
            assert_eq!(sender.join().unwrap(), Some(first.generation));
            return;
        }
        let (second, _) = client::post_get(&world.shared, first.slot, 8).unwrap();
        let cancelled = client::cancel(&world.shared, second);
        if !cancelled {
            assert_eq!(world.receive(second), Some(3));
        }
        assert_eq!(sender.join().unwrap(), (!cancelled).then_some(second.generation));
    });
}

/// Two senders wait, two GETs come one after the other: both are served, whichever is woken.
///
/// Fails with: `leaves_work` without its `prepare_sleep` (the wish that woke one is not made again), or without
/// `leaves_gets`; a sleep that is prepared without a last look at `epoch`, as it was once.
#[test]
fn two_senders_that_wait_are_both_served() {
    model(|| {
        let world = World::new();
        let other = thread::spawn({
            let world = Arc::clone(&world);
            move || world.take().slot
        });
        let poster = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                world.post();
                world.post();
            }
        });
        let mine = world.take().slot;
        assert_ne!(mine, other.join().unwrap());
        poster.join().unwrap();
    });
}

/// A sender that was woken and leaves with nothing, because its time is over, leaves the GET to the one that still
/// waits.
///
/// Fails with: leaving without `leaves_work`, which is what the ask queue did.
#[test]
fn one_that_leaves_hands_its_wake_up_on() {
    model(|| {
        let world = World::new();
        let waits = thread::spawn({
            let world = Arc::clone(&world);
            move || world.take().slot
        });
        let leaves = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let word = &world.shared.attention.word;
                world.ledger.lock().unwrap().awaiting += 1;
                if let Some(expected) = world.prepare_sleep(0) {
                    world.attention.sleep(|| upper(word), expected, REASON_BUFFER);
                }
                let mut ledger = world.ledger.lock().unwrap();
                ledger.awaiting -= 1;
                if ledger.host.leaves_work(&world.shared, Rung::default(), ledger.awaiting) {
                    world.make_all_look();
                }
            }
        });
        world.post();
        assert!(waits.join().unwrap() < GETS);
        // whether or not it ever slept, it must not sleep on: the time that is over, in a model without time
        world.make_all_look();
        leaves.join().unwrap();
    });
}

/// A thread that waits on the bell of its process for any of several GETs wakes when one is complete.
///
/// Fails with: `ring_sleepers` or `prepare_sleep` of the bell without its fence; `ring_sleepers` before `complete`.
#[test]
fn a_bell_is_rung_for_what_is_complete() {
    model(|| {
        let world = World::new();
        let posted = world.try_post(true).unwrap();
        let watcher = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                while !client::completed(&world.host, posted) {
                    world.watch(&[posted], Bell(world.shared.bell(Holder::FIRST)).count());
                }
                world.read(posted)
            }
        });
        world.complete(world.take(), 7);
        assert_eq!(watcher.join().unwrap(), 7);
    });
}

/// A thread that has looked at all that was posted, and is about to sleep or sleeps, wakes for a GET that is posted and
/// completed since.
///
/// Fails with: no `move_on` after the post.
#[test]
fn a_bell_is_rung_for_what_was_posted_since() {
    model(|| {
        let world = World::new();
        let queue = Arc::new(Mutex::new((Vec::new(), false)));
        let watcher = thread::spawn({
            let (world, queue) = (Arc::clone(&world), Arc::clone(&queue));
            move || loop {
                let mut state = queue.lock().unwrap();
                if let Some(&complete) = state.0.iter().find(|&&posted| client::completed(&world.host, posted)) {
                    return world.read(complete);
                }
                state.1 = true;
                let posted: Vec<_> = state.0.clone();
                let seen = Bell(world.shared.bell(Holder::FIRST)).count();
                drop(state);
                world.watch(&posted, seen);
                queue.lock().unwrap().1 = false;
            }
        });
        let mut state = queue.lock().unwrap();
        state.0.push(world.try_post(true).unwrap());
        if state.1 {
            Bell(world.shared.bell(Holder::FIRST)).move_on();
        }
        drop(state);
        world.complete(world.take(), 7);
        assert_eq!(watcher.join().unwrap(), 7);
    });
}
