//! The Python package, built by maturin into an environment of its own. Skips loudly where there is no Python, or nothing to
//! build it with.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};

use fltmgr::{Client, OutgoingMessage, Response, Timeout};

use crate::c::install::{root, succeeded};
use crate::c::scanner::Scanner;

/// The interpreter of an environment in which the package is installed.
fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let python = PYTHON.get_or_init(|| {
        let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("venv");
        let python = environment.join("bin/python");
        let succeeds = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        let has_maturin = || succeeds(Command::new(environment.join("bin/maturin")).arg("--version"));
        let there = has_maturin()
            || succeeds(Command::new("python3").args(["-m", "venv"]).arg(&environment))
                && succeeds(Command::new(&python).args(["-m", "pip", "install", "--quiet", "maturin"]));
        if !there {
            testkit::skip::machine("there is no python3 with venv, or no maturin to be had");
            return None;
        }
        let mut maturin = Command::new(environment.join("bin/maturin"));
        maturin.args(["develop", "--quiet", "--locked"]).current_dir(root().join("python"));
        maturin.env("VIRTUAL_ENV", &environment);
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
        succeeded(&maturin.env("CARGO_TARGET_DIR", target).env_remove("CARGO").output().unwrap());
        Some(python)
    });
    python.as_deref()
}

fn run(python: &Path, script: &str, namespace: &Path) -> String {
    let output = Command::new(python).args(["-c", script]).env("FLTMGR_NAMESPACE", namespace).output().unwrap();
    succeeded(&output);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_scanner_in_python_looks_into_files() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (port, clients) = Scanner::serve(folder.path(), r"\ScannerPort");
    let mut scanner = Command::new(python);
    scanner.arg(root().join("python/examples/scanner.py")).env("FLTMGR_NAMESPACE", folder.path());
    let running = scanner.stdout(Stdio::piped()).spawn().unwrap();
    let client: Client = clients.recv().unwrap();
    for (name, content) in [("safe.txt", "nothing"), ("foul.txt", "something foul")] {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let (replied, reply) = sync_channel(1);
        let message = OutgoingMessage {
            body: name.as_bytes().to_vec(),
            reply_len: 1,
            file: Some(Arc::new(File::open(path).unwrap().into())),
            timeout: Timeout::Never,
        };
        client.ask_then(message, move |answered| replied.send(answered).unwrap());
        assert_eq!(reply.recv().unwrap().unwrap().payload, [u8::from(name == "safe.txt")]);
    }
    port.unload();
    let output = running.wait_with_output().unwrap();
    succeeded(&output);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "safe safe.txt\nFOUL foul.txt\n");
}

#[test]
fn in_asyncio_messages_are_waited_for_beside_other_things() {
    const SCRIPT: &str = r#"
import asyncio, fltmgr
beats = 0
async def beat():
    global beats
    while True:
        beats += 1
        await asyncio.sleep(0)
async def main():
    heart = asyncio.create_task(beat())
    with fltmgr.connect(r"\AsyncPort", b"context") as port:
        count = 0
        async for message in port:
            assert message.body == b"question %d" % count and message.reply_capacity == 8
            message.reply(b"%d" % count)
            count += 1
    heart.cancel()
    print(count, beats > count)
asyncio.run(main())
"#;
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (port, clients) = Scanner::serve(folder.path(), r"\AsyncPort");
    std::thread::scope(|scope| {
        let said = scope.spawn(|| run(python, SCRIPT, folder.path()));
        let client: Client = clients.recv().unwrap();
        for number in 0..100 {
            let mut reply = [0; 8];
            let asked = client.ask(format!("question {number}").as_bytes(), &mut reply, Timeout::Never).unwrap();
            assert_eq!(reply[..asked.len], *number.to_string().as_bytes());
        }
        port.unload();
        assert_eq!(said.join().unwrap(), "100 True\n");
    });
}

#[test]
fn calls_and_errors_are_pythons() {
    const SCRIPT: &str = r#"
import fltmgr
try:
    fltmgr.connect("\\Nothing")
except fltmgr.Error as error:
    print(hex(error.status), "Nothing" in str(error))
with fltmgr.connect("\\Port") as port:
    print(port.name, port.recv(0), port.recv(timeout=0.01), port.send(b"hello"))
    try:
        port.send(b"hello", 2)
    except fltmgr.Error as error:
        print(error.status != 0)
try:
    port.recv()
except fltmgr.Error as error:
    print(hex(error.status))
"#;
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (_port, _clients) = Scanner::answer(folder.path(), r"\Port", |input, output| {
        let Some(room) = output.get_mut(..input.len()) else { return fltmgr::Status::BUFFER_TOO_SMALL.into() };
        room.copy_from_slice(input);
        Response::from(input.len())
    });
    let said = run(python, SCRIPT, folder.path());
    assert_eq!(said, "0xc0000034 True\n\\Port None None b'hello'\nTrue\n0xc0000037\n");
}
