//! Creating a port: rows 21 to 26 and 105 of the table in `doc/windows.md`.

use fltport::descriptor::Acl;
use fltport::{PortName, SecurityDescriptor, Status, Timeout};
use proto::wire::{FromClient, FromHost, Hello, MAX_MESSAGE_LEN};
use testkit::{App, Event, Gate, Host, LONG, Line, PORT, apart, both, hresult, until};

/// A port's handle is the host's own: a program that the host starts gets no descriptor of it, whatever flags it is
/// made with. On Windows a port without OBJ_KERNEL_HANDLE is refused.
#[test]
fn row_021_a_port_is_never_inherited_by_a_program_that_the_host_starts() {
    apart(|| {
        both(
            Host::new,
            |host, line| {
                host.accepted();
                let listing = std::process::Command::new("ls").args(["-l", "/proc/self/fd"]).output().unwrap();
                assert!(listing.status.success());
                let listing = String::from_utf8(listing.stdout).unwrap();
                for ours in ["fltmgr", "socket:", "eventpoll", "eventfd"] {
                    let found: Vec<_> = listing.lines().filter(|line| line.contains(ours)).collect();
                    // the test harness may itself have been started with a socket as its input or output
                    assert!(found.iter().all(|line| is_standard(line)), "{listing}");
                }
                line.say("listed");
            },
            |app| {
                let _port = app.connect();
                app.hear("listed");
            },
        );
    });
}

fn is_standard(line: &str) -> bool {
    [" 0 -> ", " 1 -> ", " 2 -> "].iter().any(|standard| line.contains(standard))
}

/// Negative numbers cannot be written here.
#[test]
fn row_022_a_port_needs_room_for_a_connection() {
    both(
        Host::new,
        |host, line| {
            let none = host.beside(r"\Room", |_| {}, |options| options.max_connections(0));
            let error = none.map(drop).unwrap_err();
            assert_eq!(error.status(), Status::INVALID_PARAMETER);
            assert!(error.to_string().contains("at least one connection"), "{error}");
            line.say("refused");
            line.hear("not found");
            let one = host.beside(r"\Room", |_| {}, |options| options.max_connections(1)).unwrap();
            let most = host.beside(r"\Most", |_| {}, |options| options.max_connections(u32::MAX)).unwrap();
            line.say("made");
            one.accepted();
            most.accepted();
            line.hear("connected");
        },
        |app| {
            app.hear("refused");
            assert_eq!(app.refusal(r"\Room"), Status::OBJECT_NAME_NOT_FOUND);
            app.say("not found");
            app.hear("made");
            let _one = app.connect_to(r"\Room", b"").unwrap();
            let _most = app.connect_to(r"\Most", b"").unwrap();
            app.say("connected");
        },
    );
}

/// On Windows ports belong to a filter that is being unregistered. Here a port is its own filter, so there is nothing
/// left to create one in: others are not disturbed.
#[test]
fn row_023_a_port_is_created_while_another_unloads() {
    let gate = Gate::default();
    both(
        || Host::with(gate.at_the_end(), |options| options),
        |host, line| {
            host.accepted();
            let port = host.port.take().unwrap();
            std::thread::scope(|scope| {
                let unloading = scope.spawn(move || port.unload());
                gate.pass();
                // in its disconnect callback
                let other = host.beside(r"\Other", |_| {}, |options| options).unwrap();
                let again = host.beside(PORT, |_| {}, |options| options).unwrap();
                line.say("made");
                again.accepted();
                other.accepted();
                line.hear("connected");
                assert!(!unloading.is_finished());
                gate.pass();
            });
        },
        |app| {
            let _old = app.connect();
            app.hear("made");
            let _again = app.connect();
            let _other = app.connect_to(r"\Other", b"").unwrap();
            app.say("connected");
        },
    );
}

#[test]
fn row_024_a_connect_under_way_when_the_filter_unloads_is_ended_with_it() {
    let gate = Gate::default();
    both(
        || Host::with(gate.when_slow_connects(), |options| options),
        |host, line| {
            gate.pass();
            let port = host.port.take().unwrap();
            std::thread::scope(|scope| {
                let unloading = scope.spawn(move || port.unload());
                line.say("unloading");
                line.hear("not found");
                assert!(!unloading.is_finished(), "the connect callback still runs");
                gate.pass();
                unloading.join().unwrap();
            });
            // unload has returned, so all callbacks have
            let (connected, ended): (Vec<_>, Vec<_>) =
                host.events.try_iter().partition(|event| matches!(event, Event::Connected(_)));
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
                        Ok(()) | Err(Status::FLT_DELETING_OBJECT) => {}
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

/// Unloads a filter while a client waits to be accepted that has said nothing yet.
fn unloads(gate: &Gate, host: &mut Host, line: &Line) {
    host.accepted();
    let user = rustix::process::geteuid().as_raw();
    line.say("accepted");
    line.hear("waits to be accepted");
    let port = host.port.take().unwrap();
    // the host has it before the port is closed
    until(|| port.usage(user).half_open == 1);
    std::thread::scope(|scope| {
        scope.spawn(move || port.unload());
        gate.pass();
        line.say("unloading");
        line.hear("refused");
        gate.pass();
    });
}

/// A client that asks while a filter unloads whose port still listened when it came. It has to hit the moment between,
/// so it comes by hand and says its name later. Its refusal.
fn speaks_late(app: &App) -> Status {
    let _port = app.connect();
    app.hear("accepted");
    let name = PortName::parse(PORT).unwrap();
    let socket = app.namespace().find(&name).unwrap();
    app.say("waits to be accepted");
    app.hear("unloading");
    let hello = Hello::new(name, b"").unwrap();
    socket.send(&FromClient::Hello(hello).encode(), &[]).unwrap();
    let mut packet = [0; MAX_MESSAGE_LEN];
    let len = socket.recv(&mut packet).unwrap().len;
    app.say("refused");
    match FromHost::parse(&packet[..len]) {
        Ok(FromHost::Refused(refused)) => refused.status(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_that_was_let_in_before_the_unload_is_told_of_it() {
    let gate = Gate::default();
    both(
        || Host::with(gate.at_the_end(), |options| options),
        |host, line| unloads(&gate, host, line),
        |app| {
            assert_eq!(speaks_late(app), Status::FLT_DELETING_OBJECT);
            assert_eq!(hresult(Status::FLT_DELETING_OBJECT), 0x801f_000b);
        },
    );
}

#[test]
fn a_full_port_is_full_though_its_filter_unloads() {
    let gate = Gate::default();
    both(
        || Host::with(gate.at_the_end(), |options| options.max_connections(1)),
        |host, line| unloads(&gate, host, line),
        |app| assert_eq!(speaks_late(app), Status::CONNECTION_COUNT_LIMIT),
    );
}

/// Each round a client tries from before the port exists: it is told that there is no such port, until it is in.
#[test]
fn row_025_a_client_may_connect_before_create_has_returned() {
    const ROUNDS: usize = 20;
    both(
        Host::new,
        |host, line| {
            for _ in 0..ROUNDS {
                line.hear("trying");
                let early = host.beside(r"\Early", |_| {}, |options| options).unwrap();
                early.accepted();
                line.hear("in");
                drop(early);
                line.say("gone");
            }
        },
        |app| {
            for _ in 0..ROUNDS {
                app.say("trying");
                let port = loop {
                    match app.connect_to(r"\Early", b"") {
                        Ok(port) => break port,
                        Err(error) => assert_eq!(error.status(), Status::OBJECT_NAME_NOT_FOUND, "{error}"),
                    }
                };
                app.say("in");
                app.hear("gone");
                port.close();
            }
        },
    );
}

#[test]
fn row_026_a_port_needs_no_filter_that_has_started() {
    both(
        Host::new,
        |host, _| {
            let filter = host.accepted();
            filter.send(b"hello", Timeout::After(LONG)).unwrap();
        },
        |app| assert_eq!(app.connect().recv().unwrap().body(), b"hello"),
    );
}

/// The descriptor is the port's from the moment it is made: what its maker does with its own afterwards changes
/// nothing.
#[test]
fn row_105_a_port_has_its_own_copy_of_the_descriptor() {
    let user = rustix::process::geteuid().as_raw();
    let make = || {
        let mut security: SecurityDescriptor = format!("D:(A;;0x1f0001;;;S-1-22-1-{user})").parse().unwrap();
        let host = Host::with(|_| {}, |options| options.security(security.clone()));
        security.dacl = Acl::List(Vec::new());
        drop(security);
        host
    };
    both(
        make,
        |host, line| {
            let filter = host.accepted();
            filter.send(b"welcome", Timeout::After(LONG)).unwrap();
            line.hear("again");
        },
        |app| {
            let port = app.connect();
            assert_eq!(port.recv().unwrap().body(), b"welcome");
            port.close();
            let _port = app.connect();
            app.say("again");
        },
    );
}
