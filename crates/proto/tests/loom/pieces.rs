//! Payloads longer than a window, windows that are lent, and slots that pass from hand to hand.

use std::sync::Arc;

use loom::sync::atomic::Ordering;
use loom::thread;

use fltmgr_proto::client;
use fltmgr_proto::host;
use fltmgr_proto::pieces::{ABORTED, Look, Reader, Stream, Writer, first};
use fltmgr_proto::slots::{Holder, WINDOW, read_words, write_words};

use crate::model;
use crate::world::{ANY, Futex, World};

/// As `fltport::wait` waits for a piece: the counter is its own futex, and the end that moves it always wakes. False
/// when all pieces are through.
fn wait_piece<'a>(futex: &Futex, look: impl Fn() -> Look<'a>) -> bool {
    loop {
        match look() {
            Look::Ready => return true,
            Look::Whole => return false,
            Look::Waits(counter, seen) => futex.sleep(|| counter.load(Ordering::SeqCst), seen, ANY),
            Look::Aborted => panic!("neither end gave up"),
        }
    }
}

/// A payload whose pieces differ.
fn payload(pieces: usize) -> Vec<u8> {
    (1..=pieces as u64).flat_map(|piece| (piece * 0x0101_0101).to_le_bytes()).collect()
}

/// The pieces of a long payload go through one window in turn: none is read before it is written, none is overwritten
/// unread.
///
/// Fails with: a reader's look that loads Relaxed; a writer that looks for one read fewer, a reader for one written fewer; a
/// piece counted before it is written, or before it is read.
#[test]
fn pieces_take_turns_in_a_window() {
    const LEN: usize = 3 * WINDOW;
    model(|| {
        let world = World::new();
        let sent = payload(3);
        write_words(&world.host.windows[0].words, first(&sent));
        world.host.slots[0].filled.store(1, Ordering::Relaxed);
        let filter = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let stream = Stream::completed(&world.host, &world.shared, 0);
                let mut writer = Writer::new(LEN);
                while wait_piece(&world.slot, || writer.look(&stream)) {
                    let _written = writer.write(&stream, &sent).expect("the reader goes on");
                    world.waiter.wake(1, ANY);
                }
            }
        });
        let stream = Stream::completed(&world.host, &world.shared, 0);
        let mut reader = Reader::new(LEN);
        let mut got = [0; LEN];
        while wait_piece(&world.waiter, || reader.look(&stream)) {
            let _read = reader.read(&stream, &mut got);
            world.slot.wake(1, ANY);
        }
        assert_eq!(got[..], payload(3));
        filter.join().unwrap();
    });
}

/// A reply is taken by both ends or by none: the filter gives up while the last piece is being written.
///
/// Fails with: an `abort` of the reader, or a `write`, that stores what it counts.
#[test]
fn a_reader_gives_up_or_gets_the_last_piece() {
    const LEN: usize = 2 * WINDOW;
    model(|| {
        let world = World::new();
        let sent = payload(2);
        write_words(&world.shared.window(2).words, first(&sent));
        world.shared.slots[2].filled.store(1, Ordering::Relaxed);
        let mut reader = Reader::new(LEN);
        let mut got = [0; LEN];
        let _first = reader.read(&Stream::reply(&world.host, &world.shared, 2, 0), &mut got);
        let replier = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let stream = Stream::reply(&world.host, &world.shared, 2, 0);
                let mut writer = Writer::new(LEN);
                matches!(writer.look(&stream), Look::Ready) && writer.write(&stream, &sent).is_some()
            }
        });
        let stream = Stream::reply(&world.host, &world.shared, 2, 0);
        let aborted = reader.abort(&stream);
        if !aborted {
            let _last = reader.read(&stream, &mut got);
            assert_eq!(got[..], payload(2));
        }
        assert_ne!(replier.join().unwrap(), aborted);
        assert_eq!(world.shared.slots[2].filled.load(Ordering::Relaxed) == ABORTED, aborted);
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
                let window = client::reserve_reply(&world.shared, Holder::FIRST).unwrap();
                let words = &world.shared.window(window).words;
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
            read_words(&world.shared.window(window).words, &mut bytes);
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

/// A thread that finds all slots in use waits, and is woken by the one that is given back, whichever other waits too.
///
/// Fails with: `freed` that does not move its word; `want_slot` that reads the word after it has made its wish known;
/// `release` that does not look for a wish.
#[test]
fn a_thread_that_waits_for_a_slot_gets_it() {
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
