//! Clients that come while a port closes, or to another: rows 1, 19 and 27 of the table in `doc/windows.md` in the
//! moments between.

use std::sync::mpsc::{SyncSender, sync_channel};

use fltport::namespace::Namespace;
use fltport::{Client, Connection, Error, Port, PortName, PortOptions, Serve, Status};
use proto::wire::{FromClient, FromHost, Hello, MAX_MESSAGE_LEN};
use sys::socket::Socket;
use testkit::{App, Host, LONG, PORT, both, hresult, until};

/// A client that has reached the port and has not said yet what it wants.
fn at_the_door(app: &App) -> Socket {
    app.namespace().find(&PortName::parse(PORT).unwrap()).unwrap()
}

/// Says what it wants; with which status it is refused.
fn refused(socket: &Socket, name: &str) -> Status {
    let hello = Hello::new(PortName::parse(name).unwrap(), b"late").unwrap();
    socket.send(&FromClient::Hello(hello).encode(), &[]).unwrap();
    let mut packet = [0; MAX_MESSAGE_LEN];
    let len = socket.recv(&mut packet).unwrap().len;
    match FromHost::parse(&packet[..len]) {
        Ok(FromHost::Refused(refused)) => refused.status(),
        other => panic!("{other:?}"),
    }
}

/// A client that waited to be accepted when the port closed is no connection that lives on: its filter never hears of it.
#[test]
fn a_client_that_speaks_after_the_port_closed_finds_no_port() {
    both(
        Host::new,
        |host, line| {
            line.hear("waits to be accepted");
            let port = host.port.take().unwrap();
            // the host has it before the port is closed
            let user = rustix::process::geteuid().as_raw();
            until(|| port.usage(user).half_open == 1);
            port.close();
            line.say("closed");
            line.hear("refused");
            host.nothing_more();
        },
        |app| {
            let socket = at_the_door(app);
            app.say("waits to be accepted");
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
        Host::new,
        |host, line| {
            let name = PortName::parse(r"\Brief").unwrap();
            for _ in 0..2 {
                let claim = host.namespace().claim(&name, false, "D:").unwrap();
                for gone in [false, true] {
                    line.say("listening");
                    let mut client = None;
                    until(|| {
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
        Host::new,
        |host, line| {
            line.hear("refused");
            host.nothing_more();
        },
        |app| {
            for other in [r"\Other", r"\TESTPORT", r"\TestPort2", r"\Dir\TestPort"] {
                assert_eq!(refused(&at_the_door(app), other), Status::OBJECT_NAME_NOT_FOUND, "{other}");
            }
            app.say("refused");
        },
    );
}

/// A filter that talks to another port of its own process when it is dropped.
struct Talks {
    other: Namespace,
    talked: SyncSender<Result<(), Error>>,
}

impl Serve for Talks {
    type Session = ();

    fn connect(&self, _: &Client, _: &[u8]) -> Result<(), Status> {
        Ok(())
    }
}

impl Drop for Talks {
    fn drop(&mut self) {
        let options = Connection::options().namespace(self.other.clone()).timeout(LONG / 2);
        self.talked.send(options.connect(PORT, b"").map(Connection::close)).unwrap();
    }
}

/// A client that waits at a port that has closed is the last that has to do with it, and may go at any time. What the
/// filter does when it is dropped then delays nothing.
#[test]
fn a_filter_that_is_dropped_when_a_client_goes_may_take_its_time() {
    let host = Host::new();
    let dir = tempfile::tempdir().unwrap();
    let namespace = Namespace::at(dir.path());
    let (talked, told) = sync_channel(1);
    let options = PortOptions::default().namespace(namespace.clone());
    let port = Port::create(PORT, options, Talks { other: host.namespace(), talked }).unwrap();
    let at_the_door = namespace.find(port.name()).unwrap();
    until(|| port.usage(rustix::process::geteuid().as_raw()).half_open == 1);
    port.close();
    drop(at_the_door);
    told.recv_timeout(LONG).expect("the filter was never dropped").unwrap();
}
