//! Public programs for Windows, built from their own sources without a change and run against filters that speak their
//! protocols. The sources are not ours: `FLTMGR_PUBLIC_CLIENTS` names a folder with checkouts of them, as doc/windows.md
//! lists them.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fltmgr::{Client, Response, Status, Timeout};

use super::install::{flags, has, succeeded};
use super::scanner::Scanner;

/// A checkout, if there is one.
fn checkout(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("FLTMGR_PUBLIC_CLIENTS").map(|folder| PathBuf::from(folder).join(name));
    let found = folder.filter(|folder| folder.is_dir());
    if found.is_none() {
        testkit::skip::machine(format_args!("FLTMGR_PUBLIC_CLIENTS names no folder with {name}"));
    }
    found.filter(|_| has("gcc") && has("g++"))
}

/// Builds a program of a folder's sources, by the one line that doc/c.md gives.
fn build(name: &str, folder: &Path, includes: &[PathBuf]) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let sources: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "c" || extension == "cpp")).collect();
    let in_cpp = sources.iter().any(|path| path.extension() == Some(OsStr::new("cpp")));
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut command = Command::new(if in_cpp { "g++" } else { "gcc" });
    command.arg("-w").args(includes.iter().map(|include| format!("-I{}", include.display()))).args(sources);
    succeeded(&command.arg("-o").arg(&program).args(flags("fltlib", &["--cflags", "--libs"])).output().unwrap());
    program
}

/// Starts a program in a namespace; it gets `input`, and then nothing.
fn start(program: &Path, arguments: &[&str], namespace: &Path, input: &str) -> Child {
    let mut command = Command::new("stdbuf");
    command.arg("-oL").arg(program).args(arguments).env("FLTMGR_NAMESPACE", namespace);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child
}

fn said(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// SCANNER_NOTIFICATION.
fn notification(content: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 8 + 1024];
    message[..4].copy_from_slice(&1024_u32.to_le_bytes());
    message[8..8 + content.len()].copy_from_slice(content);
    message
}

#[test]
fn the_scanner_of_microsoft_scans_by_a_completion_port() {
    let Some(samples) = checkout("Windows-driver-samples") else { return };
    let scanner = samples.join("filesys/miniFilter/scanner");
    let program = build("public-scanner", &scanner.join("user"), &[scanner.join("inc")]);
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&[][..], &["3", "4"]] {
        let (port, clients) = Scanner::serve(folder.path(), r"\ScannerPort");
        let running = start(&program, arguments, folder.path(), "");
        let client: Client = clients.recv().unwrap();
        let ask = |round: usize| {
            let content: &[u8] = if round.is_multiple_of(3) { b"something foul" } else { b"something else" };
            let mut safe = [2];
            let reply = client.ask(&notification(content), &mut safe, Timeout::Never).unwrap();
            assert_eq!((reply.len, safe), (1, [u8::from(!round.is_multiple_of(3))]));
        };
        std::thread::scope(|scope| {
            for first in 0..4 {
                scope.spawn(move || (first..first + 100).for_each(ask));
            }
        });
        port.unload();
        let said = said(running);
        assert!(said.contains("Port is disconnected, probably due to scanner filter unloading"), "{said}");
        assert_eq!(said.matches("Replied message").count(), 400, "{said}");
    }
}

#[test]
fn the_spy_of_microsoft_polls_for_records() {
    let Some(samples) = checkout("Windows-driver-samples") else { return };
    let spy = samples.join("filesys/miniFilter/minispy");
    let program = build("public-minispy", &spy.join("user"), &[spy.join("inc")]);
    let folder = tempfile::tempdir().unwrap();
    let (asked, ask) = std::sync::mpsc::sync_channel(16);
    let told = std::sync::Mutex::new((0_u32, asked));
    let (port, _clients) = Scanner::answer(folder.path(), r"\MiniSpyPort", move |input, output| {
        let mut told = told.lock().unwrap();
        match u32::from_le_bytes(input[..4].try_into().unwrap()) {
            // GetMiniSpyLog: three records, then no more
            0 if told.0 < 3 => {
                told.0 += 1;
                let name: Vec<u8> =
                    format!("\\file{}.txt\0", told.0).encode_utf16().flat_map(u16::to_le_bytes).collect();
                let len = (152 + name.len()).next_multiple_of(8);
                output[..len].fill(0);
                output[..4].copy_from_slice(&(len as u32).to_le_bytes());
                output[4..8].copy_from_slice(&told.0.to_le_bytes());
                output[152..152 + name.len()].copy_from_slice(&name);
                Response::from(len)
            }
            0 => {
                // more than it waits for
                let _ = told.1.try_send(());
                Status::NO_MORE_ENTRIES.into()
            }
            // GetMiniSpyVersion
            _ => {
                output[..4].copy_from_slice(&[2, 0, 0, 0]);
                Response::from(4)
            }
        }
    });
    let log = folder.path().join("log.txt");
    let mut command = Command::new(&program);
    command.args(["/f", log.to_str().unwrap()]).env("FLTMGR_NAMESPACE", folder.path());
    let mut running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // it has seen all, and come again: what it had is written
    (0..3).for_each(|_| ask.recv().unwrap());
    running.stdin.take().unwrap().write_all(b"\nexit\n").unwrap();
    let said = said(running);
    let log = fs::read_to_string(log).unwrap_or_default();
    assert!((1..=3).all(|number| log.contains(&format!("\\file{number}.txt"))), "{log}\n{said}");
    assert!(said.contains("Creating logging thread"), "{said}");
    port.close();
}

/// AV_SCANNER_NOTIFICATION.
fn av_notification(message: u32, scan: u64, thread: u32) -> Vec<u8> {
    let reason = 0_u32;
    let words =
        [&message.to_le_bytes()[..], &reason.to_le_bytes(), &scan.to_le_bytes(), &thread.to_le_bytes(), &[0; 4]];
    words.concat()
}

#[test]
fn the_virus_scanner_of_microsoft_works_on_two_ports_and_says_good_bye() {
    const START_SCANNING: u32 = 0;
    const ABORT_SCANNING: u32 = 1;
    const FILTER_UNLOADING: u32 = 2;
    let Some(samples) = checkout("Windows-driver-samples") else { return };
    let avscan = samples.join("filesys/miniFilter/avscan");
    let program = build("public-avscan", &avscan.join("user"), &[avscan.join("inc")]);
    let folder = tempfile::tempdir().unwrap();
    let (commanded, commands) = std::sync::mpsc::sync_channel(16);
    // it has no section to hand over, and says so
    let (scan_port, scanners) = Scanner::answer(folder.path(), r"\MicrosoftAvSampleFilterScanPort", move |input, _| {
        commanded.try_send(u64::from_le_bytes(input[8..16].try_into().unwrap())).unwrap();
        Status::ACCESS_DENIED.into()
    });
    let (abort_port, aborters) = Scanner::serve(folder.path(), r"\MicrosoftAvSampleFilterAbortPort");
    let mut command = Command::new(&program);
    command.env("FLTMGR_NAMESPACE", folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = command.spawn().unwrap();
    let (scanner, aborter): (Client, Client) = (scanners.recv().unwrap(), aborters.recv().unwrap());
    let mut thread = [0; 4];
    for scan in 1..=20 {
        let started = av_notification(START_SCANNING, scan, 0);
        assert_eq!(scanner.ask(&started, &mut thread, Timeout::Never).unwrap().len, 4);
        assert_eq!(commands.recv().unwrap(), scan);
    }
    aborter.send(&av_notification(ABORT_SCANNING, 20, u32::from_le_bytes(thread)), Timeout::Never).unwrap();
    let unloading = av_notification(FILTER_UNLOADING, 0, 0);
    assert_eq!(aborter.ask(&unloading, &mut thread, Timeout::Never).unwrap().len, 4);
    let output = running.wait_with_output().unwrap();
    succeeded(&output);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("User Set AvMsgAbortScanning") && said.contains("The filter is unloading, exit!"), "{said}");
    scan_port.unload();
    abort_port.unload();
}

#[test]
fn a_monitor_is_told_of_paths_by_events() {
    let Some(windows) = checkout("bumi95-Windows") else { return };
    let program = build("public-monitor", &windows.join("CheckFilePath/app"), &[]);
    let folder = tempfile::tempdir().unwrap();
    let (port, clients) = Scanner::serve(folder.path(), r"\SimplefdPort");
    let running = start(&program, &[], folder.path(), "");
    let client: Client = clients.recv().unwrap();
    for number in 0..50 {
        let mut path: Vec<u8> = format!("\\folder\\file{number}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        path.resize(1024, 0);
        client.send(&path, Timeout::Never).unwrap();
    }
    port.unload();
    let said = said(running);
    assert!((0..50).all(|number| said.contains(&format!("file full name : \\folder\\file{number}\n"))), "{said}");
    assert!(said.contains("filter get message error = 0x80070006"), "{said}");
}

#[test]
fn an_application_in_c_plus_plus_gives_permissions() {
    let Some(console) = checkout("Minifilter-CSHARP-ConsoleApp") else { return };
    let program = build("public-console", &console.join("UserConsoleCPP"), &[]);
    let folder = tempfile::tempdir().unwrap();
    let (port, clients) = Scanner::serve(folder.path(), r"\ScannerPort");
    let mut running = start(&program, &[], folder.path(), "");
    let client: Client = clients.recv().unwrap();
    for _ in 0..50 {
        // it leaves the status of its reply, and the permission, as its memory happens to be
        let reply = client.ask(b"\\folder\\file\0", &mut [0; 2], Timeout::Never).unwrap();
        assert_eq!(reply.len, 2);
    }
    // it never ends by itself: it does not look at what a receive returns
    running.kill().unwrap();
    running.wait().unwrap();
    port.unload();
}
