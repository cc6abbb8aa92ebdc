//! One connection on loom's atomics, and the loops of `fltmgr` around the functions of this crate.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use loom::sync::{Condvar, Mutex};

use fltmgr_proto::client::{self, Posted, Publish, ReplyTo};
use fltmgr_proto::host::{self, FLAG_ATTENTION, Header, Host, Outcome, Spare, Take, Waiter};
use fltmgr_proto::slots::{
    ATTENTION_AWAITS_GET, ATTENTION_AWAITS_REPLY, ATTENTION_DEAD, ATTENTION_GETS, ATTENTION_REPLIED, Attention, Bell,
    Holder, HostRegion, REASON_BUFFER, REASON_REPLY, SharedRegion, Wake, Word, read_words,
};

pub(crate) const ANY: u32 = u32::MAX;

/// One word's queue in the kernel.
pub(crate) struct Futex {
    pub(crate) queue: Mutex<Vec<(u32, Arc<Condvar>)>>,
}

impl Futex {
    pub(crate) fn new() -> Self {
        Self { queue: Mutex::new(Vec::new()) }
    }

    pub(crate) fn sleep(&self, now: impl Fn() -> u32, expected: u32, reasons: u32) {
        let mut queue = self.queue.lock().unwrap();
        if now() != expected {
            return;
        }
        let me = Arc::new(Condvar::new());
        queue.push((reasons, Arc::clone(&me)));
        while queue.iter().any(|(_, sleeper)| Arc::ptr_eq(sleeper, &me)) {
            queue = me.wait(queue).unwrap();
        }
    }

    pub(crate) fn wake(&self, count: usize, reasons: u32) {
        let mut queue = self.queue.lock().unwrap();
        for _ in 0..count {
            let Some(at) = queue.iter().position(|(theirs, _)| theirs & reasons != 0) else { return };
            queue.remove(at).1.notify_one();
        }
    }
}

/// The loop of `fltmgr::wait`, without spinning and without a deadline.
pub(crate) fn wait<T>(
    futex: &Futex,
    now: impl Fn() -> u32,
    reasons: u32,
    mut look: impl FnMut() -> Option<T>,
    mut prepare: impl FnMut() -> Option<u32>,
) -> T {
    loop {
        if let Some(found) = look() {
            return found;
        }
        if let Some(expected) = prepare() {
            futex.sleep(&now, expected, reasons);
        }
    }
}

pub(crate) fn upper(word: &AtomicU64) -> u32 {
    (word.load(Ordering::SeqCst) >> 32) as u32
}

/// One connection: its memory, the kernel's queues, and what the filter keeps under its lock.
pub(crate) struct World {
    pub(crate) host: Box<HostRegion>,
    pub(crate) shared: Box<SharedRegion>,
    pub(crate) attention: Futex,
    pub(crate) requests: Futex,
    pub(crate) slot: Futex,
    pub(crate) bell: Futex,
    pub(crate) waiter: Futex,
    pub(crate) ledger: Mutex<Ledger>,
    pub(crate) spare: Spare,
    pub(crate) epoch: AtomicU32,
    /// The host has ended the connection.
    pub(crate) closed: AtomicBool,
    /// The application knows that.
    pub(crate) gone: AtomicBool,
}

pub(crate) struct Ledger {
    pub(crate) host: Host,
    pub(crate) awaiting: usize,
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            host: HostRegion::boxed(),
            shared: SharedRegion::boxed(),
            attention: Futex::new(),
            requests: Futex::new(),
            slot: Futex::new(),
            bell: Futex::new(),
            waiter: Futex::new(),
            ledger: Mutex::new(Ledger { host: Host::new(), awaiting: 0 }),
            spare: Spare::default(),
            epoch: AtomicU32::new(0),
            closed: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        })
    }

    pub(crate) fn post(&self) -> Posted {
        self.try_post(false).unwrap()
    }

    /// A GET that `rings` the bell or not; `None` when the connection is gone.
    pub(crate) fn try_post(&self, rings: bool) -> Option<Posted> {
        let slot = client::reserve_get(&self.shared, Holder::FIRST).unwrap();
        if rings {
            client::let_ring(&self.shared, slot);
        }
        let (posted, wake) = client::post_get(&self.shared, slot, 8)?;
        self.ring(wake);
        Some(posted)
    }

    /// A thread that watches, as `fltport::application::watched` has it: waits until one of those that were `posted` is
    /// complete, or the bell has been rung since it was `seen`. True: the connection is gone.
    pub(crate) fn watch(&self, posted: &[Posted], seen: u32) -> bool {
        let bell = Bell(self.shared.bell(Holder::FIRST));
        let gone = || Attention(&self.shared.attention.word).dead();
        let found = || posted.iter().any(|&posted| client::completed(&self.host, posted));
        let look = || (bell.count() != seen || found() || gone()).then_some(());
        let prepare = || bell.prepare_sleep(seen).filter(|_| !found() && !gone());
        wait(&self.bell, || bell.0.load(Ordering::SeqCst), ANY, look, prepare);
        gone()
    }

    pub(crate) fn ring(&self, wake: Wake) {
        if wake == Wake::One {
            self.attention.wake(1, REASON_BUFFER);
        }
    }

    /// A receiver, as `fltmgr::connection::receive` has it: waits for the completion of a GET. The payload, or `None` when
    /// the connection is gone.
    pub(crate) fn receive(&self, posted: Posted) -> Option<u64> {
        let word = &self.shared.slots[posted.slot].word;
        let look = || {
            if client::completed_soon(&self.host, posted) {
                return Some(true);
            }
            // looked at again: what was delivered before the end is told before it
            self.gone.load(Ordering::Acquire).then(|| client::completed(&self.host, posted))
        };
        let prepare = || {
            let asleep = client::prepare_sleep(&self.shared, posted);
            if asleep.is_none() && Attention(&self.shared.attention.word).dead() {
                self.gone.store(true, Ordering::SeqCst);
            }
            asleep
        };
        let completed = wait(&self.slot, || word.load(Ordering::SeqCst), ANY, look, prepare);
        completed.then(|| self.read(posted))
    }

    pub(crate) fn read(&self, posted: Posted) -> u64 {
        let completion = client::completion(&self.host, posted);
        assert_eq!(completion.outcome, Some(Outcome::Message));
        let mut body = [0; 8];
        read_words(&self.host.slots[posted.slot].inline, &mut body[..completion.len as usize]);
        u64::from_le_bytes(body)
    }

    pub(crate) fn complete(&self, taken: host::Taken, payload: u64) {
        host::describe(&self.host, taken, &header(8), &payload.to_le_bytes());
        let bell = host::bell(&self.shared, taken);
        if host::complete(&self.host, &self.shared, taken) {
            self.slot.wake(usize::MAX, ANY);
        }
        if bell.is_some_and(|bell| Bell(bell).ring_sleepers()) {
            self.bell.wake(usize::MAX, ANY);
        }
    }

    /// What the host does at the end for the threads of the application that wait for slots, as `fltport::port::link` has
    /// it.
    pub(crate) fn end_slots(&self) {
        for slot in client::calls(&self.shared) {
            if Word::mark_dead(&self.shared.slots[slot].word) {
                self.slot.wake(usize::MAX, ANY);
            }
        }
        if Bell(self.shared.bell(Holder::FIRST)).ring_sleepers() {
            self.bell.wake(usize::MAX, ANY);
        }
    }

    pub(crate) fn make_all_look(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        Attention(&self.shared.attention.word).move_epoch();
        self.attention.wake(usize::MAX, REASON_BUFFER | REASON_REPLY);
    }

    pub(crate) fn prepare_sleep(&self, seen: u32) -> Option<u32> {
        let asleep = Attention(&self.shared.attention.word).prepare_sleep(ATTENTION_AWAITS_GET);
        asleep.filter(|_| self.epoch.load(Ordering::SeqCst) == seen)
    }

    /// A sender, as `fltmgr::port::deliver` has it, up to the receive that it takes.
    pub(crate) fn take(&self) -> host::Taken {
        let word = &self.shared.attention.word;
        loop {
            let mut ledger = self.ledger.lock().unwrap();
            let seen = self.epoch.load(Ordering::SeqCst);
            let (take, rung) = ledger.host.take(&self.shared, 8, false);
            if ledger.host.leaves_work(&self.shared, rung, ledger.awaiting) {
                self.make_all_look();
            }
            if let Take::Deliver(taken) = take {
                return taken;
            }
            ledger.awaiting += 1;
            drop(ledger);
            let rung = || word.load(Ordering::Acquire) & (ATTENTION_GETS | ATTENTION_REPLIED | ATTENTION_DEAD) != 0;
            wait(
                &self.attention,
                || upper(word),
                REASON_BUFFER | REASON_REPLY,
                || (rung() || self.epoch.load(Ordering::SeqCst) != seen).then_some(()),
                || self.prepare_sleep(seen),
            );
            self.ledger.lock().unwrap().awaiting -= 1;
        }
    }

    pub(crate) fn arm(&self, flags: u32) -> (Waiter, ReplyTo) {
        let mut ledger = self.ledger.lock().unwrap();
        ledger.host.collect(&self.spare);
        let waiter = ledger.host.arm(&self.host, &self.shared, 8, flags).unwrap();
        let attention = flags & FLAG_ATTENTION != 0;
        (waiter, ReplyTo { waiter: waiter.index, generation: waiter.generation, capacity: 8, attention })
    }

    /// A replier, as `fltmgr::connection::reply` has it.
    pub(crate) fn reply(&self, to: ReplyTo, payload: u64) -> bool {
        if !client::claim(&self.shared, to, Holder::FIRST, 0) {
            return false;
        }
        client::write_reply(&self.shared, to, payload as u32, &payload.to_le_bytes(), 8, None);
        match client::publish(&self.shared, to) {
            Publish::NoWaiter => false,
            Publish::Delivered { wake, attention } => {
                if wake {
                    self.waiter.wake(usize::MAX, ANY);
                }
                if attention {
                    self.attention.wake(usize::MAX, REASON_BUFFER | REASON_REPLY);
                }
                true
            }
        }
    }

    pub(crate) fn await_reply(&self, waiter: Waiter) -> Option<u64> {
        let word = &self.shared.waiters[waiter.index].word;
        let look = || {
            if self.closed.load(Ordering::Acquire) {
                return Some(false);
            }
            host::replied(&self.shared, waiter).then_some(true)
        };
        let prepare = || host::prepare_sleep(&self.shared, waiter);
        wait(&self.waiter, || word.load(Ordering::SeqCst), ANY, look, prepare).then(|| self.collect(waiter))
    }

    /// As the thread of `fltport`'s ask queue: waits for a reply on the attention word, with all the others.
    pub(crate) fn expect(&self, waiter: Waiter) -> u64 {
        let word = &self.shared.attention.word;
        loop {
            let seen = self.epoch.load(Ordering::SeqCst);
            if Attention(word).has_replies() {
                let mut ledger = self.ledger.lock().unwrap();
                let rung = ledger.host.pull(&self.shared);
                if ledger.awaiting > 0 && (rung.gets || rung.replies) {
                    self.make_all_look();
                }
            }
            if host::replied(&self.shared, waiter) {
                return self.collect(waiter);
            }
            wait(
                &self.attention,
                || upper(word),
                REASON_REPLY,
                || (Attention(word).has_replies() || self.epoch.load(Ordering::SeqCst) != seen).then_some(()),
                || {
                    let asleep = Attention(word).prepare_sleep(ATTENTION_AWAITS_REPLY);
                    asleep.filter(|_| self.epoch.load(Ordering::SeqCst) == seen)
                },
            );
        }
    }

    pub(crate) fn collect(&self, waiter: Waiter) -> u64 {
        let published = host::published(&self.shared, waiter).unwrap();
        let mut payload = [0; 8];
        read_words(&self.shared.waiters[waiter.index].inline, &mut payload);
        let payload = u64::from_le_bytes(payload);
        assert_eq!((published.status, published.len), (payload as u32, 8), "parts of two replies");
        self.end(waiter);
        payload
    }

    pub(crate) fn end(&self, waiter: Waiter) {
        if !(host::replied(&self.shared, waiter) && self.spare.disarm(&self.host, waiter)) {
            self.ledger.lock().unwrap().host.disarm(&self.host, &self.shared, waiter);
        }
    }
}

pub(crate) fn header(len: u64) -> Header {
    Header {
        outcome: Outcome::Message,
        len,
        status: 0,
        written: 0,
        waiter: None,
        reply_capacity: 0,
        flags: 0,
        deadline: 0,
        cpu: 0,
    }
}
