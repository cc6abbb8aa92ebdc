//! A host whose client writes what it likes into the shared memory, between any two steps of the host.

use fltmgr_proto::client::{self, ReplyTo};
use fltmgr_proto::host::{self, Header, Host, Outcome, Spare, Take, Taken, Waiter};
use fltmgr_proto::slots::{
    ATTENTION_AWAITS_GET, ATTENTION_AWAITS_REPLY, Attention, GETS, Holder, HostRegion, REPLY_INLINE, Requests, SENDS,
    SLOTS, SharedRegion, WAITERS, Workers, read_words,
};
use fltmgr_proto::sync::Ordering::Relaxed;

use super::memory;
use super::steps::Steps;

struct Filter<'a> {
    host: &'a HostRegion,
    shared: &'a SharedRegion,
    ledger: Host,
    spare: Spare,
    workers: Workers,
    idle: usize,
    counted: usize,
    waiters: Vec<Waiter>,
    /// Claims of an honest replier that has not published yet.
    claimed: Vec<ReplyTo>,
    last_id: u64,
}

/// The ledger stays sound: ids go on, each waiter has one owner, indices exist, a reply is one message's, and nothing panics.
pub fn host(data: &[u8]) {
    let (host, shared) = memory::take();
    run(data, &host, &shared);
    memory::put((host, shared));
}

fn run(data: &[u8], host: &HostRegion, shared: &SharedRegion) {
    let mut filter = Filter {
        host,
        shared,
        ledger: Host::new(),
        spare: Spare::default(),
        workers: Workers::default(),
        idle: 0,
        counted: 0,
        waiters: Vec::new(),
        claimed: Vec::new(),
        last_id: 0,
    };
    Requests(&filter.shared.requests.word).open();
    let mut steps = Steps(data);
    while filter.step(&mut steps).is_some() {}
    for waiter in std::mem::take(&mut filter.waiters) {
        let _replied = host::expire(filter.shared, waiter);
        filter.end(waiter);
    }
    filter.ledger.collect(&filter.spare);
    assert_eq!(filter.ledger.waiting(), 0);
}

impl Filter<'_> {
    fn step(&mut self, steps: &mut Steps<'_>) -> Option<()> {
        match steps.byte()? % 16 {
            0..=2 => self.scribble(steps)?,
            3 | 4 => self.take(steps.number()? as usize % 70_000, steps.byte()? % 2 == 0),
            5 => {
                self.ledger.pull(self.shared);
            }
            6 => self.arm(steps.byte()?.into()),
            7 => {
                let waiter = *self.waiters.get(steps.byte()? as usize)?;
                if host::prepare_sleep(self.shared, waiter).is_none() {
                    assert!(host::replied(self.shared, waiter) || host::marked_dead(self.shared, waiter));
                }
            }
            8 | 9 => self.look(steps)?,
            10 => {
                let slot = GETS + steps.below(SENDS)?;
                if let Some(request) = host::take_request(self.shared, slot) {
                    assert_eq!(request.taken.slot, slot);
                    self.complete(request.taken, Outcome::Answer, 3);
                    assert!(host::take_request(self.shared, slot).is_none());
                }
            }
            11 => {
                let attention = Attention(&self.shared.attention.word);
                attention.move_epoch();
                let wishes = if steps.byte()? % 2 == 0 { ATTENTION_AWAITS_GET } else { ATTENTION_AWAITS_REPLY };
                let _asleep = attention.prepare_sleep(wishes);
                let rung = host::Rung { gets: true, replies: false };
                let _leaves = self.ledger.leaves_work(self.shared, rung, 1);
            }
            12 => self.work(steps.byte()?),
            13 => {
                let _ = client::post_get(self.shared, steps.below(GETS)?, steps.number()?);
            }
            14 => {
                let _ = client::post_send(self.shared, GETS + steps.below(SENDS)?, steps.number()?, steps.number()?);
            }
            _ => self.reply(steps.number()?, steps.byte()? % 2 == 0),
        }
        Some(())
    }

    /// One word of the shared memory becomes anything.
    fn scribble(&mut self, steps: &mut Steps<'_>) -> Option<()> {
        let (what, index, value) = (steps.byte()? % 20, steps.byte()?, steps.number()?);
        let slot = &self.shared.slots[usize::from(index) % SLOTS];
        let waiter = &self.shared.waiters[usize::from(index) % WAITERS];
        match what {
            0 => self.shared.attention.word.store(value, Relaxed),
            1 => self.shared.requests.word.store(value, Relaxed),
            2 => self.shared.attention.word.store(value << 48, Relaxed),
            3 => self.shared.requests.word.store(value << 56, Relaxed),
            4 => self.shared.allocation.used[usize::from(index) % SLOTS / 64].store(value, Relaxed),
            5 => self.shared.allocation.tickets.store(value, Relaxed),
            6 => slot.word.store(value as u32, Relaxed),
            7 => slot.capacity.store(value, Relaxed),
            8 => slot.ticket.store(value, Relaxed),
            9 => slot.len.store(value, Relaxed),
            10 => slot.filled.store(value as u32, Relaxed),
            11 => slot.drained.store(value as u32, Relaxed),
            12 => waiter.word.store(value as u32, Relaxed),
            13 => waiter.status.store(value as u32, Relaxed),
            14 => waiter.window.store(value as u32, Relaxed),
            15 => waiter.len.store(value, Relaxed),
            16 => waiter.claim.generation.store(value as u32, Relaxed),
            17 => waiter.claim.generation.store(value as u32 | 1 << 31, Relaxed),
            18 => {
                slot.word.fetch_xor(1 << (value % 32), Relaxed);
            }
            _ => {
                waiter.word.fetch_xor(1 << (value % 32), Relaxed);
            }
        }
        Some(())
    }

    fn take(&mut self, len: usize, may_reject: bool) {
        match self.ledger.take(self.shared, len, may_reject).0 {
            Take::Nothing => {}
            Take::Deliver(taken) => self.complete(taken, Outcome::Message, len),
            Take::TooSmall(taken) => {
                assert!(may_reject);
                self.complete(taken, Outcome::TooSmall, 0);
            }
        }
        assert!(self.ledger.next().is_none_or(|slot| slot < GETS));
    }

    fn complete(&mut self, taken: Taken, outcome: Outcome, len: usize) {
        assert!(taken.slot < SLOTS);
        let payload = vec![7; len.min(fltmgr_proto::slots::WINDOW)];
        let header = Header {
            outcome,
            len: len as u64,
            status: 0,
            written: 0,
            waiter: self.waiters.last().copied(),
            reply_capacity: 0,
            flags: 0,
            deadline: 0,
            cpu: 0,
        };
        host::describe(self.host, taken, &header, &payload);
        assert!(!host::complete(self.host, self.shared, taken) || taken.slot < SLOTS);
        assert_eq!(self.host.slots[taken.slot].done.load(Relaxed), taken.generation.number());
    }

    fn arm(&mut self, capacity: u32) {
        self.ledger.collect(&self.spare);
        let before = self.ledger.waiting();
        assert_eq!(before, self.waiters.len());
        let Some(waiter) = self.ledger.arm(self.host, self.shared, capacity, 0) else { return };
        self.last_id += 1;
        assert_eq!((waiter.id, self.ledger.waiting()), (self.last_id, before + 1));
        assert!(self.waiters.iter().all(|other| other.index != waiter.index), "a waiter of two messages");
        assert_eq!(client::find_waiter(self.host, waiter.id).map(|to| to.waiter), Some(waiter.index));
        self.waiters.push(waiter);
    }

    /// A filter looks at its waiter, and may give up.
    fn look(&mut self, steps: &mut Steps<'_>) -> Option<()> {
        let index = steps.byte()? as usize;
        let waiter = *self.waiters.get(index)?;
        if host::replied(self.shared, waiter) {
            self.read(waiter);
        } else {
            assert!(host::expire(self.shared, waiter));
            assert!(!host::replied(self.shared, waiter));
        }
        self.waiters.swap_remove(index);
        self.end(waiter);
        Some(())
    }

    /// As a filter does it: a copy, no longer than there is room.
    fn read(&self, waiter: Waiter) {
        let Some(published) = host::published(self.shared, waiter) else { return };
        assert!(published.window.is_none_or(|window| window < SLOTS));
        let mut reply = [0; 300];
        let len = usize::try_from(published.len).unwrap_or(usize::MAX).min(reply.len());
        match published.window {
            Some(window) => read_words(&self.shared.window(window).words, &mut reply[..len]),
            None => read_words(&self.shared.waiters[waiter.index].inline, &mut reply[..len.min(REPLY_INLINE)]),
        }
    }

    fn end(&mut self, waiter: Waiter) {
        if !(host::replied(self.shared, waiter) && self.spare.disarm(self.host, waiter)) {
            self.ledger.disarm(self.host, self.shared, waiter);
        }
        assert_eq!(client::find_waiter(self.host, waiter.id), None);
    }

    /// A move of one of the workers, whatever the word says.
    fn work(&mut self, choice: u8) {
        let requests = Requests(&self.shared.requests.word);
        match choice % 4 {
            0 => {
                let called = self.workers.call();
                assert_eq!(called, self.counted < SENDS);
                self.counted += usize::from(called);
            }
            1 if self.idle < self.counted => {
                self.workers.begin_look(&requests);
                self.idle += 1;
                assert!(requests.collect() < 1 << SENDS);
                let _asleep = requests.prepare_sleep();
            }
            2 if self.idle > 0 => {
                let _unseen = self.workers.end_look(&requests);
                self.idle -= 1;
            }
            3 if self.counted > self.idle => {
                let _refused = self.workers.leave(&requests);
                self.counted -= 1;
            }
            _ => {}
        }
    }

    /// An honest replier in the middle of all this, perhaps a slow one. What it publishes is a reply to its message alone.
    fn reply(&mut self, id: u64, slow: bool) {
        if let Some(to) =
            client::find_waiter(self.host, id).filter(|&to| client::claim(self.shared, to, Holder::FIRST, 0))
        {
            client::write_reply(self.shared, to, id as u32, &id.to_le_bytes(), 8, None);
            self.claimed.push(to);
        }
        if slow {
            return;
        }
        let Some(to) = self.claimed.pop() else { return };
        let replied = |waiter: &&Waiter| host::replied(self.shared, **waiter);
        let others = |waiter: &&Waiter| (waiter.index, waiter.generation) != (to.waiter, to.generation);
        let before: Vec<_> = self.waiters.iter().filter(others).map(|waiter| replied(&waiter)).collect();
        let _published = client::publish(self.shared, to);
        let after: Vec<_> = self.waiters.iter().filter(others).map(|waiter| replied(&waiter)).collect();
        assert_eq!(before, after, "an answer to another message");
    }
}
