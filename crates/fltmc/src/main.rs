//! The tool of fltmgr: one command, one file. `args` reads the command line, `exit` says how a command may fail.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "the commands that use the rest land with the parts of the library they need")]

mod args;
mod connect;
mod content;
mod doctor;
mod exit;
mod latency;
mod output;
mod port;
mod ports;
mod scan;

use std::process::ExitCode;

use args::{Cli, Command};
use clap::Parser as _;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Connect(args) => connect::connect(&args),
        Command::Scan(args) => scan::scan(&args),
        Command::Ports(args) => ports::ports(&args),
    };
    done.unwrap_or_else(exit::Failure::report)
}
