//! What the system does, with processes and a file system of their own.

mod fanotify;
mod proxy;
mod socket;

/// Not a test of its own: what the other processes of the tests do.
#[test]
fn other_process() {
    let Some(role) = testkit::role() else { return };
    match role.name.as_str() {
        "connect" => socket::connect(&role),
        "proxy" => proxy::host(),
        "inside" => fanotify::inside(&role),
        other => panic!("no role {other}"),
    }
}
