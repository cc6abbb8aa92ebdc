//! Ways to answer one's own questions: in the place of an application, or out of its process.

use std::ffi::CString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fltmgr::namespace::Namespace;
use fltmgr::question::Answer;
use fltmgr::{ConnectOptions, Connection, Status};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};

use crate::process::{exit, fork, fork_for_good, reap};
use crate::raw::{HERE, Reads, at, errno};

/// How long a new client tries to connect.
const PATIENCE: Duration = Duration::from_secs(1);

/// What started this program.
fn supervisor() -> i32 {
    rustix::process::getppid().map_or(0, Pid::as_raw_pid)
}

/// The other children of what started this program: a scanner, if there is one.
fn siblings() -> Vec<i32> {
    let us = std::process::id() as i32;
    let tasks = std::fs::read_dir(format!("/proc/{}/task", supervisor())).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let all = lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>());
    all.filter(|pid| *pid != us).collect()
}

/// Processes whose command line has these words.
fn running(words: &[&str]) -> Vec<i32> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let has = |pid: &i32| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.iter().all(|word| line.split('\0').any(|argument| argument == *word))
    };
    pids.filter(has).collect()
}

/// Where the ports of a scanner may be: its own folder, and all that look like one.
fn scanners_namespaces() -> Vec<PathBuf> {
    let environment = siblings().into_iter().filter_map(|pid| std::fs::read(format!("/proc/{pid}/environ")).ok());
    let told = environment.flat_map(|text| {
        let variables = text.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        variables.filter_map(|it| it.strip_prefix("FLTMGR_NAMESPACE=").map(PathBuf::from)).collect::<Vec<_>>()
    });
    let folders = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    let named = folders.filter(|it| it.file_name().to_string_lossy().starts_with("fltmc-")).map(|it| it.path());
    told.chain(named).collect()
}

fn kill(pids: &[i32], signal: Signal) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        // it may have ended by itself
        let _ = kill_process(pid, signal);
    }
}

/// Connects to a port in one of these places, and allows everything that is asked from then on.
fn answer(places: &[PathBuf], port: &str) -> bool {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        for place in places {
            let options = ConnectOptions::default().namespace(Namespace::at(place)).timeout(PATIENCE);
            if let Ok(connection) = options.connect(port, b"") {
                std::thread::spawn(move || allow(&connection));
                return true;
            }
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    false
}

fn allow(connection: &Connection) {
    while let Ok(message) = connection.recv() {
        let _ = message.reply(Status::SUCCESS, &Answer::ALLOW.to_bytes());
    }
}

/// Whether a file can be opened, tried for a while: 0 or the last error.
fn open(path: &str) -> i32 {
    let path = CString::new(path).expect("a path");
    let flags = (libc::O_RDONLY | libc::O_CLOEXEC) as usize;
    let end = Instant::now() + PATIENCE;
    loop {
        match Reads::OPENAT.call([HERE, at(&path), flags]) {
            Ok(_) => return 0,
            Err(error) if Instant::now() >= end => return error,
            Err(_) => std::thread::park_timeout(Duration::from_millis(20)),
        }
    }
}

/// Takes the scanner's place.
pub(crate) fn scanner(secret: &str) -> Value {
    let (places, scanners) = (scanners_namespaces(), siblings());
    kill(&scanners, Signal::KILL);
    let connected = answer(&places, r"\ScannerPort");
    json!({ "killed": scanners.len(), "connected": connected, "open": open(secret) })
}

/// Stops the scanner, so that nothing answers.
pub(crate) fn stopped(secret: &str) -> Value {
    let scanners = siblings();
    kill(&scanners, Signal::STOP);
    let done = json!({ "stopped": scanners.len(), "open": open(secret) });
    kill(&scanners, Signal::CONT);
    done
}

/// Connects to the port that decides: `beside` the application, `instead` of it, which is killed, or so `as-daemon`.
pub(crate) fn port(how: &str, name: &str, place: &str, secret: &str) -> Value {
    let applications = running(&["connect", name]);
    let attack = || {
        if how != "beside" {
            kill(&applications, Signal::KILL);
        }
        let connected = answer(&[place.into()], &format!("\\{name}"));
        json!({ "applications": applications.len(), "connected": connected, "open": open(secret) })
    };
    if how == "as-daemon" { as_daemon(attack) } else { attack() }
}

/// Without a parent, and in a session of its own.
fn as_daemon(work: impl FnOnce() -> Value) -> Value {
    let (read, write) = std::io::pipe().expect("a pipe");
    match fork(0) {
        0 => {
            let _ = rustix::process::setsid();
            if fork_for_good(0) == 0 {
                serde_json::to_writer(write, &work()).expect("a reader");
            }
            exit(0)
        }
        child => {
            drop(write);
            reap(child);
            serde_json::from_reader(read).expect("what the daemon says")
        }
    }
}

/// Ends what started this program, and goes on after it.
pub(crate) fn orphan(secret: &str) {
    let supervisor = supervisor();
    if fork_for_good(0) != 0 {
        // ended with what it was started by
        loop {
            std::thread::park();
        }
    }
    kill(&[supervisor], Signal::KILL);
    let end = Instant::now() + PATIENCE;
    while Pid::from_raw(supervisor).is_some_and(|pid| test_kill_process(pid).is_ok()) && Instant::now() < end {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    println!("{}", json!({ "open": open(secret) }));
}

/// Looks into what decides, by every way that debuggers have: 0 or an error for each process and way.
pub(crate) fn look() -> Value {
    let all = std::iter::once(supervisor()).chain(siblings());
    all.map(|pid| {
        json!({
            "seize": seize(pid),
            "memory": open_proc(pid, "mem", libc::O_RDWR),
            "descriptors": open_proc(pid, "fd", libc::O_RDONLY | libc::O_DIRECTORY),
            "environment": open_proc(pid, "environ", libc::O_RDONLY),
            "maps": open_proc(pid, "map_files", libc::O_RDONLY | libc::O_DIRECTORY),
            "write": write_memory(pid),
            "take": take(pid),
        })
    })
    .collect()
}

fn open_proc(pid: i32, what: &str, flags: i32) -> i32 {
    let path = CString::new(format!("/proc/{pid}/{what}")).expect("a path");
    // what is opened may still be closed to us
    let opened = Reads::OPENAT.call([HERE, at(&path), (flags | libc::O_CLOEXEC) as usize]);
    match opened {
        Ok(fd) if flags & libc::O_DIRECTORY != 0 => std::fs::read_dir(format!("/proc/self/fd/{fd}"))
            .and_then(|mut entries| entries.next().transpose())
            .map_or_else(|error| error.raw_os_error().unwrap_or(-1), |_| 0),
        Ok(fd) => {
            let mut byte = [0];
            // SAFETY: the descriptor was opened above and is not closed before the end of this program.
            let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd as i32) };
            rustix::io::read(file, &mut byte).map_or_else(|error| error.raw_os_error(), |_| 0)
        }
        Err(error) => error,
    }
}

/// Becomes its debugger, and lets it go again.
fn seize(pid: i32) -> i32 {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: takes numbers; nothing of this process is written.
    let seized = unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, nothing, nothing) };
    let error = errno();
    if seized != 0 {
        return error;
    }
    // SAFETY: as above. A thread that is not stopped is let go when this process ends.
    unsafe { libc::ptrace(libc::PTRACE_DETACH, pid, nothing, nothing) };
    0
}

/// Writes nothing at all into its memory, for which the kernel checks the same rights.
fn write_memory(pid: i32) -> i32 {
    let bytes = [0u8];
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: 1 };
    let remote = libc::iovec { iov_base: 8 as *mut libc::c_void, iov_len: 1 };
    // SAFETY: reads `bytes`; nothing is mapped at the address in the other process.
    let done = unsafe { libc::process_vm_writev(pid, &raw const local, 1, &raw const remote, 1, 0) };
    if done < 0 { errno() } else { 0 }
}

/// Takes its standard error.
fn take(pid: i32) -> i32 {
    // SAFETY: takes numbers.
    let process = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if process < 0 {
        return errno();
    }
    // SAFETY: takes numbers.
    let taken = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process, 2, 0) };
    if taken < 0 { errno() } else { 0 }
}

/// Takes a descriptor of this very process, which hurts nothing and is refused all the same.
pub(crate) fn take_own() -> i32 {
    take(std::process::id() as i32)
}
