//! SIDs and descriptors as text: what is read, what is written, what is refused and with which words.
#![allow(missing_docs, reason = "a test")]
use fltmgr_proto::access::{AccessMask, Integrity};
use fltmgr_proto::descriptor::{Ace, AceFlags, AceKind, Acl, AclKind, Control, SecurityDescriptor};
use fltmgr_proto::sddl::{Problem, SyntaxError};
use fltmgr_proto::sid::Sid;
use fltmgr_proto::status::Status;

fn sid(text: &str) -> Sid {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn sd(text: &str) -> SecurityDescriptor {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    text.parse::<SecurityDescriptor>().expect_err(text).to_string()
}

fn mask_of(rights: &str) -> u32 {
    let descriptor = sd(&format!("D:(A;;{rights};;;WD)"));
    descriptor.entries().unwrap()[0].mask.bits()
}

#[test]
fn sids_are_read_and_written() {
    for (text, authority, numbers) in [
        ("S-1-0", 0, &[][..]),
        ("S-1-5-32-544", 5, &[32, 544]),
        ("S-1-22-1-4294967295", 22, &[1, u32::MAX]),
        ("S-1-4294967295-1", 0xFFFF_FFFF, &[1]),
        ("S-1-0x000100000000-1", 1 << 32, &[1]),
        ("S-1-0xFFFFFFFFFFFF", (1 << 48) - 1, &[]),
        ("S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15", 5, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
    ] {
        assert_eq!(Some(sid(text)), Sid::new(authority, numbers), "{text}");
        assert_eq!(sid(text).to_string(), text);
        assert_eq!(format!("{:?}", sid(text)), text);
        assert_eq!((sid(text).authority(), sid(text).sub_authorities()), (authority, numbers));
    }
    assert_eq!(sid("s-1-0x5-18"), Sid::SYSTEM);
    assert_eq!(Sid::new(1 << 48, &[]), None);
    assert_eq!(Sid::new(5, &[0; 16]), None);
}

#[test]
fn wrong_sids_are_refused_where_they_go_wrong() {
    for (text, expected) in [
        ("", "column 1: expected a SID such as S-1-5-18, but the text ends"),
        ("BA", "column 1: expected a SID such as S-1-5-18, found \"BA\""),
        ("S-2-5", "column 3: expected revision 1 of a SID, found \"2-5\""),
        ("S-1-", "column 5: expected the authority of a SID, but the text ends"),
        ("S-1-x", "column 5: expected the authority of a SID, found \"x\""),
        ("S-1-05", "column 5: expected the authority of a SID, found \"05\""),
        ("S-1-281474976710656", "column 5: expected an authority of at most 48 bits, found \"281474976710656\""),
        ("S-1-0x1000000000000", "column 19: expected the end of the SID, found \"0\""),
        ("S-1-0x", "column 5: expected the authority of a SID, found \"0x\""),
        ("S-1-5-0x12", "column 7: the sub-authorities of a SID are decimal: write 18 for 0x12"),
        ("S-1-0x5-0X20-0x220", "column 9: the sub-authorities of a SID are decimal: write 32 for 0x20"),
        ("S-1-5-0x", "column 7: expected a sub-authority of 32 bits, found \"0x\""),
        ("S-1-5-0x100000000", "column 7: expected a sub-authority of 32 bits, found \"0x100000000\""),
        ("S-1-5-", "column 7: expected a sub-authority of 32 bits, but the text ends"),
        ("S-1-5-4294967296", "column 7: expected a sub-authority of 32 bits, found \"4294967296\""),
        ("S-1-5-99999999999999999999", "column 7: expected a sub-authority of 32 bits, found \"9999999999999999\""),
        ("S-1-5-18 ", "column 9: expected the end of the SID, found \" \""),
        (
            "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16",
            "column 42: expected the end of the SID: it has at most 15 sub-authorities, found \"-16\"",
        ),
        ("S-1-é", "column 5: expected the authority of a SID, found \"é\""),
        ("é", "column 1: expected a SID such as S-1-5-18, found \"é\""),
    ] {
        assert_eq!(text.parse::<Sid>().expect_err(text).to_string(), expected);
    }
}

#[test]
fn users_and_groups_of_linux() {
    assert_eq!(Sid::from_uid(1000), sid("S-1-22-1-1000"));
    assert_eq!(Sid::from_gid(100), sid("S-1-22-2-100"));
    assert_eq!((Sid::from_uid(7).uid(), Sid::from_uid(7).gid()), (Some(7), None));
    assert_eq!((Sid::from_gid(7).uid(), Sid::from_gid(7).gid()), (None, Some(7)));
    for other in ["S-1-22-3-7", "S-1-22-1", "S-1-22-1-7-7", "S-1-5-1-7", "S-1-5-18"] {
        assert_eq!((sid(other).uid(), sid(other).gid()), (None, None), "{other}");
    }
    for root in [Sid::from_uid(0), Sid::SYSTEM, Sid::ADMINISTRATORS] {
        assert!(root.is_root());
    }
    for other in [Sid::from_gid(0), Sid::from_uid(1), Sid::EVERYONE] {
        assert!(!other.is_root());
    }
    assert_eq!(Sid::ADMINISTRATORS.name(), Some("Administrators"));
    assert_eq!(Sid::from_uid(0).name(), None);
}

#[test]
fn aliases() {
    for (alias, expected) in [
        ("WD", "S-1-1-0"),
        ("CO", "S-1-3-0"),
        ("CG", "S-1-3-1"),
        ("OW", "S-1-3-4"),
        ("NU", "S-1-5-2"),
        ("IU", "S-1-5-4"),
        ("SU", "S-1-5-6"),
        ("AN", "S-1-5-7"),
        ("ED", "S-1-5-9"),
        ("PS", "S-1-5-10"),
        ("AU", "S-1-5-11"),
        ("RC", "S-1-5-12"),
        ("SY", "S-1-5-18"),
        ("LS", "S-1-5-19"),
        ("NS", "S-1-5-20"),
        ("WR", "S-1-5-33"),
        ("BA", "S-1-5-32-544"),
        ("BU", "S-1-5-32-545"),
        ("BG", "S-1-5-32-546"),
        ("PU", "S-1-5-32-547"),
        ("AO", "S-1-5-32-548"),
        ("SO", "S-1-5-32-549"),
        ("PO", "S-1-5-32-550"),
        ("BO", "S-1-5-32-551"),
        ("RE", "S-1-5-32-552"),
        ("RU", "S-1-5-32-554"),
        ("RD", "S-1-5-32-555"),
        ("NO", "S-1-5-32-556"),
        ("MU", "S-1-5-32-558"),
        ("LU", "S-1-5-32-559"),
        ("IS", "S-1-5-32-568"),
        ("CY", "S-1-5-32-569"),
        ("ER", "S-1-5-32-573"),
        ("CD", "S-1-5-32-574"),
        ("RA", "S-1-5-32-575"),
        ("ES", "S-1-5-32-576"),
        ("MS", "S-1-5-32-577"),
        ("HA", "S-1-5-32-578"),
        ("AA", "S-1-5-32-579"),
        ("RM", "S-1-5-32-580"),
        ("UD", "S-1-5-84-0-0-0-0-0"),
        ("AC", "S-1-15-2-1"),
        ("LW", "S-1-16-4096"),
        ("ME", "S-1-16-8192"),
        ("MP", "S-1-16-8448"),
        ("HI", "S-1-16-12288"),
        ("SI", "S-1-16-16384"),
        ("AS", "S-1-18-1"),
        ("SS", "S-1-18-2"),
    ] {
        assert_eq!(sd(&format!("O:{alias}")).owner, Some(sid(expected)), "{alias}");
        assert_eq!(sd(&format!("O:{}", alias.to_lowercase())).owner, Some(sid(expected)), "{alias}");
        assert_eq!(sd(&format!("O:{expected}")).to_string(), format!("O:{alias}"));
    }
    for (alias, sentence) in [
        (
            "DA",
            "DA (Domain Admins) is another SID in every domain: write it out, S-1-5-21-…-512, or the Linux group that is meant, gid:NUMBER",
        ),
        (
            "ro",
            "RO (Enterprise Read-only Domain Controllers) is another SID in every domain: write it out, S-1-5-21-…-498, or the Linux group that is meant, gid:NUMBER",
        ),
        (
            "LA",
            "LA (Administrator) is another SID in every domain: write it out, S-1-5-21-…-500, or the Linux user that is meant, uid:NUMBER",
        ),
    ] {
        assert_eq!(refused(&format!("O:{alias}")), format!("column 3: {sentence}"));
        assert_eq!(refused(&format!("O:{alias}G:SY")), format!("column 3: {sentence}"));
        assert_eq!(refused(&format!("D:(A;;GA;;;{alias})")), format!("column 12: {sentence}"));
    }
    for alias in ["AP", "CA", "CN", "DA", "DC", "DD", "DG", "DU", "EA", "EK", "KA", "LA", "LG", "PA", "RO", "RS", "SA"]
    {
        assert!(refused(&format!("O:{alias}")).contains("is another SID in every domain"), "{alias}");
    }
}

#[test]
fn rights() {
    for (token, bits) in [
        ("GA", 0x1000_0000),
        ("GR", 0x8000_0000),
        ("GW", 0x4000_0000),
        ("GX", 0x2000_0000),
        ("RC", 0x2_0000),
        ("SD", 0x1_0000),
        ("WD", 0x4_0000),
        ("WO", 0x8_0000),
        ("FA", 0x1F_01FF),
        ("FR", 0x12_0089),
        ("FW", 0x12_0116),
        ("FX", 0x12_00A0),
        ("KA", 0xF_003F),
        ("KR", 0x2_0019),
        ("KW", 0x2_0006),
        ("KX", 0x2_0019),
        ("CC", 0x1),
        ("DC", 0x2),
        ("LC", 0x4),
        ("SW", 0x8),
        ("RP", 0x10),
        ("WP", 0x20),
        ("DT", 0x40),
        ("LO", 0x80),
        ("CR", 0x100),
        ("", 0),
        ("0", 0),
        ("1", 1),
        ("2031617", 0x1F_0001),
        ("0x1f0001", 0x1F_0001),
        ("0X1F0001", 0x1F_0001),
        ("GAGRCCCC", 0x9000_0001),
        ("4294967295", u32::MAX),
    ] {
        assert_eq!(mask_of(token), bits, "{token}");
    }
    for (bits, written) in [
        (0, ""),
        (1, "CC"),
        (0x1F_0001, "0x1f0001"),
        (0x1000_0000, "GA"),
        (0xC000_0000, "GWGR"),
        (0xE001_0000, "SDGXGWGR"),
        (0xF_0000, "SDRCWDWO"),
        (0xF_01FF, "CCDCLCSWRPWPDTLOCRSDRCWDWO"),
        (0x2_018D, "CCLCSWLOCRRC"),
        (0x2_0001, "CCRC"),
        (0x1F_01FF, "FA"),
        (0x12_0089, "FR"),
        (0x12_0116, "FW"),
        (0x12_00A0, "FX"),
        (0x12_00A9, "0x1200a9"),
        (0xF_003F, "KA"),
        (0x2_0019, "KR"),
        (0x2_0006, "KW"),
        (0x9002_0000, "RCGAGR"),
        (0x1002_0001, "CCRCGA"),
        (0x200, "0x200"),
        (0x0100_0000, "0x1000000"),
    ] {
        let ace = Ace::allow(Sid::EVERYONE, AccessMask::from_bits_retain(bits));
        assert_eq!(ace.to_string(), format!("(A;;{written};;;WD)"));
    }
}

#[test]
fn flags() {
    for (token, flag) in [
        ("OI", AceFlags::OBJECT_INHERIT),
        ("CI", AceFlags::CONTAINER_INHERIT),
        ("NP", AceFlags::NO_PROPAGATE_INHERIT),
        ("IO", AceFlags::INHERIT_ONLY),
        ("ID", AceFlags::INHERITED),
        ("CR", AceFlags::CRITICAL),
        ("SA", AceFlags::SUCCESSFUL_ACCESS),
        ("FA", AceFlags::FAILED_ACCESS),
    ] {
        let text = format!("D:(D;{token};GA;;;WD)");
        assert_eq!(sd(&text).entries().unwrap()[0].flags, flag);
        assert_eq!(sd(&text).to_string(), text);
    }
    assert_eq!(sd("D:(A;idcioi;;;;WD)").to_string(), "D:(A;OICIID;;;;WD)");
    for (text, control) in [
        ("D:P", Control::DACL_PROTECTED),
        ("D:AR", Control::DACL_AUTO_INHERIT_REQ),
        ("D:AI", Control::DACL_AUTO_INHERITED),
        ("D:PARAI", AclKind::Dacl.control()),
    ] {
        assert_eq!((sd(text).control, sd(text).dacl), (control, Acl::List(Vec::new())));
        assert_eq!(sd(text).to_string(), text);
        let null = format!("{text}NO_ACCESS_CONTROL");
        assert_eq!((sd(&null).control, sd(&null).dacl), (control, Acl::Null));
        assert_eq!(sd(&null).to_string(), null);
    }
}

#[test]
fn the_three_ways_of_a_list_stay_apart() {
    assert_eq!(sd("").dacl, Acl::Absent);
    assert_eq!(sd("O:SYG:BA").dacl, Acl::Absent);
    assert_eq!(sd("D:no_access_control").dacl, Acl::Null);
    assert_eq!(sd("D:").dacl, Acl::List(Vec::new()));
    for text in ["", "O:SYG:BA", "D:NO_ACCESS_CONTROL", "D:", "G:SYD:P"] {
        assert_eq!(sd(text).to_string(), text);
    }
    assert_eq!(sd("D:").sacl, Acl::Absent);
    assert_eq!(sd("S:no_access_control").sacl, Acl::Null);
    assert_eq!(sd("S:").sacl, Acl::List(Vec::new()));
}

#[test]
fn labels_and_audit_are_kept() {
    let pasted = sd("D:(A;;GA;;;BA)(A;;GA;;;SY)S:(ML;;NW;;;LW)");
    assert_eq!(pasted.sacl, Acl::List(vec![Ace::label(Integrity::LOW, AccessMask::NO_WRITE_UP)]));
    assert_eq!(pasted.label(), Some((Integrity::LOW, AccessMask::NO_WRITE_UP)));
    let audit = Ace {
        kind: AceKind::Audit,
        flags: AceFlags::SUCCESSFUL_ACCESS | AceFlags::FAILED_ACCESS,
        ..Ace::allow(Sid::EVERYONE, AccessMask::GENERIC_ALL)
    };
    assert_eq!(sd("S:(AU;SAFA;GA;;;WD)").sacl, Acl::List(vec![audit]));
    for text in [
        "S:",
        "S:NO_ACCESS_CONTROL",
        "S:PARAINO_ACCESS_CONTROL",
        "S:(ML;;NW;;;LW)",
        "S:(ML;OICI;NWNRNX;;;S-1-16-1)",
        "S:(ML;;0x8;;;HI)",
        "S:(AU;SAFA;FA;;;WD)(AL;;;;;BU)",
        "O:SYG:SYD:P(A;;0x1f0001;;;BA)S:AI(AU;IDSA;CCDC;;;WD)(ML;;;;;ME)",
    ] {
        assert_eq!(sd(text).to_string(), text);
    }
    assert_eq!(sd("S:PD:AI").control, Control::SACL_PROTECTED | Control::DACL_AUTO_INHERITED);
    assert_eq!(sd("s: p "), sd("S:P"));
    assert_eq!(sd("S:(ml;;nwnx;;;lw) D:"), sd("D:S:(ML;;5;;;S-1-16-4096)"));
    // The letters of one kind mean nothing in the other.
    assert!(refused("D:(A;;NW;;;WD)").starts_with("column 7: expected a right"));
    assert_eq!(refused("S:(ML;;GA;;;LW)"), "column 8: expected NW, NR, NX or \";\" after them, found \"GA;;;LW)\"");
    for sid in ["WD", "S-1-16", "S-1-16-1-2", "S-1-5-4096", "uid:0"] {
        let message = refused(&format!("S:(ML;;NW;;;{sid})"));
        let expected = "column 13: expected the level of a label: LW, ME, HI, SI or S-1-16-NUMBER, found ";
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn names_are_explained() {
    for (text, expected) in [
        ("O:root", "column 3: names are not looked up: write SY or uid:0 for root"),
        ("O:rootG:root", "column 3: names are not looked up: write uid:NUMBER or gid:NUMBER, which \"id rootG\" shows"),
        ("D:(A;;GA;;;root)", "column 12: names are not looked up: write SY or uid:0 for root"),
        ("O:uid:root", "column 7: names are not looked up: write uid:0 for root"),
        ("O:gid:root", "column 7: names are not looked up: write gid:0 for root"),
        (
            "O:uid:alice",
            "column 7: names are not looked up: write uid:NUMBER or gid:NUMBER, which \"id -u alice\" shows",
        ),
        (
            "D:(A;;GA;;;gid:wheel)",
            "column 16: names are not looked up: write uid:NUMBER or gid:NUMBER, which \"getent group wheel\" shows",
        ),
        (
            "D:(A;;GA;;;www-data)",
            "column 12: names are not looked up: write uid:NUMBER or gid:NUMBER, which \"id www-data\" shows",
        ),
        // It begins with an alias, and with one that needs a domain.
        ("O:bart", "column 3: names are not looked up: write uid:NUMBER or gid:NUMBER, which \"id bart\" shows"),
        ("O:dana", "column 3: names are not looked up: write uid:NUMBER or gid:NUMBER, which \"id dana\" shows"),
        ("D:(A;;GA;;;Everyone)", "column 12: names are not looked up: write WD for Everyone"),
        ("O:Administrators", "column 3: names are not looked up: write BA for Administrators"),
        ("O:system", "column 3: names are not looked up: write SY for SYSTEM"),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
}

#[test]
fn what_we_allow_beyond_windows() {
    let expected = sd("O:S-1-22-1-1000G:S-1-22-2-100D:P(A;;GA;;;S-1-22-1-0)(D;;GA;;;S-1-22-2-27)");
    assert_eq!(sd("  D: P (a;;ga;;;UID:0)\n\t(d;;ga;;;gid:27) G:gid:100 o:uid:1000 \n"), expected);
    assert_eq!(format!("{expected:#}"), "O:uid:1000G:gid:100D:P(A;;GA;;;uid:0)(D;;GA;;;gid:27)");
    assert_eq!(expected.to_string(), "O:S-1-22-1-1000G:S-1-22-2-100D:P(A;;GA;;;S-1-22-1-0)(D;;GA;;;S-1-22-2-27)");
    // A hexadecimal number ends where it is full, not at the next letter that could be a digit.
    assert_eq!(sd("O:S-1-0x000100000000D:"), sd("O:S-1-4294967296 D:"));
    // An alias that begins like the next part: owner and group need no space between.
    assert_eq!(sd("O:SOG:SYD:"), sd("G:SY O:S-1-5-32-549 D:"));
}

#[test]
fn errors_name_the_column_and_what_was_expected() {
    for (text, expected) in [
        ("X:", "column 1: expected O:, G:, D: or S:, each at most once, found \"X:\""),
        ("S:S:", "column 3: expected O:, G:, D: or S:, each at most once, found \"S:\""),
        ("O:BAO:SY", "column 5: expected O:, G:, D: or S:, each at most once, found \"O:SY\""),
        ("G:BAG:SY", "column 5: expected O:, G:, D: or S:, each at most once, found \"G:SY\""),
        ("D:D:", "column 3: expected O:, G:, D: or S:, each at most once, found \"D:\""),
        ("D:(A;;GA;;;WD)x", "column 15: expected O:, G:, D: or S:, each at most once, found \"x\""),
        (
            "O:",
            "column 3: expected a SID (S-1-…), an alias (BA, SY, WD, …), uid:NUMBER or gid:NUMBER, but the text ends",
        ),
        ("O:é", "column 3: expected a SID (S-1-…), an alias (BA, SY, WD, …), uid:NUMBER or gid:NUMBER, found \"é\""),
        ("O:uid:", "column 7: expected the number of a user, but the text ends"),
        ("O:uid:-1", "column 7: expected the number of a user, found \"-1\""),
        ("O:gid:4294967296", "column 7: expected the number of a group, found \"4294967296\""),
        ("O:user:me", "column 3: names are not looked up: write uid:NUMBER or gid:NUMBER, which \"id user\" shows"),
        ("D:(", "column 4: expected the kind of an entry, A or D, but the text ends"),
        ("D:(B;;GA;;;WD)", "column 4: expected the kind of an entry, A or D, found \"B;;GA;;;WD)\""),
        ("D:(A)", "column 5: expected \";\" after the kind, found \")\""),
        (
            "D:(A;XX;GA;;;WD)",
            "column 6: expected a flag (OI, CI, NP, IO, ID, …) or \";\" after the flags, found \"XX;GA;;;WD)\"",
        ),
        (
            "D:(A;;GAxx;;;WD)",
            "column 9: expected a right (GA, RC, FR, …) or \";\" after the rights, found \"xx;;;WD)\"",
        ),
        (
            "D:(A;;010;;;WD)",
            "column 7: expected rights as a number of 32 bits, without leading zero, found \"010;;;WD)\"",
        ),
        (
            "D:(A;;0x;;;WD)",
            "column 7: expected rights as a number of 32 bits, without leading zero, found \"0x;;;WD)\"",
        ),
        (
            "D:(A;;0x100000000;;;WD)",
            "column 7: expected rights as a number of 32 bits, without leading zero, found \"0x100000000;;;WD\"",
        ),
        ("D:(A;;GA;x;;WD)", "column 10: expected \";\": only object entries have an object type, found \"x;;WD)\""),
        (
            "D:(A;;GA;;x;WD)",
            "column 11: expected \";\": only object entries have an inherited object type, found \"x;WD)\"",
        ),
        ("D:(A;;GA;;;WD", "column 14: expected \")\" after the SID, but the text ends"),
        ("D:(A;;GA;;;WD;(x))", "column 14: expected \")\" after the SID, found \";(x))\""),
        ("S:(", "column 4: expected the kind of an entry, ML, AU or AL, but the text ends"),
        ("S:(A;;GA;;;WD)", "column 4: allow entries (A) stand in D:, not in S:"),
        ("D:(ML;;NW;;;LW)", "column 4: mandatory labels (ML) stand in S:, not in D:"),
        ("D:(au;;GA;;;WD)", "column 4: audit entries (AU) stand in S:, not in D:"),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
}

#[test]
fn unsupported_kinds_are_named() {
    for kind in ["OA", "OD", "OU", "OL", "XA", "XD", "XU", "ZA", "RA", "SP", "TL", "FL"] {
        for list in ["D:", "S:"] {
            let message = refused(&format!("{list}({kind};;GA;;;WD)"));
            assert!(message.starts_with("column 4: ") && message.contains(&format!("({kind}) are not")), "{message}");
        }
    }
    assert_eq!(
        refused("S:(TL;;0x1;;;S-1-19-512-1024)"),
        "column 4: process trust labels (TL) are not supported: only ML, AU and AL are"
    );
    assert_eq!(
        refused("D:(XA;;FX;;;S-1-1-0;(@User.Title==\"PM\"))"),
        "column 4: conditional allow entries (XA) are not supported: only A and D are"
    );
}

#[test]
fn a_list_that_has_no_binary_form_is_refused() {
    const ENTRY: &str = "(A;;GA;;;WD)";
    let longest = (usize::from(u16::MAX) - 8) / 20;
    let text = format!("D:{}", ENTRY.repeat(longest));
    assert!(sd(&text).to_bytes().is_ok());
    let message = refused(&format!("{text}{ENTRY}"));
    assert_eq!(
        message,
        format!("column {}: the list is longer than 65535 bytes in binary form: use a group", text.len() + 1)
    );
}

#[test]
fn errors_are_values() {
    let error = "O:BA O:SY".parse::<SecurityDescriptor>().unwrap_err();
    let what = "O:, G:, D: or S:, each at most once";
    assert_eq!(error, SyntaxError { at: 5, problem: Problem::Expected { what, found: String::from("O:SY") } });
    assert_eq!(Status::from(error), Status::INVALID_PARAMETER);
}
