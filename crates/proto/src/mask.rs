//! Rights, as bits, and what the generic ones stand for.
use bitflags::bitflags;

bitflags! {
    /// A set of rights. Bits 0 to 15 mean what the kind of object says; the named ones mean the same everywhere.
    /// Unnamed bits are kept.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[doc(alias = "ACCESS_MASK")]
    pub struct AccessMask: u32 {
        /// Of a port: may connect. Not enough for it: see [`AccessMask::PORT_ALL_ACCESS`].
        #[doc(alias = "FLT_PORT_CONNECT")]
        const PORT_CONNECT = 0x0000_0001;
        /// May delete the object.
        const DELETE = 0x0001_0000;
        /// May read the descriptor.
        const READ_CONTROL = 0x0002_0000;
        /// May change the list of entries.
        const WRITE_DAC = 0x0004_0000;
        /// May change the owner.
        const WRITE_OWNER = 0x0008_0000;
        /// May wait for the object.
        const SYNCHRONIZE = 0x0010_0000;
        /// May read and write the audit list. No entry can grant it, only
        /// [`Privileges::SECURITY`](crate::access::Privileges::SECURITY).
        const ACCESS_SYSTEM_SECURITY = 0x0100_0000;
        /// In a request: "whatever I may have". Means nothing in an entry.
        const MAXIMUM_ALLOWED = 0x0200_0000;
        /// Stands for what [`GenericMapping::all`] says.
        const GENERIC_ALL = 0x1000_0000;
        /// Stands for what [`GenericMapping::execute`] says.
        const GENERIC_EXECUTE = 0x2000_0000;
        /// Stands for what [`GenericMapping::write`] says.
        const GENERIC_WRITE = 0x4000_0000;
        /// Stands for what [`GenericMapping::read`] says.
        const GENERIC_READ = 0x8000_0000;
        /// Every right there is to a port, 0x1F0001. A connection demands all of them.
        #[doc(alias = "FLT_PORT_ALL_ACCESS")]
        const PORT_ALL_ACCESS = 0x001F_0001;
        /// Of a label: callers below it do not get what [`GenericMapping::write`] says.
        #[doc(alias = "SYSTEM_MANDATORY_LABEL_NO_WRITE_UP")]
        const NO_WRITE_UP = 0x0000_0001;
        /// Of a label: callers below it do not get what [`GenericMapping::read`] says.
        #[doc(alias = "SYSTEM_MANDATORY_LABEL_NO_READ_UP")]
        const NO_READ_UP = 0x0000_0002;
        /// Of a label: callers below it do not get what [`GenericMapping::execute`] says.
        #[doc(alias = "SYSTEM_MANDATORY_LABEL_NO_EXECUTE_UP")]
        const NO_EXECUTE_UP = 0x0000_0004;
        const _ = !0;
    }
}

/// What the four generic rights mean for a kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "GENERIC_MAPPING")]
pub struct GenericMapping {
    /// What [`AccessMask::GENERIC_READ`] stands for.
    pub read: AccessMask,
    /// What [`AccessMask::GENERIC_WRITE`] stands for.
    pub write: AccessMask,
    /// What [`AccessMask::GENERIC_EXECUTE`] stands for.
    pub execute: AccessMask,
    /// What [`AccessMask::GENERIC_ALL`] stands for: every right there is to this kind of object.
    pub all: AccessMask,
}

impl GenericMapping {
    /// The mapping of ports: only "all" is worth a connection.
    pub const PORT: Self = Self {
        read: AccessMask::READ_CONTROL.union(AccessMask::PORT_CONNECT),
        write: AccessMask::DELETE.union(AccessMask::PORT_CONNECT),
        execute: AccessMask::empty(),
        all: AccessMask::PORT_ALL_ACCESS,
    };

    /// The mask with each generic right replaced by what it stands for.
    #[doc(alias = "RtlMapGenericMask")]
    pub fn map(&self, mask: AccessMask) -> AccessMask {
        let generic = [
            (AccessMask::GENERIC_READ, self.read),
            (AccessMask::GENERIC_WRITE, self.write),
            (AccessMask::GENERIC_EXECUTE, self.execute),
            (AccessMask::GENERIC_ALL, self.all),
        ];
        generic.into_iter().fold(mask, |mask, (generic, specific)| {
            if mask.contains(generic) { mask.difference(generic).union(specific) } else { mask }
        })
    }
}
