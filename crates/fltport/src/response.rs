//! What a request comes back with, at both ends of a port.

use proto::status::Status;

/// The response to a request: a status and how many bytes of output are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias("ReturnOutputBufferLength", "lpBytesReturned", "IO_STATUS_BLOCK"))]
pub struct Response {
    /// The status that the client's send ends with.
    pub status: Status,
    /// The length that the client is told: not cut to its buffer, and 0 with an error, except for
    /// [`Status::BUFFER_TOO_SMALL`], which keeps it.
    pub len: usize,
}

impl From<usize> for Response {
    fn from(len: usize) -> Self {
        Self { status: Status::SUCCESS, len }
    }
}

impl From<Status> for Response {
    fn from(status: Status) -> Self {
        Self { status, len: 0 }
    }
}
