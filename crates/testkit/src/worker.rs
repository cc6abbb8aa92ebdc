//! Another process of the application, which does what it reads from a socket, line by line: the role `worker` of a test
//! program.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fltport::namespace::Namespace;
use fltport::{Connection, Message, Receiver, Status};

use crate::{Again, Host, LONG, NOBODY, PORT, Role, program, uid, until, watchdog};

/// Longer than any test has a worker.
const PATIENCE: Duration = Duration::from_secs(300);

/// Another process.
#[derive(Debug)]
pub struct Worker {
    /// `None`: it was started by another one.
    process: Option<Again>,
    /// What is said to it, and its answers.
    pub line: BufReader<UnixStream>,
}

/// A socket in `dir` to which a worker connects.
pub fn listen(dir: &Path, name: &str) -> UnixListener {
    UnixListener::bind(dir.join(name)).unwrap()
}

fn start(line: &Path, command: Command) -> Again {
    Again::command(&format!("worker {}", line.display()), Path::new("/"), command)
}

impl Worker {
    /// One in the world of `host`.
    pub fn start(host: &Host, name: &str) -> Self {
        Self::start_in(host.dir(), name)
    }

    /// One of a user without rights; only root can start it.
    pub fn start_as_nobody(host: &Host, name: &str) -> Self {
        let listener = listen(host.dir(), name);
        let line = host.dir().join(name);
        host.world().open_to_all();
        std::fs::set_permissions(&line, PermissionsExt::from_mode(0o777)).unwrap();
        let mut command = Command::new(program());
        command.uid(NOBODY).gid(NOBODY);
        let process = start(&line, command);
        Self { process: Some(process), ..Self::on(&listener) }
    }

    /// One in this folder.
    pub fn start_in(dir: &Path, name: &str) -> Self {
        let listener = listen(dir, name);
        let process = start(&dir.join(name), Command::new(program()));
        Self { process: Some(process), ..Self::on(&listener) }
    }

    /// One that another process has started.
    pub fn on(listener: &UnixListener) -> Self {
        let (line, _) = listener.accept().unwrap();
        line.set_read_timeout(Some(LONG)).unwrap();
        Self { process: None, line: BufReader::new(line) }
    }

    /// Has it do something.
    pub fn say(&mut self, words: &str) {
        writeln!(self.line.get_mut(), "{words}").unwrap();
    }

    /// Waits for its answer.
    pub fn hear(&mut self) -> String {
        let mut heard = String::new();
        self.line.read_line(&mut heard).expect("the worker says nothing");
        assert!(heard.ends_with('\n'), "the worker is gone: {heard}");
        heard.trim_end().to_owned()
    }

    /// Has it do something; what it answers.
    pub fn does(&mut self, words: &str) -> String {
        self.say(words);
        self.hear()
    }

    /// One with a handle to `port`.
    pub fn with_handle(host: &Host, name: &str, port: &Connection) -> Self {
        Self::with_handle_in(host.dir(), name, port)
    }

    /// One with a handle to `port`, where the application may be in a process of its own.
    pub fn with_handle_in(dir: &Path, name: &str, port: &Connection) -> Self {
        let mut worker = Self::start_in(dir, name);
        worker.say("take");
        port.give(worker.line.get_ref()).unwrap();
        assert_eq!(worker.hear(), "ok");
        worker
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Again {
        self.process.as_mut().expect("started here")
    }

    /// Kills it; returns when it has ended.
    pub fn kill(&mut self) {
        self.process().kill();
        self.process().end();
    }
}

/// What the other process does: what it reads, until its socket is closed.
pub fn work(role: &Role) {
    let _watchdog = watchdog(PATIENCE);
    let line = UnixStream::connect(&role.words).unwrap();
    // byte by byte: a handle may come behind a line
    let mut hand = Hand { line, port: None, messages: Vec::new(), posted: None, child: None };
    while let Some(words) = hand.hear() {
        let answer = hand.does(&words).unwrap_or_else(|status| format!("error {status:?}"));
        writeln!(hand.line, "{answer}").unwrap();
    }
}

/// What a worker has.
struct Hand {
    line: UnixStream,
    port: Option<Connection>,
    messages: Vec<Message>,
    posted: Option<Receiver>,
    child: Option<Again>,
}

impl Hand {
    fn hear(&mut self) -> Option<String> {
        let mut words = Vec::new();
        loop {
            let mut byte = [0];
            match std::io::Read::read(&mut self.line, &mut byte) {
                Ok(1) if byte[0] == b'\n' => return Some(String::from_utf8(words).unwrap()),
                Ok(1) => words.push(byte[0]),
                _ => return None,
            }
        }
    }

    fn port(&self) -> &Connection {
        self.port.as_ref().expect("connected")
    }

    fn does(&mut self, words: &str) -> Result<String, Status> {
        let (what, with) = words.split_once(' ').unwrap_or((words, ""));
        let ok = || "ok".to_owned();
        Ok(match what {
            "take" => {
                self.port = Some(Connection::take(&self.line).map_err(|error| error.status())?);
                ok()
            }
            "inherited" => {
                // SAFETY: the process that started this one has opened it for us, and says so once; nothing else here
                // has used the number.
                let handle = unsafe { OwnedFd::from_raw_fd(with.parse().unwrap()) };
                self.port = Some(Connection::from_handle(handle).map_err(|error| error.status())?);
                self.port().inheritable().map_or_else(|| "no".into(), |number| number.to_string())
            }
            "connect" => {
                let options = Connection::options().namespace(Namespace::at(with)).inheritable(true);
                self.port = Some(options.connect(PORT, b"").map_err(|error| error.status())?);
                self.port().inheritable().unwrap().to_string()
            }
            "start" => {
                self.child = Some(start(Path::new(with), Command::new(program())));
                ok()
            }
            "receive" => {
                let message = self.port().recv().map_err(|error| error.status())?;
                let file = if message.file().is_some() { " with a file" } else { "" };
                let told = format!("{} {}{file}", message.id(), String::from_utf8_lossy(message.body()));
                self.messages.push(message);
                told
            }
            "keep" => {
                // what was received is left unanswered, for others
                self.messages.drain(..).map(Message::detach).for_each(drop);
                ok()
            }
            "reply" => {
                let (id, payload) = with.split_once(' ').unwrap();
                let replied = self.port().reply(id.parse().unwrap(), Status::SUCCESS, payload.as_bytes());
                replied.map(|()| ok()).map_err(|error| error.status())?
            }
            "post" => {
                let depth = with.parse().unwrap();
                self.posted = Some(self.port().receiver(depth).map_err(|error| error.status())?);
                ok()
            }
            "send" => {
                let mut output = [0; 64];
                let len = self.port().send(with.as_bytes(), &mut output).map_err(|error| error.status())?;
                String::from_utf8_lossy(&output[..len]).into_owned()
            }
            "send-for" => {
                let mut output = vec![0; with.parse().unwrap()];
                self.port().send(b"?", &mut output).map_err(|error| error.status())?.to_string()
            }
            "serve" => {
                writeln!(self.line, "ok").unwrap();
                serve(self.port(), &AtomicBool::new(false));
                ok()
            }
            "cancel" => self.port().cancel_receives().to_string(),
            "connected" => self.port().is_connected().to_string(),
            "close" => {
                // each of these keeps the connection
                self.posted = None;
                self.messages.clear();
                self.port.take().unwrap().close();
                ok()
            }
            "pid" => std::process::id().to_string(),
            "open" => std::fs::read_to_string(with).unwrap_or_else(|error| format!("{:?}", error.kind())),
            "descriptors" => std::fs::read_dir("/proc/self/fd").unwrap().count().to_string(),
            other => panic!("{other}?"),
        })
    }
}

/// Answers questions by sending them back.
pub fn serve(port: &Connection, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match port.recv_timeout(Duration::from_millis(10)) {
            Ok(Some(message)) => {
                let body = message.body().to_vec();
                // the filter may have given up
                let _ = message.reply(Status::SUCCESS, &body);
            }
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

/// Waits until the host has seen that handles are gone.
#[track_caller]
pub fn until_handles_are(host: &Host, handles: u64) {
    until(|| host.port().usage(uid()).handles == handles);
}
