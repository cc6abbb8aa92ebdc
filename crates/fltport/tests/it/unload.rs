//! Ports that close, filters that unload and come back: rows 27 to 33 and 101 to 104 of the table in `doc/windows.md`.

use std::sync::{Arc, Mutex};
use std::thread;

use fltport::{Status, Timeout};
use testkit::talk::{answers, ask, echo, is_over, is_over_for_the_filter, talks};
use testkit::{Event, Gate, Host, LONG, PORT, both, hresult};

#[test]
fn row_027_closing_a_port_leaves_its_connections_and_lets_nobody_in() {
    both(
        echo,
        |host, line| {
            let filter = host.accepted();
            host.port.take().unwrap().close();
            line.say("closed");
            talks(&filter);
            // a reply counts only as long as the connection stands
            line.say("talked");
            assert_eq!(host.ended(), 1);
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
        || Host::with(|_| {}, |options| options.max_connections(1)),
        |host, line| {
            let old = host.accepted();
            host.port.take().unwrap().close();
            let again = host.beside(PORT, |_| {}, |options| options.max_connections(1)).unwrap();
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
        Host::new,
        |host, line| {
            host.unload();
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
        Host::with(
            move |filter| {
                filter.on_disconnect = Box::new(move |_| on.lock().unwrap().push(thread::current().id()));
            },
            |options| options,
        )
    };
    both(
        make,
        |host, line| {
            let filter = host.accepted();
            line.hear("receiving");
            host.unload();
            assert_eq!(host.events.try_recv(), Ok(Event::Disconnected(1)));
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
    let gate = Gate::default();
    both(
        || Host::with(gate.at_the_end(), |options| options),
        |host, _| {
            host.accepted();
            gate.pass();
            let port = host.port.take().unwrap();
            thread::scope(|scope| {
                let unloading = scope.spawn(move || port.unload());
                gate.pass();
                unloading.join().unwrap();
            });
            assert_eq!(host.events.try_recv(), Ok(Event::Disconnected(1)));
        },
        |app| app.connect().close(),
    );
}

#[test]
fn row_031_closing_after_an_unload_tells_the_filter_nothing_new() {
    both(
        Host::new,
        |host, line| {
            host.accepted();
            host.unload();
            assert_eq!(host.ended(), 1);
            line.say("unloaded");
            line.hear("closed");
            host.nothing_more();
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
        |host, line| {
            host.accepted();
            host.unload();
            line.say("unloaded");
            line.hear("done");
        },
        |app| {
            let port = app.connect();
            app.hear("unloaded");
            let status = port.send(b"x", &mut []).unwrap_err().status();
            assert_eq!(status, Status::PORT_DISCONNECTED);
            assert_eq!(hresult(status), 0x8007_0006);
            is_over(&port);
            app.say("done");
        },
    );
}

/// The end comes in both ways: the filter closes the client, and the filter is unloaded.
#[test]
fn row_033_a_reply_after_the_end_finds_no_waiter() {
    both(
        Host::new,
        |host, line| {
            for unload in [false, true] {
                let filter = host.accepted();
                thread::scope(|scope| {
                    let asking = scope.spawn(|| ask(&filter, b"?"));
                    line.hear("has it");
                    if unload {
                        host.unload();
                    } else {
                        filter.close();
                    }
                    assert_eq!(asking.join().unwrap(), Err(Status::PORT_DISCONNECTED));
                });
                line.say("over");
                host.ended();
            }
            line.hear("replied");
        },
        |app| {
            for _ in 0..2 {
                let port = app.connect();
                let message = port.recv().unwrap();
                app.say("has it");
                app.hear("over");
                let id = message.id();
                let status = message.reply(Status::SUCCESS, b"late").unwrap_err().status();
                assert_eq!(status, Status::FLT_NO_WAITER_FOR_REPLY);
                assert_eq!(hresult(status), 0x801f_0020);
                let by_id = port.reply(id, Status::SUCCESS, b"late").unwrap_err().status();
                assert_eq!(by_id, Status::FLT_NO_WAITER_FOR_REPLY);
                port.close();
            }
            app.say("replied");
        },
    );
}

#[test]
fn row_101_an_old_handle_stays_dead_when_the_filter_is_loaded_again() {
    both(
        echo,
        |host, line| {
            host.accepted();
            host.unload();
            let again = host.beside(PORT, |_| {}, |options| options).unwrap();
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
        Host::new,
        |host, line| {
            for _ in 0..3 {
                let filter = host.accepted();
                for _ in 0..4 {
                    ask(&filter, b"?").unwrap();
                }
                line.say("answered");
                host.ended();
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
        Host::with(
            move |filter| filter.on_disconnect = Box::new(move |client| kept.lock().unwrap().push(client.clone())),
            |options| options.max_connections(1),
        )
    };
    both(
        make,
        |host, line| {
            line.hear("done");
            let kept = std::mem::take(&mut *kept.lock().unwrap());
            assert_eq!(kept.len(), 5);
            for client in kept {
                is_over_for_the_filter(&client);
            }
            host.accepted();
        },
        |app| {
            for _ in 0..5 {
                app.connect().close();
            }
            app.say("done");
        },
    );
}

/// On Windows a filter names itself when it sends, and nothing checks that. Here there is nothing to name: another port's
/// filter sends to the client of the first.
#[test]
fn row_104_any_part_of_the_program_may_send_to_a_client() {
    both(
        Host::new,
        |host, line| {
            let client = host.accepted();
            let make = |filter: &mut testkit::Filter| {
                filter.on_message = Box::new(move |_, input, _| {
                    let sent = client.send(input, Timeout::After(LONG));
                    sent.map_or_else(|error| error.status().into(), |()| 0.into())
                });
            };
            let other = host.beside(r"\Other", make, |options| options).unwrap();
            line.say("made");
            other.accepted();
            other.ended();
        },
        |app| {
            let port = app.connect();
            app.hear("made");
            let other = app.connect_to(r"\Other", b"").unwrap();
            thread::scope(|scope| {
                let receiver = scope.spawn(|| port.recv().unwrap().body().to_vec());
                other.send(b"by another port", &mut []).unwrap();
                assert_eq!(receiver.join().unwrap(), b"by another port");
            });
        },
    );
}
