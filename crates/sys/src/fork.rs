//! Noticing that this process is a forked copy of the one that made something.
//!
//! A fork copies memory, but not threads, and locks and sockets are shared with the parent: what the parent made must
//! not be used or cleaned up by the child. Asking the kernel for the process id each time would cost a system call.

use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags};

/// Remembers the process in which it was made.
///
/// It does not notice vfork(2) and clone(2) with `CLONE_VM`, where the child runs in the parent's memory; nothing but
/// exec and exit is allowed there.
#[derive(Clone, Copy, Debug)]
pub struct ForkGuard {
    word: &'static AtomicU64,
    generation: u64,
}

impl ForkGuard {
    /// Remembers this process. The first call in a process maps a page.
    pub fn new() -> Self {
        static WORD: Once<&AtomicU64> = Once::new();
        /// The last generation given out in this process and its ancestors. A fork copies it, so that a child never
        /// reuses an ancestor's; two children may share one, but neither ever sees the other's guards.
        static LAST: AtomicU64 = AtomicU64::new(0);

        let word = *WORD.get(word_that_fork_clears);
        let mut generation = word.load(Ordering::Relaxed);
        if generation == 0 {
            let next = LAST.fetch_add(1, Ordering::Relaxed) + 1;
            // Of several threads that come here first one wins, and the others take its number.
            generation = match word.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => next,
                Err(winner) => winner,
            };
        }
        Self { word, generation }
    }

    /// Whether this is still the process that made the guard. Costs one load from memory.
    #[inline]
    pub fn same_process(&self) -> bool {
        self.word.load(Ordering::Relaxed) == self.generation
    }
}

impl Default for ForkGuard {
    fn default() -> Self {
        Self::new()
    }
}

/// What a program makes once, when it first needs it. Threads that come at one time each make one, of which all get the
/// first: none waits for another, as they do for a `OnceLock`'s, because in a forked child that other is not there.
#[derive(Debug)]
pub struct Once<T: 'static>(AtomicPtr<T>);

impl<T: Send + Sync> Once<T> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// The value, by `make` if there is none yet.
    pub fn get(&self, make: impl FnOnce() -> T) -> &'static T {
        self.known().unwrap_or_else(|| self.publish(None, make()))
    }

    fn known(&self) -> Option<&'static T> {
        // SAFETY: null, or leaked by `publish` after it was written, and never freed.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// Puts `value` in place of what was `known`, which stays in memory; or gives what another thread has put there.
    fn publish(&self, known: Option<&'static T>, value: T) -> &'static T {
        let known = known.map_or(std::ptr::null_mut(), |known| std::ptr::from_ref(known).cast_mut());
        let new = Box::into_raw(Box::new(value));
        let published = match self.0.compare_exchange(known, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => new,
            Err(others) => {
                // SAFETY: made above from a box, and no other thread has seen it.
                drop(unsafe { Box::from_raw(new) });
                // of a thread of this process: no other runs in its memory
                others
            }
        };
        // SAFETY: not null, written before it was published, and never freed.
        unsafe { &*published }
    }
}

impl<T: Send + Sync> Default for Once<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// What each process makes for itself when it first needs it. A forked child never touches its parent's, which stays in
/// memory: its locks are as they happened to be, and the threads that held them are not there.
#[derive(Debug)]
pub struct PerProcess<T: 'static>(Once<Made<T>>);

#[derive(Debug)]
struct Made<T> {
    guard: ForkGuard,
    value: T,
}

impl<T: Send + Sync> PerProcess<T> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(Once::new())
    }

    /// This process's own, by `make` if there is none yet, as [`Once::get`].
    pub fn get(&self, make: impl FnOnce() -> T) -> &'static T {
        let known = self.0.known();
        match known {
            Some(made) if made.guard.same_process() => &made.value,
            _ => &self.0.publish(known, Made { guard: ForkGuard::new(), value: make() }).value,
        }
    }
}

impl<T: Send + Sync> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A word that holds zero in a new child, whatever it holds in the parent.
fn word_that_fork_clears() -> &'static AtomicU64 {
    wiped_page().unwrap_or_else(|| {
        // Before Linux 4.14, or under an emulator that refuses: let the C library's fork do it.
        static WORD: AtomicU64 = AtomicU64::new(0);
        extern "C" fn clear() {
            WORD.store(0, Ordering::Relaxed);
        }
        // SAFETY: the handler only stores into a static atomic, which is allowed after a fork, and it lives as long as
        // the program, which is never unloaded.
        let registered = unsafe { libc::pthread_atfork(None, None, Some(clear)) };
        assert_eq!(registered, 0, "no memory for a fork handler");
        &WORD
    })
}

/// The first word of a page of its own that the kernel replaces by zeros in a child: madvise(2), `MADV_WIPEONFORK`.
fn wiped_page() -> Option<&'static AtomicU64> {
    let len = rustix::param::page_size();
    // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
    let page = unsafe {
        rustix::mm::mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
    }
    .ok()?;
    // SAFETY: the range is exactly the mapping just made, private and anonymous as the advice demands, and no reference
    // to it exists.
    let wiped = unsafe { rustix::mm::madvise(page, len, Advice::LinuxWipeOnFork) };
    if wiped.is_err() {
        // SAFETY: the range is exactly the mapping just made, and nothing refers to it.
        let _ = unsafe { rustix::mm::munmap(page, len) };
        return None;
    }
    // SAFETY: the page is never unmapped, so it lives as long as the program; it is aligned, initialised with zeros by
    // the kernel, and touched as this atomic only.
    Some(unsafe { &*page.cast::<AtomicU64>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Forks, runs `child` there, and gives its answer. The child only does what is allowed after a fork of a process
    /// with threads.
    fn in_a_fork(child: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child calls nothing that takes a lock or allocates, and leaves by _exit.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork failed");
        if pid == 0 {
            let code = i32::from(!child());
            // SAFETY: ends this process at once, running nothing of the parent's.
            unsafe { libc::_exit(code) };
        }
        let mut status = 0;
        // SAFETY: `status` outlives the call, and the child is ours and not yet waited for.
        let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert_eq!(waited, pid);
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
    }

    #[test]
    fn a_child_is_another_process() {
        let guard = ForkGuard::new();
        assert!(guard.same_process());
        assert!(in_a_fork(|| !guard.same_process()));
        assert!(guard.same_process(), "the parent stays what it was");
    }

    #[test]
    fn a_child_and_a_grandchild_have_guards_of_their_own() {
        let guard = ForkGuard::new();
        assert!(in_a_fork(|| {
            let own = ForkGuard::new();
            own.same_process()
                && !guard.same_process()
                && in_a_fork(|| !own.same_process() && !guard.same_process() && ForkGuard::new().same_process())
        }));
        assert!(ForkGuard::new().same_process() && guard.same_process());
    }

    #[test]
    fn a_child_does_not_wait_for_a_thread_of_its_parents() {
        static ONE: Once<u64> = Once::new();
        let (inside, go_on) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                ONE.get(|| {
                    inside.wait();
                    go_on.wait();
                    1
                })
            });
            inside.wait();
            assert!(in_a_fork(|| *ONE.get(|| 7) == 7));
            go_on.wait();
        });
        assert_eq!(*ONE.get(|| 9), 1);
    }

    #[test]
    fn a_child_makes_its_own() {
        static OWN: PerProcess<AtomicU64> = PerProcess::new();
        let own = |value| OWN.get(|| AtomicU64::new(value));
        own(1).fetch_add(1, Ordering::Relaxed);
        assert!(in_a_fork(|| own(7).load(Ordering::Relaxed) == 7 && own(8).load(Ordering::Relaxed) == 7));
        assert_eq!(own(9).load(Ordering::Relaxed), 2);
    }

    #[test]
    fn threads_that_come_first_get_the_same() {
        static ONE: PerProcess<AtomicU64> = PerProcess::new();
        let barrier = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    barrier.wait();
                    ONE.get(|| AtomicU64::new(0)).fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(ONE.get(|| AtomicU64::new(0)).load(Ordering::Relaxed), 8);
    }

    #[test]
    fn the_page_is_wiped_here() {
        let word = wiped_page().expect("Linux 4.14 or later");
        word.store(7, Ordering::Relaxed);
        assert!(in_a_fork(|| word.load(Ordering::Relaxed) == 0));
        assert_eq!(word.load(Ordering::Relaxed), 7);
    }
}
