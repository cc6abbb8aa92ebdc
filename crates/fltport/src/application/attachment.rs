//! One connection, as the threads of one application's process share it: its memory, its socket, and its end.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use crate::monitor::{Watch, Watching};
use proto::client::{self, Posted, ReplyTo, Wake};
use proto::name::PortName;
use proto::slots::{Attention, Bell, HOLDERS, Holder};
use proto::status::Status;
use proto::wait::Patience;
use proto::wire::{FromClient, FromHost, MAX_SMALL_MESSAGE_LEN, WELCOME_FILES};
use sys::clock::{self, Deadline};
use sys::fork::ForkGuard;
use sys::futex::{self, Upper};
use sys::memory::Memory;
use sys::socket::Socket;

use super::arrivals::Arrivals;
#[cfg(feature = "async")]
use super::async_requests::AsyncRequests;
use super::register::Register;
use crate::sync::lock;
use crate::{Error, pool};

/// How long dropping the last handle waits for the filter's disconnect callback, so that a program that connects anew
/// at once finds its place free.
const DROP_PATIENCE: Duration = Duration::from_millis(250);

/// How long a thread that waits for a slot sleeps before it looks by itself: a window becomes free when the filter has
/// read it, which is not told, and a process that has freed a slot may be stopped before it tells.
pub(super) const SLOT_PATIENCE: Duration = Duration::from_millis(20);

/// How long a thread waits for room in a full socket before it looks whether the connection lives: this process may
/// have disconnected, of which the socket does not tell.
const RING_SLICE: Duration = Duration::from_millis(20);

/// One connection, seen from the application.
#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) name: PortName,
    /// Which of the processes that use the connection this is.
    pub(super) holder: Holder,
    pub(super) memory: Memory,
    /// The memory's files, to be passed on with duplicated handles.
    pub(super) passed_on: [OwnedFd; WELCOME_FILES],
    /// This process's own: no other reads it.
    pub(super) socket: Arc<Socket>,
    /// The handle that children inherit.
    pub(super) inheritable: Mutex<Option<Socket>>,
    pub(super) guard: ForkGuard,
    pub(super) alarm: Arc<Alarm>,
    pub(super) watching: OnceLock<Watching>,
    pub(super) receives: Patience,
    pub(super) sends: Patience,
    pub(super) asleep: AtomicUsize,
    pub(super) arrivals: Mutex<Arrivals>,
    pub(super) slots: Slots,
    pub(super) windows: Mutex<Vec<LentWindow>>,
    pub(super) completions: Register,
    #[cfg(feature = "async")]
    pub(super) requests: Arc<AsyncRequests>,
}

/// The threads that wait for one of the connection's slots to become free.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// How many [`Completions`] have receives that wait to be posted.
    pub(super) waiting: AtomicUsize,
    /// How often [`Connection::cancel_receives`] was called: threads that wait for a slot to receive into give up.
    pub(super) cancels: AtomicU64,
}

/// A slot whose window holds a reply that the filter may not have read yet.
#[derive(Debug)]
pub(super) struct LentWindow {
    pub(super) slot: usize,
    pub(super) to: ReplyTo,
}

/// What the monitor needs to know of a connection.
#[derive(Debug)]
pub(super) struct Alarm {
    pub(super) gone: AtomicBool,
    pub(super) attachment: Mutex<Weak<Attachment>>,
}

impl Watch for Alarm {
    fn hangup(&self) {
        self.gone.store(true, Ordering::SeqCst);
        // held until the link is let go here: a handle that is closed meanwhile waits for that
        let held = lock(&self.attachment);
        let Some(attachment) = held.upgrade() else { return };
        attachment.wake_all();
        if let Some(last) = Arc::into_inner(attachment) {
            // says good-bye, which waits for the host: not on this thread
            pool::run(move || drop(last));
        }
    }
}

impl Attachment {
    pub(super) fn gone(&self) -> bool {
        self.alarm.gone.load(Ordering::Acquire)
    }

    /// What every call starts with.
    pub(super) fn check(&self, doing: &str) -> Result<(), Error> {
        self.check_process(doing)?;
        if self.gone() { Err(self.disconnected(doing)) } else { Ok(()) }
    }

    /// What a call starts with that has something to tell of a connection that is gone.
    pub(super) fn check_process(&self, doing: &str) -> Result<(), Error> {
        if self.guard.same_process() {
            return Ok(());
        }
        Err(self
            .error(Status::INVALID_HANDLE, doing)
            .hint("this process is a fork of the one that connected; connect anew here"))
    }

    pub(super) fn error(&self, status: Status, doing: &str) -> Error {
        Error::new(status, format!("{doing} {}", self.name))
    }

    /// The error of a call that found the connection gone, which from then on it is for all.
    pub(super) fn disconnected(&self, doing: &str) -> Error {
        self.alarm.gone.store(true, Ordering::SeqCst);
        self.error(Status::PORT_DISCONNECTED, doing)
    }

    /// Wakes all threads of this process. Other processes that use the connection may go on.
    fn wake_all(&self) {
        let shared = self.memory.shared();
        for slot in client::calls(shared) {
            if client::mark_slot_dead(shared, slot, self.holder) {
                futex::wake(&shared.slots[slot].word, u32::MAX, futex::ANY);
            }
        }
        self.completions.each(|receives| receives.ring());
        self.wake_waiting();
    }

    /// Makes all threads that wait for a slot look again.
    pub(super) fn wake_waiting(&self) {
        let shared = self.memory.shared();
        if client::freed(shared) {
            futex::wake(&shared.allocation.freed, u32::MAX, futex::ANY);
        }
    }

    /// Reserves a slot by `reserve`, waiting for one to become free; `None` when the connection is gone. `reserve` is
    /// called at the `deadline` too, which it may take for the end.
    pub(super) fn reserve<T>(&self, deadline: Option<Deadline>, reserve: impl Fn() -> Option<T>) -> Option<T> {
        if let Some(slot) = reserve() {
            return Some(slot);
        }
        let shared = self.memory.shared();
        loop {
            let seen = client::want_slot(shared);
            // after that: a thread that changes one of these moves the word
            if self.gone() {
                return None;
            }
            self.reclaim_windows();
            if let Some(slot) = reserve() {
                return Some(slot);
            }
            self.wake_others();
            let left = deadline.map_or(SLOT_PATIENCE, |deadline| deadline.remaining().min(SLOT_PATIENCE));
            let slice = Deadline::Monotonic(clock::monotonic() + left);
            let _ = futex::wait(&shared.allocation.freed, seen, futex::ANY, Some(slice));
        }
    }

    /// Reserves so many slots for GETs, the lowest; `None` when fewer are free. All or none: a receiver that kept some of
    /// them and waited for the others could wait for one that does the same.
    pub(super) fn reserve_gets(&self, count: usize) -> Option<Vec<usize>> {
        let shared = self.memory.shared();
        if client::free_gets(shared) < count {
            return None;
        }
        let next = || client::reserve_get(shared, self.holder);
        let slots: Vec<_> = std::iter::from_fn(next).take(count).collect();
        if slots.len() == count {
            return Some(slots);
        }
        // another was sooner
        slots.into_iter().for_each(|slot| self.free(slot));
        None
    }

    /// Wakes a thread of each other process that may have lent a window: it looks for those that are not needed any more
    /// before it sleeps on.
    fn wake_others(&self) {
        let shared = self.memory.shared();
        if !client::others_lend(shared, self.holder) {
            return;
        }
        let mut woken = 0;
        for slot in client::calls(shared) {
            if let Some(holder) = client::sleeper(shared, slot)
                && holder != self.holder
                && woken & 1 << holder.number() == 0
                // a word says so, too, of a thread that slept there and woke by itself
                && futex::wake(&shared.slots[slot].word, u32::MAX, futex::ANY) != 0
            {
                woken |= 1 << holder.number();
            }
        }
        for holder in (1..=HOLDERS).filter_map(Holder::new).filter(|&holder| holder != self.holder) {
            let bell = shared.bell(holder);
            if woken & 1 << holder.number() == 0 && Bell(bell).ring_sleepers() {
                futex::wake(bell, u32::MAX, futex::ANY);
            }
        }
    }

    /// Says that a thread will sleep on a slot, as [`client::prepare_sleep`]: not before what is not needed here any more
    /// is there for others.
    pub(super) fn prepare_sleep(&self, posted: Posted) -> Option<u32> {
        self.reclaim_windows();
        let asleep = client::prepare_sleep(self.memory.shared(), posted);
        if asleep.is_none() {
            self.look_for_end();
        }
        asleep
    }

    /// Looks for the end in shared memory: the socket tells a moment later, or, of a host that was stopped in between,
    /// much later.
    pub(super) fn look_for_end(&self) -> bool {
        let dead = Attention(&self.memory.shared().attention.word).dead();
        if dead {
            self.alarm.gone.store(true, Ordering::SeqCst);
        }
        dead
    }

    /// What the threads of this process sleep on that wait for any of many GETs.
    pub(super) fn bell(&self) -> Bell<'_> {
        Bell(self.memory.shared().bell(self.holder))
    }

    /// Makes all those threads look.
    pub(super) fn ring(&self) {
        let bell = self.bell();
        if bell.ring() {
            futex::wake(bell.0, u32::MAX, futex::ANY);
        }
    }

    /// Gives a slot back.
    pub(super) fn release(&self, slot: usize) {
        // a call that ended early has let go of what the host may write yet, and of which another process must get
        // nothing: the host takes it back with the hang-up, when it is done
        if !self.gone() || client::at_rest(self.memory.shared(), slot) {
            self.free(slot);
        }
        if self.slots.waiting.load(Ordering::SeqCst) != 0 {
            self.completions.each(|receives| receives.post_waiting());
        }
    }

    /// Gives a slot back with which the host has nothing to do, and tells no [`Completions`] of this process: for a
    /// caller that holds the lock of one.
    pub(super) fn free(&self, slot: usize) {
        let shared = self.memory.shared();
        if client::release(shared, slot) {
            // all, for one would not do: it may wait for a slot of the other kind, or be killed, in a process of its
            // own, before it looks; and the wish is one word for all, which is unsaid now and not said again by threads
            // that sleep on
            futex::wake(&shared.allocation.freed, u32::MAX, futex::ANY);
        }
    }

    /// Gives back the slots whose windows the filter has finished with.
    pub(super) fn reclaim_windows(&self) {
        let host = self.memory.host();
        let finished = |lent: &mut LentWindow| !client::reading(host, lent.to);
        let finished: Vec<_> = lock(&self.windows).extract_if(.., finished).collect();
        for lent in finished {
            self.release(lent.slot);
        }
    }

    /// Wakes what a post says to wake, on `word`; whether a thread slept there.
    pub(super) fn wake(&self, wake: Wake, word: &AtomicU64, reasons: u32) -> bool {
        match wake {
            Wake::None => false,
            Wake::One => futex::wake(&Upper(word), 1, reasons) != 0,
            Wake::Socket => {
                self.ring_host();
                false
            }
        }
    }

    /// Rings the socket. A thread that is told to ring it is the only one: a ring that is lost would leave the host
    /// asleep. What fills the socket may be no rings but handles, of which the host reads nothing about requests.
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
    pub(super) fn disconnect(&self, patience: Option<Duration>) {
        if !self.guard.same_process() {
            return;
        }
        self.alarm.gone.store(true, Ordering::SeqCst);
        self.wake_all();
        // whether or not a thread asks for them: the slots of what is posted are for the other processes
        self.completions.each(|receives| receives.end());
        // before good-bye, so that it is known whether a child has it too
        drop(lock(&self.inheritable).take());
        // the threads that look for something there have ended, and none begins: what comes now is for this one
        drop(lock(&self.arrivals));
        let deadline = patience.map(|patience| std::time::Instant::now() + patience);
        let bye = FromClient::Bye.encode();
        let said = match deadline {
            Some(deadline) => self.socket.send_deadline(&bye, &[], deadline),
            None => self.socket.send(&bye, &[]),
        };
        if said.is_err() {
            // the host is gone; or it does not read, and this link is dropped: it is out of use, so the end of the
            // stream may say so
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

impl Drop for Attachment {
    fn drop(&mut self) {
        self.disconnect(Some(DROP_PATIENCE));
    }
}
