//! A client that has been admitted and then writes whatever it likes into the memory that it shares with the host.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use fltmgr::namespace::Namespace;
use fltmgr::{
    Client, Connection, OutgoingMessage, Port, PortName, PortOptions, Process, Response, SecurityDescriptor, Serve,
    Status, Timeout,
};
use proto::slots::{ATTENTION_DEAD, ATTENTION_GETS, REQUEST_DEAD, SharedRegion, State, Word};
use proto::wire::{FromClient, FromHost, Hello, MAX_MESSAGE_LEN};
use sys::memory::Memory;
use sys::socket::Socket;

const LONG: Duration = Duration::from_secs(20);
const NAME: &str = r"\Besieged";

struct Filter {
    came: SyncSender<Client>,
    went: SyncSender<()>,
}

impl Serve for Filter {
    type Session = ();

    fn connect(&self, client: &Client, _: &[u8]) -> Result<(), Status> {
        self.came.send(client.clone()).unwrap();
        Ok(())
    }

    fn message(&self, (): &(), _: &Process, input: &[u8], output: &mut [u8]) -> Response {
        let len = input.len().min(output.len());
        output[..len].copy_from_slice(&input[..len]);
        len.into()
    }

    fn disconnect(&self, (): ()) {
        let _ = self.went.send(());
    }
}

/// Small steps of a generator that needs no quality.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// A value at an edge, or any.
    fn value(&mut self) -> u64 {
        match self.below(12) {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            3 => 65_535,
            4 => 65_537,
            5 => u64::from(u32::MAX),
            6 => 1 << 63,
            7 => self.next() % 300,
            _ => self.next(),
        }
    }

    /// A word of a slot or waiter near what it is: another state, another generation, other bits.
    fn word(&mut self, now: u32) -> u32 {
        match self.below(6) {
            0 => self.next() as u32,
            1 => now ^ 1 << self.below(32),
            2 => now & !7 | State::Posted as u32,
            3 => now & !7 | State::Done as u32,
            4 => now.wrapping_add(1 << 5),
            _ => now & !(Word::DEAD | Word::SLEEP),
        }
    }
}

/// One random store into the shared memory. Sizes of requests stay small most of the time, so that the host is attacked
/// by lies and not kept busy by work that it has agreed to.
fn scribble(shared: &SharedRegion, random: &mut Random) {
    const RELAXED: Ordering = Ordering::Relaxed;
    // few slots and waiters are in use: the first are worth more
    let first = |random: &mut Random, all: usize, first| if random.below(4) == 0 { all } else { first };
    let slots = first(random, shared.slots.len(), 40);
    let slot = &shared.slots[random.below(slots)];
    let waiters = first(random, shared.waiters.len(), 8);
    let waiter = &shared.waiters[random.below(waiters)];
    match random.below(19) {
        0 => shared.attention.word.store(random.value(), RELAXED),
        1 => _ = shared.attention.word.fetch_or(random.next() & ATTENTION_GETS, RELAXED),
        2 => _ = shared.attention.word.fetch_and(!ATTENTION_DEAD, RELAXED),
        3 => shared.requests.word.store(random.value(), RELAXED),
        4 => _ = shared.requests.word.fetch_and(!REQUEST_DEAD, RELAXED),
        5 | 6 => slot.word.store(random.word(slot.word.load(RELAXED)), RELAXED),
        7 => slot.capacity.store(random.value(), RELAXED),
        8 => slot.ticket.store(random.value(), RELAXED),
        9 => slot.len.store(random.value(), RELAXED),
        10 => slot.drained.store(random.value() as u32, RELAXED),
        11 => slot.filled.store(random.value() as u32, RELAXED),
        12 | 13 => waiter.word.store(random.word(waiter.word.load(RELAXED)), RELAXED),
        14 => waiter.window.store(random.value() as u32, RELAXED),
        15 => shared.posted.words[random.below(16)].store(random.next(), RELAXED),
        16 => slot.rings.store(random.value() as u32, RELAXED),
        17 => shared.bells.words[random.below(15)].store(random.value() as u32, RELAXED),
        _ => waiter.len.store(random.value(), RELAXED),
    }
}

/// The handshake, by hand.
fn raw_connect(dir: &Path) -> (Socket, Memory) {
    let dir = File::open(dir).unwrap();
    let socket = Socket::connect(dir.as_fd(), "Besieged", LONG).unwrap();
    let hello = Hello::new(PortName::parse(NAME).unwrap(), b"").unwrap();
    socket.send(&FromClient::Hello(hello).encode(), &[]).unwrap();
    let mut packet = vec![0; MAX_MESSAGE_LEN];
    let received = socket.recv(&mut packet).unwrap();
    assert!(matches!(FromHost::parse(&packet[..received.len]), Ok(FromHost::Welcome { .. })));
    let [host, shared] = &received.files[..] else { panic!("two files") };
    let memory = Memory::open(host.as_fd(), shared.as_fd()).unwrap();
    (socket, memory)
}

/// What the filter does with the hostile client: everything that there is to do, and each call ends.
fn use_client(client: &Client, over: &AtomicBool) {
    thread::scope(|scope| {
        let soon = Timeout::After(Duration::from_millis(5));
        let outlive = |what: &dyn Fn()| {
            while !over.load(Ordering::Relaxed) {
                let start = Instant::now();
                what();
                assert!(start.elapsed() < Duration::from_secs(5), "a call took {:?}", start.elapsed());
                if !client.is_connected() {
                    // a breach was seen
                    return;
                }
            }
        };
        scope.spawn(move || outlive(&|| drop(client.send(&[1; 50], soon))));
        scope.spawn(move || outlive(&|| drop(client.ask(&[2; 70_000], &mut vec![0; 200_000], soon))));
        scope.spawn(move || {
            outlive(&|| {
                let (done, ended) = sync_channel(1);
                let question = OutgoingMessage { body: vec![3; 30], reply_len: 300, file: None, timeout: soon };
                client.ask_then(question, move |answer| done.send(answer.is_ok()).unwrap());
                ended.recv_timeout(LONG).expect("a question was never answered");
            });
        });
    });
}

fn serves(port: &Connection, worst: &mut Duration) {
    let start = Instant::now();
    let mut output = [0; 300];
    assert_eq!(port.send(&[9; 300], &mut output).unwrap(), 300);
    assert_eq!(output, [9; 300]);
    *worst = start.elapsed().max(*worst);
}

#[test]
fn a_client_that_scribbles_in_shared_memory_harms_nobody_else() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        hook(info);
    }));
    let dir = tempfile::tempdir().unwrap();
    let (came, on_came) = sync_channel(100_000);
    let (went, on_went) = sync_channel(100_000);
    let options = PortOptions::default().max_connections(100).security(SecurityDescriptor::null_dacl());
    // so that a lie about a size costs little
    let options = options.namespace(Namespace::at(dir.path())).max_request(1 << 20);
    let _port = Port::create(NAME, options, Filter { came, went }).unwrap();
    let honest = Connection::options().namespace(Namespace::at(dir.path())).connect(NAME, b"").unwrap();
    let accepted = |came: &Receiver<Client>| came.recv_timeout(LONG).unwrap();
    let honest_client = accepted(&on_came);
    let seconds = if std::env::var_os("FLTMGR_DEEP").is_some() { 60 } else { 3 };
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut attacks, mut stores, mut worst) = (0_u32, 0_u64, Duration::ZERO);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    while Instant::now() < end {
        let (socket, memory) = raw_connect(dir.path());
        let hostile = accepted(&on_came);
        attacks += 1;
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| use_client(&hostile, &over));
            let until = Instant::now() + Duration::from_millis(100);
            while Instant::now() < until {
                for _ in 0..200 {
                    scribble(memory.shared(), &mut random);
                }
                stores += 200;
                let _ = socket.try_send(&FromClient::Ring.encode(), &[]);
                serves(&honest, &mut worst);
            }
            over.store(true, Ordering::Relaxed);
        });
        drop(socket);
        // the host lets go of it, however its memory looks
        on_went.recv_timeout(LONG).expect("the hostile client was not let go of");
        assert!(!hostile.is_connected());
    }
    println!("{attacks} attacks, {stores} stores; the honest client waited {worst:?} at most");
    thread::scope(|scope| {
        scope.spawn(|| honest.recv().unwrap().reply(Status::SUCCESS, b"fine").unwrap());
        let mut reply = [0; 4];
        assert_eq!(honest_client.ask(b"how are you?", &mut reply, Timeout::After(LONG)).unwrap().len, 4);
    });
    assert!(worst < Duration::from_secs(2), "{worst:?}");
    assert_eq!(PANICS.load(Ordering::SeqCst), 0, "a thread panicked");
}
