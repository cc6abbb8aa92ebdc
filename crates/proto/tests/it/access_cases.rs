//! The access check, case by case, and the words in which it is explained.
#![allow(missing_docs, reason = "a test")]
use fltmgr_proto::access::{
    AccessMask, GenericMapping, Integrity, Privileges, Token, access_check, check_connect, explain,
};
use fltmgr_proto::descriptor::{Ace, AceFlags, Acl, SecurityDescriptor};
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
    assert_eq!((user().integrity, root().integrity), (Integrity::MEDIUM, Integrity::SYSTEM));
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
    let odd = Token { sids: vec![Sid::OWNER_RIGHTS], ..Token::default() };
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
    // what 13 builds of Windows say of the type of ports
    for (generic, bits) in [
        (AccessMask::GENERIC_READ, 0x2_0001),
        (AccessMask::GENERIC_WRITE, 0x1_0001),
        (AccessMask::GENERIC_EXECUTE, 0),
        (AccessMask::GENERIC_ALL, 0x1F_0001),
    ] {
        assert_eq!(GenericMapping::PORT.map(generic), right(bits));
        assert_eq!(check(&format!("D:(A;;{bits:#x};;;WD)"), &user(), generic), Ok(right(bits)));
    }
    assert_eq!(check("D:(A;;GRGWGX;;;WD)", &user(), MAX), Ok(right(0x3_0001)));
    for not_all in ["GR", "GW", "GX", "GRGWGX"] {
        let port = sd(&format!("D:(A;;{not_all};;;WD)"));
        assert_eq!(check_connect(&port, &user()), Err(Status::ACCESS_DENIED), "{not_all}");
    }
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

/// What is pasted most: a label that lets everybody in, which on Windows opens a port to sandboxes.
#[test]
fn a_label_up_to_medium_keeps_nobody_out() {
    for label in [
        "S:",
        "S:(ML;;NW;;;LW)",
        "S:(ML;;NWNRNX;;;LW)",
        "S:(ML;;NWNRNX;;;ME)",
        "S:(ML;IO;NW;;;HI)",
        "S:(AU;SAFA;GA;;;WD)",
    ] {
        for list in ["D:(A;;GA;;;WD)", "D:NO_ACCESS_CONTROL"] {
            assert_eq!(check_connect(&sd(&format!("{list}{label}")), &user()), Ok(()), "{label}");
        }
        assert_eq!(check_connect(&sd(&format!("D:(A;;GA;;;BA){label}")), &user()), Err(Status::ACCESS_DENIED));
    }
}

#[test]
fn a_label_above_medium_admits_root_alone() {
    for level in ["MP", "HI", "SI"] {
        for policy in ["NW", "NR", "NX", "NWNR"] {
            let port = sd(&format!("D:NO_ACCESS_CONTROLS:(ML;;{policy};;;{level})"));
            assert_eq!(check_connect(&port, &user()), Err(Status::ACCESS_DENIED), "{port}");
            assert_eq!(check_connect(&port, &root()), Ok(()), "{port}");
        }
        let harmless = sd(&format!("D:NO_ACCESS_CONTROLS:(ML;;;;;{level})"));
        assert_eq!(check_connect(&harmless, &user()), Ok(()), "it forbids nothing");
    }
    assert_eq!(check_connect(&sd("D:NO_ACCESS_CONTROLS:(ML;;NW;;;S-1-16-16385)"), &root()), Err(Status::ACCESS_DENIED));
    // The first label counts, and leaves what it does not forbid.
    assert_eq!(check("D:(A;;GA;;;WD)S:(ML;;NR;;;LW)(ML;;NW;;;HI)", &user(), ALL), Ok(ALL));
    assert_eq!(check("D:(A;;GA;;;WD)S:(ML;;NW;;;HI)", &user(), MAX), Ok(right(0x2_0001)));
    assert_eq!(check("D:(A;;GA;;;WD)S:(ML;;NR;;;HI)", &user(), MAX), Ok(right(0x1_0001)));
    assert_eq!(check("D:(A;;GA;;;WD)S:(ML;;NX;;;HI)", &user(), MAX), Ok(right(0x3_0001)));
    assert_eq!(check("D:(A;;GA;;;WD)S:(ML;;NWNRNX;;;HI)", &user(), MAX), Err(Status::ACCESS_DENIED));
    // A program may build what no text says: a label of no level is above all.
    let odd = Ace { sid: Sid::EVERYONE, ..Ace::label(Integrity::LOW, AccessMask::NO_WRITE_UP) };
    let port = SecurityDescriptor { sacl: Acl::List(vec![odd]), ..SecurityDescriptor::null_dacl() };
    assert_eq!(check_connect(&port, &root()), Err(Status::ACCESS_DENIED));
}

#[test]
fn notes_say_what_has_another_effect_than_it_seems() {
    let open = "the security descriptor has no list of entries (D:), so every user is admitted: if that is meant, write \
                D:NO_ACCESS_CONTROL, else D: with the entries";
    let audit = "the audit entries of the security descriptor (S:) are kept, but nothing is audited";
    for (sddl, notes) in [
        ("", &[open][..]),
        ("O:SYG:SY", &[open]),
        ("S:(ML;;NW;;;LW)", &[open]),
        ("S:(AU;SA;GA;;;WD)", &[open, audit]),
        ("D:(A;;GA;;;BA)S:(ML;;NW;;;LW)(AL;;GA;;;WD)", &[audit]),
        ("D:NO_ACCESS_CONTROL", &[]),
        ("D:", &[]),
        ("D:(A;;GA;;;BA)S:NO_ACCESS_CONTROL", &[]),
        ("D:(A;;GA;;;BA)S:(ML;;NW;;;LW)", &[]),
    ] {
        assert_eq!(sd(sddl).notes(), notes, "{sddl}");
    }
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
        ("D:(A;;GA;;;AU)S:(ML;;NW;;;LW)", "Authenticated Users"),
        (
            "D:(A;;GA;;;AU)S:(ML;;NW;;;HI)",
            "Authenticated Users; and of these only root, for its mandatory label is above Medium",
        ),
        ("D:(A;;GA;;;AU)S:(ML;;NW;;;S-1-16-99999)", "nobody: its mandatory label is above every process"),
        ("", "everyone: it has no list of entries"),
    ] {
        assert_eq!(explain(&sd(sddl)), expected, "{sddl}");
    }
}

#[test]
fn builders_say_what_they_build() {
    assert_eq!(SecurityDescriptor::null_dacl().dacl, Acl::Null);
    assert_eq!(SecurityDescriptor::null_dacl().entries(), None);
    assert_eq!(SecurityDescriptor::empty_dacl().entries(), Some(&[][..]));
    let ace = Ace { flags: AceFlags::INHERITED, ..Ace::deny(Sid::EVERYONE, ALL) };
    assert_eq!(SecurityDescriptor::with_list(vec![ace]).to_string(), "D:(D;ID;0x1f0001;;;WD)");
    assert_eq!(ace.len(), 20);
    let label = Ace::label(Integrity::LOW, AccessMask::NO_WRITE_UP);
    let labelled = SecurityDescriptor { sacl: Acl::List(vec![label]), ..SecurityDescriptor::empty_dacl() };
    assert_eq!(labelled.to_string(), "D:S:(ML;;NW;;;LW)");
    assert_eq!(labelled.label(), Some((Integrity::LOW, AccessMask::NO_WRITE_UP)));
}
