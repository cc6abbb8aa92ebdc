//! An application whose host writes what it likes into both regions, between any two steps of the application.

use fltmgr_proto::client::{self, Posted, Publish, ReplyTo};
use fltmgr_proto::slots::{
    CALLS, Claim, GETS, HOST_INLINE, Holder, HostRegion, REPLY_INLINE, SENDS, SLOTS, SharedRegion, State, WAITERS,
    WINDOW, Wake, Word, read_words,
};
use fltmgr_proto::sync::Ordering::Relaxed;

use super::memory;
use super::steps::Steps;

/// Each call ends, gives indices that exist, and says of the word what the word then says.
pub fn client(data: &[u8]) {
    let (host, shared) = memory::take();
    let mut application =
        Application { host: &host, shared: &shared, gets: Vec::new(), sends: Vec::new(), to: Vec::new() };
    let mut steps = Steps(data);
    while application.step(&mut steps).is_some() {}
    memory::put((host, shared));
}

struct Application<'a> {
    host: &'a HostRegion,
    shared: &'a SharedRegion,
    gets: Vec<(Posted, u64)>,
    sends: Vec<(Posted, u64)>,
    to: Vec<ReplyTo>,
}

impl Application<'_> {
    fn step(&mut self, steps: &mut Steps<'_>) -> Option<()> {
        match steps.byte()? % 16 {
            0..=2 => self.write_host(steps)?,
            3 => self.write_shared(steps)?,
            4 => self.post_get(steps.number()?),
            5 => self.post_send(steps.number()?, steps.number()?),
            6 => {
                if let Some(index) = steps.index(self.gets.len())? {
                    let (posted, _) = self.gets[index];
                    self.sleep(posted);
                }
            }
            7 => {
                if let Some(index) = steps.index(self.sends.len())? {
                    let (posted, _) = self.sends[index];
                    self.sleep(posted);
                }
            }
            8 => {
                if let Some(index) = steps.index(self.gets.len())? {
                    self.cancel(index);
                }
            }
            9 => self.cancel_slot(steps.below(GETS)?),
            10 | 11 => self.receive(steps.byte()? % 2 == 0),
            12 => self.answered(),
            13 => {
                let to = client::find_waiter(self.host, steps.number()?);
                assert!(to.is_none_or(|to| to.waiter < WAITERS));
                self.to.extend(to);
            }
            _ => {
                if let Some(index) = steps.index(self.to.len())? {
                    let to = self.to[index];
                    self.reply(to, steps.number()?, steps.byte()?);
                }
            }
        }
        Some(())
    }

    /// One word that only a host writes becomes anything.
    fn write_host(&self, steps: &mut Steps<'_>) -> Option<()> {
        let (what, index, value) = (steps.byte()? % 20, usize::from(steps.byte()?), steps.number()?);
        let slot = &self.host.slots[index % CALLS];
        let waiter = &self.host.waiters[index % WAITERS];
        let small = value as u32;
        match what {
            // what an honest host would do next, so that something happens
            0 | 1 => {
                let word = Word::from_raw(self.shared.slots[index % SLOTS].word.load(Relaxed));
                slot.done.store(word.generation().number(), Relaxed);
            }
            2 => slot.done.store(small, Relaxed),
            3 => slot.outcome.store(small, Relaxed),
            4 => slot.status.store(small, Relaxed),
            5 => slot.cpu.store(small, Relaxed),
            6 => slot.id.store(value, Relaxed),
            7 => slot.len.store(value, Relaxed),
            8 => slot.reply_capacity.store(small, Relaxed),
            9 => slot.waiter.store(small, Relaxed),
            10 => slot.waiter_generation.store(small, Relaxed),
            11 => slot.flags.store(small, Relaxed),
            12 => slot.deadline.store(value, Relaxed),
            13 => slot.filled.store(small, Relaxed),
            14 => waiter.id.store(value, Relaxed),
            15 => waiter.generation.store(small, Relaxed),
            16 => waiter.capacity.store(small, Relaxed),
            17 => waiter.flags.store(small, Relaxed),
            18 => waiter.ended.store(small, Relaxed),
            _ => waiter.drained.store(small, Relaxed),
        }
        Some(())
    }

    /// One word that both write becomes anything.
    fn write_shared(&self, steps: &mut Steps<'_>) -> Option<()> {
        let (what, index, value) = (steps.byte()? % 10, usize::from(steps.byte()?), steps.number()?);
        let slot = &self.shared.slots[index % SLOTS];
        let waiter = &self.shared.waiters[index % WAITERS];
        match what {
            0 => self.shared.allocation.used[index % SLOTS / 64].store(value, Relaxed),
            1 => self.shared.allocation.tickets.store(value, Relaxed),
            2 => self.shared.attention.word.store(value << (index % 64), Relaxed),
            3 => self.shared.requests.word.store(value << (index % 64), Relaxed),
            4 => slot.word.store(value as u32, Relaxed),
            5 => {
                slot.word.fetch_xor(1 << (value % 32), Relaxed);
            }
            6 => waiter.word.store(value as u32, Relaxed),
            7 => {
                waiter.word.fetch_xor(1 << (value % 32), Relaxed);
            }
            8 => waiter.claim.generation.store(value as u32, Relaxed),
            _ => slot.drained.store(value as u32, Relaxed),
        }
        Some(())
    }

    fn word(&self, posted: Posted) -> Word {
        Word::from_raw(self.shared.slots[posted.slot].word.load(Relaxed))
    }

    fn post_get(&mut self, capacity: u64) {
        let Some(slot) = client::reserve_get(self.shared, Holder::FIRST) else { return };
        assert!(slot < GETS);
        match client::post_get(self.shared, slot, capacity) {
            Some((posted, wake)) => {
                assert_eq!(posted.slot, slot);
                assert!(self.word(posted).is(State::Posted, posted.generation));
                assert_ne!(wake, Wake::Socket, "no worker is fetched for a GET");
                self.gets.push((posted, capacity));
            }
            None => self.release(slot),
        }
    }

    fn post_send(&mut self, len: u64, capacity: u64) {
        let Some(slot) = client::reserve_send(self.shared, Holder::FIRST) else { return };
        assert!((GETS..GETS + SENDS).contains(&slot));
        match client::post_send(self.shared, slot, len, capacity) {
            Some((posted, _wake)) => {
                assert!(self.word(posted).is(State::Posted, posted.generation));
                self.sends.push((posted, capacity));
            }
            None => self.release(slot),
        }
    }

    fn release(&self, slot: usize) {
        let _ = client::release(self.shared, slot);
        assert_eq!(self.shared.allocation.used[slot / 64].load(Relaxed) >> (slot % 64) & 1, 0);
    }

    /// Sleeps only where nothing was said yet.
    fn sleep(&self, posted: Posted) {
        match client::prepare_sleep(self.shared, posted) {
            Some(raw) => {
                assert_eq!(self.word(posted).raw(), raw);
                let word = Word::from_raw(raw);
                assert!(word.sleeps() && !word.dead() && word.generation() == posted.generation);
                assert!(!client::cancelled(self.shared, posted));
            }
            None => {
                let word = self.word(posted);
                let open = [State::Posted, State::Taken].into_iter().any(|state| word.is(state, posted.generation));
                assert!(word.dead() || !open);
            }
        }
        assert_eq!(client::dead(self.shared, posted), self.word(posted).dead());
    }

    fn cancel(&mut self, index: usize) {
        let (posted, _) = self.gets[index];
        let before = self.word(posted);
        let cancelled = client::cancel(self.shared, posted);
        assert_eq!(cancelled, before.is(State::Posted, posted.generation));
        if cancelled {
            assert!(client::cancelled(self.shared, posted));
            assert_eq!(client::dead(self.shared, posted), before.dead());
            assert!(!client::cancel(self.shared, posted));
            self.gets.swap_remove(index);
            self.release(posted.slot);
        }
    }

    fn cancel_slot(&self, slot: usize) {
        let before = Word::from_raw(self.shared.slots[slot].word.load(Relaxed));
        let wakes = client::cancel_slot(self.shared, slot, Holder::FIRST);
        assert_eq!(wakes, (before.state() == Some(State::Posted)).then_some(before.sleeps()));
        let after = Word::from_raw(self.shared.slots[slot].word.load(Relaxed));
        assert_eq!(after.generation(), before.generation());
        assert_ne!(after.state(), Some(State::Posted));
    }

    /// Reads what is said to be complete, no further than it has room.
    fn receive(&mut self, again: bool) {
        let (host, shared) = (self.host, self.shared);
        let Some(index) = self.gets.iter().position(|&(posted, _)| client::completed(host, posted)) else { return };
        let (posted, capacity) = self.gets.swap_remove(index);
        assert!(client::completed_soon(host, posted));
        let completion = client::completion(host, posted);
        if let Some(to) = completion.reply_to {
            assert!(to.waiter < WAITERS);
            self.to.push(to);
        }
        let len = completion.len.min(capacity).min(WINDOW as u64) as usize;
        let mut body = vec![0; len];
        match client::lies_inline(len) {
            true => read_words(&host.slots[posted.slot].inline, &mut body),
            false => read_words(&host.windows[posted.slot].words, &mut body),
        }
        assert_eq!(client::lies_inline(len), len <= HOST_INLINE);
        match client::post_get(shared, posted.slot, capacity).filter(|_| again) {
            Some((posted, _)) => self.gets.push((posted, capacity)),
            None => self.release(posted.slot),
        }
    }

    fn answered(&mut self) {
        let host = self.host;
        let Some(index) = self.sends.iter().position(|&(posted, _)| client::completed(host, posted)) else { return };
        let (posted, _capacity) = self.sends.swap_remove(index);
        let completion = client::completion(host, posted);
        assert_eq!(completion.id, completion.written);
        self.release(posted.slot);
    }

    /// A replier that has claimed has the only claim, and what is published is said of that message alone.
    fn reply(&self, to: ReplyTo, number: u64, len: u8) {
        let theirs = &self.shared.waiters[to.waiter];
        let _reads = client::reading(self.host, to);
        let before = Word::from_raw(theirs.word.load(Relaxed));
        if !client::claim(self.shared, to, Holder::FIRST, 1) {
            assert_eq!(Word::from_raw(theirs.word.load(Relaxed)), before);
            return;
        }
        assert!(!before.dead());
        assert!(!client::claim(self.shared, to, Holder::FIRST, 2), "claimed twice");
        let payload = vec![1; usize::from(len).min(REPLY_INLINE)];
        client::write_reply(self.shared, to, number as u32, &payload, number, None);
        match client::publish(self.shared, to) {
            Publish::Delivered { wake, attention } => {
                assert!(Word::from_raw(theirs.word.load(Relaxed)).is(State::Done, to.generation));
                assert_eq!(wake, before.sleeps());
                assert!(to.attention || !attention);
            }
            Publish::NoWaiter => {
                let claim = theirs.claim.generation.load(Relaxed);
                assert_eq!(claim, to.generation.number() | Claim::CLOSED);
                assert_eq!(Word::from_raw(theirs.word.load(Relaxed)), before);
            }
        }
        assert!(!client::claim(self.shared, to, Holder::FIRST, 3), "claimed again");
    }
}
