//! `fltmc load`: drivers in C, in a host that gives them operations. libfltkernel.so does the work; here is its command line.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::args::{Load, Miss};
use crate::exit::{Code, Failure, cause};
use crate::kernel;

/// Says that this process was already begun anew, with the sanitizer first.
const AGAIN: &str = "FLTMC_LOAD_AGAIN";

pub(crate) fn load(args: &Load) -> Result<ExitCode, Failure> {
    let library = kernel::library()?;
    if std::env::var_os(AGAIN).is_none() {
        with_sanitizers(&args.drivers)?;
    }
    let status = sys::library::call_main(&library, c"fltkernel_host", &arguments(args)?)
        .map_err(|error| Failure::new(Code::Other, format!("{} cannot be loaded: {error}", library.display())))?;
    Ok(ExitCode::from(u8::try_from(status).unwrap_or(1)))
}

/// The runtime of a sanitizer must be the first library of a process: if a driver needs one, this process begins anew with it.
fn with_sanitizers(drivers: &[std::path::PathBuf]) -> Result<(), Failure> {
    let mut needed: Vec<String> = drivers.iter().flat_map(|driver| runtimes(driver)).collect();
    needed.sort();
    needed.dedup();
    if needed.is_empty() {
        return Ok(());
    }
    let tool = std::env::current_exe().map_err(|error| Failure::new(Code::Other, cause(&error)))?;
    let mut command = Command::new(tool);
    command.args(std::env::args_os().skip(1)).env(AGAIN, "1").env("LD_PRELOAD", needed.join(":"));
    // the host keeps account of the pool itself, and ends with what others must not see freed
    let options = std::env::var("ASAN_OPTIONS").unwrap_or_default();
    command.env("ASAN_OPTIONS", format!("detect_leaks=0:{options}"));
    let error = command.exec();
    Err(Failure::new(Code::Other, format!("beginning anew with {}: {}", needed.join(" and "), cause(&error))))
}

/// The sanitizers' runtimes that a driver is linked with.
fn runtimes(driver: &Path) -> Vec<String> {
    // the loader's own answer, without running anything of the driver
    let Ok(listed) = Command::new("ldd").arg(driver).output() else { return Vec::new() };
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let sanitizer = |line: &&str| {
        ["libasan.", "libtsan.", "libclang_rt.asan", "libclang_rt.tsan"].iter().any(|name| line.contains(name))
    };
    listed
        .lines()
        .filter(sanitizer)
        .filter_map(|line| Some(line.split_once("=> ")?.1.split(' ').next()?.to_owned()))
        .collect()
}

/// What the host is told.
fn arguments(args: &Load) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    let mut path = |option: Option<&str>, path: &Path| {
        let text =
            path.to_str().ok_or_else(|| Failure::new(Code::Usage, format!("{} is not UTF-8", path.display())))?;
        all.extend(option.map(str::to_owned));
        all.push(text.to_owned());
        Ok(())
    };
    args.drivers.iter().try_for_each(|driver| path(None, driver))?;
    args.inf.iter().try_for_each(|inf| path(Some("--inf"), inf))?;
    args.script.iter().try_for_each(|script| path(Some("--script"), script))?;
    let mut text = |option: &str, value: &str| all.extend([option.to_owned(), value.to_owned()]);
    args.service.iter().for_each(|value| text("--service", value));
    args.altitude.iter().for_each(|value| text("--altitude", value));
    args.instance.iter().for_each(|value| text("--instance", value));
    args.param.iter().for_each(|value| text("--param", value));
    let flags = [
        ("--strict", args.strict),
        ("--json", args.json),
        ("--quiet", args.quiet),
        ("--deny-on-miss", args.on_miss == Miss::Deny),
    ];
    all.extend(flags.into_iter().filter(|(_, given)| *given).map(|(name, _)| name.to_owned()));
    if !args.command.is_empty() {
        all.push("--".to_owned());
    }
    for word in &args.command {
        let text =
            word.to_str().ok_or_else(|| Failure::new(Code::Usage, format!("{} is not UTF-8", word.display())))?;
        all.push(text.to_owned());
    }
    Ok(all)
}
