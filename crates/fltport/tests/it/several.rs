//! One thread that waits for receives of several connections, and for words besides.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fltport::{Completions, Received, Status, Timeout};
use sys::futex;
use testkit::{Host, LONG};

/// Waits until one of `several` tells something, and its number.
fn first(several: &[&Completions]) -> (usize, fltport::Completed) {
    let start = Instant::now();
    loop {
        for (number, completions) in several.iter().enumerate() {
            if let Some(completed) = completions.try_next().unwrap() {
                return (number, completed);
            }
        }
        assert!(start.elapsed() < LONG, "nothing completed");
        Completions::wait_any(several, &[], Timeout::After(LONG));
    }
}

#[test]
fn a_message_of_any_connection_ends_the_wait() {
    let world = Host::new();
    let pairs = [world.pair(), world.pair(), world.pair()];
    let all: Vec<Completions> = pairs.iter().map(|(app, _)| app.completions()).collect();
    for completions in &all {
        completions.post(7, 100).unwrap();
    }
    let several: Vec<&Completions> = all.iter().collect();
    for (turn, (_, filter)) in pairs.iter().enumerate().cycle().take(9) {
        thread::scope(|scope| {
            scope.spawn(|| filter.ask(b"which", &mut [], Timeout::After(LONG)).unwrap());
            let (number, completed) = first(&several);
            assert_eq!((number, completed.token), (turn, 7));
            let Ok(Received::Message(message)) = completed.result else { panic!() };
            message.reply(Status::SUCCESS, b"").unwrap();
        });
        all[turn].post(7, 100).unwrap();
    }
}

#[test]
fn a_receive_that_is_posted_during_the_wait_is_waited_for() {
    let world = Host::new();
    let (app, filter) = world.pair();
    let completions = app.completions();
    thread::scope(|scope| {
        let waits = scope.spawn(|| first(&[&completions]));
        scope.spawn(|| filter.send(b"late", Timeout::After(LONG)).unwrap());
        completions.post(1, 100).unwrap();
        assert_eq!(waits.join().unwrap().1.token, 1);
    });
}

#[test]
fn a_word_that_moves_ends_the_wait() {
    let world = Host::new();
    let (app, _filter) = world.pair();
    let completions = app.completions();
    completions.post(1, 100).unwrap();
    let word = AtomicU32::new(0);
    thread::scope(|scope| {
        let waits = scope.spawn(|| {
            while word.load(Ordering::SeqCst) == 0 {
                Completions::wait_any(&[&completions], &[(&word, 0)], Timeout::After(LONG));
            }
        });
        word.store(1, Ordering::SeqCst);
        futex::wake(&word, u32::MAX, futex::ANY);
        waits.join().unwrap();
    });
    // and with no connection at all
    Completions::wait_any(&[], &[(&word, 0)], Timeout::After(LONG));
}

#[test]
fn the_wait_ends_with_its_time() {
    let world = Host::new();
    let (app, _filter) = world.pair();
    let completions = app.completions();
    completions.post(1, 100).unwrap();
    let start = Instant::now();
    Completions::wait_any(&[&completions], &[], Timeout::After(Duration::from_millis(30)));
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert_eq!(completions.outstanding(), 1);
}

#[test]
fn a_connection_that_ends_is_told_once_and_then_ends_no_wait() {
    let world = Host::new();
    let (app, filter) = world.pair();
    let (other, _still) = world.pair();
    let (completions, others) = (app.completions(), other.completions());
    completions.post(1, 100).unwrap();
    others.post(2, 100).unwrap();
    thread::scope(|scope| {
        let waits = scope.spawn(|| first(&[&others, &completions]));
        filter.close();
        let (number, completed) = waits.join().unwrap();
        assert_eq!((number, completed.result.unwrap_err().status()), (1, Status::PORT_DISCONNECTED));
    });
    let start = Instant::now();
    Completions::wait_any(&[&completions, &others], &[], Timeout::After(Duration::from_millis(30)));
    assert!(start.elapsed() >= Duration::from_millis(30), "it spins on a connection that has ended");
}
