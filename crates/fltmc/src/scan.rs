//! `fltmc scan`: an application that refuses files by what they contain.

use std::num::NonZero;
use std::process::ExitCode;

use fltmgr::guard::scan::Patterns;
use fltmgr::question::{Answer, AnswerFlags, Question};
use fltmgr::{Connection, Message, Status};

use crate::args::Scan;
use crate::exit::{Code, Failure};
use crate::port;

/// More threads than this do not read a disk faster.
const MOST_THREADS: usize = 8;

pub(crate) fn scan(args: &Scan) -> Result<ExitCode, Failure> {
    let connection = port::connect(&args.name, b"fltmc scan")?;
    let patterns = Patterns::new(&args.deny_content);
    let flags = if args.remember { AnswerFlags::CACHE } else { AnswerFlags::empty() };
    let threads = std::thread::available_parallelism().map_or(2, NonZero::get).clamp(2, MOST_THREADS);
    let ends: Vec<_> = std::thread::scope(|scope| {
        let work = || serve(&connection, &patterns, flags);
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

/// Answers questions until the filter goes away, which is how a scanner's work ends.
fn serve(connection: &Connection, patterns: &Patterns, flags: AnswerFlags) -> Result<(), Failure> {
    loop {
        match connection.recv() {
            Ok(message) => answer(message, patterns, flags),
            Err(error) if error.status() == Status::PORT_DISCONNECTED => return Ok(()),
            Err(error) => return Err(port::other(error)),
        }
    }
}

fn answer(message: Message, patterns: &Patterns, flags: AnswerFlags) {
    let (status, answer) = match Question::parse(message.body()) {
        Ok(_) => (Status::SUCCESS, Answer { flags, ..patterns.judge(message.file()) }),
        // Not a question about a file: the filter's policy decides, and not an answer that means nothing.
        Err(_) => (Status::INVALID_PARAMETER, Answer::DENY),
    };
    // It fails only when the filter waits no longer: the filter has decided, and counted that as too late.
    let _ = message.reply(status, &answer.to_bytes());
}
