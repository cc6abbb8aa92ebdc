//! Strings: each function with its statuses.

use fltkernel::edge::Ptr;
use fltkernel::kernel::report::{Rule, capture};
use fltkernel::kernel::string::*;
use fltkernel::nt::status::{self, Status};
use fltkernel::nt::{AnsiString, Guid, UnicodeString, Unit, wide};

/// A counted string over a buffer of this many units, with this text in it.
pub(crate) struct Text {
    buffer: Vec<Unit>,
    string: UnicodeString,
}

impl Text {
    pub(crate) fn new(text: &str, room: usize) -> Self {
        let mut buffer = wide(text);
        let length = (buffer.len() * 2) as u16;
        buffer.resize(room.max(buffer.len()), 0xAAAA);
        let string = UnicodeString { length, room: (room * 2) as u16, buffer: Ptr::new(buffer.as_mut_ptr()) };
        Self { buffer, string }
    }

    pub(crate) fn of(text: &str) -> Self {
        Self::new(text, wide(text).len())
    }

    pub(crate) fn at(&mut self) -> Ptr<UnicodeString> {
        Ptr::new(&raw mut self.string)
    }

    pub(crate) fn text(&self) -> String {
        self.string.text()
    }
}

/// A terminated text.
fn terminated(text: &str) -> Vec<Unit> {
    wide(text).into_iter().chain([0]).collect()
}

fn at<T>(values: &mut [T]) -> Ptr<T> {
    Ptr::new(values.as_mut_ptr())
}

#[test]
fn RtlInitUnicodeString_counts_bytes() {
    let mut text = terminated("abc");
    let mut string = UnicodeString::default();
    RtlInitUnicodeString(Ptr::new(&raw mut string), at(&mut text));
    assert_eq!((string.length, string.room, string.text()), (6, 8, "abc".to_owned()));
    RtlInitUnicodeString(Ptr::new(&raw mut string), Ptr::NULL);
    assert_eq!((string.length, string.room, string.buffer.is_null()), (0, 0, true));
}

#[test]
fn RtlInitUnicodeString_cuts_and_RtlInitUnicodeStringEx_refuses_what_is_too_long() {
    let mut text = vec![u16::from(b'x'); 40_000];
    text.push(0);
    let mut string = UnicodeString::default();
    RtlInitUnicodeString(Ptr::new(&raw mut string), at(&mut text));
    assert_eq!((string.length, string.room), (0xFFFC, 0xFFFE));
    assert_eq!(RtlInitUnicodeStringEx(Ptr::new(&raw mut string), at(&mut text)), status::NAME_TOO_LONG);
}

#[test]
fn RtlCopyUnicodeString_copies_what_fits() {
    let mut to = Text::new("", 3);
    RtlCopyUnicodeString(to.at(), Text::of("abcdef").at());
    assert_eq!(to.text(), "abc");
    let mut to = Text::new("xx", 4);
    RtlCopyUnicodeString(to.at(), Text::of("ab").at());
    assert_eq!((to.text(), to.buffer[2]), ("ab".to_owned(), 0), "terminated where there is room");
    RtlCopyUnicodeString(to.at(), Ptr::NULL);
    assert_eq!(to.text(), "");
}

#[test]
fn RtlAppendUnicodeStringToString_leaves_what_does_not_fit() {
    let mut to = Text::new("ab", 4);
    assert_eq!(RtlAppendUnicodeStringToString(to.at(), Text::of("cde").at()), status::BUFFER_TOO_SMALL);
    assert_eq!(to.text(), "ab");
    assert_eq!(RtlAppendUnicodeStringToString(to.at(), Text::of("cd").at()), status::SUCCESS);
    assert_eq!(to.text(), "abcd");
    assert_eq!(RtlAppendUnicodeStringToString(to.at(), Ptr::NULL), status::SUCCESS);
}

#[test]
fn RtlAppendUnicodeToString_takes_a_terminated_text() {
    let mut to = Text::new("a", 3);
    assert_eq!(RtlAppendUnicodeToString(to.at(), at(&mut terminated("bc"))), status::SUCCESS);
    assert_eq!(to.text(), "abc");
    assert_eq!(RtlAppendUnicodeToString(to.at(), at(&mut terminated("d"))), status::BUFFER_TOO_SMALL);
}

#[test]
fn RtlCompareUnicodeString_compares_units_then_lengths() {
    let compare =
        |a: &str, b: &str, fold: u8| RtlCompareUnicodeString(Text::of(a).at(), Text::of(b).at(), fold).signum();
    assert_eq!((compare("a", "b", 0), compare("b", "a", 0), compare("ab", "a", 0)), (-1, 1, 1));
    assert_eq!((compare("abc", "ABC", 1), compare("abc", "ABC", 0)), (0, 1));
    assert_eq!(compare("é", "É", 1), 0);
}

#[test]
fn RtlEqualUnicodeString_and_RtlPrefixUnicodeString_and_RtlSuffixUnicodeString() {
    let pair = |f: extern "C" fn(Ptr<UnicodeString>, Ptr<UnicodeString>, u8) -> u8, a: &str, b: &str, fold| {
        f(Text::of(a).at(), Text::of(b).at(), fold)
    };
    assert_eq!(pair(RtlEqualUnicodeString, "abc", "ABC", 1), 1);
    assert_eq!(pair(RtlEqualUnicodeString, "abc", "abcd", 1), 0);
    assert_eq!(pair(RtlPrefixUnicodeString, r"\device", r"\Device\HarddiskVolume1", 1), 1);
    assert_eq!(pair(RtlPrefixUnicodeString, r"\device", r"\Device\HarddiskVolume1", 0), 0);
    assert_eq!(pair(RtlPrefixUnicodeString, "abc", "ab", 0), 0);
    assert_eq!(pair(RtlSuffixUnicodeString, ".DOC", "a.doc", 1), 1);
    assert_eq!(pair(RtlSuffixUnicodeString, "aa.doc", "a.doc", 1), 0);
}

#[test]
fn RtlUpcaseUnicodeChar_follows_the_table() {
    let table = [
        ('a', 'A'),
        ('z', 'Z'),
        ('é', 'É'),
        ('÷', '÷'),
        ('ÿ', 'Ÿ'),
        ('ß', 'ß'),
        ('µ', 'µ'),
        ('ı', 'ı'),
        ('ſ', 'ſ'),
        ('я', 'Я'),
        ('1', '1'),
    ];
    for (from, to) in table {
        assert_eq!(RtlUpcaseUnicodeChar(from as Unit), to as Unit, "{from}");
    }
    assert_eq!(RtlDowncaseUnicodeChar('É' as Unit), 'é' as Unit);
}

#[test]
fn RtlUpcaseUnicodeString_allocates_or_needs_room() {
    let mut to = Text::new("", 2);
    assert_eq!(RtlUpcaseUnicodeString(to.at(), Text::of("abc").at(), 0), status::BUFFER_OVERFLOW);
    let mut string = UnicodeString::default();
    assert_eq!(RtlUpcaseUnicodeString(Ptr::new(&raw mut string), Text::of("abc").at(), 1), status::SUCCESS);
    assert_eq!(string.text(), "ABC");
    RtlFreeUnicodeString(Ptr::new(&raw mut string));
    assert!(string.buffer.is_null() && string.length == 0);
}

#[test]
fn RtlUnicodeStringToInteger_reads_every_base() {
    let read = |text: &str, base| {
        let mut value = 7;
        (RtlUnicodeStringToInteger(Text::of(text).at(), base, Ptr::new(&raw mut value)), value)
    };
    assert_eq!(read("123", 0), (status::SUCCESS, 123));
    assert_eq!(read("0x1F", 0), (status::SUCCESS, 31));
    assert_eq!(read("0o17", 0), (status::SUCCESS, 15));
    assert_eq!(read("0b101", 0), (status::SUCCESS, 5));
    assert_eq!(read(" -12x", 10), (status::SUCCESS, -12i32 as u32));
    assert_eq!(read("ff", 16), (status::SUCCESS, 255));
    assert_eq!(read("12", 7), (status::INVALID_PARAMETER, 7));
}

#[test]
fn RtlIntegerToUnicodeString_writes_every_base() {
    let write = |value, base| {
        let mut to = Text::new("", 8);
        (RtlIntegerToUnicodeString(value, base, to.at()), to.text())
    };
    assert_eq!(write(255, 16), (status::SUCCESS, "FF".to_owned()));
    assert_eq!(write(255, 0), (status::SUCCESS, "255".to_owned()));
    assert_eq!(write(1, 3), (status::INVALID_PARAMETER, String::new()));
    assert_eq!(write(0x1FF, 2).0, status::BUFFER_OVERFLOW);
}

#[test]
fn RtlStringFromGUID_and_back() {
    let mut guid = Guid { data1: 0x0123_4567, data2: 0x89AB, data3: 0xCDEF, data4: [1, 2, 3, 4, 5, 6, 7, 8] };
    let mut string = UnicodeString::default();
    assert_eq!(RtlStringFromGUID(Ptr::new(&raw mut guid), Ptr::new(&raw mut string)), status::SUCCESS);
    assert_eq!(string.text(), "{01234567-89AB-CDEF-0102-030405060708}");
    let mut back = Guid::default();
    assert_eq!(RtlGUIDFromString(Ptr::new(&raw mut string), Ptr::new(&raw mut back)), status::SUCCESS);
    assert_eq!(back, guid);
    RtlFreeUnicodeString(Ptr::new(&raw mut string));
    assert_eq!(RtlGUIDFromString(Text::of("{0}").at(), Ptr::new(&raw mut back)), status::INVALID_PARAMETER);
}

#[test]
fn RtlUnicodeStringToAnsiString_is_utf8() {
    let mut string = AnsiString::default();
    assert_eq!(RtlUnicodeStringToAnsiString(Ptr::new(&raw mut string), Text::of("é").at(), 1), status::SUCCESS);
    assert_eq!(string.bytes(), "é".as_bytes());
    RtlFreeAnsiString(Ptr::new(&raw mut string));
    let mut small = [0u8; 2];
    let mut string = AnsiString { length: 0, room: 2, buffer: at(&mut small) };
    assert_eq!(
        RtlUnicodeStringToAnsiString(Ptr::new(&raw mut string), Text::of("abc").at(), 0),
        status::BUFFER_OVERFLOW
    );
    assert_eq!(&small, b"a\0");
}

#[test]
fn RtlStringCbCopyW_terminates_and_says_what_it_cut() {
    let copy = |bytes: usize, text: &str| {
        let mut to = vec![0xAAAA; 8];
        let status = RtlStringCbCopyW(at(&mut to), bytes, at(&mut terminated(text)));
        (status, String::from_utf16_lossy(&to[..to.iter().position(|&unit| unit == 0).unwrap_or(0)]))
    };
    assert_eq!(copy(8, "abc"), (status::SUCCESS, "abc".to_owned()));
    assert_eq!(copy(6, "abc"), (status::BUFFER_OVERFLOW, "ab".to_owned()));
    assert_eq!(copy(0, "abc").0, status::INVALID_PARAMETER);
    assert_eq!(copy(usize::MAX, "abc").0, status::INVALID_PARAMETER);
}

#[test]
fn RtlStringCchCatW_and_RtlStringCchLengthW() {
    let mut to = terminated("ab");
    to.resize(5, 0);
    assert_eq!(RtlStringCchCatW(at(&mut to), 5, at(&mut terminated("cd"))), status::SUCCESS);
    assert_eq!(RtlStringCchCatW(at(&mut to), 5, at(&mut terminated("e"))), status::BUFFER_OVERFLOW);
    let mut length = 9;
    assert_eq!(RtlStringCchLengthW(at(&mut to), 5, Ptr::new(&raw mut length)), status::SUCCESS);
    assert_eq!(length, 4);
    assert_eq!(RtlStringCchLengthW(at(&mut to), 4, Ptr::new(&raw mut length)), status::INVALID_PARAMETER);
}

#[test]
fn FsRtlIsNameInExpression_matches_wildcards() {
    let table: &[(&str, &str, bool)] = &[
        ("*", "ANYTHING", true),
        ("*", "", true),
        ("", "", true),
        ("A?C", "ABC", true),
        ("A?C", "AC", false),
        ("*.TXT", "A.TXT", true),
        ("*.TXT", "A.TXT.BAK", false),
        ("*.*", "NODOT", false),
        ("*.*", "A.B", true),
        ("<.TXT", "A.B.TXT", true),
        ("<", "A.B", false),
        ("<", "AB", true),
        ("A>", "A", true),
        ("A>", "AB", true),
        ("A>.B", "A.B", true),
        ("A\"", "A", true),
        ("A\"B", "A.B", true),
        ("A\"", "A.", true),
        ("ABC", "ABCD", false),
        ("*A*B*", "XXAYYBZZ", true),
    ];
    for &(expression, name, expected) in table {
        let matched = FsRtlIsNameInExpression(Text::of(expression).at(), Text::of(name).at(), 0, Ptr::NULL);
        assert_eq!(matched != 0, expected, "{expression} {name}");
    }
}

#[test]
fn FsRtlIsNameInExpression_needs_an_upper_case_expression() {
    let ask = |expression: &str| {
        capture(|| FsRtlIsNameInExpression(Text::of(expression).at(), Text::of("a.txt").at(), 1, Ptr::NULL))
    };
    assert_eq!(ask("*.TXT"), (1, vec![]));
    assert_eq!(ask("*.txt"), (0, vec![Rule::ExprCase]));
}

#[test]
fn FsRtlDoesNameContainWildCards_sees_all_five() {
    for wild in ["a*", "?", "a<b", ">", "\""] {
        assert_eq!(FsRtlDoesNameContainWildCards(Text::of(wild).at()), 1, "{wild}");
    }
    assert_eq!(FsRtlDoesNameContainWildCards(Text::of("plain.txt").at()), 0);
}

#[test]
fn wcsstr_and_its_family_work_on_16_bits() {
    let (mut whole, mut part) = (terminated("hello world"), terminated("wor"));
    assert_eq!(fk_wcsstr(at(&mut whole), at(&mut part)), at(&mut whole).add(6));
    assert_eq!(fk_wcschr(at(&mut whole), 'o' as Unit), at(&mut whole).add(4));
    assert_eq!(fk_wcsrchr(at(&mut whole), 'o' as Unit), at(&mut whole).add(7));
    assert_eq!(fk_wcsicmp(at(&mut terminated("ABC")), at(&mut terminated("abc"))), 0);
    assert_eq!(fk_wcsnicmp(at(&mut terminated("ABx")), at(&mut terminated("aby")), 2), 0);
    assert_eq!(fk_wcslen(at(&mut whole)), 11);
}

#[test]
fn wcscpy_s_empties_what_does_not_fit() {
    let mut to = terminated("old");
    assert_eq!(fk_wcscpy_s(at(&mut to), 4, at(&mut terminated("new"))), 0);
    assert_eq!(to, terminated("new"));
    assert_eq!(fk_wcscpy_s(at(&mut to), 4, at(&mut terminated("longer"))), 34);
    assert_eq!(to[0], 0);
    assert_eq!(fk_wcscpy_s(at(&mut to), 0, at(&mut terminated("x"))), 22);
}

#[test]
fn RtlValidateUnicodeString_wants_even_lengths() {
    let check = |length, room| {
        let mut text = Text::new("", 4);
        (text.string.length, text.string.room) = (length, room);
        RtlValidateUnicodeString(0, text.at())
    };
    let expected: &[(u16, u16, Status)] = &[
        (4, 8, status::SUCCESS),
        (3, 8, status::INVALID_PARAMETER),
        (8, 4, status::INVALID_PARAMETER),
        (0, 0, status::SUCCESS),
    ];
    for &(length, room, status) in expected {
        assert_eq!(check(length, room), status, "{length} {room}");
    }
}

#[test]
fn RtlIsNameLegalDOS8Dot3_knows_the_names_of_FAT() {
    let legal = |name: &str| RtlIsNameLegalDOS8Dot3(Text::of(name).at(), Ptr::NULL, Ptr::NULL) == 1;
    for name in [".", "..", "a", "COMMAND.COM", "LONGNA~1.TXT", "a b.c"] {
        assert!(legal(name), "{name}");
    }
    for name in ["", ".a", "a.", "a.b.c", "ninechars", "a.html", "a+b", "a:b", "a ."] {
        assert!(!legal(name), "{name}");
    }
}
