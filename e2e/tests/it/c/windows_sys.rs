//! A Rust program written with `windows-sys` runs against the library.

use std::path::Path;
use std::process::{Command, Stdio};

use fltmgr::{Client, Timeout};

use super::install::{has, prefix, root, succeeded};
use super::scanner::Scanner;

#[test]
fn a_program_with_windows_sys_builds_and_answers() {
    if !has("gcc") {
        return;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("windows-sys");
    let manifest = root().join("e2e/windows-sys-client/Cargo.toml");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(manifest);
    cargo.env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig")).env("CARGO_TARGET_DIR", &target);
    succeeded(&cargo.output().unwrap());

    let folder = tempfile::tempdir().unwrap();
    let (port, clients) = Scanner::serve(folder.path(), r"\ScannerPort");
    let mut program = Command::new(target.join("debug/windows-sys-client"));
    let running = program.env("FLTMGR_NAMESPACE", folder.path()).stdout(Stdio::piped()).spawn().unwrap();
    let client: Client = clients.recv().unwrap();
    for round in 0..200 {
        let content = if round % 3 == 0 { "something foul" } else { "nothing of the kind" };
        let mut safe = [2];
        client.ask(content.as_bytes(), &mut safe, Timeout::Never).unwrap();
        assert_eq!(safe, [u8::from(round % 3 != 0)]);
    }
    port.unload();
    let output = running.wait_with_output().unwrap();
    succeeded(&output);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "200 answered\n");
}
