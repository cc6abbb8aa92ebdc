//! Receives that complete by token, and cancelling them: `doc/windows.md` names each row.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fltport::{Completed, Completions, Message, Received, Status, Timeout};
use proto::client;
use proto::slots::GETS;
use testkit::raw::Raw;
use testkit::{Host, LONG, both, hresult, until};

fn message(completed: Completed) -> (u64, Message) {
    match completed.result {
        Ok(Received::Message(message)) => (completed.token, message),
        other => panic!("{other:?}"),
    }
}

fn failure(completed: Completed) -> (u64, Status) {
    (completed.token, completed.result.unwrap_err().status())
}

fn next(completions: &Completions) -> Completed {
    completions.next_timeout(LONG).unwrap().expect("nothing completed")
}

#[test]
fn row_076_a_receive_is_posted_though_a_sender_waits_and_completes_a_moment_later() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            let mut reply = [0; 8];
            let answer = filter.ask(b"first", &mut reply, Timeout::After(LONG)).unwrap();
            assert_eq!((answer.status, &reply[..answer.len]), (Status::SUCCESS, &b"yes"[..]));
            line.say("answered");
            host.ended();
        },
        |app| {
            let port = app.connect();
            let completions = port.completions();
            // refused: so the sender waits
            let refused = port.recv_limited(0, Timeout::After(LONG)).unwrap();
            assert!(matches!(refused, Some(Received::TooSmall { needed: 5, id: 1, .. })), "{refused:?}");
            assert!(completions.try_next().unwrap().is_none());
            // what the call says on Windows, even if a thread waits already; here the post says nothing, and never gives a
            // message
            assert_eq!(hresult(Status::PENDING), 0x8007_03e5);
            completions.post(76, 100).unwrap();
            assert_eq!(completions.outstanding(), 1);
            let (token, message) = message(next(&completions));
            assert_eq!((token, message.body()), (76, &b"first"[..]));
            message.reply(Status::SUCCESS, b"yes").unwrap();
            assert_eq!(completions.outstanding(), 0);
            // a disconnect would win over the reply
            app.hear("answered");
        },
    );
}

#[test]
fn row_077_posting_to_a_dead_port_fails_at_once_and_completes_nothing() {
    both(
        Host::new,
        |host, line| {
            host.accepted();
            line.hear("posted");
            host.unload();
            line.say("dead");
            host.ended();
        },
        |app| {
            let port = app.connect();
            let completions = port.completions();
            completions.post(1, 10).unwrap();
            app.say("posted");
            // what was posted before completes
            assert_eq!(failure(next(&completions)), (1, Status::PORT_DISCONNECTED));
            app.hear("dead");
            let status = completions.post(2, 10).unwrap_err().status();
            assert_eq!(status, Status::PORT_DISCONNECTED);
            assert_eq!(hresult(status), 0x8007_0006);
            assert_eq!(completions.outstanding(), 0);
            assert_eq!(completions.next().unwrap_err().status(), Status::PORT_DISCONNECTED);
            assert_eq!(completions.try_next().unwrap_err().status(), Status::PORT_DISCONNECTED);
        },
    );
}

#[test]
fn row_078_cancelling_ends_every_receive_of_every_kind_and_leaves_the_port_usable() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            line.hear("cancelled");
            assert_eq!(filter.send(b"x", Timeout::Poll).unwrap_err().status(), Status::TIMEOUT);
            line.say("nothing was posted");
            for body in [b"a", b"b", b"c"] {
                filter.send(body, Timeout::After(LONG)).unwrap();
            }
            host.ended();
        },
        |app| {
            let port = app.connect();
            let completions = port.completions();
            let mut receiver = port.receiver(1).unwrap();
            for token in 0..4 {
                completions.post(token, 100).unwrap();
            }
            thread::scope(|scope| {
                let blocking = scope.spawn(|| port.recv().unwrap_err().status());
                let limited = scope.spawn(|| port.recv_timeout(LONG).unwrap_err().status());
                let mut cancelled = 0;
                // the two threads may not have posted yet
                until(|| {
                    cancelled += port.cancel_receives();
                    cancelled == 7
                });
                assert_eq!(blocking.join().unwrap(), Status::CANCELLED);
                assert_eq!(limited.join().unwrap(), Status::CANCELLED);
            });
            let tokens: Vec<_> = (0..4).map(|_| failure(next(&completions))).collect();
            assert_eq!(tokens, (0..4).map(|token| (token, Status::CANCELLED)).collect::<Vec<_>>());
            assert_eq!(Status::CANCELLED.to_win32(), 995);
            app.say("cancelled");
            app.hear("nothing was posted");
            assert_eq!(receiver.recv().unwrap_err().status(), Status::CANCELLED);
            assert_eq!(receiver.recv().unwrap().body(), b"a");
            drop(receiver);
            completions.post(9, 100).unwrap();
            let (token, message) = message(next(&completions));
            assert_eq!((token, message.body()), (9, &b"b"[..]));
            assert_eq!(port.recv().unwrap().body(), b"c");
        },
    );
}

/// What was delivered before a cancel stays delivered, taken or not, and its filter waits on for the reply.
#[test]
fn cancelling_leaves_what_was_delivered_to_be_answered() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            line.hear("posted");
            let taken = filter.start(b"taken", 8, Timeout::After(LONG)).unwrap();
            let lies = filter.start(b"lies there", 8, Timeout::After(LONG)).unwrap();
            line.say("delivered");
            line.hear("cancelled");
            assert!(!taken.is_ready() && !lies.is_ready());
            line.say("both wait");
            for (pending, expected) in [(taken, &b"one"[..]), (lies, b"other")] {
                let mut reply = [0; 8];
                let answer = pending.wait(&mut reply).unwrap();
                assert_eq!((answer.status, &reply[..answer.len]), (Status::SUCCESS, expected));
            }
            line.say("answered");
        },
        |app| {
            let port = app.connect();
            let completions = port.completions();
            for token in 1..=3 {
                completions.post(token, 100).unwrap();
            }
            app.say("posted");
            app.hear("delivered");
            let (_, taken) = message(next(&completions));
            assert_eq!(port.cancel_receives(), 1, "the third");
            app.say("cancelled");
            app.hear("both wait");
            taken.reply(Status::SUCCESS, b"one").unwrap();
            let (token, lay) = message(next(&completions));
            assert_eq!((token, lay.body()), (2, &b"lies there"[..]));
            lay.reply(Status::SUCCESS, b"other").unwrap();
            assert_eq!(failure(next(&completions)), (3, Status::CANCELLED));
            app.hear("answered");
        },
    );
}

#[test]
fn row_079_any_of_several_threads_gets_any_message_and_the_token_says_which_receive() {
    const MESSAGES: u32 = 2_000;
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            for number in 0..MESSAGES {
                let mut reply = [0; 4];
                filter.ask(&number.to_le_bytes(), &mut reply, Timeout::After(LONG)).unwrap();
                assert_eq!(u32::from_le_bytes(reply), number);
            }
            line.say("answered");
            host.ended();
        },
        |app| {
            let port = app.connect();
            let completions = port.completions();
            for token in 0..6 {
                completions.post(token, 64).unwrap();
            }
            let received = AtomicUsize::new(0);
            let tokens = std::sync::Mutex::new(BTreeSet::new());
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        while let Ok(completed) = completions.next() {
                            let Ok(Received::Message(message)) = completed.result else { continue };
                            tokens.lock().unwrap().insert(completed.token);
                            completions.post(completed.token, 64).unwrap();
                            let body = message.body().to_vec();
                            message.reply(Status::SUCCESS, &body).unwrap();
                            if received.fetch_add(1, Ordering::SeqCst) + 1 == MESSAGES as usize {
                                app.hear("answered");
                                port.disconnect();
                            }
                        }
                    });
                }
            });
            assert_eq!(received.into_inner(), MESSAGES as usize);
            assert_eq!(tokens.into_inner().unwrap(), (0..6).collect(), "the oldest is used first, so all are used");
        },
    );
}

#[test]
fn receives_beyond_the_slots_wait_for_their_turn_in_order() {
    let host = Host::new();
    let (app, filter) = host.pair();
    let completions = app.completions();
    for token in 0..200 {
        completions.post(token, 100).unwrap();
    }
    assert_eq!(completions.outstanding(), 200);
    for number in 0..200u64 {
        filter.send(&number.to_le_bytes(), Timeout::After(LONG)).unwrap();
        let (token, message) = message(next(&completions));
        assert_eq!((token, message.body()), (number, &number.to_le_bytes()[..]));
    }
    assert_eq!(filter.send(b"x", Timeout::Poll).unwrap_err().status(), Status::TIMEOUT);
}

#[test]
fn a_slot_that_another_receive_leaves_is_given_to_the_next_that_waits() {
    let host = Host::new();
    let (app, filter) = host.pair();
    let hog = app.receiver(GETS).unwrap();
    let completions = app.completions();
    completions.post(1, 100).unwrap();
    thread::scope(|scope| {
        let waits = scope.spawn(|| next(&completions));
        drop(hog);
        filter.send(b"now", Timeout::After(LONG)).unwrap();
        assert_eq!(message(waits.join().unwrap()).1.body(), b"now");
    });
    // and the other way round: a blocking receive waits for slots that completions hold
    let more = GETS as u64 + 12;
    for token in 0..more {
        completions.post(token, 100).unwrap();
    }
    thread::scope(|scope| {
        let waits = scope.spawn(|| app.recv().unwrap_err().status());
        until(|| {
            app.cancel_receives();
            waits.is_finished()
        });
        assert_eq!(waits.join().unwrap(), Status::CANCELLED);
    });
    assert!((0..more).all(|_| failure(next(&completions)).1 == Status::CANCELLED));
}

#[test]
fn a_receive_that_is_too_small_says_so_and_a_larger_one_gets_the_message() {
    let host = Host::new();
    let (app, filter) = host.pair();
    let completions = app.completions();
    completions.post(1, 4).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| filter.ask(b"twelve bytes", &mut [0; 4], Timeout::After(LONG)).unwrap());
        let completed = next(&completions);
        assert_eq!(completed.token, 1);
        assert!(
            matches!(completed.result, Ok(Received::TooSmall { needed: 12, id: 1, reply_capacity: Some(4) })),
            "{completed:?}"
        );
        // a thread that sleeps for a small one sees the larger one too
        completions.post(2, 4).unwrap();
        let waits = scope.spawn(|| next(&completions));
        completions.post(3, 12).unwrap();
        let (token, message) = message(waits.join().unwrap());
        assert_eq!(token, 3, "one message refuses one receive, so the small one stays");
        assert_eq!(message.body(), b"twelve bytes");
        message.reply(Status::SUCCESS, b"").unwrap();
    });
    assert_eq!(completions.cancel_all(), 1);
}

#[test]
fn each_receive_is_either_cancelled_or_completed() {
    const ROUNDS: u64 = 3_000;
    let host = Host::new();
    let (app, filter) = host.pair();
    let completions = app.completions();
    let sent = AtomicUsize::new(0);
    let over = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while over.load(Ordering::SeqCst) == 0 {
                if filter.send(b"x", Timeout::Poll).is_ok() {
                    sent.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        let mut messages = 0;
        for token in 0..ROUNDS {
            completions.post(token, 10).unwrap();
            for _ in 0..token % 50 {
                std::hint::spin_loop();
            }
            let cancelled = completions.cancel(token);
            let completed = next(&completions);
            assert_eq!(completed.token, token);
            match completed.result {
                Ok(Received::Message(_)) => {
                    assert_eq!(cancelled, 0);
                    messages += 1;
                }
                Err(error) => assert_eq!((error.status(), cancelled), (Status::CANCELLED, 1)),
                other => panic!("{other:?}"),
            }
            assert_eq!(completions.outstanding(), 0);
        }
        over.store(1, Ordering::SeqCst);
        until(|| sent.load(Ordering::SeqCst) == messages);
    });
}

#[test]
fn cancelling_one_token_leaves_the_others() {
    let host = Host::new();
    let (app, filter) = host.pair();
    let completions = app.completions();
    for token in [1, 2, 1, 3] {
        completions.post(token, 10).unwrap();
    }
    assert_eq!(completions.cancel(7), 0);
    assert_eq!(completions.cancel(1), 2);
    assert_eq!(completions.cancel(1), 0);
    filter.send(b"x", Timeout::Poll).unwrap();
    let ends: Vec<_> = (0..3).map(|_| next(&completions)).map(|completed| completed.token).collect();
    assert_eq!(ends, [1, 1, 2]);
    assert_eq!(completions.outstanding(), 1);
}

#[test]
fn disconnecting_completes_everything_whoever_waits() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            line.hear("waiting");
            filter.close();
            host.ended();
        },
        |app| {
            let port = app.connect();
            let completions = port.completions();
            for token in 0..100 {
                completions.post(token, 10).unwrap();
            }
            let ended = AtomicUsize::new(0);
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        loop {
                            match completions.next() {
                                Ok(completed) => {
                                    assert_eq!(failure(completed).1, Status::PORT_DISCONNECTED);
                                    ended.fetch_add(1, Ordering::SeqCst);
                                }
                                Err(error) => {
                                    assert_eq!(error.status(), Status::PORT_DISCONNECTED);
                                    break;
                                }
                            }
                        }
                    });
                }
                app.say("waiting");
            });
            assert_eq!(ended.into_inner(), 100);
        },
    );
}

#[test]
fn dropping_takes_back_what_is_posted_and_answers_what_was_delivered() {
    let host = Host::new();
    let (app, filter) = host.pair();
    let completions = app.completions();
    for token in 0..100 {
        completions.post(token, 10).unwrap();
    }
    // delivered, because a receive is posted; the first is looked at too, so that the second lies in the queue
    let first = filter.start(b"1", 4, Timeout::After(LONG)).unwrap();
    let second = filter.start(b"2", 4, Timeout::After(LONG)).unwrap();
    let third = filter.start(b"3", 4, Timeout::After(LONG)).unwrap();
    message(next(&completions)).1.reply(Status::SUCCESS, b"").unwrap();
    drop(completions);
    assert_eq!(first.wait(&mut []).unwrap().status, Status::SUCCESS);
    assert_eq!(second.wait(&mut []).unwrap().status, Status::CANCELLED);
    assert_eq!(third.wait(&mut []).unwrap().status, Status::CANCELLED);
    assert_eq!(filter.send(b"x", Timeout::Poll).unwrap_err().status(), Status::TIMEOUT);
    assert!(app.receiver(GETS).is_ok(), "all slots are free again");
}

#[test]
fn a_wait_ends_with_its_time_and_with_a_receive_that_is_posted_meanwhile() {
    let host = Host::new();
    let (app, filter) = host.pair();
    let completions = app.completions();
    let start = Instant::now();
    assert!(completions.next_timeout(Duration::from_millis(5)).unwrap().is_none());
    completions.post(1, 10).unwrap();
    assert!(completions.next_timeout(Duration::from_millis(5)).unwrap().is_none());
    assert!(start.elapsed() >= Duration::from_millis(10));
    assert_eq!(completions.cancel_all(), 1);
    next(&completions);
    thread::scope(|scope| {
        let waits: Vec<_> = (0..3).map(|_| scope.spawn(|| next(&completions))).collect();
        for token in 0..3 {
            completions.post(token, 10).unwrap();
            filter.send(b"x", Timeout::After(LONG)).unwrap();
        }
        let tokens: BTreeSet<_> = waits.into_iter().map(|wait| message(wait.join().unwrap()).0).collect();
        assert_eq!(tokens, (0..3).collect());
    });
}

/// A process may be stopped when it has freed a slot and woken no thread yet.
#[test]
fn a_post_that_waits_for_a_slot_finds_one_of_which_nobody_tells() {
    let host = Host::new();
    let (port, client) = host.pair();
    let (stopped, holder) = Raw::open(port.duplicate().unwrap());
    let slots: Vec<_> = std::iter::from_fn(|| client::reserve_get(stopped.shared(), holder)).collect();
    assert_eq!(slots.len(), GETS);
    let completions = port.completions();
    completions.post(7, 100).unwrap();
    thread::scope(|scope| {
        let sends = scope.spawn(|| client.send(b"late", Timeout::After(LONG)));
        let receives = scope.spawn(|| next(&completions));
        let allocation = &stopped.shared().allocation;
        // the thread that waits has said so by now, and is not told
        until(|| allocation.wanted.swap(0, Ordering::SeqCst) != 0);
        stopped.shared().slots[slots[0]].owner.store(0, Ordering::Relaxed);
        allocation.used[0].fetch_and(!(1 << slots[0]), Ordering::SeqCst);
        let (token, message) = message(receives.join().unwrap());
        assert_eq!((token, message.body()), (7, &b"late"[..]));
        sends.join().unwrap().unwrap();
    });
}
