//! The formatter, through C's own variable arguments.

use std::process::Command;

use crate::compiler::{self, folder};

#[test]
fn DbgPrint_and_its_family_format_as_the_kernel_does() {
    for compiler in compiler::all() {
        let program = folder().join(format!("format-{compiler:?}").replace(|c: char| !c.is_ascii_alphanumeric(), ""));
        compiler.program("format.c", &[], &program).unwrap_or_else(|said| panic!("{said}"));
        let output = Command::new(&program).output().expect("a built program runs");
        assert!(output.status.success(), "{compiler:?}: {}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "7 seven\n", "DbgPrint prints on standard error");
    }
}
