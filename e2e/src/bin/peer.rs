//! The other process of a test: one end of a port that does one thing, to be killed or stopped while it does it.
//!
//! `peer DIRECTORY app idle|receive|hold|send` connects; `peer DIRECTORY host` creates the port. It says `ready` when it
//! has begun.
#![forbid(unsafe_code)]

use fltmgr::namespace::Namespace;
use fltmgr::{Answer, Client, Connection, Port, PortOptions, SecurityDescriptor, Serve, Status, Timeout};

const PORT: &str = r"\DeathPort";

struct Filter;

impl Serve for Filter {
    type Session = ();

    fn connect(&self, client: &Client, context: &[u8]) -> Result<(), Status> {
        if context == b"ask me" {
            let client = client.clone();
            std::thread::spawn(move || client.ask(b"question", &mut [0; 16], Timeout::Never));
        }
        Ok(())
    }

    /// Never answers.
    fn message(&self, (): &(), _: &[u8], _: &mut [u8]) -> Answer {
        loop {
            std::thread::park();
        }
    }
}

fn main() -> Result<(), fltmgr::Error> {
    let arguments: Vec<String> = std::env::args().collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let &[_, directory, role, ref rest @ ..] = &arguments[..] else {
        panic!("peer DIRECTORY app|host …");
    };
    let namespace = Namespace::at(directory);
    if role == "host" {
        let options =
            PortOptions::default().max_connections(100).security(SecurityDescriptor::null_dacl()).namespace(namespace);
        let _port = Port::create(PORT, options, Filter)?;
        println!("ready");
        wait();
    }
    let app = Connection::options().namespace(namespace).connect(PORT, b"")?;
    match rest {
        ["idle"] => {
            println!("ready");
            wait()
        }
        ["receive"] => {
            println!("ready");
            app.recv()?.detach();
            wait()
        }
        ["hold"] => {
            println!("ready");
            let _message = app.recv()?;
            wait()
        }
        ["send"] => {
            println!("ready");
            app.send(b"request", &mut [0; 16])?;
        }
        _ => panic!("peer DIRECTORY app idle|receive|hold|send"),
    }
    Ok(())
}

fn wait() -> ! {
    loop {
        std::thread::park();
    }
}
