//! The pool: `ExAllocatePool2` and its family.
//!
//! Each block is one of the C library's, of exactly the size that was asked for, so that a sanitizer sees the first byte
//! beyond it. What we know of it is in a table.

mod calls;
mod lookaside;

use std::collections::BTreeMap;
use std::sync::Mutex;

pub use calls::*;
pub use lookaside::*;

use super::report::{self, Rule};
use super::table::Table;
use super::{fault, irql};
use crate::edge::{Place, Ptr, heap};
use crate::lock;
use crate::nt::Unit;

/// What the block may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Paged,
    NonPaged,
}

/// How a block is freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// By `ExFreePool` and its like.
    Pool,
    /// By `FltFreePoolAlignedWithTag`.
    Aligned,
    /// By `FltFreeSecurityDescriptor`.
    Security,
}

/// A block that is not freed.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    pub size: usize,
    pub tag: u32,
    pub kind: Kind,
    pub owner: Owner,
    pub place: Place,
}

/// What one tag has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Use {
    pub blocks: u64,
    pub bytes: u64,
    pub peak_bytes: u64,
    pub allocations: u64,
}

/// Contents of a block that is not zeroed: a value that a driver notices.
const FRESH: u8 = 0xC5;
const PAGE: usize = 4096;
/// The tag of what `Rtl` functions allocate.
const RTL_TAG: u32 = u32::from_le_bytes(*b"Strg");

static BLOCKS: Table<Block> = Table::new();
static TAGS: Mutex<BTreeMap<u32, Use>> = Mutex::new(BTreeMap::new());

/// What a block is wanted for.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub size: usize,
    pub tag: u32,
    pub kind: Kind,
    pub owner: Owner,
    pub alignment: usize,
    pub zeroed: bool,
}

impl Request {
    /// A zeroed block of this kind.
    pub fn new(kind: Kind, size: usize, tag: u32) -> Self {
        Self { size, tag, kind, owner: Owner::Pool, alignment: 16, zeroed: true }
    }
}

/// A block; NULL if there is no memory.
pub fn allocate(request: Request) -> Ptr {
    let Request { size, tag, kind, owner, alignment, zeroed } = request;
    if kind == Kind::Paged {
        irql::expect(irql::APC, "an allocation of paged pool");
    } else {
        irql::expect(irql::DISPATCH, "an allocation of pool");
    }
    if fault::strikes(fault::Site::Pool) {
        return Ptr::NULL;
    }
    let alignment = if size >= PAGE { alignment.max(PAGE) } else { alignment };
    let Some(block) = heap::allocate(size, alignment).some() else { return Ptr::NULL };
    block.fill(if zeroed { 0 } else { FRESH }, size);
    BLOCKS.insert(block.address(), Block { size, tag, kind, owner, place: report::place() });
    let mut tags = lock(&TAGS);
    let used = tags.entry(tag).or_default();
    used.blocks += 1;
    used.allocations += 1;
    used.bytes += size as u64;
    used.peak_bytes = used.peak_bytes.max(used.bytes);
    block
}

/// Frees a block of the pool; one with another tag than `tag` is a finding.
pub fn free(block: Ptr, tag: Option<u32>) {
    free_owned(block, tag, Owner::Pool);
}

/// Frees a block that only `owner` may free.
pub fn free_owned(block: Ptr, tag: Option<u32>, owner: Owner) {
    irql::expect(irql::DISPATCH, "freeing pool");
    let Some(known) = BLOCKS.remove(block.address()) else {
        report::find(
            Rule::Object,
            format!("{block:?} is freed and is no block of the pool: never allocated, or freed before"),
        );
        return;
    };
    if known.kind == Kind::Paged {
        irql::expect(irql::APC, "freeing paged pool");
    }
    if known.owner != owner {
        let text = format!("a block of {} bytes is freed by a function of another kind than allocated it", known.size);
        report::find(Rule::PoolPair, text);
    }
    if tag.is_some_and(|tag| tag != known.tag && tag != 0) {
        let freed = tag_text(tag.unwrap_or(0));
        report::find(
            Rule::PoolTag,
            format!("a block with the tag {} is freed with the tag {freed}", tag_text(known.tag)),
        );
    }
    if let Some(used) = lock(&TAGS).get_mut(&known.tag) {
        used.blocks -= 1;
        used.bytes -= known.size as u64;
    }
    heap::free(block);
}

/// What is known of the block that begins here.
pub fn block(address: Ptr) -> Option<Block> {
    BLOCKS.with(address.address(), |block| *block)
}

/// All blocks that are not freed.
pub fn blocks() -> Vec<Block> {
    let mut all = Vec::new();
    BLOCKS.each(|_, block| all.push(*block));
    all
}

/// What each tag has.
pub fn tags() -> BTreeMap<u32, Use> {
    lock(&TAGS).clone()
}

/// A tag as text in the order of its bytes in memory, as Windows' tools print it.
pub fn tag_text(tag: u32) -> String {
    tag.to_le_bytes().iter().map(|&byte| if byte.is_ascii_graphic() { char::from(byte) } else { '.' }).collect()
}

/// A block of the `Rtl` functions with this text and a terminator.
pub fn system_text(units: &[Unit]) -> Option<Ptr<Unit>> {
    let block: Ptr<Unit> = allocate(Request::new(Kind::Paged, units.len() * 2 + 2, RTL_TAG)).some()?.cast();
    block.write_many(units);
    Some(block)
}

/// A block of the `Rtl` functions with these bytes and a terminator.
pub fn system_bytes(bytes: &[u8]) -> Option<Ptr<u8>> {
    let block: Ptr<u8> = allocate(Request::new(Kind::Paged, bytes.len() + 1, RTL_TAG)).some()?.cast();
    block.write_many(bytes);
    Some(block)
}
