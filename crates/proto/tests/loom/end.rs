//! The end of a connection.

use std::sync::Arc;

use loom::sync::atomic::Ordering;
use loom::thread;

use fltmgr_proto::client::{self, Posted};
use fltmgr_proto::host::Waiter;
use fltmgr_proto::slots::{
    ATTENTION_AWAITS_GET, ATTENTION_DEAD, Attention, Bell, Holder, REASON_BUFFER, REASON_REPLY, Requests, Word,
};

use crate::model;
use crate::world::{ANY, World, upper, wait};

/// What is done to end a connection wakes each thread that sleeps, or is about to, on each kind of word.
///
/// Fails with: `prepare_sleep` (each of them) without its look at the dead bit; `mark_dead` before `closed` is set.
#[test]
fn the_end_wakes_every_thread() {
    fn ends(sleeps: impl Fn(&World, Posted, Waiter) + Send + Sync + Copy + 'static) {
        model(move || {
            let world = World::new();
            let posted = world.post();
            world.ledger.lock().unwrap().host.pull(&world.shared);
            let (waiter, _) = world.arm(0);
            Requests(&world.shared.requests.word).open();
            let sleeper = thread::spawn({
                let world = Arc::clone(&world);
                move || sleeps(&world, posted, waiter)
            });
            world.closed.store(true, Ordering::SeqCst);
            world.shared.attention.word.fetch_or(ATTENTION_DEAD, Ordering::SeqCst);
            world.attention.wake(usize::MAX, REASON_BUFFER | REASON_REPLY);
            Requests(&world.shared.requests.word).mark_dead();
            world.requests.wake(usize::MAX, ANY);
            if Word::mark_dead(&world.shared.waiters[waiter.index].word) {
                world.waiter.wake(usize::MAX, ANY);
            }
            world.end_slots();
            sleeper.join().unwrap();
        });
    }
    ends(|world, posted, _| assert_eq!(world.receive(posted), None));
    ends(|world, posted, _| while !world.watch(&[posted], Bell(world.shared.bell(Holder::FIRST)).count()) {});
    ends(|world, _, waiter| assert_eq!(world.await_reply(waiter), None));
    ends(|world, _, _| {
        let word = &world.shared.attention.word;
        let look = || world.closed.load(Ordering::Acquire).then_some(());
        wait(&world.attention, || upper(word), ANY, look, || Attention(word).prepare_sleep(ATTENTION_AWAITS_GET));
    });
    ends(|world, _, _| {
        let word = &world.shared.requests.word;
        let look = || world.closed.load(Ordering::Acquire).then_some(());
        wait(&world.requests, || upper(word), ANY, look, || Requests(word).prepare_sleep());
    });
}

/// A GET that is posted as the connection ends, in a slot which was not in use before, ends too, although no socket tells.
///
/// Fails with: `post_get` without its last look at the dead bit.
#[test]
fn a_get_that_is_posted_at_the_end_ends() {
    model(|| {
        let world = World::new();
        let receiver = thread::spawn({
            let world = Arc::clone(&world);
            move || world.try_post(false).and_then(|posted| world.receive(posted))
        });
        world.shared.attention.word.fetch_or(ATTENTION_DEAD, Ordering::SeqCst);
        world.end_slots();
        assert_eq!(receiver.join().unwrap(), None);
    });
}

/// A message that is delivered as the connection ends, which the socket tells of at some moment, is received.
///
/// Fails with: the end looked at in the slot's word and no message looked for after it, as this model's receive had it
/// once.
#[test]
fn what_was_delivered_before_the_end_is_told_before_it() {
    model(|| {
        let world = World::new();
        let posted = world.post();
        let receiver = thread::spawn({
            let world = Arc::clone(&world);
            move || world.receive(posted)
        });
        world.complete(world.take(), 7);
        world.shared.attention.word.fetch_or(ATTENTION_DEAD, Ordering::SeqCst);
        if Word::mark_dead(&world.shared.slots[posted.slot].word) {
            world.slot.wake(usize::MAX, ANY);
        }
        // the monitor of the application, which hears it from the socket
        world.gone.store(true, Ordering::SeqCst);
        if client::mark_slot_dead(&world.shared, posted.slot, Holder::FIRST) {
            world.slot.wake(usize::MAX, ANY);
        }
        assert_eq!(receiver.join().unwrap(), Some(7));
    });
}
