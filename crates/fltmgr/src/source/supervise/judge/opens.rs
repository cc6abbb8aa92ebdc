//! What an open is about: an object that is opened, a file that is made, a directory that needs no question.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use proto::operation::{OpFlags, Operation};
use rustix::fs::{self, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::{Judged, Look, Place, Settled, Why};
use crate::source::supervise::arguments;
use crate::source::supervise::calls::Name;
use crate::source::supervise::devices::{self, Opening};
use crate::source::supervise::names;
use crate::source::supervise::plan::{Create, Open, Patience, Plan};
use crate::source::supervise::procfiles::{Opener, on_procfs};
use crate::source::supervise::resolve::{self, Found};

/// The flags that openat2 knows: unlike openat it refuses all others.
const FLAGS: OFlags = OFlags::ACCMODE
    .union(OFlags::APPEND.union(OFlags::ASYNC).union(OFlags::CLOEXEC).union(OFlags::CREATE))
    .union(OFlags::DIRECT.union(OFlags::DIRECTORY).union(OFlags::DSYNC).union(OFlags::EXCL))
    .union(OFlags::LARGEFILE.union(OFlags::NOATIME).union(OFlags::NOCTTY).union(OFlags::NOFOLLOW))
    .union(OFlags::NONBLOCK.union(OFlags::PATH).union(OFlags::SYNC).union(OFlags::TMPFILE).union(OFlags::TRUNC));
/// Those that it knows beside O_PATH.
const OF_PATHS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// The limits that it knows.
const LIMITS: ResolveFlags = ResolveFlags::NO_XDEV
    .union(ResolveFlags::NO_MAGICLINKS.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::BENEATH))
    .union(ResolveFlags::IN_ROOT.union(ResolveFlags::CACHED));
const SCOPED: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::IN_ROOT);
/// The first size of struct open_how.
const OPEN_HOW: usize = size_of::<libc::open_how>();

impl Look<'_> {
    /// As openat2(2) judges its struct before it reads the path.
    pub(super) fn open2(&self) -> Result<Judged, Settled> {
        let how = self.read(arguments::read_struct(self.call.tid, self.arg(2), self.arg(3), OPEN_HOW))?;
        let word = |n: usize| u64::from_ne_bytes(std::array::from_fn(|byte| how[8 * n + byte]));
        let [flags, mode, resolve] = [word(0), word(1), word(2)];
        if how[OPEN_HOW..].iter().any(|&byte| byte != 0) {
            return Err(Settled::Error(Errno::TOOBIG));
        }
        let limits = ResolveFlags::from_bits_retain(resolve);
        let open = OFlags::from_bits_retain(flags as u32);
        let makes = open.intersects(OFlags::CREATE | (OFlags::TMPFILE - OFlags::DIRECTORY));
        let unknown = flags & !u64::from(FLAGS.bits()) != 0 || !(limits - LIMITS).is_empty();
        let nonsense = mode & !0o7777 != 0
            || (mode != 0 && !makes)
            || limits.contains(SCOPED)
            || (open.contains(OFlags::PATH) && !(open - OF_PATHS).is_empty());
        if unknown || nonsense {
            return Err(Settled::Error(Errno::INVAL));
        }
        if limits.contains(ResolveFlags::CACHED) && (makes || open.contains(OFlags::TRUNC)) {
            return Err(Settled::Error(Errno::AGAIN));
        }
        if open.contains(OFlags::PATH) {
            // No such descriptor can be handed over, and the struct may say something else when the kernel reads it: as on
            // a kernel without openat2, programs use openat, whose flags stand in a register.
            return Err(Settled::Error(Errno::NOSYS));
        }
        let mut arguments = self.arguments;
        (arguments.flags, arguments.mode, arguments.resolve) = (flags, mode as u32, resolve);
        let name = Name { at: Some(0), path: 1 };
        Self { arguments, ..*self }.open(name, Some(limits))
    }

    fn open_flags(&self) -> OFlags {
        OFlags::from_bits_retain(self.arguments.flags as u32)
    }

    /// An open with these limits: `None` for the calls that have none.
    pub(super) fn open(&self, name: Name, limits: Option<ResolveFlags>) -> Result<Judged, Settled> {
        let flags = self.open_flags();
        let temporary = flags.contains(OFlags::TMPFILE);
        let create = flags.contains(OFlags::CREATE) && !temporary;
        // Wrong flags are told before the path is read.
        let nameless = flags.intersects(OFlags::TMPFILE - OFlags::DIRECTORY);
        let wrong = nameless
            && (!temporary || flags.contains(OFlags::CREATE) || !flags.intersects(OFlags::WRONLY | OFlags::RDWR));
        if wrong || create && flags.contains(OFlags::DIRECTORY) {
            return Err(Settled::Error(Errno::INVAL));
        }
        let within = limits.unwrap_or_default();
        let place = self.place_within(name, within, false)?;
        let walker = self.walker();
        let found = match create {
            true => walker.creation(place.start(), &place.path, follows(flags), within),
            false => walker.object(place.start(), &place.path, follows(flags), within).map(Found::Object),
        };
        let found = match Self::found(found)? {
            Found::Missing { parent, name, through } => {
                let path = names::join(&names::name_of(parent.as_fd())?, &name);
                let mut operation = self.operation(path);
                operation.through = through;
                return Ok(self.creation(operation, parent, name, limits.is_some()));
            }
            Found::Object(found) => found,
        };
        if create && flags.contains(OFlags::EXCL) {
            return Err(Settled::Error(Errno::EXIST));
        }
        let stat = fs::fstat(&found.object)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        match kind {
            FileType::Directory if temporary => {
                let operation = self.reached(&found.object, found.through)?;
                Ok(self.creation(operation, found.object, b".".to_vec(), limits.is_some()))
            }
            FileType::Directory if create => Err(Settled::Error(Errno::ISDIR)),
            FileType::Directory => {
                let exact = limits.map(|_| ResolveFlags::empty());
                // By its own name ".", which is no link, so that O_NOFOLLOW may be among its flags.
                let open = |flags| self.actor.open(found.object.as_fd(), b".", flags, Mode::empty(), exact);
                Err(Settled::Give(open(flags | OFlags::CLOEXEC)?, flags))
            }
            _ if flags.contains(OFlags::DIRECTORY) => Err(Settled::Error(Errno::NOTDIR)),
            FileType::Symlink => Err(Settled::Error(Errno::LOOP)),
            _ if create && self.is_guarded(&found, &stat)? => Err(Settled::Error(Errno::ACCESS)),
            _ => self.existing(found, &stat, &place, limits),
        }
    }

    /// Whether a file in a sticky directory must not be opened by an open that could have made it.
    fn is_guarded(&self, found: &resolve::Object, stat: &Stat) -> Result<bool, Errno> {
        found.parent.as_ref().map_or(Ok(false), |parent| self.walker().refuses_create(parent, stat))
    }

    /// The open of an object that is no directory.
    fn existing(
        &self,
        found: resolve::Object,
        stat: &Stat,
        place: &Place,
        limits: Option<ResolveFlags>,
    ) -> Result<Judged, Settled> {
        let mut flags = self.open_flags();
        let operation = self.reached(&found.object, found.through)?;
        let mut patience = Patience::None;
        let mut to_look_at = false;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile if on_procfs(found.object.as_fd(), stat)? => {
                match self.tree.procfs.opener(found.object.as_fd(), found.parent.as_ref())? {
                    Opener::Any => {}
                    Opener::Caller => return self.continued(operation, Why::Procfs),
                    Opener::None => return Err(Settled::Error(Errno::ACCESS)),
                }
            }
            FileType::RegularFile => (patience, to_look_at) = (Patience::Lease, true),
            FileType::Fifo => patience = Patience::Fifo,
            FileType::CharacterDevice | FileType::BlockDevice => match devices::opening(stat, flags, self.call.tid) {
                Opening::Rights { more, waits } => {
                    flags |= more;
                    patience = if waits { Patience::Endless } else { Patience::None };
                }
                Opening::Terminal => return self.continued(operation, Why::Terminal),
                Opening::Process => return self.continued(operation, Why::Device),
            },
            _ => {}
        }
        let object = Arc::new(found.object);
        let name = self.unfollowed(flags, place, limits.unwrap_or_default());
        let plan = Plan::Open(Open { object: object.clone(), flags, exact: limits.is_some(), name, patience });
        Ok(Judged { operation: operation.into(), plan, object: to_look_at.then_some(object) })
    }

    /// The name of an object that no link led to at last, for an open that would not have followed one. What an open does to
    /// content must not be done to what may have this name now.
    fn unfollowed(&self, flags: OFlags, place: &Place, limits: ResolveFlags) -> Option<(OwnedFd, Vec<u8>)> {
        if !flags.contains(OFlags::NOFOLLOW) || flags.contains(OFlags::TRUNC) {
            return None;
        }
        let (dir, name) = names::split(&place.path)?;
        let parent = self.walker().object(place.start(), dir, true, limits).ok()?;
        Some((parent.object, name.to_vec()))
    }

    /// The open of a file that is to be made.
    fn creation(&self, mut operation: Operation, parent: OwnedFd, name: Vec<u8>, exact: bool) -> Judged {
        operation.flags |= OpFlags::CREATE;
        let mode = Mode::from_raw_mode(self.arguments.mode & 0o7777);
        let plan = Plan::Create(Create { parent: Arc::new(parent), name, flags: self.open_flags(), mode, exact });
        Judged { operation: operation.into(), plan, object: None }
    }
}

/// Whether an open with these flags follows a symbolic link at the end of its path.
fn follows(flags: OFlags) -> bool {
    !(flags.contains(OFlags::NOFOLLOW) || flags.contains(OFlags::CREATE | OFlags::EXCL))
}
