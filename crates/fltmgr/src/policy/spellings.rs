//! The patterns of a rule, under all the names that the files have which it means.
//!
//! Operations name files by their real paths, and by the symbolic links that led there. A rule is looked for among the
//! files there are when it is made: the part of it that is plain names is followed as the kernel would, and the rule holds
//! for what it leads to, whatever becomes of the links later, as well as for the names as they are written, whatever they
//! lead to later. Behind the first wildcard, and in procfs, whose links are different for each process, nothing is looked
//! for.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::pattern::{Pattern, Step};
use super::written::{self, From, Written};

/// More symbolic links than this are a loop to the kernel too (MAXSYMLINKS).
const MAX_LINKS: usize = 40;

/// The patterns of what is written, below these directories if it does not say where. With `near` what it names is also
/// looked for right there, or in the working directory.
pub(super) fn patterns(written: Written, directories: &[PathBuf], near: bool) -> Vec<Pattern> {
    let join =
        |directory: &Path, depth: &[Step]| [written::names(directory), depth.to_vec(), written.steps.clone()].concat();
    let begins = match &written.from {
        From::Directory(directory) => vec![join(directory, &[])],
        From::Anywhere if directories.is_empty() => {
            let anywhere = [[Step::Deep].as_slice(), &written.steps].concat();
            let here = std::env::current_dir().ok().filter(|here| near && is_in(here, &written.steps));
            [Some(anywhere), here.map(|here| join(&here, &[]))].into_iter().flatten().collect()
        }
        From::Anywhere => {
            let near = directories.iter().filter(|directory| near && is_in(directory, &written.steps));
            let near = near.map(|directory| join(directory, &[]));
            directories.iter().map(|directory| join(directory, &[Step::Deep])).chain(near).collect()
        }
    };
    let spelled = begins.into_iter().flat_map(spellings);
    spelled.flat_map(|steps| with_below(steps, written.slash)).collect()
}

/// Whether the first name of a pattern is there.
fn is_in(directory: &Path, steps: &[Step]) -> bool {
    let is_there = |name: &[u8]| fs::symlink_metadata(directory.join(OsStr::from_bytes(name))).is_ok();
    match steps.first() {
        Some(Step::Name(name)) => is_there(name),
        Some(Step::Glob(wildcard)) => wildcard.names.iter().any(|name| is_there(name)),
        Some(Step::Deep) | None => false,
    }
}

/// A name that may be a directory's stands for what is below it too.
fn with_below(steps: Vec<Step>, slash: bool) -> impl Iterator<Item = Pattern> {
    let below = slash || matches!(steps.last(), Some(Step::Name(_)) | None);
    let pattern = Pattern::new(steps);
    let all = below.then(|| pattern.below());
    [Some(pattern), all].into_iter().flatten()
}

/// All ways to say this that lead to the same files now, its own among them.
fn spellings(steps: Vec<Step>) -> Vec<Vec<Step>> {
    let (mut found, mut to_do) = (Vec::new(), vec![steps]);
    while let Some(steps) = to_do.pop() {
        let mut way = Way { real: Vec::new(), rest: steps.into(), links: 0 };
        while let Some(step) = way.rest.pop_front() {
            match step {
                Step::Name(name) if name == b".." => _ = way.real.pop(),
                Step::Name(name) => found.extend(way.enter(name)),
                Step::Glob(wildcard) => {
                    let there = wildcard.names.iter().filter(|name| fs::symlink_metadata(way.path(name)).is_ok());
                    to_do.extend(there.map(|name| way.whole(Step::Name(name.clone()))));
                    way.stop_at(Step::Glob(wildcard));
                }
                Step::Deep => way.stop_at(Step::Deep),
            }
        }
        found.push(way.real);
    }
    found
}

/// A pattern that is followed among the files there are.
struct Way {
    /// Followed so far.
    real: Vec<Step>,
    rest: VecDeque<Step>,
    links: usize,
}

impl Way {
    fn path(&self, name: &[u8]) -> PathBuf {
        let mut path = PathBuf::from("/");
        path.extend(self.real.iter().filter_map(|step| match step {
            Step::Name(name) => Some(OsStr::from_bytes(name)),
            _ => None,
        }));
        path.join(OsStr::from_bytes(name))
    }

    /// The whole with this as its next step.
    fn whole(&self, step: Step) -> Vec<Step> {
        self.real.iter().cloned().chain([step]).chain(self.rest.iter().cloned()).collect()
    }

    fn stop_at(&mut self, step: Step) {
        self.real.push(step);
        self.real.extend(self.rest.drain(..));
    }

    /// Goes on with a name. If that is a link, gives the spelling with the link in it.
    fn enter(&mut self, name: Vec<u8>) -> Option<Vec<Step>> {
        let Some(target) = self.link(&name) else {
            self.real.push(Step::Name(name));
            return None;
        };
        self.links += 1;
        // What leads up behind a link leads up from what the link leads to: it has no name without it.
        let leads_up = self.rest.iter().any(|step| matches!(step, Step::Name(name) if name == b".."));
        let spelled = (!leads_up).then(|| self.whole(Step::Name(name)));
        if target.first() == Some(&b'/') {
            self.real.clear();
        }
        let components = target.split(|&byte| byte == b'/');
        for name in components.filter(|name| !name.is_empty() && *name != b".").rev() {
            self.rest.push_front(Step::Name(name.into()));
        }
        spelled
    }

    /// Where a link of this name leads; `None` if there is none that can be followed for all.
    fn link(&self, name: &[u8]) -> Option<Vec<u8>> {
        let path = self.path(name);
        let target = fs::read_link(&path).ok().filter(|_| self.links < MAX_LINKS)?;
        let directory = rustix::fs::statfs(path.parent()?).ok()?;
        (directory.f_type != rustix::fs::PROC_SUPER_MAGIC).then(|| target.into_os_string().into_vec())
    }
}
