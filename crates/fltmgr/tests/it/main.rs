//! The tests of the filter manager: its promises on made-up operations, the built-in filter, and the sources on real ones.

mod filters;
mod guard;
mod rule;
mod scanner;
mod sources;
mod supervise;

/// Not a test of its own: what the other processes of the tests do.
#[test]
fn other_process() {
    let Some(role) = testkit::role() else { return };
    match role.name.as_str() {
        "worker" => testkit::worker::work(&role),
        "inside" => sources::inside(&role),
        "inside_a_pid_namespace" => sources::inside_a_pid_namespace(&role),
        "burst" => sources::burst(&role),
        "program" => supervise::play(&role),
        other => panic!("no role {other}"),
    }
}
