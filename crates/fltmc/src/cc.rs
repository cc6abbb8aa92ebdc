//! `fltmc cc`: builds a driver from the C and C++ sources of a minifilter, with gcc or clang.
//!
//! The headers do most of it. What is left for here: names of headers in another case, suffixes of integers that gcc does not
//! know, and the one thing that would run wrongly without a word, a jump out of the body of a `__finally`.

mod jumps;
mod project;
mod tokens;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use tempfile::TempDir;

use crate::args::{Cc, Sanitizer};
use crate::exit::{Code, Doing as _, Failure, cause};
use crate::kernel;
use project::Project;

pub(crate) fn cc(args: &Cc) -> Result<ExitCode, Failure> {
    let (headers, library) = (kernel::headers()?, kernel::library()?);
    let project = Project::read(&args.sources, &args.include, &headers)?;
    project.refuse_jumps()?;
    let work = TempDir::new().doing(|| "making a folder for what the compiler makes".to_owned())?;
    let build = Build { args, compiler: Compiler::of(&args.compiler), headers, library, project, work };
    build.run()
}

/// gcc or clang: what differs between them.
#[derive(Clone, Debug)]
struct Compiler {
    c: String,
    cxx: String,
    is_clang: bool,
}

impl Compiler {
    fn of(name: &str) -> Self {
        let is_clang = name.contains("clang");
        let cxx = if is_clang { name.replacen("clang", "clang++", 1) } else { name.replacen("gcc", "g++", 1) };
        Self { c: name.to_owned(), cxx, is_clang }
    }

    fn name(&self, is_cxx: bool) -> &str {
        if is_cxx { &self.cxx } else { &self.c }
    }
}

struct Build<'a> {
    args: &'a Cc,
    compiler: Compiler,
    headers: PathBuf,
    library: PathBuf,
    project: Project,
    work: TempDir,
}

impl Build<'_> {
    fn run(&self) -> Result<ExitCode, Failure> {
        let folder = self.work.path();
        // clang knows the suffixes, C++ has operators for them in the headers
        let rewrite = !self.compiler.is_clang && self.project.has_suffixes();
        let mirror = rewrite.then(|| folder.join("mirror"));
        if let Some(mirror) = &mirror {
            self.project.mirror(mirror).doing(|| "copying the sources".to_owned())?;
        }
        let forwards = self.project.forward(folder, mirror.as_deref()).doing(|| "naming the headers".to_owned())?;
        let mut objects = Vec::new();
        for (number, source) in self.args.sources.iter().enumerate() {
            let object = folder.join(format!("{number}.o"));
            self.compile(source, &object, mirror.as_deref(), &forwards)?;
            objects.push(object);
        }
        self.link(&objects)?;
        Ok(ExitCode::SUCCESS)
    }

    fn compile(&self, source: &Path, object: &Path, mirror: Option<&Path>, forwards: &Path) -> Result<(), Failure> {
        let is_cxx = is_cxx(source);
        let mut command = Command::new(self.compiler.name(is_cxx));
        command.args(["-fshort-wchar", "-fms-extensions", "-fPIC", "-g", "-fno-strict-aliasing", "-w"]);
        if is_cxx {
            command.args(["-std=c++17", "-nostdinc++", "-U_GNU_SOURCE", "-fno-exceptions", "-fno-rtti"]);
            command.arg(if self.compiler.is_clang { "-Wno-writable-strings" } else { "-fpermissive" });
        } else {
            // an undeclared function would return an int, and cut its pointer
            command.args(["-std=gnu17", "-fcommon", "-Wno-incompatible-pointer-types", "-Wno-int-conversion"]);
            command.arg("-Werror=implicit-function-declaration");
        }
        if self.compiler.is_clang {
            command.args(["-Wno-incompatible-function-pointer-types", "-Wno-builtin-macro-redefined"]);
        }
        command.args(self.sanitizers());
        let mirrored = |path: &Path| Some(project::mirrored(mirror?, path));
        command.arg("-I").arg(&self.headers);
        for folder in &self.args.include {
            mirrored(folder).into_iter().chain([folder.clone()]).for_each(|folder| _ = command.arg("-I").arg(folder));
        }
        // last: what is there under its right name is what is meant
        command.arg("-I").arg(forwards);
        command.args(self.args.define.iter().map(|define| format!("-D{define}")));
        command.args(self.args.option.iter().filter_map(|option| option_for(option, source)));
        command.arg("-c").arg(mirrored(source).unwrap_or_else(|| source.to_owned())).arg("-o").arg(object);
        run(command, || format!("{} is not compiled", source.display()))
    }

    fn link(&self, objects: &[PathBuf]) -> Result<(), Failure> {
        let is_cxx = self.args.sources.iter().any(|source| is_cxx(source));
        let mut command = Command::new(self.compiler.name(is_cxx));
        command.args(objects).arg("-shared").args(self.sanitizers()).arg("-o").arg(&self.args.output);
        if self.args.sanitize.is_empty() {
            // a name that is neither the driver's nor the library's is an error now, and not while it runs
            command.arg("-Wl,-z,defs");
        }
        let folder =
            self.library.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        command.arg("-L").arg(&folder).arg("-lfltkernel").arg(format!("-Wl,-rpath,{}", folder.display()));
        if self.compiler.is_clang && self.needs_runtime() {
            command.args(self.runtime_folder().map(|folder| format!("-Wl,-rpath,{folder}")));
        }
        run(command, || format!("{} is not linked", self.args.output.display()))
    }

    fn sanitizers(&self) -> Vec<&'static str> {
        let kinds = &self.args.sanitize;
        let of = |kind: &Sanitizer| match kind {
            Sanitizer::Address => "-fsanitize=address",
            Sanitizer::Undefined => "-fsanitize=undefined",
            Sanitizer::Thread => "-fsanitize=thread",
        };
        let mut options: Vec<&str> = kinds.iter().map(of).collect();
        if kinds.contains(&Sanitizer::Undefined) {
            // Windows' structures are at odd addresses by design
            options.push("-fno-sanitize=alignment");
        }
        if self.compiler.is_clang && self.needs_runtime() {
            options.push("-shared-libsan");
        }
        options
    }

    fn needs_runtime(&self) -> bool {
        !self.args.sanitize.is_empty()
    }

    /// Where clang has the shared runtimes of its sanitizers.
    fn runtime_folder(&self) -> Option<String> {
        let output = Command::new(&self.compiler.c).arg("-print-runtime-dir").output().ok()?;
        let folder = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
        // an old clang names a folder by the target that is not there: the runtimes are in the one by the system
        let folder = if folder.is_dir() { folder } else { folder.parent()?.join("linux") };
        folder.to_str().map(str::to_owned)
    }
}

fn is_cxx(source: &Path) -> bool {
    source.extension().is_some_and(|extension| ["cpp", "cc", "cxx", "CPP"].iter().any(|known| extension == *known))
}

/// `minispy.c:-DX` is an option for that source alone.
fn option_for<'a>(option: &'a str, source: &Path) -> Option<&'a str> {
    match option.split_once(':') {
        Some((name, option)) if !name.starts_with('-') => source.ends_with(name).then_some(option),
        _ => Some(option),
    }
}

/// The compiler speaks for itself.
fn run(mut command: Command, failed: impl FnOnce() -> String) -> Result<(), Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().map_err(|error| {
        Failure::new(
            Code::Other,
            format!("{name} cannot be run: {}; install it, or name another with --compiler", cause(&error)),
        )
    })?;
    if status.success() { Ok(()) } else { Err(Failure::new(Code::Other, failed())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_for_one_source_or_for_all() {
        let of = |option| option_for(option, Path::new("filter/minispy.c"));
        assert_eq!(of("-O2"), Some("-O2"));
        assert_eq!(of("minispy.c:-DX=struct _Y*"), Some("-DX=struct _Y*"));
        assert_eq!(of("other.c:-DX"), None);
        assert_eq!(of("-Wl,a:b"), Some("-Wl,a:b"));
    }

    #[test]
    fn the_cxx_compiler_is_that_of_the_same_version() {
        assert_eq!(Compiler::of("clang-19").cxx, "clang++-19");
        assert_eq!(Compiler::of("gcc-12").cxx, "g++-12");
        assert_eq!(Compiler::of("/opt/bin/x86_64-linux-gnu-gcc").cxx, "/opt/bin/x86_64-linux-gnu-g++");
    }
}
