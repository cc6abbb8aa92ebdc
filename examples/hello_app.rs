//! The smallest application: refuses the shell of hello_filter what is named *.secret.
use fltport::question::{Answer, Question};
use fltport::{Connection, Status};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = Connection::connect(r"\HelloPort", b"")?;
    println!("connected to {}", port.name());
    loop {
        let message = port.recv()?;
        let operation = Question::parse(message.body())?.operation;
        let is_secret = operation.path.extension().is_some_and(|extension| extension == "secret");
        let answer = if is_secret { Answer::DENY } else { Answer::ALLOW };
        let verdict = if answer.allow { "allow" } else { "deny" };
        println!("{verdict} {} {}", operation.kind, operation.path.display());
        if let Err(late) = message.reply(Status::SUCCESS, &answer.to_bytes()) {
            println!("{late}");
        }
    }
}
