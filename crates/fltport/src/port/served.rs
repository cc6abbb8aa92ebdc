//! A connection at its port: its session, and its end.
//!
//! The end is made once, by the thread that sets `ending`: waiting sends are released, message callbacks waited for, the
//! disconnect callback called, the place given back, in this order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use proto::name::PortName;
use proto::quota::{Charge, User};
use proto::slots::Workers;

use super::callback::{Callback, PortId};
use super::client::Client;
use super::options::PortOptions;
use super::serve::Serve;
use super::violations::Violations;
use crate::pool;
use crate::sync::lock;

/// A port as its connections share it: the filter, and all of them. It outlives the listening.
pub(super) struct ServedPort<S: Serve> {
    pub(super) id: PortId,
    pub(super) name: PortName,
    pub(super) options: PortOptions,
    pub(super) serve: S,
    pub(super) violations: Arc<Violations>,
    /// Places taken, those of handshakes under way too.
    pub(super) places: AtomicU32,
    next: AtomicU64,
    connections: Mutex<HashMap<u64, Arc<Served<S>>>>,
    /// Told when one leaves `connections`.
    left: Condvar,
}

impl<S: Serve> ServedPort<S> {
    pub(super) fn new(name: PortName, options: PortOptions, serve: S) -> Self {
        Self {
            id: PortId::new(),
            name,
            options,
            serve,
            violations: Arc::default(),
            places: AtomicU32::new(0),
            next: AtomicU64::new(1),
            connections: Mutex::default(),
            left: Condvar::new(),
        }
    }

    /// The connections at this moment.
    pub(super) fn connections(&self) -> Vec<Arc<Served<S>>> {
        lock(&self.connections).values().cloned().collect()
    }

    /// A connection that the filter has accepted, charged to its user.
    pub(super) fn add(self: &Arc<Self>, client: Client, session: S::Session, charge: Charge) -> Arc<Served<S>> {
        let key = self.next.fetch_add(1, Ordering::Relaxed);
        let served = Arc::new(Served {
            port: Arc::clone(self),
            client,
            key,
            session: RwLock::new(Some(session)),
            workers: Mutex::default(),
            empty: AtomicU32::new(0),
            called: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            user: Arc::clone(charge.user()),
            charge: Mutex::new(Some(charge)),
        });
        lock(&self.connections).insert(key, Arc::clone(&served));
        served
    }

    /// Ends every connection; returns when every disconnect callback has returned.
    pub(super) fn end_all(&self) {
        // taken before they are closed: the callbacks run on this thread
        let mut ours = self.connections();
        ours.retain(|served| !served.ending.swap(true, Ordering::SeqCst));
        for served in &ours {
            served.client.link.close();
        }
        for served in ours {
            served.finish();
        }
        // those whose end began before, on other threads
        let connections = self.left.wait_while(lock(&self.connections), |connections| !connections.is_empty());
        drop(connections.unwrap_or_else(PoisonError::into_inner));
    }
}

/// One connection and its session.
pub(super) struct Served<S: Serve> {
    pub(super) port: Arc<ServedPort<S>>,
    pub(super) client: Client,
    key: u64,
    session: RwLock<Option<S::Session>>,
    workers: Mutex<Workers>,
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

impl<S: Serve> Served<S> {
    /// The user whose connection this is.
    pub(super) fn uid(&self) -> u32 {
        self.client.link.peer.uid
    }

    pub(super) fn session(&self) -> RwLockReadGuard<'_, Option<S::Session>> {
        self.session.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn workers(&self) -> MutexGuard<'_, Workers> {
        lock(&self.workers)
    }

    /// The user's side has closed: ends the connection on a thread that may block.
    pub(super) fn begin_end(self: &Arc<Self>) {
        self.client.link.close();
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
        self.client.drain();
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

    /// Lets go of the connection: its memory stays only as long as it is used.
    fn forget(&self) {
        // tells a client that waits for it that the disconnect callback has returned
        self.client.link.handles.close();
        let forgotten = lock(&self.port.connections).remove(&self.key);
        self.port.left.notify_all();
        drop(forgotten);
    }
}
