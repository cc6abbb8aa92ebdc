//! Security descriptors: who owns an object and who may do what with it.
use crate::access::AccessMask;
use crate::sid::Sid;
use bitflags::bitflags;

mod binary;

pub use binary::{DescriptorError, MAX_LIST_LEN};

/// Owner, group and list of entries of an object.
///
/// Text in and out is SDDL (`parse`, `to_string`; `{:#}` writes Linux users and groups as `uid:1000`); binary in and
/// out is the self-relative form of Windows. There is no audit list: one that asks for something is refused by name,
/// because a port writes no audit.
///
/// It owns its memory: there is nothing to free, and a port keeps its own whatever becomes of the one it was made with
/// (spec: ports.md row 105).
///
/// The fields are public: who needs another form, for instance the absolute one of C, builds it from them, or a
/// descriptor by naming them.
///
/// ```
/// # use fltmgr_proto::descriptor::{Ace, Control, Dacl, SecurityDescriptor};
/// # use fltmgr_proto::{access::AccessMask, sid::Sid};
/// let descriptor = SecurityDescriptor {
///     owner: Some(Sid::SYSTEM),
///     group: None,
///     dacl: Dacl::List(vec![Ace::allow(Sid::from_uid(1000), AccessMask::PORT_ALL_ACCESS)]),
///     control: Control::PROTECTED,
/// };
/// assert_eq!(descriptor.to_string(), "O:SYD:P(A;;0x1f0001;;;S-1-22-1-1000)");
/// assert_eq!("O:SY D:P (A;;0x1f0001;;;uid:1000)".parse(), Ok(descriptor));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(alias = "SECURITY_DESCRIPTOR")]
#[doc(alias = "FltFreeSecurityDescriptor")]
#[doc(alias = "ConvertStringSecurityDescriptorToSecurityDescriptor")]
#[doc(alias = "ConvertSecurityDescriptorToStringSecurityDescriptor")]
pub struct SecurityDescriptor {
    /// May always read the descriptor and change the list of entries.
    pub owner: Option<Sid>,
    /// Kept, never looked at.
    pub group: Option<Sid>,
    /// The list of entries, or one of the two ways of not having one.
    pub dacl: Dacl,
    /// How the list behaves when lists are inherited: kept, never looked at. Means nothing for [`Dacl::Absent`] and is
    /// lost then.
    pub control: Control,
}

/// The discretionary access control list: three different things on Windows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(alias = "DACL")]
pub enum Dacl {
    /// There is none: everybody may do everything.
    Absent,
    /// There is one and it is NULL: everybody may do everything. In SDDL, `D:NO_ACCESS_CONTROL`.
    Null,
    /// Who is not granted a right here does not have it; an empty list admits nobody.
    List(Vec<Ace>),
}

/// An access control entry: grants rights to somebody, or denies them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "ACE")]
pub struct Ace {
    /// Allow or deny.
    pub kind: AceKind,
    /// Only [`AceFlags::INHERIT_ONLY`] matters to the check, the others are kept.
    pub flags: AceFlags,
    /// The rights; generic ones are mapped when they are checked.
    pub mask: AccessMask,
    /// Whom it is about.
    pub sid: Sid,
}

/// What an entry does. Windows knows 20 kinds; the others (object, callback, conditional, audit, …) are refused by
/// name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AceKind {
    /// Grants rights.
    #[doc(alias = "ACCESS_ALLOWED_ACE")]
    Allow = 0,
    /// Takes rights away that were not granted further up the list.
    #[doc(alias = "ACCESS_DENIED_ACE")]
    Deny = 1,
}

bitflags! {
    /// How an entry is inherited. A port has no children, so that all but [`AceFlags::INHERIT_ONLY`] are only kept.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct AceFlags: u8 {
        /// OI: for children that are no containers.
        const OBJECT_INHERIT = 0x01;
        /// CI: for children that are containers.
        const CONTAINER_INHERIT = 0x02;
        /// NP: not for children of children.
        const NO_PROPAGATE_INHERIT = 0x04;
        /// IO: only for children, not for this object: the check passes over the entry.
        const INHERIT_ONLY = 0x08;
        /// ID: this entry was inherited.
        const INHERITED = 0x10;
        /// CR: critical.
        const CRITICAL = 0x20;
        /// SA: audit success. Means nothing in a list of entries.
        const SUCCESSFUL_ACCESS = 0x40;
        /// FA: audit failure. Means nothing in a list of entries.
        const FAILED_ACCESS = 0x80;
    }

    /// How the list of entries behaves when lists are inherited, at its place in the binary control word.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[doc(alias = "SECURITY_DESCRIPTOR_CONTROL")]
    pub struct Control: u16 {
        /// AR: pass it on to existing children.
        #[doc(alias = "SE_DACL_AUTO_INHERIT_REQ")]
        const AUTO_INHERIT_REQ = 0x0100;
        /// AI: made by inheritance.
        #[doc(alias = "SE_DACL_AUTO_INHERITED")]
        const AUTO_INHERITED = 0x0400;
        /// P: the parent's entries do not come in.
        #[doc(alias = "SE_DACL_PROTECTED")]
        const PROTECTED = 0x1000;
    }
}

impl SecurityDescriptor {
    /// What a filter gives its port unless it has other wishes: `mask` for Administrators and SYSTEM, which is root
    /// here, and nothing for anybody else. The mask is not judged.
    ///
    /// A connection demands [`AccessMask::PORT_ALL_ACCESS`]: with less, this admits nobody.
    #[doc(alias = "FltBuildDefaultSecurityDescriptor")]
    pub fn default_for(mask: AccessMask) -> Self {
        Self::with_list(vec![Ace::allow(Sid::ADMINISTRATORS, mask), Ace::allow(Sid::SYSTEM, mask)])
    }

    /// Admits everybody: a list that is present and NULL, what `RtlSetDaclSecurityDescriptor(sd, TRUE, NULL, FALSE)`
    /// makes.
    #[doc(alias = "RtlSetDaclSecurityDescriptor")]
    pub fn null_dacl() -> Self {
        Self { owner: None, group: None, dacl: Dacl::Null, control: Control::empty() }
    }

    /// Admits nobody: a list without entries.
    pub fn empty_dacl() -> Self {
        Self::with_list(Vec::new())
    }

    /// A descriptor with this list and neither owner nor group.
    pub fn with_list(entries: Vec<Ace>) -> Self {
        Self { owner: None, group: None, dacl: Dacl::List(entries), control: Control::empty() }
    }

    /// The entries, if there is a list; `None` means that everybody may do everything.
    pub fn entries(&self) -> Option<&[Ace]> {
        match &self.dacl {
            Dacl::Absent | Dacl::Null => None,
            Dacl::List(entries) => Some(entries),
        }
    }
}

impl Ace {
    /// An entry that grants.
    pub const fn allow(sid: Sid, mask: AccessMask) -> Self {
        Self { kind: AceKind::Allow, flags: AceFlags::empty(), mask, sid }
    }

    /// An entry that denies. It must stand above the entries that would grant.
    pub const fn deny(sid: Sid, mask: AccessMask) -> Self {
        Self { kind: AceKind::Deny, flags: AceFlags::empty(), mask, sid }
    }

    /// Length in the binary form.
    #[expect(clippy::len_without_is_empty, reason = "no entry is empty")]
    pub const fn len(&self) -> usize {
        8 + self.sid.len()
    }
}
