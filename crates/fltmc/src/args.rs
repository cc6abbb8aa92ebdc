//! The command line: one type per command.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use fltmgr::filter::OnMiss;

use crate::exit::{self, Code, Failure};

/// Communication ports and filters for Linux: decide, while it happens, what other programs may do with files.
#[derive(Debug, Parser)]
#[command(name = "fltmc", version, after_help = exit::TABLE, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show everything at work in one command: infected files, a filter, a scanner, ordinary programs. Needs no rights
    Demo(Demo),
    /// Run a program under rules, as an ordinary user
    Run(Run),
    /// Apply rules to every process on the file systems of some directories. Needs root
    Watch(Watch),
    /// List the live ports, their owners, what they admit and which processes use them
    Ports(Ports),
    /// Connect to a port and answer its questions by hand
    Connect(Connect),
    /// Connect to a port and answer its questions by what the files contain
    Scan(Scan),
    /// Build a driver from the C sources of a minifilter for Windows
    Cc(Cc),
    /// Load drivers and give them the operations of a program, or of a script
    Load(Load),
    /// Show what this kernel and this user can do
    Doctor(Doctor),
}

/// What happens to an operation that had no answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Miss {
    Allow,
    Deny,
}

impl From<Miss> for OnMiss {
    fn from(miss: Miss) -> Self {
        match miss {
            Miss::Allow => Self::Allow,
            Miss::Deny => Self::Deny,
        }
    }
}

/// The rules, shared by `run` and `watch`.
#[derive(Debug, Args)]
pub(crate) struct RuleArgs {
    /// Refuse to open, run, rename, remove … files whose path matches: `*` stays in a directory, `**` crosses, a plain
    /// name stands for what is below it too, and without a leading slash, `./` or `~/` it holds at any depth; may be
    /// repeated
    #[arg(long, value_name = "GLOB")]
    pub(crate) deny: Vec<String>,

    /// Refuse files that contain this text, decided by a scanner in a second process; may be repeated
    #[arg(long, value_name = "TEXT", value_parser = not_empty)]
    pub(crate) deny_content: Vec<String>,

    /// With --deny-content: look at so much of a file (holes not counted), for example 100M. If there is more, and nothing
    /// was found in that, --on-miss decides
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "deny_content")]
    pub(crate) max_scan: Option<u64>,

    /// Create this port and leave the decision to the application that connects, for example `fltmc connect NAME`
    #[arg(long, value_name = "NAME")]
    pub(crate) port: Option<String>,

    /// With --port: ask only about paths that match, and let the others be; may be repeated
    #[arg(long, value_name = "GLOB", requires = "port")]
    pub(crate) ask: Vec<String>,

    /// How long an application may take for one answer, in milliseconds
    #[arg(long, value_name = "MS", default_value = "5000", value_parser = milliseconds)]
    pub(crate) deadline: Duration,

    /// Write what was decided to this file, one JSON object per line
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// No summary at the end
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

impl RuleArgs {
    /// RuleArgs with one content rule and nothing else.
    pub(crate) fn content(text: &str) -> Self {
        let deny_content = vec![text.to_owned()];
        let (deny, ask) = (Vec::new(), Vec::new());
        let deadline = Duration::from_secs(5);
        Self { deny, deny_content, max_scan: None, port: None, ask, deadline, report: None, quiet: true }
    }

    /// Without any rule nothing would be decided, which is surely a slip.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.deny.is_empty() && self.deny_content.is_empty() && self.port.is_none() {
            let sentence = "there is no rule; give --deny GLOB, --deny-content TEXT or --port NAME";
            return Err(Failure::new(Code::Usage, sentence));
        }
        Ok(())
    }
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Print one JSON object per line instead: each operation, then the summary
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) rules: RuleArgs,

    /// What happens to an operation that had no answer in time
    #[arg(long, value_enum, default_value = "deny")]
    pub(crate) on_miss: Miss,

    /// With --port: how long to wait for the application before the program starts, in milliseconds
    #[arg(long, value_name = "MS", default_value = "60000", value_parser = milliseconds, requires = "port")]
    pub(crate) wait: Duration,

    /// Refuse what fltmc cannot do in the program's place (a terminal that becomes its own, and the like), and what gives
    /// files other names: new user and mount namespaces, setns, chroot, mounts
    #[arg(long)]
    pub(crate) strict: bool,

    /// The program and its arguments. What it leaves running when it ends is killed
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) rules: RuleArgs,

    /// What happens to an operation that had no answer in time; a whole machine waits, so the default lets it go on
    #[arg(long, value_enum, default_value = "allow")]
    pub(crate) on_miss: Miss,

    /// Print each decision to stdout as one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,

    /// Directories: the rules hold under them, for every process
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Ports {
    /// Print one JSON object per port and line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// The port, for example \ScannerPort (the backslash may be left out)
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Text handed to the filter when connecting
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) context: String,

    /// Answer yes to every question
    #[arg(long, conflicts_with = "deny_all")]
    pub(crate) allow_all: bool,

    /// Answer no to every question
    #[arg(long)]
    pub(crate) deny_all: bool,

    /// Print one JSON object per question and line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Scan {
    /// The port, for example \ScannerPort (the backslash may be left out)
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Refuse files that contain this text; may be repeated
    #[arg(long, value_name = "TEXT", required = true, value_parser = not_empty)]
    pub(crate) deny_content: Vec<String>,

    /// Look at so much of a file (holes not counted), for example 100M. If there is more, and nothing was found in that,
    /// the filter decides without an answer
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_scan: Option<u64>,

    /// Let the filter keep *allow* for a file until it changes, if it can
    #[arg(long)]
    pub(crate) remember: bool,
}

/// What a driver is built with to find its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sanitizer {
    /// Accesses beyond what was allocated, and after it was freed
    Address,
    /// What C leaves undefined
    Undefined,
    /// Threads that touch the same memory without a lock
    Thread,
}

#[derive(Debug, Args)]
pub(crate) struct Cc {
    /// The compiler for C: gcc, clang, or one of their versions. Its C++ compiler builds the C++ sources
    #[arg(long, value_name = "NAME", default_value = "gcc")]
    pub(crate) compiler: String,

    /// The driver to make
    #[arg(short, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// Build it so that errors are found while it runs; may be repeated
    #[arg(long, value_name = "KIND", value_enum, value_delimiter = ',')]
    pub(crate) sanitize: Vec<Sanitizer>,

    /// Folders in which headers are looked for
    #[arg(short = 'I', value_name = "FOLDER")]
    pub(crate) include: Vec<PathBuf>,

    /// Macros to define
    #[arg(short = 'D', value_name = "NAME[=VALUE]")]
    pub(crate) define: Vec<String>,

    /// Hand this on to the compiler, for one source or for all; may be repeated
    #[arg(long, value_name = "[SOURCE:]OPTION", allow_hyphen_values = true)]
    pub(crate) option: Vec<String>,

    /// The sources: .c, .cpp
    #[arg(required = true, value_name = "SOURCE")]
    pub(crate) sources: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Load {
    /// The drivers, as `fltmc cc` builds them
    #[arg(required = true, value_name = "DRIVER")]
    pub(crate) drivers: Vec<PathBuf>,

    /// How the driver is installed on Windows: its service, instances, altitudes, parameters. Once for each driver
    #[arg(long, value_name = "FILE")]
    pub(crate) inf: Vec<PathBuf>,

    /// Without an INF: the service's name; the driver's file name says it otherwise
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,

    /// Without an INF: the altitude of its instance
    #[arg(long, value_name = "NUMBER")]
    pub(crate) altitude: Option<String>,

    /// Without an INF: the name of its instance
    #[arg(long, value_name = "NAME")]
    pub(crate) instance: Option<String>,

    /// A value of the service's key, `Name=sz:text`, `Name=dword:1`, `Name=multi:a,b`; may be repeated
    #[arg(long, value_name = "NAME=TYPE:VALUE")]
    pub(crate) param: Vec<String>,

    /// Operations to give to the drivers, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) script: Option<PathBuf>,

    /// What happens to an operation that had no answer in time
    #[arg(long, value_enum, default_value = "allow")]
    pub(crate) on_miss: Miss,

    /// Report too what many drivers do and Windows lets pass
    #[arg(long)]
    pub(crate) strict: bool,

    /// Print one JSON object per event and line
    #[arg(long)]
    pub(crate) json: bool,

    /// Print findings only
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// A program and its arguments, to run under the drivers
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Print one JSON object per check and line
    #[arg(long)]
    pub(crate) json: bool,
}

/// An empty text is in every file, so a rule with it would refuse everything: surely a slip of a script.
fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("the text is empty, and every file contains that".into()) } else { Ok(text.to_owned()) }
}

/// Bytes, or with one letter behind them KiB, MiB, GiB or TiB.
fn size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.chars().last().and_then(|unit| "KMGT".find(unit.to_ascii_uppercase())) {
        Some(index) => (&text[..text.len() - 1], 10 * (index + 1)),
        None => (text, 0),
    };
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| "a number of bytes is wanted, for example 65536, 64K, 100M or 2G".into())
}

/// One millisecond to one day.
fn milliseconds(text: &str) -> Result<Duration, String> {
    const DAY: u64 = 24 * 60 * 60 * 1000;
    match text.parse::<u64>() {
        Ok(ms @ 1..=DAY) => Ok(Duration::from_millis(ms)),
        _ => Err(format!("a number of milliseconds from 1 to {DAY} is wanted")),
    }
}

/// What is wrong with a command line, in one sentence as all errors are.
pub(crate) fn wrong(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let mut parts = Vec::new();
    let mut command = "fltmc".to_owned();
    for paragraph in text.split("\n\n") {
        let words: Vec<&str> = paragraph.split_whitespace().collect();
        match words.as_slice() {
            [] | ["For", "more", "information,", ..] => {}
            ["Usage:", usage @ ..] => {
                let names = usage.iter().take_while(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()));
                command = names.copied().collect::<Vec<_>>().join(" ");
            }
            ["error:" | "tip:", sentence @ ..] => parts.push(sentence.join(" ")),
            sentence => parts.push(sentence.join(" ")),
        }
    }
    Failure::new(Code::Usage, format!("{}; see {command} --help", parts.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [("1", 1), ("65536", 65536), ("64K", 65536), ("64k", 65536), ("100M", 104_857_600)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        assert_eq!((size("2G"), size("1T")), (Ok(2 << 30), Ok(1 << 40)));
        for text in ["", "0", "0M", "M", "1MB", "-1", "1.5G", "99999999999T", "1 M", "ä"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_code_is_in_the_help() {
        for code in [
            Code::Other,
            Code::Usage,
            Code::WrongVerdict,
            Code::NoSuchPort,
            Code::BadName,
            Code::AccessDenied,
            Code::NameInUse,
            Code::Namespace,
            Code::Unsupported,
            Code::Full,
            Code::CannotRun,
            Code::NotFound,
        ] {
            let wanted = format!("{:>5}  ", code as u8);
            assert!(exit::TABLE.lines().any(|line| line.starts_with(&wanted)), "{code:?} is missing");
        }
    }
}
