//! Handles that children inherit. A child of one test would inherit those of another too: one test at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use fltport::{Client, Connection, Timeout};
use testkit::talk::echo;
use testkit::worker::{Worker, listen};
use testkit::{Host, LONG, until};

fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn inheritable(host: &Host) -> Connection {
    Connection::options().namespace(host.namespace()).inheritable(true).connect(testkit::PORT, b"").unwrap()
}

#[test]
fn row_036_a_handle_that_a_child_inherited_outlives_its_parent() {
    let _alone = alone();
    let host = echo();
    let later = listen(host.dir(), "child");
    let mut parent = Worker::start(&host, "parent");
    let number = parent.does(&format!("connect {}", host.namespace_dir().display()));
    let filter = host.accepted();
    parent.does(&format!("start {}", host.dir().join("child").display()));
    let mut child = Worker::on(&later);
    assert_eq!(child.does(&format!("inherited {number}")), number.to_string(), "and is inherited further");
    parent.kill();
    until(|| filter.processes().len() == 1);
    assert_eq!(child.does("send still here"), "still here");
    assert_eq!(host.asked_by().pid().to_string(), child.does("pid"));
    child.say("receive");
    filter.send(b"to the child", Timeout::After(LONG)).unwrap();
    assert_eq!(child.hear(), "0 to the child");
    host.nothing_more();
    assert_eq!(child.does("close"), "ok");
    host.ended();
}

#[test]
fn a_child_that_has_not_opened_what_it_inherited_keeps_the_connection() {
    let _alone = alone();
    let host = echo();
    let port = inheritable(&host);
    host.next();
    let number = port.inheritable().unwrap();
    let mut child = Worker::start(&host, "child");
    // the connection goes on, so there is nothing to wait for
    port.close();
    host.nothing_more();
    assert_eq!(child.does(&format!("inherited {number}")), number.to_string(), "and is inherited further");
    assert_eq!(child.does("send still here"), "still here");
    child.kill();
    host.ended();
}

#[test]
fn closing_the_last_inheritable_handle_returns_after_the_disconnect_callback() {
    let _alone = alone();
    let called = std::sync::Arc::new(AtomicBool::new(false));
    let seen = std::sync::Arc::clone(&called);
    let on_disconnect = move |_: &Client| {
        thread::park_timeout(Duration::from_millis(20));
        seen.store(true, Ordering::SeqCst);
    };
    let host = Host::with(|filter| filter.on_disconnect = Box::new(on_disconnect), |options| options);
    inheritable(&host).close();
    assert!(called.load(Ordering::SeqCst));
}

#[test]
fn nothing_of_a_connection_is_inherited_unless_asked_for() {
    let _alone = alone();
    let host = Host::new();
    let without = Worker::start(&host, "before").does("descriptors");
    let port = host.connect();
    let handle = port.duplicate().unwrap();
    assert_eq!(port.inheritable(), None);
    let mut child = Worker::start(&host, "child");
    assert_eq!(child.does("descriptors"), without);
    let port = Connection::from_handle(handle).unwrap();
    assert_eq!(port.inheritable(), None);
    assert_eq!(Worker::start(&host, "after").does("descriptors"), without);
}
