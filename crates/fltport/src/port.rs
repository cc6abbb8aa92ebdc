//! The filter's end: a port, the clients that may connect to it, and what is done when one does.
//!
//! The files, in the order of a connection's life: `listener` takes a client from the queue, `handshake` hears what it
//! wants, `accept` decides and makes the connection, `served` is the connection at its port until its end. `link` is what all
//! threads of the filter share of it, `client` the filter's handle. Messages go through `send`, `pieces` and `reply`, or,
//! where no thread waits for the reply, through `ask_queue` and `in_flight`; requests come through `packets` and `requests`.

mod accept;
mod ask_queue;
mod callback;
mod client;
mod file;
mod handles;
mod handshake;
mod in_flight;
mod link;
mod listener;
mod options;
mod packets;
mod pending;
mod pieces;
mod process;
mod reply;
mod requests;
mod send;
mod serve;
mod served;
mod socket;
mod violations;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use proto::name::PortName;

use self::accept::Listening;
use crate::Error;

pub use ask_queue::OutgoingMessage;
pub use client::Client;
pub use in_flight::OwnedReply;
pub use options::{PortOptions, Usage};
pub use pending::Pending;
pub use process::Process;
pub use reply::Reply;
pub use serve::Serve;

/// A port that clients can connect to. Dropping it closes it, as [`Port::close`] does.
///
/// In a forked child it stays the parent's: dropping, closing or unloading it there does nothing, the filter is not
/// dropped either, and it seems to have no connections.
#[derive(Debug)]
#[doc(alias("FltCreateCommunicationPort", "PFLT_PORT"))]
pub struct Port {
    core: Arc<dyn Listening>,
}

impl Port {
    /// Creates the port `name` (`\ScannerPort`) and listens. `serve.connect` may be called before this returns.
    ///
    /// # Errors
    /// [`crate::Status::INVALID_PARAMETER`]: no connection is allowed. [`crate::Status::OBJECT_PATH_SYNTAX_BAD`],
    /// [`crate::Status::OBJECT_NAME_INVALID`], [`crate::Status::OBJECT_PATH_NOT_FOUND`]: the name. [`crate::Status::OBJECT_NAME_COLLISION`]:
    /// another live host serves it. [`crate::Status::ACCESS_DENIED`]: the namespace's directory cannot be written.
    /// [`crate::Status::INSUFFICIENT_RESOURCES`]: no descriptors or memory.
    #[doc(alias = "FltCreateCommunicationPort")]
    pub fn create<S: Serve>(name: &str, options: PortOptions, serve: S) -> Result<Self, Error> {
        listener::listen(name, options, serve).map(|core| Self { core })
    }

    /// Creates a port that is in no namespace, and its one connection, to which this gives a handle: for a process that
    /// this one starts and that no other must take the place of. That calls [`Connection::from_handle`]; the connection
    /// lives as long as the handle, or a process that uses it. Nothing else can connect, now or later. Of the options the
    /// descriptor, the namespace and the number of connections have no effect. `name` is what both ends call it in errors;
    /// another port may have the same.
    ///
    /// [`Connection::from_handle`]: crate::Connection::from_handle
    ///
    /// ```no_run
    /// # use std::process::Command;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # struct Nothing; impl fltport::Serve for Nothing { type Session = ();
    /// #   fn connect(&self, _: &fltport::Client, _: &[u8]) -> Result<(), fltport::Status> { Ok(()) } }
    /// # let serve = Nothing;
    /// let (port, handle) = fltport::Port::unlisted(r"\WorkerPort", fltport::PortOptions::default(), serve)?;
    /// let worker = Command::new("worker").stdin(handle).spawn()?;
    ///
    /// // … in the worker:
    /// use std::os::fd::AsFd;
    /// let port = fltport::Connection::from_handle(std::io::stdin().as_fd().try_clone_to_owned()?)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// What the connect callback refuses with. [`crate::Status::OBJECT_PATH_SYNTAX_BAD`] and the like: the name.
    /// [`crate::Status::INSUFFICIENT_RESOURCES`]: no descriptors or memory.
    pub fn unlisted<S: Serve>(name: &str, options: PortOptions, serve: S) -> Result<(Self, OwnedFd), Error> {
        listener::unlisted(name, options, serve).map(|(core, handle)| (Self { core }, handle))
    }

    /// The port's name.
    pub fn name(&self) -> &PortName {
        self.core.name()
    }

    /// The connections at this moment.
    pub fn clients(&self) -> Vec<Client> {
        self.core.clients()
    }

    /// Sends a message that wants no reply to every client that has a receive posted which holds it, and never waits:
    /// a client that is slow costs the others nothing. Those that it did not reach, each with the error that
    /// [`Client::try_send`] would give.
    pub fn try_send_all(&self, message: &[u8]) -> Vec<(Client, Error)> {
        let sent = self.clients().into_iter().map(|client| (client.try_send(message), client));
        sent.filter_map(|(sent, client)| Some((client, sent.err()?))).collect()
    }

    /// What the user `uid` holds of this port at this moment.
    pub fn usage(&self, uid: u32) -> Usage {
        self.core.usage(uid)
    }

    /// How many connections and handshakes have ended because the client broke the protocol, by the breach's name
    /// (`out-of-turn`, `bad-reply`, …). Each was logged once, as a warning.
    pub fn violations(&self) -> Vec<(&'static str, u64)> {
        self.core.violations()
    }

    /// Stops listening: the name is free at once. Connections that exist go on; a connect callback that runs may still
    /// make one.
    #[doc(alias = "FltCloseCommunicationPort")]
    pub fn close(self) {
        drop(self);
    }

    /// Stops listening and ends every connection, as unloading a filter does: returns when every disconnect callback
    /// has returned. Clients keep a dead handle.
    ///
    /// Called from a callback of this port, that of a question too, it does not wait for that callback: it ends the
    /// connections and returns, and the disconnect callbacks run on a thread of the library's.
    #[doc(alias("FltUnregisterFilter", "FilterUnload"))]
    pub fn unload(self) {
        Arc::clone(&self.core).unload();
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        Arc::clone(&self.core).close();
    }
}
