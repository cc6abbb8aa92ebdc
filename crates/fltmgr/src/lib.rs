//! Windows Filter Manager communication ports, and the filter manager behind them, for Linux.
#![forbid(unsafe_code)]

mod error;
pub mod namespace;

pub use error::Error;
pub use proto::name::PortName;
pub use proto::status::Status;
