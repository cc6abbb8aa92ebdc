//! Thousands of calls with odd arguments give the same supervised as not: results, errors, what can be seen of a
//! descriptor, and what is left of the folder they were made in.

use std::collections::BTreeMap;

use testkit::{World, is_root, skip};

use super::runs::{alone, path, printed, supervised};

/// What is different, by the beginning of a row's name and of what it gives natively, and why.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("renameat2", "error 22", "flags are looked at after names"),
    ("linkat", "error 22", "flags are looked at after names"),
    ("unlinkat", "error 22", "flags are looked at after names"),
    ("execveat", "error 22", "flags are looked at after names"),
    ("truncate", "error 22", "a length is looked at after the name"),
    ("renameat2", "error", "of two names with an error each the other one is looked at first"),
    ("symlinkat nothing", "error 2", "an empty target is looked at after the name"),
    ("openat from", "error 2", "a descriptor that is none is looked at before an empty path"),
    ("unlinkat from", "error 2", "a descriptor that is none is looked at before an empty path"),
    ("mkdirat from", "error 2", "a descriptor that is none is looked at before an empty path"),
];

/// F_GETFL tells of O_NOFOLLOW where the name is followed for the caller, and not where it is made for it.
const FLAG: &str = "NOFOLLOW | ";

fn rows(world: &World, name: &str, rules: Option<&str>) -> BTreeMap<String, String> {
    let dir = path(world, name);
    assert_eq!(testkit::finish(world.command("mkdir").arg(&dir)).code, Some(0));
    let args = ["differential", &dir];
    let ended = match rules {
        Some(rule) => supervised(world, &[rule], &args),
        None => alone(world, &args),
    };
    serde_json::from_value(printed(&ended)).unwrap_or_else(|e| panic!("{e}: {ended:?}"))
}

fn compare(world: &World) {
    let native = rows(world, "native", None);
    let supervised = rows(world, "supervised", Some("--deny=/nowhere"));
    assert!(native.len() > 3_000 && native.len() == supervised.len());
    let listed = |name: &str, text: &str| {
        DIFFERENT.iter().any(|(call, native, _)| name.starts_with(call) && text.starts_with(native))
    };
    let different = native.iter().filter(|(name, text)| {
        let there = &supervised[*name];
        there != *text && there.replace(FLAG, "") != text.replace(FLAG, "") && !listed(name, text)
    });
    let shown: Vec<String> =
        different.map(|(name, text)| format!("{name}: {text}, but supervised: {}", supervised[name])).collect();
    assert!(shown.is_empty(), "{} of {} calls: {shown:#?}", shown.len(), native.len());
}

/// What is different is so because of supervision.
#[test]
fn calls_that_are_not_supervised() {
    let world = World::ordinary();
    assert_eq!(rows(&world, "once", None), rows(&world, "again", None));
}

#[test]
fn calls_of_an_ordinary_user() {
    compare(&World::ordinary());
}

#[test]
fn calls_of_root() {
    if !is_root() {
        return skip::privileged("calls of root");
    }
    compare(&World::new());
}
