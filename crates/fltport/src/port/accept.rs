//! Deciding about a client that has said what it wants, and making its connection.

use std::fmt;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::monitor::{Interest, Monitor, Watch, Watching};
use proto::access::{Token, check_connect, explain};
use proto::name::PortName;
use proto::quota::{Charge, Exceeded, Kind, Quotas, User};
use proto::slots::Requests;
use proto::status::Status;
use proto::wire::{FromHost, Hello, Info, MAX_PROCESSES, Refused};
use sys::descriptors;
use sys::fork::ForkGuard;
use sys::memory::Memory;
use sys::peer::Credentials;

use super::callback::Callback;
use super::client::Client;
use super::handles::Handle;
use super::link::Link;
use super::options::Usage;
use super::process::Mortal;
use super::serve::Serve;
use super::served::ServedPort;
use super::socket::ClientSocket;
use crate::namespace::Claim;
use crate::pool;
use crate::sync::lock;

/// A port, whatever its filter is.
pub(super) trait Listening: Send + Sync + fmt::Debug {
    fn name(&self) -> &PortName;
    fn clients(&self) -> Vec<Client>;
    fn usage(&self, uid: u32) -> Usage;
    fn violations(&self) -> Vec<(&'static str, u64)>;
    fn close(self: Arc<Self>);
    fn unload(self: Arc<Self>);
}

/// A port while it listens, and what admission needs to know.
pub(super) struct Acceptor<S: Serve> {
    pub(super) port: Arc<ServedPort<S>>,
    guard: ForkGuard,
    pub(super) listening: Mutex<Option<OpenSocket>>,
    /// What users hold. Locked for a moment only.
    quotas: Mutex<Quotas>,
    admission: Mutex<Admission>,
    /// Told when a connect callback has returned.
    passed: Condvar,
}

/// Which clients the filter still talks to.
#[derive(Debug, Default)]
struct Admission {
    /// The port is closed: a client that came before and speaks now comes too late.
    closed: bool,
    /// The filter unloads: no client is let in any more.
    shut: bool,
    /// Connect callbacks that run.
    connecting: usize,
}

/// What is open while a port listens. The watch goes before the claim: no client is accepted by a port without a name.
pub(super) struct OpenSocket {
    pub(super) watching: Watching,
    pub(super) claim: Arc<Claim>,
}

impl<S: Serve> fmt::Debug for Acceptor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServedPort { name, places, .. } = &*self.port;
        f.debug_struct("Port").field("name", name).field("connections", places).finish_non_exhaustive()
    }
}

/// A client that may go while the filter's connect callback runs.
struct Leaving(Arc<Link>);

impl Watch for Leaving {
    fn hangup(&self) {
        self.0.close();
    }
}

impl Mortal for Leaving {
    fn process_ended(&self) {
        self.hangup();
    }
}

impl<S: Serve> Listening for Acceptor<S> {
    fn name(&self) -> &PortName {
        &self.port.name
    }

    fn clients(&self) -> Vec<Client> {
        if self.is_parents() {
            return Vec::new();
        }
        self.port.connections().iter().map(|served| served.client.clone()).collect()
    }

    fn usage(&self, uid: u32) -> Usage {
        if self.is_parents() {
            return Usage::default();
        }
        let quotas = lock(&self.quotas);
        Usage {
            half_open: quotas.held(uid, Kind::HalfOpen),
            connections: quotas.held(uid, Kind::Connections),
            requests: quotas.held(uid, Kind::Requests),
            handles: quotas.held(uid, Kind::Handles),
            request_bytes: quotas.held(uid, Kind::RequestBytes),
        }
    }

    fn violations(&self) -> Vec<(&'static str, u64)> {
        if self.is_parents() {
            return Vec::new();
        }
        self.port.violations.read()
    }

    fn close(self: Arc<Self>) {
        if self.is_parents() {
            // the filter, too, is its parent's to drop: it may own what threads of the parent have locked
            return std::mem::forget(self);
        }
        lock(&self.admission).closed = true;
        // given up after the lock is let go: that may wait for other hosts
        let open = lock(&self.listening).take();
        if let Some(OpenSocket { watching, claim }) = open {
            drop(watching);
            // not left to the last owner: that may be the monitor, which takes a client at this moment
            claim.release();
        }
    }

    fn unload(self: Arc<Self>) {
        if self.is_parents() {
            return;
        }
        lock(&self.admission).shut = true;
        Arc::clone(&self).close();
        if Callback::runs(self.port.id) {
            // it cannot wait for itself
            for client in self.clients() {
                client.link.close();
            }
            return pool::run(move || self.unload());
        }
        let connecting = self.passed.wait_while(lock(&self.admission), |admission| admission.connecting != 0);
        drop(connecting.unwrap_or_else(PoisonError::into_inner));
        self.port.end_all();
    }
}

impl<S: Serve> Acceptor<S> {
    /// A port that does not listen yet.
    pub(super) fn new(port: ServedPort<S>) -> Self {
        let quotas = Quotas::new(port.options.limits());
        Self {
            port: Arc::new(port),
            guard: ForkGuard::new(),
            listening: Mutex::new(None),
            quotas: Mutex::new(quotas),
            admission: Mutex::default(),
            passed: Condvar::new(),
        }
    }

    /// Whether this is a forked child of the process that made the port. Nothing of it may be touched here then, its
    /// locks first of all: they are as they happened to be.
    fn is_parents(&self) -> bool {
        !self.guard.same_process()
    }

    /// What every user may know; `None` once the port is closed.
    pub(super) fn info(&self) -> Option<Info> {
        let places = self.port.places.load(Ordering::Relaxed);
        let processes = self.clients().into_iter().flat_map(|client| client.processes());
        let mut processes: Vec<_> = processes.map(|process| (process.pid(), process.credentials().uid)).collect();
        // one that has several connections is named once
        processes.sort_unstable();
        processes.dedup();
        processes.truncate(MAX_PROCESSES);
        let info = lock(&self.listening).as_ref()?.claim.info();
        Some(Info { connections: places, max_connections: self.port.options.max_connections, processes, ..info })
    }

    /// Decides about a client, and makes its connection.
    pub(super) fn admit(
        self: &Arc<Self>,
        hello: &Hello<'_>,
        peer: Credentials,
        socket: Arc<ClientSocket>,
    ) -> Result<(), Refused> {
        let ours = hello.name() == &self.port.name
            || (self.port.options.case_insensitive && hello.name().eq_ignore_case(&self.port.name));
        if !ours {
            return Err(Refused::new(Status::OBJECT_NAME_NOT_FOUND, format!("this is {}", self.port.name)));
        }
        let token = Token::for_unix(peer.uid, peer.gid, &peer.groups);
        if let Err(status) = check_connect(&self.port.options.security, &token) {
            let whom = explain(&self.port.options.security);
            return Err(Refused::new(status, format!("{} admits {whom}, you are user {}", self.port.name, peer.uid)));
        }
        self.place(hello, peer, socket)
    }

    /// Makes the connection of a client that may have one, if there is a place.
    pub(super) fn place(
        self: &Arc<Self>,
        hello: &Hello<'_>,
        peer: Credentials,
        socket: Arc<ClientSocket>,
    ) -> Result<(), Refused> {
        // charged first: a user who has all the connections that one may have takes no place, not for a moment in which
        // another could have it
        let charged = self.user(peer.uid).charge(Kind::Connections, 1);
        let most = self.port.options.max_connections;
        let one_more = |taken: u32| (taken < most).then_some(taken + 1);
        let placed = charged.is_ok();
        let room = match placed {
            true => self.port.places.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok(),
            false => self.port.places.load(Ordering::SeqCst) < most,
        };
        // in the order of Windows: a port that is full says so, whatever else is the matter
        if !room {
            return Err(Refused::new(
                Status::CONNECTION_COUNT_LIMIT,
                format!("{} has all its {most} connections", self.port.name),
            ));
        }
        self.pass(hello, peer, socket, charged).inspect_err(|_| {
            self.port.places.fetch_sub(placed.into(), Ordering::SeqCst);
        })
    }

    /// Makes the connection of a client that has a place, if its account allows it, unless the filter goes.
    fn pass(
        self: &Arc<Self>,
        hello: &Hello<'_>,
        peer: Credentials,
        socket: Arc<ClientSocket>,
        charged: Result<Charge, Exceeded>,
    ) -> Result<(), Refused> {
        {
            let mut admission = lock(&self.admission);
            if admission.shut {
                return Err(Refused::new(Status::FLT_DELETING_OBJECT, "the filter unloads"));
            }
            if admission.closed {
                return Err(Refused::new(Status::OBJECT_NAME_NOT_FOUND, format!("{} has closed", self.port.name)));
            }
            admission.connecting += 1;
        }
        let connected = charged
            .map_err(|exceeded| {
                tracing::debug!(port = %self.port.name, %exceeded, "client refused");
                Refused::new(Status::INSUFFICIENT_RESOURCES, format!("{}: {exceeded}", self.port.name))
            })
            .and_then(|charge| self.connect(hello, peer, socket, charge));
        lock(&self.admission).connecting -= 1;
        self.passed.notify_all();
        connected
    }

    pub(super) fn user(&self, uid: u32) -> Arc<User> {
        lock(&self.quotas).user(uid)
    }

    fn connect(
        self: &Arc<Self>,
        hello: &Hello<'_>,
        peer: Credentials,
        socket: Arc<ClientSocket>,
        charge: Charge,
    ) -> Result<(), Refused> {
        let resources =
            |error: std::io::Error| Refused::new(Status::INSUFFICIENT_RESOURCES, format!("the filter's host: {error}"));
        let (memory, files) = Memory::create().map_err(resources)?;
        // open for as long as the callback runs, which may be long
        files.iter().try_for_each(descriptors::leaves_reserve).map_err(|reserved| resources(reserved.into()))?;
        Requests(&memory.shared().requests.word).open();
        let peer = Arc::new(peer);
        let first = Arc::new(Handle::first(Arc::clone(&socket), &peer).map_err(resources)?);
        let link = Link::new(self.port.id, self.port.name.clone(), peer, memory, Arc::clone(&self.port.violations));
        let client = Client::new(link);
        client.link.handles.add(Arc::clone(&first));
        let called = std::panic::AssertUnwindSafe(|| {
            let _runs = Callback::begin(self.port.id);
            // a message to a client that goes meanwhile ends; without a watch it would end with its timeout
            let leaving = Arc::new(Leaving(Arc::clone(&client.link)));
            first.tell_of_process(&leaving);
            let _watching = Monitor::of_this_process()
                .and_then(|monitor| monitor.watch(Arc::clone(&socket) as _, Interest::Hangup, None, leaving));
            self.port.serve.connect(&client, hello.context())
        });
        let session = match std::panic::catch_unwind(called) {
            Ok(Ok(session)) => session,
            Ok(Err(status)) => {
                client.link.refuse();
                let refused = if status.is_success_severity() { Status::INVALID_PARAMETER } else { status };
                if refused != status {
                    tracing::warn!(
                        port = %self.port.name,
                        "a connect callback refused with {status:?}, which is no failure: the client gets {refused:?}"
                    );
                }
                return Err(Refused::new(refused, ""));
            }
            Err(_) => {
                client.link.refuse();
                return Err(Refused::new(Status::INTERNAL_ERROR, "the filter's connect callback panicked"));
            }
        };
        let served = self.port.add(client, session, charge);
        let [host, shared] = &files;
        let welcome = FromHost::Welcome { holder: first.holder(), name: self.port.name.clone() };
        if let Err(error) = socket.try_send(&welcome.encode(), &[host.as_fd(), shared.as_fd()]) {
            // it is gone already; or the kernel carries no more descriptors for this user at the moment (ETOOMANYREFS)
            tracing::debug!(%error, port = %self.port.name, pid = served.client.link.peer.pid, "client not welcomed");
            let _ = socket.try_send(&FromHost::Refused(resources(error)).encode(), &[]);
            served.begin_end();
            return Ok(());
        }
        served.client.link.welcomed();
        // of a connection that has ended already, the monitor sees the hang-up, and lets go of it
        if let Err(error) = served.watch(&first) {
            tracing::warn!(%error, port = %self.port.name, "client disconnected: its socket cannot be watched");
            served.begin_end();
        }
        Ok(())
    }
}
