//! The command of a supervised tree: started under the seccomp program, running, ended.
//!
//! Its execve waits for an answer before `spawn` returns, so it is started on a thread of its own. That thread stays until
//! the command has ended, because the kernel kills the command when the thread that started it ends.

use std::io;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use libc::sock_filter;
use sys::seccomp::Listener;

use super::asked::Asked;
use super::orphans;

/// The command: started, running, ended.
#[derive(Debug, Default)]
pub(super) struct Started {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Starting,
    Running(u32),
    Ended(u32, Result<ExitStatus, i32>),
    Failed(i32),
}

impl Started {
    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.changed.notify_all();
    }

    /// Waits until the command runs, and gives its process id.
    pub(super) fn pid(&self) -> io::Result<u32> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match *state {
                State::Starting => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                State::Running(pid) | State::Ended(pid, _) => return Ok(pid),
                State::Failed(errno) => return Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }

    /// Waits until the command has ended (its descendants may live on).
    pub(super) fn wait(&self) -> io::Result<ExitStatus> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match *state {
                State::Starting | State::Running(_) => {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                State::Ended(_, Ok(status)) => return Ok(status),
                State::Ended(_, Err(errno)) | State::Failed(errno) => return Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// Starts `command` under a seccomp program, on a thread of its own, because its execve waits for us and `spawn` waits for
/// it; the death signal of the child is tied to the life of the thread that started it, so that thread stays until the
/// child has ended.
pub(super) fn start(
    mut command: Command,
    program: Vec<sock_filter>,
    asked: Arc<Asked>,
) -> io::Result<(Listener, Arc<Started>)> {
    let handover = sys::seccomp::install_before_exec(&mut command, program)?;
    let started = Arc::new(Started::default());
    let keeper = started.clone();
    thread::Builder::new().name("supervise-child".into()).spawn(move || {
        let result = command.spawn();
        // Our copy of the sending end goes with the command: only then is a child that failed early an end of file.
        drop(command);
        match result {
            Err(error) => keeper.set(State::Failed(errno(&error))),
            Ok(mut child) => {
                keeper.set(State::Running(child.id()));
                orphans::reap_until_ends(child.id(), &asked);
                let status = child.wait().map_err(|error| errno(&error));
                keeper.set(State::Ended(child.id(), status));
            }
        }
    })?;
    match handover.listener()? {
        Some(listener) => Ok((listener, started)),
        // The child never got to its exec: the reason is with the keeper.
        None => Err(started.pid().err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())),
    }
}
