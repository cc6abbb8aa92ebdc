//! An application that answers a guard's questions by what is in the files.
//!
//! ```no_run
//! use fltmgr::Connection;
//! use fltmgr::guard::scan::{self, Patterns};
//!
//! # fn main() -> Result<(), fltmgr::Error> {
//! let port = Connection::connect(r"\ScannerPort", b"")?;
//! scan::serve(&port, &Patterns::new(["EICAR", "BEGIN PRIVATE KEY"]))?; // until the port is closed
//! # Ok(()) }
//! ```

use std::io;
use std::os::fd::AsFd;

use memchr::memmem::Finder;
use proto::question::{Answer, Question};
use proto::status::Status;
use rustix::fs::FileType;
use rustix::io::Errno;

use crate::{Connection, Error, Message};

/// How much of a file is looked at in one piece.
const CHUNK: usize = 64 * 1024;

/// Byte sequences to look for.
#[derive(Clone, Debug)]
pub struct Patterns {
    finders: Vec<Finder<'static>>,
    longest: usize,
}

impl Patterns {
    /// These. An empty one is left out: it would be in every file.
    pub fn new(patterns: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        let patterns = patterns.into_iter().filter(|pattern| !pattern.as_ref().is_empty());
        let finders: Vec<_> = patterns.map(|pattern| Finder::new(pattern.as_ref()).into_owned()).collect();
        let longest = finders.iter().map(|finder| finder.needle().len()).max().unwrap_or(0);
        Self { finders, longest }
    }

    /// The first of the patterns that is found in the file, which is read piece by piece from its start to its end
    /// without moving its position. Only regular files contain anything.
    ///
    /// # Errors
    /// Of reading.
    pub fn find(&self, file: impl AsFd) -> io::Result<Option<&[u8]>> {
        let file = file.as_fd();
        if self.finders.is_empty() || FileType::from_raw_mode(rustix::fs::fstat(file)?.st_mode) != FileType::RegularFile
        {
            return Ok(None);
        }
        // What may be the beginning of a pattern that ends in the next piece.
        let keep = self.longest - 1;
        let mut buffer = vec![0; keep + CHUNK];
        let (mut kept, mut offset) = (0, 0);
        loop {
            let read = match rustix::io::pread(file, &mut buffer[kept..], offset) {
                Ok(0) => return Ok(None),
                Err(Errno::INTR) => continue,
                other => other?,
            };
            let filled = kept + read;
            if let Some(found) = self.finders.iter().find(|finder| finder.find(&buffer[..filled]).is_some()) {
                return Ok(Some(found.needle()));
            }
            offset += read as u64;
            kept = filled.min(keep);
            buffer.copy_within(filled - kept..filled, 0);
        }
    }

    /// The answer to a question about a file: *deny* if it contains a pattern, or can not be read; *allow* without a
    /// file.
    pub fn judge(&self, file: Option<impl AsFd>) -> Answer {
        match file.map(|file| self.find(file)) {
            None | Some(Ok(None)) => Answer::ALLOW,
            Some(Ok(Some(_)) | Err(_)) => Answer::DENY,
        }
    }
}

/// Answers the questions of a guard until the filter goes away; several threads may do it on one connection. Messages
/// that are no questions are answered with [`Status::INVALID_PARAMETER`], and the guard's policy decides.
///
/// # Errors
/// What ends the receiving, other than [`Status::PORT_DISCONNECTED`].
pub fn serve(connection: &Connection, patterns: &Patterns) -> Result<(), Error> {
    loop {
        match connection.recv() {
            Ok(message) => answer(message, patterns),
            Err(error) if error.status() == Status::PORT_DISCONNECTED => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn answer(message: Message, patterns: &Patterns) {
    let (status, answer) = match Question::parse(message.body()) {
        Ok(_) => (Status::SUCCESS, patterns.judge(message.file())),
        Err(_) => (Status::INVALID_PARAMETER, Answer::DENY),
    };
    // An error is that the filter waits no longer, which the guard has counted.
    let _ = message.reply(status, &answer.to_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek as _, Write as _};

    fn find(patterns: &[&str], contents: &[u8]) -> Option<String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(contents).unwrap();
        file.rewind().unwrap();
        let patterns = Patterns::new(patterns);
        let found = patterns.find(&file).unwrap().map(|found| String::from_utf8_lossy(found).into_owned());
        assert_eq!(file.stream_position().unwrap(), 0);
        found
    }

    #[test]
    fn a_pattern_is_found_across_pieces() {
        for at in [0, 1, CHUNK - 7, CHUNK - 6, CHUNK - 5, CHUNK - 1, CHUNK, 2 * CHUNK - 3, 2 * CHUNK + 2] {
            let mut contents = vec![b'x'; at];
            contents.extend(b"needle");
            assert_eq!(find(&["other", "needle"], &contents).as_deref(), Some("needle"), "{at}");
            contents.extend(b"tail");
            assert_eq!(find(&["needle"], &contents).as_deref(), Some("needle"), "{at}");
            contents.truncate(at + 5);
            assert_eq!(find(&["needle"], &contents), None, "{at}");
        }
    }

    #[test]
    fn nothing_is_found_in_nothing() {
        assert_eq!(find(&["x"], b""), None);
        assert_eq!(find(&[""], b"x"), None);
        assert_eq!(find(&[], b"x"), None);
        assert_eq!(Patterns::new(["x"]).find(std::fs::File::open("/dev/null").unwrap()).unwrap(), None);
        assert_eq!(Patterns::new(["x"]).judge(None::<std::fs::File>), Answer::ALLOW);
    }
}
