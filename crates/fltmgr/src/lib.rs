//! Windows' Filter Manager for Linux: filters that decide about file operations before they happen, and communication
//! ports to the applications that they ask.
//!
//! - A [`source`] reports operations, a [`filter::Manager`] puts them before each [`filter::Filter`], and answers them.
//! - [`guard`] is the filter that is built in: it denies, asks an application or allows as the rules of a [`policy`] say.
//! - A [`Port`] connects a filter with applications. Ports are a crate of their own, [`fltport`], whose items are here too:
//!   a filter imports this crate alone, an application that only answers imports `fltport`.
//!
//! Every error is an [`Error`] with the [`Status`] that Windows would give. Search for a Windows name, and you find the
//! item that stands for it.
//!
//! A command whose opens of `*.secret` are denied, and asked about otherwise:
//!
//! ```no_run
//! use std::process::Command;
//! use std::sync::Arc;
//!
//! use fltmgr::filter::{Manager, OpSet};
//! use fltmgr::guard::{Applications, Guard};
//! use fltmgr::policy::{Rule, Rules};
//! use fltmgr::source::Supervise;
//! use fltmgr::{Port, PortOptions};
//!
//! # fn main() -> Result<(), fltmgr::Error> {
//! let applications = Applications::new();
//! let _port = Port::create(r"\ScannerPort", PortOptions::default(), applications.clone())?;
//! let rules = Rules::new([Rule::deny(["*.secret"]), Rule::ask(["**"]).kinds(OpSet::OPEN)])?;
//! let guard = Guard::new(rules).ask(Arc::new(applications));
//! let command = Arc::new(Supervise::new(Command::new("make")));
//! let _manager = Manager::builder().filter(guard)?.start(command.clone())?;
//! let status = command.wait()?;
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]

pub mod filter;
pub mod guard;
pub mod policy;
pub mod source;

#[cfg(feature = "async")]
pub use fltport::Messages;
pub use fltport::{
    Client, Completed, Completions, ConnectOptions, Connection, Credentials, Error, Message, OutgoingMessage,
    OwnedReply, Pending, Pollable, Port, PortName, PortOptions, Process, Received, Receiver, Reply, Response,
    SecurityDescriptor, Serve, Sid, Status, Timeout, Usage,
};
pub use fltport::{access, descriptor, namespace, operation, question, sddl, sid, status};
