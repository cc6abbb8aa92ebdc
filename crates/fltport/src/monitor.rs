//! One thread per process that watches sockets: readable ones, and those whose other end is gone.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};

use sys::clock;
use sys::fork::{ForkGuard, PerProcess};

/// What the monitor tells. It runs on the monitor's thread: it must not block, and never wait for a peer.
pub(crate) trait Watch: Send + Sync {
    /// There is something to read. Called again and again until it has been read.
    fn readable(&self) {}
    /// The other end is gone, or will write no more. Called once, the last call for this socket.
    fn hangup(&self);
    /// The time given to [`Monitor::watch`] or [`Watching::pause`] has passed. Called once.
    fn expired(&self) {}
}

/// What to look for besides the hang-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Nothing.
    Hangup,
    /// Something to read as well.
    Readable,
}

/// The monitor of this process.
pub(crate) struct Monitor {
    epoll: OwnedFd,
    wake: OwnedFd,
    state: Mutex<State>,
    guard: ForkGuard,
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor").field("epoll", &self.epoll).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    next: u64,
    watched: HashMap<u64, Watched>,
    expiries: BTreeSet<(Duration, u64)>,
}

/// An open file that outlives its being watched.
type File = Arc<dyn AsFd + Send + Sync>;

struct Watched {
    fd: File,
    watch: Arc<dyn Watch>,
    expiry: Option<Duration>,
}

/// Keeps a socket watched; dropping it ends that. A call that is under way on the monitor's thread may still finish.
pub(crate) struct Watching {
    monitor: &'static Monitor,
    token: u64,
    fd: File,
}

impl std::fmt::Debug for Watching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watching").field("fd", &self.fd.as_fd()).finish_non_exhaustive()
    }
}

const WAKE: u64 = 0;

impl Monitor {
    /// The monitor of this process; its thread is started by the first call. A forked child gets one of its own: its
    /// parent's has no thread there, and shares its list with the parent.
    ///
    /// # Errors
    /// What epoll_create, eventfd or the making of a thread say (EMFILE, EAGAIN).
    pub(crate) fn of_this_process() -> io::Result<&'static Self> {
        static MONITOR: PerProcess<Mutex<Option<&'static Monitor>>> = PerProcess::new();
        let mut known = MONITOR.get(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(monitor) = *known {
            return Ok(monitor);
        }
        let new = Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            state: Mutex::new(State { next: WAKE + 1, ..State::default() }),
            guard: ForkGuard::new(),
        };
        epoll::add(&new.epoll, &new.wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        // the thread first: without one the descriptors are closed, however often this is tried
        let (give, take) = std::sync::mpsc::sync_channel::<&'static Self>(1);
        let run = move || {
            if let Ok(monitor) = take.recv() {
                monitor.run();
            }
        };
        std::thread::Builder::new().name("fltmgr-monitor".into()).spawn(run)?;
        // lives as long as its thread: as the process
        let new: &'static Self = Box::leak(Box::new(new));
        // the thread waits for it
        let _ = give.send(new);
        *known = Some(new);
        Ok(new)
    }

    /// Watches `fd`, and keeps it open, until the returned value is dropped.
    ///
    /// # Errors
    /// What epoll_ctl says: ENOMEM, ENOSPC (fs.epoll.max_user_watches).
    pub(crate) fn watch(
        &'static self,
        fd: File,
        interest: Interest,
        expires_in: Option<Duration>,
        watch: Arc<dyn Watch>,
    ) -> io::Result<Watching> {
        let expiry = expires_in.map(|after| clock::monotonic() + after);
        let token = {
            let mut state = self.lock();
            let token = state.next;
            state.next += 1;
            state.watched.insert(token, Watched { fd: Arc::clone(&fd), watch, expiry });
            if let Some(expiry) = expiry {
                state.expiries.insert((expiry, token));
            }
            token
        };
        let mut flags = EventFlags::RDHUP;
        if interest == Interest::Readable {
            flags |= EventFlags::IN;
        }
        if let Err(error) = epoll::add(&self.epoll, fd.as_fd(), EventData::new_u64(token), flags) {
            self.lock().forget(token);
            return Err(error.into());
        }
        if expiry.is_some() {
            self.ring();
        }
        Ok(Watching { monitor: self, token, fd })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        // a full counter rings as well
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    fn run(&self) {
        let mut events = Vec::with_capacity(64);
        loop {
            let timeout = self.lock().expiries.first().map(|&(at, _)| at.saturating_sub(clock::monotonic()));
            let timeout = timeout.and_then(|left| rustix::event::Timespec::try_from(left).ok());
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                // cannot happen on our own descriptors; a thread that spins on an error would be worse than one that
                // ends
                Err(_) => return,
            }
            for event in &events {
                let (token, flags) = (event.data.u64(), event.flags);
                if token == WAKE {
                    let mut count = [0; 8];
                    let _ = rustix::io::read(&self.wake, &mut count);
                } else {
                    self.tell(token, flags);
                }
            }
            self.expire();
        }
    }

    fn tell(&self, token: u64, flags: EventFlags) {
        let Some(watch) = self.lock().watched.get(&token).map(|watched| Arc::clone(&watched.watch)) else {
            return; // dropped since
        };
        if flags.contains(EventFlags::IN) {
            watch.readable();
        }
        if flags.intersects(EventFlags::HUP | EventFlags::RDHUP | EventFlags::ERR) {
            // a socket that has hung up stays ready for ever: it must leave the set with the lock held: the thread that
            // drops the watch may watch the same socket anew at once
            let mut state = self.lock();
            let gone = state.forget(token);
            if let Some(gone) = &gone {
                let _ = epoll::delete(&self.epoll, gone.fd.as_fd());
            }
            drop(state);
            drop(gone);
            watch.hangup();
        }
    }

    fn expire(&self) {
        let now = clock::monotonic();
        loop {
            let due = {
                let mut state = self.lock();
                let Some(&(at, token)) = state.expiries.first() else { return };
                if at > now {
                    return;
                }
                state.expiries.remove(&(at, token));
                state.watched.get_mut(&token).map(|watched| {
                    watched.expiry = None;
                    Arc::clone(&watched.watch)
                })
            };
            if let Some(watch) = due {
                watch.expired();
            }
        }
    }
}

impl State {
    fn forget(&mut self, token: u64) -> Option<Watched> {
        let watched = self.watched.remove(&token)?;
        if let Some(expiry) = watched.expiry {
            self.expiries.remove(&(expiry, token));
        }
        Some(watched)
    }
}

impl Watching {
    /// Tells of nothing to read for this long; then [`Watch::expired`] is called, which [`Watching::resume`]s. For a
    /// watch that cannot read now what is there, and would be called in a loop.
    pub(crate) fn pause(&self, time: Duration) {
        self.only_hangup();
        let expiry = clock::monotonic() + time;
        let mut state = self.monitor.lock();
        let State { watched, expiries, .. } = &mut *state;
        let Some(watched) = watched.get_mut(&self.token) else { return };
        if let Some(before) = watched.expiry.replace(expiry) {
            expiries.remove(&(before, self.token));
        }
        expiries.insert((expiry, self.token));
        drop(state);
        self.monitor.ring();
    }

    /// Tells again when there is something to read.
    pub(crate) fn resume(&self) {
        // fails only for a socket that hung up already
        let flags = EventFlags::IN | EventFlags::RDHUP;
        let _ = epoll::modify(&self.monitor.epoll, self.fd.as_fd(), EventData::new_u64(self.token), flags);
    }

    /// Stops telling of anything but the hang-up.
    pub(crate) fn only_hangup(&self) {
        // fails only for a socket that hung up already
        let _ = epoll::modify(&self.monitor.epoll, self.fd.as_fd(), EventData::new_u64(self.token), EventFlags::RDHUP);
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if !self.monitor.guard.same_process() {
            return; // the list is the parent's too
        }
        let _ = epoll::delete(&self.monitor.epoll, self.fd.as_fd());
        // the watch is dropped after the lock is let go: it may own what locks again
        let forgotten = self.monitor.lock().forget(self.token);
        drop(forgotten);
    }
}
