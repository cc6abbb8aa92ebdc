//! Messages of the ask queue that have their receive: the pieces of long ones go out, and replies come in, one step at
//! a time.

use proto::host::{self, Waiter};
use proto::status::Status;
use smallvec::SmallVec;
use sys::clock::Deadline;
use sys::futex::Futex;

use super::link::Link;
use super::pieces::{Reading, Sending, Step, Unsent};
use crate::Error;

/// A reply that goes to a callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedReply {
    /// The status that the application put into its reply, or [`Status::BUFFER_OVERFLOW`].
    pub status: Status,
    /// What it sent.
    pub payload: Vec<u8>,
}

pub(super) type Done = Box<dyn FnOnce(Result<OwnedReply, Error>) + Send>;

/// A delivered question whose reply is still to come.
pub(super) struct InFlight {
    pub(super) waiter: Waiter,
    pub(super) deadline: Option<Deadline>,
    pub(super) stage: Stage,
    pub(super) done: Done,
}

/// How far a delivered question has come.
pub(super) enum Stage {
    /// The first piece of a long message is there to be read, others will follow.
    Sending(Sending, Vec<u8>),
    /// The message is there. Its reply is still to come, or to be read.
    Asked,
    /// The first piece of a long reply is there, and its status.
    Reading(Reading, Status),
}

/// What is done next with a question that was looked at.
enum Next {
    /// Look again at once.
    Moved,
    /// Look again when a counter has moved, or the deadline passes.
    Waits,
    /// Its message has gone, its reply is still to come.
    Delivered,
    /// Tell.
    Ended(Result<OwnedReply, Error>),
}

/// Counters that nothing can be done before, and the values that were seen there.
pub(super) type Words<'a> = SmallVec<[(&'a dyn Futex, u32); 4]>;

/// A message that has ended, and the callback to tell.
pub(super) struct Ended {
    pub(super) done: Done,
    pub(super) result: Result<OwnedReply, Error>,
}

impl Link {
    /// Takes one step with each of those that move. Counters that nothing can be done before are added to `words`.
    pub(super) fn step<'a>(&'a self, moving: &mut Vec<InFlight>, words: &mut Words<'a>) -> Moved {
        let mut moved = Moved::default();
        for mut asked in std::mem::take(moving) {
            match self.step_one(&mut asked, words) {
                Next::Moved => moved.any = true,
                Next::Waits => {}
                Next::Delivered => {
                    moved.any = true;
                    moved.back.push(asked);
                    continue;
                }
                Next::Ended(result) => {
                    moved.ended.push(Ended { done: asked.done, result });
                    continue;
                }
            }
            moving.push(asked);
        }
        moved
    }

    fn step_one<'a>(&'a self, asked: &mut InFlight, words: &mut Words<'a>) -> Next {
        let InFlight { waiter, deadline, ref mut stage, .. } = *asked;
        // looked at first: what is done after it was in time
        let over = deadline.is_some_and(Deadline::passed);
        if self.closed() {
            self.give_up(waiter);
            return Next::Ended(Err(self.disconnected()));
        }
        let step = match stage {
            Stage::Sending(sending, message) => match self.send_piece(sending, message) {
                Ok(Step::Waits(..)) if over => {
                    let unsent = self.abort_sending(sending);
                    let error = self.unsent(unsent, message.len());
                    *stage = Stage::Asked;
                    return self.out_of_time(asked, error);
                }
                Ok(Step::Waits(..)) if host::replied(self.memory.shared(), waiter) => {
                    // by an application that had no memory for it, or by the id: then another thread may be reading
                    self.abort_sending(sending);
                    *stage = Stage::Asked;
                    return self.begin_reading(asked);
                }
                // the application that let go of it has answered, or will be seen not to have
                Ok(Step::Whole) | Err(Unsent::LetGo) => {
                    *stage = Stage::Asked;
                    return Next::Delivered;
                }
                Ok(step) => step,
                Err(unsent) => {
                    self.give_up(waiter);
                    return Next::Ended(Err(self.unsent(unsent, message.len())));
                }
            },
            Stage::Asked if host::replied(self.memory.shared(), waiter) => return self.begin_reading(asked),
            Stage::Asked if over => return self.out_of_time(asked, self.no_reply()),
            Stage::Asked => return Next::Delivered,
            Stage::Reading(reading, status) => match self.receive_piece(reading) {
                Err(error) => {
                    self.end(waiter);
                    return Next::Ended(Err(error));
                }
                Ok(Step::Whole) => {
                    let answered = OwnedReply { status: *status, payload: reading.take_payload() };
                    self.end(waiter);
                    return Next::Ended(Ok(answered));
                }
                // one that is all there already is read to its end
                Ok(Step::Waits(..) | Step::Moved) if over && self.abort_reading(reading) => {
                    self.end(waiter);
                    return Next::Ended(Err(self.no_reply()));
                }
                Ok(step) => step,
            },
        };
        match step {
            Step::Waits(counter, seen) => {
                // a hostile client may have several in one window
                if !words.iter().any(|&(word, _)| std::ptr::eq(word.address(), counter.address())) {
                    words.push((counter, seen));
                }
                Next::Waits
            }
            Step::Whole | Step::Moved => Next::Moved,
        }
    }

    /// Whether a question of which pieces are still to be sent has its reply: there is nothing to wait for then.
    pub(super) fn is_answered(&self, asked: &InFlight) -> bool {
        matches!(asked.stage, Stage::Sending(..)) && host::replied(self.memory.shared(), asked.waiter)
    }

    /// The deadline has passed: the end, unless the reply came first.
    fn out_of_time(&self, asked: &mut InFlight, error: Error) -> Next {
        if !host::expire(self.memory.shared(), asked.waiter) {
            return self.begin_reading(asked);
        }
        self.end(asked.waiter);
        Next::Ended(Err(error))
    }

    /// Reads what lies beside a reply: all of it, or where its pieces will come.
    fn begin_reading(&self, asked: &mut InFlight) -> Next {
        let waiter = asked.waiter;
        let replied = match self.judge(waiter, usize::MAX) {
            Ok(replied) => replied,
            Err(error) => {
                self.end(waiter);
                return Next::Ended(Err(error));
            }
        };
        if let Some(reading) = replied.in_pieces(waiter) {
            asked.stage = Stage::Reading(reading, replied.status);
            return Next::Moved;
        }
        let mut payload = vec![0; replied.fits];
        self.read_at_once(waiter, &replied, &mut payload);
        self.end(waiter);
        Next::Ended(Ok(OwnedReply { status: replied.status, payload }))
    }
}

/// What came of a step with each of those that move.
#[derive(Default)]
pub(super) struct Moved {
    /// Something moved, and may do so again at once.
    pub(super) any: bool,
    pub(super) ended: Vec<Ended>,
    /// Their messages have gone: their replies will be found by a round.
    pub(super) back: Vec<InFlight>,
}
