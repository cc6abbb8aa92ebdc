//! Replies: rows 54 to 66 of the table in `doc/windows.md`.

mod common;

use std::thread;

use common::talk::patterned;
use common::{LONG, World, both, hresult};
use fltmgr::{Client, Connection, Received, Reply, Status, Timeout};

fn ask(filter: &Client, reply: &mut [u8]) -> Reply {
    filter.ask(b"?", reply, Timeout::After(LONG)).unwrap()
}

/// Receives a message and replies; gives the reply's result.
fn reply(port: &Connection, status: Status, payload: &[u8]) -> Result<(), Status> {
    port.recv().unwrap().reply(status, payload).map_err(|error| error.status())
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

/// The receive that was too small knows the id, and that is enough for an answer: the message itself is never delivered.
#[test]
fn a_message_is_answered_by_the_id_in_a_receive_that_was_too_small() {
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
            let mut reply = [0; 8];
            let answer = filter.ask(b"0123456789", &mut reply, Timeout::After(LONG)).unwrap();
            assert_eq!((answer.status, &reply[..answer.len]), (Status::NOT_FOUND, &b"unread"[..]));
            line.say("answered");
        },
        |app| {
            let port = app.connect();
            let small = port.recv_limited(4, Timeout::After(LONG)).unwrap();
            let Some(Received::TooSmall { id: 1, needed: 10 }) = small else { panic!("{small:?}") };
            port.reply(1, Status::NOT_FOUND, b"unread").unwrap();
            app.hear("answered");
            assert!(port.try_recv().unwrap().is_none());
        },
    );
}
