//! Completions in an event loop.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use fltport::{Pollable, Received, Status, Timeout};
use proto::slots::{SharedSlot, State, Word};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use testkit::raw::Raw;
use testkit::{Host, LONG, apart, both, skip, until};

fn readable_within(pollable: &Pollable, time: Duration) -> bool {
    let mut fds = [PollFd::new(pollable, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::try_from(time).unwrap())).unwrap() == 1
}

fn body(pollable: &Pollable) -> Vec<u8> {
    match pollable.try_next().unwrap().unwrap().result.unwrap() {
        Received::Message(message) => message.body().to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_descriptor_is_readable_while_there_is_something_to_take() {
    both(
        Host::new,
        |host, line| {
            let filter = host.accepted();
            for round in 0..100 {
                filter.send(format!("one {round}").as_bytes(), Timeout::After(LONG)).unwrap();
                filter.send(format!("two {round}").as_bytes(), Timeout::After(LONG)).unwrap();
                line.say("sent");
                line.hear("taken");
            }
            line.hear("cancelled");
            filter.close();
            host.ended();
        },
        |app| {
            let port = app.connect();
            let pollable = port.completions().pollable().unwrap();
            pollable.post(0, 100).unwrap();
            pollable.post(1, 100).unwrap();
            for round in 0..100 {
                assert!(readable_within(&pollable, LONG));
                app.hear("sent");
                assert_eq!(body(&pollable), format!("one {round}").into_bytes());
                assert!(readable_within(&pollable, LONG), "there is another");
                assert_eq!(body(&pollable), format!("two {round}").into_bytes());
                assert!(!readable_within(&pollable, Duration::ZERO));
                assert!(pollable.try_next().unwrap().is_none());
                pollable.post(0, 100).unwrap();
                pollable.post(1, 100).unwrap();
                app.say("taken");
            }
            assert_eq!(pollable.cancel(0), 1);
            assert!(readable_within(&pollable, Duration::ZERO), "a cancelled one is there at once");
            assert_eq!(pollable.next().unwrap().result.unwrap_err().status(), Status::CANCELLED);
            assert!(!readable_within(&pollable, Duration::ZERO));
            app.say("cancelled");
            assert!(readable_within(&pollable, LONG));
            assert_eq!(pollable.next().unwrap().result.unwrap_err().status(), Status::PORT_DISCONNECTED);
            assert!(readable_within(&pollable, Duration::ZERO), "it stays so");
            assert_eq!(pollable.next().unwrap_err().status(), Status::PORT_DISCONNECTED);
        },
    );
}

#[test]
fn threads_that_wait_and_the_descriptor_do_not_hinder_each_other() {
    let host = Host::new();
    let (app, filter) = host.pair();
    let completions = app.completions();
    for token in 0..4 {
        completions.post(token, 10).unwrap();
    }
    let pollable = completions.pollable().unwrap();
    thread::scope(|scope| {
        let waits: Vec<_> = (0..3).map(|_| scope.spawn(|| pollable.next_timeout(LONG).unwrap().unwrap())).collect();
        for _ in 0..3 {
            filter.send(b"x", Timeout::After(LONG)).unwrap();
        }
        for wait in waits {
            assert!(matches!(wait.join().unwrap().result, Ok(Received::Message(_))));
        }
    });
    let start = Instant::now();
    assert!(pollable.next_timeout(Duration::from_millis(5)).unwrap().is_none());
    assert!(start.elapsed() >= Duration::from_millis(5));
    drop(pollable);
    assert_eq!(filter.send(b"x", Timeout::Poll).unwrap_err().status(), Status::TIMEOUT);
}

#[test]
fn nothing_runs_while_nothing_comes_and_nothing_is_left_when_it_is_dropped() {
    apart(|| {
        if let Err(error) = sys::futex::can_wait_for_several() {
            return skip::machine(format_args!("without futex_waitv it looks now and then: {error}"));
        }
        let host = Host::new();
        let (app, _filter) = host.pair();
        let watchers = || {
            let threads = std::fs::read_dir("/proc/self/task").unwrap();
            let paths = threads.map(|thread| thread.unwrap().path());
            paths.filter(|path| std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name == "fltmgr-watch\n"))
        };
        let pollable = app.completions().pollable().unwrap();
        pollable.post(1, 10).unwrap();
        pollable.as_fd();
        let switches = || -> Vec<u64> {
            let statuses = watchers().filter_map(|path| std::fs::read_to_string(path.join("status")).ok());
            let lines = statuses.map(|status| {
                let line =
                    status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap().to_owned();
                line.trim().parse().unwrap()
            });
            lines.collect()
        };
        // other tests' threads count too, so this one looks only at a moment in which none of them moves
        let start = Instant::now();
        loop {
            let before = switches();
            assert!(!readable_within(&pollable, Duration::from_millis(60)));
            if !before.is_empty() && switches() == before {
                break;
            }
            assert!(start.elapsed() < LONG, "it never sleeps");
        }
        drop(pollable);
        while watchers().next().is_some() {
            assert!(start.elapsed() < 2 * LONG, "the thread is left");
            thread::park_timeout(Duration::from_millis(1));
        }
    });
}

/// A receive may be posted in the middle of that, and be taken back when the thread that watches sleeps on others.
#[test]
fn each_receive_that_is_taken_back_as_it_is_posted_is_told() {
    let host = Host::new();
    let app = host.connect();
    let (looker, _) = Raw::open(app.duplicate().unwrap());
    let posted = || {
        let state = |slot: &SharedSlot| Word::from_raw(slot.word.load(Ordering::SeqCst)).state();
        looker.shared().slots.iter().filter(|slot| state(slot) == Some(State::Posted)).count()
    };
    let pollable = app.completions().pollable().unwrap();
    for round in 0..400 {
        thread::scope(|scope| {
            // these make the cancelling long
            for _ in 0..20 {
                scope.spawn(|| assert_eq!(app.recv().unwrap_err().status(), Status::CANCELLED));
            }
            until(|| posted() == 20);
            let cancels = scope.spawn(|| app.cancel_receives());
            until(|| posted() != 20 || cancels.is_finished());
            pollable.post(0, 100).unwrap();
            let start = Instant::now();
            while start.elapsed() < Duration::from_micros(round % 100) {
                std::hint::spin_loop();
            }
            for token in 1..40 {
                pollable.post(token, 10).unwrap();
            }
            cancels.join().unwrap();
        });
        // what is posted in the end is what was not told; the thread that watches may still be posting some of it
        let mut told = 0;
        let mut since = Instant::now();
        while 40 - told != posted() {
            if readable_within(&pollable, Duration::from_millis(1)) {
                told += usize::from(pollable.try_next().unwrap().is_some());
                since = Instant::now();
            }
            assert!(since.elapsed() < LONG / 4, "round {round}: an end is not told");
        }
        told += app.cancel_receives();
        assert_eq!(told, 40);
        while pollable.outstanding() != 0 {
            pollable.next().unwrap();
        }
    }
}
