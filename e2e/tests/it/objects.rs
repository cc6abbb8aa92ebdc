//! Objects that block whatever closes them, sent to a host by clients that are admitted and by clients that are not: they
//! cost none but the clients that send them.

use std::time::{Duration, Instant};

use fltmgr::{Client, Connection, Port, PortOptions, Process, Response, SecurityDescriptor, Serve, Status};
use serde_json::Value;
use testkit::{Again, Role, World, is_root, program, say, skip, slack};

/// For how long the host is attacked, in seconds.
const ATTACK: u64 = 3;

struct Echo;

impl Serve for Echo {
    type Session = ();

    fn connect(&self, _: &Client, _: &[u8]) -> Result<(), Status> {
        Ok(())
    }

    fn message(&self, (): &(), _: &Process, input: &[u8], output: &mut [u8]) -> Response {
        let len = input.len().min(output.len());
        output[..len].copy_from_slice(&input[..len]);
        len.into()
    }
}

/// A host of two ports. As an old one it has a kernel whose sockets cannot refuse descriptors.
pub(crate) fn play(role: &Role) {
    if role.words == "old" {
        forget_passrights();
    }
    let create = |name, sddl: &str| {
        let security: SecurityDescriptor = sddl.parse().expect("a descriptor");
        let options = PortOptions::default().max_connections(10_000).max_handles_per_user(10_000);
        Port::create(name, options.security(security), Echo).expect("a port")
    };
    let ports = [create(r"\Closed", "D:"), create(r"\Open", "D:NO_ACCESS_CONTROL")];
    say("ready");
    let _ = testkit::order();
    let seen: u64 = ports.iter().flat_map(Port::violations).map(|(_, count)| count).sum();
    say(&format!("seen {seen}"));
    let _ = testkit::order();
    drop(ports);
    // threads that hang are not waited for
    // SAFETY: ends the process and runs nothing of it.
    unsafe { libc::_exit(0) }
}

/// Has setsockopt(SO_PASSRIGHTS) fail for this thread and those it starts, as before Linux 6.16.
fn forget_passrights() {
    const SO_PASSRIGHTS: u32 = 83;
    let code = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let (load, equal) = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K);
    let end = libc::BPF_RET | libc::BPF_K;
    let mut filter = [
        // struct seccomp_data: the call, then, from 16 on, its arguments
        code(load, 0, 0, 0),
        code(equal, 0, 3, libc::SYS_setsockopt as u32),
        code(load, 0, 0, 32),
        code(equal, 0, 1, SO_PASSRIGHTS),
        code(end, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOPROTOOPT as u32),
        code(end, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: takes numbers.
    let privileges = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the program and its instructions live through the call, which only reads them.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!((privileges, set), (0, 0), "{}", std::io::Error::last_os_error());
}

/// The slowest calls but one in a hundred, of those that a client makes for so long: it asks, and now and then connects
/// anew.
fn slowest(world: &World, time: Duration) -> Duration {
    let connect = || Connection::options().namespace(world.namespace()).connect(r"\Open", b"").expect("it is admitted");
    let (end, mut port, mut took) = (Instant::now() + time, connect(), Vec::new());
    while Instant::now() < end {
        let start = Instant::now();
        if took.len() % 16 == 15 {
            port = connect();
        }
        let mut output = [0; 5];
        assert_eq!(port.send(b"hello", &mut output).expect("it is served"), 5);
        assert_eq!(&output, b"hello");
        took.push(start.elapsed());
        std::thread::park_timeout(Duration::from_millis(1));
    }
    took.sort_unstable();
    took[took.len() - 1 - took.len() / 100]
}

fn attacked(host: &str) -> Option<Value> {
    if !is_root() {
        skip::privileged("a file system of a test's own");
        return None;
    }
    let world = World::new();
    let mut host = Again::command(&format!("objects {host}"), world.dir(), host_command(&world));
    host.says("ready");
    let before = slowest(&world, Duration::from_secs(1));
    let place = world.path("mount");
    std::fs::create_dir(&place).expect("a folder");
    let mut command = world.command(world.program("attacker"));
    command.args(["fuse", "flush"]).arg(&place).arg(world.program("attacker"));
    command.arg("objects").arg(world.namespace_dir()).arg(ATTACK.to_string()).arg(place.join("file"));
    let mut attacker = world.spawn(&mut command);
    let during = slowest(&world, Duration::from_secs(ATTACK));
    let line = attacker.says("refused");
    // what it sent is with the host for as long as it lives
    let after = slowest(&world, Duration::from_secs(1));
    println!("slowest: {before:?} before, {during:?} during, {after:?} after; {line}");
    for slowest in [during, after] {
        assert!(slowest <= before + slack(), "{slowest:?}, and {before:?} before");
    }
    host.tell("count");
    let seen: u64 = host.says("seen").parse().expect("a number");
    let mut said: Value = serde_json::from_str(line.trim()).expect("a line of JSON");
    said["seen"] = seen.into();
    host.tell("end");
    host.end();
    attacker.end();
    Some(said)
}

fn host_command(world: &World) -> std::process::Command {
    let mut command = world.command("env");
    command.arg(program());
    command
}

#[test]
fn objects_that_block_do_not_reach_a_host() {
    let Some(said) = attacked("new") else { return };
    if said["sent"] != 0 {
        return; // before Linux 6.16 they do: the next test
    }
    assert!(said["refused"].as_u64().expect("a number") > 50, "{said}");
}

#[test]
fn objects_that_block_hold_up_no_other_client_of_an_older_kernels_host() {
    let Some(said) = attacked("old") else { return };
    assert!(said["sent"].as_u64().expect("a number") > 50, "{said}");
    assert!(said["seen"].as_u64().expect("a number") > 50, "{said}");
}
