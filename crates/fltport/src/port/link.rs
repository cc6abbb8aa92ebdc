//! One connection, as all threads of the filter share it: its memory, its sockets, and its end.
//!
//! What keeps it right: `closed` is set before any word is marked dead, and a thread counts itself in `asleep` before its
//! last look at `closed`; so a thread that is about to sleep sees the end, or is waited for by it.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use proto::client;
use proto::host::{Host, Spare, Taken};
use proto::name::PortName;
use proto::slots::{
    ATTENTION_DEAD, Attention, Bell, CALLS, HOLDERS, Holder, REASON_BUFFER, REASON_REPLY, Requests, Word,
};
use proto::status::Status;
use proto::violation::Violation;
use proto::wait::Patience;
use sys::fork::ForkGuard;
use sys::futex::{self, Upper};
use sys::memory::Memory;
use sys::peer::Credentials;

use super::callback::PortId;
use super::handles::Handles;
use super::violations::Violations;
use crate::Error;
use crate::sync::lock;

/// What one connection is, for the filter.
pub(super) struct Link {
    pub(super) port_id: PortId,
    pub(super) port: PortName,
    pub(super) peer: Arc<Credentials>,
    pub(super) memory: Memory,
    /// The sockets, each of which keeps the connection alive.
    pub(super) handles: Handles,
    /// Processes that have ended and of which something is left to take back: bits by number.
    left: AtomicU32,
    /// Of each slot, the generation of which a thread sends a long payload; 0: none. Made for the first one.
    streaming: OnceLock<Box<[AtomicU32]>>,
    pub(super) ledger: Mutex<Ledger>,
    pub(super) spare: Spare,
    /// Moves when a thread leaves something in the ledger for another: threads that spin look at it.
    pub(super) epoch: AtomicU32,
    pub(super) buffers: Patience,
    pub(super) replies: Patience,
    pub(super) requests: Patience,
    violations: Arc<Violations>,
    guard: ForkGuard,
    closed: AtomicBool,
    /// Threads of the filter that sleep on words of this connection, or are about to.
    pub(super) asleep: AtomicUsize,
    /// The client knows that it is connected: until then the socket is the handshake's.
    welcomed: AtomicBool,
}

/// What the connection's lock protects.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) host: Host,
    /// Threads that wait for a receive buffer.
    pub(super) awaiting: usize,
}

impl Link {
    pub(super) fn new(
        port_id: PortId,
        port: PortName,
        peer: Arc<Credentials>,
        memory: Memory,
        violations: Arc<Violations>,
    ) -> Self {
        Self {
            port_id,
            port,
            peer,
            memory,
            handles: Handles::default(),
            left: AtomicU32::new(0),
            streaming: OnceLock::new(),
            ledger: Mutex::new(Ledger { host: Host::new(), awaiting: 0 }),
            spare: Spare::default(),
            epoch: AtomicU32::new(0),
            buffers: Patience::default(),
            replies: Patience::default(),
            requests: Patience::default(),
            violations,
            guard: ForkGuard::new(),
            closed: AtomicBool::new(false),
            asleep: AtomicUsize::new(0),
            welcomed: AtomicBool::new(false),
        }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    pub(super) fn closed(&self) -> bool {
        // in one order with the count of sleeping threads: one that counts itself and sees no end is seen by the one
        // that ends
        self.closed.load(Ordering::SeqCst)
    }

    /// Whether this is the process that accepted the connection. In a forked child it is the parent's: nothing of it
    /// may be used or cleaned up there.
    pub(super) fn ours(&self) -> bool {
        self.guard.same_process()
    }

    /// What every send starts with.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.check_process()?;
        if self.closed() { Err(self.disconnected()) } else { Ok(()) }
    }

    /// Before anything of the connection is touched, its locks too: in a fork they are as they happened to be.
    pub(super) fn check_process(&self) -> Result<(), Error> {
        if self.ours() {
            return Ok(());
        }
        Err(self.error(Status::INVALID_HANDLE).hint("this process is a fork of the filter's"))
    }

    /// What a send ends with.
    pub(super) fn error(&self, status: Status) -> Error {
        Error::new(status, format!("sending to a client of {}", self.port))
    }

    pub(super) fn disconnected(&self) -> Error {
        self.error(Status::PORT_DISCONNECTED)
    }

    pub(super) fn no_reply(&self) -> Error {
        self.error(Status::TIMEOUT).hint("no reply in time")
    }

    /// Ends the connection: no thread falls asleep on it any more, and those that sleep wake.
    pub(super) fn close(&self) {
        self.close_for(None);
    }

    fn close_for(&self, violation: Option<Violation>) {
        if self.ours() && !self.closed.swap(true, Ordering::SeqCst) {
            if let Some(violation) = violation {
                self.violations.note(violation, &self.port, &self.peer);
            }
            self.wake_all();
            if self.welcomed.load(Ordering::SeqCst) {
                // the client's monitor sees the end of the stream; its own end stays open until it lets its handle go
                self.handles.each(|socket| socket.shutdown_write());
            }
        }
    }

    /// The client has been told that it is connected. A filter that has closed it already, in its connect callback, has
    /// left the socket open for that.
    pub(super) fn welcomed(&self) {
        self.welcomed.store(true, Ordering::SeqCst);
        if self.closed.load(Ordering::SeqCst) {
            self.handles.each(|socket| socket.shutdown_write());
        }
    }

    /// The filter does not accept the client, which is still to be told so: nothing is left open for a filter that
    /// keeps its [`super::Client`].
    pub(super) fn refuse(&self) {
        self.close();
        self.handles.forget();
    }

    /// A peer broke the protocol: the connection ends. Counted and logged if that had not ended yet.
    pub(super) fn violated(&self, violation: Violation) {
        self.close_for(Some(violation));
    }

    /// Whether the connection has ended, for a thread that saw a word which is `marked` so. Every mark comes after
    /// `closed`: one without it is the peer's, and would keep our threads from falling asleep.
    pub(super) fn ended(&self, marked: bool) -> bool {
        if marked && !self.closed() {
            self.violated(Violation::ForgedEnd);
        }
        self.closed()
    }

    /// Marks every word that a thread may sleep on, and wakes those that do. Said again until all are out, because a
    /// hostile peer can take the marks off.
    fn wake_all(&self) {
        let shared = self.memory.shared();
        shared.attention.word.fetch_or(ATTENTION_DEAD, Ordering::SeqCst);
        futex::wake(&Upper(&shared.attention.word), u32::MAX, REASON_BUFFER | REASON_REPLY);
        Requests(&shared.requests.word).mark_dead();
        futex::wake(&Upper(&shared.requests.word), u32::MAX, futex::ANY);
        for word in self.waiters() {
            Word::mark_dead(word);
            futex::wake(word, u32::MAX, futex::ANY);
        }
        // a thread that posts in another slot after the bit above marks that itself
        for slot in client::calls(shared) {
            let word = &shared.slots[slot].word;
            if Word::mark_dead(word) {
                futex::wake(word, u32::MAX, futex::ANY);
            }
        }
        for bell in &shared.bells.words {
            if Bell(bell).ring_sleepers() {
                futex::wake(bell, u32::MAX, futex::ANY);
            }
        }
    }

    /// The words of waiters that are in use.
    fn waiters(&self) -> impl Iterator<Item = &AtomicU32> {
        // the host's region is ours alone: what it says of live waiters is true
        let waiters = self.memory.host().waiters.iter().zip(&self.memory.shared().waiters);
        waiters.filter(|(ours, _)| ours.id.load(Ordering::Acquire) != 0).map(|(_, theirs)| &theirs.word)
    }

    /// A process that used the connection is gone, for certain, and other handles are not.
    pub(super) fn forget_holder(&self, holder: Holder) {
        self.left.fetch_or(1 << holder.number(), Ordering::SeqCst);
        self.take_back();
        // it may have taken a wish from a word and not lived to fulfil it
        self.make_all_look();
        for word in self.waiters() {
            futex::wake(word, u32::MAX, futex::ANY);
        }
    }

    /// The processes that are gone and of which something is left: bits by number.
    pub(super) fn holders_left(&self) -> u32 {
        self.left.load(Ordering::Acquire)
    }

    /// Whether the process that uses `slot` is gone.
    pub(super) fn orphaned(&self, slot: usize) -> bool {
        let left = self.holders_left();
        let owner = || self.memory.shared().slots[slot].owner.load(Ordering::Relaxed);
        left != 0 && 1_u32.checked_shl(owner()).is_some_and(|bit| left & bit != 0)
    }

    /// A long payload goes into this slot. Until it is there whole, or given up, nothing is taken back from a process
    /// that ends.
    pub(super) fn begin_streaming(&self, taken: Taken) {
        let none = || (0..CALLS).map(|_| AtomicU32::new(0)).collect();
        self.streaming.get_or_init(none)[taken.slot].store(taken.generation.number(), Ordering::SeqCst);
    }

    /// It has gone, as far as it will. A slot that was let go of may have its next one by now, of which this says
    /// nothing.
    pub(super) fn end_streaming(&self, taken: Taken) {
        let Some(streaming) = self.streaming.get() else { return };
        let (streaming, ended) = (&streaming[taken.slot], taken.generation.number());
        // a look first: a hot message is never among them, and need not lock the word's line
        if streaming.load(Ordering::Relaxed) == ended {
            let _ = streaming.compare_exchange(ended, 0, Ordering::SeqCst, Ordering::Relaxed);
        }
    }

    fn is_streaming(&self, slot: usize) -> bool {
        let streaming = self.streaming.get().and_then(|streaming| streaming.get(slot));
        streaming.is_some_and(|streaming| streaming.load(Ordering::SeqCst) != 0)
    }

    /// Takes back what processes had that are gone, as far as no thread of ours works on it. Called again by each that
    /// is done with something.
    pub(super) fn take_back(&self) {
        if self.holders_left() == 0 || self.closed() {
            return;
        }
        let (host, shared) = (self.memory.host(), self.memory.shared());
        let ledger = self.ledger();
        // with the ledger held: a number of which nothing is left any more may be a new process's at once
        let left = self.holders_left();
        for holder in (1..=HOLDERS).filter(|number| left & 1 << number != 0).filter_map(Holder::new) {
            if ledger.host.release(host, shared, holder, |slot| self.is_streaming(slot)) {
                self.left.fetch_and(!(1 << holder.number()), Ordering::SeqCst);
            }
        }
        drop(ledger);
        let _ = client::freed(shared);
        futex::wake(&shared.allocation.freed, u32::MAX, futex::ANY);
    }

    /// Waits until no thread sleeps on the connection, which must be closed. One round is enough for an honest peer.
    pub(super) fn drain(&self) {
        while self.asleep.load(Ordering::SeqCst) != 0 {
            self.wake_all();
            if self.asleep.load(Ordering::SeqCst) != 0 {
                std::thread::park_timeout(std::time::Duration::from_micros(100));
            }
        }
    }

    /// Says in the attention word that a thread will sleep for the `wishes`, which has `seen` this epoch. The
    /// value to sleep on, or `None` when there is something to look at.
    pub(super) fn prepare_sleep(&self, wishes: u64, seen: u32) -> Option<u32> {
        let asleep = Attention(&self.memory.shared().attention.word).prepare_sleep(wishes);
        // after the wish: an epoch that moved before it has moved by now, one that moves after it changes the word
        asleep.filter(|_| self.epoch.load(Ordering::SeqCst) == seen)
    }

    /// Tells the threads that wait for buffers, and that of the ask queue, that the ledger or the attention word has something for
    /// them which this thread took from the word.
    pub(super) fn make_all_look(&self) {
        let attention = &self.memory.shared().attention.word;
        self.epoch.fetch_add(1, Ordering::SeqCst);
        Attention(attention).move_epoch();
        futex::wake(&Upper(attention), u32::MAX, REASON_BUFFER | REASON_REPLY);
    }
}

#[cfg(test)]
impl Link {
    /// A connection whose port and application are the test.
    pub(super) fn without_a_port() -> Arc<Self> {
        let (memory, _files) = Memory::create().unwrap();
        let peer = Credentials { pid: 0, uid: 0, gid: 0, groups: Vec::new() };
        let name = PortName::parse(r"\Port").unwrap();
        Arc::new(Self::new(PortId::new(), name, Arc::new(peer), memory, Arc::default()))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// Waits until a thread of this process sleeps, by what the kernel says of it.
    fn until_it_sleeps(thread: i32) {
        let stat = format!("/proc/self/task/{thread}/stat");
        let sleeps = || std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") S "));
        while !sleeps() {
            thread::park_timeout(Duration::from_micros(100));
        }
    }

    #[test]
    fn a_process_with_the_number_of_one_that_has_ended_keeps_what_it_has() {
        let link = Link::without_a_port();
        let (slot, number) = (5, 2);
        let shared = link.memory.shared();
        link.left.store(1 << number, Ordering::SeqCst);
        let ledger = link.ledger();
        thread::scope(|scope| {
            let (tell, told) = std::sync::mpsc::sync_channel(1);
            let link = &link;
            let taking = scope.spawn(move || {
                tell.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
                link.take_back();
            });
            // it has seen that something is left, and waits for the ledger
            until_it_sleeps(told.recv().unwrap());
            // meanwhile another has taken that back, and a new process has the number and posts
            link.left.store(0, Ordering::SeqCst);
            shared.allocation.used[0].store(1 << slot, Ordering::SeqCst);
            shared.slots[slot].owner.store(number, Ordering::SeqCst);
            drop(ledger);
            taking.join().unwrap();
        });
        assert_eq!(shared.slots[slot].owner.load(Ordering::SeqCst), number);
        assert_eq!(shared.allocation.used[0].load(Ordering::SeqCst), 1 << slot);
    }
}
