//! Drivers of our own, loaded by a host process.

use std::ffi::{CString, c_char, c_int};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use crate::compiler::{self, folder, library};

/// With this variable the test `host` is a host process with these arguments, one a line.
const HOST: &str = "FLTKERNEL_TEST_HOST";

/// The host process; a test that does nothing if it is run as one.
#[test]
fn host() {
    let Ok(arguments) = std::env::var(HOST) else { return };
    let library = CString::new(library().join("libfltkernel.so").as_os_str().as_bytes()).expect("a path has no NUL");
    // SAFETY: the library is ours, and its constructors do nothing.
    let handle = unsafe { libc::dlopen(library.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    assert!(!handle.is_null(), "libfltkernel.so is beside the test");
    // SAFETY: the library is loaded, the name ends with a NUL.
    let entry = unsafe { libc::dlsym(handle, c"fltkernel_host".as_ptr()) };
    // SAFETY: the library defines it so.
    let entry =
        unsafe { std::mem::transmute::<*mut libc::c_void, extern "C" fn(c_int, *const *const c_char) -> c_int>(entry) };
    let texts: Vec<CString> = arguments.lines().map(|text| CString::new(text).expect("no NUL")).collect();
    let pointers: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
    std::process::exit(entry(pointers.len() as c_int, pointers.as_ptr()))
}

/// Runs a host with these arguments.
fn load(driver: &Path, arguments: &[&str]) -> (Output, String) {
    let lines =
        [driver.to_str().expect("the path is text")].iter().chain(arguments).copied().collect::<Vec<_>>().join("\n");
    let mut command = Command::new(std::env::current_exe().expect("a test has a path"));
    command.args(["--exact", "drivers::host", "--nocapture", "--test-threads=1"]).env(HOST, lines);
    command.env("FLTMGR_NAMESPACE", folder());
    let output = command.output().expect("the test runs itself");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said)
}

fn driver(name: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let to = folder().join(format!("{name}.so"));
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if to.exists() {
        return to;
    }
    let built = compiler::all()[0].driver(&format!("{name}.c"), &to);
    built.unwrap_or_else(|said| panic!("{said}"));
    to
}

/// A script on a folder of its own.
fn script(name: &str, lines: &str) -> (PathBuf, PathBuf) {
    let place = folder().join(name);
    fs::create_dir_all(&place).expect("a folder can be made");
    let script = place.join("script");
    fs::write(&script, lines.replace('@', place.to_str().expect("the path is text"))).expect("a file can be written");
    (script, place)
}

#[test]
fn a_filter_sees_denies_and_keeps_contexts() {
    let driver = driver("filter");
    let (script, place) = script(
        "filter",
        "open A @/a.txt both create\nwrite A 0 hello\nread A 0 5\nclose A\nopen S @/secret.txt read create\nopen N @/none read\n",
    );
    let (output, said) = load(&driver, &["--script", script.to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("secret.txt → 0xC0000022 (0) by filter"), "{said}");
    assert!(said.contains("none → 0xC0000034"), "{said}");
    assert!(said.contains("a.txt: 1 reads, 1 writes"), "{said}");
    assert!(said.contains("0 findings; pool 0 of"), "{said}");
    assert!(!place.join("secret.txt").exists(), "the create was completed before the file system saw it");
}

#[test]
fn what_a_driver_leaves_behind_is_found_with_its_line() {
    let driver = driver("leaks");
    let (script, _) = script("leaks", "open A @/a.txt read create\nclose A\n");
    let (output, said) = load(&driver, &["--script", script.to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(20), "{said}");
    for rule in
        ["POOL-LEAK", "NAME-LEAK", "CTX-LEAK", "HANDLE-LEAK", "PREOP-CONTEXT", "DIRTY-MISSED", "IRQL-LEFT", "LOCK-HELD"]
    {
        assert!(said.contains(rule), "{rule} in {said}");
    }
    assert!(said.contains("leaks.c:"), "{said}");
}

#[test]
fn a_driver_that_faults_ends_its_host_with_the_line() {
    let driver = driver("faults");
    let (script, _) = script("faults", "open A @/a.txt read create\n");
    let (output, said) = load(&driver, &["--script", script.to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(70), "{said}");
    assert!(said.contains("access violation writing address 0x10 at PreCreate (faults.c:"), "{said}");
}

#[test]
fn a_driver_that_refuses_to_load_says_its_status() {
    let (output, said) = load(&driver("refuses"), &[]);
    assert_eq!(output.status.code(), Some(21), "{said}");
    assert!(said.contains("DriverEntry") && said.contains("ENTRY-LEAK"), "{said}");
}

#[test]
fn a_program_runs_under_a_driver() {
    let driver = driver("filter");
    let place = folder().join("live");
    fs::create_dir_all(&place).expect("a folder can be made");
    fs::write(place.join("open.txt"), "open\n").expect("a file can be written");
    fs::write(place.join("secret.txt"), "secret\n").expect("a file can be written");
    let shell = format!("cat {0}/open.txt; cat {0}/secret.txt", place.display());
    let (output, said) = load(&driver, &["--", "sh", "-c", &shell]);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("open\n") && !printed.contains("secret\n"), "{printed}\n{said}");
    assert!(said.contains("secret.txt: Permission denied"), "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
}
