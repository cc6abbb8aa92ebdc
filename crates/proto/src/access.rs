//! The access check: one pure function of descriptor, token and wish (MS-DTYP 2.5.3.2).
//!
//! Left out, because no port needs it: restricted tokens, groups for denial only, application containers, entries for
//! parts of an object, conditions. Descriptors that ask for one of these are refused where they are read.
use crate::descriptor::{Ace, AceKind, SecurityDescriptor};
use crate::sid::Sid;
use crate::status::Status;
use bitflags::bitflags;

mod explain;

pub use crate::integrity::Integrity;
pub use crate::mask::{AccessMask, GenericMapping};
pub use explain::explain;

/// What an owner may do whatever the list says, unless it has an entry for OWNER RIGHTS.
const IMPLICIT_OWNER_RIGHTS: AccessMask = AccessMask::READ_CONTROL.union(AccessMask::WRITE_DAC);
/// Bits that no entry can grant.
const NEVER_BY_ENTRY: AccessMask = AccessMask::ACCESS_SYSTEM_SECURITY.union(AccessMask::MAXIMUM_ALLOWED);

/// The process that asks: every SID that stands for it, and its privileges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Token {
    /// User and groups. Order means nothing.
    pub sids: Vec<Sid>,
    /// Rights that come from the caller and not from the object.
    pub privileges: Privileges,
    /// How trusted the process is: what a mandatory label is compared with.
    pub integrity: Integrity,
}

bitflags! {
    /// The privileges that the check knows.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Privileges: u32 {
        /// Grants [`AccessMask::ACCESS_SYSTEM_SECURITY`].
        #[doc(alias = "SeSecurityPrivilege")]
        const SECURITY = 1;
        /// Grants [`AccessMask::WRITE_OWNER`] when it is asked for by name, even against an entry that denies it.
        #[doc(alias = "SeTakeOwnershipPrivilege")]
        const TAKE_OWNERSHIP = 2;
    }
}

impl Token {
    /// The token of a Linux process: its user, its group, its other groups, everyone and any local user; user 0 is also
    /// SYSTEM and Administrators, and of a higher integrity than all others. Privileges are empty, even for root: on
    /// Windows those two are held but not enabled.
    pub fn for_unix(uid: u32, gid: u32, groups: &[u32]) -> Self {
        let mut sids = vec![Sid::from_uid(uid), Sid::from_gid(gid)];
        sids.extend(groups.iter().filter(|&&group| group != gid).map(|&group| Sid::from_gid(group)));
        let mut integrity = Integrity::MEDIUM;
        if uid == 0 {
            sids.extend([Sid::SYSTEM, Sid::ADMINISTRATORS]);
            integrity = Integrity::SYSTEM;
        }
        sids.extend([Sid::EVERYONE, Sid::AUTHENTICATED_USERS]);
        Self { sids, privileges: Privileges::empty(), integrity }
    }

    fn has(&self, sid: &Sid) -> bool {
        self.sids.contains(sid)
    }
}

/// What `token` gets if it wishes for `desired`: all of it, or a refusal.
///
/// The entries are looked at in the order in which they stand, and the first that speaks of a right decides it; those
/// that are [`AceFlags::INHERIT_ONLY`] are passed over. Generic rights are mapped first, in the wish and in the
/// entries. A list that is absent or NULL grants everything. An owner has READ_CONTROL and WRITE_DAC whatever the list
/// says, unless it has an entry for [`Sid::OWNER_RIGHTS`], which then applies to the owner like any other.
///
/// Where the object has a mandatory label above the token's integrity, nothing is granted beyond what the label leaves
/// to those below it. Without a label nothing is compared: Windows then takes the label to be [`Integrity::MEDIUM`],
/// which no token of [`Token::for_unix`] is below.
///
/// [`AceFlags::INHERIT_ONLY`]: crate::descriptor::AceFlags::INHERIT_ONLY
///
/// With [`AccessMask::MAXIMUM_ALLOWED`] in the wish the result is every right that the token has, and what else is
/// wished for must be among them.
///
/// # Errors
/// [`Status::PRIVILEGE_NOT_HELD`] for ACCESS_SYSTEM_SECURITY without its privilege, else [`Status::ACCESS_DENIED`]; the
/// latter also for MAXIMUM_ALLOWED if that is nothing.
#[doc(alias = "SeAccessCheck")]
#[doc(alias = "AccessCheck")]
pub fn access_check(
    descriptor: &SecurityDescriptor,
    token: &Token,
    desired: AccessMask,
    mapping: &GenericMapping,
) -> Result<AccessMask, Status> {
    let maximum = desired.contains(AccessMask::MAXIMUM_ALLOWED);
    let wish = mapping.map(desired.difference(AccessMask::MAXIMUM_ALLOWED));

    if wish.contains(AccessMask::ACCESS_SYSTEM_SECURITY) && !token.privileges.contains(Privileges::SECURITY) {
        return Err(Status::PRIVILEGE_NOT_HELD);
    }
    let by_privilege = match token.privileges.contains(Privileges::TAKE_OWNERSHIP) {
        true => wish.intersection(AccessMask::ACCESS_SYSTEM_SECURITY.union(AccessMask::WRITE_OWNER)),
        false => wish.intersection(AccessMask::ACCESS_SYSTEM_SECURITY),
    };
    let granted = match descriptor.entries() {
        Some(entries) => granted_by_list(entries, descriptor.owner.as_ref(), token, mapping),
        None => mapping.all.union(wish),
    };
    let granted = by_privilege.union(granted.intersection(left_by_label(descriptor, token, mapping)));

    if !granted.contains(wish) || (maximum && granted.is_empty()) {
        return Err(Status::ACCESS_DENIED);
    }
    Ok(if maximum { granted } else { wish })
}

/// The check that a connection must pass: [`AccessMask::PORT_ALL_ACCESS`] and nothing less.
///
/// # Errors
/// [`Status::ACCESS_DENIED`]; [`explain`] says which users the descriptor admits.
pub fn check_connect(descriptor: &SecurityDescriptor, token: &Token) -> Result<(), Status> {
    access_check(descriptor, token, AccessMask::PORT_ALL_ACCESS, &GenericMapping::PORT).map(|_| ())
}

/// Every right that the list gives: each bit is decided by the first entry that speaks of it.
fn granted_by_list(entries: &[Ace], owner: Option<&Sid>, token: &Token, mapping: &GenericMapping) -> AccessMask {
    let applies = |ace: &&Ace| ace.applies();
    let is_owner = owner.is_some_and(|owner| token.has(owner));
    let owner_rights_stated = entries.iter().filter(applies).any(|ace| ace.sid == Sid::OWNER_RIGHTS);

    let mut granted = AccessMask::empty();
    let mut denied = NEVER_BY_ENTRY;
    if is_owner && !owner_rights_stated {
        granted |= IMPLICIT_OWNER_RIGHTS;
    }
    for ace in entries.iter().filter(applies) {
        let about_token = token.has(&ace.sid) || (is_owner && ace.sid == Sid::OWNER_RIGHTS);
        if !about_token {
            continue;
        }
        let mask = mapping.map(ace.mask);
        match ace.kind {
            AceKind::Allow => granted |= mask.difference(denied),
            AceKind::Deny => denied |= mask.difference(granted),
            AceKind::Audit | AceKind::Alarm | AceKind::Label => {}
        }
    }
    granted
}

/// What the object's mandatory label leaves to the token: everything, unless the token is below it.
fn left_by_label(descriptor: &SecurityDescriptor, token: &Token, mapping: &GenericMapping) -> AccessMask {
    let policies = [
        (AccessMask::NO_READ_UP, mapping.read),
        (AccessMask::NO_WRITE_UP, mapping.write),
        (AccessMask::NO_EXECUTE_UP, mapping.execute),
    ];
    let forbidden = match descriptor.label() {
        Some((level, forbidden)) if token.integrity < level => forbidden,
        _ => AccessMask::empty(),
    };
    if !policies.iter().any(|(policy, _)| forbidden.contains(*policy)) {
        return AccessMask::all();
    }
    policies.into_iter().filter(|(policy, _)| !forbidden.contains(*policy)).map(|(_, rights)| rights).collect()
}
