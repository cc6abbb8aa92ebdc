//! Clients that connect without end, and say nothing: no other client waits for them.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use fltport::namespace::Namespace;
use fltport::{Connection, PortName};
use testkit::{Host, LONG, PORT, echoes, uid, until};

/// Calls `with` while several connect to the port as fast as they can.
fn while_they_connect<T>(namespace: &Namespace, with: impl FnOnce() -> T) -> T {
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
    let host = Host::new();
    let _other = host.beside(r"\Other", echoes, |options| options).unwrap();
    let namespace = host.namespace();
    while_they_connect(&namespace, || {
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
    let mut host = Host::new();
    let namespace = host.namespace();
    while_they_connect(&namespace, || {
        for round in 0..50 {
            let port = host.port.take().unwrap();
            until(|| port.usage(uid()).half_open != 0);
            port.close();
            host = host.beside(PORT, |_| {}, |options| options).unwrap_or_else(|error| panic!("{round}: {error}"));
        }
    });
}
