//! The handles of this process.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, OnceLock};

use abi::{Error, Handle};
use sys::fork::PerProcess;

use crate::handle::{GENERATIONS, Number, PLACES};
use crate::inherit::{self, Inherited};
use crate::object::Object;
use crate::sync::lock;

/// Places are made by so many.
const CHUNK: usize = 1024;

/// So many places that were closed lie idle before the first of them is used again: a handle that a program uses after
/// closing it is wrong for long.
const IDLE: usize = 256;

/// One handle of a program's.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) object: Object,
    /// What may be done by this handle.
    pub(crate) access: u32,
    /// What programs that this process starts find it by.
    pub(crate) inherited: Option<Inherited>,
}

#[derive(Debug)]
struct Place {
    /// That of the handle which is, was, or will be here.
    generation: u16,
    entry: Option<Entry>,
}

#[derive(Debug)]
struct Table {
    chunks: [OnceLock<Box<[Mutex<Place>]>>; PLACES / CHUNK],
    idle: Mutex<Idle>,
    /// Where the generations begin: somewhere else in each process, so that a handle of another one is none here.
    first: u16,
    /// Whether what this process inherited is in it.
    complete: OnceLock<()>,
}

#[derive(Debug)]
struct Idle {
    /// Places that were closed, in this order.
    closed: VecDeque<usize>,
    /// The first that was never used.
    fresh: usize,
}

/// Makes a handle.
///
/// # Errors
/// ERROR_NO_SYSTEM_RESOURCES: there are as many as there can be.
pub(crate) fn insert(entry: Entry) -> Result<Handle, Error> {
    let table = table();
    let mut entry = Some(entry);
    loop {
        let place = table.vacant()?;
        let mut state = lock(table.place(place).ok_or(Error::INTERNAL_ERROR)?);
        // one that was inherited has its place from the beginning
        if state.entry.is_none() {
            let number = Number { place, generation: state.generation };
            if let Some(entry) = entry.take() {
                entry.object.opened();
                entry.inherited.iter().for_each(|inherited| inherited.under(number.handle(), entry.access));
                state.entry = Some(entry);
            }
            return Ok(number.handle());
        }
    }
}

/// The object of `handle`, which must have the rights `access`.
///
/// # Errors
/// ERROR_INVALID_HANDLE, ERROR_ACCESS_DENIED.
pub(crate) fn object(handle: Handle, access: u32) -> Result<Object, Error> {
    look(handle, |entry| {
        let object = (entry.access & access == access).then(|| entry.object.clone());
        object.ok_or(Error::ACCESS_DENIED)
    })?
}

/// The object of `handle`, which must be of the kind that `of` finds, and have the rights `access`.
///
/// # Errors
/// ERROR_INVALID_HANDLE, also of an object of another kind; ERROR_ACCESS_DENIED.
pub(crate) fn typed<T>(
    handle: Handle,
    access: u32,
    of: impl FnOnce(&Object) -> Result<&Arc<T>, Error>,
) -> Result<Arc<T>, Error> {
    look(handle, |entry| {
        let found = of(&entry.object)?;
        if entry.access & access == access { Ok(Arc::clone(found)) } else { Err(Error::ACCESS_DENIED) }
    })?
}

/// Looks at the entry of `handle`. The table is locked for it meanwhile.
///
/// # Errors
/// ERROR_INVALID_HANDLE.
pub(crate) fn look<T>(handle: Handle, look: impl FnOnce(&Entry) -> T) -> Result<T, Error> {
    let number = Number::parse(handle).ok_or(Error::INVALID_HANDLE)?;
    let place = table().place(number.place).ok_or(Error::INVALID_HANDLE)?;
    let state = lock(place);
    match &state.entry {
        Some(entry) if state.generation == number.generation => Ok(look(entry)),
        _ => Err(Error::INVALID_HANDLE),
    }
}

/// Closes `handle` if `may` agrees. Blocks as long as the driver of a file does whose last handle it was.
///
/// # Errors
/// ERROR_INVALID_HANDLE, or that of `may`.
pub(crate) fn close(handle: Handle, may: impl FnOnce(&Entry) -> Result<(), Error>) -> Result<(), Error> {
    let number = Number::parse(handle).ok_or(Error::INVALID_HANDLE)?;
    let table = table();
    let place = table.place(number.place).ok_or(Error::INVALID_HANDLE)?;
    let mut state = lock(place);
    match &state.entry {
        Some(entry) if state.generation == number.generation => may(entry)?,
        _ => return Err(Error::INVALID_HANDLE),
    }
    let entry = state.entry.take();
    state.generation = Number::next(state.generation);
    drop(state);
    lock(&table.idle).closed.push_back(number.place);
    if let Some(Entry { object, inherited, .. }) = entry {
        // first, so that it is known whether another process has it too
        drop(inherited);
        object.closed();
    }
    Ok(())
}

fn table() -> &'static Table {
    static TABLE: PerProcess<Table> = PerProcess::new();

    let table = TABLE.get(Table::new);
    table.complete.get_or_init(|| inherit::receive(|handle, entry| table.put(handle, entry)));
    table
}

impl Table {
    fn new() -> Self {
        let first = (RandomState::new().hash_one(0) % u64::from(GENERATIONS)) as u16;
        Self {
            chunks: [const { OnceLock::new() }; PLACES / CHUNK],
            idle: Mutex::new(Idle { closed: VecDeque::new(), fresh: 1 }),
            first,
            complete: OnceLock::new(),
        }
    }

    /// A place that is there; `None`: no handle has ever been near it.
    fn place(&self, place: usize) -> Option<&Mutex<Place>> {
        self.chunks[place / CHUNK].get().map(|chunk| &chunk[place % CHUNK])
    }

    /// A place, which is made if it is not there.
    fn make(&self, place: usize) -> &Mutex<Place> {
        let new = || Mutex::new(Place { generation: self.first, entry: None });
        &self.chunks[place / CHUNK].get_or_init(|| (0..CHUNK).map(|_| new()).collect())[place % CHUNK]
    }

    /// A place for a new handle.
    fn vacant(&self) -> Result<usize, Error> {
        let mut idle = lock(&self.idle);
        if idle.closed.len() > IDLE || idle.fresh == PLACES {
            return idle.closed.pop_front().ok_or(Error::NO_SYSTEM_RESOURCES);
        }
        let place = idle.fresh;
        idle.fresh += 1;
        drop(idle);
        self.make(place);
        Ok(place)
    }

    /// Puts a handle that was inherited where it was.
    fn put(&self, handle: Handle, entry: Entry) {
        let Some(number) = Number::parse(handle) else { return };
        let mut place = lock(self.make(number.place));
        entry.object.opened();
        *place = Place { generation: number.generation, entry: Some(entry) };
    }
}

#[unsafe(no_mangle)]
extern "C" fn CloseHandle(handle: Handle) -> i32 {
    crate::last_error::succeeds(|| {
        // the pseudo-handles of the process and of the thread are closed without effect
        if handle == Handle::INVALID || handle == Handle::CURRENT_THREAD {
            return Ok(());
        }
        close(handle, |_| Ok(()))
    })
}
