//! Whether a file contains one of some texts.

use std::io;
use std::os::fd::AsFd;

use memchr::memmem::Finder;
use rustix::fs::FileType;

/// How much is read at a time.
const CHUNK: usize = 64 * 1024;

/// Texts to look for.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    finders: Vec<Finder<'static>>,
    longest: usize,
}

impl Texts {
    pub(crate) fn new(texts: &[String]) -> Self {
        let finders = texts.iter().map(|text| Finder::new(text).into_owned()).collect();
        Self { finders, longest: texts.iter().map(String::len).max().unwrap_or(0) }
    }

    /// Which text the file contains, if any: the first found. Anything but a regular file contains none.
    ///
    /// Reads with offsets of its own: the descriptor's position, which the program may share, does not move.
    pub(crate) fn find(&self, file: impl AsFd) -> io::Result<Option<String>> {
        let file = file.as_fd();
        if FileType::from_raw_mode(rustix::fs::fstat(file)?.st_mode) != FileType::RegularFile {
            return Ok(None);
        }
        let mut buffer = vec![0; CHUNK + self.longest];
        let (mut kept, mut offset) = (0, 0);
        loop {
            let read = match rustix::io::pread(file, &mut buffer[kept..], offset) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            if read == 0 {
                return Ok(None);
            }
            let filled = kept + read;
            if let Some(found) = self.finders.iter().find(|finder| finder.find(&buffer[..filled]).is_some()) {
                return Ok(Some(String::from_utf8_lossy(found.needle()).into_owned()));
            }
            // A text may lie across two chunks.
            offset += read as u64;
            kept = filled.min(self.longest.saturating_sub(1));
            buffer.copy_within(filled - kept..filled, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek as _, Write as _};

    fn holds(content: &[u8], texts: &[&str]) -> Option<String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        let before = file.stream_position().unwrap();
        let found = Texts::new(&texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>()).find(&file).unwrap();
        assert_eq!(file.stream_position().unwrap(), before);
        found
    }

    #[test]
    fn a_text_is_found_wherever_it_lies() {
        for at in [0, 1, CHUNK - 3, CHUNK, CHUNK + 1, CHUNK + 4, 3 * CHUNK - 2] {
            let mut content = vec![b'.'; 4 * CHUNK];
            content[at..at + 6].copy_from_slice(b"needle");
            assert_eq!(holds(&content, &["absent", "needle"]).as_deref(), Some("needle"), "at {at}");
            content[at + 3] = b'X';
            assert_eq!(holds(&content, &["needle"]), None);
        }
        assert_eq!(holds(b"needl", &["needle"]), None);
        assert_eq!(holds(b"", &["needle"]), None);
    }

    #[test]
    fn only_regular_files_are_read() {
        let texts = Texts::new(&["x".into()]);
        assert_eq!(texts.find(std::fs::File::open("/").unwrap()).unwrap(), None);
        assert_eq!(texts.find(std::fs::File::open("/dev/zero").unwrap()).unwrap(), None);
    }
}
