//! The functions of events, semaphores and mutexes.

use std::thread;
use std::time::Duration;

use super::{
    Header, MUTANT, NOTIFICATION_EVENT, OWNERS, SEMAPHORE, SYNCHRONIZATION_EVENT, Semaphore, deadline, header, wait,
};
use crate::edge::{Ptr, member, seh};
use crate::kernel::object::{self, Object};
use crate::kernel::report::{self, Rule};
use crate::kernel::{dispatcher, irql, time};
use crate::nt::status::{self, Status};
use crate::nt::{Boolean, ObjectAttributes};

/// The most objects that one wait can have.
const MOST_OBJECTS: usize = 64;

fn set_state(object: Ptr<Header>, state: i32) -> i32 {
    dispatcher::change(object.address(), || {
        let member = member!(object, Header, state);
        let before = member.read();
        member.write(state);
        before
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn KeInitializeEvent(event: Ptr<Header>, kind: u32, state: Boolean) {
    let kind = if kind == 0 { NOTIFICATION_EVENT } else { SYNCHRONIZATION_EVENT };
    event.write(header(kind, size_of::<Header>(), (state != 0).into()));
}

#[unsafe(no_mangle)]
pub extern "C" fn KeSetEvent(event: Ptr<Header>, _increment: i32, _wait: Boolean) -> i32 {
    set_state(event, 1)
}

#[unsafe(no_mangle)]
pub extern "C" fn KePulseEvent(event: Ptr<Header>, increment: i32, wait: Boolean) -> i32 {
    let before = KeSetEvent(event, increment, wait);
    KeClearEvent(event);
    before
}

#[unsafe(no_mangle)]
pub extern "C" fn KeResetEvent(event: Ptr<Header>) -> i32 {
    set_state(event, 0)
}

#[unsafe(no_mangle)]
pub extern "C" fn KeClearEvent(event: Ptr<Header>) {
    set_state(event, 0);
}

#[unsafe(no_mangle)]
pub extern "C" fn KeReadStateEvent(event: Ptr<Header>) -> i32 {
    dispatcher::look(|| member!(event, Header, state).read())
}

#[unsafe(no_mangle)]
pub extern "C" fn KeInitializeSemaphore(semaphore: Ptr<Semaphore>, count: i32, limit: i32) {
    semaphore.write(Semaphore { header: header(SEMAPHORE, size_of::<Semaphore>(), count), limit });
}

#[unsafe(no_mangle)]
pub extern "C" fn KeReleaseSemaphore(
    semaphore: Ptr<Semaphore>,
    _increment: i32,
    adjustment: i32,
    _wait: Boolean,
) -> i32 {
    let state = member!(semaphore, Semaphore, header.state);
    let before = dispatcher::change(semaphore.address(), || {
        let before = state.read();
        let after =
            before.checked_add(adjustment).filter(|&after| after <= member!(semaphore, Semaphore, limit).read());
        state.write(after?);
        Some(before)
    });
    before.unwrap_or_else(|| seh::raise(status::SEMAPHORE_LIMIT_EXCEEDED.0))
}

#[unsafe(no_mangle)]
pub extern "C" fn KeReadStateSemaphore(semaphore: Ptr<Semaphore>) -> i32 {
    KeReadStateEvent(semaphore.cast())
}

#[unsafe(no_mangle)]
pub extern "C" fn KeInitializeMutex(mutex: Ptr<Header>, _level: u32) {
    /// `KMUTEX`
    const SIZE: usize = 56;
    mutex.cast::<u8>().fill(0, SIZE);
    mutex.write(header(MUTANT, SIZE, 1));
    OWNERS.remove(mutex.address());
}

#[unsafe(no_mangle)]
pub extern "C" fn KeReleaseMutex(mutex: Ptr<Header>, _wait: Boolean) -> i32 {
    if OWNERS.with(mutex.address(), |owner| *owner == thread::current().id()) != Some(true) {
        report::find(Rule::LockOwner, "a mutex is released that this thread does not own");
        seh::raise(status::MUTANT_NOT_OWNED.0);
    }
    dispatcher::change(mutex.address(), || {
        let state = member!(mutex, Header, state);
        let before = state.read();
        state.write(before + 1);
        if before + 1 == 1 {
            OWNERS.remove(mutex.address());
        }
        before
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn KeReadStateMutex(mutex: Ptr<Header>) -> i32 {
    KeReadStateEvent(mutex)
}

fn expect_level(timeout: Ptr<i64>) {
    let polls = timeout.some().is_some_and(|timeout| timeout.read() == 0);
    irql::expect(if polls { irql::DISPATCH } else { irql::APC }, "waiting");
}

fn status_of(taken: Option<usize>) -> Status {
    match taken {
        None => status::TIMEOUT,
        Some(index) => Status(index as u32),
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn KeWaitForSingleObject(
    object: Ptr,
    _reason: u32,
    _mode: i8,
    _alertable: Boolean,
    timeout: Ptr<i64>,
) -> Status {
    expect_level(timeout);
    status_of(wait(&[object], false, deadline(timeout)))
}

#[unsafe(no_mangle)]
pub extern "C" fn KeWaitForMultipleObjects(
    count: u32,
    objects: Ptr<Ptr>,
    any: u32,
    _reason: u32,
    _mode: i8,
    _alertable: Boolean,
    timeout: Ptr<i64>,
    _blocks: Ptr,
) -> Status {
    expect_level(timeout);
    if count as usize > MOST_OBJECTS || count == 0 {
        report::find(Rule::Arg, format!("a wait for {count} objects"));
        return status::INVALID_PARAMETER;
    }
    status_of(wait(&objects.read_many(count as usize), any == 0, deadline(timeout)))
}

#[unsafe(no_mangle)]
pub extern "C" fn FltCancellableWaitForSingleObject(object: Ptr, timeout: Ptr<i64>, _data: Ptr) -> Status {
    KeWaitForSingleObject(object, 0, 0, 0, timeout)
}

#[unsafe(no_mangle)]
pub extern "C" fn KeDelayExecutionThread(_mode: i8, _alertable: Boolean, interval: Ptr<i64>) -> Status {
    irql::expect(irql::APC, "KeDelayExecutionThread");
    let ticks = interval.read();
    let rest =
        if ticks <= 0 { ticks.unsigned_abs() } else { ticks.saturating_sub(time::system()).max(0).unsigned_abs() };
    thread::sleep(Duration::from_nanos(rest.saturating_mul(100)));
    status::SUCCESS
}

/// An event that is known by a handle.
struct Event(Box<Header>);

impl Object for Event {
    fn kind(&self) -> &'static str {
        "event"
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwCreateEvent(
    handle: Ptr<Ptr>,
    _access: u32,
    _attributes: Ptr<ObjectAttributes>,
    kind: u32,
    state: Boolean,
) -> Status {
    irql::expect(irql::PASSIVE, "ZwCreateEvent");
    let event = std::sync::Arc::new(Event(Box::new(header(0, size_of::<Header>(), 0))));
    let address: Ptr<Header> = Ptr::new(std::ptr::from_ref(&*event.0).cast_mut());
    KeInitializeEvent(address, kind, state);
    object::add_at(address.cast(), event.clone());
    handle.write(object::open(event, address.cast()));
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwSetEvent(handle: Ptr, previous: Ptr<i32>) -> Status {
    let Ok((_, address)) = object::of_handle::<Event>(handle) else { return status::INVALID_HANDLE };
    previous.write_some(KeSetEvent(address.cast(), 0, 0));
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwWaitForSingleObject(handle: Ptr, alertable: Boolean, timeout: Ptr<i64>) -> Status {
    match object::kind_of_handle(handle) {
        Some((_, address)) => KeWaitForSingleObject(address, 0, 0, alertable, timeout),
        None => status::INVALID_HANDLE,
    }
}
