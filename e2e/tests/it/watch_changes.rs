//! What a file contains now decides, not what it contained when another process opened it.
//!
//! One thread changes a file, in every way there is, and opens it, while others open it all the time, under `fltmc watch`.
//! `FLTMGR_CHANGES` says how many rounds; a million take more than an hour, in release on two processors.

mod writers;

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};
use testkit::{Again, Role, World, number_from, program, say, until, watchdog};

use writers::{truncate, writers};

const CLEAN: &[u8; 8] = b"harmless";
const FOUL: &[u8; 8] = b"INFECTED";
const OPENERS: usize = 3;
/// How long rounds go on with one listener, which is killed after a minute.
const SLICE: Duration = Duration::from_secs(20);
/// Of so many rounds there is one in which the file rests for long enough that a verdict can be kept.
const RESTS: u64 = 8;

/// The role of the process that changes files, with a number of rounds.
pub(crate) fn play(role: &Role) {
    change(&role.dir.join("file"), role.words.parse().expect("a number of rounds"));
}

/// A file system for the files of a test, as a line of shell that leaves it at `fs/in`.
const TMPFS: &str = "mkdir fs/in";
const EXT4: &str = "truncate -s 32M fs/image && mkfs.ext4 -q fs/image && mkdir fs/in && mount -o loop fs/image fs/in";

#[test]
fn nothing_stale_is_served_on_a_tmpfs() {
    nothing_stale_is_served(TMPFS, false);
}

/// Here verdicts are remembered.
#[test]
fn nothing_stale_is_served_on_an_ext4() {
    nothing_stale_is_served(EXT4, true);
}

fn nothing_stale_is_served(files: &str, remembers: bool) {
    let rounds = number_from("FLTMGR_CHANGES", 1_000);
    let _watchdog = watchdog(Duration::from_secs(180 + rounds / 20));
    let mut done = 0;
    while done < rounds {
        let world = World::new();
        let Some(mut command) = world.watcher(files) else { return };
        command.arg(world.tool()).args(["watch", "--deny-content", "INFECTED", "--on-miss", "deny", "fs/in"]);
        let mut watched = world.spawn(&mut command);
        watched.says("watching");
        let mut inside = world.command("nsenter");
        inside
            .arg(format!("--target={}", watched.pid()))
            .args(["--mount", "timeout", "-s", "KILL", "60"])
            .arg(program());
        let role = format!("watch_changes {}", rounds - done);
        let mut changes = Again::command(&role, &world.dir().join("fs/in"), inside);
        let said = changes.says("done");
        assert_eq!(changes.end(), 0);
        let (number, wrong) = said.split_once(' ').expect("a number and more");
        assert_eq!(wrong, "0 stale, 0 refused", "of {number} rounds after {done}");
        done += number.parse::<u64>().expect("a number");
        watched.signal(Signal::INT);
        if remembers {
            watched.says("not changed since");
        }
        assert_eq!(watched.end(), 0);
    }
}

/// Waits until the clock of files has ticked.
fn rest() {
    let now = || clock_gettime(ClockId::RealtimeCoarse);
    let start = now();
    until(|| now() > start);
}

/// Changes a file to what is foul and back, and opens it each time: while it is still being written to, and after.
fn change(path: &Path, rounds: u64) {
    std::fs::write(path, CLEAN).expect("a file of the test");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..OPENERS {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let _ = File::open(path);
                }
            });
        }
        let (mut stale, mut refused) = (0, 0);
        let mut opens = |foul: bool| match (File::open(path), foul) {
            (Ok(_), true) => stale += 1,
            (Err(error), false) if error.kind() == ErrorKind::PermissionDenied => refused += 1,
            (Err(error), false) => panic!("opening: {error}"),
            _ => {}
        };
        let clean = || {
            // What is foul cannot be opened for writing either.
            truncate(path, 0);
            truncate(path, CLEAN.len());
            OpenOptions::new().read(true).write(true).open(path).expect("what is clean can be opened")
        };
        let mut writers = writers();
        let ways = writers.len();
        let end = Instant::now() + SLICE;
        let mut round = 0;
        while round < rounds && Instant::now() < end {
            let writer = &mut *writers[round as usize % ways];
            let rests = round % RESTS == 0;
            let file = clean();
            let written = writer.write(&file, CLEAN);
            if rests {
                rest();
            }
            opens(false);
            // A page that was stored to is stored to again, of which the kernel knows nothing.
            if written.again(FOUL) {
                opens(true);
                written.again(CLEAN);
            }
            drop((written, file));
            if rests {
                rest();
                opens(false);
            }
            opens(false);
            let file = OpenOptions::new().read(true).write(true).open(path).expect("what is clean can be opened");
            let written = writer.write(&file, FOUL);
            opens(true);
            drop((written, file));
            opens(true);
            round += 1;
        }
        over.store(true, Ordering::Relaxed);
        say(&format!("done {round} {stale} stale, {refused} refused"));
    });
}
