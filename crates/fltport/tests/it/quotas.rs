//! What one user may hold of a port: one below each limit, at it, and one above, while another user is served as ever.

use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fltport::namespace::Namespace;
use fltport::{Connection, OutgoingMessage, PortName, PortOptions, Response, Status, Timeout, Usage};
use proto::wire::{FromHost, Refused, UNHEARD};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use testkit::raw::Raw;
use testkit::{Host, LONG, PORT, World, other_user, uid};

/// A port that others can reach. Requests that begin with `w` wait until they are let go; others are echoed.
fn host(options: impl FnOnce(PortOptions) -> PortOptions) -> (Host, SyncSender<()>) {
    let (go, gone): (_, Receiver<()>) = sync_channel(8);
    let gone = Mutex::new(gone);
    let echo = move |_: &_, input: &[u8], output: &mut [u8]| {
        if input.starts_with(b"w") {
            gone.lock().unwrap().recv().unwrap();
        }
        let len = input.len().min(output.len());
        output[..len].copy_from_slice(&input[..len]);
        Response::from(len)
    };
    let host = Host::with(|filter| filter.on_message = Box::new(echo), options);
    host.world().open_to_all();
    (host, go)
}

fn usage(host: &Host) -> Usage {
    host.port().usage(uid())
}

fn until_usage_is(host: &Host, expected: Usage) {
    let start = Instant::now();
    while usage(host) != expected {
        assert!(start.elapsed() < LONG, "{:?} is not {expected:?}", usage(host));
        thread::park_timeout(Duration::from_micros(100));
    }
}

#[test]
fn connections_of_one_user() {
    let (host, _go) = host(|options| options.max_connections_per_user(3));
    let mut held: Vec<_> = (0..2).map(|_| host.connect()).collect();
    other_user::is_served(&host);
    held.push(host.connect());
    assert_eq!(usage(&host), Usage { connections: 3, ..Usage::default() });
    let error = host.connect_with(b"").unwrap_err();
    assert_eq!(error.status(), Status::INSUFFICIENT_RESOURCES);
    assert!(error.to_string().contains("has 3 connections, and may have 3"), "{error}");
    other_user::is_served(&host);
    assert_eq!(usage(&host), Usage { connections: 3, ..Usage::default() }, "the refused one was not counted");
    held.pop().unwrap().close();
    held.push(host.connect());
    assert_eq!(host.connect_with(b"").unwrap_err().status(), Status::INSUFFICIENT_RESOURCES);
    held.into_iter().for_each(Connection::close);
    assert_eq!(usage(&host), Usage::default());
}

/// As on Windows: a user that may connect at all may have every connection of the port, unless it says otherwise.
#[test]
fn one_user_may_have_all_the_connections_that_the_port_asked_for() {
    const ALL: u32 = 70;
    let (host, _go) = host(|options| options.max_connections(ALL));
    let held: Vec<_> = (0..ALL).map(|_| host.connect()).collect();
    assert_eq!(host.connect_with(b"").unwrap_err().status(), Status::CONNECTION_COUNT_LIMIT);
    held.into_iter().for_each(Connection::close);
    assert_eq!(usage(&host), Usage::default());
}

#[test]
fn the_ports_own_limit_is_another() {
    let (host, _go) = host(|options| options.max_connections(2).max_connections_per_user(3));
    let held = [host.connect(), host.connect()];
    assert_eq!(host.connect_with(b"").unwrap_err().status(), Status::CONNECTION_COUNT_LIMIT);
    held.into_iter().for_each(Connection::close);
    assert_eq!(usage(&host), Usage::default());
}

/// Nor does a user over its own limit take one of the port's places for the moment in which it is refused.
#[test]
fn a_user_who_is_refused_takes_no_place_from_another() {
    let (host, _go) = host(|options| options.max_connections(2).max_connections_per_user(1));
    let _held = host.connect();
    let over = AtomicBool::new(false);
    let namespace = host.namespace();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let options = Connection::options().namespace(namespace.clone());
                    assert!(options.connect(PORT, b"").is_err());
                }
            });
        }
        let served = catch_unwind(AssertUnwindSafe(|| other_user::is_served_times(&host, 300)));
        over.store(true, Ordering::Relaxed);
        served.unwrap_or_else(|panic| resume_unwind(panic));
    });
}

#[test]
fn a_connection_that_the_filter_refuses_is_not_held() {
    let refuse = |filter: &mut testkit::Filter| filter.on_connect = Box::new(|_, _| Err(Status::REVISION_MISMATCH));
    let host = Host::with(refuse, |options| options.max_connections_per_user(1));
    for _ in 0..5 {
        assert_eq!(host.connect_with(b"").unwrap_err().status(), Status::REVISION_MISMATCH);
    }
    // the client has its answer a moment before the filter's side has put everything away
    until_usage_is(&host, Usage::default());
}

#[test]
fn bytes_of_one_users_requests() {
    const LIMIT: usize = 1 << 20;
    let (host, go) = host(|options| options.max_request_bytes_per_user(LIMIT));
    let port = Arc::new(host.connect());
    let held = |requests: u64, bytes: usize| Usage {
        connections: 1,
        requests,
        request_bytes: bytes as u64,
        ..Usage::default()
    };
    // the input's bytes and the output's count alike
    let waits = |input: usize, output: usize| {
        let port = Arc::clone(&port);
        thread::spawn(move || port.send(&vec![b'w'; input], &mut vec![0; output]).map_err(|error| error.status()))
    };
    let first = waits(LIMIT / 4, LIMIT - LIMIT / 4 - 1);
    until_usage_is(&host, held(1, LIMIT - 1));
    let second = waits(1, 0);
    until_usage_is(&host, held(2, LIMIT));
    let error = port.send(b"x", &mut []).unwrap_err();
    assert_eq!(error.status(), Status::INSUFFICIENT_RESOURCES);
    assert!(error.to_string().contains("max_request_bytes_per_user"), "{error}");
    assert_eq!(port.send(&[b'x'; 200_000], &mut []).unwrap_err().status(), Status::INSUFFICIENT_RESOURCES);
    other_user::is_served(&host);
    assert_eq!(usage(&host), held(2, LIMIT));
    go.send(()).unwrap();
    go.send(()).unwrap();
    assert_eq!(first.join().unwrap(), Ok(LIMIT / 4));
    assert_eq!(second.join().unwrap(), Ok(0));
    // one request alone, just as large as it may be, again and again: nothing of the last is held when it is answered
    for _ in 0..20 {
        assert_eq!(usage(&host), held(0, 0));
        assert_eq!(port.send(&[b'x'; LIMIT / 2], &mut vec![0; LIMIT / 2]).unwrap(), LIMIT / 2);
    }
    let error = port.send(&[b'x'; LIMIT / 2 + 1], &mut vec![0; LIMIT / 2]).unwrap_err();
    assert_eq!(error.status(), Status::INSUFFICIENT_RESOURCES);
    Arc::into_inner(port).unwrap().close();
    assert_eq!(usage(&host), Usage::default());
}

#[test]
fn requests_of_one_user() {
    let (host, go) = host(|options| options.max_requests_per_user(3));
    let ports = [Arc::new(host.connect()), Arc::new(host.connect())];
    let held = |requests: u64| Usage { connections: 2, requests, request_bytes: requests, ..Usage::default() };
    // in whichever connections they are
    let waits = |port: &Arc<Connection>| {
        let port = Arc::clone(port);
        thread::spawn(move || port.send(b"w", &mut []).map_err(|error| error.status()))
    };
    let mut waiting = vec![waits(&ports[0]), waits(&ports[1])];
    until_usage_is(&host, held(2));
    assert_eq!(ports[1].send(b"x", &mut [0; 9]).unwrap(), 1, "one more has room");
    assert_eq!(usage(&host), held(2));
    waiting.push(waits(&ports[0]));
    until_usage_is(&host, held(3));
    for port in &ports {
        let error = port.send(b"x", &mut []).unwrap_err();
        assert_eq!(error.status(), Status::INSUFFICIENT_RESOURCES);
        assert!(error.to_string().contains("max_requests_per_user"), "{error}");
    }
    other_user::is_served(&host);
    assert_eq!(usage(&host), held(3));
    // the first to be let go may be any of them
    waiting.iter().for_each(|_| go.send(()).unwrap());
    for waiting in waiting {
        assert_eq!(waiting.join().unwrap(), Ok(0));
    }
    assert_eq!(ports[0].send(b"x", &mut []).unwrap(), 0);
    drop(ports);
    until_usage_is(&host, Usage::default());
}

/// A client that begins requests and never goes on with them holds a thread for each, and not all there are.
#[test]
fn requests_that_are_never_finished() {
    let (host, _go) = host(|options| options);
    let mut stalled: Vec<_> = (0..16).map(|_| Raw::connect(&host.namespace())).collect();
    for raw in &stalled {
        (0..16).for_each(|_| _ = raw.post_send(b"the first piece", 100_000, 0));
    }
    let full = Usage { connections: 16, requests: 256, request_bytes: 256 * 100_000, ..Usage::default() };
    until_usage_is(&host, full);
    let raw = Raw::connect(&host.namespace());
    let refused = raw.completed(raw.post_send(b"one more", 8, 0));
    assert_eq!(refused.status, Status::INSUFFICIENT_RESOURCES.0);
    stalled.push(raw);
    other_user::is_served(&host);
    assert_eq!(usage(&host), Usage { connections: 17, ..full });
    drop(stalled);
    until_usage_is(&host, Usage::default());
}

#[test]
fn questions_of_one_connection_that_wait_for_replies() {
    let (host, _go) = host(|options| options);
    let (port, client) = host.pair();
    let (other, others) = host.pair();
    thread::scope(|scope| {
        let (take, taken) = sync_channel(2000);
        let port = &port;
        scope.spawn(move || {
            let mut receiver = port.receiver(4).unwrap();
            while let Ok(message) = receiver.recv() {
                // the last ones may come when they are not taken any more
                if take.send(message).is_err() {
                    break;
                }
            }
        });
        let mut waiting: Vec<_> = (0..1023).map(|_| client.start(b"?", 10, Timeout::Never).unwrap()).collect();
        waiting.push(client.start(b"?", 10, Timeout::Never).unwrap());
        let error = client.start(b"?", 10, Timeout::Never).unwrap_err();
        assert_eq!(error.status(), Status::INSUFFICIENT_RESOURCES);
        assert!(error.to_string().contains("1,024"), "{error}");
        // a message that wants no reply, and another connection, need no place
        client.send(b"!", Timeout::Never).unwrap();
        scope.spawn(|| other.recv().unwrap().reply(Status::SUCCESS, b"fine").unwrap());
        assert_eq!(others.ask(b"?", &mut [0; 4], Timeout::Never).unwrap().len, 4);
        // a reply makes room for one more
        taken.recv().unwrap().reply(Status::SUCCESS, b"one").unwrap();
        assert_eq!(waiting.remove(0).wait(&mut [0; 10]).unwrap().len, 3);
        waiting.push(client.start(b"?", 10, Timeout::Never).unwrap());
        assert_eq!(client.start(b"?", 10, Timeout::Never).unwrap_err().status(), Status::INSUFFICIENT_RESOURCES);
        port.disconnect();
        drop(taken);
        for pending in waiting {
            assert_eq!(pending.wait(&mut [0; 10]).unwrap_err().status(), Status::PORT_DISCONNECTED);
        }
    });
}

#[test]
fn questions_of_one_connection_that_wait_for_a_receive() {
    let (host, _go) = host(|options| options);
    let (port, client) = host.pair();
    let (done, ended) = sync_channel(2000);
    let ask = |number: usize| {
        let done = done.clone();
        let message = number.to_le_bytes().to_vec();
        let question = OutgoingMessage { body: message, reply_len: 8, file: None, timeout: Timeout::Never };
        client.ask_then(question, move |answer| {
            done.send((number, answer.map(|answered| answered.payload).map_err(|error| error.status()))).unwrap();
        });
    };
    (0..1024).for_each(ask);
    assert!(ended.try_recv().is_err(), "all of them wait");
    ask(1024);
    assert_eq!(ended.recv().unwrap(), (1024, Err(Status::INSUFFICIENT_RESOURCES)));
    let message = port.recv().unwrap();
    assert_eq!(message.body(), 0_usize.to_le_bytes());
    message.reply(Status::SUCCESS, b"0").unwrap();
    assert_eq!(ended.recv().unwrap(), (0, Ok(b"0".to_vec())));
    // room for one more; another connection's questions are not counted with these
    ask(1025);
    ask(1026);
    assert_eq!(ended.recv().unwrap(), (1026, Err(Status::INSUFFICIENT_RESOURCES)));
    let (other, others) = host.pair();
    thread::scope(|scope| {
        scope.spawn(|| other.recv().unwrap().reply(Status::SUCCESS, b"fine").unwrap());
        assert_eq!(others.ask(b"?", &mut [0; 4], Timeout::Never).unwrap().len, 4);
    });
    for number in (1..1024_usize).chain([1025]) {
        let message = port.recv().unwrap();
        assert_eq!(message.body(), number.to_le_bytes());
        message.reply(Status::SUCCESS, &[]).unwrap();
        assert_eq!(ended.recv().unwrap(), (number, Ok(Vec::new())));
    }
}

/// Many clients that say what they want at once: no limit of those that say nothing is in their way.
#[test]
fn a_crowd_of_one_user_may_connect_at_once() {
    let (host, _go) = host(|options| options);
    let namespace = host.namespace();
    let barrier = std::sync::Barrier::new(32);
    let connected = thread::scope(|scope| {
        let crowd: Vec<_> = (0..32)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    Connection::options().namespace(namespace.clone()).connect(PORT, b"")
                })
            })
            .collect();
        crowd.into_iter().map(|one| one.join().unwrap()).collect::<Result<Vec<_>, _>>()
    });
    assert_eq!(connected.unwrap().len(), 32);
}

/// Those in the way have a second: a client that is turned away unheard meanwhile tries again, as long as it has time.
#[test]
fn a_client_that_is_turned_away_unheard_tries_again() {
    let world = World::new();
    let host = SeqpacketListener::at(&world.dir().join("TestPort"));
    let options = || Connection::options().namespace(Namespace::at(world.dir()));
    for inheritable in [false, true] {
        thread::scope(|scope| {
            let connects = scope.spawn(move || options().inheritable(inheritable).connect(PORT, b"").unwrap_err());
            for _ in 0..3 {
                host.refuse(Refused::new(Status::INSUFFICIENT_RESOURCES, "a crowd").unheard());
            }
            host.refuse(Refused::new(Status::ACCESS_DENIED, "heard"));
            assert_eq!(connects.join().unwrap().status(), Status::ACCESS_DENIED);
        });
    }
    thread::scope(|scope| {
        let connects = scope.spawn(move || options().timeout(Duration::ZERO).connect(PORT, b"").unwrap_err());
        host.refuse(Refused::new(Status::INSUFFICIENT_RESOURCES, "a crowd").unheard());
        // in that time it hears of the refusal or does not
        let status = connects.join().unwrap().status();
        assert!(matches!(status, Status::INSUFFICIENT_RESOURCES | Status::TIMEOUT), "{status:?}");
    });
}

/// A host that refuses.
struct SeqpacketListener(OwnedFd);

impl SeqpacketListener {
    fn at(path: &Path) -> Self {
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        rustix::net::bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
        rustix::net::listen(&socket, 5).unwrap();
        Self(socket)
    }

    fn refuse(&self, refused: Refused) {
        let client = rustix::net::accept(&self.0).unwrap();
        rustix::io::read(&client, &mut [0; 600]).unwrap();
        // it may have given up
        let _ = rustix::io::write(&client, &FromHost::Refused(refused).encode());
    }
}

/// A process that was stopped in the middle of its connect finds out that it was not heard, and begins again.
#[test]
fn a_client_that_says_nothing_for_a_second_is_told_that_it_was_not_heard() {
    let (host, _go) = host(|options| options);
    let silent = host.namespace().find(&PortName::parse(PORT).unwrap()).unwrap();
    let mut packet = [0; 600];
    let len = silent.recv_deadline(&mut packet, Instant::now() + LONG).unwrap().len;
    assert!(packet.starts_with(&UNHEARD));
    let Ok(FromHost::Refused(refused)) = FromHost::parse(&packet[..len]) else { panic!("{:?}", &packet[..len]) };
    assert_eq!(refused.status(), Status::INSUFFICIENT_RESOURCES);
    assert!(refused.sentence().contains("you said nothing for 1s"), "{}", refused.sentence());
    assert_eq!(silent.recv_deadline(&mut packet, Instant::now() + LONG).unwrap().len, 0, "the end");
    until_usage_is(&host, Usage::default());
}

#[test]
fn clients_of_one_user_that_say_nothing() {
    let (host, _go) = host(|options| options.max_half_open_per_user(2));
    let name = PortName::parse(PORT).unwrap();
    let silent = || host.namespace().find(&name).unwrap();
    // they are turned away after a second, so a slow machine may need several tries
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < LONG, "never two at a time");
        let one = silent();
        let two = silent();
        let full = Usage { half_open: 2, ..Usage::default() };
        if usage(&host) != full {
            continue;
        }
        let turned_away = silent();
        let mut packet = [0; 600];
        let len = turned_away.recv(&mut packet).unwrap().len;
        let Ok(FromHost::Refused(refused)) = FromHost::parse(&packet[..len]) else { panic!("{:?}", &packet[..len]) };
        assert_eq!(refused.status(), Status::INSUFFICIENT_RESOURCES);
        assert!(
            refused.sentence().contains("has 2 clients that say nothing, and may have 2"),
            "{}",
            refused.sentence()
        );
        assert_eq!(turned_away.recv(&mut packet).unwrap().len, 0, "the end");
        other_user::is_served(&host);
        let unchanged = usage(&host) == full;
        drop((one, two));
        until_usage_is(&host, Usage::default());
        if unchanged {
            break;
        }
    }
    host.connect().close();
    assert_eq!(usage(&host), Usage::default());
}
