//! libfltkernel.so: the functions of Windows that the C source of a minifilter calls.
//!
//! A driver is compiled against include/fltkernel, linked with this library, and loaded by a host process that gives it
//! operations (`fltmc load`). How the rooms belong together: doc/design.md, "Filters in C".
#![allow(non_snake_case, non_upper_case_globals, reason = "what is exported has the names of Windows")]
#![allow(missing_docs, reason = "an exported function does what Windows documents under its name")]

pub mod edge;
pub mod filter;
pub mod host;
pub mod kernel;
pub mod nt;
mod stubs;

use fltport::internal::lock;
