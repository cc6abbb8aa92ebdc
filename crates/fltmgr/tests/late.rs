//! Clients that come while a port closes, or to another: rows 1, 19 and 27 of the table in `doc/windows.md` in the
//! moments between.

mod common;

use common::{App, LONG, PORT, World, both, eventually, hresult};
use fltmgr::{PortName, Status};
use proto::wire::{FromClient, FromHost, Hello, HelloFlags, MAX_MESSAGE_LEN};
use sys::socket::Socket;

/// A client that has reached the port and has not said yet what it wants.
fn at_the_door(app: &App) -> Socket {
    app.namespace().find(&PortName::parse(PORT).unwrap()).unwrap()
}

/// Says what it wants; with which status it is refused.
fn refused(socket: &Socket, name: &str) -> Status {
    let hello = Hello::new(HelloFlags::empty(), PortName::parse(name).unwrap(), b"late").unwrap();
    socket.send(&FromClient::Hello(hello).encode(), &[]).unwrap();
    let mut packet = [0; MAX_MESSAGE_LEN];
    let len = socket.recv(&mut packet).unwrap().len;
    match FromHost::parse(&packet[..len]) {
        Ok(FromHost::Refused(refused)) => refused.status(),
        other => panic!("{other:?}"),
    }
}

/// Who only was at the door when the port closed is no connection that lives on: its filter never hears of it.
#[test]
fn a_client_that_speaks_after_the_port_closed_finds_no_port() {
    both(
        World::new,
        |world, line| {
            line.hear("at the door");
            let port = world.port.take().unwrap();
            // the host has it before the port is closed
            let user = rustix::process::geteuid().as_raw();
            eventually(|| port.usage(user).half_open == 1);
            port.close();
            line.say("closed");
            line.hear("refused");
            world.nothing_more();
        },
        |app| {
            let socket = at_the_door(app);
            app.say("at the door");
            app.hear("closed");
            let status = refused(&socket, PORT);
            assert_eq!(status, Status::OBJECT_NAME_NOT_FOUND);
            assert_eq!(hresult(status), 0x8007_0002);
            app.say("refused");
        },
    );
}

/// A connect whose port goes before it has answered is one to a port that is not there. As long as something of that
/// name listens, the end of the socket is the end of the connection.
#[test]
fn a_port_that_goes_before_it_answers_is_not_found() {
    both(
        World::new,
        |world, line| {
            let name = PortName::parse(r"\Brief").unwrap();
            for _ in 0..2 {
                let claim = world.namespace().claim(&name, false, "D:").unwrap();
                for gone in [false, true] {
                    line.say("listening");
                    let mut client = None;
                    eventually(|| {
                        client = claim.listener().accept().ok();
                        client.is_some()
                    });
                    let client = client.unwrap();
                    // it has said what it wants
                    client.wait_readable(Some(std::time::Instant::now() + LONG)).unwrap();
                    if gone {
                        drop(claim);
                        drop(client);
                        break;
                    }
                    drop(client);
                    line.hear("refused");
                }
                line.hear("refused");
            }
        },
        |app| {
            for inheritable in [false, true] {
                for expected in [Status::PORT_DISCONNECTED, Status::OBJECT_NAME_NOT_FOUND] {
                    app.hear("listening");
                    let refused = app.options().inheritable(inheritable).connect(r"\Brief", b"").unwrap_err();
                    assert_eq!(refused.status(), expected, "{refused}");
                    app.say("refused");
                }
            }
        },
    );
}

/// A name may be another port's by the time its client speaks: the port itself compares, case and all.
#[test]
fn a_client_of_another_name_finds_no_port() {
    both(
        World::new,
        |world, line| {
            line.hear("refused");
            world.nothing_more();
        },
        |app| {
            for other in [r"\Other", r"\TESTPORT", r"\TestPort2", r"\Dir\TestPort"] {
                assert_eq!(refused(&at_the_door(app), other), Status::OBJECT_NAME_NOT_FOUND, "{other}");
            }
            app.say("refused");
        },
    );
}
