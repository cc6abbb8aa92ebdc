//! Generic tables: elements that a driver orders by a function of its own.
//!
//! An element is a block of the driver's, with the head of Windows' trees before the data. The order is kept here, by the
//! table's address: what a driver does to a block after it freed it cannot lead a search astray.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::edge::{Ptr, member};
use crate::lock;
use crate::nt::{Boolean, ListEntry};

type Compare<T> = extern "C" fn(Ptr<T>, Ptr<u8>, Ptr<u8>) -> u32;
type Allocate<T> = extern "C" fn(Ptr<T>, u32) -> Ptr<u8>;
type Free<T> = extern "C" fn(Ptr<T>, Ptr<u8>);

/// `GenericLessThan` and `GenericEqual`
const LESS: u32 = 0;
const EQUAL: u32 = 2;

/// `TableEmptyTree`, `TableFoundNode`, `TableInsertAsLeft`, `TableInsertAsRight`
const EMPTY: u32 = 0;
const FOUND: u32 = 1;
const LEFT: u32 = 2;
const RIGHT: u32 = 3;

/// `RTL_GENERIC_TABLE`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Splay {
    root: Ptr,
    order: ListEntry,
    ordered: Ptr,
    which: u32,
    count: u32,
    compare: Compare<Self>,
    allocate: Allocate<Self>,
    free: Free<Self>,
    context: Ptr,
}

/// `RTL_AVL_TABLE`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Avl {
    root: [u64; 4],
    ordered: Ptr,
    which: u32,
    count: u32,
    depth: u32,
    restart: Ptr,
    deleted: u32,
    compare: Compare<Self>,
    allocate: Allocate<Self>,
    free: Free<Self>,
    context: Ptr,
}

/// What a table is to both families.
pub trait Tree: Copy + Sized + 'static {
    /// The bytes of an element before its data.
    const HEAD: usize;
    /// Whether elements are numbered in the order of their coming, and not in their own.
    const BY_AGE: bool;
    fn routines(self) -> (Compare<Self>, Allocate<Self>, Free<Self>);
    fn set_count(table: Ptr<Self>, count: u32);
    fn blank(routines: (Compare<Self>, Allocate<Self>, Free<Self>), context: Ptr) -> Self;
}

macro_rules! tree {
    ($type:ident $head:literal $by_age:literal { $($field:ident: $value:expr),* }) => {
        impl Tree for $type {
            const HEAD: usize = $head;
            const BY_AGE: bool = $by_age;

            fn routines(self) -> (Compare<Self>, Allocate<Self>, Free<Self>) {
                (self.compare, self.allocate, self.free)
            }

            fn set_count(table: Ptr<Self>, count: u32) {
                member!(table, $type, count).write(count);
            }

            fn blank((compare, allocate, free): (Compare<Self>, Allocate<Self>, Free<Self>), context: Ptr) -> Self {
                Self { compare, allocate, free, context, ordered: Ptr::NULL, which: 0, count: 0, $($field: $value),* }
            }
        }
    };
}

tree!(Splay 40 true { root: Ptr::NULL, order: ListEntry::default() });
tree!(Avl 32 false { root: [0; 4], depth: 0, restart: Ptr::NULL, deleted: 0 });

/// The elements of a table: the addresses of their data.
#[derive(Debug, Default)]
struct Elements {
    sorted: Vec<usize>,
    by_age: Vec<usize>,
    /// The element that the next enumeration goes on behind.
    last: Option<usize>,
}

static TABLES: Mutex<Option<HashMap<usize, Elements>>> = Mutex::new(None);

fn with<T: Tree, R>(table: Ptr<T>, act: impl FnOnce(&mut Elements) -> R) -> R {
    act(lock(&TABLES).get_or_insert_default().entry(table.address()).or_default())
}

/// Where an element like this one is, or where it would be. No lock is held while the driver compares.
fn search<T: Tree>(table: Ptr<T>, buffer: Ptr<u8>) -> Result<usize, usize> {
    let (compare, ..) = table.read().routines();
    let (mut low, mut high, mut found) = (0, with(table, |elements| elements.sorted.len()), None);
    while low < high {
        let middle = usize::midpoint(low, high);
        let Some(element) = with(table, |elements| elements.sorted.get(middle).copied()) else { break };
        match compare(table, buffer, Ptr::at_address(element)) {
            LESS => high = middle,
            EQUAL => {
                // of several the first
                found = Some(middle);
                high = middle;
            }
            _ => low = middle + 1,
        }
    }
    found.ok_or(low)
}

fn at<T: Tree>(table: Ptr<T>, index: usize) -> Ptr<u8> {
    with(table, |elements| elements.sorted.get(index).map_or(Ptr::NULL, |element| Ptr::at_address(*element)))
}

fn initialize<T: Tree>(table: Ptr<T>, compare: Compare<T>, allocate: Allocate<T>, free: Free<T>, context: Ptr) {
    with(table, |elements| *elements = Elements::default());
    table.write(T::blank((compare, allocate, free), context));
}

fn insert<T: Tree>(table: Ptr<T>, buffer: Ptr<u8>, size: u32, is_new: Ptr<Boolean>) -> Ptr<u8> {
    is_new.write_some(0);
    let index = match search(table, buffer) {
        Ok(index) => return at(table, index),
        Err(index) => index,
    };
    let (_, allocate, _) = table.read().routines();
    let Some(block) = allocate(table, size + T::HEAD as u32).some() else { return Ptr::NULL };
    block.fill(0, T::HEAD);
    let data = block.add(T::HEAD);
    data.write_many(&buffer.read_many(size as usize));
    let count = with(table, |elements| {
        let index = index.min(elements.sorted.len());
        elements.sorted.insert(index, data.address());
        elements.by_age.push(data.address());
        elements.sorted.len()
    });
    T::set_count(table, count as u32);
    is_new.write_some(1);
    data
}

fn delete<T: Tree>(table: Ptr<T>, buffer: Ptr<u8>) -> Boolean {
    let Ok(index) = search(table, buffer) else { return 0 };
    let (gone, count) = with(table, |elements| {
        if index >= elements.sorted.len() {
            return (None, elements.sorted.len());
        }
        let gone = elements.sorted.remove(index);
        elements.by_age.retain(|element| *element != gone);
        if elements.last == Some(gone) {
            elements.last = index.checked_sub(1).map(|before| elements.sorted[before]);
        }
        (Some(gone), elements.sorted.len())
    });
    let Some(gone) = gone else { return 0 };
    T::set_count(table, count as u32);
    let (_, _, free) = table.read().routines();
    free(table, Ptr::at_address(gone - T::HEAD));
    1
}

fn lookup<T: Tree>(table: Ptr<T>, buffer: Ptr<u8>) -> Ptr<u8> {
    search(table, buffer).map_or(Ptr::NULL, |index| at(table, index))
}

/// The element behind this one; the first behind none.
fn next(elements: &Elements, last: Option<usize>) -> Option<usize> {
    let Some(last) = last else { return elements.sorted.first().copied() };
    let index = elements.sorted.iter().position(|element| *element == last)?;
    elements.sorted.get(index + 1).copied()
}

fn enumerate<T: Tree>(table: Ptr<T>, restart: Boolean) -> Ptr<u8> {
    with(table, |elements| {
        let found = next(elements, elements.last.filter(|_| restart == 0));
        elements.last = found;
        found.map_or(Ptr::NULL, Ptr::at_address)
    })
}

fn enumerate_with_key<T: Tree>(table: Ptr<T>, key: Ptr<Ptr<u8>>) -> Ptr<u8> {
    let last = key.read().some().map(Ptr::address);
    let found = with(table, |elements| next(elements, last)).map_or(Ptr::NULL, Ptr::at_address);
    if !found.is_null() {
        key.write(found);
    }
    found
}

fn element<T: Tree>(table: Ptr<T>, index: u32) -> Ptr<u8> {
    with(table, |elements| {
        let all = if T::BY_AGE { &elements.by_age } else { &elements.sorted };
        all.get(index as usize).map_or(Ptr::NULL, |element| Ptr::at_address(*element))
    })
}

fn count<T: Tree>(table: Ptr<T>) -> u32 {
    with(table, |elements| elements.sorted.len() as u32)
}

/// Looks for an element; where it is not, tells the neighbour beside which it belongs.
fn lookup_full<T: Tree>(table: Ptr<T>, buffer: Ptr<u8>, neighbour: Ptr<Ptr<u8>>, result: Ptr<u32>) -> Ptr<u8> {
    let (found, place) = match search(table, buffer) {
        Ok(index) => (at(table, index), FOUND),
        Err(_) if count(table) == 0 => (Ptr::NULL, EMPTY),
        Err(0) => (at(table, 0), LEFT),
        Err(index) => (at(table, index - 1), RIGHT),
    };
    neighbour.write(found);
    result.write(place);
    if place == FOUND { found } else { Ptr::NULL }
}

macro_rules! family {
    ($type:ident: $($initialize:ident $insert:ident $insert_full:ident $delete:ident $lookup:ident $lookup_full:ident $enumerate:ident
        $with_key:ident $element:ident $count:ident $is_empty:ident),*) => { $(
        #[unsafe(no_mangle)]
        pub extern "C" fn $initialize(
            table: Ptr<$type>, compare: Compare<$type>, allocate: Allocate<$type>, free: Free<$type>, context: Ptr,
        ) {
            initialize(table, compare, allocate, free, context);
        }

        #[unsafe(no_mangle)]
        pub extern "C" fn $insert(table: Ptr<$type>, buffer: Ptr<u8>, size: u32, is_new: Ptr<Boolean>) -> Ptr<u8> {
            insert(table, buffer, size, is_new)
        }

        #[unsafe(no_mangle)]
        pub extern "C" fn $insert_full(
            table: Ptr<$type>, buffer: Ptr<u8>, size: u32, is_new: Ptr<Boolean>, _neighbour: Ptr, _place: u32,
        ) -> Ptr<u8> {
            insert(table, buffer, size, is_new)
        }

        #[unsafe(no_mangle)]
        pub extern "C" fn $delete(table: Ptr<$type>, buffer: Ptr<u8>) -> Boolean {
            delete(table, buffer)
        }

        #[unsafe(no_mangle)]
        pub extern "C" fn $lookup(table: Ptr<$type>, buffer: Ptr<u8>) -> Ptr<u8> {
            lookup(table, buffer)
        }

        #[unsafe(no_mangle)]
        pub extern "C" fn $lookup_full(table: Ptr<$type>, buffer: Ptr<u8>, neighbour: Ptr<Ptr<u8>>, place: Ptr<u32>) -> Ptr<u8> {
            lookup_full(table, buffer, neighbour, place)
        }

        #[unsafe(no_mangle)]
        pub extern "C" fn $enumerate(table: Ptr<$type>, restart: Boolean) -> Ptr<u8> {
            enumerate(table, restart)
        }

        #[unsafe(no_mangle)]
        pub extern "C" fn $with_key(table: Ptr<$type>, key: Ptr<Ptr<u8>>) -> Ptr<u8> {
            enumerate_with_key(table, key)
        }

        #[unsafe(no_mangle)]
        pub extern "C" fn $element(table: Ptr<$type>, index: u32) -> Ptr<u8> {
            element(table, index)
        }

        #[unsafe(no_mangle)]
        pub extern "C" fn $count(table: Ptr<$type>) -> u32 {
            count(table)
        }

        #[unsafe(no_mangle)]
        pub extern "C" fn $is_empty(table: Ptr<$type>) -> Boolean {
            (count(table) == 0).into()
        }
    )* };
}

family!(Splay: RtlInitializeGenericTable RtlInsertElementGenericTable RtlInsertElementGenericTableFull RtlDeleteElementGenericTable
    RtlLookupElementGenericTable RtlLookupElementGenericTableFull RtlEnumerateGenericTable RtlEnumerateGenericTableWithoutSplaying
    RtlGetElementGenericTable RtlNumberGenericTableElements RtlIsGenericTableEmpty);
family!(Avl: RtlInitializeGenericTableAvl RtlInsertElementGenericTableAvl RtlInsertElementGenericTableFullAvl
    RtlDeleteElementGenericTableAvl RtlLookupElementGenericTableAvl RtlLookupElementGenericTableFullAvl RtlEnumerateGenericTableAvl
    RtlEnumerateGenericTableWithoutSplayingAvl RtlGetElementGenericTableAvl RtlNumberGenericTableElementsAvl
    RtlIsGenericTableEmptyAvl);

#[unsafe(no_mangle)]
pub extern "C" fn RtlLookupFirstMatchingElementGenericTableAvl(
    table: Ptr<Avl>,
    buffer: Ptr<u8>,
    key: Ptr<Ptr<u8>>,
) -> Ptr<u8> {
    let found = lookup(table, buffer);
    key.write(found);
    found
}
