//! What the C libraries of fltmgr share: Win32's types and errors, how a C function is entered, and the interface between
//! `libfltwin32`, which keeps handles and waits, and a *driver* of files as `libfltlib` is one.
//!
//! Internal to [`fltmgr`](https://docs.rs/fltmgr): no promise of stability.

mod error;
mod fence;
pub mod file;
mod handle;
pub mod pointer;

pub use error::Error;
pub use fence::fence;
pub use handle::{Handle, Overlapped};
