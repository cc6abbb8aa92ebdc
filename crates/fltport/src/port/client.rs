//! The filter's handle to one connection.

use std::fmt;
use std::sync::Arc;

use proto::name::PortName;
#[cfg(doc)]
use proto::status::Status;
use sys::peer::Credentials;

use super::ask_queue::{AskQueue, OutgoingMessage};
use super::in_flight::OwnedReply;
use super::link::Link;
use super::pending::Pending;
use super::process::Process;
use super::reply::Reply;
use super::send::{Outgoing, capacity};
use crate::Error;
use crate::wait::Timeout;

/// One connection to a filter's port: what a filter sends messages through. Cloning gives another handle to the same
/// connection; dropping all of them does not end it.
///
/// Every call may be made from many threads at once: messages from one thread arrive in order, and threads that wait
/// for a receive buffer get one in no promised order.
#[derive(Clone)]
#[doc(alias("PFLT_PORT", "ClientPort"))]
pub struct Client {
    pub(super) link: Arc<Link>,
    pub(super) asks: Arc<AskQueue>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("port", &self.link.port)
            .field("peer", &self.link.peer)
            .field("connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(link: Link) -> Self {
        let link = Arc::new(link);
        Self { asks: Arc::new(AskQueue::new(Arc::clone(&link))), link }
    }

    /// Waits until no thread sleeps on the connection, which must be closed, and every question that was asked with a
    /// callback has been called back.
    pub(super) fn drain(&self) {
        self.link.drain();
        self.asks.drain();
    }

    /// The process that connected, its user and groups, as the kernel noted them at connect.
    pub fn peer(&self) -> &Credentials {
        &self.link.peer
    }

    /// The name of the port it is connected to.
    pub fn port(&self) -> &PortName {
        &self.link.port
    }

    /// Whether messages can still be sent. A later call may find out otherwise.
    pub fn is_connected(&self) -> bool {
        !self.link.closed()
    }

    /// Whether the process with this number uses the connection now: by the handle that it connected with, or was given, or
    /// inherited. Never blocks. A number that is used again is another process's: ask for each operation anew.
    pub fn is_used_by(&self, pid: u32) -> bool {
        self.link.handles.used_by(pid, self.link.peer.pid)
    }

    /// The processes that use the connection now. Never blocks.
    pub fn processes(&self) -> Vec<Process> {
        self.link.handles.processes()
    }

    /// Sends a message that wants no reply; returns when a receiver's buffer holds it. Without a posted receive the
    /// call blocks until there is one: nothing is queued.
    ///
    /// # Errors
    /// [`Status::TIMEOUT`]: no application has seen the message, nor ever will. [`Status::PORT_DISCONNECTED`].
    /// [`Status::INVALID_PARAMETER`]: the message has more than 4,294,967,279 bytes.
    /// [`Status::INSUFFICIENT_RESOURCES`]: the receiver let go of a message of more than 64 KiB before it had read it.
    #[doc(alias = "FltSendMessage")]
    pub fn send(&self, message: &[u8], timeout: Timeout) -> Result<(), Error> {
        let outgoing = Outgoing { message, reply: None, file: None, deadline: timeout.deadline(), flags: 0 };
        self.link.deliver(&outgoing).map(drop)
    }

    /// Sends a message that wants no reply if a receive that holds it is posted, and never waits: what a filter tells
    /// many clients, of which some may be slow. [`super::Port::try_send_all`] tells all.
    ///
    /// # Errors
    /// As [`Client::send`]; [`Status::TIMEOUT`] where that would wait, and for a message of more than 64 KiB, which goes
    /// in pieces that its receiver reads.
    pub fn try_send(&self, message: &[u8]) -> Result<(), Error> {
        self.send(message, Timeout::Poll)
    }

    /// Sends a message and waits for its reply in `reply`. The timeout covers both, the wait for a receiver and the
    /// wait for the reply. `message` and `reply` may be the same memory only in copies: the message is read before the
    /// reply is written.
    ///
    /// # Errors
    /// [`Status::TIMEOUT`]: no reply in time; the application learns that the filter waits no more when it replies.
    /// [`Status::PORT_DISCONNECTED`]. [`Status::INSUFFICIENT_RESOURCES`]: 1,024 messages of this connection wait
    /// already.
    #[doc(alias = "FltSendMessage")]
    pub fn ask(&self, message: &[u8], reply: &mut [u8], timeout: Timeout) -> Result<Reply, Error> {
        let link = &*self.link;
        let deadline = timeout.deadline();
        let waiter = link.deliver_for_reply(message, capacity(reply.len()), deadline)?;
        link.await_reply(waiter, reply, deadline)
    }

    /// Sends a message as [`Client::ask`] does and returns when a receiver's buffer holds it: the reply is waited for
    /// later, so that one thread has several under way.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn start(&self, message: &[u8], reply_capacity: usize, timeout: Timeout) -> Result<Pending, Error> {
        let deadline = timeout.deadline();
        let capacity = capacity(reply_capacity);
        let waiter = self.link.deliver_for_reply(message, capacity, deadline)?;
        Ok(Pending::new(Arc::clone(&self.link), waiter, capacity, deadline))
    }

    /// Sends a message and returns at once, however slowly the application reads. `done` is called exactly once: with
    /// the reply, on the thread that receives it, or with an error as [`Client::ask`] has them; before the disconnect
    /// callback of the connection. It must not wait for another reply of the same connection, nor for its end.
    ///
    /// Besides, [`Status::INSUFFICIENT_RESOURCES`] when 1,024 messages wait already for a receive, or for a reply.
    #[doc(alias = "FltSendMessage")]
    pub fn ask_then(&self, message: OutgoingMessage, done: impl FnOnce(Result<OwnedReply, Error>) + Send + 'static) {
        self.asks.ask(message, Box::new(done));
    }

    /// Ends the connection from the filter's side: waiting sends and the client's receives fail with
    /// [`Status::PORT_DISCONNECTED`], later ones at once. Closing twice does nothing. The disconnect callback is not
    /// called from here: it runs when the client lets its dead handle go, or at [`super::Port::unload`].
    #[doc(alias = "FltCloseClientPort")]
    pub fn close(&self) {
        self.link.close();
    }
}
