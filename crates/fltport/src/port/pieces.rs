//! Payloads of more than one window, piece after piece as the application reads or writes them.
//!
//! A thread that sends its own message waits for each piece. The thread of the ask queue, which has many under way,
//! never waits for one: it takes a step where one can be made, and gets the counter to sleep on where none can.

use std::sync::atomic::{AtomicU32, Ordering};

use proto::host::{self, Taken, Waiter};
use proto::slots::{Chunks, read_words, write_words};
use proto::status::Status;
use sys::clock::Deadline;
use sys::futex;

use super::link::Link;
use crate::Error;
use crate::wait::{Asleep, Counted, wait_counter};

/// Why the rest of a payload was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsent {
    /// The connection is gone.
    Gone,
    /// The deadline passed. The application, which had read so many bytes, will find that the message has ended.
    TimedOut(usize),
    /// The application let go of the message without reading it, or has answered it; or the process that was reading it
    /// has ended, and others use the connection.
    LetGo,
}

/// A message whose first piece is there to be read.
#[derive(Debug)]
pub(super) struct Sending {
    taken: Taken,
    next: usize,
}

impl Sending {
    /// All pieces but the first are still to be sent.
    pub(super) const fn new(taken: Taken) -> Self {
        Self { taken, next: 1 }
    }
}

/// A long reply that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    waiter: Waiter,
    window: usize,
    len: usize,
    next: usize,
    /// What has arrived: memory follows that, not what was announced.
    payload: Vec<u8>,
}

impl Reading {
    /// `len` bytes of reply will come through `window`.
    pub(super) const fn new(waiter: Waiter, window: usize, len: usize) -> Self {
        Self { waiter, window, len, next: 0, payload: Vec::new() }
    }

    /// What was read.
    pub(super) fn take_payload(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.payload)
    }
}

/// What one step came to.
pub(super) enum Step<'a> {
    /// All is there.
    Whole,
    /// One piece more: another may follow at once.
    Moved,
    /// Nothing can be done while this counter has this value.
    Waits(&'a AtomicU32, u32),
}

impl Link {
    /// Sends the pieces after the first of a payload in a completed slot, as the application reads them, each within
    /// the `deadline` that it gets when it is the next. A reply to `waiter` ends that: the application has seen enough,
    /// or had no memory for the message. Calls `last` before the last piece is there to be read, when there are
    /// several.
    pub(super) fn stream(
        &self,
        taken: Taken,
        payload: &[u8],
        deadline: impl Fn() -> Option<Deadline>,
        waiter: Option<Waiter>,
        last: impl FnMut(),
    ) -> Result<(), Unsent> {
        let sent = self.send_pieces(taken, payload, deadline, waiter, last);
        if sent == Err(Unsent::LetGo) {
            // of the thread that sends the next message in this slot: one is woken there, and that may have been this
            // thread
            let drained = &self.memory.shared().slots[taken.slot].drained;
            futex::wake(drained, u32::MAX, futex::ANY);
        }
        self.sent(taken);
        sent
    }

    fn send_pieces(
        &self,
        taken: Taken,
        payload: &[u8],
        deadline: impl Fn() -> Option<Deadline>,
        waiter: Option<Waiter>,
        mut last: impl FnMut(),
    ) -> Result<(), Unsent> {
        let drained = &self.memory.shared().slots[taken.slot].drained;
        let chunks = Chunks::new(payload.len());
        // a message of one piece is the hot one, and waits for nothing
        let _asleep = (chunks.count() > 1).then(|| Asleep::count(&self.asleep));
        for index in 1..chunks.count() {
            let replied = || waiter.is_some_and(|waiter| host::replied(self.memory.shared(), waiter));
            let let_go = || self.orphaned(taken.slot) || host::let_go(self.memory.shared(), taken);
            let ended = || self.closed() || let_go() || replied();
            match wait_counter(drained, deadline(), |drained| drained as usize >= index, ended) {
                Counted::Reached => {}
                Counted::Gone if self.closed() => return Err(Unsent::Gone),
                Counted::Gone => {
                    // the reply may be another thread's, by the id: then the receiver still reads here
                    self.abort(taken, payload.len(), index);
                    return Err(Unsent::LetGo);
                }
                Counted::TimedOut => return Err(self.abort(taken, payload.len(), index)),
            }
            if index + 1 == chunks.count() {
                last();
            }
            self.write_piece(taken, payload, index)?;
        }
        Ok(())
    }

    /// A payload has gone, as far as it will: its slot can be taken back from a process that has ended.
    fn sent(&self, taken: Taken) {
        self.end_streaming(taken);
        self.take_back();
    }

    /// Sends one piece more, if the application has read the one before.
    pub(super) fn send_piece(&self, sending: &mut Sending, payload: &[u8]) -> Result<Step<'_>, Unsent> {
        let step = self.try_send_piece(sending, payload);
        if matches!(step, Ok(Step::Whole) | Err(_)) {
            self.sent(sending.taken);
        }
        step
    }

    fn try_send_piece(&self, sending: &mut Sending, payload: &[u8]) -> Result<Step<'_>, Unsent> {
        let Sending { taken, next } = *sending;
        if next >= Chunks::new(payload.len()).count() {
            return Ok(Step::Whole);
        }
        let drained = &self.memory.shared().slots[taken.slot].drained;
        let read = drained.load(Ordering::Acquire);
        if (read as usize) < next {
            return if self.orphaned(taken.slot) { Err(Unsent::LetGo) } else { Ok(Step::Waits(drained, read)) };
        }
        self.write_piece(taken, payload, next)?;
        sending.next += 1;
        Ok(Step::Moved)
    }

    /// Tells the application that the rest of a message will not come.
    pub(super) fn abort_sending(&self, sending: &Sending, len: usize) -> Unsent {
        let unsent = self.abort(sending.taken, len, sending.next);
        self.sent(sending.taken);
        unsent
    }

    fn abort(&self, taken: Taken, len: usize, next: usize) -> Unsent {
        let filled = &self.memory.host().slots[taken.slot].filled;
        // held: the slot is not taken for another message, which this would end, between the look and the store
        let ledger = self.ledger();
        let ours = ledger.host.is_last(taken) && self.has(taken);
        if ours {
            filled.store(host::ABORTED, Ordering::Release);
        }
        drop(ledger);
        if ours {
            futex::wake(filled, 1, futex::ANY);
        }
        // what would have been next waits for the one before to be read
        Unsent::TimedOut(Chunks::new(len).range(next - 1).start)
    }

    /// Whether the slot still has what it was completed with, as far as we wrote it: an application that lets go of a
    /// message unread posts its slot for another.
    fn has(&self, taken: Taken) -> bool {
        self.memory.host().slots[taken.slot].done.load(Ordering::Acquire) == taken.generation.number()
    }

    fn write_piece(&self, taken: Taken, payload: &[u8], index: usize) -> Result<(), Unsent> {
        if !self.has(taken) {
            return Err(Unsent::LetGo);
        }
        write_words(&self.memory.host().windows[taken.slot].words, &payload[Chunks::new(payload.len()).range(index)]);
        let filled = &self.memory.host().slots[taken.slot].filled;
        filled.store(index as u32 + 1, Ordering::Release);
        futex::wake(filled, 1, futex::ANY);
        Ok(())
    }

    /// What the sender of a message of `len` bytes is told.
    pub(super) fn unsent(&self, unsent: Unsent, len: usize) -> Error {
        match unsent {
            Unsent::Gone => self.disconnected(),
            Unsent::TimedOut(read) => {
                self.error(Status::TIMEOUT).hint(format!("it read {read} of {len} bytes in time"))
            }
            Unsent::LetGo => self.error(Status::INSUFFICIENT_RESOURCES).hint(format!(
                "it let go of a message of {len} bytes before it had read it: has it ended, or no memory?"
            )),
        }
    }

    /// Reads a reply of `len` bytes that comes through `window`, as far as `reply` holds it. What a smaller buffer does
    /// not hold is awaited all the same, so that the replier learns that its reply was taken.
    pub(super) fn read_window(
        &self,
        waiter: Waiter,
        window: usize,
        reply: &mut [u8],
        len: usize,
        deadline: Option<Deadline>,
    ) -> Result<(), Error> {
        let filled = &self.memory.shared().slots[window].filled;
        let chunks = Chunks::new(len);
        let _asleep = Asleep::count(&self.asleep);
        for index in 0..chunks.count() {
            if index > 0 {
                let ended = || self.closed() || self.orphaned(window);
                match wait_counter(filled, deadline, |filled| filled as usize > index, ended) {
                    Counted::Reached => {}
                    Counted::Gone if self.closed() => return Err(self.disconnected()),
                    Counted::Gone if self.stop_replier(window, chunks) => return Err(self.torn()),
                    Counted::TimedOut if self.stop_replier(window, chunks) => return Err(self.no_reply()),
                    // it wrote the last piece at the last moment
                    Counted::Gone | Counted::TimedOut => {}
                }
            }
            let range = chunks.range(index);
            let held = range.start.min(reply.len())..range.end.min(reply.len());
            self.read_piece(waiter, window, chunks, index, &mut reply[held]);
        }
        Ok(())
    }

    /// The process that replied has ended in the middle of its reply, and others use the connection.
    fn torn(&self) -> Error {
        self.error(Status::CANCELLED).hint("the process that replied ended in the middle of its reply")
    }

    /// Gives up in the middle of a reply: keeps the replier from writing the rest, so that it learns that it comes too
    /// late. False when it has written all, and been told that its reply was taken.
    fn stop_replier(&self, window: usize, chunks: Chunks) -> bool {
        let filled = &self.memory.shared().slots[window].filled;
        (filled.swap(host::ABORTED, Ordering::AcqRel) as usize) < chunks.count()
    }

    /// The deadline has passed: as [`Link::stop_replier`], for a reply that is read piece by piece.
    pub(super) fn abort_reading(&self, reading: &Reading) -> bool {
        self.stop_replier(reading.window, Chunks::new(reading.len))
    }

    /// Reads one piece more of a reply, if it is there.
    pub(super) fn receive_piece(&self, reading: &mut Reading) -> Result<Step<'_>, Error> {
        let chunks = Chunks::new(reading.len);
        let index = reading.next;
        if index >= chunks.count() {
            return Ok(Step::Whole);
        }
        let filled = &self.memory.shared().slots[reading.window].filled;
        let written = filled.load(Ordering::Acquire);
        // the first is there since the reply was published
        if index > 0 && written as usize <= index {
            let torn = self.orphaned(reading.window) && self.stop_replier(reading.window, chunks);
            return if torn { Err(self.torn()) } else { Ok(Step::Waits(filled, written)) };
        }
        let range = chunks.range(index);
        reading.payload.resize(range.end, 0);
        self.read_piece(reading.waiter, reading.window, chunks, index, &mut reading.payload[range]);
        reading.next += 1;
        Ok(if reading.next == chunks.count() { Step::Whole } else { Step::Moved })
    }

    fn read_piece(&self, waiter: Waiter, window: usize, chunks: Chunks, index: usize, piece: &mut [u8]) {
        read_words(&self.memory.shared().windows[window].words, piece);
        let drained = &self.memory.host().waiters[waiter.index].drained;
        drained.store(index as u32 + 1, Ordering::Release);
        if chunks.count() > 1 {
            futex::wake(drained, 1, futex::ANY);
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::slots::{Generation, Holder};

    use super::*;

    /// A slot whose receiver let go of one long message, has another, and ended.
    #[test]
    fn a_message_that_has_ended_leaves_the_next_one_its_slot() {
        let link = Link::without_a_port();
        let [before, now] = [1, 2].map(|generation| Taken { slot: 3, generation: Generation::new(generation) });
        let used = &link.memory.shared().allocation.used;
        used.store(1 << now.slot, Ordering::SeqCst);
        link.memory.shared().slots[now.slot].owner.store(Holder::FIRST.number(), Ordering::SeqCst);
        link.begin_streaming(before);
        link.begin_streaming(now);
        link.sent(before);
        link.forget_holder(Holder::FIRST);
        assert_eq!(used.load(Ordering::SeqCst), 1 << now.slot, "its pieces are still to come");
        link.sent(now);
        assert_eq!(used.load(Ordering::SeqCst), 0);
    }
}
