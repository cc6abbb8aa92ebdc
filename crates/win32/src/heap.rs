//! The heap of the process. Its memory is the C library's: a sanitizer of the program's sees what goes beyond a block, and
//! what is never freed. Before each block lies how long it is, and by what it is known: what is no block is refused.

use std::ffi::c_void;
use std::ptr::null_mut;

use abi::{Error, Handle, pointer};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::last_error::{or, succeeds};

const ZERO_MEMORY: u32 = 8;
const REALLOC_IN_PLACE_ONLY: u32 = 0x10;
/// LMEM_ZEROINIT.
const LOCAL_ZERO: u32 = 0x40;
/// LMEM_MOVEABLE: a handle that must be locked first. Its like has not been seen in clients of ports.
const LOCAL_MOVEABLE: u32 = 2;
/// What GetProcessHeap returns. No handle of the table has this number.
const PROCESS_HEAP: Handle = Handle(0x8000_0000);

/// What lies before a block. As long as the C library aligns memory, so that the block is aligned too.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Header {
    len: usize,
    /// The block's address, changed by [`MARK`].
    mark: usize,
}

const MARK: usize = 0x6C68_7061_656C_7466;

impl Header {
    /// That of `block`.
    ///
    /// # Errors
    /// It is no block of the heap.
    fn of(block: *const c_void) -> Result<Self, Error> {
        let header = pointer::read(at(block)).map_err(|_| Error::INVALID_PARAMETER)?;
        if header.mark == block as usize ^ MARK { Ok(header) } else { Err(Error::INVALID_PARAMETER) }
    }

    /// Makes what `memory` points to, which is null or has room for a header and `len` bytes, a block.
    ///
    /// # Safety
    /// It has.
    unsafe fn put(memory: *mut c_void, len: usize) -> Result<*mut c_void, Error> {
        if memory.is_null() {
            return Err(Error::NOT_ENOUGH_MEMORY);
        }
        let block = memory.wrapping_byte_add(size_of::<Self>());
        // SAFETY: as of our caller; aligned by the C library.
        unsafe { memory.cast::<Self>().write(Self { len, mark: block as usize ^ MARK }) };
        Ok(block)
    }
}

/// Where the header of a block lies.
fn at(block: *const c_void) -> *mut Header {
    block.wrapping_byte_sub(size_of::<Header>()).cast_mut().cast()
}

/// How much memory a block takes.
fn room(len: usize) -> Result<usize, Error> {
    let room = len.checked_add(size_of::<Header>()).filter(|&room| isize::try_from(room).is_ok());
    room.ok_or(Error::NOT_ENOUGH_MEMORY)
}

pub(crate) fn allocate(len: usize) -> Result<*mut c_void, Error> {
    let room = room(len)?;
    // SAFETY: allocates, or returns null.
    let memory = unsafe { libc::malloc(room) };
    // SAFETY: so much was asked for.
    unsafe { Header::put(memory, len) }
}

fn allocate_zeroed(len: usize) -> Result<*mut c_void, Error> {
    let room = room(len)?;
    // SAFETY: allocates, or returns null.
    let memory = unsafe { libc::calloc(room, 1) };
    // SAFETY: so much was asked for.
    unsafe { Header::put(memory, len) }
}

fn free(block: *mut c_void) -> Result<(), Error> {
    if block.is_null() {
        return Ok(());
    }
    Header::of(block)?;
    // SAFETY: the header says that it is a block.
    unsafe { (*at(block)).mark = 0 };
    // SAFETY: as above: allocated here, and not freed since.
    unsafe { libc::free(at(block).cast()) };
    Ok(())
}

fn check(heap: Handle) -> Result<(), Error> {
    if heap == PROCESS_HEAP { Ok(()) } else { Err(Error::INVALID_HANDLE) }
}

#[unsafe(no_mangle)]
extern "C" fn GetProcessHeap() -> Handle {
    PROCESS_HEAP
}

#[unsafe(no_mangle)]
extern "C" fn HeapAlloc(heap: Handle, flags: u32, len: usize) -> *mut c_void {
    or(null_mut(), || {
        check(heap)?;
        if flags & ZERO_MEMORY != 0 { allocate_zeroed(len) } else { allocate(len) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn HeapReAlloc(heap: Handle, flags: u32, block: *mut c_void, len: usize) -> *mut c_void {
    or(null_mut(), || {
        check(heap)?;
        let before = Header::of(block)?.len;
        if flags & REALLOC_IN_PLACE_ONLY != 0 && len > before {
            return Err(Error::NOT_ENOUGH_MEMORY);
        }
        if flags & REALLOC_IN_PLACE_ONLY != 0 {
            // SAFETY: a block, as its header says; it keeps its memory.
            unsafe { (*at(block)).len = len };
            return Ok(block);
        }
        let room = room(len)?;
        // SAFETY: a block, as its header says.
        let memory = unsafe { libc::realloc(at(block).cast(), room) };
        // SAFETY: so much was asked for.
        let block = unsafe { Header::put(memory, len) }?;
        if flags & ZERO_MEMORY != 0 && len > before {
            // SAFETY: the new end of the block.
            unsafe { block.cast::<u8>().wrapping_add(before).write_bytes(0, len - before) };
        }
        Ok(block)
    })
}

#[unsafe(no_mangle)]
extern "C" fn HeapFree(heap: Handle, _flags: u32, block: *mut c_void) -> i32 {
    succeeds(|| {
        check(heap)?;
        free(block)
    })
}

#[unsafe(no_mangle)]
extern "C" fn HeapSize(heap: Handle, _flags: u32, block: *const c_void) -> usize {
    or(usize::MAX, || {
        check(heap)?;
        Ok(Header::of(block)?.len)
    })
}

#[unsafe(no_mangle)]
extern "C" fn LocalAlloc(flags: u32, len: usize) -> *mut c_void {
    or(null_mut(), || {
        if flags & LOCAL_MOVEABLE != 0 {
            return Err(Error::NOT_SUPPORTED);
        }
        if flags & LOCAL_ZERO != 0 { allocate_zeroed(len) } else { allocate(len) }
    })
}

/// Also frees what FormatMessage allocated. Returns NULL, or what is no block, with ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
extern "C" fn LocalFree(block: *mut c_void) -> *mut c_void {
    or(block, || free(block).map(|()| null_mut()).map_err(|_| Error::INVALID_HANDLE))
}

#[unsafe(no_mangle)]
extern "C" fn GlobalAlloc(flags: u32, len: usize) -> *mut c_void {
    LocalAlloc(flags, len)
}

#[unsafe(no_mangle)]
extern "C" fn GlobalFree(block: *mut c_void) -> *mut c_void {
    LocalFree(block)
}
