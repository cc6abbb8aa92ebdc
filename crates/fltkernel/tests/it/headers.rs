//! include/fltkernel, compiled by every compiler that is installed.

use std::fs;
use std::process::Command;

use crate::compiler::{self, folder};

const HEADERS: &[&str] = &[
    "fltKernel.h",
    "FltKernel.h",
    "fltkernel.h",
    "Fltkernel.h",
    "ntifs.h",
    "Ntifs.h",
    "ntddk.h",
    "wdm.h",
    "ntdef.h",
    "ntstatus.h",
    "ntstrsafe.h",
    "Ntstrsafe.h",
    "ntintsafe.h",
    "wdmsec.h",
    "dontuse.h",
    "suppress.h",
    "initguid.h",
    "fltUserStructures.h",
    "ntdddisk.h",
    "wsk.h",
    "windef.h",
    "stdio.h",
    "stdlib.h",
    "wchar.h",
    "limits.h",
];

#[test]
fn each_header_stands_alone_in_c_and_in_cplusplus() {
    for compiler in compiler::all() {
        for extension in ["c", "cpp"] {
            for header in HEADERS {
                let source = folder().join(
                    format!("header-{header}-{compiler:?}.{extension}").replace([' ', '"', '{', '}', ':', ','], ""),
                );
                let prelude = if *header == "ntstatus.h" { "#include <ntdef.h>\n" } else { "" };
                fs::write(&source, format!("{prelude}#include <{header}>\n")).expect("a folder can be written");
                let mut command = compiler.command(&[source]);
                command.arg("-fsyntax-only");
                compiler.run(command).unwrap_or_else(|said| panic!("{header}: {said}"));
            }
        }
    }
}

#[test]
fn structures_have_the_layout_of_windows() {
    for compiler in compiler::all() {
        let mut command = compiler.command(&[compiler::source("layout.c")]);
        command.arg("-fsyntax-only");
        compiler.run(command).unwrap_or_else(|said| panic!("{said}"));
    }
}

#[test]
fn an_undeclared_function_is_an_error() {
    let source = folder().join("undeclared.c");
    fs::write(&source, "#include <ntifs.h>\nint f(void);\nint f(void) { return FltNoSuchFunction(); }\n")
        .expect("a folder can be written");
    for compiler in compiler::all() {
        let mut command = compiler.command(std::slice::from_ref(&source));
        command.arg("-fsyntax-only");
        assert!(compiler.run(command).is_err_and(|said| said.contains("FltNoSuchFunction")), "{compiler:?}");
    }
}

#[test]
fn structured_exceptions_run_as_on_windows() {
    for compiler in compiler::all() {
        for options in [&["-O0"][..], &["-O2"], &["-O3"], &["-O1", "-fsanitize=address"], &["-O1", "-fsanitize=thread"]]
        {
            let program =
                folder().join(format!("seh-{compiler:?}{options:?}").replace(|c: char| !c.is_ascii_alphanumeric(), ""));
            // a sanitizer's library may be missing where its compiler is there
            if let Err(said) = compiler.program("seh.c", options, &program) {
                assert!(said.contains("san") && !said.contains("seh.c:"), "{said}");
                eprintln!("SKIP packages: {compiler:?} has no library for {options:?}");
                continue;
            }
            let output = Command::new(&program).output().expect("a built program runs");
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{compiler:?} {options:?}: {}\n{said}", output.status);
        }
    }
}
