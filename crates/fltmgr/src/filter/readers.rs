//! The threads that read a source and call filters: one more whenever all of them are held up.
//!
//! A callback runs on the thread that read its operation. If every reader has been inside a callback for [`HELD_UP`], a
//! watching thread starts one more, up to [`MAX_READERS`]: so a callback that blocks holds up its own operation and no
//! other. While some reader waits for the source the watching thread sleeps without a timer.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::chain::Chain;
use super::threads;
use crate::Error;
use crate::source::Source;
use fltport::internal::lock;

/// When no thread has read the source for so long, one more begins to.
const HELD_UP: Duration = Duration::from_millis(5);
/// More callbacks than this that block at one time hold the source up.
const MAX_READERS: usize = 256;

/// The threads that read one source.
#[derive(Debug)]
pub(super) struct Readers {
    chain: Arc<Chain>,
    source: Arc<dyn Source>,
    threads: Mutex<Vec<JoinHandle<Result<(), Error>>>>,
    /// Those that have not ended.
    living: AtomicUsize,
    /// Those that wait for the source.
    free: AtomicUsize,
    /// How often one has come back to it.
    turns: AtomicU64,
    /// The thread that watches sleeps until none is free.
    watch_sleeps: AtomicBool,
    closed: Mutex<bool>,
    changed: Condvar,
}

impl Readers {
    pub(super) fn new(chain: Arc<Chain>, source: Arc<dyn Source>) -> Arc<Self> {
        Arc::new(Self {
            chain,
            source,
            threads: Mutex::default(),
            living: AtomicUsize::new(0),
            free: AtomicUsize::new(0),
            turns: AtomicU64::new(0),
            watch_sleeps: AtomicBool::new(false),
            closed: Mutex::new(false),
            changed: Condvar::new(),
        })
    }

    /// Starts one more.
    pub(super) fn start(self: &Arc<Self>) -> std::io::Result<()> {
        let readers = Arc::clone(self);
        let mut threads = lock(&self.threads);
        // free from here on: it is as good as there
        self.free.fetch_add(1, Ordering::SeqCst);
        self.living.fetch_add(1, Ordering::SeqCst);
        let started = thread::Builder::new().name("fltmgr-source".into()).spawn(move || readers.read());
        match started {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                self.free.fetch_sub(1, Ordering::SeqCst);
                self.living.fetch_sub(1, Ordering::SeqCst);
                return Err(error);
            }
        }
        Ok(())
    }

    fn read(&self) -> Result<(), Error> {
        threads::begin_to_read();
        loop {
            let next = self.source.next();
            let last = self.free.fetch_sub(1, Ordering::SeqCst) == 1;
            if !matches!(next, Ok(Some(_))) {
                // the source has ended: no reader is needed any more
                self.close();
                if self.living.fetch_sub(1, Ordering::SeqCst) == 1 {
                    // by an error, perhaps: what no thread reads must not be held back
                    self.source.stop();
                }
            }
            let Some(waiting) = next? else { return Ok(()) };
            if last && self.watch_sleeps.swap(false, Ordering::SeqCst) {
                drop(self.closed.lock());
                self.changed.notify_all();
            }
            self.chain.submit(waiting);
            self.turns.fetch_add(1, Ordering::SeqCst);
            self.free.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Sees to it that some thread reads, until [`Readers::close`]: a callback that blocks holds its own operation up, and
    /// no other.
    pub(super) fn watch(self: &Arc<Self>) {
        let mut closed = lock(&self.closed);
        while !*closed {
            if self.free.load(Ordering::SeqCst) != 0 {
                self.watch_sleeps.store(true, Ordering::SeqCst);
                // looked at again after saying so: the last free reader sees it, or is seen
                if self.free.load(Ordering::SeqCst) != 0 {
                    closed = self.changed.wait(closed).unwrap_or_else(PoisonError::into_inner);
                }
                continue;
            }
            let turns = self.turns.load(Ordering::SeqCst);
            closed = self.changed.wait_timeout(closed, HELD_UP).unwrap_or_else(PoisonError::into_inner).0;
            let held_up = self.free.load(Ordering::SeqCst) == 0 && self.turns.load(Ordering::SeqCst) == turns;
            if held_up && !*closed {
                self.relieve();
            }
        }
    }

    fn relieve(self: &Arc<Self>) {
        let threads = lock(&self.threads).len();
        if threads == MAX_READERS {
            return; // said when the last one was made
        }
        tracing::warn!(source = self.source.name(), threads, "a filter's callback blocks: one more thread reads");
        if let Err(error) = self.start() {
            tracing::warn!(%error, source = self.source.name(), "a filter's callback blocks, and no thread reads");
        }
    }

    /// No more threads will begin to read.
    pub(super) fn close(&self) {
        *lock(&self.closed) = true;
        self.changed.notify_all();
    }

    /// Takes out those that read, to wait for them.
    pub(super) fn take(&self) -> Vec<JoinHandle<Result<(), Error>>> {
        std::mem::take(&mut *lock(&self.threads))
    }
}
