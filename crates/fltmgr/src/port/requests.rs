//! Requests from the application: threads that look at one connection's requests while there are some.
//!
//! A connection without requests has no thread. The application then rings the socket, the monitor sends a worker, and the
//! worker stays for a while: requests that follow find it spinning or asleep on the word, without the socket.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proto::host::{self, Header, Outcome, Request};
use proto::slots::{Chunks, GETS, REQUEST_DEAD, REQUEST_PARKED, REQUEST_RING, SENDS, read_words};
use proto::status::Status;
use sys::clock::{self, Deadline};
use sys::futex::{self, Upper};

use super::accept::Served;
use super::{Answer, Serve};
use crate::pool;
use crate::wait::{Counted, On, wait, wait_counter};

const REQUESTS: u64 = (1 << SENDS) - 1;

/// How long a worker waits for the next request before it leaves the connection.
const LINGER: Duration = Duration::from_millis(20);

/// How long a worker waits for the next piece of a long request, or for its answer to be read, before the client counts
/// as broken: a thread of the host must not be held for good.
const STALL: Duration = Duration::from_secs(30);

/// Who looks at a connection's requests.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Workers that look, or sleep until there is a request.
    idle: usize,
    /// Workers at this connection, those in callbacks too.
    pub(super) workers: usize,
}

impl<S: Serve> Served<S> {
    /// The application rang: sends a worker, unless there are as many as requests can be under way.
    pub(super) fn rung(self: &Arc<Self>) {
        let mut desk = self.desk();
        if desk.workers < SENDS && !self.client.inner.closed() {
            desk.workers += 1;
            drop(desk);
            let served = Arc::clone(self);
            pool::run(move || served.work());
        }
    }

    fn work(self: Arc<Self>) {
        let word = &self.client.inner.memory.shared().requests.word;
        self.sit_down();
        while let Some(bits) = self.next_requests() {
            self.get_up();
            if word.load(Ordering::SeqCst) & REQUESTS != 0 {
                // rung between our look and our leaving: nobody else saw it
                self.rung();
            }
            let mut slots = slots(bits);
            let first = slots.next();
            for slot in slots {
                // requests run side by side: a callback may wait for another's request
                let served = Arc::clone(&self);
                pool::run(move || served.serve(slot));
            }
            if let Some(slot) = first {
                self.serve(slot);
            }
            self.sit_down();
        }
        self.desk().workers -= 1;
    }

    /// Counts as looking: the socket need not be rung.
    fn sit_down(&self) {
        let mut desk = self.desk();
        desk.idle += 1;
        self.client.inner.memory.shared().requests.word.fetch_and(!REQUEST_RING, Ordering::SeqCst);
    }

    /// Does not look any more: when nobody does, the socket must be rung.
    fn get_up(&self) {
        let mut desk = self.desk();
        desk.idle -= 1;
        if desk.idle == 0 {
            self.client.inner.memory.shared().requests.word.fetch_or(REQUEST_RING, Ordering::SeqCst);
        }
    }

    /// Waits for requests; `None` when none came for a while, or the connection is gone, and this worker has got up.
    fn next_requests(&self) -> Option<u64> {
        let inner = &self.client.inner;
        let word = &inner.memory.shared().requests.word;
        let look = || {
            let now = word.load(Ordering::Acquire);
            if now & REQUEST_DEAD != 0 || inner.closed() {
                return Some(0);
            }
            if now & REQUESTS == 0 {
                return None;
            }
            match word.fetch_and(!REQUESTS, Ordering::SeqCst) & REQUESTS {
                0 => None,
                bits => Some(bits),
            }
        };
        let prepare = || {
            let now = word.fetch_or(REQUEST_PARKED, Ordering::SeqCst) | REQUEST_PARKED;
            (now & (REQUESTS | REQUEST_DEAD) == 0).then_some((now >> 32) as u32)
        };
        let on = On { word: &Upper(word), reasons: futex::ANY, patience: &inner.requests, asleep: &inner.asleep };
        let deadline = Deadline::Monotonic(clock::monotonic() + LINGER);
        match wait(&on, Some(deadline), look, prepare) {
            Some(0) => {
                self.get_up();
                None
            }
            Some(bits) => Some(bits),
            None => {
                self.get_up();
                // rung before the ring bit was back
                let bits = word.fetch_and(!REQUESTS, Ordering::SeqCst) & REQUESTS;
                if bits == 0 {
                    return None;
                }
                self.sit_down();
                Some(bits)
            }
        }
    }

    /// Runs the request in `slot`, if there is one.
    fn serve(&self, slot: usize) {
        let inner = &self.client.inner;
        let Some(request) = host::take_request(inner.memory.shared(), slot) else { return };
        let mut output = Vec::new();
        let answer = self.answer(&request, &mut output);
        let writes = !answer.status.is_error();
        let written = if writes { answer.len.min(output.len()) } else { 0 };
        let kept = writes || answer.status == Status::FLT_BUFFER_TOO_SMALL;
        let header = Header {
            outcome: Outcome::Answer,
            len: if kept { answer.len as u64 } else { 0 },
            status: answer.status.0,
            written: written as u64,
            waiter: None,
            reply_capacity: 0,
            flags: 0,
            deadline: 0,
            cpu: clock::cpu(),
        };
        // the next request in this slot counts from nothing
        inner.memory.host().slots[slot].drained.store(0, Ordering::Relaxed);
        inner.complete(request.taken, &header, &output[..written]);
        let stalled = Deadline::Monotonic(clock::monotonic() + STALL);
        if inner.stream(request.taken, &output[..written], Some(stalled)).is_err() {
            inner.close();
        }
    }

    fn answer(&self, request: &Request, output: &mut Vec<u8>) -> Answer {
        let most = self.port.options.max_request as u64;
        if request.len == 0 {
            return Status::INVALID_PARAMETER.into();
        }
        if request.len > most || request.capacity > most {
            return Status::INSUFFICIENT_RESOURCES.into();
        }
        let Some(input) = self.input(request) else { return Status::INSUFFICIENT_RESOURCES.into() };
        let capacity = request.capacity as usize;
        if output.try_reserve_exact(capacity).is_err() {
            return Status::INSUFFICIENT_RESOURCES.into();
        }
        output.resize(capacity, 0);
        self.call(&input, output)
    }

    /// Copies a request's input, once. `None` when there is no memory for it, or the client stops in the middle.
    fn input(&self, request: &Request) -> Option<Vec<u8>> {
        let inner = &self.client.inner;
        let slot = request.taken.slot;
        let (ours, theirs) = (&inner.memory.host().slots[slot], &inner.memory.shared().slots[slot]);
        let chunks = Chunks::new(usize::try_from(request.len).ok()?);
        let mut input = Vec::new();
        for index in 0..chunks.count() {
            if index > 0 {
                let stalled = Deadline::Monotonic(clock::monotonic() + STALL);
                let read = |filled: u32| filled as usize > index;
                if wait_counter(&theirs.filled, Some(stalled), read, || inner.closed()) != Counted::Reached {
                    return None;
                }
            }
            // memory follows what has arrived, not what was announced
            let range = chunks.range(index);
            input.try_reserve(range.len()).ok()?;
            input.resize(range.end, 0);
            read_words(&inner.memory.shared().windows[slot].words, &mut input[range]);
            if chunks.count() > 1 {
                ours.drained.store(index as u32 + 1, Ordering::Release);
                futex::wake(&ours.drained, 1, futex::ANY);
            }
        }
        Some(input)
    }

    fn call(&self, input: &[u8], output: &mut [u8]) -> Answer {
        let session = self.session();
        let Some(session) = session.as_ref() else { return Status::PORT_DISCONNECTED.into() };
        let called = std::panic::AssertUnwindSafe(|| self.port.serve.message(session, input, output));
        let mut answer = std::panic::catch_unwind(called).unwrap_or_else(|_| Status::INTERNAL_ERROR.into());
        match answer.status {
            // keeps its length on the way to the client, which sees "buffer too small" all the same
            Status::BUFFER_TOO_SMALL => answer.status = Status::FLT_BUFFER_TOO_SMALL,
            Status::PENDING => {
                tracing::warn!(port = %self.port.name, "a message callback answered STATUS_PENDING, which nothing would end");
                answer = Status::INVALID_PARAMETER.into();
            }
            _ => {}
        }
        answer
    }
}

fn slots(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let slot = (bits != 0).then_some(bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(GETS + slot)
    })
}
