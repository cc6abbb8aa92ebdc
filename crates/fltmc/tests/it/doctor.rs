//! `fltmc doctor`: what it says is so, and its exit code is for scripts.

use testkit::finish;

use crate::{ordinary, world};

#[test]
fn every_line_of_json_is_a_check_and_the_core_works_here() {
    let world = ordinary();
    let ended = finish(world.fltmc().args(["doctor", "--json"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let checks: Vec<serde_json::Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let state = |name: &str| {
        let check = checks.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("no check {name}"));
        check["state"].as_str().unwrap().to_owned()
    };
    for needed in ["kernel", "seccomp notification", "ADDFD with SEND", "memfd seals", "namespace"] {
        assert_eq!(state(needed), "ok", "{needed}");
    }
    for check in &checks {
        assert!(!check["found"].as_str().unwrap().is_empty() && !check["meaning"].as_str().unwrap().is_empty());
    }
    // An ordinary user has no permission events, whatever the kernel.
    let ordinary = finish(world.command("id").arg("-u")).out.trim() != "0";
    assert!(ordinary, "the world's user is an ordinary one");
    assert_eq!(state("fanotify permission class"), "missing");
    assert!(ended.out.contains("\"root\":"), "says what root would add");
}

#[test]
fn a_namespace_that_cannot_be_used_has_its_own_code() {
    let world = ordinary();
    let ended = finish(world.fltmc().arg("doctor").env("FLTMGR_NAMESPACE", "/nowhere/at/all"));
    assert_eq!(ended.code, Some(14), "{ended:?}");
    assert!(ended.err.contains("/nowhere/at/all") && ended.err.contains("FLTMGR_NAMESPACE"), "{}", ended.err);
    assert_eq!(ended.err.lines().count(), 1, "one sentence: {}", ended.err);
}

#[test]
fn colour_only_where_somebody_sees_it() {
    let world = world();
    let piped = finish(world.fltmc().arg("doctor"));
    assert!(!piped.out.contains('\x1b'), "a pipe gets plain text");
    let forced = finish(world.fltmc().arg("doctor").env("CLICOLOR_FORCE", "1"));
    assert!(forced.out.contains('\x1b'));
    let forbidden = finish(world.fltmc().arg("doctor").env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1"));
    assert!(!forbidden.out.contains('\x1b'), "NO_COLOR wins");
}
