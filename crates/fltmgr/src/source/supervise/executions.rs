//! Whether what a process runs is what was judged.
//!
//! No process can be executed in another's place: the kernel reads the path of an exec again, and those of an interpreter and
//! a loader. So what may run is noted when an exec goes on, and what does run is looked at when its process is next held, which
//! it is before it opens, changes or starts anything. What differs is asked about then, and its process is killed if it is
//! denied.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustix::fs::{CWD, Mode, fstat, makedev};
use rustix::io::Errno;

use super::names::{HERE, name_of};
use crate::source::descriptors::is_exhausted;
use crate::source::procfs::TaskStatus;
use fltport::internal::lock;

/// With more that are noted, those go that run what was judged, or nothing any more.
const MANY: usize = 64;

/// The execs of a tree that went on.
#[derive(Debug, Default)]
pub(super) struct Executions {
    /// By process.
    noted: Mutex<HashMap<u32, Arc<Execution>>>,
    /// How many there are: mostly none.
    count: AtomicUsize,
}

/// An exec: what it changes, and to what.
#[derive(Clone, Debug)]
pub(super) struct Execution {
    thread: u32,
    process: u32,
    /// What the process runs now.
    before: Option<File>,
    program: File,
    /// `None` if there is none, or the program cannot be read.
    loader: Option<File>,
    /// Keeps the files from becoming others.
    kept: Vec<Arc<OwnedFd>>,
}

/// A file, for as long as it is open or runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct File {
    device: u64,
    inode: u64,
}

impl File {
    fn of(object: &OwnedFd) -> Result<Self, Errno> {
        let stat = fstat(object)?;
        Ok(Self { device: stat.st_dev, inode: stat.st_ino })
    }
}

/// Something else than what was judged.
#[derive(Debug)]
pub(super) struct Other {
    pub(super) path: Vec<u8>,
    /// `None` if it could not be opened.
    pub(super) object: Option<Arc<OwnedFd>>,
    /// What is to run if it is allowed. `None`: nothing more is known of it.
    pub(super) then: Option<Execution>,
}

/// What a process runs.
enum Runs {
    /// What it ran before: nothing was executed yet, or that failed.
    Before,
    Wanted,
    Other(Other),
    /// It cannot be looked at: so its calls are refused, or it is looked at with the next one.
    Closed,
}

impl Execution {
    /// What is executed if this thread, which waits, executes this program with this loader.
    ///
    /// # Errors
    /// We have no descriptor to look with, or the thread is gone.
    pub(super) fn new(thread: u32, program: &Arc<OwnedFd>, loader: Option<&Arc<OwnedFd>>) -> Result<Self, Errno> {
        let exhausted = |error: &io::Error| Errno::from_io_error(error).filter(|errno| is_exhausted(*errno));
        let process = TaskStatus::of(thread).map_err(|error| exhausted(&error).unwrap_or(Errno::SRCH))?.tgid;
        let before = running(process).ok().and_then(|object| File::of(&object).ok());
        let kept = [program].into_iter().chain(loader).cloned().collect();
        let loader = loader.map(|loader| File::of(loader)).transpose()?;
        Ok(Self { thread, process, before, program: File::of(program)?, loader, kept })
    }

    /// Whether it has happened or failed, seen from a call of this thread of its process.
    fn is_over(&self, thread: u32) -> bool {
        thread == self.thread || !fs::exists(format!("/proc/{}/task/{}", self.process, self.thread)).unwrap_or(true)
    }

    fn runs(&self) -> Runs {
        let Ok(object) = running(self.process) else { return Runs::Closed };
        let Ok(file) = File::of(&object) else { return Runs::Closed };
        if file == self.program {
            return match self.other_loader() {
                Ok(other) => other.map_or(Runs::Wanted, Runs::Other),
                Err(_) => Runs::Closed,
            };
        }
        if Some(file) == self.before {
            return Runs::Before;
        }
        let path = name_of(object.as_fd()).unwrap_or_default();
        let object = Arc::new(object);
        let then = self.with(&object, |then| (then.program, then.loader) = (file, None));
        Runs::Other(Other { path, object: Some(object), then: Some(then) })
    }

    /// The same with something else that was executed.
    fn with(&self, object: &Arc<OwnedFd>, change: impl FnOnce(&mut Self)) -> Self {
        let mut then = Self { before: None, ..self.clone() };
        then.kept.push(object.clone());
        change(&mut then);
        then
    }

    /// What the process has for a loader, if that is not the wanted one. It is where the kernel told the program (AT_BASE); one
    /// with a fixed place is only known by being in its memory.
    ///
    /// # Errors
    /// Its memory cannot be looked at: it is closed, or we have no descriptor left.
    fn other_loader(&self) -> io::Result<Option<Other>> {
        let base = base(self.process)?;
        let maps = fs::read(format!("/proc/{}/maps", self.process))?;
        let mapped = maps.split(|byte| *byte == b'\n').filter_map(Mapping::read);
        let is_candidate = |it: &Mapping<'_>| match base {
            0 => it.executable && it.file.inode != 0 && it.file != self.program,
            _ => it.addresses.contains(&base),
        };
        let candidates: Vec<Mapping<'_>> = mapped.filter(is_candidate).collect();
        let agrees = match self.loader {
            Some(loader) => candidates.iter().any(|it| it.file == loader),
            None => base == 0 && candidates.is_empty(),
        };
        if agrees {
            return Ok(None);
        }
        // One that has removed itself has no path.
        let Some(other) = candidates.first() else {
            return Ok(Some(Other { path: Vec::new(), object: None, then: None }));
        };
        // By its path, which is another's if the file was renamed: then it counts as one that cannot be opened.
        let object = rustix::fs::openat(CWD, other.path, HERE, Mode::empty()).ok();
        let object = object.filter(|object| File::of(object).is_ok_and(|there| there == other.file)).map(Arc::new);
        let then = object.as_ref().map(|object| self.with(object, |then| then.loader = Some(other.file)));
        Ok(Some(Other { path: other.path.to_vec(), object, then }))
    }
}

impl Executions {
    /// This one goes on.
    pub(super) fn begins(&self, execution: Arc<Execution>) {
        let mut noted = lock(&self.noted);
        if noted.len() >= MANY {
            noted.retain(|_, noted| matches!(noted.runs(), Runs::Before | Runs::Other(_)));
        }
        noted.insert(execution.process, execution);
        self.count.store(noted.len(), Ordering::Release);
    }

    /// What the process of this thread runs in place of what was judged. What is read of the thread counts if its call still
    /// waits after.
    pub(super) fn other(&self, thread: u32) -> Option<Other> {
        let noted = self.noted(thread)?;
        match noted.runs() {
            Runs::Other(other) => return Some(other),
            Runs::Closed => {}
            // To be told from one that has not begun only if it runs something new.
            Runs::Wanted if noted.before != Some(noted.program) => self.forget(&noted),
            Runs::Before | Runs::Wanted => {
                if noted.is_over(thread) {
                    self.forget(&noted);
                }
            }
        }
        None
    }

    /// What the process of this thread runs was allowed after all.
    pub(super) fn allowed(&self, thread: u32, then: Option<&Arc<Execution>>) {
        match (then, self.noted(thread)) {
            (Some(then), _) => self.begins(then.clone()),
            (None, Some(noted)) => self.forget(&noted),
            (None, None) => {}
        }
    }

    fn noted(&self, thread: u32) -> Option<Arc<Execution>> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        // Mostly its first thread, which has the process's number.
        let of = |process: u32| lock(&self.noted).get(&process).cloned();
        of(thread).or_else(|| of(TaskStatus::of(thread).ok()?.tgid))
    }

    fn forget(&self, execution: &Arc<Execution>) {
        let mut noted = lock(&self.noted);
        if noted.get(&execution.process).is_some_and(|noted| Arc::ptr_eq(noted, execution)) {
            noted.remove(&execution.process);
            self.count.store(noted.len(), Ordering::Release);
        }
    }
}

/// What a process runs.
fn running(process: u32) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(CWD, format!("/proc/{process}/exe"), HERE, Mode::empty())
}

/// Where the loader of a process is in its memory (AT_BASE), as the kernel told it. 0 if there is none, or it has a fixed place.
fn base(process: u32) -> io::Result<u64> {
    const WORD: usize = size_of::<u64>();
    const BASE: u64 = 7;
    let vector = fs::read(format!("/proc/{process}/auxv"))?;
    let word = |pair: &[u8], n: usize| u64::from_ne_bytes(std::array::from_fn(|byte| pair[n * WORD + byte]));
    let pair = vector.chunks_exact(2 * WORD).find(|pair| word(pair, 0) == BASE);
    Ok(pair.map_or(0, |pair| word(pair, 1)))
}

/// A line of /proc/PID/maps.
#[derive(Debug, PartialEq, Eq)]
struct Mapping<'a> {
    addresses: Range<u64>,
    executable: bool,
    file: File,
    path: &'a [u8],
}

impl<'a> Mapping<'a> {
    /// From "start-end rights offset major:minor inode   path".
    fn read(line: &'a [u8]) -> Option<Self> {
        let mut rest = line;
        let mut fields = std::iter::from_fn(|| {
            let start = rest.iter().position(|byte| *byte != b' ')?;
            let end = rest[start..].iter().position(|byte| *byte == b' ').map_or(rest.len(), |length| start + length);
            let field = &rest[start..end];
            rest = &rest[end..];
            str::from_utf8(field).ok()
        });
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let (start, end) = fields.next()?.split_once('-')?;
        let addresses = hex(start)?..hex(end)?;
        let executable = fields.next()?.contains('x');
        let (major, minor) = fields.nth(1)?.split_once(':')?;
        let device = makedev(u32::try_from(hex(major)?).ok()?, u32::try_from(hex(minor)?).ok()?);
        let file = File { device, inode: fields.next()?.parse().ok()? };
        Some(Self { addresses, executable, file, path: rest.trim_ascii_start() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_maps_is_read() {
        let line = b"7f00-7f80 r-xp 00001000 fe:01 4711                       /lib/ld so.2";
        let file = File { device: makedev(0xfe, 1), inode: 4711 };
        let expected = Mapping { addresses: 0x7f00..0x7f80, executable: true, file, path: b"/lib/ld so.2" };
        assert_eq!(Mapping::read(line), Some(expected));
        assert_eq!(Mapping::read(b"10-20 rw-p 00000000 00:00 0 ").map(|it| it.executable), Some(false));
        assert_eq!(Mapping::read(b""), None);
    }

    fn of_this_process(loader: bool) -> (Executions, Arc<Execution>) {
        let us = std::process::id();
        let program = Arc::new(running(us).unwrap());
        let maps = fs::read("/proc/self/maps").unwrap();
        let mut mapped = maps.split(|byte| *byte == b'\n').filter_map(Mapping::read);
        let ours = mapped.find(|it| it.addresses.contains(&base(us).unwrap())).unwrap();
        let ours = Arc::new(rustix::fs::open(ours.path, HERE, Mode::empty()).unwrap());
        let execution = Execution::new(us, &program, loader.then_some(&ours)).unwrap();
        (Executions::default(), Arc::new(execution))
    }

    #[test]
    fn what_was_judged_is_seen_to_run_once() {
        let (executions, execution) = of_this_process(true);
        executions.begins(execution);
        let us = std::process::id();
        // Another thread, while that one executes.
        let other = rustix::thread::gettid().as_raw_nonzero().get() as u32;
        assert!(executions.other(other).is_none());
        assert_eq!(executions.count.load(Ordering::Relaxed), 1);
        assert!(executions.other(us).is_none());
        assert_eq!(executions.count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn another_loader_is_told_of() {
        let (executions, execution) = of_this_process(false);
        executions.begins(execution);
        let us = std::process::id();
        let other = executions.other(us).unwrap();
        assert!(other.path.starts_with(b"/") && other.object.is_some());
        // For as long as it is not allowed.
        assert!(executions.other(us).is_some());
        executions.allowed(us, other.then.map(Arc::new).as_ref());
        assert!(executions.other(us).is_none());
    }
}
