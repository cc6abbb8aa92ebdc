//! One body of a test over two pairings: filter and application in one process, then in two.
//!
//! For the second the test program is started again, told to run the same test; there [`both`] runs the application's
//! closure only. The two sides tell each other how far they are over a line of text.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use fltport::namespace::Namespace;
use fltport::{ConnectOptions, Connection, Error, Status};
use rustix::process::{Signal, getpid, kill_process};

use super::{LONG, PORT, World, watchdog};

/// What the two sides of a test say to each other.
pub(crate) struct Line {
    say: Mutex<UnixStream>,
    hear: Mutex<BufReader<UnixStream>>,
}

impl Line {
    fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(LONG)).unwrap();
        Self { say: Mutex::new(stream.try_clone().unwrap()), hear: Mutex::new(BufReader::new(stream)) }
    }

    /// Tells the other side.
    pub(crate) fn say(&self, word: &str) {
        writeln!(self.say.lock().unwrap(), "{word}").expect("the other side is gone");
    }

    /// Waits until the other side says exactly this.
    pub(crate) fn hear(&self, word: &str) {
        assert_eq!(self.heard(), word);
    }

    /// Waits for what the other side says.
    pub(crate) fn heard(&self) -> String {
        let mut line = String::new();
        self.hear.lock().unwrap().read_line(&mut line).expect("the other side says nothing");
        assert!(line.ends_with('\n'), "the other side is gone");
        line.trim_end().to_owned()
    }
}

/// The application's side of a test.
pub(crate) struct App {
    dir: PathBuf,
    /// To the filter's side.
    pub(crate) line: Line,
    /// In a process of its own.
    apart: bool,
}

impl App {
    pub(crate) fn namespace(&self) -> Namespace {
        Namespace::at(&self.dir)
    }

    pub(crate) fn options(&self) -> ConnectOptions {
        Connection::options().namespace(self.namespace())
    }

    pub(crate) fn connect(&self) -> Connection {
        self.connect_with(b"").unwrap()
    }

    pub(crate) fn connect_with(&self, context: &[u8]) -> Result<Connection, Error> {
        self.connect_to(PORT, context)
    }

    pub(crate) fn connect_to(&self, name: &str, context: &[u8]) -> Result<Connection, Error> {
        self.options().connect(name, context)
    }

    /// The status with which a connect to `name` fails.
    pub(crate) fn refusal(&self, name: &str) -> Status {
        self.connect_to(name, b"").map(drop).unwrap_err().status()
    }

    /// Ends the application without closing anything: a process of its own is killed. In the filter's process nobody
    /// can be killed, so there the connection is disconnected under those who use it.
    pub(crate) fn crash(&self, port: &Connection) {
        if self.apart {
            std::fs::write(self.dir.join(CRASH), "").unwrap();
            kill_process(getpid(), Signal::KILL).unwrap();
        }
        port.disconnect();
    }

    pub(crate) fn say(&self, word: &str) {
        self.line.say(word);
    }

    pub(crate) fn hear(&self, word: &str) {
        self.line.hear(word);
    }
}

const TEST: &str = "FLTMGR_TEST";
const DIR: &str = "FLTMGR_TEST_DIR";
const TALK: &str = "talk";
/// The file that says that the application has killed itself.
const CRASH: &str = "crash";

/// Runs a test twice: `application` in a thread of this process, then in a process of its own. `make` makes the world
/// of `filter` anew for each. To be called once in a test.
pub(crate) fn both<A: Fn(&App) + Sync>(make: impl Fn() -> World, filter: impl Fn(&mut World, &Line), application: A) {
    watchdog();
    // "file::row_001_some_words::{{closure}}"
    let test = std::any::type_name::<A>();
    let test = test.split("::").nth(1).expect("the closure of a test");
    if let Ok(wanted) = std::env::var(TEST) {
        assert_eq!(wanted, test);
        let dir = PathBuf::from(std::env::var_os(DIR).expect("set by the other process"));
        let line = Line::new(UnixStream::connect(dir.join(TALK)).unwrap());
        application(&App { dir, line, apart: true });
        return;
    }
    in_one_process(make(), &filter, &application);
    in_two_processes(make(), &filter, test);
}

fn in_one_process(mut world: World, filter: impl Fn(&mut World, &Line), application: impl Fn(&App) + Sync) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let app = App { dir: world.dir.path().to_owned(), line: Line::new(theirs), apart: false };
    std::thread::scope(|scope| {
        let application = &application;
        let application = scope.spawn(move || application(&app));
        let filtered = catch_unwind(AssertUnwindSafe(|| filter(&mut world, &Line::new(ours))));
        if filtered.is_err() {
            // whatever the application waits for, it ends
            world.unload();
        }
        let applied = application.join();
        // the application's failure is mostly the cause of the filter's
        applied.and(filtered).unwrap_or_else(|panic| resume_unwind(panic));
    });
}

fn in_two_processes(mut world: World, filter: impl Fn(&mut World, &Line), test: &str) {
    let talk = UnixListener::bind(world.dir.path().join(TALK)).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(TEST, test).env(DIR, world.dir.path()).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // it connects before it does anything else that can fail
    let (ours, _) = talk.accept().unwrap();
    let filtered = catch_unwind(AssertUnwindSafe(|| filter(&mut world, &Line::new(ours))));
    if filtered.is_err() {
        world.unload();
    }
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    let crashed = world.dir.path().join(CRASH).exists() && ended.status.signal() == Some(Signal::KILL.as_raw());
    assert!(crashed || ended.status.success(), "the application's process: {}\n{said}", ended.status);
    filtered.unwrap_or_else(|panic| resume_unwind(panic));
    assert!(
        crashed || String::from_utf8_lossy(&ended.stdout).contains("1 passed"),
        "the application's process ran nothing"
    );
}

/// The HRESULT that a Windows program sees for a status.
pub(crate) fn hresult(status: Status) -> u32 {
    status.to_hresult().0
}
