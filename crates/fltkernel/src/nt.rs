//! The structures and numbers of Windows, as include/fltkernel has them (tests/c/layout.c holds both to it).

mod basic;
mod flt;
mod io;
pub mod status;

pub use basic::*;
pub use flt::*;
pub use io::*;
