//! Drivers: loaded from a shared library, entered, unloaded.

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::edge::library::Library;
use crate::edge::{Memory, Ptr, function, member};
use crate::filter::{callback, registration};
use crate::kernel::object::{self, Object};
use crate::kernel::registry::SERVICES;
use crate::kernel::report::{self, Rule};
use crate::lock;
use crate::nt::status::{self, Status};
use crate::nt::{DeviceObject, DriverObject, Irp, REGISTRATION_DO_NOT_SUPPORT_SERVICE_STOP, UnicodeString, wide};

/// A loaded driver.
#[derive(Debug)]
pub struct Driver {
    /// The service's name.
    pub service: String,
    memory: Memory,
    _name: Memory,
    library: Library,
    reason: Mutex<u32>,
}

impl Object for Driver {
    fn kind(&self) -> &'static str {
        "driver"
    }
}

static DRIVERS: Mutex<Vec<Arc<Driver>>> = Mutex::new(Vec::new());

type Unload = extern "C" fn(Ptr<DriverObject>);
type Entry = extern "C" fn(Ptr<DriverObject>, Ptr<UnicodeString>) -> Status;

/// `FLTFL_FILTER_UNLOAD_MANDATORY`
const MANDATORY: u32 = 1;

/// The service that a driver object was loaded for.
pub fn service_of(object: Ptr) -> Option<String> {
    object::find::<Driver>(object).map(|driver| driver.service.clone())
}

/// With which flags the driver's unload callback runs; 0 also if it does not.
pub fn unload_reason(object: Ptr) -> u32 {
    object::find::<Driver>(object).map_or(0, |driver| *lock(&driver.reason))
}

extern "C" fn refuse(_device: Ptr<DeviceObject>, irp: Ptr<Irp>) -> Status {
    member!(irp, Irp, io_status.status).write(status::INVALID_DEVICE_REQUEST);
    status::INVALID_DEVICE_REQUEST
}

impl Driver {
    /// Loads a driver for a service and calls its DriverEntry.
    ///
    /// # Errors
    /// A sentence: the library cannot be loaded, or what DriverEntry returned.
    pub fn load(path: &Path, service: &str) -> Result<Arc<Self>, String> {
        let path = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
        let library =
            Library::open(path.as_os_str()).map_err(|why| format!("{} cannot be loaded: {why}", path.display()))?;
        let start = library.find(c"DriverEntry").some();
        let start = start.ok_or_else(|| format!("{} is no driver: it has no DriverEntry", path.display()))?;
        let entry = function!(start, Entry);
        let text = wide(&format!(r"\FileSystem\{service}"));
        let name = Memory::holding(&text);
        let length = (text.len() * 2) as u16;
        let driver = Arc::new(Self {
            service: service.to_owned(),
            memory: Memory::new(size_of::<DriverObject>()),
            _name: name,
            library,
            reason: Mutex::new(0),
        });
        let object = driver.object();
        member!(object, DriverObject, kind).write(4);
        member!(object, DriverObject, size).write(size_of::<DriverObject>() as i16);
        member!(object, DriverObject, start).write(start);
        member!(object, DriverObject, name).write(UnicodeString { length, room: length, buffer: driver._name.at() });
        member!(object, DriverObject, major).write([Some(refuse as _); 28]);
        object::add_at(object.cast(), driver.clone());
        lock(&DRIVERS).push(driver.clone());
        let status = driver.enter(entry);
        if status.is_success_severity() {
            return Ok(driver);
        }
        if registration::of_driver(object.cast()).is_some_and(|filter| !filter.is_unregistered()) {
            report::find(Rule::EntryLeak, "DriverEntry fails and leaves its filter registered");
        }
        driver.forget();
        Err(format!("DriverEntry of {} returned {status}", path.display()))
    }

    /// The registry path is there for the call alone: a driver that keeps it reads freed memory.
    fn enter(&self, entry: Entry) -> Status {
        let text = wide(&format!(r"{SERVICES}\{}", self.service));
        let (buffer, string) = (Memory::holding(&text), Memory::new(size_of::<UnicodeString>()));
        let length = (text.len() * 2) as u16;
        string.at().write(UnicodeString { length, room: length, buffer: buffer.at() });
        callback::call("DriverEntry", None, 0, || entry(self.object(), string.at()))
    }

    /// The `DRIVER_OBJECT`.
    pub fn object(&self) -> Ptr<DriverObject> {
        self.memory.at()
    }

    /// Asks the driver to go; `mandatory` does not take no for an answer. What it left behind becomes findings.
    ///
    /// # Errors
    /// The status with which it stays.
    pub fn unload(self: &Arc<Self>, mandatory: bool) -> Result<(), Status> {
        let filter = registration::of_driver(self.object().cast());
        if let Some(filter) = &filter {
            let registration = filter.registration;
            let Some(unload) = registration.unload else { return Err(status::FLT_DO_NOT_DETACH) };
            if mandatory && registration.flags & REGISTRATION_DO_NOT_SUPPORT_SERVICE_STOP != 0 {
                return Err(status::FLT_DO_NOT_DETACH);
            }
            let flags = if mandatory { MANDATORY } else { 0 };
            *lock(&self.reason) = flags;
            let answer = callback::call("FilterUnload", None, 0, || unload(flags));
            if !answer.is_success_severity() && !mandatory {
                if filter.is_unregistered() {
                    report::find(Rule::UnloadHalf, "FilterUnload refuses, and has called FltUnregisterFilter already");
                }
                return Err(answer);
            }
            if !filter.is_unregistered() {
                report::find(Rule::UnloadNoUnregister, "FilterUnload returned and did not call FltUnregisterFilter");
                registration::FltUnregisterFilter(object::address(filter));
            }
        } else if let Some(routine) = self.unload_routine() {
            callback::call("DriverUnload", None, 0, || routine(self.object()));
        }
        super::audit::audit(filter.as_ref());
        self.forget();
        if crate::kernel::work::running_threads().is_empty() {
            self.library.close();
        }
        Ok(())
    }

    fn unload_routine(&self) -> Option<Unload> {
        let routine = member!(self.object(), DriverObject, unload).read().some()?;
        Some(function!(routine, Unload))
    }

    fn forget(self: &Arc<Self>) {
        registration::forget(self.object().cast());
        object::remove(self.object().cast());
        lock(&DRIVERS).retain(|other| !Arc::ptr_eq(other, self));
    }
}
