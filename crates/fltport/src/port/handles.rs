//! The handles of one connection, as the host has them: sockets, each of which keeps the connection alive.
//!
//! Most are the way of one process that uses the connection, a holder. When one goes while others stay, what its holder
//! had is taken back; when the last one goes, the connection ends.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use proto::quota::{Charge, Kind};
use proto::slots::{HOLDERS, Holder};
use proto::status::Status;
use proto::violation::Violation;
use proto::wire::{FromClient, FromHost, MAX_SMALL_MESSAGE_LEN, Refused};
use sys::descriptors;
use sys::monitor::{Interest, Monitor, Watch, Watching};
use sys::peer::Credentials;
use sys::socket::{Received, Socket};

use super::Serve;
use super::accept::Served;
use super::process::{Mortal, Process};
use crate::pool;
use crate::sync::lock;

/// Packets that are read from one client before the monitor looks at the others.
const READ_AT_A_TIME: usize = 64;
/// Packets that are read from a socket whose process is gone: more than a socket's queue holds.
const READ_AT_THE_END: usize = 4096;

/// One handle.
pub(super) struct Handle {
    pub(super) socket: Arc<Socket>,
    /// Who uses the connection by it; `None` when it only keeps the connection alive.
    holder: Option<Holder>,
    /// The process of that one, whose end is told while something holds this.
    process: Option<Process>,
    said_bye: AtomicBool,
    watching: Mutex<Option<Watching>>,
    /// Its place in the user's account, unless it came with the connection.
    _charge: Option<Charge>,
}

impl Handle {
    /// The handle that a connection begins with. One that is to be inherited belongs to no process.
    ///
    /// # Errors
    /// There is no descriptor for the process but those of the reserve.
    pub(super) fn first(socket: Arc<Socket>, peer: &Arc<Credentials>, inheritable: bool) -> io::Result<Self> {
        let user = match inheritable {
            true => None,
            false => Some((Holder::FIRST, Process::new(&socket, Arc::clone(peer))?)),
        };
        Ok(Self::new(socket, user, None))
    }

    fn new(socket: Arc<Socket>, user: Option<(Holder, Process)>, charge: Option<Charge>) -> Self {
        let (holder, process) = user.unzip();
        let (said_bye, watching) = (AtomicBool::new(false), Mutex::new(None));
        Self { socket, holder, process, said_bye, watching, _charge: charge }
    }

    pub(super) fn holder(&self) -> Option<Holder> {
        self.holder
    }

    /// Has `mortal` told of the end of the process that uses it; at once, if that has come.
    pub(super) fn tell_of_process(&self, mortal: &Arc<impl Mortal + 'static>) {
        if let Some(process) = &self.process {
            process.tell(Arc::downgrade(mortal) as Weak<dyn Mortal>);
        }
    }

    /// Whether somebody may still use it.
    fn keeps(&self) -> bool {
        !self.said_bye.load(Ordering::Relaxed) && !self.socket.hung_up()
    }
}

/// All handles of one connection.
#[derive(Default)]
pub(super) struct Handles(Mutex<Vec<Arc<Handle>>>);

impl Handles {
    pub(super) fn add(&self, handle: Arc<Handle>) {
        lock(&self.0).push(handle);
    }

    /// Takes one out; false when it was out already.
    fn remove(&self, handle: &Arc<Handle>) -> bool {
        let mut handles = lock(&self.0);
        let before = handles.len();
        handles.retain(|other| !Arc::ptr_eq(other, handle));
        handles.len() != before
    }

    /// Whether any other than `but` keeps the connection alive.
    fn others_keep(&self, but: &Arc<Handle>) -> bool {
        lock(&self.0).iter().any(|other| !Arc::ptr_eq(other, but) && other.keeps())
    }

    /// The way to the process that posted a receive, of which its number beside the slot tells.
    pub(super) fn socket_of(&self, owner: u32) -> Option<Arc<Socket>> {
        self.with(owner, |handle| Some(Arc::clone(&handle.socket)))
    }

    /// The process that made a request, of which its number beside the slot tells.
    pub(super) fn process_of(&self, owner: u32) -> Option<Process> {
        self.with(owner, |handle| handle.process.clone())
    }

    fn with<T>(&self, owner: u32, of: impl FnOnce(&Handle) -> Option<T>) -> Option<T> {
        let holder = Some(Holder::new(owner)?);
        lock(&self.0).iter().find(|handle| handle.holder == holder).and_then(|handle| of(handle))
    }

    /// The processes that use the connection.
    pub(super) fn processes(&self) -> Vec<Process> {
        lock(&self.0).iter().filter_map(|handle| handle.process.clone()).collect()
    }

    /// Whether a process uses the connection: as long as none does yet, the one that made it is about to.
    pub(super) fn used_by(&self, pid: u32, maker: u32) -> bool {
        let handles = lock(&self.0);
        let mut users = handles.iter().filter_map(|handle| handle.process.as_ref()).peekable();
        if users.peek().is_some() { users.any(|user| user.pid() == pid) } else { maker == pid }
    }

    /// The lowest number that nobody has; those of which something is `left` are not free yet.
    fn next_holder(&self, left: u32) -> Option<Holder> {
        let handles = lock(&self.0);
        let free = |holder: &Holder| {
            left & 1 << holder.number() == 0 && handles.iter().all(|handle| handle.holder != Some(*holder))
        };
        (1..=HOLDERS).filter_map(Holder::new).find(free)
    }

    /// Closes all, for everybody who has them, and lets go of their descriptors: the filter may keep a
    /// [`super::Client`] for long.
    pub(super) fn close(&self) {
        let all = std::mem::take(&mut *lock(&self.0));
        for handle in all {
            handle.socket.shutdown();
            // what the monitor has of it goes with this
            drop(lock(&handle.watching).take());
        }
    }

    /// Lets go of all, without a word to anybody.
    pub(super) fn forget(&self) {
        let all = std::mem::take(&mut *lock(&self.0));
        drop(all);
    }

    /// Calls `with` for the socket of each.
    pub(super) fn each(&self, with: impl Fn(&Socket)) {
        lock(&self.0).iter().for_each(|handle| with(&handle.socket));
    }
}

/// What the monitor tells of one handle.
struct Ear<S: Serve> {
    served: Weak<Served<S>>,
    handle: Arc<Handle>,
}

impl<S: Serve> Watch for Ear<S> {
    fn readable(&self) {
        if let Some(served) = self.served.upgrade() {
            served.hear(&self.handle, READ_AT_A_TIME);
            pool::let_go(served);
        }
    }

    fn hangup(&self) {
        if let Some(served) = self.served.upgrade() {
            served.lost(&self.handle);
            pool::let_go(served);
        }
    }
}

impl<S: Serve> Mortal for Ear<S> {
    fn process_ended(&self) {
        self.hangup();
    }
}

impl<S: Serve> Served<S> {
    /// Watches a handle, which is in the list already.
    ///
    /// # Errors
    /// The kernel's: it cannot be watched.
    pub(super) fn watch(self: &Arc<Self>, handle: &Arc<Handle>) -> io::Result<()> {
        let ear = Arc::new(Ear { served: Arc::downgrade(self), handle: Arc::clone(handle) });
        handle.tell_of_process(&ear);
        // held while it is registered: an end that comes at once waits for it
        let mut watching = lock(&handle.watching);
        *watching =
            Some(Monitor::of_this_process()?.watch(Arc::clone(&handle.socket) as _, Interest::Readable, None, ear)?);
        Ok(())
    }

    /// Reads what a client says on one of its sockets.
    fn hear(self: &Arc<Self>, handle: &Arc<Handle>, most: usize) {
        if let Err(violation) = self.read(handle, most) {
            self.client.inner.violated(violation);
            // nothing of it is heard any more: there may be something to hear for as long as the end takes, or for ever
            if let Some(watching) = &*lock(&handle.watching) {
                watching.only_hangup();
            }
            self.begin_end();
        }
    }

    fn read(self: &Arc<Self>, handle: &Arc<Handle>, most: usize) -> Result<(), Violation> {
        let mut packet = [0; MAX_SMALL_MESSAGE_LEN];
        // a client that never stops is read on when the others have had their turn
        for _ in 0..most {
            let received = match handle.socket.try_recv(&mut packet) {
                Ok(received) => received,
                // none that was ever connected: it was not, or did not listen yet, when it was adopted
                Err(error) if error.kind() == ErrorKind::NotConnected => return Err(Violation::NotASocket),
                // nothing more, or the hang-up, which is told by itself
                Err(_) => return Ok(()),
            };
            if received.truncated {
                if let Ok(FromClient::Duplicate { .. }) = FromClient::parse(&packet[..received.len])
                    && received.closed == 0
                {
                    // for want of descriptors here, which is not the client's fault; the socket is closed, as its owner
                    // sees
                    tracing::warn!(port = %self.port.name, "a handle did not arrive; are there descriptors left? (ulimit -n)");
                    continue;
                }
                return Err(Violation::Truncated);
            }
            if received.len == 0 {
                return Ok(());
            }
            let Received { len, mut files, .. } = received;
            let file = files.pop();
            match (FromClient::parse(&packet[..len])?, file) {
                (FromClient::Duplicate { in_use }, Some(file)) if files.is_empty() => self.duplicate(file, in_use)?,
                (FromClient::Duplicate { .. }, _) | (_, Some(_)) => return Err(Violation::FileCount),
                (FromClient::Ring, None) => self.rung(),
                (FromClient::Bye, None) => self.bye(handle),
                (FromClient::Hello(_) | FromClient::Query, None) => return Err(Violation::OutOfTurn),
            }
        }
        Ok(())
    }

    /// One more handle: `file` is this end of it.
    fn duplicate(self: &Arc<Self>, file: OwnedFd, in_use: bool) -> Result<(), Violation> {
        let socket = Arc::new(Socket::adopt(file).map_err(|_| Violation::NotASocket)?);
        if let Err(refused) = self.accept_handle(&socket, in_use) {
            tracing::debug!(port = %self.port.name, why = refused.sentence(), "handle refused");
            let _ = socket.try_send(&FromHost::Refused(refused).encode(), &[]);
        }
        Ok(())
    }

    fn accept_handle(self: &Arc<Self>, socket: &Arc<Socket>, in_use: bool) -> Result<(), Refused> {
        let inner = &self.client.inner;
        let no_room = |why: String| Refused::new(Status::INSUFFICIENT_RESOURCES, why);
        let host = |error: io::Error| no_room(format!("the filter's host: {error}"));
        descriptors::leaves_reserve(&**socket).map_err(|reserved| host(reserved.into()))?;
        let charge = self.user.charge(Kind::Handles, 1).map_err(|exceeded| no_room(exceeded.to_string()))?;
        let mut user = None;
        if in_use {
            let next = inner.handles.next_holder(inner.holders_left());
            let holder = next.ok_or_else(|| no_room(format!("{HOLDERS} processes use this connection")))?;
            user = Some((holder, Process::of_peer(socket).map_err(host)?));
        }
        let holder = user.as_ref().map(|(holder, _)| *holder);
        let handle = Arc::new(Handle::new(Arc::clone(socket), user, Some(charge)));
        inner.handles.add(Arc::clone(&handle));
        if inner.closed() {
            // asked when it is in the list: an end that comes after this finds it there, and closes it
            inner.handles.remove(&handle);
            return Err(Refused::new(Status::PORT_DISCONNECTED, "the connection has ended"));
        }
        // before it is welcomed: who cannot be watched is told no, and does not use a number that is another's next
        self.watch(&handle).map_err(|error| {
            inner.handles.remove(&handle);
            host(error)
        })?;
        let welcome = FromHost::Welcome { holder, name: self.port.name.clone() };
        // one that is gone already is seen by the watch
        let _ = handle.socket.try_send(&welcome.encode(), &[]);
        Ok(())
    }

    /// The process that uses this handle has closed it, and has yet to close the socket.
    fn bye(self: &Arc<Self>, handle: &Arc<Handle>) {
        handle.said_bye.store(true, Ordering::Relaxed);
        if self.client.inner.handles.others_keep(handle) {
            // what it had is taken back with the hang-up, when no thread of it is at work any more
            let closed = FromHost::Closed { status: Status::SUCCESS }.encode();
            if handle.socket.try_send(&closed, &[]).is_err() {
                handle.socket.shutdown();
            }
        } else {
            self.begin_end();
        }
    }

    /// A handle is closed, by whatever way.
    fn lost(self: &Arc<Self>, handle: &Arc<Handle>) {
        // what was said before the end counts
        self.hear(handle, READ_AT_THE_END);
        let inner = &self.client.inner;
        if !inner.handles.remove(handle) {
            return;
        }
        drop(lock(&handle.watching).take());
        // a forked child may hold it open
        handle.socket.shutdown();
        if !inner.handles.others_keep(handle) {
            self.begin_end();
        }
        if let Some(holder) = handle.holder {
            inner.forget_holder(holder);
            // the process may have been about to ring
            self.rung();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use sys::socket::Listener;

    use super::super::accept::Core;
    use super::*;
    use crate::namespace::Namespace;
    use crate::port::accept::{self, Listening};
    use crate::{Client, Connection, PortOptions, SecurityDescriptor, Serve};

    struct Nothing;

    impl Serve for Nothing {
        type Session = ();
        fn connect(&self, _: &Client, _: &[u8]) -> Result<(), Status> {
            Ok(())
        }
    }

    struct Deaf;

    impl Watch for Deaf {
        fn hangup(&self) {}
    }

    /// A connection's end at its host.
    fn served(dir: &Path) -> (Arc<Core<Nothing>>, Connection, Arc<Served<Nothing>>) {
        let namespace = Namespace::at(dir);
        let options = PortOptions::default().security(SecurityDescriptor::null_dacl()).namespace(namespace.clone());
        let core = accept::listen(r"\Port", options, Nothing).unwrap();
        let connection = Connection::options().namespace(namespace).connect(r"\Port", b"").unwrap();
        let served = core.only_served();
        (core, connection, served)
    }

    /// A process that was welcomed would use its number, which is another's next.
    #[test]
    fn who_cannot_be_watched_is_not_welcomed() {
        let dir = tempfile::tempdir().unwrap();
        let (core, _connection, served) = served(dir.path());
        let (ours, theirs) = Socket::pair().unwrap();
        let ours = Arc::new(ours);
        // the kernel refuses to watch a socket twice
        let monitor = Monitor::of_this_process().unwrap();
        let _watching = monitor.watch(Arc::clone(&ours) as _, Interest::Hangup, None, Arc::new(Deaf)).unwrap();
        let refused = served.accept_handle(&ours, true).unwrap_err();
        assert_eq!(refused.status(), Status::INSUFFICIENT_RESOURCES);
        assert_eq!(theirs.try_recv(&mut [0; MAX_SMALL_MESSAGE_LEN]).unwrap_err().kind(), ErrorKind::WouldBlock);
        core.unload();
    }

    /// It has something to accept, and nothing that could be read, for ever: the monitor would have no rest.
    #[test]
    fn a_socket_that_began_to_listen_since_it_was_looked_at_ends_its_connection() {
        let dir = tempfile::tempdir().unwrap();
        let (core, _connection, served) = served(dir.path());
        let trap = std::fs::File::open(dir.path()).unwrap();
        let listener = Listener::bind(trap.as_fd(), "trap").unwrap();
        let _knocks = Socket::connect(trap.as_fd(), "trap", Duration::from_secs(20)).unwrap();
        let listens = Arc::new(Socket::from(listener.as_fd().try_clone_to_owned().unwrap()));
        served.accept_handle(&listens, false).unwrap();
        let start = Instant::now();
        while core.violations() != [("not-a-socket", 1)] {
            assert!(start.elapsed() < Duration::from_secs(20), "{:?}", core.violations());
            std::thread::park_timeout(Duration::from_micros(100));
        }
        core.unload();
    }
}
