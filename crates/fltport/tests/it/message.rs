//! Messages of every size, and many at a time: rows 67 and 68 of the table in `doc/windows.md`.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;
use std::thread;

use fltport::{OutgoingMessage, Received, Status, Timeout};
use testkit::talk::patterned;
use testkit::{App, Host, LONG, Line, both, echoes, hresult, post, skip};

#[test]
fn row_067_a_message_may_be_empty() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            filter.send(b"", Timeout::After(LONG)).unwrap();
            assert_eq!(filter.ask(b"", &mut [0; 4], Timeout::After(LONG)).unwrap().len, 2);
            line.say("done");
        },
        |app| {
            let port = app.connect();
            let message = port.recv().unwrap();
            assert_eq!((message.body(), message.id(), message.reply_capacity()), (&b""[..], 0, None));
            let message = port.recv().unwrap();
            assert_eq!((message.body(), message.id(), message.reply_capacity()), (&b""[..], 1, Some(4)));
            message.reply(Status::SUCCESS, b"ok").unwrap();
            app.hear("done");
        },
    );
}

#[test]
fn row_068_a_message_whose_length_with_its_header_overflows_is_refused() {
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap();
    let total: u64 = memory.split_whitespace().nth(1).unwrap().parse().unwrap();
    if total < 6 << 20 {
        return skip::machine("it does not give out 4 GiB of address space");
    }
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            // zero pages that are not touched
            let long = vec![0; 0xffff_fff0];
            // one byte fewer is no more than is not received, or than a receive that is posted has room for
            let longest = &long[1..];
            assert_eq!(filter.send(longest, Timeout::Poll).unwrap_err().status(), Status::TIMEOUT);
            assert_eq!(filter.ask(longest, &mut [0; 1], Timeout::Poll).unwrap_err().status(), Status::TIMEOUT);
            line.say("tried");
            line.hear("posted a small one");
            assert_eq!(filter.send(longest, Timeout::Poll).unwrap_err().status(), Status::TIMEOUT);
            // before that, the receive that follows could be taken for this one
            line.say("refused");
            line.hear("posted");
            assert_eq!(filter.send(&long, Timeout::Poll).unwrap_err().status(), Status::INVALID_PARAMETER);
            let asked = filter.ask(&long, &mut [0; 1], Timeout::Poll).unwrap_err();
            assert_eq!(asked.status(), Status::INVALID_PARAMETER);
            assert!(asked.to_string().contains("4294967279"), "{asked}");
            let started = filter.start(&long, 1, Timeout::Poll).map(drop).unwrap_err();
            assert_eq!(started.status(), Status::INVALID_PARAMETER);
            let (sender, answer) = sync_channel(1);
            let question = OutgoingMessage { body: long, reply_len: 1, file: None, timeout: Timeout::Poll };
            filter.ask_then(question, move |answered| sender.send(answered.unwrap_err().status()).unwrap());
            assert_eq!(answer.recv_timeout(LONG).unwrap(), Status::INVALID_PARAMETER);
            // no receive was used up
            filter.send(b"short", Timeout::Poll).unwrap();
            line.say("sent");
        },
        |app| {
            let port = app.connect();
            app.hear("tried");
            let small = post(&port, 0xffff_ffee).unwrap();
            app.say("posted a small one");
            match small.wait().unwrap() {
                Received::TooSmall { needed, id, .. } => assert_eq!((needed, id), (0xffff_ffef, 0)),
                Received::Message(message) => panic!("{message:?}"),
            }
            app.hear("refused");
            let mut receiver = port.receiver(1).unwrap();
            app.say("posted");
            app.hear("sent");
            assert_eq!(receiver.recv().unwrap().body(), b"short");
        },
    );
}

/// The port's defaults hold back requests of this size, not messages.
fn large() -> Host {
    Host::with(echoes, |options| options.max_request(1 << 30).max_request_bytes_per_user(1 << 30))
}

/// The filter's side: a message of each size, which comes back as its reply.
fn ask_and_compare(sizes: &[usize], host: &Host, line: &Line) {
    let filter = host.accepted();
    for &size in sizes {
        let sent = patterned(size);
        let mut reply = vec![0; size];
        let answer = filter.ask(&sent, &mut reply, Timeout::Never).unwrap();
        assert_eq!((answer.status, answer.len), (Status::SUCCESS, size));
        assert!(reply == sent, "{size}");
    }
    line.say("answered");
    host.ended();
}

/// The application's side: it replies with what it gets, then sends requests of each size, which come back as their
/// output.
fn reply_and_request(sizes: &[usize], app: &App) {
    let port = app.connect();
    for &size in sizes {
        let message = port.recv().unwrap();
        assert_eq!((message.body().len(), message.reply_capacity()), (size, Some(size)));
        let body = message.body().to_vec();
        message.reply(Status::SUCCESS, &body).unwrap();
    }
    app.hear("answered");
    for &size in sizes.iter().filter(|&&size| size > 0) {
        let sent = patterned(size);
        let mut output = vec![0; size];
        assert_eq!(port.send(&sent, &mut output).unwrap(), size);
        assert!(output == sent, "{size}");
    }
}

/// Nothing, and around each edge of the ways in which a message can travel.
#[test]
fn every_size_arrives_whole_in_all_four_directions() {
    let sizes = [0, 1, 103, 104, 105, 191, 192, 193, 4096, 65_535, 65_536, 65_537, 200_000, 5 << 20];
    both(large, |host, line| ask_and_compare(&sizes, host, line), |app| reply_and_request(&sizes, app));
}

#[test]
fn more_than_64_mebibytes_arrive_whole_in_all_four_directions() {
    let sizes = [(64 << 20) + 1];
    both(large, |host, line| ask_and_compare(&sizes, host, line), |app| reply_and_request(&sizes, app));
}

/// A port may say how long a request can be. One that is too long is refused, and the connection goes on.
#[test]
fn a_request_beyond_the_ports_limit_is_refused() {
    const LIMIT: usize = 100_000;
    let make = || {
        Host::with(
            |filter| filter.on_message = Box::new(|_, input, _| input.len().into()),
            |options| options.max_request(LIMIT),
        )
    };
    both(
        make,
        |host, _| {
            host.accepted();
            host.ended();
        },
        |app| {
            let port = app.connect();
            for (input, output) in [(LIMIT + 1, 0), (1, LIMIT + 1), (10 * LIMIT, 10 * LIMIT)] {
                let error = port.send(&vec![1; input], &mut vec![0; output]).unwrap_err();
                assert_eq!(error.status(), Status::INSUFFICIENT_RESOURCES);
                assert_eq!(hresult(error.status()), 0x8007_05aa);
                assert!(error.to_string().contains("max_request"), "{error}");
                assert_eq!(port.send(&[1; LIMIT], &mut [0; LIMIT]).unwrap(), LIMIT);
            }
        },
    );
}

#[test]
fn many_threads_at_both_ends_lose_and_double_nothing() {
    const THREADS: u64 = 16;
    const EACH: u64 = 500;
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            thread::scope(|scope| {
                for thread in 0..THREADS {
                    let filter = &filter;
                    scope.spawn(move || {
                        for number in thread * EACH..(thread + 1) * EACH {
                            let mut reply = [0; 8];
                            filter.ask(&number.to_le_bytes(), &mut reply, Timeout::After(LONG)).unwrap();
                            assert_eq!(u64::from_le_bytes(reply), !number);
                        }
                    });
                }
            });
            line.say("all are answered");
        },
        |app| {
            let port = app.connect();
            let seen = Mutex::new(BTreeMap::new());
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        for _ in 0..EACH {
                            let message = port.recv().unwrap();
                            let number = u64::from_le_bytes(message.body().try_into().unwrap());
                            assert_eq!(seen.lock().unwrap().insert(message.id(), number), None);
                            message.reply(Status::SUCCESS, &(!number).to_le_bytes()).unwrap();
                        }
                    });
                }
            });
            let seen = seen.into_inner().unwrap();
            assert!(seen.keys().copied().eq(1..=THREADS * EACH), "each id once");
            let mut numbers: Vec<_> = seen.into_values().collect();
            numbers.sort_unstable();
            assert!(numbers.into_iter().eq(0..THREADS * EACH), "each message once");
            app.hear("all are answered");
        },
    );
}
