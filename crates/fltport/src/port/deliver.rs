//! Sending to the application: a message takes a posted receive, and its sender waits for the reply.

use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;

use proto::host::{self, FLAG_ATTENTION, FLAG_FILE, Header, Outcome, Rung, Take, Taken, Waiter};
use proto::slots::{
    ATTENTION_HUNGRY, ATTENTION_REPLIED, ATTENTION_SLOTS, Attention, REASON_BUFFER, REASON_REPLY, REPLY_INLINE, WINDOW,
    read_words,
};
use proto::status::Status;
use proto::violation::Violation;
use proto::wire::FromHost;
use sys::clock::{self, Deadline};
use sys::futex::{self, Upper};

use super::client::{Book, Client, Inner};
use super::stream::Unsent;
use crate::Error;
use crate::application::file_tag;
use crate::wait::{On, Timeout, wait};

/// The most bytes of a message.
const MAX_LEN: usize = 0xffff_ffef;

/// A reply, as the sender's buffer got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The status that the application put into its reply, or [`Status::BUFFER_OVERFLOW`] when the reply was longer
    /// than the buffer.
    pub status: Status,
    /// Bytes of the buffer that were filled.
    #[doc(alias = "ReplyLength")]
    pub len: usize,
}

impl Client {
    /// Sends a message that wants no reply; returns when a receiver's buffer holds it. Without a posted receive the
    /// call blocks until there is one: nothing is queued.
    ///
    /// # Errors
    /// [`Status::TIMEOUT`]: nobody has seen the message, nor ever will. [`Status::PORT_DISCONNECTED`].
    /// [`Status::INVALID_PARAMETER`]: the message has more than 4,294,967,279 bytes.
    /// [`Status::INSUFFICIENT_RESOURCES`]: the receiver let go of a message of more than 64 KiB before it had read it.
    #[doc(alias = "FltSendMessage")]
    pub fn send(&self, message: &[u8], timeout: Timeout) -> Result<(), Error> {
        let outgoing = Outgoing { message, reply: None, file: None, deadline: timeout.deadline(), flags: 0 };
        self.inner.deliver(&outgoing).map(drop)
    }

    /// Sends a message that wants no reply if a receive that holds it is posted, and never waits: what a filter tells
    /// many clients, of which some may be slow. [`super::Port::try_send_all`] tells all.
    ///
    /// # Errors
    /// As [`Client::send`]; [`Status::TIMEOUT`] where that would wait, and for a message of more than 64 KiB, which goes
    /// in pieces that its receiver reads.
    pub fn try_send(&self, message: &[u8]) -> Result<(), Error> {
        self.send(message, Timeout::Poll)
    }

    /// Sends a message and waits for its reply in `reply`. The timeout covers both, the wait for a receiver and the
    /// wait for the reply. `message` and `reply` may be the same memory only in copies: the message is read before the
    /// reply is written.
    ///
    /// # Errors
    /// [`Status::TIMEOUT`]: no reply in time; the application learns that nobody waits when it replies.
    /// [`Status::PORT_DISCONNECTED`]. [`Status::INSUFFICIENT_RESOURCES`]: 1,024 messages of this connection wait
    /// already.
    #[doc(alias = "FltSendMessage")]
    pub fn ask(&self, message: &[u8], reply: &mut [u8], timeout: Timeout) -> Result<Reply, Error> {
        let inner = &*self.inner;
        let deadline = timeout.deadline();
        let waiter = inner.deliver_for_reply(message, capacity(reply.len()), deadline)?;
        inner.await_reply(waiter, reply, deadline)
    }

    /// Sends a message as [`Client::ask`] does and returns when a receiver's buffer holds it: the reply is waited for
    /// later, so that one thread has several under way.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn start(&self, message: &[u8], reply_capacity: usize, timeout: Timeout) -> Result<Pending, Error> {
        let deadline = timeout.deadline();
        let capacity = capacity(reply_capacity);
        let waiter = self.inner.deliver_for_reply(message, capacity, deadline)?;
        Ok(Pending { client: self.clone(), waiter, capacity, deadline, open: true })
    }
}

/// A message that was delivered and whose reply is still to come. Dropping it gives up the reply.
#[derive(Debug)]
pub struct Pending {
    client: Client,
    waiter: Waiter,
    capacity: u32,
    deadline: Option<Deadline>,
    open: bool,
}

impl Pending {
    /// The message's id.
    pub fn id(&self) -> u64 {
        self.waiter.id
    }

    /// Whether the reply is there: then [`Pending::wait`] returns at once.
    pub fn is_ready(&self) -> bool {
        self.client.inner.closed() || host::replied(self.client.inner.memory.shared(), self.waiter)
    }

    /// Waits for the reply. Of a reply that is longer than `reply`, or than the capacity given at the start, what fits
    /// is kept.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn wait(mut self, reply: &mut [u8]) -> Result<Reply, Error> {
        self.open = false;
        let inner = &self.client.inner;
        inner.check_process()?;
        let room = reply.len().min(self.capacity as usize);
        inner.await_reply(self.waiter, &mut reply[..room], self.deadline)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.open {
            self.client.inner.give_up(self.waiter);
        }
    }
}

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
    /// Who waits for the reply, once that is known.
    pub(super) fn waiter(&self) -> Option<Waiter> {
        self.waiter
    }
}

/// What one attempt came to.
pub(super) enum Attempt {
    /// This slot is taken and must be filled.
    Take(Taken),
    /// No receive can be used now.
    Starved,
    /// A reply came before the message was delivered: somebody answered by the id in a refused receive.
    Replied,
}

/// A reply that was published, as far as it is kept.
pub(super) struct Replied {
    pub(super) status: Status,
    /// Bytes of payload.
    pub(super) fits: usize,
    /// Bytes that the replier sends: it was told a capacity that the buffer need not have.
    pub(super) len: usize,
    /// The window in whose pieces they come; `None` when they lie beside the waiter's words.
    pub(super) window: Option<usize>,
}

/// A reply buffer's size as the application is told it.
pub(super) fn capacity(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

impl Inner {
    fn deliver_for_reply(&self, message: &[u8], capacity: u32, deadline: Option<Deadline>) -> Result<Waiter, Error> {
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

    /// Delivers a message, waiting for a receive that holds it. Returns who waits for the reply.
    fn deliver(&self, outgoing: &Outgoing<'_>) -> Result<Option<Waiter>, Error> {
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
            let mut book = self.book();
            let seen = self.stirred.load(Ordering::SeqCst);
            match self.attempt(&mut book, outgoing, progress)? {
                Attempt::Take(taken) => {
                    let next = book.host.next();
                    drop(book);
                    let filled = self.fill(taken, outgoing, progress.waiter);
                    if let Some(next) = next {
                        host::warm(self.memory.shared(), next);
                    }
                    return filled;
                }
                Attempt::Replied => return Ok(()),
                Attempt::Starved if last => {
                    return Err(self.error(Status::TIMEOUT).hint("no receive was posted in time"));
                }
                Attempt::Starved => book.hungry += 1,
            }
            drop(book);
            let on = On {
                word: &Upper(attention),
                reasons: REASON_BUFFER | REASON_REPLY,
                patience: &self.buffers,
                asleep: &self.asleep,
            };
            let look = || {
                let rung = attention.load(Ordering::Acquire) & (ATTENTION_SLOTS | ATTENTION_REPLIED) != 0;
                let ended = || self.ended(Attention(attention).dead());
                (rung || self.stirred.load(Ordering::SeqCst) != seen || ended()).then_some(())
            };
            let rung = wait(&on, outgoing.deadline, look, || self.prepare_sleep(ATTENTION_HUNGRY, seen));
            // a peer that rings without end for nothing does not keep the deadline from passing
            last = rung.is_none() || outgoing.deadline.is_some_and(Deadline::passed);
            self.book().hungry -= 1;
        }
    }

    /// One attempt to find a receive for a message.
    pub(super) fn attempt(
        &self,
        book: &mut Book,
        outgoing: &Outgoing<'_>,
        progress: &mut Progress,
    ) -> Result<Attempt, Error> {
        let shared = self.memory.shared();
        let mut rung = Rung::default();
        let replied = |progress: &Progress| progress.waiter.is_some_and(|waiter| host::replied(shared, waiter));
        let attempt = if replied(progress) {
            Ok(Attempt::Replied)
        } else {
            match self.take(book, outgoing, progress, &mut rung) {
                // the reply may be what was rung just now
                Ok(Attempt::Starved) if replied(progress) => Ok(Attempt::Replied),
                attempt => attempt,
            }
        };
        if book.host.leaves_work(shared, rung, book.hungry) {
            self.stir();
        }
        attempt
    }

    fn take(
        &self,
        book: &mut Book,
        outgoing: &Outgoing<'_>,
        progress: &mut Progress,
        rung: &mut Rung,
    ) -> Result<Attempt, Error> {
        let (host_memory, shared) = (self.memory.host(), self.memory.shared());
        loop {
            let (take, now) = book.host.take(shared, outgoing.message.len(), !progress.refused);
            rung.gets |= now.gets;
            rung.replies |= now.replies;
            let (taken, refuse) = match take {
                Take::Nothing => return Ok(Attempt::Starved),
                Take::Deliver(taken) => (taken, false),
                Take::TooSmall(taken) => (taken, true),
            };
            if let (Some(capacity), None) = (outgoing.reply, progress.waiter) {
                // a refused message can be answered by its id while its sender looks at the attention word only
                let flags = outgoing.flags | if refuse { FLAG_ATTENTION } else { 0 };
                book.host.collect(&self.spare);
                progress.waiter = book.host.arm(host_memory, shared, capacity, flags);
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
        if host::complete(host_memory, shared, taken) {
            futex::wake(&shared.slots[taken.slot].word, u32::MAX, futex::ANY);
        }
    }

    /// Fills a taken receive with the message.
    fn fill(&self, taken: Taken, outgoing: &Outgoing<'_>, waiter: Option<Waiter>) -> Result<(), Error> {
        self.begin(taken, outgoing, waiter)?;
        match self.stream(taken, outgoing.message, || outgoing.deadline, waiter, || {}) {
            // whoever let go of it has answered, or will be seen not to have
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
                // its process has ended, or is about to: nobody will read this
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
        let tag = file_tag(taken.slot, taken.generation.number());
        let owner = self.memory.shared().slots[taken.slot].owner.load(Ordering::Relaxed);
        let socket = self.handles.socket_of(owner).ok_or(ErrorKind::NotConnected)?;
        socket.try_send(&FromHost::File { tag }.encode(), &[file])
    }

    /// Lets go of a taken receive for which there is nothing: it is refused as too small for a message that would fit,
    /// and posted anew.
    fn give_back(&self, taken: Taken, outgoing: &Outgoing<'_>) {
        self.complete(taken, &self.header(Outcome::TooSmall, outgoing, None), &[]);
    }

    fn await_reply(&self, waiter: Waiter, reply: &mut [u8], deadline: Option<Deadline>) -> Result<Reply, Error> {
        let shared = self.memory.shared();
        let on = On {
            word: &shared.waiters[waiter.index].word,
            reasons: futex::ANY,
            patience: &self.replies,
            asleep: &self.asleep,
        };
        let look = || {
            if self.closed() {
                return Some(false); // a disconnect wins over a reply
            }
            host::replied(shared, waiter).then_some(true)
        };
        let prepare = || {
            let asleep = host::prepare_sleep(shared, waiter);
            if asleep.is_none() {
                let dead = host::marked_dead(shared, waiter);
                if !self.ended(dead) && !host::replied(shared, waiter) {
                    self.violated(Violation::Restless);
                }
            }
            asleep
        };
        match wait(&on, deadline, look, prepare) {
            Some(true) => self.collect(waiter, reply, deadline),
            Some(false) => {
                self.give_up(waiter);
                Err(self.disconnected())
            }
            None if host::expire(shared, waiter) => {
                self.end(waiter);
                Err(self.no_reply())
            }
            None => self.collect(waiter, reply, deadline),
        }
    }

    pub(super) fn no_reply(&self) -> Error {
        self.error(Status::TIMEOUT).hint("no reply in time")
    }

    /// Copies a published reply, once, and ends the waiter.
    pub(super) fn collect(&self, waiter: Waiter, reply: &mut [u8], deadline: Option<Deadline>) -> Result<Reply, Error> {
        let collected = self.read_reply(waiter, reply, deadline);
        self.end(waiter);
        collected
    }

    fn read_reply(&self, waiter: Waiter, reply: &mut [u8], deadline: Option<Deadline>) -> Result<Reply, Error> {
        let replied = self.judge(waiter, reply.len())?;
        let fits = &mut reply[..replied.fits];
        match replied.window {
            None => read_words(&self.memory.shared().waiters[waiter.index].inline, fits),
            Some(window) => self.read_window(waiter, window, fits, replied.len, deadline)?,
        }
        Ok(Reply { status: replied.status, len: replied.fits })
    }

    /// Reads what lies beside a published reply, once, and judges it. There is `room` for so many bytes of payload.
    pub(super) fn judge(&self, waiter: Waiter, room: usize) -> Result<Replied, Error> {
        let published = host::published(self.memory.shared(), waiter).and_then(|published| {
            let len = usize::try_from(published.len).unwrap_or(usize::MAX);
            let fits = len.min(room).min(self.capacity_of(waiter));
            let status = if len > fits { Status::BUFFER_OVERFLOW } else { Status(published.status) };
            let lies = published.window.is_some() || fits <= REPLY_INLINE;
            self.replies.peer_ran_on(published.cpu);
            let len = len.min(self.capacity_of(waiter));
            lies.then_some(Replied { status, fits, len, window: published.window })
        });
        published.ok_or_else(|| {
            self.violated(Violation::BadReply);
            self.disconnected()
        })
    }

    /// The capacity that the replier was told: the host's region is ours alone.
    pub(super) fn capacity_of(&self, waiter: Waiter) -> usize {
        self.memory.host().waiters[waiter.index].capacity.load(Ordering::Relaxed) as usize
    }

    /// Gives up a waiter, whatever has become of it.
    pub(super) fn give_up(&self, waiter: Waiter) {
        if !self.ours() {
            return;
        }
        let _replied = host::expire(self.memory.shared(), waiter);
        self.end(waiter);
    }

    /// Lets a waiter's index be used again.
    pub(super) fn end(&self, waiter: Waiter) {
        let long = self.capacity_of(waiter) > WINDOW;
        let (host_memory, shared) = (self.memory.host(), self.memory.shared());
        if !(host::replied(shared, waiter) && self.spare.disarm(host_memory, waiter)) {
            self.book().host.disarm(host_memory, shared, waiter);
        }
        if long {
            // a replier that streams sleeps on the counter until it sees that the waiter has ended
            futex::wake(&host_memory.waiters[waiter.index].drained, u32::MAX, futex::ANY);
        }
        self.take_back();
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
