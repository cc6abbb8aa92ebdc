//! How a port is created, and what its users hold of it.

use std::time::Duration;

use proto::descriptor::SecurityDescriptor;
use proto::quota::Limits;

use crate::namespace::Namespace;

/// How a port is created.
#[derive(Debug, Clone)]
pub struct PortOptions {
    pub(super) max_connections: u32,
    pub(super) security: SecurityDescriptor,
    pub(super) case_insensitive: bool,
    pub(super) namespace: Option<Namespace>,
    pub(super) max_request: usize,
    pub(super) max_stall: Duration,
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
    /// How many connections there may be at a time; 0 is refused by [`super::Port::create`].
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
    /// process holds both. A longer request, or one with more room, ends with [`crate::Status::INSUFFICIENT_RESOURCES`].
    #[must_use]
    pub fn max_request(mut self, bytes: usize) -> Self {
        self.max_request = bytes;
        self
    }

    /// How long a client may pause in the middle of a request, or of reading an answer, of more than 64 KiB: 30 seconds
    /// unless set. It holds a thread of the filter's process as long. The request then ends with [`crate::Status::TIMEOUT`],
    /// which the client finds when it goes on; its connection and everything else that it has under way go on.
    #[must_use]
    pub fn max_stall(mut self, pause: Duration) -> Self {
        self.max_stall = pause;
        self
    }

    /// How many connections one user may have at a time: unless set, all that the port has
    /// ([`PortOptions::max_connections`]), as on Windows, so that a port which admits several users does well to set
    /// it. One more is refused with [`crate::Status::INSUFFICIENT_RESOURCES`] and a sentence that names this limit.
    #[must_use]
    pub fn max_connections_per_user(mut self, connections: u32) -> Self {
        self.connections_per_user = Some(connections);
        self
    }

    /// How many handles one user may have beyond those that connected, duplicated or inherited ones, 64 unless set:
    /// each is a descriptor of the host. One more is refused with [`crate::Status::INSUFFICIENT_RESOURCES`].
    #[must_use]
    pub fn max_handles_per_user(mut self, handles: u32) -> Self {
        self.limits.handles = handles.into();
        self
    }

    /// How many bytes the requests of one user may hold in the filter's process at a time, the room for their outputs
    /// counted. Unless set, 128 MiB, or twice [`PortOptions::max_request`] where that is more: so that the longest
    /// request that the port takes, with as much output, fits, and a user at this limit has one of those or many small
    /// ones. A request that does not fit ends with [`crate::Status::INSUFFICIENT_RESOURCES`].
    #[must_use]
    pub fn max_request_bytes_per_user(mut self, bytes: usize) -> Self {
        self.request_bytes_per_user = Some(bytes);
        self
    }

    /// How many requests of one user may be under way at a time, in all its connections (one connection has 16 at
    /// most): 256 unless set. Each may hold a thread, of which the filter's process has 1,024 for all callbacks; one
    /// user holds no more of them, on all ports together, than are left to others: 512 at most, and what is more waits.
    /// One more than this limit ends with [`crate::Status::INSUFFICIENT_RESOURCES`].
    #[must_use]
    pub fn max_requests_per_user(mut self, requests: u32) -> Self {
        self.limits.requests = requests.into();
        self
    }

    pub(super) fn limits(&self) -> Limits {
        let bytes = |bytes: usize| bytes as u64;
        let enough = self.limits.request_bytes.max(bytes(self.max_request).saturating_mul(2));
        Limits {
            connections: self.connections_per_user.unwrap_or(self.max_connections).into(),
            request_bytes: self.request_bytes_per_user.map_or(enough, bytes),
            ..self.limits
        }
    }

    /// How many clients of one user may have connected without having said yet what they want, for which they have a
    /// second: 8 unless set. One more is turned away unheard, as is one that needs longer, and tries again for 3
    /// seconds.
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
