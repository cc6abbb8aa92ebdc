//! Windows Filter Manager communication ports, and the filter manager behind them, for Linux.
//!
//! A *filter* sees file operations before they happen, an *application* decides about them, and a named,
//! access-controlled *port* with replies and deadlines connects the two.
//!
//! - The filter's end of a port is [`Port`]: it admits applications ([`SecurityDescriptor`]), calls the filter's [`Serve`]
//!   back, and sends to each [`Client`].
//! - The application's end is [`Connection`]: it receives each [`Message`] and replies, and sends requests of its own.
//! - [`filter`] asks filters about the operations of a [`source`]; [`guard`] is the filter that is built in.
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
//! use fltmgr::namespace::Namespace;
//! use fltmgr::{Client, ConnectOptions, Port, PortOptions, Serve, Status, Timeout};
//!
//! /// A filter that hands on whoever connects.
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
//! let dir = tempfile::tempdir()?; // Namespace::current() is where all look who say nothing else
//! let namespace = Namespace::at(dir.path());
//! let (connected, clients) = sync_channel(1);
//! let _port = Port::create(r"\Scan", PortOptions::default().namespace(namespace.clone()), Doorman(connected))?;
//!
//! let scanner = ConnectOptions::default().namespace(namespace).connect(r"\Scan", b"scanner")?;
//! let application = thread::spawn(move || {
//!     let message = scanner.recv()?;
//!     let clean = !message.body().ends_with(b".virus");
//!     message.reply(Status::SUCCESS, &[clean.into()])?;
//!     Ok::<_, fltmgr::Error>(scanner) // kept: a disconnect would win over a reply that is not picked up yet
//! });
//!
//! let mut verdict = [0];
//! let reply = clients.recv()?.ask(b"/tmp/a.virus", &mut verdict, Timeout::After(Duration::from_secs(5)))?;
//! assert_eq!((reply.status, reply.len, verdict), (Status::SUCCESS, 1, [0]));
//! application.join().unwrap()?;
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]

#[cfg(feature = "tokio")]
mod aio;
mod connection;
mod error;
pub mod filter;
pub mod guard;
pub mod namespace;
mod pool;
mod port;
pub mod source;
mod sync;
mod wait;

#[cfg(feature = "tokio")]
pub use aio::Messages;
pub use connection::{Completed, Completions, ConnectOptions, Connection, Message, Pollable, Received, Receiver};
pub use error::Error;
pub use port::{Answer, Answered, Client, Pending, Port, PortOptions, Question, Reply, Serve, Usage};
pub use proto::access;
pub use proto::descriptor::{self, SecurityDescriptor};
pub use proto::name::PortName;
pub use proto::sid::{self, Sid};
pub use proto::status::{self, Status};
pub use sys::peer::Credentials;
pub use wait::Timeout;
