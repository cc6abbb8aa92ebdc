//! Sending to the application: a message takes a posted receive, and its sender waits for that, and for the reply.

use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;

use proto::host::{self, FLAG_ATTENTION, FLAG_FILE, Header, Outcome, Rung, Take, Taken, Waiter};
use proto::slots::{
    ATTENTION_AWAITS_GET, ATTENTION_GETS, ATTENTION_REPLIED, Attention, Bell, REASON_BUFFER, REASON_REPLY, WINDOW,
    file_tag,
};
use proto::status::Status;
use proto::wire::FromHost;
use sys::clock::{self, Deadline};
use sys::futex::{self, Upper};

use super::link::{Ledger, Link};
use super::pieces::Unsent;
use crate::Error;
use crate::wait::{On, wait};

/// The most bytes of a message.
const MAX_LEN: usize = 0xffff_ffef;

/// A message on its way.
pub(super) struct Outgoing<'a> {
    pub(super) message: &'a [u8],
    /// Bytes of the reply buffer; `None` when no reply is wanted.
    pub(super) reply: Option<u32>,
    pub(super) file: Option<BorrowedFd<'a>>,
    pub(super) deadline: Option<Deadline>,
    /// [`FLAG_ATTENTION`], or nothing.
    pub(super) flags: u32,
}

/// What has happened to a message so far.
#[derive(Default)]
pub(super) struct Progress {
    waiter: Option<Waiter>,
    /// One receive has been refused as too small for it.
    refused: bool,
}

impl Progress {
    /// What waits for the reply, once that is known.
    pub(super) fn waiter(&self) -> Option<Waiter> {
        self.waiter
    }
}

/// What one attempt came to.
pub(super) enum Attempt {
    /// This slot is taken and must be filled.
    Take(Taken),
    /// No receive can be used now.
    NoReceive,
    /// A reply came before the message was delivered: by the id in a refused receive.
    Replied,
}

/// A reply buffer's size as the application is told it.
pub(super) fn capacity(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

impl Link {
    pub(super) fn deliver_for_reply(
        &self,
        message: &[u8],
        capacity: u32,
        deadline: Option<Deadline>,
    ) -> Result<Waiter, Error> {
        let outgoing = Outgoing { message, reply: Some(capacity), file: None, deadline, flags: 0 };
        // a reply is wanted, so there is a waiter
        self.deliver(&outgoing)?.ok_or_else(|| self.disconnected())
    }

    /// A message and its header of 16 bytes have a length of 32 bits on Windows.
    pub(super) fn check_len(&self, len: usize) -> Result<(), Error> {
        if len <= MAX_LEN {
            return Ok(());
        }
        Err(self.error(Status::INVALID_PARAMETER).hint(format!("the message has {len} bytes, {MAX_LEN} are the limit")))
    }

    /// Delivers a message, waiting for a receive that holds it. Returns what waits for the reply.
    pub(super) fn deliver(&self, outgoing: &Outgoing<'_>) -> Result<Option<Waiter>, Error> {
        self.check_len(outgoing.message.len())?;
        let mut progress = Progress::default();
        let ended = self.deliver_with(outgoing, &mut progress);
        match (ended, progress.waiter) {
            (Ok(()), waiter) => Ok(waiter),
            (Err(error), Some(waiter)) => {
                // a reply by the id of a refused receive may have come at the last moment: it counts
                if !host::expire(self.memory.shared(), waiter) && error.status() == Status::TIMEOUT {
                    return Ok(Some(waiter));
                }
                self.end(waiter);
                Err(error)
            }
            (Err(error), None) => Err(error),
        }
    }

    fn deliver_with(&self, outgoing: &Outgoing<'_>, progress: &mut Progress) -> Result<(), Error> {
        let attention = &self.memory.shared().attention.word;
        let mut last = false;
        loop {
            self.check()?;
            let mut ledger = self.ledger();
            let seen = self.epoch.load(Ordering::SeqCst);
            match self.attempt(&mut ledger, outgoing, progress)? {
                Attempt::Take(taken) => {
                    let next = ledger.host.next();
                    drop(ledger);
                    let filled = self.fill(taken, outgoing, progress.waiter);
                    if let Some(next) = next {
                        host::warm(self.memory.shared(), next);
                    }
                    return filled;
                }
                Attempt::Replied => return Ok(()),
                Attempt::NoReceive if last => {
                    return Err(self.error(Status::TIMEOUT).hint("no receive was posted in time"));
                }
                Attempt::NoReceive => ledger.awaiting += 1,
            }
            drop(ledger);
            let on = On {
                word: &Upper(attention),
                reasons: REASON_BUFFER | REASON_REPLY,
                patience: &self.buffers,
                asleep: &self.asleep,
            };
            let look = || {
                let rung = attention.load(Ordering::Acquire) & (ATTENTION_GETS | ATTENTION_REPLIED) != 0;
                let ended = || self.ended(Attention(attention).dead());
                (rung || self.epoch.load(Ordering::SeqCst) != seen || ended()).then_some(())
            };
            let rung = wait(&on, outgoing.deadline, look, || self.prepare_sleep(ATTENTION_AWAITS_GET, seen));
            // a peer that rings without end for nothing does not keep the deadline from passing
            last = rung.is_none() || outgoing.deadline.is_some_and(Deadline::passed);
            self.ledger().awaiting -= 1;
        }
    }

    /// One attempt to find a receive for a message.
    pub(super) fn attempt(
        &self,
        ledger: &mut Ledger,
        outgoing: &Outgoing<'_>,
        progress: &mut Progress,
    ) -> Result<Attempt, Error> {
        let shared = self.memory.shared();
        let mut rung = Rung::default();
        let replied = |progress: &Progress| progress.waiter.is_some_and(|waiter| host::replied(shared, waiter));
        let attempt = if replied(progress) {
            Ok(Attempt::Replied)
        } else {
            match self.take(ledger, outgoing, progress, &mut rung) {
                // the reply may be what was rung just now
                Ok(Attempt::NoReceive) if replied(progress) => Ok(Attempt::Replied),
                attempt => attempt,
            }
        };
        if ledger.host.leaves_work(shared, rung, ledger.awaiting) {
            self.make_all_look();
        }
        attempt
    }

    fn take(
        &self,
        ledger: &mut Ledger,
        outgoing: &Outgoing<'_>,
        progress: &mut Progress,
        rung: &mut Rung,
    ) -> Result<Attempt, Error> {
        let (host_memory, shared) = (self.memory.host(), self.memory.shared());
        loop {
            let (take, now) = ledger.host.take(shared, outgoing.message.len(), !progress.refused);
            rung.gets |= now.gets;
            rung.replies |= now.replies;
            let (taken, refuse) = match take {
                Take::Nothing => return Ok(Attempt::NoReceive),
                Take::Deliver(taken) => (taken, false),
                Take::TooSmall(taken) => (taken, true),
            };
            if let (Some(capacity), None) = (outgoing.reply, progress.waiter) {
                // a refused message can be answered by its id while its sender looks at the attention word only
                let flags = outgoing.flags | if refuse { FLAG_ATTENTION } else { 0 };
                ledger.host.collect(&self.spare);
                progress.waiter = ledger.host.arm(host_memory, shared, capacity, flags);
            }
            if outgoing.reply.is_some() && progress.waiter.is_none() {
                self.give_back(taken, outgoing);
                return Err(self
                    .error(Status::INSUFFICIENT_RESOURCES)
                    .hint("1,024 messages of this connection wait for replies already"));
            }
            if !refuse {
                return Ok(Attempt::Take(taken));
            }
            progress.refused = true;
            let mut header = self.header(Outcome::TooSmall, outgoing, progress.waiter);
            header.flags |= FLAG_ATTENTION;
            self.complete(taken, &header, &[]);
        }
    }

    fn header(&self, outcome: Outcome, outgoing: &Outgoing<'_>, waiter: Option<Waiter>) -> Header {
        Header {
            outcome,
            len: outgoing.message.len() as u64,
            status: 0,
            written: 0,
            waiter,
            reply_capacity: outgoing.reply.unwrap_or(0),
            flags: outgoing.flags,
            deadline: outgoing.deadline.map_or(0, monotonic_nanos),
            cpu: self.replies.cpu(),
        }
    }

    pub(super) fn complete(&self, taken: Taken, header: &Header, payload: &[u8]) {
        let (host_memory, shared) = (self.memory.host(), self.memory.shared());
        if payload.len() > WINDOW {
            self.begin_streaming(taken);
        }
        host::describe(host_memory, taken, header, payload);
        let bell = host::bell(shared, taken);
        if host::complete(host_memory, shared, taken) {
            futex::wake(&shared.slots[taken.slot].word, u32::MAX, futex::ANY);
        }
        if let Some(bell) = bell.filter(|bell| Bell(bell).ring_sleepers()) {
            futex::wake(bell, u32::MAX, futex::ANY);
        }
    }

    /// Fills a taken receive with the message.
    fn fill(&self, taken: Taken, outgoing: &Outgoing<'_>, waiter: Option<Waiter>) -> Result<(), Error> {
        self.begin(taken, outgoing, waiter)?;
        match self.send_rest(taken, outgoing.message, || outgoing.deadline, waiter, || {}) {
            // the application that let go of it has answered, or will be seen not to have
            Err(Unsent::LetGo) if waiter.is_some() => Ok(()),
            streamed => streamed.map_err(|unsent| self.unsent(unsent, outgoing.message.len())),
        }
    }

    /// Completes a taken receive with the message's first piece. Never waits.
    ///
    /// # Errors
    /// [`Status::INSUFFICIENT_RESOURCES`]: its file cannot be sent. An application that got the message without it would
    /// judge something else than was asked about, so the receive is given back instead.
    pub(super) fn begin(&self, taken: Taken, outgoing: &Outgoing<'_>, waiter: Option<Waiter>) -> Result<(), Error> {
        let mut header = self.header(Outcome::Message, outgoing, waiter);
        if let Some(file) = outgoing.file {
            match self.send_file(taken, file) {
                Ok(()) => header.flags |= FLAG_FILE,
                // its process has ended, or is about to: this will not be read
                Err(error) if has_ended(&error) => {}
                Err(error) => {
                    self.give_back(taken, outgoing);
                    let failed = self.error(Status::INSUFFICIENT_RESOURCES);
                    return Err(failed.hint(format!("the message's file could not be sent: {error}")));
                }
            }
        }
        self.complete(taken, &header, outgoing.message);
        Ok(())
    }

    /// Sends a file ahead of its message, to the process whose receive was taken.
    fn send_file(&self, taken: Taken, file: BorrowedFd<'_>) -> io::Result<()> {
        let tag = file_tag(taken.slot, taken.generation);
        let owner = self.memory.shared().slots[taken.slot].owner.load(Ordering::Relaxed);
        let socket = self.handles.socket_of(owner).ok_or(ErrorKind::NotConnected)?;
        socket.try_send(&FromHost::File { tag }.encode(), &[file])
    }

    /// Lets go of a taken receive for which there is nothing: it is refused as too small for a message that would fit,
    /// and posted anew.
    fn give_back(&self, taken: Taken, outgoing: &Outgoing<'_>) {
        self.complete(taken, &self.header(Outcome::TooSmall, outgoing, None), &[]);
    }
}

/// Whether the other end of a socket is no more.
fn has_ended(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotConnected | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// A deadline as the application is told it.
fn monotonic_nanos(deadline: Deadline) -> u64 {
    let at = match deadline {
        Deadline::Monotonic(at) => at,
        Deadline::Realtime(_) => clock::monotonic().saturating_add(deadline.remaining()),
    };
    // 0 would mean that there is none
    u64::try_from(at.as_nanos()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proto::client;
    use proto::slots::Holder;

    use super::*;

    /// The end of a connection waits for the threads that sleep on it: for a piece of something long, too.
    #[test]
    fn a_thread_that_waits_for_a_piece_counts_as_asleep() {
        let link = Link::without_a_port();
        let slot = client::reserve_get(link.memory.shared(), Holder::FIRST).unwrap();
        client::post_get(link.memory.shared(), slot, u64::MAX).unwrap();
        let message = [0; WINDOW + 1];
        let outgoing = Outgoing { message: &message, reply: None, file: None, deadline: None, flags: 0 };
        std::thread::scope(|scope| {
            let sends = scope.spawn(|| link.deliver(&outgoing).unwrap_err().status());
            let start = Instant::now();
            while link.asleep.load(Ordering::SeqCst) != 1 {
                assert!(start.elapsed() < Duration::from_secs(20), "it is not counted");
                std::thread::park_timeout(Duration::from_micros(100));
            }
            link.close();
            link.drain();
            assert_eq!(link.asleep.load(Ordering::SeqCst), 0);
            assert_eq!(sends.join().unwrap(), Status::PORT_DISCONNECTED);
        });
    }
}
