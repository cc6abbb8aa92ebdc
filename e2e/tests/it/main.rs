//! What needs processes or rights: the ends of processes, load, hostile and exhausted ones, attacks on the tool, files
//! that change under it, the examples.

mod attack;
mod c;
mod ends;
mod examples;
mod exhaustion;
mod hostile;
mod kill;
mod load;
mod map;
mod moments;
mod namespace_fork;
mod objects;
mod python;
mod states;
mod watch_changes;
mod watch_waits;

/// Not a test of its own: what the other processes of the tests do.
#[test]
fn other_process() {
    let Some(role) = testkit::role() else { return };
    match role.name.as_str() {
        "exhaustion" => exhaustion::play(&role),
        "kill" => kill::play(&role),
        "load" => load::play(&role),
        "moments" => moments::play(&role),
        "objects" => objects::play(&role),
        "states" => states::play(&role),
        "watch_changes" => watch_changes::play(&role),
        "watch_waits" => watch_waits::play(&role),
        other => panic!("no role {other}"),
    }
}
