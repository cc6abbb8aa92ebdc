//! Memory as the pool wants it.

use super::Ptr;

/// A block of the C library, which a sanitizer watches; NULL if there is no memory. The alignment is a power of two and at
/// least that of pointers.
pub fn allocate(size: usize, alignment: usize) -> Ptr {
    let mut address = std::ptr::null_mut();
    // SAFETY: the address is written; an alignment that is none is refused.
    let failed = unsafe { libc::posix_memalign(&raw mut address, alignment, size) };
    if failed == 0 { Ptr::new(address) } else { Ptr::NULL }
}

/// Frees a block of [`allocate`], which the caller knows is not freed yet.
pub fn free(block: Ptr) {
    // SAFETY: the pool's table had an entry for it, which is gone now: it is not freed again.
    unsafe { libc::free(block.as_raw()) };
}

/// Whether there is memory at the page of this address.
pub fn is_mapped(page: usize, size: usize) -> bool {
    let mut residency = 0u8;
    // SAFETY: mincore writes one byte for one page, and only looks whether the address is mapped.
    let found = unsafe { libc::mincore(page as *mut libc::c_void, size, &raw mut residency) };
    found == 0
}

/// Ends the process at once: nothing that is registered for its end runs.
pub fn end_process(status: i32) -> ! {
    // SAFETY: it does not return.
    unsafe { libc::_exit(status) }
}
