//! What a handle stands for.

use std::sync::{Arc, Mutex, Weak};

use abi::Error;

use crate::bell::Bell;
use crate::completion_port::CompletionPort;
use crate::event::{Event, Waiting};
use crate::home::Home;
use crate::open_file::OpenFile;
use crate::section::Section;
use crate::semaphore::Semaphore;
use crate::sync::lock;
use crate::thread::Thread;

/// An object. Cloning it refers to the same one once more.
#[derive(Debug, Clone)]
pub(crate) enum Object {
    Event(Arc<EventObject>),
    Semaphore(Arc<Home<Semaphore>>),
    Thread(Arc<Thread>),
    Port(Arc<CompletionPort>),
    File(Arc<OpenFile>),
    Section(Arc<Section>),
}

/// An event, and the files whose requests set it.
#[derive(Debug)]
pub(crate) struct EventObject {
    pub(crate) event: Home<Event>,
    pub(crate) files: Files,
}

/// The files whose requests signal an object when they end: a thread that waits for it watches them.
#[derive(Debug, Default)]
pub(crate) struct Files(Mutex<Vec<Weak<OpenFile>>>);

impl Files {
    /// Adds one. True: it is new here, and threads that wait already must be told.
    pub(crate) fn add(&self, file: &Arc<OpenFile>) -> bool {
        let mut files = lock(&self.0);
        if files.iter().any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(file))) {
            return false;
        }
        files.retain(|known| known.strong_count() != 0);
        files.push(Arc::downgrade(file));
        true
    }

    /// Those that there are still.
    pub(crate) fn each(&self, found: &mut impl Extend<Arc<OpenFile>>) {
        found.extend(lock(&self.0).iter().filter_map(Weak::upgrade));
    }
}

/// How a thread stands that waits for an object.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Standing {
    Event(Waiting),
    Other,
}

impl Object {
    /// The event, if it is one.
    pub(crate) fn event(&self) -> Result<&Arc<EventObject>, Error> {
        if let Self::Event(event) = self { Ok(event) } else { Err(Error::INVALID_HANDLE) }
    }

    /// The semaphore, if it is one.
    pub(crate) fn semaphore(&self) -> Result<&Arc<Home<Semaphore>>, Error> {
        if let Self::Semaphore(semaphore) = self { Ok(semaphore) } else { Err(Error::INVALID_HANDLE) }
    }

    /// The thread, if it is one.
    pub(crate) fn thread(&self) -> Result<&Arc<Thread>, Error> {
        if let Self::Thread(thread) = self { Ok(thread) } else { Err(Error::INVALID_HANDLE) }
    }

    /// The completion port, if it is one.
    pub(crate) fn port(&self) -> Result<&Arc<CompletionPort>, Error> {
        if let Self::Port(port) = self { Ok(port) } else { Err(Error::INVALID_HANDLE) }
    }

    /// The file, if it is one.
    pub(crate) fn file(&self) -> Result<&Arc<OpenFile>, Error> {
        if let Self::File(file) = self { Ok(file) } else { Err(Error::INVALID_HANDLE) }
    }

    /// The section, if it is one.
    pub(crate) fn section(&self) -> Result<&Arc<Section>, Error> {
        if let Self::Section(section) = self { Ok(section) } else { Err(Error::INVALID_HANDLE) }
    }

    /// What threads sleep on that wait for it.
    ///
    /// # Errors
    /// ERROR_INVALID_HANDLE: nothing to wait for.
    pub(crate) fn bell(&self) -> Result<&Bell, Error> {
        match self {
            Self::Event(event) => Ok(&event.event.bell),
            Self::Semaphore(semaphore) => Ok(&semaphore.bell),
            Self::Thread(thread) => Ok(&thread.ended.bell),
            Self::File(file) => Ok(&file.signal.bell),
            Self::Port(port) => Ok(&port.bell),
            Self::Section(_) => Err(Error::INVALID_HANDLE),
        }
    }

    /// Satisfies a wait, if the object is signalled.
    pub(crate) fn take(&self) -> bool {
        match self {
            Self::Event(event) => event.event.take(),
            Self::Semaphore(semaphore) => semaphore.take(),
            Self::Thread(thread) => thread.ended.take(),
            Self::File(file) => file.signal.take(),
            Self::Port(port) => port.has_packets(),
            Self::Section(_) => false,
        }
    }

    /// Undoes [`Object::take`].
    pub(crate) fn give_back(&self) {
        match self {
            Self::Event(event) => event.event.give_back(),
            Self::Semaphore(semaphore) => semaphore.give_back(),
            Self::Thread(_) | Self::File(_) | Self::Port(_) | Self::Section(_) => {}
        }
    }

    /// Begins to wait.
    pub(crate) fn enter(&self) -> Standing {
        match self {
            Self::Event(event) => Standing::Event(event.event.enter()),
            _ => Standing::Other,
        }
    }

    /// Satisfies the wait that began with [`Object::enter`], if it can; then it is over.
    pub(crate) fn look(&self, standing: Standing) -> bool {
        match (self, standing) {
            (Self::Event(event), Standing::Event(waiting)) => event.event.look(waiting),
            _ => self.take(),
        }
    }

    /// Gives the wait up. True: it is satisfied after all.
    pub(crate) fn leave(&self, standing: Standing) -> bool {
        match (self, standing) {
            (Self::Event(event), Standing::Event(waiting)) => event.event.leave(waiting),
            _ => false,
        }
    }

    /// The files that signal it.
    pub(crate) fn files(&self, found: &mut impl Extend<Arc<OpenFile>>) {
        match self {
            Self::Event(event) => event.files.each(found),
            Self::File(file) => found.extend([Arc::clone(file)]),
            Self::Port(port) => port.files.each(found),
            Self::Semaphore(_) | Self::Thread(_) | Self::Section(_) => {}
        }
    }

    /// What generic rights mean to it; the others as they are.
    pub(crate) fn mapped(&self, access: u32) -> u32 {
        const GENERIC: [u32; 4] = [0x8000_0000, 0x4000_0000, 0x2000_0000, 0x1000_0000];
        let meanings = match self {
            Self::File(_) => [0x0012_0089, 0x0012_0116, 0x0012_00A0, 0x001F_01FF],
            Self::Thread(_) => [0x0002_0048, 0x0002_0037, 0x0012_0000, 0x001F_FFFF],
            Self::Section(_) => [0x0002_0005, 0x0002_0002, 0x0002_0008, 0x000F_001F],
            Self::Event(_) | Self::Semaphore(_) | Self::Port(_) => [0x0002_0001, 0x0002_0002, 0x0012_0000, 0x001F_0003],
        };
        let generic = GENERIC.iter().zip(meanings).filter(|(generic, _)| access & **generic != 0);
        generic.fold(access & 0x0FFF_FFFF, |access, (_, meaning)| access | meaning)
    }

    /// A handle to it has been made.
    pub(crate) fn opened(&self) {
        match self {
            Self::File(file) => file.opened(),
            Self::Port(port) => port.opened(),
            _ => {}
        }
    }

    /// A handle to it has been closed. Blocks as long as the driver of a file does whose last one it was.
    pub(crate) fn closed(&self) {
        match self {
            Self::File(file) => file.closed(),
            Self::Port(port) => port.closed(),
            _ => {}
        }
    }
}
