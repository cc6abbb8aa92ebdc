//! The rows of the port's edge cases, in C.

use std::path::Path;
use std::process::Command;

use fltmgr::namespace::Namespace;

use super::driven::Driven;
use super::install::{compile, has, prefix, root, run, succeeded};

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
    "text.c",
    "memory.c",
    "machine.c",
    "find.c",
    "garbage.c",
    "storm.c",
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
    let mut command = Command::new(words.next().unwrap());
    println!("{}", run(command.args(words), folder.path()));
    port.close();
}

#[test]
fn every_row_holds_for_a_program_in_c() {
    rows("rows-gcc", "gcc", &[], &[]);
}

#[test]
fn every_row_holds_for_a_program_that_clang_optimises() {
    rows("rows-clang", "clang", &["-O2"], &[]);
}

#[test]
fn no_row_shows_the_sanitizers_anything() {
    rows("rows-sanitized", "gcc", &["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1"], &[]);
}

#[test]
fn no_row_shows_valgrind_anything() {
    let suppressions = format!("--suppressions={}", root().join("e2e/c/valgrind.supp").display());
    let leaks = ["--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"];
    let valgrind = ["valgrind", "--quiet", "--error-exitcode=99", &suppressions].into_iter().chain(leaks);
    rows("rows-valgrind", "gcc", &["-O1"], &valgrind.collect::<Vec<_>>());
}

#[test]
fn the_libraries_are_loaded_and_unloaded_a_thousand_times() {
    if !has("gcc") {
        return;
    }
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("loads");
    let mut command = Command::new("gcc");
    command.args(["-Wall", "-Wextra", "-Werror", "-g", "-o"]).arg(&program).arg(root().join("e2e/c/loads.c"));
    succeeded(&command.output().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let port = Driven::new(&Namespace::at(folder.path())).serve();
    let libraries = ["libfltlib.so.1", "libfltwin32.so.1"].map(|name| prefix().join("lib").join(name));
    assert_eq!(run(Command::new(program).args(libraries).arg("1000"), folder.path()), "good\n");
    port.close();
}
