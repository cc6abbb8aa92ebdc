//! Which file systems are watched, as they are mounted and unmounted.
//!
//! A thread of its own follows the table of mounts, because looking at a mount may take as long as its file system does.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use sys::fanotify::{Group, Names, mount_number};

use super::mounts::{Below, Change, Mount};
use fltport::internal::lock;

/// What a source that watches file systems covers, and does not, as that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Coverage {
    /// A file system was mounted below a path that is watched, and is watched too.
    Watched(PathBuf),
    /// What is mounted there is not watched.
    NotWatched {
        /// Where.
        at: PathBuf,
        /// The kind of its file system.
        kind: String,
        /// Why, to stand behind a colon.
        why: String,
    },
    /// What was mounted there is gone.
    Unmounted(PathBuf),
    /// It was mounted with other options, and is watched as before.
    Remounted(PathBuf),
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Watched(at) => write!(f, "{} was mounted, and is watched too", at.display()),
            Self::NotWatched { at, kind, why } => write!(f, "{} ({kind}) is not watched: {why}", at.display()),
            Self::Unmounted(at) => write!(f, "{} was unmounted", at.display()),
            Self::Remounted(at) => {
                write!(f, "{} was mounted with other options, and is watched as before", at.display())
            }
        }
    }
}

/// What is told of changes.
type Tell = Box<dyn Fn(&Coverage) + Send + Sync>;

/// Keeps the marks of a group on the file systems below some paths.
pub(super) struct Follower {
    group: Arc<Group>,
    names: RwLock<Arc<Names>>,
    tell: Mutex<Option<Tell>>,
    stopped: AtomicBool,
    wake: OwnedFd,
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("names", &self.names()).finish_non_exhaustive()
    }
}

/// What is watched.
struct Watched {
    mask: u64,
    below: Below,
    /// The file systems that have a mark.
    devices: HashSet<String>,
}

impl Follower {
    pub(super) fn new(group: Arc<Group>) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            group,
            names: RwLock::default(),
            tell: Mutex::default(),
            stopped: AtomicBool::new(false),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        }))
    }

    pub(super) fn tell(&self, tell: Tell) {
        *lock(&self.tell) = Some(tell);
    }

    pub(super) fn names(&self) -> Arc<Names> {
        self.names.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Watches the file systems of these paths, of which the one that fails comes with the error, and those mounted below
    /// them; and follows what is mounted there.
    pub(super) fn start(self: &Arc<Self>, paths: &[PathBuf], mask: u64) -> Result<(), (PathBuf, io::Error)> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| (path, error)
        };
        // Opened before it is read, so that a change after that is told of.
        let table = Path::new("/proc/self/mountinfo");
        let mut table_file = File::open(table).map_err(at(table))?;
        let mut dirs = Vec::new();
        for path in paths {
            self.group.watch(path, mask).map_err(at(path))?;
            // As the kernel names files.
            dirs.push(path.canonicalize().map_err(at(path))?);
        }
        let mut watched = Watched { mask, below: Below::new(dirs), devices: HashSet::new() };
        let changes = watched.below.update(read(&mut table_file).map_err(at(table))?, mount_number);
        let leading = watched.below.dirs().iter().filter_map(|dir| watched.below.leading(dir));
        watched.devices.extend(leading.map(|mount| mount.device.clone()));
        self.name(&watched);
        let first = changes.into_iter().map(|change| self.cover(&mut watched, change));
        // That something is watched from the start is no news.
        first.filter(|coverage| !matches!(coverage, Coverage::Watched(_))).for_each(|coverage| self.say(&coverage));
        let follower = self.clone();
        let thread = thread::Builder::new().name("fltmgr-mounts".into());
        thread.spawn(move || follower.follow(&mut table_file, &mut watched)).map_err(at(table))?;
        Ok(())
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Never emptied; it can not be full after one.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
        let _ = self.group.unwatch_all();
    }

    fn say(&self, coverage: &Coverage) {
        tracing::info!(%coverage, "what is watched has changed");
        if let Some(tell) = &*lock(&self.tell) {
            tell(coverage);
        }
    }

    /// Names files by what leads to them now: by the directories, and by the mounts below.
    fn name(&self, watched: &Watched) {
        let points =
            watched.below.mounts().iter().map(|mount| &mount.point).filter(|point| watched.below.is_below(point));
        let names = Names::below(watched.below.dirs().iter().chain(points));
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(names);
    }

    /// Watches what has come. What is to be told of the change.
    fn cover(&self, watched: &mut Watched, change: Change) -> Coverage {
        let mount = match change {
            Change::Came(mount) => mount,
            Change::Options(mount) => return Coverage::Remounted(mount.point),
            Change::Went(mount) => {
                // Another file system may get the same number later.
                if !watched.below.mounts().iter().any(|other| other.device == mount.device) {
                    watched.devices.remove(&mount.device);
                }
                return Coverage::Unmounted(mount.point);
            }
        };
        let elsewhere = if watched.devices.contains(&mount.device) { None } else { watched.below.elsewhere(&mount) };
        let not_watched = |why| Coverage::NotWatched { at: mount.point.clone(), kind: mount.kind.clone(), why };
        // To hold back what is opened elsewhere was not asked for, and may be the whole machine.
        if let Some(other) = elsewhere {
            let at = mount.point.display();
            return not_watched(format!(
                "its file system is mounted at {} too; name {at} to watch it",
                other.display()
            ));
        }
        if let Err(error) = self.group.watch(&mount.point, watched.mask) {
            return not_watched(match error.kind() {
                io::ErrorKind::InvalidInput => "the kernel has no permission events for such file systems".to_owned(),
                _ => error.to_string(),
            });
        }
        watched.devices.insert(mount.device);
        Coverage::Watched(mount.point)
    }

    fn follow(&self, table: &mut File, watched: &mut Watched) {
        while !self.stopped.load(Ordering::SeqCst) {
            // The table is always readable; that it is another one is told of as urgent.
            let mut fds = [PollFd::new(&*table, PollFlags::PRI), PollFd::new(&self.wake, PollFlags::IN)];
            let _ = poll(&mut fds, None);
            let Ok(now) = read(table) else { continue };
            if self.stopped.load(Ordering::SeqCst) {
                break;
            }
            let before = watched.uncovered();
            let changes = watched.below.update(now, mount_number);
            let mut told: Vec<_> = changes.into_iter().map(|change| self.cover(watched, change)).collect();
            let after = watched.uncovered();
            told.extend(after.into_iter().filter(|coverage| !before.contains(coverage)));
            if !told.is_empty() {
                self.name(watched);
            }
            told.iter().for_each(|coverage| self.say(coverage));
        }
        // What was put after it was stopped.
        let _ = self.group.unwatch_all();
    }
}

impl Watched {
    /// The directories of whose file system there is no mark.
    fn uncovered(&self) -> Vec<Coverage> {
        let uncovered = |dir: &PathBuf| {
            let mount = self.below.leading(dir)?;
            let why = "the file system that was watched is not there any more".to_owned();
            let not_watched = Coverage::NotWatched { at: dir.clone(), kind: mount.kind.clone(), why };
            (!self.devices.contains(&mount.device)).then_some(not_watched)
        };
        self.below.dirs().iter().filter_map(uncovered).collect()
    }
}

fn read(table: &mut File) -> io::Result<Vec<Mount>> {
    let mut text = Vec::new();
    table.rewind()?;
    table.read_to_end(&mut text)?;
    Ok(Mount::parse(&text))
}
