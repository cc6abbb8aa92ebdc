//! The test program again, as another process that plays a role.
//!
//! A test binary that uses it has a test named `other_process`, which does nothing unless [`role`] says what to play.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::{number_from, until};

const ROLE: &str = "FLTMGR_TEST_ROLE";
const DIR: &str = "FLTMGR_TEST_DIR";

/// This program again. Dropping it kills the process.
#[derive(Debug)]
pub struct Again {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// What this process is to play, and the folder of the test, when it was started by [`Again::start`].
#[must_use]
pub fn role() -> Option<(String, PathBuf)> {
    Some((std::env::var(ROLE).ok()?, std::env::var_os(DIR)?.into()))
}

/// Says a word to the process that started this one.
pub fn say(word: &str) {
    let mut out = std::io::stdout().lock();
    // on a line of its own, whatever the harness has begun to write
    writeln!(out, "\nSAYS {word}").and_then(|()| out.flush()).expect("the other process listens");
}

/// Waits for the next order; `None` when the other process gives no more.
#[must_use]
pub fn order() -> Option<String> {
    let mut line = String::new();
    let len = std::io::stdin().read_line(&mut line).expect("stdin is a pipe");
    (len != 0).then(|| line.trim_end().to_owned())
}

/// Ends the test program when a test hangs: a deadline for everything that has none of its own. On a machine that is many
/// times slower, an emulated one for example, `FLTMGR_SLOW` says how many times longer it is.
pub fn watchdog(patience: Duration) {
    let patience = patience * u32::try_from(number_from("FLTMGR_SLOW", 1)).expect("a small number");
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        std::thread::spawn(move || {
            let end = std::time::Instant::now() + patience;
            while let Some(left) = end.checked_duration_since(std::time::Instant::now()) {
                std::thread::park_timeout(left);
            }
            eprintln!("a test hangs");
            std::process::abort();
        });
    });
}

impl Again {
    /// Starts it in `role`; what it panics is seen.
    #[must_use]
    pub fn start(role: &str, dir: &Path) -> Self {
        Self::command(role, dir, Command::new(program()))
    }

    /// Starts it in `role` by `command`, which ends with [`program`].
    #[must_use]
    pub fn command(role: &str, dir: &Path, mut command: Command) -> Self {
        command.args(["--exact", "other_process", "--nocapture", "--test-threads=1"]);
        command.env(ROLE, role).env(DIR, dir).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("starting {command:?}: {e}"));
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, orders, answers }
    }

    /// The process's number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it says something that begins with `word`, and gives the rest.
    pub fn says(&mut self, word: &str) -> String {
        let mut heard = String::new();
        loop {
            let start = heard.len();
            let len = self.answers.read_line(&mut heard).expect("a pipe of text");
            assert_ne!(len, 0, "it ended without saying {word:?}; it said: {heard}");
            if let Some((_, said)) = heard[start..].trim_end().split_once("SAYS ")
                && let Some(rest) = said.strip_prefix(word)
            {
                return rest.trim_start().to_owned();
            }
        }
    }

    /// Gives it an order.
    pub fn tell(&mut self, order: &str) {
        let pipe = self.orders.as_mut().expect("orders are open");
        writeln!(pipe, "{order}").and_then(|()| pipe.flush()).expect("it reads its orders");
    }

    /// Gives it no more orders.
    pub fn hang_up(&mut self) {
        self.orders = None;
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("one's own child");
    }

    /// Kills it. It is reaped by [`Again::end`] or when this is dropped.
    pub fn kill(&mut self) {
        self.child.kill().expect("one's own child");
    }

    /// Stops it, and waits until it has stopped: the signal alone is only sent.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        until("a stopped process", || (self.state()? == 'T').then_some(()));
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// The letter of its state in /proc; `None` when it has been reaped.
    #[must_use]
    pub fn state(&self) -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    }

    /// Waits for its end.
    pub fn end(&mut self) -> ExitStatus {
        until("the end of a process", || self.child.try_wait().expect("one's own child"))
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This test program.
#[must_use]
pub fn program() -> PathBuf {
    std::env::current_exe().expect("the path of the test")
}
