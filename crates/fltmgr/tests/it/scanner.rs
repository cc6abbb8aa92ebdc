//! The scanner that comes with the guard: nothing that one program opens keeps it from the others.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use fltmgr::filter::{By, Caller, CallerInfo, Manager, OnMiss, OpKind, OpSet, Operation, Verdict};
use fltmgr::guard::scan::{Patterns, Scanner};
use fltmgr::guard::{Applications, Guard};
use fltmgr::policy::{Rule, Rules};
use fltmgr::question::{Answer, Question};
use fltmgr::source::{Submitted, Synthetic};
use fltmgr::{Connection, Port, PortOptions, Status};
use testkit::{LONG, PORT, World, until};

const DENIED: Verdict = Verdict::Deny(Status::ACCESS_DENIED);

/// A guard that asks the applications of a port about every open.
struct Stage {
    port: Hangup,
    applications: Applications,
    source: Arc<Synthetic>,
    manager: Manager,
    world: World,
}

/// A port that is unloaded once.
struct Hangup(Mutex<Option<Port>>);

impl Hangup {
    /// Unloads it when what this gives is dropped.
    fn at_end(&self) -> impl Drop + '_ {
        struct End<'a>(&'a Hangup);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.0.lock().unwrap().take().expect("once").unload();
            }
        }
        End(self)
    }
}

impl Stage {
    fn new(deadline: Duration) -> Self {
        let world = World::new();
        let applications = Applications::new();
        let options = PortOptions::default().max_connections(2).security("D:(A;;GA;;;WD)".parse().unwrap());
        let port = Port::create(PORT, options.namespace(world.namespace()), applications.clone()).unwrap();
        let rules = Rules::new([Rule::ask(["**"]).kinds(OpSet::OPEN)]).unwrap();
        let guard = Guard::new(rules).ask(Arc::new(applications.clone())).on_miss(OnMiss::Deny).deadline(deadline);
        let source = Arc::new(Synthetic::new());
        let manager = Manager::builder().filter(guard).unwrap().start(source.clone()).unwrap();
        Self { port: Hangup(Mutex::new(Some(port))), applications, source, manager, world }
    }

    fn connect(&self) -> Connection {
        let connection = Connection::options().namespace(self.world.namespace()).connect(PORT, b"").unwrap();
        until(|| !self.applications.is_empty());
        connection
    }

    /// Runs `body` beside a scanner with two threads.
    fn scan<R>(&self, scanner: &Scanner, body: impl FnOnce() -> R) -> R {
        let connection = self.connect();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| scanner.serve(&connection))).collect();
            let result = {
                // A test that fails ends it too.
                let _end = self.port.at_end();
                body()
            };
            threads.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
            result
        })
    }

    /// An open by a process of a user.
    fn open(&self, user: u32, process: u32, file: Option<&Arc<OwnedFd>>) -> Submitted {
        let info = CallerInfo { process, user, command: "test".into() };
        let operation = Operation::new(OpKind::Open, "/some/file", Caller::known(process, info));
        self.source.submit_with(operation, file.cloned())
    }
}

/// A file with so many megabytes in it, none of which is what anything looks for.
fn file(megabytes: usize) -> Arc<OwnedFd> {
    let file = tempfile::tempfile().unwrap();
    let piece = b"nothing here ".repeat(90_000);
    for n in 0..megabytes {
        file.write_all_at(&piece[..1 << 20], (n as u64) << 20).unwrap();
    }
    Arc::new(file.into())
}

/// What takes long to look for.
fn many() -> Patterns {
    Patterns::new((0..16).map(|n| format!("nothing hers {n}")))
}

#[test]
fn a_scan_ends_with_its_question() {
    let stage = Stage::new(Duration::from_millis(200));
    let scanner = Scanner::new(many());
    stage.scan(&scanner, || {
        let large = file(512);
        let opens: Vec<_> = (0..4).map(|n| stage.open(1, n, Some(&large))).collect();
        for open in opens {
            assert_eq!(open.wait(LONG), Some(DENIED));
        }
        let start = Instant::now();
        until(|| scanner.counters().given_up == 4);
        assert!(start.elapsed() < Duration::from_secs(5), "it went on for {:?}", start.elapsed());
        assert_eq!(scanner.counters().scanned, 0);
        assert_eq!(stage.manager.counters().denied_by(By::Deadline), 4);
    });
}

/// Of one user with many large files, of many processes.
#[test]
fn large_files_do_not_keep_others_from_their_turn() {
    let stage = Stage::new(LONG);
    let scanner = Scanner::new(many());
    stage.scan(&scanner, || {
        let large: Vec<_> = (0..16).map(|_| file(64)).collect();
        let opens: Vec<_> = (0..16).map(|n| stage.open(1, n as u32, Some(&large[n]))).collect();
        let start = Instant::now();
        let foul = file(1);
        File::from(foul.try_clone().unwrap()).write_all_at(b"nothing hers 7", 999_999).unwrap();
        for user in 2..6 {
            assert_eq!(stage.open(user, 100 + user, Some(&foul)).wait(LONG), Some(DENIED));
        }
        let others = start.elapsed();
        assert!(opens.iter().any(|open| open.verdict().is_none()), "all large ones were done after {others:?}");
        assert_eq!(stage.manager.counters().denied_by(By::Application), 4);
    });
}

#[test]
fn one_file_is_one_scan_for_all_that_wait() {
    let stage = Stage::new(LONG);
    let scanner = Scanner::new(many());
    stage.scan(&scanner, || {
        let large = file(4);
        let start = Instant::now();
        assert_eq!(stage.open(1, 1, Some(&large)).wait(LONG), Some(Verdict::Allow));
        let once = start.elapsed();
        let start = Instant::now();
        let opens: Vec<_> = (0..200).map(|n| stage.open(1, n, Some(&large))).collect();
        assert!(opens.iter().all(|open| open.wait(LONG) == Some(Verdict::Allow)));
        assert!(start.elapsed() < once * 60, "{:?} for 200 where one takes {once:?}", start.elapsed());
        until(|| scanner.counters().scanned == 201);
    });
}

#[test]
fn what_is_not_looked_at_is_no_verdict() {
    let stage = Stage::new(LONG);
    let scanner = Scanner::new(Patterns::new(["foul"])).max_scan(1 << 20);
    stage.scan(&scanner, || {
        let large = file(2);
        assert_eq!(stage.open(1, 1, Some(&large)).wait(LONG), Some(DENIED));
        assert_eq!(stage.manager.counters().denied_by(By::Unscanned), 1);
        // What is found in the part that is looked at is found.
        File::from(large.try_clone().unwrap()).write_all_at(b"foul", 1000).unwrap();
        assert_eq!(stage.open(1, 1, Some(&large)).wait(LONG), Some(DENIED));
        assert_eq!(stage.manager.counters().denied_by(By::Application), 1);
        // Holes do not count.
        let sparse = tempfile::tempfile().unwrap();
        sparse.set_len(1 << 40).unwrap();
        assert_eq!(stage.open(1, 1, Some(&Arc::new(sparse.into()))).wait(LONG), Some(Verdict::Allow));
        // Counted a moment after they are answered.
        until(|| (scanner.counters().scanned, scanner.counters().unscanned) == (2, 1));
    });
}

/// Answers every question with *allow*; gives the users in the order in which they were asked about.
fn allow_all(connection: &Connection, number: usize) -> Vec<u32> {
    let mut users = Vec::new();
    while users.len() < number {
        let message = connection.recv().unwrap();
        users.push(Question::parse(message.body()).unwrap().operation.caller.user());
        // Fails if the operation was decided meanwhile.
        let _ = message.reply(Status::SUCCESS, &Answer::ALLOW.to_bytes());
    }
    users
}

#[test]
fn more_questions_than_a_port_takes_wait() {
    const OPENS: usize = 4_000;
    let stage = Stage::new(LONG);
    let connection = stage.connect();
    let opens: Vec<_> = (0..OPENS).map(|n| stage.open(1, n as u32 % 7, None)).collect();
    until(|| stage.manager.outstanding().len() == OPENS);
    allow_all(&connection, OPENS);
    assert!(opens.iter().all(|open| open.wait(LONG) == Some(Verdict::Allow)));
    assert_eq!(stage.manager.counters().allowed_by(By::Application), OPENS as u64);
}

#[test]
fn more_questions_than_a_port_takes_end_with_their_deadline() {
    const OPENS: usize = 4_000;
    let stage = Stage::new(Duration::from_millis(500));
    let connection = stage.connect();
    let start = Instant::now();
    let opens: Vec<_> = (0..OPENS).map(|n| stage.open(1, n as u32 % 7, None)).collect();
    assert!(opens.iter().all(|open| open.wait(LONG) == Some(DENIED)));
    assert!(start.elapsed() >= Duration::from_millis(500));
    until(|| stage.manager.counters().denied_by(By::Deadline) == OPENS as u64);
    // Nothing is left that is in the way of those that come later.
    let open = stage.open(2, 1, None);
    // The port's own time for a question may end a moment after the operation's.
    while allow_all(&connection, 1) != [2] {}
    assert_eq!(open.wait(LONG), Some(Verdict::Allow));
}

#[test]
fn one_users_questions_do_not_stand_before_all_of_anothers() {
    const OPENS: usize = 3_000;
    let stage = Stage::new(LONG);
    let connection = stage.connect();
    let mut opens: Vec<_> = (0..OPENS).map(|n| stage.open(1, n as u32, None)).collect();
    until(|| stage.manager.outstanding().len() == OPENS);
    opens.push(stage.open(2, 9_999, None));
    let users = allow_all(&connection, OPENS + 1);
    let place = users.iter().position(|&user| user == 2).unwrap();
    assert!(place < 1_100, "the other user's question was the {place}th");
    assert!(opens.iter().all(|open| open.wait(LONG) == Some(Verdict::Allow)));
}

/// The last application goes while more wait than it was asked about.
#[test]
fn what_waits_for_an_application_that_goes_is_a_miss() {
    const OPENS: usize = 2_500;
    let stage = Stage::new(LONG);
    let connection = stage.connect();
    let opens: Vec<_> = (0..OPENS).map(|_| stage.open(1, 1, None)).collect();
    until(|| stage.manager.outstanding().len() == OPENS);
    connection.close();
    assert!(opens.iter().all(|open| open.wait(LONG) == Some(DENIED)));
    let counters = stage.manager.counters();
    assert_eq!(counters.denied_by(By::Disconnect) + counters.denied_by(By::Absent), OPENS as u64, "{counters:?}");
}

/// Many threads ask, answer and give up at one time: each operation is answered, and no place is lost.
#[test]
fn places_come_back_whatever_ends_a_question() {
    const THREADS: usize = 8;
    const EACH: usize = 1_000;
    let stage = Stage::new(Duration::from_millis(20));
    let connection = stage.connect();
    let (together, answered) = (Barrier::new(THREADS), AtomicUsize::new(0));
    let opens = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for n in 0..THREADS {
            let (stage, together, opens) = (&stage, &together, &opens);
            scope.spawn(move || {
                together.wait();
                let made: Vec<_> = (0..EACH).map(|_| stage.open(n as u32 % 3, n as u32, None)).collect();
                opens.lock().unwrap().extend(made);
            });
        }
        scope.spawn(|| {
            // Answers some, and leaves others to their deadline.
            while let Ok(Some(message)) = connection.recv_timeout(Duration::from_secs(2)) {
                if message.id() % 3 == 0 {
                    message.detach();
                } else if message.reply(Status::SUCCESS, &Answer::ALLOW.to_bytes()).is_ok() {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    });
    assert!(opens.lock().unwrap().iter().all(|open| open.wait(LONG).is_some() && open.answers() == 1));
    let open = stage.open(9, 9, None);
    while allow_all(&connection, 1) != [9] {}
    assert_eq!(open.wait(LONG), Some(Verdict::Allow), "after {} answers", answered.load(Ordering::Relaxed));
}
