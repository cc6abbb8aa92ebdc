//! Handles that children inherit. A child of one test would inherit those of another too: one test at a time.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use common::talk::echo;
use common::worker::{Worker, listen, until_handles_are};
use common::{LONG, World};
use fltport::{Client, Connection, Timeout};

/// The other process of the tests here.
#[test]
#[ignore = "only the other tests start this"]
fn worker() {
    common::worker::work();
}

fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn inheritable(world: &World) -> Connection {
    Connection::options().namespace(world.namespace()).inheritable(true).connect(common::PORT, b"").unwrap()
}

#[test]
fn row_036_a_handle_that_a_child_inherited_outlives_its_parent() {
    let _alone = alone();
    let world = echo();
    let later = listen(world.dir.path(), "child");
    let mut parent = Worker::start(&world, "parent");
    let number = parent.does(&format!("connect {}", world.dir.path().display()));
    let filter = world.accepted();
    parent.does(&format!("start {}", world.dir.path().join("child").display()));
    let mut child = Worker::on(&later);
    assert_eq!(child.does(&format!("inherited {number}")), number.to_string(), "and is inherited further");
    parent.kill();
    until_handles_are(&world, 1);
    assert_eq!(child.does("send still here"), "still here");
    assert_eq!(world.asked_by().pid().to_string(), child.does("pid"));
    child.say("receive");
    filter.send(b"to the child", Timeout::After(LONG)).unwrap();
    assert_eq!(child.hear(), "0 to the child");
    world.nothing_more();
    assert_eq!(child.does("close"), "ok");
    world.ended();
}

#[test]
fn a_child_that_has_not_opened_what_it_inherited_keeps_the_connection() {
    let _alone = alone();
    let world = echo();
    let port = inheritable(&world);
    world.next();
    let number = port.inheritable().unwrap();
    let mut child = Worker::start(&world, "child");
    // the connection goes on, so there is nothing to wait for
    port.close();
    world.nothing_more();
    assert_eq!(child.does(&format!("inherited {number}")), number.to_string(), "and is inherited further");
    assert_eq!(child.does("send still here"), "still here");
    child.kill();
    world.ended();
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
    let world = World::with(|filter| filter.on_disconnect = Box::new(on_disconnect), |options| options);
    inheritable(&world).close();
    assert!(called.load(Ordering::SeqCst));
}

#[test]
fn nothing_of_a_connection_is_inherited_unless_asked_for() {
    let _alone = alone();
    let world = World::new();
    let without = Worker::start(&world, "before").does("descriptors");
    let port = world.connect();
    let handle = port.duplicate().unwrap();
    assert_eq!(port.inheritable(), None);
    let mut child = Worker::start(&world, "child");
    assert_eq!(child.does("descriptors"), without);
    let port = Connection::from_handle(handle).unwrap();
    assert_eq!(port.inheritable(), None);
    assert_eq!(Worker::start(&world, "after").does("descriptors"), without);
}
