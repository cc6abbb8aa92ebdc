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
use clap::error::ErrorKind;
use output::{ERROR, Safe};

/// What is told of a command line without any command.
const HELP: ErrorKind = ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && error.kind() != HELP => {
            let failure = args::wrong(&error);
            output::noteln!("{ERROR}fltmc:{ERROR:#} {}", Safe(&failure));
            return failure.exit_code();
        }
        // help and the version
        Err(asked) => asked.exit(),
    };
    let done = match cli.command {
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
