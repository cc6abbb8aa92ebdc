//! A host without descriptors for one more handle. In a process of its own: the limit is the process's.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use proto::wire::{FromClient, FromHost, MAX_MESSAGE_LEN};
use sys::socket::Socket;
use testkit::raw::Raw;
use testkit::{Host, apart};

/// Longer than a host takes to answer.
const PATIENCE: Duration = Duration::from_millis(500);

#[test]
fn a_handle_that_the_host_has_no_descriptor_for_costs_the_connection_nothing() {
    apart(|| {
        let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        limit.current = Some(200);
        rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
        let host = Host::new();
        let client = Raw::connect(&host.namespace());
        let filter = host.accepted();
        let duplicate = FromClient::Duplicate { in_use: true }.encode();
        let mut packet = vec![0; MAX_MESSAGE_LEN];
        let mut all = Vec::new();
        // again when something of the library's has been closed meanwhile, and left its place to this
        for tries in 0.. {
            let (lost, theirs) = Socket::pair().unwrap();
            all.extend(std::iter::from_fn(|| File::open("/dev/null").ok()));
            client.socket.send(&duplicate, &[theirs.as_fd()]).unwrap();
            // not closed before the host has tried: that would make room
            if lost.recv_deadline(&mut packet, Instant::now() + PATIENCE).is_err() {
                drop(theirs);
                // the host's is closed, by which its owner sees that it was not taken
                if lost.recv(&mut packet).unwrap().len == 0 {
                    break;
                }
            }
            assert!(tries < 10, "the host always has a descriptor");
            // makes room for the next pair
            all.truncate(all.len() - 2);
        }
        drop(all);
        let (ours, theirs) = Socket::pair().unwrap();
        client.socket.send(&duplicate, &[theirs.as_fd()]).unwrap();
        drop(theirs);
        let received = ours.recv(&mut packet).unwrap();
        let answer = FromHost::parse(&packet[..received.len]);
        assert!(matches!(answer, Ok(FromHost::Welcome { holder: Some(_), .. })), "{answer:?}");
        assert!(filter.is_connected());
        assert!(host.port().violations().iter().all(|&(_, count)| count == 0));
    });
}
