//! Copying to and from memory that is named by an address, which may be a wrong one: what a C program hands to a function
//! whose documentation promises an error for that, and not a crash.
//!
//! The copy is a few instructions between two labels. A fault there is caught by a handler of SIGSEGV and SIGBUS, which
//! makes the copy return instead; every other fault is passed on to the handler that was there before. So a good address
//! costs nothing. Asking the kernel first (process_vm_readv and its like) costs a system call for each buffer, more than a
//! whole message does, and says nothing of what another thread unmaps in between.

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::fork::Once;

/// The memory is not there, or may not be used so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bad memory address")
    }
}

impl std::error::Error for Fault {}

/// Fills `to` from the memory at `from`. What was copied before a fault stays.
///
/// # Errors
/// [`Fault`] if any of it cannot be read.
pub fn read(from: usize, to: &mut [u8]) -> Result<(), Fault> {
    // SAFETY: `to` may be written; of `from` the copy asks nothing, and other threads may change it meanwhile: it is read
    // by instructions that the compiler knows nothing of.
    unsafe { copy(to.as_mut_ptr(), from as *const u8, to.len()) }
}

/// Writes `from` to the memory at `to`. What was copied before a fault stays.
///
/// # Safety
/// If `to` names memory that can be written, it is the caller's to write.
///
/// # Errors
/// [`Fault`] if any of it cannot be written.
pub unsafe fn write(to: usize, from: &[u8]) -> Result<(), Fault> {
    // SAFETY: `from` may be read; of `to` our caller vouches for what exists of it.
    unsafe { copy(to as *mut u8, from.as_ptr(), from.len()) }
}

/// Whether the first and the last of `len` bytes at `at` can be written. They stay what they are.
///
/// # Errors
/// [`Fault`] if not.
pub fn probe(at: usize, len: usize) -> Result<(), Fault> {
    install();
    let last = at.wrapping_add(len.saturating_sub(1));
    // SAFETY: adding 0 to a byte atomically changes nothing for threads that use it, and a fault is caught.
    let faults = len != 0 && unsafe { fltmgr_guarded_touch(at as *mut u8, last as *mut u8) } != 0;
    if faults { Err(Fault) } else { Ok(()) }
}

/// # Safety
/// What exists of `to` may be written, and does not overlap `from`.
unsafe fn copy(to: *mut u8, from: *const u8, len: usize) -> Result<(), Fault> {
    install();
    // SAFETY: as of our caller; a fault is caught.
    let faults = unsafe { fltmgr_guarded_copy(to, from, len) } != 0;
    if faults { Err(Fault) } else { Ok(()) }
}

unsafe extern "C" {
    fn fltmgr_guarded_copy(to: *mut u8, from: *const u8, len: usize) -> usize;
    fn fltmgr_guarded_touch(first: *mut u8, last: *mut u8) -> usize;
    /// Where the instructions begin and end whose faults are caught, and where they go on.
    static fltmgr_guarded_begin: u8;
    static fltmgr_guarded_end: u8;
    static fltmgr_guarded_fault: u8;
}

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .text.fltmgr_guarded, \"ax\", @progbits",
    ".globl fltmgr_guarded_copy, fltmgr_guarded_touch",
    ".globl fltmgr_guarded_begin, fltmgr_guarded_end, fltmgr_guarded_fault",
    ".hidden fltmgr_guarded_copy, fltmgr_guarded_touch",
    ".hidden fltmgr_guarded_begin, fltmgr_guarded_end, fltmgr_guarded_fault",
    ".type fltmgr_guarded_copy, @function",
    ".type fltmgr_guarded_touch, @function",
    "fltmgr_guarded_begin:",
    "fltmgr_guarded_copy:",
    "    mov rcx, rdx",
    // a string instruction takes a while to begin
    "    cmp rdx, 256",
    "    jae 3f",
    "1:  cmp rcx, 8",
    "    jb 2f",
    "    mov rax, [rsi]",
    "    mov [rdi], rax",
    "    add rsi, 8",
    "    add rdi, 8",
    "    sub rcx, 8",
    "    jmp 1b",
    "2:  test rcx, rcx",
    "    jz 4f",
    "    mov al, [rsi]",
    "    mov [rdi], al",
    "    inc rsi",
    "    inc rdi",
    "    dec rcx",
    "    jmp 2b",
    "3:  rep movsb",
    "4:  xor eax, eax",
    "    ret",
    "fltmgr_guarded_touch:",
    "    lock add byte ptr [rdi], 0",
    "    lock add byte ptr [rsi], 0",
    "    xor eax, eax",
    "    ret",
    "fltmgr_guarded_end:",
    "fltmgr_guarded_fault:",
    "    mov eax, 1",
    "    ret",
    ".popsection",
);

#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".pushsection .text.fltmgr_guarded, \"ax\", @progbits",
    ".globl fltmgr_guarded_copy, fltmgr_guarded_touch",
    ".globl fltmgr_guarded_begin, fltmgr_guarded_end, fltmgr_guarded_fault",
    ".hidden fltmgr_guarded_copy, fltmgr_guarded_touch",
    ".hidden fltmgr_guarded_begin, fltmgr_guarded_end, fltmgr_guarded_fault",
    ".type fltmgr_guarded_copy, @function",
    ".type fltmgr_guarded_touch, @function",
    "fltmgr_guarded_begin:",
    "fltmgr_guarded_copy:",
    "1:  cmp x2, #16",
    "    b.lo 2f",
    "    ldp x3, x4, [x1], #16",
    "    stp x3, x4, [x0], #16",
    "    sub x2, x2, #16",
    "    b 1b",
    "2:  cbz x2, 3f",
    "    ldrb w3, [x1], #1",
    "    strb w3, [x0], #1",
    "    sub x2, x2, #1",
    "    b 2b",
    "3:  mov x0, #0",
    "    ret",
    "fltmgr_guarded_touch:",
    "4:  ldxrb w2, [x0]",
    "    stxrb w3, w2, [x0]",
    "    cbnz w3, 4b",
    "5:  ldxrb w2, [x1]",
    "    stxrb w3, w2, [x1]",
    "    cbnz w3, 5b",
    "    mov x0, #0",
    "    ret",
    "fltmgr_guarded_end:",
    "fltmgr_guarded_fault:",
    "    mov x0, #1",
    "    ret",
    ".popsection",
);

/// The signals of a bad address: no such memory, and a file that is shorter than its mapping.
const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// What handled [`SIGNALS`] before, in their order.
static BEFORE: [AtomicPtr<libc::sigaction>; 2] = [const { AtomicPtr::new(std::ptr::null_mut()) }; 2];

/// Handles faults from now on, in this process and its forks. A program that replaces the handler later, and passes
/// nothing on, is killed by a bad address as by any other.
fn install() {
    static INSTALLED: Once<()> = Once::new();
    INSTALLED.get(|| {
        for (signal, before) in SIGNALS.into_iter().zip(&BEFORE) {
            // a system that forbids it leaves bad addresses deadly
            let _ = handle(signal, before);
        }
    });
}

fn handle(signal: libc::c_int, before: &AtomicPtr<libc::sigaction>) -> io::Result<()> {
    let mut old = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: asks only; `old` outlives the call.
    if unsafe { libc::sigaction(signal, std::ptr::null(), old.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: written by the successful call above.
    let old = unsafe { old.assume_init() };
    let mut new = old;
    new.sa_sigaction = on_fault as *const () as usize;
    // its mask and its flags hold while it runs, because it runs inside ours
    new.sa_flags |= libc::SA_SIGINFO | libc::SA_ONSTACK;
    new.sa_flags &= !libc::SA_RESETHAND;
    let old = Box::into_raw(Box::new(old));
    // of two threads that come here first one is enough
    if before.compare_exchange(std::ptr::null_mut(), old, Ordering::AcqRel, Ordering::Acquire).is_err() {
        // SAFETY: made above from a box, and no other thread has seen it.
        drop(unsafe { Box::from_raw(old) });
        return Ok(());
    }
    // SAFETY: the handler keeps to what a signal handler may do, and is never unloaded.
    if unsafe { libc::sigaction(signal, &raw const new, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel gives a handler with SA_SIGINFO the context that it goes on with.
    let counter = unsafe { program_counter(&mut *context.cast::<libc::ucontext_t>()) };
    let begin = &raw const fltmgr_guarded_begin as u64;
    let end = &raw const fltmgr_guarded_end as u64;
    if (begin..end).contains(&(*counter as u64)) {
        *counter = &raw const fltmgr_guarded_fault as _;
        return;
    }
    let index = SIGNALS.iter().position(|&one| one == signal).unwrap_or(0);
    // SAFETY: null, or leaked by `handle` before the handler was installed.
    let before = unsafe { BEFORE[index].load(Ordering::Acquire).as_ref() };
    match before.map(|before| (before.sa_sigaction, before.sa_flags)) {
        None | Some((libc::SIG_DFL, _)) => die(signal, info),
        // SAFETY: as above.
        Some((libc::SIG_IGN, _)) if unsafe { sent(info) } => {}
        Some((libc::SIG_IGN, _)) => die(signal, info),
        Some((handler, flags)) if flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: sigaction(2) gave this address as a handler of this form.
            let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                unsafe { std::mem::transmute(handler) };
            handler(signal, info, context);
        }
        Some((handler, _)) => {
            // SAFETY: as above, of the form without SA_SIGINFO.
            let handler: extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(handler) };
            handler(signal);
        }
    }
}

/// Ends the process by `signal`, as without a handler: the instruction that faulted does so again, and what another
/// process sent is sent again.
fn die(signal: libc::c_int, info: *mut libc::siginfo_t) {
    // SAFETY: puts the system's handling back.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    // SAFETY: of the handler.
    if unsafe { sent(info) } {
        // SAFETY: comes when the handler returns, which blocks it until then.
        unsafe { libc::raise(signal) };
    }
}

/// Whether the signal is no fault: a process sent it.
///
/// # Safety
/// `info` is what the kernel gave to a handler.
unsafe fn sent(info: *mut libc::siginfo_t) -> bool {
    // SAFETY: as of our caller.
    unsafe { (*info).si_code <= 0 }
}

#[cfg(target_arch = "x86_64")]
fn program_counter(context: &mut libc::ucontext_t) -> &mut libc::greg_t {
    &mut context.uc_mcontext.gregs[libc::REG_RIP as usize]
}

#[cfg(target_arch = "aarch64")]
fn program_counter(context: &mut libc::ucontext_t) -> &mut libc::c_ulonglong {
    &mut context.uc_mcontext.pc
}

#[cfg(test)]
mod tests {
    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

    use super::*;

    /// A page after which there is none, and its size.
    fn edge() -> (usize, usize) {
        let page = rustix::param::page_size();
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let both = unsafe { mmap_anonymous(std::ptr::null_mut(), 2 * page, protection, MapFlags::PRIVATE) }.unwrap();
        // SAFETY: the second page of the mapping, which no other thread has seen.
        unsafe { munmap(both.wrapping_byte_add(page), page) }.unwrap();
        (both as usize, page)
    }

    #[test]
    fn memory_is_read_and_written_in_any_length() {
        for len in (0..40).chain([255, 256, 257, 5000]) {
            let from: Vec<u8> = (0..len).map(|byte| byte as u8).collect();
            let mut to = vec![0; len];
            read(from.as_ptr() as usize, &mut to).unwrap();
            assert_eq!(to, from);
            let mut back = vec![0; len];
            // SAFETY: a vector of that length.
            unsafe { write(back.as_mut_ptr() as usize, &from) }.unwrap();
            assert_eq!(back, from);
            probe(back.as_mut_ptr() as usize, len).unwrap();
            assert_eq!(back, from);
        }
    }

    #[test]
    fn a_bad_address_is_a_fault_and_what_lies_before_it_is_copied() {
        // the last is not canonical: another kind of fault
        for bad in [0, usize::MAX, 1 << 63] {
            assert_eq!(read(bad, &mut [0; 4]), Err(Fault));
            assert_eq!(probe(bad, 1), Err(Fault));
        }
        let (at, page) = edge();
        for len in [16, 600] {
            // SAFETY: what exists of it is the test's.
            let result = unsafe { write(at + page - len / 2, &vec![7; len]) };
            assert_eq!(result, Err(Fault));
            let mut half = vec![0; len / 2];
            read(at + page - len / 2, &mut half).unwrap();
            assert_eq!(half, vec![7; len / 2]);
        }
        probe(at, page).unwrap();
        assert_eq!(probe(at + 8, page), Err(Fault));
    }

    #[test]
    fn memory_that_may_only_be_read_is_no_place_to_write() {
        let (at, page) = edge();
        // SAFETY: the test's own page, to which nothing refers.
        unsafe { mprotect(at as *mut _, page, MprotectFlags::READ) }.unwrap();
        // SAFETY: it cannot be written.
        assert_eq!(unsafe { write(at, b"x") }, Err(Fault));
        assert_eq!(probe(at, 1), Err(Fault));
        read(at, &mut [0]).unwrap();
    }

    #[test]
    fn nothing_is_touched_for_no_bytes() {
        read(0, &mut []).unwrap();
        probe(0, 0).unwrap();
    }

    /// Runs `child` in a fork, and gives the signal that it ended by.
    fn ends_by(child: impl FnOnce()) -> Option<i32> {
        // SAFETY: the child allocates nothing and leaves by _exit, or by its signal.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork failed");
        if pid == 0 {
            child();
            // SAFETY: ends this process at once.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: the child is ours, and `status` outlives the call.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status))
    }

    #[test]
    fn other_faults_are_as_deadly_as_ever() {
        install();
        let crash = || {
            // SAFETY: meant to fault.
            unsafe { std::ptr::dangling_mut::<u64>().write_volatile(1) };
        };
        assert_eq!(ends_by(crash), Some(libc::SIGSEGV));
        let send = || {
            // the first goes to the handler of Rust's own, which only puts the system's back
            for _ in 0..2 {
                // SAFETY: a signal to this process, which is the fork.
                unsafe { libc::raise(libc::SIGSEGV) };
            }
        };
        assert_eq!(ends_by(send), Some(libc::SIGSEGV));
        let caught = || assert_eq!(read(0, &mut [0]), Err(Fault));
        assert_eq!(ends_by(caught), None);
    }
}
