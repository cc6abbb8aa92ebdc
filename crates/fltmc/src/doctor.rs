//! `fltmc doctor`: what this kernel and this user can do, found out by trying.

use std::process::ExitCode;

use fltmgr::PortName;
use fltmgr::namespace::Namespace;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::process::{PidfdFlags, Resource, getpid, getrlimit, pidfd_open};
use serde::Serialize;

use crate::args::Doctor;
use crate::exit::{Code, Failure, cause};
use crate::needs;
use crate::output::{self, DIM, ERROR, GOOD, HEAD, WARN};

/// The oldest kernel with everything that the core needs: F_SEAL_FUTURE_WRITE, ADDFD with SEND, pidfd.
const OLDEST: (u32, u32) = (5, 15);

/// The check that is about a directory and not about the kernel.
const NAMESPACE: &str = "namespace";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It works.
    Ok,
    /// It does not, and the tool does without: slower, or less exact.
    Without,
    /// It does not, and something named in `meaning` does not work therefore.
    Missing,
}

/// One line of the answer.
#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    state: State,
    found: String,
    meaning: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<&'static str>,
    /// Belongs to the check above it.
    #[serde(skip)]
    detail: bool,
    /// Whether ports, or `run` and `demo`, cannot do without it.
    needed: bool,
}

impl Check {
    fn of(check: &'static str, found: Result<String, String>, meaning: &'static str) -> Self {
        let (state, found) = match found {
            Ok(found) => (State::Ok, found),
            Err(found) => (State::Missing, found),
        };
        Self { check, state, found, meaning, root: None, detail: false, needed: false }
    }

    /// Without it ports, or `run` and `demo`, do not work.
    fn needed(mut self) -> Self {
        self.needed = true;
        self
    }

    /// A part of the check before it.
    fn detail(mut self) -> Self {
        self.detail = true;
        self
    }

    /// Missing it costs something, but nothing stops working.
    fn optional(mut self) -> Self {
        if self.state == State::Missing {
            self.state = State::Without;
        }
        self
    }

    /// What root would add, shown where it is not there.
    fn with_root(mut self, adds: &'static str) -> Self {
        if self.state != State::Ok {
            self.root = Some(adds);
        }
        self
    }
}

pub(crate) fn doctor(args: &Doctor) -> Result<ExitCode, Failure> {
    let checks = checks();
    if args.json {
        checks.iter().try_for_each(output::json)?;
    } else {
        print(&checks)?;
    }
    match checks.iter().find(|check| check.needed && check.state == State::Missing) {
        Some(check) => {
            let code = if check.check == NAMESPACE { Code::Namespace } else { Code::Unsupported };
            Err(Failure::new(code, format!("{} is needed: {}", check.check, check.found)))
        }
        None => Ok(ExitCode::SUCCESS),
    }
}

fn print(checks: &[Check]) -> Result<(), Failure> {
    for check in checks {
        let (style, word) = match check.state {
            State::Ok => (GOOD, "ok"),
            State::Without => (WARN, "without"),
            State::Missing => (ERROR, "missing"),
        };
        let name = format!("{}{}", if check.detail { "  " } else { "" }, check.check);
        output::showln!("{style}{word:<8}{style:#} {HEAD}{name:<27}{HEAD:#} {}", check.found)?;
        output::showln!("         {DIM}{}{DIM:#}", check.meaning)?;
        if let Some(root) = check.root {
            output::showln!("         {DIM}root: {root}{DIM:#}")?;
        }
    }
    Ok(())
}

fn checks() -> Vec<Check> {
    let mut checks = vec![kernel()];
    checks.extend(supervise());
    checks.extend(fanotify());
    checks.push(
        Check::of(
            "pidfd",
            pidfd_open(getpid(), PidfdFlags::empty()).map(|_| "a handle on a process".into()).map_err(os),
            "names a process beyond doubt, however often its number is used again",
        )
        .optional(),
    );
    checks.push(
        Check::of(
            "SO_PEERPIDFD",
            sys::probe::peer_pidfd().map(|()| "a handle on the peer of a socket".into()).map_err(io),
            "the host knows which very process connected; without it, its number at that moment",
        )
        .optional(),
    );
    checks.push(seals());
    checks.push(
        Check::of(
            "futex_waitv",
            sys::futex::can_wait_for_several().map(|()| "a sleep on several words at once".into()).map_err(io),
            "receivers by tokens, streams or event loops are woken at once; without it (before 5.16), within 10 ms",
        )
        .optional(),
    );
    checks.push(namespace());
    checks.push(descriptors());
    checks.push(watchdog());
    checks
}

fn kernel() -> Check {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let found = if version >= OLDEST { Ok(release) } else { Err(format!("{release}, older than 5.15")) };
    Check::of("kernel", found, "5.15 or newer is what ports and both sources are made for").needed()
}

fn supervise() -> Vec<Check> {
    const WHAT: &str = "fltmc run and fltmc demo hold a program's operations until they are decided; no rights needed";
    let notify = sys::probe::notify();
    let found = match &notify {
        Ok(_) => Ok("a call was held and answered".into()),
        Err(error) => Err(needs::why(error)),
    };
    let mut checks = vec![Check::of("seccomp notification", found, WHAT).needed()];
    let Ok(notify) = notify else { return checks };
    let yes =
        |has: bool, since: &str| if has { Ok(format!("there (since {since})")) } else { Err(format!("needs {since}")) };
    checks.push(
        Check::of(
            "ADDFD with SEND",
            yes(notify.inject, "5.14"),
            "an open is answered with the very file that was judged, so that it cannot be swapped in between",
        )
        .detail()
        .needed(),
    );
    checks.push(
        Check::of(
            "WAIT_KILLABLE_RECV",
            yes(notify.wait_killable, "5.19"),
            "signals do not make a waiting program ask twice; without it, timers may repeat a question",
        )
        .detail()
        .optional(),
    );
    checks.push(
        Check::of("SYNC_WAKE_UP", yes(notify.sync_wake_up, "6.6"), "verdicts are several times faster across CPUs")
            .detail()
            .optional(),
    );
    checks.extend(sys::probe::calls().into_iter().map(|(call, found)| {
        let found = found.map(|()| "allowed".into()).map_err(|error| needs::why(&error));
        Check::of(call, found, without(call)).detail().optional()
    }));
    checks
}

/// What supervising is without a call.
fn without(call: &str) -> &'static str {
    match call {
        "process_vm_readv" => "what a call has in memory is read by it; without it, by /proc/PID/mem, which is slower",
        "/proc/PID/mem" => "how memory is read where process_vm_readv is refused; a run needs one of them",
        "openat2" => "a path is followed in one step by it; without it, name by name",
        "statx" => "tells a mount; without it, /proc/self/fdinfo does",
        "setns" => {
            "what a program in namespaces of its own may do is done there; without it, the kernel reads its paths again"
        }
        "unshare" => "programs make namespaces by it; supervising does without",
        _ => {
            "what a program with rights of its own may do is done by a process with the same; without it, the kernel reads its paths again"
        }
    }
}

fn fanotify() -> Vec<Check> {
    let permission = sys::probe::permission();
    let found = match &permission {
        Ok(_) => Ok("this user may decide about whole file systems".into()),
        Err(e) => Err(cause(e)),
    };
    let mut checks = vec![
        Check::of("fanotify permission class", found, "fltmc watch decides for every process of a file system")
            .with_root("fltmc watch, with CAP_SYS_ADMIN outside any user namespace (a default container has none)"),
    ];
    let Ok(permission) = permission else { return checks };
    let yes =
        |has: bool, since: &str| if has { Ok(format!("there (since {since})")) } else { Err(format!("needs {since}")) };
    checks.push(
        Check::of(
            "FAN_MARK_IGNORE",
            yes(permission.ignore, "6.0"),
            "fltmc watch can tell whether a file is open for writing, and so remember that it was allowed; without it, it asks each time",
        )
        .detail()
        .optional(),
    );
    checks.push(
        Check::of(
            "FAN_MARK_EVICTABLE",
            yes(permission.evictable, "5.19"),
            "marks that close a gap of the kernel do not hold files in memory; without it, there are none",
        )
        .detail()
        .optional(),
    );
    checks
}

fn seals() -> Check {
    let sealed = memfd_create("fltmc-doctor", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).and_then(|memory| {
        fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW)?;
        fcntl_add_seals(&memory, SealFlags::FUTURE_WRITE)
    });
    Check::of(
        "memfd seals",
        sealed.map(|()| "size and F_SEAL_FUTURE_WRITE".into()).map_err(os),
        "an application cannot write what the host alone may write, nor pull memory away under it",
    )
    .needed()
}

fn descriptors() -> Check {
    let limit = getrlimit(Resource::Nofile);
    let show = |n: Option<u64>| n.map_or_else(|| "no limit".to_owned(), |n| n.to_string());
    let found = format!("{} open files, can be raised to {}", show(limit.current), show(limit.maximum));
    let enough = limit.maximum.is_none_or(|n| n >= 4096);
    Check::of(
        "RLIMIT_NOFILE",
        if enough { Ok(found) } else { Err(found) },
        "each connection takes a few descriptors and each waiting operation one: 4096 are plenty for most",
    )
    .optional()
    .with_root("may raise it further")
}

fn watchdog() -> Check {
    const PATH: &str = "/proc/sys/fs/fanotify/watchdog_timeout";
    let found = match std::fs::read_to_string(PATH).as_deref().map(str::trim) {
        Ok("0") => Err("there, switched off".into()),
        Ok(seconds) => Ok(format!("after {seconds} s")),
        Err(_) => Err("not in this kernel".into()),
    };
    Check::of("fanotify watchdog", found, "the kernel's log names a listener that does not answer; it ends nothing")
        .optional()
        .with_root("may switch it on: echo 10 > /proc/sys/fs/fanotify/watchdog_timeout (6.18 or newer)")
}

fn os(e: rustix::io::Errno) -> String {
    io(e.into())
}

fn io(e: std::io::Error) -> String {
    cause(&e)
}
/// Takes a name that no other process wants and gives it back.
fn namespace() -> Check {
    let namespace = Namespace::current();
    let dir = namespace.dir().display();
    let tried = PortName::parse(&format!("\\fltmc-doctor-{}", std::process::id()))
        .map_err(|status| status.to_string())
        .and_then(|name| namespace.claim(&name, false, "D:").map(drop).map_err(|e| e.to_string()));
    Check::of(
        NAMESPACE,
        tried.map(|()| format!("ports can be made in {dir}")),
        "where this user's hosts put their ports and clients find them; FLTMGR_NAMESPACE names another directory",
    )
    .needed()
    .with_root("uses /run/fltmgr, where every user's clients look")
}
