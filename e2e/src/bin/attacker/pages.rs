//! A page of memory that shows another text each time it is read: userfaultfd(2), for which root's rights are
//! needed where the kernel itself is to wait for the page.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use testkit::Random;

use crate::raw::{errno, mapping};

const SIZE: usize = 4096;
const API: u64 = 0xaa;
const MISSING: u64 = 1;

/// struct uffdio_api.
#[repr(C)]
struct Hello {
    api: u64,
    features: u64,
    ioctls: u64,
}

/// struct uffdio_register.
#[repr(C)]
struct Register {
    start: u64,
    len: u64,
    mode: u64,
    ioctls: u64,
}

/// struct uffdio_copy.
#[repr(C)]
struct Copy {
    to: u64,
    from: u64,
    len: u64,
    mode: u64,
    copied: i64,
}

const UFFDIO_API: libc::c_ulong = 0xc018_aa3f;
const UFFDIO_REGISTER: libc::c_ulong = 0xc020_aa00;
const UFFDIO_COPY: libc::c_ulong = 0xc028_aa03;

/// A page without memory, which its readers wait for.
pub(crate) struct Missing {
    address: usize,
    faults: OwnedFd,
}

impl Missing {
    pub(crate) fn new() -> Self {
        // SAFETY: takes one number.
        let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
        assert!(fd >= 0, "userfaultfd: {}", errno());
        // SAFETY: the kernel made this descriptor a moment ago.
        let faults = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        let address = mapping(SIZE, libc::MAP_PRIVATE);
        let mut hello = Hello { api: API, features: 0, ioctls: 0 };
        // SAFETY: the kernel reads and writes one struct uffdio_api.
        let agreed = unsafe { libc::ioctl(faults.as_raw_fd(), UFFDIO_API, &raw mut hello) };
        assert_eq!(agreed, 0, "UFFDIO_API: {}", errno());
        let mut register = Register { start: address as u64, len: SIZE as u64, mode: MISSING, ioctls: 0 };
        // SAFETY: the kernel reads and writes one struct uffdio_register.
        let registered = unsafe { libc::ioctl(faults.as_raw_fd(), UFFDIO_REGISTER, &raw mut register) };
        assert_eq!(registered, 0, "UFFDIO_REGISTER: {}", errno());
        Self { address, faults }
    }

    pub(crate) fn address(&self) -> usize {
        self.address
    }

    /// Waits for a reader; false at the end.
    fn wait(&self) -> bool {
        let mut message = [0u8; 32];
        rustix::io::retry_on_intr(|| rustix::io::read(&self.faults, &mut message)).is_ok_and(|len| len == 32)
    }

    /// Gives the page this content, and wakes its readers.
    fn fill(&self, text: &[u8]) {
        let mut page = vec![0; SIZE];
        page[..text.len()].copy_from_slice(text);
        let (to, from) = (self.address as u64, page.as_ptr() as u64);
        let mut copy = Copy { to, from, len: SIZE as u64, mode: 0, copied: 0 };
        // SAFETY: the kernel reads `page` and one struct uffdio_copy, and writes the page at `address`, which is ours
        // and holds plain bytes, and into the struct.
        unsafe { libc::ioctl(self.faults.as_raw_fd(), UFFDIO_COPY, &raw mut copy) };
    }

    /// Takes the content away again.
    fn empty(&self) {
        // SAFETY: the page is ours, and nothing of Rust's is in it.
        unsafe { libc::madvise(self.address as *mut libc::c_void, SIZE, libc::MADV_DONTNEED) };
    }
}

/// The first reader sees one text, all later ones another.
pub(crate) struct Page {
    missing: Arc<Missing>,
    readers: Arc<AtomicUsize>,
}

impl Page {
    pub(crate) fn new(texts: [Vec<u8>; 2]) -> Self {
        let (missing, readers) = (Arc::new(Missing::new()), Arc::new(AtomicUsize::new(0)));
        let page = Self { missing: missing.clone(), readers: readers.clone() };
        std::thread::spawn(move || {
            let mut random = Random::new(3);
            while missing.wait() {
                let reader = readers.fetch_add(1, Ordering::AcqRel);
                missing.fill(&texts[reader.min(1)]);
                if reader == 0 {
                    // the reader needs a moment to see what it was given
                    let end = Instant::now() + Duration::from_nanos(2_000 + random.below(60_000));
                    while Instant::now() < end {
                        std::hint::spin_loop();
                    }
                    missing.empty();
                }
            }
        });
        page
    }

    pub(crate) fn address(&self) -> usize {
        self.missing.address()
    }

    /// The next reader is the first one.
    pub(crate) fn begin(&self) {
        self.readers.store(0, Ordering::Release);
        self.missing.empty();
    }
}
