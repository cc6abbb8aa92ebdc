//! What a driver left behind.

use std::sync::Arc;

use crate::edge::Place;
use crate::filter::registration::Filter;
use crate::filter::{context, device, name, port};
use crate::kernel::report::{Rule, find_at};
use crate::kernel::{locks, object, pool, process, registry, work};

fn at(place: Place) -> String {
    if place.is_known() { format!(", taken by {place}") } else { String::new() }
}

/// Looks at everything that a driver which is gone should have given back.
pub fn audit(filter: Option<&Arc<Filter>>) {
    if let Some(filter) = filter {
        for (kind, references, place, taken) in context::left(filter) {
            let text = format!("a context of kind {kind:#x} is left with {references} references{}", at(taken));
            find_at(Rule::CtxLeak, text, place);
        }
        context::forget(filter);
        if port::open_ports(filter) > 0 {
            find_at(Rule::PortLeak, "a server port is left open", Place::default());
        }
    }
    for place in name::left() {
        find_at(Rule::NameLeak, "name information is not released", place);
    }
    for (tag, used) in pool::tags().into_iter().filter(|(_, used)| used.blocks > 0) {
        let place =
            pool::blocks().into_iter().find(|block| block.tag == tag).map(|block| block.place).unwrap_or_default();
        let text = format!(
            "{} blocks of pool with the tag {} are not freed: {} bytes",
            used.blocks,
            pool::tag_text(tag),
            used.bytes
        );
        find_at(Rule::PoolLeak, text, place);
    }
    for (kind, place) in object::handles() {
        find_at(Rule::HandleLeak, format!("a handle of a {kind} is not closed"), place);
    }
    for (kind, references, place) in object::held() {
        find_at(Rule::ObjLeak, format!("{references} references to a {kind} are not given back"), place);
    }
    for place in process::left() {
        find_at(Rule::NotifyLeak, "a notify routine is not removed: it would be called in memory that is gone", place);
    }
    for place in registry::callback::left() {
        find_at(
            Rule::NotifyLeak,
            "a registry callback is not removed: it would be called in memory that is gone",
            place,
        );
    }
    for place in pool::lists() {
        find_at(Rule::Lookaside, "a lookaside list is not deleted", place);
    }
    for place in work::running_threads() {
        find_at(Rule::ThreadOutlives, "a thread of the driver still runs", place);
    }
    for name in device::left() {
        find_at(Rule::ObjLeak, format!("the device or link {name} is not deleted"), Place::default());
    }
    for lock in locks::held() {
        find_at(Rule::LockHeld, "a lock is held after the unload", lock.place);
    }
}
