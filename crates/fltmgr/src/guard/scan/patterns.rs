//! Byte sequences, and the search for them in a file, piece by piece.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use memchr::memmem::Finder;
use proto::question::Answer;
use rustix::fs::{FileType, SeekFrom, Stat, fstat, fstatfs, seek};
use rustix::io::{Errno, ReadWriteFlags, pread, preadv2, retry_on_intr};

/// How much of a file is looked at in one piece.
pub(super) const CHUNK: usize = 64 * 1024;

/// TMPFS_MAGIC
const TMPFS: rustix::fs::FsWord = 0x0102_1994;

/// Byte sequences to look for.
#[derive(Clone, Debug)]
pub struct Patterns {
    finders: Vec<Finder<'static>>,
    longest: usize,
}

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

/// Where a search in one file is. It needs the same patterns and the same file with each step.
#[derive(Debug)]
pub(super) struct Search {
    id: FileId,
    /// At the start.
    length: u64,
    /// The end of what was looked at: it may be the beginning of a pattern.
    kept: Vec<u8>,
    offset: u64,
    /// How many bytes were read.
    read: u64,
    has_holes: bool,
}

/// What a step has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'p> {
    /// This pattern is in the file.
    Found(&'p [u8]),
    /// There is more to look at.
    More,
    /// None is in the file.
    End,
}

/// How a step may read.
#[derive(Debug)]
pub(super) enum Reading<'w> {
    /// As long as it takes, which is told here.
    Waiting(&'w Wait),
    /// Only what is in memory; else the step is an error of the kind *would block*, and can be made again.
    AtOnce,
}

/// Since when a thread is in a call that reads, if it is.
#[derive(Debug, Default)]
pub(super) struct Wait(AtomicU64);

impl Wait {
    /// Runs a call that reads.
    fn during<R>(&self, call: impl FnOnce() -> R) -> R {
        let now = u64::try_from(sys::clock::monotonic().as_nanos()).unwrap_or(u64::MAX);
        self.0.store(now, Ordering::Relaxed);
        let result = call();
        self.0.store(0, Ordering::Relaxed);
        result
    }

    /// For how long the call has lasted that it is in.
    pub(super) fn lasts(&self) -> Duration {
        match self.0.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => sys::clock::monotonic().saturating_sub(Duration::from_nanos(since)),
        }
    }
}

impl Patterns {
    /// These. An empty one is left out: it would be in every file.
    pub fn new(patterns: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        let patterns = patterns.into_iter().filter(|pattern| !pattern.as_ref().is_empty());
        let finders: Vec<_> = patterns.map(|pattern| Finder::new(pattern.as_ref()).into_owned()).collect();
        let longest = finders.iter().map(|finder| finder.needle().len()).max().unwrap_or(0);
        Self { finders, longest }
    }

    /// The first of the patterns that is found in the file, which is read piece by piece from its start to its end, without
    /// its holes. Its position is where it was before, but not meanwhile. Only regular files contain anything.
    ///
    /// # Errors
    /// Of reading.
    pub fn find(&self, file: impl AsFd) -> io::Result<Option<&[u8]>> {
        let Some(mut search) = self.search(file.as_fd())? else { return Ok(None) };
        let mut buffer = Vec::new();
        loop {
            match search.step(self, file.as_fd(), &mut buffer, &Reading::Waiting(&Wait::default()))? {
                Step::Found(pattern) => return Ok(Some(pattern)),
                Step::More => {}
                Step::End => return Ok(None),
            }
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

    /// A search from the start of a file; `None` if there is nothing to find in it.
    pub(super) fn search(&self, file: BorrowedFd<'_>) -> io::Result<Option<Search>> {
        let Stat { st_mode, st_size, st_blocks, st_dev, st_ino, .. } = fstat(file)?;
        if self.finders.is_empty() || FileType::from_raw_mode(st_mode) != FileType::RegularFile {
            return Ok(None);
        }
        // In units of 512 bytes, whatever the file system's are.
        let has_holes = st_blocks.saturating_mul(512) < st_size;
        let id = FileId { device: st_dev, inode: st_ino };
        Ok(Some(Search { id, length: st_size.cast_unsigned(), kept: Vec::new(), offset: 0, read: 0, has_holes }))
    }

    fn find_in(&self, bytes: &[u8]) -> Option<&[u8]> {
        self.finders.iter().find(|finder| finder.find(bytes).is_some()).map(Finder::needle)
    }
}

impl Search {
    pub(super) fn id(&self) -> FileId {
        self.id
    }

    /// Whether it can be done in one step, without a look for holes, which may take as long as the file system does.
    pub(super) fn is_short(&self) -> bool {
        self.length <= CHUNK as u64 && !self.has_holes
    }

    /// How many bytes were read so far.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    /// Whether it has not begun.
    pub(super) fn is_at_start(&self) -> bool {
        self.offset == 0
    }

    /// Looks at the next piece. `buffer` is room that may be used for others too.
    pub(super) fn step<'p>(
        &mut self,
        patterns: &'p Patterns,
        file: BorrowedFd<'_>,
        buffer: &mut Vec<u8>,
        how: &Reading<'_>,
    ) -> io::Result<Step<'p>> {
        let kept = self.kept.len();
        buffer.clear();
        buffer.extend_from_slice(&self.kept);
        let hole = if self.has_holes { hole_at(file, self.offset)? } else { 0 };
        if hole > 0 {
            // The longest pattern needs no more zeros than it has bytes; and between two pieces with that many there is
            // none that is in both.
            let zeros = usize::try_from(hole).unwrap_or(usize::MAX).min(patterns.longest);
            buffer.resize(kept + zeros, 0);
            self.offset += hole;
        } else {
            buffer.resize(kept + CHUNK, 0);
            let length = read_at(file, &mut buffer[kept..], self.offset, how)?;
            if length == 0 {
                return Ok(Step::End);
            }
            buffer.truncate(kept + length);
            self.offset += length as u64;
            self.read += length as u64;
        }
        if let Some(pattern) = patterns.find_in(buffer) {
            return Ok(Step::Found(pattern));
        }
        let keep = buffer.len().min(patterns.longest - 1);
        self.kept.clear();
        self.kept.extend_from_slice(&buffer[buffer.len() - keep..]);
        Ok(Step::More)
    }
}

/// How many bytes from here on are a hole of the file.
fn hole_at(file: BorrowedFd<'_>, offset: u64) -> io::Result<u64> {
    let position = seek(file, SeekFrom::Current(0))?;
    let data = seek(file, SeekFrom::Data(offset));
    let end = match data {
        // Up to its end, and there is nothing after that.
        Err(Errno::NXIO) => seek(file, SeekFrom::End(0)),
        // A file system that knows nothing of holes.
        Err(Errno::INVAL) => Ok(offset),
        other => other,
    };
    seek(file, SeekFrom::Start(position))?;
    Ok(end?.saturating_sub(offset))
}

fn read_at(file: BorrowedFd<'_>, buffer: &mut [u8], offset: u64, how: &Reading<'_>) -> io::Result<usize> {
    let wait = match how {
        Reading::Waiting(wait) => wait,
        Reading::AtOnce => {
            match preadv2(file, &mut [io::IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT) {
                // It is in memory anyway, but does not say so.
                Err(Errno::OPNOTSUPP) if fstatfs(file)?.f_type == TMPFS => &Wait::default(),
                Err(Errno::OPNOTSUPP) => return Err(io::ErrorKind::WouldBlock.into()),
                other => return Ok(other?),
            }
        }
    };
    Ok(wait.during(|| retry_on_intr(|| pread(file, &mut *buffer, offset)))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Seek as _, Write as _};
    use std::os::unix::fs::FileExt as _;
    use std::time::{Duration, Instant};

    fn find_in(patterns: &[&str], mut file: &File) -> Option<String> {
        let patterns = Patterns::new(patterns);
        let position = file.stream_position().unwrap();
        let found = patterns.find(file).unwrap().map(|found| String::from_utf8_lossy(found).into_owned());
        assert_eq!(file.stream_position().unwrap(), position);
        found
    }

    fn find(patterns: &[&str], contents: &[u8]) -> Option<String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(contents).unwrap();
        find_in(patterns, &file)
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
        assert_eq!(Patterns::new(["x"]).find(File::open("/dev/null").unwrap()).unwrap(), None);
        assert_eq!(Patterns::new(["x"]).judge(None::<File>), Answer::ALLOW);
    }

    const GIB: u64 = 1 << 30;

    /// A file of a terabyte with these bytes in it.
    fn sparse(pieces: &[(u64, &[u8])]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1024 * GIB).unwrap();
        pieces.iter().for_each(|(at, bytes)| file.write_all_at(bytes, *at).unwrap());
        file
    }

    #[test]
    fn holes_are_not_read() {
        let start = Instant::now();
        assert_eq!(find_in(&["needle"], &sparse(&[])), None);
        assert_eq!(find_in(&["needle"], &sparse(&[(700 * GIB, b"a needle")])).as_deref(), Some("needle"));
        assert_eq!(find_in(&["needle"], &sparse(&[(1024 * GIB - 6, b"needle")])).as_deref(), Some("needle"));
        assert!(start.elapsed() < Duration::from_secs(20), "a terabyte takes minutes to read");
    }

    /// Some patterns have zeros, and a hole is nothing else.
    #[test]
    fn what_is_found_across_holes_is_there() {
        const PAGE: u64 = 1 << 16;
        // Data whose piece ends in "a", a hole, and data that begins with "b".
        let mut first = vec![b'x'; PAGE as usize];
        first[PAGE as usize - 1] = b'a';
        for pages in [1, 2, 1000] {
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(&first, 0).unwrap();
            file.write_all_at(b"b", PAGE * (1 + pages)).unwrap();
            for (pattern, found) in [("a\0\0", true), ("\0\0b", true), ("\0\0\0", true), ("a\0b", false), ("ab", false)]
            {
                assert_eq!(find_in(&[pattern], &file).is_some(), found, "{pattern:?} and {pages} pages");
            }
            let through = ["a", &"\0".repeat((PAGE * pages) as usize), "b"].concat();
            assert!(find_in(&[&through], &file).is_some(), "through {pages} pages");
        }
    }

    #[test]
    fn what_is_at_hand_is_read_at_once() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"a needle").unwrap();
        let patterns = Patterns::new(["needle"]);
        let mut search = patterns.search(file.as_fd()).unwrap().unwrap();
        let step = search.step(&patterns, file.as_fd(), &mut Vec::new(), &Reading::AtOnce);
        assert_eq!(step.unwrap(), Step::Found(b"needle"));
    }
}
