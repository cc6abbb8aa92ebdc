//! `doc/c.md` has every row, and each C test of a row.

use std::collections::BTreeSet;
use std::fs;

use super::install::root;

/// The tests of rows in `e2e/c`.
fn tests() -> BTreeSet<String> {
    let files =
        fs::read_dir(root().join("e2e/c")).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let tests = files.flat_map(|text| {
        let names = text.lines().filter_map(|line| line.strip_prefix("TEST(row_")?.split(')').next());
        names.map(|name| format!("row_{name}")).collect::<Vec<_>>()
    });
    tests.collect()
}

#[test]
fn the_document_has_every_row_and_each_test_in_c() {
    let (document, tests) = (fs::read_to_string(root().join("doc/c.md")).unwrap(), tests());
    let mut named = BTreeSet::new();
    for row in 1..=105 {
        let begin = format!("| {row} | ");
        let line = document.lines().find_map(|line| line.strip_prefix(&begin)).unwrap();
        let (proof, reason) = line.trim_end_matches(" |").split_once(" |").unwrap();
        let names: Vec<_> = proof.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        assert_ne!(names.is_empty(), reason.trim().is_empty(), "{row}: a proof or a reason");
        named.extend(names);
    }
    assert_eq!(named, tests);
}
