//! The clients of a port, as the applications that are asked.
//!
//! Questions go to them in turn. More of them than a port takes at one time wait here until it does, or until their
//! deadline, and the users whose programs wait take turns. Which processes the applications are is asked of the connections
//! anew each time, because a connection may be given away and a number used again.

use std::cell::Cell;
use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use fltport::internal::lock;
use proto::question::ANSWER_LEN;
use proto::status::Status;

use super::turns::{Party, Turns};
use super::{Ask, question_of, settle};
use crate::filter::{By, PreOperation};
use crate::source::Exempt;
use crate::{Client, OutgoingMessage, Serve, Timeout};

/// Questions that are under way at one time: some fewer than a connection has waiters.
const UNDER_WAY: usize = 1_000;
/// A user alone may have most of them.
const TIMES: usize = 8;

type Admit = Box<dyn Fn(&Client) -> Result<(), Status> + Send + Sync>;

/// Applications that connected to a port, asked in turn.
///
/// It is the [`Serve`] of the port and the [`Ask`] of the guard: clone it, and give one to each.
///
/// ```no_run
/// use std::sync::Arc;
/// use fltmgr::filter::{Manager, OpSet};
/// use fltmgr::guard::{Applications, Guard};
/// use fltmgr::policy::{Rule, Rules};
/// use fltmgr::source::Supervise;
/// use fltmgr::{Port, PortOptions};
///
/// # fn main() -> Result<(), fltmgr::Error> {
/// let applications = Applications::new();
/// let _port = Port::create(r"\ScannerPort", PortOptions::default().max_connections(8), applications.clone())?;
/// let rules = Rules::new([Rule::deny(["*.secret"]), Rule::ask(["**"]).kinds(OpSet::OPEN)])?;
/// let guard = Guard::new(rules).ask(Arc::new(applications));
/// let command = Arc::new(Supervise::new(std::process::Command::new("make")));
/// let manager = Manager::builder().filter(guard)?.start(command.clone())?;
/// let status = command.wait()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Applications(Arc<Shared>);

struct Shared {
    clients: RwLock<Vec<(u64, Client)>>,
    next_id: AtomicU64,
    turn: AtomicUsize,
    admit: Option<Admit>,
    /// Operations about which an application is to be asked.
    waiting: Mutex<Turns<PreOperation>>,
}

thread_local! {
    /// Of which applications this thread asks now.
    static ASKS: Cell<*const Shared> = const { Cell::new(ptr::null()) };
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Applications").field("connected", &self.read().len()).finish_non_exhaustive()
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            clients: RwLock::default(),
            next_id: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
            admit: None,
            waiting: Mutex::new(Turns::new(UNDER_WAY, TIMES)),
        }
    }
}

impl Shared {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Vec<(u64, Client)>> {
        self.clients.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Vec<(u64, Client)>> {
        self.clients.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Applications {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// None yet; `admit` is told of each one that connects, on a thread of the port, a moment before that one knows that it
    /// is connected, and may refuse it with a status: one that is decided about, say ([`Supervise::contains`]).
    ///
    /// [`Supervise::contains`]: crate::source::Supervise::contains
    pub fn admitted_by(admit: impl Fn(&Client) -> Result<(), Status> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared { admit: Some(Box::new(admit)), ..Shared::default() }))
    }

    /// How many are connected.
    pub fn len(&self) -> usize {
        // one that has gone stays in the list until its disconnect callback runs
        self.0.read().iter().filter(|(_, client)| client.is_connected()).count()
    }

    /// Whether none is connected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asks about all that may be asked now. Not within itself: what is answered at once would make the next one be asked
    /// from there, and so on.
    fn ask_waiting(&self) {
        let mine = Arc::as_ptr(&self.0);
        let outer = ASKS.replace(mine);
        let next = || lock(&self.0.waiting).next();
        while outer != mine
            && let Some((party, operation)) = next()
        {
            self.ask_one(party, operation);
        }
        ASKS.set(outer);
    }

    fn ask_one(&self, party: Party, operation: PreOperation) {
        let left = operation.remaining();
        let ready = match self.0.next() {
            // Answered by its deadline, while it waited.
            _ if left.is_zero() => Err(By::Deadline),
            None => Err(By::Absent),
            Some(client) => question_of(&operation).map(|question| (client, question)),
        };
        let (client, (body, file)) = match ready {
            Ok(ready) => ready,
            Err(why) => return self.answered(party, operation, Err(why)),
        };
        let question = OutgoingMessage { body, reply_len: ANSWER_LEN, file, timeout: Timeout::After(left) };
        let applications = self.clone();
        client.ask_then(question, move |outcome| {
            let outcome = match outcome {
                Ok(answered) => Ok((answered.status, answered.payload)),
                Err(error) => Err(match error.status() {
                    Status::TIMEOUT => By::Deadline,
                    Status::PORT_DISCONNECTED => By::Disconnect,
                    Status::INSUFFICIENT_RESOURCES => By::Overload,
                    _ => By::Nonsense,
                }),
            };
            applications.answered(party, operation, outcome);
        });
    }

    fn answered(&self, party: Party, operation: PreOperation, outcome: Result<(Status, Vec<u8>), By>) {
        settle(operation, outcome);
        lock(&self.0.waiting).leave(party);
        self.ask_waiting();
    }
}

impl Shared {
    /// The next one in turn that is still there.
    fn next(&self) -> Option<Client> {
        let clients = self.read();
        let start = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..clients.len()).map(|n| &clients[(start.wrapping_add(n)) % clients.len()].1);
        in_turn.into_iter().find(|client| client.is_connected()).cloned()
    }
}

/// One application's place among the others.
#[derive(Debug)]
pub struct Place(u64);

impl Serve for Applications {
    type Session = Place;

    fn connect(&self, client: &Client, _context: &[u8]) -> Result<Place, Status> {
        if let Some(admit) = &self.0.admit {
            admit(client)?;
        }
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        self.0.write().push((id, client.clone()));
        Ok(Place(id))
    }

    fn disconnect(&self, place: Place) {
        self.0.write().retain(|(id, _)| *id != place.0);
    }
}

impl Ask for Applications {
    fn ask(&self, operation: PreOperation) {
        // Here, because it may take as long as a file system does, and the thread that has it take its turn is another's.
        if operation.file().is_err() {
            operation.miss(By::Unreadable);
            return;
        }
        let party = Party { user: operation.caller.user(), process: operation.caller.process() };
        let over = lock(&self.0.waiting).push(party, operation, |waiting| waiting.remaining().is_zero());
        over.into_iter().for_each(|operation| _ = operation.miss(By::Deadline));
        self.ask_waiting();
    }
}

impl Exempt for Applications {
    fn exempts(&self, process: u32) -> bool {
        // 0 is every process that our pid namespace has no number for
        process != 0 && self.0.read().iter().any(|(_, client)| client.is_used_by(process))
    }
}
