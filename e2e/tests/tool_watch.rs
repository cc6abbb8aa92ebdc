//! `fltmc watch`: rules for every process on a file system. Needs root.
//!
//! The file system is a tmpfs in a mount namespace of its own, so that a listener that hangs holds up nobody else;
//! `timeout` ends the listener and every program that opens a file there.

use e2e::{Ended, Process, World, finish, until};
use rustix::process::Signal;

/// A world with a watched tmpfs at `fs`, of which only `fs/in` is under the rules.
fn watch<'w>(world: &'w World, rules: &[&str]) -> Option<Process<'w>> {
    let doctor = finish(world.fltmc().args(["doctor", "--json"]));
    let line = doctor.out.lines().find(|line| line.contains("fanotify permission class")).expect("a check");
    if line.contains("missing") {
        e2e::skip_privileged(format_args!("fanotify permission events: {line}"));
        return None;
    }
    std::fs::create_dir(world.dir().join("fs")).unwrap();
    let script = "mount -t tmpfs tmpfs fs && mkdir fs/in fs/out && \
                  echo fine | tee fs/in/good fs/out/good && echo NEEDLE | tee fs/in/bad fs/out/bad && \
                  exec timeout -s KILL 60 \"$@\"";
    let tool = world.fltmc();
    let mut command = world.command("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]).arg(tool.get_program());
    command.arg("watch").args(rules).arg("fs/in");
    let mut process = world.spawn(&mut command);
    process.says("watching");
    Some(process)
}

/// A line of shell among the watched files, ended after so many seconds.
fn inside(world: &World, watched: &Process<'_>, seconds: u32, line: &str) -> std::process::Command {
    let mut command = world.command("nsenter");
    command.arg(format!("--target={}", watched.pid())).args(["--mount", "timeout", "-s", "KILL"]);
    // The folder is looked up in there: the one that we are in has no tmpfs on it.
    command.arg(seconds.to_string()).args(["sh", "-c", &format!("cd {} && {line}", world.dir().display())]);
    command
}

/// Ends a watch as a person would.
fn stop(mut watched: Process<'_>) {
    watched.signal(Signal::INT);
    assert_eq!(watched.end(), 0, "a signal is how a watch ends");
}

fn line(world: &World, watched: &Process<'_>, line: &str) -> Ended {
    finish(&mut inside(world, watched, 10, line))
}

#[test]
fn every_process_is_held_under_the_directory_and_nowhere_else() {
    let world = World::new();
    let rules = ["--deny-content", "NEEDLE", "--report", "report.jsonl"];
    let Some(mut watched) = watch(&world, &rules) else { return };
    let ended = line(&world, &watched, "cat fs/in/good fs/out/good fs/out/bad; cat fs/in/bad");
    assert_eq!(ended.out, "fine\nfine\nNEEDLE\n", "{}", ended.err);
    assert!(ended.err.contains("fs/in/bad: Operation not permitted"), "{}", ended.err);
    watched.signal(Signal::TERM);
    let summary = watched.says("operations");
    assert!(summary.contains("1 denied"), "{summary}");
    assert_eq!(watched.end(), 0, "a signal is how a watch ends");
    let report = std::fs::read_to_string(world.dir().join("report.jsonl")).unwrap();
    let records: Vec<serde_json::Value> = report.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(records.iter().all(|record| record["path"].as_str().unwrap().contains("/fs/in/")), "{report}");
    let bad = records.iter().find(|record| record["path"].as_str().unwrap().ends_with("/bad")).expect("the refusal");
    assert_eq!((&bad["allowed"], &bad["by"], &bad["comm"]), (&false.into(), &"application".into(), &"cat".into()));
}

#[test]
fn a_changed_file_is_judged_anew() {
    let world = World::new();
    let Some(watched) = watch(&world, &["--deny-content", "NEEDLE"]) else { return };
    let cat = |expected: &str| {
        let ended = line(&world, &watched, "cat fs/in/good");
        assert_eq!(ended.out, expected, "{}", ended.err);
    };
    // The second time the kernel remembers.
    cat("fine\n");
    cat("fine\n");
    line(&world, &watched, "echo NEEDLE >> fs/in/good");
    cat("");
    assert_eq!(line(&world, &watched, "rm fs/in/good; echo new > fs/in/good; cat fs/in/good").out, "new\n");
    stop(watched);
}

#[test]
fn names_are_refused_and_programs_do_not_run() {
    let world = World::new();
    let Some(watched) = watch(&world, &["--deny", "good", "--deny", "tool"]) else { return };
    let ended = line(
        &world,
        &watched,
        "cat fs/in/good; cat fs/out/good; cp /bin/echo fs/in/x; mv fs/in/x fs/in/tool; fs/in/tool ran",
    );
    assert_eq!(ended.out, "fine\n", "{}", ended.err);
    stop(watched);
}

#[test]
fn nobody_hangs_when_the_listener_is_killed() {
    let world = World::new();
    let rules = ["--port", "Gate", "--deadline", "60000", "--json"];
    let Some(watched) = watch(&world, &rules) else { return };
    let mut person = world.spawn(world.fltmc().args(["connect", "Gate"]));
    person.says("connected");
    let mut waiting = world.spawn(&mut inside(&world, &watched, 30, "cat fs/in/good"));
    person.says("open");
    // The tool itself, not the timeout around it.
    let children = format!("/proc/{0}/task/{0}/children", watched.pid());
    let tool = until("the tool's pid", || std::fs::read_to_string(&children).ok()?.trim().parse::<i32>().ok());
    rustix::process::kill_process(rustix::process::Pid::from_raw(tool).unwrap(), Signal::KILL).unwrap();
    // As the threat model says: the kernel allows what was pending.
    waiting.says("fine");
    assert_eq!(waiting.end(), 0);
    person.says("closed the port");
    assert_eq!(person.end(), 0);
    drop(watched);
    // The killed host's files go when the next one takes the name.
    let mut next = world.spawn(world.fltmc().args(["run", "--port", "Gate", "--", "true"]));
    next.says("waiting");
    next.signal(Signal::TERM);
    next.end();
}
