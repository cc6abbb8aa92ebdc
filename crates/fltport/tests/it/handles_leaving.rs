//! What a process leaves to the others of a connection when it goes, in the middle of things.

use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fltport::{Client, Connection, Received, Response, Status, Timeout};
use proto::client;
use proto::slots::{GETS, Word};
use testkit::raw::Raw;
use testkit::{Host, LONG, until};

fn another(port: &Connection) -> Connection {
    Connection::from_handle(port.duplicate().unwrap()).unwrap()
}

#[test]
fn slots_of_a_process_that_has_disconnected_are_used_by_others() {
    let host = Host::new();
    let (port, filter) = host.pair();
    let other = another(&port);
    let posted = port.receiver(4).unwrap();
    port.disconnect();
    drop(posted);
    for _ in 0..5 {
        thread::scope(|scope| {
            scope.spawn(|| filter.send(b"x", Timeout::After(LONG)).unwrap());
            assert_eq!(other.recv().unwrap().body(), b"x");
        });
    }
    assert_eq!(other.send(b"x", &mut []).unwrap_err().status(), Status::INVALID_DEVICE_REQUEST);
}

#[test]
fn completions_that_nobody_asks_for_keep_no_slots_of_a_process_that_has_disconnected() {
    let host = Host::new();
    let (port, filter) = host.pair();
    let other = another(&port);
    let completions = port.completions();
    let posted = GETS + 50;
    for token in 0..posted as u64 {
        completions.post(token, 1000).unwrap();
    }
    filter.send(b"delivered before", Timeout::Poll).unwrap();
    port.disconnect();
    let gets = other.receiver(GETS - 1).expect("all but one are free");
    assert!(other.try_recv().unwrap().is_none());
    assert!(matches!(completions.next().unwrap().result, Ok(Received::Message(_))));
    let ends = std::iter::from_fn(|| completions.next().ok());
    assert_eq!(ends.filter(|end| end.result.is_err()).count(), posted - 1);
    drop(gets);
    thread::scope(|scope| {
        scope.spawn(|| filter.send(b"x", Timeout::After(LONG)).unwrap());
        assert_eq!(other.recv().unwrap().body(), b"x");
    });
}

#[test]
fn a_process_that_has_disconnected_posts_nothing_when_a_slot_becomes_free() {
    let host = Host::new();
    let (port, filter) = host.pair();
    let other = another(&port);
    let mut receiver = other.receiver(1).unwrap();
    let completions = port.completions();
    thread::scope(|scope| {
        let blocked = scope.spawn(|| port.recv().unwrap_err().status());
        let (looker, _) = Raw::open(other.duplicate().unwrap());
        let used = || client::calls(looker.shared()).count();
        until(|| used() == 2);
        // the last one waits for a slot, which the thread above will leave
        for token in 2..=GETS as u64 {
            completions.post(token, 1000).unwrap();
        }
        port.disconnect();
        assert_eq!(blocked.join().unwrap(), Status::PORT_DISCONNECTED);
        let answers = scope.spawn(move || {
            (0..2).try_for_each(|_| receiver.recv().and_then(|message| message.reply(Status::SUCCESS, b"yes")))
        });
        let asked: Vec<_> = (0..2).map(|_| filter.ask(b"?", &mut [0; 8], Timeout::After(LONG / 4))).collect();
        other.disconnect();
        answers.join().unwrap().unwrap();
        assert!(asked.iter().all(Result::is_ok), "{asked:?}");
    });
}

/// Posts receives, which what it gives owns.
type Posts = fn(&Connection, &Client) -> Box<dyn Send>;

/// For other processes the connection goes on, and its filter would wait for them in vain.
#[test]
fn what_a_process_drops_that_has_disconnected_is_answered() {
    let host = Host::new();
    let drops: [Posts; 3] = [
        |port, filter| {
            let completions = port.completions();
            completions.post(0, 100).unwrap();
            filter.send(b"before", Timeout::After(LONG)).unwrap();
            completions.post(0, 100).unwrap();
            Box::new(completions)
        },
        |port, _| Box::new(port.receiver(1).unwrap()),
        |port, filter| {
            let mut receiver = port.receiver(2).unwrap();
            filter.send(b"before", Timeout::After(LONG)).unwrap();
            receiver.recv().unwrap();
            Box::new(receiver)
        },
    ];
    for receives in drops {
        let (port, filter) = host.pair();
        let _other = another(&port);
        let posted = receives(&port, &filter);
        let asked = filter.start(b"?", 8, Timeout::After(LONG / 4)).unwrap();
        port.disconnect();
        drop(posted);
        let answer = asked.wait(&mut [0; 8]).map(|reply| reply.status).map_err(|error| error.status());
        assert_eq!(answer, Ok(Status::CANCELLED));
    }
    // one that was received likewise
    let (port, filter) = host.pair();
    let _other = another(&port);
    let mut receiver = port.receiver(1).unwrap();
    let asked = filter.start(b"?", 8, Timeout::After(LONG / 4)).unwrap();
    let message = receiver.recv().unwrap();
    port.disconnect();
    drop(message);
    let answer = asked.wait(&mut [0; 8]).map(|reply| reply.status).map_err(|error| error.status());
    assert_eq!(answer, Ok(Status::CANCELLED));
}

/// A receiver posts its receives anew when they were taken back, which may be in the very moment of the disconnect.
#[test]
fn a_receive_that_is_posted_as_its_process_disconnects_takes_no_message_from_others() {
    let host = Host::new();
    let (port, filter) = host.pair();
    for round in 0..400 {
        let leaves = another(&port);
        let mut receivers: Vec<_> = (0..3).map(|_| leaves.receiver(4).unwrap()).collect();
        thread::scope(|scope| {
            for receiver in &mut receivers {
                scope.spawn(|| while receiver.recv().unwrap_err().status() == Status::CANCELLED {});
            }
            let cancels = scope.spawn(|| {
                while leaves.is_connected() {
                    _ = leaves.cancel_receives()
                }
            });
            std::iter::repeat_n((), 50 * (round % 50)).for_each(|()| std::hint::spin_loop());
            leaves.disconnect();
            cancels.join().unwrap();
        });
        // nothing is posted, though all the receivers are there still
        let sent = filter.send(b"lost", Timeout::Poll).map_err(|error| error.status());
        assert_eq!(sent, Err(Status::TIMEOUT), "round {round}");
    }
}

#[test]
fn a_slot_whose_request_runs_is_nobody_elses_when_its_process_disconnects() {
    let (entered, enter) = sync_channel(1);
    let (leave, left) = sync_channel::<()>(1);
    let left = Mutex::new(left);
    let slow = move |_: &Client, _: &[u8], _: &mut [u8]| {
        entered.send(()).unwrap();
        left.lock().unwrap().recv().unwrap();
        Response::from(0)
    };
    let host = Host::with(|filter| filter.on_message = Box::new(slow), |options| options);
    let (port, _) = host.pair();
    let (other, _) = Raw::open(port.duplicate().unwrap());
    let used = || client::calls(other.shared()).collect::<Vec<_>>();
    thread::scope(|scope| {
        let asked = scope.spawn(|| port.send(b"slow", &mut []).unwrap_err().status());
        enter.recv_timeout(LONG).unwrap();
        port.disconnect();
        assert_eq!(asked.join().unwrap(), Status::PORT_DISCONNECTED);
    });
    assert_eq!(used(), [GETS], "the callback will write into it");
    drop(port);
    assert_eq!(used(), [GETS], "the callback will write into it");
    leave.send(()).unwrap();
    until(|| used().is_empty());
}

/// A connection of two processes, while a third, by hand, has every window that a long reply could have.
fn without_windows(with: impl FnOnce(&Connection, &Connection, &Client, &Raw)) {
    let host = Host::new();
    let (port, filter) = host.pair();
    let other = another(&port);
    let (looker, holder) = Raw::open(port.duplicate().unwrap());
    let windows: Vec<_> = std::iter::from_fn(|| client::reserve_reply(looker.shared(), holder)).collect();
    with(&port, &other, &filter, &looker);
    windows.into_iter().for_each(|window| _ = client::release(looker.shared(), window));
}

#[test]
fn what_a_process_wanted_to_answer_when_it_disconnected_another_answers() {
    without_windows(|port, other, filter, looker| {
        thread::scope(|scope| {
            let asked = scope.spawn(|| {
                let mut reply = [0; 1000];
                filter.ask(b"?", &mut reply, Timeout::After(LONG)).map(|answer| reply[..answer.len].to_vec())
            });
            let mut receiver = port.receiver(1).unwrap();
            let message = receiver.recv().unwrap();
            let id = message.id();
            let waits = scope.spawn(|| message.reply(Status::SUCCESS, &[1; 1000]).unwrap_err().status());
            until(|| looker.shared().allocation.wanted.load(Ordering::SeqCst) != 0);
            port.disconnect();
            assert_eq!(waits.join().unwrap(), Status::PORT_DISCONNECTED);
            // though its handle is open here still
            other.reply(id, Status::SUCCESS, b"another's").unwrap();
            assert_eq!(asked.join().unwrap().unwrap(), b"another's");
        });
    });
}

#[test]
fn a_thread_that_waits_for_a_window_learns_that_another_has_replied_or_that_the_filter_has_given_up() {
    without_windows(|port, other, filter, looker| {
        for timeout in [Timeout::After(LONG), Timeout::After(Duration::from_millis(200))] {
            thread::scope(|scope| {
                let asked = scope.spawn(|| {
                    let mut reply = [0; 1000];
                    filter.ask(b"?", &mut reply, timeout).map(|answer| answer.len).map_err(|error| error.status())
                });
                let mut receiver = port.receiver(1).unwrap();
                let message = receiver.recv().unwrap();
                let id = message.id();
                let waits = scope.spawn(|| message.reply(Status::SUCCESS, &[1; 1000]).unwrap_err().status());
                let wanted = || looker.shared().allocation.wanted.load(Ordering::SeqCst) != 0;
                until(|| wanted() || waits.is_finished());
                if timeout == Timeout::After(LONG) {
                    other.reply(id, Status::SUCCESS, b"sooner").unwrap();
                    assert_eq!(asked.join().unwrap(), Ok(6));
                } else {
                    assert_eq!(asked.join().unwrap(), Err(Status::TIMEOUT));
                }
                assert_eq!(waits.join().unwrap(), Status::FLT_NO_WAITER_FOR_REPLY);
            });
        }
    });
}

#[test]
fn a_process_that_ends_between_its_reply_and_waking_the_filter_has_replied() {
    let host = Host::new();
    let (port, filter) = host.pair();
    let (other, holder) = Raw::open(port.duplicate().unwrap());
    let (sender, replied) = sync_channel(1);
    let filter = Arc::new(filter);
    let asking = Arc::clone(&filter);
    let asker = thread::spawn(move || {
        let mut reply = [0; 8];
        let answered = asking.ask(b"?", &mut reply, Timeout::Never).map(|answered| reply[..answered.len].to_vec());
        sender.send(answered).unwrap();
    });
    let id = port.recv().unwrap().detach();
    let to = client::find_waiter(other.host(), id).unwrap();
    let word = &other.shared().waiters[to.waiter].word;
    until(|| Word::from_raw(word.load(Ordering::SeqCst)).sleeps());
    assert!(client::claim(other.shared(), to, holder, 0));
    client::write_reply(other.shared(), to, 0, b"!", 1, None);
    let _ = client::publish(other.shared(), to);
    // before the wake-up
    drop(other);
    let answered = replied.recv_timeout(LONG / 2);
    filter.close();
    assert_eq!(answered.expect("the filter sleeps on").unwrap(), b"!");
    asker.join().unwrap();
}

#[test]
fn a_handle_that_is_made_while_the_filter_unloads_sees_the_end() {
    for _ in 0..30 {
        let mut host = Host::with(|_| {}, |options| options.max_handles_per_user(1000));
        let (port, filter) = host.pair();
        thread::scope(|scope| {
            let (sender, made) = sync_channel(100);
            scope.spawn(move || {
                let mut handles = Vec::new();
                let end = loop {
                    match port.duplicate() {
                        Ok(handle) => handles.push(handle),
                        Err(end) => break end,
                    }
                    let _ = sender.try_send(());
                };
                assert_eq!(end.status(), Status::PORT_DISCONNECTED, "{end}");
                for handle in handles {
                    let handle = sys::socket::Socket::from(handle);
                    let deadline = std::time::Instant::now() + LONG;
                    assert!(handle.wait_closed(Some(deadline)).unwrap(), "it is never told");
                }
            });
            (0..3).for_each(|_| made.recv_timeout(LONG).unwrap());
            host.unload();
            // which the filter keeps
            drop(filter);
        });
    }
}
