//! `libfltmgr`: both ends of a communication port for C programs of Linux (`include/fltmgr.h`), which has no type of Win32.
//!
//! - `application`: a connection, its messages, its descriptor; `filter`: a port, its callbacks, its clients.
//! - `result`: what each function returns, and the sentence that goes with it; `memory`: what a C program hands over.
//!
//! Nothing here is for Rust programs, which use `fltport`.

mod application;
mod filter;
mod memory;
mod result;
