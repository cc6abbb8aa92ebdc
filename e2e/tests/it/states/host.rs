//! The host dies in each of its states; the application's calls end, and its name is free at once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use fltmgr::{Client, Connection, Error, Message, OutgoingMessage, Port, Process, Response, Serve, Status, Timeout};
use testkit::{Again, apart, until};

use super::{BIG, Gate, IN_CALL, LONG, NAME, Way, befall, connect, options, play_all, start, status, wait_for};

/// What can happen in a callback: its panic is caught.
const IN_CALLBACK: &[Way] = &[Way::Kill, Way::Exit, Way::Panic, Way::StopAndKill, Way::StopAndGoOn];

const STATES: &[(&str, &[Way])] = &[
    ("idle", IN_CALL),
    ("in the connect callback", IN_CALLBACK),
    ("in the message callback", IN_CALLBACK),
    ("in the disconnect callback", IN_CALLBACK),
    ("reading a long request", IN_CALL),
    ("writing a long answer", IN_CALL),
    ("waiting for a receive", IN_CALL),
    ("waiting for a reply", IN_CALL),
    ("waiting for a reply to call back", IN_CALL),
    ("writing a long message", IN_CALL),
    ("reading a long reply", IN_CALL),
    ("creating a port", &[Way::Kill, Way::Exit, Way::StopAndKill]),
];

/// States that end by themselves, soon.
const LONG_CALLS: [&str; 4] =
    ["reading a long request", "writing a long answer", "writing a long message", "reading a long reply"];

// --- the host's process ---

struct Filter {
    state: String,
    came: SyncSender<Client>,
    gate: Arc<Gate>,
    panics: Arc<AtomicBool>,
}

impl Filter {
    fn stay(&self, state: &str) {
        if self.state == state {
            testkit::say("ready");
            self.gate.pass();
            if self.panics.load(Ordering::SeqCst) {
                panic!("on purpose");
            }
        }
    }
}

impl Serve for Filter {
    type Session = ();

    fn connect(&self, client: &Client, context: &[u8]) -> Result<(), Status> {
        if context != b"again" {
            self.stay("in the connect callback");
        }
        self.came.send(client.clone()).unwrap();
        Ok(())
    }

    fn message(&self, (): &(), _: &Process, _: &[u8], output: &mut [u8]) -> Response {
        self.stay("in the message callback");
        output.len().into()
    }

    fn disconnect(&self, (): ()) {
        self.stay("in the disconnect callback");
    }
}

/// Goes into `state`; when it is told to go on, asks once more and says how that went.
pub(super) fn play(state: &str, dir: &Path) {
    let orders = super::obey();
    if state == "creating a port" {
        testkit::say("ready");
        loop {
            Port::create(NAME, options(dir), Silent).unwrap().close();
        }
    }
    let gate = Arc::new(Gate::default());
    let panics = Arc::default();
    let (came, on_came) = sync_channel(10);
    let filter = Filter { state: state.to_owned(), came, gate: Arc::clone(&gate), panics: Arc::clone(&panics) };
    let port = Port::create(NAME, options(dir), filter).unwrap();
    testkit::say("listening");
    let (over, on_over) = sync_channel(1);
    thread::spawn(move || {
        for order in orders {
            panics.store(order == "panic", Ordering::SeqCst);
            gate.open();
            let _ = over.try_send(());
        }
    });
    if state == "in the connect callback" || state == "in the disconnect callback" {
        on_over.recv().unwrap();
    }
    let client = on_came.recv_timeout(LONG).expect("a client");
    let ready = || testkit::say("ready");
    let mut room = vec![0; BIG];
    match state {
        "idle" | "reading a long request" | "writing a long answer" => ready(),
        "waiting for a receive" | "waiting for a reply" => {
            ready();
            assert_eq!(client.ask(b"?", &mut room, Timeout::Never).unwrap().len, 1);
        }
        "waiting for a reply to call back" => {
            let (told, answer) = sync_channel(1);
            let question = OutgoingMessage { body: b"?".to_vec(), reply_len: 4, file: None, timeout: Timeout::Never };
            client.ask_then(question, move |answered| told.send(answered.unwrap().payload).unwrap());
            ready();
            assert_eq!(answer.recv().unwrap(), b"?");
        }
        "writing a long message" => {
            ready();
            assert_eq!(client.ask(&vec![7; BIG], &mut room, Timeout::Never).unwrap().len, BIG);
        }
        "reading a long reply" => {
            ready();
            assert_eq!(client.ask(b"much", &mut room, Timeout::Never).unwrap().len, BIG);
        }
        _ => {}
    }
    if !matches!(state, "in the connect callback" | "in the disconnect callback") {
        on_over.recv().unwrap();
    }
    // the connection that was, or another
    let client = if client.is_connected() { client } else { on_came.recv_timeout(LONG).expect("another client") };
    let mut reply = [0; 4];
    let asked = client.ask(b"well", &mut reply, Timeout::After(LONG)).unwrap();
    assert_eq!((asked.status, &reply), (Status::SUCCESS, b"well"));
    testkit::say("well");
    client.close();
    port.unload();
}

struct Silent;

impl Serve for Silent {
    type Session = ();

    fn connect(&self, _: &Client, _: &[u8]) -> Result<(), Status> {
        Ok(())
    }
}

// --- the application ---

/// What the application has under way.
enum Under {
    /// Nothing: whatever comes is answered afterwards.
    Nothing,
    /// It answers whatever comes, until the end.
    Answering(Receiver<Status>),
    /// A call, and the connection that it made, if it connects.
    Call(Receiver<Result<Option<Connection>, Error>>),
    /// It has a message.
    Held(Message),
}

/// Calls on a thread of its own.
fn call(make: impl FnOnce() -> Result<Option<Connection>, Error> + Send + 'static) -> Under {
    let (told, ended) = sync_channel(1);
    thread::spawn(move || told.send(make()));
    Under::Call(ended)
}

fn answering(port: &Connection) -> Receiver<Status> {
    let (told, ended) = sync_channel(1);
    let port = port.clone();
    thread::spawn(move || {
        let end = loop {
            if let Err(error) = port.recv().and_then(reply) {
                break error.status();
            }
        };
        // the handle goes first: what is left is counted when this is told
        drop(port);
        let _ = told.send(end);
    });
    ended
}

fn reply(message: Message) -> Result<(), Error> {
    let body = message.body().to_vec();
    message.reply(Status::SUCCESS, &body)
}

/// Brings host and application into the host's `state`.
fn begin(state: &'static str, dir: &Path, host: &mut Again) -> (Option<Connection>, Under) {
    if state == "creating a port" {
        host.says("ready");
        return (None, Under::Nothing);
    }
    host.says("listening");
    if state == "in the connect callback" {
        let dir = dir.to_owned();
        let under = call(move || connect(&dir, "").map(Some));
        host.says("ready");
        return (None, under);
    }
    let port = connect(dir, "").unwrap();
    let (ours, theirs) = (port.clone(), port);
    let send = |input: Vec<u8>, room: usize| {
        let port = theirs.clone();
        call(move || port.send(&input, &mut vec![0; room]).map(|_| None))
    };
    let under = match state {
        "idle" => Under::Answering(answering(&ours)),
        "in the message callback" => send(b"?".to_vec(), 4),
        "reading a long request" => send(vec![7; BIG], 4),
        "writing a long answer" => send(b"?".to_vec(), BIG),
        "waiting for a receive" => Under::Nothing,
        "waiting for a reply" | "waiting for a reply to call back" => Under::Held(ours.recv().unwrap()),
        "writing a long message" => call(move || theirs.recv().and_then(reply).map(|()| None)),
        "reading a long reply" => {
            let message = ours.recv().unwrap();
            call(move || message.reply(Status::SUCCESS, &vec![7; BIG]).map(|()| None))
        }
        "in the disconnect callback" => call(move || {
            theirs.disconnect();
            Ok(None)
        }),
        other => panic!("no state {other}"),
    };
    host.says("ready");
    (Some(ours), under)
}

fn case(dir: &Path, state: &'static str, way: Way) -> Option<Duration> {
    let mut host = start("host", state, dir);
    let (port, under) = begin(state, dir, &mut host);
    let begun = Instant::now();
    befall(&mut host, way, || {
        if let Some(port) = port.as_ref().filter(|_| state != "in the disconnect callback") {
            assert!(port.is_connected(), "{state}: a host that is stopped lives");
            assert!(port.recv_timeout(Duration::ZERO).is_ok(), "{state}");
        }
    });
    if matches!(way, Way::StopAndGoOn | Way::Panic) {
        go_on(dir, state, way, &mut host, port, under);
        return None;
    }
    let ended = match under {
        // of a host that takes a moment to exit a message may come yet
        Under::Nothing => port.as_ref().map(|port| until(|| port.recv().err()).status()),
        Under::Answering(end) => Some(wait_for(state, &end)),
        Under::Call(ended) => Some(wait_for(state, &ended).map_or_else(|error| error.status(), |_| Status::SUCCESS)),
        Under::Held(message) => {
            let port = port.as_ref().expect("an end that has a message is connected");
            until(|| !port.is_connected());
            Some(status(message.reply(Status::SUCCESS, b"")))
        }
    };
    let took = begun.elapsed();
    // all had been moved when the host was struck, by a machine with much else to do
    let over = LONG_CALLS.contains(&state) && ended == Some(Status::SUCCESS);
    let expected: &[_] = match state {
        "waiting for a reply" | "waiting for a reply to call back" => &[Status::FLT_NO_WAITER_FOR_REPLY],
        // as far as it had come: the message was still being read, or was answered
        "writing a long message" | "reading a long reply" => {
            &[Status::PORT_DISCONNECTED, Status::FLT_NO_WAITER_FOR_REPLY]
        }
        "in the disconnect callback" => &[Status::SUCCESS],
        // the name may end a moment before or after the socket
        "in the connect callback" => &[Status::OBJECT_NAME_NOT_FOUND, Status::PORT_DISCONNECTED],
        _ => &[Status::PORT_DISCONNECTED],
    };
    assert!(over || ended.is_none_or(|ended| expected.contains(&ended)), "{state}, {way:?}: {ended:?}");
    host.end();
    if let Some(port) = port {
        assert_eq!(status(port.recv()), Status::PORT_DISCONNECTED, "{state}");
        assert_eq!(status(port.send(b"?", &mut [])), Status::PORT_DISCONNECTED, "{state}");
        port.close();
    }
    // its name is free
    Port::create(NAME, options(dir), Silent).unwrap();
    if over { case(dir, state, way) } else { Some(took) }
}

/// The host lives, and goes on with what it was doing.
fn go_on(dir: &Path, state: &'static str, way: Way, host: &mut Again, port: Option<Connection>, under: Under) {
    host.tell("go on");
    let mut port = port;
    let mut answers = None;
    match under {
        Under::Nothing => {}
        Under::Answering(end) => answers = Some(end),
        Under::Held(message) => message.reply(Status::SUCCESS, b"?").unwrap(),
        Under::Call(ended) => match wait_for(state, &ended) {
            Ok(Some(connection)) => port = Some(connection),
            Ok(None) if state == "in the disconnect callback" => port = None,
            Ok(None) => {}
            Err(error) => {
                assert_eq!((way, error.status()), (Way::Panic, Status::INTERNAL_ERROR), "{state}");
            }
        },
    }
    let port = port.unwrap_or_else(|| connect(dir, "again").unwrap_or_else(|e| panic!("{state}, {way:?}: {e}")));
    let answers = answers.unwrap_or_else(|| answering(&port));
    host.says("well");
    assert_eq!(wait_for("the end", &answers), Status::PORT_DISCONNECTED);
    port.close();
    assert_eq!(host.end(), 0, "{state}, {way:?}");
}

#[test]
fn a_host_that_ends_in_any_state_frees_its_applications_and_its_name_and_one_that_stops_goes_on() {
    apart(|| {
        let dir = tempfile::tempdir().unwrap();
        play_all(STATES, |state, way| case(dir.path(), state, way));
    });
}
