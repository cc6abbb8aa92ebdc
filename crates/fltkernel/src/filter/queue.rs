//! Operations that a driver keeps for later, and work that it has done later.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::callback;
use super::data;
use super::instance::Instance;
use super::registration::Filter;
use crate::edge::{Ptr, member};
use crate::kernel::object::{self, Object};
use crate::kernel::report::{self, Rule};
use crate::kernel::{irql, work};
use crate::lock;
use crate::nt::CallbackData;
use crate::nt::status::{self, Status};

type Insert = extern "C" fn(Ptr<Queue>, Ptr<CallbackData>, Ptr) -> Status;
type Remove = extern "C" fn(Ptr<Queue>, Ptr<CallbackData>);
type Peek = extern "C" fn(Ptr<Queue>, Ptr<CallbackData>, Ptr) -> Ptr<CallbackData>;
type Acquire = extern "C" fn(Ptr<Queue>, Ptr<u8>);
type Release = extern "C" fn(Ptr<Queue>, u8);
type Cancelled = extern "C" fn(Ptr<CallbackData>);

/// `FLT_CALLBACK_DATA_QUEUE`: the driver's own list, with the driver's own lock.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Queue {
    reserved: [u64; 8],
    flags: u32,
    instance: Ptr,
    insert: Insert,
    remove: Remove,
    peek: Peek,
    acquire: Acquire,
    release: Release,
    cancelled: Cancelled,
}

const DISABLED: u32 = 1;

static QUEUES: Mutex<Vec<Ptr<Queue>>> = Mutex::new(Vec::new());

#[unsafe(no_mangle)]
extern "C" fn FltCbdqInitialize(
    instance: Ptr,
    queue: Ptr<Queue>,
    insert: Insert,
    remove: Remove,
    peek: Peek,
    acquire: Acquire,
    release: Release,
    cancelled: Cancelled,
) -> Status {
    queue.write(Queue { reserved: [0; 8], flags: 0, instance, insert, remove, peek, acquire, release, cancelled });
    lock(&QUEUES).push(queue);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltCbdqEnable(queue: Ptr<Queue>) {
    let flags = member!(queue, Queue, flags);
    flags.write(flags.read() & !DISABLED);
}

#[unsafe(no_mangle)]
pub extern "C" fn FltCbdqDisable(queue: Ptr<Queue>) {
    let flags = member!(queue, Queue, flags);
    flags.write(flags.read() | DISABLED);
}

#[unsafe(no_mangle)]
pub extern "C" fn FltCbdqInsertIo(
    queue: Ptr<Queue>,
    data: Ptr<CallbackData>,
    _context: Ptr,
    insert_context: Ptr,
) -> Status {
    let q = queue.read();
    if q.flags & DISABLED != 0 {
        return status::FLT_CBDQ_DISABLED;
    }
    with_lock(queue, |q| (q.insert)(queue, data, insert_context))
}

fn with_lock<R>(queue: Ptr<Queue>, run: impl FnOnce(Queue) -> R) -> R {
    let q = queue.read();
    let mut level = 0u8;
    (q.acquire)(queue, Ptr::new(&raw mut level));
    let result = run(q);
    (q.release)(queue, level);
    result
}

#[unsafe(no_mangle)]
pub extern "C" fn FltCbdqRemoveNextIo(queue: Ptr<Queue>, context: Ptr) -> Ptr<CallbackData> {
    with_lock(queue, |q| {
        let next = (q.peek)(queue, Ptr::NULL, context);
        if !next.is_null() {
            (q.remove)(queue, next);
        }
        next
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn FltCbdqRemoveIo(queue: Ptr<Queue>, _context: Ptr) -> Ptr<CallbackData> {
    FltCbdqRemoveNextIo(queue, Ptr::NULL)
}

/// An instance goes: its queues take nothing more, and what is in them is cancelled.
pub fn disable_all(instance: &Arc<Instance>) {
    let address = object::address(instance);
    let mut queues = lock(&QUEUES);
    let of_instance: Vec<Ptr<Queue>> =
        queues.iter().filter(|queue| queue.read().instance == address).copied().collect();
    queues.retain(|queue| queue.read().instance != address);
    drop(queues);
    for queue in of_instance {
        FltCbdqDisable(queue);
        loop {
            let next = FltCbdqRemoveNextIo(queue, Ptr::NULL);
            if next.is_null() {
                break;
            }
            (queue.read().cancelled)(next);
        }
    }
}

/// `FLT_GENERIC_WORKITEM` and `FLT_DEFERRED_IO_WORKITEM`
struct WorkItem {
    queued: AtomicBool,
}

impl Object for WorkItem {
    fn kind(&self) -> &'static str {
        "work item"
    }
}

/// What keeps a filter from going while its work is queued.
const WORK: &str = "work items";

fn allocate() -> Ptr {
    object::add_referenced(&Arc::new(WorkItem { queued: AtomicBool::new(false) }))
}

fn free(item: Ptr) {
    if object::get::<WorkItem>(item, "work item").is_some_and(|item| item.queued.load(Ordering::Acquire)) {
        report::find(Rule::Object, "a work item is freed that is queued");
    }
    object::dereference(item);
}

#[unsafe(no_mangle)]
pub extern "C" fn FltAllocateGenericWorkItem() -> Ptr {
    allocate()
}

#[unsafe(no_mangle)]
pub extern "C" fn FltFreeGenericWorkItem(item: Ptr) {
    free(item);
}

/// The filter that this pointer is, or of which it is an instance.
fn filter_of(pointer: Ptr) -> Option<Arc<Filter>> {
    object::find::<Filter>(pointer)
        .or_else(|| object::find::<Instance>(pointer).map(|instance| instance.filter.clone()))
}

#[unsafe(no_mangle)]
pub extern "C" fn FltQueueGenericWorkItem(
    item: Ptr,
    owner: Ptr,
    routine: extern "C" fn(Ptr, Ptr, Ptr),
    _queue: u32,
    context: Ptr,
) -> Status {
    irql::expect(irql::DISPATCH, "FltQueueGenericWorkItem");
    let (Some(known), Some(filter)) = (object::get::<WorkItem>(item, "work item"), filter_of(owner)) else {
        return status::INVALID_PARAMETER;
    };
    if filter.is_draining() {
        return status::FLT_DELETING_OBJECT;
    }
    filter.users().add(WORK);
    known.queued.store(true, Ordering::Release);
    work::queue(move || {
        known.queued.store(false, Ordering::Release);
        callback::call("a generic work item", None, 0, || routine(item, owner, context));
        filter.users().remove(WORK);
    });
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltAllocateDeferredIoWorkItem() -> Ptr {
    allocate()
}

#[unsafe(no_mangle)]
pub extern "C" fn FltFreeDeferredIoWorkItem(item: Ptr) {
    free(item);
}

#[unsafe(no_mangle)]
pub extern "C" fn FltQueueDeferredIoWorkItem(
    item: Ptr,
    address: Ptr<CallbackData>,
    routine: extern "C" fn(Ptr, Ptr<CallbackData>, Ptr),
    _queue: u32,
    context: Ptr,
) -> Status {
    const PAGING: u32 = 2;
    let (Some(known), Some(operation)) = (object::get::<WorkItem>(item, "work item"), data::get(address)) else {
        return status::INVALID_PARAMETER;
    };
    let whole = operation.read();
    let irp = whole.flags & crate::nt::data::IRP != 0;
    if !irp || operation.block().irp_flags & PAGING != 0 || whole.flags & crate::nt::data::DRAINING != 0 {
        return status::FLT_NOT_SAFE_TO_POST_OPERATION;
    }
    known.queued.store(true, Ordering::Release);
    work::queue(move || {
        known.queued.store(false, Ordering::Release);
        callback::call("a deferred work item", None, operation.number, || routine(item, address, context));
    });
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltSetCancelCompletion(_data: Ptr<CallbackData>, _routine: Ptr) -> Status {
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltClearCancelCompletion(_data: Ptr<CallbackData>) -> Status {
    status::SUCCESS
}
