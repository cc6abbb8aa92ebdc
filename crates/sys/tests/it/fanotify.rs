//! Permission events, on a tmpfs of their own in a mount namespace of their own, and only there.
//!
//! The test starts this binary again in the namespace. Every opener has an alarm, whose default action ends even the
//! wait for a verdict; the listener has a watchdog that ends it, and then the kernel allows everything.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::thread;

use fltmgr_sys::fanotify::{EXEC, Group, OPEN, Permission};
use testkit::{LONG, Role, World, in_role, program, skip, until, watchdog};

#[test]
fn on_a_file_system_of_its_own() {
    if let Err(error) = Group::new() {
        return skip::privileged(format_args!("fanotify_init: {error}"));
    }
    let world = World::new();
    let script = "mount -t tmpfs -o size=16m none \"$0\" || exit 77; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "/bin/sh", "-c", script]).arg(world.dir()).arg(program());
    let output = in_role(command, "inside", world.dir()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    if output.status.code() == Some(77) {
        return skip::privileged(format_args!("no private mount: {}", String::from_utf8_lossy(&output.stderr)));
    }
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("all passed"), "{text}");
}

/// The role of a listener in a mount namespace.
pub(crate) fn inside(role: &Role) {
    let _watchdog = watchdog(2 * LONG);
    let dir = role.dir.as_path();
    allowed_and_denied(dir);
    the_event_holds_the_file(dir);
    a_drop_denies(dir);
    exec_is_asked_twice(dir);
    many_are_answered_at_once(dir);
    a_writer_is_seen(dir);
    a_mark_that_is_removed_lets_nobody_pass(dir);
    what_is_not_read_is_counted(dir);
    a_denied_truncation_keeps_the_data(dir);
    what_we_cannot_open_is_lost_alone(dir);
    stop_ends_reading_and_close_allows(dir);
    println!("all passed");
}

fn group(dir: &Path, mask: u64) -> Arc<Group> {
    let group = Group::new().unwrap();
    group.watch(dir, mask).unwrap();
    group
}

fn opener(program: &str, path: &Path) -> Child {
    start(Command::new(program).arg(path))
}

fn shell(script: &str, path: &Path) -> Child {
    start(Command::new("/bin/sh").args(["-c", script]).arg(path))
}

fn start(command: &mut Command) -> Child {
    command.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let alarm = || {
        // SAFETY: alarm only sets a timer.
        unsafe { libc::alarm(20) };
        Ok(())
    };
    // SAFETY: the closure makes one system call, which is safe between fork and exec.
    unsafe { command.pre_exec(alarm) };
    command.spawn().unwrap()
}

fn end(child: Child) -> (bool, String, String) {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn next(group: &Arc<Group>, wanted: usize) -> Vec<Permission> {
    let mut permissions = Vec::new();
    while permissions.len() < wanted {
        assert!(group.read(&mut permissions, usize::MAX).unwrap());
    }
    assert_eq!(permissions.len(), wanted);
    permissions
}

fn one(group: &Arc<Group>) -> Permission {
    next(group, 1).pop().unwrap()
}

fn path_of(permission: &Permission) -> PathBuf {
    use std::os::fd::AsRawFd;
    fs::read_link(format!("/proc/self/fd/{}", permission.file().as_raw_fd())).unwrap()
}

fn file(dir: &Path, name: &str) -> PathBuf {
    fs::write(dir.join(name), "contents").unwrap();
    dir.join(name)
}

fn allowed_and_denied(dir: &Path) {
    let path = file(dir, "file");
    let group = group(dir, OPEN);
    for allow in [true, false] {
        let child = opener("/bin/cat", &path);
        let event = one(&group);
        assert_eq!((event.pid(), event.exec(), path_of(&event)), (child.id(), false, path.clone()));
        assert_eq!(group.held(), 1);
        assert!(event.answer(allow));
        assert!(!event.answer(!allow), "the second answer counts for nothing");
        drop(event);
        assert_eq!(group.held(), 0);
        let (success, out, err) = end(child);
        assert_eq!((success, out.as_str()), (allow, if allow { "contents" } else { "" }));
        assert_eq!(err.contains("Operation not permitted"), !allow, "{err}");
    }
}

fn the_event_holds_the_file(dir: &Path) {
    let path = file(dir, "read");
    let group = group(dir, OPEN);
    let child = opener("/bin/cat", &path);
    let event = one(&group);
    let mut buffer = [0; 32];
    let read = rustix::io::pread(event.file(), &mut buffer, 0).unwrap();
    assert_eq!(&buffer[..read], b"contents");
    event.answer(true);
    assert!(end(child).0);
}

fn a_drop_denies(dir: &Path) {
    let path = file(dir, "dropped");
    let group = group(dir, OPEN);
    let child = opener("/bin/cat", &path);
    drop(one(&group));
    assert!(!end(child).0);
}

fn exec_is_asked_twice(dir: &Path) {
    let path = dir.join("program");
    fs::copy("/bin/true", &path).unwrap();
    let group = group(dir, OPEN | EXEC);
    let child = thread::spawn(move || end(opener("/usr/bin/env", &path)));
    let exec = one(&group);
    assert!(exec.exec());
    exec.answer(true);
    let open = one(&group);
    assert!(!open.exec());
    open.answer(false);
    assert!(!child.join().unwrap().0);
}

fn many_are_answered_at_once(dir: &Path) {
    let path = file(dir, "many");
    let group = group(dir, OPEN);
    let children: Vec<_> = (0..8).map(|_| opener("/bin/cat", &path)).collect();
    let mut events = next(&group, 8);
    assert_eq!(group.held(), 8);
    // One is answered alone first: it must not get a second answer, nor stop the others.
    assert!(events[3].answer(true));
    Group::answer_all(&events, true);
    assert!(events.iter().all(|event| !event.answer(false)));
    events.clear();
    assert!(children.into_iter().all(|child| end(child).0));
}

/// By a descriptor, by a mapping, and before it is let in.
fn a_writer_is_seen(dir: &Path) {
    let path = file(dir, "written");
    let group = Group::new().unwrap();
    let read = fs::File::open(&path).unwrap();
    let maybe_written = || match group.maybe_written(read.as_fd()) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => None,
        other => Some(other.unwrap()),
    };
    if maybe_written().is_none() {
        return println!("SKIP: no FAN_MARK_IGNORE here");
    }
    assert_eq!(maybe_written(), Some(false));
    let writer = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    assert_eq!(maybe_written(), Some(true), "a descriptor");
    // SAFETY: a new mapping of one page, of a file that is not made shorter.
    let mapping = unsafe {
        use rustix::mm::{MapFlags, ProtFlags, mmap};
        mmap(std::ptr::null_mut(), 4096, ProtFlags::READ, MapFlags::SHARED, &writer, 0).unwrap()
    };
    drop(writer);
    assert_eq!(maybe_written(), Some(true), "a mapping that can be made writable");
    // SAFETY: the mapping just made, which nothing refers to.
    unsafe { rustix::mm::munmap(mapping, 4096).unwrap() };
    for _ in 0..3 {
        assert_eq!(maybe_written(), Some(false), "none any more");
        fs::write(&path, "written").unwrap();
    }
    let watched = self::group(dir, OPEN);
    let child = shell("exec 3<>\"$0\"; echo x >&3", &path);
    let event = one(&watched);
    assert_eq!(maybe_written(), Some(true), "one that waits to be let in");
    event.answer(true);
    assert!(end(child).0);
}

/// An opener waits, the first mark of the file is removed, and others open it.
fn a_mark_that_is_removed_lets_nobody_pass(dir: &Path) {
    let path = file(dir, "marked");
    let group = group(dir, OPEN);
    let ask = |path: &Path| {
        let child = opener("/bin/cat", path);
        let event = one(&group);
        group.mark_first(event.file().as_fd()).unwrap();
        (child, event)
    };
    let refuse = |(child, event): (Child, Permission)| {
        event.answer(false);
        assert!(!end(child).0);
    };
    refuse(ask(&path));
    let inotify = rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::CLOEXEC).unwrap();
    let watch = rustix::fs::inotify::add_watch(&inotify, &path, rustix::fs::inotify::WatchFlags::ATTRIB).unwrap();
    let waiting = ask(&path);
    rustix::fs::inotify::remove_watch(&inotify, watch).unwrap();
    refuse(ask(&path));
    refuse(waiting);
}

fn what_is_not_read_is_counted(dir: &Path) {
    let path = file(dir, "counted");
    let group = group(dir, OPEN);
    let children: Vec<_> = (0..3).map(|_| opener("/bin/cat", &path)).collect();
    let mut some = Vec::new();
    until(|| group.unread().unwrap() == 3);
    assert!(group.read(&mut some, 2).unwrap());
    assert_eq!((some.len(), group.unread().unwrap()), (2, 1));
    some.extend(next(&group, 1));
    Group::answer_all(&some, true);
    assert!(children.into_iter().all(|child| end(child).0));
}

fn a_denied_truncation_keeps_the_data(dir: &Path) {
    let path = file(dir, "kept");
    let group = group(dir, OPEN);
    let child = shell(": > \"$0\"", &path);
    one(&group).answer(false);
    assert!(!end(child).0);
    drop(group);
    assert_eq!(fs::read_to_string(&path).unwrap(), "contents");
}

/// The kernel opens a file for us before it tells us of it, and that may fail for reasons of the file's own: here an
/// overlay that wants a digest which it has not.
fn what_we_cannot_open_is_lost_alone(dir: &Path) {
    let at = |name: &str| dir.join(name);
    for name in ["lower", "data", "overlay"] {
        fs::create_dir(at(name)).unwrap();
    }
    let (broken, good) = (file(&at("lower"), "broken"), file(&at("lower"), "good"));
    file(&at("data"), "broken");
    fs::write(&broken, "").unwrap();
    for (name, value) in [("trusted.overlay.metacopy", ""), ("trusted.overlay.redirect", "/broken")] {
        rustix::fs::setxattr(&broken, name, value.as_bytes(), rustix::fs::XattrFlags::empty()).unwrap();
    }
    let lower = format!("lowerdir={}::{},metacopy=on,verity=require", at("lower").display(), at("data").display());
    let mount =
        Command::new("mount").args(["-t", "overlay", "-o", &lower, "none"]).arg(at("overlay")).output().unwrap();
    if !mount.status.success() {
        return println!("SKIP: no such overlay here: {}", String::from_utf8_lossy(&mount.stderr));
    }
    let group = group(&at("overlay"), OPEN);
    let child = opener("/bin/cat", &at("overlay").join(broken.file_name().unwrap()));
    let reader = group.clone();
    let read = thread::spawn(move || one(&reader).answer(true));
    let (success, _, err) = end(child);
    assert!(!success && err.contains("Operation not permitted"), "{err}");
    let child = opener("/bin/cat", &at("overlay").join(good.file_name().unwrap()));
    assert_eq!(end(child).1, "contents");
    assert!(read.join().unwrap());
    assert_eq!(group.lost(), 1);
}

fn stop_ends_reading_and_close_allows(dir: &Path) {
    let path = file(dir, "late");
    let group = group(dir, OPEN);
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let group = group.clone();
            thread::spawn(move || group.read(&mut Vec::new(), 1).unwrap())
        })
        .collect();
    group.stop();
    assert!(readers.into_iter().all(|reader| !reader.join().unwrap()));
    // No thread reads any more; the last descriptor of the group lets the opener go.
    let child = opener("/bin/cat", &path);
    drop(group);
    let (success, out, _) = end(child);
    assert_eq!((success, out.as_str()), (true, "contents"));
    let group = self::group(dir, OPEN);
    group.unwatch_all().unwrap();
    assert!(end(opener("/bin/cat", &path)).0);
}
