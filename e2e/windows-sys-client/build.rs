//! Links with what pkg-config says of fltlib. On Windows windows-sys does it by itself.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=PKG_CONFIG_PATH");
    if std::env::var_os("CARGO_CFG_WINDOWS").is_some() {
        return;
    }
    let output = Command::new("pkg-config").args(["--libs", "fltlib"]).output().expect("pkg-config runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for argument in String::from_utf8(output.stdout).expect("arguments").split_ascii_whitespace() {
        println!("cargo::rustc-link-arg={argument}");
    }
}
