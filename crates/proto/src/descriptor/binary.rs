//! The self-relative form: a header of 20 bytes with offsets to owner, group and the two lists.
//!
//! What is read comes from anywhere, so nothing in it is believed: each length is checked against the bytes that are
//! there.
use super::{Ace, AceFlags, AceKind, Acl, AclKind, Control, SecurityDescriptor};
use crate::integrity::Integrity;
use crate::mask::AccessMask;
use crate::sid::{Sid, SidError};
use crate::status::Status;
use std::fmt;

const DACL_PRESENT: u16 = 0x0004;
const SACL_PRESENT: u16 = 0x0010;
const SELF_RELATIVE: u16 = 0x8000;

const HEADER_LEN: usize = 20;
const LIST_HEADER_LEN: usize = 8;
const REVISION: u8 = 1;
const LIST_REVISION: u8 = 2;
/// The revision of lists that may have entries about parts of an object. Those are refused one by one.
const LIST_REVISION_OBJECT: u8 = 4;

/// The longest list that the binary form can hold, in bytes of all its entries: its size is written in 16 bits.
pub const MAX_LIST_LEN: usize = u16::MAX as usize - LIST_HEADER_LEN;

/// Bytes that are no descriptor, or a descriptor that fits no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DescriptorError {
    /// The named part needs more bytes than there are.
    Truncated(&'static str),
    /// The revision of the descriptor is not 1.
    Revision(u8),
    /// The revision of the list is neither 2 nor 4.
    ListRevision(u8),
    /// It has pointers instead of offsets: the absolute form, which means nothing outside its process.
    NotSelfRelative,
    /// Owner, group or an entry has no valid SID.
    Sid(&'static str, SidError),
    /// The entry of this index is of a kind that is not supported in this list.
    Kind {
        /// Which list.
        list: AclKind,
        /// Which entry, from 0.
        index: usize,
        /// Its type byte.
        kind: u8,
    },
    /// The size of the entry of this index is too small or no multiple of four.
    EntrySize {
        /// Which entry, from 0.
        index: usize,
        /// The size it states, in bytes.
        size: u16,
    },
    /// The label of this index has a SID that is no level of integrity.
    Label {
        /// Which entry, from 0.
        index: usize,
        /// The SID it has.
        sid: Sid,
    },
    /// The list would need this many bytes for its entries, more than [`MAX_LIST_LEN`].
    ListTooLong(usize),
}

impl SecurityDescriptor {
    /// Reads a descriptor in self-relative form. Bytes between and behind its parts are allowed, as on Windows. Flags
    /// that only tell how a part came about (`SE_OWNER_DEFAULTED` and its like) are dropped.
    ///
    /// # Errors
    /// Anything else than a descriptor that this type can hold: entries of other kinds are refused by name.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DescriptorError> {
        let &[revision, _, c0, c1, o0, o1, o2, o3, g0, g1, g2, g3, s0, s1, s2, s3, d0, d1, d2, d3] =
            bytes.first_chunk::<HEADER_LEN>().ok_or(DescriptorError::Truncated("the header"))?;
        let (owner, group, sacl, dacl) = ([o0, o1, o2, o3], [g0, g1, g2, g3], [s0, s1, s2, s3], [d0, d1, d2, d3]);
        let control = u16::from_le_bytes([c0, c1]);
        if revision != REVISION {
            return Err(DescriptorError::Revision(revision));
        }
        if control & SELF_RELATIVE == 0 {
            return Err(DescriptorError::NotSelfRelative);
        }
        let dacl = read_acl(bytes, control & DACL_PRESENT != 0, dacl, AclKind::Dacl)?;
        let sacl = read_acl(bytes, control & SACL_PRESENT != 0, sacl, AclKind::Sacl)?;
        Ok(Self {
            owner: read_sid(bytes, owner, "the owner")?,
            group: read_sid(bytes, group, "the group")?,
            control: control_of(Control::from_bits_truncate(control), &dacl, &sacl),
            dacl,
            sacl,
        })
    }

    /// The self-relative form in the order of Windows: header, label and audit, rights, owner, group.
    ///
    /// # Errors
    /// [`DescriptorError::ListTooLong`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, DescriptorError> {
        let mut parts = Vec::new();
        let mut offset_of = |part: Option<Vec<u8>>| {
            part.map_or(0, |part| {
                // two lists of up to 64 KiB and two SIDs
                let offset = u32::try_from(HEADER_LEN + parts.len()).unwrap_or(u32::MAX);
                parts.extend(part);
                offset
            })
        };
        let sacl = offset_of(self.sacl.entries().map(write_list).transpose()?);
        let dacl = offset_of(self.dacl.entries().map(write_list).transpose()?);
        let owner = offset_of(self.owner.map(|sid| sid.to_bytes()));
        let group = offset_of(self.group.map(|sid| sid.to_bytes()));
        let mut control = SELF_RELATIVE | control_of(self.control, &self.dacl, &self.sacl).bits();
        for (acl, present) in [(&self.dacl, DACL_PRESENT), (&self.sacl, SACL_PRESENT)] {
            control |= if *acl == Acl::Absent { 0 } else { present };
        }
        let mut bytes = Vec::with_capacity(HEADER_LEN + parts.len());
        bytes.extend([REVISION, 0]);
        bytes.extend(control.to_le_bytes());
        bytes.extend([owner, group, sacl, dacl].into_iter().flat_map(u32::to_le_bytes));
        bytes.extend(parts);
        Ok(bytes)
    }
}

/// The flags that mean something: those of lists that are there.
fn control_of(control: Control, dacl: &Acl, sacl: &Acl) -> Control {
    let of = |acl: &Acl, kind: AclKind| if *acl == Acl::Absent { Control::empty() } else { kind.control() };
    control.intersection(of(dacl, AclKind::Dacl) | of(sacl, AclKind::Sacl))
}

/// What stands at an offset of the header, to the end of the bytes; nothing for offset 0.
fn part<'a>(bytes: &'a [u8], offset: [u8; 4], what: &'static str) -> Result<Option<&'a [u8]>, DescriptorError> {
    match u32::from_le_bytes(offset) as usize {
        0 => Ok(None),
        offset => bytes.get(offset..).map(Some).ok_or(DescriptorError::Truncated(what)),
    }
}

fn read_sid(bytes: &[u8], offset: [u8; 4], what: &'static str) -> Result<Option<Sid>, DescriptorError> {
    let part = part(bytes, offset, what)?;
    part.map(Sid::from_bytes).transpose().map_err(|error| DescriptorError::Sid(what, error))
}

fn read_acl(bytes: &[u8], present: bool, offset: [u8; 4], kind: AclKind) -> Result<Acl, DescriptorError> {
    if !present {
        return Ok(Acl::Absent);
    }
    part(bytes, offset, kind.name())?.map_or(Ok(Acl::Null), |list| read_list(list, kind).map(Acl::List))
}

fn read_list(bytes: &[u8], list: AclKind) -> Result<Vec<Ace>, DescriptorError> {
    let truncated = DescriptorError::Truncated(list.name());
    let &[revision, _, a, b, c, d, ..] = bytes.first_chunk::<LIST_HEADER_LEN>().ok_or(truncated)?;
    if ![LIST_REVISION, LIST_REVISION_OBJECT].contains(&revision) {
        return Err(DescriptorError::ListRevision(revision));
    }
    let (size, count) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
    let mut rest = bytes.get(LIST_HEADER_LEN..usize::from(size)).ok_or(truncated)?;
    let mut entries = Vec::new();
    for index in 0..usize::from(count) {
        let (ace, after) = read_ace(rest, index, list)?;
        entries.push(ace);
        rest = after;
    }
    Ok(entries)
}

fn read_ace(bytes: &[u8], index: usize, list: AclKind) -> Result<(Ace, &[u8]), DescriptorError> {
    const WHAT: &str = "an entry";
    let (&[kind, flags, a, b], _) = bytes.split_first_chunk::<4>().ok_or(DescriptorError::Truncated(WHAT))?;
    const KINDS: [AceKind; 5] = [AceKind::Allow, AceKind::Deny, AceKind::Audit, AceKind::Alarm, AceKind::Label];
    let known = KINDS.into_iter().find(|known| *known as u8 == kind && known.list() == list);
    let kind = known.ok_or(DescriptorError::Kind { list, index, kind })?;
    let size = u16::from_le_bytes([a, b]);
    let (ace, after) = bytes.split_at_checked(usize::from(size)).ok_or(DescriptorError::Truncated(WHAT))?;
    let Some((&[_, _, _, _, m0, m1, m2, m3], sid)) = ace.split_first_chunk::<8>() else {
        return Err(DescriptorError::EntrySize { index, size });
    };
    if size % 4 != 0 {
        return Err(DescriptorError::EntrySize { index, size });
    }
    let sid = Sid::from_bytes(sid).map_err(|error| DescriptorError::Sid(WHAT, error))?;
    if kind == AceKind::Label && Integrity::of(&sid).is_none() {
        return Err(DescriptorError::Label { index, sid });
    }
    let mask = AccessMask::from_bits_retain(u32::from_le_bytes([m0, m1, m2, m3]));
    Ok((Ace { kind, flags: AceFlags::from_bits_retain(flags), mask, sid }, after))
}

fn write_list(entries: &[Ace]) -> Result<Vec<u8>, DescriptorError> {
    let len: usize = entries.iter().map(Ace::len).sum();
    let number = |number: usize| u16::try_from(number).map_err(|_| DescriptorError::ListTooLong(len));
    let size = number(LIST_HEADER_LEN + len)?;
    let count = number(entries.len())?;
    let mut bytes = vec![LIST_REVISION, 0];
    bytes.extend(size.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend([0, 0]);
    for ace in entries {
        bytes.extend([ace.kind as u8, ace.flags.bits()]);
        bytes.extend(number(ace.len())?.to_le_bytes());
        bytes.extend(ace.mask.bits().to_le_bytes());
        bytes.extend(ace.sid.to_bytes());
    }
    Ok(bytes)
}

/// What Windows calls the kinds of entries.
fn kind_name(kind: u8) -> &'static str {
    match kind {
        0x00 => "allow",
        0x01 => "deny",
        0x02 => "audit",
        0x03 => "alarm",
        0x04 => "compound",
        0x05 => "object allow",
        0x06 => "object deny",
        0x07 => "object audit",
        0x08 => "object alarm",
        0x09 => "callback (conditional) allow",
        0x0A => "callback (conditional) deny",
        0x0B => "callback object allow",
        0x0C => "callback object deny",
        0x0D => "callback (conditional) audit",
        0x0E => "callback alarm",
        0x0F => "callback object audit",
        0x10 => "callback object alarm",
        0x11 => "mandatory label",
        0x12 => "resource attribute",
        0x13 => "scoped policy",
        0x14 => "process trust label",
        0x15 => "access filter",
        _ => "unknown",
    }
}

impl fmt::Display for DescriptorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated(what) => write!(f, "{what} reaches past the end of the security descriptor"),
            Self::Revision(found) => write!(f, "a security descriptor of revision {found}, only 1 is known"),
            Self::ListRevision(found) => {
                write!(f, "an access control list of revision {found}, only 2 and 4 are known")
            }
            Self::NotSelfRelative => f.write_str("the security descriptor is not in self-relative form"),
            Self::Sid(what, error) => write!(f, "{what}: {error}"),
            Self::Kind { list, index, kind } => write!(
                f,
                "entry {index} of {} is of kind {kind:#04x} ({}): only {} entries are supported there",
                list.name(),
                kind_name(kind),
                match list {
                    AclKind::Dacl => "allow and deny",
                    AclKind::Sacl => "label, audit and alarm",
                }
            ),
            Self::Label { index, sid } => {
                write!(f, "entry {index} is a mandatory label of {sid}, which is no level of integrity (S-1-16-NUMBER)")
            }
            Self::EntrySize { index, size } => write!(f, "entry {index} states an impossible size of {size} bytes"),
            Self::ListTooLong(len) => {
                write!(f, "the access control list needs {len} bytes, at most {MAX_LIST_LEN} are possible: use a group")
            }
        }
    }
}

impl std::error::Error for DescriptorError {}

impl From<DescriptorError> for Status {
    fn from(error: DescriptorError) -> Self {
        match error {
            DescriptorError::Sid(..) | DescriptorError::Label { .. } => Self::INVALID_SID,
            DescriptorError::Kind { .. } => Self::NOT_SUPPORTED,
            DescriptorError::ListRevision(_) | DescriptorError::EntrySize { .. } | DescriptorError::ListTooLong(_) => {
                Self::INVALID_ACL
            }
            DescriptorError::Revision(_) => Self::UNKNOWN_REVISION,
            DescriptorError::Truncated(_) | DescriptorError::NotSelfRelative => Self::INVALID_SECURITY_DESCR,
        }
    }
}
