//! The statuses against sections 1.4 and 3 of the specification: numbers, translations, severities.
use fltmgr_proto::status::{HResult, Status};

/// NTSTATUS, Win32 code (None: the specification gives none), HRESULT: section 1.4, line by line.
const SPECIFIED: &[(u32, Option<u32>, u32)] = &[
    (0x0000_0000, Some(0), 0x0000_0000),
    (0x0000_0102, None, 0x8007_0102),
    (0x0000_0103, Some(997), 0x8007_03E5),
    (0x8000_0002, Some(998), 0x8007_03E6),
    (0x8000_0005, Some(234), 0x8007_00EA),
    (0x8000_001A, Some(259), 0x8007_0103),
    (0x801C_0001, None, 0x8007_007A),
    (0xC000_0001, Some(31), 0x8007_001F),
    (0xC000_0002, Some(1), 0x8007_0001),
    (0xC000_0005, Some(998), 0x8007_03E6),
    (0xC000_0008, Some(6), 0x8007_0006),
    (0xC000_000D, Some(87), 0x8007_0057),
    (0xC000_0010, Some(1), 0x8007_0001),
    (0xC000_0017, Some(8), 0x8007_0008),
    (0xC000_0022, Some(5), 0x8007_0005),
    (0xC000_0023, Some(122), 0x8007_007A),
    (0xC000_0024, Some(6), 0x8007_0006),
    (0xC000_0033, Some(123), 0x8007_007B),
    (0xC000_0034, Some(2), 0x8007_0002),
    (0xC000_0035, Some(183), 0x8007_00B7),
    (0xC000_0037, Some(6), 0x8007_0006),
    (0xC000_0039, Some(161), 0x8007_00A1),
    (0xC000_003A, Some(3), 0x8007_0003),
    (0xC000_003B, Some(161), 0x8007_00A1),
    (0xC000_004B, Some(5), 0x8007_0005),
    (0xC000_0061, Some(1314), 0x8007_0522),
    (0xC000_0095, Some(534), 0x8007_0216),
    (0xC000_009A, Some(1450), 0x8007_05AA),
    (0xC000_00B5, Some(121), 0x8007_0079),
    (0xC000_00BB, Some(50), 0x8007_0032),
    (0xC000_00EF, Some(87), 0x8007_0057),
    (0xC000_00F0, Some(87), 0x8007_0057),
    (0xC000_00F1, Some(87), 0x8007_0057),
    (0xC000_00F2, Some(87), 0x8007_0057),
    (0xC000_00F3, Some(87), 0x8007_0057),
    (0xC000_00F4, Some(87), 0x8007_0057),
    (0xC000_00F5, Some(87), 0x8007_0057),
    (0xC000_00F6, Some(87), 0x8007_0057),
    (0xC000_00F7, Some(87), 0x8007_0057),
    (0xC000_00F8, Some(87), 0x8007_0057),
    (0xC000_00F9, Some(87), 0x8007_0057),
    (0xC000_00FA, Some(87), 0x8007_0057),
    (0xC000_0120, Some(995), 0x8007_03E3),
    (0xC000_0225, Some(1168), 0x8007_0490),
    (0xC000_0236, Some(1225), 0x8007_04C9),
    (0xC000_0246, Some(1238), 0x8007_04D6),
    (0xC01C_000B, None, 0x801F_000B),
    (0xC01C_0013, None, 0x801F_0013),
    (0xC01C_0020, None, 0x801F_0020),
];

#[test]
fn every_line_of_the_specified_table() {
    for &(status, win32, hresult) in SPECIFIED {
        let status = Status(status);
        assert!(status.name().is_some(), "{status:?} has no name");
        assert_eq!(status.to_hresult(), HResult(hresult), "{status:?}");
        assert_eq!(HResult::from(status), HResult(hresult));
        if let Some(win32) = win32 {
            assert_eq!(status.to_win32(), win32, "{status:?}");
        }
    }
}

#[test]
fn the_table_is_sorted_and_complete() {
    let all: Vec<Status> = Status::all().collect();
    assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0), "not ascending: {all:?}");
    for status in all {
        let (name, message) = (status.name().unwrap(), status.message().unwrap());
        assert!(name.strip_prefix("STATUS_").is_some_and(|name| name == name.to_uppercase()), "{name}");
        assert!(
            !message.is_empty() && !message.ends_with('.') && !message.starts_with(char::is_uppercase),
            "{message}"
        );
        assert_eq!(status.to_string(), format!("{message} ({name})"));
        assert_eq!(format!("{status:?}"), name);
    }
}

#[test]
fn filter_manager_statuses_keep_their_number() {
    let ours = Status::all().filter(|status| status.0 >> 16 == 0xC01C).collect::<Vec<_>>();
    let numbers = (0x01..=0x1C).chain([0x20, 0x23, 0x24]).collect::<Vec<u32>>();
    assert_eq!(ours.iter().map(|status| status.0 & 0xFFFF).collect::<Vec<_>>(), numbers);
    for status in ours {
        assert_eq!(status.to_hresult(), HResult(0x801F_0000 | status.0 & 0xFFFF));
        assert_eq!(status.to_hresult().to_status(), Some(status));
    }
    assert_eq!(Status::FLT_IO_COMPLETE.to_hresult(), HResult(0x001F_0001));
    assert_eq!(Status(0xC01C_7777).to_hresult(), HResult(0x801F_7777));
}

#[test]
fn what_is_outside_the_table() {
    assert_eq!(Status(0xC000_7777).to_win32(), 317);
    assert_eq!(Status(0xC000_7777).to_hresult(), HResult(0x8007_013D));
    assert_eq!(Status(0x0000_0999).to_hresult(), HResult(0x8007_013D));
    // Another facility: nothing but "failed" (row 91).
    assert_eq!(Status(0xC015_0001).to_hresult(), HResult::FAIL);
    assert_eq!(Status(0x8007_0005).to_hresult(), HResult::FAIL);
    // Made up by a program: untouched (row 92), but facilities are looked at first.
    assert_eq!(Status(0xE000_0001).to_win32(), 0xE000_0001);
    assert_eq!(Status(0xE000_0001).to_hresult(), HResult(0xE000_0001));
    assert_eq!(Status(0xE015_0001).to_hresult(), HResult::FAIL);
    // With a positive sign it is a Win32 code like any other.
    assert_eq!(Status(0x2000_0005).to_hresult(), HResult(0x8007_0005));
    // A Win32 code inside a status, and the bit that says that it came by Win32.
    assert_eq!(Status(0xC001_0005).to_win32(), 5);
    assert_eq!(Status(0x8007_0005).to_win32(), 5);
    assert_eq!(Status(0xD000_0022).to_win32(), 5);
    assert_eq!(Status(0xD000_0022).to_hresult(), HResult(0x8007_0005));
}

#[test]
fn only_success_is_a_success_for_the_application() {
    for status in Status::all() {
        let succeeds = status == Status::SUCCESS || status == Status::FLT_IO_COMPLETE;
        assert_eq!(status.to_hresult().is_failure(), !succeeds, "{status:?}");
    }
}

#[test]
fn severities() {
    let severity = |status: Status| (status.is_success_severity(), status.is_warning(), status.is_error());
    assert_eq!(severity(Status::SUCCESS), (true, false, false));
    assert_eq!(severity(Status::TIMEOUT), (true, false, false));
    assert_eq!(severity(Status::OBJECT_NAME_EXISTS), (true, false, false));
    assert_eq!(severity(Status::BUFFER_OVERFLOW), (false, true, false));
    assert_eq!(severity(Status(0xA000_0000)), (false, true, false));
    assert_eq!(severity(Status::ACCESS_DENIED), (false, false, true));
    assert_eq!(severity(Status(0xFFFF_FFFF)), (false, false, true));
}

#[test]
fn the_way_back() {
    assert_eq!(HResult(0x8007_04D6).to_status(), Some(Status::CONNECTION_COUNT_LIMIT));
    assert_eq!(HResult(0x801F_0020).to_status(), Some(Status::FLT_NO_WAITER_FOR_REPLY));
    assert_eq!(HResult(0x8007_0102).to_status(), Some(Status::TIMEOUT));
    assert_eq!(HResult::OK.to_status(), Some(Status::SUCCESS));
    assert_eq!(HResult(0xE000_0001).to_status(), Some(Status(0xE000_0001)));
    assert_eq!(HResult(0xE015_0001).to_status(), None, "no status translates to this");
    assert_eq!(HResult(0x8007_0006).to_status(), None, "several do");
    assert!(HResult(0x8007_0006).statuses().any(|status| status == Status::PORT_DISCONNECTED));
    assert_eq!(HResult::FAIL.to_status(), None);
    assert_eq!(HResult::OUT_OF_MEMORY.to_status(), None);
    for status in Status::all() {
        assert!(status.to_hresult().statuses().any(|back| back == status), "{status:?}");
    }
}

#[test]
fn results_are_read_and_printed() {
    assert_eq!(HResult(0x8007_0006).win32(), Some(6));
    assert_eq!(HResult(0x801F_0020).win32(), None);
    assert_eq!(HResult::from_win32(0), HResult::OK);
    assert_eq!(HResult::from_win32(0x8007_0005), HResult(0x8007_0005));
    assert_eq!(HResult::from_win32(0x0001_0005), HResult(0x8007_0005));
    assert_eq!(HResult(0x8007_0006).to_string(), "HRESULT 0x80070006 (Win32 error 6)");
    assert_eq!(HResult::FAIL.to_string(), "HRESULT 0x80004005");
    assert_eq!(Status::ACCESS_DENIED.to_string(), "access denied (STATUS_ACCESS_DENIED)");
    assert_eq!(Status(0xC012_3456).to_string(), "status 0xC0123456");
    assert_eq!(format!("{:?}", Status(0x0012_3456)), "0x00123456");
}
