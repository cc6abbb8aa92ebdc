//! Those who have connected and not said yet what they want.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use proto::name::PortName;
use proto::quota::{Charge, Exceeded, Kind};
use proto::status::Status;
use proto::violation::Violation;
use proto::wire::{FromClient, FromHost, MAX_MESSAGE_LEN, Refused};
use sys::monitor::{Interest, Monitor, Watch, Watching};
use sys::peer::Credentials;
use sys::socket::Socket;

use super::Serve;
use super::accept::Core;
use super::listener;
use crate::pool;
use crate::sync::lock;

/// How long a client has to say what it wants.
const HELLO_TIME: Duration = Duration::from_secs(1);

impl<S: Serve> Core<S> {
    /// Gives a new client a second to say what it wants.
    pub(super) fn half_open(self: &Arc<Self>, socket: Socket) {
        let Ok(peer) = Credentials::of_peer(&socket) else { return };
        let uid = peer.uid;
        let guest = Arc::new(Guest {
            charge: Mutex::new(None),
            core: Arc::downgrade(self),
            port: self.name.clone(),
            peer,
            socket: Arc::new(socket),
            watching: Mutex::new(None),
            done: AtomicBool::new(false),
        });
        match self.charge_half_open(uid) {
            Ok(charge) => *lock(&guest.charge) = Some(charge),
            Err(exceeded) => {
                // no harm in hearing it as long as there are threads to answer it
                if pool::is_strained(uid) || !guest.hear() {
                    guest.turn_away(&exceeded);
                }
                return;
            }
        }
        {
            let mut guests = lock(&self.guests);
            if guests.len() == guests.capacity() {
                guests.retain(|guest| guest.strong_count() != 0);
            }
            guests.push(Arc::downgrade(&guest));
        }
        let Ok(monitor) = Monitor::of_this_process() else { return };
        // held while the watch is registered: an event that comes at once waits for it
        let mut slot = lock(&guest.watching);
        let watch: Arc<dyn Watch> = Arc::clone(&guest) as _;
        match monitor.watch(Arc::clone(&guest.socket) as _, Interest::Readable, Some(HELLO_TIME), watch) {
            Ok(watching) => *slot = Some(watching),
            Err(_) => {
                drop(slot);
                guest.leave();
            }
        }
    }

    /// A place among those of a user who say nothing. When none is free, those are heard first who have spoken
    /// meanwhile: a crowd that connects at once is in nobody's way.
    fn charge_half_open(&self, uid: u32) -> Result<Charge, Exceeded> {
        let user = self.user(uid);
        user.charge(Kind::HalfOpen, 1).or_else(|_| {
            let guests: Vec<_> = lock(&self.guests).iter().filter_map(Weak::upgrade).collect();
            guests.iter().filter(|guest| guest.peer.uid == uid).for_each(|guest| _ = guest.hear());
            user.charge(Kind::HalfOpen, 1)
        })
    }
}

/// A client that has not said yet what it wants.
pub(super) struct Guest<S: Serve> {
    charge: Mutex<Option<Charge>>,
    /// Not kept: the last who lets go of the port drops the filter, and guests come and go on the monitor's thread.
    core: Weak<Core<S>>,
    port: PortName,
    peer: Credentials,
    socket: Arc<Socket>,
    watching: Mutex<Option<Watching>>,
    done: AtomicBool,
}

impl<S: Serve> Guest<S> {
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
        let Ok(received) = self.socket.try_recv(&mut packet) else { return false };
        // it counts until a thread has taken it up: nobody's can be many that wait for one
        let charge = lock(&self.charge).take();
        if !self.leave() || received.len == 0 {
            return true;
        }
        packet.truncate(received.len);
        let Some(core) = self.core.upgrade() else {
            self.refuse(Refused::new(Status::OBJECT_NAME_NOT_FOUND, format!("{} has closed", self.port)));
            return true;
        };
        // the filter's callback may block: not on the monitor's thread
        let guest = Self {
            charge: Mutex::new(charge),
            core: Weak::clone(&self.core),
            port: self.port.clone(),
            peer: self.peer.clone(),
            socket: Arc::clone(&self.socket),
            watching: Mutex::new(None),
            done: AtomicBool::new(true),
        };
        let whole = match (received.truncated, received.files.is_empty()) {
            (true, _) => Err(Violation::Truncated),
            (false, false) => Err(Violation::FileCount),
            (false, true) => Ok(packet),
        };
        pool::run_for(self.peer.uid, move || guest.answer(&core, whole));
        true
    }

    fn refuse(&self, refused: Refused) {
        listener::refuse(&self.socket, refused);
    }

    /// Answers a client's first message.
    fn answer(&self, core: &Arc<Core<S>>, packet: Result<Vec<u8>, Violation>) {
        drop(lock(&self.charge).take());
        let breach = |violation: Violation| {
            core.violations.note(violation, &core.name, &self.peer);
            self.refuse(Refused::new(violation.status(), violation.to_string()));
        };
        match packet.as_deref().map_err(|&violation| violation).and_then(FromClient::parse) {
            Ok(FromClient::Hello(hello)) => {
                if let Err(refused) = core.admit(&hello, self.peer.clone(), Arc::clone(&self.socket)) {
                    self.refuse(refused);
                }
            }
            Ok(FromClient::Query) => {
                if let Some(info) = core.info() {
                    let _ = self.socket.try_send(&FromHost::Info(info).encode(), &[]);
                }
            }
            Ok(FromClient::Ring | FromClient::Bye | FromClient::Duplicate { .. }) => breach(Violation::OutOfTurn),
            Err(violation) => breach(violation),
        }
    }
}

impl<S: Serve> Watch for Guest<S> {
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
