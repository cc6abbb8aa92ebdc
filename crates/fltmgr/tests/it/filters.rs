//! The manager's promises, on made-up operations.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fltmgr::filter::{Altitude, By, Filter, Manager, OnMiss, OpKind, OpSet, Operation, PreOperation, Verdict};
use fltmgr::source::{Source, Synthetic, Waiting};
use fltmgr::{Error, Status};
use testkit::until;

use crate::rule::{PATIENT, Rule, keeper, rule};

const SHORT: Duration = Duration::from_millis(30);
const DENIED: Verdict = Verdict::Deny(Status::ACCESS_DENIED);

fn open() -> Operation {
    Synthetic::operation(OpKind::Open, "/some/file")
}

#[test]
fn higher_filters_are_asked_first_and_a_deny_ends_it() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let logging = |altitude: u32, deny: &'static str| {
        let log = log.clone();
        rule(altitude, move |operation| {
            log.lock().unwrap().push(altitude);
            if operation.path.to_str() == Some(deny) {
                assert!(operation.deny(Status::ACCESS_DENIED));
            } else {
                assert!(operation.allow());
            }
        })
    };
    let source = Arc::new(Synthetic::new());
    let builder = Manager::builder();
    let builder = builder.filter(logging(1, "/low")).unwrap().filter(logging(30, "/high")).unwrap();
    let manager = builder.filter(logging(7, "/middle")).unwrap().start(source.clone()).unwrap();
    let ask = |path: &str| {
        let verdict = source.submit(Synthetic::operation(OpKind::Open, path)).wait(PATIENT).unwrap();
        (verdict, std::mem::take(&mut *log.lock().unwrap()))
    };
    assert_eq!(ask("/none"), (Verdict::Allow, vec![30, 7, 1]));
    assert_eq!(ask("/high"), (DENIED, vec![30]));
    assert_eq!(ask("/middle"), (DENIED, vec![30, 7]));
    assert_eq!(ask("/low"), (DENIED, vec![30, 7, 1]));
    let exec = source.submit(Synthetic::operation(OpKind::Exec, "/low"));
    assert_eq!((exec.wait(PATIENT), log.lock().unwrap().len()), (Some(Verdict::Allow), 0));
    let counters = manager.counters();
    assert_eq!((counters.asked, counters.allowed(), counters.denied()), (4, 1, 3));
}

#[test]
fn one_altitude_takes_one_filter() {
    let builder = Manager::builder().filter(rule(7, drop)).unwrap();
    let error = builder.filter(rule(7, drop)).unwrap_err();
    assert_eq!(error.status(), Status::FLT_INSTANCE_ALTITUDE_COLLISION);
}

#[test]
fn what_a_source_can_not_hold_back_is_an_error() {
    let source = Arc::new(Synthetic::with_capabilities(OpSet::OPEN));
    let wants = Rule { ops: OpSet::OPEN | OpSet::RENAME, ..rule(1, drop) };
    let error = Manager::builder().filter(wants).unwrap().start(source).unwrap_err();
    assert_eq!(error.status(), Status::NOT_SUPPORTED);
    assert!(error.to_string().contains("can not hold back rename"), "{error}");
    let error = Manager::builder().start(Arc::new(Synthetic::new())).unwrap_err();
    assert_eq!(error.status(), Status::INVALID_PARAMETER);
}

#[test]
fn the_deadline_answers_by_policy_and_a_late_answer_is_told() {
    for (on_miss, expected) in [(OnMiss::Allow, Verdict::Allow), (OnMiss::Deny, DENIED)] {
        let (keeper, operations) = keeper(5);
        let source = Arc::new(Synthetic::new());
        let filter = Rule { deadline: SHORT, on_miss, ..keeper };
        let manager = Manager::builder().filter(filter).unwrap().start(source.clone()).unwrap();
        let start = Instant::now();
        let made = source.submit(open());
        let operation = operations.recv_timeout(PATIENT).unwrap();
        assert!(operation.remaining() <= SHORT);
        assert_eq!(manager.outstanding().len(), usize::from(made.verdict().is_none()));
        assert_eq!(made.wait(PATIENT), Some(expected));
        assert!(start.elapsed() >= SHORT, "{:?}", start.elapsed());
        assert!(!operation.deny(Status::ACCESS_DENIED), "too late");
        assert_eq!(made.answers(), 1);
        let counters = manager.counters();
        assert_eq!(counters.missed_allow(), u64::from(expected == Verdict::Allow));
        assert_eq!(counters.missed_deny(), u64::from(expected != Verdict::Allow));
        assert_eq!(counters.allowed_by(By::Deadline) + counters.denied_by(By::Deadline), 1);
        assert_eq!((counters.late, manager.outstanding().len()), (1, 0));
    }
}

#[test]
fn a_missed_filter_does_not_hide_the_one_below() {
    let (keeper, kept) = keeper(9);
    let below = rule(1, |operation| assert!(operation.deny(Status::ACCESS_DENIED)));
    let source = Arc::new(Synthetic::new());
    let above = Rule { deadline: SHORT, ..keeper };
    let manager = Manager::builder().filter(above).unwrap().filter(below).unwrap().start(source.clone()).unwrap();
    let made = source.submit(open());
    assert_eq!(made.wait(PATIENT), Some(DENIED));
    assert!(!kept.recv_timeout(PATIENT).unwrap().allow());
    assert_eq!((manager.counters().denied(), manager.counters().late), (1, 1));
}

#[test]
fn a_dropped_operation_and_a_panic_answer_by_policy() {
    let careless = Rule { on_miss: OnMiss::Deny, ..rule(5, drop) };
    let clumsy = rule(9, |operation| {
        if operation.path.ends_with("boom") {
            std::panic::resume_unwind(Box::new("a bug"));
        }
        operation.allow();
    });
    let source = Arc::new(Synthetic::new());
    let manager = Manager::builder().filter(careless).unwrap().filter(clumsy).unwrap().start(source.clone()).unwrap();
    assert_eq!(source.submit(open()).wait(PATIENT), Some(DENIED));
    assert_eq!(source.submit(Synthetic::operation(OpKind::Open, "/boom")).wait(PATIENT), Some(DENIED));
    assert_eq!(manager.counters().denied_by(By::Dropped), 2);
    // The drop is a part of the panic, which is counted when it is over.
    until(|| manager.counters().panicked == 1);
}

#[test]
fn stopping_answers_what_waits() {
    let (keeper, kept) = keeper(9);
    let strict = Rule { on_miss: OnMiss::Deny, ..rule(1, |_| unreachable!("no filter is asked at the end")) };
    let source = Arc::new(Synthetic::new());
    let manager = Manager::builder().filter(keeper).unwrap().filter(strict).unwrap().start(source.clone()).unwrap();
    let made: Vec<_> = (0..3).map(|_| source.submit(open())).collect();
    let operations: Vec<_> = (0..3).map(|_| kept.recv_timeout(PATIENT).unwrap()).collect();
    manager.stop();
    manager.wait().unwrap();
    assert!(made.iter().all(|made| made.wait(PATIENT) == Some(DENIED)), "the strict filter below has its say");
    assert!(operations.into_iter().all(|operation| !operation.allow()));
    assert_eq!(manager.counters().denied_by(By::End), 3);
    assert_eq!(source.submit(open()).wait(PATIENT), Some(Verdict::Allow), "nothing is held back any more");
}

/// Keeps every operation, and tells when it is about to be given one, until it may be.
struct Late {
    about: SyncSender<()>,
    go: Mutex<Receiver<()>>,
    kept: Mutex<Vec<PreOperation>>,
}

impl Filter for Late {
    fn name(&self) -> &str {
        "late"
    }
    fn altitude(&self) -> Altitude {
        Altitude::from(1)
    }
    fn ops(&self) -> OpSet {
        OpSet::OPEN
    }
    fn deadline(&self) -> Duration {
        self.about.send(()).unwrap();
        self.go.lock().unwrap().recv().unwrap();
        PATIENT
    }
    fn pre(&self, operation: PreOperation) {
        self.kept.lock().unwrap().push(operation);
    }
}

#[test]
fn stopping_answers_what_is_about_to_wait() {
    let (about, coming) = sync_channel(1);
    let (go, gone) = sync_channel(1);
    let filter = Late { about, go: Mutex::new(gone), kept: Mutex::default() };
    let source = Arc::new(Synthetic::new());
    let manager = Manager::builder().filter(filter).unwrap().start(source.clone()).unwrap();
    let made = source.submit(open());
    coming.recv().unwrap();
    manager.stop();
    go.send(()).unwrap();
    assert_eq!(made.wait(PATIENT / 3), Some(Verdict::Allow));
    assert_eq!(manager.counters().allowed_by(By::End), 1);
}

#[test]
fn overload_is_answered_at_once() {
    let (keeper, kept) = keeper(9);
    let source = Arc::new(Synthetic::new());
    let strict = Rule { on_miss: OnMiss::Deny, ..keeper };
    let manager = Manager::builder().filter(strict).unwrap().max_waiting(2).start(source.clone()).unwrap();
    let held = [source.submit(open()), source.submit(open())];
    let operations = [kept.recv_timeout(PATIENT).unwrap(), kept.recv_timeout(PATIENT).unwrap()];
    assert_eq!(source.submit(open()).wait(PATIENT), Some(DENIED));
    assert_eq!(manager.counters().denied_by(By::Overload), 1);
    assert!(operations.into_iter().all(PreOperation::allow));
    assert!(held.iter().all(|made| made.wait(PATIENT) == Some(Verdict::Allow)));
}

/// Many threads answer, drop and time out at once; every operation gets one answer.
#[test]
fn every_operation_is_answered_once() {
    let (give, take): (Sender<PreOperation>, Receiver<PreOperation>) = unbounded();
    let give = Mutex::new(give);
    let busy = Rule {
        deadline: Duration::from_millis(2),
        ..rule(5, move |operation| give.lock().unwrap().send(operation).unwrap())
    };
    let source = Arc::new(Synthetic::new());
    let manager = Manager::builder().filter(busy).unwrap().start(source.clone()).unwrap();
    let take = Arc::new(Mutex::new(take));
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let take = take.clone();
            std::thread::spawn(move || {
                let mut given = 0;
                loop {
                    let next = take.lock().unwrap().recv_timeout(Duration::from_millis(500));
                    let Ok(operation) = next else { return given };
                    match (operation.sequence() + worker) % 4 {
                        0 => drop(operation),
                        1 => given += u64::from(operation.deny(Status::ACCESS_DENIED)),
                        _ => given += u64::from(operation.allow()),
                    }
                }
            })
        })
        .collect();
    let made: Vec<_> = (0..5_000).map(|_| source.submit(open())).collect();
    assert!(made.iter().all(|made| made.wait(PATIENT).is_some()));
    let given: u64 = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
    assert!(made.iter().all(|made| made.answers() == 1));
    let counters = manager.counters();
    assert_eq!(counters.allowed() + counters.denied(), given);
    assert_eq!(counters.allowed() + counters.denied() + counters.missed_allow() + counters.missed_deny(), 5_000);
    assert_eq!(manager.outstanding().len(), 0);
}

/// The operations themselves are the limit here.
#[allow(clippy::disallowed_methods)]
fn unbounded() -> (Sender<PreOperation>, Receiver<PreOperation>) {
    std::sync::mpsc::channel()
}

#[test]
fn records_say_what_happened_and_never_wait() {
    let source = Arc::new(Synthetic::new());
    let rule = rule(5, |operation| assert!(operation.deny(Status::ACCESS_DENIED)));
    let (builder, records) = Manager::builder().filter(rule).unwrap().records(2);
    let manager = builder.start(source.clone()).unwrap();
    for _ in 0..5 {
        source.submit(open()).wait(PATIENT).unwrap();
    }
    // The record of the last one follows its answer.
    until(|| manager.counters().records_dropped == 3);
    let record = records.recv().unwrap();
    let operation = &record.operation;
    assert_eq!((record.sequence, operation.kind, operation.path.to_str()), (0, OpKind::Open, Some("/some/file")));
    assert_eq!((record.verdict, record.by, record.filter), (DENIED, By::Rule, Some(("test".into(), 5.into()))));
    assert_eq!(
        (operation.caller.process(), operation.caller.command().to_str()),
        (std::process::id(), Some("synthetic"))
    );
    assert_eq!(records.recv().unwrap().sequence, 1);
    drop(manager);
    assert!(records.recv().is_none());
}

/// A source that fails at once.
#[derive(Debug, Default)]
struct Broken(AtomicU32);

impl Source for Broken {
    fn name(&self) -> &str {
        "broken"
    }
    fn capabilities(&self) -> OpSet {
        OpSet::all()
    }
    fn threads(&self) -> usize {
        3
    }
    fn start(&self, _: OpSet) -> Result<(), Error> {
        Ok(())
    }
    fn next(&self) -> Result<Option<Box<dyn Waiting>>, Error> {
        Err(Error::new(Status::IO_DEVICE_ERROR, "reading what cannot be read"))
    }
    fn stop(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// It may hold programs back that would have no answer.
#[test]
fn a_source_that_nobody_can_read_is_stopped() {
    let source = Arc::new(Broken::default());
    let manager = Manager::builder().filter(rule(1, drop)).unwrap().start(source.clone()).unwrap();
    assert_eq!(manager.wait().unwrap_err().status(), Status::IO_DEVICE_ERROR);
    assert!(source.0.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_callback_that_blocks_holds_up_its_own_operation_only() {
    let (block, blocked) = sync_channel::<()>(0);
    let blocked = Arc::new(Mutex::new(blocked));
    let pre = move |operation: PreOperation| {
        if operation.path.to_str() == Some("/blocks") {
            // waits for the end of the test, one after the other
            let _ = blocked.lock().unwrap().recv();
        }
        operation.allow();
    };
    let source = Arc::new(Synthetic::new());
    let slow = Rule { deadline: SHORT, on_miss: OnMiss::Deny, ..rule(7, pre) };
    let manager = Manager::builder().filter(slow).unwrap().start(source.clone()).unwrap();
    for held in 1..=20 {
        let stuck = source.submit(Synthetic::operation(OpKind::Open, "/blocks"));
        let others: Vec<_> = (0..10).map(|_| source.submit(Synthetic::operation(OpKind::Open, "/some/file"))).collect();
        // answered by their filter, or by their deadline when the machine was slow: never not at all
        others.iter().for_each(|other| assert!(other.wait(PATIENT).is_some()));
        assert_eq!(stuck.wait(PATIENT), Some(DENIED), "its deadline counts, although the call has not returned");
        assert!(manager.counters().denied_by(By::Deadline) >= held);
    }
    drop(block);
    drop(manager);
}

#[test]
fn a_callback_that_blocks_lower_down_holds_no_deadline_up() {
    let (block, blocked) = sync_channel::<()>(0);
    let blocked = Arc::new(Mutex::new(blocked));
    let stuck = move |operation: PreOperation| {
        let _ = blocked.lock().unwrap().recv();
        operation.allow();
    };
    // the upper one never answers, so that the lower one is asked because of a deadline
    let (upper, held) = keeper(9);
    let upper = Rule { deadline: SHORT, on_miss: OnMiss::Allow, ..upper };
    let lower = Rule { deadline: SHORT, on_miss: OnMiss::Deny, ..rule(7, stuck) };
    let source = Arc::new(Synthetic::new());
    let manager = Manager::builder().filter(upper).unwrap().filter(lower).unwrap().start(source.clone()).unwrap();
    let made: Vec<_> = (0..10).map(|_| source.submit(Synthetic::operation(OpKind::Open, "/some/file"))).collect();
    for made in made {
        assert_eq!(made.wait(PATIENT), Some(DENIED));
    }
    drop(block);
    drop((manager, held));
}
