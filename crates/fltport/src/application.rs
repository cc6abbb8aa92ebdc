//! The application's end: connect, receive and reply, send.

mod attach;
mod completions;
mod handles;
mod message;
mod receive;
mod reply;
mod send;
mod several;
mod watcher;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use proto::client::{self, Posted, Wake};
use proto::name::PortName;
use proto::slots::{Attention, Holder, SLOTS};
use proto::status::Status;
use proto::wait::Patience;
use proto::wire::{FromClient, FromHost, MAX_SMALL_MESSAGE_LEN, WELCOME_FILES};
use sys::clock::{self, Deadline};
use sys::fork::ForkGuard;
use sys::futex::{self, Upper};
use sys::memory::Memory;
use sys::monitor::{Watch, Watching};
use sys::socket::Socket;

use crate::namespace::Namespace;
use crate::sync::lock;
use crate::{Error, pool};

pub use completions::{Completed, Completions};
pub use message::Message;
pub(crate) use receive::file_tag;
pub use receive::{Received, Receiver};
pub use watcher::Pollable;

/// A connection to a filter's port: the application's handle.
///
/// Every call takes `&self` and may be made from many threads at once. Cloning gives another handle to the same
/// connection, [`Connection::duplicate`] one for another process; the last one to go disconnects. A forked child cannot
/// use its parent's handle: every call then fails with [`Status::INVALID_HANDLE`] and touches nothing.
///
/// ```no_run
/// # fn main() -> Result<(), fltport::Error> {
/// use fltport::{Connection, Status};
///
/// let port = Connection::connect(r"\ScannerPort", b"")?;
/// loop {
///     let question = port.recv()?;
///     let clean = !question.body().ends_with(b".virus");
///     question.reply(Status::SUCCESS, &[clean.into()])?;
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
#[doc(alias("FilterConnectCommunicationPort", "hPort"))]
pub struct Connection {
    link: Arc<Link>,
}

/// How to connect: where to look, and what the handle may do.
#[derive(Debug, Clone, Default)]
pub struct ConnectOptions {
    namespace: Option<Namespace>,
    inheritable: bool,
    timeout: Option<Duration>,
}

impl ConnectOptions {
    /// Looks for the port in `namespace` only, instead of where [`Namespace::current`] says.
    #[must_use]
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// Whether programs that this process starts inherit the handle: [`Connection::inheritable`] tells under which
    /// number, and how they open it. Without it nothing of the connection passes exec.
    #[must_use]
    #[doc(alias("bInheritHandle", "SECURITY_ATTRIBUTES", "lpSecurityAttributes"))]
    pub fn inheritable(mut self, inheritable: bool) -> Self {
        self.inheritable = inheritable;
        self
    }

    /// How long to wait for the filter's answer; for ever unless set, as on Windows: the filter's connect callback may
    /// take its time, and a host that was stopped answers when it goes on. To wait for a place in a host's queue counts.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Connects, as [`Connection::connect`] does.
    ///
    /// # Errors
    /// As [`Connection::connect`], and for an inheritable one, after the filter has accepted it, as
    /// [`Connection::from_handle`]; [`Status::TIMEOUT`]: the filter did not answer in time. If it accepts later, its
    /// disconnect callback follows.
    pub fn connect(&self, name: &str, context: &[u8]) -> Result<Connection, Error> {
        attach::connect(self, name, context).map(|link| Connection { link })
    }
}

impl Connection {
    /// Connects to the port `name` (`\ScannerPort`), handing the filter up to 65,511 bytes of `context`. Blocks until
    /// the filter's connect callback returns.
    ///
    /// # Errors
    /// [`Status::OBJECT_PATH_SYNTAX_BAD`] or [`Status::OBJECT_NAME_INVALID`]: a bad name.
    /// [`Status::OBJECT_NAME_NOT_FOUND`], [`Status::OBJECT_PATH_NOT_FOUND`]: no such port, or it closed before it
    /// answered; the error names those that exist.
    /// [`Status::ACCESS_DENIED`]: the port's descriptor does not admit this user; the error says whom it admits.
    /// [`Status::CONNECTION_COUNT_LIMIT`]: the port has all the connections it wants.
    /// [`Status::INSUFFICIENT_RESOURCES`]: the host has no room, or this user has all the connections one may have;
    /// where the host has not heard us, because other clients of this user keep it waiting, or this one did for a
    /// second, it is tried again for 3 seconds first.
    /// [`Status::INTEGER_OVERFLOW`]: the context is too long. Any other status: the filter's own refusal.
    #[doc(alias = "FilterConnectCommunicationPort")]
    pub fn connect(name: &str, context: &[u8]) -> Result<Self, Error> {
        Self::options().connect(name, context)
    }

    /// The options of a connection.
    pub fn options() -> ConnectOptions {
        ConnectOptions::default()
    }

    /// The port's name.
    pub fn name(&self) -> &PortName {
        &self.link.name
    }

    /// The requests that are made as futures.
    #[cfg(feature = "async")]
    pub(crate) fn requests(&self) -> Arc<crate::aio::Requests> {
        Arc::clone(&self.link.requests)
    }

    /// Whether the filter is there still. A later call may find out otherwise.
    pub fn is_connected(&self) -> bool {
        !self.link.gone()
    }

    /// Disconnects this process, whatever other clones and calls there are: receives and sends that are under way end
    /// with [`Status::PORT_DISCONNECTED`], later ones at once. Returns after the filter's disconnect callback has, or
    /// at the end of the host; message callbacks that run are waited for before that. While other processes have
    /// handles, the connection goes on without this one, and this returns at once.
    #[doc(alias = "CloseHandle")]
    pub fn disconnect(&self) {
        self.link.disconnect(None);
    }

    /// Closes this handle; when it is the last one, disconnects and returns after the filter's disconnect callback has.
    /// Dropping the handle does the same but waits a quarter of a second at most. The end of the host ends the wait.
    ///
    /// A closed handle cannot be used. This does not compile:
    ///
    /// ```compile_fail,E0382
    /// # fn main() -> Result<(), fltport::Error> {
    /// let port = fltport::Connection::connect(r"\ScannerPort", b"")?;
    /// port.close();
    /// port.recv()?;
    /// # Ok(()) }
    /// ```
    #[doc(alias = "CloseHandle")]
    pub fn close(self) {
        let alarm = Arc::clone(&self.link.alarm);
        // the monitor borrows the link for a moment when the host goes
        let held = lock(&alarm.link);
        let last = Arc::into_inner(self.link);
        drop(held);
        if let Some(link) = last {
            link.disconnect(None);
        }
    }
}

/// How long dropping the last handle waits for the filter's disconnect callback, so that a program that connects anew
/// at once finds its place free.
const DROP_PATIENCE: Duration = Duration::from_millis(250);

/// How long a thread that waits for a slot sleeps before it looks by itself: a window becomes free when the filter has
/// read it, of which nobody tells, and a process that has freed a slot may be stopped before it tells.
const SLOT_PATIENCE: Duration = Duration::from_millis(20);

/// How long a thread waits for room in a full socket before it looks whether the connection lives: this process may
/// have disconnected, of which the socket does not tell.
const RING_SLICE: Duration = Duration::from_millis(20);

/// One connection, seen from the application.
#[derive(Debug)]
struct Link {
    name: PortName,
    /// Which of the processes that use the connection this is.
    holder: Holder,
    memory: Memory,
    /// The memory's files, to be passed on with duplicated handles.
    passed_on: [OwnedFd; WELCOME_FILES],
    /// This process's own: nobody else reads it.
    socket: Arc<Socket>,
    /// The handle that children inherit.
    inheritable: Mutex<Option<Socket>>,
    guard: ForkGuard,
    alarm: Arc<Alarm>,
    watching: OnceLock<Watching>,
    receives: Patience,
    sends: Patience,
    asleep: AtomicUsize,
    /// Files that came for messages which another thread receives, with their tags, by slot.
    files: Mutex<HashMap<usize, (u64, OwnedFd)>>,
    slots: Slots,
    windows: Mutex<Vec<reply::Lingering>>,
    completions: completions::Register,
    #[cfg(feature = "async")]
    requests: Arc<crate::aio::Requests>,
}

/// Those who wait for one of the connection's slots to become free.
#[derive(Debug, Default)]
struct Slots {
    /// How many [`Completions`] have receives that wait to be posted.
    waiting: AtomicUsize,
    /// How often [`Connection::cancel_receives`] was called: those who wait for a slot to receive into give up.
    cancels: AtomicU64,
}

/// What the monitor needs to know of a connection.
#[derive(Debug)]
struct Alarm {
    gone: AtomicBool,
    link: Mutex<std::sync::Weak<Link>>,
}

impl Watch for Alarm {
    fn hangup(&self) {
        self.gone.store(true, Ordering::SeqCst);
        // held until the link is let go here: a handle that is closed meanwhile waits for that
        let held = lock(&self.link);
        let Some(link) = held.upgrade() else { return };
        link.wake_everybody();
        if let Some(last) = Arc::into_inner(link) {
            // says good-bye, which waits for the host: not on this thread
            pool::run(move || drop(last));
        }
    }
}

impl Link {
    fn gone(&self) -> bool {
        self.alarm.gone.load(Ordering::Acquire)
    }

    /// What every call starts with.
    fn check(&self, doing: &str) -> Result<(), Error> {
        self.check_process(doing)?;
        if self.gone() { Err(self.disconnected(doing)) } else { Ok(()) }
    }

    /// What a call starts with that has something to tell of a connection that is gone.
    fn check_process(&self, doing: &str) -> Result<(), Error> {
        if self.guard.same_process() {
            return Ok(());
        }
        Err(self
            .error(Status::INVALID_HANDLE, doing)
            .hint("this process is a fork of the one that connected; connect anew here"))
    }

    fn error(&self, status: Status, doing: &str) -> Error {
        Error::new(status, format!("{doing} {}", self.name))
    }

    /// The error of a call that found the connection gone, which from then on it is for all.
    fn disconnected(&self, doing: &str) -> Error {
        self.alarm.gone.store(true, Ordering::SeqCst);
        self.error(Status::PORT_DISCONNECTED, doing)
    }

    fn cancelled(&self) -> Error {
        self.error(Status::CANCELLED, receive::RECEIVING)
    }

    /// Wakes all threads of this process. Other processes that use the connection may go on.
    fn wake_everybody(&self) {
        let shared = self.memory.shared();
        for (slot, ours) in shared.slots.iter().enumerate() {
            if client::bury_slot(shared, slot, self.holder) {
                futex::wake(&ours.word, u32::MAX, futex::ANY);
            }
        }
        self.completions.each(|completions| completions.ring());
        self.wake_waiting();
    }

    /// Makes all who wait for a slot look again.
    fn wake_waiting(&self) {
        let shared = self.memory.shared();
        if client::freed(shared) {
            futex::wake(&shared.allocation.freed, u32::MAX, futex::ANY);
        }
    }

    /// Reserves a slot by `reserve`, waiting for one to become free; `None` when the connection is gone. `reserve` is
    /// called at the `deadline` too, which it may take for the end.
    fn reserve<T>(&self, deadline: Option<Deadline>, reserve: impl Fn() -> Option<T>) -> Option<T> {
        if let Some(slot) = reserve() {
            return Some(slot);
        }
        let shared = self.memory.shared();
        loop {
            let seen = client::want_slot(shared);
            // after that: who changes one of these moves the word
            if self.gone() {
                return None;
            }
            self.reclaim_windows();
            if let Some(slot) = reserve() {
                return Some(slot);
            }
            self.stir_others();
            let left = deadline.map_or(SLOT_PATIENCE, |deadline| deadline.remaining().min(SLOT_PATIENCE));
            let slice = Deadline::Monotonic(clock::monotonic() + left);
            let _ = futex::wait(&shared.allocation.freed, seen, futex::ANY, Some(slice));
        }
    }

    /// Wakes a thread of each other process that may have lent a window: it looks for those that are not needed any more
    /// before it sleeps on.
    fn stir_others(&self) {
        let shared = self.memory.shared();
        if !(0..SLOTS).any(|slot| client::may_be_lent(shared, slot, self.holder)) {
            return;
        }
        let mut stirred = 0;
        for (slot, ours) in shared.slots.iter().enumerate() {
            if let Some(holder) = client::sleeper(shared, slot)
                && holder != self.holder
                && stirred & 1 << holder.number() == 0
                // a word says so, too, of who slept there and woke by itself
                && futex::wake(&ours.word, u32::MAX, futex::ANY) != 0
            {
                stirred |= 1 << holder.number();
            }
        }
    }

    /// Says that a thread will sleep on a slot, as [`client::prepare_sleep`]: not before what is not needed here any more
    /// is there for others.
    fn prepare_sleep(&self, posted: Posted) -> Option<u32> {
        self.reclaim_windows();
        self.fall_asleep(posted)
    }

    /// As [`Link::prepare_sleep`], for one of several slots.
    fn fall_asleep(&self, posted: Posted) -> Option<u32> {
        let shared = self.memory.shared();
        let asleep = client::prepare_sleep(shared, posted);
        if asleep.is_none() && Attention(&shared.attention.word).dead() {
            // the socket tells a moment later, or, of a host that was stopped in between, much later
            self.alarm.gone.store(true, Ordering::SeqCst);
        }
        asleep
    }

    /// Gives a slot back.
    fn release(&self, slot: usize) {
        // a call that ended early has let go of what the host may write yet, and of which another process must get
        // nothing: the host takes it back with the hang-up, when it is done
        if !self.gone() || client::at_rest(self.memory.shared(), slot) {
            self.free(slot);
        }
        if self.slots.waiting.load(Ordering::SeqCst) != 0 {
            self.completions.each(|completions| completions.post_waiting());
        }
    }

    /// Gives a slot back with which the host has nothing to do, and tells no [`Completions`] of this process: for who
    /// holds the lock of one.
    fn free(&self, slot: usize) {
        let shared = self.memory.shared();
        if client::release(shared, slot) {
            // all, for one would not do: it may wait for a slot of the other kind, or be killed, in a process of its
            // own, before it looks; and the wish is one word for all, which is unsaid now and not said again by those
            // who sleep on
            futex::wake(&shared.allocation.freed, u32::MAX, futex::ANY);
        }
    }

    /// Wakes whom a post says to wake, on `word`; whether somebody slept there.
    fn wake(&self, wake: Wake, word: &AtomicU64, reasons: u32) -> bool {
        match wake {
            Wake::None => false,
            Wake::One => futex::wake(&Upper(word), 1, reasons) != 0,
            Wake::Socket => {
                self.ring_host();
                false
            }
        }
    }

    /// Rings the socket. Who is told to ring it is the only one: a ring that is lost would leave the host asleep. What
    /// fills the socket may be no rings but handles, of which the host reads nothing about requests.
    fn ring_host(&self) {
        let ring = FromClient::Ring.encode();
        while !self.gone() {
            let slice = std::time::Instant::now() + RING_SLICE;
            match self.socket.send_deadline(&ring, &[], slice) {
                Err(error) if error.kind() == ErrorKind::TimedOut => {}
                // or it is broken, and the hang-up is coming
                _ => return,
            }
        }
    }

    /// Ends this process's part in the connection, says good-bye, and waits until the host has closed its end too: at
    /// once while there are other handles, else when its disconnect callback has returned.
    fn disconnect(&self, patience: Option<Duration>) {
        if !self.guard.same_process() {
            return;
        }
        self.alarm.gone.store(true, Ordering::SeqCst);
        self.wake_everybody();
        // whether or not anybody asks for them: the slots of what is posted are for the other processes
        self.completions.each(|completions| completions.end());
        // before good-bye, so that it is known whether a child has it too
        drop(lock(&self.inheritable).take());
        // who looks for a file there does not begin any more, and has ended: what comes from now on is for this thread
        drop(lock(&self.files));
        let deadline = patience.map(|patience| std::time::Instant::now() + patience);
        let bye = FromClient::Bye.encode();
        let said = match deadline {
            Some(deadline) => self.socket.send_deadline(&bye, &[], deadline),
            None => self.socket.send(&bye, &[]),
        };
        if said.is_err() {
            // the host is gone; or it does not read, and this link is dropped: nobody uses it, so the end of the stream
            // may say that nobody does
            self.socket.shutdown_write();
        }
        // whatever fails here, the socket is closed when the link goes
        let _ = self.await_end(deadline);
    }

    /// Waits for the host's answer to a good-bye: that there are other handles, or the end.
    fn await_end(&self, deadline: Option<std::time::Instant>) -> std::io::Result<()> {
        let mut packet = [0; MAX_SMALL_MESSAGE_LEN];
        loop {
            self.socket.wait_readable(deadline)?;
            let received = match self.socket.try_recv(&mut packet) {
                // another thread that disconnects was sooner
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                received => received?,
            };
            match FromHost::parse(&packet[..received.len]) {
                Ok(FromHost::Closed { .. }) => return Ok(()),
                // the host says no more, and closes when its callback has returned
                _ if received.len == 0 => return self.socket.wait_closed(deadline).map(drop),
                _ => {}
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.disconnect(Some(DROP_PATIENCE));
    }
}
