//! What lies in a handle that no process has opened yet.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use proto::name::PortName;
use proto::wire::{FromHost, HANDLE_FILES};
use sys::socket::Socket;

/// A handle of a connection to this port: a socket in whose queue lie a way to the host and the two memories.
pub(crate) fn filled(port: &PortName, files: [BorrowedFd<'_>; HANDLE_FILES]) -> io::Result<OwnedFd> {
    let (handle, inside) = Socket::pair()?;
    inside.send(&FromHost::Welcome { holder: None, name: port.clone() }.encode(), &files)?;
    Ok(handle.into())
}
