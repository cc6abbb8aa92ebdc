//! Timers, and routines that run at DISPATCH_LEVEL: one thread runs both when they are due.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Header, NOTIFICATION_TIMER, SYNCHRONIZATION_TIMER, header};
use crate::edge::{Ptr, function, member, seh};
use crate::kernel::{dispatcher, irql, time};
use crate::lock;
use crate::nt::{Boolean, ListEntry};

/// `KTIMER`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Timer {
    header: Header,
    due: u64,
    links: ListEntry,
    dpc: Ptr<Dpc>,
    processor: u32,
    period: u32,
}

/// `KDPC`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Dpc {
    kind: u32,
    link: Ptr,
    history: usize,
    routine: Ptr,
    context: Ptr,
    argument1: Ptr,
    argument2: Ptr,
    data: Ptr,
}

type Routine = extern "C" fn(Ptr<Dpc>, Ptr, Ptr, Ptr);

/// What is due when: the number keeps those of one moment apart.
static DUE: Mutex<BTreeMap<(Instant, u64), Due>> = Mutex::new(BTreeMap::new());
static CHANGED: Condvar = Condvar::new();

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Timer(Ptr<Timer>),
    Dpc(Ptr<Dpc>),
}

fn add(when: Instant, due: Due) {
    static START: Once = Once::new();
    static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    START.call_once(|| {
        // without it timers do not fire; and no caller to tell
        let _ = thread::Builder::new().name("fltkernel-timers".into()).spawn(run);
    });
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    lock(&DUE).insert((when, number), due);
    CHANGED.notify_one();
}

/// Takes something back; whether it was there.
fn remove(due: Due) -> bool {
    let mut all = lock(&DUE);
    let before = all.len();
    all.retain(|_, other| *other != due);
    all.len() < before
}

fn run() {
    let mut all = lock(&DUE);
    loop {
        let now = Instant::now();
        let Some(first) = all.first_entry() else {
            all = CHANGED.wait(all).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let when = first.key().0;
        if when > now {
            all = CHANGED.wait_timeout(all, when - now).unwrap_or_else(PoisonError::into_inner).0;
            continue;
        }
        let due = first.remove();
        drop(all);
        match due {
            Due::Timer(timer) => fire(timer, when),
            Due::Dpc(dpc) => run_dpc(dpc),
        }
        all = lock(&DUE);
    }
}

fn fire(timer: Ptr<Timer>, when: Instant) {
    let (period, dpc) = dispatcher::change(timer.address(), || {
        member!(timer, Timer, header.state).write(1);
        (member!(timer, Timer, period).read(), member!(timer, Timer, dpc).read())
    });
    if period > 0 {
        add(when + Duration::from_millis(period.into()), Due::Timer(timer));
    }
    if !dpc.is_null() {
        run_dpc(dpc);
    }
}

fn run_dpc(dpc: Ptr<Dpc>) {
    let Dpc { routine, context, argument1, argument2, .. } = dpc.read();
    if routine.is_null() {
        return;
    }
    let routine = function!(routine, Routine);
    let before = irql::set(irql::DISPATCH);
    seh::guarded(|| routine(dpc, context, argument1, argument2));
    irql::set(before);
}

#[unsafe(no_mangle)]
pub extern "C" fn KeInitializeTimerEx(timer: Ptr<Timer>, kind: u32) {
    let kind = if kind == 0 { NOTIFICATION_TIMER } else { SYNCHRONIZATION_TIMER };
    timer.cast::<u8>().fill(0, size_of::<Timer>());
    timer.cast::<Header>().write(header(kind, size_of::<Timer>(), 0));
}

#[unsafe(no_mangle)]
pub extern "C" fn KeInitializeTimer(timer: Ptr<Timer>) {
    KeInitializeTimerEx(timer, 0);
}

#[unsafe(no_mangle)]
pub extern "C" fn KeSetTimerEx(timer: Ptr<Timer>, due: i64, period: i32, dpc: Ptr<Dpc>) -> Boolean {
    let was_set = remove(Due::Timer(timer));
    let rest = if due <= 0 { due.unsigned_abs() } else { due.saturating_sub(time::system()).max(0).unsigned_abs() };
    dispatcher::change(timer.address(), || {
        member!(timer, Timer, header.state).write(0);
        member!(timer, Timer, period).write(period.unsigned_abs());
        member!(timer, Timer, dpc).write(dpc);
    });
    add(Instant::now() + Duration::from_nanos(rest.saturating_mul(100)), Due::Timer(timer));
    was_set.into()
}

#[unsafe(no_mangle)]
pub extern "C" fn KeSetTimer(timer: Ptr<Timer>, due: i64, dpc: Ptr<Dpc>) -> Boolean {
    KeSetTimerEx(timer, due, 0, dpc)
}

#[unsafe(no_mangle)]
pub extern "C" fn KeCancelTimer(timer: Ptr<Timer>) -> Boolean {
    remove(Due::Timer(timer)).into()
}

#[unsafe(no_mangle)]
pub extern "C" fn KeReadStateTimer(timer: Ptr<Timer>) -> Boolean {
    (super::KeReadStateEvent(timer.cast()) != 0).into()
}

#[unsafe(no_mangle)]
pub extern "C" fn KeInitializeDpc(dpc: Ptr<Dpc>, routine: Ptr, context: Ptr) {
    let null = Ptr::NULL;
    dpc.write(Dpc {
        kind: 0x13,
        link: null,
        history: 0,
        routine,
        context,
        argument1: null,
        argument2: null,
        data: null,
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn KeInsertQueueDpc(dpc: Ptr<Dpc>, argument1: Ptr, argument2: Ptr) -> Boolean {
    if lock(&DUE).values().any(|due| *due == Due::Dpc(dpc)) {
        return 0;
    }
    member!(dpc, Dpc, argument1).write(argument1);
    member!(dpc, Dpc, argument2).write(argument2);
    add(Instant::now(), Due::Dpc(dpc));
    1
}

#[unsafe(no_mangle)]
pub extern "C" fn KeRemoveQueueDpc(dpc: Ptr<Dpc>) -> Boolean {
    remove(Due::Dpc(dpc)).into()
}

#[unsafe(no_mangle)]
pub extern "C" fn KeFlushQueuedDpcs() {
    while lock(&DUE).values().any(|due| matches!(due, Due::Dpc(_))) {
        thread::sleep(Duration::from_millis(1));
    }
}
