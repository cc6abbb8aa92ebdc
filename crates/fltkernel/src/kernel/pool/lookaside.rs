//! Lookaside lists. Nothing is kept for later: each block is allocated anew, so that a sanitizer sees its second use.

use super::{Kind, Request, allocate, free, kind};
use crate::edge::{Place, Ptr};
use crate::kernel::report::{self, Rule};
use crate::kernel::table::Table;
use crate::nt::status::{self, Status};

type Allocate = Option<extern "C" fn(u32, usize, u32) -> Ptr>;
type Free = Option<extern "C" fn(Ptr)>;
type AllocateEx = Option<extern "C" fn(u32, usize, u32, Ptr) -> Ptr>;
type FreeEx = Option<extern "C" fn(Ptr, Ptr)>;

#[derive(Clone, Copy)]
enum Routines {
    Plain(Allocate, Free),
    Extended(AllocateEx, FreeEx),
}

#[derive(Clone, Copy)]
struct List {
    pool_type: u32,
    size: usize,
    tag: u32,
    routines: Routines,
    outstanding: usize,
    place: Place,
}

static LISTS: Table<List> = Table::new();

/// Lists that were not deleted: where each was made.
pub fn lists() -> Vec<Place> {
    let mut all = Vec::new();
    LISTS.each(|_, list| all.push(list.place));
    all
}

fn create(list: Ptr, pool_type: u32, size: usize, tag: u32, routines: Routines) {
    if LISTS
        .insert(list.address(), List { pool_type, size, tag, routines, outstanding: 0, place: report::place() })
        .is_some()
    {
        report::find(Rule::Lookaside, "a lookaside list is initialised a second time and was not deleted");
    }
}

fn delete(list: Ptr) {
    match LISTS.remove(list.address()) {
        None => report::find(Rule::Lookaside, "a lookaside list is deleted that was not initialised"),
        Some(known) if known.outstanding > 0 => {
            report::find(
                Rule::Lookaside,
                format!("a lookaside list is deleted and {} of its blocks are not freed", known.outstanding),
            );
        }
        Some(_) => {}
    }
}

fn take(list: Ptr) -> Ptr {
    let known = LISTS.with(list.address(), |known| {
        known.outstanding += 1;
        *known
    });
    let Some(known) = known else {
        report::find(Rule::Lookaside, "a block is taken from a lookaside list that was not initialised");
        return Ptr::NULL;
    };
    let block = match known.routines {
        Routines::Plain(Some(routine), _) => routine(known.pool_type, known.size, known.tag),
        Routines::Extended(Some(routine), _) => routine(known.pool_type, known.size, known.tag, list),
        _ => allocate(Request { zeroed: false, ..Request::new(kind(known.pool_type), known.size, known.tag) }),
    };
    if block.is_null() {
        LISTS.with(list.address(), |known| known.outstanding -= 1);
    }
    block
}

fn put_back(list: Ptr, block: Ptr) {
    let known = LISTS.with(list.address(), |known| {
        known.outstanding = known.outstanding.saturating_sub(1);
        *known
    });
    match known.map(|known| (known.routines, known.tag)) {
        Some((Routines::Plain(_, Some(routine)), _)) => routine(block),
        Some((Routines::Extended(_, Some(routine)), _)) => routine(block, list),
        Some((_, tag)) => free(block, Some(tag)),
        None => report::find(Rule::Lookaside, "a block is given back to a lookaside list that was not initialised"),
    }
}

/// `POOL_TYPE` of a list that names only a kind.
fn type_of(kind: Kind) -> u32 {
    u32::from(kind == Kind::Paged)
}

macro_rules! lists {
    ($kind:expr, $initialize:ident $delete:ident $allocate:ident $free:ident) => {
        #[unsafe(no_mangle)]
        pub extern "C" fn $initialize(
            list: Ptr,
            allocate: Allocate,
            free: Free,
            _flags: u32,
            size: usize,
            tag: u32,
            _depth: u16,
        ) {
            create(list, type_of($kind), size, tag, Routines::Plain(allocate, free));
        }

        #[unsafe(no_mangle)]
        pub extern "C" fn $delete(list: Ptr) {
            delete(list);
        }

        #[unsafe(no_mangle)]
        pub extern "C" fn $allocate(list: Ptr) -> Ptr {
            take(list)
        }

        #[unsafe(no_mangle)]
        pub extern "C" fn $free(list: Ptr, block: Ptr) {
            put_back(list, block);
        }
    };
}

lists!(Kind::NonPaged, ExInitializeNPagedLookasideList ExDeleteNPagedLookasideList ExAllocateFromNPagedLookasideList ExFreeToNPagedLookasideList);
lists!(Kind::Paged, ExInitializePagedLookasideList ExDeletePagedLookasideList ExAllocateFromPagedLookasideList ExFreeToPagedLookasideList);

#[unsafe(no_mangle)]
pub extern "C" fn ExInitializeLookasideListEx(
    list: Ptr,
    allocate: AllocateEx,
    free: FreeEx,
    pool_type: u32,
    _flags: u32,
    size: usize,
    tag: u32,
    _depth: u16,
) -> Status {
    create(list, pool_type, size, tag, Routines::Extended(allocate, free));
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn ExDeleteLookasideListEx(list: Ptr) {
    delete(list);
}

#[unsafe(no_mangle)]
pub extern "C" fn ExAllocateFromLookasideListEx(list: Ptr) -> Ptr {
    take(list)
}

#[unsafe(no_mangle)]
pub extern "C" fn ExFreeToLookasideListEx(list: Ptr, block: Ptr) {
    put_back(list, block);
}
