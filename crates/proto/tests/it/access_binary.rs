//! SIDs and descriptors as bytes, written out by hand, and every way in which bytes can be wrong.
use fltmgr_proto::access::AccessMask;
use fltmgr_proto::descriptor::{
    Ace, AceFlags, AceKind, Acl, AclKind, Control, DescriptorError, MAX_LIST_LEN, SecurityDescriptor,
};
use fltmgr_proto::sid::{Sid, SidError};
use fltmgr_proto::status::Status;
use windows_sys::Win32::Security as windows;

/// S-1-5-18.
const SYSTEM: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];

/// D:(A;;0x1f0001;;;SY), owner SYSTEM, group SYSTEM, in the order of Windows: list, owner, group.
fn sample() -> Vec<u8> {
    let header = [1, 0, 0x04, 0x80, 48, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0];
    let list = [2, 0, 28, 0, 1, 0, 0, 0];
    let entry = [0, 0, 20, 0, 0x01, 0, 0x1F, 0];
    [&header[..], &list, &entry, &SYSTEM, &SYSTEM, &SYSTEM].concat()
}

const LIST: usize = 20;
const ENTRY: usize = 28;

fn read(bytes: &[u8]) -> Result<SecurityDescriptor, DescriptorError> {
    SecurityDescriptor::from_bytes(bytes)
}

/// The sample with some bytes replaced.
fn changed(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut sample = sample();
    sample[at..at + bytes.len()].copy_from_slice(bytes);
    sample
}

#[test]
fn a_sid_in_bytes() {
    assert_eq!(Sid::SYSTEM.to_bytes(), SYSTEM);
    assert_eq!(Sid::from_bytes(&SYSTEM), Ok(Sid::SYSTEM));
    assert_eq!(Sid::SYSTEM.len(), 12);
    let longest = Sid::new(0x0102_0304_0506, &[0x0807_0605; 15]).unwrap();
    let bytes = longest.to_bytes();
    assert_eq!(bytes[..12], [1, 15, 1, 2, 3, 4, 5, 6, 5, 6, 7, 8]);
    assert_eq!((bytes.len(), longest.len()), (Sid::MAX_LEN, 68));
    assert_eq!(Sid::from_bytes(&bytes), Ok(longest));
    assert_eq!(Sid::from_bytes(&[&SYSTEM[..], &[9, 9]].concat()), Ok(Sid::SYSTEM), "what follows is not looked at");
}

#[test]
fn wrong_sids() {
    for len in 0..SYSTEM.len() {
        assert_eq!(Sid::from_bytes(&SYSTEM[..len]), Err(SidError::Truncated));
    }
    let mut sid = SYSTEM;
    sid[0] = 2;
    assert_eq!(Sid::from_bytes(&sid), Err(SidError::Revision(2)));
    sid[..2].copy_from_slice(&[1, 16]);
    assert_eq!(Sid::from_bytes(&[&sid[..], &[0; 100]].concat()), Err(SidError::SubAuthorities(16)));
    assert_eq!(SidError::Revision(2).to_string(), "a SID of revision 2, only 1 is known");
    assert_eq!(SidError::SubAuthorities(16).to_string(), "a SID with 16 sub-authorities, at most 15 are allowed");
    assert_eq!(SidError::Truncated.to_string(), "a SID that ends too early");
    assert_eq!(Status::from(SidError::Truncated), Status::INVALID_SID);
}

#[test]
fn a_descriptor_in_bytes() {
    let expected: SecurityDescriptor = "O:SYG:SYD:(A;;0x1f0001;;;SY)".parse().unwrap();
    assert_eq!(read(&sample()), Ok(expected.clone()));
    assert_eq!(expected.to_bytes(), Ok(sample()));
    let flags = "D:PARAI(D;OICINPIOIDCRSAFA;0xffffffff;;;WD)".parse::<SecurityDescriptor>().unwrap();
    let bytes = flags.to_bytes().unwrap();
    assert_eq!(bytes[..4], [1, 0, 0x04, 0x95]);
    assert_eq!(bytes[28..36], [1, 0xFF, 20, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
    assert_eq!(read(&bytes), Ok(flags));
}

/// What ConvertStringSecurityDescriptorToSecurityDescriptor makes of the most common paste: labels first.
#[test]
fn a_label_in_bytes() {
    let descriptor: SecurityDescriptor = "D:S:P(ML;;NW;;;LW)".parse().unwrap();
    let header = [1, 0, 0x14, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 48, 0, 0, 0];
    let label = [2, 0, 28, 0, 1, 0, 0, 0, 0x11, 0, 20, 0, 1, 0, 0, 0];
    let low = [1, 1, 0, 0, 0, 0, 0, 16, 0, 0x10, 0, 0];
    let bytes = [&header[..], &label, &low, &[2, 0, 8, 0, 0, 0, 0, 0]].concat();
    assert_eq!(descriptor.to_bytes(), Ok(bytes.clone()));
    assert_eq!(read(&bytes), Ok(descriptor));
    let no_level = [&bytes[..43], &[17], &bytes[44..]].concat();
    let error = DescriptorError::Label { index: 0, sid: "S-1-17-4096".parse().unwrap() };
    assert_eq!(read(&no_level), Err(error));
    assert_eq!(
        error.to_string(),
        "entry 0 is a mandatory label of S-1-17-4096, which is no level of integrity (S-1-16-NUMBER)"
    );
    assert_eq!(Status::from(error), Status::INVALID_SID);
}

#[test]
fn audit_in_bytes_is_kept() {
    let text = "O:SYG:BAD:PAI(A;;0x1f0001;;;BA)S:AI(AU;SAFA;GA;;;WD)(ML;;NWNRNX;;;HI)(AL;;FA;;;BU)";
    let descriptor: SecurityDescriptor = text.parse().unwrap();
    let read = read(&descriptor.to_bytes().unwrap()).unwrap();
    assert_eq!(read, descriptor);
    assert_eq!(read.to_string(), text);
}

#[test]
fn the_sizes_are_those_of_windows() {
    assert_eq!(
        SecurityDescriptor::null_dacl().to_bytes().unwrap().len(),
        size_of::<windows::SECURITY_DESCRIPTOR_RELATIVE>()
    );
    let empty = size_of::<windows::SECURITY_DESCRIPTOR_RELATIVE>() + size_of::<windows::ACL>();
    assert_eq!(SecurityDescriptor::empty_dacl().to_bytes().unwrap().len(), empty);
    // The structures of Windows end in the first sub-authority.
    assert_eq!(Sid::SYSTEM.len(), size_of::<windows::SID>());
    let ace = Ace::allow(Sid::SYSTEM, AccessMask::PORT_ALL_ACCESS);
    assert_eq!(ace.len(), size_of::<windows::ACCESS_ALLOWED_ACE>() - 4 + size_of::<windows::SID>());
    assert_eq!(Control::DACL_PROTECTED.bits(), windows::SE_DACL_PROTECTED);
    assert_eq!(Control::DACL_AUTO_INHERITED.bits(), windows::SE_DACL_AUTO_INHERITED);
    assert_eq!(Control::DACL_AUTO_INHERIT_REQ.bits(), windows::SE_DACL_AUTO_INHERIT_REQ);
    assert_eq!(Control::SACL_PROTECTED.bits(), windows::SE_SACL_PROTECTED);
    assert_eq!(Control::SACL_AUTO_INHERITED.bits(), windows::SE_SACL_AUTO_INHERITED);
    assert_eq!(Control::SACL_AUTO_INHERIT_REQ.bits(), windows::SE_SACL_AUTO_INHERIT_REQ);
    assert_eq!(u32::from(AceFlags::INHERIT_ONLY.bits()), windows::INHERIT_ONLY_ACE);
    assert_eq!(u32::from(AceFlags::NO_PROPAGATE_INHERIT.bits()), windows::NO_PROPAGATE_INHERIT_ACE);
    assert_eq!(u32::from(AceFlags::INHERITED.bits()), windows::INHERITED_ACE);
    assert_eq!(Sid::MAX_LEN, windows::SECURITY_MAX_SID_SIZE as usize);
}

#[test]
fn the_three_ways_of_a_list() {
    let absent = changed(2, &[0x00, 0x80]);
    assert_eq!(read(&absent).unwrap().dacl, Acl::Absent, "the offset means nothing without the flag");
    let null = changed(16, &[0, 0, 0, 0]);
    assert_eq!(read(&null).unwrap().dacl, Acl::Null);
    let empty = changed(LIST + 2, &[8, 0, 0, 0]);
    assert_eq!(read(&empty).unwrap().dacl, Acl::List(Vec::new()));
    for dacl in [Acl::Absent, Acl::Null, Acl::List(Vec::new())] {
        let descriptor = SecurityDescriptor { dacl, ..SecurityDescriptor::null_dacl() };
        assert_eq!(read(&descriptor.to_bytes().unwrap()), Ok(descriptor));
    }
}

#[test]
fn what_is_allowed_though_we_never_write_it() {
    let sample_parsed = read(&sample()).unwrap();
    // Bytes behind the SID of an entry, behind the last entry, and behind everything.
    let header = [1, 0, 0x04, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0];
    let list = [4, 7, 36, 0, 1, 0, 7, 7, 0, 0, 24, 0, 0x01, 0, 0x1F, 0];
    let bytes = [&header[..], &list, &SYSTEM, &[9; 12]].concat();
    assert_eq!(read(&bytes).unwrap().dacl, sample_parsed.dacl);
    // How owner, group and list came about.
    assert_eq!(read(&changed(2, &[0x04 | 0x01 | 0x02 | 0x08, 0x80])), Ok(sample_parsed.clone()));
    // An audit list that is there and NULL.
    let null = SecurityDescriptor { sacl: Acl::Null, ..sample_parsed };
    assert_eq!(read(&changed(2, &[0x14, 0x80])), Ok(null));
    // An offset of an audit list that is not there.
    assert_eq!(read(&changed(12, &[44, 0, 0, 0])).unwrap(), read(&sample()).unwrap());
    // A control flag of a list that is not there is lost.
    assert_eq!(read(&changed(2, &[0x00, 0x90])).unwrap().control, Control::empty());
    let lost =
        SecurityDescriptor { dacl: Acl::Absent, control: Control::DACL_PROTECTED, ..SecurityDescriptor::null_dacl() };
    assert_eq!(lost.to_bytes().unwrap()[2..4], [0x00, 0x80]);
}

#[test]
fn no_prefix_is_a_descriptor() {
    let sample = sample();
    for len in 0..sample.len() {
        assert!(read(&sample[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn wrong_bytes_are_named() {
    use DescriptorError as E;
    let cases: &[(usize, &[u8], E, &str, Status)] = &[
        (0, &[2], E::Revision(2), "a security descriptor of revision 2, only 1 is known", Status::UNKNOWN_REVISION),
        (
            3,
            &[0],
            E::NotSelfRelative,
            "the security descriptor is not in self-relative form",
            Status::INVALID_SECURITY_DESCR,
        ),
        (
            4,
            &[73, 0, 0, 0],
            E::Truncated("the owner"),
            "the owner reaches past the end of the security descriptor",
            Status::INVALID_SECURITY_DESCR,
        ),
        (
            8,
            &[70, 0, 0, 0],
            E::Sid("the group", SidError::Truncated),
            "the group: a SID that ends too early",
            Status::INVALID_SID,
        ),
        (
            16,
            &[0xFF, 0xFF, 0xFF, 0xFF],
            E::Truncated("the list of entries"),
            "the list of entries reaches past the end of the security descriptor",
            Status::INVALID_SECURITY_DESCR,
        ),
        (
            16,
            &[70, 0, 0, 0],
            E::Truncated("the list of entries"),
            "the list of entries reaches past the end of the security descriptor",
            Status::INVALID_SECURITY_DESCR,
        ),
        (
            LIST,
            &[3],
            E::ListRevision(3),
            "an access control list of revision 3, only 2 and 4 are known",
            Status::INVALID_ACL,
        ),
        (
            LIST + 2,
            &[7, 0],
            E::Truncated("the list of entries"),
            "the list of entries reaches past the end of the security descriptor",
            Status::INVALID_SECURITY_DESCR,
        ),
        (
            LIST + 4,
            &[2, 0],
            E::Truncated("an entry"),
            "an entry reaches past the end of the security descriptor",
            Status::INVALID_SECURITY_DESCR,
        ),
        (
            ENTRY + 2,
            &[24, 0],
            E::Truncated("an entry"),
            "an entry reaches past the end of the security descriptor",
            Status::INVALID_SECURITY_DESCR,
        ),
        (
            ENTRY + 2,
            &[4, 0],
            E::EntrySize { index: 0, size: 4 },
            "entry 0 states an impossible size of 4 bytes",
            Status::INVALID_ACL,
        ),
        (
            ENTRY + 2,
            &[18, 0],
            E::EntrySize { index: 0, size: 18 },
            "entry 0 states an impossible size of 18 bytes",
            Status::INVALID_ACL,
        ),
        (
            ENTRY + 2,
            &[16, 0],
            E::Sid("an entry", SidError::Truncated),
            "an entry: a SID that ends too early",
            Status::INVALID_SID,
        ),
        (
            ENTRY + 8,
            &[9],
            E::Sid("an entry", SidError::Revision(9)),
            "an entry: a SID of revision 9, only 1 is known",
            Status::INVALID_SID,
        ),
    ];
    for (at, bytes, error, message, status) in cases {
        assert_eq!(read(&changed(*at, bytes)), Err(*error), "{bytes:?} at {at}");
        assert_eq!(error.to_string(), *message);
        assert_eq!(Status::from(*error), *status);
    }
    assert_eq!(read(&[]), Err(E::Truncated("the header")));
    // The list of entries in the place of the other.
    let mut swapped = changed(2, &[0x14, 0x80]);
    swapped[12..16].copy_from_slice(&[20, 0, 0, 0]);
    let error = E::Kind { list: AclKind::Sacl, index: 0, kind: AceKind::Allow as u8 };
    assert_eq!(read(&swapped), Err(error));
    assert_eq!(
        error.to_string(),
        "entry 0 of the audit list is of kind 0x00 (allow): only label, audit and alarm entries are supported there"
    );
    let mut past_the_end = changed(2, &[0x14, 0x80]);
    past_the_end[12..16].copy_from_slice(&[70, 0, 0, 0]);
    assert_eq!(read(&past_the_end), Err(E::Truncated("the audit list")));
}

#[test]
fn unsupported_kinds_are_named() {
    let names = [
        "audit",
        "alarm",
        "compound",
        "object allow",
        "object deny",
        "object audit",
        "object alarm",
        "callback (conditional) allow",
        "callback (conditional) deny",
        "callback object allow",
        "callback object deny",
        "callback (conditional) audit",
        "callback alarm",
        "callback object audit",
        "callback object alarm",
        "mandatory label",
        "resource attribute",
        "scoped policy",
        "process trust label",
        "access filter",
        "unknown",
    ];
    for (kind, name) in (2..).zip(names) {
        let error = DescriptorError::Kind { list: AclKind::Dacl, index: 0, kind };
        assert_eq!(read(&changed(ENTRY, &[kind])), Err(error));
        assert_eq!(Status::from(error), Status::NOT_SUPPORTED);
        let message = format!(
            "entry 0 of the list of entries is of kind {kind:#04x} ({name}): only allow and deny entries are supported there"
        );
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn a_list_that_is_too_long_is_not_written() {
    let entry = Ace::allow(Sid::EVERYONE, AccessMask::GENERIC_ALL);
    let most = MAX_LIST_LEN / entry.len();
    let longest = SecurityDescriptor::with_list(vec![entry; most]);
    assert_eq!(read(&longest.to_bytes().unwrap()), Ok(longest));
    let error = SecurityDescriptor::with_list(vec![entry; most + 1]).to_bytes().unwrap_err();
    assert_eq!(error, DescriptorError::ListTooLong((most + 1) * entry.len()));
    assert_eq!(error.to_string(), "the access control list needs 65540 bytes, at most 65527 are possible: use a group");
    assert_eq!(Status::from(error), Status::INVALID_ACL);
}
