//! The self-relative form: a header of 20 bytes with offsets to owner, group and list.
//!
//! What is read comes from anywhere, so nothing in it is believed: each length is checked against the bytes that are
//! there.
use super::{Ace, AceFlags, AceKind, Control, Dacl, SecurityDescriptor};
use crate::access::AccessMask;
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
    /// Owner, group or an entry names nobody.
    Sid(&'static str, SidError),
    /// There is an audit list.
    Sacl,
    /// The entry of this index is of a kind that is not supported.
    Kind {
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
    /// The list would need this many bytes for its entries, more than [`MAX_LIST_LEN`].
    ListTooLong(usize),
}

impl SecurityDescriptor {
    /// Reads a descriptor in self-relative form. Bytes between and behind its parts are allowed, as on Windows. Flags
    /// that only tell how a part came about (`SE_OWNER_DEFAULTED` and its like) are dropped.
    ///
    /// # Errors
    /// Anything else than a descriptor that this type can hold: an audit list and entries of unknown kinds are refused
    /// by name.
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
        if control & SACL_PRESENT != 0 && part(bytes, sacl, "the audit list")?.is_some() {
            return Err(DescriptorError::Sacl);
        }
        let dacl = match control & DACL_PRESENT {
            0 => Dacl::Absent,
            _ => part(bytes, dacl, "the list of entries")?
                .map_or(Ok(Dacl::Null), |list| read_list(list).map(Dacl::List))?,
        };
        let control = match dacl {
            Dacl::Absent => Control::empty(),
            Dacl::Null | Dacl::List(_) => Control::from_bits_truncate(control),
        };
        Ok(Self {
            owner: read_sid(bytes, owner, "the owner")?,
            group: read_sid(bytes, group, "the group")?,
            dacl,
            control,
        })
    }

    /// The self-relative form: header, owner, group, list.
    ///
    /// # Errors
    /// [`DescriptorError::ListTooLong`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, DescriptorError> {
        let mut bytes = vec![0; HEADER_LEN];
        let mut offset_of = |part: &[u8]| {
            let offset = bytes.len() as u32;
            bytes.extend_from_slice(part);
            offset
        };
        let owner = self.owner.map_or(0, |sid| offset_of(&sid.to_bytes()));
        let group = self.group.map_or(0, |sid| offset_of(&sid.to_bytes()));
        let (control, dacl) = match &self.dacl {
            Dacl::Absent => (0, 0),
            Dacl::Null => (DACL_PRESENT | self.control.bits(), 0),
            Dacl::List(entries) => (DACL_PRESENT | self.control.bits(), offset_of(&write_list(entries)?)),
        };
        let control = control | SELF_RELATIVE;
        bytes[..4].copy_from_slice(&[REVISION, 0, control as u8, (control >> 8) as u8]);
        let no_audit_list = 0;
        for (place, offset) in bytes[4..HEADER_LEN].chunks_exact_mut(4).zip([owner, group, no_audit_list, dacl]) {
            place.copy_from_slice(&offset.to_le_bytes());
        }
        Ok(bytes)
    }
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

fn read_list(bytes: &[u8]) -> Result<Vec<Ace>, DescriptorError> {
    const WHAT: &str = "the list of entries";
    let &[revision, _, a, b, c, d, ..] =
        bytes.first_chunk::<LIST_HEADER_LEN>().ok_or(DescriptorError::Truncated(WHAT))?;
    if ![LIST_REVISION, LIST_REVISION_OBJECT].contains(&revision) {
        return Err(DescriptorError::ListRevision(revision));
    }
    let (size, count) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
    let mut rest = bytes.get(LIST_HEADER_LEN..usize::from(size)).ok_or(DescriptorError::Truncated(WHAT))?;
    let mut entries = Vec::new();
    for index in 0..usize::from(count) {
        let (ace, after) = read_ace(rest, index)?;
        entries.push(ace);
        rest = after;
    }
    Ok(entries)
}

fn read_ace(bytes: &[u8], index: usize) -> Result<(Ace, &[u8]), DescriptorError> {
    const WHAT: &str = "an entry";
    let (&[kind, flags, a, b], _) = bytes.split_first_chunk::<4>().ok_or(DescriptorError::Truncated(WHAT))?;
    let kind = match kind {
        0 => AceKind::Allow,
        1 => AceKind::Deny,
        kind => return Err(DescriptorError::Kind { index, kind }),
    };
    let size = u16::from_le_bytes([a, b]);
    let (ace, after) = bytes.split_at_checked(usize::from(size)).ok_or(DescriptorError::Truncated(WHAT))?;
    let Some((&[_, _, _, _, m0, m1, m2, m3], sid)) = ace.split_first_chunk::<8>() else {
        return Err(DescriptorError::EntrySize { index, size });
    };
    if size % 4 != 0 {
        return Err(DescriptorError::EntrySize { index, size });
    }
    let sid = Sid::from_bytes(sid).map_err(|error| DescriptorError::Sid(WHAT, error))?;
    let mask = AccessMask::from_bits_retain(u32::from_le_bytes([m0, m1, m2, m3]));
    Ok((Ace { kind, flags: AceFlags::from_bits_retain(flags), mask, sid }, after))
}

fn write_list(entries: &[Ace]) -> Result<Vec<u8>, DescriptorError> {
    let len: usize = entries.iter().map(Ace::len).sum();
    if len > MAX_LIST_LEN {
        return Err(DescriptorError::ListTooLong(len));
    }
    let size = (LIST_HEADER_LEN + len) as u16;
    // An entry has at least 16 bytes, so that the count fits where the size does.
    let count = entries.len() as u16;
    let mut bytes = vec![LIST_REVISION, 0];
    bytes.extend(size.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend([0, 0]);
    for ace in entries {
        bytes.extend([ace.kind as u8, ace.flags.bits()]);
        bytes.extend((ace.len() as u16).to_le_bytes());
        bytes.extend(ace.mask.bits().to_le_bytes());
        bytes.extend(ace.sid.to_bytes());
    }
    Ok(bytes)
}

/// What Windows calls the kinds of entries that are refused.
fn kind_name(kind: u8) -> &'static str {
    match kind {
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
            Self::Sacl => {
                f.write_str("the security descriptor has an audit list (SACL), which is not supported: leave it out")
            }
            Self::Kind { index, kind } => write!(
                f,
                "entry {index} is of kind {kind:#04x} ({}): only allow and deny entries are supported",
                kind_name(kind)
            ),
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
            DescriptorError::Sid(..) => Self::INVALID_SID,
            DescriptorError::Sacl | DescriptorError::Kind { .. } => Self::NOT_SUPPORTED,
            DescriptorError::ListRevision(_) | DescriptorError::EntrySize { .. } | DescriptorError::ListTooLong(_) => {
                Self::INVALID_ACL
            }
            DescriptorError::Revision(_) => Self::UNKNOWN_REVISION,
            DescriptorError::Truncated(_) | DescriptorError::NotSelfRelative => Self::INVALID_SECURITY_DESCR,
        }
    }
}
