//! Processes that make system calls in place of this one.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use fltmgr_sys::actor::{Actor, Arg, Effect};
use fltmgr_sys::proxy::{Proxy, Rights};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use testkit::{Again, say, until};

const HERE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

fn directory(dir: &tempfile::TempDir) -> OwnedFd {
    rustix::fs::open(dir.path(), HERE, Mode::empty()).unwrap()
}

fn is_alive(pid: u32) -> bool {
    fs::exists(format!("/proc/{pid}")).unwrap()
}

#[test]
fn what_a_proxy_opens_is_open_here() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "text").unwrap();
    let start = directory(&dir);
    let proxy = Proxy::start().unwrap();
    let actor = Actor::Proxy(&proxy);
    let file = actor.open(start.as_fd(), b"file", OFlags::RDONLY, Mode::empty(), None).unwrap();
    assert_eq!(std::io::read_to_string(fs::File::from(file)).unwrap(), "text");
    assert_eq!(actor.open(start.as_fd(), b"none", OFlags::RDONLY, Mode::empty(), None).unwrap_err(), Errno::NOENT);
}

#[test]
fn a_proxy_has_a_file_mode_mask_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let start = directory(&dir);
    let proxy = Proxy::start().unwrap();
    for (name, mask) in [(c"a", 0), (c"b", 0o77), (c"c", 0o27)] {
        proxy.set_mask(mask);
        let arguments = [Arg::Fd(start.as_fd()), Arg::Text(name), Arg::Number(0o777)];
        Actor::Proxy(&proxy).effect(Effect::Mkdirat, &arguments).unwrap();
        let mode = fs::metadata(dir.path().join(name.to_str().unwrap())).unwrap().mode();
        assert_eq!(mode & 0o777, 0o777 & !mask);
    }
}

#[test]
fn an_object_is_changed_by_its_descriptor() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "text").unwrap();
    let object = rustix::fs::open(&path, HERE, Mode::empty()).unwrap();
    fs::rename(&path, dir.path().join("moved")).unwrap();
    let proxy = Proxy::start().unwrap();
    for (actor, mode) in [(Actor::Ours, 0o640), (Actor::Proxy(&proxy), 0o604)] {
        actor.effect(Effect::Fchmodat, &[Arg::Here, Arg::Object(object.as_fd()), Arg::Number(mode)]).unwrap();
        assert_eq!(u64::from(fs::metadata(dir.path().join("moved")).unwrap().mode()) & 0o777, mode);
    }
}

#[test]
fn an_open_that_waits_for_ever_is_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let [first, second] = [(); 2].map(|()| Arc::new(eventfd(0, EventfdFlags::CLOEXEC).unwrap()));
    let begin = |bell: &Arc<OwnedFd>| {
        let object = Arc::new(rustix::fs::open(&path, HERE, Mode::empty()).unwrap());
        Proxy::start().unwrap().begin_open(object, libc::O_RDONLY as u32, bell.clone())
    };
    let opening = begin(&first);
    until(|| {
        opening.interrupt();
        opening.is_over()
    });
    assert_eq!(opening.result().0.unwrap_err(), Errno::INTR);
    // and one that comes to its end
    let opening = begin(&second);
    let writer = fs::File::options().write(true).open(&path).unwrap();
    let mut fds = [PollFd::new(&*second, PollFlags::IN)];
    assert_eq!(poll(&mut fds, None).unwrap(), 1);
    assert!(opening.is_over());
    let reader = opening.result().0.unwrap();
    rustix::io::write(&writer, b"x").unwrap();
    assert_eq!(rustix::io::read(&reader, &mut [0; 8]).unwrap(), 1);
}

#[test]
fn an_open_that_is_given_up_ends_its_proxy() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).unwrap());
    let object = Arc::new(rustix::fs::open(&path, HERE, Mode::empty()).unwrap());
    let proxy = Proxy::start().unwrap();
    let pid = proxy.pid();
    drop(proxy.begin_open(object, libc::O_RDONLY as u32, bell.clone()));
    until(|| !is_alive(pid));
    until(|| Arc::strong_count(&bell) == 1);
}

#[test]
fn a_proxy_that_was_killed_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let start = directory(&dir);
    let proxy = Proxy::start().unwrap();
    let pid = rustix::process::Pid::from_raw(proxy.pid() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let open = || Actor::Proxy(&proxy).open(start.as_fd(), b".", HERE, Mode::empty(), None);
    assert_eq!(open().unwrap_err(), Errno::INTR);
    assert_eq!(open().unwrap_err(), Errno::INTR);
    drop(proxy);
    until(|| !is_alive(pid.as_raw_nonzero().get() as u32));
}

#[test]
fn proxies_end_when_they_are_dropped() {
    let pids: Vec<u32> = (0..20).map(|_| Proxy::start().unwrap().pid()).collect();
    for pid in pids {
        until(|| !is_alive(pid));
    }
}

#[test]
fn many_proxies_work_at_one_time() {
    std::thread::scope(|scope| {
        for n in 0..8u32 {
            scope.spawn(move || {
                let dir = tempfile::tempdir().unwrap();
                let start = directory(&dir);
                let proxy = Proxy::start().unwrap();
                for round in 0..200u32 {
                    proxy.set_mask(n * 8 % 0o100);
                    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::EXCL;
                    let name = format!("f{round}");
                    let mode = Mode::from_raw_mode(0o666);
                    Actor::Proxy(&proxy).open(start.as_fd(), name.as_bytes(), flags, mode, None).unwrap();
                }
                assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 200);
            });
        }
    });
}

#[test]
fn a_proxy_takes_the_rights_of_a_user() {
    if !rustix::process::geteuid().is_root() {
        return println!("SKIP privileged: only root takes the rights of others");
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(dir.path().join("closed"), "x").unwrap();
    fs::set_permissions(dir.path().join("closed"), fs::Permissions::from_mode(0o640)).unwrap();
    let start = directory(&dir);
    let proxy = Proxy::start().unwrap();
    let user = |id, groups: &[u32]| Rights { uids: [id; 4], gids: [id; 4], groups: groups.to_vec(), capabilities: 0 };
    proxy.take(&Rights::default(), &user(65_534, &[7, 9])).unwrap();
    let actor = Actor::Proxy(&proxy);
    let closed = actor.open(start.as_fd(), b"closed", OFlags::RDONLY, Mode::empty(), None);
    assert_eq!(closed.unwrap_err(), Errno::ACCESS);
    let flags = OFlags::CREATE | OFlags::WRONLY;
    actor.open(start.as_fd(), b"mine", flags, Mode::RWXU, None).unwrap();
    let made = fs::metadata(dir.path().join("mine")).unwrap();
    assert_eq!((made.uid(), made.gid()), (65_534, 65_534));
    let status = fs::read_to_string(format!("/proc/{}/status", proxy.pid())).unwrap();
    assert!(status.contains("CapPrm:\t0000000000000000") && status.contains("Groups:\t7 9"), "{status}");
    assert!(rustix::process::geteuid().is_root(), "this process is what it was");
}

#[test]
fn a_copy_of_a_proxy_is_what_it_is() {
    if !rustix::process::geteuid().is_root() {
        return println!("SKIP privileged: only root takes the rights of others");
    }
    let proxy = Proxy::start().unwrap();
    let user = Rights { uids: [65_534; 4], gids: [65_534; 4], groups: vec![], capabilities: 0 };
    proxy.take(&Rights::default(), &user).unwrap();
    let copy = proxy.copy().unwrap();
    let of_copy = copy.copy().unwrap();
    drop(proxy);
    for copy in [copy, of_copy] {
        let status = fs::read_to_string(format!("/proc/{}/status", copy.pid())).unwrap();
        assert!(status.contains("Uid:\t65534\t65534\t65534\t65534"), "{status}");
        let pid = copy.pid();
        drop(copy);
        until(|| !is_alive(pid));
    }
}

#[test]
fn a_ruleset_holds_for_a_proxy_and_its_copies_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    let start = directory(&dir);
    // READ_FILE, and nothing that allows it
    let attributes = 1u64 << 2;
    // SAFETY: the kernel reads eight bytes of `attributes`.
    let fd = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attributes, 8, 0) };
    if fd < 0 {
        return println!("SKIP: no Landlock here");
    }
    // SAFETY: a descriptor that the kernel made a moment ago.
    let ruleset = unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd as i32) };
    let [free, bound] = [(); 2].map(|()| Proxy::start().unwrap());
    bound.restrict(ruleset.as_fd(), 0).unwrap();
    let copy = bound.copy().unwrap();
    let read = |actor: Actor<'_>| actor.open(start.as_fd(), b"file", OFlags::RDONLY, Mode::empty(), None).map(drop);
    assert_eq!(read(Actor::Proxy(&bound)), Err(Errno::ACCESS));
    assert_eq!(read(Actor::Proxy(&copy)), Err(Errno::ACCESS));
    assert_eq!(read(Actor::Proxy(&free)), Ok(()));
    assert_eq!(read(Actor::Ours), Ok(()));
}

#[test]
fn a_proxy_enters_a_user_namespace() {
    let mut other = Command::new("unshare");
    let Ok(mut other) = other.args(["-Ur", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() else {
        return println!("SKIP privileged: no unshare(1) here");
    };
    let ns = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/user")).ok();
    let ours = ns(std::process::id());
    until(|| ns(other.id()).is_none_or(|theirs| Some(theirs) != ours) || other.try_wait().unwrap().is_some());
    if other.try_wait().unwrap().is_some() {
        return println!("SKIP privileged: no user namespaces here");
    }
    let theirs = fs::File::open(format!("/proc/{}/ns/user", other.id())).unwrap();
    let proxy = Proxy::start().unwrap();
    proxy.enter(theirs.as_fd()).unwrap();
    // As an ordinary user we see no link of it any more, but that it has the rights of the namespace's owner.
    assert!(ns(proxy.pid()).is_none_or(|its| Some(its) == ns(other.id())));
    let status = fs::read_to_string(format!("/proc/{}/status", proxy.pid())).unwrap();
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap();
    assert_ne!(u64::from_str_radix(capabilities, 16).unwrap() & 1 << 21, 0, "CAP_SYS_ADMIN: {status}");
    let dumpable = rustix::process::dumpable_behavior().unwrap();
    assert_eq!(dumpable, rustix::process::DumpableBehavior::NotDumpable);
    drop(other.stdin.take());
    other.wait().unwrap();
}

/// The role of a process that is killed while it has a proxy.
pub(crate) fn host() -> ! {
    let proxy = Proxy::start().unwrap();
    say(&format!("proxy {}", proxy.pid()));
    loop {
        std::thread::park();
    }
}

#[test]
fn a_proxy_ends_with_its_process() {
    let mut host = Again::start("proxy", Path::new("/"));
    let pid = host.says("proxy").parse().unwrap();
    assert!(is_alive(pid));
    drop(host);
    until(|| !is_alive(pid));
}
