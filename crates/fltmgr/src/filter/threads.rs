//! Which threads a callback may hold up: those that read a source, for another takes their place. A thread of the deadlines
//! or of an application's replies has others waiting for it.

use std::cell::Cell;

thread_local! {
    static READS: Cell<bool> = const { Cell::new(false) };
}

/// Says that this thread reads a source: it may call a filter, whatever that does, because another takes its place.
pub(super) fn begin_to_read() {
    READS.set(true);
}

/// Whether this thread reads a source.
pub(super) fn reads_here() -> bool {
    READS.get()
}
