//! What a test must not leave: processes, descriptors, files in its namespace.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rustix::process::Pid;

use crate::{TAG, process, within};

/// How long something that ends by itself may take to be gone, once nobody uses it any more.
const GRACE: Duration = Duration::from_secs(3);

/// This process's open descriptors, counted by what they are.
#[derive(Debug)]
pub(crate) struct Descriptors(BTreeMap<String, usize>);

impl Descriptors {
    pub(crate) fn now() -> Self {
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
    pub(crate) fn new_ones(&self) -> Vec<String> {
        let more = || {
            let now = Self::now();
            let grown = |(kind, count): (&String, &usize)| {
                let before = self.0.get(kind).copied().unwrap_or(0);
                (*count > before).then(|| format!("{} more open descriptor(s): {kind}", count - before))
            };
            now.0.iter().filter_map(grown).collect::<Vec<_>>()
        };
        match within(GRACE, || more().is_empty().then_some(())) {
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

/// Processes of the world that still live, which are killed now, and children of the test that nobody waited for.
pub(crate) fn processes(tag: &str) -> Vec<String> {
    let over = || living(tag).is_empty() && !process::has_children();
    if within(GRACE, || over().then_some(())).is_some() {
        return Vec::new();
    }
    let mut left = Vec::new();
    for pid in living(tag) {
        let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        left.push(format!("process {}: {}", pid.as_raw_nonzero(), String::from_utf8_lossy(&line).replace('\0', " ")));
        // So that one test's failure is not the next one's.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    left.extend(process::has_children().then(|| "a child that nobody waited for".to_owned()));
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

/// Entries of the namespace directory, but for the lock that makes taking names one at a time and stays for good.
pub(crate) fn files(namespace: &Path) -> Vec<String> {
    let list = || -> Vec<String> {
        match std::fs::read_dir(namespace) {
            Ok(entries) => entries
                .flatten()
                .filter(|entry| entry.file_name() != ".namespace.lock")
                .map(|entry| format!("in the namespace: {}", entry.path().display()))
                .collect(),
            Err(e) => vec![format!("the namespace itself: {e}")],
        }
    };
    match within(GRACE, || list().is_empty().then_some(())) {
        Some(()) => Vec::new(),
        None => list(),
    }
}
