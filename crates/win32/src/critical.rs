//! Critical sections.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use sys::futex;

use crate::thread;

/// CRITICAL_SECTION. All zero, it is free.
#[derive(Debug)]
#[repr(C)]
struct CriticalSection {
    debug: usize,
    state: AtomicU32,
    depth: AtomicU32,
    owner: AtomicUsize,
    semaphore: usize,
    spins: usize,
}

const FREE: u32 = 0;
const TAKEN: u32 = 1;
const WAITED_FOR: u32 = 2;

/// How often it is looked at before a thread sleeps.
const SPINS: u32 = 64;

impl CriticalSection {
    fn is_mine(&self) -> bool {
        self.owner.load(Ordering::Relaxed) == thread::current_id() as usize
    }

    fn try_take(&self) -> bool {
        if self.is_mine() {
            self.depth.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        self.state.compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok() && self.taken()
    }

    fn taken(&self) -> bool {
        self.owner.store(thread::current_id() as usize, Ordering::Relaxed);
        self.depth.store(1, Ordering::Relaxed);
        true
    }

    fn take(&self) {
        for _ in 0..SPINS {
            if self.try_take() {
                return;
            }
            std::hint::spin_loop();
        }
        let lent = thread::lend_turn();
        while self.state.swap(WAITED_FOR, Ordering::Acquire) != FREE {
            // whatever comes of it, the loop looks
            let _ = futex::wait(&self.state, WAITED_FOR, futex::ANY, None);
        }
        drop(lent);
        self.taken();
    }

    fn leave(&self) {
        if self.depth.fetch_sub(1, Ordering::Relaxed) != 1 {
            return;
        }
        self.owner.store(0, Ordering::Relaxed);
        if self.state.swap(FREE, Ordering::Release) == WAITED_FOR {
            futex::wake(&self.state, 1, futex::ANY);
        }
    }
}

/// # Safety
/// `section` is the program's, to be initialised.
#[unsafe(no_mangle)]
unsafe extern "C" fn InitializeCriticalSection(section: *mut CriticalSection) {
    // SAFETY: as of our caller.
    unsafe { section.write_bytes(0, 1) };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn InitializeCriticalSectionAndSpinCount(section: *mut CriticalSection, spins: u32) -> i32 {
    // SAFETY: as of our caller.
    unsafe { InitializeCriticalSection(section) };
    // SAFETY: as of our caller.
    unsafe { (*section).spins = spins as usize };
    1
}

#[unsafe(no_mangle)]
unsafe extern "C" fn InitializeCriticalSectionEx(section: *mut CriticalSection, spins: u32, _flags: u32) -> i32 {
    // SAFETY: as of our caller.
    unsafe { InitializeCriticalSectionAndSpinCount(section, spins) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn EnterCriticalSection(section: *const CriticalSection) {
    // SAFETY: initialised by the program.
    unsafe { &*section }.take();
}

#[unsafe(no_mangle)]
unsafe extern "C" fn TryEnterCriticalSection(section: *const CriticalSection) -> i32 {
    // SAFETY: initialised by the program.
    i32::from(unsafe { &*section }.try_take())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn LeaveCriticalSection(section: *const CriticalSection) {
    // SAFETY: initialised by the program, and taken by this thread.
    unsafe { &*section }.leave();
}

#[unsafe(no_mangle)]
unsafe extern "C" fn DeleteCriticalSection(section: *mut CriticalSection) {
    // SAFETY: as of our caller.
    unsafe { InitializeCriticalSection(section) };
}

#[cfg(test)]
mod tests {
    use super::*;

    const _: () = assert!(size_of::<CriticalSection>() == 40);

    #[test]
    fn one_thread_at_a_time_is_in_it_as_often_as_it_likes() {
        // SAFETY: zero is free.
        let section: CriticalSection = unsafe { std::mem::zeroed() };
        let inside = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        section.take();
                        assert!(section.try_take());
                        assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                        inside.fetch_sub(1, Ordering::Relaxed);
                        section.leave();
                        section.leave();
                    }
                });
            }
        });
    }

    #[test]
    fn another_thread_finds_it_taken() {
        // SAFETY: zero is free.
        let section: CriticalSection = unsafe { std::mem::zeroed() };
        assert!(section.try_take());
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(!section.try_take()));
        });
        section.leave();
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(section.try_take()));
        });
    }
}
