//! What an exec is about: a program, and what the kernel runs for it, which is an interpreter or a loader.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use rustix::fs::{FileType, OFlags, ResolveFlags, fstat};
use rustix::io::Errno;

use super::changes::Reached;
use super::{Judged, Look, Place, Settled};
use crate::source::descriptors::is_exhausted;
use crate::source::supervise::executions::Execution;
use crate::source::supervise::image::Image;
use crate::source::supervise::names;
use crate::source::supervise::plan::{Execute, Plan, Question};

/// The kernel follows so many scripts whose interpreters are scripts.
const SCRIPTS: usize = 5;

impl Look<'_> {
    /// The exec of this object.
    pub(super) fn exec(&self, program: Reached) -> Result<Judged, Settled> {
        let mut all = vec![program];
        let (mut program, mut loader) = (0, None);
        while program == all.len() - 1 && loader.is_none() {
            match self.image(&all[program].object)? {
                Some(Image::Script(_)) if program == SCRIPTS => return Err(Settled::Error(Errno::LOOP)),
                Some(Image::Script(path)) => {
                    all.push(self.named_by_a_file(path)?);
                    program += 1;
                }
                Some(Image::Program(Some(path))) => {
                    let named = self.named_by_a_file(path)?;
                    loader = Some(named.object.clone());
                    all.push(named);
                }
                // The kernel would run it, and each of its calls would be refused.
                Some(Image::Narrow) => {
                    self.tree.note_narrow(names::name_of(all[program].object.as_fd())?);
                    return Err(Settled::Error(Errno::ACCESS));
                }
                Some(Image::Program(None) | Image::Other) | None => break,
            }
        }
        let execution = Self::found(Execution::new(self.call.tid, &all[program].object, loader.as_ref()))?;
        self.still_waits()?;
        let questions = all.into_iter().map(|reached| self.question(reached)).collect::<Result<Vec<_>, _>>()?;
        let mut questions = questions.into_iter();
        let Some(Question { operation, object }) = questions.next() else { return Err(Settled::Gone) };
        let plan = Plan::Execute(Execute { rest: questions.collect(), execution: Arc::new(execution) });
        Ok(Judged { operation, plan, object })
    }

    fn question(&self, Reached { object, through }: Reached) -> Result<Question, Settled> {
        let operation = self.reached(&object, through)?;
        let object = Self::regular(&object)?;
        Ok(Question { operation: Arc::new(operation), object })
    }

    /// What the kernel will see in this file. `None` if it cannot be read.
    fn image(&self, object: &OwnedFd) -> Result<Option<Image>, Settled> {
        if FileType::from_raw_mode(fstat(object)?.st_mode) != FileType::RegularFile {
            return Ok(Some(Image::Other));
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        match self.actor.reopen(object.as_fd(), flags, false).and_then(|file| Image::of(&file)) {
            Ok(image) => Ok(Some(image)),
            Err(errno) if is_exhausted(errno) => Err(Settled::Error(Errno::NFILE)),
            Err(_) => Ok(None),
        }
    }

    /// The object that a path in an executed file leads to: from the root or the working directory, as the path of the exec.
    fn named_by_a_file(&self, path: Vec<u8>) -> Result<Reached, Settled> {
        let start = if path.starts_with(b"/") { None } else { Some(self.start(None)?) };
        let place = Place { start, path };
        let found = self.walker().object(place.start(), &place.path, true, ResolveFlags::empty());
        Self::found(found).map(Reached::from)
    }
}
