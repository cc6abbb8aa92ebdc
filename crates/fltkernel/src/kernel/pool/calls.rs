//! The functions of the pool.

use super::{Kind, Owner, Request, allocate, free, free_owned};
use crate::edge::{Ptr, seh};
use crate::kernel::report::{self, Rule};
use crate::nt::status;

/// `POOL_FLAGS`
const UNINITIALIZED: u64 = 0x2;
const CACHE_ALIGNED: u64 = 0x8;
const RAISE_ON_FAILURE: u64 = 0x20;
const NON_PAGED: u64 = 0x40;
const NON_PAGED_EXECUTE: u64 = 0x80;
const PAGED: u64 = 0x100;
/// `POOL_TYPE`
const TYPE_PAGED: u32 = 1;
const TYPE_RAISE: u32 = 16;
const CACHE_LINE: usize = 64;

/// What a `POOL_TYPE` means.
pub fn kind(pool_type: u32) -> Kind {
    if pool_type & TYPE_PAGED != 0 { Kind::Paged } else { Kind::NonPaged }
}

fn raise_if(wanted: bool, block: Ptr) -> Ptr {
    if wanted && block.is_null() {
        seh::raise(status::INSUFFICIENT_RESOURCES.0);
    }
    block
}

fn note_size(size: usize) {
    if size == 0 {
        report::find(Rule::PoolZero, "a block of 0 bytes is asked for");
    }
}

fn of_type(pool_type: u32, size: usize, tag: u32, zeroed: bool) -> Ptr {
    note_size(size);
    let block = allocate(Request { zeroed, ..Request::new(kind(pool_type), size, tag) });
    raise_if(pool_type & TYPE_RAISE != 0, block)
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAllocatePool2(flags: u64, size: usize, tag: u32) -> Ptr {
    let kind = match flags & (NON_PAGED | NON_PAGED_EXECUTE | PAGED) {
        PAGED => Kind::Paged,
        NON_PAGED | NON_PAGED_EXECUTE => Kind::NonPaged,
        _ => {
            report::find(Rule::Arg, format!("the flags {flags:#x} do not name one kind of pool"));
            return Ptr::NULL;
        }
    };
    if tag == 0 {
        report::find(Rule::Arg, "the tag is 0");
        return Ptr::NULL;
    }
    note_size(size);
    let alignment = if flags & CACHE_ALIGNED != 0 { CACHE_LINE } else { 16 };
    let block = allocate(Request { zeroed: flags & UNINITIALIZED == 0, alignment, ..Request::new(kind, size, tag) });
    raise_if(flags & RAISE_ON_FAILURE != 0, block)
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAllocatePool3(flags: u64, size: usize, tag: u32, _parameters: Ptr, _count: u32) -> Ptr {
    ExAllocatePool2(flags, size, tag)
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAllocatePool(pool_type: u32, size: usize) -> Ptr {
    of_type(pool_type, size, u32::from_le_bytes(*b"None"), false)
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAllocatePoolWithTag(pool_type: u32, size: usize, tag: u32) -> Ptr {
    of_type(pool_type, size, tag, false)
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAllocatePoolWithTagPriority(pool_type: u32, size: usize, tag: u32, _priority: u32) -> Ptr {
    of_type(pool_type, size, tag, false)
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAllocatePoolWithQuotaTag(pool_type: u32, size: usize, tag: u32) -> Ptr {
    const FAIL_INSTEAD_OF_RAISE: u32 = 8;
    raise_if(pool_type & FAIL_INSTEAD_OF_RAISE == 0, of_type(pool_type, size, tag, false))
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAllocatePoolZero(pool_type: u32, size: usize, tag: u32) -> Ptr {
    of_type(pool_type, size, tag, true)
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAllocatePoolUninitialized(pool_type: u32, size: usize, tag: u32) -> Ptr {
    of_type(pool_type, size, tag, false)
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAllocatePoolQuotaZero(pool_type: u32, size: usize, tag: u32) -> Ptr {
    of_type(pool_type, size, tag, true)
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAllocatePoolQuotaUninitialized(pool_type: u32, size: usize, tag: u32) -> Ptr {
    of_type(pool_type, size, tag, false)
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAllocatePoolPriorityZero(pool_type: u32, size: usize, tag: u32, _priority: u32) -> Ptr {
    of_type(pool_type, size, tag, true)
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAllocatePoolPriorityUninitialized(pool_type: u32, size: usize, tag: u32, _priority: u32) -> Ptr {
    of_type(pool_type, size, tag, false)
}

#[unsafe(no_mangle)]
pub extern "C" fn ExFreePool(block: Ptr) {
    free(block, None);
}

#[unsafe(no_mangle)]
pub extern "C" fn ExFreePoolWithTag(block: Ptr, tag: u32) {
    free(block, Some(tag));
}

#[unsafe(no_mangle)]
pub extern "C" fn FltAllocatePoolAlignedWithTag(_instance: Ptr, pool_type: u32, size: usize, tag: u32) -> Ptr {
    /// A device of 512-byte sectors: what `FltGetVolumeProperties` tells.
    const SECTOR: usize = 512;
    note_size(size);
    let alignment = if size > SECTOR { SECTOR } else { 16 };
    allocate(Request { owner: Owner::Aligned, alignment, zeroed: false, ..Request::new(kind(pool_type), size, tag) })
}

#[unsafe(no_mangle)]
pub extern "C" fn FltFreePoolAlignedWithTag(_instance: Ptr, block: Ptr, tag: u32) {
    free_owned(block, Some(tag), Owner::Aligned);
}
