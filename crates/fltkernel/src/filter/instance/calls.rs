//! Calls about instances.

use std::sync::Arc;

use super::{Instance, MANUAL, Settings, Teardown, at_volume, attach, of_filter, settings, teardown};
use crate::edge::Ptr;
use crate::filter::registration::Filter;
use crate::filter::volume::{Volume, volume_of};
use crate::kernel::object::{self, address};
use crate::kernel::{irql, report};
use crate::nt::UnicodeString;
use crate::nt::status::{self, Status};

fn text(string: Ptr<UnicodeString>) -> Option<String> {
    string.some().map(|string| string.read().text())
}

fn give(instance: &Arc<Instance>, result: Ptr<Ptr>) -> Status {
    if !result.is_null() {
        object::reference(address(instance));
        result.write(address(instance));
    }
    status::SUCCESS
}

fn attach_by_hand(
    filter: Ptr,
    volume: Ptr,
    altitude: Option<String>,
    name: Option<String>,
    result: Ptr<Ptr>,
) -> Status {
    irql::expect(irql::PASSIVE, "FltAttachVolume");
    result.write_some(Ptr::NULL);
    let (Some(filter), Some(volume)) = (object::get::<Filter>(filter, "filter"), volume_of(volume)) else {
        return status::INVALID_PARAMETER;
    };
    if !filter.is_started() {
        return status::FLT_FILTER_NOT_READY;
    }
    let all = settings(&filter.key());
    let default = filter.key().open(r"Parameters\Instances").or_else(|| filter.key().open("Instances"));
    let wanted = name.clone().or_else(|| Some(default?.value("DefaultInstance")?.as_text()));
    let known =
        all.iter().find(|settings| wanted.as_deref().is_none_or(|name| settings.name.eq_ignore_ascii_case(name)));
    let settings = match (known.or_else(|| all.first()), altitude) {
        (_, Some(altitude)) => {
            Settings { name: name.unwrap_or_else(|| format!("{} at {altitude}", filter.name)), altitude, flags: 0 }
        }
        (Some(known), None) => known.clone(),
        (None, None) => return status::FLT_INSTANCE_NOT_FOUND,
    };
    match attach(&filter, &volume, &settings, MANUAL) {
        Ok(instance) => give(&instance, result),
        Err(status) => status,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn FltAttachVolume(filter: Ptr, volume: Ptr, name: Ptr<UnicodeString>, result: Ptr<Ptr>) -> Status {
    attach_by_hand(filter, volume, None, text(name), result)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltAttachVolumeAtAltitude(
    filter: Ptr,
    volume: Ptr,
    altitude: Ptr<UnicodeString>,
    name: Ptr<UnicodeString>,
    result: Ptr<Ptr>,
) -> Status {
    attach_by_hand(filter, volume, text(altitude), text(name), result)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltDetachVolume(filter: Ptr, volume: Ptr, name: Ptr<UnicodeString>) -> Status {
    irql::expect(irql::PASSIVE, "FltDetachVolume");
    let (Some(filter), Some(volume)) = (object::get::<Filter>(filter, "filter"), volume_of(volume)) else {
        return status::INVALID_PARAMETER;
    };
    let wanted = text(name);
    let found = at_volume(&volume).into_iter().find(|instance| {
        Arc::ptr_eq(&instance.filter, &filter)
            && wanted.as_deref().is_none_or(|name| instance.name.eq_ignore_ascii_case(name))
    });
    match found {
        Some(instance) => detach(&instance),
        None => status::FLT_INSTANCE_NOT_FOUND,
    }
}

/// Takes an instance away by hand, if its filter agrees.
pub fn detach(instance: &Arc<Instance>) -> Status {
    let Some(query) = instance.filter.registration.query_teardown else { return status::FLT_DO_NOT_DETACH };
    let answer = instance.call("InstanceQueryTeardown", |related| query(related, 0));
    if !answer.is_success_severity() {
        return answer;
    }
    teardown(instance, Teardown::Manual);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltEnumerateInstances(
    volume: Ptr,
    filter: Ptr,
    list: Ptr<Ptr>,
    room: u32,
    count: Ptr<u32>,
) -> Status {
    let filter = object::find::<Filter>(filter);
    let volume = object::find::<Volume>(volume);
    let found: Vec<Arc<Instance>> = match (&volume, &filter) {
        (Some(volume), _) => at_volume(volume)
            .into_iter()
            .filter(|i| filter.as_ref().is_none_or(|f| Arc::ptr_eq(f, &i.filter)))
            .collect(),
        (None, Some(filter)) => of_filter(filter),
        (None, None) => return status::INVALID_PARAMETER,
    };
    count.write(found.len() as u32);
    if (room as usize) < found.len() {
        return status::BUFFER_TOO_SMALL;
    }
    for (at, instance) in found.iter().enumerate() {
        give(instance, list.add(at));
    }
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetVolumeInstanceFromName(
    filter: Ptr,
    volume: Ptr,
    name: Ptr<UnicodeString>,
    result: Ptr<Ptr>,
) -> Status {
    let filter = object::find::<Filter>(filter);
    let Some(volume) = volume_of(volume) else { return status::INVALID_PARAMETER };
    let name = text(name);
    let found = at_volume(&volume).into_iter().find(|instance| {
        filter.as_ref().is_none_or(|filter| Arc::ptr_eq(filter, &instance.filter))
            && name.as_deref().is_none_or(|name| instance.name.eq_ignore_ascii_case(name))
    });
    match found {
        Some(instance) => give(&instance, result),
        None => status::FLT_INSTANCE_NOT_FOUND,
    }
}

/// Puts an instance above or below another: -1, 0 or 1.
#[unsafe(no_mangle)]
pub extern "C" fn FltCompareInstanceAltitudes(a: Ptr, b: Ptr) -> i32 {
    match (object::find::<Instance>(a), object::find::<Instance>(b)) {
        (Some(a), Some(b)) => a.altitude.cmp(&b.altitude) as i32,
        _ => {
            report::find(report::Rule::Object, "FltCompareInstanceAltitudes of something that is no instance");
            0
        }
    }
}
