//! One body of a test over two pairings: filter and application in one process, then in two.
//!
//! For the second the test program is started again, told to run the same test; there [`both`] runs the application's
//! closure only. The two sides tell each other how far they are over a line of text.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use fltport::namespace::Namespace;
use fltport::{ConnectOptions, Connection, Error, Status};
use rustix::process::{Signal, getpid, kill_process};

use crate::again::{program, role, run_test, runs, test_of};
use crate::{Host, LONG, PORT, Role};

/// What the two sides of a test say to each other.
#[derive(Debug)]
pub struct Line {
    say: Mutex<UnixStream>,
    hear: Mutex<BufReader<UnixStream>>,
}

impl Line {
    fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(LONG)).unwrap();
        Self { say: Mutex::new(stream.try_clone().unwrap()), hear: Mutex::new(BufReader::new(stream)) }
    }

    /// Tells the other side.
    pub fn say(&self, word: &str) {
        writeln!(self.say.lock().unwrap(), "{word}").expect("the other side is gone");
    }

    /// Waits until the other side says exactly this.
    pub fn hear(&self, word: &str) {
        assert_eq!(self.heard(), word);
    }

    /// Waits for what the other side says.
    pub fn heard(&self) -> String {
        let mut line = String::new();
        self.hear.lock().unwrap().read_line(&mut line).expect("the other side says nothing");
        assert!(line.ends_with('\n'), "the other side is gone");
        line.trim_end().to_owned()
    }
}

/// The application's side of a test.
#[derive(Debug)]
pub struct App {
    dir: PathBuf,
    /// To the filter's side.
    pub line: Line,
    /// In a process of its own.
    apart: bool,
}

impl App {
    /// The folder of the test.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The namespace of the filter's port.
    pub fn namespace(&self) -> Namespace {
        Namespace::at(self.dir.join("namespace"))
    }

    /// The options of a connection there.
    pub fn options(&self) -> ConnectOptions {
        Connection::options().namespace(self.namespace())
    }

    /// A connection to [`PORT`].
    pub fn connect(&self) -> Connection {
        self.connect_with(b"").unwrap()
    }

    /// A connection to [`PORT`] with this context.
    ///
    /// # Errors
    /// As [`Connection::connect`].
    pub fn connect_with(&self, context: &[u8]) -> Result<Connection, Error> {
        self.connect_to(PORT, context)
    }

    /// A connection to `name`.
    ///
    /// # Errors
    /// As [`Connection::connect`].
    pub fn connect_to(&self, name: &str, context: &[u8]) -> Result<Connection, Error> {
        self.options().connect(name, context)
    }

    /// The status with which a connect to `name` fails.
    pub fn refusal(&self, name: &str) -> Status {
        self.connect_to(name, b"").map(drop).unwrap_err().status()
    }

    /// Ends the application without closing anything: a process of its own is killed. In the filter's process there is
    /// none to kill, so there the connection is disconnected under the threads that use it.
    pub fn crash(&self, port: &Connection) {
        if self.apart {
            std::fs::write(self.dir.join(CRASH), "").unwrap();
            kill_process(getpid(), Signal::KILL).unwrap();
        }
        port.disconnect();
    }

    /// Tells the filter's side.
    pub fn say(&self, word: &str) {
        self.line.say(word);
    }

    /// Waits until the filter's side says exactly this.
    pub fn hear(&self, word: &str) {
        self.line.hear(word);
    }
}

const TALK: &str = "talk";
/// The file that says that the application has killed itself.
const CRASH: &str = "crash";
/// The role of the application's process.
const APPLICATION: &str = "application";

/// Runs a test twice: `application` in a thread of this process, then in a process of its own. `make` makes the host
/// of `filter` anew for each. To be called once in a test.
pub fn both<A: Fn(&App) + Sync>(make: impl Fn() -> Host, filter: impl Fn(&mut Host, &Line), application: A) {
    let test = test_of::<A>();
    if runs(test)
        && let Some(Role { name, dir, .. }) = role()
        && name == APPLICATION
    {
        let line = Line::new(UnixStream::connect(dir.join(TALK)).unwrap());
        application(&App { dir, line, apart: true });
        return;
    }
    in_one_process(make(), &filter, &application);
    in_two_processes(make(), &filter, test);
}

fn in_one_process(mut host: Host, filter: impl Fn(&mut Host, &Line), application: impl Fn(&App) + Sync) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let app = App { dir: host.dir().to_owned(), line: Line::new(theirs), apart: false };
    std::thread::scope(|scope| {
        let application = &application;
        let application = scope.spawn(move || application(&app));
        let filtered = catch_unwind(AssertUnwindSafe(|| filter(&mut host, &Line::new(ours))));
        if filtered.is_err() {
            // whatever the application waits for, it ends
            host.unload();
        }
        let applied = application.join();
        // the application's failure is mostly the cause of the filter's
        applied.and(filtered).unwrap_or_else(|panic| resume_unwind(panic));
    });
}

fn in_two_processes(mut host: Host, filter: impl Fn(&mut Host, &Line), test: &str) {
    let talk = UnixListener::bind(host.dir().join(TALK)).unwrap();
    let mut command = run_test(Command::new(program()), test, APPLICATION, host.dir());
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // it connects before it does anything else that can fail
    let (ours, _) = talk.accept().unwrap();
    let filtered = catch_unwind(AssertUnwindSafe(|| filter(&mut host, &Line::new(ours))));
    if filtered.is_err() {
        host.unload();
    }
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    let crashed = host.dir().join(CRASH).exists() && ended.status.signal() == Some(Signal::KILL.as_raw());
    assert!(crashed || ended.status.success(), "the application's process: {}\n{said}", ended.status);
    filtered.unwrap_or_else(|panic| resume_unwind(panic));
    assert!(
        crashed || String::from_utf8_lossy(&ended.stdout).contains("1 passed"),
        "the application's process ran nothing"
    );
}

/// The HRESULT that a Windows program sees for a status.
pub fn hresult(status: Status) -> u32 {
    status.to_hresult().0
}
