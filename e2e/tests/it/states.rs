//! Every state of either end, and every way to end in it: the other end's calls end with the right status, soon, and
//! nothing is left. A process that is only stopped goes on with what it was doing.
//!
//! What cannot be held still, the host's step between taking a receive and completing it, is hit by `moments` at
//! random.

mod application;
mod host;

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use fltmgr::namespace::Namespace;
use fltmgr::{Connection, Error, PortOptions, SecurityDescriptor, Status};
use testkit::{Again, Role, program, watchdog, within};

const NAME: &str = r"\Mortal";
/// Long enough that only a hang gets there.
const LONG: Duration = Duration::from_secs(20);
/// By when the end of one process must have ended the other's calls.
const SOON: Duration = Duration::from_millis(200);
/// How often a case that was slow is played again: two busy processors may be elsewhere for a while.
const TRIES: usize = 5;
/// Bytes of a payload that is on its way for some milliseconds.
const BIG: usize = 16 << 20;

/// What happens to the process in its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Kill,
    /// It calls exit.
    Exit,
    /// The thread that is in the state panics.
    Panic,
    StopAndKill,
    StopAndGoOn,
}

/// What can happen to a thread that is inside a call of the library.
const IN_CALL: &[Way] = &[Way::Kill, Way::Exit, Way::StopAndKill, Way::StopAndGoOn];
/// What can happen to a thread that runs code of its own.
const OUTSIDE: &[Way] = &[Way::Kill, Way::Exit, Way::Panic, Way::StopAndKill, Way::StopAndGoOn];

/// Opens once.
#[derive(Debug, Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let passed = self.opened.wait_timeout_while(self.open.lock().unwrap(), LONG, |open| !*open).unwrap();
        assert!(!passed.1.timed_out(), "a gate stays shut");
    }
}

fn options(dir: &Path) -> PortOptions {
    let options = PortOptions::default().max_connections(1).security(SecurityDescriptor::null_dacl());
    options.namespace(Namespace::at(dir))
}

fn connect(dir: &Path, context: &str) -> Result<Connection, Error> {
    Connection::options().namespace(Namespace::at(dir)).connect(NAME, context.as_bytes())
}

fn status<T>(result: Result<T, Error>) -> Status {
    result.map_or_else(|error| error.status(), |_| Status::SUCCESS)
}

/// Starts the process that plays `role` in `state`.
fn start(role: &str, state: &str, dir: &Path) -> Again {
    let mut command = std::process::Command::new(program());
    // a panic on purpose says so, and not how it came about, which takes longer than all the rest
    command.env("RUST_BACKTRACE", "0").stderr(std::process::Stdio::null());
    Again::command(&format!("states {role} {state}"), dir, command)
}

/// Does what ends or stops the process; `meanwhile` is done while it is stopped.
fn befall(other: &mut Again, way: Way, meanwhile: impl FnOnce()) {
    match way {
        Way::Kill => other.kill(),
        Way::Exit => other.tell("exit"),
        Way::Panic => other.tell("panic"),
        Way::StopAndKill => {
            other.stop();
            other.kill();
        }
        Way::StopAndGoOn => {
            other.stop();
            meanwhile();
            other.go_on();
        }
    }
}

/// A thread's result, waited for.
fn wait_for<T>(what: &str, result: &Receiver<T>) -> T {
    result.recv_timeout(LONG).unwrap_or_else(|_| panic!("did not end: {what}"))
}

/// What this process holds: descriptors, threads but for those that wait for callbacks (they end after some seconds),
/// and mappings of connections' memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
struct Held {
    descriptors: usize,
    threads: usize,
    mappings: usize,
}

impl Held {
    fn now() -> Self {
        let count = |dir| std::fs::read_dir(dir).unwrap().count();
        let waits = |task: &std::fs::DirEntry| {
            let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            name.trim_end() == "fltmgr-callback"
        };
        let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten().filter(|task| !waits(task)).count();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mappings = maps.lines().filter(|line| line.contains("memfd:fltmgr")).count();
        Self { descriptors: count("/proc/self/fd"), threads, mappings }
    }

    /// Waits until there is no more than this again.
    fn again(self) {
        let no_more = || {
            let now = Self::now();
            now.descriptors <= self.descriptors && now.threads <= self.threads && now.mappings <= self.mappings
        };
        assert!(within(LONG, no_more).is_some(), "there were {self:?}, now there are {:?}", Self::now());
    }
}

/// Plays every case of a table; `play` gives how long the slowest of the other end's calls took to end.
fn play_all(states: &[(&'static str, &[Way])], play: impl Fn(&'static str, Way) -> Option<Duration>) {
    let _watchdog = watchdog(Duration::from_secs(100));
    let mut slowest = (Duration::ZERO, "", Way::Kill);
    let mut cases = 0;
    // the first case starts what stays: the monitor, the callbacks' first thread
    let (state, _) = states[0];
    play(state, Way::Kill);
    let held = Held::now();
    for &(state, ways) in states {
        for &way in ways {
            cases += 1;
            let took = (0..TRIES).find_map(|_| {
                let took = play(state, way).unwrap_or_default();
                (took < SOON).then_some(took)
            });
            let took = took.unwrap_or_else(|| panic!("{state}, {way:?}: took more than {SOON:?}, {TRIES} times"));
            if took > slowest.0 {
                slowest = (took, state, way);
            }
        }
    }
    held.again();
    println!("{cases} cases, the slowest {:?} ({}, {:?})", slowest.0, slowest.1, slowest.2);
}

/// What the other process does.
pub(crate) fn play(role: &Role) {
    let _watchdog = watchdog(Duration::from_secs(60));
    match role.words.split_once(' ').expect("an end and a state") {
        ("application", state) => application::play(state, &role.dir),
        ("host", state) => host::play(state, &role.dir),
        other => panic!("no role {other:?}"),
    }
}

/// Gives the orders that come to `orders`, but for "exit", which is obeyed at once.
fn obey() -> Receiver<String> {
    let (give, orders) = sync_channel(10);
    std::thread::spawn(move || {
        while let Some(order) = testkit::order() {
            if order == "exit" {
                std::process::exit(0);
            }
            if give.send(order).is_err() {
                return;
            }
        }
    });
    orders
}
