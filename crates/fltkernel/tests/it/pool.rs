//! The pool and its rules.

use fltkernel::edge::Ptr;
use fltkernel::kernel::irql::{self, KeLowerIrql, KfRaiseIrql};
use fltkernel::kernel::pool::*;
use fltkernel::kernel::report::{Rule, capture};

const TAG: u32 = u32::from_le_bytes(*b"Test");
const NON_PAGED: u64 = 0x40;
const PAGED: u64 = 0x100;
const PAGED_TYPE: u32 = 1;

#[test]
fn ExAllocatePool2_zeroes_unless_told_otherwise() {
    let block = ExAllocatePool2(NON_PAGED, 100, TAG);
    assert_eq!(block.cast::<u8>().read_many(100), [0; 100]);
    ExFreePoolWithTag(block, TAG);
    let block = ExAllocatePool2(NON_PAGED | 2, 4, TAG);
    assert_eq!(block.cast::<u8>().read_many(4), [0xC5; 4]);
    ExFreePool(block);
}

#[test]
fn ExAllocatePool2_refuses_flags_without_a_kind_and_no_tag() {
    assert_eq!(capture(|| ExAllocatePool2(0, 8, TAG)), (Ptr::NULL, vec![Rule::Arg]));
    assert_eq!(capture(|| ExAllocatePool2(NON_PAGED | PAGED, 8, TAG)), (Ptr::NULL, vec![Rule::Arg]));
    assert_eq!(capture(|| ExAllocatePool2(PAGED, 8, 0)), (Ptr::NULL, vec![Rule::Arg]));
}

#[test]
fn ExAllocatePoolWithTag_is_not_zeroed_and_ExAllocatePoolZero_is() {
    let block = ExAllocatePoolWithTag(PAGED_TYPE, 8, TAG);
    assert_eq!(block.cast::<u8>().read_many(8), [0xC5; 8]);
    ExFreePoolWithTag(block, TAG);
    let block = ExAllocatePoolZero(PAGED_TYPE, 8, TAG);
    assert_eq!(block.cast::<u8>().read_many(8), [0; 8]);
    ExFreePoolWithTag(block, TAG);
}

#[test]
fn large_blocks_begin_at_a_page() {
    let block = ExAllocatePool2(NON_PAGED, 5000, TAG);
    assert_eq!(block.address() % 4096, 0);
    ExFreePool(block);
}

#[test]
fn ExFreePoolWithTag_with_another_tag_is_a_finding() {
    let block = ExAllocatePool2(NON_PAGED, 8, TAG);
    assert_eq!(capture(|| ExFreePoolWithTag(block, TAG + 1)).1, [Rule::PoolTag]);
}

#[test]
fn ExFreePool_of_what_is_no_block_is_a_finding() {
    let block = ExAllocatePool2(NON_PAGED, 8, TAG);
    ExFreePool(block);
    assert_eq!(capture(|| ExFreePool(block)).1, [Rule::Object]);
}

#[test]
fn a_block_of_no_bytes_is_a_finding() {
    let (block, rules) = capture(|| ExAllocatePoolWithTag(PAGED_TYPE, 0, TAG));
    assert!(!block.is_null());
    assert_eq!(rules, [Rule::PoolZero]);
    ExFreePool(block);
}

#[test]
fn paged_pool_at_DISPATCH_LEVEL_is_a_finding() {
    let before = KfRaiseIrql(irql::DISPATCH);
    let (block, rules) = capture(|| ExAllocatePool2(PAGED, 8, TAG));
    assert_eq!(rules, [Rule::Irql]);
    assert_eq!(capture(|| ExFreePool(block)).1, [Rule::Irql]);
    KeLowerIrql(before);
}

#[test]
fn FltAllocatePoolAlignedWithTag_aligns_and_has_its_own_partner() {
    let block = FltAllocatePoolAlignedWithTag(Ptr::NULL, 0, 1024, TAG);
    assert_eq!(block.address() % 512, 0);
    assert_eq!(capture(|| ExFreePoolWithTag(block, TAG)).1, [Rule::PoolPair]);
    let block = FltAllocatePoolAlignedWithTag(Ptr::NULL, 0, 100, TAG);
    assert_eq!(capture(|| FltFreePoolAlignedWithTag(Ptr::NULL, block, TAG)).1, []);
}

#[test]
fn tags_count_what_is_not_freed() {
    const OWN: u32 = u32::from_le_bytes(*b"Own1");
    let block = ExAllocatePool2(NON_PAGED, 24, OWN);
    let used = tags()[&OWN];
    assert_eq!((used.blocks, used.bytes), (1, 24));
    ExFreePool(block);
    let used = tags()[&OWN];
    assert_eq!((used.blocks, used.bytes, used.peak_bytes, used.allocations), (0, 0, 24, 1));
    assert_eq!(tag_text(OWN), "Own1");
}

#[test]
fn ExDeleteNPagedLookasideList_with_blocks_outside_is_a_finding() {
    let mut list = [0u8; 128];
    let at = Ptr::new(list.as_mut_ptr()).cast();
    ExInitializeNPagedLookasideList(at, None, None, 0, 32, TAG, 0);
    let block = ExAllocateFromNPagedLookasideList(at);
    assert!(!block.is_null());
    assert_eq!(capture(|| ExDeleteNPagedLookasideList(at)).1, [Rule::Lookaside]);
    ExFreePool(block);
    assert_eq!(capture(|| ExAllocateFromNPagedLookasideList(at)), (Ptr::NULL, vec![Rule::Lookaside]));
}
