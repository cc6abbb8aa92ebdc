//! The rows of the port's edge cases, in C.

use fltmgr::namespace::Namespace;

use super::driven::Driven;
use super::install::{command, compile, has, run};

/// The programs' sources.
const SOURCES: &[&str] = &[
    "test.c",
    "drive.c",
    "rows_connect.c",
    "rows_message.c",
    "rows_request.c",
    "handles.c",
    "waits.c",
    "completion.c",
    "inherit.c",
];

/// Runs every test of the rows, compiled so, under the programs that come before it.
fn rows(name: &str, compiler: &str, options: &[&str], under: &[&str]) {
    if !has(compiler) || !under.iter().take(1).all(|tool| has(tool)) {
        return;
    }
    let program = compile(name, compiler, options, SOURCES);
    let folder = tempfile::tempdir().unwrap();
    let namespace = Namespace::at(folder.path());
    let driven = Driven::new(&namespace);
    let port = driven.serve();
    let mut words = under.iter().map(std::ffi::OsStr::new).chain([program.as_os_str()]);
    let mut command = command(words.next().unwrap());
    println!("{}", run(command.args(words), folder.path()));
    port.close();
}

#[test]
fn every_row_holds_for_a_program_in_c() {
    rows("rows-gcc", "gcc", &[], &[]);
}
