//! Windows Filter Manager communication ports for Linux: both ends of a port, and the namespace in which ports are found.
//!
//! A named, access-controlled *port* with replies and deadlines connects a *filter*, which sees file operations before
//! they happen, and an *application*, which decides about them.
//!
//! - The filter's end of a port is [`Port`]: it admits applications ([`SecurityDescriptor`]), calls the filter's [`Serve`]
//!   back, and sends to each [`Client`].
//! - The application's end is [`Connection`]: it receives each [`Message`] and replies, and sends requests of its own.
//! - [`question`] has the bytes in which the filters of the crate `fltmgr` ask about an [`operation`]: all that an
//!   application needs to answer them.
//!
//! Every error is an [`Error`] with the [`Status`] that Windows would give. Search for a Windows name, and you find the
//! item that stands for it.
//!
//! Both ends in one process; usually each has its own:
//!
//! ```
//! use std::sync::mpsc::{SyncSender, sync_channel};
//! use std::thread;
//! use std::time::Duration;
//!
//! use fltport::namespace::Namespace;
//! use fltport::{Client, ConnectOptions, Port, PortOptions, Serve, Status, Timeout};
//!
//! /// A filter that hands on each client.
//! struct Doorman(SyncSender<Client>);
//!
//! impl Serve for Doorman {
//!     type Session = ();
//!
//!     fn connect(&self, client: &Client, context: &[u8]) -> Result<(), Status> {
//!         if context != b"scanner" {
//!             return Err(Status::ACCESS_DENIED);
//!         }
//!         self.0.try_send(client.clone()).map_err(|_| Status::CONNECTION_COUNT_LIMIT)
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?; // Namespace::current() is where a process looks that is told nothing else
//! let namespace = Namespace::at(dir.path());
//! let (connected, clients) = sync_channel(1);
//! let _port = Port::create(r"\Scan", PortOptions::default().namespace(namespace.clone()), Doorman(connected))?;
//!
//! let scanner = ConnectOptions::default().namespace(namespace).connect(r"\Scan", b"scanner")?;
//! let application = thread::spawn(move || {
//!     let message = scanner.recv()?;
//!     let clean = !message.body().ends_with(b".virus");
//!     message.reply(Status::SUCCESS, &[clean.into()])?;
//!     Ok::<_, fltport::Error>(scanner) // kept: a disconnect would win over a reply that is not picked up yet
//! });
//!
//! let mut verdict = [0];
//! let reply = clients.recv()?.ask(b"/tmp/a.virus", &mut verdict, Timeout::After(Duration::from_secs(5)))?;
//! assert_eq!((reply.status, reply.len, verdict), (Status::SUCCESS, 1, [0]));
//! application.join().unwrap()?;
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]

mod application;
mod costs;
mod error;
mod handle;
mod monitor;
pub mod namespace;
mod pool;
mod port;
mod response;
mod sync;
mod wait;

#[cfg(feature = "async")]
pub use application::Messages;
pub use application::{Completed, Completions, ConnectOptions, Connection, Message, Pollable, Received, Receiver};
pub use error::Error;
pub use port::{Client, OutgoingMessage, OwnedReply, Pending, Port, PortOptions, Process, Reply, Serve, Usage};
pub use proto::access;
pub use proto::descriptor::{self, SecurityDescriptor};
pub use proto::name::PortName;
pub use proto::operation;
pub use proto::question;
pub use proto::sddl;
pub use proto::sid::{self, Sid};
pub use proto::status::{self, Status};
pub use response::Response;
pub use sys::peer::Credentials;
pub use wait::Timeout;

/// What the crate `fltmgr`, and the bindings to C and Python, share with this one beside the public items. No promise of
/// stability.
#[doc(hidden)]
pub mod internal {
    pub use crate::application::Polled;
    pub use crate::pool::run;
    pub use crate::sync::lock;
}
