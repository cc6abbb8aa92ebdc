//! Where file operations come from.
//!
//! | source | for | what it covers | what it can hold back |
//! |---|---|---|---|
//! | [`Supervise`] | any user | a command and its descendants | open, exec, names (rename, unlink, link, mkdir, mknod), truncate, attributes (chmod, chown, utimes, xattr, chattr) |
//! | [`Fanotify`] | root | every process, on the file systems named | open, exec |
//! | [`Synthetic`] | any program | what a test makes up | everything |
//!
//! ```
//! use std::process::Command;
//! use std::sync::Arc;
//!
//! use fltmgr::filter::Manager;
//! use fltmgr::guard::Guard;
//! use fltmgr::policy::{Rule, Rules};
//! use fltmgr::source::Supervise;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut command = Command::new("cat");
//! command.arg("/etc/passwd");
//! let cat = Arc::new(Supervise::new(command));
//! let guard = Guard::new(Rules::new([Rule::deny(["/etc/passwd"])])?);
//! let _manager = Manager::builder().filter(guard)?.start(cat.clone())?;
//! assert_eq!(cat.wait()?.code(), Some(1)); // cat: /etc/passwd: Permission denied
//! # Ok(()) }
//! ```

mod descriptors;
mod exempt;
mod fanotify;
mod procfs;
mod supervise;
mod synthetic;

use std::fmt::Debug;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

pub use exempt::Exempt;
pub use fanotify::{Coverage, Fanotify};
pub use supervise::{AtEnd, CallCounters, Supervise};
pub use synthetic::{Submitted, Synthetic};

use proto::operation::{OpSet, Operation};

use crate::Error;
use crate::filter::Verdict;

/// Reports operations before they happen, and carries the verdicts out.
pub trait Source: Debug + Send + Sync + 'static {
    /// The name that errors use.
    fn name(&self) -> &str;

    /// What it can hold back until there is a verdict.
    fn capabilities(&self) -> OpSet;

    /// How many threads should call [`next`](Self::next).
    fn threads(&self) -> usize {
        1
    }

    /// Starts to report these operations. Called once, before the first [`next`](Self::next).
    ///
    /// # Errors
    /// What keeps it from reporting.
    fn start(&self, ops: OpSet) -> Result<(), Error>;

    /// The next operation; blocks. `None` when there will be no more.
    ///
    /// # Errors
    /// Of the source as a whole; it ends the thread that called, and when that was the last one, [`stop`](Self::stop) is
    /// called.
    fn next(&self) -> Result<Option<Box<dyn Waiting>>, Error>;

    /// Makes every [`next`](Self::next) return `None`. Operations that wait can still be answered. May be called more
    /// than once.
    fn stop(&self);
}

/// An operation that a source holds back.
pub trait Waiting: Debug + Send + Sync + 'static {
    /// What is to be done.
    fn operation(&self) -> &Arc<Operation>;
    /// Since when it waits, if that is before it is reported: time since boot (CLOCK_MONOTONIC). A filter's deadline
    /// begins then. Read once, when it is reported.
    fn arrived(&self) -> Duration {
        sys::clock::monotonic()
    }
    /// The file, open for reading; `None` if there is nothing to be read.
    ///
    /// # Errors
    /// What keeps it from being opened although there is.
    fn file(&self) -> io::Result<Option<Arc<OwnedFd>>>;
    /// Carries the verdict out; called once. False if no thread waits for it any more.
    fn answer(&self, verdict: Verdict) -> bool;
    /// Do not report this file again until it changes, if the source can.
    fn remember(&self) {}
}
