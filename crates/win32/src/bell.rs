//! What threads sleep on that wait for an object.

use std::sync::atomic::{AtomicU32, Ordering};

use sys::futex;

/// A word that moves whenever an object may have become signalled, and the number of those that may sleep on it. It may
/// lie in memory of several processes; a process that is killed in its sleep leaves its count, which costs system calls
/// and loses nothing.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Bell {
    word: AtomicU32,
    sleepers: AtomicU32,
}

impl Bell {
    /// The object has changed: all threads that wait for it look again.
    pub(crate) fn ring(&self) {
        self.word.fetch_add(1, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) != 0 {
            futex::wake(&self.word, u32::MAX, futex::ANY);
        }
    }

    /// Says that a thread is going to wait. It looks at the object after this and after each [`Listener::now`].
    pub(crate) fn listen(&self) -> Listener<'_> {
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        Listener(self)
    }
}

/// One more of those that may sleep, as long as this lives.
#[derive(Debug)]
pub(crate) struct Listener<'a>(&'a Bell);

impl<'a> Listener<'a> {
    /// The word and what it is now: to be slept on if a look after this finds nothing.
    pub(crate) fn now(&self) -> abi::file::Word<'a> {
        abi::file::Word { word: &self.0.word, expected: self.0.word.load(Ordering::SeqCst) }
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        self.0.sleepers.fetch_sub(1, Ordering::SeqCst);
    }
}
