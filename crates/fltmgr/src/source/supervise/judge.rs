//! From a notification to an operation and a plan, or to an answer that needs no question.
//!
//! A call is looked at once: its texts are copied, its paths followed to objects by the actor of its thread, and operation
//! and plan name those. What was read of a thread counts only if its call still waits afterwards, for else it was another
//! thread's. That we have no descriptor left never looks like an error of its path.

use std::ffi::OsString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use libc::c_long;
use proto::operation::{Arguments, Caller, OpFlags, OpKind, Operation};
use rustix::fs::{self, CWD, FileType, ResolveFlags};
use rustix::io::Errno;
use sys::actor::Actor;
use sys::seccomp::Notification;

use super::actors::Likeness;
use super::arguments::{self, Unread};
use super::calls::{self, Call, Name, Shape};
use super::executions::Other;
use super::held::Held;
use super::names;
use super::plan::{Done, Plan};
use super::resolve::Walker;
use super::tree::Tree;
use crate::source::descriptors::is_exhausted;
use crate::source::procfs;

mod changes;
mod execs;
mod opens;

/// Why the kernel runs an allowed call itself, and reads its arguments again, beside exec: no process can be executed in
/// another's place. Refused where the rules are strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// A terminal that is, or would become, the controlling one of the process that opens it.
    Terminal,
    /// A device whose driver remembers the process that opens it.
    Device,
    /// A file of procfs of which the kernel notes the process that opens it.
    Procfs,
    /// A thread whose rights or view we can not take on.
    Unlike,
}

/// What a call turned out to be about.
struct Judged {
    operation: Arc<Operation>,
    plan: Plan,
    /// The object itself (O_PATH), if it is a regular file.
    object: Option<Arc<OwnedFd>>,
}

/// An answer without a question.
enum Settled {
    /// The kernel would give this error.
    Error(Errno),
    /// There is nothing to do.
    Nothing,
    /// This is done: it is not asked about, or can have no effect.
    Do(Plan),
    /// Give it this object, which needs no question.
    Give(OwnedFd, fs::OFlags),
    /// The kernel would have to run it, and the rules are strict.
    Strict,
    /// Its memory is closed to us.
    Unreadable,
    /// It does not wait any more.
    Gone,
}

impl From<Errno> for Settled {
    fn from(errno: Errno) -> Self {
        Self::Error(errno)
    }
}

/// Makes an operation of a notification, or answers it.
pub(super) fn judge(tree: &Arc<Tree>, call: Notification) -> Option<Held> {
    if tree.ends() {
        tree.end(call);
        return None;
    }
    if let Some(other) = tree.executions.other(call.tid) {
        if tree.listener.is_valid(call.id) {
            return Some(late(tree, call, other));
        }
        tree.tally.gone.bump();
        return None;
    }
    let Some(row) = calls::find(c_long::from(call.nr), call.args) else {
        match note_identity(tree, call) {
            Ok(()) => tree.let_run(call),
            Err(errno) => _ = tree.deliver(call, errno.into()),
        }
        return None;
    };
    let arguments = row.arguments(call.args);
    let mut likeness = Likeness::Unlike;
    let done = match look(tree, call, row, arguments, &mut likeness) {
        Ok(Judged { operation, plan, object }) => {
            return Some(Held::new(tree.clone(), call, likeness, operation, plan, object));
        }
        Err(Settled::Error(errno)) => errno.into(),
        Err(Settled::Nothing) => Done::Value(Ok(0)),
        Err(Settled::Do(plan)) => plan.carry_out(tree, &likeness, call),
        Err(Settled::Give(file, flags)) => Done::File(file, flags),
        Err(Settled::Strict) => {
            tree.tally.strict.bump();
            Errno::PERM.into()
        }
        Err(Settled::Unreadable) => {
            tree.note_closed(call.tid);
            Errno::ACCESS.into()
        }
        Err(Settled::Gone) => {
            tree.tally.gone.bump();
            return None;
        }
    };
    tree.deliver(call, done);
    None
}

/// The exec of what a process runs in place of what was judged.
fn late(tree: &Arc<Tree>, call: Notification, other: Other) -> Held {
    let (likeness, user) = tree.actors.of(call.tid, false).unwrap_or((Likeness::Unlike, u32::MAX));
    let caller = Caller::new(call.tid, procfs::look_up).with_user(user);
    let mut operation = Operation::new(OpKind::Exec, OsString::from_vec(other.path), caller);
    operation.flags |= OpFlags::RUNS;
    Held::new(tree.clone(), call, likeness, operation.into(), Plan::Late(other.then.map(Arc::new)), other.object)
}

/// One of the calls after which a thread may have other rights or another view. The error is its own.
fn note_identity(tree: &Tree, call: Notification) -> Result<(), Errno> {
    if calls::only_forks(c_long::from(call.nr), call.args) {
        return Ok(());
    }
    let (ruleset, flags) = (call.args[0] as i32, call.args[1] as u32);
    // Without a ruleset it is about what the kernel logs.
    if c_long::from(call.nr) != libc::SYS_landlock_restrict_self || ruleset < 0 {
        tree.actors.identity_changes();
        return Ok(());
    }
    match arguments::descriptor(call.tid, ruleset) {
        Ok(ruleset) => tree.actors.restricts(call.tid, ruleset, flags),
        Err(Unread::Error(errno)) => Err(errno),
        Err(Unread::Closed) => {
            tree.note_closed(call.tid);
            Err(Errno::ACCESS)
        }
    }
}

fn look(
    tree: &Arc<Tree>,
    call: Notification,
    row: &'static Call,
    arguments: Arguments,
    likeness: &mut Likeness,
) -> Result<Judged, Settled> {
    // Times that leave both as they are, are no error whatever else is; and exec looks at its flags last.
    if !matches!(row.kind, OpKind::Utimes | OpKind::Exec) {
        row.error(&arguments).map_or(Ok(()), Err)?;
    }
    let (found, user) = tree.actors.of(call.tid, row.kind == OpKind::Exec)?;
    *likeness = found;
    let lease = tree.actors.lease(likeness, call.tid)?;
    if lease.is_none() {
        *likeness = Likeness::Unlike;
    }
    let actor = lease.as_ref().map_or(Actor::Ours, |lease| lease.actor());
    let look = Look { tree, call, row, arguments, actor: &actor, user };
    if *likeness == Likeness::Unlike {
        look.still_waits()?;
        return look.by_text();
    }
    match row.shape {
        Shape::Open(name) => look.open(name, None),
        Shape::Open2 => look.open2(),
        _ => look.change(),
    }
}

/// Looks at one call that waits.
#[derive(Clone, Copy)]
struct Look<'a> {
    tree: &'a Arc<Tree>,
    call: Notification,
    row: &'static Call,
    arguments: Arguments,
    actor: &'a Actor<'a>,
    user: u32,
}

/// A path argument: its text and where it starts.
struct Place {
    start: Option<OwnedFd>,
    path: Vec<u8>,
}

impl Place {
    fn start(&self) -> BorrowedFd<'_> {
        self.start.as_ref().map_or(CWD, |start| start.as_fd())
    }

    /// The path made absolute, by its text alone.
    fn text(&self) -> Vec<u8> {
        match &self.start {
            None => names::normalize(&self.path),
            Some(start) => {
                let dir = names::name_of(start.as_fd()).unwrap_or_else(|_| b"/".to_vec());
                names::normalize(&names::join(&dir, &self.path))
            }
        }
    }
}

impl Look<'_> {
    fn arg(&self, register: u32) -> u64 {
        self.call.args[register as usize]
    }

    fn has(&self, flag: u64) -> bool {
        self.arguments.flags & flag != 0
    }

    fn walker(&self) -> Walker<'_> {
        let (guards, procfs) = (self.tree.guards, &self.tree.procfs);
        Walker { actor: self.actor, tid: self.call.tid, user: self.user, guards, procfs }
    }

    /// The operation on this path.
    fn operation(&self, path: Vec<u8>) -> Operation {
        use rustix::fs::OFlags;
        let caller = Caller::new(self.call.tid, procfs::look_up).with_user(self.user);
        let mut operation = Operation::new(self.row.kind, OsString::from_vec(path), caller);
        operation.arguments = Some(self.arguments);
        let opened = OFlags::from_bits_retain(self.arguments.flags as u32);
        let writes = self.row.kind == OpKind::Open
            && opened.intersects(OFlags::WRONLY | OFlags::RDWR | OFlags::TRUNC | OFlags::CREATE);
        operation.flags.set(OpFlags::WRITE, writes || self.row.kind == OpKind::Truncate);
        operation
    }

    /// The operation on this object, to which links led by these names.
    fn reached(&self, object: &OwnedFd, through: Vec<PathBuf>) -> Result<Operation, Errno> {
        let mut operation = self.operation(names::name_of(object.as_fd())?);
        operation.through = through;
        Ok(operation)
    }

    /// The operation on these two paths.
    fn pair(&self, path: Vec<u8>, target: Vec<u8>) -> Operation {
        let mut operation = self.operation(path);
        operation.target = OsString::from_vec(target).into();
        operation
    }

    /// What the kernel is to run as it stands.
    fn continued(&self, operation: Operation, why: Why) -> Result<Judged, Settled> {
        if self.tree.strict {
            return Err(Settled::Strict);
        }
        tracing::debug!(?why, path = ?operation.path, "a call will continue in the kernel");
        Ok(Judged { operation: operation.into(), plan: Plan::Continue, object: None })
    }

    /// What was read of a thread that has gone may be another's.
    fn still_waits(&self) -> Result<(), Settled> {
        if self.tree.listener.is_valid(self.call.id) { Ok(()) } else { Err(Settled::Gone) }
    }

    /// What was read of the caller's memory.
    fn read<T>(&self, read: Result<T, Unread>) -> Result<T, Settled> {
        self.still_waits()?;
        read.map_err(|unread| match unread {
            Unread::Error(errno) => Settled::Error(errno),
            Unread::Closed => Settled::Unreadable,
        })
    }

    /// The text of a path. An empty one is an error, unless it may be.
    fn text(&self, register: u32, may_be_empty: bool) -> Result<Vec<u8>, Settled> {
        let text = self.read(arguments::read_path(self.call.tid, self.arg(register)))?;
        if text.is_empty() && !may_be_empty { Err(Settled::Error(Errno::NOENT)) } else { Ok(text) }
    }

    fn place(&self, name: Name) -> Result<Place, Settled> {
        self.place_within(name, ResolveFlags::empty(), false)
    }

    /// With RESOLVE_IN_ROOT an absolute path too starts from the descriptor.
    fn place_within(&self, name: Name, limits: ResolveFlags, may_be_empty: bool) -> Result<Place, Settled> {
        let path = self.text(name.path, may_be_empty)?;
        if path.first() == Some(&b'/') && !limits.contains(ResolveFlags::IN_ROOT) {
            return Ok(Place { start: None, path });
        }
        let start = self.start(name.at.map(|register| self.arg(register) as i32))?;
        Ok(Place { start: Some(start), path })
    }

    /// What a descriptor names, or the working directory.
    fn start(&self, descriptor: Option<i32>) -> Result<OwnedFd, Settled> {
        let start = arguments::start(self.call.tid, descriptor);
        self.still_waits()?;
        match start {
            Ok(start) => Ok(start),
            Err(Errno::BADF) => Err(Settled::Error(Errno::BADF)),
            Err(errno) if is_exhausted(errno) => Err(Settled::Error(Errno::NFILE)),
            Err(_) => Err(Settled::Unreadable),
        }
    }

    /// Our own table of descriptors is full: it must not look as if the file were missing.
    fn found<T>(result: Result<T, Errno>) -> Result<T, Settled> {
        result.map_err(|errno| Settled::Error(if is_exhausted(errno) { Errno::NFILE } else { errno }))
    }

    /// Judges a call by the texts of its paths alone, for the kernel to run.
    fn by_text(&self) -> Result<Judged, Settled> {
        let text = |name: Name| -> Result<Vec<u8>, Settled> {
            Ok(self.place_within(name, ResolveFlags::empty(), true)?.text())
        };
        let operation = match self.row.shape {
            Shape::Open(name) | Shape::Object { name, .. } | Shape::Entry { name, .. } => self.operation(text(name)?),
            Shape::Open2 => {
                let mut operation = self.operation(text(Name { at: Some(0), path: 1 })?);
                // What it says in memory may change.
                operation.flags |= OpFlags::WRITE;
                operation
            }
            Shape::Descriptor(register) => {
                let object = self.start(Some(self.arg(register) as i32))?;
                self.operation(names::name_of(object.as_fd())?)
            }
            Shape::Names { from, to } | Shape::Link { from, to, .. } => self.pair(text(from)?, text(to)?),
            Shape::Symlink { to } => {
                let target = text(to)?;
                self.pair(self.led_to(&target)?, target)
            }
            Shape::Address => match self.address()?.1 {
                Some(path) => {
                    let start = if path.starts_with(b"/") { None } else { Some(self.start(None)?) };
                    self.operation(Place { start, path }.text())
                }
                None => return Err(Settled::Do(Plan::Continue)),
            },
        };
        self.continued(operation, Why::Unlike)
    }

    /// Where the text of a new symbolic link leads from there.
    fn led_to(&self, link: &[u8]) -> Result<Vec<u8>, Settled> {
        let text = self.text(0, true)?;
        let dir = link.iter().rposition(|&byte| byte == b'/').map_or(link, |at| &link[..at]);
        let path = if text.starts_with(b"/") { text } else { names::join(dir, &text) };
        Ok(names::normalize(&path))
    }

    /// The object, if there is something in it to be read.
    fn regular(object: &Arc<OwnedFd>) -> Result<Option<Arc<OwnedFd>>, Errno> {
        let regular = FileType::from_raw_mode(fs::fstat(object)?.st_mode) == FileType::RegularFile;
        Ok(regular.then(|| object.clone()))
    }
}
