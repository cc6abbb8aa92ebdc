//! `fltmc cc` and `fltmc load`: a driver in C, built and loaded.

use std::path::PathBuf;
use std::process::Command;

use testkit::{Ended, World, finish};

use crate::{TOOL, world};

/// The tool with the library and the headers of this build.
fn tool() -> Command {
    let test = std::env::current_exe().unwrap();
    let mut command = Command::new(TOOL);
    command.env("FLTKERNEL_LIBRARY", test.with_file_name("libfltkernel.so"));
    command.env("FLTKERNEL_INCLUDE", concat!(env!("CARGO_MANIFEST_DIR"), "/../../include/fltkernel"));
    command
}

/// A driver that refuses names with "secret" in them. Its header and its numbers are written as Windows lets people write.
const DRIVER: &str = r#"
#include <FLTKERNEL.H>
#include "..\Inc\Shared.h"

PFLT_FILTER Filter;

FLT_PREOP_CALLBACK_STATUS PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    PFLT_FILE_NAME_INFORMATION name = NULL;
    FLT_PREOP_CALLBACK_STATUS status = FLT_PREOP_SUCCESS_NO_CALLBACK;
    try {
        if (!NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &name))) leave;
        if (wcsstr(name->Name.Buffer, L"secret") == NULL) LEAVING;
        Data->IoStatus.Status = STATUS_ACCESS_DENIED;
        status = FLT_PREOP_COMPLETE;
    } finally {
        if (name != NULL) FltReleaseFileNameInformation(name);
    }
    return LIMIT == 4294967296 ? status : FLT_PREOP_SUCCESS_NO_CALLBACK;
}

NTSTATUS Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

const FLT_OPERATION_REGISTRATION Operations[] = { { IRP_MJ_CREATE, 0, PreCreate }, { IRP_MJ_OPERATION_END } };
const FLT_REGISTRATION Registration = { sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, Operations, Unload };

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (NT_SUCCESS(status) && !NT_SUCCESS(status = FltStartFiltering(Filter))) FltUnregisterFilter(Filter);
    return status;
}
"#;

fn build(world: &World, driver: &str, options: &[&str]) -> (PathBuf, Ended) {
    world.file("inc/shared.h", b"#define LIMIT 0x100000000ui64\nextern PFLT_FILTER Filter;\n");
    let source = world.file("src/driver.c", driver.as_bytes());
    let output = world.path("driver.so");
    let ended = finish(tool().arg("cc").args(options).arg("-o").arg(&output).arg(source));
    (output, ended)
}

fn installed(compiler: &str) -> bool {
    let found = Command::new(compiler).arg("--version").output().is_ok();
    if !found {
        eprintln!("SKIP packages: {compiler} is not installed");
    }
    found
}

#[test]
fn a_driver_is_built_and_refuses_files_of_a_program() {
    for (compiler, sanitize) in [("gcc", ""), ("clang", ""), ("gcc", "address,undefined")] {
        if !installed(compiler) {
            continue;
        }
        let world = world();
        let options = ["--compiler", compiler, if sanitize.is_empty() { "" } else { "--sanitize" }, sanitize];
        let options: Vec<&str> = options.into_iter().filter(|option| !option.is_empty()).collect();
        let (driver, ended) = build(&world, &DRIVER.replace("LEAVING", "leave"), &options);
        assert_eq!(ended.code, Some(0), "{options:?} {ended:?}");
        let (open, secret) = (world.file("open.txt", b"open\n"), world.file("secret.txt", b"secret\n"));
        let ended = finish(tool().arg("load").arg(&driver).args(["--", "cat"]).arg(open).arg(secret));
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), "open\n"), "{options:?} {ended:?}");
        assert!(ended.err.contains("secret.txt: Permission denied"), "{ended:?}");
    }
}

#[test]
fn a_jump_that_would_skip_a_finally_is_refused_with_its_line() {
    let world = world();
    let (_, ended) = build(&world, &DRIVER.replace("LEAVING", "return status"), &[]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("driver.c:13: this return leaves the body of a __try"), "{ended:?}");
}

#[test]
fn what_is_no_driver_is_not_loaded() {
    let world = world();
    let none = world.file("none.so", b"");
    let ended = finish(tool().arg("load").arg(none));
    assert_eq!(ended.code, Some(21), "{ended:?}");
    assert!(ended.err.contains("cannot be loaded"), "{ended:?}");
}
