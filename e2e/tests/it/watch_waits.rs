//! No program waits for a verdict of `fltmc watch` past the deadline, whatever the listener lacks.

use std::fs::File;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::{Again, Role, World, program, say, slow, watchdog};

const OPENERS: usize = 300;
const DEADLINE: Duration = Duration::from_millis(1000);
/// How much later than the deadline an opener may go on, on a machine that does much else. Alone it is some milliseconds.
const LATE: Duration = Duration::from_millis(1000);

/// The role of the process whose threads open a file.
pub(crate) fn play(role: &Role) {
    let waits = open_all_at_once(&role.dir.join("good"));
    let [median, p99, longest] = [waits.len() / 2, waits.len() * 99 / 100, waits.len() - 1].map(|n| waits[n]);
    say(&format!("longest {} (median {median:?}, p99 {p99:?})", longest.as_micros()));
}

/// How long each waited, the shortest wait first. All are refused.
fn open_all_at_once(path: &Path) -> Vec<Duration> {
    let together = Barrier::new(OPENERS);
    let mut waits = thread::scope(|scope| {
        let opener = || {
            together.wait();
            let start = Instant::now();
            let opened = File::open(path);
            assert!(opened.is_err(), "no filter allows it");
            start.elapsed()
        };
        let openers: Vec<_> = (0..OPENERS).map(|_| scope.spawn(opener)).collect();
        openers.into_iter().map(|opener| opener.join().expect("an opener")).collect::<Vec<_>>()
    });
    waits.sort();
    waits
}

/// Many open one file, and the application does not answer.
fn openers_wait_for_the_deadline(descriptors: u32) {
    let _watchdog = watchdog(Duration::from_secs(120));
    let world = World::new();
    let Some(mut command) = world.watcher("mkdir fs/in && echo fine > fs/in/good") else { return };
    command.args(["prlimit", &format!("--nofile={descriptors}")]).arg(world.tool());
    let deadline = DEADLINE.as_millis().to_string();
    command.args(["watch", "--port", "Gate", "--deadline", &deadline, "--on-miss", "deny", "fs/in"]);
    let mut watched = world.spawn(&mut command);
    watched.says("watching");
    let mut silent = world.spawn(world.fltmc().args(["connect", "Gate"]));
    silent.says("connected");
    let mut inside = world.command("nsenter");
    inside.arg(format!("--target={}", watched.pid())).args(["--mount", "timeout", "-s", "KILL", "60"]).arg(program());
    let mut openers = Again::command("watch_waits", &world.dir().join("fs/in"), inside);
    let said = openers.says("longest");
    println!("{OPENERS} openers, {descriptors} descriptors, deadline {DEADLINE:?}: the longest {said} us");
    let micros = said.split_once(' ').expect("a number and more").0.parse().expect("a number");
    let longest = Duration::from_micros(micros);
    assert_eq!(openers.end(), 0);
    assert!(
        longest < DEADLINE + LATE * slow(),
        "with {descriptors} descriptors one waited for {longest:?} of {DEADLINE:?}"
    );
    watched.signal(Signal::INT);
    assert_eq!(watched.end(), 0);
}

#[test]
fn openers_wait_for_the_deadline_where_there_are_descriptors() {
    openers_wait_for_the_deadline(4096);
}

/// The descriptors are enough for a tenth of the openers.
#[test]
fn openers_wait_for_the_deadline_where_there_are_few_descriptors() {
    openers_wait_for_the_deadline(64);
}
