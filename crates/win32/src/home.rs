//! Where an object lies: in this process's memory, or in memory of several processes.

use std::marker::PhantomData;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use abi::Error;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::event::Event;
use crate::named::Name;
use crate::semaphore::Semaphore;

/// An object that may lie in memory of several processes: atomics only, valid whatever their bits are.
pub(crate) trait Shareable: Send + Sync {
    /// Tells its memory from that of another kind of object.
    const KIND: u32;
}

impl Shareable for Event {
    const KIND: u32 = 1;
}

impl Shareable for Semaphore {
    const KIND: u32 = 2;
}

/// How long such a file is, whatever lies in it: a process that maps it for another kind of object changes nothing.
const FILE_LEN: usize = 64;

/// What lies at the beginning of a file that holds an object.
#[repr(C)]
struct Content<T> {
    kind: AtomicU32,
    object: T,
}

#[derive(Debug)]
pub(crate) enum Home<T: Shareable> {
    Own(T),
    Shared(Shared<T>),
}

impl<T: Shareable> Deref for Home<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Own(object) => object,
            Self::Shared(shared) => shared,
        }
    }
}

/// An object in a file that several processes map.
#[derive(Debug)]
pub(crate) struct Shared<T: Shareable> {
    at: NonNull<Content<T>>,
    file: OwnedFd,
    name: Option<Name>,
    object: PhantomData<T>,
}

// SAFETY: the memory is the kernel's until this is dropped, and `T` itself may be used by all threads.
unsafe impl<T: Shareable> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Shareable> Sync for Shared<T> {}

impl<T: Shareable> Shared<T> {
    /// Puts an object into memory without a name.
    pub(crate) fn anonymous(object: T) -> Result<Self, Error> {
        let file = memfd_create("fltwin32", MemfdFlags::CLOEXEC).map_err(std::io::Error::from)?;
        Self::create(file, object)
    }

    /// Puts an object into a file that no other process uses.
    pub(crate) fn create(file: OwnedFd, object: T) -> Result<Self, Error> {
        // emptied first: what another process left is not seen by a process that maps it now
        ftruncate(&file, 0).map_err(std::io::Error::from)?;
        let shared = Self::map(file)?;
        // SAFETY: mapped for writing, large enough, and not published before this returns.
        unsafe { shared.at.write(Content { kind: T::KIND.into(), object }) };
        Ok(shared)
    }

    /// The object in a file.
    ///
    /// # Errors
    /// ERROR_INVALID_HANDLE: it is of another kind.
    pub(crate) fn open(file: OwnedFd) -> Result<Self, Error> {
        let shared = Self::map(file)?;
        // SAFETY: mapped, as long as the content, which `map` saw to, and made of atomics.
        let content = unsafe { shared.at.as_ref() };
        if content.kind.load(Ordering::Acquire) == T::KIND { Ok(shared) } else { Err(Error::INVALID_HANDLE) }
    }

    fn map(file: OwnedFd) -> Result<Self, Error> {
        const { assert!(size_of::<Content<T>>() <= FILE_LEN) };
        ftruncate(&file, FILE_LEN as u64).map_err(std::io::Error::from)?;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let at = unsafe {
            mmap(std::ptr::null_mut(), FILE_LEN, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &file, 0)
        };
        let at = at.map_err(std::io::Error::from)?;
        let at = NonNull::new(at.cast()).ok_or(Error::NOT_ENOUGH_MEMORY)?;
        Ok(Self { at, file, name: None, object: PhantomData })
    }

    /// The file has a name, which goes with the last that uses it.
    pub(crate) fn named(mut self, name: Name) -> Self {
        self.name = Some(name);
        self
    }
}

impl<T: Shareable> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: mapped until this is dropped; made of atomics, which any bits are valid for.
        unsafe { &(*self.at.as_ptr()).object }
    }
}

impl<T: Shareable> AsFd for Shared<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl<T: Shareable> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that `map` made, to which nothing refers any more.
        let _ = unsafe { munmap(self.at.as_ptr().cast(), FILE_LEN) };
        if let Some(name) = &self.name {
            name.release(&self.file);
        }
    }
}
