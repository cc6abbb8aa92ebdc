//! What the host puts into a completed slot: a message, or the answer to a request.

use proto::client;
use proto::pieces::{Reader, Stream};
use proto::slots::{WINDOW, read_words};
use sys::futex;

use super::attachment::Attachment;
use crate::wait::{Stopped, wait_piece};

impl Attachment {
    /// Copies the payload of a completed slot, of which the first piece is there. False: the host gave up in the middle.
    /// `None`: the connection is gone.
    pub(super) fn read_payload(&self, slot: usize, into: &mut [u8]) -> Option<bool> {
        let host = self.memory.host();
        let words = match into.len() {
            len if client::lies_inline(len) => &host.slots[slot].inline[..],
            len if len <= WINDOW => &host.windows[slot].words[..],
            _ => return self.read_pieces(slot, into),
        };
        read_words(words, into);
        Some(true)
    }

    fn read_pieces(&self, slot: usize, into: &mut [u8]) -> Option<bool> {
        let stream = Stream::completed(self.memory.host(), self.memory.shared(), slot);
        let mut reader = Reader::new(into.len());
        loop {
            match wait_piece(|| reader.look(&stream), None, || self.gone()) {
                Ok(true) => futex::wake(reader.read(&stream, into), 1, futex::ANY),
                Ok(false) => return Some(true),
                Err(Stopped::Aborted) => return Some(false),
                Err(_) => return None,
            };
        }
    }
}
