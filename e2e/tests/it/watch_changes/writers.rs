//! The ways to change eight bytes of a file.

use std::ffi::CString;
use std::fs::File;
use std::mem::zeroed;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::ptr::null_mut;

use io_uring::{IoUring, opcode, types::Fd};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Writes to the beginning of a file of eight bytes.
pub(crate) trait Writer {
    fn write(&mut self, file: &File, text: &[u8; 8]) -> Written;
}

/// Keeps a change under way.
pub(crate) struct Written(Option<Mapping>);

impl Written {
    /// Changes the file once more, without any call of the system. False if that is not possible.
    pub(crate) fn again(&self, text: &[u8; 8]) -> bool {
        self.0.as_ref().map(|mapping| mapping.store(text)).is_some()
    }
}

/// Changes the length of a file by its path, which raises no event.
pub(crate) fn truncate(path: &Path, length: usize) {
    let path = CString::new(path.as_os_str().as_bytes()).expect("a path");
    // SAFETY: the kernel reads the string, which lives through the call.
    let result = unsafe { libc::truncate(path.as_ptr(), length as libc::off_t) };
    checked(result.into()).expect("a file of the test's own");
}

/// All of them that this machine has.
pub(crate) fn writers() -> Vec<Box<dyn Writer>> {
    let mut writers: Vec<Box<dyn Writer>> = vec![Box::new(Plain), Box::new(Mapped { read_first: false })];
    writers.push(Box::new(Mapped { read_first: true }));
    match Aio::new() {
        Ok(aio) => writers.push(Box::new(aio)),
        Err(error) => eprintln!("SKIP: no io_submit: {error}"),
    }
    match IoUring::new(2) {
        Ok(ring) => writers.push(Box::new(Ring(ring))),
        Err(error) => eprintln!("SKIP: no io_uring: {error}"),
    }
    writers
}

struct Plain;

impl Writer for Plain {
    fn write(&mut self, file: &File, text: &[u8; 8]) -> Written {
        file.write_all_at(text, 0).expect("a write");
        Written(None)
    }
}

/// Stores into a shared mapping, which lives until it is dropped.
struct Mapped {
    /// The page is there before the store, so that the kernel need not be told of that.
    read_first: bool,
}

struct Mapping(*mut u64);

impl Writer for Mapped {
    fn write(&mut self, file: &File, text: &[u8; 8]) -> Written {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, of a file that has eight bytes and that no other thread makes shorter meanwhile.
        let at = unsafe { mmap(null_mut(), 8, protection, MapFlags::SHARED, file, 0) }.expect("a mapping");
        let mapping = Mapping(at.cast());
        if self.read_first {
            // SAFETY: the first eight bytes of the mapping, which is aligned to a page.
            std::hint::black_box(unsafe { mapping.0.read_volatile() });
        }
        mapping.store(text);
        Written(Some(mapping))
    }
}

impl Mapping {
    fn store(&self, text: &[u8; 8]) {
        // SAFETY: the first eight bytes of the mapping, which nothing else in this process refers to.
        unsafe { self.0.write_volatile(u64::from_ne_bytes(*text)) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping that `write` made, which nothing refers to any more.
        unsafe { munmap(self.0.cast(), 8) }.expect("one's own mapping");
    }
}

/// io_submit, of which no event tells.
struct Aio(libc::c_ulong);

/// IOCB_CMD_PWRITE
const WRITE: u16 = 1;

/// struct io_event
#[repr(C)]
struct Done {
    data: u64,
    object: u64,
    result: i64,
    result2: i64,
}

fn checked(result: libc::c_long) -> std::io::Result<libc::c_long> {
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
}

impl Aio {
    fn new() -> std::io::Result<Self> {
        let mut context = 0;
        // SAFETY: the kernel writes a number to `context`.
        checked(unsafe { libc::syscall(libc::SYS_io_setup, 4, &raw mut context) })?;
        Ok(Self(context))
    }
}

impl Writer for Aio {
    fn write(&mut self, file: &File, text: &[u8; 8]) -> Written {
        // SAFETY: a structure of integers, for which zero is a value.
        let mut block: libc::iocb = unsafe { zeroed() };
        block.aio_lio_opcode = WRITE;
        block.aio_fildes = file.as_raw_fd() as u32;
        block.aio_buf = text.as_ptr() as u64;
        block.aio_nbytes = text.len() as u64;
        let mut blocks = [&raw mut block];
        // SAFETY: the kernel reads one pointer, the structure behind it, and the text, all of which live until it is done.
        checked(unsafe { libc::syscall(libc::SYS_io_submit, self.0, 1, blocks.as_mut_ptr()) }).expect("io_submit");
        let mut done = Done { data: 0, object: 0, result: 0, result2: 0 };
        let none = null_mut::<libc::timespec>();
        // SAFETY: the kernel writes one event to `done`.
        checked(unsafe { libc::syscall(libc::SYS_io_getevents, self.0, 1, 1, &raw mut done, none) }).expect("its end");
        assert_eq!(done.result, text.len() as i64);
        Written(None)
    }
}

impl Drop for Aio {
    fn drop(&mut self) {
        // SAFETY: a number that the kernel gave.
        unsafe { libc::syscall(libc::SYS_io_destroy, self.0) };
    }
}

struct Ring(IoUring);

impl Writer for Ring {
    fn write(&mut self, file: &File, text: &[u8; 8]) -> Written {
        let entry = opcode::Write::new(Fd(file.as_raw_fd()), text.as_ptr(), text.len() as u32).build();
        // SAFETY: file and text live until the completion, which is waited for.
        unsafe { self.0.submission().push(&entry) }.expect("an empty queue");
        self.0.submit_and_wait(1).expect("a ring");
        let done = self.0.completion().next().expect("a completion");
        assert_eq!(done.result(), text.len() as i32);
        Written(None)
    }
}
