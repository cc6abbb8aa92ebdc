//! Opens that may wait for ever: a fifo for its other end, a file for its lease, a terminal for its line.
//!
//! Each is made by a proxy of its own. One thread, which lives while there are any, delivers their results and watches
//! their callers: a caller that is gone needs no result, and one for which a signal waits gets it, as it would in the kernel,
//! which does not wake a thread whose call was received for anything but its death.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use sys::proxy::Opening;
use sys::seccomp::Notification;

use super::actors::Likeness;
use super::identity::Identity;
use super::plan::Done;
use super::tree::Tree;
use crate::source::descriptors::not_theirs;
use crate::source::procfs::{Interrupted, TaskStatus};
use fltport::internal::lock;

/// How often the callers are looked at.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// How long an open takes at most to see that it was interrupted.
const SOON: Duration = Duration::from_micros(50);

/// The opens of a tree that wait.
#[derive(Debug)]
pub(super) struct Endless {
    /// `None` while no thread attends to them.
    waiting: Mutex<Option<Vec<Waiting>>>,
    /// Rung when one is over, or there is a new one, or all end.
    bell: Arc<OwnedFd>,
}

#[derive(Debug)]
struct Waiting {
    call: Notification,
    opening: Opening,
    identity: Option<Arc<Identity>>,
    flags: OFlags,
    /// What has been seen of signals for the caller.
    interrupted: Interrupted,
    /// The error that it gets when the open has been interrupted.
    error: Errno,
}

/// ERESTARTSYS: the kernel delivers the signal, then makes the call again or ends it with EINTR, as the handler says. Only
/// where a signal waits for the caller alone, for without one the program would see this number.
const RESTART: Errno = Errno::from_raw_os_error(512);

impl Endless {
    pub(super) fn new() -> Result<Self, Errno> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { waiting: Mutex::new(None), bell: Arc::new(bell) })
    }

    fn ring(&self) {
        // Its counter is read each time, so that it is never full.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }

    /// Begins to open this object for a caller.
    ///
    /// # Errors
    /// No further process or thread can be started.
    pub(super) fn begin(
        &self,
        tree: &Arc<Tree>,
        likeness: &Likeness,
        call: Notification,
        object: &Arc<OwnedFd>,
        flags: OFlags,
    ) -> Result<Done, Errno> {
        let unrestricted = tree.actors.unrestricted(likeness);
        if unrestricted != *likeness {
            // Whether its Landlock domain lets it open this, which the kernel says before it waits.
            let lease = tree.actors.lease(likeness, call.tid)?.ok_or(Errno::ACCESS)?;
            let probe = lease.actor().reopen(object.as_fd(), flags | OFlags::NONBLOCK, false);
            if let Err(errno @ (Errno::ACCESS | Errno::PERM)) = probe {
                return Err(errno);
            }
        }
        let lease = tree.actors.proxy(&unrestricted, call.tid)?.ok_or(Errno::ACCESS)?;
        let Some((proxy, identity)) = lease.into_parts() else { return Err(Errno::NOMEM) };
        let mut waiting = lock(&self.waiting);
        if waiting.is_none() {
            let tree = tree.clone();
            let attend = move || while tree.endless.attend(&tree) {};
            thread::Builder::new().name("supervise-open".into()).spawn(attend).map_err(|_| Errno::NOMEM)?;
        }
        let opening = proxy.begin_open(object.clone(), flags.bits(), self.bell.clone());
        let (interrupted, error) = (Interrupted::No, Errno::INTR);
        waiting.get_or_insert_default().push(Waiting { call, opening, identity, flags, interrupted, error });
        drop(waiting);
        self.ring();
        Ok(Done::Later)
    }

    /// Ends the opens whose callers are gone, which would be another fifo's end to the next one.
    pub(super) fn settle(&self, tree: &Tree) {
        let mut waiting = lock(&self.waiting);
        let Some(list) = &mut *waiting else { return };
        let gone: Vec<Waiting> = list.extract_if(.., |it| !tree.listener.is_valid(it.call.id)).collect();
        drop(waiting);
        for it in gone {
            while !it.opening.is_over() {
                it.opening.interrupt();
                thread::sleep(SOON);
            }
            it.deliver(tree);
        }
    }

    /// Gives all up: the tree ends.
    pub(super) fn end(&self) {
        if let Some(waiting) = &mut *lock(&self.waiting) {
            waiting.clear();
        }
        self.ring();
    }

    /// Waits for something to happen, and sees to it. False when there is nothing left to attend to.
    fn attend(&self, tree: &Tree) -> bool {
        let mut bell = [PollFd::new(&self.bell, PollFlags::IN)];
        let _ = poll(&mut bell, Some(&GLANCE));
        let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        let mut waiting = lock(&self.waiting);
        let Some(list) = &mut *waiting else { return false };
        let over: Vec<Waiting> = list.extract_if(.., |it| it.opening.is_over()).collect();
        list.iter_mut().for_each(|it| it.watch(tree));
        let more = !list.is_empty() || !over.is_empty();
        if !more {
            *waiting = None;
        }
        drop(waiting);
        over.into_iter().for_each(|it| it.deliver(tree));
        more
    }
}

impl Waiting {
    /// Interrupts the open if its caller is gone, or has a signal to see to.
    fn watch(&mut self, tree: &Tree) {
        let before = self.interrupted;
        if tree.listener.is_valid(self.call.id) {
            self.interrupted = TaskStatus::of(self.call.tid).map_or(before, |status| status.interrupted());
            match (before, self.interrupted) {
                (_, Interrupted::Yes) => self.error = RESTART,
                // Since the last look no other thread has taken it.
                (Interrupted::Perhaps, Interrupted::Perhaps) => self.error = Errno::INTR,
                _ => return,
            }
        }
        self.opening.interrupt();
    }

    fn deliver(self, tree: &Tree) {
        let Self { call, opening, identity, flags, error, .. } = self;
        let (result, proxy) = opening.result();
        tree.actors.put_back(proxy, identity);
        let done = match result.map_err(not_theirs) {
            Ok(file) => Done::File(file, flags),
            Err(Errno::INTR) => error.into(),
            Err(errno) => errno.into(),
        };
        tree.deliver(call, done);
    }
}
