//! What every function of FltLib returns.

use abi::Error;
use proto::status::{HResult, Status};

/// Why a call failed: as an error of Win32, or as a status that FltLib translates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Win32(Error),
    Status(Status),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Win32(error)
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<fltport::Error> for Failure {
    fn from(error: fltport::Error) -> Self {
        Self::Status(error.status())
    }
}

/// The end of every exported function: S_OK, or the HRESULT of what went wrong.
pub(crate) fn hresult(body: impl FnOnce() -> Result<(), Failure>) -> u32 {
    let result = match abi::fence(|| Ok(body())) {
        Ok(Ok(())) => HResult::OK,
        Ok(Err(Failure::Status(status))) => status.to_hresult(),
        Ok(Err(Failure::Win32(error))) | Err(error) => HResult::from_win32(error.0),
    };
    result.0
}
