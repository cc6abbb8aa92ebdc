//! 64 threads at each end of one connection: nothing is lost, nothing is doubled, ids are right, and every answer is
//! the answer to its question. `FLTMGR_LOAD` says how many messages; in release, 10,000,000 are a matter of minutes.
//!
//! Each message has a number. Each end keeps a byte for each number, and the two are compared at the end.

use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fltmgr::namespace::Namespace;
use fltmgr::{
    Client, Connection, Error, Message, OutgoingMessage, OwnedReply, Port, PortOptions, Process, Response,
    SecurityDescriptor, Serve, Status, Timeout,
};
use testkit::{Again, Role, Watchdog, mix, number_from};

const NAME: &str = r"\Loaded";
const THREADS: u64 = 64;
/// Questions that one filter thread has under way without waiting: all of them stay below the 1,024 that are allowed.
const UNDER_WAY: usize = 8;
/// The number of the message that ends a thread of the application.
const STOP: u64 = u64::MAX;

fn messages() -> u64 {
    number_from("FLTMGR_LOAD", 100_000)
}

fn watchdog() -> Watchdog {
    testkit::watchdog(Duration::from_secs(100 + messages() / 8_000))
}

/// How a message is sent, and with how much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Send,
    SendSoon,
    Ask,
    AskSoon,
    /// The application answers when the time is over.
    AskTooSoon,
    AskThen,
    AskThenSoon,
}

impl Kind {
    fn of(number: u64) -> Self {
        match mix(number) % 16 {
            0 | 1 => Self::Send,
            2 => Self::SendSoon,
            3..=7 => Self::Ask,
            8 | 9 => Self::AskSoon,
            10 => Self::AskTooSoon,
            11..=13 => Self::AskThen,
            _ => Self::AskThenSoon,
        }
    }

    fn timeout(self, number: u64) -> Timeout {
        let micros = mix(number ^ 1);
        match self {
            Self::Send | Self::Ask | Self::AskThen => Timeout::Never,
            Self::SendSoon | Self::AskSoon | Self::AskThenSoon if micros.is_multiple_of(8) => Timeout::Poll,
            // from hopeless to likely
            Self::SendSoon | Self::AskSoon | Self::AskThenSoon => Timeout::After(Duration::from_micros(micros % 2000)),
            Self::AskTooSoon => Timeout::After(Duration::from_micros(micros % 500)),
        }
    }

    fn wants_reply(self) -> bool {
        !matches!(self, Self::Send | Self::SendSoon)
    }

    fn may_time_out(self) -> bool {
        !matches!(self, Self::Send | Self::Ask | Self::AskThen)
    }
}

/// A payload of `number`'s own: `salt` tells a question from an answer. Some need a window, most do not.
fn payload(number: u64, salt: u64) -> Vec<u8> {
    let shape = mix(number ^ salt);
    let words = if shape.is_multiple_of(64) { 100 } else { 1 + shape % 11 };
    (0..words).flat_map(|word| if word == 0 { number } else { mix(number ^ salt ^ word << 40) }.to_le_bytes()).collect()
}

const QUESTION: u64 = 0;
const ANSWER: u64 = 7;
/// As long as the longest answer.
const ROOM: usize = 800;

fn number(payload: &[u8]) -> u64 {
    u64::from_le_bytes(payload[..8].try_into().expect("8 bytes"))
}

/// What one end knows of each message: bits.
struct Table(Vec<AtomicU8>);

impl Table {
    fn new() -> Self {
        Self((0..messages()).map(|_| AtomicU8::new(0)).collect())
    }

    /// Notes what must not have been noted before.
    fn note(&self, number: u64, bit: u8) {
        let before = self.0[number as usize].fetch_or(bit, Ordering::Relaxed);
        assert_eq!(before & bit, 0, "message {number}: {bit} again, after {before}");
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.iter().map(|byte| byte.load(Ordering::Relaxed)).collect()
    }
}

const SEEN: u8 = 1;
const REPLIED: u8 = 2;
const LATE: u8 = 4;
const DONE: u8 = 8;
const TIMED_OUT: u8 = 16;

/// The filter's end.
struct Filter {
    came: SyncSender<Client>,
    seen: Table,
}

impl Serve for Filter {
    type Session = ();

    fn connect(&self, client: &Client, _: &[u8]) -> Result<(), Status> {
        self.came.send(client.clone()).expect("the test waits");
        Ok(())
    }

    fn message(&self, (): &(), _: &Process, input: &[u8], output: &mut [u8]) -> Response {
        let number = number(input);
        assert_eq!(input, payload(number, QUESTION), "the request arrived as another");
        self.seen.note(number, SEEN);
        if number.is_multiple_of(5) {
            return Status::OBJECT_NAME_NOT_FOUND.into();
        }
        let answer = payload(number, ANSWER);
        output[..answer.len()].copy_from_slice(&answer);
        answer.len().into()
    }
}

/// A shared one: what it has seen is looked at afterwards.
struct Shared(Arc<Filter>);

impl Serve for Shared {
    type Session = ();

    fn connect(&self, client: &Client, context: &[u8]) -> Result<(), Status> {
        self.0.connect(client, context)
    }

    fn message(&self, session: &(), from: &Process, input: &[u8], output: &mut [u8]) -> Response {
        self.0.message(session, from, input, output)
    }
}

/// A port, and the other process connected to it.
struct World {
    dir: tempfile::TempDir,
    filter: Arc<Filter>,
    port: Port,
    client: Client,
    app: Again,
    _watchdog: Watchdog,
}

impl World {
    fn new(role: &str) -> Self {
        let watchdog = watchdog();
        let dir = tempfile::tempdir().unwrap();
        let (came, on_came) = sync_channel(1);
        let filter = Arc::new(Filter { came, seen: Table::new() });
        let options = PortOptions::default().security(SecurityDescriptor::null_dacl());
        let port =
            Port::create(NAME, options.namespace(Namespace::at(dir.path())), Shared(Arc::clone(&filter))).unwrap();
        let app = Again::start(&format!("load {role}"), dir.path());
        let client = on_came.recv_timeout(Duration::from_secs(20)).expect("the application connects");
        Self { dir, filter, port, client, app, _watchdog: watchdog }
    }
}

/// What the application's process does.
pub(crate) fn play(role: &Role) {
    let _watchdog = watchdog();
    let dir = role.dir.as_path();
    let port = Connection::options().namespace(Namespace::at(dir)).connect(NAME, b"").unwrap();
    match role.words.as_str() {
        "receive" => receive(&port, dir),
        "request" => request(&port),
        other => panic!("no role {other}"),
    }
}

// --- messages ---

/// The application's end of `messages_…`: 64 threads that receive and reply.
fn receive(port: &Connection, dir: &Path) {
    let seen = Table::new();
    let ids = Ids::new();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (seen, ids) = (&seen, &ids);
            // the ways to receive, side by side
            scope.spawn(move || match thread % 8 {
                6 => while port.recv_timeout(Duration::from_micros(300)).unwrap().is_none_or(|m| work(m, seen, ids)) {},
                7 => {
                    let mut receiver = port.receiver(2).unwrap();
                    while work(receiver.recv().unwrap(), seen, ids) {}
                }
                _ => while work(port.recv().unwrap(), seen, ids) {},
            });
        }
    });
    std::fs::write(dir.join("seen"), seen.bytes()).unwrap();
    testkit::say(&format!("ids {}", ids.complete()));
    // stays connected until it is told that all is well
    let _ = testkit::order();
}

/// One message; false when it ends the thread.
fn work(message: Message, seen: &Table, ids: &Ids) -> bool {
    let number = number(message.body());
    let id = message.id();
    if number == STOP {
        ids.note(id);
        message.reply(Status::SUCCESS, b"").unwrap();
        return false;
    }
    assert_eq!(message.body(), payload(number, QUESTION), "the message arrived as another");
    seen.note(number, SEEN);
    let kind = Kind::of(number);
    assert_eq!(message.reply_capacity().is_some(), kind.wants_reply());
    if !kind.wants_reply() {
        assert_eq!(id, 0);
        return true;
    }
    ids.note(id);
    if kind == Kind::AskTooSoon {
        while message.time_left() != Some(Duration::ZERO) {
            thread::park_timeout(Duration::from_micros(20));
        }
    }
    match message.reply(status(number), &payload(number, ANSWER)) {
        Ok(()) => seen.note(number, REPLIED),
        Err(error) => {
            assert_eq!(error.status(), Status::FLT_NO_WAITER_FOR_REPLY, "message {number}: {error}");
            seen.note(number, LATE);
        }
    }
    true
}

/// A reply's status, which may be anything.
fn status(number: u64) -> Status {
    Status(mix(number ^ 3) as u32)
}

/// The ids that came, each once.
struct Ids {
    came: Vec<AtomicU64>,
    most: AtomicU64,
    count: AtomicU64,
}

impl Ids {
    fn new() -> Self {
        // and those of the messages that end threads, some of which are asked again
        let words = (messages() + 100_000) / 64;
        Self { came: (0..words).map(|_| AtomicU64::new(0)).collect(), most: 0.into(), count: 0.into() }
    }

    fn note(&self, id: u64) {
        assert_ne!(id, 0, "a message that wants a reply has an id");
        let bit = 1 << (id % 64);
        let before = self.came[(id / 64) as usize].fetch_or(bit, Ordering::Relaxed);
        assert_eq!(before & bit, 0, "id {id} came twice");
        self.most.fetch_max(id, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// How many came; the greatest.
    fn complete(&self) -> String {
        format!("{} {}", self.count.load(Ordering::Relaxed), self.most.load(Ordering::Relaxed))
    }
}

/// A filter thread's leave to have only so many questions under way.
#[derive(Default)]
struct Leave {
    under_way: Mutex<usize>,
    ended: Condvar,
}

impl Leave {
    fn take(&self, most: usize) {
        let held = self.ended.wait_while(self.under_way.lock().unwrap(), |count| *count >= most).unwrap();
        let mut held = held;
        *held += 1;
    }

    fn give_back(&self) {
        *self.under_way.lock().unwrap() -= 1;
        self.ended.notify_all();
    }

    fn all_back(&self) {
        drop(self.ended.wait_while(self.under_way.lock().unwrap(), |count| *count != 0).unwrap());
    }
}

/// One end of a question, noted.
fn note(outcomes: &Table, number: u64, result: Result<(Status, &[u8]), &Error>) {
    let kind = Kind::of(number);
    match result {
        Ok((answered, reply)) => {
            if kind.wants_reply() {
                assert_eq!(answered, status(number), "message {number} has another's status");
                assert_eq!(reply, payload(number, ANSWER), "message {number} has another's answer");
            }
            outcomes.note(number, DONE);
        }
        Err(error) => {
            assert!(error.status() == Status::TIMEOUT && kind.may_time_out(), "message {number}, {kind:?}: {error}");
            outcomes.note(number, TIMED_OUT);
        }
    }
}

/// Sends every message of one thread, in the way of each.
fn send_all(client: &Client, thread: u64, outcomes: &Arc<Table>) {
    let leave = Arc::new(Leave::default());
    let mut reply = vec![0; ROOM];
    for number in (thread..messages()).step_by(THREADS as usize) {
        let kind = Kind::of(number);
        let (question, timeout) = (payload(number, QUESTION), kind.timeout(number));
        match kind {
            Kind::Send | Kind::SendSoon => {
                let sent = client.send(&question, timeout);
                note(outcomes, number, sent.as_ref().map(|()| (Status::SUCCESS, &[][..])));
            }
            Kind::Ask | Kind::AskSoon | Kind::AskTooSoon => {
                let asked = client.ask(&question, &mut reply, timeout);
                note(outcomes, number, asked.as_ref().map(|answered| (answered.status, &reply[..answered.len])));
            }
            Kind::AskThen | Kind::AskThenSoon => {
                leave.take(UNDER_WAY);
                let (outcomes, leave) = (Arc::clone(outcomes), Arc::clone(&leave));
                let question = OutgoingMessage { body: question, reply_len: ROOM, file: None, timeout };
                client.ask_then(question, move |answered| {
                    let told = |answered: &OwnedReply| (answered.status, answered.payload.clone());
                    let told = answered.as_ref().map(told);
                    note(&outcomes, number, told.as_ref().map(|(status, reply)| (*status, &reply[..])).map_err(|e| *e));
                    leave.give_back();
                });
            }
        }
    }
    leave.all_back();
}

#[test]
fn messages_are_neither_lost_nor_doubled_and_find_their_answers() {
    let mut world = World::new("receive");
    let outcomes = Arc::new(Table::new());
    let start = Instant::now();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (client, outcomes) = (&world.client, &outcomes);
            scope.spawn(move || send_all(client, thread, outcomes));
        }
    });
    let took = start.elapsed();
    let mut stops = 0;
    let mut ended = 0;
    while ended < THREADS {
        // one that a thread had posted besides the one it ended with is answered "cancelled"
        let reply = world.client.ask(&STOP.to_le_bytes(), &mut [], Timeout::Never).unwrap();
        ended += u64::from(reply.status == Status::SUCCESS);
        stops += u64::from(reply.status != Status::SUCCESS);
    }
    let said = world.app.says("ids");
    let (count, most) = said.split_once(' ').unwrap();
    let (count, most): (u64, u64) = (count.parse().unwrap(), most.parse().unwrap());
    let seen = std::fs::read(world.dir.path().join("seen")).unwrap();
    let [mut answered, mut sent, mut unseen, mut late] = [0_u64; 4];
    for (number, (outcome, seen)) in outcomes.bytes().into_iter().zip(seen).enumerate() {
        let kind = Kind::of(number as u64);
        let class = match (kind.wants_reply(), outcome, seen) {
            (true, DONE, s) if s == SEEN | REPLIED => &mut answered,
            (true, TIMED_OUT, s) if s == SEEN | LATE => &mut late,
            (false, DONE, SEEN) => &mut sent,
            (_, TIMED_OUT, 0) => &mut unseen,
            _ => panic!("message {number}, {kind:?}: the filter says {outcome}, the application {seen}"),
        };
        *class += 1;
    }
    println!(
        "{} messages in {took:.1?}, {:.0} a second: {answered} answered, {sent} sent, {late} answered too late, \
         {unseen} timed out unseen",
        messages(),
        messages() as f64 / took.as_secs_f64()
    );
    assert_eq!(answered + sent + late + unseen, messages());
    // each id came once (the application looks), so these are 1, 2, 3… without a gap, but for the stops that were not seen
    assert_eq!((count, most), (answered + late + THREADS, answered + late + THREADS + stops));
    assert!(late > 0, "nothing timed out");
    drop(world.port);
    world.client.close();
    world.app.hang_up();
    assert_eq!(world.app.end(), 0);
}

// --- requests ---

/// The application's end of `requests_…`: 64 threads that send and wait.
fn request(port: &Connection) {
    let start = Instant::now();
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let done = &done;
            scope.spawn(move || {
                let mut output = vec![0; ROOM];
                for number in (thread..messages()).step_by(THREADS as usize) {
                    let answer = port.request(&payload(number, QUESTION), &mut output).unwrap();
                    if number.is_multiple_of(5) {
                        assert_eq!((answer.status, answer.len), (Status::OBJECT_NAME_NOT_FOUND, 0));
                    } else {
                        assert_eq!(answer.status, Status::SUCCESS);
                        assert_eq!(&output[..answer.len], payload(number, ANSWER), "request {number}");
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    testkit::say(&format!("done {} {}", done.load(Ordering::Relaxed), start.elapsed().as_millis()));
}

#[test]
fn requests_are_neither_lost_nor_doubled_and_find_their_answers() {
    let mut world = World::new("request");
    let said = world.app.says("done");
    let (done, millis) = said.split_once(' ').unwrap();
    let (done, millis): (u64, u64) = (done.parse().unwrap(), millis.parse().unwrap());
    println!("{done} requests in {millis} ms, {} a second", done * 1000 / millis.max(1));
    assert_eq!(done, messages());
    let missed = world.filter.seen.bytes().iter().position(|&seen| seen != SEEN);
    assert_eq!(missed, None, "a request that the callback did not see");
    assert_eq!(world.app.end(), 0);
}
