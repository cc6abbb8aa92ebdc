//! When all slots of a connection are in use.

use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use fltport::{Client, Received, Response, Status, Timeout};
use proto::slots::{GETS, REPLIES, SENDS};
use testkit::raw::Raw;
use testkit::{Host, LONG, this_thread, until, until_it_sleeps};

#[test]
fn a_receive_waits_for_a_slot_no_longer_than_for_a_message() {
    let host = Host::new();
    let port = host.connect();
    let hog = port.receiver(GETS).unwrap();
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
    let mut first = port.receiver(GETS - 16).unwrap();
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
                scope.spawn(|| (0..500).for_each(|_| drop(port.receiver(GETS / 2 + 10).unwrap())));
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
    let hog = other.receiver(GETS).unwrap();
    let completions = port.completions();
    completions.post(1, 100).unwrap();
    drop(hog);
    assert!(completions.try_next().unwrap().is_none());
    filter.send(b"x", Timeout::Poll).expect("nothing is posted");
    assert_eq!(completions.try_next().unwrap().expect("it is delivered").token, 1);
}

/// A process that has given long replies, and then receives again or only waits, gives their windows back when another
/// wants them.
#[test]
fn a_process_that_sleeps_gives_back_the_windows_that_filters_have_read() {
    let host = Host::new();
    let (port, filter) = host.pair();
    for sleeps in ["in a receive", "in completions"] {
        let other = fltport::Connection::from_handle(port.duplicate().unwrap()).unwrap();
        let mut receiver = port.receiver(REPLIES).unwrap();
        let asked = || filter.start(b"?", 1000, Timeout::After(LONG)).unwrap();
        let asked: Vec<_> = (0..REPLIES).map(|_| asked()).collect();
        for _ in 0..REPLIES {
            receiver.recv().unwrap().reply(Status::SUCCESS, &[7; 500]).unwrap();
        }
        let last = filter.start(b"?", 1000, Timeout::After(LONG)).unwrap();
        let unanswered = receiver.recv().unwrap();
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
            let (other, id) = (&other, unanswered.id());
            scope.spawn(move || tell.send(other.reply(id, Status::SUCCESS, &[8; 500])).unwrap());
            let replied = told.recv_timeout(LONG / 2);
            port.cancel_receives();
            assert_eq!(receives.join().unwrap(), Status::CANCELLED);
            if replied.is_err() {
                other.disconnect();
            }
            replied.expect("no window was given back").unwrap_or_else(|error| panic!("{sleeps}: {error}"));
        });
        assert_eq!(last.wait(&mut [0; 1000]).unwrap().len, 500);
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

/// What is posted can take a message: messages for which no time is given are all delivered.
#[test]
fn as_many_messages_are_delivered_as_receives_are_posted() {
    let host = Host::new();
    for (posted, sent) in [(256, 100), (GETS, GETS), (GETS + 1, GETS)] {
        let (port, filter) = host.pair();
        let completions = port.completions();
        for token in 0..posted as u64 {
            completions.post(token, 1000).unwrap();
        }
        for number in 0..sent {
            // those that lie beside the header, and those that do not
            let message = [(number / 7) as u8; 300];
            filter.send(&message[..100 + number % 2 * 200], Timeout::Poll).unwrap_or_else(|error| {
                panic!("message {number} of {sent} to {posted} receives: {error}");
            });
        }
        if sent == GETS {
            let one_more = filter.send(b"one more", Timeout::Poll).map_err(|error| error.status());
            assert_eq!(one_more, Err(Status::TIMEOUT), "those beyond the limit wait for their turn");
        }
        for number in 0..sent {
            let completed = completions.next_timeout(LONG).unwrap().expect("it was delivered");
            assert_eq!(completed.token, number as u64, "the oldest first");
            let Ok(Received::Message(message)) = completed.result else { panic!("{number} was no message") };
            assert_eq!(message.body(), &[(number / 7) as u8; 300][..100 + number % 2 * 200]);
        }
        assert_eq!(completions.outstanding(), posted - sent);
        if posted > sent {
            filter.send(b"one more", Timeout::After(LONG)).unwrap();
            assert!(completions.next_timeout(LONG).unwrap().is_some());
        }
    }
}

/// The same for receives that stay posted, and for more of them than there are.
#[test]
fn a_receiver_of_the_largest_depth_takes_as_many_messages() {
    let host = Host::new();
    let (port, filter) = host.pair();
    let mut receiver = port.receiver(GETS).unwrap();
    (0..GETS as u32).for_each(|number| filter.send(&number.to_le_bytes(), Timeout::Poll).unwrap());
    (0..GETS as u32).for_each(|number| assert_eq!(receiver.recv().unwrap().body(), number.to_le_bytes()));
    let error = port.receiver(GETS + 1).unwrap_err();
    assert_eq!(error.status(), Status::INVALID_PARAMETER);
    assert!(error.to_string().contains("1 to 1024"), "{error}");
}

/// Any of many posted receives wakes the one thread that sleeps for all of them.
#[test]
fn a_thread_that_sleeps_for_many_receives_wakes_for_any() {
    let host = Host::new();
    let (port, filter) = host.pair();
    let completions = port.completions();
    (0..GETS as u64 - 1).for_each(|token| completions.post(token, 10).unwrap());
    completions.post(u64::MAX, 1000).unwrap();
    let (tell, told) = sync_channel(1);
    thread::scope(|scope| {
        let waits = scope.spawn(|| {
            tell.send(this_thread()).unwrap();
            completions.next().unwrap().token
        });
        until_it_sleeps(told.recv_timeout(LONG).unwrap());
        filter.send(&[1; 500], Timeout::Poll).expect("the last and largest receive takes it");
        assert_eq!(waits.join().unwrap(), u64::MAX);
    });
}
