//! `fltmc scan`: an application that refuses files by what they contain.

use std::num::NonZero;
use std::process::ExitCode;

use fltmgr::guard::scan::{Patterns, Scanner};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::args::Scan;
use crate::exit::{Code, Failure};
use crate::port;

/// More threads than this do not take questions faster.
const MOST_THREADS: usize = 8;

/// Answers questions until the filter goes away, which is how a scanner's work ends.
pub(crate) fn scan(args: &Scan) -> Result<ExitCode, Failure> {
    // Each question has a file.
    let limit = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit, maximum: limit });
    let connection = port::connect(&args.name, b"fltmc scan")?;
    let mut scanner = Scanner::new(Patterns::new(&args.deny_content));
    if let Some(bytes) = args.max_scan {
        scanner = scanner.max_scan(bytes);
    }
    if args.remember {
        scanner = scanner.remember();
    }
    let threads = std::thread::available_parallelism().map_or(2, NonZero::get).clamp(2, MOST_THREADS);
    let ends: Vec<_> = std::thread::scope(|scope| {
        let work = || scanner.serve(&connection).map_err(port::other);
        // Those that cannot be made are done without: this thread is one of them.
        let helper = |_| std::thread::Builder::new().spawn_scoped(scope, work).ok();
        let helpers: Vec<_> = (1..threads).map_while(helper).collect();
        let own = work();
        helpers.into_iter().map(|helper| helper.join()).chain([Ok(own)]).collect()
    });
    for end in ends {
        end.map_err(|_| Failure::new(Code::Other, "a scanning thread panicked; this is a bug"))??;
    }
    Ok(ExitCode::SUCCESS)
}
