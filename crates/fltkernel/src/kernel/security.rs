//! Security identifiers and descriptors, as the structures of Windows.

use proto::access::AccessMask;
use proto::descriptor::{Ace, AceFlags, AceKind, Acl as List, Control, SecurityDescriptor};
use proto::sid::Sid;

use super::pool::{self, Kind, Owner, Request};
use super::report::{self, Rule};
use crate::edge::{Ptr, member};
use crate::nt::Boolean;
use crate::nt::status::{self, Status};

/// `SECURITY_DESCRIPTOR`, the absolute form.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Absolute {
    revision: u8,
    reserved: u8,
    control: u16,
    owner: Ptr<u8>,
    group: Ptr<u8>,
    sacl: Ptr<u8>,
    dacl: Ptr<u8>,
}

/// `ACL`, without its entries.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct Acl {
    revision: u8,
    reserved: u8,
    size: u16,
    count: u16,
    reserved2: u16,
}

const DACL_PRESENT: u16 = 0x0004;
const SACL_PRESENT: u16 = 0x0010;
const SELF_RELATIVE: u16 = 0x8000;
const ACL_REVISION: u8 = 2;
/// The tag of what `FltBuildDefaultSecurityDescriptor` allocates.
const TAG: u32 = u32::from_le_bytes(*b"FMsd");
/// A SID of this many bytes plus four for each part.
const SID_HEAD: usize = 8;

fn sid_length(sid: Ptr<u8>) -> usize {
    SID_HEAD + 4 * usize::from(sid.add(1).read())
}

fn sid_bytes(sid: Ptr<u8>) -> Vec<u8> {
    sid.read_many(sid_length(sid))
}

/// The list that a descriptor of ours has, as bytes.
fn acl_bytes(entries: &[Ace]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for ace in entries {
        let sid = ace.sid.to_bytes();
        bytes.extend([ace.kind as u8, ace.flags.bits()]);
        bytes.extend(((8 + sid.len()) as u16).to_le_bytes());
        bytes.extend(ace.mask.bits().to_le_bytes());
        bytes.extend(sid);
    }
    let size = size_of::<Acl>() + bytes.len();
    let mut whole = vec![ACL_REVISION, 0];
    whole.extend((size as u16).to_le_bytes());
    whole.extend((entries.len() as u16).to_le_bytes());
    whole.extend([0, 0]);
    whole.extend(bytes);
    whole
}

/// What an absolute descriptor of a driver says.
///
/// # Errors
/// It is none, or its list has entries that are not understood.
pub fn read(descriptor: Ptr<Absolute>) -> Result<SecurityDescriptor, Status> {
    let d = descriptor.read();
    if d.revision != 1 {
        return Err(status::UNKNOWN_REVISION);
    }
    if d.control & SELF_RELATIVE != 0 {
        return Err(status::INVALID_SECURITY_DESCR);
    }
    let sid = |sid: Ptr<u8>| {
        sid.some().map(|sid| Sid::from_bytes(&sid_bytes(sid)).map_err(|_| status::INVALID_SID)).transpose()
    };
    let list = |present: u16, list: Ptr<u8>| -> Result<List, Status> {
        Ok(match (d.control & present != 0, list.is_null()) {
            (false, _) => List::Absent,
            (true, true) => List::Null,
            (true, false) => List::List(entries(list)?),
        })
    };
    let (dacl, sacl) = (list(DACL_PRESENT, d.dacl)?, list(SACL_PRESENT, d.sacl)?);
    Ok(SecurityDescriptor { owner: sid(d.owner)?, group: sid(d.group)?, dacl, sacl, control: Control::empty() })
}

fn entries(list: Ptr<u8>) -> Result<Vec<Ace>, Status> {
    let head = list.cast::<Acl>().read();
    let mut at = list.add(size_of::<Acl>());
    let mut all = Vec::new();
    for _ in 0..head.count {
        let kind = match at.read() {
            0 => AceKind::Allow,
            1 => AceKind::Deny,
            2 => AceKind::Audit,
            3 => AceKind::Alarm,
            0x11 => AceKind::Label,
            _ => return Err(status::INVALID_ACL),
        };
        let flags = AceFlags::from_bits_retain(at.add(1).read());
        let size = at.add(2).cast::<u16>().read();
        let mask = AccessMask::from_bits_retain(at.add(4).cast::<u32>().read());
        let sid = Sid::from_bytes(&sid_bytes(at.add(8))).map_err(|_| status::INVALID_SID)?;
        all.push(Ace { kind, flags, mask, sid });
        at = at.add(size.into());
    }
    Ok(all)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltBuildDefaultSecurityDescriptor(result: Ptr<Ptr<Absolute>>, access: u32) -> Status {
    let ours = SecurityDescriptor::default_for(AccessMask::from_bits_retain(access));
    let list = acl_bytes(ours.entries().unwrap_or(&[]));
    let size = size_of::<Absolute>() + list.len();
    let block = pool::allocate(Request { owner: Owner::Security, ..Request::new(Kind::Paged, size, TAG) });
    if block.is_null() {
        return status::INSUFFICIENT_RESOURCES;
    }
    let descriptor: Ptr<Absolute> = block.cast();
    let dacl: Ptr<u8> = descriptor.add(1).cast();
    dacl.write_many(&list);
    descriptor.write(Absolute { revision: 1, control: DACL_PRESENT, dacl, ..Absolute::default() });
    result.write(descriptor);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltFreeSecurityDescriptor(descriptor: Ptr) {
    pool::free_owned(descriptor, None, Owner::Security);
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlCreateSecurityDescriptor(descriptor: Ptr<Absolute>, revision: u32) -> Status {
    if revision != 1 {
        return status::UNKNOWN_REVISION;
    }
    descriptor.write(Absolute { revision: 1, ..Absolute::default() });
    status::SUCCESS
}

/// Changes one part of an absolute descriptor.
fn change(descriptor: Ptr<Absolute>, change: impl FnOnce(&mut Absolute)) -> Status {
    let mut d = descriptor.read();
    if d.revision != 1 {
        return status::UNKNOWN_REVISION;
    }
    if d.control & SELF_RELATIVE != 0 {
        return status::INVALID_SECURITY_DESCR;
    }
    change(&mut d);
    descriptor.write(d);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlSetDaclSecurityDescriptor(
    descriptor: Ptr<Absolute>,
    present: Boolean,
    dacl: Ptr<u8>,
    _default: Boolean,
) -> Status {
    if present != 0 && dacl.is_null() {
        report::find(Rule::NullDacl, "a descriptor with a NULL list of entries: every local user may connect");
    }
    change(descriptor, |d| {
        d.control = if present != 0 { d.control | DACL_PRESENT } else { d.control & !DACL_PRESENT };
        d.dacl = if present != 0 { dacl } else { Ptr::NULL };
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlSetOwnerSecurityDescriptor(
    descriptor: Ptr<Absolute>,
    owner: Ptr<u8>,
    _default: Boolean,
) -> Status {
    change(descriptor, |d| d.owner = owner)
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlSetGroupSecurityDescriptor(
    descriptor: Ptr<Absolute>,
    group: Ptr<u8>,
    _default: Boolean,
) -> Status {
    change(descriptor, |d| d.group = group)
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlGetDaclSecurityDescriptor(
    descriptor: Ptr<Absolute>,
    present: Ptr<Boolean>,
    dacl: Ptr<Ptr<u8>>,
    default: Ptr<Boolean>,
) -> Status {
    let d = descriptor.read();
    present.write((d.control & DACL_PRESENT != 0).into());
    dacl.write_some(d.dacl);
    default.write_some(0);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlValidSecurityDescriptor(descriptor: Ptr<Absolute>) -> Boolean {
    (!descriptor.is_null() && read(descriptor).is_ok()).into()
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlLengthSecurityDescriptor(descriptor: Ptr<Absolute>) -> u32 {
    let d = descriptor.read();
    let sids = [d.owner, d.group].iter().filter_map(|sid| sid.some()).map(sid_length).sum::<usize>();
    let list = d.dacl.some().map_or(0, |dacl| dacl.cast::<Acl>().read().size.into());
    (size_of::<Absolute>() + sids + list) as u32
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlCreateAcl(acl: Ptr<u8>, size: u32, revision: u32) -> Status {
    if (size as usize) < size_of::<Acl>() {
        return status::BUFFER_TOO_SMALL;
    }
    if size > 0xFFFC || !(2..=4).contains(&revision) {
        return status::INVALID_PARAMETER;
    }
    acl.cast().write(Acl { revision: revision as u8, size: (size & !3) as u16, ..Acl::default() });
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlAddAccessAllowedAce(acl: Ptr<u8>, _revision: u32, access: u32, sid: Ptr<u8>) -> Status {
    let head = acl.cast::<Acl>().read();
    let mut end = acl.add(size_of::<Acl>());
    for _ in 0..head.count {
        end = end.add(end.add(2).cast::<u16>().read().into());
    }
    let sid = sid_bytes(sid);
    let size = 8 + sid.len();
    if end.address() + size > acl.address() + usize::from(head.size) {
        return Status(0xC000_0099); // STATUS_ALLOTTED_SPACE_EXCEEDED
    }
    end.write_many(&[0, 0]);
    end.add(2).cast().write(size as u16);
    end.add(4).cast().write(access);
    end.add(8).write_many(&sid);
    member!(acl.cast::<Acl>(), Acl, count).write(head.count + 1);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlLengthSid(sid: Ptr<u8>) -> u32 {
    sid_length(sid) as u32
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlLengthRequiredSid(parts: u32) -> u32 {
    (SID_HEAD + 4 * parts as usize) as u32
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlValidSid(sid: Ptr<u8>) -> Boolean {
    (!sid.is_null() && sid.read() == 1 && sid.add(1).read() <= 15).into()
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlEqualSid(a: Ptr<u8>, b: Ptr<u8>) -> Boolean {
    (sid_bytes(a) == sid_bytes(b)).into()
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlCopySid(room: u32, to: Ptr<u8>, from: Ptr<u8>) -> Status {
    if sid_length(from) > room as usize {
        return status::BUFFER_TOO_SMALL;
    }
    to.write_many(&sid_bytes(from));
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlInitializeSid(sid: Ptr<u8>, authority: Ptr<[u8; 6]>, parts: u8) -> Status {
    if parts > 15 {
        return status::INVALID_PARAMETER;
    }
    sid.write_many(&[1, parts]);
    sid.add(2).cast().write(authority.read());
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlSubAuthoritySid(sid: Ptr<u8>, part: u32) -> Ptr<u32> {
    sid.add(SID_HEAD).cast::<u32>().add(part as usize)
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlSubAuthorityCountSid(sid: Ptr<u8>) -> Ptr<u8> {
    sid.add(1)
}
