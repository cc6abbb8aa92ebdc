//! What is decided about an operation, and by what.

use std::fmt;

use proto::status::Status;

/// What a filter decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum By {
    /// A rule of a filter, without a question.
    Rule,
    /// An application.
    Application,
    /// A miss: there was no answer in time.
    Deadline,
    /// A miss: the application was there, and went away.
    Disconnect,
    /// A miss: no application is connected, or it takes no messages.
    Absent,
    /// A miss: the application answered with bytes that are not an answer, or with an error.
    Nonsense,
    /// A miss: the filter dropped the operation.
    Dropped,
    /// A miss: more operations wait than the manager holds.
    Overload,
    /// A miss: the file could not be opened for an application to look at, or its name not be told for a rule to.
    Unreadable,
    /// A miss: the application did not look at all that is in the file, because there is too much of it.
    Unscanned,
    /// A miss: the source ended.
    End,
}

impl By {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Rule,
        Self::Application,
        Self::Deadline,
        Self::Disconnect,
        Self::Absent,
        Self::Nonsense,
        Self::Dropped,
        Self::Overload,
        Self::Unreadable,
        Self::Unscanned,
        Self::End,
    ];

    /// Whether it is not a decision but a filter's stated default, [`OnMiss`].
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
            Self::Unscanned => "unscanned",
            Self::End => "end",
        }
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
