//! `fltmc run`: rules over a program and its children, as an ordinary user.

use std::os::unix::process::CommandExt as _;
use std::time::Duration;

use testkit::{Ended, World, finish};

use crate::ordinary;
use rustix::process::{Pid, Signal};

/// Runs a shell line under rules.
fn run(world: &World, rules: &[&str], line: &str) -> Ended {
    finish(world.fltmc().arg("run").args(rules).args(["--", "sh", "-c", line]))
}

fn records(world: &World, name: &str) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(world.dir().join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The children of all of a process's threads.
fn children(pid: u32) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

fn scanner(tool: u32) -> Option<i32> {
    children(tool).into_iter().find(|pid| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split('\0').nth(1) == Some("scan")
    })
}

#[test]
fn the_programs_own_end_is_the_exit_code() {
    let world = ordinary();
    for code in [0, 1, 7, 255] {
        assert_eq!(run(&world, &["--deny", "/nowhere"], &format!("exit {code}")).code, Some(code));
    }
    for signal in [Signal::KILL, Signal::TERM, Signal::SEGV] {
        let number = signal.as_raw();
        let ended = run(&world, &["--deny", "/nowhere"], &format!("kill -{number} $$"));
        assert_eq!(ended.code, Some(128 + number), "{ended:?}");
    }
}

/// Runs a shell line under rules, by a tool that was started with these signals ignored.
fn run_ignoring(world: &World, signals: &str, line: &str) -> Ended {
    let mut env = world.command("env");
    env.arg(format!("--ignore-signal={signals}")).arg(world.tool());
    finish(env.args(["run", "-q", "--deny", "/nowhere", "--", "sh", "-c", line]))
}

#[test]
fn a_program_ignores_the_signals_that_its_tool_was_started_to_ignore() {
    let world = ordinary();
    let ended =
        run_ignoring(&world, "HUP,INT,QUIT,TERM", "for s in HUP INT QUIT TERM; do kill -$s $$; done; echo lives");
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "lives\n"), "{ended:?}");
}

#[test]
fn the_programs_end_is_known_to_a_tool_that_was_started_to_ignore_it() {
    let world = ordinary();
    let ended = run_ignoring(&world, "CHLD", "exit 7");
    assert_eq!(ended.code, Some(7), "{ended:?}");
}

/// What the shell started in the background of a subshell has no parent any more, and `kill -0` finds the dead that nobody
/// waits for.
const ORPHAN: &str = "(cat fifo & echo $! > orphan); echo > fifo; \
    while kill -0 $(cat orphan) 2> /dev/null; do read line < tick; done; echo gone";

#[test]
fn the_number_of_an_orphan_is_free_when_it_has_ended() {
    let world = ordinary();
    let ended = run(&world, &["-q", "--deny", "/nowhere"], &format!("mkfifo fifo; echo > tick; {ORPHAN}"));
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "\ngone\n"), "{ended:?}");
}

/// The tool waits for its scanner only at the end.
#[test]
fn orphans_are_waited_for_behind_a_dead_scanner() {
    let world = ordinary();
    let rules = ["run", "-q", "--on-miss", "allow", "--deny-content", "NEEDLE", "--", "sh", "-c"];
    let line = format!("mkfifo fifo; echo > tick; echo ready; read line; {ORPHAN}");
    let mut tool = world.spawn(world.fltmc().args(rules).arg(line));
    tool.says("ready");
    let scanner = Pid::from_raw(scanner(tool.pid()).unwrap()).unwrap();
    rustix::process::kill_process(scanner, Signal::KILL).unwrap();
    tool.tell("go on\n");
    tool.says("gone");
    assert_eq!(tool.end(), 0);
}

#[test]
fn output_passes_through_untouched_and_the_summary_goes_to_stderr() {
    let world = ordinary();
    let ended = run(&world, &["--deny", "/nowhere"], "echo out; echo err >&2");
    assert_eq!(ended.out, "out\n");
    assert!(ended.err.starts_with("err\n") && ended.err.contains("operations"), "{}", ended.err);
    let quiet = run(&world, &["-q", "--deny", "/nowhere"], "echo out; echo err >&2");
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("out\n", "err\n"));
}

#[test]
fn a_glob_refuses_what_it_names_and_nothing_else() {
    let world = ordinary();
    world.file("keys/id", "secret");
    world.file("keys/id.pub", "public");
    let ended = run(&world, &["-q", "--deny", "**/keys/id"], "cat keys/id.pub; cat keys/id; cat < keys/id");
    assert_eq!(ended.out, "public");
    assert_ne!(ended.code, Some(0));
    assert!(ended.err.contains("keys/id"), "{}", ended.err);
}

#[test]
fn children_and_links_do_not_get_around_a_glob() {
    let world = ordinary();
    world.file("keys/id", "secret");
    let tricks =
        "ln -s keys/id link; cat link; (cat ../$(basename $PWD)/keys/./id); cd keys; env cat id; cat /proc/self/cwd/id";
    let ended = run(&world, &["-q", "--deny", "**/keys/id"], tricks);
    assert_eq!(ended.out, "", "{}", ended.err);
}

/// It cannot look whither a path leads, nor who asks. The program has called setresuid, so that it is looked at each time.
#[test]
fn a_link_does_not_get_around_a_tool_without_descriptors() {
    let world = ordinary();
    let bad = world.file("bad", "NEEDLE");
    let link = world.dir().join("link");
    std::os::unix::fs::symlink(&bad, &link).unwrap();
    let script =
        "exec setpriv --reuid=$(id -u) sh -c 'echo ready; read _; read line < \"$0\"; echo \"got $line.\"; read _' $0";
    for rule in [["--deny", "bad"], ["--deny-content", "NEEDLE"]] {
        let mut command = world.fltmc();
        command.args(["run", "-q"]).args(rule).args(["--", "sh", "-c", script]).arg(&link);
        let mut run = world.spawn(&mut command);
        run.says("ready");
        let pid = run.pid().to_string();
        let limit = |number: u32| {
            let ended = finish(world.command("prlimit").args(["--pid", &pid, &format!("--nofile={number}:")]));
            assert_eq!(ended.code, Some(0), "{}", ended.err);
        };
        limit(3);
        run.tell("go on\n");
        assert_eq!(run.says("got"), "got .");
        run.says("Too many open files in system");
        // Without descriptors it could not clean up.
        limit(64);
        run.tell("end\n");
        assert_eq!(run.end(), 0);
    }
}

#[test]
fn content_is_judged_by_a_scanner() {
    let world = ordinary();
    world.file("good", "fine\n");
    world.file("bad", "some NEEDLE here\n");
    let rules = ["--deny-content", "NEEDLE", "--report", "report.jsonl"];
    let ended = run(&world, &rules, "cat good; cat bad; cp bad copy; test ! -s copy");
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "fine\n"), "{}", ended.err);
    let records = records(&world, "report.jsonl");
    let of = |name: &str| {
        let is_it =
            |r: &&serde_json::Value| r["path"].as_str().is_some_and(|path| path.ends_with(name)) && r["op"] == "open";
        records.iter().filter(is_it).collect::<Vec<_>>()
    };
    assert_eq!(of("/good").len(), 1);
    assert_eq!(of("/bad").len(), 2);
    for (record, allowed) in of("/good").iter().map(|r| (*r, true)).chain(of("/bad").into_iter().map(|r| (r, false))) {
        assert_eq!(record["allowed"], allowed, "{record}");
        assert_eq!(record["by"], "application", "{record}");
        assert!(record["latency_us"].as_f64().unwrap() > 0.0);
        assert!(["cat", "cp"].contains(&record["comm"].as_str().unwrap()), "{record}");
    }
}

#[test]
fn what_was_refused_changes_nothing() {
    let world = ordinary();
    let kept = world.file("kept", "before");
    std::fs::set_permissions(&kept, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let ended = run(&world, &["-q", "--deny", "**/kept"], "echo after > kept; echo after >> kept");
    assert_ne!(ended.code, Some(0));
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "before");
}

#[test]
fn a_program_under_a_rule_does_not_start() {
    let world = ordinary();
    let ended = run(&world, &["-q", "--deny", "**/bin/id"], "id || echo refused");
    assert_eq!(ended.out, "refused\n", "{}", ended.err);
}

#[test]
fn a_request_to_end_goes_to_the_program() {
    let world = ordinary();
    let script = "trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let mut run = world.spawn(world.fltmc().args(["run", "-q", "--deny", "/x", "--", "sh", "-c", script]));
    run.says("ready");
    run.signal(Signal::TERM);
    run.says("asked");
    assert_eq!(run.end(), 3);
}

#[test]
fn a_report_that_cannot_be_written_stops_before_the_program_starts() {
    let world = ordinary();
    let ended = run(&world, &["--report", "no/such/folder", "--deny", "/x"], "echo ran");
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{}", ended.err);
    assert!(ended.err.contains("no/such/folder"), "{}", ended.err);
}

#[test]
fn a_scanner_that_dies_is_told_of_and_the_policy_decides() {
    let world = ordinary();
    world.file("good", "fine\n");
    for (policy, told) in [("deny", "cat: Permission denied"), ("allow", "fine")] {
        let mut command = world.fltmc();
        command.args([
            "run",
            "--deny-content",
            "NEEDLE",
            "--on-miss",
            policy,
            "--",
            "sh",
            "-c",
            "echo ready; read _; cat good",
        ]);
        let mut run = world.spawn(&mut command);
        run.says("ready");
        let scanner = scanner(run.pid());
        rustix::process::kill_process(Pid::from_raw(scanner.expect("the scanner")).unwrap(), Signal::KILL).unwrap();
        run.tell("go on\n");
        run.says(told);
        run.says("the scanner had ended before");
        run.says("by --on-miss");
        assert_eq!(run.end(), if policy == "deny" { 126 } else { 0 });
    }
}

#[test]
fn what_the_program_leaves_behind_is_killed() {
    let world = ordinary();
    // Both in the background and detached; the world's leak check would find either.
    let ended = run(&world, &["-q", "--deny", "/x"], "sleep 60 & setsid sleep 60 & exit 4");
    assert_eq!(ended.code, Some(4), "{}", ended.err);
}

#[test]
fn the_terminals_ctrl_c_ends_the_program_and_not_the_tool() {
    let world = ordinary();
    let script = "trap 'exit 9' INT; echo ready; while :; do sleep 0.05; done";
    let mut run = world.spawn(world.fltmc().args(["run", "--deny", "/x", "--", "sh", "-c", script]));
    run.says("ready");
    // A terminal sends it to the tool as well, which goes on until its program has ended.
    run.signal(Signal::INT);
    let child = testkit::until(|| children(run.pid()).first().copied());
    rustix::process::kill_process(Pid::from_raw(child).unwrap(), Signal::INT).unwrap();
    run.says("operations");
    assert_eq!(run.end(), 9);
}

/// A program that goes on after Ctrl-C, as a shell or an editor does, needs its scanner still.
#[test]
fn the_terminals_ctrl_c_does_not_end_the_scanner() {
    let world = ordinary();
    world.file("good", "fine\n");
    let script = "trap 'echo interrupted' INT; echo ready; read _; cat good";
    let mut command = world.fltmc();
    command.args(["run", "--deny-content", "NEEDLE", "--", "sh", "-c", script]).process_group(0);
    let mut run = world.spawn(&mut command);
    run.says("ready");
    // To every process in the foreground, as a terminal sends it.
    let group = Pid::from_raw(run.pid() as i32).unwrap();
    rustix::process::kill_process_group(group, Signal::INT).unwrap();
    run.says("interrupted");
    run.tell("go on\n");
    run.says("fine");
    run.says("by the application");
    assert_eq!(run.end(), 0);
}

#[test]
fn ctrl_c_before_the_program_runs_keeps_it_from_running() {
    let world = ordinary();
    for _ in 0..20 {
        let mut command = world.fltmc();
        let mut run = world.spawn(command.args(["run", "-q", "--deny-content", "NEEDLE", "--", "touch", "ran"]));
        let scanner = testkit::until(|| scanner(run.pid()));
        let send = |signal| rustix::process::kill_process(Pid::from_raw(scanner).unwrap(), signal).unwrap();
        // While it stands still it does not connect, and the program does not start; if it was connected already, the
        // program starts at once.
        send(Signal::STOP);
        let early =
            testkit::within(Duration::from_millis(500), || (children(run.pid()).len() > 1).then_some(())).is_none();
        let early = early && !world.dir().join("ran").exists();
        run.signal(Signal::INT);
        send(Signal::CONT);
        if early {
            assert_eq!(run.end(), 130);
            assert!(!world.dir().join("ran").exists());
            return;
        }
        run.end();
        let _ = std::fs::remove_file(world.dir().join("ran"));
    }
    panic!("the scanner was never seen before it was connected");
}
