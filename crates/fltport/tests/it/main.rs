//! The tests of ports: both ends in this process and in others, by the library's own calls and by hand.

mod callbacks;
mod clients;
mod close;
mod completions;
mod connect;
mod create;
mod from_within;
mod full_queue;
mod futures;
mod handles;
mod handles_exhausted;
mod handles_given;
mod handles_leaving;
mod host_by_hand;
mod inherited;
mod late;
mod long;
mod message;
mod names;
mod namespace;
mod order;
mod pollable;
mod question;
mod quotas;
mod receive;
mod reply;
mod request;
mod restless;
mod samples;
mod several;
mod shares;
mod silent_clients;
mod slots;
mod stopped;
mod stopped_requests;
mod timeout;
mod unlisted;
mod unload;
mod violations;
mod windows_document;

use testkit::{other_user, worker};

/// Not a test of its own: what the other processes of the tests do.
#[test]
fn other_process() {
    let Some(role) = testkit::role() else { return };
    match role.name.as_str() {
        "worker" => worker::work(&role),
        "other_user" => other_user::play(&role),
        "namespace" => namespace::play(&role),
        other => panic!("no role {other}"),
    }
}
