//! Files: what a driver's handles stand for, and what passes between the driver and `libfltwin32`, which are two libraries
//! in one process. A driver implements [`File`]; everything below makes C functions of that, or calls them.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ops::Deref;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use proto::status::Status;
use smallvec::SmallVec;
use sys::clock::Deadline;

use crate::{Error, Handle, Overlapped, fence};

/// One open file of a driver's: what all handles to it in this process have in common.
pub trait File: Send + Sync + 'static {
    /// Tells the driver's files from others. 1 is libfltlib's connections, 2 its enumerations.
    const TYPE: u32;

    /// The last handle of this process is closed. Requests end; what they end with is collected here.
    fn close(&self) {}

    /// Takes back one request, or all and whatever else waits on the file. Those that it reaches are completed when they
    /// are collected. Returns how many those are.
    fn cancel(&self, _request: Option<&Request>) -> usize {
        0
    }

    /// Completes the requests that have ended.
    fn collect(&self) {}

    /// Waits, for one thread, until there may be something to collect in one of the files, or one of the words has
    /// another value, or the deadline. Files that nothing ends on leave it to the words.
    fn wait(_files: &[&Self], words: &[Word<'_>], deadline: Option<Deadline>)
    where
        Self: Sized,
    {
        sleep(words, deadline);
    }

    /// A descriptor that keeps the file open, for another process.
    ///
    /// # Errors
    /// Why there is none.
    fn duplicate(&self) -> Result<OwnedFd, Error> {
        Err(Error::NOT_SUPPORTED)
    }

    /// The file that such a descriptor stands for. It may keep the descriptor open, for processes that this one starts.
    ///
    /// # Errors
    /// It stands for none, or not any more.
    fn adopt(_descriptor: OwnedFd) -> Result<Self, Error>
    where
        Self: Sized,
    {
        Err(Error::NOT_SUPPORTED)
    }
}

/// A word to be slept on while it has the value `expected`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Word<'a> {
    /// Where it lies.
    pub word: &'a AtomicU32,
    /// What it was when the thread last looked at what it stands for.
    pub expected: u32,
}

/// Sleeps until one of the words has moved, or the deadline.
pub fn sleep(words: &[Word<'_>], deadline: Option<Deadline>) {
    let pairs: SmallVec<[_; 8]> = words.iter().map(|word| (word.word, word.expected)).collect();
    // whatever comes of it, the caller looks
    let _ = match pairs[..] {
        [(word, expected)] => sys::futex::wait(word, expected, sys::futex::ANY, deadline),
        _ => sys::futex::wait_any(&pairs, deadline),
    };
}

/// One overlapped call that has not ended: what a driver needs to know of it.
#[derive(Debug)]
#[repr(C)]
pub struct Request {
    /// The program's OVERLAPPED: written by `libfltwin32` alone.
    pub overlapped: *mut Overlapped,
    /// Where the result goes.
    pub buffer: *mut u8,
    /// How much room there is.
    pub len: usize,
}

/// [`File`] as C functions. `context` is the driver's file.
#[repr(C)]
#[derive(Debug)]
#[allow(missing_docs)] // each is the trait's function of its name
pub struct FileType {
    pub number: u32,
    pub close: unsafe extern "C" fn(context: *const c_void),
    /// Nothing refers to the file any more.
    pub free: unsafe extern "C" fn(context: *const c_void),
    pub cancel: unsafe extern "C" fn(context: *const c_void, request: *const Request) -> usize,
    pub collect: unsafe extern "C" fn(context: *const c_void),
    pub wait: unsafe extern "C" fn(
        contexts: *const *const c_void,
        contexts_len: usize,
        words: *const Word<'_>,
        words_len: usize,
        deadline: u64,
    ),
    pub duplicate: unsafe extern "C" fn(context: *const c_void, descriptor: *mut RawFd) -> u32,
    pub adopt: unsafe extern "C" fn(descriptor: RawFd, context: *mut *const c_void) -> u32,
}

/// The deadline that never comes, as a number of nanoseconds.
const NEVER: u64 = u64::MAX;

/// A deadline as it passes between the libraries: nanoseconds of CLOCK_MONOTONIC.
pub fn deadline_to_number(deadline: Option<Deadline>) -> u64 {
    deadline.map_or(NEVER, |deadline| {
        let at = match deadline {
            Deadline::Monotonic(at) => at,
            Deadline::Realtime(_) => sys::clock::monotonic().saturating_add(deadline.remaining()),
        };
        u64::try_from(at.as_nanos()).unwrap_or(NEVER)
    })
}

fn deadline_from_number(number: u64) -> Option<Deadline> {
    (number != NEVER).then(|| Deadline::Monotonic(Duration::from_nanos(number)))
}

/// The C functions of `F`.
struct Functions<F>(PhantomData<F>);

impl<F: File> Functions<F> {
    const TYPE: FileType = FileType {
        number: F::TYPE,
        close: Self::close,
        free: Self::free,
        cancel: Self::cancel,
        collect: Self::collect,
        wait: Self::wait,
        duplicate: Self::duplicate,
        adopt: Self::adopt,
    };

    /// # Safety
    /// `context` comes from [`create`] or [`Self::adopt`], and has not been freed.
    unsafe fn file<'a>(context: *const c_void) -> &'a F {
        // SAFETY: as of our caller: a leaked box of that type.
        unsafe { &*context.cast::<F>() }
    }

    unsafe extern "C" fn close(context: *const c_void) {
        // SAFETY: libfltwin32 closes a file before it frees it.
        let file = unsafe { Self::file(context) };
        let _ = fence(|| {
            file.close();
            Ok(())
        });
    }

    unsafe extern "C" fn free(context: *const c_void) {
        // SAFETY: leaked by `create` or `adopt`, and freed once: nothing refers to it any more.
        let file = unsafe { Box::from_raw(context.cast_mut().cast::<F>()) };
        let _ = fence(|| {
            drop(file);
            Ok(())
        });
    }

    unsafe extern "C" fn cancel(context: *const c_void, request: *const Request) -> usize {
        // SAFETY: the caller refers to the file.
        let file = unsafe { Self::file(context) };
        // SAFETY: null, or a request of this file's that lives until it is completed, which the caller keeps off.
        let request = unsafe { request.as_ref() };
        fence(|| Ok(file.cancel(request))).unwrap_or(0)
    }

    unsafe extern "C" fn collect(context: *const c_void) {
        // SAFETY: the caller refers to the file.
        let file = unsafe { Self::file(context) };
        let _ = fence(|| {
            file.collect();
            Ok(())
        });
    }

    unsafe extern "C" fn wait(
        contexts: *const *const c_void,
        contexts_len: usize,
        words: *const Word<'_>,
        words_len: usize,
        deadline: u64,
    ) {
        // SAFETY: an array of the caller's, of files that it refers to.
        let contexts = unsafe { std::slice::from_raw_parts(contexts, contexts_len) };
        // SAFETY: each is a file of this type.
        let files = contexts.iter().map(|&context| unsafe { Self::file(context) });
        let files: SmallVec<[&F; 4]> = files.collect();
        // SAFETY: an array of the caller's, whose words live as long as the call.
        let words = unsafe { std::slice::from_raw_parts(words, words_len) };
        let _ = fence(|| {
            F::wait(&files, words, deadline_from_number(deadline));
            Ok(())
        });
    }

    unsafe extern "C" fn duplicate(context: *const c_void, descriptor: *mut RawFd) -> u32 {
        // SAFETY: the caller refers to the file.
        let file = unsafe { Self::file(context) };
        match fence(|| file.duplicate()) {
            Ok(duplicate) => {
                // SAFETY: a variable of the caller's.
                unsafe { descriptor.write(duplicate.into_raw_fd()) };
                0
            }
            Err(error) => error.0,
        }
    }

    unsafe extern "C" fn adopt(descriptor: RawFd, context: *mut *const c_void) -> u32 {
        // SAFETY: the caller gives it away.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        match fence(|| F::adopt(descriptor)) {
            Ok(file) => {
                // SAFETY: a variable of the caller's.
                unsafe { context.write(Box::into_raw(Box::new(file)).cast()) };
                0
            }
            Err(error) => error.0,
        }
    }
}

/// A file as `libfltwin32` knows it.
#[repr(C)]
#[derive(Debug)]
pub struct Opaque {
    _private: [u8; 0],
}

// What libfltwin32 exports for drivers. Not for programs.
unsafe extern "C" {
    fn fltwin32_file_create(
        of: *const FileType,
        context: *const c_void,
        access: u32,
        flags: u32,
        handle: *mut Handle,
    ) -> u32;
    fn fltwin32_file_reference(
        handle: Handle,
        access: u32,
        of: *const FileType,
        file: *mut *const Opaque,
        context: *mut *const c_void,
    ) -> u32;
    fn fltwin32_file_release(file: *const Opaque);
    fn fltwin32_handle_close(handle: Handle, of: *const FileType) -> u32;
    fn fltwin32_request_begin(
        file: *const Opaque,
        overlapped: *mut Overlapped,
        buffer: *mut u8,
        len: usize,
        request: *mut *const Request,
    ) -> u32;
    fn fltwin32_request_withdraw(request: *const Request);
    fn fltwin32_request_complete(request: *const Request, status: u32, information: usize);
}

/// The handle is inherited by programs that this one starts.
pub const INHERIT: u32 = 1;
/// Requests are never overlapped.
pub const SYNCHRONOUS: u32 = 2;

fn result(error: u32) -> Result<(), Error> {
    if error == 0 { Ok(()) } else { Err(Error(error)) }
}

/// Makes a handle with the rights `access` to a new file; `flags` are [`INHERIT`] and [`SYNCHRONOUS`].
///
/// # Errors
/// There are too many handles, or no descriptor to inherit. The file is closed.
pub fn create<F: File>(file: F, access: u32, flags: u32) -> Result<Handle, Error> {
    let context = Box::into_raw(Box::new(file));
    let mut handle = Handle::NULL;
    // SAFETY: the type lives as long as the program, and the file until libfltwin32 frees it, or the call fails.
    let error = unsafe {
        fltwin32_file_create(&Functions::<F>::TYPE, context.cast_const().cast(), access, flags, &raw mut handle)
    };
    if error != 0 {
        // SAFETY: leaked above, and nothing else has it after a failure.
        let file = unsafe { Box::from_raw(context) };
        file.close();
        return Err(Error(error));
    }
    Ok(handle)
}

/// The file of a handle, as long as this lives.
#[derive(Debug)]
pub struct Reference<F: File> {
    file: *const Opaque,
    context: *const F,
}

impl<F: File> Reference<F> {
    /// The file of `handle`, which must have the rights `access`.
    ///
    /// # Errors
    /// ERROR_INVALID_HANDLE; ERROR_INVALID_FUNCTION: a file of another type; ERROR_ACCESS_DENIED.
    pub fn new(handle: Handle, access: u32) -> Result<Self, Error> {
        let (mut file, mut context) = (std::ptr::null(), std::ptr::null());
        // SAFETY: the variables outlive the call.
        let error =
            unsafe { fltwin32_file_reference(handle, access, &Functions::<F>::TYPE, &raw mut file, &raw mut context) };
        result(error).map(|()| Self { file, context: context.cast() })
    }

    /// Begins an overlapped call: the OVERLAPPED is pending, and its event is reset.
    ///
    /// # Safety
    /// Both addresses are those that the C program gave, which wants the result there, until the call ends.
    ///
    /// # Errors
    /// ERROR_NOACCESS: a bad OVERLAPPED; ERROR_INVALID_HANDLE: a bad event in it; there are too many.
    pub unsafe fn begin(&self, overlapped: *mut Overlapped, buffer: *mut u8, len: usize) -> Result<Begun<'_>, Error> {
        let mut request = std::ptr::null();
        // SAFETY: the file is referred to, and the variable outlives the call.
        let error = unsafe { fltwin32_request_begin(self.file, overlapped, buffer, len, &raw mut request) };
        result(error).map(|()| Begun { request, file: PhantomData })
    }
}

impl<F: File> Deref for Reference<F> {
    type Target = F;

    fn deref(&self) -> &F {
        // SAFETY: a file of this type, as libfltwin32 has checked by its number, which lives as long as the reference.
        unsafe { &*self.context }
    }
}

impl<F: File> Drop for Reference<F> {
    fn drop(&mut self) {
        // SAFETY: given by `fltwin32_file_reference`, and released once.
        unsafe { fltwin32_file_release(self.file) };
    }
}

/// An overlapped call that has begun, and is the driver's to start. Dropped, it is withdrawn: no event, no packet.
#[derive(Debug)]
pub struct Begun<'a> {
    request: *const Request,
    file: PhantomData<&'a ()>,
}

impl Begun<'_> {
    /// The number by which [`Pending::of`] finds it again.
    pub fn token(&self) -> u64 {
        self.request as u64
    }

    /// It is on its way: from now on it ends by [`Pending::complete`], on whichever thread.
    pub fn started(self) {
        std::mem::forget(self);
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        // SAFETY: begun, and not started.
        unsafe { fltwin32_request_withdraw(self.request) };
    }
}

/// An overlapped call that has ended, and is to be completed.
#[derive(Debug)]
pub struct Pending(*const Request);

impl Pending {
    /// The call with this token.
    ///
    /// # Safety
    /// It has been [`started`](Begun::started), and this is the only time that it is asked for.
    pub unsafe fn of(token: u64) -> Self {
        Self(token as *const Request)
    }

    /// Tells the program: OVERLAPPED, event, packet.
    pub fn complete(self, status: Status, information: usize) {
        // SAFETY: begun, started, and completed once, because this is consumed.
        unsafe { fltwin32_request_complete(self.0, status.0, information) };
    }
}

impl Deref for Pending {
    type Target = Request;

    fn deref(&self) -> &Request {
        // SAFETY: it lives until it is completed.
        unsafe { &*self.0 }
    }
}

/// Closes a handle that must be to a file of this type.
///
/// # Errors
/// ERROR_INVALID_HANDLE; ERROR_INVALID_FUNCTION: a file of another type.
pub fn close<F: File>(handle: Handle) -> Result<(), Error> {
    // SAFETY: the type lives as long as the program.
    result(unsafe { fltwin32_handle_close(handle, &Functions::<F>::TYPE) })
}
