//! The registry: a tree in memory, filled from the INF file, case-insensitive as Windows' is.

pub mod callback;
mod calls;
mod inf;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

pub use calls::*;
pub use inf::{Inf, read as read_inf};

use super::object::Object;
use crate::lock;
use crate::nt::wide;

pub const SZ: u32 = 1;
pub const EXPAND_SZ: u32 = 2;
pub const BINARY: u32 = 3;
pub const DWORD: u32 = 4;
pub const MULTI_SZ: u32 = 7;

/// Where services are.
pub const SERVICES: &str = r"\Registry\Machine\System\CurrentControlSet\Services";

/// A value: its type and its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    pub kind: u32,
    pub data: Vec<u8>,
}

impl Value {
    /// A text, ended with a NUL as Windows' tools write it.
    pub fn text(kind: u32, text: &str) -> Self {
        let units = wide(text).into_iter().chain([0]);
        Self { kind, data: units.flat_map(u16::to_le_bytes).collect() }
    }

    /// Several texts.
    pub fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut data: Vec<u8> = texts.into_iter().flat_map(|text| Self::text(SZ, text).data).collect();
        data.extend([0, 0]);
        Self { kind: MULTI_SZ, data }
    }

    /// A number.
    pub fn number(number: u32) -> Self {
        Self { kind: DWORD, data: number.to_le_bytes().to_vec() }
    }

    /// The text of a text, up to its NUL.
    pub fn as_text(&self) -> String {
        let units: Vec<u16> = self.data.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(units.split(|&unit| unit == 0).next().unwrap_or(&[]))
    }

    /// The number of a number.
    pub fn as_number(&self) -> Option<u32> {
        Some(u32::from_le_bytes(self.data.as_slice().try_into().ok()?))
    }
}

/// A name as it is compared, and as it was written.
type Named<T> = BTreeMap<String, (String, T)>;

#[derive(Debug, Default)]
struct Contents {
    values: Named<Value>,
    keys: Named<Arc<Key>>,
    deleted: bool,
}

/// A key.
#[derive(Debug, Default)]
pub struct Key {
    contents: Mutex<Contents>,
}

impl Object for Key {
    fn kind(&self) -> &'static str {
        "key"
    }
}

fn fold(name: &str) -> String {
    name.to_uppercase()
}

impl Key {
    /// The key below it that this path names, with `\` between.
    pub fn open(self: &Arc<Self>, path: &str) -> Option<Arc<Self>> {
        path.split('\\')
            .filter(|part| !part.is_empty())
            .try_fold(self.clone(), |key, part| lock(&key.contents).keys.get(&fold(part)).map(|(_, key)| key.clone()))
    }

    /// The same, made where it is not there; whether it was made.
    pub fn create(self: &Arc<Self>, path: &str) -> (Arc<Self>, bool) {
        let mut made = false;
        let key = path.split('\\').filter(|part| !part.is_empty()).fold(self.clone(), |key, part| {
            let mut contents = lock(&key.contents);
            made = !contents.keys.contains_key(&fold(part));
            contents.keys.entry(fold(part)).or_insert_with(|| (part.to_owned(), Arc::default())).1.clone()
        });
        (key, made)
    }

    /// A value.
    pub fn value(&self, name: &str) -> Option<Value> {
        lock(&self.contents).values.get(&fold(name)).map(|(_, value)| value.clone())
    }

    /// Sets a value.
    pub fn set(&self, name: &str, value: Value) {
        lock(&self.contents).values.insert(fold(name), (name.to_owned(), value));
    }

    /// Removes a value; whether it was there.
    pub fn remove_value(&self, name: &str) -> bool {
        lock(&self.contents).values.remove(&fold(name)).is_some()
    }

    /// The values with their names, in the order of these.
    pub fn values(&self) -> Vec<(String, Value)> {
        lock(&self.contents).values.values().cloned().collect()
    }

    /// The names of the keys below it.
    pub fn names(&self) -> Vec<String> {
        lock(&self.contents).keys.values().map(|(name, _)| name.clone()).collect()
    }

    /// Removes this key from the one above it, and marks it.
    fn delete(self: &Arc<Self>) {
        lock(&self.contents).deleted = true;
        prune(&root());
    }

    fn is_deleted(&self) -> bool {
        lock(&self.contents).deleted
    }
}

fn prune(key: &Arc<Key>) {
    let mut contents = lock(&key.contents);
    contents.keys.retain(|_, (_, below)| !below.is_deleted());
    let below: Vec<Arc<Key>> = contents.keys.values().map(|(_, key)| key.clone()).collect();
    drop(contents);
    below.iter().for_each(prune);
}

/// The top of the tree.
pub fn root() -> Arc<Key> {
    static ROOT: Mutex<Option<Arc<Key>>> = Mutex::new(None);
    lock(&ROOT).get_or_insert_default().clone()
}

/// The key of a service, made if it is not there.
pub fn service(name: &str) -> Arc<Key> {
    root().create(&format!(r"{SERVICES}\{name}")).0
}
