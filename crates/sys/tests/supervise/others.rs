//! Exec, rename, unlink, link, mkdir, truncate.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use proto::question::{OpKind, OpSet};

use crate::world::{Asked, World, allow_all, as_path, deny};

#[test]
fn the_command_itself_is_asked_about() {
    let world = World::new();
    let real = fs::canonicalize("/bin/sh").unwrap();
    let outcome = world.sh("exit 3", OpSet::EXEC, allow_all);
    assert_eq!(outcome.status.unwrap().code(), Some(3));
    assert_eq!(outcome.asked.len(), 1);
    assert_eq!((outcome.asked[0].kind, &outcome.asked[0].path), (OpKind::Exec, &real));
    let outcome = world.sh("exit 3", OpSet::EXEC, |_| Some(libc::EACCES));
    assert_eq!(outcome.status.unwrap_err().raw_os_error(), Some(libc::EACCES));
}

#[test]
fn a_missing_command_is_reported() {
    let world = World::new();
    let outcome = world.run(Command::new(world.path("none")), OpSet::all(), allow_all);
    assert_eq!(outcome.status.unwrap_err().raw_os_error(), Some(libc::ENOENT));
}

#[test]
fn a_program_can_be_denied() {
    let world = World::new();
    let script = world.file("script", "#!/bin/sh\necho ran \"$1\"\n");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    symlink("script", world.path("link")).unwrap();
    let outcome = world.sh("./script a && ./link b", OpSet::EXEC | OpSet::OPEN, allow_all).ok();
    assert_eq!(outcome.out, "ran a\nran b\n");
    assert_eq!(outcome.asked(OpKind::Exec, &script), 2);
    let outcome = world.sh("./link b; echo $?", OpSet::EXEC, deny("script"));
    assert_eq!(outcome.out, "126\n");
}

/// One script, one denied name, the kind that must have asked about it, and the second name.
#[test]
fn changes_of_the_tree_can_be_denied() {
    let rows: [(&str, OpKind, &str, &str); 9] = [
        ("mv precious moved", OpKind::Rename, "precious", "moved"),
        ("mv sub/../precious sub/", OpKind::Rename, "precious", "sub/precious"),
        ("rm -f precious", OpKind::Unlink, "precious", ""),
        ("rmdir empty", OpKind::Unlink, "empty", ""),
        ("ln precious hard", OpKind::Link, "precious", "hard"),
        ("ln -s precious soft", OpKind::Link, "precious", "soft"),
        ("mkdir fresh", OpKind::Mkdir, "fresh", ""),
        ("mkdir -p sub/deep/er", OpKind::Mkdir, "sub/deep", ""),
        ("truncate -c -s 0 precious", OpKind::Open, "precious", ""),
    ];
    for (script, kind, path, target) in rows {
        for denied in [false, true] {
            let world = World::new();
            world.file("precious", "data");
            fs::create_dir(world.path("sub")).unwrap();
            fs::create_dir(world.path("empty")).unwrap();
            let (victim, new) = (world.path(path), world.path(target));
            let outcome = world.sh(script, OpSet::all(), |held| {
                (denied && held.kind() == kind && as_path(held.path()) == victim).then_some(libc::EACCES)
            });
            let new = if target.is_empty() { PathBuf::new() } else { new };
            let right = |asked: &Asked| asked.kind == kind && asked.path == victim && (asked.target == new || denied);
            assert!(outcome.asked.iter().any(right), "{script}: {outcome:#?}");
            assert_eq!(outcome.status.unwrap().success(), !denied, "{script}");
            if denied {
                assert_eq!(fs::read_to_string(world.path("precious")).unwrap(), "data", "{script}");
                assert!(world.path("empty").exists() && !world.path("fresh").exists() && !world.path("hard").exists());
                assert!(!world.path("moved").exists() && !world.path("soft").is_symlink());
            }
        }
    }
}

#[test]
fn removing_what_is_not_there_asks_nobody() {
    let world = World::new();
    let outcome = world.sh(
        "rm -f none; mkdir -p .; rmdir none 2>/dev/null; mv none other 2>/dev/null; true",
        OpSet::all(),
        |held| as_path(held.path()).starts_with(&world.dir).then_some(libc::EACCES),
    );
    assert_eq!(outcome.out + &outcome.err, "");
    assert!(!outcome.asked.iter().any(|asked| asked.path.starts_with(&world.dir)), "{:#?}", outcome.asked);
}

/// linkat with AT_SYMLINK_FOLLOW names the file by a link of /proc, whose own path says nothing.
#[test]
fn a_link_by_descriptor_is_asked_about_by_its_file() {
    let world = World::new();
    let path = world.file("secret", "hidden");
    let outcome = world.sh("exec 3< secret; ln -L /proc/self/fd/3 copy", OpSet::LINK, |held| {
        as_path(held.path()).ends_with("secret").then_some(libc::EACCES)
    });
    assert_eq!(outcome.asked(OpKind::Link, &path), 1, "{outcome:#?}");
    assert!(!world.path("copy").exists());
}
