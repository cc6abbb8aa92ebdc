//! Callers that are not what their supervisor is, or wait for long: what they may and may not do is what the kernel lets
//! them do by themselves. Each program runs alone and supervised, and says the same. More than 500 lines, because each
//! test stands beside its program.

use std::fs::{self, File};
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use fltmgr::filter::OpSet;
use rustix::fs::OFlags;
use testkit::{World, is_root, skip};

use super::probe;
use super::world::{Supervised as _, allow_all, deny};

const HERE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// What a program says by itself, and under supervision; and that nothing of it went on in the kernel but execs.
#[track_caller]
fn says_the_same(world: &World, name: &str, ops: OpSet) -> Vec<String> {
    let said =
        |text: &str| -> Vec<String> { text.lines().filter(|line| line.starts_with("> ")).map(str::to_owned).collect() };
    prepare(world);
    let alone = probe::command(name).current_dir(world.dir()).output().unwrap();
    let (alone, errors) = (String::from_utf8(alone.stdout).unwrap(), String::from_utf8(alone.stderr).unwrap());
    prepare(world);
    let outcome = world.run(probe::command(name), ops, allow_all);
    assert_eq!(said(&outcome.out), said(&alone), "{}\nalone: {errors}", outcome.err);
    let alone = said(&alone);
    assert!(!alone.is_empty(), "{errors}");
    if !alone[0].contains("SKIP") && !ops.contains(OpSet::EXEC) {
        assert_eq!(outcome.counters.continued, 0, "{name}: {:#?}", outcome.asked);
    }
    alone
}

fn prepare(world: &World) {
    for folder in ["free", "closed"] {
        let _ = fs::remove_dir_all(world.path(folder));
        fs::create_dir(world.path(folder)).unwrap();
        fs::set_permissions(world.path(folder), fs::Permissions::from_mode(0o777)).unwrap();
        fs::write(world.path(folder).join("file"), format!("{folder} content")).unwrap();
    }
    fs::write(world.path("closed/readonly"), "x").unwrap();
    fs::set_permissions(world.path("closed/readonly"), fs::Permissions::from_mode(0o400)).unwrap();
}

fn said<T>(what: &str, result: io::Result<T>) {
    println!("> {what}: {}", result.map_or_else(|error| error.to_string(), |_| "done".into()));
}

fn read(path: &str) {
    println!("> {path}: {}", fs::read_to_string(path).unwrap_or_else(|error| error.to_string()));
}

/// What there is to try in every condition.
fn try_everything(folder: &str) {
    read(&format!("{folder}/file"));
    said("write", File::options().write(true).open(format!("{folder}/file")));
    said("write what is read-only", File::options().write(true).open(format!("{folder}/readonly")));
    said("make", File::create(format!("{folder}/new")));
    said("mkdir", fs::create_dir(format!("{folder}/sub")));
    said("rename", fs::rename(format!("{folder}/new"), format!("{folder}/sub/moved")));
    said("link", fs::hard_link(format!("{folder}/file"), format!("{folder}/second")));
    said("chmod", fs::set_permissions(format!("{folder}/file"), fs::Permissions::from_mode(0o600)));
    said("truncate", File::options().write(true).truncate(true).open(format!("{folder}/file")));
    said("chown", chown(format!("{folder}/file"), Some(12_345), None));
    said("unlink", fs::remove_file(format!("{folder}/second")));
    said("list", fs::read_dir(folder));
    let owner = |path: String| fs::metadata(path).map(|it| (it.uid(), it.gid(), it.mode() & 0o7777));
    println!("> owners: {:?} {:?}", owner(format!("{folder}/sub")).ok(), owner(format!("{folder}/sub/moved")).ok());
}

fn raw(nr: libc::c_long, arguments: [usize; 4]) -> io::Result<usize> {
    let [a, b, c, d] = arguments;
    // SAFETY: the callers give what each call takes.
    let result = unsafe { libc::syscall(nr, a, b, c, d) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as usize) }
}

#[repr(C, packed)]
struct Beneath {
    access: u64,
    parent: i32,
}

/// To read, write, make and remove files.
const FILES: u64 = (1 << 1) | (1 << 2) | (1 << 4) | (1 << 5) | (1 << 7) | (1 << 8);

fn allow(ruleset: usize, folder: &str) -> io::Result<()> {
    let parent = rustix::fs::open(folder, HERE, 0.into())?;
    let beneath = Beneath { access: FILES, parent: std::os::fd::AsRawFd::as_raw_fd(&parent) };
    raw(libc::SYS_landlock_add_rule, [ruleset, 1, &raw const beneath as usize, 0]).map(drop)
}

fn ruleset(folder: &str) -> io::Result<usize> {
    let attributes = FILES;
    let ruleset = raw(libc::SYS_landlock_create_ruleset, [&raw const attributes as usize, 8, 0, 0])?;
    allow(ruleset, folder)?;
    Ok(ruleset)
}

/// Restricts this thread: files are read, written, made and removed only below this folder.
fn restrict_to(folder: &str) -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    let ruleset = ruleset(folder)?;
    raw(libc::SYS_landlock_restrict_self, [ruleset, 0, 0, 0])?;
    // The domain is of this moment: what is added to the ruleset now changes nothing.
    allow(ruleset, if folder == "free" { "closed" } else { "free" })
}

/// A thread of several restricts itself: the others, what it starts, and what becomes of that.
pub(crate) fn landlocked() {
    let (go, wait) = sync_channel::<()>(0);
    let (told, done) = sync_channel::<()>(0);
    let other = std::thread::spawn(move || {
        while wait.recv().is_ok() {
            read("closed/file");
            told.send(()).unwrap();
        }
    });
    if let Err(error) = restrict_to("free") {
        println!("> SKIP: {error}");
        std::process::exit(0);
    }
    try_everything("free");
    read("closed/file");
    go.send(()).unwrap();
    done.recv().unwrap();
    drop(go);
    other.join().unwrap();
    std::thread::spawn(|| read("closed/file")).join().unwrap();
    let cat = |file: &str| {
        let output = Command::new("cat").arg(file).output().unwrap();
        println!(
            "> cat {file}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    };
    cat("free/file");
    cat("closed/file");
    // An orphan: its parent has ended when it begins.
    let script =
        "(sh -c 'while [ -d /proc/'$$' ]; do :; done; cat closed/file free/sub/moved; echo $?' > free/orphan 2>&1 &)";
    Command::new("sh").args(["-c", script]).env("LC_ALL", "C").status().unwrap();
    let mut text = String::new();
    while !text.ends_with("1\n") && !text.ends_with("0\n") {
        text = fs::read_to_string("free/orphan").unwrap_or_default();
    }
    println!("> orphan: {}", text.replace('\n', " "));
    said("restrict oneself twice", restrict_to("closed"));
    read("free/file");
    read("closed/file");
}

/// Two threads restrict themselves in different ways.
pub(crate) fn landlocked_threads() {
    let one = std::thread::spawn(|| {
        let done = restrict_to("free");
        if let Err(error) = &done {
            println!("> SKIP: {error}");
        }
        read("closed/file");
        read("free/file");
        done.is_ok()
    });
    if !one.join().unwrap() {
        return;
    }
    let (go, wait) = sync_channel::<()>(0);
    let (told, done) = sync_channel::<()>(0);
    let bound = std::thread::spawn(move || {
        restrict_to("free").unwrap();
        told.send(()).unwrap();
        wait.recv().unwrap();
        read("closed/file");
        // What it starts is restricted by what it is; here, by what the other is too.
        std::thread::spawn(|| read("closed/file")).join().unwrap();
        let output = Command::new("/bin/cat").arg("closed/file").output().unwrap();
        println!("> cat: {}", output.status);
    });
    done.recv().unwrap();
    read("closed/file");
    said("another one restricts itself", restrict_to("closed"));
    read("closed/file");
    read("free/file");
    go.send(()).unwrap();
    bound.join().unwrap();
}

#[test]
fn what_landlock_refuses_a_thread_is_refused() {
    says_the_same(&World::new(), "landlocked-threads", OpSet::all() - OpSet::EXEC);
}

/// Libraries have all threads of a process restrict themselves: each gets what each has.
pub(crate) fn landlocked_all_threads() {
    const THREADS: usize = 5;
    let barrier = std::sync::Barrier::new(THREADS);
    let ruleset = match ruleset("free") {
        Ok(ruleset) => ruleset,
        Err(error) => return println!("> SKIP: {error}"),
    };
    rustix::thread::set_no_new_privs(true).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                // given up by each thread for itself
                rustix::thread::set_no_new_privs(true).unwrap();
                barrier.wait();
                raw(libc::SYS_landlock_restrict_self, [ruleset, 0, 0, 0]).unwrap();
                barrier.wait();
                let allowed = fs::read("free/file").is_ok() && File::create("free/made").is_ok();
                let denied = fs::read("closed/file").is_err();
                assert!(allowed && denied);
            });
        }
    });
    println!("> all restricted");
    read("closed/file");
}

#[test]
fn a_ruleset_of_all_threads_holds_for_each() {
    says_the_same(&World::new(), "landlocked-all-threads", OpSet::all());
}

#[test]
fn what_landlock_refuses_is_refused() {
    let world = World::new();
    let said = says_the_same(&world, "landlocked", OpSet::all() - OpSet::EXEC);
    if said[0].contains("SKIP") {
        return skip::machine("no Landlock here");
    }
    assert!(said.iter().any(|line| line.contains("closed/file: Permission denied")), "{said:#?}");
}

/// In a user namespace of its own, a process has all rights to its own files.
pub(crate) fn own_user_namespace() {
    alone(|| {
        let (user, group) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        if let Err(error) = raw(libc::SYS_unshare, [(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) as usize, 0, 0, 0]) {
            return println!("> SKIP: {error}");
        }
        said("setgroups", fs::write("/proc/self/setgroups", "deny"));
        said("uid_map", fs::write("/proc/self/uid_map", format!("0 {user} 1")));
        said("gid_map", fs::write("/proc/self/gid_map", format!("0 {group} 1")));
        try_everything("closed");
        let mount = |from: &std::ffi::CStr, to: &std::ffi::CStr, kind: &std::ffi::CStr, flags: libc::c_ulong| {
            // SAFETY: three texts, and no data.
            let done = unsafe { libc::mount(from.as_ptr(), to.as_ptr(), kind.as_ptr(), flags, std::ptr::null()) };
            if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
        };
        said("mount", mount(c"none", c"free", c"tmpfs", 0));
        said("write there", fs::write("free/inner", "inner"));
        read("free/inner");
        said("bind", mount(c"closed", c"free/", c"none", libc::MS_BIND));
        read("free/sub/moved");
        said("chroot", std::os::unix::fs::chroot("closed"));
        read("/file");
        read("/sub/../../../file");
        read("../free/file");
        said("cd", std::env::set_current_dir("/"));
        read("sub/moved");
        said("make", fs::write("/in-root", "x"));
        println!("> {:?}", fs::metadata("/in-root").map(|it| (it.uid(), it.mode() & 0o7777)).ok());
    });
}

/// Goes on in a child with one thread, and ends when it has ended.
fn alone(body: impl FnOnce()) {
    // SAFETY: of a process whose other threads wait for this test alone; the child runs `body` and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        body();
        use std::io::Write as _;
        let _ = io::stdout().flush();
        // SAFETY: ends the process.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: `status` is an int to write to.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    println!("> ended with {status}");
}

#[test]
fn a_user_namespace_gives_its_rights_and_its_view() {
    let world = World::new();
    let said = says_the_same(&world, "own-user-namespace", OpSet::all());
    if said[0].contains("SKIP") {
        skip::privileged("no user namespaces here");
    }
}

#[test]
fn a_file_is_denied_by_its_name_in_every_namespace() {
    let world = World::new();
    prepare(&world);
    let outcome = world.run(probe::command("own-user-namespace"), OpSet::all(), deny("file"));
    if outcome.out.contains("SKIP") {
        return skip::privileged("no user namespaces here");
    }
    assert!(!outcome.out.contains("content"), "{}", outcome.out);
}

/// Children that are other users, with other groups and fewer capabilities.
pub(crate) fn other_users() {
    let mut command = Command::new(testkit::program());
    let again = |command: &mut Command, what: &str| {
        println!("> {what}");
        let tries = probe::command("try-closed");
        command.args(tries.get_args());
        command.envs(tries.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.output().unwrap();
        print!("{}", String::from_utf8_lossy(&output.stdout));
    };
    command.uid(65_534).gid(65_534);
    again(&mut command, "nobody");
    let mut command = Command::new(testkit::program());
    // SAFETY: between fork and exec it makes system calls.
    unsafe {
        command.pre_exec(|| {
            raw(libc::SYS_setgroups, [2, [13u32, 14].as_ptr() as usize, 0, 0])?;
            raw(libc::SYS_setresgid, [12, 12, 12, 0]).map(drop)
        })
    };
    again(&mut command, "other groups");
    let mut command = Command::new(testkit::program());
    // SAFETY: between fork and exec it makes system calls.
    unsafe {
        command.pre_exec(|| {
            rustix::thread::remove_capability_from_bounding_set(rustix::thread::CapabilitySet::DAC_OVERRIDE)?;
            Ok(rustix::thread::remove_capability_from_bounding_set(rustix::thread::CapabilitySet::FOWNER)?)
        })
    };
    again(&mut command, "fewer capabilities");
}

pub(crate) fn try_closed() {
    try_everything("closed");
}

#[test]
fn other_users_have_their_own_rights() {
    if !is_root() {
        return skip::privileged("only root becomes another user");
    }
    let world = World::new();
    // for everybody to come here
    fs::set_permissions(world.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    let said = says_the_same(&world, "other-users", OpSet::all());
    assert!(said.iter().any(|line| line.contains("Permission denied")), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("(65534, 65534")), "{said:#?}");
}

/// A fifo whose other end comes late, never, or not before a signal.
pub(crate) fn fifos() {
    extern "C" fn nothing(_: libc::c_int) {}
    let handle = |flags: libc::c_int| {
        // SAFETY: all-zero is a valid sigaction.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = nothing as *const () as usize;
        action.sa_flags = flags;
        // SAFETY: the handler does nothing.
        unsafe { libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()) };
    };
    let alarm = |every: i64| {
        let time = libc::timeval { tv_sec: 0, tv_usec: every };
        let timer = libc::itimerval { it_interval: time, it_value: time };
        // SAFETY: the kernel reads a struct itimerval.
        unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    };
    alone(|| {
        for signal in [libc::SIGTERM, libc::SIGQUIT] {
            // Tests that were started in the background have them ignored, and children would too.
            // SAFETY: no handler runs.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        rustix::fs::mknodat(rustix::fs::CWD, "free/fifo", rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        handle(0);
        alarm(50_000);
        let opened = raw(libc::SYS_openat, [libc::AT_FDCWD as usize, c"free/fifo".as_ptr() as usize, 0, 0]);
        said("interrupted", opened);
        // Again and again, as long as nobody comes: then a writer does.
        handle(libc::SA_RESTART);
        let mut late = Command::new("sh");
        let mut late = late.args(["-c", "sleep 0.4; echo late > free/fifo"]).spawn().unwrap();
        let opened = raw(libc::SYS_openat, [libc::AT_FDCWD as usize, c"free/fifo".as_ptr() as usize, 0, 0]);
        alarm(0);
        // SAFETY: a descriptor that was just made.
        let text = opened.map(|fd| io::read_to_string(File::from(unsafe { OwnedFd::from_raw_fd(fd as i32) })));
        println!("> restarted: {text:?}");
        late.wait().unwrap();
        // Killed while it waits, by a signal that is not handled, and by one that leaves a core.
        for signal in [libc::SIGTERM, libc::SIGQUIT, libc::SIGKILL] {
            let mut waits = Command::new("sh").args(["-c", "ulimit -c 0; exec cat free/fifo"]).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(100));
            // SAFETY: a child that was not waited for.
            unsafe { libc::kill(waits.id() as i32, signal) };
            println!("> {}", waits.wait().unwrap());
        }
        said("without waiting", File::options().read(true).custom_flags(libc::O_NONBLOCK).open("free/fifo"));
        said("nobody reads", File::options().write(true).custom_flags(libc::O_NONBLOCK).open("free/fifo"));
        said("both ends", File::options().read(true).write(true).open("free/fifo"));
    });
}

#[test]
fn a_fifo_is_waited_for_as_long_as_its_caller_waits() {
    let world = World::new();
    says_the_same(&world, "fifos", OpSet::all());
}

/// A supervised program must not see into its supervisor, which may see into itself.
pub(crate) fn look_into_the_supervisor() {
    let supervisor = std::os::unix::process::parent_id();
    let numbers = || fs::read_dir(format!("/proc/{supervisor}/task")).unwrap();
    let threads = numbers().map(|it| it.unwrap().file_name().into_string().unwrap());
    let mut places: Vec<String> = threads.map(|thread| format!("/proc/{supervisor}/task/{thread}")).collect();
    places.push(format!("/proc/{supervisor}"));
    let mut opened = Vec::new();
    for place in &places {
        for file in [
            "mem",
            "maps",
            "environ",
            "auxv",
            "pagemap",
            "fd/0",
            "fd/1",
            "fd/3",
            "fd/5",
            "root/etc/passwd",
            "attr/current",
        ] {
            let path = format!("{place}/{file}");
            let there = fs::symlink_metadata(path.split("/root").next().unwrap()).is_ok();
            if there && File::open(&path).is_ok() {
                opened.push(path);
            }
        }
        // From within: the number does not stand in the path.
        // Threads of the supervisor come and go.
        let Ok(dir) = rustix::fs::open(format!("{place}/fd"), HERE, 0.into()) else { continue };
        for fd in 0..64 {
            let opening = rustix::fs::openat(&dir, fd.to_string(), OFlags::RDONLY, 0.into());
            opened.extend(opening.is_ok().then(|| format!("{place}/fd, {fd}")));
        }
        let Ok(object) = rustix::fs::open(format!("{place}/maps"), HERE, 0.into()) else { continue };
        let number = std::os::fd::AsRawFd::as_raw_fd(&object);
        opened.extend(File::open(format!("/proc/self/fd/{number}")).is_ok().then(|| format!("{place}/maps by number")));
    }
    println!("> opened: {opened:?}");
    read_first_line(&format!("/proc/{supervisor}/stat"));
    read_first_line("/proc/self/maps");
    read_first_line("/proc/self/environ");
}

fn read_first_line(path: &str) {
    println!("> {path}: {}", fs::read_to_string(path).is_ok_and(|text| !text.is_empty()));
}

#[test]
fn a_supervisor_is_not_seen_into() {
    let world = World::new();
    let outcome = world.run(probe::command("look-into-the-supervisor"), OpSet::OPEN, allow_all).ok();
    assert!(outcome.out.contains("> opened: []"), "{}", outcome.out);
    assert_eq!(outcome.out.matches(": true").count(), 3, "{}", outcome.out);
}

#[test]
fn a_file_is_looked_into_with_the_rights_of_its_caller() {
    if !is_root() {
        return skip::privileged("only root becomes another user");
    }
    let world = World::new();
    fs::set_permissions(world.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    prepare(&world);
    fs::write(world.path("closed/secret"), "of root").unwrap();
    fs::set_permissions(world.path("closed/secret"), fs::Permissions::from_mode(0o600)).unwrap();
    let script = "setpriv --reuid=65534 --regid=65534 --clear-groups cat closed/secret free/file";
    let seen = std::sync::Mutex::new(Vec::new());
    let outcome = world.sh(script, OpSet::OPEN, |held| {
        let path = &held.operation().path;
        if path.starts_with(world.dir()) {
            seen.lock().unwrap().push((path.file_name().unwrap().to_owned(), held.file().unwrap().is_some()));
        }
        None
    });
    if outcome.err.contains("setpriv") {
        return skip::machine("no setpriv here");
    }
    assert_eq!(outcome.out, "free content");
    assert_eq!(seen.into_inner().unwrap(), [("secret".into(), false), ("file".into(), true)]);
}
