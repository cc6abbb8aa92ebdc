//! Requests from the application: threads that look at one connection's requests while there are some.
//!
//! A connection without requests has no thread. The application then rings the socket, the monitor sends a worker, and
//! the worker stays for a while: requests that follow find it spinning or asleep on the word, without the socket.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proto::host::{self, Header, Outcome, Request};
use proto::pieces::{Reader, Stream};
use proto::quota::{Charge, Kind};
use proto::slots::{GETS, Requests, WINDOW, Wake, read_words, set_bits};
use proto::status::Status;
use proto::violation::Violation;
use smallvec::SmallVec;
use sys::clock::{self, Deadline};
use sys::futex::{self, Upper};

use super::callback::Callback;
use super::pieces::Unsent;
use super::process::Process;
use super::serve::Serve;
use super::served::Served;
use crate::pool;
use crate::response::Response;
use crate::wait::{On, Stopped, wait, wait_piece};

/// How long a worker waits for the next request before it leaves the connection.
const LINGER: Duration = Duration::from_millis(20);

/// How often workers are rung for nothing before the client counts as broken: an honest one does not do that.
const MOST_EMPTY: u32 = 1000;

/// What a request holds of its user's account.
type Held = [Charge; 2];

/// A request, of which the process that made it is known, and for which its user has room.
struct Accepted {
    request: Request,
    from: Process,
    held: Held,
}

/// What was found of what was rung.
struct Requested {
    rung: usize,
    accepted: SmallVec<[Accepted; 2]>,
}

impl<S: Serve> Served<S> {
    /// The application rang: sends a worker, unless there are as many as requests can be under way.
    pub(super) fn rung(self: &Arc<Self>) {
        if !self.client.link.closed() && self.workers().call() {
            let served = Arc::clone(self);
            pool::run_for(self.uid(), move || served.work());
        }
    }

    fn work(self: Arc<Self>) {
        loop {
            let requests = self.requests();
            self.workers().begin_look(&requests);
            let bits = self.next_requests();
            let unseen = self.workers().end_look(&requests);
            match unseen {
                Wake::None => {}
                Wake::One => {
                    futex::wake(&Upper(requests.0), 1, futex::ANY);
                }
                Wake::Socket => self.rung(),
            }
            // of a connection that its filter has closed, a client may post on
            if bits == 0 || self.client.link.closed() {
                break;
            }
            let mut requests = self.take(bits);
            if requests.rung == 0 {
                if self.empty.fetch_add(1, Ordering::Relaxed) == MOST_EMPTY {
                    self.client.link.violated(Violation::Restless);
                }
                continue;
            }
            if self.empty.load(Ordering::Relaxed) != 0 {
                self.empty.store(0, Ordering::Relaxed);
            }
            let Some(first) = requests.accepted.pop() else { continue };
            for accepted in requests.accepted {
                // requests run side by side: a callback may wait for another's request
                let served = Arc::clone(&self);
                pool::run_for(self.uid(), move || served.serve(accepted));
            }
            self.serve(first);
        }
        let refused = self.workers().leave(&self.requests());
        if refused {
            self.rung();
        }
    }

    fn requests(&self) -> Requests<'_> {
        Requests(&self.client.link.memory.shared().requests.word)
    }

    /// Waits for requests; none came for a while, or the connection is gone, when there are none.
    fn next_requests(&self) -> u64 {
        let link = &self.client.link;
        let requests = self.requests();
        let look = || match requests.collect() {
            0 => link.ended(requests.dead()).then_some(0),
            bits => Some(bits),
        };
        let on = On { word: &Upper(requests.0), reasons: futex::ANY, patience: &link.requests, asleep: &link.asleep };
        // no thread lingers while other users have none: a client that rings for nothing would keep those it does not
        // use
        let linger = if pool::is_strained(self.uid()) { Duration::ZERO } else { LINGER };
        let deadline = Deadline::Monotonic(clock::monotonic() + linger);
        wait(&on, Some(deadline), look, || requests.prepare_sleep()).unwrap_or(0)
    }

    /// Takes what was rung. What the user has no room for is refused here: only what is charged waits for a thread; and
    /// what a process asked that is gone, or never was, because nothing will read the answer.
    fn take(&self, bits: u64) -> Requested {
        let mut requested = Requested { rung: 0, accepted: SmallVec::new() };
        for slot in set_bits(bits).map(|bit| GETS + bit) {
            let Some(request) = host::take_request(self.client.link.memory.shared(), slot) else { continue };
            requested.rung += 1;
            let process = || self.client.link.handles.process_of(request.owner).ok_or(Status::PORT_DISCONNECTED);
            match self.hold(&request).and_then(|held| Ok(Accepted { request, from: process()?, held })) {
                Ok(accepted) => requested.accepted.push(accepted),
                Err(status) => self.conclude(&request, status.into(), &[], None),
            }
        }
        requested
    }

    /// Runs a request.
    fn serve(&self, accepted: Accepted) {
        let Accepted { request, from, held } = accepted;
        let mut output = Vec::new();
        let answer = self.answer(&request, &from, &mut output);
        self.conclude(&request, answer, &output, Some(held));
    }

    /// Answers a request.
    fn conclude(&self, request: &Request, answer: Response, output: &[u8], mut held: Option<Held>) {
        let link = &self.client.link;
        let slot = request.taken.slot;
        // of an error neither; "buffer too small" has become a warning
        let len = if answer.status.is_error() { 0 } else { answer.len };
        let written = len.min(output.len());
        let header = Header {
            outcome: Outcome::Answer,
            len: len as u64,
            status: answer.status.0,
            written: written as u64,
            waiter: None,
            reply_capacity: 0,
            flags: 0,
            deadline: 0,
            cpu: clock::cpu(),
        };
        // the next request in this slot counts from nothing
        link.memory.host().slots[slot].drained.store(0, Ordering::Relaxed);
        // given back before the client can know that it has its answer, which may be followed by its next request
        if written <= WINDOW {
            held = None;
        }
        link.complete(request.taken, &header, &output[..written]);
        let sent = link.send_rest(request.taken, &output[..written], || Some(self.stalled()), None, || held = None);
        if sent == Err(Unsent::Gone) {
            link.close();
        }
    }

    /// When a client that pauses from now on has stopped in the middle.
    fn stalled(&self) -> Deadline {
        Deadline::Monotonic(clock::monotonic().saturating_add(self.port.options.max_stall))
    }

    /// Charges the user with what a request holds here, all of it before any of it is there.
    fn hold(&self, request: &Request) -> Result<Held, Status> {
        let most = self.port.options.max_request as u64;
        if request.len == 0 {
            return Err(Status::INVALID_PARAMETER);
        }
        if request.len > most || request.capacity > most {
            return Err(Status::INSUFFICIENT_RESOURCES);
        }
        let charge = |kind, amount| {
            self.user.charge(kind, amount).map_err(|exceeded| {
                let pid = self.client.link.peer.pid;
                tracing::debug!(port = %self.port.name, pid, %exceeded, "request refused");
                Status::INSUFFICIENT_RESOURCES
            })
        };
        let one = charge(Kind::Requests, 1)?;
        Ok([one, charge(Kind::RequestBytes, request.len.saturating_add(request.capacity))?])
    }

    fn answer(&self, request: &Request, from: &Process, output: &mut Vec<u8>) -> Response {
        let input = match self.input(request) {
            Ok(input) => input,
            Err(status) => return status.into(),
        };
        let capacity = request.capacity as usize;
        if output.try_reserve_exact(capacity).is_err() {
            return Status::INSUFFICIENT_RESOURCES.into();
        }
        output.resize(capacity, 0);
        self.call(from, &input, output)
    }

    /// Copies a request's input, once. Fails when there is no memory for it, or the client stops or goes in the middle.
    fn input(&self, request: &Request) -> Result<Vec<u8>, Status> {
        let link = &self.client.link;
        let slot = request.taken.slot;
        let len = usize::try_from(request.len).map_err(|_| Status::INSUFFICIENT_RESOURCES)?;
        let mut input = Vec::new();
        if len <= WINDOW {
            grow(&mut input, len)?;
            read_words(&link.memory.shared().window(slot).words, &mut input);
            return Ok(input);
        }
        let stream = Stream::request(link.memory.host(), link.memory.shared(), slot);
        let mut reader = Reader::new(len);
        let ended = || link.closed() || link.orphaned(slot);
        loop {
            match wait_piece(|| reader.look(&stream), Some(self.stalled()), ended) {
                Ok(true) => {
                    // memory follows what has arrived, not what was announced
                    grow(&mut input, reader.end())?;
                    futex::wake(reader.read(&stream, &mut input), 1, futex::ANY);
                }
                Ok(false) => return Ok(input),
                Err(Stopped::TimedOut) => return Err(Status::TIMEOUT),
                Err(_) => return Err(Status::PORT_DISCONNECTED),
            }
        }
    }

    fn call(&self, from: &Process, input: &[u8], output: &mut [u8]) -> Response {
        if self.client.link.closed() {
            return Status::PORT_DISCONNECTED.into();
        }
        let session = self.session();
        let Some(session) = session.as_ref() else { return Status::PORT_DISCONNECTED.into() };
        let called = std::panic::AssertUnwindSafe(|| {
            let _runs = Callback::begin(self.port.id);
            self.port.serve.message(session, from, input, output)
        });
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

/// Makes room in an input of which more has arrived.
fn grow(input: &mut Vec<u8>, to: usize) -> Result<(), Status> {
    input.try_reserve(to - input.len()).map_err(|_| Status::INSUFFICIENT_RESOURCES)?;
    input.resize(to, 0);
    Ok(())
}
