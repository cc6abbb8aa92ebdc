//! Work that is done later, and threads of drivers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, Once, PoisonError};
use std::thread;

use super::object::{self, Object};
use super::report::{self, Rule};
use super::{dispatcher, irql};
use crate::edge::{Place, Ptr, sanitizer, seh};
use crate::lock;
use crate::nt::status::{self, Status};
use crate::nt::{ClientId, ListEntry};

type Job = Box<dyn FnOnce() + Send>;

/// Threads that do the work.
const WORKERS: usize = 4;

static QUEUE: Mutex<VecDeque<Job>> = Mutex::new(VecDeque::new());
static CHANGED: Condvar = Condvar::new();

/// Does this on a worker thread of the System process, at PASSIVE_LEVEL.
pub fn queue(job: impl FnOnce() + Send + 'static) {
    static START: Once = Once::new();
    START.call_once(|| {
        for number in 0..WORKERS {
            // one that cannot start leaves its work to the others
            let _ = thread::Builder::new().name(format!("fltkernel-worker-{number}")).spawn(work);
        }
    });
    sanitizer::release((&raw const QUEUE) as usize);
    lock(&QUEUE).push_back(Box::new(job));
    CHANGED.notify_one();
}

fn work() {
    loop {
        let mut queue = lock(&QUEUE);
        let job = loop {
            match queue.pop_front() {
                Some(job) => break job,
                None => queue = CHANGED.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(queue);
        sanitizer::acquire((&raw const QUEUE) as usize);
        seh::guarded(job);
        let left = irql::set(irql::PASSIVE);
        if left != irql::PASSIVE {
            report::find(Rule::IrqlLeft, format!("a work item returned at level {left}"));
        }
    }
}

/// `WORK_QUEUE_ITEM`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct WorkQueueItem {
    links: ListEntry,
    routine: Option<extern "C" fn(Ptr)>,
    parameter: Ptr,
}

#[unsafe(no_mangle)]
pub extern "C" fn ExQueueWorkItem(item: Ptr<WorkQueueItem>, _queue: u32) {
    let WorkQueueItem { routine: Some(routine), parameter, .. } = item.read() else {
        return report::find(Rule::Arg, "a work item without a routine is queued");
    };
    queue(move || routine(parameter));
}

/// `IO_WORKITEM`
struct IoWorkItem {
    device: Ptr,
    queued: AtomicBool,
}

impl Object for IoWorkItem {
    fn kind(&self) -> &'static str {
        "work item"
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn IoAllocateWorkItem(device: Ptr) -> Ptr {
    object::add_referenced(&Arc::new(IoWorkItem { device, queued: AtomicBool::new(false) }))
}

#[unsafe(no_mangle)]
pub extern "C" fn IoFreeWorkItem(item: Ptr) {
    if object::get::<IoWorkItem>(item, "work item").is_some_and(|item| item.queued.load(Ordering::Relaxed)) {
        report::find(Rule::Object, "a work item is freed that is queued");
    }
    object::dereference(item);
}

#[unsafe(no_mangle)]
pub extern "C" fn IoQueueWorkItem(item: Ptr, routine: extern "C" fn(Ptr, Ptr), _queue: u32, context: Ptr) {
    let Some(known) = object::get::<IoWorkItem>(item, "work item") else { return };
    known.queued.store(true, Ordering::Relaxed);
    queue(move || {
        known.queued.store(false, Ordering::Relaxed);
        routine(known.device, context);
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn IoQueueWorkItemEx(item: Ptr, routine: extern "C" fn(Ptr, Ptr, Ptr), _queue: u32, context: Ptr) {
    let Some(known) = object::get::<IoWorkItem>(item, "work item") else { return };
    known.queued.store(true, Ordering::Relaxed);
    queue(move || {
        known.queued.store(false, Ordering::Relaxed);
        routine(known.device, context, item);
    });
}

/// A thread that a driver made.
#[derive(Debug, Default)]
pub struct SystemThread {
    ended: AtomicBool,
    place: Place,
}

impl Object for SystemThread {
    fn kind(&self) -> &'static str {
        "thread"
    }
}

impl SystemThread {
    /// Whether its routine has returned.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

static THREADS: Mutex<Vec<Arc<SystemThread>>> = Mutex::new(Vec::new());

/// Where threads were made that have not ended.
pub fn running_threads() -> Vec<Place> {
    lock(&THREADS).iter().filter(|thread| !thread.has_ended()).map(|thread| thread.place).collect()
}

/// How a thread ends in the middle of its routine: caught where the routine was called.
struct Ended;

#[unsafe(no_mangle)]
pub extern "C" fn PsCreateSystemThread(
    handle: Ptr<Ptr>,
    _access: u32,
    _attributes: Ptr,
    _process: Ptr,
    client: Ptr<ClientId>,
    routine: extern "C-unwind" fn(Ptr),
    context: Ptr,
) -> Status {
    irql::expect(irql::PASSIVE, "PsCreateSystemThread");
    let thread = Arc::new(SystemThread { ended: AtomicBool::new(false), place: report::place() });
    let address = object::add(&thread);
    lock(&THREADS).push(thread.clone());
    sanitizer::release(address.address());
    let ours = thread.clone();
    let started = thread::Builder::new().name("fltkernel-driver".into()).spawn(move || {
        sanitizer::acquire(Arc::as_ptr(&ours) as usize);
        seh::guarded(|| _ = std::panic::catch_unwind(|| routine(context)));
        dispatcher::change(Arc::as_ptr(&ours) as usize, || ours.ended.store(true, Ordering::Release));
    });
    if started.is_err() {
        lock(&THREADS).retain(|other| !Arc::ptr_eq(other, &thread));
        object::remove(address);
        return status::INSUFFICIENT_RESOURCES;
    }
    client.write_some(super::process::client_id(super::process::SYSTEM, super::process::SYSTEM));
    handle.write(object::open(thread, address));
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C-unwind" fn PsTerminateSystemThread(_status: Status) -> Status {
    std::panic::resume_unwind(Box::new(Ended))
}
