//! Waiting for what must happen, and ending what does not end.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::number_from;

/// Long enough that only a hang gets there.
pub const LONG: Duration = Duration::from_secs(30);

/// How many times longer everything takes here: `FLTMGR_SLOW`, which an emulated machine sets.
#[must_use]
pub fn slow() -> u32 {
    u32::try_from(number_from("FLTMGR_SLOW", 1)).expect("a small number")
}

/// How much later than it should something may happen on a machine that does other things too: a second, or
/// `FLTMGR_SLACK_MS`, which `just deep` makes small on a machine that does nothing else.
#[must_use]
pub fn slack() -> Duration {
    Duration::from_millis(number_from("FLTMGR_SLACK_MS", 1_000)) * slow()
}

/// What a look may find: `true`, or `Some` value.
pub trait Found {
    /// What is found.
    type Value;

    /// It, if it is there.
    fn found(self) -> Option<Self::Value>;
}

impl Found for bool {
    type Value = ();

    fn found(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Found for Option<T> {
    type Value = T;

    fn found(self) -> Self {
        self
    }
}

/// Looks until something is found, and fails the test when that does not happen in [`LONG`].
#[track_caller]
pub fn until<F: Found>(look: impl FnMut() -> F) -> F::Value {
    match within(LONG * slow(), look) {
        Some(value) => value,
        None => panic!("what this waits for did not happen"),
    }
}

/// Looks until something is found or `patience` is over.
pub fn within<F: Found>(patience: Duration, mut look: impl FnMut() -> F) -> Option<F::Value> {
    // How often to look, not how long something takes: often at first, because most things happen soon.
    const OFTEN: Duration = Duration::from_millis(20);
    let start = Instant::now();
    loop {
        if let Some(value) = look().found() {
            return Some(value);
        }
        let passed = start.elapsed();
        if passed >= patience {
            return None;
        }
        std::thread::park_timeout(Duration::from_micros(if passed < OFTEN { 100 } else { 2_000 }));
    }
}

/// Which thread this is, for [`until_it_sleeps`].
#[must_use]
pub fn this_thread() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// Waits until a thread of this process sleeps, by what the kernel says of it.
#[track_caller]
pub fn until_it_sleeps(thread: i32) {
    let stat = format!("/proc/self/task/{thread}/stat");
    until(|| {
        let stat = std::fs::read_to_string(&stat).expect("a thread that runs");
        // behind the name, which may have anything in it
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('S'))
    });
}

/// Ends the test program when it is not dropped in time.
#[derive(Debug)]
#[must_use]
pub struct Watchdog(#[expect(dead_code, reason = "its drop is the sign")] SyncSender<()>);

/// A deadline for a test that may hang: the program is aborted after this patience (longer on a [`slow`] machine), unless
/// the [`Watchdog`] is dropped before.
pub fn watchdog(patience: Duration) -> Watchdog {
    let (alive, over) = sync_channel(0);
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    std::thread::spawn(move || {
        if over.recv_timeout(patience * slow()) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{test} hangs");
            std::process::abort();
        }
    });
    Watchdog(alive)
}
