//! The ends of connections: rows 34 to 43 and 98 of the table in `doc/windows.md`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use fltport::{Client, Connection, Response, Status, Timeout};
use proto::slots::{GETS, Generation, State, Word};
use testkit::raw::Raw;
use testkit::talk::{answers, ask, echo, is_over, is_over_for_the_filter, talks};
use testkit::{App, Event, Host, LONG, Line, both, hresult, this_thread, until, until_it_sleeps};

/// The application ends without closing anything: in a process of its own it is killed. Every send of the filter ends,
/// and then the disconnect callback runs.
#[test]
fn row_034_the_end_of_the_application_ends_every_send() {
    let sends = Arc::new(AtomicUsize::new(0));
    let order = Arc::new(Mutex::new(Vec::new()));
    let make = || {
        let (sends, order) = (Arc::clone(&sends), Arc::clone(&order));
        Host::with(
            move |filter| {
                filter.on_disconnect = Box::new(move |_| {
                    until(|| sends.load(Ordering::SeqCst) == 2);
                    order.lock().unwrap().push("disconnected");
                });
            },
            |options| options,
        )
    };
    both(
        make,
        |host, line| {
            let filter = host.accepted();
            let ended = |result: Result<_, fltport::Error>| {
                assert_eq!(result.unwrap_err().status(), Status::PORT_DISCONNECTED);
                sends.fetch_add(1, Ordering::SeqCst);
            };
            thread::scope(|scope| {
                scope.spawn(|| ended(filter.ask(b"reply?", &mut [0], Timeout::Never).map(drop)));
                line.hear("has it");
                scope.spawn(|| ended(filter.send(b"receiver?", Timeout::Never)));
                line.say("both wait");
            });
            assert_eq!(host.ended(), 1);
            assert_eq!(std::mem::take(&mut *order.lock().unwrap()), ["disconnected"]);
            sends.store(0, Ordering::SeqCst);
        },
        |app| {
            let port = app.connect();
            port.recv().unwrap().detach();
            app.say("has it");
            app.hear("both wait");
            // refused: so its sender does wait for a larger one
            port.recv_limited(0, Timeout::After(LONG)).unwrap().unwrap();
            app.crash(&port);
        },
    );
}

/// A handle cannot be given to another process here: a clone in another thread stands for the duplicate. Receives
/// belong to the call or the `Receiver` that posted them, and end with it; the connection stays.
#[test]
fn a_receiver_that_ends_takes_back_its_receives_and_leaves_the_connection() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            line.hear("gone");
            assert_eq!(filter.send(b"x", Timeout::Poll).unwrap_err().status(), Status::TIMEOUT);
            line.say("nothing was posted");
            filter.send(b"y", Timeout::After(LONG)).unwrap();
            host.ended();
        },
        |app| {
            let port = app.connect();
            let duplicate = port.clone();
            thread::scope(|scope| {
                scope.spawn(move || drop(duplicate.receiver(5).unwrap()));
            });
            app.say("gone");
            app.hear("nothing was posted");
            assert_eq!(port.recv().unwrap().body(), b"y");
            port.close();
        },
    );
}

#[test]
fn the_last_clone_ends_the_connection() {
    both(
        echo,
        |host, line| {
            let filter = host.accepted();
            line.hear("one is left");
            host.nothing_more();
            talks(&filter);
            line.say("talked");
            host.ended();
            is_over_for_the_filter(&filter);
        },
        |app| {
            let parent = app.connect();
            let child = parent.clone();
            parent.close();
            app.say("one is left");
            answers(&child);
            app.hear("talked");
            child.close();
        },
    );
}

#[test]
fn row_037_disconnecting_ends_a_blocked_receive_and_returns_after_the_callback() {
    let called = Arc::new(Barrier::new(2));
    let make = || {
        let called = Arc::clone(&called);
        Host::with(
            move |filter| {
                filter.on_disconnect = Box::new(move |_| {
                    called.wait();
                    // gives a disconnect that does not wait the time to return
                    thread::park_timeout(Duration::from_millis(20));
                });
            },
            |options| options,
        )
    };
    both(
        make,
        |host, line| {
            host.accepted();
            // the receive ends before the callback has: that cannot begin to return yet
            line.hear("received the end");
            called.wait();
            line.hear("returned");
            assert_eq!(host.events.try_recv(), Ok(Event::Disconnected(1)));
        },
        |app| {
            let port = app.connect();
            let (tell, told) = sync_channel(1);
            thread::scope(|scope| {
                scope.spawn(|| {
                    tell.send(this_thread()).unwrap();
                    let status = port.recv().unwrap_err().status();
                    assert_eq!((status, hresult(status)), (Status::PORT_DISCONNECTED, 0x8007_0006));
                    app.say("received the end");
                });
                until_it_sleeps(told.recv().unwrap());
                port.disconnect();
                app.say("returned");
            });
            is_over(&port);
        },
    );
}

#[test]
fn row_038_disconnecting_waits_for_a_message_callback() {
    let (entered, enter) = sync_channel(1);
    let (leave, left) = sync_channel::<()>(1);
    let left = Arc::new(Mutex::new(left));
    let order = Arc::new(Mutex::new(Vec::new()));
    let make = || {
        let (entered, left) = (entered.clone(), Arc::clone(&left));
        let (message, end) = (Arc::clone(&order), Arc::clone(&order));
        Host::with(
            move |filter| {
                filter.on_message = Box::new(move |_, _, _| {
                    entered.send(()).unwrap();
                    left.lock().unwrap().recv_timeout(LONG).unwrap();
                    // gives a disconnect that does not wait the time to return
                    thread::park_timeout(Duration::from_millis(20));
                    message.lock().unwrap().push("message");
                    Response::from(0)
                });
                filter.on_disconnect = Box::new(move |_| end.lock().unwrap().push("disconnect"));
            },
            |options| options,
        )
    };
    both(
        make,
        |host, line| {
            let filter = host.accepted();
            enter.recv_timeout(LONG).unwrap();
            line.say("in the callback");
            // the end has begun, and the callback holds it up
            until(|| !filter.is_connected());
            assert!(order.lock().unwrap().is_empty());
            leave.send(()).unwrap();
            line.hear("returned");
            assert_eq!(std::mem::take(&mut *order.lock().unwrap()), ["message", "disconnect"]);
            assert_eq!(host.events.try_recv(), Ok(Event::Disconnected(1)));
        },
        |app| {
            let port = app.connect();
            thread::scope(|scope| {
                // ends with the connection, or with the answer if that is sooner
                scope.spawn(|| port.send(b"x", &mut []).map(drop).unwrap_or_default());
                app.hear("in the callback");
                port.disconnect();
                app.say("returned");
            });
        },
    );
}

fn closed_by_the_filter(host: &Host, line: &Line) -> Client {
    let filter = host.accepted();
    line.hear("receiving");
    filter.close();
    filter
}

fn sees_the_end(app: &App) -> Connection {
    let port = app.connect();
    let mut receiver = port.receiver(2).unwrap();
    app.say("receiving");
    let status = receiver.recv().unwrap_err().status();
    assert_eq!((status, hresult(status)), (Status::PORT_DISCONNECTED, 0x8007_0006));
    port
}

#[test]
fn row_039_a_client_that_the_filter_closes_fails_from_then_on() {
    both(
        echo,
        |host, line| {
            let filter = closed_by_the_filter(host, line);
            is_over_for_the_filter(&filter);
            line.hear("over");
            host.nothing_more();
            line.say("close");
            assert_eq!(host.ended(), 1);
        },
        |app| {
            let port = sees_the_end(app);
            is_over(&port);
            app.say("over");
            app.hear("close");
            port.close();
        },
    );
}

#[test]
fn row_040_closing_the_dead_handle_calls_the_callback_once_and_waits_for_it() {
    both(
        Host::new,
        |host, line| {
            closed_by_the_filter(host, line);
            line.hear("closed");
            assert_eq!(host.events.try_recv(), Ok(Event::Disconnected(1)));
            line.say("seen");
            line.hear("again");
            host.nothing_more();
        },
        |app| {
            sees_the_end(app).close();
            app.say("closed");
            app.hear("seen");
            app.say("again");
        },
    );
}

/// A thread that waits in the filter is released by its own close, not by the application, which keeps its handle.
#[test]
fn a_filter_that_closes_a_client_releases_those_who_wait_for_it() {
    // longer than the test waits: no thread is released by this
    let patience = Timeout::After(4 * LONG);
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            let (tell, told) = sync_channel(2);
            thread::scope(|scope| {
                let reply = scope.spawn(|| {
                    tell.send(this_thread()).unwrap();
                    filter.ask(b"reply?", &mut [0], patience).unwrap_err().status()
                });
                line.hear("has it");
                let receive = scope.spawn(|| {
                    tell.send(this_thread()).unwrap();
                    filter.send(b"receiver?", patience).unwrap_err().status()
                });
                line.hear("both wait");
                (0..2).for_each(|_| until_it_sleeps(told.recv().unwrap()));
                filter.close();
                until(|| reply.is_finished() && receive.is_finished());
                assert_eq!([reply.join().unwrap(), receive.join().unwrap()], [Status::PORT_DISCONNECTED; 2]);
            });
            host.nothing_more();
            line.say("released");
            host.ended();
        },
        |app| {
            let port = app.connect();
            port.recv().unwrap().detach();
            app.say("has it");
            // refused: so its sender does wait for a larger one
            port.recv_limited(0, Timeout::After(LONG)).unwrap().unwrap();
            app.say("both wait");
            app.hear("released");
            port.close();
        },
    );
}

/// A client may go on posting, whatever its filter has said: nothing of it reaches the message callback any more.
#[test]
fn a_client_that_the_filter_has_closed_is_not_heard() {
    let (call, called) = sync_channel(10);
    let (leave, left) = sync_channel::<()>(1);
    let left = Mutex::new(left);
    let host = Host::with(
        move |filter| {
            filter.on_message = Box::new(move |client, input, _| {
                client.close();
                call.send(input.to_vec()).unwrap();
                left.lock().unwrap().recv_timeout(LONG).unwrap();
                Response::from(0)
            });
        },
        |options| options,
    );
    let raw = Raw::connect(&host.namespace());
    host.accepted();
    let posted = raw.post_send(b"close", 5, 0);
    assert_eq!(called.recv_timeout(LONG).unwrap(), b"close");
    // beside it, as if nothing had happened; the thread that returns from the callback looks for more
    let (slot, shared) = (posted.slot + 1, raw.shared());
    shared.slots[slot].len.store(4, Ordering::SeqCst);
    shared.slots[slot].word.store(Word::new(State::Posted, Generation::new(1)).raw(), Ordering::SeqCst);
    shared.requests.word.fetch_or(1 << (slot - GETS), Ordering::SeqCst);
    leave.send(()).unwrap();
    until(|| shared.requests.word.load(Ordering::SeqCst) & 1 << (slot - GETS) == 0);
    leave.send(()).unwrap();
    drop(raw);
    assert_eq!(host.ended(), 1);
    assert_eq!(called.try_recv().ok(), None);
}

/// The filter's close does not free the place: the end of the dead handle does, when the disconnect callback has
/// returned.
#[test]
fn a_client_that_the_filter_closes_keeps_its_place_as_long_as_its_handle() {
    both(
        || Host::with(|_| {}, |options| options.max_connections(1)),
        |host, line| {
            closed_by_the_filter(host, line);
            line.hear("refused");
            host.nothing_more();
            line.say("close");
            assert_eq!(host.ended(), 1);
            host.accepted();
        },
        |app| {
            let port = sees_the_end(app);
            let status = app.connect_with(b"").unwrap_err().status();
            assert_eq!((status, hresult(status)), (Status::CONNECTION_COUNT_LIMIT, 0x8007_04d6));
            app.say("refused");
            app.hear("close");
            port.close();
            app.connect().close();
        },
    );
}

#[test]
fn row_041_closing_a_client_again_does_nothing() {
    both(
        Host::new,
        |host, _| {
            let filter = host.accepted();
            for _ in 0..3 {
                filter.close();
                filter.clone().close();
            }
            assert_eq!(host.ended(), 1);
            filter.close();
            host.nothing_more();
        },
        |app| {
            let port = app.connect();
            assert_eq!(port.recv().unwrap_err().status(), Status::PORT_DISCONNECTED);
            port.close();
        },
    );
}

#[test]
fn row_042_a_close_that_races_a_send_gives_one_result_or_the_other() {
    const ROUNDS: usize = 40;
    both(
        Host::new,
        |host, _| {
            for round in 0..ROUNDS {
                let filter = host.accepted();
                thread::scope(|scope| {
                    let senders: Vec<_> =
                        (0..2).map(|_| scope.spawn(|| filter.send(b"?", Timeout::After(LONG)))).collect();
                    let asker = scope.spawn(|| ask(&filter, b"?"));
                    // so that the close meets another moment each time
                    (0..round * 200).for_each(|_| std::hint::spin_loop());
                    filter.close();
                    for sender in senders {
                        let status = sender.join().unwrap().map_err(|error| error.status());
                        assert!(matches!(status, Ok(()) | Err(Status::PORT_DISCONNECTED)), "{status:?}");
                    }
                    let asked = asker.join().unwrap();
                    assert!(asked == Ok(b"!".to_vec()) || asked == Err(Status::PORT_DISCONNECTED), "{asked:?}");
                });
                host.ended();
            }
        },
        |app| {
            for _ in 0..ROUNDS {
                let port = app.connect();
                while let Ok(message) = port.recv() {
                    let _ = message.reply(Status::SUCCESS, b"!");
                }
                port.close();
            }
        },
    );
}

#[test]
fn row_043_a_send_in_the_disconnect_callback_is_disconnected() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let make = || {
        let seen = Arc::clone(&seen);
        Host::with(
            move |filter| {
                filter.on_disconnect = Box::new(move |client| {
                    let sent = client.send(b"bye", Timeout::Never).unwrap_err().status();
                    seen.lock().unwrap().extend([Err(sent), ask(client, b"bye?").map(drop)]);
                });
            },
            |options| options,
        )
    };
    both(
        make,
        |host, _| {
            host.accepted();
            host.ended();
            let seen = std::mem::take(&mut *seen.lock().unwrap());
            assert_eq!(seen, [Err(Status::PORT_DISCONNECTED), Err(Status::PORT_DISCONNECTED)]);
        },
        |app| app.connect().close(),
    );
}

/// A handle that was closed cannot be named any more, see the example at `Connection::close`, which does not compile.
/// What is left: a dead port, a bad handle and a fork's handle are one HRESULT, as on Windows. (A fork's handle:
/// `e2e`.)
#[test]
fn row_098_a_bad_handle_looks_like_a_dead_port() {
    assert_eq!(hresult(Status::INVALID_HANDLE), 0x8007_0006);
    assert_eq!(hresult(Status::INVALID_HANDLE), hresult(Status::PORT_DISCONNECTED));
    both(
        Host::new,
        |host, _| {
            let filter = host.accepted();
            filter.close();
            host.ended();
        },
        |app| {
            let port = app.connect();
            let same = |error: fltport::Error| assert_eq!(hresult(error.status()), 0x8007_0006, "{error}");
            same(port.recv().unwrap_err());
            same(port.recv_limited(0, Timeout::Never).unwrap_err());
            same(port.completions().post(1, 100).unwrap_err());
            same(port.send(b"x", &mut []).unwrap_err());
            same(port.duplicate().unwrap_err());
            is_over(&port);
        },
    );
}
