//! A process that makes system calls in place of this one, with rights, namespaces, a root, a working directory and a file
//! mode mask of its own.
//!
//! It shares this process's memory and table of descriptors (clone with CLONE_VM and CLONE_FILES), so a path is handed
//! over as a pointer, and what it opens is open here. It needs no program, no rights and no unshare(2), and a call of it
//! that waits for ever can be interrupted, which one of a thread here cannot without a signal handler of the program's.
//!
//! The code that runs in it (`serve`) makes system calls and touches the atomics of `Shared`, and does nothing else: no
//! allocation, no lock, no panic, no thread-local storage (so no libc). That is why it may be killed at any instruction,
//! also by a process whose user it has become, and why it needs no storage of its own. Every signal but one is blocked in
//! it, so no handler of this process runs there; it dies with this process (PR_SET_PDEATHSIG).

use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicIsize, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use libc::{c_int, c_long};
use rustix::io::Errno;
use rustix::thread::futex;

mod parent;
mod rights;
mod serve;

use parent::Parent;
pub use rights::Rights;
use serve::{END, INTERRUPT};

/// A process that makes system calls for this one, one at a time. Ended when dropped.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    /// Its own `/proc/self/fd`, where it stands: the number of a descriptor is a path to what it names.
    folder: OwnedFd,
    /// The threads of this process take turns with it by passing it on.
    _one_thread: PhantomData<Cell<()>>,
}

/// Value of [`Shared::done`] when the process has ended: the kernel stores it (CLONE_CHILD_CLEARTID).
const ENDED: u32 = 0;
/// Value of [`Shared::asked`] and [`Shared::done`] before the first call.
const NONE: u32 = 1;
/// The mask is left as it is.
const NO_MASK: u32 = u32::MAX;
/// No descriptor.
const NO_BELL: RawFd = -1;

/// What both processes see.
#[derive(Debug)]
struct Shared {
    /// Number of the call that is asked for; the proxy sleeps on it.
    asked: AtomicU32,
    /// Number of the last call that is over; this process sleeps on it, and the kernel wakes it there too.
    done: AtomicU32,
    /// The call: its number and six arguments.
    call: [AtomicUsize; 7],
    /// A path for it that must be there for as long as the proxy.
    path: [AtomicU8; 16],
    /// What came of the call with the number `finished`, an error as a negative number.
    result: AtomicIsize,
    finished: AtomicU32,
    /// The file mode mask for it.
    mask: AtomicU32,
    /// An eventfd of this process that is written to when a call is over.
    bell: AtomicI32,
    /// The process that it shares memory with, and its own number.
    host: u32,
    pid: AtomicU32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// It has been waited for: its number may be another process's.
    reaped: bool,
    /// What a call needs that may be under way longer than this process waits for it. Closed when the proxy has ended.
    kept: Vec<Arc<OwnedFd>>,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            asked: AtomicU32::new(NONE),
            done: AtomicU32::new(NONE),
            call: Default::default(),
            path: Default::default(),
            result: AtomicIsize::new(0),
            finished: AtomicU32::new(NONE),
            mask: AtomicU32::new(NO_MASK),
            bell: AtomicI32::new(NO_BELL),
            host: std::process::id(),
            pid: AtomicU32::new(0),
            state: Mutex::default(),
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // It fails for no word of ours.
        let _ = futex::wake(&self.asked, futex::Flags::PRIVATE, 1);
    }

    /// Asks for a call, and gives its number.
    fn ask(&self, number: usize, arguments: [usize; 6]) -> u32 {
        let [nr, rest @ ..] = &self.call;
        nr.store(number, Ordering::Relaxed);
        rest.iter().zip(arguments).for_each(|(slot, value)| slot.store(value, Ordering::Relaxed));
        let call = self.asked.load(Ordering::Relaxed) + 1;
        self.asked.store(call, Ordering::Release);
        self.wake();
        call
    }

    fn is_over(&self, call: u32) -> bool {
        let done = self.done.load(Ordering::Acquire);
        done == ENDED || done == call
    }

    /// Waits for the call with this number. EINTR if the proxy ended without having made it.
    fn wait(&self, call: u32) -> Result<usize, Errno> {
        loop {
            let done = self.done.load(Ordering::Acquire);
            if done == ENDED || done == call {
                break;
            }
            // Returns at once if the word has changed; a signal makes us look again. Not private: the kernel's own wake is
            // not.
            let _ = futex::wait(&self.done, futex::Flags::empty(), done, None);
        }
        if self.finished.load(Ordering::Acquire) != call {
            return Err(Errno::INTR);
        }
        let result = self.result.load(Ordering::Relaxed);
        usize::try_from(result).map_err(|_| Errno::from_raw_os_error(-result as i32))
    }
}

impl Proxy {
    /// Starts one. Its rights, namespaces and root are this process's; its working directory is `/proc/self/fd`.
    ///
    /// # Errors
    /// What starting a thread or a process reports; ENOENT without procfs.
    pub fn start() -> io::Result<Self> {
        let shared = Shared::new();
        Parent::of_this_process()?.start(&shared)?;
        Ok(Self::begun(shared)?)
    }

    /// Starts another one that is what this one is: with its rights, its namespaces and its root.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn copy(&self) -> io::Result<Self> {
        let shared = Shared::new();
        Parent::of_this_process()?.start_from(&self.shared, &shared)?;
        Ok(Self::begun(shared)?)
    }

    /// Has it go to its directory.
    fn begun(shared: Arc<Shared>) -> Result<Self, Errno> {
        let call = |number: c_long, arguments| shared.wait(shared.ask(number as usize, arguments));
        let [path, flags] = [c"/proc/self/fd".as_ptr() as usize, (libc::O_PATH | libc::O_CLOEXEC) as usize];
        let folder =
            call(libc::SYS_openat, [libc::AT_FDCWD as usize, path, flags, 0, 0, 0]).map(crate::actor::owned)?;
        call(libc::SYS_fchdir, [folder.as_raw_fd() as usize, 0, 0, 0, 0, 0])?;
        Ok(Self { shared, folder, _one_thread: PhantomData })
    }

    /// Has it make a system call, and waits for the result. EINTR if it was killed meanwhile.
    ///
    /// # Safety
    /// As for the same call here, made by a process that shares this one's memory and descriptors.
    pub(crate) unsafe fn call(&self, number: c_long, arguments: [usize; 6]) -> Result<usize, Errno> {
        self.shared.wait(self.shared.ask(number as usize, arguments))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.shared.pid.load(Ordering::Acquire)
    }

    /// Whether it can still make calls: false once it was killed.
    pub fn is_alive(&self) -> bool {
        self.shared.done.load(Ordering::Acquire) != ENDED
    }

    /// Sets the file mode mask under which it makes its calls from now on.
    pub fn set_mask(&self, mask: u32) {
        self.shared.mask.store(mask & 0o777, Ordering::Relaxed);
    }

    /// Has it open what this descriptor names, without waiting: a fifo without a second end may take for ever. When it is
    /// over, `bell` (an eventfd) becomes readable.
    pub fn begin_open(self, object: Arc<OwnedFd>, flags: u32, bell: Arc<OwnedFd>) -> Opening {
        let text = object.as_raw_fd().to_string();
        let path = &self.shared.path;
        path.iter().zip(text.bytes().chain([0])).for_each(|(byte, value)| byte.store(value, Ordering::Relaxed));
        let path = path.as_ptr() as usize;
        self.shared.bell.store(bell.as_raw_fd(), Ordering::Relaxed);
        self.shared.state().kept.extend([object, bell]);
        let arguments = [libc::AT_FDCWD as usize, path, flags as usize, 0, 0, 0];
        let call = self.shared.ask(libc::SYS_openat as usize, arguments);
        Opening { proxy: self, call }
    }

    fn signal(&self, signal: c_int) {
        let state = self.shared.state();
        let pid = self.pid() as i32;
        // A process that was not waited for has its number, so no other process is hit.
        if pid != 0 && !state.reaped {
            // SAFETY: takes numbers.
            unsafe { libc::kill(pid, signal) };
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if !self.shared.is_over(self.shared.asked.load(Ordering::Relaxed)) {
            self.signal(libc::SIGKILL);
        }
        self.shared.asked.store(END, Ordering::Release);
        self.shared.wake();
        if let Ok(parent) = Parent::of_this_process() {
            parent.reap();
        }
    }
}

/// An open that a proxy makes and that may take for ever. Dropped before it is over, it ends the proxy.
#[derive(Debug)]
pub struct Opening {
    proxy: Proxy,
    call: u32,
}

impl Opening {
    /// Whether it is over, or the proxy has ended, of which the bell says nothing.
    pub fn is_over(&self) -> bool {
        self.proxy.shared.is_over(self.call)
    }

    /// The result, which it waits for, and the proxy. EINTR if the proxy was interrupted, or has ended.
    pub fn result(self) -> (Result<OwnedFd, Errno>, Proxy) {
        let Self { proxy, call } = self;
        let result = proxy.shared.wait(call).map(crate::actor::owned);
        proxy.shared.bell.store(NO_BELL, Ordering::Relaxed);
        proxy.shared.state().kept.clear();
        (result, proxy)
    }

    /// Interrupts it, if it waits at this moment: to be repeated until it [is over](Self::is_over).
    pub fn interrupt(&self) {
        self.proxy.signal(INTERRUPT);
    }
}
