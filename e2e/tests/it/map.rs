//! The map at the end of `doc/design.md` has each source file, in the words of its first sentence; and files lie as the
//! document says: `x.rs` has its parts in `x/`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const HEADING: &str = "\n## The map\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every source file below `dir`.
fn files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Every directory `src` below `dir`, but not what a build made.
fn roots(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() || path.ends_with("target") {
            continue;
        }
        if path.ends_with("src") { into.push(path) } else { roots(&path, into) }
    }
}

/// Each directory `src` below these places, by name, and its source files.
fn sources(places: &[&str]) -> Vec<(PathBuf, Vec<PathBuf>)> {
    let mut directories = Vec::new();
    places.iter().for_each(|place| roots(&root().join(place), &mut directories));
    directories.sort();
    let with_files = |directory: PathBuf| {
        let mut found = Vec::new();
        files(&directory, &mut found);
        (directory, found)
    };
    directories.into_iter().map(with_files).collect()
}

/// The first sentence of a file's head, as text without links.
fn first_sentence(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let head: Vec<&str> = text
        .lines()
        .map_while(|line| line.strip_prefix("//!").map(str::trim))
        .take_while(|line| !line.is_empty())
        .collect();
    let mut head = head.join(" ");
    if let Some(end) = head.find(". ") {
        head.truncate(end + 1);
    }
    assert!(head.ends_with('.'), "{}: begins with no sentence that says what it is for", file.display());
    let mut plain = String::new();
    let mut rest = head.as_str();
    while let Some((before, after)) = rest.split_once('[') {
        let (name, after) = after.split_once(']').expect("a link ends");
        let target = after.strip_prefix('(').and_then(|target| target.split_once(')'));
        plain.extend([before, name]);
        rest = target.map_or(after, |(_, after)| after);
    }
    plain + rest
}

/// The map as it should be: the directories by name, in each a file before its parts.
fn map() -> String {
    let mut map = format!(
        "{HEADING}\nEach source file, in the words of its first sentence. A test compares; \
         `FLTMGR_WRITE_MAP=1 cargo test -p e2e --test it map::` writes.\n"
    );
    for (directory, found) in sources(&["crates", "e2e"]) {
        let lines: BTreeMap<PathBuf, String> =
            found.iter().map(|file| (file.with_extension(""), first_sentence(file))).collect();
        write!(map, "\n### {}\n\n", directory.strip_prefix(root()).unwrap().display()).unwrap();
        for (file, sentence) in lines {
            let name = file.strip_prefix(&directory).unwrap().display();
            writeln!(map, "- `{name}.rs`: {sentence}").unwrap();
        }
    }
    map
}

#[test]
fn the_map_has_each_source_file() {
    let path = root().join("doc/design.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (text, _) = document.split_once(HEADING).expect("doc/design.md ends with a map");
    let right = text.to_owned() + &map();
    if std::env::var_os("FLTMGR_WRITE_MAP").is_some() {
        std::fs::write(&path, &right).unwrap();
    } else {
        let wrong: Vec<&str> = right.lines().filter(|line| !document.lines().any(|other| other == *line)).collect();
        assert!(
            document == right,
            "the map at the end of doc/design.md is not that of the sources. This writes it:\n\
             FLTMGR_WRITE_MAP=1 cargo test -p e2e --test it map::\nMissing or different: {wrong:#?}"
        );
    }
}

#[test]
fn a_long_file_says_why_it_is_one() {
    for (_, found) in sources(&["crates"]) {
        for file in found {
            let text = std::fs::read_to_string(&file).unwrap();
            let head = text.lines().take_while(|line| line.starts_with("//!")).any(|line| line.contains("500 lines"));
            let name = file.display();
            assert!(head || text.lines().count() <= 500, "{name}: more than 500 lines, and its head gives no reason");
        }
    }
}

/// The places that the rooms' table, and CONTRIBUTING, send a reader to: `fltport/src/port/accept.rs`, in `crates`.
#[test]
fn each_file_that_a_reader_is_sent_to_exists() {
    for document in ["doc/design.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root().join(document)).unwrap();
        let text = text.split_once(HEADING).map_or(text.as_str(), |(text, _)| text);
        for name in text.split('`').skip(1).step_by(2).filter(|name| name.contains("/src/") && name.ends_with(".rs")) {
            let exists = [root().join("crates").join(name), root().join(name)].iter().any(|path| path.is_file());
            assert!(exists, "{document} names {name}, which does not exist");
        }
    }
}

#[test]
fn a_file_has_its_parts_beside_it() {
    for (directory, found) in sources(&["crates"]) {
        for file in found {
            assert!(!file.ends_with("mod.rs"), "{}: x.rs has its parts in x/", file.display());
            let parent = file.parent().unwrap();
            assert!(
                parent == directory || parent.with_extension("rs").is_file(),
                "{} belongs to a module that has no file",
                file.display()
            );
        }
    }
}
