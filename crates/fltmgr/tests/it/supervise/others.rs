//! Exec, rename, unlink, link, mkdir, truncate.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use fltmgr::Status;
use fltmgr::filter::{Arguments, OpFlags, OpKind, OpSet};
use fltmgr::source::Waiting;
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, ResolveFlags};

use super::probe;
use testkit::World;

use super::world::{Asked, Supervised as _, allow_all, deny};

#[test]
fn the_command_itself_is_asked_about() {
    let world = World::new();
    let real = fs::canonicalize("/bin/sh").unwrap();
    let outcome = world.sh("exit 3", OpSet::EXEC, allow_all);
    assert_eq!(outcome.status.unwrap().code(), Some(3));
    // It, and its loader.
    assert_eq!(outcome.asked.len(), 2);
    assert_eq!((outcome.asked[0].kind, &outcome.asked[0].path), (OpKind::Exec, &real));
    let outcome = world.sh("exit 3", OpSet::EXEC, |_| Some(Status::ACCESS_DENIED));
    assert_eq!(outcome.status.unwrap_err().status(), Status::ACCESS_DENIED);
}

#[test]
fn a_missing_command_is_reported() {
    let world = World::new();
    let outcome = world.run(Command::new(world.path("none")), OpSet::all(), allow_all);
    assert_eq!(outcome.status.unwrap_err().status(), Status::OBJECT_NAME_NOT_FOUND);
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
    let rows = [
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
                (denied && held.operation().kind == kind && held.operation().path == victim)
                    .then_some(Status::ACCESS_DENIED)
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
        |held| held.operation().path.starts_with(world.dir()).then_some(Status::ACCESS_DENIED),
    );
    assert_eq!(outcome.out + &outcome.err, "");
    assert!(!outcome.asked.iter().any(|asked| asked.path.starts_with(world.dir())), "{:#?}", outcome.asked);
}

/// linkat with AT_SYMLINK_FOLLOW names the file by a link of /proc, whose own path says nothing.
#[test]
fn a_link_by_descriptor_is_asked_about_by_its_file() {
    let world = World::new();
    let path = world.file("secret", "hidden");
    let outcome = world.sh("exec 3< secret; ln -L /proc/self/fd/3 copy", OpSet::LINK, |held| {
        held.operation().path.ends_with("secret").then_some(Status::ACCESS_DENIED)
    });
    assert_eq!(outcome.asked(OpKind::Link, &path), 1, "{outcome:#?}");
    assert!(!world.path("copy").exists());
}

/// Makes the calls of the test below: libc's own functions, so that each is one call with these arguments.
pub(crate) fn arguments() {
    rustix::fs::mkdir("made", Mode::from_raw_mode(0o750)).unwrap();
    rustix::fs::renameat_with(CWD, "precious", CWD, "moved", RenameFlags::NOREPLACE).unwrap();
    // SAFETY: the path is a string of C.
    assert_eq!(unsafe { libc::truncate(c"moved".as_ptr(), 3) }, 0);
    fs::remove_dir("made").unwrap();
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::open("new", flags, Mode::from_raw_mode(0o640)).unwrap();
    rustix::fs::openat2(CWD, "new", OFlags::RDONLY, Mode::empty(), ResolveFlags::BENEATH).unwrap();
}

#[test]
fn the_arguments_of_a_call_come_with_its_operation() {
    let world = World::new();
    world.file("precious", "data");
    let all = Mutex::new(Vec::new());
    let keep = |held: &dyn Waiting| {
        let operation = held.operation();
        if let Ok(name) = operation.path.strip_prefix(world.dir()) {
            let Arguments { flags, mode, resolve, length, .. } = operation.arguments.unwrap();
            // what rustix adds to every open
            let flags = flags & !u64::from(OFlags::LARGEFILE.bits());
            let call = (operation.kind, name.to_str().unwrap().to_owned());
            all.lock().unwrap().push((call, (flags, mode, resolve, length), operation.flags));
        }
        None
    };
    world.run(probe::command("arguments"), OpSet::all(), keep).ok();
    let call = |kind, name: &str| (kind, name.to_owned());
    let (none, flag) = (OpFlags::empty(), |flag: i32| flag as u64);
    let creates = flag(libc::O_CREAT | libc::O_WRONLY | libc::O_CLOEXEC);
    let expected = [
        (call(OpKind::Mkdir, "made"), (0, 0o750, 0, 0), none),
        (call(OpKind::Rename, "precious"), (libc::RENAME_NOREPLACE.into(), 0, 0, 0), OpFlags::LEAF),
        (call(OpKind::Truncate, "moved"), (0, 0, 0, 3), OpFlags::WRITE),
        (call(OpKind::Unlink, "made"), (flag(libc::AT_REMOVEDIR), 0, 0, 0), none),
        (call(OpKind::Open, "new"), (creates, 0o640, 0, 0), OpFlags::WRITE | OpFlags::CREATE),
        (call(OpKind::Open, "new"), (0, 0, libc::RESOLVE_BENEATH, 0), none),
    ];
    assert_eq!(all.into_inner().unwrap(), expected);
}
