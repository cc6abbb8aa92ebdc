//! Ways to run what must not be run.
//!
//! `DIR/a/prog` may be run and says `a`, then `A`; `DIR/b/prog` must not, and says `b`, then `B`. The second letter comes
//! after a call that is held.

use std::fs;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::Random;

use crate::elf::{self, Letters};
use crate::opens;
use crate::process::{exit, fork, reap};
use crate::race::{Outcome, Race, Side};
use crate::raw::{HERE, Reads, Text, at, handle, shared};

const OPEN: Letters = Letters { begins: b'a', goes_on: b'A' };
const DENIED: Letters = Letters { begins: b'b', goes_on: b'B' };

fn executable(path: &str, content: impl AsRef<[u8]>) {
    fs::write(path, content).expect("a new file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("one's own file");
}

/// Makes the programs.
pub(crate) fn stage(dir: &str) {
    for folder in ["a", "b", "swap", "s"] {
        fs::create_dir(format!("{dir}/{folder}")).expect("a new folder");
    }
    for (folder, letters) in [("a", &OPEN), ("b", &DENIED)] {
        executable(&format!("{dir}/{folder}/prog"), elf::program(letters));
        executable(&format!("{dir}/{folder}/loader"), elf::interpreter(letters));
        for (name, content) in [
            ("script", format!("#!{dir}/{folder}/prog\n")),
            ("argument", format!("#! {dir}/{folder}/prog -x\n")),
            ("nested", format!("#!{dir}/s/{folder}-script\n")),
            ("relative", format!("#!{folder}/prog\n")),
            ("linked", format!("#!{dir}/s/{folder}-link\n")),
        ] {
            executable(&format!("{dir}/s/{folder}-{name}"), content);
        }
        symlink(format!("../{folder}/prog"), format!("{dir}/s/{folder}-link")).expect("a new link");
        executable(&format!("{dir}/s/{folder}-loaded"), elf::interpreted(&format!("{dir}/{folder}/loader")));
    }
    symlink("../a/prog", format!("{dir}/swap/x")).expect("a new link");
    symlink("../b/prog", format!("{dir}/swap/y")).expect("a new link");
    executable(&format!("{dir}/s/swapped"), format!("#!{dir}/swap/x\n"));
    symlink("../a/loader", format!("{dir}/swap/loader-x")).expect("a new link");
    symlink("../b/loader", format!("{dir}/swap/loader-y")).expect("a new link");
    executable(&format!("{dir}/s/loader-swapped"), elf::interpreted(&format!("{dir}/swap/loader-x")));
    let needle = [&elf::program(&OPEN), opens::needle().as_bytes()].concat();
    executable(&format!("{dir}/a/needle"), &needle);
    executable(&format!("{dir}/s/needle-script"), format!("#!{dir}/a/needle\n"));
    // not even for its owner
    executable(&format!("{dir}/a/unreadable"), &needle);
    fs::set_permissions(format!("{dir}/a/unreadable"), fs::Permissions::from_mode(0o111)).expect("one's own file");
    #[cfg(target_arch = "x86_64")]
    executable(&format!("{dir}/a/old"), elf::program32());
}

/// What a program said that a child runs by this call, and the child's wait status.
fn said(call: impl FnOnce() -> i32) -> (String, i32) {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
    match fork(0) {
        0 => {
            let _ = Reads::DUP3.call([write.as_raw_fd() as usize, 1, 0]);
            exit(call())
        }
        child => {
            drop(write);
            let text = all(read);
            (text, reap(child))
        }
    }
}

fn all(pipe: OwnedFd) -> String {
    let mut text = String::new();
    fs::File::from(pipe).read_to_string(&mut text).expect("letters");
    text
}

/// The error number as an exit code: a call of execve only comes back with an error.
fn execute(from: usize, path: usize, flags: i32) -> i32 {
    let nothing = [0usize];
    let list = nothing.as_ptr() as usize;
    Reads::EXECVEAT.call([from, path, list, list, flags as usize]).unwrap_err()
}

/// Runs a program of the directory, from there.
pub(crate) fn direct(dir: &str, name: &str) -> Value {
    std::env::set_current_dir(dir).expect("the folder of this test");
    let text = Text::new(format!("{dir}/{name}"));
    let (said, status) = said(|| execute(HERE, text.address(), 0));
    let code = libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
    let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
    json!({ "said": said, "code": code, "signal": signal })
}

/// How many programs began that must not.
pub(crate) type Began = Arc<AtomicU64>;

/// A race: how it is made, and the count of what only began.
pub(crate) fn race(way: &str, dir: &str) -> (Race, Began) {
    let began = Began::default();
    let count = began.clone();
    let outcome = move |(said, status): (String, i32)| {
        count.fetch_add(u64::from(said.contains('b')), Ordering::Relaxed);
        match said.contains('B') {
            true => Outcome::Through,
            false if said.is_empty() && libc::WIFEXITED(status) => Outcome::Error(libc::WEXITSTATUS(status)),
            false => Outcome::Harmless,
        }
    };
    let race = match way {
        "path" => {
            // the child of fork reads it too
            let before = format!("{dir}/").len();
            let text = Text::in_memory(shared(4096), format!("{dir}/a/prog"));
            let attempt = move |_| outcome(said(|| execute(HERE, text.address(), 0)));
            Race::new(move |side| text.set(before, side.of(b'a', b'b')), attempt)
        }
        "script" | "loaded" => {
            let before = format!("{dir}/s/").len();
            let text = Text::in_memory(shared(4096), format!("{dir}/s/a-{way}"));
            let attempt = move |_| outcome(said(|| execute(HERE, text.address(), 0)));
            Race::new(move |side| text.set(before, side.of(b'a', b'b')), attempt)
        }
        "directory" | "descriptor" | "cwd" => {
            let args = ["execs-once", way, dir].map(str::to_owned);
            Race::new(|_| (), move |_| outcome(ended(Command::new("/proc/self/exe").args(&args))))
        }
        "link" | "swapped" | "loader-swapped" => {
            const EXCHANGE: usize = libc::RENAME_EXCHANGE as usize;
            let prefix = if way == "loader-swapped" { "loader-" } else { "" };
            let [x, y] = ["x", "y"].map(|name| Text::new(format!("{dir}/swap/{prefix}{name}")));
            let program = if way == "link" { x } else { Text::new(format!("{dir}/s/{way}")) };
            let now = AtomicBool::new(false);
            let change = move |side: Side| {
                let denied = side == Side::Denied;
                if now.swap(denied, Ordering::AcqRel) != denied {
                    let _ = Reads::RENAMEAT2.call([HERE, x.address(), HERE, y.address(), EXCHANGE]);
                }
            };
            Race::new(change, move |_| outcome(said(|| execute(HERE, program.address(), 0))))
        }
        _ => panic!("{way} is no way to run"),
    };
    (race, began)
}

/// What a process said, and its wait status.
fn ended(command: &mut Command) -> (String, i32) {
    let output = command.output().expect("this program again");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.into_raw())
}

/// Runs a program while another thread changes what it is named by; gives the error.
pub(crate) fn once(way: &str, dir: &str) -> i32 {
    const NUMBER: usize = 7;
    let object = |folder| if way == "descriptor" { format!("{dir}/{folder}/prog") } else { format!("{dir}/{folder}") };
    let handles = ["a", "b"].map(|folder| handle(&object(folder)));
    let relative = way == "cwd";
    let change = move |side: Side| {
        let object = side.of(handles[0], handles[1]);
        let _ = if relative { Reads::FCHDIR.call([object]) } else { Reads::DUP3.call([object, NUMBER, 0]) };
    };
    change(Side::Open);
    // the number of this process is another one each time
    let mut random = Random::new(u64::from(std::process::id()));
    let wait = Duration::from_nanos(random.below(200_000));
    std::thread::spawn(move || {
        std::thread::park_timeout(wait);
        // until the call ends this thread
        loop {
            change(Side::Denied);
            std::thread::park_timeout(Duration::from_nanos(random.below(50_000)));
            change(Side::Open);
        }
    });
    match way {
        "directory" => execute(NUMBER, at(c"prog"), 0),
        "descriptor" => execute(NUMBER, at(c""), libc::AT_EMPTY_PATH),
        _ => execute(HERE, at(c"prog"), 0),
    }
}
