//! Threads: those of CreateThread, and what every thread that calls us keeps.

mod own;

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use abi::{Error, Handle, pointer};
use rustix::thread::gettid;
use sys::futex;

pub(crate) use self::own::{
    began_request, current_id, lend_turn, object as current, start_running, stop_running, waiter,
};
use crate::event::Event;
use crate::last_error::{handle, or, succeeds};
use crate::object::Object;
use crate::table::{self, Entry};

/// Every right to a thread.
pub(crate) const THREAD_ALL_ACCESS: u32 = 0x001F_FFFF;
const THREAD_SUSPEND_RESUME: u32 = 2;
const THREAD_SET_INFORMATION: u32 = 0x20;
const THREAD_QUERY_INFORMATION: u32 = 0x40;
const CREATE_SUSPENDED: u32 = 4;
const STACK_SIZE_PARAM_IS_A_RESERVATION: u32 = 0x1_0000;
/// What GetExitCodeThread says of a thread that runs.
const STILL_ACTIVE: u32 = 259;
/// The smallest stack that a thread gets: Windows' programs ask for less and are given more.
const SMALLEST_STACK: usize = 256 << 10;

/// A thread.
#[derive(Debug)]
pub(crate) struct Thread {
    /// The kernel's number; 0 until it has begun.
    id: AtomicU32,
    /// How often it is to be resumed before it begins.
    suspended: AtomicU32,
    exit_code: AtomicU32,
    priority: AtomicU32,
    pub(crate) ended: Event,
}

impl Thread {
    fn new(id: u32, suspended: bool) -> Self {
        Self {
            id: id.into(),
            suspended: u32::from(suspended).into(),
            exit_code: STILL_ACTIVE.into(),
            priority: AtomicU32::new(0),
            ended: Event::new(true, false, false),
        }
    }

    /// The kernel's number. Waits for the thread to have one.
    fn id(&self) -> u32 {
        while self.id.load(Ordering::Acquire) == 0 {
            // whatever comes of it, the loop looks
            let _ = futex::wait(&self.id, 0, futex::ANY, None);
        }
        self.id.load(Ordering::Acquire)
    }

    /// The thread itself tells its number, and waits until it may begin.
    fn begin(&self) {
        self.id.store(gettid().as_raw_nonzero().get() as u32, Ordering::Release);
        futex::wake(&self.id, u32::MAX, futex::ANY);
        loop {
            let suspended = self.suspended.load(Ordering::Acquire);
            if suspended == 0 {
                return;
            }
            let _ = futex::wait(&self.suspended, suspended, futex::ANY, None);
        }
    }

    /// Takes one from the times that it must be resumed; what they were.
    fn resume(&self) -> u32 {
        let fewer = |suspended: u32| suspended.checked_sub(1);
        match self.suspended.fetch_update(Ordering::AcqRel, Ordering::Acquire, fewer) {
            Ok(before) => {
                futex::wake(&self.suspended, u32::MAX, futex::ANY);
                before
            }
            Err(running) => running,
        }
    }

    fn end(&self, exit_code: u32) {
        self.exit_code.store(exit_code, Ordering::Release);
        self.ended.set();
    }
}

/// A thread function of Windows. ExitThread ends the thread in the midst of it.
type StartRoutine = unsafe extern "C-unwind" fn(*mut c_void) -> u32;

struct Start {
    thread: Arc<Thread>,
    routine: StartRoutine,
    parameter: *mut c_void,
}

#[unsafe(no_mangle)]
unsafe extern "C" fn CreateThread(
    _attributes: *const c_void,
    stack_size: usize,
    routine: Option<StartRoutine>,
    parameter: *mut c_void,
    flags: u32,
    id: *mut u32,
) -> Handle {
    handle(|| {
        let routine = routine.ok_or(Error::INVALID_PARAMETER)?;
        if flags & !(CREATE_SUSPENDED | STACK_SIZE_PARAM_IS_A_RESERVATION) != 0 {
            return Err(Error::INVALID_PARAMETER);
        }
        let thread = Arc::new(Thread::new(0, flags & CREATE_SUSPENDED != 0));
        let object = Object::Thread(Arc::clone(&thread));
        let created = table::insert(Entry { object, access: THREAD_ALL_ACCESS, inherited: None })?;
        let started = start(Start { thread: Arc::clone(&thread), routine, parameter }, stack_size);
        // SAFETY: the program wants the number there.
        let told = started.and_then(|()| unsafe { pointer::write_optional(id, &thread.id()) });
        if let Err(error) = told {
            table::close(created, |_| Ok(()))?;
            return Err(error);
        }
        Ok(created)
    })
}

fn start(start: Start, stack_size: usize) -> Result<(), Error> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: initialises what it is given.
    if unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) } != 0 {
        return Err(Error::NOT_ENOUGH_MEMORY);
    }
    // SAFETY: initialised above.
    let attributes = unsafe { attributes.assume_init_mut() };
    // SAFETY: as above: it is not joined, its object tells of its end.
    unsafe { libc::pthread_attr_setdetachstate(attributes, libc::PTHREAD_CREATE_DETACHED) };
    if stack_size != 0 {
        let page = rustix::param::page_size();
        let size = stack_size.max(SMALLEST_STACK).checked_next_multiple_of(page).ok_or(Error::NOT_ENOUGH_MEMORY)?;
        // SAFETY: as above; a size that it does not like is refused, and stays what it was.
        unsafe { libc::pthread_attr_setstacksize(attributes, size) };
    }
    let start = Box::into_raw(Box::new(start));
    let mut thread = MaybeUninit::uninit();
    // SAFETY: the routine has that form, except that a forced unwind may leave it, which pthread_exit is made of.
    let routine = unsafe {
        std::mem::transmute::<
            unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void,
            extern "C" fn(*mut c_void) -> *mut c_void,
        >(run)
    };
    // SAFETY: the attributes are initialised, and the routine takes the box over.
    let error = unsafe { libc::pthread_create(thread.as_mut_ptr(), attributes, routine, start.cast()) };
    // SAFETY: initialised above, and not used any more.
    unsafe { libc::pthread_attr_destroy(attributes) };
    if error != 0 {
        // SAFETY: leaked above, and no thread has taken it.
        drop(unsafe { Box::from_raw(start) });
        return Err(Error::NOT_ENOUGH_MEMORY);
    }
    Ok(())
}

/// A thread, from its beginning to its end. Nothing here is dropped when the routine does not return: ExitThread unwinds
/// this frame by force.
unsafe extern "C-unwind" fn run(start: *mut c_void) -> *mut c_void {
    let (routine, parameter) = begin(start.cast());
    // SAFETY: the program's thread function, called once on its thread.
    let exit_code = unsafe { routine(parameter) };
    own::exits_with(exit_code);
    std::ptr::null_mut()
}

fn begin(start: *mut Start) -> (StartRoutine, *mut c_void) {
    // SAFETY: leaked by `start` for this thread.
    let Start { thread, routine, parameter } = *unsafe { Box::from_raw(start) };
    own::is(&thread);
    thread.begin();
    (routine, parameter)
}

unsafe extern "C-unwind" {
    fn pthread_exit(value: *mut c_void) -> !;
}

#[unsafe(no_mangle)]
extern "C-unwind" fn ExitThread(exit_code: u32) -> ! {
    own::exits_with(exit_code);
    // SAFETY: unwinds the program's frames, this one and `run`, and in neither of ours is anything to be dropped.
    unsafe { pthread_exit(std::ptr::null_mut()) }
}

#[unsafe(no_mangle)]
extern "C" fn ResumeThread(thread: Handle) -> u32 {
    or(u32::MAX, || Ok(table::typed(thread, THREAD_SUSPEND_RESUME, Object::thread)?.resume()))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn GetExitCodeThread(thread: Handle, exit_code: *mut u32) -> i32 {
    succeeds(|| {
        let thread = of(thread, THREAD_QUERY_INFORMATION)?;
        // SAFETY: the program wants the code there.
        unsafe { pointer::write(exit_code, &thread.exit_code.load(Ordering::Acquire)) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn GetThreadId(thread: Handle) -> u32 {
    or(0, || Ok(of(thread, THREAD_QUERY_INFORMATION)?.id()))
}

#[unsafe(no_mangle)]
extern "C" fn GetCurrentThreadId() -> u32 {
    current_id()
}

#[unsafe(no_mangle)]
extern "C" fn GetCurrentThread() -> Handle {
    Handle::CURRENT_THREAD
}

/// The thread of a handle, or this one.
fn of(thread: Handle, access: u32) -> Result<Arc<Thread>, Error> {
    if thread == Handle::CURRENT_THREAD {
        return Ok(current());
    }
    table::typed(thread, access, Object::thread)
}

/// Windows' priorities within a process, and the nice values that stand for them.
const PRIORITIES: [(i32, i32); 7] = [(-15, 19), (-2, 4), (-1, 2), (0, 0), (1, -2), (2, -4), (15, -15)];

#[unsafe(no_mangle)]
extern "C" fn SetThreadPriority(thread: Handle, priority: i32) -> i32 {
    succeeds(|| {
        let thread = of(thread, THREAD_SET_INFORMATION)?;
        let known = PRIORITIES.iter().find(|(theirs, _)| *theirs == priority);
        let &(_, nice) = known.ok_or(Error::INVALID_PARAMETER)?;
        // SAFETY: takes numbers only.
        if unsafe { libc::setpriority(libc::PRIO_PROCESS, thread.id(), nice) } != 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        thread.priority.store(priority as u32, Ordering::Relaxed);
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn GetThreadPriority(thread: Handle) -> i32 {
    /// THREAD_PRIORITY_ERROR_RETURN
    const FAILED: i32 = i32::MAX;
    or(FAILED, || Ok(of(thread, THREAD_QUERY_INFORMATION)?.priority.load(Ordering::Relaxed) as i32))
}
