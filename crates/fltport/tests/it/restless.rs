//! A client that changes shared words as fast as it can, all the while: whatever the host does with them ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use fltport::{Client, OutgoingMessage, Timeout};
use proto::slots::{ATTENTION_AWAITS_GET, ATTENTION_GETS, ATTENTION_REPLIED, SharedRegion, State, Word};
use testkit::raw::Raw;
use testkit::{Host, LONG, talk, until};

const RELAXED: Ordering = Ordering::Relaxed;

fn host() -> Host {
    talk::echo()
}

/// Has the host do everything with its words while `toggle` changes them.
fn besiege(toggle: impl Fn(&SharedRegion) + Sync) {
    let host = host();
    let honest = host.connect();
    let raw = Raw::connect(&host.namespace());
    host.accepted();
    let client: Client = host.accepted();
    // a file would say so too: this is the hostile one's
    let posted: Vec<_> = (0..8).map(|_| raw.post(u64::MAX)).collect();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(RELAXED) {
                toggle(raw.shared());
            }
        });
        let end = Instant::now() + Duration::from_millis(400);
        let soon = Timeout::After(Duration::from_millis(2));
        while Instant::now() < end {
            let start = Instant::now();
            let _ = client.send(b"?", soon);
            let _ = client.ask(b"?", &mut [0; 300], soon);
            let (done, ended) = sync_channel(1);
            let question = OutgoingMessage { body: vec![1; 100_000], reply_len: 100_000, file: None, timeout: soon };
            client.ask_then(question, move |answer| done.send(answer.is_ok()).unwrap());
            ended.recv_timeout(LONG).expect("a question was never answered");
            assert!(start.elapsed() < Duration::from_secs(5), "the host was held for {:?}", start.elapsed());
            assert_eq!(honest.send(b"me", &mut [0; 2]).unwrap(), 2);
            for &posted in &posted {
                raw.shared().slots[posted.slot].word.store(Word::new(State::Posted, posted.generation).raw(), RELAXED);
            }
            raw.shared().attention.word.fetch_or(ATTENTION_GETS, RELAXED);
            raw.shared().posted.words.iter().for_each(|word| word.store(u64::MAX, RELAXED));
        }
        let start = Instant::now();
        client.close();
        over.store(true, RELAXED);
        assert!(start.elapsed() < Duration::from_secs(5));
    });
    drop(raw);
    // it is let go of like any other
    assert_eq!(host.ended(), 2);
    assert_eq!(honest.send(b"me", &mut [0; 2]).unwrap(), 2);
}

#[test]
fn slots_that_never_rest() {
    besiege(|shared| {
        for slot in &shared.slots[..8] {
            slot.word.fetch_xor(Word::SLEEP, RELAXED);
        }
    });
}

#[test]
fn waiters_that_never_rest() {
    besiege(|shared| {
        for waiter in &shared.waiters[..4] {
            waiter.word.fetch_xor(Word::SLEEP, RELAXED);
        }
    });
}

#[test]
fn one_waiter_that_never_rests() {
    besiege(|shared| {
        for turn in 0..1000_u32 {
            shared.waiters[0].word.store(turn << 5 | State::Posted as u32 | Word::SLEEP, RELAXED);
        }
    });
}

#[test]
fn an_attention_word_that_never_rests() {
    besiege(|shared| {
        shared.attention.word.fetch_xor(ATTENTION_AWAITS_GET | 1 << 48, RELAXED);
        shared.attention.word.fetch_or(ATTENTION_REPLIED | ATTENTION_GETS, RELAXED);
    });
}

#[test]
fn counters_that_never_rest() {
    besiege(|shared| {
        for slot in &shared.slots {
            slot.drained.fetch_xor(1, RELAXED);
            slot.filled.fetch_xor(3, RELAXED);
        }
    });
}

#[test]
fn a_client_that_rings_for_nothing_is_disconnected() {
    let host = host();
    let honest = host.connect();
    let raw = Raw::connect(&host.namespace());
    host.accepted();
    let client = host.accepted();
    let ring = || {
        raw.shared().requests.word.fetch_or(0xffff, RELAXED);
        sys::futex::wake(&sys::futex::Upper(&raw.shared().requests.word), u32::MAX, sys::futex::ANY);
        let _ = raw.socket.try_send(&proto::wire::FromClient::Ring.encode(), &[]);
        !client.is_connected()
    };
    let start = Instant::now();
    while !ring() {
        assert!(start.elapsed() < LONG, "it rang for nothing for long");
        assert_eq!(honest.send(b"me", &mut [0; 2]).unwrap(), 2);
    }
    drop(raw);
    assert_eq!(host.ended(), 2);
    until(|| honest.send(b"me", &mut [0; 2]).is_ok());
}
