//! What programs are built and packaged with beside pkg-config: CMake, Meson, a Debian package, the man pages.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::install::{has, prefix, root, succeeded};

const PROGRAM: &str = r#"
#include <windows.h>
#include <fltuser.h>
#include <stdio.h>
int main(void) {
    HANDLE port;
    HRESULT result = FilterConnectCommunicationPort(L"\\No such port", 0, NULL, 0, NULL, &port);
    printf("0x%08X\n", result);
    return 0;
}
"#;

/// A folder with the program, and what doc/c.md says in that language.
fn project(language: &str, file: &str) -> tempfile::TempDir {
    let document = fs::read_to_string(root().join("doc/c.md")).unwrap();
    let begin = format!("```{language}\n");
    let snippet = document.split(&begin).nth(1).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(file), snippet).unwrap();
    fs::write(folder.path().join("prog.c"), PROGRAM).unwrap();
    folder
}

fn runs(tool: &str, arguments: &[&str], folder: &Path) -> String {
    let mut command = Command::new(tool);
    command.args(arguments).current_dir(folder).env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig"));
    let output = command.env("FLTMGR_NAMESPACE", folder).output().unwrap();
    succeeded(&output);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_snippet_for_cmake_builds_a_program() {
    if !has("cmake") || !has("gcc") {
        return;
    }
    let folder = project("cmake", "CMakeLists.txt");
    runs("cmake", &["-B", "build"], folder.path());
    runs("cmake", &["--build", "build"], folder.path());
    assert_eq!(runs("build/prog", &[], folder.path()), "0x80070002\n");
}

#[test]
fn the_snippet_for_meson_builds_a_program() {
    if !has("meson") || !has("ninja") || !has("gcc") {
        return;
    }
    let folder = project("meson", "meson.build");
    runs("meson", &["setup", "build"], folder.path());
    runs("ninja", &["-C", "build"], folder.path());
    assert_eq!(runs("build/prog", &[], folder.path()), "0x80070002\n");
}

#[test]
fn a_debian_package_has_the_libraries_the_headers_and_the_man_pages() {
    if !has("dpkg-deb") || !has("gcc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new(root().join("packaging/deb")).arg("--debug").arg(folder.path()).output().unwrap();
    succeeded(&made);
    let package = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let listed = runs("dpkg-deb", &["--contents", package.to_str().unwrap()], folder.path());
    let needed = [
        "./usr/lib/libfltlib.so.1",
        "./usr/lib/libfltwin32.so.1",
        "./usr/lib/libfltmgr.so.1",
        "./usr/lib/pkgconfig/fltlib.pc",
        "./usr/include/fltmgr.h",
        "./usr/include/fltmgr/win32/windows.h",
        "./usr/share/man/man3/FilterGetMessage.3.gz",
    ];
    let missing: Vec<_> = needed.into_iter().filter(|path| !listed.lines().any(|line| line.ends_with(path))).collect();
    assert!(missing.is_empty(), "{missing:?} {listed}");
}

#[test]
fn the_man_pages_are_clean() {
    let pages: Vec<_> = fs::read_dir(root().join("packaging/man")).unwrap().map(|page| page.unwrap().path()).collect();
    assert_eq!(pages.len(), 4);
    if Command::new("mandoc").arg("-l").arg("/dev/null").output().is_err() {
        return testkit::skip::machine("there is no mandoc here");
    }
    for page in pages {
        let output = Command::new("mandoc").args(["-Tlint", "-Wwarning"]).arg(&page).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
