//! What connections cost: making one, and keeping many that do nothing.
//!
//! `cargo bench -p fltport --bench connections` opens 10,000 connections (`-- 500` opens 500) from as many other processes
//! as the limit of descriptors asks for, and prints the time to make one, the memory and the descriptors that one takes
//! at both ends together, and the processor time that all of them use in a second of silence.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use fltport::namespace::Namespace;
use fltport::{Client, Connection, Port, PortOptions, SecurityDescriptor, Serve, Status};
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
    let wanted: usize = arguments.iter().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(10_000);
    let limit = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| limit as usize);
    // one descriptor each here, and the reserve that a host leaves
    let count = wanted.min(limit.saturating_sub(400));
    if count < wanted {
        println!("{count} connections instead of {wanted}: more need a higher `ulimit -n`");
    }
    // three each in an application
    let processes = count.div_ceil(limit.saturating_sub(200) / 3);
    let directory = tempfile::tempdir().expect("a directory");
    let namespace = directory.path().to_str().expect("a path");
    let many = u32::try_from(count).expect("a number of connections") + 1;
    let options = PortOptions::default()
        .max_connections(many)
        .max_connections_per_user(many)
        .security(SecurityDescriptor::null_dacl())
        .namespace(Namespace::at(namespace));
    let port = Port::create(PORT, options, Filter).expect("a port");

    let share = |index: usize| count * (index + 1) / processes - count * index / processes;
    let mut others: Vec<Other> = (0..processes).map(|index| Other::start(share(index), namespace)).collect();
    let before = Held::now(&others);
    let made: Duration = others.iter_mut().map(Other::connect).sum();
    let after = Held::now(&others);
    assert_eq!(port.clients().len(), count);

    // each process has one before
    let new = count - processes;
    let each = |after: u64, before: u64| (after.saturating_sub(before)) as f64 / new as f64;
    println!("{count} connections, {:?} to make one; applications: {processes}", made / new as u32);
    println!(
        "  memory, both ends together   {:>6.1} KiB each (pages of the processes)",
        each(after.memory, before.memory)
    );
    println!("  of the kernel                {:>6.1} KiB each (slab, page tables)", each(after.kernel, before.kernel));
    println!("  descriptors, host            {:>6.2} each", each(after.ours, before.ours));
    println!("  descriptors, application     {:>6.2} each", each(after.theirs, before.theirs));
    let busy = || pids(&others).map(ticks).sum::<u64>();
    let start = busy();
    std::thread::sleep(Duration::from_secs(1));
    println!("  processor time in a second   {:>6} ms, all of them", (busy() - start) * 10);
}

/// An application.
struct Other {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Other {
    /// Starts it; it has its first connection, which makes what all share.
    fn start(count: usize, namespace: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["child", &count.to_string(), namespace])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the other process");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut other = Self { child, lines };
        assert_eq!(other.next(), "one");
        other
    }

    fn next(&mut self) -> String {
        self.lines.next().expect("a line").expect("text")
    }

    /// Has it make the others; how long that takes.
    fn connect(&mut self) -> Duration {
        writeln!(self.child.stdin.as_mut().expect("a pipe"), "go on").expect("the other process");
        Duration::from_nanos(self.next().parse().expect("nanoseconds"))
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This process and the others.
fn pids(others: &[Other]) -> impl Iterator<Item = u32> {
    std::iter::once(std::process::id()).chain(others.iter().map(|other| other.child.id()))
}

/// What is held at a moment.
struct Held {
    /// KiB in all processes, shared pages once.
    memory: u64,
    /// KiB of the kernel's in the whole system.
    kernel: u64,
    ours: u64,
    theirs: u64,
}

impl Held {
    fn now(others: &[Other]) -> Self {
        let files = |pid| std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |files| files.count() as u64);
        Self {
            memory: pids(others).map(|pid| field(&format!("/proc/{pid}/smaps_rollup"), "Pss:")).sum(),
            kernel: field("/proc/meminfo", "Slab:") + field("/proc/meminfo", "PageTables:"),
            ours: files(std::process::id()),
            theirs: pids(others).skip(1).map(files).sum(),
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
    std::io::stdin().read_line(&mut String::new()).expect("a pipe");
    let start = Instant::now();
    held.extend((1..count).map(|_| connect()));
    println!("{}", start.elapsed().as_nanos());
    loop {
        std::thread::park();
    }
}
