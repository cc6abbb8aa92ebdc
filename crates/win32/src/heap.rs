//! The heap of the process, which is the C library's: a sanitizer of the program's sees every block.

use std::ffi::c_void;
use std::ptr::null_mut;

use abi::{Error, Handle};

use crate::last_error::{or, succeeds};

const ZERO_MEMORY: u32 = 8;
const REALLOC_IN_PLACE_ONLY: u32 = 0x10;
/// LMEM_ZEROINIT.
const LOCAL_ZERO: u32 = 0x40;
/// LMEM_MOVEABLE: a handle that must be locked first. Its like has not been seen in clients of ports.
const LOCAL_MOVEABLE: u32 = 2;
/// What GetProcessHeap returns. No handle of the table has this number.
const PROCESS_HEAP: Handle = Handle(0x8000_0000);

/// A block of at least one byte.
pub(crate) fn allocate(len: usize) -> Result<*mut c_void, Error> {
    // SAFETY: allocates, or returns null.
    let block = unsafe { libc::malloc(len.max(1)) };
    if block.is_null() { Err(Error::NOT_ENOUGH_MEMORY) } else { Ok(block) }
}

fn allocate_zeroed(len: usize) -> Result<*mut c_void, Error> {
    // SAFETY: allocates, or returns null.
    let block = unsafe { libc::calloc(len.max(1), 1) };
    if block.is_null() { Err(Error::NOT_ENOUGH_MEMORY) } else { Ok(block) }
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
unsafe extern "C" fn HeapReAlloc(heap: Handle, flags: u32, block: *mut c_void, len: usize) -> *mut c_void {
    or(null_mut(), || {
        check(heap)?;
        if block.is_null() {
            return Err(Error::INVALID_PARAMETER);
        }
        // SAFETY: a block of the heap, as of our caller.
        let before = unsafe { libc::malloc_usable_size(block) };
        if flags & REALLOC_IN_PLACE_ONLY != 0 {
            return if len <= before { Ok(block) } else { Err(Error::NOT_ENOUGH_MEMORY) };
        }
        // SAFETY: as above.
        let block = unsafe { libc::realloc(block, len.max(1)) };
        if block.is_null() {
            return Err(Error::NOT_ENOUGH_MEMORY);
        }
        if flags & ZERO_MEMORY != 0 && len > before {
            // SAFETY: the new end of the block.
            unsafe { block.cast::<u8>().wrapping_add(before).write_bytes(0, len - before) };
        }
        Ok(block)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn HeapFree(heap: Handle, _flags: u32, block: *mut c_void) -> i32 {
    succeeds(|| {
        check(heap)?;
        // SAFETY: null, or a block of the heap, as of our caller.
        unsafe { libc::free(block) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn HeapSize(heap: Handle, _flags: u32, block: *const c_void) -> usize {
    or(usize::MAX, || {
        check(heap)?;
        // SAFETY: a block of the heap, as of our caller.
        Ok(unsafe { libc::malloc_usable_size(block.cast_mut()) })
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

/// Also frees what FormatMessage allocated. NULL: it is free.
#[unsafe(no_mangle)]
unsafe extern "C" fn LocalFree(block: *mut c_void) -> *mut c_void {
    // SAFETY: null, or a block of LocalAlloc's, as of our caller.
    unsafe { libc::free(block) };
    null_mut()
}

#[unsafe(no_mangle)]
extern "C" fn GlobalAlloc(flags: u32, len: usize) -> *mut c_void {
    LocalAlloc(flags, len)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn GlobalFree(block: *mut c_void) -> *mut c_void {
    // SAFETY: as of our caller.
    unsafe { LocalFree(block) }
}
