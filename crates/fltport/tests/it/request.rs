//! Requests from the application: rows 83 to 97 and 100 of the table in `doc/windows.md`.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use fltport::{
    Client, Connection, Message, Port, PortOptions, Received, Response, SecurityDescriptor, Status, Timeout,
};
use testkit::log::{keep_warnings, warning};
use testkit::{App, Host, LONG, Line, both, hresult};

/// A host whose message callback is `on_message`.
fn calling(on_message: impl Fn(&Client, &[u8], &mut [u8]) -> Response + Send + Sync + 'static) -> Host {
    Host::with(|filter| filter.on_message = Box::new(on_message), |options| options)
}

/// A host whose message callback fills the output and answers so.
fn answering(answer: Response) -> Host {
    calling(move |_, _, output| {
        output.fill(b'o');
        answer
    })
}

fn wait_for_the_end(host: &mut Host, _: &Line) {
    host.accepted();
    host.ended();
}

/// Sends a request with room for four bytes; the answer, and what the room holds then.
fn request(port: &Connection) -> (Response, [u8; 4]) {
    let mut output = *b"....";
    let answer = port.request(b"request", &mut output).unwrap();
    (answer, output)
}

#[test]
fn row_083_a_filter_without_a_message_callback_rejects_requests() {
    struct Silent;
    impl fltport::Serve for Silent {
        type Session = ();
        fn connect(&self, _: &Client, _: &[u8]) -> Result<(), Status> {
            Ok(())
        }
    }
    both(
        Host::new,
        |host, line| {
            let options = PortOptions::default().namespace(host.namespace());
            let options = options.security(SecurityDescriptor::null_dacl());
            let port = Port::create(r"\Silent", options, Silent).unwrap();
            line.say("made");
            line.hear("done");
            drop(port);
        },
        |app| {
            app.hear("made");
            let port = app.connect_to(r"\Silent", b"").unwrap();
            assert_eq!(request(&port), (Status::INVALID_DEVICE_REQUEST.into(), *b"...."));
            let status = port.send(b"x", &mut []).unwrap_err().status();
            assert_eq!(status, Status::INVALID_DEVICE_REQUEST);
            assert_eq!(hresult(status), 0x8007_0001);
            app.say("done");
        },
    );
}

/// Also when the connection has ended: what is wrong with a call is looked for before that, as on Windows.
#[test]
fn row_084_a_request_without_input_is_refused_before_the_callback() {
    both(
        || calling(|_, input, _| panic!("{input:?}")),
        |host, line| {
            let filter = host.accepted();
            line.hear("refused");
            filter.close();
            host.ended();
        },
        |app| {
            let port = app.connect();
            let refused = |error: fltport::Error| {
                assert_eq!(error.status(), Status::INVALID_PARAMETER);
                assert_eq!(hresult(error.status()), 0x8007_0057);
            };
            refused(port.send(b"", &mut [0; 4]).unwrap_err());
            refused(port.request(b"", &mut []).unwrap_err());
            app.say("refused");
            // the filter closes: nothing else ends this
            assert_eq!(port.recv().unwrap_err().status(), Status::PORT_DISCONNECTED);
            refused(port.send(b"", &mut [0; 4]).unwrap_err());
        },
    );
}

/// The failures that the specification's table has for callbacks, and some that the library itself knows: whose they
/// are makes no difference.
#[test]
fn row_085_a_failure_of_the_callback_is_what_the_client_gets() {
    let failures = [
        (Status::UNSUCCESSFUL, 0x8007_001f),
        (Status::NOT_IMPLEMENTED, 0x8007_0001),
        (Status::INVALID_PARAMETER, 0x8007_0057),
        (Status::ACCESS_DENIED, 0x8007_0005),
        (Status::PORT_DISCONNECTED, 0x8007_0006),
        (Status::INSUFFICIENT_RESOURCES, 0x8007_05aa),
        (Status::IO_TIMEOUT, 0x8007_0079),
        (Status::NOT_SUPPORTED, 0x8007_0032),
        (Status::INVALID_PARAMETER_3, 0x8007_0057),
        (Status::CANCELLED, 0x8007_03e3),
        (Status::NOT_FOUND, 0x8007_0490),
        (Status::CONNECTION_REFUSED, 0x8007_04c9),
        (Status::FLT_NO_WAITER_FOR_REPLY, 0x801f_0020),
    ];
    let fail = |_: &Client, input: &[u8], output: &mut [u8]| {
        output.fill(b'o');
        Response { status: Status(u32::from_le_bytes(input.try_into().unwrap())), len: 3 }
    };
    both(
        || calling(fail),
        wait_for_the_end,
        |app| {
            let port = app.connect();
            for (status, result) in failures {
                let mut output = *b"....";
                let answer = port.request(&status.0.to_le_bytes(), &mut output).unwrap();
                assert_eq!((answer, &output), (Response { status, len: 0 }, b"...."));
                assert_eq!(port.send(&status.0.to_le_bytes(), &mut []).unwrap_err().status(), status);
                assert_eq!(hresult(status), result, "{status:?}");
            }
        },
    );
}

/// A warning's severity lets the length through, and what the callback has written.
#[test]
fn row_086_buffer_too_small_keeps_its_length() {
    let too_small = |_: &Client, input: &[u8], output: &mut [u8]| {
        output.fill(b'o');
        let status = if input == b"request" { Status::BUFFER_TOO_SMALL } else { Status::FLT_BUFFER_TOO_SMALL };
        Response { status, len: 900 }
    };
    both(
        || calling(too_small),
        wait_for_the_end,
        |app| {
            let port = app.connect();
            let kept = Response { status: Status::FLT_BUFFER_TOO_SMALL, len: 900 };
            assert_eq!(request(&port), (kept, *b"oooo"));
            assert_eq!(hresult(kept.status), 0x8007_007a);
            assert_eq!(port.send(b"request", &mut []).unwrap_err().status(), Status::FLT_BUFFER_TOO_SMALL);
            // one that says it by that name says the same
            assert_eq!(port.request(b"the other", &mut [0; 4]).unwrap(), kept);
        },
    );
}

#[test]
fn row_087_a_warning_comes_with_its_length_and_data() {
    both(
        || answering(Response { status: Status::NO_MORE_ENTRIES, len: 2 }),
        wait_for_the_end,
        |app| {
            let port = app.connect();
            assert_eq!(request(&port), (Response { status: Status::NO_MORE_ENTRIES, len: 2 }, *b"oo.."));
            assert_eq!(hresult(Status::NO_MORE_ENTRIES), 0x8007_0103);
            assert_eq!(port.send(b"x", &mut []).unwrap_err().status(), Status::NO_MORE_ENTRIES);
        },
    );
}

#[test]
fn row_088_a_length_beyond_the_output_is_told_as_it_is() {
    both(
        || answering(4000.into()),
        wait_for_the_end,
        |app| {
            let port = app.connect();
            assert_eq!(request(&port), (4000.into(), *b"oooo"));
            let mut around = [b'.'; 12];
            assert_eq!(port.send(b"x", &mut around[4..8]).unwrap(), 4000);
            assert_eq!(&around, b"....oooo....");
            assert_eq!(port.send(b"x", &mut []).unwrap(), 4000);
        },
    );
}

#[test]
fn row_089_a_callback_that_says_nothing_returned_nothing() {
    both(
        || answering(Status::SUCCESS.into()),
        wait_for_the_end,
        |app| assert_eq!(request(&app.connect()), (0.into(), *b"....")),
    );
}

#[test]
fn row_090_a_time_out_of_the_callback_is_a_failure() {
    both(
        || answering(Status::TIMEOUT.into()),
        wait_for_the_end,
        |app| {
            let error = app.connect().send(b"x", &mut []).unwrap_err();
            assert_eq!(error.status(), Status::TIMEOUT);
            assert_eq!(hresult(error.status()), 0x8007_0102);
        },
    );
}

/// Success codes other than zero are failures on Windows too, whose length and data arrive.
#[test]
fn a_success_that_is_not_zero_is_a_failure_with_length_and_data() {
    let reparse = Status(0x0000_0104);
    both(
        || answering(Response { status: Status(0x0000_0104), len: 3 }),
        wait_for_the_end,
        |app| {
            let port = app.connect();
            assert_eq!(request(&port), (Response { status: reparse, len: 3 }, *b"ooo."));
            assert_eq!(port.send(b"x", &mut []).unwrap_err().status(), reparse);
            assert!(reparse.to_hresult().is_failure());
        },
    );
}

/// On Windows the request would never end.
#[test]
fn a_callback_that_answers_pending_is_refused_and_logged() {
    keep_warnings();
    both(
        || answering(Response { status: Status::PENDING, len: 3 }),
        |host, _| {
            host.accepted();
            warning(&["message callback", "STATUS_PENDING", r"\TestPort"]);
            host.ended();
        },
        |app| assert_eq!(request(&app.connect()), (Status::INVALID_PARAMETER.into(), *b"....")),
    );
}

#[test]
fn row_091_an_error_of_another_facility_is_passed_on_and_is_no_more_than_a_failure_on_windows() {
    both(
        || answering(Status(0xc015_0001).into()),
        wait_for_the_end,
        |app| {
            let error = app.connect().send(b"x", &mut []).unwrap_err();
            assert_eq!(error.status(), Status(0xc015_0001));
            assert_eq!(hresult(error.status()), 0x8000_4005);
        },
    );
}

#[test]
fn row_092_a_status_of_the_filters_own_is_passed_on() {
    both(
        || answering(Response { status: Status(0xe000_0001), len: 9 }),
        wait_for_the_end,
        |app| {
            assert_eq!(request(&app.connect()).0, Status(0xe000_0001).into());
            assert_eq!(hresult(Status(0xe000_0001)), 0xe000_0001);
        },
    );
}

/// A bad address cannot be given here. What is left: an output of any size, none too, is what the callback sees,
/// zeroed.
#[test]
fn row_093_the_callback_sees_an_output_of_the_size_that_was_given() {
    assert_eq!(hresult(Status::ACCESS_VIOLATION), 0x8007_03e6);
    let sizes = [0, 1, 7, 192, 193, 65_536, 65_537, 300_000];
    both(
        || calling(|_, _, output| if output.iter().all(|&byte| byte == 0) { output.len() } else { usize::MAX }.into()),
        wait_for_the_end,
        |app| {
            let port = app.connect();
            for size in sizes {
                assert_eq!(port.send(b"x", &mut vec![9; size]).unwrap(), size);
            }
        },
    );
}

/// What a callback reads is its own copy: nothing that the client does during the call, its end included, changes it.
#[test]
fn row_094_the_callbacks_input_outlives_the_client() {
    let (entered, enter) = sync_channel(1);
    let (leave, left) = sync_channel::<()>(1);
    let (told, tell) = sync_channel(1);
    let left = Arc::new(Mutex::new(left));
    let make = || {
        let (entered, left, told) = (entered.clone(), Arc::clone(&left), told.clone());
        calling(move |_, input, output| {
            let before = input.to_vec();
            entered.send(()).unwrap();
            left.lock().unwrap().recv_timeout(LONG).unwrap();
            output.fill(1);
            told.send(before == input && input.iter().all(|&byte| byte == b'i')).unwrap();
            input.len().into()
        })
    };
    both(
        make,
        |host, line| {
            host.accepted();
            enter.recv_timeout(LONG).unwrap();
            line.say("in the callback");
            line.hear("gone");
            leave.send(()).unwrap();
            assert!(tell.recv_timeout(LONG).unwrap());
            host.ended();
        },
        |app| {
            let port = app.connect();
            thread::scope(|scope| {
                // ends with the connection, or with the answer if that is sooner
                scope.spawn(|| port.send(&vec![b'i'; 200_000], &mut [0; 1000]).map(drop).unwrap_or_default());
                app.hear("in the callback");
                // the callback ends after this word only
                app.say("gone");
                app.crash(&port);
            });
        },
    );
}

/// While a receive is posted, and otherwise as soon as one is; or not in time.
#[test]
fn row_095_a_message_callback_may_ask_the_same_client() {
    let ask = |client: &Client, input: &[u8], output: &mut [u8]| {
        let timeout = if input == b"poll" { Timeout::Poll } else { Timeout::After(LONG) };
        match client.ask(input, output, timeout) {
            Ok(reply) => Response { status: reply.status, len: reply.len },
            Err(error) => error.status().into(),
        }
    };
    both(
        || calling(ask),
        wait_for_the_end,
        |app| {
            let port = app.connect();
            let echo = |input: &[u8], upper: &[u8]| {
                let mut output = [0; 8];
                let len = port.send(input, &mut output).unwrap();
                assert_eq!(&output[..len], upper);
            };
            let answer = |message: Message| {
                let upper = message.body().to_ascii_uppercase();
                message.reply(Status::SUCCESS, &upper).unwrap();
            };
            // nothing is posted
            assert_eq!(port.send(b"poll", &mut []).unwrap_err().status(), Status::TIMEOUT);
            let mut posted = port.receiver(1).unwrap();
            thread::scope(|scope| {
                scope.spawn(|| answer(posted.recv().unwrap()));
                echo(b"posted", b"POSTED");
            });
            drop(posted);
            thread::scope(|scope| {
                scope.spawn(|| {
                    // refused: so the callback waits
                    let refused = port.recv_limited(0, Timeout::After(LONG)).unwrap();
                    assert!(matches!(refused, Some(Received::TooSmall { needed: 6, .. })), "{refused:?}");
                    answer(port.recv().unwrap());
                });
                echo(b"waited", b"WAITED");
            });
        },
    );
}

/// The request ends with the callback's status, or with the connection, whichever the client sees first.
#[test]
fn row_096_a_message_callback_may_close_its_own_connection() {
    both(
        || {
            calling(|client, _, _| {
                client.close();
                Status::NOT_FOUND.into()
            })
        },
        wait_for_the_end,
        |app| {
            let port = app.connect();
            let status = port.send(b"x", &mut []).unwrap_err().status();
            assert!(matches!(status, Status::NOT_FOUND | Status::PORT_DISCONNECTED), "{status:?}");
            assert_eq!(port.recv().unwrap_err().status(), Status::PORT_DISCONNECTED);
        },
    );
}

/// Sixteen of one connection: that is where this departs from Windows, which knows no limit.
#[test]
fn row_097_requests_run_side_by_side() {
    const MOST: usize = 16;
    let barrier = Arc::new(Barrier::new(MOST));
    let make = || {
        let barrier = Arc::clone(&barrier);
        calling(move |_, _, _| {
            barrier.wait();
            0.into()
        })
    };
    both(make, wait_for_the_end, |app| {
        let port = app.connect();
        thread::scope(|scope| {
            for _ in 0..MOST {
                scope.spawn(|| port.send(b"x", &mut []).unwrap());
            }
        });
    });
}

/// What cancels receives leaves a request alone: once in its callback, nothing but the end of the connection ends it.
#[test]
fn a_request_is_not_cancelled_with_the_receives() {
    let (entered, enter) = sync_channel(1);
    let (leave, left) = sync_channel::<()>(1);
    let left = Arc::new(Mutex::new(left));
    let make = || {
        let (entered, left) = (entered.clone(), Arc::clone(&left));
        calling(move |_, _, output| {
            entered.send(()).unwrap();
            left.lock().unwrap().recv_timeout(LONG).unwrap();
            output.fill(b'o');
            output.len().into()
        })
    };
    both(
        make,
        |host, line| {
            host.accepted();
            enter.recv_timeout(LONG).unwrap();
            line.say("in the callback");
            line.hear("cancelled");
            leave.send(()).unwrap();
            host.ended();
        },
        |app| {
            let port = app.connect();
            let completions = port.completions();
            completions.post(1, 10).unwrap();
            thread::scope(|scope| {
                let requests = scope.spawn(|| request(&port));
                app.hear("in the callback");
                assert_eq!(port.cancel_receives(), 1, "the receive");
                assert_eq!(port.cancel_receives(), 0);
                app.say("cancelled");
                assert_eq!(requests.join().unwrap(), (4.into(), *b"oooo"));
            });
        },
    );
}

#[test]
fn more_requests_than_there_are_slots_wait_for_each_other() {
    both(
        || calling(|_, input, _| usize::from(input[0]).into()),
        wait_for_the_end,
        |app: &App| {
            let port = app.connect();
            thread::scope(|scope| {
                for thread in 0..40 {
                    let port = &port;
                    scope.spawn(move || {
                        for _ in 0..10 {
                            assert_eq!(port.send(&[thread], &mut []).unwrap(), usize::from(thread));
                        }
                    });
                }
            });
        },
    );
}

/// Handles have no rights of their own here: every clone and every duplicate may do everything.
#[test]
fn row_100_a_duplicate_has_all_rights() {
    both(
        || answering(2.into()),
        |host, line| {
            let filter = host.accepted();
            for _ in 0..2 {
                assert_eq!(filter.ask(b"?", &mut [0; 1], Timeout::After(LONG)).unwrap().len, 1);
            }
            line.say("done");
        },
        |app| {
            let port = app.connect();
            let clone = port.clone();
            let duplicate = Connection::from_handle(port.duplicate().unwrap()).unwrap();
            port.close();
            for handle in [&clone, &duplicate] {
                handle.recv().unwrap().reply(Status::SUCCESS, b"k").unwrap();
                assert_eq!(handle.send(b"x", &mut []).unwrap(), 2);
            }
            app.hear("done");
        },
    );
}
