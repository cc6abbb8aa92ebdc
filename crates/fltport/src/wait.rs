//! Looking, then spinning while it pays, then sleeping.

use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::costs::{self, Costs};
use proto::pieces::Look;
use proto::wait::Patience;
use sys::clock::{self, Deadline};
use sys::fork::Once;
use sys::futex::{self, Futex, Slept};

/// How long a filter's send may take, from waiting for a receive buffer to the reply: one budget for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[doc(alias = "PLARGE_INTEGER")]
pub enum Timeout {
    /// As long as it takes. On Windows: a NULL pointer.
    #[default]
    Never,
    /// Not at all: what is there already is used. On Windows: a pointer to 0. A message of more than 64 KiB goes in pieces
    /// that its receiver reads, for which this leaves no time.
    Poll,
    /// This long from the call. On Windows: a negative number of 100 ns.
    After(Duration),
    /// Until the system's clock says so, however it is set meanwhile. On Windows: a positive number of 100 ns since
    /// 1601.
    At(SystemTime),
}

impl Timeout {
    /// The moment at which the time is over; `None` = never.
    pub(crate) fn deadline(self) -> Option<Deadline> {
        match self {
            Self::Never => None,
            Self::Poll | Self::After(Duration::ZERO) => Some(Deadline::Monotonic(Duration::ZERO)),
            Self::After(after) => Some(Deadline::Monotonic(clock::monotonic().saturating_add(after))),
            // a moment before 1970 has passed like any other
            Self::At(at) => Some(Deadline::Realtime(at.duration_since(UNIX_EPOCH).unwrap_or_default())),
        }
    }
}

/// What is waited on.
pub(crate) struct On<'a, F> {
    /// The word that the peer changes.
    pub(crate) word: &'a F,
    /// Why this sleeper may be woken ([`futex::ANY`], or bits that both agree on).
    pub(crate) reasons: u32,
    /// What was learned of such waits.
    pub(crate) patience: &'a Patience,
    /// Counts sleeping threads: the thread that ends a connection wakes until there are none.
    pub(crate) asleep: &'a AtomicUsize,
}

/// Waits until `look` finds something; `None` when the deadline passed and a last look found nothing.
///
/// `prepare` says in shared memory that this thread will sleep, and gives the value to sleep on, or `None` when there
/// is something to look at.
pub(crate) fn wait<T>(
    on: &On<'_, impl Futex>,
    deadline: Option<Deadline>,
    look: impl FnMut() -> Option<T>,
    mut prepare: impl FnMut() -> Option<u32>,
) -> Option<T> {
    wait_by(on.patience, on.asleep, deadline, look, || match prepare() {
        Some(expected) => futex::wait(on.word, expected, on.reasons, deadline),
        None => Ok(Slept::Look),
    })
}

/// As [`wait`], for threads that sleep on more than one word: `sleep` prepares and sleeps, until `deadline` at most.
#[inline]
pub(crate) fn wait_by<T>(
    patience: &Patience,
    asleep: &AtomicUsize,
    deadline: Option<Deadline>,
    mut look: impl FnMut() -> Option<T>,
    mut sleep: impl FnMut() -> io::Result<Slept>,
) -> Option<T> {
    if let Some(found) = look() {
        return Some(found);
    }
    if deadline.is_some_and(Deadline::passed) {
        return None;
    }
    let costs = costs();
    if let ControlFlow::Break(found) = spin(patience, costs, &mut look) {
        return Some(found);
    }
    let start = clock::monotonic();
    let _asleep = Asleep::count(asleep);
    // the thread that ended the connection since the last look saw none to wake again, and a hostile peer may have
    // taken its mark off the word: nothing else would be seen before the sleep
    if let Some(found) = look() {
        return Some(found);
    }
    loop {
        match sleep() {
            Ok(Slept::Look) => {}
            Ok(Slept::TimedOut) => return look(),
            // only a broken mapping: looking again in a loop would burn the processor and never end
            Err(error) => unreachable!("futex on memory that is mapped: {error}"),
        }
        if let Some(found) = look() {
            let waited = u32::try_from((clock::monotonic() - start).as_nanos()).unwrap_or(u32::MAX);
            patience.learn(waited, costs.spin_cap);
            return Some(found);
        }
        if deadline.is_some_and(Deadline::passed) {
            return None;
        }
    }
}

/// A thread that is counted as one that may sleep, as long as this lives. Afterwards, before it sleeps, it looks
/// whether the connection has ended: the end waits only for those that are counted.
pub(crate) struct Asleep<'a>(&'a AtomicUsize);

impl<'a> Asleep<'a> {
    pub(crate) fn count(asleep: &'a AtomicUsize) -> Self {
        asleep.fetch_add(1, Ordering::SeqCst);
        Self(asleep)
    }
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn spin<T>(patience: &Patience, costs: Costs, look: &mut impl FnMut() -> Option<T>) -> ControlFlow<T> {
    let budget = patience.spin_for(costs.spin_cap, clock::cpu());
    if budget == 0 {
        return ControlFlow::Continue(());
    }
    let Some(_turn) = Turn::take() else {
        return ControlFlow::Continue(());
    };
    let looks = (u64::from(budget) << 10) / u64::from(costs.look);
    for looked in 0..looks {
        if let Some(found) = look() {
            // no division: this is the way of a hot message
            let waited = u32::try_from((looked * u64::from(costs.look)) >> 10).unwrap_or(u32::MAX);
            patience.learn(waited, costs.spin_cap);
            return ControlFlow::Break(found);
        }
        std::hint::spin_loop();
    }
    ControlFlow::Continue(())
}

/// The right to spin. A process gives out one fewer than it has processors, so that the thread that is waited for can
/// run.
struct Turn(&'static AtomicBool);

impl Turn {
    fn take() -> Option<Self> {
        static TURNS: [AtomicBool; 64] = [const { AtomicBool::new(false) }; 64];
        TURNS.iter().take(spinners()).find(|turn| !turn.swap(true, Ordering::Acquire)).map(Self)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // a plain store: what was waited for is there, and this is the way to it
        self.0.store(false, Ordering::Release);
    }
}

/// How many threads of this process may spin at a time.
fn spinners() -> usize {
    static SPINNERS: Once<usize> = Once::new();
    *SPINNERS.get(|| clock::processors().saturating_sub(1))
}

/// The machine's costs, with spinning switched off when `FLTMGR_SPIN=0` (a battery, a processor quota).
fn costs() -> Costs {
    static COSTS: Once<Costs> = Once::new();
    *COSTS.get(|| {
        let mut costs = costs::costs();
        if std::env::var_os("FLTMGR_SPIN").is_some_and(|value| value == "0") {
            costs.spin_cap = 0;
        }
        costs
    })
}

/// Measures what this machine's waits cost, so that the first connection does not.
pub(crate) fn warm_up() {
    costs();
    spinners();
}

/// How long a wait for the next piece of a long payload sleeps before it looks whether the peer lives. A peer cannot be
/// told apart from a dead one by these counters alone, and they are slept on only while a payload of more than a window
/// is on its way.
const SLICE: Duration = Duration::from_millis(20);

/// Why there is no next piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The connection is gone, or what else `gone` looked for.
    Gone,
    /// The deadline passed.
    TimedOut,
    /// One of the ends gave up in the middle.
    Aborted,
}

/// Waits until an end of a long payload can move its next piece; false when all have been.
pub(crate) fn wait_piece<'a>(
    look: impl Fn() -> Look<'a>,
    deadline: Option<Deadline>,
    gone: impl Fn() -> bool,
) -> Result<bool, Stopped> {
    let mut stopped = None;
    loop {
        let (counter, seen) = match look() {
            Look::Ready => return Ok(true),
            Look::Whole => return Ok(false),
            Look::Aborted => return Err(Stopped::Aborted),
            Look::Waits(counter, seen) => (counter, seen),
        };
        if let Some(stopped) = stopped {
            return Err(stopped);
        }
        if gone() {
            stopped = Some(Stopped::Gone);
        } else if deadline.is_some_and(Deadline::passed) {
            stopped = Some(Stopped::TimedOut);
        } else {
            let left = deadline.map_or(SLICE, |deadline| deadline.remaining().min(SLICE));
            // spurious or not, the loop looks
            let _ = futex::wait(counter, seen, futex::ANY, Some(Deadline::Monotonic(clock::monotonic() + left)));
        }
        // once more after the end too: what came before it counts
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn a_timeout_is_never_a_moment_or_now() {
        assert_eq!(Timeout::Never.deadline(), None);
        assert!(Timeout::Poll.deadline().unwrap().passed());
        assert!(Timeout::After(Duration::ZERO).deadline().unwrap().passed());
        assert!(!Timeout::After(Duration::MAX).deadline().unwrap().passed());
        assert!(Timeout::At(UNIX_EPOCH - Duration::from_secs(1)).deadline().unwrap().passed());
        assert!(!Timeout::At(SystemTime::now() + Duration::from_secs(60)).deadline().unwrap().passed());
    }

    #[test]
    fn a_wait_looks_once_more_when_its_time_is_over() {
        let word = AtomicU32::new(0);
        let patience = Patience::default();
        let asleep = AtomicUsize::new(0);
        let on = On { word: &word, reasons: futex::ANY, patience: &patience, asleep: &asleep };
        let mut looks = 0;
        let found = wait(
            &on,
            Timeout::After(Duration::from_millis(1)).deadline(),
            || {
                looks += 1;
                None::<()>
            },
            || Some(0),
        );
        assert_eq!(found, None);
        assert!(looks >= 2);
    }

    /// The connection ends, finds no sleeper, and its peer takes the mark off the word, all after the last look.
    #[test]
    fn what_comes_before_one_counts_as_asleep_is_not_slept_over() {
        let patience = Patience::default();
        let asleep = AtomicUsize::new(0);
        let look = || (asleep.load(Ordering::SeqCst) != 0).then_some(());
        let found = wait_by(&patience, &asleep, None, look, || panic!("it would never be woken"));
        assert_eq!((found, asleep.load(Ordering::SeqCst)), (Some(()), 0));
    }

    #[test]
    fn a_piece_that_came_before_the_end_counts() {
        let counter = AtomicU32::new(0);
        let look = || match counter.load(Ordering::Acquire) {
            2 => Look::Ready,
            seen => Look::Waits(&counter, seen),
        };
        // the other end, which ends between the two looks
        let ends = |last| {
            counter.store(last, Ordering::Release);
            true
        };
        assert_eq!(wait_piece(look, None, || ends(1)), Err(Stopped::Gone));
        assert_eq!(wait_piece(look, None, || ends(2)), Ok(true));
    }
}
