//! Opens that hang beside others: on a file system that does not answer, or by a path in memory that does not come.

use serde_json::Value;
use testkit::{World, finish, is_root, skip, slack};

use super::runs::{path, printed};

/// The filters' deadline, in milliseconds.
const DEADLINE: u64 = 1_000;

fn slack_ms() -> u64 {
    u64::try_from(slack().as_millis()).expect("some seconds")
}

/// Opens `hung` on so many threads of a supervised program, and 50 times a file that is like any other. A file system in
/// which the former is does not answer one kind of request.
fn beside(never: &str, rule: &str, hung: &str, threads: u32) -> Option<Value> {
    // what is allowed may hang for good, and is not waited for
    let grace = if ["open", "flush"].contains(&never) { 0 } else { DEADLINE + 2 * slack_ms() };
    if !is_root() {
        skip::privileged("a file system of a test's own");
        return None;
    }
    let world = World::new();
    world.file("file", "");
    let place = path(&world, "mount");
    std::fs::create_dir(&place).expect("a folder");
    let mut command = world.command(world.program("attacker"));
    command.args(["fuse", never, &place]).arg(world.tool()).args(["run", "-q", rule]);
    command.args([&format!("--deadline={DEADLINE}"), "--"]).arg(world.program("attacker"));
    let ended = finish(command.args(["beside", hung, &grace.to_string(), &threads.to_string(), "file", "50"]));
    Some(printed(&ended))
}

const NAMES: &str = "--deny=**/nothing";

/// All of the other opens are done, and in time.
fn others_go_on(said: &Value) {
    assert_eq!(said["opened"], 50, "{said}");
    assert!(said["p99_ms"].as_u64().expect("a number") <= DEADLINE + slack_ms(), "{said}");
}

#[test]
fn nothing_hangs_where_the_file_system_answers() {
    if let Some(said) = beside("nothing", NAMES, "mount/file", 4) {
        others_go_on(&said);
        let hung = said["hung"].as_array().expect("a list");
        assert!(hung.len() == 4 && hung.iter().all(|one| one[0] == 0), "{said}");
    }
}

#[test]
fn an_open_that_hangs_holds_nothing_else() {
    if let Some(said) = beside("open", NAMES, "mount/file", 16) {
        others_go_on(&said);
    }
}

#[test]
fn a_close_that_hangs_holds_nothing_else() {
    if let Some(said) = beside("flush", NAMES, "mount/file", 16) {
        others_go_on(&said);
    }
}

/// What hangs ends at its deadline, with an error, and the others do not wait for it.
fn ends_in_time(said: &Value, threads: usize) {
    others_go_on(said);
    let hung = said["hung"].as_array().expect("a list");
    assert_eq!(hung.len(), threads, "{said}");
    let in_time = |one: &Value| one[0] != 0 && one[1].as_u64().is_some_and(|took| took <= DEADLINE + slack_ms());
    assert!(hung.iter().all(in_time), "{said}");
}

/// Neither the scanner nor what waits for it is held by one file.
#[test]
fn a_scan_that_hangs() {
    if let Some(said) = beside("read", "--deny-content=NEEDLE", "mount/file", 4) {
        ends_in_time(&said, 4);
    }
}

#[test]
fn many_scans_that_hang() {
    if let Some(said) = beside("read", "--deny-content=NEEDLE", "mount/file", 100) {
        ends_in_time(&said, 100);
    }
}
