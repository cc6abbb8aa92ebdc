//! What one user may hold of a port: one below each limit, at it, and one above, while another user is served as ever.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::{LONG, PORT, World, watchdog};
use fltmgr::namespace::Namespace;
use fltmgr::{Answer, Connection, PortName, PortOptions, Status, Usage};

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A port that others can reach. Requests that begin with `w` wait until they are let go; others are echoed.
fn world(options: impl FnOnce(PortOptions) -> PortOptions) -> (World, SyncSender<()>) {
    watchdog();
    let (go, gone): (_, Receiver<()>) = sync_channel(8);
    let gone = Mutex::new(gone);
    let echo = move |_: &_, input: &[u8], output: &mut [u8]| {
        if input.starts_with(b"w") {
            gone.lock().unwrap().recv_timeout(LONG).unwrap();
        }
        let len = input.len().min(output.len());
        output[..len].copy_from_slice(&input[..len]);
        Answer::from(len)
    };
    let world = World::with(|filter| filter.on_message = Box::new(echo), options);
    std::fs::set_permissions(world.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    (world, go)
}

fn usage(world: &World) -> Usage {
    world.port.as_ref().unwrap().usage(me())
}

fn eventually(world: &World, expected: Usage) {
    let start = Instant::now();
    while usage(world) != expected {
        assert!(start.elapsed() < LONG, "{:?} is not {expected:?}", usage(world));
        thread::park_timeout(Duration::from_micros(100));
    }
}

/// Not a test of its own: another user's process, which connects and is answered.
#[test]
fn other_user() {
    let Ok(dir) = std::env::var("FLTMGR_QUOTA_DIR") else { return };
    let port = Connection::options().namespace(Namespace::at(PathBuf::from(dir))).connect(PORT, b"").unwrap();
    let mut output = [0; 1000];
    assert_eq!(port.send(&[7; 1000], &mut output).unwrap(), 1000);
    assert_eq!(output, [7; 1000]);
}

/// That another user is served, whatever this one holds.
fn another_is_served(world: &World) {
    if me() != 0 {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("\nSKIP privileged: only root can become another user\n"),
        );
        return;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "other_user", "--nocapture"]).env("FLTMGR_QUOTA_DIR", world.dir.path());
    let output = command.uid(65_534).gid(65_534).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn connections_of_one_user() {
    let (world, _go) = world(|options| options.max_connections_per_user(3));
    let mut held: Vec<_> = (0..2).map(|_| world.connect()).collect();
    another_is_served(&world);
    held.push(world.connect());
    assert_eq!(usage(&world), Usage { connections: 3, ..Usage::default() });
    let error = world.connect_with(b"").unwrap_err();
    assert_eq!(error.status(), Status::INSUFFICIENT_RESOURCES);
    assert!(error.to_string().contains("has 3 connections, and may have 3"), "{error}");
    another_is_served(&world);
    assert_eq!(usage(&world), Usage { connections: 3, ..Usage::default() }, "the refused one was not counted");
    held.pop().unwrap().close();
    held.push(world.connect());
    assert_eq!(world.connect_with(b"").unwrap_err().status(), Status::INSUFFICIENT_RESOURCES);
    held.into_iter().for_each(Connection::close);
    assert_eq!(usage(&world), Usage::default());
}

#[test]
fn the_ports_own_limit_is_another() {
    let (world, _go) = world(|options| options.max_connections(2).max_connections_per_user(3));
    let held = [world.connect(), world.connect()];
    assert_eq!(world.connect_with(b"").unwrap_err().status(), Status::CONNECTION_COUNT_LIMIT);
    held.into_iter().for_each(Connection::close);
    assert_eq!(usage(&world), Usage::default());
}

#[test]
fn a_connection_that_the_filter_refuses_is_not_held() {
    watchdog();
    let refuse = |filter: &mut common::Filter| filter.on_connect = Box::new(|_, _| Err(Status::REVISION_MISMATCH));
    let world = World::with(refuse, |options| options.max_connections_per_user(1));
    for _ in 0..5 {
        assert_eq!(world.connect_with(b"").unwrap_err().status(), Status::REVISION_MISMATCH);
    }
    // the client has its answer a moment before the filter's side has put everything away
    eventually(&world, Usage::default());
}

#[test]
fn sixty_four_connections_unless_the_port_says_otherwise() {
    let (world, _go) = world(|options| options);
    let held: Vec<_> = (0..64).map(|_| world.connect()).collect();
    let error = world.connect_with(b"").unwrap_err();
    assert!(error.to_string().contains("has 64 connections, and may have 64"), "{error}");
    drop(held);
    eventually(&world, Usage::default());
}

#[test]
fn bytes_of_one_users_requests() {
    const LIMIT: usize = 1 << 20;
    let (world, go) = world(|options| options.max_request_bytes_per_user(LIMIT));
    let port = Arc::new(world.connect());
    let held = |bytes: usize| Usage { connections: 1, request_bytes: bytes as u64, ..Usage::default() };
    // the input's bytes and the output's count alike
    let waits = |input: usize, output: usize| {
        let port = Arc::clone(&port);
        thread::spawn(move || port.send(&vec![b'w'; input], &mut vec![0; output]).map_err(|error| error.status()))
    };
    let first = waits(LIMIT / 4, LIMIT - LIMIT / 4 - 1);
    eventually(&world, held(LIMIT - 1));
    let second = waits(1, 0);
    eventually(&world, held(LIMIT));
    let error = port.send(b"x", &mut []).unwrap_err();
    assert_eq!(error.status(), Status::INSUFFICIENT_RESOURCES);
    assert!(error.to_string().contains("max_request_bytes_per_user"), "{error}");
    assert_eq!(port.send(&[b'x'; 200_000], &mut []).unwrap_err().status(), Status::INSUFFICIENT_RESOURCES);
    another_is_served(&world);
    assert_eq!(usage(&world), held(LIMIT));
    go.send(()).unwrap();
    go.send(()).unwrap();
    assert_eq!(first.join().unwrap(), Ok(LIMIT / 4));
    assert_eq!(second.join().unwrap(), Ok(0));
    // one request alone, just as large as it may be, again and again: nothing of the last is held when it is answered
    for _ in 0..20 {
        assert_eq!(usage(&world), held(0));
        assert_eq!(port.send(&[b'x'; LIMIT / 2], &mut vec![0; LIMIT / 2]).unwrap(), LIMIT / 2);
    }
    let error = port.send(&[b'x'; LIMIT / 2 + 1], &mut vec![0; LIMIT / 2]).unwrap_err();
    assert_eq!(error.status(), Status::INSUFFICIENT_RESOURCES);
    Arc::into_inner(port).unwrap().close();
    assert_eq!(usage(&world), Usage::default());
}

#[test]
fn clients_of_one_user_that_say_nothing() {
    let (world, _go) = world(|options| options.max_half_open_per_user(2));
    let name = PortName::parse(PORT).unwrap();
    let silent = || world.namespace().find(&name).unwrap();
    // they are turned away after a second, so a slow machine may need several tries
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < LONG, "never two at a time");
        let one = silent();
        let two = silent();
        let full = Usage { half_open: 2, ..Usage::default() };
        if usage(&world) != full {
            continue;
        }
        let turned_away = silent();
        assert_eq!(turned_away.recv(&mut [0; 8]).unwrap().len, 0, "the end");
        another_is_served(&world);
        let unchanged = usage(&world) == full;
        drop((one, two));
        eventually(&world, Usage::default());
        if unchanged {
            break;
        }
    }
    world.connect().close();
    assert_eq!(usage(&world), Usage::default());
}
