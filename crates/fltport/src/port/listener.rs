//! The listening socket: a client in its queue is let in to say what it wants, or told that the host has no room.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use crate::monitor::{Interest, Monitor, Watch};
use proto::name::PortName;
use proto::status::Status;
use proto::wire::{Hello, MAX_MESSAGE_LEN, Refused, WELCOME_FILES};
use sys::descriptors;
use sys::host_end::HostEnd;
use sys::peer::{self, Credentials};

use super::accept::{Acceptor, OpenSocket};
use super::handshake::{Handshakes, refuse};
use super::options::PortOptions;
use super::serve::Serve;
use super::served::ServedPort;
use super::socket::ClientSocket;
use crate::namespace::{Claim, Namespace};
use crate::sync::lock;
use crate::{Error, handle, pool, wait};

/// Creates a port, and takes clients from its queue.
///
/// # Errors
/// As [`super::Port::create`].
pub(super) fn listen<S: Serve>(name: &str, options: PortOptions, serve: S) -> Result<Arc<Acceptor<S>>, Error> {
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
    let system = |error| Error::resources(doing(), error);
    let monitor = begin().map_err(system)?;
    let namespace = options.namespace.clone().unwrap_or_else(Namespace::current);
    let claim = Arc::new(namespace.claim(&name, options.case_insensitive, &sddl)?);
    let acceptor = Arc::new(Acceptor::new(ServedPort::new(name, options, serve)));
    let watch = Arc::new(Accepting::new(&acceptor, &claim).map_err(system)?);
    let listener = Arc::new(ListenerOf(Arc::clone(&claim)));
    // held while it is watched: a client that comes at once finds the port open
    let mut listening = lock(&acceptor.listening);
    let watching = monitor.watch(listener, Interest::Readable, None, watch).map_err(system)?;
    *listening = Some(OpenSocket { watching, claim });
    drop(listening);
    Ok(acceptor)
}

/// Creates a port that does not listen, with a connection, and gives a handle to that.
///
/// # Errors
/// As [`super::Port::unlisted`].
pub(super) fn unlisted<S: Serve>(
    name: &str,
    options: PortOptions,
    serve: S,
) -> Result<(Arc<Acceptor<S>>, OwnedFd), Error> {
    let doing = || format!("creating {name}");
    let failed = |status| Error::new(status, doing());
    let system = |error| Error::resources(doing(), error);
    let name = PortName::parse(name).map_err(failed)?;
    let hello = Hello::new(name.clone(), &[]).map_err(failed)?;
    begin().map_err(system)?;
    let acceptor = Arc::new(Acceptor::new(ServedPort::new(name.clone(), options.max_connections(1), serve)));
    let (ours, way) = HostEnd::pair().map_err(system)?;
    let us = Credentials::of_peer(&way).map_err(system)?;
    let ours = Arc::new(ClientSocket::new(ours, us.uid));
    acceptor
        .place(&hello, us, ours)
        .map_err(|refused| Error::new(refused.status(), doing()).hint(refused.sentence()))?;
    // the answer, which brings the memory, and the way to the host, as they lie in every handle
    let welcome = way.recv(&mut [0; MAX_MESSAGE_LEN]).map_err(system)?;
    let [host, shared] = <[OwnedFd; WELCOME_FILES]>::try_from(welcome.files)
        .map_err(|_| failed(Status::INSUFFICIENT_RESOURCES).hint("the connection's memory was lost on its way"))?;
    let handle = handle::filled(&name, [way.as_fd(), host.as_fd(), shared.as_fd()]).map_err(system)?;
    Ok((acceptor, handle))
}

/// What every port needs of its process: the monitor that watches its sockets, threads, and the cost of a wait.
fn begin() -> io::Result<&'static Monitor> {
    wait::warm_up();
    let monitor = Monitor::of_this_process()?;
    pool::start()?;
    Ok(monitor)
}

/// A claim's listener, for the monitor.
struct ListenerOf(Arc<Claim>);

impl AsFd for ListenerOf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.listener().as_fd()
    }
}

/// Takes clients from the listening socket's queue.
struct Accepting<S: Serve> {
    acceptor: Weak<Acceptor<S>>,
    handshakes: Handshakes<S>,
    claim: Arc<Claim>,
    /// A descriptor to let go of when there is no other left: room to tell a client so.
    spare: Mutex<Option<OwnedFd>>,
}

/// Clients that are taken from the queue before the monitor looks at others.
const ACCEPTED_AT_A_TIME: usize = 16;

/// How long clients stay in the queue when the host could not even turn them away.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Tells a client why the host has no room for it; `why` is what the host says of itself.
fn refuse_for_want(socket: &HostEnd, why: &dyn fmt::Display) {
    refuse(socket, Refused::new(Status::INSUFFICIENT_RESOURCES, format!("the filter's host: {why}")));
}

fn spare(claim: &Claim) -> io::Result<OwnedFd> {
    claim.listener().as_fd().try_clone_to_owned()
}

impl<S: Serve> Accepting<S> {
    fn new(acceptor: &Arc<Acceptor<S>>, claim: &Arc<Claim>) -> io::Result<Self> {
        let spare = Mutex::new(Some(spare(claim)?));
        let acceptor = Arc::downgrade(acceptor);
        Ok(Self { acceptor, handshakes: Handshakes::new(), claim: Arc::clone(claim), spare })
    }

    /// Tells the next client that there is no room for it, in the place of the spare descriptor. False: not even that.
    fn turn_away(&self, error: &io::Error) -> bool {
        let mut room = lock(&self.spare);
        if room.is_none() {
            *room = spare(&self.claim).ok();
        }
        drop(room.take());
        let accepted = self.accepted();
        if let Ok(socket) = &accepted {
            refuse_for_want(socket, error);
        }
        let turned_away = accepted.is_ok();
        drop(accepted);
        *room = spare(&self.claim).ok();
        turned_away
    }

    /// Takes one client from the queue.
    fn accepted(&self) -> io::Result<ClientSocket> {
        let end = self.claim.listener().accept()?;
        // a client that the kernel does not name has a share that no user has
        let user = peer::user_of(&end).unwrap_or(u32::MAX);
        Ok(ClientSocket::new(end, user))
    }

    /// Takes some clients from the queue.
    fn accept(&self, acceptor: &Arc<Acceptor<S>>) {
        // clients that connect without end could fill the queue faster than it is emptied: the others have their turn first
        for _ in 0..ACCEPTED_AT_A_TIME {
            match self.accepted() {
                Ok(socket) => match descriptors::leaves_reserve(&socket) {
                    Ok(()) => self.handshakes.begin(acceptor, socket),
                    Err(reserved) => {
                        tracing::debug!(%reserved, port = %acceptor.port.name, "client turned away");
                        refuse_for_want(&socket, &reserved);
                    }
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    let listening = lock(&acceptor.listening);
                    // the end of the queue is an error too
                    let Some(open) = &*listening else { return };
                    tracing::warn!(%error, port = %acceptor.port.name, "a client could not be accepted");
                    if !self.turn_away(&error) {
                        // the client stays in the queue, and the queue readable
                        open.watching.pause(ACCEPT_PAUSE);
                    }
                    return;
                }
            }
        }
    }
}

impl<S: Serve> Watch for Accepting<S> {
    fn readable(&self) {
        if let Some(acceptor) = self.acceptor.upgrade() {
            self.accept(&acceptor);
            pool::let_go(acceptor);
        }
    }

    fn hangup(&self) {}

    fn expired(&self) {
        let Some(acceptor) = self.acceptor.upgrade() else { return };
        if let Some(open) = &*lock(&acceptor.listening) {
            open.watching.resume();
        }
        pool::let_go(acceptor);
    }
}
