//! What `packaging/install-c` installs, once for all tests, and programs that are compiled against it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Whether there is a compiler; says so if not.
pub(crate) fn has(tool: &str) -> bool {
    let there = Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        testkit::skip::machine(format_args!("there is no {tool} here"));
    }
    there
}

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Where the libraries are installed.
pub(crate) fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c");
        let installed = Command::new(root().join("packaging/install-c")).arg("--debug").arg(&prefix).output();
        succeeded(&installed.unwrap());
        prefix
    })
}

/// Fails with what a program said, unless it succeeded.
pub(crate) fn succeeded(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr));
}

/// What pkg-config says of fltlib or fltmgr: asked for `--cflags`, `--libs`.
pub(crate) fn flags(package: &str, asked: &[&str]) -> Vec<String> {
    let output = Command::new("pkg-config")
        .args(asked)
        .arg(package)
        .env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig"))
        .output()
        .expect("pkg-config runs");
    succeeded(&output);
    String::from_utf8(output.stdout).unwrap().split_ascii_whitespace().map(str::to_owned).collect()
}

/// Compiles sources of `e2e/c` to a program.
pub(crate) fn compile(name: &str, compiler: &str, options: &[&str], sources: &[&str]) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut command = Command::new(compiler);
    command.args(["-std=c11", "-D_GNU_SOURCE", "-g", "-Wall", "-Wextra", "-Werror"]).args(options);
    command.args(sources.iter().map(|source| root().join("e2e/c").join(source)));
    succeeded(&command.arg("-o").arg(&program).args(flags("fltlib", &["--cflags", "--libs"])).output().unwrap());
    program
}

/// Runs a program in a namespace of the test's, and says what it said.
pub(crate) fn run(command: &mut Command, namespace: &Path) -> String {
    // as malloc does without the sanitizer
    command.env("ASAN_OPTIONS", "allocator_may_return_null=1");
    let output = command.env("FLTMGR_NAMESPACE", namespace).output().unwrap();
    succeeded(&output);
    String::from_utf8(output.stdout).unwrap()
}
