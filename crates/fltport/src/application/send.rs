//! Sending: a request goes to the filter's message callback, which answers.

use proto::client::{self, Posted};
use proto::pieces::{self, Stream, Writer};
use proto::slots::{WINDOW, write_words};
use proto::status::Status;
use sys::futex;

use super::attachment::Attachment;
use super::connection::Connection;
use crate::Error;
use crate::response::Response;
use crate::wait::{On, wait, wait_piece};

const SENDING: &str = "sending to";

impl Connection {
    /// Sends `input` to the filter's message callback and waits for its answer in `output`. Returns how many bytes the
    /// callback reports, which may be more than `output` holds.
    ///
    /// # Errors
    /// [`Status::INVALID_PARAMETER`]: `input` is empty. [`Status::INVALID_DEVICE_REQUEST`]: the filter has no message
    /// callback. [`Status::PORT_DISCONNECTED`]. Any other: the callback's own; use [`Connection::request`] where it
    /// comes with a length.
    #[doc(alias = "FilterSendMessage")]
    pub fn send(&self, input: &[u8], output: &mut [u8]) -> Result<usize, Error> {
        let answer = self.request(input, output)?;
        if answer.status == Status::SUCCESS {
            return Ok(answer.len);
        }
        let error = self.attachment.error(answer.status, SENDING);
        Err(if answer.status == Status::INSUFFICIENT_RESOURCES {
            error.hint(
                "the filter says so, or its host, which limits the length of one request (max_request), and how many \
                 one user has under way (max_requests_per_user) and how many bytes these hold (max_request_bytes_per_user)",
            )
        } else {
            error
        })
    }

    /// As [`Connection::send`], but the callback's status is part of the answer, whatever it is. The length is 0 for an
    /// error, and valid for success, for warnings (0x8…) and for [`Status::FLT_BUFFER_TOO_SMALL`].
    ///
    /// # Errors
    /// [`Status::INVALID_PARAMETER`]: `input` is empty. [`Status::PORT_DISCONNECTED`]. [`Status::TIMEOUT`]: this
    /// process was stopped while it read a long answer, for longer than the filter waits
    /// ([`crate::PortOptions::max_stall`]).
    #[doc(alias("FilterSendMessage", "lpBytesReturned"))]
    pub fn request(&self, input: &[u8], output: &mut [u8]) -> Result<Response, Error> {
        let attachment = &self.attachment;
        // what is wrong with the call is told before the end of the connection, as on Windows; a fork's handle before
        // both
        if input.is_empty() && attachment.guard.same_process() {
            return Err(attachment.error(Status::INVALID_PARAMETER, SENDING).hint("a request has at least one byte"));
        }
        attachment.check(SENDING)?;
        let reserve = || client::reserve_send(attachment.memory.shared(), attachment.holder);
        let slot = attachment.reserve(None, reserve).ok_or_else(|| attachment.disconnected(SENDING))?;
        let answer = attachment.exchange(slot, input, output);
        attachment.release(slot);
        answer
    }
}

impl Attachment {
    /// One request in a reserved slot.
    fn exchange(&self, slot: usize, input: &[u8], output: &mut [u8]) -> Result<Response, Error> {
        let shared = self.memory.shared();
        write_words(&shared.window(slot).words, pieces::first(input));
        let (posted, wake) = client::post_send(shared, slot, input.len() as u64, output.len() as u64)
            .ok_or_else(|| self.disconnected(SENDING))?;
        self.wake(wake, &shared.requests.word, futex::ANY);
        if input.len() > WINDOW {
            self.write_input(posted, input);
        }
        self.answer(posted, output)
    }

    /// Writes the other pieces of a long request, as far as the host reads them.
    fn write_input(&self, posted: Posted, input: &[u8]) {
        let (host, shared) = (self.memory.host(), self.memory.shared());
        let stream = Stream::request(host, shared, posted.slot);
        let mut writer = Writer::new(input.len());
        // a host that refuses the request completes it without reading on
        let done = || self.gone() || client::completed(host, posted);
        while wait_piece(|| writer.look(&stream), None, done) == Ok(true) {
            let Some(written) = writer.write(&stream, input) else { return };
            futex::wake(written, 1, futex::ANY);
        }
    }

    fn answer(&self, posted: Posted, output: &mut [u8]) -> Result<Response, Error> {
        let (host, shared) = (self.memory.host(), self.memory.shared());
        let on = On {
            word: &shared.slots[posted.slot].word,
            reasons: futex::ANY,
            patience: &self.sends,
            asleep: &self.asleep,
        };
        let look = || {
            if client::completed(host, posted) {
                return Some(true);
            }
            // looked at again: what was answered before the end is told before it
            self.gone().then(|| client::completed(host, posted))
        };
        if wait(&on, None, look, || self.prepare_sleep(posted)) != Some(true) {
            return Err(self.disconnected(SENDING));
        }
        let completion = client::completion(host, posted);
        self.sends.peer_ran_on(completion.cpu);
        let len = usize::try_from(completion.len).unwrap_or(usize::MAX);
        let written = completion.written as usize;
        let output = output.get_mut(..written).ok_or_else(|| self.disconnected(SENDING))?;
        let whole = self.read_payload(posted.slot, output).ok_or_else(|| self.disconnected(SENDING))?;
        if !whole {
            return Err(self.error(Status::TIMEOUT, SENDING).hint(
                "the filter no longer waits for this process to read the answer: was it stopped? \
                 (PortOptions::max_stall)",
            ));
        }
        Ok(Response { status: Status(completion.status), len })
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::fd::AsFd;
    use std::thread;
    use std::time::{Duration, Instant};

    use proto::name::PortName;
    use proto::slots::{Holder, Requests};
    use proto::wire::{FromClient, FromHost, MAX_SMALL_MESSAGE_LEN};
    use sys::memory::Memory;
    use sys::socket::Socket;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// A connection whose host is the test: its memory, the handle that keeps it alive, and the host's end of the way to
    /// this process.
    fn connect() -> (Memory, [Socket; 2], Connection) {
        let name = PortName::parse(r"\Full").unwrap();
        let (memory, [host, shared]) = Memory::create().unwrap();
        let (keeps, kept) = Socket::pair().unwrap();
        let (inside, handle) = Socket::pair().unwrap();
        let content = FromHost::Welcome { holder: None, name: name.clone() }.encode();
        inside.send(&content, &[kept.as_fd(), host.as_fd(), shared.as_fd()]).unwrap();
        drop((inside, kept));
        let opening = thread::spawn(move || Connection::from_handle(handle.into()).unwrap());
        let (ours, theirs) = Socket::pair().unwrap();
        keeps.recv(&mut [0; MAX_SMALL_MESSAGE_LEN]).unwrap();
        keeps.send(&FromHost::Handle.encode(), &[theirs.as_fd()]).unwrap();
        ours.recv(&mut [0; MAX_SMALL_MESSAGE_LEN]).unwrap();
        ours.send(&FromHost::Welcome { holder: Some(Holder::FIRST), name }.encode(), &[]).unwrap();
        (memory, [keeps, ours], opening.join().unwrap())
    }

    /// A connection whose host takes requests and reads nothing, and the way to it full of what says nothing of requests.
    fn connect_full() -> (Memory, [Socket; 2], Connection) {
        let (memory, sockets, port) = connect();
        Requests(&memory.shared().requests.word).open();
        let duplicate = FromClient::Duplicate.encode();
        let full = loop {
            if let Err(error) = port.attachment.socket.try_send(&duplicate, &[]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock, "{full}");
        (memory, sockets, port)
    }

    /// Waits for a request, as its host takes it.
    fn until_requested(memory: &Memory) {
        let start = Instant::now();
        while Requests(&memory.shared().requests.word).collect() == 0 {
            assert!(start.elapsed() < LONG, "no request");
            thread::park_timeout(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_request_rings_the_host_however_full_the_socket_is() {
        let (memory, [_handle, way], port) = connect_full();
        thread::scope(|scope| {
            let sends = scope.spawn(|| port.send(b"x", &mut []).unwrap_err().status());
            until_requested(&memory);
            let mut packet = [0; MAX_SMALL_MESSAGE_LEN];
            let mut rung = false;
            while !rung && way.wait_readable(Some(Instant::now() + LONG / 10)).is_ok() {
                let received = way.try_recv(&mut packet).unwrap();
                rung = FromClient::parse(&packet[..received.len]) == Ok(FromClient::Ring);
            }
            // it waits for the answer, whatever was found
            way.shutdown();
            assert_eq!(sends.join().unwrap(), Status::PORT_DISCONNECTED);
            assert!(rung, "it did not ring");
        });
    }

    #[test]
    fn a_request_that_waits_to_ring_ends_when_this_process_disconnects() {
        let (memory, [_handle, way], port) = connect_full();
        thread::scope(|scope| {
            let sends = scope.spawn(|| port.send(b"x", &mut []).unwrap_err().status());
            until_requested(&memory);
            let disconnects = scope.spawn(|| port.disconnect());
            assert_eq!(sends.join().unwrap(), Status::PORT_DISCONNECTED);
            way.shutdown();
            disconnects.join().unwrap();
        });
    }
}
