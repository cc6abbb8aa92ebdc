//! Who may use a handle: whoever has it. Who may connect is asked once, when somebody does.

mod common;

use std::thread;

use common::talk::ask;
use common::worker::Worker;
use common::{World, skip};
use fltport::{Answer, Client, SecurityDescriptor};

/// The other process of the test here.
#[test]
#[ignore = "only the other tests start this"]
fn worker() {
    common::worker::work();
}

#[test]
fn a_process_that_may_not_connect_may_use_a_handle_that_it_was_given() {
    if !rustix::process::geteuid().is_root() {
        return skip::privileged("only root can become another user");
    }
    let security: SecurityDescriptor = "D:(A;;0x1f0001;;;BA)".parse().unwrap();
    let echo = |_: &Client, input: &[u8], output: &mut [u8]| {
        output[..input.len()].copy_from_slice(input);
        Answer::from(input.len())
    };
    let world = World::with(|filter| filter.on_message = Box::new(echo), |options| options.security(security));
    let (port, filter) = world.pair();
    world.next();
    let mut worker = Worker::start_as_nobody(&world, "worker");
    assert_eq!(worker.does(&format!("connect {}", world.dir.path().display())), "error STATUS_ACCESS_DENIED");
    worker.say("take");
    port.give(worker.line.get_ref()).unwrap();
    assert_eq!(worker.hear(), "ok");
    // it alone has a handle now
    port.close();
    world.nothing_more();
    assert_eq!(worker.does("send allowed"), "allowed");
    worker.say("receive");
    thread::scope(|scope| {
        let asked = scope.spawn(|| ask(&filter, b"who?").unwrap());
        assert_eq!(worker.hear(), "1 who?");
        assert_eq!(worker.does("reply 1 nobody"), "ok");
        assert_eq!(asked.join().unwrap(), b"nobody");
    });
    assert_eq!(filter.peer().uid, 0, "who connected, not who uses it");
    worker.kill();
    world.ended();
}
