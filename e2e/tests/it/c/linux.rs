//! The C face without Win32: fltmgr.h, its examples, and a program that plays both ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::headers::{exports, names_after, text};
use super::install::{flags, has, root, run, succeeded};

/// Compiles a source to a program.
fn compile(name: &str, compiler: &str, options: &[&str], source: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut command = Command::new(compiler);
    command.args(["-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]).args(options).arg(root().join(source));
    let built =
        command.arg("-o").arg(&program).args(flags("fltmgr", &["--cflags", "--libs"])).arg("-lpthread").output();
    succeeded(&built.unwrap());
    program
}

#[test]
fn the_header_is_clean_as_c_and_as_c_plus_plus() {
    let folder = tempfile::tempdir().unwrap();
    for (compiler, standard, name) in [("gcc", "c99", "a.c"), ("clang", "c11", "a.c"), ("g++", "c++17", "a.cpp")] {
        if !has(compiler) {
            continue;
        }
        let source = folder.path().join(name);
        fs::write(
            &source,
            "#include <fltmgr.h>\n#include <fltmgr.h>\nint main(void) { return FLTMGR_E_INVALID == 0; }\n",
        )
        .unwrap();
        compile("header", compiler, &[&format!("-std={standard}")], source.to_str().unwrap());
    }
}

#[test]
fn libfltmgr_exports_what_its_header_declares_and_nothing_else() {
    if !has("nm") || !has("gcc") {
        return;
    }
    let declared = names_after(&text("fltmgr.h"), "\nint ").into_iter();
    let declared = declared.chain(names_after(&text("fltmgr.h"), "\nvoid "));
    let declared = declared.chain(names_after(&text("fltmgr.h"), "\nconst char *"));
    assert_eq!(exports("libfltmgr.so.1"), declared.collect());
}

/// Plays both ends, under the programs that come before it.
fn both_ends(name: &str, options: &[&str], under: &[&str]) {
    if !has("gcc") || !under.iter().take(1).all(|tool| has(tool)) {
        return;
    }
    let program = compile(name, "gcc", options, "e2e/c/linux.c");
    let folder = tempfile::tempdir().unwrap();
    let mut words = under.iter().map(std::ffi::OsStr::new).chain([program.as_os_str()]);
    let mut command = Command::new(words.next().unwrap());
    assert!(run(command.args(words), folder.path()).ends_with("good\n"));
}

#[test]
fn both_ends_in_c_understand_each_other() {
    both_ends("linux", &[], &[]);
}

#[test]
fn both_ends_in_c_show_the_sanitizers_nothing() {
    both_ends("linux-sanitized", &["-fsanitize=address,undefined", "-fno-sanitize-recover=all"], &[]);
}

#[test]
fn both_ends_in_c_show_valgrind_nothing() {
    let leaks = ["--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"];
    let valgrind: Vec<_> = ["valgrind", "--quiet", "--error-exitcode=99"].into_iter().chain(leaks).collect();
    both_ends("linux-valgrind", &[], &valgrind);
}

#[test]
fn the_scanner_in_c_lets_only_safe_files_pass() {
    if !has("gcc") {
        return;
    }
    let application = compile("scanner_app", "gcc", &[], "examples/c/scanner_app.c");
    let filter = compile("scanner_filter", "gcc", &[], "examples/c/scanner_filter.c");
    let folder = tempfile::tempdir().unwrap();
    let paths = ["safe.txt", "foul.txt", "empty.txt"].map(|name| folder.path().join(name));
    fs::write(&paths[0], vec![b'f'; 200_000]).unwrap();
    // across the end of a piece
    fs::write(&paths[1], [&[b'.'; 65537][..], b"foul"].concat()).unwrap();
    fs::write(&paths[2], "").unwrap();
    let namespace = folder.path().join("namespace");
    fs::create_dir(&namespace).unwrap();
    let mut filter = Command::new(filter);
    let filtering = filter.args(&paths).env("FLTMGR_NAMESPACE", &namespace).stdout(Stdio::piped()).spawn().unwrap();
    // it connects as soon as there is the port, and ends with it
    let listed = testkit::until(|| {
        let mut application = Command::new(&application);
        let output = application.env("FLTMGR_NAMESPACE", &namespace).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    });
    let output = filtering.wait_with_output().unwrap();
    succeeded(&output);
    let [safe, foul, empty] = paths.map(|path| path.display().to_string());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{safe}\n{empty}\n"));
    assert_eq!(listed, format!("safe {safe}\nFOUL {foul}\nsafe {empty}\n"));
}
