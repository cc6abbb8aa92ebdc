//! What a client says on the sockets of a connection that stands: rings, handles, good-bye, and the hang-up.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use proto::quota::Kind;
use proto::slots::HOLDERS;
use proto::status::Status;
use proto::violation::Violation;
use proto::wire::{FromClient, FromHost, MAX_SMALL_MESSAGE_LEN, Refused};
use sys::descriptors;
use sys::monitor::{Interest, Monitor, Watch};
use sys::socket::{Received, Socket};

use super::handles::Handle;
use super::process::{Mortal, Process};
use super::serve::Serve;
use super::served::Served;
use crate::pool;
use crate::sync::lock;

/// Packets that are read from one client before the monitor looks at the others.
const READ_AT_A_TIME: usize = 64;
/// Packets that are read from a socket whose process is gone: more than a socket's queue holds.
const READ_AT_THE_END: usize = 4096;

/// What the monitor tells of one handle.
struct SocketWatch<S: Serve> {
    served: Weak<Served<S>>,
    handle: Arc<Handle>,
}

impl<S: Serve> Watch for SocketWatch<S> {
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

impl<S: Serve> Mortal for SocketWatch<S> {
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
        let watch = Arc::new(SocketWatch { served: Arc::downgrade(self), handle: Arc::clone(handle) });
        handle.tell_of_process(&watch);
        // held while it is registered: an end that comes at once waits for it
        let mut watching = lock(&handle.watching);
        *watching = Some(Monitor::of_this_process()?.watch(
            Arc::clone(&handle.socket) as _,
            Interest::Readable,
            None,
            watch,
        )?);
        Ok(())
    }

    /// Reads what a client says on one of its sockets.
    fn hear(self: &Arc<Self>, handle: &Arc<Handle>, most: usize) {
        if let Err(violation) = self.read(handle, most) {
            self.client.link.violated(violation);
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

    pub(super) fn accept_handle(self: &Arc<Self>, socket: &Arc<Socket>, in_use: bool) -> Result<(), Refused> {
        let link = &self.client.link;
        let no_room = |why: String| Refused::new(Status::INSUFFICIENT_RESOURCES, why);
        let host = |error: io::Error| no_room(format!("the filter's host: {error}"));
        descriptors::leaves_reserve(&**socket).map_err(|reserved| host(reserved.into()))?;
        let charge = self.user.charge(Kind::Handles, 1).map_err(|exceeded| no_room(exceeded.to_string()))?;
        let mut user = None;
        if in_use {
            let next = link.handles.next_holder(link.holders_left());
            let holder = next.ok_or_else(|| no_room(format!("{HOLDERS} processes use this connection")))?;
            user = Some((holder, Process::of_peer(socket).map_err(host)?));
        }
        let holder = user.as_ref().map(|(holder, _)| *holder);
        let handle = Arc::new(Handle::new(Arc::clone(socket), user, Some(charge)));
        link.handles.add(Arc::clone(&handle));
        if link.closed() {
            // asked when it is in the list: an end that comes after this finds it there, and closes it
            link.handles.remove(&handle);
            return Err(Refused::new(Status::PORT_DISCONNECTED, "the connection has ended"));
        }
        // before it is welcomed: who cannot be watched is told no, and does not use a number that is another's next
        self.watch(&handle).map_err(|error| {
            link.handles.remove(&handle);
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
        if self.client.link.handles.others_keep(handle) {
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
        let link = &self.client.link;
        if !link.handles.remove(handle) {
            return;
        }
        drop(lock(&handle.watching).take());
        // a forked child may hold it open
        handle.socket.shutdown();
        if !link.handles.others_keep(handle) {
            self.begin_end();
        }
        if let Some(holder) = handle.holder() {
            link.forget_holder(holder);
            // the process may have been about to ring
            self.rung();
        }
    }
}
