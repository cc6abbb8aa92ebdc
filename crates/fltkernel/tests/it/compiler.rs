//! Compilers that build drivers, and what they build.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// A compiler of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compiler {
    c: &'static str,
    cxx: &'static str,
    clang: bool,
}

const ALL: &[Compiler] = &[
    Compiler { c: "gcc", cxx: "g++", clang: false },
    Compiler { c: "clang", cxx: "clang++", clang: true },
    Compiler { c: "clang-16", cxx: "clang++-16", clang: true },
    Compiler { c: "clang-19", cxx: "clang++-19", clang: true },
];

/// Those that are installed.
pub(crate) fn all() -> Vec<Compiler> {
    let installed = |compiler: &&Compiler| Command::new(compiler.c).arg("--version").output().is_ok();
    let found: Vec<Compiler> = ALL.iter().filter(installed).copied().collect();
    if !found.iter().any(|compiler| compiler.clang) {
        eprintln!("SKIP packages: clang is not installed, so drivers are only built with gcc");
    }
    found
}

/// The folder of the repository's headers.
pub(crate) fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include")
}

/// A C source of these tests.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c").join(name)
}

/// The folder with libfltkernel.so, which cargo built beside this test.
pub(crate) fn library() -> PathBuf {
    std::env::current_exe().expect("a test has a path").parent().expect("a test is in a folder").to_owned()
}

impl Compiler {
    /// A command line that compiles these sources as driver code.
    pub(crate) fn command(self, sources: &[PathBuf]) -> Command {
        let cxx = sources.iter().any(|source| source.extension().is_some_and(|extension| extension == "cpp"));
        let mut command = Command::new(if cxx { self.cxx } else { self.c });
        command.args(["-fshort-wchar", "-fms-extensions", "-fPIC", "-g", "-fno-strict-aliasing", "-Wno-multichar"]);
        command.args([
            "-Wno-unknown-pragmas",
            "-Wall",
            "-Wextra",
            "-Wno-unused-function",
            "-Wno-missing-field-initializers",
        ]);
        if cxx {
            command.args(["-std=c++17", "-nostdinc++", "-U_GNU_SOURCE", "-fno-exceptions", "-fno-rtti"]);
            command.arg(if self.clang { "-Wno-user-defined-literals" } else { "-Wno-literal-suffix" });
        } else {
            command.args(["-std=gnu17", "-Werror=implicit-function-declaration"]);
        }
        if self.clang {
            command.args(["-Wno-builtin-macro-redefined", "-Wno-gnu", "-Wno-microsoft"]);
        }
        command.arg("-I").arg(include().join("fltkernel")).args(sources);
        command
    }

    /// Runs a command line; what the compiler said if it said anything.
    pub(crate) fn run(self, mut command: Command) -> Result<(), String> {
        let output = command.output().map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() && said.is_empty() { Ok(()) } else { Err(format!("{self:?} {command:?}\n{said}")) }
    }

    /// Builds a program that is linked with the library.
    pub(crate) fn program(self, source: &str, options: &[&str], to: &Path) -> Result<(), String> {
        let mut command = self.command(&[self::source(source)]);
        command.args(options).arg("-L").arg(library()).arg("-lfltkernel").arg("-o").arg(to);
        command.arg(format!("-Wl,-rpath,{}", library().display()));
        self.run(command)
    }

    /// Builds a driver.
    pub(crate) fn driver(self, source: &str, to: &Path) -> Result<(), String> {
        let mut command = self.command(&[self::source(source)]);
        command.args(["-shared", "-Wl,-z,defs"]).arg("-L").arg(library()).arg("-lfltkernel").arg("-o").arg(to);
        self.run(command)
    }
}

/// A folder for what is built, for the whole run.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().expect("a folder can be made")).path()
}
