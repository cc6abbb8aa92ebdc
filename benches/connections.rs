//! What connections cost: making one, and keeping many that do nothing.
//!
//! `cargo bench -p fltmgr --bench connections` opens 10,000 connections from a second process (`-- 500` opens 500), and
//! prints the time to make one, the memory and the descriptors that one takes at both ends together, and the processor
//! time that all of them use in a second of silence.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fltmgr::namespace::Namespace;
use fltmgr::{Client, Connection, Port, PortOptions, SecurityDescriptor, Serve, Status};
use rustix::process::{Resource, getrlimit};

const PORT: &str = r"\ManyPort";

struct Filter;

impl Serve for Filter {
    type Session = ();

    fn connect(&self, _: &Client, _: &[u8]) -> Result<(), Status> {
        Ok(())
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, child, count, namespace] = &arguments[..]
        && child == "child"
    {
        return run_child(count.parse().expect("a number"), namespace);
    }
    let wanted = arguments.iter().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(10_000);
    // three descriptors each in the application, one here, and some to spare
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let count = wanted.min(usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(200) / 3);
    if count < wanted {
        println!("{count} connections instead of {wanted}: more need a higher `ulimit -n`");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let namespace = directory.path().to_str().expect("a path");
    let many = u32::try_from(count).expect("a number of connections") + 1;
    let options = PortOptions::default()
        .max_connections(many)
        .max_connections_per_user(many)
        .security(SecurityDescriptor::null_dacl())
        .namespace(Namespace::at(namespace));
    let port = Port::create(PORT, options, Filter).expect("a port");

    let mut other = Command::new(std::env::current_exe().expect("this program"))
        .args(["child", &count.to_string(), namespace])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the other process");
    let mut lines = BufReader::new(other.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    assert_eq!(next(), "one");
    let before = Held::now(&other);
    let made: u64 = next().parse().expect("nanoseconds");
    let after = Held::now(&other);
    assert_eq!(port.clients().len(), count);

    let each = |after: u64, before: u64| (after.saturating_sub(before)) as f64 / (count - 1) as f64;
    println!("{count} connections, {:?} to make one", Duration::from_nanos(made / (count - 1) as u64));
    println!(
        "  memory, both ends together   {:>6.1} KiB each (pages of the processes)",
        each(after.memory, before.memory)
    );
    println!("  of the kernel                {:>6.1} KiB each (slab, page tables)", each(after.kernel, before.kernel));
    println!("  descriptors, host            {:>6.2} each", each(after.ours, before.ours));
    println!("  descriptors, application     {:>6.2} each", each(after.theirs, before.theirs));
    let pids = [std::process::id(), other.id()];
    let busy = || pids.iter().map(|&pid| ticks(pid)).sum::<u64>();
    let start = busy();
    std::thread::sleep(Duration::from_secs(1));
    println!("  processor time in a second   {:>6} ms, all of them", (busy() - start) * 10);
    let _ = other.kill();
    let _ = other.wait();
}

/// What is held at a moment.
struct Held {
    /// KiB in both processes, shared pages once.
    memory: u64,
    /// KiB of the kernel's in the whole system.
    kernel: u64,
    ours: u64,
    theirs: u64,
}

impl Held {
    fn now(other: &Child) -> Self {
        let files = |pid| std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |files| files.count() as u64);
        let pss = |pid| field(&format!("/proc/{pid}/smaps_rollup"), "Pss:");
        let (ours, theirs) = (std::process::id(), other.id());
        Self {
            memory: pss(ours) + pss(theirs),
            kernel: field("/proc/meminfo", "Slab:") + field("/proc/meminfo", "PageTables:"),
            ours: files(ours),
            theirs: files(theirs),
        }
    }
}

/// A number after its name in one of the kernel's tables.
fn field(table: &str, name: &str) -> u64 {
    let table = std::fs::read_to_string(table).expect("procfs");
    let line = table.lines().find(|line| line.starts_with(name)).expect("the kernel's table");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// Processor time of a process, in ticks of 10 ms.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("procfs");
    let (_, fields) = stat.rsplit_once(") ").expect("the kernel's format");
    fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
}

fn run_child(count: usize, namespace: &str) {
    let options = Connection::options().namespace(Namespace::at(namespace));
    let connect = || options.connect(PORT, b"").expect("to connect");
    // the first makes what all share
    let mut held = vec![connect()];
    println!("one");
    let start = Instant::now();
    held.extend((1..count).map(|_| connect()));
    println!("{}", start.elapsed().as_nanos());
    loop {
        std::thread::park();
    }
}
