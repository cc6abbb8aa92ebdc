//! The application's end: connect, receive and reply, send.
//!
//! `connect` makes an `attachment`: what the threads of one process share of a connection. `connection` is the handle to
//! it that users have. A receive is a `get`; `receive`, `receiver` and `completions` post them, one for a call, several
//! that stay, or many by token, which `completion_queue` shares among threads and `watcher` tells event loops of. A
//! `message` is answered by `reply`; `send` makes requests; `futures` does all that for executors, `polled` for bindings to other
//! languages.

mod arrivals;
#[cfg(feature = "async")]
mod async_requests;
mod attachment;
mod completion_queue;
mod completions;
mod connect;
mod connection;
#[cfg(feature = "async")]
mod futures;
mod get;
mod handles;
mod message;
mod pieces;
mod polled;
mod receive;
mod receiver;
mod register;
mod reply;
mod send;
mod several;
mod watched;
mod watcher;

pub use completion_queue::Completed;
pub use completions::Completions;
pub use connect::ConnectOptions;
pub use connection::Connection;
#[cfg(feature = "async")]
pub use futures::Messages;
pub use message::Message;
pub use polled::Polled;
pub use receive::Received;
pub use receiver::Receiver;
pub use watcher::Pollable;
