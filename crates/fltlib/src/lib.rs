//! `libfltlib`: the 29 C functions of Windows' FltLib, for the applications of filters on Linux.
//!
//! - `port`: a connection as a file whose handle Win32 keeps; `message`: the four calls of communication ports; `header`: what begins
//!   each message and reply.
//! - `filters`, `volumes`, `instances`: what an administrator asks, told in the structures of `record` by `find`.
//!
//! Nothing here is for Rust programs, which use `fltport`.
#![allow(non_snake_case)] // the names are Windows'

mod filters;
mod find;
mod header;
mod hresult;
mod instances;
mod message;
mod port;
mod record;
mod volumes;

// the functions that the other library has at run time
#[cfg(test)]
use fltwin32 as _;
