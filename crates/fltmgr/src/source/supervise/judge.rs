//! From a notification to an operation, or to an answer that needs no question.
//!
//! A call is looked at once: its texts are copied, its paths followed to objects, and the operation names those. What was
//! read of a thread counts only if its call still waits afterwards, for else it was another thread's. An error of a
//! look-up is given to the caller only where we are what it is; and that we have no descriptor left never looks like an
//! error of its path.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::sync::Arc;

use libc::c_long;
use proto::operation::{Arguments, Caller, OpFlags, OpKind, Operation};
use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use sys::seccomp::Notification;

use super::arguments::{self, Unread};
use super::calls::{CALLS, Call, Name, Shape};
use super::held::{Held, How, Judged, reopen};
use super::identity::Likeness;
use super::resolve::{self, Found, Walker};
use super::tree::{Tree, bump};
use crate::source::descriptors::is_exhausted;
use crate::source::procfs;

/// The flags that openat2 knows: unlike openat it refuses all others.
const FLAGS: OFlags = OFlags::ACCMODE
    .union(OFlags::APPEND.union(OFlags::ASYNC).union(OFlags::CLOEXEC).union(OFlags::CREATE))
    .union(OFlags::DIRECT.union(OFlags::DIRECTORY).union(OFlags::DSYNC).union(OFlags::EXCL))
    .union(OFlags::LARGEFILE.union(OFlags::NOATIME).union(OFlags::NOCTTY).union(OFlags::NOFOLLOW))
    .union(OFlags::NONBLOCK.union(OFlags::PATH).union(OFlags::SYNC).union(OFlags::TMPFILE).union(OFlags::TRUNC));

/// An answer without a question.
enum Settled {
    /// The kernel would give this error.
    Error(Errno),
    /// Let it run.
    GoOn,
    /// Give it this object, which needs no question.
    Give(OwnedFd, OFlags),
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
pub(super) fn judge(tree: &Arc<Tree>, notification: Notification) -> Option<Held> {
    let listener = &tree.listener;
    let id = notification.id;
    let Some(call) = CALLS.iter().find(|call| call.nr == c_long::from(notification.nr)) else {
        note_identity(tree, notification);
        tree.sent(listener.go_on(id));
        return None;
    };
    let known = tree.likeness(notification.tid, call.kind == OpKind::Exec);
    let judged = known.map_err(Settled::Error).and_then(|(likeness, uid)| {
        let arguments = call.arguments(notification.args);
        Judge { tree, notification, call, arguments, likeness, uid }.judge()
    });
    let result = match judged {
        Ok(judged) => return Some(Held::new(tree.clone(), notification, judged)),
        Err(Settled::Error(errno)) => listener.fail(id, errno.raw_os_error()),
        Err(Settled::GoOn) => listener.go_on(id),
        Err(Settled::Give(object, flags)) => match reopen(&object, flags | OFlags::CLOEXEC) {
            Ok(file) => tree.give(id, file, flags),
            Err(errno) => listener.fail(id, errno.raw_os_error()),
        },
        Err(Settled::Unreadable) => {
            bump(&tree.tally.unreadable);
            listener.fail(id, libc::EACCES)
        }
        Err(Settled::Gone) => Err(std::io::ErrorKind::NotFound.into()),
    };
    tree.sent(result);
    None
}

/// One of the calls after which a thread may have other rights or another view.
fn note_identity(tree: &Tree, notification: Notification) {
    let nr = c_long::from(notification.nr);
    let new = (libc::CLONE_NEWUSER | libc::CLONE_NEWNS) as u64;
    if nr == libc::SYS_clone3 {
        // struct clone_args starts with the flags.
        let flags = arguments::read_bytes(notification.tid, notification.args[0]).map(u64::from_ne_bytes);
        if flags.is_ok_and(|flags| flags & new == 0) {
            return;
        }
    }
    tree.identity_changes(nr == libc::SYS_landlock_restrict_self);
}

/// Looks at one call that waits.
#[derive(Clone, Copy)]
struct Judge<'a> {
    tree: &'a Tree,
    notification: Notification,
    call: &'a Call,
    arguments: Arguments,
    likeness: Likeness,
    uid: u32,
}

/// A path argument: its text and where it starts.
struct Place {
    start: Option<OwnedFd>,
    path: Vec<u8>,
}

impl Place {
    fn start(&self) -> BorrowedFd<'_> {
        self.start.as_ref().map_or(CWD, AsFd::as_fd)
    }

    /// Absolute, from the text alone.
    fn text(&self) -> Vec<u8> {
        match &self.start {
            Some(start) => {
                let base = resolve::name_of(start.as_fd()).unwrap_or_default();
                resolve::normalize(&resolve::join(&base, &self.path))
            }
            None => resolve::normalize(&self.path),
        }
    }
}

impl Judge<'_> {
    fn arg(&self, n: u32) -> u64 {
        self.notification.args[n as usize]
    }

    fn has(&self, flag: i32) -> bool {
        self.arguments.flags as i32 & flag != 0
    }

    /// The operation of this call, on this path.
    fn operation(&self, path: Vec<u8>) -> Operation {
        let caller = Caller::new(self.notification.tid, procfs::look_up).with_user(self.uid);
        let mut operation = Operation::new(self.call.kind, OsString::from_vec(path), caller);
        operation.arguments = Some(self.arguments);
        let writes = match self.call.kind {
            OpKind::Open => {
                let flags = self.open_flags();
                flags.intersects(OFlags::WRONLY | OFlags::RDWR | OFlags::TRUNC | OFlags::CREATE)
                    || flags.contains(OFlags::TMPFILE)
            }
            kind => kind == OpKind::Truncate,
        };
        operation.flags.set(OpFlags::WRITE, writes);
        operation
    }

    /// The same with a second path.
    fn pair(&self, path: Vec<u8>, target: Vec<u8>) -> Operation {
        let mut operation = self.operation(path);
        operation.target = OsString::from_vec(target).into();
        operation
    }

    /// The absolute path of what a name leads to, links followed.
    fn target(&self, place: &Place) -> Result<Vec<u8>, Settled> {
        if self.likeness == Likeness::OtherPlace {
            return Ok(place.text());
        }
        match self.lookup(self.walker().object(place.start(), &place.path, true))? {
            Some(object) => Ok(resolve::name_of(object.as_fd())?),
            None => Ok(place.text()),
        }
    }

    fn walker(&self) -> Walker {
        Walker { tid: self.notification.tid, uid: self.uid, guards: self.tree.guards }
    }

    /// Looks at what was read only if the thread still waits: else it was another's.
    fn still_waits(&self) -> Result<(), Settled> {
        if self.tree.listener.is_valid(self.notification.id) { Ok(()) } else { Err(Settled::Gone) }
    }

    fn text_at(&self, register: u32) -> Result<Vec<u8>, Settled> {
        let text = arguments::read_path(self.notification.tid, self.arg(register));
        self.still_waits()?;
        text.map_err(|unread| match unread {
            Unread::Error(errno) => Settled::Error(errno),
            Unread::Closed => Settled::Unreadable,
        })
    }

    fn place(&self, name: Name) -> Result<Place, Settled> {
        self.place_within(name, ResolveFlags::empty())
    }

    /// With RESOLVE_IN_ROOT an absolute path too starts from the descriptor.
    fn place_within(&self, name: Name, limits: ResolveFlags) -> Result<Place, Settled> {
        let path = self.text_at(name.path)?;
        if path.first() == Some(&b'/') && !limits.contains(ResolveFlags::IN_ROOT) {
            return Ok(Place { start: None, path });
        }
        let start = arguments::start(self.notification.tid, name.at.map(|register| self.arg(register) as i32));
        self.still_waits()?;
        match start {
            Ok(start) => Ok(Place { start: Some(start), path }),
            Err(Errno::BADF) => Err(Settled::Error(Errno::BADF)),
            Err(errno) if is_exhausted(errno) => Err(Settled::Error(Errno::NFILE)),
            Err(_) => Err(Settled::Unreadable),
        }
    }

    /// An error of a lookup is the caller's only if we are what it is.
    fn lookup<T>(&self, result: Result<T, Errno>) -> Result<Option<T>, Settled> {
        match result {
            Ok(found) => Ok(Some(found)),
            // Our own table of descriptors is full; it must not look as if the file were missing.
            Err(errno) if is_exhausted(errno) => Err(Settled::Error(Errno::NFILE)),
            Err(errno) if self.likeness == Likeness::Same => Err(Settled::Error(errno)),
            Err(_) => Ok(None),
        }
    }

    fn judge(&self) -> Result<Judged, Settled> {
        match self.call.shape {
            Shape::Open(name) => self.open(name),
            Shape::Open2 => self.open2(),
            Shape::Object { name, nofollow, empty } => self.object(name, nofollow, empty),
            Shape::Entry { name, fresh } => {
                let place = self.place(name)?;
                let path = self.entry(&place, Some(fresh))?;
                Ok(Judged::continued(self.operation(path)))
            }
            Shape::Pair { from, to, follow } => {
                let from = self.place(from)?;
                let path = if self.has(follow) && !from.path.is_empty() {
                    // a magic link of /proc leads to a file whose name is not in the path
                    self.target(&from)?
                } else {
                    // linkat can take the object of the descriptor itself; there is no name to look at then.
                    match self.entry(&from, Some(false)) {
                        Err(Settled::Error(Errno::NOENT)) if from.path.is_empty() => from.text(),
                        other => other?,
                    }
                };
                let target = self.entry(&self.place(to)?, None)?;
                Ok(Judged::continued(self.pair(path, target)))
            }
            Shape::Symlink { text, to } => {
                let text = self.text_at(text)?;
                let target = self.entry(&self.place(to)?, Some(true))?;
                let dir = target.iter().rposition(|&byte| byte == b'/').map_or(&target[..], |at| &target[..at]);
                let path = if text.starts_with(b"/") { text } else { resolve::join(dir, &text) };
                Ok(Judged::continued(self.pair(resolve::normalize(&path), target)))
            }
        }
    }

    /// The absolute path of a name in a directory. `fresh`: it must be free (true) or taken (false).
    fn entry(&self, place: &Place, fresh: Option<bool>) -> Result<Vec<u8>, Settled> {
        if place.path.is_empty() {
            return Err(Settled::Error(Errno::NOENT));
        }
        let Some((dir, name)) = resolve::split(&place.path) else {
            // "/", "." and ".." are there; anything else about them is the kernel's to say.
            return if fresh == Some(true) && self.likeness == Likeness::Same {
                Err(Settled::Error(
                    self.walker().object(place.start(), &place.path, true).err().unwrap_or(Errno::EXIST),
                ))
            } else {
                Ok(place.text())
            };
        };
        if self.likeness == Likeness::OtherPlace {
            return Ok(place.text());
        }
        let Some(parent) = self.lookup(self.walker().object(place.start(), dir, true))? else {
            return Ok(place.text());
        };
        if self.likeness == Likeness::Same
            && let Some(fresh) = fresh
        {
            match (fresh, fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)) {
                (true, Ok(_)) => return Err(Settled::Error(Errno::EXIST)),
                (false, Err(errno)) => return Err(Settled::Error(errno)),
                _ => {}
            }
        }
        Ok(resolve::join(&resolve::name_of(parent.as_fd())?, name))
    }

    /// exec and truncate: the kernel reads the path again.
    fn object(&self, name: Name, nofollow: i32, empty: i32) -> Result<Judged, Settled> {
        let place = self.place(name)?;
        let found = if place.path.is_empty() && self.has(empty) {
            place.start().try_clone_to_owned().map_err(|_| Errno::NFILE).map(Some)?
        } else if self.likeness == Likeness::OtherPlace {
            None
        } else {
            self.lookup(self.walker().object(place.start(), &place.path, !self.has(nofollow)))?
        };
        let Some(object) = found else { return Ok(Judged::continued(self.operation(place.text()))) };
        let path = resolve::name_of(object.as_fd())?;
        let regular = FileType::from_raw_mode(fs::fstat(&object)?.st_mode) == FileType::RegularFile;
        Ok(Judged { object: regular.then_some(object), ..Judged::continued(self.operation(path)) })
    }

    fn open2(&self) -> Result<Judged, Settled> {
        const SIZE: usize = size_of::<libc::open_how>();
        let size = self.arg(3);
        if size < SIZE as u64 {
            return Err(Settled::Error(Errno::INVAL));
        }
        let how = arguments::read_bytes::<SIZE>(self.notification.tid, self.arg(2));
        self.still_waits()?;
        let how = how.map_err(|unread| match unread {
            Unread::Error(errno) => Settled::Error(errno),
            Unread::Closed => Settled::Unreadable,
        })?;
        let [flags, mode, resolve] =
            [0, 8, 16].map(|at| u64::from_ne_bytes(std::array::from_fn(|byte| how[at + byte])));
        let name = Name { at: Some(0), path: 1 };
        const BOTH: u64 = libc::RESOLVE_BENEATH | libc::RESOLVE_IN_ROOT;
        let makes = flags & (libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY)) as u64 != 0;
        if mode & !0o7777 != 0 || (mode != 0 && !makes) || resolve & BOTH == BOTH {
            return Err(Settled::Error(Errno::INVAL));
        }
        // Another size, an unknown flag or limit is an error, or a later kernel's; either is the kernel's to judge.
        let strange = size != SIZE as u64 || flags & !u64::from(FLAGS.bits()) != 0;
        // Paths, O_PATH and directories: as the filter program does for openat.
        if flags & libc::O_PATH as u64 != 0 {
            return Err(Settled::GoOn);
        }
        let mut arguments = Arguments::default();
        (arguments.flags, arguments.mode, arguments.resolve) = (flags, mode as u32, resolve);
        let this = Self { arguments, ..*self };
        if strange { this.continued_open(name) } else { this.open(name) }
    }

    fn open_flags(&self) -> OFlags {
        OFlags::from_bits_retain(self.arguments.flags as u32)
    }

    fn limits(&self) -> ResolveFlags {
        ResolveFlags::from_bits_retain(self.arguments.resolve)
    }

    /// An open that we can not make in the caller's name: asked by path, then continued.
    fn continued_open(&self, name: Name) -> Result<Judged, Settled> {
        let place = self.place_within(name, self.limits())?;
        let mut judged = self.reach(&place)?;
        judged.operation.flags |= OpFlags::WRITE;
        Ok(judged)
    }

    /// What an open would reach or make, to ask about: the kernel reads the path again.
    fn reach(&self, place: &Place) -> Result<Judged, Settled> {
        let by_path = |path| Judged::continued(self.operation(path));
        let follow = follows(self.open_flags());
        if self.likeness == Likeness::OtherPlace {
            return Ok(by_path(place.text()));
        }
        // The other limits end a way, but lead to no other object.
        let root = self.limits() & ResolveFlags::IN_ROOT;
        let found = if root.is_empty() {
            self.walker().walk(place.start(), &place.path, follow, true)
        } else {
            let find = |path: &[u8], follow| resolve::fast(place.start(), path, follow, root).map(|(object, _)| object);
            find(&place.path, follow).map(|object| Found::Object { object, parent: None }).or_else(|errno| {
                let (dir, name) = resolve::split(&place.path).filter(|_| !is_exhausted(errno)).ok_or(errno)?;
                Ok(Found::Missing { parent: find(dir, true)?, name: name.to_vec() })
            })
        };
        let judged = found.and_then(|found| match found {
            Found::Object { object, .. } => {
                let stat = fs::fstat(&object)?;
                let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
                let to_look_at = regular && !resolve::on_proc(object.as_fd(), &stat)?;
                let path = resolve::name_of(object.as_fd())?;
                Ok(Judged { object: to_look_at.then_some(object), ..by_path(path) })
            }
            Found::Missing { parent, name } => Ok(by_path(resolve::join(&resolve::name_of(parent.as_fd())?, &name))),
        });
        match judged {
            Err(errno) if is_exhausted(errno) => Err(Settled::Error(Errno::NFILE)),
            judged => Ok(judged.unwrap_or_else(|_| by_path(place.text()))),
        }
    }

    fn open(&self, name: Name) -> Result<Judged, Settled> {
        let (flags, limits) = (self.open_flags(), self.limits());
        let temporary = flags.contains(OFlags::TMPFILE);
        let create = flags.contains(OFlags::CREATE) && !temporary;
        // Wrong flags are told before the path is read.
        let nameless = flags.intersects(OFlags::TMPFILE - OFlags::DIRECTORY);
        let wrong = nameless
            && (!temporary || flags.contains(OFlags::CREATE) || !flags.intersects(OFlags::WRONLY | OFlags::RDWR));
        let both = create && flags.contains(OFlags::DIRECTORY);
        if wrong || (both && self.tree.refuses_create_directory) {
            return Err(Settled::Error(Errno::INVAL));
        } else if both {
            return self.continued_open(name);
        }
        let place = self.place_within(name, limits)?;
        if place.path.is_empty() {
            return Err(Settled::Error(Errno::NOENT));
        }
        let by_path = |path| Judged::continued(self.operation(path));
        if self.likeness == Likeness::OtherPlace {
            return Ok(by_path(place.text()));
        }
        let exclusive = create && flags.contains(OFlags::EXCL);
        let follow = follows(flags);
        let walker = self.walker();
        let found = if !limits.is_empty() {
            // The limits of RESOLVE_* hold from the same start for us, but not for a file that is still to be made, nor
            // in procfs, where `self` would be us.
            match resolve::fast(place.start(), &place.path, follow, limits) {
                Ok((object, stat)) if !create && !resolve::on_proc(object.as_fd(), &stat)? => {
                    Ok(Found::Object { object, parent: None })
                }
                _ => return self.reach(&place),
            }
        } else if create {
            walker.creation(place.start(), &place.path, follow)
        } else {
            walker.object(place.start(), &place.path, follow).map(|object| Found::Object { object, parent: None })
        };
        let Some(found) = self.lookup(found)? else { return Ok(by_path(place.text())) };
        let (object, parent) = match found {
            Found::Missing { parent, name } => {
                let path = resolve::join(&resolve::name_of(parent.as_fd())?, &name);
                if self.likeness != Likeness::Same {
                    return Ok(by_path(path));
                }
                return Ok(self.creation(path, parent, name));
            }
            Found::Object { object, parent } => (object, parent),
        };
        let stat = fs::fstat(&object)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if exclusive {
            return Err(Settled::Error(Errno::EXIST));
        }
        let path = resolve::name_of(object.as_fd())?;
        if self.likeness != Likeness::Same {
            return Ok(Judged { object: (kind == FileType::RegularFile).then_some(object), ..by_path(path) });
        }
        match kind {
            FileType::Directory if temporary => Ok(self.creation(path, object, b".".to_vec())),
            FileType::Directory if create => Err(Settled::Error(Errno::ISDIR)),
            FileType::Directory => Err(Settled::Give(object, flags - OFlags::NOFOLLOW)),
            _ if flags.contains(OFlags::DIRECTORY) => Err(Settled::Error(Errno::NOTDIR)),
            FileType::Symlink => Err(Settled::Error(Errno::LOOP)),
            FileType::RegularFile => {
                if let Some(parent) = &parent
                    && create
                    && walker.refuses_create(parent, &stat)?
                {
                    return Err(Settled::Error(Errno::ACCESS));
                }
                if resolve::on_proc(object.as_fd(), &stat)? {
                    // procfs answers by the process that opens.
                    return Ok(by_path(path));
                }
                Ok(Judged { operation: self.operation(path), how: How::Reopen { flags }, object: Some(object) })
            }
            // Opening a fifo may wait for ever, a device or a terminal depends on the process that opens it.
            _ => Ok(by_path(path)),
        }
    }

    /// The open of a file that we are to make.
    fn creation(&self, path: Vec<u8>, parent: OwnedFd, name: Vec<u8>) -> Judged {
        let mut operation = self.operation(path);
        operation.flags |= OpFlags::CREATE;
        let mode = Mode::from_raw_mode(self.arguments.mode & 0o7777);
        let how = How::Create { parent: Arc::new(parent), name, flags: self.open_flags(), mode };
        Judged { operation, how, object: None }
    }
}

/// Whether an open with these flags follows a symbolic link at the end of its path.
fn follows(flags: OFlags) -> bool {
    !(flags.contains(OFlags::NOFOLLOW) || flags.contains(OFlags::CREATE | OFlags::EXCL))
}
