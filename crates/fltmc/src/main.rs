//! The tool of fltmgr: one command, one file. `args` reads the command line, `exit` says how a command may fail.
#![forbid(unsafe_code)]

mod args;
mod asked_port;
mod cc;
mod connect;
mod demo;
mod doctor;
mod exit;
mod filters;
mod kernel;
mod latency;
mod load;
mod needs;
mod output;
mod port;
mod ports;
mod report;
mod run;
mod scan;
mod scanner;
mod signals;
mod watch;

use std::process::ExitCode;

use args::{Cli, Command};
use clap::Parser as _;
use output::{ERROR, Safe};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Run(args) => run::run(&args),
        Command::Watch(args) => watch::watch(&args),
        Command::Connect(args) => connect::connect(&args),
        Command::Scan(args) => scan::scan(&args),
        Command::Ports(args) => ports::ports(&args),
        Command::Cc(args) => cc::cc(&args),
        Command::Load(args) => load::load(&args),
    };
    done.unwrap_or_else(|failure| {
        output::noteln!("{ERROR}fltmc:{ERROR:#} {}", Safe(&failure));
        failure.exit_code()
    })
}
