//! What the host writes into a completed slot, piece after piece.

use std::sync::atomic::Ordering;

use proto::host::ABORTED;
use proto::slots::{Chunks, read_words};
use sys::futex;

use super::attachment::Attachment;
use crate::wait::{Counted, wait_counter};

impl Attachment {
    /// Copies what comes through a completed slot's window, of which the first piece is there. False: the host gave up
    /// in the middle. `None`: the connection is gone.
    pub(super) fn read_pieces(&self, slot: usize, into: &mut [u8]) -> Option<bool> {
        let (host, shared) = (self.memory.host(), self.memory.shared());
        let chunks = Chunks::new(into.len());
        for index in 0..chunks.count() {
            if index > 0 {
                let filled = &host.slots[slot].filled;
                match wait_counter(filled, None, |filled| filled as usize > index, || self.gone()) {
                    Counted::Reached if filled.load(Ordering::Relaxed) == ABORTED => return Some(false),
                    Counted::Reached => {}
                    _ => return None,
                }
            }
            read_words(&host.windows[slot].words, &mut into[chunks.range(index)]);
            if chunks.count() > 1 {
                let drained = &shared.slots[slot].drained;
                drained.store(index as u32 + 1, Ordering::Release);
                futex::wake(drained, 1, futex::ANY);
            }
        }
        Some(true)
    }
}
