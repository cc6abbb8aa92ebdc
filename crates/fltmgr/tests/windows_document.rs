//! `doc/windows.md` names every row, and every test that it names exists.

use std::collections::BTreeSet;
use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Words of `text` that name a row or a guarantee.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("row_") || word.starts_with("order_")).map(str::to_owned).collect()
}

/// The tests of this crate: functions marked as tests.
fn tests() -> BTreeSet<String> {
    let files = [
        "close",
        "completions",
        "connect",
        "create",
        "message",
        "names",
        "order",
        "receive",
        "reply",
        "request",
        "timeout",
        "unload",
    ];
    let mut tests = BTreeSet::new();
    for file in files {
        let text = read(&format!("tests/{file}.rs"));
        for marked in text.split("#[test]\nfn ").skip(1) {
            tests.insert(marked.split('(').next().unwrap().to_owned());
        }
    }
    tests
}

#[test]
fn every_row_is_in_the_document_and_has_its_test() {
    let (documented, tests) = (names(&read("../../doc/windows.md")), tests());
    for row in 1..=105 {
        let prefix = format!("row_{row:03}_");
        assert!(documented.iter().any(|name| name.starts_with(&prefix)), "row {row} is not in the document");
    }
    for guarantee in 1..=9 {
        let prefix = format!("order_{guarantee}_");
        assert!(
            documented.iter().any(|name| name.starts_with(&prefix)),
            "guarantee {guarantee} is not in the document"
        );
    }
    let missing: Vec<_> = documented.difference(&tests).collect();
    assert!(missing.is_empty(), "in the document, but no test: {missing:?}");
    let silent: Vec<_> =
        names(&tests.into_iter().collect::<Vec<_>>().join(" ")).difference(&documented).cloned().collect();
    assert!(silent.is_empty(), "a test, but not in the document: {silent:?}");
}
