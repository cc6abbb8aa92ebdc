//! What a client says on the sockets of a connection that stands: rings, handles, good-bye, and the hang-up.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use crate::monitor::{Interest, Monitor, Watch};
use proto::quota::Kind;
use proto::slots::HOLDERS;
use proto::status::Status;
use proto::violation::Violation;
use proto::wire::{FromClient, FromHost, MAX_SMALL_MESSAGE_LEN, Refused};
use sys::descriptors;
use sys::host_end::{Heard, HostEnd, Sender};
use sys::socket::Socket;

use super::handles::Handle;
use super::process::{Mortal, Process};
use super::serve::Serve;
use super::served::Served;
use super::socket::ClientSocket;
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

/// What is told of the end of the process that uses a handle.
struct AtEnd<S: Serve> {
    served: Weak<Served<S>>,
    /// Not held: the handle holds this.
    handle: Weak<Handle>,
}

impl<S: Serve> Mortal for AtEnd<S> {
    fn process_ended(&self) {
        if let (Some(served), Some(handle)) = (self.served.upgrade(), self.handle.upgrade()) {
            served.lost(&handle);
            pool::let_go(served);
        }
    }
}

impl<S: Serve> Served<S> {
    /// Watches a handle, which is in the list already, and the process that uses it, if there is one.
    ///
    /// # Errors
    /// The kernel's: it cannot be watched.
    pub(super) fn watch(self: &Arc<Self>, handle: &Arc<Handle>) -> io::Result<()> {
        self.watch_process(handle);
        let watch = Arc::new(SocketWatch { served: Arc::downgrade(self), handle: Arc::clone(handle) });
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

    fn watch_process(self: &Arc<Self>, handle: &Arc<Handle>) {
        if handle.process().is_none() {
            return; // not yet
        }
        let at_end = Arc::new(AtEnd { served: Arc::downgrade(self), handle: Arc::downgrade(handle) });
        if handle.at_end.set(Arc::clone(&at_end) as _).is_ok() {
            handle.tell_of_process(&at_end);
        }
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
            let (len, sender) = match handle.socket.try_hear(&mut packet) {
                Ok(Heard::Packet { len, sender }) => (len, sender),
                Ok(Heard::Truncated) => return Err(Violation::Truncated),
                Ok(Heard::Files) => return Err(Violation::FileCount),
                // nothing more, or the hang-up, which is told by itself
                Err(_) => return Ok(()),
            };
            if len == 0 {
                return Ok(());
            }
            match (FromClient::parse(&packet[..len])?, sender) {
                (FromClient::Ring, _) => self.rung(),
                (FromClient::Bye, _) => self.bye(handle),
                (FromClient::Duplicate, _) => self.duplicate(handle),
                (FromClient::Use, Some(sender)) if handle.holder().is_none() => {
                    let (served, handle) = (Arc::clone(self), Arc::clone(handle));
                    // looks into /proc
                    pool::run_for(self.uid(), move || served.use_handle(&handle, sender));
                }
                (FromClient::Use | FromClient::Hello(_) | FromClient::Query, _) => return Err(Violation::OutOfTurn),
            }
        }
        Ok(())
    }

    /// Makes one more handle, and sends the client its end.
    fn duplicate(self: &Arc<Self>, asked: &Handle) {
        let made = self.make_handle().and_then(|(handle, theirs)| {
            let sent = asked.socket.try_send(&FromHost::Handle.encode(), &[theirs.as_fd()]);
            sent.map_err(|error| {
                self.drop_handle(&handle);
                no_room(error)
            })
        });
        if let Err(refused) = made {
            tracing::debug!(port = %self.port.name, why = refused.sentence(), "handle refused");
            let _ = asked.socket.try_send(&FromHost::Refused(refused).encode(), &[]);
        }
    }

    fn make_handle(self: &Arc<Self>) -> Result<(Arc<Handle>, Socket), Refused> {
        let link = &self.client.link;
        let charge = self.user.charge(Kind::Handles, 1);
        let charge = charge.map_err(|exceeded| Refused::new(Status::INSUFFICIENT_RESOURCES, exceeded.to_string()))?;
        let (ours, theirs) = HostEnd::pair().map_err(no_room)?;
        descriptors::leaves_reserve(&ours).map_err(|reserved| no_room(reserved.into()))?;
        let handle = Arc::new(Handle::new(Arc::new(ClientSocket::new(ours, self.uid())), Some(charge)));
        link.handles.add(Arc::clone(&handle));
        if link.closed() {
            // asked when it is in the list: an end that comes after this finds it there, and closes it
            link.handles.remove(&handle);
            return Err(ended());
        }
        self.watch(&handle).map_err(|error| {
            link.handles.remove(&handle);
            no_room(error)
        })?;
        Ok((handle, theirs))
    }

    /// A process says that it uses the connection by this handle: for the first time, or once more after it was looked at.
    fn use_handle(self: &Arc<Self>, handle: &Arc<Handle>, sender: Sender) {
        let before = lock(&handle.candidate).take();
        let answer = match before {
            Some(process) if process.is_still(sender) => self.take_up(handle, process),
            _ => Process::of_sender(sender).map_err(no_room).map(|process| {
                *lock(&handle.candidate) = Some(process);
                FromHost::Confirm
            }),
        };
        let answer = answer.unwrap_or_else(|refused| {
            tracing::debug!(port = %self.port.name, why = refused.sentence(), "process refused");
            FromHost::Refused(refused)
        });
        // one that is gone already is seen by the watch
        let _ = handle.socket.try_send(&answer.encode(), &[]);
    }

    fn take_up(self: &Arc<Self>, handle: &Arc<Handle>, process: Process) -> Result<FromHost, Refused> {
        let link = &self.client.link;
        if link.closed() {
            return Err(ended());
        }
        let holder = link.handles.take_up(handle, process, link.holders_left()).ok_or_else(|| {
            Refused::new(Status::INSUFFICIENT_RESOURCES, format!("{HOLDERS} processes use this connection"))
        })?;
        self.watch_process(handle);
        Ok(FromHost::Welcome { holder: Some(holder), name: self.port.name.clone() })
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

    /// Takes a handle out of the list, and closes it for all that have it; false when it was out already.
    fn drop_handle(&self, handle: &Arc<Handle>) -> bool {
        if !self.client.link.handles.remove(handle) {
            return false;
        }
        drop(lock(&handle.watching).take());
        // a forked child may hold it open
        handle.socket.shutdown();
        true
    }

    /// A handle is closed, by whatever way.
    fn lost(self: &Arc<Self>, handle: &Arc<Handle>) {
        // what was said before the end counts
        self.hear(handle, READ_AT_THE_END);
        let link = &self.client.link;
        if !self.drop_handle(handle) {
            return;
        }
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

/// The refusal of a host that has no room.
fn no_room(error: io::Error) -> Refused {
    Refused::new(Status::INSUFFICIENT_RESOURCES, format!("the filter's host: {error}"))
}

/// The refusal of a connection that has ended.
fn ended() -> Refused {
    Refused::new(Status::PORT_DISCONNECTED, "the connection has ended")
}
