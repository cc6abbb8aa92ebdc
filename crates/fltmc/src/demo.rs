//! `fltmc demo`: the main job in one command. Files, a filter, a scanner in a second process, ordinary programs; then a
//! check that every verdict and every byte was right.

use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use fltmgr::filter::{By, OpKind, Record, Verdict};
use fltmgr::source::{AtEnd, Supervise};
use serde::Serialize;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use crate::args::{self, Demo};
use crate::exit::{Code, Doing, Failure};
use crate::filters::{Filters, Setting};
use crate::needs;
use crate::output::{self, DIM, ERROR, GOOD, HEAD, Safe};
use crate::report::{Line, Summary};
use crate::run;
use crate::signals::Events;

/// What the demo's scanner takes for a virus. Harmless, and only ever written into the demo's own folder.
const MARKER: &str = "FLTMGR-HARMLESS-DEMO-MARKER:THIS-IS-NOT-A-VIRUS";

/// A file of the demo.
struct Sample {
    name: &'static str,
    infected: bool,
    content: Vec<u8>,
}

fn samples() -> Vec<Sample> {
    let text = |lines: usize| (1..=lines).map(|n| format!("line {n} of an ordinary text\n")).collect::<String>();
    let sample = |name, infected, content: String| Sample { name, infected, content: content.into_bytes() };
    vec![
        sample("letter.txt", false, text(20)),
        sample("long.log", false, text(20_000)),
        sample("script.sh", false, format!("echo clean\n{}", "# a comment\n".repeat(50))),
        sample("invoice.txt", true, format!("{}{MARKER}\n{}", text(5), text(5))),
        // Across the first two pieces that a scanner reads.
        sample("archive.log", true, format!("{}{MARKER}\n", ".".repeat(65_536 - 20))),
    ]
}

/// An ordinary program, as a line of shell: `$1` is the file, `$2` where its content goes.
struct Program {
    name: &'static str,
    line: &'static str,
    expected: fn(&[u8]) -> &[u8],
}

const PROGRAMS: [Program; 5] = [
    Program { name: "cat", line: "cat \"$1\" > \"$2\"", expected: |all| all },
    Program { name: "cp", line: "cp \"$1\" \"$2\"", expected: |all| all },
    Program { name: "sh", line: "sh -c 'cat < \"$1\"' sh \"$1\" > \"$2\"", expected: |all| all },
    Program { name: "grep", line: "grep -a ^ \"$1\" > \"$2\"", expected: |all| all },
    Program { name: "head", line: "head -c 100 \"$1\" > \"$2\"", expected: |all| &all[..all.len().min(100)] },
];

/// The demo's folder.
struct Stage {
    folder: tempfile::TempDir,
    samples: Vec<Sample>,
}

impl Stage {
    fn new() -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("fltmc-demo-").tempdir().doing(|| "making a folder".into())?;
        // Paths are compared with what the kernel says, which knows no symbolic links.
        let stage = Self { folder, samples: samples() };
        for name in ["files", "out"] {
            std::fs::create_dir(stage.path().join(name)).doing(|| "making a folder".into())?;
        }
        for sample in &stage.samples {
            let path = stage.path().join("files").join(sample.name);
            std::fs::write(&path, &sample.content).doing(|| format!("writing {}", path.display()))?;
        }
        Ok(stage)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The files, as the kernel names them.
    fn files(&self) -> Result<PathBuf, Failure> {
        self.path().join("files").canonicalize().doing(|| "looking at the folder".into())
    }

    /// Every program on every file, in this order.
    fn steps(&self) -> impl Iterator<Item = (&Sample, &'static Program, PathBuf)> {
        let out = self.path().join("out");
        self.samples.iter().flat_map(move |sample| {
            let out = out.clone();
            PROGRAMS.iter().map(move |program| (sample, program, out.join(format!("{}-{}", program.name, sample.name))))
        })
    }

    /// A shell that runs them all and notes their exit codes.
    fn source(&self) -> Supervise {
        let mut script = String::from("exec 9> out/codes\n");
        for (sample, program, _) in self.steps() {
            let (name, program, line) = (sample.name, program.name, program.line);
            let _ = writeln!(script, "set -- files/{name} out/{program}-{name}; ( {line} ) 2> /dev/null; echo $? >&9");
        }
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).current_dir(self.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Supervise::new(command).at_end(AtEnd::Kill)
    }

    /// Compares what the programs got with what they must get.
    fn judge(&self, seen: &[Record]) -> Verdicts {
        let codes = std::fs::read_to_string(self.path().join("out/codes")).unwrap_or_default();
        let mut codes = codes.lines().map(str::parse::<i32>);
        let mut verdicts = Verdicts::default();
        for (sample, program, out) in self.steps() {
            let what = format!("{} {}", program.name, sample.name);
            let wrong = |why: &str| Some(format!("{what}: {why}"));
            let succeeded = codes.next().and_then(Result::ok).map(|code| code == 0);
            let got = std::fs::read(out).unwrap_or_default();
            let mut asked = seen.iter().filter(|record| {
                record.operation.caller.command() == program.name
                    && record.operation.path.file_name().is_some_and(|name| name == sample.name)
            });
            let fault = match asked.next() {
                None => wrong("the application was not asked"),
                Some(record) if record.by != By::Application => wrong("it was not the application that decided"),
                Some(record) if (record.verdict == Verdict::Allow) == sample.infected => wrong("the wrong verdict"),
                Some(_) if sample.infected && succeeded != Some(false) => wrong("it succeeded"),
                Some(_) if sample.infected && !got.is_empty() => wrong("some of the content came through"),
                Some(_) if !sample.infected && succeeded != Some(true) => wrong("it failed"),
                Some(_) if !sample.infected && got != (program.expected)(&sample.content) => {
                    wrong("other content arrived")
                }
                Some(_) => None,
            };
            match (fault, sample.infected) {
                (Some(fault), _) => verdicts.wrong.push(fault),
                (None, true) => verdicts.infected_denied += 1,
                (None, false) => verdicts.clean_allowed += 1,
            }
        }
        verdicts
    }
}

/// What the check found.
#[derive(Debug, Default, Serialize)]
struct Verdicts {
    infected_denied: u64,
    clean_allowed: u64,
    wrong: Vec<String>,
}

/// The last line of `--json`.
#[derive(Debug, Serialize)]
struct Ended<'a> {
    #[serde(flatten)]
    verdicts: &'a Verdicts,
    #[serde(flatten)]
    summary: &'a Summary,
}

pub(crate) fn demo(args: &Demo) -> Result<ExitCode, Failure> {
    needs::check()?;
    // Ctrl-C ends the programs, and then the demo cleans up.
    let events = Events::new()?;
    let stage = Stage::new()?;
    let files = stage.files()?;
    let rules = args::RuleArgs::content(MARKER);
    let setting =
        Setting { under: Vec::new(), ops: Supervise::OPS, on_miss: args::Miss::Deny, admit: Arc::new(|_| Ok(())) };
    let mut filters = Filters::new(&rules, &setting)?;
    if let Some(signal) = events.signal() {
        return Ok(run::ended_by(signal));
    }
    if !args.json {
        introduce(&stage, &filters)?;
    }
    let seen: Arc<Mutex<Vec<Record>>> = Arc::default();
    let (keep, json, scanner) = (seen.clone(), args.json, filters.scanner_pid());
    let write = move |record: &Record| {
        if record.operation.kind != OpKind::Open || !record.operation.path.starts_with(&files) {
            return Ok(());
        }
        keep.lock().unwrap_or_else(PoisonError::into_inner).push(record.clone());
        if json { output::json(&Line::from(record)) } else { row(record, scanner) }
    };
    let (status, summary) = run::supervise(&mut filters, Arc::new(stage.source()), events, vec![Box::new(write)])?;
    filters.close();
    let summary = summary?;
    let status =
        status.map_err(|error| Failure::new(Code::Other, format!("the demo's programs did not run: {error}")))?;
    if let Some(signal @ (SIGINT | SIGQUIT | SIGTERM | SIGHUP)) = status.signal() {
        return Ok(run::ended_by(signal));
    }

    let verdicts = stage.judge(&seen.lock().unwrap_or_else(PoisonError::into_inner));
    if args.json {
        output::json(&Ended { verdicts: &verdicts, summary: &summary })?;
    } else {
        conclude(&verdicts, &summary)?;
    }
    match verdicts.wrong.first() {
        None => Ok(ExitCode::SUCCESS),
        Some(first) => {
            let more = verdicts.wrong.len() - 1;
            Err(Failure::new(Code::WrongVerdict, format!("the demo went wrong: {first} ({more} more)")))
        }
    }
}

fn introduce(stage: &Stage, filters: &Filters) -> Result<(), Failure> {
    let (infected, clean): (Vec<_>, Vec<_>) = stage.samples.iter().partition(|sample| sample.infected);
    output::showln!(
        "{HEAD}files{HEAD:#}        {} clean, {} infected with a harmless marker",
        clean.len(),
        infected.len()
    )?;
    output::showln!(
        "{HEAD}filter{HEAD:#}       pid {}: holds every open of its programs, asks over a port",
        std::process::id()
    )?;
    output::showln!(
        "{HEAD}application{HEAD:#}  pid {}: fltmc scan, looks into the file it is handed",
        filters.scanner_pid().unwrap_or(0)
    )?;
    output::showln!("")?;
    output::showln!("{HEAD}{:<6} {:<12} {:<8} {:<28} {:>9}{HEAD:#}", "WHO", "WHAT", "VERDICT", "DECIDED BY", "IN")
}

fn row(record: &Record, scanner: Option<u32>) -> Result<(), Failure> {
    let (style, verdict) = if record.verdict == Verdict::Allow { (GOOD, "allowed") } else { (ERROR, "denied") };
    let by = match (record.by, scanner) {
        (By::Application, Some(pid)) => format!("the application, pid {pid}"),
        (by, _) => by.to_string(),
    };
    let name = record.operation.path.file_name().unwrap_or_default().display();
    output::showln!(
        "{:<6} {:<12} {style}{verdict:<8}{style:#} {by:<28} {DIM}{:>9}{DIM:#}",
        Safe(record.operation.caller.command().display()).to_string(),
        Safe(name).to_string(),
        output::brief(record.latency)
    )
}

fn conclude(verdicts: &Verdicts, summary: &Summary) -> Result<(), Failure> {
    let shown = verdicts.infected_denied + verdicts.clean_allowed;
    let latency = summary.latency().unwrap_or_default();
    output::showln!("")?;
    output::showln!(
        "{shown} opens of these files, {} other operations (libraries, outputs, running the programs): {latency}",
        summary.operations.saturating_sub(shown)
    )?;
    if verdicts.wrong.is_empty() {
        output::showln!(
            "{GOOD}every one of {} infected opens was denied by the application{GOOD:#}, \
             {GOOD}every one of {} clean files arrived byte for byte{GOOD:#}",
            verdicts.infected_denied,
            verdicts.clean_allowed
        )?;
    }
    verdicts.wrong.iter().try_for_each(|wrong| output::showln!("{ERROR}wrong{ERROR:#}  {}", Safe(wrong)))
}
