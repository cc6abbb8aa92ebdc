//! Opens whose arguments change between our look and the kernel's: never once is a file opened that a rule refuses.

use testkit::{World, is_root, skip, until};

use super::runs::{Tally, alone, printed, stage, supervised, tries};

/// Every file below a folder `b`.
const RULE: &str = "--deny=**/b/**";

/// The ways share the number of tries; what is done before holds for each of them.
fn never(world: &World, rules: &[&str], ways: &str, before: &[&str]) {
    let dir = stage(world, "files", &["opens"]);
    let ways: Vec<&str> = ways.split_whitespace().collect();
    let each = (tries() / ways.len() as u64).to_string();
    for way in ways {
        let args = [&["opens", way, &each, &dir], before].concat();
        let ended = supervised(world, rules, &args);
        let tally = Tally::of(&ended);
        assert_eq!((tally.tries.to_string(), tally.through), (each.clone(), 0), "{way} {before:?}: {ended:?}");
    }
}

fn never_once(ways: &str) {
    never(&World::ordinary(), &[RULE], ways, &[]);
}

fn never_once_after(before: &str) {
    never(&World::ordinary(), &[RULE], "read:file", &[before]);
}

fn never_once_as_root(ways: &str, before: &[&str]) {
    if !is_root() {
        return skip::privileged("an attack by root");
    }
    never(&World::new(), &[RULE], ways, before);
}

/// The races themselves work: without supervision each of them gets through.
#[test]
fn every_way_works_where_nothing_is_supervised() {
    const WAYS: &str = "read:file read:null read:proc read:fifo read:sock write:null create:new long:file beneath:file \
        in-root:file flags:path flags:unknown flags:mode flags:limits flags:tail flags:directory flags:temporary \
        number:self number:dev through:root directory:thread directory:process cwd:relative cwd:link memory:shared \
        memory:written lease";
    let world = World::ordinary();
    let dir = stage(&world, "files", &["opens"]);
    for way in WAYS.split_whitespace() {
        until(|| {
            let tally = Tally::of(&alone(&world, &["opens", way, "500", &dir]));
            (tally.through > 0 && tally.through < tally.tries).then_some(())
        });
    }
}

#[test]
fn a_file() {
    never_once("read:file read:link read:up write:file");
}

#[test]
fn a_file_judged_by_its_content() {
    never(&World::ordinary(), &["--deny-content=NEEDLE"], "read:file", &[]);
}

#[test]
fn a_directory() {
    never_once("read:dir");
}

#[test]
fn a_file_of_sysfs() {
    never_once("read:sys");
}

#[test]
fn a_link_to_nothing() {
    never_once("read:gone create:gone");
}

#[test]
fn a_file_that_may_be_made() {
    never_once("create:file create:new");
}

#[test]
fn a_struct_with_limits() {
    never_once("read-beneath:file");
}

#[test]
fn a_struct_that_is_wrong_at_first() {
    never_once("flags:directory flags:temporary flags:unknown flags:mode flags:limits flags:tail");
}

#[test]
fn a_number_below_proc() {
    never_once("number:self");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_call_without_a_directory() {
    never_once("open:file");
}

#[test]
fn after_files_and_directories_of_its_own() {
    never_once_after("own-files");
}

#[test]
fn in_a_child() {
    never_once_after("child");
}

#[test]
fn of_root_after_calls_that_change_nothing() {
    never_once_as_root("read:file", &["network-namespace", "same-root", "same-namespace"]);
}

/// The error numbers of other ways to the file.
fn other_ways(world: &World, rules: Option<&str>, ways: &[&str]) -> Vec<i64> {
    let dir = stage(world, "files", &["opens"]);
    let ways: Vec<String> = ways.iter().map(|way| way.replace("FILE", &format!("{dir}/b/file"))).collect();
    let args: Vec<&str> = ["acts"].into_iter().chain(ways.iter().map(String::as_str)).collect();
    let ended = match rules {
        Some(rule) => supervised(world, &[rule], &args),
        None => alone(world, &args),
    };
    let printed = printed(&ended);
    printed.as_array().expect("a list").iter().map(|act| act[1].as_i64().expect("a number")).collect()
}

/// Through a descriptor without access, through magic links, and by a handle, which only root may open.
#[test]
fn a_file_by_its_number_its_root_or_its_handle() {
    const WAYS: &[&str] = &["reopen=FILE", "read=/proc/self/rootFILE", "read=/proc/thread-self/cwd/files/b/file"];
    let refused = |errors: Vec<i64>| errors.into_iter().all(|error| error == i64::from(libc::EACCES));
    assert_eq!(other_ways(&World::ordinary(), None, WAYS), [0; 3]);
    assert!(refused(other_ways(&World::ordinary(), Some(RULE), WAYS)));
    if !is_root() {
        return skip::privileged("opening by a handle");
    }
    assert_eq!(other_ways(&World::new(), None, &["handle=FILE"]), [0]);
    assert_eq!(other_ways(&World::new(), Some(RULE), &["handle=FILE"]), [i64::from(libc::EPERM)]);
}

#[test]
fn a_memory_device() {
    never_once("read:null read:zero read:full read:random write:null");
}

#[test]
fn a_file_of_procfs() {
    never_once("read:proc read:status read:maps");
}

#[test]
fn a_file_of_procfs_judged_by_its_content() {
    never(&World::ordinary(), &["--deny-content=NEEDLE"], "read:proc", &[]);
}

#[test]
fn a_fifo() {
    never_once("read:fifo write:fifo");
}

#[test]
fn a_socket() {
    never_once("read:sock");
}

#[test]
fn a_terminal_that_does_not_become_the_controlling_one() {
    never_once("read:ptmx");
}

/// What depends on the process that opens it is refused by `--strict`.
#[test]
fn a_terminal_under_strict_rules() {
    never(&World::ordinary(), &[RULE, "--strict"], "read:tty controlling:tty controlling:ptmx", &[]);
}

#[test]
fn a_device_that_may_be_made() {
    never_once("create:null controlling:null");
}

#[test]
fn a_struct_longer_than_the_kernels() {
    never_once("long:file long:null page:file");
}

#[test]
fn a_file_that_may_be_made_within_limits() {
    never_once("no-links:file no-links:new beneath:file in-root:file");
}

#[test]
fn a_device_within_limits() {
    never_once("read-beneath:null");
}

#[test]
fn a_struct_that_asks_for_a_path_at_first() {
    never_once("flags:path");
}

#[test]
fn a_number_of_a_device_below_proc() {
    never_once("number:thread number:dev number:pid");
}

#[test]
fn a_root_below_proc() {
    never_once("through:root through:task");
}

#[test]
fn a_directory_that_another_thread_replaces() {
    never_once("directory:thread");
}

#[test]
fn a_directory_that_a_process_with_the_same_table_replaces() {
    never_once("directory:process");
}

#[test]
fn a_working_directory_that_a_process_with_the_same_one_changes() {
    never_once("cwd:relative cwd:link");
}

#[test]
fn a_link_that_changes_places_with_another() {
    never_once("link");
}

#[test]
fn a_path_in_the_memory_of_two_processes() {
    never_once("memory:shared memory:written");
}

/// The only one that is sure of each try.
#[test]
fn a_path_in_a_page_that_is_not_there() {
    never_once_as_root("memory:paged", &[]);
}

#[test]
fn a_file_with_a_lease_of_its_own() {
    never_once("lease");
}

#[test]
fn a_path_that_a_handler_of_a_signal_changes() {
    never_once("signal");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_device_by_the_calls_without_a_directory() {
    never_once("open:null creat:null");
}

#[test]
fn after_an_empty_landlock_domain() {
    never_once_after("landlock");
}

#[test]
fn after_a_user_namespace() {
    never_once_after("user-namespace");
}

#[test]
fn after_a_user_and_a_mount_namespace() {
    never_once_after("both-namespaces");
}

#[test]
fn in_a_child_in_a_user_namespace() {
    never_once_after("child-of-user-namespace");
}

#[test]
fn in_a_child_in_a_pid_namespace() {
    never_once_after("child-of-pid-namespace");
}

#[test]
fn of_root_after_a_mount_namespace() {
    never_once_as_root("read:file", &["mount-namespace"]);
}

#[test]
fn of_root_after_giving_up_a_capability() {
    never_once_as_root("read:file", &["capability"]);
}

#[test]
fn of_root_after_another_group() {
    never_once_as_root("read:file", &["group"]);
}
