//! What runs in a proxy. See the invariant in `proxy`: system calls and the atomics of [`Shared`], nothing else.

use std::arch::asm;
use std::sync::atomic::Ordering;

use libc::{c_int, c_long, c_void};

use super::{NO_BELL, NO_MASK, NONE, Shared};

/// Value of [`Shared::asked`] that ends the process.
pub(super) const END: u32 = u32::MAX;
/// In place of a call's number: start another proxy, which is given by a stack and its [`Shared`].
pub(super) const COPY: usize = usize::MAX;
/// Interrupts a call of a proxy, which alone has a handler for it.
pub(super) const INTERRUPT: c_int = libc::SIGURG;

/// What a proxy shares with its process, how it tells its number, and how its end is told.
pub(super) const FLAGS: c_int =
    libc::CLONE_VM | libc::CLONE_FILES | libc::CLONE_PARENT_SETTID | libc::CLONE_CHILD_CLEARTID;

/// A system call without libc, which would store an error in thread-local storage.
///
/// # Safety
/// As for the call.
#[inline(always)]
unsafe fn raw<const N: usize>(number: c_long, arguments: [usize; N]) -> isize {
    let mut all = [0; 6];
    let mut n = 0;
    while n < N {
        all[n] = arguments[n];
        n += 1;
    }
    let [a, b, c, d, e, f] = all;
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the kernel's convention; it changes rcx and r11 beside what the call itself is told to.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
            in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the kernel's convention.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a as isize => result, in("x1") b, in("x2") c, in("x3") d,
            in("x4") e, in("x5") f, options(nostack));
    }
    result
}

/// What the proxy does: see the invariant above.
pub(super) extern "C" fn serve(shared: *mut c_void) -> c_int {
    // SAFETY: `Parent` keeps it alive until this process has ended; all that is touched of it is atomic.
    let shared = unsafe { &*shared.cast::<Shared>() };
    // SAFETY: takes numbers.
    unsafe { raw(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize, 0, 0, 0]) };
    // SAFETY: no arguments.
    if unsafe { raw(libc::SYS_getppid, []) } != shared.host as isize {
        return 0;
    }
    be_interruptible();
    let mut mask = NO_MASK;
    let mut seen = NONE;
    loop {
        let asked = shared.asked.load(Ordering::Acquire);
        if asked == END {
            return 0;
        }
        if asked == seen {
            let [word, wait] = [shared.asked.as_ptr() as usize, (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as usize];
            // SAFETY: a futex of this memory, for ever.
            unsafe { raw(libc::SYS_futex, [word, wait, asked as usize, 0]) };
            continue;
        }
        seen = asked;
        let wanted = shared.mask.load(Ordering::Relaxed);
        if wanted != mask {
            mask = wanted;
            // SAFETY: takes a number.
            unsafe { raw(libc::SYS_umask, [mask as usize]) };
        }
        // Before it is over, after which the next one may be told of by another bell.
        let bell = shared.bell.load(Ordering::Relaxed);
        let result = make(shared);
        shared.result.store(result, Ordering::Relaxed);
        shared.finished.store(seen, Ordering::Release);
        shared.done.store(seen, Ordering::Release);
        // SAFETY: a futex of this memory.
        unsafe { raw(libc::SYS_futex, [shared.done.as_ptr() as usize, libc::FUTEX_WAKE as usize, 1]) };
        if bell != NO_BELL {
            let one = 1u64;
            // SAFETY: the kernel reads eight bytes of `one`.
            unsafe { raw(libc::SYS_write, [bell as usize, &raw const one as usize, size_of::<u64>()]) };
        }
    }
}

/// Makes the call that is asked for.
fn make(shared: &Shared) -> isize {
    let [nr, a, b, c, d, e, f] = &shared.call;
    let word = |word: &std::sync::atomic::AtomicUsize| word.load(Ordering::Relaxed);
    let [nr, a, b, c, d, e, f] = [word(nr), word(a), word(b), word(c), word(d), word(e), word(f)];
    if nr != COPY {
        // SAFETY: the thread that asked has promised it (`Proxy::call`).
        return unsafe { raw(nr as c_long, [a, b, c, d, e, f]) };
    }
    let of_copy = b as *const Shared;
    // SAFETY: `Parent` keeps it alive until that process has ended.
    let shared = unsafe { &*of_copy };
    let [pid, done] = [shared.pid.as_ptr(), shared.done.as_ptr()];
    let none = std::ptr::null_mut::<c_void>();
    // SAFETY: `serve` runs on a stack of its own, whose top is `a`. A failure would store into the thread-local errno of the
    // thread that is the parent of all proxies, which reads it after no call.
    let result = unsafe {
        libc::clone(serve, a as *mut c_void, FLAGS | libc::CLONE_PARENT, of_copy as *mut c_void, pid, none, done)
    };
    result as isize
}

extern "C" fn nothing(_signal: c_int) {}

/// In the proxy, whose handlers are its own: a signal that does nothing but interrupt.
fn be_interruptible() {
    // SAFETY: all-zero is a valid sigaction: no flags, so that calls are not made again, and no mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as *const () as usize;
    // SAFETY: the handler does nothing. libc adds what the kernel needs to return from it, and stores nothing else.
    unsafe { libc::sigaction(INTERRUPT, &raw const action, std::ptr::null_mut()) };
    let set = 1u64 << (INTERRUPT - 1);
    let arguments = [libc::SIG_UNBLOCK as usize, &raw const set as usize, 0, size_of::<u64>()];
    // SAFETY: the kernel reads eight bytes of `set`.
    unsafe { raw(libc::SYS_rt_sigprocmask, arguments) };
}
