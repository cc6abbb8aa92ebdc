//! What went wrong, while doing what.

use std::fmt;
use std::io;

use proto::status::Status;

/// An error: the status that a program decides on, and a sentence that a person can act on.
///
/// It prints as one line, `connecting to \ScannerPort: access denied (STATUS_ACCESS_DENIED)`, followed by a hint if
/// there is one, also as `{:?}`: so a program whose `main` returns it ends with that line. The system's error, where there
/// was one, is the [`source`](std::error::Error::source).
pub struct Error {
    status: Status,
    doing: String,
    hint: Option<String>,
    source: Option<io::Error>,
}

impl Error {
    /// An error of `status` that happened while `doing`: "connecting to \ScannerPort".
    pub fn new(status: Status, doing: impl Into<String>) -> Self {
        Self { status, doing: doing.into(), hint: None, source: None }
    }

    /// The same, because of an error of the system's.
    pub fn with_source(status: Status, doing: impl Into<String>, source: io::Error) -> Self {
        Self { status, doing: doing.into(), hint: None, source: Some(source) }
    }

    /// There is too little of what the system's error says.
    pub fn resources(doing: impl Into<String>, source: io::Error) -> Self {
        let hint = source.to_string();
        Self::with_source(Status::INSUFFICIENT_RESOURCES, doing, source).hint(hint)
    }

    /// Adds what is known about the cause, or what to do: "served by pid 12".
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The status, which is what a Windows program would have got.
    pub fn status(&self) -> Status {
        self.status
    }

    /// What was being done.
    pub fn doing(&self) -> &str {
        &self.doing
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.status)?;
        match &self.hint {
            Some(hint) => write!(f, ": {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn it_prints_a_sentence() {
        let error = Error::new(Status::ACCESS_DENIED, r"connecting to \ScannerPort");
        assert_eq!(error.to_string(), r"connecting to \ScannerPort: access denied (STATUS_ACCESS_DENIED)");
        assert_eq!(format!("{error:?}"), error.to_string(), "what main prints of it");
        assert!(error.source().is_none());
        let error =
            Error::with_source(Status::ACCESS_DENIED, "x", io::ErrorKind::PermissionDenied.into()).hint("ask root");
        assert_eq!(error.to_string(), "x: access denied (STATUS_ACCESS_DENIED): ask root");
        assert_eq!(error.source().unwrap().to_string(), "permission denied");
    }
}
