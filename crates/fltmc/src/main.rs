//! The tool of fltmgr.
#![forbid(unsafe_code)]

fn main() {}
