//! `fltmc connect`: a person as the application behind a port.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use fltmgr::filter::Operation;
use fltmgr::question::{Answer, Question};
use fltmgr::{Message, Status};
use serde::Serialize;

use crate::args::Connect;
use crate::exit::{Failure, no_thread};
use crate::output::{self, DIM, ERROR, GOOD, HEAD, Safe, WARN};
use crate::port;

/// How often waiting for a line is interrupted to see whether the filter is there still.
const GLANCE: Duration = Duration::from_millis(200);

/// How much of a message that is no question is shown.
const DUMPED: usize = 512;

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Allow,
    Deny,
    /// The filter had stopped waiting.
    Late,
    /// There will be no answer; the filter's policy decides.
    None,
}

#[derive(Debug, Serialize)]
struct Record {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    op: Option<String>,
    path: Option<String>,
    /// The new name of a rename or link.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    comm: Option<String>,
    pid: Option<u32>,
    uid: Option<u32>,
    bytes: usize,
    answer: Outcome,
}

pub(crate) fn connect(args: &Connect) -> Result<ExitCode, Failure> {
    let connection = port::connect(&args.name, args.context.as_bytes())?;
    let all = match (args.allow_all, args.deny_all) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    let lines = all.is_none().then(lines).transpose()?;
    output::noteln!("fltmc: connected to {}; ends with the filter, or with Ctrl-C", Safe(connection.name()));
    let gone = |e: &fltmgr::Error| e.status() == Status::PORT_DISCONNECTED;
    loop {
        let message = match connection.recv() {
            Ok(message) => message,
            Err(error) if gone(&error) => {
                output::noteln!("fltmc: the filter has closed the port");
                return Ok(ExitCode::SUCCESS);
            }
            Err(error) => return Err(port::other(error)),
        };
        let operation = Question::parse(message.body()).ok().map(|question| question.operation);
        let operation = operation.as_deref();
        let caller = operation.map(|operation| operation.caller.look_up());
        let mut record = Record {
            id: message.id(),
            op: operation.map(|operation| operation.kind.to_string()),
            path: operation.map(|operation| lossy(&operation.path)),
            target: operation.map(|operation| lossy(&operation.target)).filter(|target| !target.is_empty()),
            comm: caller.map(|caller| lossy(&caller.command)),
            pid: caller.map(|caller| caller.process),
            uid: caller.map(|caller| caller.user),
            bytes: message.body().len(),
            answer: Outcome::None,
        };
        if !args.json {
            show(&message, operation)?;
        }
        let wants_reply = message.reply_capacity().is_some();
        let said = match (wants_reply, all, &lines) {
            (false, ..) => Said::Nothing,
            (true, Some(allow), _) => Said::Answer(allow),
            (true, None, Some(lines)) => ask(&message, lines, &connection, args.json)?,
            (true, None, None) => Said::Nothing,
        };
        record.answer = match said {
            Said::Answer(allow) => reply(message, record.op.is_some(), allow),
            // Not answered at all: dropping the message would be an answer, and the filter's own deadline is what
            // counts.
            Said::TooLate => {
                message.detach();
                Outcome::Late
            }
            Said::Nothing | Said::EndOfInput => {
                message.detach();
                Outcome::None
            }
        };
        report(args, &record, wants_reply)?;
        if let Said::EndOfInput = said {
            output::noteln!("fltmc: end of input; the filter's policy decides from now on");
            return Ok(ExitCode::SUCCESS);
        }
    }
}

fn lossy(text: impl AsRef<OsStr>) -> String {
    text.as_ref().to_string_lossy().into_owned()
}

enum Said {
    Answer(bool),
    TooLate,
    /// Nothing was wanted.
    Nothing,
    EndOfInput,
}

/// Waits for a line that says yes or no, as long as the filter waits for the answer.
fn ask(
    message: &Message,
    lines: &Receiver<String>,
    connection: &fltmgr::Connection,
    quiet: bool,
) -> Result<Said, Failure> {
    let prompt = || if quiet { Ok(()) } else { output::show(format_args!("{HEAD}allow?{HEAD:#} [y/n] ")) };
    if std::io::stdin().is_terminal() {
        // What a person typed too late for the last question is no answer to this one.
        while lines.try_recv().is_ok() {}
    }
    prompt()?;
    loop {
        let left = message.time_left().unwrap_or(GLANCE);
        if left.is_zero() || !connection.is_connected() {
            return Ok(Said::TooLate);
        }
        match lines.recv_timeout(left.min(GLANCE)) {
            Ok(line) => match line.trim().to_lowercase().as_str() {
                "y" | "yes" | "allow" => return Ok(Said::Answer(true)),
                "n" | "no" | "deny" => return Ok(Said::Answer(false)),
                _ => prompt()?,
            },
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(Said::EndOfInput),
        }
    }
}

/// Sends the answer. What is no question about a file gets a bare status: SUCCESS or ACCESS_DENIED.
fn reply(message: Message, asked: bool, allow: bool) -> Outcome {
    let sent = match (asked, allow) {
        (true, true) => message.reply(Status::SUCCESS, &Answer::ALLOW.to_bytes()),
        (true, false) => message.reply(Status::SUCCESS, &Answer::DENY.to_bytes()),
        (false, true) => message.reply(Status::SUCCESS, &[]),
        (false, false) => message.reply(Status::ACCESS_DENIED, &[]),
    };
    match (sent, allow) {
        (Err(_), _) => Outcome::Late,
        (Ok(()), true) => Outcome::Allow,
        (Ok(()), false) => Outcome::Deny,
    }
}

fn show(message: &Message, operation: Option<&Operation>) -> Result<(), Failure> {
    let left = message.time_left().map(|left| format!(", {} left", output::brief(left))).unwrap_or_default();
    match operation {
        Some(Operation { kind, path, target, caller, .. }) => {
            let target =
                if target.as_os_str().is_empty() { String::new() } else { format!(" to {}", target.display()) };
            let command = caller.command().display();
            output::showln!(
                "{HEAD}{kind} {}{HEAD:#}{} {DIM}by {} (pid {}, uid {}){left}{DIM:#}",
                Safe(path.display()),
                Safe(target),
                Safe(command),
                caller.process(),
                caller.user()
            )
        }
        None => {
            let body = message.body();
            output::showln!("{HEAD}message of {} bytes{HEAD:#}{DIM}{left}{DIM:#}", body.len())?;
            output::show(format_args!("{}", hexdump(&body[..body.len().min(DUMPED)])))?;
            if body.len() > DUMPED {
                output::showln!("{DIM}and {} more{DIM:#}", body.len() - DUMPED)?;
            }
            Ok(())
        }
    }
}

fn report(args: &Connect, record: &Record, wants_reply: bool) -> Result<(), Failure> {
    if args.json {
        return output::json(record);
    }
    match record.answer {
        Outcome::Allow => output::showln!("  {GOOD}allowed{GOOD:#}"),
        Outcome::Deny => output::showln!("  {ERROR}denied{ERROR:#}"),
        Outcome::Late => output::showln!("  {WARN}too late{WARN:#}: the filter had decided already"),
        Outcome::None if wants_reply => output::showln!("  not answered"),
        Outcome::None => Ok(()),
    }
}

/// Lines of stdin, read beside the questions so that a waiting person does not keep us from seeing the filter end.
fn lines() -> Result<Receiver<String>, Failure> {
    let (give, take) = sync_channel(64);
    let reader = std::thread::Builder::new().spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if give.send(line).is_err() {
                break;
            }
        }
    });
    reader.map_err(no_thread)?;
    Ok(take)
}

/// Sixteen bytes a line: offset, hexadecimal, text.
fn hexdump(bytes: &[u8]) -> String {
    let mut dump = String::new();
    for (n, row) in bytes.chunks(16).enumerate() {
        let hex: String = row.iter().map(|byte| format!("{byte:02x} ")).collect();
        let text =
            row.iter().map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' });
        let _ = writeln!(dump, "  {:04x}  {hex:<48} {}", n * 16, text.collect::<String>());
    }
    dump
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_sixteen_a_line() {
        let dump = hexdump(b"0123456789abcdef\x00\xff");
        let expected = "  0000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef\n  \
                        0010  00 ff                                            ..\n";
        assert_eq!(dump, expected);
    }
}
