//! What existing clients of Windows ports rely on, as far as the rows do not say it: `doc/windows.md`, "Clients".

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use fltport::{Completed, Completions, Message, Received, Status, Timeout};
use testkit::talk::{ask, echo};
use testkit::{Host, LONG, both, hresult, this_thread, until_it_sleeps};

/// Bytes of a FILTER_MESSAGE_HEADER, which Windows counts where we count the body only.
const HEADER: usize = 16;

fn next(completions: &Completions) -> Completed {
    completions.next_timeout(LONG).unwrap().expect("nothing completed")
}

fn message(completed: Completed) -> (u64, Message) {
    match completed.result {
        Ok(Received::Message(message)) => (completed.token, message),
        other => panic!("{other:?}"),
    }
}

/// Clients treat every answer but "pending" to an overlapped receive as a failure, so none is ever given its message at
/// once.
#[test]
fn client_01_a_receive_is_pending_even_when_a_message_waits() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            filter.send(b"early", Timeout::After(LONG)).unwrap();
            line.say("sent");
        },
        |app| {
            let port = app.connect();
            // refused, so the sender waits
            assert!(matches!(port.recv_limited(0, Timeout::After(LONG)), Ok(Some(Received::TooSmall { .. }))));
            let completions = port.completions();
            let pending: Result<(), _> = completions.post(1, 100);
            pending.unwrap();
            assert_eq!(hresult(Status::PENDING), 0x8007_03e5);
            app.hear("sent");
            assert_eq!(completions.outstanding(), 1, "it is delivered, and waits to be taken");
            assert_eq!(message(next(&completions)).1.body(), b"early");
        },
    );
}

/// The buffer's address in the OVERLAPPED that came back is a token here, and InternalHigh is the body and its header.
#[test]
fn client_02_completions_come_in_any_order_each_with_its_own_length() {
    const LENGTHS: [usize; 4] = [0, 100, 7, 3000];
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            line.hear("posted");
            let pending = LENGTHS.map(|len| filter.start(&vec![len as u8; len], 8, Timeout::After(LONG)).unwrap());
            line.say("sent");
            for (len, pending) in LENGTHS.into_iter().zip(pending) {
                let mut reply = [0; 8];
                assert_eq!(pending.wait(&mut reply).unwrap().len, 8);
                assert_eq!(u64::from_le_bytes(reply), (HEADER + len) as u64);
            }
            line.say("answered");
        },
        |app| {
            let port = app.connect();
            let completions = port.completions();
            for token in [40, 10, 30, 20] {
                completions.post(token, 4000).unwrap();
            }
            app.say("posted");
            app.hear("sent");
            let mut received: Vec<_> = LENGTHS.iter().map(|_| message(next(&completions))).collect();
            // the work on them ends in another order than it began
            received.sort_by_key(|(token, _)| *token);
            assert_eq!(received.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [10, 20, 30, 40]);
            for (token, message) in received {
                let posted_as = [40, 10, 30, 20].iter().position(|&posted| posted == token).unwrap();
                assert_eq!(message.body().len(), LENGTHS[posted_as], "the oldest receive has the oldest message");
                let transferred = (HEADER + message.body().len()) as u64;
                message.reply(Status::SUCCESS, &transferred.to_le_bytes()).unwrap();
            }
            app.hear("answered");
        },
    );
}

/// What is given with a receive comes back with it, whatever it is; as many threads as there are may wait.
#[test]
fn client_03_any_key_comes_back_to_any_of_many_threads() {
    const KEYS: [u64; 6] = [0, 1, u64::MAX, 1 << 63, 42, 42];
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            line.hear("posted");
            for _ in KEYS {
                filter.send(b"x", Timeout::After(LONG)).unwrap();
            }
            host.ended();
        },
        |app| {
            let port = app.connect();
            let completions = port.completions();
            for key in KEYS {
                completions.post(key, 10).unwrap();
            }
            app.say("posted");
            let mut keys: Vec<u64> = thread::scope(|scope| {
                let threads: Vec<_> = KEYS.iter().map(|_| scope.spawn(|| next(&completions).token)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let mut expected = KEYS.to_vec();
            keys.sort_unstable();
            expected.sort_unstable();
            assert_eq!(keys, expected);
        },
    );
}

/// Of the ends that clients accept these come: the handle is invalid, for a thread that waits or has posted; or aborted,
/// after a cancel.
#[test]
fn client_04_the_end_of_the_filter_is_an_invalid_handle_for_every_receive() {
    both(
        Host::new,
        |host, line| {
            host.accepted();
            line.hear("waiting");
            host.unload();
            host.ended();
        },
        |app| {
            let port = app.connect();
            let completions = port.completions();
            for token in 0..3 {
                completions.post(token, 10).unwrap();
            }
            assert_eq!(completions.cancel(0), 1);
            let (tell, told) = sync_channel(1);
            thread::scope(|scope| {
                let blocked = scope.spawn(|| {
                    tell.send(this_thread()).unwrap();
                    port.recv().unwrap_err().status()
                });
                until_it_sleeps(told.recv().unwrap());
                app.say("waiting");
                let status = blocked.join().unwrap();
                assert_eq!((status, hresult(status)), (Status::PORT_DISCONNECTED, 0x8007_0006));
            });
            let ends: Vec<_> = (0..3).map(|_| next(&completions).result.unwrap_err().status().to_win32()).collect();
            assert_eq!(ends, [995, 6, 6]);
        },
    );
}

#[test]
fn client_05_a_receive_that_is_too_small_has_the_size_and_the_id_and_a_larger_one_follows() {
    assert_eq!(Status::BUFFER_TOO_SMALL.to_win32(), 122);
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            // answered unread, by the id in the header of the receive that failed
            assert_eq!(ask(&filter, &[1; 50]), Ok(b"no".to_vec()));
            // read by a larger receive
            assert_eq!(ask(&filter, &[2; 50]), Ok(b"yes".to_vec()));
            line.say("answered");
        },
        |app| {
            let port = app.connect();
            let completions = port.completions();
            for id in 1..=2 {
                completions.post(id, 10).unwrap();
                let completed = next(&completions);
                assert_eq!(completed.token, id);
                let Ok(Received::TooSmall { needed: 50, id: told, .. }) = completed.result else {
                    panic!("{completed:?}")
                };
                assert_eq!(told, id);
                if id == 1 {
                    port.reply(told, Status::SUCCESS, b"no").unwrap();
                } else {
                    completions.post(id, 50).unwrap();
                    let (_, message) = message(next(&completions));
                    assert_eq!((message.id(), message.body()), (told, &[2; 50][..]));
                    message.reply(Status::SUCCESS, b"yes").unwrap();
                }
            }
            app.hear("answered");
        },
    );
}

/// A client asks for the result with a handle that is not the port's, and gets it all the same: the result is in what
/// completed. Here too, and when the handle is gone as well.
#[test]
fn client_06_a_result_is_there_without_any_handle() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            line.hear("posted");
            filter.send(&[7; 5000], Timeout::After(LONG)).unwrap();
            line.say("sent");
            host.ended();
        },
        |app| {
            let port = app.connect();
            let completions = port.completions();
            completions.post(1, 5000).unwrap();
            completions.post(2, 5000).unwrap();
            app.say("posted");
            app.hear("sent");
            let completed = next(&completions);
            assert_eq!(completions.cancel(2), 1);
            let cancelled = next(&completions);
            drop(completions);
            port.close();
            assert_eq!(message(completed).1.body(), [7; 5000]);
            assert_eq!(cancelled.result.unwrap_err().status().to_win32(), 995);
        },
    );
}

#[test]
fn client_07_a_late_reply_is_told_and_the_client_goes_on() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            for _ in 0..3 {
                line.hear("posted");
                let timeout = Timeout::After(Duration::from_millis(5));
                assert_eq!(filter.ask(b"?", &mut [0; 4], timeout).unwrap_err().status(), Status::TIMEOUT);
                line.say("gave up");
                assert_eq!(ask(&filter, b"again?"), Ok(b"yes".to_vec()));
            }
            line.say("done");
        },
        |app| {
            let port = app.connect();
            let mut receiver = port.receiver(1).unwrap();
            for _ in 0..3 {
                app.say("posted");
                let late = receiver.recv().unwrap();
                app.hear("gave up");
                let status = late.reply(Status::SUCCESS, b"late").unwrap_err().status();
                assert_eq!(hresult(status), 0x801f_0020);
                let again = receiver.recv().unwrap();
                assert_eq!(again.body(), b"again?");
                again.reply(Status::SUCCESS, b"yes").unwrap();
                // the next question must find a receive that is posted anew
                drop(receiver);
                receiver = port.receiver(1).unwrap();
            }
            app.hear("done");
        },
    );
}

/// A compiler pads `struct { FILTER_REPLY_HEADER; u32 }` to 24 bytes: 8 of payload. A filter that makes room for them
/// gets them all; one that does not gets what it wanted, and both ends are told that there was more.
#[test]
fn client_08_a_reply_may_be_as_long_as_its_payload_or_as_its_padded_struct() {
    const EXACT: [u8; 4] = [1, 2, 3, 4];
    const PADDED: [u8; 8] = [1, 2, 3, 4, 0, 0, 0, 0];
    let cases = [
        (&EXACT[..], 4, Status::SUCCESS, 4),
        (&EXACT, 8, Status::SUCCESS, 4),
        (&PADDED, 8, Status::SUCCESS, 8),
        (&PADDED, 4, Status::BUFFER_OVERFLOW, 4),
        // a reply of 17 bytes: a packed header and one byte
        (&EXACT[..1], 1, Status::SUCCESS, 1),
    ];
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            for (_, room, status, len) in cases {
                let mut reply = vec![0xee; room];
                let answer = filter.ask(b"?", &mut reply, Timeout::After(LONG)).unwrap();
                assert_eq!((answer.status, answer.len), (status, len));
                assert_eq!(reply[..len.min(4)], EXACT[..len.min(4)]);
            }
            line.say("answered");
        },
        |app| {
            let port = app.connect();
            for (payload, room, status, _) in cases {
                let message = port.recv().unwrap();
                assert_eq!(message.reply_capacity(), Some(room));
                let replied =
                    message.reply(Status::SUCCESS, payload).map_or_else(|error| error.status(), |()| Status::SUCCESS);
                assert_eq!(replied, status);
            }
            app.hear("answered");
        },
    );
}

#[test]
fn client_09_cancelling_everything_wakes_those_who_wait_for_completions() {
    const THREADS: usize = 3;
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            line.hear("cancelled");
            assert_eq!(filter.send(b"x", Timeout::Poll).unwrap_err().status(), Status::TIMEOUT);
            line.say("nothing is posted");
        },
        |app| {
            let port = app.connect();
            let completions = port.completions();
            for token in 0..THREADS as u64 {
                completions.post(token, 10).unwrap();
            }
            let (tell, told) = sync_channel(THREADS);
            let wait = || {
                tell.send(this_thread()).unwrap();
                next(&completions)
            };
            thread::scope(|scope| {
                let waiting: Vec<_> = (0..THREADS).map(|_| scope.spawn(wait)).collect();
                (0..THREADS).for_each(|_| until_it_sleeps(told.recv().unwrap()));
                assert_eq!(port.cancel_receives(), THREADS);
                let tokens: BTreeSet<_> = waiting
                    .into_iter()
                    .map(|thread| thread.join().unwrap())
                    .map(|completed| {
                        assert_eq!(completed.result.unwrap_err().status(), Status::CANCELLED);
                        completed.token
                    })
                    .collect();
                assert_eq!(tokens.len(), THREADS);
            });
            assert!(port.is_connected());
            app.say("cancelled");
            app.hear("nothing is posted");
        },
    );
}

/// One kind of handle does what both kinds do on Windows: a receive without OVERLAPPED blocks, one with does not, and
/// neither holds up a reply or a request on the same handle.
#[test]
fn client_10_a_blocking_receive_and_completions_share_a_handle() {
    both(
        echo,
        |host, line| {
            let filter = host.accepted();
            for _ in 0..2 {
                assert_eq!(ask(&filter, b"?"), Ok(b"!".to_vec()));
            }
            line.say("answered");
        },
        |app| {
            let port = app.connect();
            let completions = port.completions();
            completions.post(1, 10).unwrap();
            thread::scope(|scope| {
                let blocking = scope.spawn(|| port.recv().unwrap());
                let message = message(next(&completions)).1;
                let mut output = [0; 4];
                assert_eq!(port.send(b"ping", &mut output).unwrap(), 4);
                assert_eq!(&output, b"ping");
                message.reply(Status::SUCCESS, b"!").unwrap();
                blocking.join().unwrap().reply(Status::SUCCESS, b"!").unwrap();
            });
            app.hear("answered");
        },
    );
}

/// Without output, with 64 KiB of it, many a second, from several threads, while a receive is posted.
#[test]
fn client_12_requests_of_several_threads_run_while_a_receive_is_posted() {
    const THREADS: usize = 4;
    const EACH: usize = 300;
    let answered = AtomicUsize::new(0);
    let make = || {
        Host::with(
            |filter| {
                filter.on_message = Box::new(|_, input, output| {
                    output.fill(input[0]);
                    output.len().into()
                });
            },
            |options| options,
        )
    };
    both(
        make,
        |host, line| {
            let filter = host.accepted();
            line.hear("requested");
            filter.send(b"and a message", Timeout::After(LONG)).unwrap();
            host.ended();
        },
        |app| {
            let port = app.connect();
            let mut receiver = port.receiver(1).unwrap();
            answered.store(0, Ordering::SeqCst);
            thread::scope(|scope| {
                for thread in 1..=THREADS {
                    let (port, answered) = (&port, &answered);
                    scope.spawn(move || {
                        let mut output = vec![0; 65_536];
                        for _ in 0..EACH {
                            assert_eq!(port.send(&[thread as u8], &mut []).unwrap(), 0);
                            assert_eq!(port.send(&[thread as u8], &mut output).unwrap(), 65_536);
                            assert!(output.iter().all(|&byte| byte == thread as u8));
                            answered.fetch_add(1, Ordering::SeqCst);
                        }
                    });
                }
            });
            assert_eq!(answered.load(Ordering::SeqCst), THREADS * EACH);
            app.say("requested");
            assert_eq!(receiver.recv().unwrap().body(), b"and a message");
        },
    );
}

/// A client that polls its filter and one that waits for messages run side by side and do not mix.
#[test]
fn a_request_is_never_answered_with_a_message() {
    both(
        echo,
        |host, line| {
            let filter = host.accepted();
            for number in 0..200_u32 {
                assert_eq!(ask(&filter, &number.to_le_bytes()), Ok(number.to_le_bytes().to_vec()));
            }
            line.say("answered");
            host.ended();
        },
        |app| {
            let port = app.connect();
            let over = AtomicBool::new(false);
            thread::scope(|scope| {
                scope.spawn(|| {
                    while !over.load(Ordering::SeqCst) {
                        let mut output = [0; 7];
                        assert_eq!(port.send(b"request", &mut output).unwrap(), 7);
                        assert_eq!(&output, b"request");
                    }
                });
                for _ in 0..200 {
                    let message = port.recv().unwrap();
                    let body = message.body().to_vec();
                    message.reply(Status::SUCCESS, &body).unwrap();
                }
                over.store(true, Ordering::SeqCst);
            });
            app.hear("answered");
        },
    );
}
