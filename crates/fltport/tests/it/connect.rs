//! Connecting: rows 1 to 14 of the table in `doc/windows.md`. More than 500 lines, because one file proves one
//! part of the table.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fltport::{PortName, SecurityDescriptor, Status, Timeout};
use proto::wire::{FromClient, FromHost, Hello};
use testkit::log::{keep_warnings, warning};
use testkit::talk::patterned;
use testkit::{App, Event, Gate, Host, LONG, PORT, both, hresult, until};

fn guarded(sddl: &'static str) -> Host {
    let security: SecurityDescriptor = sddl.parse().unwrap();
    Host::with(|_| {}, |options| options.security(security.clone()))
}

fn refusing(status: Status) -> Host {
    Host::with(
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
        Host::new,
        |host, line| {
            line.hear("tried");
            host.nothing_more();
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
    // each bit of 0x1f0001 for itself, and all of them
    let lacks = |bit: u32| format!("D:(A;;{:#x};;;WD)", 0x001f_0001 & !bit);
    let cases = [0x1, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000, 0];
    both(
        || guarded("D:(A;;0x1f0001;;;S-1-22-1-54321)"),
        |host, line| {
            let ports: Vec<_> = cases
                .iter()
                .map(|&bit| {
                    let security: SecurityDescriptor = lacks(bit).parse().unwrap();
                    host.beside(&format!(r"\{bit}"), |_| {}, |options| options.security(security)).unwrap()
                })
                .collect();
            line.say("made");
            line.hear("tried");
            host.nothing_more();
            for (port, bit) in ports.iter().zip(cases) {
                match bit {
                    0 => drop(port.accepted()),
                    _ => port.nothing_more(),
                }
            }
        },
        |app| {
            app.hear("made");
            let error = app.connect_with(b"").unwrap_err();
            assert_eq!(error.status(), Status::ACCESS_DENIED);
            assert_eq!(hresult(error.status()), 0x8007_0005);
            assert!(error.to_string().contains("54321"), "it says which user is admitted: {error}");
            for bit in cases {
                let connected = app.connect_to(&format!(r"\{bit}"), b"").map(drop).map_err(|error| error.status());
                assert_eq!(connected, if bit == 0 { Ok(()) } else { Err(Status::ACCESS_DENIED) }, "without {bit:#x}");
            }
            app.say("tried");
        },
    );
}

#[test]
fn row_003_the_connect_right_alone_is_not_enough_even_for_root() {
    both(
        || guarded("D:(A;;0x1;;;WD)(A;;0x1;;;BA)(A;;0x1;;;SY)"),
        |host, line| {
            line.hear("tried");
            host.nothing_more();
        },
        |app| {
            let status = refused(app, b"");
            assert_eq!(status, Status::ACCESS_DENIED);
            assert_eq!(hresult(status), 0x8007_0005);
            app.say("tried");
        },
    );
}

/// The most common paste, without the list that should stand before it.
#[test]
fn a_descriptor_that_admits_everybody_by_omission_is_a_warning() {
    keep_warnings();
    let host = guarded("S:(ML;;NW;;;LW)(AU;SAFA;GA;;;WD)");
    warning(&["no list of entries (D:), so every user is admitted", "D:NO_ACCESS_CONTROL", r"\TestPort"]);
    warning(&["the audit entries", "nothing is audited", r"\TestPort"]);
    drop(host.connect());
}

#[test]
fn row_004_a_full_port_refuses_and_counts_right_afterwards() {
    both(
        || Host::with(|_| {}, |options| options.max_connections(2)),
        |host, line| {
            line.hear("refused");
            assert_eq!(host.next(), Event::Connected(b"1".to_vec()));
            assert_eq!(host.next(), Event::Connected(b"2".to_vec()));
            host.nothing_more();
            line.say("go on");
            host.ended();
            assert_eq!(host.next(), Event::Connected(b"3".to_vec()));
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
    let gate = Gate::default();
    both(
        || Host::with(gate.at_the_end(), |options| options.max_connections(1)),
        |host, line| {
            host.accepted();
            gate.pass();
            line.say("in the callback");
            line.hear("refused");
            gate.pass();
            host.ended();
            line.say("out of it");
            host.accepted();
            line.hear("done");
            // the second connection's end passes the gate too
            gate.pass();
            gate.pass();
            host.ended();
        },
        |app| {
            let first = app.connect();
            std::thread::scope(|scope| {
                scope.spawn(|| first.close());
                app.hear("in the callback");
                let status = refused(app, b"");
                assert_eq!(status, Status::CONNECTION_COUNT_LIMIT);
                assert_eq!(hresult(status), 0x8007_04d6);
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
        |host, line| {
            host.accepted();
            line.hear("done");
            assert_eq!(host.ended(), 1);
            host.nothing_more();
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
        Host::with(
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
        |host, line| {
            host.accepted();
            line.hear("done");
            assert_eq!(host.ended(), 1, "the refused ones were never connected");
            host.nothing_more();
        },
        |app| {
            // more often than there are places
            for _ in 0..3 {
                let status = refused(app, b"");
                assert_eq!(status, Status::CONNECTION_REFUSED);
                assert_eq!(hresult(status), 0x8007_04c9);
            }
            app.connect_with(b"let me in").unwrap().close();
            app.say("done");
        },
    );
}

/// A host whose filter refuses with the status that the context says, and without a context accepts.
fn refusing_as_told() -> Host {
    Host::with(
        |filter| {
            filter.on_connect = Box::new(|_, context| match context.try_into() {
                Ok(status) => Err(Status(u32::from_le_bytes(status))),
                Err(_) => Ok(()),
            });
        },
        |options| options.max_connections(1),
    )
}

/// What a filter keeps of a client that it refuses is nothing open: the end of the socket follows the refusal.
#[test]
fn a_filter_that_keeps_the_client_that_it_refuses_keeps_no_descriptor() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    let host = Host::with(
        move |filter| {
            filter.on_connect = Box::new(move |client, context| {
                keep.lock().unwrap().push(client.clone());
                if context == b"panic" { panic!("as it should") } else { Err(Status::CONNECTION_REFUSED) }
            });
        },
        |options| options,
    );
    let name = PortName::parse(PORT).unwrap();
    for (context, expected) in [(&b""[..], Status::CONNECTION_REFUSED), (b"panic", Status::INTERNAL_ERROR)] {
        let socket = host.namespace().find(&name).unwrap();
        let hello = Hello::new(name.clone(), context).unwrap();
        socket.send(&FromClient::Hello(hello).encode(), &[]).unwrap();
        let mut packet = [0; 600];
        let len = socket.recv(&mut packet).unwrap().len;
        let Ok(FromHost::Refused(refused)) = FromHost::parse(&packet[..len]) else { panic!("{:?}", &packet[..len]) };
        assert_eq!(refused.status(), expected);
        assert!(socket.wait_closed(Some(Instant::now() + LONG)).unwrap(), "the host has it open still");
    }
    assert_eq!(kept.lock().unwrap().len(), 2);
}

/// On Windows such a connection is accepted; here there is no session without an `Ok`.
#[test]
fn row_008_a_success_that_is_not_zero_refuses_because_there_is_no_session() {
    both(
        refusing_as_told,
        |host, line| {
            host.accepted();
            line.hear("done");
            assert_eq!(host.ended(), 1);
            host.nothing_more();
        },
        |app| {
            let last = Status(0x7fff_ffff);
            for status in [Status::SUCCESS, Status::TIMEOUT, Status(0x0000_0104), Status(0x4000_0000), last] {
                let refused = refused(app, &status.0.to_le_bytes());
                assert_eq!(refused, Status::INVALID_PARAMETER, "{status:?}");
                assert_eq!(hresult(refused), 0x8007_0057);
            }
            app.connect().close();
            app.say("done");
        },
    );
}

/// Warnings and errors of every facility, the filter's own too, are refusals that the client gets as they are.
#[test]
fn a_refusal_may_have_any_status_that_is_no_success() {
    both(
        refusing_as_told,
        |host, line| {
            line.hear("done");
            host.nothing_more();
        },
        |app| {
            let first = Status(0x8000_0000);
            for status in
                [first, Status::BUFFER_OVERFLOW, Status::FLT_DO_NOT_ATTACH, Status(0xc015_0001), Status(0xe000_0001)]
            {
                assert_eq!(refused(app, &status.0.to_le_bytes()), status);
            }
            app.say("done");
        },
    );
}

#[test]
fn row_009_pending_refuses_instead_of_hanging() {
    keep_warnings();
    both(
        || refusing(Status::PENDING),
        |host, line| {
            host.accepted();
            warning(&["connect callback", "STATUS_PENDING", r"\TestPort"]);
            line.hear("done");
            assert_eq!(host.ended(), 1);
            host.nothing_more();
        },
        |app| {
            let status = refused(app, b"");
            assert_eq!(status, Status::INVALID_PARAMETER);
            assert_eq!(hresult(status), 0x8007_0057);
            app.connect_with(b"let me in").unwrap().close();
            app.say("done");
        },
    );
}

#[test]
fn row_010_a_message_from_the_connect_callback_finds_no_receiver() {
    let make = || {
        Host::with(
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
        |host, line| {
            host.accepted();
            line.hear("connected");
        },
        |app| {
            let port = app.connect();
            assert!(port.try_recv().unwrap().is_none());
            app.say("connected");
        },
    );
}

/// The client cannot receive yet, so a message without a timeout waits until the client gives up: here by its end.
#[test]
fn a_message_from_the_connect_callback_without_a_timeout_ends_with_its_client() {
    let (told, tell) = sync_channel(1);
    let (begun, begin) = sync_channel(1);
    let make = || {
        let (told, begun) = (told.clone(), begun.clone());
        Host::with(
            move |filter| {
                filter.on_connect = Box::new(move |client, context| {
                    if context.is_empty() {
                        begun.send(()).unwrap();
                        let asked = client.ask(b"who?", &mut [0; 4], Timeout::Never).unwrap_err().status();
                        told.send(asked).unwrap();
                    }
                    Ok(())
                });
            },
            |options| options.max_connections(1),
        )
    };
    both(
        make,
        |host, line| {
            begin.recv_timeout(LONG).unwrap();
            line.say("waiting");
            assert_eq!(tell.recv_timeout(LONG).unwrap(), Status::PORT_DISCONNECTED);
            // the callback accepts it all the same, so it is told of the end
            host.accepted();
            assert_eq!(host.ended(), 1);
            // its place is free when the callback has returned, which no thread waits for here
            until(|| host.port().clients().is_empty());
            line.say("free");
            host.accepted();
        },
        |app| {
            // a connect cannot be given up half-way, so this is one by hand
            let name = PortName::parse(PORT).unwrap();
            let socket = app.namespace().find(&name).unwrap();
            let hello = Hello::new(name, b"").unwrap();
            socket.send(&FromClient::Hello(hello).encode(), &[]).unwrap();
            app.hear("waiting");
            drop(socket);
            app.hear("free");
            app.connect_with(b"another").unwrap().close();
        },
    );
}

#[test]
fn row_011_a_connect_callback_that_blocks_holds_up_nobody_else() {
    let gate = Gate::default();
    both(
        || Host::with(gate.when_slow_connects(), |options| options),
        |host, line| {
            gate.pass();
            line.say("slow is in the callback");
            assert_eq!(host.next(), Event::Connected(b"quick".to_vec()));
            line.hear("quick is through");
            gate.pass();
            assert_eq!(host.next(), Event::Connected(b"slow".to_vec()));
            line.hear("done");
        },
        |app| {
            std::thread::scope(|scope| {
                let slow = scope.spawn(|| app.connect_with(b"slow").unwrap());
                app.hear("slow is in the callback");
                let _quick = app.connect_with(b"quick").unwrap();
                assert!(!slow.is_finished());
                app.say("quick is through");
                let _slow = slow.join().unwrap();
            });
            app.say("done");
        },
    );
}

/// A pointer and a length that disagree cannot be written in Rust: a context is a slice. What is left of the row:
/// nothing given is nothing received, and what the C edge will answer.
#[test]
fn row_012_a_context_is_there_or_not() {
    both(
        Host::new,
        |host, _| {
            assert_eq!(host.next(), Event::Connected(Vec::new()));
            assert_eq!(host.next(), Event::Connected(vec![0]));
        },
        |app| {
            let _nothing = app.connect_with(b"").unwrap();
            let _one = app.connect_with(&[0]).unwrap();
            assert_eq!(hresult(Status::INVALID_PARAMETER), 0x8007_0057);
        },
    );
}

/// Windows has 16 bits for the size, so 65,512 to 65,535 can be asked for there.
#[test]
fn row_013_the_longest_context_is_65511_bytes() {
    let sizes = [1, 24, 65_510, 65_511];
    both(
        Host::new,
        |host, line| {
            for size in sizes {
                assert_eq!(host.next(), Event::Connected(patterned(size)));
                host.ended();
            }
            line.hear("tried");
            host.nothing_more();
        },
        |app| {
            for size in sizes {
                app.connect_with(&patterned(size)).unwrap().close();
            }
            for size in [65_512, 65_535, 65_536, 1 << 20] {
                let status = refused(app, &patterned(size));
                assert_eq!(status, Status::INTEGER_OVERFLOW);
                assert_eq!(hresult(status), 0x8007_0216);
            }
            app.say("tried");
        },
    );
}

/// That the context cannot be used after the callback is a matter of types: see the example at `Serve::connect`, which
/// does not compile. A filter keeps a copy, and it is its own.
#[test]
fn row_014_a_filter_copies_the_context() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let make = || {
        let kept = Arc::clone(&kept);
        Host::with(
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
        |host, line| {
            line.hear("connected");
            assert_eq!(*kept.lock().unwrap(), (0..20_u8).map(|n| vec![n; 1000]).collect::<Vec<_>>());
            kept.lock().unwrap().clear();
            host.accepted();
        },
        |app| {
            for n in 0..20 {
                app.connect_with(&[n; 1000]).unwrap().close();
            }
            app.say("connected");
        },
    );
}
