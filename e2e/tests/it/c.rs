//! The C face, from C: programs that are compiled against the installed libraries and headers, and a filter that they
//! drive. They need a C compiler; without one they skip loudly.

mod document;
mod driven;
mod headers;
pub(crate) mod install;
mod layouts;
mod linux;
mod packages;
mod public;
mod rows;
pub(crate) mod scanner;
mod windows_sys;
