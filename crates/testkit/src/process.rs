//! Programs of a test: run to their end under a deadline, or beside the test with their output line by line.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use crate::{LONG, World, slow, until, within};

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    /// The exit code, if it ended by itself.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// What it wrote on stdout.
    pub out: String,
    /// What it wrote on stderr.
    pub err: String,
}

/// Runs a program to its end with nothing on stdin; fails the test if it takes longer than four times [`LONG`].
pub fn finish(command: &mut Command) -> Ended {
    use std::os::unix::process::ExitStatusExt as _;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("starting {command:?}: {e}"));
    let out = drain(child.stdout.take().expect("piped"));
    let err = drain(child.stderr.take().expect("piped"));
    let Some(status) = within(LONG * 4 * slow(), || child.try_wait().expect("one's own child")) else {
        let _ = child.kill();
        let _ = child.wait();
        panic!("{command:?} did not end; it said: {} {}", out.join().unwrap(), err.join().unwrap());
    };
    let text = |thread: std::thread::JoinHandle<String>| thread.join().expect("a reader does not panic");
    Ended { code: status.code(), signal: status.signal(), out: text(out), err: text(err) }
}

/// Reads a pipe to its end beside the program, so that a full pipe never stops it.
fn drain(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A program that runs beside the test. Dropping it kills it.
#[derive(Debug)]
pub struct Process<'w> {
    child: Child,
    said: Receiver<Line>,
    /// What it has said that no test has looked for yet, in the order in which it came.
    heard: Vec<Line>,
    world: std::marker::PhantomData<&'w World>,
}

/// What was said, and where: nothing is known of the order of lines on different pipes.
#[derive(Debug)]
struct Line {
    pipe: Pipe,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pipe {
    Out,
    Err,
}

impl Process<'_> {
    pub(crate) fn spawn(_world: &World, command: &mut Command) -> Self {
        Self::start(command.stderr(Stdio::piped()))
    }

    /// Starts it; its stderr is as the command says.
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("starting {command:?}: {e}"));
        let (tell, said) = sync_channel(100_000);
        lines(Pipe::Out, child.stdout.take().expect("piped"), tell.clone());
        if let Some(err) = child.stderr.take() {
            lines(Pipe::Err, err, tell);
        }
        Self { child, said, heard: Vec::new(), world: std::marker::PhantomData }
    }

    /// The process's number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it says `text` before it ends or this time is over. See [`Process::says`] for what is dropped.
    pub fn said_within(&mut self, text: &str, patience: Duration) -> bool {
        self.find(text, patience).is_ok()
    }

    /// Waits for a line on stdout or stderr that contains `text`, and gives it. Earlier lines of the same pipe are
    /// dropped; those of the other are not, because they may have been said later.
    #[track_caller]
    pub fn says(&mut self, text: &str) -> String {
        self.find(text, LONG * slow()).unwrap_or_else(|why| {
            let heard: String = self.heard.iter().map(|line| format!("{:?}: {}\n", line.pipe, line.text)).collect();
            panic!("no line with {text:?} ({why}); heard:\n{heard}")
        })
    }

    fn find(&mut self, text: &str, patience: Duration) -> Result<String, RecvTimeoutError> {
        let end = Instant::now() + patience;
        let mut looked_at = 0;
        loop {
            while let Some(line) = self.heard.get(looked_at) {
                if line.text.contains(text) {
                    let found = self.heard.remove(looked_at);
                    let mut place = 0;
                    self.heard.retain(|line| {
                        place += 1;
                        place > looked_at || line.pipe != found.pipe
                    });
                    return Ok(found.text);
                }
                looked_at += 1;
            }
            let line = self.said.recv_timeout(end.saturating_duration_since(Instant::now()))?;
            self.heard.push(line);
        }
    }

    /// Writes to its stdin.
    pub fn tell(&mut self, text: &str) {
        let pipe = self.child.stdin.as_mut().expect("stdin is open");
        pipe.write_all(text.as_bytes()).and_then(|()| pipe.flush()).expect("the program reads its stdin");
    }

    /// Closes its stdin.
    pub fn hang_up(&mut self) {
        self.child.stdin = None;
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("one's own child");
    }

    /// Kills it. It is reaped by [`Process::end`] or when this is dropped.
    pub fn kill(&mut self) {
        self.child.kill().expect("one's own child");
    }

    /// Stops it, and waits until it has stopped: the signal alone is only sent.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        until(|| self.state() == Some('T'));
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// The letter of its state in /proc; `None` when it has been reaped.
    #[must_use]
    pub fn state(&self) -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    }

    /// Waits for its end and gives how that was: its exit code, or 128 plus the signal.
    #[track_caller]
    pub fn end(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt as _;
        let status = until(|| self.child.try_wait().expect("one's own child"));
        status.code().or_else(|| status.signal().map(|n| 128 + n)).expect("a program ends one way or the other")
    }
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The readers end with the last writer. That may be a grandchild which outlives it; the world finds that one.
    }
}

/// Tells each line of a pipe, on a thread that ends with the pipe.
fn lines(pipe: Pipe, from: impl Read + Send + 'static, tell: SyncSender<Line>) {
    std::thread::spawn(move || {
        for text in BufReader::new(from).lines().map_while(Result::ok) {
            // When the test listens no more the pipe is still emptied, so that the program never stops at a full one.
            let _ = tell.try_send(Line { pipe, text });
        }
    });
}

/// Whether this process has any child, living or dead. Reaps none, and does not wait.
pub(crate) fn has_children() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    rustix::process::waitid(WaitId::All, options).is_ok()
}
