//! Waiting for objects.

use std::sync::Arc;

use abi::{Error, Handle, pointer};
use smallvec::SmallVec;
use std::time::Duration;
use sys::clock::{self, Deadline};

use crate::bell::Listener;
use crate::last_error::or;
use crate::object::{Object, Standing};
use crate::open_file::{self, OpenFile};
use crate::table;
use crate::thread;

/// The right to wait for an object.
pub(crate) const SYNCHRONIZE: u32 = 0x0010_0000;
/// INFINITE.
const FOREVER: u32 = u32::MAX;
/// MAXIMUM_WAIT_OBJECTS.
const MOST: usize = 64;
/// WAIT_TIMEOUT and WAIT_FAILED, beside the index of the object that ended the wait.
const TIMED_OUT: u32 = 258;
const FAILED: u32 = u32::MAX;

type Objects = SmallVec<[Object; 4]>;

/// When a time of so many milliseconds is over.
pub(crate) fn deadline(milliseconds: u32) -> Option<Deadline> {
    let after = Duration::from_millis(milliseconds.into());
    (milliseconds != FOREVER).then(|| Deadline::Monotonic(clock::monotonic() + after))
}

/// Waits until one of the objects is signalled, and satisfies the wait for that one; `None` when the deadline passed.
pub(crate) fn any(objects: &[Object], deadline: Option<Deadline>) -> Result<Option<usize>, Error> {
    if let Some(index) = objects.iter().position(Object::take) {
        return Ok(Some(index));
    }
    let listeners = listen(objects)?;
    let mut entered = Entered::new(objects);
    let mut lent = None;
    loop {
        let (words, files) = prepare(objects, &listeners);
        if let Some(index) = entered.look() {
            return Ok(Some(index));
        }
        if deadline.is_some_and(Deadline::passed) {
            return Ok(entered.give_up());
        }
        lent.get_or_insert_with(thread::lend_turn);
        sleep(&words, &files, deadline);
    }
}

/// Waits until all objects are signalled at one time, and satisfies the wait for each of them. False: the deadline passed.
pub(crate) fn all(objects: &[Object], deadline: Option<Deadline>) -> Result<bool, Error> {
    let listeners = listen(objects)?;
    let mut lent = None;
    loop {
        let (words, files) = prepare(objects, &listeners);
        if take_all(objects) {
            return Ok(true);
        }
        if deadline.is_some_and(Deadline::passed) {
            return Ok(false);
        }
        lent.get_or_insert_with(thread::lend_turn);
        sleep(&words, &files, deadline);
    }
}

/// Satisfies a wait for every one of the objects, or for none.
fn take_all(objects: &[Object]) -> bool {
    let taken = objects.iter().take_while(|object| object.take()).count();
    if taken == objects.len() {
        return true;
    }
    objects[..taken].iter().for_each(Object::give_back);
    false
}

fn listen(objects: &[Object]) -> Result<SmallVec<[Listener<'_>; 4]>, Error> {
    objects.iter().map(|object| Ok(object.bell()?.listen())).collect()
}

type Words<'a> = SmallVec<[abi::file::Word<'a>; 8]>;
type OpenFiles = SmallVec<[Arc<OpenFile>; 4]>;

/// What to sleep on, after what has ended on the objects' files is completed. A look at the objects follows.
fn prepare<'a>(objects: &[Object], listeners: &[Listener<'a>]) -> (Words<'a>, OpenFiles) {
    let words = listeners.iter().map(Listener::now).collect();
    let mut files = OpenFiles::new();
    objects.iter().for_each(|object| object.files(&mut files));
    files.iter().for_each(|file| file.collect());
    (words, files)
}

fn sleep(words: &[abi::file::Word<'_>], files: &[Arc<OpenFile>], deadline: Option<Deadline>) {
    if files.is_empty() {
        abi::file::sleep(words, deadline);
    } else {
        open_file::wait(files, words, deadline);
    }
}

/// A thread's waits for each of several objects, of which one is to be satisfied.
struct Entered<'a> {
    objects: &'a [Object],
    standings: SmallVec<[Option<Standing>; 4]>,
}

impl<'a> Entered<'a> {
    fn new(objects: &'a [Object]) -> Self {
        Self { objects, standings: objects.iter().map(|object| Some(object.enter())).collect() }
    }

    /// Satisfies the first wait that can be.
    fn look(&mut self) -> Option<usize> {
        let index = self
            .objects
            .iter()
            .zip(&self.standings)
            .position(|(object, standing)| standing.is_some_and(|standing| object.look(standing)))?;
        self.standings[index] = None;
        Some(index)
    }

    /// Gives all up; one may be satisfied in that moment.
    fn give_up(&mut self) -> Option<usize> {
        let mut satisfied = None;
        for (index, (object, standing)) in self.objects.iter().zip(&mut self.standings).enumerate() {
            let Some(standing) = standing.take() else { continue };
            if object.leave(standing) {
                match satisfied {
                    None => satisfied = Some(index),
                    Some(_) => object.give_back(),
                }
            }
        }
        satisfied
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if let Some(index) = self.give_up() {
            // another ended the wait
            self.objects[index].give_back();
        }
    }
}

/// The object of a handle that is to be waited for.
fn object(handle: Handle) -> Result<Object, Error> {
    if handle == Handle::CURRENT_THREAD {
        return Ok(Object::Thread(thread::current()));
    }
    table::object(handle, SYNCHRONIZE)
}

#[unsafe(no_mangle)]
extern "C" fn WaitForSingleObject(handle: Handle, milliseconds: u32) -> u32 {
    or(FAILED, || {
        let object = object(handle)?;
        object.bell()?;
        let satisfied = any(std::slice::from_ref(&object), deadline(milliseconds))?;
        Ok(satisfied.map_or(TIMED_OUT, |_| 0))
    })
}

#[unsafe(no_mangle)]
extern "C" fn WaitForSingleObjectEx(handle: Handle, milliseconds: u32, _alertable: i32) -> u32 {
    WaitForSingleObject(handle, milliseconds)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn WaitForMultipleObjects(
    count: u32,
    handles: *const Handle,
    wait_all: i32,
    milliseconds: u32,
) -> u32 {
    or(FAILED, || {
        let count = count as usize;
        if count == 0 || count > MOST {
            return Err(Error::INVALID_PARAMETER);
        }
        let handles = pointer::read_array::<Handle, 8>(handles, count)?;
        let objects = handles.iter().map(|&handle| object(handle)).collect::<Result<Objects, _>>()?;
        objects.iter().try_for_each(|object| object.bell().map(drop))?;
        let deadline = deadline(milliseconds);
        if wait_all == 0 {
            let satisfied = any(&objects, deadline)?;
            return Ok(satisfied.map_or(TIMED_OUT, |index| index as u32));
        }
        let twice = handles.iter().enumerate().any(|(index, handle)| handles[..index].contains(handle));
        if twice {
            return Err(Error::INVALID_PARAMETER);
        }
        Ok(if all(&objects, deadline)? { 0 } else { TIMED_OUT })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn WaitForMultipleObjectsEx(
    count: u32,
    handles: *const Handle,
    wait_all: i32,
    milliseconds: u32,
    _alertable: i32,
) -> u32 {
    // SAFETY: as of our caller.
    unsafe { WaitForMultipleObjects(count, handles, wait_all, milliseconds) }
}

#[unsafe(no_mangle)]
extern "C" fn SignalObjectAndWait(signal: Handle, handle: Handle, milliseconds: u32, _alertable: i32) -> u32 {
    or(FAILED, || {
        let waited = object(handle)?;
        waited.bell()?;
        match table::object(signal, crate::synchronization::MODIFY_STATE)? {
            Object::Event(event) => event.event.set(),
            Object::Semaphore(semaphore) => drop(semaphore.release(1)?),
            _ => return Err(Error::INVALID_HANDLE),
        }
        let satisfied = any(std::slice::from_ref(&waited), deadline(milliseconds))?;
        Ok(satisfied.map_or(TIMED_OUT, |_| 0))
    })
}

/// Waits for a time, and completes meanwhile what has ended on any file: a program may look at its OVERLAPPED and sleep
/// in turn.
#[unsafe(no_mangle)]
#[allow(clippy::disallowed_methods)] // to let others run is what Sleep(0) is for
extern "C" fn Sleep(milliseconds: u32) {
    let _ = abi::fence(|| {
        open_file::collect_all();
        let _lent = thread::lend_turn();
        match deadline(milliseconds) {
            Some(_) if milliseconds == 0 => std::thread::yield_now(),
            Some(deadline) => std::thread::sleep(deadline.remaining()),
            None => loop {
                std::thread::park();
            },
        }
        open_file::collect_all();
        Ok(())
    });
}

#[unsafe(no_mangle)]
extern "C" fn SleepEx(milliseconds: u32, _alertable: i32) -> u32 {
    Sleep(milliseconds);
    0
}
