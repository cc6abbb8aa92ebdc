//! What was decided: a line for each operation, and the summary at the end.
//!
//! Deciding never waits for writing: a manager's records come through a bounded queue, and what finds no room in it is
//! counted and lost. A log that blocks would be a deadlock, because the process that writes the log may itself be waiting
//! for a verdict.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use fltmgr::filter::{By, Counters, Record, Records, Verdict};
use fltmgr::source::Supervise;
use serde::Serialize;

use crate::exit::{Code, Failure, cause, no_thread};
use crate::latency::Latencies;
use crate::output::{self, DIM, ERROR, GOOD, HEAD, Safe, WARN};
use crate::run::NARROW;

/// Records that may wait to be written.
pub(crate) const QUEUE: usize = 65_536;

/// One operation and what became of it: a line of `--report` and `--json`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) sequence: u64,
    pub(crate) op: &'static str,
    pub(crate) path: String,
    /// Its bytes in hexadecimal, where it is no UTF-8 and `path` stands for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path_bytes: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target_bytes: Option<String>,
    pub(crate) pid: u32,
    pub(crate) uid: u32,
    pub(crate) comm: String,
    pub(crate) allowed: bool,
    /// Why it was denied, as Windows calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<String>,
    pub(crate) by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) filter: Option<String>,
    pub(crate) latency_us: f64,
}

impl From<&Record> for Line {
    fn from(record: &Record) -> Self {
        let status = match record.verdict {
            Verdict::Deny(status) => Some(format!("{status:?}")),
            _ => None,
        };
        let operation = &record.operation;
        Self {
            sequence: record.sequence,
            op: operation.kind.name(),
            path: operation.path.to_string_lossy().into_owned(),
            path_bytes: bytes_of(&operation.path),
            target: operation.target.to_string_lossy().into_owned(),
            target_bytes: bytes_of(&operation.target),
            pid: operation.caller.process(),
            uid: operation.caller.user(),
            comm: operation.caller.command().to_string_lossy().into_owned(),
            allowed: record.verdict == Verdict::Allow,
            status,
            by: record.by.name(),
            filter: record.filter.as_ref().map(|(name, _)| name.clone()),
            latency_us: microseconds(record.latency),
        }
    }
}

/// The bytes of a path that is no UTF-8.
fn bytes_of(path: &Path) -> Option<String> {
    let hexadecimal = |byte: &u8| format!("{byte:02x}");
    path.to_str().is_none().then(|| path.as_os_str().as_bytes().iter().map(hexadecimal).collect())
}

fn microseconds(duration: Duration) -> f64 {
    (duration.as_nanos() as f64) / 1e3
}

/// Where records go.
pub(crate) type Sink = Box<dyn FnMut(&Record) -> Result<(), Failure> + Send>;

/// How many files are named that were decided about without a look.
const NAMED: usize = 3;

/// Some of the files that were decided about without a look, by the reason.
type Missed = BTreeMap<&'static str, Vec<PathBuf>>;

/// Reads a manager's records on a thread of its own until the manager is gone.
#[derive(Debug)]
pub(crate) struct Collector(JoinHandle<(Latencies, Missed, Result<(), Failure>)>);

impl Collector {
    /// Gives each record to every sink, until that one fails; keeps the latencies of the application's answers.
    pub(crate) fn start(records: Records, mut sinks: Vec<Sink>) -> Result<Self, Failure> {
        let thread = std::thread::Builder::new().spawn(move || {
            let mut latencies = Latencies::new();
            let mut missed = Missed::new();
            let mut written = Ok(());
            while let Some(record) = records.recv() {
                if record.by == By::Application {
                    latencies.add(record.latency);
                }
                if record.by.is_miss() {
                    let named = missed.entry(record.by.name()).or_default();
                    if named.len() < NAMED && !named.contains(&record.operation.path) {
                        named.push(record.operation.path.clone());
                    }
                }
                sinks.retain_mut(|sink| {
                    let result = sink(&record);
                    let goes_on = result.is_ok();
                    if written.is_ok() {
                        written = result;
                    }
                    goes_on
                });
            }
            (latencies, missed, written)
        });
        thread.map(Self).map_err(no_thread)
    }

    /// Waits for the last record. The manager must be gone, or this never ends.
    pub(crate) fn finish(self, counters: &Counters) -> Result<Summary, Failure> {
        let (latencies, missed, written) = self
            .0
            .join()
            .map_err(|_| Failure::new(Code::Other, "the thread that writes records panicked; this is a bug"))?;
        written.map(|()| Summary::new(counters, &latencies, &missed))
    }
}

/// A report: lines of JSON. Its reader may go away.
pub(crate) fn json_lines(mut to: impl Write + Send + 'static) -> Sink {
    Box::new(move |record| {
        let line = serde_json::to_vec(&Line::from(record)).map_err(std::io::Error::from);
        match line.and_then(|line| to.write_all(&[line, b"\n".to_vec()].concat())) {
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Failure::new(Code::Other, format!("writing the report: {}; it is incomplete", cause(&e))))
            }
            _ => Ok(()),
        }
    })
}

/// The end of a run in numbers.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) operations: u64,
    pub(crate) allowed: u64,
    pub(crate) denied: u64,
    pub(crate) by_rule: u64,
    pub(crate) by_application: u64,
    /// Decided by the policy, because nothing else had decided.
    pub(crate) missed: u64,
    /// Those by their reasons.
    pub(crate) misses: Vec<Miss>,
    /// Of the application's answers, from the operation to its verdict.
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
    pub(crate) records_lost: u64,
    /// Denied without a question, because the kernel would have had to read their paths again.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) strict: u64,
    /// Programs whose calls were denied unseen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) closed: Vec<Closed>,
    /// Programs that were refused because they are 32-bit ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) narrow: Vec<String>,
}

/// A program whose memory is closed, and how many calls it lost therefore.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Closed {
    pub(crate) comm: String,
    pub(crate) calls: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Operations that the policy decided about for one reason.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Miss {
    /// As in the lines.
    pub(crate) by: &'static str,
    pub(crate) number: u64,
    /// Some of the files.
    pub(crate) files: Vec<String>,
    #[serde(skip)]
    why: &'static str,
}

/// Why an operation was not decided about, to follow a number of them.
fn why(by: By) -> &'static str {
    match by {
        By::Deadline => "without an answer in time",
        By::Disconnect => "whose application went away",
        By::Absent => "with no application to ask",
        By::Nonsense => "answered with an error, or with what is no answer",
        By::Overload => "more than could wait at one time",
        By::Unreadable => "whose file could not be opened or named",
        By::Unscanned => "with more in the file than --max-scan",
        By::End => "that still waited at the end",
        _ => "for other reasons",
    }
}

impl Summary {
    fn new(counters: &Counters, latencies: &Latencies, named: &Missed) -> Self {
        let by = |by| counters.allowed_by(by) + counters.denied_by(by);
        let missed = counters.missed_allow() + counters.missed_deny();
        let allowed = counters.allowed() + counters.missed_allow();
        let denied = counters.denied() + counters.missed_deny();
        let files = |by: By| named.get(by.name()).into_iter().flatten().map(|path| path.to_string_lossy().into_owned());
        let misses = By::ALL.iter().copied().filter(|reason| reason.is_miss() && by(*reason) > 0);
        let miss = |reason: By| Miss {
            by: reason.name(),
            number: by(reason),
            files: files(reason).collect(),
            why: why(reason),
        };
        Self {
            misses: misses.map(miss).collect(),
            operations: allowed + denied,
            allowed,
            denied,
            by_rule: by(By::Rule),
            by_application: by(By::Application),
            missed,
            p50_us: latencies.percentile(50).map(microseconds),
            p99_us: latencies.percentile(99).map(microseconds),
            records_lost: counters.records_dropped,
            strict: 0,
            closed: Vec::new(),
            narrow: Vec::new(),
        }
    }

    /// With the calls that no filter was asked about.
    pub(crate) fn with_calls(self, source: &Supervise) -> Self {
        let closed = source.closed().into_iter();
        let closed = closed.map(|(comm, calls)| Closed { comm: comm.to_string_lossy().into_owned(), calls });
        let narrow = source.narrow().iter().map(|path| path.to_string_lossy().into_owned()).collect();
        Self { strict: source.counters().map_or(0, |calls| calls.strict), closed: closed.collect(), narrow, ..self }
    }

    /// The median and the 99th percentile for a person, if an application answered anything.
    pub(crate) fn latency(&self) -> Option<String> {
        let brief = |us: f64| output::brief(Duration::from_nanos((us * 1e3) as u64));
        Some(format!("p50 {}, p99 {}", brief(self.p50_us?), brief(self.p99_us?)))
    }

    /// Some lines on stderr.
    pub(crate) fn print(&self) {
        let by =
            [(self.by_rule, "by rule"), (self.by_application, "by the application"), (self.missed, "by --on-miss")];
        let by: Vec<_> = by.iter().filter(|(n, _)| *n > 0).map(|(n, by)| format!("{n} {by}")).collect();
        let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
        output::noteln!(
            "{HEAD}fltmc:{HEAD:#} {} operations: {GOOD}{} allowed{GOOD:#}, {ERROR}{} denied{ERROR:#}{DIM}{by}{DIM:#}",
            self.operations,
            self.allowed,
            self.denied
        );
        for Miss { number, why, files, .. } in &self.misses {
            let more = if *number > files.len() as u64 { ", …" } else { "" };
            let files = Safe(files.join(", "));
            output::noteln!("{WARN}fltmc:{WARN:#} --on-miss decided about {number} {why}: {files}{more}");
        }
        if let Some(latency) = self.latency() {
            output::noteln!("{HEAD}fltmc:{HEAD:#} the application's answers took {latency}");
        }
        if self.strict > 0 {
            output::noteln!("{WARN}fltmc:{WARN:#} {} calls were refused by --strict", self.strict);
        }
        for Closed { comm, calls } in &self.closed {
            let comm = if comm.is_empty() { "others" } else { comm };
            output::noteln!(
                "{WARN}fltmc:{WARN:#} {calls} calls of {} were refused unseen: its memory is closed to this user; root can look into it",
                Safe(comm)
            );
        }
        for program in &self.narrow {
            output::noteln!("{WARN}fltmc:{WARN:#} {} was refused: {NARROW}", Safe(program));
        }
        if self.records_lost > 0 {
            output::noteln!("{WARN}fltmc:{WARN:#} {} records found no room and are lost", self.records_lost);
        }
    }
}
