//! Every interleaving and every allowed reordering of the hand-shakes on the shared words, under loom.
//!
//! `just loom` runs it: `RUSTFLAGS="--cfg loom" cargo test -p fltmgr-proto --release --test loom`. The layout is tiny under
//! `cfg(loom)`; a futex is a lock, a comparison and a condition variable per sleeper. A wake-up that gets lost is a deadlock,
//! which loom reports; so is a payload that is read too early, as an old value. At most three preemptions per schedule
//! (`LOOM_MAX_PREEMPTIONS` for more).
//!
//! At the end of each model's comment stands what was broken by hand to see it fail.
#![cfg(loom)]

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use loom::sync::{Condvar, Mutex};
use loom::thread;

use proto::client::{self, Posted, Publish, ReplyTo};
use proto::host::{self, FLAG_ATTENTION, Header, Host, Outcome, Rung, Spare, Take, Waiter};
use proto::slots::{
    ATTENTION_DEAD, ATTENTION_EXPECTING, ATTENTION_HUNGRY, ATTENTION_REPLIED, ATTENTION_SLOTS, Attention, Desk, GETS,
    HostRegion, REASON_BUFFER, REASON_REPLY, Requests, SharedRegion, Wake, Word, read_words,
};

const ANY: u32 = u32::MAX;

fn model(check: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.max_branches = 20_000;
    builder.check(check);
}

/// One word's queue in the kernel.
struct Futex {
    queue: Mutex<Vec<(u32, Arc<Condvar>)>>,
}

impl Futex {
    fn new() -> Self {
        Self { queue: Mutex::new(Vec::new()) }
    }

    fn sleep(&self, now: impl Fn() -> u32, expected: u32, reasons: u32) {
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

    fn wake(&self, count: usize, reasons: u32) {
        let mut queue = self.queue.lock().unwrap();
        for _ in 0..count {
            let Some(at) = queue.iter().position(|(theirs, _)| theirs & reasons != 0) else { return };
            queue.remove(at).1.notify_one();
        }
    }
}

/// The loop of `fltmgr::wait`, without spinning and without a deadline.
fn wait<T>(
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

fn upper(word: &AtomicU64) -> u32 {
    (word.load(Ordering::SeqCst) >> 32) as u32
}

/// One connection: its memory, the kernel's queues, and what the filter keeps under its lock.
struct World {
    host: Box<HostRegion>,
    shared: Box<SharedRegion>,
    attention: Futex,
    requests: Futex,
    slot: Futex,
    waiter: Futex,
    book: Mutex<Book>,
    spare: Spare,
    stirred: AtomicU32,
    closed: AtomicBool,
}

struct Book {
    host: Host,
    hungry: usize,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            host: HostRegion::boxed(),
            shared: SharedRegion::boxed(),
            attention: Futex::new(),
            requests: Futex::new(),
            slot: Futex::new(),
            waiter: Futex::new(),
            book: Mutex::new(Book { host: Host::new(), hungry: 0 }),
            spare: Spare::default(),
            stirred: AtomicU32::new(0),
            closed: AtomicBool::new(false),
        })
    }

    fn post(&self) -> Posted {
        let slot = client::reserve_get(&self.shared).unwrap();
        let (posted, wake) = client::post_get(&self.shared, slot, 8).unwrap();
        self.ring(wake);
        posted
    }

    fn ring(&self, wake: Wake) {
        if wake == Wake::One {
            self.attention.wake(1, REASON_BUFFER);
        }
    }

    /// Waits for the completion of a GET: the payload, or `None` when the connection is gone.
    fn receive(&self, posted: Posted) -> Option<u64> {
        let word = &self.shared.slots[posted.slot].word;
        let done = || client::completed(&self.host, posted).then_some(true);
        let dead = || client::dead(&self.shared, posted).then_some(false);
        let completed = wait(
            &self.slot,
            || word.load(Ordering::SeqCst),
            ANY,
            || done().or_else(dead),
            || client::prepare_sleep(&self.shared, posted),
        );
        completed.then(|| self.read(posted))
    }

    fn read(&self, posted: Posted) -> u64 {
        let completion = client::completion(&self.host, posted);
        assert_eq!(completion.outcome, Some(Outcome::Message));
        let mut body = [0; 8];
        read_words(&self.host.slots[posted.slot].inline, &mut body[..completion.len as usize]);
        u64::from_le_bytes(body)
    }

    fn complete(&self, taken: host::Taken, payload: u64) {
        host::describe(&self.host, taken, &header(8), &payload.to_le_bytes());
        if host::complete(&self.host, &self.shared, taken) {
            self.slot.wake(usize::MAX, ANY);
        }
    }

    fn stir(&self) {
        self.stirred.fetch_add(1, Ordering::SeqCst);
        Attention(&self.shared.attention.word).stir();
        self.attention.wake(usize::MAX, REASON_BUFFER | REASON_REPLY);
    }

    fn prepare_sleep(&self, seen: u32) -> Option<u32> {
        let asleep = Attention(&self.shared.attention.word).prepare_sleep(ATTENTION_HUNGRY);
        asleep.filter(|_| self.stirred.load(Ordering::SeqCst) == seen)
    }

    /// A sender, as `fltmgr::port::deliver` has it, up to the receive that it takes.
    fn take(&self) -> host::Taken {
        let word = &self.shared.attention.word;
        loop {
            let mut book = self.book.lock().unwrap();
            let seen = self.stirred.load(Ordering::SeqCst);
            let (take, rung) = book.host.take(&self.shared, 8, false);
            if book.host.leaves_work(&self.shared, rung, book.hungry) {
                self.stir();
            }
            if let Take::Deliver(taken) = take {
                return taken;
            }
            book.hungry += 1;
            drop(book);
            let rung = || word.load(Ordering::Acquire) & (ATTENTION_SLOTS | ATTENTION_REPLIED | ATTENTION_DEAD) != 0;
            wait(
                &self.attention,
                || upper(word),
                REASON_BUFFER | REASON_REPLY,
                || (rung() || self.stirred.load(Ordering::SeqCst) != seen).then_some(()),
                || self.prepare_sleep(seen),
            );
            self.book.lock().unwrap().hungry -= 1;
        }
    }

    fn arm(&self, flags: u32) -> (Waiter, ReplyTo) {
        let mut book = self.book.lock().unwrap();
        book.host.collect(&self.spare);
        let waiter = book.host.arm(&self.host, &self.shared, 8, flags).unwrap();
        let attention = flags & FLAG_ATTENTION != 0;
        (waiter, ReplyTo { waiter: waiter.index, generation: waiter.generation, capacity: 8, attention })
    }

    /// A replier, as `fltmgr::connection::reply` has it.
    fn reply(&self, to: ReplyTo, payload: u64) -> bool {
        if !client::claim(&self.shared, to, 0) {
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

    fn await_reply(&self, waiter: Waiter) -> Option<u64> {
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

    fn collect(&self, waiter: Waiter) -> u64 {
        let published = host::published(&self.shared, waiter).unwrap();
        let mut payload = [0; 8];
        read_words(&self.shared.waiters[waiter.index].inline, &mut payload);
        let payload = u64::from_le_bytes(payload);
        assert_eq!((published.status, published.len), (payload as u32, 8), "parts of two replies");
        self.end(waiter);
        payload
    }

    fn end(&self, waiter: Waiter) {
        if !(host::replied(&self.shared, waiter) && self.spare.disarm(&self.host, waiter)) {
            self.book.lock().unwrap().host.disarm(&self.host, &self.shared, waiter);
        }
    }
}

fn header(len: u64) -> Header {
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

/// A sender that waits for a GET and a receiver that waits for its completion both wake, and the payload is there.
///
/// Fails with: `done` stored Relaxed; the loop in `complete` without the sleep bit; `ring` without its second swap.
#[test]
fn a_get_meets_a_sender() {
    model(|| {
        let world = World::new();
        let receiver = thread::spawn({
            let world = Arc::clone(&world);
            move || world.receive(world.post())
        });
        world.complete(world.take(), 7);
        assert_eq!(receiver.join().unwrap(), Some(7));
    });
}

/// A receiver that sees `done` early posts anew in the same slot; the first completion does not touch the second GET.
///
/// Fails with: `complete` storing DONE whatever the word says.
#[test]
fn a_slot_posted_anew_is_not_completed_by_the_last_message() {
    model(|| {
        let world = World::new();
        let posted = world.post();
        let sender = thread::spawn({
            let world = Arc::clone(&world);
            move || world.complete(world.take(), 7)
        });
        assert_eq!(world.receive(posted), Some(7));
        let (again, _) = client::post_get(&world.shared, posted.slot, 8).unwrap();
        assert!(client::cancel(&world.shared, again), "nobody takes it");
        assert!(!client::completed(&world.host, again));
        sender.join().unwrap();
    });
}

/// Of cancelling a GET and taking it, exactly one happens.
///
/// Fails with: `cancel` as a store.
#[test]
fn a_get_is_cancelled_or_taken() {
    model(|| {
        let world = World::new();
        let posted = world.post();
        let sender = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let (take, _) = world.book.lock().unwrap().host.take(&world.shared, 8, false);
                let Take::Deliver(taken) = take else { return false };
                world.complete(taken, 9);
                true
            }
        });
        let cancelled = client::cancel(&world.shared, posted);
        if !cancelled {
            assert_eq!(world.receive(posted), Some(9));
        }
        assert_ne!(sender.join().unwrap(), cancelled);
    });
}

/// A GET that somebody else takes back wakes its owner, unless a filter takes it: then it is complete.
///
/// Fails with: `cancel_slot` that always says that nobody sleeps.
#[test]
fn a_get_taken_back_by_another_wakes_its_owner() {
    model(|| {
        let world = World::new();
        let posted = world.post();
        let owner = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let word = &world.shared.slots[posted.slot].word;
                let look = || {
                    let completed = client::completed(&world.host, posted);
                    (completed || client::cancelled(&world.shared, posted)).then_some(completed)
                };
                let prepare = || client::prepare_sleep(&world.shared, posted);
                wait(&world.slot, || word.load(Ordering::SeqCst), ANY, look, prepare)
            }
        });
        let sender = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let (take, _) = world.book.lock().unwrap().host.take(&world.shared, 8, false);
                let Take::Deliver(taken) = take else { return false };
                world.complete(taken, 9);
                true
            }
        });
        let taken_back = client::cancel_slot(&world.shared, posted.slot);
        if taken_back == Some(true) {
            world.slot.wake(usize::MAX, ANY);
        }
        let delivered = sender.join().unwrap();
        assert_eq!((owner.join().unwrap(), taken_back.is_none()), (delivered, delivered));
    });
}

/// A GET that is cancelled and posted anew under the hand of the filter is taken in one of its two lives, or waits.
///
/// Fails with: `claim_slot` without its comparison of generations.
#[test]
fn a_get_posted_anew_is_taken_as_what_it_is() {
    model(|| {
        let world = World::new();
        let first = world.post();
        let sender = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let mut book = world.book.lock().unwrap();
                book.host.pull(&world.shared);
                match book.host.take(&world.shared, 8, false) {
                    (Take::Deliver(taken), _) => {
                        world.complete(taken, 3);
                        Some(taken.generation)
                    }
                    _ => None,
                }
            }
        });
        if !client::cancel(&world.shared, first) {
            assert_eq!(world.receive(first), Some(3));
            assert_eq!(sender.join().unwrap(), Some(first.generation));
            return;
        }
        let (second, _) = client::post_get(&world.shared, first.slot, 8).unwrap();
        let cancelled = client::cancel(&world.shared, second);
        if !cancelled {
            assert_eq!(world.receive(second), Some(3));
        }
        assert_eq!(sender.join().unwrap(), (!cancelled).then_some(second.generation));
    });
}

/// Two senders wait, two GETs come one after the other: both are served, whoever is woken.
///
/// Fails with: `leaves_work` without its `prepare_sleep` (the wish that woke one is not made again), or without
/// `leaves_gets`; a sleep that is prepared without a last look at `stirred`, as it was once.
#[test]
fn two_hungry_senders_are_fed() {
    model(|| {
        let world = World::new();
        let other = thread::spawn({
            let world = Arc::clone(&world);
            move || world.take().slot
        });
        let poster = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                world.post();
                world.post();
            }
        });
        let mine = world.take().slot;
        assert_ne!(mine, other.join().unwrap());
        poster.join().unwrap();
    });
}

/// A sender that was woken and leaves with nothing, because its time is over, leaves the GET to the one who still waits.
///
/// Fails with: leaving without `leaves_work`, which is what the courier did.
#[test]
fn one_who_leaves_hands_its_wake_up_on() {
    model(|| {
        let world = World::new();
        let waits = thread::spawn({
            let world = Arc::clone(&world);
            move || world.take().slot
        });
        let leaves = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let word = &world.shared.attention.word;
                world.book.lock().unwrap().hungry += 1;
                if let Some(expected) = world.prepare_sleep(0) {
                    world.attention.sleep(|| upper(word), expected, REASON_BUFFER);
                }
                let mut book = world.book.lock().unwrap();
                book.hungry -= 1;
                if book.host.leaves_work(&world.shared, Rung::default(), book.hungry) {
                    world.stir();
                }
            }
        });
        world.post();
        assert!(waits.join().unwrap() < GETS);
        // whether or not it ever slept, it must not sleep on: the time that is over, in a model without time
        world.stir();
        leaves.join().unwrap();
    });
}

/// A filter asleep on its waiter is woken by the reply and finds it whole.
///
/// Fails with: `publish` storing DONE Relaxed; `prepare_sleep` as a store.
#[test]
fn a_reply_wakes_who_waits_for_it() {
    model(|| {
        let world = World::new();
        let (waiter, to) = world.arm(0);
        let replier = thread::spawn({
            let world = Arc::clone(&world);
            move || world.reply(to, 5)
        });
        assert_eq!(world.await_reply(waiter), Some(5));
        assert!(replier.join().unwrap());
    });
}

/// Of a reply and the filter's giving up, exactly one happens, and both know which.
///
/// Fails with: `expire` as a store; `publish` without its look at the state.
#[test]
fn a_reply_comes_in_time_or_finds_no_waiter() {
    model(|| {
        let world = World::new();
        let (waiter, to) = world.arm(0);
        let replier = thread::spawn({
            let world = Arc::clone(&world);
            move || world.reply(to, 5)
        });
        let expired = host::expire(&world.shared, waiter);
        if !expired {
            assert_eq!(world.collect(waiter), 5);
        }
        assert_ne!(replier.join().unwrap(), expired);
    });
}

/// Of two repliers one wins, and the filter reads the winner's reply.
///
/// Fails with: `claim` as a load and a store.
#[test]
fn one_of_two_repliers_wins() {
    model(|| {
        let world = World::new();
        let (waiter, to) = world.arm(0);
        let repliers = [5, 6].map(|payload| {
            let world = Arc::clone(&world);
            thread::spawn(move || world.reply(to, payload))
        });
        let payload = world.await_reply(waiter);
        let [five, six] = repliers.map(|replier| replier.join().unwrap());
        assert_eq!(payload, Some(if five { 5 } else { 6 }));
        assert_ne!(five, six);
    });
}

/// A replier that is held up while the filter gives up and sends the next message does not write into the next reply.
///
/// Fails with: `disarm` without `lingering`; `expire` without closing the claim; `claim` without `next() ==`.
#[test]
fn a_late_reply_stays_out_of_the_next_message() {
    model(|| {
        let world = World::new();
        let (first, to_first) = world.arm(0);
        let late = thread::spawn({
            let world = Arc::clone(&world);
            move || world.reply(to_first, 5)
        });
        let expired = host::expire(&world.shared, first);
        if expired {
            world.end(first);
        } else {
            assert_eq!(world.collect(first), 5);
        }
        let (second, to_second) = world.arm(0);
        let replier = thread::spawn({
            let world = Arc::clone(&world);
            move || world.reply(to_second, 6)
        });
        assert_eq!(world.await_reply(second), Some(6));
        assert!(replier.join().unwrap());
        assert_ne!(late.join().unwrap(), expired);
        // whoever was held up has let go: all waiters can be used again
        let mut book = world.book.lock().unwrap();
        book.host.collect(&world.spare);
        assert_eq!(book.host.waiting(), 0);
        for _ in 0..proto::slots::WAITERS {
            assert!(book.host.arm(&world.host, &world.shared, 8, 0).is_some());
        }
    });
}

/// Two threads that end waiters put them back, one perhaps beside the book: none gets lost, none is there twice.
///
/// Fails with: `Spare::disarm` as a store.
#[test]
fn waiters_come_back_beside_the_book() {
    model(|| {
        let world = World::new();
        let waiters = [world.arm(0), world.arm(0)];
        for (_, to) in waiters {
            assert!(world.reply(to, 5));
        }
        let [mine, theirs] = waiters.map(|(waiter, _)| waiter);
        let other = thread::spawn({
            let world = Arc::clone(&world);
            move || world.collect(theirs)
        });
        world.collect(mine);
        let (again, _) = world.arm(0);
        other.join().unwrap();
        let (last, _) = world.arm(0);
        assert_ne!(again.index, last.index);
        assert_eq!(world.book.lock().unwrap().host.waiting(), proto::slots::WAITERS);
    });
}

/// A lookup by id finds the message of that id or nothing, even while the waiter passes to the next message.
///
/// Fails with: `find_waiter` without its second look at the id; `arm` without its fence.
#[test]
fn an_id_never_leads_to_the_next_message() {
    model(|| {
        let world = World::new();
        let (first, to_first) = world.arm(0);
        let finder = thread::spawn({
            let world = Arc::clone(&world);
            move || client::find_waiter(&world.host, 1)
        });
        assert!(host::expire(&world.shared, first));
        world.end(first);
        let (second, _) = world.arm(FLAG_ATTENTION);
        assert_eq!((second.index, second.id), (first.index, 2));
        let found = finder.join().unwrap();
        assert!(found.is_none_or(|to| to == to_first), "{found:?}");
    });
}

/// Who waits for replies to questions that it handed on sleeps on the attention word, and is woken there.
///
/// Fails with: `replied` before the waiter's word; `prepare_sleep` that does not look at the replied bit.
#[test]
fn a_reply_rings_who_expects_replies() {
    model(|| {
        let world = World::new();
        let (waiter, to) = world.arm(FLAG_ATTENTION);
        let replier = thread::spawn({
            let world = Arc::clone(&world);
            move || world.reply(to, 5)
        });
        let word = &world.shared.attention.word;
        loop {
            world.book.lock().unwrap().host.pull(&world.shared);
            if host::replied(&world.shared, waiter) {
                break;
            }
            let rung = || Attention(word).has_replies().then_some(());
            wait(
                &world.attention,
                || upper(word),
                REASON_REPLY,
                rung,
                || Attention(word).prepare_sleep(ATTENTION_EXPECTING),
            );
        }
        assert_eq!(world.collect(waiter), 5);
        assert!(replier.join().unwrap());
    });
}

/// What is done to end a connection wakes whoever sleeps, or is about to, on each kind of word.
///
/// Fails with: `prepare_sleep` (each of them) without its look at the dead bit; `bury` before `closed` is set.
#[test]
fn the_end_wakes_everybody() {
    fn ends(sleeps: impl Fn(&World, Posted, Waiter) + Send + Sync + Copy + 'static) {
        model(move || {
            let world = World::new();
            let posted = world.post();
            world.book.lock().unwrap().host.pull(&world.shared);
            let (waiter, _) = world.arm(0);
            Requests(&world.shared.requests.word).open();
            let sleeper = thread::spawn({
                let world = Arc::clone(&world);
                move || sleeps(&world, posted, waiter)
            });
            world.closed.store(true, Ordering::SeqCst);
            world.shared.attention.word.fetch_or(ATTENTION_DEAD, Ordering::SeqCst);
            world.attention.wake(usize::MAX, REASON_BUFFER | REASON_REPLY);
            Requests(&world.shared.requests.word).bury();
            world.requests.wake(usize::MAX, ANY);
            if Word::bury(&world.shared.waiters[waiter.index].word) {
                world.waiter.wake(usize::MAX, ANY);
            }
            if Word::bury(&world.shared.slots[posted.slot].word) {
                world.slot.wake(usize::MAX, ANY);
            }
            sleeper.join().unwrap();
        });
    }
    ends(|world, posted, _| assert_eq!(world.receive(posted), None));
    ends(|world, _, waiter| assert_eq!(world.await_reply(waiter), None));
    ends(|world, _, _| {
        let word = &world.shared.attention.word;
        let look = || world.closed.load(Ordering::Acquire).then_some(());
        wait(&world.attention, || upper(word), ANY, look, || Attention(word).prepare_sleep(ATTENTION_HUNGRY));
    });
    ends(|world, _, _| {
        let word = &world.shared.requests.word;
        let look = || world.closed.load(Ordering::Acquire).then_some(());
        wait(&world.requests, || upper(word), ANY, look, || Requests(word).prepare_sleep());
    });
}

/// The workers at one connection, as `fltmgr::port::requests` has them.
struct Office {
    world: Arc<World>,
    desk: Mutex<Desk>,
    /// Requests that were taken, one bit each.
    served: Mutex<u64>,
    all_served: Condvar,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    /// How long a worker lingers: for ever, or not at all.
    stays: bool,
    /// The requests that are sent.
    all: u64,
}

impl Office {
    fn new(stays: bool, all: u64) -> Arc<Self> {
        let world = World::new();
        Requests(&world.shared.requests.word).open();
        Arc::new(Self {
            world,
            desk: Mutex::default(),
            served: Mutex::new(0),
            all_served: Condvar::new(),
            threads: Mutex::new(Vec::new()),
            stays,
            all,
        })
    }

    fn requests(&self) -> Requests<'_> {
        Requests(&self.world.shared.requests.word)
    }

    fn send(self: &Arc<Self>, bit: u64) {
        match self.requests().posted(bit) {
            Wake::None => {}
            Wake::One => self.world.requests.wake(1, ANY),
            Wake::Socket => self.rung(),
        }
    }

    fn rung(self: &Arc<Self>) {
        if self.desk.lock().unwrap().send_worker() {
            let office = Arc::clone(self);
            let worker = thread::spawn(move || office.work());
            self.threads.lock().unwrap().push(worker);
        }
    }

    fn work(self: &Arc<Self>) {
        let word = self.requests();
        loop {
            self.desk.lock().unwrap().sit_down(&word);
            let look = || match word.collect() {
                0 if word.dead() || !self.stays => Some(0),
                0 => None,
                bits => Some(bits),
            };
            let bits = wait(&self.world.requests, || upper(word.0), ANY, look, || word.prepare_sleep());
            let unseen = self.desk.lock().unwrap().get_up(&word);
            match unseen {
                Wake::None => {}
                Wake::One => self.world.requests.wake(1, ANY),
                Wake::Socket => self.rung(),
            }
            if bits == 0 {
                break;
            }
            self.serve(bits);
        }
        let refused = self.desk.lock().unwrap().leave(&word);
        if refused {
            self.rung();
        }
    }

    /// A callback that waits until all requests are served, as one may that needs another's.
    fn serve(&self, bits: u64) {
        let mut served = self.served.lock().unwrap();
        assert_eq!(*served & bits, 0);
        *served |= bits;
        if *served == self.all {
            self.all_served.notify_all();
            self.requests().bury();
            self.world.requests.wake(usize::MAX, ANY);
        }
        while self.stays && *served != self.all {
            served = self.all_served.wait(served).unwrap();
        }
    }

    fn close(&self) {
        loop {
            let thread = self.threads.lock().unwrap().pop();
            let Some(thread) = thread else { break };
            thread.join().unwrap();
        }
        assert_eq!(*self.served.lock().unwrap(), self.all);
    }
}

/// No request is left behind by workers that leave as soon as they find nothing.
///
/// Fails with: neither `get_up` nor `leave` looking at the requests.
#[test]
fn a_leaving_worker_leaves_no_request() {
    model(|| {
        let office = Office::new(false, 3);
        office.send(1);
        office.send(2);
        office.close();
    });
}

/// A request that finds all workers counted, and all of them leaving, is not refused a worker for good.
///
/// Fails with: `leave` that does not look at the requests.
#[test]
fn workers_that_leave_make_room_for_one_who_stays() {
    model(|| {
        let office = Office::new(false, 1);
        for _ in 0..2 {
            office.rung();
        }
        office.send(1);
        office.close();
    });
}

/// A request that comes while the only worker is on its way into a callback, which waits for that request.
///
/// Fails with: `get_up` that does not look at the requests.
#[test]
fn a_callback_may_wait_for_another_request() {
    model(|| {
        let office = Office::new(true, 3);
        office.send(1);
        office.send(2);
        office.close();
    });
}

/// Of two workers asleep on the word each is woken for one of two requests, although the first wakes up late.
///
/// Fails with: `get_up` that does not set the parked bit for the other.
#[test]
fn two_parked_workers_serve_two_requests() {
    model(|| {
        let office = Office::new(true, 3);
        for _ in 0..2 {
            office.rung();
        }
        office.send(1);
        office.send(2);
        office.close();
    });
}
