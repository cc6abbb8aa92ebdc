//! What a test must not leave: processes, descriptors, files in its namespace.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Pid;

use crate::again::is_apart;
use crate::{process, within};

/// The environment variable that marks a world's processes, so that its leak check finds grandchildren too.
pub(crate) const TAG: &str = "FLTMGR_TEST_WORLD";

/// How long something that ends by itself may take to be gone, once it is out of use.
const GRACE: Duration = Duration::from_secs(3);

/// The worlds of a process in which no other test opens descriptors, and what was open before the first of them.
static WORLDS: Mutex<(usize, Option<Descriptors>)> = Mutex::new((0, None));

/// One more world.
pub(crate) fn begin() {
    let mut worlds = WORLDS.lock().unwrap_or_else(PoisonError::into_inner);
    if worlds.0 == 0 && is_apart() {
        worlds.1 = Some(Descriptors::now());
    }
    worlds.0 += 1;
}

/// One world less: the descriptors that are left when it was the last.
pub(crate) fn end() -> Vec<String> {
    let mut worlds = WORLDS.lock().unwrap_or_else(PoisonError::into_inner);
    worlds.0 -= 1;
    let before = if worlds.0 == 0 { worlds.1.take() } else { None };
    drop(worlds);
    before.map(|before| before.new_ones()).unwrap_or_default()
}

/// This process's open descriptors, counted by what they are.
#[derive(Debug)]
struct Descriptors(BTreeMap<String, usize>);

impl Descriptors {
    fn now() -> Self {
        let mut counts = BTreeMap::new();
        let dir = std::fs::read_dir("/proc/self/fd").expect("/proc is mounted");
        for entry in dir.flatten() {
            // The descriptor of this very listing is gone by the time it is looked at.
            let Ok(target) = std::fs::read_link(entry.path()) else { continue };
            let target = target.to_string_lossy().into_owned();
            // The library keeps one epoll and one eventfd per process for good, once a port or connection was used.
            if ["anon_inode:[eventpoll]", "anon_inode:[eventfd]"].contains(&target.as_str()) {
                continue;
            }
            if target.starts_with("/proc/") {
                continue;
            }
            *counts.entry(kind(&target)).or_insert(0) += 1;
        }
        Self(counts)
    }

    /// Descriptors there are more of now than then, after a while in which other threads may close theirs.
    fn new_ones(&self) -> Vec<String> {
        let more = || {
            let now = Self::now();
            let grown = |(kind, count): (&String, &usize)| {
                let before = self.0.get(kind).copied().unwrap_or(0);
                (*count > before).then(|| format!("{} more open descriptor(s): {kind}", count - before))
            };
            now.0.iter().filter_map(grown).collect::<Vec<_>>()
        };
        match within(GRACE, || more().is_empty()) {
            Some(()) => Vec::new(),
            None => more(),
        }
    }
}

/// Sockets and pipes have numbers that differ each time; their kind is what counts.
fn kind(target: &str) -> String {
    match target.split_once(":[") {
        Some((kind, _)) if kind != "anon_inode" => kind.to_owned(),
        _ => target.to_owned(),
    }
}

/// Processes of the world that still live, which are killed now; where no other test has any, also children that were not
/// waited for.
pub(crate) fn processes(tag: &str) -> Vec<String> {
    let unreaped = || is_apart() && process::has_children();
    if within(GRACE, || living(tag).is_empty() && !unreaped()).is_some() {
        return Vec::new();
    }
    let mut left = Vec::new();
    for pid in living(tag) {
        let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        left.push(format!("process {}: {}", pid.as_raw_nonzero(), String::from_utf8_lossy(&line).replace('\0', " ")));
        // So that one test's failure is not the next one's.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    left.extend(unreaped().then(|| "a child that was not waited for".to_owned()));
    left
}

/// Every process that was started in this world, by whatever way.
fn living(tag: &str) -> Vec<Pid> {
    let wanted = format!("{TAG}={tag}").into_bytes();
    let entries = std::fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let ours = entries.filter(|entry| {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted)
    });
    ours.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// What ports have left in the namespace directory: the files beside their sockets, but for the lock that makes taking names
/// one at a time and stays for good.
pub(crate) fn files(namespace: &Path) -> Vec<String> {
    let of_a_port = |name: &str| name.starts_with('.') && name != ".namespace.lock";
    let list = || -> Vec<String> {
        match std::fs::read_dir(namespace) {
            Ok(entries) => entries
                .flatten()
                .filter(|entry| entry.file_name().to_str().is_some_and(of_a_port))
                .map(|entry| format!("in the namespace: {}", entry.path().display()))
                .collect(),
            Err(e) => vec![format!("the namespace itself: {e}")],
        }
    };
    match within(GRACE, || list().is_empty()) {
        Some(()) => Vec::new(),
        None => list(),
    }
}
