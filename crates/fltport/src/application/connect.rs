//! The handshake, seen from the application: how a process comes to use a connection.

use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use crate::monitor::{Interest, Monitor};
use proto::name::PortName;
use proto::slots::Holder;
use proto::status::Status;
use proto::wait::Patience;
use proto::wire::{self, FromClient, FromHost, HANDLE_FILES, Hello, MAX_MESSAGE_LEN, Refused, WELCOME_FILES};
use sys::fork::ForkGuard;
use sys::memory::Memory;
use sys::socket::{Received, Socket};

use super::arrivals::LOST;
#[cfg(feature = "async")]
use super::async_requests::AsyncRequests;
use super::attachment::{Alarm, Attachment};
use super::register::Register;
use crate::namespace::Namespace;
use crate::sync::lock;
use crate::{Error, handle, wait};

/// How to connect: where to look, and what the handle may do.
#[derive(Debug, Clone, Default)]
pub struct ConnectOptions {
    namespace: Option<Namespace>,
    inheritable: bool,
    timeout: Option<Duration>,
}

impl ConnectOptions {
    /// Looks for the port in `namespace` only, instead of where [`Namespace::current`] says.
    #[must_use]
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// Whether programs that this process starts inherit the handle: [`super::Connection::inheritable`] tells under which
    /// number, and how they open it. Without it nothing of the connection passes exec.
    #[must_use]
    #[doc(alias("bInheritHandle", "SECURITY_ATTRIBUTES", "lpSecurityAttributes"))]
    pub fn inheritable(mut self, inheritable: bool) -> Self {
        self.inheritable = inheritable;
        self
    }

    /// How long to wait for the filter's answer; for ever unless set, as on Windows: the filter's connect callback may
    /// take its time, and a host that was stopped answers when it goes on. To wait for a place in a host's queue counts.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

/// How long a host has to answer what it answers without asking its filter.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// How long a client goes on trying after it was first turned away unheard: the host gives other clients, and itself, a second.
const UNHEARD_TIME: Duration = Duration::from_secs(3);

/// The first and the longest pause before it tries again.
const UNHEARD_PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(64));

pub(super) fn connect(options: &ConnectOptions, name: &str, context: &[u8]) -> Result<Arc<Attachment>, Error> {
    let doing = || format!("connecting to {name}");
    let port = PortName::parse(name).map_err(|status| Error::new(status, doing()))?;
    let hello = Hello::new(port.clone(), context).map_err(|status| {
        Error::new(status, doing()).hint(format!("the context is {} bytes, 65,511 are the limit", context.len()))
    })?;
    wait::warm_up();
    let deadline = options.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let namespace = options.namespace.clone().unwrap_or_else(Namespace::current);
    let hello = FromClient::Hello(hello).encode();
    let mut first = None;
    let (mut pause, longest) = UNHEARD_PAUSE;
    let socket = loop {
        let (socket, unheard) = say_hello(&namespace, &port, &hello, deadline, &doing)?;
        let now = Instant::now();
        let in_time = deadline.is_none_or(|deadline| now + pause < deadline);
        if !unheard || !in_time || now - *first.get_or_insert(now) > UNHEARD_TIME {
            break socket;
        }
        std::thread::sleep(pause);
        pause = longest.min(pause * 2);
    };
    let attachment = match hear(&doing, |packet| socket.recv(packet))? {
        (FromHost::Welcome { holder: Some(holder), .. }, files) => {
            let files = files.try_into().map_err(|_| unlike(doing(), "it comes without the connection's memory"))?;
            establish(port, holder, socket, None, files, &doing)?
        }
        _ => return Err(unlike(doing(), "the host answered, but not with the connection's memory")),
    };
    if options.inheritable {
        let handle = Socket::from(duplicate(&attachment)?);
        handle.pass_exec().map_err(|error| Error::resources(doing(), error))?;
        *lock(&attachment.inheritable) = Some(handle);
    }
    Ok(attachment)
}

/// Says to the port's host what is wanted, and waits for the answer, which stays in the socket. True: the host has not
/// heard it, and it may be said again.
fn say_hello(
    namespace: &Namespace,
    port: &PortName,
    hello: &[u8],
    deadline: Option<Instant>,
    doing: &impl Fn() -> String,
) -> Result<(Socket, bool), Error> {
    let find = || {
        namespace.find_deadline(port, deadline).map_err(|error| match error.status() {
            // there was no place in its queue when the time of this call was over
            Status::IO_TIMEOUT => unanswered(doing(), ErrorKind::TimedOut.into()),
            _ => error,
        })
    };
    let socket = find()?;
    match socket.send(hello, &[]) {
        Ok(()) => {}
        // a host that has turned us away already may have said why
        Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
        Err(error) => return Err(unanswered(doing(), error)),
    }
    socket.wait_readable(deadline).map_err(|error| unanswered(doing(), error))?;
    let mut start = [0; wire::UNHEARD.len()];
    if !socket.peek(&mut start).is_ok_and(|answer| answer.len != 0) {
        // the port has closed, or its host has ended, before it answered: most likely there is no such port any more
        find()?;
    }
    Ok((socket, start == wire::UNHEARD))
}

/// Uses the connection that `handle` keeps alive; keeps it, if it is one that children inherit, or lets go of it.
pub(super) fn open(handle: Socket, doing: &impl Fn() -> String) -> Result<Arc<Attachment>, Error> {
    wait::warm_up();
    let no_handle = || unlike(doing(), "this is no handle of a connection");
    let (FromHost::Welcome { holder: None, name }, files) = hear(doing, |packet| handle.peek(packet))? else {
        return Err(no_handle());
    };
    let [way, host, shared] = <[OwnedFd; HANDLE_FILES]>::try_from(files).map_err(|_| no_handle())?;
    let way = Socket::adopt(way).map_err(|_| no_handle())?;
    let deadline = Instant::now() + ANSWER_TIME;
    let said = way.send_deadline(&FromClient::Duplicate.encode(), &[], deadline);
    said.map_err(|error| unanswered(doing(), error))?;
    // of other processes that have asked there too, any may get the other's
    let (FromHost::Handle, files) = hear(doing, |packet| way.recv_deadline(packet, deadline))? else {
        return Err(unlike(doing(), "the host answered, but not with a handle"));
    };
    let [ours] = <[OwnedFd; 1]>::try_from(files).map_err(|_| lost(doing()))?;
    let ours = Socket::adopt(ours).map_err(|_| no_handle())?;
    let holder = take_up(&ours, deadline, doing)?;
    let inheritable = handle.passes_exec().map_err(|error| Error::resources(doing(), error))?.then_some(handle);
    establish(name, holder, ours, inheritable, [host, shared], doing)
}

/// Says that this process uses the connection by `ours`, as often as the host wants to hear it; which holder it is.
fn take_up(ours: &Socket, deadline: Instant, doing: &impl Fn() -> String) -> Result<Holder, Error> {
    loop {
        let said = ours.send_deadline(&FromClient::Use.encode(), &[], deadline);
        said.map_err(|error| unanswered(doing(), error))?;
        match hear(doing, |packet| ours.recv_deadline(packet, deadline))? {
            (FromHost::Confirm, _) => {}
            (FromHost::Welcome { holder: Some(holder), .. }, _) => return Ok(holder),
            _ => return Err(unlike(doing(), "the host did not say which process this is")),
        }
    }
}

/// Makes another handle that keeps a connection alive, and can be opened, with the memory in it.
pub(super) fn duplicate(attachment: &Attachment) -> Result<OwnedFd, Error> {
    let doing = || format!("duplicating a handle of {}", attachment.name);
    let deadline = Instant::now() + ANSWER_TIME;
    let said = attachment.socket.send_deadline(&FromClient::Duplicate.encode(), &[], deadline);
    said.map_err(|error| unanswered(doing(), error))?;
    let answer = attachment.handle(deadline).map_err(|error| unanswered(doing(), error))?;
    let way = answer.map_err(|refused| refusal(doing(), &refused))?;
    let [host, shared] = &attachment.passed_on;
    handle::filled(&attachment.name, [way.as_fd(), host.as_fd(), shared.as_fd()])
        .map_err(|error| unanswered(doing(), error))
}

fn refusal(doing: String, refused: &Refused) -> Error {
    let error = Error::new(refused.status(), doing);
    if refused.sentence().is_empty() { error } else { error.hint(refused.sentence()) }
}

fn lost(doing: String) -> Error {
    Error::new(Status::INSUFFICIENT_RESOURCES, doing).hint(LOST)
}

fn unlike(doing: String, what: impl Into<String>) -> Error {
    Error::new(Status::INVALID_PARAMETER, doing).hint(what.into())
}

/// Why no answer came.
fn unanswered(doing: String, error: std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::TimedOut => Error::new(Status::TIMEOUT, doing).hint("the filter's host did not answer in time"),
        ErrorKind::WouldBlock => unlike(doing, "this is no handle of a connection: nothing lies in it"),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::NotConnected => {
            Error::with_source(Status::PORT_DISCONNECTED, doing, error)
        }
        // of the host nothing is known; among these is ETOOMANYREFS: this user's handles that no process has opened are
        // more descriptors than one process may have
        _ => Error::resources(doing, error),
    }
}

/// What the host answers, and the descriptors that come with it.
///
/// # Errors
/// Its refusal; or there is no answer.
fn hear(
    doing: &impl Fn() -> String,
    receive: impl FnOnce(&mut [u8]) -> std::io::Result<Received>,
) -> Result<(FromHost, Vec<OwnedFd>), Error> {
    let mut packet = vec![0; MAX_MESSAGE_LEN];
    let received = receive(&mut packet).map_err(|error| unanswered(doing(), error))?;
    if received.len == 0 {
        return Err(
            Error::new(Status::PORT_DISCONNECTED, doing()).hint("the filter ended, or its host refuses to talk")
        );
    }
    match FromHost::parse(&packet[..received.len]) {
        Ok(FromHost::Refused(refused)) => Err(refusal(doing(), &refused)),
        Ok(_) if received.truncated => Err(lost(doing())),
        Ok(answer) => Ok((answer, received.files)),
        Err(violation) => Err(unlike(doing(), format!("the host speaks another protocol: {violation}"))),
    }
}

fn establish(
    name: PortName,
    holder: Holder,
    socket: Socket,
    inheritable: Option<Socket>,
    files: [OwnedFd; WELCOME_FILES],
    doing: &impl Fn() -> String,
) -> Result<Arc<Attachment>, Error> {
    let failed = |error| Error::resources(doing(), error);
    let [host, shared] = &files;
    let memory = Memory::open(host.as_fd(), shared.as_fd()).map_err(failed)?;
    let alarm = Arc::new(Alarm { gone: AtomicBool::new(false), attachment: Mutex::new(Weak::new()) });
    let socket = Arc::new(socket);
    let attachment = Arc::new(Attachment {
        name,
        holder,
        memory,
        passed_on: files,
        socket: Arc::clone(&socket),
        inheritable: Mutex::new(inheritable),
        guard: ForkGuard::new(),
        alarm: Arc::clone(&alarm),
        watching: OnceLock::new(),
        receives: Patience::default(),
        sends: Patience::default(),
        asleep: AtomicUsize::new(0),
        arrivals: Mutex::default(),
        slots: Default::default(),
        windows: Mutex::default(),
        completions: Register::default(),
        #[cfg(feature = "async")]
        requests: AsyncRequests::new(),
    });
    *lock(&alarm.attachment) = Arc::downgrade(&attachment);
    let monitor = Monitor::of_this_process().map_err(failed)?;
    let watching = monitor.watch(socket, Interest::Hangup, None, alarm).map_err(failed)?;
    // set once, here
    let _ = attachment.watching.set(watching);
    Ok(attachment)
}
