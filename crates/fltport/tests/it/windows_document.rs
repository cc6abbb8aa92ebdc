//! `doc/windows.md` is complete, and says nothing that is not so: every line has a proof that exists, every row,
//! guarantee, client and sample is there, every number is what our tables compute or Microsoft's declarations say.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::{offset_of, size_of};
use std::path::{Path, PathBuf};

use fltport::Status;
use fltport::access::AccessMask;
use windows_sys::Win32::Foundation::UNICODE_STRING;
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
use windows_sys::Win32::Storage::InstallableFileSystems as windows;
use windows_sys::Win32::System::IO::OVERLAPPED;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn document() -> String {
    std::fs::read_to_string(root().join("doc/windows.md")).unwrap()
}

/// Every source file below `dir`.
fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Every test of the repository, and in which file it is.
fn tests() -> BTreeMap<String, String> {
    let mut files = Vec::new();
    for dir in ["crates/proto", "crates/sys", "crates/fltport", "crates/fltmgr", "crates/fltmc"] {
        for part in ["src", "tests"] {
            let dir = root().join(dir).join(part);
            if dir.is_dir() {
                sources(&dir, &mut files);
            }
        }
    }
    sources(&root().join("e2e/tests"), &mut files);
    let mut tests = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let mut marked = false;
        for line in text.lines().map(str::trim_start) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                marked = true;
            } else if marked && !line.starts_with("#[") {
                marked = false;
                let function =
                    line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ").expect("a test is a function");
                tests.insert(function.split('(').next().unwrap().to_owned(), name.clone());
            }
        }
    }
    tests
}

/// A line of a table, by the names of its columns, and all of it.
type Line = (BTreeMap<String, String>, String);

fn tables(document: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut columns: Option<Vec<String>> = None;
    for line in document.lines() {
        let Some(row) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) else {
            columns = None;
            continue;
        };
        let cells: Vec<String> = row.split('|').map(|cell| cell.trim().to_owned()).collect();
        match &columns {
            None => columns = Some(cells),
            Some(_) if row.bytes().all(|byte| byte == b'-' || byte == b'|') => {}
            Some(columns) => {
                assert_eq!(columns.len(), cells.len(), "columns of {line}");
                lines.push((columns.iter().cloned().zip(cells).collect(), line.to_owned()));
            }
        }
    }
    lines
}

/// What stands in back quotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Words that begin as the tests of this page do: `row_069_…`, `order_7_…`, `client_01_…`, `sample_…`.
fn is_numbered(word: &str) -> bool {
    let numbered = |prefix: &str, digits: usize| {
        let number = word.strip_prefix(prefix).and_then(|word| word.split('_').next());
        number.is_some_and(|number| number.len() == digits && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    numbered("row_", 3) || numbered("order_", 1) || numbered("client_", 2) || word.starts_with("sample_")
}

/// The one test of this name; `row_069` and `order_7` are the beginnings of names.
fn find<'t>(name: &str, tests: &'t BTreeMap<String, String>) -> Option<&'t str> {
    if let Some((name, _)) = tests.get_key_value(name) {
        return Some(name);
    }
    let short = name.rsplit('_').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    let mut found = tests.keys().filter(|test| short && test.starts_with(&format!("{name}_")));
    found.next().filter(|_| found.next().is_none()).map(String::as_str)
}

#[test]
fn every_line_has_a_proof_that_exists() {
    let tests = tests();
    let mut wrong = Vec::new();
    for (cells, line) in tables(&document()) {
        let Some(proof) = cells.get("proof") else { continue };
        wrong.extend(
            quoted(proof).filter(|name| find(name, &tests).is_none()).map(|name| format!("no test {name}: {line}")),
        );
        let without_reason = !line.contains("Departs: ") && !line.contains("Departs, because ");
        if quoted(proof).next().is_none() && without_reason {
            wrong.push(format!("neither a proof nor a reason: {line}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_test_that_is_named_exists_and_every_numbered_one_is_named() {
    let (document, tests) = (document(), tests());
    let missing: Vec<_> = quoted(&document).filter(|word| is_numbered(word) && find(word, &tests).is_none()).collect();
    assert!(missing.is_empty(), "named, but no tests: {missing:?}");
    let named: BTreeSet<&str> = quoted(&document).collect();
    let silent: Vec<_> = tests.keys().filter(|test| is_numbered(test) && !named.contains(test.as_str())).collect();
    assert!(silent.is_empty(), "tests that the document does not name: {silent:?}");
}

#[test]
fn every_row_and_every_guarantee_has_one_test_and_one_line() {
    let (tables, tests) = (tables(&document()), tests());
    let rows: Vec<_> = tables.iter().filter(|(cells, _)| cells.contains_key("test")).collect();
    assert_eq!(rows.len(), 105);
    for (number, (cells, line)) in (1..).zip(rows) {
        assert_eq!(cells["#"], number.to_string(), "{line}");
        let prefix = format!("row_{number:03}_");
        let [test] = tests.keys().filter(|test| test.starts_with(&prefix)).collect::<Vec<_>>()[..] else {
            panic!("row {number} has more than one test, or none");
        };
        assert_eq!(
            (cells["test"].as_str(), cells["file"].as_str()),
            (format!("`{test}`").as_str(), tests[test].as_str())
        );
    }
    for guarantee in 1..=9 {
        let prefix = format!("order_{guarantee}_");
        let lines = tables.iter().filter(|(cells, _)| cells.contains_key("guarantee"));
        assert_eq!(lines.filter(|(cells, _)| cells["proof"].contains(&prefix)).count(), 1, "guarantee {guarantee}");
    }
    let choices = tables.iter().filter_map(|(cells, _)| cells.get("question").map(|_| cells["#"].clone()));
    assert!(choices.eq((1..=24).map(|number| number.to_string())));
    assert_eq!(
        tables.iter().filter(|(cells, _)| cells.contains_key("reliance") && !cells.contains_key("sample")).count(),
        17
    );
}

/// Names of statuses in a cell: words in capitals that are in our table.
fn statuses(cell: &str) -> Vec<Status> {
    let words = cell.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let named = |word: &str| Status::all().find(|status| status.name() == Some(&format!("STATUS_{word}")));
    let capitals = |word: &&str| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    words.filter(capitals).filter_map(named).collect()
}

/// Numbers of eight hexadecimal digits.
fn numbers(text: &str) -> Vec<u32> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let digits = words.filter_map(|word| word.strip_prefix("0x")).filter(|digits| digits.len() == 8);
    digits.map(|digits| u32::from_str_radix(digits, 16).unwrap()).collect()
}

#[test]
fn every_number_is_what_our_tables_compute() {
    let document = document();
    let mut checked = 0;
    for (cells, line) in tables(&document) {
        if let Some(hresult) = cells.get("HRESULT") {
            let statuses = statuses(&cells["status"]);
            assert!(cells.contains_key("test") || statuses.len() == 1, "one status: {line}");
            let computed: Vec<u32> = statuses.iter().map(|status| status.to_hresult().0).collect();
            assert_eq!(numbers(hresult), computed, "{line}");
            checked += computed.len();
        }
        if let Some(constant) = cells.get("constant") {
            let value = match constant.as_str() {
                "FLT_PORT_CONNECT" => AccessMask::PORT_CONNECT.bits(),
                "FLT_PORT_ALL_ACCESS" => AccessMask::PORT_ALL_ACCESS.bits(),
                "FLT_PORT_FLAG_SYNC_HANDLE" => windows::FLT_PORT_FLAG_SYNC_HANDLE,
                "FILTER_NAME_MAX_CHARS" => windows::FILTER_NAME_MAX_CHARS,
                "INSTANCE_NAME_MAX_CHARS" => windows::INSTANCE_NAME_MAX_CHARS,
                "VOLUME_NAME_MAX_CHARS" => windows::VOLUME_NAME_MAX_CHARS,
                other => panic!("unknown constant {other}"),
            };
            assert_eq!(numbers(&cells["value"]), [value], "{line}");
            checked += 1;
        }
    }
    assert_eq!(numbers(&document).len(), checked, "numbers outside of the tables are proved by no test");
}

macro_rules! layouts {
    ($($structure:ident($path:ty): $($field:ident)*;)*) => {
        [$((
            stringify!($structure),
            size_of::<$path>(),
            [$(format!("{} {}", stringify!($field), offset_of!($path, $field))),*].join(", "),
        )),*]
    };
}

#[test]
fn every_structure_has_the_size_of_microsofts() {
    let theirs = layouts! {
        FILTER_MESSAGE_HEADER(windows::FILTER_MESSAGE_HEADER): ReplyLength MessageId;
        FILTER_REPLY_HEADER(windows::FILTER_REPLY_HEADER): Status MessageId;
        OVERLAPPED(OVERLAPPED): Internal InternalHigh Anonymous hEvent;
        SECURITY_ATTRIBUTES(SECURITY_ATTRIBUTES): nLength lpSecurityDescriptor bInheritHandle;
        UNICODE_STRING(UNICODE_STRING): Length MaximumLength Buffer;
    };
    let ours: Vec<_> = tables(&document())
        .into_iter()
        .filter(|(cells, _)| cells.contains_key("structure"))
        .map(|(cells, _)| (cells["structure"].clone(), cells["size"].parse().unwrap(), cells["offsets"].clone()))
        .collect();
    assert_eq!(ours, theirs.map(|(name, size, offsets)| (name.to_owned(), size, offsets)));
}

#[test]
fn every_export_is_in_the_document() {
    let exports = "FilterAttach FilterAttachAtAltitude FilterClose FilterConnectCommunicationPort FilterCreate FilterDetach \
                   FilterFindClose FilterFindFirst FilterFindNext FilterGetDosName FilterGetInformation FilterGetMessage \
                   FilterInstanceClose FilterInstanceCreate FilterInstanceFindClose FilterInstanceFindFirst \
                   FilterInstanceFindNext FilterInstanceGetInformation FilterLoad FilterReplyMessage FilterSendMessage \
                   FilterUnload FilterVolumeClose FilterVolumeFindClose FilterVolumeFindFirst FilterVolumeFindNext \
                   FilterVolumeInstanceFindClose FilterVolumeInstanceFindFirst FilterVolumeInstanceFindNext";
    let exports: BTreeSet<String> = exports.split_whitespace().map(str::to_owned).collect();
    assert_eq!(exports.len(), 29);
    let named: Vec<String> = tables(&document())
        .into_iter()
        .filter_map(|(cells, _)| cells.get("export").cloned())
        .flat_map(|cell| cell.split(", ").map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert_eq!(named.len(), exports.len(), "each once");
    assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), exports);
}
