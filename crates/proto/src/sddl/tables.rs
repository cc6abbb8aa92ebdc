//! The letters of SDDL and what they stand for.
use crate::descriptor::{AceFlags, AceKind, AclKind, Control};
use crate::mask::AccessMask;

/// How a list behaves when lists are inherited, in the order in which it is written: of the one list and of the other.
pub(super) const CONTROL: &[(&str, Control, Control)] = &[
    ("P", Control::DACL_PROTECTED, Control::SACL_PROTECTED),
    ("AR", Control::DACL_AUTO_INHERIT_REQ, Control::SACL_AUTO_INHERIT_REQ),
    ("AI", Control::DACL_AUTO_INHERITED, Control::SACL_AUTO_INHERITED),
];

pub(super) const FLAGS: &[(&str, AceFlags)] = &[
    ("OI", AceFlags::OBJECT_INHERIT),
    ("CI", AceFlags::CONTAINER_INHERIT),
    ("NP", AceFlags::NO_PROPAGATE_INHERIT),
    ("IO", AceFlags::INHERIT_ONLY),
    ("ID", AceFlags::INHERITED),
    ("CR", AceFlags::CRITICAL),
    ("SA", AceFlags::SUCCESSFUL_ACCESS),
    ("FA", AceFlags::FAILED_ACCESS),
];

/// Every kind of entry: its letters, its name, and what it is here, if it is supported.
pub(super) const KINDS: &[(&str, &str, Option<AceKind>)] = &[
    ("A", "allow entries", Some(AceKind::Allow)),
    ("D", "deny entries", Some(AceKind::Deny)),
    ("AU", "audit entries", Some(AceKind::Audit)),
    ("AL", "alarm entries", Some(AceKind::Alarm)),
    ("ML", "mandatory labels", Some(AceKind::Label)),
    ("OA", "object allow entries", None),
    ("OD", "object deny entries", None),
    ("OU", "object audit entries", None),
    ("OL", "object alarm entries", None),
    ("XA", "conditional allow entries", None),
    ("XD", "conditional deny entries", None),
    ("XU", "conditional audit entries", None),
    ("ZA", "conditional object entries", None),
    ("RA", "resource attributes", None),
    ("SP", "scoped policies", None),
    ("TL", "process trust labels", None),
    ("FL", "access filters", None),
];

/// Single bits, the lowest first: a mask of which each bit is here is written in these letters.
pub(super) const RIGHTS: &[(&str, u32)] = &[
    // Of directory services: other objects have other rights at these places.
    ("CC", 0x0000_0001),
    ("DC", 0x0000_0002),
    ("LC", 0x0000_0004),
    ("SW", 0x0000_0008),
    ("RP", 0x0000_0010),
    ("WP", 0x0000_0020),
    ("DT", 0x0000_0040),
    ("LO", 0x0000_0080),
    ("CR", 0x0000_0100),
    ("SD", AccessMask::DELETE.bits()),
    ("RC", AccessMask::READ_CONTROL.bits()),
    ("WD", AccessMask::WRITE_DAC.bits()),
    ("WO", AccessMask::WRITE_OWNER.bits()),
    ("GA", AccessMask::GENERIC_ALL.bits()),
    ("GX", AccessMask::GENERIC_EXECUTE.bits()),
    ("GW", AccessMask::GENERIC_WRITE.bits()),
    ("GR", AccessMask::GENERIC_READ.bits()),
];

/// Sets of bits that have letters of their own: written where a mask is exactly one of them.
pub(super) const RIGHT_SETS: &[(&str, u32)] = &[
    ("FA", 0x001F_01FF),
    ("FR", 0x0012_0089),
    ("FW", 0x0012_0116),
    ("FX", 0x0012_00A0),
    ("KA", 0x000F_003F),
    ("KR", 0x0002_0019),
    ("KW", 0x0002_0006),
    // The same as KR, which is the one that is written.
    ("KX", 0x0002_0019),
];

/// What a label forbids.
pub(super) const LABEL_RIGHTS: &[(&str, u32)] = &[
    ("NW", AccessMask::NO_WRITE_UP.bits()),
    ("NR", AccessMask::NO_READ_UP.bits()),
    ("NX", AccessMask::NO_EXECUTE_UP.bits()),
];

impl AclKind {
    /// What stands before the list.
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Dacl => "D:",
            Self::Sacl => "S:",
        }
    }

    /// The flags before its entries.
    pub(super) fn control_tokens(self) -> impl Iterator<Item = (&'static str, Control)> {
        CONTROL.iter().map(move |&(token, dacl, sacl)| match self {
            Self::Dacl => (token, dacl),
            Self::Sacl => (token, sacl),
        })
    }
}
