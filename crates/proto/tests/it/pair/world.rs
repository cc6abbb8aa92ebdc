//! One connection on ordinary memory: the filter's end, the application's end, and what both should do. More than
//! 500 lines, because the model and what it foretells are one description.

use fltmgr_proto::client::{self, Posted, Publish, ReplyTo};
use fltmgr_proto::host::{self, FLAG_ATTENTION, Header, Host, Outcome, Spare, Take, Taken, Waiter};
use fltmgr_proto::slots::{
    ATTENTION_DEAD, Attention, GETS, Holder, HostRegion, REPLY_INLINE, SLOTS, SharedRegion, WAITERS, WINDOW, Word,
    read_words, write_words,
};

use super::memory;
use super::model::{Attempt, Fate, Message, Model, State};
use super::random::Random;

/// A message that has not ended, as its sender keeps it.
#[derive(Debug, Clone, Copy)]
struct Sending {
    key: usize,
    deadline: u64,
    waiter: Option<Waiter>,
    delivered: bool,
}

/// What a receiver knows of a message.
#[derive(Debug, Clone, Copy)]
struct Held {
    key: usize,
    to: ReplyTo,
}

pub(crate) struct Connection {
    host: Box<HostRegion>,
    shared: Box<SharedRegion>,
    ledger: Host,
    spare: Spare,
    sending: Vec<Sending>,
    gets: Vec<(Posted, u64)>,
    held: Vec<Held>,
    /// Repliers that have claimed and were held up: the number they write, and the window it goes by.
    late: Vec<(Held, u64)>,
    pub(crate) model: Model,
    /// The application writes what it likes: nothing can be foretold then, but each message still ends once.
    pub(crate) hostile: bool,
    replies: u64,
}

fn byte(key: usize, index: usize) -> u8 {
    (key * 31 + index * 7 + 1) as u8
}

impl Connection {
    pub(crate) fn new(hostile: bool) -> Self {
        let (host, shared) = memory::take();
        Self {
            host,
            shared,
            ledger: Host::new(),
            spare: Spare::default(),
            sending: Vec::new(),
            gets: Vec::new(),
            held: Vec::new(),
            late: Vec::new(),
            model: Model::default(),
            hostile,
            replies: 0,
        }
    }

    pub(crate) fn step(&mut self, random: &mut Random, now: u64) {
        match random.below(16) {
            0..=3 => self.post(random),
            4 => self.cancel(random),
            5..=7 => self.send(random, now),
            8 => self.receive(random),
            9..=11 => self.reply(random),
            12 => self.reply_by_id(random),
            13 => self.finish_late(random),
            14 if self.hostile => self.scribble(random),
            15 if random.below(64) == 0 => self.disconnect(),
            _ => self.work(random, now),
        }
    }

    fn post(&mut self, random: &mut Random) {
        let Some(slot) = client::reserve_get(&self.shared, Holder::FIRST) else {
            assert!(self.hostile || self.gets.len() == GETS, "no slot is free, and {} are in use", self.gets.len());
            return;
        };
        self.post_in(slot, random.len() as u64);
    }

    fn post_in(&mut self, slot: usize, capacity: u64) {
        let Some((posted, _)) = client::post_get(&self.shared, slot, capacity) else {
            assert!(self.model.dead || self.hostile);
            let _ = client::release(&self.shared, slot);
            return;
        };
        assert!(!self.model.dead || self.hostile);
        self.gets.push((posted, capacity));
        if !self.hostile {
            self.model.post(slot, capacity);
        }
    }

    fn cancel(&mut self, random: &mut Random) {
        let Some(index) = random.index(self.gets.len()) else { return };
        let (posted, _) = self.gets[index];
        let completed = client::completed(&self.host, posted);
        let cancelled = client::cancel(&self.shared, posted);
        if self.hostile {
            return;
        }
        assert_eq!(cancelled, !completed, "one thread: a receive is either complete or can be taken back");
        if cancelled {
            if !self.model.dead {
                self.model.cancel(posted.slot);
            }
            self.gets.remove(index);
            let _ = client::release(&self.shared, posted.slot);
        }
    }

    fn send(&mut self, random: &mut Random, now: u64) {
        if self.model.dead {
            return;
        }
        let key = self.model.send(random.len(), random.below(4) != 0);
        let deadline = now + random.below(200) + 1;
        self.sending.push(Sending { key, deadline, waiter: None, delivered: false });
        let last = self.sending.len() - 1;
        self.attempt(last);
    }

    /// As `fltmgr::port::deliver` does it.
    fn attempt(&mut self, index: usize) {
        let Sending { key, deadline, mut waiter, .. } = self.sending[index];
        let message = self.model.messages[key];
        if waiter.is_some_and(|waiter| host::replied(&self.shared, waiter)) {
            return;
        }
        let mut refused = message.refused;
        loop {
            let (take, _) = self.ledger.take(&self.shared, message.len, !refused);
            let did = match take {
                Take::Deliver(taken) => Attempt::Deliver(taken.slot),
                Take::TooSmall(taken) => Attempt::Refuse(taken.slot),
                Take::Nothing => Attempt::NoReceive,
            };
            if !self.hostile {
                assert_eq!(did, self.model.attempt(key), "message {key}: {message:?}");
            }
            let (taken, outcome) = match take {
                Take::Nothing => return,
                Take::Deliver(taken) => (taken, Outcome::Message),
                Take::TooSmall(taken) => (taken, Outcome::TooSmall),
            };
            assert!(taken.slot < GETS);
            if message.wants_reply && waiter.is_none() {
                self.ledger.collect(&self.spare);
                waiter = self.ledger.arm(&self.host, &self.shared, message.len as u32, FLAG_ATTENTION);
                self.sending[index].waiter = waiter;
                if self.hostile {
                    self.foretold_nothing(key, waiter);
                }
                assert!(waiter.is_some(), "fewer messages than waiters");
            }
            self.complete(taken, outcome, &message, key, waiter, deadline);
            if outcome == Outcome::Message {
                if message.wants_reply {
                    self.sending[index].delivered = true;
                    if self.hostile {
                        self.model.messages[key].state = State::Delivered;
                    }
                } else {
                    if self.hostile {
                        self.model.end(key, Fate::Delivered);
                    }
                    self.sending.swap_remove(index);
                }
                return;
            }
            refused = true;
            if self.hostile {
                self.model.messages[key].refused = true;
            }
        }
    }

    /// Ids go on 1, 2, 3… even where nothing else can be foretold.
    fn foretold_nothing(&mut self, key: usize, waiter: Option<Waiter>) {
        let last = self.model.messages.iter().map(|message| message.id).max().unwrap_or(0);
        if let Some(waiter) = waiter {
            assert_eq!(waiter.id, last + 1);
            self.model.messages[key].id = waiter.id;
        }
    }

    fn complete(
        &mut self,
        taken: Taken,
        outcome: Outcome,
        message: &Message,
        key: usize,
        waiter: Option<Waiter>,
        deadline: u64,
    ) {
        let header = Header {
            outcome,
            len: message.len as u64,
            status: 0,
            written: 0,
            waiter,
            reply_capacity: message.len as u32,
            flags: FLAG_ATTENTION,
            deadline,
            cpu: 0,
        };
        let body: Vec<u8> = (0..message.len).map(|index| byte(key, index)).collect();
        let payload = if outcome == Outcome::Message { body.as_slice() } else { &[] };
        host::describe(&self.host, taken, &header, payload);
        let _wake = host::complete(&self.host, &self.shared, taken);
    }

    /// Reads complete receives, and posts some of them anew.
    fn receive(&mut self, random: &mut Random) {
        let mut index = 0;
        while let Some(&(posted, capacity)) = self.gets.get(index) {
            if !client::completed(&self.host, posted) {
                index += 1;
                continue;
            }
            self.gets.remove(index);
            self.read(posted, capacity);
            if random.below(2) == 0 {
                let _ = client::release(&self.shared, posted.slot);
            } else {
                self.post_in(posted.slot, capacity);
            }
        }
    }

    fn read(&mut self, posted: Posted, capacity: u64) {
        let completion = client::completion(&self.host, posted);
        let len = completion.len as usize;
        let key = self.model.messages.iter().position(|message| message.id != 0 && message.id == completion.id);
        if let (Some(key), Some(to)) = (key, completion.reply_to) {
            assert_eq!(self.model.messages[key].len, len);
            assert_eq!(to.capacity as usize, len);
            self.held.push(Held { key, to });
        }
        if self.hostile {
            return;
        }
        assert_eq!(key.is_some(), completion.id != 0);
        if completion.outcome == Some(Outcome::TooSmall) {
            assert!(len as u64 > capacity, "refused {len} bytes with room for {capacity}");
            return;
        }
        assert_eq!(completion.outcome, Some(Outcome::Message));
        assert!(len as u64 <= capacity);
        let mut body = vec![0; len];
        if client::lies_inline(len) {
            read_words(&self.host.slots[posted.slot].inline, &mut body);
        } else {
            read_words(&self.host.windows[posted.slot].words, &mut body);
        }
        if let Some(key) = key {
            assert!(body.iter().enumerate().all(|(index, &got)| got == byte(key, index)), "message {key}");
        }
    }

    /// Replies to something received, perhaps for the second time, perhaps too late, perhaps slowly.
    fn reply(&mut self, random: &mut Random) {
        let Some(index) = random.index(self.held.len()) else { return };
        let held = self.held[index];
        if random.below(4) != 0 {
            self.held.swap_remove(index);
        }
        self.reply_to(held, random);
    }

    fn reply_by_id(&mut self, random: &mut Random) {
        let id = random.below(self.model.messages.len() as u64 + 2);
        let to = client::find_waiter(&self.host, id);
        if self.hostile {
            return;
        }
        let answered = |message: &Message| message.id == id && matches!(message.state, State::Answered(_));
        match self.model.find(id) {
            Some(key) => {
                let to = to.unwrap_or_else(|| panic!("message {key} waits, and its id {id} leads nowhere"));
                self.reply_to(Held { key, to }, random);
            }
            // until the filter looks, an answered message still has its waiter, which accepts no other reply
            None if self.model.messages.iter().any(answered) => {
                assert!(!client::claim(&self.shared, to.unwrap(), Holder::FIRST, 0))
            }
            None => assert_eq!(to, None, "id {id}"),
        }
    }

    fn reply_to(&mut self, held: Held, random: &mut Random) {
        let claimed = self.late.iter().any(|(late, _)| late.to == held.to);
        let claims = client::claim(&self.shared, held.to, Holder::FIRST, 0);
        if !self.hostile {
            assert_eq!(claims, !claimed && !self.model.dead && self.model.waits(held.key), "{held:?}");
        }
        if !claims {
            return;
        }
        self.replies += 1;
        if random.below(3) == 0 {
            self.late.push((held, self.replies));
        } else {
            self.publish(held, self.replies);
        }
    }

    fn finish_late(&mut self, random: &mut Random) {
        if let Some(index) = random.index(self.late.len()) {
            let (held, number) = self.late.swap_remove(index);
            self.publish(held, number);
        }
    }

    fn publish(&mut self, held: Held, number: u64) {
        let len = (held.to.capacity as usize).min(WINDOW);
        let payload: Vec<u8> = (0..len).map(|index| byte(number as usize, index)).collect();
        let window = if len > REPLY_INLINE { client::reserve_reply(&self.shared, Holder::FIRST) } else { None };
        if let Some(slot) = window {
            write_words(&self.shared.window(slot).words, &payload);
        }
        let inline = if window.is_none() { &payload[..len.min(REPLY_INLINE)] } else { &[] };
        let told = if window.is_none() { inline.len() } else { len };
        client::write_reply(&self.shared, held.to, number as u32, inline, told as u64, window);
        let published = client::publish(&self.shared, held.to);
        if !self.hostile {
            let accepted = self.model.reply(held.key, number);
            assert_eq!(published != Publish::NoWaiter, accepted, "{held:?}");
        }
        if published != Publish::NoWaiter {
            // the filter looks at once while a window is lent, so that the test need not remember windows
            if let Some(index) = self.sending.iter().position(|sending| {
                sending
                    .waiter
                    .is_some_and(|waiter| (waiter.index, waiter.generation) == (held.to.waiter, held.to.generation))
            }) {
                self.look(index, 0);
            }
        }
        if let Some(slot) = window {
            let _ = client::release(&self.shared, slot);
        }
    }

    /// The filter's turn: replies, deadlines, further attempts.
    pub(crate) fn work(&mut self, random: &mut Random, now: u64) {
        let start = random.index(self.sending.len()).unwrap_or(0);
        let mut keys: Vec<usize> = self.sending.iter().map(|sending| sending.key).collect();
        keys.rotate_left(start);
        for key in keys {
            let at = |this: &Self| this.sending.iter().position(|sending| sending.key == key);
            if let Some(index) = at(self).filter(|&index| !self.sending[index].delivered) {
                self.attempt(index);
            }
            if let Some(index) = at(self) {
                self.look(index, now);
            }
        }
    }

    /// Whether a message has its reply or is out of time.
    fn look(&mut self, index: usize, now: u64) {
        let Sending { waiter, deadline, .. } = self.sending[index];
        let replied = waiter.filter(|&waiter| host::replied(&self.shared, waiter));
        match (replied, waiter) {
            (Some(waiter), _) => self.collect(index, waiter),
            (None, Some(waiter)) if deadline <= now => {
                assert!(host::expire(&self.shared, waiter), "there is no reply");
                self.end(index, Fate::TimedOut);
            }
            (None, None) if deadline <= now => self.end(index, Fate::TimedOut),
            _ => {}
        }
    }

    fn collect(&mut self, index: usize, waiter: Waiter) {
        let Some(published) = host::published(&self.shared, waiter) else {
            assert!(self.hostile);
            return self.end(index, Fate::Disconnected);
        };
        let number = u64::from(published.status);
        let room = self.host.waiters[waiter.index].capacity.load(fltmgr_proto::sync::Ordering::Relaxed) as usize;
        let mut payload = vec![0; usize::try_from(published.len).unwrap_or(usize::MAX).min(room).min(WINDOW)];
        match published.window {
            Some(window) => read_words(&self.shared.window(window).words, &mut payload),
            None if payload.len() <= REPLY_INLINE => {
                read_words(&self.shared.waiters[waiter.index].inline, &mut payload);
            }
            None => {
                assert!(self.hostile);
                return self.end(index, Fate::Disconnected);
            }
        }
        if self.hostile {
            self.model.messages[self.sending[index].key].state = State::Answered(number);
        } else {
            let whole = payload.iter().enumerate().all(|(index, &got)| got == byte(number as usize, index));
            assert!(whole, "reply {number}: parts of another");
        }
        self.end(index, Fate::Replied(number));
    }

    fn end(&mut self, index: usize, fate: Fate) {
        let sending = self.sending.swap_remove(index);
        if let Some(waiter) = sending.waiter
            && !(host::replied(&self.shared, waiter) && self.spare.disarm(&self.host, waiter))
        {
            self.ledger.disarm(&self.host, &self.shared, waiter);
        }
        self.model.end(sending.key, fate);
    }

    fn disconnect(&mut self) {
        if self.model.dead {
            return;
        }
        self.model.dead = true;
        self.shared.attention.word.fetch_or(ATTENTION_DEAD, fltmgr_proto::sync::Ordering::SeqCst);
        for waiter in self.sending.iter().filter_map(|sending| sending.waiter) {
            Word::mark_dead(&self.shared.waiters[waiter.index].word);
        }
        for slot in client::calls(&self.shared) {
            Word::mark_dead(&self.shared.slots[slot].word);
        }
        assert!(self.hostile || Attention(&self.shared.attention.word).dead());
        while let Some(sending) = self.sending.last() {
            if let Some(waiter) = sending.waiter {
                let _replied = host::expire(&self.shared, waiter);
            }
            self.end(self.sending.len() - 1, Fate::Disconnected);
        }
    }

    /// Overwrites words that the application can write.
    fn scribble(&mut self, random: &mut Random) {
        use fltmgr_proto::sync::Ordering::Relaxed;
        for _ in 0..random.below(8) + 1 {
            let (raw, small) = (random.raw(), random.below(12));
            let value = if random.below(2) == 0 { raw } else { small };
            let slot = random.below(SLOTS as u64) as usize;
            let (slot_word, slot) = (slot / 64, &self.shared.slots[slot]);
            let waiter = &self.shared.waiters[random.below(if raw & 1 == 0 { 8 } else { WAITERS as u64 }) as usize];
            match random.below(17) {
                0 => self.shared.attention.word.store(value, Relaxed),
                1 => self.shared.requests.word.store(value, Relaxed),
                2 => self.shared.allocation.used[slot_word].store(value, Relaxed),
                3 => self.shared.allocation.tickets.store(value, Relaxed),
                4 => slot.word.store(value as u32, Relaxed),
                5 => {
                    slot.word.fetch_xor(1 << (raw % 32), Relaxed);
                }
                6 => slot.capacity.store(value, Relaxed),
                7 => slot.ticket.store(value, Relaxed),
                8 => waiter.word.store(value as u32, Relaxed),
                9 => {
                    waiter.word.fetch_xor(1 << (raw % 32), Relaxed);
                }
                10 => waiter.claim.generation.store(value as u32, Relaxed),
                11 => waiter.window.store(value as u32, Relaxed),
                12 => waiter.len.store(value, Relaxed),
                13 => self.shared.posted.words[slot_word % self.shared.posted.words.len()].store(value, Relaxed),
                14 => slot.rings.store(value as u32, Relaxed),
                15 => self.shared.bells.words[small as usize].store(value as u32, Relaxed),
                _ => waiter.status.store(value as u32, Relaxed),
            }
        }
    }

    /// Lets all the time pass that any thread waits for, and checks that nothing is left.
    pub(crate) fn finish(mut self, random: &mut Random) -> Model {
        self.work(random, u64::MAX);
        while !self.late.is_empty() {
            self.finish_late(random);
        }
        assert!(self.sending.is_empty());
        assert!(self.model.messages.iter().all(|message| matches!(message.state, State::Ended(_))));
        self.ledger.collect(&self.spare);
        assert_eq!(self.ledger.waiting(), 0);
        if !self.hostile {
            self.check_nothing_is_left(random);
        }
        memory::put((self.host, self.shared));
        self.model
    }

    fn check_nothing_is_left(&mut self, random: &mut Random) {
        self.receive(random);
        while !self.gets.is_empty() {
            self.cancel(random);
            self.receive(random);
        }
        let used = |word: &std::sync::atomic::AtomicU64| word.load(fltmgr_proto::sync::Ordering::Relaxed);
        assert!(self.shared.allocation.used.iter().map(used).all(|used| used == 0), "slots are left in use");
        let used = self.model.messages.iter().filter(|message| message.id != 0).count().min(WAITERS);
        for _ in 0..used {
            self.ledger.arm(&self.host, &self.shared, 0, 0).unwrap();
        }
        assert_eq!(self.ledger.waiting(), used, "waiters are left in use");
    }
}
