//! The threads of a tree that ever asked: how its processes are told from those of another tree.

use std::collections::HashSet;
use std::sync::Mutex;

use fltport::internal::lock;

#[derive(Debug, Default)]
pub(super) struct Asked(Mutex<HashSet<u32>>);

impl Asked {
    pub(super) fn insert(&self, thread: u32) {
        lock(&self.0).insert(thread);
    }

    pub(super) fn contains(&self, thread: u32) -> bool {
        lock(&self.0).contains(&thread)
    }
}
