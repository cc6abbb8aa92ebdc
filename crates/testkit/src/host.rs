//! A port in a world of its own, and a filter that remembers what happens and does what the test says.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use fltport::namespace::Namespace;
use fltport::{
    Client, Completions, Connection, Port, PortOptions, Process, Received, Response, SecurityDescriptor, Serve, Status,
};

use crate::{LONG, World};

/// The name of a test's port.
pub const PORT: &str = r"\TestPort";

/// The user of this process.
#[must_use]
pub fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// What a filter saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A client connected, with this context.
    Connected(Vec<u8>),
    /// The connection of this number ended: 1, 2, 3….
    Disconnected(u32),
}

type OnMessage = dyn Fn(&Client, &[u8], &mut [u8]) -> Response + Send + Sync;
type OnConnect = dyn Fn(&Client, &[u8]) -> Result<(), Status> + Send + Sync;
type OnDisconnect = dyn Fn(&Client) + Send + Sync;

/// A filter whose callbacks a test sets.
pub struct Filter {
    /// What the message callback does.
    pub on_message: Box<OnMessage>,
    /// What the connect callback does.
    pub on_connect: Box<OnConnect>,
    /// What the disconnect callback does.
    pub on_disconnect: Box<OnDisconnect>,
    events: SyncSender<Event>,
    clients: Arc<Mutex<Vec<Client>>>,
    asked: Arc<Mutex<Option<Process>>>,
}

/// Has a filter answer requests with what they say.
pub fn echoes(filter: &mut Filter) {
    filter.on_message = Box::new(|_, input, output| {
        output[..input.len()].copy_from_slice(input);
        Response::from(input.len())
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

    fn message(&self, session: &Self::Session, from: &Process, input: &[u8], output: &mut [u8]) -> Response {
        *self.asked.lock().unwrap() = Some(from.clone());
        (self.on_message)(&session.0, input, output)
    }

    fn disconnect(&self, session: Self::Session) {
        (self.on_disconnect)(&session.0);
        // the test may have ended, and its receiver be gone
        let _ = self.events.send(Event::Disconnected(session.1));
    }
}

/// A port and what its filter sees.
#[derive(Debug)]
pub struct Host {
    /// `None` once it is unloaded.
    pub port: Option<Port>,
    /// The clients that came and went.
    pub events: Receiver<Event>,
    clients: Arc<Mutex<Vec<Client>>>,
    asked: Arc<Mutex<Option<Process>>>,
    world: Arc<World>,
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filter").finish_non_exhaustive()
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// One whose filter admits all clients and answers no request.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|_| {}, |options| options)
    }

    /// One with a filter and options of the test's.
    #[must_use]
    pub fn with(filter: impl FnOnce(&mut Filter), options: impl FnOnce(PortOptions) -> PortOptions) -> Self {
        Self::named(PORT, filter, options)
    }

    /// One whose port has this name.
    #[must_use]
    pub fn named(
        name: &str,
        filter: impl FnOnce(&mut Filter),
        options: impl FnOnce(PortOptions) -> PortOptions,
    ) -> Self {
        Self::create(&Arc::new(World::new()), name, filter, options).unwrap()
    }

    /// Another port in the same world.
    ///
    /// # Errors
    /// As [`Port::create`].
    pub fn beside(
        &self,
        name: &str,
        filter: impl FnOnce(&mut Filter),
        options: impl FnOnce(PortOptions) -> PortOptions,
    ) -> Result<Self, fltport::Error> {
        Self::create(&self.world, name, filter, options)
    }

    /// A port in this world.
    ///
    /// # Errors
    /// As [`Port::create`].
    pub fn create(
        world: &Arc<World>,
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
                .namespace(world.namespace()),
        );
        let port = Port::create(name, options, built)?;
        Ok(Self { port: Some(port), events, clients, asked, world: Arc::clone(world) })
    }

    /// The world that it is in.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The world's folder.
    #[must_use]
    pub fn dir(&self) -> &std::path::Path {
        self.world.dir()
    }

    /// The folder of the port.
    #[must_use]
    pub fn namespace_dir(&self) -> std::path::PathBuf {
        self.world.namespace_dir()
    }

    /// The namespace of the port.
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        self.world.namespace()
    }

    /// The port, which is not unloaded yet.
    #[must_use]
    pub fn port(&self) -> &Port {
        self.port.as_ref().expect("a port")
    }

    /// A connection to [`PORT`].
    #[must_use]
    pub fn connect(&self) -> Connection {
        self.connect_with(b"").unwrap()
    }

    /// A connection to [`PORT`] with this context.
    ///
    /// # Errors
    /// As [`Connection::connect`].
    pub fn connect_with(&self, context: &[u8]) -> Result<Connection, fltport::Error> {
        Connection::options().namespace(self.namespace()).connect(PORT, context)
    }

    /// The filter's end of the last connection.
    pub fn client(&self) -> Client {
        self.clients.lock().unwrap().last().unwrap().clone()
    }

    /// A connection to [`PORT`], and the filter's end of it.
    pub fn pair(&self) -> (Connection, Client) {
        (self.connect(), self.client())
    }

    /// What the filter saw next.
    pub fn next(&self) -> Event {
        self.events.recv_timeout(LONG).expect("the filter saw nothing")
    }

    /// Waits for the next connection and gives the filter's end of it.
    pub fn accepted(&self) -> Client {
        let event = self.next();
        assert!(matches!(event, Event::Connected(_)), "{event:?}");
        self.client()
    }

    /// The process that made the last request.
    pub fn asked_by(&self) -> Process {
        self.asked.lock().unwrap().clone().expect("a request was made")
    }

    /// Waits for the end of a connection.
    pub fn ended(&self) -> u32 {
        match self.next() {
            Event::Disconnected(number) => number,
            event @ Event::Connected(_) => panic!("{event:?}"),
        }
    }

    /// Unloads the filter, if that has not been done.
    pub fn unload(&mut self) {
        if let Some(port) = self.port.take() {
            port.unload();
        }
    }

    /// That nothing has happened which the test did not ask for.
    pub fn nothing_more(&self) {
        assert_eq!(self.events.try_recv().ok(), None);
    }
}

/// A receive that is posted and waited for later.
#[derive(Debug)]
pub struct Posted {
    completions: Completions,
    ended: Option<Result<Received, fltport::Error>>,
}

/// Posts a receive.
///
/// # Errors
/// As [`Completions::post`].
pub fn post(port: &Connection, capacity: usize) -> Result<Posted, fltport::Error> {
    let completions = port.completions();
    completions.post(0, capacity)?;
    Ok(Posted { completions, ended: None })
}

impl Posted {
    /// Whether it has ended.
    pub fn is_complete(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.completions.try_next().unwrap().map(|completed| completed.result);
        }
        self.ended.is_some()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// How it ended.
    pub fn wait(self) -> Result<Received, fltport::Error> {
        match self.ended {
            Some(ended) => ended,
            None => self.completions.next_timeout(LONG)?.expect("it does not end").result,
        }
    }

    /// Takes it back; its end.
    ///
    /// # Errors
    /// How it ended.
    pub fn cancel(self) -> Result<Received, fltport::Error> {
        self.completions.cancel(0);
        self.wait()
    }
}
