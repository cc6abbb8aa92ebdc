//! The scanner: says of each file that scanner_filter asks about whether it is safe to open. What is foul contains
//! "foul".
use std::fs::File;
use std::io::Read;

use fltport::{Connection, Message, Status};

const FOUL: &[u8] = b"foul";
const THREADS: usize = 2;
const PIECE: usize = 1 << 16;

/// Looks into the file that came with the message, piece by piece, for as long as the filter waits: a thread that went on
/// when its answer comes for nothing would be missed by the next question. A file that cannot be read is not called safe,
/// nor one that was not looked at to its end.
fn is_safe(message: &mut Message) -> bool {
    let Some(mut file) = message.take_file().map(File::from) else { return false };
    // A piece, behind the end of the one before it, where the beginning of what is looked for may be.
    let (mut buffer, mut kept) = (vec![0; FOUL.len() + PIECE], 0);
    while message.is_waited_for() {
        match file.read(&mut buffer[kept..]) {
            Ok(0) => return true,
            Ok(length) if buffer[..kept + length].windows(FOUL.len()).all(|window| window != FOUL) => {
                let end = kept + length;
                kept = end.min(FOUL.len() - 1);
                buffer.copy_within(end - kept..end, 0);
            }
            _ => return false,
        }
    }
    false
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
