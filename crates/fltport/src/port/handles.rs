//! The handles of one connection, as the host has them: sockets, each of which keeps the connection alive.
//!
//! Most are the way of one process that uses the connection, a holder. When one goes while others stay, what its holder
//! had is taken back; when the last one goes, the connection ends.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use crate::monitor::Watching;
use proto::quota::Charge;
use proto::slots::{HOLDERS, Holder};
use sys::host_end::HostEnd;
use sys::peer::Credentials;

use super::process::{Mortal, Process};
use super::socket::ClientSocket;
use crate::sync::lock;

/// One handle.
pub(super) struct Handle {
    pub(super) socket: Arc<ClientSocket>,
    /// The process that uses the connection by it; until there is one, it only keeps the connection alive.
    user: OnceLock<(Holder, Process)>,
    /// The process that has said once that it uses it.
    pub(super) candidate: Mutex<Option<Process>>,
    /// What is told of the end of that process, held for as long as this is.
    pub(super) at_end: OnceLock<Arc<dyn Mortal>>,
    pub(super) said_bye: AtomicBool,
    pub(super) watching: Mutex<Option<Watching>>,
    /// Its place in the user's account, unless it came with the connection.
    _charge: Option<Charge>,
}

impl Handle {
    /// The handle that a connection begins with: the process that connected uses it, and of one that the host made none
    /// does yet.
    ///
    /// # Errors
    /// There is no descriptor for the process but those of the reserve.
    pub(super) fn first(socket: Arc<ClientSocket>, peer: &Arc<Credentials>) -> io::Result<Self> {
        let user = match socket.was_accepted() {
            true => OnceLock::from((Holder::FIRST, Process::of_peer(&socket, Arc::clone(peer))?)),
            false => OnceLock::new(),
        };
        Ok(Self { user, ..Self::new(socket, None) })
    }

    pub(super) fn new(socket: Arc<ClientSocket>, charge: Option<Charge>) -> Self {
        Self {
            socket,
            user: OnceLock::new(),
            candidate: Mutex::default(),
            at_end: OnceLock::new(),
            said_bye: AtomicBool::new(false),
            watching: Mutex::default(),
            _charge: charge,
        }
    }

    pub(super) fn holder(&self) -> Option<Holder> {
        self.user.get().map(|&(holder, _)| holder)
    }

    pub(super) fn process(&self) -> Option<&Process> {
        self.user.get().map(|(_, process)| process)
    }

    /// Has `mortal` told of the end of the process that uses it; at once, if that has come.
    pub(super) fn tell_of_process(&self, mortal: &Arc<impl Mortal + 'static>) {
        if let Some(process) = self.process() {
            process.tell(Arc::downgrade(mortal) as Weak<dyn Mortal>);
        }
    }

    /// Whether it may still be used.
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
    pub(super) fn remove(&self, handle: &Arc<Handle>) -> bool {
        let mut handles = lock(&self.0);
        let before = handles.len();
        handles.retain(|other| !Arc::ptr_eq(other, handle));
        handles.len() != before
    }

    /// Whether any other than `but` keeps the connection alive.
    pub(super) fn others_keep(&self, but: &Arc<Handle>) -> bool {
        lock(&self.0).iter().any(|other| !Arc::ptr_eq(other, but) && other.keeps())
    }

    /// The way to the process that posted a receive, of which its number beside the slot tells.
    pub(super) fn socket_of(&self, owner: u32) -> Option<Arc<ClientSocket>> {
        self.with(owner, |handle| Arc::clone(&handle.socket))
    }

    /// The process that made a request, of which its number beside the slot tells.
    pub(super) fn process_of(&self, owner: u32) -> Option<Process> {
        self.with(owner, |handle| handle.process().cloned()).flatten()
    }

    fn with<T>(&self, owner: u32, of: impl FnOnce(&Handle) -> T) -> Option<T> {
        let holder = Some(Holder::new(owner)?);
        lock(&self.0).iter().find(|handle| handle.holder() == holder).map(|handle| of(handle))
    }

    /// The processes that use the connection.
    pub(super) fn processes(&self) -> Vec<Process> {
        lock(&self.0).iter().filter_map(|handle| handle.process().cloned()).collect()
    }

    /// Whether a process uses the connection: as long as none does yet, the one that made it is about to.
    pub(super) fn used_by(&self, pid: u32, maker: u32) -> bool {
        let handles = lock(&self.0);
        let mut users = handles.iter().filter_map(|handle| handle.process()).peekable();
        if users.peek().is_some() { users.any(|user| user.pid() == pid) } else { maker == pid }
    }

    /// Has `process` use the connection by `handle`, under the lowest number that no other has; those of which something
    /// is `left` are not free yet. `None` when all are taken.
    pub(super) fn take_up(&self, handle: &Handle, process: Process, left: u32) -> Option<Holder> {
        let handles = lock(&self.0);
        let free = |holder: &Holder| {
            left & 1 << holder.number() == 0 && handles.iter().all(|handle| handle.holder() != Some(*holder))
        };
        let holder = (1..=HOLDERS).filter_map(Holder::new).find(free)?;
        handle.user.set((holder, process)).is_ok().then_some(holder)
    }

    /// Closes all, for every process that has them, and lets go of their descriptors: the filter may keep a
    /// [`super::Client`] for long.
    pub(super) fn close(&self) {
        let all = std::mem::take(&mut *lock(&self.0));
        for handle in all {
            handle.socket.shutdown();
            // what the monitor has of it goes with this
            drop(lock(&handle.watching).take());
        }
    }

    /// Lets go of all, and tells no process.
    pub(super) fn forget(&self) {
        let all = std::mem::take(&mut *lock(&self.0));
        drop(all);
    }

    /// Calls `with` for the socket of each.
    pub(super) fn each(&self, with: impl Fn(&HostEnd)) {
        lock(&self.0).iter().for_each(|handle| with(&handle.socket));
    }
}
