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

use std::fmt;
use std::time::Duration;

pub use altitude::Altitude;
pub use counters::Counters;
pub use manager::{Builder, Manager, Outstanding};
pub use pre_operation::PreOperation;
pub use proto::operation::{Arguments, Caller, CallerInfo, OpFlags, OpKind, OpSet, Operation};
pub use record::{Record, Records};

use proto::status::Status;

/// What a filter decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "FLT_PREOP_CALLBACK_STATUS")]
pub enum Verdict {
    /// Go on: the next filter, and then the kernel.
    #[doc(alias = "FLT_PREOP_SUCCESS_NO_CALLBACK")]
    Allow,
    /// End it with this status, which the source turns into an error number.
    #[doc(alias = "FLT_PREOP_COMPLETE")]
    Deny(Status),
}

/// What becomes of an operation for which a filter has no answer: its deadline passed, its application is gone, it was
/// dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnMiss {
    /// As if the filter had allowed it: nothing stops, some things are not looked at.
    #[default]
    Allow,
    /// As if the filter had denied it with [`Status::ACCESS_DENIED`].
    Deny,
}

impl OnMiss {
    /// The verdict of this policy.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Allow => Verdict::Allow,
            Self::Deny => Verdict::Deny(Status::ACCESS_DENIED),
        }
    }
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// A rule of a filter, without asking anybody.
    Rule,
    /// An application.
    Application,
    /// Nobody in time.
    Deadline,
    /// Nobody: the application was there, and went away.
    Disconnect,
    /// Nobody: no application is connected, or it takes no messages.
    Absent,
    /// Nobody: the application answered with bytes that are not an answer, or with an error.
    Nonsense,
    /// Nobody: the filter dropped the operation.
    Dropped,
    /// Nobody: more operations wait than the manager holds.
    Overload,
    /// Nobody: the file could not be opened for an application to look at, or its name not be told for a rule to.
    Unreadable,
    /// Nobody: the source ended.
    End,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Rule,
        Self::Application,
        Self::Deadline,
        Self::Disconnect,
        Self::Absent,
        Self::Nonsense,
        Self::Dropped,
        Self::Overload,
        Self::Unreadable,
        Self::End,
    ];

    /// Whether it is not a decision but a stated default.
    pub fn is_miss(self) -> bool {
        !matches!(self, Self::Rule | Self::Application)
    }

    /// The name that logs and the tool use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Application => "application",
            Self::Deadline => "deadline",
            Self::Disconnect => "disconnect",
            Self::Absent => "absent",
            Self::Nonsense => "nonsense",
            Self::Dropped => "dropped",
            Self::Overload => "overload",
            Self::Unreadable => "unreadable",
            Self::End => "end",
        }
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

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
