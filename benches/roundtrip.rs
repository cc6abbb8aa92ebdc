//! What a message costs, against the least that shared memory, a futex and a socket cost: two processes, one run.
//!
//! `cargo bench -p fltport --bench roundtrip` runs all cases in turn, several rounds of them, and prints medians and the
//! ratios within each round; `-- hot` runs one of `blocking`, `hot`, `outstanding`. A message has 64 bytes, its reply
//! 16; every reply is checked.
//!
//! * `spin`: two processes bounce one word of shared memory, both spinning.
//! * `futex`: the same, sleeping on the word.
//! * `socket`: 64 bytes and 16 bytes over a SEQPACKET socket pair.
//! * `port`: filter, application, filter, through a port.
//!
//! Hot means two processors and ends that work without a pause; blocking means both ends bound to one processor.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fltport::namespace::Namespace;
use fltport::{Client, Connection, Port, PortOptions, SecurityDescriptor, Serve, Status, Timeout};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use sys::futex;
use sys::memory::Memory;
use sys::socket::Socket;

const PORT: &str = r"\RoundTripPort";
const MESSAGE: usize = 64;
const REPLY: usize = 16;
const ROUNDS: usize = 7;
/// Trips that are timed together where one takes less than a few looks at the clock.
const BATCH: u32 = 10;
const OUTSTANDING: usize = 8;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, child, case, cpu, namespace] = &arguments[..]
        && child == "child"
    {
        return run_child(case, cpu.parse().expect("a processor"), namespace);
    }
    let all = sched_getaffinity(None).expect("the processors");
    let namespace = tempfile::tempdir().expect("a directory");
    let namespace = namespace.path().to_str().expect("a path");
    println!("{} processors; medians of {ROUNDS} rounds (lowest to highest), ratios within a round", all.count());

    // cargo adds `--bench`; a case's name limits the run to it
    let wanted = |case: &str| arguments[1..].iter().all(|argument| argument.starts_with('-') || argument == case);
    if wanted("blocking") {
        blocking(namespace);
    }
    if all.count() < 2 {
        println!("SKIP hot, outstanding: one processor");
        return;
    }
    if wanted("hot") {
        hot(namespace);
    }
    if wanted("outstanding") {
        outstanding(namespace);
    }
}

fn blocking(namespace: &str) {
    println!("\nblocking, both on one processor, p50 of a round trip");
    let mut table = Table::default();
    for _ in 0..ROUNDS {
        let futex = trips(&mut Bounce::start("futex", 0, 0, namespace), 4_000, 1);
        let socket = trips(&mut Sockets::start(0, 0, namespace), 4_000, 1);
        let port = trips(&mut Ports::start(0, 0, namespace), 4_000, 1);
        table.row(&[("futex", futex), ("socket", socket), ("port", port)]);
    }
    table.print("ns", &["futex", "socket"]);
}

fn hot(namespace: &str) {
    println!("\nhot, two processors, p50 of a round trip (each the mean of {BATCH})");
    let mut table = Table::default();
    for _ in 0..ROUNDS {
        let spin = trips(&mut Bounce::start("spin", 0, 1, namespace), 300_000, BATCH);
        let port = trips(&mut Ports::start(0, 1, namespace), 300_000, BATCH);
        table.row(&[("spin", spin), ("port", port)]);
    }
    table.print("ns", &["spin"]);
}

fn outstanding(namespace: &str) {
    println!("\n{OUTSTANDING} outstanding on one connection, two processors, messages per second");
    let mut table = Table::default();
    for _ in 0..ROUNDS {
        let socket = Sockets::start(0, 1, namespace).pipelined(100_000);
        let port = Ports::start(0, 1, namespace).pipelined(1_000_000);
        table.row(&[("socket", socket), ("port", port)]);
    }
    table.print("/s", &["socket"]);
}

/// One case: something that makes round trips.
trait Trip {
    fn trip(&mut self);
}

/// The p50 of a round trip in nanoseconds.
fn trips(case: &mut impl Trip, count: u32, batch: u32) -> f64 {
    for _ in 0..count / 10 {
        case.trip();
    }
    let mut times: Vec<Duration> = (0..count / batch)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..batch {
                case.trip();
            }
            start.elapsed() / batch
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2].as_nanos() as f64
}

/// One row per round.
#[derive(Default)]
struct Table(Vec<Vec<(&'static str, f64)>>);

impl Table {
    fn row(&mut self, row: &[(&'static str, f64)]) {
        self.0.push(row.to_vec());
    }

    fn print(&self, unit: &str, others: &[&str]) {
        for (name, _) in &self.0[0] {
            let (median, low, high) = spread(self.column(name));
            println!("  {name:<16}{median:>12.0} {unit}   ({low:.0} to {high:.0})");
        }
        for other in others {
            let ratios = self.column("port").zip(self.column(other)).map(|(port, other)| port / other);
            let (median, low, high) = spread(ratios);
            println!("  {:<16}{median:>12.2}      ({low:.2} to {high:.2})", format!("port / {other}"));
        }
    }

    fn column(&self, name: &str) -> impl Iterator<Item = f64> {
        self.0.iter().flat_map(move |row| row.iter().filter(move |(known, _)| *known == name).map(|(_, value)| *value))
    }
}

/// Median, lowest and highest.
fn spread(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

/// Binds this thread to a processor.
fn bind(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).expect("a processor to run on");
}

/// Lets this thread, and processes that it starts, run anywhere again.
fn unbind() {
    let mut set = CpuSet::new();
    for cpu in 0..CpuSet::MAX_CPU {
        set.set(cpu);
    }
    sched_setaffinity(None, &set).expect("processors to run on");
}

/// The other process; killed at the end.
struct Other(Child);

impl Other {
    /// Starts it and waits until it is ready. Its standard input is `stdin`, for the cases that need a socket.
    fn start(case: &str, cpu: usize, namespace: &str, stdin: Stdio) -> Self {
        unbind();
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["child", case, &cpu.to_string(), namespace])
            .stdin(stdin)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the other process");
        let mut stdout: BufReader<ChildStdout> = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the other process speaks");
        assert_eq!(line, "ready\n", "the other process failed");
        Self(child)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Bounces a number between two words.
struct Bounce {
    memory: Memory,
    turn: u32,
    sleeps: bool,
    _other: Other,
}

impl Bounce {
    fn start(case: &str, cpu: usize, other: usize, namespace: &str) -> Self {
        let (ours, theirs) = Socket::pair().expect("a socket pair");
        let (memory, [host, shared]) = Memory::create().expect("memory");
        ours.send(b"memory", &[host.as_fd(), shared.as_fd()]).expect("to send");
        let other = Other::start(case, other, namespace, OwnedFd::from(theirs).into());
        bind(cpu);
        Self { memory, turn: 0, sleeps: case == "futex", _other: other }
    }

    fn words(memory: &Memory) -> (&AtomicU32, &AtomicU32) {
        (&memory.shared().slots[0].word, &memory.shared().slots[1].word)
    }
}

/// Says `turn` on a word.
fn say(word: &AtomicU32, turn: u32, sleeps: bool) {
    word.store(turn, Ordering::Release);
    if sleeps {
        futex::wake(word, 1, futex::ANY);
    }
}

/// Waits until a word says `turn`.
fn hear(word: &AtomicU32, turn: u32, sleeps: bool) {
    loop {
        let now = word.load(Ordering::Acquire);
        if now == turn {
            return;
        }
        if sleeps {
            futex::wait(word, now, futex::ANY, None).expect("to sleep");
        } else {
            std::hint::spin_loop();
        }
    }
}

impl Trip for Bounce {
    fn trip(&mut self) {
        let (there, back) = Self::words(&self.memory);
        self.turn += 1;
        say(there, self.turn, self.sleeps);
        hear(back, self.turn, self.sleeps);
    }
}

struct Sockets {
    socket: Socket,
    number: u64,
    _other: Other,
}

impl Sockets {
    fn start(cpu: usize, other: usize, namespace: &str) -> Self {
        let (ours, theirs) = Socket::pair().expect("a socket pair");
        let other = Other::start("socket", other, namespace, OwnedFd::from(theirs).into());
        bind(cpu);
        Self { socket: ours, number: 0, _other: other }
    }

    fn ask(&mut self) {
        self.number += 1;
        self.socket.send(&message(self.number), &[]).expect("to send");
    }

    fn hear(&self, number: u64) {
        let mut reply = [0; REPLY];
        self.socket.recv(&mut reply).expect("to receive");
        assert_eq!(reply[..8], number.to_le_bytes());
    }

    fn pipelined(mut self, count: u64) -> f64 {
        let start = Instant::now();
        for number in 1..=count {
            self.ask();
            if number >= OUTSTANDING as u64 {
                self.hear(number - OUTSTANDING as u64 + 1);
            }
        }
        count as f64 / start.elapsed().as_secs_f64()
    }
}

impl Trip for Sockets {
    fn trip(&mut self) {
        self.ask();
        self.hear(self.number);
    }
}

struct Filter(std::sync::mpsc::SyncSender<Client>);

impl Serve for Filter {
    type Session = ();

    fn connect(&self, client: &Client, _: &[u8]) -> Result<(), Status> {
        self.0.send(client.clone()).map_err(|_| Status::PORT_DISCONNECTED)
    }
}

struct Ports {
    client: Client,
    number: u64,
    _port: Port,
    _other: Other,
}

impl Ports {
    fn start(cpu: usize, other: usize, namespace: &str) -> Self {
        unbind();
        let (sender, clients) = std::sync::mpsc::sync_channel(1);
        let options =
            PortOptions::default().security(SecurityDescriptor::null_dacl()).namespace(Namespace::at(namespace));
        let port = Port::create(PORT, options, Filter(sender)).expect("a port");
        let other = Other::start("port", other, namespace, Stdio::null());
        bind(cpu);
        let client = clients.recv().expect("a client");
        Self { client, number: 0, _port: port, _other: other }
    }

    fn pipelined(mut self, count: u64) -> f64 {
        let mut in_flight = VecDeque::with_capacity(OUTSTANDING);
        let mut reply = [0; REPLY];
        let start = Instant::now();
        for _ in 0..count {
            self.number += 1;
            let pending = self.client.start(&message(self.number), REPLY, Timeout::Never).expect("to send");
            in_flight.push_back((self.number, pending));
            if in_flight.len() == OUTSTANDING
                && let Some((number, pending)) = in_flight.pop_front()
            {
                pending.wait(&mut reply).expect("a reply");
                assert_eq!(reply[..8], number.to_le_bytes());
            }
        }
        count as f64 / start.elapsed().as_secs_f64()
    }
}

impl Trip for Ports {
    fn trip(&mut self) {
        self.number += 1;
        let mut reply = [0; REPLY];
        self.client.ask(&message(self.number), &mut reply, Timeout::Never).expect("a reply");
        assert_eq!(reply[..8], self.number.to_le_bytes());
    }
}

fn message(number: u64) -> [u8; MESSAGE] {
    let mut message = [0x5a; MESSAGE];
    message[..8].copy_from_slice(&number.to_le_bytes());
    message
}

/// What comes back for a message.
fn reply(message: &[u8]) -> [u8; REPLY] {
    let mut reply = [0xa5; REPLY];
    reply[..8].copy_from_slice(&message[..8]);
    reply
}

fn run_child(case: &str, cpu: usize, namespace: &str) {
    let stdin = || Socket::from(std::io::stdin().as_fd().try_clone_to_owned().expect("a socket"));
    match case {
        "spin" | "futex" => {
            bind(cpu);
            let mut packet = [0; 16];
            let received = stdin().recv(&mut packet).expect("memory");
            let memory = Memory::open(received.files[0].as_fd(), received.files[1].as_fd()).expect("memory");
            let (there, back) = Bounce::words(&memory);
            println!("ready");
            for turn in 1.. {
                hear(there, turn, case == "futex");
                say(back, turn, case == "futex");
            }
        }
        "socket" => {
            bind(cpu);
            let socket = stdin();
            println!("ready");
            let mut packet = [0; MESSAGE];
            while socket.recv(&mut packet).is_ok_and(|received| received.len == MESSAGE) {
                if socket.send(&reply(&packet), &[]).is_err() {
                    return;
                }
            }
        }
        _ => {
            let options = Connection::options().namespace(Namespace::at(namespace));
            let connection = options.connect(PORT, b"").expect("to connect");
            bind(cpu);
            let mut receiver = connection.receiver(2 * OUTSTANDING).expect("to post receives");
            println!("ready");
            while let Ok(message) = receiver.recv() {
                let reply = reply(message.body());
                if message.reply(Status::SUCCESS, &reply).is_err() {
                    return;
                }
            }
        }
    }
}
