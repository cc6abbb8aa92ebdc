//! A filter that the C programs drive: what it does, a program tells it over a connection of its own (`e2e/c/drive.h` is
//! the other end). So a test of the C face is one C function, from the message that the filter sends to what arrives.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use fltmgr::namespace::Namespace;
use fltmgr::{Client, Port, PortOptions, Process, Response, SecurityDescriptor, Serve, Status, Timeout};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a connection is for: the first word of its context.
const CONTROL: u32 = 1;

/// The context of a connection.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy, Default)]
#[repr(C)]
struct Context {
    kind: u32,
    number: u32,
    status: u32,
    flags: u32,
}

const HOLD_CONNECT: u32 = 1;
const HOLD_DISCONNECT: u32 = 2;
const ASK_IN_CONNECT: u32 = 4;
const CLOSE_IN_CONNECT: u32 = 8;

/// What the program tells the filter to do.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy)]
#[repr(C)]
struct Command {
    op: u32,
    connection: u32,
    len: u64,
    capacity: u64,
    /// Milliseconds; negative: for ever.
    timeout: i64,
    flags: u32,
    padding: u32,
    /// UTF-8, up to the first 0.
    name: [u8; 64],
}

const ASK: u32 = 1;
const SEND: u32 = 2;
const RESULT: u32 = 3;
const CLOSE: u32 = 4;
const KNOW: u32 = 5;
const RELEASE: u32 = 6;
const CREATE: u32 = 7;
const CLOSE_PORT: u32 = 8;
const UNLOAD: u32 = 9;
const ASK_WITH_FILE: u32 = 10;

const CASE_INSENSITIVE: u32 = 1;
const CONNECT_RIGHT_ONLY: u32 = 2;
const NOBODY: u32 = 4;
const NO_CALLBACK: u32 = 8;

/// What the filter tells.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy)]
#[repr(C)]
struct Told {
    status: u32,
    done: u32,
    value: u64,
    len: u64,
    bytes: [u8; 64],
}

impl Told {
    fn of(status: Status, value: u64) -> Self {
        Self { status: status.0, done: 1, value, len: 0, bytes: [0; 64] }
    }
}

/// What a program wants of the message callback.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy)]
#[repr(C)]
struct Request {
    kind: u32,
    status: u32,
    returned: u64,
    written: u64,
}

const ANSWER: u32 = 0;
const HOLD: u32 = 1;
const ASK_BACK: u32 = 2;
const CLOSE_ITSELF: u32 = 3;

/// The byte at `at` of every message and answer: both ends compute it.
pub(crate) fn pattern(at: usize) -> u8 {
    (at * 31 + 7) as u8
}

#[derive(Default)]
struct State {
    clients: HashMap<u32, Client>,
    connects: HashMap<u32, u64>,
    disconnects: HashMap<u32, u64>,
    running: HashMap<u32, u64>,
    released: HashMap<u32, u64>,
    tickets: HashMap<u64, Option<Told>>,
    next: u64,
    ports: HashMap<String, Port>,
}

/// The filter. Cloning it refers to the same one.
#[derive(Clone)]
pub(crate) struct Driven {
    shared: Arc<(Mutex<State>, Condvar)>,
    namespace: Namespace,
    no_callback: bool,
}

/// One connection.
pub(crate) struct Session {
    context: Context,
    client: Client,
}

impl Driven {
    pub(crate) fn new(namespace: &Namespace) -> Self {
        Self { shared: Arc::default(), namespace: namespace.clone(), no_callback: false }
    }

    /// Serves the port that programs drive it by.
    pub(crate) fn serve(&self) -> Port {
        let options = PortOptions::default().namespace(self.namespace.clone()).max_connections(64);
        let options = options.max_connections_per_user(64).max_handles_per_user(64);
        Port::create(r"\Driven", options, self.clone()).unwrap()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update<T>(&self, update: impl FnOnce(&mut State) -> T) -> T {
        let updated = update(&mut self.state());
        self.shared.1.notify_all();
        updated
    }

    /// Waits until a program releases what is held of a connection.
    fn hold(&self, number: u32) {
        let mut state = self.state();
        while state.released.get(&number).is_none_or(|&released| released == 0) {
            state = self.shared.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        *state.released.entry(number).or_default() -= 1;
    }

    fn control(&self, command: Command) -> Told {
        let client = self.state().clients.get(&command.connection).cloned();
        match (command.op, client) {
            (ASK | SEND | ASK_WITH_FILE, Some(client)) => Told::of(Status::SUCCESS, self.send(command, client)),
            (RESULT, _) => self.result(command),
            (CLOSE, Some(client)) => {
                client.close();
                Told::of(Status::SUCCESS, 0)
            }
            (KNOW, _) => self.know(command.connection),
            (RELEASE, _) => {
                self.update(|state| *state.released.entry(command.connection).or_default() += 1);
                Told::of(Status::SUCCESS, 0)
            }
            (CREATE, _) => Told::of(self.create(command), 0),
            (CLOSE_PORT | UNLOAD, _) => {
                let port = self.update(|state| state.ports.remove(&name(&command)));
                match (port, command.op) {
                    (Some(port), CLOSE_PORT) => port.close(),
                    (Some(port), _) => port.unload(),
                    (None, _) => return Told::of(Status::OBJECT_NAME_NOT_FOUND, 0),
                }
                Told::of(Status::SUCCESS, 0)
            }
            _ => Told::of(Status::INVALID_PARAMETER, 0),
        }
    }

    /// Sends on a thread of its own; the number by which what came of it is asked for.
    fn send(&self, command: Command, client: Client) -> u64 {
        let ticket = self.update(|state| {
            state.next += 1;
            state.tickets.insert(state.next, None);
            state.next
        });
        let driven = self.clone();
        thread::spawn(move || {
            let message: Vec<u8> = (0..command.len as usize).map(pattern).collect();
            let timeout = match command.timeout {
                0 => Timeout::Poll,
                timeout => {
                    u64::try_from(timeout).map_or(Timeout::Never, |ms| Timeout::After(Duration::from_millis(ms)))
                }
            };
            let told = if command.op == SEND {
                let sent = client.send(&message, timeout);
                Told::of(sent.map_or_else(|error| error.status(), |()| Status::SUCCESS), 0)
            } else {
                let mut reply = vec![0xEE; command.capacity as usize];
                match client.ask(&message, &mut reply, timeout) {
                    Ok(answered) => {
                        let mut told = Told::of(answered.status, 0);
                        told.len = answered.len as u64;
                        let fits = reply.len().min(told.bytes.len());
                        told.bytes[..fits].copy_from_slice(&reply[..fits]);
                        told
                    }
                    Err(error) => Told::of(error.status(), 0),
                }
            };
            driven.update(|state| state.tickets.insert(ticket, Some(told)));
        });
        ticket
    }

    /// What came of a send; not done, if nothing has in the time that the program waits.
    fn result(&self, command: Command) -> Told {
        let over = |state: &mut State| state.tickets.get(&command.len).is_some_and(Option::is_none);
        let patience = Duration::from_millis(command.timeout.unsigned_abs());
        let waited = self.shared.1.wait_timeout_while(self.state(), patience, over);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        match state.tickets.get(&command.len) {
            Some(None) => Told { done: 0, ..Told::of(Status::PENDING, 0) },
            Some(Some(_)) => state.tickets.remove(&command.len).flatten().unwrap(),
            None => Told::of(Status::NOT_FOUND, 0),
        }
    }

    /// How often a connection was made and ended, and how many of its callbacks run.
    fn know(&self, number: u32) -> Told {
        let state = self.state();
        let count = |counts: &HashMap<u32, u64>| counts.get(&number).copied().unwrap_or(0);
        let mut told = Told::of(Status::SUCCESS, count(&state.connects));
        told.len = count(&state.disconnects);
        told.bytes[..8].copy_from_slice(&count(&state.running).to_le_bytes());
        told
    }

    fn create(&self, command: Command) -> Status {
        let mut options = PortOptions::default().namespace(self.namespace.clone());
        options = options.max_connections(command.capacity as u32);
        options = options.case_insensitive(command.flags & CASE_INSENSITIVE != 0);
        if command.flags & CONNECT_RIGHT_ONLY != 0 {
            options = options.security("D:(A;;0x1;;;WD)".parse::<SecurityDescriptor>().unwrap());
        }
        if command.flags & NOBODY != 0 {
            options = options.security("D:P".parse::<SecurityDescriptor>().unwrap());
        }
        let serve = Self { no_callback: command.flags & NO_CALLBACK != 0, ..self.clone() };
        let name = name(&command);
        match Port::create(&name, options, serve) {
            Ok(port) => {
                self.update(|state| state.ports.insert(name, port));
                Status::SUCCESS
            }
            Err(error) => error.status(),
        }
    }
}

fn name(command: &Command) -> String {
    let end = command.name.iter().position(|&byte| byte == 0).unwrap_or(command.name.len());
    String::from_utf8_lossy(&command.name[..end]).into_owned()
}

impl Serve for Driven {
    type Session = Session;

    fn connect(&self, client: &Client, context: &[u8]) -> Result<Session, Status> {
        let context = Context::read_from_prefix(context).map_or_else(|_| Context::default(), |(context, _)| context);
        if context.kind == CONTROL {
            return Ok(Session { context, client: client.clone() });
        }
        self.update(|state| *state.connects.entry(context.number).or_default() += 1);
        if context.flags & HOLD_CONNECT != 0 {
            self.hold(context.number);
        }
        if context.flags & ASK_IN_CONNECT != 0 {
            let asked = client.ask(b"too early", &mut [], Timeout::After(Duration::from_millis(50)));
            assert_eq!(asked.unwrap_err().status(), Status::TIMEOUT);
        }
        if context.flags & CLOSE_IN_CONNECT != 0 {
            client.close();
        }
        if context.status != 0 {
            return Err(Status(context.status));
        }
        self.update(|state| state.clients.insert(context.number, client.clone()));
        Ok(Session { context, client: client.clone() })
    }

    fn message(&self, session: &Session, _: &Process, input: &[u8], output: &mut [u8]) -> Response {
        if session.context.kind == CONTROL {
            let Ok(command) = Command::read_from_bytes(input) else { return Status::INVALID_PARAMETER.into() };
            let told = self.control(command);
            let Some(room) = output.get_mut(..size_of::<Told>()) else { return Status::BUFFER_TOO_SMALL.into() };
            room.copy_from_slice(told.as_bytes());
            return Response::from(room.len());
        }
        if self.no_callback {
            return Status::INVALID_DEVICE_REQUEST.into();
        }
        let Ok((request, _)) = Request::read_from_prefix(input) else { return Response::from(input.len()) };
        let number = session.context.number;
        self.update(|state| *state.running.entry(number).or_default() += 1);
        match request.kind {
            HOLD => self.hold(number),
            ASK_BACK => {
                let mut reply = [0; 8];
                let asked = session.client.ask(b"from within", &mut reply, Timeout::After(Duration::from_secs(20)));
                output[..8].copy_from_slice(&reply);
                let status = asked.map_or_else(|error| error.status(), |reply| reply.status);
                self.update(|state| *state.running.entry(number).or_default() -= 1);
                return Response { status, len: 8 };
            }
            CLOSE_ITSELF => session.client.close(),
            _ => assert_eq!(request.kind, ANSWER),
        }
        let written = output.len().min(request.written as usize);
        output[..written].iter_mut().enumerate().for_each(|(at, byte)| *byte = pattern(at));
        self.update(|state| *state.running.entry(number).or_default() -= 1);
        Response { status: Status(request.status), len: request.returned as usize }
    }

    fn disconnect(&self, session: Session) {
        let number = session.context.number;
        if session.context.kind == CONTROL {
            return;
        }
        if session.context.flags & HOLD_DISCONNECT != 0 {
            self.hold(number);
        }
        self.update(|state| *state.disconnects.entry(number).or_default() += 1);
    }
}
