//! Opening: allowed, denied, created, truncated, by every kind of path.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use fltmgr::Status;
use fltmgr::filter::{OpKind, OpSet};

use super::probe;
use testkit::{World, apart, skip};

use super::world::{Supervised as _, allow_all, deny};

#[test]
fn an_allowed_file_is_read_intact() {
    let world = World::new();
    let text = "line\n".repeat(100_000);
    let path = world.file("big", &text);
    let outcome = world.sh("exec cat big", OpSet::OPEN, allow_all).ok();
    assert!(outcome.out == text);
    assert_eq!(outcome.asked(OpKind::Open, &path), 1);
    assert!(outcome.asked.iter().any(|asked| asked.path == path && asked.command == "cat"));
}

#[test]
fn a_denied_file_is_not_read() {
    let world = World::new();
    let path = world.file("secret", "hidden");
    world.file("open", "seen");
    let outcome = world.sh("cat open secret", OpSet::OPEN, deny("secret"));
    assert_eq!(outcome.out, "seen");
    assert!(outcome.err.contains("secret: Permission denied"), "{}", outcome.err);
    assert_eq!(outcome.asked(OpKind::Open, &path), 1);
}

#[test]
fn the_asker_can_read_the_file_before_it_is_opened() {
    let world = World::new();
    world.file("good", "clean contents");
    world.file("bad", "there is EVIL in it");
    let outcome = world.sh("cat good; cat bad", OpSet::OPEN, |held| {
        let file = held.file().unwrap()?;
        let mut buffer = [0; 64];
        let n = rustix::io::pread(&file, &mut buffer, 0).ok()?;
        buffer[..n].windows(4).any(|window| window == b"EVIL").then_some(Status::PRIVILEGE_NOT_HELD)
    });
    assert_eq!(outcome.out, "clean contents");
    assert!(outcome.err.contains("bad: Operation not permitted"), "{}", outcome.err);
}

/// A lease makes an open wait, or fail, that does not break it: there is something to be read, and we can not look.
#[test]
fn a_file_that_can_not_be_looked_at_is_told_from_none() {
    use std::os::fd::AsRawFd;
    let world = World::new();
    let leased = fs::OpenOptions::new().read(true).write(true).open(world.file("leased", "text")).unwrap();
    world.file("write-only", "text");
    // SAFETY: the breaking of a lease is told by SIGIO, which would end this process.
    unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
    // SAFETY: fcntl on an open descriptor.
    let lease = |kind: i32| unsafe { libc::fcntl(leased.as_raw_fd(), libc::F_SETLEASE, kind) };
    if lease(libc::F_WRLCK) != 0 {
        return println!("SKIP: no leases on this file system");
    }
    let outcome = world.sh("cat leased; echo new > fresh", OpSet::OPEN, |held| match &held.operation().path {
        path if path.ends_with("leased") => {
            let error = held.file().unwrap_err();
            lease(libc::F_UNLCK);
            (error.raw_os_error() != Some(libc::EWOULDBLOCK)).then_some(Status::IO_DEVICE_ERROR)
        }
        path if path.ends_with("fresh") => held.file().unwrap().is_some().then_some(Status::IO_DEVICE_ERROR),
        _ => None,
    });
    assert_eq!(outcome.ok().out, "text");
}

#[test]
fn a_new_file_gets_the_mask_of_its_maker() {
    let world = World::new();
    let ours = || {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        status.lines().find(|line| line.starts_with("Umask")).unwrap().to_owned()
    };
    let before = ours();
    let script = "umask 027; echo a > a; umask 077; echo b > b; (umask 0; echo c > c); echo d >> d; mkdir sub; cd sub; echo e > ../e";
    let outcome = world.sh(script, OpSet::OPEN, allow_all).ok();
    assert_eq!(outcome.err, "");
    let mode = |name: &str| fs::metadata(world.path(name)).unwrap().mode() & 0o7777;
    assert_eq!([mode("a"), mode("b"), mode("c"), mode("d"), mode("e")], [0o640, 0o600, 0o666, 0o600, 0o600]);
    assert_eq!(fs::read_to_string(world.path("e")).unwrap(), "e\n");
    assert_eq!(ours(), before);
    assert_eq!(outcome.asked(OpKind::Open, &world.path("e")), 1);
}

#[test]
fn a_denied_creation_leaves_no_file() {
    let world = World::new();
    let outcome = world.sh("echo x > new", OpSet::OPEN, deny("new"));
    assert!(outcome.err.contains("Permission denied"), "{}", outcome.err);
    assert!(!world.path("new").exists());
}

#[test]
fn a_denied_truncation_keeps_the_data() {
    let world = World::new();
    let path = world.file("precious", "data");
    let outcome = world.sh("echo x > precious", OpSet::OPEN, deny("precious"));
    assert!(!outcome.status.unwrap().success());
    assert_eq!(fs::read_to_string(&path).unwrap(), "data");
    world.sh("echo x > precious; echo y >> precious", OpSet::OPEN, allow_all).ok();
    assert_eq!(fs::read_to_string(&path).unwrap(), "x\ny\n");
}

/// No copy of a descriptor stays with us: it would hold a lock, or a program as one that is written ("text file busy").
#[test]
fn what_a_program_closes_is_closed() {
    if !sys::probe::notify().unwrap().wait_killable {
        return skip::machine("before Linux 5.19 a copy stays for a moment");
    }
    // What other tests fork has copies of all our descriptors until its exec.
    apart(|| {
        let world = World::new();
        let outcome = world.run(probe::command("locks"), OpSet::OPEN, allow_all).ok();
        assert!(outcome.out.contains("locked 2000 of 2000 times"), "{}", outcome.out);
    });
}

/// As without us: no file is made or truncated for a program that has no room for another descriptor.
#[test]
fn an_open_without_room_changes_nothing() {
    let world = World::new();
    world.file("precious", "data");
    let outcome = world.run(probe::command("full"), OpSet::OPEN, allow_all).ok();
    let full = "full: Too many open files (os error 24), Too many open files (os error 24)";
    for said in [full, "4 bytes are left, and there is a new file: false", "room: opened, opened"] {
        assert!(outcome.out.contains(said), "{}", outcome.out);
    }
}

/// Each way to name a denied file is found out.
#[test]
fn no_other_name_reaches_a_denied_file() {
    let world = World::new();
    let path = world.file("secret", "hidden");
    fs::create_dir(world.path("sub")).unwrap();
    symlink("../secret", world.path("sub/relative")).unwrap();
    symlink(&path, world.path("absolute")).unwrap();
    symlink("absolute", world.path("twice")).unwrap();
    symlink(Path::new("/proc/self/cwd/secret"), world.path("through-proc")).unwrap();
    let absolute = path.display();
    let names = [
        "secret".to_owned(),
        "./sub/../secret".to_owned(),
        absolute.to_string(),
        format!("//{absolute}"),
        "sub/relative".to_owned(),
        "absolute".to_owned(),
        "twice".to_owned(),
        "through-proc".to_owned(),
        "/proc/self/cwd/secret".to_owned(),
        "/proc/thread-self/cwd/secret".to_owned(),
        format!("/proc/self/root{absolute}"),
        "/proc/self/task/../cwd/./sub/../secret".to_owned(),
    ];
    for name in names {
        let outcome = world.sh(&format!("cat '{name}'"), OpSet::OPEN, deny("secret"));
        assert_eq!(outcome.out, "", "{name}");
        assert!(outcome.err.contains("Permission denied"), "{name}: {}", outcome.err);
        assert_eq!(outcome.asked(OpKind::Open, &path), 1, "{name}");
    }
    // An open descriptor may be opened again only if that is allowed.
    let outcome =
        world.sh("exec 3< secret; cat /proc/self/fd/3; cat /dev/fd/3; cat /dev/stdin < secret", OpSet::OPEN, {
            let seen = AtomicU32::new(0);
            move |held| {
                let again = held.operation().path.ends_with("secret")
                    && !seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(4);
                again.then_some(Status::ACCESS_DENIED)
            }
        });
    assert_eq!(outcome.out, "");
    assert_eq!(outcome.asked(OpKind::Open, &path), 4, "{outcome:#?}");
}

#[test]
fn every_allowed_name_works() {
    let world = World::new();
    world.file("file", "text");
    symlink("file", world.path("link")).unwrap();
    symlink("made", world.path("dangling")).unwrap();
    let script = "set -e; cat link; cat /proc/self/cwd/file; exec 3< file; cat /proc/self/fd/3; cat <&3; cat /dev/stdin < file; \
        echo new > dangling; cat made; cat /proc/self/comm; read line < /dev/null || echo null; echo x > /dev/null; \
        ls /proc/self/fd > /dev/null; (cd / && ls > /dev/null); head -c 0 /dev/urandom";
    let outcome = world.sh(script, OpSet::OPEN, allow_all).ok();
    assert_eq!(outcome.out, "texttexttexttexttextnew\ncat\nnull\n");
    assert_eq!(outcome.err, "");
}

#[test]
fn a_fifo_does_not_hold_up_the_supervisor() {
    let world = World::new();
    let script = "mkfifo pipe; (cat pipe > got) & cat got 2>/dev/null; echo through > pipe; wait; cat got";
    let outcome = world.sh(script, OpSet::OPEN, allow_all).ok();
    assert_eq!(outcome.out, "through\n");
}

#[test]
fn grep_finds_what_it_finds_without_us() {
    let world = World::new();
    for dir in 0..10 {
        fs::create_dir(world.path(format!("d{dir}"))).unwrap();
        for file in 0..30 {
            world.file(&format!("d{dir}/f{file}"), format!("word {}\n", dir * file));
        }
    }
    let script = "grep -r 'word 4' . | sort";
    let plain = Command::new("/bin/sh").args(["-c", script]).current_dir(world.dir()).output().unwrap();
    let outcome = world.sh(script, OpSet::OPEN | OpSet::EXEC, allow_all).ok();
    assert_eq!(outcome.out, String::from_utf8(plain.stdout).unwrap());
    assert!(outcome.out.lines().count() > 20);
    let opened = outcome.asked.iter().filter(|asked| asked.path.starts_with(world.dir())).count();
    assert_eq!(opened, 300);
}

#[test]
fn an_unreadable_file_fails_as_it_does_without_us() {
    let world = World::new();
    let path = world.file("closed", "x");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let plain = Command::new("/bin/cat").arg(&path).env("LC_ALL", "C").output().unwrap();
    let outcome = world.sh("/bin/cat \"$PWD/closed\"", OpSet::OPEN, allow_all);
    assert_eq!(outcome.out.as_bytes(), plain.stdout);
    assert_eq!(outcome.err.as_bytes(), plain.stderr);
}
