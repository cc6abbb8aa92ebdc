//! Programs that are not like others: with closed memory, with a clock that interrupts them, of another word size, and
//! those that do not end.

use std::ffi::CString;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process::{exit, fork_for_good};
use crate::race::{Outcome, Tally};
use crate::raw::{HERE, Reads, at};

const READ: usize = (libc::O_RDONLY | libc::O_CLOEXEC) as usize;

/// Opens a file so many times.
pub(crate) fn open(path: &str, times: u64) -> Tally {
    let path = CString::new(path).expect("a path");
    let mut tally = Tally::default();
    for _ in 0..times {
        let opened = Reads::OPENAT.call([HERE, at(&path), READ]).and_then(|fd| Reads::CLOSE.call([fd]));
        tally.count(opened.map_or_else(Outcome::Error, |_| Outcome::Harmless));
    }
    tally
}

/// Leaves the timer's signal to other threads.
fn block_alarm() {
    // SAFETY: all-zero is a valid sigset_t.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is a sigset_t.
    unsafe { libc::sigaddset(&raw mut set, libc::SIGALRM) };
    // SAFETY: the set is read.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
}

static TICKS: AtomicU64 = AtomicU64::new(0);

extern "C" fn tick(_signal: i32) {
    TICKS.fetch_add(1, Ordering::Relaxed);
}

/// Opens a file so many times while a timer interrupts, whose handler does not ask for calls to begin anew, beside so
/// many threads that open all the time.
pub(crate) fn interrupted(path: &str, times: u64, beside: u64) -> Value {
    for _ in 0..beside {
        let path = path.to_owned();
        std::thread::spawn(move || {
            block_alarm();
            loop {
                open(&path, 100);
            }
        });
    }
    // SAFETY: all-zero is a valid struct sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = tick as *const () as usize;
    // SAFETY: the handler only adds to an atomic.
    unsafe { libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()) };
    let every = libc::timeval { tv_sec: 0, tv_usec: 2_000 };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: the kernel reads the struct.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    let mut printed = open(path, times).json();
    printed["interrupted"] = printed["errors"][libc::EINTR.to_string()].as_u64().unwrap_or(0).into();
    printed["ticks"] = TICKS.load(Ordering::Relaxed).into();
    printed
}

/// The error of getpid as 32-bit programs call it.
#[cfg(target_arch = "x86_64")]
pub(crate) fn old_call() -> i32 {
    const GETPID: i32 = 20;
    let mut result = GETPID;
    // SAFETY: the call takes nothing and writes no memory; the registers that it may change are named.
    unsafe {
        std::arch::asm!("int 0x80", inout("eax") result, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    if result < 0 { -result } else { 0 }
}

/// Leaves so many chains of processes, each of which ends as soon as it has made the next one. The last ones say that
/// they lived until the deadline. Each lives for a moment, so that the machine does not run out of numbers for those that
/// are not reaped yet.
pub(crate) fn chains(number: u64, seconds: u64, moment: Duration) {
    let end = Instant::now() + Duration::from_secs(seconds);
    for _ in 0..number {
        if fork_for_good(0) == 0 {
            let _ = rustix::process::setsid();
            while Instant::now() < end {
                std::thread::sleep(moment);
                if fork_for_good(0) != 0 {
                    exit(0);
                }
            }
            println!("a chain lived");
            exit(0)
        }
    }
}

/// Opens a file on so many threads at once; how long the slowest took.
pub(crate) fn crowd(path: &str, threads: u64) -> Value {
    let path: &'static std::ffi::CStr = Box::leak(CString::new(path).expect("a path").into_boxed_c_str());
    let barrier = std::sync::Arc::new(std::sync::Barrier::new(threads as usize));
    let start = || {
        let barrier = barrier.clone();
        let work = move || {
            barrier.wait();
            let begun = Instant::now();
            let opened = Reads::OPENAT.call([HERE, at(path), READ]).and_then(|fd| Reads::CLOSE.call([fd]));
            (opened.err().unwrap_or(0), begun.elapsed())
        };
        std::thread::Builder::new().stack_size(16 * 1024).spawn(work).expect("a thread")
    };
    let all: Vec<_> = (0..threads).map(|_| start()).collect();
    let mut tally = Tally::default();
    let mut slowest = Duration::ZERO;
    for thread in all {
        let (error, took) = thread.join().expect("it only opens");
        tally.count(if error == 0 { Outcome::Harmless } else { Outcome::Error(error) });
        slowest = slowest.max(took);
    }
    let mut printed = tally.json();
    printed["slowest_ms"] = json!(slowest.as_millis() as u64);
    printed
}
