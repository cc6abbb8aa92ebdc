//! The two regions of a connection: made and sealed by the host, checked by the application, seen only as atomics.

use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use proto::slots::{HostRegion, SharedRegion};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A type that may lie in memory which another process writes.
///
/// # Safety
/// Every bit pattern is a valid value, it has no padding that is read, and it consists of atomics alone, so that a
/// reference to it may be shared with writers we do not know.
unsafe trait Region: Sized + Sync {}

// SAFETY: repr(C) structs of atomic integers and arrays of them, nothing else (proto::slots).
unsafe impl Region for HostRegion {}
// SAFETY: as above.
unsafe impl Region for SharedRegion {}

/// A mapped region; unmapped when dropped.
#[derive(Debug)]
struct Mapped<T: Region> {
    at: NonNull<T>,
}

// SAFETY: it gives out `&T` only, and `T: Sync`; the mapping belongs to the process, not to a thread.
unsafe impl<T: Region> Send for Mapped<T> {}
// SAFETY: as above.
unsafe impl<T: Region> Sync for Mapped<T> {}

impl<T: Region> Mapped<T> {
    /// Maps the whole of `fd`, whose size the caller has checked or set.
    fn new(fd: BorrowedFd<'_>, protection: ProtFlags) -> io::Result<Self> {
        // SAFETY: a fresh mapping at an address of the kernel's choice aliases nothing of ours.
        let at = unsafe { mmap(std::ptr::null_mut(), size_of::<T>(), protection, MapFlags::SHARED, fd, 0) }?;
        let at = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { at })
    }
}

impl<T: Region> Deref for Mapped<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: page-aligned, `size_of::<T>()` bytes long, mapped until drop; the file cannot shrink because it is
        // sealed (made so, or checked), so no access faults; any content is valid (`Region`).
        unsafe { self.at.as_ref() }
    }
}

impl<T: Region> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: the address and length that mmap gave; no reference outlives `self`.
        let unmapped = unsafe { munmap(self.at.as_ptr().cast(), size_of::<T>()) };
        debug_assert!(unmapped.is_ok(), "munmap of our own mapping: {unmapped:?}");
    }
}

/// The memory of one connection, as one end sees it.
#[derive(Debug)]
pub struct Memory {
    host: Mapped<HostRegion>,
    shared: Mapped<SharedRegion>,
}

const SIZE_SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

impl Memory {
    /// Makes the memory of a new connection, and the two descriptors to send to the application: the host's region,
    /// which the application can read but by no means write, then the shared one.
    ///
    /// # Errors
    /// What memfd_create, ftruncate, mmap or fcntl say: EMFILE, ENFILE, ENOMEM, ENOSPC; EINVAL on a kernel before 5.1.
    pub fn create() -> io::Result<(Self, [OwnedFd; 2])> {
        let host_file = sealed_size::<HostRegion>("fltmgr-host")?;
        let host = Mapped::new(host_file.as_fd(), ProtFlags::READ | ProtFlags::WRITE)?;
        // after our own mapping: from now on no other process gets a writable one, not even by opening /proc/…/fd anew
        fcntl_add_seals(&host_file, SealFlags::FUTURE_WRITE | SealFlags::SEAL)?;
        let shared_file = sealed_size::<SharedRegion>("fltmgr-shared")?;
        fcntl_add_seals(&shared_file, SealFlags::SEAL)?;
        let shared = Mapped::new(shared_file.as_fd(), ProtFlags::READ | ProtFlags::WRITE)?;
        Ok((Self { host, shared }, [host_file, shared_file]))
    }

    /// Maps what a host sent, after checking that it cannot shrink under us.
    ///
    /// # Errors
    /// `InvalidData` when a descriptor is not a memfd of the right size with the right seals; else what mmap says.
    pub fn open(host_file: BorrowedFd<'_>, shared_file: BorrowedFd<'_>) -> io::Result<Self> {
        check::<HostRegion>(host_file)?;
        check::<SharedRegion>(shared_file)?;
        Ok(Self {
            host: Mapped::new(host_file, ProtFlags::READ)?,
            shared: Mapped::new(shared_file, ProtFlags::READ | ProtFlags::WRITE)?,
        })
    }

    /// What only the host writes. An application must not store here: its mapping is read-only and the store would
    /// fault.
    pub fn host(&self) -> &HostRegion {
        &self.host
    }

    /// What both ends write.
    pub fn shared(&self) -> &SharedRegion {
        &self.shared
    }
}

fn sealed_size<T: Region>(name: &str) -> io::Result<OwnedFd> {
    let file = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&file, size_of::<T>() as u64)?;
    fcntl_add_seals(&file, SIZE_SEALS)?;
    Ok(file)
}

fn check<T: Region>(file: BorrowedFd<'_>) -> io::Result<()> {
    let wrong = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    let Ok(seals) = fcntl_get_seals(file) else {
        return wrong("the host sent something that is not a memfd");
    };
    if !seals.contains(SIZE_SEALS) {
        return wrong("the host sent memory that it could still shrink");
    }
    if fstat(file)?.st_size as u64 != size_of::<T>() as u64 {
        return wrong("the host sent memory of another size");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn both_ends_see_one_memory_and_the_host_part_is_read_only() {
        let (ours, [host, shared]) = Memory::create().unwrap();
        let theirs = Memory::open(host.as_fd(), shared.as_fd()).unwrap();
        ours.host().slots[1].id.store(7, Ordering::Relaxed);
        assert_eq!(theirs.host().slots[1].id.load(Ordering::Relaxed), 7);
        theirs.shared().attention.word.store(9, Ordering::Relaxed);
        assert_eq!(ours.shared().attention.word.load(Ordering::Relaxed), 9);
        let writable = Mapped::<HostRegion>::new(host.as_fd(), ProtFlags::READ | ProtFlags::WRITE);
        assert_eq!(writable.unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert!(rustix::io::pwrite(&host, b"x", 0).is_err());
    }

    #[test]
    fn a_region_that_could_shrink_is_refused() {
        let file = memfd_create("loose", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&file, size_of::<HostRegion>() as u64).unwrap();
        let error = Memory::open(file.as_fd(), file.as_fd()).unwrap_err();
        assert!(error.to_string().contains("shrink"), "{error}");
        let (_, [host, shared]) = Memory::create().unwrap();
        let error = Memory::open(shared.as_fd(), host.as_fd()).unwrap_err();
        assert!(error.to_string().contains("size"), "{error}");
        let pipe = io::pipe().unwrap();
        assert!(Memory::open(pipe.0.as_fd(), shared.as_fd()).is_err());
        assert_eq!(ftruncate(&host, 0).unwrap_err().raw_os_error(), libc::EPERM);
    }
}
