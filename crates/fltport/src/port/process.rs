//! The processes of a port's clients: their end is the end of their connections, even where a forked child keeps the
//! socket open.
//!
//! One descriptor (pidfd) and one watch per process, however many connections it has.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, Weak};

use rustix::io::Errno;
use sys::descriptors::{self, Reserved};
use sys::fork::PerProcess;
use sys::monitor::{Interest, Monitor, Watch, Watching};
use sys::peer;
use sys::socket::Socket;

use crate::sync::lock;

/// Something that ends with a process.
pub(super) trait Mortal: Send + Sync {
    /// The process has ended. Called on the monitor's thread: must not block.
    fn process_ended(&self);
}

/// A client's process, as long as one of its connections lives.
pub(super) struct Process {
    state: Mutex<State>,
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
type Processes = Mutex<HashMap<u32, Weak<Process>>>;

/// A forked child has its own: the monitor that watches its parent's tells it of no end.
static PROCESSES: PerProcess<Processes> = PerProcess::new();

impl Process {
    /// The process at the other end of `socket`, whose number is `pid`. `None` where the kernel does not tell: then the
    /// end of the socket alone counts.
    ///
    /// # Errors
    /// There is no descriptor for it but those of the reserve.
    pub(super) fn of_peer(socket: &Socket, pid: u32) -> Result<Option<Arc<Self>>, Reserved> {
        if pid == 0 {
            return Ok(None); // of another pid namespace: no number to share it by
        }
        let mut processes = lock(PROCESSES.get(Mutex::default));
        if let Some(known) = processes.get(&pid).and_then(Weak::upgrade)
            && !known.has_ended()
        {
            return Ok(Some(known));
        }
        let Some(process) = Self::new(peer::pidfd(socket))? else { return Ok(None) };
        if processes.len() == processes.capacity() {
            processes.retain(|_, process| process.strong_count() != 0);
        }
        processes.insert(pid, Arc::downgrade(&process));
        Ok(Some(process))
    }

    /// The process of this descriptor, or one that has ended where the kernel says so instead of giving it.
    fn new(pidfd: io::Result<OwnedFd>) -> Result<Option<Arc<Self>>, Reserved> {
        let process = Arc::new(Self { state: Mutex::default() });
        let pidfd = match pidfd {
            Ok(pidfd) => pidfd,
            Err(error) if Errno::from_io_error(&error) == Some(Errno::SRCH) => {
                lock(&process.state).ended = true;
                return Ok(Some(process));
            }
            Err(_) => return Ok(None),
        };
        descriptors::leaves_reserve(&pidfd)?;
        let pidfd = Arc::new(pidfd);
        let watch = Arc::new(End(Arc::downgrade(&process)));
        // an end that is told at once waits for the lock
        let mut state = lock(&process.state);
        let watching = Monitor::of_this_process()
            .and_then(|monitor| monitor.watch(Arc::clone(&pidfd) as _, Interest::Readable, None, watch));
        let Ok(watching) = watching else { return Ok(None) };
        (state.pidfd, state.watching) = (Some(pidfd), Some(watching));
        drop(state);
        Ok(Some(process))
    }

    fn has_ended(&self) -> bool {
        let state = lock(&self.state);
        state.ended || state.pidfd.as_ref().is_some_and(peer::has_ended)
    }

    /// Has `mortal` told of the end; at once, if that has come.
    pub(super) fn tell(&self, mortal: Weak<dyn Mortal>) {
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

struct End(Weak<Process>);

impl Watch for End {
    fn readable(&self) {
        let Some(process) = self.0.upgrade() else { return };
        let State { mortals, pidfd, watching, .. } =
            std::mem::replace(&mut *lock(&process.state), State { ended: true, ..State::default() });
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
        let reaped = Process::new(Err(Errno::SRCH.into())).unwrap().unwrap();
        reaped.tell(Arc::downgrade(&ends) as _);
        assert_eq!(ends.0.load(Ordering::Relaxed), 1);
        assert!(Process::new(Err(Errno::NOSYS.into())).unwrap().is_none(), "of this one nothing is known");
    }

    /// Its number may be another's by then, who would be told that it has ended.
    #[test]
    fn a_process_has_ended_before_the_monitor_knows() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        let unwatched = State { pidfd: Some(Arc::new(pidfd)), ..State::default() };
        let process = Process { state: Mutex::new(unwatched) };
        assert!(!process.has_ended());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(process.has_ended());
    }
}
