//! What may be relied on about order: the guarantees of `doc/windows.md`, "Order". More than 500 lines, because one file
//! proves one part of that document.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fltport::{
    Client, Connection, OutgoingMessage, Port, PortName, PortOptions, Received, Response, SecurityDescriptor, Serve,
    Status, Timeout,
};
use proto::wire::{FromClient, Hello};
use testkit::{Event, Host, LONG, PORT, both, post, until};

type Log = Arc<Mutex<Vec<&'static str>>>;

/// A host whose callbacks write into a log when they begin and when they end.
fn logging(log: &Log) -> Host {
    let (connect, message, disconnect) = (Arc::clone(log), Arc::clone(log), Arc::clone(log));
    let note = |log: &Log, what| log.lock().unwrap().push(what);
    Host::with(
        move |filter| {
            filter.on_connect = Box::new(move |_, _| {
                note(&connect, "connect");
                thread::park_timeout(Duration::from_millis(2));
                note(&connect, "connected");
                Ok(())
            });
            filter.on_message = Box::new(move |_, _, _| {
                note(&message, "message");
                thread::park_timeout(Duration::from_millis(2));
                note(&message, "answered");
                Response::from(0)
            });
            filter.on_disconnect = Box::new(move |_| note(&disconnect, "disconnect"));
        },
        |options| options,
    )
}

#[test]
fn order_1_connect_returns_before_any_message_and_the_disconnect() {
    let log = Log::default();
    both(
        || logging(&log),
        |host, _| {
            host.accepted();
            host.ended();
            let log = std::mem::take(&mut *log.lock().unwrap());
            assert_eq!(log, ["connect", "connected", "message", "answered", "disconnect"]);
        },
        |app| {
            let port = app.connect();
            port.send(b"x", &mut []).unwrap();
            port.close();
        },
    );
}

/// A client that goes while the connect callback works on it: the disconnect callback comes after, and after a refusal
/// never.
#[test]
fn a_client_that_goes_during_its_connect_is_disconnected_after_it() {
    let log = Log::default();
    let (inside, entered) = sync_channel(1);
    let (leave, left) = sync_channel::<()>(1);
    let left = Mutex::new(left);
    let (connect, disconnect) = (Arc::clone(&log), Arc::clone(&log));
    let mut host = Host::with(
        |filter| {
            filter.on_connect = Box::new(move |client, context| {
                inside.send(()).unwrap();
                left.lock().unwrap().recv_timeout(LONG).unwrap();
                // it is seen to have gone, and this is not over
                until(|| !client.is_connected());
                connect.lock().unwrap().push(if context == b"refuse" { "refused" } else { "connected" });
                if context == b"refuse" { Err(Status::ACCESS_DENIED) } else { Ok(()) }
            });
            filter.on_disconnect = Box::new(move |_| disconnect.lock().unwrap().push("disconnected"));
        },
        |options| options,
    );
    for (context, ended) in [(&b"refuse"[..], 1), (b"", 3)] {
        let name = PortName::parse(PORT).unwrap();
        let socket = host.namespace().find(&name).unwrap();
        let hello = Hello::new(name, context).unwrap();
        socket.send(&FromClient::Hello(hello).encode(), &[]).unwrap();
        entered.recv_timeout(LONG).unwrap();
        drop(socket);
        leave.send(()).unwrap();
        until(|| log.lock().unwrap().len() == ended);
    }
    // waits for whatever is still to be called
    host.unload();
    assert_eq!(*log.lock().unwrap(), ["refused", "connected", "disconnected"]);
}

#[test]
fn order_2_messages_are_finished_before_the_disconnect() {
    let log = Log::default();
    both(
        || logging(&log),
        |host, line| {
            for _ in 0..10 {
                host.accepted();
                until(|| log.lock().unwrap().contains(&"message"));
                line.say("a callback runs");
                host.ended();
                let log = std::mem::take(&mut *log.lock().unwrap());
                assert_eq!(log.last(), Some(&"disconnect"));
                let count = |what| log.iter().filter(|&&seen| seen == what).count();
                assert_eq!(count("message"), count("answered"), "{log:?}");
                assert_eq!(count("disconnect"), 1, "{log:?}");
                line.say("go on");
            }
        },
        |app| {
            for _ in 0..10 {
                let port = app.connect();
                thread::scope(|scope| {
                    for _ in 0..4 {
                        // ends with the answer or with the connection
                        scope.spawn(|| port.send(b"x", &mut []).map(drop).unwrap_or_default());
                    }
                    app.hear("a callback runs");
                    port.disconnect();
                });
                app.hear("go on");
            }
        },
    );
}

#[test]
fn order_3_receives_and_sends_are_released_before_the_disconnect() {
    let (inside, entered) = sync_channel(1);
    let (leave, left) = sync_channel::<()>(1);
    let left = Arc::new(Mutex::new(left));
    let make = || {
        let (inside, left) = (inside.clone(), Arc::clone(&left));
        Host::with(
            move |filter| {
                filter.on_disconnect = Box::new(move |client| {
                    assert!(!client.is_connected());
                    inside.send(()).unwrap();
                    left.lock().unwrap().recv_timeout(LONG).unwrap();
                });
            },
            |options| options,
        )
    };
    both(
        make,
        |host, line| {
            let filter = host.accepted();
            thread::scope(|scope| {
                let reply = scope.spawn(|| filter.ask(b"?", &mut [0; 1], Timeout::Never).unwrap_err().status());
                line.hear("has it");
                let buffer = scope.spawn(|| filter.send(b"?", Timeout::Never).unwrap_err().status());
                line.say("end");
                // the callback has begun and stays: senders and receivers end all the same
                entered.recv_timeout(LONG).unwrap();
                assert_eq!(reply.join().unwrap(), Status::PORT_DISCONNECTED);
                assert_eq!(buffer.join().unwrap(), Status::PORT_DISCONNECTED);
                line.hear("released");
                leave.send(()).unwrap();
            });
            host.ended();
        },
        |app| {
            let port = app.connect();
            port.recv().unwrap().detach();
            app.say("has it");
            app.hear("end");
            let small = post(&port, 0).unwrap();
            thread::scope(|scope| {
                let end = scope.spawn(|| port.disconnect());
                // refused by the sender that waits for a buffer, or ended
                match small.wait() {
                    Ok(Received::TooSmall { needed: 1, .. }) => {}
                    Ok(other) => panic!("{other:?}"),
                    Err(error) => assert_eq!(error.status(), Status::PORT_DISCONNECTED),
                }
                app.say("released");
                end.join().unwrap();
            });
        },
    );
}

/// The same for a filter that asked with a callback: it has been called before the filter is told that the client has gone.
#[test]
fn questions_to_callbacks_are_answered_before_the_disconnect() {
    let log = Log::default();
    let host = logging(&log);
    let port = host.connect();
    let filter = host.accepted();
    let (inside, entered) = sync_channel(1);
    let (leave, left) = sync_channel::<()>(1);
    let question = OutgoingMessage { body: b"?".to_vec(), reply_len: 0, file: None, timeout: Timeout::Never };
    let told = Arc::clone(&log);
    filter.ask_then(question, move |answered| {
        assert_eq!(answered.unwrap_err().status(), Status::PORT_DISCONNECTED);
        inside.send(()).unwrap();
        left.recv_timeout(LONG).unwrap();
        told.lock().unwrap().push("answered");
    });
    drop(port);
    entered.recv_timeout(LONG).unwrap();
    host.nothing_more();
    leave.send(()).unwrap();
    host.ended();
    assert_eq!(log.lock().unwrap().last_chunk(), Some(&["answered", "disconnect"]));
}

#[test]
fn order_4_closing_the_last_handle_returns_after_the_disconnect() {
    both(
        Host::new,
        |host, line| {
            for round in 1..=20 {
                host.accepted();
                line.hear("closed");
                assert_eq!(host.events.try_recv(), Ok(Event::Disconnected(round)));
                line.say("go on");
            }
        },
        |app| {
            for _ in 0..20 {
                app.connect().close();
                app.say("closed");
                app.hear("go on");
            }
        },
    );
}

/// Longer than a drop would wait for it, too.
#[test]
fn closing_waits_however_long_the_disconnect_callback_takes() {
    let (inside, entered) = sync_channel(1);
    let (leave, left) = sync_channel::<()>(1);
    let left = Arc::new(Mutex::new(left));
    let make = || {
        let (inside, left) = (inside.clone(), Arc::clone(&left));
        Host::with(
            move |filter| {
                filter.on_disconnect = Box::new(move |_| {
                    inside.send(()).unwrap();
                    left.lock().unwrap().recv_timeout(LONG).unwrap();
                });
            },
            |options| options,
        )
    };
    both(
        make,
        |host, line| {
            for _ in 0..2 {
                host.accepted();
                entered.recv_timeout(LONG).unwrap();
                // not to be right, but to be late: a drop has returned after a quarter of a second
                let late = Instant::now() + Duration::from_millis(400);
                while let Some(rest) = late.checked_duration_since(Instant::now()) {
                    thread::park_timeout(rest);
                }
                line.say("still in the callback");
                line.hear("still closing");
                leave.send(()).unwrap();
                host.ended();
            }
        },
        |app| {
            for closes in [true, false] {
                let port = app.connect();
                let closing = thread::spawn(move || if closes { port.close() } else { port.disconnect() });
                app.hear("still in the callback");
                assert!(!closing.is_finished());
                app.say("still closing");
                closing.join().unwrap();
            }
        },
    );
}

/// The reply is there, and then the connection ends: the end is what the filter hears of, because it is looked for
/// first.
#[test]
fn the_end_wins_over_a_reply_that_is_there_too() {
    both(
        Host::new,
        |host, line| {
            for closes in [true, false] {
                let filter = host.accepted();
                let pending = filter.start(b"?", 4, Timeout::After(LONG)).unwrap();
                line.hear("replied");
                assert!(pending.is_ready());
                if closes {
                    filter.close();
                }
                line.say("go");
                host.ended();
                let mut reply = [7; 4];
                assert_eq!(pending.wait(&mut reply).unwrap_err().status(), Status::PORT_DISCONNECTED);
                assert_eq!(reply, [7; 4]);
            }
        },
        |app| {
            for _ in 0..2 {
                let port = app.connect();
                port.recv().unwrap().reply(Status::SUCCESS, b"here").unwrap();
                app.say("replied");
                app.hear("go");
                port.close();
            }
        },
    );
}

#[test]
fn order_5_messages_of_one_thread_arrive_in_order() {
    const MESSAGES: u32 = 500;
    both(
        Host::new,
        |host, _| {
            let filter = host.accepted();
            for number in 0..MESSAGES {
                filter.send(&number.to_le_bytes(), Timeout::After(LONG)).unwrap();
            }
            host.ended();
        },
        |app| {
            let port = app.connect();
            let mut receiver = port.receiver(8).unwrap();
            for number in 0..MESSAGES {
                assert_eq!(receiver.recv().unwrap().body(), number.to_le_bytes());
            }
        },
    );
}

/// Between threads no order is promised, only that each message arrives once.
#[test]
fn order_6_messages_of_several_threads_all_arrive() {
    const THREADS: u32 = 6;
    const EACH: u32 = 50;
    both(
        Host::new,
        |host, _| {
            let filter = host.accepted();
            thread::scope(|scope| {
                for thread in 0..THREADS {
                    let filter = &filter;
                    scope.spawn(move || {
                        for number in 0..EACH {
                            let message = (thread * EACH + number).to_le_bytes();
                            filter.send(&message, Timeout::After(LONG)).unwrap();
                        }
                    });
                }
            });
            host.ended();
        },
        |app| {
            let port = app.connect();
            let mut seen: Vec<u32> = (0..THREADS * EACH)
                .map(|_| u32::from_le_bytes(port.recv().unwrap().body().try_into().unwrap()))
                .collect();
            for thread in 0..THREADS {
                let of_one: Vec<_> = seen.iter().filter(|&&number| number / EACH == thread).collect();
                assert!(of_one.is_sorted(), "{of_one:?}");
            }
            seen.sort_unstable();
            assert_eq!(seen, (0..THREADS * EACH).collect::<Vec<_>>());
        },
    );
}

#[test]
fn order_7_the_oldest_receive_that_fits_is_filled_first() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            line.hear("posted");
            for number in 0..6 {
                filter.send(&[number; 20], Timeout::Poll).unwrap();
            }
            line.say("sent");
        },
        |app| {
            let port = app.connect();
            let posted: Vec<_> = (0..8).map(|n| post(&port, if n % 4 == 0 { 10 } else { 100 }).unwrap()).collect();
            app.say("posted");
            app.hear("sent");
            let mut number = 0;
            for (index, mut receive) in posted.into_iter().enumerate() {
                if index % 4 == 0 {
                    assert!(!receive.is_complete());
                    continue;
                }
                let Received::Message(message) = receive.wait().unwrap() else { panic!("it fits") };
                assert_eq!(message.body(), [number; 20]);
                number += 1;
            }
        },
    );
}

#[test]
fn order_8_ids_count_the_messages_that_want_a_reply() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            // what is not received in time uses up no id
            assert_eq!(filter.ask(b"?", &mut [], Timeout::Poll).unwrap_err().status(), Status::TIMEOUT);
            line.say("not received");
            for _ in 0..10 {
                filter.send(b"news", Timeout::After(LONG)).unwrap();
                filter.ask(b"?", &mut [], Timeout::After(LONG)).unwrap();
            }
            line.say("done");
        },
        |app| {
            let port = app.connect();
            app.hear("not received");
            for id in 1..=10 {
                assert_eq!(port.recv().unwrap().id(), 0);
                let message = port.recv().unwrap();
                assert_eq!(message.id(), id);
                message.reply(Status::SUCCESS, b"").unwrap();
            }
            app.hear("done");
        },
    );
}

#[test]
fn order_9_each_connection_counts_for_itself() {
    both(
        Host::new,
        |host, line| {
            let first = host.accepted();
            line.say("accepted");
            let second = host.accepted();
            for filter in [&first, &second, &second, &first] {
                filter.ask(b"?", &mut [], Timeout::After(LONG)).unwrap();
            }
            line.say("done");
        },
        |app| {
            let first = app.connect();
            app.hear("accepted");
            let second = app.connect();
            for (port, id) in [(&first, 1), (&second, 1), (&second, 2), (&first, 2)] {
                let message = port.recv().unwrap();
                assert_eq!(message.id(), id);
                message.reply(Status::SUCCESS, b"").unwrap();
            }
            app.hear("done");
        },
    );
}

/// As order_4, for connections that end while their connect is still being finished: many at once, closed at once.
#[test]
fn closing_returns_after_the_disconnect_however_soon_it_comes() {
    const THREADS: usize = 16;
    const EACH: usize = 60;
    struct Flags(Arc<Vec<AtomicBool>>);
    impl Serve for Flags {
        type Session = usize;
        fn connect(&self, _: &Client, context: &[u8]) -> Result<usize, Status> {
            Ok(usize::from_le_bytes(context.try_into().unwrap()))
        }
        fn disconnect(&self, number: usize) {
            // gives a close that does not wait the time to return
            thread::park_timeout(Duration::from_millis(1));
            self.0[number].store(true, Ordering::SeqCst);
        }
    }
    let host = Host::new();
    let flags: Arc<Vec<_>> = Arc::new((0..THREADS * EACH).map(|_| AtomicBool::new(false)).collect());
    let options = PortOptions::default().namespace(host.namespace()).max_connections(100).max_half_open_per_user(100);
    let options = options.security(SecurityDescriptor::null_dacl());
    let _port = Port::create(r"\Flags", options, Flags(Arc::clone(&flags))).unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (namespace, flags) = (host.namespace(), &flags);
            scope.spawn(move || {
                for number in thread * EACH..(thread + 1) * EACH {
                    let options = Connection::options().namespace(namespace.clone());
                    options.connect(r"\Flags", &number.to_le_bytes()).unwrap().close();
                    assert!(flags[number].load(Ordering::SeqCst), "the callback of {number} has not returned");
                }
            });
        }
    });
}
