//! A thread that creates files under the file mode mask of others.
//!
//! The mask belongs to all threads of a process; only a thread that has its own copy of it (CLONE_FS taken back) can
//! set it without harm. The threads that answer questions belong to whoever answers, so they pass the work here.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::held::not_theirs;

/// A file to create.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) parent: Arc<OwnedFd>,
    pub(super) name: Vec<u8>,
    pub(super) flags: OFlags,
    pub(super) mode: Mode,
    pub(super) umask: Mode,
}

/// What became of it.
pub(super) enum Made {
    File(OwnedFd),
    Error(Errno),
}

/// The way to the thread, which ends when this is dropped. Callers take turns.
#[derive(Debug)]
pub(super) struct Maker(Mutex<Channel>);

#[derive(Debug)]
struct Channel {
    jobs: SyncSender<Job>,
    results: Receiver<Result<OwnedFd, Errno>>,
}

impl Maker {
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, work) = sync_channel::<Job>(1);
        let (done, results) = sync_channel(1);
        thread::Builder::new().name("supervise-make".into()).spawn(move || {
            // SAFETY: this thread alone takes back what it shares; nothing in it depends on the shared working
            // directory, because every path is opened relative to a descriptor.
            let own = unsafe { libc::unshare(libc::CLONE_FS) } == 0;
            for job in work {
                let result = if own { job.run() } else { Err(Errno::PERM) };
                if done.send(result).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self(Mutex::new(Channel { jobs, results })))
    }

    /// Creates the file; waits for it.
    pub(super) fn make(&self, job: Job) -> Made {
        let channel = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if channel.jobs.send(job).is_err() {
            return Made::Error(Errno::IO);
        }
        match channel.results.recv() {
            Ok(Ok(file)) => Made::File(file),
            Ok(Err(errno)) => Made::Error(not_theirs(errno)),
            Err(_) => Made::Error(Errno::IO),
        }
    }
}

impl Job {
    fn run(&self) -> Result<OwnedFd, Errno> {
        rustix::process::umask(self.umask);
        rustix::io::retry_on_intr(|| rustix::fs::openat(&self.parent, self.name.as_slice(), self.flags, self.mode))
    }
}
