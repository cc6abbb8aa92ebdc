//! Programs for the tests: this binary again, running one function.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use fltmgr::filter::{OpSet, Verdict};
use fltmgr::source::{AtEnd, Source as _, Supervise};

use testkit::{Role, World, in_role, program, until};

use super::world::{Supervised as _, allow_all, is_alive};

/// A command that plays the role of one of these programs.
pub(crate) fn command(name: &str) -> Command {
    in_role(Command::new(program()), &format!("program {name}"), Path::new("/"))
}

/// What a program does.
pub(crate) fn play(role: &Role) {
    match role.words.as_str() {
        "threads" => threads(),
        "io_uring" => io_uring(),
        "errors" => print!("{}", super::errors::table()),
        "automount" => super::mounts::supervise_automount(),
        "automounted" => super::mounts::automounted(),
        "bounded" => bounded(),
        "full" => full(),
        "locks" => locks(),
        "chroot" => super::mounts::supervise_chroot(),
        "slow-make" => super::mounts::supervise_slow_make(),
        "openat2" => print!("{}", super::openat2::table()),
        "openat2-path" => super::openat2::path(),
        "openat2-denied" => super::openat2::denied(),
        "namespace" => namespace(),
        "nested" => nested(),
        "leave" => leave(),
        "leave-others" => leave_others(),
        "hold" => hold(),
        "arguments" => super::others::arguments(),
        "changes" => print!("{}", super::changes::table()),
        "landlocked" => super::callers::landlocked(),
        "landlocked-threads" => super::callers::landlocked_threads(),
        "landlocked-all-threads" => super::callers::landlocked_all_threads(),
        "own-user-namespace" => super::callers::own_user_namespace(),
        "other-users" => super::callers::other_users(),
        "try-closed" => super::callers::try_closed(),
        "fifos" => super::callers::fifos(),
        "look-into-the-supervisor" => super::callers::look_into_the_supervisor(),
        other => panic!("no program {other}"),
    }
}

fn threads() {
    let threads: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn(|| {
                (0..200).filter(|n| fs::read_to_string(format!("f{}", n % 50)).unwrap() == (n % 50).to_string()).count()
            })
        })
        .collect();
    let read: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    println!("8 threads read {read} files");
}

/// Locks a file, closes it, which ends the lock, and does so again.
fn locks() {
    use rustix::fs::{FlockOperation, flock};
    let locked = (0..2000).filter(|_| {
        let file = fs::OpenOptions::new().create(true).append(true).open("lock").unwrap();
        flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
    });
    println!("locked {} of 2000 times", locked.count());
}

/// Opens files with a full table of descriptors, then with room for one.
fn full() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    setrlimit(Resource::Nofile, Rlimit { current: Some(40), ..getrlimit(Resource::Nofile) }).unwrap();
    let mut taken: Vec<_> = std::iter::from_fn(|| io::stdin().as_fd().try_clone_to_owned().ok()).collect();
    let truncate = || fs::File::create("precious").map(drop);
    let make = || fs::File::create_new("fresh").map(drop);
    let said = |result: io::Result<()>| result.map_or_else(|error| error.to_string(), |()| "opened".into());
    println!("full: {}, {}", said(truncate()), said(make()));
    let (length, there) = (fs::metadata("precious").unwrap().len(), fs::exists("fresh").unwrap());
    println!("{length} bytes are left, and there is a new file: {there}");
    taken.pop();
    println!("room: {}, {}", said(truncate()), said(make()));
}

fn name(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EACCES) => "EACCES".into(),
        Some(libc::ENOSYS) => "ENOSYS".into(),
        _ => error.to_string(),
    }
}

fn io_uring() {
    // SAFETY: an invalid pointer is answered with EFAULT if the call exists at all.
    let result = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, 0) };
    assert_eq!(result, -1);
    println!("io_uring_setup: {}", name(&io::Error::last_os_error()));
}

fn namespace() {
    // A user namespace needs a process with one thread.
    // SAFETY: the child only makes system calls, reads two files and ends with _exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: unshare has no memory preconditions.
        let result = unsafe { libc::unshare(libc::CLONE_NEWUSER) };
        let mut text = String::new();
        if result != 0 {
            text.push_str("SKIP");
        } else {
            let read = |path: &str| fs::read_to_string(path).unwrap_or_else(|error| name(&error));
            let _ = write!(text, "file: {}, secret: {}", read("file"), read("secret"));
        }
        text.push('\n');
        // SAFETY: the bytes of `text`, which lives through the call.
        unsafe { libc::write(1, text.as_ptr().cast(), text.len()) };
        // SAFETY: _exit has no preconditions.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: `status` is an int to write to.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(status, 0);
}

/// Gives up a capability that root gets back when it executes something, and has a file read that only it opens.
fn bounded() {
    // What a process is, its first thread says: it must be the one that gives up.
    // SAFETY: the child goes on alone, as a process of one thread, and ends with _exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let world = World::new();
        let file = world.file("closed", "read");
        std::os::unix::fs::chown(&file, Some(65534), None).unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
        let mut sets = rustix::thread::capabilities(None).unwrap();
        sets.effective -= rustix::thread::CapabilitySet::DAC_OVERRIDE | rustix::thread::CapabilitySet::DAC_READ_SEARCH;
        rustix::thread::set_capabilities(None, sets).unwrap();
        let outcome = world.sh("cat closed", OpSet::OPEN | OpSet::EXEC, allow_all);
        let text = format!("{}{}, ours: {}\n", outcome.out, outcome.err, fs::File::open(&file).is_ok());
        drop(world);
        // SAFETY: the bytes of `text`, which lives through the call.
        unsafe { libc::write(1, text.as_ptr().cast(), text.len()) };
        // SAFETY: _exit has no preconditions.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: `status` is an int to write to.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(status, 0);
}

fn nested() {
    let error = Supervise::new(Command::new("/bin/true")).start(OpSet::OPEN).unwrap_err();
    println!("nested: {:?}", error.status());
}

/// Starts a supervised shell that leaves three processes behind, and kills them.
fn leave() {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "sleep 1000 & setsid sleep 1000 & (sleep 1000 & echo) & sleep 0.2"]);
    let source = Arc::new(Supervise::new(command).at_end(AtEnd::Kill));
    source.start(OpSet::OPEN | OpSet::EXEC).unwrap();
    let server = source.clone();
    let thread = std::thread::spawn(move || {
        let mut sleepers = Vec::new();
        while let Some(held) = server.next().unwrap() {
            let path = held.operation().path.to_string_lossy().into_owned();
            if path.ends_with("/sleep") || path.contains("coreutils") {
                sleepers.push(held.operation().caller.thread());
            }
            held.answer(Verdict::Allow);
        }
        sleepers
    });
    source.wait().unwrap();
    let killed = source.counters().unwrap().killed;
    let mut sleepers = thread.join().unwrap();
    sleepers.sort_unstable();
    sleepers.dedup();
    until(|| !sleepers.iter().any(|&pid| is_alive(pid)));
    let zombies = sleepers.iter().filter(|pid| fs::metadata(format!("/proc/{pid}")).is_ok()).count();
    println!("killed {killed}, {zombies} zombies, none of {} left", sleepers.len() - 1);
    assert_eq!(zombies, 0);
}

/// Ends a tree beside a child that has a seccomp program of its own, and one that is a supervisor itself.
fn leave_others() {
    use std::os::unix::process::CommandExt;
    let world = World::new();
    let mut filtered = Command::new("/bin/sleep");
    // SAFETY: between fork and exec the child makes system calls and touches its own stack.
    unsafe { filtered.arg("1000").pre_exec(allow_everything) };
    let mut filtered = filtered.spawn().unwrap();
    let mut supervisor = command("hold").current_dir(world.dir()).stdout(std::process::Stdio::null()).spawn().unwrap();
    let held = || fs::read_to_string(world.path("pid")).ok()?.strip_suffix('\n')?.parse().ok();
    until(|| held().is_some());
    let mut tree = Command::new("/bin/sh");
    tree.args(["-c", "sleep 1000 & sleep 0.2"]);
    let ours = Arc::new(Supervise::new(tree).at_end(AtEnd::Kill));
    ours.start(OpSet::EXEC).unwrap();
    let server = ours.clone();
    let thread = std::thread::spawn(move || {
        while let Some(held) = server.next().unwrap() {
            held.answer(Verdict::Allow);
        }
    });
    ours.wait().unwrap();
    assert_eq!(ours.counters().unwrap().killed, 1);
    thread.join().unwrap();
    println!("the other's lives: {}, the child lives: {:?}", is_alive(held().unwrap()), filtered.try_wait().unwrap());
    for child in [&mut filtered, &mut supervisor] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// A seccomp program that lets everything through.
fn allow_everything() -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    let mut allow =
        libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
    let program = libc::sock_fprog { len: 1, filter: &raw mut allow };
    // SAFETY: the kernel reads `program` and the instruction it points to, both alive here, and writes nothing.
    match unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn hold() {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "echo $$ > pid; exec sleep 1000"]);
    let source = Supervise::new(command);
    source.start(OpSet::EXEC).unwrap();
    while let Some(held) = source.next().unwrap() {
        held.answer(Verdict::Allow);
    }
}
