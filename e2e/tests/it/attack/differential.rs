//! Thousands of calls with odd arguments give the same supervised as not: results, errors, what can be seen of a
//! descriptor, and what is left of the folder they were made in.

use std::collections::BTreeMap;

use testkit::{World, is_root, skip};

use super::runs::{alone, path, printed, supervised};

/// What is different, by the beginning of a row's name and what is in it, and why.
const DIFFERENT: &[(&str, &str, &str)] = &[(
    "openat2 ",
    "PATH",
    "error 38: no such descriptor can be handed over, and that the struct asks for one could change",
)];

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
    let listed = |name: &str| {
        let said = DIFFERENT.iter().find(|(call, with, _)| name.starts_with(call) && name.contains(with));
        said.is_some_and(|(_, _, why)| why.starts_with(&supervised[name]))
    };
    let different = native.iter().filter(|(name, text)| supervised[*name] != **text && !listed(name));
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
