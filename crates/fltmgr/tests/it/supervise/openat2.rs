//! openat2: its limits on the way (RESOLVE_*), and its errors.

use std::ffi::CString;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::Path;

use fltmgr::Status;
use fltmgr::filter::{OpKind, OpSet};
use fltmgr::source::Waiting;
use libc::{
    AT_FDCWD, O_CREAT, O_DIRECTORY, O_EXCL, O_PATH, O_RDONLY, O_TMPFILE, O_WRONLY, RESOLVE_BENEATH, RESOLVE_CACHED,
    RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV,
};

use super::probe;
use testkit::World;

use super::world::{Supervised as _, allow_all};

/// struct open_how, and what a later kernel may have added to it.
#[repr(C)]
struct How {
    flags: u64,
    mode: u64,
    resolve: u64,
    more: u64,
}

const SIZE: usize = 24;

fn openat2(dir: i32, path: &str, how: &How, size: usize) -> io::Result<OwnedFd> {
    let path = CString::new(path).unwrap();
    // SAFETY: a string and `size` bytes of `how`, both alive through the call.
    let fd = unsafe { libc::syscall(libc::SYS_openat2, dir, path.as_ptr(), &raw const *how, size) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made, and nothing else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Which object an open gives: by name, with this process's number left out.
fn said(opened: io::Result<OwnedFd>) -> String {
    match opened {
        Err(error) => error.to_string(),
        Ok(fd) => {
            let name = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap();
            // SAFETY: gettid has no preconditions.
            let numbers = [(std::process::id(), "SELF"), (unsafe { libc::gettid() } as u32, "THREAD")];
            let name = numbers.iter().fold(format!("{}/", name.display()), |name, (number, own)| {
                name.replace(&format!("/{number}/"), &format!("/{own}/"))
            });
            let name = if name.contains("/#") { "a temporary file" } else { &name };
            // SAFETY: fcntl on an open descriptor.
            let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) } & !libc::O_NOFOLLOW;
            format!("{name} {flags:#o}")
        }
    }
}

/// Where the paths below start. Cargo.toml and src are also where the supervisor of the test is.
fn make_jail(world: &Path) {
    let jail = world.join("jail");
    let _ = fs::remove_dir_all(&jail);
    fs::create_dir_all(jail.join("etc")).unwrap();
    fs::create_dir_all(jail.join("src")).unwrap();
    fs::write(jail.join("Cargo.toml"), "ours").unwrap();
    fs::write(jail.join("etc/hidden"), "hidden").unwrap();
    symlink("/etc", jail.join("away")).unwrap();
    symlink("etc", jail.join("link")).unwrap();
    symlink("etc/made", jail.join("dangling")).unwrap();
}

fn jail() -> OwnedFd {
    rustix::fs::open("jail", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap()
}

/// Opens by many paths, flags and limits, and prints what came of it.
pub(crate) fn table() -> String {
    let paths = [
        "Cargo.toml",
        "/Cargo.toml",
        "/src",
        "etc/hidden",
        "/etc/hidden",
        "link/hidden",
        "dangling",
        "away/hidden",
        "../jail/etc/hidden",
        "/../etc/new",
        "/link/new",
        "etc/none/x",
        "/proc/self/fd",
        "/proc/self/status",
        "/proc/self/task",
        "/proc/self/cwd/jail",
    ];
    let limits = [
        0,
        RESOLVE_NO_XDEV,
        RESOLVE_NO_MAGICLINKS,
        RESOLVE_NO_SYMLINKS,
        RESOLVE_BENEATH,
        RESOLVE_IN_ROOT,
        RESOLVE_CACHED,
        RESOLVE_BENEATH | RESOLVE_IN_ROOT,
        1 << 40,
    ];
    let mut table = String::new();
    for flags in [O_RDONLY, O_DIRECTORY, O_CREAT | O_WRONLY, O_CREAT | O_EXCL | O_WRONLY, O_TMPFILE | O_WRONLY] {
        for resolve in limits {
            for path in paths {
                let creates = flags & (O_CREAT | (O_TMPFILE & !O_DIRECTORY)) != 0;
                // The test may not write what does not belong to it; what is not cached is a matter of luck.
                let leads_away = path.starts_with('/') || path.starts_with("away");
                let may_leave = resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH) == 0;
                if creates && leads_away && may_leave || resolve == RESOLVE_CACHED {
                    continue;
                }
                make_jail(Path::new("."));
                let jail = jail();
                let how = How { flags: flags as u64, mode: if creates { 0o600 } else { 0 }, resolve, more: 0 };
                for size in [SIZE - 8, SIZE, size_of::<How>()] {
                    let said = said(openat2(jail.as_raw_fd(), path, &how, size));
                    let _ = writeln!(table, "{flags:#o} {resolve:#x} {path} by {size}: {said}");
                }
            }
        }
    }
    for (flags, mode) in
        [(1 << 31, 0), (1 << 40, 0), (O_DIRECTORY as u64, 0o600), (0, 0o600), (O_CREAT as u64, 1 << 20)]
    {
        for path in ["jail", "jail/Cargo.toml"] {
            let how = How { flags, mode, resolve: 0, more: 0 };
            let _ = writeln!(table, "{flags:#o} {mode:#o} {path}: {}", said(openat2(AT_FDCWD, path, &how, SIZE)));
        }
    }
    // SAFETY: chdir and a string.
    unsafe { libc::chdir(c"/proc".as_ptr()) };
    for path in ["self/task", "thread-self/fd", "self/ns"] {
        let how = How { flags: O_RDONLY as u64, mode: 0, resolve: RESOLVE_BENEATH, more: 0 };
        let _ = writeln!(table, "> {path}: {}", said(openat2(AT_FDCWD, path, &how, SIZE)));
    }
    table
}

#[test]
fn the_object_is_the_one_that_the_kernel_gives() {
    let world = World::new();
    let rows = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with(['0', '>'])).map(String::from).collect()
    };
    let plain = probe::command("openat2").current_dir(world.dir()).output().unwrap();
    let plain = rows(&String::from_utf8(plain.stdout).unwrap());
    let asked = rows(&world.run(probe::command("openat2"), OpSet::OPEN, allow_all).ok().out);
    assert!(plain.len() > 1000, "{}", plain.len());
    let differences: Vec<_> = plain.iter().zip(&asked).filter(|(a, b)| a != b).collect();
    assert!(differences.is_empty(), "{differences:#?}");
    assert_eq!(plain.len(), asked.len());
}

/// Opens what the rule of the test denies, by names that only limits make into its name.
pub(crate) fn denied() {
    let jail = jail();
    for (path, flags, resolve, size) in [
        ("/etc/hidden", O_RDONLY, RESOLVE_IN_ROOT, SIZE),
        ("/link/hidden", O_RDONLY, RESOLVE_IN_ROOT, SIZE),
        ("/etc/hidden", O_RDONLY, RESOLVE_IN_ROOT, size_of::<How>()),
        ("link/hidden", O_RDONLY, RESOLVE_NO_MAGICLINKS, size_of::<How>()),
        ("/etc/../../etc/hidden", O_CREAT, RESOLVE_IN_ROOT, SIZE),
        ("link/made", O_CREAT, RESOLVE_BENEATH, SIZE),
        ("dangling", O_CREAT, RESOLVE_BENEATH, SIZE),
        ("/link/made", O_CREAT, RESOLVE_IN_ROOT, SIZE),
    ] {
        let how = How { flags: flags as u64, mode: if flags == 0 { 0 } else { 0o600 }, resolve, more: 0 };
        let opened = openat2(jail.as_raw_fd(), path, &how, size);
        let errno = opened.as_ref().err().and_then(io::Error::raw_os_error);
        assert_eq!(errno, Some(libc::EACCES), "{path} {}", said(opened));
    }
    println!("all denied");
}

#[test]
fn no_limit_makes_another_name_of_a_denied_file() {
    let world = World::new();
    make_jail(world.dir());
    let [hidden, made] = ["hidden", "made"].map(|name| world.path("jail/etc").join(name));
    let policy =
        |held: &dyn Waiting| [&hidden, &made].contains(&&held.operation().path).then_some(Status::ACCESS_DENIED);
    let outcome = world.run(probe::command("openat2-denied"), OpSet::OPEN, policy);
    assert!(outcome.out.contains("all denied"), "{}{}", outcome.out, outcome.err);
    assert_eq!((outcome.asked(OpKind::Open, &hidden), outcome.asked(OpKind::Open, &made)), (5, 3), "{outcome:#?}");
}

/// A descriptor of a path cannot be handed over, and to let the kernel read the struct would be to let it read another one.
pub(crate) fn path() {
    let how = How { flags: O_PATH as u64, mode: 0, resolve: 0, more: 0 };
    println!("openat2: {}", said(openat2(AT_FDCWD, ".", &how, SIZE)));
    let opened = rustix::fs::open(".", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty());
    println!("openat: {}", opened.is_ok());
}

#[test]
fn a_path_is_opened_by_the_older_calls() {
    let world = World::new();
    let outcome = world.run(probe::command("openat2-path"), OpSet::OPEN, allow_all).ok();
    assert!(outcome.out.contains("openat2: Function not implemented (os error 38)\nopenat: true"), "{}", outcome.out);
}

/// A file that is made if it is not there, and structs longer than ours.
#[test]
fn what_is_there_can_be_looked_into_whatever_the_limits() {
    let world = World::new();
    make_jail(world.dir());
    let made = world.path("jail/etc/made");
    fs::write(&made, "hidden").unwrap();
    let policy = |held: &dyn Waiting| {
        let file = held.file().unwrap()?;
        let mut content = [0; 6];
        let read = rustix::io::pread(&file, &mut content, 0).unwrap();
        (&content[..read] == b"hidden").then_some(Status::ACCESS_DENIED)
    };
    let outcome = world.run(probe::command("openat2-denied"), OpSet::OPEN, policy);
    assert!(outcome.out.contains("all denied"), "{}{}", outcome.out, outcome.err);
}
