//! Clients that knock without end, and say nothing: nobody else is kept waiting by them.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use common::{LONG, PORT, World, echoes, eventually, other, watchdog};
use fltport::namespace::Namespace;
use fltport::{Connection, PortName};

/// Calls `with` while several knock at the port as fast as they can.
fn while_they_knock<T>(namespace: &Namespace, with: impl FnOnce() -> T) -> T {
    watchdog();
    let name = PortName::parse(PORT).unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    // it may be closed at this moment
                    drop(namespace.find(&name));
                }
            });
        }
        let done = catch_unwind(AssertUnwindSafe(with));
        over.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|panic| resume_unwind(panic))
    })
}

#[test]
fn another_port_of_the_same_host_is_served() {
    let world = World::new();
    let _other = world.beside(r"\Other", echoes, |options| options).unwrap();
    let namespace = world.namespace();
    while_they_knock(&namespace, || {
        let start = Instant::now();
        for round in 0..50 {
            let options = Connection::options().namespace(namespace.clone()).timeout(LONG);
            let port = options.connect(r"\Other", b"").unwrap();
            let mut output = [0; 2];
            assert_eq!(port.send(b"me", &mut output).unwrap(), 2);
            port.close();
            assert!(start.elapsed() < LONG, "{round} in {:?}", start.elapsed());
        }
    });
}

/// Its name is free when the close has returned, whatever the host does with clients at that moment.
#[test]
fn a_port_that_closes_leaves_its_name_to_the_next() {
    let mut world = World::new();
    let namespace = world.namespace();
    while_they_knock(&namespace, || {
        for round in 0..50 {
            let port = world.port.take().unwrap();
            eventually(|| port.usage(other::me()).half_open != 0);
            port.close();
            world = world.beside(PORT, |_| {}, |options| options).unwrap_or_else(|error| panic!("{round}: {error}"));
        }
    });
}
