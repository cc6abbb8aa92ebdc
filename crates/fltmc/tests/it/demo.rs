//! `fltmc demo`: the main job, as root and as an ordinary user.

use std::os::unix::process::CommandExt as _;

use testkit::{World, finish};

use crate::{ordinary, world};
use rustix::process::{Pid, Signal};

fn succeeds(world: &World) {
    let ended = finish(world.fltmc().arg("demo"));
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    for wanted in ["denied", "allowed", "p50", "p99", "invoice.txt", "letter.txt"] {
        assert!(ended.out.contains(wanted), "no {wanted:?} in:\n{}", ended.out);
    }
}

#[test]
fn infected_files_are_refused_and_clean_ones_arrive() {
    succeeds(&world());
}

#[test]
fn no_rights_are_needed() {
    succeeds(&ordinary());
}

#[test]
fn each_line_of_json_is_an_operation_and_the_last_the_summary() {
    let world = ordinary();
    let ended = finish(world.fltmc().args(["demo", "--json"]));
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    let lines: Vec<serde_json::Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (summary, operations) = lines.split_last().unwrap();
    let shown = |allowed: bool| operations.iter().filter(|op| op["allowed"] == allowed).count() as u64;
    assert_eq!(summary["clean_allowed"].as_u64(), Some(shown(true)));
    assert_eq!(summary["infected_denied"].as_u64(), Some(shown(false)));
    assert!(shown(true) >= 15 && shown(false) >= 10, "{summary}");
    assert!(operations.iter().all(|op| op["by"] == "application"), "each was the application's answer");
    assert_eq!(summary["wrong"].as_array().map(Vec::len), Some(0));
}

#[test]
fn nothing_is_left_in_the_temporary_folder() {
    let world = ordinary();
    let temporary = world.dir().join("tmp");
    finish(world.command("mkdir").arg(&temporary));
    let ended = finish(world.fltmc().arg("demo").env("TMPDIR", &temporary));
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
}

#[test]
fn a_demo_that_is_ended_leaves_nothing_either() {
    for signal in [Signal::INT, Signal::TERM] {
        let world = ordinary();
        let temporary = world.dir().join("tmp");
        finish(world.command("mkdir").arg(&temporary));
        let mut demo = world.spawn(world.fltmc().arg("demo").env("TMPDIR", &temporary).process_group(0));
        demo.says("WHO");
        // To every process in the foreground, as a terminal sends it.
        rustix::process::kill_process_group(Pid::from_raw(demo.pid() as i32).unwrap(), signal).unwrap();
        assert_eq!(demo.end(), 128 + signal.as_raw());
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    }
}
