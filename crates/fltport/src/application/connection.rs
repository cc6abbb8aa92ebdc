//! The application's handle to a connection.

use std::sync::Arc;

use proto::name::PortName;
#[cfg(doc)]
use proto::status::Status;

use super::attachment::Attachment;
use super::connect::{ConnectOptions, connect};
use crate::Error;
use crate::sync::lock;

/// A connection to a filter's port: the application's handle.
///
/// Every call takes `&self` and may be made from many threads at once. Cloning gives another handle to the same
/// connection, [`Connection::duplicate`] one for another process; the last one to go disconnects. A forked child cannot
/// use its parent's handle: every call then fails with [`Status::INVALID_HANDLE`] and touches nothing.
///
/// ```no_run
/// # fn main() -> Result<(), fltport::Error> {
/// use fltport::{Connection, Status};
///
/// let port = Connection::connect(r"\ScannerPort", b"")?;
/// loop {
///     let question = port.recv()?;
///     let clean = !question.body().ends_with(b".virus");
///     question.reply(Status::SUCCESS, &[clean.into()])?;
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
#[doc(alias("FilterConnectCommunicationPort", "hPort"))]
pub struct Connection {
    pub(super) attachment: Arc<Attachment>,
}

impl ConnectOptions {
    /// Connects, as [`Connection::connect`] does.
    ///
    /// # Errors
    /// As [`Connection::connect`], and for an inheritable one, after the filter has accepted it, as
    /// [`Connection::from_handle`]; [`Status::TIMEOUT`]: the filter did not answer in time. If it accepts later, its
    /// disconnect callback follows.
    pub fn connect(&self, name: &str, context: &[u8]) -> Result<Connection, Error> {
        connect(self, name, context).map(|attachment| Connection { attachment })
    }
}

impl Connection {
    /// Connects to the port `name` (`\ScannerPort`), handing the filter up to 65,511 bytes of `context`. Blocks until
    /// the filter's connect callback returns.
    ///
    /// # Errors
    /// [`Status::OBJECT_PATH_SYNTAX_BAD`] or [`Status::OBJECT_NAME_INVALID`]: a bad name.
    /// [`Status::OBJECT_NAME_NOT_FOUND`], [`Status::OBJECT_PATH_NOT_FOUND`]: no such port, or it closed before it
    /// answered; the error names those that exist.
    /// [`Status::ACCESS_DENIED`]: the port's descriptor does not admit this user; the error says whom it admits.
    /// [`Status::CONNECTION_COUNT_LIMIT`]: the port has all the connections it wants.
    /// [`Status::INSUFFICIENT_RESOURCES`]: the host has no room, or this user has all the connections one may have;
    /// where the host has not heard us, because other clients of this user keep it waiting, or this one did for a
    /// second, it is tried again for 3 seconds first.
    /// [`Status::INTEGER_OVERFLOW`]: the context is too long. Any other status: the filter's own refusal.
    #[doc(alias = "FilterConnectCommunicationPort")]
    pub fn connect(name: &str, context: &[u8]) -> Result<Self, Error> {
        Self::options().connect(name, context)
    }

    /// The options of a connection.
    pub fn options() -> ConnectOptions {
        ConnectOptions::default()
    }

    /// The port's name.
    pub fn name(&self) -> &PortName {
        &self.attachment.name
    }

    /// Whether the filter is there still. A later call may find out otherwise.
    pub fn is_connected(&self) -> bool {
        !self.attachment.gone()
    }

    /// Disconnects this process, whatever other clones and calls there are: receives and sends that are under way end
    /// with [`Status::PORT_DISCONNECTED`], later ones at once. Returns after the filter's disconnect callback has, or
    /// at the end of the host; message callbacks that run are waited for before that. While other processes have
    /// handles, the connection goes on without this one, and this returns at once.
    #[doc(alias = "CloseHandle")]
    pub fn disconnect(&self) {
        self.attachment.disconnect(None);
    }

    /// Closes this handle; when it is the last one, disconnects and returns after the filter's disconnect callback has.
    /// Dropping the handle does the same but waits a quarter of a second at most. The end of the host ends the wait.
    ///
    /// A closed handle cannot be used. This does not compile:
    ///
    /// ```compile_fail,E0382
    /// # fn main() -> Result<(), fltport::Error> {
    /// let port = fltport::Connection::connect(r"\ScannerPort", b"")?;
    /// port.close();
    /// port.recv()?;
    /// # Ok(()) }
    /// ```
    #[doc(alias = "CloseHandle")]
    pub fn close(self) {
        let alarm = Arc::clone(&self.attachment.alarm);
        // the monitor borrows the attachment for a moment when the host goes
        let held = lock(&alarm.attachment);
        let last = Arc::into_inner(self.attachment);
        drop(held);
        if let Some(attachment) = last {
            attachment.disconnect(None);
        }
    }
}
