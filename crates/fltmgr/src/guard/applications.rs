//! The clients of a port, as those who are asked.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use proto::question::ANSWER_LEN;
use proto::status::Status;

use super::{Ask, Done};
use crate::filter::By;
use crate::sync::lock;
use crate::{Client, Credentials, Question, Serve, Timeout};

type Watcher = Box<dyn Fn(&Credentials, bool) + Send + Sync>;

/// Applications that connected to a port, asked in turn.
///
/// It is the [`Serve`] of the port and the [`Ask`] of the guard: clone it, and give one to each.
///
/// ```no_run
/// use std::sync::Arc;
/// use fltmgr::filter::{Manager, OpSet};
/// use fltmgr::guard::{Applications, Guard};
/// use fltmgr::source::Supervise;
/// use fltmgr::{Port, PortOptions};
///
/// # fn main() -> Result<(), fltmgr::Error> {
/// let applications = Applications::new();
/// let _port = Port::create(r"\ScannerPort", PortOptions::default().max_connections(8), applications.clone())?;
/// let guard = Guard::new().deny(["*.secret"])?.ask(Arc::new(applications), OpSet::OPEN);
/// let command = Arc::new(Supervise::new(std::process::Command::new("make")));
/// let manager = Manager::builder().filter(guard)?.start(command.clone())?;
/// let status = command.wait()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Applications(Arc<Shared>);

#[derive(Default)]
struct Shared {
    clients: RwLock<Vec<(u64, Client)>>,
    next_id: AtomicU64,
    turn: AtomicUsize,
    watcher: Option<Watcher>,
    /// Held from a change of the list until the watcher knows of it: of a process that goes and comes at once, with
    /// another connection, it must not be told last that it went.
    telling: Mutex<()>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Applications").field("connected", &self.read().len()).finish_non_exhaustive()
    }
}

impl Shared {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Vec<(u64, Client)>> {
        self.clients.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Vec<(u64, Client)>> {
        self.clients.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, peer: &Credentials, connected: bool) {
        if let Some(watcher) = &self.watcher {
            watcher(peer, connected);
        }
    }
}

impl Applications {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// None yet; `watcher` is told of each one that connects (true), and when the last connection that a process made goes
    /// (false), so that a source can exempt the process ([`Fanotify::exempt`](crate::source::Fanotify::exempt)). It runs
    /// on a thread of the port, and is told one thing after the other: nobody connects or goes meanwhile.
    pub fn watched(watcher: impl Fn(&Credentials, bool) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared { watcher: Some(Box::new(watcher)), ..Shared::default() }))
    }

    /// How many are connected.
    pub fn len(&self) -> usize {
        // one that has gone stays in the list until its disconnect callback runs
        self.0.read().iter().filter(|(_, client)| client.is_connected()).count()
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next one in turn that is still there.
    fn next(&self) -> Option<Client> {
        let clients = self.0.read();
        let start = self.0.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..clients.len()).map(|n| &clients[(start.wrapping_add(n)) % clients.len()].1);
        in_turn.into_iter().find(|client| client.is_connected()).cloned()
    }
}

/// One application's place among the others.
#[derive(Debug)]
pub struct Place {
    id: u64,
    peer: Credentials,
}

impl Serve for Applications {
    type Session = Place;

    fn connect(&self, client: &Client, _context: &[u8]) -> Result<Place, Status> {
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        let peer = client.peer().clone();
        let _telling = lock(&self.0.telling);
        self.0.tell(&peer, true);
        self.0.write().push((id, client.clone()));
        Ok(Place { id, peer })
    }

    fn disconnect(&self, place: Place) {
        let _telling = lock(&self.0.telling);
        let gone = {
            let mut clients = self.0.write();
            clients.retain(|(id, _)| *id != place.id);
            !clients.iter().any(|(_, client)| client.peer().pid == place.peer.pid)
        };
        // Another connection of the same process keeps its exemption.
        if gone {
            self.0.tell(&place.peer, false);
        }
    }
}

impl Ask for Applications {
    fn ask(&self, question: Vec<u8>, file: Option<Arc<OwnedFd>>, timeout: Duration, done: Done) {
        let Some(client) = self.next() else { return done(Err(By::Absent)) };
        let question =
            Question { message: question, reply_len: ANSWER_LEN, fd: file, timeout: Timeout::After(timeout) };
        client.ask_then(question, move |outcome| {
            done(match outcome {
                Ok(answered) => Ok((answered.status, answered.payload)),
                Err(error) => Err(match error.status() {
                    Status::TIMEOUT => By::Deadline,
                    Status::PORT_DISCONNECTED => By::Disconnect,
                    Status::INSUFFICIENT_RESOURCES => By::Overload,
                    _ => By::Nonsense,
                }),
            });
        });
    }

    fn is_one(&self, pid: u32) -> bool {
        // 0 is everybody whom our pid namespace has no number for
        pid != 0 && self.0.read().iter().any(|(_, client)| client.is_used_by(pid))
    }
}
