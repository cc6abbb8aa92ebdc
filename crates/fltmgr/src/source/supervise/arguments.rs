//! What the arguments of a call mean: texts in the memory of its thread, and where a path starts.
//!
//! Each text is copied once and judged as the copy. What cannot be read for the caller's own fault is its error; what is
//! closed to us is told apart, because then it is refused.

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{ForeignRawFd, Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::calls::{Clock, Memory};
use crate::source::descriptors::is_exhausted;
use crate::source::procfs::TaskStatus;

/// Longest path with its terminator: PATH_MAX.
const PATH_MAX: usize = 4096;
/// The smallest page there is: a copy is cut at its multiples, so that an unmapped page behind the text does no harm.
const PAGE: u64 = 4096;

/// Why a path could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// The kernel would give this error for the same argument.
    Error(Errno),
    /// The thread's memory is closed to us: it made itself undumpable, or runs an unreadable program.
    Closed,
}

/// Copies the path at this address of the thread.
pub(super) fn read_path(tid: u32, address: u64) -> Result<Vec<u8>, Unread> {
    read_text::<PATH_MAX>(tid, address, Errno::NAMETOOLONG)
}

/// Copies a text of less than `SIZE` bytes, without its terminator.
fn read_text<const SIZE: usize>(tid: u32, address: u64, too_long: Errno) -> Result<Vec<u8>, Unread> {
    let mut text = vec![0; SIZE];
    let first = (PAGE - address % PAGE) as usize;
    let read = read_memory(tid, address, &mut text, first)?;
    match text[..read].iter().position(|&byte| byte == 0) {
        Some(end) => text.truncate(end),
        None if read == SIZE => return Err(Unread::Error(too_long)),
        // The text runs into a page that is not there.
        None => return Err(Unread::Error(Errno::FAULT)),
    }
    Ok(text)
}

/// Copies exactly so many bytes.
pub(super) fn read_bytes(tid: u32, address: u64, size: usize) -> Result<Vec<u8>, Unread> {
    let mut bytes = vec![0; size];
    let read = if size == 0 { 0 } else { read_memory(tid, address, &mut bytes, size)? };
    if read == size { Ok(bytes) } else { Err(Unread::Error(Errno::FAULT)) }
}

/// Copies a struct that callers give with its size, which grows with the kernel: `least` is its first size. What a
/// caller knows and we do not must be zero.
pub(super) fn read_struct(tid: u32, address: u64, size: u64, least: usize) -> Result<Vec<u8>, Unread> {
    match usize::try_from(size) {
        Ok(size) if size < least => Err(Unread::Error(Errno::INVAL)),
        Ok(size) if size as u64 <= PAGE => read_bytes(tid, address, size),
        _ => Err(Unread::Error(Errno::TOOBIG)),
    }
}

/// What a call had in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Copied {
    /// `None`: the call has a null pointer, which says something.
    pub(super) bytes: Option<Vec<u8>>,
    pub(super) size: u64,
    pub(super) flags: u64,
}

impl Copied {
    /// Whether two points in time are both UTIME_OMIT.
    pub(super) fn leaves_times(&self) -> bool {
        let Some(bytes) = &self.bytes else { return false };
        let nanoseconds = |at: usize| bytes.get(at..at + 8).is_some_and(|word| word == libc::UTIME_OMIT.to_ne_bytes());
        nanoseconds(8) && nanoseconds(24)
    }

    fn of(bytes: Vec<u8>) -> Self {
        Self { size: bytes.len() as u64, bytes: Some(bytes), flags: 0 }
    }
}

/// XATTR_NAME_MAX with the terminator, XATTR_SIZE_MAX.
const ATTRIBUTE_NAME: usize = 256;
const ATTRIBUTE_SIZE: u64 = 65_536;
/// The first sizes of struct xattr_args and struct file_attr.
const XATTR_ARGS: usize = 16;
const FILE_ATTR: usize = 24;

/// Copies what a call with these registers has in memory.
pub(super) fn copy(tid: u32, registers: [u64; 6], memory: Memory) -> Result<Copied, Unread> {
    let register = |n: u32| registers[n as usize];
    match memory {
        Memory::Text(at) => read_path(tid, register(at)).map(|text| Copied::of(terminated(text))),
        Memory::AttributeName(at) => {
            let name = read_text::<ATTRIBUTE_NAME>(tid, register(at), Errno::RANGE)?;
            if name.is_empty() { Err(Unread::Error(Errno::RANGE)) } else { Ok(Copied::of(terminated(name))) }
        }
        Memory::Value { at, size, flags } => value(tid, register(at), register(size), register(flags)),
        Memory::ValueIn { at, size } => {
            let args = read_struct(tid, register(at), register(size), XATTR_ARGS)?;
            let (known, more) = args.split_at(XATTR_ARGS);
            if more.iter().any(|&byte| byte != 0) {
                return Err(Unread::Error(Errno::TOOBIG));
            }
            let half = |at| u64::from(u32::from_ne_bytes(std::array::from_fn(|n| known[at + n])));
            let at = u64::from_ne_bytes(std::array::from_fn(|n| known[n]));
            value(tid, at, half(8), half(12))
        }
        Memory::Times(_, at) if register(at) == 0 => Ok(Copied::default()),
        Memory::Times(clock, at) => times(tid, register(at), clock),
        Memory::Attributes { at, size } => read_struct(tid, register(at), register(size), FILE_ATTR).map(Copied::of),
        Memory::Bits { at, size } => read_bytes(tid, register(at), size).map(Copied::of),
    }
}

fn terminated(mut text: Vec<u8>) -> Vec<u8> {
    text.push(0);
    text
}

/// The value of an extended attribute.
fn value(tid: u32, address: u64, size: u64, flags: u64) -> Result<Copied, Unread> {
    let flags = u64::from(flags as u32);
    if flags & !(libc::XATTR_CREATE | libc::XATTR_REPLACE) as u64 != 0 {
        return Err(Unread::Error(Errno::INVAL));
    }
    if size > ATTRIBUTE_SIZE {
        return Err(Unread::Error(Errno::TOOBIG));
    }
    Ok(Copied { flags, ..Copied::of(read_bytes(tid, address, size as usize)?) })
}

/// Two points in time as utimensat(2) takes them.
fn times(tid: u32, address: u64, clock: Clock) -> Result<Copied, Unread> {
    let words = if matches!(clock, Clock::Seconds) { 2 } else { 4 };
    let bytes = read_bytes(tid, address, words * size_of::<u64>())?;
    let word = |n: usize| i64::from_ne_bytes(std::array::from_fn(|byte| bytes[n * size_of::<u64>() + byte]));
    let pairs = match clock {
        Clock::Nanoseconds => return Ok(Copied::of(bytes)),
        Clock::Seconds => [word(0), 0, word(1), 0],
        Clock::Microseconds if [word(1), word(3)].iter().all(|part| (0..1_000_000).contains(part)) => {
            [word(0), word(1) * 1000, word(2), word(3) * 1000]
        }
        Clock::Microseconds => return Err(Unread::Error(Errno::INVAL)),
    };
    Ok(Copied::of(pairs.into_iter().flat_map(i64::to_ne_bytes).collect()))
}

/// Copies up to the length of `into` bytes; where a page is missing, those before `first` alone.
fn read_memory(tid: u32, address: u64, into: &mut [u8], first: usize) -> Result<usize, Unread> {
    sys::process::read_memory(tid, address, into, first).map_err(|errno| match errno {
        Errno::PERM => Unread::Closed,
        Errno::SRCH => Unread::Error(Errno::SRCH),
        _ => Unread::Error(Errno::FAULT),
    })
}

/// What a path that is not absolute starts from.
pub(super) fn start(tid: u32, dirfd: Option<i32>) -> Result<OwnedFd, Errno> {
    let path = match dirfd {
        None | Some(libc::AT_FDCWD) => format!("/proc/{tid}/cwd"),
        Some(fd) if fd < 0 => return Err(Errno::BADF),
        Some(fd) => format!("/proc/{tid}/fd/{fd}"),
    };
    let open = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    match open {
        Err(Errno::NOENT) if dirfd.is_some_and(|fd| fd >= 0) => Err(Errno::BADF),
        other => other,
    }
}

/// A copy of a descriptor of the thread: the same open file.
pub(super) fn descriptor(tid: u32, number: ForeignRawFd) -> Result<OwnedFd, Unread> {
    let copy = || {
        let thread = thread_handle(tid)?;
        pidfd_getfd(thread, number, PidfdGetfdFlags::empty())
    };
    match copy() {
        Err(Errno::PERM) => Err(Unread::Closed),
        Err(errno) if is_exhausted(errno) => Err(Unread::Error(Errno::NFILE)),
        other => other.map_err(Unread::Error),
    }
}

/// A handle of a thread; before Linux 6.9 only of its process, which has the same descriptors unless it took pains.
fn thread_handle(tid: u32) -> Result<OwnedFd, Errno> {
    let open = |id: u32, flags| {
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
        pidfd_open(pid, flags)
    };
    const THREAD: PidfdFlags = PidfdFlags::from_bits_retain(OFlags::EXCL.bits());
    match open(tid, THREAD) {
        Err(Errno::INVAL) => open(TaskStatus::of(tid).map_err(|_| Errno::SRCH)?.tgid, PidfdFlags::empty()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_up_to_the_end_of_a_page() {
        let us = std::process::id();
        let text = c"/some/path";
        assert_eq!(read_path(us, text.as_ptr() as u64).unwrap(), b"/some/path");
        assert_eq!(read_path(us, 8), Err(Unread::Error(Errno::FAULT)));
        assert_eq!(read_path(us, u64::MAX - 3), Err(Unread::Error(Errno::FAULT)));
        let long = vec![b'x'; 5000];
        assert_eq!(read_path(us, long.as_ptr() as u64), Err(Unread::Error(Errno::NAMETOOLONG)));
        let number = 0x1122_3344_5566_7788u64;
        assert_eq!(read_bytes(us, &raw const number as u64, 8).unwrap(), number.to_ne_bytes());
        assert_eq!(read_bytes(us, 0, 0), Ok(Vec::new()));
    }

    #[test]
    fn a_struct_has_at_least_its_first_size() {
        let us = std::process::id();
        let bytes = [7u8; 100];
        let read = |size| read_struct(us, bytes.as_ptr() as u64, size, 24);
        assert_eq!(read(23), Err(Unread::Error(Errno::INVAL)));
        assert_eq!(read(32).unwrap(), [7; 32]);
        assert_eq!(read(4097), Err(Unread::Error(Errno::TOOBIG)));
        assert_eq!(read(u64::MAX), Err(Unread::Error(Errno::TOOBIG)));
    }

    #[test]
    fn times_are_written_as_the_newest_call_takes_them() {
        let us = std::process::id();
        let of = |clock, words: &[i64]| {
            let registers = [words.as_ptr() as u64, 0, 0, 0, 0, 0];
            let copied = copy(us, registers, Memory::Times(clock, 0))?;
            let bytes = copied.bytes.unwrap();
            let words = bytes.chunks(8).map(|word| i64::from_ne_bytes(word.try_into().unwrap()));
            Ok::<_, Unread>(words.collect::<Vec<_>>())
        };
        assert_eq!(of(Clock::Seconds, &[1, 2]).unwrap(), [1, 0, 2, 0]);
        assert_eq!(of(Clock::Microseconds, &[1, 2, 3, 4]).unwrap(), [1, 2000, 3, 4000]);
        assert_eq!(of(Clock::Microseconds, &[1, 1_000_000, 3, 4]), Err(Unread::Error(Errno::INVAL)));
        assert_eq!(of(Clock::Nanoseconds, &[1, 2, 3, 4]).unwrap(), [1, 2, 3, 4]);
        assert!(copy(us, [0; 6], Memory::Times(Clock::Seconds, 0)).unwrap().bytes.is_none());
    }

    #[test]
    fn the_value_of_an_attribute_is_as_long_as_it_may_be() {
        let us = std::process::id();
        let [value, name] = [[1u8; 10].as_slice(), b"user.x\0"];
        let of = |size: u64, flags: u64| {
            let registers = [value.as_ptr() as u64, size, flags, 0, 0, 0];
            copy(us, registers, Memory::Value { at: 0, size: 1, flags: 2 }).map(|copied| copied.bytes.unwrap())
        };
        assert_eq!(of(10, 1).unwrap(), [1; 10]);
        assert_eq!(of(0, 2).unwrap(), []);
        assert_eq!(of(65_537, 0), Err(Unread::Error(Errno::TOOBIG)));
        assert_eq!(of(10, 4), Err(Unread::Error(Errno::INVAL)));
        let name = copy(us, [name.as_ptr() as u64, 0, 0, 0, 0, 0], Memory::AttributeName(0)).unwrap();
        assert_eq!(name.bytes.unwrap(), b"user.x\0");
        let long = [b'x'; 300];
        let long = copy(us, [long.as_ptr() as u64, 0, 0, 0, 0, 0], Memory::AttributeName(0));
        assert_eq!(long.unwrap_err(), Unread::Error(Errno::RANGE));
    }

    #[test]
    fn a_missing_descriptor_is_a_bad_one() {
        let us = std::process::id();
        assert_eq!(start(us, Some(-5)).unwrap_err(), Errno::BADF);
        assert_eq!(start(us, Some(1_000_000)).unwrap_err(), Errno::BADF);
        assert!(start(us, Some(libc::AT_FDCWD)).is_ok());
    }
}
