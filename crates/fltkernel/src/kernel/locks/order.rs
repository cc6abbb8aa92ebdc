//! In which order locks are taken: a circle is a deadlock, even if none happened.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use super::Held;
use crate::edge::Place;
use crate::kernel::report::{self, Rule};
use crate::lock;

/// Which locks were taken while one was held, and where.
static AFTER: Mutex<Option<HashMap<usize, HashMap<usize, Place>>>> = Mutex::new(None);

/// A thread has taken a lock while it had others.
pub(super) fn taken(new: Held, held: &[Held]) {
    for before in held.iter().filter(|before| before.address != new.address) {
        let mut after = lock(&AFTER);
        let after = after.get_or_insert_default();
        let followers = after.entry(before.address).or_default();
        if followers.contains_key(&new.address) {
            continue;
        }
        followers.insert(new.address, Place::here());
        if let Some(place) = path(after, new.address, before.address) {
            let text = format!(
                "a {} is taken after a {}, which elsewhere is taken after it, by {place}: a deadlock when both happen at once",
                new.kind.name(),
                before.kind.name()
            );
            report::find(Rule::LockOrder, text);
        }
    }
}

/// Where something was taken on a way from `from` to `to`.
fn path(after: &HashMap<usize, HashMap<usize, Place>>, from: usize, to: usize) -> Option<Place> {
    let mut seen = HashSet::new();
    let mut next = vec![from];
    while let Some(at) = next.pop() {
        if !seen.insert(at) {
            continue;
        }
        let Some(followers) = after.get(&at) else { continue };
        if let Some(place) = followers.get(&to) {
            return Some(*place);
        }
        next.extend(followers.keys().copied());
    }
    None
}

/// Forgets a lock that is gone: its address may become another's.
pub(super) fn forget(address: usize) {
    if let Some(after) = lock(&AFTER).as_mut() {
        after.remove(&address);
        after.values_mut().for_each(|followers| _ = followers.remove(&address));
    }
}
