//! Payloads of more than one window: the one writer and the one reader of their pieces, for both ends and both directions.
//!
//! Neither waits. A look says whether a step can be made, or with which value of which counter to wait for the other end;
//! a step moves one piece, and gives the counter on which the other end may sleep. Piece *i* is written when *i* have been
//! read, and read when more than *i* have been written: so no piece is overwritten unread, and none is read before it is
//! whole. An end that gives up in the middle puts [`ABORTED`] where the writer counts, in place of the very number that the
//! writer would count on: one of both succeeds. A payload of one piece passes through nothing here but [`first`].

use std::ops::Range;

use crate::slots::{HostRegion, SharedRegion, WINDOW, read_words, write_words};
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// What the writer has counted, when one of the ends has given up in the middle.
pub const ABORTED: u32 = u32::MAX;

/// The first piece of a payload, which its writer puts into the window before it tells the reader of it.
pub fn first(payload: &[u8]) -> &[u8] {
    payload.get(..WINDOW).unwrap_or(payload)
}

/// Where the pieces of one payload pass: a window, and what each end has counted.
#[derive(Debug, Clone, Copy)]
pub struct Stream<'a> {
    words: &'a [AtomicU64],
    filled: &'a AtomicU32,
    drained: &'a AtomicU32,
}

impl<'a> Stream<'a> {
    /// What the host sends in a slot that it has completed: a message, or the answer to a request.
    pub fn completed(host: &'a HostRegion, shared: &'a SharedRegion, slot: usize) -> Self {
        Self { words: &host.window(slot).words, filled: &host.slot(slot).filled, drained: &shared.slot(slot).drained }
    }

    /// The input of a request that the application has posted in a slot.
    pub fn request(host: &'a HostRegion, shared: &'a SharedRegion, slot: usize) -> Self {
        Self { words: &shared.window(slot).words, filled: &shared.slot(slot).filled, drained: &host.slot(slot).drained }
    }

    /// A reply that the application gives to a waiter, through the window of a slot that it has reserved for it.
    pub fn reply(host: &'a HostRegion, shared: &'a SharedRegion, window: usize, waiter: usize) -> Self {
        let (words, filled) = (&shared.window(window).words, &shared.slot(window).filled);
        Self { words, filled, drained: &host.waiter(waiter).drained }
    }

    /// Fails, with what is counted there, when that is not `at` any more.
    fn abort(&self, at: u32) -> Result<u32, u32> {
        self.filled.compare_exchange(at, ABORTED, Ordering::AcqRel, Ordering::Acquire)
    }
}

/// What an end can do.
#[derive(Debug, Clone, Copy)]
pub enum Look<'a> {
    /// Nothing: all pieces are through.
    Whole,
    /// The next piece can be moved.
    Ready,
    /// Nothing while this counter, which the other end moves, has this value.
    Waits(&'a AtomicU32, u32),
    /// Nothing any more: one of the ends has given up in the middle.
    Aborted,
}

/// How many pieces there are, and how many of them an end has moved.
#[derive(Debug, Clone, Copy)]
struct Progress {
    len: usize,
    moved: u32,
}

impl Progress {
    const fn count(self) -> usize {
        self.len.div_ceil(WINDOW)
    }

    const fn is_whole(self) -> bool {
        self.moved as usize >= self.count()
    }

    /// The bytes of the piece that comes next.
    fn range(self) -> Range<usize> {
        let start = (self.moved as usize).saturating_mul(WINDOW).min(self.len);
        start..start.saturating_add(WINDOW).min(self.len)
    }
}

/// The end that writes a payload.
#[derive(Debug)]
pub struct Writer(Progress);

impl Writer {
    /// The writer of a payload of so many bytes, of which the [`first`] piece is there to be read.
    pub const fn new(len: usize) -> Self {
        Self(Progress { len, moved: 1 })
    }

    /// What can be done now.
    pub fn look<'a>(&self, stream: &Stream<'a>) -> Look<'a> {
        if self.0.is_whole() {
            return Look::Whole;
        }
        if stream.filled.load(Ordering::Relaxed) == ABORTED {
            return Look::Aborted;
        }
        match stream.drained.load(Ordering::Acquire) {
            read if read >= self.0.moved => Look::Ready,
            read => Look::Waits(stream.drained, read),
        }
    }

    /// Writes the next piece of `payload`, which is [`Look::Ready`]: the counter to wake the reader at, or `None` when it
    /// has given up.
    #[must_use]
    pub fn write<'a>(&mut self, stream: &Stream<'a>, payload: &[u8]) -> Option<&'a AtomicU32> {
        write_words(stream.words, payload.get(self.0.range()).unwrap_or_default());
        let written = self.0.moved;
        stream.filled.compare_exchange(written, written + 1, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        self.0.moved += 1;
        Some(stream.filled)
    }

    /// Whether the piece that comes next is the last.
    pub const fn is_at_last(&self) -> bool {
        self.0.moved as usize + 1 == self.0.count()
    }

    /// Tells the reader that the rest will not come: the counter to wake it at.
    #[must_use]
    pub fn abort<'a>(&self, stream: &Stream<'a>) -> &'a AtomicU32 {
        // fails when the reader was first, or the slot has its next payload
        let _first = stream.abort(self.0.moved);
        stream.filled
    }

    /// How many bytes the reader had read for certain when the last piece was written.
    pub fn read(&self) -> usize {
        Progress { moved: self.0.moved - 1, ..self.0 }.range().start
    }
}

/// The end that reads a payload.
#[derive(Debug)]
pub struct Reader(Progress);

impl Reader {
    /// The reader of a payload of so many bytes, which was told that the first piece is there.
    pub const fn new(len: usize) -> Self {
        Self(Progress { len, moved: 0 })
    }

    /// What can be done now.
    pub fn look<'a>(&self, stream: &Stream<'a>) -> Look<'a> {
        if self.0.is_whole() {
            return Look::Whole;
        }
        if self.0.moved == 0 {
            return Look::Ready;
        }
        match stream.filled.load(Ordering::Acquire) {
            ABORTED => Look::Aborted,
            written if written > self.0.moved => Look::Ready,
            written => Look::Waits(stream.filled, written),
        }
    }

    /// Where the next piece ends: so long is what was read when that has been read too.
    pub fn end(&self) -> usize {
        self.0.range().end
    }

    /// Reads the next piece, which is [`Look::Ready`], to its place in `payload`, as far as that reaches: the counter to
    /// wake the writer at.
    #[must_use]
    pub fn read<'a>(&mut self, stream: &Stream<'a>, payload: &mut [u8]) -> &'a AtomicU32 {
        let Range { start, end } = self.0.range();
        let end = end.min(payload.len());
        read_words(stream.words, payload.get_mut(start..end).unwrap_or_default());
        self.0.moved += 1;
        stream.drained.store(self.0.moved, Ordering::Release);
        stream.drained
    }

    /// Keeps the writer from writing the rest. False when the next piece is there, or all have been read: the writer may
    /// have been told that its payload was taken.
    #[must_use]
    pub fn abort(&self, stream: &Stream<'_>) -> bool {
        let written_on = |written| written > self.0.moved && written != ABORTED;
        !self.0.is_whole() && !stream.abort(self.0.moved).is_err_and(written_on)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::slots::SLOTS;

    struct Ends {
        host: Box<HostRegion>,
        shared: Box<SharedRegion>,
    }

    impl Ends {
        fn new() -> Self {
            Self { host: HostRegion::boxed(), shared: SharedRegion::boxed() }
        }

        fn reply(&self) -> Stream<'_> {
            Stream::reply(&self.host, &self.shared, SLOTS - 1, 5)
        }

        /// Both ends of a reply, of which the first piece is there.
        fn begin(&self, payload: &[u8]) -> (Writer, Reader) {
            write_words(self.reply().words, first(payload));
            self.reply().filled.store(1, Ordering::Release);
            (Writer::new(payload.len()), Reader::new(payload.len()))
        }
    }

    fn payload(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at / 8 % 251) as u8).collect()
    }

    #[test]
    fn a_payload_passes_whole_in_pieces() {
        let ends = Ends::new();
        for len in [WINDOW, WINDOW + 1, 2 * WINDOW, 3 * WINDOW - 1] {
            let sent = payload(len);
            let (mut writer, mut reader) = ends.begin(&sent);
            let mut got = Vec::new();
            loop {
                match reader.look(&ends.reply()) {
                    Look::Whole => break,
                    Look::Ready => {
                        got.resize(reader.end(), 0);
                        let _ = reader.read(&ends.reply(), &mut got);
                    }
                    Look::Waits(counter, seen) => {
                        assert_eq!(counter.load(Ordering::Relaxed), seen);
                        assert!(matches!(writer.look(&ends.reply()), Look::Ready));
                        assert!(writer.write(&ends.reply(), &sent).is_some());
                        assert!(matches!(writer.look(&ends.reply()), Look::Whole | Look::Waits(..)));
                    }
                    Look::Aborted => unreachable!(),
                }
            }
            assert_eq!(got, sent);
            assert!(matches!(writer.look(&ends.reply()), Look::Whole));
        }
    }

    #[test]
    fn a_shorter_buffer_gets_what_it_holds_and_the_writer_ends() {
        let ends = Ends::new();
        let sent = payload(2 * WINDOW + 8);
        let (mut writer, mut reader) = ends.begin(&sent);
        let mut got = vec![0; WINDOW + 8];
        let _ = reader.read(&ends.reply(), &mut got);
        while let Look::Ready = writer.look(&ends.reply()) {
            assert!(writer.write(&ends.reply(), &sent).is_some());
            let _ = reader.read(&ends.reply(), &mut got);
        }
        assert!(matches!(reader.look(&ends.reply()), Look::Whole));
        assert_eq!(got, sent[..got.len()]);
    }

    #[test]
    fn a_reader_that_gives_up_keeps_the_writer_from_going_on() {
        let ends = Ends::new();
        let sent = payload(2 * WINDOW);
        let (mut writer, mut reader) = ends.begin(&sent);
        let _ = reader.read(&ends.reply(), &mut vec![0; WINDOW]);
        assert!(reader.abort(&ends.reply()));
        assert!(writer.write(&ends.reply(), &sent).is_none());
        assert!(matches!(writer.look(&ends.reply()), Look::Aborted));
        assert!(matches!(reader.look(&ends.reply()), Look::Aborted));
    }

    #[test]
    fn a_piece_that_comes_before_its_reader_gives_up_is_read() {
        let ends = Ends::new();
        let sent = payload(2 * WINDOW);
        let (mut writer, mut reader) = ends.begin(&sent);
        let mut got = vec![0; 2 * WINDOW];
        let _ = reader.read(&ends.reply(), &mut got);
        assert!(writer.write(&ends.reply(), &sent).is_some());
        assert!(!reader.abort(&ends.reply()));
        let _ = reader.read(&ends.reply(), &mut got);
        assert!(!reader.abort(&ends.reply()), "the writer knows that it was taken");
        assert!(matches!(reader.look(&ends.reply()), Look::Whole));
        assert_eq!(got, sent);
    }

    #[test]
    fn a_writer_that_gives_up_is_seen_and_leaves_the_next_payload_alone() {
        let ends = Ends::new();
        let sent = payload(3 * WINDOW);
        let (mut writer, mut reader) = ends.begin(&sent);
        let _ = reader.read(&ends.reply(), &mut vec![0; WINDOW]);
        assert!(writer.write(&ends.reply(), &sent).is_some());
        assert_eq!(writer.read(), WINDOW);
        let _ = writer.abort(&ends.reply());
        assert!(matches!(reader.look(&ends.reply()), Look::Aborted));
        // the window has another payload's first piece by now
        let (_, _) = ends.begin(&sent);
        let _ = writer.abort(&ends.reply());
        assert_eq!(ends.reply().filled.load(Ordering::Relaxed), 1);
    }

    /// What a peer counts is its own: whatever it says, an end moves its own pieces and no others.
    #[test]
    fn a_peer_that_miscounts_ends_nothing_but_its_payload() {
        let ends = Ends::new();
        let sent = payload(3 * WINDOW);
        for counted in [0, 2, 77, u32::MAX - 1, ABORTED] {
            let (mut writer, mut reader) = ends.begin(&sent);
            ends.reply().drained.store(counted, Ordering::Relaxed);
            while matches!(writer.look(&ends.reply()), Look::Ready) && writer.write(&ends.reply(), &sent).is_some() {}
            ends.reply().filled.store(counted, Ordering::Relaxed);
            let mut got = Vec::new();
            while matches!(reader.look(&ends.reply()), Look::Ready) {
                got.resize(reader.end(), 0);
                let _ = reader.read(&ends.reply(), &mut got);
            }
            assert!(got.len() <= sent.len());
        }
    }
}
