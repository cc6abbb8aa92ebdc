//! What holds for every descriptor: what is written is read back, nothing panics, and the laws of the access check.
#![allow(missing_docs, reason = "a test")]
use fltmgr_proto::access::{AccessMask, GenericMapping, Integrity, Token, access_check, check_connect, explain};
use fltmgr_proto::descriptor::{Ace, AceFlags, AceKind, Acl, AclKind, Control, SecurityDescriptor};
use fltmgr_proto::sid::Sid;
use fltmgr_proto::status::Status;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const PORT: &GenericMapping = &GenericMapping::PORT;

fn any_sid() -> impl Strategy<Value = Sid> {
    let authority = prop_oneof![Just(5u64), Just(22), 0..1u64 << 48];
    (authority, vec(any::<u32>(), 0..=15)).prop_map(|(authority, numbers)| Sid::new(authority, &numbers).unwrap())
}

/// Few, so that entries, owners and tokens meet.
fn near_sid() -> impl Strategy<Value = Sid> {
    select(vec![
        Sid::from_uid(0),
        Sid::from_uid(1000),
        Sid::from_gid(100),
        Sid::SYSTEM,
        Sid::ADMINISTRATORS,
        Sid::EVERYONE,
        Sid::OWNER_RIGHTS,
    ])
}

fn any_mask() -> impl Strategy<Value = AccessMask> {
    any::<u32>().prop_map(AccessMask::from_bits_retain)
}

/// Rights, generic ones among them, that meet each other.
fn near_mask() -> impl Strategy<Value = AccessMask> {
    let bits = vec![0x1, 0x2, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000, 0x1000_0000, 0x8000_0000u32];
    let few = subsequence(bits, 0..5).prop_map(|bits| bits.into_iter().fold(0, |mask, bit| mask | bit));
    prop_oneof![few, Just(AccessMask::PORT_ALL_ACCESS.bits())].prop_map(AccessMask::from_bits_retain)
}

fn ace(sid: impl Strategy<Value = Sid>, mask: impl Strategy<Value = AccessMask>) -> impl Strategy<Value = Ace> {
    let kind = select(vec![AceKind::Allow, AceKind::Deny]);
    let flags = any::<u8>().prop_map(AceFlags::from_bits_retain);
    (kind, flags, mask, sid).prop_map(|(kind, flags, mask, sid)| Ace { kind, flags, mask, sid })
}

/// An entry of the other list.
fn system_ace() -> impl Strategy<Value = Ace> {
    let label = (select(vec![Integrity::LOW, Integrity::HIGH]), any_mask())
        .prop_map(|(level, forbidden)| Ace::label(level, forbidden));
    let audit = (ace(near_sid(), any_mask()), select(vec![AceKind::Audit, AceKind::Alarm]))
        .prop_map(|(ace, kind)| Ace { kind, ..ace });
    prop_oneof![label, audit]
}

fn descriptor(
    sid: impl Strategy<Value = Sid> + Clone + 'static,
    mask: impl Strategy<Value = AccessMask> + 'static,
) -> impl Strategy<Value = SecurityDescriptor> {
    let list = vec(ace(sid.clone(), mask), 0..8).prop_map(Acl::List);
    let dacl = prop_oneof![1 => Just(Acl::Absent), 1 => Just(Acl::Null), 8 => list];
    let control = any::<u16>().prop_map(Control::from_bits_truncate);
    (proptest::option::of(sid.clone()), proptest::option::of(sid), dacl, control).prop_map(
        |(owner, group, dacl, control)| {
            let control = control_of(control, &dacl, AclKind::Dacl);
            SecurityDescriptor { owner, group, dacl, sacl: Acl::Absent, control }
        },
    )
}

/// The flags of a list that is there.
fn control_of(control: Control, acl: &Acl, kind: AclKind) -> Control {
    if *acl == Acl::Absent { Control::empty() } else { control.intersection(kind.control()) }
}

fn any_descriptor() -> impl Strategy<Value = SecurityDescriptor> {
    let sacl = prop_oneof![Just(Acl::Absent), Just(Acl::Null), vec(system_ace(), 0..4).prop_map(Acl::List)];
    let descriptor = descriptor(prop_oneof![any_sid().boxed(), near_sid().boxed()], any_mask());
    (descriptor, sacl, any::<u16>().prop_map(Control::from_bits_truncate)).prop_map(|(descriptor, sacl, control)| {
        let control = descriptor.control | control_of(control, &sacl, AclKind::Sacl);
        SecurityDescriptor { sacl, control, ..descriptor }
    })
}

fn near_descriptor() -> impl Strategy<Value = SecurityDescriptor> {
    descriptor(near_sid().boxed(), near_mask())
}

fn token() -> impl Strategy<Value = Token> {
    let sids = subsequence(
        vec![
            Sid::from_uid(0),
            Sid::from_uid(1000),
            Sid::from_gid(100),
            Sid::SYSTEM,
            Sid::ADMINISTRATORS,
            Sid::EVERYONE,
        ],
        0..=6,
    );
    sids.prop_map(|sids| Token { sids, ..Token::default() })
}

/// Everything the token has, found by asking for one bit after the other.
fn one_by_one(descriptor: &SecurityDescriptor, token: &Token) -> AccessMask {
    (0..28)
        .map(|bit| AccessMask::from_bits_retain(1 << bit))
        .filter(|right| *right != AccessMask::MAXIMUM_ALLOWED)
        .filter(|right| access_check(descriptor, token, *right, PORT).is_ok())
        .collect()
}

/// The descriptor with one more entry, at the front or at the end; nothing if it has no list.
fn with_entry(descriptor: &SecurityDescriptor, entry: Ace, front: bool) -> Option<SecurityDescriptor> {
    let mut descriptor = descriptor.clone();
    let Acl::List(entries) = &mut descriptor.dacl else { return None };
    entries.insert(if front { 0 } else { entries.len() }, entry);
    Some(descriptor)
}

/// No file of past failures: a case that failed becomes a case of its own in the other tests.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, max_global_rejects: u32::MAX, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn sids_come_back(sid in any_sid()) {
        prop_assert_eq!(sid.to_string().parse(), Ok(sid));
        prop_assert_eq!(Sid::from_bytes(&sid.to_bytes()), Ok(sid));
        prop_assert_eq!(sid.to_bytes().len(), sid.len());
    }

    #[test]
    fn users_and_groups_come_back(id in any::<u32>()) {
        prop_assert_eq!(Sid::from_uid(id).uid(), Some(id));
        prop_assert_eq!(Sid::from_gid(id).gid(), Some(id));
        prop_assert_ne!(Sid::from_uid(id), Sid::from_gid(id));
    }

    #[test]
    fn descriptors_come_back(descriptor in any_descriptor()) {
        prop_assert_eq!(descriptor.to_string().parse(), Ok(descriptor.clone()));
        prop_assert_eq!(format!("{descriptor:#}").parse(), Ok(descriptor.clone()));
        let bytes = descriptor.to_bytes().unwrap();
        prop_assert_eq!(SecurityDescriptor::from_bytes(&bytes), Ok(descriptor));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*") {
        let _ = text.parse::<Sid>();
        let _ = text.parse::<SecurityDescriptor>().map_err(|error| error.to_string());
    }

    /// Text that is nearly right reaches further than any text.
    #[test]
    fn damaged_text_is_read_or_refused(descriptor in any_descriptor(), at in any::<prop::sample::Index>(), with in "\\PC{0,3}") {
        let mut text = descriptor.to_string();
        let at = at.index(text.len() + 1);
        text.replace_range(at..(at + 1).min(text.len()), &with);
        if let Ok(read) = text.parse::<SecurityDescriptor>() {
            prop_assert_eq!(read.to_string().parse(), Ok(read));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Sid::from_bytes(&bytes);
        let _ = SecurityDescriptor::from_bytes(&bytes).map_err(|error| error.to_string());
    }

    #[test]
    fn damaged_bytes_are_read_or_refused(
        descriptor in any_descriptor(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = descriptor.to_bytes().unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            if let Ok(read) = SecurityDescriptor::from_bytes(bytes) {
                let again = read.to_bytes().unwrap();
                prop_assert_eq!(SecurityDescriptor::from_bytes(&again), Ok(read));
            }
        }
    }

    #[test]
    fn every_status_has_a_text_and_an_hresult(status in any::<u32>()) {
        let status = Status(status);
        prop_assert!(!status.to_string().is_empty());
        prop_assert_eq!(status.to_hresult().0 == 0, status == Status::SUCCESS);
    }

    #[test]
    fn an_allow_at_the_end_removes_nothing(
        descriptor in near_descriptor(), token in token(), sid in near_sid(), mask in near_mask(),
    ) {
        // An entry for OWNER RIGHTS takes the owner's implicit rights away wherever it stands: that is its purpose.
        prop_assume!(sid != Sid::OWNER_RIGHTS);
        let before = one_by_one(&descriptor, &token);
        if let Some(more) = with_entry(&descriptor, Ace::allow(sid, mask), false) {
            prop_assert!(one_by_one(&more, &token).contains(before));
        }
    }

    #[test]
    fn a_deny_at_the_front_adds_nothing(
        descriptor in near_descriptor(), token in token(), sid in near_sid(), mask in near_mask(),
    ) {
        let before = one_by_one(&descriptor, &token);
        if let Some(less) = with_entry(&descriptor, Ace::deny(sid, mask), true) {
            prop_assert!(before.contains(one_by_one(&less, &token)));
        }
    }

    #[test]
    fn entries_for_others_and_for_children_do_not_matter(
        descriptor in near_descriptor(), token in token(), entry in ace(near_sid(), near_mask()), front in any::<bool>(),
    ) {
        let before = one_by_one(&descriptor, &token);
        let inherit_only = Ace { flags: entry.flags | AceFlags::INHERIT_ONLY, ..entry };
        let absent = Ace { sid: Sid::from_uid(4711), ..entry };
        for entry in [inherit_only, absent] {
            if let Some(same) = with_entry(&descriptor, entry, front) {
                prop_assert_eq!(one_by_one(&same, &token), before);
            }
        }
    }

    /// A label takes rights away and gives none; below its level it leaves what it does not forbid.
    #[test]
    fn a_label_takes_away_from_those_below_it(
        descriptor in near_descriptor(), token in token(), level in any::<u32>(), forbidden in 0u32..8,
    ) {
        let level = Integrity::of(&Sid::new(16, &[level]).unwrap()).unwrap();
        let label = Ace::label(level, AccessMask::from_bits_retain(forbidden));
        let labelled = SecurityDescriptor { sacl: Acl::List(vec![label]), ..descriptor.clone() };
        let (before, after) = (one_by_one(&descriptor, &token), one_by_one(&labelled, &token));
        prop_assert!(before.contains(after));
        if token.integrity >= level || forbidden == 0 {
            prop_assert_eq!(before, after);
        } else {
            prop_assert!(check_connect(&labelled, &token).is_err());
        }
    }

    #[test]
    fn no_more_is_granted_than_wished_for(descriptor in near_descriptor(), token in token(), desired in near_mask()) {
        if let Ok(granted) = access_check(&descriptor, &token, desired, PORT) {
            prop_assert_eq!(granted, PORT.map(desired));
        }
    }

    #[test]
    fn a_wish_is_granted_if_each_of_its_rights_is(descriptor in near_descriptor(), token in token(), desired in near_mask()) {
        let each = one_by_one(&descriptor, &token).contains(PORT.map(desired));
        prop_assert_eq!(access_check(&descriptor, &token, desired, PORT).is_ok(), each);
    }

    #[test]
    fn maximum_allowed_is_the_union_of_all_rights(descriptor in near_descriptor(), token in token(), desired in near_mask()) {
        // Without a list every right is granted, those that the object does not have included: see the next property.
        prop_assume!(descriptor.entries().is_some());
        let union = one_by_one(&descriptor, &token);
        let maximum = access_check(&descriptor, &token, AccessMask::MAXIMUM_ALLOWED, PORT);
        prop_assert_eq!(maximum, if union.is_empty() { Err(Status::ACCESS_DENIED) } else { Ok(union) });
        let both = access_check(&descriptor, &token, AccessMask::MAXIMUM_ALLOWED | desired, PORT);
        prop_assert_eq!(both, if union.contains(PORT.map(desired)) { maximum } else { Err(Status::ACCESS_DENIED) });
    }

    #[test]
    fn without_a_list_everything_is_granted(
        descriptor in near_descriptor(), null in any::<bool>(), token in token(), desired in near_mask(),
    ) {
        let descriptor = SecurityDescriptor { dacl: if null { Acl::Null } else { Acl::Absent }, ..descriptor };
        prop_assert_eq!(access_check(&descriptor, &token, desired, PORT), Ok(PORT.map(desired)));
        let maximum = access_check(&descriptor, &token, AccessMask::MAXIMUM_ALLOWED, PORT);
        prop_assert_eq!(maximum, Ok(PORT.all));
    }

    #[test]
    fn more_sids_see_every_entry_that_fewer_saw(descriptor in near_descriptor(), token in token()) {
        let denies = |ace: &Ace| ace.kind == AceKind::Deny || ace.sid == Sid::OWNER_RIGHTS;
        prop_assume!(!descriptor.entries().unwrap_or_default().iter().any(denies));
        let more = Token { sids: [&token.sids[..], &[Sid::from_gid(100)]].concat(), ..token.clone() };
        prop_assert!(one_by_one(&descriptor, &more).contains(one_by_one(&descriptor, &token)));
    }

    /// Who is named in the explanation can connect, and it says "nobody" only if nobody named in an entry can.
    #[test]
    fn the_explanation_agrees_with_the_check(descriptor in near_descriptor()) {
        let words = explain(&descriptor);
        let connects = |uid, gid| check_connect(&descriptor, &Token::for_unix(uid, gid, &[])).is_ok();
        prop_assert!(!words.is_empty());
        if words.starts_with("Everyone") || words.starts_with("everyone") {
            prop_assert!(connects(1234, 1234) || words.contains(", but not"), "{}: {}", descriptor, words);
        }
        if words.starts_with("nobody: its list") || words.ends_with("grants anything") {
            prop_assert!(!connects(0, 0) && !connects(1000, 100), "{}: {}", descriptor, words);
        }
        let (admits, _) = words.split_once(", but not").unwrap_or((&words, ""));
        if admits.contains("(root)") && !admits.starts_with("nobody") && !words.contains(", but not") {
            prop_assert!(connects(0, 4711), "{}: {}", descriptor, words);
        }
    }
}
