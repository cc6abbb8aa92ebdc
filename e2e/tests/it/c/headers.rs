//! The headers and the exported functions.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::install::{flags, has, prefix, root, run, succeeded};

/// The headers that a program for Windows may name, as they lie in the repository.
fn headers() -> Vec<String> {
    let folders = [root().join("include"), root().join("include/win32")];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut names: Vec<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".h") && !["redirect.h", "fltmgr.h"].contains(&name.as_str()))
        .collect();
    names.sort();
    names
}

/// Compiles a source without warnings, and makes nothing of it.
fn compiles(compiler: &str, options: &[&str], source: &Path) {
    let mut command = Command::new(compiler);
    command
        .args(["-fsyntax-only", "-Wall", "-Wextra", "-Werror"])
        .args(flags("fltlib", &["--cflags"]))
        .args(options)
        .arg(source);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// In both languages, with each compiler that is here, for characters of either width.
fn compiles_everywhere(folder: &Path, source: &str) {
    let (c, cpp) = (folder.join("all.c"), folder.join("all.cpp"));
    fs::write(&c, source).unwrap();
    fs::write(&cpp, source).unwrap();
    for width in ["-fshort-wchar", "-fno-short-wchar"] {
        for compiler in ["gcc", "clang", "aarch64-linux-gnu-gcc"].into_iter().filter(|compiler| has(compiler)) {
            compiles(compiler, &["-std=c11", width], &c);
            compiles(compiler, &["-std=gnu17", width], &c);
        }
        for compiler in ["g++", "clang++"].into_iter().filter(|compiler| has(compiler)) {
            compiles(compiler, &["-std=c++17", width], &cpp);
        }
    }
}

#[test]
fn all_headers_are_clean_as_c_and_as_c_plus_plus() {
    let folder = tempfile::tempdir().unwrap();
    let all: String = headers().iter().map(|name| format!("#include <{name}>\n")).collect();
    compiles_everywhere(folder.path(), &all);
}

#[test]
fn each_header_stands_alone() {
    if !has("gcc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in headers() {
        let source = folder.path().join(format!("{name}.c"));
        fs::write(&source, format!("#include <{name}>\n#include <{name}>\nint main(void) {{ return 0; }}\n")).unwrap();
        compiles("gcc", &["-std=c11"], &source);
    }
}

#[test]
fn headers_are_found_in_any_case() {
    if !has("gcc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "Windows.h",
        "WINDOWS.H",
        "windows.h",
        "FltUser.h",
        "fltUser.h",
        "FLTUSER.H",
        "fltuser.h",
        "StrSafe.h",
        "strsafe.h",
        "WinIoCtl.h",
        "Winioctl.h",
        "winioctl.h",
        "CrtDbg.h",
        "DontUse.h",
        "dontuse.h",
        "TChar.h",
        "tchar.h",
        "SpecStrings.h",
        "DriverSpecs.h",
        "Suppress.h",
        "WinError.h",
        "FltUserStructures.h",
        "Sal.h",
    ];
    let source = folder.path().join("cases.c");
    fs::write(&source, names.map(|name| format!("#include <{name}>\n")).concat()).unwrap();
    compiles("gcc", &["-std=c11"], &source);
}

/// What a library exports, by `nm`.
pub(super) fn exports(library: &str) -> BTreeSet<String> {
    let library = prefix().join("lib").join(library);
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(library).output().unwrap();
    succeeded(&output);
    let text = String::from_utf8(output.stdout).unwrap();
    let symbols = text.lines().filter_map(|line| match line.split_ascii_whitespace().collect::<Vec<_>>()[..] {
        // the versions themselves are absolute
        [_, "A", _] => None,
        [_, _, name] => Some(name.split('@').next().unwrap_or(name).to_owned()),
        _ => panic!("{line}"),
    });
    symbols.collect()
}

pub(super) fn text(header: &str) -> String {
    fs::read_to_string(root().join("include").join(header)).unwrap()
}

/// The names that `before` stands before in a text.
pub(super) fn names_after(text: &str, before: &str) -> BTreeSet<String> {
    let names = text.split(before).skip(1).map(|after| {
        let end = after.find(|character: char| !character.is_alphanumeric() && character != '_');
        after[..end.unwrap_or(after.len())].to_owned()
    });
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn libfltlib_exports_what_its_header_declares_and_nothing_else() {
    if !has("nm") || !has("gcc") {
        return;
    }
    let declared = names_after(&text("fltuser.h"), "WINAPI ");
    assert_eq!(declared.len(), 29);
    assert_eq!(exports("libfltlib.so.1"), declared);
}

#[test]
fn libfltwin32_exports_what_its_headers_declare() {
    if !has("nm") || !has("gcc") {
        return;
    }
    let exports = exports("libfltwin32.so.1");
    let declared = names_after(&text("win32/windows.h"), "WINAPI ");
    let declared: BTreeSet<_> = declared.into_iter().filter(|name| name != "PTHREAD_START_ROUTINE").collect();
    let missing: Vec<_> = declared.difference(&exports).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let headers: String =
        headers().iter().filter_map(|name| fs::read_to_string(root().join("include/win32").join(name)).ok()).collect();
    let redirected = |name: &str| {
        name.strip_prefix("fltwin32_").is_some_and(|name| {
            headers.contains(&format!("FLTWIN32_SYMBOL({name})"))
                || headers.contains(&format!("FLTWIN32_NOTHROW_SYMBOL({name})"))
        })
    };
    let of_drivers = |name: &str| {
        ["fltwin32_file_", "fltwin32_handle_", "fltwin32_request_", "fltwin32_section_"]
            .iter()
            .any(|of| name.starts_with(of))
    };
    let undeclared: Vec<_> = exports
        .iter()
        .filter(|name| !headers.contains(&format!("{name}(")) && !redirected(name) && !of_drivers(name))
        .collect();
    assert!(undeclared.is_empty(), "{undeclared:?}");
}

#[test]
fn a_program_in_c_plus_plus_runs() {
    for compiler in ["g++", "clang++"].into_iter().filter(|compiler| has(compiler)) {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cplusplus-{compiler}"));
        let mut command = Command::new(compiler);
        command.args(["-std=c++17", "-Wall", "-Wextra", "-Werror"]).arg(root().join("e2e/c/cplusplus.cpp"));
        succeeded(&command.arg("-o").arg(&program).args(flags("fltlib", &["--cflags", "--libs"])).output().unwrap());
        assert_eq!(run(&mut Command::new(program), Path::new("/nowhere")), "good\n");
    }
}
