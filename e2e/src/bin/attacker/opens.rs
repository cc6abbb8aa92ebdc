//! Ways to open what must not be opened.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::fs::Mode;

use crate::race::{By, Outcome, Race, Side};
use crate::raw::{HERE, Identity, Reads, Text, Words, at, handle, shared};

const READ: usize = (libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC) as usize;
const WRITE: usize = (libc::O_RDWR | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC) as usize;

/// What stands in `DIR/a` by these names; in `DIR/b` each of them is a file that must not be opened.
const KINDS: &[(&str, &str)] = &[
    ("null", "/dev/null"),
    ("zero", "/dev/zero"),
    ("full", "/dev/full"),
    ("random", "/dev/urandom"),
    ("proc", "/proc/version"),
    ("status", "/proc/self/status"),
    ("maps", "/proc/thread-self/maps"),
    ("sys", "/sys/kernel/mm/transparent_hugepage/enabled"),
    ("tty", "/dev/tty"),
    ("ptmx", "/dev/ptmx"),
    ("link", "file"),
    ("up", "../a/./file"),
    ("gone", "nothing"),
];

/// What a file contains that must not be opened for its content: spelt backwards here, so that this program does not.
pub(crate) fn needle() -> String {
    "ELDEEN".chars().rev().collect()
}

/// Makes the files of these tests in a directory.
pub(crate) fn stage(dir: &str) {
    for folder in ["a", "b", "swap"] {
        std::fs::create_dir(format!("{dir}/{folder}")).expect("a new folder");
    }
    let secret = format!("{dir}/b/file");
    std::fs::write(&secret, needle()).expect("a new file");
    std::fs::write(format!("{dir}/a/file"), "clean\n").expect("a new file");
    for (name, target) in KINDS {
        std::os::unix::fs::symlink(target, format!("{dir}/a/{name}")).expect("a new link");
    }
    let other = ["fifo", "dir", "sock", "new"];
    for name in KINDS.iter().map(|(name, _)| name).chain(&other) {
        std::fs::hard_link(&secret, format!("{dir}/b/{name}")).expect("a new name");
    }
    rustix::fs::mknodat(rustix::fs::CWD, format!("{dir}/a/fifo"), rustix::fs::FileType::Fifo, Mode::RWXU, 0)
        .expect("a new fifo");
    std::fs::create_dir(format!("{dir}/a/dir")).expect("a new folder");
    drop(std::os::unix::net::UnixListener::bind(format!("{dir}/a/sock")).expect("a new socket"));
    std::os::unix::fs::symlink("../a/null", format!("{dir}/swap/x")).expect("a new link");
    std::os::unix::fs::symlink("../b/file", format!("{dir}/swap/y")).expect("a new link");
}

/// A path of which one byte says whether it leads into `a` or `b`.
#[derive(Clone, Copy)]
struct Switch {
    text: Text,
    at: usize,
}

impl Switch {
    /// `before`, then `a/NAME` or `b/NAME`.
    fn new(before: &str, name: &str) -> Self {
        Self { text: Text::new(format!("{before}a/{name}")), at: before.len() }
    }

    fn set(self, side: Side) {
        self.text.set(self.at, side.of(b'a', b'b'));
    }
}

/// What a try to open gave; closes it.
fn outcome(result: Result<usize, i32>, secret: Identity) -> Outcome {
    match result {
        Ok(fd) => {
            let opened = Identity::open_on(fd);
            let _ = Reads::CLOSE.call([fd]);
            if opened == Some(secret) { Outcome::Through } else { Outcome::Harmless }
        }
        Err(errno) => Outcome::Error(errno),
    }
}

/// A path whose byte changes, opened by this call.
fn switched(dir: &str, switch: Switch, call: impl Fn(usize) -> Result<usize, i32> + 'static) -> Race {
    let secret = secret(dir);
    Race::new(move |side| switch.set(side), move |_| outcome(call(switch.text.address()), secret))
}

fn secret(dir: &str) -> Identity {
    Identity::of(&format!("{dir}/b/file"))
}

/// By openat with these flags.
fn path(dir: &str, name: &str, flags: usize) -> Race {
    let switch = Switch::new(&format!("{dir}/"), name);
    switched(dir, switch, move |path| Reads::OPENAT.call([HERE, path, flags, 0o600]))
}

/// By openat2 with this struct, which may be longer than the kernel's.
fn path2(dir: &str, name: &str, from: usize, how: &[u64]) -> Race {
    let before = if from == HERE { format!("{dir}/") } else { String::new() };
    let (how, size) = (Words::new(how), size_of_val(how));
    let switch = Switch::new(&before, name);
    switched(dir, switch, move |path| Reads::OPENAT2.call([from, path, how.address(), size]))
}

/// Through a magic link to the root.
fn through(dir: &str, root: &str) -> Race {
    let switch = Switch::new(&format!("{root}{dir}/"), "null");
    switched(dir, switch, |path| Reads::OPENAT.call([HERE, path, READ]))
}

/// By a call that takes no directory.
#[cfg(target_arch = "x86_64")]
fn legacy(dir: &str, name: &str, call: Reads, flags: usize) -> Race {
    let switch = Switch::new(&format!("{dir}/"), name);
    switched(dir, switch, move |path| call.call([path, flags]))
}

/// A path that leads to the secret, opened by openat2 with a struct of which one word changes.
fn how(dir: &str, words: &[u64], at: usize, open: u64, denied: u64) -> Race {
    let secret = secret(dir);
    let (text, size) = (Text::new(format!("{dir}/b/file")), size_of_val(words));
    let how = Words::new(words);
    let attempt = move |_| outcome(Reads::OPENAT2.call([HERE, text.address(), how.address(), size]), secret);
    Race::new(move |side| how.set(at, side.of(open, denied)), attempt)
}

/// A path whose last digit names one of two descriptors.
fn digit(dir: &str, before: &str, name: &str) -> Race {
    let secret = secret(dir);
    for (fd, path) in [(8, format!("{dir}/a/{name}")), (9, format!("{dir}/b/file"))] {
        Reads::DUP3.call([handle(&path), fd, libc::O_CLOEXEC as usize]).expect("a free number");
    }
    let (text, at) = (Text::new(format!("{before}8")), before.len());
    let attempt = move |_| outcome(Reads::OPENAT.call([HERE, text.address(), READ]), secret);
    Race::new(move |side| text.set(at, side.of(b'8', b'9')), attempt)
}

/// A directory descriptor that changes, by a thread or by a process with the same table.
fn directory(dir: &str, by: By) -> Race {
    const NUMBER: usize = 7;
    let secret = secret(dir);
    let folders = [handle(&format!("{dir}/a")), handle(&format!("{dir}/b"))];
    let set = move |side: Side| {
        let _ = Reads::DUP3.call([side.of(folders[0], folders[1]), NUMBER, libc::O_CLOEXEC as usize]);
    };
    let attempt = move |_| outcome(Reads::OPENAT.call([NUMBER, at(c"null"), READ]), secret);
    Race::new(set, attempt).by(by)
}

/// A working directory that changes.
fn cwd(dir: &str, name: &'static CStr) -> Race {
    let secret = secret(dir);
    let folders = [handle(&format!("{dir}/a")), handle(&format!("{dir}/b"))];
    let set = move |side: Side| {
        let _ = Reads::FCHDIR.call([side.of(folders[0], folders[1])]);
    };
    let attempt = move |_| outcome(Reads::OPENAT.call([HERE, at(name), READ]), secret);
    Race::new(set, attempt).by(By::Process(libc::CLONE_FS))
}

/// A symbolic link that changes places with another one.
fn link(dir: &str) -> Race {
    const EXCHANGE: usize = libc::RENAME_EXCHANGE as usize;
    let secret = secret(dir);
    let [x, y] = ["x", "y"].map(|name| Text::new(format!("{dir}/swap/{name}")));
    let now = AtomicBool::new(false);
    let set = move |side: Side| {
        let denied = side == Side::Denied;
        if now.swap(denied, Ordering::AcqRel) != denied {
            let _ = Reads::RENAMEAT2.call([HERE, x.address(), HERE, y.address(), EXCHANGE]);
        }
    };
    Race::new(set, move |_| outcome(Reads::OPENAT.call([HERE, x.address(), READ]), secret))
}

/// A path in memory that another process shares, or writes to.
fn elsewhere(dir: &str, shares: bool) -> Race {
    let secret = secret(dir);
    let before = format!("{dir}/");
    let place = before.len();
    let path = format!("{before}a/null");
    let text = if shares { Text::in_memory(shared(4096), path) } else { Text::new(path) };
    let us = std::process::id();
    let set = move |side: Side| match shares {
        true => text.set(place, side.of(b'a', b'b')),
        false => write_to(us, text.address() + place, side.of(b"a", b"b")),
    };
    Race::new(set, move |_| outcome(Reads::OPENAT.call([HERE, text.address(), READ]), secret)).by(By::Process(0))
}

/// Writes into the memory of a process.
fn write_to(pid: u32, address: usize, bytes: &[u8]) {
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: bytes.len() };
    // SAFETY: reads `bytes`, and writes to atomics of this program or of the one that it is a copy of.
    unsafe { libc::process_vm_writev(pid as i32, &raw const local, 1, &raw const remote, 1, 0) };
}

/// A file on which this process has a read lease, opened for writing: the kernel waits until the lease is given back.
fn lease(dir: &str) -> Race {
    let secret = secret(dir);
    let switch = Switch::new(&format!("{dir}/"), "file");
    let held = Reads::OPENAT.call([HERE, switch.text.address(), READ]).expect("the file of this test");
    // SAFETY: no handler is set.
    unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
    // SAFETY: F_SETLEASE takes numbers only.
    let lease = move |kind: i32| unsafe { libc::fcntl(held as i32, libc::F_SETLEASE, kind) };
    let set = move |side: Side| {
        switch.set(side);
        if side == Side::Denied {
            lease(libc::F_UNLCK);
        }
    };
    let attempt = move |_| {
        lease(libc::F_RDLCK);
        let flags = (libc::O_RDWR | libc::O_CLOEXEC) as usize;
        outcome(Reads::OPENAT.call([HERE, switch.text.address(), flags]), secret)
    };
    Race::new(set, attempt)
}

/// Where the handler of [`interrupted`] changes the path.
static INTERRUPTED: OnceLock<Switch> = OnceLock::new();

extern "C" fn change_path(_signal: i32) {
    if let Some(switch) = INTERRUPTED.get() {
        switch.set(Side::Denied);
    }
}

/// A path that is changed by a handler of a signal, after which the call begins anew.
fn interrupted(dir: &str) -> Race {
    let secret = secret(dir);
    let switch = *INTERRUPTED.get_or_init(|| Switch::new(&format!("{dir}/"), "null"));
    // SAFETY: the handler only stores to an atomic that is there for good.
    unsafe { libc::signal(libc::SIGUSR1, change_path as *const () as usize) };
    let us = rustix::process::getpid();
    let set = move |side: Side| match side {
        Side::Open => switch.set(side),
        Side::Denied => rustix::process::kill_process(us, rustix::process::Signal::USR1).expect("one's own process"),
    };
    Race::new(set, move |_| outcome(Reads::OPENAT.call([HERE, switch.text.address(), READ]), secret))
}

/// A path in memory whose page is not there: the first reader is given one text, and the next another.
fn paged(dir: &str) -> Race {
    let secret = secret(dir);
    let texts = [format!("{dir}/a/null"), format!("{dir}/b/file")];
    let page = Arc::new(crate::pages::Page::new(texts.map(String::into_bytes)));
    let (owner, address) = (page.clone(), page.address());
    // The page itself changes what is read; the other end of the race has nothing to do.
    Race::new(
        |_| (),
        move |_| {
            owner.begin();
            outcome(Reads::OPENAT.call([HERE, address, READ]), secret)
        },
    )
}

/// One of these ways.
pub(crate) fn race(way: &str, dir: &str) -> Option<Race> {
    const OPEN: u64 = READ as u64;
    const CREATE: u64 = (libc::O_RDWR | libc::O_CREAT | libc::O_CLOEXEC) as u64;
    const UNKNOWN: u64 = 1 << 40;
    let (kind, name) = way.split_once(':').unwrap_or((way, ""));
    let beneath = || handle(dir);
    Some(match (kind, name) {
        ("read", name) => path(dir, name, READ),
        ("write", name) => path(dir, name, WRITE),
        ("controlling", name) => path(dir, name, (libc::O_RDWR | libc::O_CLOEXEC) as usize),
        ("create", name) => path(dir, name, CREATE as usize),
        ("long", name) => path2(dir, name, HERE, &[OPEN, 0, 0, 0]),
        ("page", name) => path2(dir, name, HERE, &[&[OPEN], &[0; 511][..]].concat()),
        ("no-links", name) => path2(dir, name, HERE, &[CREATE, 0o600, libc::RESOLVE_NO_SYMLINKS]),
        ("beneath", name) => path2(dir, name, beneath(), &[CREATE, 0o600, libc::RESOLVE_BENEATH]),
        ("in-root", name) => path2(dir, name, beneath(), &[CREATE, 0o600, libc::RESOLVE_IN_ROOT]),
        ("read-beneath", name) => path2(dir, name, beneath(), &[OPEN, 0, libc::RESOLVE_BENEATH]),
        ("flags", "path") => how(dir, &[OPEN, 0, 0], 0, libc::O_PATH as u64, OPEN),
        ("flags", "directory") => how(dir, &[OPEN, 0, 0], 0, libc::O_DIRECTORY as u64, OPEN),
        ("flags", "temporary") => how(dir, &[OPEN, 0, 0], 0, (libc::O_TMPFILE | libc::O_RDWR) as u64, OPEN),
        ("flags", "unknown") => how(dir, &[OPEN, 0, 0], 0, OPEN | UNKNOWN, OPEN),
        ("flags", "mode") => how(dir, &[OPEN, 0, 0], 1, UNKNOWN, 0),
        ("flags", "limits") => how(dir, &[OPEN, 0, 0], 2, UNKNOWN, 0),
        ("flags", "tail") => how(dir, &[OPEN, 0, 0, 0], 3, 1, 0),
        ("number", "self") => digit(dir, "/proc/self/fd/", "file"),
        ("number", "thread") => digit(dir, "/proc/thread-self/fd/", "null"),
        ("number", "dev") => digit(dir, "/dev/fd/", "null"),
        ("number", "pid") => digit(dir, &format!("/proc/{}/fd/", std::process::id()), "null"),
        ("through", "root") => through(dir, "/proc/self/root"),
        ("through", "task") => through(dir, &format!("/proc/{0}/task/{0}/root", std::process::id())),
        ("directory", "thread") => directory(dir, By::Thread),
        ("directory", "process") => directory(dir, By::Process(libc::CLONE_FILES)),
        ("cwd", "relative") => cwd(dir, c"null"),
        ("cwd", "link") => cwd(dir, c"/proc/self/cwd/null"),
        ("link", "") => link(dir),
        ("memory", "shared") => elsewhere(dir, true),
        ("memory", "written") => elsewhere(dir, false),
        ("memory", "paged") => paged(dir),
        ("lease", "") => lease(dir),
        ("signal", "") => interrupted(dir),
        #[cfg(target_arch = "x86_64")]
        ("open", name) => legacy(dir, name, Reads::OPEN, READ),
        #[cfg(target_arch = "x86_64")]
        ("creat", name) => legacy(dir, name, Reads::CREAT, 0o600),
        _ => return None,
    })
}
