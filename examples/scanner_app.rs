//! The scanner: says of each file that scanner_filter asks about whether it is safe to open. What is foul contains
//! "foul".
use std::fs::File;
use std::io::Read;

use fltport::{Connection, Message, Status};

const FOUL: &[u8] = b"foul";
const THREADS: usize = 2;

/// Looks into the file that came with the message. A file that cannot be read is not called safe.
fn is_safe(message: &mut Message) -> bool {
    let mut content = Vec::new();
    let read = message.take_file().map(|file| File::from(file).read_to_end(&mut content));
    matches!(read, Some(Ok(_))) && !content.windows(FOUL.len()).any(|window| window == FOUL)
}

/// One of the threads that serve the connection: get a message, judge, reply.
fn work(port: &Connection) -> Result<(), fltport::Error> {
    loop {
        let mut message = match port.recv() {
            Ok(message) => message,
            Err(error) if error.status() == Status::PORT_DISCONNECTED => return Ok(()),
            Err(error) => return Err(error),
        };
        let safe = is_safe(&mut message);
        println!("{} {}", if safe { "safe" } else { "FOUL" }, String::from_utf8_lossy(message.body()));
        // It fails when the filter has stopped waiting; there is the next file to look at.
        if let Err(late) = message.reply(Status::SUCCESS, &[safe.into()]) {
            eprintln!("{late}");
        }
    }
}

fn main() -> Result<(), fltport::Error> {
    let port = Connection::connect(r"\ScannerPort", b"")?;
    println!("connected to {}", port.name());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| work(&port))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or(Ok(())))
    })
}
