//! `libfltwin32`: the part of Win32 that the applications of filters cannot do without, for Linux.
//!
//! - `table`: handles, which are numbers. What they stand for: `event`, `semaphore`, `thread`,
//!   `completion_port`, `open_file` (of a driver's, which is another library), `section`; all as `object`.
//! - `wait`: one wait for objects of every kind, `overlapped`: what programs do with OVERLAPPED.
//! - `inherit` and `named`: handles and objects of several processes.
//! - `text`: strings of 16-bit characters; `heap`, `virtual_memory`, `critical`, `time`, `module`, `process`.
//!
//! Nothing here is for Rust programs: what is exported are the C functions that `include/win32` declares, and those of
//! `abi::file` for drivers.
#![allow(non_snake_case)] // the names are Windows'

mod bell;
mod completion_port;
mod critical;
mod duplicate;
mod event;
mod handle;
mod heap;
mod home;
mod inherit;
mod last_error;
mod module;
mod named;
mod object;
mod open_file;
mod overlapped;
mod process;
mod section;
mod semaphore;
mod sync;
mod synchronization;
mod table;
mod text;
mod thread;
mod time;
mod virtual_memory;
mod wait;
