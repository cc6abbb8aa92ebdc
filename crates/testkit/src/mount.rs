//! File systems of a test's own, for tests that hold what others do with files.
//!
//! It is a tmpfs in a mount namespace of its own, so that a listener that hangs holds up no other process; `timeout`
//! ends the listener and every program that opens a file there.

use std::process::Command;

use crate::{Process, World, finish, skip};

impl World {
    /// What is to run a program that watches a tmpfs, which is made for it at `fs` and filled by `files`, a line of shell:
    /// the program and its arguments are to be added. `None`, and said, where there is no right to fanotify permission
    /// events.
    #[must_use]
    pub fn watcher(&self, files: &str) -> Option<Command> {
        let doctor = finish(self.fltmc().args(["doctor", "--json"]));
        let line = doctor.out.lines().find(|line| line.contains("fanotify permission class")).expect("a check");
        if line.contains("missing") {
            skip::privileged(format_args!("fanotify permission events: {line}"));
            return None;
        }
        std::fs::create_dir(self.dir().join("fs")).expect("a folder in the world");
        let script = format!("mount -t tmpfs tmpfs fs && {files} && exec timeout -s KILL 60 \"$@\"");
        let mut command = self.command("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"]);
        Some(command)
    }

    /// A line of shell beside the files that `watcher` sees, ended after so many seconds.
    #[must_use]
    pub fn inside(&self, watcher: &Process<'_>, seconds: u32, line: &str) -> Command {
        let mut command = self.command("nsenter");
        command.arg(format!("--target={}", watcher.pid())).args(["--mount", "timeout", "-s", "KILL"]);
        // The folder is looked up in there: the one that we are in has no tmpfs on it.
        command.arg(seconds.to_string()).args(["sh", "-c", &format!("cd {} && {line}", self.dir().display())]);
        command
    }
}
