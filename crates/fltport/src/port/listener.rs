//! Who knocks is let in to say what it wants, or is told that the host has no room.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use proto::status::Status;
use proto::wire::{FromHost, MAX_SMALL_MESSAGE_LEN, Refused};
use sys::descriptors;
use sys::monitor::Watch;
use sys::socket::Socket;

use super::Serve;
use super::accept::Core;
use crate::namespace::Claim;
use crate::pool;
use crate::sync::lock;

/// Takes clients from the listening socket's queue.
pub(super) struct Accepting<S: Serve> {
    core: Weak<Core<S>>,
    claim: Arc<Claim>,
    /// A descriptor to let go of when there is no other left: room to tell a client so.
    spare: Mutex<Option<OwnedFd>>,
}

/// Clients that are taken from the queue before the monitor looks at others.
const ACCEPTED_AT_A_TIME: usize = 16;

/// How long clients stay in the queue when the host could not even turn them away.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Tells a client that it is not let in, whether it has spoken or not.
pub(super) fn refuse(socket: &Socket, refused: Refused) {
    // what a client has said is read first: a close before that would hide the answer from it
    socket.shutdown_read();
    let _ = socket.try_recv(&mut [0; MAX_SMALL_MESSAGE_LEN]);
    let _ = socket.try_send(&FromHost::Refused(refused).encode(), &[]);
}

/// Tells a client why the host has no room for it; `why` is what the host says of itself.
fn refuse_for_want(socket: &Socket, why: &dyn fmt::Display) {
    refuse(socket, Refused::new(Status::INSUFFICIENT_RESOURCES, format!("the filter's host: {why}")));
}

fn spare(claim: &Claim) -> io::Result<OwnedFd> {
    claim.listener().as_fd().try_clone_to_owned()
}

impl<S: Serve> Accepting<S> {
    pub(super) fn new(core: &Arc<Core<S>>, claim: &Arc<Claim>) -> io::Result<Self> {
        let spare = Mutex::new(Some(spare(claim)?));
        Ok(Self { core: Arc::downgrade(core), claim: Arc::clone(claim), spare })
    }

    /// Tells the next client that there is no room for it, in the place of the spare descriptor. False: not even that.
    fn turn_away(&self, error: &io::Error) -> bool {
        let mut room = lock(&self.spare);
        if room.is_none() {
            *room = spare(&self.claim).ok();
        }
        drop(room.take());
        let accepted = self.claim.listener().accept();
        if let Ok(socket) = &accepted {
            refuse_for_want(socket, error);
        }
        let turned_away = accepted.is_ok();
        drop(accepted);
        *room = spare(&self.claim).ok();
        turned_away
    }

    /// Takes some clients from the queue.
    fn accept(&self, core: &Arc<Core<S>>) {
        // those who knock without end could fill the queue faster than it is emptied: the others have their turn first
        for _ in 0..ACCEPTED_AT_A_TIME {
            match self.claim.listener().accept() {
                Ok(socket) => match descriptors::leaves_reserve(&socket) {
                    Ok(()) => core.half_open(socket),
                    Err(reserved) => {
                        tracing::debug!(%reserved, port = %core.name, "client turned away");
                        refuse_for_want(&socket, &reserved);
                    }
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    let listening = lock(&core.listening);
                    // the end of the queue is an error too
                    let Some(door) = &*listening else { return };
                    tracing::warn!(%error, port = %core.name, "a client could not be accepted");
                    if !self.turn_away(&error) {
                        // the client stays in the queue, and the queue readable
                        door.watching.pause(ACCEPT_PAUSE);
                    }
                    return;
                }
            }
        }
    }
}

impl<S: Serve> Watch for Accepting<S> {
    fn readable(&self) {
        if let Some(core) = self.core.upgrade() {
            self.accept(&core);
            pool::let_go(core);
        }
    }

    fn hangup(&self) {}

    fn expired(&self) {
        let Some(core) = self.core.upgrade() else { return };
        if let Some(door) = &*lock(&core.listening) {
            door.watching.resume();
        }
        pool::let_go(core);
    }
}
