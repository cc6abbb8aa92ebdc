//! Waiting for a receiver and for a reply: rows 44 to 53 of the table in `doc/windows.md`.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use fltport::{Client, Received, Status, Timeout};
use proto::slots::WINDOW;
use testkit::talk::ask;
use testkit::{Host, LONG, both, hresult, post, slack};

/// The status of a failed ask.
fn failure(filter: &Client, timeout: Timeout) -> Status {
    filter.ask(b"?", &mut [0; 4], timeout).unwrap_err().status()
}

#[test]
fn row_044_a_send_without_a_timeout_waits_until_the_end() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            thread::scope(|scope| {
                let sending = scope.spawn(|| filter.send(b"?", Timeout::Never).unwrap_err().status());
                let asking = scope.spawn(|| failure(&filter, Timeout::Never));
                line.hear("both wait");
                assert!(!sending.is_finished() && !asking.is_finished());
                line.say("end");
                assert_eq!(sending.join().unwrap(), Status::PORT_DISCONNECTED);
                assert_eq!(asking.join().unwrap(), Status::PORT_DISCONNECTED);
            });
        },
        |app| {
            let port = app.connect();
            // each sender has one receive refused and waits on
            let mut ids = [0, 0].map(|_| match port.recv_limited(0, Timeout::After(LONG)) {
                Ok(Some(Received::TooSmall { needed: 1, id, .. })) => id,
                other => panic!("{other:?}"),
            });
            ids.sort_unstable();
            assert_eq!(ids, [0, 1]);
            app.say("both wait");
            app.hear("end");
            port.close();
        },
    );
}

#[test]
fn row_045_a_message_without_reply_is_sent_when_it_is_copied() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            line.hear("posted");
            // the application does nothing until this has returned
            filter.send(b"hello", Timeout::After(LONG)).unwrap();
            line.say("sent");
        },
        |app| {
            let port = app.connect();
            let mut receiver = port.receiver(1).unwrap();
            app.say("posted");
            app.hear("sent");
            let message = receiver.recv().unwrap();
            assert_eq!((message.body(), message.id(), message.reply_capacity()), (&b"hello"[..], 0, None));
        },
    );
}

#[test]
fn row_046_a_message_nobody_receives_in_time_is_never_seen() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            let error = filter.send(b"lost", Timeout::After(Duration::from_millis(5))).unwrap_err();
            assert_eq!(error.status(), Status::TIMEOUT);
            assert_eq!(hresult(error.status()), 0x8007_0102);
            assert_eq!(failure(&filter, Timeout::After(Duration::from_millis(5))), Status::TIMEOUT);
            line.say("timed out");
            filter.send(b"seen", Timeout::After(LONG)).unwrap();
        },
        |app| {
            let port = app.connect();
            app.hear("timed out");
            assert_eq!(port.recv().unwrap().body(), b"seen");
        },
    );
}

#[test]
fn row_047_a_late_reply_finds_no_waiter() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            let mut reply = [7; 4];
            line.hear("posted");
            let error = filter.ask(b"?", &mut reply, Timeout::After(Duration::from_millis(10))).unwrap_err();
            assert_eq!(error.status(), Status::TIMEOUT);
            assert_eq!(reply, [7; 4], "nothing was received");
            line.say("timed out");
            line.hear("replied");
        },
        |app| {
            let port = app.connect();
            let mut receiver = port.receiver(1).unwrap();
            app.say("posted");
            let message = receiver.recv().unwrap();
            app.hear("timed out");
            let status = message.reply(Status::SUCCESS, b"late").unwrap_err().status();
            assert_eq!(status, Status::FLT_NO_WAITER_FOR_REPLY);
            assert_eq!(hresult(status), 0x801f_0020);
            app.say("replied");
        },
    );
}

/// On Windows the replier may be told of a success although the sender timed out. Here both ends always agree.
#[test]
fn row_048_a_reply_at_the_very_moment_of_the_timeout_is_received_by_both_ends_or_by_none() {
    const ROUNDS: u64 = 300;
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            let mut timed_out = 0;
            for round in 0..ROUNDS {
                line.hear("posted");
                let timeout = Timeout::After(Duration::from_micros(20 + round % 50 * 4));
                let asked = match filter.ask(b"?", &mut [0; 1], timeout) {
                    Ok(reply) => Ok(reply.len),
                    Err(error) => Err(error.status()),
                };
                line.say(if asked.is_ok() { "got it" } else { "gave up" });
                assert!(matches!(asked, Ok(1) | Err(Status::TIMEOUT)), "{asked:?}");
                timed_out += u64::from(asked.is_err());
            }
            println!("{timed_out} of {ROUNDS} timed out");
        },
        |app| {
            let port = app.connect();
            for _ in 0..ROUNDS {
                let receive = post(&port, 16).unwrap();
                app.say("posted");
                let Received::Message(message) = receive.wait().unwrap() else { panic!("it fits") };
                match message.reply(Status::SUCCESS, b"!").map_err(|error| error.status()) {
                    Ok(()) => app.hear("got it"),
                    Err(status) => {
                        assert_eq!(status, Status::FLT_NO_WAITER_FOR_REPLY);
                        app.hear("gave up");
                    }
                }
            }
        },
    );
}

#[test]
fn row_049_a_poll_delivers_to_a_receive_that_is_posted() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            line.hear("posted");
            filter.send(b"now", Timeout::Poll).unwrap();
            // with a reply wanted the message is delivered too, and the wait for the reply is a poll
            assert_eq!(failure(&filter, Timeout::Poll), Status::TIMEOUT);
            line.say("sent");
        },
        |app| {
            let port = app.connect();
            let mut receiver = port.receiver(2).unwrap();
            app.say("posted");
            app.hear("sent");
            assert_eq!(receiver.recv().unwrap().body(), b"now");
            let asked = receiver.recv().unwrap();
            assert_eq!((asked.body(), asked.id()), (&b"?"[..], 1));
            let status = asked.reply(Status::SUCCESS, b"").unwrap_err().status();
            assert_eq!(status, Status::FLT_NO_WAITER_FOR_REPLY);
        },
    );
}

#[test]
fn a_poll_has_no_time_for_the_pieces_of_a_long_message() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            line.hear("posted");
            assert_eq!(filter.send(&[7; WINDOW + 1], Timeout::Poll).unwrap_err().status(), Status::TIMEOUT);
            filter.send(&[8; WINDOW], Timeout::Poll).unwrap();
            line.say("sent");
        },
        |app| {
            let port = app.connect();
            let mut receiver = port.receiver(2).unwrap();
            app.say("posted");
            app.hear("sent");
            assert_eq!(receiver.recv().unwrap().body(), [8; WINDOW], "the other was not seen");
        },
    );
}

/// One client reads, one has posted nothing, one takes less than the message.
#[test]
fn a_notification_costs_those_who_take_it_nothing_of_those_who_do_not() {
    let host = Host::new();
    let (reads, filter) = host.pair();
    let (silent, _) = host.pair();
    let (small, _) = host.pair();
    let receives = [post(&reads, 100).unwrap(), post(&reads, 100).unwrap()];
    let refused = post(&small, 3).unwrap();
    let port = host.port();
    for round in 0..2 {
        let start = Instant::now();
        let missed = port.try_send_all(b"news");
        assert!(start.elapsed() < slack(), "it waited");
        assert_eq!(missed.len(), 2, "round {round}");
        assert!(missed.iter().all(|(client, error)| client.is_connected() && error.status() == Status::TIMEOUT));
    }
    for receive in receives {
        let Received::Message(message) = receive.wait().unwrap() else { panic!("it fits") };
        assert_eq!((message.body(), message.id()), (&b"news"[..], 0));
    }
    assert!(matches!(refused.wait(), Ok(Received::TooSmall { needed: 4, .. })));
    // one whose turn has passed gets nothing of it later
    assert!(silent.try_recv().unwrap().is_none());
    assert_eq!(port.try_send_all(b"more").len(), 3);
    assert_eq!(filter.try_send(&[0; (64 << 10) + 1]).unwrap_err().status(), Status::TIMEOUT);
    reads.close();
    assert_eq!(filter.try_send(b"gone").unwrap_err().status(), Status::PORT_DISCONNECTED);
}

#[test]
fn row_050_a_poll_without_a_receive_times_out_at_once() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            for poll in [Timeout::Poll, Timeout::After(Duration::ZERO)] {
                assert_eq!(filter.send(b"now", poll).unwrap_err().status(), Status::TIMEOUT);
                assert_eq!(failure(&filter, poll), Status::TIMEOUT);
            }
            line.say("timed out");
            // one that is too small is none: it learns the size, and the poll ends at once too
            line.hear("posted");
            assert_eq!(filter.send(b"now", Timeout::Poll).unwrap_err().status(), Status::TIMEOUT);
            line.say("too small");
        },
        |app| {
            let port = app.connect();
            app.hear("timed out");
            assert!(port.try_recv().unwrap().is_none());
            let small = post(&port, 2).unwrap();
            app.say("posted");
            app.hear("too small");
            assert!(matches!(small.wait(), Ok(Received::TooSmall { needed: 3, id: 0, .. })));
        },
    );
}

#[test]
fn row_051_delivery_and_reply_share_one_timeout() {
    let limit = slack();
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            let start = Instant::now();
            line.say("asking");
            assert_eq!(failure(&filter, Timeout::After(limit)), Status::TIMEOUT);
            let took = start.elapsed();
            // a time of its own for the reply would end after 1.8 limits at the earliest
            assert!(took >= limit && took < limit * 18 / 10, "{took:?}");
            line.say("timed out");
        },
        |app| {
            let port = app.connect();
            app.hear("asking");
            // not to be right, but to be late: most of the time goes by before there is a receive
            let late = Instant::now() + limit * 8 / 10;
            while let Some(left) = late.checked_duration_since(Instant::now()) {
                thread::park_timeout(left);
            }
            let message = port.recv_timeout(LONG).unwrap().expect("the filter waits");
            // a time of its own for the reply would be a whole limit
            assert!(message.time_left().unwrap() <= limit / 2, "{:?}", message.time_left());
            app.hear("timed out");
        },
    );
}

#[test]
fn row_052_a_moment_in_the_past_is_a_poll() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            let past = Timeout::At(SystemTime::now() - Duration::from_secs(5));
            let ancient = Timeout::At(SystemTime::UNIX_EPOCH - Duration::from_secs(5));
            for moment in [past, ancient] {
                assert_eq!(filter.send(b"early", moment).unwrap_err().status(), Status::TIMEOUT);
                assert_eq!(failure(&filter, moment), Status::TIMEOUT);
            }
            line.say("timed out");
            line.hear("posted");
            filter.send(b"past", past).unwrap();
            filter.send(b"ancient", ancient).unwrap();
            // delivered as by a poll, and the reply cannot be there yet
            assert_eq!(failure(&filter, past), Status::TIMEOUT);
            let future = Timeout::At(SystemTime::now() + LONG);
            filter.send(b"future", future).unwrap();
            line.say("sent");
        },
        |app| {
            let port = app.connect();
            app.hear("timed out");
            let mut receiver = port.receiver(4).unwrap();
            app.say("posted");
            // a message that is taken is answered, and one answered at once would be in time even for a poll
            app.hear("sent");
            for expected in [&b"past"[..], b"ancient", b"?", b"future"] {
                let message = receiver.recv().unwrap();
                assert_eq!(message.body(), expected);
                // dropped, it would be answered, perhaps in time
                message.detach();
            }
        },
    );
}

/// A moment that is to come ends the wait for a receive and the wait for a reply, and neither before it.
#[test]
fn a_moment_to_come_ends_the_wait_in_both_phases() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            let in_a_moment = || SystemTime::now() + Duration::from_millis(30);
            let (sent, asked) = (in_a_moment(), in_a_moment());
            assert_eq!(filter.send(b"?", Timeout::At(sent)).unwrap_err().status(), Status::TIMEOUT);
            assert!(SystemTime::now() >= sent);
            assert_eq!(failure(&filter, Timeout::At(asked)), Status::TIMEOUT);
            assert!(SystemTime::now() >= asked);
            line.say("not received");
            line.hear("posted");
            let replied = in_a_moment();
            assert_eq!(failure(&filter, Timeout::At(replied)), Status::TIMEOUT);
            assert!(SystemTime::now() >= replied);
            line.say("not replied");
            let asked = filter.ask(b"?", &mut [0; 4], Timeout::At(SystemTime::now() + LONG)).unwrap();
            assert_eq!((asked.status, asked.len), (Status::SUCCESS, 2));
            line.say("done");
        },
        |app| {
            let port = app.connect();
            app.hear("not received");
            let mut receiver = port.receiver(1).unwrap();
            app.say("posted");
            let message = receiver.recv().unwrap();
            assert!(message.time_left().unwrap() <= Duration::from_millis(30));
            app.hear("not replied");
            let status = message.reply(Status::SUCCESS, b"late").unwrap_err().status();
            assert_eq!(status, Status::FLT_NO_WAITER_FOR_REPLY);
            receiver.recv().unwrap().reply(Status::SUCCESS, b"ok").unwrap();
            app.hear("done");
        },
    );
}

/// A thread of Rust is not ended from outside. What gives up a message here is dropping its `Pending`: the waiter goes.
#[test]
fn row_053_a_sender_that_gives_up_takes_its_waiter_along() {
    assert_eq!(hresult(Status::THREAD_IS_TERMINATING), 0x8007_0005);
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            let pending = filter.start(b"?", 4, Timeout::Never).unwrap();
            assert_eq!(pending.id(), 1);
            drop(pending);
            line.say("gave up");
            // as often as a connection has waiters, and once more: none is left behind
            for _ in 0..1025 {
                drop(filter.start(b"?", 4, Timeout::After(LONG)).unwrap());
            }
            assert_eq!(ask(&filter, b"again?"), Ok(b"ok".to_vec()));
            line.say("done");
        },
        |app| {
            let port = app.connect();
            let message = port.recv().unwrap();
            app.hear("gave up");
            let status = message.reply(Status::SUCCESS, b"late").unwrap_err().status();
            assert_eq!(status, Status::FLT_NO_WAITER_FOR_REPLY);
            for _ in 0..1025 {
                port.recv().unwrap().detach();
            }
            let message = port.recv().unwrap();
            assert_eq!((message.body(), message.id()), (&b"again?"[..], 1027));
            message.reply(Status::SUCCESS, b"ok").unwrap();
            app.hear("done");
        },
    );
}
