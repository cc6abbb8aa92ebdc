//! The test program again, as another process: in a role, or to run one test alone.

use std::io::Write as _;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Process;

/// The words of [`Role`].
const ROLE: &str = "FLTMGR_TEST_ROLE";
/// The folder of the test that started this process.
const DIR: &str = "FLTMGR_TEST_DIR";
/// The test that this process was started to run.
const TEST: &str = "FLTMGR_TEST";

/// The role of a process that runs one test.
const APART: &str = "apart";

/// The test that plays the roles of a test program.
const PLAYER: &str = "other_process";

/// What a process was started for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// The first word.
    pub name: String,
    /// The words behind it.
    pub words: String,
    /// The folder of the test.
    pub dir: PathBuf,
}

/// What this process is to play; `None` in the one that was started by the harness.
#[must_use]
pub fn role() -> Option<Role> {
    let role = std::env::var(ROLE).ok()?;
    let (name, words) = role.split_once(' ').unwrap_or((&role, ""));
    Some(Role { name: name.into(), words: words.into(), dir: std::env::var_os(DIR)?.into() })
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

/// This test program.
#[must_use]
pub fn program() -> PathBuf {
    std::env::current_exe().expect("the path of the test")
}

/// The test that a closure of it is in: "file::row_001_some_words".
pub(crate) fn test_of<F>() -> &'static str {
    let path = std::any::type_name::<F>();
    let (_, path) = path.split_once("::").expect("the closure of a test");
    path.split("::{{closure}}").next().unwrap_or(path)
}

/// This program, told to run one test in a role; `program` may be another command that ends with it.
pub(crate) fn run_test(mut program: Command, test: &str, role: &str, dir: &Path) -> Command {
    program.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    program.env(TEST, test).env(ROLE, role).env(DIR, dir);
    program
}

/// A command that ends with [`program`], told to play a role.
#[must_use]
pub fn in_role(program: Command, role: &str, dir: &Path) -> Command {
    run_test(program, PLAYER, role, dir)
}

/// Whether this process was started to run `test`.
pub(crate) fn runs(test: &str) -> bool {
    std::env::var(TEST).is_ok_and(|name| name == test)
}

/// Whether this process was started by [`apart`].
pub(crate) fn is_apart() -> bool {
    std::env::var_os(ROLE).is_some_and(|role| role == APART)
}

/// Runs the body of a test in a process of its own: for what is a process's and not a test's, as its limits, its
/// descriptors, its threads. To be called once in a test, with a closure.
pub fn apart<F: FnOnce()>(body: F) {
    let test = test_of::<F>();
    if runs(test) {
        return body();
    }
    let mut command = run_test(Command::new(program()), test, APART, Path::new("/"));
    let ended = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).output();
    let ended = ended.expect("this program runs again");
    let said = String::from_utf8_lossy(&ended.stdout);
    print!("{said}");
    assert!(ended.status.success(), "{}", ended.status);
    assert!(said.contains("1 passed"), "it ran nothing");
}

/// This program again, in a role. Dropping it kills the process.
#[derive(Debug)]
pub struct Again(Process<'static>);

impl Again {
    /// Starts it in `role`: a name, and words for it. What it panics is seen.
    #[must_use]
    pub fn start(role: &str, dir: &Path) -> Self {
        Self::command(role, dir, Command::new(program()))
    }

    /// Starts it in `role` by `command`, which ends with [`program`].
    #[must_use]
    pub fn command(role: &str, dir: &Path, command: Command) -> Self {
        Self(Process::start(&mut in_role(command, role, dir)))
    }

    /// Waits until it says something that begins with `word`, and gives the rest.
    pub fn says(&mut self, word: &str) -> String {
        let line = self.0.says(&format!("SAYS {word}"));
        let (_, rest) = line.split_once(word).expect("it was looked for");
        rest.trim().to_owned()
    }

    /// Gives it an order.
    pub fn tell(&mut self, order: &str) {
        self.0.tell(&format!("{order}\n"));
    }
}

impl Deref for Again {
    type Target = Process<'static>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Again {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}
