//! Drivers' headers and the functions behind them.

#![expect(non_snake_case, reason = "tests are named after the functions that they try")]

mod compiler;
mod drivers;
mod format;
mod headers;
mod locks;
mod names;
mod pool;
mod registry;
mod strings;
mod tables;
mod waiting;
