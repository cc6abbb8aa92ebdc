//! A real tree under a content rule: exactly the right files are refused, and the work gets done.

use std::collections::BTreeSet;

use testkit::{World, finish};

use crate::{ordinary, world};

const FILES: usize = 5_000;
const NEEDLE: &str = "NEEDLE-IN-A-HAYSTACK";

fn grep(world: &World) {
    let infected = |n: usize| n % 7 == 3;
    for n in 0..FILES {
        let body = if infected(n) { NEEDLE } else { "clean" };
        world.file(&format!("tree/{}/{n}.txt", n % 50), format!("file {n}\n{}\n{body}\n", "filler ".repeat(n % 40)));
    }
    let mut command = world.fltmc();
    command.args(["run", "--deny-content", NEEDLE, "--", "grep", "-rc", "^file", "tree"]);
    let ended = finish(&mut command);
    let found: BTreeSet<_> = ended.out.lines().filter_map(|line| line.strip_suffix(".txt:1")).collect();
    let clean: BTreeSet<_> = (0..FILES).filter(|n| !infected(*n)).map(|n| format!("tree/{}/{n}", n % 50)).collect();
    assert_eq!(found, clean.iter().map(String::as_str).collect(), "{}", ended.err);
    let refused = ended.err.lines().filter(|line| line.starts_with("grep: tree/")).count();
    assert_eq!(refused, FILES - clean.len());
    assert_eq!(ended.code, Some(2), "grep says that it could not read everything");
}

#[test]
fn exactly_the_infected_files_are_refused_to_an_ordinary_user() {
    grep(&ordinary());
}

#[test]
fn exactly_the_infected_files_are_refused_to_root() {
    if !testkit::is_root() {
        return testkit::skip::privileged("the test does not run as root");
    }
    grep(&world());
}
