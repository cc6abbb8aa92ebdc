//! The smallest application: refuses the shell of hello_filter what is named *.secret.
use fltmgr::guard::question::{Answer, Question};
use fltmgr::{Connection, Status};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = Connection::connect(r"\HelloPort", b"")?;
    println!("connected to {}", port.name());
    loop {
        let message = port.recv()?;
        let question = Question::parse(message.body())?;
        let answer = if question.path.ends_with(b".secret") { Answer::DENY } else { Answer::ALLOW };
        let verdict = if answer.allow { "allow" } else { "deny" };
        println!("{verdict} {} {}", question.kind, String::from_utf8_lossy(question.path));
        if let Err(late) = message.reply(Status::SUCCESS, &answer.to_bytes()) {
            println!("{late}");
        }
    }
}
