//! Memory that is described, probed, or waited for until no thread uses it.

use super::pool::{self, Kind, Request};
use super::{dispatcher, fault, irql};
use crate::edge::{Ptr, heap, member, seh};
use crate::nt::Boolean;
use crate::nt::status::{self, Status};

/// `MDL`: describes memory; here all of it is always there.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Mdl {
    next: Ptr<Self>,
    size: i16,
    flags: i16,
    process: Ptr,
    mapped: Ptr<u8>,
    start: Ptr<u8>,
    count: u32,
    offset: u32,
}

const MAPPED_TO_SYSTEM_VA: i16 = 1;
const PAGES_LOCKED: i16 = 2;
const SOURCE_IS_NONPAGED_POOL: i16 = 4;
const PAGE: usize = 4096;
const TAG: u32 = u32::from_le_bytes(*b"Mdl ");
/// `MM_HIGHEST_USER_ADDRESS`
const HIGHEST_USER: usize = 0x7FFF_FFFE_FFFF;
/// Below this nothing of a program is ever mapped.
const LOWEST_USER: usize = 0x1_0000;

#[unsafe(no_mangle)]
pub static MmHighestUserAddress: usize = HIGHEST_USER;
#[unsafe(no_mangle)]
pub static MmSystemRangeStart: usize = 0xFFFF_8000_0000_0000;
#[unsafe(no_mangle)]
pub static MmUserProbeAddress: usize = 0x7FFF_FFFF_0000;
#[unsafe(no_mangle)]
pub static KeNumberProcessors: u8 = 1;

/// A descriptor of this memory.
pub fn describe(address: Ptr<u8>, length: u32) -> Ptr<Mdl> {
    if fault::strikes(fault::Site::Mdl) {
        return Ptr::NULL;
    }
    let mdl: Ptr<Mdl> = pool::allocate(Request::new(Kind::NonPaged, size_of::<Mdl>(), TAG)).cast();
    if !mdl.is_null() {
        let start = Ptr::at_address(address.address() & !(PAGE - 1));
        let offset = (address.address() % PAGE) as u32;
        mdl.write(Mdl { size: size_of::<Mdl>() as i16, start, offset, count: length, ..Mdl::default() });
    }
    mdl
}

/// The memory that a descriptor describes.
pub fn described(mdl: Ptr<Mdl>) -> (Ptr<u8>, u32) {
    let mdl = mdl.read();
    (mdl.start.add(mdl.offset as usize), mdl.count)
}

#[unsafe(no_mangle)]
pub extern "C" fn IoAllocateMdl(
    address: Ptr<u8>,
    length: u32,
    secondary: Boolean,
    _quota: Boolean,
    irp: Ptr<Irp>,
) -> Ptr<Mdl> {
    let mdl = describe(address, length);
    if !irp.is_null() && !mdl.is_null() && secondary == 0 {
        member!(irp, Irp, mdl).write(mdl);
    }
    mdl
}

/// The beginning of an `IRP`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Irp {
    kind: u16,
    size: u16,
    mdl: Ptr<Mdl>,
}

#[unsafe(no_mangle)]
pub extern "C" fn IoFreeMdl(mdl: Ptr<Mdl>) {
    pool::free(mdl.cast(), Some(TAG));
}

#[unsafe(no_mangle)]
pub extern "C" fn MmBuildMdlForNonPagedPool(mdl: Ptr<Mdl>) {
    let (address, _) = described(mdl);
    member!(mdl, Mdl, flags).write(SOURCE_IS_NONPAGED_POOL);
    member!(mdl, Mdl, mapped).write(address);
}

#[unsafe(no_mangle)]
pub extern "C" fn MmGetSystemAddressForMdlSafe(mdl: Ptr<Mdl>, _priority: u32) -> Ptr<u8> {
    let (address, _) = described(mdl);
    let flags = member!(mdl, Mdl, flags);
    flags.write(flags.read() | MAPPED_TO_SYSTEM_VA);
    member!(mdl, Mdl, mapped).write(address);
    address
}

#[unsafe(no_mangle)]
pub extern "C" fn MmMapLockedPagesSpecifyCache(
    mdl: Ptr<Mdl>,
    _mode: i8,
    _cache: u32,
    _at: Ptr,
    _bug: u32,
    priority: u32,
) -> Ptr<u8> {
    MmGetSystemAddressForMdlSafe(mdl, priority)
}

#[unsafe(no_mangle)]
pub extern "C" fn MmUnmapLockedPages(_address: Ptr, _mdl: Ptr<Mdl>) {}

#[unsafe(no_mangle)]
pub extern "C" fn MmProbeAndLockPages(mdl: Ptr<Mdl>, _mode: i8, operation: u32) {
    const READ: u32 = 0;
    irql::expect(irql::APC, "MmProbeAndLockPages");
    let (address, count) = described(mdl);
    // each page is touched, so that one that is not there raises
    for offset in (0..count as usize).step_by(PAGE) {
        let byte = address.add(offset);
        let value = byte.read();
        if operation != READ {
            byte.write(value);
        }
    }
    let flags = member!(mdl, Mdl, flags);
    flags.write(flags.read() | PAGES_LOCKED);
}

#[unsafe(no_mangle)]
pub extern "C" fn MmUnlockPages(mdl: Ptr<Mdl>) {
    let flags = member!(mdl, Mdl, flags);
    flags.write(flags.read() & !PAGES_LOCKED);
}

#[unsafe(no_mangle)]
pub extern "C" fn MmSizeOfMdl(_address: Ptr, _length: usize) -> usize {
    size_of::<Mdl>()
}

fn probe(address: usize, length: usize, alignment: u32) {
    irql::expect(irql::APC, "probing user memory");
    if length == 0 {
        return;
    }
    if !address.is_multiple_of(alignment.max(1) as usize) {
        seh::raise(status::DATATYPE_MISALIGNMENT.0);
    }
    let end = address.checked_add(length);
    if address < LOWEST_USER || end.is_none_or(|end| end > HIGHEST_USER) {
        seh::raise(status::ACCESS_VIOLATION.0);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ProbeForRead(address: Ptr, length: usize, alignment: u32) {
    probe(address.address(), length, alignment);
}

#[unsafe(no_mangle)]
pub extern "C" fn ProbeForWrite(address: Ptr<u8>, length: usize, alignment: u32) {
    probe(address.address(), length, alignment);
    for offset in (0..length).step_by(PAGE) {
        let byte = address.add(offset);
        byte.write(byte.read());
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn MmIsAddressValid(address: Ptr) -> Boolean {
    let page = address.address() & !(PAGE - 1);
    heap::is_mapped(page, PAGE).into()
}

/// `EX_RUNDOWN_REF`: twice the number of users, plus one when no more are let in.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Rundown {
    count: usize,
}

const ENDING: usize = 1;
const USER: usize = 2;

#[unsafe(no_mangle)]
pub extern "C" fn ExInitializeRundownProtection(rundown: Ptr<Rundown>) {
    rundown.write(Rundown::default());
}

#[unsafe(no_mangle)]
pub extern "C" fn ExReInitializeRundownProtection(rundown: Ptr<Rundown>) {
    rundown.write(Rundown::default());
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAcquireRundownProtectionEx(rundown: Ptr<Rundown>, users: u32) -> Boolean {
    dispatcher::change(rundown.address(), || {
        let now = rundown.read().count;
        if now & ENDING != 0 {
            return 0;
        }
        rundown.write(Rundown { count: now + USER * users as usize });
        1
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAcquireRundownProtection(rundown: Ptr<Rundown>) -> Boolean {
    ExAcquireRundownProtectionEx(rundown, 1)
}

#[unsafe(no_mangle)]
pub extern "C" fn ExReleaseRundownProtectionEx(rundown: Ptr<Rundown>, users: u32) {
    dispatcher::change(rundown.address(), || {
        let now = rundown.read().count;
        rundown.write(Rundown { count: now.saturating_sub(USER * users as usize) });
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn ExReleaseRundownProtection(rundown: Ptr<Rundown>) {
    ExReleaseRundownProtectionEx(rundown, 1);
}

#[unsafe(no_mangle)]
pub extern "C" fn ExRundownCompleted(rundown: Ptr<Rundown>) {
    rundown.write(Rundown { count: ENDING });
}

#[unsafe(no_mangle)]
pub extern "C" fn ExWaitForRundownProtectionRelease(rundown: Ptr<Rundown>) {
    dispatcher::change(rundown.address(), || rundown.write(Rundown { count: rundown.read().count | ENDING }));
    dispatcher::wait(&[rundown.address()], None, || (rundown.read().count == ENDING).then_some(()));
}

#[unsafe(no_mangle)]
pub extern "C" fn KeSaveFloatingPointState(_state: Ptr) -> Status {
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn KeRestoreFloatingPointState(_state: Ptr) -> Status {
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn KeSaveExtendedProcessorState(_mask: u64, _state: Ptr) -> Status {
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn KeRestoreExtendedProcessorState(_state: Ptr) {}

#[unsafe(no_mangle)]
pub extern "C" fn ExGetPreviousMode() -> i8 {
    0
}
