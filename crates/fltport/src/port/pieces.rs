//! Payloads of more than one window, piece after piece as the application reads or writes them.
//!
//! A thread that sends its own message waits for each piece. The thread of the ask queue, which has many under way,
//! never waits for one: it takes a step where one can be made, and gets the counter to sleep on where none can.

use std::sync::atomic::{AtomicU32, Ordering};

use proto::host::{self, Taken, Waiter};
use proto::pieces::{Look, Reader, Stream, Writer};
use proto::slots::WINDOW;
use proto::status::Status;
use sys::clock::Deadline;
use sys::futex;

use super::link::Link;
use crate::Error;
use crate::wait::{Asleep, Stopped, wait_piece};

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
    writer: Writer,
}

impl Sending {
    /// Of a message of `len` bytes, all pieces but the first are still to be sent.
    pub(super) const fn new(taken: Taken, len: usize) -> Self {
        Self { taken, writer: Writer::new(len) }
    }
}

/// A long reply that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    waiter: Waiter,
    window: usize,
    reader: Reader,
    /// What has arrived: memory follows that, not what was announced.
    payload: Vec<u8>,
}

impl Reading {
    /// `len` bytes of reply will come through `window`.
    pub(super) const fn new(waiter: Waiter, window: usize, len: usize) -> Self {
        Self { waiter, window, reader: Reader::new(len), payload: Vec::new() }
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
    /// Sends what of a payload in a completed slot did not fit into its first piece, as the application reads it, each
    /// piece within the `deadline` that it gets when it is the next. A reply to `waiter` ends that: the application has
    /// seen enough, or had no memory for the message. Calls `last` before the last piece is there to be read, when there
    /// are several.
    pub(super) fn send_rest(
        &self,
        taken: Taken,
        payload: &[u8],
        deadline: impl Fn() -> Option<Deadline>,
        waiter: Option<Waiter>,
        last: impl FnMut(),
    ) -> Result<(), Unsent> {
        // a message of one piece is the hot one, and waits for nothing
        if payload.len() <= WINDOW {
            self.take_back();
            return Ok(());
        }
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
        let stream = self.sent_in(taken);
        let mut sending = Sending::new(taken, payload.len());
        let _asleep = Asleep::count(&self.asleep);
        let replied = || waiter.is_some_and(|waiter| host::replied(self.memory.shared(), waiter));
        let let_go = || self.orphaned(taken.slot) || host::let_go(self.memory.shared(), taken);
        let ended = || self.closed() || let_go() || replied();
        loop {
            match wait_piece(|| sending.writer.look(&stream), deadline(), ended) {
                Ok(true) => {
                    if sending.writer.is_at_last() {
                        last();
                    }
                    self.write_piece(&mut sending, payload)?;
                }
                Ok(false) => return Ok(()),
                Err(Stopped::Gone) if self.closed() => return Err(Unsent::Gone),
                Err(Stopped::Gone | Stopped::Aborted) => {
                    // the reply may be another thread's, by the id: then the receiver still reads here
                    self.abort(&sending);
                    return Err(Unsent::LetGo);
                }
                Err(Stopped::TimedOut) => return Err(self.abort(&sending)),
            }
        }
    }

    /// Where the pieces of a message, or an answer, pass.
    fn sent_in(&self, taken: Taken) -> Stream<'_> {
        Stream::completed(self.memory.host(), self.memory.shared(), taken.slot)
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
        match sending.writer.look(&self.sent_in(sending.taken)) {
            Look::Whole => Ok(Step::Whole),
            Look::Ready => self.write_piece(sending, payload).map(|()| Step::Moved),
            Look::Waits(..) if self.orphaned(sending.taken.slot) => Err(Unsent::LetGo),
            Look::Waits(drained, read) => Ok(Step::Waits(drained, read)),
            Look::Aborted => Err(Unsent::LetGo),
        }
    }

    /// Tells the application that the rest of a message will not come.
    pub(super) fn abort_sending(&self, sending: &Sending) -> Unsent {
        let unsent = self.abort(sending);
        self.sent(sending.taken);
        unsent
    }

    fn abort(&self, sending: &Sending) -> Unsent {
        let Sending { taken, ref writer } = *sending;
        // held: the slot is not taken for another message, which this would end, between the look and the store
        let ledger = self.ledger();
        let ours = ledger.host.is_last(taken) && self.has(taken);
        let filled = ours.then(|| writer.abort(&self.sent_in(taken)));
        drop(ledger);
        if let Some(filled) = filled {
            futex::wake(filled, 1, futex::ANY);
        }
        Unsent::TimedOut(writer.read())
    }

    /// Whether the slot still has what it was completed with, as far as we wrote it: an application that lets go of a
    /// message unread posts its slot for another.
    fn has(&self, taken: Taken) -> bool {
        self.memory.host().slots[taken.slot].done.load(Ordering::Acquire) == taken.generation.number()
    }

    fn write_piece(&self, sending: &mut Sending, payload: &[u8]) -> Result<(), Unsent> {
        let stream = self.sent_in(sending.taken);
        let written = if self.has(sending.taken) { sending.writer.write(&stream, payload) } else { None };
        futex::wake(written.ok_or(Unsent::LetGo)?, 1, futex::ANY);
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

    /// Reads a long reply, as far as `reply` holds it. What a smaller buffer does not hold is awaited all the same, so
    /// that the replier learns that its reply was taken.
    pub(super) fn read_pieces(
        &self,
        mut reading: Reading,
        reply: &mut [u8],
        deadline: Option<Deadline>,
    ) -> Result<(), Error> {
        let stream = self.replied_in(&reading);
        let _asleep = Asleep::count(&self.asleep);
        let ended = || self.closed() || self.orphaned(reading.window);
        loop {
            match wait_piece(|| reading.reader.look(&stream), deadline, ended) {
                Ok(true) => futex::wake(reading.reader.read(&stream, reply), 1, futex::ANY),
                Ok(false) => return Ok(()),
                Err(Stopped::Gone) if self.closed() => return Err(self.disconnected()),
                Err(stopped) if reading.reader.abort(&stream) => {
                    return Err(if stopped == Stopped::TimedOut { self.no_reply() } else { self.torn() });
                }
                // the next piece was written at the last moment
                Err(_) => futex::wake(reading.reader.read(&stream, reply), 1, futex::ANY),
            };
        }
    }

    /// Where the pieces of a reply pass.
    fn replied_in(&self, reading: &Reading) -> Stream<'_> {
        Stream::reply(self.memory.host(), self.memory.shared(), reading.window, reading.waiter.index)
    }

    /// The process that replied has ended in the middle of its reply, and others use the connection.
    fn torn(&self) -> Error {
        self.error(Status::CANCELLED).hint("the process that replied ended in the middle of its reply")
    }

    /// The deadline has passed: keeps the replier from writing the rest, so that it learns that it comes too late. False
    /// when the next piece is there.
    pub(super) fn abort_reading(&self, reading: &Reading) -> bool {
        reading.reader.abort(&self.replied_in(reading))
    }

    /// Reads one piece more of a reply, if it is there.
    pub(super) fn receive_piece(&self, reading: &mut Reading) -> Result<Step<'_>, Error> {
        let stream = self.replied_in(reading);
        match reading.reader.look(&stream) {
            Look::Whole => Ok(Step::Whole),
            Look::Ready => {
                reading.payload.resize(reading.reader.end(), 0);
                futex::wake(reading.reader.read(&stream, &mut reading.payload), 1, futex::ANY);
                Ok(Step::Moved)
            }
            Look::Waits(..) if self.orphaned(reading.window) && reading.reader.abort(&stream) => Err(self.torn()),
            Look::Waits(filled, written) => Ok(Step::Waits(filled, written)),
            Look::Aborted => Err(self.torn()),
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
        let used = &link.memory.shared().allocation.used[0];
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
