//! One of two processes has ended: what it had is taken back while the filter goes on.

use std::sync::Arc;

use loom::thread;

use fltmgr_proto::client;
use fltmgr_proto::host;
use fltmgr_proto::slots::Holder;

use crate::model;
use crate::world::World;

fn dead() -> Holder {
    Holder::new(2).unwrap()
}

/// A claim that is taken back while the filter gives up leaves the waiter's next message one that can be answered.
///
/// Fails with: `expire` without its second `close_claim`; `reopen` without its look at the state afterwards; either
/// without its fence.
#[test]
fn a_claim_taken_back_in_the_moment_of_giving_up() {
    model(|| {
        let world = World::new();
        let (waiter, to) = world.arm(0);
        assert!(client::claim(&world.shared, to, dead(), 0));
        let taking_back = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let ledger = world.ledger.lock().unwrap();
                assert!(ledger.host.release(&world.host, &world.shared, dead(), |_| false));
            }
        });
        assert!(host::expire(&world.shared, waiter));
        world.ledger.lock().unwrap().host.disarm(&world.host, &world.shared, waiter);
        taking_back.join().unwrap();
        // all waiters once: this one too
        for _ in 0..2 {
            let (next, to_next) = world.arm(0);
            assert!(world.reply(to_next, 9), "{to_next:?}");
            assert_eq!(world.collect(next), 9);
        }
    });
}

/// Another process answers what the dead one had claimed, or finds that it comes too early; no process finds half of it.
///
/// Fails with: `reopen` as a store of the open claim, whatever there is.
#[test]
fn a_claim_taken_back_while_another_replies() {
    model(|| {
        let world = World::new();
        let (waiter, to) = world.arm(0);
        assert!(client::claim(&world.shared, to, dead(), 0));
        let another = thread::spawn({
            let world = Arc::clone(&world);
            move || world.reply(to, 5)
        });
        let _ = world.ledger.lock().unwrap().host.release(&world.host, &world.shared, dead(), |_| false);
        let _ = world.ledger.lock().unwrap().host.release(&world.host, &world.shared, dead(), |_| false);
        let replied = another.join().unwrap() || world.reply(to, 5);
        assert!(replied);
        assert_eq!(world.collect(waiter), 5);
    });
}

/// A filter takes the dead one's receive, or finds it gone; in the end the slot is free and can be posted.
///
/// Fails with: `free` for a taken slot too.
#[test]
fn a_receive_taken_back_while_a_filter_takes_it() {
    model(|| {
        let world = World::new();
        let slot = client::reserve_get(&world.shared, dead()).unwrap();
        let (posted, _) = client::post_get(&world.shared, slot, 8).unwrap();
        let filter = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                // `take` of the ledger, without its lock: only the words decide
                let taken = host::take_request(&world.shared, posted.slot).map(|request| request.taken);
                if let Some(taken) = taken {
                    assert!(client::owns(&world.shared, posted.slot, dead()), "kept until it is complete");
                    world.complete(taken, 3);
                }
            }
        });
        let first = world.ledger.lock().unwrap().host.release(&world.host, &world.shared, dead(), |_| false);
        filter.join().unwrap();
        let again = world.ledger.lock().unwrap().host.release(&world.host, &world.shared, dead(), |_| false);
        assert!(first || again);
        assert_eq!(client::reserve_get(&world.shared, Holder::FIRST), Some(posted.slot));
        assert!(client::post_get(&world.shared, posted.slot, 8).is_some());
    });
}
