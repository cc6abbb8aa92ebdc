//! The filters behind `demo`, `run` and `watch`: rules in the filter itself, a scanner in a second process, a port for
//! others.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use fltmgr::filter::{Builder, OnMiss, OpSet};
use fltmgr::guard::{Applications, Guard};
use fltmgr::namespace::Namespace;
use fltmgr::{Error, Port, PortOptions, SecurityDescriptor, Status};

use crate::args::{Miss, Rules};
use crate::exit::{Code, Doing, Failure};
use crate::output::{HEAD, Safe, WARN, noteln};
use crate::port;
use crate::signals::{Event, Events};

/// The scanner's port, in a namespace that only it and we know.
const SCANNER_PORT: &str = r"\ScannerPort";

/// How long the scanner may take to start and connect, on a machine that is busy.
const SCANNER_START: Duration = Duration::from_secs(20);

/// How long the scanner may take to see that its port is gone.
const SCANNER_END: Duration = Duration::from_secs(5);

/// How often something is looked at that tells nobody.
const GLANCE: Duration = Duration::from_millis(5);

/// Where the three kinds of rules stand: what is cheap is asked first.
const NAMES_ALTITUDE: u32 = 389_000;
const SCANNER_ALTITUDE: u32 = 325_000;
const PORT_ALTITUDE: u32 = 265_000;

/// Rules at work.
#[derive(Debug)]
pub(crate) struct Gate {
    guards: Vec<Guard>,
    scanner: Option<Scanner>,
    door: Option<Door>,
}

/// How rules are to be applied.
pub(crate) struct Setting {
    /// Only under these directories; everywhere if there are none.
    pub(crate) under: Vec<PathBuf>,
    /// What the source can hold back.
    pub(crate) ops: OpSet,
    pub(crate) on_miss: Miss,
    /// Called for each application that connects to the port.
    pub(crate) announce: Announce,
}

/// Somebody who wants to know of an application.
pub(crate) type Announce = Arc<dyn Fn() + Send + Sync>;

/// A port and those who are connected to it.
#[derive(Debug)]
struct Door {
    port: Port,
    applications: Applications,
}

/// The scanner's process, the port it is connected to, and the folder that is their namespace.
#[derive(Debug)]
struct Scanner {
    child: Child,
    door: Door,
    _namespace: tempfile::TempDir,
}

impl Gate {
    /// Creates what the rules need: when this returns the scanner is connected, and the port is there.
    pub(crate) fn new(rules: &Rules, setting: &Setting) -> Result<Self, Failure> {
        let mut gate = Self { guards: Vec::new(), scanner: None, door: None };
        let anchored = |patterns: &[String]| anchored(patterns, &setting.under);
        let guard = |name: &str, altitude: u32| {
            let on_miss = match setting.on_miss {
                Miss::Allow => OnMiss::Allow,
                Miss::Deny => OnMiss::Deny,
            };
            Guard::new().name(name).altitude(altitude.into()).deadline(rules.deadline).on_miss(on_miss)
        };
        if !rules.deny.is_empty() {
            let guard = guard("--deny", NAMES_ALTITUDE).ops(setting.ops).deny(anchored(&rules.deny));
            gate.guards.push(guard.map_err(bad_pattern)?);
        }
        // Checked before the port is there, so that a slip leaves no trace.
        let everything = ["**".to_owned()];
        let only = |patterns: &[String]| anchored(if patterns.is_empty() { &everything } else { patterns });
        let asking = guard("--port", PORT_ALTITUDE).ops(setting.ops).only(only(&rules.ask)).map_err(bad_pattern)?;
        if let Some(typed) = &rules.port {
            let namespace = Namespace::current();
            let door = Door::open(&port::full_name(typed), namespace.clone(), setting.announce.clone());
            let door = door.map_err(|error| port::creating(error, namespace.dir(), "FLTMGR_NAMESPACE"))?;
            gate.guards.push(asking.ask(Arc::new(door.applications.clone()), setting.ops));
            gate.door = Some(door);
        }
        if !rules.deny_content.is_empty() {
            // A verdict may be kept until the file changes only where nothing but its content was looked at.
            let remember = gate.guards.is_empty() && !setting.under.is_empty();
            let scanner = Scanner::start(&rules.deny_content, remember)?;
            // Only opening and running give content away.
            let ops = OpSet::OPEN | OpSet::EXEC;
            let guard = guard("--deny-content", SCANNER_ALTITUDE).ops(ops).only(only(&[])).map_err(bad_pattern)?;
            gate.guards.push(guard.ask(Arc::new(scanner.door.applications.clone()), ops));
            gate.scanner = Some(scanner);
        }
        Ok(gate)
    }

    /// With a port: waits until an application is connected. Gives the signal that came so far, if one did: nothing runs
    /// yet that it could be passed on to.
    pub(crate) fn wait_for_application(&self, events: &Events, wait: Duration) -> Result<Option<i32>, Failure> {
        let Some(door) = &self.door else { return Ok(events.signal()) };
        let name = Safe(door.port.name()).to_string();
        noteln!("{HEAD}fltmc:{HEAD:#} waiting for an application to connect: fltmc connect '{name}'");
        let end = Instant::now() + wait;
        loop {
            match events.until(end) {
                // It is told of a moment before it can be asked.
                Some(Event::Connected | Event::Ended) => {
                    while door.applications.is_empty() && Instant::now() < end {
                        std::thread::park_timeout(GLANCE);
                    }
                    if !door.applications.is_empty() {
                        return Ok(events.signal());
                    }
                }
                Some(Event::Signal(signal)) => return Ok(Some(signal)),
                None => {
                    let ms = wait.as_millis();
                    let sentence =
                        format!("no application connected to {name} within {ms} ms; --wait MS gives it longer");
                    return Err(Failure::new(Code::Other, sentence));
                }
            }
        }
    }

    /// Those who are asked.
    pub(crate) fn applications(&self) -> impl Iterator<Item = &Applications> {
        let scanner = self.scanner.iter().map(|scanner| &scanner.door);
        scanner.chain(&self.door).map(|door| &door.applications)
    }

    /// The scanner's process.
    pub(crate) fn scanner_pid(&self) -> Option<u32> {
        self.scanner.as_ref().map(|scanner| scanner.child.id())
    }

    /// Moves the filters into a manager.
    pub(crate) fn filters(&mut self, mut builder: Builder) -> Result<Builder, Failure> {
        for guard in self.guards.drain(..) {
            builder = builder.filter(guard).map_err(port::other)?;
        }
        Ok(builder)
    }

    /// Ends the ports' connections and waits for the scanner to go. Says on stderr if it went before its work was done.
    pub(crate) fn close(self) {
        if let Some(door) = self.door {
            door.port.unload();
        }
        if let Some(mut scanner) = self.scanner {
            // one that ends hangs up a moment before its end can be waited for
            let hung_up = scanner.door.applications.is_empty();
            if let Some(status) = ended(&mut scanner.child, if hung_up { SCANNER_END } else { Duration::ZERO }) {
                noteln!("{WARN}fltmc:{WARN:#} the scanner had ended before ({status}); since then --on-miss decided");
            }
            scanner.end();
        }
    }
}

impl Door {
    /// A port for one application, run by this user or by root.
    fn open(name: &str, namespace: Namespace, announce: Announce) -> Result<Self, Error> {
        let uid = rustix::process::geteuid().as_raw();
        let sddl = format!("D:P(A;;0x1f0001;;;SY)(A;;0x1f0001;;;uid:{uid})");
        let security: SecurityDescriptor = sddl
            .parse()
            .map_err(|_| Error::new(Status::INVALID_PARAMETER, format!("reading the descriptor {sddl}")))?;
        let applications = Applications::announced(move |_| announce());
        let options = PortOptions::default().security(security).namespace(namespace);
        let port = Port::create(name, options, applications.clone())?;
        Ok(Self { port, applications })
    }
}

impl Scanner {
    /// Starts `fltmc scan` as a second process and waits until it is connected.
    fn start(texts: &[String], remember: bool) -> Result<Self, Failure> {
        let namespace = tempfile::Builder::new()
            .prefix("fltmc-")
            .tempdir()
            .doing(|| format!("making a namespace for the scanner in {}", std::env::temp_dir().display()))?;
        let (tell, arrived) = sync_channel(1);
        let announce: Announce = Arc::new(move || {
            let _ = tell.try_send(());
        });
        let door = Door::open(SCANNER_PORT, Namespace::at(namespace.path()), announce).map_err(|error| {
            // Where there is no descriptor left to look into the folder, its owner cannot remove it.
            let _ = std::fs::remove_dir(namespace.path());
            port::creating(error, &std::env::temp_dir(), "TMPDIR")
        })?;
        let me = std::env::current_exe().doing(|| "finding this program's own file".into())?;
        let mut command = Command::new(me);
        command.env("FLTMGR_NAMESPACE", namespace.path()).args(["scan", SCANNER_PORT]);
        command.args(texts.iter().map(|text| format!("--deny-content={text}")));
        command.args(remember.then_some("--remember"));
        // Out of the terminal's foreground: Ctrl-C is for the program, which may go on after it, and then needs verdicts.
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0).spawn();
        let child = child.doing(|| "starting the scanner".into())?;
        let mut scanner = Self { child, door, _namespace: namespace };
        let end = Instant::now() + SCANNER_START;
        while scanner.door.applications.is_empty() {
            // Told of a moment before it can be asked, so that the word is a reason to look and not the answer.
            if let Err(RecvTimeoutError::Disconnected) = arrived.recv_timeout(GLANCE) {
                break;
            }
            if let Ok(Some(status)) = scanner.child.try_wait() {
                return Err(Failure::new(Code::Other, format!("the scanner ended before it was connected: {status}")));
            }
            if Instant::now() >= end {
                scanner.end();
                return Err(Failure::new(Code::Other, "the scanner did not connect in time; is the machine stuck?"));
            }
        }
        Ok(scanner)
    }

    /// Hangs up and waits for the process, which ends by itself.
    fn end(mut self) {
        self.door.port.unload();
        if ended(&mut self.child, SCANNER_END).is_none() {
            // It is stuck in the middle of a file; there is nothing left that it could tell.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// How a process has ended, if it does within `patience`.
fn ended(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < end => std::thread::park_timeout(GLANCE),
            ended => return ended.ok().flatten(),
        }
    }
}

/// Patterns as the guard wants them: those that do not begin with a slash hold at any depth, under `directories` if
/// there are any.
fn anchored(patterns: &[String], directories: &[PathBuf]) -> Vec<String> {
    let anywhere = |pattern: &String| match pattern.starts_with('/') || pattern.starts_with("**") {
        true => pattern.clone(),
        false => format!("**/{pattern}"),
    };
    if directories.is_empty() {
        return patterns.iter().map(anywhere).collect();
    }
    let under = |directory: &Path, pattern: &String| match pattern.starts_with('/') {
        true => pattern.clone(),
        false => {
            let directory = escaped(&directory.to_string_lossy());
            format!("{}/{}", directory.trim_end_matches('/'), anywhere(pattern))
        }
    };
    let pairs = directories.iter().flat_map(|directory| patterns.iter().map(move |pattern| (directory, pattern)));
    pairs.map(|(directory, pattern)| under(directory, pattern)).collect()
}

/// A path that is meant as it stands, as a pattern.
fn escaped(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for c in path.chars() {
        match c {
            '*' | '?' | '[' | ']' | '{' | '}' => pattern.extend(['[', c, ']']),
            '\\' => pattern.push_str("\\\\"),
            c => pattern.push(c),
        }
    }
    pattern
}

fn bad_pattern(error: Error) -> Failure {
    Failure::new(Code::Usage, format!("{error}; patterns are like '*.key', '**/.ssh/**' or '/etc/shadow'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_anchored() {
        let patterns = ["*.key", "/etc/*", "**/x", "**"].map(str::to_owned);
        assert_eq!(anchored(&patterns, &[]), ["**/*.key", "/etc/*", "**/x", "**"]);
        let under = anchored(&patterns, &["/srv/a[1]".into(), "/".into()]);
        let expected = [
            "/srv/a[[]1[]]/**/*.key",
            "/etc/*",
            "/srv/a[[]1[]]/**/x",
            "/srv/a[[]1[]]/**",
            "/**/*.key",
            "/etc/*",
            "/**/x",
            "/**",
        ];
        assert_eq!(under, expected);
    }
}
