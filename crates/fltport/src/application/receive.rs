//! Receiving: a GET is posted, completed by a filter, and read once.

use std::cell::Cell;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use proto::client::{self, Completion, Posted};
use proto::host::{ABORTED, FLAG_FILE, Outcome};
use proto::slots::{Chunks, GETS, REASON_BUFFER, read_words};
use proto::status::Status;
use proto::wire::{FromHost, MAX_SMALL_MESSAGE_LEN};
use sys::clock::{self, Deadline};
use sys::futex;

use super::message::{Body, Message};
use super::{Connection, Link, lock};
use crate::Error;
use crate::wait::{Counted, On, Timeout, wait, wait_counter};

pub(super) const RECEIVING: &str = "receiving from";

/// How long a look for a message waits for a filter that it has woken, which comes in some microseconds unless its
/// process is stopped or the machine is busy.
const COMING: Duration = Duration::from_millis(100);

/// More files than this do not lie before that of a message: each posted receive has one at most. A host that sends
/// others would keep us reading.
const MOST_FILES: usize = 4 * GETS;

/// What a receive with a buffer of limited size got.
#[derive(Debug)]
pub enum Received {
    /// A message.
    Message(Message),
    /// A message waits that is larger than the buffer. Its sender goes on waiting for a larger one.
    #[doc(alias = "ERROR_INSUFFICIENT_BUFFER")]
    TooSmall {
        /// Bytes of body that a buffer must hold. (Windows counts 16 more for the header.)
        needed: usize,
        /// The message's id if it wants a reply, which it may be given unread ([`Connection::reply`]); else 0.
        id: u64,
        /// How many bytes of reply its filter has room for; `None` when it wants no reply.
        reply_capacity: Option<usize>,
    },
}

impl Connection {
    /// Waits for a message of any size and returns it.
    ///
    /// # Errors
    /// [`Status::PORT_DISCONNECTED`] when the filter closes, or is gone. [`Status::CANCELLED`] after
    /// [`Connection::cancel_receives`].
    /// [`Status::INSUFFICIENT_RESOURCES`]: a message came for which there is no memory, or no descriptor for its file;
    /// its filter, if it waits, has been answered so.
    #[doc(alias = "FilterGetMessage")]
    pub fn recv(&self) -> Result<Message, Error> {
        match self.recv_deadline(u64::MAX, None)? {
            Some(Received::Message(message)) => Ok(message),
            // without a deadline a receive ends with a message or an error, and nothing is larger than everything
            _ => Err(self.link.disconnected(RECEIVING)),
        }
    }

    /// Waits for a message for so long at most; `None` when none came. A message that is being delivered at that moment
    /// is returned, not lost.
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Option<Message>, Error> {
        Ok(match self.recv_deadline(u64::MAX, Timeout::After(timeout).deadline())? {
            Some(Received::Message(message)) => Some(message),
            _ => None,
        })
    }

    /// Takes a message from a filter that sleeps until there is a buffer; `None`, at once, when there is none. It is woken
    /// for that: to look for messages again and again, post receives and ask [`super::Completions::try_next`].
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub fn try_recv(&self) -> Result<Option<Message>, Error> {
        self.recv_timeout(Duration::ZERO)
    }

    /// Receives into a buffer for `capacity` bytes of body, as Windows' receivers do: a larger message is refused, and
    /// its sender goes on waiting.
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub fn recv_limited(&self, capacity: usize, timeout: Timeout) -> Result<Option<Received>, Error> {
        self.recv_deadline(capacity as u64, timeout.deadline())
    }

    fn recv_deadline(&self, capacity: u64, deadline: Option<Deadline>) -> Result<Option<Received>, Error> {
        let link = &self.link;
        link.check(RECEIVING)?;
        let Some(mut get) = Get::post(link, capacity, deadline)? else { return Ok(None) };
        let over = get.woke && deadline.is_some_and(Deadline::passed);
        let deadline = if over { Some(Deadline::Monotonic(clock::monotonic() + COMING)) } else { deadline };
        loop {
            if !get.wait(deadline)? {
                return Ok(None);
            }
            match get.read()? {
                Read::Message(message) => return Ok(Some(Received::Message(message))),
                Read::TooSmall { needed, id, reply_capacity } => {
                    return Ok(Some(Received::TooSmall { needed, id, reply_capacity }));
                }
                Read::Aborted => get = get.again()?,
            }
        }
    }

    /// Several GETs that stay posted: what a program does that posts buffers ahead of its work. `depth` is 1 to 48; all
    /// receivers of a connection share 48. Waits until so many are free, and takes none before.
    ///
    /// # Errors
    /// [`Status::INVALID_PARAMETER`] for another depth; [`Status::PORT_DISCONNECTED`]; [`Status::CANCELLED`], while it
    /// waits.
    pub fn receiver(&self, depth: usize) -> Result<Receiver, Error> {
        self.link.check(RECEIVING)?;
        if !(1..=GETS).contains(&depth) {
            return Err(Error::new(Status::INVALID_PARAMETER, format!("posting {depth} receives"))
                .hint(format!("1 to {} can be posted", GETS)));
        }
        let link = &self.link;
        let reserve = || client::reserve_gets(link.memory.shared(), depth, link.holder);
        // without a deadline they are there, or there is an error
        let slots = Get::reserve(link, None, reserve)?.unwrap_or(0);
        let slots = (0..GETS).filter(|slot| slots & 1 << slot != 0);
        // each is tried: one that cannot be posted gives its slot back
        let gets: Vec<_> = slots.map(|slot| Get::post_in(link, slot, u64::MAX)).collect();
        Ok(Receiver { link: Arc::clone(link), gets: gets.into_iter().collect::<Result<_, _>>()?, read: None })
    }
}

/// GETs that stay posted, oldest first. Dropping it takes them back; messages delivered meanwhile are answered as
/// [`Message`]s that are dropped.
#[derive(Debug)]
#[doc(alias("OVERLAPPED", "CreateIoCompletionPort"))]
pub struct Receiver {
    link: Arc<Link>,
    gets: VecDeque<Get>,
    /// The GET of the last message, read and not posted anew yet.
    read: Option<Get>,
}

impl Receiver {
    /// Waits for a message. The GET that it comes in is posted anew by the next call, so that one fewer is posted while
    /// a message is worked on.
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub fn recv(&mut self) -> Result<Message, Error> {
        match self.recv_next() {
            Err(end) if end.status() == Status::PORT_DISCONNECTED => self.delivered().ok_or(end),
            received => received,
        }
    }

    /// What was delivered before the connection ended is told before the end.
    fn delivered(&mut self) -> Option<Message> {
        while let Some(index) = self.gets.iter().position(Get::completed) {
            if let Ok(Read::Message(message)) = self.gets.remove(index)?.read() {
                return Some(message);
            }
        }
        None
    }

    fn recv_next(&mut self) -> Result<Message, Error> {
        loop {
            self.link.check(RECEIVING)?;
            if let Some(read) = self.read.take() {
                self.gets.push_back(read.again()?);
            }
            let index = match self.next() {
                Err(error) if error.status() == Status::CANCELLED => {
                    self.post_cancelled()?;
                    return Err(error);
                }
                index => index?,
            };
            let Some(mut get) = self.gets.remove(index) else { continue };
            let read = get.read();
            self.read = Some(get);
            if let Read::Message(message) = read? {
                return Ok(message);
            }
        }
    }

    /// Posts anew what was taken back, behind what was not: the oldest must stay in front, because its word is slept
    /// on.
    fn post_cancelled(&mut self) -> Result<(), Error> {
        let (cancelled, posted): (VecDeque<_>, _) = self.gets.drain(..).partition(Get::cancelled);
        self.gets = posted;
        for get in cancelled {
            self.gets.push_back(get.again()?);
        }
        Ok(())
    }

    /// Waits for a GET to complete; its index.
    fn next(&self) -> Result<usize, Error> {
        let Some(front) = self.gets.front() else { return Err(self.link.disconnected(RECEIVING)) };
        // GETs are filled oldest first, so the front completes first, unless its filter is slow and another's is not:
        // the others are looked at only before sleeping, because a look fetches a line that a filter is about to fill
        let other = Cell::new(None);
        let cancelled = Cell::new(false);
        let on = front.on();
        let look = || match front.look() {
            Some(true) => Some(Some(0)),
            Some(false) => Some(None),
            None if cancelled.get() => Some(None),
            None => other.get().map(Some),
        };
        let prepare = || {
            // the youngest first: when it is complete, the older ones that were filled before it are seen to be so too
            let completed = |found, (index, get): (_, &Get)| if get.completed() { Some(index) } else { found };
            other.set(self.gets.iter().enumerate().rev().fold(None, completed));
            if other.get().is_some() { None } else { front.prepare(&cancelled) }
        };
        wait(&on, None, look, prepare).flatten().ok_or_else(|| match cancelled.get() {
            true => self.link.cancelled(),
            false => self.link.disconnected(RECEIVING),
        })
    }
}

/// What a complete GET held.
pub(super) enum Read {
    Message(Message),
    TooSmall {
        needed: usize,
        id: u64,
        reply_capacity: Option<usize>,
    },
    /// The filter gave up in the middle of a long message: as if it had not begun.
    Aborted,
}

/// One posted GET. Dropping it cancels it; a message that was delivered at that moment is refused.
#[derive(Debug)]
pub(super) struct Get {
    link: Arc<Link>,
    pub(super) posted: Posted,
    pub(super) capacity: u64,
    open: bool,
    /// A filter slept until it was posted, and comes to fill it.
    woke: bool,
}

impl Get {
    /// Posts a GET, waiting for a slot; `None` when none became free before the deadline.
    fn post(link: &Arc<Link>, capacity: u64, deadline: Option<Deadline>) -> Result<Option<Self>, Error> {
        let reserve = || client::reserve_get(link.memory.shared(), link.holder);
        let slot = Self::reserve(link, deadline, reserve)?;
        slot.map(|slot| Self::post_in(link, slot, capacity)).transpose()
    }

    /// Reserves slots by `reserve`, waiting for them; `None` when the deadline passed.
    fn reserve<T>(
        link: &Link,
        deadline: Option<Deadline>,
        reserve: impl Fn() -> Option<T>,
    ) -> Result<Option<T>, Error> {
        if let Some(reserved) = reserve() {
            return Ok(Some(reserved));
        }
        let cancels = link.slots.cancels.load(Ordering::SeqCst);
        let cancelled = || link.slots.cancels.load(Ordering::SeqCst) != cancels;
        let over = || deadline.is_some_and(Deadline::passed);
        let reserve = || {
            if cancelled() { Some(None) } else { reserve().map(Some).or_else(|| over().then_some(None)) }
        };
        match link.reserve(deadline, reserve).ok_or_else(|| link.disconnected(RECEIVING))? {
            None if cancelled() => Err(link.cancelled()),
            reserved => Ok(reserved),
        }
    }

    /// Posts a GET if a slot is free. May be called with the lock of a [`super::Completions`] held.
    pub(super) fn try_post(link: &Arc<Link>, capacity: u64) -> Result<Option<Self>, Error> {
        let slot = client::reserve_get(link.memory.shared(), link.holder);
        slot.map(|slot| Self::post_in(link, slot, capacity)).transpose()
    }

    fn post_in(link: &Arc<Link>, slot: usize, capacity: u64) -> Result<Self, Error> {
        match Self::try_post_in(link, slot, capacity) {
            Some((posted, woke)) => Ok(Self { link: Arc::clone(link), posted, capacity, open: true, woke }),
            None => {
                // completions are not told, whose lock may be held here: the connection is gone, which everybody is told
                link.free(slot);
                Err(link.disconnected(RECEIVING))
            }
        }
    }

    /// Posts a GET in a reserved slot, and says whether a filter was woken; `None` when the connection is gone.
    fn try_post_in(link: &Link, slot: usize, capacity: u64) -> Option<(Posted, bool)> {
        if link.gone() {
            return None;
        }
        let shared = link.memory.shared();
        client::pass_over_last(link.memory.host(), shared, slot);
        let (posted, wake) = client::post_get(shared, slot, capacity)?;
        // looked at again: this process may have disconnected, and has marked what was posted before. What comes from
        // now on is for the others
        let over = link.gone() && client::cancel(shared, posted);
        // in any case: the wish was taken from the word
        let woke = link.wake(wake, &shared.attention.word, REASON_BUFFER);
        (!over).then_some((posted, woke))
    }

    /// Posts a GET that was read anew, in the same slot.
    pub(super) fn again(mut self) -> Result<Self, Error> {
        let posted = Self::try_post_in(&self.link, self.posted.slot, self.capacity);
        (self.posted, self.woke) = posted.ok_or_else(|| self.link.disconnected(RECEIVING))?;
        self.open = true;
        Ok(self)
    }

    pub(super) fn completed(&self) -> bool {
        client::completed(self.link.memory.host(), self.posted)
    }

    /// Whether [`Connection::cancel_receives`], or [`Get::cancel`], took it back.
    pub(super) fn cancelled(&self) -> bool {
        self.open && client::cancelled(self.link.memory.shared(), self.posted)
    }

    /// Takes it back; false when a filter has taken it: it completes in a moment.
    pub(super) fn cancel(&self) -> bool {
        client::cancel(self.link.memory.shared(), self.posted)
    }

    /// Waits until the GET is complete. False: the deadline passed and the GET was taken back.
    fn wait(&mut self, deadline: Option<Deadline>) -> Result<bool, Error> {
        let cancelled = Cell::new(false);
        let look = || if cancelled.get() { Some(false) } else { self.look() };
        let mut completed = wait(&self.on(), deadline, look, || self.prepare(&cancelled));
        if completed.is_none() {
            if self.cancel() {
                self.open = false;
                return Ok(false);
            }
            // a filter took it at the last moment: it completes, unless the host dies
            completed = wait(&self.on(), None, look, || self.prepare(&cancelled));
        }
        match completed {
            Some(true) => Ok(true),
            _ if cancelled.get() => Err(self.link.cancelled()),
            _ => Err(self.link.disconnected(RECEIVING)),
        }
    }

    fn on(&self) -> On<'_, AtomicU32> {
        let link = &self.link;
        let word = &link.memory.shared().slots[self.posted.slot].word;
        On { word, reasons: futex::ANY, patience: &link.receives, asleep: &link.asleep }
    }

    /// Whether it is complete, or, false, never will be.
    fn look(&self) -> Option<bool> {
        if client::completed_soon(self.link.memory.host(), self.posted) {
            return Some(true);
        }
        // looked at again: what was delivered before the end is told before it
        self.link.gone().then(|| self.completed())
    }

    /// The value to sleep on. When there is none, somebody may have taken the GET back: looked for only here, so that a
    /// hot receive has nothing to look at besides its message.
    fn prepare(&self, cancelled: &Cell<bool>) -> Option<u32> {
        let asleep = self.link.prepare_sleep(self.posted);
        cancelled.set(asleep.is_none() && self.cancelled());
        asleep
    }

    /// Reads a complete GET.
    pub(super) fn read(&mut self) -> Result<Read, Error> {
        self.open = false;
        let link = &self.link;
        let completion = client::completion(link.memory.host(), self.posted);
        link.receives.peer_ran_on(completion.cpu);
        match completion.outcome {
            Some(Outcome::TooSmall) => {
                // a filter that has taken it and cannot use it, because too many messages wait for replies, gives it
                // back
                if completion.len <= self.capacity {
                    return Ok(Read::Aborted);
                }
                let needed = usize::try_from(completion.len).unwrap_or(usize::MAX);
                let reply_capacity = completion.reply_to.map(|to| to.capacity as usize);
                Ok(Read::TooSmall { needed, id: completion.id, reply_capacity })
            }
            // memory is taken for no more than the receive is for, whatever the host says
            Some(Outcome::Message) if completion.len > self.capacity => {
                Err(link.error(Status::INVALID_PARAMETER, RECEIVING).hint("the host sent more than was asked for"))
            }
            Some(Outcome::Message) => {
                let read = self.message(&completion);
                if let (Err(error), Some(to)) = (&read, completion.reply_to) {
                    // nobody will see the message: its filter need not wait for the reply. That this process has
                    // disconnected is no news of the filter's connection, where it waits
                    let status = if link.gone() { Status::CANCELLED } else { error.status() };
                    link.refuse(completion.id, to, status);
                }
                read
            }
            _ => Err(link.error(Status::INVALID_PARAMETER, RECEIVING).hint("the host speaks a newer protocol")),
        }
    }

    fn message(&self, completion: &Completion) -> Result<Read, Error> {
        let link = &self.link;
        let file = if completion.flags & FLAG_FILE == 0 { None } else { Some(link.file(self.posted)?) };
        let Some(body) = self.body(completion)? else { return Ok(Read::Aborted) };
        Ok(Read::Message(Message {
            link: Arc::clone(link),
            body,
            id: completion.id,
            reply_to: completion.reply_to,
            deadline: completion.deadline,
            file,
        }))
    }

    /// Lets go of a message unread, of which the rest may come at its filter's pace: who gives the slot back does not
    /// wait for it, and nor does the filter.
    fn refuse(&self) {
        let link = &self.link;
        let completion = client::completion(link.memory.host(), self.posted);
        if completion.outcome != Some(Outcome::Message) {
            return;
        }
        if completion.flags & FLAG_FILE != 0 {
            drop(link.file(self.posted));
        }
        if let Some(to) = completion.reply_to {
            link.refuse(completion.id, to, Status::CANCELLED);
        }
    }

    fn body(&self, completion: &Completion) -> Result<Option<Body>, Error> {
        let link = &self.link;
        let (host, slot) = (link.memory.host(), self.posted.slot);
        let len = usize::try_from(completion.len).map_err(|_| link.disconnected(RECEIVING))?;
        let mut body = Body::new();
        if body.try_reserve_exact(len).is_err() {
            return Err(link
                .error(Status::INSUFFICIENT_RESOURCES, RECEIVING)
                .hint(format!("a message of {len} bytes does not fit into memory")));
        }
        body.resize(len, 0);
        if client::lies_inline(len) {
            read_words(&host.slots[slot].inline, &mut body);
            return Ok(Some(body));
        }
        match link.read_pieces(slot, &mut body) {
            Some(whole) => Ok(whole.then_some(body)),
            None => Err(link.disconnected(RECEIVING)),
        }
    }
}

impl Drop for Get {
    fn drop(&mut self) {
        if !self.link.guard.same_process() {
            return;
        }
        if self.open && !self.cancelled() && !self.cancel() && matches!(self.wait(None), Ok(true)) {
            self.refuse();
        }
        self.link.release(self.posted.slot);
    }
}

impl Link {
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

    /// The file that was sent ahead of the message in `posted`. Files arrive in order, messages are read in any: what
    /// belongs to another thread's message is put aside for it.
    fn file(&self, posted: Posted) -> Result<OwnedFd, Error> {
        let tag = file_tag(posted.slot, posted.generation.number());
        let mut files = lock(&self.files);
        let failed = |error| {
            Error::with_source(Status::INSUFFICIENT_RESOURCES, format!("{RECEIVING} {}", self.name), error)
                .hint("the file of a message did not arrive; are there file descriptors left? (ulimit -n)")
        };
        for _ in 0..MOST_FILES {
            if files.get(&posted.slot).is_some_and(|&(other, _)| other == tag) {
                let Some((_, file)) = files.remove(&posted.slot) else { break };
                return Ok(file);
            }
            if self.gone() {
                return Err(self.disconnected(RECEIVING));
            }
            let mut packet = [0; MAX_SMALL_MESSAGE_LEN];
            let mut received = self.socket.try_recv(&mut packet).map_err(failed)?;
            match (FromHost::parse(&packet[..received.len]), received.files.pop()) {
                (Ok(FromHost::File { tag }), Some(file)) => {
                    // one for each receive: those that a host makes up would take all descriptors
                    let slot = usize::try_from(tag >> 32).ok().filter(|&slot| slot < GETS);
                    slot.and_then(|slot| files.insert(slot, (tag, file)));
                }
                (Ok(FromHost::File { tag: lost }), None) if lost == tag => {
                    return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
                }
                (Ok(FromHost::File { .. } | FromHost::Closed { .. }), _) => {}
                _ => return Err(self.disconnected(RECEIVING)),
            }
        }
        Err(self.error(Status::INVALID_PARAMETER, RECEIVING).hint("the host sent files of no message"))
    }
}

/// Which message a file belongs to.
pub(crate) fn file_tag(slot: usize, generation: u32) -> u64 {
    (slot as u64) << 32 | u64::from(generation)
}
