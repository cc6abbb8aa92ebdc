//! Security descriptors: the owner of an object, the rights of each user, and the level of integrity they need.
use crate::integrity::Integrity;
use crate::mask::AccessMask;
use crate::sid::Sid;
use bitflags::bitflags;

mod binary;

pub use binary::{DescriptorError, MAX_LIST_LEN};

/// Owner, group and the two lists of entries of an object.
///
/// Text in and out is SDDL (`parse`, `to_string`; `{:#}` writes Linux users and groups as `uid:1000`); binary in and
/// out is the self-relative form of Windows. What has another effect than it seems to have is said by
/// [`SecurityDescriptor::notes`].
///
/// It owns its memory: there is nothing to free, and a port keeps its own whatever becomes of the one it was made with.
///
/// The fields are public: a program that needs another form, for instance the absolute one of C, builds it from them,
/// or a descriptor by naming them.
///
/// ```
/// # use fltmgr_proto::descriptor::{Ace, Acl, Control, SecurityDescriptor};
/// # use fltmgr_proto::{access::AccessMask, sid::Sid};
/// let descriptor = SecurityDescriptor {
///     owner: Some(Sid::SYSTEM),
///     group: None,
///     dacl: Acl::List(vec![Ace::allow(Sid::from_uid(1000), AccessMask::PORT_ALL_ACCESS)]),
///     sacl: Acl::Absent,
///     control: Control::DACL_PROTECTED,
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
    /// The rights of each user. Without a list, absent or NULL, every user has all; with an empty list, none has any.
    #[doc(alias = "DACL")]
    pub dacl: Acl,
    /// The object's mandatory label, which is checked, and what is to be audited, which is only kept: a port writes no
    /// audit.
    #[doc(alias = "SACL")]
    pub sacl: Acl,
    /// How the lists behave when lists are inherited: kept, never looked at. Means nothing for a list that is
    /// [`Acl::Absent`] and is lost then.
    pub control: Control,
}

/// An access control list, or one of the two ways of not having one: three different things on Windows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(alias = "ACL")]
pub enum Acl {
    /// There is none.
    Absent,
    /// There is one and it is NULL. In SDDL, `NO_ACCESS_CONTROL`.
    Null,
    /// The entries, in their order.
    List(Vec<Ace>),
}

/// An entry of an access control list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "ACE")]
pub struct Ace {
    /// What it does.
    pub kind: AceKind,
    /// Only [`AceFlags::INHERIT_ONLY`] matters to the check, the others are kept.
    pub flags: AceFlags,
    /// The rights; generic ones are mapped when they are checked. Of a label, what callers below it may not do
    /// ([`AccessMask::NO_WRITE_UP`] and its like).
    pub mask: AccessMask,
    /// The user or group that it is about; of a label, the level ([`Integrity::sid`]).
    pub sid: Sid,
}

/// What an entry does. Windows knows 20 kinds; the others (object, callback, conditional, …) are refused by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum AceKind {
    /// Grants rights.
    #[doc(alias = "ACCESS_ALLOWED_ACE")]
    Allow = 0,
    /// Takes rights away that were not granted further up the list.
    #[doc(alias = "ACCESS_DENIED_ACE")]
    Deny = 1,
    /// Asks for a line in the audit. Kept; a port writes none.
    #[doc(alias = "SYSTEM_AUDIT_ACE")]
    Audit = 2,
    /// Asks for an alarm. Kept; Windows has never raised one either.
    #[doc(alias = "SYSTEM_ALARM_ACE")]
    Alarm = 3,
    /// Says how trusted a process must be to use the object.
    #[doc(alias = "SYSTEM_MANDATORY_LABEL_ACE")]
    Label = 0x11,
}

/// The two lists of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AclKind {
    /// The rights of each user, [`SecurityDescriptor::dacl`].
    Dacl,
    /// Labels and audit, [`SecurityDescriptor::sacl`].
    Sacl,
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
        /// SA: audit success. Means something in audit entries alone.
        const SUCCESSFUL_ACCESS = 0x40;
        /// FA: audit failure. Means something in audit entries alone.
        const FAILED_ACCESS = 0x80;
    }

    /// How the two lists behave when lists are inherited, at their places in the binary control word. In SDDL P, AR and
    /// AI, of the list before which they stand.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[doc(alias = "SECURITY_DESCRIPTOR_CONTROL")]
    pub struct Control: u16 {
        /// AR: pass it on to existing children.
        #[doc(alias = "SE_DACL_AUTO_INHERIT_REQ")]
        const DACL_AUTO_INHERIT_REQ = 0x0100;
        /// AR of the other list.
        #[doc(alias = "SE_SACL_AUTO_INHERIT_REQ")]
        const SACL_AUTO_INHERIT_REQ = 0x0200;
        /// AI: made by inheritance.
        #[doc(alias = "SE_DACL_AUTO_INHERITED")]
        const DACL_AUTO_INHERITED = 0x0400;
        /// AI of the other list.
        #[doc(alias = "SE_SACL_AUTO_INHERITED")]
        const SACL_AUTO_INHERITED = 0x0800;
        /// P: the parent's entries do not come in.
        #[doc(alias = "SE_DACL_PROTECTED")]
        const DACL_PROTECTED = 0x1000;
        /// P of the other list.
        #[doc(alias = "SE_SACL_PROTECTED")]
        const SACL_PROTECTED = 0x2000;
    }
}

impl AceKind {
    /// The list in which entries of this kind stand.
    pub const fn list(self) -> AclKind {
        match self {
            Self::Allow | Self::Deny => AclKind::Dacl,
            Self::Audit | Self::Alarm | Self::Label => AclKind::Sacl,
        }
    }
}

impl AclKind {
    /// The flags of [`Control`] that are about this list.
    pub const fn control(self) -> Control {
        match self {
            Self::Dacl => {
                Control::DACL_AUTO_INHERIT_REQ.union(Control::DACL_AUTO_INHERITED).union(Control::DACL_PROTECTED)
            }
            Self::Sacl => {
                Control::SACL_AUTO_INHERIT_REQ.union(Control::SACL_AUTO_INHERITED).union(Control::SACL_PROTECTED)
            }
        }
    }

    /// What it is called in sentences.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Dacl => "the list of entries",
            Self::Sacl => "the audit list",
        }
    }
}

impl Acl {
    /// The entries, if there is a list.
    pub fn entries(&self) -> Option<&[Ace]> {
        match self {
            Self::Absent | Self::Null => None,
            Self::List(entries) => Some(entries),
        }
    }
}

impl SecurityDescriptor {
    /// What a filter gives its port unless it has other wishes: `mask` for Administrators and SYSTEM, which is root
    /// here, and nothing for all others. The mask is not judged.
    ///
    /// A connection demands [`AccessMask::PORT_ALL_ACCESS`]: with less, this admits no user.
    #[doc(alias = "FltBuildDefaultSecurityDescriptor")]
    pub fn default_for(mask: AccessMask) -> Self {
        Self::with_list(vec![Ace::allow(Sid::ADMINISTRATORS, mask), Ace::allow(Sid::SYSTEM, mask)])
    }

    /// Admits every user: a list that is present and NULL, what `RtlSetDaclSecurityDescriptor(sd, TRUE, NULL, FALSE)`
    /// makes.
    #[doc(alias = "RtlSetDaclSecurityDescriptor")]
    pub fn null_dacl() -> Self {
        Self { owner: None, group: None, dacl: Acl::Null, sacl: Acl::Absent, control: Control::empty() }
    }

    /// Admits no user: a list without entries.
    pub fn empty_dacl() -> Self {
        Self::with_list(Vec::new())
    }

    /// A descriptor with this list of rights, and nothing else.
    pub fn with_list(entries: Vec<Ace>) -> Self {
        Self { dacl: Acl::List(entries), ..Self::null_dacl() }
    }

    /// The entries with the rights of each user; `None` means that every user has all.
    pub fn entries(&self) -> Option<&[Ace]> {
        self.dacl.entries()
    }

    /// The object's mandatory label: the level, and what callers below it may not do.
    pub fn label(&self) -> Option<(Integrity, AccessMask)> {
        let label = self.sacl.entries()?.iter().find(|ace| ace.applies() && ace.kind == AceKind::Label)?;
        // What is no level, which only a program can have put there, is above all.
        Some((Integrity::of(&label.sid).unwrap_or(Integrity::HIGHEST), label.mask))
    }

    /// What has another effect than its writer may have thought: sentences for a log, usually none.
    pub fn notes(&self) -> Vec<&'static str> {
        let audited = |ace: &Ace| [AceKind::Audit, AceKind::Alarm].contains(&ace.kind);
        let mut notes = Vec::new();
        if self.dacl == Acl::Absent {
            notes.push(
                "the security descriptor has no list of entries (D:), so every user is admitted: if that is meant, write \
                 D:NO_ACCESS_CONTROL, else D: with the entries",
            );
        }
        if self.sacl.entries().is_some_and(|entries| entries.iter().any(audited)) {
            notes.push("the audit entries of the security descriptor (S:) are kept, but nothing is audited");
        }
        notes
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

    /// A mandatory label: what `forbidden` names ([`AccessMask::NO_WRITE_UP`] and its like) is not for callers below
    /// `level`.
    pub const fn label(level: Integrity, forbidden: AccessMask) -> Self {
        Self { kind: AceKind::Label, flags: AceFlags::empty(), mask: forbidden, sid: level.sid() }
    }

    /// True if the entry is about this object and not about its children alone.
    pub(crate) const fn applies(&self) -> bool {
        !self.flags.contains(AceFlags::INHERIT_ONLY)
    }

    /// Length in the binary form.
    #[expect(clippy::len_without_is_empty, reason = "no entry is empty")]
    pub const fn len(&self) -> usize {
        8 + self.sid.len()
    }
}
