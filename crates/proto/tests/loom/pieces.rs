//! Payloads longer than a window, windows that are lent, and slots that pass from hand to hand.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use fltmgr_proto::client;
use fltmgr_proto::host;
use fltmgr_proto::slots::Holder;
use fltmgr_proto::slots::{read_words, write_words};

use crate::model;
use crate::world::{ANY, Futex, World};

/// As `fltmgr::wait` waits for a counter: the counter is its own futex, and who moves it always wakes.
fn wait_counter(futex: &Futex, counter: &AtomicU32, reached: impl Fn(u32) -> bool) {
    loop {
        let now = counter.load(Ordering::Acquire);
        if reached(now) {
            return;
        }
        futex.sleep(|| counter.load(Ordering::SeqCst), now, ANY);
    }
}

fn move_counter(futex: &Futex, counter: &AtomicU32, to: u32) {
    counter.store(to, Ordering::Release);
    futex.wake(1, ANY);
}

/// The pieces of a long payload go through one window in turn: none is read before it is written, none is overwritten
/// unread.
///
/// Fails with: `filled` stored Relaxed; `drained` stored before the piece is read.
#[test]
fn pieces_take_turns_in_a_window() {
    const PIECES: u32 = 3;
    model(|| {
        let world = World::new();
        let filter = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                for piece in 0..PIECES {
                    wait_counter(&world.slot, &world.shared.slots[0].drained, |drained| drained >= piece);
                    write_words(&world.host.windows[0].words, &u64::from(piece + 1).to_le_bytes());
                    move_counter(&world.waiter, &world.host.slots[0].filled, piece + 1);
                }
            }
        });
        for piece in 0..PIECES {
            wait_counter(&world.waiter, &world.host.slots[0].filled, |filled| filled > piece);
            let mut bytes = [0; 8];
            read_words(&world.host.windows[0].words, &mut bytes);
            assert_eq!(u64::from_le_bytes(bytes), u64::from(piece + 1));
            move_counter(&world.slot, &world.shared.slots[0].drained, piece + 1);
        }
        filter.join().unwrap();
    });
}

/// A window that carried a reply is used for something else only after the filter has read it or has given up.
///
/// Fails with: `reading` that is always false.
#[test]
fn a_lent_window_is_given_back_when_it_was_read() {
    model(|| {
        let world = World::new();
        let (waiter, to) = world.arm(0);
        let replier = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let window = client::reserve_send(&world.shared, Holder::FIRST).unwrap();
                let words = &world.shared.windows[window].words;
                write_words(words, &7_u64.to_le_bytes());
                let published = client::claim(&world.shared, to, Holder::FIRST, 0) && {
                    client::write_reply(&world.shared, to, 7, &[], 8, Some(window));
                    client::publish(&world.shared, to) != client::Publish::NoWaiter
                };
                if !published || !client::reading(&world.host, to) {
                    let _ = client::release(&world.shared, window);
                    write_words(words, &9_u64.to_le_bytes());
                }
            }
        });
        if !host::expire(&world.shared, waiter) {
            let window = host::published(&world.shared, waiter).unwrap().window.unwrap();
            let mut bytes = [0; 8];
            read_words(&world.shared.windows[window].words, &mut bytes);
            assert_eq!(u64::from_le_bytes(bytes), 7, "used for something else too early");
        }
        world.end(waiter);
        // by now another message may wait there: it does not keep the window
        let (_again, _) = world.arm(0);
        replier.join().unwrap();
        assert!(!client::reading(&world.host, to));
    });
}

/// Two threads that reserve get two slots, while one of them releases a third.
///
/// Fails with: `reserve` as a load and a store; `release` as a store.
#[test]
fn a_slot_is_in_one_hand() {
    model(|| {
        let world = World::new();
        let first = client::reserve_get(&world.shared, Holder::FIRST).unwrap();
        let other = thread::spawn({
            let world = Arc::clone(&world);
            move || client::reserve_get(&world.shared, Holder::FIRST)
        });
        let _ = client::release(&world.shared, first);
        let mine = client::reserve_get(&world.shared, Holder::FIRST);
        let theirs = other.join().unwrap();
        assert!(mine.is_some() && theirs.is_some());
        assert_ne!(mine, theirs);
        assert_eq!(client::reserve_get(&world.shared, Holder::FIRST), None);
    });
}

/// Who finds all slots in use waits, and is woken by the one that is given back, whoever else waits too.
///
/// Fails with: `freed` that does not move its word; `want_slot` that reads the word after it has made its wish known;
/// `release` that does not look for a wish.
#[test]
fn who_waits_for_a_slot_gets_it() {
    model(|| {
        let world = World::new();
        let first = client::reserve_get(&world.shared, Holder::FIRST).unwrap();
        let second = client::reserve_get(&world.shared, Holder::FIRST).unwrap();
        let waits = [(); 2].map(|()| {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let freed = &world.shared.allocation.freed;
                loop {
                    let seen = client::want_slot(&world.shared);
                    if let Some(slot) = client::reserve_get(&world.shared, Holder::FIRST) {
                        return slot;
                    }
                    world.slot.sleep(|| freed.load(Ordering::SeqCst), seen, ANY);
                }
            })
        });
        for slot in [first, second] {
            if client::release(&world.shared, slot) {
                world.slot.wake(usize::MAX, ANY);
            }
        }
        let [one, other] = waits.map(|thread| thread.join().unwrap());
        assert_ne!(one, other);
    });
}
