//! The application dies in each of its states; the filter's calls end.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fltmgr::{Client, Connection, Message, Pending, Port, Process, Response, Serve, Status, Timeout};
use testkit::{Again, apart, until};

use super::{
    BIG, Gate, IN_CALL, LONG, NAME, OUTSIDE, Way, befall, connect, options, play_all, start, status, wait_for,
};

const STATES: &[(&str, &[Way])] = &[
    ("idle", OUTSIDE),
    ("in recv", IN_CALL),
    ("in recv_timeout", IN_CALL),
    ("in a receiver's recv", IN_CALL),
    ("with a posted receiver", OUTSIDE),
    ("with posted completions", OUTSIDE),
    ("with a pollable's thread", OUTSIDE),
    ("between recv and reply", OUTSIDE),
    ("writing a long reply", IN_CALL),
    ("reading a long message", IN_CALL),
    ("in a request", IN_CALL),
    ("writing a long request", IN_CALL),
    ("reading a long answer", IN_CALL),
    ("in connect", IN_CALL),
    ("in close", IN_CALL),
];

// --- the application's process ---

/// Goes into `state` and says so; afterwards answers every message with its body.
pub(super) fn play(state: &str, dir: &Path) {
    let orders = super::obey();
    if state == "in connect" {
        testkit::say("ready");
    }
    let port = connect(dir, state).expect("a connection");
    let wait = || match orders.recv().as_deref() {
        Ok("panic") => panic!("on purpose"),
        Ok("go on") => {}
        other => panic!("no order {other:?}"),
    };
    let ready = || testkit::say("ready");
    match state {
        "idle" => {
            ready();
            wait();
        }
        "with a posted receiver" => {
            let _receiver = port.receiver(3).unwrap();
            ready();
            wait();
        }
        "with posted completions" => {
            let completions = port.completions();
            (0..3).for_each(|token| completions.post(token, usize::MAX).unwrap());
            ready();
            wait();
        }
        "with a pollable's thread" => {
            let completions = port.completions();
            completions.post(0, usize::MAX).unwrap();
            let _pollable = completions.pollable().unwrap();
            ready();
            wait();
        }
        "between recv and reply" => {
            let message = port.recv().unwrap();
            ready();
            wait();
            echo(message);
        }
        "in recv_timeout" => {
            ready();
            echo(port.recv_timeout(LONG).unwrap().expect("a message"));
        }
        "in a receiver's recv" => {
            let mut receiver = port.receiver(3).unwrap();
            ready();
            echo(receiver.recv().unwrap());
        }
        "writing a long reply" => {
            let message = port.recv().unwrap();
            ready();
            message.reply(Status::SUCCESS, &vec![7; BIG]).unwrap();
        }
        "in a request" => {
            assert_eq!(port.send(b"stay", &mut [0; 4]).unwrap(), 4);
        }
        "writing a long request" => {
            assert_eq!(port.send(&vec![7; BIG], &mut [0; 4]).unwrap(), 4);
        }
        "reading a long answer" => {
            assert_eq!(port.send(b"much", &mut vec![0; BIG]).unwrap(), BIG);
        }
        "in close" => {
            ready();
            port.close();
            testkit::say("closed");
            wait();
            // the place is free, and all goes on
            return serve(&connect(dir, "again").expect("another connection"));
        }
        "in recv" | "reading a long message" => ready(),
        "in connect" => {}
        other => panic!("no state {other}"),
    }
    serve(&port);
}

fn echo(message: Message) {
    let body = message.body().to_vec();
    // the filter may have given up while this process was stopped
    let _ = message.reply(Status::SUCCESS, &body);
}

fn serve(port: &Connection) {
    while let Ok(message) = port.recv() {
        echo(message);
    }
}

// --- the filter ---

struct Filter {
    came: SyncSender<Client>,
    went: SyncSender<()>,
    /// A callback is reached that stays until `gate` opens.
    stays: SyncSender<()>,
    gate: Mutex<Arc<Gate>>,
}

impl Filter {
    fn stay(&self) {
        let gate = Arc::clone(&self.gate.lock().unwrap());
        self.stays.send(()).unwrap();
        gate.pass();
    }
}

impl Serve for Filter {
    type Session = String;

    fn connect(&self, client: &Client, context: &[u8]) -> Result<String, Status> {
        let state = String::from_utf8(context.to_vec()).unwrap();
        self.came.send(client.clone()).unwrap();
        if state == "in connect" {
            self.stay();
        }
        Ok(state)
    }

    fn message(&self, _: &String, _: &Process, input: &[u8], output: &mut [u8]) -> Response {
        if input == b"stay" {
            self.stay();
        } else {
            self.stays.send(()).unwrap();
        }
        output.len().into()
    }

    fn disconnect(&self, state: String) {
        if state == "in close" {
            self.stay();
        }
        self.went.send(()).unwrap();
    }
}

struct Shared(Arc<Filter>);

impl Serve for Shared {
    type Session = String;

    fn connect(&self, client: &Client, context: &[u8]) -> Result<String, Status> {
        self.0.connect(client, context)
    }

    fn message(&self, session: &String, from: &Process, input: &[u8], output: &mut [u8]) -> Response {
        self.0.message(session, from, input, output)
    }

    fn disconnect(&self, session: String) {
        self.0.disconnect(session);
    }
}

struct Host {
    dir: tempfile::TempDir,
    filter: Arc<Filter>,
    port: Port,
    came: Receiver<Client>,
    went: Receiver<()>,
    stays: Receiver<()>,
}

impl Host {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (came, on_came) = sync_channel(10);
        let (went, on_went) = sync_channel(10);
        let (stays, on_stays) = sync_channel(10);
        let filter = Arc::new(Filter { came, went, stays, gate: Mutex::default() });
        let port = Port::create(NAME, options(dir.path()), Shared(Arc::clone(&filter))).unwrap();
        Self { dir, filter, port, came: on_came, went: on_went, stays: on_stays }
    }

    /// Waits until the application is in its state. What the filter has under way with it then.
    fn reached(&self, state: &'static str, app: &mut Again) -> (Client, Under) {
        let client = wait_for("the connect callback", &self.came);
        let under = match state {
            "in connect" | "in a request" | "reading a long answer" => {
                wait_for(state, &self.stays);
                Under::Nothing
            }
            "in close" => {
                wait_for(state, &self.stays);
                app.says("ready");
                Under::Nothing
            }
            "writing a long request" => {
                until(|| self.port.usage(uid()).request_bytes > 0);
                Under::Nothing
            }
            "writing a long reply" => {
                let pending = client.start(b"?", BIG, Timeout::Never).unwrap();
                app.says("ready");
                until(|| pending.is_ready().then_some(()));
                Under::Reply(pending)
            }
            "idle" => {
                app.says("ready");
                // no receive is posted
                Under::Ask(ask(&client, b"?".to_vec()))
            }
            "between recv and reply" => {
                let asked = ask(&client, b"?".to_vec());
                app.says("ready");
                Under::Ask(asked)
            }
            "reading a long message" => {
                app.says("ready");
                // its first pieces are read in this moment
                Under::Ask(ask(&client, vec![7; BIG]))
            }
            _ => {
                app.says("ready");
                Under::Nothing
            }
        };
        (client, under)
    }
}

fn uid() -> u32 {
    rustix::process::getuid().as_raw()
}

/// What the filter waits for.
enum Under {
    Nothing,
    Ask(Receiver<Result<(Status, usize), Status>>),
    Reply(Pending),
}

/// Asks on a thread of its own.
fn ask(client: &Client, message: Vec<u8>) -> Receiver<Result<(Status, usize), Status>> {
    let (told, answer) = sync_channel(1);
    let client = client.clone();
    thread::spawn(move || {
        let mut reply = vec![0; message.len()];
        let asked = client.ask(&message, &mut reply, Timeout::Never);
        let _ = told.send(asked.map(|reply| (reply.status, reply.len)).map_err(|error| error.status()));
    });
    answer
}

impl Under {
    /// How it ended.
    fn end(self) -> Option<Result<(Status, usize), Status>> {
        match self {
            Self::Nothing => None,
            Self::Ask(asked) => Some(wait_for("the filter's question", &asked)),
            Self::Reply(pending) => {
                let reply = pending.wait(&mut vec![0; BIG]);
                Some(reply.map(|reply| (reply.status, reply.len)).map_err(|error| error.status()))
            }
        }
    }
}

fn case(host: &Host, state: &'static str, way: Way) -> Option<Duration> {
    let gate = Arc::new(Gate::default());
    *host.filter.gate.lock().unwrap() = Arc::clone(&gate);
    let mut app = start("application", state, host.dir.path());
    let (client, under) = host.reached(state, &mut app);
    let question = Timeout::After(Duration::from_millis(10));
    let begun = Instant::now();
    befall(&mut app, way, || {
        // whether a receive is posted or not: no filter answers
        let expected = if state == "in close" { Status::PORT_DISCONNECTED } else { Status::TIMEOUT };
        assert_eq!(status(client.ask(b"!", &mut [0; 4], question)), expected, "{state}");
    });
    gate.open();
    if way == Way::StopAndGoOn {
        go_on(host, state, &mut app, &client, under);
        return None;
    }
    let ended = under.end();
    // all had been read when the application was struck, by a machine with much else to do
    let over = state == "reading a long message" && matches!(ended, Some(Ok((Status::SUCCESS, _))));
    match (way, ended) {
        _ if over => {}
        // it is dropped, which answers it, before the connection is
        (Way::Panic, Some(Ok((answered, _)))) => assert_eq!(answered, Status::CANCELLED, "{state}"),
        (_, Some(ended)) => assert_eq!(ended, Err(Status::PORT_DISCONNECTED), "{state}, {way:?}"),
        (_, None) => {}
    }
    wait_for("the disconnect callback", &host.went);
    let took = begun.elapsed();
    assert!(!client.is_connected());
    assert_eq!(status(client.send(b"?", Timeout::Never)), Status::PORT_DISCONNECTED);
    app.end();
    host.stays.try_iter().for_each(drop);
    if over { case(host, state, way) } else { Some(took) }
}

/// The application was stopped and goes on with what it was doing.
fn go_on(host: &Host, state: &'static str, app: &mut Again, client: &Client, under: Under) {
    app.tell("go on");
    let mut client = client.clone();
    match (state, under.end()) {
        (_, None) => {}
        (_, Some(ended)) => {
            let len = match state {
                "writing a long reply" | "reading a long message" => BIG,
                _ => 1,
            };
            assert_eq!(ended, Ok((Status::SUCCESS, len)), "{state}");
        }
    }
    if state == "in close" {
        wait_for("the disconnect callback", &host.went);
        app.says("closed");
        client = wait_for("another connection", &host.came);
    }
    let mut reply = [0; 4];
    // receives that were posted before are dropped with what came into them
    let answered = until(|| match client.ask(b"well", &mut reply, Timeout::After(LONG)).expect(state).status {
        Status::CANCELLED => None,
        answered => Some(answered),
    });
    assert_eq!((answered, &reply), (Status::SUCCESS, b"well"), "{state}");
    client.close();
    wait_for("the disconnect callback", &host.went);
    assert_eq!(app.end(), 0, "{state}");
    host.stays.try_iter().for_each(drop);
}

#[test]
fn an_application_that_ends_in_any_state_frees_its_filter_and_one_that_stops_goes_on() {
    apart(|| {
        let host = Host::new();
        play_all(STATES, |state, way| case(&host, state, way));
        host.port.unload();
    });
}
