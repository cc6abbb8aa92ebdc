//! What the C face costs: messages received and answered by the functions of FltLib, against the same in Rust, in one run.
//!
//! `cargo bench -p fltmgr-fltlib --bench c_face` plays both in turn, several rounds, and prints medians, the ratios within
//! each round, and what the application's threads allocate for a message. A message has 64 bytes, its reply 16.
//!
//! * `calls`: what the two cost that wait for nothing, a reply to a message that is not there, and a receive that is posted,
//!   cancelled, and taken: the C face's own part, whatever else the machine does.
//! * `blocking`: one sender; a thread that receives, replies, and receives again.
//! * `completions`: eight senders; two threads with ten receives posted, by `Completions` and by a completion port.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::c_void;
use std::mem::{offset_of, zeroed};
use std::process::Command;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use fltlib as _;
use fltport::{Client, Connection, Port, PortOptions, Received, Serve, Status, Timeout};
use fltwin32 as _;
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, INVALID_HANDLE_VALUE, S_OK};
use windows_sys::Win32::Storage::InstallableFileSystems::{
    FILTER_MESSAGE_HEADER, FILTER_REPLY_HEADER, FilterConnectCommunicationPort, FilterGetMessage, FilterReplyMessage,
};
use windows_sys::Win32::System::IO::{CancelIoEx, CreateIoCompletionPort, GetQueuedCompletionStatus, OVERLAPPED};
use windows_sys::w;

const PORT: &str = r"\CFacePort";
const MESSAGE: usize = 64;
const REPLY: usize = 16;
const ROUNDS: usize = 9;
const TRIPS: usize = 20_000;
const RECEIVES: usize = 10;
const WORKERS: usize = 2;

/// Counts what threads allocate that say they are the application's.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: all is the system's allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTED.try_with(Cell::get).unwrap_or(false) {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: as of our caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as of our caller.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A filter that hands on its clients.
struct Filter(SyncSender<Client>);

impl Serve for Filter {
    type Session = ();

    fn connect(&self, client: &Client, _: &[u8]) -> Result<(), Status> {
        self.0.try_send(client.clone()).map_err(|_| Status::CONNECTION_COUNT_LIMIT)
    }
}

/// A message as programs for Windows have it.
#[repr(C)]
struct Message {
    header: FILTER_MESSAGE_HEADER,
    body: [u8; MESSAGE],
    overlapped: OVERLAPPED,
}

#[repr(C)]
struct Reply {
    header: FILTER_REPLY_HEADER,
    body: [u8; REPLY],
}

#[derive(Clone, Copy)]
struct Handle(isize);

fn connect() -> Handle {
    let mut port: HANDLE = INVALID_HANDLE_VALUE;
    // SAFETY: a name, and a place for a handle.
    let result = unsafe { FilterConnectCommunicationPort(w!("\\CFacePort"), 0, null(), 0, null(), &raw mut port) };
    assert_eq!(result, S_OK);
    Handle(port as isize)
}

fn reply(port: Handle, id: u64) {
    let reply = Reply { header: FILTER_REPLY_HEADER { Status: 0, MessageId: id }, body: [7; REPLY] };
    // SAFETY: a reply with its header.
    let result = unsafe { FilterReplyMessage(port.0 as HANDLE, &raw const reply.header, size_of::<Reply>() as u32) };
    assert_eq!(result, S_OK);
}

fn blocking_in_rust() {
    let port = Connection::connect(PORT, b"").expect("a connection");
    COUNTED.set(true);
    while let Ok(message) = port.recv() {
        message.reply(Status::SUCCESS, &[7; REPLY]).expect("its filter waits");
    }
    COUNTED.set(false);
}

fn blocking_in_c() {
    let port = connect();
    // SAFETY: plain numbers.
    let mut message: Message = unsafe { zeroed() };
    let len = offset_of!(Message, overlapped) as u32;
    COUNTED.set(true);
    // SAFETY: a buffer of that length.
    while unsafe { FilterGetMessage(port.0 as HANDLE, (&raw mut message).cast(), len, null_mut()) } == S_OK {
        reply(port, message.header.MessageId);
    }
    COUNTED.set(false);
    // SAFETY: the handle of above.
    unsafe { CloseHandle(port.0 as HANDLE) };
}

fn completions_in_rust() {
    let port = Connection::connect(PORT, b"").expect("a connection");
    let completions = port.completions();
    for token in 0..RECEIVES {
        completions.post(token as u64, MESSAGE).expect("a receive");
    }
    let work = || {
        COUNTED.set(true);
        while let Ok(completed) = completions.next() {
            let Ok(Received::Message(message)) = completed.result else { break };
            message.reply(Status::SUCCESS, &[7; REPLY]).expect("its filter waits");
            if completions.post(completed.token, MESSAGE).is_err() {
                break;
            }
        }
        COUNTED.set(false);
    };
    thread::scope(|scope| [(); WORKERS].map(|()| scope.spawn(work)).map(|worker| worker.join().expect("no panic")));
}

fn completions_in_c() {
    let port = connect();
    // SAFETY: a handle that is open.
    let completion = unsafe { CreateIoCompletionPort(port.0 as HANDLE, null_mut(), 0, WORKERS as u32) };
    let completion = Handle(completion as isize);
    let len = offset_of!(Message, overlapped) as u32;
    let get = move |message: *mut Message| {
        let overlapped = message.wrapping_byte_add(offset_of!(Message, overlapped)).cast();
        // SAFETY: a message that lasts until its receive has ended.
        unsafe { FilterGetMessage(port.0 as HANDLE, message.cast(), len, overlapped) }
    };
    // SAFETY: plain numbers.
    let mut messages: Vec<Message> = (0..RECEIVES).map(|_| unsafe { zeroed() }).collect();
    for message in &mut messages {
        get(message);
    }
    let work = move || {
        COUNTED.set(true);
        loop {
            let (mut bytes, mut key, mut overlapped) = (0, 0, null_mut());
            let from = completion.0 as HANDLE;
            // SAFETY: places for what is told.
            let done =
                unsafe { GetQueuedCompletionStatus(from, &raw mut bytes, &raw mut key, &raw mut overlapped, u32::MAX) };
            if done == 0 {
                break;
            }
            let message: *mut Message = overlapped.wrapping_byte_sub(offset_of!(Message, overlapped)).cast();
            // SAFETY: one of the messages, which this thread alone has now.
            reply(port, unsafe { (*message).header.MessageId });
            get(message);
        }
        COUNTED.set(false);
    };
    thread::scope(|scope| [(); WORKERS].map(|()| scope.spawn(work)).map(|worker| worker.join().expect("no panic")));
    for handle in [port, completion] {
        // SAFETY: the handles of above.
        unsafe { CloseHandle(handle.0 as *mut c_void) };
    }
}

/// What a message took.
struct Cost {
    nanoseconds: f64,
    /// Of the application's.
    allocations: f64,
}

fn round(clients: &Receiver<Client>, application: fn(), senders: usize) -> Cost {
    let running = thread::spawn(application);
    let client = clients.recv().expect("it connects");
    let ask = |count: usize| {
        for _ in 0..count {
            let mut reply = [0; REPLY];
            let answered = client.ask(&[1; MESSAGE], &mut reply, Timeout::Never).expect("an answer");
            assert_eq!((answered.len, reply), (REPLY, [7; REPLY]));
        }
    };
    ask(500);
    ALLOCATIONS.store(0, Ordering::Relaxed);
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..senders {
            scope.spawn(|| ask(TRIPS / senders));
        }
    });
    let nanoseconds = begun.elapsed().as_nanos() as f64 / TRIPS as f64;
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) as f64 / TRIPS as f64;
    client.close();
    running.join().expect("no panic");
    Cost { nanoseconds, allocations }
}

/// The least that one of many batches of a call took, in nanoseconds a call: nothing but the call itself.
fn least(mut call: impl FnMut()) -> f64 {
    const BATCH: u32 = 200;
    let batch = || {
        let begun = Instant::now();
        (0..BATCH).for_each(|_| call());
        begun.elapsed().as_nanos() as f64 / f64::from(BATCH)
    };
    std::iter::repeat_with(batch).take(500).fold(f64::INFINITY, f64::min)
}

fn calls(clients: &Receiver<Client>) {
    let rust = Connection::connect(PORT, b"").expect("a connection");
    let c = connect();
    let _clients = [clients.recv().expect("it connects"), clients.recv().expect("it connects")];
    let (port, wrong) = (c.0 as HANDLE, 12_345_678);
    // SAFETY: plain numbers.
    let mut message: Message = unsafe { zeroed() };
    let refused = Reply { header: FILTER_REPLY_HEADER { Status: 0, MessageId: wrong }, body: [7; REPLY] };
    let reply_in_rust = least(|| assert!(rust.reply(wrong, Status::SUCCESS, &[7; REPLY]).is_err()));
    let reply_in_c = least(|| {
        // SAFETY: a reply with its header.
        let result = unsafe { FilterReplyMessage(port, &raw const refused.header, size_of::<Reply>() as u32) };
        assert_ne!(result, S_OK);
    });
    let completions = rust.completions();
    let receive_in_rust = least(|| {
        completions.post(1, MESSAGE).expect("a receive");
        completions.cancel(1);
        assert!(completions.next().expect("its end").result.is_err());
    });
    // SAFETY: a handle that is open.
    let completion = unsafe { CreateIoCompletionPort(port, null_mut(), 0, 1) };
    let len = offset_of!(Message, overlapped) as u32;
    let receive_in_c = least(|| {
        let overlapped = &raw mut message.overlapped;
        // SAFETY: a message that lasts until its receive has ended.
        unsafe { FilterGetMessage(port, (&raw mut message).cast(), len, overlapped) };
        // SAFETY: a handle that is open.
        unsafe { CancelIoEx(port, overlapped) };
        let (mut bytes, mut key, mut done) = (0, 0, null_mut());
        let taken =
            // SAFETY: places for what is told.
            unsafe { GetQueuedCompletionStatus(completion, &raw mut bytes, &raw mut key, &raw mut done, u32::MAX) };
        assert!(taken == 0 && done == overlapped);
    });
    for handle in [completion, port] {
        // SAFETY: the handles of above.
        unsafe { CloseHandle(handle) };
    }
    println!("calls, the least of many");
    println!("  a reply that finds no waiter: Rust {reply_in_rust:.0} ns, C {reply_in_c:.0} ns");
    println!("  a receive posted, cancelled, taken: Rust {receive_in_rust:.0} ns, C {receive_in_c:.0} ns");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn compare(name: &str, clients: &Receiver<Client>, rust: fn(), c: fn(), senders: usize) {
    let rounds: Vec<[Cost; 2]> =
        (0..ROUNDS).map(|_| [rust, c].map(|application| round(clients, application, senders))).collect();
    let of = |value: fn(&[Cost; 2]) -> f64| median(rounds.iter().map(value).collect());
    let print = |name: &str, nanoseconds: f64, allocations: f64| {
        println!("  {name:5} {nanoseconds:8.0} ns a message, {allocations:.2} allocations");
    };
    println!("\n{name}: medians of {ROUNDS} rounds of {TRIPS} messages");
    print("Rust", of(|[rust, _]| rust.nanoseconds), of(|[rust, _]| rust.allocations));
    print("C", of(|[_, c]| c.nanoseconds), of(|[_, c]| c.allocations));
    println!("  C less Rust, within a round: {:+.0} ns", of(|[rust, c]| c.nanoseconds - rust.nanoseconds));
    println!("  messages in C for 100 in Rust: {:.0}", of(|[rust, c]| 100.0 * rust.nanoseconds / c.nanoseconds));
}

fn main() {
    // the C face finds its namespace in the environment, which a program does not change while it runs
    if std::env::var_os("FLTMGR_NAMESPACE").is_none() {
        let namespace = tempfile::tempdir().expect("a directory");
        let program = std::env::current_exe().expect("this program");
        let status = Command::new(program).env("FLTMGR_NAMESPACE", namespace.path()).status().expect("it runs again");
        std::process::exit(status.code().unwrap_or(1));
    }
    let (connected, clients) = sync_channel(2);
    let options = PortOptions::default().max_connections(2);
    let _port = Port::create(PORT, options, Filter(connected)).expect("a port");
    calls(&clients);
    compare("blocking", &clients, blocking_in_rust, blocking_in_c, 1);
    compare("completions", &clients, completions_in_rust, completions_in_c, 8);
}
