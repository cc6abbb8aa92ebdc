//! `fltmc run`: a program and its children under rules, as an ordinary user.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Once};
use std::thread::JoinHandle;

use fltmgr::filter::{Manager, OpFlags, Record, Verdict};
use fltmgr::source::{AtEnd, Supervise};
use fltmgr::{Error, Status};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGQUIT};

use crate::args::Run;
use crate::asked_port::Admit;
use crate::exit::{Code, Doing, Failure, no_thread};
use crate::filters::{Filters, Setting};
use crate::needs;
use crate::output::{Safe, WARN, noteln};
use crate::port;
use crate::report::{Collector, QUEUE, Sink, Summary, json_lines};
use crate::signals::{Event, Events};

/// Why a program is refused, to follow its name.
pub(crate) const NARROW: &str = "it is a 32-bit program, whose calls cannot be held; use one for 64 bits";

pub(crate) fn run(args: &Run) -> Result<ExitCode, Failure> {
    args.rules.check()?;
    // What can fail without the program having run fails first.
    needs::check()?;
    let report = args.rules.report.as_deref().map(create).transpose()?;
    let events = Events::new()?;
    let mut command = Command::new(&args.command[0]);
    command.args(&args.command[1..]);
    let source = Arc::new(Supervise::new(command).at_end(AtEnd::Kill).strict(args.strict));
    let admit = outsiders(source.clone(), events.sender());
    let setting = Setting { under: Vec::new(), ops: Supervise::OPS, on_miss: args.on_miss, admit };
    let mut filters = Filters::new(&args.rules, &setting)?;
    if let Some(signal) = filters.wait_for_application(&events, args.wait)? {
        return Ok(ended_by(signal));
    }
    let killed: Option<Sink> = (!args.rules.quiet).then(|| Box::new(say_killed) as Sink);
    let sinks = report.map(json_lines).into_iter().chain(killed).collect();
    let (status, summary) = supervise(&mut filters, source.clone(), events, sinks)?;
    filters.close();
    let status = status.map_err(|error| match source.narrow().first() {
        Some(program) => Failure::new(Code::CannotRun, format!("{} cannot be run: {NARROW}", Safe(program.display()))),
        None if error.status() == Status::TIMEOUT => Failure::new(Code::Other, error.to_string()),
        None => not_run(&args.command[0], &error),
    })?;
    let summary = summary?;
    if !args.rules.quiet {
        summary.print();
    }
    Ok(match (status.code(), status.signal()) {
        (Some(code), _) => ExitCode::from(code as u8),
        (None, Some(signal)) => ended_by(signal),
        // A process that was waited for ended one way or the other.
        (None, None) => ExitCode::FAILURE,
    })
}

/// Admits applications, and tells of them, but none that the source decides about: it would answer its own questions.
fn outsiders(source: Arc<Supervise>, tell: SyncSender<Event>) -> Admit {
    let told = Once::new();
    Arc::new(move |client| {
        if source.contains(client.peer().pid) {
            told.call_once(|| noteln!("{WARN}fltmc:{WARN:#} the program tried to answer for itself, and was refused"));
            return Err(Status::ACCESS_DENIED);
        }
        let _ = tell.try_send(Event::Connected);
        Ok(())
    })
}

/// Tells of a process that had executed something else than was allowed, and was killed for it.
fn say_killed(record: &Record) -> Result<(), Failure> {
    let operation = &record.operation;
    if operation.flags.contains(OpFlags::RUNS) && record.verdict != Verdict::Allow {
        noteln!(
            "fltmc: process {} was killed, because it got another program executed than the one that was allowed: {}",
            operation.caller.process(),
            Safe(operation.path.display()),
        );
    }
    Ok(())
}

/// As shells say it.
pub(crate) fn ended_by(signal: i32) -> ExitCode {
    ExitCode::from(128u8.wrapping_add(signal as u8))
}

/// A report file, made before anything else.
pub(crate) fn create(path: &Path) -> Result<File, Failure> {
    File::create(path).doing(|| format!("creating the report {}", path.display()))
}

/// How the command ended, and the numbers.
pub(crate) type Outcome = (Result<ExitStatus, Error>, Result<Summary, Failure>);

/// Runs a command under filters until it and its children are gone.
pub(crate) fn supervise(
    filters: &mut Filters,
    source: Arc<Supervise>,
    events: Events,
    sinks: Vec<Sink>,
) -> Result<Outcome, Failure> {
    let (builder, records) = filters.add_to(Manager::builder())?.records(QUEUE);
    let collector = Collector::start(records, sinks)?;
    // Before the program runs, which must not go on without it.
    let (tell, forwarder) = forward(events, source.clone())?;
    port::close_to_debuggers();
    let manager = builder.start(source.clone()).map_err(not_started)?;
    let status = source.wait();
    // Blocks at most until the forwarder has taken one of a full queue.
    let _ = tell.send(Event::Ended);
    let _ = forwarder.join();
    manager.stop();
    let _ = manager.wait();
    let counters = manager.counters();
    drop(manager);
    Ok((status, collector.finish(&counters).map(|summary| summary.with_calls(&source))))
}

/// Passes signals on to the command. SIGINT and SIGQUIT are not: a terminal sends them to every process in the
/// foreground, the command included, unless it did not run yet.
fn forward(events: Events, source: Arc<Supervise>) -> Result<(SyncSender<Event>, JoinHandle<()>), Failure> {
    let tell = events.sender();
    let forwarder = std::thread::Builder::new().spawn(move || {
        let pid = source.pid().ok().and_then(|pid| Pid::from_raw(pid as i32));
        let early = events.so_far().into_iter().map(|event| (event, true));
        let later = std::iter::from_fn(|| events.next()).map(|event| (event, false));
        for (event, early) in early.chain(later) {
            match (event, pid) {
                (Event::Signal(signal), Some(pid)) if early || (signal != SIGINT && signal != SIGQUIT) => {
                    // It fails only when the command has ended meanwhile.
                    let _ = Signal::from_named_raw(signal).map(|signal| kill_process(pid, signal));
                }
                (Event::Ended, _) => return,
                _ => {}
            }
        }
    });
    Ok((tell, forwarder.map_err(no_thread)?))
}

/// Why supervision did not start.
fn not_started(error: Error) -> Failure {
    match error.status() {
        Status::NOT_SUPPORTED => Failure::new(
            Code::Unsupported,
            format!("{error}; fltmc doctor shows what is missing, and as root fltmc watch does without it"),
        ),
        _ => Failure::new(Code::Other, error.to_string()),
    }
}

/// Why the program did not run.
fn not_run(program: &OsStr, error: &Error) -> Failure {
    let name = program.display();
    let is_path = program.as_encoded_bytes().contains(&b'/');
    match error.status() {
        // A folder of PATH that may not be looked into hides that the program is in none of the others.
        Status::OBJECT_NAME_NOT_FOUND | Status::ACCESS_DENIED if !is_path && !in_path(program) => {
            Failure::new(Code::NotFound, format!("{name} was not found in PATH; give its full path"))
        }
        Status::OBJECT_NAME_NOT_FOUND if is_path && Path::new(program).exists() => Failure::new(
            Code::CannotRun,
            format!("{name} cannot be run: its interpreter, named in its first line or its header, was not found"),
        ),
        Status::OBJECT_NAME_NOT_FOUND => Failure::new(Code::NotFound, format!("{name} was not found; check the path")),
        Status::ACCESS_DENIED if Path::new(program).is_dir() => {
            Failure::new(Code::CannotRun, format!("{name} cannot be run: it is a directory"))
        }
        Status::ACCESS_DENIED => Failure::new(
            Code::CannotRun,
            format!("{name} cannot be run: permission denied, by a rule or because it is not executable (chmod +x)"),
        ),
        Status::INVALID_IMAGE_FORMAT => Failure::new(
            Code::CannotRun,
            format!("{name} cannot be run: it is no program; a script needs a first line like #!/bin/sh"),
        ),
        _ => Failure::new(Code::CannotRun, format!("{name} cannot be run: {error}")),
    }
}

fn in_path(program: &OsStr) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}
