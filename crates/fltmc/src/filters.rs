//! The filters behind `demo`, `run` and `watch`, from their arguments: rules in the filter itself, a scanner in a second
//! process, a port for others.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fltmgr::Error;
use fltmgr::filter::{Builder, OpSet};
use fltmgr::guard::{Applications, Guard};
use fltmgr::namespace::Namespace;
use fltmgr::policy::{Rule, Rules};

use crate::args::{Miss, RuleArgs};
use crate::asked_port::{Admit, AskedPort, GLANCE};
use crate::exit::{Code, Failure};
use crate::output::{HEAD, Safe, WARN, noteln};
use crate::port;
use crate::scanner::Scanner;
use crate::signals::{Event, Events};

/// Where the three kinds of rules stand: what is cheap is asked first.
const NAMES_ALTITUDE: u32 = 389_000;
const SCANNER_ALTITUDE: u32 = 325_000;
const PORT_ALTITUDE: u32 = 265_000;

/// Filters, and the applications behind them.
#[derive(Debug)]
pub(crate) struct Filters {
    guards: Vec<Guard>,
    scanner: Option<Scanner>,
    asked: Option<AskedPort>,
}

/// How rules are to be applied.
pub(crate) struct Setting {
    /// Only under these directories; everywhere if there are none.
    pub(crate) under: Vec<PathBuf>,
    /// What the source can hold back.
    pub(crate) ops: OpSet,
    pub(crate) on_miss: Miss,
    /// Called for each application that connects to the port, which it may refuse.
    pub(crate) admit: Admit,
}

impl Filters {
    /// Creates what the rules need: when this returns the scanner is connected, and the port is there.
    pub(crate) fn new(rules: &RuleArgs, setting: &Setting) -> Result<Self, Failure> {
        let mut filters = Self { guards: Vec::new(), scanner: None, asked: None };
        let everything = ["**".to_owned()];
        let deadline = rules.deadline;
        let compiled = |rule: Rule| Rules::new([rule.under(&setting.under)]).map_err(bad_pattern);
        let guard = |name: &str, altitude: u32, rules: Rules| {
            let guard = Guard::new(rules).name(name).altitude(altitude.into()).ops(setting.ops);
            guard.deadline(deadline).on_miss(setting.on_miss.into())
        };
        if !rules.deny.is_empty() {
            filters.guards.push(guard("--deny", NAMES_ALTITUDE, compiled(Rule::deny(&rules.deny))?));
        }
        // Checked before the port is there, so that a slip leaves no trace.
        let ask = compiled(Rule::ask(if rules.ask.is_empty() { &everything } else { rules.ask.as_slice() }))?;
        if let Some(typed) = &rules.port {
            let namespace = Namespace::current();
            let asked = AskedPort::open(&port::full_name(typed), namespace.clone(), setting.admit.clone());
            let asked = asked.map_err(|error| port::creating(error, namespace.dir(), "FLTMGR_NAMESPACE"))?;
            filters.guards.push(guard("--port", PORT_ALTITUDE, ask).ask(Arc::new(asked.applications.clone())));
            filters.asked = Some(asked);
        }
        if !rules.deny_content.is_empty() {
            // A verdict may be kept until the file changes only where nothing but its content was looked at.
            let remember = filters.guards.is_empty() && !setting.under.is_empty();
            let scanner = Scanner::start(&rules.deny_content, rules.max_scan, remember)?;
            // Only opening and running give content away.
            let content = guard("--deny-content", SCANNER_ALTITUDE, compiled(Rule::ask(&everything))?);
            let content = content.ops(OpSet::OPEN | OpSet::EXEC);
            filters.guards.push(content.ask(Arc::new(scanner.applications().clone())));
            filters.scanner = Some(scanner);
        }
        Ok(filters)
    }

    /// With a port: waits until an application is connected. Gives the signal that came so far, if one did: nothing runs
    /// yet that it could be passed on to.
    pub(crate) fn wait_for_application(&self, events: &Events, wait: Duration) -> Result<Option<i32>, Failure> {
        let Some(asked) = &self.asked else { return Ok(events.signal()) };
        let name = Safe(asked.port.name()).to_string();
        noteln!("{HEAD}fltmc:{HEAD:#} waiting for an application to connect: fltmc connect '{name}'");
        let end = Instant::now() + wait;
        loop {
            match events.until(end) {
                // It is told of a moment before it can be asked.
                Some(Event::Connected | Event::Ended) => {
                    while asked.applications.is_empty() && Instant::now() < end {
                        std::thread::park_timeout(GLANCE);
                    }
                    if !asked.applications.is_empty() {
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

    /// The applications that are asked.
    pub(crate) fn applications(&self) -> impl Iterator<Item = &Applications> {
        let port = self.asked.iter().map(|asked| &asked.applications);
        self.scanner.iter().map(Scanner::applications).chain(port)
    }

    /// The scanner's process.
    pub(crate) fn scanner_pid(&self) -> Option<u32> {
        self.scanner.as_ref().map(Scanner::pid)
    }

    /// Moves the filters into a manager.
    pub(crate) fn add_to(&mut self, mut builder: Builder) -> Result<Builder, Failure> {
        for guard in self.guards.drain(..) {
            builder = builder.filter(guard).map_err(port::other)?;
        }
        Ok(builder)
    }

    /// Ends the ports' connections and waits for the scanner to go. Says on stderr if it went before its work was done.
    pub(crate) fn close(self) {
        if let Some(asked) = self.asked {
            asked.port.unload();
        }
        if let Some(status) = self.scanner.and_then(Scanner::close) {
            noteln!("{WARN}fltmc:{WARN:#} the scanner had ended before ({status}); since then --on-miss decided");
        }
    }
}

fn bad_pattern(error: Error) -> Failure {
    Failure::new(Code::Usage, format!("{error}; patterns are like '*.key', '~/.ssh' or '/srv/**/private'"))
}
