//! Programs that a rule refuses, run in spite of it.

use serde_json::json;
use testkit::World;

use super::runs::{alone, printed, stage, supervised};

/// Every program below a folder `b`.
const RULE: &str = "--deny=**/b/**";

/// Runs programs of the stage under a rule: each is refused.
fn refused(rule: &str, names: &str) {
    let world = World::ordinary();
    let dir = stage(&world, "files", &["execs"]);
    for name in names.split_whitespace() {
        let ended = supervised(&world, &[rule], &["execs-direct", &dir, name]);
        let expected = json!({ "said": "", "code": libc::EACCES, "signal": null });
        assert_eq!(printed(&ended), expected, "{name}: {ended:?}");
    }
}

/// The programs run where no rule names them.
#[test]
fn every_program_runs_where_nothing_is_supervised() {
    const NAMES: &str = "b/prog s/b-script s/b-argument s/b-nested s/b-relative s/b-linked s/b-loaded";
    let world = World::ordinary();
    let dir = stage(&world, "files", &["execs"]);
    for name in NAMES.split_whitespace() {
        let ended = alone(&world, &["execs-direct", &dir, name]);
        assert_eq!(printed(&ended)["said"], "bB", "{name}: {ended:?}");
    }
}

#[test]
fn scripts_and_programs_with_other_interpreters_run() {
    const NAMES: &str = "a/prog s/a-script s/a-argument s/a-nested s/a-relative s/a-linked s/a-loaded";
    let world = World::ordinary();
    let dir = stage(&world, "files", &["execs"]);
    for name in NAMES.split_whitespace() {
        let ended = supervised(&world, &[RULE], &["execs-direct", &dir, name]);
        assert_eq!(printed(&ended)["said"], "aA", "{name}: {ended:?}");
    }
}

#[test]
fn a_program_is_refused_by_its_name() {
    refused(RULE, "b/prog");
}

#[test]
fn a_program_is_refused_by_its_content() {
    refused("--deny-content=NEEDLE", "a/needle");
}

/// Once something that is held shows which program it is, a program that must not run is not alive any more.
fn killed(ways: &str, share: u64) {
    let world = World::ordinary();
    let dir = stage(&world, "files", &["execs"]);
    let ways: Vec<&str> = ways.split_whitespace().collect();
    let each = (super::runs::tries() / ways.len() as u64 / share).to_string();
    for way in ways {
        let ended = supervised(&world, &[RULE], &["execs", way, &each, &dir]);
        let tally = super::runs::Tally::of(&ended);
        assert_eq!((tally.tries.to_string(), tally.through), (each.clone(), 0), "{way}: {ended:?}");
    }
}

#[test]
fn a_script_is_refused_by_its_interpreter() {
    refused(RULE, "s/b-script s/b-argument s/b-nested s/b-relative s/b-linked");
}

#[test]
fn a_script_is_refused_by_the_content_of_its_interpreter() {
    refused("--deny-content=NEEDLE", "s/needle-script");
}

#[test]
fn a_program_is_refused_by_its_loader() {
    refused(RULE, "s/b-loaded");
}

#[test]
fn a_program_that_cannot_be_read_is_a_miss() {
    refused("--deny-content=NEEDLE", "a/unreadable");
    let world = World::ordinary();
    let dir = stage(&world, "files", &["execs"]);
    let rules = ["--deny-content=NEEDLE", "--on-miss=allow"];
    let ended = supervised(&world, &rules, &["execs-direct", &dir, "a/unreadable"]);
    assert_eq!(printed(&ended)["said"], "aA", "{ended:?}");
}

#[test]
fn a_program_by_a_path_that_changes() {
    killed("path", 1);
}

#[test]
fn a_script_by_a_path_that_changes() {
    killed("script", 1);
}

#[test]
fn a_program_with_a_loader_by_a_path_that_changes() {
    killed("loaded", 1);
}

#[test]
fn a_program_by_a_link_that_changes() {
    killed("link", 1);
}

#[test]
fn a_script_whose_interpreter_is_a_link_that_changes() {
    killed("swapped", 1);
}

#[test]
fn a_program_whose_loader_is_a_link_that_changes() {
    killed("loader-swapped", 1);
}

#[test]
fn a_program_by_a_directory_or_descriptor_that_changes() {
    killed("directory descriptor cwd", 2);
}

/// It is killed when it shows itself, and that is said.
#[test]
fn a_program_that_was_not_the_judged_one_is_told_of() {
    let world = World::ordinary();
    let dir = stage(&world, "files", &["execs"]);
    let program = world.program("attacker");
    testkit::until(|| {
        let report = super::runs::path(&world, "report.jsonl");
        let mut command = world.fltmc();
        command.args(["run", RULE, "--report", &report, "--"]).arg(&program).args(["execs", "path", "200", &dir]);
        let ended = testkit::finish(&mut command);
        let number = |key: &str| printed(&ended)[key].as_u64().expect("a number");
        let (began, refused) = (number("began"), number("refused"));
        if began == 0 {
            return None;
        }
        let records = std::fs::read_to_string(&report).expect("the report");
        let denied = records.lines().filter(|line| line.contains("/b/prog") && line.contains("\"allowed\":false"));
        assert!(denied.count() as u64 >= refused + began, "{began} ran, {refused} were refused: {records}");
        assert!(ended.err.contains("/b/prog"), "{began} ran: {}", ended.err);
        Some(())
    });
}
