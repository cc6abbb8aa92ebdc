//! Sleeping on a word, and waking the threads that sleep there. The words lie in memory of several processes.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::futex::{Wait, WaitFlags, WaitPtr, WaitvFlags, waitv};
use rustix::time::{ClockId, Timespec};

use crate::clock::{self, Deadline};

/// A word that can be slept on.
pub trait Futex {
    /// The address of its 32 bits that the kernel compares.
    fn address(&self) -> *const u32;
    /// What these 32 bits are now.
    fn now(&self) -> u32;
}

impl Futex for AtomicU32 {
    fn address(&self) -> *const u32 {
        self.as_ptr()
    }

    fn now(&self) -> u32 {
        self.load(Ordering::Acquire)
    }
}

/// The upper 32 bits of a word of 64: what `proto::slots::Attention` sleeps on.
#[derive(Debug)]
pub struct Upper<'a>(pub &'a AtomicU64);

#[cfg(not(all(target_endian = "little", target_pointer_width = "64")))]
compile_error!("the words of fltmgr are little-endian, and both ends are 64-bit");

impl Futex for Upper<'_> {
    fn address(&self) -> *const u32 {
        self.0.as_ptr().cast::<u32>().wrapping_add(1)
    }

    fn now(&self) -> u32 {
        (self.0.load(Ordering::Acquire) >> 32) as u32
    }
}

/// How a sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slept {
    /// Woken, or the word had changed already, or a signal came: look again.
    Look,
    /// The deadline passed.
    TimedOut,
}

/// Every kind of wake-up, for [`wait`] and [`wake`].
pub const ANY: u32 = u32::MAX;

/// Sleeps while the word is `expected`, until woken for one of the `reasons` (a bit set that waker and sleeper agree
/// on), or `deadline`. futex(2), FUTEX_WAIT_BITSET, not private.
///
/// # Errors
/// EFAULT and its like only when the memory is gone, which the mapping's owner rules out.
pub fn wait(
    word: &(impl Futex + ?Sized),
    expected: u32,
    reasons: u32,
    deadline: Option<Deadline>,
) -> io::Result<Slept> {
    let mut flags = libc::FUTEX_WAIT_BITSET;
    let spec: libc::timespec;
    let until = match deadline {
        None => std::ptr::null(),
        Some(deadline) => {
            let at = match deadline {
                Deadline::Monotonic(at) => at,
                Deadline::Realtime(at) => {
                    flags |= libc::FUTEX_CLOCK_REALTIME;
                    at
                }
            };
            spec = timespec(at);
            &raw const spec
        }
    };
    // SAFETY: the kernel reads four bytes at the address of a live atomic, and the timespec, which outlives the call.
    let result = unsafe {
        libc::syscall(libc::SYS_futex, word.address(), flags, expected, until, std::ptr::null::<u32>(), reasons)
    };
    if result == 0 {
        return Ok(Slept::Look);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EINTR) => Ok(Slept::Look),
        Some(libc::ETIMEDOUT) => Ok(Slept::TimedOut),
        _ => Err(error),
    }
}

/// On how many words [`wait_any`] can sleep at once. FUTEX_WAITV_MAX.
const MAX_WORDS: usize = 128;

/// How long one sleep lasts where the kernel cannot sleep on all words.
const SLICE: Duration = Duration::from_millis(10);

/// Sleeps while each of the `words` has the value beside it, until one is woken, or `deadline`. There must be one at
/// least. futex_waitv(2), not private. Where there are more than 128, and where there are several before Linux 5.16 or in a
/// sandbox that forbids that call, it sleeps on the first and looks at the others every 10 ms.
///
/// # Errors
/// As [`wait`].
pub fn wait_any<F: Futex + ?Sized>(words: &[(&F, u32)], deadline: Option<Deadline>) -> io::Result<Slept> {
    if let [(word, expected)] = words {
        return wait(*word, *expected, ANY, deadline);
    }
    if words.len() > MAX_WORDS {
        return wait_first(words, deadline);
    }
    match wait_for_several(words, deadline) {
        Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(Slept::Look),
        Err(Errno::TIMEDOUT) => Ok(Slept::TimedOut),
        Err(Errno::NOSYS | Errno::PERM) => wait_first(words, deadline),
        Err(error) => Err(error.into()),
    }
}

/// Whether [`wait_any`] sleeps on several words here.
///
/// # Errors
/// What the kernel said, `ENOSYS` before Linux 5.16.
pub fn can_wait_for_several() -> io::Result<()> {
    match wait_for_several(&[(&AtomicU32::new(0), 1)], None) {
        Ok(_) | Err(Errno::AGAIN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn wait_for_several<F: Futex + ?Sized>(words: &[(&F, u32)], deadline: Option<Deadline>) -> rustix::io::Result<usize> {
    let (clock, at) = match deadline {
        Some(Deadline::Realtime(at)) => (ClockId::Realtime, Some(at)),
        Some(Deadline::Monotonic(at)) => (ClockId::Monotonic, Some(at)),
        None => (ClockId::Monotonic, None),
    };
    let at = at.map(|at| Timespec::try_from(at).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 }));
    let mut waits = [Wait::new(); MAX_WORDS];
    for (wait, (word, expected)) in waits.iter_mut().zip(words) {
        wait.val = u64::from(*expected);
        wait.uaddr = WaitPtr::new(word.address().cast_mut().cast());
        wait.flags = WaitFlags::SIZE_U32;
    }
    waitv(&waits[..words.len()], WaitvFlags::empty(), at.as_ref(), clock)
}

/// Sleeps on the first word for a moment, unless one has changed.
fn wait_first<F: Futex + ?Sized>(words: &[(&F, u32)], deadline: Option<Deadline>) -> io::Result<Slept> {
    if words.iter().any(|(word, expected)| word.now() != *expected) {
        return Ok(Slept::Look);
    }
    let Some(&(word, expected)) = words.first() else { return Ok(Slept::Look) };
    let left = deadline.map_or(SLICE, |deadline| deadline.remaining().min(SLICE));
    let slept = wait(word, expected, ANY, Some(Deadline::Monotonic(clock::monotonic() + left)))?;
    let over = slept == Slept::TimedOut && deadline.is_some_and(Deadline::passed);
    Ok(if over { Slept::TimedOut } else { Slept::Look })
}

/// Wakes up to `count` sleepers that sleep for one of the `reasons`; how many there were. futex(2), FUTEX_WAKE_BITSET,
/// not private.
pub fn wake(word: &impl Futex, count: u32, reasons: u32) -> u32 {
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    // SAFETY: the kernel uses the address of a live atomic as a key and reads no memory of ours.
    let woken = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.address(),
            libc::FUTEX_WAKE_BITSET,
            count,
            std::ptr::null::<libc::timespec>(),
            std::ptr::null::<u32>(),
            reasons,
        )
    };
    u32::try_from(woken).unwrap_or(0)
}

fn timespec(at: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(at.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: i64::from(at.subsec_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock;

    #[test]
    fn a_changed_word_is_not_slept_on() {
        let word = AtomicU32::new(1);
        assert_eq!(wait(&word, 0, ANY, None).unwrap(), Slept::Look);
    }

    #[test]
    fn a_deadline_ends_the_sleep_on_both_clocks() {
        let word = AtomicU32::new(0);
        let soon = Deadline::Monotonic(clock::monotonic() + Duration::from_millis(2));
        assert_eq!(wait(&word, 0, ANY, Some(soon)).unwrap(), Slept::TimedOut);
        let past = Deadline::Realtime(Duration::from_secs(1));
        assert_eq!(wait(&word, 0, ANY, Some(past)).unwrap(), Slept::TimedOut);
    }

    type Sleep = fn(&[(&AtomicU32, u32)], Option<Deadline>) -> io::Result<Slept>;

    #[test]
    fn any_of_several_words_ends_the_sleep() {
        for sleep in [wait_any::<AtomicU32> as Sleep, wait_first::<AtomicU32>] {
            let words: Arc<[AtomicU32; 3]> = Arc::default();
            let all = [(&words[0], 0), (&words[1], 0), (&words[2], 0)];
            let soon = Deadline::Monotonic(clock::monotonic() + Duration::from_millis(2));
            assert_eq!(sleep(&all, Some(soon)).unwrap(), Slept::TimedOut);
            assert_eq!(sleep(&all, Some(Deadline::Realtime(Duration::from_secs(1)))).unwrap(), Slept::TimedOut);
            let sleeper = std::thread::spawn({
                let words = Arc::clone(&words);
                move || {
                    while words[2].load(Ordering::Acquire) == 0 {
                        sleep(&[(&words[0], 0), (&words[1], 0), (&words[2], 0)], None).unwrap();
                    }
                }
            });
            words[2].store(1, Ordering::Release);
            wake(&words[2], u32::MAX, ANY);
            sleeper.join().unwrap();
            assert_eq!(sleep(&all, None).unwrap(), Slept::Look, "one has changed already");
        }
    }

    #[test]
    fn a_sleeper_on_the_upper_half_is_woken() {
        let word = Arc::new(AtomicU64::new(1 << 63));
        let sleeper = std::thread::spawn({
            let word = Arc::clone(&word);
            move || {
                while word.load(Ordering::Acquire) >> 32 == 1 << 31 {
                    wait(&Upper(&word), 1 << 31, ANY, None).unwrap();
                }
            }
        });
        word.store(0, Ordering::Release);
        while !sleeper.is_finished() {
            wake(&Upper(&word), u32::MAX, ANY);
        }
        sleeper.join().unwrap();
    }
}
