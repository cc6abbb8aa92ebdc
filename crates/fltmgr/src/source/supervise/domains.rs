//! Landlock domains of a tree: rights that threads give up, which the kernel tells of nowhere.
//!
//! When a thread restricts itself, so does a proxy that is what it is, by the same ruleset, before the thread's call goes on:
//! the domain of a later moment could not be made any more, for rulesets change. Copies of that proxy act for the threads of
//! the domain. Which domain a process is in, the process itself carries, as the kernel passes domains on: a mark in its limit
//! of file locks (RLIMIT_LOCKS), which has meant nothing since Linux 2.4 and is inherited by fork and exec; the tree may not
//! set it.
//!
//! The mark is a process's, the domain a thread's. So the threads that a process has when one of them restricts itself are
//! remembered; what is started later, by whichever of them, counts as restricted by all that holds for any of them.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;
use sys::proxy::Proxy;

use super::identity::{DomainNumber, Identity};
use crate::source::procfs::TaskStatus;
use fltport::internal::lock;

/// The mark of the domain n is this less n.
const MARK: u64 = 1 << 62;
/// With more domains than this, those are forgotten that no process is in.
const MANY: usize = 64;
/// LANDLOCK_RESTRICT_SELF_TSYNC: all threads of the process.
const TSYNC: u32 = 1 << 3;

/// Numbers are used once in this process, so that the mark of another tree's is not taken for one of this tree's.
static LAST: AtomicU32 = AtomicU32::new(0);

/// The domains of a tree.
#[derive(Debug, Default)]
pub(super) struct Domains {
    table: Mutex<HashMap<DomainNumber, Domain>>,
    /// One thread at a time comes into a domain, so that what is remembered of the others of its process is so.
    turn: Mutex<()>,
}

#[derive(Debug)]
struct Domain {
    /// What its proxy is.
    identity: Identity,
    /// Is restricted, and only copied.
    proxy: Proxy,
    /// By what it was restricted last.
    ruleset: OwnedFd,
    /// The process that was marked with it first, and the threads of it that are in others.
    process: u32,
    others: HashMap<u32, DomainNumber>,
}

/// The domain that a process is marked with.
fn marked(tid: u32) -> DomainNumber {
    let mark = sys::process::locks_limit(tid).unwrap_or(u64::MAX);
    MARK.checked_sub(mark).and_then(|number| DomainNumber::try_from(number).ok()).unwrap_or(0)
}

impl Domains {
    /// The domain of this thread of this process.
    ///
    /// # Errors
    /// EACCES if it is in one that is not known.
    pub(super) fn of(&self, tid: u32, process: u32) -> Result<DomainNumber, Errno> {
        let number = marked(tid);
        if number == 0 {
            return Ok(0);
        }
        let table = lock(&self.table);
        let domain = table.get(&number).ok_or(Errno::ACCESS)?;
        let other = domain.others.get(&tid).filter(|_| domain.process == process);
        Ok(other.copied().unwrap_or(number))
    }

    /// A copy of the proxy of a domain, and what it is.
    ///
    /// # Errors
    /// EACCES if there is no such proxy any more: nothing else can be in that domain.
    pub(super) fn copy(&self, number: DomainNumber) -> Result<(Proxy, Identity), Errno> {
        let table = lock(&self.table);
        let domain = table.get(&number).ok_or(Errno::ACCESS)?;
        Ok((domain.proxy.copy().map_err(|_| Errno::ACCESS)?, domain.identity.clone()))
    }

    /// A thread is about to restrict itself by this ruleset. `proxy` is what it is.
    ///
    /// # Errors
    /// What the kernel will say to the thread, if that is an error.
    pub(super) fn enter(
        &self,
        tid: u32,
        identity: &Identity,
        proxy: Proxy,
        ruleset: OwnedFd,
        flags: u32,
    ) -> Result<(), Errno> {
        let process = TaskStatus::of(tid).map_err(|_| Errno::SRCH)?.tgid;
        let _turn = lock(&self.turn);
        if self.joins(tid, process, &ruleset) {
            return Ok(());
        }
        let before = marked(tid);
        proxy.restrict(ruleset.as_fd(), flags)?;
        let own = identity.clone().in_domain(next());
        let mut others = if flags & TSYNC == 0 { self.others(tid, process)? } else { HashMap::new() };
        let mut new = vec![(own.clone(), proxy)];
        if before != identity.domain {
            // It is less restricted than others of its process were: what starts now is restricted by both.
            let (all, is) = self.copy(before)?;
            all.restrict(ruleset.as_fd(), flags)?;
            others.insert(tid, own.domain);
            new.push((is.in_domain(next()), all));
        }
        let mark = new.last().map_or(0, |(identity, _)| identity.domain);
        let mut table = lock(&self.table);
        forget_unused(&mut table);
        for (identity, proxy) in new {
            let others = if identity.domain == mark { std::mem::take(&mut others) } else { HashMap::new() };
            let ruleset = ruleset.try_clone().map_err(|_| Errno::NFILE)?;
            table.insert(identity.domain, Domain { identity, proxy, ruleset, process, others });
        }
        drop(table);
        sys::process::set_locks_limit(tid, MARK - u64::from(mark))
    }

    /// Whether another thread of the process has made the domain that this one comes into: libraries have each thread of a
    /// process restrict itself by the same ruleset.
    fn joins(&self, tid: u32, process: u32, ruleset: &OwnedFd) -> bool {
        let mut table = lock(&self.table);
        let Some(domain) = table.get_mut(&marked(tid)).filter(|domain| domain.process == process) else { return false };
        let same = sys::process::same_file(domain.ruleset.as_fd(), ruleset.as_fd());
        same && domain.others.remove(&tid).is_some()
    }

    /// The domains of the other threads of a process.
    fn others(&self, tid: u32, process: u32) -> Result<HashMap<u32, DomainNumber>, Errno> {
        let threads = fs::read_dir(format!("/proc/{process}/task")).map_err(|_| Errno::ACCESS)?;
        let numbers = threads.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        numbers.filter(|other| *other != tid).map(|other| Ok((other, self.of(other, process)?))).collect()
    }
}

fn next() -> DomainNumber {
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// If there are many, those go that no process is marked with, nor a thread of one that is.
fn forget_unused(table: &mut HashMap<DomainNumber, Domain>) {
    if table.len() < MANY {
        return;
    }
    let marks = used();
    let of_threads = marks.iter().filter_map(|number| table.get(number)).flat_map(|domain| domain.others.values());
    let used: HashSet<DomainNumber> = of_threads.chain(&marks).copied().collect();
    table.retain(|number, _| used.contains(number));
}

/// The domains that processes are marked with.
fn used() -> HashSet<DomainNumber> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashSet::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.map(marked).collect()
}
