//! What must happen on one connection, said as simply as possible: no words, no bits, no reuse of anything.

/// How a message ends. Each ends once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It wanted no reply and a receiver has it.
    Delivered,
    /// The filter has the reply that carries this number.
    Replied(u64),
    TimedOut,
    Disconnected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Waits for a receive that holds it.
    Queued,
    /// A receiver has it and may reply.
    Delivered,
    /// The reply with this number was accepted; the filter has not looked yet.
    Answered(u64),
    Ended(Fate),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Message {
    pub(crate) len: usize,
    pub(crate) wants_reply: bool,
    /// 0 until a receiver learns of it.
    pub(crate) id: u64,
    /// One receive was refused for it.
    pub(crate) refused: bool,
    pub(crate) state: State,
}

/// What one attempt to deliver does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Into the receive in this slot.
    Deliver(usize),
    /// The receive in this slot is refused; then another attempt.
    Refuse(usize),
    NoReceive,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    /// Receives: slot and capacity, oldest first.
    gets: Vec<(usize, u64)>,
    pub(crate) messages: Vec<Message>,
    last_id: u64,
    pub(crate) dead: bool,
    /// Replies that came after their message had ended.
    pub(crate) late_replies: u64,
}

impl Model {
    pub(crate) fn post(&mut self, slot: usize, capacity: u64) {
        assert!(self.gets.iter().all(|&(other, _)| other != slot), "slot {slot} is posted already");
        self.gets.push((slot, capacity));
    }

    pub(crate) fn cancel(&mut self, slot: usize) {
        let before = self.gets.len();
        self.gets.retain(|&(other, _)| other != slot);
        assert_eq!(self.gets.len() + 1, before, "slot {slot} was not posted");
    }

    pub(crate) fn send(&mut self, len: usize, wants_reply: bool) -> usize {
        self.messages.push(Message { len, wants_reply, id: 0, refused: false, state: State::Queued });
        self.messages.len() - 1
    }

    /// First fit, oldest first; the oldest is refused if none fits, once for each message.
    pub(crate) fn attempt(&mut self, key: usize) -> Attempt {
        let message = &mut self.messages[key];
        assert_eq!(message.state, State::Queued);
        let fits = self.gets.iter().position(|&(_, capacity)| capacity >= message.len as u64);
        let Some(index) = fits.or_else(|| (!message.refused && !self.gets.is_empty()).then_some(0)) else {
            return Attempt::NoReceive;
        };
        let (slot, _) = self.gets.remove(index);
        if message.wants_reply && message.id == 0 {
            self.last_id += 1;
            message.id = self.last_id;
        }
        if fits.is_none() {
            message.refused = true;
            return Attempt::Refuse(slot);
        }
        message.state = if message.wants_reply { State::Delivered } else { State::Ended(Fate::Delivered) };
        Attempt::Deliver(slot)
    }

    /// Whether a reply to the message is accepted now; then it is.
    pub(crate) fn reply(&mut self, key: usize, number: u64) -> bool {
        let waits = !self.dead && self.waits(key);
        if waits {
            self.messages[key].state = State::Answered(number);
        }
        self.late_replies += u64::from(!waits);
        waits
    }

    pub(crate) fn waits(&self, key: usize) -> bool {
        let message = &self.messages[key];
        message.id != 0 && matches!(message.state, State::Queued | State::Delivered)
    }

    /// The message with this id, if it waits for a reply.
    pub(crate) fn find(&self, id: u64) -> Option<usize> {
        (0..self.messages.len()).find(|&key| self.messages[key].id == id && self.waits(key))
    }

    pub(crate) fn end(&mut self, key: usize, fate: Fate) {
        let state = &mut self.messages[key].state;
        match (*state, fate) {
            (State::Ended(before), _) => panic!("message {key} ended as {before:?} and now as {fate:?}"),
            (State::Answered(accepted), Fate::Replied(number)) => assert_eq!(accepted, number, "message {key}"),
            (State::Answered(_), Fate::TimedOut) => panic!("message {key} was answered and then timed out"),
            (_, Fate::Replied(_)) => panic!("message {key} has a reply that was not accepted"),
            _ => {}
        }
        *state = State::Ended(fate);
    }
}
