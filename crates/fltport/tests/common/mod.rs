//! A port in a namespace of its own, a filter that remembers what happens, and an application in this process or
//! another.
#![allow(dead_code, unused_imports, reason = "each test file uses its part")]

mod gate;
pub(crate) mod log;
pub(crate) mod other;
mod pairing;
pub(crate) mod raw;
pub(crate) mod skip;
pub(crate) mod talk;
pub(crate) mod worker;

pub(crate) use gate::Gate;
pub(crate) use pairing::{App, Line, both, hresult};

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fltport::namespace::Namespace;
use fltport::{
    Answer, Client, Completions, Connection, Port, PortOptions, Process, Received, SecurityDescriptor, Serve, Status,
};

/// Long enough that only a hang gets there.
pub(crate) const LONG: Duration = Duration::from_secs(20);
pub(crate) const PORT: &str = r"\TestPort";

/// What a filter saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Connected(Vec<u8>),
    Disconnected(u32),
}

type OnMessage = dyn Fn(&Client, &[u8], &mut [u8]) -> Answer + Send + Sync;
type OnConnect = dyn Fn(&Client, &[u8]) -> Result<(), Status> + Send + Sync;
type OnDisconnect = dyn Fn(&Client) + Send + Sync;

/// A filter whose callbacks a test sets.
pub(crate) struct Filter {
    pub(crate) on_message: Box<OnMessage>,
    pub(crate) on_connect: Box<OnConnect>,
    pub(crate) on_disconnect: Box<OnDisconnect>,
    events: SyncSender<Event>,
    clients: Arc<Mutex<Vec<Client>>>,
    asked: Arc<Mutex<Option<Process>>>,
}

/// Has a filter answer requests with what they say.
pub(crate) fn echoes(filter: &mut Filter) {
    filter.on_message = Box::new(|_, input, output| {
        output[..input.len()].copy_from_slice(input);
        Answer::from(input.len())
    });
}

impl Serve for Filter {
    type Session = (Client, u32);

    fn connect(&self, client: &Client, context: &[u8]) -> Result<Self::Session, Status> {
        (self.on_connect)(client, context)?;
        let mut clients = self.clients.lock().unwrap();
        clients.push(client.clone());
        self.events.send(Event::Connected(context.to_vec())).unwrap();
        Ok((client.clone(), clients.len() as u32))
    }

    fn message(&self, session: &Self::Session, from: &Process, input: &[u8], output: &mut [u8]) -> Answer {
        *self.asked.lock().unwrap() = Some(from.clone());
        (self.on_message)(&session.0, input, output)
    }

    fn disconnect(&self, session: Self::Session) {
        (self.on_disconnect)(&session.0);
        // a world that is gone has nobody who listens
        let _ = self.events.send(Event::Disconnected(session.1));
    }
}

/// A port and what its filter sees.
pub(crate) struct World {
    pub(crate) dir: Arc<tempfile::TempDir>,
    pub(crate) port: Option<Port>,
    pub(crate) events: Receiver<Event>,
    clients: Arc<Mutex<Vec<Client>>>,
    asked: Arc<Mutex<Option<Process>>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {}, |options| options)
    }

    pub(crate) fn with(filter: impl FnOnce(&mut Filter), options: impl FnOnce(PortOptions) -> PortOptions) -> Self {
        Self::named(PORT, filter, options)
    }

    /// A world whose port has this name.
    pub(crate) fn named(
        name: &str,
        filter: impl FnOnce(&mut Filter),
        options: impl FnOnce(PortOptions) -> PortOptions,
    ) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        Self::create(&dir, name, filter, options).unwrap()
    }

    /// Another port in the same namespace.
    pub(crate) fn beside(
        &self,
        name: &str,
        filter: impl FnOnce(&mut Filter),
        options: impl FnOnce(PortOptions) -> PortOptions,
    ) -> Result<Self, fltport::Error> {
        Self::create(&self.dir, name, filter, options)
    }

    fn create(
        dir: &Arc<tempfile::TempDir>,
        name: &str,
        filter: impl FnOnce(&mut Filter),
        options: impl FnOnce(PortOptions) -> PortOptions,
    ) -> Result<Self, fltport::Error> {
        let (sender, events) = sync_channel(10_000);
        let clients = Arc::new(Mutex::new(Vec::new()));
        let asked = Arc::default();
        let mut built = Filter {
            on_message: Box::new(|_, _, _| Status::INVALID_DEVICE_REQUEST.into()),
            on_connect: Box::new(|_, _| Ok(())),
            on_disconnect: Box::new(|_| {}),
            events: sender,
            clients: Arc::clone(&clients),
            asked: Arc::clone(&asked),
        };
        filter(&mut built);
        let options = options(
            PortOptions::default()
                .max_connections(100)
                .security(SecurityDescriptor::null_dacl())
                .namespace(Namespace::at(dir.path())),
        );
        let port = Port::create(name, options, built)?;
        Ok(Self { dir: Arc::clone(dir), port: Some(port), events, clients, asked })
    }

    pub(crate) fn namespace(&self) -> Namespace {
        Namespace::at(self.dir.path())
    }

    pub(crate) fn connect(&self) -> Connection {
        self.connect_with(b"").unwrap()
    }

    pub(crate) fn connect_with(&self, context: &[u8]) -> Result<Connection, fltport::Error> {
        Connection::options().namespace(self.namespace()).connect(PORT, context)
    }

    /// The filter's end of the last connection.
    pub(crate) fn client(&self) -> Client {
        self.clients.lock().unwrap().last().unwrap().clone()
    }

    pub(crate) fn pair(&self) -> (Connection, Client) {
        (self.connect(), self.client())
    }

    pub(crate) fn next(&self) -> Event {
        self.events.recv_timeout(LONG).expect("the filter saw nothing")
    }

    /// Waits for the next connection and gives the filter's end of it.
    pub(crate) fn accepted(&self) -> Client {
        let event = self.next();
        assert!(matches!(event, Event::Connected(_)), "{event:?}");
        self.client()
    }

    /// The process that made the last request.
    pub(crate) fn asked_by(&self) -> Process {
        self.asked.lock().unwrap().clone().expect("a request was made")
    }

    /// Waits for the end of a connection.
    pub(crate) fn ended(&self) -> u32 {
        match self.next() {
            Event::Disconnected(number) => number,
            event @ Event::Connected(_) => panic!("{event:?}"),
        }
    }

    /// Unloads the filter, if that has not been done.
    pub(crate) fn unload(&mut self) {
        if let Some(port) = self.port.take() {
            port.unload();
        }
    }

    /// That nothing has happened which the test did not ask for.
    pub(crate) fn nothing_more(&self) {
        assert_eq!(self.events.try_recv().ok(), None);
    }
}

/// A receive that is posted and waited for later.
#[derive(Debug)]
pub(crate) struct Posted {
    completions: Completions,
    ended: Option<Result<Received, fltport::Error>>,
}

pub(crate) fn post(port: &Connection, capacity: usize) -> Result<Posted, fltport::Error> {
    let completions = port.completions();
    completions.post(0, capacity)?;
    Ok(Posted { completions, ended: None })
}

impl Posted {
    pub(crate) fn is_complete(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.completions.try_next().unwrap().map(|completed| completed.result);
        }
        self.ended.is_some()
    }

    pub(crate) fn wait(self) -> Result<Received, fltport::Error> {
        match self.ended {
            Some(ended) => ended,
            None => self.completions.next_timeout(LONG)?.expect("it does not end").result,
        }
    }

    /// Takes it back; its end.
    pub(crate) fn cancel(self) -> Result<Received, fltport::Error> {
        self.completions.cancel(0);
        self.wait()
    }
}

/// Waits until something is so.
pub(crate) fn eventually(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "it never happened");
        std::thread::park_timeout(Duration::from_micros(100));
    }
}

/// Tells which thread this is, for [`until_it_sleeps`].
pub(crate) fn this_thread() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// Waits until a thread of this process sleeps, by what the kernel says of it.
pub(crate) fn until_it_sleeps(thread: i32) {
    let stat = format!("/proc/self/task/{thread}/stat");
    eventually(|| {
        let stat = std::fs::read_to_string(&stat).expect("a thread that runs");
        // behind the name, which may have anything in it
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('S'))
    });
}

/// Ends the test program when a test hangs: a deadline for everything that has none of its own.
pub(crate) fn watchdog() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let times = std::env::var("FLTMGR_SLOW").map_or(1, |times| times.parse().expect("a number"));
        std::thread::spawn(move || {
            std::thread::park_timeout(times * Duration::from_secs(150));
            eprintln!("a test hangs");
            std::process::abort();
        });
    });
}
