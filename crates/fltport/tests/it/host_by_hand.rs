//! A host that dies, or is slow to end, where no filter can be made to.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use fltport::{Connection, PortName, Status};
use proto::client;
use proto::host::{self, FLAG_FILE, Header, Outcome, Taken};
use proto::slots::{ATTENTION_DEAD, BELL_ASLEEP, Bell, GETS, Generation, Holder, SharedSlot, State, WINDOW, Word};
use proto::wire::{FromClient, FromHost, MAX_SMALL_MESSAGE_LEN};
use sys::futex;
use sys::memory::Memory;
use sys::socket::Socket;
use testkit::{LONG, PORT, Watchdog, until, watchdog};

/// The host's end of a connection.
struct Hand {
    memory: Memory,
    /// What keeps the connection alive: the handle, and the way to its process.
    sockets: [Socket; 2],
    _watchdog: Watchdog,
}

/// A connection whose host is this test.
fn connect() -> (Hand, Connection) {
    let name = PortName::parse(PORT).unwrap();
    let (memory, [host, shared]) = Memory::create().unwrap();
    let (keeps, kept) = Socket::pair().unwrap();
    let (inside, handle) = Socket::pair().unwrap();
    let content = FromHost::Welcome { holder: None, name: name.clone() }.encode();
    inside.send(&content, &[kept.as_fd(), host.as_fd(), shared.as_fd()]).unwrap();
    drop((inside, kept));
    let opening = thread::spawn(move || Connection::from_handle(handle.into()).unwrap());
    let hears = |socket: &Socket, expected: FromClient<'_>| {
        let mut packet = [0; MAX_SMALL_MESSAGE_LEN];
        let received = socket.recv(&mut packet).unwrap();
        assert_eq!(FromClient::parse(&packet[..received.len]), Ok(expected));
    };
    hears(&keeps, FromClient::Duplicate);
    let (way, theirs) = Socket::pair().unwrap();
    keeps.send(&FromHost::Handle.encode(), &[theirs.as_fd()]).unwrap();
    drop(theirs);
    hears(&way, FromClient::Use);
    way.send(&FromHost::Confirm.encode(), &[]).unwrap();
    hears(&way, FromClient::Use);
    way.send(&FromHost::Welcome { holder: Some(Holder::FIRST), name }.encode(), &[]).unwrap();
    (Hand { memory, sockets: [keeps, way], _watchdog: watchdog(5 * LONG) }, opening.join().unwrap())
}

impl Hand {
    /// Takes the receive that is posted in this slot.
    fn take(&self, slot: usize) -> Taken {
        let word = &self.memory.shared().slots[slot].word;
        let taken = |now: u32| Word::new(State::Taken, Word::from_raw(now).generation()).raw() | (now & Word::SLEEP);
        let posted = |now: &u32| Word::from_raw(*now).state() == Some(State::Posted);
        let before = word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| Some(now).filter(posted).map(taken));
        Taken { slot, generation: Word::from_raw(before.expect("posted")).generation() }
    }

    /// Completes it with a message that wants no reply; whether a thread sleeps there.
    fn complete(&self, taken: Taken, body: &[u8]) -> bool {
        self.begin(taken, body.len(), body, 0)
    }

    /// As `complete`, with the first piece of a message.
    fn begin(&self, taken: Taken, len: usize, body: &[u8], flags: u32) -> bool {
        let header = Header {
            outcome: Outcome::Message,
            len: len as u64,
            status: Status::SUCCESS.0,
            written: 0,
            waiter: None,
            reply_capacity: 0,
            flags,
            deadline: 0,
            cpu: 0,
        };
        host::describe(self.memory.host(), taken, &header, body);
        let bell = host::bell(self.memory.shared(), taken);
        let woken = host::complete(self.memory.host(), self.memory.shared(), taken);
        if let Some(bell) = bell.filter(|bell| Bell(bell).ring_sleepers()) {
            futex::wake(bell, u32::MAX, futex::ANY);
        }
        woken
    }

    /// Waits for a receive in this slot, and sends it a message.
    fn deliver(&self, slot: usize, body: &[u8]) {
        let word = &self.memory.shared().slots[slot].word;
        until(|| Word::from_raw(word.load(Ordering::SeqCst)).state() == Some(State::Posted));
        if self.complete(self.take(slot), body) {
            futex::wake(word, u32::MAX, futex::ANY);
        }
    }
}

impl Hand {
    /// Says in the words that the connection has ended, which the socket tells later.
    fn begin_end(&self) {
        let shared = self.memory.shared();
        shared.attention.word.fetch_or(ATTENTION_DEAD, Ordering::SeqCst);
        for slot in client::calls(shared) {
            let word = &shared.slots[slot].word;
            Word::mark_dead(word);
            futex::wake(word, u32::MAX, futex::ANY);
        }
        for bell in shared.bells.words.iter().filter(|bell| Bell(bell).ring_sleepers()) {
            futex::wake(bell, u32::MAX, futex::ANY);
        }
    }
}

/// Completing a slot takes the sleeper's wish from its word: when the host dies before it wakes the thread that it found there, the
/// end of the connection does.
#[test]
fn a_receive_that_is_completed_by_a_host_that_dies_before_it_wakes_anybody_is_received() {
    let (hand, port) = connect();
    let (told, tell) = sync_channel(1);
    let receiving = thread::spawn(move || {
        let received = port.receiver(1).unwrap().recv().map(|message| message.body().to_vec());
        told.send(received.map_err(|error| error.status())).unwrap();
    });
    let word = &hand.memory.shared().slots[0].word;
    until(|| Word::from_raw(word.load(Ordering::SeqCst)).sleeps());
    assert!(hand.complete(hand.take(0), b"woken"), "a thread sleeps there");
    drop(hand.sockets);
    assert_eq!(tell.recv_timeout(LONG).expect("the receiver was not woken"), Ok(b"woken".to_vec()));
    receiving.join().unwrap();
}

/// The end is in the words a moment before the socket tells of it. Of a slot that becomes free in that moment, a receive
/// that waits for one learns that the connection has ended.
#[test]
fn a_receive_that_waits_for_a_slot_gets_one_as_the_connection_ends() {
    let (hand, port) = connect();
    let completions = port.completions();
    for token in 0..=GETS as u64 {
        completions.post(token, 100).unwrap();
    }
    hand.complete(hand.take(0), b"the last");
    hand.begin_end();
    let (told, tell) = sync_channel(1);
    thread::spawn(move || {
        let ends = std::iter::from_fn(|| completions.next().ok());
        told.send(ends.map(|end| end.result.is_ok()).collect::<Vec<_>>()).unwrap();
    });
    let ends = tell.recv_timeout(LONG).expect("it hangs");
    assert_eq!(ends.len(), GETS + 1);
    assert_eq!(ends.iter().filter(|&&message| message).count(), 1);
    drop(hand);
}

/// Files that were not taken lie before the end.
#[test]
fn each_of_several_threads_that_disconnect_waits_for_the_end() {
    let (hand, port) = connect();
    let file = std::fs::File::open("/dev/null").unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let disconnects = || {
            port.disconnect();
            over.load(Ordering::SeqCst)
        };
        let threads = [scope.spawn(disconnects), scope.spawn(disconnects)];
        for tag in 0..300 {
            let way = &hand.sockets[1];
            way.send(&FromHost::File { tag }.encode(), &[file.as_fd()]).unwrap();
            // so that both wait for the next
            thread::park_timeout(Duration::from_micros(200));
        }
        over.store(true, Ordering::SeqCst);
        drop(hand);
        assert_eq!(threads.map(|thread| thread.join().unwrap()), [true, true], "one was early");
    });
}

/// A program that looks for messages every microsecond takes back 2²⁷ receives in two minutes.
#[test]
fn a_message_is_not_received_again_when_its_receives_generation_comes_around() {
    let (hand, port) = connect();
    let receives = |body: &[u8]| {
        thread::scope(|scope| {
            let receives = scope.spawn(|| port.recv().unwrap().body().to_vec());
            hand.deliver(0, body);
            assert_eq!(receives.join().unwrap(), body);
        });
    };
    receives(b"once");
    assert_eq!(hand.memory.host().slots[0].done.load(Ordering::SeqCst), 1);
    // as all the others leave it that were taken back since
    let last = Word::new(State::Free, Generation::new(u32::MAX)).raw();
    hand.memory.shared().slots[0].word.store(last, Ordering::SeqCst);
    assert!(port.try_recv().unwrap().is_none(), "received twice");
    receives(b"another");
    drop(hand);
}

/// It may be stopped there, and a thread that waits must not look for the end all the while.
#[test]
fn a_host_that_is_stopped_as_it_ends_the_connection_has_ended_it() {
    let calls: [fn(&Connection) -> Status; 4] = [
        |port| port.recv().unwrap_err().status(),
        |port| port.receiver(3).unwrap().recv().unwrap_err().status(),
        |port| port.send(b"x", &mut []).unwrap_err().status(),
        |port| {
            let completions = port.completions();
            (0..3).for_each(|token| completions.post(token, 100).unwrap());
            completions.next().unwrap().result.unwrap_err().status()
        },
    ];
    for call in calls {
        let (hand, port) = connect();
        let (told, tell) = sync_channel(2);
        thread::spawn(move || {
            told.send(None).unwrap();
            told.send(Some(call(&port))).unwrap();
        });
        tell.recv_timeout(LONG).unwrap();
        let shared = hand.memory.shared();
        let asleep = |slot: &SharedSlot| Word::from_raw(slot.word.load(Ordering::SeqCst)).sleeps();
        let bell = || shared.bell(Holder::FIRST).load(Ordering::SeqCst) & BELL_ASLEEP != 0;
        until(|| shared.slots.iter().any(asleep) || bell());
        hand.begin_end();
        assert_eq!(tell.recv_timeout(LONG / 4), Ok(Some(Status::PORT_DISCONNECTED)));
        drop(hand);
    }
}

/// Posts receives, which what it gives owns.
type Posts = fn(&Connection) -> Box<dyn Send>;

/// The rest of it comes when its filter goes on, which may be never.
#[test]
fn a_receive_that_is_dropped_does_not_wait_for_the_rest_of_a_long_message() {
    let drops: [Posts; 2] = [
        |port| Box::new(port.receiver(1).unwrap()),
        |port| {
            let completions = port.completions();
            completions.post(0, usize::MAX).unwrap();
            Box::new(completions)
        },
    ];
    for receives in drops {
        let (hand, port) = connect();
        let posted = receives(&port);
        let taken = hand.take(0);
        hand.begin(taken, 2 * WINDOW, &[7; WINDOW], 0);
        let (told, tell) = sync_channel(1);
        thread::spawn(move || {
            drop(posted);
            told.send(()).unwrap();
        });
        tell.recv_timeout(LONG / 4).expect("it waits");
        assert!(host::let_go(hand.memory.shared(), taken), "it is not read there");
        drop(hand);
    }
}

/// A program that posts small buffers has memory for those.
#[test]
fn a_host_does_not_send_more_than_a_receive_is_for() {
    let (hand, port) = connect();
    let completions = port.completions();
    completions.post(0, 100).unwrap();
    hand.complete(hand.take(0), &[7; 101]);
    assert_eq!(completions.next().unwrap().result.unwrap_err().status(), Status::INVALID_PARAMETER);
    completions.post(0, 100).unwrap();
    hand.complete(hand.take(0), &[7; 100]);
    assert!(completions.next().unwrap().result.is_ok());
    drop(hand);
}

/// Nor does reading them keep it from its work.
#[test]
fn files_that_a_host_makes_up_take_no_descriptors_of_an_application() {
    let (hand, port) = connect();
    let completions = port.completions();
    completions.post(0, 100).unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let other = std::fs::File::open("/dev/null").unwrap();
    thread::scope(|scope| {
        let sends = scope.spawn(|| {
            for generation in 0..5 * GETS as u64 {
                let tag = [5, 1 << 20][generation as usize % 2] << 32 | generation;
                hand.sockets[1].send(&FromHost::File { tag }.encode(), &[writer.as_fd()]).unwrap();
            }
            hand.sockets[1].send(&FromHost::File { tag: 5 << 32 }.encode(), &[other.as_fd()]).unwrap();
        });
        let mut all_are_sent = false;
        while !all_are_sent {
            all_are_sent = sends.is_finished();
            hand.begin(hand.take(0), 1, b"x", FLAG_FILE);
            // it gives up when it has read all that are there, or before
            let status = completions.next().unwrap().result.unwrap_err().status();
            assert!([Status::INVALID_PARAMETER, Status::INSUFFICIENT_RESOURCES].contains(&status), "{status}");
            completions.post(0, 100).unwrap();
        }
    });
    drop(writer);
    assert_eq!(std::io::Read::read(&mut reader, &mut [0]).unwrap(), 0, "it has some still");
    drop(hand);
}
