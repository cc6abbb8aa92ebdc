//! Generic tables, in both families.

use fltkernel::edge::Ptr;
use fltkernel::kernel::generic::*;
use fltkernel::kernel::pool::{ExAllocatePoolZero, ExFreePoolWithTag};
use fltkernel::kernel::report::capture;

const TAG: u32 = u32::from_le_bytes(*b"Tabl");

macro_rules! tables {
    ($name:ident $type:ident $initialize:ident $insert:ident $delete:ident $lookup:ident $full:ident $enumerate:ident $with_key:ident
        $element:ident $count:ident $is_empty:ident, oldest $oldest:literal) => {
        #[test]
        fn $name() {
            extern "C" fn compare(_table: Ptr<$type>, a: Ptr<u8>, b: Ptr<u8>) -> u32 {
                let (a, b) = (a.cast::<u32>().read(), b.cast::<u32>().read());
                if a < b { 0 } else { 1 + u32::from(a == b) }
            }
            extern "C" fn allocate(_table: Ptr<$type>, bytes: u32) -> Ptr<u8> {
                ExAllocatePoolZero(1, bytes as usize, TAG).cast()
            }
            extern "C" fn free(_table: Ptr<$type>, block: Ptr<u8>) {
                ExFreePoolWithTag(block.cast(), TAG);
            }

            let mut memory = vec![0u64; 16];
            let table: Ptr<$type> = Ptr::new(memory.as_mut_ptr().cast());
            let mut keys = [5u32, 1, 9, 3, 7];
            let mut is_new = 9u8;
            $initialize(table, compare, allocate, free, Ptr::NULL);
            assert_eq!($is_empty(table), 1);
            for key in &mut keys {
                let element = $insert(table, Ptr::new(&raw mut *key).cast(), 4, Ptr::new(&raw mut is_new));
                assert_eq!((element.cast::<u32>().read(), is_new), (*key, 1));
            }
            let mut again = 9u32;
            let again: Ptr<u8> = Ptr::new(&raw mut again).cast();
            assert_eq!($insert(table, again, 4, Ptr::new(&raw mut is_new)), $lookup(table, again));
            assert_eq!((is_new, $count(table)), (0, 5));

            let mut seen = Vec::new();
            let mut element = $enumerate(table, 1);
            while !element.is_null() {
                seen.push(element.cast::<u32>().read());
                element = $enumerate(table, 0);
            }
            assert_eq!(seen, [1, 3, 5, 7, 9]);

            let mut key = Ptr::NULL;
            let mut seen = Vec::new();
            loop {
                let element = $with_key(table, Ptr::new(&raw mut key));
                if element.is_null() {
                    break;
                }
                seen.push(element.cast::<u32>().read());
            }
            assert_eq!(seen, [1, 3, 5, 7, 9]);
            assert_eq!($element(table, 0).cast::<u32>().read(), $oldest);
            assert_eq!($element(table, 5), Ptr::NULL);

            let (mut neighbour, mut place, mut four) = (Ptr::NULL, 9u32, 4u32);
            let found =
                $full(table, Ptr::new(&raw mut four).cast(), Ptr::new(&raw mut neighbour), Ptr::new(&raw mut place));
            assert_eq!((found, neighbour.cast::<u32>().read(), place), (Ptr::NULL, 3, 3));

            // deleting while enumerating goes on with the next
            $enumerate(table, 1);
            assert_eq!($delete(table, $enumerate(table, 0)), 1);
            assert_eq!($enumerate(table, 0).cast::<u32>().read(), 5);
            let (_, found) = capture(|| {
                while $is_empty(table) == 0 {
                    assert_eq!($delete(table, $enumerate(table, 1)), 1);
                }
            });
            assert_eq!(found, []);
            assert_eq!($delete(table, again), 0);
        }
    };
}

tables!(RtlInitializeGenericTable_and_its_family_keep_an_order Splay RtlInitializeGenericTable RtlInsertElementGenericTable
    RtlDeleteElementGenericTable RtlLookupElementGenericTable RtlLookupElementGenericTableFull RtlEnumerateGenericTable
    RtlEnumerateGenericTableWithoutSplaying RtlGetElementGenericTable RtlNumberGenericTableElements RtlIsGenericTableEmpty, oldest 5);
tables!(RtlInitializeGenericTableAvl_and_its_family_keep_an_order Avl RtlInitializeGenericTableAvl RtlInsertElementGenericTableAvl
    RtlDeleteElementGenericTableAvl RtlLookupElementGenericTableAvl RtlLookupElementGenericTableFullAvl RtlEnumerateGenericTableAvl
    RtlEnumerateGenericTableWithoutSplayingAvl RtlGetElementGenericTableAvl RtlNumberGenericTableElementsAvl RtlIsGenericTableEmptyAvl,
    oldest 1);
