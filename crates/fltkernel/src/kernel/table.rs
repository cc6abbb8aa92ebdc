//! What is remembered of things by their address.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use crate::lock;

const PARTS: usize = 16;

/// A map from addresses, in parts with a lock each.
#[derive(Debug)]
pub struct Table<V> {
    parts: [Mutex<Option<HashMap<usize, V>>>; PARTS],
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> Table<V> {
    /// An empty one, for a static.
    pub const fn new() -> Self {
        Self { parts: [const { Mutex::new(None) }; PARTS] }
    }

    fn part(&self, address: usize) -> MutexGuard<'_, Option<HashMap<usize, V>>> {
        lock(&self.parts[(address >> 4) % PARTS])
    }

    /// Remembers this of `address`; gives what was remembered before.
    pub fn insert(&self, address: usize, value: V) -> Option<V> {
        self.part(address).get_or_insert_default().insert(address, value)
    }

    /// Forgets what is remembered of `address`, and gives it.
    pub fn remove(&self, address: usize) -> Option<V> {
        self.part(address).as_mut()?.remove(&address)
    }

    /// Looks at, or changes, what is remembered of `address`.
    pub fn with<R>(&self, address: usize, look: impl FnOnce(&mut V) -> R) -> Option<R> {
        self.part(address).as_mut()?.get_mut(&address).map(look)
    }

    /// Looks at everything.
    pub fn each(&self, mut look: impl FnMut(usize, &V)) {
        for part in &self.parts {
            for (&address, value) in lock(part).iter().flatten() {
                look(address, value);
            }
        }
    }
}
