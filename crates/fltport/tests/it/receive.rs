//! Receiving: rows 69 to 75 and 80 to 82 of the table in `doc/windows.md`. More than 500 lines, because one file
//! proves one part of the table.

use std::sync::mpsc::sync_channel;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use fltport::{Client, Message, Received, Status, Timeout};
use testkit::{Host, LONG, both, hresult, post, slack, this_thread, until_it_sleeps};

fn send(filter: &Client, message: &[u8]) {
    filter.send(message, Timeout::After(LONG)).unwrap();
}

fn message(received: Received) -> Message {
    match received {
        Received::Message(message) => message,
        small @ Received::TooSmall { .. } => panic!("{small:?}"),
    }
}

/// The size that a receive should have had, and the id of the message.
fn too_small(received: Received) -> (usize, u64) {
    match received {
        Received::TooSmall { needed, id, .. } => (needed, id),
        Received::Message(message) => panic!("{message:?}"),
    }
}

/// Starts a thread that does this, and returns when it sleeps in it.
fn waiting<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    does: impl FnOnce() -> T + Send + 'scope,
) -> ScopedJoinHandle<'scope, T> {
    let (tell, told) = sync_channel(1);
    let thread = scope.spawn(move || {
        tell.send(this_thread()).unwrap();
        does()
    });
    until_it_sleeps(told.recv_timeout(LONG).unwrap());
    thread
}

#[test]
fn row_069_a_receive_that_is_too_small_learns_the_size_and_the_sender_waits_on() {
    assert_eq!(hresult(Status::BUFFER_TOO_SMALL), 0x8007_007a);
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            for _ in 0..2 {
                line.hear("posted");
                // refused once, then it waits until its timeout
                let start = Instant::now();
                let error = filter.send(b"0123456789", Timeout::After(Duration::from_millis(20))).unwrap_err();
                assert_eq!(error.status(), Status::TIMEOUT);
                assert!(start.elapsed() >= Duration::from_millis(20));
                line.say("timed out");
            }
        },
        |app| {
            let port = app.connect();
            let small = post(&port, 9).unwrap();
            app.say("posted");
            assert_eq!(too_small(small.wait().unwrap()), (10, 0));
            app.hear("timed out");
            assert!(port.try_recv().unwrap().is_none());
            // of several that are too small the oldest is refused, and no other for the same message
            let (oldest, mut next, mut last) =
                (post(&port, 4).unwrap(), post(&port, 8).unwrap(), post(&port, 2).unwrap());
            app.say("posted");
            assert_eq!(too_small(oldest.wait().unwrap()), (10, 0));
            app.hear("timed out");
            assert!(!next.is_complete() && !last.is_complete());
        },
    );
}

#[test]
fn row_070_a_receive_of_exactly_the_size_needed_gets_the_message() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            let mut reply = [0; 1];
            let answer = filter.ask(b"0123456789", &mut reply, Timeout::After(LONG)).unwrap();
            assert_eq!((answer.len, &reply), (1, b"k"));
            line.say("done");
        },
        |app| {
            let port = app.connect();
            let (needed, id) = too_small(port.recv_limited(4, Timeout::After(LONG)).unwrap().unwrap());
            assert_eq!((needed, id), (10, 1));
            let message = message(port.recv_limited(needed, Timeout::After(LONG)).unwrap().unwrap());
            assert_eq!((message.body(), message.id()), (&b"0123456789"[..], 1));
            message.reply(Status::SUCCESS, b"k").unwrap();
            app.hear("done");
        },
    );
}

#[test]
fn row_071_a_small_receive_is_left_alone_while_a_larger_one_fits() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            line.hear("posted");
            send(&filter, b"0123456789");
            line.say("sent");
            line.hear("looked");
            send(&filter, b"1234");
        },
        |app| {
            let port = app.connect();
            let (mut small, big) = (post(&port, 4).unwrap(), post(&port, 100).unwrap());
            app.say("posted");
            app.hear("sent");
            assert_eq!(message(big.wait().unwrap()).body(), b"0123456789");
            assert!(!small.is_complete());
            app.say("looked");
            assert_eq!(message(small.wait().unwrap()).body(), b"1234");
        },
    );
}

/// A buffer of less than a header has no meaning here: sizes count the body. The smallest holds an empty message only.
#[test]
fn row_072_the_smallest_receive_is_accepted_and_fails_when_a_message_comes() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            line.hear("posted");
            send(&filter, b"1");
            line.hear("posted again");
            send(&filter, b"");
        },
        |app| {
            let port = app.connect();
            let smallest = post(&port, 0).unwrap();
            app.say("posted");
            assert_eq!(too_small(smallest.wait().unwrap()), (1, 0));
            assert_eq!(port.recv().unwrap().body(), b"1");
            let smallest = post(&port, 0).unwrap();
            app.say("posted again");
            assert_eq!(message(smallest.wait().unwrap()).body(), b"");
        },
    );
}

/// A receive has no buffer that could be missing. What is checked where it is asked for: how many are posted.
#[test]
fn row_073_a_receiver_without_receives_is_refused() {
    assert_eq!(hresult(Status::INVALID_PARAMETER), 0x8007_0057);
    both(
        Host::new,
        |host, line| {
            host.accepted();
            line.hear("done");
        },
        |app| {
            let port = app.connect();
            for depth in [0, 1025, usize::MAX] {
                let error = port.receiver(depth).unwrap_err();
                assert_eq!(error.status(), Status::INVALID_PARAMETER);
                assert!(error.to_string().contains("1 to 1024"), "{error}");
            }
            port.receiver(1024).unwrap();
            app.say("done");
        },
    );
}

#[test]
fn row_074_a_receive_that_is_larger_has_the_message_only() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            line.hear("posted");
            // what is left of a longer message must not show behind a shorter one in the same place
            send(&filter, &[b'x'; 5000]);
            send(&filter, b"short");
        },
        |app| {
            let port = app.connect();
            let mut receiver = port.receiver(1).unwrap();
            app.say("posted");
            assert_eq!(receiver.recv().unwrap().body(), [b'x'; 5000]);
            assert_eq!(receiver.recv().unwrap().body(), b"short");
        },
    );
}

/// Memory cannot vanish under a receive here. What is left: a receive that goes away before it is used takes no message
/// along.
#[test]
fn row_075_a_receive_that_goes_away_leaves_the_message_to_the_next() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            line.hear("gone");
            send(&filter, b"for the next");
        },
        |app| {
            let port = app.connect();
            let (first, next) = (post(&port, 100).unwrap(), post(&port, 100).unwrap());
            drop(first);
            app.say("gone");
            assert_eq!(message(next.wait().unwrap()).body(), b"for the next");
        },
    );
}

#[test]
fn a_receive_that_is_posted_late_is_filled_by_a_sender_that_waits() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            thread::scope(|scope| {
                let sender = scope.spawn(|| send(&filter, b"early"));
                line.say("sending");
                sender.join().unwrap();
            });
            line.say("sent");
        },
        |app| {
            let port = app.connect();
            app.hear("sending");
            let mut posted = post(&port, 100).unwrap();
            // the sender's side ends before any thread has waited here
            app.hear("sent");
            assert!(posted.is_complete());
            assert_eq!(message(posted.wait().unwrap()).body(), b"early");
        },
    );
}

#[test]
fn a_look_finds_the_message_of_a_sender_that_sleeps() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            for _ in 0..20 {
                thread::scope(|scope| {
                    let sends = waiting(scope, || send(&filter, b"x"));
                    line.say("sleeps");
                    sends.join().unwrap();
                });
                line.hear("received");
            }
            host.ended();
        },
        |app| {
            let port = app.connect();
            for _ in 0..20 {
                app.hear("sleeps");
                assert_eq!(port.try_recv().unwrap().expect("its message").body(), b"x");
                let start = Instant::now();
                assert!(port.try_recv().unwrap().is_none());
                assert!(start.elapsed() < slack(), "it does not wait");
                app.say("received");
            }
        },
    );
}

#[test]
fn nothing_is_posted_on_a_dead_port_in_any_style() {
    both(
        Host::new,
        |host, _| {
            host.accepted().close();
        },
        |app| {
            let port = app.connect();
            assert_eq!(port.recv().unwrap_err().status(), Status::PORT_DISCONNECTED);
            let status = post(&port, 100).unwrap_err().status();
            assert_eq!(status, Status::PORT_DISCONNECTED);
            assert_eq!(hresult(status), 0x8007_0006);
            assert_eq!(port.receiver(1).unwrap_err().status(), Status::PORT_DISCONNECTED);
        },
    );
}

#[test]
fn a_cancelled_receive_ends_and_the_port_stays_usable() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            line.hear("held");
            line.hear("cancelled");
            // nothing is posted any more
            assert_eq!(filter.send(b"x", Timeout::Poll).unwrap_err().status(), Status::TIMEOUT);
            line.say("nothing was posted");
            send(&filter, b"later");
            send(&filter, b"and later");
        },
        |app| {
            let port = app.connect();
            let mut receiver = port.receiver(2).unwrap();
            let (one, other) = (post(&port, 10).unwrap(), post(&port, 10).unwrap());
            app.say("held");
            assert_eq!(one.cancel().unwrap_err().status(), Status::CANCELLED);
            thread::scope(|scope| {
                let blocked = scope.spawn(|| port.recv().unwrap_err().status());
                let many = scope.spawn(|| receiver.recv().unwrap_err().status());
                // the threads may not have begun to wait
                while !(blocked.is_finished() && many.is_finished()) {
                    port.cancel_receives();
                    thread::park_timeout(Duration::from_millis(1));
                }
                assert_eq!(blocked.join().unwrap(), Status::CANCELLED);
                assert_eq!(many.join().unwrap(), Status::CANCELLED);
            });
            assert_eq!(other.wait().unwrap_err().status(), Status::CANCELLED);
            port.cancel_receives();
            app.say("cancelled");
            app.hear("nothing was posted");
            assert_eq!(port.recv().unwrap().body(), b"later");
            // the receiver posts anew what was taken back
            drop(receiver);
            assert_eq!(port.recv().unwrap().body(), b"and later");
        },
    );
}

#[test]
fn a_receiver_posts_anew_what_was_cancelled() {
    both(
        Host::new,
        |host, _| {
            let filter = host.accepted();
            send(&filter, b"1");
            send(&filter, b"2");
            host.ended();
        },
        |app| {
            let port = app.connect();
            let mut receiver = port.receiver(3).unwrap();
            assert_eq!(receiver.recv().unwrap().body(), b"1");
            port.cancel_receives();
            // the second may have been delivered before
            let second = match receiver.recv() {
                Ok(message) => message,
                Err(error) => {
                    assert_eq!(error.status(), Status::CANCELLED);
                    receiver.recv().unwrap()
                }
            };
            assert_eq!(second.body(), b"2");
        },
    );
}

#[test]
fn a_cancel_that_races_a_delivery_loses_and_doubles_nothing() {
    const MESSAGES: u32 = 400;
    both(
        Host::new,
        |host, _| {
            let filter = host.accepted();
            for number in 0..MESSAGES {
                send(&filter, &number.to_le_bytes());
            }
            host.ended();
        },
        |app| {
            let port = app.connect();
            let mut seen = Vec::new();
            thread::scope(|scope| {
                let receiver = scope.spawn(|| {
                    while seen.len() < MESSAGES as usize {
                        match port.recv() {
                            Ok(message) => seen.push(u32::from_le_bytes(message.body().try_into().unwrap())),
                            Err(error) => assert_eq!(error.status(), Status::CANCELLED),
                        }
                    }
                });
                while !receiver.is_finished() {
                    port.cancel_receives();
                }
            });
            assert_eq!(seen, (0..MESSAGES).collect::<Vec<_>>());
        },
    );
}

#[test]
fn any_of_several_receivers_gets_any_message() {
    const MESSAGES: usize = 200;
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            (0..MESSAGES as u32).for_each(|number| send(&filter, &number.to_le_bytes()));
            line.hear("all");
            filter.close();
        },
        |app| {
            let port = app.connect();
            let seen = std::sync::Mutex::new(Vec::new());
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        // the other may have received everything, and the filter have closed, before this one begins
                        let Ok(mut receiver) = port.receiver(5) else { return };
                        while let Ok(message) = receiver.recv() {
                            let mut seen = seen.lock().unwrap();
                            seen.push(u32::from_le_bytes(message.body().try_into().unwrap()));
                            if seen.len() == MESSAGES {
                                app.say("all");
                            }
                        }
                    });
                }
            });
            let mut seen = seen.into_inner().unwrap();
            seen.sort_unstable();
            assert_eq!(seen, (0..MESSAGES as u32).collect::<Vec<_>>());
        },
    );
}

#[test]
fn row_080_threads_that_receive_on_one_handle_get_a_message_each() {
    const THREADS: usize = 6;
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            line.hear("all wait");
            for number in 0..THREADS as u8 {
                send(&filter, &[number; 300]);
            }
            host.ended();
        },
        |app| {
            let port = app.connect();
            let mut seen: Vec<u8> = thread::scope(|scope| {
                let threads: Vec<_> = (0..THREADS).map(|_| waiting(scope, || port.recv().unwrap())).collect();
                app.say("all wait");
                let messages = threads.into_iter().map(|thread| thread.join().unwrap());
                let whole = |body: &[u8]| if body == [body[0]; 300] { body[0] } else { panic!("{body:?}") };
                messages.map(|message| whole(message.body())).collect()
            });
            seen.sort_unstable();
            assert_eq!(seen, (0..THREADS as u8).collect::<Vec<_>>());
        },
    );
}

#[test]
fn row_081_a_blocked_receive_holds_up_no_reply_and_no_request() {
    both(
        || Host::with(|filter| filter.on_message = Box::new(|_, _, _| 7.into()), |options| options),
        |host, line| {
            let filter = host.accepted();
            let pending = filter.start(b"?", 4, Timeout::After(LONG)).unwrap();
            line.hear("has it");
            let mut reply = [0; 4];
            assert_eq!(pending.wait(&mut reply).unwrap().len, 4);
            line.hear("requested");
            send(&filter, b"at last");
        },
        |app| {
            let port = app.connect();
            let question = port.recv().unwrap();
            app.say("has it");
            thread::scope(|scope| {
                let blocked = waiting(scope, || port.recv().unwrap().body().to_vec());
                question.reply(Status::SUCCESS, b"here").unwrap();
                assert_eq!(port.send(b"x", &mut []).unwrap(), 7);
                assert!(!blocked.is_finished());
                app.say("requested");
                assert_eq!(blocked.join().unwrap(), b"at last");
            });
        },
    );
}

/// There is one kind of handle here, on which `recv` is synchronous and `post` is not.
#[test]
fn row_082_a_synchronous_receive_returns_success_with_its_message() {
    both(
        Host::new,
        |host, _| {
            let filter = host.accepted();
            send(&filter, b"sync");
            send(&filter, b"also");
        },
        |app| {
            let port = app.connect();
            assert_eq!(port.recv().unwrap().body(), b"sync");
            assert_eq!(port.recv_timeout(LONG).unwrap().unwrap().body(), b"also");
        },
    );
}
