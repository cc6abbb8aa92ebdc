//! Filters, and the manager that asks them about the operations of a source.
//!
//! A [`Filter`] says which operations it wants and gets each as a [`PreOperation`], before it happens. It answers with
//! [`PreOperation::allow`] or [`PreOperation::deny`], now or later and from any thread. Filters stand in order of
//! [`Altitude`]; an *allow* passes the operation to the next lower one, a *deny* ends it. An operation is answered
//! exactly once: by a filter, by the deadline, or by the end of the source, whichever comes first; dropped, it is
//! answered by the filter's [`OnMiss`].
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use fltmgr::Status;
//! use fltmgr::filter::{Altitude, Filter, Manager, OpKind, OpSet, PreOperation, Verdict};
//! use fltmgr::source::Synthetic;
//!
//! struct NoSecrets;
//!
//! impl Filter for NoSecrets {
//!     fn name(&self) -> &str {
//!         "no-secrets"
//!     }
//!
//!     fn altitude(&self) -> Altitude {
//!         Altitude::parse("320000").unwrap()
//!     }
//!
//!     fn ops(&self) -> OpSet {
//!         OpSet::OPEN
//!     }
//!
//!     fn pre(&self, operation: PreOperation) {
//!         if operation.path.ends_with("secret") { operation.deny(Status::ACCESS_DENIED) } else { operation.allow() };
//!     }
//! }
//!
//! # fn main() -> Result<(), fltmgr::Error> {
//! let made_up = Arc::new(Synthetic::new()); // a test's source; others see what programs really do
//! let _manager = Manager::builder().filter(NoSecrets)?.start(made_up.clone())?;
//! let opened = made_up.submit(Synthetic::operation(OpKind::Open, "/home/me/secret"));
//! assert_eq!(opened.wait(Duration::from_secs(5)), Some(Verdict::Deny(Status::ACCESS_DENIED)));
//! # Ok(()) }
//! ```

mod altitude;
mod chain;
mod counters;
mod deadline;
mod manager;
mod pre_operation;
mod readers;
mod record;
mod threads;
mod verdict;

use std::time::Duration;

pub use altitude::Altitude;
pub use counters::Counters;
pub use manager::{Builder, Manager, Outstanding};
pub use pre_operation::PreOperation;
pub use proto::operation::{Arguments, Caller, CallerInfo, OpFlags, OpKind, OpSet, Operation};
pub use record::{Record, Records};
pub use verdict::{By, OnMiss, Verdict};

/// Decides about operations before they happen.
#[doc(alias = "FltRegisterFilter")]
#[doc(alias = "FLT_REGISTRATION")]
pub trait Filter: Send + Sync + 'static {
    /// The name that records and errors use.
    fn name(&self) -> &str;

    /// Where it stands among the others: higher ones are asked first. Two filters of one manager can not share one.
    fn altitude(&self) -> Altitude;

    /// What it wants to be asked about. A source that can not block one of them refuses the manager at the start.
    fn ops(&self) -> OpSet;

    /// How long it may take; five seconds unless said otherwise. It starts anew when the filter above has allowed.
    fn deadline(&self) -> Duration {
        Duration::from_secs(5)
    }

    /// What becomes of an operation that it does not answer.
    fn on_miss(&self) -> OnMiss {
        OnMiss::Allow
    }

    /// An operation is about to happen. Called on a thread of the library's, several at a time. It should hand the
    /// operation on and return: one that blocks costs a thread and, after some milliseconds, no other operation
    /// anything; but of 256 that block at one time nothing more is read. It must not open files that the source
    /// watches. A panic answers by [`Filter::on_miss`], and so does the deadline, whether the call has returned or not.
    #[doc(alias = "PFLT_PRE_OPERATION_CALLBACK")]
    fn pre(&self, operation: PreOperation);
}
