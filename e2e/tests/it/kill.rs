//! Life and death: each end is killed, stopped or ends, in whatever it is doing, and the other end's waits end as they
//! should.
//!
//! The other process is this test program again ([`play`]). `states` has every state of either end; here is
//! what needs many rounds, measures, or forks. More than 500 lines, because the two ends of each test are both here.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use fltmgr::namespace::Namespace;
use fltmgr::{
    Client, Connection, OutgoingMessage, Port, PortName, PortOptions, Process, Response, SecurityDescriptor, Serve,
    Status, Timeout, Usage,
};
use testkit::{Again, Role, Watchdog, apart, say, slack, watchdog};

/// Long enough that only a hang gets there.
const LONG: Duration = Duration::from_secs(20);
/// How long a test may take.
const PATIENCE: Duration = Duration::from_secs(100);
const NAME: &str = r"\Mortal";

/// A filter that says which clients come and go, and answers requests, some of them after a while.
struct Filter {
    came: SyncSender<Client>,
    went: SyncSender<()>,
}

impl Serve for Filter {
    type Session = ();

    fn connect(&self, client: &Client, _: &[u8]) -> Result<(), Status> {
        self.came.send(client.clone()).unwrap();
        Ok(())
    }

    fn message(&self, (): &(), _: &Process, input: &[u8], output: &mut [u8]) -> Response {
        if input == b"stay" {
            thread::park_timeout(Duration::from_millis(20));
        }
        output.len().into()
    }

    fn disconnect(&self, (): ()) {
        let _ = self.went.send(());
    }
}

struct Host {
    dir: tempfile::TempDir,
    _port: Port,
    came: Receiver<Client>,
    went: Receiver<()>,
    _watchdog: Watchdog,
}

fn create(dir: &Path, filter: impl Serve) -> Port {
    let options = PortOptions::default().max_connections(100).security(SecurityDescriptor::null_dacl());
    Port::create(NAME, options.namespace(Namespace::at(dir)), filter).unwrap()
}

impl Host {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (came, on_came) = sync_channel(100_000);
        let (went, on_went) = sync_channel(100_000);
        let port = create(dir.path(), Filter { came, went });
        Self { dir, _port: port, came: on_came, went: on_went, _watchdog: watchdog(PATIENCE) }
    }

    fn accepted(&self) -> Client {
        self.came.recv_timeout(LONG).expect("no client connected")
    }

    fn ended(&self) {
        self.went.recv_timeout(LONG).expect("no client disconnected");
    }
}

fn connect(dir: &Path) -> Result<Connection, fltmgr::Error> {
    Connection::options().namespace(Namespace::at(dir)).connect(NAME, b"")
}

/// Forks a child that keeps open whatever this process has.
fn fork_who_keeps_all() {
    // SAFETY: the child only sets a timer and waits.
    if unsafe { libc::fork() } == 0 {
        // SAFETY: ends this process by a signal, so that no failure leaves it behind.
        unsafe { libc::alarm(10) };
        loop {
            // SAFETY: waits for a signal.
            unsafe { libc::pause() };
        }
    }
}

/// A host whose own process is its client; forks another host, connects there, and has another child keep its sockets.
fn fork_a_host(dir: &Path) {
    let below = dir.join("below");
    std::fs::create_dir(&below).unwrap();
    let filter = || {
        let ((came, on_came), (went, on_went)) = (sync_channel(10), sync_channel(10));
        (Filter { came, went }, on_came, on_went)
    };
    let (ours, on_came, _on_went) = filter();
    let _port = create(dir, ours);
    let _here = connect(dir).unwrap();
    on_came.recv().unwrap();
    let (mut ready, mut tell) = std::io::pipe().unwrap();
    // SAFETY: as for `in_a_fork`: the child serves a port, and leaves by _exit.
    if unsafe { libc::fork() } == 0 {
        // SAFETY: sets a timer of this process, so that no failure leaves it behind.
        unsafe { libc::alarm(20) };
        let (theirs, on_came, on_went) = filter();
        let _port = create(&below, theirs);
        tell.write_all(b"!").unwrap();
        let _client = on_came.recv().unwrap();
        on_went.recv().unwrap();
        say("gone");
        // SAFETY: ends this process at once, running nothing of the parent's.
        unsafe { libc::_exit(0) };
    }
    ready.read_exact(&mut [0]).unwrap();
    let _there = connect(&below).unwrap();
    fork_who_keeps_all();
    say("ready");
    let _ = testkit::order();
}

/// What the other process does.
pub(crate) fn play(role: &Role) {
    let (role, dir) = (role.words.as_str(), role.dir.as_path());
    if role == "host" {
        let (came, on_came) = sync_channel(100_000);
        let (went, _on_went) = sync_channel(100_000);
        let _port = create(dir, Filter { came, went });
        say("ready");
        let client = on_came.recv().unwrap();
        // delivers what the other end posts, and waits for a reply that it does not give
        let _ = client.ask(b"hold this", &mut [0; 4], Timeout::Never);
        let _ = testkit::order();
        return;
    }
    if role == "forking" {
        return fork_a_host(dir);
    }
    if role == "connecting" {
        thread::scope(|scope| {
            // the filter does not answer
            scope.spawn(|| connect(dir));
            let _ = testkit::order();
            fork_who_keeps_all();
            say("ready");
            let _ = testkit::order();
        });
        return;
    }
    let port = connect(dir).unwrap();
    match role {
        "receiving" => {
            let mut receiver = port.receiver(3).unwrap();
            say("ready");
            let _ = receiver.recv();
        }
        "holding" => {
            let _message = port.recv().unwrap();
            say("ready");
            let _ = testkit::order();
        }
        "forked" => {
            fork_who_keeps_all();
            say("ready");
        }
        "busy" => {
            say("ready");
            thread::scope(|scope| {
                scope.spawn(|| while port.send(&[1; 300], &mut [0; 300]).is_ok() {});
                while let Ok(message) = port.recv() {
                    let body = message.body().to_vec();
                    let _ = message.reply(Status::SUCCESS, &body);
                }
            });
        }
        other => panic!("no role {other}"),
    }
    // stays until the test ends
    let _ = testkit::order();
}

fn print_times(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("{what}: p50 {p50:?}, p99 {p99:?} of {}", times.len());
    assert!(times[times.len() - 1] < Duration::from_secs(1), "{times:?}");
}

fn disconnected(result: Result<impl std::fmt::Debug, fltmgr::Error>) {
    assert_eq!(result.unwrap_err().status(), Status::PORT_DISCONNECTED);
}

#[test]
fn the_sender_wakes_soon_after_the_kill() {
    let host = Host::new();
    let times = (0..200).map(|_| {
        let mut app = Again::start("kill holding", host.dir.path());
        let client = host.accepted();
        thread::scope(|scope| {
            let asking = scope.spawn(|| {
                disconnected(client.ask(b"?", &mut [0; 4], Timeout::Never));
                Instant::now()
            });
            app.says("ready");
            let killed = Instant::now();
            app.kill();
            asking.join().unwrap().duration_since(killed)
        })
    });
    print_times("application killed, filter wakes", times.collect());
}

#[test]
fn a_stopped_application_costs_the_timeout_and_goes_on_afterwards() {
    let host = Host::new();
    let mut app = Again::start("kill receiving", host.dir.path());
    let client = host.accepted();
    app.says("ready");
    app.stop();
    let start = Instant::now();
    let error = client.ask(b"?", &mut [0; 4], Timeout::After(Duration::from_millis(30))).unwrap_err();
    assert_eq!(error.status(), Status::TIMEOUT);
    assert!(start.elapsed() < Duration::from_millis(30) + slack());
    assert!(client.is_connected());
    app.go_on();
    app.kill();
    host.ended();
}

#[test]
fn a_host_that_is_killed_ends_every_wait_and_its_name_is_free_at_once() {
    let _watchdog = watchdog(PATIENCE);
    let dir = tempfile::tempdir().unwrap();
    let mut times = Vec::new();
    for _ in 0..30 {
        let mut host = Again::start("kill host", dir.path());
        host.says("ready");
        let port = connect(dir.path()).unwrap();
        let held = port.recv().unwrap();
        thread::scope(|scope| {
            let receiving = scope.spawn(|| {
                disconnected(port.recv());
                Instant::now()
            });
            let sending = scope.spawn(|| while port.send(b"stay", &mut []).is_ok() {});
            let killed = Instant::now();
            host.kill();
            times.push(receiving.join().unwrap().duration_since(killed));
            sending.join().unwrap();
        });
        assert_eq!(held.reply(Status::SUCCESS, b"").unwrap_err().status(), Status::FLT_NO_WAITER_FOR_REPLY);
        disconnected(port.send(b"x", &mut []));
        port.close();
    }
    print_times("host killed, application wakes", times);
}

/// Kills at random moments, 0 to 3 ms after the connect, while both ends work.
#[test]
fn a_kill_at_any_moment_leaves_the_filter_whole() {
    let host = Host::new();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..500 {
        let mut app = Again::start("kill busy", host.dir.path());
        let client = host.accepted();
        thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let mut reply = [0; 300];
                loop {
                    match client.ask(&[7; 300], &mut reply, Timeout::After(LONG)) {
                        Ok(answer) => assert_eq!((answer.len, reply), (300, [7; 300])),
                        Err(error) => return error.status(),
                    }
                }
            });
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let moment = Instant::now() + Duration::from_micros(seed % 3000);
            while Instant::now() < moment {
                std::hint::spin_loop();
            }
            app.kill();
            assert_eq!(asking.join().unwrap(), Status::PORT_DISCONNECTED);
        });
        host.ended();
    }
    // and it still serves
    let port = connect(host.dir.path()).unwrap();
    assert_eq!(port.send(b"x", &mut [0; 5]).unwrap(), 5);
}

/// Open files, threads, resident kilobytes.
fn usage() -> (usize, usize, usize) {
    let count = |dir| std::fs::read_dir(dir).unwrap().count();
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = status.split_whitespace().nth(1).unwrap().parse().unwrap();
    (count("/proc/self/fd"), count("/proc/self/task"), pages * 4)
}

/// In a process of its own, so that no other test's files and threads are counted.
#[test]
fn connecting_over_and_over_leaves_nothing() {
    apart(|| {
        let host = Host::new();
        let rounds = if std::env::var_os("FLTMGR_DEEP").is_some() { 100_000 } else { 20_000 };
        let round = || {
            connect(host.dir.path()).unwrap().close();
            drop(host.accepted());
            host.ended();
        };
        (0..1000).for_each(|_| round());
        let (files, threads, before) = usage();
        (0..rounds).for_each(|_| round());
        // the last connection's descriptors close a moment after its disconnect callback, and threads that a moment of much
        // else had the pool make stay for some seconds
        let until = Instant::now() + LONG;
        let (files_after, threads_after, after) = loop {
            let now = usage();
            if (now.0 <= files + 1 && now.1 <= threads + 2) || Instant::now() > until {
                break now;
            }
            thread::park_timeout(Duration::from_millis(5));
        };
        println!("{rounds} connections: {before} to {after} kB, {threads} to {threads_after} threads");
        assert!(files_after <= files + 1, "{files} to {files_after} files");
        assert!(threads_after <= threads + 2, "{threads} to {threads_after} threads");
        // less than 100 bytes each
        assert!(after.saturating_sub(before) < rounds / 10 + 1024, "{before} to {after} kB");
    });
}

/// Ticks of processor time that a process has used.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn an_idle_connection_uses_no_processor() {
    let _watchdog = watchdog(PATIENCE);
    let dir = tempfile::tempdir().unwrap();
    let mut host = Again::start("kill host", dir.path());
    host.says("ready");
    let mut app = Again::start("kill holding", dir.path());
    app.says("ready");
    // both wait now: the filter for a reply, the application for a word
    let settled = |pid| {
        let mut last = ticks(pid);
        // the first moments are the start of the programs
        for _ in 0..20 {
            thread::park_timeout(Duration::from_millis(30));
            let now = ticks(pid);
            if now == last {
                return now;
            }
            last = now;
        }
        last
    };
    let before = [settled(host.pid()), settled(app.pid())];
    let until = Instant::now() + Duration::from_millis(300);
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
    let after = [ticks(host.pid()), ticks(app.pid())];
    for (before, after) in before.into_iter().zip(after) {
        assert!(after - before <= 1, "{before} to {after} ticks in 300 ms");
    }
}

#[test]
fn the_end_of_the_process_counts_where_a_forked_child_keeps_the_socket() {
    let host = Host::new();
    let mut app = Again::start("kill forked", host.dir.path());
    let client = host.accepted();
    app.says("ready");
    thread::scope(|scope| {
        let asking = scope.spawn(|| disconnected(client.ask(b"?", &mut [0; 4], Timeout::Never)));
        app.kill();
        // reaped: the child lives on and holds the socket for ten seconds
        let start = Instant::now();
        asking.join().unwrap();
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    });
    host.ended();
}

/// As long as the connect callback runs, too.
#[test]
fn the_end_of_a_process_that_connects_counts_where_a_forked_child_keeps_the_socket() {
    struct Asks(SyncSender<bool>);
    impl Serve for Asks {
        type Session = ();
        fn connect(&self, client: &Client, _: &[u8]) -> Result<(), Status> {
            self.0.send(false).unwrap();
            disconnected(client.ask(b"?", &mut [0; 4], Timeout::Never));
            self.0.send(true).unwrap();
            Ok(())
        }
    }
    let _watchdog = watchdog(PATIENCE);
    let dir = tempfile::tempdir().unwrap();
    let (tell, told) = sync_channel(10);
    let port = create(dir.path(), Asks(tell));
    let mut app = Again::start("kill connecting", dir.path());
    assert_eq!(told.recv_timeout(LONG), Ok(false));
    app.tell("fork");
    app.says("ready");
    let start = Instant::now();
    app.kill();
    assert_eq!(told.recv_timeout(LONG), Ok(true));
    // the child holds the socket for ten seconds
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    port.unload();
}

/// It has known the process since before it was forked, by a watch that is its parent's.
#[test]
fn a_host_that_was_forked_sees_the_end_of_a_process_that_its_parent_knew() {
    let _watchdog = watchdog(PATIENCE);
    let dir = tempfile::tempdir().unwrap();
    let mut parent = Again::start("kill forking", dir.path());
    parent.says("ready");
    let start = Instant::now();
    parent.kill();
    parent.says("gone");
    // the other child holds the socket for ten seconds
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// Runs `child` in a fork; whether it was content.
fn in_a_fork(child: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child looks at memory, allocates, and makes threads, all of which the C library's fork allows, and
    // leaves by _exit.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        // SAFETY: sets a timer of this process, so that no failure leaves it behind.
        unsafe { libc::alarm(20) };
        let content = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(false);
        // SAFETY: ends this process at once, running nothing of the parent's.
        unsafe { libc::_exit(i32::from(!content)) };
    }
    let mut status = 0;
    // SAFETY: `status` outlives the call, and the process is our child.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
}

fn refused<T>(result: Result<T, fltmgr::Error>) -> bool {
    result.is_err_and(|error| error.status() == Status::INVALID_HANDLE)
}

#[test]
fn a_forks_handle_is_refused_and_harms_nothing() {
    apart(|| {
        let host = Host::new();
        let mut port = Some(connect(host.dir.path()).unwrap());
        let client = host.accepted();
        // taken by the child, out of its own copy
        let ports = &mut port;
        assert!(in_a_fork(|| {
            let port = ports.take().unwrap();
            let all = refused(port.recv())
                && refused(port.send(b"x", &mut []))
                && refused(port.reply(1, Status::SUCCESS, b""));
            port.close();
            all
        }));
        assert!(client.is_connected());
        let port = port.unwrap();
        assert_eq!(port.send(b"x", &mut [0; 3]).unwrap(), 3);
        port.close();
        host.ended();
    });
}

/// Of the filter, too, whatever its threads hold at that moment.
#[test]
fn a_forks_client_is_refused_and_harms_nothing() {
    apart(|| {
        let host = Host::new();
        let port = connect(host.dir.path()).unwrap();
        let client = host.accepted();
        let mut receiver = port.receiver(1).unwrap();
        let mut pending = Some(client.start(b"?", 4, Timeout::Never).unwrap());
        receiver.recv().unwrap().reply(Status::SUCCESS, b"yes").unwrap();
        let pendings = &mut pending;
        assert!(in_a_fork(|| refused(pendings.take().unwrap().wait(&mut [0; 4]))));
        let mut reply = [0; 4];
        assert_eq!(pending.unwrap().wait(&mut reply).unwrap().len, 3);
        let over = AtomicBool::new(false);
        let question = || OutgoingMessage { body: vec![1; 60_000], reply_len: 0, file: None, timeout: Timeout::Poll };
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    client.ask_then(question(), drop);
                }
            });
            let forked = (0..200).all(|_| {
                in_a_fork(|| {
                    let (tell, told) = sync_channel(1);
                    client.ask_then(question(), move |answer| tell.send(refused(answer)).unwrap());
                    told.try_recv() == Ok(true)
                })
            });
            over.store(true, Ordering::Relaxed);
            assert!(forked);
        });
        assert!(client.is_connected());
    });
}

/// It is the parent's: its name, its connections and its filter, whatever the parent's threads hold at that moment.
#[test]
fn a_fork_that_drops_a_port_leaves_all_of_it_to_the_parent() {
    apart(|| {
        struct Mine(Arc<AtomicBool>);
        impl Serve for Mine {
            type Session = ();
            fn connect(&self, _: &Client, _: &[u8]) -> Result<(), Status> {
                Ok(())
            }
            fn message(&self, (): &(), _: &Process, _: &[u8], output: &mut [u8]) -> Response {
                output.len().into()
            }
        }
        impl Drop for Mine {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _watchdog = watchdog(PATIENCE);
        let dir = tempfile::tempdir().unwrap();
        let namespace = Namespace::at(dir.path());
        let dropped = Arc::new(AtomicBool::new(false));
        let port = create(dir.path(), Mine(Arc::clone(&dropped)));
        // SAFETY: called once in each child only, whose copy is used no more: it leaves by _exit.
        let drop_it = || drop(unsafe { std::ptr::read(&raw const port) });
        assert!(in_a_fork(|| {
            drop_it();
            !dropped.load(Ordering::Relaxed)
        }));
        let connection = connect(dir.path()).unwrap();
        let (over, name) = (AtomicBool::new(false), PortName::parse(NAME).unwrap());
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        // a host whose machine has much else to do may not answer in time
                        if let Err(error) = namespace.info(&name) {
                            assert_eq!(error.status(), Status::IO_TIMEOUT, "{error}");
                        }
                    }
                });
            }
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(port.clients().len(), 1);
                }
            });
            let forked = (0..200).all(|_| {
                in_a_fork(|| {
                    let none =
                        port.clients().is_empty() && port.usage(0) == Usage::default() && port.violations().is_empty();
                    drop_it();
                    none
                })
            });
            over.store(true, Ordering::Relaxed);
            assert!(forked);
        });
        assert_eq!(connection.send(b"x", &mut [0; 3]).unwrap(), 3);
        connect(dir.path()).unwrap();
    });
}

/// What all ports and connections of a process share is the child's own, whatever its parent's threads hold of theirs.
#[test]
fn a_fork_of_a_host_at_work_has_ports_and_connections_of_its_own() {
    apart(|| {
        let host = Host::new();
        let below = tempfile::tempdir().unwrap();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        connect(host.dir.path()).unwrap().close();
                    }
                });
            }
            let forked = (0..200).all(|_| {
                // each holds the memory of its connection, of which a process can map some 30,000
                host.came.try_iter().for_each(drop);
                host.went.try_iter().for_each(drop);
                in_a_fork(|| {
                    let ((came, _on_came), (went, on_went)) = (sync_channel(1), sync_channel(1));
                    let _port = create(below.path(), Filter { came, went });
                    let port = connect(below.path()).unwrap();
                    let sent = port.send(b"x", &mut [0; 3]).unwrap() == 3;
                    port.close();
                    sent && on_went.recv_timeout(LONG).is_ok()
                })
            });
            over.store(true, Ordering::Relaxed);
            assert!(forked);
        });
    });
}

/// The C library gives the place of a thread that a fork did not take along to the next thread that the child makes.
#[test]
fn a_fork_that_drops_completions_leaves_its_own_threads_alone() {
    apart(|| {
        let host = Host::new();
        let port = connect(host.dir.path()).unwrap();
        let mut pollable = Some(port.completions().pollable().unwrap());
        assert!(in_a_fork(|| {
            let barrier = std::sync::Barrier::new(33);
            let joined = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                thread::scope(|scope| {
                    let threads: Vec<_> = (0..32).map(|_| scope.spawn(|| _ = barrier.wait())).collect();
                    drop(pollable.take());
                    barrier.wait();
                    threads.into_iter().for_each(|thread| thread.join().unwrap());
                });
            }));
            joined.is_ok()
        }));
        drop(pollable);
        port.close();
    });
}
