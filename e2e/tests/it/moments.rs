//! No third case: a message that timed out, was cancelled or refused was not seen, or the application that answers it is told
//! that it comes too late. Either end is killed, stopped and let go on, disconnected and closed, at random moments,
//! while both work.
//!
//! Both ends note what they do before they go on; the notes are compared when a round is over. `FLTMGR_ROUNDS` says how
//! many rounds, and `FLTMGR_SEED` repeats the choices of a failure.

mod application;
mod filter;
mod judge;
mod log;
mod payload;

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use fltmgr::namespace::Namespace;
use fltmgr::{Connection, Timeout};
use rustix::process::Signal;
use testkit::{Again, Random, Role, Watchdog, number_from};

use application::Habits;
use filter::Filter;
use judge::{Classes, End, Notes, judge};
use log::Log;

const NAME: &str = r"\Momentous";
/// The number of the message that ends a round well.
const FINISH: u64 = u64::MAX;
/// Where the numbers of the second application's requests begin.
const TAKERS_REQUESTS: u64 = 1 << 40;
/// How long a filter waits for a reply that a killed process may have owed.
const OWED: Duration = Duration::from_millis(30);
/// Long enough that only a hang gets there.
const LONG: Duration = Duration::from_secs(20);

fn rounds() -> u64 {
    number_from("FLTMGR_ROUNDS", 150)
}

fn watchdog() -> Watchdog {
    testkit::watchdog(Duration::from_secs(100 + rounds() / 4))
}

fn connect(dir: &Path) -> Connection {
    Connection::options().namespace(Namespace::at(dir)).connect(NAME, b"").expect("a connection")
}

/// What the end does that is killed and stopped.
pub(crate) fn play(role: &Role) {
    let _watchdog = watchdog();
    let (dir, mut words) = (role.dir.as_path(), role.words.split(' '));
    let [role, who, seed] = [(); 3].map(|()| words.next().expect("a role, a log and a seed"));
    let log = Arc::new(Log::new(&dir.join(format!("{who}-{seed}"))));
    let hand = dir.join(format!("hand-{seed}"));
    let seed = seed.parse().expect("a number");
    match role {
        "application" => {
            let port = connect(dir);
            let orders = port.clone();
            thread::spawn(move || match testkit::order().as_deref() {
                Some("disconnect") => orders.disconnect(),
                _ => drop(orders),
            });
            testkit::say("ready");
            application::run(&port, &log, seed, 0);
        }
        "giver" => {
            let port = connect(dir);
            let hands = UnixListener::bind(hand).expect("a socket");
            testkit::say("waits");
            port.give(hands.accept().expect("the taker").0).expect("a handle more");
            testkit::say("ready");
            application::run(&port, &log, seed, 0);
        }
        "taker" => {
            let port = Connection::take(UnixStream::connect(hand).expect("the giver")).expect("a handle");
            testkit::say("ready");
            application::run(&port, &log, seed, TAKERS_REQUESTS);
        }
        "host" => {
            let (came, on_came) = sync_channel(1);
            let port = filter::create(dir, Filter { log: Arc::clone(&log), came });
            testkit::say("listening");
            let client = on_came.recv().expect("a client");
            let stop = Arc::new(AtomicBool::new(false));
            let (closing, stopping) = (client.clone(), Arc::clone(&stop));
            thread::spawn(move || match testkit::order().as_deref() {
                Some("disconnect") => closing.close(),
                _ => stopping.store(true, Ordering::SeqCst),
            });
            testkit::say("ready");
            filter::run(&client, &log, seed, Timeout::Never, &stop);
            client.close();
            port.unload();
        }
        other => panic!("no role {other}"),
    }
}

/// What happens to the other process in a round.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Kill,
    StopAndKill,
    StopAndGoOn,
    Disconnect,
    /// It is disconnected while it is stopped.
    DisconnectStopped,
}

/// Waits for so long at most.
fn moment(random: &mut Random, micros: u64) {
    let end = Instant::now() + Duration::from_micros(random.below(micros));
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
}

/// Lets the other process suffer its fate. `ours` ends the connection on this side.
fn befall(other: &mut Again, fate: Fate, random: &mut Random, ours: impl FnOnce() + Send) {
    moment(random, 6000);
    match fate {
        Fate::Kill => other.kill(),
        Fate::StopAndKill => {
            other.signal(Signal::STOP);
            moment(random, 2000);
            other.kill();
        }
        Fate::StopAndGoOn => {
            for _ in 0..1 + random.below(5) {
                other.signal(Signal::STOP);
                moment(random, 3000);
                other.signal(Signal::CONT);
                moment(random, 2000);
            }
        }
        Fate::Disconnect if random.once_in(2) => other.tell("disconnect"),
        Fate::Disconnect => ours(),
        Fate::DisconnectStopped => {
            other.signal(Signal::STOP);
            moment(random, 500);
            thread::scope(|scope| {
                // disconnecting waits for the host
                scope.spawn(ours);
                moment(random, 2000);
                other.signal(Signal::CONT);
            });
        }
    }
}

fn fate(random: &mut Random, killed: End) -> (Fate, End) {
    // of two that share a connection, one is killed in every round
    match random.below(if killed == End::OneKilled { 3 } else { 8 }) {
        0..2 => (Fate::Kill, killed),
        2 => (Fate::StopAndKill, killed),
        3..6 => (Fate::StopAndGoOn, End::Well),
        6 => (Fate::Disconnect, End::Disconnected),
        _ => (Fate::DisconnectStopped, End::Disconnected),
    }
}

/// Plays rounds, each with a seed of its own, and judges them.
fn rounds_of(killed: End, round: impl Fn(&Path, u64, Fate, &mut Random)) {
    let _watchdog = watchdog();
    let dir = tempfile::tempdir().unwrap();
    let base = Random::seed();
    let mut classes = Classes::default();
    for number in 0..rounds() {
        let seed = base.wrapping_add(number);
        let mut random = Random::new(seed);
        let (fate, end) = fate(&mut random, killed);
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            round(dir.path(), seed, fate, &mut random);
        }));
        let files = ["filter", "application", "killed"].map(|who| dir.path().join(format!("{who}-{seed}")));
        let verdict = played.map_err(|_| "it panicked".to_owned()).and_then(|()| {
            let [filter, application, killed] = files.each_ref().map(|file| Log::read(file));
            judge(&Notes { filter, application, killed }, end, Habits::of(seed), &mut classes)
        });
        if let Err(what) = verdict {
            panic!("round {number}, {fate:?}: {what}\nto repeat its choices: FLTMGR_SEED={seed} FLTMGR_ROUNDS=1");
        }
        for file in files.iter().filter(|file| file.exists()) {
            std::fs::remove_file(file).unwrap();
        }
    }
    println!("{} rounds, from seed {base}: {classes}", rounds());
    assert!(classes.of("answered") > 0, "nothing was answered");
}

#[test]
fn no_third_case_when_the_application_is_killed_or_stopped() {
    rounds_of(End::ApplicationKilled, |dir, seed, fate, random| {
        let log = Arc::new(Log::new(&dir.join(format!("filter-{seed}"))));
        let (came, on_came) = sync_channel(1);
        let port = filter::create(dir, Filter { log: Arc::clone(&log), came });
        let mut app = Again::start(&format!("moments application application {seed}"), dir);
        let client = on_came.recv_timeout(LONG).expect("the application connects");
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| filter::run(&client, &log, seed, Timeout::Never, &stop));
            app.says("ready");
            befall(&mut app, fate, random, || client.close());
            stop.store(true, Ordering::SeqCst);
        });
        client.close();
        let ended = app.end();
        assert!(ended == 0 || matches!(fate, Fate::Kill | Fate::StopAndKill), "the application: {ended}");
        // the callbacks have returned, so their notes are complete
        port.unload();
    });
}

#[test]
fn nothing_of_the_other_is_harmed_when_one_of_two_applications_is_killed() {
    rounds_of(End::OneKilled, |dir, seed, fate, random| {
        let log = Arc::new(Log::new(&dir.join(format!("filter-{seed}"))));
        let (came, on_came) = sync_channel(1);
        let port = filter::create(dir, Filter { log: Arc::clone(&log), came });
        let giver_dies = random.once_in(2);
        let [giver, taker] = if giver_dies { ["killed", "application"] } else { ["application", "killed"] };
        let mut giver = Again::start(&format!("moments giver {giver} {seed}"), dir);
        giver.says("waits");
        let client = on_came.recv_timeout(LONG).expect("the application connects");
        let mut taker = Again::start(&format!("moments taker {taker} {seed}"), dir);
        giver.says("ready");
        taker.says("ready");
        let (killed, other) = if giver_dies { (&mut giver, &mut taker) } else { (&mut taker, &mut giver) };
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| filter::run(&client, &log, seed, Timeout::After(OWED), &stop));
            befall(killed, fate, random, || client.close());
            killed.end();
            // with what the other has left behind
            moment(random, 5000);
            stop.store(true, Ordering::SeqCst);
        });
        assert!(client.is_connected(), "the connection ended with one of its processes");
        client.close();
        let ended = other.end();
        assert!(ended == 0, "the other application: {ended}");
        port.unload();
        std::fs::remove_file(dir.join(format!("hand-{seed}"))).unwrap();
    });
}

#[test]
fn no_third_case_when_the_host_is_killed_or_stopped() {
    rounds_of(End::HostKilled, |dir, seed, fate, random| {
        let log = Log::new(&dir.join(format!("application-{seed}")));
        let mut host = Again::start(&format!("moments host filter {seed}"), dir);
        host.says("listening");
        let port = connect(dir);
        thread::scope(|scope| {
            scope.spawn(|| application::run(&port, &log, seed, 0));
            host.says("ready");
            befall(&mut host, fate, random, || port.disconnect());
            host.hang_up();
        });
        port.close();
        let ended = host.end();
        assert!(ended == 0 || matches!(fate, Fate::Kill | Fate::StopAndKill), "the host: {ended}");
    });
}
