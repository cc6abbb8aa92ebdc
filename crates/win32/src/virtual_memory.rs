//! Pages: VirtualAlloc and its family.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Mutex;

use abi::{Error, pointer};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use sys::fork::PerProcess;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::last_error::{or, succeeds};
use crate::section;
use crate::sync::lock;

const MEM_COMMIT: u32 = 0x1000;
const MEM_RESERVE: u32 = 0x2000;
const MEM_DECOMMIT: u32 = 0x4000;
const MEM_RELEASE: u32 = 0x8000;
const MEM_FREE: u32 = 0x1_0000;
const MEM_PRIVATE: u32 = 0x2_0000;
const MEM_MAPPED: u32 = 0x4_0000;
const MEM_IMAGE: u32 = 0x0100_0000;
const MEM_TOP_DOWN: u32 = 0x10_0000;
/// Where reservations begin.
const GRANULARITY: usize = 0x1_0000;

/// The protections of Windows, and what the kernel is told.
const PROTECTIONS: [(u32, MprotectFlags); 7] = [
    (0x01, MprotectFlags::empty()),
    (0x02, MprotectFlags::READ),
    (0x04, MprotectFlags::READ.union(MprotectFlags::WRITE)),
    (0x08, MprotectFlags::READ.union(MprotectFlags::WRITE)),
    (0x10, MprotectFlags::EXEC),
    (0x20, MprotectFlags::READ.union(MprotectFlags::EXEC)),
    (0x40, MprotectFlags::READ.union(MprotectFlags::WRITE).union(MprotectFlags::EXEC)),
];

fn protection(protect: u32) -> Result<MprotectFlags, Error> {
    // the modifiers (guard pages, caching) say nothing here
    let known = PROTECTIONS.iter().find(|(theirs, _)| *theirs == protect & 0xFF);
    known.map(|(_, ours)| *ours).ok_or(Error::INVALID_PARAMETER)
}

/// What VirtualAlloc has reserved, by its address: how long it is, and the protection that it was made with.
fn reservations() -> &'static Mutex<BTreeMap<usize, (usize, u32)>> {
    static RESERVATIONS: PerProcess<Mutex<BTreeMap<usize, (usize, u32)>>> = PerProcess::new();
    RESERVATIONS.get(Mutex::default)
}

/// The reservation that an address lies in.
fn reservation(address: usize) -> Option<(usize, usize, u32)> {
    let reservations = lock(reservations());
    let (&begin, &(len, protect)) = reservations.range(..=address).next_back()?;
    (address - begin < len).then_some((begin, len, protect))
}

/// The pages that a range touches.
fn pages(address: usize, len: usize) -> Result<(usize, usize), Error> {
    let page = rustix::param::page_size();
    let begin = address & !(page - 1);
    let end = address.checked_add(len).and_then(|end| end.checked_next_multiple_of(page));
    Ok((begin, end.ok_or(Error::INVALID_PARAMETER)? - begin))
}

fn reserve(len: usize) -> Result<usize, Error> {
    let whole = len.checked_add(GRANULARITY).ok_or(Error::NOT_ENOUGH_MEMORY)?;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let at = unsafe { mmap_anonymous(null_mut(), whole, ProtFlags::empty(), MapFlags::PRIVATE | MapFlags::NORESERVE) };
    let at = at.map_err(|_| Error::NOT_ENOUGH_MEMORY)? as usize;
    let begin = at.next_multiple_of(GRANULARITY);
    for (from, to) in [(at, begin), (begin + len, at + whole)] {
        if from != to {
            // SAFETY: a part of the mapping just made, which no other thread has seen.
            let _ = unsafe { munmap(from as *mut c_void, to - from) };
        }
    }
    Ok(begin)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn VirtualAlloc(address: *mut c_void, len: usize, kind: u32, protect: u32) -> *mut c_void {
    or(null_mut(), || {
        let allowed = protection(protect)?;
        if len == 0 || kind & !(MEM_COMMIT | MEM_RESERVE | MEM_TOP_DOWN) != 0 || kind & (MEM_COMMIT | MEM_RESERVE) == 0
        {
            return Err(Error::INVALID_PARAMETER);
        }
        if !address.is_null() {
            // to reserve at an address of the program's choice is not for port clients
            if kind & MEM_RESERVE != 0 {
                return Err(Error::INVALID_ADDRESS);
            }
            let (begin, len) = pages(address as usize, len)?;
            within_reservation(begin, len)?;
            // SAFETY: within a reservation of the program's.
            unsafe { mprotect(begin as *mut c_void, len, allowed) }.map_err(|_| Error::COMMITMENT_LIMIT)?;
            return Ok(begin as *mut c_void);
        }
        let (_, len) = pages(0, len)?;
        let begin = reserve(len)?;
        if kind & MEM_COMMIT != 0 {
            // SAFETY: the reservation just made.
            unsafe { mprotect(begin as *mut c_void, len, allowed) }.map_err(|_| Error::COMMITMENT_LIMIT)?;
        }
        lock(reservations()).insert(begin, (len, protect));
        Ok(begin as *mut c_void)
    })
}

fn within_reservation(begin: usize, len: usize) -> Result<(), Error> {
    let (base, whole, _) = reservation(begin).ok_or(Error::INVALID_ADDRESS)?;
    if begin + len <= base + whole { Ok(()) } else { Err(Error::INVALID_ADDRESS) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn VirtualFree(address: *mut c_void, len: usize, kind: u32) -> i32 {
    succeeds(|| match kind {
        MEM_RELEASE if len != 0 => Err(Error::INVALID_PARAMETER),
        MEM_RELEASE => {
            let (len, _) = lock(reservations()).remove(&(address as usize)).ok_or(Error::INVALID_ADDRESS)?;
            // SAFETY: a reservation of the program's, which gives it back.
            unsafe { munmap(address, len) }.map_err(std::io::Error::from)?;
            Ok(())
        }
        MEM_DECOMMIT => {
            let (base, whole, _) = reservation(address as usize).ok_or(Error::INVALID_ADDRESS)?;
            let (begin, len) = if len == 0 { (base, whole) } else { pages(address as usize, len)? };
            within_reservation(begin, len)?;
            let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
            // SAFETY: in place of pages of the program's, which gives them back.
            unsafe { mmap_anonymous(begin as *mut c_void, len, ProtFlags::empty(), flags) }
                .map_err(std::io::Error::from)?;
            Ok(())
        }
        _ => Err(Error::INVALID_PARAMETER),
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn VirtualProtect(address: *mut c_void, len: usize, protect: u32, before: *mut u32) -> i32 {
    succeeds(|| {
        let allowed = protection(protect)?;
        let region =
            region(address as usize).filter(|region| region.state == MEM_COMMIT).ok_or(Error::INVALID_ADDRESS)?;
        // SAFETY: the program wants the old protection there.
        unsafe { pointer::write(before, &region.protect) }?;
        let (begin, len) = pages(address as usize, len)?;
        // SAFETY: pages of the program's, which changes them.
        unsafe { mprotect(begin as *mut c_void, len, allowed) }.map_err(|_| Error::INVALID_ADDRESS)?;
        Ok(())
    })
}

/// MEMORY_BASIC_INFORMATION.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Region {
    base: usize,
    allocation_base: usize,
    allocation_protect: u32,
    partition: u32,
    len: usize,
    state: u32,
    protect: u32,
    kind: u32,
    padding: u32,
}

#[unsafe(no_mangle)]
unsafe extern "C" fn VirtualQuery(address: *const c_void, information: *mut Region, len: usize) -> usize {
    or(0, || {
        // ERROR_BAD_LENGTH
        if len < size_of::<Region>() {
            return Err(Error(24));
        }
        let region = region(address as usize).ok_or(Error::INVALID_PARAMETER)?;
        // SAFETY: the program wants the region there.
        unsafe { pointer::write(information, &region) }?;
        Ok(size_of::<Region>())
    })
}

/// What lies at an address, as far as it is the same: the kernel's list tells.
fn region(address: usize) -> Option<Region> {
    let address = address & !(rustix::param::page_size() - 1);
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let mappings: Vec<Mapping<'_>> = maps.lines().filter_map(Mapping::parse).collect();
    let mut before = 0;
    for mapping in &mappings {
        if address < mapping.begin {
            return Some(free(before, mapping.begin, address));
        }
        if address < mapping.end {
            return Some(mapping.region(address, mapping.kind(&mappings)));
        }
        before = mapping.end;
    }
    // beyond the user's half of memory there is nothing to tell
    const END: usize = 1 << 47;
    (address < END).then(|| free(before, END, address))
}

fn free(from: usize, to: usize, address: usize) -> Region {
    debug_assert!(from <= address);
    Region {
        base: address,
        allocation_base: 0,
        allocation_protect: 0,
        partition: 0,
        len: to - address,
        state: MEM_FREE,
        protect: 1,
        kind: 0,
        padding: 0,
    }
}

/// A line of /proc/self/maps.
struct Mapping<'a> {
    begin: usize,
    end: usize,
    protect: u32,
    executable: bool,
    /// The file, or memory of several processes, by device and inode.
    file: Option<(&'a str, &'a str)>,
}

impl<'a> Mapping<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let (begin, end) = fields.next()?.split_once('-')?;
        let rights = fields.next()?;
        let (device, inode) = (fields.nth(1)?, fields.next()?);
        let has = |right| rights.contains(right);
        let protect = match (has('r'), has('w'), has('x')) {
            (false, false, false) => 0x01,
            (true, false, false) => 0x02,
            (_, true, false) => 0x04,
            (false, false, true) => 0x10,
            (true, false, true) => 0x20,
            (_, true, true) => 0x40,
        };
        let number = |text| usize::from_str_radix(text, 16).ok();
        let file = (inode != "0").then_some((device, inode));
        Some(Self { begin: number(begin)?, end: number(end)?, protect, executable: has('x'), file })
    }

    /// A file of which a part is executed is a program or a library.
    fn kind(&self, all: &[Self]) -> u32 {
        match self.file {
            None => MEM_PRIVATE,
            file if all.iter().any(|other| other.file == file && other.executable) => MEM_IMAGE,
            _ => MEM_MAPPED,
        }
    }

    /// The part from `address` on that is of one allocation: neighbours of one kind are one line to the kernel.
    fn region(&self, address: usize, kind: u32) -> Region {
        let reservation = reservation(address);
        let view = section::view(address).map(|(begin, len)| (begin, len, self.protect));
        let (base, len, protect) = reservation.or(view).unwrap_or((self.begin, self.end - self.begin, self.protect));
        let page = rustix::param::page_size();
        let end = (base + len).next_multiple_of(page).min(self.end);
        let reserved = reservation.is_some() && self.protect == 0x01;
        Region {
            base: address,
            allocation_base: base,
            allocation_protect: protect,
            partition: 0,
            len: end - address,
            state: if reserved { MEM_RESERVE } else { MEM_COMMIT },
            protect: if reserved { 0 } else { self.protect },
            kind,
            padding: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READWRITE: u32 = 4;

    #[test]
    #[allow(clippy::multiple_unsafe_ops_per_block)] // one piece of memory, from its beginning to its end
    fn memory_is_reserved_committed_and_released() {
        // SAFETY: memory of the test's.
        unsafe {
            let at = VirtualAlloc(null_mut(), 0x5000, MEM_RESERVE, READWRITE);
            assert!(!at.is_null() && (at as usize).is_multiple_of(GRANULARITY));
            let region = region(at as usize).unwrap();
            assert_eq!((region.state, region.len, region.allocation_base), (MEM_RESERVE, 0x5000, at as usize));
            let second = at.byte_add(0x1000);
            assert_eq!(VirtualAlloc(second, 1, MEM_COMMIT, READWRITE), second);
            second.cast::<u8>().write(7);
            let committed = super::region(second as usize).unwrap();
            assert_eq!((committed.state, committed.protect, committed.len), (MEM_COMMIT, READWRITE, 0x1000));
            assert_eq!(VirtualFree(second, 0x1000, MEM_DECOMMIT), 1);
            assert_eq!(VirtualAlloc(second, 1, MEM_COMMIT, READWRITE), second);
            assert_eq!(second.cast::<u8>().read(), 0);
            assert_eq!(VirtualFree(second, 0, MEM_RELEASE), 0);
            assert_eq!(VirtualFree(at, 1, MEM_RELEASE), 0);
            assert_eq!(VirtualFree(at, 0, MEM_RELEASE), 1);
            assert_eq!(VirtualFree(at, 0, MEM_RELEASE), 0);
            assert_eq!(super::region(0).unwrap().state, MEM_FREE);
        }
    }
}
