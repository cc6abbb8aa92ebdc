//! Another process of the application: this test program, told to run its test `worker`, which does what it reads from
//! a socket, line by line.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fltport::namespace::Namespace;
use fltport::{Connection, Message, Receiver, Status};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::{LONG, PORT, World, watchdog};

const LINE: &str = "FLTMGR_TEST_LINE";

/// Another process.
pub(crate) struct Worker {
    /// `None`: it was started by another one.
    child: Option<Child>,
    pub(crate) line: BufReader<UnixStream>,
}

pub(crate) fn listen(dir: &Path, name: &str) -> UnixListener {
    UnixListener::bind(dir.join(name)).unwrap()
}

fn start(line: &Path) -> Child {
    command(line).spawn().unwrap()
}

fn command(line: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "worker", "--ignored", "--nocapture"]).env(LINE, line);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

impl Worker {
    pub(crate) fn start(world: &World, name: &str) -> Self {
        Self::start_in(world.dir.path(), name)
    }

    /// One of a user without rights; only root can start it.
    pub(crate) fn start_as_nobody(world: &World, name: &str) -> Self {
        watchdog();
        let (dir, line) = (world.dir.path(), world.dir.path().join(name));
        let listener = listen(dir, name);
        std::fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&line, PermissionsExt::from_mode(0o777)).unwrap();
        let child = command(&line).uid(65_534).gid(65_534).spawn().unwrap();
        let mut worker = Self::on(&listener);
        worker.child = Some(child);
        worker
    }

    fn start_in(dir: &Path, name: &str) -> Self {
        watchdog();
        let listener = listen(dir, name);
        let child = start(&dir.join(name));
        let mut worker = Self::on(&listener);
        worker.child = Some(child);
        worker
    }

    /// One that another process has started.
    pub(crate) fn on(listener: &UnixListener) -> Self {
        let (line, _) = listener.accept().unwrap();
        line.set_read_timeout(Some(LONG)).unwrap();
        Self { child: None, line: BufReader::new(line) }
    }

    pub(crate) fn say(&mut self, words: &str) {
        writeln!(self.line.get_mut(), "{words}").unwrap();
    }

    pub(crate) fn hear(&mut self) -> String {
        let mut heard = String::new();
        self.line.read_line(&mut heard).expect("the worker says nothing");
        assert!(heard.ends_with('\n'), "the worker is gone: {heard}");
        heard.trim_end().to_owned()
    }

    /// Has it do something; what it answers.
    pub(crate) fn does(&mut self, words: &str) -> String {
        self.say(words);
        self.hear()
    }

    /// One with a handle to `port`.
    pub(crate) fn with_handle(world: &World, name: &str, port: &Connection) -> Self {
        Self::with_handle_in(world.dir.path(), name, port)
    }

    /// One with a handle to `port`, where the application may be in a process of its own.
    pub(crate) fn with_handle_in(dir: &Path, name: &str, port: &Connection) -> Self {
        let mut worker = Self::start_in(dir, name);
        worker.say("take");
        port.give(worker.line.get_ref()).unwrap();
        assert_eq!(worker.hear(), "ok");
        worker
    }

    /// Stops it; returns when it is stopped.
    pub(crate) fn stop(&self) {
        let pid = self.pid();
        kill_process(pid, Signal::STOP).unwrap();
        waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Its number.
    pub(crate) fn number(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().unwrap())
    }

    pub(crate) fn kill(&mut self) {
        let child = self.child.as_mut().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What the other process does: what it reads, until nobody says anything more.
pub(crate) fn work() {
    let Some(line) = std::env::var_os(LINE) else { panic!("only the other tests start this") };
    watchdog();
    let line = UnixStream::connect(PathBuf::from(line)).unwrap();
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
    child: Option<Child>,
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
                self.child = Some(start(Path::new(with)));
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
pub(crate) fn serve(port: &Connection, stop: &AtomicBool) {
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
pub(crate) fn until_handles_are(world: &World, handles: u64) {
    let deadline = Instant::now() + LONG;
    let uid = rustix::process::getuid().as_raw();
    let port = world.port.as_ref().unwrap();
    while port.usage(uid).handles != handles {
        assert!(Instant::now() < deadline, "{:?}", port.usage(uid));
        std::thread::park_timeout(Duration::from_micros(100));
    }
}
