//! Events, semaphores, mutexes, timers, time, work.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fltkernel::edge::Ptr;
use fltkernel::kernel::events::*;
use fltkernel::kernel::memory::*;
use fltkernel::kernel::report::{Rule, capture};
use fltkernel::kernel::time::*;
use fltkernel::kernel::work::*;
use fltkernel::nt::status;

struct Place(Box<[u64; 16]>);

impl Place {
    fn new() -> Self {
        Self(Box::new([0; 16]))
    }

    fn at<T>(&self) -> Ptr<T> {
        Ptr::new(self.0.as_ptr().cast_mut()).cast()
    }
}

fn wait(object: &Place, ticks: Option<i64>) -> status::Status {
    let mut ticks = ticks;
    let timeout = ticks.as_mut().map_or(Ptr::NULL, |ticks| Ptr::new(ticks));
    KeWaitForSingleObject(object.at(), 0, 0, 0, timeout)
}

#[test]
fn a_notification_event_stays_set() {
    let event = Place::new();
    KeInitializeEvent(event.at(), 0, 0);
    assert_eq!(wait(&event, Some(0)), status::TIMEOUT);
    assert_eq!(KeSetEvent(event.at(), 0, 0), 0);
    assert_eq!(KeSetEvent(event.at(), 0, 0), 1, "the state before");
    assert_eq!((wait(&event, Some(0)), wait(&event, None)), (status::SUCCESS, status::SUCCESS));
    assert_eq!((KeResetEvent(event.at()), KeReadStateEvent(event.at())), (1, 0));
}

#[test]
fn a_synchronization_event_releases_one() {
    let event = Place::new();
    KeInitializeEvent(event.at(), 1, 1);
    assert_eq!((wait(&event, Some(0)), wait(&event, Some(0))), (status::SUCCESS, status::TIMEOUT));
}

#[test]
fn a_wait_ends_when_the_event_is_set() {
    let event = Place::new();
    KeInitializeEvent(event.at(), 0, 0);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&event, Some(-100_000_000)));
        KeSetEvent(event.at(), 0, 0);
        assert_eq!(waiter.join().ok(), Some(status::SUCCESS));
    });
}

#[test]
fn KeWaitForSingleObject_ends_at_its_deadline() {
    let event = Place::new();
    KeInitializeEvent(event.at(), 0, 0);
    let began = Instant::now();
    assert_eq!(wait(&event, Some(-200_000)), status::TIMEOUT);
    assert!(began.elapsed() >= Duration::from_millis(20));
    assert_eq!(wait(&event, Some(1)), status::TIMEOUT, "a time that is over");
}

#[test]
fn a_semaphore_counts() {
    let semaphore = Place::new();
    KeInitializeSemaphore(semaphore.at(), 0, 2);
    assert_eq!(KeReleaseSemaphore(semaphore.at(), 0, 2, 0), 0);
    assert_eq!(KeReadStateSemaphore(semaphore.at()), 2);
    let waits: Vec<_> = (0..3).map(|_| wait(&semaphore, Some(0))).collect();
    assert_eq!(waits, [status::SUCCESS, status::SUCCESS, status::TIMEOUT]);
}

#[test]
fn a_mutex_is_had_several_times() {
    let mutex = Place::new();
    KeInitializeMutex(mutex.at(), 0);
    assert_eq!((wait(&mutex, Some(0)), wait(&mutex, Some(0))), (status::SUCCESS, status::SUCCESS));
    let other = thread::scope(|scope| scope.spawn(|| wait(&mutex, Some(0))).join().ok());
    assert_eq!(other, Some(status::TIMEOUT));
    assert_eq!(
        (KeReleaseMutex(mutex.at(), 0), KeReleaseMutex(mutex.at(), 0), KeReadStateMutex(mutex.at())),
        (-1, 0, 1)
    );
}

#[test]
fn KeWaitForMultipleObjects_gives_the_index_or_waits_for_all() {
    let (a, b) = (Place::new(), Place::new());
    KeInitializeEvent(a.at(), 0, 0);
    KeInitializeEvent(b.at(), 1, 1);
    let mut both = [a.at(), b.at()];
    let mut now = 0i64;
    let mut ask =
        |any| KeWaitForMultipleObjects(2, Ptr::new(both.as_mut_ptr()), any, 0, 0, 0, Ptr::new(&raw mut now), Ptr::NULL);
    assert_eq!(ask(0), status::TIMEOUT);
    assert_eq!(ask(1), status::WAIT_1);
    assert_eq!(ask(1), status::TIMEOUT, "the wait took the event");
    let (_, rules) = capture(|| KeWaitForMultipleObjects(0, Ptr::NULL, 1, 0, 0, 0, Ptr::NULL, Ptr::NULL));
    assert_eq!(rules, [Rule::Arg]);
}

#[test]
fn KeSetTimer_signals_when_it_is_due() {
    let timer = Place::new();
    KeInitializeTimer(timer.at());
    assert_eq!(KeSetTimer(timer.at(), -100_000, Ptr::NULL), 0);
    assert_eq!(wait(&timer, Some(-100_000_000)), status::SUCCESS);
    assert_eq!(KeSetTimer(timer.at(), -100_000_000, Ptr::NULL), 0);
    assert_eq!((KeCancelTimer(timer.at()), KeCancelTimer(timer.at())), (1, 0));
}

static RUNS: AtomicU32 = AtomicU32::new(0);

extern "C" fn routine(dpc: Ptr<Dpc>, context: Ptr, _: Ptr, _: Ptr) {
    let _ = dpc;
    RUNS.fetch_add(u32::from(fltkernel::kernel::irql::level() == fltkernel::kernel::irql::DISPATCH), Ordering::SeqCst);
    KeSetEvent(context.cast(), 0, 0);
}

#[test]
fn a_dpc_runs_at_DISPATCH_LEVEL() {
    let (event, dpc) = (Place::new(), Place::new());
    KeInitializeEvent(event.at(), 0, 0);
    KeInitializeDpc(dpc.at(), Ptr::at_address(routine as *const () as usize), event.at());
    assert_eq!(KeInsertQueueDpc(dpc.at(), Ptr::NULL, Ptr::NULL), 1);
    assert_eq!(wait(&event, Some(-100_000_000)), status::SUCCESS);
    assert_eq!(RUNS.load(Ordering::SeqCst), 1);
}

#[test]
fn KeQuerySystemTime_counts_from_1601() {
    let mut now = 0;
    KeQuerySystemTime(Ptr::new(&raw mut now));
    let mut fields = TimeFields::default();
    RtlTimeToTimeFields(Ptr::new(&raw mut now), Ptr::new(&raw mut fields));
    assert!((2024..2100).contains(&fields.year), "{fields:?}");
}

#[test]
fn RtlTimeToTimeFields_and_back() {
    // 2000-02-29 was a Tuesday
    let known =
        TimeFields { year: 2000, month: 2, day: 29, hour: 12, minute: 34, second: 56, milliseconds: 789, weekday: 2 };
    let (mut fields, mut time) = (known, 0);
    assert_eq!(RtlTimeFieldsToTime(Ptr::new(&raw mut fields), Ptr::new(&raw mut time)), 1);
    let mut back = TimeFields::default();
    RtlTimeToTimeFields(Ptr::new(&raw mut time), Ptr::new(&raw mut back));
    assert_eq!(back, known);
    fields.day = 30;
    assert_eq!(RtlTimeFieldsToTime(Ptr::new(&raw mut fields), Ptr::new(&raw mut time)), 0);
    let mut seconds = 0;
    assert_eq!(RtlTimeToSecondsSince1970(Ptr::new(&raw mut time), Ptr::new(&raw mut seconds)), 1);
    assert_eq!(seconds, 951_827_696);
}

#[test]
fn queued_work_is_done() {
    let event = Place::new();
    KeInitializeEvent(event.at(), 0, 0);
    let at = event.at();
    queue(move || _ = KeSetEvent(at, 0, 0));
    assert_eq!(wait(&event, Some(-100_000_000)), status::SUCCESS);
}

#[test]
fn ExAcquireRundownProtection_says_no_after_the_wait_began() {
    let rundown = Place::new();
    ExInitializeRundownProtection(rundown.at());
    assert_eq!(ExAcquireRundownProtection(rundown.at()), 1);
    ExReleaseRundownProtection(rundown.at());
    ExWaitForRundownProtectionRelease(rundown.at());
    assert_eq!(ExAcquireRundownProtection(rundown.at()), 0);
    ExReInitializeRundownProtection(rundown.at());
    assert_eq!(ExAcquireRundownProtection(rundown.at()), 1);
}

#[test]
fn MmGetSystemAddressForMdlSafe_gives_the_memory() {
    let mut memory = [7u8; 10];
    let at = Ptr::new(memory.as_mut_ptr());
    let mdl = IoAllocateMdl(at, 10, 0, 0, Ptr::NULL);
    MmBuildMdlForNonPagedPool(mdl);
    assert_eq!(MmGetSystemAddressForMdlSafe(mdl, 0), at);
    IoFreeMdl(mdl);
}

#[test]
fn MmIsAddressValid_asks_the_kernel() {
    let local = 0u8;
    assert_eq!(MmIsAddressValid(Ptr::at_address((&raw const local) as usize)), 1);
    assert_eq!(MmIsAddressValid(Ptr::at_address(8)), 0);
}
