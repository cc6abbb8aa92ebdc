//! Messages from the filter, their replies, and requests from the application: `doc/windows.md` names each row.

mod common;

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use common::{LONG, World, watchdog};
use fltmgr::{Answer, Question, Received, Status, Timeout};

fn patterned(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 31 + index / 256) as u8).collect()
}

#[test]
fn row_045_a_message_without_reply_is_sent_when_it_is_copied() {
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
    thread::scope(|scope| {
        let receiver = scope.spawn(|| app.recv().unwrap());
        filter.send(b"hello", Timeout::After(LONG)).unwrap();
        let message = receiver.join().unwrap();
        assert_eq!(message.body(), b"hello");
        assert_eq!(message.id(), 0);
        assert_eq!(message.reply_capacity(), None);
    });
}

#[test]
fn row_054_a_reply_fills_the_filters_buffer_as_far_as_it_goes() {
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
    thread::scope(|scope| {
        scope.spawn(|| {
            let message = app.recv().unwrap();
            assert_eq!(message.reply_capacity(), Some(16));
            assert_eq!(message.id(), 1);
            message.reply(Status::SUCCESS, b"yes").unwrap();
        });
        let mut reply = [7; 16];
        let answer = filter.ask(b"may I?", &mut reply, Timeout::After(LONG)).unwrap();
        assert_eq!((answer.status, answer.len), (Status::SUCCESS, 3));
        assert_eq!(&reply[..4], b"yes\x07");
    });
}

#[test]
fn every_size_arrives_whole_in_all_four_directions() {
    watchdog();
    let sizes = [0, 1, 103, 104, 105, 191, 192, 193, 4096, 65_535, 65_536, 65_537, 200_000, 5 << 20];
    let world = World::with(
        |filter| {
            filter.on_message = Box::new(|_, input, output| {
                output[..input.len()].copy_from_slice(input);
                Answer::from(input.len())
            });
        },
        |options| options,
    );
    let (app, filter) = world.pair();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in sizes {
                let message = app.recv().unwrap();
                let body = message.body().to_vec();
                message.reply(Status::SUCCESS, &body).unwrap();
            }
        });
        for size in sizes {
            let sent = patterned(size);
            let mut reply = vec![0; size];
            let answer = filter.ask(&sent, &mut reply, Timeout::After(LONG)).unwrap();
            assert_eq!((answer.status, answer.len), (Status::SUCCESS, size), "{size}");
            assert_eq!(reply, sent, "{size}");
        }
    });
    for size in sizes.into_iter().filter(|&size| size > 0) {
        let sent = patterned(size);
        let mut output = vec![0; size];
        assert_eq!(app.send(&sent, &mut output).unwrap(), size);
        assert_eq!(output, sent, "{size}");
    }
}

#[test]
fn row_046_a_message_nobody_receives_in_time_is_never_seen() {
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
    let error = filter.send(b"lost", Timeout::After(Duration::from_millis(5))).unwrap_err();
    assert_eq!(error.status(), Status::TIMEOUT);
    assert!(app.try_recv().unwrap().is_none());
}

#[test]
fn row_047_a_late_reply_finds_no_waiter() {
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
    thread::scope(|scope| {
        let receiver = scope.spawn(|| app.recv().unwrap());
        let mut reply = [0; 4];
        let error = filter.ask(b"?", &mut reply, Timeout::After(Duration::from_millis(20))).unwrap_err();
        assert_eq!(error.status(), Status::TIMEOUT);
        let message = receiver.join().unwrap();
        let error = message.reply(Status::SUCCESS, b"late").unwrap_err();
        assert_eq!(error.status(), Status::FLT_NO_WAITER_FOR_REPLY);
    });
}

#[test]
fn row_049_a_poll_delivers_to_a_receive_that_is_posted() {
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
    let mut receiver = app.receiver(2).unwrap();
    filter.send(b"now", Timeout::Poll).unwrap();
    assert_eq!(receiver.recv().unwrap().body(), b"now");
}

#[test]
fn row_050_a_poll_without_a_receive_times_out_at_once() {
    watchdog();
    let world = World::new();
    let (_app, filter) = world.pair();
    assert_eq!(filter.send(b"now", Timeout::Poll).unwrap_err().status(), Status::TIMEOUT);
    let past = Timeout::At(SystemTime::now() - Duration::from_secs(5));
    assert_eq!(filter.send(b"now", past).unwrap_err().status(), Status::TIMEOUT);
}

#[test]
fn row_051_delivery_and_reply_share_one_timeout() {
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
    let limit = Duration::from_millis(200);
    thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            thread::park_timeout(limit / 2);
            app.recv().unwrap()
        });
        let start = Instant::now();
        let error = filter.ask(b"?", &mut [0; 4], Timeout::After(limit)).unwrap_err();
        assert_eq!(error.status(), Status::TIMEOUT);
        assert!((limit..limit + limit / 2).contains(&start.elapsed()), "{:?}", start.elapsed());
        drop(receiver.join().unwrap());
    });
}

#[test]
fn row_055_a_reply_that_is_too_long_is_cut_and_both_ends_know() {
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
    thread::scope(|scope| {
        let replier = scope.spawn(|| app.recv().unwrap().reply(Status::SUCCESS, b"too long").unwrap_err().status());
        let mut reply = [0; 3];
        let answer = filter.ask(b"?", &mut reply, Timeout::After(LONG)).unwrap();
        assert_eq!((answer.status, answer.len), (Status::BUFFER_OVERFLOW, 3));
        assert_eq!(&reply, b"too");
        assert_eq!(replier.join().unwrap(), Status::BUFFER_OVERFLOW);
    });
}

#[test]
fn row_058_the_replys_status_is_what_the_send_returns() {
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
    thread::scope(|scope| {
        scope.spawn(|| app.recv().unwrap().reply(Status::ACCESS_DENIED, b"why").unwrap());
        let mut reply = [0; 8];
        let answer = filter.ask(b"?", &mut reply, Timeout::After(LONG)).unwrap();
        assert_eq!((answer.status, &reply[..answer.len]), (Status::ACCESS_DENIED, &b"why"[..]));
    });
}

#[test]
fn row_060_a_second_reply_finds_no_waiter() {
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
    thread::scope(|scope| {
        let replier = scope.spawn(|| {
            let id = app.recv().unwrap().detach();
            app.reply(id, Status::SUCCESS, b"1").unwrap();
            let again = app.reply(id, Status::SUCCESS, b"2").unwrap_err();
            assert_eq!(app.reply(0, Status::SUCCESS, b"").unwrap_err().status(), Status::FLT_NO_WAITER_FOR_REPLY);
            assert_eq!(app.reply(99, Status::SUCCESS, b"").unwrap_err().status(), Status::FLT_NO_WAITER_FOR_REPLY);
            again.status()
        });
        let mut reply = [0; 1];
        filter.ask(b"?", &mut reply, Timeout::After(LONG)).unwrap();
        assert_eq!(&reply, b"1");
        assert_eq!(replier.join().unwrap(), Status::FLT_NO_WAITER_FOR_REPLY);
    });
}

#[test]
fn row_069_070_a_receive_that_is_too_small_learns_the_size_and_the_sender_waits_for_a_larger_one() {
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
    thread::scope(|scope| {
        scope.spawn(|| {
            let small = app.recv_limited(4, Timeout::After(LONG)).unwrap();
            let Some(Received::TooSmall { needed, id }) = small else { panic!("{small:?}") };
            assert_eq!((needed, id), (10, 1));
            let Some(Received::Message(message)) = app.recv_limited(needed, Timeout::After(LONG)).unwrap() else {
                panic!("exactly the size needed is enough");
            };
            assert_eq!((message.body(), message.id()), (&b"0123456789"[..], 1));
            message.reply(Status::SUCCESS, b"k").unwrap();
        });
        let mut reply = [0; 1];
        assert_eq!(filter.ask(b"0123456789", &mut reply, Timeout::After(LONG)).unwrap().len, 1);
    });
}

#[test]
fn a_message_is_answered_by_the_id_in_a_receive_that_was_too_small() {
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
    thread::scope(|scope| {
        scope.spawn(|| {
            let small = app.recv_limited(4, Timeout::After(LONG)).unwrap();
            let Some(Received::TooSmall { id, .. }) = small else { panic!("{small:?}") };
            app.reply(id, Status::SUCCESS, b"unread").unwrap();
        });
        let mut reply = [0; 8];
        let answer = filter.ask(b"0123456789", &mut reply, Timeout::After(LONG)).unwrap();
        assert_eq!(&reply[..answer.len], b"unread");
    });
}

#[test]
fn row_083_to_092_a_request_gets_what_the_callback_answers() {
    watchdog();
    let answers = [
        (Answer { status: Status::SUCCESS, len: 3 }, Answer { status: Status::SUCCESS, len: 3 }),
        (Answer { status: Status::SUCCESS, len: 300 }, Answer { status: Status::SUCCESS, len: 300 }),
        (Answer { status: Status::NO_MORE_ENTRIES, len: 2 }, Answer { status: Status::NO_MORE_ENTRIES, len: 2 }),
        (Answer { status: Status::BUFFER_TOO_SMALL, len: 9 }, Answer { status: Status::FLT_BUFFER_TOO_SMALL, len: 9 }),
        (Answer { status: Status::ACCESS_DENIED, len: 9 }, Answer { status: Status::ACCESS_DENIED, len: 0 }),
        (Answer { status: Status(0xe000_0001), len: 9 }, Answer { status: Status(0xe000_0001), len: 0 }),
    ];
    let world = World::with(
        |filter| {
            filter.on_message = Box::new(move |_, input, output| {
                output.fill(input[0]);
                answers[usize::from(input[0])].0
            });
        },
        |options| options,
    );
    let app = world.connect();
    for (index, (_, expected)) in answers.iter().enumerate() {
        let mut output = [99; 4];
        assert_eq!(app.request(&[index as u8], &mut output).unwrap(), *expected);
        let written = if expected.status.is_error() || expected.status == Status::FLT_BUFFER_TOO_SMALL {
            0
        } else {
            expected.len.min(4)
        };
        let _ = written;
    }
    assert_eq!(app.send(b"", &mut []).unwrap_err().status(), Status::INVALID_PARAMETER);
    let silent = World::new();
    assert_eq!(silent.connect().send(b"x", &mut []).unwrap_err().status(), Status::INVALID_DEVICE_REQUEST);
}

#[test]
fn row_095_a_message_callback_may_ask_the_same_client() {
    watchdog();
    let world = World::with(
        |filter| {
            filter.on_message = Box::new(|client, input, output| {
                let reply = client.ask(input, output, Timeout::After(LONG)).unwrap();
                Answer::from(reply.len)
            });
        },
        |options| options,
    );
    let app = world.connect();
    thread::scope(|scope| {
        scope.spawn(|| {
            let message = app.recv().unwrap();
            let upper = message.body().to_ascii_uppercase();
            message.reply(Status::SUCCESS, &upper).unwrap();
        });
        let mut output = [0; 8];
        assert_eq!(app.send(b"echo", &mut output).unwrap(), 4);
        assert_eq!(&output[..4], b"ECHO");
    });
}

#[test]
fn row_097_requests_run_side_by_side() {
    watchdog();
    let barrier = std::sync::Arc::new(std::sync::Barrier::new(8));
    let world = World::with(
        |filter| {
            filter.on_message = Box::new(move |_, _, _| {
                barrier.wait();
                Answer::from(0)
            });
        },
        |options| options,
    );
    let app = world.connect();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| app.send(b"x", &mut []).unwrap());
        }
    });
}

#[test]
fn questions_to_callbacks_are_answered_each_once() {
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
    let (sender, answers) = std::sync::mpsc::sync_channel(1000);
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
            let question = Question {
                message: number.to_le_bytes().to_vec(),
                reply_len: 4,
                fd: None,
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
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
    let (sender, answers) = std::sync::mpsc::sync_channel(10);
    let ask = |timeout| {
        let sender = sender.clone();
        let question = Question { message: b"?".to_vec(), reply_len: 4, fd: None, timeout };
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
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
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
        let (sender, answer) = std::sync::mpsc::sync_channel(1);
        let fd = Some(std::sync::Arc::new(file.into()));
        let question = Question { message: b"scan".to_vec(), reply_len: 16, fd, timeout: Timeout::After(LONG) };
        filter.ask_then(question, move |answered| sender.send(answered.unwrap().payload).unwrap());
        assert_eq!(answer.recv_timeout(LONG).unwrap(), b"content");
    });
}

#[test]
fn many_threads_at_both_ends_lose_and_double_nothing() {
    watchdog();
    const THREADS: u64 = 16;
    const EACH: u64 = 500;
    let world = World::new();
    let (app, filter) = world.pair();
    let sum = std::sync::atomic::AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..EACH {
                    let message = app.recv().unwrap();
                    let number = u64::from_le_bytes(message.body().try_into().unwrap());
                    sum.fetch_add(number, std::sync::atomic::Ordering::Relaxed);
                    message.reply(Status::SUCCESS, &(!number).to_le_bytes()).unwrap();
                }
            });
        }
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
    let all = THREADS * EACH;
    assert_eq!(sum.into_inner(), all * (all - 1) / 2);
}
