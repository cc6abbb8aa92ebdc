//! Instances: a filter at one volume, at an altitude.

mod calls;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub use calls::*;
use fltmgr::filter::Altitude;

use super::registration::{Filter, Users, patience};
use super::volume::Volume;
use super::{callback, context, queue, registration, stack};
use crate::edge::Ptr;
use crate::kernel::object::{self, Object, address};
use crate::kernel::registry::Key;
use crate::kernel::report::{self, Rule};
use crate::lock;
use crate::nt::RelatedObjects;
use crate::nt::status::Status;

/// `FLT_INSTANCE`
#[derive(Debug)]
pub struct Instance {
    pub filter: Arc<Filter>,
    pub volume: Arc<Volume>,
    pub name: String,
    pub altitude: Altitude,
    going: AtomicBool,
    /// Operations that it has seen and that are not complete.
    pub users: Users,
}

impl Object for Instance {
    fn kind(&self) -> &'static str {
        "instance"
    }
}

/// Why an instance goes: `FLTFL_INSTANCE_TEARDOWN_…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Teardown {
    Manual = 1,
    FilterUnload = 2,
    MandatoryUnload = 4,
    VolumeDismount = 8,
}

/// `FLTFL_INSTANCE_SETUP_…`
const AUTOMATIC: u32 = 1;
const MANUAL: u32 = 2;
const NEWLY_MOUNTED: u32 = 4;
/// A setup callback that takes longer is a finding.
const SETUP_TIME: Duration = Duration::from_secs(1);

/// An instance as the registry describes it.
#[derive(Clone, Debug)]
pub struct Settings {
    pub name: String,
    pub altitude: String,
    /// Bit 0: not by itself, bit 1: not by hand.
    pub flags: u32,
}

/// The instances that the key of a service describes, in the new place or the old one.
pub fn settings(service: &Arc<Key>) -> Vec<Settings> {
    let Some(key) = service.open(r"Parameters\Instances").or_else(|| service.open("Instances")) else {
        return Vec::new();
    };
    let describe = |name: String| {
        let key = key.open(&name)?;
        let altitude = key.value("Altitude")?.as_text();
        let flags = key.value("Flags").and_then(|flags| flags.as_number()).unwrap_or(0);
        Some(Settings { name, altitude, flags })
    };
    key.names().into_iter().filter_map(describe).collect()
}

/// All instances, highest altitude first.
static INSTANCES: Mutex<Vec<Arc<Instance>>> = Mutex::new(Vec::new());

/// The instances at a volume, highest altitude first.
pub fn at_volume(volume: &Arc<Volume>) -> Vec<Arc<Instance>> {
    lock(&INSTANCES).iter().filter(|instance| Arc::ptr_eq(&instance.volume, volume)).cloned().collect()
}

/// The instances of a filter.
pub fn of_filter(filter: &Arc<Filter>) -> Vec<Arc<Instance>> {
    lock(&INSTANCES).iter().filter(|instance| Arc::ptr_eq(&instance.filter, filter)).cloned().collect()
}

impl Instance {
    /// Whether it goes: it sees no new operations.
    pub fn is_going(&self) -> bool {
        self.going.load(Ordering::Acquire)
    }

    /// What its callbacks are told of where they are.
    pub fn related(self: &Arc<Self>) -> RelatedObjects {
        RelatedObjects {
            size: size_of::<RelatedObjects>() as u16,
            filter: address(&self.filter),
            volume: address(&self.volume),
            instance: address(self),
            ..RelatedObjects::default()
        }
    }

    fn call<R>(self: &Arc<Self>, what: &str, run: impl FnOnce(Ptr<RelatedObjects>) -> R) -> R {
        let mut related = self.related();
        callback::call(what, None, 0, || run(Ptr::new(&raw mut related)))
    }
}

/// Attaches a filter to a volume as its registry says.
pub fn attach_automatically(filter: &Arc<Filter>, volume: &Arc<Volume>, new: bool) {
    const NOT_BY_ITSELF: u32 = 1;
    filter.is_first_sight(volume);
    let flags = AUTOMATIC | if new { NEWLY_MOUNTED } else { 0 };
    for settings in settings(&filter.key()) {
        if settings.flags & NOT_BY_ITSELF == 0 {
            // a refusal is the driver's right
            let _ = attach(filter, volume, &settings, flags);
        }
    }
}

/// Attaches the filters that are started to a volume that was not seen before.
pub fn attach_all(volume: &Arc<Volume>) {
    for filter in registration::all() {
        if filter.is_started() && filter.is_first_sight(volume) {
            attach_automatically(&filter, volume, true);
        }
    }
}

fn attach(
    filter: &Arc<Filter>,
    volume: &Arc<Volume>,
    settings: &Settings,
    flags: u32,
) -> Result<Arc<Instance>, Status> {
    use crate::nt::status;
    let Ok(altitude) = Altitude::parse(&settings.altitude) else {
        report::find(Rule::Altitude, format!("{:?} is no altitude", settings.altitude));
        return Err(status::INVALID_PARAMETER);
    };
    let instance = Arc::new(Instance {
        filter: filter.clone(),
        volume: volume.clone(),
        name: settings.name.clone(),
        altitude,
        going: AtomicBool::new(false),
        users: Users::default(),
    });
    let others = at_volume(volume);
    if others.iter().any(|other| Arc::ptr_eq(&other.filter, filter) && other.name.eq_ignore_ascii_case(&instance.name))
    {
        return Err(status::FLT_INSTANCE_NAME_COLLISION);
    }
    if others.iter().any(|other| other.altitude == instance.altitude) {
        report::find(Rule::Altitude, format!("another instance has the altitude {} at this volume", settings.altitude));
        return Err(status::OBJECT_NAME_COLLISION);
    }
    object::add(&instance);
    if let Some(setup) = filter.registration.setup {
        let began = Instant::now();
        let status =
            instance.call("InstanceSetup", |related| setup(related, flags, volume.device_type(), volume.kind_number()));
        if began.elapsed() > SETUP_TIME {
            report::find(
                Rule::SetupBlocks,
                "the setup callback took longer than a second: what it waits for may wait for it",
            );
        }
        if !status.is_success_severity() {
            context::remove_of_instance(&instance);
            object::remove(address(&instance));
            return Err(status);
        }
    }
    let mut all = lock(&INSTANCES);
    let place = all.iter().position(|other| other.altitude < instance.altitude).unwrap_or(all.len());
    all.insert(place, instance.clone());
    Ok(instance)
}

/// Takes an instance away: no new operations, those under way are drained, its contexts go.
pub fn teardown(instance: &Arc<Instance>, reason: Teardown) {
    if instance.going.swap(true, Ordering::AcqRel) {
        return;
    }
    if let Some(start) = instance.filter.registration.teardown_start {
        instance.call("InstanceTeardownStart", |related| start(related, reason as u32));
    }
    stack::drain(instance);
    queue::disable_all(instance);
    if let Err(holders) = instance.users.wait(patience()) {
        report::find(Rule::Ref, format!("the instance cannot go: it is held by {holders}"));
    }
    if let Some(complete) = instance.filter.registration.teardown_complete {
        instance.call("InstanceTeardownComplete", |related| complete(related, reason as u32));
    }
    context::remove_of_instance(instance);
    lock(&INSTANCES).retain(|other| !Arc::ptr_eq(other, instance));
    let references = object::remove(address(instance));
    if references > 0 {
        report::find(Rule::Ref, format!("an instance goes to which the driver has {references} references"));
    }
}
