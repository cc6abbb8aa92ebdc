//! Commands that run under supervision in a world, and what they asked.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use fltmgr::filter::{OpKind, OpSet, Verdict};
use fltmgr::source::{CallCounters, Source as _, Supervise, Waiting};
use fltmgr::{Error, Status};
use testkit::World;

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

/// Commands in a world.
pub(crate) trait Supervised {
    /// Runs a command in the world's folder; `policy` gives the status of a denial.
    fn run(
        &self,
        command: Command,
        ops: OpSet,
        policy: impl Fn(&dyn Waiting) -> Option<Status> + Send + Sync,
    ) -> Outcome;

    /// Runs a shell script so.
    fn sh(&self, script: &str, ops: OpSet, policy: impl Fn(&dyn Waiting) -> Option<Status> + Send + Sync) -> Outcome {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        self.run(command, ops, policy)
    }
}

impl Supervised for World {
    fn run(
        &self,
        mut command: Command,
        ops: OpSet,
        policy: impl Fn(&dyn Waiting) -> Option<Status> + Send + Sync,
    ) -> Outcome {
        // beside the folder: a script may look at all that is in there
        let outputs = tempfile::tempdir().unwrap();
        let [out, err] = ["out", "err"].map(|name| outputs.path().join(name));
        command.current_dir(self.dir()).stdin(Stdio::null()).env("LC_ALL", "C");
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let source = Arc::new(Supervise::new(command));
        source.start(ops).unwrap();
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
        Outcome {
            status,
            out: text(&out),
            err: text(&err),
            asked: asked.into_inner().unwrap(),
            counters: source.counters().unwrap(),
        }
    }
}

pub(crate) fn allow_all(_: &dyn Waiting) -> Option<Status> {
    None
}

/// Denies the files with this name.
pub(crate) fn deny(name: &'static str) -> impl Fn(&dyn Waiting) -> Option<Status> + Send + Sync {
    move |held| held.operation().path.ends_with(name).then_some(Status::ACCESS_DENIED)
}

/// Whether a process exists and is not a zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    !stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
}
