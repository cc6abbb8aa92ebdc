//! How trusted a process is, as mandatory labels have it.
use crate::sid::Sid;

/// A level of integrity: a process below an object's label may not do to it what the label forbids, whatever the
/// object's list grants.
///
/// Linux has no such levels. Here the processes of root are [`Integrity::SYSTEM`] and all others [`Integrity::MEDIUM`],
/// as services and what a user starts are on Windows: so a label up to Medium refuses no process, and one above it all
/// but those of root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[doc(alias = "TOKEN_MANDATORY_LABEL")]
pub struct Integrity(u32);

impl Integrity {
    /// Of sandboxes.
    #[doc(alias = "SECURITY_MANDATORY_LOW_RID")]
    pub const LOW: Self = Self(0x1000);
    /// Of what a user starts.
    #[doc(alias = "SECURITY_MANDATORY_MEDIUM_RID")]
    pub const MEDIUM: Self = Self(0x2000);
    /// Of what an administrator starts as one.
    #[doc(alias = "SECURITY_MANDATORY_HIGH_RID")]
    pub const HIGH: Self = Self(0x3000);
    /// Of services.
    #[doc(alias = "SECURITY_MANDATORY_SYSTEM_RID")]
    pub const SYSTEM: Self = Self(0x4000);
    /// Above every process.
    pub(crate) const HIGHEST: Self = Self(u32::MAX);

    const AUTHORITY: u64 = 16;

    /// The level that a SID stands for, S-1-16-level; `None` for every other SID.
    pub fn of(sid: &Sid) -> Option<Self> {
        match (sid.authority(), sid.sub_authorities()) {
            (Self::AUTHORITY, &[level]) => Some(Self(level)),
            _ => None,
        }
    }

    /// The SID of the level, S-1-16-level.
    pub const fn sid(self) -> Sid {
        Sid::known(Self::AUTHORITY, &[self.0])
    }
}

impl Default for Integrity {
    fn default() -> Self {
        Self::MEDIUM
    }
}
