//! What cannot be set up from outside: handles of a connection that stands.

use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use proto::status::Status;
use proto::wire::MAX_SMALL_MESSAGE_LEN;
use sys::monitor::{Interest, Monitor, Watch};
use sys::socket::{Listener, Socket};

use super::accept::{Acceptor, Listening};
use super::listener;
use super::served::Served;
use super::*;
use crate::namespace::Namespace;
use crate::{Connection, SecurityDescriptor};

struct Nothing;

impl Serve for Nothing {
    type Session = ();
    fn connect(&self, _: &Client, _: &[u8]) -> Result<(), Status> {
        Ok(())
    }
}

struct Deaf;

impl Watch for Deaf {
    fn hangup(&self) {}
}

/// A connection's end at its host.
fn served(dir: &Path) -> (Arc<Acceptor<Nothing>>, Connection, Arc<Served<Nothing>>) {
    let namespace = Namespace::at(dir);
    let options = PortOptions::default().security(SecurityDescriptor::null_dacl()).namespace(namespace.clone());
    let acceptor = listener::listen(r"\Port", options, Nothing).unwrap();
    let connection = Connection::options().namespace(namespace).connect(r"\Port", b"").unwrap();
    let served = acceptor.port.connections().pop().expect("a connection");
    (acceptor, connection, served)
}

/// A process that was welcomed would use its number, which is another's next.
#[test]
fn who_cannot_be_watched_is_not_welcomed() {
    let dir = tempfile::tempdir().unwrap();
    let (acceptor, _connection, served) = served(dir.path());
    let (ours, theirs) = Socket::pair().unwrap();
    let ours = Arc::new(ours);
    // the kernel refuses to watch a socket twice
    let monitor = Monitor::of_this_process().unwrap();
    let _watching = monitor.watch(Arc::clone(&ours) as _, Interest::Hangup, None, Arc::new(Deaf)).unwrap();
    let refused = served.accept_handle(&ours, true).unwrap_err();
    assert_eq!(refused.status(), Status::INSUFFICIENT_RESOURCES);
    assert_eq!(theirs.try_recv(&mut [0; MAX_SMALL_MESSAGE_LEN]).unwrap_err().kind(), ErrorKind::WouldBlock);
    acceptor.unload();
}

/// It has something to accept, and nothing that could be read, for ever: the monitor would have no rest.
#[test]
fn a_socket_that_began_to_listen_since_it_was_looked_at_ends_its_connection() {
    let dir = tempfile::tempdir().unwrap();
    let (acceptor, _connection, served) = served(dir.path());
    let trap = std::fs::File::open(dir.path()).unwrap();
    let listener = Listener::bind(trap.as_fd(), "trap").unwrap();
    let _client = Socket::connect(trap.as_fd(), "trap", Duration::from_secs(20)).unwrap();
    let listens = Arc::new(Socket::from(listener.as_fd().try_clone_to_owned().unwrap()));
    served.accept_handle(&listens, false).unwrap();
    let start = Instant::now();
    while acceptor.violations() != [("not-a-socket", 1)] {
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", acceptor.violations());
        std::thread::park_timeout(Duration::from_micros(100));
    }
    acceptor.unload();
}
