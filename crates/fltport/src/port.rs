//! The filter's end: a port, who may connect to it, and what is done when somebody does.

mod accept;
mod client;
mod courier;
mod deliver;
mod flying;
mod guest;
mod handles;
mod listener;
mod process;
mod requests;
mod stream;
mod violations;

use std::sync::Arc;
use std::time::Duration;

use proto::descriptor::SecurityDescriptor;
use proto::name::PortName;
use proto::quota::Limits;
use proto::status::Status;

use crate::Error;
use crate::namespace::Namespace;

pub use client::Client;
pub use courier::{Answered, Question};
pub use deliver::{Pending, Reply};
pub use process::Process;

/// What a filter does with its port's connections. One value serves all connections, from many threads at once.
///
/// ```no_run
/// use fltport::{Answer, Client, Port, PortOptions, Process, Serve, Status};
///
/// struct Counter;
///
/// impl Serve for Counter {
///     type Session = std::sync::atomic::AtomicU64;
///
///     fn connect(&self, _: &Client, context: &[u8]) -> Result<Self::Session, Status> {
///         if context == b"v1" { Ok(Self::Session::default()) } else { Err(Status::REVISION_MISMATCH) }
///     }
///
///     fn message(&self, session: &Self::Session, _: &Process, _: &[u8], output: &mut [u8]) -> Answer {
///         let n = session.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///         let Some(room) = output.get_mut(..8) else { return Status::BUFFER_TOO_SMALL.into() };
///         room.copy_from_slice(&n.to_le_bytes());
///         Answer::from(8)
///     }
/// }
///
/// # fn main() -> Result<(), fltport::Error> {
/// let port = Port::create(r"\CounterPort", PortOptions::default(), Counter)?;
/// # Ok(()) }
/// ```
pub trait Serve: Send + Sync + 'static {
    /// What the filter keeps for one connection: Windows' connection cookie, freed by itself.
    #[doc(alias = "ConnectionPortCookie")]
    type Session: Send + Sync + 'static;

    /// Somebody with the right to do so connects, with up to 65,511 bytes of context. Runs on a thread of the library;
    /// the client waits for it. It may block; other connects go on. The client has no handle yet, so a message sent to
    /// it here waits until its timeout.
    ///
    /// The context is there during the call only; a filter that needs it later copies it. This does not compile:
    ///
    /// ```compile_fail
    /// # use fltport::{Client, Serve, Status};
    /// struct Keeper(std::sync::Mutex<Vec<&'static [u8]>>);
    ///
    /// impl Serve for Keeper {
    ///     type Session = ();
    ///     fn connect(&self, _: &Client, context: &[u8]) -> Result<(), Status> {
    ///         self.0.lock().unwrap().push(context);
    ///         Ok(())
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// The status that the client's connect returns. A status of success severity refuses too, as
    /// [`Status::INVALID_PARAMETER`], because there is no session to go on with.
    #[doc(alias("ConnectNotify", "PFLT_CONNECT_NOTIFY"))]
    fn connect(&self, client: &Client, context: &[u8]) -> Result<Self::Session, Status>;

    /// The client sends: `input` has at least one byte, `output` is zeroed room of the size that the client gave; `from`
    /// is the process that does, which another may have given the connection to. Runs on a thread of the library,
    /// several at a time, and may block. A panic answers [`Status::INTERNAL_ERROR`].
    #[doc(alias("MessageNotify", "PFLT_MESSAGE_NOTIFY"))]
    fn message(&self, session: &Self::Session, from: &Process, input: &[u8], output: &mut [u8]) -> Answer {
        let _ = (session, from, input, output);
        Status::INVALID_DEVICE_REQUEST.into()
    }

    /// The connection has ended. Called once for each accepted connection, when no `message` of it runs any more and
    /// all waiting sends have been released. Its place among the port's connections is free when this returns.
    #[doc(alias("DisconnectNotify", "PFLT_DISCONNECT_NOTIFY"))]
    fn disconnect(&self, session: Self::Session) {
        drop(session);
    }
}

/// What a message callback answers: a status and how many bytes of output are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias("ReturnOutputBufferLength", "lpBytesReturned"))]
pub struct Answer {
    /// The status that the client's send ends with.
    pub status: Status,
    /// The length that the client is told: not cut to its buffer, and 0 with an error, except for
    /// [`Status::BUFFER_TOO_SMALL`], which keeps it.
    pub len: usize,
}

impl From<usize> for Answer {
    fn from(len: usize) -> Self {
        Self { status: Status::SUCCESS, len }
    }
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        Self { status, len: 0 }
    }
}

/// How a port is created.
#[derive(Debug, Clone)]
pub struct PortOptions {
    max_connections: u32,
    security: SecurityDescriptor,
    case_insensitive: bool,
    namespace: Option<Namespace>,
    max_request: usize,
    max_stall: Duration,
    limits: Limits,
    connections_per_user: Option<u32>,
    request_bytes_per_user: Option<usize>,
}

impl Default for PortOptions {
    /// One connection, by root and the administrators (its mapping: root's group) only.
    fn default() -> Self {
        Self {
            max_connections: 1,
            security: SecurityDescriptor::default_for(proto::access::AccessMask::PORT_ALL_ACCESS),
            case_insensitive: false,
            namespace: None,
            max_request: 64 << 20,
            max_stall: Duration::from_secs(30),
            limits: Limits::default(),
            connections_per_user: None,
            request_bytes_per_user: None,
        }
    }
}

impl PortOptions {
    /// How many connections there may be at a time; 0 is refused by [`Port::create`].
    #[must_use]
    #[doc(alias = "MaxConnections")]
    pub fn max_connections(mut self, max_connections: u32) -> Self {
        self.max_connections = max_connections;
        self
    }

    /// The users that may connect. What in it has another effect than it seems to have ([`SecurityDescriptor::notes`]), such as
    /// that there is no list of entries at all, is a warning in the log when the port is created.
    #[must_use]
    #[doc(alias("OBJECT_ATTRIBUTES", "SecurityDescriptor"))]
    pub fn security(mut self, security: SecurityDescriptor) -> Self {
        self.security = security;
        self
    }

    /// Also accepts clients that write the name in another case (ASCII), and collides with such names.
    #[must_use]
    #[doc(alias = "OBJ_CASE_INSENSITIVE")]
    pub fn case_insensitive(mut self, case_insensitive: bool) -> Self {
        self.case_insensitive = case_insensitive;
        self
    }

    /// Creates the port in `namespace` instead of where [`Namespace::current`] says.
    #[must_use]
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// The most bytes that one request may have, and the most room for its output, 64 MiB each unless set: the filter's
    /// process holds both. A longer request, or one with more room, ends with [`Status::INSUFFICIENT_RESOURCES`].
    #[must_use]
    pub fn max_request(mut self, bytes: usize) -> Self {
        self.max_request = bytes;
        self
    }

    /// How long a client may pause in the middle of a request, or of reading an answer, of more than 64 KiB: 30 seconds
    /// unless set. It holds a thread of the filter's process as long. The request then ends with [`Status::TIMEOUT`],
    /// which the client finds when it goes on; its connection and everything else that it has under way go on.
    #[must_use]
    pub fn max_stall(mut self, pause: Duration) -> Self {
        self.max_stall = pause;
        self
    }

    /// How many connections one user may have at a time: unless set, all that the port has
    /// ([`PortOptions::max_connections`]), as on Windows, so that a port which admits several users does well to set
    /// it. One more is refused with [`Status::INSUFFICIENT_RESOURCES`] and a sentence that names this limit.
    #[must_use]
    pub fn max_connections_per_user(mut self, connections: u32) -> Self {
        self.connections_per_user = Some(connections);
        self
    }

    /// How many handles one user may have beyond those that connected, duplicated or inherited ones, 64 unless set:
    /// each is a descriptor of the host. One more is refused with [`Status::INSUFFICIENT_RESOURCES`].
    #[must_use]
    pub fn max_handles_per_user(mut self, handles: u32) -> Self {
        self.limits.handles = handles.into();
        self
    }

    /// How many bytes the requests of one user may hold in the filter's process at a time, the room for their outputs
    /// counted. Unless set, 128 MiB, or twice [`PortOptions::max_request`] where that is more: so that the longest
    /// request that the port takes, with as much output, fits, and a user at this limit has one of those or many small
    /// ones. A request that does not fit ends with [`Status::INSUFFICIENT_RESOURCES`].
    #[must_use]
    pub fn max_request_bytes_per_user(mut self, bytes: usize) -> Self {
        self.request_bytes_per_user = Some(bytes);
        self
    }

    /// How many requests of one user may be under way at a time, in all its connections (one connection has 16 at
    /// most): 256 unless set. Each may hold a thread, of which the filter's process has 1,024 for all callbacks; one
    /// user holds no more of them, on all ports together, than are left to others: 512 at most, and what is more waits.
    /// One more than this limit ends with [`Status::INSUFFICIENT_RESOURCES`].
    #[must_use]
    pub fn max_requests_per_user(mut self, requests: u32) -> Self {
        self.limits.requests = requests.into();
        self
    }

    fn limits(&self) -> Limits {
        let bytes = |bytes: usize| bytes as u64;
        let enough = self.limits.request_bytes.max(bytes(self.max_request).saturating_mul(2));
        Limits {
            connections: self.connections_per_user.unwrap_or(self.max_connections).into(),
            request_bytes: self.request_bytes_per_user.map_or(enough, bytes),
            ..self.limits
        }
    }

    /// How many clients of one user may have connected without having said yet what they want, for which they have a
    /// second: 8 unless set. One more is turned away unheard, as is who needs longer, and tries again for 3 seconds.
    #[must_use]
    pub fn max_half_open_per_user(mut self, clients: u32) -> Self {
        self.limits.half_open = clients.into();
        self
    }
}

/// What one user holds of a port at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Clients that have connected and not said yet what they want.
    pub half_open: u64,
    /// Connections, until their disconnect callback has returned.
    pub connections: u64,
    /// Handles beyond those that connected.
    pub handles: u64,
    /// Requests under way.
    pub requests: u64,
    /// Their bytes, and those of the room for their answers.
    pub request_bytes: u64,
}

/// A port that clients can connect to. Dropping it closes it, as [`Port::close`] does.
///
/// In a forked child it stays the parent's: dropping, closing or unloading it there does nothing, the filter is not
/// dropped either, and it seems to have no connections.
#[derive(Debug)]
#[doc(alias("FltCreateCommunicationPort", "PFLT_PORT"))]
pub struct Port {
    core: Arc<dyn accept::Listening>,
}

impl Port {
    /// Creates the port `name` (`\ScannerPort`) and listens. `serve.connect` may be called before this returns.
    ///
    /// # Errors
    /// [`Status::INVALID_PARAMETER`]: no connection is allowed. [`Status::OBJECT_PATH_SYNTAX_BAD`],
    /// [`Status::OBJECT_NAME_INVALID`], [`Status::OBJECT_PATH_NOT_FOUND`]: the name. [`Status::OBJECT_NAME_COLLISION`]:
    /// another live host serves it. [`Status::ACCESS_DENIED`]: the namespace's directory cannot be written.
    /// [`Status::INSUFFICIENT_RESOURCES`]: no descriptors or memory.
    #[doc(alias = "FltCreateCommunicationPort")]
    pub fn create<S: Serve>(name: &str, options: PortOptions, serve: S) -> Result<Self, Error> {
        accept::listen(name, options, serve).map(|core| Self { core })
    }

    /// The port's name.
    pub fn name(&self) -> &PortName {
        self.core.name()
    }

    /// The connections at this moment.
    pub fn clients(&self) -> Vec<Client> {
        self.core.clients()
    }

    /// Sends a message that wants no reply to every client that has a receive posted which holds it, and never waits:
    /// a client that is slow costs the others nothing. Those that it did not reach, each with the error that
    /// [`Client::try_send`] would give.
    pub fn try_send_all(&self, message: &[u8]) -> Vec<(Client, Error)> {
        let sent = self.clients().into_iter().map(|client| (client.try_send(message), client));
        sent.filter_map(|(sent, client)| Some((client, sent.err()?))).collect()
    }

    /// What the user `uid` holds of this port at this moment.
    pub fn usage(&self, uid: u32) -> Usage {
        self.core.usage(uid)
    }

    /// How many connections and handshakes have ended because the client broke the protocol, by the breach's name
    /// ([`Violation`]). Each was logged once, as a warning.
    ///
    /// [`Violation`]: proto::violation::Violation
    pub fn violations(&self) -> Vec<(&'static str, u64)> {
        self.core.violations()
    }

    /// Stops listening: the name is free at once. Connections that exist go on; a connect callback that runs may still
    /// make one.
    #[doc(alias = "FltCloseCommunicationPort")]
    pub fn close(self) {
        drop(self);
    }

    /// Stops listening and ends every connection, as unloading a filter does: returns when every disconnect callback
    /// has returned. Clients keep a dead handle.
    ///
    /// Called from a callback of this port, that of a question too, it does not wait for that callback: it ends the
    /// connections and returns, and the disconnect callbacks run on a thread of the library's.
    #[doc(alias("FltUnregisterFilter", "FilterUnload"))]
    pub fn unload(self) {
        Arc::clone(&self.core).unload();
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        Arc::clone(&self.core).close();
    }
}
