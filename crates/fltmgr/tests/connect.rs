//! Connecting: rows 1 to 14 and 21 to 26 of the table in `doc/windows.md`.

mod common;

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use common::{App, Event, LONG, World, both, hresult, watchdog};
use fltmgr::{Client, Connection, SecurityDescriptor, Status, Timeout};

fn guarded(sddl: &'static str) -> World {
    let security: SecurityDescriptor = sddl.parse().unwrap();
    World::with(|_| {}, |options| options.security(security.clone()))
}

fn refusing(status: Status) -> World {
    World::with(
        |filter| {
            filter.on_connect = Box::new(move |_, context| if context == b"let me in" { Ok(()) } else { Err(status) });
        },
        |options| options.max_connections(1),
    )
}

/// The status of a refused connect.
fn refused(app: &App, context: &[u8]) -> Status {
    app.connect_with(context).map(drop).unwrap_err().status()
}

#[test]
fn row_001_a_port_that_does_not_exist_is_not_found() {
    both(
        World::new,
        |world, line| {
            line.hear("tried");
            world.nothing_more();
        },
        |app| {
            let status = app.refusal(r"\Nobody");
            assert_eq!(status, Status::OBJECT_NAME_NOT_FOUND);
            assert_eq!(hresult(status), 0x8007_0002);
            app.say("tried");
        },
    );
}

#[test]
fn row_002_a_caller_without_the_right_is_denied_before_the_filter_hears_of_it() {
    both(
        || guarded("D:(A;;0x1f0001;;;S-1-22-1-54321)"),
        |world, line| {
            line.hear("tried");
            world.nothing_more();
        },
        |app| {
            let error = app.connect_with(b"").unwrap_err();
            assert_eq!(error.status(), Status::ACCESS_DENIED);
            assert_eq!(hresult(error.status()), 0x8007_0005);
            assert!(error.to_string().contains("54321"), "who is admitted: {error}");
            app.say("tried");
        },
    );
}

#[test]
fn row_003_the_connect_right_alone_is_not_enough_even_for_root() {
    both(
        || guarded("D:(A;;0x1;;;WD)(A;;0x1;;;BA)(A;;0x1;;;SY)"),
        |world, line| {
            line.hear("tried");
            world.nothing_more();
        },
        |app| {
            assert_eq!(refused(app, b""), Status::ACCESS_DENIED);
            app.say("tried");
        },
    );
}

#[test]
fn row_004_a_full_port_refuses_and_counts_right_afterwards() {
    both(
        || World::with(|_| {}, |options| options.max_connections(2)),
        |world, line| {
            line.hear("refused");
            assert_eq!(world.next(), Event::Connected(b"1".to_vec()));
            assert_eq!(world.next(), Event::Connected(b"2".to_vec()));
            world.nothing_more();
            line.say("go on");
            world.ended();
            assert_eq!(world.next(), Event::Connected(b"3".to_vec()));
        },
        |app| {
            let first = app.connect_with(b"1").unwrap();
            let _second = app.connect_with(b"2").unwrap();
            for _ in 0..5 {
                let status = refused(app, b"too many");
                assert_eq!(status, Status::CONNECTION_COUNT_LIMIT);
                assert_eq!(hresult(status), 0x8007_04d6);
            }
            app.say("refused");
            app.hear("go on");
            first.close();
            let _third = app.connect_with(b"3").unwrap();
            assert_eq!(refused(app, b"too many"), Status::CONNECTION_COUNT_LIMIT);
        },
    );
}

#[test]
fn row_005_the_place_is_taken_until_the_disconnect_callback_returns() {
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
            |options| options.max_connections(1),
        )
    };
    both(
        make,
        |world, line| {
            world.accepted();
            gate.wait();
            line.say("in the callback");
            line.hear("refused");
            gate.wait();
            world.ended();
            line.say("out of it");
            world.accepted();
            line.hear("done");
            // the second connection's end passes the gate too
            gate.wait();
            gate.wait();
            world.ended();
        },
        |app| {
            let first = app.connect();
            std::thread::scope(|scope| {
                scope.spawn(|| first.close());
                app.hear("in the callback");
                assert_eq!(refused(app, b""), Status::CONNECTION_COUNT_LIMIT);
                app.say("refused");
                app.hear("out of it");
            });
            let second = app.connect();
            app.say("done");
            second.close();
        },
    );
}

#[test]
fn row_006_a_refusal_by_the_filter_is_what_the_client_gets_and_leaves_nothing() {
    both(
        || refusing(Status::INVALID_PARAMETER_3),
        |world, line| {
            world.accepted();
            line.hear("done");
            assert_eq!(world.ended(), 1);
            world.nothing_more();
        },
        |app| {
            for _ in 0..3 {
                let status = refused(app, b"");
                assert_eq!(status, Status::INVALID_PARAMETER_3);
                assert_eq!(hresult(status), 0x8007_0057);
            }
            app.connect_with(b"let me in").unwrap().close();
            app.say("done");
        },
    );
}

#[test]
fn row_007_a_filter_may_close_the_client_that_it_then_refuses() {
    let make = || {
        World::with(
            |filter| {
                filter.on_connect = Box::new(|client, context| {
                    if context == b"let me in" {
                        return Ok(());
                    }
                    client.close();
                    client.close();
                    Err(Status::CONNECTION_REFUSED)
                });
            },
            |options| options.max_connections(1),
        )
    };
    both(
        make,
        |world, _| {
            world.accepted();
            world.ended();
        },
        |app| {
            for _ in 0..3 {
                assert_eq!(refused(app, b""), Status::CONNECTION_REFUSED);
            }
            app.connect_with(b"let me in").unwrap().close();
        },
    );
}

/// On Windows such a connection is accepted; here there is no session without an `Ok`.
#[test]
fn row_008_a_success_that_is_not_zero_refuses_because_there_is_no_session() {
    for status in [Status::TIMEOUT, Status(0x0000_0104), Status(0x4000_0000), Status::SUCCESS] {
        let world = refusing(status);
        assert_eq!(world.connect_with(b"").unwrap_err().status(), Status::INVALID_PARAMETER, "{status:?}");
        world.connect_with(b"let me in").unwrap();
    }
}

#[test]
fn row_009_pending_refuses_instead_of_hanging() {
    both(
        || refusing(Status::PENDING),
        |world, _| {
            world.accepted();
        },
        |app| {
            assert_eq!(refused(app, b""), Status::INVALID_PARAMETER);
            app.connect_with(b"let me in").unwrap().close();
        },
    );
}

#[test]
fn row_010_a_message_from_the_connect_callback_finds_no_receiver() {
    let make = || {
        World::with(
            |filter| {
                filter.on_connect = Box::new(|client, _| {
                    let timeout = Timeout::After(Duration::from_millis(20));
                    let sent = client.send(b"welcome", timeout).unwrap_err().status();
                    let asked = client.ask(b"who?", &mut [0; 4], timeout).unwrap_err().status();
                    assert_eq!((sent, asked), (Status::TIMEOUT, Status::TIMEOUT));
                    Ok(())
                });
            },
            |options| options,
        )
    };
    both(
        make,
        |world, line| {
            world.accepted();
            line.hear("connected");
        },
        |app| {
            let port = app.connect();
            assert!(port.try_recv().unwrap().is_none());
            app.say("connected");
        },
    );
}

#[test]
fn row_011_a_connect_callback_that_blocks_holds_up_nobody_else() {
    let (release, released) = sync_channel::<()>(1);
    let released = Arc::new(Mutex::new(released));
    let make = || {
        let released = Arc::clone(&released);
        World::with(
            move |filter| {
                filter.on_connect = Box::new(move |_, context| {
                    if context == b"slow" {
                        released.lock().unwrap().recv_timeout(LONG).unwrap();
                    }
                    Ok(())
                });
            },
            |options| options,
        )
    };
    both(
        make,
        |world, line| {
            // the slow one cannot have connected: it is released afterwards
            assert_eq!(world.next(), Event::Connected(b"quick".to_vec()));
            line.hear("quick is through");
            release.send(()).unwrap();
            assert_eq!(world.next(), Event::Connected(b"slow".to_vec()));
            line.hear("done");
        },
        |app| {
            std::thread::scope(|scope| {
                let slow = scope.spawn(|| app.connect_with(b"slow").unwrap());
                let _quick = app.connect_with(b"quick").unwrap();
                app.say("quick is through");
                let _slow = slow.join().unwrap();
            });
            app.say("done");
        },
    );
}

/// A pointer and a length that disagree cannot be written in Rust: a context is a slice. What is left of the row: nothing
/// given is nothing received, and what the C edge will answer.
#[test]
fn row_012_a_context_is_there_or_not() {
    both(
        World::new,
        |world, _| {
            assert_eq!(world.next(), Event::Connected(Vec::new()));
            assert_eq!(world.next(), Event::Connected(vec![0]));
        },
        |app| {
            let _nothing = app.connect_with(b"").unwrap();
            let _one = app.connect_with(&[0]).unwrap();
            assert_eq!(hresult(Status::INVALID_PARAMETER), 0x8007_0057);
        },
    );
}

#[test]
fn row_013_the_longest_context_is_65511_bytes() {
    let long: Vec<u8> = (0..65_511_u32).map(|index| (index * 7 + index / 256) as u8).collect();
    both(
        World::new,
        |world, line| {
            assert_eq!(world.next(), Event::Connected(long.clone()));
            line.hear("tried");
            let rest: Vec<_> = world.events.try_iter().collect();
            assert!(matches!(rest[..], [] | [Event::Disconnected(1)]), "{rest:?}");
        },
        |app| {
            let _port = app.connect_with(&long).unwrap();
            let status = refused(app, &[0; 65_512]);
            assert_eq!(status, Status::INTEGER_OVERFLOW);
            assert_eq!(hresult(status), 0x8007_0216);
            app.say("tried");
        },
    );
}

/// That the context cannot be used after the callback is a matter of types: see the example at `Serve::connect`, which does
/// not compile. A filter keeps a copy, and it is its own.
#[test]
fn row_014_a_filter_copies_the_context() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let make = || {
        let kept = Arc::clone(&kept);
        World::with(
            move |filter| {
                filter.on_connect = Box::new(move |_, context| {
                    kept.lock().unwrap().push(context.to_vec());
                    Ok(())
                });
            },
            |options| options,
        )
    };
    both(
        make,
        |world, line| {
            line.hear("connected");
            assert_eq!(*kept.lock().unwrap(), (0..20_u8).map(|n| vec![n; 1000]).collect::<Vec<_>>());
            kept.lock().unwrap().clear();
            world.accepted();
        },
        |app| {
            for n in 0..20 {
                app.connect_with(&[n; 1000]).unwrap().close();
            }
            app.say("connected");
        },
    );
}

/// A port's handle is the host's own: a program that the host starts gets no descriptor of it.
#[test]
fn row_021_a_port_is_never_inherited_by_a_program_that_the_host_starts() {
    watchdog();
    let world = World::new();
    let (_app, _filter) = world.pair();
    let listing = std::process::Command::new("ls").args(["-l", "/proc/self/fd"]).output().unwrap();
    assert!(listing.status.success());
    let listing = String::from_utf8(listing.stdout).unwrap();
    for ours in ["fltmgr", "socket:", "eventpoll", "eventfd"] {
        let found: Vec<_> = listing.lines().filter(|line| line.contains(ours)).collect();
        // the test harness may itself have been started with a socket as its input or output
        assert!(found.iter().all(|line| is_standard(line)), "{listing}");
    }
}

fn is_standard(line: &str) -> bool {
    [" 0 -> ", " 1 -> ", " 2 -> "].iter().any(|standard| line.contains(standard))
}

#[test]
fn row_022_a_port_needs_room_for_a_connection() {
    watchdog();
    let world = World::new();
    let none = world.beside(r"\NoRoom", |_| {}, |options| options.max_connections(0));
    let error = none.map(drop).unwrap_err();
    assert_eq!(error.status(), Status::INVALID_PARAMETER);
    assert!(error.to_string().contains("at least one connection"), "{error}");
    world.beside(r"\NoRoom", |_| {}, |options| options.max_connections(1)).unwrap();
}

/// On Windows ports belong to a filter that is being unregistered. Here a port is its own filter, so there is nothing left to
/// create one in: others are not disturbed.
#[test]
fn row_023_a_port_is_created_while_another_unloads() {
    watchdog();
    let gate = Arc::new(Barrier::new(2));
    let at_gate = Arc::clone(&gate);
    let mut world = World::with(
        move |filter| {
            filter.on_disconnect = Box::new(move |_| {
                at_gate.wait();
                at_gate.wait();
            });
        },
        |options| options,
    );
    let (_app, _filter) = world.pair();
    let port = world.port.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || port.unload());
        gate.wait();
        let other = world.beside(r"\Other", |_| {}, |options| options).unwrap();
        let again = world.beside(common::PORT, |_| {}, |options| options).unwrap();
        let _new = world.connect();
        again.accepted();
        other.nothing_more();
        gate.wait();
    });
}

#[test]
fn row_024_a_connect_under_way_when_the_filter_unloads_is_ended_with_it() {
    let (release, released) = sync_channel::<()>(1);
    let (started, start) = sync_channel::<()>(1);
    let (released, started) = (Arc::new(Mutex::new(released)), Arc::new(started));
    let make = || {
        let (released, started) = (Arc::clone(&released), Arc::clone(&started));
        World::with(
            move |filter| {
                filter.on_connect = Box::new(move |_, context| {
                    if context == b"slow" {
                        started.send(()).unwrap();
                        released.lock().unwrap().recv_timeout(LONG).unwrap();
                    }
                    Ok(())
                });
            },
            |options| options,
        )
    };
    both(
        make,
        |world, line| {
            start.recv_timeout(LONG).unwrap();
            let port = world.port.take().unwrap();
            std::thread::scope(|scope| {
                let unloading = scope.spawn(move || port.unload());
                line.say("unloading");
                line.hear("not found");
                assert!(!unloading.is_finished(), "the connect callback still runs");
                release.send(()).unwrap();
                unloading.join().unwrap();
            });
            // unload has returned, so all callbacks have
            let (connected, ended): (Vec<_>, Vec<_>) =
                world.events.try_iter().partition(|event| matches!(event, Event::Connected(_)));
            assert!(connected.contains(&Event::Connected(b"slow".to_vec())));
            assert_eq!(connected.len(), ended.len(), "{connected:?} {ended:?}");
            line.say("unloaded");
        },
        |app| {
            std::thread::scope(|scope| {
                let slow = scope.spawn(|| app.connect_with(b"slow").unwrap());
                app.hear("unloading");
                // until the name is gone, another may slip in, or be told that the filter is on its way out
                loop {
                    match app.connect_with(b"").map(drop).map_err(|error| error.status()) {
                        Err(Status::OBJECT_NAME_NOT_FOUND) => break,
                        Ok(()) | Err(Status::FLT_DELETING_OBJECT | Status::PORT_DISCONNECTED) => {}
                        Err(other) => panic!("{other:?}"),
                    }
                }
                app.say("not found");
                app.hear("unloaded");
                // it stood for a moment
                let port = slow.join().unwrap();
                assert_eq!(port.recv().unwrap_err().status(), Status::PORT_DISCONNECTED);
            });
            assert_eq!(hresult(Status::FLT_DELETING_OBJECT), 0x801f_000b);
        },
    );
}

#[test]
fn row_025_a_client_may_connect_before_create_has_returned() {
    watchdog();
    let dir = tempfile::tempdir().unwrap();
    let namespace = fltmgr::namespace::Namespace::at(dir.path());
    for _ in 0..20 {
        std::thread::scope(|scope| {
            let client = scope.spawn(|| {
                loop {
                    match Connection::options().namespace(namespace.clone()).connect(common::PORT, b"") {
                        Ok(port) => return port,
                        Err(error) => assert_eq!(error.status(), Status::OBJECT_NAME_NOT_FOUND, "{error}"),
                    }
                }
            });
            let options = fltmgr::PortOptions::default().namespace(namespace.clone());
            let options = options.security(SecurityDescriptor::null_dacl());
            let port = fltmgr::Port::create(common::PORT, options, Accept).unwrap();
            let client = client.join().unwrap();
            drop(port);
            client.close();
        });
    }
}

struct Accept;

impl fltmgr::Serve for Accept {
    type Session = ();

    fn connect(&self, _: &Client, _: &[u8]) -> Result<(), Status> {
        Ok(())
    }
}

#[test]
fn row_026_a_port_needs_no_filter_that_has_started() {
    both(
        World::new,
        |world, _| {
            let filter = world.accepted();
            filter.send(b"hello", Timeout::After(LONG)).unwrap();
        },
        |app| assert_eq!(app.connect().recv().unwrap().body(), b"hello"),
    );
}
