//! A client that speaks the protocol by hand, so that it can break or leave undone what no [`fltport::Connection`]
//! would.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use fltport::namespace::Namespace;
use fltport::{PortName, Status};
use proto::client::{self, Completion, Posted, Publish, ReplyTo, Wake};
use proto::pieces;
use proto::slots::{Holder, HostRegion, REASON_BUFFER, REASON_REPLY, SharedRegion, WINDOW, read_words, write_words};
use proto::wire::{FromClient, FromHost, Hello, MAX_ANSWER_LEN, MAX_MESSAGE_LEN};
use sys::futex::{self, Upper};
use sys::memory::Memory;
use sys::socket::Socket;

use crate::{PORT, until};

/// A connection by hand.
#[derive(Debug)]
pub struct Raw {
    /// What it is connected by.
    pub socket: Socket,
    memory: Memory,
}

impl Raw {
    /// Connects to [`PORT`].
    pub fn connect(namespace: &Namespace) -> Self {
        let name = PortName::parse(PORT).unwrap();
        let socket = namespace.find(&name).unwrap();
        let hello = Hello::new(name, b"").unwrap();
        socket.send(&FromClient::Hello(hello).encode(), &[]).unwrap();
        let mut packet = vec![0; MAX_MESSAGE_LEN];
        let received = socket.recv(&mut packet).unwrap();
        assert!(matches!(FromHost::parse(&packet[..received.len]), Ok(FromHost::Welcome { .. })));
        let [host, shared] = &received.files[..] else { panic!("two files") };
        let memory = Memory::open(host.as_fd(), shared.as_fd()).unwrap();
        Self { socket, memory }
    }

    /// A holder by hand, and its number, from a handle that [`fltport::Connection::duplicate`] made.
    pub fn open(handle: OwnedFd) -> (Self, Holder) {
        let handle = Socket::adopt(handle).unwrap();
        let mut received = handle.peek(&mut [0; MAX_MESSAGE_LEN]).unwrap();
        let way = Socket::from(received.files.remove(0));
        let [host, shared] = &received.files[..] else { panic!("a way and two files") };
        let memory = Memory::open(host.as_fd(), shared.as_fd()).unwrap();
        let socket = another(&way);
        assert_eq!(asks(&socket, &FromClient::Use), FromHost::Confirm);
        let welcome = asks(&socket, &FromClient::Use);
        let FromHost::Welcome { holder: Some(holder), .. } = welcome else { panic!("{welcome:?}") };
        (Self { socket, memory }, holder)
    }

    /// The memory that only the host writes.
    pub fn host(&self) -> &HostRegion {
        self.memory.host()
    }

    /// The memory that both ends write.
    pub fn shared(&self) -> &SharedRegion {
        self.memory.shared()
    }

    /// Posts a receive in a slot of its own.
    pub fn post(&self, capacity: u64) -> Posted {
        let slot = client::reserve_get(self.shared(), Holder::FIRST).expect("a free slot");
        self.post_in(slot, capacity)
    }

    /// Posts a receive in this slot.
    pub fn post_in(&self, slot: usize, capacity: u64) -> Posted {
        let (posted, wake) = client::post_get(self.shared(), slot, capacity).expect("a connection");
        if wake != Wake::None {
            futex::wake(&Upper(&self.shared().attention.word), 1, REASON_BUFFER);
        }
        posted
    }

    /// Waits until the receive is complete. Of its payload, one piece is there.
    pub fn completed(&self, posted: Posted) -> Completion {
        until(|| client::completed(self.host(), posted));
        client::completion(self.host(), posted)
    }

    /// Reads a message as it should be read.
    pub fn read(&self, posted: Posted) -> Vec<u8> {
        let len = self.completed(posted).len as usize;
        let mut body = vec![0; len];
        let theirs = &self.host().slots[posted.slot];
        if client::lies_inline(len) {
            read_words(&theirs.inline, &mut body);
            return body;
        }
        for (index, piece) in body.chunks_mut(WINDOW).enumerate() {
            until(|| theirs.filled.load(Ordering::Acquire) as usize > index);
            read_words(&self.host().windows[posted.slot].words, piece);
            move_counter(&self.shared().slots[posted.slot].drained, index as u32 + 1);
        }
        body
    }

    /// Answers with a short payload.
    pub fn reply(&self, to: ReplyTo, payload: &[u8]) -> Publish {
        assert!(client::claim(self.shared(), to, Holder::FIRST, 0));
        client::write_reply(self.shared(), to, Status::SUCCESS.0, payload, payload.len() as u64, None);
        self.publish(to)
    }

    /// Begins to answer with a long payload: writes the first piece. The others follow by [`Raw::finish_reply`].
    pub fn begin_reply(&self, to: ReplyTo, payload: &[u8]) -> usize {
        assert!(client::claim(self.shared(), to, Holder::FIRST, 0));
        let window = client::reserve_reply(self.shared(), Holder::FIRST).expect("a free window");
        write_words(&self.shared().window(window).words, pieces::first(payload));
        self.shared().slots[window].filled.store(1, Ordering::Release);
        client::write_reply(self.shared(), to, Status::SUCCESS.0, &[], payload.len() as u64, Some(window));
        assert!(matches!(self.publish(to), Publish::Delivered { .. }));
        window
    }

    /// Writes the other pieces as they are read.
    pub fn finish_reply(&self, to: ReplyTo, window: usize, payload: &[u8]) {
        let drained = &self.host().waiters[to.waiter].drained;
        for (index, piece) in payload.chunks(WINDOW).enumerate().skip(1) {
            until(|| drained.load(Ordering::Acquire) as usize >= index);
            write_words(&self.shared().window(window).words, piece);
            move_counter(&self.shared().slots[window].filled, index as u32 + 1);
        }
        until(|| !client::reading(self.host(), to));
        let _ = client::release(self.shared(), window);
    }

    fn publish(&self, to: ReplyTo) -> Publish {
        let published = client::publish(self.shared(), to);
        if let Publish::Delivered { wake, attention } = published {
            if wake {
                futex::wake(&self.shared().waiters[to.waiter].word, u32::MAX, futex::ANY);
            }
            if attention {
                futex::wake(&Upper(&self.shared().attention.word), u32::MAX, REASON_BUFFER | REASON_REPLY);
            }
        }
        published
    }

    /// Makes a short request in the name of the holder that has this number; its status.
    pub fn send_as(&self, owner: u32, input: &[u8]) -> Status {
        let slot = client::reserve_send(self.shared(), Holder::FIRST).expect("a free slot");
        self.shared().slots[slot].owner.store(owner, Ordering::Release);
        let status = self.completed(self.post_send_in(slot, input, input.len() as u64, 64)).status;
        let _ = client::release(self.shared(), slot);
        Status(status)
    }

    /// Posts a SEND whose first piece lies in its window, and rings the socket, whether or not a thread looks.
    pub fn post_send(&self, first: &[u8], len: u64, capacity: u64) -> Posted {
        let slot = client::reserve_send(self.shared(), Holder::FIRST).expect("a free slot");
        self.post_send_in(slot, first, len, capacity)
    }

    fn post_send_in(&self, slot: usize, first: &[u8], len: u64, capacity: u64) -> Posted {
        write_words(&self.shared().window(slot).words, first);
        let (posted, wake) = client::post_send(self.shared(), slot, len, capacity).expect("a connection");
        match wake {
            Wake::None => {}
            Wake::One => _ = futex::wake(&Upper(&self.shared().requests.word), 1, futex::ANY),
            Wake::Socket => self.socket.send(&FromClient::Ring.encode(), &[]).unwrap(),
        }
        posted
    }
}

/// Another handle of the connection that `way` leads to, which no process uses yet.
pub fn another(way: &Socket) -> Socket {
    way.send(&FromClient::Duplicate.encode(), &[]).unwrap();
    let mut packet = [0; MAX_ANSWER_LEN];
    let mut received = way.recv(&mut packet).unwrap();
    assert_eq!(FromHost::parse(&packet[..received.len]), Ok(FromHost::Handle));
    Socket::from(received.files.pop().unwrap())
}

/// What the host answers.
pub fn asks(socket: &Socket, what: &FromClient<'_>) -> FromHost {
    socket.send(&what.encode(), &[]).unwrap();
    let mut packet = [0; MAX_ANSWER_LEN];
    let received = socket.recv(&mut packet).unwrap();
    FromHost::parse(&packet[..received.len]).unwrap()
}

fn move_counter(counter: &AtomicU32, to: u32) {
    counter.store(to, Ordering::Release);
    // as every application does: one sleeps there
    futex::wake(counter, 1, futex::ANY);
}
