//! Listening, the handshake, and the end of a connection.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, Weak};

use proto::access::{Token, check_connect, explain};
use proto::name::PortName;
use proto::quota::{Charge, Exceeded, Kind, Quotas, User};
use proto::slots::{Desk, Requests};
use proto::status::Status;
use proto::wire::{FromHost, Hello, HelloFlags, Info, MAX_PROCESSES, Refused};
use sys::descriptors;
use sys::fork::ForkGuard;
use sys::memory::Memory;
use sys::monitor::{Interest, Monitor, Watch, Watching};
use sys::peer::Credentials;
use sys::socket::Socket;

use super::client::{Client, Inner};
use super::guest::Guest;
use super::handles::Handle;
use super::listener::Accepting;
use super::process::Mortal;
use super::violations::Violations;
use super::{PortOptions, Serve, Usage};
use crate::namespace::{Claim, Namespace};
use crate::sync::lock;
use crate::{Error, pool, wait};

/// A port, whatever its filter is.
pub(super) trait Listening: Send + Sync + fmt::Debug {
    fn name(&self) -> &PortName;
    fn clients(&self) -> Vec<Client>;
    fn usage(&self, uid: u32) -> Usage;
    fn violations(&self) -> Vec<(&'static str, u64)>;
    fn close(self: Arc<Self>);
    fn unload(self: Arc<Self>);
}

/// A port: what its connections share.
pub(super) struct Core<S: Serve> {
    pub(super) id: PortId,
    pub(super) name: PortName,
    pub(super) options: PortOptions,
    pub(super) serve: S,
    guard: ForkGuard,
    pub(super) listening: Mutex<Option<Door>>,
    /// What users hold. Locked for a moment only.
    quotas: Mutex<Quotas>,
    pub(super) guests: Mutex<Vec<Weak<Guest<S>>>>,
    pub(super) violations: Arc<Violations>,
    /// Places taken, those of handshakes under way too.
    places: AtomicU32,
    next: AtomicU64,
    served: Mutex<HashMap<u64, Arc<Served<S>>>>,
    /// Told when a connection leaves `served`.
    forgot: Condvar,
    gate: Mutex<Gate>,
    /// Told when a connect callback has returned.
    passed: Condvar,
}

/// Whom the filter still talks to.
#[derive(Debug, Default)]
struct Gate {
    /// The port is closed: who came before and speaks now comes too late.
    closed: bool,
    /// The filter unloads: nobody is let in any more.
    shut: bool,
    /// Connect callbacks that run.
    connecting: usize,
}

/// What is open while a port listens. The watch goes before the claim: no client is accepted by a port without a name.
pub(super) struct Door {
    pub(super) watching: Watching,
    claim: Arc<Claim>,
}

impl<S: Serve> fmt::Debug for Core<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("name", &self.name).field("connections", &self.places).finish_non_exhaustive()
    }
}

/// Which port of this process one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PortId(u64);

impl PortId {
    pub(super) fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// A callback of a port that runs on this thread, for as long as this lives.
pub(super) struct Callback(());

impl Callback {
    pub(super) fn begin(port: PortId) -> Self {
        CALLBACKS.with_borrow_mut(|ports| ports.push(port));
        Self(())
    }

    /// Whether this thread runs a callback of `port`.
    fn runs(port: PortId) -> bool {
        CALLBACKS.with_borrow(|ports| ports.contains(&port))
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        CALLBACKS.with_borrow_mut(Vec::pop);
    }
}

thread_local! {
    /// The ports whose callbacks this thread runs: one may unload another, whose disconnect callbacks then run here
    /// too.
    static CALLBACKS: RefCell<Vec<PortId>> = const { RefCell::new(Vec::new()) };
}

/// A client that may go while the filter's connect callback runs.
struct Leaving(Arc<Inner>);

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

/// One connection and its session.
pub(super) struct Served<S: Serve> {
    pub(super) port: Arc<Core<S>>,
    pub(super) client: Client,
    key: u64,
    session: RwLock<Option<S::Session>>,
    desk: Mutex<Desk>,
    /// How often workers were rung for nothing since the last request.
    pub(super) empty: AtomicU32,
    /// A thread has been called to end it: one, however often the client says good-bye.
    called: AtomicBool,
    /// The user's side has closed, or the filter unloads: the end has begun.
    ending: AtomicBool,
    /// The user whose connection this is, and its place in the user's account.
    pub(super) user: Arc<User>,
    charge: Mutex<Option<Charge>>,
}

pub(super) fn listen<S: Serve>(name: &str, options: PortOptions, serve: S) -> Result<Arc<Core<S>>, Error> {
    let doing = || format!("creating {name}");
    if options.max_connections == 0 {
        return Err(
            Error::new(Status::INVALID_PARAMETER, doing()).hint("a port needs room for at least one connection")
        );
    }
    let name = PortName::parse(name).map_err(|status| Error::new(status, doing()))?;
    for note in options.security.notes() {
        tracing::warn!(port = %name, "{note}");
    }
    let sddl = options.security.to_string();
    let quotas = Quotas::new(options.limits());
    wait::warm_up();
    let system = |error| Error::resources(doing(), error);
    let monitor = Monitor::of_this_process().map_err(system)?;
    pool::start().map_err(system)?;
    let namespace = options.namespace.clone().unwrap_or_else(Namespace::current);
    let claim = Arc::new(namespace.claim(&name, options.case_insensitive, &sddl)?);
    let core = Arc::new(Core {
        id: PortId::new(),
        name: name.clone(),
        options,
        serve,
        guard: ForkGuard::new(),
        listening: Mutex::new(None),
        quotas: Mutex::new(quotas),
        guests: Mutex::default(),
        violations: Arc::default(),
        places: AtomicU32::new(0),
        next: AtomicU64::new(1),
        served: Mutex::default(),
        forgot: Condvar::new(),
        gate: Mutex::default(),
        passed: Condvar::new(),
    });
    let watch = Arc::new(Accepting::new(&core, &claim).map_err(system)?);
    let listener = Arc::new(ListenerOf(Arc::clone(&claim)));
    // held while it is watched: who comes at once finds the port open
    let mut listening = lock(&core.listening);
    let watching = monitor.watch(listener, Interest::Readable, None, watch).map_err(system)?;
    *listening = Some(Door { watching, claim });
    drop(listening);
    Ok(core)
}

/// A claim's listener, for the monitor.
struct ListenerOf(Arc<Claim>);

impl AsFd for ListenerOf {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.listener().as_fd()
    }
}

impl<S: Serve> Listening for Core<S> {
    fn name(&self) -> &PortName {
        &self.name
    }

    fn clients(&self) -> Vec<Client> {
        if self.is_parents() {
            return Vec::new();
        }
        lock(&self.served).values().map(|served| served.client.clone()).collect()
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
        self.violations.read()
    }

    fn close(self: Arc<Self>) {
        if self.is_parents() {
            // the filter, too, is its parent's to drop: it may own what threads of the parent have locked
            return std::mem::forget(self);
        }
        lock(&self.gate).closed = true;
        // given up after the lock is let go: that may wait for other hosts
        let door = lock(&self.listening).take();
        if let Some(Door { watching, claim }) = door {
            drop(watching);
            // not left to the last who has it: that may be the monitor, which takes a client at this moment
            claim.release();
        }
    }

    fn unload(self: Arc<Self>) {
        if self.is_parents() {
            return;
        }
        lock(&self.gate).shut = true;
        Arc::clone(&self).close();
        if Callback::runs(self.id) {
            // it cannot wait for itself
            for client in self.clients() {
                client.inner.close();
            }
            return pool::run(move || self.unload());
        }
        let connecting = self.passed.wait_while(lock(&self.gate), |gate| gate.connecting != 0);
        drop(connecting.unwrap_or_else(PoisonError::into_inner));
        // taken before they are closed: the callbacks run on this thread
        let mut ours: Vec<_> = lock(&self.served).values().cloned().collect();
        ours.retain(|served| !served.ending.swap(true, Ordering::SeqCst));
        for served in &ours {
            served.client.inner.close();
        }
        for served in ours {
            served.finish();
        }
        // those whose end began before, on other threads
        let served = self.forgot.wait_while(lock(&self.served), |served| !served.is_empty());
        drop(served.unwrap_or_else(PoisonError::into_inner));
    }
}

impl<S: Serve> Core<S> {
    /// Whether this is a forked child of the process that made the port. Nothing of it may be touched here then, its
    /// locks first of all: they are as they happened to be.
    fn is_parents(&self) -> bool {
        !self.guard.same_process()
    }

    /// What everyone may know; `None` once the port is closed.
    pub(super) fn info(&self) -> Option<Info> {
        let places = self.places.load(Ordering::Relaxed);
        let processes = self.clients().into_iter().flat_map(|client| client.processes());
        let mut processes: Vec<_> = processes.map(|process| (process.pid(), process.credentials().uid)).collect();
        // one that has several connections is named once
        processes.sort_unstable();
        processes.dedup();
        processes.truncate(MAX_PROCESSES);
        let info = lock(&self.listening).as_ref()?.claim.info();
        Some(Info { connections: places, max_connections: self.options.max_connections, processes, ..info })
    }

    /// Decides about a client, and makes its connection.
    pub(super) fn admit(
        self: &Arc<Self>,
        hello: &Hello<'_>,
        peer: Credentials,
        socket: Arc<Socket>,
    ) -> Result<(), Refused> {
        let ours =
            hello.name() == &self.name || (self.options.case_insensitive && hello.name().eq_ignore_case(&self.name));
        if !ours {
            return Err(Refused::new(Status::OBJECT_NAME_NOT_FOUND, format!("this is {}", self.name)));
        }
        let token = Token::for_unix(peer.uid, peer.gid, &peer.groups);
        if let Err(status) = check_connect(&self.options.security, &token) {
            let whom = explain(&self.options.security);
            return Err(Refused::new(status, format!("{} admits {whom}, you are user {}", self.name, peer.uid)));
        }
        // charged first: who has all the connections one may have takes no place, not for a moment in which another
        // could have it
        let charged = self.user(peer.uid).charge(Kind::Connections, 1);
        let most = self.options.max_connections;
        let one_more = |taken: u32| (taken < most).then_some(taken + 1);
        let placed = charged.is_ok();
        let room = match placed {
            true => self.places.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok(),
            false => self.places.load(Ordering::SeqCst) < most,
        };
        // in the order of Windows: a port that is full says so, whatever else is the matter
        if !room {
            return Err(Refused::new(
                Status::CONNECTION_COUNT_LIMIT,
                format!("{} has all its {most} connections", self.name),
            ));
        }
        self.pass(hello, peer, socket, charged).inspect_err(|_| {
            self.places.fetch_sub(placed.into(), Ordering::SeqCst);
        })
    }

    /// Makes the connection of a client that has a place, if its account allows it, unless the filter goes.
    fn pass(
        self: &Arc<Self>,
        hello: &Hello<'_>,
        peer: Credentials,
        socket: Arc<Socket>,
        charged: Result<Charge, Exceeded>,
    ) -> Result<(), Refused> {
        {
            let mut gate = lock(&self.gate);
            if gate.shut {
                return Err(Refused::new(Status::FLT_DELETING_OBJECT, "the filter unloads"));
            }
            if gate.closed {
                return Err(Refused::new(Status::OBJECT_NAME_NOT_FOUND, format!("{} has closed", self.name)));
            }
            gate.connecting += 1;
        }
        let connected = charged
            .map_err(|exceeded| {
                tracing::debug!(port = %self.name, %exceeded, "client refused");
                Refused::new(Status::INSUFFICIENT_RESOURCES, format!("{}: {exceeded}", self.name))
            })
            .and_then(|charge| self.connect(hello, peer, socket, charge));
        lock(&self.gate).connecting -= 1;
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
        socket: Arc<Socket>,
        charge: Charge,
    ) -> Result<(), Refused> {
        let resources =
            |error: std::io::Error| Refused::new(Status::INSUFFICIENT_RESOURCES, format!("the filter's host: {error}"));
        let (memory, files) = Memory::create().map_err(resources)?;
        // open for as long as the callback runs, which may be long
        files.iter().try_for_each(descriptors::leaves_reserve).map_err(|reserved| resources(reserved.into()))?;
        Requests(&memory.shared().requests.word).open();
        let inheritable = hello.flags().contains(HelloFlags::INHERIT);
        let peer = Arc::new(peer);
        let first = Arc::new(Handle::first(Arc::clone(&socket), &peer, inheritable).map_err(resources)?);
        let inner = Inner::new(self.id, self.name.clone(), peer, memory, Arc::clone(&self.violations));
        let client = Client { inner: Arc::new(inner) };
        client.inner.handles.add(Arc::clone(&first));
        let called = std::panic::AssertUnwindSafe(|| {
            let _runs = Callback::begin(self.id);
            // a message to a client that goes meanwhile ends; without a watch it would end with its timeout
            let leaving = Arc::new(Leaving(Arc::clone(&client.inner)));
            first.tell_of_process(&leaving);
            let _watching = Monitor::of_this_process()
                .and_then(|monitor| monitor.watch(Arc::clone(&socket) as _, Interest::Hangup, None, leaving));
            self.serve.connect(&client, hello.context())
        });
        let session = match std::panic::catch_unwind(called) {
            Ok(Ok(session)) => session,
            Ok(Err(status)) => {
                client.inner.refuse();
                let refused = if status.is_success_severity() { Status::INVALID_PARAMETER } else { status };
                if refused != status {
                    tracing::warn!(
                        port = %self.name,
                        "a connect callback refused with {status:?}, which is no failure: the client gets {refused:?}"
                    );
                }
                return Err(Refused::new(refused, ""));
            }
            Err(_) => {
                client.inner.refuse();
                return Err(Refused::new(Status::INTERNAL_ERROR, "the filter's connect callback panicked"));
            }
        };
        let key = self.next.fetch_add(1, Ordering::Relaxed);
        let served = Arc::new(Served {
            port: Arc::clone(self),
            client,
            key,
            session: RwLock::new(Some(session)),
            desk: Mutex::default(),
            empty: AtomicU32::new(0),
            called: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            user: Arc::clone(charge.user()),
            charge: Mutex::new(Some(charge)),
        });
        lock(&self.served).insert(key, Arc::clone(&served));
        let [host, shared] = &files;
        let welcome = FromHost::Welcome { holder: first.holder(), name: self.name.clone() };
        if let Err(error) = socket.try_send(&welcome.encode(), &[host.as_fd(), shared.as_fd()]) {
            // it is gone already; or the kernel carries no more descriptors for this user at the moment (ETOOMANYREFS)
            tracing::debug!(%error, port = %self.name, pid = served.client.inner.peer.pid, "client not welcomed");
            let _ = socket.try_send(&FromHost::Refused(resources(error)).encode(), &[]);
            served.begin_end();
            return Ok(());
        }
        served.client.inner.welcomed();
        // of a connection that has ended already, the monitor sees the hang-up, and lets go of it
        if let Err(error) = served.watch(&first) {
            tracing::warn!(%error, port = %self.name, "client disconnected: its socket cannot be watched");
            served.begin_end();
        }
        Ok(())
    }
}

impl<S: Serve> Served<S> {
    /// The user whose connection this is.
    pub(super) fn uid(&self) -> u32 {
        self.client.inner.peer.uid
    }

    pub(super) fn session(&self) -> RwLockReadGuard<'_, Option<S::Session>> {
        self.session.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        lock(&self.desk)
    }

    /// The user's side has closed: ends the connection on a thread that may block.
    pub(super) fn begin_end(self: &Arc<Self>) {
        self.client.inner.close();
        if !self.called.swap(true, Ordering::SeqCst) {
            let served = Arc::clone(self);
            pool::run_for(self.uid(), move || served.end());
        }
    }

    /// Ends the connection, once.
    fn end(&self) {
        if !self.ending.swap(true, Ordering::SeqCst) {
            self.finish();
        }
    }

    /// The end, in the order that filters rely on: sends are released, message callbacks are waited for, the disconnect
    /// callback is called, the place becomes free. The connection must be closed, and its end this thread's.
    fn finish(&self) {
        self.client.inner.drain();
        let session = self.session.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(session) = session {
            let called = std::panic::AssertUnwindSafe(|| {
                let _runs = Callback::begin(self.port.id);
                self.port.serve.disconnect(session);
            });
            // reported by the panic hook; the place must become free all the same
            let _ = std::panic::catch_unwind(called);
        }
        drop(lock(&self.charge).take());
        self.port.places.fetch_sub(1, Ordering::SeqCst);
        self.forget();
    }

    /// Lets go of the connection: its memory stays only as long as somebody uses it.
    fn forget(&self) {
        // tells a client that waits for it that the disconnect callback has returned
        self.client.inner.handles.close();
        let forgotten = lock(&self.port.served).remove(&self.key);
        self.port.forgot.notify_all();
        drop(forgotten);
    }
}

#[cfg(test)]
impl<S: Serve> Core<S> {
    /// The connection of a port that has one.
    pub(super) fn only_served(&self) -> Arc<Served<S>> {
        lock(&self.served).values().next().cloned().expect("a connection")
    }
}
