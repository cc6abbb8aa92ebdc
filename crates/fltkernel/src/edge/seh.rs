//! Structured exceptions: the frames of `__try` (include/fltkernel/fk/seh.h), and what jumps to them.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::sync::{Once, OnceLock};

use super::{Place, Ptr};

pub const ACCESS_VIOLATION: u32 = 0xC000_0005;
pub const INTEGER_DIVIDE_BY_ZERO: u32 = 0xC000_0094;
const ILLEGAL_INSTRUCTION: u32 = 0xC000_001D;

/// What was raised.
#[derive(Clone, Copy, Debug)]
pub struct Exception {
    /// A status.
    pub code: u32,
    /// The instruction.
    pub at: usize,
    /// For an access violation 1 if it was a write, and the address.
    pub parameters: [u64; 2],
}

/// `EXCEPTION_RECORD`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Record {
    code: u32,
    flags: u32,
    next: usize,
    address: usize,
    count: u32,
    information: [u64; 15],
}

/// `EXCEPTION_POINTERS`
#[derive(Debug)]
#[repr(C)]
struct Pointers {
    record: *const Record,
    context: usize,
}

/// Where the thread is in a `__try`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Body,
    Handler,
}

/// One `__try` that has not ended.
#[derive(Debug)]
#[repr(C)]
struct Frame {
    /// What `_setjmp` fills: the header gives it this structure's address.
    environment: [u64; 48],
    record: Record,
    pointers: Pointers,
    /// Stack address of the function that it is in: a lower one is of a function that has returned.
    function: usize,
    number: c_int,
    leave: Ptr,
    phase: Phase,
    pending: bool,
    handled: bool,
}

impl Default for Frame {
    fn default() -> Self {
        Self {
            environment: [0; 48],
            record: Record { code: 0, flags: 0, next: 0, address: 0, count: 0, information: [0; 15] },
            pointers: Pointers { record: std::ptr::null(), context: 0 },
            function: 0,
            number: 0,
            leave: Ptr::NULL,
            phase: Phase::New,
            pending: false,
            handled: false,
        }
    }
}

/// The frames of a thread, innermost last. Those beyond `open` are kept for the next `__try`: the signal handler frees
/// nothing.
#[derive(Debug)]
struct Frames {
    #[expect(clippy::vec_box, reason = "a frame is pointed to while others are added")]
    all: Vec<Box<Frame>>,
    open: usize,
}

impl Frames {
    fn last(&self) -> Option<&Frame> {
        self.all[..self.open].last().map(|frame| &**frame)
    }

    fn last_mut(&mut self) -> Option<&mut Frame> {
        self.all[..self.open].last_mut().map(|frame| &mut **frame)
    }

    /// Ends the innermost ones for which `ended` holds.
    fn drop_while(&mut self, floor: usize, ended: impl Fn(&Frame) -> bool) {
        while self.open > floor && self.last().is_some_and(&ended) {
            self.open -= 1;
        }
    }

    fn push(&mut self, function: usize, number: c_int, leave: Ptr) {
        if self.open == self.all.len() {
            self.all.push(Box::new(Frame::default()));
        }
        let frame = &mut self.all[self.open];
        self.open += 1;
        (frame.function, frame.number, frame.leave) = (function, number, leave);
        (frame.phase, frame.pending, frame.handled) = (Phase::New, false, false);
    }
}

thread_local! {
    static FRAMES: RefCell<Frames> = const { RefCell::new(Frames { all: Vec::new(), open: 0 }) };
    static STACK: RefCell<Option<Box<[u8]>>> = const { RefCell::new(None) };
    static READY: Cell<bool> = const { Cell::new(false) };
    /// Frames of callbacks further out, which an exception of this one must not reach: our own frames lie between.
    static FLOOR: Cell<usize> = const { Cell::new(0) };
}

/// What is called with an exception that no frame takes; it does not return.
static UNHANDLED: OnceLock<fn(Exception) -> !> = OnceLock::new();

unsafe extern "C" {
    fn longjmp(environment: *mut c_void, value: c_int) -> !;
}

/// Raises an exception in the driver's code that called us: the innermost `__try` that is in its body gets it.
pub fn raise(code: u32) -> ! {
    let here = stack_address();
    deliver(Exception { code, at: Place::here_address(), parameters: [0; 2] }, here)
}

/// An address on this thread's stack, of a function that is called from here.
#[inline(never)]
fn stack_address() -> usize {
    let local = 0u8;
    (&raw const local) as usize
}

/// Jumps to the frame that takes it. Frames below `stack` belong to functions that have returned.
fn deliver(exception: Exception, stack: usize) -> ! {
    let target = FRAMES.with(|frames| {
        let mut frames = frames.borrow_mut();
        let floor = FLOOR.get();
        frames.drop_while(floor, |frame| frame.function < stack || frame.phase != Phase::Body);
        if frames.open == floor {
            return None;
        }
        let frame = frames.last_mut()?;
        frame.phase = Phase::Handler;
        frame.pending = true;
        frame.record = Record {
            code: exception.code,
            flags: 0,
            next: 0,
            address: exception.at,
            count: 2,
            information: std::array::from_fn(|n| exception.parameters.get(n).copied().unwrap_or(0)),
        };
        frame.pointers = Pointers { record: &raw const frame.record, context: 0 };
        Some(frame.environment.as_mut_ptr())
    });
    match target {
        // SAFETY: `_setjmp` filled it, in a function that has not returned: its stack address is not below `stack`.
        Some(environment) => unsafe { longjmp(environment.cast(), 1) },
        None => unhandled(exception),
    }
}

fn unhandled(exception: Exception) -> ! {
    match UNHANDLED.get() {
        Some(end) => end(exception),
        None => {
            eprintln!("exception {:#010x} at {}, and no handler", exception.code, Place::at(exception.at));
            std::process::abort()
        }
    }
}

/// Calls this with each exception that no `__try` takes, instead of ending the process with a line about it.
pub fn on_unhandled(end: fn(Exception) -> !) {
    // the first one stays: a process has one host
    let _ = UNHANDLED.set(end);
}

/// Sees the faults of this process from now on.
fn install() {
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL] {
        // SAFETY: all zero is a valid sigaction: no flags, no signals masked.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = fault as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: the action is complete, and its handler has the form that SA_SIGINFO demands.
        unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) };
    }
}

/// Gives this thread a stack for the handler.
fn prepare_thread() {
    static INSTALL: Once = Once::new();
    if READY.replace(true) {
        return;
    }
    INSTALL.call_once(install);
    let mut stack = vec![0u8; 128 << 10].into_boxed_slice();
    let description = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: stack.len() };
    // SAFETY: the stack is kept as long as the thread.
    unsafe { libc::sigaltstack(&description, std::ptr::null_mut()) };
    STACK.set(Some(stack));
}

unsafe extern "C" fn fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid structure to a handler with SA_SIGINFO.
    let info = unsafe { &*info };
    // SAFETY: for these signals the address is set.
    let address = unsafe { info.si_addr() } as u64;
    // SAFETY: the kernel passes a ucontext_t.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    // the handler jumps out of itself, so what it blocks must not stay blocked; SA_NODEFER would not do, because a
    // sanitizer's handler around this one blocks all
    // SAFETY: the mask is the interrupted thread's own.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &context.uc_sigmask, std::ptr::null_mut()) };
    let (at, stack, write) = interrupted(context);
    let code = match signal {
        libc::SIGFPE => INTEGER_DIVIDE_BY_ZERO,
        libc::SIGILL => ILLEGAL_INSTRUCTION,
        _ => ACCESS_VIOLATION,
    };
    deliver(Exception { code, at, parameters: [write.into(), address] }, stack)
}

/// Instruction, stack pointer, and whether a fault was a write.
#[cfg(target_arch = "x86_64")]
fn interrupted(context: &libc::ucontext_t) -> (usize, usize, bool) {
    let register = |number: c_int| context.uc_mcontext.gregs[number as usize] as usize;
    (register(libc::REG_RIP), register(libc::REG_RSP), register(libc::REG_ERR) & 2 != 0)
}

#[cfg(target_arch = "aarch64")]
fn interrupted(context: &libc::ucontext_t) -> (usize, usize, bool) {
    (context.uc_mcontext.pc as usize, context.uc_mcontext.sp as usize, false)
}

/// Runs a driver's code. An exception that it does not take itself ends the host; frames that it left behind by
/// returning out of a `__try` are dropped.
pub fn guarded<R>(run: impl FnOnce() -> R) -> R {
    prepare_thread();
    let depth = FRAMES.with(|frames| frames.borrow().open);
    let floor = FLOOR.replace(depth);
    let result = run();
    FLOOR.set(floor);
    FRAMES.with(|frames| frames.borrow_mut().open = depth);
    result
}

fn with_top<R>(with: impl FnOnce(&mut Frame) -> R) -> Option<R> {
    FRAMES.with(|frames| frames.borrow_mut().last_mut().map(with))
}

#[unsafe(no_mangle)]
extern "C" fn fk_seh_enter(function: usize, number: c_int, leave: Ptr) {
    prepare_thread();
    FRAMES.with(|frames| {
        let mut frames = frames.borrow_mut();
        // frames of functions that have returned, and of this `__try` if its last round was left by a jump
        frames.drop_while(FLOOR.get(), |last| {
            last.function < function || (last.function, last.number) == (function, number)
        });
        frames.push(function, number, leave);
    });
}

#[unsafe(no_mangle)]
extern "C" fn fk_seh_next(function: usize, number: c_int) -> c_int {
    let again = FRAMES.with(|frames| {
        let mut frames = frames.borrow_mut();
        frames.drop_while(FLOOR.get(), |frame| (frame.function, frame.number) != (function, number));
        let frame = frames.last_mut()?;
        frame.phase = match frame.phase {
            Phase::New => Phase::Body,
            Phase::Body => Phase::Handler,
            Phase::Handler => {
                let raised = (frame.pending && !frame.handled).then_some(Exception {
                    code: frame.record.code,
                    at: frame.record.address,
                    parameters: [frame.record.information[0], frame.record.information[1]],
                });
                frames.open -= 1;
                return Some(Err(raised));
            }
        };
        Some(Ok(()))
    });
    match again {
        Some(Ok(())) => 1,
        Some(Err(Some(exception))) => deliver(exception, function),
        Some(Err(None)) | None => 0,
    }
}

#[unsafe(no_mangle)]
extern "C" fn fk_seh_in_body() -> c_int {
    with_top(|frame| frame.phase == Phase::Body).unwrap_or(false).into()
}

#[unsafe(no_mangle)]
extern "C" fn fk_seh_environment() -> *mut c_void {
    with_top(|frame| frame.environment.as_mut_ptr().cast()).unwrap_or(std::ptr::null_mut())
}

#[unsafe(no_mangle)]
extern "C" fn fk_seh_leave(function: usize) -> Ptr {
    FRAMES.with(|frames| {
        let mut frames = frames.borrow_mut();
        frames.drop_while(FLOOR.get(), |frame| frame.function < function || frame.phase != Phase::Body);
        frames.last().map_or(Ptr::NULL, |frame| frame.leave)
    })
}

#[unsafe(no_mangle)]
extern "C" fn fk_seh_pending() -> c_int {
    with_top(|frame| frame.pending).unwrap_or(false).into()
}

#[unsafe(no_mangle)]
extern "C" fn fk_seh_filter(answer: c_int) -> c_int {
    if answer < 0 {
        eprintln!("EXCEPTION_CONTINUE_EXECUTION is not supported here: the exception goes to the next handler");
    }
    with_top(|frame| frame.handled = answer > 0);
    (answer > 0).into()
}

#[unsafe(no_mangle)]
extern "C" fn fk_seh_code() -> u32 {
    with_top(|frame| frame.record.code).unwrap_or(0)
}

#[unsafe(no_mangle)]
extern "C" fn fk_seh_information() -> *const c_void {
    with_top(|frame| (&raw const frame.pointers).cast()).unwrap_or(std::ptr::null())
}

#[unsafe(no_mangle)]
extern "C" fn fk_seh_abnormal() -> c_int {
    fk_seh_pending()
}

#[unsafe(no_mangle)]
extern "C" fn ExRaiseStatus(status: u32) -> ! {
    raise(status)
}

#[unsafe(no_mangle)]
extern "C" fn ExRaiseAccessViolation() -> ! {
    raise(ACCESS_VIOLATION)
}

#[unsafe(no_mangle)]
extern "C" fn ExRaiseDatatypeMisalignment() -> ! {
    raise(0x8000_0002)
}
