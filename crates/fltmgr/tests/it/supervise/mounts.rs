//! Paths across mounts, in a mount namespace of the test's own.

use std::fs;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::process::Command;

use fltmgr::filter::OpSet;

use testkit::{World, skip};

use super::probe;
use super::world::{Supervised as _, allow_all};

/// Runs a program of the tests in a mount namespace of its own, after a line of shell whose failure is that something
/// is not to be had here. `None`, and said, if it failed.
fn inside(world: &World, program: &str, mount: &str) -> Option<String> {
    let program = probe::command(program);
    let mut command = Command::new("unshare");
    let script = format!("{{ {mount}; }} || exit 77; exec \"$@\"");
    command.args(["--mount", "--propagation", "private", "/bin/sh", "-c", &script, "sh"]);
    command.arg(program.get_program()).args(program.get_args()).current_dir(world.dir());
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if matches!(output.status.code(), Some(77 | 1)) && !text.contains("test result") {
        skip::privileged(format_args!("no mount of its own: {text}"));
        return None;
    }
    assert!(output.status.success(), "{text}");
    Some(text.into_owned())
}

/// debugfs mounts tracefs when its directory "tracing" is opened: once in each place where it is mounted.
#[test]
fn what_an_open_mounts_is_mounted() {
    let world = World::new();
    let mount =
        "mkdir a b c && for dir in a b c; do mount -t debugfs none $dir || exit 77; done; test -e c/tracing/README";
    if let Some(text) = inside(&world, "automount", mount) {
        assert!(text.contains("all mounted"), "{text}");
    }
}

pub(crate) fn supervise_automount() {
    let world = World::new();
    let mut command = probe::command("automounted");
    command.env("DIR", std::env::current_dir().unwrap());
    let outcome = world.run(command, OpSet::OPEN, allow_all);
    println!("{}{}", outcome.out, outcome.err);
}

pub(crate) fn automounted() {
    std::env::set_current_dir(std::env::var_os("DIR").unwrap()).unwrap();
    let tracefs = Path::new("c/tracing").metadata().unwrap().dev();
    let directory = fs::File::open("a/tracing").unwrap();
    assert_eq!(directory.metadata().unwrap().dev(), tracefs);
    let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_CREAT).open("b/tracing/README").unwrap();
    assert_eq!(file.metadata().unwrap().dev(), tracefs);
    println!("all mounted");
}

/// The root on another mount is another place: what is mounted below the one is not there below the other.
#[test]
fn a_second_mount_of_the_root_is_another_root() {
    let world = World::new();
    let mount = "mkdir root over && mount --bind / root && mount -t tmpfs none over && echo outer > over/file";
    if let Some(text) = inside(&world, "chroot", mount) {
        assert!(text.contains("No such file or directory") && !text.contains("outer"), "{text}");
    }
}

pub(crate) fn supervise_chroot() {
    let world = World::new();
    let here = std::env::current_dir().unwrap();
    let script = format!("chroot {0}/root /bin/cat {0}/over/file", here.display());
    let outcome = world.sh(&script, OpSet::OPEN, allow_all);
    println!("{}{}", outcome.out, outcome.err);
}

/// Files are made by a thread of their own, and a file system may take its time: here one whose opens wait for a listener
/// that does not listen.
#[test]
fn a_file_that_takes_long_to_make_holds_up_no_other() {
    if let Err(error) = sys::fanotify::Group::new() {
        return skip::privileged(format_args!("fanotify_init: {error}"));
    }
    let world = World::new();
    if let Some(text) = inside(&world, "slow-make", "mkdir slow && mount -t tmpfs none slow") {
        assert!(text.contains("made while the other was not: true"), "{text}");
    }
}

pub(crate) fn supervise_slow_make() {
    let slow = std::env::current_dir().unwrap().join("slow");
    let world = World::new();
    let group = sys::fanotify::Group::new().unwrap();
    group.watch(&slow, sys::fanotify::OPEN).unwrap();
    let other = world.path("other");
    let made = std::thread::spawn(move || {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !other.exists() && std::time::Instant::now() < end {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let made = other.exists();
        // lets go of what waits
        drop(group);
        made
    });
    let script = format!("echo x > {0}/new & until test -e {0}/new; do :; done; echo y > other; wait", slow.display());
    let outcome = world.sh(&script, OpSet::OPEN, allow_all).ok();
    println!("made while the other was not: {} {}", made.join().unwrap(), outcome.err);
}
