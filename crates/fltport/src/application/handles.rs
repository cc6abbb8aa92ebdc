//! Handles to the same connection in other processes: duplicated, given over a Unix socket, inherited.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use proto::status::Status;
use sys::socket::{self, Socket};

use super::connect::{duplicate, open};
use super::connection::Connection;
use crate::Error;
use crate::sync::lock;

const OPENING: &str = "opening a handle of another process";

impl Connection {
    /// Makes another handle to this connection, for another process: a descriptor that closes on exec. As long as it,
    /// or a duplicate of it, is open, the connection lives; the process that gets it calls [`Connection::from_handle`]. Within a
    /// process, cloning is enough. Blocks until the host has answered, 5 seconds at most.
    ///
    /// A connection has 15 processes that use it at most; a user, 64 handles beyond those that connected, unless the
    /// port says otherwise. To have a handle is to be connected: the port's descriptor is not asked again.
    ///
    /// # Errors
    /// [`Status::INSUFFICIENT_RESOURCES`]: a limit, or no descriptors. [`Status::PORT_DISCONNECTED`].
    /// [`Status::INVALID_HANDLE`]: after a fork. [`Status::TIMEOUT`]: the host does not answer.
    #[doc(alias("DuplicateHandle", "WSADuplicateSocket"))]
    pub fn duplicate(&self) -> Result<OwnedFd, Error> {
        self.attachment.check("duplicating a handle of")?;
        duplicate(&self.attachment)
    }

    /// Opens a handle that [`Connection::duplicate`] made in another process, or before a fork in this one's parent; or
    /// one that this program has inherited. The calls of this process go their own way to the filter. What the process
    /// has posted is taken back when it ends, and the connection goes on while another handle is open.
    ///
    /// The descriptor is closed, also when this fails. But one that passes exec stays open, when this succeeds, for the
    /// programs that this process starts: it is [`inheritable`](Connection::inheritable) until the process disconnects.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), fltport::Error> {
    /// # let port = fltport::Connection::connect(r"\ScannerPort", b"")?;
    /// let handle = port.duplicate()?;
    /// // … in the process that got it:
    /// let port = fltport::Connection::from_handle(handle)?;
    /// let message = port.recv()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Status::INVALID_PARAMETER`]: the descriptor is something else. [`Status::INSUFFICIENT_RESOURCES`]: 15
    /// processes use the connection already; no descriptors or memory. [`Status::PORT_DISCONNECTED`]: the connection
    /// has ended. [`Status::TIMEOUT`]: the host does not answer within 5 seconds.
    #[doc(alias("DuplicateHandle", "bInheritHandle"))]
    pub fn from_handle(handle: OwnedFd) -> Result<Self, Error> {
        let not_one = |error| {
            Error::with_source(Status::INVALID_PARAMETER, OPENING, error).hint("this is no handle of a connection")
        };
        let handle = Socket::adopt(handle).map_err(not_one)?;
        open(handle, &|| OPENING.into()).map(|attachment| Self { attachment })
    }

    /// Gives another process a handle over a Unix socket of any kind, whose other end calls [`Connection::take`].
    /// Blocks as the socket does.
    ///
    /// # Errors
    /// As [`Connection::duplicate`]; [`Status::PIPE_BROKEN`]: the socket failed.
    #[doc(alias("DuplicateHandle", "SCM_RIGHTS"))]
    pub fn give(&self, to: impl AsFd) -> Result<(), Error> {
        let handle = self.duplicate()?;
        socket::give(to.as_fd(), handle.as_fd()).map_err(|error| {
            Error::with_source(Status::PIPE_BROKEN, format!("giving a handle of {} away", self.attachment.name), error)
        })
    }

    /// Takes a handle from another process that calls [`Connection::give`]. Blocks as the socket does.
    ///
    /// # Errors
    /// As [`Connection::from_handle`]; [`Status::PIPE_BROKEN`]: the socket failed, or something else came.
    #[doc(alias("DuplicateHandle", "SCM_RIGHTS"))]
    pub fn take(from: impl AsFd) -> Result<Self, Error> {
        let handle = socket::take(from.as_fd())
            .map_err(|error| Error::with_source(Status::PIPE_BROKEN, "taking a handle from another process", error))?;
        Self::from_handle(handle)
    }

    /// The number under which programs that this process starts find the handle; `None` when the connection was not made
    /// [`inheritable`](super::ConnectOptions::inheritable), or this process has disconnected.
    ///
    /// The program is told the number, on its command line, say. Only it can know that nothing else of it uses that
    /// number, so that taking it over is up to it:
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::os::fd::{FromRawFd, OwnedFd};
    /// use fltport::Connection;
    ///
    /// let port = Connection::options().inheritable(true).connect(r"\ScannerPort", b"")?;
    /// let number = port.inheritable().ok_or("not inheritable")?;
    /// let worker = std::process::Command::new("worker").arg(number.to_string()).spawn()?;
    ///
    /// // … in the worker, once:
    /// let number = std::env::args().nth(1).ok_or("no number")?.parse()?;
    /// // SAFETY: the program that started this one opened it for us, and nothing here has used it before.
    /// let handle = unsafe { OwnedFd::from_raw_fd(number) };
    /// let port = Connection::from_handle(handle)?;
    /// # Ok(()) }
    /// ```
    #[doc(alias("bInheritHandle", "GetHandleInformation", "SECURITY_ATTRIBUTES"))]
    pub fn inheritable(&self) -> Option<RawFd> {
        lock(&self.attachment.inheritable).as_ref().map(|handle| handle.as_fd().as_raw_fd())
    }
}
