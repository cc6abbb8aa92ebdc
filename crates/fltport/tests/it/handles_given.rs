//! A process may use any handle that it has. Whether it may connect is asked once, when it does.

use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;

use fltport::{Client, Response, SecurityDescriptor, Status};
use testkit::raw::Raw;
use testkit::talk::{self, ask};
use testkit::worker::Worker;
use testkit::{Host, skip, until};

/// What the kernel says of a descriptor of a process.
fn process_of(pidfd: &OwnedFd) -> String {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap();
    info.lines().find_map(|line| line.strip_prefix("Pid:\t")).unwrap().to_owned()
}

#[test]
fn a_request_names_the_process_that_made_it_whichever_handle_it_has() {
    let host = talk::echo();
    let (port, filter) = host.pair();
    let me = std::process::id();
    let connected = |filter: &Client| filter.processes().iter().map(fltport::Process::pid).collect::<Vec<_>>();
    port.send(b"me", &mut [0; 2]).unwrap();
    assert_eq!((host.asked_by().pid(), connected(&filter)), (me, vec![me]));
    let mut given = Worker::with_handle(&host, "given", &port);
    assert_eq!(given.does("send it"), "it");
    let from = host.asked_by();
    assert_eq!(from.pid(), given.process().pid());
    assert_eq!(process_of(&from.pidfd().unwrap()), given.process().pid().to_string());
    assert_eq!(from.credentials(), host.asked_by().credentials());
    assert_eq!(connected(&filter), [me, given.process().pid()]);
    port.send(b"me", &mut [0; 2]).unwrap();
    assert_eq!(host.asked_by().pid(), me, "each request its own");
    // which never means another process, and is not given any more when that has ended
    let pidfd = from.pidfd().unwrap();
    given.kill();
    until(|| connected(&filter) == [me]);
    until(|| from.pidfd().is_none());
    assert_eq!(process_of(&pidfd), "-1");
    assert_eq!(filter.peer().pid, me);
}

/// A process that shares the memory may write any number beside its request. One that no process has is answered
/// without the filter.
#[test]
fn a_request_of_no_process_is_refused() {
    let host = talk::echo();
    let raw = Raw::connect(&host.namespace());
    for unused in [0, 2, 15, 16, u32::MAX] {
        assert_eq!(raw.send_as(unused, b"who am I"), Status::PORT_DISCONNECTED, "{unused}");
    }
    assert_eq!(raw.send_as(1, b"the first"), Status::SUCCESS);
    assert_eq!(host.asked_by().pid(), std::process::id());
}

#[test]
fn a_process_that_may_not_connect_may_use_a_handle_that_it_was_given() {
    if !rustix::process::geteuid().is_root() {
        return skip::privileged("only root can become another user");
    }
    let security: SecurityDescriptor = "D:(A;;0x1f0001;;;BA)".parse().unwrap();
    let echo = |_: &Client, input: &[u8], output: &mut [u8]| {
        output[..input.len()].copy_from_slice(input);
        Response::from(input.len())
    };
    let host = Host::with(|filter| filter.on_message = Box::new(echo), |options| options.security(security));
    let (port, filter) = host.pair();
    host.next();
    let mut worker = Worker::start_as_nobody(&host, "worker");
    assert_eq!(worker.does(&format!("connect {}", host.namespace_dir().display())), "error STATUS_ACCESS_DENIED");
    worker.say("take");
    port.give(worker.line.get_ref()).unwrap();
    assert_eq!(worker.hear(), "ok");
    // it alone has a handle now
    port.close();
    host.nothing_more();
    assert_eq!(worker.does("send allowed"), "allowed");
    let from = host.asked_by();
    assert_eq!(
        (from.pid(), from.credentials().uid),
        (worker.process().pid(), 65_534),
        "the one that uses it, not the one that connected"
    );
    worker.say("receive");
    thread::scope(|scope| {
        let asked = scope.spawn(|| ask(&filter, b"who?").unwrap());
        assert_eq!(worker.hear(), "1 who?");
        assert_eq!(worker.does("reply 1 nobody"), "ok");
        assert_eq!(asked.join().unwrap(), b"nobody");
    });
    assert_eq!(filter.peer().uid, 0, "the process that connected, not the one that uses it");
    worker.kill();
    host.ended();
}
