//! A host or an application that has no descriptors, threads, memory or disk left: a sentence and a status, no hang, no
//! processor time, and all is well again when there are some. More than 500 lines, because the host of each test is here too.

mod reserve;

use std::fs::File;
use std::io::BufRead as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fltmgr::filter::Manager;
use fltmgr::guard::Guard;
use fltmgr::namespace::Namespace;
use fltmgr::policy::{Rule, Rules};
use fltmgr::source::Fanotify;
use fltmgr::{
    Client, Connection, OutgoingMessage, Port, PortName, PortOptions, Response, SecurityDescriptor, Serve, Status,
    Timeout,
};
use proto::wire::{FromClient, FromHost, Hello, MAX_ANSWER_LEN};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use testkit::{Process, Role, World, in_role};

const PORT: &str = r"\Exhausted";

/// Connect callbacks that have begun in this process.
static BEGUN: AtomicUsize = AtomicUsize::new(0);
/// Those do not return for now.
static HELD: AtomicBool = AtomicBool::new(false);
/// Connects of this process that were refused for want of resources.
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// Answers each request with its input.
struct Echo(std::sync::mpsc::SyncSender<Client>);

impl Serve for Echo {
    type Session = ();

    fn connect(&self, client: &Client, _: &[u8]) -> Result<(), Status> {
        BEGUN.fetch_add(1, Ordering::SeqCst);
        while HELD.load(Ordering::SeqCst) {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        let _ = self.0.try_send(client.clone());
        Ok(())
    }

    fn message(&self, (): &(), _: &fltmgr::Process, input: &[u8], output: &mut [u8]) -> Response {
        output[..input.len()].copy_from_slice(input);
        input.len().into()
    }
}

/// What the processes of the others do. They take orders on stdin and answer on stdout.
pub(crate) fn play(role: &Role) {
    let role = match role.words.as_str() {
        "full" => return fill_the_disk(&role.dir),
        role => role,
    };
    let (clients, came) = std::sync::mpsc::sync_channel(1000);
    let options = PortOptions::default().max_connections(1000).security(SecurityDescriptor::null_dacl());
    HELD.store(role == "slow host", Ordering::SeqCst);
    let port = role.ends_with("host").then(|| Port::create(PORT, options, Echo(clients)).expect("a port"));
    let watch = || {
        let guard = Guard::new(Rules::new([Rule::deny(["**/bad"])]).expect("a pattern"));
        let files = Arc::new(Fanotify::new(["fs"]).expect("a right that was asked for before"));
        Manager::builder().filter(guard).and_then(|builder| builder.start(files)).expect("a manager")
    };
    let watching = (role == "watching host").then(watch);
    println!("ready");
    let mut fill = Vec::new();
    let mut open = Vec::new();
    let (connected, arrived) = std::sync::mpsc::sync_channel(1000);
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let (order, number) =
            line.rsplit_once(' ').filter(|(_, number)| number.parse::<usize>().is_ok()).unwrap_or((&line, "0"));
        let number: usize = number.parse().expect("a number");
        open.extend(arrived.try_iter());
        match order {
            "leave" => {
                fill_up(&mut fill, u64::MAX);
                fill.truncate(fill.len() - number);
                println!("left {number}");
            }
            "leave below the reserve" => {
                fill_up(&mut fill, below_reserve());
                fill.truncate(fill.len() - number);
                println!("left {number}");
            }
            "open" => {
                let files: Vec<_> = (0..number).map_while(|_| File::open("/dev/null").ok()).collect();
                println!("opened {}", files.len());
            }
            "free" => {
                fill.clear();
                println!("freed");
            }
            "threads" => {
                let hard = getrlimit(Resource::Nproc).maximum;
                let current = if number == 0 { hard } else { Some(number as u64) };
                setrlimit(Resource::Nproc, Rlimit { current, maximum: hard }).expect("one's own soft limit");
                println!("threads limited");
            }
            "memory" => {
                let status = std::fs::read_to_string("/proc/self/status").expect("proc");
                let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).expect("VmSize");
                let kib: u64 = size.trim().trim_end_matches(" kB").parse().expect("a number");
                let hard = getrlimit(Resource::As).maximum;
                let current = if number == 0 { hard } else { Some((kib << 10) + ((number as u64) << 20)) };
                setrlimit(Resource::As, Rlimit { current, maximum: hard }).expect("one's own soft limit");
                println!("memory limited");
            }
            "send big" => {
                let client = port.as_ref().expect("a host").clients().pop().expect("a client");
                let question =
                    OutgoingMessage { body: vec![7; number << 20], reply_len: 1, file: None, timeout: Timeout::Never };
                client.ask_then(question, |answer| println!("asked {:?}", answer.map(|answered| answered.status)));
            }
            "ask big" => {
                let client = port.as_ref().expect("a host").clients().pop().expect("a client");
                std::thread::spawn(move || {
                    let answer = client.ask(&vec![7; number << 20], &mut [0], Timeout::Never);
                    println!("asked {:?}", answer.map(|answer| answer.status));
                });
            }
            "tell big" => {
                let client = port.as_ref().expect("a host").clients().pop().expect("a client");
                std::thread::spawn(move || {
                    let told = client.send(&vec![7; number << 20], Timeout::Never);
                    println!("told {:?}", told.map_err(|error| error.status()));
                });
            }
            "connect" => match Connection::connect(PORT, b"") {
                Ok(connection) => {
                    let mut output = [0; 4];
                    let sent = connection.send(b"ping", &mut output);
                    println!("connected {sent:?} {output:?}");
                    open.push(connection);
                }
                Err(error) => println!("refused {error}"),
            },
            "send asynchronously" => {
                let sent = open.last().expect("a connection").send_async(b"ping".to_vec(), 4);
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
                let sent = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(5), sent).await });
                println!("sent {:?}", sent.map(|sent| sent.map_err(|error| error.status())));
            }
            "duplicate until it fails" => {
                let connection = open.last().expect("a connection");
                let mut handles = Vec::new();
                let end = loop {
                    match connection.duplicate() {
                        Ok(handle) => handles.push(handle),
                        Err(error) => break error,
                    }
                };
                let sent = connection.send(b"ping", &mut [0; 4]).map_err(|error| error.status());
                println!("duplicated {} {sent:?} {end}: {:?}", handles.len(), std::error::Error::source(&end));
            }
            "connect many" => {
                for _ in 0..number {
                    let connected = connected.clone();
                    std::thread::spawn(move || match Connection::connect(PORT, b"") {
                        Ok(connection) => connected.send(connection).expect("the role goes on"),
                        Err(error) if error.status() == Status::INSUFFICIENT_RESOURCES => {
                            REFUSED.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(error) => println!("refused otherwise {error}"),
                    });
                }
                println!("begun");
            }
            "refused" => println!("refused {}", REFUSED.load(Ordering::SeqCst)),
            "begun" => println!("begun {}", BEGUN.load(Ordering::SeqCst)),
            "go" => {
                HELD.store(false, Ordering::SeqCst);
                println!("gone on");
            }
            "drop" => {
                open.clear();
                println!("dropped");
            }
            "drop one" => {
                let sent = open.pop().map(Connection::close);
                println!("dropped {sent:?}");
            }
            "use" => {
                let mut output = [0; 4];
                let used = open.iter().filter(|connection| connection.send(b"ping", &mut output).is_ok()).count();
                println!("used {used}");
            }
            "duplicate" => match open.last().expect("a connection").duplicate() {
                Ok(_) => println!("duplicated"),
                Err(error) => println!("not duplicated {error}"),
            },
            "ask" => {
                let client = came.try_iter().last().expect("a client");
                let question = OutgoingMessage {
                    body: b"?".to_vec(),
                    reply_len: 1,
                    file: None,
                    timeout: Timeout::After(Duration::from_millis(1)),
                };
                client.ask_then(question, |answer| println!("asked {:?}", answer.map_err(|error| error.status())));
            }
            "send file" => {
                let client = port.as_ref().expect("a host").clients().pop().expect("a client");
                let question = OutgoingMessage {
                    body: b"?".to_vec(),
                    reply_len: 1,
                    file: Some(Arc::new(File::open("/dev/null").expect("a file").into())),
                    timeout: Timeout::Never,
                };
                client.ask_then(question, |answer| println!("asked {:?}", answer.map(|answered| answered.status)));
            }
            "receive" => {
                let received = open.last().expect("a connection").recv();
                println!("received {:?}", received.map(drop).map_err(|error| error.status()));
            }
            "cpu" => println!("cpu {}", cpu()),
            other => panic!("no such order: {other}"),
        }
    }
    drop((port, watching));
}

/// The first number of the reserve: all below are for any client.
fn below_reserve() -> u64 {
    let limit = getrlimit(Resource::Nofile).current.expect("a limit");
    limit - limit.div_euclid(4).min(256)
}

/// Opens files until none can be opened, or the next would have a number from `end` on.
fn fill_up(fill: &mut Vec<File>, end: u64) {
    fill.clear();
    // those of a connection that has just ended may be closed while this goes on
    let mut full = 0;
    while full < 3 {
        match File::open("/dev/null") {
            Ok(file) if u64::from(file.as_raw_fd().unsigned_abs()) < end => {
                fill.push(file);
                full = 0;
            }
            _ => {
                full += 1;
                std::thread::park_timeout(Duration::from_millis(3));
            }
        }
    }
}

/// The role of a host whose namespace's file system is full, then not.
fn fill_the_disk(namespace: &Path) {
    let create = || {
        let (clients, _came) = std::sync::mpsc::sync_channel(1);
        let options = PortOptions::default().namespace(Namespace::at(namespace));
        let created = Port::create(PORT, options, Echo(clients));
        println!("created {:?}", created.map(drop).map_err(|error| (error.status(), error.to_string())));
    };
    // all the bytes that there are; entries that hold none can still be made
    let full = namespace.join("full");
    let mut file = File::create(&full).expect("an entry");
    while std::io::Write::write_all(&mut file, &[7; 4096]).is_ok() {}
    create();
    drop(file);
    std::fs::remove_file(full).expect("one's own file");
    create();
}

/// Milliseconds of processor time that this process has used.
fn cpu() -> u128 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32).as_millis()
}

/// This program, where every user may run it.
fn program(world: &World) -> PathBuf {
    world.copy(testkit::program(), "role")
}

fn start<'w>(world: &'w World, role: &str, descriptors: u32) -> Process<'w> {
    start_by(world, world.command("env"), role, descriptors)
}

/// Has a command that runs another one run the role.
fn start_by<'w>(world: &'w World, mut command: Command, role: &str, descriptors: u32) -> Process<'w> {
    command.arg("prlimit").arg(format!("--nofile={descriptors}")).arg(program(world));
    let mut process = world.spawn(&mut in_role(command, &format!("exhaustion {role}"), world.dir()));
    process.says("ready");
    process
}

fn say(process: &mut Process<'_>, order: &str, answer: &str) -> String {
    process.tell(&format!("{order}\n"));
    process.says(answer)
}

/// Ends a host so that it takes its port's name along.
fn end(host: &mut Process<'_>) {
    say(host, "free", "freed");
    host.hang_up();
    assert_eq!(host.end(), 0);
}

fn number(line: &str) -> u64 {
    line.rsplit(' ').next().and_then(|word| word.parse().ok()).expect("a number at the end")
}

#[test]
fn a_host_without_descriptors_says_so_and_recovers() {
    let world = World::new();
    let mut host = start(&world, "host", 64);
    let mut client = start(&world, "client", 1024);
    assert!(say(&mut client, "connect", "ed ").contains("Ok(4)"));
    for left in 0..5 {
        say(&mut host, &format!("leave {left}"), "left");
        let said = say(&mut client, "connect", "ed ");
        let why = if left == 0 { "Too many open files" } else { "no descriptors left for clients" };
        assert!(said.contains("STATUS_INSUFFICIENT_RESOURCES") && said.contains(why), "{left} left: {said}");
    }
    say(&mut host, "free", "freed");
    assert!(say(&mut client, "connect", "ed ").contains("Ok(4)"));
    say(&mut client, "drop", "dropped");
    end(&mut host);
}

/// The kernel carries so many descriptors between processes for one user, of those that have not been taken out yet: a
/// client that leaves its connection's memory where it is takes of that.
#[test]
fn a_host_that_may_send_no_more_descriptors_says_so_and_recovers() {
    let world = World::ordinary();
    let mut host = start(&world, "host", 100);
    let (namespace, name) = (world.namespace(), PortName::parse(PORT).expect("a name"));
    let connect = || {
        let socket = namespace.find(&name).expect("a host");
        let hello = Hello::new(name.clone(), b"").expect("no context");
        socket.send(&FromClient::Hello(hello).encode(), &[]).expect("a host");
        socket.wait_readable(Some(Instant::now() + testkit::LONG)).expect("an answer");
        let mut packet = [0; MAX_ANSWER_LEN];
        let answer = socket.peek(&mut packet).expect("an answer").len;
        match FromHost::parse(&packet[..answer]) {
            Ok(FromHost::Welcome { .. }) => Ok(socket),
            Ok(FromHost::Refused(refused)) => Err((refused.status(), refused.sentence().to_owned())),
            other => panic!("{other:?}"),
        }
    };
    let mut open = Vec::new();
    let (status, why) = loop {
        match connect() {
            Ok(socket) => open.push(socket),
            Err(refused) => break refused,
        }
    };
    assert!(status == Status::INSUFFICIENT_RESOURCES && why.contains("Too many references"), "{status:?} {why}");
    assert!(open.len() > 40, "{}", open.len());
    open.pop();
    testkit::until(|| connect().ok());
    drop(open);
    end(&mut host);
}

#[test]
fn an_application_without_descriptors_says_so_and_recovers() {
    let world = World::new();
    let mut host = start(&world, "host", 1024);
    let mut client = start(&world, "client", 64);
    for left in 0..7 {
        say(&mut client, &format!("leave {left}"), "left");
        let said = say(&mut client, "connect", "ed ");
        let refused =
            ["STATUS_INSUFFICIENT_RESOURCES", "STATUS_TOO_MANY_OPENED_FILES"].iter().any(|name| said.contains(name));
        assert!(refused || (left >= 3 && said.contains("Ok(4)")), "{left} left: {said}");
        say(&mut client, "drop", "dropped");
    }
    say(&mut client, "free", "freed");
    assert!(say(&mut client, "connect", "ed ").contains("Ok(4)"));
    say(&mut client, "drop", "dropped");
    end(&mut host);
}

#[test]
fn a_host_that_may_make_no_threads_serves_with_those_it_has() {
    let world = World::ordinary();
    let mut host = start(&world, "host", 1024);
    let mut client = start(&world, "client", 1024);
    say(&mut host, "threads 1", "limited");
    for _ in 0..3 {
        let said = say(&mut client, "connect", "ed ");
        assert!(said.contains("Ok(4)"), "{said}");
    }
    let said = say(&mut host, "ask", "asked");
    assert!(said.contains("INSUFFICIENT_RESOURCES"), "{said}");
    say(&mut host, "threads 0", "limited");
    assert!(say(&mut client, "connect", "ed ").contains("Ok(4)"));
    let said = say(&mut host, "ask", "asked");
    assert!(said.contains("TIMEOUT"), "{said}");
    say(&mut client, "drop", "dropped");
    end(&mut host);
}

#[test]
fn an_application_that_may_make_no_threads_says_so_of_asynchronous_calls() {
    let world = World::ordinary();
    let mut host = start(&world, "host", 1024);
    let mut client = start(&world, "client", 1024);
    assert!(say(&mut client, "connect", "ed ").contains("Ok(4)"));
    say(&mut client, "threads 1", "limited");
    let said = say(&mut client, "send asynchronously", "sent");
    assert!(said.contains("Ok(Err(STATUS_INSUFFICIENT_RESOURCES))"), "{said}");
    say(&mut client, "threads 0", "limited");
    let said = say(&mut client, "send asynchronously", "sent");
    assert!(said.contains("Ok(Ok("), "{said}");
    say(&mut client, "drop", "dropped");
    end(&mut host);
}

/// The memory lies in each handle until it is opened, and a user may not have more descriptors on their way than one of
/// its processes may have open.
#[test]
fn handles_beyond_what_the_system_carries_are_a_want_of_resources_and_no_end() {
    let world = World::ordinary();
    let mut host = start(&world, "host", 1024);
    let mut client = start(&world, "client", 100);
    assert!(say(&mut client, "connect", "ed ").contains("Ok(4)"));
    let said = say(&mut client, "duplicate until it fails", "duplicated");
    assert!(said.contains("Ok(4)") && said.contains("STATUS_INSUFFICIENT_RESOURCES"), "{said}");
    assert!(said.contains("Too many references"), "the limit of the user's handles came first: {said}");
    say(&mut client, "drop", "dropped");
    end(&mut host);
}

#[test]
fn a_host_whose_queue_cannot_be_emptied_uses_no_processor() {
    let world = World::new();
    let mut host = start(&world, "host", 64);
    say(&mut host, "leave 0", "left");
    let before = number(&say(&mut host, "cpu", "cpu"));
    // each of these must be turned away, and none leave the host spinning
    let mut client = start(&world, "client", 1024);
    for _ in 0..20 {
        assert!(say(&mut client, "connect", "ed ").contains("INSUFFICIENT_RESOURCES"));
    }
    std::thread::park_timeout(Duration::from_millis(300));
    let used = number(&say(&mut host, "cpu", "cpu")) - before;
    assert!(used < 150, "{used} ms of processor time");
    end(&mut host);
}

#[test]
fn a_message_whose_file_cannot_be_taken_is_answered_with_the_reason() {
    let world = World::new();
    let mut host = start(&world, "host", 64);
    let mut client = start(&world, "client", 64);
    assert!(say(&mut client, "connect", "connected").contains("Ok(4)"));
    say(&mut client, "leave 0", "left 0");
    host.tell("send file\n");
    let received = say(&mut client, "receive", "received");
    assert!(received.contains("STATUS_INSUFFICIENT_RESOURCES"), "{received}");
    let asked = host.says("asked");
    assert!(asked.contains("Ok(STATUS_INSUFFICIENT_RESOURCES)"), "{asked}");
    say(&mut client, "free", "freed");
    host.tell("send file\n");
    // dropped unanswered, which answers it
    assert!(say(&mut client, "receive", "received").contains("Ok"));
    assert!(host.says("asked").contains("Ok(STATUS_CANCELLED)"));
    client.hang_up();
    assert_eq!(client.end(), 0);
    end(&mut host);
}

#[test]
fn an_application_without_memory_cannot_connect_and_recovers() {
    let world = World::new();
    let mut host = start(&world, "host", 1024);
    let mut client = start(&world, "client", 1024);
    assert!(say(&mut client, "connect", "connected").contains("Ok(4)"));
    // a connection is two regions of 4 MiB each: not even one fits, or one does
    for room in [3, 6] {
        say(&mut client, &format!("memory {room}"), "limited");
        let said = say(&mut client, "connect", "ed ");
        assert!(said.contains("STATUS_INSUFFICIENT_RESOURCES"), "{said}");
    }
    say(&mut client, "memory 0", "limited");
    assert!(say(&mut client, "connect", "ed ").contains("Ok(4)"));
    say(&mut client, "drop", "dropped");
    end(&mut host);
}

#[test]
fn a_host_without_memory_refuses_connections_and_recovers() {
    let world = World::new();
    let mut host = start(&world, "host", 1024);
    let mut client = start(&world, "client", 1024);
    assert!(say(&mut client, "connect", "connected").contains("Ok(4)"));
    for room in [3, 6, 3] {
        say(&mut host, &format!("memory {room}"), "limited");
        let said = say(&mut client, "connect", "ed ");
        assert!(said.contains("STATUS_INSUFFICIENT_RESOURCES"), "{said}");
    }
    say(&mut host, "memory 0", "limited");
    assert!(say(&mut client, "connect", "ed ").contains("Ok(4)"));
    say(&mut client, "drop", "dropped");
    end(&mut host);
}

#[test]
fn a_port_in_a_full_file_system_is_refused_with_the_reason() {
    if !testkit::is_root() {
        return testkit::skip::privileged("mounting a small file system needs root");
    }
    let world = World::new();
    let namespace = world.dir().join("small");
    std::fs::create_dir(&namespace).expect("a mount point");
    let script = "mount -t tmpfs -o size=64k,mode=700 small \"$1\" || exit 99; shift; exec \"$@\"";
    let mut command = world.command("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(&namespace).arg(program(&world));
    let ended = testkit::finish(&mut in_role(command, "exhaustion full", &namespace));
    if ended.code == Some(99) {
        return testkit::skip::privileged(format_args!("no mount here: {}", ended.err));
    }
    let mut created = ended.out.lines().filter(|line| line.contains("created"));
    let full = created.next().unwrap_or_else(|| panic!("{ended:?}"));
    assert!(full.contains("Err((STATUS_"), "{full}");
    println!("{full}");
    assert!(created.next().is_some_and(|line| line.contains("Ok(())")), "{ended:?}");
}

#[test]
fn an_application_without_memory_refuses_what_it_cannot_hold() {
    let world = World::new();
    let mut host = start(&world, "host", 1024);
    let mut client = start(&world, "client", 1024);
    assert!(say(&mut client, "connect", "connected").contains("Ok(4)"));
    for (order, said, refused, received) in [
        ("send big 64\n", "asked", "Ok(STATUS_INSUFFICIENT_RESOURCES)", "Ok(STATUS_CANCELLED)"),
        ("ask big 64\n", "asked", "Ok(STATUS_INSUFFICIENT_RESOURCES)", "Ok(STATUS_CANCELLED)"),
        ("tell big 64\n", "told", "Err(STATUS_INSUFFICIENT_RESOURCES)", "Ok(())"),
    ] {
        say(&mut client, "memory 8", "limited");
        host.tell(order);
        let refusal = say(&mut client, "receive", "received");
        assert!(refusal.contains("STATUS_INSUFFICIENT_RESOURCES"), "{refusal}");
        // though the receive is not used for another message
        let answer = host.says(said);
        assert!(answer.contains(refused), "{answer}");
        say(&mut client, "memory 0", "limited");
        host.tell(order);
        assert!(say(&mut client, "receive", "received").contains("Ok"));
        let answer = host.says(said);
        assert!(answer.contains(received), "{answer}");
    }
    assert!(say(&mut client, "connect", "ed ").contains("Ok(4)"));
    client.hang_up();
    assert_eq!(client.end(), 0);
    end(&mut host);
}
