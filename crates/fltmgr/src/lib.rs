//! Windows Filter Manager communication ports, and the filter manager behind them, for Linux.
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
