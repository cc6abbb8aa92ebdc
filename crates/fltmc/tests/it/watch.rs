//! `fltmc watch`: rules for every process on a file system. Needs root.

use testkit::{Ended, Process, World, finish, until};

use crate::world;
use rustix::process::Signal;

/// `fltmc watch` with these rules over a tmpfs at `fs`, of which only `fs/in` is under them.
fn watch<'w>(world: &'w World, rules: &[&str]) -> Option<Process<'w>> {
    let files =
        "mkdir fs/in fs/out && echo fine | tee fs/in/good fs/out/good && echo NEEDLE | tee fs/in/bad fs/out/bad";
    let mut command = world.watcher(files)?;
    command.arg(world.tool()).arg("watch").args(rules).arg("fs/in");
    let mut process = world.spawn(&mut command);
    process.says("watching");
    Some(process)
}

/// Ends a watch as a person would.
fn stop(mut watched: Process<'_>) {
    watched.signal(Signal::INT);
    assert_eq!(watched.end(), 0, "a signal is how a watch ends");
}

fn line(world: &World, watched: &Process<'_>, line: &str) -> Ended {
    finish(&mut world.inside(watched, 10, line))
}

#[test]
fn every_process_is_held_under_the_directory_and_nowhere_else() {
    let world = world();
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

/// What is mounted in one's own mount namespace everybody may say who has a user namespace.
#[test]
fn the_directory_is_under_the_rules_by_whatever_mount() {
    let world = world();
    let Some(watched) = watch(&world, &["--deny", "good", "--deny-content", "NEEDLE"]) else { return };
    let mount = "mount --bind fs/in fs/out && cat fs/out/good fs/out/bad";
    for mount in [format!("unshare --mount sh -c '{mount}'"), mount.to_owned()] {
        let ended = line(&world, &watched, &mount);
        assert_eq!((ended.out.as_str(), ended.err.matches("not permitted").count()), ("", 2), "{mount}: {}", ended.err);
    }
    stop(watched);
}

/// Mounted before the watch begins, and after.
#[test]
fn file_systems_below_the_directory_are_under_the_rules() {
    let world = world();
    let fill = |at: &str| format!("mount -t tmpfs tmpfs {at} && echo NEEDLE > {at}/bad && echo fine > {at}/good");
    let files = format!("mkdir -p fs/in/before fs/in/after && {}", fill("fs/in/before"));
    let Some(mut command) = world.watcher(&files) else { return };
    command.arg(world.tool()).args(["watch", "--deny-content", "NEEDLE", "fs/in"]);
    let mut watched = world.spawn(&mut command);
    watched.says("watching");
    let cat = |at: &str, watched: &Process<'_>| {
        let ended = line(&world, watched, &format!("cat {at}/good {at}/bad"));
        assert_eq!(
            (ended.out.as_str(), ended.err.matches("not permitted").count()),
            ("fine\n", 1),
            "{at}: {}",
            ended.err
        );
    };
    cat("fs/in/before", &watched);
    assert_eq!(line(&world, &watched, &fill("fs/in/after")).code, Some(0));
    watched.says("fs/in/after was mounted, and is watched too");
    cat("fs/in/after", &watched);
    // By another mount of it too, which another mount namespace may have.
    let bound = "unshare --mount sh -c 'mount --bind fs/in/after fs && cat fs/bad'";
    assert!(line(&world, &watched, bound).err.contains("not permitted"));
    stop(watched);
}

#[test]
fn what_cannot_be_watched_below_the_directory_is_named() {
    let world = world();
    let files = "mkdir -p fs/in/proc fs/in/part fs/out && echo fine > fs/in/good && mount -t proc proc fs/in/proc";
    let Some(mut command) = world.watcher(files) else { return };
    command.arg(world.tool()).args(["watch", "--deny", "nothing", "fs/in"]);
    let mut watched = world.spawn(&mut command);
    let why = watched.says("fs/in/proc (proc) is not watched");
    assert!(why.contains("no permission events"), "{why}");
    watched.says("watching");
    // A part of another file system, to watch which was not asked for.
    let part = "mount -t tmpfs tmpfs fs/out && mkdir fs/out/part && mount --bind fs/out/part fs/in/part";
    assert_eq!(line(&world, &watched, part).code, Some(0));
    let why = watched.says("fs/in/part (tmpfs) is not watched");
    assert!(why.contains("fs/out"), "{why}");
    stop(watched);
}

#[test]
fn it_is_told_when_the_file_system_goes_and_comes_back() {
    let world = world();
    let files = "mkdir fs/disk && mount -t tmpfs tmpfs fs/disk && mkdir fs/disk/in";
    let Some(mut command) = world.watcher(files) else { return };
    command.arg(world.tool()).args(["watch", "--deny", "secret", "fs/disk/in"]);
    let mut watched = world.spawn(&mut command);
    watched.says("watching");
    assert_eq!(line(&world, &watched, "mount -o remount,nosuid fs/disk").code, Some(0));
    watched.says("fs/disk was mounted with other options");
    assert_eq!(line(&world, &watched, "umount fs/disk && mkdir fs/disk/in").code, Some(0));
    watched.says("fs/disk was unmounted");
    watched.says("fs/disk/in (tmpfs) is not watched");
    let mount =
        "mount -t tmpfs tmpfs fs/disk && mkdir fs/disk/in && echo > fs/disk/in/x && mv fs/disk/in/x fs/disk/in/secret";
    assert_eq!(line(&world, &watched, mount).code, Some(0));
    watched.says("fs/disk was mounted, and is watched too");
    assert!(line(&world, &watched, "cat fs/disk/in/secret").err.contains("not permitted"));
    // In one breath, so that nothing but the mount's own number tells them apart.
    let again = "umount fs/disk && mount -t tmpfs tmpfs fs/disk && mkdir fs/disk/in && echo > fs/disk/in/x && mv fs/disk/in/x fs/disk/in/secret";
    assert_eq!(line(&world, &watched, again).code, Some(0));
    until(|| line(&world, &watched, "cat fs/disk/in/secret").err.contains("not permitted"));
    stop(watched);
}

#[test]
fn a_file_is_no_directory_to_watch() {
    let world = world();
    let Some(mut command) = world.watcher("echo fine > fs/file") else { return };
    command.arg(world.tool()).args(["watch", "--deny", "nothing", "fs/file"]);
    let ended = finish(&mut command);
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(ended.err.contains("fs/file is no directory; watch "), "{}", ended.err);
}

/// The kernel tells no name that is longer than PATH_MAX.
#[test]
fn what_has_no_name_is_judged_all_the_same() {
    let rules = ["--on-miss", "deny", "--deny", "nothing", "--deny-content", "NEEDLE"];
    for (rules, refused) in [(&rules[4..], 1), (&rules[..4], 2)] {
        let world = world();
        let Some(watched) = watch(&world, rules) else { return };
        let deep = format!("d=1{}", format!("/{}", "x".repeat(200)).repeat(10));
        let make = "mkdir -p $d && mv 1 fs/in/3 && mkdir -p $d && mv 1 fs/in/2 && mkdir -p $d && mv 1 fs/in/1";
        let fill = "d=${d#1}; cp fs/in/good fs/in/3$d; echo NEEDLE > fs/in/3$d/bad";
        let nest = "mv fs/in/3 fs/in/2$d && mv fs/in/2 fs/in/1$d && cd -P fs/in/1$d/2$d && cat 3$d/good 3$d/bad";
        let ended = line(&world, &watched, &format!("{deep}; {make}; {fill}; {nest}"));
        assert_eq!(ended.err.matches("not permitted").count(), refused, "{ended:?}");
        stop(watched);
    }
}

#[test]
fn a_report_does_not_end_with_what_else_is_written() {
    let world = world();
    let Some(mut command) = world.watcher("mkdir fs/in && echo fine > fs/in/good") else { return };
    let line = "exec \"$@\" > /dev/full";
    command.args(["sh", "-c", line, "sh"]).arg(world.tool());
    command.args(["watch", "--deny", "nothing", "--json", "--report", "report.jsonl", "fs/in"]);
    let mut watched = world.spawn(&mut command);
    watched.says("watching");
    for _ in 0..2 {
        assert_eq!(self::line(&world, &watched, "cat fs/in/good").out, "fine\n");
    }
    watched.signal(Signal::INT);
    watched.says("writing to stdout: no space left");
    assert_eq!(watched.end(), 1);
    let report = std::fs::read_to_string(world.dir().join("report.jsonl")).unwrap();
    assert_eq!(report.lines().count(), 2, "{report}");
}

#[test]
fn a_changed_file_is_judged_anew() {
    let world = world();
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
    let world = world();
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
    let world = world();
    let rules = ["--port", "Gate", "--deadline", "60000", "--json"];
    let Some(watched) = watch(&world, &rules) else { return };
    let mut person = world.spawn(world.fltmc().args(["connect", "Gate"]));
    person.says("connected");
    let mut waiting = world.spawn(&mut world.inside(&watched, 30, "cat fs/in/good"));
    person.says("open");
    // The tool itself, not the timeout around it.
    let children = format!("/proc/{0}/task/{0}/children", watched.pid());
    let tool = until(|| std::fs::read_to_string(&children).ok()?.trim().parse::<i32>().ok());
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
