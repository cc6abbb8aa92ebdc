//! When all slots of a connection are in use.

use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use fltport::{Client, Response, Status, Timeout};
use proto::slots::SENDS;
use testkit::raw::Raw;
use testkit::{Host, LONG, echoes, this_thread, until, until_it_sleeps};

#[test]
fn a_receive_waits_for_a_slot_no_longer_than_for_a_message() {
    let host = Host::new();
    let port = host.connect();
    let hog = port.receiver(48).unwrap();
    let (tell, told) = sync_channel(1);
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(port.try_recv().unwrap().is_none());
            let start = Instant::now();
            assert!(port.recv_timeout(Duration::from_millis(30)).unwrap().is_none());
            let at = Timeout::At(std::time::SystemTime::now() + Duration::from_millis(30));
            assert!(port.recv_limited(8, at).unwrap().is_none());
            tell.send(start.elapsed()).unwrap();
        });
        let took = told.recv_timeout(LONG / 2);
        drop(hog);
        assert!(took.expect("it waits for ever") >= Duration::from_millis(60));
    });
}

/// One that waited with some receives posted would be sent messages that are not read.
#[test]
fn a_receiver_that_waits_for_its_receives_takes_no_message() {
    let host = Host::new();
    let (port, filter) = host.pair();
    let mut first = port.receiver(32).unwrap();
    let (looker, _) = Raw::open(port.duplicate().unwrap());
    thread::scope(|scope| {
        let second = scope.spawn(|| port.receiver(32).map(drop).map_err(|error| error.status()));
        until(|| looker.shared().allocation.wanted.load(Ordering::SeqCst) != 0);
        scope.spawn(move || {
            while let Ok(message) = first.recv() {
                message.reply(Status::SUCCESS, b"yes").unwrap();
            }
            // the other may have its receives now
            drop(first);
        });
        let asked = (0..100).map(|_| filter.ask(b"?", &mut [0; 8], Timeout::After(LONG / 4)).map(drop));
        let asked: Result<Vec<_>, _> = asked.collect();
        port.cancel_receives();
        assert_eq!(second.join().unwrap(), Err(Status::CANCELLED));
        asked.expect("a message went to the one that waits");
    });
}

#[test]
fn two_that_want_many_receives_do_not_wait_for_each_other() {
    let host = Host::new();
    let port = host.connect();
    let other = fltport::Connection::from_handle(port.duplicate().unwrap()).unwrap();
    let (tell, told) = sync_channel(2);
    thread::spawn(move || {
        thread::scope(|scope| {
            for port in [&port, &other] {
                scope.spawn(|| (0..2_000).for_each(|_| drop(port.receiver(30).unwrap())));
            }
        });
        tell.send(()).unwrap();
    });
    told.recv_timeout(LONG).expect("they wait for each other");
}

/// A program that only looks now and then is told of no slot that another process leaves.
#[test]
fn a_look_for_completions_posts_what_waits_for_a_slot() {
    let host = Host::new();
    let (port, filter) = host.pair();
    let other = fltport::Connection::from_handle(port.duplicate().unwrap()).unwrap();
    let hog = other.receiver(48).unwrap();
    let completions = port.completions();
    completions.post(1, 100).unwrap();
    drop(hog);
    assert!(completions.try_next().unwrap().is_none());
    filter.send(b"x", Timeout::Poll).expect("nothing is posted");
    assert_eq!(completions.try_next().unwrap().expect("it is delivered").token, 1);
}

/// Long replies take the places of requests for as long as their filters have not read them. A process that has replied,
/// and then receives again or only waits, gives them back when another wants them.
#[test]
fn a_process_that_sleeps_gives_back_the_windows_that_filters_have_read() {
    let host = Host::with(echoes, |options| options);
    let (port, filter) = host.pair();
    let other = fltport::Connection::from_handle(port.duplicate().unwrap()).unwrap();
    for sleeps in ["in a receive", "in completions"] {
        let mut receiver = port.receiver(SENDS).unwrap();
        let asked = || filter.start(b"?", 1000, Timeout::After(LONG)).unwrap();
        let asked: Vec<_> = (0..SENDS).map(|_| asked()).collect();
        for _ in 0..SENDS {
            receiver.recv().unwrap().reply(Status::SUCCESS, &[7; 500]).unwrap();
        }
        thread::scope(|scope| {
            let (tell, told) = sync_channel(1);
            let (port, receiver) = (&port, &mut receiver);
            let receives = scope.spawn(move || {
                tell.send(this_thread()).unwrap();
                match sleeps {
                    "in a receive" => receiver.recv().unwrap_err().status(),
                    _ => {
                        let completions = port.completions();
                        completions.post(1, 100).unwrap();
                        completions.next().unwrap().result.unwrap_err().status()
                    }
                }
            });
            until_it_sleeps(told.recv_timeout(LONG).unwrap());
            // only now
            for asked in asked {
                assert_eq!(asked.wait(&mut [0; 1000]).unwrap().len, 500);
            }
            let (tell, told) = sync_channel(1);
            let other = &other;
            scope.spawn(move || tell.send(other.send(b"x", &mut [0; 1])).unwrap());
            let sent = told.recv_timeout(LONG / 2);
            port.cancel_receives();
            assert_eq!(receives.join().unwrap(), Status::CANCELLED);
            if sent.is_err() {
                other.disconnect();
            }
            assert_eq!(sent.expect("no place was given back").unwrap(), 1, "{sleeps}");
        });
    }
}

/// All the places of requests are taken by requests whose callbacks wait for replies that are long.
#[test]
fn requests_whose_callbacks_ask_for_long_replies_get_them() {
    let asks = |client: &Client, _: &[u8], output: &mut [u8]| match client.ask(b"?", output, Timeout::After(LONG / 4)) {
        Ok(reply) => Response::from(reply.len),
        Err(error) => error.status().into(),
    };
    let host = Host::with(|filter| filter.on_message = Box::new(asks), |options| options);
    let port = host.connect();
    thread::scope(|scope| {
        let requests: Vec<_> = (0..SENDS).map(|_| scope.spawn(|| port.send(b"x", &mut [0; 1000]))).collect();
        // none is answered before all are asked
        let messages: Vec<_> = (0..SENDS).map(|_| port.recv().unwrap()).collect();
        let replied: Vec<_> = messages.into_iter().map(|message| message.reply(Status::SUCCESS, &[7; 1000])).collect();
        for (request, replied) in requests.into_iter().zip(replied) {
            assert_eq!(request.join().unwrap().expect("the reply found no place"), 1000);
            replied.unwrap();
        }
    });
}
