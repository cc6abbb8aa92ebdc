//! Filters: registered by a driver, started, and taken away.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::instance::{self, Teardown};
use super::{context, port, volume};
use crate::edge::{Ptr, sanitizer};
use crate::host::driver;
use crate::kernel::object::{self, Object, address};
use crate::kernel::report::{self, Rule};
use crate::kernel::{irql, registry};
use crate::lock;
use crate::nt::status::{self, Status};
use crate::nt::{CONTEXT_END, ContextRegistration, OPERATION_END, OperationRegistration, Registration};

/// `FLT_REGISTRATION_VERSION` with the size that each had.
const VERSIONS: &[(u16, u16)] = &[(0x0200, 80), (0x0201, 96), (0x0202, 104), (0x0203, 112)];

/// `FLT_FILTER`
#[derive(Debug)]
pub struct Filter {
    /// The service's name.
    pub name: String,
    pub driver: Ptr,
    pub registration: Registration,
    operations: HashMap<u8, OperationRegistration>,
    pub contexts: Vec<ContextRegistration>,
    started: AtomicBool,
    draining: AtomicBool,
    unregistered: AtomicBool,
    users: Users,
    /// Volumes that it was offered: it is asked once.
    offered: Mutex<HashSet<usize>>,
}

impl Object for Filter {
    fn kind(&self) -> &'static str {
        "filter"
    }
}

/// What keeps a filter, or an instance, from going: operations in its callbacks, work items, open server ports.
#[derive(Debug, Default)]
pub struct Users {
    by: Mutex<HashMap<&'static str, u64>>,
    gone: Condvar,
}

impl Users {
    /// One more.
    pub fn add(&self, what: &'static str) {
        *lock(&self.by).entry(what).or_default() += 1;
    }

    /// One less.
    pub fn remove(&self, what: &'static str) {
        let mut by = lock(&self.by);
        if let Some(count) = by.get_mut(what) {
            *count = count.saturating_sub(1);
        }
        self.gone.notify_all();
    }

    /// How many of this kind there are.
    pub fn count(&self, what: &'static str) -> u64 {
        lock(&self.by).get(what).copied().unwrap_or(0)
    }

    /// Waits until there is none; what there is, after `patience`.
    pub fn wait(&self, patience: Duration) -> Result<(), String> {
        let end = Instant::now() + patience;
        let mut by = lock(&self.by);
        loop {
            let left: Vec<String> =
                by.iter().filter(|(_, count)| **count > 0).map(|(what, count)| format!("{count} {what}")).collect();
            if left.is_empty() {
                return Ok(());
            }
            let Some(rest) = end.checked_duration_since(Instant::now()) else { return Err(left.join(", ")) };
            by = self.gone.wait_timeout(by, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

static FILTERS: Mutex<Vec<Arc<Filter>>> = Mutex::new(Vec::new());
static PATIENCE: Mutex<Duration> = Mutex::new(Duration::from_secs(30));

/// How long an unload waits for what holds the filter.
pub fn set_patience(patience: Duration) {
    *lock(&PATIENCE) = patience;
}

/// How long an unload waits for what holds the filter.
pub fn patience() -> Duration {
    *lock(&PATIENCE)
}

/// All filters that are registered.
pub fn all() -> Vec<Arc<Filter>> {
    lock(&FILTERS).clone()
}

/// The filter of a driver, registered or not any more.
pub fn of_driver(driver: Ptr) -> Option<Arc<Filter>> {
    lock(&FILTERS).iter().find(|filter| filter.driver == driver).cloned()
}

/// Forgets the filters of a driver that is gone.
pub fn forget(driver: Ptr) {
    lock(&FILTERS).retain(|filter| {
        let keep = filter.driver != driver;
        if !keep {
            object::remove(address(filter));
        }
        keep
    });
}

impl Filter {
    /// What it registered for this kind of operation.
    pub fn operation(&self, major: u8) -> Option<&OperationRegistration> {
        self.operations.get(&major)
    }

    /// All that it registered, in the order of the codes.
    pub fn operations(&self) -> Vec<OperationRegistration> {
        let mut all: Vec<_> = self.operations.values().copied().collect();
        all.sort_by_key(|operation| operation.major);
        all
    }

    /// Whether it goes: nothing new begins for it.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether it sees operations.
    pub fn is_started(&self) -> bool {
        self.started.load(Ordering::Acquire) && !self.is_draining()
    }

    /// Whether its driver has called FltUnregisterFilter.
    pub fn is_unregistered(&self) -> bool {
        self.unregistered.load(Ordering::Acquire)
    }

    /// Whether it was not asked yet if it wants to attach to this volume; it is from now on.
    pub fn is_first_sight(&self, volume: &Arc<volume::Volume>) -> bool {
        lock(&self.offered).insert(Arc::as_ptr(volume) as usize)
    }

    /// What keeps it.
    pub fn users(&self) -> &Users {
        &self.users
    }

    /// The key of its service.
    pub fn key(&self) -> Arc<registry::Key> {
        registry::service(&self.name)
    }
}

/// The registration as the driver gave it: as many bytes as its version has.
fn copied(registration: Ptr<Registration>) -> Result<Registration, Status> {
    let size = registration.cast::<u16>().read();
    let version = registration.cast::<u16>().add(1).read();
    let known = VERSIONS.iter().find(|(known, _)| *known == version).ok_or(status::INVALID_PARAMETER)?;
    if size < known.1 {
        return Err(status::INVALID_PARAMETER);
    }
    let mut whole = [0u8; size_of::<Registration>()];
    let bytes = registration.cast::<u8>().read_many(usize::from(known.1).min(whole.len()));
    whole[..bytes.len()].copy_from_slice(&bytes);
    // all of its bytes are integers, pointers or optional functions that the driver gave
    Ok(Ptr::new(whole.as_mut_ptr()).cast::<Registration>().read())
}

fn copied_until<T: Copy>(first: Ptr<T>, is_end: impl Fn(&T) -> bool) -> Vec<T> {
    if first.is_null() {
        return Vec::new();
    }
    (0..).map(|at| first.add(at).read()).take_while(|entry| !is_end(entry)).collect()
}

#[unsafe(no_mangle)]
pub extern "C" fn FltRegisterFilter(driver: Ptr, registration: Ptr<Registration>, result: Ptr<Ptr>) -> Status {
    irql::expect(irql::PASSIVE, "FltRegisterFilter");
    if driver.is_null() || registration.is_null() || result.is_null() {
        report::find(Rule::Arg, "FltRegisterFilter with a NULL pointer");
        return status::INVALID_PARAMETER;
    }
    match register(driver, registration) {
        Ok(filter) => {
            result.write(object::add(&filter));
            lock(&FILTERS).push(filter);
            status::SUCCESS
        }
        Err(status) => status,
    }
}

fn register(driver: Ptr, registration: Ptr<Registration>) -> Result<Arc<Filter>, Status> {
    let registration = copied(registration)?;
    let name = driver::service_of(driver).ok_or(status::INVALID_PARAMETER)?;
    if of_driver(driver).is_some() {
        return Err(status::FLT_DUPLICATE_ENTRY);
    }
    if instance::settings(&registry::service(&name)).is_empty() {
        return Err(status::OBJECT_NAME_NOT_FOUND);
    }
    let contexts = copied_until(registration.contexts, |entry| entry.kind == CONTEXT_END);
    context::check_registration(&contexts)?;
    let operations = copied_until(registration.operations, |entry| entry.major == OPERATION_END);
    Ok(Arc::new(Filter {
        name,
        driver,
        registration,
        operations: operations.into_iter().map(|operation| (operation.major, operation)).collect(),
        contexts,
        started: AtomicBool::new(false),
        draining: AtomicBool::new(false),
        unregistered: AtomicBool::new(false),
        users: Users::default(),
        offered: Mutex::default(),
    }))
}

#[unsafe(no_mangle)]
pub extern "C" fn FltStartFiltering(filter: Ptr) -> Status {
    irql::expect(irql::PASSIVE, "FltStartFiltering");
    let Some(filter) = object::get::<Filter>(filter, "filter") else { return status::INVALID_PARAMETER };
    if filter.is_draining() {
        return status::FLT_DELETING_OBJECT;
    }
    sanitizer::release(Arc::as_ptr(&filter) as usize);
    if filter.started.swap(true, Ordering::AcqRel) {
        return status::INVALID_PARAMETER;
    }
    volume::first();
    for volume in volume::all() {
        instance::attach_automatically(&filter, &volume, false);
    }
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltUnregisterFilter(filter: Ptr) {
    irql::expect(irql::PASSIVE, "FltUnregisterFilter");
    let Some(filter) = object::get::<Filter>(filter, "filter") else { return };
    if filter.draining.swap(true, Ordering::AcqRel) {
        return report::find(Rule::Object, "FltUnregisterFilter is called a second time");
    }
    if filter.users.count(port::OPEN_PORT) > 0 {
        report::find(
            Rule::UnloadOrder,
            "FltUnregisterFilter while a server port is open: it waits for the port, which only this thread could close",
        );
        port::close_all(&filter);
    }
    let reason = driver::unload_reason(filter.driver);
    for instance in instance::of_filter(&filter) {
        instance::teardown(&instance, if reason == 0 { Teardown::FilterUnload } else { Teardown::MandatoryUnload });
    }
    if let Err(holders) = filter.users.wait(patience()) {
        report::find(Rule::Ref, format!("the filter cannot go: it is held by {holders}"));
    }
    let references = object::references(address(&filter));
    if references > 0 {
        report::find(
            Rule::Ref,
            format!("FltUnregisterFilter with {references} references to the filter: it waits for them"),
        );
    }
    port::disconnect_all(&filter);
    context::remove_of_filter(&filter);
    filter.unregistered.store(true, Ordering::Release);
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetFilterFromName(name: Ptr<crate::nt::UnicodeString>, result: Ptr<Ptr>) -> Status {
    let wanted = name.read().text();
    let found = all().into_iter().find(|filter| filter.name.eq_ignore_ascii_case(&wanted));
    let Some(filter) = found else {
        result.write(Ptr::NULL);
        return status::FLT_FILTER_NOT_FOUND;
    };
    object::reference(address(&filter));
    result.write(address(&filter));
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetFilterFromInstance(instance: Ptr, result: Ptr<Ptr>) -> Status {
    let Some(instance) = object::get::<instance::Instance>(instance, "instance") else {
        return status::INVALID_PARAMETER;
    };
    object::reference(address(&instance.filter));
    result.write(address(&instance.filter));
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltObjectReference(pointer: Ptr) -> Status {
    let going = object::find::<Filter>(pointer).is_some_and(|filter| filter.is_draining())
        || object::find::<instance::Instance>(pointer).is_some_and(|instance| instance.is_going());
    if going {
        return status::FLT_DELETING_OBJECT;
    }
    if object::reference(pointer) {
        return status::SUCCESS;
    }
    report::find(Rule::Object, format!("{pointer:?} is no filter, instance or volume"));
    status::INVALID_PARAMETER
}

#[unsafe(no_mangle)]
pub extern "C" fn FltObjectDereference(pointer: Ptr) {
    if !object::dereference(pointer) {
        report::find(Rule::Ref, "FltObjectDereference of something that has no reference to give back");
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetIrpName(major: u8) -> Ptr<u8> {
    static NAMES: Mutex<Option<HashMap<u8, &'static [u8]>>> = Mutex::new(None);
    let mut names = lock(&NAMES);
    // a driver may keep the pointer for ever: each of the 256 names is made once
    let name = names.get_or_insert_default().entry(major).or_insert_with(|| {
        let mut text = crate::nt::major::name(major).into_bytes();
        text.push(0);
        text.leak()
    });
    Ptr::new(name.as_ptr().cast_mut())
}
