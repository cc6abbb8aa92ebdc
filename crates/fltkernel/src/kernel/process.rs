//! Processes and threads: one object for each, as long as a driver refers to it or it lives.

mod calls;
mod notify;

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};

pub use calls::*;
pub use notify::*;

use super::object::{self, Object};
use super::thread::Identity;
use crate::lock;

/// The number of the System process, for which all that no program asked for is done.
pub const SYSTEM: u32 = 4;

/// `EPROCESS`
#[derive(Debug)]
pub struct Process {
    /// The number that Linux gave it; [`SYSTEM`] is none of Linux's.
    pub number: u32,
    /// When it began, in clock ticks since boot: a number is used again, a number and a beginning are not.
    began: u64,
    system: bool,
}

/// `ETHREAD`
#[derive(Debug)]
pub struct Thread {
    pub number: u32,
    pub process: Arc<Process>,
}

impl Object for Process {
    fn kind(&self) -> &'static str {
        "process"
    }
}

impl Object for Thread {
    fn kind(&self) -> &'static str {
        "thread"
    }
}

#[derive(Default)]
struct Known {
    processes: HashMap<u32, Arc<Process>>,
    threads: HashMap<u32, Arc<Thread>>,
}

static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
static SYSTEM_IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
    let process = Arc::new(Process { number: SYSTEM, began: 0, system: true });
    let thread = Arc::new(Thread { number: SYSTEM, process: process.clone() });
    object::add(&process);
    object::add(&thread);
    Identity { process, thread }
});

/// The System process.
pub fn system() -> Identity {
    SYSTEM_IDENTITY.clone()
}

/// When a process began; `None` if there is none with this number.
fn began(number: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    // the name in parentheses may hold anything
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// The object of a process of Linux; `None` if there is none with this number.
pub fn process(number: u32) -> Option<Arc<Process>> {
    let began = began(number)?;
    let mut known = lock(&KNOWN);
    if let Some(process) = known.processes.get(&number).filter(|process| process.began == began) {
        return Some(process.clone());
    }
    Some(add_process(&mut known, number, began))
}

fn add_process(known: &mut Known, number: u32, began: u64) -> Arc<Process> {
    let process = Arc::new(Process { number, began, system: false });
    object::add(&process);
    known.processes.insert(number, process.clone());
    process
}

/// The process in whose name an operation of this thread of this process is done; objects are made even if they are gone by now.
pub fn identity(process_number: u32, thread_number: u32) -> Identity {
    let process = process(process_number).unwrap_or_else(|| {
        let mut known = lock(&KNOWN);
        match known.processes.get(&process_number) {
            Some(process) => process.clone(),
            None => add_process(&mut known, process_number, 0),
        }
    });
    let mut known = lock(&KNOWN);
    if let Some(thread) = known.threads.get(&thread_number).filter(|thread| Arc::ptr_eq(&thread.process, &process)) {
        return Identity { process, thread: thread.clone() };
    }
    let thread = Arc::new(Thread { number: thread_number, process: process.clone() });
    object::add(&thread);
    if let Some(old) = known.threads.insert(thread_number, thread.clone()) {
        // its number is used again; a driver may still refer to it
        if object::references(object::address(&old)) == 0 {
            object::remove(object::address(&old));
        }
    }
    Identity { process, thread }
}

impl Process {
    /// The program that it runs.
    pub fn program(&self) -> Option<PathBuf> {
        if self.system {
            return None;
        }
        fs::read_link(format!("/proc/{}/exe", self.number)).ok()
    }

    /// Its arguments.
    pub fn arguments(&self) -> Vec<String> {
        let text = fs::read(format!("/proc/{}/cmdline", self.number)).unwrap_or_default();
        text.split(|&byte| byte == 0)
            .filter(|part| !part.is_empty())
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect()
    }

    /// The process that started it.
    pub fn parent(&self) -> u32 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.number)).unwrap_or_default();
        stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
    }

    /// Whether it is the System process.
    pub fn is_system(&self) -> bool {
        self.system
    }
}
