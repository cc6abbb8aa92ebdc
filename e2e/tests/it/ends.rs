//! What is told before the end of a connection, and what the end waits for.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use fltmgr::{OutgoingMessage, Received, Status, Timeout};
use testkit::{Event, Host, LONG, Random, uid, until};

/// A port that takes one connection.
fn host() -> Host {
    Host::with(|_| {}, |options| options.max_connections(1))
}

#[test]
fn a_receiver_gives_what_was_sent_before_the_end() {
    let host = host();
    let (port, client) = host.pair();
    let mut receiver = port.receiver(3).unwrap();
    client.send(b"first", Timeout::Never).unwrap();
    client.send(b"second", Timeout::Never).unwrap();
    client.close();
    until(|| !port.is_connected());
    // sent with success: a receive's buffer holds them
    assert_eq!(receiver.recv().expect("the first").body(), b"first");
    assert_eq!(receiver.recv().expect("the second").body(), b"second");
    assert_eq!(receiver.recv().unwrap_err().status(), Status::PORT_DISCONNECTED);
}

#[test]
fn what_was_sent_before_the_end_is_received_in_every_way() {
    let host = host();
    for round in 0..300 {
        let (port, client) = host.pair();
        let posted = port.completions();
        std::thread::scope(|scope| {
            let receiving = scope.spawn(|| match round % 3 {
                0 => port.recv().map(|message| message.body().to_vec()),
                1 => port.recv_timeout(LONG).map(|message| message.expect("a message").body().to_vec()),
                _ => {
                    posted.post(1, 100).unwrap();
                    posted.next().and_then(|completed| completed.result).map(|received| match received {
                        Received::Message(message) => message.body().to_vec(),
                        other => panic!("{other:?}"),
                    })
                }
            });
            client.send(b"the last", Timeout::Never).unwrap();
            client.close();
            assert_eq!(receiving.join().unwrap().expect("it was sent with success"), b"the last");
        });
        drop(posted);
        port.close();
    }
}

#[test]
fn closing_at_once_returns_after_the_disconnect_callback() {
    let host = host();
    for round in 1..=1000 {
        // the one place is free when this returns, so the next connects
        host.connect().close();
        host.accepted();
        let ended = host.events.try_recv();
        assert_eq!(ended, Ok(Event::Disconnected(round)), "close returned before the disconnect callback did");
    }
}

#[test]
fn a_long_reply_whose_time_runs_out_is_taken_by_both_ends_or_by_none() {
    let host = host();
    let (port, client) = host.pair();
    let mut random = Random::new(Random::seed());
    for round in 0..1000 {
        let timeout = Timeout::After(Duration::from_micros(random.below(300)));
        let (asked, replied) = std::thread::scope(|scope| {
            let replying = scope.spawn(|| match port.recv_timeout(Duration::from_millis(1)) {
                Ok(Some(message)) => message.reply(Status::SUCCESS, &[7; 100_000]).map_err(|error| error.status()),
                none => none.map(|_| ()).map_or_else(|error| Err(error.status()), |()| Err(Status::NO_MORE_ENTRIES)),
            });
            let asked = if random.once_in(2) {
                client.ask(b"?", &mut [0; 100_000], timeout).map(|reply| reply.len)
            } else {
                let (answered, on_answered) = sync_channel(1);
                let question = OutgoingMessage { body: b"?".to_vec(), reply_len: 100_000, file: None, timeout };
                client.ask_then(question, move |answer| answered.send(answer).unwrap());
                on_answered.recv_timeout(LONG).unwrap().map(|answered| answered.payload.len())
            };
            (asked.map_err(|error| error.status()), replying.join().unwrap())
        });
        match replied {
            Ok(()) => assert_eq!(asked, Ok(100_000), "round {round}"),
            Err(_) => assert_eq!(asked, Err(Status::TIMEOUT), "round {round}: {replied:?}"),
        }
    }
}

#[test]
fn a_long_reply_is_accepted_though_the_filter_keeps_less_of_it() {
    let host = host();
    let (port, client) = host.pair();
    std::thread::scope(|scope| {
        let replying = scope.spawn(|| port.recv().unwrap().reply(Status::SUCCESS, &[7; 200_000]));
        let pending = client.start(b"?", 200_000, Timeout::Never).unwrap();
        let reply = pending.wait(&mut [0; 10]).unwrap();
        assert_eq!((reply.status, reply.len), (Status::BUFFER_OVERFLOW, 10));
        replying.join().unwrap().expect("the filter has it: it was as long as the filter said");
    });
}

#[test]
fn a_long_request_that_the_end_interrupts_is_disconnected() {
    let host = host();
    let mut interrupted = 0;
    while interrupted < 10 {
        let (port, client) = host.pair();
        let status = std::thread::scope(|scope| {
            let sending = scope.spawn(|| port.send(&vec![7; 16 << 20], &mut []));
            until(|| host.port().usage(uid()).request_bytes > 0 || sending.is_finished());
            client.close();
            sending.join().unwrap().unwrap_err().status()
        });
        // the other is the filter's answer, of a request that was through before the end
        assert!([Status::PORT_DISCONNECTED, Status::INVALID_DEVICE_REQUEST].contains(&status), "{status:?}");
        interrupted += u64::from(status == Status::PORT_DISCONNECTED);
        port.close();
    }
}
