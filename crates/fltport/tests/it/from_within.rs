//! Ports that their own callbacks close, and filters that their own callbacks unload.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread;

use fltport::{Connection, OutgoingMessage, Port, Status, Timeout};
use testkit::talk::is_over;
use testkit::{App, Filter, Host, LONG, Line, PORT, both, until};

/// A host whose port its own callbacks can reach, by taking it out of this box.
type Handle = Arc<Mutex<Option<Port>>>;

fn reachable(handle: &Handle, filter: impl FnOnce(&mut Filter, Handle)) -> Host {
    let mut host = Host::with(|built| filter(built, Arc::clone(handle)), |options| options);
    *handle.lock().unwrap() = host.port.take();
    host
}

/// The port closes under its callback: the connection stays, the name goes.
fn closes(handle: &Handle) -> impl Fn() + Send + Sync + 'static {
    let handle = Arc::clone(handle);
    move || {
        let port = handle.lock().unwrap().take();
        if let Some(port) = port {
            port.close();
        }
    }
}

/// The port has gone from under its callback; the connection has not.
fn is_closed(handle: &Handle, host: &Host, line: &Line) {
    host.accepted();
    line.hear("talked");
    assert_eq!(host.ended(), 1);
    line.say("ended");
    line.hear("not found");
    assert!(handle.lock().unwrap().is_none());
}

fn talks_and_looks(app: &App, under: &str) {
    let port = app.connect();
    assert_eq!(port.send(under.as_bytes(), &mut []).unwrap(), 0);
    app.say("talked");
    port.close();
    app.hear("ended");
    assert_eq!(app.refusal(PORT), Status::OBJECT_NAME_NOT_FOUND);
    app.say("not found");
}

#[test]
fn from_the_connect_callback_the_port_may_be_closed() {
    let handle = Handle::default();
    both(
        || reachable(&handle, |filter, handle| set(filter, "connect", closes(&handle))),
        |host, line| is_closed(&handle, host, line),
        |app| talks_and_looks(app, "connect"),
    );
}

#[test]
fn from_a_message_callback_the_port_may_be_closed() {
    let handle = Handle::default();
    both(
        || reachable(&handle, |filter, handle| set(filter, "message", closes(&handle))),
        |host, line| is_closed(&handle, host, line),
        |app| talks_and_looks(app, "message"),
    );
}

#[test]
fn from_the_disconnect_callback_the_port_may_be_closed() {
    let handle = Handle::default();
    both(
        || reachable(&handle, |filter, handle| set(filter, "disconnect", closes(&handle))),
        |host, line| is_closed(&handle, host, line),
        |app| talks_and_looks(app, "disconnect"),
    );
}

/// Sets one of the three callbacks.
fn set(filter: &mut Filter, from: &str, act: impl Fn() + Send + Sync + 'static) {
    match from {
        "connect" => {
            filter.on_connect = Box::new(move |_, _| {
                act();
                Ok(())
            });
            filter.on_message = Box::new(|_, _, _| 0.into());
        }
        "message" => {
            filter.on_message = Box::new(move |_, _, _| {
                act();
                0.into()
            });
        }
        "disconnect" => {
            filter.on_disconnect = Box::new(move |_| act());
            filter.on_message = Box::new(|_, _, _| 0.into());
        }
        other => panic!("no callback {other}"),
    }
}

fn unloads(handle: &Handle) -> impl Fn() + Send + Sync + 'static {
    let handle = Arc::clone(handle);
    move || {
        let port = handle.lock().unwrap().take();
        if let Some(port) = port {
            port.unload();
        }
    }
}

fn unloaded_from(from: &'static str, handle: &Handle) -> Host {
    reachable(handle, |filter, handle| set(filter, from, unloads(&handle)))
}

fn is_unloaded(host: &Host, connections: u32) {
    let mut ended: Vec<_> = (0..connections).map(|_| host.ended()).collect();
    ended.sort_unstable();
    assert_eq!(ended, (1..=connections).collect::<Vec<_>>());
    host.nothing_more();
}

fn two_are_unloaded(host: &mut Host, line: &Line) {
    host.accepted();
    host.accepted();
    line.say("both are in");
    is_unloaded(host, 2);
    line.hear("over");
}

fn two_connect(app: &App) -> (Connection, Connection) {
    let both = (app.connect(), app.connect());
    app.hear("both are in");
    both
}

/// On Windows an unload from a callback waits for that callback, for ever. Here it ends what there is and returns.
#[test]
fn from_the_connect_callback_the_filter_may_be_unloaded() {
    let handle = Handle::default();
    both(
        || unloaded_from("connect", &handle),
        |host, line| {
            host.accepted();
            is_unloaded(host, 1);
            line.hear("over");
        },
        |app| {
            // it stood for a moment
            let port = app.connect();
            assert_eq!(port.recv().unwrap_err().status(), Status::PORT_DISCONNECTED);
            is_over(&port);
            assert_eq!(app.refusal(PORT), Status::OBJECT_NAME_NOT_FOUND);
            app.say("over");
        },
    );
}

#[test]
fn from_a_message_callback_the_filter_may_be_unloaded() {
    let handle = Handle::default();
    both(
        || unloaded_from("message", &handle),
        two_are_unloaded,
        |app| {
            let (port, other) = two_connect(app);
            // as for a callback that closes its connection: its status, or the end, whichever is seen first
            let sent = port.send(b"unload", &mut []).map_err(|error| error.status());
            assert!(matches!(sent, Ok(0) | Err(Status::PORT_DISCONNECTED)), "{sent:?}");
            for port in [&port, &other] {
                assert_eq!(port.recv().unwrap_err().status(), Status::PORT_DISCONNECTED);
                is_over(port);
            }
            assert_eq!(app.refusal(PORT), Status::OBJECT_NAME_NOT_FOUND);
            app.say("over");
        },
    );
}

#[test]
fn from_the_disconnect_callback_the_filter_may_be_unloaded() {
    let handle = Handle::default();
    both(
        || unloaded_from("disconnect", &handle),
        two_are_unloaded,
        |app| {
            let (port, other) = two_connect(app);
            port.close();
            assert_eq!(other.recv().unwrap_err().status(), Status::PORT_DISCONNECTED);
            assert_eq!(app.refusal(PORT), Status::OBJECT_NAME_NOT_FOUND);
            app.say("over");
        },
    );
}

/// An unload ends a message callback's own questions: otherwise it would wait for itself.
#[test]
fn an_unload_ends_what_its_message_callbacks_wait_for() {
    let make = || {
        Host::with(
            |filter| {
                filter.on_message = Box::new(|client, _, _| {
                    let asked = client.ask(b"?", &mut [0; 4], Timeout::Never);
                    asked.map_or_else(|error| error.status(), |reply| reply.status).into()
                });
            },
            |options| options,
        )
    };
    both(
        make,
        |host, line| {
            let filter = host.accepted();
            line.hear("asked");
            host.unload();
            assert_eq!(host.ended(), 1);
            until(|| !filter.is_connected());
        },
        |app| {
            let port = app.connect();
            thread::scope(|scope| {
                let sent = scope.spawn(|| port.send(b"x", &mut []).unwrap_err().status());
                port.recv().unwrap().detach();
                app.say("asked");
                assert_eq!(sent.join().unwrap(), Status::PORT_DISCONNECTED);
            });
        },
    );
}

/// The callback of a question is one of the port's too: an unload from there does not wait for message callbacks, which
/// may wait for another's.
#[test]
fn from_the_callback_of_a_question_the_filter_may_be_unloaded() {
    let handle = Handle::default();
    let (asked, questions) = sync_channel(2);
    let host = reachable(&handle, |filter, _| {
        filter.on_message = Box::new(move |client, _, _| {
            let (tell, told) = sync_channel(1);
            let question = OutgoingMessage { body: b"?".to_vec(), reply_len: 4, file: None, timeout: Timeout::Never };
            client.ask_then(question, move |answer| tell.send(answer.map(drop)).unwrap());
            asked.send(()).unwrap();
            told.recv().unwrap().map_or_else(|error| error.status(), |()| Status::SUCCESS).into()
        });
    });
    let (port, client) = host.pair();
    host.accepted();
    thread::scope(|scope| {
        let sent = scope.spawn(|| port.send(b"x", &mut []).map_err(|error| error.status()));
        questions.recv_timeout(LONG).unwrap();
        let unload = unloads(&handle);
        let question = OutgoingMessage { body: b"!".to_vec(), reply_len: 4, file: None, timeout: Timeout::Poll };
        client.ask_then(question, move |_| unload());
        assert_eq!(host.ended(), 1);
        assert_eq!(sent.join().unwrap(), Err(Status::PORT_DISCONNECTED));
    });
}
