//! A port that is in no namespace, and its one connection.

use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use fltport::{Client, Connection, Port, PortOptions, Serve, Status, Timeout};
use testkit::LONG;

/// Tells of the one client that comes and goes.
struct Tells {
    connect: Result<(), Status>,
    came: SyncSender<Client>,
    went: SyncSender<()>,
}

impl Serve for Tells {
    type Session = ();

    fn connect(&self, client: &Client, context: &[u8]) -> Result<(), Status> {
        assert_eq!(context, b"");
        self.connect?;
        self.came.send(client.clone()).unwrap();
        Ok(())
    }

    fn disconnect(&self, (): ()) {
        self.went.send(()).unwrap();
    }
}

type Made = Result<(Port, OwnedFd), fltport::Error>;

fn unlisted(connect: Result<(), Status>) -> (Made, Receiver<Client>, Receiver<()>) {
    let ((came, comes), (went, goes)) = (sync_channel(1), sync_channel(1));
    // its descriptor admits root alone, and is not asked
    let made = Port::unlisted(r"\UnlistedPort", PortOptions::default(), Tells { connect, came, went });
    (made, comes, goes)
}

#[test]
fn its_connection_is_used_by_the_process_that_gets_the_handle() {
    let (made, comes, goes) = unlisted(Ok(()));
    let (port, handle) = made.unwrap();
    let client = comes.recv_timeout(LONG).unwrap();
    assert_eq!((port.name().to_string(), port.clients().len()), (r"\UnlistedPort".into(), 1));
    let connection = Connection::from_handle(handle).unwrap();
    assert_eq!(connection.name().to_string(), r"\UnlistedPort");
    assert!(client.is_used_by(std::process::id()));
    thread::scope(|scope| {
        scope.spawn(|| {
            let message = connection.recv().unwrap();
            assert_eq!(message.body(), b"question");
            message.reply(Status::SUCCESS, b"answer").unwrap();
        });
        let mut reply = [0; 6];
        client.ask(b"question", &mut reply, Timeout::After(LONG)).unwrap();
        assert_eq!(&reply, b"answer");
    });
    // what closes a port leaves its connections
    port.close();
    assert!(client.is_connected());
    connection.close();
    goes.recv_timeout(LONG).unwrap();
}

#[test]
fn it_ends_with_a_handle_that_no_process_used() {
    let (made, comes, goes) = unlisted(Ok(()));
    let (_port, handle) = made.unwrap();
    let client = comes.recv_timeout(LONG).unwrap();
    drop(handle);
    goes.recv_timeout(LONG).unwrap();
    assert!(!client.is_connected());
}

#[test]
fn unloading_ends_its_connection() {
    let (made, _comes, goes) = unlisted(Ok(()));
    let (port, handle) = made.unwrap();
    let connection = Connection::from_handle(handle).unwrap();
    port.unload();
    goes.recv_timeout(LONG).unwrap();
    assert_eq!(connection.recv().unwrap_err().status(), Status::PORT_DISCONNECTED);
}

#[test]
fn the_filter_may_refuse_its_connection() {
    let (made, _comes, _goes) = unlisted(Err(Status::ACCESS_DENIED));
    let error = made.unwrap_err();
    assert_eq!(error.status(), Status::ACCESS_DENIED);
    assert!(error.to_string().starts_with(r"creating \UnlistedPort: "), "{error}");
}

/// A port of the same name elsewhere, or here, is another.
#[test]
fn it_takes_no_name() {
    let (first, _comes, _goes) = unlisted(Ok(()));
    let (second, _comes, _goes) = unlisted(Ok(()));
    assert!(first.is_ok() && second.is_ok());
    let error = Connection::connect(r"\UnlistedPort", b"").unwrap_err();
    assert!([Status::OBJECT_NAME_NOT_FOUND, Status::OBJECT_PATH_NOT_FOUND].contains(&error.status()), "{error}");
}
