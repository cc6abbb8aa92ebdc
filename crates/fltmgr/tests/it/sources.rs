//! The manager on real operations: a supervised command, and (as root) a file system of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::time::{Duration, Instant};

use fltmgr::filter::{By, Manager, OnMiss, OpKind, OpSet, PreOperation};
use fltmgr::guard::Applications;
use fltmgr::namespace::Namespace;
use fltmgr::source::{AtEnd, Fanotify, Source as _, Supervise};
use fltmgr::{Connection, Port, PortOptions, SecurityDescriptor, Status};
use testkit::worker::Worker;
use testkit::{Again, LONG, PORT, Role, World, in_role, order, program, say, skip, until, watchdog};

use crate::rule::{PATIENT, Rule, rule};

/// A shell in the world, whose output goes to the files `out` and `err` there.
fn shell(world: &World, script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).current_dir(world.dir()).stdin(Stdio::null()).env("LC_ALL", "C");
    command.stdout(File::create(world.path("out")).unwrap()).stderr(File::create(world.path("err")).unwrap());
    command
}

fn read(world: &World, name: &str) -> String {
    fs::read_to_string(world.path(name)).unwrap()
}

#[test]
fn a_supervised_command_is_held_back() {
    let dir = World::new();
    fs::write(dir.path("good"), "fine").unwrap();
    fs::write(dir.path("bad"), "worse").unwrap();
    let judge = |operation: PreOperation| {
        let status = match operation.path.file_name().and_then(|name| name.to_str()) {
            Some("bad") => Status::ACCESS_DENIED,
            Some("busy") => Status::SHARING_VIOLATION,
            _ => return assert!(operation.allow()),
        };
        assert!(operation.deny(status));
    };
    let filter = Rule { ops: OpSet::all(), ..rule(1, judge) };
    let source = Arc::new(Supervise::new(shell(&dir, "cat good; cat bad; mkdir busy; exit 5")));
    let (builder, records) = Manager::builder().filter(filter).unwrap().records(10_000);
    let manager = builder.start(source.clone()).unwrap();
    assert_eq!(source.wait().unwrap().code(), Some(5));
    manager.wait().unwrap();
    assert_eq!(read(&dir, "out"), "fine");
    let err = read(&dir, "err");
    assert!(err.contains("bad: Permission denied") && err.contains("Device or resource busy"), "{err}");
    assert_eq!(manager.counters().denied(), 2);
    drop(manager);
    let all: Vec<_> = std::iter::from_fn(|| records.recv()).collect();
    let bad = all.iter().find(|record| record.operation.path == dir.path("bad")).unwrap();
    let caller = bad.operation.caller.look_up();
    assert_eq!((bad.operation.kind, caller.command.to_str(), bad.by), (OpKind::Open, Some("cat"), By::Rule));
    assert!(caller.process > 1 && bad.latency < PATIENT);
}

#[test]
fn a_silent_filter_holds_nobody_longer_than_its_deadline() {
    for (on_miss, text) in [(OnMiss::Allow, "fine"), (OnMiss::Deny, "")] {
        let dir = World::new();
        fs::write(dir.path("slow"), "fine").unwrap();
        let (keep, kept) = sync_channel(100);
        let silent = move |operation: PreOperation| {
            if operation.path.ends_with("slow") {
                keep.send(operation).unwrap();
            } else {
                operation.allow();
            }
        };
        let deadline = Duration::from_millis(100);
        let filter = Rule { deadline, on_miss, ..rule(1, silent) };
        let source = Arc::new(Supervise::new(shell(&dir, "cat slow")));
        let start = Instant::now();
        let manager = Manager::builder().filter(filter).unwrap().start(source.clone()).unwrap();
        source.wait().unwrap();
        assert!(start.elapsed() >= deadline);
        assert_eq!(read(&dir, "out"), text);
        assert_eq!(manager.counters().missed_allow() + manager.counters().missed_deny(), 1);
        assert!(!kept.recv().unwrap().allow(), "too late");
    }
}

#[test]
fn a_denied_or_missing_command_is_an_error() {
    let deny = |operation: PreOperation| assert!(operation.deny(Status::ACCESS_DENIED));
    let filter = |pre| Rule { ops: OpSet::EXEC, ..rule(1, pre) };
    let source = Arc::new(Supervise::new(Command::new("/bin/true")));
    let _manager = Manager::builder().filter(filter(deny)).unwrap().start(source.clone()).unwrap();
    assert_eq!(source.wait().unwrap_err().status(), Status::ACCESS_DENIED);
    let source = Arc::new(Supervise::new(Command::new("/nonexistent/program")));
    let _manager = Manager::builder().filter(filter(deny)).unwrap().start(source.clone()).unwrap();
    assert_eq!(source.wait().unwrap_err().status(), Status::OBJECT_NAME_NOT_FOUND);
}

#[test]
fn killing_at_the_end_leaves_nothing() {
    let dir = World::new();
    let allow = |operation: PreOperation| assert!(operation.allow());
    let filter = rule(1, allow);
    let script = "sleep 1000 & echo $! > pid; exit 0";
    let source = Arc::new(Supervise::new(shell(&dir, script)).at_end(AtEnd::Kill));
    let manager = Manager::builder().filter(filter).unwrap().start(source.clone()).unwrap();
    assert!(source.wait().unwrap().success());
    manager.wait().unwrap();
    let pid = read(&dir, "pid");
    // killed by now; its parent is gone, so another process reaps it, which takes a moment
    until(|| match fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
        Ok(state) => state.rsplit(')').next().unwrap().starts_with(" Z"),
        Err(_) => true,
    });
}

#[test]
fn a_file_system_is_held_back() {
    if let Err(error) = Fanotify::new(["/"]) {
        assert_eq!(error.status(), Status::PRIVILEGE_NOT_HELD, "{error}");
        return skip::privileged(error);
    }
    let dir = World::new();
    let script = "mount -t tmpfs -o size=64m none \"$0\" || exit 77; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "/bin/sh", "-c", script]).arg(dir.dir()).arg(program());
    let output = in_role(command, "inside", dir.dir()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) {
        return skip::privileged(format_args!("no private mount: {text}"));
    }
    assert!(output.status.success() && text.contains("all passed"), "{text}");
}

/// To a listener in a pid namespace every process outside has the number 0, an application that connects from there too.
#[test]
fn an_application_without_a_number_exempts_nobody() {
    if let Err(error) = Fanotify::new(["/"]) {
        return skip::privileged(error);
    }
    let (dir, ports) = (World::new(), World::new());
    let script = "mount -t tmpfs -o size=64m none \"$0\" || exit 77; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--propagation", "private", "timeout", "-s", "KILL", "60"]);
    command.args(["/bin/sh", "-c", script]).arg(dir.dir()).arg(program());
    let role = format!("inside_a_pid_namespace {}", ports.dir().display());
    let mut listener = Again::command(&role, dir.dir(), command);
    let ready = listener.said_within("SAYS ready", LONG);
    let mut cat = Command::new("nsenter");
    cat.arg(format!("--target={}", listener.pid())).args(["--mount", "cat"]).arg(dir.path("file"));
    let text = ready.then(|| {
        let _application = connect(&ports);
        String::from_utf8(opener(&mut cat).stdout).unwrap()
    });
    listener.hang_up();
    let code = listener.end();
    if code == 77 {
        return skip::privileged("no private mount");
    }
    assert_eq!((text.as_deref(), code), (Some(""), 0));
}

/// The role of a listener in a pid namespace.
pub(crate) fn inside_a_pid_namespace(role: &Role) {
    let (dir, ports) = (&role.dir, Path::new(&role.words));
    fs::write(dir.join("file"), "text").unwrap();
    let (_port, applications) = port(ports);
    let deny = |operation: PreOperation| assert!(operation.deny(Status::ACCESS_DENIED));
    let source = Arc::new(Fanotify::new([dir]).unwrap());
    source.exempt(Arc::new(applications.clone()));
    let manager = Manager::builder().filter(rule(1, deny)).unwrap().start(source).unwrap();
    say("ready");
    // until the test hangs up
    assert_eq!(order(), None);
    assert_eq!(manager.counters().denied(), 1);
}

/// A port for applications, in a namespace of its own.
fn port(dir: &Path) -> (Port, Applications) {
    let applications = Applications::new();
    let security = SecurityDescriptor::null_dacl();
    let options = PortOptions::default().max_connections(4).security(security).namespace(Namespace::at(dir));
    (Port::create(PORT, options, applications.clone()).unwrap(), applications)
}

fn connect(dir: &World) -> Connection {
    Connection::options().namespace(Namespace::at(dir.dir())).connect(PORT, b"").unwrap()
}

/// The role of a listener in a mount namespace.
pub(crate) fn inside(role: &Role) {
    let _watchdog = watchdog(2 * LONG);
    let dir = role.dir.as_path();
    verdicts(dir);
    verdicts_are_remembered(dir);
    callbacks_that_wait_for_each_other(dir);
    a_start_that_fails_holds_nobody(dir);
    an_open_that_hangs_holds_up_nobody_else(dir);
    an_application_is_exempt_as_long_as_it_is_one(dir);
    println!("all passed");
}

/// Ended by its alarm even where it waits for a verdict.
fn opener(command: &mut Command) -> Output {
    let mut timeout = Command::new("timeout");
    timeout.args(["-s", "KILL", "20"]).arg(command.get_program()).args(command.get_args());
    timeout.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).output().unwrap()
}

const BURST: usize = 8;
const ROUNDS: usize = 50;

/// The role of a process whose opens are held back: as many threads open as many files at one time, again and again.
pub(crate) fn burst(role: &Role) {
    let together = Barrier::new(BURST);
    std::thread::scope(|scope| {
        for n in 0..BURST {
            let (path, together) = (role.dir.join(n.to_string()), &together);
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    together.wait();
                    File::open(&path).unwrap();
                }
            });
        }
    });
}

/// Of a burst of events one reader takes several: they must reach the others, which have nothing to wait for.
fn callbacks_that_wait_for_each_other(dir: &Path) {
    for n in 0..BURST {
        fs::write(dir.join(n.to_string()), "x").unwrap();
    }
    let (arrived, all) = (Mutex::new(0), Condvar::new());
    let alone = Arc::new(AtomicU32::new(0));
    let left_alone = alone.clone();
    let meet = move |operation: PreOperation| {
        let mut count = arrived.lock().unwrap();
        *count += 1;
        all.notify_all();
        let round = (*count - 1) / BURST;
        let (count, late) = all.wait_timeout_while(count, PATIENT / 10, |count| *count < (round + 1) * BURST).unwrap();
        left_alone.fetch_add(u32::from(late.timed_out()), Ordering::Relaxed);
        drop(count);
        operation.allow();
    };
    let source = Arc::new(Fanotify::new([dir]).unwrap());
    let manager = Manager::builder().filter(rule(1, meet)).unwrap().start(source).unwrap();
    let output = opener(&mut in_role(Command::new(program()), "burst", dir));
    assert_eq!(alone.load(Ordering::Relaxed), 0, "{output:?}");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(manager.counters().asked, (BURST * ROUNDS) as u64);
}

/// Between the first path and the one that can not be watched a program may open something.
fn a_start_that_fails_holds_nobody(dir: &Path) {
    fs::write(dir.join("file"), "text").unwrap();
    std::thread::scope(|scope| {
        let openers: Vec<_> = (0..4)
            .map(|_| {
                let script = "while test -e \"$0\"; do cat \"$1\" > /dev/null || exit 1; done";
                let mut shell = Command::new("sh");
                shell.args(["-c", script]).arg(dir.join("go on")).arg(dir.join("file"));
                fs::write(dir.join("go on"), "").unwrap();
                scope.spawn(move || opener(&mut shell))
            })
            .collect();
        // Kept, as a program may that reports about it.
        let sources: Vec<_> = (0..50)
            .map(|_| {
                let source = Arc::new(Fanotify::new([dir, Path::new("/proc")]).unwrap());
                let allow = |operation: PreOperation| assert!(operation.allow());
                let error = Manager::builder().filter(rule(1, allow)).unwrap().start(source.clone()).unwrap_err();
                assert_eq!(error.status(), Status::NOT_SUPPORTED, "{error}");
                source
            })
            .collect();
        fs::remove_file(dir.join("go on")).unwrap();
        for opener in openers {
            let output = opener.join().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        drop(sources);
    });
}

/// An allowed open of a supervised program is made by us, and a file system may take its time: here one whose opens
/// wait for a listener that does not listen.
fn an_open_that_hangs_holds_up_nobody_else(dir: &Path) {
    fs::write(dir.join("hangs"), "x").unwrap();
    let other = World::new();
    fs::write(other.path("other"), "fine").unwrap();
    let hangs = Fanotify::new([dir]).unwrap();
    hangs.start(OpSet::OPEN).unwrap();
    let asked = other.path("asked");
    let kept = Mutex::new(Vec::new());
    let silent = move |operation: PreOperation| {
        if operation.path.ends_with("hangs") {
            fs::write(&asked, "").unwrap();
            kept.lock().unwrap().push(operation);
        } else if operation.path.ends_with("other") {
            kept.lock().unwrap().push(operation);
        } else {
            operation.allow();
        }
    };
    let filter = Rule { deadline: Duration::from_millis(100), ..rule(1, silent) };
    let script =
        format!("cat {}/hangs > hung & until test -e asked; do :; done; cat other > seen; wait", dir.display());
    let source = Arc::new(Supervise::new(shell(&other, &script)));
    let _manager = Manager::builder().filter(filter).unwrap().start(source.clone()).unwrap();
    let end = Instant::now() + PATIENT / 3;
    while fs::read(other.path("seen")).is_ok_and(|seen| seen != b"fine") || !other.path("seen").exists() {
        assert!(Instant::now() < end, "its deadline has not answered it");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(hangs);
    assert!(source.wait().unwrap().success());
    assert_eq!(read(&other, "hung"), "x");
}

/// Not by the process that made its connection: that one may be gone, and its number another's.
fn an_application_is_exempt_as_long_as_it_is_one(dir: &Path) {
    fs::write(dir.join("file"), "text").unwrap();
    let ports = World::new();
    let (_port, applications) = port(ports.dir());
    let source = Arc::new(Fanotify::new([dir]).unwrap());
    source.exempt(Arc::new(applications.clone()));
    let deny = |operation: PreOperation| assert!(operation.deny(Status::ACCESS_DENIED));
    let _manager = Manager::builder().filter(rule(1, deny)).unwrap().start(source).unwrap();
    let connection = connect(&ports);
    let mut application = Worker::with_handle_in(ports.dir(), "line", &connection);
    connection.close();
    let open = format!("open {}", dir.join("file").display());
    assert_eq!(application.does(&open), "text");
    assert_eq!(opener(Command::new("cat").arg(dir.join("file"))).stdout, b"", "a stranger");
    assert_eq!(application.does("close"), "ok");
    until(|| applications.is_empty());
    assert_eq!(application.does(&open), "PermissionDenied");
}

/// An ext4 at `dir`/trusted, where the change time of a file moves before what it contains.
fn trusted(dir: &Path) -> Option<PathBuf> {
    let at = dir.join("trusted");
    fs::create_dir(&at).unwrap();
    let script = "truncate -s 16M \"$0.ext4\" && mkfs.ext4 -q \"$0.ext4\" && mount -o loop \"$0.ext4\" \"$0\"";
    let output = Command::new("sh").args(["-c", script]).arg(&at).output().unwrap();
    if !output.status.success() {
        println!("SKIP: no ext4 on a loop device: {}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success().then_some(at)
}

fn verdicts_are_remembered(dir: &Path) {
    let Some(dir) = trusted(dir) else { return };
    let path = dir.join("file");
    fs::write(&path, "clean").unwrap();
    // Our own opens are not held back.
    let write_while_judged = Arc::new(Mutex::new(None::<&str>));
    let (to_write, judged) = (write_while_judged.clone(), path.clone());
    let judge = move |operation: PreOperation| {
        let mut seen = [0; 32];
        let file = operation.file().unwrap().unwrap();
        let length = rustix::io::pread(&file, &mut seen, 0).unwrap();
        if let Some(text) = to_write.lock().unwrap().take() {
            fs::write(&judged, text).unwrap();
        }
        if seen[..length].starts_with(b"foul") {
            operation.deny(Status::VIRUS_INFECTED);
        } else {
            operation.remember();
            operation.allow();
        }
    };
    let source = Arc::new(Fanotify::new([&dir]).unwrap());
    let manager = Manager::builder().filter(rule(1, judge)).unwrap().start(source.clone()).unwrap();
    let cat = || String::from_utf8(opener(Command::new("cat").arg(&path)).stdout).unwrap();
    let asks = |expected: &str| {
        let before = manager.counters().asked;
        assert_eq!(cat(), expected);
        manager.counters().asked - before
    };
    let is_kept = || until(|| asks("clean") == 0);
    is_kept();
    assert_eq!(source.remembered(), 1);
    source.forget();
    assert_eq!(asks("clean"), 1, "forgotten");
    is_kept();
    fs::write(&path, "foul!").unwrap();
    assert_eq!(asks(""), 1, "changed");
    fs::write(&path, "clean").unwrap();
    is_kept();
    let writer = fs::OpenOptions::new().append(true).open(&path).unwrap();
    assert_eq!(asks("clean"), 1, "a process may write");
    drop(writer);
    assert_eq!(asks("clean"), 0, "none did");
    source.forget();
    *write_while_judged.lock().unwrap() = Some("foul!");
    assert_eq!(asks("foul!"), 1, "between look and open");
    assert_eq!(asks(""), 1, "a verdict on what was there before");
    drop(manager);
    assert!(Command::new("umount").arg(&dir).status().unwrap().success());
}

fn verdicts(dir: &Path) {
    fs::write(dir.join("good"), "fine").unwrap();
    fs::write(dir.join("bad"), "worse").unwrap();
    let held = Arc::new(Mutex::new(Vec::new()));
    let keep = held.clone();
    let judge = move |operation: PreOperation| match operation.path.file_name().and_then(|name| name.to_str()) {
        Some("bad") => assert!(operation.deny(Status::ACCESS_DENIED)),
        Some("slow") => keep.lock().unwrap().push(operation),
        _ => assert!(operation.allow()),
    };
    let filter = Rule { deadline: Duration::from_millis(100), on_miss: OnMiss::Deny, ..rule(1, judge) };
    let source = Arc::new(Fanotify::new([dir]).unwrap());
    let (builder, records) = Manager::builder().filter(filter).unwrap().records(1000);
    let manager = builder.start(source.clone()).unwrap();
    let cat = |name: &str| String::from_utf8(opener(Command::new("cat").arg(dir.join(name))).stdout).unwrap();
    assert_eq!(cat("good"), "fine");
    assert_eq!(cat("bad"), "");
    // Our own opens are answered at once, whatever the file.
    assert_eq!(fs::read_to_string(dir.join("bad")).unwrap(), "worse");
    fs::write(dir.join("slow"), "text").unwrap();
    assert_eq!(cat("slow"), "");
    assert_eq!(manager.counters().denied_by(By::Deadline), 1);
    manager.stop();
    manager.wait().unwrap();
    assert_eq!(cat("bad"), "worse", "stopped");
    drop(manager);
    let all: Vec<_> = std::iter::from_fn(|| records.recv()).collect();
    let bad = all.iter().find(|record| record.operation.path == dir.join("bad")).unwrap();
    let caller = &bad.operation.caller;
    assert_eq!((caller.command().to_str(), caller.user()), (Some("cat"), 0));
    let wants = Rule { ops: OpSet::RENAME, ..rule(1, drop) };
    let error = Manager::builder().filter(wants).unwrap().start(source).unwrap_err();
    assert_eq!(error.status(), Status::NOT_SUPPORTED);
}
