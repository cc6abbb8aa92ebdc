//! Messages from the filter and their replies: rows 44 to 68 of the table in `doc/windows.md`.

mod common;

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use common::{LONG, World, both, hresult, post, watchdog};
use fltmgr::{Answer, Client, Connection, Question, Received, Reply, Status, Timeout};

/// The status of a failed ask.
fn failure(filter: &Client, timeout: Timeout) -> Status {
    filter.ask(b"?", &mut [0; 4], timeout).unwrap_err().status()
}

fn ask(filter: &Client, reply: &mut [u8]) -> Reply {
    filter.ask(b"?", reply, Timeout::After(LONG)).unwrap()
}

/// Receives a message and replies; gives the reply's result.
fn reply(port: &Connection, status: Status, payload: &[u8]) -> Result<(), Status> {
    port.recv().unwrap().reply(status, payload).map_err(|error| error.status())
}

#[test]
fn row_044_a_send_without_a_timeout_waits_until_the_end() {
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
            thread::scope(|scope| {
                let sending = scope.spawn(|| filter.send(b"?", Timeout::Never).unwrap_err().status());
                let asking = scope.spawn(|| failure(&filter, Timeout::Never));
                line.say("end");
                assert_eq!(sending.join().unwrap(), Status::PORT_DISCONNECTED);
                assert_eq!(asking.join().unwrap(), Status::PORT_DISCONNECTED);
            });
        },
        |app| {
            let port = app.connect();
            app.hear("end");
            port.close();
        },
    );
}

#[test]
fn row_045_a_message_without_reply_is_sent_when_it_is_copied() {
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
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
        World::new,
        |world, line| {
            let filter = world.accepted();
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
        World::new,
        |world, line| {
            let filter = world.accepted();
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
        World::new,
        |world, line| {
            let filter = world.accepted();
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
        World::new,
        |world, line| {
            let filter = world.accepted();
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
fn row_050_a_poll_without_a_receive_times_out_at_once() {
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
            for poll in [Timeout::Poll, Timeout::After(Duration::ZERO)] {
                assert_eq!(filter.send(b"now", poll).unwrap_err().status(), Status::TIMEOUT);
                assert_eq!(failure(&filter, poll), Status::TIMEOUT);
            }
            line.say("timed out");
        },
        |app| {
            let port = app.connect();
            app.hear("timed out");
            assert!(port.try_recv().unwrap().is_none());
        },
    );
}

#[test]
fn row_051_delivery_and_reply_share_one_timeout() {
    let limit = Duration::from_millis(250);
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
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
        World::new,
        |world, line| {
            let filter = world.accepted();
            let past = Timeout::At(SystemTime::now() - Duration::from_secs(5));
            let ancient = Timeout::At(SystemTime::UNIX_EPOCH - Duration::from_secs(5));
            for moment in [past, ancient] {
                assert_eq!(filter.send(b"early", moment).unwrap_err().status(), Status::TIMEOUT);
            }
            line.say("timed out");
            line.hear("posted");
            filter.send(b"past", past).unwrap();
            filter.send(b"ancient", ancient).unwrap();
            let future = Timeout::At(SystemTime::now() + LONG);
            filter.send(b"future", future).unwrap();
        },
        |app| {
            let port = app.connect();
            app.hear("timed out");
            let mut receiver = port.receiver(3).unwrap();
            app.say("posted");
            for expected in [&b"past"[..], b"ancient", b"future"] {
                assert_eq!(receiver.recv().unwrap().body(), expected);
            }
        },
    );
}

/// A thread of Rust is not ended from outside. What gives up a message here is dropping its `Pending`: the waiter goes.
#[test]
fn row_053_a_sender_that_gives_up_takes_its_waiter_along() {
    assert_eq!(hresult(Status::THREAD_IS_TERMINATING), 0x8007_0005);
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
            let pending = filter.start(b"?", 4, Timeout::Never).unwrap();
            assert_eq!(pending.id(), 1);
            drop(pending);
            line.say("gave up");
            assert_eq!(ask(&filter, &mut [0; 4]).len, 2);
            line.say("done");
        },
        |app| {
            let port = app.connect();
            let message = port.recv().unwrap();
            app.hear("gave up");
            let status = message.reply(Status::SUCCESS, b"late").unwrap_err().status();
            assert_eq!(status, Status::FLT_NO_WAITER_FOR_REPLY);
            assert_eq!(reply(&port, Status::SUCCESS, b"ok"), Ok(()));
            app.hear("done");
        },
    );
}

#[test]
fn row_054_a_reply_fills_the_filters_buffer_as_far_as_it_goes() {
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
            let mut buffer = [7; 16];
            assert_eq!(ask(&filter, &mut buffer), Reply { status: Status::SUCCESS, len: 3 });
            assert_eq!(&buffer, b"yes\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07");
            line.say("done");
        },
        |app| {
            let port = app.connect();
            let message = port.recv().unwrap();
            assert_eq!((message.id(), message.reply_capacity()), (1, Some(16)));
            message.reply(Status::SUCCESS, b"yes").unwrap();
            app.hear("done");
        },
    );
}

#[test]
fn row_055_a_reply_that_is_too_long_is_cut_and_both_ends_know() {
    let lengths = [4, 13 * 8 + 1, 70_000, 1 << 20];
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
            for len in lengths {
                let mut buffer = vec![0; len - 1];
                assert_eq!(ask(&filter, &mut buffer), Reply { status: Status::BUFFER_OVERFLOW, len: len - 1 });
                assert_eq!(buffer, patterned(len)[..len - 1]);
            }
            line.say("done");
        },
        |app| {
            let port = app.connect();
            for len in lengths {
                assert_eq!(reply(&port, Status::SUCCESS, &patterned(len)), Err(Status::BUFFER_OVERFLOW));
            }
            assert_eq!(hresult(Status::BUFFER_OVERFLOW), 0x8007_00ea);
            app.hear("done");
        },
    );
}

#[test]
fn row_056_a_reply_without_payload_has_a_status_only() {
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
            let mut buffer = [7; 4];
            assert_eq!(ask(&filter, &mut buffer), Reply { status: Status::NOT_FOUND, len: 0 });
            assert_eq!(buffer, [7; 4]);
            line.say("done");
        },
        |app| {
            let port = app.connect();
            assert_eq!(reply(&port, Status::NOT_FOUND, b""), Ok(()));
            app.hear("done");
        },
    );
}

/// A reply without its whole header cannot be written here. What is left: a reply that is refused touches no waiter.
#[test]
fn row_057_a_refused_reply_leaves_the_waiter_as_it_was() {
    assert_eq!(hresult(Status::INVALID_PARAMETER), 0x8007_0057);
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
            let mut buffer = [0; 4];
            assert_eq!(ask(&filter, &mut buffer), Reply { status: Status::SUCCESS, len: 4 });
            assert_eq!(&buffer, b"good");
            line.say("done");
        },
        |app| {
            let port = app.connect();
            let message = port.recv().unwrap();
            for wrong in [0, 2, u64::MAX] {
                let status = port.reply(wrong, Status::SUCCESS, b"bad!").unwrap_err().status();
                assert_eq!(status, Status::FLT_NO_WAITER_FOR_REPLY);
            }
            message.reply(Status::SUCCESS, b"good").unwrap();
            app.hear("done");
        },
    );
}

#[test]
fn row_058_the_replys_status_is_what_the_send_returns() {
    // a time-out that the application states is passed on as any other status
    let statuses = [Status::ACCESS_DENIED, Status::NO_MORE_ENTRIES, Status::TIMEOUT, Status(0xe000_0001)];
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
            for status in statuses {
                let mut buffer = [0; 8];
                assert_eq!(ask(&filter, &mut buffer), Reply { status, len: 3 });
                assert_eq!(&buffer[..3], b"why");
            }
            line.say("done");
        },
        |app| {
            let port = app.connect();
            for status in statuses {
                assert_eq!(reply(&port, status, b"why"), Ok(()));
            }
            app.hear("done");
        },
    );
}

#[test]
fn row_059_a_reply_to_an_unknown_id_finds_no_waiter() {
    both(
        World::new,
        |world, line| {
            world.accepted();
            line.hear("done");
        },
        |app| {
            let port = app.connect();
            for id in [0, 1, 2, 1 << 32, u64::MAX] {
                let status = port.reply(id, Status::SUCCESS, b"x").unwrap_err().status();
                assert_eq!(status, Status::FLT_NO_WAITER_FOR_REPLY, "{id}");
                assert_eq!(hresult(status), 0x801f_0020);
            }
            app.say("done");
        },
    );
}

#[test]
fn row_060_a_second_reply_finds_no_waiter() {
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
            let mut buffer = [0; 1];
            ask(&filter, &mut buffer);
            assert_eq!(&buffer, b"1");
            line.say("done");
        },
        |app| {
            let port = app.connect();
            let id = port.recv().unwrap().detach();
            port.reply(id, Status::SUCCESS, b"1").unwrap();
            let again = port.reply(id, Status::SUCCESS, b"2").unwrap_err().status();
            assert_eq!(again, Status::FLT_NO_WAITER_FOR_REPLY);
            app.hear("done");
        },
    );
}

#[test]
fn of_many_replies_to_one_message_one_is_received() {
    const ROUNDS: u8 = 50;
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
            for _ in 0..ROUNDS {
                let mut buffer = [0; 1];
                assert_eq!(ask(&filter, &mut buffer).len, 1);
                assert_eq!(line.heard(), buffer[0].to_string());
            }
            line.say("done");
        },
        |app| {
            let port = app.connect();
            for _ in 0..ROUNDS {
                let id = port.recv().unwrap().detach();
                let winners: Vec<u8> = thread::scope(|scope| {
                    let port = &port;
                    let reply = |n: u8| scope.spawn(move || port.reply(id, Status::SUCCESS, &[n]).is_ok().then_some(n));
                    let repliers: Vec<_> = (0..4).map(reply).collect();
                    repliers.into_iter().filter_map(|replier| replier.join().unwrap()).collect()
                });
                let [winner] = winners[..] else { panic!("{winners:?}") };
                app.say(&winner.to_string());
            }
            app.hear("done");
        },
    );
}

#[test]
fn row_061_a_message_that_wants_no_reply_gets_none() {
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
            filter.send(b"news", Timeout::After(LONG)).unwrap();
            line.hear("done");
        },
        |app| {
            let port = app.connect();
            let message = port.recv().unwrap();
            assert_eq!(message.id(), 0);
            let status = message.reply(Status::SUCCESS, b"thanks").unwrap_err().status();
            assert_eq!(status, Status::FLT_NO_WAITER_FOR_REPLY);
            app.say("done");
        },
    );
}

#[test]
fn row_062_a_reply_through_another_connection_finds_no_waiter() {
    both(
        World::new,
        |world, line| {
            let first = world.accepted();
            line.say("accepted");
            world.accepted();
            let mut buffer = [0; 5];
            ask(&first, &mut buffer);
            assert_eq!(&buffer, b"right");
            line.say("done");
        },
        |app| {
            let first = app.connect();
            app.hear("accepted");
            let second = app.connect();
            let id = first.recv().unwrap().detach();
            let status = second.reply(id, Status::SUCCESS, b"wrong").unwrap_err().status();
            assert_eq!(status, Status::FLT_NO_WAITER_FOR_REPLY);
            first.reply(id, Status::SUCCESS, b"right").unwrap();
            app.hear("done");
        },
    );
}

#[test]
fn row_063_any_thread_and_any_handle_may_reply() {
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
            for expected in [b"thread", b"handle"] {
                let mut buffer = [0; 6];
                ask(&filter, &mut buffer);
                assert_eq!(&buffer, expected);
            }
            line.say("done");
        },
        |app| {
            let port = app.connect();
            let message = port.recv().unwrap();
            thread::spawn(move || message.reply(Status::SUCCESS, b"thread").unwrap()).join().unwrap();
            let duplicate = port.clone();
            let id = port.recv().unwrap().detach();
            duplicate.reply(id, Status::SUCCESS, b"handle").unwrap();
            app.hear("done");
        },
    );
}

/// Windows asks for four bytes of alignment. Here no address is special.
#[test]
fn row_064_a_reply_may_lie_anywhere() {
    assert_eq!(hresult(Status::DATATYPE_MISALIGNMENT), 0x8007_03e6);
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
            for start in 0..8 {
                let mut buffer = [0; 9];
                assert_eq!(ask(&filter, &mut buffer[start..]).len, 1);
                assert_eq!(usize::from(buffer[start]), start);
            }
            line.say("done");
        },
        |app| {
            let port = app.connect();
            let bytes = [0, 1, 2, 3, 4, 5, 6, 7];
            for start in 0..8 {
                assert_eq!(reply(&port, Status::SUCCESS, &bytes[start..=start]), Ok(()));
            }
            app.hear("done");
        },
    );
}

#[test]
fn row_065_a_reply_buffer_of_no_bytes_still_wants_a_reply() {
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
            assert_eq!(ask(&filter, &mut []), Reply { status: Status::SUCCESS, len: 0 });
            assert_eq!(ask(&filter, &mut []), Reply { status: Status::BUFFER_OVERFLOW, len: 0 });
            line.say("done");
        },
        |app| {
            let port = app.connect();
            let message = port.recv().unwrap();
            assert_eq!((message.id(), message.reply_capacity()), (1, Some(0)));
            message.reply(Status::SUCCESS, b"").unwrap();
            assert_eq!(reply(&port, Status::SUCCESS, b"x"), Err(Status::BUFFER_OVERFLOW));
            app.hear("done");
        },
    );
}

#[test]
fn row_066_without_a_reply_buffer_no_reply_is_wanted() {
    both(
        World::new,
        |world, _| world.accepted().send(b"news", Timeout::After(LONG)).unwrap(),
        |app| {
            let message = app.connect().recv().unwrap();
            assert_eq!((message.reply_capacity(), message.id(), message.time_left().is_some()), (None, 0, true));
        },
    );
}

#[test]
fn row_067_a_message_may_be_empty() {
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
            filter.send(b"", Timeout::After(LONG)).unwrap();
            assert_eq!(filter.ask(b"", &mut [0; 4], Timeout::After(LONG)).unwrap().len, 2);
            line.say("done");
        },
        |app| {
            let port = app.connect();
            assert_eq!(port.recv().unwrap().body(), b"");
            let message = port.recv().unwrap();
            assert_eq!((message.body(), message.id()), (&b""[..], 1));
            message.reply(Status::SUCCESS, b"ok").unwrap();
            app.hear("done");
        },
    );
}

#[test]
fn row_068_a_message_whose_length_with_its_header_overflows_is_refused() {
    watchdog();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap();
    let total: u64 = memory.split_whitespace().nth(1).unwrap().parse().unwrap();
    if total < 6 << 20 {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("\nSKIP: this machine does not give out 4 GiB of address space\n"),
        );
        return;
    }
    let world = World::new();
    let (app, filter) = world.pair();
    let _receiver = app.receiver(1).unwrap();
    // zero pages that nobody touches
    let long = vec![0; 0xffff_fff0];
    assert_eq!(filter.send(&long, Timeout::Poll).unwrap_err().status(), Status::INVALID_PARAMETER);
    let asked = filter.ask(&long, &mut [0; 1], Timeout::Poll).unwrap_err();
    assert_eq!(asked.status(), Status::INVALID_PARAMETER);
    assert!(asked.to_string().contains("4294967279"), "{asked}");
    let (sender, answer) = std::sync::mpsc::sync_channel(1);
    let question = Question { message: long, reply_len: 1, fd: None, timeout: Timeout::Poll };
    filter.ask_then(question, move |answered| sender.send(answered.unwrap_err().status()).unwrap());
    assert_eq!(answer.recv_timeout(LONG).unwrap(), Status::INVALID_PARAMETER);
}

fn patterned(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 31 + index / 256) as u8).collect()
}

#[test]
fn every_size_arrives_whole_in_all_four_directions() {
    watchdog();
    let sizes = [0, 1, 103, 104, 105, 191, 192, 193, 4096, 65_535, 65_536, 65_537, 200_000, 5 << 20];
    let world = World::with(
        |filter| {
            filter.on_message = Box::new(|_, input, output| {
                output[..input.len()].copy_from_slice(input);
                Answer::from(input.len())
            });
        },
        |options| options,
    );
    let (app, filter) = world.pair();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in sizes {
                let message = app.recv().unwrap();
                let body = message.body().to_vec();
                message.reply(Status::SUCCESS, &body).unwrap();
            }
        });
        for size in sizes {
            let sent = patterned(size);
            let mut reply = vec![0; size];
            let answer = filter.ask(&sent, &mut reply, Timeout::After(LONG)).unwrap();
            assert_eq!((answer.status, answer.len), (Status::SUCCESS, size), "{size}");
            assert_eq!(reply, sent, "{size}");
        }
    });
    for size in sizes.into_iter().filter(|&size| size > 0) {
        let sent = patterned(size);
        let mut output = vec![0; size];
        assert_eq!(app.send(&sent, &mut output).unwrap(), size);
        assert_eq!(output, sent, "{size}");
    }
}

#[test]
fn a_message_is_answered_by_the_id_in_a_receive_that_was_too_small() {
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
    thread::scope(|scope| {
        scope.spawn(|| {
            let small = app.recv_limited(4, Timeout::After(LONG)).unwrap();
            let Some(Received::TooSmall { id, .. }) = small else { panic!("{small:?}") };
            app.reply(id, Status::SUCCESS, b"unread").unwrap();
        });
        let mut reply = [0; 8];
        let answer = filter.ask(b"0123456789", &mut reply, Timeout::After(LONG)).unwrap();
        assert_eq!(&reply[..answer.len], b"unread");
    });
}

#[test]
fn questions_to_callbacks_are_answered_each_once() {
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
    let (sender, answers) = std::sync::mpsc::sync_channel(1000);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut receiver = app.receiver(4).unwrap();
            for _ in 0..500 {
                let message = receiver.recv().unwrap();
                let body = message.body().to_vec();
                message.reply(Status::SUCCESS, &body).unwrap();
            }
        });
        for number in 0..500u32 {
            let sender = sender.clone();
            let question = Question {
                message: number.to_le_bytes().to_vec(),
                reply_len: 4,
                fd: None,
                timeout: Timeout::After(LONG),
            };
            filter.ask_then(question, move |answer| sender.send((number, answer.unwrap().payload)).unwrap());
        }
    });
    drop(sender);
    let mut seen: Vec<_> = answers.iter().collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..500u32).map(|number| (number, number.to_le_bytes().to_vec())).collect::<Vec<_>>());
}

#[test]
fn a_question_to_a_callback_ends_with_its_deadline_or_its_connection() {
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
    let (sender, answers) = std::sync::mpsc::sync_channel(10);
    let ask = |timeout| {
        let sender = sender.clone();
        let question = Question { message: b"?".to_vec(), reply_len: 4, fd: None, timeout };
        filter.ask_then(question, move |answer| sender.send(answer.map_err(|error| error.status())).unwrap());
    };
    ask(Timeout::After(Duration::from_millis(10)));
    assert_eq!(answers.recv_timeout(LONG).unwrap(), Err(Status::TIMEOUT));
    ask(Timeout::Poll);
    assert_eq!(answers.recv_timeout(LONG).unwrap(), Err(Status::TIMEOUT));
    ask(Timeout::Never);
    drop(app);
    assert_eq!(answers.recv_timeout(LONG).unwrap(), Err(Status::PORT_DISCONNECTED));
    ask(Timeout::Never);
    assert_eq!(answers.recv_timeout(LONG).unwrap(), Err(Status::PORT_DISCONNECTED));
}

#[test]
fn a_file_travels_with_its_question() {
    use std::os::unix::fs::FileExt;
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(b"content", 0).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let message = app.recv().unwrap();
            let file = std::fs::File::from(message.file().unwrap().try_clone().unwrap());
            let mut content = [0; 7];
            file.read_exact_at(&mut content, 0).unwrap();
            message.reply(Status::SUCCESS, &content).unwrap();
        });
        let (sender, answer) = std::sync::mpsc::sync_channel(1);
        let fd = Some(std::sync::Arc::new(file.into()));
        let question = Question { message: b"scan".to_vec(), reply_len: 16, fd, timeout: Timeout::After(LONG) };
        filter.ask_then(question, move |answered| sender.send(answered.unwrap().payload).unwrap());
        assert_eq!(answer.recv_timeout(LONG).unwrap(), b"content");
    });
}

#[test]
fn many_threads_at_both_ends_lose_and_double_nothing() {
    watchdog();
    const THREADS: u64 = 16;
    const EACH: u64 = 500;
    let world = World::new();
    let (app, filter) = world.pair();
    let sum = std::sync::atomic::AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..EACH {
                    let message = app.recv().unwrap();
                    let number = u64::from_le_bytes(message.body().try_into().unwrap());
                    sum.fetch_add(number, std::sync::atomic::Ordering::Relaxed);
                    message.reply(Status::SUCCESS, &(!number).to_le_bytes()).unwrap();
                }
            });
        }
        for thread in 0..THREADS {
            let filter = &filter;
            scope.spawn(move || {
                for number in thread * EACH..(thread + 1) * EACH {
                    let mut reply = [0; 8];
                    filter.ask(&number.to_le_bytes(), &mut reply, Timeout::After(LONG)).unwrap();
                    assert_eq!(u64::from_le_bytes(reply), !number);
                }
            });
        }
    });
    let all = THREADS * EACH;
    assert_eq!(sum.into_inner(), all * (all - 1) / 2);
}
