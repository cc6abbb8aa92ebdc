//! Handles that pass exec.
//!
//! A handle that is made to be inherited is written down in a memfd that has no close-on-exec flag, with the descriptor
//! that stands for it, which has none either. A program that is started looks for such a memfd among its descriptors, once,
//! before its first handle, and has those handles under the same numbers. An entry is never taken away when its handle is
//! closed: a child that was started before that still finds it. What tells whether it is good is the descriptor: whether
//! it is open in this process, and the same file.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use abi::{Error, Handle};
use rustix::fs::{MemfdFlags, fstat, ftruncate, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use sys::fork::PerProcess;

use crate::event::Event;
use crate::home::{Home, Shareable, Shared};
use crate::object::{EventObject, Files, Object};
use crate::open_file::OpenFile;
use crate::semaphore::Semaphore;
use crate::table::Entry;

/// The memfd's name, by which a child knows it.
const NAME: &str = "fltwin32-handles";
/// How many handles it has room for. When there were more, the oldest gives way.
const RECORDS: usize = 1024;
/// Beside the kinds of [`Shareable`]s: a driver's file, whose number is added.
const FILES: u32 = 0x100;

/// One handle. All zero: none yet.
#[derive(Debug, Default)]
#[repr(C)]
struct Record {
    handle: AtomicU32,
    access: AtomicU32,
    kind: AtomicU32,
    descriptor: AtomicU32,
    /// Which file that was.
    device: AtomicU64,
    inode: AtomicU64,
}

/// This process's list.
#[derive(Debug)]
struct List {
    records: NonNull<[Record; RECORDS]>,
    next: AtomicUsize,
}

// SAFETY: the memory is mapped as long as the process lives, and is used as atomics only.
unsafe impl Send for List {}
// SAFETY: as above.
unsafe impl Sync for List {}

/// What makes one handle inherited, as long as it is open.
#[derive(Debug)]
pub(crate) struct Inherited {
    kind: u32,
    descriptor: OwnedFd,
}

impl Inherited {
    /// A file of a driver's.
    ///
    /// # Errors
    /// The driver has no such files, or there are no descriptors.
    pub(crate) fn file(file: &OpenFile) -> Result<Self, Error> {
        Self::by(FILES + file.number(), file.duplicate()?)
    }

    /// An object in memory of several processes.
    ///
    /// # Errors
    /// There are no descriptors.
    pub(crate) fn shared<T: Shareable>(shared: &Shared<T>) -> Result<Self, Error> {
        Self::by(T::KIND, shared.as_fd().try_clone_to_owned()?)
    }

    /// What makes a further handle to `object` inherited.
    ///
    /// # Errors
    /// ERROR_NOT_SUPPORTED: it lies in this process only.
    pub(crate) fn object(object: &Object) -> Result<Self, Error> {
        match object {
            Object::File(file) => Self::file(file),
            Object::Event(event) => Self::home(&event.event),
            Object::Semaphore(semaphore) => Self::home(semaphore),
            Object::Thread(_) | Object::Port(_) | Object::Section(_) => Err(Error::NOT_SUPPORTED),
        }
    }

    fn home<T: Shareable>(home: &Home<T>) -> Result<Self, Error> {
        match home {
            Home::Shared(shared) => Self::shared(shared),
            Home::Own(_) => Err(Error::NOT_SUPPORTED),
        }
    }

    fn by(kind: u32, descriptor: OwnedFd) -> Result<Self, Error> {
        list()?;
        fcntl_setfd(&descriptor, FdFlags::empty()).map_err(std::io::Error::from)?;
        Ok(Self { kind, descriptor })
    }

    /// Writes down that `handle` is this.
    pub(crate) fn under(&self, handle: Handle, access: u32) {
        let (Ok(list), Ok(stat)) = (list(), fstat(&self.descriptor)) else { return };
        let record = list.claim();
        record.handle.store(0, Ordering::SeqCst);
        record.access.store(access, Ordering::Relaxed);
        record.kind.store(self.kind, Ordering::Relaxed);
        record.descriptor.store(self.descriptor.as_raw_fd() as u32, Ordering::Relaxed);
        record.device.store(stat.st_dev, Ordering::Relaxed);
        record.inode.store(stat.st_ino, Ordering::Relaxed);
        record.handle.store(handle.0 as u32, Ordering::SeqCst);
    }
}

impl List {
    fn new() -> Result<Self, Error> {
        // so that this one is not taken for one of them
        earlier();
        // passes exec
        let file = memfd_create(NAME, MemfdFlags::empty()).map_err(std::io::Error::from)?;
        ftruncate(&file, size_of::<[Record; RECORDS]>() as u64).map_err(std::io::Error::from)?;
        let records = map(file.as_fd())?;
        // its number belongs to the list from now on, as long as the process lives
        std::mem::forget(file);
        Ok(Self { records, next: AtomicUsize::new(0) })
    }

    fn claim(&self) -> &Record {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % RECORDS;
        // SAFETY: mapped for ever, and made of atomics.
        unsafe { &self.records.as_ref()[next] }
    }
}

fn list() -> Result<&'static List, Error> {
    static LIST: PerProcess<Result<List, Error>> = PerProcess::new();
    LIST.get(List::new).as_ref().map_err(|&error| error)
}

fn map(file: BorrowedFd<'_>) -> Result<NonNull<[Record; RECORDS]>, Error> {
    let len = size_of::<[Record; RECORDS]>();
    // SAFETY: a new mapping at an address of the kernel's choice.
    let at = unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, file, 0) };
    NonNull::new(at.map_err(std::io::Error::from)?.cast()).ok_or(Error::NOT_ENOUGH_MEMORY)
}

/// Looks for what the process that started this one, or that it is a fork of, wants inherited, and gives each to `put`.
/// Called once in a process, before it has handles of its own.
pub(crate) fn receive(put: impl Fn(Handle, Entry)) {
    for &descriptor in earlier() {
        // SAFETY: a descriptor of that name is our library's, of a process before this one, and nothing here uses it.
        let file = unsafe { OwnedFd::from_raw_fd(descriptor) };
        let len = size_of::<[Record; RECORDS]>();
        if !fstat(&file).is_ok_and(|stat| u64::try_from(stat.st_size) == Ok(len as u64)) {
            continue;
        }
        let Ok(records) = map(file.as_fd()) else { continue };
        // SAFETY: mapped above, as long as the file is.
        for record in unsafe { records.as_ref() } {
            if let Some((handle, entry)) = record.receive() {
                entry.inherited.iter().for_each(|inherited| inherited.under(handle, entry.access));
                put(handle, entry);
            }
        }
        // SAFETY: exactly the mapping made above, to which nothing refers any more.
        let _ = unsafe { munmap(records.as_ptr().cast(), len) };
    }
}

/// The numbers of descriptors that are lists of processes before this one. None, where /proc is not to be seen.
fn earlier() -> &'static [RawFd] {
    static EARLIER: PerProcess<Vec<RawFd>> = PerProcess::new();
    EARLIER.get(|| {
        let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") else { return Vec::new() };
        let is_list = |entry: std::io::Result<std::fs::DirEntry>| {
            let entry = entry.ok()?;
            let link = std::fs::read_link(entry.path()).ok()?;
            let name = link.to_str()?.strip_prefix("/memfd:")?.strip_suffix(" (deleted)")?;
            if name == NAME { entry.file_name().to_str()?.parse().ok() } else { None }
        };
        descriptors.filter_map(is_list).collect()
    })
}

impl Record {
    /// The handle, if its descriptor is here.
    fn receive(&self) -> Option<(Handle, Entry)> {
        let handle = self.handle.load(Ordering::SeqCst);
        let number = self.descriptor.load(Ordering::Relaxed) as RawFd;
        if handle == 0 || number < 0 {
            return None;
        }
        // SAFETY: borrowed for as long as this function, and only asked about until it is known to be ours.
        let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
        let stat = fstat(borrowed).ok()?;
        let same = stat.st_dev == self.device.load(Ordering::Relaxed)
            && stat.st_ino == self.inode.load(Ordering::Relaxed)
            && self.handle.load(Ordering::SeqCst) == handle;
        if !same {
            return None;
        }
        // SAFETY: opened for this handle by the process before this one; nothing else here uses it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
        let kind = self.kind.load(Ordering::Relaxed);
        let object = open(kind, descriptor.as_fd()).ok()?;
        let inherited = Some(Inherited { kind, descriptor });
        Some((Handle(handle as usize), Entry { object, access: self.access.load(Ordering::Relaxed), inherited }))
    }
}

/// The object of a descriptor, which is duplicated.
fn open(kind: u32, descriptor: BorrowedFd<'_>) -> Result<Object, Error> {
    let file = descriptor.try_clone_to_owned()?;
    Ok(match kind {
        Event::KIND => {
            let event = Home::Shared(Shared::open(file)?);
            Object::Event(Arc::new(EventObject { event, files: Files::default() }))
        }
        Semaphore::KIND => Object::Semaphore(Arc::new(Home::Shared(Shared::open(file)?))),
        kind => {
            let number = kind.checked_sub(FILES).ok_or(Error::INVALID_HANDLE)?;
            Object::File(Arc::new(OpenFile::unopened(number, file)))
        }
    })
}
