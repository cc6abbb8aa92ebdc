//! Threads that create files under the file mode mask of others.
//!
//! The mask belongs to all threads of a process; only a thread that has its own copy of it (CLONE_FS taken back) can
//! set it without harm. The threads that answer questions belong to the filters, so they pass the work here. There
//! are as many as create files at one time: a file system that takes long holds up no other file.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::source::descriptors::not_theirs;
use fltport::internal::lock;

/// A file to create.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) parent: Arc<OwnedFd>,
    pub(super) name: Vec<u8>,
    pub(super) flags: OFlags,
    pub(super) mode: Mode,
    pub(super) umask: Mode,
}

/// The ways to the threads that have nothing to do. A thread ends when its way is dropped.
#[derive(Debug)]
pub(super) struct Maker {
    idle: Mutex<Vec<Channel>>,
    returned: Condvar,
}

/// More than this many do not stay when they have nothing to do.
const IDLE: usize = 4;

#[derive(Debug)]
struct Channel {
    jobs: SyncSender<Job>,
    results: Receiver<Result<OwnedFd, Errno>>,
}

impl Channel {
    fn new() -> io::Result<Self> {
        let (jobs, work) = sync_channel::<Job>(1);
        let (done, results) = sync_channel(1);
        thread::Builder::new().name("supervise-make".into()).spawn(move || {
            // Nothing in this thread depends on the shared working directory: every path is opened relative to a
            // descriptor.
            let own = sys::process::unshare_fs().is_ok();
            for job in work {
                let result = if own { job.run() } else { Err(Errno::PERM) };
                if done.send(result).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { jobs, results })
    }
}

impl Maker {
    /// With one thread, for which the others wait when no more can be started.
    pub(super) fn start() -> io::Result<Self> {
        Ok(Self { idle: Mutex::new(vec![Channel::new()?]), returned: Condvar::new() })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Channel>> {
        lock(&self.idle)
    }

    fn take(&self) -> Channel {
        let mut idle = self.idle();
        loop {
            if let Some(channel) = idle.pop() {
                return channel;
            }
            if let Ok(channel) = Channel::new() {
                return channel;
            }
            idle = self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Creates the file; waits for it.
    pub(super) fn make(&self, job: Job) -> Result<OwnedFd, Errno> {
        let channel = self.take();
        channel.jobs.send(job).map_err(|_| Errno::IO)?;
        let made = channel.results.recv().map_err(|_| Errno::IO)?.map_err(not_theirs);
        let mut idle = self.idle();
        if idle.len() < IDLE {
            idle.push(channel);
            self.returned.notify_one();
        }
        made
    }
}

impl Job {
    fn run(&self) -> Result<OwnedFd, Errno> {
        rustix::process::umask(self.umask);
        rustix::io::retry_on_intr(|| rustix::fs::openat(&self.parent, self.name.as_slice(), self.flags, self.mode))
    }
}
