//! A host without descriptors for one more handle. In a process of its own: the limit is the process's.

use std::fs::File;

use fltport::Status;
use proto::wire::{FromClient, FromHost};
use testkit::raw::{Raw, another, asks};
use testkit::{Host, apart};

#[test]
fn a_handle_that_the_host_has_no_descriptor_for_costs_the_connection_nothing() {
    apart(|| {
        let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        limit.current = Some(200);
        rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
        let host = Host::new();
        let client = Raw::connect(&host.namespace());
        let filter = host.accepted();
        for left in 0..3 {
            let mut all: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
            all.truncate(all.len() - left);
            let answer = asks(&client.socket, &FromClient::Duplicate);
            let FromHost::Refused(refused) = answer else { panic!("{left} left: {answer:?}") };
            assert_eq!(refused.status(), Status::INSUFFICIENT_RESOURCES, "{}", refused.sentence());
        }
        let handle = another(&client.socket);
        assert_eq!(asks(&handle, &FromClient::Use), FromHost::Confirm);
        assert!(matches!(asks(&handle, &FromClient::Use), FromHost::Welcome { holder: Some(_), .. }));
        assert!(filter.is_connected());
        assert!(host.port().violations().iter().all(|&(_, count)| count == 0));
    });
}
