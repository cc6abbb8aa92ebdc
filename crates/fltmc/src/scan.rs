//! `fltmc scan`: an application that refuses files by what they contain.

use std::num::NonZero;
use std::process::ExitCode;

use fltmgr::{Connection, Message, Status};
use proto::question::{Answer, Question};

use crate::args::Scan;
use crate::content::Texts;
use crate::exit::Failure;
use crate::output::{self, Safe};
use crate::port;

/// More threads than this do not read a disk faster.
const MOST_THREADS: usize = 8;

pub(crate) fn scan(args: &Scan) -> Result<ExitCode, Failure> {
    let connection = port::connect(&args.name, b"fltmc scan")?;
    let texts = Texts::new(&args.deny_content);
    let threads = std::thread::available_parallelism().map_or(2, NonZero::get).clamp(2, MOST_THREADS);
    let ends: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| serve(&connection, &texts))).collect();
        workers.into_iter().map(|worker| worker.join()).collect()
    });
    for end in ends {
        end.map_err(|_| Failure::new(crate::exit::Code::Other, "a scanning thread panicked; this is a bug"))??;
    }
    Ok(ExitCode::SUCCESS)
}

/// Answers questions until the filter goes away, which is how a scanner's work ends.
fn serve(connection: &Connection, texts: &Texts) -> Result<(), Failure> {
    loop {
        match connection.recv() {
            Ok(message) => answer(message, texts),
            Err(error) if error.status() == Status::PORT_DISCONNECTED => return Ok(()),
            Err(error) => return Err(port::other(error)),
        }
    }
}

fn answer(message: Message, texts: &Texts) {
    let (status, answer) = match Question::parse(message.body()) {
        Ok(question) => (Status::SUCCESS, judge(&message, &question, texts)),
        // Not a question about a file: refused, so that the filter's policy decides and not an answer that means nothing.
        Err(_) => (Status::INVALID_PARAMETER, Answer::DENY),
    };
    // It fails only when nobody waits any more: the filter has decided and counted that as too late.
    let _ = message.reply(status, &answer.to_bytes());
}

fn judge(message: &Message, question: &Question<'_>, texts: &Texts) -> Answer {
    // Without the file there is no content: a name is removed or a file is made.
    let Some(file) = message.file() else { return Answer::ALLOW };
    match texts.find(file) {
        Ok(None) => Answer::ALLOW,
        Ok(Some(_)) => Answer::DENY,
        Err(error) => {
            // What cannot be looked at cannot be called clean.
            let path = String::from_utf8_lossy(question.path);
            anstream::eprintln!("fltmc: cannot read {}: {}; refused", Safe(path), output::cause(&error));
            Answer::DENY
        }
    }
}
