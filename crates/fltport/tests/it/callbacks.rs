//! Callbacks that call back into the port: from each of the three, each call that there is, and none of them hangs.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fltport::{Client, OutgoingMessage, Port, Response, Status, Timeout};
use testkit::talk::{ask, is_over};
use testkit::{App, Host, LONG, Line, both};

const SHORT: Timeout = Timeout::After(Duration::from_millis(10));

/// What callbacks tell their test.
fn channel<T>() -> (SyncSender<T>, Receiver<T>) {
    sync_channel(16)
}

fn statuses(client: &Client) -> [Status; 3] {
    let (sender, answer) = sync_channel(1);
    let question = OutgoingMessage { body: b"then?".to_vec(), reply_len: 4, file: None, timeout: SHORT };
    client.ask_then(question, move |answered| sender.send(answered.unwrap_err().status()).unwrap());
    [
        client.send(b"news", SHORT).unwrap_err().status(),
        client.ask(b"who?", &mut [0; 4], SHORT).unwrap_err().status(),
        answer.recv_timeout(LONG).unwrap(),
    ]
}

#[test]
fn from_the_connect_callback_a_message_waits_for_a_receiver() {
    let (tell, told) = channel();
    let make = || {
        let tell = tell.clone();
        Host::with(
            |filter| {
                filter.on_connect = Box::new(move |client, _| {
                    tell.send(statuses(client)).unwrap();
                    Ok(())
                });
            },
            |options| options,
        )
    };
    both(
        make,
        |host, line| {
            assert_eq!(told.recv_timeout(LONG).unwrap(), [Status::TIMEOUT; 3]);
            let filter = host.accepted();
            assert_eq!(ask(&filter, b"now?"), Ok(b"yes".to_vec()));
            line.say("done");
        },
        |app| {
            let port = app.connect();
            // what timed out in the callback was never delivered
            let message = port.recv().unwrap();
            assert_eq!(message.body(), b"now?");
            message.reply(Status::SUCCESS, b"yes").unwrap();
            app.hear("done");
        },
    );
}

/// A question that outlives the connect callback is delivered when the client receives.
#[test]
fn from_the_connect_callback_a_question_may_be_asked_for_later() {
    let (tell, told) = channel();
    let make = || {
        let tell = tell.clone();
        Host::with(
            |filter| {
                filter.on_connect = Box::new(move |client, _| {
                    let tell = tell.clone();
                    let timeout = Timeout::After(LONG);
                    let question = OutgoingMessage { body: b"version?".to_vec(), reply_len: 4, file: None, timeout };
                    client.ask_then(question, move |answered| tell.send(answered.unwrap().payload).unwrap());
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
            assert_eq!(told.recv_timeout(LONG).unwrap(), b"3");
            line.say("done");
        },
        |app| {
            let port = app.connect();
            let message = port.recv().unwrap();
            assert_eq!(message.body(), b"version?");
            message.reply(Status::SUCCESS, b"3").unwrap();
            app.hear("done");
        },
    );
}

#[test]
fn from_the_connect_callback_a_client_that_is_accepted_may_be_closed() {
    let make = || {
        Host::with(
            |filter| {
                filter.on_connect = Box::new(|client, _| {
                    client.close();
                    assert_eq!(client.send(b"x", Timeout::Never).unwrap_err().status(), Status::PORT_DISCONNECTED);
                    Ok(())
                });
            },
            |options| options.max_connections(1),
        )
    };
    both(
        make,
        |host, _| {
            for number in 1..=3 {
                host.accepted();
                assert_eq!(host.ended(), number);
            }
        },
        |app| {
            for _ in 0..3 {
                let port = app.connect();
                assert_eq!(port.recv().unwrap_err().status(), Status::PORT_DISCONNECTED);
                is_over(&port);
                port.close();
            }
        },
    );
}

/// What the port's own callback does with the port, and what a client that was there before sees of it.
fn create_another(world_dir: &std::path::Path, name: &str) -> Port {
    struct Open;
    impl fltport::Serve for Open {
        type Session = ();
        fn connect(&self, client: &Client, _: &[u8]) -> Result<(), Status> {
            let timeout = Timeout::After(LONG);
            let question = OutgoingMessage { body: b"another".to_vec(), reply_len: 0, file: None, timeout };
            client.ask_then(question, |_| {});
            Ok(())
        }
    }
    let options = fltport::PortOptions::default().max_connections(9).security(fltport::SecurityDescriptor::null_dacl());
    let namespace = fltport::namespace::Namespace::at(world_dir);
    Port::create(name, options.namespace(namespace), Open).unwrap()
}

fn greets(app: &App, name: &str) {
    let port = app.connect_to(name, b"").unwrap();
    assert_eq!(port.recv().unwrap().body(), b"another");
}

#[test]
fn from_every_callback_another_port_may_be_created() {
    let dir = Arc::new(Mutex::new(std::path::PathBuf::new()));
    let ports = Arc::new(Mutex::new(Vec::new()));
    let make = || {
        let create = |name: &'static str| {
            let (dir, ports) = (Arc::clone(&dir), Arc::clone(&ports));
            move || {
                let port = create_another(&dir.lock().unwrap(), name);
                ports.lock().unwrap().push(port);
            }
        };
        let (connect, message) = (create(r"\FromConnect"), create(r"\FromMessage"));
        let disconnect = create(r"\FromDisconnect");
        let host = Host::with(
            move |filter| {
                filter.on_connect = Box::new(move |_, _| {
                    connect();
                    Ok(())
                });
                filter.on_message = Box::new(move |_, _, _| {
                    message();
                    0.into()
                });
                filter.on_disconnect = Box::new(move |_| disconnect());
            },
            |options| options,
        );
        *dir.lock().unwrap() = host.namespace_dir();
        host
    };
    both(
        make,
        |host, line| {
            host.accepted();
            assert_eq!(host.ended(), 1);
            line.hear("done");
            assert_eq!(ports.lock().unwrap().drain(..).count(), 3);
        },
        |app| {
            let port = app.connect();
            greets(app, r"\FromConnect");
            port.send(b"x", &mut []).unwrap();
            greets(app, r"\FromMessage");
            port.close();
            greets(app, r"\FromDisconnect");
            app.say("done");
        },
    );
}

/// A client asks its filter, which asks the client, which asks its filter again: six deep, all over one connection.
#[test]
fn calls_may_go_back_and_forth() {
    const DEPTH: u8 = 6;
    let make = || {
        Host::with(
            |filter| {
                filter.on_message = Box::new(|client, input, output| {
                    let reply = client.ask(input, output, Timeout::After(LONG)).unwrap();
                    Response { status: reply.status, len: reply.len }
                });
            },
            |options| options,
        )
    };
    both(
        make,
        |host, _: &Line| {
            host.accepted();
            host.ended();
        },
        |app| {
            let port = app.connect();
            thread::scope(|scope| {
                for _ in 0..DEPTH {
                    scope.spawn(|| {
                        let message = port.recv().unwrap();
                        let left = message.body()[0];
                        let mut below = [0; 1];
                        if left > 1 {
                            assert_eq!(port.send(&[left - 1], &mut below).unwrap(), 1);
                        }
                        message.reply(Status::SUCCESS, &[below[0] + 1]).unwrap();
                    });
                }
                let mut depth = [0; 1];
                assert_eq!(port.send(&[DEPTH], &mut depth).unwrap(), 1);
                assert_eq!(depth, [DEPTH]);
            });
        },
    );
}

/// The callback that receives an answer asks the next question, on the thread that received the first.
#[test]
fn an_answers_callback_may_ask_the_next_question() {
    const QUESTIONS: u32 = 100;
    fn ask_on(client: Client, number: u32, tell: SyncSender<u32>) {
        if number == QUESTIONS {
            return tell.send(number).unwrap();
        }
        let timeout = Timeout::After(LONG);
        let question = OutgoingMessage { body: number.to_le_bytes().to_vec(), reply_len: 4, file: None, timeout };
        client.clone().ask_then(question, move |answered| {
            let next = u32::from_le_bytes(answered.unwrap().payload.try_into().unwrap());
            ask_on(client, next, tell);
        });
    }
    both(
        Host::new,
        |host, line| {
            let client = host.accepted();
            let (tell, told) = channel();
            ask_on(client, 0, tell);
            assert_eq!(told.recv_timeout(LONG).unwrap(), QUESTIONS);
            line.say("done");
        },
        |app| {
            let port = app.connect();
            for number in 0..QUESTIONS {
                let message = port.recv().unwrap();
                assert_eq!(message.body(), number.to_le_bytes());
                message.reply(Status::SUCCESS, &(number + 1).to_le_bytes()).unwrap();
            }
            app.hear("done");
        },
    );
}

/// A callback that panics answers for itself and ends nothing else.
#[test]
fn a_callback_that_panics_is_an_internal_error() {
    let make = || {
        Host::with(
            |filter| {
                filter.on_connect = Box::new(|_, context| if context == b"boom" { boom() } else { Ok(()) });
                filter.on_message = Box::new(|_, input, _| if input == b"boom" { boom() } else { 1.into() });
                filter.on_disconnect = Box::new(|_| boom());
            },
            |options| options.max_connections(1),
        )
    };
    both(
        make,
        |host, line| {
            host.accepted();
            line.hear("closed");
            host.accepted();
            line.hear("closed");
        },
        |app| {
            for _ in 0..2 {
                let refused = app.connect_with(b"boom").unwrap_err();
                assert_eq!(refused.status(), Status::INTERNAL_ERROR);
                let port = app.connect();
                assert_eq!(port.send(b"boom", &mut []).unwrap_err().status(), Status::INTERNAL_ERROR);
                assert_eq!(port.send(b"x", &mut []).unwrap(), 1);
                // its place is free although the disconnect callback panics
                port.close();
                app.say("closed");
            }
        },
    );
}

/// Without the panic hook's noise.
fn boom() -> ! {
    std::panic::resume_unwind(Box::new("a bug in a callback"))
}
