//! A host that accepts no connection, of whose queue all places are taken.

use std::time::Duration;

use fltport::namespace::Namespace;
use fltport::{Connection, Status};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use testkit::{PORT, World};

/// The kernel keeps a connect waiting for a place, as the host keeps one waiting for its answer.
#[test]
fn a_connect_that_waits_for_a_place_ends_in_its_time() {
    let world = World::new();
    let file = world.dir().join(&PORT[1..]);
    let listener = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    rustix::net::bind(&listener, &SocketAddrUnix::new(&file).unwrap()).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let options = Connection::options().namespace(Namespace::at(world.dir()));
    // one has the place, and waits for an answer; the next for the place
    for _ in 0..2 {
        let error = options.clone().timeout(Duration::from_millis(100)).connect(PORT, b"").map(drop).unwrap_err();
        assert_eq!(error.status(), Status::TIMEOUT, "{error}");
    }
}
