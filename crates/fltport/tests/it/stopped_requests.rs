//! A process that stops in the middle of a long request, or of reading its answer: it costs that request, and nothing
//! else.

use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use fltport::{Response, Status};
use proto::pieces::ABORTED;
use proto::slots::WINDOW;
use testkit::raw::Raw;
use testkit::worker::Worker;
use testkit::{Host, LONG, until};

const MIB: usize = 1 << 20;

fn requests(host: &Host) -> u64 {
    host.port().usage(rustix::process::getuid().as_raw()).requests
}

#[test]
fn a_process_that_is_stopped_before_it_reads_its_answer_loses_the_answer_alone() {
    let (called, calls) = sync_channel(1);
    let go = Arc::new(Barrier::new(2));
    let gate = Arc::clone(&go);
    let answer = move |_: &fltport::Client, _: &[u8], output: &mut [u8]| {
        if output.len() == MIB {
            called.send(()).unwrap();
            gate.wait();
        }
        Response::from(output.len())
    };
    let host = Host::with(
        |filter| filter.on_message = Box::new(answer),
        |options| options.max_stall(Duration::from_millis(50)),
    );
    let (port, client) = host.pair();
    let mut other = Worker::with_handle(&host, "line", &port);
    other.say(&format!("send-for {MIB}"));
    calls.recv_timeout(LONG).expect("no request came");
    other.process().stop();
    go.wait();
    // the thread that served it is free, and no other client noticed
    until(|| requests(&host) == 0);
    assert_eq!(port.send(b"?", &mut vec![0; 2 * MIB]).unwrap(), 2 * MIB);
    other.process().go_on();
    assert_eq!(other.hear(), "error STATUS_TIMEOUT");
    assert_eq!(other.does(&format!("send-for {}", 2 * MIB)), (2 * MIB).to_string());
    assert!(client.is_connected());
}

#[test]
fn a_process_that_pauses_again_and_again_has_its_time_for_each_piece() {
    // long beside what a busy machine keeps this thread from running
    let pause = Duration::from_secs(2);
    let answer = |_: &fltport::Client, _: &[u8], output: &mut [u8]| Response::from(output.len());
    let host = Host::with(|filter| filter.on_message = Box::new(answer), |options| options.max_stall(pause));
    let raw = Raw::connect(&host.namespace());
    let pieces = 6;
    let posted = raw.post_send(b"?", 1, (pieces * WINDOW) as u64);
    assert_eq!(raw.completed(posted).written as usize, pieces * WINDOW);
    let (theirs, shared) = (&raw.host().slots[posted.slot], &raw.shared().slots[posted.slot]);
    for piece in 1..pieces as u32 {
        // all pieces together take longer than one may
        std::thread::park_timeout(pause / 4);
        shared.drained.store(piece, Ordering::Release);
        sys::futex::wake(&shared.drained, 1, sys::futex::ANY);
        until(|| theirs.filled.load(Ordering::Acquire) == piece + 1);
    }
    assert!(host.accepted().is_connected());
}

#[test]
fn a_request_that_stops_in_the_middle_ends_and_its_connection_does_not() {
    let answer = |_: &fltport::Client, input: &[u8], _: &mut [u8]| Response::from(input.len());
    let host = Host::with(
        |filter| filter.on_message = Box::new(answer),
        |options| options.max_stall(Duration::from_millis(50)),
    );
    let raw = Raw::connect(&host.namespace());
    let stops = raw.post_send(&[1; WINDOW], MIB as u64, 0);
    let completion = raw.completed(stops);
    assert_eq!((Status(completion.status), completion.len), (Status::TIMEOUT, 0));
    assert_ne!(raw.host().slots[stops.slot].filled.load(Ordering::Acquire), ABORTED);
    until(|| requests(&host) == 0);
    let goes_on = raw.post_send(b"four", 4, 0);
    let completion = raw.completed(goes_on);
    assert_eq!((Status(completion.status), completion.len), (Status::SUCCESS, 4));
    assert!(host.accepted().is_connected());
}
