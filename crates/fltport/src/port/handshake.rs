//! The handshake: a client that has connected says what it wants, or is turned away after a second.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use crate::monitor::{Interest, Monitor, Watch, Watching};
use proto::name::PortName;
use proto::quota::{Charge, Exceeded, Kind};
use proto::status::Status;
use proto::violation::Violation;
use proto::wire::{FromClient, FromHost, MAX_MESSAGE_LEN, MAX_SMALL_MESSAGE_LEN, Refused};
use sys::host_end::{Heard, HostEnd};
use sys::peer::Credentials;

use super::accept::Acceptor;
use super::serve::Serve;
use super::socket::ClientSocket;
use crate::pool;
use crate::sync::lock;

/// How long a client has to say what it wants.
const HELLO_TIME: Duration = Duration::from_secs(1);

/// Tells a client that it is not let in, whether it has spoken or not.
pub(super) fn refuse(socket: &HostEnd, refused: Refused) {
    // what a client has said is read first: a close before that would hide the answer from it
    socket.shutdown_read();
    let _ = socket.try_hear(&mut [0; MAX_SMALL_MESSAGE_LEN]);
    let _ = socket.try_send(&FromHost::Refused(refused).encode(), &[]);
}

/// The handshakes of a port that are under way.
pub(super) struct Handshakes<S: Serve>(Mutex<Vec<Weak<Handshake<S>>>>);

impl<S: Serve> Handshakes<S> {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// Gives a new client a second to say what it wants.
    pub(super) fn begin(&self, acceptor: &Arc<Acceptor<S>>, socket: ClientSocket) {
        let Ok(peer) = Credentials::of_peer(&socket) else { return };
        let uid = peer.uid;
        let handshake = Arc::new(Handshake {
            charge: Mutex::new(None),
            acceptor: Arc::downgrade(acceptor),
            port: acceptor.port.name.clone(),
            peer,
            socket: Arc::new(socket),
            watching: Mutex::new(None),
            done: AtomicBool::new(false),
        });
        match self.charge(acceptor, uid) {
            Ok(charge) => *lock(&handshake.charge) = Some(charge),
            Err(exceeded) => {
                // no harm in hearing it as long as there are threads to answer it
                if pool::is_strained(uid) || !handshake.hear() {
                    handshake.turn_away(&exceeded);
                }
                return;
            }
        }
        {
            let mut handshakes = lock(&self.0);
            if handshakes.len() == handshakes.capacity() {
                handshakes.retain(|handshake| handshake.strong_count() != 0);
            }
            handshakes.push(Arc::downgrade(&handshake));
        }
        let Ok(monitor) = Monitor::of_this_process() else { return };
        // held while the watch is registered: an event that comes at once waits for it
        let mut slot = lock(&handshake.watching);
        let watch: Arc<dyn Watch> = Arc::clone(&handshake) as _;
        match monitor.watch(Arc::clone(&handshake.socket) as _, Interest::Readable, Some(HELLO_TIME), watch) {
            Ok(watching) => *slot = Some(watching),
            Err(_) => {
                drop(slot);
                handshake.leave();
            }
        }
    }

    /// A place among the clients of a user that say nothing. When none is free, those that have spoken meanwhile are heard
    /// first: a crowd that connects at once holds no other client up.
    fn charge(&self, acceptor: &Acceptor<S>, uid: u32) -> Result<Charge, Exceeded> {
        let user = acceptor.user(uid);
        user.charge(Kind::HalfOpen, 1).or_else(|_| {
            let handshakes: Vec<_> = lock(&self.0).iter().filter_map(Weak::upgrade).collect();
            handshakes.iter().filter(|handshake| handshake.peer.uid == uid).for_each(|handshake| _ = handshake.hear());
            user.charge(Kind::HalfOpen, 1)
        })
    }
}

/// A client that has not said yet what it wants.
pub(super) struct Handshake<S: Serve> {
    charge: Mutex<Option<Charge>>,
    /// Not kept: the last owner of the port drops the filter, and handshakes come and go on the monitor's thread.
    acceptor: Weak<Acceptor<S>>,
    port: PortName,
    peer: Credentials,
    socket: Arc<ClientSocket>,
    watching: Mutex<Option<Watching>>,
    done: AtomicBool,
}

impl<S: Serve> Handshake<S> {
    /// Stops watching and uncounts, once; false when that has been done.
    fn leave(&self) -> bool {
        if self.done.swap(true, Ordering::SeqCst) {
            return false;
        }
        drop(lock(&self.watching).take());
        drop(lock(&self.charge).take());
        true
    }

    /// Tells it to try again, and why it was not heard.
    fn turn_away(&self, why: &dyn fmt::Display) {
        tracing::debug!(port = %self.port, pid = self.peer.pid, %why, "client turned away");
        self.refuse(Refused::new(Status::INSUFFICIENT_RESOURCES, format!("{}: {why}", self.port)).unheard());
    }

    /// Reads a client's first message, which is answered elsewhere; false when it has said nothing.
    fn hear(&self) -> bool {
        if self.done.load(Ordering::SeqCst) {
            return true; // what comes now is not said to us
        }
        let mut packet = vec![0; MAX_MESSAGE_LEN];
        let Ok(heard) = self.socket.try_hear(&mut packet) else { return false };
        // it counts until a thread has taken it up: nobody's can be many that wait for one
        let charge = lock(&self.charge).take();
        if !self.leave() || matches!(heard, Heard::Packet { len: 0, .. }) {
            return true;
        }
        let Some(acceptor) = self.acceptor.upgrade() else {
            self.refuse(Refused::new(Status::OBJECT_NAME_NOT_FOUND, format!("{} has closed", self.port)));
            return true;
        };
        // the filter's callback may block: not on the monitor's thread
        let handshake = Self {
            charge: Mutex::new(charge),
            acceptor: Weak::clone(&self.acceptor),
            port: self.port.clone(),
            peer: self.peer.clone(),
            socket: Arc::clone(&self.socket),
            watching: Mutex::new(None),
            done: AtomicBool::new(true),
        };
        let whole = match heard {
            Heard::Truncated => Err(Violation::Truncated),
            Heard::Files => Err(Violation::FileCount),
            Heard::Packet { len, .. } => {
                packet.truncate(len);
                Ok(packet)
            }
        };
        pool::run_for(self.peer.uid, move || handshake.answer(&acceptor, whole));
        true
    }

    fn refuse(&self, refused: Refused) {
        refuse(&self.socket, refused);
    }

    /// Answers a client's first message.
    fn answer(&self, acceptor: &Arc<Acceptor<S>>, packet: Result<Vec<u8>, Violation>) {
        drop(lock(&self.charge).take());
        let breach = |violation: Violation| {
            acceptor.port.violations.note(violation, &acceptor.port.name, &self.peer);
            self.refuse(Refused::new(violation.status(), violation.to_string()));
        };
        match packet.as_deref().map_err(|&violation| violation).and_then(FromClient::parse) {
            Ok(FromClient::Hello(hello)) => {
                if let Err(refused) = acceptor.admit(&hello, self.peer.clone(), Arc::clone(&self.socket)) {
                    self.refuse(refused);
                }
            }
            Ok(FromClient::Query) => {
                if let Some(info) = acceptor.info() {
                    let _ = self.socket.try_send(&FromHost::Info(info).encode(), &[]);
                }
            }
            Ok(FromClient::Ring | FromClient::Bye | FromClient::Duplicate | FromClient::Use) => {
                breach(Violation::OutOfTurn)
            }
            Err(violation) => breach(violation),
        }
    }
}

impl<S: Serve> Watch for Handshake<S> {
    fn readable(&self) {
        self.hear();
    }

    fn hangup(&self) {
        self.leave();
    }

    fn expired(&self) {
        // it may have spoken while this thread did other things
        if !self.hear() && self.leave() {
            self.turn_away(&format_args!("you said nothing for {HELLO_TIME:?}"));
            self.socket.shutdown();
        }
    }
}
