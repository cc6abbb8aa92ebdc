//! Which process makes a call in place of its caller.
//!
//! For a caller that is what we are, it is this process. For another one it is a proxy that has taken its namespaces, root
//! and rights: only if what it has become is exactly what the caller is, for else it would reach what the caller cannot,
//! or the other way round. Proxies that have nothing to do are kept, with what they have become.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use sys::actor::Actor;
use sys::proxy::Proxy;

use super::domains::Domains;
use super::identity::{self, Identity, NAMESPACES};
use crate::source::descriptors::is_exhausted;
use crate::source::procfs::TaskStatus;
use fltport::internal::lock;

/// What a caller is to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// What we are.
    Ours,
    /// What a proxy can become.
    Other(Arc<Identity>),
    /// Neither.
    Unlike,
}

/// The proxies of a tree, and whether it needs any.
#[derive(Debug)]
pub(super) struct Actors {
    ours: Identity,
    alike: AtomicU8,
    domains: Domains,
    /// Those that have nothing to do, the last used last.
    idle: Mutex<Vec<Idle>>,
    procfs: OwnedFd,
}

#[derive(Debug)]
struct Idle {
    proxy: Proxy,
    /// `None`: it is what we are.
    identity: Option<Arc<Identity>>,
}

/// No more than this many are kept.
const IDLE: usize = 8;

/// No thread has been looked at.
const UNKNOWN: u8 = 0;
/// The tree started as what we are, and none of its threads has made a call that changes that.
const ALIKE: u8 = 1;
/// One has: every thread is looked at.
const CHANGED: u8 = 2;

impl Actors {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            ours: Identity::ours()?,
            alike: AtomicU8::new(UNKNOWN),
            domains: Domains::default(),
            idle: Mutex::default(),
            procfs: rustix::fs::open("/proc", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?,
        })
    }

    /// What this thread is, and its user. An identity only changes by system calls, which are noted, and is inherited:
    /// while none has been made, one look at the first thread is good for all. Not at one that is about to execute the
    /// command: an exec gives and takes capabilities, the second one no others.
    ///
    /// # Errors
    /// We have no descriptor to look with; EACCES for a thread of which not all is known that restricts it.
    pub(super) fn of(&self, tid: u32, executes: bool) -> Result<(Likeness, u32), Errno> {
        let state = self.alike.load(Ordering::Acquire);
        if state == ALIKE {
            return Ok((Likeness::Ours, self.ours.user()));
        }
        let Some(identity) = self.identity(tid)? else { return Ok((Likeness::Unlike, u32::MAX)) };
        let user = identity.user();
        let likeness = self.known(identity);
        if state == UNKNOWN && !executes {
            let new = if likeness == Likeness::Ours { ALIKE } else { CHANGED };
            let _ = self.alike.compare_exchange(UNKNOWN, new, Ordering::AcqRel, Ordering::Acquire);
        }
        Ok((likeness, user))
    }

    /// `None` if it is closed to us, or gone: whether it still waits is looked at after.
    fn identity(&self, tid: u32) -> Result<Option<Identity>, Errno> {
        let look = || {
            let status = TaskStatus::of(tid)?;
            let process = status.tgid;
            Ok((Identity::of(tid, status)?, process))
        };
        match look() {
            Ok((identity, process)) => Ok(Some(identity.in_domain(self.domains.of(tid, process)?))),
            Err(error) if Errno::from_io_error(&error).is_some_and(is_exhausted) => Err(Errno::NFILE),
            Err(_) => Ok(None),
        }
    }

    fn known(&self, identity: Identity) -> Likeness {
        if identity == self.ours {
            Likeness::Ours
        } else if identity.labelled_as(&self.ours) {
            Likeness::Other(identity.into())
        } else {
            // A confined program must not be stood in for by one that is not.
            Likeness::Unlike
        }
    }

    /// From now on every thread is looked at.
    pub(super) fn identity_changes(&self) {
        self.alike.store(CHANGED, Ordering::Release);
    }

    /// A thread is about to restrict itself by a Landlock ruleset.
    ///
    /// # Errors
    /// What the kernel will say to it, if that is an error.
    pub(super) fn restricts(&self, tid: u32, ruleset: OwnedFd, flags: u32) -> Result<(), Errno> {
        self.identity_changes();
        let Some(identity) = self.identity(tid)? else { return Err(Errno::ACCESS) };
        let likeness = self.known(identity.clone());
        let Some(lease) = self.proxy(&likeness, tid)? else {
            // Nothing acts for it, restricted or not.
            return Ok(());
        };
        let Some((proxy, _)) = lease.into_parts() else { return Err(Errno::NOMEM) };
        self.domains.enter(tid, &identity, proxy, ruleset, flags)
    }

    /// What this caller would be outside of its Landlock domain.
    pub(super) fn unrestricted(&self, likeness: &Likeness) -> Likeness {
        match likeness {
            Likeness::Other(identity) if identity.domain != 0 => self.known((**identity).clone().in_domain(0)),
            likeness => likeness.clone(),
        }
    }

    /// The process that acts for this thread. `None` if there can be none.
    ///
    /// # Errors
    /// No further process can be started; EACCES in a Landlock domain of which no proxy is left.
    pub(super) fn lease(&self, likeness: &Likeness, tid: u32) -> Result<Option<Lease<'_>>, Errno> {
        match likeness {
            Likeness::Ours => Ok(Some(Lease { actors: self, identity: None, proxy: None })),
            _ => self.proxy(likeness, tid),
        }
    }

    /// A proxy for this thread, also for one that is what we are. `None` if none can become what it is.
    ///
    /// # Errors
    /// As [`lease`](Self::lease).
    pub(super) fn proxy(&self, likeness: &Likeness, tid: u32) -> Result<Option<Lease<'_>>, Errno> {
        let identity = match likeness {
            Likeness::Ours => None,
            Likeness::Other(identity) => Some(identity.clone()),
            Likeness::Unlike => return Ok(None),
        };
        let proxy = match self.take_idle(identity.as_ref()) {
            Some(proxy) => Some(proxy),
            None => self.begin(identity.as_deref(), tid)?,
        };
        Ok(proxy.map(|proxy| Lease { actors: self, identity, proxy: Some(proxy) }))
    }

    fn take_idle(&self, identity: Option<&Arc<Identity>>) -> Option<Proxy> {
        let mut idle = lock(&self.idle);
        let at = idle.iter().rposition(|idle| idle.identity.as_ref() == identity)?;
        Some(idle.remove(at).proxy)
    }

    /// A new proxy with this identity. `None` if none can have it.
    fn begin(&self, identity: Option<&Identity>, tid: u32) -> Result<Option<Proxy>, Errno> {
        let start = || Proxy::start().map_err(|_| Errno::NOMEM);
        let Some(identity) = identity else { return start().map(Some) };
        if identity.domain == 0 {
            let proxy = start()?;
            return Ok(self.becomes(&proxy, &self.ours, identity, tid).then_some(proxy));
        }
        let (proxy, is) = self.domains.copy(identity.domain)?;
        // Nothing else can be in that domain, so that what it is not is refused.
        if is == *identity || self.becomes(&proxy, &is, identity, tid) { Ok(Some(proxy)) } else { Err(Errno::ACCESS) }
    }

    /// Keeps a proxy for the next caller, unless there are enough.
    pub(super) fn put_back(&self, proxy: Proxy, identity: Option<Arc<Identity>>) {
        if !proxy.is_alive() {
            return;
        }
        let mut idle = lock(&self.idle);
        idle.push(Idle { proxy, identity });
        let oldest = (idle.len() > IDLE).then(|| idle.remove(0));
        drop(idle);
        drop(oldest);
    }

    /// Has a new proxy, which is the first, become what this thread is, which waits. False if it is not exactly that
    /// afterwards.
    fn becomes(&self, proxy: &Proxy, is: &Identity, wanted: &Identity, tid: u32) -> bool {
        let change = || -> io::Result<()> {
            let differ = |n: &usize| wanted.namespaces[*n] != is.namespaces[*n];
            for n in (0..NAMESPACES.len()).filter(differ) {
                proxy.enter(identity::open_namespace(tid, NAMESPACES[n])?.as_fd())?;
            }
            // A new mount namespace was entered by its root, which need not be the thread's.
            if wanted.root != is.root {
                let root = rustix::fs::openat(
                    CWD,
                    format!("/proc/{tid}/root"),
                    OFlags::PATH | OFlags::CLOEXEC,
                    Mode::empty(),
                )?;
                proxy.change_root(root.as_fd())?;
            }
            // In the numbers of its user namespace, by whose rules it takes them.
            let rights = |pid: u32| -> io::Result<_> {
                let path = format!("{pid}/status");
                let flags = OFlags::RDONLY | OFlags::CLOEXEC;
                let file =
                    Actor::Proxy(proxy).open(self.procfs.as_fd(), path.as_bytes(), flags, Mode::empty(), None)?;
                Ok(TaskStatus::read(file.into())?.rights)
            };
            Ok(proxy.take(&rights(proxy.pid())?, &rights(tid)?)?)
        };
        let is = change().and_then(|()| TaskStatus::of(proxy.pid()));
        // Its namespaces and its root are those that were handed to the kernel.
        is.is_ok_and(|is| is.rights == wanted.rights)
    }
}

/// The process that acts for a caller, for as long as it does.
#[derive(Debug)]
pub(super) struct Lease<'a> {
    actors: &'a Actors,
    identity: Option<Arc<Identity>>,
    proxy: Option<Proxy>,
}

impl Lease<'_> {
    pub(super) fn actor(&self) -> Actor<'_> {
        self.proxy.as_ref().map_or(Actor::Ours, Actor::Proxy)
    }

    /// The proxy, if it is not this process itself.
    pub(super) fn as_proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// Takes the proxy away, to be [put back](Actors::put_back) with its identity.
    pub(super) fn into_parts(mut self) -> Option<(Proxy, Option<Arc<Identity>>)> {
        Some((self.proxy.take()?, self.identity.take()))
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(proxy) = self.proxy.take() {
            self.actors.put_back(proxy, self.identity.take());
        }
    }
}
