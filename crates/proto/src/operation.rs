//! A file operation before it happens: the one value that sources fill in, filters and rules read, records keep and
//! questions carry.
//!
//! What a source has at hand is a plain field. What is dear to know about the thread that makes the operation stands
//! behind [`Caller`], which looks it up at most once, when it is first read. Nothing else of an operation changes after
//! it is made. The kinds stand in one table, [`OpKind`]; a set of them is an [`OpSet`].

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bitflags::bitflags;

/// The table of kinds. Each has its number in questions and sets, from 1 to 64 and never used twice; its set; the name
/// that rules, logs and the tool use.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $number:literal, $set:ident, $name:literal;)+) => {
        /// A kind of file operation that a filter can decide about before it happens.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum OpKind {
            $($(#[$doc])* $kind = $number,)+
        }

        impl OpKind {
            /// Every kind, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// The kind with this number.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$kind),)+
                    _ => None,
                }
            }

            /// The name that rules, logs and the tool use.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }
        }

        bitflags! {
            /// A set of [`OpKind`]s.
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
            pub struct OpSet: u64 {
                $(
                    #[doc = concat!("[`OpKind::", stringify!($kind), "`]")]
                    const $set = 1 << ($number - 1);
                )+
            }
        }
    };
}

kinds! {
    /// Opening (or creating, or truncating while opening) a file.
    #[doc(alias = "IRP_MJ_CREATE")]
    Open = 1, OPEN, "open";
    /// Executing a file.
    #[doc(alias = "IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION")]
    Exec = 2, EXEC, "exec";
    /// Renaming or exchanging.
    #[doc(alias = "FileRenameInformation")]
    Rename = 3, RENAME, "rename";
    /// Removing a name (of a file or of an empty directory).
    #[doc(alias = "FileDispositionInformation")]
    Unlink = 4, UNLINK, "unlink";
    /// Giving a second name: hard and symbolic links.
    #[doc(alias = "FileLinkInformation")]
    Link = 5, LINK, "link";
    /// Making a directory.
    Mkdir = 6, MKDIR, "mkdir";
    /// Changing the length of a file by its path.
    #[doc(alias = "FileEndOfFileInformation")]
    Truncate = 7, TRUNCATE, "truncate";
    /// Making a file that is neither opened nor a directory: a fifo, a device, a socket.
    Mknod = 8, MKNOD, "mknod";
    /// Changing the permission bits.
    #[doc(alias = "IRP_MJ_SET_SECURITY")]
    Chmod = 9, CHMOD, "chmod";
    /// Changing the owner or the group.
    #[doc(alias = "IRP_MJ_SET_SECURITY")]
    Chown = 10, CHOWN, "chown";
    /// Changing the times of access and change.
    #[doc(alias = "FileBasicInformation")]
    Utimes = 11, UTIMES, "utimes";
    /// Setting or removing an extended attribute.
    #[doc(alias = "IRP_MJ_SET_EA")]
    Xattr = 12, XATTR, "xattr";
    /// Changing the attributes of chattr(1): immutable, append only and the like.
    #[doc(alias = "FileBasicInformation")]
    Chattr = 13, CHATTR, "chattr";
}

impl OpKind {
    /// The set with only this kind.
    pub const fn set(self) -> OpSet {
        OpSet::from_bits_retain(1 << (self as u16 - 1))
    }
}

impl fmt::Display for OpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl OpSet {
    /// The kinds in the set, in the order of their numbers.
    pub fn kinds(self) -> impl Iterator<Item = OpKind> {
        OpKind::ALL.iter().copied().filter(move |kind| self.contains(kind.set()))
    }
}

impl fmt::Display for OpSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, kind) in self.kinds().enumerate() {
            write!(f, "{}{kind}", if n == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

bitflags! {
    /// What an operation would do, as far as its source knows. The bits are those of a question; its lowest one says
    /// whether a file travels along.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct OpFlags: u32 {
        /// It may change what the file contains: an open for writing, truncating or creating.
        const WRITE = 1 << 1;
        /// It would create the file, which does not exist yet.
        const CREATE = 1 << 2;
        /// The file is a directory.
        const DIRECTORY = 1 << 3;
        /// The file is no directory, so that nothing is below it.
        const LEAF = 1 << 4;
        /// An open that gives no access to content (O_PATH).
        const NAME_ONLY = 1 << 5;
        /// An exec that has happened, in place of another that was allowed. If it is denied its process is killed.
        const RUNS = 1 << 6;
    }
}

/// The arguments of the call behind an operation, unchanged: for filters that need more than [`OpFlags`]. A field that
/// the kind has no use for is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arguments {
    /// O_… of an open, RENAME_… of a rename, XATTR_… of an extended attribute, else AT_….
    pub flags: u64,
    /// Permission bits of what is made, and its kind; the new permission bits.
    pub mode: u32,
    /// RESOLVE_… of an openat2.
    pub resolve: u64,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// How many bytes of the file; of a truncation, how many are left.
    pub length: u64,
    /// The new owner; [`u32::MAX`] leaves it.
    pub user: u32,
    /// The new group; [`u32::MAX`] leaves it.
    pub group: u32,
    /// The number of a device that is made.
    pub device: u64,
}

/// A file operation before it happens.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[doc(alias = "FLT_IO_PARAMETER_BLOCK")]
pub struct Operation {
    /// What is to be done.
    pub kind: OpKind,
    /// The file's absolute path; empty if it cannot be told, as one longer than PATH_MAX.
    pub path: PathBuf,
    /// The new name of a rename or link; else empty.
    pub target: PathBuf,
    /// The names by which symbolic links led to `path`, or to the directory of `target`: absolute, each with its link in it,
    /// in the order in which they were followed. Empty where the source does not see them, and in a question.
    pub through: Vec<PathBuf>,
    /// What it would do to the file. Empty where the source does not know.
    pub flags: OpFlags,
    /// The arguments of the call; `None` where the source does not see them, and in a question.
    pub arguments: Option<Arguments>,
    /// The thread that makes it.
    pub caller: Arc<Caller>,
}

impl Operation {
    /// An operation on one path, of which nothing else is known.
    pub fn new(kind: OpKind, path: impl Into<PathBuf>, caller: impl Into<Arc<Caller>>) -> Self {
        Self {
            kind,
            path: path.into(),
            target: PathBuf::new(),
            through: Vec::new(),
            flags: OpFlags::empty(),
            arguments: None,
            caller: caller.into(),
        }
    }
}

/// The thread that makes an operation. Its process, user and command name are looked up together, when one that the
/// source did not have at hand is first read; that may read procfs, but waits for no other thread.
#[derive(Clone, Debug)]
pub struct Caller {
    thread: u32,
    process: Option<u32>,
    user: Option<u32>,
    look_up: fn(u32) -> CallerInfo,
    found: OnceLock<CallerInfo>,
}

/// What there is to know of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerInfo {
    /// Its process (thread group); 0 if there is no such thread any more.
    pub process: u32,
    /// Its real user; [`u32::MAX`] if there is no such thread any more.
    pub user: u32,
    /// Its command name; empty if there is no such thread any more.
    pub command: OsString,
}

impl Default for CallerInfo {
    /// Of a thread that has ended.
    fn default() -> Self {
        Self { process: 0, user: u32::MAX, command: OsString::new() }
    }
}

impl Caller {
    /// A thread of which the rest is found by `look_up`, which is given its number, once.
    pub fn new(thread: u32, look_up: fn(u32) -> CallerInfo) -> Self {
        Self { thread, process: None, user: None, look_up, found: OnceLock::new() }
    }

    /// A thread of which all is known.
    pub fn known(thread: u32, info: CallerInfo) -> Self {
        Self { found: info.into(), ..Self::new(thread, |_| CallerInfo::default()) }
    }

    /// With the process that the source has at hand.
    #[must_use]
    pub fn with_process(mut self, process: u32) -> Self {
        self.process = Some(process);
        self
    }

    /// With the user that the source has at hand.
    #[must_use]
    pub fn with_user(mut self, user: u32) -> Self {
        self.user = Some(user);
        self
    }

    /// Everything, looked up now if it was not before: for what reads it after the operation is answered, when the
    /// number may be another thread's.
    pub fn look_up(&self) -> &CallerInfo {
        self.found.get_or_init(|| (self.look_up)(self.thread))
    }

    /// The thread, as the filter's process numbers it; that of the process where the source knows no more.
    pub fn thread(&self) -> u32 {
        self.thread
    }

    /// Its process (thread group); 0 if it had ended before this was read.
    pub fn process(&self) -> u32 {
        self.process.unwrap_or_else(|| self.look_up().process)
    }

    /// Its real user; [`u32::MAX`] if it had ended before this was read.
    pub fn user(&self) -> u32 {
        self.user.unwrap_or_else(|| self.look_up().user)
    }

    /// Its command name; empty if it had ended before this was read.
    pub fn command(&self) -> &OsStr {
        &self.look_up().command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_sets_agree() {
        for kind in OpKind::ALL.iter().copied() {
            assert_eq!(OpKind::from_number(kind as u16), Some(kind));
            assert_eq!(kind.set().kinds().collect::<Vec<_>>(), [kind]);
        }
        assert_eq!(OpSet::all().kinds().count(), OpKind::ALL.len());
        assert_eq!((OpSet::OPEN | OpSet::EXEC).to_string(), "open, exec");
    }

    fn seven(thread: u32) -> CallerInfo {
        CallerInfo { process: thread + 1, user: thread + 2, command: "seven".into() }
    }

    #[test]
    fn what_is_at_hand_is_not_looked_up() {
        let caller = Caller::new(7, seven).with_process(1).with_user(2);
        assert_eq!((caller.thread(), caller.process(), caller.user()), (7, 1, 2));
        assert!(caller.found.get().is_none());
    }

    #[test]
    fn what_is_not_at_hand_is_looked_up_once() {
        let caller = Caller::new(7, seven).with_user(2);
        assert_eq!((caller.process(), caller.user(), caller.command()), (8, 2, OsStr::new("seven")));
        let first: *const CallerInfo = caller.look_up();
        assert!(std::ptr::eq(first, caller.look_up()));
        let known = Caller::known(7, seven(0));
        assert_eq!((known.process(), known.user(), known.command()), (1, 2, OsStr::new("seven")));
    }
}
