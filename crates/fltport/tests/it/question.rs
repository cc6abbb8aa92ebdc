//! Questions whose answers go to callbacks.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime};

use fltport::{Client, OutgoingMessage, OwnedReply, Received, Status, Timeout};
use proto::host::{FLAG_FILE, Outcome};
use testkit::raw::Raw;
use testkit::talk::patterned;
use testkit::{Host, LONG, both};

#[test]
fn questions_to_callbacks_are_answered_each_once() {
    let host = Host::new();
    let (app, filter) = host.pair();
    let (sender, answers) = sync_channel(1000);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut receiver = app.receiver(4).unwrap();
            for _ in 0..500 {
                let message = receiver.recv().unwrap();
                let body = message.body().to_vec();
                message.reply(Status::SUCCESS, &body).unwrap();
            }
        });
        for number in 0..500u32 {
            let sender = sender.clone();
            let question = OutgoingMessage {
                body: number.to_le_bytes().to_vec(),
                reply_len: 4,
                file: None,
                timeout: Timeout::After(LONG),
            };
            filter.ask_then(question, move |answer| sender.send((number, answer.unwrap().payload)).unwrap());
        }
    });
    drop(sender);
    let mut seen: Vec<_> = answers.iter().collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..500u32).map(|number| (number, number.to_le_bytes().to_vec())).collect::<Vec<_>>());
}

#[test]
fn a_question_to_a_callback_ends_with_its_deadline_or_its_connection() {
    let host = Host::new();
    let (app, filter) = host.pair();
    let (sender, answers) = sync_channel(10);
    let ask = |timeout| {
        let sender = sender.clone();
        let question = OutgoingMessage { body: b"?".to_vec(), reply_len: 4, file: None, timeout };
        filter.ask_then(question, move |answer| sender.send(answer.map_err(|error| error.status())).unwrap());
    };
    ask(Timeout::After(Duration::from_millis(10)));
    assert_eq!(answers.recv_timeout(LONG).unwrap(), Err(Status::TIMEOUT));
    ask(Timeout::Poll);
    assert_eq!(answers.recv_timeout(LONG).unwrap(), Err(Status::TIMEOUT));
    ask(Timeout::Never);
    drop(app);
    assert_eq!(answers.recv_timeout(LONG).unwrap(), Err(Status::PORT_DISCONNECTED));
    ask(Timeout::Never);
    assert_eq!(answers.recv_timeout(LONG).unwrap(), Err(Status::PORT_DISCONNECTED));
}

#[test]
fn a_file_travels_with_its_question() {
    use std::os::unix::fs::FileExt;
    let host = Host::new();
    let (app, filter) = host.pair();
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(b"content", 0).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let message = app.recv().unwrap();
            let file = std::fs::File::from(message.file().unwrap().try_clone().unwrap());
            let mut content = [0; 7];
            file.read_exact_at(&mut content, 0).unwrap();
            message.reply(Status::SUCCESS, &content).unwrap();
        });
        let (sender, answer) = sync_channel(1);
        let file = Some(Arc::new(file.into()));
        let question = OutgoingMessage { body: b"scan".to_vec(), reply_len: 16, file, timeout: Timeout::After(LONG) };
        filter.ask_then(question, move |answered| sender.send(answered.unwrap().payload).unwrap());
        assert_eq!(answer.recv_timeout(LONG).unwrap(), b"content");
    });
}

/// An application that does not take the files out of its socket gets no question without its file, which it would judge
/// as one about nothing.
#[test]
fn a_question_whose_file_cannot_be_sent_ends_unseen() {
    let host = Host::new();
    let raw = Raw::connect(&host.namespace());
    let filter = host.accepted();
    let file = Arc::new(OwnedFd::from(tempfile::tempfile().unwrap()));
    let ask = |file| {
        let (sender, answer) = sync_channel(1);
        let question = OutgoingMessage { body: b"?".to_vec(), reply_len: 16, file, timeout: Timeout::After(LONG) };
        filter.ask_then(question, move |answered| sender.send(answered.map(|answered| answered.payload)).unwrap());
        answer
    };
    let mut delivered = 0;
    let refused = loop {
        assert!(delivered < 100_000, "its socket never fills up");
        let posted = raw.post(100);
        let answer = ask(Some(Arc::clone(&file)));
        let completion = raw.completed(posted);
        let with_file = completion.flags & FLAG_FILE != 0;
        match completion.outcome {
            Some(Outcome::Message) => assert!(with_file, "a question without its file"),
            other => {
                // what a receive is told that is given back: the application posts it again
                assert_eq!((other, completion.len, completion.reply_to), (Some(Outcome::TooSmall), 1, None));
                break answer.recv_timeout(LONG).unwrap().unwrap_err();
            }
        }
        raw.reply(completion.reply_to.unwrap(), b"!");
        assert_eq!(answer.recv_timeout(LONG).unwrap().unwrap(), b"!");
        let _ = proto::client::release(raw.shared(), posted.slot);
        delivered += 1;
    };
    assert_eq!(refused.status(), Status::INSUFFICIENT_RESOURCES);
    assert!(refused.to_string().contains("the message's file could not be sent"), "{refused}");
    // nothing else stops
    let posted = raw.post(100);
    let answer = ask(None);
    raw.reply(raw.completed(posted).reply_to.unwrap(), b"still here");
    assert_eq!(answer.recv_timeout(LONG).unwrap().unwrap(), b"still here");
}

/// Asks with a callback; what it was called with.
fn ask_then(
    filter: &Client,
    message: &[u8],
    reply_len: usize,
    timeout: Timeout,
) -> Receiver<Result<OwnedReply, Status>> {
    let (sender, answer) = sync_channel(2);
    let question = OutgoingMessage { body: message.to_vec(), reply_len, file: None, timeout };
    filter.ask_then(question, move |answered| sender.send(answered.map_err(|error| error.status())).unwrap());
    answer
}

/// Rows 54 to 58 and 65 hold for callbacks too: what fits is there, with the status that was given; of what is cut,
/// both ends are told.
#[test]
fn a_callback_gets_a_reply_as_a_sender_does() {
    let cases = [
        (3, 16, Status::SUCCESS),
        (16, 16, Status::NOT_FOUND),
        (17, 16, Status::NOT_FOUND),
        (0, 16, Status::ACCESS_DENIED),
        (0, 0, Status::SUCCESS),
        (1, 0, Status::SUCCESS),
        (5, 16, Status::TIMEOUT),
        (1_000, 1_000, Status::SUCCESS),
        (1_001, 1_000, Status::SUCCESS),
        (65_537, 65_537, Status(0xe000_0001)),
        (200_000, 199_999, Status::SUCCESS),
        (1 << 20, 3, Status::SUCCESS),
    ];
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            for (len, room, status) in cases {
                let answer = ask_then(&filter, b"?", room, Timeout::After(LONG));
                let answered = answer.recv_timeout(LONG).unwrap().unwrap();
                let status = if len > room { Status::BUFFER_OVERFLOW } else { status };
                assert_eq!((answered.status, answered.payload.len()), (status, len.min(room)));
                assert!(answered.payload == patterned(len)[..len.min(room)], "{len}");
                assert!(answer.recv().is_err(), "a callback is called once");
            }
            line.say("done");
        },
        |app| {
            let port = app.connect();
            for ((len, room, status), id) in cases.into_iter().zip(1..) {
                let message = port.recv().unwrap();
                assert_eq!((message.id(), message.reply_capacity()), (id, Some(room)));
                let replied = message.reply(status, &patterned(len)).map_err(|error| error.status());
                assert_eq!(replied, if len > room { Err(Status::BUFFER_OVERFLOW) } else { Ok(()) });
                let again = port.reply(id, Status::SUCCESS, b"").unwrap_err().status();
                assert_eq!(again, Status::FLT_NO_WAITER_FOR_REPLY);
            }
            app.hear("done");
        },
    );
}

/// Rows 46, 47, 49, 50 and 67 hold for callbacks too.
#[test]
fn a_question_to_a_callback_that_is_late_is_not_seen_or_its_reply_finds_no_waiter() {
    const SHORT: Timeout = Timeout::After(Duration::from_millis(5));
    let timed_out = |answer: &Receiver<_>| assert_eq!(answer.recv_timeout(LONG).unwrap(), Err(Status::TIMEOUT));
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            timed_out(&ask_then(&filter, b"never seen", 4, SHORT));
            timed_out(&ask_then(&filter, b"never seen", 4, Timeout::Poll));
            let moment = SystemTime::now() + Duration::from_millis(20);
            timed_out(&ask_then(&filter, b"never seen", 4, Timeout::At(moment)));
            assert!(SystemTime::now() >= moment);
            line.say("timed out");
            line.hear("posted");
            // delivered, each of them
            timed_out(&ask_then(&filter, b"", 4, Timeout::Poll));
            timed_out(&ask_then(&filter, b"short", 4, SHORT));
            let moment = SystemTime::now() + Duration::from_millis(20);
            timed_out(&ask_then(&filter, b"moment", 4, Timeout::At(moment)));
            assert!(SystemTime::now() >= moment);
            line.say("timed out");
            line.hear("replied");
        },
        |app| {
            let port = app.connect();
            app.hear("timed out");
            assert!(port.try_recv().unwrap().is_none());
            let mut receiver = port.receiver(3).unwrap();
            app.say("posted");
            app.hear("timed out");
            for (id, body) in [(1, &b""[..]), (2, b"short"), (3, b"moment")] {
                let message = receiver.recv().unwrap();
                assert_eq!((message.id(), message.body()), (id, body));
                let late = message.reply(Status::SUCCESS, b"late").unwrap_err().status();
                assert_eq!(late, Status::FLT_NO_WAITER_FOR_REPLY);
            }
            app.say("replied");
        },
    );
}

/// Rows 69 to 71 hold for callbacks too: one receive is refused for each question, the next that fits is filled, and
/// one that is too small stays while another fits.
#[test]
fn a_question_to_a_callback_waits_for_a_receive_that_fits() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            line.hear("posted");
            let answer = ask_then(&filter, &[1; 20], 4, Timeout::After(LONG));
            assert_eq!(answer.recv_timeout(LONG).unwrap().unwrap().payload, b"yes");
            line.say("answered");
            let unread = ask_then(&filter, &[2; 20], 4, Timeout::After(LONG));
            let unread = unread.recv_timeout(LONG).unwrap().unwrap();
            assert_eq!((unread.status, &unread.payload[..]), (Status::NOT_FOUND, &b"no"[..]));
            line.say("answered");
        },
        |app| {
            let port = app.connect();
            let completions = port.completions();
            completions.post(1, 10).unwrap();
            completions.post(2, 19).unwrap();
            app.say("posted");
            let refused = completions.next_timeout(LONG).unwrap().unwrap();
            assert_eq!(refused.token, 1, "the oldest is refused");
            assert!(matches!(refused.result, Ok(Received::TooSmall { needed: 20, id: 1, .. })), "{refused:?}");
            completions.post(3, 20).unwrap();
            let filled = completions.next_timeout(LONG).unwrap().unwrap();
            assert_eq!(filled.token, 3, "no other is refused for this question");
            let Ok(Received::Message(message)) = filled.result else { panic!("it fits") };
            assert_eq!((message.id(), message.body()), (1, &[1; 20][..]));
            message.reply(Status::SUCCESS, b"yes").unwrap();
            app.hear("answered");
            // the next is answered unread, by the id in the receive that it refuses
            let refused = completions.next_timeout(LONG).unwrap().unwrap();
            assert_eq!(refused.token, 2);
            assert!(matches!(refused.result, Ok(Received::TooSmall { needed: 20, id: 2, .. })), "{refused:?}");
            port.reply(2, Status::NOT_FOUND, b"no").unwrap();
            app.hear("answered");
        },
    );
}

/// A question waits for its turn behind others, but not longer than its own time allows; those before it wait on.
#[test]
fn a_question_behind_others_ends_with_its_own_deadline() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            let first = ask_then(&filter, b"first", 4, Timeout::After(LONG));
            let soon = Duration::from_millis(20);
            let moment = Timeout::At(SystemTime::now() + soon);
            let behind: Vec<_> = [Timeout::After(soon), Timeout::Never, Timeout::Poll, moment]
                .map(|timeout| ask_then(&filter, b"behind", 4, timeout))
                .into();
            for late in [0, 2, 3] {
                let ended = behind[late].recv_timeout(LONG / 2).expect("it waits as long as the first");
                assert_eq!(ended, Err(Status::TIMEOUT));
            }
            line.say("timed out");
            assert_eq!(first.recv_timeout(LONG).unwrap().unwrap().payload, b"ok");
            assert_eq!(behind[1].recv_timeout(LONG).unwrap().unwrap().payload, b"ok");
            line.say("answered");
        },
        |app| {
            let port = app.connect();
            app.hear("timed out");
            for (id, body) in [(1, &b"first"[..]), (2, b"behind")] {
                let message = port.recv().unwrap();
                assert_eq!((message.id(), message.body()), (id, body));
                message.reply(Status::SUCCESS, b"ok").unwrap();
            }
            app.hear("answered");
        },
    );
}

/// As many messages of a connection may wait for replies as there are waiters; one more is refused. It costs the
/// application nothing, and all the others are answered.
#[test]
fn more_messages_than_can_wait_for_replies_are_refused() {
    const MOST: usize = 1024;
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            let start = || filter.start(b"?", 4, Timeout::After(LONG));
            let pending: Vec<_> = (0..MOST).map(|_| start().unwrap()).collect();
            for _ in 0..3 {
                assert_eq!(start().unwrap_err().status(), Status::INSUFFICIENT_RESOURCES);
                let asked = filter.ask(b"?", &mut [0; 4], Timeout::After(LONG));
                assert_eq!(asked.unwrap_err().status(), Status::INSUFFICIENT_RESOURCES);
            }
            // no reply is wanted, so no waiter is
            filter.send(b"answer them", Timeout::After(LONG)).unwrap();
            for (number, pending) in pending.into_iter().enumerate() {
                let mut reply = [0; 4];
                assert_eq!(pending.wait(&mut reply).unwrap().len, 4);
                assert_eq!(u32::from_le_bytes(reply), number as u32 + 1);
            }
            line.say("answered");
        },
        |app| {
            let port = app.connect();
            let mut ids = Vec::new();
            loop {
                let message = port.recv().unwrap();
                if message.body() == b"answer them" {
                    break;
                }
                ids.push(message.detach());
            }
            assert_eq!(ids.len(), MOST);
            for id in ids {
                port.reply(id, Status::SUCCESS, &(id as u32).to_le_bytes()).unwrap();
            }
            app.hear("answered");
        },
    );
}

/// A file that is closed only when its other end has taken what it never takes, or after two minutes.
fn lingers() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (other, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    while stream.write(&[0; 1 << 16]).is_ok() {}
    rustix::net::sockopt::set_socket_linger(&stream, Some(4 * LONG)).unwrap();
    (stream.into(), other)
}

#[test]
fn a_file_that_cannot_be_closed_holds_up_no_other_question() {
    let host = Host::new();
    let (app, filter) = host.pair();
    let (sender, answers) = sync_channel(10);
    let ask = |file: Option<OwnedFd>, timeout| {
        let sender = sender.clone();
        let file = file.map(Arc::new);
        let question = OutgoingMessage { body: b"?".to_vec(), reply_len: 4, file, timeout };
        filter.ask_then(question, move |answer| sender.send(answer.map_err(|error| error.status())).unwrap());
    };
    let mut others = Vec::new();
    // closed by the thread of the questions, and by the one that asks
    for timeout in [Timeout::After(Duration::from_millis(10)), Timeout::Poll] {
        let (file, other) = lingers();
        others.push(other);
        ask(Some(file), timeout);
        assert_eq!(answers.recv_timeout(LONG).unwrap(), Err(Status::TIMEOUT));
    }
    thread::scope(|scope| {
        scope.spawn(|| app.recv().unwrap().reply(Status::SUCCESS, b"here").unwrap());
        ask(None, Timeout::After(LONG));
        assert_eq!(answers.recv_timeout(LONG).unwrap().unwrap().payload, b"here");
    });
}
