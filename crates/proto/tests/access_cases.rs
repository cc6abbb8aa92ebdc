//! The access check, case by case, and the words in which it is explained.
#![allow(missing_docs, reason = "a test")]
use fltmgr_proto::access::{AccessMask, GenericMapping, Privileges, Token, access_check, check_connect, explain};
use fltmgr_proto::descriptor::{Ace, AceFlags, Dacl, SecurityDescriptor};
use fltmgr_proto::sid::Sid;
use fltmgr_proto::status::Status;

const ALL: AccessMask = AccessMask::PORT_ALL_ACCESS;
const MAX: AccessMask = AccessMask::MAXIMUM_ALLOWED;
const AUDIT: AccessMask = AccessMask::ACCESS_SYSTEM_SECURITY;
const NONE: AccessMask = AccessMask::empty();

fn sd(sddl: &str) -> SecurityDescriptor {
    sddl.parse().unwrap_or_else(|error| panic!("{sddl}: {error}"))
}

fn root() -> Token {
    Token::for_unix(0, 0, &[])
}

fn user() -> Token {
    Token::for_unix(1000, 100, &[27, 100])
}

fn check(sddl: &str, token: &Token, desired: AccessMask) -> Result<AccessMask, Status> {
    access_check(&sd(sddl), token, desired, &GenericMapping::PORT)
}

fn right(bits: u32) -> AccessMask {
    AccessMask::from_bits_retain(bits)
}

#[test]
fn a_unix_token_has_its_user_its_groups_and_everyone() {
    assert_eq!(
        user().sids,
        [Sid::from_uid(1000), Sid::from_gid(100), Sid::from_gid(27), Sid::EVERYONE, Sid::AUTHENTICATED_USERS]
    );
    let root = root();
    assert!([Sid::from_uid(0), Sid::SYSTEM, Sid::ADMINISTRATORS].iter().all(|sid| root.sids.contains(sid)));
    assert!(!Token::for_unix(1000, 0, &[0]).sids.contains(&Sid::ADMINISTRATORS), "group 0 is not root");
    assert_eq!(root.privileges, Privileges::empty());
}

/// Row 2 and section 8: the default descriptor.
#[test]
fn the_default_descriptor_admits_root_only() {
    let default = SecurityDescriptor::default_for(ALL);
    assert_eq!(default.to_string(), "D:(A;;0x1f0001;;;BA)(A;;0x1f0001;;;SY)");
    assert_eq!(check_connect(&default, &root()), Ok(()));
    assert_eq!(check_connect(&default, &user()), Err(Status::ACCESS_DENIED));
    assert_eq!(check_connect(&default, &Token::for_unix(1000, 0, &[])), Err(Status::ACCESS_DENIED));
}

/// Row 3: the right to connect alone connects nobody, root included.
#[test]
fn connect_alone_is_not_enough() {
    let port = SecurityDescriptor::default_for(AccessMask::PORT_CONNECT);
    assert_eq!(check_connect(&port, &root()), Err(Status::ACCESS_DENIED));
    assert_eq!(
        access_check(&port, &root(), AccessMask::PORT_CONNECT, &GenericMapping::PORT),
        Ok(AccessMask::PORT_CONNECT)
    );
    for missing in ALL {
        let port = SecurityDescriptor::default_for(ALL.difference(missing));
        assert_eq!(check_connect(&port, &root()), Err(Status::ACCESS_DENIED), "without {missing:?}");
    }
}

#[test]
fn no_list_admits_everybody_and_an_empty_one_nobody() {
    for open in [SecurityDescriptor::null_dacl(), sd(""), sd("D:NO_ACCESS_CONTROL"), sd("O:BAG:SY")] {
        assert_eq!(check_connect(&open, &user()), Ok(()));
        assert_eq!(access_check(&open, &user(), MAX, &GenericMapping::PORT), Ok(ALL));
        assert_eq!(access_check(&open, &user(), MAX | right(0x8000), &GenericMapping::PORT), Ok(ALL | right(0x8000)));
        assert_eq!(access_check(&open, &user(), AUDIT, &GenericMapping::PORT), Err(Status::PRIVILEGE_NOT_HELD));
    }
    let closed = SecurityDescriptor::empty_dacl();
    assert_eq!(check_connect(&closed, &root()), Err(Status::ACCESS_DENIED));
    assert_eq!(access_check(&closed, &root(), MAX, &GenericMapping::PORT), Err(Status::ACCESS_DENIED));
    assert_eq!(access_check(&closed, &root(), NONE, &GenericMapping::PORT), Ok(NONE));
}

#[test]
fn the_owner_of_an_empty_list_may_mend_it() {
    let mend = AccessMask::READ_CONTROL | AccessMask::WRITE_DAC;
    assert_eq!(check("O:uid:1000D:", &user(), mend), Ok(mend));
    assert_eq!(check("O:uid:1000D:", &user(), MAX), Ok(mend));
    assert_eq!(check("O:uid:1000D:", &user(), mend | AccessMask::DELETE), Err(Status::ACCESS_DENIED));
    assert_eq!(check("O:uid:1001D:", &user(), mend), Err(Status::ACCESS_DENIED));
    // A group may own, too.
    assert_eq!(check("O:gid:27D:", &user(), mend), Ok(mend));
    // The owner's rights cannot be denied,
    assert_eq!(check("O:uid:1000D:(D;;GA;;;WD)", &user(), mend), Ok(mend));
    assert_eq!(check("O:uid:1000D:(D;;GA;;;WD)", &user(), MAX), Ok(mend));
    // but an entry for OWNER RIGHTS takes their place, unless it is for children only.
    assert_eq!(check("O:uid:1000D:(A;;RC;;;OW)", &user(), mend), Err(Status::ACCESS_DENIED));
    assert_eq!(check("O:uid:1000D:(A;;RC;;;OW)", &user(), AccessMask::READ_CONTROL), Ok(AccessMask::READ_CONTROL));
    assert_eq!(check("O:uid:1000D:(A;IO;RC;;;OW)", &user(), mend), Ok(mend));
    assert_eq!(check("O:uid:1001D:(A;;RC;;;OW)", &user(), AccessMask::READ_CONTROL), Err(Status::ACCESS_DENIED));
    assert_eq!(
        check("O:uid:1000D:(D;;RC;;;OW)(A;;GA;;;WD)", &user(), AccessMask::READ_CONTROL),
        Err(Status::ACCESS_DENIED)
    );
    // Nobody owns it: nobody has OWNER RIGHTS.
    assert_eq!(check("D:(A;;GA;;;OW)", &user(), right(1)), Err(Status::ACCESS_DENIED));
    // Somebody who carries the SID itself is meant by it.
    let odd = Token { sids: vec![Sid::OWNER_RIGHTS], privileges: Privileges::empty() };
    assert_eq!(check("D:(A;;GA;;;OW)", &odd, right(1)), Ok(right(1)));
}

#[test]
fn the_first_entry_that_speaks_of_a_right_decides_it() {
    let deny_first = "D:(D;;0x1;;;gid:27)(A;;GA;;;WD)";
    assert_eq!(check(deny_first, &user(), ALL), Err(Status::ACCESS_DENIED));
    assert_eq!(check(deny_first, &user(), AccessMask::DELETE), Ok(AccessMask::DELETE));
    assert_eq!(check(deny_first, &user(), MAX), Ok(ALL.difference(right(1))));
    assert_eq!(check(deny_first, &root(), ALL), Ok(ALL));
    let allow_first = "D:(A;;GA;;;WD)(D;;0x1;;;gid:27)";
    assert_eq!(check(allow_first, &user(), ALL), Ok(ALL));
    assert_eq!(check(allow_first, &user(), MAX), Ok(ALL));
    // Rights add up.
    assert_eq!(check("D:(A;;0x1f0000;;;gid:27)(A;;0x1;;;AU)", &user(), ALL), Ok(ALL));
    // Other people's entries do not count.
    assert_eq!(check("D:(D;;GA;;;uid:1001)(A;;GA;;;uid:1000)", &user(), ALL), Ok(ALL));
    assert_eq!(check("D:(A;;GA;;;uid:1001)", &user(), right(1)), Err(Status::ACCESS_DENIED));
}

#[test]
fn entries_for_children_only_are_passed_over() {
    assert_eq!(check("D:(A;IO;GA;;;WD)", &user(), right(1)), Err(Status::ACCESS_DENIED));
    assert_eq!(check("D:(D;OICIIO;GA;;;WD)(A;OICI;GA;;;WD)", &user(), ALL), Ok(ALL));
    assert_eq!(check("D:(A;OICINPID;GA;;;WD)", &user(), ALL), Ok(ALL));
}

#[test]
fn generic_rights_are_mapped_in_wish_and_entry() {
    assert_eq!(check("D:(A;;0x1f0001;;;WD)", &user(), AccessMask::GENERIC_ALL), Ok(ALL));
    assert_eq!(check("D:(A;;GA;;;WD)", &user(), ALL), Ok(ALL));
    for generic in [AccessMask::GENERIC_READ, AccessMask::GENERIC_WRITE, AccessMask::GENERIC_EXECUTE] {
        assert_eq!(GenericMapping::PORT.map(generic), AccessMask::READ_CONTROL);
        assert_eq!(check("D:(A;;RC;;;WD)", &user(), generic), Ok(AccessMask::READ_CONTROL));
    }
    assert_eq!(check("D:(A;;GRGWGX;;;WD)", &user(), MAX), Ok(AccessMask::READ_CONTROL));
    let files = GenericMapping { read: right(1), write: right(2), execute: right(4), all: right(0xF) };
    let mapped = files.map(AccessMask::GENERIC_READ | AccessMask::GENERIC_EXECUTE | right(0x100));
    assert_eq!(mapped, right(0x105));
    assert_eq!(files.map(AccessMask::GENERIC_WRITE), right(2));
    assert_eq!(files.map(AccessMask::GENERIC_ALL), right(0xF));
}

#[test]
fn privileges_give_what_no_entry_can() {
    let with = |privileges| Token { privileges, ..user() };
    let open = "D:(A;;0xffffffff;;;WD)";
    assert_eq!(check(open, &user(), AUDIT), Err(Status::PRIVILEGE_NOT_HELD));
    assert_eq!(check(open, &user(), MAX).map(|granted| granted & (AUDIT | MAX)), Ok(NONE));
    assert_eq!(check(open, &with(Privileges::SECURITY), AUDIT), Ok(AUDIT));
    assert_eq!(check("D:", &with(Privileges::SECURITY), AUDIT), Ok(AUDIT));
    assert_eq!(check("D:", &with(Privileges::SECURITY), MAX | AUDIT), Ok(AUDIT));
    assert_eq!(
        check("D:", &with(Privileges::SECURITY), MAX),
        Err(Status::ACCESS_DENIED),
        "only when asked for by name"
    );
    assert_eq!(check("D:", &with(Privileges::TAKE_OWNERSHIP), AUDIT), Err(Status::PRIVILEGE_NOT_HELD));
    let owner = AccessMask::WRITE_OWNER;
    assert_eq!(check("D:(D;;WO;;;WD)", &with(Privileges::TAKE_OWNERSHIP), owner), Ok(owner));
    assert_eq!(check("D:(D;;WO;;;WD)", &with(Privileges::SECURITY), owner), Err(Status::ACCESS_DENIED));
    assert_eq!(check("D:(D;;WO;;;WD)", &with(Privileges::TAKE_OWNERSHIP), MAX), Err(Status::ACCESS_DENIED));
    assert_eq!(check("D:", &with(Privileges::TAKE_OWNERSHIP), owner | right(1)), Err(Status::ACCESS_DENIED));
}

#[test]
fn maximum_allowed_still_demands_what_it_names() {
    assert_eq!(check("D:(A;;0x6;;;WD)", &user(), MAX | right(2)), Ok(right(6)));
    assert_eq!(check("D:(A;;0x6;;;WD)", &user(), MAX | right(1)), Err(Status::ACCESS_DENIED));
    assert_eq!(check("D:(A;;0x6;;;WD)", &user(), right(2)), Ok(right(2)), "without it, no more than asked for");
}

#[test]
fn explanations() {
    for (sddl, expected) in [
        ("D:(A;;0x1f0001;;;BA)(A;;0x1f0001;;;SY)", "Administrators and SYSTEM (root)"),
        ("D:(A;;GA;;;uid:0)", "root (uid:0)"),
        ("D:(A;;GA;;;gid:100)(A;;GA;;;SY)", "SYSTEM (root), group 100 (gid:100)"),
        (
            "D:(D;;GA;;;uid:1000)(A;;GA;;;BA)(A;;GA;;;gid:100)",
            "Administrators (root), group 100 (gid:100), but not user 1000 (uid:1000)",
        ),
        ("D:(D;IO;GA;;;uid:1000)(A;;GA;;;AU)(A;IO;GA;;;WD)", "Authenticated Users"),
        ("D:(A;;GA;;;WD)(D;;GA;;;uid:1000)", "Everyone"),
        // A denial below the last entry that admits takes nothing away, whatever follows.
        ("D:(A;;GA;;;BA)(D;;GA;;;uid:5)(A;;0x1;;;gid:3)", "Administrators (root)"),
        ("O:uid:7D:(A;;GA;;;OW)", "Owner Rights"),
        ("O:SYD:(A;;GA;;;uid:5)", "user 5 (uid:5)"),
        (
            "O:uid:7D:(D;;GA;;;uid:7)(A;;GA;;;OW)",
            "nobody: connecting needs all of FLT_PORT_ALL_ACCESS (0x1f0001), and Owner Rights cannot get that",
        ),
        ("D:(A;;0x1;;;uid:5)(A;;0x1f0000;;;WD)", "user 5 (uid:5)"),
        ("D:(A;;GA;;;BU)(A;;GA;;;S-1-5-21-1)", "Users (nobody on Linux), S-1-5-21-1 (nobody on Linux)"),
        (
            "D:(A;;0x1;;;BA)",
            "nobody: connecting needs all of FLT_PORT_ALL_ACCESS (0x1f0001), and Administrators (root) cannot get that",
        ),
        ("D:(D;;GA;;;WD)", "nobody: no entry grants anything"),
        ("D:", "nobody: its list of entries is empty"),
        ("D:NO_ACCESS_CONTROL", "everyone: it has no list of entries"),
        ("", "everyone: it has no list of entries"),
    ] {
        assert_eq!(explain(&sd(sddl)), expected, "{sddl}");
    }
}

#[test]
fn builders_say_what_they_build() {
    assert_eq!(SecurityDescriptor::null_dacl().dacl, Dacl::Null);
    assert_eq!(SecurityDescriptor::null_dacl().entries(), None);
    assert_eq!(SecurityDescriptor::empty_dacl().entries(), Some(&[][..]));
    let ace = Ace { flags: AceFlags::INHERITED, ..Ace::deny(Sid::EVERYONE, ALL) };
    assert_eq!(SecurityDescriptor::with_list(vec![ace]).to_string(), "D:(D;ID;0x1f0001;;;WD)");
    assert_eq!(ace.len(), 20);
}
