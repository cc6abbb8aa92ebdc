//! The processes of a port's clients: what the kernel says of them, and their end, which is the end of their connections
//! even where a forked child keeps the socket open.
//!
//! One descriptor (pidfd) and one watch per process, however many connections it has.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, Weak};

use crate::monitor::{Interest, Monitor, Watch, Watching};
use rustix::io::Errno;
use sys::descriptors::{self, Reserved};
use sys::fork::PerProcess;
use sys::host_end::{HostEnd, Sender};
use sys::peer::{self, Credentials};

use crate::sync::lock;

/// Something that ends with a process.
pub(super) trait Mortal: Send + Sync {
    /// The process has ended. Called on the monitor's thread: must not block.
    fn process_ended(&self);
}

/// A process that uses a connection: the one that connected, or one that opened a handle which it was given or has
/// inherited. Clones are the same process.
///
/// Of processes that share a connection each can say of a request that another one made it: they share the memory in
/// which they say so. Nothing else can.
#[derive(Debug, Clone)]
#[doc(alias = "PsGetCurrentProcess")]
pub struct Process {
    credentials: Arc<Credentials>,
    /// Unknown where the kernel does not tell of its end.
    life: Option<Arc<Life>>,
}

impl Process {
    /// The process that connected by `socket`, of which these are the credentials.
    ///
    /// # Errors
    /// There is no descriptor for it but those of the reserve.
    pub(super) fn of_peer(socket: &HostEnd, credentials: Arc<Credentials>) -> io::Result<Self> {
        let life = Life::of(credentials.pid, || peer::pidfd(socket))?;
        Ok(Self { credentials, life })
    }

    /// The process that has the number of `sender` now, which need not be the one that sent: [`Process::is_still`].
    ///
    /// # Errors
    /// As [`Process::of_peer`].
    pub(super) fn of_sender(sender: Sender) -> io::Result<Self> {
        let life = Life::of(sender.pid, || peer::pidfd_by_number(sender.pid))?;
        Ok(Self { credentials: Arc::new(Credentials::of_sender(sender)), life })
    }

    /// Whether `sender`, which has sent something since this was found by its number, is this process: it has had the
    /// number all the while.
    pub(super) fn is_still(&self, sender: Sender) -> bool {
        self.pid() == sender.pid && self.life.as_ref().is_none_or(|life| !life.has_ended())
    }

    /// Its number in this process's pid namespace; 0 when it has none there.
    pub fn pid(&self) -> u32 {
        self.credentials.pid
    }

    /// Its user and groups, as the kernel noted them when it connected or opened its handle.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// A descriptor of the process (pidfd), a new one each time, which never means another process. `None` when it has
    /// ended, when the kernel has no such descriptors, or when this process may open no more.
    pub fn pidfd(&self) -> Option<OwnedFd> {
        lock(&self.life.as_ref()?.state).pidfd.as_ref()?.try_clone().ok()
    }

    /// Has `mortal` told of its end; at once, if that has come.
    pub(super) fn tell(&self, mortal: Weak<dyn Mortal>) {
        if let Some(life) = &self.life {
            life.tell(mortal);
        }
    }
}

/// The life of a client's process, watched as long as one of its connections lives.
struct Life {
    state: Mutex<State>,
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life").field("ended", &self.has_ended()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    mortals: Vec<Weak<dyn Mortal>>,
    /// It has been told of.
    ended: bool,
    pidfd: Option<Arc<OwnedFd>>,
    watching: Option<Watching>,
}

/// By number. Of an entry whose process has been replaced by another of the same number, the descriptor tells that it has
/// ended, and may have yet to tell the monitor.
type Lives = Mutex<HashMap<u32, Weak<Life>>>;

/// A forked child has its own: the monitor that watches its parent's tells it of no end.
static LIVES: PerProcess<Lives> = PerProcess::new();

impl Life {
    /// The life of the process whose number is `pid`, and whose descriptor `open` gives. `None` where the kernel does not
    /// tell: then the end of the socket alone counts.
    ///
    /// # Errors
    /// There is no descriptor for it but those of the reserve.
    fn of(pid: u32, open: impl FnOnce() -> io::Result<OwnedFd>) -> Result<Option<Arc<Self>>, Reserved> {
        if pid == 0 {
            return Ok(None); // of another pid namespace: no number to share it by
        }
        let mut lives = lock(LIVES.get(Mutex::default));
        if let Some(known) = lives.get(&pid).and_then(Weak::upgrade)
            && !known.has_ended()
        {
            return Ok(Some(known));
        }
        let Some(life) = Self::new(open())? else { return Ok(None) };
        if lives.len() == lives.capacity() {
            lives.retain(|_, life| life.strong_count() != 0);
        }
        lives.insert(pid, Arc::downgrade(&life));
        Ok(Some(life))
    }

    /// The process of this descriptor, or one that has ended where the kernel says so instead of giving it.
    fn new(pidfd: io::Result<OwnedFd>) -> Result<Option<Arc<Self>>, Reserved> {
        let life = Arc::new(Self { state: Mutex::default() });
        let pidfd = match pidfd {
            Ok(pidfd) => pidfd,
            Err(error) if Errno::from_io_error(&error) == Some(Errno::SRCH) => {
                lock(&life.state).ended = true;
                return Ok(Some(life));
            }
            Err(_) => return Ok(None),
        };
        descriptors::leaves_reserve(&pidfd)?;
        let pidfd = Arc::new(pidfd);
        let watch = Arc::new(End(Arc::downgrade(&life)));
        // an end that is told at once waits for the lock
        let mut state = lock(&life.state);
        let watching = Monitor::of_this_process()
            .and_then(|monitor| monitor.watch(Arc::clone(&pidfd) as _, Interest::Readable, None, watch));
        let Ok(watching) = watching else { return Ok(None) };
        (state.pidfd, state.watching) = (Some(pidfd), Some(watching));
        drop(state);
        Ok(Some(life))
    }

    fn has_ended(&self) -> bool {
        let state = lock(&self.state);
        state.ended || state.pidfd.as_ref().is_some_and(peer::has_ended)
    }

    /// Has `mortal` told of the end; at once, if that has come.
    fn tell(&self, mortal: Weak<dyn Mortal>) {
        let mut state = lock(&self.state);
        if state.ended {
            drop(state);
            if let Some(mortal) = mortal.upgrade() {
                mortal.process_ended();
            }
            return;
        }
        if state.mortals.len() == state.mortals.capacity() {
            state.mortals.retain(|mortal| mortal.strong_count() != 0);
        }
        state.mortals.push(mortal);
    }
}

struct End(Weak<Life>);

impl Watch for End {
    fn readable(&self) {
        let Some(life) = self.0.upgrade() else { return };
        let State { mortals, pidfd, watching, .. } =
            std::mem::replace(&mut *lock(&life.state), State { ended: true, ..State::default() });
        // it stays readable for ever
        drop((watching, pidfd));
        for mortal in mortals.iter().filter_map(Weak::upgrade) {
            mortal.process_ended();
        }
    }

    fn hangup(&self) {
        self.readable();
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::sync::atomic::{AtomicU32, Ordering};

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    #[derive(Default)]
    struct Ends(AtomicU32);

    impl Mortal for Ends {
        fn process_ended(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// As older kernels tell of one whose child keeps its socket.
    #[test]
    fn a_process_that_was_reaped_before_it_was_looked_at_has_ended() {
        let ends = Arc::new(Ends::default());
        let reaped = Life::new(Err(Errno::SRCH.into())).unwrap().unwrap();
        reaped.tell(Arc::downgrade(&ends) as _);
        assert_eq!(ends.0.load(Ordering::Relaxed), 1);
        assert!(Life::new(Err(Errno::NOSYS.into())).unwrap().is_none(), "of this one nothing is known");
    }

    /// Its number may be another's by then, which would be told that it has ended.
    #[test]
    fn a_process_has_ended_before_the_monitor_knows() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        let unwatched = State { pidfd: Some(Arc::new(pidfd)), ..State::default() };
        let life = Life { state: Mutex::new(unwatched) };
        assert!(!life.has_ended());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(life.has_ended());
    }
}
