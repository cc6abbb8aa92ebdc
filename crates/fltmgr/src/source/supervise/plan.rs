//! What happens if a call is allowed, and the carrying out of it.
//!
//! A plan is made of what was looked at: objects, directories, copied texts. Carrying it out reads nothing of the caller's
//! memory and follows none of its paths, so that what was judged is what happens. The result is held until it is delivered.

use std::collections::VecDeque;
use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use proto::operation::Operation;
use rustix::fs::{Mode, OFlags, ResolveFlags, fstat};
use rustix::io::Errno;
use sys::actor::{Actor, Arg, Effect};
use sys::seccomp::Notification;

use super::actors::{Lease, Likeness};
use super::executions::Execution;
use super::held::Held;
use super::tree::Tree;
use crate::source::descriptors::not_theirs;
use crate::source::procfs::TaskStatus;

/// What happens if a call is allowed.
#[derive(Debug)]
pub(super) enum Plan {
    /// The kernel runs it, and reads its arguments again.
    Continue,
    Open(Open),
    Create(Create),
    Change(Change),
    Bind(Bind),
    Execute(Execute),
    /// What was executed is allowed after all, and this is to run: the call is looked at. If not, its process is killed.
    Late(Option<Arc<Execution>>),
}

/// An exec, which the kernel runs.
#[derive(Debug)]
pub(super) struct Execute {
    /// What is to be asked about before: what the kernel runs for the program.
    pub(super) rest: VecDeque<Question>,
    pub(super) execution: Arc<Execution>,
}

/// What is asked about.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) operation: Arc<Operation>,
    /// To be looked into.
    pub(super) object: Option<Arc<OwnedFd>>,
}

/// An object that is opened.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) object: Arc<OwnedFd>,
    pub(super) flags: OFlags,
    /// By openat2, which differs from the older calls in what the file's flags are.
    pub(super) exact: bool,
    /// Its name, where O_NOFOLLOW is to be among the file's flags.
    pub(super) name: Option<(OwnedFd, Vec<u8>)>,
    pub(super) patience: Patience,
}

/// How long an open may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// It waits for nothing.
    None,
    /// It waits if there is a lease on the file.
    Lease,
    /// It may wait for ever: a terminal for its line.
    Endless,
    /// It waits for a fifo's other end.
    Fifo,
}

/// A file that is made and opened.
#[derive(Debug)]
pub(super) struct Create {
    pub(super) parent: Arc<OwnedFd>,
    pub(super) name: Vec<u8>,
    pub(super) flags: OFlags,
    pub(super) mode: Mode,
    /// As that of [`Open`].
    pub(super) exact: bool,
}

/// A change of a file, of a name, or of what is said of them.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) effect: Effect,
    pub(super) arguments: Vec<Argument>,
}

/// An argument of a change, and what it needs.
#[derive(Debug)]
pub(super) enum Argument {
    Number(u64),
    Null,
    Here,
    Fd(Arc<OwnedFd>),
    Object(Arc<OwnedFd>),
    Text(CString),
    Bytes(Vec<u8>),
}

/// A socket that gets an address.
#[derive(Debug)]
pub(super) struct Bind {
    pub(super) socket: OwnedFd,
    pub(super) address: Vec<u8>,
    /// Its name, if it gets one in the tree of files.
    pub(super) name: Option<BoundName>,
    /// A netlink socket gets the number of the process that binds it, and it must not be the proxy's.
    pub(super) numbered: bool,
}

#[derive(Debug)]
pub(super) struct BoundName {
    /// What the path in the address starts from.
    pub(super) start: OwnedFd,
    pub(super) parent: Arc<OwnedFd>,
    pub(super) name: Vec<u8>,
}

/// What came of a plan.
#[derive(Debug)]
pub(super) enum Done {
    /// The kernel runs the call.
    Continue,
    /// This is the result, or this error.
    Value(Result<usize, Errno>),
    /// This file is the result.
    File(OwnedFd, OFlags),
    /// What was asked about is there no more: the call is looked at again.
    Again,
    /// The result is delivered when it is there.
    Later,
}

impl From<Errno> for Done {
    fn from(errno: Errno) -> Self {
        Self::Value(Err(errno))
    }
}

impl Argument {
    fn borrowed(&self) -> Arg<'_> {
        match self {
            Self::Number(number) => Arg::Number(*number),
            Self::Null => Arg::Null,
            Self::Here => Arg::Here,
            Self::Fd(fd) => Arg::Fd(fd.as_fd()),
            Self::Object(object) => Arg::Object(object.as_fd()),
            Self::Text(text) => Arg::Text(text),
            Self::Bytes(bytes) => Arg::Bytes(bytes),
        }
    }
}

impl Plan {
    /// Does what was allowed, in the place of the thread that waits.
    pub(super) fn carry_out(&self, tree: &Arc<Tree>, likeness: &Likeness, call: Notification) -> Done {
        let done = match self {
            Self::Continue => Ok(Done::Continue),
            Self::Open(open) => open.carry_out(tree, likeness, call),
            Self::Create(create) => create.carry_out(tree, likeness, call),
            Self::Change(change) => change.carry_out(tree, likeness, call),
            Self::Bind(bind) => bind.carry_out(tree, likeness, call),
            Self::Execute(execute) => Ok(execute.carry_out(tree, likeness, call)),
            Self::Late(then) => {
                tree.executions.allowed(call.tid, then.as_ref());
                Ok(Done::Again)
            }
        };
        done.unwrap_or_else(Done::from)
    }
}

/// The process that acts for the caller.
fn lease<'a>(tree: &'a Tree, likeness: &Likeness, call: Notification) -> Result<Lease<'a>, Errno> {
    tree.actors.lease(likeness, call.tid)?.ok_or(Errno::ACCESS)
}

/// As [`lease`], under the caller's file mode mask, which belongs to all threads of a process: never this process.
fn masked<'a>(tree: &'a Tree, likeness: &Likeness, call: Notification, mask: u32) -> Result<Lease<'a>, Errno> {
    let lease = tree.actors.proxy(likeness, call.tid)?.ok_or(Errno::ACCESS)?;
    if let Some(proxy) = lease.as_proxy() {
        proxy.set_mask(mask);
    }
    Ok(lease)
}

fn status(call: Notification) -> Result<TaskStatus, Errno> {
    TaskStatus::of(call.tid).map_err(|_| Errno::ACCESS)
}

impl Open {
    fn carry_out(&self, tree: &Arc<Tree>, likeness: &Likeness, call: Notification) -> Result<Done, Errno> {
        let Self { object, flags, .. } = self;
        if flags.contains(OFlags::TRUNC) && status(call).is_ok_and(|status| !status.has_room(call.tid)) {
            return Err(Errno::MFILE);
        }
        let lease = lease(tree, likeness, call)?;
        let ours = (*flags - OFlags::CREATE - OFlags::EXCL - OFlags::NOFOLLOW) | OFlags::CLOEXEC | OFlags::NOCTTY;
        let waits = !flags.contains(OFlags::NONBLOCK);
        if self.patience == Patience::Fifo {
            tree.endless.settle(tree);
        }
        let open = |flags| self.open(&lease.actor(), flags).map_err(not_theirs);
        match self.patience {
            Patience::Lease if waits => match open(ours | OFlags::NONBLOCK) {
                Ok(file) => {
                    rustix::fs::fcntl_setfl(&file, ours)?;
                    Ok(Done::File(file, *flags))
                }
                Err(Errno::WOULDBLOCK) => tree.endless.begin(tree, likeness, call, object, ours),
                Err(errno) => Err(errno),
            },
            Patience::Fifo if flags.contains(OFlags::RDWR) => Ok(Done::File(open(ours)?, *flags)),
            Patience::Endless | Patience::Fifo if waits => tree.endless.begin(tree, likeness, call, object, ours),
            _ => Ok(Done::File(open(ours)?, *flags)),
        }
    }

    /// Opens the object: by its name if that is still its name, else by its descriptor, which is a link.
    fn open(&self, actor: &Actor<'_>, flags: OFlags) -> Result<OwnedFd, Errno> {
        if let Some((parent, name)) = &self.name {
            let limits = self.exact.then(ResolveFlags::empty);
            let by_name = actor.open(parent.as_fd(), name, flags | OFlags::NOFOLLOW, Mode::empty(), limits);
            let [there, wanted] = [by_name.as_ref().ok().map(fstat).transpose()?, Some(fstat(&self.object)?)];
            if there.map(|it| (it.st_dev, it.st_ino)) == wanted.map(|it| (it.st_dev, it.st_ino)) {
                return by_name;
            }
        }
        actor.reopen(self.object.as_fd(), flags, self.exact)
    }
}

impl Create {
    fn carry_out(&self, tree: &Tree, likeness: &Likeness, call: Notification) -> Result<Done, Errno> {
        let status = status(call)?;
        if !status.has_room(call.tid) {
            return Err(Errno::MFILE);
        }
        let Self { parent, name, flags, mode, exact } = self;
        // Only a name that is still free is created: what stands there meanwhile was not asked about.
        let exclusive = if flags.contains(OFlags::TMPFILE) { OFlags::empty() } else { OFlags::EXCL };
        let ours = *flags | exclusive | OFlags::CLOEXEC | OFlags::NOCTTY;
        let lease = masked(tree, likeness, call, status.umask)?;
        let limits = exact.then(ResolveFlags::empty);
        match lease.actor().open(parent.as_fd(), name, ours, *mode, limits).map_err(not_theirs) {
            Ok(file) => Ok(Done::File(file, *flags)),
            Err(Errno::EXIST) if !flags.contains(OFlags::EXCL) => Ok(Done::Again),
            Err(errno) => Err(errno),
        }
    }
}

impl Change {
    fn carry_out(&self, tree: &Tree, likeness: &Likeness, call: Notification) -> Result<Done, Errno> {
        let arguments: Vec<Arg<'_>> = self.arguments.iter().map(Argument::borrowed).collect();
        let makes = matches!(self.effect, Effect::Mkdirat | Effect::Mknodat);
        let lease =
            if makes { masked(tree, likeness, call, status(call)?.umask)? } else { lease(tree, likeness, call)? };
        Ok(Done::Value(lease.actor().effect(self.effect, &arguments)))
    }
}

impl Execute {
    fn carry_out(&self, tree: &Arc<Tree>, likeness: &Likeness, call: Notification) -> Done {
        let mut rest = self.rest.clone();
        let Some(Question { operation, object }) = rest.pop_front() else {
            tree.executions.begins(self.execution.clone());
            return Done::Continue;
        };
        let plan = Plan::Execute(Self { rest, execution: self.execution.clone() });
        tree.ask(Held::new(tree.clone(), call, likeness.clone(), operation, plan, object));
        Done::Later
    }
}

/// Where a netlink address has its number.
const NUMBER: std::ops::Range<usize> = 4..8;

impl Bind {
    fn carry_out(&self, tree: &Tree, likeness: &Likeness, call: Notification) -> Result<Done, Errno> {
        let status = status(call)?;
        let lease = masked(tree, likeness, call, status.umask)?;
        let Some(proxy) = lease.as_proxy() else { return Err(Errno::ACCESS) };
        let start = self.name.as_ref().map(|name| name.start.as_fd());
        let bind = |address: &[u8]| proxy.bind(self.socket.as_fd(), address, start);
        let bound = if self.numbered {
            // As the kernel numbers them: the process, and where that is taken something negative.
            let others = (0..64).map(|n| (-4097 - n - (call.id % 1_000_000) as i32) as u32);
            let mut bound = Err(Errno::ADDRINUSE);
            for number in [status.inner.0].into_iter().chain(others) {
                let mut address = self.address.clone();
                address[NUMBER].copy_from_slice(&number.to_ne_bytes());
                bound = bind(&address);
                if bound != Err(Errno::ADDRINUSE) {
                    break;
                }
            }
            bound
        } else {
            bind(&self.address)
        };
        if let (Ok(()), Some(name)) = (bound, &self.name) {
            // The address must be the text that it is, so the kernel followed it again.
            if lease.actor().look(name.parent.as_fd(), &name.name).is_err() {
                tree.end(call);
                return Err(Errno::ACCESS);
            }
        }
        Ok(Done::Value(bound.map(|()| 0)))
    }
}
