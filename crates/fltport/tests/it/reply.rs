//! Replies: rows 54 to 66 of the table in `doc/windows.md`.

use std::thread;

use fltport::{Client, Connection, Received, Reply, Status, Timeout};
use testkit::talk::patterned;
use testkit::{Host, LONG, both, hresult};

fn ask(filter: &Client, reply: &mut [u8]) -> Reply {
    filter.ask(b"?", reply, Timeout::After(LONG)).unwrap()
}

/// Receives a message and replies; gives the reply's result.
fn reply(port: &Connection, status: Status, payload: &[u8]) -> Result<(), Status> {
    port.recv().unwrap().reply(status, payload).map_err(|error| error.status())
}

/// One of each way in which a reply travels: inline, in one window, in several; with room to spare, and with none.
#[test]
fn row_054_a_reply_fills_the_filters_buffer_as_far_as_it_goes() {
    let cases = [
        (3, 16, Status::SUCCESS),
        (16, 16, Status::SUCCESS),
        (15, 16, Status::NOT_FOUND),
        (1_000, 1_001, Status::SUCCESS),
        (65_536, 65_536, Status::ACCESS_DENIED),
        (65_537, 100_000, Status::SUCCESS),
        (200_000, 200_000, Status::NOT_FOUND),
    ];
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            for (len, room, status) in cases {
                let mut buffer = vec![7; room];
                assert_eq!(ask(&filter, &mut buffer), Reply { status, len });
                assert!(buffer[..len] == patterned(len), "{len}");
                assert!(buffer[len..].iter().all(|&byte| byte == 7), "what no reply fills is untouched");
            }
            line.say("done");
        },
        |app| {
            let port = app.connect();
            for ((len, room, status), id) in cases.into_iter().zip(1..) {
                let message = port.recv().unwrap();
                assert_eq!((message.id(), message.reply_capacity()), (id, Some(room)));
                message.reply(status, &patterned(len)).unwrap();
            }
            app.hear("done");
        },
    );
}

/// Whatever status the application gave: the filter is told of the cut instead.
#[test]
fn row_055_a_reply_that_is_too_long_is_cut_and_both_ends_know() {
    let lengths = [4, 13 * 8 + 1, 70_000, 1 << 20];
    let cases = lengths.map(|len| (len, len - 1, Status::SUCCESS)).into_iter();
    let cases: Vec<_> = cases.chain([(1 << 20, 3, Status::SUCCESS), (500, 100, Status::ACCESS_DENIED)]).collect();
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            for &(len, room, _) in &cases {
                let mut buffer = vec![0; room];
                assert_eq!(ask(&filter, &mut buffer), Reply { status: Status::BUFFER_OVERFLOW, len: room });
                assert_eq!(buffer, patterned(len)[..room]);
            }
            line.say("done");
        },
        |app| {
            let port = app.connect();
            for &(len, _, status) in &cases {
                assert_eq!(reply(&port, status, &patterned(len)), Err(Status::BUFFER_OVERFLOW));
            }
            assert_eq!(hresult(Status::BUFFER_OVERFLOW), 0x8007_00ea);
            app.hear("done");
        },
    );
}

/// A message that was started has two sizes: the room that was announced, and the buffer that its reply is waited for
/// with. The replier knows of the first only, and the filter keeps no more than either.
#[test]
fn of_a_reply_to_a_started_message_the_smaller_room_is_kept() {
    let lengths = [10, 300_000];
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            for len in lengths {
                for (announced, buffer) in [(len, len - 6), (len - 6, len)] {
                    let pending = filter.start(b"?", announced, Timeout::After(LONG)).unwrap();
                    let mut reply = vec![7; buffer];
                    let overflow = Reply { status: Status::BUFFER_OVERFLOW, len: len - 6 };
                    assert_eq!(pending.wait(&mut reply).unwrap(), overflow);
                    assert!(reply[..len - 6] == patterned(len)[..len - 6]);
                    assert!(reply[len - 6..].iter().all(|&byte| byte == 7));
                }
            }
            line.say("done");
        },
        |app| {
            let port = app.connect();
            for len in lengths {
                assert_eq!(reply(&port, Status::SUCCESS, &patterned(len)), Ok(()));
                assert_eq!(reply(&port, Status::SUCCESS, &patterned(len)), Err(Status::BUFFER_OVERFLOW));
            }
            app.hear("done");
        },
    );
}

#[test]
fn row_056_a_reply_without_payload_has_a_status_only() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
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
        Host::new,
        |host, line| {
            let filter = host.accepted();
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
        Host::new,
        |host, line| {
            let filter = host.accepted();
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
        Host::new,
        |host, line| {
            host.accepted();
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

/// Not even when the next message waits in the place that the first has left.
#[test]
fn row_060_a_second_reply_finds_no_waiter() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            for expected in [b"1", b"2", b"3"] {
                let mut buffer = [0; 1];
                ask(&filter, &mut buffer);
                assert_eq!(&buffer, expected);
            }
            line.say("done");
        },
        |app| {
            let port = app.connect();
            for payload in [b"1", b"2", b"3"] {
                let id = port.recv().unwrap().detach();
                for earlier in 1..id {
                    let late = port.reply(earlier, Status::SUCCESS, b"x").unwrap_err().status();
                    assert_eq!(late, Status::FLT_NO_WAITER_FOR_REPLY);
                }
                port.reply(id, Status::SUCCESS, payload).unwrap();
                let again = port.reply(id, Status::SUCCESS, b"x").unwrap_err().status();
                assert_eq!(again, Status::FLT_NO_WAITER_FOR_REPLY);
            }
            app.hear("done");
        },
    );
}

#[test]
fn of_many_replies_to_one_message_one_is_received() {
    const ROUNDS: u8 = 50;
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
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
        Host::new,
        |host, line| {
            let filter = host.accepted();
            filter.send(b"news", Timeout::After(LONG)).unwrap();
            line.hear("done");
        },
        |app| {
            let port = app.connect();
            let message = port.recv().unwrap();
            assert_eq!((message.id(), message.reply_capacity()), (0, None));
            let status = message.reply(Status::SUCCESS, b"thanks").unwrap_err().status();
            assert_eq!(status, Status::FLT_NO_WAITER_FOR_REPLY);
            assert_eq!(hresult(status), 0x801f_0020);
            app.say("done");
        },
    );
}

#[test]
fn row_062_a_reply_through_another_connection_finds_no_waiter() {
    both(
        Host::new,
        |host, line| {
            let first = host.accepted();
            line.say("accepted");
            host.accepted();
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
        Host::new,
        |host, line| {
            let filter = host.accepted();
            for expected in [b"thread", b"clones", b"handle"] {
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
            let clone = port.clone();
            let id = port.recv().unwrap().detach();
            clone.reply(id, Status::SUCCESS, b"clones").unwrap();
            let duplicate = Connection::from_handle(port.duplicate().unwrap()).unwrap();
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
        Host::new,
        |host, line| {
            let filter = host.accepted();
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
        Host::new,
        |host, line| {
            let filter = host.accepted();
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
        Host::new,
        |host, _| host.accepted().send(b"news", Timeout::After(LONG)).unwrap(),
        |app| {
            let message = app.connect().recv().unwrap();
            assert_eq!((message.reply_capacity(), message.id(), message.time_left().is_some()), (None, 0, true));
        },
    );
}

/// The filter looks for its reply only when the replier is done: up to one window, the replier does not wait for it.
#[test]
fn a_reply_of_up_to_64_kib_does_not_wait_for_the_filter() {
    let lengths = [0, 104, 105, 65_536];
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            let start = |len| filter.start(b"?", len, Timeout::After(LONG)).unwrap();
            let pending = lengths.map(start);
            line.hear("replied to all");
            for (len, pending) in lengths.into_iter().zip(pending) {
                assert!(pending.is_ready());
                let mut buffer = vec![0; len];
                assert_eq!(pending.wait(&mut buffer).unwrap(), Reply { status: Status::SUCCESS, len });
                assert!(buffer == patterned(len), "{len}");
            }
            line.say("done");
        },
        |app| {
            let port = app.connect();
            for len in lengths {
                assert_eq!(reply(&port, Status::SUCCESS, &patterned(len)), Ok(()));
            }
            app.say("replied to all");
            app.hear("done");
        },
    );
}

#[test]
fn a_message_tells_whether_the_filter_waits_for_its_reply() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            let pending = filter.start(b"given up", 8, Timeout::After(LONG)).unwrap();
            line.hear("it waits");
            drop(pending);
            line.say("given up");
            let late = filter.ask(b"late", &mut [0; 8], Timeout::After(std::time::Duration::from_millis(50)));
            assert_eq!(late.unwrap_err().status(), Status::TIMEOUT);
            line.say("too late");
            ask(&filter, &mut [0; 8]);
            filter.send(b"no reply wanted", Timeout::After(LONG)).unwrap();
            let pending = filter.start(b"the end", 8, Timeout::After(LONG)).unwrap();
            line.hear("received");
            filter.close();
            drop(pending);
            line.say("closed");
        },
        |app| {
            let port = app.connect();
            let first = port.recv().unwrap();
            assert!(first.is_waited_for());
            app.say("it waits");
            app.hear("given up");
            assert!(!first.is_waited_for());
            let late = port.recv().unwrap();
            app.hear("too late");
            assert!(!late.is_waited_for() && !first.is_waited_for(), "nor for another that is waited for now");
            let other = port.recv().unwrap();
            assert!(other.is_waited_for());
            other.reply(Status::SUCCESS, b"").unwrap();
            assert!(!port.recv().unwrap().is_waited_for(), "none is wanted");
            let last = port.recv().unwrap();
            assert!(last.is_waited_for());
            app.say("received");
            app.hear("closed");
            testkit::until(|| !last.is_waited_for());
        },
    );
}

/// The receive that was too small knows the id, and that is enough for an answer: the message itself is never
/// delivered.
#[test]
fn a_message_is_answered_by_the_id_in_a_receive_that_was_too_small() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            let mut reply = [0; 8];
            let answer = filter.ask(b"0123456789", &mut reply, Timeout::After(LONG)).unwrap();
            assert_eq!((answer.status, &reply[..answer.len]), (Status::NOT_FOUND, &b"unread"[..]));
            line.say("answered");
        },
        |app| {
            let port = app.connect();
            let small = port.recv_limited(4, Timeout::After(LONG)).unwrap();
            let Some(Received::TooSmall { id: 1, needed: 10, .. }) = small else { panic!("{small:?}") };
            port.reply(1, Status::NOT_FOUND, b"unread").unwrap();
            app.hear("answered");
            assert!(port.try_recv().unwrap().is_none());
        },
    );
}
