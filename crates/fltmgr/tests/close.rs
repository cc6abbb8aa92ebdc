//! The ends of connections and ports: rows 27 to 43, 98, and 101 to 104 of the table in `doc/windows.md`.

mod common;

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use common::{App, Event, LONG, Line, PORT, World, both, hresult, watchdog};
use fltmgr::{Answer, Client, Connection, Status, Timeout};

/// A world whose filter answers requests with what it got.
fn echo() -> World {
    World::with(
        |filter| {
            filter.on_message = Box::new(|_, input, output| {
                output[..input.len()].copy_from_slice(input);
                Answer::from(input.len())
            });
        },
        |options| options,
    )
}

fn ask(filter: &Client, message: &[u8]) -> Result<Vec<u8>, Status> {
    let mut reply = [0; 64];
    match filter.ask(message, &mut reply, Timeout::After(LONG)) {
        Ok(answer) => Ok(reply[..answer.len].to_vec()),
        Err(error) => Err(error.status()),
    }
}

/// The application's half of [`talks`].
fn answers(port: &Connection) {
    let message = port.recv().unwrap();
    let body = message.body().to_vec();
    message.reply(Status::SUCCESS, &body).unwrap();
    let mut output = [0; 4];
    assert_eq!(port.send(b"ping", &mut output).unwrap(), 4);
    assert_eq!(&output, b"ping");
}

/// That a connection works both ways.
fn talks(filter: &Client) {
    assert_eq!(ask(filter, b"still there?"), Ok(b"still there?".to_vec()));
}

/// That a connection is over for the application: whatever it calls fails at once.
fn is_over(port: &Connection) {
    assert_eq!(port.recv().unwrap_err().status(), Status::PORT_DISCONNECTED);
    assert_eq!(port.send(b"x", &mut []).unwrap_err().status(), Status::PORT_DISCONNECTED);
    assert_eq!(port.reply(1, Status::SUCCESS, b"").unwrap_err().status(), Status::FLT_NO_WAITER_FOR_REPLY);
    assert!(!port.is_connected());
}

/// That a connection is over for the filter.
fn is_over_for_the_filter(filter: &Client) {
    assert_eq!(filter.send(b"x", Timeout::Never).unwrap_err().status(), Status::PORT_DISCONNECTED);
    assert_eq!(ask(filter, b"x"), Err(Status::PORT_DISCONNECTED));
    assert!(!filter.is_connected());
}

#[test]
fn row_027_closing_a_port_leaves_its_connections_and_lets_nobody_in() {
    both(
        echo,
        |world, line| {
            let filter = world.accepted();
            world.port.take().unwrap().close();
            line.say("closed");
            talks(&filter);
            // a reply counts only as long as the connection stands
            line.say("talked");
            assert_eq!(world.ended(), 1);
        },
        |app| {
            let port = app.connect();
            app.hear("closed");
            assert_eq!(app.refusal(PORT), Status::OBJECT_NAME_NOT_FOUND);
            answers(&port);
            app.hear("talked");
            port.close();
        },
    );
}

#[test]
fn row_028_a_name_is_free_when_its_port_closes_and_the_new_port_counts_for_itself() {
    both(
        || World::with(|_| {}, |options| options.max_connections(1)),
        |world, line| {
            let old = world.accepted();
            world.port.take().unwrap().close();
            let again = world.beside(PORT, |_| {}, |options| options.max_connections(1)).unwrap();
            line.say("again");
            let new = again.accepted();
            old.send(b"old", Timeout::After(LONG)).unwrap();
            new.send(b"new", Timeout::After(LONG)).unwrap();
            line.hear("done");
        },
        |app| {
            let old = app.connect();
            app.hear("again");
            let new = app.connect();
            assert_eq!(app.refusal(PORT), Status::CONNECTION_COUNT_LIMIT);
            assert_eq!(old.recv().unwrap().body(), b"old");
            assert_eq!(new.recv().unwrap().body(), b"new");
            app.say("done");
        },
    );
}

/// On Windows this hangs.
#[test]
fn row_029_unloading_closes_the_port_too() {
    both(
        World::new,
        |world, line| {
            world.unload();
            line.say("unloaded");
        },
        |app| {
            app.hear("unloaded");
            assert_eq!(app.refusal(PORT), Status::OBJECT_NAME_NOT_FOUND);
        },
    );
}

#[test]
fn row_030_unloading_ends_connections_on_its_own_thread() {
    let on = Arc::new(Mutex::new(Vec::new()));
    let make = || {
        let on = Arc::clone(&on);
        World::with(
            move |filter| {
                filter.on_disconnect = Box::new(move |_| on.lock().unwrap().push(thread::current().id()));
            },
            |options| options,
        )
    };
    both(
        make,
        |world, line| {
            let filter = world.accepted();
            line.hear("receiving");
            world.unload();
            assert_eq!(world.events.try_recv(), Ok(Event::Disconnected(1)));
            assert_eq!(std::mem::take(&mut *on.lock().unwrap()), [thread::current().id()]);
            is_over_for_the_filter(&filter);
            line.hear("ended");
        },
        |app| {
            let port = app.connect();
            let mut receiver = port.receiver(3).unwrap();
            app.say("receiving");
            let status = receiver.recv().unwrap_err().status();
            assert_eq!(status, Status::PORT_DISCONNECTED);
            assert_eq!(hresult(status), 0x8007_0006);
            app.say("ended");
        },
    );
}

#[test]
fn unloading_waits_for_ends_that_began_on_other_threads() {
    let gate = Arc::new(Barrier::new(2));
    let make = || {
        let gate = Arc::clone(&gate);
        World::with(
            move |filter| {
                filter.on_disconnect = Box::new(move |_| {
                    gate.wait();
                    gate.wait();
                });
            },
            |options| options,
        )
    };
    both(
        make,
        |world, _| {
            world.accepted();
            gate.wait();
            let port = world.port.take().unwrap();
            thread::scope(|scope| {
                let unloading = scope.spawn(move || port.unload());
                gate.wait();
                unloading.join().unwrap();
            });
            assert_eq!(world.events.try_recv(), Ok(Event::Disconnected(1)));
        },
        |app| app.connect().close(),
    );
}

#[test]
fn row_031_closing_after_an_unload_tells_the_filter_nothing_new() {
    both(
        World::new,
        |world, line| {
            world.accepted();
            world.unload();
            assert_eq!(world.ended(), 1);
            line.say("unloaded");
            line.hear("closed");
            world.nothing_more();
        },
        |app| {
            let port = app.connect();
            app.hear("unloaded");
            port.close();
            app.say("closed");
        },
    );
}

#[test]
fn row_032_a_request_after_an_unload_is_disconnected() {
    both(
        echo,
        |world, line| {
            world.accepted();
            world.unload();
            line.say("unloaded");
            line.hear("done");
        },
        |app| {
            let port = app.connect();
            app.hear("unloaded");
            assert_eq!(port.recv().unwrap_err().status(), Status::PORT_DISCONNECTED);
            assert_eq!(port.send(b"x", &mut []).unwrap_err().status(), Status::PORT_DISCONNECTED);
            app.say("done");
        },
    );
}

#[test]
fn row_033_a_reply_after_the_end_finds_no_waiter() {
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
            thread::scope(|scope| {
                let asking = scope.spawn(|| ask(&filter, b"?"));
                line.hear("has it");
                filter.close();
                assert_eq!(asking.join().unwrap(), Err(Status::PORT_DISCONNECTED));
            });
            line.say("closed");
            world.ended();
        },
        |app| {
            let port = app.connect();
            let message = port.recv().unwrap();
            app.say("has it");
            app.hear("closed");
            let status = message.reply(Status::SUCCESS, b"late").unwrap_err().status();
            assert_eq!(status, Status::FLT_NO_WAITER_FOR_REPLY);
            assert_eq!(hresult(status), 0x801f_0020);
            port.close();
        },
    );
}

/// The application ends without closing anything: in a process of its own it is killed. Every send of the filter ends, and
/// then the disconnect callback runs.
#[test]
fn row_034_the_end_of_the_application_ends_every_send() {
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
            thread::scope(|scope| {
                let reply = scope.spawn(|| ask(&filter, b"who answers?"));
                line.hear("has it");
                let buffer = scope.spawn(|| filter.send(b"who receives?", Timeout::Never).unwrap_err().status());
                line.say("end");
                assert_eq!(reply.join().unwrap(), Err(Status::PORT_DISCONNECTED));
                assert_eq!(buffer.join().unwrap(), Status::PORT_DISCONNECTED);
            });
            assert_eq!(world.ended(), 1);
        },
        |app| {
            let port = app.connect();
            let message = port.recv().unwrap();
            // the filter waits on although the message object is gone
            message.detach();
            app.say("has it");
            app.hear("end");
            port.disconnect();
        },
    );
}

/// A handle cannot be given to another process here: a clone in another thread stands for the duplicate. Receives belong to
/// the call or the `Receiver` that posted them, and end with it; the connection stays.
#[test]
fn row_035_a_receiver_that_ends_takes_back_its_receives_and_leaves_the_connection() {
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
            line.hear("gone");
            assert_eq!(filter.send(b"x", Timeout::Poll).unwrap_err().status(), Status::TIMEOUT);
            line.say("nothing was posted");
            filter.send(b"y", Timeout::After(LONG)).unwrap();
            world.ended();
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
fn row_036_the_last_handle_ends_the_connection() {
    both(
        echo,
        |world, line| {
            let filter = world.accepted();
            line.hear("one is left");
            world.nothing_more();
            talks(&filter);
            line.say("talked");
            world.ended();
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
        World::with(
            move |filter| {
                filter.on_disconnect = Box::new(move |_| {
                    called.wait();
                });
            },
            |options| options,
        )
    };
    both(
        make,
        |world, line| {
            world.accepted();
            line.hear("disconnecting");
            called.wait();
            assert_eq!(world.ended(), 1);
            line.hear("returned");
        },
        |app| {
            let port = app.connect();
            thread::scope(|scope| {
                let receiver = scope.spawn(|| port.recv().unwrap_err().status());
                app.say("disconnecting");
                port.disconnect();
                app.say("returned");
                assert_eq!(receiver.join().unwrap(), Status::PORT_DISCONNECTED);
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
        World::with(
            move |filter| {
                filter.on_message = Box::new(move |_, _, _| {
                    entered.send(()).unwrap();
                    left.lock().unwrap().recv_timeout(LONG).unwrap();
                    message.lock().unwrap().push("message");
                    Answer::from(0)
                });
                filter.on_disconnect = Box::new(move |_| end.lock().unwrap().push("disconnect"));
            },
            |options| options,
        )
    };
    both(
        make,
        |world, line| {
            world.accepted();
            enter.recv_timeout(LONG).unwrap();
            line.say("in the callback");
            line.hear("disconnecting");
            assert!(order.lock().unwrap().is_empty());
            leave.send(()).unwrap();
            world.ended();
            assert_eq!(std::mem::take(&mut *order.lock().unwrap()), ["message", "disconnect"]);
            line.hear("returned");
        },
        |app| {
            let port = app.connect();
            thread::scope(|scope| {
                // ends with the connection, or with the answer if that is sooner
                scope.spawn(|| port.send(b"x", &mut []).map(drop).unwrap_or_default());
                app.hear("in the callback");
                app.say("disconnecting");
                port.disconnect();
                app.say("returned");
            });
        },
    );
}

fn closed_by_the_filter(world: &World, line: &Line) -> Client {
    let filter = world.accepted();
    line.hear("receiving");
    filter.close();
    filter
}

fn sees_the_end(app: &App) -> Connection {
    let port = app.connect();
    let mut receiver = port.receiver(2).unwrap();
    app.say("receiving");
    assert_eq!(receiver.recv().unwrap_err().status(), Status::PORT_DISCONNECTED);
    port
}

#[test]
fn row_039_a_client_that_the_filter_closes_fails_from_then_on() {
    both(
        echo,
        |world, line| {
            let filter = closed_by_the_filter(world, line);
            is_over_for_the_filter(&filter);
            line.hear("over");
            world.nothing_more();
            line.say("close");
            assert_eq!(world.ended(), 1);
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
        World::new,
        |world, line| {
            closed_by_the_filter(world, line);
            line.hear("closed");
            assert_eq!(world.events.try_recv(), Ok(Event::Disconnected(1)));
            line.say("seen");
            line.hear("again");
            world.nothing_more();
        },
        |app| {
            sees_the_end(app).close();
            app.say("closed");
            app.hear("seen");
            app.say("again");
        },
    );
}

#[test]
fn row_041_closing_a_client_again_does_nothing() {
    both(
        World::new,
        |world, _| {
            let filter = world.accepted();
            for _ in 0..3 {
                filter.close();
                filter.clone().close();
            }
            assert_eq!(world.ended(), 1);
            filter.close();
            world.nothing_more();
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
        World::new,
        |world, _| {
            for round in 0..ROUNDS {
                let filter = world.accepted();
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
                world.ended();
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
        World::with(
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
        |world, _| {
            world.accepted();
            world.ended();
            let seen = std::mem::take(&mut *seen.lock().unwrap());
            assert_eq!(seen, [Err(Status::PORT_DISCONNECTED), Err(Status::PORT_DISCONNECTED)]);
        },
        |app| app.connect().close(),
    );
}

/// A handle that was closed cannot be named any more, see the example at `Connection::close`, which does not compile. What
/// is left: a dead port, a bad handle and a fork's handle are one HRESULT, as on Windows. (A fork's handle: `e2e`.)
#[test]
fn row_098_a_bad_handle_looks_like_a_dead_port() {
    assert_eq!(hresult(Status::INVALID_HANDLE), 0x8007_0006);
    assert_eq!(hresult(Status::INVALID_HANDLE), hresult(Status::PORT_DISCONNECTED));
    both(
        World::new,
        |world, _| {
            let filter = world.accepted();
            filter.close();
        },
        |app| {
            let port = app.connect();
            while port.is_connected() {
                assert_eq!(hresult(port.recv().unwrap_err().status()), 0x8007_0006);
            }
        },
    );
}

#[test]
fn row_101_an_old_handle_stays_dead_when_the_filter_is_loaded_again() {
    both(
        echo,
        |world, line| {
            world.accepted();
            world.unload();
            let again = world.beside(PORT, |_| {}, |options| options).unwrap();
            line.say("again");
            let new = again.accepted();
            new.send(b"new", Timeout::After(LONG)).unwrap();
            line.hear("done");
        },
        |app| {
            let old = app.connect();
            app.hear("again");
            is_over(&old);
            let new = app.connect();
            assert_eq!(new.recv().unwrap().body(), b"new");
            is_over(&old);
            app.say("done");
        },
    );
}

#[test]
fn row_102_ids_begin_again_with_each_connection() {
    both(
        World::new,
        |world, line| {
            for _ in 0..3 {
                let filter = world.accepted();
                for _ in 0..4 {
                    ask(&filter, b"?").unwrap();
                }
                line.say("answered");
                world.ended();
            }
        },
        |app| {
            for _ in 0..3 {
                let port = app.connect();
                for id in 1..=4 {
                    let message = port.recv().unwrap();
                    assert_eq!(message.id(), id);
                    message.reply(Status::SUCCESS, b"").unwrap();
                }
                app.hear("answered");
                port.close();
            }
        },
    );
}

#[test]
fn row_103_a_filter_that_keeps_a_dead_client_keeps_no_place() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let make = || {
        let kept = Arc::clone(&kept);
        World::with(
            move |filter| filter.on_disconnect = Box::new(move |client| kept.lock().unwrap().push(client.clone())),
            |options| options.max_connections(1),
        )
    };
    both(
        make,
        |world, line| {
            line.hear("done");
            let kept = std::mem::take(&mut *kept.lock().unwrap());
            assert_eq!(kept.len(), 5);
            for client in kept {
                is_over_for_the_filter(&client);
            }
            world.accepted();
        },
        |app| {
            for _ in 0..5 {
                app.connect().close();
            }
            app.say("done");
        },
    );
}

#[test]
fn row_104_any_part_of_the_program_may_send_to_a_client() {
    watchdog();
    let ours = World::new();
    let (app, client) = ours.pair();
    let other = World::with(
        move |filter| {
            filter.on_message = Box::new(move |_, input, _| {
                client
                    .send(input, Timeout::After(Duration::from_secs(10)))
                    .map_or_else(|e| e.status().into(), |()| 0.into())
            });
        },
        |options| options,
    );
    let second = other.connect();
    thread::scope(|scope| {
        let receiver = scope.spawn(|| app.recv().unwrap().body().to_vec());
        second.send(b"by another port", &mut []).unwrap();
        assert_eq!(receiver.join().unwrap(), b"by another port");
    });
}
