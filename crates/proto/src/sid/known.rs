//! The well-known SIDs: identifier, alias in SDDL, name for people.
use super::Sid;

/// A SID that is the same on every machine.
pub(crate) struct Known {
    pub(crate) sid: Sid,
    /// Its two letters in SDDL.
    pub(crate) alias: &'static str,
    pub(crate) name: &'static str,
}

impl Known {
    pub(crate) fn by_alias(alias: &str) -> Option<&'static Self> {
        KNOWN.iter().find(|known| known.alias.eq_ignore_ascii_case(alias))
    }

    pub(crate) fn by_name(name: &str) -> Option<&'static Self> {
        KNOWN.iter().find(|known| known.name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn by_sid(sid: &Sid) -> Option<&'static Self> {
        KNOWN.iter().find(|known| known.sid == *sid)
    }
}

/// An alias that stands for another SID in every domain, so that here it stands for nothing.
pub(crate) struct Domain {
    /// Its two letters in SDDL.
    alias: &'static str,
    name: &'static str,
    /// The last number of its SID.
    number: u32,
}

impl Domain {
    pub(crate) fn by_alias(alias: &str) -> Option<&'static Self> {
        DOMAIN.iter().find(|domain| domain.alias.eq_ignore_ascii_case(alias))
    }

    /// Why it is refused, and what to write instead.
    pub(crate) fn sentence(&self) -> String {
        let Self { alias, name, number } = self;
        let linux = match number {
            // The two that are users.
            500 | 501 => "user that is meant, uid:NUMBER",
            _ => "group that is meant, gid:NUMBER",
        };
        format!(
            "{alias} ({name}) is another SID in every domain: write it out, S-1-5-21-…-{number}, or the Linux {linux}"
        )
    }
}

const fn domain(alias: &'static str, number: u32, name: &'static str) -> Domain {
    Domain { alias, name, number }
}

static DOMAIN: &[Domain] = &[
    domain("RO", 498, "Enterprise Read-only Domain Controllers"),
    domain("LA", 500, "Administrator"),
    domain("LG", 501, "Guest"),
    domain("DA", 512, "Domain Admins"),
    domain("DU", 513, "Domain Users"),
    domain("DG", 514, "Domain Guests"),
    domain("DC", 515, "Domain Computers"),
    domain("DD", 516, "Domain Controllers"),
    domain("CA", 517, "Cert Publishers"),
    domain("SA", 518, "Schema Admins"),
    domain("EA", 519, "Enterprise Admins"),
    domain("PA", 520, "Group Policy Creator Owners"),
    domain("CN", 522, "Cloneable Domain Controllers"),
    domain("AP", 525, "Protected Users"),
    domain("KA", 526, "Key Admins"),
    domain("EK", 527, "Enterprise Key Admins"),
    domain("RS", 553, "RAS and IAS Servers"),
];

const fn builtin(alias: &'static str, number: u32, name: &'static str) -> Known {
    Known { sid: Sid::known(5, &[32, number]), alias, name }
}

const fn nt(alias: &'static str, number: u32, name: &'static str) -> Known {
    Known { sid: Sid::known(5, &[number]), alias, name }
}

const fn other(alias: &'static str, authority: u64, numbers: &[u32], name: &'static str) -> Known {
    Known { sid: Sid::known(authority, numbers), alias, name }
}

static KNOWN: &[Known] = &[
    other("WD", 1, &[0], "Everyone"),
    other("CO", 3, &[0], "Creator Owner"),
    other("CG", 3, &[1], "Creator Group"),
    other("OW", 3, &[4], "Owner Rights"),
    nt("NU", 2, "Network"),
    nt("IU", 4, "Interactive"),
    nt("SU", 6, "Service"),
    nt("AN", 7, "Anonymous"),
    nt("ED", 9, "Enterprise Domain Controllers"),
    nt("PS", 10, "Self"),
    nt("AU", 11, "Authenticated Users"),
    nt("RC", 12, "Restricted"),
    nt("SY", 18, "SYSTEM"),
    nt("LS", 19, "Local Service"),
    nt("NS", 20, "Network Service"),
    nt("WR", 33, "Write Restricted"),
    builtin("BA", 544, "Administrators"),
    builtin("BU", 545, "Users"),
    builtin("BG", 546, "Guests"),
    builtin("PU", 547, "Power Users"),
    builtin("AO", 548, "Account Operators"),
    builtin("SO", 549, "Server Operators"),
    builtin("PO", 550, "Print Operators"),
    builtin("BO", 551, "Backup Operators"),
    builtin("RE", 552, "Replicator"),
    builtin("RU", 554, "Pre-Windows 2000 Compatible Access"),
    builtin("RD", 555, "Remote Desktop Users"),
    builtin("NO", 556, "Network Configuration Operators"),
    builtin("MU", 558, "Performance Monitor Users"),
    builtin("LU", 559, "Performance Log Users"),
    builtin("IS", 568, "IIS Users"),
    builtin("CY", 569, "Cryptographic Operators"),
    builtin("ER", 573, "Event Log Readers"),
    builtin("CD", 574, "Certificate Service DCOM Access"),
    builtin("RA", 575, "RDS Remote Access Servers"),
    builtin("ES", 576, "RDS Endpoint Servers"),
    builtin("MS", 577, "RDS Management Servers"),
    builtin("HA", 578, "Hyper-V Administrators"),
    builtin("AA", 579, "Access Control Assistance Operators"),
    builtin("RM", 580, "Remote Management Users"),
    other("UD", 5, &[84, 0, 0, 0, 0, 0], "User-Mode Drivers"),
    other("AC", 15, &[2, 1], "All Application Packages"),
    other("LW", 16, &[4096], "Low Integrity"),
    other("ME", 16, &[8192], "Medium Integrity"),
    other("MP", 16, &[8448], "Medium Plus Integrity"),
    other("HI", 16, &[12288], "High Integrity"),
    other("SI", 16, &[16384], "System Integrity"),
    other("AS", 18, &[1], "Authentication Authority Asserted Identity"),
    other("SS", 18, &[2], "Service Asserted Identity"),
];
