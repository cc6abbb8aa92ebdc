//! Handles of one connection in several processes: duplicated and given away; closed, killed, forked.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fltport::{Client, Connection, OutgoingMessage, Received, Response, Status, Timeout};
use sys::socket::Socket;
use testkit::worker::{Worker, serve, until_handles_are};
use testkit::{Host, LONG, both, post, until};

fn ask(filter: &Client, question: &[u8]) -> Result<Vec<u8>, Status> {
    let mut reply = vec![0; question.len().max(64)];
    let reply_len = filter.ask(question, &mut reply, Timeout::After(LONG)).map_err(|error| error.status())?.len;
    reply.truncate(reply_len);
    Ok(reply)
}

#[test]
fn row_035_a_killed_process_takes_its_receives_along_and_leaves_the_connection() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            line.hear("posted");
            // the oldest is the other process's
            filter.send(b"seen", Timeout::Poll).unwrap();
            line.say("kill it");
            until_handles_are(host, 0);
            // its four others are gone, the application's own is not
            filter.send(b"ours", Timeout::Poll).unwrap();
            assert_eq!(filter.send(b"unseen", Timeout::Poll).unwrap_err().status(), Status::TIMEOUT);
            host.nothing_more();
            line.say("taken back");
            filter.send(b"goes on", Timeout::After(LONG)).unwrap();
            assert_eq!(host.ended(), 1);
        },
        |app| {
            let port = app.connect();
            let mut worker = Worker::with_handle_in(app.dir(), "worker", &port);
            assert_eq!(worker.does("post 5"), "ok");
            let ours = post(&port, 100).unwrap();
            app.say("posted");
            app.hear("kill it");
            worker.kill();
            app.hear("taken back");
            let Received::Message(message) = ours.wait().unwrap() else { panic!("it fits") };
            assert_eq!(message.body(), b"ours");
            assert_eq!(port.recv().unwrap().body(), b"goes on");
            port.close();
        },
    );
}

#[test]
fn another_process_may_reply() {
    let host = Host::new();
    let (port, filter) = host.pair();
    let mut worker = Worker::with_handle(&host, "worker", &port);
    thread::scope(|scope| {
        // received there, answered here
        let asked = scope.spawn(|| ask(&filter, b"who?").unwrap());
        assert_eq!(worker.does("receive"), "1 who?");
        assert_eq!(worker.does("keep"), "ok");
        port.reply(1, Status::SUCCESS, b"me").unwrap();
        assert_eq!(asked.join().unwrap(), b"me");
        // and the other way round
        let asked = scope.spawn(|| ask(&filter, b"and who?").unwrap());
        let id = port.recv().unwrap().detach();
        assert_eq!(worker.does(&format!("reply {id} I")), "ok");
        assert_eq!(asked.join().unwrap(), b"I");
        assert_eq!(worker.does(&format!("reply {id} again")), "error STATUS_FLT_NO_WAITER_FOR_REPLY");
    });
}

#[test]
fn a_message_that_a_killed_process_had_received_can_be_answered_by_another() {
    let host = Host::new();
    let (port, filter) = host.pair();
    let mut worker = Worker::with_handle(&host, "worker", &port);
    thread::scope(|scope| {
        let asked = scope.spawn(|| ask(&filter, b"?").unwrap());
        assert_eq!(worker.does("receive"), "1 ?");
        worker.kill();
        until_handles_are(&host, 0);
        port.reply(1, Status::SUCCESS, b"!").unwrap();
        assert_eq!(asked.join().unwrap(), b"!");
    });
}

#[test]
fn a_process_that_is_killed_while_it_reads_a_long_answer_harms_no_other() {
    let (called, on_called) = std::sync::mpsc::sync_channel(8);
    let answer = move |_: &Client, _: &[u8], output: &mut [u8]| {
        output.fill(7);
        let _ = called.send(());
        Response::from(output.len())
    };
    let host = Host::with(|filter| filter.on_message = Box::new(answer), |options| options);
    let (port, filter) = host.pair();
    for name in ["first", "second", "third"] {
        let mut worker = Worker::with_handle(&host, name, &port);
        worker.say("send-for 60000000");
        on_called.recv_timeout(LONG).unwrap();
        worker.kill();
        // the host has done with its request
        until_handles_are(&host, 0);
        let (deadline, uid) = (Instant::now() + LONG, rustix::process::getuid().as_raw());
        while host.port().usage(uid).requests != 0 {
            assert!(Instant::now() < deadline);
            thread::park_timeout(Duration::from_micros(100));
        }
        assert!(filter.is_connected());
        assert_eq!(port.send(b"?", &mut [0; 100_000]).unwrap(), 100_000);
        on_called.recv_timeout(LONG).unwrap();
    }
}

#[test]
fn something_else_is_no_handle() {
    let host = Host::new();
    let pipe = std::io::pipe().unwrap();
    let pair = UnixStream::pair().unwrap();
    for other in [OwnedFd::from(pipe.0), OwnedFd::from(pair.0), std::fs::File::open("/dev/null").unwrap().into()] {
        assert_eq!(Connection::from_handle(other).unwrap_err().status(), Status::INVALID_PARAMETER);
    }
    for content in [None, Some(b"something")] {
        let (one, other) = Socket::pair().unwrap();
        content.map_or(Ok(()), |content| other.send(content, &[])).unwrap();
        assert_eq!(Connection::from_handle(one.into()).unwrap_err().status(), Status::INVALID_PARAMETER);
    }
    let (port, _) = host.pair();
    let handle = port.duplicate().unwrap();
    port.disconnect();
    host.next();
    // the handle alone keeps it
    host.nothing_more();
    drop(handle);
    host.ended();
    let handle = host.connect().duplicate();
    host.next();
    let port = Connection::from_handle(handle.unwrap()).unwrap();
    assert!(port.is_connected());
}

#[test]
fn a_handle_of_an_ended_connection_says_so() {
    let mut host = Host::new();
    let (port, _) = host.pair();
    let handle = port.duplicate().unwrap();
    host.unload();
    assert_eq!(Connection::from_handle(handle).unwrap_err().status(), Status::PORT_DISCONNECTED);
    assert_eq!(port.duplicate().unwrap_err().status(), Status::PORT_DISCONNECTED);
}

#[test]
fn a_handle_that_is_opened_as_the_connection_ends_sees_the_end() {
    let host = Host::with(|_| {}, |options| options.max_connections(2));
    for round in 0..900 {
        // a place that is never free again would be missed; on a busy machine the last connection ends a moment later
        let port = until(|| host.connect_with(b"").ok());
        let filter = host.client();
        let handle = port.duplicate().unwrap();
        let opened = thread::scope(|scope| {
            let opening = scope.spawn(|| Connection::from_handle(handle));
            let start = Instant::now();
            while start.elapsed() < Duration::from_micros(round % 300) {
                std::hint::spin_loop();
            }
            filter.close();
            opening.join().unwrap()
        });
        if let Ok(opened) = opened {
            let deadline = Instant::now() + LONG;
            while opened.is_connected() {
                assert!(Instant::now() < deadline, "round {round}: it does not see the end");
                thread::park_timeout(Duration::from_micros(100));
            }
            opened.close();
        }
        port.close();
    }
}

#[test]
fn fifteen_processes_use_a_connection_and_a_place_that_becomes_free_is_given_again() {
    let host = Host::new();
    let (port, filter) = host.pair();
    let mut others: Vec<_> = (1..15).map(|_| Connection::from_handle(port.duplicate().unwrap()).unwrap()).collect();
    let refused = Connection::from_handle(port.duplicate().unwrap()).unwrap_err();
    assert_eq!(refused.status(), Status::INSUFFICIENT_RESOURCES);
    assert!(refused.to_string().contains("15 processes"), "{refused}");
    others.swap_remove(3).close();
    until_handles_are(&host, 13);
    let again = Connection::from_handle(port.duplicate().unwrap()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| filter.send(b"x", Timeout::After(LONG)).unwrap());
        assert_eq!(again.recv().unwrap().body(), b"x");
    });
}

#[test]
fn handles_of_one_user_at_the_limit() {
    let host = Host::with(|_| {}, |options| options.max_handles_per_user(3));
    let port = host.connect();
    let handles: Vec<_> = (0..3).map(|_| port.duplicate().unwrap()).collect();
    let refused = port.duplicate().unwrap_err();
    assert_eq!(refused.status(), Status::INSUFFICIENT_RESOURCES);
    assert!(refused.to_string().contains("may have 3"), "{refused}");
    drop(handles);
    until_handles_are(&host, 0);
    port.duplicate().unwrap();
}

#[test]
fn unloading_ends_the_connection_for_every_process() {
    let mut host = testkit::talk::echo();
    let port = host.connect();
    let mut workers: Vec<_> = ["one", "two"].iter().map(|name| Worker::with_handle(&host, name, &port)).collect();
    for worker in &mut workers {
        worker.say("receive");
    }
    host.unload();
    for worker in &mut workers {
        assert_eq!(worker.hear(), "error STATUS_PORT_DISCONNECTED");
        assert_eq!(worker.does("send x"), "error STATUS_PORT_DISCONNECTED");
    }
    assert_eq!(port.recv().unwrap_err().status(), Status::PORT_DISCONNECTED);
}

#[test]
fn disconnecting_one_process_leaves_the_receives_of_another() {
    let host = testkit::talk::echo();
    let (port, filter) = host.pair();
    host.next();
    let mut worker = Worker::with_handle(&host, "worker", &port);
    worker.say("receive");
    thread::scope(|scope| {
        let blocked = scope.spawn(|| port.recv().unwrap_err().status());
        // returns at once: there is another handle
        port.disconnect();
        assert_eq!(blocked.join().unwrap(), Status::PORT_DISCONNECTED);
    });
    assert_eq!(port.send(b"x", &mut []).unwrap_err().status(), Status::PORT_DISCONNECTED);
    host.nothing_more();
    filter.send(b"y", Timeout::After(LONG)).unwrap();
    assert_eq!(worker.hear(), "0 y");
    assert_eq!(worker.does("send z"), "z");
    drop(port);
    host.nothing_more();
    assert_eq!(worker.does("close"), "ok");
    host.ended();
}

#[test]
fn cancelling_takes_back_the_receives_of_its_own_process() {
    let host = Host::new();
    let (port, filter) = host.pair();
    let mut worker = Worker::with_handle(&host, "worker", &port);
    let _here = port.receiver(3).unwrap();
    assert_eq!(worker.does("post 5"), "ok");
    assert_eq!(worker.does("cancel"), "5");
    filter.send(b"x", Timeout::Poll).unwrap();
    assert_eq!(port.cancel_receives(), 2, "one is complete");
}

#[test]
fn a_slot_that_another_process_leaves_goes_to_one_that_waits() {
    let host = Host::new();
    let (port, filter) = host.pair();
    for end in ["close", "kill"] {
        let mut worker = Worker::with_handle(&host, end, &port);
        assert_eq!(worker.does(&format!("post {}", proto::slots::GETS)), "ok");
        thread::scope(|scope| {
            let received = scope.spawn(|| port.recv().unwrap().body().to_vec());
            let completions = port.completions();
            completions.post(7, 100).unwrap();
            match end {
                "close" => assert_eq!(worker.does("close"), "ok"),
                _ => worker.kill(),
            }
            until_handles_are(&host, 0);
            filter.send(b"x", Timeout::After(LONG)).unwrap();
            filter.send(b"x", Timeout::After(LONG)).unwrap();
            assert_eq!(received.join().unwrap(), b"x");
            assert_eq!(completions.next().unwrap().token, 7);
        });
    }
}

#[test]
fn a_file_goes_to_the_process_that_receives_its_message() {
    let host = Host::new();
    let (port, filter) = host.pair();
    let mut worker = Worker::with_handle(&host, "worker", &port);
    worker.say("receive");
    let file = std::fs::File::open("/dev/null").unwrap();
    let (sender, asked) = std::sync::mpsc::sync_channel(1);
    let question = OutgoingMessage {
        body: b"look".to_vec(),
        reply_len: 8,
        file: Some(std::sync::Arc::new(file.into())),
        timeout: Timeout::After(LONG),
    };
    filter.ask_then(question, move |answered| sender.send(answered).unwrap());
    assert_eq!(worker.hear(), "1 look with a file");
    assert_eq!(worker.does("reply 1 seen"), "ok");
    assert_eq!(asked.recv_timeout(LONG).unwrap().unwrap().payload, b"seen");
}

/// Kills one of two processes that answer, at any moment, and sees that the other goes on and has everything to itself.

#[test]
fn a_killed_process_harms_no_other() {
    let rounds = std::env::var("FLTMGR_ROUNDS").map_or(20, |rounds| rounds.parse().unwrap());
    let host = Host::new();
    let (port, filter) = host.pair();
    let long = vec![7; 200_000];
    for round in 0..rounds {
        let mut worker = Worker::with_handle(&host, &format!("worker {round}"), &port);
        worker.does("serve");
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let server = scope.spawn(|| serve(&port, &stop));
            let filters: Vec<_> = [&b"short"[..], &long, &long[..60_000], b"another"]
                .into_iter()
                .map(|question| {
                    let (filter, stop) = (&filter, &stop);
                    scope.spawn(move || {
                        while !stop.load(Ordering::Relaxed) {
                            let mut reply = vec![0; question.len()];
                            let timeout = Timeout::After(Duration::from_millis(50));
                            match filter.ask(question, &mut reply, timeout) {
                                Ok(_) => assert_eq!(reply, question),
                                // received, or being answered, by the one that was killed
                                Err(error) if error.status() == Status::TIMEOUT => {}
                                Err(error) if error.status() == Status::CANCELLED => {}
                                Err(error) => panic!("{error}"),
                            }
                        }
                    })
                })
                .collect();
            thread::park_timeout(Duration::from_micros(3_000 + 517 * (round % 40)));
            worker.kill();
            until_handles_are(&host, 0);
            stop.store(true, Ordering::Relaxed);
            for filter in filters {
                filter.join().unwrap();
            }
            server.join().unwrap();
        });
        // all slots, windows and waiters are there again
        let all = port.receiver(proto::slots::GETS).unwrap();
        drop(all);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| serve(&port, &stop));
            for question in [&b"short"[..], &long].repeat(9) {
                assert_eq!(ask(&filter, question).unwrap(), question, "round {round}");
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
    host.next();
    host.nothing_more();
}
