//! Every way in which a client can break the protocol, done by one that does it: its connection ends, with its name
//! counted once, and no other does.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use fltport::{Client, Connection, PortName, Status, Timeout};
use proto::client;
use proto::slots::{ATTENTION_DEAD, REPLY_INLINE, REQUEST_DEAD};
use proto::wire::{FromClient, FromHost, Hello, MAX_CONTEXT_LEN, MAX_MESSAGE_LEN};
use sys::futex::{self, Upper};
use sys::host_end::HostEnd;
use testkit::raw::{Raw, another, asks};
use testkit::{Host, LONG, PORT, until};

const RELAXED: Ordering = Ordering::Relaxed;

struct Scene {
    host: Host,
    honest: Connection,
    ends: u32,
}

impl Scene {
    fn new() -> Self {
        let host = Host::with(|filter| filter.on_message = Box::new(|_, _, _| 0.into()), |options| options);
        let honest = host.connect();
        host.accepted();
        Self { host, honest, ends: 1 }
    }

    fn count(&self) -> u64 {
        self.host.port().violations().iter().map(|(_, count)| count).sum()
    }

    fn count_of(&self, name: &str) -> u64 {
        let all = self.host.port().violations();
        all.iter().find(|(named, _)| *named == name).map_or(0, |(_, count)| *count)
    }

    /// That `name` has been counted once more since, and nothing else, and that the others are served.
    fn counted(&self, name: &str, before: (u64, u64)) {
        until(|| self.count_of(name) != before.0);
        assert_eq!((self.count_of(name), self.count()), (before.0 + 1, before.1 + 1), "{name}");
        self.honest.send(b"x", &mut []).unwrap();
    }

    /// A first message that is wrong.
    fn greets(&self, name: &str, packet: &[u8], status: Status) {
        let before = (self.count_of(name), self.count());
        let socket = self.host.namespace().find(&PortName::parse(PORT).unwrap()).unwrap();
        socket.send(packet, &[]).unwrap();
        let mut answer = vec![0; MAX_MESSAGE_LEN];
        let len = socket.recv(&mut answer).unwrap().len;
        let Ok(FromHost::Refused(refused)) = FromHost::parse(&answer[..len]) else { panic!("{name}: {len}") };
        assert_eq!(refused.status(), status, "{name}: {}", refused.sentence());
        assert!(!refused.sentence().is_empty());
        self.counted(name, before);
    }

    /// A connection that does `what`; the filter uses it with `host`, whatever becomes of that.
    fn does(&mut self, name: &str, what: impl Fn(&Raw), host: impl Fn(&Client) + Sync) {
        let before = (self.count_of(name), self.count());
        let raw = Raw::connect(&self.host.namespace());
        let client = self.host.accepted();
        self.ends += 1;
        std::thread::scope(|scope| {
            scope.spawn(|| host(&client));
            what(&raw);
            until(|| !client.is_connected());
        });
        assert_eq!(client.send(b"?", Timeout::Never).unwrap_err().status(), Status::PORT_DISCONNECTED);
        drop(raw);
        assert_eq!(self.host.ended(), self.ends);
        self.counted(name, before);
    }
}

#[test]
fn of_the_handshake() {
    let scene = Scene::new();
    let hello = FromClient::Hello(Hello::new(PortName::parse(PORT).unwrap(), b"context").unwrap());
    let hello = hello.encode();
    let name_len = PORT.len();
    let with = |at: usize, byte: u8| {
        let mut packet = hello.clone();
        packet[at] = byte;
        packet
    };
    let invalid = Status::INVALID_PARAMETER;
    scene.greets("unknown-kind", &with(0, 0x7f), invalid);
    scene.greets("unknown-kind", &[0x81, 0, 1, 0], invalid);
    scene.greets("reserved-bits", &with(1, 1), invalid);
    scene.greets("unsupported-version", &with(2, 99), Status::REVISION_MISMATCH);
    scene.greets("reserved-bits", &with(7, 0x80), invalid);
    scene.greets("wrong-length", &hello[..hello.len() - 1], invalid);
    scene.greets("wrong-length", &[&hello[..], b"!"].concat(), invalid);
    scene.greets("wrong-length", &hello[..3], invalid);
    scene.greets("bad-name", &with(16, b'/'), Status::OBJECT_NAME_INVALID);
    scene.greets("bad-name", &with(10, 0xff), Status::OBJECT_NAME_INVALID);
    scene.greets("not-text", &with(16 + name_len - 1, 0xff), invalid);
    let mut long = hello.clone();
    long[12..16].copy_from_slice(&(MAX_CONTEXT_LEN as u32 + 1).to_le_bytes());
    long.resize(16 + name_len + MAX_CONTEXT_LEN + 1, 7);
    scene.greets("context-too-long", &long, Status::INTEGER_OVERFLOW);
    scene.greets("out-of-turn", &FromClient::Ring.encode(), invalid);
    scene.greets("out-of-turn", &FromClient::Bye.encode(), invalid);
    scene.greets("truncated", &vec![1; MAX_MESSAGE_LEN + 1], invalid);
    // a context of the greatest length is none
    let port = scene.host.connect_with(&vec![7; MAX_CONTEXT_LEN]).unwrap();
    port.send(b"x", &mut []).unwrap();
}

#[test]
fn of_the_socket() {
    let mut scene = Scene::new();
    let says = |packet: Vec<u8>| move |raw: &Raw| raw.socket.send(&packet, &[]).unwrap();
    let idle = |_: &Client| {};
    scene.does("unknown-kind", says(vec![0x42]), idle);
    scene.does("unknown-kind", says(FromHost::File { tag: 1 }.encode()), idle);
    scene.does("wrong-length", says(vec![FromClient::Ring.encode()[0], 0]), idle);
    scene.does("out-of-turn", says(FromClient::Query.encode()), idle);
    scene.does("truncated", says(vec![3; 100]), idle);
    scene.does("wrong-length", says(vec![FromClient::Duplicate.encode()[0], 0]), idle);
    // a process that uses the connection by this handle already
    scene.does("out-of-turn", says(FromClient::Use.encode()), idle);
    let again = |raw: &Raw| {
        let handle = another(&raw.socket);
        assert_eq!(asks(&handle, &FromClient::Use), FromHost::Confirm);
        assert!(matches!(asks(&handle, &FromClient::Use), FromHost::Welcome { .. }));
        handle.send(&FromClient::Use.encode(), &[]).unwrap();
    };
    scene.does("out-of-turn", again, idle);
}

/// Where the kernel can, a client has no way to send descriptors; else they end its connection.
#[test]
fn of_descriptors() {
    let mut scene = Scene::new();
    let null = std::fs::File::open("/dev/null").unwrap();
    let (_host, client) = HostEnd::pair().unwrap();
    let refused = client.send(b"x", &[null.as_fd()]).is_err();
    let packets = [FromClient::Ring, FromClient::Duplicate, FromClient::Use].map(|packet| packet.encode());
    for packet in &packets {
        if !refused {
            scene.does("file-count", |raw| raw.socket.send(packet, &[null.as_fd()]).unwrap(), |_| {});
            scene.does("file-count", |raw| raw.socket.send(packet, &[null.as_fd(); 4]).unwrap(), |_| {});
            continue;
        }
        let raw = Raw::connect(&scene.host.namespace());
        let handle = another(&raw.socket);
        for socket in [&raw.socket, &handle] {
            let error = socket.send(packet, &[null.as_fd()]).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        }
    }
}

#[test]
fn of_the_shared_memory() {
    let mut scene = Scene::new();
    let asks = |client: &Client| {
        let asked = client.ask(b"?", &mut [0; 300], Timeout::After(LONG));
        assert_eq!(asked.unwrap_err().status(), Status::PORT_DISCONNECTED);
    };
    // a reply that lies in a window which does not exist, or inline where it has no room
    let replies = |window: Option<usize>, len: u64| {
        move |raw: &Raw| {
            let to = raw.completed(raw.post(100)).reply_to.unwrap();
            assert!(client::claim(raw.shared(), to, proto::slots::Holder::FIRST, 0));
            client::write_reply(raw.shared(), to, 0, &[], len, window);
            let _ = client::publish(raw.shared(), to);
            futex::wake(&raw.shared().waiters[to.waiter].word, u32::MAX, futex::ANY);
        }
    };
    scene.does("bad-reply", replies(Some(64), 300), asks);
    scene.does("bad-reply", replies(Some(1 << 31), 0), asks);
    scene.does("bad-reply", replies(None, REPLY_INLINE as u64 + 1), asks);
    // an end that the host has not declared
    let buries = |raw: &Raw| {
        raw.shared().attention.word.fetch_or(ATTENTION_DEAD, RELAXED);
        futex::wake(&Upper(&raw.shared().attention.word), u32::MAX, futex::ANY);
    };
    scene.does("forged-end", buries, asks);
    let buries = |raw: &Raw| {
        raw.shared().requests.word.fetch_or(REQUEST_DEAD, RELAXED);
        raw.socket.send(&FromClient::Ring.encode(), &[]).unwrap();
    };
    scene.does("forged-end", buries, |_| {});
    let buries = |raw: &Raw| {
        let to = raw.completed(raw.post(100)).reply_to.unwrap();
        let word = &raw.shared().waiters[to.waiter].word;
        proto::slots::Word::mark_dead(word);
        futex::wake(word, u32::MAX, futex::ANY);
    };
    scene.does("forged-end", buries, asks);
    // requests that there are none of
    let rings = |raw: &Raw| {
        until(|| {
            raw.shared().requests.word.fetch_or(0xffff, RELAXED);
            futex::wake(&Upper(&raw.shared().requests.word), u32::MAX, futex::ANY);
            let _ = raw.socket.try_send(&FromClient::Ring.encode(), &[]);
            raw.shared().requests.word.load(RELAXED) & REQUEST_DEAD != 0
        });
    };
    scene.does("restless", rings, |_| {});
}
