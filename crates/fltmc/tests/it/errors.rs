//! Every way of getting it wrong: one sentence that says what to do, and its own exit code.

use std::process::Command;

use testkit::finish;

use crate::{TOOL, ordinary, world};

/// Runs the tool and expects one sentence on stderr with all of `says`, and this code.
fn fails(command: &mut Command, code: i32, says: &[&str]) {
    let ended = finish(command);
    assert_eq!(ended.code, Some(code), "{command:?}: {}", ended.err);
    assert_eq!(ended.err.lines().count(), 1, "one sentence: {}", ended.err);
    assert!(ended.err.starts_with("fltmc: "), "{}", ended.err);
    for said in says {
        assert!(ended.err.contains(said), "no {said:?} in: {}", ended.err);
    }
    assert_eq!(ended.out, "");
}

#[test]
fn an_unknown_port_names_the_ports_there_are() {
    let world = ordinary();
    let namespace = world.namespace_dir().display().to_string();
    fails(world.fltmc().args(["connect", "Nobody"]), 10, &[r"\Nobody", &namespace, "no ports"]);
    fails(world.fltmc().args(["scan", r"\Nobody", "--deny-content", "x"]), 10, &[r"\Nobody"]);
    let mut host = world.spawn(world.fltmc().args(["run", "--port", "Somebody", "--", "true"]));
    host.says("waiting");
    fails(world.fltmc().args(["connect", "Nobody"]), 10, &[r"\Nobody", r"\Somebody", &host.pid().to_string()]);
    host.signal(rustix::process::Signal::TERM);
    host.end();
}

#[test]
fn a_bad_name_shows_a_good_one() {
    let world = ordinary();
    for name in ["", r"\", r"\a\\b", r"\a\"] {
        fails(world.fltmc().args(["connect", name]), 11, &[r"\ScannerPort"]);
        fails(world.fltmc().args(["run", "--port", name, "--", "true"]), 11, &[r"\ScannerPort"]);
    }
}

#[test]
fn a_refused_user_learns_whom_the_port_admits() {
    if !testkit::is_root() {
        return testkit::skip::privileged("two users are needed, and the test does not run as root");
    }
    let world = world();
    let mut host = world.spawn(world.fltmc().args(["run", "--port", "Mine", "--", "true"]));
    host.says("waiting");
    std::fs::set_permissions(world.dir(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(world.namespace_dir(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let tool = world.copy(TOOL, "tool");
    let mut stranger = world.command("setpriv");
    stranger.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(tool).args(["connect", "Mine"]);
    fails(&mut stranger, 12, &["admits", "denied"]);
    host.signal(rustix::process::Signal::TERM);
    host.end();
}

#[test]
fn a_name_in_use_says_by_whom() {
    let world = ordinary();
    let mut host = world.spawn(world.fltmc().args(["run", "--port", "Twice", "--", "true"]));
    host.says("waiting");
    fails(world.fltmc().args(["run", "--port", "Twice", "--", "true"]), 13, &[r"\Twice", &host.pid().to_string()]);
    host.signal(rustix::process::Signal::TERM);
    host.end();
}

#[test]
fn a_namespace_that_cannot_be_used_says_which_and_what_to_set() {
    let world = ordinary();
    let run = |dir: &str| {
        let mut command = world.fltmc();
        command.args(["run", "--port", "P", "--", "true"]).env("FLTMGR_NAMESPACE", dir);
        command
    };
    fails(&mut run("/no/such/folder"), 14, &["/no/such/folder", "FLTMGR_NAMESPACE"]);
    fails(&mut run("/proc"), 14, &["/proc"]);
    if testkit::is_root() {
        // For root nearly everything is writable; an ordinary user's tool is the one that is tried here.
        let closed = world.dir().join("closed");
        std::fs::create_dir(&closed).unwrap();
        std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        fails(&mut run(closed.to_str().unwrap()), 14, &["closed", "FLTMGR_NAMESPACE"]);
    }
}

#[test]
fn a_program_that_is_not_there_or_none() {
    let world = ordinary();
    fails(world.fltmc().args(["run", "--deny", "/x", "--", "no-such-program"]), 127, &["no-such-program", "not found"]);
    let text = world.file("text", "not a program");
    fails(world.fltmc().args(["run", "--deny", "/x", "--"]).arg(&text), 126, &["text", "chmod"]);
    fails(world.fltmc().args(["run", "--deny", "/x", "--", "/"]), 126, &["directory"]);
}

#[test]
fn what_only_root_may_says_so() {
    let world = ordinary();
    fails(world.fltmc().args(["watch", "--deny", "**/x", "."]), 15, &["fltmc watch", "root", "fltmc run"]);
}

/// Patterns are text, so one below such a directory would match nothing, and nothing would be refused.
#[test]
fn a_directory_that_no_pattern_can_name_is_not_watched() {
    use std::os::unix::ffi::OsStrExt as _;
    // Not as root, who would watch the machine's own file system if it were let.
    let world = ordinary();
    let dir = world.dir().join(std::ffi::OsStr::from_bytes(b"in\xff"));
    std::fs::create_dir(&dir).unwrap();
    fails(world.fltmc().args(["watch", "--deny", "*.key"]).arg(&dir), 2, &["UTF-8", "in\u{fffd}"]);
}

#[test]
fn a_supervised_program_cannot_supervise() {
    let world = ordinary();
    let tool = world.dir().join("fltmc");
    let tool = if tool.exists() { tool } else { TOOL.into() };
    let mut command = world.fltmc();
    command.args(["run", "-q", "--deny", "/x", "--"]).arg(tool).args(["run", "-q", "--deny", "/x", "--", "true"]);
    fails(&mut command, 15, &["supervis"]);
}

#[test]
fn a_wrong_command_line_is_code_2() {
    let world = ordinary();
    let lines: [&[&str]; 10] = [
        &[],
        &["nonsense"],
        &["run"],
        &["run", "--deadline", "0", "--deny", "x", "--", "true"],
        &["run", "--deadline", "soon", "--deny", "x", "--", "true"],
        &["run", "--on-miss", "perhaps", "--deny", "x", "--", "true"],
        &["run", "--deny-content", "", "--", "true"],
        &["run", "--deny", "", "--", "true"],
        &["run", "--deny", "[", "--", "true"],
        &["scan", "P"],
    ];
    for line in lines {
        let ended = finish(world.fltmc().args(line));
        assert_eq!(ended.code, Some(2), "{line:?}: {}{}", ended.out, ended.err);
    }
    let ended = finish(world.fltmc().args(["run", "--", "true"]));
    assert_eq!(ended.code, Some(2), "a run without rules is a slip: {}", ended.err);
    assert!(ended.err.contains("--deny"), "{}", ended.err);
}

#[test]
fn a_full_disk_is_said_so() {
    let world = ordinary();
    for line in ["doctor", "doctor --json", "demo", "demo --json"] {
        let mut command = world.command("sh");
        command.args(["-c", &format!("exec \"$0\" {line} > /dev/full")]).arg(TOOL);
        fails(&mut command, 1, &["writing to stdout", "no space left"]);
    }
    // What cannot be said is no reason to hide how the program ended.
    let line = "exec \"$0\" run --deny /x -- sh -c 'exit 7' 2> /dev/full";
    assert_eq!(finish(world.command("sh").args(["-c", line]).arg(TOOL)).code, Some(7));
    let line = "exec \"$0\" run -q --deny /x --report /dev/full -- true";
    let mut command = world.command("sh");
    fails(command.args(["-c", line]).arg(TOOL), 1, &["the report", "no space left"]);
}

/// The scanner's connection has no place in it.
#[test]
fn a_scanner_needs_no_folder() {
    let world = ordinary();
    let mut command = world.fltmc();
    command.env("TMPDIR", "/nowhere").env("FLTMGR_NAMESPACE", "/nowhere");
    let ended = finish(command.args(["run", "-q", "--deny-content", "NEEDLE", "--", "echo", "well"]));
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "well\n"), "{}", ended.err);
}

#[test]
fn help_shows_the_exit_codes() {
    let world = ordinary();
    let ended = finish(world.fltmc().arg("--help"));
    assert_eq!(ended.code, Some(0));
    let readme = include_str!("../../../../README.md");
    for code in ["  10  no such port", "  13  another host owns the name", " 127  run: the program was not found"] {
        assert!(ended.out.contains(code), "{}", ended.out);
    }
    for line in ended.out.lines().skip_while(|line| !line.starts_with("Exit codes")).skip(1) {
        if let Some((code, _)) = line.trim().split_once("  ") {
            assert!(
                readme.contains(&format!("| {code}")) || readme.contains(&format!(", {code} |")),
                "README lacks {code}"
            );
        }
    }
}

/// With any number of threads that is too small. Each try is another user, because the dead count until they are waited
/// for.
#[test]
fn a_process_without_threads_says_so() {
    if !testkit::is_root() {
        return testkit::skip::privileged(
            "the limit counts all processes of a user, and the test has no user of its own",
        );
    }
    let world = world();
    std::fs::set_permissions(world.dir(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let tool = world.copy(TOOL, "tool");
    for (n, rule) in [["--deny", "*.virus"], ["--deny-content", "NEEDLE"]].into_iter().enumerate() {
        let ran = (1..64).find(|limit| {
            let user = 1_000_000_000 + (2 * std::process::id() + n as u32) * 64 + limit;
            let mut command = world.command("setpriv");
            command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups", "prlimit"]);
            command.arg(format!("--nproc={limit}")).arg(&tool).args(["run", "-q"]).args(rule).args(["--", "true"]);
            let ended = finish(&mut command);
            let said = ended.err.to_lowercase().contains("resource temporarily unavailable");
            // a scanner that cannot work is one that does not answer
            let refused = n == 1 && ended.code == Some(126);
            assert!(ended.code == Some(0) || (ended.code == Some(1) && said) || refused, "{limit}: {ended:?}");
            ended.code == Some(0)
        });
        assert!(ran.is_some_and(|limit| limit > 2), "{ran:?}");
    }
}

/// With any number of descriptors that is too small, down to what the program needs to begin at all.
#[test]
fn a_process_without_descriptors_says_so() {
    let world = ordinary();
    let ran = (5..40).find(|limit| {
        let script = format!("ulimit -n {limit}; exec \"$0\" run -q --deny '*.virus' -- true");
        let ended = finish(world.command("sh").arg("-c").arg(script).arg(TOOL));
        let says = "too many open files (STATUS_TOO_MANY_OPENED_FILES)";
        // the program runs under the same limit, and may be the one that needs more
        let says_itself = "true: error while loading shared libraries";
        let said = ended.err.contains(says) || ended.err.starts_with(says_itself);
        assert!(ended.code == Some(0) || said, "{limit}: {}", ended.err);
        ended.code == Some(0)
    });
    assert!(ran.is_some_and(|limit| limit > 5), "{ran:?}");
}

#[test]
fn a_process_without_descriptors_leaves_no_folder() {
    let world = ordinary();
    let temporary = world.dir().join("tmp");
    finish(world.command("mkdir").arg(&temporary));
    let ran = (5..64).find(|limit| {
        let script = format!("ulimit -n {limit}; exec \"$0\" run -q --deny-content NEEDLE -- true");
        let mut command = world.command("sh");
        let ended = finish(command.arg("-c").arg(script).arg(world.tool()).env("TMPDIR", &temporary));
        let left: Vec<_> = std::fs::read_dir(&temporary).unwrap().flatten().collect();
        assert!(left.is_empty(), "{limit}: {left:?} {ended:?}");
        ended.code == Some(0)
    });
    assert!(ran.is_some_and(|limit| limit > 5), "{ran:?}");
}

/// The argument parser's errors have the form of all others.
#[test]
fn a_wrong_command_line_is_one_sentence() {
    let cases: [(&[&str], &[&str]); 7] = [
        (&["run", "--dny=x", "--", "true"], &["unexpected argument '--dny'", "'--deny'", "; see fltmc run --help"]),
        (&["ports", "--jsn"], &["unexpected argument '--jsn' found", "'--json'", "; see fltmc ports --help"]),
        (&["run"], &["<CMD>", "; see fltmc run --help"]),
        (&["run", "--on-miss=perhaps", "--", "true"], &["invalid value 'perhaps'", "allow", "deny"]),
        (&["run", "--deadline=soon", "--", "true"], &["invalid value 'soon'"]),
        (&["rnu"], &["unrecognized subcommand 'rnu'", "; see fltmc --help"]),
        (&["run", "--ask=x", "--", "true"], &["--port", "; see fltmc run --help"]),
    ];
    let world = ordinary();
    for (arguments, says) in cases {
        let ended = finish(world.fltmc().args(arguments));
        assert_eq!((ended.code, ended.err.lines().count()), (Some(2), 1), "{arguments:?}: {}", ended.err);
        assert!(ended.err.starts_with("fltmc: ") && !ended.err.contains("error: "), "{}", ended.err);
        says.iter().for_each(|text| assert!(ended.err.contains(text), "no {text} in: {}", ended.err));
    }
}

/// A reader of the report gets at every path, whatever its bytes.
#[test]
fn a_report_has_the_bytes_of_each_path() {
    let world = ordinary();
    let mut command = world.fltmc();
    let script = "printf '' > \"$(printf 'od\\377d')\"; printf '' > even";
    command.args(["run", "-q", "--deny=/nowhere", "--report=report", "--", "sh", "-c", script]);
    let ended = finish(&mut command);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let report = std::fs::read_to_string(world.path("report")).unwrap();
    let lines = report.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut created: Vec<_> = lines
        .filter(|line| line["path"].as_str().is_some_and(|path| path.ends_with('d') || path.ends_with("even")))
        .collect();
    created.retain(|line| line["op"] == "create" || line["op"] == "open");
    let odd =
        created.iter().find(|line| line["path"].as_str().unwrap().ends_with("od\u{fffd}d")).expect("the odd file");
    assert!(odd["path_bytes"].as_str().unwrap().ends_with("6f64ff64"), "{odd}");
    let even = created.iter().find(|line| line["path"].as_str().unwrap().ends_with("even")).expect("the even file");
    assert!(even.get("path_bytes").is_none(), "{even}");
}
