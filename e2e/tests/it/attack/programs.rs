//! Programs that are not like others: what they lose under supervision is said, and they do not outlive it.

use testkit::World;

use super::runs::{printed, supervised};

const RULE: &str = "--deny=/nowhere";

/// Their numbers mean other calls.
#[cfg(target_arch = "x86_64")]
#[test]
fn calls_of_32_bit_programs_are_refused() {
    let ended = supervised(&World::ordinary(), &[RULE], &["old-call"]);
    assert_eq!(printed(&ended), libc::ENOSYS, "{ended:?}");
}

#[test]
fn root_may_close_its_memory() {
    if !testkit::is_root() {
        return testkit::skip::privileged("a program of root");
    }
    let world = World::new();
    let file = world.file("file", "");
    let ended = supervised(&world, &[RULE], &["open", file.to_str().expect("text"), "25", "undumpable"]);
    assert_eq!(printed(&ended)["harmless"], 25, "{ended:?}");
}

#[test]
fn many_threads_open_at_once() {
    let world = World::ordinary();
    let file = world.file("file", "");
    let ended = supervised(&world, &[RULE], &["crowd", file.to_str().expect("text"), "10000"]);
    assert_eq!(printed(&ended)["harmless"], 10_000, "{ended:?}");
}

/// A line on stderr says how many calls it lost, and so does the summary.
#[test]
fn a_program_that_closes_its_memory_is_told_of() {
    let world = World::ordinary();
    let file = world.file("file", "");
    let mut command = world.fltmc();
    command.args(["run", RULE, "--"]).arg(world.program("attacker"));
    let ended = testkit::finish(command.args(["open", file.to_str().expect("text"), "25", "undumpable"]));
    assert_eq!(printed(&ended)["refused"], 25, "{ended:?}");
    let lines = ended.err.lines().filter(|line| line.contains("memory"));
    let lines: Vec<&str> = lines.collect();
    assert!(lines.iter().any(|line| line.contains("attacker")), "the program is named: {}", ended.err);
    assert!(lines.iter().any(|line| line.contains("25")), "its calls are counted: {}", ended.err);
}

/// It is refused with a sentence before it runs, and not ended by a fault.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_32_bit_program_is_refused_at_its_start() {
    let world = World::ordinary();
    let dir = super::runs::stage(&world, "files", &["execs"]);
    let mut command = world.fltmc();
    let inside = testkit::finish(command.args(["run", RULE, "--"]).arg(world.program("attacker")).args([
        "execs-direct",
        &dir,
        "a/old",
    ]));
    let said = printed(&inside);
    assert!(said["signal"].is_null() && said["code"] != 7 && said["code"] != 0, "{said}");
    assert!(inside.err.contains("32-bit"), "{}", inside.err);
    let first = testkit::finish(world.fltmc().args(["run", "-q", RULE, "--", &format!("{dir}/a/old")]));
    assert!(first.code == Some(126) && first.err.contains("32-bit"), "{first:?}");
}

/// What the command leaves running is ended, or that is said.
#[test]
fn chains_of_processes_do_not_outlive_the_run() {
    let world = World::ordinary();
    let ended = supervised(&world, &[RULE], &["chains", "20", "3", "4000"]);
    let said = ended.code != Some(0) && !ended.err.is_empty();
    assert!(said || !ended.out.contains("lived"), "{ended:?}");
}
