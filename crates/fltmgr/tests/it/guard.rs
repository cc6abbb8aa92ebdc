//! The built-in filter: rules, questions, and a whole way from a supervised program to a scanner and back.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fltmgr::filter::{
    By, Caller, CallerInfo, Manager, OnMiss, OpFlags, OpKind, OpSet, Operation, PreOperation, Verdict,
};
use fltmgr::guard::{Applications, Ask, Guard, question_of, scan, settle};
use fltmgr::namespace::Namespace;
use fltmgr::policy::{Decision, LiveRules, Rule, Rules};
use fltmgr::question::{Answer, AnswerFlags, Question};
use fltmgr::source::{Exempt, Source, Supervise, Synthetic, Waiting};
use fltmgr::{Connection, Error, Port, PortOptions, Status};
use testkit::until;
use testkit::worker::Worker;

const LONG: Duration = Duration::from_secs(30);
const DENIED: Verdict = Verdict::Deny(Status::ACCESS_DENIED);

type Outcome = Result<(Status, Vec<u8>), By>;

/// Answers every question with the same, and keeps the questions.
#[derive(Default)]
struct Oracle {
    reply: Mutex<Option<Outcome>>,
    asked: Mutex<Vec<(Vec<u8>, bool)>>,
    kept: Mutex<Vec<PreOperation>>,
}

impl Ask for Oracle {
    fn ask(&self, operation: PreOperation) {
        let (question, file) = match question_of(&operation) {
            Ok(question) => question,
            Err(why) => return settle(operation, Err(why)),
        };
        self.asked.lock().unwrap().push((question, file.is_some()));
        match &*self.reply.lock().unwrap() {
            Some(reply) => settle(operation, reply.clone()),
            None => self.kept.lock().unwrap().push(operation),
        }
    }
}

impl Exempt for Oracle {
    fn exempts(&self, process: u32) -> bool {
        process == 4242
    }
}

/// A guard that asks about these files, opened.
fn asking(ask: Arc<dyn Ask>, patterns: &[&str]) -> Guard {
    Guard::new(Rules::new([Rule::ask(patterns.iter().copied()).kinds(OpSet::OPEN)]).unwrap()).ask(ask)
}

fn denying(patterns: &[&str]) -> Result<Guard, Error> {
    Rules::new([Rule::deny(patterns.iter().copied())]).map(Guard::new)
}

/// A source of one operation, on a file that the host can not open.
#[derive(Debug, Default)]
struct Closed(Mutex<Option<Unopened>>, Arc<Mutex<Option<Verdict>>>);

#[derive(Debug)]
struct Unopened {
    operation: Arc<Operation>,
    verdict: Arc<Mutex<Option<Verdict>>>,
}

impl Source for Closed {
    fn name(&self) -> &str {
        "closed"
    }
    fn capabilities(&self) -> OpSet {
        OpSet::all()
    }
    fn start(&self, _: OpSet) -> Result<(), Error> {
        *self.0.lock().unwrap() =
            Some(Unopened { operation: Synthetic::operation(OpKind::Open, "/closed").into(), verdict: self.1.clone() });
        Ok(())
    }
    fn next(&self) -> Result<Option<Box<dyn Waiting>>, Error> {
        Ok(self.0.lock().unwrap().take().map(|operation| Box::new(operation) as _))
    }
    fn stop(&self) {}
}

impl Waiting for Unopened {
    fn operation(&self) -> &Arc<Operation> {
        &self.operation
    }
    fn file(&self) -> io::Result<Option<Arc<OwnedFd>>> {
        Err(io::ErrorKind::WouldBlock.into())
    }
    fn answer(&self, verdict: Verdict) -> bool {
        self.verdict.lock().unwrap().replace(verdict).is_none()
    }
}

/// A scanner allows what has no contents, so it is not asked about contents that it cannot get at.
#[test]
fn a_file_that_can_not_be_opened_is_a_miss() {
    for (on_miss, expected) in [(OnMiss::Deny, DENIED), (OnMiss::Allow, Verdict::Allow)] {
        let oracle = Arc::new(Oracle::default());
        *oracle.reply.lock().unwrap() = Some(Ok((Status::SUCCESS, Answer::ALLOW.to_bytes().to_vec())));
        let guard = asking(oracle.clone(), &["**"]).on_miss(on_miss);
        let source = Arc::new(Closed::default());
        let manager = Manager::builder().filter(guard).unwrap().start(source.clone()).unwrap();
        manager.wait().unwrap();
        assert_eq!(*source.1.lock().unwrap(), Some(expected));
        let counters = manager.counters();
        assert_eq!(counters.allowed_by(By::Unreadable) + counters.denied_by(By::Unreadable), 1);
        assert!(oracle.asked.lock().unwrap().is_empty());
    }
}

fn operation(kind: OpKind, path: &str, target: &str) -> Operation {
    let mut operation = Synthetic::operation(kind, path);
    operation.target = target.into();
    operation
}

#[test]
fn rules_match_paths_and_names() {
    let guard = denying(&["*.key", "/etc/shadow", "/home/*/.ssh/**"]).unwrap().ops(OpSet::all());
    let source = Arc::new(Synthetic::new());
    let _manager = Manager::builder().filter(guard).unwrap().start(source.clone()).unwrap();
    let rows = [
        (OpKind::Open, "/a/b/c.key", "", true),
        (OpKind::Open, "/a/b.key/c", "", false),
        (OpKind::Open, "/etc/shadow", "", true),
        (OpKind::Open, "/srv/etc/shadow", "", false),
        (OpKind::Open, "/home/me/.ssh/id", "", true),
        (OpKind::Open, "/home/me/.ssh/deep/id", "", true),
        (OpKind::Open, "/home/me/x/.ssh/id", "", false),
        (OpKind::Open, "/home/me/.ssh", "", false),
        (OpKind::Rename, "/home/me/.ssh", "/tmp/x", true),
        (OpKind::Rename, "/tmp/x", "/home/me/.ssh", true),
        (OpKind::Rename, "/tmp/x", "/tmp/y", false),
        (OpKind::Link, "/etc/shadow", "/tmp/y", true),
        (OpKind::Rename, "/tmp/new", "/tmp/x.key", true),
        (OpKind::Unlink, "/x.key", "", true),
        (OpKind::Exec, "/x.keys", "", false),
    ];
    for (kind, path, target, denied) in rows {
        let verdict = source.submit(operation(kind, path, target)).wait(LONG).unwrap();
        assert_eq!(verdict, if denied { DENIED } else { Verdict::Allow }, "{kind} {path} {target}");
    }
}

/// There is no content to look at.
#[test]
fn applications_are_not_asked_about_directories_and_mere_names() {
    let oracle = Arc::new(Oracle::default());
    let guard = asking(oracle.clone(), &["**"]);
    let source = Arc::new(Synthetic::new());
    let _manager = Manager::builder().filter(guard).unwrap().start(source.clone()).unwrap();
    for flags in [OpFlags::DIRECTORY, OpFlags::LEAF | OpFlags::NAME_ONLY] {
        let mut open = operation(OpKind::Open, "/some/name", "");
        open.flags = flags;
        assert_eq!(source.submit(open).wait(LONG), Some(Verdict::Allow), "{flags:?}");
    }
    assert!(oracle.asked.lock().unwrap().is_empty());
}

#[test]
fn the_first_rule_that_matches_decides() {
    let rules = Rules::new([
        Rule::allow(["/srv/open/**"]),
        Rule::deny(["*.key"]),
        Rule::ask(["*"]).under(["/srv"]).kinds(OpSet::OPEN),
        Rule::deny(["/srv/**"]).kinds(OpSet::EXEC),
    ]);
    let rules = rules.unwrap();
    let rows = [
        (OpKind::Open, "/srv/open/a.key", Decision::Allow),
        (OpKind::Open, "/srv/a.key", Decision::Deny),
        (OpKind::Open, "/srv/deep/a", Decision::Ask),
        (OpKind::Open, "/home/a", Decision::Allow),
        (OpKind::Exec, "/srv/deep/a", Decision::Deny),
        (OpKind::Exec, "/srv/open/a", Decision::Allow),
    ];
    for (kind, path, expected) in rows {
        assert_eq!(rules.decide(&operation(kind, path, "")), expected, "{kind} {path}");
    }
}

/// A name that cannot be told is not one that no pattern matches.
#[test]
fn what_has_no_name_is_never_allowed_past_a_rule_that_denies_or_asks() {
    let (allow, deny, ask) = (Rule::allow(["/x"]), Rule::deny(["/x"]), Rule::ask(["/x"]));
    let rows = [
        (vec![allow.clone(), deny.clone(), ask.clone()], Decision::Unnamed),
        (vec![ask, deny], Decision::Ask),
        (vec![allow], Decision::Allow),
        (vec![Rule::deny([] as [&str; 0])], Decision::Allow),
        (vec![Rule::deny(["**"])], Decision::Deny),
    ];
    for (rules, expected) in rows {
        let decided = Rules::new(rules.clone()).unwrap().decide(&operation(OpKind::Open, "", ""));
        assert_eq!(decided, expected, "{rules:?}");
    }
}

/// What is asked after a list was put in place is decided by it, whatever goes on beside it.
#[test]
fn rules_are_replaced_while_they_run() {
    let denying = |name: &str| Rules::new([Rule::deny([name])]).unwrap();
    let live = LiveRules::from(denying("/a"));
    let source = Arc::new(Synthetic::new());
    let _manager = Manager::builder().filter(Guard::new(live.clone())).unwrap().start(source.clone()).unwrap();
    let open = |path: &str| source.submit(operation(OpKind::Open, path, "")).wait(LONG).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let verdicts = [open("/a"), open("/c")];
                    assert!([[DENIED, Verdict::Allow], [Verdict::Allow; 2]].contains(&verdicts), "{verdicts:?}");
                }
            });
        }
        for _ in 0..200 {
            live.replace(denying("/b"));
            assert_eq!((open("/a"), open("/b")), (Verdict::Allow, DENIED));
            live.replace(denying("/a"));
            assert_eq!((open("/a"), open("/b")), (DENIED, Verdict::Allow));
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn questions_carry_what_is_known() {
    let oracle = Arc::new(Oracle::default());
    *oracle.reply.lock().unwrap() = Some(Ok((Status::SUCCESS, Answer::DENY.to_bytes().to_vec())));
    let rules = Rules::new([Rule::ask(["/data/**"]).kinds(OpSet::OPEN | OpSet::LINK)]).unwrap();
    let guard = Guard::new(rules).ops(OpSet::all()).ask(oracle.clone());
    let source = Arc::new(Synthetic::new());
    let manager = Manager::builder().filter(guard).unwrap().start(source.clone()).unwrap();
    let mut first = operation(OpKind::Link, "/data/a", "/data/b");
    let caller = |process, user, command: &str| {
        Arc::new(Caller::known(process, CallerInfo { process, user, command: command.into() }))
    };
    first.caller = caller(77, 1234, "ln");
    let file = Arc::new(OwnedFd::from(File::open("/dev/null").unwrap()));
    assert_eq!(source.submit_with(first, file).wait(LONG), Some(DENIED));
    // Out of scope, not of the kinds, and by the application itself: not asked.
    let mut own = operation(OpKind::Open, "/data/own", "");
    own.caller = caller(4242, 0, "scanner");
    for operation in [operation(OpKind::Open, "/other", ""), operation(OpKind::Exec, "/data/x", ""), own] {
        assert_eq!(source.submit(operation).wait(LONG), Some(Verdict::Allow));
    }
    let asked = oracle.asked.lock().unwrap();
    let [(bytes, file)] = asked.as_slice() else { panic!("{asked:?}") };
    let question = Question::parse(bytes).unwrap();
    let Operation { kind, path, target, flags, caller, .. } = &*question.operation;
    assert_eq!((*kind, path.as_path(), target.as_path()), (OpKind::Link, Path::new("/data/a"), Path::new("/data/b")));
    assert_eq!((caller.process(), caller.user(), caller.command().to_str()), (77, 1234, Some("ln")));
    assert!(*file && question.file && *flags == OpFlags::empty());
    assert!(question.sequence == 0 && question.deadline > 0);
    assert_eq!(manager.counters().denied_by(By::Application), 1);
}

#[test]
fn every_kind_of_no_answer_has_its_name() {
    let cache = Answer { allow: true, flags: AnswerFlags::CACHE };
    let ok = |bytes: &[u8]| Some(Ok((Status::SUCCESS, bytes.to_vec())));
    let rows = [
        (ok(&Answer::ALLOW.to_bytes()), Verdict::Allow, By::Application, false),
        (ok(&cache.to_bytes()), Verdict::Allow, By::Application, true),
        (ok(&Answer::DENY.to_bytes()), DENIED, By::Application, false),
        (ok(&[0; 8]), DENIED, By::Nonsense, false),
        (ok(&[]), DENIED, By::Nonsense, false),
        (Some(Ok((Status::UNSUCCESSFUL, Answer::ALLOW.to_bytes().to_vec()))), DENIED, By::Nonsense, false),
        (Some(Err(By::Absent)), DENIED, By::Absent, false),
        (Some(Err(By::Disconnect)), DENIED, By::Disconnect, false),
        (None, DENIED, By::Deadline, false),
    ];
    for (reply, verdict, by, remembered) in rows {
        let oracle = Arc::new(Oracle::default());
        oracle.reply.lock().unwrap().clone_from(&reply);
        let guard = asking(oracle.clone(), &["**"]).on_miss(OnMiss::Deny).deadline(Duration::from_millis(30));
        let source = Arc::new(Synthetic::new());
        let manager = Manager::builder().filter(guard).unwrap().start(source.clone()).unwrap();
        let made = source.submit(operation(OpKind::Open, "/file", ""));
        assert_eq!((made.wait(LONG), made.remembered()), (Some(verdict), remembered), "{reply:?}");
        let counters = manager.counters();
        assert_eq!(counters.allowed_by(by) + counters.denied_by(by), 1, "{reply:?}");
        // An answer after the deadline changes nothing.
        for operation in oracle.kept.lock().unwrap().drain(..) {
            settle(operation, Ok((Status::SUCCESS, Answer::ALLOW.to_bytes().to_vec())));
        }
        assert_eq!((made.answers(), manager.counters().late), (1, u64::from(by == By::Deadline)));
    }
}

struct Stage {
    dir: tempfile::TempDir,
    applications: Applications,
    port: Port,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let applications = Applications::new();
        let options = PortOptions::default().max_connections(4).namespace(Namespace::at(dir.path().join("ports")));
        fs::create_dir(dir.path().join("ports")).unwrap();
        let options = options.security(any_user());
        let port = Port::create(r"\ScannerPort", options, applications.clone()).unwrap();
        Self { dir, applications, port }
    }

    fn connect(&self) -> Connection {
        let namespace = Namespace::at(self.dir.path().join("ports"));
        Connection::options().namespace(namespace).connect(r"\ScannerPort", b"").unwrap()
    }

    /// Runs a shell script under a guard that denies some files and asks about others below the directory, and gives its
    /// output.
    fn run(&self, script: &str, deny: &[&str], guard: impl Fn(Guard) -> Guard) -> (String, fltmgr::filter::Counters) {
        let files = self.dir.path().canonicalize().unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).current_dir(&files).stdin(Stdio::null()).env("LC_ALL", "C");
        let out = File::create(files.join("out")).unwrap();
        command.stdout(out.try_clone().unwrap()).stderr(out);
        let ask = Rule::ask([format!("{}/f*", files.display())]).kinds(OpSet::OPEN);
        let rules = Rules::new([Rule::deny(deny.iter().copied()), ask]).unwrap();
        let guard = guard(Guard::new(rules)).ask(Arc::new(self.applications.clone()));
        let source = Arc::new(Supervise::new(command));
        let manager = Manager::builder().filter(guard).unwrap().start(source.clone()).unwrap();
        source.wait().unwrap();
        manager.wait().unwrap();
        (fs::read_to_string(files.join("out")).unwrap(), manager.counters())
    }

    fn file(&self, name: &str, contents: &str) {
        fs::write(self.dir.path().join(name), contents).unwrap();
    }
}

fn any_user() -> fltmgr::SecurityDescriptor {
    "D:(A;;GA;;;WD)".parse().unwrap()
}

#[test]
fn a_scanner_decides_what_a_program_reads() {
    let stage = Stage::new();
    stage.file("f-good", "clean\n");
    stage.file("f-bad", "with EVIL in it\n");
    stage.file("f-locked", "never\n");
    let connection = Arc::new(stage.connect());
    let scanners: Vec<_> = (0..2)
        .map(|_| {
            let connection = connection.clone();
            std::thread::spawn(move || scan::serve(&connection, &scan::Patterns::new(["EVIL"])))
        })
        .collect();
    until(|| stage.applications.len() == 1);
    let guard = |guard: Guard| guard.on_miss(OnMiss::Deny).deadline(LONG);
    let script =
        "cat f-good; cat f-bad; cat f-locked; echo new > f-new && cat f-new; for i in 1 2 3 4 5; do cat f-good; done";
    let (out, counters) = stage.run(script, &["f-locked"], guard);
    let denied = |name: &str| format!("cat: {name}: Permission denied\n");
    let expected = ["clean\n".into(), denied("f-bad"), denied("f-locked"), "new\n".into(), "clean\n".repeat(5)];
    assert_eq!(out, expected.concat());
    assert_eq!((counters.denied_by(By::Application), counters.denied_by(By::Rule)), (1, 1));
    assert_eq!(counters.allowed_by(By::Application), 8);
    stage.port.unload();
    for scanner in scanners {
        scanner.join().unwrap().unwrap();
    }
}

#[test]
fn without_an_application_the_policy_decides() {
    for on_miss in [OnMiss::Allow, OnMiss::Deny] {
        let stage = Stage::new();
        stage.file("f", "text\n");
        let guard = |guard: Guard| guard.on_miss(on_miss).deadline(Duration::from_millis(200));
        let shown = |out: &str| out == "text\n";
        let (out, counters) = stage.run("cat f", &[], guard);
        assert_eq!(shown(&out), on_miss == OnMiss::Allow);
        assert_eq!(counters.allowed_by(By::Absent) + counters.denied_by(By::Absent), 1);
        // Connected, but it never receives.
        let silent = stage.connect();
        until(|| stage.applications.len() == 1);
        let (out, counters) = stage.run("cat f", &[], guard);
        assert_eq!(shown(&out), on_miss == OnMiss::Allow);
        assert_eq!(counters.missed_allow() + counters.missed_deny(), 1);
        // It receives, and goes away without an answer.
        let receiver = std::thread::spawn(move || {
            let message = silent.recv().unwrap();
            message.detach();
            drop(silent);
        });
        let patient = |guard: Guard| guard.on_miss(on_miss).deadline(LONG);
        let (out, counters) = stage.run("cat f", &[], patient);
        receiver.join().unwrap();
        assert_eq!(shown(&out), on_miss == OnMiss::Allow);
        assert_eq!(counters.allowed_by(By::Disconnect) + counters.denied_by(By::Disconnect), 1, "{counters:?}");
        until(|| stage.applications.is_empty());
    }
}

#[test]
fn an_application_stays_one_while_any_of_its_connections_does() {
    let stage = Stage::new();
    let me = std::process::id();
    let (first, second) = (stage.connect(), stage.connect());
    until(|| stage.applications.len() == 2);
    first.close();
    until(|| stage.applications.len() == 1);
    assert!(stage.applications.exempts(me));
    let third = stage.connect();
    second.close();
    until(|| stage.applications.len() == 1);
    assert!(stage.applications.exempts(me));
    third.close();
    until(|| !stage.applications.exempts(me));
}

/// It would wait for its own answer.
#[test]
fn an_application_is_who_uses_a_connection_whoever_made_it() {
    let stage = Stage::new();
    let (me, connection) = (std::process::id(), stage.connect());
    until(|| stage.applications.exempts(me));
    let mut other = Worker::with_handle_in(stage.dir.path(), "line", &connection);
    assert!(stage.applications.exempts(me) && stage.applications.exempts(other.process().pid()));
    connection.close();
    // its number may be another's by the time that the other process ends
    until(|| !stage.applications.exempts(me));
    assert!(stage.applications.exempts(other.process().pid()));
    other.kill();
    until(|| !stage.applications.exempts(other.process().pid()));
    until(|| stage.applications.is_empty());
}
