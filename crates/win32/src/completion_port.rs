//! Completion ports: a queue of packets, and the threads that wait for one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use abi::{Error, Overlapped};
use proto::status::Status;
use smallvec::SmallVec;
use sys::clock::Deadline;

use crate::bell::Bell;
use crate::object::Files;
use crate::open_file::{self, OpenFile};
use crate::sync::lock;
use crate::thread;

/// What a thread gets from a completion port.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packet {
    pub(crate) key: usize,
    pub(crate) overlapped: *mut Overlapped,
    pub(crate) bytes: u32,
    pub(crate) status: Status,
}

// SAFETY: the address is a number here; it is the program's to use.
unsafe impl Send for Packet {}

/// A completion port.
#[derive(Debug)]
pub(crate) struct CompletionPort {
    /// What threads sleep on that wait for the port as for any object: it is signalled while there are packets.
    pub(crate) bell: Bell,
    /// How many threads run at a time.
    concurrency: usize,
    state: Mutex<State>,
    /// Those whose requests send packets here.
    pub(crate) files: Files,
    handles: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    packets: VecDeque<Packet>,
    /// Threads that wait and do nothing else: the last is the first to go.
    waiting: Vec<Arc<Waiter>>,
    /// The thread that watches the files' requests for all.
    watching: Option<Arc<Waiter>>,
    /// It is collecting at this moment: what it finds it hands out itself, the first to itself.
    collecting: bool,
    /// Threads that have a packet, and are not in a wait of ours.
    running: usize,
    has_files: bool,
    closed: bool,
}

/// A thread that may wait for packets.
#[derive(Debug, Default)]
pub(crate) struct Waiter {
    bell: Bell,
    packet: Mutex<Option<Packet>>,
}

/// What a wait for a packet came to.
pub(crate) type Next = Result<Option<Packet>, Error>;

impl CompletionPort {
    /// `concurrency` 0: as many as there are processors.
    pub(crate) fn new(concurrency: u32) -> Self {
        let concurrency = match concurrency {
            0 => sys::clock::processors(),
            concurrency => concurrency as usize,
        };
        Self {
            bell: Bell::default(),
            concurrency,
            state: Mutex::default(),
            files: Files::default(),
            handles: AtomicUsize::new(0),
        }
    }

    /// Packets of this file's come here from now on.
    pub(crate) fn add(&self, file: &Arc<OpenFile>) {
        self.files.add(file);
        let mut state = lock(&self.state);
        state.has_files = true;
        // the thread that watches looks which they are
        if let Some(watching) = &state.watching {
            watching.bell.ring();
        } else {
            self.promote(&mut state);
        }
    }

    pub(crate) fn opened(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn closed(&self) {
        if self.handles.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        let mut state = lock(&self.state);
        state.closed = true;
        state.packets.clear();
        for waiter in state.waiting.drain(..) {
            waiter.bell.ring();
        }
        if let Some(watching) = &state.watching {
            watching.bell.ring();
        }
    }

    /// Queues a packet, or hands it to a thread that waits.
    pub(crate) fn post(&self, packet: Packet) {
        let mut state = lock(&self.state);
        if state.closed {
            return;
        }
        state.packets.push_back(packet);
        if !state.collecting {
            self.dispatch(&mut state);
        }
        if !state.packets.is_empty() {
            self.bell.ring();
        }
    }

    /// Whether there is a packet that no thread has taken.
    pub(crate) fn has_packets(&self) -> bool {
        !lock(&self.state).packets.is_empty()
    }

    /// Hands packets to threads that wait, as far as more may run.
    fn dispatch(&self, state: &mut State) {
        while state.running < self.concurrency && !state.packets.is_empty() {
            let Some(waiter) = state.waiting.pop() else {
                if let Some(watching) = &state.watching {
                    watching.bell.ring();
                }
                return;
            };
            *lock(&waiter.packet) = state.packets.pop_front();
            state.running += 1;
            waiter.bell.ring();
        }
    }

    /// Has another thread watch, if none does and one more may run.
    fn promote(&self, state: &mut State) {
        if state.has_files
            && state.watching.is_none()
            && state.running < self.concurrency
            && let Some(waiter) = state.waiting.pop()
        {
            waiter.bell.ring();
        }
    }

    /// Waits for a packet; `None` when the deadline passed. The thread counts as running from then on, until it waits
    /// here again, or in [`crate::wait`], or ends.
    ///
    /// # Errors
    /// ERROR_ABANDONED_WAIT_0: the last handle was closed meanwhile.
    pub(crate) fn next(self: &Arc<Self>, deadline: Option<Deadline>) -> Next {
        thread::stop_running();
        let me = thread::waiter();
        let listener = me.bell.listen();
        let mut state = lock(&self.state);
        let mut looked = false;
        loop {
            if state.closed {
                return Err(Error::ABANDONED_WAIT_0);
            }
            if state.running < self.concurrency
                && let Some(packet) = state.packets.pop_front()
            {
                state.running += 1;
                return self.leave_with(state, packet);
            }
            let passed = deadline.is_some_and(Deadline::passed);
            if state.has_files && state.watching.is_none() && state.running < self.concurrency && !(looked && passed) {
                looked = true;
                state = self.watch(state, &me, &listener, deadline);
                continue;
            }
            if passed {
                self.promote(&mut state);
                return Ok(None);
            }
            state = self.wait(state, &me, &listener, deadline);
            if let Some(packet) = lock(&me.packet).take() {
                return self.leave_with(state, packet);
            }
        }
    }

    fn leave_with(self: &Arc<Self>, mut state: MutexGuard<'_, State>, packet: Packet) -> Next {
        self.dispatch(&mut state);
        self.promote(&mut state);
        drop(state);
        thread::start_running(self);
        Ok(Some(packet))
    }

    /// Takes up to `room` more packets, without waiting.
    pub(crate) fn more(&self, room: usize) -> SmallVec<[Packet; 16]> {
        let mut state = lock(&self.state);
        let count = state.packets.len().min(room);
        state.packets.drain(..count).collect()
    }

    /// Waits until a packet is handed over, or there may be something else to do.
    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        me: &Arc<Waiter>,
        listener: &crate::bell::Listener<'_>,
        deadline: Option<Deadline>,
    ) -> MutexGuard<'a, State> {
        state.waiting.push(Arc::clone(me));
        let now = listener.now();
        drop(state);
        abi::file::sleep(&[now], deadline);
        let mut state = lock(&self.state);
        state.waiting.retain(|waiter| !Arc::ptr_eq(waiter, me));
        state
    }

    /// Watches the files for all: completes what has ended, and if that is nothing, waits for it.
    fn watch<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        me: &Arc<Waiter>,
        listener: &crate::bell::Listener<'_>,
        deadline: Option<Deadline>,
    ) -> MutexGuard<'a, State> {
        state.watching = Some(Arc::clone(me));
        state.collecting = true;
        let now = listener.now();
        drop(state);
        let mut files = SmallVec::<[Arc<OpenFile>; 4]>::new();
        self.files.each(&mut files);
        files.iter().for_each(|file| file.collect());
        let mut state = lock(&self.state);
        state.collecting = false;
        if state.packets.is_empty() && !state.closed && !deadline.is_some_and(Deadline::passed) {
            drop(state);
            match files.is_empty() {
                true => abi::file::sleep(&[now], deadline),
                false => open_file::wait(&files, &[now], deadline),
            }
            state = lock(&self.state);
        }
        state.watching = None;
        state
    }

    /// A thread that had a packet waits for something else, or ends: another may run.
    pub(crate) fn one_fewer_runs(&self) {
        let mut state = lock(&self.state);
        state.running -= 1;
        self.dispatch(&mut state);
        self.promote(&mut state);
    }

    /// The thread goes on, whether or not others run now.
    pub(crate) fn one_more_runs(&self) {
        lock(&self.state).running += 1;
    }
}
