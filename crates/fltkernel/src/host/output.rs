//! What a host tells: the drivers, the operations that they changed, findings, what is left.

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use super::arguments::Arguments;
use crate::filter::{instance, registration, volume};
use crate::kernel::report::{self, Finding};
use crate::kernel::{pool, thread};
use crate::lock;
use crate::nt::{IoStatus, major};

static STRICT: AtomicBool = AtomicBool::new(false);
static JSON: AtomicBool = AtomicBool::new(false);
static QUIET: AtomicBool = AtomicBool::new(false);
static START: Mutex<Option<Instant>> = Mutex::new(None);

/// From here on the arguments decide what is told.
pub fn start(arguments: &Arguments) {
    STRICT.store(arguments.strict, Ordering::Relaxed);
    JSON.store(arguments.json, Ordering::Relaxed);
    QUIET.store(arguments.quiet, Ordering::Relaxed);
    *lock(&START) = Some(Instant::now());
}

/// One line for people, or one object for programs.
fn say(text: impl FnOnce() -> String, object: impl FnOnce() -> Value) {
    let line = if JSON.load(Ordering::Relaxed) { object().to_string() } else { text() };
    // the process that reads this may be gone: that is no reason to stop
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// What a driver prints.
pub fn debug(text: &str) {
    if QUIET.load(Ordering::Relaxed) {
        return;
    }
    for line in text.lines().filter(|line| !line.is_empty()) {
        say(
            || format!("debug     {line}"),
            || json!({ "event": "debug", "text": line, "operation": thread::operation() }),
        );
    }
}

fn is_shown(finding: &Finding) -> bool {
    STRICT.load(Ordering::Relaxed) || !finding.rule.is_strict()
}

/// A new finding.
pub fn finding(finding: &Finding) {
    if !is_shown(finding) {
        return;
    }
    let place = if finding.place.is_known() { finding.place.to_string() } else { String::new() };
    say(
        || {
            format!(
                "FINDING   {:<14} {}{}{}",
                finding.rule.name(),
                place,
                if place.is_empty() { "" } else { ": " },
                finding.text
            )
        },
        || {
            json!({
                "event": "finding", "rule": finding.rule.name(), "text": finding.text, "place": place,
                "operation": finding.operation,
            })
        },
    );
}

/// The drivers are loaded: what each registered, and where it is attached.
pub fn loaded(arguments: &Arguments) {
    if QUIET.load(Ordering::Relaxed) {
        return;
    }
    for volume in volume::all() {
        say(
            || {
                let (major, minor) = volume.device;
                format!("volume    {} = {major}:{minor} ({})", volume.device_name(), volume.file_system)
            },
            || json!({ "event": "volume", "name": volume.device_name(), "type": volume.file_system }),
        );
    }
    for filter in registration::all() {
        for attached in instance::of_filter(&filter) {
            say(
                || {
                    format!(
                        "driver    {}  altitude {}  instance {:?}  on {}",
                        filter.name,
                        attached.altitude,
                        attached.name,
                        attached.volume.device_name()
                    )
                },
                || json!({ "event": "instance", "filter": filter.name, "altitude": attached.altitude.to_string(), "name": attached.name }),
            );
        }
        for operation in filter.operations() {
            let callbacks = [(operation.pre.is_some(), "pre"), (operation.post.is_some(), "post")];
            let callbacks: Vec<&str> = callbacks.iter().filter(|(has, _)| *has).map(|(_, name)| *name).collect();
            let name = major::name(operation.major);
            let from = if arguments.script.is_some() { "from the script" } else { delivered(operation.major) };
            say(
                || format!("registers {name:<45} {:<9} {from}", callbacks.join("+")),
                || json!({ "event": "operation", "filter": filter.name, "irp": name, "callbacks": callbacks, "delivered": from }),
            );
        }
    }
}

/// An operation of a script has ended.
pub fn ended(what: &str, io_status: IoStatus, by: Option<&str>) {
    let by_text = by.map_or(String::new(), |by| format!(" by {by}"));
    say(
        || format!("op        {what} → 0x{:08X} ({}){by_text}", io_status.status.0, io_status.information),
        || json!({ "event": "ended", "what": what, "status": io_status.status.0, "information": io_status.information, "by": by }),
    );
}

/// How the source gives an operation to a driver: for the load report.
fn delivered(code: u8) -> &'static str {
    match code {
        major::CREATE => "before it happens; its end is assumed",
        major::CLEANUP | major::CLOSE => "at once after the open: this source does not tell of closes",
        major::SET_INFORMATION => "rename, link, delete and truncation by path, before they happen; the end is assumed",
        major::ACQUIRE_FOR_SECTION => "at exec, before it happens; its end is assumed",
        _ => "never from this source",
    }
}

/// An operation of a program was refused.
pub fn refused(path: &str, process: u32, status: crate::nt::status::Status) {
    say(
        || format!("refused   {path} for process {process}: {status:?}"),
        || json!({ "event": "refused", "path": path, "process": process, "status": status.0 }),
    );
}

/// A driver is asked to go.
pub fn unloading(service: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        say(|| format!("unload    {service}"), || json!({ "event": "unload", "service": service }));
    }
}

/// Everything is over: the sum, and whether anything was found.
pub fn finish(arguments: &Arguments) -> bool {
    let findings: Vec<Finding> = report::all().into_iter().filter(is_shown).collect();
    let hidden = report::all().len() - findings.len();
    let tags = pool::tags();
    let allocations: u64 = tags.values().map(|used| used.allocations).sum();
    let left: u64 = tags.values().map(|used| used.blocks).sum();
    if !arguments.quiet {
        let hint = if hidden > 0 { format!(", {hidden} more with --strict") } else { String::new() };
        let elapsed = lock(&START).map_or(0, |start| start.elapsed().as_millis());
        say(
            || {
                format!(
                    "end       {} findings{hint}; pool {left} of {allocations} blocks left; {elapsed} ms",
                    findings.len()
                )
            },
            || json!({ "event": "end", "findings": findings.len(), "hidden": hidden, "pool_left": left, "allocations": allocations }),
        );
    }
    !findings.is_empty()
}
