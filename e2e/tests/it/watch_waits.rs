//! No program waits for a verdict of `fltmc watch` past the deadline, whatever the listener lacks.

use std::fs::File;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::{Again, Role, World, finish, program, say, slow, watchdog};

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

/// Files of a terabyte, which any program can make, do not keep the scanner from what is foul; and a file that takes too
/// long to look into does so for nothing but itself.
#[test]
fn large_files_keep_the_scanner_from_nothing() {
    let _watchdog = watchdog(Duration::from_secs(180));
    let world = World::new();
    let large = "yes nothing | head -c 200M > fs/in/dense && truncate -s 1T fs/in/hole1 fs/in/hole2";
    let files = format!("mkdir fs/in && echo NEEDLE > fs/in/foul && {large}");
    let Some(mut command) = world.watcher(&files) else { return };
    // Many patterns, so that the dense file takes longer than its deadline.
    let patterns = (0..400).flat_map(|n| ["--deny-content".to_owned(), format!("no such thing {n}")]);
    command.arg(world.tool()).args(["watch", "--deny-content", "NEEDLE", "--deadline", "2000"]).args(patterns);
    let mut watched = world.spawn(command.arg("fs/in"));
    watched.says("watching");
    let hold = "for f in hole1 hole2 dense dense dense dense; do head -c 1 fs/in/$f > /dev/null & done";
    let foul = "for n in 1 2 3 4 5 6 7 8 9 10; do cat fs/in/foul && echo read; done 2> /dev/null";
    let ended = finish(&mut world.inside(&watched, 30, &format!("{hold}; {foul}; wait")));
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), ""), "{}", ended.err);
    watched.signal(Signal::INT);
    let missed = watched.says("without an answer in time");
    assert!(missed.contains("/dense") && !missed.contains("/hole"), "{missed}");
    assert_eq!(watched.end(), 0);
}

#[test]
fn what_is_too_large_to_look_at_is_named_and_left_to_the_policy() {
    let _watchdog = watchdog(Duration::from_secs(60));
    for (on_miss, read) in [("allow", "x"), ("deny", "")] {
        let world = World::new();
        let files =
            "mkdir fs/in && yes x | head -c 200K > fs/in/large && echo fine > fs/in/small && truncate -s 1T fs/in/hole";
        let Some(mut command) = world.watcher(files) else { return };
        command.arg(world.tool()).args(["watch", "--deny-content", "NEEDLE", "--max-scan", "100K"]);
        let mut watched = world.spawn(command.args(["--on-miss", on_miss, "fs/in"]));
        watched.says("watching");
        let line = "head -c 1 fs/in/large; cat fs/in/small; head -c 1 fs/in/hole | wc -c";
        let ended = finish(&mut world.inside(&watched, 30, line));
        assert_eq!(ended.out, format!("{read}fine\n1\n"), "{}", ended.err);
        watched.signal(Signal::INT);
        let missed = watched.says("with more in the file than --max-scan");
        assert!(missed.contains("decided about 1 ") && missed.contains("/large"), "{missed}");
        assert_eq!(watched.end(), 0);
    }
}
