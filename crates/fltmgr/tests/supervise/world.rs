//! A directory of its own, commands run under supervision in it, and what they asked.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fltmgr::filter::{OpKind, OpSet, Verdict};
use fltmgr::source::{CallCounters, Source as _, Supervise, Waiting};
use fltmgr::{Error, Status};

/// No supervised command of these tests needs longer, on a loaded machine too. An emulated one takes `FLTMGR_SLOW` times
/// as long.
fn patience() -> Duration {
    let times = std::env::var("FLTMGR_SLOW").map_or(1, |times| times.parse().expect("a number"));
    Duration::from_secs(60) * times
}

pub(crate) struct World {
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) kind: OpKind,
    pub(crate) path: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) command: OsString,
}

#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Result<ExitStatus, Error>,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) asked: Vec<Asked>,
    pub(crate) counters: CallCounters,
}

impl Outcome {
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(self.status.as_ref().is_ok_and(|status| status.success()), "{self:#?}");
        self
    }

    pub(crate) fn asked(&self, kind: OpKind, path: &Path) -> usize {
        self.asked.iter().filter(|asked| asked.kind == kind && asked.path == path).count()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("fltmgr-supervise-{}-{number}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        Self { dir: dir.canonicalize().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn file(&self, name: &str, contents: &str) -> PathBuf {
        fs::write(self.path(name), contents).unwrap();
        self.path(name)
    }

    /// Runs a shell script in the directory; `policy` gives the status of a denial.
    pub(crate) fn sh(
        &self,
        script: &str,
        ops: OpSet,
        policy: impl Fn(&dyn Waiting) -> Option<Status> + Send + Sync,
    ) -> Outcome {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        self.run(command, ops, policy)
    }

    pub(crate) fn run(
        &self,
        mut command: Command,
        ops: OpSet,
        policy: impl Fn(&dyn Waiting) -> Option<Status> + Send + Sync,
    ) -> Outcome {
        let [out, err] = ["out", "err"].map(|name| self.dir.with_extension(name));
        command.current_dir(&self.dir).stdin(Stdio::null()).env("LC_ALL", "C");
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let source = Arc::new(Supervise::new(command));
        source.start(ops).unwrap();
        let _watch = Watchdog::new(source.clone());
        let asked = Mutex::new(Vec::new());
        let status = thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(held) = source.next().unwrap() {
                        asked.lock().unwrap().push(Asked {
                            kind: held.operation().kind,
                            path: held.operation().path.clone(),
                            target: held.operation().target.clone(),
                            command: held.operation().caller.command().to_owned(),
                        });
                        held.answer(policy(&*held).map_or(Verdict::Allow, Verdict::Deny));
                    }
                });
            }
            source.wait()
        });
        let text = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        let outcome = Outcome {
            status,
            out: text(&out),
            err: text(&err),
            asked: asked.into_inner().unwrap(),
            counters: source.counters().unwrap(),
        };
        for path in [out, err] {
            fs::remove_file(path).unwrap();
        }
        outcome
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

pub(crate) fn allow_all(_: &dyn Waiting) -> Option<Status> {
    None
}

/// Denies the files with this name.
pub(crate) fn deny(name: &'static str) -> impl Fn(&dyn Waiting) -> Option<Status> + Send + Sync {
    move |held| held.operation().path.ends_with(name).then_some(Status::ACCESS_DENIED)
}

/// Ends a test that hangs: kills the command, which ends every wait.
pub(crate) struct Watchdog(Option<std::sync::mpsc::SyncSender<()>>);

impl Watchdog {
    pub(crate) fn new(source: Arc<Supervise>) -> Self {
        let patience = patience();
        let (done, wait) = sync_channel::<()>(0);
        thread::spawn(move || {
            if wait.recv_timeout(patience) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                eprintln!("watchdog: the command hangs and is killed");
                if let Ok(pid) = source.pid() {
                    // SAFETY: kill has no memory preconditions.
                    unsafe { libc::kill(pid as i32, libc::SIGKILL) };
                }
                source.stop();
            }
        });
        Self(Some(done))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.take();
    }
}

/// Waits for a condition.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < patience(), "not in time: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a process exists and is not a zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    !stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
}
