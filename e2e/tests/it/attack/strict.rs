//! Calls by which a program leaves the place or the user that its supervisor sees.

use testkit::{World, is_root, skip};

use super::runs::{printed, supervised};

/// What each call gives to root, who may make all of them: 0 or an error.
fn all(rules: &[&str]) -> Option<Vec<(String, i64)>> {
    if !is_root() {
        skip::privileged("mounts and namespaces");
        return None;
    }
    let world = World::new();
    let said = printed(&supervised(&world, rules, &["leave"]));
    let pair =
        |pair: &serde_json::Value| (pair[0].as_str().expect("a name").to_owned(), pair[1].as_i64().expect("a number"));
    Some(said.as_array().expect("a list").iter().map(pair).collect())
}

#[test]
fn namespaces_and_mounts_go_on_where_nothing_is_said() {
    const NAMES: &[&str] = &["unshare-user", "unshare-mount", "clone-user", "setns", "chroot", "open_tree"];
    if let Some(said) = all(&["--deny=/nowhere"]) {
        let refused: Vec<_> =
            said.iter().filter(|(name, error)| NAMES.contains(&name.as_str()) && *error != 0).collect();
        assert!(refused.is_empty(), "{refused:?}");
    }
}

#[test]
fn strict_refuses_namespaces_and_mounts() {
    if let Some(said) = all(&["--deny=/nowhere", "--strict"]) {
        // clone3 is missing there, also without it
        let refused = |name: &str| i64::from(if name == "clone3-user" { libc::ENOSYS } else { libc::EPERM });
        let done: Vec<_> = said.iter().filter(|(name, error)| *error != refused(name)).collect();
        assert!(done.is_empty(), "{done:?}");
    }
}

/// By which a program could seem to run another one than it does.
#[test]
fn the_program_that_a_process_seems_to_run_is_the_one_it_runs() {
    if let Some(said) = all(&["--deny=/nowhere"]) {
        assert!(said.contains(&("set-mm".to_owned(), i64::from(libc::EPERM))), "{said:?}");
    }
}
