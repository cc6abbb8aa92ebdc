//! Handles of one connection in several processes: duplicated, given away, inherited; closed, killed, forked.
//!
//! The other processes are this test program, told to run [`worker`], which does what it reads from a socket, line by line.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{LONG, World, watchdog};
use fltmgr::namespace::Namespace;
use fltmgr::{Answer, Client, Connection, Message, Question, Receiver, Status, Timeout};

const LINE: &str = "FLTMGR_TEST_LINE";

/// Another process.
struct Worker {
    /// `None`: it was started by another one.
    child: Option<Child>,
    line: BufReader<UnixStream>,
}

fn listen(dir: &Path, name: &str) -> UnixListener {
    UnixListener::bind(dir.join(name)).unwrap()
}

fn start(line: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "worker", "--ignored", "--nocapture"]).env(LINE, line);
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

impl Worker {
    fn start(world: &World, name: &str) -> Self {
        watchdog();
        let listener = listen(world.dir.path(), name);
        let child = start(&world.dir.path().join(name));
        let mut worker = Self::on(&listener);
        worker.child = Some(child);
        worker
    }

    /// One that another process has started.
    fn on(listener: &UnixListener) -> Self {
        let (line, _) = listener.accept().unwrap();
        line.set_read_timeout(Some(LONG)).unwrap();
        Self { child: None, line: BufReader::new(line) }
    }

    fn say(&mut self, words: &str) {
        writeln!(self.line.get_mut(), "{words}").unwrap();
    }

    fn hear(&mut self) -> String {
        let mut heard = String::new();
        self.line.read_line(&mut heard).expect("the worker says nothing");
        assert!(heard.ends_with('\n'), "the worker is gone: {heard}");
        heard.trim_end().to_owned()
    }

    /// Has it do something; what it answers.
    fn does(&mut self, words: &str) -> String {
        self.say(words);
        self.hear()
    }

    /// One with a handle to `port`.
    fn with_handle(world: &World, name: &str, port: &Connection) -> Self {
        let mut worker = Self::start(world, name);
        worker.say("take");
        port.give(worker.line.get_ref()).unwrap();
        assert_eq!(worker.hear(), "ok");
        worker
    }

    fn kill(&mut self) {
        let child = self.child.as_mut().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
#[ignore = "the other process of the tests here"]
fn worker() {
    let Some(line) = std::env::var_os(LINE) else { panic!("only the other tests start this") };
    watchdog();
    let line = UnixStream::connect(PathBuf::from(line)).unwrap();
    // byte by byte: a handle may come behind a line
    let mut hand = Hand { line, port: None, messages: Vec::new(), posted: None, child: None };
    while let Some(words) = hand.hear() {
        let answer = hand.does(&words).unwrap_or_else(|status| format!("error {status:?}"));
        writeln!(hand.line, "{answer}").unwrap();
    }
}

/// What a worker has.
struct Hand {
    line: UnixStream,
    port: Option<Connection>,
    messages: Vec<Message>,
    posted: Option<Receiver>,
    child: Option<Child>,
}

impl Hand {
    fn hear(&mut self) -> Option<String> {
        let mut words = Vec::new();
        loop {
            let mut byte = [0];
            match std::io::Read::read(&mut self.line, &mut byte) {
                Ok(1) if byte[0] == b'\n' => return Some(String::from_utf8(words).unwrap()),
                Ok(1) => words.push(byte[0]),
                _ => return None,
            }
        }
    }

    fn port(&self) -> &Connection {
        self.port.as_ref().expect("connected")
    }

    fn does(&mut self, words: &str) -> Result<String, Status> {
        let (what, with) = words.split_once(' ').unwrap_or((words, ""));
        let ok = || "ok".to_owned();
        Ok(match what {
            "take" => {
                self.port = Some(Connection::take(&self.line).map_err(|error| error.status())?);
                ok()
            }
            "inherited" => {
                let number = with.parse().unwrap();
                self.port = Some(Connection::inherited(number).map_err(|error| error.status())?);
                ok()
            }
            "connect" => {
                let options = Connection::options().namespace(Namespace::at(with)).inheritable(true);
                self.port = Some(options.connect(common::PORT, b"").map_err(|error| error.status())?);
                self.port().inheritable().unwrap().to_string()
            }
            "start" => {
                self.child = Some(start(Path::new(with)));
                ok()
            }
            "receive" => {
                let message = self.port().recv().map_err(|error| error.status())?;
                let file = if message.file().is_some() { " with a file" } else { "" };
                let told = format!("{} {}{file}", message.id(), String::from_utf8_lossy(message.body()));
                self.messages.push(message);
                told
            }
            "keep" => {
                // what was received is left unanswered, for others
                self.messages.drain(..).map(Message::detach).for_each(drop);
                ok()
            }
            "reply" => {
                let (id, payload) = with.split_once(' ').unwrap();
                let replied = self.port().reply(id.parse().unwrap(), Status::SUCCESS, payload.as_bytes());
                replied.map(|()| ok()).map_err(|error| error.status())?
            }
            "post" => {
                let depth = with.parse().unwrap();
                self.posted = Some(self.port().receiver(depth).map_err(|error| error.status())?);
                ok()
            }
            "send" => {
                let mut output = [0; 64];
                let len = self.port().send(with.as_bytes(), &mut output).map_err(|error| error.status())?;
                String::from_utf8_lossy(&output[..len]).into_owned()
            }
            "send-for" => {
                let mut output = vec![0; with.parse().unwrap()];
                self.port().send(b"?", &mut output).map_err(|error| error.status())?.to_string()
            }
            "serve" => {
                writeln!(self.line, "ok").unwrap();
                serve(self.port(), &AtomicBool::new(false));
                ok()
            }
            "cancel" => self.port().cancel_receives().to_string(),
            "connected" => self.port().is_connected().to_string(),
            "close" => {
                // each of these keeps the connection
                self.posted = None;
                self.messages.clear();
                self.port.take().unwrap().close();
                ok()
            }
            "descriptors" => std::fs::read_dir("/proc/self/fd").unwrap().count().to_string(),
            other => panic!("{other}?"),
        })
    }
}

/// Answers questions by sending them back.
fn serve(port: &Connection, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match port.recv_timeout(Duration::from_millis(10)) {
            Ok(Some(message)) => {
                let body = message.body().to_vec();
                // the filter may have given up
                let _ = message.reply(Status::SUCCESS, &body);
            }
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

fn ask(filter: &Client, question: &[u8]) -> Result<Vec<u8>, Status> {
    let mut reply = vec![0; question.len().max(64)];
    let reply_len = filter.ask(question, &mut reply, Timeout::After(LONG)).map_err(|error| error.status())?.len;
    reply.truncate(reply_len);
    Ok(reply)
}

/// Waits until the host has seen that handles are gone.
fn until_handles_are(world: &World, handles: u64) {
    let deadline = Instant::now() + LONG;
    let uid = rustix::process::getuid().as_raw();
    let port = world.port.as_ref().unwrap();
    while port.usage(uid).handles != handles {
        assert!(Instant::now() < deadline, "{:?}", port.usage(uid));
        thread::park_timeout(Duration::from_micros(100));
    }
}

fn inheritable(world: &World) -> Connection {
    Connection::options().namespace(world.namespace()).inheritable(true).connect(common::PORT, b"").unwrap()
}

fn echo() -> World {
    let echo = |_: &Client, input: &[u8], output: &mut [u8]| {
        output[..input.len()].copy_from_slice(input);
        Answer::from(input.len())
    };
    World::with(|filter| filter.on_message = Box::new(echo), |options| options)
}

#[test]
fn row_035_a_killed_process_takes_its_receives_along_and_leaves_the_connection() {
    let mut world = echo();
    let (port, filter) = world.pair();
    world.next();
    let mut worker = Worker::with_handle(&world, "worker", &port);
    assert_eq!(worker.does("post 5"), "ok");
    filter.send(b"seen", Timeout::Poll).unwrap();
    worker.kill();
    until_handles_are(&world, 0);
    assert_eq!(filter.send(b"unseen", Timeout::Poll).unwrap_err().status(), Status::TIMEOUT);
    world.nothing_more();
    thread::scope(|scope| {
        scope.spawn(|| filter.send(b"goes on", Timeout::After(LONG)).unwrap());
        assert_eq!(port.recv().unwrap().body(), b"goes on");
    });
    port.close();
    world.ended();
    world.unload();
}

#[test]
fn row_036_a_handle_that_a_child_inherited_outlives_its_parent() {
    let world = echo();
    let later = listen(world.dir.path(), "child");
    let mut parent = Worker::start(&world, "parent");
    let number = parent.does(&format!("connect {}", world.dir.path().display()));
    let filter = world.accepted();
    parent.does(&format!("start {}", world.dir.path().join("child").display()));
    let mut child = Worker::on(&later);
    assert_eq!(child.does(&format!("inherited {number}")), "ok");
    parent.kill();
    until_handles_are(&world, 1);
    assert_eq!(child.does("send still here"), "still here");
    child.say("receive");
    filter.send(b"to the child", Timeout::After(LONG)).unwrap();
    assert_eq!(child.hear(), "0 to the child");
    world.nothing_more();
    assert_eq!(child.does("close"), "ok");
    world.ended();
}

#[test]
fn a_child_that_has_not_opened_what_it_inherited_keeps_the_connection() {
    let world = echo();
    let port = inheritable(&world);
    world.next();
    let number = port.inheritable().unwrap();
    let mut child = Worker::start(&world, "child");
    // the connection goes on, so there is nothing to wait for
    port.close();
    world.nothing_more();
    assert_eq!(child.does(&format!("inherited {number}")), "ok");
    assert_eq!(child.does("send still here"), "still here");
    child.kill();
    world.ended();
}

#[test]
fn closing_the_last_inheritable_handle_returns_after_the_disconnect_callback() {
    let called = std::sync::Arc::new(AtomicBool::new(false));
    let seen = std::sync::Arc::clone(&called);
    let on_disconnect = move |_: &Client| {
        thread::park_timeout(Duration::from_millis(20));
        seen.store(true, Ordering::SeqCst);
    };
    let world = World::with(|filter| filter.on_disconnect = Box::new(on_disconnect), |options| options);
    inheritable(&world).close();
    assert!(called.load(Ordering::SeqCst));
}

#[test]
fn another_process_may_reply() {
    let world = World::new();
    let (port, filter) = world.pair();
    let mut worker = Worker::with_handle(&world, "worker", &port);
    thread::scope(|scope| {
        // received there, answered here
        let asked = scope.spawn(|| ask(&filter, b"who?").unwrap());
        assert_eq!(worker.does("receive"), "1 who?");
        assert_eq!(worker.does("keep"), "ok");
        port.reply(1, Status::SUCCESS, b"me").unwrap();
        assert_eq!(asked.join().unwrap(), b"me");
        // and the other way round
        let asked = scope.spawn(|| ask(&filter, b"and who?").unwrap());
        let id = port.recv().unwrap().detach();
        assert_eq!(worker.does(&format!("reply {id} I")), "ok");
        assert_eq!(asked.join().unwrap(), b"I");
        assert_eq!(worker.does(&format!("reply {id} again")), "error STATUS_FLT_NO_WAITER_FOR_REPLY");
    });
}

#[test]
fn a_message_that_a_killed_process_had_received_can_be_answered_by_another() {
    let world = World::new();
    let (port, filter) = world.pair();
    let mut worker = Worker::with_handle(&world, "worker", &port);
    thread::scope(|scope| {
        let asked = scope.spawn(|| ask(&filter, b"?").unwrap());
        assert_eq!(worker.does("receive"), "1 ?");
        worker.kill();
        until_handles_are(&world, 0);
        port.reply(1, Status::SUCCESS, b"!").unwrap();
        assert_eq!(asked.join().unwrap(), b"!");
    });
}

#[test]
fn a_process_that_is_killed_while_it_reads_a_long_answer_harms_no_other() {
    let (called, on_called) = std::sync::mpsc::sync_channel(8);
    let answer = move |_: &Client, _: &[u8], output: &mut [u8]| {
        output.fill(7);
        let _ = called.send(());
        Answer::from(output.len())
    };
    let world = World::with(|filter| filter.on_message = Box::new(answer), |options| options);
    let (port, filter) = world.pair();
    for name in ["first", "second", "third"] {
        let mut worker = Worker::with_handle(&world, name, &port);
        worker.say("send-for 60000000");
        on_called.recv_timeout(LONG).unwrap();
        worker.kill();
        // the host has done with its request
        until_handles_are(&world, 0);
        let (deadline, uid) = (Instant::now() + LONG, rustix::process::getuid().as_raw());
        while world.port.as_ref().unwrap().usage(uid).requests != 0 {
            assert!(Instant::now() < deadline);
            thread::park_timeout(Duration::from_micros(100));
        }
        assert!(filter.is_connected());
        assert_eq!(port.send(b"?", &mut [0; 100_000]).unwrap(), 100_000);
        on_called.recv_timeout(LONG).unwrap();
    }
}

#[test]
fn nothing_of_a_connection_is_inherited_unless_asked_for() {
    let world = World::new();
    let without = Worker::start(&world, "before").does("descriptors");
    let port = world.connect();
    let handle = port.duplicate().unwrap();
    assert_eq!(port.inheritable(), None);
    let mut child = Worker::start(&world, "child");
    assert_eq!(child.does("descriptors"), without);
    for number in [-1, 0, 2, 900] {
        assert_eq!(child.does(&format!("inherited {number}")), "error STATUS_INVALID_HANDLE", "{number}");
    }
    drop(handle);
    let port = inheritable(&world);
    let number = port.inheritable().unwrap();
    assert_eq!(Connection::inherited(number).unwrap_err().status(), Status::INVALID_HANDLE, "it is this process's");
}

#[test]
fn something_else_is_no_handle() {
    let world = World::new();
    let pipe = std::io::pipe().unwrap();
    let pair = UnixStream::pair().unwrap();
    for other in [OwnedFd::from(pipe.0), OwnedFd::from(pair.0), std::fs::File::open("/dev/null").unwrap().into()] {
        assert_eq!(Connection::from_handle(other).unwrap_err().status(), Status::INVALID_PARAMETER);
    }
    let (port, _) = world.pair();
    let handle = port.duplicate().unwrap();
    port.disconnect();
    world.next();
    // the handle alone keeps it
    world.nothing_more();
    drop(handle);
    world.ended();
    let handle = world.connect().duplicate();
    world.next();
    let port = Connection::from_handle(handle.unwrap()).unwrap();
    assert!(port.is_connected());
}

#[test]
fn a_handle_of_an_ended_connection_says_so() {
    let mut world = World::new();
    let (port, _) = world.pair();
    let handle = port.duplicate().unwrap();
    world.unload();
    assert_eq!(Connection::from_handle(handle).unwrap_err().status(), Status::PORT_DISCONNECTED);
    assert_eq!(port.duplicate().unwrap_err().status(), Status::PORT_DISCONNECTED);
}

#[test]
fn a_handle_that_is_opened_as_the_connection_ends_sees_the_end() {
    let world = World::with(|_| {}, |options| options.max_connections(2));
    for round in 0..900 {
        let (port, filter) = world.pair();
        let handle = port.duplicate().unwrap();
        let opened = thread::scope(|scope| {
            let opening = scope.spawn(|| Connection::from_handle(handle));
            let start = Instant::now();
            while start.elapsed() < Duration::from_micros(round % 300) {
                std::hint::spin_loop();
            }
            filter.close();
            opening.join().unwrap()
        });
        if let Ok(opened) = opened {
            let deadline = Instant::now() + LONG;
            while opened.is_connected() {
                assert!(Instant::now() < deadline, "round {round}: it does not see the end");
                thread::park_timeout(Duration::from_micros(100));
            }
            opened.close();
        }
        port.close();
    }
}

#[test]
fn fifteen_processes_use_a_connection_and_a_place_that_becomes_free_is_given_again() {
    let world = World::new();
    let (port, filter) = world.pair();
    let mut others: Vec<_> = (1..15).map(|_| Connection::from_handle(port.duplicate().unwrap()).unwrap()).collect();
    let refused = Connection::from_handle(port.duplicate().unwrap()).unwrap_err();
    assert_eq!(refused.status(), Status::INSUFFICIENT_RESOURCES);
    assert!(refused.to_string().contains("15 processes"), "{refused}");
    others.swap_remove(3).close();
    until_handles_are(&world, 13);
    let again = Connection::from_handle(port.duplicate().unwrap()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| filter.send(b"x", Timeout::After(LONG)).unwrap());
        assert_eq!(again.recv().unwrap().body(), b"x");
    });
}

#[test]
fn handles_of_one_user_at_the_limit() {
    let world = World::with(|_| {}, |options| options.max_handles_per_user(3));
    let port = world.connect();
    let handles: Vec<_> = (0..3).map(|_| port.duplicate().unwrap()).collect();
    let refused = port.duplicate().unwrap_err();
    assert_eq!(refused.status(), Status::INSUFFICIENT_RESOURCES);
    assert!(refused.to_string().contains("may have 3"), "{refused}");
    drop(handles);
    until_handles_are(&world, 0);
    port.duplicate().unwrap();
}

#[test]
fn unloading_ends_the_connection_for_every_process() {
    let mut world = echo();
    let port = world.connect();
    let mut workers: Vec<_> = ["one", "two"].iter().map(|name| Worker::with_handle(&world, name, &port)).collect();
    for worker in &mut workers {
        worker.say("receive");
    }
    world.unload();
    for worker in &mut workers {
        assert_eq!(worker.hear(), "error STATUS_PORT_DISCONNECTED");
        assert_eq!(worker.does("send x"), "error STATUS_PORT_DISCONNECTED");
    }
    assert_eq!(port.recv().unwrap_err().status(), Status::PORT_DISCONNECTED);
}

#[test]
fn disconnecting_one_process_leaves_the_receives_of_another() {
    let world = echo();
    let (port, filter) = world.pair();
    world.next();
    let mut worker = Worker::with_handle(&world, "worker", &port);
    worker.say("receive");
    thread::scope(|scope| {
        let blocked = scope.spawn(|| port.recv().unwrap_err().status());
        // returns at once: there is another handle
        port.disconnect();
        assert_eq!(blocked.join().unwrap(), Status::PORT_DISCONNECTED);
    });
    assert_eq!(port.send(b"x", &mut []).unwrap_err().status(), Status::PORT_DISCONNECTED);
    world.nothing_more();
    filter.send(b"y", Timeout::After(LONG)).unwrap();
    assert_eq!(worker.hear(), "0 y");
    assert_eq!(worker.does("send z"), "z");
    drop(port);
    world.nothing_more();
    assert_eq!(worker.does("close"), "ok");
    world.ended();
}

#[test]
fn cancelling_takes_back_the_receives_of_its_own_process() {
    let world = World::new();
    let (port, filter) = world.pair();
    let mut worker = Worker::with_handle(&world, "worker", &port);
    let _here = port.receiver(3).unwrap();
    assert_eq!(worker.does("post 5"), "ok");
    assert_eq!(worker.does("cancel"), "5");
    filter.send(b"x", Timeout::Poll).unwrap();
    assert_eq!(port.cancel_receives(), 2, "one is complete");
}

#[test]
fn a_slot_that_another_process_leaves_goes_to_one_that_waits() {
    let world = World::new();
    let (port, filter) = world.pair();
    for end in ["close", "kill"] {
        let mut worker = Worker::with_handle(&world, end, &port);
        assert_eq!(worker.does("post 48"), "ok");
        thread::scope(|scope| {
            let received = scope.spawn(|| port.recv().unwrap().body().to_vec());
            let completions = port.completions();
            completions.post(7, 100).unwrap();
            match end {
                "close" => assert_eq!(worker.does("close"), "ok"),
                _ => worker.kill(),
            }
            until_handles_are(&world, 0);
            filter.send(b"x", Timeout::After(LONG)).unwrap();
            filter.send(b"x", Timeout::After(LONG)).unwrap();
            assert_eq!(received.join().unwrap(), b"x");
            assert_eq!(completions.next().unwrap().token, 7);
        });
    }
}

#[test]
fn a_file_goes_to_the_process_that_receives_its_message() {
    let world = World::new();
    let (port, filter) = world.pair();
    let mut worker = Worker::with_handle(&world, "worker", &port);
    worker.say("receive");
    let file = std::fs::File::open("/dev/null").unwrap();
    let (sender, asked) = std::sync::mpsc::sync_channel(1);
    let question = Question {
        message: b"look".to_vec(),
        reply_len: 8,
        fd: Some(std::sync::Arc::new(file.into())),
        timeout: Timeout::After(LONG),
    };
    filter.ask_then(question, move |answered| sender.send(answered).unwrap());
    assert_eq!(worker.hear(), "1 look with a file");
    assert_eq!(worker.does("reply 1 seen"), "ok");
    assert_eq!(asked.recv_timeout(LONG).unwrap().unwrap().payload, b"seen");
}

/// Kills one of two processes that answer, at any moment, and sees that the other goes on and has everything to itself.
#[test]
fn a_killed_process_harms_no_other() {
    let rounds = std::env::var("FLTMGR_ROUNDS").map_or(20, |rounds| rounds.parse().unwrap());
    let world = World::new();
    let (port, filter) = world.pair();
    let long = vec![7; 200_000];
    for round in 0..rounds {
        let mut worker = Worker::with_handle(&world, &format!("worker {round}"), &port);
        worker.does("serve");
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let server = scope.spawn(|| serve(&port, &stop));
            let filters: Vec<_> = [&b"short"[..], &long, &long[..60_000], b"another"]
                .into_iter()
                .map(|question| {
                    let (filter, stop) = (&filter, &stop);
                    scope.spawn(move || {
                        while !stop.load(Ordering::Relaxed) {
                            let mut reply = vec![0; question.len()];
                            let timeout = Timeout::After(Duration::from_millis(50));
                            match filter.ask(question, &mut reply, timeout) {
                                Ok(_) => assert_eq!(reply, question),
                                // received, or being answered, by the one that was killed
                                Err(error) if error.status() == Status::TIMEOUT => {}
                                Err(error) if error.status() == Status::CANCELLED => {}
                                Err(error) => panic!("{error}"),
                            }
                        }
                    })
                })
                .collect();
            thread::park_timeout(Duration::from_micros(3_000 + 517 * (round % 40)));
            worker.kill();
            until_handles_are(&world, 0);
            stop.store(true, Ordering::Relaxed);
            for filter in filters {
                filter.join().unwrap();
            }
            server.join().unwrap();
        });
        // all slots, windows and waiters are there again
        let all = port.receiver(48).unwrap();
        drop(all);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| serve(&port, &stop));
            for question in [&b"short"[..], &long].repeat(9) {
                assert_eq!(ask(&filter, question).unwrap(), question, "round {round}");
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
    world.next();
    world.nothing_more();
}
