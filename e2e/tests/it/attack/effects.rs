//! Calls that change names, or what is said of their objects: none has an effect on what a rule names, neither by itself
//! nor when its path changes between our look and the kernel's.

use testkit::World;

use super::runs::{Tally, alone, printed, stage, supervised, tries};

/// Every object below a folder `p`.
const RULE: &str = "--deny=**/p/**";

/// How many protected and how many free objects are not what they were.
fn changed(world: &World, way: &str, tries: &str, dir: &str) -> (u64, u64) {
    let printed = printed(&alone(world, &["effects-changed", way, tries, dir]));
    let number = |key: &str| printed[key].as_u64().expect("a number");
    (number("protected"), number("free"))
}

/// Each of these ways is refused, and changes nothing.
fn refused(ways: &str) {
    let world = World::ordinary();
    for way in ways.split_whitespace() {
        let dir = stage(&world, way, &["effects", way, "5"]);
        let ended = supervised(&world, &[RULE], &["effects-direct", way, "5", &dir]);
        let tally = Tally::of(&ended);
        let refused = tally.refused + tally.absent;
        assert_eq!((refused, changed(&world, way, "5", &dir).0), (5, 0), "{way}: {ended:?}");
    }
}

/// These ways, which share the number of tries, change nothing that is protected when `style` changes in their middle.
fn never_in(world: &World, ways: &str, style: &str) {
    let ways: Vec<&str> = ways.split_whitespace().collect();
    let each = (tries() / ways.len() as u64).to_string();
    for way in ways {
        let dir = stage(world, &format!("{way}-{style}"), &["effects", way, &each]);
        let ended = supervised(world, &[RULE], &["effects", way, style, &each, &dir]);
        let tally = Tally::of(&ended);
        let done = tally.tries.to_string();
        let (protected, free) = changed(world, way, &each, &dir);
        assert_eq!((done, protected), (each.clone(), 0), "{way} by {style}, {free} free ones changed: {ended:?}");
        assert!(free + tally.absent > 0, "{way} by {style} did nothing at all: {ended:?}");
    }
}

fn never(ways: &str, style: &str) {
    never_in(&World::ordinary(), ways, style);
}

/// The ways themselves work.
#[test]
fn every_way_works_where_nothing_is_supervised() {
    let world = World::ordinary();
    let ways = printed(&alone(&world, &["effects-ways"]));
    for way in ways.as_array().expect("a list").iter().map(|way| way.as_str().expect("a name")) {
        let dir = stage(&world, way, &["effects", way, "5"]);
        let ended = alone(&world, &["effects-direct", way, "5", &dir]);
        // newer kernels have more calls
        if Tally::of(&ended).absent == 0 {
            assert_eq!(changed(&world, way, "5", &dir), (5, 0), "{way}: {ended:?}");
        }
    }
}

#[test]
fn a_name_is_removed() {
    refused("unlinkat unlinkat-folder");
}

#[test]
fn a_name_is_moved() {
    refused("renameat2 renameat2-folder renameat2-to renameat2-exchange");
}

#[test]
fn a_name_is_made() {
    refused("linkat-to symlinkat mkdirat openat");
}

#[test]
fn another_name_is_made() {
    refused("linkat linkat-by-number linkat-by-handle");
}

#[test]
fn content_is_cut() {
    refused("truncate truncate-by-number");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_name_is_changed_by_the_calls_without_a_directory() {
    refused("unlink rmdir rename rename-to link symlink mkdir");
}

#[test]
fn a_file_is_made_by_a_path_that_changes() {
    never("openat", "path");
}

#[test]
fn a_file_is_made_in_a_directory_that_changes() {
    never("openat", "directory");
    never("openat", "cwd");
}

fn never_by_root(ways: &str, style: &str) {
    if !testkit::is_root() {
        return testkit::skip::privileged("an attack by root");
    }
    never_in(&World::new(), ways, style);
}

#[test]
fn a_node_is_made() {
    refused("mknodat");
}

#[test]
fn a_socket_is_bound() {
    refused("bind");
}

#[test]
fn a_mode_is_changed() {
    refused("fchmodat fchmodat2 fchmodat-by-number fchmodat2-by-handle");
}

#[test]
fn an_owner_is_changed() {
    refused("fchownat fchownat-by-handle");
}

#[test]
fn a_time_is_changed() {
    refused("utimensat utimensat-by-handle");
}

#[test]
fn an_attribute_is_changed() {
    refused("setxattr lsetxattr removexattr lremovexattr setxattrat removexattrat setxattr-by-number file_setattr");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn what_is_said_is_changed_by_the_calls_without_a_directory() {
    refused("mknod chmod chown lchown utime utimes futimesat");
}

#[test]
fn a_name_is_removed_by_a_path_that_changes() {
    never("unlinkat unlinkat-folder", "path");
}

#[test]
fn a_name_is_removed_in_a_directory_that_changes() {
    never("unlinkat", "directory");
    never("unlinkat", "cwd");
}

#[test]
fn a_name_is_moved_by_a_path_that_changes() {
    never("renameat2 renameat2-folder", "path");
}

#[test]
fn a_name_is_replaced_by_a_path_that_changes() {
    never("renameat2-to renameat2-exchange", "path");
}

#[test]
fn a_name_is_moved_in_a_directory_that_changes() {
    never("renameat2", "directory");
    never("renameat2-to", "cwd");
}

#[test]
fn a_name_is_linked_by_a_path_that_changes() {
    never("linkat linkat-to linkat-by-number linkat-by-handle", "path");
}

#[test]
fn a_name_is_linked_in_a_directory_that_changes() {
    never("linkat", "directory");
    never("linkat-to", "cwd");
}

#[test]
fn a_link_or_folder_is_made_by_a_path_that_changes() {
    never("symlinkat mkdirat", "path");
}

#[test]
fn a_link_or_folder_is_made_in_a_directory_that_changes() {
    never("symlinkat", "directory");
    never("mkdirat", "cwd");
}

#[test]
fn a_node_is_made_by_a_path_that_changes() {
    never("mknodat", "path");
    never("mknodat", "directory");
}

#[test]
fn a_socket_is_bound_by_a_path_that_changes() {
    never("bind", "path");
    never("bind", "cwd");
}

#[test]
fn content_is_cut_by_a_path_that_changes() {
    never("truncate truncate-by-number", "path");
    never("truncate", "cwd");
}

#[test]
fn a_mode_is_changed_by_a_path_that_changes() {
    never("fchmodat fchmodat2 fchmodat-by-number fchmodat2-by-handle", "path");
    never("fchmodat", "directory");
}

#[test]
fn an_owner_is_changed_by_a_path_that_changes() {
    never("fchownat fchownat-by-handle", "path");
    never("fchownat", "directory");
}

#[test]
fn a_time_is_changed_by_a_path_that_changes() {
    never("utimensat utimensat-by-handle", "path");
    never("utimensat", "directory");
}

#[test]
fn an_attribute_is_changed_by_a_path_that_changes() {
    never("setxattr lsetxattr removexattr lremovexattr", "path");
    never("setxattr", "cwd");
}

#[test]
fn an_attribute_is_changed_in_a_directory_that_changes() {
    never("setxattrat removexattrat file_setattr", "path");
    never("setxattrat", "directory");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_name_is_changed_by_the_calls_without_a_directory_and_a_path_that_changes() {
    never("unlink rmdir rename rename-to link symlink mkdir mknod", "path");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn what_is_said_is_changed_by_the_calls_without_a_directory_and_a_path_that_changes() {
    never("chmod chown lchown utime utimes futimesat", "path");
}

#[test]
fn a_name_of_roots_is_changed_by_a_path_that_changes() {
    never_by_root("unlinkat renameat2 renameat2-to linkat mkdirat truncate fchmodat fchownat", "path");
}
