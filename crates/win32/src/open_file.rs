//! Files: what a driver, another library, has made handles of; and the requests that are under way on them.

use std::ffi::c_void;
use std::os::fd::{AsFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock};

use abi::file::{self, FileType, INHERIT, Opaque, Request, SYNCHRONOUS, Word, deadline_to_number};
use abi::{Error, Handle, Overlapped, pointer};
use proto::status::Status;
use smallvec::SmallVec;
use sys::clock::Deadline;
use sys::fork::PerProcess;

use crate::completion_port::{CompletionPort, Packet};
use crate::event::Event;
use crate::inherit::Inherited;
use crate::object::{EventObject, Files, Object};
use crate::sync::lock;
use crate::synchronization::MODIFY_STATE;
use crate::table::{self, Entry};
use crate::thread;

/// One open file, whatever handles there are to it.
#[derive(Debug)]
pub(crate) struct OpenFile {
    /// Which driver's it is.
    number: u32,
    driver: OnceLock<Driver>,
    /// What the driver has still to open: the file came from the process that started this one.
    unopened: Mutex<Option<OwnedFd>>,
    /// Signalled when a request ends that has no event of its own.
    pub(crate) signal: Event,
    handles: AtomicUsize,
    synchronous: bool,
    association: OnceLock<Association>,
    requests: Mutex<Requests>,
    listed: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
struct Driver {
    functions: &'static FileType,
    context: *const c_void,
}

// SAFETY: a driver's files are `File`s, which all threads may use.
unsafe impl Send for Driver {}
// SAFETY: as above.
unsafe impl Sync for Driver {}

/// Where packets go when requests end.
#[derive(Debug)]
struct Association {
    port: Arc<CompletionPort>,
    key: usize,
}

/// A request, from its beginning to its end.
#[derive(Debug)]
#[repr(C)]
struct Outstanding {
    /// First: a driver's pointer to it is one to this.
    request: Request,
    /// `None`: it lies idle.
    file: Option<Arc<OpenFile>>,
    event: Option<Arc<EventObject>>,
    /// No packet is queued.
    quiet: bool,
    thread: u32,
}

/// The requests of a file. Those that have ended lie idle, to be used again.
#[derive(Debug, Default)]
struct Requests {
    all: Vec<Slot>,
    idle: Vec<Slot>,
}

/// A request that lives as long as its file.
#[derive(Debug, Clone, Copy)]
struct Slot(*mut Outstanding);

// SAFETY: what it points to is used with the lock of the file's requests, or by the one thread that completes it.
unsafe impl Send for Slot {}

impl OpenFile {
    fn new(number: u32, unopened: Option<OwnedFd>, flags: u32) -> Self {
        Self {
            number,
            driver: OnceLock::new(),
            unopened: Mutex::new(unopened),
            signal: Event::new(true, true, false),
            handles: AtomicUsize::new(0),
            synchronous: flags & SYNCHRONOUS != 0,
            association: OnceLock::new(),
            requests: Mutex::default(),
            listed: AtomicBool::new(false),
        }
    }

    /// A file that its driver opens, by `descriptor`, when it is first used.
    pub(crate) fn unopened(number: u32, descriptor: OwnedFd) -> Self {
        Self::new(number, Some(descriptor), 0)
    }

    /// The driver's file, which must be one of the driver that asks.
    fn context(&self, functions: &'static FileType) -> Result<*const c_void, Error> {
        if functions.number != self.number {
            return Err(Error::INVALID_FUNCTION);
        }
        if let Some(driver) = self.driver.get() {
            return Ok(driver.context);
        }
        let mut unopened = lock(&self.unopened);
        if let Some(descriptor) = unopened.take() {
            let mut context = std::ptr::null();
            // SAFETY: the driver takes the descriptor, and the variable outlives the call.
            let error = unsafe { (functions.adopt)(descriptor.into_raw_fd(), &raw mut context) };
            if error != 0 {
                return Err(Error(error));
            }
            // set once, with the lock held
            let _ = self.driver.set(Driver { functions, context });
        }
        drop(unopened);
        self.driver.get().map(|driver| driver.context).ok_or(Error::INVALID_HANDLE)
    }

    /// Which driver's it is.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// A descriptor that keeps it open for another process.
    pub(crate) fn duplicate(&self) -> Result<OwnedFd, Error> {
        let Some(driver) = self.driver.get() else {
            let unopened = lock(&self.unopened);
            let descriptor = unopened.as_ref().ok_or(Error::INVALID_HANDLE)?;
            return Ok(descriptor.as_fd().try_clone_to_owned()?);
        };
        let mut descriptor: RawFd = -1;
        // SAFETY: the file is open, and the variable outlives the call.
        let error = unsafe { (driver.functions.duplicate)(driver.context, &raw mut descriptor) };
        if error != 0 {
            return Err(Error(error));
        }
        // SAFETY: the driver has given it away.
        Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
    }

    pub(crate) fn opened(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn closed(&self) {
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(driver) = self.driver.get()
        {
            // SAFETY: the file is open, and is closed once.
            unsafe { (driver.functions.close)(driver.context) };
        }
    }

    /// Completes what has ended.
    pub(crate) fn collect(&self) {
        if let Some(driver) = self.driver.get() {
            // SAFETY: we refer to the file.
            unsafe { (driver.functions.collect)(driver.context) };
        }
    }

    /// Sends packets to `port` when requests end.
    ///
    /// # Errors
    /// ERROR_INVALID_PARAMETER: it does so already, or its requests are synchronous.
    pub(crate) fn associate(&self, port: &Arc<CompletionPort>, key: usize) -> Result<(), Error> {
        let association = Association { port: Arc::clone(port), key };
        if self.synchronous || self.association.set(association).is_err() {
            return Err(Error::INVALID_PARAMETER);
        }
        Ok(())
    }

    /// Begins a request.
    fn begin(
        self: &Arc<Self>,
        overlapped: *mut Overlapped,
        buffer: *mut u8,
        len: usize,
    ) -> Result<*const Request, Error> {
        let given = pointer::read(overlapped)?;
        let quiet = given.event.0 & 1 != 0;
        let event = match Handle(given.event.0 & !1) {
            Handle::NULL => None,
            handle => Some(table::typed(handle, MODIFY_STATE, Object::event)?),
        };
        let pending = [Status::PENDING.0 as usize, 0];
        // SAFETY: the program wants to see that it is pending, and nothing transferred yet.
        unsafe { pointer::write(overlapped.cast(), &pending) }?;
        self.list();
        match &event {
            None => self.signal.reset(),
            Some(event) => {
                event.event.reset();
                if event.files.add(self) {
                    // a thread that waits for it already watches this file from now on
                    event.event.bell.ring();
                }
            }
        }
        if self.association.get().is_none() {
            thread::began_request(self);
        }
        let outstanding = Outstanding {
            request: Request { overlapped, buffer, len },
            file: Some(Arc::clone(self)),
            event,
            quiet,
            thread: thread::current_id(),
        };
        Ok(lock(&self.requests).begin(outstanding))
    }

    /// Takes back the requests that `which` tells; how many are reached.
    fn cancel_where(&self, which: impl Fn(&Outstanding) -> bool) -> usize {
        let Some(driver) = self.driver.get() else { return 0 };
        let requests = lock(&self.requests);
        let mut found = 0;
        for &Slot(slot) in &requests.all {
            // SAFETY: it lives as long as the file, and changes only with the lock that is held.
            let outstanding = unsafe { &*slot };
            if outstanding.file.is_some() && which(outstanding) {
                found += 1;
                // SAFETY: under way, because the lock keeps its completion off.
                unsafe { (driver.functions.cancel)(driver.context, &raw const outstanding.request) };
            }
        }
        drop(requests);
        if found != 0 {
            self.collect();
        }
        found
    }

    /// Takes back the requests of a thread, or of all, and those alone whose OVERLAPPED is `overlapped` if there is one.
    ///
    /// # Errors
    /// ERROR_NOT_FOUND: there are none.
    pub(crate) fn cancel(&self, thread: Option<u32>, overlapped: *mut Overlapped) -> Result<(), Error> {
        let found = self.cancel_where(|one| {
            thread.is_none_or(|thread| thread == one.thread)
                && (overlapped.is_null() || overlapped == one.request.overlapped)
        });
        if found == 0 { Err(Error::NOT_FOUND) } else { Ok(()) }
    }

    /// Takes back whatever waits on the file, also calls that block.
    ///
    /// # Errors
    /// ERROR_NOT_FOUND: nothing does.
    pub(crate) fn cancel_all(&self) -> Result<(), Error> {
        let Some(driver) = self.driver.get() else { return Err(Error::NOT_FOUND) };
        // SAFETY: we refer to the file.
        let found = unsafe { (driver.functions.cancel)(driver.context, std::ptr::null()) };
        self.collect();
        if found == 0 { Err(Error::NOT_FOUND) } else { Ok(()) }
    }

    /// A thread ends: its requests end with it, unless their ends go to a completion port.
    pub(crate) fn thread_ends(&self, thread: u32) {
        if self.association.get().is_none() {
            self.cancel_where(|one| one.thread == thread);
        }
    }

    /// Puts it among those that have had requests.
    fn list(self: &Arc<Self>) {
        if !self.listed.swap(true, Ordering::Relaxed) {
            used().add(self);
        }
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.get() {
            // SAFETY: nothing refers to the file any more.
            unsafe { (driver.functions.free)(driver.context) };
        }
        for &Slot(slot) in &lock(&self.requests).all {
            // SAFETY: leaked by `Requests::begin`; each holds the file while it is under way, so none is.
            drop(unsafe { Box::from_raw(slot) });
        }
    }
}

impl Requests {
    fn begin(&mut self, outstanding: Outstanding) -> *const Request {
        let slot = match self.idle.pop() {
            Some(Slot(slot)) => {
                // SAFETY: idle, and so this thread's alone.
                unsafe { *slot = outstanding };
                slot
            }
            None => {
                let slot = Box::into_raw(Box::new(outstanding));
                self.all.push(Slot(slot));
                slot
            }
        };
        slot.cast_const().cast()
    }
}

/// The end of a request: what was to be told is taken out, and it lies idle from now on.
///
/// # Safety
/// `request` was begun, and has not ended.
unsafe fn end(request: *const Request) -> Outstanding {
    let slot = request.cast_mut().cast::<Outstanding>();
    // SAFETY: as of our caller: it is not idle, and so it lives.
    let file = unsafe { (*slot).file.clone() };
    let Some(file) = file else { unreachable!("a request has a file until it ends") };
    let mut requests = lock(&file.requests);
    let idle = Outstanding {
        request: Request { overlapped: std::ptr::null_mut(), buffer: std::ptr::null_mut(), len: 0 },
        file: None,
        event: None,
        quiet: false,
        thread: 0,
    };
    // SAFETY: no other thread ends it, and one that looks at it does so with the lock that is held.
    let outstanding = unsafe { std::mem::replace(&mut *slot, idle) };
    requests.idle.push(Slot(slot));
    drop(requests);
    outstanding
}

/// The files of this process that have had requests.
fn used() -> &'static Files {
    static USED: PerProcess<Files> = PerProcess::new();
    USED.get(Files::default)
}

/// Completes what has ended, of all files.
pub(crate) fn collect_all() {
    let mut files = SmallVec::<[Arc<OpenFile>; 4]>::new();
    used().each(&mut files);
    files.iter().for_each(|file| file.collect());
}

/// Waits until there may be something to collect in one of the files, of which there is one at least, or one of the words
/// has moved, or the deadline.
pub(crate) fn wait(files: &[Arc<OpenFile>], words: &[Word<'_>], deadline: Option<Deadline>) {
    // all that have requests are of one driver; should there be another, its files are looked at when these wake
    let drivers = files.iter().filter_map(|file| file.driver.get());
    let Some(first) = drivers.clone().next() else { return file::sleep(words, deadline) };
    let contexts: SmallVec<[*const c_void; 4]> = drivers
        .filter(|driver| driver.functions.number == first.functions.number)
        .map(|driver| driver.context)
        .collect();
    let deadline = deadline_to_number(deadline);
    // SAFETY: the arrays outlive the call, and the files are referred to.
    unsafe { (first.functions.wait)(contexts.as_ptr(), contexts.len(), words.as_ptr(), words.len(), deadline) };
}

// What follows is for drivers: crates/win32/abi declares it.

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_file_create(
    of: &'static FileType,
    context: *const c_void,
    access: u32,
    flags: u32,
    handle: &mut Handle,
) -> u32 {
    let created = abi::fence(|| {
        let file = Arc::new(OpenFile::new(of.number, None, flags));
        // no other thread has seen it: set once
        let _ = file.driver.set(Driver { functions: of, context });
        let inherited = (flags & INHERIT != 0).then(|| Inherited::file(&file)).transpose();
        let object = Object::File(Arc::clone(&file));
        match inherited.and_then(|inherited| table::insert(Entry { object, access, inherited })) {
            Ok(handle) => Ok(handle),
            Err(error) => {
                // the driver keeps what it could not give away
                forget(file);
                Err(error)
            }
        }
    });
    match created {
        Ok(created) => {
            *handle = created;
            0
        }
        Err(error) => error.0,
    }
}

/// Lets go of a file without telling its driver, which keeps it.
fn forget(file: Arc<OpenFile>) {
    if let Ok(mut file) = Arc::try_unwrap(file) {
        file.driver.take();
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_file_reference(
    handle: Handle,
    access: u32,
    of: &'static FileType,
    file: &mut *const Opaque,
    context: &mut *const c_void,
) -> u32 {
    let found = abi::fence(|| {
        let (object, rights) = table::look(handle, |entry| (entry.object.clone(), entry.access))?;
        let found = Arc::clone(object.file()?);
        let context = found.context(of)?;
        if rights & access == access { Ok((found, context)) } else { Err(Error::ACCESS_DENIED) }
    });
    match found {
        Ok((found, driver)) => {
            (*file, *context) = (Arc::into_raw(found).cast(), driver);
            0
        }
        Err(error) => error.0,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_file_release(file: *const Opaque) {
    // SAFETY: made by `fltwin32_file_reference`, and released once.
    drop(unsafe { Arc::from_raw(file.cast::<OpenFile>()) });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_handle_close(handle: Handle, of: &'static FileType) -> u32 {
    let closed = abi::fence(|| {
        table::close(handle, |entry| match entry.object.file()?.number == of.number {
            true => Ok(()),
            false => Err(Error::INVALID_FUNCTION),
        })
    });
    closed.err().map_or(0, |error| error.0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_request_begin(
    file: *const Opaque,
    overlapped: *mut Overlapped,
    buffer: *mut u8,
    len: usize,
    request: &mut *const Request,
) -> u32 {
    // SAFETY: made by `fltwin32_file_reference`, and not released yet: borrowed, not taken.
    let file = std::mem::ManuallyDrop::new(unsafe { Arc::from_raw(file.cast::<OpenFile>()) });
    match abi::fence(|| file.begin(overlapped, buffer, len)) {
        Ok(begun) => {
            *request = begun;
            0
        }
        Err(error) => error.0,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_request_withdraw(request: *const Request) {
    // SAFETY: begun, and not started: it ends here.
    drop(unsafe { end(request) });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_request_complete(request: *const Request, status: u32, information: usize) {
    // SAFETY: begun, and completed once.
    let Outstanding { request: Request { overlapped, .. }, file, event, quiet, .. } = unsafe { end(request) };
    let Some(file) = file else { return };
    // a thread that sees the status sees the rest
    // SAFETY: the program wants to see how much came.
    let _ = unsafe { pointer::write(overlapped.cast::<usize>().wrapping_add(1), &information) };
    fence(Ordering::Release);
    // SAFETY: as above. A program that has freed it is not told.
    let _ = unsafe { pointer::write(overlapped.cast::<usize>(), &(status as usize)) };
    match event {
        Some(event) => event.event.set(),
        None => file.signal.set(),
    }
    if let Some(Association { port, key }) = file.association.get()
        && !quiet
    {
        port.post(Packet { key: *key, overlapped, bytes: information as u32, status: Status(status) });
    }
}
