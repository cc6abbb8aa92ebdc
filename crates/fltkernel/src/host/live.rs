//! A program under drivers: its operations come from the supervising source.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use fltmgr::filter::{Altitude, Filter, Manager, OnMiss, OpSet, PreOperation, Verdict};
use fltmgr::operation::Operation;
use fltmgr::source::{AtEnd, Supervise};

use super::arguments::Arguments;
use super::{bugcheck, output};
use crate::filter::engine::{self, Held, Performed};
use crate::filter::{instance, registration};
use crate::kernel::process;
use crate::nt::major;

/// The drivers as one filter of the manager: their instances stand in it in the order of their own altitudes.
struct Drivers {
    altitude: Altitude,
    operations: OpSet,
    on_miss: OnMiss,
}

/// The operations of Linux behind what the drivers registered.
fn operations() -> OpSet {
    let mut wanted = OpSet::empty();
    for filter in registration::all() {
        for operation in filter.operations() {
            wanted |= match operation.major {
                major::CREATE => OpSet::OPEN | OpSet::EXEC | OpSet::MKDIR,
                major::CLEANUP | major::CLOSE => OpSet::OPEN,
                major::SET_INFORMATION => OpSet::RENAME | OpSet::LINK | OpSet::UNLINK | OpSet::TRUNCATE,
                major::ACQUIRE_FOR_SECTION => OpSet::EXEC,
                _ => OpSet::empty(),
            };
        }
    }
    if process::is_wanted() {
        wanted |= OpSet::EXEC;
    }
    wanted
}

impl Filter for Drivers {
    fn name(&self) -> &str {
        "drivers"
    }

    fn altitude(&self) -> Altitude {
        self.altitude.clone()
    }

    fn ops(&self) -> OpSet {
        self.operations
    }

    fn on_miss(&self) -> OnMiss {
        self.on_miss
    }

    fn pre(&self, operation: PreOperation) {
        let held = Waiting { operation: operation.operation().clone(), waiting: Cell::new(Some(operation)) };
        engine::decide(&held);
    }
}

/// An operation of the manager.
struct Waiting {
    operation: Arc<Operation>,
    waiting: Cell<Option<PreOperation>>,
}

impl Waiting {
    fn file(&self) -> io::Result<Option<Arc<OwnedFd>>> {
        let waiting = self.waiting.take();
        let file = waiting.as_ref().map_or(Ok(None), PreOperation::file);
        self.waiting.set(waiting);
        file
    }
}

impl Held for Waiting {
    fn operation(&self) -> &Operation {
        &self.operation
    }

    fn perform(&self) -> Performed {
        // a file that cannot be opened here is there for the program all the same
        engine::assumed(&self.operation, self.file().unwrap_or(None))
    }

    fn answer(&self, verdict: Verdict) {
        let Some(waiting) = self.waiting.take() else { return };
        if let Verdict::Deny(status) = verdict {
            output::refused(&self.operation.path.to_string_lossy(), self.operation.caller.process(), status);
            waiting.deny(status);
        } else {
            waiting.allow();
        }
    }
}

/// Runs a program under the loaded drivers until it and its children have ended; gives its exit status.
///
/// # Errors
/// A sentence: no driver wants an operation of the source, or the program cannot be run.
pub fn run(arguments: &Arguments) -> Result<i32, String> {
    let operations = operations();
    let highest =
        registration::all().iter().flat_map(instance::of_filter).map(|instance| instance.altitude.clone()).max();
    let Some(altitude) = highest.filter(|_| !operations.is_empty()) else {
        return run_alone(arguments);
    };
    let on_miss = if arguments.deny_on_miss { OnMiss::Deny } else { OnMiss::Allow };
    let mut command = Command::new(&arguments.command[0]);
    command.args(&arguments.command[1..]);
    // what our process needs to run the driver is nothing for the program
    command.env_remove("LD_PRELOAD");
    let source = Arc::new(Supervise::new(command).at_end(AtEnd::Kill));
    let filter = Drivers { altitude, operations, on_miss };
    let manager = Manager::builder()
        .filter(filter)
        .and_then(|builder| builder.start(source.clone()))
        .map_err(|error| error.to_string())?;
    let manager = Arc::new(manager);
    let stopped = manager.clone();
    bugcheck::before_end(move || stopped.stop());
    let status = source.wait().map_err(|error| format!("{}: {error}", arguments.command[0]))?;
    manager.stop();
    wait_for_callbacks(&manager);
    Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
}

/// No driver wants what the source gives: the program runs as it is.
fn run_alone(arguments: &Arguments) -> Result<i32, String> {
    let status = Command::new(&arguments.command[0]).args(&arguments.command[1..]).env_remove("LD_PRELOAD").status();
    let status = status.map_err(|error| format!("{}: {error}", arguments.command[0]))?;
    Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
}

/// Those that began before the end of the source.
fn wait_for_callbacks(manager: &Manager) {
    let end = std::time::Instant::now() + Duration::from_secs(5);
    while !manager.outstanding().is_empty() && std::time::Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
}
