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
