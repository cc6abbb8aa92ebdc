//! The handshake, seen from the application.

use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use proto::name::PortName;
use proto::status::Status;
use proto::wait::Patience;
use proto::wire::{FromClient, FromHost, Hello, HelloFlags, MAX_MESSAGE_LEN, WELCOME_FILES};
use sys::fork::ForkGuard;
use sys::memory::Memory;
use sys::monitor::{Interest, Monitor};
use sys::socket::Socket;

use super::completions::Register;
use super::{Alarm, ConnectOptions, Link, Slots, lock};
use crate::namespace::Namespace;
use crate::{Error, wait};

pub(super) fn connect(options: &ConnectOptions, name: &str, context: &[u8]) -> Result<Arc<Link>, Error> {
    let doing = || format!("connecting to {name}");
    let port = PortName::parse(name).map_err(|status| Error::new(status, doing()))?;
    let hello = Hello::new(HelloFlags::empty(), port.clone(), context).map_err(|status| {
        Error::new(status, doing()).hint(format!("the context is {} bytes, 65,511 are the limit", context.len()))
    })?;
    wait::warm_up();
    let namespace = options.namespace.clone().unwrap_or_else(Namespace::current);
    let socket = namespace.find(&port)?;
    match socket.send(&FromClient::Hello(hello).encode(), &[]) {
        Ok(()) => {}
        // a host that has turned us away already may have said why
        Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
        Err(error) => return Err(Error::with_source(Status::PORT_DISCONNECTED, doing(), error)),
    }
    let memory = welcome(&socket, &doing)?;
    establish(port, socket, memory).map_err(|error| Error::with_source(Status::INSUFFICIENT_RESOURCES, doing(), error))
}

/// Waits for the host's answer: the memory, or its refusal.
fn welcome(socket: &Socket, doing: &impl Fn() -> String) -> Result<Memory, Error> {
    let mut packet = vec![0; MAX_MESSAGE_LEN];
    let received =
        socket.recv(&mut packet).map_err(|error| Error::with_source(Status::PORT_DISCONNECTED, doing(), error))?;
    if received.len == 0 {
        return Err(
            Error::new(Status::PORT_DISCONNECTED, doing()).hint("the filter ended, or its host refuses to talk")
        );
    }
    let unlike = |what: String| Error::new(Status::INVALID_PARAMETER, doing()).hint(what);
    match FromHost::parse(&packet[..received.len]) {
        Ok(FromHost::Welcome) => {}
        Ok(FromHost::Refused(refused)) => {
            let error = Error::new(refused.status(), doing());
            return Err(if refused.sentence().is_empty() { error } else { error.hint(refused.sentence()) });
        }
        Ok(_) => return Err(unlike("the host answered something else than yes or no".into())),
        Err(violation) => return Err(unlike(format!("the host speaks another protocol: {violation}"))),
    }
    let [host, shared] = match <[_; WELCOME_FILES]>::try_from(received.files) {
        Ok(files) if !received.truncated => files,
        _ => {
            return Err(Error::new(Status::INSUFFICIENT_RESOURCES, doing())
                .hint("the connection's memory did not arrive; are there file descriptors left? (ulimit -n)"));
        }
    };
    Memory::open(host.as_fd(), shared.as_fd())
        .map_err(|error| Error::with_source(Status::INSUFFICIENT_RESOURCES, doing(), error))
}

fn establish(name: PortName, socket: Socket, memory: Memory) -> std::io::Result<Arc<Link>> {
    let alarm = Arc::new(Alarm { gone: AtomicBool::new(false), link: Mutex::new(Weak::new()) });
    let socket = Arc::new(socket);
    let link = Arc::new(Link {
        name,
        memory,
        socket: Arc::clone(&socket),
        guard: ForkGuard::new(),
        alarm: Arc::clone(&alarm),
        watching: OnceLock::new(),
        receives: Patience::default(),
        sends: Patience::default(),
        asleep: AtomicUsize::new(0),
        files: Mutex::default(),
        slots: Slots::default(),
        windows: Mutex::default(),
        completions: Register::default(),
    });
    *lock(&alarm.link) = Arc::downgrade(&link);
    let watching = Monitor::of_this_process()?.watch(socket, Interest::Hangup, None, alarm)?;
    // set once, here
    let _ = link.watching.set(watching);
    Ok(link)
}
