//! What the public sample programs of Windows rely on, played through: `doc/windows.md`, "Samples".

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fltport::{Client, Completions, Connection, Received, Response, Status, Timeout};
use testkit::talk::{ask, is_over};
use testkit::{App, Host, LONG, both, hresult, until};

/// One connection, no message callback, a client that a filter's threads find or do not find.
fn scanner(slot: &Arc<Mutex<Option<Client>>>) -> Host {
    let (connected, disconnected) = (Arc::clone(slot), Arc::clone(slot));
    Host::with(
        move |filter| {
            filter.on_connect = Box::new(move |client, _| {
                *connected.lock().unwrap() = Some(client.clone());
                Ok(())
            });
            filter.on_disconnect = Box::new(move |client| {
                client.close();
                *disconnected.lock().unwrap() = None;
            });
        },
        |options| options.max_connections(1),
    )
}

/// Scans as the filter does: message and reply in one buffer, no timeout, and every answer but success means
/// "unscanned".
fn scan(client: Option<Client>, content: &[u8]) -> Option<bool> {
    let client = client?;
    let mut notification = content.to_vec();
    let asked = client.ask(&notification.clone(), &mut notification[..1], Timeout::Never);
    match asked {
        Ok(reply) if reply.status == Status::SUCCESS => Some(notification[0] == 1),
        _ => None,
    }
}

/// A worker of the scanner's application: it gives its buffer back to the port after each reply of header and one byte.
fn scanner_worker(completions: &Completions) -> (usize, Status) {
    let mut scanned = 0;
    loop {
        let completed = match completions.next() {
            Ok(completed) => completed,
            Err(error) => return (scanned, error.status()),
        };
        let message = match completed.result {
            Ok(Received::Message(message)) => message,
            Ok(small) => panic!("{small:?}"),
            Err(error) => return (scanned, error.status()),
        };
        let safe = !message.body().windows(4).any(|bytes| bytes == b"foul");
        if let Err(error) = message.reply(Status::SUCCESS, &[safe.into()]) {
            return (scanned, error.status());
        }
        scanned += 1;
        if completions.post(completed.token, 1040).is_err() {
            return (scanned, Status::PORT_DISCONNECTED);
        }
    }
}

#[test]
fn sample_scanner_two_threads_with_five_receives_each_answer_until_the_filter_is_unloaded() {
    const SCANS: usize = 400;
    let slot = Arc::new(Mutex::new(None));
    both(
        || scanner(&slot),
        |host, line| {
            host.accepted();
            line.hear("receiving");
            thread::scope(|scope| {
                for thread in 0..4 {
                    let slot = &slot;
                    scope.spawn(move || {
                        for number in 0..SCANS / 4 {
                            let foul = (number + thread) % 3 == 0;
                            let content = if foul { &b"this is foul content"[..] } else { b"this is good content" };
                            let client = slot.lock().unwrap().clone();
                            assert_eq!(scan(client, content), Some(!foul));
                        }
                    });
                }
            });
            assert_eq!(slot.lock().unwrap().as_ref().unwrap().peer().pid, line.heard().parse::<u32>().unwrap());
            host.unload();
            assert!(slot.lock().unwrap().is_none());
            line.say("unloaded");
        },
        |app| {
            let port = app.connect();
            let completions = port.completions();
            (0..10).for_each(|token| completions.post(token, 1040).unwrap());
            app.say("receiving");
            app.say(&std::process::id().to_string());
            thread::scope(|scope| {
                let workers: Vec<_> = (0..2).map(|_| scope.spawn(|| scanner_worker(&completions))).collect();
                let ends: Vec<_> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
                assert_eq!(ends.iter().map(|(scanned, _)| scanned).sum::<usize>(), SCANS);
                for (_, status) in ends {
                    assert_eq!(hresult(status), 0x8007_0006, "the filter is unloaded");
                }
            });
            app.hear("unloaded");
            // any failure is an error to the macro that the program tests with
            assert!(app.refusal(testkit::PORT).to_hresult().is_failure());
        },
    );
}

/// The filter looks at its client without a lock and sends: the client may go in between, and then nothing was scanned.
#[test]
fn sample_scanner_a_client_may_go_between_the_look_and_the_send() {
    const ROUNDS: u32 = 30;
    let slot = Arc::new(Mutex::new(None));
    let scans = AtomicUsize::new(0);
    both(
        || scanner(&slot),
        |host, line| {
            for round in 0..ROUNDS {
                host.accepted();
                let before = scans.load(Ordering::SeqCst);
                thread::scope(|scope| {
                    let scanning = scope.spawn(|| {
                        loop {
                            let client = slot.lock().unwrap().clone();
                            match scan(client, b"good") {
                                Some(safe) => assert!(safe),
                                None => break,
                            }
                            scans.fetch_add(1, Ordering::SeqCst);
                        }
                    });
                    until(|| scans.load(Ordering::SeqCst) > before);
                    line.say("scanned");
                    scanning.join().unwrap();
                });
                assert_eq!(host.ended(), round + 1);
                assert!(slot.lock().unwrap().is_none(), "the next client finds the place free");
                line.say("next");
            }
        },
        |app| {
            for _ in 0..ROUNDS {
                let port = app.connect();
                let completions = port.completions();
                (0..5).for_each(|token| completions.post(token, 1040).unwrap());
                thread::scope(|scope| {
                    scope.spawn(|| scanner_worker(&completions));
                    app.hear("scanned");
                    port.disconnect();
                });
                drop(completions);
                port.close();
                app.hear("next");
            }
        },
    );
}

type Records = Arc<Mutex<VecDeque<Vec<u8>>>>;

/// Gives one record for each request, and looks at the alignment of its buffers as a filter must.
fn minispy(records: &Records) -> Host {
    let records = Arc::clone(records);
    Host::with(
        move |filter| {
            filter.on_message = Box::new(move |_, input, output| {
                if input != b"get" {
                    return Status::INVALID_PARAMETER.into();
                }
                let aligned = |buffer: &[u8]| buffer.as_ptr().align_offset(size_of::<usize>()) == 0;
                if !aligned(input) || !aligned(output) {
                    return Status::DATATYPE_MISALIGNMENT.into();
                }
                let mut records = records.lock().unwrap();
                match records.front() {
                    None => Status::NO_MORE_ENTRIES.into(),
                    Some(record) if record.len() > output.len() => {
                        Response { status: Status::BUFFER_TOO_SMALL, len: record.len() }
                    }
                    Some(record) => {
                        output[..record.len()].copy_from_slice(record);
                        let len = record.len();
                        records.pop_front();
                        len.into()
                    }
                }
            });
        },
        |options| options.max_connections(1),
    )
}

#[test]
fn sample_minispy_a_client_polls_until_there_is_nothing_and_stops_when_the_filter_goes() {
    let records = Records::default();
    both(
        || minispy(&records),
        |host, line| {
            host.accepted();
            records.lock().unwrap().extend((1..=100_u8).map(|number| vec![number; number.into()]));
            line.say("there are records");
            line.hear("nothing more");
            host.unload();
            line.say("unloaded");
        },
        |app| {
            let port = app.connect();
            app.hear("there are records");
            // from every address, as a caller's buffer may lie anywhere
            let mut buffer = vec![0; 108];
            let mut got = 0;
            loop {
                let output = &mut buffer[usize::from(got) % 8..];
                let answer = port.request(b"get", output).unwrap();
                if hresult(answer.status) == 0x8007_0103 {
                    assert_eq!(answer.len, 0);
                    break;
                }
                got += 1;
                assert_eq!((answer.status, answer.len), (Status::SUCCESS, got.into()));
                assert!(output[..answer.len].iter().all(|&byte| byte == got));
            }
            assert_eq!(got, 100);
            app.say("nothing more");
            app.hear("unloaded");
            assert_eq!(hresult(port.send(b"get", &mut buffer).unwrap_err().status()), 0x8007_0006);
        },
    );
}

#[test]
fn sample_minispy_closing_the_handle_ends_the_session() {
    let records = Records::default();
    both(
        || minispy(&records),
        |host, line| {
            for session in 1..=3 {
                let client = host.accepted();
                line.hear("closed");
                assert_eq!(host.events.try_recv().ok(), Some(testkit::Event::Disconnected(session)));
                assert!(!client.is_connected());
                line.say("next");
            }
        },
        |app| {
            for _ in 0..3 {
                let port = app.connect();
                assert_eq!(port.send(b"get", &mut [0; 8]).unwrap_err().status(), Status::NO_MORE_ENTRIES);
                port.close();
                app.say("closed");
                app.hear("next");
            }
        },
    );
}

const SCAN: &str = r"\AvScanScan";
const ABORT: &str = r"\AvScanAbort";
const QUERY: &str = r"\AvScanQuery";

/// One of three ports: each wants one connection with a context of four bytes that say its kind.
fn avscan(host: &Host, name: &str, kind: u32) -> Host {
    let made = host.beside(
        name,
        |filter| {
            filter.on_connect = Box::new(move |_, context| {
                let context: [u8; 4] = context.try_into().map_err(|_| Status::INVALID_PARAMETER_3)?;
                if u32::from_le_bytes(context) == kind { Ok(()) } else { Err(Status::INVALID_PARAMETER_3) }
            });
            filter.on_message = Box::new(|_, input, output| {
                assert!(output.is_empty(), "requests here want no output");
                if input == b"stop" { 0.into() } else { Status::NOT_FOUND.into() }
            });
        },
        |options| options.max_connections(1),
    );
    made.unwrap()
}

fn avscan_connect(app: &App, name: &str, kind: u32) -> Connection {
    for context in [&b""[..], b"abc", &(kind + 1).to_le_bytes()] {
        let status = app.connect_to(name, context).map(drop).unwrap_err().status();
        assert_eq!((status, hresult(status)), (Status::INVALID_PARAMETER_3, 0x8007_0057));
    }
    app.connect_to(name, &kind.to_le_bytes()).unwrap()
}

#[test]
fn sample_avscan_three_ports_scan_abort_and_say_good_bye() {
    both(
        Host::new,
        |host, line| {
            let mut ports = [avscan(host, SCAN, 1), avscan(host, ABORT, 2), avscan(host, QUERY, 3)];
            line.say("made");
            let [scan, abort, query] = [0, 1, 2].map(|index: usize| ports[index].accepted());
            // the answer is four bytes; a time-out is a success code on Windows and tested for by itself
            let mut answer = [0; 4];
            let reply = scan.ask(b"scan", &mut answer, Timeout::After(LONG)).unwrap();
            assert_eq!((reply.status, reply.len, answer), (Status::SUCCESS, 4, 7_u32.to_le_bytes()));
            line.hear("stuck");
            let timed_out = scan.ask(b"slow", &mut answer, Timeout::After(Duration::from_millis(5))).unwrap_err();
            assert_eq!((timed_out.status(), timed_out.status().is_success_severity()), (Status::TIMEOUT, true));
            abort.send(b"abort", Timeout::After(LONG)).unwrap();
            line.hear("aborted");
            // before any port closes: a message with a reply, so that the application has let go of everything
            assert_eq!(ask(&abort, b"unloading"), Ok(b"ok".to_vec()));
            for port in &mut ports {
                port.unload();
            }
            line.say("unloaded");
            assert!([scan, abort, query].iter().all(|client| !client.is_connected()));
            line.hear("over");
        },
        |app| {
            app.hear("made");
            let (scan, abort) = (avscan_connect(app, SCAN, 1), avscan_connect(app, ABORT, 2));
            let query = avscan_connect(app, QUERY, 3);
            scan.recv().unwrap().reply(Status::SUCCESS, &7_u32.to_le_bytes()).unwrap();
            let mut receiver = scan.receiver(1).unwrap();
            app.say("stuck");
            let slow = receiver.recv().unwrap();
            // a blocking receive on an ordinary handle, without a timeout
            assert_eq!(abort.recv().unwrap().body(), b"abort");
            assert_eq!(slow.reply(Status::SUCCESS, &[0; 4]).unwrap_err().status(), Status::FLT_NO_WAITER_FOR_REPLY);
            // requests without output
            assert_eq!(query.send(b"stop", &mut []).unwrap(), 0);
            assert_eq!(hresult(query.send(b"what?", &mut []).unwrap_err().status()), 0x8007_0490);
            app.say("aborted");
            let unloading = abort.recv().unwrap();
            // the workers are stopped: each receive is taken back, and a thread that blocks is freed
            let completions = scan.completions();
            completions.post(1, 100).unwrap();
            thread::scope(|scope| {
                let worker = scope.spawn(|| completions.next().unwrap().result.unwrap_err().status());
                until(|| {
                    scan.cancel_receives();
                    worker.is_finished()
                });
                assert_eq!(worker.join().unwrap(), Status::CANCELLED);
            });
            unloading.reply(Status::SUCCESS, b"ok").unwrap();
            app.hear("unloaded");
            drop(completions);
            [scan, abort, query].iter().for_each(is_over);
            app.say("over");
        },
    );
}

/// A production client keeps one receive, and makes it as large as it was told; its filter may have given up meanwhile.
#[test]
fn sample_edr_a_client_makes_its_buffer_as_large_as_it_was_told() {
    let sizes = [10, 100, 100, 5000, 20, 70_000];
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            for size in sizes {
                assert_eq!(ask(&filter, &vec![1; size]), Ok(b"seen".to_vec()));
            }
            line.hear("posted");
            let timeout = Timeout::After(Duration::from_millis(5));
            assert_eq!(filter.ask(b"?", &mut [0; 8], timeout).unwrap_err().status(), Status::TIMEOUT);
            line.say("gave up");
            assert_eq!(ask(&filter, b"go on"), Ok(b"seen".to_vec()));
            line.say("done");
        },
        |app| {
            let port = app.connect();
            let completions = port.completions();
            let (mut capacity, mut resized) = (16, 0);
            for size in sizes {
                completions.post(1, capacity).unwrap();
                let message = match completions.next().unwrap().result.unwrap() {
                    Received::Message(message) => message,
                    Received::TooSmall { needed, .. } => {
                        assert_eq!(needed, size);
                        (capacity, resized) = (needed, resized + 1);
                        completions.post(1, capacity).unwrap();
                        match completions.next().unwrap().result.unwrap() {
                            Received::Message(message) => message,
                            again @ Received::TooSmall { .. } => panic!("the size that was told is enough: {again:?}"),
                        }
                    }
                };
                assert_eq!(message.body().len(), size);
                message.reply(Status::SUCCESS, b"seen").unwrap();
            }
            assert_eq!((capacity, resized), (70_000, 3));
            completions.post(1, capacity).unwrap();
            app.say("posted");
            let Ok(Received::Message(late)) = completions.next().unwrap().result else { panic!("it fits") };
            app.hear("gave up");
            assert_eq!(hresult(late.reply(Status::SUCCESS, b"seen").unwrap_err().status()), 0x801f_0020);
            port.recv().unwrap().reply(Status::SUCCESS, b"seen").unwrap();
            app.hear("done");
        },
    );
}

/// A native client replies when the header says that a reply is wanted, and knows from a receive that fails at once
/// that the driver is gone.
#[test]
fn sample_si_the_message_says_whether_a_reply_is_wanted_and_a_receive_whether_the_driver_is_there() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            for _ in 0..5 {
                filter.send(b"news", Timeout::After(LONG)).unwrap();
                assert_eq!(ask(&filter, b"question"), Ok(b"answer".to_vec()));
            }
            line.hear("all");
            filter.close();
        },
        |app| {
            let port = app.connect();
            let completions = port.completions();
            for number in 0..10 {
                completions.post(number, 100).unwrap();
                let Ok(Received::Message(message)) = completions.next().unwrap().result else { panic!("it fits") };
                let wanted = message.reply_capacity().is_some();
                assert_eq!(wanted, message.body() == b"question");
                if wanted {
                    message.reply(Status::SUCCESS, b"answer").unwrap();
                }
            }
            app.say("all");
            assert_eq!(port.recv().unwrap_err().status(), Status::PORT_DISCONNECTED);
            let inline = completions.post(1, 100).unwrap_err().status();
            assert_eq!(inline, Status::PORT_DISCONNECTED);
            assert_eq!(completions.outstanding(), 0, "nothing will complete");
        },
    );
}
